/* store.h - the flags of a host, in a directory of its own, on LMDB.
 *
 *   DIR/hoistd.lock        held by the one writer for its life
 *   DIR/current            a link to the numbered directory in use
 *   DIR/1/data.mdb         LMDB's file: the databases that rows.h lists
 *   DIR/1/lock.mdb         LMDB's readers' table and locks, allocated in full
 *   DIR/1/counters         one word for each shard of keys: who may trust what it has cached
 *
 * One process writes (hoistd), any number read. What a reader may trust: a transaction sees one
 * whole version. A value decoded in transaction R may be used as long as its shard's word S, loaded
 * BEFORE the transaction was begun, is ≤ R: the writer stores the id of its transaction there
 * before it commits. So no order of commit, store and crash shows a mixture or a stale value.
 *
 * Threads: a writer's functions (store_write_*, store_load_*, store_tick) are for one thread;
 * reading functions for any, also beside the writer in its own process.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "wire/change.h"
#include "wire/frame.h"

enum {
    STORE_FORMAT = 1,
    STORE_SHARDS = 4096,
    STORE_READERS = 4096,
    STORE_ENV_NAME_MAX = 63,
    STORE_DENIAL_MAX = 4096,
    STORE_ENV_FLAGS = 1000000, /* the most of an environment, when nothing else is said */
    STORE_PARKED = 64,         /* read transactions kept per process; as many again for views */
};

struct store;       /* an open store */
struct store_read;  /* a read transaction: one version of everything */
struct store_write; /* the write transaction */

/* ------------------------------------------------------------------ open and close */

struct store_options { /* all zero: read only */
    bool write;
    bool primary;       /* fsync each commit and keep the directory to its user (0700, not 0750) */
    uint64_t map_bytes; /* address space; 0: 64 GiB, less where that cannot be had */
    uint64_t quota_bytes; /* of records; 0: 4 GiB */
    uint64_t env_flags;   /* the most of one environment; 0: 1,000,000 */
    int64_t log_age_ms; /* writer: how the log is cut; 0: 90 days on a primary, none on an agent */
    uint64_t log_min;   /* changes kept whatever their age; 0: 10,000 or 1,000 */
    uint64_t log_bytes; /* 0: 4 GiB or 256 MiB */
    struct slice host;  /* writer: what store_host_get() gives to readers */
    bool take_over;     /* primary: also if a host that followed wrote it last */
    bool check;         /* writer: look at what is there first; ECORRUPT: it is damaged */
};

/*
 * Open the store in `dir`; a writer makes it if it is not there, and starts a thread that clears
 * the slots of dead readers each second.
 *
 * Errors:  ENOTFOUND  (reading) there is no store, or it is not finished yet
 *          EBUSY      (writing) another process writes it, named where that is known
 *          EINVAL     the directory is on a network filesystem; or not a directory; or (primary,
 *                     without take_over) its last writer followed a primary
 *          EACCES, ECORRUPT (names the first fault), EVERSION (names both), ENOSPC, EIO, ENOMEM
 */
MUST_USE enum hoist_err store_open(const char *dir, const struct store_options *options,
                                   struct store **ret);

/* As store_open() for reading. libhoist calls this one: store_open() links the writing half, with
 * all that this needs. map_bytes as in the options. */
MUST_USE enum hoist_err store_open_reader(const char *dir, uint64_t map_bytes, struct store **ret);
void store_close(struct store *s);

const char *store_dir(const struct store *s);

/* What tells it from all other stores: random, given when it was made. */
void store_id(const struct store *s, uint8_t ret[16]);
const char *store_host_id(const struct store *s); /* 32 hex digits, made with the store */
uint64_t store_starts(const struct store *s);     /* how often a writer has opened it */

