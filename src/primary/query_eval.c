/* The question `eval`, and evaluating for the other ones. */
#include "primary/query_eval.h"

#include <inttypes.h>

#include "base/clock.h"
#include "client/answer.h"
#include "eval/host.h"
#include "primary/query_int.h"
#include "wire/record.h"

enum { EXPLAIN_MAX = 256 << 10 };

/* ------------------------------------------------------------------ evaluating */

enum hoist_err asker_find(const struct asker *a, struct slice key, struct slice *ret)
{
    if (a->at && a->at < a->env.head)
        return store_record_at(a->r, a->env.id, key, a->at, ret);
    return store_flag_get(a->r, a->env.id, a->env.held > 0, key, ret);
}

static bool yields(void *of, struct slice key, struct slice variant)
{
    struct asker *a = of;
    struct slice record;
    struct flag *f;
    if (a->depth == EVAL_REQUIRES_DEPTH_MAX || a->asked == EVAL_REQUIRES_MAX)
        return false;
    a->asked++;
    if (asker_find(a, key, &record) || record_decode(key, record, &f, NULL))
        return false;
    a->depth++;
    struct eval_result e = asker_eval(a, f, NULL);
    a->depth--;
    bool yes = e.variant != FLAG_NO_VARIANT && slice_eq(f->variants[e.variant].name, variant);
    flag_free(f);
    return yes;
}

/* No deeper than EVAL_REQUIRES_DEPTH_MAX. */
struct eval_result asker_eval(struct asker *a, const struct flag *f, struct buf *explain)
{
    struct rule *rule = NULL;
    struct arena arena = {0};
    struct eval_host host = {0};
    struct slice about;
    struct eval_result e = {.reason = HOIST_ERROR,
                            .code = HOIST_CODE_PARSE_ERROR,
                            .variant = FLAG_NO_VARIANT,
                            .error = "the flag's rule cannot be read by this version of Hoist"};
    enum hoist_err err = rule_new(f->targeting, &rule);
    if (!err && rule_sees(rule) & RULE_SEES_HOST && !store_host_get(a->r, &about))
        err = host_read(about, &arena, &host);
    if (!err) {
        struct eval_ask ask = {.flag = f,
                               .rule = rule,
                               .ctx = a->ctx,
                               .host = &host,
                               .now_s = a->now_s,
                               .yields = yields,
                               .of = a};
        e = explain ? eval_explain(&ask, explain) : eval_flag(&ask);
    }
    rule_free(rule);
    arena_done(&arena);
    return e;
}

/* ------------------------------------------------------------------ the question */

uint64_t query_version_at(struct store_read *r, const struct store_env *env, int64_t time_ms)
{
    uint64_t least = query_first_version(env);
    for (uint64_t v = env->head; v >= least && v > 0; v--) {
        struct change c;
        if (query_change(r, env, v, &c) == HOIST_OK && c.head.time_ms <= time_ms)
            return v;
    }
    return 0;
}

static bool read_version(struct asker *a, const json_t *args, struct buf *out, uint32_t *ret_exit)
{
    const struct store_env *env = &a->env;
    bool ok = true;
    uint64_t least = query_first_version(env), at = query_u64(args, "at", env->head, &ok);
    uint64_t time_ms = query_u64(args, "time_ms", 0, &ok);
    if (!ok) {
        *ret_exit = query_bad_args(out, "eval");
        return false;
    }
    if (time_ms) {
        at = query_version_at(a->r, env, (int64_t)time_ms);
        a->now_s = (int64_t)time_ms / 1000;
    }
    if (time_ms && at == 0) {
        *ret_exit = query_error(out, EXIT_INPUT, "input", "time", "give a later time", NULL,
                                "what %s was then is not known: its log goes back to version "
                                "%" PRIu64 ", which is younger",
                                env->name, least);
        return false;
    }
    if (at != env->head && (at < least || at > env->head)) {
        *ret_exit = query_no_version(env, "at", at, least, out);
        return false;
    }
    a->at = at;
    return true;
}

static void put_answer(struct buf *out, const struct asker *a, const struct flag *f,
                       const struct eval_result *e, struct buf *explained)
{
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    answer_put(&w, &(struct answer_parts){.key = f->key, .flag = f, .result = e});
    json_key(&w, "env");
    json_put_str(&w, a->env.name);
    json_key(&w, "epoch");
    json_put_hex64(&w, a->env.epoch);
    json_key(&w, "version");
    json_put_u64(&w, a->at);
    if (explained) {
        struct slice rest = buf_slice(explained);
        json_key(&w, "explanation");
        json_array_begin(&w);
        for (const uint8_t *end; rest.len && (end = memchr(rest.ptr, '\n', rest.len)) != NULL;) {
            size_t len = (size_t)(end - rest.ptr);
            json_put_slice(&w, slice_of(rest.ptr, len));
            rest = slice_of(end + 1, rest.len - len - 1);
        }
        json_array_end(&w);
    }
    json_object_end(&w);
}

uint32_t query_eval(struct store_read *r, const json_t *args, struct buf *out)
{
    struct hoist_ctx ctx = {0};
    struct asker a = {.r = r, .ctx = &ctx, .now_s = clock_wall_ms() / 1000};
    struct buf explained = BUF_INIT(EXPLAIN_MAX);
    struct slice record;
    struct flag *f = NULL;
    uint32_t exit = EXIT_DONE;
    bool ok = true, explain = json_is_true(json_object_get(args, "explain"));
    struct slice key = slice_str(query_str(args, "key", &ok));
    const char *context = query_str(args, "context", &ok);
    if (!query_env_of(r, args, ok && key.len, "eval", &a.env, out, &exit) ||
        !read_version(&a, args, out, &exit))
        return exit;
    enum hoist_err err = flag_key_check(key);
    if (!err && context) {
        err = ctx_set_json(&ctx, slice_str(context));
        if (err)
            err_prefix(err, "the context");
    }
    if (!err) {
        err = asker_find(&a, key, &record);
        if (err == HOIST_ENOTFOUND) {
            exit = query_no_flag(r, &a.env, key, out);
            goto out;
        }
    }
    if (!err)
        err = record_decode(key, record, &f, NULL);
    if (err) {
        exit = query_fail(out, err, NULL);
        goto out;
    }
    struct eval_result e = asker_eval(&a, f, explain ? &explained : NULL);
    put_answer(out, &a, f, &e, explain ? &explained : NULL);
    exit = query_done(out, e.reason == HOIST_ERROR ? EXIT_NO : EXIT_DONE);
out:
    flag_free(f);
    ctx_done(&ctx);
    buf_done(&explained);
    return exit;
}
