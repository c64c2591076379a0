#include "primary/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "flag/peaks.h"
#include "wire/record.h"

enum {
    ENV_SMALL = 1000, /* up to so many flags an environment may grow as it likes */
    EDITS_BYTES_MAX = CHANGE_BYTES_MAX - (64 << 10), /* leaves room for the header */
};

void plan_begin(struct plan *p, struct store_read *r, const struct store_env *env)
{
    *p = (struct plan){.r = r, .env = env, .scratch = BUF_INIT(FLAG_RECORD_MAX)};
}

void plan_done(struct plan *p)
{
    mem_free(p->items);
    mem_free(p->kept.keys);
    mem_free(p->dropped.keys);
    arena_done(&p->arena);
    buf_done(&p->scratch);
}

enum hoist_err plan_name(struct plan_names *n, struct slice key)
{
    if (n->count == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 16;
        struct slice *grown = mem_realloc(n->keys, cap * sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        n->keys = grown;
        n->cap = cap;
    }
    n->keys[n->count++] = key;
    return HOIST_OK;
}

static enum hoist_err item_add(struct plan *p, const struct plan_item *item)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct plan_item *grown = mem_realloc(p->items, cap * sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        p->items = grown;
        p->cap = cap;
    }
    p->items[p->count++] = *item;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ what is there */

enum hoist_err plan_decode(struct slice key, struct slice record, struct flag **ret)
{
    struct record_info info;
    struct flag *f;
    enum hoist_err err = record_decode(key, record, &f, &info);
    if (err != HOIST_OK)
        return err_prefix(err, "flag '%.*s'", SLICE_ARG(key));
    if (info.newer) {
        flag_free(f);
        return err_set(HOIST_EVERSION,
                       "flag '%.*s' is a record of version %u.%u with parts that this primary, "
                       "which writes %d.%d, does not know: it would lose them",
                       SLICE_ARG(key), info.major, info.minor, RECORD_MAJOR, RECORD_MINOR);
    }
    *ret = f;
    return HOIST_OK;
}

enum hoist_err plan_present(struct plan *p, struct slice key, struct flag **ret)
{
    struct slice record;
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &record);
    if (err == HOIST_ENOTFOUND) {
        *ret = NULL;
        return HOIST_OK;
    }
    return err == HOIST_OK ? plan_decode(key, record, ret) : err;
}

enum hoist_err plan_deleted_override(struct plan *p, struct slice key, struct slice *ret)
{
    uint64_t version;
    struct slice record;
    struct flag *f;
    *ret = (struct slice){0};
    enum hoist_err err = HOIST_ENOTFOUND;
    for (uint64_t v = p->env->head; err == HOIST_ENOTFOUND; v = version - 1) {
        /* A rollback may have left it as it was, not there. */
        if (store_touched(p->r, p->env->id, key, v, &version) != HOIST_OK || version == 0)
            return HOIST_OK;
        err = store_record_at(p->r, p->env->id, key, version - 1, &record);
    }
    if (err != HOIST_OK || record_decode(key, record, &f, NULL) != HOIST_OK)
        return HOIST_OK;
    if (f->override != FLAG_NO_VARIANT) {
        *ret = f->variants[f->override].name;
        err = arena_own(&p->arena, ret);
    }
    flag_free(f);
    return err;
}

/* ------------------------------------------------------------------ one flag */

static bool lost_a_variant(const struct flag *old, const struct flag *new)
{
    for (uint32_t i = 0; i < old->variant_count; i++)
        if (flag_variant(new, old->variants[i].name) == FLAG_NO_VARIANT)
            return true;
    return false;
}

/* The override of `old` stays, under its variant's name. */
static enum hoist_err keep_override(struct plan *p, const struct flag *old, struct flag *want,
                                    struct slice key)
{
    if (old->override == FLAG_NO_VARIANT)
        return HOIST_OK;
    struct slice name = old->variants[old->override].name;
    int32_t kept = flag_variant(want, name);
    if (kept == FLAG_NO_VARIANT)
        return err_set(
            HOIST_EINVAL,
            "flag '%.*s' is overridden to '%.*s', a variant that it would no longer have",
            SLICE_ARG(key), SLICE_ARG(name));
    want->override = kept;
    return plan_name(&p->kept, key);
}

