#include "store/write_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/files.h"
#include "store/seal.h"
#include "store/usage.h"

/* ------------------------------------------------------------------ options */

static void default_u64(uint64_t *v, uint64_t value)
{
    if (*v == 0)
        *v = value;
}

static struct store_options with_defaults(const struct store_options *given)
{
    struct store_options o = *given;
    default_u64(&o.quota_bytes, UINT64_C(4) << 30);
    default_u64(&o.env_flags, STORE_ENV_FLAGS);
    default_u64(&o.log_min, o.primary ? 10000 : 1000);
    default_u64(&o.log_bytes, o.primary ? UINT64_C(4) << 30 : UINT64_C(256) << 20);
    if (o.log_age_ms == 0 && o.primary)
        o.log_age_ms = INT64_C(90) * 24 * 3600 * 1000;
    return o;
}

struct db_options writer_db_options(const struct writer *wr)
{
    return (struct db_options){
        .write = true,
        .sync = wr->options.primary,
        .memory = wr->memory,
        .map_bytes = wr->options.map_bytes,
    };
}

/* ------------------------------------------------------------------ a numbered directory */

mode_t writer_dir_mode(bool primary)
{
    return primary ? 0700 : 0750;
}

/* Whether another program has LMDB's lock file open. */
static bool is_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    bool locked = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return locked;
}

/* LMDB's lock file, all of it allocated, before LMDB maps it. One that somebody made smaller and
 * has in use stays as it is: who mapped it does not know of more slots. */
