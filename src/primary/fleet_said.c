/* fleet_said.c - what one host said: kept, and compared with what it said before. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "primary/fleet_int.h"

/* Of all labels and refusals: beyond it they are not kept, and hosts are known by their ids. */
static const size_t TOLD_MAX = (size_t)256 << 20;

/* ------------------------------------------------------------------ labels and refusals */

void host_free_told(struct fleet *f, struct host *h)
{
    f->told_bytes -= h->about_room.total + h->refusals_room.total;
    arena_done(&h->about_room);
    arena_done(&h->refusals_room);
}

/* Put what was copied into `room` in the place of what is in *place; when it does not fit or was
 * not copied whole, nothing stands there. */
static bool swap_room(struct fleet *f, struct arena *place, struct arena *room, bool whole)
{
    f->told_bytes -= place->total;
    arena_done(place);
    whole = whole && f->told_bytes + room->total <= TOLD_MAX;
    if (!whole)
        arena_done(room);
    *place = *room;
    f->told_bytes += place->total;
    return whole;
}

static bool same_labels(const struct host *h, const struct label *labels, uint32_t count)
{
    if (h->label_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!slice_eq(h->labels[i].name, labels[i].name) ||
            !slice_eq(h->labels[i].value, labels[i].value))
            return false;
    return true;
}

static void take_about(struct fleet *f, struct host *h, struct slice software,
                       const struct label *labels, uint32_t count)
{
    struct arena room = {0};
    if (slice_eq(h->software, software) && same_labels(h, labels, count))
        return;
    struct label *copy = arena_alloc(&room, count, sizeof *copy);
    bool whole = copy && arena_own(&room, &software) == HOIST_OK;
    for (uint32_t i = 0; i < count && whole; i++) {
        copy[i] = labels[i];
        whole = arena_own(&room, &copy[i].name) == HOIST_OK &&
                arena_own(&room, &copy[i].value) == HOIST_OK;
    }
    whole = swap_room(f, &h->about_room, &room, whole);
    h->software = whole ? software : (struct slice){0};
    h->labels = whole ? copy : NULL;
    h->label_count = whole ? count : 0;
    h->edition++;
}

static bool same_refusals(const struct host *h, const struct frame_status *s)
{
    if (h->refusal_count != s->refusal_count)
        return false;
    for (uint32_t i = 0; i < s->refusal_count; i++) {
        const struct refusal *a = &h->refusals[i], *b = &s->refusals[i];
        if (a->version != b->version || !slice_eq(a->env, b->env) || !slice_eq(a->key, b->key) ||
            !slice_eq(a->why, b->why))
            return false;
    }
    return true;
}

static void take_refusals(struct fleet *f, struct host *h, const struct frame_status *s)
{
    struct arena room = {0};
    if (same_refusals(h, s))
        return;
    struct refusal *copy =
        s->refusal_count ? arena_alloc(&room, s->refusal_count, sizeof *copy) : NULL;
    bool whole = copy != NULL;
    for (uint32_t i = 0; i < s->refusal_count && whole; i++) {
        copy[i] = s->refusals[i];
        whole = arena_own(&room, &copy[i].env) == HOIST_OK &&
                arena_own(&room, &copy[i].key) == HOIST_OK &&
                arena_own(&room, &copy[i].why) == HOIST_OK;
    }
    whole = swap_room(f, &h->refusals_room, &room, whole);
    h->refusals = whole ? copy : NULL;
    h->refusal_count = whole ? s->refusal_count : 0;
    h->refusals_logged = false;
}

bool host_take_via(struct host *h, struct slice via)
{
    if (slice_eq(h->via, via))
        return true;
    char *copy = mem_dup(via);
    if (!copy)
        return false;
    mem_free((void *)h->via.ptr);
    h->via = slice_of(copy, via.len);
    h->edition++;
    return true;
}

/* ------------------------------------------------------------------ environments */

struct said *said_of(const struct host *h, const char *env)
{
    for (uint32_t i = 0; i < h->said_count; i++)
        if (strcmp(h->said[i].env, env) == 0)
            return &h->said[i];
    return NULL;
}

