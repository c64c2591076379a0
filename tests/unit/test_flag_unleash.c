#include "flag/unleash.h"

#include "flag_kit.h"

/* ------------------------------------------------------------------ help */

static struct problems found, changes;

static int begin(void **state)
{
    (void)state;
    found = changes = (struct problems){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    problems_done(&found);
    problems_done(&changes);
    return 0;
}

static enum hoist_err read_text(struct slice text, bool approximate, struct flag_file **ret)
{
    problems_done(&found);
    problems_done(&changes);
    return unleash_read(text, approximate, ret, &found, &changes);
}

/* The features become the flags of `document`, a whole flag file; ' stands for " in both. */
static void becomes_file(const char *features, bool approximate, const char *document)
{
    struct buf in = json(features);
    struct flag_file *file = NULL, *expected = read_flags(document);
    if (read_text(buf_slice(&in), approximate, &file) != HOIST_OK)
        fail_msg("%s", err_last());
    assert_int_equal(found.total, 0);
    struct buf got = write_file(file), want = write_file(expected);
    assert_string_equal(buf_str(&got), buf_str(&want));
    flag_file_free(file);
    flag_file_free(expected);
    buf_done(&in);
    buf_done(&got);
    buf_done(&want);
}

#define ON_OFF "'state': 'ENABLED', 'variants': {'on': true, 'off': false}"
#define OF_STRATEGIES(s) "{'features': [{'name': 'x', 'enabled': true, 'strategies': [" s "]}]}"
#define OF_STRATEGY(name, parameters)                                                              \
    OF_STRATEGIES("{'name': '" name "', 'parameters': {" parameters "}}")
#define OF_CONSTRAINT(c)                                                                           \
    OF_STRATEGIES("{'name': 'default', 'parameters': {}, 'constraints': [{" c "}]}")
#define TARGETING(rule)                                                                            \
    "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off', 'targeting': " rule "}}}"
#define WHERE(condition) TARGETING("{'if': [" condition ", 'on', 'off']}")
#define EVERYBODY "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'on'}}}"
#define NOBODY "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off'}}}"

static void becomes(const char *features, const char *document)
{
    becomes_file(features, false, document);
    assert_int_equal(changes.total, 0);
}

static bool said(const struct problems *p, const char *path, const char *part)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].path, path) == 0 &&
            (strstr(p->items[i].message, part) || strstr(p->items[i].mend, part)))
            return true;
    return false;
}

static void refuse_text(struct slice text, bool approximate)
{
    struct flag_file *file = (struct flag_file *)&found; /* anything but NULL */
    assert_int_equal(read_text(text, approximate, &file), HOIST_EINVAL);
    assert_ptr_equal(file, &found);
    assert_true(found.total > 0);
    assert_string_not_equal(err_last(), "");
}

/* Refused with a problem at `path` that says `part`. */
static void refused_as(const char *features, bool approximate, const char *path, const char *part)
{
    struct buf in = json(features);
    refuse_text(buf_slice(&in), approximate);
    if (!said(&found, path, part))
        fail_msg("nothing at %s says \"%s\", but %s: %s", path, part, found.items[0].path,
                 found.items[0].message);
    buf_done(&in);
}

/* Refused, whether or not something near would do. */
static void refused(const char *features, const char *path, const char *part)
{
    refused_as(features, true, path, part);
    refused_as(features, false, path, part);
}

/* Refused as it stands; becomes `document` with --approximate, which says so. */
static void comes_near(const char *features, const char *path, const char *part,
                       const char *document)
{
    refused_as(features, false, path, part);
    assert_true(said(&found, path, "--approximate"));
    becomes_file(features, true, document);
    assert_int_equal(changes.total, 1);
    assert_true(said(&changes, path, part));
}

/* ------------------------------------------------------------------ features */

static void a_feature_without_strategies_is_on_for_everybody(void **state)
{
    becomes("{'version': 2, 'features': [{'name': 'x', 'enabled': true, 'strategies': []}]}",
            EVERYBODY);
    becomes(OF_STRATEGY("default", ""), EVERYBODY);
    becomes("{'features': []}", "{'flags': {}}");
    (void)state;
}

static void a_disabled_feature_is_off_for_everybody_whatever_its_strategies(void **state)
{
    becomes("{'features': [{'name': 'x', 'enabled': false, 'strategies': [{'name': 'mine'}, "
            "{'name': 'flexibleRollout', 'parameters': {'rollout': '50'}}]}]}",
            NOBODY);
    (void)state;
}

static void what_a_feature_says_of_itself_is_metadata(void **state)
{
    becomes("{'features': [{'name': 'x', 'enabled': true, 'strategies': [], 'type': 'release', "
            "'description': 'for all', 'project': 'default', 'stale': true, 'impressionData': "
            "false}]}",
            "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'on', 'metadata': {'type': 'release', "
            "'description': 'for all', 'project': 'default', 'stale': true}}}}");
    (void)state;
}

static void one_of_several_strategies_is_enough(void **state)
{
    becomes(OF_STRATEGIES("{'name': 'userWithId', 'parameters': {'userIds': 'a'}}, "
                          "{'name': 'default', 'constraints': [{'contextName': 'country', "
                          "'operator': 'IN', 'values': ['DE']}]}"),
            WHERE("{'or': [{'in': [{'var': 'targetingKey'}, ['a']]}, {'===': [{'var': 'country'}, "
                  "'DE']}]}"));
    becomes(OF_STRATEGIES("{'name': 'userWithId', 'parameters': {'userIds': 'a'}}, {'name': "
                          "'default'}"),
            EVERYBODY);
    (void)state;
}

/* ------------------------------------------------------------------ strategies */

static void users_are_listed_as_javascript_splits_them(void **state)
{
    becomes(OF_STRATEGY("userWithId", "'userIds': 'a , b,\\u00a0c ,d '"),
            WHERE("{'in': [{'var': 'targetingKey'}, ['a', 'b', 'c', 'd ']]}"));
    becomes(OF_STRATEGY("userWithId", "'userIds': ' a,,b'"),
            WHERE("{'in': [{'var': 'targetingKey'}, [' a', '', 'b']]}"));
    becomes(OF_STRATEGY("userWithId", "'userIds': ''"), NOBODY);
    becomes(OF_STRATEGY("userWithId", ""), NOBODY);
    (void)state;
}

