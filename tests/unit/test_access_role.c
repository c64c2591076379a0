#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "access/grants.h"

/* The rights of each role, as docs/security.md tells them. */
static const struct {
    enum access_role role;
    const char *may; /* of eval read operate edit approve admin, a letter each */
} told[] = {
    {ACCESS_EVALUATOR, "v"},  {ACCESS_VIEWER, "vr"},   {ACCESS_APPROVER, "vrp"},
    {ACCESS_OPERATOR, "vro"}, {ACCESS_EDITOR, "vroe"}, {ACCESS_ADMIN, "vroepa"},
};

static const struct {
    char letter;
    enum access_right right;
} letters[] = {{'v', RIGHT_EVAL}, {'r', RIGHT_READ},    {'o', RIGHT_OPERATE},
               {'e', RIGHT_EDIT}, {'p', RIGHT_APPROVE}, {'a', RIGHT_ADMIN}};

static void each_role_has_the_rights_it_is_told_to_have(void **state)
{
    (void)state;
    assert_int_equal(sizeof told / sizeof *told, ACCESS_ROLES);
    for (size_t i = 0; i < ACCESS_ROLES; i++)
        for (size_t k = 0; k < sizeof letters / sizeof *letters; k++)
            assert_int_equal(access_role_has(told[i].role, letters[k].right),
                             strchr(told[i].may, letters[k].letter) != NULL);
}

static void the_least_role_for_a_right_has_it(void **state)
{
    (void)state;
    assert_int_equal(access_role_for(RIGHT_EVAL), ACCESS_EVALUATOR);
    assert_int_equal(access_role_for(RIGHT_READ), ACCESS_VIEWER);
    assert_int_equal(access_role_for(RIGHT_OPERATE), ACCESS_OPERATOR);
    assert_int_equal(access_role_for(RIGHT_EDIT), ACCESS_EDITOR);
    assert_int_equal(access_role_for(RIGHT_APPROVE), ACCESS_APPROVER);
    assert_int_equal(access_role_for(RIGHT_ADMIN), ACCESS_ADMIN);
}

static void a_role_is_read_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < ACCESS_ROLES; i++) {
        enum access_role role;
        const char *name = access_role_name((enum access_role)i);
        assert_int_equal(access_role_read(slice_str(name), &role), HOIST_OK);
        assert_int_equal(role, i);
    }
    enum access_role untouched = ACCESS_VIEWER;
    assert_int_equal(access_role_read(SLICE("root"), &untouched), HOIST_EINVAL);
    assert_int_equal(untouched, ACCESS_VIEWER);
    assert_non_null(strstr(err_last(), "editor"));
}

/* Somebody with one role, for the environments and prefixes. */
static struct access_subject given(enum access_role role, struct slice *env, struct slice *prefix)
{
    struct access_subject s = {.given_count = 1};
    s.given[0] = (struct access_given){.role = role,
                                       .envs = env,
                                       .env_count = env != NULL,
                                       .prefixes = prefix,
                                       .prefix_count = prefix != NULL};
    return s;
}

static bool may(const struct access_subject *s, const char *command, const char *env,
                const char *key)
{
    return access_allows(s, access_need_of(slice_str(command)), slice_str(env), slice_str(key));
}

static void every_role_may_what_it_has_a_right_to_and_nothing_else(void **state)
{
    (void)state;
    for (int i = 0; i < ACCESS_ROLES; i++) {
        struct access_subject s = given((enum access_role)i, NULL, NULL);
        for (const struct access_need *n = access_needs; n->command; n++)
            assert_int_equal(may(&s, n->command, "production", "a"),
                             access_role_has((enum access_role)i, n->right));
    }
}

static void a_role_is_for_its_environments_alone(void **state)
{
    struct slice staging = SLICE("staging");
    struct access_subject s = given(ACCESS_ADMIN, &staging, NULL);
    (void)state;
    assert_true(may(&s, "set", "staging", "a"));
    assert_true(may(&s, "env_set", "staging", NULL));
    assert_true(may(&s, "list", "staging", NULL));
    assert_true(may(&s, "envs", NULL, NULL));
    assert_false(may(&s, "set", "production", "a"));
    assert_false(may(&s, "list", "production", NULL));
    assert_false(may(&s, "env_create", NULL, NULL)); /* which takes a role for all of them */
    assert_false(may(&s, "access_grant", NULL, NULL));
}

static void a_role_is_for_its_flags_alone(void **state)
{
    struct slice prefix = SLICE("checkout.");
    struct access_subject s = given(ACCESS_EDITOR, NULL, &prefix);
    struct access_subject admin = given(ACCESS_ADMIN, NULL, &prefix);
    (void)state;
    assert_true(may(&s, "release_abort", "production", "checkout.new"));
    assert_false(may(&s, "release_abort", "production", "search"));
    assert_false(may(&admin, "env_set", "production", NULL));
    assert_false(may(&admin, "env_epoch", "production", NULL));
    assert_true(may(&s, "set", "production", "checkout.new"));
    assert_true(may(&s, "kill", "production", "checkout."));
    assert_true(may(&s, "list", "production", NULL));
    assert_false(may(&s, "set", "production", "checkout"));
    assert_false(may(&s, "get", "production", "search"));
}

static void roles_do_not_lend_each_other_their_reach(void **state)
{
    struct slice staging = SLICE("staging");
    struct access_subject s = given(ACCESS_EDITOR, &staging, NULL);
    (void)state;
    s.given[s.given_count++] = (struct access_given){.role = ACCESS_VIEWER};
    assert_true(may(&s, "list", "production", NULL));
    assert_true(may(&s, "set", "staging", "a"));
    assert_false(may(&s, "set", "production", "a"));
}

static void who_is_granted_nothing_may_nothing(void **state)
{
    struct access_subject s = {.given_count = 0};
    (void)state;
    for (const struct access_need *n = access_needs; n->command; n++) {
        assert_false(may(&s, n->command, NULL, NULL));
        assert_false(may(NULL, n->command, NULL, NULL));
    }
}

static void names_are_plain(void **state)
{
    static const char *const good[] = {"ana", "ana@example.com", "ci-deploy_2", "A.b+c"};
    static const char *const bad[] = {"", "a b", "a/b", "caf\xc3\xa9", "a\nb"};
    char longest[ACCESS_NAME_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(access_name_check(slice_str(good[i])), HOIST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(access_name_check(slice_str(bad[i])), HOIST_EINVAL);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(access_name_check(slice_of(longest, ACCESS_NAME_MAX)), HOIST_OK);
    assert_int_equal(access_name_check(slice_of(longest, ACCESS_NAME_MAX + 1)), HOIST_EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_has_the_rights_it_is_told_to_have),
        cmocka_unit_test(the_least_role_for_a_right_has_it),
        cmocka_unit_test(a_role_is_read_by_its_name),
        cmocka_unit_test(every_role_may_what_it_has_a_right_to_and_nothing_else),
        cmocka_unit_test(a_role_is_for_its_environments_alone),
        cmocka_unit_test(a_role_is_for_its_flags_alone),
        cmocka_unit_test(roles_do_not_lend_each_other_their_reach),
        cmocka_unit_test(who_is_granted_nothing_may_nothing),
        cmocka_unit_test(names_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
