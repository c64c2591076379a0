/* wire_samples.h - one of each thing that travels: for the unit tests, and the golden files.
 *
 * What is made here stands in tests/golden/wire byte for byte: change nothing, add beside it.
 */
#ifndef TESTS_WIRE_SAMPLES_H
#define TESTS_WIRE_SAMPLES_H

#include <stdlib.h>

#include "wire_again.h"
#include "wire/statement.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
#define N_NULL                                                                                     \
    {                                                                                              \
        .kind = NODE_NULL, .span = 1                                                               \
    }
#define N_TRUE                                                                                     \
    {                                                                                              \
        .kind = NODE_TRUE, .span = 1                                                               \
    }
#define N_FALSE                                                                                    \
    {                                                                                              \
        .kind = NODE_FALSE, .span = 1                                                              \
    }
#define N_NUM(v)                                                                                   \
    {                                                                                              \
        .kind = NODE_NUMBER, .span = 1, .number = (v)                                              \
    }
#define N_STR(s)                                                                                   \
    {                                                                                              \
        .kind = NODE_STRING, .span = 1, .text = TEXT(s)                                            \
    }
#define N_ARR(n, s)                                                                                \
    {                                                                                              \
        .kind = NODE_ARRAY, .count = (n), .span = (s)                                              \
    }
#define N_OBJ(n, s)                                                                                \
    {                                                                                              \
        .kind = NODE_OBJECT, .count = (n), .span = (s)                                             \
    }
#define N_OP(name, n, s)                                                                           \
    {                                                                                              \
        .kind = NODE_OP, .count = (n), .span = (s), .text = TEXT(name)                             \
    }
#define N_BARE(name, s)                                                                            \
    {                                                                                              \
        .kind = NODE_OP, .bare = true, .count = 1, .span = (s), .text = TEXT(name)                 \
    }
#define N_REF(name, s)                                                                             \
    {                                                                                              \
        .kind = NODE_REF, .count = 1, .span = (s), .text = TEXT(name)                              \
    }
#define TREE_OF(array) ((struct tree){array, sizeof(array) / sizeof *(array)})

/* In the samples memory does not run out. */
static inline void *sure(void *piece)
{
    if (!piece)
        abort();
    return piece;
}

static inline struct tree sample_tree(struct flag *f, struct tree t)
{
    struct node *nodes = sure(arena_alloc(&f->arena, t.count, sizeof *nodes));
    memcpy(nodes, t.nodes, t.count * sizeof *nodes);
    return (struct tree){nodes, t.count};
}

static inline struct flag *sample_flag(const char *key, enum hoist_type type, uint32_t variants)
{
    struct flag *f = sure(flag_new(slice_str(key)));
    f->type = type;
    f->enabled = true;
    f->variants = sure(arena_alloc(&f->arena, variants, sizeof *f->variants));
    return f;
}

static inline void sample_variant(struct flag *f, struct slice name, struct tree value)
{
    f->variants[f->variant_count++] = (struct variant){name, sample_tree(f, value)};
}

/* on/off, off by default: what most flags are. */
static inline struct flag *sample_boolean(void)
{
    struct node on[] = {N_TRUE}, off[] = {N_FALSE};
    struct flag *f = sample_flag("enable-sync", HOIST_BOOL, 2);
    sample_variant(f, SLICE("on"), TREE_OF(on));
    sample_variant(f, SLICE("off"), TREE_OF(off));
    f->default_variant = 1;
    return f;
}

static inline struct flag *sample_number(void)
{
    struct node low[] = {N_NUM(-3)}, half[] = {N_NUM(0.5)}, big[] = {N_NUM(1e300)},
                whole[] = {N_NUM(9007199254740991.0)};
    struct flag *f = sample_flag("limit", HOIST_NUMBER, 4);
    sample_variant(f, SLICE("low"), TREE_OF(low));
    sample_variant(f, SLICE("half"), TREE_OF(half));
    sample_variant(f, SLICE("big"), TREE_OF(big));
    sample_variant(f, SLICE("whole"), TREE_OF(whole));
    f->enabled = false;
    return f;
}

