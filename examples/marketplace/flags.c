#include "flags.h"

#include <hoist.h>
#include <stdio.h>

#include "events.h"
#include "metrics.h"

static const char *const keys[FLAG_COUNT] = {
    [FLAG_ENABLED] = "marketplace.enabled",
    [FLAG_GITHUB_SOURCES] = "marketplace.github_sources.enabled",
    [FLAG_SYNC] = "marketplace.sync.enabled",
};

static hoist *h;
static hoist_flag *flags[FLAG_COUNT];
static struct series *gauges[FLAG_COUNT];

const char *flag_key(enum flag_id id)
{
    return keys[id];
}

bool flags_open(const char *dir, const char *env)
{
    enum hoist_err err = hoist_open(&h, dir, env);
    if (!h)
        return false;
    if (err)
        event(EVENT_FLAGS_AWAY, "%s; all flags are off until it is there", hoist_last_error());
    for (int i = 0; i < FLAG_COUNT; i++) {
        char labels[80];
        snprintf(labels, sizeof labels, "flag=\"%s\"", keys[i]);
        flags[i] = hoist_bind(h, keys[i]);
        gauges[i] = metric(
            METRIC_GAUGE, "marketplace_flag_enabled",
            "Whether the flag was on when it was last read for nobody in particular.", labels);
        (void)flag_is_on(i, NULL);
    }
    return true;
}

void flags_close(void)
{
    hoist_close(h);
    h = NULL;
}

bool flag_is_on(enum flag_id id, const char *account)
{
    if (!account) {
        bool on = hoist_flag_bool(flags[id], NULL, false);
        metric_set(gauges[id], on);
        return on;
    }
    hoist_ctx *who = hoist_ctx_new();
    (void)hoist_ctx_set_string(who, "targetingKey", account);
    (void)hoist_ctx_set_string(who, "account_id", account);
    bool on = hoist_flag_bool(flags[id], who, false);
    hoist_ctx_free(who);
    return on;
}
