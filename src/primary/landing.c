/* landing.c - how a commit lands: which live hosts have it already, and when the last one had.
 *
 * FLEET_LANDINGS commits are watched at a time, and one asker leaves some to others. Each is a bit in
 * every host that it waits for, so a status costs a look at the few bits that are set, and a commit one walk over the hosts. When more
 * commits come than can be watched, those that have landed go first, then the oldest that nobody
 * waits for: those are not measured.
 */
#include <stdio.h>
#include <string.h>

#include "primary/fleet_int.h"

const double fleet_landing_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 0};

/* ------------------------------------------------------------------ landing */

static uint64_t bit_of(const struct fleet *f, const struct landing *l)
{
    return (uint64_t)1 << (l - f->landings);
}

static double seconds(int64_t ns)
{
    return ns > 0 ? (double)ns / 1e9 : 0;
}

/* The last live host has it. */
static void measure(const struct landing *l)
{
    if (l->duration)
        metric_observe(l->duration, seconds(l->last_ns - l->commit_ns));
    if (l->since_asked)
        metric_observe(l->since_asked, seconds(l->last_ns - l->asked_ns));
}

/* `h` is not waited for any more: it reported (`ns`), or it left. */
static void settle(struct fleet *f, struct landing *l, struct host *h, bool has, int64_t ns)
{
    h->awaited &= ~bit_of(f, l);
    l->left--;
    if (!has) {
        l->hosts--;
        return;
    }
    l->last_ns = ns;
    metric_observe(f->propagation, seconds(ns - l->commit_ns));
    if (l->left == 0)
        measure(l);
}

void landings_heard(struct fleet *f, struct host *h, int64_t mono_ns)
{
    for (uint64_t left = h->awaited; left; left &= left - 1) {
        struct landing *l = &f->landings[__builtin_ctzll(left)];
        const struct said *said = said_of(h, l->env);
        if (!said || said_has(said, l->epoch, l->version))
            settle(f, l, h, said != NULL, mono_ns);
    }
}

void landings_forget(struct fleet *f, struct host *h)
{
    for (uint64_t left = h->awaited; left; left &= left - 1)
        settle(f, &f->landings[__builtin_ctzll(left)], h, false, 0);
}

/* ------------------------------------------------------------------ beginning */

static bool is_waited_for(const struct landing *l, int64_t mono_ms)
{
    return l->asked_ms != FLEET_NEVER && mono_ms - l->asked_ms <= FLEET_SILENT_MS;
}

/* Whether `l` makes room before `other` does. */
static bool goes_before(const struct landing *l, const struct landing *other)
{
    if (l->used != other->used)
        return !l->used;
    if ((l->left == 0) != (other->left == 0))
        return l->left == 0;
    return l->commit_ns < other->commit_ns;
}

/* NULL: all are waited for. */
static struct landing *find_room(struct fleet *f, int64_t mono_ms)
{
    struct landing *best = NULL;
    for (int i = 0; i < FLEET_LANDINGS; i++) {
        struct landing *l = &f->landings[i];
        if (l->used && is_waited_for(l, mono_ms))
            continue;
        if (!best || goes_before(l, best))
            best = l;
    }
    return best;
}

static void land_on(struct fleet *f, struct landing *l, struct host *h, const struct said *said)
{
    l->hosts++;
    if (!said_has(said, l->epoch, l->version)) {
        h->awaited |= bit_of(f, l);
        l->left++;
    } else if (said->since_ns > l->commit_ns) { /* its report was faster than our own commit's */
        metric_observe(f->propagation, seconds(said->since_ns - l->commit_ns));
        if (said->since_ns > l->last_ns)
            l->last_ns = said->since_ns;
    }
}

/* NULL: there is no room to watch it. Hosts are behind it from here on all the same. */
static struct landing *begin(struct fleet *f, const struct fleet_commit *c, int64_t mono_ns)
{
    int64_t mono_ms = mono_ns / FLEET_NS;
    struct landing *l = find_room(f, mono_ms);
    struct landing begun = {.used = true,
                            .epoch = c->epoch,
                            .first = c->first,
                            .version = c->version,
                            .commit_ns = mono_ns,
                            .last_ns = mono_ns,
                            .asked_ms = FLEET_NEVER,
                            .duration = c->duration,
                            .since_asked = c->since_asked,
                            .asked_ns = c->asked_ns};
    snprintf(begun.env, sizeof begun.env, "%s", c->env);
    if (l)
        *l = begun;
    for (uint32_t i = 0; i < f->host_count; i++) {
        struct host *h = f->hosts[i];
        struct said *said = said_of(h, c->env);
        if (l)
            h->awaited &= ~bit_of(f, l);
        if (!said)
            continue;
        if (said->behind_since_ms == FLEET_NEVER && !said_has(said, c->epoch, c->version))
            said->behind_since_ms = mono_ms;
        if (l && host_is_live(h, mono_ms))
            land_on(f, l, h, said);
    }
    return l;
}

