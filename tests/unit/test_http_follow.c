/* What a sink is told of releases: which of their events, once each, from where its cursor stands. */
#include "primary_kit.h"

#include "http/follow.h"
#include "release/plan_file.h"
#include "store/write_int.h"

#define PLAN(sinks, name)                                                                          \
    "release: " name "\n"                                                                          \
    "title: A demonstration\n"                                                                     \
    "owner: mara\n"                                                                                \
    "author: mara\n"                                                                               \
    "flags: [a.enabled]\n"                                                                         \
    "guards: [{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= "      \
    "30'}]\n"                                                                                      \
    "sinks: [" sinks "]\n"                                                                         \
    "announce: {contact: 'the <on-call> of mara'}\n"                                               \
    "phases:\n"                                                                                    \
    "  flags: {steps: []}\n"                                                                       \
    "  monitoring: {steps: []}\n"                                                                  \
    "  staging: {steps: []}\n"                                                                     \
    "  production: {env: production, steps: [{percent: 100, soak: 1m, exposed: 5}]}\n"             \
    "  watch: {steps: []}\n"

static const char plan_text[] = PLAN("{name: team, url_ref: ops}", "demo");
static const char other_plan_text[] = PLAN("", "other");

static const char watched_plan_text[] =
    "release: watched\n"
    "title: A demonstration\n"
    "owner: mara\n"
    "author: mara\n"
    "flags: [a.enabled]\n"
    "interval: 1s\n"
    "roles: {boss: [rita]}\n"
    "guards: [{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= "
    "30'}]\n"
    "sinks: [{name: team, url_ref: ops}]\n"
    "announce: {contact: olga}\n"
    "phases:\n"
    "  flags: {steps: []}\n"
    "  monitoring: {steps: []}\n"
    "  staging: {steps: []}\n"
    "  production: {env: production, steps: [{percent: 100, soak: 3s, exposed: 5}]}\n"
    "  watch:\n"
    "    coverage: [{from: 2023-11-14T00:00:00Z, to: 2023-11-16T00:00:00Z, who: olga}]\n"
    "    steps: [{soak: 3s, sign: {boss: launched}}]\n";

/* ------------------------------------------------------------------ releases */

