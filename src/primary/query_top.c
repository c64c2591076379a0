#include "primary/query_top.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "primary/query_int.h"
#include "wire/record.h"

enum { HOSTS_DEFAULT = 20, CHANGES_DEFAULT = 5, KILLED_DEFAULT = 5, KILL_SOUGHT_MAX = 16 };

bool top_is_question(struct slice name)
{
    return slice_eq(name, SLICE("top"));
}

struct top {
    struct killed *killed;
    struct fleet *fleet;
    struct store_read *r;
    struct json_writer *w;
    struct store_env env;
    int64_t now_ms; /* wall */
    const char *sort;
    uint64_t skip, hosts, changes, kills; /* as many of each, at most */
};

/* ------------------------------------------------------------------ which hosts */

struct place { /* a host, as far as its order needs it */
    uint64_t lag;
    int64_t behind_ms, seen_ms;
    bool current;
    char id[FRAME_ID_MAX + 1];
};

/* The first `wanted` hosts of an order, without keeping the others: in twice the room, sorted and cut
 * whenever that is full. */
struct ranking {
    int (*order)(const void *a, const void *b);
    struct place *places;
    size_t wanted, count;
};

static int by_id(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int descending(int64_t a, int64_t b)
{
    return (a < b) - (a > b);
}

static int by_lag(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->current != y->current)
        return x->current - y->current;
    int order = descending((int64_t)x->lag, (int64_t)y->lag);
    if (order == 0)
        order = descending(x->behind_ms, y->behind_ms);
    return order ? order : by_id(a, b);
}

static int by_silence(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = descending(x->seen_ms, y->seen_ms);
    return order ? order : by_id(a, b);
}

static void cut(struct ranking *k)
{
    qsort(k->places, k->count, sizeof *k->places, k->order);
    if (k->count > k->wanted)
        k->count = k->wanted;
}

static void rank(struct ranking *k, const struct fleet_host *h)
{
    if (k->wanted == 0)
        return;
    if (k->count == 2 * k->wanted)
        cut(k);
    struct place *p = &k->places[k->count++];
    p->lag = h->lag;
    p->behind_ms = h->behind_ms;
    p->seen_ms = h->seen_ms;
    p->current = h->state == FLEET_CURRENT;
    memcpy(p->id, h->id.ptr, h->id.len);
    p->id[h->id.len] = '\0';
}

/* ------------------------------------------------------------------ environments */

struct sum { /* of the hosts of an environment */
    uint32_t counts[FLEET_STATES], hosts;
    uint64_t lag;          /* the worst of those that are heard, */
    int64_t behind_ms;     /* and the longest */
    struct ranking *ranks; /* NULL: their order is not asked for */
};

static void add_host(void *arg, const struct fleet_host *h)
{
    struct sum *s = arg;
    s->counts[h->state]++;
    s->hosts++;
    if (h->state != FLEET_SILENT && h->lag > s->lag)
        s->lag = h->lag;
    if (h->state != FLEET_SILENT && h->behind_ms > s->behind_ms)
        s->behind_ms = h->behind_ms;
    if (s->ranks)
        rank(s->ranks, h);
}

static bool is_since(const struct top *t, const struct store_env *env, uint64_t version,
                     int64_t since_ms)
{
    struct change c;
    return query_change(t->r, env, version, &c) == HOIST_OK && c.head.time_ms >= since_ms;
}

/* How many changes there were since a time: sought from the head in growing steps, so that it costs the
 * logarithm of their number. */
static uint64_t changes_since(const struct top *t, const struct store_env *env, int64_t since_ms)
{
    if (env->head == 0 || env->time_ms < since_ms)
        return 0;
    uint64_t since = env->head, before = 0; /* `before` is not since then, or 0: no version */
    for (uint64_t step = 1; step < since; step *= 2) {
        if (!is_since(t, env, since - step, since_ms)) {
            before = since - step;
            break;
        }
        since -= step;
    }
    while (since - before > 1) {
        uint64_t mid = before + (since - before) / 2;
        if (is_since(t, env, mid, since_ms))
            since = mid;
        else
            before = mid;
    }
    return env->head - since + 1;
}

static void put_u64(struct json_writer *w, const char *name, uint64_t value)
{
    json_key(w, name);
    json_put_u64(w, value);
}

static void put_slice(struct json_writer *w, const char *name, struct slice text)
{
    json_key(w, name);
    json_put_slice(w, text);
}

static void put_counts(struct json_writer *w, const struct sum *s)
{
    json_key(w, "counts");
    json_object_begin(w);
    for (int i = 0; i < FLEET_STATES; i++)
        put_u64(w, fleet_state_name(i), s->counts[i]);
    json_object_end(w);
}

