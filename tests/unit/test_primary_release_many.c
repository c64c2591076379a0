/* What many releases cost on many hosts, and long logs at a start. Processor times are printed, not judged. */
#include "stage_kit.h"

#include "base/log.h"

enum { HOSTS = 100000, EVENTS = 20000 };

static const char plan_text[] =
    "release: %s\n"
    "title: One flag\n"
    "owner: mara\n"
    "author: mara\n"
    "flags: [%s]\n"
    "interval: 100ms\n"
    "guards: [{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}]\n"
    "announce: {contact: '#demo'}\n"
    "phases:\n"
    "  flags: {steps: []}\n"
    "  monitoring: {steps: []}\n"
    "  staging: {env: staging, steps: [{percent: 100, soak: 1h, exposed: 5}]}\n"
    "  production: {env: production, steps: [{percent: 100, soak: 1h, exposed: 5}]}\n"
    "  watch: {steps: []}\n";

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void start_one(struct stage *s, int n)
{
    char name[16], key[16], text[1200];
    snprintf(name, sizeof name, "r%d", n);
    snprintf(key, sizeof key, "f%d", n);
    for (int e = 0; e < 2; e++)
        tell_ok(s, "set", "ana",
                json_pack("{s:s,s:s,s:s}", "env", e ? "staging" : "production", "key", key, "value",
                          "off"));
    snprintf(text, sizeof text, plan_text, name, key);
    tell_ok(s, "release_start", "mara",
            json_pack("{s:s, s:s}", "plan", text, "commit", "0123abcd"));
}

/* Every tenth is a change behind in staging. */
static void hear_all(struct stage *s, int64_t now_ms)
{
    struct store_env envs[] = {kit_env(s->kit, "staging"), kit_env(s->kit, "production")};
    for (int h = 0; h < HOSTS; h++) {
        char id[16];
        struct env_head heads[2];
        snprintf(id, sizeof id, "h%06d", h);
        for (int i = 0; i < 2; i++) {
            heads[i] = (struct env_head){.name = slice_str(envs[i].name),
                                         .epoch = envs[i].epoch,
                                         .version = envs[i].head - (i == 0 && h % 10 == 0),
                                         .state = ENV_CURRENT};
            memcpy(heads[i].hash, envs[i].hash, HASH_SIZE);
        }
        struct frame_status status = says(id, heads);
        status.env_count = 2;
        hear_status(s->kit, &status, now_ms);
    }
}

static void round_in(struct stage *s, struct store_write *w, const struct release *r)
{
    struct answer a = ANSWER_INIT;
    struct release_round round = {.id = r->id, .step = r->record.step, .asked = 1};
    struct release_work work = {.w = w, .fleet = s->kit->fleet, .wall_ms = wall(), .answer = &a};
    round.answers[0].verdict = RELEASE_PASS;
    assert_int_equal(release_take_round(s->releases, &work, &round), HOIST_OK);
    answer_done(&a);
}

static void two_hundred_rounds_of_a_batch_know_how_the_hosts_stand(void **state)
{
    struct stage *s = *state;
    struct store_write *w;
    struct release *r;
    for (int i = 0; i < RELEASES_LIVE; i++)
        start_one(s, i);
    hear_all(s, clock_mono_ms() + 3600000); /* live for as long as this may take */
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    double began_ms = cpu_ms();
    releases_begin(s->releases);
    for (uint32_t n = 0; (r = releases_nth(s->releases, n)); n++)
        round_in(s, w, r);
    double took_ms = cpu_ms() - began_ms;
    assert_int_equal(store_write_commit(w), HOIST_OK);
    releases_committed(s->releases);
    print_message("a round of %d releases on %d hosts: %.1f ms\n", RELEASES_LIVE, HOSTS, took_ms);
    for (uint32_t n = 0; (r = releases_nth(s->releases, n)); n++) {
        const struct release_env_record *at = r->record.envs;
        bool newest = n == RELEASES_LIVE - 1;
        assert_int_equal(at[0].live, HOSTS);
        assert_int_equal(at[0].lagging, newest ? HOSTS / 10 : 0);
        assert_int_equal(at[1].lagging, 0);
    }
}

