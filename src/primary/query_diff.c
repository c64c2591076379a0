/* Questions about differences: diff between versions, env_diff between environments. */
#include "primary/query_int.h"
#include "primary/undone.h"

/* The record of `key` at `version`; empty: there was none. */
static enum hoist_err record_then(struct store_read *r, const struct store_env *env,
                                  struct slice key, uint64_t version, struct slice *ret)
{
    *ret = (struct slice){0};
    enum hoist_err err = store_record_at(r, env->id, key, version, ret);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static void put_then(struct json_writer *w, const char *name, struct slice key, struct slice record)
{
    json_key(w, name);
    if (record.ptr)
        query_put_record(w, key, record);
    else
        json_put_null(w);
}

static enum hoist_err put_differences(struct json_writer *w, struct store_read *r,
                                      const struct store_env *env, const struct key_list *keys,
                                      uint64_t from, uint64_t to, uint64_t *ret_count)
{
    uint64_t count = 0;
    json_key(w, "edits");
    json_array_begin(w);
    for (size_t i = 0; i < keys->count; i++) {
        struct slice before, after, key = keys->keys[i];
        enum hoist_err err = record_then(r, env, key, from, &before);
        if (!err)
            err = record_then(r, env, key, to, &after);
        if (err)
            return err;
        if (!before.ptr == !after.ptr && slice_eq(before, after))
            continue;
        if (count++ >= QUERY_EDITS_SHOWN)
            continue;
        json_object_begin(w);
        json_key(w, "key");
        json_put_slice(w, key);
        put_then(w, "before", key, before);
        put_then(w, "after", key, after);
        json_object_end(w);
    }
    json_array_end(w);
    *ret_count = count;
    return HOIST_OK;
}

/* All keys that a change behind `low`, up to `high`, touched. */
static enum hoist_err touched_keys(struct store_read *r, const struct store_env *env, uint64_t low,
                                   uint64_t high, struct key_list *ret)
{
    enum hoist_err err = HOIST_OK;
    for (uint64_t v = low + 1; v <= high && !err; v++) {
        struct change c;
        struct edits_reader edits;
        struct edit e;
        err = query_change(r, env, v, &c);
        if (!err)
            err = edits_open(c.edits, &edits);
        while (!err && (err = edits_next(&edits, &e)) == HOIST_OK)
            err = key_list_add(ret, e.key);
        if (err == HOIST_ENOTFOUND)
            err = HOIST_OK;
    }
    key_list_sort(ret);
    return err;
}

/* What lies between two versions: exit 0 the same, 1 differs. */
uint32_t query_diff(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    uint64_t from = query_u64(args, "from", 0, &ok), to = query_u64(args, "to", 0, &ok);
    if (!query_env_of(r, args, ok, "diff", &env, out, &exit))
        return exit;
    uint64_t least = query_first_version(&env);
    if (from < least || from > env.head)
        return query_no_version(&env, "from", from, least, out);
    if (to < least || to > env.head)
        return query_no_version(&env, "to", to, least, out);

    struct key_list keys = {0};
    uint64_t count = 0;
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    json_key(&w, "epoch");
    json_put_hex64(&w, env.epoch);
    json_key(&w, "from");
    json_put_u64(&w, from);
    json_key(&w, "to");
    json_put_u64(&w, to);
    enum hoist_err err = touched_keys(r, &env, from < to ? from : to, from < to ? to : from, &keys);
    if (!err)
        err = put_differences(&w, r, &env, &keys, from, to, &count);
    key_list_done(&keys);
    if (err)
        return query_fail(out, err, NULL);
    json_key(&w, "edits_count");
    json_put_u64(&w, count);
    json_object_end(&w);
    return query_done(out, count ? EXIT_NO : EXIT_DONE);
}

/* ------------------------------------------------------------------ two environments */

struct side { /* one of them, walked by key */
    const struct store_env *env;
    struct slice key, record;
    bool ended;
};

static enum hoist_err step(struct store_read *r, struct side *s)
{
    enum hoist_err err = store_record_next(r, s->env->id, s->key, &s->key, &s->record);
    s->ended = err == HOIST_ENOTFOUND;
    return s->ended ? HOIST_OK : err;
}

/* Which of the two stands first: < 0 the one, > 0 the other, 0 both at one key. */
static int order(const struct side *a, const struct side *b)
{
    if (a->ended || b->ended)
        return (a->ended ? 1 : 0) - (b->ended ? 1 : 0);
    return slice_cmp(a->key, b->key);
}

static void put_pair(struct json_writer *w, const struct side *a, const struct side *b, int first)
{
    const struct slice none = {0};
    struct slice key = first <= 0 ? a->key : b->key;
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, key);
    put_then(w, "before", key, first <= 0 ? a->record : none);
    put_then(w, "after", key, first >= 0 ? b->record : none);
    json_object_end(w);
}

/* The walk keeps one cursor, so the two sides are searched for in turn. */
static enum hoist_err put_both(struct json_writer *w, struct store_read *r, struct side *a,
                               struct side *b, uint64_t *ret_count)
{
    uint64_t count = 0;
    enum hoist_err err = step(r, a);
    if (!err)
        err = step(r, b);
    json_key(w, "edits");
    json_array_begin(w);
    while (!err && !(a->ended && b->ended)) {
        int first = order(a, b);
        bool same = first == 0 && slice_eq(a->record, b->record);
        if (!same && count++ < QUERY_EDITS_SHOWN)
            put_pair(w, a, b, first);
        if (first <= 0)
            err = step(r, a);
        if (!err && first >= 0)
            err = step(r, b);
    }
    json_array_end(w);
    *ret_count = count;
    return err;
}

/* What `env` would have to become `other`: exit 0 nothing, 1 something. */
uint32_t query_env_diff(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env, other;
    uint32_t exit = EXIT_DONE;
    uint64_t count = 0;
    bool ok = true;
    const char *name = query_str(args, "env", &ok), *than = query_str(args, "other", &ok);
    if (!ok || !than)
        return query_bad_args(out, "env_diff");
    if (!query_env(r, name, &env, out, &exit) || !query_env(r, than, &other, out, &exit))
        return exit;
    struct side a = {.env = &env}, b = {.env = &other};
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    json_key(&w, "version");
    json_put_u64(&w, env.head);
    json_key(&w, "other");
    json_put_str(&w, other.name);
    json_key(&w, "other_version");
    json_put_u64(&w, other.head);
    enum hoist_err err = put_both(&w, r, &a, &b, &count);
    if (err)
        return query_fail(out, err, NULL);
    json_key(&w, "edits_count");
    json_put_u64(&w, count);
    json_object_end(&w);
    return query_done(out, count ? EXIT_NO : EXIT_DONE);
}
