#include "flag_kit.h"

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}, 'defaultVariant': 'off'"

/* `rule` promoted onto a flag with `present`: the rule that comes of it. */
static void becomes(const char *rule, const char *present, const char *want, bool changed)
{
    char text[3][1000];
    const char *rules[] = {rule, present, want};
    struct flag *f[3];
    for (int i = 0; i < 3; i++) {
        snprintf(text[i], sizeof text[i], "{" ON_OFF ", 'targeting': %s}", rules[i]);
        f[i] = read_flag(text[i]);
    }
    bool did = flag_keep_percentages(f[0], f[1]);
    if (!flag_equal(f[0], f[2]))
        fail_msg("%s onto %s", rule, present);
    assert_int_equal(did, changed);
    for (int i = 0; i < 3; i++)
        flag_free(f[i]);
}

static void weights_stay_where_the_division_is_the_same(void **state)
{
    (void)state;
    becomes("{'fractional': [['on', 50], ['off', 50]]}", "{'fractional': [['on', 5], ['off', 95]]}",
            "{'fractional': [['on', 5], ['off', 95]]}", true);
    becomes("{'fractional': [['on', 5], ['off', 95]]}", "{'fractional': [['on', 5], ['off', 95]]}",
            "{'fractional': [['on', 5], ['off', 95]]}", false);
    /* Around it everything may be another. */
    becomes("{'if': [{'==': [{'var': 'plan'}, 'pro']}, 'on', {'fractional': [['on', 50], ['off', "
            "50]]}]}",
            "{'fractional': [['on', 7], ['off', 93]]}",
            "{'if': [{'==': [{'var': 'plan'}, 'pro']}, 'on', {'fractional': [['on', 7], ['off', "
            "93]]}]}",
            true);
    /* By the same attribute. */
    becomes("{'fractional': [{'var': 'id'}, ['on', 50], ['off', 50]]}",
            "{'fractional': [{'var': 'id'}, ['on', 1], ['off', 99]]}",
            "{'fractional': [{'var': 'id'}, ['on', 1], ['off', 99]]}", true);
}

static void several_divisions_are_matched_in_their_order(void **state)
{
    (void)state;
    becomes("{'if': [{'var': 'x'}, {'fractional': [['on', 50], ['off', 50]]}, {'fractional': "
            "[['on', 60], "
            "['off', 40]]}]}",
            "{'if': [{'var': 'y'}, {'fractional': [['on', 1], ['off', 99]]}, {'fractional': "
            "[['on', 2], "
            "['off', 98]]}]}",
            "{'if': [{'var': 'x'}, {'fractional': [['on', 1], ['off', 99]]}, {'fractional': "
            "[['on', 2], "
            "['off', 98]]}]}",
            true);
}

static void another_division_brings_its_own_weights(void **state)
{
    static const char *const present[] = {
        "{'fractional': [['off', 5], ['on', 95]]}",                /* another order */
        "{'fractional': [['on', 5], ['on', 5], ['off', 90]]}",     /* more parts */
        "{'fractional': [{'var': 'id'}, ['on', 5], ['off', 95]]}", /* by something else */
        "{'fractional': [['on'], ['off']]}",                       /* no weights */
        "{'fractional': [['on', {'var': 'n'}], ['off', 95]]}",     /* weights that are computed */
        "{'if': [true, 'on']}",                                    /* none */
        "{'if': [{'var': 'x'}, {'fractional': [['on', 1], ['off', 99]]}, {'fractional': [['on', "
        "2], "
        "['off', 98]]}]}", /* two */
    };
    (void)state;
    for (size_t i = 0; i < sizeof present / sizeof *present; i++)
        becomes("{'fractional': [['on', 50], ['off', 50]]}", present[i],
                "{'fractional': [['on', 50], ['off', 50]]}", false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_stay_where_the_division_is_the_same),
        cmocka_unit_test(several_divisions_are_matched_in_their_order),
        cmocka_unit_test(another_division_brings_its_own_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