static inline struct flag *sample_object(void)
{
    struct node empty[] = {N_ARR(0, 1)};
    struct node deep[] = {
        N_OBJ(2, 10), N_STR("a"), N_ARR(3, 4), N_NUM(1),   N_NUM(2.5),
        N_NULL,       N_STR("b"), N_OBJ(1, 3), N_STR("c"), N_TRUE,
    };
    struct flag *f = sample_flag("layout", HOIST_OBJECT, 2);
    sample_variant(f, SLICE("none"), TREE_OF(empty));
    sample_variant(f, SLICE("deep"), TREE_OF(deep));
    f->default_variant = 1;
    return f;
}

/* A flag with all that a flag can have. */
static inline struct flag *sample_full(void)
{
    struct node sea[] = {N_STR("S\xc3\xa3o")}, none[] = {N_STR("")};
    struct node rule[] = {
        N_OP("if", 3, 14),
        N_REF("internal", 5),
        N_OP("ends_with", 2, 4),
        N_BARE("var", 2),
        N_STR("email"),
        N_STR("@example.com"),
        N_STR("sea"),
        N_OP("fractional", 2, 7),
        N_ARR(2, 3),
        N_STR("sea"),
        N_NUM(10),
        N_ARR(2, 3),
        N_STR("none"),
        N_NUM(90),
    };
    struct flag *f = sample_flag("texts.greeting", HOIST_STRING, 2);
    sample_variant(f, SLICE("sea"), TREE_OF(sea));
    sample_variant(f, SLICE("none"), TREE_OF(none));
    f->default_variant = 0;
    f->override = 1;
    f->otherwise = 1;
    f->targeting = sample_tree(f, TREE_OF(rule));
    f->metadata = sure(arena_alloc(&f->arena, 3, sizeof *f->metadata));
    f->metadata[f->metadata_count++] = (struct meta_item){SLICE("beta"), N_TRUE};
    f->metadata[f->metadata_count++] = (struct meta_item){SLICE("owner"), N_STR("marketplace")};
    f->metadata[f->metadata_count++] = (struct meta_item){SLICE("ticket"), N_NUM(1234)};
    f->requires = sure(arena_alloc(&f->arena, 2, sizeof *f->requires));
    f->requires[f->requires_count++] = (struct requirement){SLICE("a.enabled"), SLICE("on")};
    f->requires[f->requires_count++] = (struct requirement){SLICE("b.enabled"), SLICE("on")};
    return f;
}

/* ------------------------------------------------------------------ in bytes */

static inline void fill(uint8_t *out, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(first + i);
}

static inline void sample_record(struct buf *out, struct flag *(*make)(void))
{
    struct flag *f = make();
    if (record_encode(f, out) != HOIST_OK)
        abort();
    flag_free(f);
}

static inline void sample_record_boolean(struct buf *out)
{
    sample_record(out, sample_boolean);
}

static inline void sample_record_number(struct buf *out)
{
    sample_record(out, sample_number);
}

static inline void sample_record_object(struct buf *out)
{
    sample_record(out, sample_object);
}

static inline void sample_record_full(struct buf *out)
{
    sample_record(out, sample_full);
}

static inline void sample_edits(struct buf *out)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    sample_record_boolean(&record);
    edits_begin(out, 2);
    edits_put(out, SLICE("enable-sync"), buf_slice(&record));
    edits_delete(out, SLICE("old"));
    buf_done(&record);
}

static inline struct change_header sample_header(void)
{
    struct change_header h = {
        .env = SLICE("production"),
        .epoch = 0x65a1b2c3d4e5f607,
        .version = 42,
        .time_ms = 1790000000123,
        .author = SLICE("ana"),
        .message = SLICE("Switch sync on, caf\xc3\xa9 first"),
        .kind = CHANGE_APPLY,
        .edits_count = 2,
    };
    fill(h.prev, sizeof h.prev, 1);
    fill(h.digest, sizeof h.digest, 100);
    fill(h.request, sizeof h.request, 200);
    return h;
}

