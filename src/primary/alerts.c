#include "primary/alerts.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "flag/flag.h"
#include "flag/json_read.h"

/* ------------------------------------------------------------------ rules */

static bool is_alert_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    return s.len > 0;
}

/* ENV:ALERT=FLAG; a flag's key may have any of the two characters in it. */
static enum hoist_err read_rule(const char *text, struct alert_rule *ret)
{
    const char *colon = strchr(text, ':'), *equals = colon ? strchr(colon, '=') : NULL;
    if (!equals)
        return err_set(HOIST_EINVAL, "'%s': ENV:ALERT=FLAG is meant", text);
    struct alert_rule rule = {.env = slice_of(text, (size_t)(colon - text)),
                              .alert = slice_of(colon + 1, (size_t)(equals - colon - 1)),
                              .flag = slice_str(equals + 1)};
    enum hoist_err err = flag_env_check(rule.env);
    if (!err)
        err = flag_key_check(rule.flag);
    if (!err && !is_alert_name(rule.alert))
        err = err_set(HOIST_EINVAL, "an alert's name is meant before '='");
    if (err)
        return err_prefix(err, "'%s'", text);
    *ret = rule;
    return HOIST_OK;
}

static enum hoist_err own_rule(struct arena *a, struct alert_rule *rule)
{
    enum hoist_err err = arena_own(a, &rule->env);
    if (!err)
        err = arena_own(a, &rule->alert);
    return err ? err : arena_own(a, &rule->flag);
}

enum hoist_err alert_rules_read(const char *const *texts, size_t count, struct alert_rules *ret)
{
    struct alert_rules r = {0};
    if (count > ALERTS_RULES_MAX)
        return err_set(HOIST_ELIMIT, "%zu rules are more than %d", count, ALERTS_RULES_MAX);
    r.rules = arena_alloc(&r.arena, count + 1, sizeof *r.rules);
    enum hoist_err err = r.rules ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
    for (; !err && r.count < count; r.count++) {
        err = read_rule(texts[r.count], &r.rules[r.count]);
        if (!err)
            err = own_rule(&r.arena, &r.rules[r.count]);
    }
    if (err) {
        alert_rules_done(&r);
        return err;
    }
    *ret = r;
    return HOIST_OK;
}

void alert_rules_done(struct alert_rules *r)
{
    arena_done(&r->arena);
    *r = (struct alert_rules){0};
}

/* ------------------------------------------------------------------ what is said */

static struct slice text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return slice_of(json_string_value(v), json_string_length(v));
}

static bool is_about(const struct alert_rule *rule, const json_t *labels)
{
    struct slice env = text_of(labels, "env");
    return slice_eq(rule->alert, text_of(labels, "alertname")) &&
           (env.len == 0 || slice_eq(rule->env, env));
}

static void add_text(struct hash_stream *h, struct slice text)
{
    hash_add(h, text.ptr, text.len);
    hash_add(h, "", 1);
}

static void request_of(const struct alert_rule *rule, const json_t *alert,
                       uint8_t ret[REQUEST_ID_SIZE])
{
    struct hash_stream h;
    uint8_t hash[HASH_SIZE];
    hash_begin(&h);
    add_text(&h, SLICE("hoist-alert-1"));
    add_text(&h, text_of(alert, "fingerprint"));
    add_text(&h, text_of(alert, "startsAt"));
    add_text(&h, rule->env);
    add_text(&h, rule->flag);
    hash_end(&h, hash);
    memcpy(ret, hash, REQUEST_ID_SIZE);
}

static enum hoist_err put_message(const json_t *alert, struct arena *arena, struct slice *ret)
{
    struct buf text = BUF_INIT(ALERTS_BODY_MAX + 1024);
    struct slice summary = text_of(json_object_get(alert, "annotations"), "summary");
    buf_printf(&text, "alert %.*s, since %.*s, fingerprint %.*s",
               SLICE_ARG(text_of(json_object_get(alert, "labels"), "alertname")),
               SLICE_ARG(text_of(alert, "startsAt")), SLICE_ARG(text_of(alert, "fingerprint")));
    if (summary.len)
        buf_printf(&text, ": %.*s", SLICE_ARG(summary));
    enum hoist_err err = buf_err(&text);
    if (!err) {
        *ret = buf_slice(&text);
        while (ret->len > CHANGE_MESSAGE_MAX || !text_utf8(*ret))
            ret->len--; /* what jansson has read is UTF-8: it ends within a character */
        err = arena_own(arena, ret);
    }
    buf_done(&text);
    return err;
}

