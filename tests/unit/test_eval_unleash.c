/* The flags that Unleash's features become answer as Unleash's own SDK does: all of the pairs in
 * tests/golden/unleash/cases.json, whose README tells how it is made. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "flag/unleash.h"
#include "flag_kit.h"

struct compiled {
    const struct flag *flag;
    struct rule *rule;
};

struct site { /* the flags, sorted by key, and who asks */
    struct flag_file *file;
    struct compiled *flags;
    struct hoist_ctx ctx;
};

static json_t *read_cases(void)
{
    json_error_t at;
    json_t *cases = json_load_file("tests/golden/unleash/cases.json", 0, &at);
    if (!cases)
        fail_msg("%s, line %d: run it where the sources are", at.text, at.line);
    return cases;
}

static struct flag_file *import(const json_t *answer, bool approximate)
{
    struct problems problems = {0}, changes = {0};
    struct flag_file *file = NULL;
    char *text = json_dumps(answer, JSON_COMPACT);
    if (unleash_read(slice_str(text), approximate, &file, &problems, &changes) != HOIST_OK)
        fail_msg("%s", err_last());
    assert_int_equal(problems.total, 0);
    assert_int_equal(changes.total > 0, approximate);
    problems_done(&changes);
    free(text);
    return file;
}

static void begin_site(struct site *s, const json_t *answer, bool approximate)
{
    *s = (struct site){.file = import(answer, approximate)};
    s->flags = mem_zalloc(s->file->count, sizeof *s->flags);
    assert_non_null(s->flags);
    for (size_t i = 0; i < s->file->count; i++) {
        s->flags[i].flag = s->file->flags[i];
        assert_int_equal(rule_new(s->file->flags[i]->targeting, &s->flags[i].rule), HOIST_OK);
    }
}

static void end_site(struct site *s)
{
    for (size_t i = 0; i < s->file->count; i++)
        rule_free(s->flags[i].rule);
    mem_free(s->flags);
    flag_file_free(s->file);
    ctx_done(&s->ctx);
}

static int by_key(const void *key, const void *c)
{
    return slice_cmp(*(const struct slice *)key, ((const struct compiled *)c)->flag->key);
}

/* The variant of the flag `key`, or nothing. */
static struct slice variant_of(const struct site *s, struct slice key);

static bool yields(void *of, struct slice key, struct slice variant)
{
    return slice_eq(variant_of(of, key), variant);
}

static struct slice variant_of(const struct site *s, struct slice key)
{
    const struct compiled *c = bsearch(&key, s->flags, s->file->count, sizeof *s->flags, by_key);
    if (!c)
        return (struct slice){0};
    struct eval_ask ask = {.flag = c->flag,
                           .rule = c->rule,
                           .ctx = &s->ctx,
                           .now_s = 1800000000,
                           .yields = yields,
                           .of = (void *)s};
    struct eval_result r = eval_flag(&ask);
    assert_int_not_equal(r.reason, HOIST_ERROR);
    return r.variant == FLAG_NO_VARIANT ? (struct slice){0} : c->flag->variants[r.variant].name;
}

/* The same context under OpenFeature's names. */
static void put_context(struct hoist_ctx *ctx, const json_t *theirs)
{
    json_t *own = json_deep_copy(theirs), *user = json_object_get(own, "userId");
    if (user)
        json_object_set(own, "targetingKey", user);
    json_object_update(own, json_object_get(theirs, "properties"));
    json_object_del(own, "userId");
    json_object_del(own, "properties");
    char *text = json_dumps(own, 0);
    ctx_done(ctx);
    *ctx = (struct hoist_ctx){0};
    assert_int_equal(ctx_set_json(ctx, slice_str(text)), HOIST_OK);
    free(text);
    json_decref(own);
}

static void compare(const char *key, const json_t *context, struct slice got, struct slice want)
{
    if (slice_eq(got, want))
        return;
    char *text = json_dumps(context, JSON_COMPACT);
    fail_msg("%s is '%.*s' and not '%.*s' for %s", key, SLICE_ARG(got), SLICE_ARG(want), text);
}

