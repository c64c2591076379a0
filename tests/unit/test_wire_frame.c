#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../wire_samples.h"
#include "base/mem.h"
#include "wire/mp.h"

static struct buf out;
static struct arena arena;

static int begin(void **state)
{
    (void)state;
    hash_init();
    out = BUF_INIT(FRAME_COMMAND_MAX);
    arena = (struct arena){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    arena_done(&arena);
    return 0;
}

static struct slice made(void (*put)(struct buf *out))
{
    buf_clear(&out);
    put(&out);
    assert_int_equal(buf_err(&out), HOIST_OK);
    return buf_slice(&out);
}

/* What decoding answers, of bytes in a block of their own, so that a sanitizer sees a step too far.
 */
static enum hoist_err judged(again_fn *again, struct slice in)
{
    struct arena a = {0};
    struct buf once = BUF_INIT(FRAME_COMMAND_MAX);
    uint8_t *copy = sure(malloc(in.len ? in.len : 1));
    memcpy(copy, in.ptr, in.len);
    err_clear();
    enum hoist_err err = again(slice_of(copy, in.len), &a, &once);
    if (err != HOIST_OK)
        assert_string_not_equal(err_last(), "");
    free(copy);
    buf_done(&once);
    arena_done(&a);
    return err;
}

static void heads_are_the_samples(const struct env_head *envs, uint32_t count)
{
    struct env_head want[2];
    sample_heads(want);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(slice_eq(envs[i].name, want[i].name));
        assert_true(envs[i].epoch == want[i].epoch);
        assert_true(envs[i].version == want[i].version);
        assert_memory_equal(envs[i].hash, want[i].hash, HASH_SIZE);
        assert_memory_equal(envs[i].digest, want[i].digest, HASH_SIZE);
        assert_int_equal(envs[i].state, want[i].state);
        assert_int_equal(envs[i].held, want[i].held);
    }
}

/* ------------------------------------------------------------------ each frame comes back */

static void changes_come_back(void **state)
{
    struct frame_changes f;
    struct change c;
    (void)state;
    assert_int_equal(frame_get_changes(made(sample_changes), &arena, &f), HOIST_OK);
    assert_int_equal(f.count, 2);
    assert_int_equal(change_decode(f.changes[0], &c), HOIST_OK);
    assert_true(c.head.version == 42);
    assert_int_equal(change_decode(f.changes[1], &c), HOIST_OK);
    assert_true(c.head.version == 43);
}

static void a_heartbeat_comes_back_with_its_origins_bytes(void **state)
{
    struct frame_heartbeat f;
    struct buf origin = BUF_INIT(FRAME_PUB_MAX);
    struct env_head envs[2];
    (void)state;
    assert_int_equal(frame_get_heartbeat(made(sample_heartbeat), &arena, &f), HOIST_OK);
    sample_heads(envs);
    heartbeat_put_origin(&origin, 9000, 1790000000456, envs, 2);
    assert_true(slice_eq(f.origin, buf_slice(&origin)));
    assert_int_equal(f.signature.len, 0);
    assert_true(f.counter == 9000);
    assert_true(f.time_ms == 1790000000456);
    assert_int_equal(f.origin_count, 2);
    heads_are_the_samples(f.origin_envs, 2);
    assert_int_equal(f.distance, 1);
    assert_true(slice_eq(f.id, SLICE("relay1")));
    assert_int_equal(f.hop_count, 1);
    heads_are_the_samples(f.hop_envs, 1);
    buf_done(&origin);
}

static void a_heartbeat_may_have_no_origin(void **state)
{
    struct frame_heartbeat f;
    struct buf hop = BUF_INIT(FRAME_PUB_MAX), frame = BUF_INIT(FRAME_PUB_MAX);
    struct env_head envs[2];
    (void)state;
    sample_heads(envs);
    heartbeat_put_hop(&hop, 1, SLICE("relay1"), envs, 1);
    frame_put_heartbeat(&frame, SLICE(""), SLICE(""), buf_slice(&hop));
    assert_int_equal(frame_get_heartbeat(buf_slice(&frame), &arena, &f), HOIST_OK);
    assert_int_equal(f.origin.len, 0);
    assert_true(f.counter == 0);
    assert_int_equal(f.origin_count, 0);
    assert_int_equal(f.hop_count, 1);
    buf_done(&hop);
    buf_done(&frame);
}

