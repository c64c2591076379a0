/* fleet_kit.h - a store with an environment at version 3, and hosts that tell of themselves. */
#ifndef TESTS_FLEET_KIT_H
#define TESTS_FLEET_KIT_H

#include "primary_kit.h"

#include "base/clock.h"

enum { NS = 1000000 }; /* in a millisecond */

static struct sign_key fleet_key; /* the primary's */

static inline int fleet_setup(void **state)
{
    struct kit *k = mem_zalloc(1, sizeof *k);
    kit_init(k, 0);
    sign_key_random(&fleet_key);
    fleet_sign_with(k->fleet, &fleet_key);
    kit_do(k, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", "changed");
    *state = k;
    return 0;
}

static inline int fleet_teardown(void **state)
{
    kit_done(*state);
    mem_free(*state);
    return 0;
}

/* What a host that has all of ours would say. */
static inline struct env_head our_head(struct kit *k)
{
    struct store_env env = kit_env(k, "production");
    struct env_head head = {
        .name = SLICE("production"), .epoch = env.epoch, .version = env.head, .state = ENV_CURRENT};
    memcpy(head.hash, env.hash, HASH_SIZE);
    return head;
}

static inline struct frame_status says(const char *id, struct env_head *head)
{
    return (struct frame_status){.id = slice_str(id),
                                 .incarnation = 1,
                                 .software = SLICE("0.1.0"),
                                 .envs = head,
                                 .env_count = 1};
}

static inline void hear_status(struct kit *k, const struct frame_status *status, int64_t now_ms)
{
    struct store_read *r;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    fleet_heard(k->fleet, r, &(struct told_host){.status = *status, .whole = true}, now_ms * NS);
    store_read_end(r);
}

static inline void hear(struct kit *k, const char *id, struct env_head head, int64_t now_ms)
{
    struct frame_status status = says(id, &head);
    hear_status(k, &status, now_ms);
}

/* Make a change that `head` is then of, without edits; NULL: not signed. */
static inline void prove(struct env_head *head, const struct sign_key *key, struct buf *out)
{
    struct buf whole = BUF_INIT(FRAME_PROOF_MAX);
    struct change c;
    struct change_header h = {.env = head->name,
                              .epoch = head->epoch,
                              .version = head->version,
                              .author = SLICE("ana"),
                              .kind = CHANGE_SET};
    assert_int_equal(
        change_encode(&h, SLICE(""), key ? change_unsigned : SLICE(""), &whole, head->hash),
        HOIST_OK);
    if (key)
        assert_int_equal(change_sign(whole.ptr, whole.len, key), HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&whole), &c), HOIST_OK);
    assert_int_equal(change_without_edits(&c, out), HOIST_OK);
    buf_done(&whole);
}

/* A status with a proof, as it stands. */
static inline void hear_with(struct kit *k, const char *id, struct env_head head,
                             struct slice change)
{
    struct head_proof proof = {head.name, change};
    struct frame_status status = says(id, &head);
    status.proofs = &proof;
    status.proof_count = 1;
    hear_status(k, &status, 0);
}

/* It says what `head` has, but for the hash, and proves it by a change that `key` has signed. */
static inline void hear_proven(struct kit *k, const char *id, struct env_head head,
                               const struct sign_key *key)
{
    struct buf change = BUF_INIT(FRAME_PROOF_MAX);
    prove(&head, key, &change);
    hear_with(k, id, head, buf_slice(&change));
    buf_done(&change);
}

/* The same through a relay, which heard it `age_ms` before. */
static inline void hear_via(struct kit *k, const char *id, const char *via, struct env_head head,
                            uint32_t age_ms, int64_t now_ms)
{
    struct store_read *r;
    struct told_host told = {
        .status = says(id, &head), .whole = true, .via = slice_str(via), .age_ms = age_ms};
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    fleet_heard(k->fleet, r, &told, now_ms * NS);
    store_read_end(r);
}

/* A host as fleet_each() shows it, with room for what that lends. */
struct shown {
    struct fleet_host host;
    char id[300], via[64], software[64], labels[300], why[300];
    bool there;
};

static inline void show_one(void *arg, const struct fleet_host *h)
{
    struct shown *s = arg;
    if (!slice_eq(h->id, slice_str(s->id)))
        return;
    s->there = true;
    s->host = *h;
    snprintf(s->via, sizeof s->via, "%.*s", SLICE_ARG(h->via));
    snprintf(s->software, sizeof s->software, "%.*s", SLICE_ARG(h->software));
    if (h->label_count)
        snprintf(s->labels, sizeof s->labels, "%.*s=%.*s", SLICE_ARG(h->labels[0].name),
                 SLICE_ARG(h->labels[0].value));
    if (h->refusal_count)
        snprintf(s->why, sizeof s->why, "%.*s: %.*s", SLICE_ARG(h->refusals[0].key),
                 SLICE_ARG(h->refusals[0].why));
}

static inline struct shown shown(struct kit *k, const char *id)
{
    struct shown s = {.there = false};
    struct store_env env = kit_env(k, "production");
    snprintf(s.id, sizeof s.id, "%s", id);
    fleet_each(k->fleet, &env, show_one, &s);
    return s;
}

#endif
