#include "primary/killed.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "primary/query_int.h"
#include "wire/record.h"

enum { WALK_MAX = 1000 /* changes; behind more of them all records are read again */ };

/* A record that cannot be read yields what its flag's programs fall back to: it is not killed. */
static bool is_killed(struct slice key, struct slice record)
{
    struct record_peek peek;
    struct flag *f;
    if (record_peek(key, record, &peek))
        return peek.flag.override != FLAG_NO_VARIANT;
    if (record_decode(key, record, &f, NULL) != HOIST_OK)
        return false;
    bool killed = f->override != FLAG_NO_VARIANT;
    flag_free(f);
    return killed;
}

/* ------------------------------------------------------------------ the keys */

static size_t place_of(const struct killed_env *e, struct slice key, bool *ret_there)
{
    size_t low = 0, high = e->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (slice_cmp(e->keys[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_there = low < e->count && slice_eq(e->keys[low], key);
    return low;
}

static enum hoist_err put(struct killed_env *e, size_t at, struct slice key)
{
    if (e->count == e->cap) {
        struct slice *grown = mem_grow(e->keys, &e->cap, 16, sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        e->keys = grown;
    }
    char *copy = mem_dup(key);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");
    memmove(e->keys + at + 1, e->keys + at, (e->count - at) * sizeof *e->keys);
    e->keys[at] = slice_of(copy, key.len);
    e->count++;
    return HOIST_OK;
}

static void take_out(struct killed_env *e, size_t at)
{
    mem_free((void *)e->keys[at].ptr);
    memmove(e->keys + at, e->keys + at + 1, (e->count - at - 1) * sizeof *e->keys);
    e->count--;
}

static void forget(struct killed_env *e)
{
    for (size_t i = 0; i < e->count; i++)
        mem_free((void *)e->keys[i].ptr);
    e->count = 0;
    e->version = 0;
}

/* ------------------------------------------------------------------ looking */

static enum hoist_err read_all(struct killed_env *e, struct store_read *r,
                               const struct store_env *env)
{
    struct slice key = {0}, record;
    enum hoist_err err;
    forget(e);
    while ((err = store_record_next(r, env->id, key, &key, &record)) == HOIST_OK)
        if (is_killed(key, record) && (err = put(e, e->count, key)) != HOIST_OK)
            return err;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err take_edit(struct killed_env *e, const struct edit *edit)
{
    bool there, killed = edit->put && is_killed(edit->key, edit->record);
    size_t at = place_of(e, edit->key, &there);
    if (killed && !there)
        return put(e, at, edit->key);
    if (!killed && there)
        take_out(e, at);
    return HOIST_OK;
}

static enum hoist_err take_change(struct killed_env *e, const struct change *c)
{
    struct edits_reader edits;
    struct edit edit;
    enum hoist_err err = edits_open(c->edits, &edits);
    while (!err && !(err = edits_next(&edits, &edit)))
        err = take_edit(e, &edit);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* ENOTFOUND: the log does not lead from there to the head. */
static enum hoist_err walk(struct killed_env *e, struct store_read *r, const struct store_env *env)
{
    enum hoist_err err = HOIST_OK;
    for (uint64_t v = e->version + 1; !err && v <= env->head; v++) {
        struct change c;
        err = query_change(r, env, v, &c);
        if (!err && memcmp(c.head.prev, e->hash, HASH_SIZE) != 0)
            return HOIST_ENOTFOUND; /* another past than the one that was looked at */
        if (!err && c.head.edits_count > 0)
            err = c.edits.ptr ? take_change(e, &c) : HOIST_ENOTFOUND;
        if (!err)
            memcpy(e->hash, c.hash, HASH_SIZE);
    }
    return err || memcmp(e->hash, env->hash, HASH_SIZE) == 0 ? err : HOIST_ENOTFOUND;
}

static struct killed_env *env_of(struct killed *k, const char *name)
{
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->envs[i].env, name) == 0)
            return &k->envs[i];
    if (k->count == k->cap) {
        struct killed_env *grown = mem_grow(k->envs, &k->cap, 4, sizeof *grown);
        if (!grown)
            return NULL;
        k->envs = grown;
    }
    struct killed_env *e = &k->envs[k->count++];
    *e = (struct killed_env){0};
    snprintf(e->env, sizeof e->env, "%s", name);
    return e;
}

enum hoist_err killed_look(struct killed *k, struct store_read *r, const struct store_env *env,
                           const struct killed_env **ret)
{
    struct killed_env *e = env_of(k, env->name);
    if (!e)
        return err_set(HOIST_ENOMEM, "out of memory");
    bool follows = e->version > 0 && e->version <= env->head && env->head - e->version <= WALK_MAX;
    enum hoist_err err = follows ? walk(e, r, env) : HOIST_ENOTFOUND;
    if (err == HOIST_ENOTFOUND)
        err = read_all(e, r, env);
    if (err) {
        forget(e);
        return err;
    }
    e->version = env->head;
    memcpy(e->hash, env->hash, HASH_SIZE);
    *ret = e;
    return HOIST_OK;
}

void killed_done(struct killed *k)
{
    for (size_t i = 0; i < k->count; i++) {
        forget(&k->envs[i]);
        mem_free(k->envs[i].keys);
    }
    mem_free(k->envs);
    *k = (struct killed){0};
}
