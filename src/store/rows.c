#include "store/rows.h"

#include <assert.h>

static struct row_key with_id(uint16_t id)
{
    struct row_key k = {.len = 2};
    be16_write(k.bytes, id);
    return k;
}

static void append(struct row_key *k, const void *bytes, size_t len)
{
    assert(len <= sizeof k->bytes - k->len);
    if (len)
        memcpy(k->bytes + k->len, bytes, len);
    k->len += len;
}

struct row_key row_log(uint16_t env, uint64_t version)
{
    struct row_key k = with_id(env);
    uint8_t number[8];
    be64_write(number, version);
    append(&k, number, sizeof number);
    return k;
}

struct row_key row_env(const char *name)
{
    struct row_key k = {0};
    append(&k, "env:", 4);
    append(&k, name, strnlen(name, STORE_ENV_NAME_MAX + 1));
    return k;
}

struct row_key row_meta(const char *prefix, uint16_t id)
{
    struct row_key k = {0};
    uint8_t number[2];
    be16_write(number, id);
    append(&k, prefix, strlen(prefix));
    append(&k, number, sizeof number);
    return k;
}

struct row_key row_command(const uint8_t request[REQUEST_ID_SIZE])
{
    struct row_key k = {0};
    append(&k, "i", 1);
    append(&k, request, REQUEST_ID_SIZE);
    return k;
}

struct row_key row_sequence(uint64_t sequence)
{
    struct row_key k = {0};
    uint8_t number[8];
    be64_write(number, sequence);
    append(&k, "s", 1);
    append(&k, number, sizeof number);
    return k;
}

bool row_is_of(MDB_val row, uint16_t env, struct slice *ret_key)
{
    if (row.mv_size < 2 || be16_read(row.mv_data) != env)
        return false;
    *ret_key = slice_of((uint8_t *)row.mv_data + 2, row.mv_size - 2);
    return true;
}

bool row_is_env(MDB_val key, struct slice *ret_name)
{
    if (!slice_starts_with(slice_val(key), SLICE("env:")))
        return false;
    *ret_name = slice_of((uint8_t *)key.mv_data + 4, key.mv_size - 4);
    return true;
}

/* ------------------------------------------------------------------ environments */

/* id u16, order u16, epoch u64, head u64, hash, digest, then u64: time, applied, flags, bytes,
 * held, log_first, log_bytes. */
_Static_assert(ENV_ROW_SIZE == 2 * 2 + 9 * 8 + 2 * HASH_SIZE, "as listed above");

static void put_u64(uint8_t **at, uint64_t v)
{
    be64_write(*at, v);
    *at += 8;
}

static uint64_t take_u64(const uint8_t **at)
{
    uint64_t v = be64_read(*at);
    *at += 8;
    return v;
}

void env_row_write(uint8_t out[ENV_ROW_SIZE], const struct store_env *env)
{
    uint8_t *at = out;
    be16_write(at + ENV_ROW_ID, env->id);
    be16_write(at + ENV_ROW_ORDER, env->order);
    at += 4;
    put_u64(&at, env->epoch);
    put_u64(&at, env->head);
    memcpy(at, env->hash, HASH_SIZE);
    memcpy(at + HASH_SIZE, env->digest, HASH_SIZE);
    at += 2 * HASH_SIZE;
    put_u64(&at, (uint64_t)env->time_ms);
    put_u64(&at, (uint64_t)env->applied_ms);
    put_u64(&at, env->flags);
    put_u64(&at, env->bytes);
    put_u64(&at, env->held);
    put_u64(&at, env->log_first);
    put_u64(&at, env->log_bytes);
    assert(at == out + ENV_ROW_SIZE);
}

enum hoist_err env_row_read(struct slice name, MDB_val row, struct store_env *ret)
{
    if (row.mv_size != ENV_ROW_SIZE || name.len == 0 || name.len > STORE_ENV_NAME_MAX)
        return err_set(HOIST_ECORRUPT, "store: what is kept of environment '%.*s' is damaged",
                       name.len < 64 ? (int)name.len : 64, (const char *)name.ptr);
    struct store_env env = {0};
    const uint8_t *at = row.mv_data;
    env.id = be16_read(at + ENV_ROW_ID);
    env.order = be16_read(at + ENV_ROW_ORDER);
    at += 4;
    memcpy(env.name, name.ptr, name.len);
    env.epoch = take_u64(&at);
    env.head = take_u64(&at);
    memcpy(env.hash, at, HASH_SIZE);
    memcpy(env.digest, at + HASH_SIZE, HASH_SIZE);
    at += 2 * HASH_SIZE;
    env.time_ms = (int64_t)take_u64(&at);
    env.applied_ms = (int64_t)take_u64(&at);
    env.flags = take_u64(&at);
    env.bytes = take_u64(&at);
    env.held = take_u64(&at);
    env.log_first = take_u64(&at);
    env.log_bytes = take_u64(&at);
    *ret = env;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ held back */

/* version u64, has_last u8, length of why u16, why, last */
enum { HELD_HEAD = 8 + 1 + 2 };

void held_row_write(struct buf *out, const struct held_row *row)
{
    uint8_t head[HELD_HEAD];
    assert(row->why.len <= HELD_WHY_MAX);
    be64_write(head, row->version);
    head[8] = row->has_last;
    be16_write(head + 9, (uint16_t)row->why.len);
    buf_add(out, head, sizeof head);
    buf_add_slice(out, row->why);
    if (row->has_last)
        buf_add_slice(out, row->last);
}

enum hoist_err held_row_read(MDB_val row, struct held_row *ret)
{
    const uint8_t *at = row.mv_data;
    if (row.mv_size < HELD_HEAD || row.mv_size - HELD_HEAD < be16_read(at + 9))
        return err_set(HOIST_ECORRUPT,
                       "store: what is kept of a flag that is held back is damaged");
    size_t why = be16_read(at + 9);
    *ret = (struct held_row){
        .version = be64_read(at),
        .has_last = at[8] != 0,
        .why = slice_of(at + HELD_HEAD, why),
        .last = slice_of(at + HELD_HEAD + why, row.mv_size - HELD_HEAD - why),
    };
    return HOIST_OK;
}
