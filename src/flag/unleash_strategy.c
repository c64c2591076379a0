/* A strategy: who is in. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "flag/unleash_int.h"

struct parameters { /* of the strategy that is being read */
    struct unleash *u;
    struct slice feature;
    const json_t *json; /* may be NULL: none */
};

/* ------------------------------------------------------------------ parameters */

static const json_t *parameter(const struct parameters *p, const char *name)
{
    const json_t *v = json_object_get(p->json, name);
    return json_is_null(v) ? NULL : v;
}

/* Returns the length before it, for path_back(). */
static size_t path_parameter(const struct parameters *p, const char *name)
{
    size_t back = path_key(&p->u->path, SLICE("parameters"));
    path_key(&p->u->path, slice_str(name));
    return back;
}

/* A parameter that is a list with commas, as an array; empty where there is none. */
static json_t *list_of(const struct parameters *p, const char *name)
{
    const json_t *v = parameter(p, name);
    if (json_is_string(v) && json_string_length(v))
        return js_split(json_text(v));
    if (v && !json_is_string(v)) {
        size_t back = path_parameter(p, name);
        wrong(p->u, "write it as a text with commas", "the list is %s", json_type_word(v));
        path_back(&p->u->path, back);
    }
    return json_array();
}

/* Unleash cuts users into hundredths: of 12.5 only the 12 count. */
static uint32_t percent_of(const struct parameters *p, const char *name)
{
    double share = 0;
    const json_t *v = parameter(p, name);
    bool empty = json_is_string(v) && js_trim(json_text(v)).len == 0; /* Number("") is 0 */
    if (!empty && !js_number(v, &share)) {
        size_t back = path_parameter(p, name);
        wrong(p->u, "write a number from 0 to 100",
              v ? "the share is no number" : "the share is missing");
        path_back(&p->u->path, back);
    }
    return share < 1 ? 0 : share >= 100 ? 100 : (uint32_t)floor(share);
}

/* ------------------------------------------------------------------ dividing by hash */

/* The first of the attributes that is there: "or" yields the one that decides. */
static json_t *first_of(const char *const *attributes, size_t count)
{
    json_t *args = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(args, rule_var(slice_str(attributes[i])));
    return rule_of("or", args);
}

bool bucket_read(struct unleash *u, struct slice feature, const json_t *group,
                 const json_t *stickiness, bool of_variants, struct bucket *ret)
{
    static const char *const standard[] = {"targetingKey", "sessionId", "remoteAddress"};
    struct slice by = json_is_string(stickiness) ? json_text(stickiness) : (struct slice){0};
    struct slice name = json_is_string(group) ? json_text(group) : (struct slice){0}, attribute;
    if (name.len >= BUCKET_PREFIX_MAX - sizeof ":variant:") {
        wrong(u, "give it a shorter one", "the group's name has %zu bytes", name.len);
        return false;
    }
    bool random = slice_eq(by, SLICE("random"));
    bool of_user = slice_eq(by, SLICE("userId"));
    *ret =
        (struct bucket){.group = name, .plain = of_user && !of_variants && slice_eq(name, feature)};
    /* Another text than for the share: else all of the first 10 % would get the first variant. */
    snprintf(ret->prefix, sizeof ret->prefix, "%.*s%s", SLICE_ARG(name),
             of_variants  ? ":variant:"
             : ret->plain ? ""
                          : ":");
    if (by.len == 0 || random || slice_eq(by, SLICE("default")))
        ret->by = first_of(standard, of_variants ? 3 : 2);
    else if (!attribute_of(u, stickiness, &attribute))
        return false;
    else
        ret->by = of_user ? rule_var(attribute) : rule_var_text(attribute);
    return true;
}

void bucket_done(struct bucket *b)
{
    json_decref(b->by);
}

json_t *bucket_key(const struct bucket *b)
{
    return rule_op2("cat", json_string(b->prefix), rule_same(b->by));
}