static enum hoist_err check_alert(const json_t *alert)
{
    struct slice status = text_of(alert, "status");
    bool known = slice_eq(status, SLICE("firing")) || slice_eq(status, SLICE("resolved"));
    if (!known || !text_of(alert, "fingerprint").len || !text_of(alert, "startsAt").len ||
        !text_of(json_object_get(alert, "labels"), "alertname").len)
        return err_set(HOIST_EINVAL, "an alert has status (firing or resolved), fingerprint, "
                                     "startsAt and labels.alertname");
    return HOIST_OK;
}

/* When an alert began; its fraction of a second has any number of digits. 0: it is no time of UTC. */
static int64_t began_ms(const json_t *alert)
{
    char text[] = "yyyy-mm-ddThh:mm:ss.000Z";
    enum { WHOLE = 19, DIGITS = 3 };
    struct slice at = text_of(alert, "startsAt");
    int64_t ms;
    if (at.len <= WHOLE || at.ptr[at.len - 1] != 'Z')
        return 0;
    memcpy(text, at.ptr, WHOLE);
    for (size_t i = 0; i < DIGITS && WHOLE + 1 + i < at.len - 1; i++)
        text[WHOLE + 1 + i] = (char)at.ptr[WHOLE + 1 + i];
    return text_time_read(text, &ms) == HOIST_OK ? ms : 0;
}

static enum hoist_err put_name(const json_t *alert, struct arena *arena, struct alerts_said *said,
                               bool *left_out)
{
    const json_t *labels = json_object_get(alert, "labels");
    struct alert_name *n = said->names, *end = n + said->name_count;
    struct slice name = text_of(labels, "alertname"), env = text_of(labels, "env");
    while (n < end && !(slice_eq(n->name, name) && slice_eq(n->env, env)))
        n++;
    if (n < end)
        return HOIST_OK;
    if (said->name_count == ALERTS_NAMES_MAX) {
        *left_out = true;
        return HOIST_OK;
    }
    *n = (struct alert_name){name, env, began_ms(alert)};
    said->name_count++;
    enum hoist_err err = arena_own(arena, &n->name);
    return err ? err : arena_own(arena, &n->env);
}

static enum hoist_err take_alert(const struct alert_rules *r, const json_t *alert,
                                 struct arena *arena, struct alerts_said *said)
{
    enum hoist_err err = check_alert(alert);
    if (err)
        return err;
    if (slice_eq(text_of(alert, "status"), SLICE("resolved"))) {
        said->resolved++;
        return HOIST_OK;
    }
    said->firing++;
    bool left_out = false;
    err = put_name(alert, arena, said, &left_out);
    for (uint32_t i = 0; i < r->count && !err; i++) {
        if (!is_about(&r->rules[i], json_object_get(alert, "labels")))
            continue;
        if (said->count == ALERTS_KILLS_MAX) {
            left_out = true;
            break;
        }
        struct alert_kill *kill = &said->kills[said->count++];
        kill->rule = &r->rules[i];
        kill->began_ms = began_ms(alert);
        request_of(kill->rule, alert, kill->request);
        err = put_message(alert, arena, &kill->message);
    }
    said->left_out += left_out;
    return err;
}

static enum hoist_err take_all(const struct alert_rules *r, const json_t *body, struct arena *arena,
                               struct alerts_said *said)
{
    const json_t *alerts = json_object_get(body, "alerts"), *alert;
    size_t i;
    if (!slice_eq(text_of(body, "version"), SLICE("4")) || !json_is_array(alerts))
        return err_set(HOIST_EINVAL, "Alertmanager's webhook of version 4 is meant, with alerts");
    const json_t *truncated = json_object_get(body, "truncatedAlerts");
    if (truncated && (!json_is_integer(truncated) || json_integer_value(truncated) < 0))
        return err_set(HOIST_EINVAL, "truncatedAlerts is a number of alerts");
    said->truncated = (uint64_t)json_integer_value(truncated);
    said->kills = arena_alloc(arena, ALERTS_KILLS_MAX, sizeof *said->kills);
    said->names = arena_alloc(arena, ALERTS_NAMES_MAX, sizeof *said->names);
    if (!said->kills || !said->names)
        return err_set(HOIST_ENOMEM, "out of memory");
    json_array_foreach(alerts, i, alert)
    {
        enum hoist_err err = take_alert(r, alert, arena, said);
        if (err)
            return err;
    }
    return HOIST_OK;
}

enum hoist_err alerts_read(const struct alert_rules *r, struct slice body, struct arena *arena,
                           struct alerts_said *ret)
{
    struct alerts_said said = {0};
    json_t *object;
    enum hoist_err err = json_read(body, &object);
    if (err)
        return err;
    err = take_all(r, object, arena, &said);
    json_decref(object);
    if (!err)
        *ret = said;
    return err;
}
