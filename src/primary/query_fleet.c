#include "primary/query_fleet.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"
#include "primary/query_int.h"

bool fleet_is_question(struct slice name)
{
    return slice_eq(name, SLICE("fleet")) || slice_eq(name, SLICE("wait"));
}

static uint32_t bad_args(struct buf *out, const char *question)
{
    return query_error(out, EXIT_INPUT, "input", NULL, NULL, NULL,
                       "an argument of '%s' is not of the type it has to be", question);
}

/* ------------------------------------------------------------------ fleet */

struct listing {
    struct json_writer *w;
    const struct store_env *env;
    const json_t *labels; /* only hosts that have all of these; or NULL */
    bool behind;          /* only hosts that are not current */
    uint32_t counts[FLEET_STATES];
};

static bool has_label(const struct fleet_host *h, const char *name, const char *value)
{
    for (uint32_t i = 0; i < h->label_count; i++)
        if (slice_eq(h->labels[i].name, slice_str(name)))
            return slice_eq(h->labels[i].value, slice_str(value));
    return false;
}

static bool has_labels(const struct fleet_host *h, const json_t *labels)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)labels, name, value)
    {
        if (!has_label(h, name, json_string_value(value)))
            return false;
    }
    return true;
}

static void put_labels(struct json_writer *w, const struct fleet_host *h)
{
    json_key(w, "labels");
    json_object_begin(w);
    for (uint32_t i = 0; i < h->label_count; i++) {
        json_key_slice(w, h->labels[i].name);
        json_put_slice(w, h->labels[i].value);
    }
    json_object_end(w);
}

