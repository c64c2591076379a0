#include "primary/undone.h"

#include <stdlib.h>

#include "base/mem.h"

struct undoing {
    uint64_t restores;
    struct key_list keys;
};

/* ------------------------------------------------------------------ lists of keys */

void key_list_done(struct key_list *l)
{
    mem_free(l->keys);
    *l = (struct key_list){0};
}

enum hoist_err key_list_add(struct key_list *l, struct slice key)
{
    if (l->count == l->cap) {
        struct slice *grown = mem_grow(l->keys, &l->cap, 16, sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        l->keys = grown;
    }
    l->keys[l->count++] = key;
    return HOIST_OK;
}

static int by_key(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

void key_list_sort(struct key_list *l)
{
    size_t distinct = 0;
    if (l->count > 1)
        qsort(l->keys, l->count, sizeof *l->keys, by_key);
    for (size_t i = 0; i < l->count; i++)
        if (distinct == 0 || !slice_eq(l->keys[i], l->keys[distinct - 1]))
            l->keys[distinct++] = l->keys[i];
    l->count = distinct;
}

ptrdiff_t key_list_find(const struct key_list *l, struct slice key)
{
    const struct slice *at =
        l->count ? bsearch(&key, l->keys, l->count, sizeof *l->keys, by_key) : NULL;
    return at ? at - l->keys : -1;
}

/* ------------------------------------------------------------------ the walk */

void undone_begin(struct undone_walk *w, struct store_read *r, const struct store_env *env)
{
    *w = (struct undone_walk){.r = r, .env = env, .next = env->head};
}

void undone_end(struct undone_walk *w)
{
    for (size_t i = 0; i < w->count; i++)
        key_list_done(&w->undoing[i].keys);
    mem_free(w->undoing);
    *w = (struct undone_walk){0};
}

/* Whether all flags of `c` are among those of `u`. */
static bool covers(const struct undoing *u, const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    if (c->head.version <= u->restores || edits_open(c->edits, &edits) != HOIST_OK)
        return false;
    while (edits_next(&edits, &e) == HOIST_OK)
        if (key_list_find(&u->keys, e.key) < 0)
            return false;
    return true;
}

static bool is_undone(const struct undone_walk *w, const struct change *c)
{
    for (size_t i = 0; i < w->count; i++)
        if (covers(&w->undoing[i], c))
            return true;
    return false;
}

static enum hoist_err remember(struct undone_walk *w, const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    if (w->count == w->cap) {
        struct undoing *grown = mem_grow(w->undoing, &w->cap, 8, sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        w->undoing = grown;
    }
    struct undoing u = {.restores = c->head.restores};
    enum hoist_err err = edits_open(c->edits, &edits);
    while (!err && (err = edits_next(&edits, &e)) == HOIST_OK)
        err = key_list_add(&u.keys, e.key);
    if (err != HOIST_ENOTFOUND) {
        key_list_done(&u.keys);
        return err;
    }
    key_list_sort(&u.keys);
    w->undoing[w->count++] = u;
    return HOIST_OK;
}

static bool somebody_made(uint32_t kind)
{
    switch (kind) {
    case CHANGE_ROLLBACK:
    case CHANGE_KILL:
    case CHANGE_RESTORE:
    case CHANGE_EPOCH:
    case CHANGE_CREATE:
        return false;
    default:
        return true;
    }
}

enum hoist_err undone_next(struct undone_walk *w, struct change *ret)
{
    while (w->next > 0) {
        struct slice bytes;
        struct change c;
        enum hoist_err err = store_log_get(w->r, w->env->id, w->next, &bytes);
        if (!err)
            err = change_decode(bytes, &c);
        if (err)
            return err;
        w->next--;
        bool rollback = c.head.kind == CHANGE_ROLLBACK;
        if ((!rollback && !somebody_made(c.head.kind)) || is_undone(w, &c))
            continue;
        if (rollback) {
            err = remember(w, &c);
            if (err)
                return err;
            continue;
        }
        *ret = c;
        return HOIST_OK;
    }
    return HOIST_ENOTFOUND;
}