static void every_flag_answers_every_context_as_the_sdk_does(void **state)
{
    json_t *cases = read_cases(), *contexts = json_object_get(cases, "contexts"), *context;
    struct site s;
    const char *name;
    size_t i, asked = 0;
    json_t *expected;
    begin_site(&s, json_object_get(cases, "answer"), false);
    json_array_foreach(contexts, i, context)
    {
        put_context(&s.ctx, context);
        json_object_foreach(json_object_get(cases, "expected"), name, expected)
        {
            const char *enabled = json_string_value(json_object_get(expected, "enabled"));
            const json_t *variants = json_object_get(expected, "variants");
            const char *variant = json_string_value(json_array_get(variants, i));
            char second[64];
            snprintf(second, sizeof second, "%s.variant", name);
            compare(name, context, variant_of(&s, slice_str(name)),
                    enabled[i] == '1' ? SLICE("on") : SLICE("off"));
            compare(second, context, variant_of(&s, slice_str(second)), slice_str(variant));
            asked += 2;
        }
    }
    assert_true(asked >= 20000);
    end_site(&s);
    json_decref(cases);
    (void)state;
}

/* How many of the sample users that `flagctl` counts with get this variant. */
static json_int_t count_users(struct site *s, const char *key, const char *variant)
{
    json_int_t count = 0;
    char user[32];
    for (int i = 1; i <= 100000; i++) {
        struct node name = {.kind = NODE_STRING, .span = 1};
        snprintf(user, sizeof user, "user-%d", i);
        name.text = slice_str(user);
        assert_int_equal(ctx_set_node(&s->ctx, SLICE("targetingKey"), name), HOIST_OK);
        count += slice_eq(variant_of(s, slice_str(key)), slice_str(variant));
    }
    return count;
}

/* The counts are the script's, who divides the same texts: so those who move were counted by the rule
 * that the flag has. */
static void a_share_is_of_those_who_were_counted(void **state)
{
    json_t *cases = read_cases(), *share;
    size_t i;
    json_array_foreach(json_object_get(cases, "shares"), i, share)
    {
        struct site s;
        json_t *answer = json_pack(
            "{s[{ss sb s[{ss s{sO sO ss}}]}]}", "features", "name", "f", "enabled", 1, "strategies",
            "name", "flexibleRollout", "parameters", "rollout", json_object_get(share, "percent"),
            "groupId", json_object_get(share, "group"), "stickiness", "userId");
        begin_site(&s, answer, true);
        assert_int_equal(count_users(&s, "f", "on"),
                         json_integer_value(json_object_get(share, "on")));
        end_site(&s);
        json_decref(answer);
    }
    json_decref(cases);
    (void)state;
}

static void weights_are_of_those_who_were_counted(void **state)
{
    json_t *cases = read_cases(), *division, *weight;
    size_t i, k;
    json_array_foreach(json_object_get(cases, "divisions"), i, division)
    {
        struct site s;
        json_t *variants = json_array();
        json_array_foreach(json_object_get(division, "weights"), k, weight)
        {
            char name[24];
            snprintf(name, sizeof name, "v%zu", k);
            json_array_append_new(variants, json_pack("{ss sO ss}", "name", name, "weight", weight,
                                                      "stickiness", "userId"));
        }
        json_t *answer = json_pack("{s[{ss sb s[] so}]}", "features", "name", "x", "enabled", 1,
                                   "strategies", "variants", variants);
        begin_site(&s, answer, true);
        assert_int_equal(count_users(&s, "x.variant", "v0"),
                         json_integer_value(json_object_get(division, "first")));
        end_site(&s);
        json_decref(answer);
    }
    json_decref(cases);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_answers_every_context_as_the_sdk_does),
        cmocka_unit_test(a_share_is_of_those_who_were_counted),
        cmocka_unit_test(weights_are_of_those_who_were_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
