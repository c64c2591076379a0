#include "flag/flag.h"
#include "wire/change_int.h"
#include "wire/mp.h"

static const char what[] = "edits of a change";

enum hoist_err edits_open(struct slice edits, struct edits_reader *ret)
{
    struct mp_reader r = mp_reader(edits);
    uint32_t count = mp_array(&r, CHANGE_EDITS_MAX);
    enum hoist_err err = mp_err(&r, what);
    if (err == HOIST_OK)
        *ret = (struct edits_reader){r.in, count};
    return err;
}

enum hoist_err edits_next(struct edits_reader *er, struct edit *ret)
{
    struct mp_reader r = mp_reader(er->rest);
    if (er->left == 0) {
        mp_end(&r);
        enum hoist_err err = mp_err(&r, what);
        return err == HOIST_OK ? HOIST_ENOTFOUND : err;
    }

    uint32_t elements = mp_array(&r, UINT32_MAX);
    uint32_t op = mp_u32(&r);
    uint32_t known = op == EDIT_PUT ? 3 : 2;
    struct edit edit = {.put = op == EDIT_PUT};
    if (!r.bad && op != EDIT_PUT && op != EDIT_DELETE)
        mp_fail(&r, "neither put nor delete");
    if (!r.bad && elements < known)
        mp_fail(&r, "an edit with too few elements");
    edit.key = mp_text(&r, FLAG_KEY_MAX);
    if (!r.bad && flag_key_check(edit.key) != HOIST_OK)
        mp_fail(&r, "a key that is none");
    if (edit.put)
        edit.record = mp_bin(&r);
    for (uint32_t i = known; i < elements && !r.bad; i++)
        mp_skip(&r);
    if (r.bad)
        return mp_err(&r, what);
    *er = (struct edits_reader){r.in, er->left - 1};
    *ret = edit;
    return HOIST_OK;
}

bool change_touches(const struct change *c, struct slice key)
{
    struct edits_reader edits;
    struct edit e;
    if (!c->edits.ptr || edits_open(c->edits, &edits) != HOIST_OK)
        return false;
    while (edits_next(&edits, &e) == HOIST_OK)
        if (slice_eq(e.key, key))
            return true;
    return false;
}
