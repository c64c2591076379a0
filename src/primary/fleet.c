#include "primary/fleet.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "primary/fleet_int.h"

enum {
    WARN_MS = 60000,  /* between two log lines about one host */
    WARN_LINES = 20,  /* in that time about all hosts: names can be made up */
    SHOW_PIECE = 256, /* hosts shown before those that want to tell their status get a turn */
    NEAR_EDITS = 2,
    NEAR_ID_MAX = 64, /* comparing longer ids takes long, and a person types none */
};

enum hoist_err fleet_new(struct fleet **ret)
{
    struct fleet *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    pthread_mutex_init(&f->lock, NULL);
    f->room = FLEET_HOSTS_MAX;
    f->warn_from_ms = FLEET_NEVER;
    f->propagation = metric_series(METRIC_HISTOGRAM, "hoist_propagation_duration_seconds",
                                   "Time from a commit until one live host reported it.", "",
                                   fleet_landing_buckets);
    set_back_begin(f);
    *ret = f;
    return HOIST_OK;
}

const char *fleet_state_name(enum fleet_state state)
{
    static const char *const names[FLEET_STATES] = {"current", "behind", "silent", "refusing"};
    return names[state];
}

static void host_free(struct fleet *f, struct host *h)
{
    host_free_told(f, h);
    mem_free((void *)h->id.ptr);
    mem_free((void *)h->via.ptr);
    mem_free(h->said);
    mem_free(h);
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->host_count; i++)
        host_free(f, f->hosts[i]);
    for (uint32_t i = 0; i < f->gone_count; i++)
        mem_free((void *)f->gone[i].ptr);
    mem_free(f->hosts);
    mem_free(f->known);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

bool fleet_grow(void **array, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap)
        return true;
    uint32_t more = *cap ? *cap * 2 : 8;
    void *grown = mem_realloc(*array, more * size);
    if (!grown)
        return false;
    *array = grown;
    *cap = more;
    return true;
}

/* ------------------------------------------------------------------ hosts */