/*
 * For a primary's writer: whether who wrote last followed a primary. Then what is here is a copy,
 * which may lack that primary's last changes: nothing is to be numbered before a new epoch has
 * begun in every environment, and store_own() was said in the same transaction. Until then a start
 * without take_over is refused, also after a crash.
 */
bool store_was_follower(const struct store *s);
struct store_write;
MUST_USE enum hoist_err store_own(struct store_write *w);

/* Whether the path leads to another store than the one that is open, or this one was rotated away:
 * then close it and open again. Costs a few system calls. */
bool store_is_replaced(const struct store *s);

/* For its writer: whether the path leads to the directory no more, since somebody removed or moved
 * it. What is open goes on working, out of everybody's sight. */
bool store_is_gone(const struct store *s);

/* In a child, instead of store_close(): gives back what was inherited, touching nothing of the
 * parent's. Descriptors of lock files are closed by themselves in every child (pthread_atfork). */
void store_abandon(struct store *s);

/* Whether a hoistd holds the store of `dir` for writing now; *ret_pid its process id or 0. */
bool store_is_written(const char *dir, pid_t *ret_pid);

/* ------------------------------------------------------------------ counters */

/* The shard of a flag: 0 … STORE_SHARDS-1, by hash of environment id and key (FNV-1a, 64 bit). */
uint32_t store_shard(uint16_t env, struct slice key);

/* The words, mapped for as long as the store is open; load with acquire. NULL: no cache may be
 * used. */
const _Atomic uint64_t *store_words(const struct store *s);

/* The word for what an environment is as a whole: its id, and whether flags are held back. */
const _Atomic uint64_t *store_envs_word(const struct store *s);

/* The file that is written after each commit, for inotify. */
const char *store_counters_path(const struct store *s);

/* ------------------------------------------------------------------ reading */

/*
 * Begin to read, in a parked transaction that is renewed (no lock). `view`: one of those for views.
 * Errors:  EAGAIN  all are in use (other than for views: still after 1 ms); EIO, ECORRUPT
 */
MUST_USE enum hoist_err store_read_begin(struct store *s, bool view, struct store_read **ret);
void store_read_end(struct store_read *r);
uint64_t store_read_txn(const struct store_read *r); /* R */

struct store_env {
    uint16_t id;    /* local to this store, never on the wire */
    uint16_t order; /* 0: the one named first */
    char name[STORE_ENV_NAME_MAX + 1];
    uint64_t epoch;
    uint64_t head;             /* version; 0: nothing yet */
    uint8_t hash[HASH_SIZE];   /* of change `head` */
    uint8_t digest[HASH_SIZE]; /* state digest */
    int64_t time_ms;           /* of change `head` */
    int64_t applied_ms;        /* wall clock, when it was committed here */
    uint64_t flags;            /* how many */
    uint64_t bytes;            /* of their keys and records */
    uint64_t held;             /* flags held back */
    uint64_t log_first;        /* oldest version in the log; head + 1 when it is empty */
    uint64_t log_bytes;
};

/* How many flags an environment may have here. */
uint64_t store_env_flags_max(const struct store_read *r);

/* By name (NULL: the one that store_env_order() named first, which may not be there yet; else the
 * first of all), or in order: the n-th. ENOTFOUND. */
MUST_USE enum hoist_err store_env_get(struct store_read *r, const char *name,
                                      struct store_env *ret);
MUST_USE enum hoist_err store_env_at(struct store_read *r, uint32_t n, struct store_env *ret);

/* What the writer said of the host when it opened the store. ENOTFOUND: nothing, or it is older. */
MUST_USE enum hoist_err store_host_get(struct store_read *r, struct slice *ret);

/* What was said about environment `env` (store_env_about_put()). ENOTFOUND: nothing. */
MUST_USE enum hoist_err store_env_about_get(struct store_read *r, const char *env,
                                            struct slice *ret);

/* The certificates of signing keys that were kept (store_keys_put()), a list. ENOTFOUND: none. */
MUST_USE enum hoist_err store_keys_get(struct store_read *r, struct slice *ret);

