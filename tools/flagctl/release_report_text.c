/* A report as Markdown. */
#include "release_report.h"

#include <inttypes.h>
#include <string.h>

#include "release/say.h"
#include "release_run.h"

enum { STILL_SHOWN = 50 };

static const char *or_dash(const json_t *o, const char *name)
{
    const char *text = text_of(o, name);
    return *text ? text : "-";
}

/* "530ms", "1.1s", "1h30m", or "-" where it is not known. */
static void put_span(struct buf *out, const json_t *o, const char *name)
{
    char text[RELEASE_DURATION_SIZE];
    const json_t *v = json_object_get(o, name);
    uint64_t ms = (uint64_t)json_integer_value(v);
    release_say_duration(ms < 1000 ? ms : (ms + 500) / 1000 * 1000, text);
    if (!json_is_integer(v))
        buf_add_str(out, "-");
    else if (ms >= 1000 && ms < 10000)
        buf_printf(out, "%.1fs", (double)ms / 1000);
    else
        buf_add_str(out, text);
}

static void put_number(struct buf *out, const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v))
        buf_printf(out, " %.4g |", json_number_value(v));
    else
        buf_add_str(out, " - |");
}

static void put_numbers(struct buf *out, const json_t *o)
{
    static const char *const names[] = {"min", "mean", "p95", "max"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_number(out, o, names[i]);
}

/* ------------------------------------------------------------------ the head */

static void put_abort(struct buf *out, const json_t *abort)
{
    if (!json_is_object(abort))
        return;
    buf_printf(out, "\nTaken back because of %s.\n\n", text_of(abort, "cause"));
    buf_printf(out, "| | when | took |\n|---|---|---|\n| last well | %s | |\n| detected | %s | ",
               or_dash(abort, "well"), or_dash(abort, "failing"));
    put_span(out, abort, "detect_ms");
    buf_printf(out, " |\n| decided | %s | ", or_dash(abort, "decided"));
    put_span(out, abort, "decide_ms");
    buf_printf(out, " |\n| every live host had the baseline | %s | ", or_dash(abort, "converged"));
    put_span(out, abort, "converge_ms");
    buf_add_str(out, " |\n");
}

static void put_standing(struct buf *out, const json_t *j)
{
    size_t i;
    json_t *wait;
    const json_t *duty = json_object_get(j, "on_duty");
    buf_printf(out, "\nAt %s: %s.\n", text_of(j, "at"), text_of(j, "said"));
    json_array_foreach(json_object_get(j, "waiting"), i, wait)
    {
        buf_printf(out, "%s- waits for %s, since %s\n", i ? "" : "\n", text_of(wait, "text"),
                   text_of(wait, "since"));
    }
    if (json_is_object(duty))
        buf_printf(out, "\nOn duty: %s, until %s.\n", text_of(duty, "who"), text_of(duty, "to"));
    else if (json_array_size(json_object_get(j, "coverage")))
        buf_add_str(out, "\nOn duty: nobody, by the plan's coverage.\n");
}

static void put_head(struct buf *out, const json_t *j)
{
    const char *ended = text_of(j, "ended");
    const char *name = text_of(j, "report");
    buf_printf(out, "# Release %s: %s%s\n\n%s. Started %s, %s%s; plan %.12s, commit %.12s.\n",
               text_of(j, "release"), *name ? "watched for " : "",
               *name ? name : text_of(j, "state"), text_of(j, "title"), text_of(j, "started"),
               *ended ? "ended " : "not ended", ended, text_of(j, "plan"), text_of(j, "commit"));
    put_standing(out, j);
    put_abort(out, json_object_get(j, "abort"));
}

/* ------------------------------------------------------------------ the comparison */

static const char *words_of(const char *baseline)
{
    if (strcmp(baseline, "not-met") == 0)
        return "not met";
    return strcmp(baseline, "not-watched") == 0 ? "not asked by the watch" : baseline;
}

static void put_compared(struct buf *out, const json_t *g, const char *when)
{
    const json_t *o = json_object_get(g, when);
    const char *why = text_of(o, "why");
    uint64_t points = number_of(o, "points"), data = number_of(o, "with_data");
    bool watch = strcmp(when, "watch") == 0;
    buf_printf(out, "| %s | %s | %s |", watch ? text_of(g, "guard") : "", when,
               watch ? words_of(text_of(g, "baseline")) : "");
    put_numbers(out, o);
    if (points)
        buf_printf(out, " %.1f %% | %.1f %% |\n", 100.0 * (double)data / (double)points,
                   100.0 * (double)number_of(o, "kept") / (double)points);
    else
        buf_printf(out, " - | %s |\n", *why ? why : "-");
}

/* What is left where it was least, of guards that want something left. */
static void put_headroom(struct buf *out, const json_t *guards)
{
    size_t i;
    json_t *g;
    json_array_foreach(guards, i, g)
    {
        const json_t *watch = json_object_get(g, "watch"), *least = json_object_get(watch, "min");
        if (!json_is_true(json_object_get(g, "is_floor")))
            continue;
        buf_printf(out, "\nLeast headroom, %s (%s, to be %s): ", text_of(g, "guard"),
                   text_of(g, "title"), text_of(g, "pass"));
        if (json_is_number(least))
            buf_printf(out, "%.4g at %s.\n", json_number_value(least), text_of(watch, "min_at"));
        else
            buf_printf(out, "not known: %s.\n", text_of(watch, "why"));
    }
}

static void put_table(struct buf *out, const json_t *guards)
{
    size_t i;
    json_t *g;
    buf_add_str(out,
                "\n| guard | | baseline | min | mean | p95 | max | had data | kept its bound |\n"
                "|---|---|---|---|---|---|---|---|---|\n");
    json_array_foreach(guards, i, g)
    {
        put_compared(out, g, "watch");
        put_compared(out, g, "before");
    }
}

static void put_comparison(struct buf *out, const json_t *j)
{
    const json_t *c = json_object_get(j, "comparison"), *watch = json_object_get(c, "watch"),
                 *before = json_object_get(c, "before"), *guards = json_object_get(c, "guards");
    const char *result = text_of(c, "result");
    char step[RELEASE_DURATION_SIZE];
    if (strcmp(result, "compared") != 0) {
        buf_printf(out, "\n## Baseline: not compared\n\n%s\n",
                   strcmp(result, "no-watch") == 0
                       ? "The watch had not begun."
                       : "No Prometheus was asked: `flagctl release report NAME --prometheus URL` "
                         "compares the watch with the same hours before the launch.");
        return;
    }
    uint64_t days = number_of(c, "days");
    release_say_duration(number_of(c, "step_ms"), step);
    buf_printf(
        out,
        "\n## Baseline: %s\n\nThe watch, %s to %s, and the same hours %" PRIu64
        " day%s earlier, %s to %s; a value each %s. A guard's baseline is met when its value "
        "kept its `pass` bound at 95 of 100 of these moments; a moment without data kept "
        "nothing.\n",
        words_of(text_of(c, "baseline")), text_of(watch, "from"), text_of(watch, "to"), days,
        days == 1 ? "" : "s", text_of(before, "from"), text_of(before, "to"), step);
    put_table(out, guards);
    put_headroom(out, guards);
}

/* ------------------------------------------------------------------ steps */

static void put_steps(struct buf *out, const json_t *steps)
{
    size_t i, k;
    json_t *s, *e;
    buf_add_str(out, "\n## Steps\n\n| step | began | ended | moved for | stood for | signed and "
                     "attested |\n|---|---|---|---|---|---|\n");
    json_array_foreach(steps, i, s)
    {
        buf_printf(out, "| %s | %s | %s | ", text_of(s, "said"), text_of(s, "began"),
                   or_dash(s, "ended"));
        put_span(out, s, "moved_ms");
        buf_add_str(out, " | ");
        put_span(out, s, "stood_ms");
        buf_add_str(out, " |");
        json_array_foreach(json_object_get(s, "signed"), k, e)
        {
            bool check = *text_of(e, "check");
            bool failed = check && !json_is_true(json_object_get(e, "passed"));
            buf_printf(out, "%s %s%s by %s", k ? ";" : "",
                       check ? text_of(e, "check") : text_of(e, "role"), failed ? " FAILED" : "",
                       text_of(e, "by"));
        }
        buf_add_str(out, " |\n");
    }
}

static void put_still(struct buf *out, const json_t *still)
{
    size_t i, count = json_array_size(still);
    json_t *s;
    if (count == 0)
        return;
    buf_add_str(out, "\n## Where it stood still\n\n");
    if (count > STILL_SHOWN)
        buf_printf(out, "The last %d of %zu times; `--json` has all.\n\n", STILL_SHOWN, count);
    json_array_foreach(still, i, s)
    {
        if (i + STILL_SHOWN < count)
            continue;
        buf_printf(out, "- step %" PRIu64 ", %s, for ", number_of(s, "step"), text_of(s, "from"));
        put_span(out, s, "ms");
        buf_printf(out, ": waited for %s\n", text_of(s, "why"));
    }
}

static void put_rounds(struct buf *out, const json_t *guards)
{
    static const char *const counts[] = {"rounds", "passed", "failed", "blind"};
    size_t i;
    json_t *g;
    buf_add_str(out, "\n## Guards, in the release's rounds\n\n| guard | rounds | PASS | FAIL | no "
                     "answer | min | mean | p95 | max |\n|---|---|---|---|---|---|---|---|---|\n");
    json_array_foreach(guards, i, g)
    {
        buf_printf(out, "| %s |", text_of(g, "guard"));
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            buf_printf(out, " %" PRIu64 " |", number_of(g, counts[k]));
        put_numbers(out, g);
        buf_add_str(out, "\n");
    }
}

/* ------------------------------------------------------------------ alerts */

static void put_labels(struct buf *out, const json_t *labels)
{
    const char *name, *sep = "{";
    json_t *value;
    json_object_foreach((json_t *)labels, name, value)
    {
        buf_printf(out, "%s%s=\"%s\"", sep, name, json_string_value(value));
        sep = ", ";
    }
    if (*sep == ',')
        buf_add_str(out, "}");
}

static void put_fired(struct buf *out, const json_t *fired)
{
    size_t i;
    json_t *a;
    const char *result = text_of(fired, "result");
    const json_t *alerts = json_object_get(fired, "alerts");
    if (strcmp(result, "not-asked") == 0) {
        buf_add_str(out, "- what fired in Prometheus was not asked (`--prometheus URL`)\n");
        return;
    }
    if (strcmp(result, "asked") != 0)
        buf_printf(out, "- what fired in Prometheus is not known: %s\n", text_of(fired, "why"));
    else if (json_array_size(alerts) == 0)
        buf_add_str(out, "- none fired in Prometheus\n");
    json_array_foreach(alerts, i, a)
    {
        buf_printf(out, "- %s fired: %s", text_of(a, "from"), text_of(a, "alert"));
        put_labels(out, json_object_get(a, "labels"));
        buf_add_str(out, ", for ");
        put_span(out, a, "ms");
        buf_add_str(out, json_is_true(json_object_get(a, "still")) ? ", still\n" : "\n");
    }
}

static void put_alerts(struct buf *out, const json_t *j)
{
    size_t i;
    json_t *e;
    const json_t *heard = json_object_get(j, "alerts");
    buf_add_str(out, "\n## Alerts\n\n");
    put_fired(out, json_object_get(j, "fired"));
    if (json_array_size(heard) == 0)
        buf_add_str(out, "- the release heard of none that it goes back for\n");
    json_array_foreach(heard, i, e)
    {
        buf_printf(out, "- %s the release heard of %s\n", text_of(e, "time"), text_of(e, "text"));
    }
}

/* ------------------------------------------------------------------ people */

static void put_events(struct buf *out, const char *title, const json_t *events)
{
    size_t i;
    json_t *e;
    buf_printf(out, "\n## %s\n\n", title);
    if (json_array_size(events) == 0)
        buf_add_str(out, "None.\n");
    json_array_foreach(events, i, e)
    {
        buf_printf(out, "- %s %s", text_of(e, "time"), text_of(e, "event"));
        if (*text_of(e, "flag"))
            buf_printf(out, " %s in %s", text_of(e, "flag"), text_of(e, "env"));
        if (*text_of(e, "by"))
            buf_printf(out, " by %s", text_of(e, "by"));
        if (*text_of(e, "text"))
            buf_printf(out, ": %s", text_of(e, "text"));
        buf_add_str(out, "\n");
    }
}

static void put_overrides(struct buf *out, const json_t *overrides)
{
    size_t i;
    json_t *o;
    buf_add_str(out, "\n## Overrides\n\n");
    if (json_array_size(overrides) == 0)
        buf_add_str(out, "None: no flag of the release was killed.\n");
    json_array_foreach(overrides, i, o)
    {
        buf_printf(out, "- %s %s in %s was killed by %s", text_of(o, "killed"), text_of(o, "flag"),
                   text_of(o, "env"), or_dash(o, "killed_by"));
        if (*text_of(o, "restored")) {
            buf_printf(out, ", and restored by %s after ", or_dash(o, "restored_by"));
            put_span(out, o, "ms");
        } else {
            buf_add_str(out, ", and is killed still");
        }
        buf_add_str(out, "\n");
    }
}

static void put_drills(struct buf *out, const json_t *drills)
{
    size_t i;
    json_t *d;
    buf_add_str(out, "\n## Drills\n\n");
    if (!json_is_array(drills))
        buf_add_str(out, "Not known: you may not read the log of an environment.\n");
    else if (json_array_size(drills) == 0)
        buf_add_str(out, "None since the release started.\n");
    json_array_foreach(drills, i, d)
    {
        buf_printf(out, "- %s %s in %s, v%" PRIu64 ", by %s\n", text_of(d, "time"),
                   text_of(d, "drill"), text_of(d, "env"), number_of(d, "version"),
                   or_dash(d, "by"));
    }
}

static void put_coverage(struct buf *out, const json_t *coverage)
{
    size_t i;
    json_t *c;
    if (json_array_size(coverage) == 0)
        return;
    buf_add_str(out, "\n## On duty\n\n| from | to | who |\n|---|---|---|\n");
    json_array_foreach(coverage, i, c)
    {
        buf_printf(out, "| %s | %s | %s |\n", text_of(c, "from"), text_of(c, "to"),
                   text_of(c, "who"));
    }
}

static void put_envs(struct buf *out, const json_t *envs)
{
    size_t i;
    json_t *e;
    buf_add_str(out, "\n## Versions\n\nThe head is that of the log when this was written, which "
                     "`flagctl audit verify` finds again.\n\n| environment | baseline | the "
                     "release's | head | its hash |\n|---|---|---|---|---|\n");
    json_array_foreach(envs, i, e)
    {
        buf_printf(out, "| %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %s |\n",
                   text_of(e, "env"), number_of(e, "baseline"), number_of(e, "version"),
                   number_of(e, "head"), or_dash(e, "hash"));
    }
}

/* ------------------------------------------------------------------ the whole */

void report_text(const json_t *report, struct buf *out)
{
    put_head(out, report);
    put_comparison(out, report);
    put_steps(out, json_object_get(report, "steps"));
    put_still(out, json_object_get(report, "still"));
    put_rounds(out, json_object_get(report, "guards"));
    put_alerts(out, report);
    put_events(out, "Holds, aborts, kills", json_object_get(report, "interventions"));
    put_overrides(out, json_object_get(report, "overrides"));
    put_drills(out, json_object_get(report, "drills"));
    put_events(out, "Feedback, incidents, hotfixes", json_object_get(report, "notes"));
    put_coverage(out, json_object_get(report, "coverage"));
    put_envs(out, json_object_get(report, "envs"));
}
