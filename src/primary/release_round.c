/* A round of a release: what has come from elsewhere, then the tick. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "primary/releases.h"
#include "release/say.h"
#include "usage/row.h"
#include "wire/change.h"
#include "wire/record.h"

enum { LOOKED_AT_MAX = 100 /* changes of a flag */ };

static bool env_of(const struct release *r, struct store_read *read, uint32_t i,
                   struct store_env *ret)
{
    char name[STORE_ENV_NAME_MAX + 1];
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(r->plan->envs[i]));
    return store_env_get(read, name, ret) == HOIST_OK;
}

/* ------------------------------------------------------------------ overrides */

static bool is_killed(struct store_read *read, const struct store_env *env, struct slice key)
{
    struct slice record;
    struct flag *f;
    if (store_record_get(read, env->id, key, &record) != HOIST_OK ||
        record_decode(key, record, &f, NULL) != HOIST_OK)
        return false;
    bool killed = f->override != FLAG_NO_VARIANT;
    flag_free(f);
    return killed;
}

/* Who killed a flag last, or set it free: by the log, as far as it goes back. Borrowed. */
static struct slice author_of(struct store_read *read, const struct store_env *env,
                              struct slice key, bool killed)
{
    uint64_t version = env->head + 1;
    struct slice bytes;
    struct change c;
    for (int i = 0; i < LOOKED_AT_MAX && version > 1; i++) {
        if (store_touched(read, env->id, key, version - 1, &version) != HOIST_OK ||
            store_log_get(read, env->id, version, &bytes) != HOIST_OK ||
            change_decode(bytes, &c) != HOIST_OK)
            break;
        bool is_it = killed ? c.head.kind == CHANGE_KILL
                            : c.head.kind == CHANGE_RESTORE || c.head.kind == CHANGE_ROLLBACK;
        if (is_it && c.head.author.len > 0 && c.head.author.len <= RELEASE_WHO_MAX)
            return c.head.author;
    }
    return SLICE("hoist");
}

/* That a flag is killed, or not any more, is seen here and not told by who did it: a kill waits for
 * nobody. */
static enum hoist_err see_overrides(struct release *r, const struct release_work *work)
{
    struct store_read *read = store_write_read(work->w);
    struct release_effects fx;
    struct store_env env;
    enum hoist_err err = HOIST_OK;
    for (uint32_t e = 0; e < r->plan->env_count && !err; e++) {
        if (!env_of(r, read, e, &env))
            continue;
        for (uint32_t f = 0; f < r->plan->flag_count && !err; f++) {
            bool killed = is_killed(read, &env, r->plan->flags[f].key);
            if (killed == (r->next.envs[e].killed >> f & 1))
                continue;
            struct release_event seen =
                release_event_now(killed ? RELEASE_KILLED : RELEASE_RESTORED, work->wall_ms);
            seen.env = (uint8_t)e;
            seen.flag = (uint8_t)f;
            seen.by = author_of(read, &env, r->plan->flags[f].key, killed);
            err = release_take(r, work, &seen, &fx);
        }
    }
    return err;
}

/* ------------------------------------------------------------------ changes by others */

/* A rollback goes before everything, also over a release's flags: then that is what is wanted, and
 * the rest of it goes back as well. What cannot be read is not what it was. */
static enum hoist_err see_changes(struct release *r, const struct release_work *work)
{
    uint8_t now[HASH_SIZE];
    struct release_effects fx;
    if (r->next.state != RELEASE_MOVING)
        return HOIST_OK;
    enum hoist_err err = release_definitions(r->plan, store_write_read(work->w), now);
    if (err == HOIST_ENOTFOUND || (!err && hash_equal(now, r->next.definitions)))
        return HOIST_OK;
    if (err == HOIST_ENOMEM || err == HOIST_EIO)
        return err;
    struct release_event aborted = release_event_now(RELEASE_ABORTED, work->wall_ms);
    aborted.by = SLICE("hoist");
    aborted.text = err ? SLICE("its flags cannot be read") : SLICE("a rollback changed its flags");
    return release_take(r, work, &aborted, &fx);
}

/* ------------------------------------------------------------------ exposures */

