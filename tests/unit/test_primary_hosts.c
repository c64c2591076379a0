/* A whole primary with real agents, in one process. */
#include "primary_kit.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "primary/primary.h"
#include "repl/agent.h"
#include "repl/rpc.h"

struct site {
    struct kit kit;
    struct primary *primary;
    char url[128], host_dir[64];
    struct store *host;
    struct agent *agent;
};

static void primary_begin(struct site *s)
{
    const char *listen[] = {s->url};
    struct primary_config config = {
        .listen = listen, .listen_count = 1, .id = "p1", .software = "0.1.0", .role = "primary"};
    assert_int_equal(primary_start(s->kit.store, &config, &s->primary), HOIST_OK);
}

static void open_agent(struct site *s)
{
    static const char *const envs[] = {"production"}, *const labels[] = {"ring=canary", "zone="};
    const char *upstreams[] = {s->url};
    struct agent_config config = {.id = "host1",
                                  .software = "0.1.0",
                                  .upstreams = upstreams,
                                  .upstream_count = 1,
                                  .envs = envs,
                                  .env_count = 1,
                                  .labels = labels,
                                  .label_count = 2};
    assert_int_equal(agent_start(s->host, &config, &s->agent), HOIST_OK);
}

static int setup(void **state)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    struct store_options options = {.write = true};
    kit_init(&s->kit, 0);
    kit_do(&s->kit, "env_create", "{\"env\":\"production\"}", "changed");
    snprintf(s->url, sizeof s->url, "ipc://%s/p.sock", s->kit.dir);
    snprintf(s->host_dir, sizeof s->host_dir, "/tmp/hoist-host-XXXXXX");
    assert_non_null(mkdtemp(s->host_dir));
    assert_int_equal(store_open(s->host_dir, &options, &s->host), HOIST_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    agent_stop(s->agent);
    primary_stop(s->primary);
    store_close(s->host);
    kit_done(&s->kit);
    nftw(s->host_dir, kit_remove, 16, FTW_DEPTH | FTW_PHYS);
    mem_free(s);
    return 0;
}

static struct told call(struct site *s, const char *name, const char *body)
{
    static uint8_t request;
    struct rpc_answer answer;
    struct frame_command f = {
        .request = {++request, 7}, .name = slice_str(name), .body = slice_str(body)};
    enum hoist_err err = rpc_command(s->url, NULL, &f, 30000, &answer);
    if (err != HOIST_OK)
        print_error("%s: %s\n", name, err_last());
    assert_int_equal(err, HOIST_OK);
    struct told t = {answer.exit, kit_json(&answer.body)};
    rpc_answer_done(&answer);
    return t;
}

static bool has_member(const json_t *host, const char *member, const char *want)
{
    char *text = json_dumps(json_object_get(host, member), JSON_COMPACT | JSON_ENCODE_ANY);
    bool has = text && strstr(text, want);
    free(text);
    return has;
}

/* Until the one host is shown with `want` in its `member`; NULL when it is not in time. */
static json_t *wait_for(struct site *s, const char *member, const char *want)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    while (clock_mono_ms() < until_ms) {
        struct told t = call(s, "fleet", "{}");
        json_t *host = json_array_get(json_object_get(t.body, "hosts"), 0);
        bool has = has_member(host, member, want);
        json_t *kept = has ? json_incref(host) : NULL;
        told_done(&t);
        if (kept)
            return kept;
        usleep(5000);
    }
    fail_msg("no host with '%s' in %s", want, member);
    return NULL;
}

/* Flag `key` becomes a record of a major version that nobody knows yet; or it is deleted. */
static void put_raw(struct kit *k, const char *key, bool unreadable)
{
    struct store_write *w;
    struct store_env env = kit_env(k, "production");
    struct buf edits = BUF_INIT(4096), bytes = BUF_INIT(8192);
    struct change c;
    struct change_header head = {.env = SLICE("production"),
                                 .epoch = env.epoch,
                                 .version = env.head + 1,
                                 .author = SLICE("ana"),
                                 .kind = CHANGE_SET,
                                 .edits_count = 1};
    memcpy(head.prev, env.hash, HASH_SIZE);
    edits_begin(&edits, 1);
    if (unreadable)
        edits_put(&edits, slice_str(key),
                  SLICE("\x9b\x09\x00\xc3\x01\x90\xc0\xc0\xc0\xc0\xc0\xc0"));
    else
        edits_delete(&edits, slice_str(key));
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(store_change_stage(w, env.id, buf_slice(&edits), head.version, head.digest),
                     HOIST_OK);
    assert_int_equal(change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL),
                     HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&bytes), &c), HOIST_OK);
    assert_int_equal(store_change_log(w, env.id, &c), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    buf_done(&edits);
    buf_done(&bytes);
}

/* ------------------------------------------------------------------ */