static const char other_hash[] = "`fractional`, which has another hash";

/* Who is in of those that `stickiness` tells apart. `anyone`: also who cannot be told apart. */
static void read_share(const struct parameters *p, const char *name, const json_t *stickiness,
                       bool anyone, struct strategy *ret)
{
    struct bucket b;
    ret->percent = percent_of(p, name);
    if (ret->percent == 0 || (ret->percent == 100 && anyone)) {
        ret->when = json_boolean(ret->percent == 100);
        ret->percent = 100;
        return;
    }
    if (!bucket_read(p->u, p->feature, parameter(p, "groupId"), stickiness, false, &b)) {
        ret->when = json_false();
        return;
    }
    if (ret->percent < 100) {
        struct moved m = sample_rollout(p->u, b.group, slice_str(b.prefix), ret->percent);
        inexact(p->u, other_hash, m.text, "%u %% of the users, by Unleash's hash%s", ret->percent,
                anyone ? ", and who has no id by chance, anew each time" : "");
        ret->key = bucket_key(&b);
        ret->plain = b.plain;
    }
    ret->when = rule_same(b.by);
    bucket_done(&b);
}

/* ------------------------------------------------------------------ the strategies */

static void read_default(const struct parameters *p, struct strategy *ret)
{
    (void)p;
    ret->when = json_true();
}

static void read_users(const struct parameters *p, struct strategy *ret)
{
    json_t *users = list_of(p, "userIds");
    if (json_array_size(users))
        ret->when = rule_op2("in", rule_var(SLICE("targetingKey")), json_incref(users));
    else
        ret->when = json_false();
    json_decref(users);
}

static void read_by_user(const struct parameters *p, struct strategy *ret)
{
    json_t *by = json_string("userId");
    read_share(p, "percentage", by, false, ret);
    json_decref(by);
}

static void read_by_session(const struct parameters *p, struct strategy *ret)
{
    json_t *by = json_string("sessionId");
    read_share(p, "percentage", by, false, ret);
    json_decref(by);
}

/* Drawn anew at each request: no count of users tells what changes. */
static void read_drawn(const struct parameters *p, const char *name, struct strategy *ret)
{
    struct bucket b;
    ret->percent = percent_of(p, name);
    if (ret->percent == 0 || ret->percent == 100) {
        ret->when = json_boolean(ret->percent == 100);
        ret->percent = 100;
        return;
    }
    inexact(p->u, "each user or session keeps one answer",
            "everybody, whose answers changed anyway", "%u %% drawn anew at each request",
            ret->percent);
    if (bucket_read(p->u, p->feature, parameter(p, "groupId"), NULL, false, &b)) {
        ret->key = bucket_key(&b);
        ret->when = rule_same(b.by);
        bucket_done(&b);
    }
}

static void read_random(const struct parameters *p, struct strategy *ret)
{
    read_drawn(p, "percentage", ret);
}

static void read_flexible(const struct parameters *p, struct strategy *ret)
{
    const json_t *stickiness = parameter(p, "stickiness");
    const char *by = json_string_value(stickiness);
    if (stickiness && !by)
        wrong(p->u, "name a context field, default or random", "the stickiness is %s",
              json_type_word(stickiness));
    if (by && strcmp(by, "random") == 0)
        read_drawn(p, "rollout", ret);
    else
        read_share(p, "rollout", stickiness, !by || !*by || strcmp(by, "default") == 0, ret);
}

static void read_addresses(const struct parameters *p, struct strategy *ret)
{
    json_t *addresses = list_of(p, "IPs");
    ret->when = address_rule(p->u, SLICE("remoteAddress"), addresses, true);
    json_decref(addresses);
}

