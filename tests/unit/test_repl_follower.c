/* What a follower does, one behaviour at a time; test_repl_simulate.c throws it all together. */
#include "follower_kit.h"

#include "repl/follower_int.h" /* to look at what is kept */

struct rig { /* a host that follows a server, by hand */
    struct history h;
    struct server s;
    struct host host;
    uint64_t counter;
    struct buf b;
};

/* ---------------------------------------------------------------- the rig */

static void rig_init(struct rig *r, uint32_t head, uint32_t version)
{
    hash_init();
    memset(r, 0, sizeof *r);
    history_init(&r->h, "production", 5, head);
    r->s = (struct server){.env = {&r->h}, .envs = 1};
    host_init(&r->host, &r->h, version);
    r->b = BUF_INIT(FRAME_REPLY_MAX);
}

static void rig_done(struct rig *r)
{
    host_done(&r->host);
    history_done(&r->h);
    buf_done(&r->b);
}

static void answer_from(struct rig *r, const struct server *s)
{
    buf_clear(&r->b);
    server_answer(s, buf_slice(&r->host.request), &r->b);
    host_reply(&r->host, buf_slice(&r->b));
}

/* Answer whatever is asked at this moment. */
static void settle(struct rig *r)
{
    while (r->host.request.len)
        answer_from(r, &r->s);
}

static void beat(struct rig *r)
{
    buf_clear(&r->b);
    kit_heartbeat(&r->s, &r->s, ++r->counter, &r->b);
    host_message(&r->host, buf_slice(&r->b));
}

static void publish(struct rig *r, uint64_t first, uint64_t last)
{
    buf_clear(&r->b);
    kit_publish(&r->s, &r->h, first, last, &r->b);
    host_message(&r->host, buf_slice(&r->b));
}

/* Time passes, nothing comes. */
static void pass(struct rig *r, int64_t ms)
{
    struct host *h = &r->host;
    int64_t end = h->now + ms;
    while (h->next_ms <= end) {
        h->now = h->next_ms;
        host_tick(h);
    }
    h->now = end;
}

/* Time passes while upstream `s` (NULL: none) passes on what `origin` says, and answers. */
static void live_between(struct rig *r, const struct server *origin, const struct server *s,
                         int64_t ms)
{
    struct host *h = &r->host;
    int64_t end = h->now + ms, next_beat = h->now;
    while (h->now < end) {
        if (s && h->now >= next_beat) {
            buf_clear(&r->b);
            kit_heartbeat(origin, s, ++r->counter, &r->b);
            host_message(h, buf_slice(&r->b));
            next_beat = h->now + HEARTBEAT_MS;
        }
        while (s && h->request.len)
            answer_from(r, s);
        int64_t to = h->next_ms < end ? h->next_ms : end;
        h->now = s && next_beat < to ? next_beat : to;
        host_tick(h);
    }
}

static void live_with(struct rig *r, const struct server *s, int64_t ms)
{
    live_between(r, s, s, ms);
}

static void live(struct rig *r, int64_t ms)
{
    live_with(r, &r->s, ms);
}

static void connect_up(struct rig *r)
{
    host_start(&r->host);
    host_tick(&r->host);
    settle(r);
    beat(r);
    settle(r);
}

static uint64_t version_of(const struct rig *r)
{
    return r->host.env[0].now.version;
}

static enum env_state state_of(const struct rig *r)
{
    return host_view(&r->host).envs[0].state;
}

static const char *why_of(const struct rig *r)
{
    return host_view(&r->host).envs[0].why;
}

/* ---------------------------------------------------------------- starting */

static void the_first_step_dials_the_first_upstream_and_says_hello(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    host_start(&r.host);
    host_tick(&r.host);
    assert_int_equal(r.host.follows, 1);
    assert_int_equal(r.host.upstream, 0);
    assert_int_equal(host_asks(&r.host), FRAME_HELLO);
    assert_false(host_view(&r.host).connected);
    assert_int_equal(host_view(&r.host).last_word_ms, -1);
    rig_done(&r);
    (void)state;
}

static void a_new_host_has_everything_within_50_ms(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    connect_up(&r);
    assert_int_equal(state_of(&r), ENV_LOADING);
    live(&r, FOLLOWER_FRESH_JITTER_MS);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_int_equal(r.host.counts[COUNT_RESYNC], 1);
    assert_true(host_said(&r.host, "there is nothing here yet; a snapshot is loaded"));
    assert_true(host_said(&r.host, "is loaded, at version 20"));
    rig_done(&r);
    (void)state;
}

static void a_host_that_is_behind_fetches_page_by_page_up_to_the_head(void **state)
{
    struct rig r;
    rig_init(&r, 20, 4);
    connect_up(&r);
    assert_int_equal(state_of(&r), ENV_BEHIND);
    assert_int_equal(host_view(&r.host).envs[0].head, 20);
    live(&r, FOLLOWER_FETCH_JITTER_MS);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.fetches, 6); /* 16 changes, 3 to a page */
    assert_int_equal(r.host.snapshots, 0);
    assert_int_equal(r.host.counts[COUNT_HOLE], 0); /* it was away, it missed nothing */
    rig_done(&r);
    (void)state;
}

static void a_host_that_has_all_asks_for_nothing(void **state)
{
    struct rig r;
    rig_init(&r, 5, 5);
    connect_up(&r);
    live(&r, 10000);
    assert_int_equal(r.host.fetches + r.host.snapshots, 0);
    assert_int_equal(r.host.hellos, 1);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_int_equal(host_view(&r.host).envs[0].behind_ms, 0);
    assert_true(host_view(&r.host).connected);
    rig_done(&r);
    (void)state;
}

static void a_host_beyond_the_log_loads_a_snapshot_within_2_s(void **state)
{
    struct rig r;
    rig_init(&r, 20, 4);
    r.h.log_first = 10;
    connect_up(&r);
    live(&r, FOLLOWER_FETCH_JITTER_MS + FOLLOWER_SNAPSHOT_JITTER_MS);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.env[0].loaded, 1);
    assert_true(host_said(&r.host, "log does not reach back so far"));
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- live */

static void a_published_change_in_line_is_applied_in_the_same_step(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 1);
    publish(&r, 4, 4);
    assert_int_equal(version_of(&r), 4);
    assert_int_equal(r.host.fetches, 0);
    rig_done(&r);
    (void)state;
}

static void a_batch_is_applied_whole(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 30);
    publish(&r, 4, 33);
    assert_int_equal(version_of(&r), 33);
    assert_int_equal(r.host.env[0].applied, 30);
    rig_done(&r);
    (void)state;
}

static void changes_that_are_here_already_are_dropped(void **state)
{
    struct rig r;
    rig_init(&r, 6, 3);
    connect_up(&r);
    publish(&r, 1, 4);
    publish(&r, 2, 5);
    publish(&r, 5, 5);
    assert_int_equal(version_of(&r), 5);
    assert_int_equal(r.host.env[0].applied, 2);
    rig_done(&r);
    (void)state;
}

static void applies_go_on_before_the_first_is_committed(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    r.host.late = true;
    write_some(&r.h, 3);
    publish(&r, 4, 4);
    publish(&r, 5, 5);
    publish(&r, 6, 6);
    assert_int_equal(r.host.waiting[0], 3);
    assert_int_equal(host_view(&r.host).envs[0].version, 3);
    host_commit(&r.host);
    assert_int_equal(host_view(&r.host).envs[0].version, 6);
    rig_done(&r);
    (void)state;
}

static void a_hole_is_fetched_at_once(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 2);
    publish(&r, 5, 5);
    assert_int_equal(version_of(&r), 3);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    settle(&r);
    assert_int_equal(version_of(&r), 5);
    assert_int_equal(r.host.counts[COUNT_HOLE], 1);
    rig_done(&r);
    (void)state;
}

static void a_head_beyond_its_own_is_fetched_within_50_ms(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 1);
    beat(&r);
    assert_int_equal(state_of(&r), ENV_BEHIND);
    pass(&r, FOLLOWER_FETCH_JITTER_MS);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    assert_int_equal(host_view(&r.host).envs[0].behind_ms, FOLLOWER_FETCH_JITTER_MS);
    settle(&r);
    assert_int_equal(version_of(&r), 4);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_int_equal(r.host.counts[COUNT_HOLE], 1);
    rig_done(&r);
    (void)state;
}

static void the_wait_before_a_fetch_differs_from_host_to_host(void **state)
{
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig r;
        rig_init(&r, 3, 3);
        r.host.seed = seed;
        connect_up(&r);
        write_some(&r.h, 1);
        int64_t since = r.host.now;
        beat(&r);
        while (host_asks(&r.host) != FRAME_FETCH)
            pass(&r, 1);
        int64_t waited = r.host.now - since;
        least = waited < least ? waited : least;
        most = waited > most ? waited : most;
        rig_done(&r);
    }
    assert_true(least <= 10);
    assert_true(most >= 40 && most <= FOLLOWER_FETCH_JITTER_MS);
    (void)state;
}

static void what_comes_late_by_itself_is_not_fetched(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.seed = 3;
    connect_up(&r);
    write_some(&r.h, 1);
    beat(&r); /* overtook the change */
    assert_int_not_equal(host_asks(&r.host), FRAME_FETCH);
    publish(&r, 4, 4);
    live(&r, 1000);
    assert_int_equal(version_of(&r), 4);
    assert_int_equal(r.host.fetches, 0);
    rig_done(&r);
    (void)state;
}

static void a_change_published_without_its_edits_is_fetched(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.s.part = 100000;
    connect_up(&r);
    r.s.part = 400;
    write_flag(&r.h, 0, 9);
    publish(&r, 4, 4);
    assert_int_equal(version_of(&r), 3);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    settle(&r); /* by parts of 400 bytes */
    assert_int_equal(version_of(&r), 4);
    assert_true(r.host.fetches >= 3);
    assert_int_equal(r.host.counts[COUNT_HOLE], 0);
    rig_done(&r);
    (void)state;
}

static void a_part_that_does_not_fit_begins_the_change_anew(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.s.part = 400;
    connect_up(&r);
    write_flag(&r.h, 0, 9);
    publish(&r, 4, 4);
    answer_from(&r, &r.s);
    struct frame_fetch q;
    assert_int_equal(frame_get_fetch(buf_slice(&r.host.request), &q), HOIST_OK);
    assert_int_equal(q.offset, 400);

    struct frame_fetch_reply odd = {
        .epoch = 5, .head = 4, .part = SLICE("xyz"), .part_offset = 17, .part_total = 900};
    buf_clear(&r.b);
    frame_put_fetch_reply(&r.b, &odd);
    host_reply(&r.host, buf_slice(&r.b));
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME], 1);
    live(&r, 1000);
    assert_int_equal(version_of(&r), 4);
    rig_done(&r);
    (void)state;
}

static void half_a_change_that_upstream_no_longer_has_is_no_reason_to_hurry(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.s.part = 400;
    r.s.distance = 1;
    connect_up(&r);
    write_flag(&r.h, 0, 9);
    publish(&r, 4, 4);
    answer_from(&r, &r.s);
    r.s.behind[0] = 1; /* the relay was started anew, without its last change */
    uint32_t before = r.host.fetches;
    live(&r, 2000);
    assert_true(r.host.fetches - before < 5);
    r.s.behind[0] = 0;
    live(&r, 2000);
    assert_int_equal(version_of(&r), 4);
    rig_done(&r);
    (void)state;
}