/* The greatest heartbeat counter that was noted (store_origin_put()); ENOTFOUND: none. */
MUST_USE enum hoist_err store_origin_get(struct store_read *r, uint64_t *ret);

/*
 * The record of a flag as this host evaluates it: where the newest is held back, the last good one.
 * Borrowed from the map until store_read_end(). ENOTFOUND. `any_held` is env.held > 0: it saves a
 * lookup when there is none.
 */
MUST_USE enum hoist_err store_flag_get(struct store_read *r, uint16_t env, bool any_held,
                                       struct slice key, struct slice *ret_record);

/* The record as published, held back or not. */
MUST_USE enum hoist_err store_record_get(struct store_read *r, uint16_t env, struct slice key,
                                         struct slice *ret_record);

/* The first flag with a key behind `after` (empty: the first of all), as published. ENOTFOUND
 * behind the last. Walks a cursor of `r`'s: calls in order cost a step, not a search. */
MUST_USE enum hoist_err store_record_next(struct store_read *r, uint16_t env, struct slice after,
                                          struct slice *ret_key, struct slice *ret_record);

/* Flags held back, likewise: why, and the version since when. */
MUST_USE enum hoist_err store_held_next(struct store_read *r, uint16_t env, struct slice after,
                                        struct slice *ret_key, struct slice *ret_why,
                                        uint64_t *ret_version);

/* Change `version` byte for byte. ENOTFOUND: not in the log (any more). */
MUST_USE enum hoist_err store_log_get(struct store_read *r, uint16_t env, uint64_t version,
                                      struct slice *ret_change);

/* The change behind version `after`, likewise: the next that there is, where the log has a hole. ENOTFOUND:
 * that was the last. */
MUST_USE enum hoist_err store_log_next(struct store_read *r, uint16_t env, uint64_t after,
                                       uint64_t *ret_version, struct slice *ret_change);

/* Change env->head, to begin a snapshot with: from the log, or, where that is empty since the
 * environment was itself filled by a snapshot, without its edits. ENOTFOUND: filled by a build that
 * did not keep it; the next change ends that. */
MUST_USE enum hoist_err store_head_get(struct store_read *r, const struct store_env *env,
                                       struct slice *ret_change);

/* The newest version ≤ `at` that touched `key`; ENOTFOUND: none in the log. */
MUST_USE enum hoist_err store_touched(struct store_read *r, uint16_t env, struct slice key,
                                      uint64_t at, uint64_t *ret_version);

/* The record of `key` as of version `at` (log_first - 1 ≤ at ≤ head): newest touch ≤ at, else the
 * baseline, else the present record. ENOTFOUND: there was no such flag then. */
MUST_USE enum hoist_err store_record_at(struct store_read *r, uint16_t env, struct slice key,
                                        uint64_t at, struct slice *ret_record);

/* The answer given to command `request`, if it is still known. */
MUST_USE enum hoist_err store_command_get(struct store_read *r,
                                          const uint8_t request[REQUEST_ID_SIZE],
                                          struct slice *ret_answer);

/* The newest denial with a sequence number below `before` (UINT64_MAX: the newest of all), and its
 * row. ENOTFOUND: there is none. */
MUST_USE enum hoist_err store_denial_before(struct store_read *r, uint64_t before,
                                            uint64_t *ret_sequence, struct slice *ret_row);

/* The first host of the ledger with an id behind `after` (empty: the first of all), and its row.
 * ENOTFOUND behind the last, and where no ledger was ever kept. */
MUST_USE enum hoist_err store_host_next(struct store_read *r, struct slice after,
                                        struct slice *ret_id, struct slice *ret_row);

/* What is kept of how often flag `key` is evaluated (store_usage_put()), and since when is counted.
 * ENOTFOUND: nothing. */