/* Adds to *n. False: it cannot be read how often. */
static bool add_yielded(struct store_read *read, const struct store_env *env,
                        const struct release_flag *f, uint64_t *n)
{
    struct slice bytes;
    struct usage_row row = {0};
    enum hoist_err err = store_usage_get(read, env->id, f->key, &bytes);
    if (err == HOIST_ENOTFOUND)
        return true;
    if (err != HOIST_OK || usage_row_read(bytes, &row) != HOIST_OK)
        return false;
    for (uint32_t i = 0; i < row.count; i++)
        if (slice_eq(row.variants[i].name, f->on))
            *n += row.variants[i].total;
    usage_row_done(&row);
    return true;
}

/* How often its flags have yielded what it rolls out, in the step's environment, since the last round. What
 * was counted before the first round of this process, or of another environment, is not known; nor what
 * was counted before a round that could not read it. */
static uint64_t exposed(struct release *r, struct store_read *read)
{
    const struct release_step *s = &r->plan->steps[r->next.step];
    struct store_env env;
    struct release_yield before = r->next_yielded;
    uint64_t now = 0;
    r->next_yielded.is_known = false;
    if (s->env == RELEASE_NO_ENV || !env_of(r, read, s->env, &env))
        return 0;
    for (uint32_t i = 0; i < r->plan->flag_count; i++)
        if (!add_yielded(read, &env, &r->plan->flags[i], &now))
            return 0;
    r->next_yielded = (struct release_yield){now, s->env, true};
    return before.is_known && before.env == s->env && now > before.count ? now - before.count : 0;
}

/* ------------------------------------------------------------------ the round */

/* As they came; where there is no value, none is kept. */
static void take_answers(const struct release_round *round, struct release_event *e)
{
    e->asked = round->asked;
    for (uint32_t left = round->asked; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        struct release_answer a = round->answers[guard];
        bool has_value = a.verdict == RELEASE_PASS || a.verdict == RELEASE_FAIL;
        e->answers[guard] = (struct release_answer){a.verdict, has_value ? a.value : 0};
    }
}

static enum hoist_err tick(struct releases *rs, struct release *r, const struct release_work *work,
                           const struct release_round *round)
{
    const struct release_look look = {store_write_read(work->w), work->fleet, releases_rolls(rs)};
    struct release_event e = release_event_now(RELEASE_TICK, work->wall_ms);
    struct release_effects fx;
    e.step = round->step;
    take_answers(round, &e);
    e.exposed = exposed(r, look.read);
    e.fleet_count = r->plan->env_count;
    enum hoist_err err = HOIST_OK;
    for (uint8_t i = 0; i < e.fleet_count && !err; i++)
        err = release_look_at_fleet(r, &r->next, &look, i, &e.fleet[i]);
    return err ? err : release_take(r, work, &e, &fx);
}

static void count_verdicts(struct release *r, const struct release_round *round)
{
    for (uint32_t left = round->asked; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        enum release_verdict is = round->answers[guard].verdict;
        r->next_verdicts[guard][is - RELEASE_PASS]++;
        if (is == RELEASE_PASS)
            r->failing_ms[guard] = 0;
        else if (is == RELEASE_FAIL && r->failing_ms[guard] == 0)
            r->failing_ms[guard] = clock_mono_ms();
    }
}

enum hoist_err release_take_round(struct releases *rs, const struct release_work *work,
                                  const struct release_round *round)
{
    struct release *r = releases_by_id(rs, round->id);
    if (!r)
        return HOIST_OK;
    r->asked_ms = 0;
    if (r->next.state == RELEASE_ENDED)
        return HOIST_OK;
    releases_count_standing(rs, r);
    count_verdicts(r, round);
    enum hoist_err err = see_overrides(r, work);
    if (!err)
        err = see_changes(r, work);
    return err ? err : tick(rs, r, work, round);
}

bool release_is_back(const struct release *r, const struct release_look *look)
{
    struct release_fleet f;
    if (r->record.state != RELEASE_ROLLING_BACK)
        return false;
    for (uint8_t i = 0; i < r->plan->env_count; i++) {
        if (!r->record.envs[i].touched)
            continue;
        if (!r->record.envs[i].version ||
            release_look_at_fleet(r, &r->record, look, i, &f) != HOIST_OK || f.lagging > 0)
            return false;
    }
    return true;
}
