/* kill, restore and rollback. */
#include "primary_kit.h"

#include "wire/record.h"

/* ------------------------------------------------------------------ looking */

static void set_by(struct kit *k, const char *author, const char *key, const char *value)
{
    char body[256];
    k->author = author;
    snprintf(body, sizeof body, "{\"key\":\"%s\",\"value\":\"%s\"}", key, value);
    kit_do(k, "set", body, "changed");
    k->author = NULL;
}

static void set(struct kit *k, const char *key, const char *value)
{
    set_by(k, "ana", key, value);
}

/* The variant that everybody gets; "" where there is no such flag. */
static const char *variant(struct kit *k, const char *key)
{
    static char name[64];
    char args[256];
    snprintf(args, sizeof args, "{\"key\":\"%s\"}", key);
    struct told t = kit_ask(k, "get", args);
    snprintf(name, sizeof name, "%s", kit_text(t.body, "variant"));
    told_done(&t);
    return name;
}

/* A copy of a flag's record, to be freed; empty: there is none. */
static struct slice record(struct kit *k, const char *key)
{
    struct store_read *r;
    struct store_env env;
    struct slice found, copy = {0};
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_env_get(r, "production", &env), HOIST_OK);
    if (store_record_get(r, env.id, slice_str(key), &found) == HOIST_OK)
        copy = (struct slice){(uint8_t *)mem_dup(found), found.len};
    store_read_end(r);
    return copy;
}

static void assert_digest(struct kit *k, const uint8_t want[HASH_SIZE])
{
    struct store_env env = kit_env(k, "production");
    assert_memory_equal(env.digest, want, HASH_SIZE);
}

static void assert_list(const struct told *t, const char *list, const char *want)
{
    char *have = json_dumps(json_object_get(t->body, list), JSON_COMPACT);
    assert_non_null(have);
    assert_string_equal(have, want);
    free(have);
}

static struct told tell(struct kit *k, const char *name, const char *body)
{
    struct told t = kit_tell(k, name, body);
    if (t.exit != EXIT_DONE)
        print_error("%s %s: %s\n", name, body, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    return t;
}

static void apply(struct kit *k, const char *file)
{
    char *body = kit_file(file, "");
    kit_do(k, "apply", body, "changed");
    free(body);
}

#define ON_OFF "\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false}"

/* ------------------------------------------------------------------ kill and restore */

static void a_kill_alters_the_override_and_nothing_else(void **state)
{
    struct kit *k = *state;
    struct buf killed = BUF_INIT(FLAG_RECORD_MAX);
    apply(k, "{\"flags\":{\"k\":{" ON_OFF ",\"defaultVariant\":\"on\",\"targeting\":"
             "{\"if\":[{\"var\":\"x\"},\"on\",\"off\"]},\"metadata\":{\"owner\":\"ana\"}}}}");
    struct slice before = record(k, "k");
    assert_int_equal(record_override(before, 1, &killed), HOIST_OK);
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    struct slice after = record(k, "k");
    assert_true(slice_eq(after, buf_slice(&killed)));
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "unchanged");

    struct told t = tell(k, "restore", "{\"keys\":[\"k\"]}");
    assert_string_equal(kit_text(t.body, "lane"), "fast");
    told_done(&t);
    struct slice restored = record(k, "k");
    assert_true(slice_eq(restored, before));
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "unchanged");
    mem_free((void *)before.ptr);
    mem_free((void *)after.ptr);
    mem_free((void *)restored.ptr);
    buf_done(&killed);
}