static void a_rollout_to_all_or_nobody_is_exact(void **state)
{
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': '100', 'stickiness': 'default'"), EVERYBODY);
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': 100, 'stickiness': 'random'"), EVERYBODY);
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': ' 100 '"), EVERYBODY);
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': '0'"), NOBODY);
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': ''"), NOBODY);
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': '0.9'"), NOBODY); /* of a hundred parts */
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': '100', 'stickiness': 'userId'"),
            WHERE("{'var': 'targetingKey'}"));
    becomes(OF_STRATEGY("flexibleRollout", "'rollout': '100', 'stickiness': 'tenant'"),
            WHERE("{'cat': [{'var': ['tenant', '']}]}"));
    becomes(OF_STRATEGY("gradualRolloutUserId", "'percentage': '100', 'groupId': 'g'"),
            WHERE("{'var': 'targetingKey'}"));
    becomes(OF_STRATEGY("gradualRolloutSessionId", "'percentage': '100'"),
            WHERE("{'cat': [{'var': ['sessionId', '']}]}"));
    becomes(OF_STRATEGY("gradualRolloutRandom", "'percentage': '100'"), EVERYBODY);
    becomes(OF_STRATEGY("gradualRolloutRandom", "'percentage': '0'"), NOBODY);
    (void)state;
}

#define SHARES(p, rest) "['on', " #p "], ['off', " #rest "]"

static void a_share_of_users_is_divided_by_another_hash(void **state)
{
    comes_near(
        OF_STRATEGY("flexibleRollout", "'rollout': '25', 'stickiness': 'userId', 'groupId': 'x'"),
        "features[0].strategies[0]", "25 % of the users",
        TARGETING("{'fractional': [" SHARES(25, 75) "]}"));
    assert_true(said(&changes, "features[0].strategies[0]", "of 100,000 sample users, 37,"));
    comes_near(OF_STRATEGY("gradualRolloutUserId", "'percentage': '12.7', 'groupId': 'g'"),
               "features[0].strategies[0]", "12 % of the users",
               TARGETING("{'if': [{'var': 'targetingKey'}, {'fractional': [{'cat': ['g:', {'var': "
                         "'targetingKey'}]}, " SHARES(12, 88) "]}, 'off']}"));
    comes_near(
        OF_STRATEGY("gradualRolloutSessionId", "'percentage': 1, 'groupId': 'g'"),
        "features[0].strategies[0]", "1 %",
        TARGETING("{'if': [{'cat': [{'var': ['sessionId', '']}]}, {'fractional': [{'cat': ['g:', "
                  "{'cat': [{'var': ['sessionId', '']}]}]}, " SHARES(1, 99) "]}, 'off']}"));
    comes_near(
        OF_STRATEGY("flexibleRollout", "'rollout': '50', 'stickiness': 'default', 'groupId': 'x'"),
        "features[0].strategies[0]", "who has no id by chance",
        TARGETING("{'if': [{'or': [{'var': 'targetingKey'}, {'var': 'sessionId'}]}, "
                  "{'fractional': [{'cat': ['x:', {'or': [{'var': 'targetingKey'}, {'var': "
                  "'sessionId'}]}]}, " SHARES(50, 50) "]}, 'off']}"));
    (void)state;
}

static void a_share_among_other_conditions_is_a_condition(void **state)
{
    comes_near(OF_STRATEGIES("{'name': 'gradualRolloutUserId', 'parameters': {'percentage': '10', "
                             "'groupId': 'x'}}, {'name': 'userWithId', 'parameters': {'userIds': "
                             "'a'}}"),
               "features[0].strategies[0]", "10 %",
               WHERE("{'or': [{'and': [{'var': 'targetingKey'}, {'===': [{'fractional': [{'cat': "
                     "['x', {'var': 'targetingKey'}]}, " SHARES(
                         10, 90) "]}, 'on']}]}, {'in': "
                                 "[{'var': 'targetingKey'}, ['a']]}]}"));
    (void)state;
}

static void what_was_drawn_anew_keeps_one_answer(void **state)
{
    const char *near = TARGETING(
        "{'if': [{'or': [{'var': 'targetingKey'}, {'var': 'sessionId'}]}, {'fractional': "
        "[{'cat': [':', {'or': [{'var': 'targetingKey'}, {'var': 'sessionId'}]}]}, " SHARES(
            30, 70) "]}, 'off']}");
    comes_near(OF_STRATEGY("gradualRolloutRandom", "'percentage': '30'"),
               "features[0].strategies[0]", "drawn anew", near);
    comes_near(OF_STRATEGY("flexibleRollout", "'rollout': '30', 'stickiness': 'random'"),
               "features[0].strategies[0]", "drawn anew", near);
    (void)state;
}

static void addresses_are_compared_and_ranges_come_near(void **state)
{
    becomes(OF_STRATEGY("remoteAddress", "'IPs': '10.0.0.1, ::1'"),
            WHERE("{'or': [{'===': [{'var': 'remoteAddress'}, '10.0.0.1']}, {'===': [{'var': "
                  "'remoteAddress'}, '::1']}]}"));
    becomes(OF_STRATEGY("remoteAddress", ""), NOBODY);
    comes_near(OF_STRATEGY("remoteAddress", "'IPs': '10.1.2.3/16'"), "features[0].strategies[0]",
               "range of addresses 10.1.2.3/16",
               WHERE("{'starts_with': [{'var': 'remoteAddress'}, '10.1.']}"));
    comes_near(OF_STRATEGY("remoteAddress", "'IPs': '10.0.0.255/15'"), "features[0].strategies[0]",
               "range",
               WHERE("{'or': [{'starts_with': [{'var': 'remoteAddress'}, '10.0.']}, "
                     "{'starts_with': [{'var': 'remoteAddress'}, '10.1.']}]}"));
    comes_near(OF_STRATEGY("remoteAddress", "'IPs': '10.0.0.5/31'"), "features[0].strategies[0]",
               "range",
               WHERE("{'or': [{'===': [{'var': 'remoteAddress'}, '10.0.0.4']}, {'===': "
                     "[{'var': 'remoteAddress'}, '10.0.0.5']}]}"));
    comes_near(OF_STRATEGY("remoteAddress", "'IPs': '0.0.0.0/0'"), "features[0].strategies[0]",
               "range", WHERE("{'in': ['.', {'var': 'remoteAddress'}]}"));
    (void)state;
}

