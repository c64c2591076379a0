/* release status: who keeps an alert of the plan from coming, by a silence. Such an alert takes nothing back. */
#include "alertmanager.h"
#include "base/mem.h"
#include "release_run.h"

void release_add_silences(const struct call *c, struct reply *status)
{
    char why[ALERTMANAGER_WHY];
    const char *url = options_get(c->options, "alertmanager");
    if (!url)
        return;
    json_t *silences =
        alertmanager_silences(url, json_object_get(status->body, "kill_on_alert"), why);
    if (!silences)
        reply_put(status, "silences_error", json_string(why));
    reply_put(status, "silences", silences ? silences : json_null());
}

static void show_silence(const struct call *c, const json_t *silence)
{
    size_t i;
    json_t *alert;
    struct buf line = BUF_INIT(1 << 20);
    json_array_foreach(json_object_get(silence, "alerts"), i, alert)
    {
        buf_printf(&line, "%s%s", i ? ", " : "", json_string_value(alert));
    }
    buf_printf(&line, " until %s by %s: %s (%s)", text_of(silence, "until"), text_of(silence, "by"),
               text_of(silence, "comment"), text_of(silence, "matchers"));
    char *text = mem_dup_str(buf_str(&line));
    if (text)
        show_tame(text);
    printf("  %ssilenced%s %s\n", look(c, LOOK_BAD), look(c, LOOK_PLAIN), text ? text : "");
    mem_free(text);
    buf_done(&line);
}

void release_show_silences(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *silence;
    const char *why = text_of(status, "silences_error");
    if (*why)
        printf("  %swhich alerts are silenced is not known%s: Alertmanager: %s\n",
               look(c, LOOK_BAD), look(c, LOOK_PLAIN), why);
    json_array_foreach(json_object_get(status, "silences"), i, silence)
    {
        show_silence(c, silence);
    }
}
