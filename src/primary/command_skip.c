/* apply with skip_invalid: the flags of a file that are left out, and why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "primary/command_int.h"
#include "primary/query_int.h"
#include "wire/record.h"

static int by_key(const void *key, const void *flag)
{
    return slice_cmp(*(const struct slice *)key, (*(struct flag *const *)flag)->key);
}

static bool is_skipped(const struct flag_file *file, struct slice key)
{
    for (size_t i = 0; i < file->skipped_count; i++)
        if (slice_eq(slice_str(file->skipped[i].key), key))
            return true;
    return false;
}

bool command_file_names(const struct flag_file *file, struct slice key)
{
    return bsearch(&key, file->flags, file->count, sizeof *file->flags, by_key) ||
           is_skipped(file, key);
}

/* The flag `key` as it will be, to be freed unless it is the file's; NULL: it will not be there. */
static enum hoist_err flag_after(const struct command *c, const struct plan *plan, struct slice key,
                                 struct flag **ret, bool *ret_own)
{
    struct slice record;
    struct flag **found =
        bsearch(&key, c->file->flags, c->file->count, sizeof *c->file->flags, by_key);
    *ret = found ? *found : NULL;
    *ret_own = false;
    if (found || (c->args.prune && !is_skipped(c->file, key)))
        return HOIST_OK;
    enum hoist_err err = store_record_get(plan->r, plan->env->id, key, &record);
    if (err == HOIST_OK) {
        err = record_decode(key, record, ret, NULL);
        *ret_own = err == HOIST_OK;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* Whether all that `f` requires will be there; else `why` says what is not. */
static enum hoist_err is_met(const struct command *c, const struct plan *plan, const struct flag *f,
                             bool *ret_met, char *why, size_t why_size)
{
    *ret_met = true;
    for (uint32_t i = 0; i < f->requires_count && *ret_met; i++) {
        const struct requirement *need = &f->requires[i];
        struct flag *required;
        bool own;
        enum hoist_err err = flag_after(c, plan, need->flag, &required, &own);
        if (err != HOIST_OK)
            return err;
        *ret_met = required && flag_variant(required, need->variant) != FLAG_NO_VARIANT;
        if (!required)
            snprintf(why, why_size, "it requires the flag \"%.*s\", which is not in %s",
                     SLICE_ARG(need->flag), plan->env->name);
        else if (!*ret_met)
            snprintf(why, why_size,
                     "it requires variant \"%.*s\" of the flag \"%.*s\", which has no such variant",
                     SLICE_ARG(need->variant), SLICE_ARG(need->flag));
        if (own)
            flag_free(required);
    }
    return HOIST_OK;
}

/* One flag that is left out may be what another requires: again, until all is met. */
enum hoist_err command_skip_unmet(struct command *c, const struct plan *plan)
{
    char why[1024];
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < c->file->count;) {
            bool met;
            enum hoist_err err = is_met(c, plan, c->file->flags[i], &met, why, sizeof why);
            if (err == HOIST_OK && !met) {
                err = flag_file_skip(c->file, i, &c->problems, "mend that one, or import it first",
                                     why);
                again = true;
            }
            if (err != HOIST_OK)
                return err;
            i += met;
        }
    }
    return HOIST_OK;
}

static void put_one(struct json_writer *w, const struct command *c, const struct skipped_flag *s)
{
    size_t len = strlen(s->path);
    json_object_begin(w);
    json_key(w, "key");
    json_put_str(w, s->key[0] ? s->key : NULL);
    json_key(w, "problems");
    json_array_begin(w);
    for (size_t i = 0; i < c->problems.count; i++) {
        const struct problem *p = &c->problems.items[i];
        if (p->flag_len == len && memcmp(p->path, s->path, len) == 0)
            query_put_problem(w, p);
    }
    json_array_end(w);
    json_object_end(w);
}

void command_put_skipped(struct json_writer *w, struct command *c)
{
    json_key(w, "skipped");
    json_array_begin(w);
    for (size_t i = 0; i < c->file->skipped_count; i++)
        put_one(w, c, &c->file->skipped[i]);
    json_array_end(w);
}
