#include "client/answer.h"

#include "base/mem.h"

static void put_key(struct json_writer *w, struct slice key)
{
    json_key(w, "key");
    json_put_slice(w, key);
}

static void put_reason(struct json_writer *w, const struct eval_result *e)
{
    if (e->reason == HOIST_ERROR) {
        json_key(w, "errorCode");
        json_put_str(w, hoist_code_name(e->code));
        json_key(w, "errorDetails");
        json_put_str(w, e->error);
    } else {
        json_key(w, "reason");
        json_put_str(w, hoist_reason_name(e->reason));
    }
}

/* What follows from the variant. flag NULL: there is no such flag. */
static void put_rest(struct json_writer *w, const struct flag *flag, int32_t variant)
{
    if (variant != FLAG_NO_VARIANT) {
        json_key(w, "variant");
        json_put_slice(w, flag->variants[variant].name);
        json_key(w, "value");
        json_put_tree(w, flag->variants[variant].value);
    }
    json_key(w, "metadata");
    if (flag) {
        json_put_metadata(w, flag);
    } else {
        json_object_begin(w);
        json_object_end(w);
    }
}

/* ------------------------------------------------------------------ texts */

enum { TEXT_VARIANTS_MAX = 64, TEXT_MAX = 64 << 10 };

struct answer_text {
    struct buf buf;
    size_t key_end; /* of the key's member, from the start */
    /* of what follows from each variant, behind what came before it; first from none */
    size_t rest_ends[TEXT_VARIANTS_MAX + 1];
};

struct answer_text *answer_text_new(const struct flag *f)
{
    struct answer_text *t = f->variant_count <= TEXT_VARIANTS_MAX ? mem_zalloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->buf = BUF_INIT(TEXT_MAX);
    struct json_writer w = JSON_WRITER(&t->buf, 0);
    w.depth = 1; /* members of an object that others open */
    put_key(&w, f->key);
    t->key_end = t->buf.len;
    for (uint32_t i = 0; i <= f->variant_count; i++) {
        w.comma = false;
        put_rest(&w, f, (int32_t)i - 1);
        t->rest_ends[i] = t->buf.len;
    }
    if (buf_err(&t->buf)) {
        answer_text_free(t);
        return NULL;
    }
    return t;
}

void answer_text_free(struct answer_text *t)
{
    if (!t)
        return;
    buf_done(&t->buf);
    mem_free(t);
}

static struct slice rest_of(const struct answer_text *t, int32_t variant)
{
    int32_t i = variant + 1;
    size_t from = i > 0 ? t->rest_ends[i - 1] : t->key_end;
    return slice_of(t->buf.ptr + from, t->rest_ends[i] - from);
}

_Static_assert(FLAG_NO_VARIANT == -1, "no variant comes before the first");

/* ------------------------------------------------------------------ answers */

static const struct slice reasons[] = {
    [HOIST_STATIC] = SLICE("\"reason\":\"STATIC\""),
    [HOIST_DEFAULT] = SLICE("\"reason\":\"DEFAULT\""),
    [HOIST_TARGETING_MATCH] = SLICE("\"reason\":\"TARGETING_MATCH\""),
    [HOIST_DISABLED] = SLICE("\"reason\":\"DISABLED\""),
};

void answer_put(struct json_writer *w, const struct answer_parts *a)
{
    if (a->text && w->indent == 0) {
        json_put_raw(w, slice_of(a->text->buf.ptr, a->text->key_end));
        if (a->result->reason == HOIST_ERROR)
            put_reason(w, a->result);
        else
            json_put_raw(w, reasons[a->result->reason]);
        json_put_raw(w, rest_of(a->text, a->result->variant));
        return;
    }
    put_key(w, a->key);
    put_reason(w, a->result);
    put_rest(w, a->flag, a->result->variant);
}
