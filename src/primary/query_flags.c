/* Questions about flags: get, is, list, export. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/edit.h"
#include "primary/query_eval.h"
#include "primary/query_int.h"
#include "wire/record.h"

enum { NEAR_FLAGS_MAX = 100000 };

/* Two slips of the pen in a short key make any other: a word of four letters has room for one. */
static int edits_allowed(struct slice key)
{
    enum { NEAR_EDITS = 2, LETTERS_FOR_EACH = 4 };
    size_t room = key.len / LETTERS_FOR_EACH;
    return room < NEAR_EDITS ? (int)room : NEAR_EDITS;
}

struct slice query_near_key(struct store_read *r, const struct store_env *env, struct slice key)
{
    struct slice after = {0}, found, record, near = {0};
    int least = edits_allowed(key) + 1;
    if (env->flags > NEAR_FLAGS_MAX)
        return near;
    while (least > 1 && store_record_next(r, env->id, after, &found, &record) == HOIST_OK) {
        int distance = text_distance(key, found, least);
        if (distance < least) {
            least = distance;
            near = found;
        }
        after = found;
    }
    return near;
}

uint32_t query_no_flag(struct store_read *r, const struct store_env *env, struct slice key,
                       struct buf *out)
{
    struct slice near = query_near_key(r, env, key);
    struct buf mend = BUF_INIT(512);
    if (near.len)
        buf_printf(&mend, "is it '%.*s'?", SLICE_ARG(near));
    uint32_t exit = query_error(out, EXIT_NO, "not-found", NULL, buf_str(&mend), NULL,
                                "no flag '%.*s' in %s", SLICE_ARG(key), env->name);
    buf_done(&mend);
    return exit;
}

/* The flag that `args` names, decoded, to be freed; or NULL with the answer given. */
static struct flag *get_flag(struct store_read *r, const json_t *args, const char *question,
                             struct store_env *ret_env, struct asker *ret_asker, struct buf *out,
                             uint32_t *ret_exit)
{
    bool ok = true;
    const char *env = query_str(args, "env", &ok);
    const char *key = query_str(args, "key", &ok);
    if (!ok || !key) {
        *ret_exit = query_bad_args(out, question);
        return NULL;
    }
    if (!query_env(r, env, ret_env, out, ret_exit))
        return NULL;
    if (flag_key_check(slice_str(key)) != HOIST_OK) {
        *ret_exit = query_fail(out, HOIST_EINVAL, "name a flag by its key");
        return NULL;
    }
    uint64_t at = query_u64(args, "at", ret_env->head, &ok), least = query_first_version(ret_env);
    if (!ok || (at != ret_env->head && (at < least || at > ret_env->head))) {
        *ret_exit =
            ok ? query_no_version(ret_env, "at", at, least, out) : query_bad_args(out, question);
        return NULL;
    }
    struct slice record;
    struct flag *f = NULL;
    *ret_asker = (struct asker){.r = r, .env = *ret_env, .at = at, .now_s = clock_wall_ms() / 1000};
    enum hoist_err err = asker_find(ret_asker, slice_str(key), &record);
    ret_env->head = at; /* what is answered is of that version */
    if (err == HOIST_OK)
        err = record_decode(slice_str(key), record, &f, NULL);
    if (err == HOIST_ENOTFOUND)
        *ret_exit = query_no_flag(r, ret_env, slice_str(key), out);
    else if (err != HOIST_OK)
        *ret_exit = query_fail(out, err, NULL);
    return f;
}

static void put_value(struct json_writer *w, const struct flag *f, const struct eval_result *e)
{
    json_key(w, "value");
    if (e->variant == FLAG_NO_VARIANT)
        json_put_null(w);
    else
        json_put_tree(w, f->variants[e->variant].value);
    json_key(w, "variant");
    if (e->variant == FLAG_NO_VARIANT)
        json_put_null(w);
    else
        json_put_slice(w, f->variants[e->variant].name);
}

/* Who touched the flag last, as far back as the log goes. */
static void put_touched(struct json_writer *w, struct store_read *r, const struct store_env *env,
                        struct slice key, bool who)
{
    uint64_t version;
    struct slice bytes;
    struct change c;
    json_key(w, "touched");
    if (store_touched(r, env->id, key, env->head, &version) != HOIST_OK) {
        json_put_null(w);
        return;
    }
    json_put_u64(w, version);
    if (!who || store_log_get(r, env->id, version, &bytes) != HOIST_OK ||
        change_decode(bytes, &c) != HOIST_OK)
        return;
    json_key(w, "author");
    json_put_slice(w, c.head.author);
    json_key(w, "time");
    json_put_time(w, c.head.time_ms);
}

static void put_where(struct json_writer *w, const struct store_env *env)
{
    json_key(w, "env");
    json_put_str(w, env->name);
    json_key(w, "epoch");
    json_put_hex64(w, env->epoch);
    json_key(w, "version");
    json_put_u64(w, env->head);
}

