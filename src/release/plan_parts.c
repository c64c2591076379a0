/* What the phases of a plan refer to, beside guards and roles: flags, checks, alerts, sinks. */
#include "release/plan_int.h"

static const char *const builtin_checks[] = {"github_limits", NULL};

bool check_is_builtin(struct slice name)
{
    return is_one_of(name, builtin_checks);
}

/* ------------------------------------------------------------------ flags */

static void read_key(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    plan_variant(r, v, out);
    if (v->kind == YAML_WORD && v->text.len && flag_key_check(v->text) != HOIST_OK)
        plan_complain(r, v, "write the flag's key as it is in the flag file", "%s", err_last());
}

static const struct field flag_fields[] = {
    {"key", read_key, offsetof(struct release_flag, key), "say which flag: key: KEY"},
    {"on", plan_variant, offsetof(struct release_flag, on), NULL},
    {"off", plan_variant, offsetof(struct release_flag, off), NULL},
    {0},
};

static bool read_flag(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_flag *f = out;
    f->on = SLICE("on");
    f->off = SLICE("off");
    if (v->kind == YAML_WORD) {
        read_key(r, v, &f->key);
        return true;
    }
    if (!plan_map(r, v, "a flag", flag_fields, f))
        return false;
    if (slice_eq(f->on, f->off))
        plan_complain(r, v, "name two variants of the flag",
                      "the variant that grows and the one that stays are the same");
    return true;
}

void flags_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct named_kind kind = {"the flag", "write a list of keys: [KEY, …]",
                                           RELEASE_FLAGS_MAX, sizeof(struct release_flag),
                                           read_flag};
    struct release_plan *plan = out;
    void *flags = NULL;
    size_t before = r->problems->total;
    named_read(r, v, &kind, &flags, &plan->flag_count, r->flag_at);
    plan->flags = flags;
    if (plan->flag_count == 0 && r->problems->total == before && v->kind == YAML_LIST)
        plan_complain(r, v, "name the flags that move", "a release without a flag changes nothing");
}

/* ------------------------------------------------------------------ checks */

static void read_argv(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { WORDS_MAX = 64 };
    static const char mend[] = "write the words of the command as a list: [make, check]";
    struct release_check *c = out;
    if (v->kind == YAML_WORD) {
        plan_complain(r, v, mend, "a command is a list of words: no shell takes it apart");
        return;
    }
    uint32_t count = plan_list(r, v, WORDS_MAX, mend);
    struct slice *argv = plan_alloc(r, count, sizeof *argv);
    const struct yaml_item *word = v + 1;
    for (uint32_t i = 0; i < count && argv; i++, word += word->span) {
        size_t back = path_index(&r->path, i);
        plan_query(r, word, &argv[i]);
        path_back(&r->path, back);
    }
    if (v->kind == YAML_LIST && v->count == 0)
        plan_complain(r, v, mend, "the command has no word");
    c->argv = argv;
    c->argc = argv ? count : 0;
}

static const struct field check_fields[] = {
    {"name", plan_name_read, offsetof(struct release_check, name), "give it a name: name: NAME"},
    {"title", plan_text, offsetof(struct release_check, title), NULL},
    {"run", read_argv, 0, NULL},
    {"timeout", plan_interval, offsetof(struct release_check, timeout_ms), NULL},
    {"every", plan_duration, offsetof(struct release_check, every_ms), NULL},
    {0},
};

static bool read_check(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { TIMEOUT_MS = 15 * 60000 };
    struct release_check *c = out;
    c->timeout_ms = TIMEOUT_MS;
    if (!plan_map(r, v, "a check", check_fields, c))
        return false;
    if (c->name.len && !yaml_find(v, SLICE("run")) && !check_is_builtin(c->name))
        plan_complain(r, v, "say what is run: run: [COMMAND, WORD, …]; built in is: github_limits",
                      "there is no check \"%s\" built in", show(c->name).text);
    return true;
}

void checks_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct named_kind kind = {
        "the check", "write a list: [{name: NAME, run: [WORD, …]}, …]", RELEASE_CHECKS_MAX,
        sizeof(struct release_check), read_check};
    struct release_plan *plan = out;
    void *checks = NULL;
    named_read(r, v, &kind, &checks, &plan->check_count, r->check_at);
    plan->checks = checks;
}

/* ------------------------------------------------------------------ alerts, sinks */

/* An alert's name is a label's value; those of rule files are words. */
static bool read_alert(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    plan_task(r, v, out);
    return true;
}

void alert_names_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct named_kind kind = {"the alert", "write a list of alerts' names: [NAME, …]",
                                           RELEASE_ALERTS_MAX, sizeof(struct slice), read_alert};
    struct release_plan *plan = out;
    void *alerts = NULL;
    named_read(r, v, &kind, &alerts, &plan->alert_count, NULL);
    plan->alerts = alerts;
}

static const struct field sink_fields[] = {
    {"name", plan_name_read, offsetof(struct release_sink, name), "give it a name: name: NAME"},
    {"url_ref", plan_name_read, offsetof(struct release_sink, ref),
     "name a sink of hoistd's configuration: url_ref: NAME"},
    {0},
};

static bool read_sink(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    return plan_map(r, v, "a sink", sink_fields, out);
}

void sinks_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct named_kind kind = {
        "the sink", "write a list: [{name: NAME, url_ref: NAME}, …]", RELEASE_SINKS_MAX,
        sizeof(struct release_sink), read_sink};
    struct release_plan *plan = out;
    void *sinks = NULL;
    named_read(r, v, &kind, &sinks, &plan->sink_count, NULL);
    plan->sinks = sinks;
}
