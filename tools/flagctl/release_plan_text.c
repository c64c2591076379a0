/* release plan, for people. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "flag/say.h"
#include "release_plan.h"

static const char *time_text(char out[TEXT_TIME_SIZE], int64_t ms)
{
    text_time(out, ms);
    return out;
}

/* ------------------------------------------------------------------ steps */

static void print_rule(const struct release_plan *plan, uint32_t step)
{
    struct buf json = BUF_INIT(SHOWN_MAX);
    struct json_writer w = JSON_WRITER(&json, 0);
    struct arena arena = {0};
    struct tree rule;
    if (release_plan_rule(plan, step, 0, &arena, &rule) == HOIST_OK && rule.count)
        json_put_tree(&w, rule);
    printf("      rule of %.*s: %s\n", SLICE_ARG(plan->flags[0].key), buf_str(&json));
    buf_done(&json);
    arena_done(&arena);
}

static void print_change(const struct release_plan *plan, uint32_t step)
{
    const struct release_step *s = &plan->steps[step];
    if (!release_step_changes(s)) {
        puts("no change");
        return;
    }
    if (s->cohort.count)
        printf("a cohort");
    else
        printf("%s %%", release_percent(s->share).text);
    printf(" of %.*s\n", SLICE_ARG(plan->envs[s->env]));
    print_rule(plan, step);
}

static void print_guards(const struct release_plan *plan, uint32_t guards)
{
    const char *between = "";
    if ((uint32_t)__builtin_popcount(guards) == plan->guard_count) {
        printf("all guards");
        return;
    }
    for (uint32_t i = 0; i < plan->guard_count; i++)
        if (guards & 1U << i) {
            printf("%s%.*s", between, SLICE_ARG(plan->guards[i].name));
            between = ", ";
        }
}

static void print_signs(const struct release_plan *plan, const struct release_step *s)
{
    for (uint32_t i = 0; i < s->sign_count; i++) {
        const struct release_role *role = &plan->roles[s->signs[i].role];
        printf("      signature of %.*s (", SLICE_ARG(role->name));
        for (uint32_t k = 0; k < role->people_count; k++)
            printf("%s%.*s", k ? ", " : "", SLICE_ARG(plan->people[role->people[k]]));
        printf("): %.*s\n", SLICE_ARG(s->signs[i].statement));
    }
}

static void print_checks(const struct release_plan *plan, const struct release_step *s)
{
    for (uint32_t i = 0; i < plan->check_count; i++) {
        const struct release_check *check = &plan->checks[i];
        if (!(s->checks & 1ULL << i))
            continue;
        printf("      check %.*s:", SLICE_ARG(check->name));
        for (uint32_t k = 0; k < check->argc; k++)
            printf(" %s", shell_word(check->argv[k]).text);
        puts(check->argc ? "" : " built in");
    }
}

static void print_waits(const struct release_plan *plan, const struct release_step *s)
{
    print_checks(plan, s);
    print_signs(plan, s);
    if (s->soak_ms) {
        printf("      soak %s, with ", release_span(s->soak_ms).text);
        print_guards(plan, s->guards);
        putchar('\n');
    }
    if (s->exposed)
        printf("      %" PRIu64 " evaluations that yield the new variant\n", s->exposed);
    if (s->env != RELEASE_NO_ENV && plan->max_silent)
        printf("      every live host has it, and %u at most are silent\n", plan->max_silent);
    else if (s->env != RELEASE_NO_ENV)
        puts("      every host has it, and none is silent");
}

static void print_phase(const struct shown_plan *s, enum release_phase phase)
{
    const struct release_plan *plan = s->plan;
    const struct release_phase_head *head = &plan->phases[phase];
    char time[TEXT_TIME_SIZE];
    printf("\n%s%.*s  %.*s%s  %.*s", look(s->call, LOOK_KEY), SLICE_ARG(head->task),
           SLICE_ARG(head->title), look(s->call, LOOK_PLAIN), SLICE_ARG(head->owner));
    if (head->window.from != head->window.to)
        printf("; steps begin %s", release_window_text(head->window).text);
    putchar('\n');
    if (head->count == 0)
        puts("  nothing to do");
    for (uint32_t i = head->first; i < head->first + head->count; i++) {
        printf("  %2u  %.16sZ  ", i + 1, time_text(time, s->times[i].begins_ms));
        print_change(plan, i);
        print_waits(plan, &plan->steps[i]);
    }
}

/* ------------------------------------------------------------------ what goes with them */

static void print_guard_list(const struct shown_plan *s)
{
    const struct release_plan *plan = s->plan;
    printf("\nGuards, each %s; aborted after %u FAIL in a row\n",
           release_span(plan->interval_ms).text, plan->abort_after);
    for (uint32_t i = 0; i < plan->guard_count; i++) {
        const struct release_guard *g = &plan->guards[i];
        printf("  %.*s  passes %s%s%s%s\n      %.*s\n", SLICE_ARG(g->name),
               release_bound_text(g->pass).text, g->critical.op ? ", critical " : "",
               g->critical.op ? release_bound_text(g->critical).text : "", g->hold ? ", holds" : "",
               SLICE_ARG(g->query));
        if (!s->guards_asked)
            continue;
        printf("      now ");
        release_print_answer(s->call, g, &s->answers[i]);
    }
    for (uint32_t i = 0; i < plan->alert_count; i++)
        printf("%s%.*s%s", i ? ", " : "Alerts that abort: ", SLICE_ARG(plan->alerts[i]),
               i + 1 == plan->alert_count ? "\n" : "");
}