static inline void sample_change(struct buf *out)
{
    struct change_header h = sample_header();
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    sample_edits(&edits);
    if (change_encode(&h, buf_slice(&edits), SLICE(""), out, NULL) != HOIST_OK)
        abort();
    buf_done(&edits);
}

static inline void sample_change_epoch(struct buf *out)
{
    struct change_header h = sample_header();
    h.kind = CHANGE_EPOCH;
    h.old_epoch = h.epoch;
    h.epoch++;
    h.version++;
    h.edits_count = 0;
    if (change_encode(&h, SLICE(""), SLICE(""), out, NULL) != HOIST_OK)
        abort();
}

static inline void sample_change_rollback(struct buf *out)
{
    struct change_header h = sample_header();
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX);
    h.kind = CHANGE_ROLLBACK;
    h.restores = h.version - 2;
    sample_edits(&edits);
    if (change_encode(&h, buf_slice(&edits), SLICE(""), out, NULL) != HOIST_OK)
        abort();
    buf_done(&edits);
}

static inline void sample_change_bare(struct buf *out)
{
    struct buf whole = BUF_INIT(CHANGE_BYTES_MAX);
    struct change c;
    sample_change(&whole);
    if (change_decode(buf_slice(&whole), &c) != HOIST_OK ||
        change_without_edits(&c, out) != HOIST_OK)
        abort();
    buf_done(&whole);
}

static inline void sample_heads(struct env_head envs[2])
{
    envs[0] = (struct env_head){
        .name = SLICE("production"), .epoch = 7, .version = 42, .state = ENV_CURRENT};
    envs[1] = (struct env_head){.name = SLICE("staging"),
                                .epoch = UINT64_MAX,
                                .version = 100000,
                                .state = ENV_REFUSING,
                                .held = 3};
    fill(envs[0].hash, HASH_SIZE, 10);
    fill(envs[0].digest, HASH_SIZE, 50);
    fill(envs[1].hash, HASH_SIZE, 90);
    fill(envs[1].digest, HASH_SIZE, 130);
}

static inline void sample_changes(struct buf *out)
{
    struct buf one = BUF_INIT(CHANGE_BYTES_MAX), two = BUF_INIT(CHANGE_BYTES_MAX);
    sample_change(&one);
    sample_change_epoch(&two);
    struct slice both[] = {buf_slice(&one), buf_slice(&two)};
    frame_put_changes(out, both, 2);
    buf_done(&one);
    buf_done(&two);
}

static inline void sample_heartbeat(struct buf *out)
{
    struct buf origin = BUF_INIT(FRAME_PUB_MAX), hop = BUF_INIT(FRAME_PUB_MAX);
    struct env_head envs[2];
    sample_heads(envs);
    heartbeat_put_origin(&origin, 9000, 1790000000456, envs, 2);
    heartbeat_put_hop(&hop, 1, SLICE("relay1"), envs, 1);
    frame_put_heartbeat(out, buf_slice(&origin), SLICE(""), buf_slice(&hop));
    buf_done(&origin);
    buf_done(&hop);
}

static inline struct frame_hello sample_hello_of(struct env_head envs[2])
{
    sample_heads(envs);
    return (struct frame_hello){.id = SLICE("host1"),
                                .incarnation = 0x0123456789abcdef,
                                .software = SLICE("0.1.0"),
                                .format = RECORD_MAJOR,
                                .role = SLICE("agent"),
                                .envs = envs,
                                .env_count = 2,
                                .time_ms = -5};
}

/* A key's certificate whose signature is its signer's, since Ed25519 has no randomness. */
static inline void sample_certificate(struct buf *out)
{
    struct sign_key by = {0};
    uint8_t seed[SIGN_PUBLIC_SIZE], key[SIGN_PUBLIC_SIZE];
    fill(seed, sizeof seed, 3);
    fill(key, sizeof key, 60);
    sign_key_from_seed(seed, &by);
    if (certificate_put(CERTIFICATE_ROTATE, key, 1790000000789, &by, out) != HOIST_OK)
        abort();
}

