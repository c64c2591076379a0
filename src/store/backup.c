#include "store/backup.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"

enum { ROOM = 256 << 10 };

static enum hoist_err failed(int error, const char *what)
{
    return err_set(error == ENOSPC || error == EDQUOT ? HOIST_ENOSPC : HOIST_EIO,
                   "cannot %s the backup: %s", what, strerror(error));
}

/* ------------------------------------------------------------------ writing */

struct out {
    int fd;
    enum hoist_err err; /* sticks */
    struct hash_stream hash;
    uint64_t bytes;
    size_t len;
    uint8_t *room; /* ROOM bytes */
};

static void write_all(struct out *o, const uint8_t *at, size_t len)
{
    while (!o->err && len > 0) {
        ssize_t n = write(o->fd, at, len);
        if (n < 0 && errno != EINTR)
            o->err = failed(errno, "write");
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

static void flush(struct out *o)
{
    write_all(o, o->room, o->len);
    o->len = 0;
}

static void put(struct out *o, const void *ptr, size_t len)
{
    hash_add(&o->hash, ptr, len);
    o->bytes += len;
    if (len > ROOM - o->len)
        flush(o);
    if (len > ROOM) {
        write_all(o, ptr, len);
    } else if (len > 0) {
        memcpy(o->room + o->len, ptr, len);
        o->len += len;
    }
}

static void put_head(struct out *o, const struct store_backup_info *info)
{
    uint8_t head[BACKUP_HEAD];
    memcpy(head, BACKUP_MAGIC, 8);
    be32_write(head + 8, BACKUP_VERSION);
    be32_write(head + 12, info->format);
    be64_write(head + 16, (uint64_t)info->time_ms);
    memcpy(head + 24, info->store_id, STORE_ID_SIZE);
    put(o, head, sizeof head);
}

static void put_row(struct out *o, MDB_val key, MDB_val row)
{
    uint8_t head[7] = {BACKUP_ROW};
    assert(key.mv_size <= UINT16_MAX && row.mv_size <= BACKUP_ROW_MAX);
    be16_write(head + 1, (uint16_t)key.mv_size);
    be32_write(head + 3, (uint32_t)row.mv_size);
    put(o, head, sizeof head);
    put(o, key.mv_data, key.mv_size);
    put(o, row.mv_data, row.mv_size);
}

static enum hoist_err put_database(struct out *o, struct store_read *r, enum db_name name,
                                   uint64_t *rows)
{
    const char *text = db_database_name(name);
    uint8_t head[2] = {BACKUP_DATABASE, (uint8_t)strlen(text)};
    MDB_cursor *cursor;
    MDB_val key, row;
    /* A seal is of a row in this one store, and so is what was counted while it was the primary's. */
    if (name == DB_SEALS || name == DB_USAGE || !r->db->dbi[name])
        return HOIST_OK;
    int rc = mdb_cursor_open(r->txn, r->db->dbi[name], &cursor);
    if (rc != 0)
        return db_err(rc, "read the store");
    put(o, head, sizeof head);
    put(o, text, strlen(text));
    rc = db_cursor_get(r->db, cursor, &key, &row, MDB_FIRST);
    while (rc == 0 && !o->err) {
        if (row.mv_size > BACKUP_ROW_MAX) {
            rc = MDB_CORRUPTED;
            break;
        }
        put_row(o, key, row);
        (*rows)++;
        rc = db_cursor_get(r->db, cursor, &key, &row, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rc == 0 || rc == MDB_NOTFOUND)
        return o->err;
    return db_err(rc, "read the store");
}

enum hoist_err store_backup_write(struct store_read *r, int fd, struct store_backup_info *ret)
{
    struct store_backup_info info = {.format = STORE_FORMAT, .time_ms = clock_wall_ms()};
    struct out o = {.fd = fd, .room = mem_alloc(ROOM)};
    uint8_t end[BACKUP_END] = {BACKUP_LAST}, hash[HASH_SIZE];
    enum hoist_err err = HOIST_OK;
    if (!o.room)
        return err_set(HOIST_ENOMEM, "out of memory");
    memcpy(info.store_id, r->db->store_id, STORE_ID_SIZE);
    hash_begin(&o.hash);
    put_head(&o, &info);
    for (int i = 0; !err && i < DB_COUNT; i++)
        err = put_database(&o, r, (enum db_name)i, &info.rows);
    be64_write(end + 1, info.rows);
    put(&o, end, sizeof end);
    hash_end(&o.hash, hash);
    flush(&o);
    write_all(&o, hash, sizeof hash);
    info.bytes = o.bytes + sizeof hash;
    if (!err)
        err = o.err;
    if (!err && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        err = failed(errno, "sync");
    mem_free(o.room);
    if (!err)
        *ret = info;
    return err;
}

/* ------------------------------------------------------------------ reading */

struct in {
    int fd;
    uint64_t left; /* bytes before the tail that were not taken yet */
    struct hash_stream hash;
    uint8_t *room;
    size_t at, len; /* what is in room */
    struct buf row; /* key and value of the row at hand */
};

static enum hoist_err cut_short(void)
{
    return err_set(HOIST_ECORRUPT, "the backup is cut short");
}

static enum hoist_err fill(struct in *in)
{
    ssize_t n;
    do
        n = read(in->fd, in->room, ROOM);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed(errno, "read");
    if (n == 0)
        return cut_short();
    in->at = 0;
    in->len = (size_t)n;
    return HOIST_OK;
}

static enum hoist_err raw(struct in *in, uint8_t *out, size_t len)
{
    enum hoist_err err = HOIST_OK;
    while (!err && len > 0) {
        if (in->at == in->len)
            err = fill(in);
        if (err)
            break;
        size_t piece = in->len - in->at < len ? in->len - in->at : len;
        memcpy(out, in->room + in->at, piece);
        in->at += piece;
        out += piece;
        len -= piece;
    }
    return err;
}

static enum hoist_err take(struct in *in, uint8_t *out, size_t len)
{
    if (len > in->left)
        return cut_short();
    enum hoist_err err = raw(in, out, len);
    if (err)
        return err;
    in->left -= len;
    hash_add(&in->hash, out, len);
    return HOIST_OK;
}

static enum hoist_err take_head(struct in *in, uint64_t size, struct store_backup_info *info)
{
    uint8_t head[BACKUP_HEAD];
    if (size < 12)
        return err_set(HOIST_EINVAL, "this is no backup of a Hoist store");
    in->left = size;
    enum hoist_err err = take(in, head, 12);
    if (err)
        return err;
    if (memcmp(head, BACKUP_MAGIC, 8) != 0)
        return err_set(HOIST_EINVAL, "this is no backup of a Hoist store");
    if (be32_read(head + 8) != BACKUP_VERSION)
        return err_set(HOIST_EVERSION, "the backup is of layout %u, this program knows layout %d",
                       be32_read(head + 8), BACKUP_VERSION);
    if (size < BACKUP_HEAD + BACKUP_END + HASH_SIZE)
        return cut_short();
    in->left -= HASH_SIZE;
    err = take(in, head + 12, BACKUP_HEAD - 12);
    if (err)
        return err;
    info->format = be32_read(head + 12);
    info->time_ms = (int64_t)be64_read(head + 16);
    memcpy(info->store_id, head + 24, STORE_ID_SIZE);
    if (info->format != STORE_FORMAT)
        return err_set(HOIST_EVERSION,
                       "the backup is of a store of format %u, this program knows format %d",
                       info->format, STORE_FORMAT);
    return HOIST_OK;
}

static enum hoist_err take_database(struct in *in, int *ret_name)
{
    uint8_t len;
    char name[256] = "";
    enum hoist_err err = take(in, &len, 1);
    if (!err)
        err = take(in, (uint8_t *)name, len);
    if (err)
        return err;
    for (int i = *ret_name + 1; i < DB_COUNT; i++)
        if (strcmp(name, db_database_name((enum db_name)i)) == 0) {
            *ret_name = i;
            return HOIST_OK;
        }
    return err_set(HOIST_EVERSION,
                   "the backup has a database '%.32s' that this program does not "
                   "know; it is of a newer Hoist, or damaged",
                   name);
}

static enum hoist_err take_row(struct in *in, MDB_val *ret_key, MDB_val *ret_row)
{
    uint8_t head[6];
    enum hoist_err err = take(in, head, sizeof head);
    if (err)
        return err;
    size_t key_len = be16_read(head), row_len = be32_read(head + 2);
    if (row_len > BACKUP_ROW_MAX || key_len + row_len > in->left)
        return err_set(HOIST_ECORRUPT, "the backup is damaged: a row is longer than any can be");
    if (in->row.cap <= key_len + row_len) { /* there is room also for nothing */
        uint8_t *more = mem_realloc(in->row.ptr, key_len + row_len + 1);
        if (!more)
            return err_set(HOIST_ENOMEM, "out of memory");
        in->row.ptr = more;
        in->row.cap = key_len + row_len + 1;
    }
    err = take(in, in->row.ptr, key_len + row_len);
    *ret_key = (MDB_val){key_len, in->row.ptr};
    *ret_row = (MDB_val){row_len, in->row.ptr + key_len};
    return err;
}

static enum hoist_err take_end(struct in *in, const struct store_backup_info *info)
{
    uint8_t count[8], own[HASH_SIZE], said[HASH_SIZE];
    enum hoist_err err = take(in, count, sizeof count);
    if (err)
        return err;
    if (in->left > 0 || be64_read(count) != info->rows)
        return err_set(HOIST_ECORRUPT, "the backup is damaged: it does not end where it says");
    hash_end(&in->hash, own);
    err = raw(in, said, sizeof said);
    if (!err && memcmp(own, said, HASH_SIZE) != 0)
        err = err_set(HOIST_ECORRUPT,
                      "the backup is damaged: its bytes do not have the checksum at its end");
    return err;
}

static enum hoist_err walk(struct in *in,
                           enum hoist_err (*each)(void *, enum db_name, MDB_val, MDB_val),
                           void *arg, struct store_backup_info *info)
{
    int name = -1;
    for (;;) {
        uint8_t kind;
        MDB_val key, row;
        enum hoist_err err = take(in, &kind, 1);
        if (!err && kind == BACKUP_LAST)
            return take_end(in, info);
        if (!err && kind == BACKUP_DATABASE) {
            err = take_database(in, &name);
        } else if (!err && kind == BACKUP_ROW && name >= 0) {
            err = take_row(in, &key, &row);
            if (!err && each)
                err = each(arg, (enum db_name)name, key, row);
            info->rows++;
        } else if (!err) {
            err = err_set(HOIST_ECORRUPT, "the backup is damaged: there is no entry of kind %u",
                          kind);
        }
        if (err)
            return err;
    }
}

enum hoist_err
backup_walk(int fd, enum hoist_err (*each)(void *arg, enum db_name name, MDB_val key, MDB_val row),
            void *arg, struct store_backup_info *ret)
{
    struct store_backup_info info = {0};
    struct in in = {.fd = fd};
    struct stat st;
    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0)
        return failed(errno, "read");
    if (!S_ISREG(st.st_mode))
        return err_set(HOIST_EINVAL, "a backup is a plain file");
    in.room = mem_alloc(ROOM);
    if (!in.room)
        return err_set(HOIST_ENOMEM, "out of memory");
    hash_begin(&in.hash);
    enum hoist_err err = take_head(&in, (uint64_t)st.st_size, &info);
    if (!err)
        err = walk(&in, each, arg, &info);
    info.bytes = (uint64_t)st.st_size;
    mem_free(in.room);
    mem_free(in.row.ptr);
    if (!err)
        *ret = info;
    return err;
}

enum hoist_err store_backup_check(int fd, struct store_backup_info *ret)
{
    return backup_walk(fd, NULL, NULL, ret);
}
