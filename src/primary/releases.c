#include "primary/releases.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "primary/primary_int.h"
#include "primary/query_release.h"
#include "release/plan_file.h"

struct releases {
    struct release **all; /* by id */
    uint32_t count;
    uint32_t last_id;
    uint32_t unread_id; /* the first that could not be read; 0: there is none */
    struct rolls rolls;
    pthread_mutex_t lock;  /* the list, and each `record` */
    struct metric *detect; /* how long guards had failed that took a release back */
};

static void release_free(struct release *r)
{
    if (!r)
        return;
    release_plan_free(r->plan);
    buf_done(&r->lines);
    mem_free(r);
}

static struct release *release_new(uint32_t id)
{
    struct release *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->id = id;
    r->lines = BUF_INIT(RELEASES_LINES_MAX);
    return r;
}

static bool has_ended(const struct release *r)
{
    return r->record.state == RELEASE_ENDED;
}

/* ------------------------------------------------------------------ reading them */

static enum hoist_err read_plan(struct slice yaml, struct release_plan **ret)
{
    struct problems problems = {0}, warnings = {0};
    enum hoist_err err = release_plan_read(yaml, ret, &problems, &warnings);
    if (err == HOIST_EINVAL)
        err = err_set(HOIST_ECORRUPT, "its plan cannot be read any more: %s",
                      problems.count ? problems.items[0].message : "");
    problems_done(&problems);
    problems_done(&warnings);
    return err;
}

static enum hoist_err fold(struct store_read *read, struct release *r)
{
    struct store_release_row row;
    enum hoist_err err = HOIST_OK;
    for (r->sequence = RELEASE_FIRST_EVENT; !err; r->sequence++) {
        err = store_release_next(read, r->id, r->sequence, &row);
        if (err == HOIST_ENOTFOUND)
            return HOIST_OK;
        if (!err && row.sequence != r->sequence)
            err = err_set(HOIST_ECORRUPT, "event %" PRIu64 " is missing", r->sequence);
        if (!err)
            err = release_fold(r->plan, &r->record, row.row);
    }
    return err;
}

static enum hoist_err read_release(struct store_read *read, uint32_t id, struct release **ret)
{
    struct store_release_row row;
    struct release *r = release_new(id);
    if (!r)
        return err_set(HOIST_ENOMEM, "out of memory");
    r->was_read = true;
    enum hoist_err err = store_release_next(read, id, 0, &row);
    if (err == HOIST_OK && row.sequence != 0)
        err = err_set(HOIST_ECORRUPT, "its plan is missing");
    if (!err)
        err = read_plan(row.row, &r->plan);
    if (!err)
        err = fold(read, r);
    if (!err && r->record.state == RELEASE_NOT_STARTED)
        err = err_set(HOIST_ECORRUPT, "its first event is missing");
    if (err)
        release_free(r);
    else
        *ret = r;
    return err;
}

/* The oldest that have ended make room. */
static void make_room(struct releases *rs)
{
    uint32_t i = 0;
    if (rs->count < RELEASES_KEPT)
        return;
    while (!has_ended(rs->all[i])) /* of which there are more than can be live */
        i++;
    if (rs->all[i]->readers)
        rs->all[i]->is_gone = true;
    else
        release_free(rs->all[i]);
    memmove(rs->all + i, rs->all + i + 1, (rs->count - i - 1) * sizeof *rs->all);
    rs->count--;
}

static void add(struct releases *rs, struct release *r)
{
    make_room(rs);
    rs->all[rs->count++] = r;
    rs->last_id = r->id;
}

static enum hoist_err read_one(struct releases *rs, struct store_read *read, uint32_t id)
{
    struct release *r = NULL;
    enum hoist_err err = read_release(read, id, &r);
    if (err == HOIST_ENOMEM)
        return err;
    if (!err) {
        add(rs, r);
        return HOIST_OK;
    }
    log_error("primary: release number %" PRIu32 " is left alone, with its flags as they are: %s. "
              "See flagctl fsck; the flags go back by flagctl rollback",
              id, err_last());
    if (!rs->unread_id)
        rs->unread_id = id;
    return HOIST_OK;
}