MUST_USE enum hoist_err store_usage_get(struct store_read *r, uint16_t env, struct slice key,
                                        struct slice *ret_row);
MUST_USE enum hoist_err store_usage_since(struct store_read *r, int64_t *ret_ms);

struct store_release_row {
    uint64_t sequence;
    struct slice row;
};

/* The first release at or behind `id`; its rows may be damaged. ENOTFOUND: there is none. */
MUST_USE enum hoist_err store_release_find(struct store_read *r, uint32_t id, uint32_t *ret_id);

/* The first row of release `id` at or behind `sequence`. ENOTFOUND: it has none; ECORRUPT: it is damaged. */
MUST_USE enum hoist_err store_release_next(struct store_read *r, uint32_t id, uint64_t sequence,
                                           struct store_release_row *ret);

/* Up to which number releases are known to have ended (store_releases_end()); ENOTFOUND: it was not noted. */
MUST_USE enum hoist_err store_releases_ended(struct store_read *r, uint32_t *ret_id);

/* ------------------------------------------------------------------ writing */

/*
 * The write transaction. Everything in it becomes visible at commit, at once, or not at all.
 *
 * commit:  OK: on disk as the options say, and announced to readers.
 *          ENOSPC  nothing was done
 *          EUNKNOWN  the disk failed in the middle: close the store, open it again, look
 * Both commit and abort end the transaction, whatever they return.
 */
MUST_USE enum hoist_err store_write_begin(struct store *s, struct store_write **ret);
MUST_USE enum hoist_err store_write_commit(struct store_write *w);
void store_write_abort(struct store_write *w);

/* The transaction as a reader: sees what was written in it. Ends with it. */
struct store_read *store_write_read(struct store_write *w);

/* Make environment `name` (EINVAL when there is one): no epoch, version 0, no flags. */
MUST_USE enum hoist_err store_env_create(struct store_write *w, const char *name,
                                         struct store_env *ret);

/* Keep `about` beside an environment: the caller's bytes, no part of its history. */
MUST_USE enum hoist_err store_env_about_put(struct store_write *w, const char *env,
                                            struct slice about);

MUST_USE enum hoist_err store_keys_put(struct store_write *w, struct slice certificates);
MUST_USE enum hoist_err store_origin_put(struct store_write *w, uint64_t counter);

/* The order in which environments are named; those not in `names` come behind. Its own transaction.
 */
MUST_USE enum hoist_err store_env_order(struct store *s, const char *const *names, size_t count);

/*
 * A primary's way, in two steps, because the header of a change names the digest after it:
 * stage() puts the edits in and gives that digest; log() then puts the change itself, made from it.
 * Between the two, nothing else in this transaction. Errors of stage(): ECORRUPT (the edits),
 * ENOSPC (disk or quota), ENOMEM, EIO: abort the transaction.
 */
MUST_USE enum hoist_err store_change_stage(struct store_write *w, uint16_t env, struct slice edits,
                                           uint64_t version, uint8_t ret_digest[HASH_SIZE]);
MUST_USE enum hoist_err store_change_log(struct store_write *w, uint16_t env,
                                         const struct change *c);

/*
 * An agent's way: check the envelope (next version, same epoch, previous hash), apply the edits,
 * compare the digest, log. Records that this version cannot read, or that are over its limits, are
 * stored all the same and held back (readers go on with the last good one).
 *
 * Errors:  EAGAIN    it is not the next version
 *          ECORRUPT  the envelope or the digest is wrong; ENOSPC, ENOMEM, EIO: abort the
 * transaction.
 */
MUST_USE enum hoist_err store_change_apply(struct store_write *w, uint16_t env,
                                           const struct change *c);

/* Begin a new epoch on a primary: sets the epoch, to be followed by stage (no edits) and log. */
MUST_USE enum hoist_err store_epoch_set(struct store_write *w, uint16_t env, uint64_t epoch);

