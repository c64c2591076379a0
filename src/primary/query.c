#include "primary/query.h"

#include "base/mem.h"
#include "primary/env_about.h"
#include "primary/query_int.h"
#include "wire/record.h"
#include "wire/statement.h"

static const struct question {
    const char *name;
    uint32_t (*answer)(struct store_read *r, const json_t *args, struct buf *out);
} questions[] = {
    {"eval", query_eval},
    {"get", query_get},
    {"is", query_is_on},
    {"list", query_list},
    {"export", query_export},
    {"log", query_log},
    {"history", query_history},
    {"show", query_show},
    {"diff", query_diff},
    {"audit", query_audit},
    {"env_diff", query_env_diff},
    {"env_show", query_env_show},
    {"usage", query_usage},
    {"stale", query_stale},
    {"envs", query_envs},
    {"access_list", query_access_list},
    {"access_denied", query_access_denied},
};

static const struct question *find(struct slice name)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (slice_eq(slice_str(questions[i].name), name))
            return &questions[i];
    return NULL;
}

bool query_is(struct slice name)
{
    return find(name) != NULL;
}

size_t query_count(void)
{
    return sizeof questions / sizeof *questions;
}

uint32_t query_run(struct store_read *r, struct slice name, const json_t *args, struct buf *out)
{
    const struct question *q = find(name);
    if (!q)
        return query_error(out, EXIT_INPUT, "input", NULL, NULL, NULL, "'%.*s' is no question",
                           SLICE_ARG(name));
    buf_clear(out);
    return q->answer(r, args, out);
}

void query_env_names(struct store_read *r, struct buf *names)
{
    struct store_env env;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++) {
        if (n)
            buf_add_str(names, ", ");
        buf_add_str(names, env.name);
    }
}

bool query_env(struct store_read *r, const char *name, struct store_env *ret, struct buf *out,
               uint32_t *ret_exit)
{
    enum hoist_err err = store_env_get(r, name, ret);
    if (err == HOIST_OK)
        return true;
    if (err != HOIST_ENOTFOUND) {
        *ret_exit = query_fail(out, err, NULL);
        return false;
    }
    struct buf names = BUF_INIT(4096);
    query_env_names(r, &names);
    struct buf mend = BUF_INIT(8192);
    if (names.len)
        buf_printf(&mend, "there is: %s", buf_str(&names));
    if (name)
        *ret_exit = query_error(out, EXIT_INPUT, "input", "env", buf_str(&mend), NULL,
                                "no environment '%s' here", name);
    else
        *ret_exit = query_error(out, EXIT_NO_ANSWER, "not-ready", "env", buf_str(&mend), NULL,
                                "this store has not been filled yet");
    buf_done(&names);
    buf_done(&mend);
    return false;
}

bool query_env_of(struct store_read *r, const json_t *args, bool ok, const char *question,
                  struct store_env *ret, struct buf *out, uint32_t *ret_exit)
{
    const char *name = query_str(args, "env", &ok);
    if (ok)
        return query_env(r, name, ret, out, ret_exit);
    *ret_exit = query_bad_args(out, question);
    return false;
}

const char *query_str(const json_t *args, const char *name, bool *ok)
{
    json_t *v = json_object_get(args, name);
    if (!v || json_is_null(v))
        return NULL;
    if (!json_is_string(v))
        *ok = false;
    return json_string_value(v);
}

uint64_t query_u64(const json_t *args, const char *name, uint64_t absent, bool *ok)
{
    json_t *v = json_object_get(args, name);
    if (!v || json_is_null(v))
        return absent;
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        *ok = false;
        return absent;
    }
    return (uint64_t)json_integer_value(v);
}

uint32_t query_bad_args(struct buf *out, const char *question)
{
    return query_error(out, EXIT_INPUT, "input", NULL, NULL, NULL,
                       "an argument of '%s' is not of the type it has to be", question);
}