static enum hoist_err count_all(struct store_read *read, uint32_t *ret)
{
    enum hoist_err err;
    uint32_t id = 0;
    for (*ret = 0; !(err = store_release_find(read, id, &id)) && id < UINT32_MAX; id++)
        ++*ret;
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* But for those that are known to have ended, and would make room for newer ones: of them there may be
 * any number. */
static enum hoist_err read_all(struct releases *rs, struct store_read *read)
{
    uint32_t id = 0, ended = 0, left;
    enum hoist_err err = store_releases_ended(read, &ended);
    if (err && err != HOIST_ENOTFOUND)
        return err;
    for (err = count_all(read, &left); !err && left > 0; left--, id++) {
        err = store_release_find(read, id, &id);
        if (!err && (id > ended || left <= RELEASES_KEPT))
            err = read_one(rs, read, id);
        rs->last_id = id;
    }
    return err;
}

enum hoist_err releases_open(struct store *s, struct releases **ret)
{
    struct releases *rs = mem_zalloc(1, sizeof *rs);
    struct store_read *read;
    if (rs)
        rs->all = mem_zalloc(RELEASES_KEPT, sizeof *rs->all);
    if (!rs || !rs->all) {
        mem_free(rs);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    pthread_mutex_init(&rs->lock, NULL);
    rs->detect = primary_metrics_detect("guard");
    enum hoist_err err = store_read_begin(s, false, &read);
    if (!err) {
        err = read_all(rs, read);
        store_read_end(read);
    }
    if (err)
        releases_close(rs);
    else
        *ret = rs;
    return err;
}

void releases_close(struct releases *rs)
{
    if (!rs)
        return;
    for (uint32_t i = 0; i < rs->count; i++)
        release_free(rs->all[i]);
    rolls_done(&rs->rolls);
    pthread_mutex_destroy(&rs->lock);
    mem_free(rs->all);
    mem_free(rs);
}

/* ------------------------------------------------------------------ a transaction */

struct rolls *releases_rolls(struct releases *rs)
{
    return &rs->rolls;
}

void releases_begin(struct releases *rs)
{
    rolls_clear(&rs->rolls);
    pthread_mutex_lock(&rs->lock);
    for (uint32_t i = rs->count; i-- > 0;) {
        struct release *r = rs->all[i];
        r->next = r->record;
        r->next_sequence = r->sequence;
        r->next_yielded = r->yielded;
        r->is_due = false;
        memset(r->next_verdicts, 0, sizeof r->next_verdicts);
        buf_clear(&r->lines);
        if (!r->is_new)
            continue;
        release_free(r); /* it was never committed, and it is the last */
        rs->count--;
        rs->last_id--;
    }
    pthread_mutex_unlock(&rs->lock);
}

static void tell(struct release *r)
{
    size_t len;
    if (buf_err(&r->lines))
        return;
    for (size_t at = 0; at < r->lines.len; at += len + 2) {
        const char *text = (const char *)r->lines.ptr + at + 1;
        len = strlen(text);
        log_line((enum log_level)r->lines.ptr[at], "primary: release %.*s: %s",
                 SLICE_ARG(r->plan->name), text);
    }
    buf_clear(&r->lines);
}

static void add_verdicts(struct release *r)
{
    for (uint32_t guard = 0; guard < r->plan->guard_count; guard++)
        for (uint32_t v = 0; v < 4; v++)
            r->verdicts[guard][v] += r->next_verdicts[guard][v];
}

/* A guard takes it back: how long it has failed. */
static void count_detected(struct releases *rs, const struct release *r)
{
    bool by_guard = r->next.cause == RELEASE_BY_GUARD || r->next.cause == RELEASE_BY_CRITICAL;
    if (!by_guard || r->record.cause != RELEASE_BY_NOBODY)
        return;
    int64_t since_ms = r->failing_ms[r->next.cause_of];
    if (since_ms)
        metric_observe(rs->detect, (double)(clock_mono_ms() - since_ms) / 1000);
}

void releases_committed(struct releases *rs)
{
    pthread_mutex_lock(&rs->lock);
    for (uint32_t i = 0; i < rs->count; i++) {
        struct release *r = rs->all[i];
        if (r->next_sequence == r->sequence)
            continue;
        count_detected(rs, r);
        if (r->is_due)
            r->due_ms = 0;
        if (r->next.state != r->record.state)
            r->asked_ms = 0; /* the answers of guards do not matter any more */
        r->record = r->next;
        r->sequence = r->next_sequence;
        r->yielded = r->next_yielded;
        add_verdicts(r);
        r->is_new = r->was_read = r->is_due = r->no_room = false;
    }
    pthread_mutex_unlock(&rs->lock);
    for (uint32_t i = 0; i < rs->count; i++)
        tell(rs->all[i]);
}

/* By each condition that was unmet meanwhile. */
void releases_count_standing(struct releases *rs, struct release *r)
{
    enum release_standing is = release_standing(&r->record);
    pthread_mutex_lock(&rs->lock);
    int64_t now_ms = clock_mono_ms(), since_ms = r->counted_ms;
    bool stands = since_ms != 0 && (is == STANDING_WAITING || is == STANDING_HOLDING);
    r->counted_ms = now_ms;
    for (int c = 0; stands && c < RELEASE_CONDITIONS; c++)
        if (r->record.unmet >> c & 1)
            r->stood_ms[c] += (uint64_t)(now_ms - since_ms);
    pthread_mutex_unlock(&rs->lock);
}

uint32_t releases_live(const struct releases *rs)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < rs->count; i++)
        n += !has_ended(rs->all[i]);
    return n;
}