bool said_has(const struct said *said, uint64_t epoch, uint64_t version)
{
    return !said->foreign &&
           (said->epoch > epoch || (said->epoch == epoch && said->version >= version));
}

enum fleet_state said_state(const struct host *h, const struct said *said,
                            const struct store_env *env, int64_t mono_ms)
{
    if (!host_is_live(h, mono_ms))
        return FLEET_SILENT;
    if (said->foreign || said->state == ENV_REFUSING || said->held > 0)
        return FLEET_REFUSING;
    bool current = said->state == ENV_CURRENT && said_has(said, env->epoch, env->head);
    return current ? FLEET_CURRENT : FLEET_BEHIND;
}

/* The store was read after the host spoke: what it has beyond that was committed by another primary,
 * or by this one in a past that it has lost, and stays so when this one's versions get as far. */
static bool is_foreign(const struct said *before, const struct store_env *env,
                       const struct env_head *head)
{
    bool ahead = head->epoch == env->epoch ? head->version > env->head : head->epoch > env->epoch;
    bool same = before && before->epoch == head->epoch && before->version == head->version &&
                memcmp(before->hash, head->hash, HASH_SIZE) == 0;
    return ahead || head->state == ENV_DIVERGED || (same && before->foreign);
}

static void fill_said(struct said *now, const struct said *before, const struct store_env *env,
                      const struct env_head *head, int64_t mono_ns)
{
    bool same = before && before->epoch == head->epoch && before->version == head->version;
    *now = (struct said){
        .epoch = head->epoch,
        .version = head->version,
        .state = head->state,
        .held = head->held,
        .foreign = is_foreign(before, env, head),
        .since_ns = same ? before->since_ns : mono_ns,
    };
    memcpy(now->env, env->name, sizeof now->env);
    memcpy(now->hash, head->hash, HASH_SIZE);
    memcpy(now->digest, head->digest, HASH_SIZE);
    if (said_has(now, env->epoch, env->head))
        now->behind_since_ms = FLEET_NEVER;
    else if (before && before->behind_since_ms != FLEET_NEVER)
        now->behind_since_ms = before->behind_since_ms;
    else
        now->behind_since_ms = mono_ns / FLEET_NS;
}

/* Whether it says of the environment what it said before, since this primary began. */
static bool is_known(const struct host *h, const struct said *before, const struct said *now)
{
    return h->heard && before && before->epoch == now->epoch && before->version == now->version &&
           memcmp(before->hash, now->hash, HASH_SIZE) == 0;
}

static struct slice proof_of(const struct frame_status *status, struct slice env)
{
    for (uint32_t i = 0; i < status->proof_count; i++)
        if (slice_eq(status->proofs[i].env, env))
            return status->proofs[i].change;
    return (struct slice){0};
}

bool host_take(struct fleet *f, struct host *h, struct store_read *r,
               const struct frame_status *status, bool whole, bool judge, int64_t mono_ns)
{
    struct said *said = mem_zalloc(status->env_count, sizeof *said);
    if (!said)
        return false;
    uint32_t count = 0, new = 0;
    for (uint32_t i = 0; i < status->env_count; i++) {
        const struct env_head *head = &status->envs[i];
        char name[STORE_ENV_NAME_MAX + 1];
        struct store_env env;
        if (head->name.len > STORE_ENV_NAME_MAX)
            continue;
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(head->name));
        if (store_env_get(r, name, &env) != HOIST_OK)
            continue;
        const struct said *before = said_of(h, name);
        struct said *now = &said[count++];
        fill_said(now, before, &env, head, mono_ns);
        new += !before;
        struct claim claim = {head, proof_of(status, head->name), whole};
        /* Looking a change up costs a hash of it: once for each thing that a host says. */
        if (judge && (claim.proof.len || !is_known(h, before, now)))
            set_back_judge(f, r, &env, &claim, status->id, mono_ns / FLEET_NS);
    }
    if (new || count != h->said_count)
        h->edition++;
    mem_free(h->said);
    h->said = said;
    h->said_count = count;
    take_about(f, h, status->software, whole ? status->labels : h->labels,
               whole ? status->label_count : h->label_count);
    if (whole)
        take_refusals(f, h, status);
    return true;
}