uint32_t query_get(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    struct asker asker;
    uint32_t exit = EXIT_DONE;
    struct flag *f = get_flag(r, args, "get", &env, &asker, out, &exit);
    if (!f)
        return exit;
    struct eval_result e = asker_eval(&asker, f, NULL);
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    put_where(&w, &env);
    json_key(&w, "key");
    json_put_slice(&w, f->key);
    put_touched(&w, r, &env, f->key, true);
    json_key(&w, "definition");
    json_put_flag(&w, f);
    put_value(&w, f, &e);
    json_key(&w, "reason");
    json_put_str(&w, hoist_reason_name(e.reason));
    if (e.reason == HOIST_ERROR) {
        json_key(&w, "code");
        json_put_str(&w, hoist_code_name(e.code));
        json_key(&w, "why");
        json_put_str(&w, e.error);
    }
    json_object_end(&w);
    flag_free(f);
    return query_done(out, EXIT_DONE);
}

/* Whether who asks (by `context`; without one, nobody in particular) gets the variant, or without
 * one, true. */
uint32_t query_is_on(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    struct asker asker;
    struct hoist_ctx ctx = {0};
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *want = query_str(args, "variant", &ok), *context = query_str(args, "context", &ok);
    if (!ok)
        return query_bad_args(out, "is");
    struct flag *f = get_flag(r, args, "is", &env, &asker, out, &exit);
    if (!f)
        return exit;
    if (context && ctx_set_json(&ctx, slice_str(context)) != HOIST_OK) {
        exit = query_fail(out, err_prefix(HOIST_EINVAL, "the context"), NULL);
        goto out;
    }
    if (!want && f->type != HOIST_BOOL) {
        exit = query_error(out, EXIT_INPUT, "input", NULL, "name the variant: is KEY VARIANT", NULL,
                           "flag '%.*s' is a %s, neither on nor off", SLICE_ARG(f->key),
                           query_type_name(f->type));
        goto out;
    }
    if (want && flag_variant(f, slice_str(want)) == FLAG_NO_VARIANT) {
        exit = query_error(out, EXIT_INPUT, "input", NULL, "see them by: get KEY --json", NULL,
                           "flag '%.*s' has no variant '%s'", SLICE_ARG(f->key), want);
        goto out;
    }
    asker.ctx = &ctx;
    struct eval_result e = asker_eval(&asker, f, NULL);
    bool yes = false;
    if (e.variant != FLAG_NO_VARIANT && want)
        yes = slice_eq(f->variants[e.variant].name, slice_str(want));
    else if (e.variant != FLAG_NO_VARIANT)
        yes = f->variants[e.variant].value.nodes[0].kind == NODE_TRUE;
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    put_where(&w, &env);
    json_key(&w, "key");
    json_put_slice(&w, f->key);
    json_key(&w, "is");
    json_put_bool(&w, yes);
    put_value(&w, f, &e);
    json_key(&w, "reason");
    json_put_str(&w, hoist_reason_name(e.reason));
    json_object_end(&w);
    exit = query_done(out, yes ? EXIT_DONE : EXIT_NO);
out:
    ctx_done(&ctx);
    flag_free(f);
    return exit;
}

/* The record by which this host evaluates the flag `key`, in place of the one that is there. */
static enum hoist_err take_good(struct store_read *r, const struct store_env *env, struct slice key,
                                struct slice *record)
{
    struct slice good;
    if (env->held == 0)
        return HOIST_OK;
    enum hoist_err found = store_flag_get(r, env->id, true, key, &good);
    if (found == HOIST_OK)
        *record = good;
    return found == HOIST_ENOTFOUND ? HOIST_OK : found;
}

/* The next flag behind `*key` as this host evaluates it. ENOTFOUND behind the last. */
static enum hoist_err next_flag(struct store_read *r, const struct store_env *env,
                                struct slice *key, struct slice *ret_record)
{
    enum hoist_err err = store_record_next(r, env->id, *key, key, ret_record);
    return err == HOIST_OK ? take_good(r, env, *key, ret_record) : err;
}

static void put_listed(struct json_writer *w, struct store_read *r, const struct store_env *env,
                       const struct flag *f)
{
    struct asker asker = {.r = r, .env = *env, .now_s = clock_wall_ms() / 1000};
    struct eval_result e = asker_eval(&asker, f, NULL);
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, f->key);
    json_key(w, "type");
    json_put_str(w, query_type_name(f->type));
    json_key(w, "state");
    json_put_str(w, f->enabled ? "ENABLED" : "DISABLED");
    put_value(w, f, &e);
    json_key(w, "reason");
    json_put_str(w, hoist_reason_name(e.reason));
    json_key(w, "targeting");
    json_put_bool(w, f->targeting.count > 0);
    json_key(w, "override");
    if (f->override == FLAG_NO_VARIANT)
        json_put_null(w);
    else
        json_put_slice(w, f->variants[f->override].name);
    put_touched(w, r, env, f->key, false);
    json_object_end(w);
}

static void put_unreadable(struct json_writer *w, struct slice key)
{
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, key);
    json_key(w, "error");
    json_put_str(w, err_last());
    json_object_end(w);
}

