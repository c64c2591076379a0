#include "http/shares.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/murmur.h"

enum {
    QUIET_MS = 60000, /* between two log lines about one address, */
    LINE_MS = 1000,   /* and about any */
    SWEEP_MS = 1000,
    ALL = 0, /* what was met: the limit of all, … */
    ONE = 1, /* … or that of one address */
    LABEL_SIZE = 64,
};

static const struct {
    const char *label, *words[2];
} kinds[SHARES_KINDS] = {
    [SHARES_CONNECTIONS] = {"connections",
                            {"all connections are taken", "it has as many connections as one may"}},
    [SHARES_STREAMS] = {"streams",
                        {"all event streams are taken", "it has as many event streams as one may"}},
    [SHARES_BODIES] = {"body_bytes",
                       {"as many bytes of bodies are here as may",
                        "as many bytes of its bodies are here as may"}},
};

static uint64_t max_of(const struct shares *s, enum shares_of kind, int whose)
{
    uint64_t max = s->max[kind];
    return whose == ALL ? max : max - max / 4;
}

/* ------------------------------------------------------------------ metrics */

static uint64_t greediest(const struct shares *s, enum shares_of kind)
{
    uint64_t most = 0;
    for (int i = 0; i < SHARES_CHAINS; i++)
        for (const struct share *share = s->chains[i]; share; share = share->next)
            if (share->used[kind] > most)
                most = share->used[kind];
    return most;
}

static void update(void *arg)
{
    struct shares *s = arg;
    pthread_mutex_lock(&s->lock);
    for (int kind = 0; kind < SHARES_KINDS; kind++) {
        metric_set(s->ratio[kind][ALL], (double)s->used[kind] / (double)max_of(s, kind, ALL));
        metric_set(s->ratio[kind][ONE], (double)greediest(s, kind) / (double)max_of(s, kind, ONE));
    }
    pthread_mutex_unlock(&s->lock);
}

static void make_series(struct shares *s, const char *option, int kind, int whose)
{
    char label[LABEL_SIZE];
    snprintf(label, sizeof label, "limit=\"%s%s_%s\"", whose == ONE ? "peer_" : "",
             strcmp(option, "--http") == 0 ? "http" : "ofrep_http", kinds[kind].label);
    s->refused[kind][whose] =
        metric_series(METRIC_COUNTER, "hoist_refused_total",
                      "Connections and requests beyond a limit.", label, NULL);
    s->ratio[kind][whose] =
        metric_series(METRIC_GAUGE, "hoist_limit_ratio",
                      "How much of a limit is used: 1 is all of it.", label, NULL);
}

void shares_init(struct shares *s, const uint64_t max[SHARES_KINDS], const char *option)
{
    *s = (struct shares){0};
    memcpy(s->max, max, sizeof s->max);
    hash_random(&s->seed, sizeof s->seed);
    pthread_mutex_init(&s->lock, NULL);
    for (int kind = 0; kind < SHARES_KINDS; kind++)
        for (int whose = ALL; whose <= ONE; whose++)
            make_series(s, option, kind, whose);
    metrics_on_write(update, s);
}

/* ------------------------------------------------------------------ the table */

static bool is_empty(const struct share *share)
{
    for (int kind = 0; kind < SHARES_KINDS; kind++)
        if (share->used[kind] > 0)
            return false;
    return true;
}

/* Forget who has nothing and may be named again. */
static void sweep(struct shares *s, int64_t now_ms)
{
    if (now_ms < s->next_sweep_ms)
        return;
    s->next_sweep_ms = now_ms + SWEEP_MS;
    for (int i = 0; i < SHARES_CHAINS; i++)
        for (struct share **at = &s->chains[i]; *at;) {
            struct share *share = *at;
            if (is_empty(share) && now_ms >= share->quiet_until_ms) {
                *at = share->next;
                mem_free(share);
            } else {
                at = &share->next;
            }
        }
}

