/* Questions about changes: log, history, show. */
#include <inttypes.h>
#include <stdio.h>

#include "primary/query_int.h"

enum {
    LIMIT_DEFAULT = 20,
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
    enum hoist_err err = store_record_at(r, env->id, e->key, version - 1, &before);
    if (err == HOIST_OK)
        query_put_record(w, e->key, before);
    else
        json_put_null(w);
    json_key(w, "after");
    if (e->put)
        query_put_record(w, e->key, e->record);
    else
        json_put_null(w);
    if (e->put ? err == HOIST_OK && slice_eq(before, e->record) : err == HOIST_ENOTFOUND) {
        json_key(w, "same"); /* a rollback found it so */
        json_put_bool(w, true);
    }
    json_object_end(w);
}

/* `only`, unless empty: no other flag's. */
static void put_edits(struct json_writer *w, struct store_read *r, const struct store_env *env,
                      const struct change *c, struct slice only)
{
    struct edits_reader edits;
    struct edit e;
    uint32_t shown = 0;
    json_key(w, "edits_count");
    json_put_u64(w, c->head.edits_count);
    json_key(w, "edits");
    json_array_begin(w);
    if (c->edits.ptr && edits_open(c->edits, &edits) == HOIST_OK)
        while (shown < QUERY_EDITS_SHOWN && edits_next(&edits, &e) == HOIST_OK) {
            if (only.len && !slice_eq(only, e.key))
                continue;
            put_edit(w, r, env, c->head.version, &e);
            shown++;
        }
    json_array_end(w);
}

static void put_members(struct json_writer *w, struct store_read *r, const struct store_env *env,
                        const struct change *c, struct slice only)
{
    query_put_header(w, c);
    json_key(w, "request");
    json_put_hex(w, slice_of(c->head.request, REQUEST_ID_SIZE));
    put_edits(w, r, env, c, only);
}

enum hoist_err query_change(struct store_read *r, const struct store_env *env, uint64_t v,
                            struct change *ret)
{
    struct slice bytes;
    enum hoist_err err = store_log_get(r, env->id, v, &bytes);
    return err ? err : change_decode(bytes, ret);
}

/* ------------------------------------------------------------------ log and history */

struct wanted {                /* which changes */
    struct slice author, flag; /* empty: any */
    int64_t from_ms;
    uint64_t limit;
};

static bool is_wanted(const struct wanted *x, const struct change *c)
{
    return c->head.time_ms >= x->from_ms &&
           (x->author.len == 0 || slice_eq(x->author, c->head.author)) &&
           (x->flag.len == 0 || change_touches(c, x->flag));
}

/* The next version to look at below `v`: with a flag, the one that touched it. 0: none. */
static uint64_t older(struct store_read *r, const struct store_env *env, const struct wanted *x,
                      uint64_t v)
{
    uint64_t version = v - 1;
    if (x->flag.len && store_touched(r, env->id, x->flag, v - 1, &version) != HOIST_OK)
        return 0;
    return version;
}

/* The version for which there was no room any more; 0: there was for all. */
static uint64_t put_changes(struct json_writer *w, struct store_read *r,
                            const struct store_env *env, uint64_t newest, uint64_t oldest,
                            const struct wanted *x)
{
    bool more = false;
    uint64_t shown = 0, cut = 0;
    json_key(w, "changes");
    json_array_begin(w);
    for (uint64_t v = older(r, env, x, newest + 1); v >= oldest && v > 0; v = older(r, env, x, v)) {
        struct change c;
        if (query_change(r, env, v, &c) != HOIST_OK)
            break;
        if (!is_wanted(x, &c))
            continue;
        if (w->out->len > LOG_BYTES_MAX)
            cut = v;
        if (cut || shown++ == x->limit) {
            more = true;
            break;
        }
        json_object_begin(w);
        put_members(w, r, env, &c, x->flag);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, "more");
    json_put_bool(w, more);
    return cut;
}