uint32_t host_place(const struct fleet *f, struct slice id, bool *ret_there)
{
    uint32_t low = 0, high = f->host_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = slice_cmp(f->hosts[mid]->id, id);
        if (order == 0) {
            *ret_there = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_there = false;
    return low;
}

struct host *host_find(const struct fleet *f, struct slice id)
{
    bool there;
    uint32_t at = host_place(f, id, &there);
    return there ? f->hosts[at] : NULL;
}

bool host_is_live(const struct host *h, int64_t mono_ms)
{
    return mono_ms - h->heard_ms <= FLEET_SILENT_MS;
}

static void take_out(struct fleet *f, uint32_t at)
{
    landings_forget(f, f->hosts[at]);
    host_free(f, f->hosts[at]);
    memmove(f->hosts + at, f->hosts + at + 1, (f->host_count - at - 1) * sizeof *f->hosts);
    f->host_count--;
}

void fleet_set_room(struct fleet *f, uint32_t hosts)
{
    f->room = hosts;
}

void fleet_sign_with(struct fleet *f, const struct sign_key *key)
{
    f->key = key;
}

/* The one of a few, drawn at random, that was silent longest: to look at all would cost too much for
 * every word of a host that has no place. Its row in the store goes, too. False: as many rows wait to
 * be deleted as can. */
static bool forget_a_silent_one(struct fleet *f)
{
    enum { DRAWS = 64 };
    uint32_t oldest = (uint32_t)hash_random_below(f->host_count);
    for (int i = 1; i < DRAWS; i++) {
        uint32_t at = (uint32_t)hash_random_below(f->host_count);
        if (f->hosts[at]->heard_ms < f->hosts[oldest]->heard_ms)
            oldest = at;
    }
    struct slice id = f->hosts[oldest]->id;
    char *copy = f->gone_count < FLEET_GONE_MAX ? mem_dup(id) : NULL;
    if (!copy)
        return false;
    f->gone[f->gone_count++] = slice_of(copy, id.len);
    take_out(f, oldest);
    return true;
}

static struct host *host_new(struct slice id)
{
    struct host *h = mem_zalloc(1, sizeof *h);
    char *copy = mem_dup(id);
    if (!h || !copy) {
        mem_free(h);
        mem_free(copy);
        return NULL;
    }
    h->id = slice_of(copy, id.len);
    h->twins_ms = h->warned_ms = FLEET_NEVER;
    h->edition = 1;
    return h;
}

struct host *host_get(struct fleet *f, struct slice id)
{
    bool there;
    uint32_t at = host_place(f, id, &there);
    if (there)
        return f->hosts[at];
    if (f->host_count >= f->room) {
        if (!forget_a_silent_one(f))
            return NULL;
        at = host_place(f, id, &there);
    }
    void *array = f->hosts;
    if (!fleet_grow(&array, f->host_count, &f->host_cap, sizeof *f->hosts))
        return NULL;
    f->hosts = array;
    struct host *h = host_new(id);
    if (!h)
        return NULL;
    memmove(f->hosts + at + 1, f->hosts + at, (f->host_count - at) * sizeof *f->hosts);
    f->hosts[at] = h;
    f->host_count++;
    return h;
}

/* ------------------------------------------------------------------ hearing */

/* Whether the log may speak of hosts again; then it does. */
static bool may_warn_at_all(struct fleet *f, int64_t mono_ms)
{
    if (f->warn_from_ms == FLEET_NEVER || mono_ms - f->warn_from_ms >= WARN_MS) {
        if (f->warn_count > WARN_LINES)
            log_warn("primary: %u lines about other hosts were left out; flagctl fleet shows what "
                     "each host says",
                     f->warn_count - WARN_LINES);
        f->warn_from_ms = mono_ms;
        f->warn_count = 0;
    }
    return f->warn_count++ < WARN_LINES;
}

/* Likewise of this host. */
static bool may_warn(struct fleet *f, struct host *h, int64_t mono_ms)
{
    if (h->warned_ms != FLEET_NEVER && mono_ms - h->warned_ms < WARN_MS)
        return false;
    h->warned_ms = mono_ms;
    return may_warn_at_all(f, mono_ms);
}

/* A host draws its incarnation at its start, so none comes back after another was seen: unless two
 * take turns. */
static void look_for_twins(struct fleet *f, struct host *h, uint64_t incarnation, int64_t mono_ms)
{
    if (h->heard && incarnation == h->incarnation)
        return;
    if (h->heard && incarnation == h->earlier) {
        h->twins_ms = mono_ms;
        if (may_warn(f, h, mono_ms))
            log_warn("primary: two hosts call themselves '%.*s', and only one of them is counted; "
                     "give each an id of its own (hoistd agent --id)",
                     SLICE_ARG(h->id));
    }
    h->earlier = h->incarnation;
    h->incarnation = incarnation;
}

/* Once for each set of refusals, and a minute after the last word about this host at the soonest.
 */
static void warn_of_refusal(struct fleet *f, struct host *h, int64_t mono_ms)
{
    if (h->refusal_count == 0 || h->refusals_logged || !may_warn(f, h, mono_ms))
        return;
    h->refusals_logged = true;
    const struct refusal *p = &h->refusals[0];
    if (p->key.len)
        log_warn("primary: host '%.*s' holds flag '%.*s' of %.*s back since version %ju (%.*s); it "
                 "serves the last good one and takes everything else",
                 SLICE_ARG(h->id), SLICE_ARG(p->key), SLICE_ARG(p->env), (uintmax_t)p->version,
                 SLICE_ARG(p->why));
    else
        log_warn("primary: host '%.*s' refuses version %ju of %.*s: %.*s", SLICE_ARG(h->id),
                 (uintmax_t)p->version, SLICE_ARG(p->env), SLICE_ARG(p->why));
}

/* It left one relay for another, or for this primary, and what it told the first comes last. */
static bool is_overtaken(const struct host *h, const struct told_host *told, int64_t heard_ms)
{
    return h->heard && told_is_older(heard_ms, h->heard_ms, slice_eq(h->via, told->via));
}

void fleet_heard(struct fleet *f, struct store_read *r, const struct told_host *told,
                 int64_t mono_ns)
{
    int64_t mono_ms = mono_ns / FLEET_NS, heard_ms = mono_ms - told->age_ms;
    pthread_mutex_lock(&f->lock);
    struct host *h = host_get(f, told->status.id);
    if (h && !is_overtaken(h, told, heard_ms) && host_take_via(h, told->via) &&
        host_take(f, h, r, &told->status, told->whole, true, mono_ns)) {
        look_for_twins(f, h, told->status.incarnation, mono_ms);
        h->heard = true;
        h->heard_ms = heard_ms;
        h->silence_saved = false;
        landings_heard(f, h, mono_ns);
        warn_of_refusal(f, h, mono_ms);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ looking */

static int64_t seen_ms(const struct host *h, int64_t mono_ms)
{
    int64_t since = h->heard ? mono_ms - h->heard_ms : clock_wall_ms() - h->heard_wall_ms;
    return since > 0 ? since : 0;
}

static uint64_t lag_of(const struct said *said, const struct store_env *env)
{
    if (said->epoch != env->epoch)
        return env->head; /* another history: nothing of this one */
    return said->version < env->head ? env->head - said->version : 0;
}

static struct fleet_host show_of(const struct host *h, const struct said *said,
                                 const struct store_env *env, int64_t mono_ms)
{
    bool behind = said->behind_since_ms != FLEET_NEVER && mono_ms > said->behind_since_ms;
    return (struct fleet_host){
        .id = h->id,
        .software = h->software,
        .via = h->via,
        .labels = h->labels,
        .label_count = h->label_count,
        .state = said_state(h, said, env, mono_ms),
        .epoch = said->epoch,
        .version = said->version,
        .lag = lag_of(said, env),
        .behind_ms = behind ? mono_ms - said->behind_since_ms : 0,
        .seen_ms = seen_ms(h, mono_ms),
        .duplicate = h->twins_ms != FLEET_NEVER && mono_ms - h->twins_ms <= FLEET_SILENT_MS,
        .refusals = h->refusals,
        .refusal_count = h->refusal_count,
    };
}

/* From the `at`-th host on, up to SHOW_PIECE; the id of the last one is copied, since whoever is
 * waiting for the lock may change where it stands. */
static uint32_t show_piece(struct fleet *f, uint32_t at, const struct store_env *env,
                           int64_t mono_ms, void (*show)(void *arg, const struct fleet_host *host),
                           void *arg)
{
    uint32_t end = at + SHOW_PIECE < f->host_count ? at + SHOW_PIECE : f->host_count;
    for (; at < end; at++) {
        const struct said *said = said_of(f->hosts[at], env->name);
        if (!said)
            continue;
        struct fleet_host shown = show_of(f->hosts[at], said, env, mono_ms);
        show(arg, &shown);
    }
    return end;
}

void fleet_each(struct fleet *f, const struct store_env *env,
                void (*show)(void *arg, const struct fleet_host *host), void *arg)
{
    uint8_t last[FRAME_ID_MAX];
    struct slice after = {last, 0};
    int64_t mono_ms = clock_mono_ms(); /* one for all, so that they can be compared */
    bool more = true;
    while (more) {
        bool there;
        pthread_mutex_lock(&f->lock);
        uint32_t at = host_place(f, after, &there);
        at = show_piece(f, at + there, env, mono_ms, show, arg);
        more = at > 0 && at < f->host_count;
        if (more) {
            after.len = f->hosts[at - 1]->id.len;
            memcpy(last, f->hosts[at - 1]->id.ptr, after.len);
        }
        pthread_mutex_unlock(&f->lock);
    }
}

void fleet_one(struct fleet *f, const struct store_env *env, struct slice id,
               void (*show)(void *arg, const struct fleet_host *host), void *arg)
{
    pthread_mutex_lock(&f->lock);
    const struct host *h = host_find(f, id);
    const struct said *said = h ? said_of(h, env->name) : NULL;
    if (said) {
        struct fleet_host shown = show_of(h, said, env, clock_mono_ms());
        show(arg, &shown);
    }
    pthread_mutex_unlock(&f->lock);
}

void fleet_counts(struct fleet *f, const struct store_env *env, int64_t mono_ms,
                  uint32_t ret[FLEET_STATES])
{
    memset(ret, 0, FLEET_STATES * sizeof *ret);
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->host_count; i++) {
        const struct said *said = said_of(f->hosts[i], env->name);
        if (said)
            ret[said_state(f->hosts[i], said, env, mono_ms)]++;
    }
    pthread_mutex_unlock(&f->lock);
}

bool fleet_has(struct fleet *f, struct slice id)
{
    pthread_mutex_lock(&f->lock);
    bool has = host_find(f, id) != NULL;
    pthread_mutex_unlock(&f->lock);
    return has;
}

bool fleet_near(struct fleet *f, struct slice id, char ret[FRAME_ID_MAX + 1])
{
    bool found = false;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->host_count && !found && id.len <= NEAR_ID_MAX; i++) {
        struct slice known = f->hosts[i]->id;
        found = known.len <= NEAR_ID_MAX && text_distance(known, id, NEAR_EDITS) <= NEAR_EDITS;
        if (found) {
            memcpy(ret, known.ptr, known.len);
            ret[known.len] = '\0';
        }
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool fleet_next_silent(struct fleet *f, struct slice after, int64_t silent_ms,
                       char ret[FRAME_ID_MAX + 1])
{
    bool there, found = false;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = host_place(f, after, &there) + there; i < f->host_count && !found; i++) {
        struct slice id = f->hosts[i]->id;
        found = seen_ms(f->hosts[i], now_ms) >= silent_ms;
        if (found) {
            memcpy(ret, id.ptr, id.len);
            ret[id.len] = '\0';
        }
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

void fleet_retire(struct fleet *f, struct slice id)
{
    bool there;
    pthread_mutex_lock(&f->lock);
    uint32_t at = host_place(f, id, &there);
    if (there)
        take_out(f, at);
    pthread_mutex_unlock(&f->lock);
}
