/* A whole primary: its queue, its threads, its sockets (ipc, in the store's directory). */
#include "primary_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "primary/primary.h"
#include "repl/net.h"
#include "repl/rpc.h"

struct site {
    struct kit kit;
    struct primary *primary;
    char url[128];
};

static void site_start(struct site *s)
{
    const char *listen[] = {s->url};
    struct primary_config config = {
        .listen = listen, .listen_count = 1, .id = "p1", .software = "0.1.0", .role = "primary"};
    enum hoist_err err = primary_start(s->kit.store, &config, &s->primary);
    if (err != HOIST_OK)
        print_error("%s\n", err_last());
    assert_int_equal(err, HOIST_OK);
}

static struct site *site_new(uint64_t quota_bytes)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    kit_init(&s->kit, quota_bytes);
    snprintf(s->url, sizeof s->url, "ipc://%s/p.sock", s->kit.dir);
    site_start(s);
    return s;
}

static void site_free(struct site *s)
{
    primary_stop(s->primary);
    kit_done(&s->kit);
    mem_free(s);
}

static int setup(void **state)
{
    *state = site_new(0);
    return 0;
}

static int teardown(void **state)
{
    site_free(*state);
    return 0;
}

static struct told call(const char *url, uint64_t request, const char *name, const char *author,
                        const char *body)
{
    struct rpc_answer answer;
    struct frame_command f = {
        .name = slice_str(name), .author = slice_str(author), .body = slice_str(body)};
    memcpy(f.request, &request, sizeof request);
    enum hoist_err err = rpc_command(url, NULL, &f, 30000, &answer);
    if (err != HOIST_OK)
        print_error("%s: %s\n", name, err_last());
    assert_int_equal(err, HOIST_OK);
    struct told t = {answer.exit, kit_json(&answer.body)};
    rpc_answer_done(&answer);
    return t;
}

static uint64_t next_request(void)
{
    static _Atomic uint64_t last;
    return ++last;
}

static void call_ok(struct site *s, const char *name, const char *body)
{
    struct told t = call(s->url, next_request(), name, "", body);
    if (t.exit != EXIT_DONE)
        print_error("%s: %s\n", name, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
}

/* ------------------------------------------------------------------ */

static void a_new_primary_has_one_environment(void **state)
{
    struct site *s = *state;
    struct store_env env = kit_env(&s->kit, "production");
    assert_int_equal(env.head, 1);
    assert_true(env.epoch > (uint64_t)1600000000 << 24);
}

static void environments_are_made_in_the_order_they_are_named(void **state)
{
    (void)state;
    struct kit k;
    char url[128];
    struct primary *p;
    const char *envs[] = {"staging", "production"}, *listen[] = {url};
    struct primary_config config = {.envs = envs,
                                    .env_count = 2,
                                    .listen = listen,
                                    .listen_count = 1,
                                    .id = "p",
                                    .software = "x",
                                    .role = "primary"};
    kit_init(&k, 0);
    snprintf(url, sizeof url, "ipc://%s/p.sock", k.dir);
    assert_int_equal(primary_start(k.store, &config, &p), HOIST_OK);
    assert_string_equal(kit_env(&k, NULL).name, "staging");
    primary_stop(p);
    envs[0] = "production";
    envs[1] = "No Such Name!";
    assert_int_equal(primary_start(k.store, &config, &p), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "No Such Name!"));
    kit_done(&k);
}

