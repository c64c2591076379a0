#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "release/event.h"
#include "wire/mp.h"

/* One of which every field has a value of its own. */
static struct release_event full(enum release_event_kind kind)
{
    struct release_event e = {.kind = kind, .wall_ms = -5, .boot = UINT64_MAX, .boot_ms = 77};
    uint32_t fields = release_event_fields(kind);
    if (fields & RELEASE_HAS_STEP)
        e.step = RELEASE_BASELINE;
    if (fields & RELEASE_HAS_ENV)
        e.env = RELEASE_ENVS_MAX - 1;
    if (fields & RELEASE_HAS_FLAG)
        e.flag = RELEASE_FLAGS_MAX - 1;
    if (fields & RELEASE_HAS_ROLE)
        e.role = RELEASE_ROLES_MAX - 1;
    if (fields & RELEASE_HAS_CHECK)
        e.check = RELEASE_CHECKS_MAX - 1;
    if (fields & RELEASE_HAS_PASSED)
        e.passed = true;
    if (fields & RELEASE_HAS_VERSION)
        e.version = 1234567890123;
    if (fields & RELEASE_HAS_EXPOSED)
        e.exposed = 42;
    if (fields & RELEASE_HAS_ANSWERS) {
        e.asked = 0x80000005;
        e.answers[0] = (struct release_answer){RELEASE_PASS, 0.25};
        e.answers[2] = (struct release_answer){RELEASE_ERROR, 0};
        e.answers[31] = (struct release_answer){RELEASE_FAIL, -1e300};
    }
    if (fields & RELEASE_HAS_FLEET) {
        e.fleet_count = 2;
        e.fleet[0] = (struct release_fleet){0, 9, 20, 1, 2};
        e.fleet[1] = (struct release_fleet){4, 8, 3, 2, 1};
    }
    if (fields & RELEASE_HAS_BOUND) {
        memset(e.bound.plan, 1, HASH_SIZE);
        memset(e.bound.definitions, 2, HASH_SIZE);
        e.bound.commit = SLICE("4f2a91c");
    }
    if (fields & RELEASE_HAS_BY)
        e.by = SLICE("zoë");
    if (fields & RELEASE_HAS_TEXT)
        e.text = SLICE("why\nnot");
    if (fields & RELEASE_HAS_EVIDENCE)
        e.evidence = SLICE("\x00\xff{}");
    return e;
}

static void same_texts(const struct release_event *a, const struct release_event *b)
{
    assert_true(slice_eq(a->by, b->by) && slice_eq(a->text, b->text));
    assert_true(slice_eq(a->evidence, b->evidence));
    assert_true(slice_eq(a->bound.commit, b->bound.commit));
}

static void every_kind_comes_back_as_it_was(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    for (int kind = 1; kind < RELEASE_EVENT_KINDS; kind++) {
        struct release_event e = full((enum release_event_kind)kind), got;
        buf_clear(&row);
        assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
        assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_OK);
        same_texts(&e, &got);
        e.by = got.by, e.text = got.text, e.evidence = got.evidence;
        e.bound.commit = got.bound.commit;
        assert_memory_equal(&e, &got, sizeof e);
        assert_int_equal(release_event_kind(slice_str(release_event_name(e.kind))), kind);
    }
    buf_done(&row);
    (void)state;
}

static void a_row_that_is_cut_short_is_refused(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    for (int kind = 1; kind < RELEASE_EVENT_KINDS; kind++) {
        struct release_event e = full((enum release_event_kind)kind), got = {.step = 99};
        buf_clear(&row);
        assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
        for (size_t len = 0; len < row.len; len++)
            assert_int_equal(release_event_decode(slice_of(row.ptr, len), &got), HOIST_ECORRUPT);
        assert_int_equal(got.step, 99);
        buf_add_byte(&row, 0);
        assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_ECORRUPT);
    }
    buf_done(&row);
    (void)state;
}

static void what_a_later_version_adds_is_stepped_over(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    struct release_event e = full(RELEASE_HELD), got;
    assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
    row.ptr[0]++; /* an array of one more */
    mp_put_str(&row, SLICE("news"));
    assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_OK);
    same_texts(&e, &got);
    buf_done(&row);
    (void)state;
}