static void one_request_is_outstanding_at_a_time(void **state)
{
    struct rig r;
    rig_init(&r, 9, 3);
    host_start(&r.host);
    host_tick(&r.host);
    uint32_t before = r.host.requests;
    beat(&r);
    publish(&r, 9, 9);
    pass(&r, 900); /* host_request() checks as well */
    assert_int_equal(r.host.requests, before);
    rig_done(&r);
    (void)state;
}

static void an_answer_to_a_request_given_up_is_ignored(void **state)
{
    struct rig r;
    rig_init(&r, 5, 3);
    connect_up(&r);
    publish(&r, 5, 5);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    buf_clear(&r.b);
    server_answer(&r.s, buf_slice(&r.host.request), &r.b);
    host_step(&r.host, (struct follower_input){
                           .kind = IN_REPLY, .tag = r.host.tag + 7, .bytes = buf_slice(&r.b)});
    assert_int_equal(version_of(&r), 3);
    host_reply(&r.host, buf_slice(&r.b));
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    (void)state;
}

static void environments_it_does_not_follow_are_ignored(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    struct history other;
    history_init(&other, "staging", 8, 4);
    r.s.env[1] = &other;
    r.s.envs = 2;
    connect_up(&r);
    live(&r, 1000);
    buf_clear(&r.b);
    kit_publish(&r.s, &other, 4, 4, &r.b);
    host_message(&r.host, buf_slice(&r.b));
    assert_int_equal(r.host.fetches + r.host.snapshots, 0);
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME] + r.host.counts[COUNT_BAD_CHANGE], 0);
    rig_done(&r);
    history_done(&other);
    (void)state;
}

static void a_fetch_beyond_the_servers_head_is_no_reason_for_a_snapshot(void **state)
{
    struct rig r;
    rig_init(&r, 8, 8);
    r.s.distance = 1; /* a relay that lost its last commit */
    r.s.behind[0] = 1;
    connect_up(&r);
    live(&r, 5000);
    write_some(&r.h, 1);
    publish(&r, 9, 9);
    assert_int_equal(version_of(&r), 9);
    assert_int_equal(r.host.snapshots, 0);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- what is wrong */

/* A published copy of `w` whose header names another change before it. */
static void publish_with_wrong_prev(struct rig *r, uint64_t version)
{
    struct slice right = buf_slice(&at_version(&r->h, version)->bytes);
    struct change c;
    struct buf wrong = BUF_INIT(1 << 16);
    assert_int_equal(change_decode(right, &c), HOIST_OK);
    c.head.prev[3] ^= 1;
    assert_int_equal(change_encode(&c.head, c.edits, c.signature, &wrong, NULL), HOIST_OK);
    buf_clear(&r->b);
    frame_put_changes(&r->b, &(struct slice){wrong.ptr, wrong.len}, 1);
    host_message(&r->host, buf_slice(&r->b));
    buf_done(&wrong);
}

static void a_wrong_previous_hash_is_refused_counted_and_said_once(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 1);
    for (int i = 0; i < 5; i++)
        publish_with_wrong_prev(&r, 4);
    assert_int_equal(version_of(&r), 3);
    assert_int_equal(r.host.counts[COUNT_BAD_CHANGE], 5);
    assert_int_equal(host_said_times(&r.host, "change 4 is refused"), 1);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_non_null(strstr(why_of(&r), "follows another change 3"));
    rig_done(&r);
    (void)state;
}

static void after_a_refused_change_the_right_one_is_taken(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 1);
    publish_with_wrong_prev(&r, 4);
    live(&r, 500);
    assert_int_equal(version_of(&r), 4);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_string_equal(why_of(&r), "");
    assert_true(host_said(&r.host, "goes on at version 4"));
    rig_done(&r);
    (void)state;
}

static void a_refused_change_sends_it_to_another_upstream(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    write_some(&r.h, 1);
    publish_with_wrong_prev(&r, 4);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_SWITCH], 1);
    assert_true(host_said(&r.host, "leaving upstream 1 of 2 for upstream 2 of 2"));
    live(&r, 500);
    assert_int_equal(version_of(&r), 4);
    rig_done(&r);
    (void)state;
}

static void a_truncated_change_among_good_ones_is_counted_and_fetched(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 2);
    struct slice list[2] = {buf_slice(&at_version(&r.h, 4)->bytes),
                            buf_slice(&at_version(&r.h, 5)->bytes)};
    list[0].len -= 5;
    buf_clear(&r.b);
    frame_put_changes(&r.b, list, 2);
    host_message(&r.host, buf_slice(&r.b));
    assert_int_equal(r.host.counts[COUNT_BAD_CHANGE], 1);
    settle(&r);
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    (void)state;
}

static void garbage_is_counted_and_logged_once_an_episode(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    for (int i = 0; i < 20; i++)
        host_message(&r.host, SLICE("\x93\x01\x09garbage"));
    host_message(&r.host, SLICE(""));
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME], 21);
    assert_int_equal(host_said_times(&r.host, "cannot be read"), 1);
    live(&r, 120000);
    host_message(&r.host, SLICE("\xc1"));
    assert_int_equal(host_said_times(&r.host, "cannot be read"), 2);
    assert_int_equal(version_of(&r), 3);
    rig_done(&r);
    (void)state;
}

static void a_later_major_version_is_refused_naming_both(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    host_message(&r.host, SLICE("\x93\x01\x07\x90"));
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME], 1);
    assert_true(host_said(&r.host, "7"));
    assert_true(host_said(&r.host, "1"));
    rig_done(&r);
    (void)state;
}

static void an_answer_that_cannot_be_read_is_asked_for_again(void **state)
{
    struct rig r;
    rig_init(&r, 5, 3);
    connect_up(&r);
    publish(&r, 5, 5);
    host_reply(&r.host, SLICE("\x91\x15"));
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME], 1);
    live(&r, 1000);
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    (void)state;
}

static void an_error_reply_is_said_with_its_message(void **state)
{
    struct rig r;
    rig_init(&r, 5, 3);
    host_start(&r.host);
    host_tick(&r.host);
    buf_clear(&r.b);
    frame_put_error_reply(&r.b, SLICE("hello: too many labels"));
    host_reply(&r.host, buf_slice(&r.b));
    assert_true(host_said(&r.host, "too many labels"));
    live(&r, 1000);
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    (void)state;
}

static void a_fetched_change_of_another_environment_is_refused(void **state)
{
    struct rig r;
    struct history other;
    rig_init(&r, 5, 3);
    history_init(&other, "staging", 5, 5);
    connect_up(&r);
    publish(&r, 5, 5);
    struct slice wrong = buf_slice(&at_version(&other, 4)->bytes);
    buf_clear(&r.b);
    frame_put_fetch_reply(
        &r.b, &(struct frame_fetch_reply){.epoch = 5, .head = 5, .changes = &wrong, .count = 1});
    host_reply(&r.host, buf_slice(&r.b));
    assert_int_equal(state_of(&r), ENV_REFUSING);
    live(&r, 1000);
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    history_done(&other);
    (void)state;
}

/* ---------------------------------------------------------------- the upstream's life */

static void five_heartbeats_of_silence_and_it_dials_anew(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    pass(&r, 5 * HEARTBEAT_MS - 1);
    assert_int_equal(r.host.follows, 1);
    assert_true(host_view(&r.host).connected);
    pass(&r, 1);
    assert_int_equal(r.host.follows, 2);
    assert_int_equal(r.host.counts[COUNT_SWITCH], 1);
    assert_false(host_view(&r.host).connected);
    assert_int_equal(r.host.request.len, 0); /* it would come in the moment of all the others' */
    live_with(&r, NULL, 60000);
    assert_true(r.host.follows >= 15); /* every 4 s at least: a link that is back is soon found */
    assert_int_equal(host_said_times(&r.host, "is silent"), 1);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_true(host_view(&r.host).last_word_ms >= 60000);
    live(&r, 500);
    assert_int_equal(host_said_times(&r.host, "is heard"), 1);
    rig_done(&r);
    (void)state;
}

static void a_connection_that_broke_is_given_time_to_be_made_anew(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    host_lost(&r.host);
    pass(&r, 4 * 5 * HEARTBEAT_MS - 1);
    assert_int_equal(r.host.follows, 1);
    assert_false(host_view(&r.host).connected);
    pass(&r, 1);
    assert_int_equal(r.host.follows, 2);
    live(&r, 500);
    pass(&r, 5 * HEARTBEAT_MS); /* what broke before it was heard does not count */
    assert_int_equal(r.host.follows, 3);
    rig_done(&r);
    (void)state;
}

static void who_has_another_upstream_does_not_wait_for_one_that_broke(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    host_lost(&r.host);
    pass(&r, 5 * HEARTBEAT_MS);
    assert_int_equal(r.host.upstream, 1);
    rig_done(&r);
    (void)state;
}

static void those_who_come_back_ask_one_after_the_other(void **state)
{
    enum { HOSTS = 200, PIECE_MS = 100, PIECES = FOLLOWER_RETURN_JITTER_MS / PIECE_MS };
    uint32_t asked[PIECES + 1] = {0};
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct rig r;
        rig_init(&r, 3, 3);
        r.host.seed = i + 1;
        connect_up(&r);
        pass(&r, 20000);
        uint32_t hellos = r.host.hellos;
        int64_t back_ms = r.host.now;
        beat(&r);
        while (r.host.hellos == hellos) {
            assert_true(r.host.now <= back_ms + FOLLOWER_RETURN_JITTER_MS);
            pass(&r, 1);
            if (r.host.now % HEARTBEAT_MS == 0)
                beat(&r);
        }
        asked[(r.host.now - back_ms) / PIECE_MS]++;
        rig_done(&r);
    }
    for (int i = 0; i < PIECES; i++)
        assert_in_range(asked[i], HOSTS / PIECES / 3, HOSTS / PIECES * 2);
    (void)state;
}

static void an_upstream_whose_stream_is_closed_is_asked_all_the_same(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    host_start(&r.host);
    host_tick(&r.host);
    settle(&r);
    write_some(&r.h, 1);
    for (int64_t ms = 0; ms < 40000; ms += 10) {
        settle(&r);
        pass(&r, 10);
    }
    assert_int_equal(version_of(&r), 4);
    rig_done(&r);
    (void)state;
}

static void a_silent_upstream_is_followed_by_the_next_in_order(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 3;
    connect_up(&r);
    pass(&r, 5 * HEARTBEAT_MS);
    assert_int_equal(r.host.upstream, 1);
    pass(&r, 5 * HEARTBEAT_MS * 2);
    assert_int_equal(r.host.upstream, 2);
    live(&r, 300);
    assert_int_equal(r.host.upstream, 2);
    assert_int_equal(host_view(&r.host).upstream, 2);
    rig_done(&r);
    (void)state;
}

static void the_first_upstream_is_tried_again_after_a_minute(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    pass(&r, 5 * HEARTBEAT_MS);
    assert_int_equal(r.host.upstream, 1);
    live(&r, FOLLOWER_PRIMARY_RETURN_MS - 100);
    assert_int_equal(r.host.upstream, 1);
    live(&r, 200);
    assert_int_equal(r.host.upstream, 0);
    live(&r, 120000);
    assert_int_equal(r.host.upstream, 0);
    rig_done(&r);
    (void)state;
}