static inline void sample_change_key(struct buf *out)
{
    struct change_header h = sample_header();
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    sample_certificate(&certificate);
    h.kind = CHANGE_KEY;
    h.edits_count = 0;
    h.certificate = buf_slice(&certificate);
    if (change_encode(&h, SLICE(""), SLICE(""), out, NULL) != HOIST_OK)
        abort();
    buf_done(&certificate);
}

static inline void sample_changes_key(struct buf *out)
{
    struct buf change = BUF_INIT(CHANGE_BYTES_MAX);
    sample_change_key(&change);
    struct slice list[] = {buf_slice(&change)};
    frame_put_changes(out, list, 1);
    buf_done(&change);
}

static inline void sample_heartbeat_certificates(struct buf *out)
{
    struct buf origin = BUF_INIT(FRAME_PUB_MAX), hop = BUF_INIT(FRAME_PUB_MAX);
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    struct env_head envs[2];
    sample_heads(envs);
    sample_certificate(&certificate);
    struct slice list[] = {buf_slice(&certificate), buf_slice(&certificate)};
    heartbeat_put_origin(&origin, 9001, 1790000000456, envs, 2);
    heartbeat_put_hop(&hop, 0, SLICE("primary"), envs, 1);
    frame_put_heartbeat_with(out, buf_slice(&origin), SLICE(""), buf_slice(&hop), list, 2);
    buf_done(&origin);
    buf_done(&hop);
    buf_done(&certificate);
}

static inline void sample_hello_certificates(struct buf *out)
{
    struct env_head envs[2];
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    sample_heads(envs);
    sample_certificate(&certificate);
    struct slice list[] = {buf_slice(&certificate)};
    struct frame_hello f = {.id = SLICE("primary"),
                            .software = SLICE("0.1.0"),
                            .format = 1,
                            .role = SLICE("primary"),
                            .envs = envs,
                            .env_count = 2,
                            .certificates = list,
                            .certificate_count = 1};
    frame_put_hello(out, FRAME_HELLO_REPLY, &f);
    buf_done(&certificate);
}

static inline void sample_hello_proofs(struct buf *out)
{
    struct env_head envs[2];
    struct buf change = BUF_INIT(CHANGE_BYTES_MAX);
    sample_change_bare(&change);
    struct head_proof proofs[] = {{SLICE("production"), buf_slice(&change)}};
    struct frame_hello f = sample_hello_of(envs);
    f.proofs = proofs;
    f.proof_count = 1;
    frame_put_hello(out, FRAME_HELLO, &f);
    buf_done(&change);
}

static inline void sample_hello(struct buf *out)
{
    struct env_head envs[2];
    struct frame_hello f = sample_hello_of(envs);
    frame_put_hello(out, FRAME_HELLO, &f);
}

static inline void sample_hello_reply(struct buf *out)
{
    struct env_head envs[2];
    struct frame_hello f = sample_hello_of(envs);
    f.role = SLICE("primary");
    frame_put_hello(out, FRAME_HELLO_REPLY, &f);
}

static inline void sample_fetch(struct buf *out)
{
    struct frame_fetch f = {SLICE("production"), 7, 42, 1 << 20, FRAME_PAGE};
    frame_put_fetch(out, &f);
}

static inline void sample_fetch_reply(struct buf *out)
{
    struct buf one = BUF_INIT(CHANGE_BYTES_MAX);
    sample_change(&one);
    struct slice changes[] = {buf_slice(&one)};
    struct frame_fetch_reply f = {
        .status = REPLY_OK, .epoch = 7, .head = 43, .changes = changes, .count = 1};
    frame_put_fetch_reply(out, &f);
    buf_done(&one);
}

static inline void sample_fetch_part(struct buf *out)
{
    struct frame_fetch_reply f = {
        .epoch = 7, .head = 43, .part = SLICE("middle"), .part_offset = 10, .part_total = 20};
    frame_put_fetch_reply(out, &f);
}