static enum hoist_err put_env(struct top *t, const struct store_env *env, struct sum *s)
{
    struct json_writer *w = t->w;
    const struct killed_env *killed;
    enum hoist_err err = killed_look(t->killed, t->r, env, &killed);
    if (err)
        return err;
    fleet_each(t->fleet, env, add_host, s);
    json_object_begin(w);
    put_slice(w, "env", slice_str(env->name));
    json_key(w, "epoch");
    json_put_hex64(w, env->epoch);
    put_u64(w, "head", env->head);
    put_u64(w, "flags", env->flags);
    put_counts(w, s);
    put_u64(w, "lag", s->lag);
    put_u64(w, "behind_ms", (uint64_t)s->behind_ms);
    put_u64(w, "changes_10s", changes_since(t, env, t->now_ms - 10000));
    put_u64(w, "changes_60s", changes_since(t, env, t->now_ms - 60000));
    put_u64(w, "killed", killed->count);
    json_object_end(w);
    return HOIST_OK;
}

/* Those that are named first, and the one that is asked about, whose hosts are ranked. */
static enum hoist_err put_envs(struct top *t, struct ranking *ranks, uint32_t *ret_hosts)
{
    struct store_env env;
    uint32_t n = 0;
    enum hoist_err err = HOIST_OK;
    json_key(t->w, "environments");
    json_array_begin(t->w);
    for (; !err && store_env_at(t->r, n, &env) == HOIST_OK; n++) {
        bool asked = env.id == t->env.id;
        struct sum s = {.ranks = asked ? ranks : NULL};
        if (n >= TOP_ENVS_MAX && !asked)
            continue;
        err = put_env(t, &env, &s);
        if (asked)
            *ret_hosts = s.hosts;
    }
    json_array_end(t->w);
    put_u64(t->w, "environments_count", n);
    return err;
}

/* ------------------------------------------------------------------ hosts */

static void put_host(void *arg, const struct fleet_host *h)
{
    const struct top *t = arg;
    struct json_writer *w = t->w;
    json_object_begin(w);
    put_slice(w, "id", h->id);
    put_slice(w, "state", slice_str(fleet_state_name(h->state)));
    put_u64(w, "version", h->version);
    put_u64(w, "lag", h->lag);
    put_u64(w, "behind_ms", (uint64_t)h->behind_ms);
    put_u64(w, "last_seen_ms", (uint64_t)h->seen_ms);
    put_slice(w, "via", h->via);
    put_slice(w, "software", h->software);
    for (uint32_t i = 0; i < h->refusal_count; i++)
        if (slice_eq(h->refusals[i].env, slice_str(t->env.name))) {
            put_slice(w, "refuses", h->refusals[i].key);
            put_slice(w, "why", h->refusals[i].why);
            break;
        }
    json_object_end(w);
}

/* Where there are fewer the last ones are shown. */
static void put_hosts(struct top *t, struct ranking *k, uint32_t count)
{
    cut(k);
    if (t->skip + t->hosts > k->count)
        t->skip = k->count > t->hosts ? k->count - t->hosts : 0;
    put_u64(t->w, "hosts_count", count);
    put_u64(t->w, "skip", t->skip);
    json_key(t->w, "hosts");
    json_array_begin(t->w);
    for (size_t i = t->skip; i < k->count && i < t->skip + t->hosts; i++)
        fleet_one(t->fleet, &t->env, slice_str(k->places[i].id), put_host, t);
    json_array_end(t->w);
}

/* ------------------------------------------------------------------ changes */

static void put_keys(struct json_writer *w, const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    json_key(w, "keys");
    json_array_begin(w);
    if (c->edits.ptr && edits_open(c->edits, &edits) == HOIST_OK)
        for (int i = 0; i < TOP_KEYS_MAX && edits_next(&edits, &e) == HOIST_OK; i++)
            json_put_slice(w, e.key);
    json_array_end(w);
    put_u64(w, "edits_count", c->head.edits_count);
}

static void put_said(struct json_writer *w, const struct change *c)
{
    put_u64(w, "version", c->head.version);
    json_key(w, "time");
    json_put_time(w, c->head.time_ms);
    put_slice(w, "author", c->head.author);
    put_slice(w, "message", c->head.message);
}

static void put_changes(const struct top *t)
{
    struct change c;
    json_key(t->w, "changes");
    json_array_begin(t->w);
    for (uint64_t i = 0; i < t->changes && i < t->env.head; i++) {
        if (query_change(t->r, &t->env, t->env.head - i, &c) != HOIST_OK)
            break;
        json_object_begin(t->w);
        put_said(t->w, &c);
        put_slice(t->w, "kind", slice_str(change_kind_name(c.head.kind)));
        put_keys(t->w, &c);
        json_object_end(t->w);
    }
    json_array_end(t->w);
}

