#include "primary_kit.h"

#include <inttypes.h>

/* Names in one of an answer's lists, with commas between. */
static void assert_names(const struct told *t, const char *list, const char *want)
{
    struct buf names = BUF_INIT(65536);
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(t->body, list), i, name)
    {
        buf_printf(&names, "%s%s", i ? "," : "", json_string_value(name));
    }
    assert_string_equal(buf_str(&names), want);
    buf_done(&names);
}

static void apply(struct kit *k, const char *file, const char *more, uint32_t exit,
                  struct told *ret)
{
    char *body = kit_file(file, more);
    struct told t = kit_tell(k, "apply", body);
    free(body);
    if (t.exit != exit)
        print_error("apply: exit %u, %s\n", t.exit, kit_error(&t));
    assert_int_equal(t.exit, exit);
    if (ret)
        *ret = t;
    else
        told_done(&t);
}

/* The flag as it is, from the question `get`. */
static json_t *get_flag(struct kit *k, const char *key)
{
    char args[256];
    snprintf(args, sizeof args, "{\"key\":\"%s\"}", key);
    struct told t = kit_ask(k, "get", args);
    assert_int_equal(t.exit, EXIT_DONE);
    return t.body;
}

#define ON_OFF "\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false}"

/* ------------------------------------------------------------------ set and delete */

static void set_creates_moves_and_leaves_alone(void **state)
{
    struct kit *k = *state;
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    assert_names(&t, "created", "k");
    assert_names(&t, "changed", "");
    assert_int_equal(json_integer_value(json_object_get(t.body, "version")), 2);
    assert_string_equal(kit_text(t.body, "env"), "production");
    assert_int_equal(strlen(kit_text(t.body, "epoch")), 16);
    assert_int_equal(strlen(kit_text(t.body, "request")), 32);
    told_done(&t);

    t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"off\"}");
    assert_names(&t, "changed", "k");
    told_done(&t);
    t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"off\"}");
    assert_string_equal(kit_text(t.body, "result"), "unchanged");
    assert_int_equal(json_integer_value(json_object_get(t.body, "version")), 3);
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, 3);
}

static void a_dry_run_says_what_would_change_and_changes_nothing(void **state)
{
    struct kit *k = *state;
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"dry_run\":true}");
    assert_string_equal(kit_text(t.body, "result"), "dry-run");
    assert_names(&t, "created", "k");
    const json_t *edit = json_array_get(json_object_get(t.body, "edits"), 0);
    assert_true(json_is_null(json_object_get(edit, "before")));
    assert_true(json_is_object(json_object_get(edit, "after")));
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, 1);
}

static void a_new_key_that_looks_like_another_is_named(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"marketplace\",\"value\":\"on\"}", "changed");
    struct told t = kit_tell(k, "set", "{\"key\":\"marketpalce\",\"value\":\"on\"}");
    assert_string_equal(kit_text(t.body, "near"), "marketplace");
    told_done(&t);
    t = kit_tell(k, "set", "{\"key\":\"other\",\"value\":\"on\"}");
    assert_null(json_object_get(t.body, "near"));
    told_done(&t);
}

static void wrong_arguments_are_refused_and_named(void **state)
{
    struct kit *k = *state;
    kit_refused(k, "set", "{\"key\":\"k\"}", EXIT_INPUT, "value");
    kit_refused(k, "set", "{\"value\":\"on\"}", EXIT_INPUT, "key");
    kit_refused(k, "set", "{\"key\":\"\",\"value\":\"on\"}", EXIT_INPUT, "key");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"colour\":1}", EXIT_INPUT, "colour");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"prune\":true}", EXIT_INPUT, "prune");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":7}", EXIT_INPUT, "set");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"7\",\"type\":\"float\"}", EXIT_INPUT,
                "float");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"seven\"}", EXIT_INPUT, "seven");
    kit_refused(k, "set", "not json", EXIT_INPUT, "");
    kit_refused(k, "frobnicate", "{}", EXIT_INPUT, "frobnicate");
    kit_refused(k, "apply", "{}", EXIT_INPUT, "file");
    assert_int_equal(kit_env(k, "production").head, 1);
}