static inline void sample_fetch_busy(struct buf *out)
{
    struct frame_fetch_reply f = {.status = REPLY_BUSY, .busy_ms = 250};
    frame_put_fetch_reply(out, &f);
}

static inline void sample_snapshot(struct buf *out)
{
    struct frame_snapshot f = {SLICE("production"), 7, 42, SLICE("enable-sync"), FRAME_PAGE};
    frame_put_snapshot(out, &f);
}

static inline void sample_snapshot_reply(struct buf *out)
{
    struct buf base = BUF_INIT(CHANGE_BYTES_MAX), record = BUF_INIT(FLAG_RECORD_MAX);
    sample_change_bare(&base);
    sample_record_boolean(&record);
    struct edit records[] = {{true, SLICE("a"), buf_slice(&record)},
                             {true, SLICE("b"), buf_slice(&record)}};
    struct frame_snapshot_reply f = {.epoch = 7,
                                     .version = 42,
                                     .base = buf_slice(&base),
                                     .records = records,
                                     .count = 2,
                                     .last = true,
                                     .flags_total = 2};
    frame_put_snapshot_reply(out, &f);
    buf_done(&base);
    buf_done(&record);
}

static inline void sample_status(struct buf *out)
{
    struct env_head envs[2];
    struct label labels[] = {{SLICE("ring"), SLICE("canary")}, {SLICE("zone"), SLICE("")}};
    struct refusal refusals[] = {
        {SLICE("staging"), SLICE("x"), 99999, SLICE("flag 'x': a number that is not finite")}};
    sample_heads(envs);
    struct frame_status f = {.id = SLICE("host1"),
                             .incarnation = 1,
                             .software = SLICE("0.1.0"),
                             .labels = labels,
                             .label_count = 2,
                             .envs = envs,
                             .env_count = 2,
                             .refusals = refusals,
                             .refusal_count = 1};
    frame_put_status(out, &f);
}

static inline void sample_status_proofs(struct buf *out)
{
    struct env_head envs[2];
    struct buf change = BUF_INIT(CHANGE_BYTES_MAX);
    sample_change_bare(&change);
    struct head_proof proofs[] = {{SLICE("production"), buf_slice(&change)},
                                  {SLICE("staging"), SLICE("")}};
    sample_heads(envs);
    struct frame_status f = {.id = SLICE("host1"),
                             .incarnation = 1,
                             .software = SLICE("0.1.0"),
                             .envs = envs,
                             .env_count = 2,
                             .proofs = proofs,
                             .proof_count = 2};
    frame_put_status(out, &f);
    buf_done(&change);
}

static inline void sample_status_reply(struct buf *out)
{
    frame_put_status_reply(out, REPLY_OK);
}

static inline void sample_subtree(struct buf *out)
{
    struct buf status = BUF_INIT(FRAME_STATUS_MAX);
    sample_status(&status);
    struct subtree_host hosts[] = {{SLICE("relay1"), 0, buf_slice(&status)},
                                   {SLICE("relay2"), 1999, buf_slice(&status)}};
    frame_put_subtree(out, hosts, 2);
    buf_done(&status);
}

static inline void sample_usage(struct buf *out)
{
    struct usage_count counts[] = {{SLICE("production"), SLICE("enable-sync"), SLICE("on"), 300},
                                   {SLICE("production"), SLICE("enable-sync"), SLICE(""), 1}};
    frame_put_usage(out, &(struct frame_usage){.incarnation = UINT64_C(0x0123456789abcdef),
                                               .sequence = 7,
                                               .counts = counts,
                                               .count = 2});
}

static inline void sample_command(struct buf *out)
{
    struct frame_command f = {.name = SLICE("set"),
                              .author = SLICE("ana"),
                              .body = SLICE("{\"key\":\"enable-sync\",\"value\":\"on\"}")};
    fill(f.request, sizeof f.request, 3);
    frame_put_command(out, &f);
}