/* ------------------------------------------------------------------ what is killed */

/* By whom and when, as far as the log tells: the newest kill among the last changes of the flag. */
static void put_kill(const struct top *t, struct slice key)
{
    uint64_t at = t->env.head;
    struct change c;
    for (int i = 0; i < KILL_SOUGHT_MAX && at > 0; i++, at--) {
        if (store_touched(t->r, t->env.id, key, at, &at) != HOIST_OK ||
            query_change(t->r, &t->env, at, &c) != HOIST_OK)
            return;
        if (c.head.kind == CHANGE_KILL) {
            put_said(t->w, &c);
            return;
        }
    }
}

static void put_killed_flag(const struct top *t, struct slice key)
{
    struct slice record;
    struct flag *f;
    if (store_record_get(t->r, t->env.id, key, &record) != HOIST_OK ||
        record_decode(key, record, &f, NULL) != HOIST_OK)
        return;
    json_object_begin(t->w);
    put_slice(t->w, "key", key);
    if (f->override != FLAG_NO_VARIANT)
        put_slice(t->w, "variant", f->variants[f->override].name);
    put_kill(t, key);
    json_object_end(t->w);
    flag_free(f);
}

static enum hoist_err put_killed(const struct top *t)
{
    const struct killed_env *killed;
    enum hoist_err err = killed_look(t->killed, t->r, &t->env, &killed);
    if (err)
        return err;
    put_u64(t->w, "killed_count", killed->count);
    json_key(t->w, "killed");
    json_array_begin(t->w);
    for (size_t i = 0; i < killed->count && i < t->kills; i++)
        put_killed_flag(t, killed->keys[i]);
    json_array_end(t->w);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ all of it */

static enum hoist_err put_all(struct top *t, struct ranking *ranks)
{
    uint32_t hosts = 0;
    json_object_begin(t->w);
    put_slice(t->w, "env", slice_str(t->env.name));
    json_key(t->w, "epoch");
    json_put_hex64(t->w, t->env.epoch);
    put_u64(t->w, "head", t->env.head);
    json_key(t->w, "time");
    json_put_time(t->w, t->now_ms);
    enum hoist_err err = put_envs(t, ranks, &hosts);
    if (err)
        return err;
    put_slice(t->w, "sort", slice_str(t->sort));
    put_hosts(t, ranks, hosts);
    put_changes(t);
    err = put_killed(t);
    json_object_end(t->w);
    return err;
}

static uint64_t number(const json_t *args, const char *name, uint64_t absent, uint64_t most,
                       bool *ok)
{
    uint64_t n = query_u64(args, name, absent, ok);
    return n < most ? n : most;
}

/* False: an argument is none. */
static bool read_args(struct top *t, const json_t *args, struct ranking *k)
{
    static const struct {
        const char *name;
        int (*order)(const void *a, const void *b);
    } orders[] = {{"lag", by_lag}, {"silence", by_silence}, {"name", by_id}};
    bool ok = true;
    const char *sort = query_str(args, "sort", &ok);
    t->sort = sort ? sort : orders[0].name;
    t->skip = number(args, "skip", 0, TOP_SKIP_MAX, &ok);
    t->hosts = number(args, "hosts", HOSTS_DEFAULT, TOP_HOSTS_MAX, &ok);
    t->changes = number(args, "changes", CHANGES_DEFAULT, TOP_CHANGES_MAX, &ok);
    t->kills = number(args, "killed", KILLED_DEFAULT, TOP_KILLED_MAX, &ok);
    k->wanted = t->skip + t->hosts;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].name, t->sort) == 0)
            k->order = orders[i].order;
    return ok && k->order;
}

uint32_t top_answer(struct killed *k, struct fleet *f, struct store_read *r, const json_t *args,
                    struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    struct top t = {.killed = k, .fleet = f, .r = r, .w = &w, .now_ms = clock_wall_ms()};
    struct ranking ranks = {0};
    uint32_t exit = EXIT_DONE;
    bool ok = read_args(&t, args, &ranks);
    buf_clear(out);
    if (!query_env_of(r, args, ok, "top", &t.env, out, &exit))
        return exit;
    ranks.places = mem_zalloc(2 * ranks.wanted + 1, sizeof *ranks.places);
    enum hoist_err err =
        ranks.places ? put_all(&t, &ranks) : err_set(HOIST_ENOMEM, "out of memory");
    mem_free(ranks.places);
    return err ? query_fail(out, err, NULL) : query_done(out, exit);
}
