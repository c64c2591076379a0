#include "client/evaluate.h"

#include <stdio.h>
#include <string.h>

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
    answer_flag(h, ask, &a, &version);
    return result_fill(ret, ask, &a, version);
}

bool hoist_evaluate(hoist *h, const char *key, const hoist_ctx *ctx, enum hoist_type want,
                    struct hoist_result *ret, char *buf, size_t size)
{
    struct hoist_result unwanted;
    (void)ctx;
    ret = ret ? ret : &unwanted;
    if (!h || !key)
        return result_of_nothing(ret, want);
    struct ask ask = {.key = key_of(key), .want = want, .buf = buf, .size = buf ? size : 0};
    ask.hash = table_hash(ask.key);
    ask.flag = table_find(h, ask.key, ask.hash);
    return evaluate(h, &ask, ret);
}

bool hoist_flag_evaluate(hoist_flag *f, const hoist_ctx *ctx, enum hoist_type want,
                         struct hoist_result *ret, char *buf, size_t size)
{
    struct hoist_result unwanted;
    (void)ctx;
    ret = ret ? ret : &unwanted;
    if (!f)
        return result_of_nothing(ret, want);
    struct ask ask = {
        .flag = f, .key = flag_key(f), .want = want, .buf = buf, .size = buf ? size : 0};
    return evaluate(f->rest->hoist, &ask, ret);
}
