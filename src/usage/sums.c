#include "usage/sums_int.h"

#include "base/hash.h"
#include "base/mem.h"

enum {
    NUMBERS_MAX = 1 + 9 + 4 * 5, /* of a row in a frame, beside its texts: array, number, lengths */
    HEAD_MAX = 64,
};

enum hoist_err sums_new(struct sums **ret)
{
    struct sums *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "out of memory");
    hash_init();
    pthread_mutex_init(&s->lock, NULL);
    hash_random(&s->incarnation, sizeof s->incarnation);
    s->pending.max = SUMS_PENDING_MAX;
    s->own.max = SUMS_SERIES_MAX;
    s->message = BUF_INIT(FRAME_USAGE_MAX);
    s->left_out = metric_series(
        METRIC_COUNTER, "hoist_evaluations_left_out_total",
        "Evaluations that were counted and found no room on their way to the primary.", "", NULL);
    *ret = s;
    return HOIST_OK;
}

void sums_free(struct sums *s)
{
    if (!s)
        return;
    counts_done(&s->pending);
    counts_done(&s->own);
    heard_done(&s->heard);
    buf_done(&s->message);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static void wait_here(struct sums *s, struct slice env, struct slice key, struct slice variant,
                      uint64_t n)
{
    if (!counts_add(&s->pending, env, key, variant, n))
        metric_add(s->left_out, (double)n);
}

void sums_add(struct sums *s, struct slice env, struct slice key, struct slice variant, uint64_t n)
{
    pthread_mutex_lock(&s->lock);
    wait_here(s, env, key, variant, n);
    if (!counts_add(&s->own, env, key, variant, n))
        s->rest = count_sum(s->rest, n);
    pthread_mutex_unlock(&s->lock);
}

void sums_hear(struct sums *s, const struct frame_usage *f, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    bool is_new = heard_is_new(&s->heard, f->incarnation, f->sequence, now_ms);
    for (uint32_t i = 0; i < f->count && is_new; i++) {
        const struct usage_count *c = &f->counts[i];
        wait_here(s, c->env, c->key, c->variant, c->n);
    }
    pthread_mutex_unlock(&s->lock);
}

/* The first rows, as many as `max` bytes hold; at least one. */
static uint32_t rows_within(const struct sums *s, size_t max)
{
    size_t bytes = HEAD_MAX;
    uint32_t rows = 0;
    for (const struct count *c = s->pending.first; c && rows < FRAME_USAGE_COUNTS; c = c->next) {
        bytes += c->env.len + c->key.len + c->variant.len + NUMBERS_MAX;
        if (rows > 0 && bytes > max)
            break;
        rows++;
    }
    return rows;
}

static enum hoist_err encode(struct sums *s, uint32_t rows)
{
    struct usage_count *counts = mem_zalloc(rows, sizeof *counts);
    const struct count *row = s->pending.first;
    if (!counts)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < rows; i++, row = row->next)
        counts[i] = (struct usage_count){row->env, row->key, row->variant, row->n};
    frame_put_usage(&s->message, &(struct frame_usage){.incarnation = s->incarnation,
                                                       .sequence = s->sequence + 1,
                                                       .counts = counts,
                                                       .count = rows});
    mem_free(counts);
    return buf_err(&s->message);
}

/* Rows leave once the message has them. */
static void make_message(struct sums *s, size_t max)
{
    uint32_t rows = rows_within(s, max < FRAME_USAGE_MAX ? max : FRAME_USAGE_MAX);
    if (rows == 0)
        return;
    if (encode(s, rows) != HOIST_OK) {
        buf_done(&s->message);
        s->message = BUF_INIT(FRAME_USAGE_MAX);
        return;
    }
    s->sequence++;
    while (rows-- > 0)
        counts_drop_first(&s->pending);
}

struct slice sums_take(struct sums *s, size_t max, uint64_t *ret_sequence)
{
    pthread_mutex_lock(&s->lock);
    if (s->message.len == 0)
        make_message(s, max);
    *ret_sequence = s->sequence;
    struct slice message = buf_slice(&s->message);
    pthread_mutex_unlock(&s->lock);
    return message;
}

bool sums_waits(struct sums *s)
{
    pthread_mutex_lock(&s->lock);
    bool waits = s->pending.count > 0 || s->message.len > 0;
    pthread_mutex_unlock(&s->lock);
    return waits;
}

void sums_passed_on(struct sums *s, uint64_t sequence)
{
    pthread_mutex_lock(&s->lock);
    if (sequence == s->sequence)
        buf_clear(&s->message);
    pthread_mutex_unlock(&s->lock);
}
