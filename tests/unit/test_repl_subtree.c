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

static void a_hello_and_our_own_word_coming_back_are_not_kept(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    subtree_hear(s, &(struct told_host){.status = {.id = SLICE("h1")}}, 100);
    hear_bytes(s, "me", "other", 0, SLICE("mine"), 100);
    assert_int_equal(subtree_count(s), 0);
    hear(s, "me", "a twin", 100); /* somebody else calls itself so, which is to be seen */
    assert_string_equal(taken(s, 100, shown), "me:0:a twin ");
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

static void without_memory_a_word_is_left_out_and_nothing_is_lost(void **state)
{
    struct subtree *s = *state;
    char shown[SHOWN];
    struct buf frame = BUF_INIT(2 * FRAME_SUBTREE_MAX);
    mem_fail_at(1);
    hear(s, "h1", "lost", 100);
    mem_fail_at(0);
    assert_int_equal(subtree_count(s), 0);
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
        T(a_hello_and_our_own_word_coming_back_are_not_kept),
        T(a_frame_is_bounded_in_bytes_and_the_rest_comes_with_the_next),
        T(a_frame_is_bounded_in_hosts),
        T(a_full_one_leaves_new_hosts_out_and_goes_on_with_those_it_has),
        T(without_memory_a_word_is_left_out_and_nothing_is_lost),
        T(a_closed_one_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