static void a_host_is_known_by_its_id(void **state)
{
    comes_near(OF_STRATEGY("applicationHostname", "'hostNames': 'Web1, web2'"),
               "features[0].strategies[0]", "name of the host",
               WHERE("{'in': [{'var': '$hoist.host'}, ['web1', 'web2']]}"));
    becomes(OF_STRATEGY("applicationHostname", ""), NOBODY);
    (void)state;
}

static void an_unknown_strategy_is_refused_by_name(void **state)
{
    refused(OF_STRATEGY("byMoonPhase", ""), "features[0].strategies[0]", "\"byMoonPhase\"");
    (void)state;
}

/* ------------------------------------------------------------------ constraints */

static void in_and_not_in_compare_texts(void **state)
{
    becomes(OF_CONSTRAINT("'contextName': 'userId', 'operator': 'IN', 'values': ['7', ' a ', '']"),
            WHERE("{'in': [{'var': 'targetingKey'}, ['7', 'a']]}"));
    becomes(OF_CONSTRAINT("'contextName': 'appName', 'operator': 'NOT_IN', 'values': ['web']"),
            WHERE("{'!': [{'===': [{'var': 'appName'}, 'web']}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'c', 'operator': 'NOT_IN', 'values': ['web', 'app'], "
                          "'inverted': true"),
            WHERE("{'!': [{'!': [{'in': [{'var': 'c'}, ['web', 'app']]}]}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN', 'values': []"), NOBODY);
    becomes(OF_CONSTRAINT("'contextName': 'c', 'operator': 'NOT_IN', 'values': ['']"), EVERYBODY);
    /* A number in the context is the text of it in Unleash, so it is made one where it matters. */
    becomes(OF_CONSTRAINT("'contextName': 'level', 'operator': 'IN', 'values': ['7', 'a']"),
            WHERE("{'in': [{'cat': [{'var': ['level', '']}]}, ['7', 'a']]}"));
    /* And the case does not matter to it. */
    becomes(OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN', 'values': ['A'], "
                          "'caseInsensitive': true"),
            WHERE("{'===': [{'var': 'c'}, 'A']}"));
    (void)state;
}

static void parts_of_texts_are_compared(void **state)
{
    becomes(OF_CONSTRAINT("'contextName': 'email', 'operator': 'STR_ENDS_WITH', 'values': "
                          "['@a.example', '@b.example']"),
            WHERE("{'or': [{'ends_with': [{'var': 'email'}, '@a.example']}, {'ends_with': [{'var': "
                  "'email'}, '@b.example']}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'path', 'operator': 'STR_STARTS_WITH', 'values': "
                          "['/api'], 'inverted': true"),
            WHERE("{'!': [{'starts_with': [{'var': 'path'}, '/api']}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'agent', 'operator': 'STR_CONTAINS', 'values': ['bot']"),
            WHERE("{'in': ['bot', {'var': 'agent'}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'phone', 'operator': 'STR_STARTS_WITH', 'values': ['4']"),
            WHERE("{'starts_with': [{'cat': [{'var': ['phone', '']}]}, '4']}"));
    becomes(OF_CONSTRAINT("'contextName': 'c', 'operator': 'STR_CONTAINS', 'values': ['-1_'], "
                          "'caseInsensitive': true"),
            WHERE("{'in': ['-1_', {'var': 'c'}]}")); /* there is no other case of it */
    comes_near(OF_CONSTRAINT("'contextName': 'c', 'operator': 'STR_ENDS_WITH', 'values': ['.Org'], "
                             "'caseInsensitive': true"),
               "features[0].strategies[0].constraints[0]", "regard",
               WHERE("{'or': [{'ends_with': [{'var': 'c'}, '.Org']}, {'ends_with': [{'var': 'c'}, "
                     "'.org']}, {'ends_with': [{'var': 'c'}, '.ORG']}]}"));
    (void)state;
}

static void numbers_are_compared_and_a_missing_one_is_no_zero(void **state)
{
    becomes(OF_CONSTRAINT("'contextName': 'age', 'operator': 'NUM_GTE', 'value': '18'"),
            WHERE("{'>=': [{'var': 'age'}, 18]}"));
    becomes(OF_CONSTRAINT("'contextName': 'age', 'operator': 'NUM_LT', 'value': '18'"),
            WHERE("{'and': [{'!==': [{'var': 'age'}, null]}, {'<': [{'var': 'age'}, 18]}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'age', 'operator': 'NUM_GT', 'value': '-0.5'"),
            WHERE("{'and': [{'!==': [{'var': 'age'}, null]}, {'>': [{'var': 'age'}, -0.5]}]}"));
    becomes(OF_CONSTRAINT("'contextName': 'age', 'operator': 'NUM_LTE', 'value': ' -1 '"),
            WHERE("{'<=': [{'var': 'age'}, -1]}"));
    becomes(OF_CONSTRAINT("'contextName': 'n', 'operator': 'NUM_EQ', 'value': '0'"),
            WHERE("{'==': [{'var': 'n'}, 0]}"));
    becomes(OF_CONSTRAINT("'contextName': 'n', 'operator': 'NUM_EQ', 'value': 1e300"),
            WHERE("{'==': [{'var': 'n'}, 1e300]}"));
    refused(OF_CONSTRAINT("'contextName': 'n', 'operator': 'NUM_EQ', 'value': 'ten'"),
            "features[0].strategies[0].constraints[0].value", "no number");
    refused(OF_CONSTRAINT("'contextName': 'n', 'operator': 'NUM_EQ'"),
            "features[0].strategies[0].constraints[0].value", "no number");
    (void)state;
}