static void a_kill_takes_the_variant_that_is_off_or_the_one_named(void **state)
{
    struct kit *k = *state;
    apply(k, "{\"flags\":{"
             "\"yesno\":{\"state\":\"ENABLED\",\"variants\":{\"yes\":true,\"no\":false},"
             "\"defaultVariant\":\"yes\"},"
             "\"size\":{\"state\":\"ENABLED\",\"variants\":{\"small\":1,\"big\":2},"
             "\"defaultVariant\":\"big\"}}}");
    kit_do(k, "kill", "{\"keys\":[\"yesno\"]}", "changed");
    assert_string_equal(variant(k, "yesno"), "no");
    kit_refused(k, "kill", "{\"keys\":[\"size\"]}", EXIT_INPUT, "no variant 'off'");
    struct told t = kit_tell(k, "kill", "{\"keys\":[\"size\"],\"variant\":\"tiny\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_non_null(strstr(kit_mend(&t), "small, big"));
    told_done(&t);
    kit_do(k, "kill", "{\"keys\":[\"size\"],\"variant\":\"small\"}", "changed");
    assert_string_equal(variant(k, "size"), "small");
    kit_do(k, "kill", "{\"keys\":[\"size\"],\"variant\":\"big\"}", "changed"); /* another one */
    assert_string_equal(variant(k, "size"), "big");
}

static void several_flags_are_killed_at_once_or_none(void **state)
{
    struct kit *k = *state;
    set(k, "a", "on");
    set(k, "b", "on");
    struct told t = kit_tell(k, "kill", "{\"keys\":[\"a\",\"bb\"]}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_error(&t), "no flag 'bb'"));
    told_done(&t);
    assert_string_equal(variant(k, "a"), "on");
    t = tell(k, "kill", "{\"keys\":[\"b\",\"a\",\"b\"]}");
    assert_list(&t, "changed", "[\"a\",\"b\"]");
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, 4);
    kit_refused(k, "kill", "{\"keys\":[]}", EXIT_INPUT, "keys");
    kit_refused(k, "kill", "{}", EXIT_INPUT, "name the flags");
    kit_refused(k, "kill", "{\"keys\":[7]}", EXIT_INPUT, "");
    kit_refused(k, "kill", "{\"keys\":\"a\"}", EXIT_INPUT, "keys");
}

static void a_kill_outlives_what_comes_after(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    apply(k, "{\"flags\":{\"k\":{" ON_OFF ",\"defaultVariant\":\"on\",\"metadata\":{\"n\":1}}}}");
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "rollback", "{\"last\":true}", "changed");
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "rollback", "{\"to\":\"2\"}", "unchanged"); /* but for the override it is so */
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "changed");
    assert_string_equal(variant(k, "k"), "on");
}

static void a_restore_of_what_was_edited_meanwhile_takes_the_ordinary_way_and_says_so(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    apply(k, "{\"flags\":{\"k\":{" ON_OFF ",\"defaultVariant\":\"off\"}}}");
    struct told t = tell(k, "restore", "{\"keys\":[\"k\"]}");
    assert_string_equal(kit_text(t.body, "lane"), "ordinary");
    assert_non_null(strstr(kit_text(t.body, "why"), "'k'"));
    told_done(&t);
    assert_string_equal(variant(k, "k"), "off");
}

static void a_kill_without_an_environment_goes_on_in_the_first_and_says_which(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_do(k, "env_create", "{\"env\":\"staging\"}", "changed");
    kit_refused(k, "set", "{\"key\":\"k\",\"value\":\"off\"}", EXIT_INPUT, "more than one");
    struct told t = tell(k, "kill", "{\"keys\":[\"k\"]}");
    assert_string_equal(kit_text(t.body, "env"), "production");
    told_done(&t);
    kit_refused(k, "restore", "{\"keys\":[\"k\"]}", EXIT_INPUT, "more than one");
}

/* ------------------------------------------------------------------ rollback */

static void the_last_change_is_undone_and_then_the_one_before(void **state)
{
    struct kit *k = *state;
    uint8_t digests[4][HASH_SIZE];
    for (int i = 0; i < 4; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i % 2);
        memcpy(digests[i], kit_env(k, "production").digest, HASH_SIZE);
        set(k, key, i < 2 ? "on" : "off");
    }
    for (int i = 3; i >= 0; i--) {
        struct told t = tell(k, "rollback", "{\"last\":true}");
        assert_int_equal(json_integer_value(json_object_get(t.body, "restores")), 1 + i);
        const json_t *undone = json_array_get(json_object_get(t.body, "undone"), 0);
        assert_int_equal(json_integer_value(json_object_get(undone, "version")), 2 + i);
        assert_string_equal(kit_text(undone, "author"), "ana");
        assert_int_equal(json_array_size(json_object_get(t.body, "edits")), 1);
        told_done(&t);
        assert_digest(k, digests[i]);
    }
    kit_refused(k, "rollback", "{\"last\":true}", EXIT_NO, "no change left");
    assert_int_equal(kit_env(k, "production").head, 9);
}

