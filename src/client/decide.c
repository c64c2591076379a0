#include "client/decide.h"

#include <stdio.h>
#include <time.h>

#include "client/answer.h"
#include "client/table.h"
#include "flag/json.h"

/* ------------------------------------------------------------------ flags that are required */

/* Whether it holds; others_hold() then looks at it once more. */
static bool lean_on(struct others *o, const struct decoded *d)
{
    if (!decoded_holds(d, o->at) || o->seen_count == OTHERS_MAX)
        return false;
    o->seen[o->seen_count++] = d;
    return true;
}

static bool other_yields(void *of, struct slice key, struct slice variant)
{
    struct others *o = of;
    hoist_flag *f = table_find(o->hoist, key, table_hash(key));
    const struct decoded *d;
    if (o->stuck || o->depth == EVAL_REQUIRES_DEPTH_MAX || o->asked == EVAL_REQUIRES_MAX)
        return false;
    o->asked++;
    if (o->span) {
        d = span_cached(o->span, f);
        return d ? decided_as(d, o, variant) : span_decide_other(o->span, key, o, variant);
    }
    d = f ? atomic_load_explicit(&f->rest->decoded, memory_order_acquire) : NULL;
    o->stuck = !d || (!o->last_known && !lean_on(o, d));
    return !o->stuck && decided_as(d, o, variant);
}

bool others_hold(const struct others *o)
{
    for (uint32_t i = 0; i < o->seen_count; i++)
        if (!decoded_holds(o->seen[i], o->at))
            return false;
    return !o->stuck;
}

/* ------------------------------------------------------------------ evaluating */

static struct eval_ask eval_ask(const struct decoded *d, const struct hoist_ctx *ctx,
                                struct others *others)
{
    return (struct eval_ask){
        .flag = d->flag,
        .rule = d->rule,
        .ctx = ctx,
        .host = &d->host,
        .now_s = rule_sees(d->rule) & RULE_SEES_TIME ? time(NULL) : 0,
        .yields = others ? other_yields : NULL,
        .of = others,
    };
}

bool decided_as(const struct decoded *d, struct others *others, struct slice variant)
{
    struct eval_ask ask = eval_ask(d, others->ctx, others);
    others->depth++;
    struct eval_result r = eval_flag(&ask);
    others->depth--;
    return r.variant != FLAG_NO_VARIANT && slice_eq(d->flag->variants[r.variant].name, variant);
}

/* ------------------------------------------------------------------ answering */

static void answer_text(const struct ask *ask, struct slice text, struct answer *ret)
{
    ret->length = copy_text(ask->buf, ask->size, text);
    if (!ask->lend)
        return;
    if (arena_own(ask->lend, &text))
        answer_error(ret, HOIST_CODE_GENERAL, "out of memory");
    else
        ret->lent = (const char *)text.ptr;
}

static void answer_metadata(const struct flag *f, struct hoist_result *ret)
{
    struct buf text = BUF_INIT(FLAG_RECORD_MAX * 8);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_put_metadata(&w, f);
    if (!buf_err(&text)) {
        ret->metadata_length = text.len;
        if (text.len < sizeof ret->metadata)
            copy_text(ret->metadata, sizeof ret->metadata, buf_slice(&text));
    }
    buf_done(&text);
}

static struct cell_value value_of(enum hoist_type type, const struct node *value)
{
    switch (type) {
    case HOIST_BOOL:
        return (struct cell_value){value->kind == NODE_TRUE ? CELL_TRUE : CELL_FALSE, 0};
    case HOIST_NUMBER:
        return (struct cell_value){CELL_NUMBER, cell_bits(value->number)};
    default:
        return (struct cell_value){CELL_TEXT, 0};
    }
}

void decide(const struct decoded *d, const struct ask *ask, struct others *others,
            struct answer *ret)
{
    const struct flag *f = d->flag;
    struct eval_ask question = eval_ask(d, ask->ctx, others);
    struct eval_result r =
        ask->explain ? eval_explain(&question, ask->explain) : eval_flag(&question);
    *ret = (struct answer){.type = f->type, .value.kind = CELL_NONE};
    ret->depends = f->override == FLAG_NO_VARIANT && (d->rule || f->requires_count);
    ret->slot = decoded_slot(d, r.variant);
    if (ask->metadata && f->metadata_count)
        answer_metadata(f, ask->metadata);
    const struct node *value = NULL;
    if (r.variant != FLAG_NO_VARIANT) {
        value = f->variants[r.variant].value.nodes;
        ret->value = value_of(f->type, value);
    }
    bool ok = eval_want(f, &r, ask->want);
    ret->result = r;
    if (ask->members)
        answer_put(ask->members,
                   &(struct answer_parts){
                       .key = ask->key, .flag = f, .result = &r, .text = decoded_answers(d)});
    if (!ok)
        return;
    if (ask->variant)
        copy_text(ask->variant, VARIANT_SIZE, f->variants[r.variant].name);
    if (ret->value.kind == CELL_TEXT)
        answer_text(ask, d->texts ? d->texts[r.variant] : value->text, ret);
}
