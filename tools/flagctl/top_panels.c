/* The panels of `flagctl top`: environments, hosts, flags, changes, what is killed, alerts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "top.h"

static const json_t *fleet_of(const struct top_view *v)
{
    return v->news->fleet;
}

static const json_t *item(const struct top_view *v, const char *list, size_t i)
{
    return json_array_get(json_object_get(fleet_of(v), list), i);
}

static size_t count_of(const struct top_view *v, const char *list)
{
    return json_array_size(json_object_get(fleet_of(v), list));
}

static void set(struct top_row *row, size_t column, enum look l, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void set(struct top_row *row, size_t column, enum look l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(row->cells[column], TOP_CELL, fmt, args);
    va_end(args);
    row->looks[column] = l;
}

/* "-" where there is nothing to wait for. */
static void set_lag(struct top_row *row, size_t column, const json_t *of)
{
    char span[SHOW_SPAN];
    uint64_t lag = number_of(of, "lag");
    if (lag == 0) {
        set(row, column, LOOK_PLAIN, "-");
        return;
    }
    show_span(span, number_of(of, "behind_ms"));
    set(row, column, LOOK_VALUE, "%" PRIu64 ", %s", lag, span);
}

static void set_age(struct top_row *row, size_t column, const char *time)
{
    char age[64];
    show_age(age, time);
    set(row, column, LOOK_PLAIN, "%s", age);
}

/* ------------------------------------------------------------------ environments */

size_t top_env_row(const struct top_view *v)
{
    size_t i, count = count_of(v, "environments");
    for (i = 0; i < count; i++)
        if (strcmp(text_of(item(v, "environments", i), "env"), text_of(fleet_of(v), "env")) == 0)
            return i;
    return 0;
}

static size_t envs_count(const struct top_view *v)
{
    return count_of(v, "environments");
}

static void envs_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { NAME, HEAD, CURRENT, BEHIND, SILENT, REFUSING, LAG, KILLED, RATE, MINUTE, FLAGS };
    static const struct {
        const char *state;
        enum look look;
    } states[] = {{"current", LOOK_GOOD},
                  {"behind", LOOK_VALUE},
                  {"silent", LOOK_BAD},
                  {"refusing", LOOK_BAD}};
    const json_t *e = item(v, "environments", i), *counts = json_object_get(e, "counts");
    set(row, NAME, LOOK_KEY, "%c%s", i == top_env_row(v) ? '>' : ' ', text_of(e, "env"));
    set(row, HEAD, LOOK_PLAIN, "v%" PRIu64, number_of(e, "head"));
    for (size_t k = 0; k < sizeof states / sizeof *states; k++) {
        uint64_t hosts = number_of(counts, states[k].state);
        set(row, CURRENT + k, hosts ? states[k].look : LOOK_PLAIN, "%" PRIu64, hosts);
    }
    set_lag(row, LAG, e);
    set(row, RATE, LOOK_PLAIN, "%.1f", (double)number_of(e, "changes_10s") / 10);
    set(row, MINUTE, LOOK_PLAIN, "%.1f", (double)number_of(e, "changes_60s") / 60);
    set(row, KILLED, number_of(e, "killed") ? LOOK_BAD : LOOK_PLAIN, "%" PRIu64,
        number_of(e, "killed"));
    set(row, FLAGS, LOOK_PLAIN, "%" PRIu64, number_of(e, "flags"));
}

static void envs_nothing(const struct top_view *v, char out[TOP_CELL])
{
    (void)v;
    snprintf(out, TOP_CELL, "none yet: this primary's store has not been filled");
}

/* ------------------------------------------------------------------ hosts */

static size_t hosts_count(const struct top_view *v)
{
    return count_of(v, "hosts");
}

static void hosts_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { NAME, STATE, VERSION, LAG, SEEN, VIA, SOFTWARE, WHY };
    char span[SHOW_SPAN];
    const json_t *h = item(v, "hosts", i);
    const char *state = text_of(h, "state"), *refuses = text_of(h, "refuses");
    show_span(span, number_of(h, "last_seen_ms"));
    set(row, NAME, LOOK_KEY, "%s", text_of(h, "id"));
    set(row, STATE, look_of_state(state), "%s", state);
    set(row, VERSION, LOOK_PLAIN, "v%" PRIu64, number_of(h, "version"));
    set_lag(row, LAG, h);
    set(row, SEEN, LOOK_PLAIN, "%s", span);
    set(row, VIA, LOOK_PLAIN, "%s", text_of(h, "via"));
    set(row, SOFTWARE, LOOK_PLAIN, "%s", text_of(h, "software"));
    if (*text_of(h, "why"))
        set(row, WHY, LOOK_BAD, "%s: %s", *refuses ? refuses : "the change", text_of(h, "why"));
}