static void read_hosts(const struct parameters *p, struct strategy *ret)
{
    json_t *hosts = list_of(p, "hostNames"), *names = json_array();
    size_t i;
    const json_t *v;
    json_array_foreach(hosts, i, v)
    {
        json_array_append_new(names, in_case(json_text(v), false));
    }
    json_decref(hosts);
    if (json_array_size(names) == 0) {
        ret->when = json_false();
        json_decref(names);
        return;
    }
    inexact(p->u, "the rule looks at $hoist.host, the id of the host that evaluates",
            "those on hosts whose id is not their name in lower case",
            "the name of the host that evaluates");
    ret->when = rule_op2("in", rule_var(SLICE("$hoist.host")), names);
}

static const struct {
    const char *name;
    void (*read)(const struct parameters *p, struct strategy *ret);
} strategies[] = {
    {"default", read_default},
    {"userWithId", read_users},
    {"flexibleRollout", read_flexible},
    {"gradualRolloutUserId", read_by_user},
    {"gradualRolloutSessionId", read_by_session},
    {"gradualRolloutRandom", read_random},
    {"remoteAddress", read_addresses},
    {"applicationHostname", read_hosts},
};

static void read_kind(const struct parameters *p, const json_t *name, struct strategy *ret)
{
    for (size_t i = 0; json_is_string(name) && i < sizeof strategies / sizeof *strategies; i++)
        if (slice_eq(json_text(name), slice_str(strategies[i].name))) {
            strategies[i].read(p, ret);
            return;
        }
    if (json_is_string(name))
        wrong(p->u, "say with constraints what it decides, or leave the feature out of the file",
              "there is no telling what the strategy \"%s\" decides", show(json_text(name)).text);
    else
        wrong(p->u, "name it, such as default", "the strategy has no name");
}

/* ------------------------------------------------------------------ the whole */

static void put_segments(struct unleash *u, const json_t *ids, json_t *items)
{
    size_t i, back = path_key(&u->path, SLICE("segments"));
    const json_t *id;
    if (ids && !json_is_array(ids) && !json_is_null(ids))
        wrong(u, "make them an array of ids", "the segments are %s", json_type_word(ids));
    json_array_foreach(ids, i, id)
    {
        size_t item = path_index(&u->path, i);
        json_array_append_new(items, segment_rule(u, id));
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
}

void strategy_read(struct unleash *u, struct slice name, const json_t *json, struct strategy *ret)
{
    json_t *items = json_array();
    struct parameters p = {u, name, json_object_get(json, "parameters")};
    *ret = (struct strategy){.percent = 100};
    constraint_rules(u, json_object_get(json, "constraints"), items);
    put_segments(u, json_object_get(json, "segments"), items);
    size_t back = path_key(&u->path, SLICE("parameters"));
    if (p.json && !json_is_object(p.json) && !json_is_null(p.json))
        wrong(u, "make them an object", "the parameters are %s", json_type_word(p.json));
    path_back(&u->path, back);
    if (json_is_object(json))
        read_kind(&p, json_object_get(json, "name"), ret);
    else
        wrong(u, "a strategy has a name and parameters", "the strategy is %s",
              json_type_word(json));
    json_array_append_new(items, ret->when ? ret->when : json_false());
    ret->when = rule_all(items);
}

void strategy_done(struct strategy *s)
{
    json_decref(s->when);
    json_decref(s->key);
}

json_t *share_rule(const struct strategy *s)
{
    json_t *args = LIST(rule_pair(json_string("on"), s->percent),
                        rule_pair(json_string("off"), 100 - s->percent));
    if (!s->plain)
        json_array_insert(args, 0, s->key);
    return rule_of("fractional", args);
}

json_t *strategy_rule(const struct strategy *s)
{
    struct strategy among_others = *s;
    among_others.plain = false; /* another flag's key would be hashed in another flag */
    if (!s->key)
        return rule_same(s->when);
    return rule_all(
        LIST(rule_same(s->when), rule_op2("===", share_rule(&among_others), json_string("on"))));
}