static void put_refused(struct json_writer *w, const struct fleet_host *h, const char *env)
{
    json_key(w, "refused");
    json_array_begin(w);
    for (uint32_t i = 0; i < h->refusal_count; i++) {
        const struct refusal *p = &h->refusals[i];
        if (!slice_eq(p->env, slice_str(env)))
            continue;
        json_object_begin(w);
        json_key(w, "key");
        json_put_slice(w, p->key);
        json_key(w, "version");
        json_put_u64(w, p->version);
        json_key(w, "why");
        json_put_slice(w, p->why);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_host(void *arg, const struct fleet_host *h)
{
    struct listing *l = arg;
    struct json_writer *w = l->w;
    if (l->labels && !has_labels(h, l->labels))
        return;
    l->counts[h->state]++;
    if (l->behind && h->state == FLEET_CURRENT)
        return;
    json_object_begin(w);
    json_key(w, "id");
    json_put_slice(w, h->id);
    put_labels(w, h);
    json_key(w, "via");
    json_put_slice(w, h->via);
    json_key(w, "software");
    json_put_slice(w, h->software);
    json_key(w, "state");
    json_put_str(w, fleet_state_name(h->state));
    json_key(w, "epoch");
    json_put_hex64(w, h->epoch);
    json_key(w, "version");
    json_put_u64(w, h->version);
    json_key(w, "lag");
    json_put_u64(w, h->lag);
    json_key(w, "behind_ms");
    json_put_i64(w, h->behind_ms);
    json_key(w, "last_seen_ms");
    json_put_i64(w, h->seen_ms);
    json_key(w, "duplicate");
    json_put_bool(w, h->duplicate);
    put_refused(w, h, l->env->name);
    json_object_end(w);
}

static void put_counts(struct json_writer *w, const uint32_t counts[FLEET_STATES])
{
    json_key(w, "counts");
    json_object_begin(w);
    for (int i = 0; i < FLEET_STATES; i++) {
        json_key(w, fleet_state_name(i));
        json_put_u64(w, counts[i]);
    }
    json_object_end(w);
}

static bool read_filter(const json_t *args, struct listing *l)
{
    const json_t *behind = json_object_get(args, "behind");
    const char *name;
    json_t *value;
    l->labels = json_object_get(args, "labels");
    l->behind = json_is_true(behind);
    if ((behind && !json_is_boolean(behind)) || (l->labels && !json_is_object(l->labels)))
        return false;
    json_object_foreach((json_t *)l->labels, name, value)
    {
        if (!json_is_string(value))
            return false;
    }
    return true;
}

static uint32_t answer_fleet(struct fleet *f, struct store_read *r, const json_t *args,
                             struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    struct store_env env;
    struct listing l = {.w = &w, .env = &env};
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *name = query_str(args, "env", &ok);
    if (!ok || !read_filter(args, &l))
        return bad_args(out, "fleet");
    if (!query_env(r, name, &env, out, &exit))
        return exit;
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    json_key(&w, "epoch");
    json_put_hex64(&w, env.epoch);
    json_key(&w, "head");
    json_put_u64(&w, env.head);
    json_key(&w, "hosts");
    json_array_begin(&w);
    fleet_each(f, &env, put_host, &l);
    json_array_end(&w);
    put_counts(&w, l.counts); /* of all that the labels choose, also of those not listed */
    json_object_end(&w);
    return query_done(out, EXIT_DONE);
}

/* ------------------------------------------------------------------ wait */

static void put_landing(struct json_writer *w, const struct fleet_landing *l)
{
    json_object_begin(w);
    json_key(w, "reached");
    json_put_bool(w, l->reached);
    json_key(w, "ms");
    json_put_number(w, (double)(l->ns / 1000) / 1000);
    json_key(w, "hosts");
    json_put_u64(w, l->hosts);
    json_key(w, "have");
    json_put_u64(w, l->have);
    query_put_names(w, "missing", l->missing, l->missing_count);
    query_put_names(w, "silent", l->silent, l->silent_count);
    json_object_end(w);
}

/* A version of an epoch that is over is had by whoever is in a later one. */
static bool is_committed(const struct store_env *env, uint64_t epoch, uint64_t version)
{
    return epoch < env->epoch || (epoch == env->epoch && version <= env->head);
}

static uint32_t answer_wait(struct fleet *f, struct store_read *r, const json_t *args,
                            const void *asker, struct buf *out)
{
    struct store_env env;
    struct arena arena = {0};
    struct fleet_landing landing;
    uint8_t epoch[8];
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    const char *name = query_str(args, "env", &ok), *epoch_text = query_str(args, "epoch", &ok);
    uint64_t version = query_u64(args, "version", 0, &ok);
    uint64_t percent = query_u64(args, "percent", 100, &ok);
    if (!ok || !epoch_text || version == 0 || percent < 1 || percent > 100 ||
        text_unhex(slice_str(epoch_text), epoch, sizeof epoch) != HOIST_OK)
        return bad_args(out, "wait");
    if (!query_env(r, name, &env, out, &exit))
        return exit;
    struct fleet_commit c = {
        .env = env.name, .epoch = be64_read(epoch), .first = version, .version = version};
    struct fleet_wait wait = {.percent = (uint32_t)percent, .asker = asker};
    if (!is_committed(&env, c.epoch, version))
        return query_error(out, EXIT_INPUT, "input", "version", NULL, NULL,
                           "version %" PRIu64 " of %s, epoch %s, is not here: the head is %" PRIu64
                           " of %016" PRIx64,
                           version, env.name, epoch_text, env.head, env.epoch);
    enum hoist_err err = fleet_landing(f, &c, &wait, clock_mono_ns(), &arena, &landing);
    if (err == HOIST_OK) {
        struct json_writer w = JSON_WRITER(out, 0);
        put_landing(&w, &landing);
        exit = query_done(out, EXIT_DONE);
    } else {
        exit = query_fail(out, err, "try again when they are done");
    }
    arena_done(&arena);
    return exit;
}

uint32_t fleet_answer(struct fleet *f, struct store_read *r, struct slice name, const json_t *args,
                      const void *asker, struct buf *out)
{
    buf_clear(out);
    return slice_eq(name, SLICE("fleet")) ? answer_fleet(f, r, args, out)
                                          : answer_wait(f, r, args, asker, out);
}