static void a_host_that_cannot_read_one_flag_is_shown_with_why_and_has_all_else(void **state)
{
    struct site *s = *state;
    kit_do(&s->kit, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    put_raw(&s->kit, "later", true);
    kit_do(&s->kit, "set", "{\"key\":\"z\",\"value\":\"on\"}", "changed");
    primary_begin(s);
    open_agent(s);
    json_t *host = wait_for(s, "refused", "\"later\"");
    assert_string_equal(kit_text(host, "id"), "host1");
    assert_string_equal(kit_text(host, "state"), "refusing");
    assert_int_equal(json_integer_value(json_object_get(host, "version")), 4);
    assert_int_equal(json_integer_value(json_object_get(host, "lag")), 0);
    const json_t *refused = json_array_get(json_object_get(host, "refused"), 0);
    /* It came with a snapshot, which is of the head. */
    assert_int_equal(json_integer_value(json_object_get(refused, "version")), 4);
    assert_true(strlen(kit_text(refused, "why")) > 5);
    json_decref(host);

    primary_stop(s->primary);
    put_raw(&s->kit, "later", false);
    primary_begin(s);
    host = wait_for(s, "version", "5");
    json_decref(host);
    host = wait_for(s, "state", "current");
    assert_int_equal(json_array_size(json_object_get(host, "refused")), 0);
    json_decref(host);
}

static void a_change_is_waited_for_and_measured(void **state)
{
    struct site *s = *state;
    static const char count[] =
        "hoist_convergence_duration_seconds_count{env=\"production\",kind=\"change\"} ";
    primary_begin(s);
    assert_true(kit_metric(count) >= 0); /* there before the first is measured */
    assert_true(kit_metric("_duration_seconds_count{env=\"production\",kind=\"kill\"} ") == 0);
    assert_true(
        kit_metric("hoist_kill_duration_seconds_count{env=\"production\",trigger=\"operator\"} ") >=
        0);
    assert_true(kit_metric("_duration_seconds_count{env=\"production\",kind=\"rollback\"} ") == 0);
    open_agent(s);
    json_decref(wait_for(s, "state", "current"));
    double before = kit_metric(count);
    struct told t = call(s, "set", "{\"key\":\"k\",\"value\":\"on\"}"), asked = {0, NULL};
    char body[128];
    snprintf(body, sizeof body, "{\"epoch\":\"%s\",\"version\":2}", kit_text(t.body, "epoch"));
    told_done(&t);
    int64_t until_ms = clock_mono_ms() + 20000;
    do {
        told_done(&asked);
        asked = call(s, "wait", body);
        assert_int_equal(asked.exit, EXIT_DONE);
    } while (!json_is_true(json_object_get(asked.body, "reached")) && clock_mono_ms() < until_ms);
    assert_true(json_is_true(json_object_get(asked.body, "reached")));
    assert_int_equal(json_integer_value(json_object_get(asked.body, "hosts")), 1);
    assert_int_equal(json_integer_value(json_object_get(asked.body, "have")), 1);
    assert_true(json_number_value(json_object_get(asked.body, "ms")) > 0);
    assert_true(kit_metric(count) == before + 1);
    told_done(&asked);
}

static void a_primary_that_starts_anew_knows_whom_it_has_not_heard(void **state)
{
    struct site *s = *state;
    primary_begin(s);
    open_agent(s);
    json_decref(wait_for(s, "state", "current"));
    struct store_read *r;
    struct slice id, row;
    bool kept = false;
    for (int64_t until_ms = clock_mono_ms() + 20000; !kept && clock_mono_ms() < until_ms;) {
        assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
        kept = store_host_next(r, (struct slice){0}, &id, &row) == HOIST_OK;
        store_read_end(r);
    }
    assert_true(kept);
    agent_stop(s->agent);
    s->agent = NULL;
    primary_stop(s->primary);
    primary_begin(s);
    struct told t = call(s, "fleet", "{\"labels\":{\"ring\":\"canary\",\"zone\":\"\"}}");
    const json_t *host = json_array_get(json_object_get(t.body, "hosts"), 0);
    assert_string_equal(kit_text(host, "id"), "host1");
    assert_string_equal(kit_text(json_object_get(host, "labels"), "ring"), "canary");
    told_done(&t);
    t = call(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    char body[128];
    snprintf(body, sizeof body, "{\"epoch\":\"%s\",\"version\":2}", kit_text(t.body, "epoch"));
    told_done(&t);
    t = call(s, "wait", body); /* it counts as live, so soon after the start */
    assert_string_equal(json_string_value(json_array_get(json_object_get(t.body, "missing"), 0)),
                        "host1");
    told_done(&t);
    t = call(s, "host_retire", "{\"host\":\"host1\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
    t = call(s, "wait", body);
    assert_true(json_is_true(json_object_get(t.body, "reached")));
    told_done(&t);
    t = call(s, "fleet", "{}");
    assert_int_equal(json_array_size(json_object_get(t.body, "hosts")), 0);
    told_done(&t);
}

static void questions_with_wrong_arguments_are_bad_input(void **state)
{
    struct site *s = *state;
    static const char *const asked[][2] = {
        {"fleet", "{\"env\":5}"},
        {"fleet", "{\"env\":\"nowhere\"}"},
        {"fleet", "{\"behind\":\"yes\"}"},
        {"fleet", "{\"labels\":[]}"},
        {"fleet", "{\"labels\":{\"ring\":1}}"},
        {"wait", "{}"},
        {"wait", "{\"epoch\":\"x\",\"version\":1}"},
        {"wait", "{\"epoch\":\"0000000000000001\",\"version\":0}"},
        {"wait", "{\"epoch\":\"0000000000000001\",\"version\":1,\"percent\":0}"},
        {"wait", "{\"epoch\":\"0000000000000001\",\"version\":1,\"percent\":101}"},
        {"wait", "{\"epoch\":\"7fffffffffffffff\",\"version\":1}"}, /* not begun yet */
        {"host_retire", "{\"host\":5}"},
    };
    primary_begin(s);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct told t = call(s, asked[i][0], asked[i][1]);
        if (t.exit != EXIT_INPUT)
            print_error("%s %s: exit %u\n", asked[i][0], asked[i][1], t.exit);
        assert_int_equal(t.exit, EXIT_INPUT);
        assert_true(*kit_error(&t));
        told_done(&t);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_host_that_cannot_read_one_flag_is_shown_with_why_and_has_all_else),
        T(a_change_is_waited_for_and_measured),
        T(a_primary_that_starts_anew_knows_whom_it_has_not_heard),
        T(questions_with_wrong_arguments_are_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
