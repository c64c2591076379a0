#include "http/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "release/plan_file.h"

enum {
    LOOK_EVENTS = 1000, /* of a release at a time, so that no read transaction gets old */
    LOOK_RELEASES = 16, /* new ones at a time */
    FIRST_EVENT = 1,    /* the sequence behind the plan's */
};

struct followed {
    uint32_t id;
    struct release_plan *plan;
    struct release_record record;
    uint64_t sequence; /* the record has the events up to this one */
};

static const char done_name[] = "release/done";

static void place_name(uint32_t id, char out[STORE_ENV_NAME_MAX + 1])
{
    snprintf(out, STORE_ENV_NAME_MAX + 1, "release/%" PRIu32, id);
}

static void move(struct follow *f, struct cursor_at *at, uint64_t version)
{
    f->moved |= at->version != version;
    at->version = version;
}

/* ------------------------------------------------------------------ taking up, letting go */

static void followed_free(struct followed *d)
{
    if (!d)
        return;
    release_plan_free(d->plan);
    mem_free(d);
}

static bool names_sink(const struct follow *f, const struct release_plan *plan)
{
    for (uint32_t i = 0; i < plan->sink_count; i++)
        if (slice_eq(plan->sinks[i].ref, slice_str(f->sink)))
            return true;
    return false;
}

static void lose(struct follow *f, uint32_t id)
{
    log_error("notify: release number %" PRIu32 " cannot be read, so %s is told no more of it: %s; "
              "flagctl fsck says what is damaged",
              id, f->sink, err_last());
    f->lost++;
}

static enum hoist_err read_plan(struct store_read *r, uint32_t id, struct release_plan **ret)
{
    struct store_release_row row;
    struct problems problems = {0}, warnings = {0};
    enum hoist_err err = store_release_next(r, id, 0, &row);
    if (!err && row.sequence)
        err = err_set(HOIST_ECORRUPT, "its plan is missing");
    if (!err)
        err = release_plan_read(row.row, ret, &problems, &warnings);
    if (err == HOIST_EINVAL)
        err = err_set(HOIST_ECORRUPT, "its plan has problems");
    problems_done(&problems);
    problems_done(&warnings);
    return err;
}

