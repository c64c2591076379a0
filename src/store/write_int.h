/* write_int.h - the writing half: the writer of a store, and its transaction. */
#ifndef STORE_WRITE_INT_H
#define STORE_WRITE_INT_H

#include "store/rows.h"
#include "store/store_int.h"

enum { ENVS_MAX = 1024 };

struct watch; /* readers.c: the thread that clears dead readers */

struct pin {
    uint16_t env;
    uint64_t version; /* UINT64_MAX: none */
};

struct writer {
    struct store_options options; /* without zeros */
    bool memory;
    struct lmdb_os lock; /* hoistd.lock */
    bool broken;         /* a commit, or the move to a new file, failed in the middle */
    bool busy;           /* a transaction is open */
    pthread_mutex_t pin_lock;
    struct pin pins[ENVS_MAX];
    size_t pin_count;
    struct store_load *loads;
    struct watch *watch;
    uint64_t rotate_limit;
    int64_t rotate_not_before_ms; /* after one that failed; clock_mono_ms() */
    int64_t rotate_pause_ms;      /* how long it waits then; 0: the last one went well */
    bool retry_held;        /* this program may read what the one before could not: not all of */
    uint32_t retry_env;     /* the held flags were tried again; here is the next of them, */
    uint8_t retry_key[256]; /* behind this key */
    size_t retry_key_len;
    uint32_t cut_next;     /* the environment whose log is looked at next */
    bool cut_by_age;       /* in this round */
    int64_t cut_age_at_ms; /* when the age is looked at again; clock_mono_ms() */
    _Atomic uint64_t rotations;
    int64_t check_ms; /* what the check at the start took; -1: there was none */
};

/* An environment within a transaction: its row, and its state hash once that is needed. */
struct env_work {
    struct store_env env;
    struct lthash sum;
    bool sum_known, sum_changed;
    bool is_load;    /* it has no name yet, and so no row of its own */
    uint64_t staged; /* version that store_change_stage() put in; 0: none */
};

struct store_write {
    struct store *store;
    struct db *db;
    MDB_txn *txn;
    struct store_read read;
    uint8_t marked[STORE_SHARDS / 8]; /* shards that this transaction touched */
    bool mark_all, mark_envs;
    bool announce; /* somebody may be waiting for what is in it */
    struct env_work **envs;
    size_t env_count;
    uint64_t records; /* bytes of all records, if known */
    bool records_known;
    struct buf scratch, scratch_held;
};

/* ------------------------------------------------------------------ write.c */

MUST_USE enum hoist_err write_put(struct store_write *w, enum db_name db, MDB_val key,
                                  struct slice row, unsigned flags);
/* Fine if there is none. */
MUST_USE enum hoist_err write_del(struct store_write *w, enum db_name db, MDB_val key);

MUST_USE enum hoist_err write_env(struct store_write *w, uint16_t id, struct env_work **ret);
MUST_USE enum hoist_err write_env_row(struct store_write *w, struct env_work *e);
MUST_USE enum hoist_err write_sum(struct store_write *w, struct env_work *e);
MUST_USE enum hoist_err write_sum_row(struct store_write *w, const struct env_work *e);
void write_mark(struct store_write *w, uint16_t env, struct slice key);
MUST_USE enum hoist_err write_new_id(struct store_write *w, uint16_t *ret);
/* Fill in w->records: of all environments, and of those that are being loaded. */
MUST_USE enum hoist_err write_records(struct store_write *w);

/* ------------------------------------------------------------------ edit.c */

enum history_kind {
    HISTORY_NONE,    /* not a change's edit */
    HISTORY_EXACT,   /* what is in `flags` is the state before the change */
    HISTORY_UNKNOWN, /* it may be newer: while loading */
};

struct edit_how {
    uint64_t version;
    enum history_kind history;
    bool hold_back; /* keep what this version cannot read from its readers */
};

