/* Dependencies: a feature is on only where another is, or is not. */
#include "flag/unleash_int.h"

/* The feature that `d` names, if one can depend on it. */
static const json_t *parent_of(struct unleash *u, const json_t *d)
{
    const json_t *name = json_object_get(d, "feature");
    const json_t *parent =
        json_is_string(name) ? json_object_get(u->by_name, json_string_value(name)) : NULL;
    if (!json_is_string(name))
        wrong(u, "name a feature", "the dependency names no feature");
    else if (!parent)
        wrong(u, "bring that feature along, or take the dependency out",
              "it depends on \"%s\", which is not in the file", show(json_text(name)).text);
    else if (json_array_size(json_object_get(parent, "dependencies")))
        wrong(u, "let it depend on what is at the top",
              "it depends on \"%s\", which depends on another feature: Unleash never turns it on",
              show(json_text(name)).text);
    else
        return parent;
    return NULL;
}

static bool wants_off(const json_t *d)
{
    return json_is_false(json_object_get(d, "enabled"));
}

/* The flag and the variant that stand for a dependency, into `flags`. */
static void put_requirement(struct unleash *u, const json_t *d, json_t *flags)
{
    const json_t *parent = parent_of(u, d), *variants = json_object_get(d, "variants");
    const json_t *wanted = NULL;
    if (!parent)
        return;
    if (!wants_off(d) && json_array_size(variants))
        wanted = json_array_get(variants, 0);
    if (wanted && (json_array_size(variants) > 1 || !json_is_string(wanted))) {
        wrong(u, "depend on one variant, or on the feature",
              "it depends on any of several variants: a flag can require one");
        return;
    }
    if (wanted && !has_variants(parent)) {
        wrong(u, "depend on the feature itself", "it depends on a variant, and \"%s\" has none",
              show(json_text(json_object_get(parent, "name"))).text);
        return;
    }
    json_t *key = json_sprintf("%s%s", json_string_value(json_object_get(parent, "name")),
                               wanted ? ".variant" : "");
    const char *flag = json_string_value(key);
    json_t *variant = wanted ? rule_same(wanted) : json_string(wants_off(d) ? "off" : "on");
    const json_t *other = flag ? json_object_get(flags, flag) : NULL;
    if (other && !json_equal(other, variant))
        wrong(u, "keep one of the two", "it depends on \"%s\" in two ways, never both true",
              show(json_text(key)).text);
    if (flag)
        json_object_set(flags, flag, variant);
    json_decref(variant);
    json_decref(key);
}

json_t *requires_of(struct unleash *u, const json_t *feature)
{
    const json_t *dependencies = json_object_get(feature, "dependencies"), *d;
    json_t *flags = json_object();
    size_t i, back = path_key(&u->path, SLICE("dependencies"));
    json_array_foreach(is_on(feature) ? dependencies : NULL, i, d)
    {
        size_t item = path_index(&u->path, i);
        put_requirement(u, d, flags);
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
    json_t *requires = NULL;
    if (json_object_size(flags)) {
        requires = rule_of("flags", json_incref(flags));
        json_object_set_new(requires, "otherwise", json_string("off"));
    }
    json_decref(flags);
    return requires;
}

json_t *dependency_rule(struct unleash *u, const json_t *feature)
{
    json_t *rules = json_array();
    size_t i;
    const json_t *d;
    u->quiet++;
    json_array_foreach(json_object_get(feature, "dependencies"), i, d)
    {
        const json_t *parent = parent_of(u, d), *variants = json_object_get(d, "variants");
        if (!parent)
            continue;
        json_t *rule = feature_rule(u, parent);
        if (wants_off(d))
            rule = rule_not(rule);
        else if (json_array_size(variants))
            rule =
                rule_all(LIST(rule, rule_op2("in", variant_rule(u, parent), rule_same(variants))));
        json_array_append_new(rules, rule);
    }
    u->quiet--;
    return rule_all(rules);
}
