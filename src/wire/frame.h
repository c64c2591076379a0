/* frame.h - every message between Hoist processes. docs/protocol.md is this file in prose.
 *
 * A frame is a msgpack array: [ kind, major, … fixed positions … ]. Elements behind the known ones
 * are ignored, in the arrays within it too; another major version is refused, naming both. Names,
 * ids and sentences are str; changes, records, hashes, request ids and JSON bodies are bin; the
 * rest are uint, but times, which may be negative. Ids are not empty. Decoded frames borrow from
 * the bytes.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "wire/certificate.h"
#include "wire/change.h"

enum {
    FRAME_MAJOR = 1,
    FRAME_PUB_MAX = 256 << 10,     /* what is published in one message */
    FRAME_PAGE = 1 << 20,          /* what a fetch or snapshot page carries, about */
    FRAME_REPLY_MAX = 4 << 20,     /* the longest reply to hello, fetch, snapshot, status */
    FRAME_COMMAND_MAX = 128 << 20, /* the longest command and answer: a flag file of 100,000s */
    FRAME_ENVS_MAX = 1024,
    FRAME_LABELS_MAX = 64,
    FRAME_CHANGES_MAX = 65536,
    FRAME_RECORDS_MAX = 65536,
    FRAME_REFUSALS_MAX = 16,
    FRAME_STATUS_MAX = 512 << 10, /* a host's status, where a relay passes it on … */
    FRAME_SUBTREE_HOSTS = 4096,   /* … so many of them in a frame … */
    FRAME_SUBTREE_MAX = 1 << 20,  /* … of about so many bytes */
    FRAME_USAGE_COUNTS = 32768,   /* how often flags were evaluated … */
    FRAME_USAGE_MAX = 256 << 10,  /* … and the whole frame */
    FRAME_ID_MAX = 255,           /* an id, a label, a role, a command's name */
    FRAME_TEXT_MAX = 1024,        /* a sentence: why a flag is refused, why a request is */
    FRAME_PROOFS_MAX = 16,        /* of heads that the one who is told may not have … */
    FRAME_PROOF_MAX = 8192,       /* … each a change without its edits */
};

enum frame_kind {
    FRAME_CHANGES = 1, /* PUB */
    FRAME_HEARTBEAT = 2,
    FRAME_HELLO = 10, /* REQ */
    FRAME_FETCH = 11,
    FRAME_SNAPSHOT = 12,
    FRAME_STATUS = 13,
    FRAME_COMMAND = 14,
    FRAME_SUBTREE = 15,
    FRAME_USAGE = 16,
    FRAME_HELLO_REPLY = 20, /* REP */
    FRAME_FETCH_REPLY = 21,
    FRAME_SNAPSHOT_REPLY = 22,
    FRAME_STATUS_REPLY = 23,
    FRAME_COMMAND_REPLY = 24,
    FRAME_ERROR_REPLY = 29, /* the request could not be read */
};

/* What a host says about one environment: [name, epoch, version, hash, digest, state, held] */
struct env_head {
    struct slice name;
    uint64_t epoch;
    uint64_t version;
    uint8_t hash[HASH_SIZE];   /* of change `version` */
    uint8_t digest[HASH_SIZE]; /* state digest */
    uint32_t state;            /* enum env_state */
    uint32_t held;             /* flags held back */
};

enum env_state {
    ENV_CURRENT = 1,
    ENV_BEHIND = 2,
    ENV_REFUSING = 3,
    ENV_DIVERGED = 4,
    ENV_LOADING = 5
};

struct label {
    struct slice name, value;
};

/* That a head is what the primary made it: [env, change: bin], the change without its edits, as it
 * was signed. A host gives it for what its upstream does not have. */
struct head_proof {
    struct slice env, change;
};

/* FRAME_CHANGES: [kind, major, [change: bin, …]] */
struct frame_changes {
    struct slice *changes;
    uint32_t count;
};

/* FRAME_HEARTBEAT: [kind, major, origin: bin, signature: bin, hop: bin, certificates]
 * origin = [counter, time_ms, [env_head, …]]    made by the primary, passed on byte for byte; no
 *          bytes at all, and then none of its fields below: the sender has heard none yet
 * hop    = [distance, id, [env_head, …]]        the sender's own heads
 * certificates = [bin, …]: those of the primary's keys, oldest first, which sign for themselves; not
 *          there where there are none */
#define HEARTBEAT_SIGNED "hoist-origin-1" /* what stands before the origin where it is signed */

struct frame_heartbeat {
    struct slice origin, signature, hop;
    uint64_t counter;
    int64_t time_ms;
    struct env_head *origin_envs;
    uint32_t origin_count;
    uint32_t distance; /* 0: the primary itself */
    struct slice id;
    struct env_head *hop_envs;
    uint32_t hop_count;
    struct slice *certificates;
    uint32_t certificate_count;
};

