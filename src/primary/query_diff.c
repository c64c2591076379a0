/* The question diff: what lies between two versions. */
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
    const char *name = query_str(args, "env", &ok);
    uint64_t from = query_u64(args, "from", 0, &ok), to = query_u64(args, "to", 0, &ok);
    if (!ok)
        return query_bad_args(out, "diff");
    if (!query_env(r, name, &env, out, &exit))
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
