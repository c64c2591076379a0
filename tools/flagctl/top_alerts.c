/* The alerts that fire, from Alertmanager's API (v2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/fetch.h"
#include "top.h"

enum { ANSWER_MAX = 8 << 20, WAIT_MS = 1000, STATUS_OK = 200 };

static json_t *text_or_null(const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    return json_is_string(v) ? json_incref(v) : json_null();
}

/* Active, or why nobody is told of it. */
static const char *state_of(const json_t *alert)
{
    const json_t *status = json_object_get(alert, "status");
    if (json_array_size(json_object_get(status, "silencedBy")))
        return "silenced";
    if (json_array_size(json_object_get(status, "inhibitedBy")))
        return "inhibited";
    return "active";
}

static json_t *alert_of(const json_t *alert)
{
    const json_t *labels = json_object_get(alert, "labels");
    return json_pack("{so so so so so ss}", "name", text_or_null(labels, "alertname"), "severity",
                     text_or_null(labels, "severity"), "env", text_or_null(labels, "env"), "since",
                     text_or_null(alert, "startsAt"), "summary",
                     text_or_null(json_object_get(alert, "annotations"), "summary"), "state",
                     state_of(alert));
}

/* ------------------------------------------------------------------ their order */

static int badness(const json_t *alert)
{
    const char *severity = text_of(alert, "severity");
    if (strcmp(text_of(alert, "state"), "active") != 0)
        return 0;
    return strcmp(severity, "critical") == 0 ? 3 : strcmp(severity, "warning") == 0 ? 2 : 1;
}

static int worst_first(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int order = badness(y) - badness(x);
    if (order == 0)
        order = strcmp(text_of(y, "since"), text_of(x, "since"));
    return order ? order : strcmp(text_of(x, "name"), text_of(y, "name"));
}

static json_t *sorted(const json_t *said)
{
    size_t i, count = json_array_size(said);
    json_t *alert, **all = mem_zalloc(count + 1, sizeof(json_t *)), *out = json_array();
    json_array_foreach(said, i, alert)
    {
        if (all)
            all[i] = alert_of(alert);
    }
    if (all)
        qsort(all, count, sizeof(json_t *), worst_first);
    for (i = 0; all && i < count; i++)
        json_array_append_new(out, all[i]);
    mem_free(all);
    return out;
}

/* ------------------------------------------------------------------ asking */

static json_t *read_answer(long status, struct buf *answer, char why[TOP_WHY])
{
    json_t *alerts = NULL;
    json_t *said = json_loadb((const char *)answer->ptr, answer->len, JSON_REJECT_DUPLICATES, NULL);
    if (status != STATUS_OK)
        snprintf(why, TOP_WHY, "it answers with HTTP status %ld", status);
    else if (!json_is_array(said))
        snprintf(why, TOP_WHY, "what answers there is no Alertmanager");
    else
        alerts = sorted(said);
    json_decref(said);
    return alerts;
}

json_t *top_alerts_get(const char *alertmanager, char why[TOP_WHY])
{
    struct buf url = BUF_INIT(8192), answer = BUF_INIT(ANSWER_MAX);
    size_t len = strlen(alertmanager);
    json_t *alerts = NULL;
    long status = 0;
    why[0] = '\0';
    while (len > 0 && alertmanager[len - 1] == '/')
        len--;
    buf_printf(&url, "%.*s/api/v2/alerts?active=true", (int)len, alertmanager);
    struct fetch f = {.url = buf_str(&url), .timeout_ms = WAIT_MS};
    if (buf_err(&url) != HOIST_OK || fetch_get(&f, &status, &answer) != HOIST_OK)
        snprintf(why, TOP_WHY, "%s", err_last());
    else
        alerts = read_answer(status, &answer, why);
    buf_done(&url);
    buf_done(&answer);
    return alerts;
}