static void what_was_done_again_after_a_rollback_is_undone_again(void **state)
{
    struct kit *k = *state;
    set(k, "k", "off");                                  /* v2 */
    set(k, "k", "on");                                   /* v3 */
    kit_do(k, "rollback", "{\"last\":true}", "changed"); /* v4: off */
    kit_do(k, "rollback", "{\"to\":\"3\"}", "changed");  /* v5: on; v3 is in force again */
    assert_string_equal(variant(k, "k"), "on");
    struct told t = tell(k, "rollback", "{\"last\":true}"); /* v6 */
    assert_int_equal(json_integer_value(json_object_get(t.body, "restores")), 2);
    told_done(&t);
    assert_string_equal(variant(k, "k"), "off");
    set(k, "k", "on");                                   /* v7 */
    kit_do(k, "rollback", "{\"last\":true}", "changed"); /* v8 undoes v7 … */
    kit_do(k, "rollback", "{\"last\":true}", "changed"); /* … v9 v2, since v3 is undone */
    assert_string_equal(variant(k, "k"), "");
}

/* k, new, again and other after v2, where k alone was; k and again end as they were there. */
static void change_and_change_back(struct kit *k)
{
    set(k, "k", "off");                                    /* v2 */
    set(k, "k", "on");                                     /* v3 */
    set(k, "k", "off");                                    /* v4 */
    set(k, "again", "on");                                 /* v5 */
    kit_do(k, "delete", "{\"key\":\"again\"}", "changed"); /* v6 */
    set(k, "other", "on");                                 /* v7 */
}

static void what_a_rollback_found_as_it_was_is_undone_as_well(void **state)
{
    struct kit *k = *state;
    change_and_change_back(k);
    struct told t = tell(k, "rollback", "{\"to\":\"2\"}");
    assert_list(&t, "deleted", "[\"other\"]");
    assert_list(&t, "changed", "[]");
    assert_int_equal(json_array_size(json_object_get(t.body, "edits")), 1);
    assert_int_equal(json_integer_value(json_object_get(t.body, "undone_count")), 5);
    told_done(&t);
    t = tell(k, "rollback", "{\"last\":true}");
    assert_int_equal(json_integer_value(json_object_get(t.body, "restores")), 1);
    assert_list(&t, "deleted", "[\"k\"]");
    told_done(&t);
    assert_string_equal(variant(k, "again"), "");
    kit_refused(k, "rollback", "{\"last\":true}", EXIT_NO, "no change left");
}

static void a_rollback_that_alters_nothing_is_no_change(void **state)
{
    struct kit *k = *state;
    change_and_change_back(k);
    kit_do(k, "rollback", "{\"to\":\"6\"}", "changed");
    kit_do(k, "rollback", "{\"to\":\"2\"}", "unchanged");
    assert_int_equal(kit_env(k, "production").head, 8);
}

static void a_flag_deleted_while_killed_is_so_after_a_rollback_that_leaves_it_deleted(void **state)
{
    struct kit *k = *state;
    set(k, "other", "on"); /* v2 */
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "delete", "{\"key\":\"k\"}", "changed");
    set(k, "other", "off");
    kit_do(k, "rollback", "{\"to\":\"2\"}", "changed");
    assert_string_equal(variant(k, "k"), "");
    set(k, "k", "on");
    assert_string_equal(variant(k, "k"), "off");
}

