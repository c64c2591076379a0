/* Questions about access: access_list, access_denied. */
#include "access/grants.h"
#include "primary/query_int.h"

enum { DENIED_SHOWN = 100 };

static void put_roles(struct json_writer *w, const struct access_subject *s)
{
    json_key(w, "roles");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->given_count; i++) {
        const struct access_given *given = &s->given[i];
        json_object_begin(w);
        json_key(w, "role");
        json_put_str(w, access_role_name(given->role));
        query_put_names(w, "envs", given->envs, given->env_count);
        query_put_names(w, "prefixes", given->prefixes, given->prefix_count);
        json_object_end(w);
    }
    json_array_end(w);
}

/* A token's hash is nobody's business. */
static void put_subject(struct json_writer *w, const struct access_subject *s)
{
    json_object_begin(w);
    json_key(w, "name");
    json_put_slice(w, s->name);
    if (s->has_key) {
        json_key(w, "key");
        json_put_hex(w, slice_of(s->key, sizeof s->key));
    }
    if (s->has_uid) {
        json_key(w, "uid");
        json_put_u64(w, s->uid);
    }
    if (s->expires_ms) {
        json_key(w, "expires");
        json_put_time(w, s->expires_ms);
    }
    put_roles(w, s);
    json_object_end(w);
}

static void put_subjects(struct json_writer *w, const char *name, const struct grants *g,
                         bool tokens)
{
    json_key(w, name);
    json_array_begin(w);
    for (uint32_t i = 0; i < g->count; i++)
        if (g->subjects[i].is_token == tokens)
            put_subject(w, &g->subjects[i]);
    json_array_end(w);
}

uint32_t query_access_list(struct store_read *r, const json_t *args, struct buf *out)
{
    struct grants g = {0};
    struct json_writer w = JSON_WRITER(out, 0);
    (void)args;
    enum hoist_err err = grants_load(&g, r);
    if (err != HOIST_OK) {
        grants_done(&g);
        return query_fail(out, err, NULL);
    }
    json_object_begin(&w);
    json_key(&w, "granted");
    json_put_bool(&w, g.any);
    put_subjects(&w, "grants", &g, false);
    put_subjects(&w, "tokens", &g, true);
    json_object_end(&w);
    grants_done(&g);
    return query_done(out, EXIT_DONE);
}

uint32_t query_access_denied(struct store_read *r, const json_t *args, struct buf *out)
{
    bool ok = true;
    uint64_t limit = query_u64(args, "limit", DENIED_SHOWN, &ok), at = UINT64_MAX;
    struct slice row;
    struct json_writer w = JSON_WRITER(out, 0);
    enum hoist_err err = HOIST_OK;
    if (!ok)
        return query_bad_args(out, "access_denied");
    json_object_begin(&w);
    json_key(&w, "denied");
    json_array_begin(&w);
    for (uint64_t i = 0; i < limit; i++) {
        err = store_denial_before(r, at, &at, &row);
        if (err != HOIST_OK)
            break;
        json_put_raw(&w, row);
    }
    json_array_end(&w);
    json_object_end(&w);
    return err == HOIST_OK || err == HOIST_ENOTFOUND ? query_done(out, EXIT_DONE)
                                                     : query_fail(out, err, NULL);
}