/* With a signature that is none: what is looked at is where it stands. */
static inline struct frame_command sample_signed(void)
{
    static uint8_t key[SIGN_PUBLIC_SIZE], signature[SIGNATURE_SIZE];
    struct frame_command f = {.name = SLICE("set"),
                              .body = SLICE("{\"key\":\"enable-sync\",\"value\":\"on\"}"),
                              .epoch = UINT64_C(1700000000) << 24,
                              .time_ms = 1700000000123,
                              .key = {key, sizeof key},
                              .signature = {signature, sizeof signature}};
    fill(f.request, sizeof f.request, 3);
    fill(key, sizeof key, 17);
    fill(signature, sizeof signature, 99);
    return f;
}

static inline void sample_command_signed(struct buf *out)
{
    struct frame_command f = sample_signed();
    frame_put_command(out, &f);
}

static inline void sample_change_proved(struct buf *out)
{
    struct frame_command f = sample_signed();
    struct change_header h = sample_header();
    struct buf proof = BUF_INIT(CHANGE_PROOF_MAX);
    if (proof_put(&f, &proof) != HOIST_OK)
        abort();
    h.proof = buf_slice(&proof);
    h.edits_count = 0;
    if (change_encode(&h, SLICE(""), SLICE(""), out, NULL) != HOIST_OK)
        abort();
    buf_done(&proof);
}

static inline void sample_command_reply(struct buf *out)
{
    struct frame_command_reply f = {.exit = 3, .body = SLICE("{\"error\":{\"exit\":3}}")};
    fill(f.request, sizeof f.request, 3);
    frame_put_command_reply(out, &f);
}

static inline void sample_error_reply(struct buf *out)
{
    frame_put_error_reply(out, SLICE("frame: it has version 2, this program reads version 1"));
}

/* ------------------------------------------------------------------ the table */

struct sample {
    const char *name; /* of its golden file */
    void (*put)(struct buf *out);
    again_fn *again;
};

enum { SAMPLES_FRAMES = 9 }; /* where the frames begin */

static const struct sample samples[] = {
    {"record-boolean", sample_record_boolean, record_again},
    {"record-number", sample_record_number, record_again},
    {"record-object", sample_record_object, record_again},
    {"record-full", sample_record_full, record_again},
    {"change", sample_change, change_again},
    {"change-epoch", sample_change_epoch, change_again},
    {"change-without-edits", sample_change_bare, change_again},
    {"change-rollback", sample_change_rollback, change_again},
    {"change-proved", sample_change_proved, change_again},
    {"frame-changes", sample_changes, changes_again},
    {"frame-heartbeat", sample_heartbeat, heartbeat_again},
    {"frame-hello", sample_hello, hello_again},
    {"frame-hello-reply", sample_hello_reply, hello_reply_again},
    {"frame-fetch", sample_fetch, fetch_again},
    {"frame-fetch-reply", sample_fetch_reply, fetch_reply_again},
    {"frame-fetch-reply-part", sample_fetch_part, fetch_reply_again},
    {"frame-fetch-reply-busy", sample_fetch_busy, fetch_reply_again},
    {"frame-snapshot", sample_snapshot, snapshot_again},
    {"frame-snapshot-reply", sample_snapshot_reply, snapshot_reply_again},
    {"frame-status", sample_status, status_again},
    {"frame-status-reply", sample_status_reply, status_reply_again},
    {"frame-command", sample_command, command_again},
    {"frame-command-reply", sample_command_reply, command_reply_again},
    {"frame-error-reply", sample_error_reply, error_reply_again},
    {"frame-subtree", sample_subtree, subtree_again},
    {"frame-changes-key", sample_changes_key, changes_again},
    {"frame-heartbeat-certificates", sample_heartbeat_certificates, heartbeat_again},
    {"frame-hello-reply-certificates", sample_hello_certificates, hello_reply_again},
    {"frame-command-signed", sample_command_signed, command_again},
    {"frame-hello-proofs", sample_hello_proofs, hello_again},
    {"frame-status-proofs", sample_status_proofs, status_again},
    {"frame-usage", sample_usage, usage_again},
};

enum { SAMPLES = sizeof samples / sizeof *samples };

#endif