static void print_coverage(const struct shown_plan *s)
{
    const struct release_plan *plan = s->plan;
    char from[TEXT_TIME_SIZE], to[TEXT_TIME_SIZE];
    if (plan->coverage_count)
        printf("\nWho is there\n");
    for (uint32_t i = 0; i < plan->coverage_count; i++)
        printf("  %.16sZ  %.16sZ  %.*s\n", time_text(from, plan->coverage[i].from_ms),
               time_text(to, plan->coverage[i].to_ms), SLICE_ARG(plan->coverage[i].who));
    if (!shown_is_covered(s))
        printf("  %snobody is there for all of the watch%s, %.16sZ to %.16sZ\n",
               look(s->call, LOOK_BAD), look(s->call, LOOK_PLAIN),
               time_text(from, s->times[plan->phases[RELEASE_WATCH].first].begins_ms),
               time_text(to, s->finish_ms));
}

static void print_undo(const struct release_plan *plan)
{
    struct buf text = BUF_INIT(SHOWN_MAX);
    shown_undo(plan, &text);
    printf(
        "\nThe way back: abort takes all of it back; kill one flag, whatever else goes on; fleet "
        "says who\nhas not got it yet\n");
    for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1) {
        fputs("    ", stdout);
        fwrite(line, 1, strcspn(line, "\n"), stdout);
        putchar('\n');
    }
    buf_done(&text);
}

/* ------------------------------------------------------------------ how things stand */

static void print_flag(const struct call *c, const struct release_flag *f, const json_t *now)
{
    printf("    %s%.*s%s  ", look(c, LOOK_KEY), SLICE_ARG(f->key), look(c, LOOK_PLAIN));
    if (!now) {
        puts("is not there");
        return;
    }
    printf("%s%s", *text_of(now, "variant") ? text_of(now, "variant") : "no variant",
           json_is_true(json_object_get(now, "targeting")) ? ", with a rule" : "");
    if (*text_of(now, "override"))
        printf(", killed: %s", text_of(now, "override"));
    putchar('\n');
}

static void print_env(const struct shown_plan *s, uint32_t env)
{
    const struct reply *fleet = &s->fleet[env], *list = &s->list[env];
    const json_t *counts = json_object_get(fleet->body, "counts");
    printf("  %.*s: ", SLICE_ARG(s->plan->envs[env]));
    if (!counts) {
        printf("%s\n", *shown_error(fleet) ? shown_error(fleet) : "no answer");
        return;
    }
    printf("%" PRIu64 " hosts current, %" PRIu64 " behind, %" PRIu64 " silent, %" PRIu64
           " refusing, at v%" PRIu64 "\n",
           number_of(counts, "current"), number_of(counts, "behind"), number_of(counts, "silent"),
           number_of(counts, "refusing"), number_of(fleet->body, "head"));
    for (uint32_t i = 0; i < s->plan->flag_count; i++)
        print_flag(s->call, &s->plan->flags[i], shown_flag(list->body, s->plan->flags[i].key));
}

static void print_now(const struct shown_plan *s)
{
    printf("\nNow\n");
    if (!s->asked)
        puts("  there is no primary on this machine; --primary names another");
    for (uint32_t i = 0; i < s->plan->env_count && s->asked; i++) {
        print_env(s, i);
        if (s->fleet[i].exit == EXIT_NO_ANSWER)
            break;
    }
}

/* ------------------------------------------------------------------ the whole */

void shown_plan_text(const struct shown_plan *s)
{
    const struct release_plan *plan = s->plan;
    char time[TEXT_TIME_SIZE], hash[2 * HASH_SIZE + 1];
    text_hex(hash, slice_of(plan->hash, HASH_SIZE));
    printf("%s%.*s%s  %.*s\nowner %.*s, author %.*s, plan %s\n", look(s->call, LOOK_KEY),
           SLICE_ARG(plan->name), look(s->call, LOOK_PLAIN), SLICE_ARG(plan->title),
           SLICE_ARG(plan->owner), SLICE_ARG(plan->author), hash);
    for (uint32_t i = 0; i < plan->flag_count; i++)
        printf("%s%.*s: %.*s, then %.*s\n", i ? "  " : "\nFlags\n  ", SLICE_ARG(plan->flags[i].key),
               SLICE_ARG(plan->flags[i].off), SLICE_ARG(plan->flags[i].on));
    for (int phase = 0; phase < RELEASE_PHASES; phase++)
        print_phase(s, (enum release_phase)phase);
    printf("\nFinished %.16sZ at the earliest: nobody is waited for, and nothing fails\n",
           time_text(time, s->finish_ms));
    print_guard_list(s);
    print_coverage(s);
    print_undo(plan);
    print_now(s);
}
