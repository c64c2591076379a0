/* The message of a rollout: written from the plan, so that it tells what will be done. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "flag/json.h"
#include "flag/say.h"
#include "release/plan_file.h"

enum { MINUTE_MS = 60000 };

/* "2026-12-07 09:00 UTC": to the minute, for people. */
struct when {
    char text[32];
};

static struct when when(int64_t wall_ms)
{
    struct when out;
    char time[TEXT_TIME_SIZE];
    text_time(time, wall_ms - wall_ms % MINUTE_MS);
    snprintf(out.text, sizeof out.text, "%.10s %.5s UTC", time, time + 11);
    return out;
}

static void put_rule(struct buf *out, struct tree rule)
{
    struct json_writer w = JSON_WRITER(out, 0);
    buf_add_byte(out, '`');
    json_put_tree(&w, rule);
    buf_add_byte(out, '`');
}

/* ------------------------------------------------------------------ what, who */

static void put_what(const struct release_plan *plan, struct slice message, struct buf *out)
{
    buf_printf(out, "# %.*s\n\n", SLICE_ARG(plan->title));
    if (message.len)
        buf_printf(out, "%.*s\n\n", SLICE_ARG(message));
}

static void put_flags(const struct release_plan *plan, struct buf *out)
{
    buf_add_str(out, "## What changes\n\n");
    for (uint32_t i = 0; i < plan->flag_count; i++)
        buf_printf(out, "- `%.*s`: from `%.*s` to `%.*s`\n", SLICE_ARG(plan->flags[i].key),
                   SLICE_ARG(plan->flags[i].off), SLICE_ARG(plan->flags[i].on));
    buf_add_byte(out, '\n');
}

static void put_owners(const struct release_plan *plan, struct buf *out)
{
    buf_printf(out, "## Who\n\nThe release `%.*s` is %.*s's.\n\n", SLICE_ARG(plan->name),
               SLICE_ARG(plan->owner));
    for (uint32_t i = 0; i < RELEASE_PHASES; i++)
        buf_printf(out, "- %.*s, %.*s: %.*s\n", SLICE_ARG(plan->phases[i].task),
                   SLICE_ARG(plan->phases[i].title), SLICE_ARG(plan->phases[i].owner));
    buf_add_byte(out, '\n');
}

/* ------------------------------------------------------------------ when */

static void put_reach(const struct release_step *s, bool users, struct buf *out)
{
    if (s->cohort.count && users) {
        buf_add_str(out, "a first group");
    } else if (s->cohort.count) {
        buf_add_str(out, "whoever meets ");
        put_rule(out, s->cohort);
    } else if (s->share == RELEASE_EVERYBODY) {
        buf_add_str(out, "everybody");
    } else {
        buf_printf(out, "%s %%", release_percent(s->share).text);
    }
}

static enum hoist_err put_times(const struct release_plan *plan, bool users, int64_t from_ms,
                                struct buf *out)
{
    struct release_times times[RELEASE_STEPS_MAX];
    const struct release_phase_head *head = &plan->phases[RELEASE_PRODUCTION];
    release_plan_times(plan, from_ms, times);
    buf_add_str(out,
                "## When\n\nAt the earliest; each step waits until the one before it has proved "
                "good.\n\n| from | who has it |\n|---|---|\n");
    for (uint32_t i = head->first; i < head->first + head->count; i++) {
        if (!release_step_changes(&plan->steps[i]))
            continue;
        buf_printf(out, "| %s | ", when(times[i].begins_ms).text);
        put_reach(&plan->steps[i], users, out);
        buf_add_str(out, " |\n");
    }
    buf_add_byte(out, '\n');
    return buf_err(out);
}

/* ------------------------------------------------------------------ how to undo, whom to call */

static void put_undo(const struct release_plan *plan, struct buf *out)
{
    const struct release_phase_head *head = &plan->phases[RELEASE_PRODUCTION];
    buf_add_str(out, "## How to undo\n\nNo deployment: every host has it back within seconds.\n\n"
                     "    # all of it, back to what was before the release\n");
    buf_printf(out, "    flagctl release abort %s -m 'WHY'\n", shell_word(plan->name).text);
    for (uint32_t i = 0; i < plan->flag_count && head->env != RELEASE_NO_ENV; i++) {
        if (i == 0)
            buf_add_str(out, "    # one flag off, whatever else goes on, until: flagctl restore\n");
        buf_printf(out, "    flagctl kill %s --env %s --variant %s -m 'WHY'\n",
                   shell_word(plan->flags[i].key).text, shell_word(plan->envs[head->env]).text,
                   shell_word(plan->flags[i].off).text);
    }
    buf_printf(out, "\nHow it stands: `flagctl release status %s`\n\n",
               shell_word(plan->name).text);
}

/* Users undo nothing, and need not. */
static void put_undo_for_users(struct buf *out)
{
    buf_add_str(out, "## If something is wrong\n\nTell whoever is named below. It can be taken "
                     "back for everybody within "
                     "seconds; there is nothing to install or to undo on your side.\n\n");
}

static void put_guards(const struct release_plan *plan, struct buf *out)
{
    buf_add_str(out, "## What is watched\n\n");
    for (uint32_t i = 0; i < plan->guard_count; i++) {
        const struct release_guard *g = &plan->guards[i];
        struct slice title = g->title.len ? g->title : g->name;
        buf_printf(out, "- %.*s: good while %s", SLICE_ARG(title),
                   release_bound_text(g->pass).text);
        if (g->critical.op != RELEASE_ANY)
            buf_printf(out, ", ended at once when %s", release_bound_text(g->critical).text);
        buf_add_str(out, g->hold ? "; else it waits\n" : "; else it is undone\n");
    }
    buf_add_byte(out, '\n');
}

static void put_contact(const struct release_plan *plan, bool users, struct buf *out)
{
    buf_printf(out, "## Whom to call\n\n%.*s\n", SLICE_ARG(plan->contact));
    if (users || plan->coverage_count == 0)
        return;
    buf_add_str(out, "\n| from | to | who |\n|---|---|---|\n");
    for (uint32_t i = 0; i < plan->coverage_count; i++) {
        const struct release_cover *c = &plan->coverage[i];
        buf_printf(out, "| %s | %s | %.*s |\n", when(c->from_ms).text, when(c->to_ms).text,
                   SLICE_ARG(c->who));
    }
}

enum hoist_err release_announce(const struct release_plan *plan, enum release_audience audience,
                                int64_t from_ms, struct buf *out)
{
    bool users = audience == RELEASE_FOR_USERS;
    put_what(plan, users ? plan->announce_users : plan->announce_support, out);
    if (!users) {
        put_flags(plan, out);
        put_owners(plan, out);
    }
    enum hoist_err err = put_times(plan, users, from_ms, out);
    if (err)
        return err;
    if (users) {
        put_undo_for_users(out);
    } else {
        put_undo(plan, out);
        put_guards(plan, out);
    }
    put_contact(plan, users, out);
    return buf_err(out);
}