static void another_major_version_or_kind_is_told_from_damage(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    struct release_event e = full(RELEASE_RESTARTED), got;
    assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
    row.ptr[1] = RELEASE_EVENT_MAJOR + 1;
    assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_EVERSION);
    row.ptr[1] = RELEASE_EVENT_MAJOR;
    row.ptr[2] = RELEASE_EVENT_KINDS;
    assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_EVERSION);
    row.ptr[2] = 0;
    assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_EVERSION);
    buf_done(&row);
    (void)state;
}

/* Each breaks one rule of an event that is good otherwise. */
static void what_no_event_has_is_refused(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    for (int what = 0; what < 7; what++) {
        struct release_event e = full(what < 4 ? RELEASE_TICK : RELEASE_ATTESTED), got;
        char text[RELEASE_WHO_MAX + 1];
        memset(text, 'a', sizeof text);
        switch (what) {
        case 0:
            e.answers[0].verdict = 9;
            break;
        case 1:
            e.answers[0].value = 1.0 / 0.0;
            break;
        case 2:
            e.fleet[1].env = RELEASE_ENVS_MAX;
            break;
        case 3:
            e.wall_ms = INT64_MAX;
            break;
        case 4:
            e.check = RELEASE_CHECKS_MAX;
            break;
        case 5:
            e.by = slice_of(text, sizeof text);
            break;
        case 6:
            e.by = SLICE("\xff");
            break;
        }
        buf_clear(&row);
        assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
        assert_int_equal(release_event_decode(buf_slice(&row), &got),
                         what == 5 ? HOIST_ELIMIT : HOIST_ECORRUPT);
    }
    buf_done(&row);
    (void)state;
}

static void a_round_of_all_guards_fits_its_row(void **state)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    static uint8_t evidence[RELEASE_EVIDENCE_MAX];
    struct release_event e = full(RELEASE_ATTESTED), got;
    e.evidence = slice_of(evidence, sizeof evidence);
    assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
    assert_int_equal(release_event_decode(buf_slice(&row), &got), HOIST_OK);
    buf_clear(&row);
    e = full(RELEASE_TICK);
    e.asked = UINT32_MAX;
    for (int g = 0; g < RELEASE_GUARDS_MAX; g++)
        e.answers[g] = (struct release_answer){RELEASE_FAIL, 0.1};
    assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
    assert_true(row.len < 512);
    buf_done(&row);
    (void)state;
}

/* The rows that 0.1.0 writes, "KIND HEX" a line: they stand in stores. HOIST_GOLDEN_ADD=1 writes the file if it is
 * not there. */
static void rows_are_as_they_were(void **state)
{
    static const char path[] = "tests/golden/release-events/0.1.0.txt";
    char kind[32], hex[2048], old[2048];
    bool add = getenv("HOIST_GOLDEN_ADD") && access(path, F_OK) != 0;
    FILE *f = fopen(path, add ? "w" : "r");
    assert_non_null(f);
    for (int k = 1; k < RELEASE_EVENT_KINDS; k++) {
        struct buf row = BUF_INIT(RELEASE_ROW_MAX);
        struct release_event e = full((enum release_event_kind)k);
        assert_int_equal(release_event_encode(&e, &row), HOIST_OK);
        assert_true(row.len * 2 < sizeof hex);
        text_hex(hex, buf_slice(&row));
        if (add)
            fprintf(f, "%s %s\n", release_event_name(e.kind), hex);
        else
            assert_int_equal(fscanf(f, "%31s %2047s", kind, old), 2);
        if (!add) {
            assert_string_equal(kind, release_event_name(e.kind));
            assert_string_equal(hex, old);
        }
        buf_done(&row);
    }
    fclose(f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_they_were),
        cmocka_unit_test(every_kind_comes_back_as_it_was),
        cmocka_unit_test(a_row_that_is_cut_short_is_refused),
        cmocka_unit_test(what_a_later_version_adds_is_stepped_over),
        cmocka_unit_test(another_major_version_or_kind_is_told_from_damage),
        cmocka_unit_test(what_no_event_has_is_refused),
        cmocka_unit_test(a_round_of_all_guards_fits_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
