/* The question `log`: changes as they stand in the log, newest first. */
#include "primary/query_int.h"

enum {
    LIMIT_DEFAULT = 20,
    EDITS_SHOWN = 1000,      /* of one change; its edits_count tells of more */
    LOG_BYTES_MAX = 64 << 20 /* then "more" is true */
};

static void put_edit(struct json_writer *w, struct store_read *r, const struct store_env *env,
                     uint64_t version, const struct edit *e)
{
    struct slice before;
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, e->key);
    json_key(w, "before");
    if (store_record_at(r, env->id, e->key, version - 1, &before) == HOIST_OK)
        query_put_record(w, e->key, before);
    else
        json_put_null(w);
    json_key(w, "after");
    if (e->put)
        query_put_record(w, e->key, e->record);
    else
        json_put_null(w);
    json_object_end(w);
}

static void put_edits(struct json_writer *w, struct store_read *r, const struct store_env *env,
                      const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    uint32_t shown = 0;
    json_key(w, "edits_count");
    json_put_u64(w, c->head.edits_count);
    json_key(w, "edits");
    json_array_begin(w);
    if (c->edits.ptr && edits_open(c->edits, &edits) == HOIST_OK)
        while (shown++ < EDITS_SHOWN && edits_next(&edits, &e) == HOIST_OK)
            put_edit(w, r, env, c->head.version, &e);
    json_array_end(w);
}

static void put_change(struct json_writer *w, struct store_read *r, const struct store_env *env,
                       const struct change *c)
{
    json_object_begin(w);
    json_key(w, "version");
    json_put_u64(w, c->head.version);
    json_key(w, "epoch");
    json_put_hex64(w, c->head.epoch);
    json_key(w, "time");
    json_put_time(w, c->head.time_ms);
    json_key(w, "author");
    json_put_slice(w, c->head.author);
    json_key(w, "message");
    json_put_slice(w, c->head.message);
    json_key(w, "kind");
    json_put_str(w, change_kind_name(c->head.kind));
    json_key(w, "request");
    json_put_hex(w, slice_of(c->head.request, REQUEST_ID_SIZE));
    put_edits(w, r, env, c);
    json_key(w, "hash");
    json_put_hex(w, slice_of(c->hash, HASH_SIZE));
    json_key(w, "prev");
    json_put_hex(w, slice_of(c->head.prev, HASH_SIZE));
    json_object_end(w);
}

static void put_changes(struct json_writer *w, struct store_read *r, const struct store_env *env,
                        uint64_t newest, uint64_t oldest)
{
    bool more = false;
    json_key(w, "changes");
    json_array_begin(w);
    for (uint64_t v = newest; v >= oldest && v > 0; v--) {
        struct slice bytes;
        struct change c;
        if (w->out->len > LOG_BYTES_MAX) {
            more = true;
            break;
        }
        if (store_log_get(r, env->id, v, &bytes) != HOIST_OK)
            break;
        if (change_decode(bytes, &c) == HOIST_OK)
            put_change(w, r, env, &c);
    }
    json_array_end(w);
    json_key(w, "more");
    json_put_bool(w, more);
}

uint32_t query_log(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *name = query_str(args, "env", &ok);
    uint64_t limit = query_u64(args, "limit", LIMIT_DEFAULT, &ok);
    uint64_t since = query_u64(args, "since", UINT64_MAX, &ok);
    if (!ok)
        return query_error(out, EXIT_INPUT, "input", NULL, NULL, NULL,
                           "an argument of 'log' is not of the type it has to be");
    if (!query_env(r, name, &env, out, &exit))
        return exit;

    /* Without `since` the newest of all, with it the first ones behind it: who watches must not
     * miss any. Either way the newest stands first. */
    uint64_t newest = env.head, oldest = env.log_first ? env.log_first : 1;
    if (since != UINT64_MAX) {
        if (since + 1 > oldest)
            oldest = since + 1;
        if (newest >= oldest && newest - oldest >= limit)
            newest = oldest + limit - 1;
    } else if (newest >= oldest && newest - oldest >= limit) {
        oldest = newest - limit + 1;
    }

    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    json_key(&w, "epoch");
    json_put_hex64(&w, env.epoch);
    json_key(&w, "head");
    json_put_u64(&w, env.head);
    json_key(&w, "first");
    json_put_u64(&w, env.log_first);
    put_changes(&w, r, &env, newest, oldest);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}
