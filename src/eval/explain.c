/* How a decision came about: a line for each operator, with what it looked at and what it yielded.
 *
 *     {"var":"email"} is "ana@example.com"
 *   {"ends_with":["ana@example.com","@example.com"]} is true
 * {"if":…} is "on"
 */
#include <math.h>

#include "eval/rule_int.h"
#include "flag/json.h"

enum { SHOWN_MAX = 200, SHOWN_ROOM = 8192 }; /* bytes of one value; and while it is written */

void trace_note(struct trace *t, const char *note)
{
    if (t)
        buf_printf(t->out, "%s\n", note);
}

void trace_lack(struct trace *t, const struct requirement *lacks)
{
    if (t)
        buf_printf(t->out, "it requires that %.*s is %.*s, which is not so\n",
                   SLICE_ARG(lacks->flag), SLICE_ARG(lacks->variant));
}

/* ------------------------------------------------------------------ values as JSON */

static void put_value(struct json_writer *w, struct value v, uint32_t depth);

static void put_items(struct json_writer *w, struct value array, uint32_t depth)
{
    struct value item;
    json_array_begin(w);
    for (struct items i = items_of(array); items_next(&i, &item);)
        put_value(w, item, depth + 1);
    json_array_end(w);
}

static void put_value(struct json_writer *w, struct value v, uint32_t depth)
{
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
            json_put_raw(w, isnan(v.number) ? SLICE("NaN")
                            : v.number < 0  ? SLICE("-Infinity")
                                            : SLICE("Infinity"));
        break;
    case VALUE_STRING:
        json_put_slice(w, value_slice(v));
        break;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        json_put_tree(w, (struct tree){(struct node *)v.node, v.node->span});
        break;
    case VALUE_LIST:
        if (depth < TREE_DEPTH_MAX) {
            put_items(w, v, depth);
            break;
        } /* else fall through */
    default:
        json_put_raw(w, SLICE("{…}"));
    }
}

/* Cut to what a person would read, between two letters. */
static void add_cut(struct buf *out, const struct buf *text)
{
    size_t len = text->len;
    if (len > SHOWN_MAX)
        for (len = SHOWN_MAX; len > 0 && (text->ptr[len] & 0xc0) == 0x80;)
            len--;
    buf_add(out, text->ptr, len);
    if (len < text->len || text->err)
        buf_add_str(out, "…");
}

/* ------------------------------------------------------------------ lines */

static void put_call(struct json_writer *w, const struct node *n, const struct value *args,
                     uint32_t count)
{
    json_object_begin(w);
    json_key_slice(w, n->text);
    if (n->bare) {
        put_value(w, args[0], 0);
    } else {
        json_array_begin(w);
        for (uint32_t i = 0; i < count; i++)
            put_value(w, args[i], 0);
        json_array_end(w);
    }
    json_object_end(w);
}

static void indent(struct machine *m)
{
    for (uint32_t i = 1; i < m->depth; i++)
        buf_add_str(m->trace->out, "  ");
}

void trace_bucket(struct machine *m, struct slice text, uint32_t bucket, uint32_t total)
{
    struct buf quoted = BUF_INIT(SHOWN_ROOM);
    struct json_writer w = JSON_WRITER(&quoted, 0);
    indent(m);
    json_put_slice(&w, text);
    add_cut(m->trace->out, &quoted);
    buf_printf(m->trace->out, " falls on %u of 0 to %u\n", bucket, total - 1);
    buf_done(&quoted);
}

void trace_step(struct machine *m, const struct step *s, const struct value *args, struct value v)
{
    struct buf text = BUF_INIT(SHOWN_ROOM);
    struct json_writer w = JSON_WRITER(&text, 0);
    const struct node *n = m->ask->rule->targeting.nodes + s->node;
    if (m->trace->out->err)
        return; /* it is full */
    indent(m);
    if (args)
        put_call(&w, n, args, s->count);
    else
        json_put_tree(&w, (struct tree){(struct node *)n, n->span});
    add_cut(m->trace->out, &text);
    buf_add_str(m->trace->out, " is ");
    buf_clear(&text);
    w = JSON_WRITER(&text, 0);
    put_value(&w, v, 0);
    add_cut(m->trace->out, &text);
    buf_add_byte(m->trace->out, '\n');
    buf_done(&text);
}
