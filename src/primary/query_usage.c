/* Questions about evaluations: usage. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "primary/query_usage.h"

enum { LIMIT_DEFAULT = 20, WEEK = 7, MONTH = 30 };

bool usage_since(struct store_read *r, int64_t *ret_ms, struct buf *out, uint32_t *ret_exit)
{
    enum hoist_err err = store_usage_since(r, ret_ms);
    if (err == HOIST_OK)
        return true;
    *ret_exit = err == HOIST_ENOTFOUND
                    ? query_error(out, EXIT_NO, "not-counted", NULL,
                                  "ask the primary: flagctl --primary URL", NULL,
                                  "evaluations are added up on a primary; this store has none")
                    : query_fail(out, err, NULL);
    return false;
}

enum hoist_err usage_of(struct store_read *r, const struct store_env *env, struct slice key,
                        struct usage_row *ret)
{
    struct slice bytes;
    enum hoist_err err = store_usage_get(r, env->id, key, &bytes);
    if (err == HOIST_OK)
        return usage_row_read(bytes, ret);
    if (err != HOIST_ENOTFOUND)
        return err;
    *ret = (struct usage_row){0};
    return HOIST_OK;
}

struct sum { /* of one flag, or of one variant */
    uint64_t today, week, month, total;
    int64_t first_s, last_s; /* 0: never */
};

static struct sum sum_of_variant(const struct usage_variant *v, int64_t now_s)
{
    return (struct sum){.today = usage_variant_in(v, now_s, 1),
                        .week = usage_variant_in(v, now_s, WEEK),
                        .month = usage_variant_in(v, now_s, MONTH),
                        .total = v->total,
                        .first_s = v->first_s,
                        .last_s = v->last_s};
}

static struct sum sum_of(const struct usage_row *row, int64_t now_s)
{
    struct sum all = {0};
    for (uint32_t i = 0; i < row->count; i++) {
        struct sum v = sum_of_variant(&row->variants[i], now_s);
        all.today = count_sum(all.today, v.today);
        all.week = count_sum(all.week, v.week);
        all.month = count_sum(all.month, v.month);
        all.total = count_sum(all.total, v.total);
        if (i == 0 || v.first_s < all.first_s)
            all.first_s = v.first_s;
        if (v.last_s > all.last_s)
            all.last_s = v.last_s;
    }
    return all;
}

void usage_put_time(struct json_writer *w, const char *name, int64_t s)
{
    json_key(w, name);
    if (s > 0)
        json_put_time(w, s * 1000);
    else
        json_put_null(w);
}

void usage_put_variant(struct json_writer *w, struct slice name)
{
    json_key(w, "variant");
    if (name.len > 0)
        json_put_slice(w, name);
    else
        json_put_null(w);
}

static void put_sum(struct json_writer *w, const struct sum *s)
{
    const struct {
        const char *name;
        uint64_t n;
    } members[] = {
        {"today", s->today},
        {"last_7_days", s->week},
        {"last_30_days", s->month},
        {"total", s->total},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_key(w, members[i].name);
        json_put_u64(w, members[i].n);
    }
    usage_put_time(w, "first", s->first_s);
    usage_put_time(w, "last", s->last_s);
}

/* Of the last 30 days; where there was nothing in them, of all. */
static double share_of(const struct sum *part, const struct sum *all)
{
    if (all->month > 0)
        return (double)part->month / (double)all->month;
    return all->total > 0 ? (double)part->total / (double)all->total : 0;
}

static void put_flag(struct json_writer *w, struct slice key, const struct usage_row *row,
                     int64_t now_s)
{
    struct sum all = sum_of(row, now_s);
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, key);
    put_sum(w, &all);
    json_key(w, "variants");
    json_array_begin(w);
    for (uint32_t i = 0; i < row->count; i++) {
        struct sum v = sum_of_variant(&row->variants[i], now_s);
        json_object_begin(w);
        usage_put_variant(w, row->variants[i].name);
        put_sum(w, &v);
        json_key(w, "share");
        json_put_number(w, share_of(&v, &all));
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

/* ------------------------------------------------------------------ all flags */

struct ranked {
    struct slice key;
    struct sum sum;
};

/* Most evaluated in 30 days first, then ever, then by key. */
static int by_use(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->sum.month != b->sum.month)
        return a->sum.month > b->sum.month ? -1 : 1;
    if (a->sum.total != b->sum.total)
        return a->sum.total > b->sum.total ? -1 : 1;
    return slice_cmp(a->key, b->key);
}

static enum hoist_err rank(struct store_read *r, const struct store_env *env, int64_t now_s,
                           struct ranked *flags, size_t *ret_count)
{
    struct slice key = {0}, record;
    size_t count = 0;
    enum hoist_err err = HOIST_OK;
    while (count < env->flags &&
           (err = store_record_next(r, env->id, key, &key, &record)) == HOIST_OK) {
        struct usage_row row;
        if ((err = usage_of(r, env, key, &row)) != HOIST_OK)
            break;
        flags[count++] = (struct ranked){key, sum_of(&row, now_s)};
        usage_row_done(&row);
    }
    qsort(flags, count, sizeof *flags, by_use);
    *ret_count = count;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err put_row_of(struct json_writer *w, struct store_read *r,
                                 const struct store_env *env, struct slice key, int64_t now_s)
{
    struct usage_row row;
    enum hoist_err err = usage_of(r, env, key, &row);
    if (err != HOIST_OK)
        return err;
    put_flag(w, key, &row, now_s);
    usage_row_done(&row);
    return HOIST_OK;
}

static enum hoist_err put_ranked(struct json_writer *w, struct store_read *r,
                                 const struct store_env *env, uint64_t limit, int64_t now_s)
{
    size_t count = 0;
    struct ranked *flags = mem_zalloc(env->flags + 1, sizeof *flags);
    if (!flags)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = rank(r, env, now_s, flags, &count);
    for (size_t i = 0; i < count && i < limit && err == HOIST_OK; i++)
        err = put_row_of(w, r, env, flags[i].key, now_s);
    mem_free(flags);
    return err;
}

uint32_t query_usage(struct store_read *r, const json_t *args, struct buf *out)
{
    struct store_env env;
    struct slice record;
    int64_t since_ms, now_s = clock_wall_ms() / 1000;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    struct slice key = slice_str(query_str(args, "key", &ok));
    uint64_t limit = query_u64(args, "limit", LIMIT_DEFAULT, &ok);
    if (!query_env_of(r, args, ok, "usage", &env, out, &exit) ||
        !usage_since(r, &since_ms, out, &exit))
        return exit;
    if (key.ptr &&
        (key.len > FLAG_KEY_MAX || store_record_get(r, env.id, key, &record) != HOIST_OK))
        return query_no_flag(r, &env, key, out);
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env.name);
    usage_put_time(&w, "since", since_ms / 1000);
    json_key(&w, "flags");
    json_array_begin(&w);
    enum hoist_err err =
        key.ptr ? put_row_of(&w, r, &env, key, now_s) : put_ranked(&w, r, &env, limit, now_s);
    json_array_end(&w);
    json_object_end(&w);
    return err == HOIST_OK ? query_done(out, EXIT_DONE) : query_fail(out, err, NULL);
}