static void hosts_nothing(const struct top_view *v, char out[TOP_CELL])
{
    snprintf(out, TOP_CELL, "none that follows %s was ever heard of", text_of(fleet_of(v), "env"));
}

/* ------------------------------------------------------------------ flags by evaluations */

static size_t flags_count(const struct top_view *v)
{
    return json_array_size(v->news->flags);
}

/* "on 97.2 %, off 2.8 %", of the last 30 days. */
static void put_shares(char out[TOP_CELL], const json_t *flag)
{
    size_t i, len = 0;
    json_t *variant;
    out[0] = '\0';
    json_array_foreach(json_object_get(flag, "variants"), i, variant)
    {
        const char *name = text_of(variant, "variant");
        double share = json_number_value(json_object_get(variant, "share"));
        if (len < TOP_CELL)
            len += (size_t)snprintf(out + len, TOP_CELL - len, "%s%s %.3g %%", i ? ", " : "",
                                    *name ? name : "(fallback)", 100 * share);
    }
}

static void flags_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { KEY, RATE, TODAY, WEEK, TOTAL, LAST, YIELDS };
    char shares[TOP_CELL];
    const json_t *f = json_array_get(v->news->flags, i), *rate = json_object_get(f, "per_second");
    put_shares(shares, f);
    set(row, KEY, LOOK_KEY, "%s", text_of(f, "key"));
    set(row, RATE, LOOK_PLAIN, json_is_number(rate) ? "%.1f" : "-", json_number_value(rate));
    set(row, TODAY, LOOK_PLAIN, "%" PRIu64, number_of(f, "today"));
    set(row, WEEK, LOOK_PLAIN, "%" PRIu64, number_of(f, "last_7_days"));
    set(row, TOTAL, LOOK_PLAIN, "%" PRIu64, number_of(f, "total"));
    set_age(row, LAST, text_of(f, "last"));
    set(row, YIELDS, LOOK_VALUE, "%s", shares);
}

static void flags_nothing(const struct top_view *v, char out[TOP_CELL])
{
    if (*v->news->flags_why)
        snprintf(out, TOP_CELL, "%s", v->news->flags_why);
    else
        snprintf(out, TOP_CELL, "none was evaluated yet, as far as hosts have told");
}

/* ------------------------------------------------------------------ changes */

static size_t changes_count(const struct top_view *v)
{
    return count_of(v, "changes");
}

static void put_keys(char out[TOP_CELL], const json_t *change)
{
    size_t i, len = 0;
    json_t *key;
    out[0] = '\0';
    json_array_foreach(json_object_get(change, "keys"), i, key)
    {
        if (len < TOP_CELL)
            len += (size_t)snprintf(out + len, TOP_CELL - len, "%s%s", i ? ", " : "",
                                    json_string_value(key));
    }
    if (number_of(change, "edits_count") > i && len < TOP_CELL)
        snprintf(out + len, TOP_CELL - len, " +%" PRIu64, number_of(change, "edits_count") - i);
}

static void changes_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { VERSION, WHEN, WHO, KIND, WHAT, WHY };
    char keys[TOP_CELL];
    const json_t *c = item(v, "changes", i);
    put_keys(keys, c);
    set(row, VERSION, LOOK_KEY, "v%" PRIu64, number_of(c, "version"));
    set_age(row, WHEN, text_of(c, "time"));
    set(row, WHO, LOOK_PLAIN, "%s", text_of(c, "author"));
    set(row, KIND, strcmp(text_of(c, "kind"), "kill") == 0 ? LOOK_BAD : LOOK_PLAIN, "%s",
        text_of(c, "kind"));
    set(row, WHAT, LOOK_VALUE, "%s", keys);
    set(row, WHY, LOOK_PLAIN, "%.500s", text_of(c, "message"));
}

static void nothing_more(const struct top_view *v, char out[TOP_CELL])
{
    (void)v, (void)out;
}

