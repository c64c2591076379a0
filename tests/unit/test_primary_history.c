/* Questions about changes, and the walk along their chain. */
#include "primary_kit.h"

#include "base/text.h"
#include "primary/audit.h"
#include "store/write_int.h"

static int setup(void **state)
{
    kit_setup(state);
    struct kit *k = *state;
    kit_do(k, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    k->author = "bob";
    kit_do(k, "set", "{\"key\":\"b\",\"value\":\"on\"}", "changed"); /* v3 */
    kit_do(k, "set", "{\"key\":\"a\",\"value\":\"off\",\"message\":\"why\"}", "changed");
    k->author = NULL;
    kit_do(k, "delete", "{\"key\":\"b\"}", "changed"); /* v5 */
    return 0;
}

/* The versions of an answer's changes, newest first, with spaces between. */
static void assert_versions(struct kit *k, const char *question, const char *args, const char *want)
{
    struct told t = kit_ask(k, question, args);
    struct buf have = BUF_INIT(1000);
    size_t i;
    json_t *change;
    assert_int_equal(t.exit, EXIT_DONE);
    json_array_foreach(json_object_get(t.body, "changes"), i, change)
    {
        buf_printf(&have, "%s%lld", i ? " " : "",
                   json_integer_value(json_object_get(change, "version")));
    }
    assert_string_equal(buf_str(&have), want);
    buf_done(&have);
    told_done(&t);
}

static void the_log_is_narrowed_by_author_flag_version_and_time(void **state)
{
    struct kit *k = *state;
    assert_versions(k, "log", "{}", "5 4 3 2 1");
    assert_versions(k, "log", "{\"author\":\"bob\"}", "4 3");
    assert_versions(k, "log", "{\"flag\":\"a\"}", "4 2");
    assert_versions(k, "log", "{\"flag\":\"a\",\"author\":\"ana\"}", "2");
    assert_versions(k, "log", "{\"flag\":\"nobody\"}", "");
    assert_versions(k, "log", "{\"from\":4}", "5 4");
    assert_versions(k, "log", "{\"limit\":2}", "5 4");
    assert_versions(k, "log", "{\"limit\":1,\"author\":\"bob\"}", "4");
    assert_versions(k, "log", "{\"limit\":0}", "");
    assert_versions(k, "log", "{\"from_ms\":1700000000000}", "5 4 3 2 1"); /* the kit's clock */
    assert_versions(k, "log", "{\"from_ms\":1700000000001}", "");
    assert_versions(k, "log", "{\"since\":2,\"limit\":2}", "4 3"); /* the first ones behind it */
    struct told t = kit_ask(k, "log", "{\"limit\":2}");
    assert_true(json_is_true(json_object_get(t.body, "more")));
    told_done(&t);
    t = kit_ask(k, "log", "{\"author\":7}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

static void a_flags_history_has_its_edits_alone(void **state)
{
    struct kit *k = *state;
    assert_versions(k, "history", "{\"key\":\"a\"}", "4 2");
    assert_versions(k, "history", "{\"key\":\"b\"}", "5 3"); /* also of one that is gone */
    char *body = kit_file("{\"flags\":{\"a\":{\"state\":\"DISABLED\",\"variants\":{\"on\":true}},"
                          "\"c\":{\"state\":\"DISABLED\",\"variants\":{\"on\":true}}}}",
                          "");
    kit_do(k, "apply", body, "changed");
    free(body);
    struct told t = kit_ask(k, "history", "{\"key\":\"a\",\"limit\":1}");
    const json_t *change = json_array_get(json_object_get(t.body, "changes"), 0);
    assert_int_equal(json_integer_value(json_object_get(change, "version")), 6);
    assert_int_equal(json_array_size(json_object_get(change, "edits")), 1);
    assert_int_equal(json_integer_value(json_object_get(change, "edits_count")), 2);
    told_done(&t);
    t = kit_ask(k, "history", "{\"key\":\"nobody\"}");
    assert_int_equal(t.exit, EXIT_NO);
    told_done(&t);
    t = kit_ask(k, "history", "{}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

static void one_change_is_shown_with_what_was_and_is(void **state)
{
    struct kit *k = *state;
    struct told t = kit_ask(k, "show", "{\"version\":4}");
    assert_int_equal(t.exit, EXIT_DONE);
    assert_string_equal(kit_text(t.body, "author"), "bob");
    assert_string_equal(kit_text(t.body, "message"), "why");
    const json_t *edit = json_array_get(json_object_get(t.body, "edits"), 0);
    assert_string_equal(kit_text(json_object_get(edit, "before"), "defaultVariant"), "on");
    assert_string_equal(kit_text(json_object_get(edit, "after"), "defaultVariant"), "off");
    told_done(&t);
    t = kit_ask(k, "show", "{\"version\":6}");
    assert_int_equal(t.exit, EXIT_INPUT);
    assert_non_null(strstr(kit_mend(&t), "from 1 to 5"));
    told_done(&t);
}

static void assert_diff(struct kit *k, int from, int to, uint32_t exit, const char *want)
{
    char args[64];
    struct buf have = BUF_INIT(1000);
    size_t i;
    json_t *edit;
    snprintf(args, sizeof args, "{\"from\":%d,\"to\":%d}", from, to);
    struct told t = kit_ask(k, "diff", args);
    assert_int_equal(t.exit, exit);
    json_array_foreach(json_object_get(t.body, "edits"), i, edit)
    {
        buf_printf(&have, "%s%s%s", json_is_null(json_object_get(edit, "before")) ? "+" : "",
                   json_is_null(json_object_get(edit, "after")) ? "-" : "", kit_text(edit, "key"));
    }
    assert_string_equal(buf_str(&have), want);
    buf_done(&have);
    told_done(&t);
}

static void two_versions_are_compared_in_either_order(void **state)
{
    struct kit *k = *state;
    assert_diff(k, 1, 5, EXIT_NO, "+a");
    assert_diff(k, 5, 1, EXIT_NO, "-a");
    assert_diff(k, 2, 4, EXIT_NO, "a+b");
    assert_diff(k, 4, 4, EXIT_DONE, "");
    kit_do(k, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    assert_diff(k, 2, 6, EXIT_DONE, ""); /* there and back */
    struct told t = kit_ask(k, "diff", "{\"from\":2,\"to\":7}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

static void a_flag_is_seen_as_it_was(void **state)
{
    struct kit *k = *state;
    struct told t = kit_ask(k, "get", "{\"key\":\"a\",\"at\":3}");
    assert_string_equal(kit_text(t.body, "variant"), "on");
    assert_int_equal(json_integer_value(json_object_get(t.body, "version")), 3);
    assert_int_equal(json_integer_value(json_object_get(t.body, "touched")), 2);
    told_done(&t);
    t = kit_ask(k, "get", "{\"key\":\"b\",\"at\":4}");
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
    t = kit_ask(k, "get", "{\"key\":\"b\",\"at\":5}");
    assert_int_equal(t.exit, EXIT_NO);
    told_done(&t);
    t = kit_ask(k, "get", "{\"key\":\"a\",\"at\":6}");
    assert_int_equal(t.exit, EXIT_INPUT);
    told_done(&t);
}

/* ------------------------------------------------------------------ audit */

/* All changes as the question gives them; each to be freed. */
static size_t audited(struct kit *k, struct buf ret[8], uint8_t ret_head[HASH_SIZE])
{
    struct told t = kit_ask(k, "audit", "{}");
    const json_t *changes = json_object_get(t.body, "changes");
    size_t count = json_array_size(changes);
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        struct slice hex = slice_str(kit_text(json_array_get(changes, i), "change"));
        uint8_t *bytes = mem_alloc(hex.len / 2);
        assert_int_equal(text_unhex(hex, bytes, hex.len / 2), HOIST_OK);
        ret[i] = BUF_INIT(1 << 20);
        buf_add(&ret[i], bytes, hex.len / 2);
        mem_free(bytes);
    }
    struct slice head = slice_str(kit_text(t.body, "hash"));
    assert_int_equal(text_unhex(head, ret_head, HASH_SIZE), HOIST_OK);
    told_done(&t);
    return count;
}

static void free_all(struct buf *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_done(&changes[i]);
}

static void a_chain_that_holds_is_followed_to_the_head(void **state)
{
    struct buf changes[8];
    struct audit a = {0};
    uint8_t head[HASH_SIZE];
    size_t count = audited(*state, changes, head);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++)
        assert_true(audit_step(&a, buf_slice(&changes[i])));
    assert_true(audit_end(&a, 5, head));
    assert_int_equal(a.first, 1);
    assert_int_equal(a.last, 5);
    assert_int_equal(a.count, 5);
    assert_string_equal(a.env, "production");
    free_all(changes, count);
}

/* A hole that is longer than a page: what is behind it comes all the same, so whoever asks on ends. */
static void what_is_behind_a_hole_is_on_the_same_page(void **state)
{
    enum { LAST = 1105, HOLE_LAST = 1104 };
    struct kit *k = *state;
    struct store_write *w;
    uint16_t env = kit_env(k, "production").id;
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    for (int v = 6; v <= LAST; v++) {
        struct told t = kit_run(k, w, "set",
                                v % 2 ? "{\"key\":\"a\",\"value\":\"off\"}"
                                      : "{\"key\":\"a\",\"value\":\"on\"}");
        told_done(&t);
    }
    for (uint64_t v = 2; v <= HOLE_LAST; v++) {
        struct row_key row = row_log(env, v);
        assert_int_equal(write_del(w, DB_LOG, val_key(&row)), HOIST_OK);
    }
    assert_int_equal(store_write_commit(w), HOIST_OK);
    assert_versions(k, "audit", "{}", "1 1105");
    assert_versions(k, "audit", "{\"after\":1}", "1105");
    struct told t = kit_ask(k, "audit", "{\"after\":1}");
    assert_true(json_is_false(json_object_get(t.body, "more")));
    told_done(&t);
    assert_versions(k, "audit", "{\"after\":1105}", "");
}

static void the_first_broken_link_is_named(void **state)
{
    struct buf changes[8];
    uint8_t head[HASH_SIZE];
    size_t count = audited(*state, changes, head);
    /* Left out; doubled; the last ones cut off. */
    struct audit a = {0};
    assert_true(audit_step(&a, buf_slice(&changes[0])));
    assert_false(audit_step(&a, buf_slice(&changes[2])));
    assert_int_equal(a.broken, 3);
    assert_false(audit_step(&a, buf_slice(&changes[3]))); /* and stays broken */
    assert_int_equal(a.broken, 3);
    a = (struct audit){0};
    assert_true(audit_step(&a, buf_slice(&changes[1])));
    assert_false(audit_step(&a, buf_slice(&changes[1])));
    assert_int_equal(a.broken, 2);
    a = (struct audit){0};
    assert_true(audit_step(&a, buf_slice(&changes[0])));
    assert_false(audit_end(&a, 5, head));
    assert_int_equal(a.broken, 2);
    free_all(changes, count);
}

/* Each byte changed, one after the other: whatever it is, the chain does not hold. */
static void every_changed_byte_breaks_the_chain(void **state)
{
    struct buf changes[8];
    uint8_t head[HASH_SIZE];
    size_t count = audited(*state, changes, head);
    for (size_t at = 0; at < changes[3].len; at++) {
        struct audit a = {0};
        changes[3].ptr[at] ^= 0x01;
        bool holds = true;
        for (size_t i = 2; i < count && holds; i++)
            holds = audit_step(&a, buf_slice(&changes[i]));
        holds = holds && audit_end(&a, 5, head);
        if (holds)
            fail_msg("byte %zu of %zu may be changed", at, changes[3].len);
        assert_true(a.broken == 4 || a.broken == 5);
        changes[3].ptr[at] ^= 0x01;
    }
    free_all(changes, count);
}

static void nothing_at_all_is_signed_by_nobody(void **state)
{
    struct keyring ring;
    struct audit a = {.ring = &ring};
    keyring_init(&ring, &(struct trust){.count = 1});
    assert_false(audit_end_signed(&a));
    assert_int_equal(a.broken, 1);
    assert_string_not_equal(a.why, "");
    a = (struct audit){0};
    assert_true(audit_end_signed(&a));
    (void)state;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)
    static const struct CMUnitTest tests[] = {
        CASE(the_log_is_narrowed_by_author_flag_version_and_time),
        CASE(a_flags_history_has_its_edits_alone),
        CASE(one_change_is_shown_with_what_was_and_is),
        CASE(two_versions_are_compared_in_either_order),
        CASE(a_flag_is_seen_as_it_was),
        CASE(a_chain_that_holds_is_followed_to_the_head),
        CASE(what_is_behind_a_hole_is_on_the_same_page),
        CASE(the_first_broken_link_is_named),
        CASE(every_changed_byte_breaks_the_chain),
        CASE(nothing_at_all_is_signed_by_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
