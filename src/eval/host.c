#include "eval/host.h"

#include <stdlib.h>

#include "base/mem.h"

/* ------------------------------------------------------------------ writing */

struct label {
    const char *text;
    size_t name_len;
    size_t order;
};

static int by_name(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = slice_cmp(slice_of(x->text, x->name_len), slice_of(y->text, y->name_len));
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool is_same_name(const struct label *a, const struct label *b)
{
    return slice_eq(slice_of(a->text, a->name_len), slice_of(b->text, b->name_len));
}

enum hoist_err host_write(struct slice id, const char *const *labels, size_t label_count,
                          struct buf *out)
{
    struct label *sorted = mem_zalloc(label_count, sizeof *sorted);
    if (!sorted)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; !err && i < label_count; i++) {
        sorted[i] = (struct label){labels[i], strcspn(labels[i], "="), i};
        if (sorted[i].name_len == 0 || labels[i][sorted[i].name_len] != '=')
            err = err_set(HOIST_EINVAL, "label '%s': give NAME=VALUE", labels[i]);
    }
    if (!err) {
        qsort(sorted, label_count, sizeof *sorted, by_name);
        buf_add_slice(out, id);
        buf_add_byte(out, '\0');
        for (size_t i = 0; i < label_count; i++)
            if (i + 1 == label_count || !is_same_name(&sorted[i], &sorted[i + 1]))
                buf_add(out, sorted[i].text, strlen(sorted[i].text) + 1);
        err = buf_err(out);
    }
    mem_free(sorted);
    return err;
}

/* ------------------------------------------------------------------ reading */

/* The text at the front of *s, which is moved behind it. False: there is none. */
static bool take_text(struct slice *s, struct slice *ret)
{
    const uint8_t *end = s->len ? memchr(s->ptr, '\0', s->len) : NULL;
    if (!end)
        return false;
    *ret = slice_of(s->ptr, (size_t)(end - s->ptr));
    *s = slice_of(end + 1, s->len - ret->len - 1);
    return true;
}

static size_t count_texts(struct slice s)
{
    size_t count = 0;
    for (struct slice text; take_text(&s, &text);)
        count++;
    return count;
}

enum hoist_err host_read(struct slice about, struct arena *arena, struct eval_host *ret)
{
    struct slice text;
    struct eval_host h = {0};
    size_t count = count_texts(about);
    enum hoist_err err = arena_own(arena, &about);
    struct meta_item *labels = err ? NULL : arena_alloc(arena, count, sizeof *labels);
    if (!labels)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (!take_text(&about, &h.id))
        h.id = SLICE("");
    while (take_text(&about, &text)) {
        const uint8_t *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
        if (!equals)
            continue;
        size_t name = (size_t)(equals - text.ptr);
        labels[h.label_count++] = (struct meta_item){
            slice_of(text.ptr, name),
            {.kind = NODE_STRING, .span = 1, .text = slice_of(equals + 1, text.len - name - 1)}};
    }
    h.labels = labels;
    *ret = h;
    return HOIST_OK;
}