static void a_date_is_compared_with_the_clock(void **state)
{
    becomes(OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'DATE_BEFORE', 'value': "
                          "'2026-01-01T00:00:00.000Z'"),
            WHERE("{'<': [{'var': '$flagd.timestamp'}, 1767225600]}"));
    becomes(OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'DATE_AFTER', 'value': "
                          "'2026-01-01T00:00:00Z', 'inverted': true"),
            WHERE("{'!': [{'>=': [{'var': '$flagd.timestamp'}, 1767225600]}]}"));
    comes_near(OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'DATE_AFTER', 'value': "
                             "'2026-01-01T00:00:00.500Z'"),
               "features[0].strategies[0].constraints[0]", "part of a second",
               WHERE("{'>=': [{'var': '$flagd.timestamp'}, 1767225600]}"));
    comes_near(OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'DATE_AFTER', 'value': "
                             "'2026-01-01T00:00:00.5Z'"),
               "features[0].strategies[0].constraints[0]", "part of a second",
               WHERE("{'>=': [{'var': '$flagd.timestamp'}, 1767225600]}"));
    static const char *const bad[] = {
        "2026-02-31T00:00:00Z",  "2026-01-01", "2026-01-01T00:00:00+01:00",
        "2026-01-01T00:00:00.Z", "tomorrow",   ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char features[512];
        snprintf(features, sizeof features,
                 OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'DATE_AFTER', 'value': "
                               "'%s'"),
                 bad[i]);
        refused(features, "features[0].strategies[0].constraints[0].value", "no date");
    }
    (void)state;
}

static void a_version_comes_near(void **state)
{
    comes_near(OF_CONSTRAINT("'contextName': 'v', 'operator': 'SEMVER_GTE', 'value': "
                             "'1.2.3-rc.1+b7'"),
               "features[0].strategies[0].constraints[0]", "SEMVER_GTE",
               WHERE("{'sem_ver': [{'var': 'v'}, '>=', '1.2.3-rc.1+b7']}"));
    static const char *const bad[] = {"1.2",    "v1.2.3",  "01.2.3",     "1.2.3-", "1.2.3-01",
                                      "1.2.3+", "1.2.3.4", "1.2.3-a..b", "1.2.x",  ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char features[512];
        snprintf(features, sizeof features,
                 OF_CONSTRAINT("'contextName': 'v', 'operator': 'SEMVER_EQ', 'value': '%s'"),
                 bad[i]);
        refused(features, "features[0].strategies[0].constraints[0].value", "no version");
    }
    (void)state;
}

static void operators_that_hoist_lacks_are_refused_by_name(void **state)
{
    const char *path = "features[0].strategies[0].constraints[0]";
    refused(OF_CONSTRAINT("'contextName': 'c', 'operator': 'REGEX', 'value': '^a'"), path, "REGEX");
    refused(OF_CONSTRAINT("'contextName': 'c', 'operator': 'NEAR', 'values': []"), path,
            "\"NEAR\"");
    refused(OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN_CIDR', 'values': ['fe80::/10']"),
            path, "fe80::/10");
    comes_near(OF_CONSTRAINT("'contextName': 'ip', 'operator': 'IN_CIDR', 'values': "
                             "['10.0.0.0/8', '1.2.3.4']"),
               path, "10.0.0.0/8",
               WHERE("{'or': [{'starts_with': [{'var': 'ip'}, '10.']}, {'===': [{'var': 'ip'}, "
                     "'1.2.3.4']}]}"));
    (void)state;
}

static void a_name_that_means_something_else_in_hoist_is_refused(void **state)
{
    const char *path = "features[0].strategies[0].constraints[0]";
    refused(OF_CONSTRAINT("'contextName': 'targetingKey', 'operator': 'IN', 'values': ['a']"), path,
            "targetingKey");
    refused(OF_CONSTRAINT("'contextName': 'currentTime', 'operator': 'IN', 'values': ['a']"), path,
            "current time");
    refused(OF_CONSTRAINT("'contextName': '', 'operator': 'IN', 'values': ['a']"), path, "no name");
    comes_near(OF_CONSTRAINT("'contextName': 'org.plan', 'operator': 'IN', 'values': ['pro']"),
               path, "org.plan", WHERE("{'===': [{'var': 'org.plan'}, 'pro']}"));
    (void)state;
}

static void all_constraints_must_hold(void **state)
{
    becomes(OF_STRATEGIES("{'name': 'userWithId', 'parameters': {'userIds': 'a'}, 'constraints': "
                          "[{'contextName': 'c', 'operator': 'IN', 'values': ['x']}, "
                          "{'contextName': 'd', 'operator': 'IN', 'values': ['y']}]}"),
            WHERE("{'and': [{'===': [{'var': 'c'}, 'x']}, {'===': [{'var': 'd'}, 'y']}, {'in': "
                  "[{'var': 'targetingKey'}, ['a']]}]}"));
    (void)state;
}

/* ------------------------------------------------------------------ segments, dependencies */

static void a_segment_is_a_named_rule(void **state)
{
    becomes("{'features': [{'name': 'x', 'enabled': true, 'strategies': [{'name': 'default', "
            "'segments': [7, 8]}]}], 'segments': [{'id': 7, 'name': 'staff', 'constraints': "
            "[{'contextName': 'c', 'operator': 'IN', 'values': ['x']}]}, {'id': 8, 'constraints': "
            "[]}, {'id': 9, 'constraints': [{'contextName': 'c', 'operator': 'REGEX'}]}]}",
            "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [{'$ref': "
            "'segment-7'}, 'on', 'off']}}}, '$evaluators': {'segment-7': {'===': [{'var': 'c'}, "
            "'x']}}}");
    refused(OF_STRATEGIES("{'name': 'default', 'segments': [7]}"),
            "features[0].strategies[0].segments[0]", "no segment 7");
    refused("{'features': [{'name': 'x', 'enabled': true, 'strategies': [{'name': 'default', "
            "'segments': [7]}]}], 'segments': [{'id': 7, 'constraints': [{'contextName': 'c', "
            "'operator': 'REGEX', 'value': 'a'}]}]}",
            "segments[0].constraints[0]", "REGEX");
    refused("{'features': [], 'segments': [{'id': 7}, {'id': 7}]}", "segments[1]", "twice");
    refused("{'features': [], 'segments': [{}]}", "segments[0]", "no id");
    refused("{'features': [], 'segments': {}}", "segments", "an object");
    (void)state;
}