static void an_author_or_message_over_its_limit_is_refused(void **state)
{
    struct kit *k = *state;
    struct buf body = BUF_INIT(16384);
    buf_add_str(&body, "{\"key\":\"k\",\"value\":\"on\",\"message\":\"");
    for (int i = 0; i < 4097; i++)
        buf_add_byte(&body, 'x');
    buf_add_str(&body, "\"}");
    kit_refused(k, "set", buf_str(&body), EXIT_INPUT, "message");
    buf_done(&body);

    struct frame_command f = {.name = SLICE("set"), .author = SLICE("a\xff"), .body = SLICE("{}")};
    struct command *c;
    struct answer a = ANSWER_INIT;
    struct store_write *w;
    assert_int_equal(command_new(&f, "", &c), HOIST_OK);
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(command_run(c, w, NULL, 0, &a), HOIST_OK);
    assert_int_equal(a.exit, EXIT_INPUT);
    store_write_abort(w);
    command_free(c);
    answer_done(&a);
}

static void targeting_in_the_way_names_the_three_commands(void **state)
{
    struct kit *k = *state;
    apply(k,
          "{\"flags\":{\"t\":{" ON_OFF ",\"defaultVariant\":\"off\",\"targeting\":{\"if\":[{\"==\":"
          "[{\"var\":\"plan\"},\"pro\"]},\"on\"]}}}}",
          "", EXIT_DONE, NULL);
    struct told t = kit_tell(k, "set", "{\"key\":\"t\",\"value\":\"on\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_non_null(strstr(kit_mend(&t), "--everyone"));
    assert_non_null(strstr(kit_mend(&t), "--default"));
    told_done(&t);
    kit_do(k, "set", "{\"key\":\"t\",\"value\":\"on\",\"only_default\":true}", "changed");
    json_t *flag = get_flag(k, "t");
    assert_non_null(json_object_get(json_object_get(flag, "definition"), "targeting"));
    json_decref(flag);
    kit_do(k, "set", "{\"key\":\"t\",\"value\":\"on\",\"everyone\":true}", "changed");
    flag = get_flag(k, "t");
    assert_null(json_object_get(json_object_get(flag, "definition"), "targeting"));
    json_decref(flag);
}

static void delete_takes_a_flag_that_is_there(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    struct told t = kit_tell(k, "delete", "{\"key\":\"k\"}");
    assert_names(&t, "deleted", "k");
    told_done(&t);
    kit_refused(k, "delete", "{\"key\":\"k\"}", EXIT_NO, "no flag 'k'");
    assert_int_equal(kit_env(k, "production").flags, 0);
}

/* ------------------------------------------------------------------ what wins */

static const char killed[] =
    "{\"flags\":{\"k\":{" ON_OFF ",\"defaultVariant\":\"on\",\"override\":\"off\"}}}";

static void an_override_is_kept_by_set_and_apply_and_named(void **state)
{
    struct kit *k = *state;
    struct told t;
    apply(k, killed, "", EXIT_DONE, NULL);
    apply(k, "{\"flags\":{\"k\":{" ON_OFF ",\"defaultVariant\":\"off\"}}}", "", EXIT_DONE, &t);
    assert_string_equal(kit_text(t.body, "result"), "changed");
    assert_names(&t, "override_kept", "k");
    told_done(&t);
    t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_names(&t, "override_kept", "k");
    told_done(&t);
    json_t *flag = get_flag(k, "k");
    assert_string_equal(kit_text(json_object_get(flag, "definition"), "override"), "off");
    assert_true(json_is_false(json_object_get(flag, "value")));
    json_decref(flag);
}

static void an_override_whose_variant_would_go_is_in_the_way(void **state)
{
    struct kit *k = *state;
    apply(k, killed, "", EXIT_DONE, NULL);
    char *body = kit_file("{\"flags\":{\"k\":{\"state\":\"ENABLED\",\"variants\":{\"x\":1},"
                          "\"defaultVariant\":\"x\"}}}",
                          "");
    kit_refused(k, "apply", body, EXIT_INPUT, "overridden to 'off'");
    free(body);
}

static void deleting_and_creating_keeps_an_override(void **state)
{
    struct kit *k = *state;
    apply(k, killed, "", EXIT_DONE, NULL);
    struct told t = kit_tell(k, "delete", "{\"key\":\"k\"}");
    assert_names(&t, "override_kept", "k");
    told_done(&t);
    t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_names(&t, "created", "k");
    assert_names(&t, "override_kept", "k");
    told_done(&t);
    json_t *flag = get_flag(k, "k");
    assert_true(json_is_false(json_object_get(flag, "value")));
    json_decref(flag);

    kit_do(k, "delete", "{\"key\":\"k\"}", "changed");
    t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"5\",\"type\":\"number\"}");
    assert_names(&t, "override_kept", "");
    assert_names(&t, "override_dropped", "k");
    told_done(&t);
}

