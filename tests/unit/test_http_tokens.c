#include "primary_kit.h"

#include "base/clock.h"
#include "base/text.h"
#include "http/tokens.h"

static const struct access_need eval = {"eval", RIGHT_EVAL, REACH_FLAGS};
static const struct access_need view = {"status", RIGHT_READ, REACH_NONE};

static const char web[] = "hoist_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-1";
static const char old[] = "hoist_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-2";

struct site {
    struct kit kit;
    struct tokens *tokens;
};

static void make(struct site *s, const char *token, const char *name, const char *more)
{
    char hex[2 * HASH_SIZE + 1], body[512];
    uint8_t hash[HASH_SIZE];
    hash_blake2b(hash, slice_str(token));
    text_hex(hex, slice_of(hash, sizeof hash));
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"role\":\"evaluator\",\"hash\":\"%s\"%s}", name,
             hex, more);
    kit_do(&s->kit, "token_create", body, "changed");
}

static int setup(void **state)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    kit_init(&s->kit, 0);
    kit_do(&s->kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&s->kit, "env_create", "{\"env\":\"staging\"}", "changed");
    assert_int_equal(tokens_new(s->kit.store, &s->tokens), HOIST_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    tokens_free(s->tokens);
    kit_done(&s->kit);
    mem_free(s);
    return 0;
}

static enum tokens_answer judge(struct site *s, const char *token, const char *env, const char *key)
{
    return tokens_judge(s->tokens, slice_str(token), &eval, slice_str(env), slice_str(key));
}

static void where_nothing_was_granted_no_token_is_known(void **state)
{
    struct site *s = *state;
    assert_int_equal(judge(s, web, "production", "a"), TOKENS_UNKNOWN);
    assert_int_equal(judge(s, "", "production", "a"), TOKENS_UNKNOWN);
    assert_int_equal(judge(s, NULL, "production", "a"), TOKENS_UNKNOWN);
}

static void a_token_is_for_what_it_was_made_for(void **state)
{
    struct site *s = *state;
    make(s, web, "web", ",\"envs\":[\"production\"],\"prefixes\":[\"a.\"]");
    assert_int_equal(judge(s, web, "production", "a.one"), TOKENS_YES);
    assert_int_equal(judge(s, web, "", "a.one"),
                     TOKENS_YES); /* the first environment is that one */
    assert_int_equal(judge(s, web, "production", "b.one"), TOKENS_BEYOND);
    assert_int_equal(judge(s, web, "staging", "a.one"), TOKENS_BEYOND);
    assert_int_equal(judge(s, web, "production", ""), TOKENS_BEYOND); /* all of them */
    assert_int_equal(judge(s, old, "production", "a.one"), TOKENS_UNKNOWN);
    assert_int_equal(
        tokens_judge(s->tokens, slice_str(web), &view, (struct slice){0}, (struct slice){0}),
        TOKENS_BEYOND);
}

static void a_token_ends_when_it_is_revoked(void **state)
{
    struct site *s = *state;
    make(s, web, "web", "");
    assert_int_equal(judge(s, web, "production", ""), TOKENS_YES);
    kit_do(&s->kit, "token_revoke", "{\"name\":\"web\"}", "changed");
    assert_int_equal(judge(s, web, "production", ""), TOKENS_UNKNOWN);
}

/* The kit's commands are of 2023, from where both of these lie in the future. */
static void a_token_ends_when_it_expires(void **state)
{
    struct site *s = *state;
    char more[64];
    snprintf(more, sizeof more, ",\"expires_ms\":%lld", (long long)clock_wall_ms() + 60000);
    make(s, web, "web", more);
    make(s, old, "old", ",\"expires_ms\":1700000000001");
    assert_int_equal(judge(s, web, "production", "a"), TOKENS_YES);
    assert_int_equal(judge(s, old, "production", "a"), TOKENS_UNKNOWN);
}

static void a_ticket_is_of_one_token_and_one_environment(void **state)
{
    struct site *s = *state;
    char ticket[GUARD_TICKET_SIZE];
    make(s, web, "web", ",\"envs\":[\"production\"]");
    guard_ticket(NULL, web, SLICE("production"), ticket);
    assert_true(tokens_take_ticket(s->tokens, SLICE("production"), ticket));
    assert_false(tokens_take_ticket(s->tokens, SLICE("staging"), ticket));
    guard_ticket(NULL, web, SLICE("staging"), ticket);
    assert_false(tokens_take_ticket(s->tokens, SLICE("staging"), ticket)); /* it is not for that */
    guard_ticket(NULL, old, SLICE("production"), ticket);
    assert_false(tokens_take_ticket(s->tokens, SLICE("production"), ticket));
    assert_false(tokens_take_ticket(s->tokens, SLICE("production"), NULL));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(where_nothing_was_granted_no_token_is_known),
        TEST(a_token_is_for_what_it_was_made_for),
        TEST(a_token_ends_when_it_is_revoked),
        TEST(a_token_ends_when_it_expires),
        TEST(a_ticket_is_of_one_token_and_one_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