static enum hoist_err keep_deleted_override(struct plan *p, struct flag *want, struct slice key)
{
    struct slice name;
    enum hoist_err err = plan_deleted_override(p, key, &name);
    if (err != HOIST_OK || name.len == 0)
        return err;
    int32_t kept = flag_variant(want, name);
    if (kept == FLAG_NO_VARIANT)
        return plan_name(&p->dropped, key);
    want->override = kept;
    return plan_name(&p->kept, key);
}

/* The record of `want` as a copy of the plan's. */
static enum hoist_err encode(struct plan *p, const struct flag *want, struct slice *ret)
{
    buf_clear(&p->scratch);
    enum hoist_err err = record_encode(want, &p->scratch);
    if (err != HOIST_OK)
        return err_prefix(err, "flag '%.*s'", SLICE_ARG(want->key));
    *ret = buf_slice(&p->scratch);
    return arena_own(&p->arena, ret);
}

enum hoist_err plan_put(struct plan *p, struct flag *want)
{
    struct plan_item item = {.what = PLAN_CREATE, .key = want->key};
    struct flag *old = NULL;
    enum hoist_err err = arena_own(&p->arena, &item.key);
    if (err != HOIST_OK)
        return err;
    err = store_record_get(p->r, p->env->id, item.key, &item.before);
    if (err == HOIST_OK) {
        item.what = PLAN_CHANGE;
        err = plan_decode(item.key, item.before, &old);
        if (err == HOIST_OK)
            err = keep_override(p, old, want, item.key);
    } else if (err == HOIST_ENOTFOUND) {
        err = keep_deleted_override(p, want, item.key);
    }
    if (err != HOIST_OK)
        goto out;
    if (old && flag_equal(old, want))
        goto out;
    err = encode(p, want, &item.record);
    if (err != HOIST_OK)
        goto out;
    flag_peaks_note(want);
    item.requires = want->requires_count > 0;
    item.lost_variant = old && lost_a_variant(old, want);
    err = item_add(p, &item);
out:
    flag_free(old);
    return err;
}

enum hoist_err plan_delete(struct plan *p, struct slice key)
{
    struct plan_item item = {.what = PLAN_DELETE, .key = key};
    enum hoist_err err = arena_own(&p->arena, &item.key);
    if (err == HOIST_OK)
        err = store_record_get(p->r, p->env->id, item.key, &item.before);
    if (err != HOIST_OK)
        return err;
    struct flag *old;
    if (record_decode(item.key, item.before, &old, NULL) == HOIST_OK) {
        if (old->override != FLAG_NO_VARIANT)
            err = plan_name(&p->kept, item.key);
        flag_free(old);
    }
    return err == HOIST_OK ? item_add(p, &item) : err;
}

enum hoist_err plan_record(struct plan *p, struct slice key, const struct slice *record)
{
    struct plan_item item = {.what = PLAN_CHANGE, .key = key};
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &item.before);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    bool there = err == HOIST_OK;
    if (there ? record && slice_eq(*record, item.before) : !record)
        return HOIST_OK;
    if (record)
        item.record = *record;
    item.what = !record ? PLAN_DELETE : there ? PLAN_CHANGE : PLAN_CREATE;
    err = arena_own(&p->arena, &item.key);
    if (err == HOIST_OK && record)
        err = arena_own(&p->arena, &item.record);
    return err == HOIST_OK ? item_add(p, &item) : err;
}

static bool is_too_large(const struct plan *p, uint64_t edits_len)
{
    return edits_len > EDITS_BYTES_MAX || p->count > CHANGE_EDITS_MAX;
}

/* How many flags and bytes there will be. */
static void sum_up(const struct plan *p, uint64_t *ret_flags, uint64_t *ret_bytes,
                   uint64_t *ret_edits_len)
{
    uint64_t flags = p->env->flags, bytes = p->env->bytes, edits = 16;
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_item *item = &p->items[i];
        edits += item->key.len + item->record.len + 16;
        if (item->what == PLAN_CHANGE || item->what == PLAN_DELETE) {
            flags--;
            bytes -= item->key.len + item->before.len;
        }
        if (item->what == PLAN_CHANGE || item->what == PLAN_CREATE) {
            flags++;
            bytes += item->key.len + item->record.len;
        }
    }
    *ret_flags = flags;
    *ret_bytes = bytes;
    *ret_edits_len = edits;
}

