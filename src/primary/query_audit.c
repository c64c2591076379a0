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

uint32_t query_audit(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    uint64_t after = query_u64(args, "after", 0, &ok);
    if (!query_env_of(r, args, ok, "audit", &env, out, &exit))
        return exit;
    uint64_t v = env.log_first > after + 1 ? env.log_first : after + 1, shown = 0;
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
    for (; v <= env.head && shown < PAGE_CHANGES && out->len < PAGE_BYTES; v++, shown++) {
        struct slice bytes;
        struct change c;
        enum hoist_err err = store_log_get(r, env.id, v, &bytes);
        if (err == HOIST_ENOTFOUND)
            continue; /* a hole, which the chain will show */
        if (err)
            return query_fail(out, err, NULL);
        if (change_decode(bytes, &c) == HOIST_OK)
            put_line(&w, &c);
        else
            put_unreadable(&w, v, bytes);
    }
    json_array_end(&w);
    json_key(&w, "more");
    json_put_bool(&w, v <= env.head);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}
