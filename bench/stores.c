/* Stores of the benches that keep real ones; apart from common.c, which a simulation links too. */
#include <stdio.h>

#include "base/mem.h"
#include "bench.h"
#include "wire/change.h"

static const char env_name[] = "production";

struct store *bench_store(const char *dir, const char *name, int n, bool primary)
{
    char path[256];
    struct store *s;
    struct store_options options = {
        .write = true, .primary = primary, .map_bytes = UINT64_C(1) << 28};
    snprintf(path, sizeof path, "%s/%s-%d", dir, name, n);
    if (store_open(path, &options, &s) != HOIST_OK)
        bench_die(path);
    return s;
}

void bench_apply(struct store *s, struct slice change)
{
    struct store_write *w;
    struct store_env env;
    struct change c;
    if (change_decode(change, &c) != HOIST_OK || store_write_begin(s, &w) != HOIST_OK)
        bench_die("apply");
    enum hoist_err err = store_env_get(store_write_read(w), env_name, &env);
    if (err == HOIST_ENOTFOUND)
        err = store_env_create(w, env_name, &env);
    if (err == HOIST_OK && env.head == 0)
        err = store_epoch_set(w, env.id, c.head.epoch);
    if (err != HOIST_OK || store_change_apply(w, env.id, &c) != HOIST_OK ||
        store_write_commit(w) != HOIST_OK)
        bench_die("apply");
}

struct slice bench_change(struct store *s, uint64_t version)
{
    struct store_read *r;
    struct store_env env;
    struct slice bytes;
    if (store_read_begin(s, false, &r) != HOIST_OK ||
        store_env_get(r, env_name, &env) != HOIST_OK ||
        store_log_get(r, env.id, version, &bytes) != HOIST_OK)
        bench_die("log");
    struct slice copy = {(uint8_t *)mem_dup(bytes), bytes.len};
    store_read_end(r);
    return copy;
}