static void put_flag(struct json_writer *w, struct store_read *r, const struct store_env *env,
                     struct slice key, struct slice record)
{
    struct flag *f;
    if (record_decode(key, record, &f, NULL) == HOIST_OK) {
        put_listed(w, r, env, f);
        flag_free(f);
    } else {
        put_unreadable(w, key);
    }
}

/* A key that is the prefix itself stands right before those that it begins. */
static enum hoist_err put_first(struct json_writer *w, struct store_read *r,
                                const struct store_env *env, struct slice prefix)
{
    struct slice record;
    if (prefix.len == 0 || prefix.len > FLAG_KEY_MAX)
        return HOIST_OK;
    enum hoist_err err = store_record_get(r, env->id, prefix, &record);
    if (err == HOIST_OK)
        err = take_good(r, env, prefix, &record);
    if (err == HOIST_OK)
        put_flag(w, r, env, prefix, record);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

uint32_t query_list(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    struct slice prefix = slice_str(query_str(args, "prefix", &ok));
    if (!query_env_of(r, args, ok, "list", &env, out, &exit))
        return exit;
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    put_where(&w, &env);
    json_key(&w, "flags");
    json_array_begin(&w);

    struct slice key = prefix, record;
    enum hoist_err err = put_first(&w, r, &env, prefix);
    while (err == HOIST_OK && buf_err(out) == HOIST_OK && prefix.len <= FLAG_KEY_MAX &&
           (err = next_flag(r, &env, &key, &record)) == HOIST_OK && slice_starts_with(key, prefix))
        put_flag(&w, r, &env, key, record);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return query_fail(out, err, NULL);
    json_array_end(&w);
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}

/* All flags of `env`, to be freed one by one with the array. */
static enum hoist_err all_flags(struct store_read *r, const struct store_env *env,
                                struct flag ***ret, size_t *ret_count)
{
    size_t count = 0, cap = env->flags + 1;
    struct flag **flags = mem_zalloc(cap, sizeof *flags);
    if (!flags)
        return err_set(HOIST_ENOMEM, "out of memory");
    struct slice key = {0}, record;
    enum hoist_err err;
    while ((err = next_flag(r, env, &key, &record)) == HOIST_OK && count < cap) {
        err = record_decode(key, record, &flags[count], NULL);
        if (err != HOIST_OK) {
            err_prefix(err, "flag '%.*s'", SLICE_ARG(key));
            break;
        }
        count++;
    }
    *ret = flags;
    *ret_count = count;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* What of the flags plain flagd cannot say: which, and what became of it. */
static void put_lost(struct json_writer *w, struct flag *const *flags, size_t count)
{
    static const struct {
        unsigned bit;
        const char *field, *why;
    } losses[] = {
        {PLAIN_OVERRIDE, "override", "written as what it yields, without its rule"},
        {PLAIN_REQUIRES, "requires", "left out: flagd knows no requirements"},
        {PLAIN_HOIST, "targeting", "looks at $hoist, which flagd does not fill in"},
    };
    json_key(w, "lost");
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        unsigned lost = flag_make_plain(flags[i]);
        for (size_t k = 0; k < sizeof losses / sizeof *losses; k++) {
            if (!(lost & losses[k].bit))
                continue;
            json_object_begin(w);
            json_key(w, "key");
            json_put_slice(w, flags[i]->key);
            json_key(w, "field");
            json_put_str(w, losses[k].field);
            json_key(w, "why");
            json_put_str(w, losses[k].why);
            json_object_end(w);
        }
    }
    json_array_end(w);
}

/* {"env","epoch","version","file"}: the flag file is a text within, so that its bytes arrive as
 * they were written, wherever it was asked for. */
uint32_t query_export(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *format = query_str(args, "format", &ok);
    if (!query_env_of(r, args, ok, "export", &env, out, &exit))
        return exit;
    if (format && strcmp(format, "flagd") != 0)
        return query_error(out, EXIT_INPUT, "input", NULL,
                           "give flagd, or leave it away for Hoist's own", NULL,
                           "there is no format '%s'", format);
    struct flag **flags = NULL;
    size_t count = 0;
    struct buf file = BUF_INIT(out->max);
    struct json_writer w = JSON_WRITER(out, 0);
    enum hoist_err err = all_flags(r, &env, &flags, &count);
    if (err == HOIST_OK) {
        json_object_begin(&w);
        put_where(&w, &env);
        if (format)
            put_lost(&w, flags, count);
        err = flag_file_write(flags, count, &file);
    }
    if (err == HOIST_OK) {
        json_key(&w, "file");
        json_put_slice(&w, buf_slice(&file));
        json_object_end(&w);
        exit = query_done(out, EXIT_DONE);
    } else {
        buf_clear(out);
        exit = query_fail(out, err, NULL);
    }
    for (size_t i = 0; i < count; i++)
        flag_free(flags[i]);
    mem_free(flags);
    buf_done(&file);
    return exit;
}
