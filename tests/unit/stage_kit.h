/* stage_kit.h - releases in a primary's store, on a fleet of two hosts: rounds that somebody plays. */
#ifndef TESTS_STAGE_KIT_H
#define TESTS_STAGE_KIT_H

#include "fleet_kit.h"

#include <time.h>

#include "primary/query_release.h"
#include "primary/releases.h"
#include "usage/row.h"
#include "wire/record.h"

static const char stage_plan[] =
    "release: demo\n"
    "title: A demonstration\n"
    "owner: mara\n"
    "author: mara\n"
    "flags: [a.enabled, b.enabled]\n"
    "bucket: {var: account_id}\n"
    "interval: 100ms\n"
    "abort_after: 2\n"
    "roles: {qa: [quinn, qadir], boss: [rita]}\n"
    "guards:\n"
    "  - {name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}\n"
    "  - {name: errors, query: 'sum(rate(errors_total[5m]))', pass: '<= 0.02', critical: '> 0.2'}\n"
    "kill_on_alert: [Burning]\n"
    "checks: [{name: tests, run: ['true']}]\n"
    "announce: {contact: '#demo'}\n"
    "phases:\n"
    "  flags: {steps: [{check: [tests], sign: {qa: tested, boss: reviewed}}]}\n"
    "  monitoring: {steps: []}\n"
    "  staging: {env: staging, steps: [{percent: 100, soak: 300ms, exposed: 5}]}\n"
    "  production:\n"
    "    env: production\n"
    "    steps:\n"
    "      - {percent: 10, soak: 300ms, exposed: 5}\n"
    "      - {percent: 100, soak: 300ms, exposed: 5}\n"
    "  watch: {steps: []}\n";

struct stage {
    struct kit *kit;
    struct releases *releases;
    struct release_answer answers[2]; /* of the guards */
};

/* ------------------------------------------------------------------ doing things */

static inline int64_t wall(void)
{
    return clock_wall_ms();
}

/* A command, as the writer's thread carries it out; on error nothing is done. */
static inline enum hoist_err try_tell(struct stage *s, struct command *c, struct answer *ret)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(s->kit->store, &w);
    if (err)
        return err;
    releases_begin(s->releases);
    command_release_with(c, s->releases);
    err = command_run(c, w, s->kit->fleet, wall(), ret);
    if (err || !(ret->changed || ret->wrote)) {
        store_write_abort(w);
        return err;
    }
    err = store_write_commit(w);
    if (!err)
        releases_committed(s->releases);
    return err;
}

static inline struct told tell(struct stage *s, const char *name, const char *author, json_t *body)
{
    struct answer a = ANSWER_INIT;
    char *text = json_dumps(body, 0);
    s->kit->author = author;
    struct command *c = kit_command(s->kit, name, text);
    enum hoist_err err = try_tell(s, c, &a);
    if (err)
        print_error("%s: %s\n", name, err_last());
    assert_int_equal(err, HOIST_OK);
    struct told t = {a.exit, kit_json(&a.body)};
    answer_done(&a);
    command_free(c);
    free(text);
    json_decref(body);
    return t;
}