static void a_start_reads_long_logs(void **state)
{
    struct stage *s = *state;
    start_one(s, 0);
    for (int i = 0; i < EVENTS / 1000; i++) {
        struct store_write *w;
        assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
        releases_begin(s->releases);
        for (int k = 0; k < 1000; k++)
            round_in(s, w, releases_nth(s->releases, 0));
        assert_int_equal(store_write_commit(w), HOIST_OK);
        releases_committed(s->releases);
    }
    struct release_record before = releases_nth(s->releases, 0)->record;
    double began_ms = cpu_ms();
    restart(s);
    print_message("a start with %d events of a release: %.1f ms\n", EVENTS, cpu_ms() - began_ms);
    assert_memory_equal(&releases_nth(s->releases, 0)->record, &before, sizeof before);
}

/* Aborted, and everybody has the baseline. */
static void end_one(struct stage *s, int n)
{
    char name[16];
    snprintf(name, sizeof name, "r%d", n);
    tell_ok(s, "release_abort", "olga",
            json_pack("{s:s, s:s}", "release", name, "message", "enough"));
    hosts_have_it(s, true);
    assert_int_equal(try_round(s, slice_str(name)), HOIST_OK);
    assert_int_equal(releases_find(s->releases, slice_str(name))->record.state, RELEASE_ENDED);
}

static uint32_t noted(struct stage *s)
{
    struct store_read *r;
    uint32_t id = 0;
    assert_int_equal(store_read_begin(s->kit->store, false, &r), HOIST_OK);
    assert_int_equal(store_releases_ended(r, &id), HOIST_OK);
    store_read_end(r);
    return id;
}

static void note(struct stage *s, uint32_t id)
{
    struct store_write *w;
    assert_int_equal(store_write_begin(s->kit->store, &w), HOIST_OK);
    assert_int_equal(store_releases_end(w, id), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

static void a_start_reads_no_more_of_those_that_have_ended_than_are_kept(void **state)
{
    enum { MORE = 10 };
    struct stage *s = *state;
    start_one(s, 0);
    end_one(s, 0);
    start_one(s, 1); /* goes on */
    assert_int_equal(noted(s), 1);
    for (int i = 2; i < RELEASES_KEPT + MORE; i++) {
        start_one(s, i);
        end_one(s, i);
    }
    assert_int_equal(noted(s), 1);
    restart(s);
    assert_non_null(releases_find(s->releases, SLICE("r1")));
    assert_null(releases_find(s->releases, SLICE("r2"))); /* made room */
    end_one(s, 1);
    start_one(s, RELEASES_KEPT + MORE);
    assert_int_equal(noted(s), RELEASES_KEPT + MORE);
    restart(s);
    assert_null(releases_nth(s->releases, RELEASES_KEPT));
    assert_int_equal(releases_nth(s->releases, 0)->id, MORE + 2);
    assert_int_equal(releases_live(s->releases), 1);

    /* Were it noted of one that goes on, it would not be read: so none is, that it may be true of. */
    for (int i = 1; i <= RELEASES_KEPT; i++) {
        start_one(s, RELEASES_KEPT + MORE + i);
        end_one(s, RELEASES_KEPT + MORE + i);
    }
    note(s, 2 * RELEASES_KEPT + MORE + 1);
    restart(s);
    assert_int_equal(releases_live(s->releases), 0);
    note(s, 0);
    restart(s);
    assert_int_equal(releases_live(s->releases), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELEASE_TEST(two_hundred_rounds_of_a_batch_know_how_the_hosts_stand),
        RELEASE_TEST(a_start_reads_long_logs),
        RELEASE_TEST(a_start_reads_no_more_of_those_that_have_ended_than_are_kept),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