static enum hoist_err add_same(struct plan *p, struct slice key)
{
    struct plan_item item = {.what = PLAN_SAME, .key = key};
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &item.before);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err;
    item.record = item.before;
    err = arena_own(&p->arena, &item.key);
    if (err == HOIST_OK && item.record.len)
        err = arena_own(&p->arena, &item.record);
    return err == HOIST_OK ? item_add(p, &item) : err;
}

enum hoist_err plan_same(struct plan *p, const struct plan_names *keys)
{
    uint64_t flags, bytes, edits_len;
    size_t planned = p->count;
    for (size_t i = 0; i < keys->count; i++) {
        enum hoist_err err = add_same(p, keys->keys[i]);
        if (err != HOIST_OK)
            return err;
    }
    sum_up(p, &flags, &bytes, &edits_len);
    if (is_too_large(p, edits_len))
        p->count = planned;
    return HOIST_OK;
}

bool plan_has(const struct plan *p, struct slice key)
{
    for (size_t i = 0; i < p->count; i++)
        if (slice_eq(p->items[i].key, key))
            return true;
    return false;
}

/* ------------------------------------------------------------------ the whole */

static int by_key(const void *a, const void *b)
{
    const struct plan_item *x = a, *y = b;
    return slice_cmp(x->key, y->key);
}

const struct plan_item *plan_find(const struct plan *p, struct slice key)
{
    struct plan_item wanted = {.key = key};
    return p->count ? bsearch(&wanted, p->items, p->count, sizeof *p->items, by_key) : NULL;
}

static enum hoist_err check_limits(const struct plan *p, bool force, char *ret_mend,
                                   size_t mend_size)
{
    uint64_t flags, bytes, edits_len;
    sum_up(p, &flags, &bytes, &edits_len);
    if (is_too_large(p, edits_len)) {
        snprintf(ret_mend, mend_size, "split it: several files, one after the other");
        return err_set(HOIST_ELIMIT,
                       "this change is %" PRIu64 " MiB in %zu edits: %d MiB and %d edits at most",
                       edits_len >> 20, p->count, CHANGE_BYTES_MAX >> 20, CHANGE_EDITS_MAX);
    }
    uint64_t most = store_env_flags_max(p->r);
    if (flags > most && flags > p->env->flags) {
        snprintf(
            ret_mend, mend_size,
            "delete flags that nobody reads any more, or raise --env-flags here and at every host");
        return err_set(HOIST_ELIMIT, "%s would have %" PRIu64 " flags: %" PRIu64 " at most",
                       p->env->name, flags, most);
    }
    if (force || p->env->flags <= ENV_SMALL)
        return HOIST_OK;
    if (flags > 2 * p->env->flags || bytes > 2 * p->env->bytes) {
        snprintf(ret_mend, mend_size, "--force, if that is meant");
        return err_set(HOIST_ELIMIT,
                       "this would more than double %s: from %" PRIu64 " flags and %" PRIu64
                       " bytes to %" PRIu64 " and %" PRIu64,
                       p->env->name, p->env->flags, p->env->bytes, flags, bytes);
    }
    return HOIST_OK;
}

void plan_sort(struct plan *p)
{
    if (p->count > 1)
        qsort(p->items, p->count, sizeof *p->items, by_key);
}

enum hoist_err plan_check(struct plan *p, bool force, char *ret_mend, size_t mend_size)
{
    plan_sort(p);
    enum hoist_err err = check_limits(p, force, ret_mend, mend_size);
    return err == HOIST_OK ? plan_check_requires(p, ret_mend, mend_size) : err;
}

enum hoist_err plan_edits(const struct plan *p, struct buf *out)
{
    edits_begin(out, (uint32_t)p->count);
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].record.len)
            edits_put(out, p->items[i].key, p->items[i].record);
        else
            edits_delete(out, p->items[i].key);
    }
    return buf_err(out);
}
