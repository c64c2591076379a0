/* Any bytes as a flag file or a record, a zero byte, and a context: what can be read is evaluated,
 * twice to the same answer, explained, and sent through its record without answering otherwise. */
#include <assert.h>

#include "eval/eval.h"
#include "eval/host.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_met(void *of, struct slice key, struct slice variant)
{
    (void)of;
    return key.len > variant.len;
}

static void check_result(const struct flag *f, struct eval_result r)
{
    assert(r.variant == FLAG_NO_VARIANT ||
           (r.variant >= 0 && (uint32_t)r.variant < f->variant_count));
    assert((r.reason == HOIST_ERROR) == (r.error != NULL));
    assert((r.reason == HOIST_ERROR) == (r.code != HOIST_CODE_NONE));
    assert(r.reason != HOIST_ERROR || r.variant == FLAG_NO_VARIANT);
    assert(!r.limited || r.code == HOIST_CODE_GENERAL);
}

static struct eval_result evaluate(const struct flag *f, const struct hoist_ctx *ctx, bool explain)
{
    struct rule *rule;
    struct meta_item label = {SLICE("ring"),
                              {.kind = NODE_STRING, .span = 1, .text = SLICE("canary")}};
    struct eval_host host = {SLICE("host-1"), &label, 1};
    enum hoist_err err = rule_new(f->targeting, &rule);
    assert(err == HOIST_OK);
    struct eval_ask ask = {
        .flag = f, .rule = rule, .ctx = ctx, .host = &host, .now_s = 1700000000, .yields = is_met};
    struct eval_result r = eval_flag(&ask);
    if (explain) {
        struct buf text = BUF_INIT(64 << 10);
        struct eval_result explained = eval_explain(&ask, &text);
        assert(explained.reason == r.reason && explained.variant == r.variant);
        buf_done(&text);
    }
    check_result(f, r);
    rule_free(rule);
    return r;
}

static void check_flag(const struct flag *f, const struct hoist_ctx *ctx)
{
    struct flag *again;
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct eval_result r = evaluate(f, ctx, true);
    if (record_encode(f, &record) == HOIST_OK) {
        enum hoist_err err = record_decode(f->key, buf_slice(&record), &again, NULL);
        assert(err == HOIST_OK);
        struct eval_result other = evaluate(again, ctx, false);
        assert(other.reason == r.reason && other.variant == r.variant && other.code == r.code);
        flag_free(again);
    }
    buf_done(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hoist_ctx ctx = {0};
    struct problems problems = {0};
    struct flag_file *file = NULL;
    struct flag *f;
    size_t len = size;
    while (len > 0 && data[len - 1] != '\0')
        len--;
    if (ctx_set_json(&ctx, slice_of(data + len, size - len)) != HOIST_OK)
        assert(ctx.count == 0);
    struct slice definition = slice_of(data, len ? len - 1 : 0);
    if (flag_file_read(definition, &file, &problems) == HOIST_OK)
        for (size_t i = 0; i < file->count; i++)
            check_flag(file->flags[i], &ctx);
    else if (record_decode(SLICE("key"), definition, &f, NULL) == HOIST_OK) {
        struct rule *rule;
        if (rule_new(f->targeting, &rule) == HOIST_OK) { /* a record may have any operator */
            rule_free(rule);
            check_flag(f, &ctx);
        }
        flag_free(f);
    }
    flag_file_free(file);
    problems_done(&problems);
    ctx_done(&ctx);
    return 0;
}
