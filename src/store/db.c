#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "store/files.h"
#include "store/rows.h"

enum {
    DRAWS_WITH_PID = 64,
    DRAWS = 128,
    TAIL_PAGES = 64,
};

static const uint64_t map_most = UINT64_C(64) << 30, map_least = UINT64_C(1) << 30;

static const struct {
    const char *name;
    unsigned flags;
} databases[DB_COUNT] = {
    [DB_META] = {"meta", 0},         [DB_FLAGS] = {"flags", 0},
    [DB_LOG] = {"log", 0},           [DB_TOUCH] = {"touch", MDB_DUPSORT | MDB_DUPFIXED},
    [DB_BASELINE] = {"baseline", 0}, [DB_HELD] = {"held", 0},
    [DB_COMMANDS] = {"commands", 0}, [DB_FLEET] = {"fleet", 0},
    [DB_SEALS] = {"seals", 0},       [DB_USAGE] = {"usage", 0},
    [DB_RELEASES] = {"releases", 0},
};

const char *db_database_name(enum db_name name)
{
    return databases[name].name;
}

unsigned db_database_flags(enum db_name name)
{
    return databases[name].flags;
}

enum hoist_err db_err(int rc, const char *what)
{
    switch (rc) {
    case MDB_SUCCESS:
        return HOIST_OK;
    case MDB_NOTFOUND:
        return HOIST_ENOTFOUND;
    case ENOMEM:
        return err_set(HOIST_ENOMEM, "out of memory");
    case MDB_MAP_FULL:
        return err_set(HOIST_ENOSPC, "store: %s: the address space given to the store is full",
                       what);
    case ENOSPC:
    case EDQUOT:
        return err_set(HOIST_ENOSPC, "store: %s: %s", what, strerror(rc));
    case EACCES:
    case EPERM:
    case EROFS:
        return err_set(HOIST_EACCES,
                       "store: %s: %s; is this user in the store's group, and lock.mdb writable?",
                       what, strerror(rc));
    case MDB_TXN_FULL:
        return err_set(HOIST_ELIMIT, "store: %s: too much for one transaction", what);
    case MDB_VERSION_MISMATCH:
        return err_set(HOIST_EVERSION, "store: %s: the file is of another version of LMDB", what);
    case MDB_INVALID:
        return err_set(HOIST_ECORRUPT, "store: %s: data.mdb is no LMDB file", what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_BAD_VALSIZE:
    case MDB_INCOMPATIBLE:
        return err_set(HOIST_ECORRUPT, "store: %s: data.mdb is damaged (%s)", what,
                       mdb_strerror(rc));
    case MDB_READERS_FULL:
        return err_set(HOIST_EAGAIN, "store: all reader slots are taken");
    default:
        return err_set(HOIST_EIO, "store: %s: %s", what, mdb_strerror(rc));
    }
}

/* ------------------------------------------------------------------ reading, guarded */

static int broken(struct db *db)
{
    atomic_store(&db->broken, true);
    return MDB_CORRUPTED;
}

int db_get(struct db *db, MDB_txn *txn, enum db_name name, MDB_val *key, MDB_val *ret)
{
    jmp_buf rescue;
    if (_setjmp(rescue))
        return broken(db);
    lmdb_os_rescue = &rescue;
    int rc = mdb_get(txn, db->dbi[name], key, ret);
    lmdb_os_rescue = NULL;
    return rc;
}

int db_cursor_get(struct db *db, MDB_cursor *cursor, MDB_val *key, MDB_val *ret, MDB_cursor_op op)
{
    jmp_buf rescue;
    if (_setjmp(rescue))
        return broken(db);
    lmdb_os_rescue = &rescue;
    int rc = mdb_cursor_get(cursor, key, ret, op);
    lmdb_os_rescue = NULL;
    return rc;
}

/* ------------------------------------------------------------------ the table of readers */

struct slot_walk {
    void (*each)(const struct slot *slot, void *arg);
    void *arg;
};

/* LMDB writes a line a slot: "  PID THREAD TXN", TXN "-" when it is in none. */
static int slot_line(const char *line, void *arg)
{
    const struct slot_walk *walk = arg;
    struct slot slot;
    char txn[24];
    if (sscanf(line, "%d %zx %23s", &slot.id, &slot.thread, txn) != 3)
        return 0; /* the heading */
    slot.txn = UINT64_MAX;
    if (txn[0] != '-')
        sscanf(txn, "%" SCNu64, &slot.txn);
    walk->each(&slot, walk->arg);
    return 0;
}

void db_each_slot(MDB_env *env, void (*each)(const struct slot *slot, void *arg), void *arg)
{
    struct slot_walk walk = {each, arg};
    mdb_reader_list(env, slot_line, &walk);
}

struct seen_id {
    pid_t id;
    bool seen;
};

static void look_for_id(const struct slot *slot, void *arg)
{
    struct seen_id *look = arg;
    look->seen = look->seen || slot->id == look->id;
}

/* ------------------------------------------------------------------ open */

static enum hoist_err check_files(const struct db *db, bool create)
{
    if (create)
        return HOIST_OK;
    char data[PATH_MAX], lock[PATH_MAX];
    struct stat st;
    if (!path_join(data, db->path, "data.mdb") || !path_join(lock, db->path, "lock.mdb"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", db->path);
    if (stat(data, &st) != 0)
        return files_err(errno, "look at", data);
    if (st.st_size < 2 * 4096)
        return err_set(HOIST_ECORRUPT, "store: %s is cut short", data);
    if (db->write)
        return HOIST_OK;
    /* Without its lock file LMDB would make one, or read unprotected: neither is for a reader. */
    if (stat(lock, &st) != 0 || access(lock, W_OK) != 0)
        return files_err(errno, "write", lock);
    return HOIST_OK;
}

static unsigned env_flags(const struct db_options *o)
{
    if (!o->write)
        return MDB_NOTLS | MDB_RDONLY;
    if (o->memory)
        return MDB_NOTLS | MDB_NOSYNC;
    return o->sync ? MDB_NOTLS : MDB_NOTLS | MDB_NOMETASYNC;
}

static void close_env(struct db *db)
{
    if (!db->env)
        return;
    lmdb_os_remove(&db->os);
    lmdb_os_enter(&db->os);
    mdb_env_close(db->env);
    lmdb_os_leave();
    db->env = NULL;
}

static int open_env_with(struct db *db, const struct db_options *o, uint64_t map_bytes)
{
    lmdb_os_enter(&db->os);
    int rc = mdb_env_create(&db->env);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(db->env, STORE_READERS);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(db->env, 2 * DB_COUNT);
    if (rc == 0)
        rc = mdb_env_set_mapsize(db->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_assert(db->env, lmdb_os_assert_failed);
    if (rc == 0)
        rc = mdb_env_open(db->env, db->path, env_flags(o), 0640);
    lmdb_os_leave();
    if (rc != 0)
        close_env(db);
    return rc;
}

/* With as much address space as was asked for, or as there is. */
static enum hoist_err open_env(struct db *db, const struct db_options *o)
{
    uint64_t bytes = o->map_bytes ? o->map_bytes : map_most;
    int rc = open_env_with(db, o, bytes);
    while (rc == ENOMEM && bytes / 2 >= map_least) {
        bytes /= 2;
        rc = open_env_with(db, o, bytes);
    }
    if (rc == ENOMEM)
        return err_set(HOIST_EIO,
                       "store: cannot map %" PRIu64 " MiB of address space; is it limited (ulimit "
                       "-v)?",
                       bytes >> 20);
    if (rc == ENOENT)
        return HOIST_ENOTFOUND;
    return db_err(rc, "open");
}

/*
 * A file that was cut short would end the program at the first page that is not there. LMDB leaves
 * pages at the end unwritten when a transaction took and freed them, so a few may be missing.
 */
static enum hoist_err check_length(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd;
    if (mdb_env_info(db->env, &info) != 0 || mdb_env_stat(db->env, &stat) != 0 ||
        mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &st) != 0)
        return err_set(HOIST_EIO, "store: cannot look at %s/data.mdb", db->path);
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    db->os.spare_fd = fd;
    uint64_t pages = (uint64_t)st.st_size / stat.ms_psize;
    if (pages + TAIL_PAGES <= info.me_last_pgno)
        return err_set(HOIST_ECORRUPT, "store: %s/data.mdb is cut short: %" PRIu64 " of %zu pages",
                       db->path, pages, info.me_last_pgno + 1);
    return HOIST_OK;
}

static enum hoist_err read_meta(struct db *db, MDB_txn *txn)
{
    MDB_val key = val_of(SLICE("format")), row;
    int rc = db_get(db, txn, DB_META, &key, &row);
    if (rc == MDB_NOTFOUND || (rc == 0 && row.mv_size != 4))
        return err_set(HOIST_ECORRUPT, "store: %s/data.mdb says no format", db->path);
    if (rc != 0)
        return db_err(rc, "read the format");
    uint32_t format = be32_read(row.mv_data);
    if (format != STORE_FORMAT)
        return err_set(HOIST_EVERSION, "store: %s is of format %u, this program knows format %d",
                       db->path, format, STORE_FORMAT);
    key = val_of(SLICE("store"));
    rc = db_get(db, txn, DB_META, &key, &row);
    if (rc == MDB_NOTFOUND || (rc == 0 && row.mv_size != STORE_ID_SIZE + 8))
        return err_set(HOIST_ECORRUPT, "store: %s/data.mdb says no id", db->path);
    if (rc != 0)
        return db_err(rc, "read the id");
    memcpy(db->store_id, row.mv_data, STORE_ID_SIZE);
    db->starts = be64_read((uint8_t *)row.mv_data + STORE_ID_SIZE);
    key = val_of(SLICE("base")); /* there since the first rotation */
    rc = db_get(db, txn, DB_META, &key, &row);
    if (rc == 0 && row.mv_size == 8)
        db->base = be64_read(row.mv_data);
    else if (rc != MDB_NOTFOUND)
        return rc ? db_err(rc, "read the base")
                  : err_set(HOIST_ECORRUPT, "store: %s/data.mdb says a wrong base", db->path);
    return HOIST_OK;
}

static enum hoist_err put_meta(struct db *db, MDB_txn *txn, const uint8_t id[STORE_ID_SIZE])
{
    uint8_t format[4], store[STORE_ID_SIZE + 8] = {0};
    be32_write(format, STORE_FORMAT);
    memcpy(store, id, STORE_ID_SIZE);
    MDB_val key = val_of(SLICE("format")), row = {sizeof format, format};
    int rc = mdb_put(txn, db->dbi[DB_META], &key, &row, 0);
    if (rc == 0) {
        key = val_of(SLICE("store"));
        row = (MDB_val){sizeof store, store};
        rc = mdb_put(txn, db->dbi[DB_META], &key, &row, 0);
    }
    return db_err(rc, "make the store");
}

static enum hoist_err open_databases(struct db *db, MDB_txn *txn, bool create)
{
    for (int i = 0; i < DB_COUNT; i++) {
        unsigned flags = databases[i].flags | (create ? MDB_CREATE : 0);
        int rc = mdb_dbi_open(txn, databases[i].name, flags, &db->dbi[i]);
        if (rc == MDB_NOTFOUND && i >= DB_FLEET)
            continue;
        if (rc == MDB_NOTFOUND)
            return err_set(HOIST_ECORRUPT, "store: %s/data.mdb has no database '%s'", db->path,
                           databases[i].name);
        if (rc != 0)
            return db_err(rc, "open a database");
    }
    return HOIST_OK;
}

/* What a store from before there was such a database lacks. */
static enum hoist_err add_database(struct db *db, enum db_name name)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0)
        return db_err(rc, "begin to write");
    rc = mdb_dbi_open(txn, databases[name].name, MDB_CREATE, &db->dbi[name]);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (rc != 0)
        db->dbi[name] = 0;
    return db_err(rc, "add a database");
}

/* EAGAIN: its id is taken. */
static enum hoist_err open_with_id(struct db *db, const struct db_options *o)
{
    enum hoist_err err = open_env(db, o);
    if (err)
        return err;
    MDB_txn *txn = NULL;
    /* Also slots that a dead process left under this id: our life would make them look alive. */
    struct seen_id look = {.id = db->os.id};
    db_each_slot(db->env, look_for_id, &look);
    if (look.seen) {
        err = HOIST_EAGAIN;
        goto out;
    }
    err = check_length(db);
    if (err)
        goto out;
    /* The first read transaction locks the id. */
    int rc = mdb_txn_begin(db->env, NULL, o->create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) {
        err = rc == EAGAIN || rc == EACCES ? HOIST_EAGAIN : db_err(rc, "begin to read");
        goto out;
    }
    err = open_databases(db, txn, o->create != NULL);
    if (!err && o->create)
        err = put_meta(db, txn, o->create);
    if (!err)
        err = read_meta(db, txn);
    if (err)
        goto out;
    rc = mdb_txn_commit(txn); /* keeps the handles */
    txn = NULL;
    err = db_err(rc, o->create ? "make the store" : "end to read");
    for (int name = DB_FLEET; !err && db->write && name < DB_COUNT; name++)
        if (!db->dbi[name])
            err = add_database(db, (enum db_name)name);
out:
    if (txn)
        mdb_txn_abort(txn);
    if (err)
        close_env(db);
    return err;
}

/* Without counters a store can be read all the same. */
static enum hoist_err open_counters(struct db *db)
{
    enum hoist_err err = counters_open(db->counters_path, db->write, db->store_id, &db->counters);
    return err == HOIST_ENOMEM ? err : HOIST_OK;
}

enum hoist_err db_open(const char *dir, uint32_t number, const struct db_options *o,
                       struct db **ret)
{
    enum hoist_err err;
    struct db *db = mem_zalloc(1, sizeof *db);
    if (!db)
        return err_set(HOIST_ENOMEM, "out of memory");
    db->number = number;
    db->write = o->write;
    db->forks = lmdb_os_forks();
    if (!path_number(db->path, dir, number) ||
        !path_join(db->counters_path, db->path, "counters")) {
        err = err_set(HOIST_EINVAL, "%s: the path is too long", dir);
        goto out;
    }
    err = check_files(db, o->create != NULL);
    if (err)
        goto out;
    err = HOIST_EAGAIN;
    for (int i = 0; err == HOIST_EAGAIN && i < DRAWS; i++) {
        db->os = (struct lmdb_os){
            .id = lmdb_os_draw_id(i >= DRAWS_WITH_PID), .lock_fd = -1, .spare_fd = -1};
        err = open_with_id(db, o);
    }
    if (!err)
        err = open_counters(db);
    if (!err)
        pool_fill(db);
out:
    if (err)
        db_free(db);
    else
        *ret = db;
    return err;
}

/* ------------------------------------------------------------------ close */

static void end_read(struct store_read *r)
{
    if (r->walk)
        mdb_cursor_close(r->walk);
    if (r->txn)
        mdb_txn_abort(r->txn);
    r->walk = NULL;
    r->txn = NULL;
}

void db_end(struct db *db)
{
    for (int pool = 0; pool < POOLS; pool++)
        for (struct store_read *r; (r = pool_take(db, pool == 1));) {
            end_read(r);
            db->ended++;
        }
    if (db->ended == READS)
        close_env(db);
}

void db_free(struct db *db)
{
    if (!db)
        return;
    for (int i = 0; i < READS; i++) {
        end_read(&db->reads[i]);
        mem_free(db->reads[i].history);
    }
    close_env(db);
    counters_close(&db->counters);
    mem_free(db);
}

void db_abandon(struct db *db)
{
    db->os.id = 0; /* no slot in the table, which is the parent's, is this one's to clear */
    close_env(db);
    counters_close(&db->counters);
}
