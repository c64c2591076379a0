/* An event of a release: its row, and what it does to flags. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/edit.h"
#include "primary/command_int.h"
#include "primary/query_int.h"
#include "primary/releases.h"
#include "release/plan_file.h"
#include "release/say.h"
#include "wire/record.h"

/* ------------------------------------------------------------------ clocks */

/* Which start of the machine this is; where it does not say, which start of this program. */
static uint64_t boot_of(void)
{
    uint64_t boot = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &boot, sizeof boot) != sizeof boot)
        hash_random(&boot, sizeof boot);
    if (fd >= 0)
        close(fd);
    return boot | 1;
}

struct release_event release_event_now(enum release_event_kind kind, int64_t wall_ms)
{
    static _Atomic uint64_t boot; /* 0: not known yet */
    struct timespec t;
    if (!boot)
        boot = boot_of();
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (struct release_event){.kind = kind,
                                  .wall_ms = wall_ms,
                                  .boot = boot,
                                  .boot_ms =
                                      (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000};
}

/* ------------------------------------------------------------------ definitions */

static void env_name(const struct release_plan *plan, uint32_t env,
                     char out[STORE_ENV_NAME_MAX + 1])
{
    snprintf(out, STORE_ENV_NAME_MAX + 1, "%.*s", SLICE_ARG(plan->envs[env]));
}

static enum hoist_err add_definition(struct store_read *r, const struct store_env *env,
                                     struct slice key, struct hash_stream *h)
{
    struct slice record;
    struct buf plain = BUF_INIT(FLAG_RECORD_MAX);
    uint8_t digest[HASH_SIZE] = {0};
    enum hoist_err err = store_record_get(r, env->id, key, &record);
    if (err == HOIST_OK)
        err = record_override(record, FLAG_NO_VARIANT, &plain);
    if (err == HOIST_OK)
        hash_blake2b(digest, buf_slice(&plain));
    if (err == HOIST_OK || err == HOIST_ENOTFOUND)
        hash_add(h, digest, sizeof digest); /* zero: there is no such flag */
    buf_done(&plain);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

enum hoist_err release_definitions(const struct release_plan *plan, struct store_read *r,
                                   uint8_t ret[HASH_SIZE])
{
    struct hash_stream h;
    enum hoist_err err = HOIST_OK;
    hash_begin(&h);
    for (uint32_t i = 0; i < plan->env_count && !err; i++) {
        char name[STORE_ENV_NAME_MAX + 1];
        struct store_env env;
        env_name(plan, i, name);
        err = store_env_get(r, name, &env);
        for (uint32_t k = 0; k < plan->flag_count && !err; k++)
            err = add_definition(r, &env, plan->flags[k].key, &h);
    }
    if (!err)
        hash_end(&h, ret);
    return err;
}

/* ------------------------------------------------------------------ rows */

/* For the log, once it is committed. Where there is no memory for them, the rows say the same. */
static void keep_lines(struct release *r, const struct release_effects *fx)
{
    for (uint32_t i = 0; i < fx->line_count; i++) {
        buf_add_byte(&r->lines, fx->lines[i].page ? LOG_WARN : LOG_INFO);
        buf_add(&r->lines, fx->lines[i].text, strlen(fx->lines[i].text) + 1);
    }
}

/* The event alone. */
static enum hoist_err put_event(struct release *r, struct store_write *w,
                                const struct release_event *event, struct release_effects *ret)
{
    struct buf row = BUF_INIT(RELEASE_ROW_MAX);
    struct release_record record = r->next;
    struct release_event back;
    release_step(r->plan, &record, event, ret);
    if (ret->refused[0])
        return HOIST_OK;
    enum hoist_err err = release_event_encode(event, &row);
    if (!err)
        err = release_event_decode(buf_slice(&row), &back); /* as the next start will */
    if (!err)
        err = store_release_put(w, r->id, r->next_sequence, buf_slice(&row));
    buf_done(&row);
    if (err)
        return err;
    r->next = record;
    r->next_sequence++;
    keep_lines(r, ret);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ what it does */

static enum hoist_err plan_forward(const struct release *r, uint32_t step, uint32_t flag,
                                   struct plan *p)
{
    struct flag *old = NULL, *new = NULL;
    struct arena arena = {0};
    struct tree rule;
    enum hoist_err err = plan_present(p, r->plan->flags[flag].key, &old);
    if (!err && old)
        err = release_plan_rule(r->plan, step, flag, &arena, &rule);
    if (!err && old) {
        new = flag_edit_targeting(old, rule);
        err = new ? plan_put(p, new) : err_set(HOIST_ENOMEM, "out of memory");
    }
    flag_free(old);
    flag_free(new);
    arena_done(&arena);
    return err;
}

/* As a plan wants its flags at the start: without a rule. */
static enum hoist_err plan_without_rule(struct plan *p, struct slice key)
{
    struct flag *old = NULL, *new = NULL;
    enum hoist_err err = plan_present(p, key, &old);
    if (!err && old) {
        new = flag_edit_targeting(old, (struct tree){0});
        err = new ? plan_put(p, new) : err_set(HOIST_ENOMEM, "out of memory");
    }
    flag_free(old);
    flag_free(new);
    return err;
}

/* As it was at the start; without a rule where the log has been cut behind that, or cannot be read. */
static enum hoist_err plan_baseline(const struct release *r, uint8_t env, uint32_t flag,
                                    struct plan *p, struct plan_names *left)
{
    struct slice key = r->plan->flags[flag].key;
    if (p->env->log_first > r->next.envs[env].baseline + 1)
        return plan_without_rule(p, key);
    enum hoist_err err = plan_back(p, key, r->next.envs[env].baseline, false, left);
    if (!err || err == HOIST_ENOMEM)
        return err;
    log_warn(
        "primary: release %.*s: what flag '%.*s' of %s was at the start cannot be read: %s; its "
        "rule is taken out",
        SLICE_ARG(r->plan->name), SLICE_ARG(key), p->env->name, err_last());
    return plan_without_rule(p, key);
}

/* What is new goes through the checks of any change. */
static enum hoist_err plan_step(const struct release *r, uint32_t step, struct plan *p)
{
    char mend[512] = "";
    enum hoist_err err = HOIST_OK;
    for (uint32_t i = 0; i < r->plan->flag_count && !err; i++)
        err = plan_forward(r, step, i, p);
    return err ? err : plan_check(p, false, mend, sizeof mend);
}

/* Nothing may hold the way back up, and no flag another. False in *ret_whole: one stays as it is, since it
 * cannot be read. */
static enum hoist_err plan_way_back(const struct release *r, uint8_t env, struct plan *p,
                                    bool *ret_whole)
{
    struct plan_names left = {0};
    enum hoist_err err = HOIST_OK;
    *ret_whole = true;
    for (uint32_t i = 0; i < r->plan->flag_count && err != HOIST_ENOMEM; i++) {
        err = plan_baseline(r, env, i, p, &left);
        if (!err || err == HOIST_ENOMEM)
            continue;
        *ret_whole = false;
        log_error("primary: release %.*s: a flag of %s cannot be set back, the others are: %s; see "
                  "flagctl fsck",
                  SLICE_ARG(r->plan->name), p->env->name, err_last());
    }
    mem_free(left.keys);
    plan_sort(p);
    return err == HOIST_ENOMEM ? err : HOIST_OK;
}

static void say_change(const struct release *r, uint32_t step, char out[RELEASE_SAID_SIZE + 32])
{
    char said[RELEASE_SAID_SIZE];
    if (step == RELEASE_BASELINE) {
        snprintf(out, RELEASE_SAID_SIZE + 32, "back to the baseline");
        return;
    }
    release_say_step(r->plan, step, said);
    snprintf(out, RELEASE_SAID_SIZE + 32, "%s", said);
}

static enum hoist_err put_flags(const struct release *r, const struct release_work *work,
                                uint8_t env_index, uint32_t step, struct store_env *env,
                                const struct plan *plan)
{
    struct answer *a = work->answer;
    char author[RELEASE_NAME_MAX + 16], message[RELEASE_SAID_SIZE + 32];
    snprintf(author, sizeof author, "release %.*s", SLICE_ARG(r->plan->name));
    say_change(r, step, message);
    bool back = step == RELEASE_BASELINE;
    struct change_header head = {.time_ms = work->wall_ms,
                                 .author = slice_str(author),
                                 .message = slice_str(message),
                                 .kind = back ? CHANGE_ROLLBACK : CHANGE_RELEASE,
                                 .restores = back ? r->next.envs[env_index].baseline : 0};
    buf_clear(&a->change);
    enum hoist_err err = command_put_plan(work->w, work->key, &head, env, plan, &a->change);
    if (err)
        return err;
    a->changed = true;
    snprintf(a->env, sizeof a->env, "%s", env->name);
    env->head = head.version;
    return HOIST_OK;
}

/* ECONFLICT: hosts have proved that they have changes which this store has not, and another one would be the
 * second of its version. */
static enum hoist_err check_set_back(const struct release_work *work, const struct store_env *env)
{
    char why[FLEET_WHY_SIZE];
    if (!work->fleet || !fleet_set_back(work->fleet, env->name, env->epoch, why))
        return HOIST_OK;
    return err_set(HOIST_ECONFLICT,
                   "%s; bring the newer store back, or go on from here: flagctl env epoch --new "
                   "--env %s",
                   why, env->name);
}

/* What has to go back stays as it is for now, and whoever waits for it is told. */
static void leave_undone(const struct release *r, const struct release_work *work)
{
    struct answer *a = work->answer;
    buf_clear(&a->body);
    a->exit = query_error(&a->body, EXIT_REFUSED, "set-back", NULL,
                          "then its flags go back by themselves", NULL,
                          "release %.*s is rolling back, and its flags cannot be changed: %s",
                          SLICE_ARG(r->plan->name), err_last());
    log_warn("primary: release %.*s: its flags are not set back: %s", SLICE_ARG(r->plan->name),
             err_last());
}

/* The edits that set the flags of one environment as `step` has them, all of them unless *ret_whole is
 * false; plan_done(), come what may. */
static enum hoist_err plan_move(const struct release *r, const struct release_work *work,
                                uint8_t index, uint32_t step, struct store_env *env,
                                struct plan *plan, bool *ret_whole)
{
    char name[STORE_ENV_NAME_MAX + 1];
    struct store_read *read = store_write_read(work->w);
    env_name(r->plan, index, name);
    plan_begin(plan, read, env);
    enum hoist_err err = store_env_get(read, name, env);
    if (err == HOIST_ENOTFOUND)
        err = err_set(err, "there is no environment %s", name);
    if (!err)
        err = check_set_back(work, env);
    *ret_whole = true;
    if (err)
        return err;
    return step == RELEASE_BASELINE ? plan_way_back(r, index, plan, ret_whole)
                                    : plan_step(r, step, plan);
}

/* Set them so, and put down which version that is. */
static enum hoist_err move_flags(struct release *r, const struct release_work *work, uint8_t index,
                                 uint32_t step)
{
    struct store_env env;
    struct plan plan;
    struct release_effects fx;
    bool whole;
    enum hoist_err err = plan_move(r, work, index, step, &env, &plan, &whole);
    if (!err && plan.count > 0)
        err = put_flags(r, work, index, step, &env, &plan);
    plan_done(&plan);
    if (err == HOIST_ECONFLICT && step == RELEASE_BASELINE) {
        leave_undone(r, work);
        return HOIST_OK;
    }
    if (err || !whole) /* the rest is asked for again */
        return err;
    struct release_event done = release_event_now(RELEASE_CHANGED, work->wall_ms);
    done.step = step;
    done.env = index;
    done.version = env.head;
    memcpy(done.bound.plan, r->plan->hash, HASH_SIZE);
    err = release_definitions(r->plan, store_write_read(work->w), done.bound.definitions);
    if (step == RELEASE_BASELINE && err != HOIST_ENOMEM)
        err = HOIST_OK; /* nobody signs for them any more */
    return err ? err : put_event(r, work->w, &done, &fx);
}

/* A transaction has one change. The engine asks again for those that are left. On the way back the last
 * environment is the first: it is where most people are. */
static enum hoist_err do_deed(struct release *r, const struct release_work *work,
                              const struct release_effects *fx)
{
    enum hoist_err err = HOIST_OK;
    if (fx->deed == RELEASE_DO_CHANGE)
        return move_flags(r, work, r->plan->steps[fx->step].env, fx->step);
    if (fx->deed != RELEASE_DO_BASELINE)
        return HOIST_OK;
    for (uint32_t i = r->plan->env_count; i-- > 0 && !err && !work->answer->changed;)
        if (fx->envs & 1u << i)
            err = move_flags(r, work, (uint8_t)i, RELEASE_BASELINE);
    return err;
}

/* The first event of this process: what was good before it does not count. */
static enum hoist_err put_restarted(struct release *r, const struct release_work *work)
{
    struct release_event e = release_event_now(RELEASE_RESTARTED, work->wall_ms);
    struct release_effects fx;
    if (!r->was_read || r->next_sequence != r->sequence || r->next.state == RELEASE_ENDED)
        return HOIST_OK;
    return put_event(r, work->w, &e, &fx);
}

/* Of a step whose change cannot be made: whether somebody has to mend something first. */
static bool is_for_people(enum hoist_err err)
{
    return err && err != HOIST_ENOMEM && err != HOIST_EIO;
}

static enum hoist_err try_change(const struct release *r, const struct release_work *work,
                                 uint32_t step)
{
    struct store_env env;
    struct plan plan;
    bool whole;
    if (r->no_room)
        return err_set(HOIST_ENOSPC, "the store has no room for it");
    enum hoist_err err = plan_move(r, work, r->plan->steps[step].env, step, &env, &plan, &whole);
    plan_done(&plan);
    return err;
}

/* Whether the change can be made with which this round would begin a step, before any of it is put.
 * The error's detail is for people. */
static enum hoist_err try_step(const struct release *r, const struct release_work *work,
                               const struct release_event *event)
{
    char said[RELEASE_SAID_SIZE];
    struct release_record then = r->next;
    struct release_effects fx;
    release_step(r->plan, &then, event, &fx);
    if (fx.deed != RELEASE_DO_CHANGE)
        return HOIST_OK;
    enum hoist_err err = try_change(r, work, fx.step);
    if (!err)
        return HOIST_OK;
    release_say_step(r->plan, fx.step, said);
    return err_prefix(err, "%s cannot begin", said);
}

/* It stands where it is and says why, until somebody has mended that and resumes it. */
static enum hoist_err stand(struct release *r, const struct release_work *work,
                            struct release_effects *ret)
{
    struct release_event held = release_event_now(RELEASE_HELD, work->wall_ms);
    held.by = SLICE("hoist");
    held.text = slice_str(err_last());
    if (held.text.len > RELEASE_TEXT_MAX)
        held.text.len = RELEASE_TEXT_MAX;
    while (!text_utf8(held.text)) /* a character was cut in two */
        held.text.len--;
    enum hoist_err err = put_event(r, work->w, &held, ret);
    work->answer->wrote |= !err;
    return err;
}

enum hoist_err release_take(struct release *r, const struct release_work *work,
                            const struct release_event *event, struct release_effects *ret)
{
    enum hoist_err err = put_restarted(r, work);
    if (!err && event->kind == RELEASE_TICK) {
        err = try_step(r, work, event);
        if (is_for_people(err))
            return stand(r, work, ret);
    }
    if (!err)
        err = put_event(r, work->w, event, ret);
    if (err || ret->refused[0])
        return err;
    work->answer->wrote = true;
    uint64_t sequence = r->next_sequence;
    err = do_deed(r, work, ret);
    if (err == HOIST_ENOSPC && ret->deed == RELEASE_DO_CHANGE)
        r->no_room = true; /* of which the next round tells, since this transaction will not stay */
    bool is_done = r->next_sequence > sequence;
    bool is_ready = r->next.state == RELEASE_MOVING && r->next.unmet == 0; /* but for a round */
    r->is_due |= is_done || (is_ready && event->kind != RELEASE_TICK);
    return err;
}

/* ------------------------------------------------------------------ hosts */

enum hoist_err release_look_at_fleet(const struct release *r, const struct release_record *record,
                                     const struct release_look *look, uint8_t env,
                                     struct release_fleet *ret)
{
    char name[STORE_ENV_NAME_MAX + 1];
    const struct roll *roll;
    struct store_env e;
    *ret = (struct release_fleet){.env = env, .version = record->envs[env].version};
    env_name(r->plan, env, name);
    if (!look->fleet || store_env_get(look->read, name, &e) != HOIST_OK)
        return HOIST_OK;
    if (!ret->version)
        ret->version = e.head;
    enum hoist_err err = rolls_get(look->rolls, look->fleet, &e, &roll);
    if (err)
        return err;
    ret->live = roll->live;
    ret->silent = roll->silent;
    ret->lagging = roll_lagging(roll, ret->version);
    return HOIST_OK;
}