static void put_row(struct kit *k, uint32_t id, uint64_t sequence, struct slice row)
{
    struct store_write *w;
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(store_release_put(w, id, sequence, row), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

/* A row that is not what was written. */
static void spoil(struct kit *k, uint32_t id, uint64_t sequence)
{
    struct store_write *w;
    uint8_t key[12];
    be32_write(key, id);
    be64_write(key + 4, sequence);
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(
        write_put(w, DB_RELEASES, val_of(slice_of(key, sizeof key)), SLICE("12345678 damaged"), 0),
        HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
}

static void put_event(struct kit *k, uint32_t id, uint64_t sequence, struct release_event e)
{
    struct buf row = BUF_INIT(1 << 20);
    e.boot = 1;
    e.boot_ms = sequence * 1000;
    e.wall_ms = 1700000000000 + (int64_t)sequence * 1000;
    assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
    put_row(k, id, sequence, buf_slice(&row));
    buf_done(&row);
}

static void start(struct kit *k, uint32_t id, const char *text)
{
    struct release_plan *plan;
    struct problems problems = {0}, warnings = {0};
    struct release_event e = {.kind = RELEASE_STARTED,
                              .by = SLICE("mara"),
                              .fleet_count = 1,
                              .fleet = {{.version = 3, .live = 1}}};
    assert_int_equal(release_plan_read(slice_str(text), &plan, &problems, &warnings), HOIST_OK);
    memcpy(e.bound.plan, plan->hash, HASH_SIZE);
    e.bound.commit = SLICE("c0ffee");
    put_row(k, id, 0, slice_str(text));
    put_event(k, id, 1, e);
    put_event(k, id, 2, (struct release_event){.kind = RELEASE_CHANGED, .version = 4});
    problems_done(&problems);
    problems_done(&warnings);
    release_plan_free(plan);
}

static struct release_event held(const char *why)
{
    return (struct release_event){
        .kind = RELEASE_HELD, .by = SLICE("olga"), .text = slice_str(why)};
}

static struct release_event aborted(void)
{
    return (struct release_event){
        .kind = RELEASE_ABORTED, .by = SLICE("olga"), .text = SLICE("it burns")};
}

static const struct release_event noted = {
    .kind = RELEASE_NOTED, .by = {(const uint8_t *)"olga", 4}, .text = {(const uint8_t *)"hm", 2}};

/* ------------------------------------------------------------------ a sink */

enum { NO_DBI = 1 << 16 }; /* LMDB refuses it */

struct heard {
    struct cursor cursor;
    struct follow follow;
    struct buf said;   /* "NUMBER/SEQUENCE its first line; " */
    bool told;         /* the next is taken, else it stays */
    struct db *breaks; /* this store cannot be read any more once something is heard */
};

static void hear(void *arg, size_t at, const struct release_news *n)
{
    struct heard *h = arg;
    if (!h->told)
        return;
    buf_printf(&h->said, "%u/%u %s; ", n->id, (unsigned)n->sequence, n->said->lines[0].text);
    h->cursor.envs[at].version = n->sequence;
    if (h->breaks)
        h->breaks->dbi[DB_RELEASES] = NO_DBI;
}

static void sink_begin(struct kit *k, const char *dir, const char *name, struct heard *ret)
{
    struct store_read *r;
    *ret = (struct heard){.said = BUF_INIT(1 << 16), .told = true};
    assert_int_equal(cursor_open(dir, name, &ret->cursor), HOIST_OK);
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(follow_begin(&ret->follow, name, &ret->cursor, r), HOIST_OK);
    store_read_end(r);
    ret->cursor.is_new = false;
}

static void sink_end(struct heard *h)
{
    assert_int_equal(cursor_write(&h->cursor), HOIST_OK);
    follow_done(&h->follow);
    cursor_done(&h->cursor);
    buf_done(&h->said);
}

/* Look until there is nothing more: what was heard. */
static const char *hears(struct kit *k, struct heard *h)
{
    struct store_read *r;
    buf_clear(&h->said);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
        (void)follow_look(&h->follow, r, hear, h);
        store_read_end(r);
    }
    return buf_str(&h->said);
}

static char dir[] = "/dev/shm/hoist-follow-XXXXXX";

static int setup(void **state)
{
    struct kit *k = mem_zalloc(1, sizeof *k);
    kit_init(k, 0);
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    *state = k;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[128];
    static const char *const names[] = {"ops", "audit"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/notify-%s", dir, names[i]);
        (void)remove(path);
    }
    (void)remove(dir);
    kit_done(*state);
    mem_free(*state);
    return 0;
}

/* ------------------------------------------------------------------ tests */

static void it_hears_what_moves_a_release_and_who_stops_it(void **state)
{
    struct kit *k = *state;
    struct heard ops, audit;
    sink_begin(k, dir, "ops", &ops);
    sink_begin(k, dir, "audit", &audit);
    start(k, 1, plan_text);
    start(k, 2, other_plan_text);
    put_event(k, 1, 3, noted);
    put_event(k, 1, 4, held("a holiday"));
    put_event(k, 1, 5, (struct release_event){.kind = RELEASE_RESTARTED});
    put_event(k, 1, 6, (struct release_event){.kind = RELEASE_RESUMED, .by = SLICE("olga")});
    put_event(k, 1, 7, aborted());
    assert_string_equal(hears(k, &ops), "1/1 started by mara; 1/4 held by olga: a holiday; "
                                        "1/6 resumed by olga; "
                                        "1/7 rolling back at step 1 of 1, production: 100% of "
                                        "production: olga: it burns; ");
    assert_string_equal(hears(k, &audit), ""); /* no plan names it */
    sink_end(&ops);
    sink_end(&audit);
}

static void what_was_not_told_is_after_a_restart_and_what_was_is_not(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, plan_text);
    assert_string_equal(hears(k, &ops), "1/1 started by mara; ");
    put_event(k, 1, 3, held("a holiday"));
    ops.told = false; /* it is away */
    assert_string_equal(hears(k, &ops), "");
    sink_end(&ops);
    put_event(k, 1, 4, (struct release_event){.kind = RELEASE_RESUMED, .by = SLICE("olga")});
    sink_begin(k, dir, "ops", &ops);
    assert_string_equal(hears(k, &ops), "1/3 held by olga: a holiday; 1/4 resumed by olga; ");
    sink_end(&ops);
}

static void a_sink_that_is_new_hears_what_happens_from_then_on(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    start(k, 1, plan_text);
    sink_begin(k, dir, "ops", &ops);
    assert_string_equal(hears(k, &ops), "");
    put_event(k, 1, 3, held("a holiday"));
    assert_string_equal(hears(k, &ops), "1/3 held by olga: a holiday; ");
    sink_end(&ops);
}

static struct release_event good_round(uint32_t step)
{
    return (struct release_event){.kind = RELEASE_TICK,
                                  .step = step,
                                  .exposed = 5,
                                  .asked = 1,
                                  .answers = {{RELEASE_PASS, 1}},
                                  .fleet_count = 1,
                                  .fleet = {{.version = 4, .live = 1}}};
}

/* A signature is missing still: nothing else moves. */
static void it_hears_that_a_report_is_due_before_anybody_signs(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, watched_plan_text);
    for (uint64_t sequence = 3; sequence <= 7; sequence++)
        put_event(k, 1, sequence, good_round(0));
    assert_string_equal(hears(k, &ops), "1/1 started by mara; 1/7 step 2 of 2, watch; ");
    for (uint64_t sequence = 8; sequence <= 10; sequence++)
        put_event(k, 1, sequence, good_round(1));
    assert_string_equal(hears(k, &ops), "");
    for (uint64_t sequence = 11; sequence <= 13; sequence++)
        put_event(k, 1, sequence, good_round(1));
    assert_string_equal(hears(k, &ops), "1/11 watched for 3s: its report is flagctl release report "
                                        "watched --at 3s; ");
    sink_end(&ops);
}

