/* A constraint: one context field, compared.
 *
 * The context has the same names in Hoist, but for userId, which is OpenFeature's targetingKey, and
 * currentTime, which is $flagd.timestamp. Its values are texts and numbers, as Unleash's types have
 * it. Unleash turns each into text before it compares, and JSONLogic does not, so a rule does that
 * (`cat`) where a number could tell the difference, and only there: rules stay as a person would
 * write them.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "flag/unleash_int.h"

struct constraint {
    const json_t *json;
    struct slice attribute;
    const char *name;   /* of its operator */
    const char *mapped; /* the operator of ours that stands for it */
    bool any_case;
};

/* ------------------------------------------------------------------ fields */

bool attribute_of(struct unleash *u, const json_t *name, struct slice *ret)
{
    if (!json_is_string(name) || json_string_length(name) == 0) {
        wrong(u, "name a field of the context", "the context field has no name");
        return false;
    }
    struct slice text = json_text(name);
    if (slice_eq(text, SLICE("userId"))) {
        *ret = SLICE("targetingKey");
        return true;
    }
    if (slice_eq(text, SLICE("targetingKey"))) {
        wrong(u, "compare userId, or give the field another name in Unleash and in your program",
              "the context field \"targetingKey\": that name is userId's in OpenFeature");
        return false;
    }
    if (slice_eq(text, SLICE("currentTime"))) {
        wrong(u, "compare it by DATE_AFTER or DATE_BEFORE", "the current time compared as text");
        return false;
    }
    if (text.len && memchr(text.ptr, '.', text.len))
        inexact(u, "the rule looks for a field within a field",
                "all whose context has the name as it stands",
                "the context field \"%s\": a dot in a name leads to a field within",
                show(text).text);
    *ret = text;
    return true;
}

static bool may_be_number(struct slice attribute)
{
    return !slice_eq(attribute, SLICE("targetingKey")); /* OpenFeature's is a text */
}

