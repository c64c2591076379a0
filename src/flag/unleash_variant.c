/* Variants: which of several, for those who are in.
 *
 * In Unleash a feature answers two questions, isEnabled() and getVariant(); a flag of ours answers one,
 * of one type. So the second is another flag, NAME.variant: its variants have Unleash's names and its
 * values are the payloads (the names, where no variant has one). It has no default variant: where
 * Unleash answers the variant "disabled", or one without a payload, the program gets its own
 * fallback, as from Unleash's OpenFeature provider. It repeats the conditions of the feature instead
 * of requiring it, because a requirement that is not met must name a variant.
 */
#include <string.h>

#include "flag/unleash_int.h"

/* ------------------------------------------------------------------ finding them */

static bool is_filled(const json_t *variants)
{
    return json_is_array(variants) && json_array_size(variants) > 0;
}

bool has_variants(const json_t *feature)
{
    size_t i;
    const json_t *strategy;
    bool some = is_filled(json_object_get(feature, "variants"));
    json_array_foreach(json_object_get(feature, "strategies"), i, strategy)
    {
        some |= is_filled(json_object_get(strategy, "variants"));
    }
    return some;
}

static bool has_payload(const json_t *variant)
{
    return json_is_object(json_object_get(variant, "payload"));
}

static bool any_payload(const json_t *variants)
{
    size_t i;
    const json_t *v;
    bool some = false;
    json_array_foreach(variants, i, v)
    {
        some |= has_payload(v);
    }
    return some;
}

static bool feature_has_payloads(const json_t *feature)
{
    size_t i;
    const json_t *strategy;
    bool some = any_payload(json_object_get(feature, "variants"));
    json_array_foreach(json_object_get(feature, "strategies"), i, strategy)
    {
        some |= any_payload(json_object_get(strategy, "variants"));
    }
    return some;
}

/* ------------------------------------------------------------------ values */

/* The text as JSON, which may be any value: read as the only item of an array. */
static json_t *value_of_json(struct unleash *u, const json_t *text)
{
    struct problems problems = {0};
    json_t *array = NULL, *value = NULL;
    struct buf b = BUF_INIT(SIZE_MAX / 4);
    buf_printf(&b, "[%s]", json_string_value(text));
    enum hoist_err err = buf_err(&b);
    if (err == HOIST_OK)
        err = json_load(buf_slice(&b), &problems, &array);
    if (err == HOIST_OK && problems.total == 0 && json_array_size(array) == 1)
        value = json_incref(json_array_get(array, 0));
    else if (err == HOIST_ENOMEM || problems.no_memory)
        u->no_memory = true;
    else
        wrong(u, "mend it in Unleash", "the payload is not one JSON value%s%s",
              problems.count ? ": " : "", problems.count ? problems.items[0].message : "");
    json_decref(array);
    buf_done(&b);
    problems_done(&problems);
    return value;
}

/* The value that a payload writes down; NULL, which was said, when it is none. */
static json_t *value_of(struct unleash *u, const json_t *payload)
{
    const json_t *type = json_object_get(payload, "type"),
                 *text = json_object_get(payload, "value");
    struct slice kind = json_is_string(type) ? json_text(type) : (struct slice){0};
    double number;
    if (!json_is_string(text)) {
        wrong(u, "write its value as a text", "the payload has no value");
        return NULL;
    }
    if (slice_eq(kind, SLICE("string")) || slice_eq(kind, SLICE("csv")))
        return rule_same(text);
    if (slice_eq(kind, SLICE("json")))
        return value_of_json(u, text);
    if (!slice_eq(kind, SLICE("number")))
        wrong(u, "make it string, json, csv or number", "there is no telling what the payload is");
    else if (js_number(text, &number))
        return json_real(number);
    else
        wrong(u, "write a number like 10 or -2.5", "the payload \"%s\" is no number",
              show(json_text(text)).text);
    return NULL;
}

static void put_value(struct unleash *u, const json_t *variant, bool payloads, json_t *values)
{
    const json_t *name = json_object_get(variant, "name");
    if (!json_is_string(name)) {
        wrong(u, "give it a name", "the variant has no name");
        return;
    }
    if (payloads && !has_payload(variant)) {
        inexact(u, "the program gets its own fallback, and no variant's name", "those who get it",
                "the variant \"%s\" has no payload, and others have", show(json_text(name)).text);
        return;
    }
    size_t back = path_key(&u->path, SLICE("payload"));
    json_t *value = payloads ? value_of(u, json_object_get(variant, "payload")) : rule_same(name);
    path_back(&u->path, back);
    const json_t *other = json_object_get(values, json_string_value(name));
    if (other && value && !json_equal(other, value))
        wrong(u, "give one of them another name", "the variant \"%s\" stands for two values",
              show(json_text(name)).text);
    json_object_set_new(values, json_string_value(name), value);
}

