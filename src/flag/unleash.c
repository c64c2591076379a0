/* Unleash's features as a document in the flagd format. */
#include "flag/unleash.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "flag/unleash_int.h"

static const char file_mend[] = "it takes what Unleash answers to GET /api/client/features: "
                                "{\"version\": 2, \"features\": […]}";

/* ------------------------------------------------------------------ saying it */

static void put_feature(const struct unleash *u, struct buf *out)
{
    if (u->feature.len)
        buf_printf(out, "\"%s\": ", show(u->feature).text);
}

void wrong(struct unleash *u, const char *mend, const char *fmt, ...)
{
    char text[512];
    struct buf message = BUF_INIT(1024);
    va_list args;
    if (u->quiet)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put_feature(u, &message);
    buf_add_str(&message, text);
    problems_add(u->problems, u->path.text, mend, "%s", buf_str(&message));
    u->no_memory |= buf_err(&message) != HOIST_OK;
    buf_done(&message);
}

void inexact(struct unleash *u, const char *instead, const char *whose, const char *fmt, ...)
{
    char text[512], mend[256];
    struct buf message = BUF_INIT(1024);
    va_list args;
    if (u->quiet)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put_feature(u, &message);
    if (u->approximate) {
        buf_printf(&message, "%s; instead: %s", text, instead);
        problems_add(u->changes, u->path.text, whose, "%s", buf_str(&message));
    } else {
        buf_printf(&message, "cannot be kept exactly: %s", text);
        snprintf(mend, sizeof mend, "--approximate takes instead: %s", instead);
        problems_add(u->problems, u->path.text, mend, "%s", buf_str(&message));
    }
    u->no_memory |= buf_err(&message) != HOIST_OK;
    buf_done(&message);
}

/* ------------------------------------------------------------------ who is in */

bool is_on(const json_t *feature)
{
    return json_is_true(json_object_get(feature, "enabled"));
}

json_t *feature_rule(struct unleash *u, const json_t *feature)
{
    const json_t *strategies = json_object_get(feature, "strategies");
    struct slice name = json_text(json_object_get(feature, "name"));
    json_t *rules = json_array();
    size_t i, back = path_key(&u->path, SLICE("strategies"));
    const json_t *s;
    if (!is_on(feature) || json_array_size(strategies) == 0)
        json_array_append_new(rules, json_boolean(is_on(feature)));
    json_array_foreach(is_on(feature) ? strategies : NULL, i, s)
    {
        struct strategy strategy;
        size_t item = path_index(&u->path, i);
        strategy_read(u, name, s, &strategy);
        json_array_append_new(rules, strategy_rule(&strategy));
        strategy_done(&strategy);
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
    return rule_any(rules);
}

/* The targeting of a feature that has one strategy, which takes a share of its users: written so
 * that a person, or `flagctl set --percent`, finds the share where a rollout has it. */
static json_t *rollout_rule(const struct strategy *s)
{
    json_t *user = rule_var(SLICE("targetingKey")), *rule = share_rule(s);
    if (!s->plain || !json_equal(s->when, user))
        rule = rule_of("if", LIST(rule_same(s->when), rule, json_string("off")));
    json_decref(user);
    return rule;
}

static json_t *on_or_off(json_t *condition)
{
    return rule_of("if", LIST(condition, json_string("on"), json_string("off")));
}

/* What yields "on" or "off": a rule, or true or false for everybody. */
static json_t *targeting_of(struct unleash *u, const json_t *feature)
{
    const json_t *strategies = json_object_get(feature, "strategies");
    if (is_on(feature) && json_array_size(strategies) == 1) {
        struct strategy s;
        size_t back = path_key(&u->path, SLICE("strategies"));
        path_index(&u->path, 0);
        strategy_read(u, json_text(json_object_get(feature, "name")), json_array_get(strategies, 0),
                      &s);
        path_back(&u->path, back);
        bool shared = s.key && !json_is_false(s.when);
        json_t *rule = shared ? rollout_rule(&s) : rule_same(s.when);
        strategy_done(&s);
        if (shared || json_is_boolean(rule))
            return rule;
        return on_or_off(rule);
    }
    json_t *rule = feature_rule(u, feature);
    return json_is_boolean(rule) ? rule : on_or_off(rule);
}

/* ------------------------------------------------------------------ flags */

/* What a feature says of itself, for people and for hooks. */
static json_t *metadata_of(const json_t *feature)
{
    static const char *const fields[] = {"description", "project", "type", "stale",
                                         "impressionData"};
    json_t *metadata = json_object();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *v = json_object_get(feature, fields[i]);
        if ((json_is_string(v) && json_string_length(v)) || json_is_true(v))
            json_object_set(metadata, fields[i], (json_t *)v);
    }
    return metadata;
}

