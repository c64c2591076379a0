#include "primary/fleet.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct said { /* what a host said of one environment */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE];
    uint32_t state;
};

struct host {
    struct slice id;
    int64_t heard_ms;
    struct said *said;
    uint32_t said_count;
};

struct known { /* what is known of an environment from all hosts */
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch;      /* greatest heard of */
    uint64_t lost_epoch; /* 0, or the epoch of which a host has what this primary has not */
    char why[FLEET_WHY_SIZE];
};

struct fleet {
    pthread_mutex_t lock;
    struct host **hosts; /* sorted by id */
    uint32_t host_count, host_cap;
    struct known *known;
    uint32_t known_count, known_cap;
};

/* An epoch beyond this is no clock's: nothing could follow it. */
static const uint64_t EPOCH_BELIEVED_MAX = UINT64_MAX / 2;

enum hoist_err fleet_new(struct fleet **ret)
{
    struct fleet *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    pthread_mutex_init(&f->lock, NULL);
    *ret = f;
    return HOIST_OK;
}

static void host_free(struct host *h)
{
    mem_free((void *)h->id.ptr);
    mem_free(h->said);
    mem_free(h);
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->host_count; i++)
        host_free(f->hosts[i]);
    mem_free(f->hosts);
    mem_free(f->known);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

/* Room for one more of `size` bytes in an array that doubles. */
static bool grow(void **array, uint32_t count, uint32_t *cap, size_t size)
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

/* Where `id` is, or would be. */
static uint32_t host_place(const struct fleet *f, struct slice id, bool *ret_there)
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

static void forget_the_most_silent(struct fleet *f)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < f->host_count; i++)
        if (f->hosts[i]->heard_ms < f->hosts[oldest]->heard_ms)
            oldest = i;
    host_free(f->hosts[oldest]);
    memmove(f->hosts + oldest, f->hosts + oldest + 1,
            (f->host_count - oldest - 1) * sizeof *f->hosts);
    f->host_count--;
}

/* The host called `id`, new if need be; NULL: no memory, and it is not counted. */
static struct host *host_get(struct fleet *f, struct slice id)
{
    bool there;
    uint32_t at = host_place(f, id, &there);
    if (there)
        return f->hosts[at];
    if (f->host_count == FLEET_HOSTS_MAX) {
        forget_the_most_silent(f);
        at = host_place(f, id, &there);
    }
    void *array = f->hosts;
    if (!grow(&array, f->host_count, &f->host_cap, sizeof *f->hosts))
        return NULL;
    f->hosts = array;
    struct host *h = mem_zalloc(1, sizeof *h);
    char *copy = mem_dup(id);
    if (!h || !copy) {
        mem_free(h);
        mem_free(copy);
        return NULL;
    }
    h->id = slice_of(copy, id.len);
    memmove(f->hosts + at + 1, f->hosts + at, (f->host_count - at) * sizeof *f->hosts);
    f->hosts[at] = h;
    f->host_count++;
    return h;
}

static struct said *said_of(struct host *h, const char *env)
{
    for (uint32_t i = 0; i < h->said_count; i++)
        if (strcmp(h->said[i].env, env) == 0)
            return &h->said[i];
    return NULL;
}

/* ------------------------------------------------------------------ set back or not */

static struct known *known_find(struct fleet *f, const char *env)
{
    for (uint32_t i = 0; i < f->known_count; i++)
        if (strcmp(f->known[i].env, env) == 0)
            return &f->known[i];
    return NULL;
}

static struct known *known_get(struct fleet *f, const char *env)
{
    struct known *k = known_find(f, env);
    if (k)
        return k;
    void *array = f->known;
    if (!grow(&array, f->known_count, &f->known_cap, sizeof *f->known))
        return NULL;
    f->known = array;
    k = &f->known[f->known_count++];
    *k = (struct known){0};
    snprintf(k->env, sizeof k->env, "%s", env);
    return k;
}

/* Whether the change that `head` names is one of ours. What has left the log is believed. */
static bool is_ours(struct store_read *r, const struct store_env *env, const struct env_head *head)
{
    if (head->version > env->head)
        return false;
    if (head->version == env->head)
        return memcmp(head->hash, env->hash, HASH_SIZE) == 0;
    struct slice bytes;
    struct change c;
    if (head->version == 0 || store_log_get(r, env->id, head->version, &bytes) != HOIST_OK ||
        change_decode(bytes, &c) != HOIST_OK)
        return true;
    return memcmp(head->hash, c.hash, HASH_SIZE) == 0;
}