static void a_first_upstream_that_is_still_silent_costs_a_second(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 3;
    connect_up(&r);
    pass(&r, 5 * HEARTBEAT_MS); /* to 1 */
    pass(&r, 5 * HEARTBEAT_MS); /* to 2 */
    assert_int_equal(r.host.upstream, 2);
    live(&r, FOLLOWER_PRIMARY_RETURN_MS - 50);
    pass(&r, 100);
    assert_int_equal(r.host.upstream, 0);
    pass(&r, 5 * HEARTBEAT_MS);
    assert_int_equal(r.host.upstream, 2); /* back to where it came from, not to the next */
    live(&r, 1000);
    assert_int_equal(host_said_times(&r.host, "is silent"), 1);
    rig_done(&r);
    (void)state;
}

static void what_an_upstream_that_was_left_still_says_is_ignored(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    pass(&r, 5 * HEARTBEAT_MS);
    write_some(&r.h, 1);
    buf_clear(&r.b);
    kit_publish(&r.s, &r.h, 4, 4, &r.b);
    host_step(&r.host,
              (struct follower_input){.kind = IN_MESSAGE, .upstream = 0, .bytes = buf_slice(&r.b)});
    assert_int_equal(version_of(&r), 3);
    rig_done(&r);
    (void)state;
}

static void an_upstream_that_sends_but_does_not_answer_is_dialled_anew(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    host_start(&r.host);
    host_tick(&r.host);
    for (int i = 0; i < 200 && r.host.follows == 1; i++) {
        beat(&r);
        if (i % 10 == 0 && r.host.request.len)
            host_no_reply(&r.host);
        pass(&r, HEARTBEAT_MS);
    }
    assert_int_equal(r.host.follows, 2);
    assert_int_equal(host_said_times(&r.host, "does not answer requests"), 1);
    rig_done(&r);
    (void)state;
}

static void a_driver_that_forgets_a_request_does_not_stop_it(void **state)
{
    struct rig r;
    rig_init(&r, 5, 3);
    connect_up(&r);
    publish(&r, 5, 5);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    buf_clear(&r.host.request);
    live(&r, FOLLOWER_REQUEST_DEADLINE_MS + 3000);
    assert_int_equal(version_of(&r), 5);
    rig_done(&r);
    (void)state;
}

static void a_smaller_counter_is_counted_and_its_origin_not_taken(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.counter = 100;
    connect_up(&r);
    assert_int_equal(host_view(&r.host).counter, 101);
    write_some(&r.h, 1);
    r.counter = 50;
    beat(&r);
    assert_int_equal(r.host.counts[COUNT_STALE], 1);
    assert_int_equal(host_view(&r.host).counter, 101);
    assert_int_equal(host_view(&r.host).envs[0].head, 3);
    rig_done(&r);
    (void)state;
}

static void an_origin_that_does_not_move_for_5_s_is_stale(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    for (int i = 0; i < 24; i++) {
        assert_false(host_view(&r.host).stale);
        r.counter--; /* the same again */
        beat(&r);
        settle(&r);
        pass(&r, HEARTBEAT_MS);
        settle(&r);
    }
    for (int i = 0; i < 10; i++) {
        r.counter--;
        beat(&r);
        settle(&r);
        pass(&r, HEARTBEAT_MS);
        settle(&r);
    }
    assert_true(host_view(&r.host).stale);
    assert_true(host_view(&r.host).connected);
    assert_int_equal(host_said_times(&r.host, "no news from the primary"), 1);
    assert_int_equal(r.host.counts[COUNT_STALE], 0);
    beat(&r);
    assert_false(host_view(&r.host).stale);
    rig_done(&r);
    (void)state;
}

static void a_stale_upstream_is_left_for_one_with_news(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    for (int i = 0; i < 30 && r.host.upstream == 0; i++) {
        r.counter--; /* the same again */
        beat(&r);
        settle(&r);
        pass(&r, HEARTBEAT_MS);
        settle(&r);
    }
    assert_int_equal(r.host.upstream, 1);
    assert_true(host_said(&r.host, "may be old; asking the others"));
    for (int i = 0; i < 100; i++) { /* it is no better: that is no reason to go round and round */
        r.counter--;
        beat(&r);
        settle(&r);
        pass(&r, HEARTBEAT_MS);
        settle(&r);
    }
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.follows, 2);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- which upstream is nearest */

/* Upstream `u` is heard beside the one that is followed. */
static void probe_hears(struct rig *r, uint32_t u, uint64_t counter)
{
    buf_clear(&r->b);
    kit_heartbeat(&r->s, &r->s, counter, &r->b);
    host_step(&r->host, (struct follower_input){
                            .kind = IN_MESSAGE, .upstream = u, .bytes = buf_slice(&r->b)});
}

static void begin_with_upstreams(struct rig *r, uint32_t upstreams, uint64_t counter)
{
    rig_init(r, 3, 3);
    r->host.upstreams = upstreams;
    r->counter = counter;
    host_start(&r->host);
    host_tick(&r->host);
}

static void at_its_start_a_host_goes_to_the_upstream_that_knows_most(void **state)
{
    struct rig r;
    begin_with_upstreams(&r, 3, 100);
    assert_int_equal(r.host.probes, 6);
    beat(&r);
    probe_hears(&r, 1, 5000);
    assert_int_equal(r.host.probes, 4);
    assert_int_equal(r.host.upstream, 0);
    probe_hears(&r, 2, 6000);
    assert_int_equal(r.host.probes, 0);
    assert_int_equal(r.host.upstream, 2);
    assert_true(host_said(&r.host, "has heard less of the primary"));
    assert_int_equal(r.host.counts[COUNT_OLDER], 1);
    rig_done(&r);
    (void)state;
}

static void the_first_in_order_is_kept_where_the_others_know_about_as_much(void **state)
{
    struct rig r;
    begin_with_upstreams(&r, 2, 100);
    probe_hears(&r, 1, 105);
    assert_int_equal(r.host.upstream, 0);
    beat(&r);
    live(&r, 3000);
    assert_int_equal(r.host.upstream, 0);
    assert_int_equal(r.host.follows, 1);
    assert_int_equal(r.host.counts[COUNT_OLDER], 0);
    rig_done(&r);
    (void)state;
}

static void others_are_listened_to_for_a_moment_and_at_the_start_alone(void **state)
{
    struct rig r;
    begin_with_upstreams(&r, 2, 100);
    live(&r, FOLLOWER_PROBE_MS - 100);
    assert_int_equal(r.host.probes, 2);
    live(&r, 200);
    assert_int_equal(r.host.probes, 0);
    probe_hears(&r, 1, 5000);
    live(&r, 10000);
    assert_int_equal(r.host.probes, 0);
    assert_int_equal(r.host.upstream, 0);
    rig_done(&r);
    (void)state;
}

static void with_one_upstream_there_is_nobody_to_compare(void **state)
{
    struct rig r;
    begin_with_upstreams(&r, 1, 100);
    assert_int_equal(r.host.probes, 0);
    live(&r, 3000);
    assert_int_equal(r.host.follows, 1);
    rig_done(&r);
    (void)state;
}

static void a_counter_from_before_the_start_is_not_gone_below(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.counter = 500;
    r.counter = 100;
    connect_up(&r);
    assert_int_equal(r.host.counts[COUNT_STALE], 1);
    assert_int_equal(host_view(&r.host).counter, 500);
    live(&r, FOLLOWER_STALE_MS + 1000);
    assert_true(host_view(&r.host).stale);
    assert_true(host_said(&r.host, "repeats heartbeats that were heard before"));
    assert_int_equal(r.host.counts[COUNT_REPLAYED], 1);
    assert_int_equal(r.host.counts[COUNT_FROZEN], 0);
    rig_done(&r);
    (void)state;
}

static void an_upstream_that_claims_an_epoch_which_it_has_not_is_left(void **state)
{
    struct rig r;
    struct env_head head = {.name = SLICE("production"), .epoch = 99, .version = 3};
    struct buf origin = BUF_INIT(1 << 16), hop = BUF_INIT(1 << 16);
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    heartbeat_put_hop(&hop, 1, SLICE("liar"), &head, 1);
    for (int i = 0; i < 40 && r.host.upstream == 0; i++) {
        buf_clear(&r.b);
        frame_put_heartbeat(&r.b, buf_slice(&origin), (struct slice){0}, buf_slice(&hop));
        host_message(&r.host, buf_slice(&r.b));
        pass(&r, 100);
        settle(&r);
    }
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_WRONG], 1);
    assert_int_equal(version_of(&r), 3);
    buf_done(&hop);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- epochs, divergence, digests */

static void a_greater_epoch_is_loaded_within_2_s(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    connect_up(&r);
    write_epoch(&r.h, 6); /* restored from a backup */
    live(&r, HEARTBEAT_MS + FOLLOWER_SNAPSHOT_JITTER_MS);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(version_of(&r), 7);
    assert_true(host_said(&r.host, "a newer epoch has begun"));
    rig_done(&r);
    (void)state;
}

