/* store_int.h - what the files of the store share: its structs, and the way into LMDB. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/counters.h"
#include "store/lmdb_os.h"
#include "store/store.h"

enum db_name {
    DB_META,
    DB_FLAGS,
    DB_LOG,
    DB_TOUCH,
    DB_BASELINE,
    DB_HELD,
    DB_COMMANDS,
    DB_FLEET, /* from here on not in a store that an older program made, until a writer opens it: */
    DB_SEALS,
    DB_USAGE,
    DB_RELEASES, /* dbi 0 */
    DB_COUNT
};

enum { POOLS = 2, READS = POOLS * STORE_PARKED };

struct history; /* of history.c: where in a change the last look ended */

struct store_read {
    _Atomic bool taken; /* else it is parked */
    struct store *store;
    struct db *db;
    MDB_txn *txn;      /* NULL until its first use; then kept, reset, between uses */
    MDB_cursor *walk;  /* of store_record_next(); NULL until then */
    bool walk_renewed; /* it belongs to the present span */
    bool in_write;     /* the eyes of a write transaction: never parked */
    uint64_t puts;     /* in that transaction so far: what was borrowed before the last is gone */
    struct history *history;
};

/* One numbered directory, open. */
struct db {
    char path[PATH_MAX];
    char counters_path[PATH_MAX];
    uint32_t number;
    bool write;
    MDB_env *env; /* NULL: closed, since another took over and all reads had ended */
    MDB_dbi dbi[DB_COUNT];
    struct lmdb_os os;
    unsigned forks; /* lmdb_os_forks() when it was opened */
    dev_t dev;
    ino_t ino; /* of data.mdb */
    uint8_t store_id[STORE_ID_SIZE];
    uint64_t starts;
    struct counters counters;
    uint64_t base; /* added to LMDB's transaction ids. They begin anew in a copied file: so they go
                      on counting, and what was read before a rotation is seen to be older */
    _Atomic bool broken;           /* an assertion failed while reading: not to be touched again */
    _Atomic uint32_t begun[POOLS]; /* how many of a pool have been taken ever */
    struct store_read reads[READS];
    int ended; /* reads that were taken out for good; under the store's swap_lock */
    struct db *older;
};

struct store {
    char *dir;
    char host_id[2 * STORE_ID_SIZE + 1];
    uint64_t starts;
    uint64_t map_bytes;
    uint64_t quota_bytes, env_flags;
    _Atomic uint64_t flag_bytes, change_bytes; /* the longest that were written */
    _Atomic(struct db *) db;                   /* the one in use; older ones hang from it */
    pthread_mutex_t swap_lock; /* for putting another in its place, and ending the older ones */
    _Atomic(struct db *) looked_at; /* by the thread that clears readers: not to be closed now */
    struct writer *writer;          /* NULL: reads only */
    bool was_follower;              /* a primary's writer found a follower's store */
    bool (*stop_writer)(struct store *s); /* set where the writing half is linked; false: a thread
                                             hangs in LMDB, and what it uses must stay */
    struct store *next;                   /* of those that were abandoned */
};

/* ------------------------------------------------------------------ db.c: LMDB by our rules */

struct db_options {
    bool write;
    bool sync;             /* each commit */
    bool memory;           /* the files are in memory: never sync */
    uint64_t map_bytes;    /* 0: 64 GiB, or what can be had */
    const uint8_t *create; /* the id of a store that is to be made there; NULL: it is there */
};

/*
 * Open LMDB's files in DIR/`number`, and the counters beside them.
 *
 * A reader goes without counters where they are missing or wrong; so does a writer, which must then
 * make others before it writes anything. Errors as store_open().
 */
MUST_USE enum hoist_err db_open(const char *dir, uint32_t number, const struct db_options *o,
                                struct db **ret);

/* Close it; no read is going on in it. */
void db_free(struct db *db);

/* The same in a child of the process that opened it. Its reads, whose slots are the parent's, and
 * so `db` itself, cannot be freed. */
void db_abandon(struct db *db);

/* Close LMDB's files, as soon as all reads have ended; the counters stay mapped. */
void db_end(struct db *db);

/* What a database is called in the file, and its flags of LMDB's. */
const char *db_database_name(enum db_name name);
unsigned db_database_flags(enum db_name name);

/* LMDB's error as ours. `what` was tried. */
enum hoist_err db_err(int rc, const char *what);

/* mdb_get() and mdb_cursor_get(), except that an assertion that fails in them is an error. */
int db_get(struct db *db, MDB_txn *txn, enum db_name name, MDB_val *key, MDB_val *ret);
int db_cursor_get(struct db *db, MDB_cursor *cursor, MDB_val *key, MDB_val *ret, MDB_cursor_op op);

/* What is in LMDB's table of readers, a line a call; of this process or others. */
struct slot {
    pid_t id;
    size_t thread;
    uint64_t txn; /* UINT64_MAX: none now */
};
void db_each_slot(MDB_env *env, void (*each)(const struct slot *slot, void *arg), void *arg);

/* ------------------------------------------------------------------ pool.c: parked reads */

void pool_fill(struct db *db);
/* NULL: none is there. */
struct store_read *pool_take(struct db *db, bool view);
void pool_give(struct store_read *r);

/* ------------------------------------------------------------------ open.c */

/* Put `db` in the place of the one that is in use, which ends with its last read. The caller holds
 * swap_lock. */
void store_swap(struct store *s, struct db *db);

/* A store around `db`, which it takes over whatever is returned. */
MUST_USE enum hoist_err store_new(const char *dir, struct db *db, struct store **ret);

/* store_env_get() by id. */
MUST_USE enum hoist_err store_env_by_id(struct store_read *r, uint16_t id, struct store_env *ret);

/* How many environments there are, and the bytes of their records. */
MUST_USE enum hoist_err store_env_totals(struct store_read *r, uint32_t *ret_count,
                                         uint64_t *ret_bytes);

/* Give back what all but the newest directory hold, as far as nobody reads in them. */
void store_end_older(struct store *s);

/* ------------------------------------------------------------------ keys */

static inline MDB_val val_of(struct slice s)
{
    return (MDB_val){s.len, (void *)s.ptr};
}

static inline struct slice slice_val(MDB_val v)
{
    return (struct slice){v.mv_data, v.mv_size};
}

#endif
