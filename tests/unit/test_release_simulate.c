#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "../release_samples.h"
#include "base/mem.h"
#include "flag/json_read.h"
#include "release/event_json.h"
#include "release/scenario.h"
#include "release/simulate.h"

static struct sample sample;
static const int64_t monday = INT64_C(1795420800000); /* 2026-11-23T08:00Z */

static int begin(void **state)
{
    sample_plan(&sample);
    (void)state;
    return 0;
}

/* A JSON text in which ' stands for ". */
static const char *quoted(const char *text)
{
    static char out[4096];
    snprintf(out, sizeof out, "%s", text);
    for (char *c = out; *c; c++)
        if (*c == '\'')
            *c = '"';
    return out;
}

static struct release_event some(enum release_event_kind kind)
{
    struct release_event e = {
        .kind = kind, .wall_ms = monday + 7, .boot = UINT64_MAX, .boot_ms = 9};
    uint32_t fields = release_event_fields(kind);
    e.step = fields & RELEASE_HAS_STEP ? kind == RELEASE_CHANGED ? RELEASE_BASELINE : 3 : 0;
    e.env = fields & RELEASE_HAS_ENV ? 1 : 0;
    e.flag = fields & RELEASE_HAS_FLAG ? 1 : 0;
    e.role = fields & RELEASE_HAS_ROLE ? 1 : 0;
    e.check = fields & RELEASE_HAS_CHECK ? 2 : 0;
    e.passed = fields & RELEASE_HAS_PASSED;
    e.version = fields & RELEASE_HAS_VERSION ? INT64_MAX : 0;
    e.exposed = fields & RELEASE_HAS_EXPOSED ? 12 : 0;
    if (fields & RELEASE_HAS_ANSWERS) {
        e.asked = 9;
        e.answers[0] = (struct release_answer){RELEASE_FAIL, 0.1};
        e.answers[3] = (struct release_answer){RELEASE_NODATA, 0};
    }
    if (fields & RELEASE_HAS_FLEET) {
        e.fleet_count = 2;
        e.fleet[0] = (struct release_fleet){0, 4, UINT32_MAX, 1, 2};
        e.fleet[1] = (struct release_fleet){1, 5, 6, 7, 8};
    }
    if (fields & RELEASE_HAS_BOUND) {
        memset(e.bound.plan, 0xab, HASH_SIZE);
        memset(e.bound.definitions, 0xcd, HASH_SIZE);
        e.bound.commit = SLICE("4f2a");
    }
    if (fields & RELEASE_HAS_BY)
        e.by = SLICE("zoë");
    if (fields & RELEASE_HAS_TEXT)
        e.text = SLICE("it said \"no\"\n");
    if (fields & RELEASE_HAS_EVIDENCE)
        e.evidence = SLICE("\x00\xff");
    return e;
}

/* Its row says whether two events are the same. */
static void same_row(const struct release_event *a, const struct release_event *b)
{
    struct buf x = BUF_INIT(RELEASE_ROW_MAX), y = BUF_INIT(RELEASE_ROW_MAX);
    assert_int_equal(release_event_encode(a, &x), HOIST_OK);
    assert_int_equal(release_event_encode(b, &y), HOIST_OK);
    assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
    buf_done(&x);
    buf_done(&y);
}

static void an_event_comes_back_from_its_json(void **state)
{
    for (int kind = 1; kind < RELEASE_EVENT_KINDS; kind++) {
        struct buf text = BUF_INIT(RELEASE_ROW_MAX);
        struct json_writer w = JSON_WRITER(&text, 0);
        struct arena arena = {0};
        struct release_event e = some((enum release_event_kind)kind), got;
        json_t *object;
        release_event_put_json(&w, &sample.plan, &e);
        assert_int_equal(json_read(buf_slice(&text), &object), HOIST_OK);
        if (release_event_read_json(&sample.plan, object, &arena, &got) != HOIST_OK)
            fail_msg("%s: %s", buf_str(&text), err_last());
        json_decref(object);
        same_row(&e, &got);
        arena_done(&arena);
        buf_done(&text);
    }
    (void)state;
}

static void what_a_row_names_beyond_the_plan_is_null(void **state)
{
    struct buf text = BUF_INIT(RELEASE_ROW_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    struct release_event e = some(RELEASE_KILLED);
    e.env = 4;
    e.flag = 63;
    release_event_put_json(&w, &sample.plan, &e);
    assert_non_null(strstr(buf_str(&text), "\"env\":null,\"flag\":null"));
    buf_done(&text);
    (void)state;
}

static const char short_story[] =
    "{'begin': '2026-11-23T08:00:00Z', 'by': 'ana', 'commit': '4f2a'}\n"
    "{'exposed': 100}\n"
    "{'at': '1m', 'sign': 'qa_lead', 'by': 'bob'}\n"
    "{'at': 'step 2 + 3m', 'guard': 'failures', 'value': 5}\n";

static enum hoist_err play(struct slice scenario, struct release_record *ret)
{
    const struct release_watcher nobody = {0};
    int64_t end_ms;
    uint32_t unused;
    return release_simulate(&sample.plan, scenario, monday, &nobody, ret, &end_ms, &unused);
}

static void a_short_story_ends_as_it_should(void **state)
{
    struct release_record r;
    assert_int_equal(play(slice_str(quoted(short_story)), &r), HOIST_OK);
    assert_int_equal(r.state, RELEASE_ENDED);
    assert_int_equal(r.cause, RELEASE_BY_GUARD);
    assert_int_equal(r.step, 1);
    (void)state;
}

static void any_allocation_may_fail(void **state)
{
    for (int n = 1;; n++) {
        struct release_record r = {.step = 99};
        mem_fail_at(n);
        enum hoist_err err = play(slice_str(quoted(short_story)), &r);
        if (!mem_did_fail())
            break;
        assert_int_equal(err, HOIST_ENOMEM);
        assert_int_equal(r.step, 99);
    }
    mem_fail_at(0);
    (void)state;
}

static void reading_an_event_may_fail_anywhere(void **state)
{
    struct buf text = BUF_INIT(RELEASE_ROW_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    struct release_event e = some(RELEASE_ATTESTED);
    release_event_put_json(&w, &sample.plan, &e);
    for (int n = 1;; n++) {
        struct scenario got = {0};
        mem_fail_at(n);
        enum hoist_err err = scenario_read(&sample.plan, buf_slice(&text), &got);
        if (!mem_did_fail()) {
            assert_int_equal(err, HOIST_OK);
            assert_int_equal(got.count, 1);
            scenario_done(&got);
            break;
        }
        assert_int_equal(err, HOIST_ENOMEM);
    }
    mem_fail_at(0);
    buf_done(&text);
    (void)state;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_comes_back_from_its_json),  TEST(what_a_row_names_beyond_the_plan_is_null),
        TEST(a_short_story_ends_as_it_should),    TEST(any_allocation_may_fail),
        TEST(reading_an_event_may_fail_anywhere),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
