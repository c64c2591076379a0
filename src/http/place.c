#include "http/place.h"

/* Take `word` from the front. */
static bool skip(struct slice *s, struct slice word)
{
    if (!slice_starts_with(*s, word))
        return false;
    *s = slice_of(s->ptr + word.len, s->len - word.len);
    return true;
}

/* "/env/NAME" from the front, if it stands there. */
static void skip_env(struct slice *path, struct place *p)
{
    struct slice rest = *path;
    if (!skip(&rest, SLICE("/env/")))
        return;
    const uint8_t *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    if (!slash || slash == rest.ptr)
        return;
    p->env = slice_of(rest.ptr, (size_t)(slash - rest.ptr));
    p->prefix = slice_of(path->ptr, (size_t)(slash - path->ptr));
    *path = slice_of(slash, path->len - p->prefix.len);
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A slash may stand as it is or encoded: there is nothing below a key that it could lead to. */
static void read_key(struct slice in, struct place *p)
{
    size_t len = 0;
    for (size_t i = 0; i < in.len && !p->why; i++) {
        uint8_t c = in.ptr[i];
        if (len == sizeof p->text) {
            p->why = "the key is too long";
            break;
        }
        if (c == '%') {
            int high = i + 2 < in.len ? hex(in.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex(in.ptr[i + 2]) : -1;
            if (low < 0) {
                p->why = "the key is not percent-encoded: two hex digits belong behind each %";
                break;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        p->text[len++] = c;
    }
    p->key = slice_of(p->text, len);
    if (!p->why && len == 0)
        p->why = "the path ends where the flag's key should stand";
}

void place_read(struct slice path, struct place *ret)
{
    ret->route = ROUTE_NONE;
    ret->prefix = ret->env = ret->key = (struct slice){0};
    ret->why = NULL;
    skip_env(&path, ret);
    if (slice_eq(path, SLICE("/ofrep/v1/evaluate/flags"))) {
        ret->route = ROUTE_FLAGS;
    } else if (skip(&path, SLICE("/ofrep/v1/evaluate/flags/"))) {
        ret->route = ROUTE_FLAG;
        read_key(path, ret);
    } else if (slice_eq(path, SLICE("/ofrep/v1/events"))) {
        ret->route = ROUTE_EVENTS;
    }
}