/* FRAME_HELLO and FRAME_HELLO_REPLY:
 * [kind, major, id, incarnation, software, format, role, [env_head, …], time_ms, certificates,
 * proofs]  proofs = [head_proof, …]; the last two are there where there are any */
#define FRAME_ROLE_ASKER "flagctl" /* the role of one that follows nothing: it is no host */

struct frame_hello {
    struct slice id;
    uint64_t incarnation; /* random, per start */
    struct slice software;
    uint32_t format;   /* record major it can read */
    struct slice role; /* "primary", "relay", "agent", or FRAME_ROLE_ASKER */
    struct env_head *envs;
    uint32_t env_count;
    int64_t time_ms;
    struct slice *certificates; /* as in a heartbeat */
    uint32_t certificate_count;
    struct head_proof *proofs;
    uint32_t proof_count;
};

/* FRAME_FETCH: [kind, major, env, epoch, after, offset, budget]
 * The changes after version `after`. A change longer than a page comes in parts: `offset` is then
 * the bytes of change after+1 that the asker has already. */
struct frame_fetch {
    struct slice env;
    uint64_t epoch, after, offset;
    uint32_t budget; /* bytes of changes, about; the server bounds it too */
};

enum reply_status {
    REPLY_OK = 0,
    REPLY_BUSY = 1,     /* again in busy_ms */
    REPLY_SNAPSHOT = 2, /* the log does not reach back so far, or the epoch is another */
    REPLY_NO_ENV = 3,   /* no such environment here */
    REPLY_BEHIND = 4,   /* the server's epoch is smaller than the asker's */
};

/* FRAME_FETCH_REPLY: [kind, major, status, busy_ms, epoch, head, [change: bin, …], part: bin,
 * part_offset, part_total] Either `changes`, or one `part` of change after+1 (part_total > 0), or
 * neither: nothing newer. A part is never empty and lies within its change. */
struct frame_fetch_reply {
    uint32_t status, busy_ms;
    uint64_t epoch, head;
    struct slice *changes;
    uint32_t count;
    struct slice part;
    uint64_t part_offset, part_total;
};

/* FRAME_SNAPSHOT: [kind, major, env, epoch, version, after_key, budget]
 * First page: epoch 0, version 0, after_key empty. Later ones repeat what the first answered. */
struct frame_snapshot {
    struct slice env;
    uint64_t epoch, version;
    struct slice after_key;
    uint32_t budget;
};

/* FRAME_SNAPSHOT_REPLY: [kind, major, status, busy_ms, epoch, version, base: bin, [[key, record],
 * …], last, flags_total] base: change `version` without its edits, on the first page only. Keys are
 * sorted and distinct. */
struct frame_snapshot_reply {
    uint32_t status, busy_ms;
    uint64_t epoch, version;
    struct slice base;
    struct edit *records; /* put is true */
    uint32_t count;
    bool last;
    uint64_t flags_total;
};

/* FRAME_STATUS: [kind, major, id, incarnation, software, [[label, value], …], [env_head, …],
 * refusals, proofs] refusals = [[env, key, version, why], …]; an empty key: the change as a whole.
 * proofs as in hello.
 * FRAME_STATUS_REPLY: [kind, major, status] */
struct refusal {
    struct slice env, key;
    uint64_t version;
    struct slice why;
};

struct frame_status {
    struct slice id;
    uint64_t incarnation;
    struct slice software;
    struct label *labels;
    uint32_t label_count;
    struct env_head *envs;
    uint32_t env_count;
    struct refusal *refusals; /* the first FRAME_REFUSALS_MAX are sent */
    uint32_t refusal_count;
    struct head_proof *proofs;
    uint32_t proof_count;
};

/* FRAME_SUBTREE: [kind, major, [[via, age_ms, status: bin], …]]
 * The statuses of hosts, as they came, from the relay that they were told to; answered by
 * FRAME_STATUS_REPLY. */
struct subtree_host {
    struct slice via;    /* the id of the relay that the host itself told it to */
    uint32_t age_ms;     /* since that relay heard it */
    struct slice status; /* a FRAME_STATUS, not decoded yet */
};

struct frame_subtree {
    struct subtree_host *hosts;
    uint32_t count;
};

/* FRAME_USAGE: [kind, major, incarnation, sequence, [[env, key, variant, n], …]]
 * Evaluations that were counted; an empty variant: the caller's fallback held. Until it is answered
 * (by FRAME_STATUS_REPLY) a sender repeats the same bytes, so whoever knows the last sequence of an
 * incarnation counts each once. */
#define FRAME_USAGE_N_MAX ((uint64_t)INT64_MAX)

struct usage_count {
    struct slice env, key, variant;
    uint64_t n; /* ≥ 1 */
};

struct frame_usage {
    uint64_t incarnation; /* random, per start of the sender */
    uint64_t sequence;    /* 1, 2, 3 … */
    struct usage_count *counts;
    uint32_t count;
};