#define PARENT "{'name': 'p', 'enabled': true, 'strategies': []}"
#define CHILD(dependencies)                                                                        \
    "{'features': [{'name': 'x', 'enabled': true, 'strategies': [], 'dependencies': "              \
    "[" dependencies "]}, " PARENT ", {'name': 'q', 'enabled': true, 'strategies': [], "           \
    "'dependencies': [{'feature': 'p'}]}]}"
#define FAMILY(requires)                                                                           \
    "{'flags': {'x': {" ON_OFF                                                                     \
    ", 'defaultVariant': 'on', 'requires': {'flags': {" requires "}, 'otherwise': 'off'}}, 'p': "  \
                                                                 "{" ON_OFF ", 'defaultVariant': " \
                                                                 "'on'}, 'q': {" ON_OFF            \
                                                                 ", 'defaultVariant': 'on', "      \
                                                                 "'requires': {'flags': {'p': "    \
                                                                 "'on'}, 'otherwise': 'off'}}}}"

static void a_dependency_is_a_requirement(void **state)
{
    becomes(CHILD("{'feature': 'p'}"), FAMILY("'p': 'on'"));
    becomes(CHILD("{'feature': 'p', 'enabled': false, 'variants': ['a', 'b']}"),
            FAMILY("'p': 'off'"));
    becomes(CHILD("{'feature': 'p', 'enabled': true, 'variants': []}"), FAMILY("'p': 'on'"));
    const char *path = "features[0].dependencies[0]";
    refused(CHILD("{'feature': 'nobody'}"), path, "\"nobody\"");
    refused(CHILD("{'feature': 'q'}"), path, "depends on another");
    refused(CHILD("{'feature': 'p', 'variants': ['a']}"), path, "has none");
    refused(CHILD("{'feature': 'p', 'variants': ['a', 'b']}"), path, "any of several");
    refused(CHILD("{'feature': 'p'}, {'feature': 'p', 'enabled': false}"),
            "features[0].dependencies[1]", "two ways");
    refused(CHILD("7"), path, "names no feature");
    (void)state;
}

/* ------------------------------------------------------------------ variants */

#define VARIANTS(list)                                                                             \
    "{'features': [{'name': 'x', 'enabled': true, 'strategies': [], 'variants': [" list "]}]}"
#define BOTH(second)                                                                               \
    "{'flags': {'x': {" ON_OFF                                                                     \
    ", 'defaultVariant': 'on'}, 'x.variant': {'state': 'ENABLED', " second "}}}"

static void a_variant_for_everybody_is_a_second_flag(void **state)
{
    becomes(VARIANTS("{'name': 'a', 'weight': 1000}, {'name': 'b', 'weight': 0}"),
            BOTH("'variants': {'a': 'a', 'b': 'b'}, 'defaultVariant': 'a'"));
    becomes(VARIANTS("{'name': 'a', 'weight': 0}"), BOTH("'variants': {'a': 'a'}"));
    becomes("{'features': [{'name': 'x', 'enabled': false, 'strategies': [], 'variants': [{'name': "
            "'a', 'weight': 1}]}]}",
            "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off'}, 'x.variant': {'state': "
            "'ENABLED', 'variants': {'a': 'a'}}}}");
    (void)state;
}

static void a_payload_is_the_value(void **state)
{
    static const struct {
        const char *type, *payload, *value;
    } good[] = {
        {"string", "hello", "'hello'"},
        {"csv", "a,b", "'a,b'"},
        {"number", " 2.5 ", "2.5"},
        {"json", "{\\'a\\': [1, null]}", "{'a': [1, null]}"},
        {"json", "[]", "[]"},
        {"json", "true", "true"},
        {"json", "\\'text\\'", "'text'"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char features[512], document[512];
        snprintf(features, sizeof features,
                 VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': '%s', 'value': '%s'}}"),
                 good[i].type, good[i].payload);
        snprintf(document, sizeof document, BOTH("'variants': {'a': %s}, 'defaultVariant': 'a'"),
                 good[i].value);
        becomes(features, document);
    }
    const char *path = "features[0].variants[0].payload";
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': 'json', 'value': '{'}}"), path,
            "not JSON");
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': 'number', 'value': 'x'}}"),
            path, "no number");
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': 'xml', 'value': 'x'}}"), path,
            "no telling");
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': 'string'}}"), path,
            "no value");
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'payload': {'type': 'json', 'value': 'null'}}"),
            "flags.x.variant.variants.a", "null");
    (void)state;
}

static void payloads_of_two_types_are_refused(void **state)
{
    refused(VARIANTS("{'name': 'a', 'weight': 0, 'payload': {'type': 'number', 'value': '1'}}, "
                     "{'name': 'b', 'weight': 1, 'payload': {'type': 'string', 'value': '1'}}"),
            "flags.x.variant.variants.b", "one type");
    (void)state;
}

static void a_variant_without_a_payload_among_others_is_the_fallback(void **state)
{
    comes_near(VARIANTS("{'name': 'a', 'weight': 1}, {'name': 'b', 'weight': 0, 'payload': "
                        "{'type': 'string', 'value': 'x'}}"),
               "features[0].variants[0]", "no payload", BOTH("'variants': {'b': 'x'}"));
    (void)state;
}

