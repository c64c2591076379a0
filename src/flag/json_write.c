#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "flag/json.h"

/* ------------------------------------------------------------------ structure */

static void new_line(struct json_writer *w)
{
    if (w->indent == 0)
        return;
    buf_add_byte(w->out, '\n');
    for (int i = 0; i < w->indent * w->depth; i++)
        buf_add_byte(w->out, ' ');
}

/* What goes before an item: nothing behind its key; else a comma if it is not the first. Values
 * outside any array or object stand as the caller sets them. */
static void begin_item(struct json_writer *w)
{
    if (w->keyed || w->depth == 0) {
        w->keyed = false;
        return;
    }
    if (w->comma)
        buf_add_byte(w->out, ',');
    new_line(w);
}

static void begin(struct json_writer *w, char bracket)
{
    begin_item(w);
    buf_add_byte(w->out, (uint8_t)bracket);
    w->depth++;
    w->comma = false;
}

static void end(struct json_writer *w, char bracket)
{
    w->depth--;
    if (w->comma)
        new_line(w);
    buf_add_byte(w->out, (uint8_t)bracket);
    w->comma = true;
}

void json_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
    end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
    end(w, ']');
}

/* ------------------------------------------------------------------ text */

/* The length of the well-formed UTF-8 sequence that `s` begins with, or 0. */
static size_t utf8_step(struct slice s)
{
    for (size_t len = 1; len <= 4 && len <= s.len; len++)
        if (text_utf8(slice_of(s.ptr, len)))
            return len;
    return 0;
}

static void put_escaped(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        buf_add_str(out, "\\\"");
        break;
    case '\\':
        buf_add_str(out, "\\\\");
        break;
    case '\n':
        buf_add_str(out, "\\n");
        break;
    case '\r':
        buf_add_str(out, "\\r");
        break;
    case '\t':
        buf_add_str(out, "\\t");
        break;
    default:
        buf_printf(out, "\\u%04x", c);
    }
}

/* Well-formed text goes out in runs between the characters that JSON wants escaped. */
static void put_text(struct buf *out, struct slice v)
{
    size_t from = 0;
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.ptr[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        buf_add(out, v.ptr + from, i - from);
        put_escaped(out, c);
        from = i + 1;
    }
    buf_add(out, v.ptr + from, v.len - from);
}

static void put_quoted(struct buf *out, struct slice v)
{
    buf_add_byte(out, '"');
    if (text_utf8(v)) {
        if (v.len) /* no text may be no pointer, either */
            put_text(out, v);
    } else {
        while (v.len) {
            size_t step = utf8_step(v);
            if (step)
                put_text(out, slice_of(v.ptr, step));
            else
                buf_add_str(out, "\xef\xbf\xbd"); /* U+FFFD */
            step += step == 0;
            v = slice_of(v.ptr + step, v.len - step);
        }
    }
    buf_add_byte(out, '"');
}

void json_key(struct json_writer *w, const char *key)
{
    json_key_slice(w, slice_str(key));
}

void json_key_slice(struct json_writer *w, struct slice key)
{
    begin_item(w);
    put_quoted(w->out, key);
    buf_add_str(w->out, w->indent ? ": " : ":");
    w->comma = true;
    w->keyed = true;
}

/* ------------------------------------------------------------------ values */

static void put_plain(struct json_writer *w, const char *text)
{
    begin_item(w);
    buf_add_str(w->out, text);
    w->comma = true;
}

void json_put_null(struct json_writer *w)
{
    put_plain(w, "null");
}

void json_put_bool(struct json_writer *w, bool v)
{
    put_plain(w, v ? "true" : "false");
}

void json_put_number(struct json_writer *w, double v)
{
    char text[TEXT_NUMBER_SIZE + 2];
    if (!isfinite(v)) { /* JSON has no word for it */
        json_put_null(w);
        return;
    }
    text_number(text, v);
    begin_item(w);
    buf_add_str(w->out, text);
    /* A reader refuses digits alone beyond 2^53, since integers there may not be what they say. */
    if (fabs(v) >= 0x1p53 && !strpbrk(text, ".e"))
        buf_add_str(w->out, ".0");
    w->comma = true;
}

void json_put_u64(struct json_writer *w, uint64_t v)
{
    begin_item(w);
    buf_printf(w->out, "%" PRIu64, v);
    w->comma = true;
}

void json_put_i64(struct json_writer *w, int64_t v)
{
    begin_item(w);
    buf_printf(w->out, "%" PRId64, v);
    w->comma = true;
}

void json_put_str(struct json_writer *w, const char *v)
{
    if (v)
        json_put_slice(w, slice_str(v));
    else
        json_put_null(w);
}

void json_put_slice(struct json_writer *w, struct slice v)
{
    begin_item(w);
    put_quoted(w->out, v);
    w->comma = true;
}

void json_put_hex(struct json_writer *w, struct slice bytes)
{
    begin_item(w);
    buf_add_byte(w->out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        char digits[3];
        text_hex(digits, slice_of(bytes.ptr + i, 1));
        buf_add(w->out, digits, 2);
    }
    buf_add_byte(w->out, '"');
    w->comma = true;
}

void json_put_hex64(struct json_writer *w, uint64_t v)
{
    begin_item(w);
    buf_printf(w->out, "\"%016" PRIx64 "\"", v);
    w->comma = true;
}

void json_put_time(struct json_writer *w, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE];
    text_time(text, wall_ms);
    json_put_str(w, text);
}

void json_put_raw(struct json_writer *w, struct slice json)
{
    begin_item(w);
    buf_add_slice(w->out, json);
    w->comma = true;
}