/* Up to this number all have ended, and can be read. */
static uint32_t ended_id(const struct releases *rs)
{
    uint32_t first = rs->unread_id ? rs->unread_id : rs->last_id + 1;
    for (uint32_t i = 0; i < rs->count; i++)
        if (!has_ended(rs->all[i]) && rs->all[i]->id < first)
            first = rs->all[i]->id;
    return first - 1;
}

enum hoist_err releases_start(struct releases *rs, const struct release_work *work,
                              struct release_plan *plan, struct slice yaml,
                              const struct release_event *event, struct release_effects *ret)
{
    struct release *r = release_new(rs->last_id + 1);
    if (!r)
        return err_set(HOIST_ENOMEM, "out of memory");
    r->plan = plan;
    r->next_sequence = RELEASE_FIRST_EVENT;
    r->is_new = true;
    enum hoist_err err = release_take(r, work, event, ret);
    bool begins = !err && !ret->refused[0];
    if (begins)
        err = store_release_put(work->w, r->id, 0, yaml);
    if (begins && !err)
        err = store_releases_end(work->w, ended_id(rs));
    if (err || !begins) {
        r->plan = NULL; /* it is the caller's still */
        release_free(r);
        return err;
    }
    pthread_mutex_lock(&rs->lock);
    add(rs, r);
    pthread_mutex_unlock(&rs->lock);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ finding */

struct release *releases_find(const struct releases *rs, struct slice name)
{
    for (uint32_t i = rs->count; i-- > 0;)
        if (slice_eq(rs->all[i]->plan->name, name))
            return rs->all[i];
    return NULL;
}

struct release *releases_by_id(const struct releases *rs, uint32_t id)
{
    for (uint32_t i = 0; i < rs->count; i++)
        if (rs->all[i]->id == id)
            return rs->all[i];
    return NULL;
}

static bool moves(const struct release_plan *plan, struct slice env, struct slice key)
{
    if (release_env_find(plan, env) < 0)
        return false;
    for (uint32_t i = 0; i < plan->flag_count; i++)
        if (slice_eq(plan->flags[i].key, key))
            return true;
    return false;
}

struct release *releases_owner(const struct releases *rs, struct slice env, struct slice key)
{
    for (uint32_t i = 0; i < rs->count; i++)
        if (rs->all[i]->next.state != RELEASE_ENDED && moves(rs->all[i]->plan, env, key))
            return rs->all[i];
    return NULL;
}

struct release *releases_nth(const struct releases *rs, uint32_t n)
{
    return n < rs->count ? rs->all[n] : NULL;
}

uint32_t releases_show(struct releases *rs, struct slice name,
                       void (*show)(void *arg, const struct release *r), void *arg)
{
    uint32_t shown = 0;
    pthread_mutex_lock(&rs->lock);
    for (uint32_t i = rs->count; i-- > 0;) {
        const struct release *r = rs->all[i];
        if (r->is_new || (name.len && (shown || !slice_eq(r->plan->name, name))))
            continue;
        show(arg, r);
        shown++;
    }
    pthread_mutex_unlock(&rs->lock);
    return shown;
}

/* Whether a newer one has its name. */
static bool is_followed(const struct releases *rs, uint32_t i)
{
    for (uint32_t newer = i + 1; newer < rs->count; newer++)
        if (!rs->all[newer]->is_new && slice_eq(rs->all[newer]->plan->name, rs->all[i]->plan->name))
            return true;
    return false;
}

void releases_show_newest(struct releases *rs, void (*show)(void *arg, const struct release *r),
                          void *arg)
{
    pthread_mutex_lock(&rs->lock);
    for (uint32_t i = rs->count; i-- > 0;)
        if (!rs->all[i]->is_new && !is_followed(rs, i))
            show(arg, rs->all[i]);
    pthread_mutex_unlock(&rs->lock);
}

struct release *releases_borrow(struct releases *rs, struct slice name)
{
    struct release *found = NULL;
    pthread_mutex_lock(&rs->lock);
    for (uint32_t i = rs->count; i-- > 0 && !found;)
        if (!rs->all[i]->is_new && slice_eq(rs->all[i]->plan->name, name))
            found = rs->all[i];
    if (found)
        found->readers++;
    pthread_mutex_unlock(&rs->lock);
    return found;
}

void releases_give_back(struct releases *rs, struct release *r)
{
    pthread_mutex_lock(&rs->lock);
    bool is_last = --r->readers == 0 && r->is_gone;
    pthread_mutex_unlock(&rs->lock);
    if (is_last)
        release_free(r);
}
