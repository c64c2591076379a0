#include "alertmanager.h"

#include <regex.h>
#include <string.h>

#include "http/fetch.h"

enum { ANSWER_MAX = 8 << 20, WAIT_MS = 1000, STATUS_OK = 200, PATTERN_MAX = 1024 };

/* ------------------------------------------------------------------ asking */

static json_t *read_answer(long status, const struct buf *answer, char why[ALERTMANAGER_WHY])
{
    json_t *said = json_loadb((const char *)answer->ptr, answer->len, JSON_REJECT_DUPLICATES, NULL);
    if (status == STATUS_OK && json_is_array(said))
        return said;
    if (status != STATUS_OK)
        snprintf(why, ALERTMANAGER_WHY, "it answers with HTTP status %ld", status);
    else
        snprintf(why, ALERTMANAGER_WHY, "what answers there is no Alertmanager");
    json_decref(said);
    return NULL;
}

json_t *alertmanager_get(const char *url, const char *path, char why[ALERTMANAGER_WHY])
{
    struct buf at = BUF_INIT(8192), answer = BUF_INIT(ANSWER_MAX);
    size_t len = strlen(url);
    json_t *said = NULL;
    long status = 0;
    why[0] = '\0';
    while (len > 0 && url[len - 1] == '/')
        len--;
    buf_printf(&at, "%.*s%s", (int)len, url, path);
    struct fetch f = {.url = buf_str(&at), .timeout_ms = WAIT_MS};
    if (buf_err(&at) != HOIST_OK || fetch_get(&f, &status, &answer) != HOIST_OK)
        snprintf(why, ALERTMANAGER_WHY, "%s", err_last());
    else
        said = read_answer(status, &answer, why);
    buf_done(&at);
    buf_done(&answer);
    return said;
}

/* ------------------------------------------------------------------ silences */

/* Whether all of `text` matches. False: that is not known, as of what Alertmanager's regular expressions have
 * beyond the C library's. */
static bool is_known_match(const char *pattern, const char *text, bool *ret)
{
    char whole[PATTERN_MAX];
    regex_t re;
    if (strlen(pattern) + sizeof "^()$" > sizeof whole || strpbrk(pattern, "\\?"))
        return false;
    snprintf(whole, sizeof whole, "^(%s)$", pattern);
    if (regcomp(&re, whole, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    *ret = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return true;
}

static bool is_equal_matcher(const json_t *matcher)
{
    return !json_is_false(json_object_get(matcher, "isEqual")); /* which old ones do not send */
}

/* Whether a matcher lets the alert of that name pass: one of another label may. */
static bool lets_pass(const json_t *matcher, const char *alert)
{
    const char *value = text_of(matcher, "value");
    bool matches = strcmp(value, alert) == 0;
    if (strcmp(text_of(matcher, "name"), "alertname") != 0)
        return true;
    if (json_is_true(json_object_get(matcher, "isRegex")) &&
        !is_known_match(value, alert, &matches))
        return true;
    return matches == is_equal_matcher(matcher);
}

static bool may_silence(const json_t *silence, const char *alert)
{
    size_t i;
    json_t *matcher;
    json_array_foreach(json_object_get(silence, "matchers"), i, matcher)
    {
        if (!lets_pass(matcher, alert))
            return false;
    }
    return true;
}

static json_t *those_silenced(const json_t *silence, const json_t *alerts)
{
    size_t i;
    json_t *alert, *out = json_array();
    json_array_foreach(alerts, i, alert)
    {
        if (may_silence(silence, json_string_value(alert)))
            json_array_append(out, alert);
    }
    return out;
}

/* As amtool writes them: alertname="X", env=~"a|b". */
static json_t *matchers_text(const json_t *silence)
{
    struct buf text = BUF_INIT(64 << 10);
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(silence, "matchers"), i, m)
    {
        bool regex = json_is_true(json_object_get(m, "isRegex")), equal = is_equal_matcher(m);
        buf_printf(&text, "%s%s%s\"%s\"", i ? ", " : "", text_of(m, "name"),
                   equal   ? regex ? "=~" : "="
                   : regex ? "!~"
                           : "!=",
                   text_of(m, "value"));
    }
    json_t *out = json_string(buf_str(&text));
    buf_done(&text);
    return out;
}

static json_t *silence_of(const json_t *silence, json_t *alerts)
{
    return json_pack("{ss so so ss ss ss}", "id", text_of(silence, "id"), "alerts", alerts,
                     "matchers", matchers_text(silence), "by", text_of(silence, "createdBy"),
                     "comment", text_of(silence, "comment"), "until", text_of(silence, "endsAt"));
}

json_t *alertmanager_silences(const char *url, const json_t *alerts, char why[ALERTMANAGER_WHY])
{
    size_t i;
    json_t *silence, *said = alertmanager_get(url, "/api/v2/silences", why), *out;
    if (!said)
        return NULL;
    out = json_array();
    json_array_foreach(said, i, silence)
    {
        json_t *silenced = those_silenced(silence, alerts);
        const char *state = text_of(json_object_get(silence, "status"), "state");
        if (strcmp(state, "active") == 0 && json_array_size(silenced))
            json_array_append_new(out, silence_of(silence, silenced));
        else
            json_decref(silenced);
    }
    json_decref(said);
    return out;
}