/* ------------------------------------------------------------------ what is killed */

static size_t killed_count(const struct top_view *v)
{
    return count_of(v, "killed");
}

static void killed_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { KEY, VARIANT, SINCE, WHO, WHY };
    const json_t *k = item(v, "killed", i);
    uint64_t all = number_of(fleet_of(v), "killed_count");
    set(row, KEY, LOOK_BAD, "%s", text_of(k, "key"));
    set(row, VARIANT, LOOK_VALUE, "%s", text_of(k, "variant"));
    set_age(row, SINCE, text_of(k, "time"));
    set(row, WHO, LOOK_PLAIN, "%s", text_of(k, "author"));
    if (i + 1 == count_of(v, "killed") && all > i + 1)
        set(row, WHY, LOOK_FAINT, "and %" PRIu64 " more", all - i - 1);
    else
        set(row, WHY, LOOK_PLAIN, "%.500s", text_of(k, "message"));
}

/* ------------------------------------------------------------------ alerts */

static size_t alerts_count(const struct top_view *v)
{
    return json_array_size(v->news->alerts);
}

static void alerts_fill(const struct top_view *v, size_t i, struct top_row *row)
{
    enum { NAME, SEVERITY, SINCE, ENV, STATE, SUMMARY };
    const json_t *a = json_array_get(v->news->alerts, i);
    const char *severity = text_of(a, "severity"), *state = text_of(a, "state");
    bool active = strcmp(state, "active") == 0;
    bool critical = active && strcmp(severity, "critical") == 0;
    set(row, NAME,
        critical ? LOOK_BAD
        : active ? LOOK_VALUE
                 : LOOK_FAINT,
        "%s", text_of(a, "name"));
    set(row, SEVERITY, critical ? LOOK_BAD : LOOK_PLAIN, "%s", severity);
    set_age(row, SINCE, text_of(a, "since"));
    set(row, ENV, LOOK_PLAIN, "%s", text_of(a, "env"));
    set(row, STATE, LOOK_FAINT, "%s", active ? "" : state);
    set(row, SUMMARY, LOOK_PLAIN, "%.500s", text_of(a, "summary"));
}

static void alerts_nothing(const struct top_view *v, char out[TOP_CELL])
{
    if (!v->alertmanager)
        snprintf(
            out, TOP_CELL,
            "not asked: give --alertmanager http://HOST:9093, or alertmanager: in flagctl.yaml");
    else if (!v->news->alerts)
        snprintf(out, TOP_CELL, "%.300s: %s", v->alertmanager, v->news->alerts_why);
}

/* ------------------------------------------------------------------ all of them */

const struct top_panel top_panels[TOP_PANELS] = {
    [PANEL_ENVS] = {{"ENVIRONMENT", "HEAD", "CURRENT", "BEHIND", "SILENT", "REFUSING", "LAG",
                     "KILLED", "CHANGES/S", "1 MIN", "FLAGS"},
                    3,
                    SIZE_MAX,
                    envs_count,
                    envs_fill,
                    envs_nothing},
    [PANEL_HOSTS] = {{"HOST", "STATE", "VERSION", "LAG", "SEEN", "VIA", "SOFTWARE", "REFUSES"},
                     3,
                     SIZE_MAX,
                     hosts_count,
                     hosts_fill,
                     hosts_nothing},
    [PANEL_FLAGS] = {{"FLAG", "PER S", "TODAY", "7 DAYS", "TOTAL", "LAST", "YIELDS"},
                     2,
                     TOP_FLAGS,
                     flags_count,
                     flags_fill,
                     flags_nothing},
    [PANEL_CHANGES] = {{"CHANGE", "WHEN", "BY", "KIND", "FLAGS", "WHY"},
                       2,
                       TOP_CHANGES,
                       changes_count,
                       changes_fill,
                       nothing_more},
    [PANEL_KILLED] = {{"KILLED", "YIELDS", "SINCE", "BY", "WHY"},
                      2,
                      TOP_KILLED,
                      killed_count,
                      killed_fill,
                      nothing_more},
    [PANEL_ALERTS] = {{"ALERT", "SEVERITY", "SINCE", "ENV", "STATE", "SUMMARY"},
                      2,
                      SIZE_MAX,
                      alerts_count,
                      alerts_fill,
                      alerts_nothing},
};