static void commands_and_questions_are_answered(void **state)
{
    struct site *s = *state;
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    struct told t = call(s->url, next_request(), "get", "", "{\"key\":\"k\"}");
    assert_true(json_is_true(json_object_get(t.body, "value")));
    told_done(&t);
    t = call(s->url, next_request(), "status", "", "{}");
    assert_string_equal(kit_text(t.body, "role"), "primary");
    assert_string_equal(kit_text(t.body, "host"), "p1");
    told_done(&t);
    t = call(s->url, next_request(), "frobnicate", "", "{}");
    assert_int_not_equal(t.exit, EXIT_DONE);
    assert_non_null(strstr(kit_error(&t), "frobnicate"));
    told_done(&t);
    t = call(s->url, next_request(), "list", "", "not json");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

static void the_author_is_the_peers_user_unless_one_is_named(void **state)
{
    struct site *s = *state;
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    struct told t = call(s->url, next_request(), "get", "", "{\"key\":\"k\"}");
    assert_string_equal(kit_text(t.body, "author"), getpwuid(getuid())->pw_name);
    told_done(&t);
    t = call(s->url, next_request(), "set", "bea", "{\"key\":\"k\",\"value\":\"off\"}");
    told_done(&t);
    t = call(s->url, next_request(), "get", "", "{\"key\":\"k\"}");
    assert_string_equal(kit_text(t.body, "author"), "bea");
    told_done(&t);
}

static void a_command_that_is_repeated_is_done_once(void **state)
{
    struct site *s = *state;
    uint64_t request = next_request();
    struct told first = call(s->url, request, "set", "", "{\"key\":\"k\",\"value\":\"on\"}");
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"off\"}");
    struct told again = call(s->url, request, "set", "", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_true(json_equal(first.body, again.body));
    assert_int_equal(kit_env(&s->kit, "production").head, 3);
    told_done(&first);
    told_done(&again);
}

enum { CALLERS = 8, CALLS = 40 };

struct caller {
    struct site *site;
    int number;
};

static void *keep_calling(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < CALLS; i++) {
        char body[128];
        bool bad = i % 10 == 9;
        snprintf(body, sizeof body,
                 "{\"key\":\"c%d\",\"value\":\"%d\",\"type\":\"number\",\"message\":\"%d-%d\"%s}",
                 c->number, i, c->number, i, bad ? ",\"if_version\":\"1\"" : "");
        struct told t = call(c->site->url, next_request(), "set", "", body);
        assert_int_equal(t.exit, bad ? EXIT_CONFLICT : EXIT_DONE);
        told_done(&t);
    }
    return NULL;
}

static void many_callers_at_once_each_get_their_version_and_bad_ones_harm_none(void **state)
{
    struct site *s = *state;
    pthread_t threads[CALLERS];
    struct caller callers[CALLERS];
    enum { GOOD = CALLERS * (CALLS - CALLS / 10) };
    call_ok(s, "set", "{\"key\":\"first\",\"value\":\"on\"}");
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, keep_calling, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(kit_env(&s->kit, "production").head, 2 + GOOD);

    struct told t = kit_ask(&s->kit, "log", "{\"limit\":10000}");
    const json_t *changes = json_object_get(t.body, "changes");
    assert_int_equal(json_array_size(changes), 2 + GOOD);
    for (size_t i = 0; i + 1 < json_array_size(changes); i++)
        assert_string_equal(kit_text(json_array_get(changes, i), "prev"),
                            kit_text(json_array_get(changes, i + 1), "hash"));
    told_done(&t);
}

/* A number of flags as an apply's body; to be freed. */
static char *big_body(int count)
{
    struct buf b = BUF_INIT(16 << 20);
    buf_add_str(&b, "{\"flags\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&b,
                   "%s\"flag-number-%d\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":"
                   "false},\"defaultVariant\":\"on\"}",
                   i ? "," : "", i);
    buf_add_str(&b, "}}");
    char *body = kit_file(buf_str(&b), "");
    buf_done(&b);
    return body;
}

static void *apply_too_much(void *arg)
{
    struct site *s = arg;
    char *body = big_body(2000); /* long: it is read on the reader's thread */
    for (int i = 0; i < 5; i++) {
        struct told t = call(s->url, next_request(), "apply", "", body);
        assert_int_equal(t.exit, EXIT_NO);
        assert_string_equal(kit_text(json_object_get(t.body, "error"), "code"), "no-room");
        told_done(&t);
    }
    free(body);
    return NULL;
}