static void a_rollback_to_a_version_restores_exactly(void **state)
{
    struct kit *k = *state;
    apply(k, "{\"flags\":{\"a\":{" ON_OFF ",\"defaultVariant\":\"on\"},"
             "\"b\":{" ON_OFF ",\"defaultVariant\":\"on\"}}}");
    uint8_t digest[HASH_SIZE];
    memcpy(digest, kit_env(k, "production").digest, HASH_SIZE);
    set(k, "a", "off");
    kit_do(k, "delete", "{\"key\":\"b\"}", "changed");
    set(k, "c", "on");
    struct told t = tell(k, "rollback", "{\"to\":\"2\",\"dry_run\":true}");
    assert_string_equal(kit_text(t.body, "result"), "dry-run");
    assert_int_equal(json_array_size(json_object_get(t.body, "edits")), 3);
    told_done(&t);
    t = tell(k, "rollback", "{\"to\":\"2\"}");
    assert_list(&t, "created", "[\"b\"]");
    assert_list(&t, "changed", "[\"a\"]");
    assert_list(&t, "deleted", "[\"c\"]");
    assert_int_equal(json_integer_value(json_object_get(t.body, "undone_count")), 3);
    told_done(&t);
    assert_digest(k, digest);
    kit_do(k, "rollback", "{\"to\":\"2\"}", "unchanged");
}

static void one_flag_goes_back_alone(void **state)
{
    struct kit *k = *state;
    apply(k, "{\"flags\":{\"a\":{" ON_OFF ",\"defaultVariant\":\"on\"},"
             "\"b\":{" ON_OFF ",\"defaultVariant\":\"on\"}}}");
    set(k, "a", "off");
    apply(k, "{\"flags\":{\"a\":{" ON_OFF "},\"b\":{" ON_OFF "}}}");
    struct told t = tell(k, "rollback", "{\"key\":\"a\"}");
    assert_list(&t, "changed", "[\"a\"]");
    told_done(&t);
    assert_string_equal(variant(k, "a"), "off");
    assert_string_equal(variant(k, "b"), "");
    t = tell(k, "rollback", "{\"last\":true}"); /* what is left of the same change */
    assert_list(&t, "changed", "[\"b\"]");
    told_done(&t);
    kit_do(k, "rollback", "{\"key\":\"a\",\"to\":\"2\"}", "changed");
    assert_string_equal(variant(k, "a"), "on");
    kit_refused(k, "rollback", "{\"key\":\"nobody\"}", EXIT_NO, "of nobody");
}

static void somebody_elses_later_change_is_not_undone_unasked(void **state)
{
    struct kit *k = *state;
    set_by(k, "ana", "k", "off");
    set_by(k, "bob", "k", "on");
    set_by(k, "eve", "other", "on");
    k->author = "oncall";
    struct told t = kit_tell(k, "rollback", "{\"to\":\"1\"}");
    assert_int_equal(t.exit, EXIT_CONFLICT);
    assert_non_null(strstr(kit_error(&t), "'k' was changed by ana in v2 and later by bob"));
    assert_non_null(strstr(kit_mend(&t), "--force"));
    told_done(&t);
    assert_int_equal(kit_env(k, "production").head, 4);
    kit_do(k, "rollback", "{\"to\":\"2\"}", "changed"); /* bob's alone, and eve's, on other flags */
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "rollback", "{\"to\":\"1\",\"key\":\"k\"}", "changed"); /* bob's is undone already */
    assert_string_equal(variant(k, "k"), "");
    kit_do(k, "rollback", "{\"to\":\"4\"}", "changed");
    kit_refused(k, "rollback", "{\"to\":\"1\"}", EXIT_CONFLICT, "would undo both");
    kit_do(k, "rollback", "{\"to\":\"1\",\"force\":true}", "changed");
    assert_int_equal(kit_env(k, "production").flags, 0);
}

static void a_killed_flag_that_was_not_there_is_left(void **state)
{
    struct kit *k = *state;
    set(k, "other", "on");
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    struct told t = tell(k, "rollback", "{\"to\":\"1\"}");
    assert_list(&t, "left", "[\"k\"]");
    assert_list(&t, "deleted", "[\"other\"]");
    told_done(&t);
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "rollback", "{\"to\":\"1\",\"with_overrides\":true}", "changed");
    assert_string_equal(variant(k, "k"), "");
}