/* ------------------------------------------------------------------ apply */

static void apply_adds_and_replaces_and_prune_removes(void **state)
{
    struct kit *k = *state;
    struct told t;
    static const char two[] = "{\"flags\":{\"a\":{" ON_OFF ",\"defaultVariant\":\"on\"},"
                              "\"b\":{" ON_OFF ",\"defaultVariant\":\"on\"}}}";
    static const char one[] = "{\"flags\":{\"a\":{" ON_OFF ",\"defaultVariant\":\"off\"}}}";
    kit_do(k, "set", "{\"key\":\"old\",\"value\":\"on\"}", "changed");
    apply(k, two, "", EXIT_DONE, &t);
    assert_names(&t, "created", "a,b");
    told_done(&t);
    apply(k, two, "", EXIT_DONE, &t);
    assert_string_equal(kit_text(t.body, "result"), "unchanged");
    told_done(&t);
    apply(k, one, "{\"prune\":true}", EXIT_DONE, &t);
    assert_names(&t, "changed", "a");
    assert_names(&t, "deleted", "b,old");
    told_done(&t);
    struct store_env env = kit_env(k, "production");
    assert_int_equal(env.flags, 1);
    assert_int_equal(env.head, 4);
}

static void a_file_with_problems_is_refused_whole_and_all_are_listed(void **state)
{
    struct kit *k = *state;
    struct told t;
    apply(k,
          "{\"flags\":{\"good\":{" ON_OFF ",\"defaultVariant\":\"on\"},"
          "\"one\":{" ON_OFF ",\"defaultVariant\":\"x\"},\"two\":{\"state\":\"MAYBE\",\"variants\":"
          "{\"a\":1}}}}",
          "", EXIT_INPUT, &t);
    const json_t *problems = json_object_get(json_object_get(t.body, "error"), "problems");
    assert_true(json_array_size(problems) >= 2);
    assert_non_null(strstr(kit_text(json_array_get(problems, 0), "path"), "flags.one"));
    told_done(&t);
    assert_int_equal(kit_env(k, "production").flags, 0);
}

/* A file of `count` flags, named prefix0, prefix1 …; to be freed. */
static char *many_flags(const char *prefix, int count)
{
    struct buf b = BUF_INIT(64 << 20);
    buf_add_str(&b, "{\"flags\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&b, "%s\"%s%d\":{" ON_OFF ",\"defaultVariant\":\"on\"}", i ? "," : "", prefix,
                   i);
    buf_add_str(&b, "}}");
    char *text = mem_dup(buf_slice(&b));
    buf_done(&b);
    return text;
}

static void a_change_that_more_than_doubles_a_big_environment_needs_force(void **state)
{
    struct kit *k = *state;
    char *first = many_flags("f", 1001), *more = many_flags("g", 1002);
    struct told t;
    apply(k, first, "", EXIT_DONE, NULL);
    apply(k, more, "", EXIT_GATE, &t);
    assert_non_null(strstr(kit_mend(&t), "--force"));
    told_done(&t);
    assert_int_equal(kit_env(k, "production").flags, 1001);
    apply(k, more, "{\"force\":true}", EXIT_DONE, NULL);
    assert_int_equal(kit_env(k, "production").flags, 2003);
    mem_free(first);
    mem_free(more);
}

static void a_record_of_a_newer_program_is_not_edited(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    kit_make_newer(k, "production", "k");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", EXIT_NO, "does not know");
    kit_do(k, "delete", "{\"key\":\"k\"}", "changed"); /* nothing is lost by that unseen */
}

/* ------------------------------------------------------------------ target */

/* {"key": KEY, "rule": RULE} as a target's body; to be freed. */
static char *target_body(const char *key, const char *rule)
{
    json_t *args = json_pack("{ss ss}", "key", key, "rule", rule);
    char *body = json_dumps(args, 0);
    json_decref(args);
    return body;
}