void fleet_committed(struct fleet *f, const struct fleet_commit *c, int64_t mono_ns)
{
    pthread_mutex_lock(&f->lock);
    const struct landing *l = begin(f, c, mono_ns);
    /* All of them reported it before this primary came to look. */
    if (l && l->hosts > 0 && l->left == 0)
        measure(l);
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ asking */

/* The one that covers version `c->version`. */
static struct landing *find(struct fleet *f, const struct fleet_commit *c)
{
    struct landing *best = NULL;
    for (int i = 0; i < FLEET_LANDINGS; i++) {
        struct landing *l = &f->landings[i];
        if (l->used && l->epoch == c->epoch && strcmp(l->env, c->env) == 0 &&
            l->first <= c->version && l->version >= c->version &&
            (!best || l->version < best->version))
            best = l;
    }
    return best;
}

static bool may_wait(const struct fleet *f, const void *asker, int64_t mono_ms)
{
    int waits = 0;
    for (int i = 0; i < FLEET_LANDINGS; i++) {
        const struct landing *l = &f->landings[i];
        waits += l->used && l->asker == asker && is_waited_for(l, mono_ms);
    }
    return waits < FLEET_ASKER_LANDINGS;
}

/* Found, or watched from here on; NULL: there is no room for it. */
static struct landing *find_or_begin(struct fleet *f, const struct fleet_commit *c,
                                     const struct fleet_wait *wait, int64_t mono_ns)
{
    int64_t mono_ms = mono_ns / FLEET_NS;
    struct landing *l = find(f, c);
    bool is_known = l && is_waited_for(l, mono_ms);
    if (!is_known && !may_wait(f, wait->asker, mono_ms))
        return NULL;
    if (!l)
        l = begin(f, c, mono_ns);
    if (l) {
        l->asked_ms = mono_ms;
        l->asker = wait->asker;
    }
    return l;
}

static bool add_name(struct arena *arena, struct slice id, struct slice *names, uint32_t *count)
{
    if (*count == FLEET_NAMES_MAX)
        return true;
    names[*count] = id;
    if (arena_own(arena, &names[*count]) != HOIST_OK)
        return false;
    (*count)++;
    return true;
}

static bool add_names(const struct fleet *f, const struct landing *l, int64_t mono_ms,
                      struct arena *arena, struct fleet_landing *ret)
{
    ret->missing = arena_alloc(arena, FLEET_NAMES_MAX, sizeof *ret->missing);
    ret->silent = arena_alloc(arena, FLEET_NAMES_MAX, sizeof *ret->silent);
    bool ok = ret->missing && ret->silent;
    for (uint32_t i = 0; i < f->host_count && ok; i++) {
        const struct host *h = f->hosts[i];
        const struct said *said = said_of(h, l->env);
        if (h->awaited & bit_of(f, l))
            ok = add_name(arena, h->id, ret->missing, &ret->missing_count);
        if (ok && said && !host_is_live(h, mono_ms) && !said_has(said, l->epoch, l->version))
            ok = add_name(arena, h->id, ret->silent, &ret->silent_count);
    }
    return ok;
}

enum hoist_err fleet_landing(struct fleet *f, const struct fleet_commit *c,
                             const struct fleet_wait *wait, int64_t mono_ns, struct arena *arena,
                             struct fleet_landing *ret)
{
    enum hoist_err err = HOIST_OK;
    struct fleet_landing out = {0};
    int64_t mono_ms = mono_ns / FLEET_NS;
    pthread_mutex_lock(&f->lock);
    const struct landing *l = find_or_begin(f, c, wait, mono_ns);
    if (!l) {
        err = err_set(HOIST_EBUSY, "as many as can wait for their changes already, or as many of "
                                   "one address");
        goto out;
    }
    out.hosts = l->hosts;
    out.have = l->hosts - l->left;
    out.reached = (uint64_t)out.have * 100 >= (uint64_t)l->hosts * wait->percent;
    out.ns = (out.reached ? l->last_ns : mono_ns) - l->commit_ns;
    if (add_names(f, l, mono_ms, arena, &out))
        *ret = out;
    else
        err = err_set(HOIST_ENOMEM, "out of memory");
out:
    pthread_mutex_unlock(&f->lock);
    return err;
}
