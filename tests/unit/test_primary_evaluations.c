/* How often flags are evaluated: kept, and asked for. */
#include "primary_kit.h"

#include "base/clock.h"
#include "base/text.h"
#include "primary/evaluations.h"

static const int64_t day_ms = 86400000;

static int64_t ago_ms(int days)
{
    return clock_wall_ms() - days * day_ms;
}

static void begin_counting(struct kit *k, int days)
{
    assert_int_equal(evaluations_begin(k->store, ago_ms(days)), HOIST_OK);
}

static void flag(struct kit *k, const char *key)
{
    char body[256];
    snprintf(body, sizeof body, "{\"env\":\"production\",\"key\":\"%s\",\"value\":\"on\"}", key);
    kit_do(k, "set", body, "changed");
}

/* Evaluations of so many days ago, written then. */
static void counted(struct kit *k, const char *key, const char *variant, uint64_t n, int days)
{
    struct sums *s;
    bool more = true;
    assert_int_equal(sums_new(&s), HOIST_OK);
    sums_add(s, SLICE("production"), slice_str(key), slice_str(variant), n);
    while (more) {
        more = false;
        assert_int_equal(evaluations_write(s, k->store, ago_ms(days), &more), HOIST_OK);
    }
    sums_free(s);
}

static uint64_t number(const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    assert_true(json_is_integer(v));
    return (uint64_t)json_integer_value(v);
}

static json_t *nth(const json_t *object, const char *list, size_t n)
{
    json_t *item = json_array_get(json_object_get(object, list), n);
    assert_non_null(item);
    return item;
}

/* ------------------------------------------------------------------ usage */

static void what_was_counted_is_shown_by_variant(void **state)
{
    struct kit *k = *state;
    flag(k, "a");
    begin_counting(k, 100);
    begin_counting(k, 0); /* it has begun already */
    counted(k, "a", "on", 5, 40);
    counted(k, "a", "on", 3, 10);
    counted(k, "a", "off", 1, 0);
    counted(k, "a", "", 2, 0);
    counted(k, "nobody", "on", 9, 0);
    struct told t = kit_ask(k, "usage", "{\"key\":\"a\"}");
    assert_int_equal(t.exit, EXIT_DONE);
    json_t *a = nth(t.body, "flags", 0), *on = nth(a, "variants", 0);
    assert_int_equal(number(a, "total"), 11);
    assert_int_equal(number(a, "last_30_days"), 6);
    assert_int_equal(number(a, "last_7_days"), 3);
    assert_int_equal(number(a, "today"), 3);
    assert_string_equal(kit_text(on, "variant"), "on");
    assert_int_equal(number(on, "total"), 8);
    assert_int_equal(number(on, "last_30_days"), 3);
    assert_true(json_number_value(json_object_get(on, "share")) == 0.5);
    assert_true(json_is_null(json_object_get(nth(a, "variants", 2), "variant")));
    assert_int_equal(json_array_size(json_object_get(t.body, "flags")), 1);
    told_done(&t);
}