/* Takes over all but the feature; `targeting` and `standard` may be NULL. */
static void put_flag(struct unleash *u, const json_t *feature, const char *suffix, json_t *variants,
                     json_t *standard, json_t *targeting, json_t *requires)
{
    json_t *key = json_sprintf("%s%s", json_string_value(json_object_get(feature, "name")), suffix);
    json_t *metadata = metadata_of(feature);
    json_t *flag = rule_of("variants", variants);
    json_object_set_new(flag, "state", json_string("ENABLED"));
    if (standard)
        json_object_set_new(flag, "defaultVariant", standard);
    if (targeting)
        json_object_set_new(flag, "targeting", targeting);
    if (requires)
        json_object_set_new(flag, "requires", requires);
    if (json_object_size(metadata))
        json_object_set(flag, "metadata", metadata);
    json_decref(metadata);
    if (key && json_object_get(u->flags, json_string_value(key)))
        wrong(u, "give one of the two features another name",
              "the flag \"%s\" stands for two things", show(json_text(key)).text);
    if (key)
        json_object_set(u->flags, json_string_value(key), flag);
    json_decref(flag);
    json_decref(key);
}

static void put_boolean(struct unleash *u, const json_t *feature)
{
    json_t *rule = targeting_of(u, feature);
    bool everybody = json_is_true(rule), constant = json_is_boolean(rule);
    if (constant) {
        json_decref(rule);
        rule = NULL;
    }
    json_t *variants = rule_of("on", json_true());
    json_object_set_new(variants, "off", json_false());
    put_flag(u, feature, "", variants, json_string(everybody ? "on" : "off"), rule,
             requires_of(u, feature));
}

/* No default variant: where nobody chose, the program's own fallback holds. */
static void put_variants(struct unleash *u, const json_t *feature)
{
    json_t *values = json_object();
    u->quiet += !is_on(feature); /* nobody gets any */
    variants_values(u, feature, values);
    json_t *rule = variant_rule(u, feature), *depends = dependency_rule(u, feature);
    u->quiet -= !is_on(feature);
    if (json_is_false(depends) || json_is_null(rule)) {
        json_decref(rule);
        rule = NULL;
    } else if (!json_is_true(depends)) {
        rule = rule_of("if", LIST(rule_same(depends), rule, json_null()));
    }
    json_decref(depends);
    if (json_is_string(rule))
        put_flag(u, feature, ".variant", values, rule, NULL, NULL);
    else
        put_flag(u, feature, ".variant", values, NULL, rule, NULL);
}

static void read_feature(struct unleash *u, const json_t *feature)
{
    const json_t *strategies = json_object_get(feature, "strategies");
    u->feature = json_text(json_object_get(feature, "name"));
    if (!json_is_boolean(json_object_get(feature, "enabled")))
        wrong(u, "write true or false", "it is not said whether it is enabled");
    else if (!json_is_array(strategies))
        wrong(u, "make them an array", "the strategies are %s",
              strategies ? json_type_word(strategies) : "missing");
    put_boolean(u, feature);
    if (has_variants(feature))
        put_variants(u, feature);
    u->feature = (struct slice){0};
}

/* ------------------------------------------------------------------ the whole */

