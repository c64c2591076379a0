/* release plan: what a plan does, when, and how to come back; and how things stand now. */
#include <string.h>

#include "base/mem.h"
#include "flag/say.h"
#include "release_plan.h"

/* ------------------------------------------------------------------ who is asked */

/* Nobody need answer: a plan is read before there is anything to ask. */
static void ask_all(struct shown_plan *s)
{
    struct call *c = s->call;
    s->asked = !source_is_absent(c);
    for (uint32_t i = 0; i < s->plan->env_count && s->asked; i++) {
        const char *env = (const char *)s->plan->envs[i].ptr;
        ask(c, "fleet", json_pack("{ss}", "env", env), &s->fleet[i]);
        if (s->fleet[i].exit == EXIT_NO_ANSWER)
            break;
        ask(c, "list", json_pack("{ss}", "env", env), &s->list[i]);
    }
}

/* ------------------------------------------------------------------ what is shown */

const json_t *shown_flag(const json_t *list, struct slice key)
{
    size_t i;
    json_t *flag;
    json_array_foreach(json_object_get(list, "flags"), i, flag)
    {
        if (slice_eq(key, slice_str(text_of(flag, "key"))))
            return flag;
    }
    return NULL;
}

const char *shown_error(const struct reply *r)
{
    return text_of(json_object_get(r->body, "error"), "message");
}

bool shown_is_covered(const struct shown_plan *s)
{
    const struct release_plan *plan = s->plan;
    const struct release_phase_head *watch = &plan->phases[RELEASE_WATCH];
    if (watch->count == 0)
        return true;
    return plan->coverage_count && plan->coverage[0].from_ms <= s->times[watch->first].begins_ms &&
           plan->coverage[plan->coverage_count - 1].to_ms >= s->finish_ms;
}

void shown_undo(const struct release_plan *plan, struct buf *out)
{
    buf_printf(out, "flagctl release abort %s -m WHY\n", shell_word(plan->name).text);
    for (uint32_t env = 0; env < plan->env_count; env++) {
        for (uint32_t i = 0; i < plan->flag_count; i++)
            buf_printf(out, "flagctl kill %s --env %s --variant %s -m WHY\n",
                       shell_word(plan->flags[i].key).text, shell_word(plan->envs[env]).text,
                       shell_word(plan->flags[i].off).text);
        buf_printf(out, "flagctl fleet --behind --env %s\n", shell_word(plan->envs[env]).text);
    }
}

/* ------------------------------------------------------------------ the whole */

/* One that was named should have answered; else nobody need be there. */
static int exit_of(const struct shown_plan *s)
{
    bool named = options_get(s->call->options, "primary") || options_get(s->call->options, "join");
    return named && s->plan->env_count && s->fleet[0].exit == EXIT_NO_ANSWER ? EXIT_NO_ANSWER
                                                                             : EXIT_DONE;
}

/* Where a Prometheus was named. False: that was wrong, and was shown. */
static bool ask_guards(struct shown_plan *s, int *ret_exit)
{
    s->guards_asked = options_get(s->call->options, "prometheus") != NULL;
    return !s->guards_asked || release_ask_guards(s->call, s->plan, s->answers, ret_exit);
}

int release_show_plan(struct call *c, const struct release_plan *plan)
{
    struct shown_plan *s = mem_zalloc(1, sizeof *s);
    int exit = EXIT_INPUT;
    if (!s)
        return show_failure(c, EXIT_NO, "no-memory", NULL, "out of memory");
    s->call = c;
    s->plan = plan;
    if (release_start_read(c, &s->from_ms) != HOIST_OK) {
        exit = show_failure(c, EXIT_INPUT, "input", "write a time in UTC: 2026-12-07T08:00:00Z",
                            "--from: '%s' is no time", options_get(c->options, "from"));
    } else if (ask_guards(s, &exit) && source_choose(c, true)) {
        release_plan_times(plan, s->from_ms, s->times);
        s->finish_ms = s->times[plan->step_count - 1].ends_ms;
        ask_all(s);
        if (c->json)
            shown_plan_json(s);
        else
            shown_plan_text(s);
        exit = exit_of(s);
    }
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++) {
        reply_done(&s->fleet[i]);
        reply_done(&s->list[i]);
    }
    mem_free(s);
    return exit;
}