static void target_puts_a_rule_and_clears_it(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", "changed");
    char *body = target_body("k", "{\"if\":[{\"var\":\"beta\"},\"on\"]}");
    kit_do(k, "target", body, "changed");
    kit_do(k, "target", body, "unchanged");
    free(body);
    json_t *flag = get_flag(k, "k");
    const json_t *definition = json_object_get(flag, "definition");
    assert_string_equal(kit_text(definition, "defaultVariant"), "off");
    assert_non_null(json_object_get(json_object_get(definition, "targeting"), "if"));
    json_decref(flag);
    kit_do(k, "target", "{\"key\":\"k\",\"clear\":true}", "changed");
    kit_do(k, "target", "{\"key\":\"k\",\"clear\":true}", "unchanged");

    body = target_body("k", "{\"iff\":[]}");
    kit_refused(k, "target", body, EXIT_INPUT, "1 problem");
    free(body);
    body = target_body("nobody", "{\"var\":\"x\"}");
    struct told t = kit_tell(k, "target", body);
    free(body);
    assert_int_equal(t.exit, EXIT_NO);
    told_done(&t);
    kit_refused(k, "target", "{\"key\":\"k\"}", EXIT_INPUT, "needs a rule");
    kit_refused(k, "target", "{\"key\":\"k\",\"rule\":\"{}\",\"clear\":true}", EXIT_INPUT,
                "clear it");
    kit_refused(k, "target", "{\"rule\":\"{}\"}", EXIT_INPUT, "key");
}

/* ------------------------------------------------------------------ skip_invalid */

static void what_one_flag_cannot_have_keeps_no_other_back(void **state)
{
    struct kit *k = *state;
    struct told t;
    kit_do(k, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    kit_do(k, "kill", "{\"keys\":[\"a\"]}", "changed");
    static const char file[] =
        "{\"flags\":{\"a\":{\"state\":\"ENABLED\",\"variants\":{\"x\":true}},\"b\":{" ON_OFF "}}}";
    apply(k, file, "", EXIT_INPUT, NULL);
    apply(k, file, "{\"skip_invalid\":true,\"prune\":true}", EXIT_DONE, &t);
    assert_names(&t, "created", "b");
    assert_names(&t, "deleted", "");
    const json_t *left = json_array_get(json_object_get(t.body, "skipped"), 0);
    assert_string_equal(kit_text(left, "key"), "a");
    left = json_array_get(json_object_get(left, "problems"), 0);
    assert_non_null(strstr(kit_text(left, "message"), "overridden to 'off'"));
    told_done(&t);
}

#define NEEDS(key, need)                                                                           \
    "\"" key "\":{" ON_OFF ",\"defaultVariant\":\"on\",\"requires\":{\"flags\":{\"" need           \
    "\":\"on\"},\"otherwise\":\"off\"}}"

static void what_requires_a_flag_that_cannot_be_put_is_left_out_with_it(void **state)
{
    struct kit *k = *state;
    struct told t;
    apply(k, "{\"flags\":{\"x\":{\"state\":\"ENABLED\",\"variants\":{\"old\":true}}}}", "",
          EXIT_DONE, NULL);
    kit_do(k, "kill", "{\"keys\":[\"x\"],\"variant\":\"old\"}", "changed");
    apply(k,
          "{\"flags\":{\"x\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true}}," NEEDS(
              "y", "x") "," NEEDS("z", "y") ",\"free\":{" ON_OFF "}}}",
          "{\"skip_invalid\":true}", EXIT_DONE, &t);
    assert_names(&t, "created", "free");
    const json_t *left = json_object_get(t.body, "skipped");
    assert_int_equal(json_array_size(left), 3);
    assert_string_equal(kit_text(json_array_get(left, 0), "key"), "x");
    assert_string_equal(kit_text(json_array_get(left, 1), "key"), "y");
    assert_string_equal(kit_text(json_array_get(left, 2), "key"), "z");
    told_done(&t);
}

/* ------------------------------------------------------------------ requires */

static void a_requirement_that_is_not_there_is_refused(void **state)
{
    struct kit *k = *state;
    char *body = kit_file("{\"flags\":{" NEEDS("a", "nobody") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT, "requires flag 'nobody'");
    free(body);
    kit_do(k, "set", "{\"key\":\"b\",\"value\":\"5\",\"type\":\"number\"}", "changed");
    body = kit_file("{\"flags\":{" NEEDS("a", "b") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT, "requires variant 'on' of flag 'b'");
    free(body);
}

static void a_cycle_of_requirements_is_refused(void **state)
{
    struct kit *k = *state;
    char *body =
        kit_file("{\"flags\":{" NEEDS("a", "b") "," NEEDS("b", "c") "," NEEDS("c", "a") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT, "1 problem");
    free(body);
    kit_do(k, "set", "{\"key\":\"z\",\"value\":\"on\"}", "changed");
    apply(k, "{\"flags\":{" NEEDS("y", "z") "}}", "", EXIT_DONE, NULL);
    body = kit_file("{\"flags\":{" NEEDS("z", "y") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT,
                "flag 'z' would require itself: 'z' requires 'y' requires 'z'");
    free(body);
    apply(k, "{\"flags\":{" NEEDS("x", "y") "}}", "", EXIT_DONE, NULL);
    body = kit_file("{\"flags\":{" NEEDS("z", "x") "}}", "");
    struct told t = kit_tell(k, "apply", body);
    free(body);
    assert_non_null(strstr(kit_error(&t), "'z' requires 'x' requires 'y' requires 'z'"));
    assert_non_null(strstr(kit_mend(&t), "take one of these requirements out"));
    told_done(&t);
}

static void what_another_flag_requires_does_not_go(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"base\",\"value\":\"on\"}", "changed");
    apply(k, "{\"flags\":{" NEEDS("upper", "base") "}}", "", EXIT_DONE, NULL);
    kit_refused(k, "delete", "{\"key\":\"base\"}", EXIT_INPUT, "required by flag 'upper'");
    char *body = kit_file("{\"flags\":{\"base\":{\"state\":\"ENABLED\",\"variants\":{\"x\":true},"
                          "\"defaultVariant\":\"x\"}}}",
                          "");
    kit_refused(k, "apply", body, EXIT_INPUT, "variant 'on' of flag 'base' would go");
    free(body);
    kit_do(k, "set", "{\"key\":\"base\",\"value\":\"off\"}", "changed");
    kit_do(k, "delete", "{\"key\":\"upper\"}", "changed");
    kit_do(k, "delete", "{\"key\":\"base\"}", "changed");
}

