/* rows.h - keys and rows as they are in LMDB, and the way between them and structs.
 *
 *   meta      "format" → u32 · "store" → id, u64 starts · "env:NAME" → environment, see rows.c
 *             "first" → name of the environment that is named first, if one was
 *             "role" → "primary" or "follower": what its last writer was
 *             "about:NAME" → what was said about an environment
 *             "keys" → certificates of signing keys · "origin" → u64, greatest heartbeat counter
 *             "ended" → u32: releases up to this number have ended
 *             "sum:" id → state hash · "load:" id, "gone:" id, "cut:" id → work under way
 *   flags     id key → record             held      id key → version, why, last good record
 *   log       id version → change         baseline  id key → tag, record before the log
 *   touch     id key → versions           commands  "i" request → answer · "s" sequence → request
 *                                            · "d" sequence → what was denied
 *   fleet     host's id → what the primary knows of it
 *   usage     id key → how often a flag is evaluated: usage.c
 *   releases  release, sequence → its plan, then what happened to it: release.c
 *   seals     a short hash of each row but those of flags, touch, usage and releases: seal.h
 *
 * An id is an environment's, u16. Numbers are big endian, so that keys sort as they count.
 */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include "base/bytes.h"
#include "store/store_int.h"

enum {
    FLAG_KEY_BYTES_MAX = 255,
    ROW_KEY_MAX = 2 + FLAG_KEY_BYTES_MAX,
    ENV_ROW_SIZE = 140,
    ENV_ROW_ID = 0, /* offsets within */
    ENV_ROW_ORDER = 2,
};

#define ROW_FIRST "first" /* of meta */
#define ROW_ROLE "role"
#define ROW_KEYS "keys"
#define ROW_ORIGIN "origin"
#define ROW_ENDED "ended"
#define ROLE_PRIMARY_TEXT "primary"
#define ROLE_FOLLOWER_TEXT "follower"

struct row_key {
    uint8_t bytes[ROW_KEY_MAX];
    size_t len;
};

static inline MDB_val val_key(struct row_key *k)
{
    return (MDB_val){k->len, k->bytes};
}

/* `key` has at most 255 bytes. Every read comes by here, so the row's key is made where it is
 * wanted, and word by word: the compiler's own copy of so few bytes takes several times as long. */
static inline struct row_key row_flag(uint16_t env, struct slice key)
{
    struct row_key k;
    size_t len = key.len < FLAG_KEY_BYTES_MAX ? key.len : FLAG_KEY_BYTES_MAX, i = 0;
    be16_write(k.bytes, env);
    for (; i + 8 <= len; i += 8)
        memcpy(k.bytes + sizeof env + i, key.ptr + i, 8);
    for (; i < len; i++)
        k.bytes[sizeof env + i] = key.ptr[i];
    k.len = sizeof env + len;
    return k;
}

struct row_key row_log(uint16_t env, uint64_t version);
struct row_key row_env(const char *name);
struct row_key row_command(const uint8_t request[REQUEST_ID_SIZE]);
struct row_key row_sequence(uint64_t sequence);           /* of commands */
struct row_key row_meta(const char *prefix, uint16_t id); /* "sum:", "load:" … and an id */

/* The flag's key in `row` if that is of environment `env`. */
bool row_is_of(MDB_val row, uint16_t env, struct slice *ret_key);

/* "env:NAME": false when it is another row. */
bool row_is_env(MDB_val key, struct slice *ret_name);

void env_row_write(uint8_t out[ENV_ROW_SIZE], const struct store_env *env);
MUST_USE enum hoist_err env_row_read(struct slice name, MDB_val row, struct store_env *ret);

/* held */
struct held_row {
    uint64_t version;
    bool has_last;
    struct slice why, last;
};
enum { HELD_WHY_MAX = 400 };
void held_row_write(struct buf *out, const struct held_row *row);
MUST_USE enum hoist_err held_row_read(MDB_val row, struct held_row *ret);

/* commands: sequence u64, time i64, the answer */
enum { COMMAND_HEAD = 16, ROW_DENIED = 'd' };

/* baseline */
enum baseline_tag {
    BASELINE_NONE = 0,    /* there was no such flag */
    BASELINE_RECORD = 1,  /* the record follows */
    BASELINE_UNKNOWN = 2, /* the log began while the environment was loaded: not known here */
};

#endif