/* ENOMEM, EIO; what is damaged is said, and passed. */
static enum hoist_err take_up(struct follow *f, struct store_read *r, uint32_t id)
{
    struct release_plan *plan = NULL;
    enum hoist_err err = read_plan(r, id, &plan);
    if (err && err != HOIST_ECORRUPT)
        return err;
    if (err)
        lose(f, id);
    if (err || !names_sink(f, plan)) {
        release_plan_free(plan);
        return HOIST_OK;
    }
    struct followed **all = f->count == f->cap ? mem_grow(f->all, &f->cap, 8, sizeof *all) : f->all;
    struct followed *d = all ? mem_zalloc(1, sizeof *d) : NULL;
    if (all)
        f->all = all;
    if (!d) {
        release_plan_free(plan);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    d->id = id;
    d->plan = plan;
    f->all[f->count++] = d;
    return HOIST_OK;
}

static void let_go(struct follow *f, size_t i)
{
    followed_free(f->all[i]);
    memmove(f->all + i, f->all + i + 1, (--f->count - i) * sizeof *f->all);
}

/* Releases that came since the last look. */
static enum hoist_err take_up_new(struct follow *f, struct store_read *r, bool *ret_more)
{
    uint32_t id;
    for (int i = 0; i < LOOK_RELEASES && f->last_id < UINT32_MAX; i++) {
        enum hoist_err err = store_release_find(r, f->last_id + 1, &id);
        if (err)
            return err == HOIST_ENOTFOUND ? HOIST_OK : err;
        err = take_up(f, r, id);
        if (err)
            return err;
        f->last_id = id;
    }
    *ret_more = true;
    return HOIST_OK;
}

/* Up to which number no release is followed any more; their places are no longer needed. */
static enum hoist_err keep_done(struct follow *f)
{
    uint32_t done = f->count ? f->all[0]->id - 1 : f->last_id;
    uint64_t id;
    struct cursor_at *at = cursor_place(f->cursor, done_name, 0);
    if (!at)
        return HOIST_ENOMEM;
    move(f, at, done);
    for (size_t i = f->cursor->count; i-- > 0;) {
        const char *env = f->cursor->envs[i].env;
        if (strncmp(env, "release/", 8) == 0 && text_u64(env + 8, &id) == HOIST_OK && id <= done)
            cursor_drop(f->cursor, i);
    }
    return HOIST_OK;
}

/* ------------------------------------------------------------------ events */

/* The watch has lasted for as long as its step asks: people read the report before they sign. */
static bool is_report_due(const struct release_plan *plan, const struct release_record *before,
                          const struct release_record *after)
{
    const struct release_step *s = &plan->steps[after->step];
    return s->phase == RELEASE_WATCH && before->step == after->step &&
           before->soak_ms < s->soak_ms && after->soak_ms >= s->soak_ms;
}

/* What somebody is told of, of all that the engine says: where it moves, which report is due, whoever
 * stops it, and pages. */
static bool is_news(const struct release_plan *plan, const struct release_record *before,
                    const struct release_record *after, const struct release_event *e,
                    const struct release_effects *fx)
{
    bool pages = false;
    for (uint32_t i = 0; i < fx->line_count; i++)
        pages |= fx->lines[i].page;
    return fx->line_count > 0 &&
           (pages || before->state != after->state || before->step != after->step ||
            is_report_due(plan, before, after) || e->kind == RELEASE_HELD ||
            e->kind == RELEASE_RESUMED);
}

/* The next event. ENOTFOUND: there is none yet. */
static enum hoist_err next_event(const struct followed *d, struct store_read *r,
                                 struct release_event *ret)
{
    struct store_release_row row;
    uint64_t sequence = d->sequence + FIRST_EVENT;
    enum hoist_err err = store_release_next(r, d->id, sequence, &row);
    if (err)
        return err;
    if (row.sequence != sequence)
        return err_set(HOIST_ECORRUPT, "event %" PRIu64 " is missing", sequence);
    return release_event_decode(row.row, ret);
}

/* Pass one event, unless it is news that was not told yet, which is *ret then. */
static enum hoist_err look_once(struct follow *f, struct followed *d, struct cursor_at *at,
                                struct store_read *r, struct release_news *ret,
                                struct release_effects *fx)
{
    struct release_event e;
    struct release_record after = d->record;
    enum hoist_err err = next_event(d, r, &e);
    if (err)
        return err;
    release_step(d->plan, &after, &e, fx);
    uint64_t sequence = d->sequence + 1;
    if (sequence > at->version && is_news(d->plan, &d->record, &after, &e, fx)) {
        *ret = (struct release_news){d->plan, d->id, sequence, e.wall_ms, fx};
        return HOIST_OK;
    }
    d->record = after;
    d->sequence = sequence;
    if (sequence > at->version)
        move(f, at, sequence);
    return HOIST_OK;
}

/* The next news of one release. ENOTFOUND: none now; EAGAIN: perhaps, at the next look. */
static enum hoist_err look_at(struct follow *f, struct followed *d, struct cursor_at *at,
                              struct store_read *r, struct release_news *ret,
                              struct release_effects *fx)
{
    enum hoist_err err = HOIST_OK;
    ret->plan = NULL;
    for (int i = 0; i < LOOK_EVENTS && !err; i++) {
        err = look_once(f, d, at, r, ret, fx);
        if (!err && ret->plan)
            return HOIST_OK;
    }
    if (err == HOIST_ENOTFOUND && at->version > d->sequence)
        move(f, at, d->sequence); /* the store was set back */
    return err ? err : HOIST_EAGAIN;
}

/* It stays so, however often it is read. What else keeps an event from being read may pass. */
static bool is_damage(enum hoist_err err)
{
    return err == HOIST_ECORRUPT || err == HOIST_ELIMIT || err == HOIST_EVERSION;
}

bool follow_look(struct follow *f, struct store_read *r,
                 void (*offer)(void *arg, size_t at, const struct release_news *news), void *arg)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct release_effects fx;
    struct release_news news;
    bool more = false;
    if (take_up_new(f, r, &more) != HOIST_OK || keep_done(f) != HOIST_OK)
        return false; /* memory is out, or the store is: the next look */
    for (size_t i = 0; i < f->count;) {
        struct followed *d = f->all[i];
        place_name(d->id, name);
        struct cursor_at *at = cursor_place(f->cursor, name, 0);
        if (!at)
            return false;
        enum hoist_err err = look_at(f, d, at, r, &news, &fx);
        more |= err == HOIST_EAGAIN;
        if (!err)
            offer(arg, (size_t)(at - f->cursor->envs), &news);
        else if (is_damage(err))
            lose(f, d->id);
        bool over = err == HOIST_ENOTFOUND ? d->record.state == RELEASE_ENDED : is_damage(err);
        if (over)
            let_go(f, i);
        else
            i++;
    }
    return more;
}

/* ------------------------------------------------------------------ begin and end */

/* Behind all events that there are. */
static enum hoist_err pass_all(struct follow *f, struct store_read *r)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct store_release_row row;
    for (size_t i = 0; i < f->count; i++) {
        uint64_t last = 0;
        uint32_t id = f->all[i]->id;
        while (store_release_next(r, id, last + 1, &row) == HOIST_OK)
            last = row.sequence;
        place_name(id, name);
        if (!cursor_place(f->cursor, name, last))
            return err_set(HOIST_ENOMEM, "out of memory");
    }
    return HOIST_OK;
}

/* Behind the last release that needs no telling; behind the last one, if the store was set back. */
static enum hoist_err find_begin(struct follow *f, struct store_read *r)
{
    uint32_t id;
    enum hoist_err err = HOIST_OK;
    struct cursor_at *done = cursor_place(f->cursor, done_name, 0);
    if (!done)
        return err_set(HOIST_ENOMEM, "out of memory");
    while (!err && f->last_id < done->version) {
        err = store_release_find(r, f->last_id + 1, &id);
        if (!err && id <= done->version)
            f->last_id = id;
        else if (!err)
            f->last_id = (uint32_t)done->version;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

enum hoist_err follow_begin(struct follow *f, const char *sink, struct cursor *cursor,
                            struct store_read *r)
{
    *f = (struct follow){.sink = sink, .cursor = cursor};
    bool more = true;
    enum hoist_err err = find_begin(f, r);
    while (!err && cursor->is_new && more) {
        more = false;
        err = take_up_new(f, r, &more);
    }
    return !err && cursor->is_new ? pass_all(f, r) : err;
}

void follow_done(struct follow *f)
{
    for (size_t i = 0; i < f->count; i++)
        followed_free(f->all[i]);
    mem_free(f->all);
    *f = (struct follow){0};
}
