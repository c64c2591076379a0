/* fleet_kit.h - a store with an environment at version 3, and hosts that tell of themselves. */
#ifndef TESTS_FLEET_KIT_H
#define TESTS_FLEET_KIT_H

#include "primary_kit.h"

#include "base/clock.h"

enum { NS = 1000000 }; /* in a millisecond */

static inline int fleet_setup(void **state)
{
    struct kit *k = mem_zalloc(1, sizeof *k);
    kit_init(k, 0);
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