static void hello_and_its_reply_come_back(void **state)
{
    struct frame_hello f;
    (void)state;
    assert_int_equal(frame_get_hello(made(sample_hello), FRAME_HELLO, &arena, &f), HOIST_OK);
    assert_true(slice_eq(f.id, SLICE("host1")));
    assert_true(f.incarnation == 0x0123456789abcdef);
    assert_true(slice_eq(f.software, SLICE("0.1.0")));
    assert_int_equal(f.format, RECORD_MAJOR);
    assert_true(slice_eq(f.role, SLICE("agent")));
    assert_int_equal(f.env_count, 2);
    heads_are_the_samples(f.envs, 2);
    assert_true(f.time_ms == -5);
    assert_int_equal(frame_get_hello(made(sample_hello_reply), FRAME_HELLO_REPLY, &arena, &f),
                     HOIST_OK);
    assert_true(slice_eq(f.role, SLICE("primary")));
}

static void fetch_comes_back(void **state)
{
    struct frame_fetch f;
    (void)state;
    assert_int_equal(frame_get_fetch(made(sample_fetch), &f), HOIST_OK);
    assert_true(slice_eq(f.env, SLICE("production")));
    assert_true(f.epoch == 7 && f.after == 42 && f.offset == 1 << 20);
    assert_int_equal(f.budget, FRAME_PAGE);
}

static void fetch_replies_come_back(void **state)
{
    struct frame_fetch_reply f;
    (void)state;
    assert_int_equal(frame_get_fetch_reply(made(sample_fetch_reply), &arena, &f), HOIST_OK);
    assert_int_equal(f.status, REPLY_OK);
    assert_true(f.epoch == 7 && f.head == 43);
    assert_int_equal(f.count, 1);
    assert_int_equal(judged(change_again, f.changes[0]), HOIST_OK);
    assert_int_equal(f.part.len, 0);

    assert_int_equal(frame_get_fetch_reply(made(sample_fetch_part), &arena, &f), HOIST_OK);
    assert_int_equal(f.count, 0);
    assert_true(slice_eq(f.part, SLICE("middle")));
    assert_true(f.part_offset == 10 && f.part_total == 20);

    assert_int_equal(frame_get_fetch_reply(made(sample_fetch_busy), &arena, &f), HOIST_OK);
    assert_int_equal(f.status, REPLY_BUSY);
    assert_int_equal(f.busy_ms, 250);
}

static void snapshot_comes_back(void **state)
{
    struct frame_snapshot f;
    (void)state;
    assert_int_equal(frame_get_snapshot(made(sample_snapshot), &f), HOIST_OK);
    assert_true(slice_eq(f.env, SLICE("production")));
    assert_true(f.epoch == 7 && f.version == 42);
    assert_true(slice_eq(f.after_key, SLICE("enable-sync")));
    assert_int_equal(f.budget, FRAME_PAGE);
}

static void a_snapshot_page_comes_back(void **state)
{
    struct frame_snapshot_reply f;
    struct change c;
    (void)state;
    assert_int_equal(frame_get_snapshot_reply(made(sample_snapshot_reply), &arena, &f), HOIST_OK);
    assert_int_equal(f.status, REPLY_OK);
    assert_true(f.epoch == 7 && f.version == 42 && f.flags_total == 2);
    assert_int_equal(change_decode(f.base, &c), HOIST_OK);
    assert_null(c.edits.ptr);
    assert_int_equal(f.count, 2);
    assert_true(f.records[1].put);
    assert_true(slice_eq(f.records[1].key, SLICE("b")));
    assert_int_equal(judged(record_again, f.records[1].record), HOIST_OK);
    assert_true(f.last);
}

static void status_comes_back(void **state)
{
    struct frame_status f;
    uint32_t status = 99;
    (void)state;
    assert_int_equal(frame_get_status(made(sample_status), &arena, &f), HOIST_OK);
    assert_true(slice_eq(f.id, SLICE("host1")));
    assert_int_equal(f.label_count, 2);
    assert_true(slice_eq(f.labels[0].name, SLICE("ring")));
    assert_true(slice_eq(f.labels[0].value, SLICE("canary")));
    assert_int_equal(f.labels[1].value.len, 0);
    assert_int_equal(f.env_count, 2);
    heads_are_the_samples(f.envs, 2);
    assert_int_equal(f.refusal_count, 1);
    assert_true(slice_eq(f.refusals[0].env, SLICE("staging")));
    assert_true(slice_eq(f.refusals[0].key, SLICE("x")));
    assert_true(f.refusals[0].version == 99999);
    assert_true(f.refusals[0].why.len > 10);
    assert_int_equal(frame_get_status_reply(made(sample_status_reply), &status), HOIST_OK);
    assert_int_equal(status, REPLY_OK);
}