static void weights_are_divided_by_another_hash(void **state)
{
    comes_near(VARIANTS("{'name': 'a', 'weight': 250, 'stickiness': 'userId'}, {'name': 'b', "
                        "'weight': 750}"),
               "features[0].variants", "2 variants",
               BOTH("'variants': {'a': 'a', 'b': 'b'}, 'targeting': {'fractional': [{'cat': "
                    "['x:variant:', {'var': 'targetingKey'}]}, ['a', 250], ['b', 750]]}"));
    assert_true(said(&changes, "features[0].variants", "of 100,000 sample users, 37,"));
    (void)state;
}

static void a_share_without_a_payload_is_the_fallback(void **state)
{
    becomes_file(VARIANTS("{'name': 'a', 'weight': 1, 'stickiness': 'userId'}, {'name': 'b', "
                          "'weight': 3, 'payload': {'type': 'string', 'value': 'x'}}"),
                 true,
                 BOTH("'variants': {'b': 'x'}, 'targeting': {'if': [{'in': [{'fractional': "
                      "[{'cat': ['x:variant:', {'var': 'targetingKey'}]}, ['a', 1], ['b', 3]]}, "
                      "['a']]}, null, {'fractional': [{'cat': ['x:variant:', {'var': "
                      "'targetingKey'}]}, ['a', 1], ['b', 3]]}]}"));
    assert_int_equal(changes.total, 2);
    (void)state;
}

static void an_override_comes_before_the_weights(void **state)
{
    becomes(
        VARIANTS("{'name': 'a', 'weight': 1}, {'name': 'b', 'weight': 0, 'overrides': "
                 "[{'contextName': 'userId', 'values': ['7']}, {'contextName': 'level', "
                 "'values': ['9', 'x']}]}"),
        BOTH("'variants': {'a': 'a', 'b': 'b'}, 'targeting': {'if': [{'or': [{'in': [{'var': "
             "'targetingKey'}, ['7']]}, {'in': [{'cat': [{'var': ['level', '']}]}, ['9', 'x']]}]}, "
             "'b', 'a']}"));
    refused(VARIANTS("{'name': 'a', 'weight': 1, 'overrides': [{'contextName': 'userId'}]}"),
            "features[0].variants[0].overrides", "no values");
    (void)state;
}

