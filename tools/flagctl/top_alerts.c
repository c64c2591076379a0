/* The alerts that fire, from Alertmanager's API (v2). */
#include <stdlib.h>
#include <string.h>

#include "alertmanager.h"
#include "base/mem.h"
#include "top.h"

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

json_t *top_alerts_get(const char *url, char why[TOP_WHY])
{
    _Static_assert((int)TOP_WHY >= (int)ALERTMANAGER_WHY, "why is told there");
    json_t *said = alertmanager_get(url, "/api/v2/alerts?active=true", why);
    json_t *alerts = said ? sorted(said) : NULL;
    json_decref(said);
    return alerts;
}