static inline void tell_ok(struct stage *s, const char *name, const char *author, json_t *body)
{
    struct told t = tell(s, name, author, body);
    if (t.exit != EXIT_DONE)
        print_error("%s: %s\n", name, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
}

static inline void refused(struct stage *s, const char *name, const char *author, json_t *body,
                           uint32_t exit, const char *words)
{
    struct told t = tell(s, name, author, body);
    if (t.exit != exit || !strstr(kit_error(&t), words))
        print_error("%s: exit %u, %s\n", name, t.exit, kit_error(&t));
    assert_int_equal(t.exit, exit);
    assert_non_null(strstr(kit_error(&t), words));
    told_done(&t);
}

static inline json_t *status_of(struct stage *s)
{
    struct store_read *r;
    struct buf out = BUF_INIT(1 << 20);
    json_t *args = json_pack("{s:s}", "release", "demo");
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(release_answer(s->releases, r, SLICE("release_status"), args, wall(), &out),
                     EXIT_DONE);
    store_read_end(r);
    json_t *v = kit_json(&out);
    buf_done(&out);
    json_decref(args);
    return v;
}

/* "live": it has not ended, and is not rolled back. */
static inline bool stands(const json_t *v, const char *state, int step)
{
    const char *is = kit_text(v, "state");
    bool live =
        strcmp(is, "moving") == 0 || strcmp(is, "waiting") == 0 || strcmp(is, "holding") == 0;
    return (strcmp(state, "live") == 0 ? live : strcmp(is, state) == 0) &&
           json_integer_value(json_object_get(v, "step")) == step;
}

static inline void is_at(struct stage *s, const char *state, int step)
{
    json_t *v = status_of(s);
    if (!stands(v, state, step)) {
        char *text = json_dumps(v, JSON_INDENT(1));
        print_error("not %s at %d: %s\n", state, step, text);
        free(text);
    }
    assert_true(stands(v, state, step));
    json_decref(v);
}

/* Both hosts say that they have all of both environments; or only the first does. */
static inline void hosts_have_it(struct stage *s, bool both)
{
    static const char *const ids[] = {"h1", "h2"};
    static const char *const envs[] = {"staging", "production"};
    for (int h = 0; h < (both ? 2 : 1); h++) {
        struct env_head heads[2];
        for (int i = 0; i < 2; i++) {
            struct store_env env = kit_env(s->kit, envs[i]);
            heads[i] = (struct env_head){.name = slice_str(envs[i]),
                                         .epoch = env.epoch,
                                         .version = env.head,
                                         .state = ENV_CURRENT};
            memcpy(heads[i].hash, env.hash, HASH_SIZE);
        }
        struct frame_status status = says(ids[h], heads);
        status.env_count = 2;
        hear_status(s->kit, &status, clock_mono_ms());
    }
}

/* The first host proves that it has a version of production that this store has not. */
static inline void was_set_back(struct stage *s)
{
    struct buf change = BUF_INIT(FRAME_PROOF_MAX);
    struct env_head head = our_head(s->kit);
    head.version++;
    prove(&head, &fleet_key, &change);
    struct head_proof proof = {head.name, buf_slice(&change)};
    struct frame_status status = says("h1", &head);
    status.proofs = &proof;
    status.proof_count = 1;
    hear_status(s->kit, &status, clock_mono_ms());
    buf_done(&change);
}

static inline void yield_more(struct stage *s, const char *env, uint64_t n)
{
    struct store_write *w;
    struct slice bytes;
    struct usage_row row = {0};
    struct buf out = BUF_INIT(1 << 20);
    uint16_t id = kit_env(s->kit, env).id;
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    if (store_usage_get(store_write_read(w), id, SLICE("a.enabled"), &bytes) == HOIST_OK)
        assert_int_equal(usage_row_read(bytes, &row), HOIST_OK);
    assert_int_equal(usage_row_add(&row, SLICE("on"), n, wall() / 1000), HOIST_OK);
    usage_row_write(&row, &out);
    assert_int_equal(store_usage_put(w, id, SLICE("a.enabled"), buf_slice(&out)), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    usage_row_done(&row);
    buf_done(&out);
}

/* A round for the step that the release is at; what it failed with. */
static inline enum hoist_err try_round(struct stage *s, struct slice name)
{
    struct store_write *w;
    struct answer a = ANSWER_INIT;
    struct release *r = releases_find(s->releases, name);
    struct release_round round = {.id = r->id, .step = r->record.step};
    round.asked = r->record.state == RELEASE_MOVING ? r->plan->steps[round.step].guards : 0;
    memcpy(round.answers, s->answers, sizeof s->answers);
    enum hoist_err err = store_write_begin(s->kit->store, &w);
    if (err)
        return err;
    releases_begin(s->releases);
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    err = release_take_round(s->releases, &work, &round);
    if (err)
        store_write_abort(w);
    else
        err = store_write_commit(w);
    if (!err)
        releases_committed(s->releases);
    answer_done(&a);
    return err;
}

static inline void round_of(struct stage *s)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    enum hoist_err err = try_round(s, SLICE("demo"));
    if (err)
        print_error("round: %s\n", err_last());
    assert_int_equal(err, HOIST_OK);
}

static inline void rounds(struct stage *s, int n)
{
    for (int i = 0; i < n; i++) {
        yield_more(s, "staging", 10);
        yield_more(s, "production", 10);
        hosts_have_it(s, true);
        round_of(s);
    }
}

/* Rounds until the release stands there. */
static inline void reach(struct stage *s, const char *state, int step)
{
    bool there = false;
    for (int i = 0; i < 30 && !there; i++) {
        rounds(s, 1);
        json_t *v = status_of(s);
        there = stands(v, state, step);
        json_decref(v);
    }
    is_at(s, state, step);
}

static inline json_t *start_body(void)
{
    return json_pack("{s:s, s:s}", "plan", stage_plan, "commit", "0123abcd");
}

/* What signs and attests is bound to what `status` shows. */
static inline json_t *bound_body(struct stage *s, const char *name, const char *value)
{
    json_t *v = status_of(s);
    json_t *body = json_pack("{s:s, s:O, s:O, s:O, s:O, s:s}", "release", "demo", "step",
                             json_object_get(v, "step"), "plan", json_object_get(v, "plan"),
                             "definitions", json_object_get(v, "definitions"), "commit",
                             json_object_get(v, "commit"), name, value);
    json_decref(v);
    return body;
}

static inline json_t *check_body(struct stage *s, bool passed)
{
    json_t *body = bound_body(s, "check", "tests");
    json_object_set_new(body, "passed", json_boolean(passed));
    json_object_set_new(body, "evidence", json_string("{\"argv\":[\"true\"],\"exit\":0}"));
    return body;
}

static inline void sign_all(struct stage *s)
{
    tell_ok(s, "release_check", "ci", check_body(s, true));
    tell_ok(s, "release_sign", "quinn", bound_body(s, "role", "qa"));
    tell_ok(s, "release_sign", "rita", bound_body(s, "role", "boss"));
}

/* The release is in production, at ten percent. */
static inline void go_to_production(struct stage *s)
{
    tell_ok(s, "release_start", "mara", start_body());
    sign_all(s);
    reach(s, "live", 3);
}

/* ------------------------------------------------------------------ looking at flags */

static inline bool has_rule(struct stage *s, const char *env, const char *key)
{
    struct store_read *r;
    struct slice record;
    struct flag *f;
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(store_record_get(r, kit_env(s->kit, env).id, slice_str(key), &record),
                     HOIST_OK);
    assert_int_equal(record_decode(slice_str(key), record, &f, NULL), HOIST_OK);
    bool has = f->targeting.count > 0;
    flag_free(f);
    store_read_end(r);
    return has;
}

static inline void all_as(struct stage *s, const char *env, bool rules)
{
    assert_int_equal(has_rule(s, env, "a.enabled"), rules);
    assert_int_equal(has_rule(s, env, "b.enabled"), rules);
}

/* ------------------------------------------------------------------ setting up */

static inline int stage_setup(void **state)
{
    struct stage *s = mem_zalloc(1, sizeof *s);
    fleet_setup((void **)&s->kit);
    kit_do(s->kit, "env_create", "{\"env\":\"staging\"}", "changed");
    for (int i = 0; i < 2; i++) {
        char body[128];
        for (int e = 0; e < 2; e++) {
            snprintf(body, sizeof body, "{\"env\":\"%s\",\"key\":\"%s\",\"value\":\"off\"}",
                     e ? "staging" : "production", i ? "b.enabled" : "a.enabled");
            kit_do(s->kit, "set", body, "changed");
        }
    }
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
    s->answers[0] = s->answers[1] = (struct release_answer){RELEASE_PASS, 0};
    *state = s;
    return 0;
}

static inline int stage_teardown(void **state)
{
    struct stage *s = *state;
    releases_close(s->releases);
    fleet_teardown((void **)&s->kit);
    mem_free(s);
    return 0;
}

/* As a primary that was killed and comes back. */
static inline void restart(struct stage *s)
{
    releases_close(s->releases);
    assert_int_equal(releases_open(s->kit->store, &s->releases), HOIST_OK);
}

#define RELEASE_TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

#endif
