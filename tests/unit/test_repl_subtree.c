/* What hosts told a relay, on its way up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repl/subtree.h"

enum { SHOWN = 256 };

static int begin(void **state)
{
    struct subtree *s;
    assert_int_equal(subtree_new(SLICE("me"), &s), HOIST_OK);
    *state = s;
    return 0;
}

static int end(void **state)
{
    subtree_free(*state);
    return 0;
}

static void hear_bytes(struct subtree *s, const char *id, const char *via, uint32_t age_ms,
                       struct slice bytes, int64_t now_ms)
{
    struct told_host told = {.status = {.id = slice_str(id)},
                             .whole = true,
                             .bytes = bytes,
                             .via = slice_str(via),
                             .age_ms = age_ms};
    subtree_hear(s, &told, now_ms);
}

static void hear(struct subtree *s, const char *id, const char *bytes, int64_t now_ms)
{
    hear_bytes(s, id, "", 0, slice_str(bytes), now_ms);
}

/* "via:age:status " of each that is taken, in order; "" when there is none. */
static const char *taken(struct subtree *s, int64_t now_ms, char shown[SHOWN])
{
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    struct arena arena = {0};
    struct frame_subtree f = {0};
    size_t len = 0;
    shown[0] = '\0';
    if (subtree_take(s, now_ms, &frame))
        assert_int_equal(frame_get_subtree(buf_slice(&frame), &arena, &f), HOIST_OK);
    for (uint32_t i = 0; i < f.count && len < SHOWN; i++)
        len +=
            (size_t)snprintf(shown + len, SHOWN - len, "%.*s:%u:%.*s ", SLICE_ARG(f.hosts[i].via),
                             f.hosts[i].age_ms, SLICE_ARG(f.hosts[i].status));
    buf_done(&frame);
    arena_done(&arena);
    return shown;
}

static void the_newest_of_each_host_goes_up_once_and_in_turn(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "one", 100);
    hear(s, "h2", "two", 101);
    hear(s, "h1", "newer", 102); /* in its old place: who talks much does not wait the longer */
    hear(s, "h3", "three", 103);
    assert_string_equal(taken(s, 105, shown), "me:3:newer me:4:two me:2:three ");
    subtree_passed_on(s, true);
    assert_string_equal(taken(s, 106, shown), "");
    assert_int_equal(subtree_count(s), 0);
}

static void what_did_not_go_up_waits_again_unless_its_host_has_told_more(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "one", 100);
    hear(s, "h2", "two", 100);
    hear(s, "h3", "three", 100);
    taken(s, 100, shown);
    hear(s, "h2", "newer", 110);
    subtree_passed_on(s, false);
    assert_string_equal(taken(s, 120, shown), "me:20:one me:20:three me:10:newer ");
    assert_int_equal(subtree_count(s), 3);
}

static void what_is_heard_while_a_frame_is_under_way_goes_with_the_next(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "one", 100);
    taken(s, 100, shown);
    hear(s, "h1", "newer", 101);
    subtree_passed_on(s, true);
    assert_string_equal(taken(s, 101, shown), "me:0:newer ");
}

static void a_relay_below_is_the_way_and_its_age_goes_on(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear_bytes(s, "h1", "low", 7, SLICE("one"), 100);
    assert_string_equal(taken(s, 103, shown), "low:10:one ");
}

static void what_was_heard_earlier_by_another_way_is_dropped(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear_bytes(s, "h1", "b", 0, SLICE("later"), 100);
    hear_bytes(s, "h1", "a", 50, SLICE("earlier"), 110);
    assert_string_equal(taken(s, 110, shown), "b:10:later ");
}

static void what_has_waited_too_long_is_forgotten(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "old", 100);
    hear(s, "h2", "young", 101);
    assert_string_equal(taken(s, 101 + SUBTREE_KEEP_MS, shown), "me:4000:young ");
    assert_int_equal(subtree_count(s), 1);
}

static void a_hello_and_what_is_far_too_old_are_not_kept(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    subtree_hear(s, &(struct told_host){.status = {.id = SLICE("h1")}}, 100);
    hear_bytes(s, "h1", "low", SUBTREE_FORGET_MS + 1, SLICE("old"), 100);
    assert_int_equal(subtree_count(s), 0);
    hear_bytes(s, "h1", "low", SUBTREE_FORGET_MS, SLICE("less"), 100);
    assert_string_equal(taken(s, 100, shown), "low:10000:less ");
}

static void a_frame_is_bounded_in_bytes_and_the_rest_comes_with_the_next(void **state)
{
    enum { BIG = FRAME_STATUS_MAX };
    struct subtree *s = *state;
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    uint8_t *bytes = calloc(1, BIG + 1);
    hear_bytes(s, "big1", "", 0, slice_of(bytes, BIG), 100);
    hear_bytes(s, "big2", "", 0, slice_of(bytes, BIG), 100);
    hear_bytes(s, "too big", "", 0, slice_of(bytes, BIG + 1), 100);
    assert_int_equal(subtree_count(s), 2);
    for (int i = 0; i < 2; i++) {
        buf_clear(&frame);
        assert_true(subtree_take(s, 100, &frame));
        assert_in_range(frame.len, BIG, FRAME_SUBTREE_MAX);
        subtree_passed_on(s, true);
    }
    assert_false(subtree_take(s, 100, &frame));
    buf_done(&frame);
    free(bytes);
}