/* After edits before which `e` had `before` flags. ELIMIT: they are more than it may have. */
MUST_USE enum hoist_err edit_check_flags(const struct store_write *w, const struct env_work *e,
                                         uint64_t before);

MUST_USE enum hoist_err edit_apply(struct store_write *w, struct env_work *e,
                                   const struct edit *edit, const struct edit_how *how);
MUST_USE enum hoist_err edits_apply(struct store_write *w, struct env_work *e, struct slice edits,
                                    const struct edit_how *how);

/* ------------------------------------------------------------------ change.c */

/* EAGAIN, or ECORRUPT when `c` does not continue what `env` is. */
MUST_USE enum hoist_err change_check(const struct store_env *env, const struct change *c);
/* Put it in the log, and make it the head. */
MUST_USE enum hoist_err change_put(struct store_write *w, struct env_work *e,
                                   const struct change *c);

/* ------------------------------------------------------------------ load.c */

/* Bytes of records that loads have put in so far. */
uint64_t loads_bytes(const struct writer *wr);

/* ------------------------------------------------------------------ lock.c */

MUST_USE enum hoist_err lock_take(const char *dir, struct lmdb_os *lock);
void lock_release(struct lmdb_os *lock);

/* ------------------------------------------------------------------ release.c */

/* All rows, and which have ended: a release goes on where it was run, and nowhere that another primary was followed since. */
MUST_USE enum hoist_err release_rows_forget(struct store_write *w);

/* ------------------------------------------------------------------ rotate.c */

/* Copy what is live into another directory, and go on there. EUNKNOWN: the link leads there, perhaps
 * not for good; the writer is broken. After any other error all is as it was. */
MUST_USE enum hoist_err rotate(struct store *s);

/* ------------------------------------------------------------------ recover.c */

/* Make DIR/1 from a backup, for which there must be no store yet. */
MUST_USE enum hoist_err recover_fill(const struct writer *wr, const char *dir, int fd,
                                     struct store_backup_info *ret_info, struct db **ret);

/* ------------------------------------------------------------------ writer.c */

struct backup_source {
    int fd;
    struct store_backup_info info;
};

/* store_open() for a writer; `from`, unless NULL: a new store, to which nothing leads yet. */
MUST_USE enum hoist_err writer_open(const char *dir, const struct store_options *options,
                                    struct backup_source *from, struct store **ret);

mode_t writer_dir_mode(bool primary);
struct db_options writer_db_options(const struct writer *wr);

/* Make DIR/`number` with its counters, for LMDB's files to come. */
MUST_USE enum hoist_err number_prepare(const char *dir, uint32_t number, bool primary,
                                       const uint8_t id[STORE_ID_SIZE]);
/* Sync what is there now, and make it the current one. Errors as files_set_current(). */
MUST_USE enum hoist_err number_finish(const struct writer *wr, const char *dir, struct db *db);

/* ------------------------------------------------------------------ verify.c */

/* Whether the pages of DIR/`number` are fit for LMDB to walk; before it opens them. ECORRUPT names
 * the first fault. */
MUST_USE enum hoist_err verify_pages(const char *dir, uint32_t number);
/* The same of what is in them: all flags, all checksums, the log's chain. What takes much longer, and
 * says again what the checksums say, is for store_check() alone: each edit against `touch`, and the
 * digest of the flags at each version of the past. */
MUST_USE enum hoist_err verify_rows(struct store *s);

/* ------------------------------------------------------------------ readers.c */

MUST_USE enum hoist_err watch_start(struct store *s);
/* False: the thread hangs in LMDB, waiting for a reader that was stopped while it held the lock of
 * their table. What it uses must stay as it is. */
bool watch_stop(struct store *s);
/* Whether some reader has been in one transaction for long, and how many are known to be. */
bool watch_wants_probe(struct store *s);
uint32_t watch_stuck(struct store *s, struct store_reader_info *ret, uint32_t max,
                     uint64_t *ret_cleared);

#endif