/* f00 … in one file, each requiring the next. */
static char *chain(int count)
{
    struct buf file = BUF_INIT(65536);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&file,
                   "\"f%02d\":{" ON_OFF ",\"requires\":{\"flags\":{\"f%02d\":\"on\"},\"otherwise\":"
                   "\"off\"}},",
                   i, i + 1);
    buf_printf(&file, "\"f%02d\":{" ON_OFF "}}}", count);
    char *body = kit_file(buf_str(&file), "");
    buf_done(&file);
    return body;
}

/* Whichever of its flags is looked at first. */
static void a_chain_is_no_longer_than_an_evaluation_follows_it(void **state)
{
    struct kit *k = *state;
    char *body = chain(17);
    kit_refused(k, "apply", body, EXIT_INPUT, "more than 16 deep");
    free(body);
    body = chain(16);
    kit_do(k, "apply", body, "changed");
    free(body);
    body = kit_file("{\"flags\":{" NEEDS("z", "f00") "," NEEDS("g", "f01") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT, "more than 16 deep");
    free(body);
    body = kit_file("{\"flags\":{" NEEDS("e", "f01") "," NEEDS("g", "e") "}}", "");
    kit_refused(k, "apply", body, EXIT_INPUT, "more than 16 deep");
    free(body);
    apply(k, "{\"flags\":{" NEEDS("g", "f01") "}}", "", EXIT_DONE, NULL);
}