static void a_subtree_comes_back_with_its_statuses_bytes(void **state)
{
    struct buf status = BUF_INIT(FRAME_STATUS_MAX);
    struct frame_subtree f;
    (void)state;
    sample_status(&status);
    assert_int_equal(frame_get_subtree(made(sample_subtree), &arena, &f), HOIST_OK);
    assert_int_equal(f.count, 2);
    assert_true(slice_eq(f.hosts[0].via, SLICE("relay1")));
    assert_true(slice_eq(f.hosts[1].via, SLICE("relay2")));
    assert_int_equal(f.hosts[0].age_ms, 0);
    assert_int_equal(f.hosts[1].age_ms, 1999);
    assert_true(slice_eq(f.hosts[1].status, buf_slice(&status)));
    buf_done(&status);
}

static void usage_comes_back(void **state)
{
    struct frame_usage f;
    (void)state;
    assert_int_equal(frame_get_usage(made(sample_usage), &arena, &f), HOIST_OK);
    assert_true(f.incarnation == UINT64_C(0x0123456789abcdef));
    assert_int_equal(f.sequence, 7);
    assert_int_equal(f.count, 2);
    assert_true(slice_eq(f.counts[0].env, SLICE("production")));
    assert_true(slice_eq(f.counts[0].key, SLICE("enable-sync")));
    assert_true(slice_eq(f.counts[0].variant, SLICE("on")));
    assert_int_equal(f.counts[0].n, 300);
    assert_int_equal(f.counts[1].variant.len, 0);
}

static void command_and_its_reply_come_back(void **state)
{
    struct frame_command c;
    struct frame_command_reply a;
    uint8_t request[REQUEST_ID_SIZE];
    (void)state;
    fill(request, sizeof request, 3);
    assert_int_equal(frame_get_command(made(sample_command), &c), HOIST_OK);
    assert_memory_equal(c.request, request, sizeof request);
    assert_true(slice_eq(c.name, SLICE("set")));
    assert_true(slice_eq(c.author, SLICE("ana")));
    assert_int_equal(c.body.ptr[0], '{');
    assert_int_equal(frame_get_command_reply(made(sample_command_reply), &a), HOIST_OK);
    assert_memory_equal(a.request, request, sizeof request);
    assert_int_equal(a.exit, 3);
    assert_int_equal(a.body.ptr[0], '{');
}

static void every_sample_comes_out_byte_for_byte(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        struct buf once = BUF_INIT(FRAME_COMMAND_MAX);
        struct slice in = made(samples[i].put);
        assert_int_equal(samples[i].again(in, &arena, &once), HOIST_OK);
        assert_true(slice_eq(in, buf_slice(&once)));
        buf_done(&once);
    }
}

static void the_kind_of_every_frame_is_told(void **state)
{
    enum frame_kind kind;
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        assert_int_equal(frame_kind_of(made(samples[i].put), &kind), HOIST_OK);
        assert_ptr_equal(frames_again[kind], samples[i].again);
    }
    kind = FRAME_FETCH;
    assert_int_equal(frame_kind_of(SLICE("\x92\x63\x01"), &kind), HOIST_ECORRUPT);
    assert_int_equal(frame_kind_of(SLICE(""), &kind), HOIST_ECORRUPT);
    assert_int_equal(frame_kind_of(SLICE("GET / HTTP/1.1\r\n"), &kind), HOIST_ECORRUPT);
    assert_int_equal(kind, FRAME_FETCH);
}

/* ------------------------------------------------------------------ versions */

static void another_major_version_is_refused_naming_both(void **state)
{
    enum frame_kind kind;
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        struct slice in = made(samples[i].put);
        assert_int_equal(out.ptr[2], FRAME_MAJOR);
        out.ptr[2] = FRAME_MAJOR + 1;
        assert_int_equal(judged(samples[i].again, in), HOIST_EVERSION);
        assert_non_null(strstr(err_last(), "version 2"));
        assert_non_null(strstr(err_last(), "version 1"));
        assert_int_equal(frame_kind_of(in, &kind), HOIST_EVERSION);
    }
    /* A kind that only the later version knows. */
    assert_int_equal(frame_kind_of(SLICE("\x92\x63\x02"), &kind), HOIST_EVERSION);
}

