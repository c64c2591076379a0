/* release status --chain: the five tasks, each with its owner, what it waits for and what shows that it is done. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "release_run.h"

enum { EVENTS_MAX = 10000, CELL_MAX = 1 << 20 };

/* ------------------------------------------------------------------ as JSON */

/* The phase of a step, by number from 1. */
static bool is_in_phase(const json_t *phase, uint64_t step)
{
    uint64_t first = number_of(phase, "first_step");
    return step >= first && step < first + number_of(phase, "steps");
}

/* Whether a change that takes a release back undoes one of `events`. */
static bool undoes(const json_t *e, const json_t *events)
{
    const json_t *change;
    size_t i;
    if (strcmp(text_of(e, "event"), "changed") != 0 || strcmp(text_of(e, "step"), "baseline") != 0)
        return false;
    json_array_foreach(events, i, change)
    {
        if (strcmp(text_of(change, "event"), "changed") == 0 &&
            strcmp(text_of(change, "env"), text_of(e, "env")) == 0)
            return true;
    }
    return false;
}

/* What was signed, attested and changed for its steps, and set back. */
static json_t *evidence_of(const json_t *phase, const json_t *log)
{
    json_t *e, *out = json_array();
    size_t i;
    json_array_foreach(json_object_get(log, "events"), i, e)
    {
        const char *event = text_of(e, "event");
        bool counts = strcmp(event, "signed") == 0 || strcmp(event, "attested") == 0 ||
                      strcmp(event, "changed") == 0;
        if ((counts && is_in_phase(phase, number_of(e, "step"))) || undoes(e, out))
            json_array_append(out, e);
    }
    return out;
}

static void add_evidence(json_t *phases, const json_t *status, const json_t *log)
{
    size_t i;
    json_t *phase;
    json_array_foreach(phases, i, phase)
    {
        json_object_set_new(phase, "evidence", evidence_of(phase, log));
        bool here = is_in_phase(phase, number_of(status, "step")) &&
                    strcmp(text_of(phase, "state"), "done") != 0;
        json_object_set_new(phase, "waiting",
                            here ? json_copy(json_object_get(status, "waiting")) : json_array());
        json_object_set(phase, "cause", here ? json_object_get(status, "cause") : json_null());
    }
}

static void put_chain(const char *release, const char *state, json_t *phases)
{
    json_t *all = json_pack("{ss ss sO}", "release", release, "state", state, "chain", phases);
    char *text = value_text(all, false);
    puts(text ? text : "");
    mem_free(text);
    json_decref(all);
}

/* ------------------------------------------------------------------ as a table */

static void part(struct buf *cell)
{
    if (cell->len)
        buf_add_str(cell, "; ");
}

static void say_event(struct buf *cell, const json_t *e)
{
    const char *time = text_of(e, "time"), *by = text_of(e, "by");
    part(cell);
    if (strcmp(text_of(e, "step"), "baseline") == 0)
        buf_printf(cell, "the baseline is %s v%" PRIu64 " (%s)", text_of(e, "env"),
                   number_of(e, "version"), time);
    else if (strcmp(text_of(e, "event"), "changed") == 0)
        buf_printf(cell, "step %" PRIu64 " is %s v%" PRIu64 " (%s)", number_of(e, "step"),
                   text_of(e, "env"), number_of(e, "version"), time);
    else if (strcmp(text_of(e, "event"), "signed") == 0)
        buf_printf(cell, "%s signed by %s (%s)", text_of(e, "role"), by, time);
    else
        buf_printf(cell, "%s %s by %s (%s)", text_of(e, "check"),
                   json_is_true(json_object_get(e, "passed")) ? "passed" : "failed", by, time);
}

/* What was observed before a step was left. */
static void say_observed(struct buf *cell, const json_t *step)
{
    char soaked[SHOW_SPAN];
    show_span(soaked, number_of(step, "soak_ms"));
    if (!number_of(step, "soak_ms"))
        return;
    part(cell);
    buf_printf(cell, "step %" PRIu64 " soaked %s", number_of(step, "step"), soaked);
    if (number_of(step, "exposed"))
        buf_printf(cell, ", with %" PRIu64 " evaluations or more", number_of(step, "exposed"));
}