static enum hoist_err allocate_lock(const char *dir, uint32_t number)
{
    enum { BYTES = 4096 + 64 * STORE_READERS }; /* LMDB's head, and a cache line for each reader */
    char numbered[PATH_MAX], path[PATH_MAX];
    struct stat st;
    if (!path_number(numbered, dir, number) || !path_join(path, numbered, "lock.mdb"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    if (stat(path, &st) == 0 && st.st_size < BYTES && is_locked(path))
        return HOIST_OK;
    int fd;
    enum hoist_err err = files_allocate(path, BYTES, 0660, &fd);
    if (!err)
        close(fd);
    return err;
}

enum hoist_err number_prepare(const char *dir, uint32_t number, bool primary,
                              const uint8_t id[STORE_ID_SIZE])
{
    char path[PATH_MAX], counters[PATH_MAX];
    enum hoist_err err = files_make_number(dir, number, writer_dir_mode(primary));
    if (err)
        return err;
    if (!path_number(path, dir, number) || !path_join(counters, path, "counters"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    int fd;
    err = files_allocate(counters, COUNTERS_SIZE, 0640, &fd);
    if (err)
        return err;
    err = counters_make(fd, id);
    close(fd);
    return err ? err : allocate_lock(dir, number);
}

enum hoist_err number_finish(const struct writer *wr, const char *dir, struct db *db)
{
    char data[PATH_MAX];
    struct stat st;
    if (!path_join(data, db->path, "data.mdb"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    if (stat(data, &st) != 0 || (st.st_uid == geteuid() && chmod(data, 0640) != 0))
        return files_err(errno, "set the mode of", data);
    if (!wr->memory) {
        int rc = mdb_env_sync(db->env, 1);
        if (rc != 0)
            return db_err(rc, "sync the new store");
    }
    enum hoist_err err = files_sync(db->path);
    return err ? err : files_set_current(dir, db->number);
}

/* All of it is made and synced before the link leads there: a crash leaves what the next start
 * removes. */
static enum hoist_err make_store(const struct writer *wr, const char *dir, struct db **ret)
{
    uint8_t id[STORE_ID_SIZE];
    hash_random(id, sizeof id);
    struct db *db = NULL;
    struct db_options o = writer_db_options(wr);
    o.create = id;
    enum hoist_err err = number_prepare(dir, 1, wr->options.primary, id);
    if (!err)
        err = db_open(dir, 1, &o, &db);
    if (!err)
        err = number_finish(wr, dir, db);
    if (err)
        db_free(db);
    else
        *ret = db;
    return err;
}

/* ------------------------------------------------------------------ start */

/* Nothing leads to a store: what a crash left of making one goes, and what was in use does not. */
static enum hoist_err check_unused(const struct writer *wr, const char *dir)
{
    const struct db_options o = writer_db_options(wr);
    for (uint32_t number = 0; files_next_number(dir, number, &number);) {
        struct db *db = NULL;
        bool was_used = db_open(dir, number, &o, &db) == HOIST_OK && db->starts > 0;
        db_free(db);
        if (was_used)
            return err_set(HOIST_ECORRUPT,
                           "store: %s/%u was in use, and the link %s/current is missing; where a "
                           "copy has lost it: ln -s %u %s/current",
                           dir, number, dir, number, dir);
    }
    return HOIST_OK;
}

static enum hoist_err open_current(const struct writer *wr, const char *dir, struct db **ret)
{
    uint32_t number;
    enum hoist_err err = files_current(dir, &number);
    if (err == HOIST_ENOTFOUND && (err = check_unused(wr, dir)) == HOIST_OK) {
        files_remove_others(dir, 0);
        return make_store(wr, dir, ret);
    }
    if (err)
        return err;
    const struct db_options o = writer_db_options(wr);
    err = wr->options.check ? verify_pages(dir, number) : HOIST_OK;
    if (!err)
        err = allocate_lock(dir, number);
    if (!err)
        err = db_open(dir, number, &o, ret);
    if (err == HOIST_ENOTFOUND)
        err = err_set(HOIST_ECORRUPT, "store: %s/current leads to %u, where there is no data.mdb",
                      dir, number);
    return err;
}

/* What was being loaded when the last writer ended is to be deleted. */
static enum hoist_err drop_loads(struct store_write *w)
{
    MDB_val key = val_of(SLICE("load:")), row;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(w->txn, w->db->dbi[DB_META], &cursor);
    if (rc != 0)
        return db_err(rc, "read meta");
    uint16_t ids[64];
    size_t count = 0;
    rc = db_cursor_get(w->db, cursor, &key, &row, MDB_SET_RANGE);
    while (rc == 0 && count < sizeof ids / sizeof *ids && key.mv_size == 7 &&
           memcmp(key.mv_data, "load:", 5) == 0) {
        ids[count++] = be16_read((uint8_t *)key.mv_data + 5);
        rc = db_cursor_get(w->db, cursor, &key, &row, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; !err && i < count; i++) {
        struct row_key load = row_meta("load:", ids[i]), gone = row_meta("gone:", ids[i]);
        err = write_del(w, DB_META, val_key(&load));
        if (!err)
            err = write_put(w, DB_META, val_key(&gone), SLICE("\1"), 0);
    }
    return err;
}

/* ------------------------------------------------------------------ whose it is */

static enum hoist_err is_followers(struct db *db, bool *ret)
{
    MDB_txn *txn;
    MDB_val key = val_of(SLICE(ROW_ROLE)), row;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return db_err(rc, "begin to read");
    rc = db_get(db, txn, DB_META, &key, &row);
    *ret = rc == 0 && slice_eq(slice_val(row), SLICE(ROLE_FOLLOWER_TEXT));
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? HOIST_OK : db_err(rc, "read whose the store is");
}

/* A follower's store is a copy of what its primary had, perhaps without the last of it. To number on
 * from there would be to give a version out twice. */
static enum hoist_err check_role(const struct writer *wr, const char *dir, struct db *db,
                                 bool *ret_was_follower)
{
    bool followers = false;
    enum hoist_err err = is_followers(db, &followers);
    if (err || !wr->options.primary || !followers)
        return err;
    if (!wr->options.take_over)
        return err_set(HOIST_EINVAL,
                       "the store in %s was kept by an agent or a relay, which followed a primary. "
                       "If that primary is gone for good, begin anew from here: hoistd primary "
                       "--take-over --store %s",
                       dir, dir);
    *ret_was_follower = true;
    return HOIST_OK;
}

static enum hoist_err put_role(struct store_write *w, struct slice role)
{
    MDB_val key = val_of(SLICE(ROW_ROLE)), row;
    int rc = db_get(w->db, w->txn, DB_META, &key, &row);
    if (rc == 0 && slice_eq(slice_val(row), role))
        return HOIST_OK;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_err(rc, "read whose the store is");
    return write_put(w, DB_META, val_of(SLICE(ROW_ROLE)), role, 0);
}

bool store_was_follower(const struct store *s)
{
    return s->was_follower;
}

enum hoist_err store_own(struct store_write *w)
{
    return put_role(w, SLICE(ROLE_PRIMARY_TEXT));
}

/* One commit, with every word set to its id: the last writer may have died between a commit and
 * what it had to say about it, or an OS crash have taken back its last one. */
static enum hoist_err start(struct store *s)
{
    struct store_write *w;
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    uint8_t row[STORE_ID_SIZE + 8];
    memcpy(row, w->db->store_id, STORE_ID_SIZE);
    be64_write(row + STORE_ID_SIZE, w->db->starts + 1);
    err = write_put(w, DB_META, val_of(SLICE("store")), slice_of(row, sizeof row), 0);
    if (!err)
        err = write_put(w, DB_META, val_of(SLICE("host")), s->writer->options.host, 0);
    if (!err && !s->was_follower)
        err = s->writer->options.primary ? store_own(w) : put_role(w, SLICE(ROLE_FOLLOWER_TEXT));
    if (!err && !s->writer->options.primary)
        err = usage_forget(w);
    if (!err && (!s->writer->options.primary || s->was_follower))
        err = release_rows_forget(w);
    if (!err)
        err = drop_loads(w);
    if (!err)
        err = seal_begin(w->db, w->txn);
    if (err) {
        store_write_abort(w);
        return err;
    }
    w->mark_all = w->announce = true;
    err = store_write_commit(w);
    if (!err)
        s->starts++;
    return err;
}

static void free_writer(struct writer *wr)
{
    lock_release(&wr->lock);
    pthread_mutex_destroy(&wr->pin_lock);
    mem_free(wr);
}

static bool stop_writer(struct store *s)
{
    bool stopped = watch_stop(s);
    free_writer(s->writer);
    s->writer = NULL;
    return stopped;
}

static enum hoist_err take_directory(struct writer *wr, const char *dir)
{
    enum hoist_err err = files_check_fs(dir, &wr->memory);
    if (!err)
        err = files_make_dir(dir);
    return err ? err : lock_take(dir, &wr->lock);
}

static enum hoist_err verify(struct store *s, int64_t begun_ms)
{
    enum hoist_err err = verify_rows(s);
    s->writer->check_ms = clock_mono_ms() - begun_ms;
    return err;
}

/* What a crash left of a rotation. Not before the current one is known to be whole, and to be where the
 * link leads after a crash as well: until then the other may be all that there is. */
static enum hoist_err remove_others(const char *dir, uint32_t number)
{
    enum hoist_err err = files_sync(dir);
    if (!err)
        files_remove_others(dir, number);
    return err;
}

enum hoist_err writer_open(const char *dir, const struct store_options *options,
                           struct backup_source *from, struct store **ret)
{
    bool was_follower = false;
    int64_t begun_ms = clock_mono_ms();
    struct db *db = NULL;
    struct store *s = NULL;
    struct writer *wr = mem_zalloc(1, sizeof *wr);
    if (!wr)
        return err_set(HOIST_ENOMEM, "out of memory");
    hash_init();
    wr->options = with_defaults(options);
    wr->lock.lock_fd = -1;
    wr->check_ms = -1;
    wr->rotate_limit = UINT64_C(256) << 20;
    wr->retry_held = true;
    pthread_mutex_init(&wr->pin_lock, NULL);
    enum hoist_err err = take_directory(wr, dir);
    if (!err)
        err = from ? recover_fill(wr, dir, from->fd, &from->info, &db) : open_current(wr, dir, &db);
    if (!err)
        err = check_role(wr, dir, db, &was_follower);
    if (!err) /* who is refused has changed nothing for those that read here */
        err = files_set_mode(dir, writer_dir_mode(wr->options.primary));
    if (err)
        db_free(db);
    else
        err = store_new(dir, db, &s);
    if (err) {
        free_writer(wr);
        return err;
    }
    s->writer = wr;
    s->was_follower = was_follower;
    s->stop_writer = stop_writer;
    s->map_bytes = wr->options.map_bytes;
    s->quota_bytes = wr->options.quota_bytes;
    s->env_flags = wr->options.env_flags;
    if (wr->options.check && !from)
        err = verify(s, begun_ms);
    if (!err)
        err = remove_others(dir, db->number);
    /* Readers may have mapped the counters that are missing now: only another directory makes them
     * look for new ones. */
    if (!err && !db->counters.head)
        err = rotate(s);
    if (!err)
        err = start(s);
    wr->options.host = SLICE(""); /* it was the caller's */
    if (!err)
        err = watch_start(s);
    if (err)
        store_close(s);
    else
        *ret = s;
    return err;
}

enum hoist_err store_open(const char *dir, const struct store_options *options, struct store **ret)
{
    if (options->write)
        return writer_open(dir, options, NULL, ret);
    enum hoist_err err = store_open_reader(dir, options->map_bytes, ret);
    if (!err && options->quota_bytes)
        (*ret)->quota_bytes = options->quota_bytes;
    return err;
}

enum hoist_err store_status_put(struct store *s, struct slice json)
{
    return counters_put_status(&atomic_load(&s->db)->counters, json);
}