static void an_older_epoch_is_never_taken(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 10, 10);
    history_init(&old, "production", 4, 30);
    struct server behind = {.env = {&old}, .envs = 1};
    host_start(&r.host);
    host_tick(&r.host);
    live_with(&r, &behind, 60000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_non_null(strstr(why_of(&r), "older epoch 0000000000000004"));
    assert_int_equal(host_said_times(&r.host, "older epoch 0000000000000004"), 1);
    assert_int_equal(r.host.env[0].loaded, 0);
    live(&r, 1000); /* it was upgraded */
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

/* So fast that no connection was missed; its heartbeats are counted from before. */
static void an_older_primary_in_the_place_of_the_present_one_is_noticed(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 10, 10);
    history_init(&old, "production", 4, 30);
    struct server before = {.env = {&old}, .envs = 1};
    r.counter = 100;
    connect_up(&r);
    live(&r, 3000);
    uint32_t hellos = r.host.hellos;
    r.counter = 50;
    live_with(&r, &before, 2000);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_non_null(strstr(why_of(&r), "older epoch 0000000000000004"));
    assert_int_equal(r.host.counts[COUNT_OLDER], 1);
    assert_int_equal(r.host.hellos, hellos + 1);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void an_upstream_at_an_older_epoch_is_left_and_asked_again_later(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 10, 10);
    history_init(&old, "production", 4, 30);
    struct server behind = {.env = {&old}, .envs = 1};
    r.host.upstreams = 2;
    host_start(&r.host);
    host_tick(&r.host);
    answer_from(&r, &behind);
    assert_int_equal(r.host.upstream, 1);
    settle(&r);
    live(&r, 59000);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    live(&r, 3000);
    assert_int_equal(r.host.upstream, 0);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

/* What is there of it may be all that there is: it passes up what its host has to say, and other environments go on. */
static void an_upstream_at_an_older_epoch_is_stayed_with_while_the_other_is_silent(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 10, 10);
    history_init(&old, "production", 4, 30);
    struct server behind = {.env = {&old}, .envs = 1};
    r.host.upstreams = 2;
    host_start(&r.host);
    host_tick(&r.host);
    answer_from(&r, &behind);
    assert_int_equal(r.host.upstream, 1);
    pass(&r, 1000);
    assert_int_equal(r.host.upstream, 0);
    uint32_t statuses = r.host.statuses;
    live_with(&r, &behind, 9900);
    assert_int_equal(r.host.upstream, 0);
    assert_in_range(r.host.statuses - statuses, 3, 10);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    live_with(&r, &behind, 1000); /* and then the other is asked again */
    assert_int_equal(r.host.upstream, 1);
    settle(&r);
    live(&r, 3000);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void a_host_ahead_of_the_primary_has_diverged(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    connect_up(&r);
    r.s.behind[0] = 2; /* its disk was set back */
    live(&r, 3000);
    assert_int_equal(state_of(&r), ENV_DIVERGED);
    assert_non_null(strstr(why_of(&r), "ahead of the primary"));
    assert_int_equal(r.host.counts[COUNT_DIVERGED], 1);
    assert_int_equal(host_said_times(&r.host, "diverged"), 1);
    r.s.behind[0] = 0;
    write_some(&r.h, 1);
    publish(&r, 11, 11);
    live(&r, 60000);
    assert_int_equal(version_of(&r), 10); /* nothing more of this epoch */
    assert_int_equal(r.host.fetches, 0);
    write_epoch(&r.h, 8);
    live(&r, 3000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

/* A hello is not signed: whoever calls itself the primary can say that. */
static void what_one_hello_says_of_divergence_another_upstream_ends(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    r.host.upstreams = 2;
    r.s.behind[0] = 2;
    connect_up(&r);
    live(&r, 100);
    assert_int_equal(r.host.counts[COUNT_DIVERGED], 1);
    assert_int_equal(r.host.upstream, 1);
    r.s.behind[0] = 0;
    write_some(&r.h, 1);
    connect_up(&r);
    live(&r, 3000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

static void an_upstream_that_says_it_is_behind_is_left_after_5_s_if_there_is_another(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    connect_up(&r);
    r.s.distance = 1;
    write_flag(&r.h, 1, 77);
    r.s.behind[0] = 1;
    live(&r, FOLLOWER_STALE_MS - 1000);
    assert_true(host_view(&r.host).lags);
    assert_int_equal(r.host.upstream, 0);
    r.s.behind[0] = 0; /* a lag that ends is none to leave for */
    live(&r, 1000);
    assert_false(host_view(&r.host).lags);
    r.s.behind[0] = 1;
    live(&r, FOLLOWER_STALE_MS - 1000);
    assert_int_equal(r.host.upstream, 0);
    live(&r, 2000);
    assert_int_equal(r.host.upstream, 1);
    assert_non_null(strstr(buf_str(&r.host.log), "has been behind for 5 s"));
    rig_done(&r);
    (void)state;
}

static void an_upstream_that_is_behind_is_kept_when_there_is_no_other(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    r.s.distance = 1;
    write_flag(&r.h, 1, 77);
    r.s.behind[0] = 1;
    live(&r, 3 * FOLLOWER_STALE_MS);
    assert_true(host_view(&r.host).lags);
    assert_int_equal(r.host.counts[COUNT_SWITCH], 0);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- what upstream keeps back */

/* A host that has all, with so many upstreams, before the primary has another change. */
static void begin_behind(struct rig *r, uint32_t upstreams)
{
    rig_init(r, 3, 3);
    r->host.upstreams = upstreams;
    connect_up(r);
    live(r, 300);
    write_some(&r->h, 1);
}

static void an_upstream_that_is_always_busy_is_left_after_10_s_if_there_is_another(void **state)
{
    struct rig r;
    begin_behind(&r, 2);
    r.s.busy_ms = 100;
    live(&r, PATIENCE_MS - 1000);
    assert_int_equal(r.host.upstream, 0);
    live(&r, 2000);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    assert_true(host_said(&r.host,
                          "upstream 1 of 2 does not give what the primary has: environment "
                          "'production' has waited 10 s at version 3, the primary is at 4"));
    r.s.busy_ms = 0;
    live(&r, 2000);
    assert_int_equal(version_of(&r), 4);
    live(&r, 50000);
    assert_int_equal(r.host.upstream, 1);
    live(&r, 10000);
    assert_int_equal(r.host.upstream, 0); /* it has its chance again */
    live(&r, 60000);
    assert_int_equal(r.host.upstream, 0);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    rig_done(&r);
    (void)state;
}

/* What it says of itself, and nobody signs, is that there is no more to be had. */
static void an_upstream_that_claims_to_be_current_is_left_when_the_primary_is_further(void **state)
{
    struct rig r;
    struct history old;
    begin_behind(&r, 2);
    history_init(&old, "production", 5, 3);
    struct server claims = {.env = {&old}, .envs = 1, .distance = 1};
    live_between(&r, &r.s, &claims, PATIENCE_MS + 1000);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    live(&r, 3000);
    assert_int_equal(version_of(&r), 4);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void an_environment_that_only_the_primary_has_is_waited_for(void **state)
{
    struct rig r;
    rig_init(&r, 3, 0);
    r.host.upstreams = 2;
    struct server none = {.distance = 1};
    host_start(&r.host);
    host_tick(&r.host);
    live_between(&r, &r.s, &none, PATIENCE_MS + 1000);
    assert_int_equal(r.host.upstream, 1);
    live_between(&r, &none, &none, 50000); /* who has it no more, or never had, is not blamed */
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    rig_done(&r);
    (void)state;
}

static void an_upstream_alone_is_kept_and_named_once(void **state)
{
    struct rig r;
    begin_behind(&r, 1);
    r.s.busy_ms = 100;
    live(&r, 120000);
    assert_int_equal(r.host.counts[COUNT_SWITCH], 0);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    assert_int_equal(host_said_times(&r.host, "there is no other to go to"), 1);
    r.s.busy_ms = 0;
    live(&r, 3000);
    assert_int_equal(version_of(&r), 4);
    write_some(&r.h, 1);
    r.s.busy_ms = 100;
    live(&r, 20000);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 2); /* that is another time */
    rig_done(&r);
    (void)state;
}

static void where_all_are_busy_a_host_does_not_run_to_and_fro(void **state)
{
    struct rig r;
    begin_behind(&r, 2);
    r.s.busy_ms = 100;
    live(&r, 600000);
    assert_in_range(r.host.counts[COUNT_SWITCH], 5, 14);
    r.s.busy_ms = 0;
    live(&r, 3000);
    assert_int_equal(version_of(&r), 4);
    assert_int_equal(r.host.f->envs[0].patience.doublings, 0);
    rig_done(&r);
    (void)state;
}

static void what_comes_slowly_is_waited_for_but_not_for_ever(void **state)
{
    struct rig r;
    begin_behind(&r, 2);
    struct fenv *e = &r.host.f->envs[0];
    r.s.busy_ms = 100;
    for (int s = 0; s < 290; s += 5) {
        live(&r, 5000);
        patience_gain(e, PATIENCE_BYTES);
        assert_int_equal(r.host.upstream, 0);
    }
    for (int s = 0; s < 15; s += 5) {
        live(&r, 5000);
        patience_gain(e, PATIENCE_BYTES);
    }
    assert_int_equal(r.host.upstream, 1); /* all of it must have come in five minutes */
    rig_done(&r);
    (void)state;
}

static void too_little_is_as_nothing(void **state)
{
    struct rig r;
    begin_behind(&r, 2);
    r.s.busy_ms = 100;
    for (int s = 0; s < 11; s++) {
        live(&r, 1000);
        patience_gain(&r.host.f->envs[0], PATIENCE_BYTES / 12);
    }
    assert_int_equal(r.host.upstream, 1);
    rig_done(&r);
    (void)state;
}

/* Records that nobody wrote can be more than a host takes, which then never compares them. */
static void a_load_that_fails_for_its_size_has_brought_nothing(void **state)
{
    struct rig r;
    rig_init(&r, 9, 0);
    r.host.upstreams = 2;
    r.host.env[0].load_err = HOIST_ELIMIT;
    host_start(&r.host);
    host_tick(&r.host);
    live(&r, PATIENCE_MS + 2000);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 1);
    rig_done(&r);
    (void)state;
}

static void upstream_is_not_blamed_for_the_store(void **state)
{
    struct rig r;
    begin_behind(&r, 2);
    r.host.env[0].apply_err = HOIST_ENOSPC;
    live(&r, 200000);
    r.h.log_first = 4; /* now it takes a snapshot */
    r.host.env[0].load_err = HOIST_ENOSPC;
    write_some(&r.h, 1);
    live(&r, 200000);
    assert_int_equal(r.host.upstream, 0);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 0);
    rig_done(&r);
    (void)state;
}

static void an_upstream_that_stands_still_itself_is_not_said_to_keep_back(void **state)
{
    struct rig r;
    begin_behind(&r, 1);
    struct server relay = r.s;
    relay.distance = 1;
    relay.behind[0] = 1; /* and says so */
    live_between(&r, &r.s, &relay, 60000);
    assert_true(host_view(&r.host).lags);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 0);
    r.s.busy_ms = 100;
    for (int s = 0; s < 60; s++) { /* what it has heard of the primary is old */
        pass(&r, HEARTBEAT_MS);
        r.counter--;
        beat(&r);
        settle(&r);
    }
    assert_true(host_view(&r.host).stale);
    assert_int_equal(r.host.counts[COUNT_WITHHOLDS], 0);
    rig_done(&r);
    (void)state;
}

static void a_hello_that_cannot_be_read_is_waited_for_as_long(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.host.upstreams = 2;
    host_start(&r.host);
    host_tick(&r.host);
    for (int s = 0; s < 55; s++) {
        beat(&r);
        if (r.host.request.len && host_asks(&r.host) == FRAME_HELLO)
            host_reply(&r.host, SLICE("no hello"));
        pass(&r, HEARTBEAT_MS);
    }
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.counts[COUNT_MUTE], 1);
    assert_true(host_said(&r.host, "has not answered hello, so that it can be read, for 10 s"));
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- being a relay */

static struct standing standing_of(struct rig *r, struct arena *arena)
{
    struct standing s;
    assert_int_equal(follower_standing(r->host.f, arena, &s), HOIST_OK);
    return s;
}

/* The origin of the message that was sent last. */
static struct slice sent_origin(struct rig *r, struct arena *arena)
{
    struct frame_heartbeat h;
    assert_int_equal(frame_get_heartbeat(buf_slice(&r->b), arena, &h), HOIST_OK);
    assert_int_equal(arena_own(arena, &h.origin), HOIST_OK);
    return h.origin;
}

static void a_relay_passes_the_newest_origin_on_as_it_came(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    r.host.relay = true;
    r.s.distance = 4;
    host_start(&r.host);
    host_tick(&r.host);
    assert_int_equal(standing_of(&r, &arena).origin.len, 0);
    settle(&r);
    beat(&r);
    struct slice first = sent_origin(&r, &arena);
    assert_true(slice_eq(standing_of(&r, &arena).origin, first));
    assert_int_equal(standing_of(&r, &arena).distance, 5);
    write_flag(&r.h, 1, 77);
    beat(&r);
    struct slice second = sent_origin(&r, &arena);
    assert_true(slice_eq(standing_of(&r, &arena).origin, second));
    r.counter -= 2;
    beat(&r); /* one from before */
    assert_true(slice_eq(standing_of(&r, &arena).origin, second));
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

static void beat_with_certificates(struct rig *r, const struct slice *list, uint32_t count)
{
    struct env_head heads[ENVS];
    struct buf origin = BUF_INIT(1 << 16), hop = BUF_INIT(1 << 16);
    buf_clear(&r->b);
    heartbeat_put_origin(&origin, ++r->counter, 0, heads, kit_heads(&r->s, heads));
    heartbeat_put_hop(&hop, 0, SLICE("server"), heads, kit_heads(&r->s, heads));
    frame_put_heartbeat_with(&r->b, buf_slice(&origin), (struct slice){0}, buf_slice(&hop), list,
                             count);
    buf_done(&origin);
    buf_done(&hop);
    host_message(&r->host, buf_slice(&r->b));
}

static void a_relay_passes_no_certificate_on_that_was_made_up(void **state)
{
    struct rig r;
    struct arena arena = {0};
    struct sign_key keys[2];
    struct buf good = BUF_INIT(CERTIFICATE_BYTES_MAX), forged = BUF_INIT(CERTIFICATE_BYTES_MAX);
    rig_init(&r, 3, 3);
    for (int i = 0; i < 2; i++)
        sign_key_random(&keys[i]);
    assert_int_equal(certificate_put(CERTIFICATE_ROTATE, keys[1].public, 1, &keys[0], &good),
                     HOIST_OK);
    buf_add_slice(&forged, buf_slice(&good));
    forged.ptr[forged.len - 1] ^= 1;
    struct slice list[] = {buf_slice(&forged), buf_slice(&good), SLICE("none")};
    r.host.relay = true;
    connect_up(&r);
    for (int i = 0; i < 2; i++) {
        beat_with_certificates(&r, list, 3);
        struct standing s = standing_of(&r, &arena);
        assert_int_equal(s.certificate_count, 1);
        assert_true(slice_eq(s.certificates[0], buf_slice(&good)));
    }
    beat_with_certificates(&r, list, 1);
    assert_int_equal(standing_of(&r, &arena).certificate_count, 0);
    beat_with_certificates(&r, list, 3);
    beat(&r); /* of another upstream, that has none */
    assert_int_equal(standing_of(&r, &arena).certificate_count, 0);
    arena_done(&arena);
    buf_done(&good);
    buf_done(&forged);
    rig_done(&r);
    (void)state;
}

/* As whoever has stolen a key may make many. */
static void a_rotation_for_which_there_is_no_room_is_said_once(void **state)
{
    struct rig r;
    struct sign_key owner, made;
    struct slice list[TRUST_KEYS_MAX];
    struct buf certificates[TRUST_KEYS_MAX];
    rig_init(&r, 3, 3);
    sign_key_random(&owner);
    r.host.trust.count = 1;
    memcpy(r.host.trust.keys[0], owner.public, SIGN_PUBLIC_SIZE);
    for (int i = 0; i < TRUST_KEYS_MAX; i++) {
        sign_key_random(&made);
        certificates[i] = BUF_INIT(CERTIFICATE_BYTES_MAX);
        assert_int_equal(
            certificate_put(CERTIFICATE_ROTATE, made.public, 1, &owner, &certificates[i]),
            HOIST_OK);
        list[i] = buf_slice(&certificates[i]);
    }
    host_start(&r.host);
    host_tick(&r.host);
    beat_with_certificates(&r, list, TRUST_KEYS_MAX - 1);
    assert_false(host_said(&r.host, "no room here for another signing key"));
    for (int i = 0; i < 3; i++)
        beat_with_certificates(&r, list, TRUST_KEYS_MAX);
    assert_int_equal(host_said_times(&r.host, "no room here for another signing key"), 1);
    for (int i = 0; i < TRUST_KEYS_MAX; i++)
        buf_done(&certificates[i]);
    rig_done(&r);
    (void)state;
}

static void a_relay_says_how_it_stands_itself(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 0);
    r.host.relay = true;
    host_start(&r.host);
    host_tick(&r.host);
    struct frame_hello hello;
    assert_int_equal(frame_get_hello(buf_slice(&r.host.request), FRAME_HELLO, &arena, &hello),
                     HOIST_OK);
    assert_true(slice_eq(hello.role, SLICE("relay")));
    struct standing s = standing_of(&r, &arena);
    assert_int_equal(s.head_count, 1);
    assert_int_equal(s.heads[0].state, ENV_LOADING);
    assert_int_equal(s.heads[0].version, 0);
    live(&r, 5000);
    s = standing_of(&r, &arena);
    assert_int_equal(s.heads[0].state, ENV_CURRENT);
    assert_int_equal(s.heads[0].version, 3);
    assert_memory_equal(s.heads[0].hash, at_version(&r.h, 3)->hash, HASH_SIZE);
    write_flag(&r.h, 1, 77);
    beat(&r);
    assert_int_equal(standing_of(&r, &arena).heads[0].state, ENV_BEHIND);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

static void a_relay_that_has_heard_nobody_says_no_more_than_it_knows(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    r.host.relay = true;
    host_start(&r.host);
    host_tick(&r.host);
    struct standing s = standing_of(&r, &arena);
    assert_int_equal(s.origin.len, 0);
    assert_int_equal(s.distance, 1);
    assert_int_equal(s.heads[0].version, 3);
    assert_int_equal(s.heads[0].state, ENV_BEHIND);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

static void beat_without_origin(struct rig *r)
{
    buf_clear(&r->b);
    kit_heartbeat(NULL, &r->s, 0, &r->b);
    host_message(&r->host, buf_slice(&r->b));
}

static void a_heartbeat_without_an_origin_shows_the_sender_and_no_news(void **state)
{
    struct rig r;
    struct follower_view v;
    rig_init(&r, 3, 2);
    r.s.distance = 1;
    host_start(&r.host);
    host_tick(&r.host);
    settle(&r);
    for (int64_t ms = 0; ms < FOLLOWER_STALE_MS; ms += HEARTBEAT_MS) {
        beat_without_origin(&r);
        settle(&r);
        pass(&r, HEARTBEAT_MS);
        settle(&r);
    }
    v = host_view(&r.host);
    assert_true(v.connected && v.stale);
    assert_int_equal(v.news_ms, -1);
    assert_int_equal(v.distance, 1);
    assert_int_equal(v.envs[0].version, 3); /* what the relay has is taken */
    assert_int_equal(v.envs[0].state, ENV_BEHIND);
    assert_int_equal(r.host.counts[COUNT_STALE], 0);
    assert_int_equal(r.host.counts[COUNT_SWITCH], 0);
    beat(&r);
    v = host_view(&r.host);
    assert_false(v.stale);
    assert_int_equal(v.envs[0].state, ENV_CURRENT);
    beat_without_origin(&r); /* the relay was started again: what is known stays so */
    assert_int_equal(r.host.counts[COUNT_STALE], 0);
    assert_int_equal(host_view(&r.host).envs[0].state, ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

/* Two relays that follow each other, each with the other's distance. */
static void distance_grows_only_with_news(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    r.s.distance = 1;
    connect_up(&r);
    for (uint32_t i = 0; i < 10; i++) {
        r.s.distance = host_view(&r.host).distance + 2;
        r.counter--;
        beat(&r);
    }
    assert_int_equal(host_view(&r.host).distance, 1);
    rig_done(&r);
    (void)state;
}

static void an_agent_keeps_no_origin(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    connect_up(&r);
    assert_int_equal(standing_of(&r, &arena).origin.len, 0);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

static void behind_a_relay_it_waits(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    r.s.distance = 1;
    r.s.behind[0] = 2;
    connect_up(&r);
    live(&r, 30000);
    assert_int_equal(r.host.counts[COUNT_DIVERGED], 0);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_int_equal(r.host.hellos, 1);
    rig_done(&r);
    (void)state;
}

static void a_heartbeat_that_a_fetch_overtook_is_no_divergence(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    connect_up(&r);
    struct buf old = BUF_INIT(1 << 16);
    kit_heartbeat(&r.s, &r.s, r.counter + 1, &old);
    r.counter++;
    write_some(&r.h, 1);
    publish(&r, 11, 11);
    host_message(&r.host, buf_slice(&old)); /* shows head 10 to a host at 11 */
    live(&r, 3000);
    assert_int_equal(r.host.counts[COUNT_DIVERGED], 0);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    buf_done(&old);
    rig_done(&r);
    (void)state;
}

static void another_change_of_the_same_version_is_divergence(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    connect_up(&r);
    write_other_head(&r.h);
    live(&r, 1000);
    assert_int_equal(state_of(&r), ENV_DIVERGED);
    assert_non_null(strstr(why_of(&r), "another change of this version"));
    rig_done(&r);
    (void)state;
}

static void a_primary_whose_log_goes_on_from_another_change_has_diverged(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    struct history set_back;
    history_init(&set_back, "production", 5, 8);
    for (int i = 0; i < 6; i++)
        write_flag(&set_back, 5, 31 + 10 * (uint64_t)i);
    struct server s = {.env = {&set_back}, .envs = 1};
    host_start(&r.host);
    host_tick(&r.host);
    live_with(&r, &s, 5000);
    assert_int_equal(version_of(&r), 10);
    assert_int_equal(state_of(&r), ENV_DIVERGED);
    rig_done(&r);
    history_done(&set_back);
    (void)state;
}

/* It took more changes than it had lost before this host was heard: no version shows it any more. */
static void who_is_given_a_change_that_does_not_follow_proves_its_own(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    struct history set_back;
    history_init(&set_back, "production", 5, 8);
    for (int i = 0; i < 6; i++)
        write_flag(&set_back, 5, 31 + 10 * (uint64_t)i);
    struct server s = {.env = {&set_back}, .envs = 1};
    connect_up(&r);
    live(&r, 1000);
    assert_int_equal(r.host.proves, 1); /* for its hello */
    for (int i = 0; i < 1000 && state_of(&r) != ENV_REFUSING; i++)
        live_with(&r, &s, 1);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_int_equal(r.host.proves, 2);
    rig_done(&r);
    history_done(&set_back);
    (void)state;
}

static void another_digest_at_the_same_version_resyncs_and_says_so(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    r.host.env[0].now.digest[0] ^= 1; /* as if the store had lost something */
    connect_up(&r);
    live(&r, 3000);
    assert_int_equal(r.host.env[0].loaded, 1);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_true(host_said(&r.host, "another state digest"));
    live(&r, 30000);
    assert_int_equal(r.host.env[0].loaded, 1);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- loading */

static void changes_during_a_snapshot_are_replayed_on_top(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.page = 2;
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s); /* the first page */
    for (uint32_t i = 0; i < 3; i++) {
        write_flag(&r.h, 0, 50000 + 10 * i); /* on a page that was read, and on one that was not */
        write_flag(&r.h, 7, 60000 + 10 * i);
        publish(&r, r.h.head, r.h.head); /* every second one only */
        answer_from(&r, &r.s);
    }
    settle(&r);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.env[0].loaded, 1);
    rig_done(&r);
    (void)state;
}

static void what_was_published_saves_a_load_from_a_short_log(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);
    for (uint32_t i = 0; i < 50; i++) {
        write_some(&r.h, 1);
        publish(&r, r.h.head, r.h.head);
    }
    while (host_asks(&r.host) == FRAME_SNAPSHOT)
        answer_from(&r, &r.s);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    uint32_t fetches = r.host.fetches;
    settle(&r);
    assert_int_equal(r.host.fetches, fetches); /* one told the head, the rest was here */
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void changes_that_come_while_the_store_switches_are_applied_then(void **state)
{
    struct rig r;
    rig_init(&r, 5, 0);
    r.host.late = true;
    connect_up(&r);
    while (r.host.env[0].loaded == 0) {
        pass(&r, 1);
        settle(&r);
    }
    write_some(&r.h, 2);
    publish(&r, 6, 6);
    publish(&r, 7, 7);
    assert_int_equal(version_of(&r), 5);
    r.host.late = false;
    host_commit(&r.host);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.env[0].applied, 2);
    assert_int_equal(host_asks(&r.host), 0); /* nothing had to be fetched */
    rig_done(&r);
    (void)state;
}

static void a_load_that_fails_is_begun_anew_more_and_more_rarely(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.forgets = true;
    connect_up(&r);
    live(&r, 60000);
    uint32_t early = r.host.snapshots;
    assert_true(early >= 8);
    live(&r, 300000);
    assert_true(r.host.snapshots - early <= 80); /* two pages every 15 s on average */
    assert_true(r.host.snapshots - early >= 20);
    assert_int_equal(host_said_times(&r.host, "could not be loaded"), 1);
    assert_int_equal(state_of(&r), ENV_LOADING);
    r.s.forgets = false;
    live(&r, FOLLOWER_RETRY_MAX_MS + 1000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void a_snapshot_that_the_store_finds_wrong_is_refused(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.host.env[0].load_err = HOIST_ECORRUPT;
    r.host.upstreams = 2;
    connect_up(&r);
    pass(&r, 50);
    settle(&r);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_int_equal(r.host.upstream, 1); /* another may do better */
    r.host.env[0].load_err = HOIST_OK;
    live(&r, 1000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

static void a_snapshot_survives_a_broken_connection(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.page = 2;
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);
    answer_from(&r, &r.s);
    live_with(&r, NULL, 5000);
    assert_true(r.host.follows > 1);
    live(&r, 5000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.aborts, 0);
    rig_done(&r);
    (void)state;
}

static void another_upstream_begins_the_snapshot_anew(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.page = 2;
    r.host.upstreams = 2;
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);
    live_with(&r, NULL, 1100);
    assert_int_equal(r.host.upstream, 1);
    assert_int_equal(r.host.aborts, 1);
    live(&r, 1000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void a_load_begins_anew_when_upstream_was_at_an_older_epoch_in_between(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 20, 0);
    history_init(&old, "production", 4, 20);
    struct server back = {.env = {&old}, .envs = 1};
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_FETCH)
        if (r.host.request.len)
            answer_from(&r, &r.s);
        else
            pass(&r, 1);
    answer_from(&r, &back);
    live(&r, 5000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    history_done(&old);
    rig_done(&r);
    (void)state;
}

static void a_newer_epoch_is_loaded_though_upstream_was_at_an_older_one_in_between(void **state)
{
    struct rig r;
    struct history old;
    rig_init(&r, 10, 10);
    history_init(&old, "production", 4, 20);
    struct server back = {.env = {&old}, .envs = 1};
    connect_up(&r);
    write_epoch(&r.h, 10);
    beat(&r); /* its snapshot is waited for */
    assert_int_equal(state_of(&r), ENV_LOADING);
    live_with(&r, &back, 3000); /* its disk was set back */
    assert_int_equal(state_of(&r), ENV_REFUSING);
    write_epoch(&r.h, 11);
    live(&r, 10000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(state_of(&r), ENV_CURRENT);
    history_done(&old);
    rig_done(&r);
    (void)state;
}

static void an_epoch_that_upstream_went_back_to_during_a_load_is_loaded(void **state)
{
    struct rig r;
    rig_init(&r, 10, 10);
    r.s.page = KEYS;
    connect_up(&r);
    write_epoch(&r.h, 10);
    write_epoch(&r.h, 11);
    beat(&r);
    while (host_asks(&r.host) != FRAME_FETCH)
        if (r.host.request.len)
            answer_from(&r, &r.s);
        else
            pass(&r, 1);
    r.s.behind[0] = 1; /* it was set back to the first of the two, which the host has not either */
    live(&r, 10000);
    assert_int_equal(r.host.aborts, 1);
    assert_int_equal(r.host.env[0].now.epoch, 6);
    assert_int_equal(version_of(&r), 11);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

static void a_newer_epoch_ends_the_load_of_an_older_one(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.page = 2;
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);
    write_epoch(&r.h, 15);
    live(&r, 5000);
    assert_int_equal(r.host.aborts, 1);
    assert_int_equal(r.host.env[0].loaded, 1);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void pages_out_of_order_are_refused(void **state)
{
    struct rig r;
    rig_init(&r, 20, 0);
    r.s.page = 2;
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);
    struct edit again = {.put = true, .key = SLICE("k0"), .record = SLICE("12345678")};
    buf_clear(&r.b);
    frame_put_snapshot_reply(
        &r.b, &(struct frame_snapshot_reply){
                  .epoch = 5, .version = 20, .records = &again, .count = 1, .flags_total = 8});
    host_reply(&r.host, buf_slice(&r.b));
    assert_int_equal(r.host.aborts, 1);
    assert_int_equal(r.host.counts[COUNT_BAD_FRAME], 1);
    live(&r, 3000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void one_environment_loads_while_another_goes_on(void **state)
{
    struct rig r;
    struct history big;
    rig_init(&r, 5, 5);
    history_init(&big, "staging", 3, 50);
    r.s.env[1] = &big;
    r.s.envs = 2;
    r.s.page = 1;
    host_add_env(&r.host, &big, 0);
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT) {
        pass(&r, 1);
        if (host_asks(&r.host) != FRAME_SNAPSHOT)
            settle(&r);
    }
    answer_from(&r, &r.s); /* a page of staging; the next is asked for */
    write_some(&r.h, 3);
    publish(&r, 6, 6);
    assert_int_equal(version_of(&r), 6);
    publish(&r, 8, 8); /* a hole: its fetch does not wait for staging's last page */
    answer_from(&r, &r.s);
    if (host_asks(&r.host) == FRAME_STATUS)
        answer_from(&r, &r.s);
    assert_int_equal(host_asks(&r.host), FRAME_FETCH);
    answer_from(&r, &r.s);
    answer_from(&r, &r.s);
    live(&r, 200);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_true(host_equals(&r.host, 1, &big));
    rig_done(&r);
    history_done(&big);
    (void)state;
}

static void what_is_kept_while_loading_is_bounded(void **state)
{
    enum { BIG = 250 << 10 };
    struct rig r;
    rig_init(&r, 20, 0);
    connect_up(&r);
    while (host_asks(&r.host) != FRAME_SNAPSHOT)
        pass(&r, 1);
    answer_from(&r, &r.s);

    uint8_t *record = mem_zalloc(BIG, 1);
    struct buf edits = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
    edits_begin(&edits, 1);
    edits_put(&edits, SLICE("k0"), slice_of(record, BIG));
    struct change_header head = {.env = SLICE("production"), .epoch = 5, .edits_count = 1};
    for (uint64_t v = 22; v < 22 + 2 * FOLLOWER_BUFFER_MAX / BIG; v++) {
        head.version = v; /* behind a hole, so that nothing takes them */
        buf_clear(&bytes);
        assert_int_equal(change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL),
                         HOIST_OK);
        buf_clear(&r.b);
        frame_put_changes(&r.b, &(struct slice){bytes.ptr, bytes.len}, 1);
        host_message(&r.host, buf_slice(&r.b));
        assert_int_equal(r.host.err, HOIST_OK);
    }
    assert_true(r.host.f->kept_bytes <= FOLLOWER_BUFFER_MAX);
    assert_true(r.host.f->kept_bytes > FOLLOWER_BUFFER_MAX - 2 * BIG);
    buf_done(&edits);
    buf_done(&bytes);
    mem_free(record);
    rig_done(&r);
    (void)state;
}

static void busy_is_obeyed(void **state)
{
    struct rig r;
    rig_init(&r, 9, 3);
    connect_up(&r);
    r.s.busy_ms = 700;
    publish(&r, 9, 9);
    answer_from(&r, &r.s);
    uint32_t fetches = r.host.fetches;
    int64_t until = r.host.now + 700;
    r.s.busy_ms = 0;
    while (r.host.now + HEARTBEAT_MS < until)
        live(&r, 100);
    assert_int_equal(r.host.fetches, fetches);
    live(&r, 600);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void an_environment_that_upstream_lacks_is_said_once_and_asked_for_again(void **state)
{
    struct rig r;
    rig_init(&r, 5, 0);
    r.s.envs = 0;
    connect_up(&r);
    live(&r, 60000);
    assert_int_equal(host_said_times(&r.host, "has no such environment"), 1);
    assert_int_equal(state_of(&r), ENV_LOADING);
    assert_true(r.host.fetches >= 3 && r.host.fetches < 30);
    r.s.envs = 1; /* it was made */
    live(&r, 1000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

static void an_environment_that_vanishes_upstream_is_served_on(void **state)
{
    struct rig r;
    rig_init(&r, 5, 5);
    connect_up(&r);
    live(&r, 500);
    r.s.envs = 0;
    live(&r, 60000);
    assert_int_equal(state_of(&r), ENV_BEHIND);
    assert_non_null(strstr(why_of(&r), "no such environment"));
    assert_int_equal(version_of(&r), 5);
    r.s.envs = 1;
    live(&r, 500);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- what the store cannot do */

static void a_full_disk_is_said_and_tried_until_there_is_room(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    r.host.env[0].apply_err = HOIST_ENOSPC;
    write_some(&r.h, 4);
    publish(&r, 4, 7);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_non_null(strstr(why_of(&r), "the store cannot take change 4"));
    live(&r, 60000);
    assert_int_equal(version_of(&r), 3);
    assert_int_equal(host_said_times(&r.host, "the store cannot take"), 1);
    assert_true(r.host.fetches < 40);
    r.host.env[0].apply_err = HOIST_OK;
    live(&r, FOLLOWER_RETRY_MAX_MS + 1000);
    assert_int_equal(version_of(&r), 7);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    assert_int_equal(r.host.counts[COUNT_BAD_CHANGE], 0);
    rig_done(&r);
    (void)state;
}

static void a_change_that_the_store_finds_wrong_is_fetched_anew_then_a_snapshot(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    r.host.env[0].apply_err = HOIST_ECORRUPT;
    write_some(&r.h, 1);
    publish(&r, 4, 4);
    assert_int_equal(state_of(&r), ENV_REFUSING);
    assert_int_equal(r.host.counts[COUNT_BAD_CHANGE], 1);
    assert_int_equal(r.host.snapshots, 0);
    live(&r, 5000);
    assert_true(host_equals(&r.host, 0, &r.h));
    assert_int_equal(r.host.env[0].loaded, 1);
    assert_int_equal(state_of(&r), ENV_CURRENT);
    rig_done(&r);
    (void)state;
}

/* The snapshot is of an upstream that stands still below what is served here. */
static void a_load_that_cannot_get_as_far_as_what_is_served_is_given_up(void **state)
{
    struct rig r;
    rig_init(&r, 6, 6);
    r.s.distance = 1;
    connect_up(&r);
    r.host.env[0].apply_err = HOIST_ECORRUPT;
    write_some(&r.h, 1);
    publish(&r, 7, 7);
    while (!host_said_times(&r.host, "does not lead to the state"))
        live(&r, 10);
    r.s.behind[0] = 3;
    live(&r, 300000);
    assert_true(r.host.aborts > 0);
    r.s.behind[0] = 0;
    live(&r, 300000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- status */

static struct frame_status status_in(struct rig *r, struct arena *arena)
{
    struct frame_status s;
    assert_int_equal(host_asks(&r->host), FRAME_STATUS);
    assert_int_equal(frame_get_status(buf_slice(&r->host.request), arena, &s), HOIST_OK);
    return s;
}

static void a_commit_is_told_within_5_ms(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    connect_up(&r);
    uint32_t before = r.host.statuses;
    write_some(&r.h, 3);
    publish(&r, 4, 4);
    publish(&r, 5, 5);
    publish(&r, 6, 6);
    pass(&r, 4);
    assert_int_equal(r.host.statuses, before);
    pass(&r, 1);
    assert_int_equal(r.host.statuses, before + 1); /* the three are told together */
    struct frame_status s = status_in(&r, &arena);
    assert_true(slice_eq(s.id, SLICE("host1")));
    assert_int_equal(s.env_count, 1);
    assert_int_equal(s.envs[0].version, 6);
    assert_int_equal(s.envs[0].state, ENV_CURRENT);
    assert_memory_equal(s.envs[0].hash, at_version(&r.h, 6)->hash, HASH_SIZE);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

/* The store gives the change of version 10. */
static void give_proof(struct rig *r)
{
    struct follower_input in = {.kind = IN_PROOF, .bytes = SLICE("change 10")};
    memcpy(in.hash, at_version(&r->h, 10)->hash, HASH_SIZE);
    host_step(&r->host, in);
}

/* Else any host could say so, and a primary would have to refuse changes at its word. */
static void a_host_proves_what_its_upstream_has_not(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 10, 10);
    connect_up(&r);
    live(&r, 3000);
    assert_int_equal(r.host.proves, 1); /* for its hello */
    r.s.behind[0] = 2;
    beat(&r);
    assert_int_equal(r.host.proves, 2);
    give_proof(&r);
    for (int i = 0; i < 3000 && host_asks(&r.host) != FRAME_STATUS; i++) {
        settle(&r); /* hello */
        pass(&r, 1);
    }
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.proof_count, 1);
    assert_true(slice_eq(s.proofs[0].env, SLICE("production")));
    assert_true(slice_eq(s.proofs[0].change, SLICE("change 10")));
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

/* Also when it is not asked for hello again, since a primary that was set back counts its heartbeats on. */
static void a_host_proves_an_epoch_that_its_upstream_has_not(void **state)
{
    struct rig r;
    struct history old;
    struct arena arena = {0};
    rig_init(&r, 10, 10);
    connect_up(&r);
    live(&r, 3000);
    history_init(&old, "production", 4, 30);
    r.s = (struct server){.env = {&old}, .envs = 1};
    beat(&r);
    assert_int_equal(r.host.proves, 2); /* the first was for its hello */
    give_proof(&r);
    for (int i = 0; i < 3000 && host_asks(&r.host) != FRAME_STATUS; i++) {
        settle(&r);
        pass(&r, 1);
    }
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.proof_count, 1);
    assert_true(slice_eq(s.proofs[0].change, SLICE("change 10")));
    arena_done(&arena);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void a_host_that_comes_back_proves_what_it_has_before_it_is_asked(void **state)
{
    struct rig r;
    struct arena arena = {0};
    struct frame_hello hello;
    rig_init(&r, 10, 10);
    connect_up(&r);
    live(&r, 3000);
    while (r.host.follows < 2) /* silence: it is dialled anew */
        pass(&r, 10);
    assert_int_equal(r.host.proves, 2);
    give_proof(&r);
    write_some(&r.h, 5); /* upstream has gone on meanwhile, from wherever */
    beat(&r);
    for (int i = 0; i < FOLLOWER_RETURN_JITTER_MS && host_asks(&r.host) != FRAME_HELLO; i++)
        pass(&r, 1);
    assert_int_equal(host_asks(&r.host), FRAME_HELLO);
    assert_int_equal(frame_get_hello(buf_slice(&r.host.request), FRAME_HELLO, &arena, &hello),
                     HOIST_OK);
    assert_int_equal(hello.proof_count, 1);
    assert_true(slice_eq(hello.proofs[0].change, SLICE("change 10")));
    settle(&r);
    live(&r, 1000);
    assert_true(host_equals(&r.host, 0, &r.h));
    for (int i = 0; i < 3000 && host_asks(&r.host) != FRAME_STATUS; i += 100) {
        beat(&r);
        pass(&r, 100);
    }
    arena_done(&arena);
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.proof_count, 0); /* there is nothing to prove any more */
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

/* A host with two upstreams: the first, which is asked for its status now, is at an older epoch. */
static void begin_to_part(struct rig *r, struct history *old, struct server *behind)
{
    rig_init(r, 10, 10);
    history_init(old, "production", 4, 30);
    *behind = (struct server){.env = {old}, .envs = 1};
    r->host.upstreams = 2;
    host_start(&r->host);
    host_tick(&r->host);
    give_proof(r);
    answer_from(r, behind);
    assert_int_equal(r->host.upstream, 0);
    pass(r, 5);
    assert_int_equal(host_asks(&r->host), FRAME_STATUS);
}

/* All that come after it may keep that to themselves, and the primary would never hear of it. */
static void who_is_left_hears_first_what_it_has_not(void **state)
{
    struct rig r;
    struct history old;
    struct server behind;
    struct arena arena = {0};
    begin_to_part(&r, &old, &behind);
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.envs[0].state, ENV_REFUSING);
    assert_int_equal(s.proof_count, 1);
    assert_true(slice_eq(s.proofs[0].change, SLICE("change 10")));
    assert_int_equal(r.host.upstream, 0);
    answer_from(&r, &behind);
    assert_int_equal(r.host.upstream, 1);
    arena_done(&arena);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void who_does_not_hear_it_is_left_all_the_same(void **state)
{
    struct rig r;
    struct history old;
    struct server behind;
    begin_to_part(&r, &old, &behind);
    host_no_reply(&r.host);
    assert_int_equal(r.host.upstream, 1);
    rig_done(&r);
    history_done(&old);
    begin_to_part(&r, &old, &behind);
    buf_clear(&r.b);
    frame_put_status_reply(&r.b, REPLY_BUSY);
    host_reply(&r.host, buf_slice(&r.b));
    assert_int_equal(r.host.upstream, 1);
    rig_done(&r);
    history_done(&old);
    (void)state;
}

static void status_is_told_every_2_s_at_least(void **state)
{
    struct rig r;
    rig_init(&r, 3, 3);
    connect_up(&r);
    uint32_t before = r.host.statuses;
    live(&r, 20000);
    assert_true(r.host.statuses - before >= 9 && r.host.statuses - before <= 11);
    rig_done(&r);
    (void)state;
}

static void a_refusal_is_told_in_the_status(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    connect_up(&r);
    write_some(&r.h, 1);
    publish_with_wrong_prev(&r, 4);
    while (host_asks(&r.host) != FRAME_STATUS) {
        if (r.host.request.len)
            host_no_reply(&r.host);
        pass(&r, 1);
    }
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.envs[0].state, ENV_REFUSING);
    assert_int_equal(s.refusal_count, 1);
    assert_int_equal(s.refusals[0].version, 4);
    assert_true(s.refusals[0].why.len > 0);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

static void flags_held_back_are_told_with_why_they_are(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, 3, 3);
    connect_up(&r);
    char key[] = "k7", why[] = "of version 9";
    struct refusal refusals[FRAME_REFUSALS_MAX + 1];
    for (uint32_t i = 0; i <= FRAME_REFUSALS_MAX; i++)
        refusals[i] =
            (struct refusal){.key = slice_str(key), .version = 2 + i, .why = slice_str(why)};
    struct follower_input in = {.kind = IN_HELD, .held = 20, .refusals = refusals};
    in.refusal_count = FRAME_REFUSALS_MAX + 1;
    host_step(&r.host, in);
    memset(key, '?', sizeof key); /* what was borrowed for the call is gone */
    memset(why, '?', sizeof why);
    pass(&r, 5);
    struct frame_status s = status_in(&r, &arena);
    assert_int_equal(s.envs[0].held, 20);
    assert_int_equal(s.envs[0].state, ENV_CURRENT); /* all else was taken */
    assert_int_equal(s.refusal_count, FRAME_REFUSALS_MAX);
    assert_true(slice_eq(s.refusals[0].env, SLICE("production")));
    assert_true(slice_eq(s.refusals[0].key, SLICE("k7")));
    assert_true(slice_eq(s.refusals[0].why, SLICE("of version 9")));
    assert_int_equal(s.refusals[1].version, 3);

    host_no_reply(&r.host);
    host_step(&r.host, (struct follower_input){.kind = IN_HELD}); /* all can be read again */
    for (int i = 0; i < 3000 && host_asks(&r.host) != FRAME_STATUS; i++)
        pass(&r, 1);
    s = status_in(&r, &arena);
    assert_int_equal(s.envs[0].held, 0);
    assert_int_equal(s.refusal_count, 0);
    arena_done(&arena);
    rig_done(&r);
    (void)state;
}

/* ---------------------------------------------------------------- whatever comes */

/* All that a server says, cut short or with a byte changed: no step fails, the store stays whole.
 * Sanitizers watch. */
static void no_bytes_from_outside_fail_a_step(void **state)
{
    struct rig r;
    rig_init(&r, 30, 5);
    r.s.part = 400;
    write_flag(&r.h, 1, 19);
    host_start(&r.host);
    host_tick(&r.host);
    uint64_t random = 12345;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t dice = (uint32_t)(random >> 33);
        buf_clear(&r.b);
        bool answer = r.host.request.len && dice % 2;
        if (answer)
            server_answer(&r.s, buf_slice(&r.host.request), &r.b);
        else if (dice % 3 == 0)
            kit_publish(&r.s, &r.h, 6 + dice % 20, 6 + dice % 20, &r.b);
        else
            kit_heartbeat(&r.s, &r.s, 5, &r.b);
        /* The envelopes' first bytes: further in, a changed byte makes another well-formed change,
         * which only a signature tells from the right one. */
        if (dice % 5 == 0)
            r.b.len = (dice >> 4) % r.b.len;
        else if (dice % 5 == 1)
            r.b.ptr[(dice >> 4) % (r.b.len < 12 ? r.b.len : 12)] ^= (uint8_t)(1 << (dice >> 8) % 8);
        if (answer)
            host_reply(&r.host, buf_slice(&r.b));
        else
            host_message(&r.host, buf_slice(&r.b));
        assert_int_equal(r.host.err, HOIST_OK);
        r.host.now += dice % 50;
        host_tick(&r.host);
    }
    assert_true(r.host.counts[COUNT_BAD_FRAME] > 100);
    rig_done(&r);
    (void)state;
}

/* Sixty steps of a life that has it all: a load, published changes, long ones, fetches. In step
 * `step` the `n`-th allocation fails. False: there are not so many in it. */
static bool live_short_of_memory(int step, int n)
{
    struct rig r;
    bool came = false;
    rig_init(&r, 12, 0);
    r.s.page = 4;
    r.s.part = 400;
    host_start(&r.host);
    host_tick(&r.host);
    for (int i = 0; i < 60; i++) {
        buf_clear(&r.b);
        bool answer = r.host.request.len > 0;
        if (answer) {
            server_answer(&r.s, buf_slice(&r.host.request), &r.b);
        } else if (i % 3) {
            kit_heartbeat(&r.s, &r.s, ++r.counter, &r.b);
        } else {
            write_flag(&r.h, 1, i % 2 ? 9 + 10 * (uint64_t)i : 1000 + 10 * (uint64_t)i);
            kit_publish(&r.s, &r.h, r.h.head, r.h.head, &r.b);
        }
        mem_fail_at(i == step ? n : 0);
        if (answer)
            host_reply(&r.host, buf_slice(&r.b));
        else
            host_message(&r.host, buf_slice(&r.b));
        came = came || mem_did_fail();
        mem_fail_at(0);
        assert_true(r.host.err == HOIST_OK || (i == step && r.host.err == HOIST_ENOMEM));
        r.host.now += 20;
        host_tick(&r.host);
        assert_int_equal(r.host.err, HOIST_OK);
    }
    live(&r, 5000);
    assert_true(host_equals(&r.host, 0, &r.h));
    rig_done(&r);
    return came;
}

static void running_out_of_memory_at_any_point_heals(void **state)
{
    int failures = 0;
    for (int step = 0; step < 60; step++)
        for (int n = 1; live_short_of_memory(step, n); n++)
            failures++;
    assert_true(failures > 40);
    (void)state;
}

static void a_follower_that_cannot_be_made_leaves_nothing_behind(void **state)
{
    struct label label = {SLICE("ring"), SLICE("canary")};
    struct slice name = SLICE("tcp://10.0.0.1:7400");
    struct follower_env env = {.name = SLICE("production")};
    struct follower_config config = {
        .id = SLICE("h"),
        .software = SLICE("0.1.0"),
        .labels = &label,
        .label_count = 1,
        .envs = &env,
        .env_count = 1,
        .upstreams = 1,
        .upstream_names = &name,
    };
    for (int n = 1;; n++) {
        struct follower *f = NULL;
        mem_fail_at(n);
        enum hoist_err err = follower_new(&config, 0, &f);
        bool came = mem_did_fail();
        mem_fail_at(0);
        if (!came) {
            assert_int_equal(err, HOIST_OK);
            follower_free(f);
            break;
        }
        assert_int_equal(err, HOIST_ENOMEM);
        assert_null(f);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_dials_the_first_upstream_and_says_hello),
        cmocka_unit_test(a_new_host_has_everything_within_50_ms),
        cmocka_unit_test(a_host_that_is_behind_fetches_page_by_page_up_to_the_head),
        cmocka_unit_test(a_host_that_has_all_asks_for_nothing),
        cmocka_unit_test(a_host_beyond_the_log_loads_a_snapshot_within_2_s),
        cmocka_unit_test(a_published_change_in_line_is_applied_in_the_same_step),
        cmocka_unit_test(a_batch_is_applied_whole),
        cmocka_unit_test(changes_that_are_here_already_are_dropped),
        cmocka_unit_test(applies_go_on_before_the_first_is_committed),
        cmocka_unit_test(a_hole_is_fetched_at_once),
        cmocka_unit_test(a_head_beyond_its_own_is_fetched_within_50_ms),
        cmocka_unit_test(the_wait_before_a_fetch_differs_from_host_to_host),
        cmocka_unit_test(what_comes_late_by_itself_is_not_fetched),
        cmocka_unit_test(a_change_published_without_its_edits_is_fetched),
        cmocka_unit_test(a_part_that_does_not_fit_begins_the_change_anew),
        cmocka_unit_test(half_a_change_that_upstream_no_longer_has_is_no_reason_to_hurry),
        cmocka_unit_test(one_request_is_outstanding_at_a_time),
        cmocka_unit_test(an_answer_to_a_request_given_up_is_ignored),
        cmocka_unit_test(environments_it_does_not_follow_are_ignored),
        cmocka_unit_test(a_fetch_beyond_the_servers_head_is_no_reason_for_a_snapshot),
        cmocka_unit_test(a_wrong_previous_hash_is_refused_counted_and_said_once),
        cmocka_unit_test(after_a_refused_change_the_right_one_is_taken),
        cmocka_unit_test(a_refused_change_sends_it_to_another_upstream),
        cmocka_unit_test(a_truncated_change_among_good_ones_is_counted_and_fetched),
        cmocka_unit_test(garbage_is_counted_and_logged_once_an_episode),
        cmocka_unit_test(a_later_major_version_is_refused_naming_both),
        cmocka_unit_test(an_answer_that_cannot_be_read_is_asked_for_again),
        cmocka_unit_test(an_error_reply_is_said_with_its_message),
        cmocka_unit_test(a_fetched_change_of_another_environment_is_refused),
        cmocka_unit_test(five_heartbeats_of_silence_and_it_dials_anew),
        cmocka_unit_test(a_connection_that_broke_is_given_time_to_be_made_anew),
        cmocka_unit_test(who_has_another_upstream_does_not_wait_for_one_that_broke),
        cmocka_unit_test(those_who_come_back_ask_one_after_the_other),
        cmocka_unit_test(an_upstream_whose_stream_is_closed_is_asked_all_the_same),
        cmocka_unit_test(a_silent_upstream_is_followed_by_the_next_in_order),
        cmocka_unit_test(the_first_upstream_is_tried_again_after_a_minute),
        cmocka_unit_test(a_first_upstream_that_is_still_silent_costs_a_second),
        cmocka_unit_test(what_an_upstream_that_was_left_still_says_is_ignored),
        cmocka_unit_test(an_upstream_that_sends_but_does_not_answer_is_dialled_anew),
        cmocka_unit_test(a_driver_that_forgets_a_request_does_not_stop_it),
        cmocka_unit_test(a_smaller_counter_is_counted_and_its_origin_not_taken),
        cmocka_unit_test(an_origin_that_does_not_move_for_5_s_is_stale),
        cmocka_unit_test(a_stale_upstream_is_left_for_one_with_news),
        cmocka_unit_test(at_its_start_a_host_goes_to_the_upstream_that_knows_most),
        cmocka_unit_test(the_first_in_order_is_kept_where_the_others_know_about_as_much),
        cmocka_unit_test(others_are_listened_to_for_a_moment_and_at_the_start_alone),
        cmocka_unit_test(with_one_upstream_there_is_nobody_to_compare),
        cmocka_unit_test(a_counter_from_before_the_start_is_not_gone_below),
        cmocka_unit_test(an_upstream_that_claims_an_epoch_which_it_has_not_is_left),
        cmocka_unit_test(a_greater_epoch_is_loaded_within_2_s),
        cmocka_unit_test(an_older_epoch_is_never_taken),
        cmocka_unit_test(an_older_primary_in_the_place_of_the_present_one_is_noticed),
        cmocka_unit_test(an_upstream_at_an_older_epoch_is_left_and_asked_again_later),
        cmocka_unit_test(an_upstream_at_an_older_epoch_is_stayed_with_while_the_other_is_silent),
        cmocka_unit_test(a_host_ahead_of_the_primary_has_diverged),
        cmocka_unit_test(what_one_hello_says_of_divergence_another_upstream_ends),
        cmocka_unit_test(an_upstream_that_says_it_is_behind_is_left_after_5_s_if_there_is_another),
        cmocka_unit_test(an_upstream_that_is_behind_is_kept_when_there_is_no_other),
        cmocka_unit_test(an_upstream_that_is_always_busy_is_left_after_10_s_if_there_is_another),
        cmocka_unit_test(an_upstream_that_claims_to_be_current_is_left_when_the_primary_is_further),
        cmocka_unit_test(an_environment_that_only_the_primary_has_is_waited_for),
        cmocka_unit_test(an_upstream_alone_is_kept_and_named_once),
        cmocka_unit_test(where_all_are_busy_a_host_does_not_run_to_and_fro),
        cmocka_unit_test(what_comes_slowly_is_waited_for_but_not_for_ever),
        cmocka_unit_test(too_little_is_as_nothing),
        cmocka_unit_test(a_load_that_fails_for_its_size_has_brought_nothing),
        cmocka_unit_test(upstream_is_not_blamed_for_the_store),
        cmocka_unit_test(an_upstream_that_stands_still_itself_is_not_said_to_keep_back),
        cmocka_unit_test(a_hello_that_cannot_be_read_is_waited_for_as_long),
        cmocka_unit_test(a_relay_passes_the_newest_origin_on_as_it_came),
        cmocka_unit_test(a_relay_passes_no_certificate_on_that_was_made_up),
        cmocka_unit_test(a_rotation_for_which_there_is_no_room_is_said_once),
        cmocka_unit_test(a_relay_says_how_it_stands_itself),
        cmocka_unit_test(a_relay_that_has_heard_nobody_says_no_more_than_it_knows),
        cmocka_unit_test(a_heartbeat_without_an_origin_shows_the_sender_and_no_news),
        cmocka_unit_test(distance_grows_only_with_news),
        cmocka_unit_test(an_agent_keeps_no_origin),
        cmocka_unit_test(behind_a_relay_it_waits),
        cmocka_unit_test(a_heartbeat_that_a_fetch_overtook_is_no_divergence),
        cmocka_unit_test(another_change_of_the_same_version_is_divergence),
        cmocka_unit_test(a_primary_whose_log_goes_on_from_another_change_has_diverged),
        cmocka_unit_test(who_is_given_a_change_that_does_not_follow_proves_its_own),
        cmocka_unit_test(another_digest_at_the_same_version_resyncs_and_says_so),
        cmocka_unit_test(changes_during_a_snapshot_are_replayed_on_top),
        cmocka_unit_test(what_was_published_saves_a_load_from_a_short_log),
        cmocka_unit_test(changes_that_come_while_the_store_switches_are_applied_then),
        cmocka_unit_test(a_load_that_fails_is_begun_anew_more_and_more_rarely),
        cmocka_unit_test(a_snapshot_that_the_store_finds_wrong_is_refused),
        cmocka_unit_test(a_snapshot_survives_a_broken_connection),
        cmocka_unit_test(another_upstream_begins_the_snapshot_anew),
        cmocka_unit_test(a_newer_epoch_ends_the_load_of_an_older_one),
        cmocka_unit_test(a_load_begins_anew_when_upstream_was_at_an_older_epoch_in_between),
        cmocka_unit_test(a_newer_epoch_is_loaded_though_upstream_was_at_an_older_one_in_between),
        cmocka_unit_test(an_epoch_that_upstream_went_back_to_during_a_load_is_loaded),
        cmocka_unit_test(pages_out_of_order_are_refused),
        cmocka_unit_test(one_environment_loads_while_another_goes_on),
        cmocka_unit_test(what_is_kept_while_loading_is_bounded),
        cmocka_unit_test(busy_is_obeyed),
        cmocka_unit_test(an_environment_that_upstream_lacks_is_said_once_and_asked_for_again),
        cmocka_unit_test(an_environment_that_vanishes_upstream_is_served_on),
        cmocka_unit_test(a_full_disk_is_said_and_tried_until_there_is_room),
        cmocka_unit_test(a_change_that_the_store_finds_wrong_is_fetched_anew_then_a_snapshot),
        cmocka_unit_test(a_load_that_cannot_get_as_far_as_what_is_served_is_given_up),
        cmocka_unit_test(a_commit_is_told_within_5_ms),
        cmocka_unit_test(a_host_proves_what_its_upstream_has_not),
        cmocka_unit_test(a_host_proves_an_epoch_that_its_upstream_has_not),
        cmocka_unit_test(a_host_that_comes_back_proves_what_it_has_before_it_is_asked),
        cmocka_unit_test(who_is_left_hears_first_what_it_has_not),
        cmocka_unit_test(who_does_not_hear_it_is_left_all_the_same),
        cmocka_unit_test(status_is_told_every_2_s_at_least),
        cmocka_unit_test(a_refusal_is_told_in_the_status),
        cmocka_unit_test(flags_held_back_are_told_with_why_they_are),
        cmocka_unit_test(no_bytes_from_outside_fail_a_step),
        cmocka_unit_test(running_out_of_memory_at_any_point_heals),
        cmocka_unit_test(a_follower_that_cannot_be_made_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