static void a_strategy_has_variants_of_its_own(void **state)
{
    becomes("{'features': [{'name': 'x', 'enabled': true, 'variants': [{'name': 'a', 'weight': "
            "1}], 'strategies': [{'name': 'userWithId', 'parameters': {'userIds': '1'}, "
            "'variants': [{'name': 'b', 'weight': 1}]}, {'name': 'userWithId', 'parameters': "
            "{'userIds': '2'}}, {'name': 'userWithId', 'parameters': {'userIds': '3'}, "
            "'variants': [{'name': 'c', 'weight': 0}]}]}]}",
            "{'flags': {'x': {" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [{'or': "
            "[{'in': [{'var': 'targetingKey'}, ['1']]}, {'in': [{'var': 'targetingKey'}, ['2']]}, "
            "{'in': [{'var': 'targetingKey'}, ['3']]}]}, 'on', 'off']}}, 'x.variant': {'state': "
            "'ENABLED', 'variants': {'a': 'a', 'b': 'b', 'c': 'c'}, 'targeting': {'if': [{'in': "
            "[{'var': 'targetingKey'}, ['1']]}, 'b', {'or': [{'in': [{'var': 'targetingKey'}, "
            "['2']]}, {'in': [{'var': 'targetingKey'}, ['3']]}]}, 'a', null]}}}}");
    (void)state;
}

static void the_variants_of_a_dependent_feature_repeat_what_it_depends_on(void **state)
{
    becomes("{'features': [{'name': 'p', 'enabled': true, 'strategies': [{'name': 'userWithId', "
            "'parameters': {'userIds': '1'}}]}, {'name': 'x', 'enabled': true, 'strategies': [], "
            "'dependencies': [{'feature': 'p'}], 'variants': [{'name': 'a', 'weight': 1}]}]}",
            "{'flags': {'p': {" ON_OFF ", 'defaultVariant': 'off', 'targeting': {'if': [{'in': "
            "[{'var': 'targetingKey'}, ['1']]}, 'on', 'off']}}, 'x': {" ON_OFF
            ", 'defaultVariant': 'on', 'requires': {'flags': {'p': 'on'}, 'otherwise': 'off'}}, "
            "'x.variant': {'state': 'ENABLED', 'variants': {'a': 'a'}, 'targeting': {'if': "
            "[{'in': [{'var': 'targetingKey'}, ['1']]}, 'a', null]}}}}");
    (void)state;
}

static void a_dependency_on_a_variant_requires_the_second_flag(void **state)
{
    becomes("{'features': [{'name': 'p', 'enabled': true, 'strategies': [], 'variants': [{'name': "
            "'a', 'weight': 1}]}, {'name': 'x', 'enabled': true, 'strategies': [], "
            "'dependencies': [{'feature': 'p', 'variants': ['a']}]}]}",
            "{'flags': {'p': {" ON_OFF ", 'defaultVariant': 'on'}, 'p.variant': {'state': "
            "'ENABLED', 'variants': {'a': 'a'}, 'defaultVariant': 'a'}, 'x': {" ON_OFF
            ", 'defaultVariant': 'on', 'requires': {'flags': {'p.variant': 'a'}, 'otherwise': "
            "'off'}}}}");
    (void)state;
}

static void two_things_of_one_name_are_refused(void **state)
{
    refused("{'features': [{'name': 'x', 'enabled': true, 'strategies': [], 'variants': [{'name': "
            "'a', 'weight': 1}]}, {'name': 'x.variant', 'enabled': true, 'strategies': []}]}",
            "features[1]", "two things");
    refused("{'features': [" PARENT ", " PARENT "]}", "features[1]", "twice");
    refused("{'features': [{'name': 'x', 'enabled': true, 'variants': [{'name': 'a', 'weight': 1, "
            "'payload': {'type': 'string', 'value': '1'}}], 'strategies': [{'name': 'default', "
            "'variants': [{'name': 'a', 'weight': 1, 'payload': {'type': 'string', 'value': "
            "'2'}}]}]}]}",
            "features[0].strategies[0].variants[0]", "two values");
    (void)state;
}

/* ------------------------------------------------------------------ bad input */

static void what_is_no_answer_of_unleash_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "nope",
        "{",
        "[]",
        "{}",
        "7",
        "null",
        "'x'",
        "{'features': 7}",
        "{'features': null}",
        "{'features': {}}",
        "{'features': [7]}",
        "{'features': [null]}",
        "{'features': [{}]}",
        "{'features': [{'name': 7}]}",
        "{'features': [[]]}",
        "{'features': [{'name': 'x'}]}",
        "{'features': [{'name': 'x', 'enabled': 'yes', "
        "'strategies': []}]}",
        "{'features': [{'name': 'x', 'enabled': true}]}",
        "{'features': [{'name': 'x', 'enabled': true, 'strategies': {}}]}",
        "{'features': [{'name': '', 'enabled': true, 'strategies': []}]}",
        "{'features': [{'name': 'a\\u0007', 'enabled': true, 'strategies': []}]}",
        "{'features': [], 'features': []}",
        "{'events': []}",
        "{'flags': {}}",
        OF_STRATEGIES("7"),
        OF_STRATEGIES("null"),
        OF_STRATEGIES("[]"),
        OF_STRATEGIES("{}"),
        OF_STRATEGIES("{'name': 7}"),
        OF_STRATEGIES("{'name': 'default', 'parameters': 7}"),
        OF_STRATEGIES("{'name': 'default', 'constraints': 7}"),
        OF_STRATEGIES("{'name': 'default', 'constraints': [7]}"),
        OF_STRATEGIES("{'name': 'default', 'constraints': [{}]}"),
        OF_STRATEGIES("{'name': 'default', 'segments': 7}"),
        OF_STRATEGIES("{'name': 'default', 'segments': [null]}"),
        OF_STRATEGY("userWithId", "'userIds': ['a']"),
        OF_STRATEGY("flexibleRollout", ""),
        OF_STRATEGY("flexibleRollout", "'rollout': 'half'"),
        OF_STRATEGY("flexibleRollout", "'rollout': []"),
        OF_STRATEGY("flexibleRollout", "'rollout': '5', 'stickiness': 7"),
        OF_STRATEGY("gradualRolloutRandom", "'percentage': {}"),
        OF_STRATEGY("remoteAddress", "'IPs': 7"),
        OF_STRATEGY("applicationHostname", "'hostNames': {}"),
        OF_CONSTRAINT("'contextName': 7, 'operator': 'IN', 'values': ['a']"),
        OF_CONSTRAINT("'contextName': 'c', 'operator': 7, 'values': ['a']"),
        OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN'"),
        OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN', 'values': 'a'"),
        OF_CONSTRAINT("'contextName': 'c', 'operator': 'IN', 'values': [7]"),
        OF_CONSTRAINT("'contextName': 'c', 'operator': 'STR_CONTAINS', 'values': ['  ']"),
        VARIANTS("7"),
        VARIANTS("{}"),
        VARIANTS("{'name': 'a'}"),
        VARIANTS("{'name': 'a', 'weight': -1}"),
        VARIANTS("{'name': 'a', 'weight': 0.5}"),
        VARIANTS("{'name': 'a', 'weight': 1e9}"),
        VARIANTS("{'name': 'a', 'weight': '1'}"),
        VARIANTS("{'name': 7, 'weight': 1}"),
        VARIANTS("{'name': '', 'weight': 1}"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf in = json(bad[i]);
        refuse_text(buf_slice(&in), false);
        refuse_text(buf_slice(&in), true);
        for (size_t k = 0; k < found.count; k++) {
            assert_string_not_equal(found.items[k].path, "");
            assert_string_not_equal(found.items[k].message, "");
            assert_string_not_equal(found.items[k].mend, "");
        }
        buf_done(&in);
    }
    refuse_text(SLICE("{\"features\": [{\"name\": \"\xff\", \"enabled\": true}]}"), true);
    refuse_text(SLICE("\0"), true);
    (void)state;
}

static void all_that_is_wrong_is_named(void **state)
{
    refused("{'features': [{'name': 'one', 'enabled': true, 'strategies': [{'name': 'mine'}, "
            "{'name': 'default', 'constraints': [{'contextName': 'c', 'operator': 'REGEX'}]}]}, "
            "{'name': 'two', 'enabled': 1, 'strategies': []}]}",
            "features[0].strategies[0]", "\"one\"");
    assert_int_equal(found.total, 3);
    assert_true(said(&found, "features[0].strategies[1].constraints[0]", "\"one\""));
    assert_true(said(&found, "features[1]", "\"two\""));
    (void)state;
}

static struct buf nested(const char *before, const char *open, int times, const char *close,
                         const char *after)
{
    struct buf b = BUF_INIT(64 << 20);
    buf_add_str(&b, before);
    for (int i = 0; i < times; i++)
        buf_add_str(&b, open);
    for (int i = 0; i < times; i++)
        buf_add_str(&b, close);
    buf_add_str(&b, after);
    struct buf quoted = json(buf_str(&b));
    buf_done(&b);
    return quoted;
}

static void what_is_nested_without_end_is_refused(void **state)
{
    struct buf strategies = nested(
        "{'features': [{'name': 'x', 'enabled': true, 'strategies': ", "[", 1000, "]", "}]}");
    struct buf payload = nested("{'features': [{'name': 'x', 'enabled': true, 'strategies': [], "
                                "'variants': [{'name': 'a', 'weight': 1, 'payload': {'type': "
                                "'json', 'value': '",
                                "[", 1000, "]", "'}}]}]}");
    struct buf document = nested("", "[", 100000, "]", "");
    refuse_text(buf_slice(&strategies), true);
    refuse_text(buf_slice(&payload), true);
    assert_true(said(&found, found.items[0].path, "too many levels"));
    refuse_text(buf_slice(&document), true);
    buf_done(&strategies);
    buf_done(&payload);
    buf_done(&document);
    (void)state;
}

static void a_huge_file_is_read_and_a_huge_rule_refused(void **state)
{
    enum { FEATURES = 5000, USERS = 100000 };
    struct buf b = BUF_INIT(64 << 20);
    struct flag_file *file = NULL;
    buf_add_str(&b, "{\"features\": [");
    for (int i = 0; i < FEATURES; i++)
        buf_printf(&b,
                   "%s{\"name\": \"f%d\", \"enabled\": true, \"strategies\": [{\"name\": "
                   "\"flexibleRollout\", \"parameters\": {\"rollout\": \"%d\"}}]}",
                   i ? "," : "", i, 1 + i % 99);
    buf_add_str(&b, "]}");
    assert_int_equal(read_text(buf_slice(&b), true, &file), HOIST_OK);
    assert_int_equal(file->count, FEATURES);
    assert_int_equal(changes.total, FEATURES);
    assert_non_null(strstr(changes.items[0].mend, "of 100,000 sample users"));
    flag_file_free(file);
    buf_clear(&b);
    buf_add_str(&b, "{\"features\": [{\"name\": \"x\", \"enabled\": true, \"strategies\": "
                    "[{\"name\": \"userWithId\", \"parameters\": {\"userIds\": \"");
    for (int i = 0; i < USERS; i++)
        buf_printf(&b, "%d,", i);
    buf_add_str(&b, "\"}}]}]}");
    refuse_text(buf_slice(&b), true);
    assert_true(said(&found, found.items[0].path, "too many values"));
    buf_done(&b);
    (void)state;
}

static void memory_may_be_out_at_any_time(void **state)
{
    struct buf in = json(
        "{'features': [{'name': 'p', 'enabled': true, 'strategies': [{'name': 'flexibleRollout', "
        "'parameters': {'rollout': '10', 'stickiness': 'random'}, 'segments': [1]}], 'variants': "
        "[{'name': "
        "'a', 'weight': 1, 'stickiness': 'random', 'payload': {'type': 'json', 'value': '{}'}, "
        "'overrides': "
        "[{'contextName': 'c', 'values': ['1']}]}, {'name': 'b', 'weight': 1}]}, {'name': 'x', "
        "'enabled': true, 'strategies': [{'name': 'userWithId', 'parameters': {'userIds': 'a,b'}}, "
        "{'name': 'default', 'constraints': [{'contextName': 'c', 'operator': 'STR_CONTAINS', "
        "'values': ['Ab'], 'caseInsensitive': true, 'inverted': true}]}], 'dependencies': "
        "[{'feature': 'p', 'variants': ['a']}], 'variants': [{'name': 'a', 'weight': 1}], 'type': "
        "'release'}], 'segments': [{'id': 1, 'constraints': [{'contextName': 'n', 'operator': "
        "'NUM_LT', 'value': '5'}, {'contextName': 'v', 'operator': 'SEMVER_GT', 'value': "
        "'1.2.3'}]}]}");
    struct flag_file *file = NULL;
    assert_int_equal(read_text(buf_slice(&in), true, &file), HOIST_OK);
    struct buf want = write_file(file);
    flag_file_free(file);
    for (int n = 1;; n++) {
        file = NULL;
        problems_done(&found);
        problems_done(&changes);
        mem_fail_at(n);
        enum hoist_err err = unleash_read(buf_slice(&in), true, &file, &found, &changes);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (err == HOIST_OK) { /* whether or not something could be done without */
            struct buf got = write_file(file);
            assert_string_equal(buf_str(&got), buf_str(&want));
            buf_done(&got);
        } else {
            assert_int_equal(err, HOIST_ENOMEM);
            assert_null(file);
        }
        flag_file_free(file);
        if (!failed)
            break;
    }
    buf_done(&in);
    buf_done(&want);
    (void)state;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_feature_without_strategies_is_on_for_everybody),
        TEST(a_disabled_feature_is_off_for_everybody_whatever_its_strategies),
        TEST(what_a_feature_says_of_itself_is_metadata),
        TEST(one_of_several_strategies_is_enough),
        TEST(users_are_listed_as_javascript_splits_them),
        TEST(a_rollout_to_all_or_nobody_is_exact),
        TEST(a_share_of_users_is_divided_by_another_hash),
        TEST(a_share_among_other_conditions_is_a_condition),
        TEST(what_was_drawn_anew_keeps_one_answer),
        TEST(addresses_are_compared_and_ranges_come_near),
        TEST(a_host_is_known_by_its_id),
        TEST(an_unknown_strategy_is_refused_by_name),
        TEST(in_and_not_in_compare_texts),
        TEST(parts_of_texts_are_compared),
        TEST(numbers_are_compared_and_a_missing_one_is_no_zero),
        TEST(a_date_is_compared_with_the_clock),
        TEST(a_version_comes_near),
        TEST(operators_that_hoist_lacks_are_refused_by_name),
        TEST(a_name_that_means_something_else_in_hoist_is_refused),
        TEST(all_constraints_must_hold),
        TEST(a_segment_is_a_named_rule),
        TEST(a_dependency_is_a_requirement),
        TEST(a_variant_for_everybody_is_a_second_flag),
        TEST(a_payload_is_the_value),
        TEST(payloads_of_two_types_are_refused),
        TEST(a_variant_without_a_payload_among_others_is_the_fallback),
        TEST(weights_are_divided_by_another_hash),
        TEST(a_share_without_a_payload_is_the_fallback),
        TEST(an_override_comes_before_the_weights),
        TEST(a_strategy_has_variants_of_its_own),
        TEST(the_variants_of_a_dependent_feature_repeat_what_it_depends_on),
        TEST(a_dependency_on_a_variant_requires_the_second_flag),
        TEST(two_things_of_one_name_are_refused),
        TEST(what_is_no_answer_of_unleash_is_refused),
        TEST(all_that_is_wrong_is_named),
        TEST(what_is_nested_without_end_is_refused),
        TEST(a_huge_file_is_read_and_a_huge_rule_refused),
        TEST(memory_may_be_out_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