static uint64_t put_log(struct json_writer *w, struct store_read *r, const struct store_env *env,
                        uint64_t newest, uint64_t oldest, const struct wanted *x)
{
    json_object_begin(w);
    json_key(w, "env");
    json_put_str(w, env->name);
    json_key(w, "epoch");
    json_put_hex64(w, env->epoch);
    json_key(w, "head");
    json_put_u64(w, env->head);
    json_key(w, "first");
    json_put_u64(w, env->log_first);
    uint64_t cut = put_changes(w, r, env, newest, oldest, x);
    json_object_end(w);
    return cut;
}

/* With "since" (a version) the first ones behind it: who watches must not miss any. Without, the
 * newest of all, down to "from" (a version) and "from_ms" (a time). Either way the newest stands
 * first. */
uint32_t query_log(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    struct wanted x = {.author = slice_str(query_str(args, "author", &ok)),
                       .flag = slice_str(query_str(args, "flag", &ok)),
                       .from_ms = (int64_t)query_u64(args, "from_ms", 0, &ok),
                       .limit = query_u64(args, "limit", LIMIT_DEFAULT, &ok)};
    uint64_t since = query_u64(args, "since", UINT64_MAX, &ok);
    uint64_t from = query_u64(args, "from", 1, &ok);
    if (!query_env_of(r, args, ok, "log", &env, out, &exit))
        return exit;
    uint64_t newest = env.head, oldest = env.log_first ? env.log_first : 1;
    if (since != UINT64_MAX) {
        if (since + 1 > oldest)
            oldest = since + 1;
        if (newest >= oldest && newest - oldest >= x.limit)
            newest = oldest + x.limit - 1;
    } else if (from > oldest) {
        oldest = from;
    }
    struct json_writer w = JSON_WRITER(out, 0);
    uint64_t cut = put_log(&w, r, &env, newest, oldest, &x);
    while (cut && since != UINT64_MAX) { /* the newest are left for the next time, not the oldest */
        newest = oldest + (newest - cut) - 1;
        buf_clear(out);
        w = JSON_WRITER(out, 0);
        cut = put_log(&w, r, &env, newest, oldest, &x);
    }
    return query_done(out, EXIT_DONE);
}

uint32_t query_history(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *name = query_str(args, "env", &ok);
    struct wanted x = {.flag = slice_str(query_str(args, "key", &ok)),
                       .limit = query_u64(args, "limit", LIMIT_DEFAULT, &ok)};
    struct slice record;
    if (!ok || flag_key_check(x.flag) != HOIST_OK)
        return query_bad_args(out, "history");
    if (!query_env(r, name, &env, out, &exit))
        return exit;
    if (older(r, &env, &x, env.head + 1) == 0 &&
        store_record_get(r, env.id, x.flag, &record) == HOIST_ENOTFOUND)
        return query_no_flag(r, &env, x.flag, out);
    struct json_writer w = JSON_WRITER(out, 0);
    (void)put_log(&w, r, &env, env.head, 1, &x);
    return query_done(out, EXIT_DONE);
}

/* ------------------------------------------------------------------ show */

uint32_t query_no_version(const struct store_env *env, const char *at, uint64_t version,
                          uint64_t least, struct buf *out)
{
    char mend[128];
    snprintf(mend, sizeof mend, "give one from %" PRIu64 " to %" PRIu64, least, env->head);
    return query_error(out, EXIT_INPUT, "input", at, mend, NULL,
                       "version %" PRIu64 " of %s is not known here", version, env->name);
}

uint32_t query_show(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    struct change c;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    uint64_t version = query_u64(args, "version", 0, &ok);
    if (!query_env_of(r, args, ok, "show", &env, out, &exit))
        return exit;
    if (version == 0 || query_change(r, &env, version, &c) != HOIST_OK)
        return query_no_version(&env, "version", version, env.log_first ? env.log_first : 1, out);
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    put_members(&w, r, &env, &c, (struct slice){0});
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}