static void a_frame_is_bounded_in_hosts(void **state)
{
    struct subtree *s = *state;
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    struct arena arena = {0};
    struct frame_subtree f;
    for (int i = 0; i < FRAME_SUBTREE_HOSTS + 1; i++) {
        char id[16];
        snprintf(id, sizeof id, "h%d", i);
        hear(s, id, "", 100);
    }
    uint32_t seen = 0;
    while (subtree_take(s, 100, &frame)) {
        assert_int_equal(frame_get_subtree(buf_slice(&frame), &arena, &f), HOIST_OK);
        seen += f.count;
        subtree_passed_on(s, true);
        buf_clear(&frame);
    }
    assert_int_equal(seen, FRAME_SUBTREE_HOSTS + 1);
    buf_done(&frame);
    arena_done(&arena);
}

static void a_full_one_leaves_new_hosts_out_and_goes_on_with_those_it_has(void **state)
{
    struct subtree *s = *state;
    for (int i = 0; i < SUBTREE_HOSTS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "h%d", i);
        hear(s, id, "x", 100);
    }
    hear(s, "one more", "x", 100);
    assert_int_equal(subtree_count(s), SUBTREE_HOSTS_MAX);
    hear(s, "h7", "newer", 100);
    assert_int_equal(subtree_count(s), SUBTREE_HOSTS_MAX);
}

static void a_full_one_forgets_hosts_that_have_nothing_to_pass_on(void **state)
{
    struct subtree *s = *state;
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    char shown[SHOWN];
    for (int i = 0; i < SUBTREE_HOSTS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof id, "h%d", i);
        hear(s, id, "x", 100);
    }
    while (subtree_take(s, 100, &frame)) {
        subtree_passed_on(s, true);
        buf_clear(&frame);
    }
    hear(s, "one more", "y", 100);
    assert_string_equal(taken(s, 100, shown), "me:0:y ");
    buf_done(&frame);
}

/* ---------------------------------------------------------------- what is repeated */

static void pass_all(struct subtree *s, int64_t now_ms)
{
    char shown[SHOWN];
    taken(s, now_ms, shown);
    subtree_passed_on(s, true);
}

static void what_is_repeated_waits_and_goes_up_with_the_others(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "one", 100);
    hear(s, "h2", "two", 100);
    assert_int_equal(subtree_due_ms(s, 100), 100);
    pass_all(s, 100);
    assert_true(subtree_due_ms(s, 100) == INT64_MAX);
    hear(s, "h1", "one", 2100);
    hear(s, "h2", "two", 2300);
    hear(s, "h1", "one", 2400); /* its turn stays */
    assert_int_equal(subtree_due_ms(s, 2400), 2100 + SUBTREE_REPEAT_MS);
    assert_string_equal(taken(s, 2400, shown), "");
    assert_string_equal(taken(s, 3100, shown), "me:700:one me:800:two ");
}

static void what_has_changed_does_not_wait_for_what_is_repeated_nor_take_it_along(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear(s, "h1", "one", 100);
    hear(s, "h2", "two", 100);
    pass_all(s, 100);
    hear(s, "h1", "one", 2100);
    hear(s, "h2", "newer", 2101);
    assert_int_equal(subtree_due_ms(s, 2101), 2101);
    assert_string_equal(taken(s, 2106, shown), "me:5:newer ");
    subtree_passed_on(s, true);
    hear(s, "h1", "newer", 2200); /* which waited with the old */
    assert_string_equal(taken(s, 2200, shown), "me:0:newer ");
    subtree_passed_on(s, true);
    hear_bytes(s, "h1", "low", 0, SLICE("newer"), 2300); /* the way is new */
    assert_string_equal(taken(s, 2300, shown), "low:0:newer ");
}

static void what_repeats_a_frame_under_way_waits_unless_that_does_not_arrive(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    for (int done = 0; done < 2; done++) {
        char word[8];
        snprintf(word, sizeof word, "word%d", done);
        hear(s, "h1", word, 100);
        taken(s, 100, shown);
        hear(s, "h1", word, 150);
        assert_true(subtree_due_ms(s, 150) > 150);
        subtree_passed_on(s, done);
        assert_int_equal(subtree_due_ms(s, 150), done ? 150 + SUBTREE_REPEAT_MS : 150);
        pass_all(s, 150 + SUBTREE_REPEAT_MS);
    }
}

static void a_host_that_was_silent_is_news_again(void **state)
{
    struct subtree *s = *state;
    int64_t later = 100 + SUBTREE_FORGET_MS + 1;
    hear(s, "h1", "one", 100);
    pass_all(s, 100);
    hear(s, "h1", "one", later);
    assert_int_equal(subtree_due_ms(s, later), later);
}