static void all_who_require_a_flag_are_named(void **state)
{
    struct kit *k = *state;
    struct buf file = BUF_INIT(65536);
    kit_do(k, "set", "{\"key\":\"base\",\"value\":\"on\"}", "changed");
    apply(k, "{\"flags\":{" NEEDS("b", "base") "," NEEDS("a", "base") "," NEEDS("c", "a") "}}", "",
          EXIT_DONE, NULL);
    struct told t = kit_tell(k, "delete", "{\"key\":\"base\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_string_equal(kit_error(&t), "flag 'base' is required by flags 'a', 'b'");
    assert_non_null(strstr(kit_mend(&t), "flagctl delete a"));
    told_done(&t);
    apply(k, "{\"flags\":{}}", "{\"prune\":true,\"dry_run\":true}", EXIT_DONE, NULL);
    char *body =
        kit_file("{\"flags\":{" NEEDS("c", "a") "," NEEDS("a", "base") "}}", "{\"prune\":true}");
    kit_refused(k, "apply", body, EXIT_INPUT, "flag 'base' is required by flag 'a'");
    free(body);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < 12; i++)
        buf_printf(&file,
                   "%s\"n%d\":{" ON_OFF
                   ",\"requires\":{\"flags\":{\"base\":\"on\"},\"otherwise\":\"off\"}}",
                   i ? "," : "", i);
    buf_add_str(&file, "}}");
    apply(k, buf_str(&file), "", EXIT_DONE, NULL);
    kit_refused(k, "delete", "{\"key\":\"base\"}", EXIT_INPUT, "'n5' and 4 more");
    buf_done(&file);
}

static void a_promotion_brings_no_flag_without_what_it_requires(void **state)
{
    struct kit *k = *state;
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    apply(k, "{\"flags\":{\"base\":{" ON_OFF "}," NEEDS("upper", "base") "}}",
          "{\"env\":\"staging\"}", EXIT_DONE, NULL);
    kit_refused(k, "promote", "{\"from\":\"staging\",\"env\":\"production\",\"keys\":[\"upper\"]}",
                EXIT_INPUT, "flag 'upper' requires flag 'base', which is not in production");
    kit_do(k, "promote", "{\"from\":\"staging\",\"env\":\"production\"}", "changed");
    /* there it no longer needs it; here it goes only together with that */
    apply(k, "{\"flags\":{\"upper\":{" ON_OFF "}}}", "{\"env\":\"staging\"}", EXIT_DONE, NULL);
    kit_do(k, "delete", "{\"env\":\"staging\",\"key\":\"base\"}", "changed");
    kit_do(k, "promote", "{\"from\":\"staging\",\"env\":\"production\",\"prune\":true}", "changed");
    assert_int_equal(kit_env(k, "production").flags, 1);
}

/* Nothing holds a rollback back; a flag whose requirement is gone yields its `otherwise`. */
static void a_rollback_is_not_held_back_by_requirements(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"base\",\"value\":\"on\"}", "changed");
    apply(k, "{\"flags\":{" NEEDS("upper", "base") "}}", "", EXIT_DONE, NULL);
    kit_do(k, "rollback", "{\"key\":\"base\",\"to\":\"1\"}", "changed");
    kit_refused(k, "set", "{\"key\":\"upper\",\"value\":\"off\"}", EXIT_INPUT,
                "requires flag 'base'");
    kit_do(k, "kill", "{\"keys\":[\"upper\"]}", "changed");
    kit_do(k, "delete", "{\"key\":\"upper\"}", "changed");
}

/* ------------------------------------------------------------------ versions and environments */

static void if_version_refuses_when_the_environment_moved_on(void **state)
{
    struct kit *k = *state;
    char body[160];
    uint64_t epoch = kit_env(k, "production").epoch;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"1\"}", "changed");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"off\",\"if_version\":\"1\"}", EXIT_CONFLICT,
                ":2, not at 1");
    /* also where it would have been unchanged */
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"1\"}", EXIT_CONFLICT,
                "moved on");
    snprintf(body, sizeof body,
             "{\"key\":\"k\",\"value\":\"off\",\"if_version\":\"%016" PRIx64 ":2\"}", epoch);
    kit_do(k, "set", body, "changed");
    snprintf(body, sizeof body,
             "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"%016" PRIx64 ":3\"}", epoch + 1);
    kit_refused(k, "set", body, EXIT_CONFLICT, "moved on");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"three\"}", EXIT_INPUT,
                "no version");
}

static void environments_are_named_where_there_are_several(void **state)
{
    struct kit *k = *state;
    kit_refused(k, "set", "{\"env\":\"nowhere\",\"key\":\"k\",\"value\":\"on\"}", EXIT_INPUT,
                "nowhere");
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_non_null(strstr(kit_mend(&t), "production"));
    assert_non_null(strstr(kit_mend(&t), "staging"));
    told_done(&t);
    kit_do(k, "set", "{\"env\":\"staging\",\"key\":\"k\",\"value\":\"on\"}", "changed");
    assert_int_equal(kit_env(k, "production").head, 1);
    assert_int_equal(kit_env(k, "staging").head, 2);
    kit_refused(k, "env_create", "{\"env\":\"staging\"}", EXIT_CONFLICT, "already");
    kit_refused(k, "env_create", "{\"env\":\"No Such Name!\"}", EXIT_INPUT, "name");
    kit_refused(k, "env_create", "{}", EXIT_INPUT, "name");
}