static void put_values(struct unleash *u, const json_t *variants, bool payloads, json_t *values)
{
    size_t i, back = path_key(&u->path, SLICE("variants"));
    const json_t *v;
    json_array_foreach(variants, i, v)
    {
        size_t item = path_index(&u->path, i);
        put_value(u, v, payloads, values);
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
}

void variants_values(struct unleash *u, const json_t *feature, json_t *values)
{
    bool payloads = feature_has_payloads(feature);
    size_t i;
    const json_t *strategy;
    put_values(u, json_object_get(feature, "variants"), payloads, values);
    json_array_foreach(json_object_get(feature, "strategies"), i, strategy)
    {
        size_t back = path_key(&u->path, SLICE("strategies"));
        path_index(&u->path, i);
        put_values(u, json_object_get(strategy, "variants"), payloads, values);
        path_back(&u->path, back);
    }
}

/* ------------------------------------------------------------------ choosing one */

/* The weight of a variant. False: said. */
static bool weight_of(struct unleash *u, const json_t *variant, uint32_t *ret)
{
    const json_t *weight = json_object_get(variant, "weight");
    json_int_t whole = json_is_integer(weight) ? json_integer_value(weight) : -1;
    if (json_is_real(weight) && json_real_value(weight) >= 0 && json_real_value(weight) <= 1e6 &&
        json_real_value(weight) == (double)(json_int_t)json_real_value(weight))
        whole = (json_int_t)json_real_value(weight);
    if (whole >= 0 && whole <= 1000000) {
        *ret = (uint32_t)whole;
        return true;
    }
    wrong(u, "write a whole number from 0 to 1000", "the variant has no good weight");
    return false;
}

/* What stands for a variant: its name, or null if it has no value. */
static json_t *outcome(const json_t *variant, bool payloads)
{
    const json_t *name = json_object_get(variant, "name");
    return json_is_string(name) && (!payloads || has_payload(variant)) ? rule_same(name)
                                                                       : json_null();
}

/* The condition that an override is for this context. */
static json_t *override_rule(struct unleash *u, const json_t *o)
{
    struct slice attribute;
    const json_t *values = json_object_get(o, "values");
    size_t i;
    const json_t *v;
    bool as_text = false;
    if (!json_is_array(values)) {
        wrong(u, "give it an array of texts", "the override has no values");
        return json_false();
    }
    if (!attribute_of(u, json_object_get(o, "contextName"), &attribute))
        return json_false();
    json_array_foreach(values, i, v)
    {
        if (!json_is_string(v) || json_string_length(v) == 0)
            wrong(u, "write texts, in quotes", "an override for what is no text, or an empty one");
        else
            as_text |= in_number(json_text(v));
    }
    as_text &= !slice_eq(attribute, SLICE("targetingKey"));
    return rule_op2("in", as_text ? rule_var_text(attribute) : rule_var(attribute),
                    rule_same(values));
}

/* Arms of an `if`: whom an override gives a variant whatever its weight. */
static void put_overrides(struct unleash *u, const json_t *variants, bool payloads, json_t *arms)
{
    size_t i, k;
    const json_t *v, *o;
    json_array_foreach(variants, i, v)
    {
        json_t *any = json_array();
        size_t back = path_index(&u->path, i);
        path_key(&u->path, SLICE("overrides"));
        json_array_foreach(json_object_get(v, "overrides"), k, o)
        {
            json_array_append_new(any, override_rule(u, o));
        }
        path_back(&u->path, back);
        json_t *rule = rule_any(any);
        if (!json_is_false(rule)) {
            json_array_append(arms, rule);
            json_array_append_new(arms, outcome(v, payloads));
        }
        json_decref(rule);
    }
}

struct chooser { /* by hash, among the variants that have a weight */
    struct division d;
    json_t *pairs;
    json_t *without;    /* names of those that have no value */
    const json_t *last; /* of them */
};

static void add_weights(struct unleash *u, const json_t *variants, bool payloads, struct chooser *c)
{
    size_t i;
    const json_t *v;
    json_array_foreach(variants, i, v)
    {
        uint32_t weight;
        size_t back = path_index(&u->path, i);
        bool good = weight_of(u, v, &weight);
        path_back(&u->path, back);
        if (!good || weight == 0 || c->d.count == FLAG_VARIANTS_MAX)
            continue;
        c->d.weights[c->d.count++] = weight;
        c->last = v;
        json_array_append_new(c->pairs, rule_pair(rule_same(json_object_get(v, "name")), weight));
        if (payloads && !has_payload(v))
            json_array_append(c->without, json_object_get(v, "name"));
    }
}

static json_t *divide(struct unleash *u, struct slice feature, const json_t *group,
                      const json_t *stickiness, struct chooser *c)
{
    struct bucket b;
    if (!bucket_read(u, feature, group, stickiness, true, &b))
        return json_null();
    c->d.group = b.group;
    c->d.prefix = slice_str(b.prefix);
    bool drawn = json_is_string(stickiness) && slice_eq(json_text(stickiness), SLICE("random"));
    struct moved m = {""};
    if (!drawn)
        m = sample_variants(u, &c->d);
    inexact(u, "`fractional`, which has another hash",
            drawn ? "everybody, whose answers changed anyway" : m.text,
            "%u variants, divided by %s", c->d.count,
            drawn ? "chance, anew each time"
                  : "Unleash's hash, and for who has no id by chance, anew each time");
    json_t *args = json_array();
    json_array_append_new(args, bucket_key(&b));
    json_array_extend(args, c->pairs);
    bucket_done(&b);
    json_t *rule = rule_of("fractional", args);
    if (json_array_size(c->without)) /* `fractional` names variants, and null is none */
        rule = rule_of(
            "if", LIST(rule_op2("in", rule_same(rule), rule_same(c->without)), json_null(), rule));
    return rule;
}

/* What those get who are in by way of these variants. NULL: none of them has a weight. */
static json_t *choose(struct unleash *u, struct slice feature, const json_t *group,
                      const json_t *stickiness, const json_t *variants, bool payloads)
{
    struct chooser c = {.pairs = json_array(), .without = json_array()};
    json_t *arms = json_array(), *choice;
    size_t back = path_key(&u->path, SLICE("variants"));
    if (json_array_size(variants) > FLAG_VARIANTS_MAX)
        wrong(u, "split the feature", "there are %zu variants: %d at most",
              json_array_size(variants), FLAG_VARIANTS_MAX);
    add_weights(u, variants, payloads, &c);
    if (c.d.count)
        put_overrides(u, variants, payloads, arms);
    if (c.d.count == 0)
        choice = NULL;
    else if (c.d.count == 1)
        choice = outcome(c.last, payloads);
    else
        choice = divide(u, feature, group, stickiness, &c);
    path_back(&u->path, back);
    json_decref(c.pairs);
    json_decref(c.without);
    if (json_array_size(arms) == 0) {
        json_decref(arms);
        return choice;
    }
    json_array_append_new(arms, choice);
    return rule_of("if", arms);
}

/* ------------------------------------------------------------------ the whole */

static const json_t *own_stickiness(const json_t *variants)
{
    const json_t *v = json_object_get(json_array_get(variants, 0), "stickiness");
    return json_is_string(v) && json_string_length(v) ? v : NULL;
}

static json_t *of_strategy(struct unleash *u, struct slice name, const json_t *strategy,
                           bool payloads)
{
    const json_t *variants = json_object_get(strategy, "variants");
    const json_t *parameters = json_object_get(strategy, "parameters");
    const json_t *stickiness = own_stickiness(variants);
    return choose(u, name, json_object_get(parameters, "groupId"),
                  stickiness ? stickiness : json_object_get(parameters, "stickiness"), variants,
                  payloads);
}

/* Arms in a row that choose the same are one. */
static void put_arm(json_t *arms, json_t *rule, json_t *choice)
{
    size_t count = json_array_size(arms);
    if (count && json_equal(json_array_get(arms, count - 1), choice)) {
        rule = rule_any(LIST(rule_same(json_array_get(arms, count - 2)), rule));
        json_array_set_new(arms, count - 2, rule);
        json_decref(choice);
    } else if (json_is_false(rule)) {
        json_decref(rule);
        json_decref(choice);
    } else {
        json_array_append_new(arms, rule);
        json_array_append_new(arms, choice);
    }
}

/* An arm for each strategy: who is in by it gets its variants, or else the feature's. */
static void put_strategies(struct unleash *u, const json_t *feature, const json_t *own,
                           bool payloads, json_t *arms)
{
    struct slice name = json_text(json_object_get(feature, "name"));
    size_t i, back = path_key(&u->path, SLICE("strategies"));
    const json_t *s;
    json_array_foreach(json_object_get(feature, "strategies"), i, s)
    {
        struct strategy strategy;
        size_t item = path_index(&u->path, i);
        u->quiet++; /* as the condition of the feature itself it was read before */
        strategy_read(u, name, s, &strategy);
        u->quiet--;
        json_t *rule = strategy_rule(&strategy), *choice = of_strategy(u, name, s, payloads);
        strategy_done(&strategy);
        if (!choice)
            choice = rule_same(own);
        path_back(&u->path, item);
        put_arm(arms, rule, choice);
    }
    path_back(&u->path, back);
}

json_t *variant_rule(struct unleash *u, const json_t *feature)
{
    const json_t *name = json_object_get(feature, "name");
    const json_t *variants = json_object_get(feature, "variants");
    bool payloads = feature_has_payloads(feature);
    if (!json_is_true(json_object_get(feature, "enabled")))
        return json_null();
    json_t *own = choose(u, json_text(name), name, own_stickiness(variants), variants, payloads);
    if (!own)
        own = json_null();
    if (json_array_size(json_object_get(feature, "strategies")) == 0)
        return own;
    json_t *arms = json_array();
    put_strategies(u, feature, own, payloads, arms);
    json_decref(own);
    if (json_array_size(arms) == 2 && json_is_true(json_array_get(arms, 0))) {
        json_t *choice = rule_same(json_array_get(arms, 1));
        json_decref(arms);
        return choice;
    }
    json_array_append_new(arms, json_null());
    return rule_of("if", arms);
}
