/* The question audit: changes byte for byte, oldest first, in pages. */
#include "primary/query_int.h"

enum { PAGE_CHANGES = 1000, PAGE_BYTES = 32 << 20 };

static void put_line(struct json_writer *w, const struct change *c)
{
    json_object_begin(w);
    json_key(w, "env");
    json_put_slice(w, c->head.env);
    query_put_header(w, c);
    json_key(w, "change");
    json_put_hex(w, c->bytes);
    json_object_end(w);
}

/* What cannot be decoded is given as it is: whoever verifies will say so. */
static void put_unreadable(struct json_writer *w, uint64_t version, struct slice bytes)
{
    json_object_begin(w);
    json_key(w, "version");
    json_put_u64(w, version);
    json_key(w, "change");
    json_put_hex(w, bytes);
    json_object_end(w);
}

/* The changes behind `after`, as many as a page has room for. A hole is left out: the chain will show it. */
static enum hoist_err put_page(struct json_writer *w, struct store_read *r,
                               const struct store_env *env, uint64_t after, bool *ret_more)
{
    struct slice bytes;
    struct change c;
    uint64_t v = after + 1 < env->log_first ? env->log_first - 1 : after;
    uint32_t shown = 0;
    enum hoist_err err;
    while ((err = store_log_next(r, env->id, v, &v, &bytes)) == HOIST_OK && v <= env->head) {
        *ret_more = shown == PAGE_CHANGES || w->out->len >= PAGE_BYTES;
        if (*ret_more)
            break;
        if (change_decode(bytes, &c) == HOIST_OK)
            put_line(w, &c);
        else
            put_unreadable(w, v, bytes);
        shown++;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

uint32_t query_audit(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true, more = false;
    uint64_t after = query_u64(args, "after", 0, &ok);
    if (!query_env_of(r, args, ok, "audit", &env, out, &exit))
        return exit;
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    json_key(&w, "head");
    json_put_u64(&w, env.head);
    json_key(&w, "hash");
    json_put_hex(&w, slice_of(env.hash, HASH_SIZE));
    json_key(&w, "changes");
    json_array_begin(&w);
    enum hoist_err err = put_page(&w, r, &env, after, &more);
    if (err)
        return query_fail(out, err, NULL);
    json_array_end(&w);
    json_key(&w, "more");
    json_put_bool(&w, more);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}