static void elements_behind_the_known_ones_are_ignored(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        made(samples[i].put);
        out.ptr[0] += 3; /* the count of a short array */
        /* [] may be certificates, or proofs */
        buf_add_slice(&out, SLICE("\x90\x90\x81\xa1x\xd4\x01\x00"));
        assert_int_equal(judged(samples[i].again, buf_slice(&out)), HOIST_OK);
    }
}

static void a_proof_longer_than_a_change_without_edits_is_refused(void **state)
{
    static uint8_t change[FRAME_PROOF_MAX + 1];
    struct head_proof proofs[FRAME_PROOFS_MAX + 1];
    struct frame_status s = {.id = SLICE("h"), .proofs = proofs, .proof_count = FRAME_PROOFS_MAX};
    (void)state;
    for (uint32_t i = 0; i <= FRAME_PROOFS_MAX; i++)
        proofs[i] = (struct head_proof){SLICE("production"), slice_of(change, FRAME_PROOF_MAX)};
    buf_clear(&out);
    frame_put_status(&out, &s);
    assert_int_equal(judged(status_again, buf_slice(&out)), HOIST_OK);
    proofs[3].change.len++;
    buf_clear(&out);
    frame_put_status(&out, &s);
    assert_int_equal(judged(status_again, buf_slice(&out)), HOIST_ECORRUPT);
    proofs[3].change.len--;
    s.proof_count++;
    buf_clear(&out);
    frame_put_status(&out, &s);
    assert_int_not_equal(judged(status_again, buf_slice(&out)), HOIST_OK);
}

static void another_kind_of_frame_is_refused(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++)
        for (int k = SAMPLES_FRAMES; k < SAMPLES; k++)
            if (samples[i].again != samples[k].again)
                assert_int_equal(judged(samples[k].again, made(samples[i].put)), HOIST_ECORRUPT);
}

/* ------------------------------------------------------------------ what cannot be right */

static void bytes_behind_a_frame_are_refused(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        made(samples[i].put);
        buf_add_byte(&out, 0xc0);
        assert_int_equal(judged(samples[i].again, buf_slice(&out)), HOIST_ECORRUPT);
    }
}

static void every_truncation_of_every_frame_is_refused(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        struct slice whole = made(samples[i].put);
        for (size_t len = 0; len < whole.len; len++)
            assert_int_equal(judged(samples[i].again, slice_of(whole.ptr, len)), HOIST_ECORRUPT);
    }
}

static void missing_elements_are_refused(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        made(samples[i].put);
        out.ptr[0]--;
        assert_int_equal(judged(samples[i].again, buf_slice(&out)), HOIST_ECORRUPT);
    }
}

static void every_changed_byte_decodes_or_is_refused(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        struct slice in = made(samples[i].put);
        for (size_t at = 0; at < in.len; at++) {
            uint8_t was = out.ptr[at];
            for (int v = 0; v < 256; v++) {
                out.ptr[at] = (uint8_t)v;
                enum hoist_err err = judged(samples[i].again, in);
                assert_true(err == HOIST_OK || err == HOIST_ECORRUPT || err == HOIST_ELIMIT ||
                            err == HOIST_EVERSION);
            }
            out.ptr[at] = was;
        }
    }
}

static void counts_that_lie_are_refused_before_anything_is_allocated(void **state)
{
    struct frame_changes changes;
    struct frame_snapshot_reply page;
    (void)state;
    assert_int_equal(
        frame_get_changes(SLICE("\x93\x01\x01\xdd\x00\x01\x00\x00\xc4\x00"), &arena, &changes),
        HOIST_ECORRUPT);
    assert_int_equal(frame_get_snapshot_reply(
                         SLICE("\x9a\x16\x01\x00\x00\x07\x01\xc4\x00\xdd\xff\xff\xff\xff\xc3\x00"),
                         &arena, &page),
                     HOIST_ECORRUPT);
    assert_int_equal(arena.total, 0);
}