static void *set_little(void *arg)
{
    struct site *s = arg;
    for (int i = 0; i < 60; i++)
        call_ok(s, "set",
                i % 2 ? "{\"key\":\"k\",\"value\":\"on\"}" : "{\"key\":\"k\",\"value\":\"off\"}");
    return NULL;
}

static void only_the_change_that_has_no_room_is_refused(void **state)
{
    (void)state;
    struct site *s = site_new(32768);
    pthread_t big, little;
    assert_int_equal(pthread_create(&big, NULL, apply_too_much, s), 0);
    assert_int_equal(pthread_create(&little, NULL, set_little, s), 0);
    pthread_join(big, NULL);
    pthread_join(little, NULL);
    assert_int_equal(kit_env(&s->kit, "production").head, 61);
    assert_int_equal(kit_env(&s->kit, "production").flags, 1);
    assert_false(primary_is_broken(s->primary));
    site_free(s);
}

static void a_big_file_takes_the_long_way_and_arrives(void **state)
{
    struct site *s = *state;
    char *body = big_body(5000);
    assert_true(strlen(body) > 64 << 10);
    call_ok(s, "apply", body);
    assert_int_equal(kit_env(&s->kit, "production").flags, 5000);
    free(body);
}

static void changes_are_counted_by_what_came_of_them(void **state)
{
    struct site *s = *state;
    static const char applied[] = "hoist_changes_total{env=\"production\",result=\"applied\"} ",
                      conflict[] = "hoist_changes_total{env=\"production\",result=\"conflict\"} ",
                      rejected[] = "hoist_changes_total{env=\"production\",result=\"rejected\"} ";
    double a = kit_metric(applied), c = kit_metric(conflict), r = kit_metric(rejected);
    assert_true(a >= 0 && c >= 0 && r >= 0); /* there before the first is counted */
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}"); /* unchanged: not counted */
    struct told t = call(s->url, next_request(), "set", "",
                         "{\"key\":\"k\",\"value\":\"off\",\"if_version\":\"1\"}");
    told_done(&t);
    t = call(s->url, next_request(), "delete", "", "{\"key\":\"nobody\"}");
    told_done(&t);
    assert_true(kit_metric(applied) == a + 1);
    assert_true(kit_metric(conflict) == c + 1);
    assert_true(kit_metric(rejected) == r + 1);
    assert_true(kit_metric("hoist_hosts{env=\"production\",state=\"current\"} ") == 0);
    assert_true(kit_metric("hoist_txn_duration_seconds_count ") > 0);
    assert_true(kit_metric("hoist_store_version{env=\"production\"} ") == 2);
}

static void it_goes_on_where_it_stopped(void **state)
{
    struct site *s = *state;
    uint64_t request = next_request();
    struct told first = call(s->url, request, "set", "", "{\"key\":\"k\",\"value\":\"on\"}");
    uint64_t epoch = kit_env(&s->kit, "production").epoch;
    primary_stop(s->primary);
    site_start(s);
    struct told again = call(s->url, request, "set", "", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_true(json_equal(first.body, again.body));
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"off\"}");
    assert_int_equal(kit_env(&s->kit, "production").head, 3);
    assert_true(kit_env(&s->kit, "production").epoch == epoch);
    told_done(&first);
    told_done(&again);
}

static void *call_until_refused(void *arg)
{
    struct site *s = arg;
    struct frame_command f = {.name = SLICE("set"),
                              .body = SLICE("{\"key\":\"k\",\"value\":\"on\"}")};
    for (int i = 0; i < 100000; i++) {
        struct rpc_answer answer;
        uint64_t request = next_request();
        memcpy(f.request, &request, sizeof request);
        if (rpc_command(s->url, NULL, &f, 300, &answer) != HOIST_OK)
            return NULL;
        rpc_answer_done(&answer);
    }
    return NULL;
}