static void an_epoch_begins_with_a_change_that_names_the_old_one(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    struct store_env before = kit_env(k, "production");
    kit_refused(k, "env_epoch", "{}", EXIT_INPUT, "told so");
    kit_do(k, "env_epoch", "{\"new_epoch\":true}", "changed");
    struct store_env after = kit_env(k, "production");
    assert_true(after.epoch > before.epoch);
    assert_int_equal(after.head, 3);

    struct store_read *r;
    struct slice bytes;
    struct change c;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_log_get(r, after.id, 3, &bytes), HOIST_OK);
    assert_int_equal(change_decode(bytes, &c), HOIST_OK);
    assert_int_equal(c.head.kind, CHANGE_EPOCH);
    assert_true(c.head.old_epoch == before.epoch && c.head.epoch == after.epoch);
    assert_memory_equal(c.head.prev, before.hash, HASH_SIZE);
    assert_memory_equal(c.head.digest, before.digest, HASH_SIZE);
    store_read_end(r);
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", "changed");
}

static void changes_are_chained_and_ordered_whatever_the_clock_says(void **state)
{
    struct kit *k = *state;
    static const int64_t times[] = {1700000000000, 1600000000000, 1800000000000};
    for (int i = 0; i < 3; i++) {
        struct store_write *w;
        struct answer a = ANSWER_INIT;
        struct command *c = kit_command(k, "set",
                                        i % 2 ? "{\"key\":\"k\",\"value\":\"off\"}"
                                              : "{\"key\":\"k\",\"value\":\"on\"}");
        assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
        assert_int_equal(command_run(c, w, NULL, times[i], &a), HOIST_OK);
        assert_int_equal(a.exit, EXIT_DONE);
        assert_int_equal(store_write_commit(w), HOIST_OK);
        command_free(c);
        answer_done(&a);
    }
    struct told t = kit_ask(k, "log", "{}");
    const json_t *changes = json_object_get(t.body, "changes");
    assert_int_equal(json_array_size(changes), 4);
    for (size_t i = 0; i + 1 < 4; i++) {
        const json_t *newer = json_array_get(changes, i), *older = json_array_get(changes, i + 1);
        assert_string_equal(kit_text(newer, "prev"), kit_text(older, "hash"));
        assert_int_equal(json_integer_value(json_object_get(newer, "version")), 4 - i);
    }
    told_done(&t);
}

/* ------------------------------------------------------------------ once, and together */

static void a_repeated_request_gets_its_first_answer(void **state)
{
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"1\"}", "changed");
    k->next_request--; /* the same id again: it would be a conflict by now */
    struct told t = kit_tell(k, "set", "{\"key\":\"k\",\"value\":\"on\",\"if_version\":\"1\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    assert_int_equal(json_integer_value(json_object_get(t.body, "version")), 2);
    assert_names(&t, "created", "k");
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, 2);
}

static void commands_of_a_transaction_see_each_other_and_a_bad_one_harms_none(void **state)
{
    struct kit *k = *state;
    struct store_write *w;
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    struct told one = kit_run(k, w, "set", "{\"key\":\"a\",\"value\":\"on\",\"if_version\":\"1\"}");
    struct told bad = kit_run(k, w, "set", "{\"key\":\"b\",\"value\":\"on\",\"if_version\":\"1\"}");
    struct told two = kit_run(k, w, "set", "{\"key\":\"c\",\"value\":\"on\",\"if_version\":\"2\"}");
    k->next_request--;
    struct told again =
        kit_run(k, w, "set", "{\"key\":\"c\",\"value\":\"on\",\"if_version\":\"2\"}");
    assert_int_equal(store_write_commit(w), HOIST_OK);
    assert_int_equal(one.exit, EXIT_DONE);
    assert_int_equal(bad.exit, EXIT_CONFLICT);
    assert_int_equal(two.exit, EXIT_DONE);
    assert_int_equal(again.exit, EXIT_DONE);
    assert_int_equal(json_integer_value(json_object_get(again.body, "version")), 3);
    told_done(&one);
    told_done(&bad);
    told_done(&two);
    told_done(&again);
    struct store_env env = kit_env(k, "production");
    assert_int_equal(env.head, 3);
    assert_int_equal(env.flags, 2);
}