static void counts_over_their_limits_are_refused_before_anything_is_allocated(void **state)
{
    struct frame_changes f;
    (void)state;
    buf_add_slice(&out, SLICE("\x93\x01\x01"));
    mp_put_array(&out, FRAME_CHANGES_MAX + 1);
    for (int i = 0; i <= FRAME_CHANGES_MAX; i++)
        mp_put_bin(&out, SLICE(""));
    assert_int_equal(frame_get_changes(buf_slice(&out), &arena, &f), HOIST_ELIMIT);
    assert_int_equal(arena.total, 0);

    struct frame_subtree s;
    struct subtree_host *many = sure(calloc(FRAME_SUBTREE_HOSTS + 1, sizeof *many));
    for (int i = 0; i <= FRAME_SUBTREE_HOSTS; i++)
        many[i].via = SLICE("r");
    buf_clear(&out);
    frame_put_subtree(&out, many, FRAME_SUBTREE_HOSTS + 1);
    assert_int_equal(frame_get_subtree(buf_slice(&out), &arena, &s), HOIST_ELIMIT);
    assert_int_equal(arena.total, 0);
    buf_clear(&out);
    frame_put_subtree(&out, many, FRAME_SUBTREE_HOSTS);
    assert_int_equal(frame_get_subtree(buf_slice(&out), &arena, &s), HOIST_OK);
    free(many);
}

static void ids_must_be_there_and_be_utf8(void **state)
{
    struct frame_hello f = {.role = SLICE("agent")}, back;
    struct env_head envs[2];
    (void)state;
    frame_put_hello(&out, FRAME_HELLO, &f);
    assert_int_equal(frame_get_hello(buf_slice(&out), FRAME_HELLO, &arena, &back), HOIST_ECORRUPT);
    f = sample_hello_of(envs);
    f.id = SLICE("\xff");
    buf_clear(&out);
    frame_put_hello(&out, FRAME_HELLO, &f);
    assert_int_equal(frame_get_hello(buf_slice(&out), FRAME_HELLO, &arena, &back), HOIST_ECORRUPT);
    f.id = SLICE("host1");
    envs[1].name = SLICE("Pro duction");
    buf_clear(&out);
    frame_put_hello(&out, FRAME_HELLO, &f);
    assert_int_equal(frame_get_hello(buf_slice(&out), FRAME_HELLO, &arena, &back), HOIST_ECORRUPT);
}

static void a_part_must_lie_within_its_change(void **state)
{
    static const struct {
        struct slice part;
        uint64_t offset, total;
        enum hoist_err err;
    } cases[] = {
        {SLICE("abc"), 0, 3, HOIST_OK},
        {SLICE("abc"), 7, 10, HOIST_OK},
        {SLICE("abc"), 8, 10, HOIST_ECORRUPT},
        {SLICE("abc"), UINT64_MAX, 10, HOIST_ECORRUPT},
        {SLICE("abc"), 0, 0, HOIST_ECORRUPT},
        {SLICE(""), 0, 3, HOIST_ECORRUPT},
        {SLICE(""), 3, 0, HOIST_ECORRUPT},
        {SLICE("abc"), 0, (uint64_t)CHANGE_BYTES_MAX + 1, HOIST_ELIMIT},
    };
    struct frame_fetch_reply back;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct frame_fetch_reply f = {
            .part = cases[i].part, .part_offset = cases[i].offset, .part_total = cases[i].total};
        buf_clear(&out);
        frame_put_fetch_reply(&out, &f);
        assert_int_equal(frame_get_fetch_reply(buf_slice(&out), &arena, &back), cases[i].err);
    }
    struct slice change = SLICE("change");
    struct frame_fetch_reply both = {
        .changes = &change, .count = 1, .part = SLICE("abc"), .part_total = 3};
    buf_clear(&out);
    frame_put_fetch_reply(&out, &both);
    assert_int_equal(frame_get_fetch_reply(buf_slice(&out), &arena, &back), HOIST_ECORRUPT);
}

static void a_pages_keys_must_be_sorted_and_distinct(void **state)
{
    struct edit swapped[] = {{true, SLICE("b"), SLICE("r")}, {true, SLICE("a"), SLICE("r")}};
    struct edit doubled[] = {{true, SLICE("a"), SLICE("r")}, {true, SLICE("a"), SLICE("r")}};
    struct edit *pages[] = {swapped, doubled};
    struct frame_snapshot_reply back;
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct frame_snapshot_reply f = {.records = pages[i], .count = 2};
        buf_clear(&out);
        frame_put_snapshot_reply(&out, &f);
        assert_int_equal(frame_get_snapshot_reply(buf_slice(&out), &arena, &back), HOIST_ECORRUPT);
    }
}

