#include "primary/denials.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "access/role.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "flag/json.h"

enum { WAITING = 2 * DENIALS_PER_SECOND, SECOND_MS = 1000 };

struct denials {
    pthread_mutex_t lock;
    struct buf rows[WAITING];
    uint32_t count;
    int64_t second_ms; /* when this second began … */
    uint32_t taken;    /* … and how many were taken in it */
    uint64_t left_out; /* since the last that was taken */
};

static struct metric *counter_of(const char *role)
{
    struct buf labels = BUF_INIT(256);
    metric_label(&labels, "role", role);
    struct metric *m = metric_series(METRIC_COUNTER, "hoist_commands_denied_total",
                                     "Commands that were denied, by the role that they take.",
                                     buf_str(&labels), NULL);
    buf_done(&labels);
    return m;
}

enum hoist_err denials_new(struct denials **ret)
{
    struct denials *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return err_set(HOIST_ENOMEM, "out of memory");
    pthread_mutex_init(&d->lock, NULL);
    for (const struct access_need *n = access_needs; n->command; n++)
        (void)counter_of(access_role_name(access_role_for(n->right))); /* at 0 from the start */
    *ret = d;
    return HOIST_OK;
}

void denials_free(struct denials *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->count; i++)
        buf_done(&d->rows[i]);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

/* Whether this second has room for one more. */
static bool take(struct denials *d)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms - d->second_ms >= SECOND_MS) {
        d->second_ms = now_ms;
        d->taken = 0;
    }
    if (d->taken == DENIALS_PER_SECOND || d->count == WAITING) {
        d->left_out++;
        return false;
    }
    d->taken++;
    return true;
}

static struct buf row_of(const struct denial *x, uint64_t left_out)
{
    struct buf row = BUF_INIT(STORE_DENIAL_MAX);
    struct json_writer w = JSON_WRITER(&row, 0);
    json_object_begin(&w);
    json_key(&w, "time");
    json_put_time(&w, clock_wall_ms());
    json_key(&w, "who");
    json_put_slice(&w, slice_str(x->who));
    json_key(&w, "command");
    json_put_str(&w, x->command);
    json_key(&w, "role");
    json_put_str(&w, x->role);
    json_key(&w, "env");
    json_put_slice(&w, x->env);
    json_key(&w, "key");
    json_put_slice(&w, x->key);
    json_key(&w, "why");
    json_put_slice(&w, slice_str(x->why));
    json_key(&w, "left_out");
    json_put_u64(&w, left_out);
    json_object_end(&w);
    return row;
}

/* The same without what was asked for, which is as long as whoever asked likes. */
static struct buf short_row_of(const struct denial *x, uint64_t left_out)
{
    char why[512];
    struct denial less = *x;
    less.env = less.key = (struct slice){0};
    less.why = why;
    snprintf(why, sizeof why, "%s may not %s: that takes the role %s", x->who, x->command, x->role);
    return row_of(&less, left_out);
}

static void keep(struct denials *d, struct buf row)
{
    if (buf_err(&row) == HOIST_OK) {
        d->rows[d->count++] = row;
        d->left_out = 0;
    } else {
        buf_done(&row);
        d->left_out++;
    }
}

void denials_add(struct denials *d, const struct denial *x)
{
    metric_inc(counter_of(x->role));
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    if (take(d)) {
        log_warn("access: denied: %s (%" PRIu64 " others since the last line)", x->why,
                 d->left_out);
        struct buf row = row_of(x, d->left_out);
        if (buf_err(&row) != HOIST_OK) {
            buf_done(&row);
            row = short_row_of(x, d->left_out);
        }
        keep(d, row);
    }
    pthread_mutex_unlock(&d->lock);
}

static uint32_t waiting(struct denials *d)
{
    pthread_mutex_lock(&d->lock);
    uint32_t count = d->count;
    pthread_mutex_unlock(&d->lock);
    return count;
}

static void drop(struct denials *d, uint32_t count)
{
    pthread_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < count; i++)
        buf_done(&d->rows[i]);
    d->count -= count;
    memmove(d->rows, d->rows + count, d->count * sizeof *d->rows);
    pthread_mutex_unlock(&d->lock);
}

/* Without the lock, which others want while the disk is waited for: they only add behind `count`. */
enum hoist_err denials_write(struct denials *d, struct store *s)
{
    struct store_write *w;
    uint32_t count = waiting(d);
    if (count == 0)
        return HOIST_OK;
    enum hoist_err err = store_write_begin(s, &w);
    if (err != HOIST_OK)
        return err;
    for (uint32_t i = 0; i < count && err == HOIST_OK; i++)
        err = store_denial_put(w, buf_slice(&d->rows[i]));
    if (err == HOIST_OK)
        err = store_write_commit(w);
    else
        store_write_abort(w);
    if (err == HOIST_OK)
        drop(d, count);
    return err;
}