/* By name first, because features depend on each other. */
static void index_features(struct unleash *u)
{
    size_t i;
    json_t *f;
    json_array_foreach(u->features, i, f)
    {
        const json_t *name = json_object_get(f, "name");
        size_t back = path_index(&u->path, i);
        if (!json_is_string(name))
            wrong(u, "a feature has name, enabled and strategies",
                  json_is_object(f) ? "the feature has no name" : "this is no feature");
        else if (json_object_get(u->by_name, json_string_value(name)))
            wrong(u, "keep one of them", "the feature \"%s\" stands twice",
                  show(json_text(name)).text);
        else
            json_object_set(u->by_name, json_string_value(name), f);
        path_back(&u->path, back);
    }
}

static void read_features(struct unleash *u, const json_t *document)
{
    size_t i, back = path_key(&u->path, SLICE("features"));
    const json_t *f;
    u->features = json_object_get(document, "features");
    if (!json_is_array(u->features))
        wrong(u, file_mend, "the features are %s",
              u->features ? json_type_word(u->features) : "missing");
    index_features(u);
    json_array_foreach(u->features, i, f)
    {
        size_t item = path_index(&u->path, i);
        if (json_object_get(u->by_name, json_string_value(json_object_get(f, "name"))) == f)
            read_feature(u, f);
        path_back(&u->path, item);
        if (json_memory_failed())
            break;
    }
    path_back(&u->path, back);
}

/* The document goes through the ordinary reader. */
static enum hoist_err read_flags(const struct unleash *u, struct flag_file **ret_file)
{
    json_t *document = rule_of("flags", rule_same(u->flags));
    json_object_set(document, "$evaluators", u->evaluators);
    enum hoist_err err = HOIST_ENOMEM;
    if (!json_memory_failed())
        err = document_read(document, u->problems, ret_file);
    json_decref(document);
    return err == HOIST_ENOMEM ? err_set(err, "out of memory") : err;
}

static enum hoist_err convert(struct unleash *u, const json_t *document,
                              struct flag_file **ret_file)
{
    size_t count = json_array_size(json_object_get(document, "segments"));
    json_memory_begin();
    u->segments = mem_zalloc(count, sizeof *u->segments);
    u->segment_index = json_object();
    u->by_name = json_object();
    u->flags = json_object();
    u->evaluators = json_object();
    if (!u->segments)
        return err_set(HOIST_ENOMEM, "out of memory");
    segments_index(u, json_object_get(document, "segments"));
    read_features(u, document);
    enum hoist_err err = HOIST_OK;
    if (u->no_memory || json_memory_failed() || u->problems->no_memory || u->changes->no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    else if (u->problems->total)
        err = HOIST_EINVAL;
    else
        err = read_flags(u, ret_file);
    for (size_t i = 0; i < count; i++)
        json_decref(u->segments[i].rule);
    return err;
}

static void unleash_done(struct unleash *u)
{
    mem_free(u->segments);
    json_decref(u->segment_index);
    json_decref(u->by_name);
    json_decref(u->flags);
    json_decref(u->evaluators);
}

enum hoist_err unleash_read(struct slice json, bool approximate, struct flag_file **ret_file,
                            struct problems *problems, struct problems *changes)
{
    struct unleash u = {.problems = problems, .changes = changes, .approximate = approximate};
    json_t *document = NULL;
    enum hoist_err err = json_load(json, problems, &document);
    if (err == HOIST_OK && problems->total)
        err = HOIST_EINVAL;
    if (err == HOIST_OK && !json_is_object(document)) {
        problems_add(problems, "line 1, column 1", file_mend,
                     "the file is an array, not an object");
        err = HOIST_EINVAL;
    }
    if (err == HOIST_OK)
        err = convert(&u, document, ret_file);
    unleash_done(&u);
    json_decref(document);
    if (problems->no_memory)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_EINVAL)
        return err_set(err, "%s: %s%s", problems->items[0].path, problems->items[0].message,
                       problems->total > 1 ? ", and more" : "");
    return err;
}