static void a_sentence_is_cut_and_mended_on_its_way_out(void **state)
{
    char text[FRAME_TEXT_MAX + 10];
    struct slice back;
    (void)state;
    frame_put_error_reply(&out, SLICE("flag a\xff\xc3 wrong"));
    assert_int_equal(frame_get_error_reply(buf_slice(&out), &back), HOIST_OK);
    assert_true(slice_eq(back, SLICE("flag a?? wrong")));

    /* Where the cut would fall within a character, the character goes. */
    memset(text, 'x', sizeof text);
    text[FRAME_TEXT_MAX - 1] = (char)0xc3;
    text[FRAME_TEXT_MAX] = (char)0xa9;
    buf_clear(&out);
    frame_put_error_reply(&out, slice_of(text, sizeof text));
    assert_int_equal(frame_get_error_reply(buf_slice(&out), &back), HOIST_OK);
    assert_true(slice_eq(back, slice_of(text, FRAME_TEXT_MAX - 1)));
}

static void no_more_refusals_are_sent_than_are_read(void **state)
{
    struct refusal many[FRAME_REFUSALS_MAX + 1];
    struct frame_status f = {.id = SLICE("h"), .refusals = many}, back;
    (void)state;
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = (struct refusal){SLICE("staging"), SLICE(""), 1, SLICE("why")};
    f.refusal_count = sizeof many / sizeof *many;
    frame_put_status(&out, &f);
    assert_int_equal(frame_get_status(buf_slice(&out), &arena, &back), HOIST_OK);
    assert_int_equal(back.refusal_count, FRAME_REFUSALS_MAX);
}

static void what_a_relay_passes_on_has_a_via_and_is_bounded(void **state)
{
    uint8_t *bytes = sure(calloc(1, FRAME_STATUS_MAX + 1));
    struct subtree_host h = {SLICE("r"), 0, slice_of(bytes, FRAME_STATUS_MAX)};
    struct frame_subtree back;
    (void)state;
    frame_put_subtree(&out, &h, 1);
    assert_int_equal(frame_get_subtree(buf_slice(&out), &arena, &back), HOIST_OK);
    h.status.len++;
    buf_clear(&out);
    frame_put_subtree(&out, &h, 1);
    assert_int_equal(frame_get_subtree(buf_slice(&out), &arena, &back), HOIST_ELIMIT);
    h = (struct subtree_host){SLICE(""), 0, SLICE("s")};
    buf_clear(&out);
    frame_put_subtree(&out, &h, 1);
    assert_int_equal(frame_get_subtree(buf_slice(&out), &arena, &back), HOIST_ECORRUPT);
    free(bytes);
}

static enum hoist_err usage_of(struct usage_count count)
{
    struct frame_usage back;
    buf_clear(&out);
    frame_put_usage(&out, &(struct frame_usage){.counts = &count, .count = 1});
    return frame_get_usage(buf_slice(&out), &arena, &back);
}

static void what_was_counted_is_of_a_flag_and_bounded(void **state)
{
    struct frame_usage back, f = {.count = FRAME_USAGE_COUNTS};
    struct usage_count one = {SLICE("e"), SLICE("k"), SLICE(""), 1};
    (void)state;
    assert_int_equal(usage_of(one), HOIST_OK);
    one.n = FRAME_USAGE_N_MAX;
    assert_int_equal(usage_of(one), HOIST_OK);
    one.n++;
    assert_int_equal(usage_of(one), HOIST_ELIMIT);
    one.n = 0;
    assert_int_equal(usage_of(one), HOIST_ECORRUPT);
    one = (struct usage_count){SLICE("No env"), SLICE("k"), SLICE("on"), 1};
    assert_int_equal(usage_of(one), HOIST_ECORRUPT);
    one = (struct usage_count){SLICE("e"), SLICE(""), SLICE("on"), 1};
    assert_int_equal(usage_of(one), HOIST_ECORRUPT);
    one = (struct usage_count){SLICE("e"), SLICE("k"), SLICE("o\n"), 1};
    assert_int_equal(usage_of(one), HOIST_ECORRUPT);

    one = (struct usage_count){SLICE("e"), SLICE("k"), SLICE(""), 1};
    f.counts = sure(calloc(FRAME_USAGE_COUNTS + 1, sizeof *f.counts));
    for (uint32_t i = 0; i <= FRAME_USAGE_COUNTS; i++)
        f.counts[i] = one;
    buf_clear(&out);
    frame_put_usage(&out, &f);
    assert_int_equal(frame_get_usage(buf_slice(&out), &arena, &back), HOIST_OK);
    f.count++;
    buf_clear(&out);
    frame_put_usage(&out, &f);
    assert_int_equal(frame_get_usage(buf_slice(&out), &arena, &back), HOIST_ELIMIT);
    uint8_t *longer = sure(calloc(1, FRAME_USAGE_MAX + 1));
    assert_int_equal(frame_get_usage(slice_of(longer, FRAME_USAGE_MAX + 1), &arena, &back),
                     HOIST_ELIMIT);
    free(longer);
    free(f.counts);
}