static void say_evidence(struct buf *cell, const json_t *phase)
{
    size_t i;
    json_t *e;
    if (*text_of(phase, "cause"))
        buf_printf(cell, "because of %s", text_of(phase, "cause"));
    json_array_foreach(json_object_get(phase, "waiting"), i, e)
    {
        part(cell);
        buf_add_str(cell, "waits for ");
        release_put_wait(cell, e);
    }
    json_array_foreach(json_object_get(phase, "evidence"), i, e)
    {
        say_event(cell, e);
    }
    json_array_foreach(json_object_get(phase, "observed"), i, e)
    {
        say_observed(cell, e);
    }
    if (number_of(phase, "steps") == 0)
        buf_add_str(cell, "it has no steps");
}

/* A bar would begin another column. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
    fputs(" |", stdout);
}

static void print_chain(const json_t *phases)
{
    static const char *const columns[] = {"task", "title", "owner", "depends_on", "state"};
    size_t i;
    json_t *p;
    puts("| task | title | owner | depends on | status | evidence |\n|---|---|---|---|---|---|");
    json_array_foreach(phases, i, p)
    {
        struct buf cell = BUF_INIT(CELL_MAX);
        putchar('|');
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
            putchar(' ');
            print_cell(*text_of(p, columns[k]) ? text_of(p, columns[k]) : "-");
        }
        say_evidence(&cell, p);
        putchar(' ');
        print_cell(buf_str(&cell));
        putchar('\n');
        buf_done(&cell);
    }
}

/* ------------------------------------------------------------------ of a release, of a plan */

int release_show_chain(struct call *c, const json_t *status, int exit)
{
    struct reply log;
    json_t *phases = json_object_get(status, "phases");
    ask(c, "release_log",
        json_pack("{ss si}", "release", text_of(status, "release"), "limit", EVENTS_MAX), &log);
    if (!show_if_error(c, &log, &exit)) {
        add_evidence(phases, status, log.body);
        if (c->json)
            put_chain(text_of(status, "release"), text_of(status, "state"), phases);
        else
            print_chain(phases);
    }
    reply_done(&log);
    return exit;
}

static json_t *json_slice(struct slice s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

/* What its steps will ask of people. */
static json_t *asked_of(const struct release_plan *plan, const struct release_phase_head *head)
{
    json_t *out = json_array();
    for (uint32_t i = head->first; i < head->first + head->count; i++) {
        const struct release_step *s = &plan->steps[i];
        for (uint64_t left = s->checks; left; left &= left - 1)
            json_array_append_new(
                out, json_pack("{ss so}", "condition", "check", "text",
                               json_sprintf("check %.*s",
                                            SLICE_ARG(plan->checks[__builtin_ctzll(left)].name))));
        for (uint32_t n = 0; n < s->sign_count; n++)
            json_array_append_new(
                out, json_pack("{ss so}", "condition", "sign", "text",
                               json_sprintf("signature of %.*s: %.*s",
                                            SLICE_ARG(plan->roles[s->signs[n].role].name),
                                            SLICE_ARG(s->signs[n].statement))));
    }
    return out;
}

int release_show_plan_chain(struct call *c, const struct release_plan *plan)
{
    json_t *phases = json_array();
    for (int i = 0; i < RELEASE_PHASES; i++) {
        const struct release_phase_head *head = &plan->phases[i];
        json_array_append_new(
            phases,
            json_pack("{ss so so so so ss si si so s[] s[]}", "phase",
                      release_phase_name((enum release_phase)i), "task", json_slice(head->task),
                      "title", json_slice(head->title), "owner", json_slice(head->owner),
                      "depends_on", i ? json_slice(plan->phases[i - 1].task) : json_null(), "state",
                      "not started", "first_step", (int)head->first + 1, "steps", (int)head->count,
                      "waiting", asked_of(plan, head), "evidence", "observed"));
    }
    if (c->json)
        put_chain((const char *)plan->name.ptr, "not started", phases);
    else
        print_chain(phases);
    json_decref(phases);
    return EXIT_DONE;
}
