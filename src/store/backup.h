/* backup.h - a store in one file: the layout, and the walk over it. Private to the store.
 *
 *   head    "hoistbak", u32 version of this layout, u32 format of the store, i64 time in ms,
 *           16 bytes id of the store
 *   entries u8 1: a database begins   u8 length, name
 *           u8 2: a row of it         u16 length of the key, u32 length of the value, key, value
 *           u8 3: the end             u64 rows
 *   tail    BLAKE2b-256 of all before it; nothing follows
 *
 * Numbers are big endian. Rows are as in LMDB, in its order. So it is no copy of LMDB's file: it
 * ties nobody to that file's layout, page size or machine, and holds the databases that are named
 * here and no others.
 */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store_int.h"

enum {
    BACKUP_VERSION = 1,
    BACKUP_HEAD = 8 + 4 + 4 + 8 + STORE_ID_SIZE,
    BACKUP_END = 1 + 8, /* the entry that ends it */
    BACKUP_ROW_MAX = CHANGE_BYTES_MAX + (8 << 20),
};
#define BACKUP_MAGIC "hoistbak"

enum backup_entry { BACKUP_DATABASE = 1, BACKUP_ROW = 2, BACKUP_LAST = 3 };

/*
 * Read a backup from the start of `fd` to its end, and give each row to `take` (which may be NULL,
 * and ends the walk by an error; `row` is borrowed for the call). The checksum is compared at the
 * very end: until then nothing of what was given is to be trusted.
 *
 * Errors:  EINVAL    it is no backup
 *          EVERSION  of a layout, a store's format or with a database that is not known here
 *          ECORRUPT  cut short, or its bytes are not what was written; EIO, ENOMEM; `take`'s own
 */
MUST_USE enum hoist_err
backup_walk(int fd, enum hoist_err (*take)(void *arg, enum db_name name, MDB_val key, MDB_val row),
            void *arg, struct store_backup_info *ret);

#endif