static void nobody_elses_change_is_undone_where_the_newest_is_of_a_killed_flag(void **state)
{
    struct kit *k = *state;
    set_by(k, "bob", "other", "on"); /* v2 */
    set(k, "k", "on");               /* v3 */
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    struct told t = kit_tell(k, "rollback", "{\"last\":true}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_error(&t), "v3 cannot be undone: 'k' is overridden"));
    assert_non_null(strstr(kit_mend(&t), "--with-overrides"));
    told_done(&t);
    kit_refused(k, "rollback", "{\"key\":\"k\"}", EXIT_NO, "'k' is overridden");
    assert_string_equal(variant(k, "other"), "on");
    assert_int_equal(kit_env(k, "production").head, 4);
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "changed");
    t = tell(k, "rollback", "{\"last\":true}");
    assert_list(&t, "deleted", "[\"k\"]");
    told_done(&t);
    t = tell(k, "rollback", "{\"last\":true}");
    assert_list(&t, "deleted", "[\"other\"]");
    told_done(&t);
}

static void a_deleted_flag_comes_back_as_killed_as_it_went(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "delete", "{\"key\":\"k\"}", "changed");
    struct told t = tell(k, "rollback", "{\"to\":\"2\"}"); /* before it was killed */
    assert_list(&t, "override_kept", "[\"k\"]");
    told_done(&t);
    assert_string_equal(variant(k, "k"), "off");
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "changed");
    assert_string_equal(variant(k, "k"), "on");
}

static void overrides_are_restored_only_when_that_is_asked(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_do(k, "kill", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "restore", "{\"keys\":[\"k\"]}", "changed");
    kit_do(k, "rollback", "{\"to\":\"3\"}", "unchanged");
    kit_do(k, "rollback", "{\"to\":\"3\",\"with_overrides\":true}", "changed");
    assert_string_equal(variant(k, "k"), "off");
}

static void what_cannot_be_gone_back_to_is_named(void **state)
{
    struct kit *k = *state;
    set(k, "k", "on");
    kit_refused(k, "rollback", "{}", EXIT_INPUT, "say what to go back to");
    kit_refused(k, "rollback", "{\"last\":true,\"to\":\"1\"}", EXIT_INPUT, "say what");
    kit_refused(k, "rollback", "{\"last\":true,\"key\":\"k\"}", EXIT_INPUT, "say what");
    kit_refused(k, "rollback", "{\"to\":\"3\"}", EXIT_INPUT, "3 is not among");
    kit_refused(k, "rollback", "{\"to\":\"0\"}", EXIT_INPUT, "0 is not among");
    kit_refused(k, "rollback", "{\"to\":\"x\"}", EXIT_INPUT, "no version");
    kit_refused(k, "rollback", "{\"to\":\"00000000000000ff:1\"}", EXIT_INPUT, "not among");
    kit_refused(k, "rollback", "{\"last\":true,\"if_version\":\"1\"}", EXIT_CONFLICT, "moved on");
    kit_do(k, "rollback", "{\"to\":\"2\"}", "unchanged");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        CASE(a_kill_alters_the_override_and_nothing_else),
        CASE(a_kill_takes_the_variant_that_is_off_or_the_one_named),
        CASE(several_flags_are_killed_at_once_or_none),
        CASE(a_kill_outlives_what_comes_after),
        CASE(a_restore_of_what_was_edited_meanwhile_takes_the_ordinary_way_and_says_so),
        CASE(a_kill_without_an_environment_goes_on_in_the_first_and_says_which),
        CASE(the_last_change_is_undone_and_then_the_one_before),
        CASE(what_was_done_again_after_a_rollback_is_undone_again),
        CASE(what_a_rollback_found_as_it_was_is_undone_as_well),
        CASE(a_rollback_that_alters_nothing_is_no_change),
        CASE(a_flag_deleted_while_killed_is_so_after_a_rollback_that_leaves_it_deleted),
        CASE(a_rollback_to_a_version_restores_exactly),
        CASE(one_flag_goes_back_alone),
        CASE(somebody_elses_later_change_is_not_undone_unasked),
        CASE(a_killed_flag_that_was_not_there_is_left),
        CASE(nobody_elses_change_is_undone_where_the_newest_is_of_a_killed_flag),
        CASE(a_deleted_flag_comes_back_as_killed_as_it_went),
        CASE(overrides_are_restored_only_when_that_is_asked),
        CASE(what_cannot_be_gone_back_to_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