static void a_command_over_the_quota_ends_its_transaction(void **state)
{
    (void)state;
    struct kit k;
    struct store_write *w;
    kit_init(&k, 16384);
    kit_do(&k, "env_create", "{\"env\":\"production\"}", "changed");
    char *file = many_flags("f", 900), *body = kit_file(file, "");
    struct command *c = kit_command(&k, "apply", body);
    struct answer a = ANSWER_INIT;
    assert_int_equal(store_write_begin(k.store, &w), HOIST_OK);
    assert_int_equal(command_run(c, w, NULL, 0, &a), HOIST_ENOSPC);
    store_write_abort(w);
    command_free(c);
    answer_done(&a);
    kit_do(&k, "set", "{\"key\":\"k\",\"value\":\"on\"}", "changed");
    assert_int_equal(kit_env(&k, "production").head, 2);
    free(body);
    mem_free(file);
    kit_done(&k);
}

static void a_command_survives_any_lack_of_memory(void **state)
{
    struct kit *k = *state;
    char *body =
        kit_file("{\"flags\":{" NEEDS("a", "b") ",\"b\":{" ON_OFF ",\"defaultVariant\":\"on\"}}}",
                 "{\"dry_run\":true}");
    struct frame_command f = {.name = SLICE("apply"), .body = slice_str(body)};
    for (int n = 1; n < 100000; n++) {
        struct command *c = NULL;
        struct store_write *w;
        struct answer a = ANSWER_INIT;
        assert_int_equal(command_new(&f, "ana", &c), HOIST_OK);
        assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
        mem_fail_at(n);
        enum hoist_err err = command_run(c, w, k->fleet, 0, &a);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        store_write_abort(w);
        command_free(c);
        if (!failed) {
            assert_int_equal(err, HOIST_OK);
            assert_int_equal(a.exit, EXIT_DONE);
            answer_done(&a);
            break;
        }
        answer_done(&a);
    }
    free(body);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(set_creates_moves_and_leaves_alone),
        T(a_dry_run_says_what_would_change_and_changes_nothing),
        T(a_new_key_that_looks_like_another_is_named),
        T(wrong_arguments_are_refused_and_named),
        T(an_author_or_message_over_its_limit_is_refused),
        T(targeting_in_the_way_names_the_three_commands),
        T(delete_takes_a_flag_that_is_there),
        T(an_override_is_kept_by_set_and_apply_and_named),
        T(an_override_whose_variant_would_go_is_in_the_way),
        T(deleting_and_creating_keeps_an_override),
        T(apply_adds_and_replaces_and_prune_removes),
        T(a_file_with_problems_is_refused_whole_and_all_are_listed),
        T(a_change_that_more_than_doubles_a_big_environment_needs_force),
        T(a_record_of_a_newer_program_is_not_edited),
        T(target_puts_a_rule_and_clears_it),
        T(what_one_flag_cannot_have_keeps_no_other_back),
        T(what_requires_a_flag_that_cannot_be_put_is_left_out_with_it),
        T(a_requirement_that_is_not_there_is_refused),
        T(a_cycle_of_requirements_is_refused),
        T(what_another_flag_requires_does_not_go),
        T(a_chain_is_no_longer_than_an_evaluation_follows_it),
        T(all_who_require_a_flag_are_named),
        T(a_promotion_brings_no_flag_without_what_it_requires),
        T(a_rollback_is_not_held_back_by_requirements),
        T(if_version_refuses_when_the_environment_moved_on),
        T(environments_are_named_where_there_are_several),
        T(an_epoch_begins_with_a_change_that_names_the_old_one),
        T(changes_are_chained_and_ordered_whatever_the_clock_says),
        T(a_repeated_request_gets_its_first_answer),
        T(commands_of_a_transaction_see_each_other_and_a_bad_one_harms_none),
        T(a_command_over_the_quota_ends_its_transaction),
        T(a_command_survives_any_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
