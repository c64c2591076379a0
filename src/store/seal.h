/* seal.h - a short hash of each row that no other hash covers, kept beside it.
 *
 * The flags sum up to the state hash, and `touch` follows from the log; but a bit that flips in a
 * kept answer, in a host's row, in what is said of an environment, in what was before the log or in a
 * change's signature would go unseen. The database `seals` has eight bytes for each such row, so that
 * programs that do not know it read and write the store as ever. Each commit leaves its number there:
 * where that is not the last commit's, such a program wrote since, and the seals are of before.
 *
 *   database u8, key → the first 8 bytes of BLAKE2b-256 of key length u16, key, row
 *   "txn" → the number of the commit, u64
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "store/store_int.h"

enum { SEAL_SIZE = 8 };

struct seal {
    uint8_t key[512];
    size_t key_len; /* 0: rows of that database have no seals */
    uint8_t hash[SEAL_SIZE];
};

bool seal_has(enum db_name name);

/* The hash alone. */
void seal_hash(MDB_val key, struct slice row, uint8_t ret[SEAL_SIZE]);

/* Of a row that is to be put: made before, since what was borrowed may be gone afterwards. */
struct seal seal_make(enum db_name name, MDB_val key, struct slice row);

/* Beside a row that was put, and one that is to be deleted; LMDB's answer. */
int seal_put(struct db *db, MDB_txn *txn, const struct seal *seal);
int seal_del(struct db *db, MDB_txn *txn, enum db_name name, MDB_val key);

/* Before a commit: that all its rows are sealed. LMDB's answer. */
int seal_commit(struct db *db, MDB_txn *txn);

/* Forget that number: in a copy, whose commits count from 1 again, it says nothing. LMDB's answer. */
int seal_forget(struct db *db, MDB_txn *txn);

/* The number of the last commit that left one, 0: none did. */
MUST_USE enum hoist_err seal_last(struct db *db, MDB_txn *txn, uint64_t *ret);

/* For a writer's first transaction: seal all rows anew if the last commit did not. */
MUST_USE enum hoist_err seal_begin(struct db *db, MDB_txn *txn);

#endif
