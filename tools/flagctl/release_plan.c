/* release plan: what a plan does, when, and how to come back; and how things stand now. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/say.h"
#include "flagctl.h"

enum { ANSWER_MAX = 64 << 20, UNDO_MAX = 64 << 10 };

struct shown_plan {
    struct call *call;
    const struct release_plan *plan;
    struct release_times times[RELEASE_STEPS_MAX];
    int64_t from_ms, finish_ms;
    struct reply fleet[RELEASE_ENVS_MAX]; /* of a primary; body NULL: it was not asked */
    struct reply list[RELEASE_ENVS_MAX];
    bool asked;
    bool guards_asked; /* of a Prometheus */
    struct prometheus_answer answers[RELEASE_GUARDS_MAX];
};

static const char *time_text(char out[TEXT_TIME_SIZE], int64_t ms)
{
    text_time(out, ms);
    return out;
}

/* ------------------------------------------------------------------ the primary */

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

static const json_t *find_flag(const json_t *list, struct slice key)
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

static const char *error_of(const struct reply *r)
{
    return text_of(json_object_get(r->body, "error"), "message");
}

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
        printf("%s\n", *error_of(fleet) ? error_of(fleet) : "no answer");
        return;
    }
    printf("%" PRIu64 " hosts current, %" PRIu64 " behind, %" PRIu64 " silent, %" PRIu64
           " refusing, at v%" PRIu64 "\n",
           number_of(counts, "current"), number_of(counts, "behind"), number_of(counts, "silent"),
           number_of(counts, "refusing"), number_of(fleet->body, "head"));
    for (uint32_t i = 0; i < s->plan->flag_count; i++)
        print_flag(s->call, &s->plan->flags[i], find_flag(list->body, s->plan->flags[i].key));
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

/* ------------------------------------------------------------------ steps */

static void print_rule(const struct release_plan *plan, uint32_t step)
{
    struct buf json = BUF_INIT(ANSWER_MAX);
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

/* When the watch would be, beside when somebody is there for it. */
static bool is_covered(const struct shown_plan *s)
{
    const struct release_plan *plan = s->plan;
    const struct release_phase_head *watch = &plan->phases[RELEASE_WATCH];
    if (watch->count == 0)
        return true;
    return plan->coverage_count && plan->coverage[0].from_ms <= s->times[watch->first].begins_ms &&
           plan->coverage[plan->coverage_count - 1].to_ms >= s->finish_ms;
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
    if (!is_covered(s))
        printf("  %snobody is there for all of the watch%s, %.16sZ to %.16sZ\n",
               look(s->call, LOOK_BAD), look(s->call, LOOK_PLAIN),
               time_text(from, s->times[plan->phases[RELEASE_WATCH].first].begins_ms),
               time_text(to, s->finish_ms));
}

/* The commands that take it back, a line each, from the widest on. */
static void put_undo(const struct release_plan *plan, struct buf *out)
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

static void print_undo(const struct release_plan *plan)
{
    struct buf text = BUF_INIT(UNDO_MAX);
    put_undo(plan, &text);
    printf(
        "\nThe way back: abort takes all of it back; kill one flag, whatever else goes on; fleet "
        "says who\nhas not got it yet\n");
    for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1)
        printf("    %.*s\n", (int)strcspn(line, "\n"), line);
    buf_done(&text);
}

static void print_text(const struct shown_plan *s)
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

/* ------------------------------------------------------------------ JSON */

static void put_step(struct json_writer *w, const struct shown_plan *s, uint32_t step)
{
    struct arena arena = {0};
    struct tree rule;
    json_object_begin(w);
    json_key(w, "number");
    json_put_u64(w, step + 1);
    json_key(w, "phase");
    json_put_str(w, release_phase_name(s->plan->steps[step].phase));
    json_key(w, "begins");
    json_put_time(w, s->times[step].begins_ms);
    json_key(w, "ends");
    json_put_time(w, s->times[step].ends_ms);
    json_key(w, "rules");
    json_object_begin(w);
    for (uint32_t i = 0; i < s->plan->flag_count && release_step_changes(&s->plan->steps[step]);
         i++)
        if (release_plan_rule(s->plan, step, i, &arena, &rule) == HOIST_OK && rule.count) {
            json_key_slice(w, s->plan->flags[i].key);
            json_put_tree(w, rule);
        }
    json_object_end(w);
    json_object_end(w);
    arena_done(&arena);
}

/* What the primary says of an environment, or why it says nothing. */
static void put_env(struct json_writer *w, const struct shown_plan *s, uint32_t env)
{
    const json_t *hosts = json_object_get(s->fleet[env].body, "counts");
    char *counts = hosts ? value_text(hosts, false) : NULL;
    json_object_begin(w);
    json_key(w, "env");
    json_put_slice(w, s->plan->envs[env]);
    json_key(w, "error");
    json_put_str(w, *error_of(&s->fleet[env]) ? error_of(&s->fleet[env]) : NULL);
    json_key(w, "hosts");
    json_put_raw(w, slice_str(counts ? counts : "null"));
    json_key(w, "flags");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->flag_count; i++) {
        const json_t *flag = find_flag(s->list[env].body, s->plan->flags[i].key);
        char *text = flag ? value_text(flag, false) : NULL;
        if (text)
            json_put_raw(w, slice_str(text));
        mem_free(text);
    }
    json_array_end(w);
    json_object_end(w);
    mem_free(counts);
}

static void put_undo_list(struct json_writer *w, const struct release_plan *plan)
{
    struct buf text = BUF_INIT(UNDO_MAX);
    put_undo(plan, &text);
    json_key(w, "rollback");
    json_array_begin(w);
    for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1)
        json_put_slice(w, slice_of(line, strcspn(line, "\n")));
    json_array_end(w);
    buf_done(&text);
}

static void print_object(const struct shown_plan *s)
{
    struct buf text = BUF_INIT(ANSWER_MAX), canonical = BUF_INIT(RELEASE_CANONICAL_MAX);
    struct json_writer writer = JSON_WRITER(&text, 0), *w = &writer;
    enum hoist_err err = release_plan_canonical(s->plan, &canonical);
    json_object_begin(w);
    json_key(w, "release");
    json_put_slice(w, s->plan->name);
    json_key(w, "hash");
    json_put_hex(w, slice_of(s->plan->hash, HASH_SIZE));
    json_key(w, "plan");
    json_put_raw(w, err ? SLICE("null") : buf_slice(&canonical));
    json_key(w, "from");
    json_put_time(w, s->from_ms);
    json_key(w, "finish");
    json_put_time(w, s->finish_ms);
    json_key(w, "covered");
    json_put_bool(w, is_covered(s));
    json_key(w, "steps");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->step_count; i++)
        put_step(w, s, i);
    json_array_end(w);
    put_undo_list(w, s->plan);
    if (s->guards_asked)
        release_put_answers(w, s->plan, s->answers);
    json_key(w, "environments");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->env_count && s->asked; i++)
        put_env(w, s, i);
    json_array_end(w);
    json_object_end(w);
    puts(buf_str(&text));
    buf_done(&text);
    buf_done(&canonical);
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
            print_object(s);
        else
            print_text(s);
        exit = exit_of(s);
    }
    for (uint32_t i = 0; i < RELEASE_ENVS_MAX; i++) {
        reply_done(&s->fleet[i]);
        reply_done(&s->list[i]);
    }
    mem_free(s);
    return exit;
}