static void outputs_are_untouched_on_error(void **state)
{
    struct frame_fetch f = {.after = 77};
    struct frame_changes c = {.count = 77};
    (void)state;
    assert_int_equal(frame_get_fetch(SLICE("\x97\x0b\x01"), &f), HOIST_ECORRUPT);
    assert_true(f.after == 77);
    assert_int_equal(frame_get_changes(SLICE("\x93\x01\x01\x92\xc4\x00\xc0"), &arena, &c),
                     HOIST_ECORRUPT);
    assert_int_equal(c.count, 77);
}

static void running_out_of_memory_anywhere_is_said(void **state)
{
    (void)state;
    for (int i = SAMPLES_FRAMES; i < SAMPLES; i++) {
        struct buf in = BUF_INIT(FRAME_COMMAND_MAX), again = BUF_INIT(FRAME_COMMAND_MAX);
        samples[i].put(&in);
        for (int n = 1;; n++) {
            struct arena a = {0};
            mem_fail_at(n);
            enum hoist_err err = samples[i].again(buf_slice(&in), &a, &again);
            bool failed = mem_did_fail();
            mem_fail_at(0);
            if (err == HOIST_OK)
                err = buf_err(&again);
            arena_done(&a);
            buf_done(&again);
            if (!failed) {
                assert_int_equal(err, HOIST_OK);
                break;
            }
            assert_int_equal(err, HOIST_ENOMEM);
            assert_true(n < 100);
        }
        buf_done(&in);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(changes_come_back),
        CASE(a_heartbeat_comes_back_with_its_origins_bytes),
        CASE(a_heartbeat_may_have_no_origin),
        CASE(hello_and_its_reply_come_back),
        CASE(fetch_comes_back),
        CASE(fetch_replies_come_back),
        CASE(snapshot_comes_back),
        CASE(a_snapshot_page_comes_back),
        CASE(status_comes_back),
        CASE(a_subtree_comes_back_with_its_statuses_bytes),
        CASE(usage_comes_back),
        CASE(command_and_its_reply_come_back),
        CASE(every_sample_comes_out_byte_for_byte),
        CASE(the_kind_of_every_frame_is_told),
        CASE(another_major_version_is_refused_naming_both),
        CASE(elements_behind_the_known_ones_are_ignored),
        CASE(a_proof_longer_than_a_change_without_edits_is_refused),
        CASE(another_kind_of_frame_is_refused),
        CASE(bytes_behind_a_frame_are_refused),
        CASE(every_truncation_of_every_frame_is_refused),
        CASE(missing_elements_are_refused),
        CASE(every_changed_byte_decodes_or_is_refused),
        CASE(counts_that_lie_are_refused_before_anything_is_allocated),
        CASE(counts_over_their_limits_are_refused_before_anything_is_allocated),
        CASE(ids_must_be_there_and_be_utf8),
        CASE(a_part_must_lie_within_its_change),
        CASE(a_pages_keys_must_be_sorted_and_distinct),
        CASE(a_sentence_is_cut_and_mended_on_its_way_out),
        CASE(no_more_refusals_are_sent_than_are_read),
        CASE(what_a_relay_passes_on_has_a_via_and_is_bounded),
        CASE(what_was_counted_is_of_a_flag_and_bounded),
        CASE(outputs_are_untouched_on_error),
        CASE(running_out_of_memory_anywhere_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