static void of_all_flags_the_most_evaluated_come_first(void **state)
{
    struct kit *k = *state;
    flag(k, "a");
    flag(k, "b");
    flag(k, "c");
    flag(k, "d");
    begin_counting(k, 100);
    counted(k, "b", "on", 5, 1);
    counted(k, "c", "on", 900, 50);
    counted(k, "d", "on", 7, 1);
    struct told t = kit_ask(k, "usage", "{}");
    static const char *const order[] = {"d", "b", "c", "a"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(kit_text(nth(t.body, "flags", i), "key"), order[i]);
    assert_true(json_is_null(json_object_get(nth(t.body, "flags", 3), "last")));
    told_done(&t);
    t = kit_ask(k, "usage", "{\"limit\":2}");
    assert_int_equal(json_array_size(json_object_get(t.body, "flags")), 2);
    told_done(&t);
}

static void a_deleted_flag_begins_anew(void **state)
{
    struct kit *k = *state;
    flag(k, "a");
    begin_counting(k, 100);
    counted(k, "a", "on", 5, 1);
    kit_do(k, "delete", "{\"env\":\"production\",\"key\":\"a\"}", "changed");
    counted(k, "a", "on", 5, 1); /* from a host that lags */
    flag(k, "a");
    struct told t = kit_ask(k, "usage", "{\"key\":\"a\"}");
    assert_int_equal(number(nth(t.body, "flags", 0), "total"), 0);
    told_done(&t);
}

static void a_store_that_counts_nothing_says_so(void **state)
{
    struct kit *k = *state;
    flag(k, "a");
    struct told t = kit_ask(k, "usage", "{}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_error(&t), "on a primary"));
    told_done(&t);
    begin_counting(k, 1);
    t = kit_ask(k, "usage", "{\"key\":\"A\"}");
    assert_int_equal(t.exit, EXIT_NO);
    assert_non_null(strstr(kit_error(&t), "no flag 'A'"));
    told_done(&t);
    t = kit_ask(k, "usage", "{\"key\":1}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

/* What was told is written once, however often the disk fails first. */
static void what_is_not_committed_waits(void **state)
{
    struct kit *k = *state;
    struct sums *s;
    bool more = false;
    flag(k, "a");
    begin_counting(k, 1);
    assert_int_equal(sums_new(&s), HOIST_OK);
    sums_add(s, SLICE("production"), SLICE("a"), SLICE("on"), 7);
    for (int n = 1; !more; n++) {
        mem_fail_at(n);
        enum hoist_err err = evaluations_write(s, k->store, clock_wall_ms(), &more);
        mem_fail_at(0);
        assert_true(err == HOIST_OK || err == HOIST_ENOMEM);
        assert_true(n < 200);
    }
    struct told t = kit_ask(k, "usage", "{\"key\":\"a\"}");
    assert_int_equal(number(nth(t.body, "flags", 0), "total"), 7);
    told_done(&t);
    sums_free(s);
}

/* ------------------------------------------------------------------ stale */

/* "key:why:variant …" */
static const char *stale(struct kit *k, const char *args)
{
    static char text[1024];
    struct told t = kit_ask(k, "stale", args);
    size_t i, len = 0;
    json_t *f;
    if (t.exit != EXIT_DONE)
        print_error("%s\n", kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    text[0] = '\0';
    json_array_foreach(json_object_get(t.body, "flags"), i, f)
    {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%s:%s", i ? " " : "",
                                kit_text(f, "key"), kit_text(f, "why"), kit_text(f, "variant"));
    }
    told_done(&t);
    return text;
}

static void flags_are_stale_that_nobody_asks_for_or_that_yield_one_variant(void **state)
{
    struct kit *k = *state;
    static const char *const keys[] = {"fallback", "lived",  "never", "once",
                                       "one",      "recent", "two"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        flag(k, keys[i]);
    begin_counting(k, 100);
    counted(k, "fallback", "", 5, 90);
    counted(k, "fallback", "", 5, 1);
    counted(k, "lived", "on", 5, 90);
    counted(k, "lived", "off", 5, 29);
    counted(k, "lived", "on", 5, 1);
    counted(k, "once", "on", 5, 31);
    counted(k, "one", "on", 5, 90);
    counted(k, "one", "off", 5, 31);
    counted(k, "one", "on", 5, 0);
    counted(k, "recent", "on", 5, 29); /* for the first time: for 29 days it has yielded one */
    counted(k, "two", "on", 5, 1);
    counted(k, "two", "off", 5, 1);
    assert_string_equal(stale(k, "{}"), "fallback:one-variant: never:not-evaluated: "
                                        "once:not-evaluated: one:one-variant:on");
    assert_string_equal(stale(k, "{\"days\":95}"), "never:not-evaluated:");
    assert_string_equal(stale(k, "{\"days\":10}"),
                        "fallback:one-variant: lived:one-variant:on never:not-evaluated: "
                        "once:not-evaluated: one:one-variant:on recent:not-evaluated:");
}

static void an_answer_says_since_when_and_who_owns_it(void **state)
{
    struct kit *k = *state;
    char *body = kit_file(
        "{\"flags\":{\"a\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"
        "\"defaultVariant\":\"on\",\"metadata\":{\"owner\":\"payments\"}}}}",
        "{\"env\":\"production\"}");
    kit_do(k, "apply", body, "changed");
    free(body);
    begin_counting(k, 100);
    counted(k, "a", "off", 1, 50);
    counted(k, "a", "on", 1, 1);
    struct told t = kit_ask(k, "stale", "{}");
    json_t *a = nth(t.body, "flags", 0);
    char since[TEXT_TIME_SIZE];
    text_time(since, ago_ms(50));
    assert_memory_equal(kit_text(a, "since"), since, 16);
    assert_string_equal(kit_text(a, "owner"), "payments");
    assert_string_equal(kit_text(a, "mend"),
                        "write 'on' into the programs that ask for it, then: flagctl delete a");
    assert_int_equal(number(t.body, "flags_total"), 1);
    told_done(&t);
}

#define REQUIRES(key) ",\"requires\":{\"flags\":{\"" key "\":\"on\"},\"otherwise\":\"off\"}"
#define FLAG(key, more)                                                                            \
    "\"" key "\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},"                 \
    "\"defaultVariant\":\"on\"" more "}"

static void what_a_flag_in_use_requires_is_not_stale(void **state)
{
    struct kit *k = *state;
    static const char file[] =
        "{\"flags\":{" FLAG("base", "") "," FLAG("middle", REQUIRES("base")) "," FLAG(
            "other", "") "," FLAG("unused", REQUIRES("other")) "," FLAG("used",
                                                                        REQUIRES("middle")) "}}";
    char *body = kit_file(file, "{\"env\":\"production\"}");
    kit_do(k, "apply", body, "changed");
    free(body);
    begin_counting(k, 100);
    counted(k, "used", "on", 5, 1);
    counted(k, "used", "off", 5, 1);
    assert_string_equal(stale(k, "{}"), "other:not-evaluated: unused:not-evaluated:");
}

#define PERMANENT(value) ",\"metadata\":{\"permanent\":" value "}"

static void a_permanent_flag_is_left_out_and_counted(void **state)
{
    struct kit *k = *state;
    /* clang-format off */
    static const char file[] = "{\"flags\":{" FLAG("base", "") ","
                               FLAG("not", PERMANENT("false")) ","
                               FLAG("switch", REQUIRES("base") PERMANENT("true")) ","
                               FLAG("used", PERMANENT("true")) ","
                               FLAG("word", PERMANENT("\"yes\"")) "}}";
    /* clang-format on */
    char *body = kit_file(file, "{\"env\":\"production\"}");
    kit_do(k, "apply", body, "changed");
    free(body);
    begin_counting(k, 100);
    counted(k, "used", "on", 5, 1);
    counted(k, "used", "off", 5, 1);
    assert_string_equal(stale(k, "{}"), "not:not-evaluated: word:not-evaluated:");
    struct told t = kit_ask(k, "stale", "{}");
    assert_int_equal(number(t.body, "permanent_count"), 1);
    assert_int_equal(number(t.body, "flags_total"), 5);
    told_done(&t);
}

static void flags_younger_than_that_are_not_stale(void **state)
{
    struct kit *k = *state;
    flag(k, "old");
    flag(k, "again");
    begin_counting(k, 100);
    k->wall_ms = ago_ms(20);
    flag(k, "young");
    kit_do(k, "delete", "{\"env\":\"production\",\"key\":\"again\"}", "changed");
    flag(k, "again");
    kit_do(k, "kill", "{\"env\":\"production\",\"keys\":[\"old\"]}", "changed");
    assert_string_equal(stale(k, "{}"), "old:not-evaluated:");
    assert_string_equal(stale(k, "{\"days\":19}"),
                        "again:not-evaluated: old:not-evaluated: young:not-evaluated:");
}

static void before_it_was_counted_for_so_long_nothing_is_known(void **state)
{
    struct kit *k = *state;
    flag(k, "a");
    begin_counting(k, 10);
    struct told t = kit_ask(k, "stale", "{}");
    assert_int_equal(t.exit, EXIT_GATE);
    assert_non_null(strstr(kit_error(&t), "is known from"));
    assert_string_equal(kit_mend(&t), "flagctl stale --days 10");
    told_done(&t);
    assert_string_equal(stale(k, "{\"days\":10}"), "a:not-evaluated:");
    t = kit_ask(k, "stale", "{\"days\":0}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
    t = kit_ask(k, "stale", "{\"days\":\"x\"}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(what_was_counted_is_shown_by_variant),
        CASE(of_all_flags_the_most_evaluated_come_first),
        CASE(a_deleted_flag_begins_anew),
        CASE(a_store_that_counts_nothing_says_so),
        CASE(what_is_not_committed_waits),
        CASE(flags_are_stale_that_nobody_asks_for_or_that_yield_one_variant),
        CASE(an_answer_says_since_when_and_who_owns_it),
        CASE(what_a_flag_in_use_requires_is_not_stale),
        CASE(a_permanent_flag_is_left_out_and_counted),
        CASE(flags_younger_than_that_are_not_stale),
        CASE(before_it_was_counted_for_so_long_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