/* Keep the answer to a command, for 10 minutes and at least 10,000 commands. */
MUST_USE enum hoist_err store_command_put(struct store_write *w,
                                          const uint8_t request[REQUEST_ID_SIZE],
                                          struct slice answer, int64_t now_ms);

/* Keep that somebody was denied something, 1 to STORE_DENIAL_MAX bytes of the caller's, with the last
 * 9,999 before it. */
MUST_USE enum hoist_err store_denial_put(struct store_write *w, struct slice row);

/* The ledger of hosts, on a primary: a row for each id (1 to 255 bytes), which is the primary's to
 * read. Deleting what is not there is fine. */
MUST_USE enum hoist_err store_host_put(struct store_write *w, struct slice id, struct slice row);
MUST_USE enum hoist_err store_host_delete(struct store_write *w, struct slice id);

/* How often a flag is evaluated, on a primary: a row that is the caller's to read, and that goes when
 * the flag is deleted. It is not in a backup, and who opens the store as a follower forgets it all. */
MUST_USE enum hoist_err store_usage_put(struct store_write *w, uint16_t env, struct slice key,
                                        struct slice row);
MUST_USE enum hoist_err store_usage_begin(struct store_write *w, int64_t now_ms);

/* A row of release `id`, on a primary: the plan is its first (0), what happened comes behind. Who opens
 * the store as a follower forgets them all, and so does a primary that takes over a follower's. */
MUST_USE enum hoist_err store_release_put(struct store_write *w, uint32_t id, uint64_t sequence,
                                          struct slice row);

/* Note that releases up to `id` have ended: who starts need not read them. */
MUST_USE enum hoist_err store_releases_end(struct store_write *w, uint32_t id);

/* ------------------------------------------------------------------ loading beside (bootstrap) */

/*
 * Load a whole environment beside the one that is served, in transactions of at most 4 MiB, between
 * which other environments' changes may go on. finish() compares the digest and points the name at
 * the new flags in one small transaction; the old ones go away in pieces, also after a crash.
 */
struct store_load;
MUST_USE enum hoist_err store_load_begin(struct store *s, const char *env,
                                         const struct change *base, struct store_load **ret);
/* Records in key order (sorted input loads fast, other order works). */
MUST_USE enum hoist_err store_load_records(struct store_load *l, const struct edit *records,
                                           size_t n);
/* Replay: the next change behind the base, then the next. */
MUST_USE enum hoist_err store_load_change(struct store_load *l, const struct change *c);
uint64_t store_load_version(const struct store_load *l);
/* ECORRUPT: the digest is not the one that the newest replayed change (or the base) names. Frees
 * `l`. */
MUST_USE enum hoist_err store_load_finish(struct store_load *l);
void store_load_abort(struct store_load *l);

/* ------------------------------------------------------------------ a copy in one file */

struct store_backup_info {
    uint32_t format;      /* of the store */
    int64_t time_ms;      /* when it was made */
    uint8_t store_id[16]; /* of the store it was made of */
    uint64_t rows, bytes;
};

/*
 * Write all that `r` sees, with the log, to `fd`, and sync that: one version of everything, however
 * long it takes and whatever the writer does meanwhile. On error part of it was written.
 * Errors:  ENOSPC, EIO, ECORRUPT (the store), ENOMEM
 */
MUST_USE enum hoist_err store_backup_write(struct store_read *r, int fd,
                                           struct store_backup_info *ret);

/*
 * Whether the file open as `fd` is a backup, whole, byte for byte as it was written.
 * Errors:  EINVAL (no backup), EVERSION (names both), ECORRUPT (cut short, damaged), EIO, ENOMEM
 */
MUST_USE enum hoist_err store_backup_check(int fd, struct store_backup_info *ret);

