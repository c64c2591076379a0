/* Reading flags, bound or by key. A boolean or a number is a look at its cell; what is behind
 * that is in read.c. */
#include <string.h>

#include "client/count.h"
#include "client/read.h"
#include "client/table.h"

/* ------------------------------------------------------------------ finding the flag */

/* A flag as the caller names it: bound, or by a key that may be in the table. */
struct named {
    hoist *hoist;
    hoist_flag *flag;
    struct slice key;
    uint64_t hash;
};

static inline bool by_key(hoist *h, const char *key, struct named *ret)
{
    if (!h || !key)
        return false;
    struct slice k = key_of(key);
    uint64_t hash = table_hash(k);
    *ret = (struct named){h, table_find(h, k, hash), k, hash};
    return true;
}

static inline bool bound(hoist_flag *f, struct named *ret)
{
    if (!f)
        return false;
    *ret = (struct named){f->rest->hoist, f, flag_key(f), f->rest->hash};
    return true;
}

hoist_flag *hoist_bind(hoist *h, const char *key)
{
    if (!h || !key) {
        err_set(HOIST_EINVAL, "a handle and a key are needed to bind a flag");
        return NULL;
    }
    struct slice k = key_of(key);
    hoist_flag *f = table_add(h, k, table_hash(k), TABLE_BOUND);
    if (!f)
        err_set(HOIST_ENOMEM, "out of memory");
    return f;
}

/* ------------------------------------------------------------------ booleans and numbers */

static __attribute__((noinline)) struct cell_value ask_anew(const struct named *n,
                                                            const hoist_ctx *ctx, bool ruled)
{
    struct ask ask = {.flag = n->flag, .key = n->key, .hash = n->hash, .ctx = ctx};
    return refresh_cell(n->hoist, &ask, ruled);
}

static inline struct cell_value look(const struct named *n, const hoist_ctx *ctx)
{
    struct cell_entry e;
    bool holds = n->flag && cell_read(&n->flag->cell, UINT64_MAX, &e);
    if (!holds || e.value.kind == CELL_RULES)
        return ask_anew(n, ctx, holds);
    count(e.slot);
    return e.value;
}

static inline struct cell_value look_bound(hoist_flag *f, const hoist_ctx *ctx)
{
    struct named n;
    return bound(f, &n) ? look(&n, ctx) : (struct cell_value){.kind = CELL_NONE};
}

static inline struct cell_value look_by_key(hoist *h, const char *key, const hoist_ctx *ctx)
{
    struct named n;
    return by_key(h, key, &n) ? look(&n, ctx) : (struct cell_value){.kind = CELL_NONE};
}

/* Apart, so that the fast way needs no stack. */
static __attribute__((noinline)) bool look_again(hoist_flag *f, const hoist_ctx *ctx, bool fallback)
{
    return cell_bool(look_bound(f, ctx), fallback);
}

bool hoist_flag_bool(hoist_flag *f, const hoist_ctx *ctx, bool fallback)
{
    bool value;
    uint32_t slot;
    return f && cell_read_bool(&f->cell, &value, &slot) && tally_add(slot)
               ? value
               : look_again(f, ctx, fallback);
}

double hoist_flag_double(hoist_flag *f, const hoist_ctx *ctx, double fallback)
{
    return cell_double(look_bound(f, ctx), fallback);
}

int64_t hoist_flag_int(hoist_flag *f, const hoist_ctx *ctx, int64_t fallback)
{
    return cell_int(look_bound(f, ctx), fallback);
}

bool hoist_bool(hoist *h, const char *key, const hoist_ctx *ctx, bool fallback)
{
    return cell_bool(look_by_key(h, key, ctx), fallback);
}

double hoist_double(hoist *h, const char *key, const hoist_ctx *ctx, double fallback)
{
    return cell_double(look_by_key(h, key, ctx), fallback);
}

int64_t hoist_int(hoist *h, const char *key, const hoist_ctx *ctx, int64_t fallback)
{
    return cell_int(look_by_key(h, key, ctx), fallback);
}

/* ------------------------------------------------------------------ text and objects */

static size_t text(const struct named *n, const hoist_ctx *ctx, enum hoist_type want,
                   const char *fallback, char *buf, size_t size)
{
    struct answer a;
    struct ask ask = {.flag = n->flag,
                      .key = n->key,
                      .hash = n->hash,
                      .ctx = ctx,
                      .want = want,
                      .buf = buf,
                      .size = buf ? size : 0};
    answer_flag(n->hoist, &ask, &a, NULL);
    count(a.slot);
    if (a.result.variant == FLAG_NO_VARIANT)
        return copy_text(ask.buf, ask.size, slice_str(fallback));
    return a.length;
}

static size_t fallback_text(const char *fallback, char *buf, size_t size)
{
    return copy_text(buf, buf ? size : 0, slice_str(fallback));
}

size_t hoist_flag_string(hoist_flag *f, const hoist_ctx *ctx, const char *fallback, char *buf,
                         size_t size)
{
    struct named n;
    return bound(f, &n) ? text(&n, ctx, HOIST_STRING, fallback, buf, size)
                        : fallback_text(fallback, buf, size);
}

size_t hoist_flag_object(hoist_flag *f, const hoist_ctx *ctx, const char *fallback, char *buf,
                         size_t size)
{
    struct named n;
    return bound(f, &n) ? text(&n, ctx, HOIST_OBJECT, fallback, buf, size)
                        : fallback_text(fallback, buf, size);
}

size_t hoist_string(hoist *h, const char *key, const hoist_ctx *ctx, const char *fallback,
                    char *buf, size_t size)
{
    struct named n;
    return by_key(h, key, &n) ? text(&n, ctx, HOIST_STRING, fallback, buf, size)
                              : fallback_text(fallback, buf, size);
}

size_t hoist_object(hoist *h, const char *key, const hoist_ctx *ctx, const char *fallback,
                    char *buf, size_t size)
{
    struct named n;
    return by_key(h, key, &n) ? text(&n, ctx, HOIST_OBJECT, fallback, buf, size)
                              : fallback_text(fallback, buf, size);
}