uint64_t query_first_version(const struct store_env *env)
{
    return env->log_first > 1 ? env->log_first - 1 : 1;
}

uint32_t query_done(struct buf *out, uint32_t exit)
{
    enum hoist_err err = buf_err(out);
    if (err == HOIST_OK)
        return exit;
    return query_error(out, EXIT_GATE, "limit", NULL, "ask for less: a prefix, a smaller limit",
                       NULL, "the answer is %s", err_last());
}

const char *query_type_name(enum hoist_type type)
{
    switch (type) {
    case HOIST_BOOL:
        return "boolean";
    case HOIST_NUMBER:
        return "number";
    case HOIST_STRING:
        return "string";
    case HOIST_OBJECT:
        return "object";
    }
    return "unknown";
}

/* Whose key signed the command; nothing where nobody's did, or that cannot be read. */
static void put_by(struct json_writer *w, const struct change *c)
{
    struct proof proof;
    if (c->head.proof.len == 0 || proof_get(c->head.proof, &proof) != HOIST_OK)
        return;
    json_key(w, "by");
    json_object_begin(w);
    json_key(w, "key");
    json_put_hex(w, proof.key);
    json_object_end(w);
}

void query_put_names(struct json_writer *w, const char *name, const struct slice *names,
                     uint32_t count)
{
    json_key(w, name);
    json_array_begin(w);
    for (uint32_t i = 0; i < count; i++)
        json_put_slice(w, names[i]);
    json_array_end(w);
}

void query_put_header(struct json_writer *w, const struct change *c)
{
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
    if (c->head.restores) {
        json_key(w, "restores");
        json_put_u64(w, c->head.restores);
    }
    put_by(w, c);
    json_key(w, "hash");
    json_put_hex(w, slice_of(c->hash, HASH_SIZE));
    json_key(w, "prev");
    json_put_hex(w, slice_of(c->head.prev, HASH_SIZE));
}

void query_put_record(struct json_writer *w, struct slice key, struct slice record)
{
    struct flag *f = NULL;
    if (record_decode(key, record, &f, NULL) == HOIST_OK)
        json_put_flag(w, f);
    else
        json_put_null(w);
    flag_free(f);
}

/* Its members, into an object that is open. */
static enum hoist_err put_env(struct json_writer *w, struct store_read *r,
                              const struct store_env *env)
{
    struct env_about about;
    enum hoist_err err = env_about_read(r, env->name, &about);
    if (err != HOIST_OK)
        return err;
    json_key(w, "env");
    json_put_str(w, env->name);
    json_key(w, "epoch");
    json_put_hex64(w, env->epoch);
    json_key(w, "version");
    json_put_u64(w, env->head);
    json_key(w, "digest");
    json_put_hex(w, slice_of(env->digest, HASH_SIZE));
    json_key(w, "flags");
    json_put_u64(w, env->flags);
    json_key(w, "bytes");
    json_put_u64(w, env->bytes);
    json_key(w, "time");
    json_put_time(w, env->time_ms);
    env_about_put(w, &about);
    env_about_done(&about);
    return HOIST_OK;
}

uint32_t query_envs(struct store_read *r, const json_t *args, struct buf *out)
{
    (void)args;
    struct json_writer w = JSON_WRITER(out, 0);
    struct store_env env;
    json_object_begin(&w);
    json_key(&w, "environments");
    json_array_begin(&w);
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++) {
        json_object_begin(&w);
        enum hoist_err err = put_env(&w, r, &env);
        if (err != HOIST_OK)
            return query_fail(out, err, NULL);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}

uint32_t query_env_show(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    if (!query_env_of(r, args, true, "env_show", &env, out, &exit))
        return exit;
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    enum hoist_err err = put_env(&w, r, &env);
    if (err != HOIST_OK)
        return query_fail(out, err, NULL);
    json_key(&w, "first");
    json_put_u64(&w, env.log_first);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}
