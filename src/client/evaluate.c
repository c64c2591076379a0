#include "client/evaluate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/count.h"
#include "client/table.h"

bool result_fill(struct hoist_result *ret, const struct ask *ask, const struct answer *a,
                 uint64_t version)
{
    ret->type = ask->want ? ask->want : a->type;
    ret->ok = a->result.variant != FLAG_NO_VARIANT;
    ret->reason = a->result.reason;
    ret->code = a->result.code;
    ret->version = version;
    if (ret->ok) {
        ret->boolean = cell_bool(a->value, false);
        ret->number = cell_double(a->value, 0);
        ret->length = a->length;
    }
    if (a->result.error)
        snprintf(ret->error, sizeof ret->error, "%.60s: %s", (const char *)ask->key.ptr,
                 a->result.error);
    return ret->ok;
}

bool result_of_nothing(struct hoist_result *ret, enum hoist_type want)
{
    *ret = (struct hoist_result){.type = want, .reason = HOIST_ERROR, .code = HOIST_CODE_NOT_READY};
    snprintf(ret->error, sizeof ret->error, "there is no handle, or no key");
    return false;
}

static bool evaluate(hoist *h, struct ask *ask, struct hoist_result *ret)
{
    struct answer a;
    uint64_t version = 0;
    *ret = (struct hoist_result){0};
    ask->variant = ret->variant;
    ask->metadata = ret;
    answer_flag(h, ask, &a, &version);
    count(a.slot);
    return result_fill(ret, ask, &a, version);
}

bool hoist_evaluate(hoist *h, const char *key, const hoist_ctx *ctx, enum hoist_type want,
                    struct hoist_result *ret, char *buf, size_t size)
{
    struct hoist_result unwanted;
    ret = ret ? ret : &unwanted;
    if (!h || !key)
        return result_of_nothing(ret, want);
    struct ask ask = {
        .key = key_of(key), .ctx = ctx, .want = want, .buf = buf, .size = buf ? size : 0};
    ask.hash = table_hash(ask.key);
    ask.flag = table_find(h, ask.key, ask.hash);
    return evaluate(h, &ask, ret);
}

bool hoist_flag_evaluate(hoist_flag *f, const hoist_ctx *ctx, enum hoist_type want,
                         struct hoist_result *ret, char *buf, size_t size)
{
    struct hoist_result unwanted;
    ret = ret ? ret : &unwanted;
    if (!f)
        return result_of_nothing(ret, want);
    struct ask ask = {.flag = f,
                      .key = flag_key(f),
                      .ctx = ctx,
                      .want = want,
                      .buf = buf,
                      .size = buf ? size : 0};
    return evaluate(f->rest->hoist, &ask, ret);
}

/* ------------------------------------------------------------------ explaining */

enum { EXPLAIN_MAX = 256 << 10 };

static void add_outcome(struct buf *out, const struct answer *a, const struct hoist_result *r)
{
    if (!r->ok)
        buf_add_str(out, "the caller's fallback");
    else if (a->value.kind == CELL_NUMBER)
        buf_printf(out, "%g", r->number);
    else if (a->value.kind == CELL_TEXT)
        buf_printf(out, "%zu bytes of text", a->length);
    else
        buf_add_str(out, r->boolean ? "true" : "false");
    if (*r->variant)
        buf_printf(out, " (%s)", r->variant);
    buf_printf(out, ", %s", hoist_reason_name(r->reason));
    if (r->code)
        buf_printf(out, " %s: %s", hoist_code_name(r->code), r->error);
    buf_printf(out, ", version %" PRIu64 "\n", r->version);
}

size_t hoist_explain(hoist *h, const char *key, const hoist_ctx *ctx, char *buf, size_t size)
{
    struct buf steps = BUF_INIT(EXPLAIN_MAX - 2048), text = BUF_INIT(EXPLAIN_MAX);
    struct hoist_result r = {0};
    struct answer a;
    if (!h || !key)
        return copy_text(buf, buf ? size : 0, SLICE(""));
    struct ask ask = {.key = key_of(key), .ctx = ctx, .variant = r.variant, .explain = &steps};
    ask.hash = table_hash(ask.key);
    answer_flag(h, &ask, &a, &r.version);
    result_fill(&r, &ask, &a, r.version);
    buf_printf(&text, "%.*s is ", SLICE_ARG(ask.key));
    add_outcome(&text, &a, &r);
    buf_add(&text, steps.ptr, steps.len);
    size_t len = copy_text(buf, buf ? size : 0, buf_slice(&text));
    buf_done(&steps);
    buf_done(&text);
    return len;
}