static void stop_while_commands_come(struct site *s)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_until_refused, s), 0);
    usleep(100000);
    primary_stop(s->primary);
    s->primary = NULL;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* A stop that waits for nng in vain takes longer, and so does each one behind it. */
static bool stops_at_once(struct site *s)
{
    site_start(s);
    call_ok(s, "status", "{}");
    int64_t began_ms = clock_mono_ms();
    primary_stop(s->primary);
    s->primary = NULL;
    return clock_mono_ms() - began_ms < NET_CLOSE_MS;
}

/* Whatever a connection was about to do when it was closed, nng lets go of it. */
static void it_stops_while_commands_come(void **state)
{
    struct site *s = *state;
    for (int i = 0; i < 10; i++) {
        stop_while_commands_come(s);
        site_start(s);
    }
    primary_stop(s->primary);
    assert_true(stops_at_once(s) || stops_at_once(s) || stops_at_once(s)); /* on a busy machine */
}

/* From here on LMDB cannot write its meta page: the descriptor that it uses for that alone, which
 * is the synchronous one, is made one that cannot be written. */
static void break_the_disk(void)
{
    char link[64], path[256];
    int broken = 0;
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        path[len > 0 ? len : 0] = '\0';
        if (!strstr(path, "/data.mdb") || !(fcntl(fd, F_GETFL) & O_DSYNC))
            continue;
        int nowhere = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dup2(nowhere, fd), fd);
        close(nowhere);
        broken++;
    }
    assert_int_equal(broken, 1);
}

static void a_disk_that_fails_in_a_commit_leaves_the_outcome_unknown(void **state)
{
    struct site *s = *state;
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    break_the_disk();
    struct told t = call(s->url, next_request(), "set", "", "{\"key\":\"k\",\"value\":\"off\"}");
    assert_int_equal(t.exit, EXIT_NO_ANSWER);
    assert_non_null(strstr(kit_mend(&t), "flagctl log"));
    told_done(&t);
    assert_true(primary_is_broken(s->primary));
    t = call(s->url, next_request(), "set", "", "{\"key\":\"z\",\"value\":\"off\"}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_error(&t), "no more"));
    told_done(&t);

    primary_stop(s->primary);
    store_close(s->kit.store);
    struct store_options options = {.write = true, .primary = true};
    assert_int_equal(store_open(s->kit.dir, &options, &s->kit.store), HOIST_OK);
    site_start(s);
    assert_false(primary_is_broken(s->primary));
    uint64_t head = kit_env(&s->kit, "production").head;
    assert_true(head == 2 || head == 3);
    call_ok(s, "set", "{\"key\":\"other\",\"value\":\"on\"}");
    assert_int_equal(kit_env(&s->kit, "production").head, head + 1);
}

static void a_taken_address_leaves_nothing_behind(void **state)
{
    struct site *s = *state;
    struct kit k;
    struct primary *p;
    const char *listen[] = {s->url};
    struct primary_config config = {
        .listen = listen, .listen_count = 1, .id = "p2", .software = "x", .role = "primary"};
    kit_init(&k, 0);
    assert_int_equal(primary_start(k.store, &config, &p), HOIST_EBUSY);
    kit_done(&k);
    call_ok(s, "set", "{\"key\":\"k\",\"value\":\"on\"}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_new_primary_has_one_environment),
        cmocka_unit_test(environments_are_made_in_the_order_they_are_named),
        T(commands_and_questions_are_answered),
        T(the_author_is_the_peers_user_unless_one_is_named),
        T(a_command_that_is_repeated_is_done_once),
        T(many_callers_at_once_each_get_their_version_and_bad_ones_harm_none),
        cmocka_unit_test(only_the_change_that_has_no_room_is_refused),
        T(a_big_file_takes_the_long_way_and_arrives),
        T(changes_are_counted_by_what_came_of_them),
        T(it_goes_on_where_it_stopped),
        T(it_stops_while_commands_come),
        T(a_disk_that_fails_in_a_commit_leaves_the_outcome_unknown),
        T(a_taken_address_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