static void judge(struct fleet *f, struct store_read *r, const struct store_env *env,
                  const struct env_head *head, struct slice host)
{
    struct known *k = known_get(f, env->name);
    if (!k)
        return;
    if (head->epoch > k->epoch && head->epoch <= EPOCH_BELIEVED_MAX)
        k->epoch = head->epoch;
    if (head->epoch != env->epoch || k->lost_epoch == env->epoch || is_ours(r, env, head))
        return;
    k->lost_epoch = env->epoch;
    snprintf(k->why, sizeof k->why,
             "this primary was set back: host '%.*s' has version %" PRIu64
             " of %s, epoch %016" PRIx64 ", which is not in this store (its head is %" PRIu64 ")",
             SLICE_ARG(host), head->version, env->name, env->epoch, env->head);
}

/* ------------------------------------------------------------------ hearing */

/* Keep what the host says now; true when it says something else of this environment than before. */
static bool keep(struct said *now, struct host *h, const struct store_env *env,
                 const struct env_head *head)
{
    struct said *before = said_of(h, env->name);
    bool same = before && before->epoch == head->epoch && before->version == head->version &&
                memcmp(before->hash, head->hash, HASH_SIZE) == 0;
    *now = (struct said){.epoch = head->epoch, .version = head->version, .state = head->state};
    memcpy(now->env, env->name, sizeof now->env);
    memcpy(now->hash, head->hash, HASH_SIZE);
    return !same;
}

void fleet_heard(struct fleet *f, struct store_read *r, const struct frame_status *status,
                 int64_t mono_ms)
{
    pthread_mutex_lock(&f->lock);
    struct host *h = host_get(f, status->id);
    struct said *said = mem_zalloc(status->env_count, sizeof *said);
    if (!h || !said) {
        mem_free(said);
        goto out;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < status->env_count; i++) {
        const struct env_head *head = &status->envs[i];
        char name[STORE_ENV_NAME_MAX + 1];
        struct store_env env;
        if (head->name.len > STORE_ENV_NAME_MAX)
            continue;
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(head->name));
        if (store_env_get(r, name, &env) != HOIST_OK)
            continue;
        /* Looking a change up costs a hash of it: once for each thing that a host says. */
        if (keep(&said[count++], h, &env, head))
            judge(f, r, &env, head, status->id);
    }
    mem_free(h->said);
    h->said = said;
    h->said_count = count;
    h->heard_ms = mono_ms;
out:
    pthread_mutex_unlock(&f->lock);
}

bool fleet_set_back(struct fleet *f, const char *env, uint64_t epoch, char why[FLEET_WHY_SIZE])
{
    pthread_mutex_lock(&f->lock);
    const struct known *k = known_find(f, env);
    bool lost = k && k->lost_epoch == epoch && epoch != 0;
    if (lost)
        memcpy(why, k->why, FLEET_WHY_SIZE);
    pthread_mutex_unlock(&f->lock);
    return lost;
}

uint64_t fleet_epoch(struct fleet *f, const char *env)
{
    pthread_mutex_lock(&f->lock);
    const struct known *k = known_find(f, env);
    uint64_t epoch = k ? k->epoch : 0;
    pthread_mutex_unlock(&f->lock);
    return epoch;
}

static enum fleet_state state_of(const struct host *h, const struct said *said, int64_t mono_ms)
{
    if (mono_ms - h->heard_ms > FLEET_SILENT_MS)
        return FLEET_SILENT;
    switch (said->state) {
    case ENV_CURRENT:
        return FLEET_CURRENT;
    case ENV_REFUSING:
    case ENV_DIVERGED:
        return FLEET_REFUSING;
    default:
        return FLEET_BEHIND;
    }
}

void fleet_counts(struct fleet *f, const char *env, int64_t mono_ms, uint32_t ret[FLEET_STATES])
{
    memset(ret, 0, FLEET_STATES * sizeof *ret);
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->host_count; i++) {
        const struct said *said = said_of(f->hosts[i], env);
        if (said)
            ret[state_of(f->hosts[i], said, mono_ms)]++;
    }
    pthread_mutex_unlock(&f->lock);
}
