/* set_back.c - whether some host has what this primary has not: then its store was set back.
 *
 * Any peer could say so and stop all changes. So it must bring the change that it has and this
 * primary has not, as a primary signed it: nobody else can make one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "primary/fleet_int.h"
#include "primary/keys.h"

/* An epoch beyond this is no clock's: nothing could follow it. */
static const uint64_t EPOCH_BELIEVED_MAX = UINT64_MAX / 2;

enum { DOUBTED_MS = 60000 /* between two log lines about claims that are not believed */ };

static struct metric *refused(const char *labels)
{
    return metric_series(METRIC_COUNTER, "hoist_frames_refused_total",
                         "Frames that could not be read or were not believed.", labels, NULL);
}

void set_back_begin(struct fleet *f)
{
    f->forged = refused("reason=\"forged\"");
    f->unproven = refused("reason=\"unproven\"");
    f->doubted_ms = FLEET_NEVER;
}

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
    if (!fleet_grow(&array, f->known_count, &f->known_cap, sizeof *f->known))
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

/* Whether one of our keys has signed it; false when the store cannot tell which are ours. */
static bool is_signed(const struct fleet *f, struct store_read *r, const struct change *c)
{
    struct trust trust;
    bool vouched;
    if (!f->key || keys_trusted(r, f->key, &trust) != HOIST_OK)
        return false;
    change_vouch(&trust, c, 1, &vouched);
    return vouched;
}

/* NULL: it is proven; else what is wrong. */
static const char *doubt(const struct fleet *f, struct store_read *r, const struct store_env *env,
                         const struct claim *claim)
{
    struct change c;
    const struct env_head *head = claim->head;
    if (head->epoch > EPOCH_BELIEVED_MAX)
        return "no clock gives that epoch";
    if (claim->proof.len == 0)
        return "it does not give that change";
    if (change_decode(claim->proof, &c) != HOIST_OK)
        return "what it gives is no change";
    if (!slice_eq(c.head.env, slice_str(env->name)) || c.head.epoch != head->epoch ||
        c.head.version != head->version || memcmp(c.hash, head->hash, HASH_SIZE) != 0)
        return "what it gives is another change";
    return is_signed(f, r, &c) ? NULL : "no key of this primary has signed it";
}

/* One line a minute for all hosts: behind a relay that proves it they all say the same. */
static void disbelieve(struct fleet *f, const struct store_env *env, const struct claim *claim,
                       struct slice host, const char *why, int64_t mono_ms)
{
    const struct env_head *head = claim->head;
    metric_inc(claim->proof.len ? f->forged : f->unproven);
    if (f->doubted_ms != FLEET_NEVER && mono_ms - f->doubted_ms < DOUBTED_MS)
        return;
    f->doubted_ms = mono_ms;
    log_warn("primary: host '%.*s' says that it has version %" PRIu64 " of %s, epoch %016" PRIx64
             ", which is not in this store, and is not believed: %s; changes go on%s",
             SLICE_ARG(host), head->version, env->name, head->epoch, why,
             head->epoch > env->epoch ? ", and it takes none of them. If another primary has taken "
                                        "over, stop this one"
                                      : "");
}

/* From here on changes of the environment are refused. */
static void refuse(struct known *k, const struct store_env *env, const struct env_head *head,
                   struct slice host)
{
    k->lost_epoch = env->epoch;
    if (head->epoch > env->epoch)
        snprintf(k->why, sizeof k->why,
                 "this primary was set back, or another has taken over (then stop this one): host "
                 "'%.*s' follows epoch %016" PRIx64 " of %s, which is not in this store (its epoch "
                 "is %016" PRIx64 ")",
                 SLICE_ARG(host), head->epoch, env->name, env->epoch);
    else
        snprintf(k->why, sizeof k->why,
                 "this primary was set back: host '%.*s' has version %" PRIu64
                 " of %s, epoch %016" PRIx64 ", which is not in this store (its head is %" PRIu64
                 ")",
                 SLICE_ARG(host), head->version, env->name, env->epoch, env->head);
    log_error(
        "primary: %s; changes of %s are refused until the newer store is back, or: flagctl env "
        "epoch --new --env %s",
        k->why, env->name, env->name);
}

void set_back_judge(struct fleet *f, struct store_read *r, const struct store_env *env,
                    const struct claim *claim, struct slice host, int64_t mono_ms)
{
    struct known *k = known_get(f, env->name);
    const struct env_head *head = claim->head;
    if (!k || head->epoch < env->epoch)
        return;
    bool refused = k->lost_epoch == env->epoch, greater = head->epoch > env->epoch;
    bool known = greater ? head->epoch <= k->epoch : refused || is_ours(r, env, head);
    if (known)
        return;
    const char *why = doubt(f, r, env, claim);
    if (why) {
        if (!refused && (claim->proof.len || claim->last))
            disbelieve(f, env, claim, host, why, mono_ms);
        return;
    }
    if (greater)
        k->epoch = head->epoch;
    if (!refused)
        refuse(k, env, head, host);
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