static void name_of(const struct sockaddr *from, char out[ADDRESS_PEER_SIZE])
{
    if (from->sa_family == AF_INET)
        address_peer_v4(&((const struct sockaddr_in *)from)->sin_addr, out);
    else
        address_peer_v6(&((const struct sockaddr_in6 *)from)->sin6_addr, out);
}

/* As it is, or made; NULL: no memory. */
static struct share *find(struct shares *s, const struct sockaddr *from, int64_t now_ms)
{
    char name[ADDRESS_PEER_SIZE];
    name_of(from, name);
    sweep(s, now_ms);
    struct share **at = &s->chains[murmur3_32(slice_str(name), s->seed) % SHARES_CHAINS];
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at && (*at = mem_zalloc(1, sizeof **at)))
        memcpy((*at)->name, name, sizeof name);
    return *at;
}

void shares_done(struct shares *s)
{
    metrics_off_write(update, s);
    for (int i = 0; i < SHARES_CHAINS; i++)
        while (s->chains[i]) {
            struct share *share = s->chains[i];
            assert(is_empty(share));
            s->chains[i] = share->next;
            mem_free(share);
        }
    pthread_mutex_destroy(&s->lock);
}

/* ------------------------------------------------------------------ taking and giving */

static void refuse(struct shares *s, struct share *share, enum shares_of kind, int whose)
{
    int64_t now_ms = clock_mono_ms();
    metric_inc(s->refused[kind][whose]);
    if (now_ms < share->quiet_until_ms || now_ms < s->next_line_ms)
        return;
    share->quiet_until_ms = now_ms + QUIET_MS;
    s->next_line_ms = now_ms + LINE_MS;
    log_warn("http: peer %s is refused: %s; for a minute that is only counted", share->name,
             kinds[kind].words[whose]);
}

/* Whether there are n more; else it is refused. With the lock held. */
static const char *no_room(struct shares *s, struct share *share, enum shares_of kind, uint64_t n)
{
    const uint64_t used[] = {[ALL] = s->used[kind], [ONE] = share->used[kind]};
    for (int whose = ONE; whose >= ALL; whose--) {
        if (used[whose] + n <= max_of(s, kind, whose))
            continue;
        refuse(s, share, kind, whose);
        return kinds[kind].words[whose];
    }
    return NULL;
}

static void add(struct shares *s, struct share *share, enum shares_of kind, uint64_t n)
{
    share->used[kind] += n;
    s->used[kind] += n;
}

bool shares_admit(struct shares *s, const struct sockaddr *from)
{
    pthread_mutex_lock(&s->lock);
    struct share *share = find(s, from, clock_mono_ms());
    bool may = share && !no_room(s, share, SHARES_CONNECTIONS, 1);
    pthread_mutex_unlock(&s->lock);
    return may;
}

struct share *shares_come(struct shares *s, const struct sockaddr *from)
{
    pthread_mutex_lock(&s->lock);
    struct share *share = find(s, from, clock_mono_ms());
    if (share)
        add(s, share, SHARES_CONNECTIONS, 1);
    pthread_mutex_unlock(&s->lock);
    return share;
}

const char *shares_take(struct shares *s, struct share *share, enum shares_of kind, uint64_t n)
{
    if (!share)
        return "there is no memory";
    pthread_mutex_lock(&s->lock);
    const char *why = no_room(s, share, kind, n);
    if (!why)
        add(s, share, kind, n);
    pthread_mutex_unlock(&s->lock);
    return why;
}

void shares_give(struct shares *s, struct share *share, enum shares_of kind, uint64_t n)
{
    if (!share)
        return;
    pthread_mutex_lock(&s->lock);
    assert(share->used[kind] >= n && s->used[kind] >= n);
    share->used[kind] -= n;
    s->used[kind] -= n;
    pthread_mutex_unlock(&s->lock);
}
