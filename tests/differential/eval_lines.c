/* eval_lines - evaluates flags for who compares the answers with other evaluators'.
 *
 * One case a line on stdin, one answer a line on stdout:
 *
 *     {"file": a flag file, "key": a flag in it, "context": an object, "now": seconds}
 *     {"reason", "variant", "value", "code", "limited", "yields"}   or   {"refused": why}
 *
 * `file` and `context` are texts that hold JSON. `variant` and `value` are left out where the
 * caller's default counts. `yields` is what the rule itself yields; what JSON has no word for is
 * {"is": "NaN"}, and so on. A line whose `file` is null takes the file of the line before.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "eval/rule_int.h"
#include "flag/json.h"
#include "flag/value_read.h"

static uint8_t scratch[EVAL_SCRATCH_SIZE] __attribute__((aligned(SCRATCH_ALIGN)));

/* ------------------------------------------------------------------ writing an answer */

static void put_word(struct json_writer *w, const char *word)
{
    json_object_begin(w);
    json_key(w, "is");
    json_put_str(w, word);
    json_object_end(w);
}

static void put_value(struct json_writer *w, struct value v)
{
    struct value item;
    switch (v.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL:
        json_put_null(w);
        break;
    case VALUE_FALSE:
    case VALUE_TRUE:
        json_put_bool(w, v.kind == VALUE_TRUE);
        break;
    case VALUE_NUMBER:
        if (isfinite(v.number))
            json_put_number(w, v.number);
        else
            put_word(w, isnan(v.number) ? "NaN" : v.number < 0 ? "-Infinity" : "Infinity");
        break;
    case VALUE_STRING:
        json_put_slice(w, value_slice(v));
        break;
    case VALUE_ARRAY:
    case VALUE_LIST:
        json_array_begin(w);
        for (struct items i = items_of(v); items_next(&i, &item);)
            put_value(w, item);
        json_array_end(w);
        break;
    default:
        put_word(w, "object");
    }
}

static void put_answer(struct json_writer *w, const struct eval_ask *ask)
{
    struct eval_result r = eval_flag(ask);
    json_key(w, "reason");
    json_put_str(w, hoist_reason_name(r.reason));
    json_key(w, "code");
    json_put_str(w, hoist_code_name(r.code));
    json_key(w, "limited");
    json_put_bool(w, r.limited);
    if (r.variant != FLAG_NO_VARIANT) {
        json_key(w, "variant");
        json_put_slice(w, ask->flag->variants[r.variant].name);
        json_key(w, "value");
        json_put_tree(w, ask->flag->variants[r.variant].value);
    }
    if (!ask->rule)
        return;
    struct machine m = {
        .ask = ask, .scratch = scratch, .size = sizeof scratch, .steps = EVAL_STEPS_MAX};
    struct value v = run(&m, ask->rule->steps, value_of_kind(VALUE_CONTEXT));
    json_key(w, "yields");
    put_value(w, m.error ? value_null() : v);
}

/* ------------------------------------------------------------------ reading a case */

static const struct node *member(struct tree object, const char *name)
{
    const struct node *at = object.nodes + 1;
    for (uint32_t i = 0; object.nodes->kind == NODE_OBJECT && i < object.nodes->count; i++) {
        if (slice_eq(at->text, slice_str(name)))
            return at + 1;
        at += 1 + at[1].span;
    }
    fprintf(stderr, "eval_lines: a case has no \"%s\"\n", name);
    exit(2);
}

static struct flag *find(const struct flag_file *file, struct slice key)
{
    for (size_t i = 0; file && i < file->count; i++)
        if (slice_eq(file->flags[i]->key, key))
            return file->flags[i];
    return NULL;
}

static enum hoist_err read_file(const struct node *text, struct flag_file **file)
{
    struct problems problems = {0};
    flag_file_free(*file);
    *file = NULL;
    enum hoist_err err = flag_file_read(text->text, file, &problems);
    if (err && problems.count)
        err = err_set(err, "%s: %s", problems.items[0].path, problems.items[0].message);
    problems_done(&problems);
    return err;
}

static enum hoist_err answer(struct json_writer *w, struct tree asked, struct flag_file **file)
{
    struct rule *rule = NULL;
    struct hoist_ctx ctx = {0};
    const struct node *text = member(asked, "file");
    enum hoist_err err = text->kind == NODE_NULL ? HOIST_OK : read_file(text, file);
    struct flag *f = err ? NULL : find(*file, member(asked, "key")->text);
    if (!err && !f)
        err = err_set(HOIST_ENOTFOUND, "there is no such flag");
    if (!err)
        err = ctx_set_json(&ctx, member(asked, "context")->text);
    if (!err)
        err = rule_new(f->targeting, &rule);
    if (!err)
        put_answer(w, &(struct eval_ask){.flag = f,
                                         .rule = rule,
                                         .ctx = &ctx,
                                         .now_s = (int64_t)member(asked, "now")->number});
    rule_free(rule);
    ctx_done(&ctx);
    return err;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    struct flag_file *file = NULL;
    struct buf out = BUF_INIT(16 << 20);
    while ((len = getline(&line, &size, stdin)) > 0) {
        struct value_text text;
        struct tree asked;
        struct json_writer w = JSON_WRITER(&out, 0);
        buf_clear(&out);
        json_object_begin(&w);
        enum hoist_err err = value_read(slice_of((uint8_t *)line, (size_t)len), &text, &asked);
        if (!err) {
            err = answer(&w, asked, &file);
            value_done(&text);
        }
        if (err) {
            json_key(&w, "refused");
            json_put_str(&w, err_last());
        }
        json_object_end(&w);
        buf_add_byte(&out, '\n');
        if (buf_err(&out) != HOIST_OK || fwrite(out.ptr, 1, out.len, stdout) != out.len)
            return 2;
    }
    flag_file_free(file);
    buf_done(&out);
    free(line);
    return fflush(stdout) != 0;
}