/* The texts of `values`, trimmed and without the empty ones, as Unleash's SDK cleans them. */
static json_t *clean(struct unleash *u, const json_t *values)
{
    json_t *kept = json_array();
    size_t i;
    const json_t *v;
    size_t back = path_key(&u->path, SLICE("values"));
    if (!json_is_array(values))
        wrong(u, "give it an array of texts", "the values are %s",
              values ? json_type_word(values) : "missing");
    json_array_foreach(values, i, v)
    {
        struct slice text = json_is_string(v) ? js_trim(json_text(v)) : (struct slice){0};
        size_t item = path_index(&u->path, i);
        if (!json_is_string(v))
            wrong(u, "write it in quotes", "the value is %s, not a text", json_type_word(v));
        else if (text.len)
            json_array_append_new(kept, rule_text(text));
        else if (json_string_length(v))
            wrong(u, "take it out", "the value is nothing but spaces");
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
    return kept;
}

/* ------------------------------------------------------------------ one of several texts */

static json_t *rule_one_of(struct slice attribute, const json_t *values)
{
    size_t i;
    const json_t *v;
    bool as_text = false;
    json_array_foreach(values, i, v)
    {
        as_text |= may_be_number(attribute) && in_number(json_text(v));
    }
    json_t *have = as_text ? rule_var_text(attribute) : rule_var(attribute);
    if (json_array_size(values) == 1)
        return rule_op2("===", have, rule_same(json_array_get(values, 0)));
    return rule_op2("in", have, rule_same(values));
}

static json_t *read_in(struct unleash *u, const struct constraint *c)
{
    json_t *values = clean(u, json_object_get(c->json, "values"));
    json_t *rule = json_array_size(values) ? rule_one_of(c->attribute, values) : json_false();
    json_decref(values);
    return strcmp(c->name, "NOT_IN") == 0 ? rule_not(rule) : rule;
}

/* ------------------------------------------------------------------ parts of texts */

static json_t *rule_part(const struct constraint *c, json_t *part)
{
    bool as_text = may_be_number(c->attribute) && in_number(json_text(part));
    json_t *have = as_text ? rule_var_text(c->attribute) : rule_var(c->attribute);
    if (strcmp(c->mapped, "in") == 0)
        return rule_op2("in", part, have);
    return rule_op2(c->mapped, have, part);
}

/* The text, and if the case does not matter what else it is likely to be written as. */
static void put_spellings(const json_t *value, bool any_case, json_t *spellings)
{
    json_t *lower = in_case(json_text(value), false), *upper = in_case(json_text(value), true);
    json_array_append(spellings, (json_t *)value);
    if (any_case && !json_equal(lower, value))
        json_array_append(spellings, lower);
    if (any_case && !json_equal(upper, value))
        json_array_append(spellings, upper);
    json_decref(lower);
    json_decref(upper);
}

static json_t *read_text(struct unleash *u, const struct constraint *c)
{
    json_t *values = clean(u, json_object_get(c->json, "values"));
    json_t *spellings = json_array(), *rules = json_array();
    size_t i;
    json_t *v;
    bool cased = false;
    json_array_foreach(values, i, v)
    {
        bool any_case = c->any_case && has_case(json_text(v));
        put_spellings(v, any_case, spellings);
        cased |= any_case;
    }
    if (cased)
        inexact(u, "the text as it stands, in lower case and in upper case",
                "those who write it in yet another way",
                "%s without regard to case: Hoist's operators regard it", c->name);
    json_array_foreach(spellings, i, v)
    {
        json_array_append_new(rules, rule_part(c, json_incref(v)));
    }
    json_decref(values);
    json_decref(spellings);
    return rule_any(rules);
}

/* ------------------------------------------------------------------ numbers, versions, dates */

static bool holds(double a, const char *op, double b)
{
    bool equal = strcmp(op, "==") == 0 || op[1] == '=';
    return (equal && a == b) || (op[0] == '<' && a < b) || (op[0] == '>' && a > b);
}

/* A field that is absent is null, which JavaScript counts as 0 except in ==. */
static json_t *read_number(struct unleash *u, const struct constraint *c)
{
    double value;
    const json_t *v = json_object_get(c->json, "value");
    size_t back = path_key(&u->path, SLICE("value"));
    bool good = js_number(v, &value);
    if (!good)
        wrong(u, "write a number like 10 or -2.5", "%s compares with no number", c->name);
    path_back(&u->path, back);
    if (!good)
        return json_false();
    bool whole = value >= -9007199254740991 && value <= 9007199254740991 &&
                 value == (double)(json_int_t)value;
    json_t *number = whole ? json_integer((json_int_t)value) : json_real(value);
    json_t *rule = rule_op2(c->mapped, rule_var(c->attribute), number);
    if (strcmp(c->mapped, "==") == 0 || !holds(0, c->mapped, value))
        return rule;
    return rule_op2("and", rule_op2("!==", rule_var(c->attribute), json_null()), rule);
}

static json_t *read_version(struct unleash *u, const struct constraint *c)
{
    const json_t *v = json_object_get(c->json, "value");
    if (!json_is_string(v) || !is_semver(json_text(v))) {
        size_t back = path_key(&u->path, SLICE("value"));
        wrong(u, "write a version like 1.2.3", "%s compares with no version", c->name);
        path_back(&u->path, back);
        return json_false();
    }
    inexact(u, "they are compared",
            "those whose version is not written in full, like v1.2.3 or 1.2",
            "%s: versions with a v in front, or without a third number, never match in Unleash",
            c->name);
    return rule_of("sem_ver", LIST(rule_var(c->attribute), json_string(c->mapped), rule_same(v)));
}

/*
 * $flagd.timestamp counts whole seconds. Before a whole second is exact; after it is taken as not
 * before it, which is another answer within the very millisecond and at no other time.
 */
static json_t *read_date(struct unleash *u, const struct constraint *c)
{
    int64_t ms;
    const char *text = json_string_value(json_object_get(c->json, "value"));
    bool after = strcmp(c->name, "DATE_AFTER") == 0;
    size_t back = path_key(&u->path, SLICE("value"));
    bool good = text && text_time_read(text, &ms) == HOIST_OK;
    if (!good)
        wrong(u, "write it in UTC, like 2026-11-24T14:02:03.000Z", "%s compares with no date",
              c->name);
    path_back(&u->path, back);
    if (!good)
        return json_false();
    int64_t second = ms / 1000 - (ms % 1000 < 0);
    if (ms % 1000)
        inexact(u, "the rule looks at the whole second", "everybody, for less than a second",
                "%s at a part of a second: Hoist's clock counts whole ones", c->name);
    return rule_op2(after ? ">=" : "<", rule_var(SLICE("$flagd.timestamp")), json_integer(second));
}

/* ------------------------------------------------------------------ addresses */

static json_t *starts_with_octets(struct slice attribute, uint32_t address, unsigned octets)
{
    char text[20] = "";
    size_t len = 0;
    for (unsigned i = 0; i < octets; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%u%s",
                                address >> (24 - 8 * i) & 255, i < 3 ? "." : "");
    return rule_op2(octets == 4 ? "===" : "starts_with", rule_var(attribute), json_string(text));
}

/* The range as the beginnings of its addresses: 128 at most. */
static void put_range(struct slice attribute, uint32_t address, unsigned bits, json_t *rules)
{
    unsigned octets = (bits + 7) / 8;
    uint32_t step = octets ? 1u << (32 - 8 * octets) : 0, count = 1u << (8 * octets - bits);
    if (octets == 0) {
        json_array_append_new(rules, rule_op2("in", json_string("."), rule_var(attribute)));
        return;
    }
    address &= ~(uint32_t)(((uint64_t)1 << (32 - bits)) - 1);
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(rules, starts_with_octets(attribute, address + i * step, octets));
}

static void put_address(struct unleash *u, struct slice attribute, const json_t *v, bool as_text,
                        json_t *rules)
{
    struct slice text = json_text(v);
    uint32_t address;
    unsigned bits;
    bool v4 = ipv4_read(text, &address, &bits);
    if (v4 && bits < 32) {
        inexact(u, "a rule on how the address begins",
                "those who give an address in another spelling, or something else that begins so",
                "the range of addresses %s: Hoist has no operator for one", show(text).text);
        put_range(attribute, address, bits, rules);
    } else if (v4) {
        json_array_append_new(rules, starts_with_octets(attribute, address, 4));
    } else if (as_text) {
        json_array_append_new(rules, rule_op2("===", rule_var(attribute), rule_same(v)));
    } else {
        wrong(u, "list version 4 addresses, or compare the field otherwise",
              "%s is no address or range of version 4, and Hoist has no operator for others",
              show(text).text);
    }
}

json_t *address_rule(struct unleash *u, struct slice attribute, const json_t *texts, bool as_text)
{
    json_t *rules = json_array();
    size_t i;
    const json_t *v;
    json_array_foreach(texts, i, v)
    {
        put_address(u, attribute, v, as_text, rules);
    }
    return rule_any(rules);
}

static json_t *read_range(struct unleash *u, const struct constraint *c)
{
    json_t *values = clean(u, json_object_get(c->json, "values"));
    json_t *rule = address_rule(u, c->attribute, values, false);
    json_decref(values);
    return rule;
}

static json_t *read_regex(struct unleash *u, const struct constraint *c)
{
    wrong(u, "write the constraint with STR_STARTS_WITH, STR_ENDS_WITH, STR_CONTAINS or IN",
          "%s: Hoist has no regular expressions", c->name);
    return json_false();
}

/* ------------------------------------------------------------------ the whole */

static const struct {
    const char *name, *mapped;
    json_t *(*read)(struct unleash *u, const struct constraint *c);
} operators[] = {
    {"IN", "in", read_in},
    {"NOT_IN", "in", read_in},
    {"STR_STARTS_WITH", "starts_with", read_text},
    {"STR_ENDS_WITH", "ends_with", read_text},
    {"STR_CONTAINS", "in", read_text},
    {"NUM_EQ", "==", read_number},
    {"NUM_GT", ">", read_number},
    {"NUM_GTE", ">=", read_number},
    {"NUM_LT", "<", read_number},
    {"NUM_LTE", "<=", read_number},
    {"DATE_AFTER", ">=", read_date},
    {"DATE_BEFORE", "<", read_date},
    {"SEMVER_EQ", "=", read_version},
    {"SEMVER_GT", ">", read_version},
    {"SEMVER_GTE", ">=", read_version},
    {"SEMVER_LT", "<", read_version},
    {"SEMVER_LTE", "<=", read_version},
    {"IN_CIDR", "", read_range},
    {"REGEX", "", read_regex},
};

static json_t *read_operator(struct unleash *u, struct constraint *c)
{
    const json_t *name = json_object_get(c->json, "operator");
    for (size_t i = 0; json_is_string(name) && i < sizeof operators / sizeof *operators; i++) {
        if (!slice_eq(json_text(name), slice_str(operators[i].name)))
            continue;
        c->name = operators[i].name;
        c->mapped = operators[i].mapped;
        /* Dates are compared with the clock, whatever the field is called. */
        if (operators[i].read != read_date &&
            !attribute_of(u, json_object_get(c->json, "contextName"), &c->attribute))
            return json_false();
        return operators[i].read(u, c);
    }
    if (json_is_string(name))
        wrong(u, "write the constraint with another operator",
              "there is no telling what the operator \"%s\" means", show(json_text(name)).text);
    else
        wrong(u, "name its operator, such as IN", "the constraint has no operator");
    return json_false();
}

json_t *constraint_rule(struct unleash *u, const json_t *constraint)
{
    struct constraint c = {.json = constraint};
    if (!json_is_object(constraint)) {
        wrong(u, "a constraint has contextName, operator and values", "the constraint is %s",
              json_type_word(constraint));
        return json_false();
    }
    c.any_case = json_is_true(json_object_get(constraint, "caseInsensitive"));
    json_t *rule = read_operator(u, &c);
    return json_is_true(json_object_get(constraint, "inverted")) ? rule_not(rule) : rule;
}

void constraint_rules(struct unleash *u, const json_t *constraints, json_t *items)
{
    size_t i, back = path_key(&u->path, SLICE("constraints"));
    const json_t *c;
    if (constraints && !json_is_array(constraints) && !json_is_null(constraints))
        wrong(u, "make them an array", "the constraints are %s", json_type_word(constraints));
    json_array_foreach(constraints, i, c)
    {
        size_t item = path_index(&u->path, i);
        json_array_append_new(items, constraint_rule(u, c));
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
}