/*
 * A new store in `dir`, for a primary, from the backup `fd`; it is open for writing, and in nobody's
 * sight until finish(); then store_close() it. abort() closes it and removes what there is (NULL is
 * fine); a crash leaves that for the next begin, or hoistd, to remove.
 *
 * Errors:  EINVAL    there is a store already; and as store_open() and store_backup_check()
 */
MUST_USE enum hoist_err store_recover_begin(const char *dir, const struct store_options *options,
                                            int fd, struct store **ret,
                                            struct store_backup_info *ret_info);
MUST_USE enum hoist_err store_recover_finish(struct store *s);
void store_recover_abort(struct store *s);

/* ------------------------------------------------------------------ checking */

struct store_fault {
    const char *database; /* where */
    struct slice key;     /* of the row, as it is in LMDB; empty: the database as a whole */
    const char *env;      /* the environment's name; "" where it is of none */
    const char *what;
};

struct store_checked {
    uint64_t environments, flags, changes, rows; /* looked at */
    uint64_t faults;
};

/*
 * Look at all that `r` sees: every record and change decodes, every hash fits, the flags have the
 * digests that the log names (back to its beginning), the log has no holes, and what is kept beside
 * it (touch, baseline, held, commands) says the same. Each fault goes to `fault`, as it is found;
 * what it gets is borrowed for the call.
 *
 * First of all the file's pages are looked at (pages.h); where one is damaged the rows are not,
 * since LMDB might end the program on the way to them. OK, however many faults there are.
 * Errors:  EAGAIN  the writer went on by two commits before the look at the pages: begin to read
 *          again. ECORRUPT (it is no LMDB file), ENOMEM, EIO
 */
MUST_USE enum hoist_err store_check(struct store_read *r,
                                    void (*fault)(void *arg, const struct store_fault *fault),
                                    void *arg, struct store_checked *ret);

/* ------------------------------------------------------------------ upkeep */

/* A server's snapshot readers need the log from here on: do not cut above `version`. */
void store_log_pin(struct store *s, uint16_t env, uint64_t version); /* UINT64_MAX: none */

/*
 * Work to be done now and then (say each 100 ms), a bounded piece a call: cut the log, delete old
 * environments' rows, forget old answers, try held records again, rotate when a stuck reader made
 * the file grow past twice its live size and 256 MiB (the limits can be set for tests); a rotation that
 * fails is logged, and tried again a minute later, then after twice as long each time, up to an hour.
 * *ret_more: there is more to do at once.
 */
MUST_USE enum hoist_err store_tick(struct store *s, int64_t now_wall_ms, bool *ret_more);
void store_set_rotate_limit(struct store *s, uint64_t bytes);

struct store_reader_info { /* somebody who reads */
    pid_t pid;             /* in its own pid namespace */
    uint64_t txn;          /* what it reads */
    int64_t since_ms;      /* how long it has been in this transaction; as seen once a second */
};

struct store_stats {
    uint64_t map_bytes, file_bytes, used_bytes; /* used: pages in use × page size */
    uint64_t quota_bytes, record_bytes;
    uint64_t env_flags_max, env_flags; /* the most that one may have, and has */
    uint64_t flag_bytes, change_bytes; /* the longest that were written since the start */
    uint32_t readers;                  /* slots in use */
    uint32_t readers_max;
    uint32_t stuck_count;               /* readers in one transaction for more than 5 s */
    struct store_reader_info stuck[16]; /* the first of them */
    uint64_t cleared;                   /* dead readers cleared since the start */
    uint64_t rotations;
    int64_t check_ms; /* what a writer's check at its start took; -1: there was none */
};
void store_stats(struct store *s, struct store_stats *ret);

/* What hoistd says about itself to whoever reads the store without asking it: JSON text ≤ 12 KiB,
 * in the counters file. get: ENOTFOUND when nothing was said; whole, never torn. */
MUST_USE enum hoist_err store_status_put(struct store *s, struct slice json);
MUST_USE enum hoist_err store_status_get(struct store *s, struct buf *out);

#endif