static uint64_t place(struct heard *h, const char *name)
{
    for (size_t i = 0; i < h->cursor.count; i++)
        if (strcmp(h->cursor.envs[i].env, name) == 0)
            return h->cursor.envs[i].version;
    return 0;
}

/* Nothing of it need be read again, nor kept. */
static void a_release_that_has_ended_leaves_the_cursor(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    struct release_event back = {.kind = RELEASE_CHANGED, .step = RELEASE_BASELINE, .version = 5};
    struct release_event tick = {
        .kind = RELEASE_TICK, .fleet_count = 1, .fleet = {{.version = 5, .live = 1}}};
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, plan_text);
    put_event(k, 1, 3, aborted());
    put_event(k, 1, 4, back);
    assert_non_null(strstr(hears(k, &ops), "1/3 rolling back"));
    assert_int_equal(place(&ops, "release/1"), 4);
    put_event(k, 1, 5, tick);
    assert_string_equal(hears(k, &ops), "1/5 rolled back: every live host has the baseline; ");
    assert_int_equal(place(&ops, "release/1"), 0);
    assert_int_equal(place(&ops, "release/done"), 1);
    start(k, 2, plan_text);
    sink_end(&ops);
    sink_begin(k, dir, "ops", &ops);
    assert_string_equal(hears(k, &ops), "2/1 started by mara; ");
    sink_end(&ops);
}

static void what_cannot_be_read_is_counted_and_holds_up_no_other(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, plan_text);
    put_row(k, 1, 3, SLICE("\xc1 no event"));
    start(k, 2, plan_text);
    assert_string_equal(hears(k, &ops), "1/1 started by mara; 2/1 started by mara; ");
    assert_int_equal(ops.follow.lost, 1);
    sink_end(&ops);
}

/* As when memory is out: the next look finds it again. */
static void a_release_that_cannot_be_read_for_a_moment_is_told_later(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, plan_text);
    start(k, 2, plan_text);
    struct db *db = k->store->db;
    MDB_dbi dbi = db->dbi[DB_RELEASES];
    ops.breaks = db;
    assert_string_equal(hears(k, &ops), "1/1 started by mara; ");
    ops.breaks = NULL;
    db->dbi[DB_RELEASES] = dbi;
    assert_int_equal(ops.follow.lost, 0);
    assert_string_equal(hears(k, &ops), "2/1 started by mara; ");
    sink_end(&ops);
}

static void a_damaged_plan_is_passed_and_holds_up_no_other(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    start(k, 1, plan_text);
    start(k, 2, plan_text);
    spoil(k, 2, 0);
    start(k, 3, plan_text);
    assert_string_equal(hears(k, &ops), "1/1 started by mara; 3/1 started by mara; ");
    assert_int_equal(ops.follow.lost, 1);
    sink_end(&ops);
}

static void a_damaged_plan_among_what_needs_no_telling_keeps_no_sink_from_its_begin(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    cursor_place(&ops.cursor, "release/done", 0)->version = 2;
    sink_end(&ops);
    start(k, 1, plan_text);
    start(k, 2, plan_text);
    spoil(k, 1, 0);
    sink_begin(k, dir, "ops", &ops);
    start(k, 3, plan_text);
    assert_string_equal(hears(k, &ops), "3/1 started by mara; ");
    assert_int_equal(ops.follow.lost, 0); /* nobody asked for it */
    sink_end(&ops);
}

static void a_store_that_was_set_back_is_followed_from_there(void **state)
{
    struct kit *k = *state;
    struct heard ops;
    sink_begin(k, dir, "ops", &ops);
    cursor_place(&ops.cursor, "release/done", 0)->version = 9;
    sink_end(&ops);
    start(k, 1, plan_text);
    sink_begin(k, dir, "ops", &ops);
    assert_string_equal(hears(k, &ops), "");
    start(k, 2, plan_text);
    assert_string_equal(hears(k, &ops), "2/1 started by mara; ");
    cursor_place(&ops.cursor, "release/2", 0)->version = 99;
    assert_string_equal(hears(k, &ops), "");
    put_event(k, 2, 3, held("a holiday"));
    assert_string_equal(hears(k, &ops), "2/3 held by olga: a holiday; ");
    sink_end(&ops);
}

#define FOLLOW_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(it_hears_what_moves_a_release_and_who_stops_it),
        FOLLOW_TEST(what_was_not_told_is_after_a_restart_and_what_was_is_not),
        FOLLOW_TEST(a_sink_that_is_new_hears_what_happens_from_then_on),
        FOLLOW_TEST(it_hears_that_a_report_is_due_before_anybody_signs),
        FOLLOW_TEST(a_release_that_has_ended_leaves_the_cursor),
        FOLLOW_TEST(what_cannot_be_read_is_counted_and_holds_up_no_other),
        FOLLOW_TEST(a_release_that_cannot_be_read_for_a_moment_is_told_later),
        FOLLOW_TEST(a_damaged_plan_is_passed_and_holds_up_no_other),
        FOLLOW_TEST(a_damaged_plan_among_what_needs_no_telling_keeps_no_sink_from_its_begin),
        FOLLOW_TEST(a_store_that_was_set_back_is_followed_from_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