/* Of one way a little older is only slower; much older was kept up. */
static void a_word_that_took_less_time_on_the_way_is_not_taken_for_an_older_one(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    hear_bytes(s, "h1", "low", 0, SLICE("one"), 110);
    pass_all(s, 110);
    hear_bytes(s, "h1", "low", 6, SLICE("two"), 112);
    assert_string_equal(taken(s, 112, shown), "low:6:two ");
    subtree_passed_on(s, true);
    hear_bytes(s, "h1", "low", 3000, SLICE("old"), 113);
    assert_string_equal(taken(s, 113, shown), "");
}

/* A minute of 500 hosts, each with a phase of its own, as the uplink would pass it on. */
static void a_fleet_at_rest_is_a_frame_a_second_and_none_is_left_out(void **state)
{
    enum { HOSTS = 500, MINUTE_MS = 60000, STATUS_MS = 2001, GATHER_MS = 5 };
    static uint32_t up[HOSTS];
    static int64_t last[HOSTS];
    struct subtree *s = *state;
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    uint32_t frames = 0, early = 0;
    int64_t gap_ms = 0;
    for (int64_t now = 0, go = INT64_MAX; now < MINUTE_MS; now++) {
        for (int i = 0; i < HOSTS; i++)
            if (now % STATUS_MS == i * STATUS_MS / HOSTS) {
                char id[16];
                snprintf(id, sizeof id, "%d", i);
                hear(s, id, id, now);
            }
        if (go == INT64_MAX && subtree_due_ms(s, now) <= now)
            go = now + GATHER_MS;
        if (now < go)
            continue;
        go = INT64_MAX;
        buf_clear(&frame);
        if (!subtree_take(s, now, &frame))
            continue;
        struct arena arena = {0};
        struct frame_subtree f;
        assert_int_equal(frame_get_subtree(buf_slice(&frame), &arena, &f), HOIST_OK);
        for (uint32_t i = 0; i < f.count; i++) {
            char digits[8] = {0};
            memcpy(digits, f.hosts[i].status.ptr, f.hosts[i].status.len);
            int host = atoi(digits);
            if (up[host]++ && now - last[host] > gap_ms)
                gap_ms = now - last[host];
            last[host] = now;
        }
        arena_done(&arena);
        subtree_passed_on(s, true);
        *(now < 3000 ? &early : &frames) += 1; /* at first all of it is news */
    }
    buf_done(&frame);
    assert_true(early > 100);
    assert_in_range(frames, 28, MINUTE_MS / SUBTREE_REPEAT_MS);
    assert_in_range(gap_ms, 1, STATUS_MS + SUBTREE_REPEAT_MS + GATHER_MS);
    for (int i = 0; i < HOSTS; i++)
        assert_in_range(up[i], MINUTE_MS / STATUS_MS - 1, MINUTE_MS / STATUS_MS + 1);
}

static void without_memory_a_word_is_left_out_and_nothing_is_lost(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    for (int n = 1; n <= 2; n++) { /* the word, and the host */
        mem_fail_at(n);
        hear(s, "h1", "lost", 100);
        mem_fail_at(0);
        assert_int_equal(subtree_count(s), 0);
    }
    hear(s, "h1", "one", 100);
    for (int n = 1; n <= 2; n++) { /* the list, and the frame */
        mem_fail_at(n);
        assert_false(subtree_take(s, 100, &frame));
        assert_true(mem_did_fail());
        mem_fail_at(0);
        buf_done(&frame);
        frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    }
    assert_string_equal(taken(s, 100, shown), "me:0:one ");
}

static void a_closed_one_is_not_waited_for(void **state)
{
    struct subtree *s = *state;
    hear(s, "h1", "one", 100);
    assert_true(subtree_wait(s));
    subtree_close(s);
    assert_false(subtree_wait(s));
    assert_true(subtree_is_closed(s));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(the_newest_of_each_host_goes_up_once_and_in_turn),
        T(what_did_not_go_up_waits_again_unless_its_host_has_told_more),
        T(what_is_heard_while_a_frame_is_under_way_goes_with_the_next),
        T(a_relay_below_is_the_way_and_its_age_goes_on),
        T(what_was_heard_earlier_by_another_way_is_dropped),
        T(what_has_waited_too_long_is_forgotten),
        T(a_hello_and_what_is_far_too_old_are_not_kept),
        T(a_frame_is_bounded_in_bytes_and_the_rest_comes_with_the_next),
        T(a_frame_is_bounded_in_hosts),
        T(a_full_one_leaves_new_hosts_out_and_goes_on_with_those_it_has),
        T(a_full_one_forgets_hosts_that_have_nothing_to_pass_on),
        T(what_is_repeated_waits_and_goes_up_with_the_others),
        T(what_has_changed_does_not_wait_for_what_is_repeated_nor_take_it_along),
        T(what_repeats_a_frame_under_way_waits_unless_that_does_not_arrive),
        T(a_host_that_was_silent_is_news_again),
        T(a_word_that_took_less_time_on_the_way_is_not_taken_for_an_older_one),
        T(a_fleet_at_rest_is_a_frame_a_second_and_none_is_left_out),
        T(without_memory_a_word_is_left_out_and_nothing_is_lost),
        T(a_closed_one_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