/* FRAME_COMMAND: [kind, major, request, name, author, body, epoch, time_ms, key: bin, signature: bin]
 * body: a JSON object of arguments. The last four are not there when nobody signed it. */
struct frame_command {
    uint8_t request[REQUEST_ID_SIZE];
    struct slice name;
    struct slice author; /* "" : the peer's user */
    struct slice body;
    uint64_t epoch; /* these are said with a signature alone: see statement.h */
    int64_t time_ms;
    struct slice key, signature; /* both empty: it is not signed */
};

/* FRAME_COMMAND_REPLY: [kind, major, request, exit, body]; exit: flagctl's exit code; body: the
 * JSON that interface.md gives for the command, or {"error": …} */
struct frame_command_reply {
    uint8_t request[REQUEST_ID_SIZE];
    uint32_t exit;
    struct slice body;
};

/* FRAME_ERROR_REPLY: [kind, major, message] */

/* Which frame begins here? ECORRUPT, or EVERSION naming both majors. */
MUST_USE enum hoist_err frame_kind_of(struct slice in, enum frame_kind *ret);

/* Encoders append to `out`; failures stick in `out` (buf_err). What they are given must be within
 * the limits, or their peers refuse the frame; sentences alone are cut and mended. */
void frame_put_changes(struct buf *out, const struct slice *changes, uint32_t count);
void heartbeat_put_origin(struct buf *out, uint64_t counter, int64_t time_ms,
                          const struct env_head *envs, uint32_t count);
void heartbeat_put_hop(struct buf *out, uint32_t distance, struct slice id,
                       const struct env_head *envs, uint32_t count);
void frame_put_heartbeat(struct buf *out, struct slice origin, struct slice signature,
                         struct slice hop);
/* The same with certificates. */
void frame_put_heartbeat_with(struct buf *out, struct slice origin, struct slice signature,
                              struct slice hop, const struct slice *certificates, uint32_t count);
void frame_put_hello(struct buf *out, enum frame_kind kind, const struct frame_hello *f);
void frame_put_fetch(struct buf *out, const struct frame_fetch *f);
void frame_put_fetch_reply(struct buf *out, const struct frame_fetch_reply *f);
void frame_put_snapshot(struct buf *out, const struct frame_snapshot *f);
void frame_put_snapshot_reply(struct buf *out, const struct frame_snapshot_reply *f);
void frame_put_status(struct buf *out, const struct frame_status *f);
void frame_put_status_reply(struct buf *out, enum reply_status status);
void frame_put_subtree(struct buf *out, const struct subtree_host *hosts, uint32_t count);
void frame_put_usage(struct buf *out, const struct frame_usage *f);
void frame_put_command(struct buf *out, const struct frame_command *f);
void frame_put_command_reply(struct buf *out, const struct frame_command_reply *f);
void frame_put_error_reply(struct buf *out, struct slice message);

/*
 * Decoders: OK, ECORRUPT, EVERSION, ELIMIT, ENOMEM; outputs untouched on error. Bytes are borrowed
 * from `in`; arrays are allocated from `arena`, after their counts were checked against the bytes.
 */
MUST_USE enum hoist_err frame_get_changes(struct slice in, struct arena *arena,
                                          struct frame_changes *ret);
MUST_USE enum hoist_err frame_get_heartbeat(struct slice in, struct arena *arena,
                                            struct frame_heartbeat *ret);
MUST_USE enum hoist_err frame_get_hello(struct slice in, enum frame_kind kind, struct arena *arena,
                                        struct frame_hello *ret);
MUST_USE enum hoist_err frame_get_fetch(struct slice in, struct frame_fetch *ret);
MUST_USE enum hoist_err frame_get_fetch_reply(struct slice in, struct arena *arena,
                                              struct frame_fetch_reply *ret);
MUST_USE enum hoist_err frame_get_snapshot(struct slice in, struct frame_snapshot *ret);
MUST_USE enum hoist_err frame_get_snapshot_reply(struct slice in, struct arena *arena,
                                                 struct frame_snapshot_reply *ret);
MUST_USE enum hoist_err frame_get_status(struct slice in, struct arena *arena,
                                         struct frame_status *ret);
MUST_USE enum hoist_err frame_get_status_reply(struct slice in, uint32_t *ret_status);
MUST_USE enum hoist_err frame_get_subtree(struct slice in, struct arena *arena,
                                          struct frame_subtree *ret);
MUST_USE enum hoist_err frame_get_usage(struct slice in, struct arena *arena,
                                        struct frame_usage *ret);
MUST_USE enum hoist_err frame_get_command(struct slice in, struct frame_command *ret);
MUST_USE enum hoist_err frame_get_command_reply(struct slice in, struct frame_command_reply *ret);
MUST_USE enum hoist_err frame_get_error_reply(struct slice in, struct slice *ret_message);

#endif
