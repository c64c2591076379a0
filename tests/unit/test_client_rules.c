/* Flags that depend on who asks: rules, and flags that require others. */
#include <math.h>

#include "client/client.h"
#include "client_kit.h"
#include "eval/host.h"
#include "flag_kit.h"
#include "wire/record.h"

/* ------------------------------------------------------------------ making flags */

static void put(struct kit_edits *e, const char *key, const char *definition)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    struct flag *f = read_flag(definition);
    OK(record_encode(f, &record));
    kit_put_raw(e, key, buf_slice(&record));
    buf_done(&record);
    flag_free(f);
}

static void set(struct store *s, const char *key, const char *definition)
{
    struct kit_edits e = kit_edits();
    put(&e, key, definition);
    kit_change(s, "production", &e);
}

#define SWITCH "'state': 'ENABLED', 'variants': {'on': true, 'off': false}, 'defaultVariant': 'off'"
#define FOR_EXAMPLE                                                                                \
    "{" SWITCH ", 'targeting': {'if': [{'ends_with': [{'var': 'email'}, '@example.com']}, 'on']}}"
#define NEEDS_BASE                                                                                 \
    "{" SWITCH ", 'targeting': {'if': [{'var': 'beta'}, 'on']}, 'metadata': "                      \
    "{'owner': 'web'}, 'requires': {'flags': {'base': 'on'}, 'otherwise': 'off'}}"

static hoist_ctx *context(const char *json_text)
{
    struct buf text = json(json_text);
    hoist_ctx *c = hoist_ctx_new();
    assert_non_null(c);
    OK(hoist_ctx_set_json(c, buf_str(&text)));
    buf_done(&text);
    return c;
}

static const unsigned all_options[] = {0, HOIST_NO_THREAD, HOIST_NO_CACHE};

/* ------------------------------------------------------------------ tests */

static void each_context_gets_its_own_answer(void **state)
{
    char *dir = kit_dir(), buf[32];
    struct store *s = kit_store(dir);
    hoist_ctx *ana = context("{'email': 'ana@example.com'}"),
              *bob = context("{'email': 'b@x.org'}");
    (void)state;
    set(s, "rule", FOR_EXAMPLE);
    set(s, "words",
        "{'state': 'ENABLED', 'variants': {'en': 'hello', 'de': 'hallo'}, "
        "'defaultVariant': 'en', 'targeting': {'var': 'lang'}}");
    OK(hoist_ctx_set_string(ana, "lang", "de"));
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, all_options[o]);
        hoist_flag *rule = hoist_bind(h, "rule"), *words = hoist_bind(h, "words");
        for (int again = 0; again < 3; again++) {
            assert_true(hoist_bool(h, "rule", ana, false));
            assert_false(hoist_bool(h, "rule", bob, true));
            assert_false(hoist_bool(h, "rule", NULL, true));
            assert_true(hoist_flag_bool(rule, ana, false));
            assert_false(hoist_flag_bool(rule, bob, true));
            hoist_string(h, "words", ana, "", buf, sizeof buf);
            assert_string_equal(buf, "hallo");
            hoist_flag_string(words, bob, "", buf, sizeof buf);
            assert_string_equal(buf, "hello");
            assert_int_equal(hoist_int(h, "rule", ana, 7), 7);
        }
        hoist_close(h);
    }
    hoist_ctx_free(ana);
    hoist_ctx_free(bob);
    store_close(s);
    kit_remove(dir);
}

static void a_rule_follows_changes_and_so_does_a_flag_that_loses_it(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist_ctx *ana = context("{'email': 'ana@example.com'}");
    (void)state;
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, all_options[o]);
        hoist_flag *rule = hoist_bind(h, "rule");
        for (int i = 0; i < 20; i++) {
            set(s, "rule", FOR_EXAMPLE);
            assert_true(hoist_flag_bool(rule, ana, false));
            assert_false(hoist_flag_bool(rule, NULL, true));
            set(s, "rule", "{" SWITCH "}");
            assert_false(hoist_flag_bool(rule, ana, true));
            assert_false(hoist_bool(h, "rule", ana, true));
        }
        hoist_close(h);
    }
    hoist_ctx_free(ana);
    store_close(s);
    kit_remove(dir);
}

static void a_flag_that_requires_another_follows_both(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist_ctx *beta = context("{'beta': true, 'email': 'ana@example.com'}");
    struct hoist_result r;
    (void)state;
    set(s, "needs", NEEDS_BASE);
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, all_options[o]);
        if (o > 0) {
            struct kit_edits gone = kit_edits();
            kit_delete(&gone, "base");
            kit_change(s, "production", &gone);
        }
        for (int again = 0; again < 3; again++) /* there is no `base` */
            assert_false(hoist_bool(h, "needs", beta, true));
        for (int i = 0; i < 10; i++) {
            set(s, "base", FOR_EXAMPLE);
            for (int again = 0; again < 3; again++) {
                assert_true(hoist_bool(h, "needs", beta, false));
                assert_false(hoist_bool(h, "needs", NULL, true));
            }
            set(s, "base", "{" SWITCH "}");
            for (int again = 0; again < 3; again++)
                assert_false(hoist_bool(h, "needs", beta, true));
        }
        hoist_evaluate(h, "needs", beta, 0, &r, NULL, 0);
        assert_int_equal(r.reason, HOIST_DEFAULT);
        assert_string_equal(r.variant, "off");
        assert_string_equal(r.metadata, "{\"owner\":\"web\"}");
        assert_int_equal(r.metadata_length, strlen(r.metadata));
        hoist_close(h);
    }
    hoist_ctx_free(beta);
    store_close(s);
    kit_remove(dir);
}

/* The primary refuses circles; a store might have one all the same. */
static void flags_that_require_each_other_yield_otherwise(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    (void)state;
    set(s, "a", "{" SWITCH ", 'requires': {'flags': {'b': 'on'}, 'otherwise': 'off'}}");
    set(s, "b", "{" SWITCH ", 'requires': {'flags': {'a': 'on'}, 'otherwise': 'off'}}");
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, all_options[o]);
        for (int again = 0; again < 3; again++)
            assert_false(hoist_bool(h, "a", NULL, true));
        hoist_close(h);
    }
    store_close(s);
    kit_remove(dir);
}

/* A flag that is on, and requires `count` flags PREFIX0, PREFIX1 … to be on; else it is `otherwise`. */
static void put_demanding(struct kit_edits *e, const char *key, const char *prefix, int count,
                          const char *otherwise)
{
    struct buf text = BUF_INIT(FLAG_RECORD_MAX);
    buf_add_str(&text, "{'state': 'ENABLED', 'variants': {'on': true, 'off': false}, "
                       "'defaultVariant': 'on'");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s'%s%d': 'on'", i ? ", " : ", 'requires': {'flags': {", prefix, i);
    if (count)
        buf_printf(&text, "}, 'otherwise': '%s'}", otherwise);
    buf_add_byte(&text, '}');
    put(e, key, buf_str(&text));
    buf_done(&text);
}

enum { LAYERS = 15, LAYER = 30 };

/* Each flag of a layer requires all of the next one; and is on either way, so that no requirement that
 * is not met ends the search. */
static void put_layers(struct kit_edits *e)
{
    char key[32], below[32];
    for (int layer = 0; layer < LAYERS; layer++)
        for (int i = 0; i < LAYER; i++) {
            snprintf(key, sizeof key, "layer%d.%d", layer, i);
            snprintf(below, sizeof below, "layer%d.", layer + 1);
            put_demanding(e, key, below, layer + 1 < LAYERS ? LAYER : 0, "on");
        }
}

static void one_decision_looks_at_so_many_flags_and_at_no_more(void **state)
{
    char *dir = kit_dir(), key[32];
    struct store *s = kit_store(dir);
    struct kit_edits e = kit_edits();
    (void)state;
    put_layers(&e);
    for (int i = 0; i <= EVAL_REQUIRES_MAX; i++) {
        snprintf(key, sizeof key, "one.%d", i);
        put(&e, key, "{'state': 'ENABLED', 'variants': {'on': true}, 'defaultVariant': 'on'}");
    }
    put_demanding(&e, "all", "one.", EVAL_REQUIRES_MAX, "off");
    put_demanding(&e, "too.many", "one.", EVAL_REQUIRES_MAX + 1, "off");
    kit_change(s, "production", &e);
    alarm(20); /* who looks at all of them never comes to an end */
    for (size_t o = 0; o < 3; o++) {
        hoist *h = kit_hoist_with(dir, all_options[o]);
        hoist_view *v;
        OK(hoist_view_begin(h, &v));
        for (int again = 0; again < 3; again++) {
            assert_true(hoist_bool(h, "layer0.0", NULL, false));
            assert_true(hoist_view_bool(v, "layer0.0", NULL, false));
            assert_true(hoist_bool(h, "all", NULL, false));
            assert_false(hoist_bool(h, "too.many", NULL, true));
        }
        hoist_close(h);
    }
    alarm(0);
    store_close(s);
    kit_remove(dir);
}

/* What the path leads to is a store without the environment, from which nothing can be read. */
static void replace_by_nothing(const char *dir, char away[100])
{
    char *other = kit_dir();
    struct store *empty = kit_open(other);
    kit_set_bool(empty, "staging", "flag.bool", true);
    store_close(empty);
    snprintf(away, 100, "%s.away", dir);
    assert_int_equal(rename(dir, away), 0);
    assert_int_equal(rename(other, dir), 0);
}

static void what_was_last_known_of_flags_that_require_others_goes_on(void **state)
{
    char *dir = kit_dir(), away[100];
    struct store *s = kit_store(dir);
    hoist_ctx *ana = context("{'beta': true, 'email': 'ana@example.com'}"),
              *bob = context("{'beta': true}");
    struct hoist_result r;
    (void)state;
    set(s, "base", FOR_EXAMPLE);
    set(s, "needs", NEEDS_BASE);
    set(s, "more", "{'state': 'ENABLED', 'variants': {'on': true}, 'defaultVariant': 'on'}");
    set(s, "needs.both",
        "{" SWITCH ", 'metadata': {'owner': 'web'}, 'requires': "
        "{'flags': {'base': 'on', 'more': 'on'}, 'otherwise': 'off'}}");
    hoist *h = kit_hoist(dir);
    assert_true(hoist_bool(h, "needs", ana, false));
    assert_false(hoist_bool(h, "needs.both", bob, true)); /* `more` need not be looked at */
    replace_by_nothing(dir, away);
    WAIT_UNTIL(hoist_version(h) == 0, 1500);
    for (int again = 0; again < 2; again++) {
        assert_true(hoist_bool(h, "needs", ana, false));
        assert_false(hoist_bool(h, "needs", bob, true));
        assert_false(hoist_bool(h, "needs.both", bob, true));
        /* Nothing is known of `more`: the fallback. */
        assert_true(hoist_bool(h, "needs.both", ana, true));
        assert_false(hoist_bool(h, "needs.both", ana, false));
    }
    assert_true(hoist_evaluate(h, "needs", ana, 0, &r, NULL, 0));
    assert_string_equal(r.variant, "on");
    assert_string_equal(r.metadata, "{\"owner\":\"web\"}");
    assert_false(hoist_evaluate(h, "needs.both", ana, HOIST_BOOL, &r, NULL, 0));
    assert_int_equal(r.code, HOIST_CODE_NOT_READY);
    assert_string_equal(r.variant, "");
    assert_int_equal(r.metadata_length, 0);
    hoist_close(h);
    hoist_ctx_free(ana);
    hoist_ctx_free(bob);
    store_close(s);
    kit_remove(dir);
    kit_remove(away);
}

static void a_view_answers_each_context_at_its_version(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_view *v;
    hoist_ctx *de = context("{'lang': 'de'}"), *en = context("{'lang': 'en'}");
    (void)state;
    set(s, "words",
        "{'state': 'ENABLED', 'variants': {'en': 'hello', 'de': 'hallo'}, "
        "'defaultVariant': 'en', 'targeting': {'var': 'lang'}}");
    set(s, "rule", FOR_EXAMPLE);
    OK(hoist_view_begin(h, &v));
    const char *hallo = hoist_view_string_ref(v, "words", de, "", NULL);
    const char *hello = hoist_view_string_ref(v, "words", en, "", NULL);
    set(s, "words", "{'state': 'ENABLED', 'variants': {'x': 'new'}, 'defaultVariant': 'x'}");
    assert_string_equal(hallo, "hallo");
    assert_string_equal(hello, "hello");
    assert_ptr_equal(hoist_view_string_ref(v, "words", de, "", NULL), hallo);
    assert_ptr_equal(hoist_view_string_ref(v, "words", en, "", NULL), hello);
    assert_false(hoist_view_bool(v, "rule", de, true));
    struct slice key = {0};
    int keys = 0;
    while (client_key_next(v, key, &key) == HOIST_OK)
        keys++;
    assert_int_equal(keys, 7);
    hoist_view_end(v);
    hoist_ctx_free(de);
    hoist_ctx_free(en);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
}

static void a_rule_sees_the_host_that_evaluates(void **state)
{
    static const char *const canary[] = {"zone=eu", "ring=canary"}, *const stable[] = {
                                                                        "ring=stable"};
    char *dir = kit_dir();
    struct buf about = BUF_INIT(1000);
    (void)state;
    OK(host_write(SLICE("host7"), canary, 2, &about));
    struct store_options options = {.write = true, .host = buf_slice(&about)};
    struct store *s;
    OK(store_open(dir, &options, &s));
    set(s, "ring",
        "{" SWITCH ", 'targeting': {'if': [{'and': [{'==': [{'var': '$hoist.labels.ring'}, "
        "'canary']}, {'==': [{'var': '$hoist.host'}, 'host7']}]}, 'on']}}");
    hoist *h = kit_hoist(dir);
    assert_true(hoist_bool(h, "ring", NULL, false));
    assert_true(hoist_bool(h, "ring", NULL, false));
    store_close(s);
    buf_clear(&about);
    OK(host_write(SLICE("host7"), stable, 1, &about));
    options.host = buf_slice(&about);
    OK(store_open(dir, &options, &s)); /* hoistd is started again, with another label */
    assert_false(hoist_bool(h, "ring", NULL, true));
    hoist_close(h);
    store_close(s);
    buf_done(&about);
    kit_remove(dir);
}

static void an_explanation_is_text_that_is_cut_like_others(void **state)
{
    char *dir = kit_dir(), text[2000], cut[8];
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_ctx *ana = context("{'email': 'ana@example.com'}");
    (void)state;
    set(s, "rule", FOR_EXAMPLE);
    size_t len = hoist_explain(h, "rule", ana, text, sizeof text);
    assert_int_equal(len, strlen(text));
    assert_non_null(strstr(text, "rule is true (on), TARGETING_MATCH, version 2\n"));
    assert_non_null(strstr(text, "[\"ana@example.com\",\"@example.com\"]} is true\n"));
    assert_int_equal(hoist_explain(h, "rule", ana, cut, sizeof cut), len);
    assert_string_equal(cut, "rule is");
    hoist_explain(h, "absent", ana, text, sizeof text);
    assert_non_null(strstr(text, "the caller's fallback, ERROR FLAG_NOT_FOUND: "));
    assert_int_equal(hoist_explain(NULL, "x", NULL, text, sizeof text), 0);
    hoist_ctx_free(ana);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
}

static void a_flag_that_was_read_before_is_evaluated_without_the_heap(void **state)
{
    char *dir = kit_dir(), buf[32];
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_ctx *ana = context("{'email': 'ana@example.com', 'targetingKey': 'ana', 'l': [3, 4]}");
    (void)state;
    set(s, "rule", FOR_EXAMPLE);
    set(s, "text",
        "{'state': 'ENABLED', 'variants': {'a3': 'x', 'b': 'y'}, 'targeting': {'cat': "
        "['a', {'reduce': [{'map': [{'var': 'l'}, {'var': ''}]}, {'min': [{'var': "
        "'current'}, {'var': 'accumulator'}]}, 9]}]}}");
    set(s, "share", "{" SWITCH ", 'targeting': {'fractional': [['on', 1]]}}");
    for (int again = 0; again < 2; again++) {
        if (again)
            mem_fail_at(1);
        assert_true(hoist_bool(h, "rule", ana, false));
        assert_true(hoist_bool(h, "share", ana, false));
        hoist_string(h, "text", ana, "", buf, sizeof buf);
        assert_string_equal(buf, "x");
    }
    assert_false(mem_did_fail());
    mem_fail_at(0);
    hoist_ctx_free(ana);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
}

static void a_program_that_writes_a_store_reads_it_too(void **state)
{
    char *dir = kit_dir(), name[64];
    struct store *s = kit_store(dir);
    hoist *h, *other;
    (void)state;
    OK(client_open_on(s, NULL, &h));
    OK(client_open_on(s, "production", &other));
    client_env_name(h, name);
    assert_string_equal(name, "production");
    int fd = hoist_watch_fd(h);
    assert_int_equal(hoist_int(h, "flag.int", NULL, 0), 42);
    hoist_watch_clear(h);
    set(s, "rule", FOR_EXAMPLE);
    assert_true(kit_readable(fd, 1000));
    assert_false(hoist_bool(h, "rule", NULL, true));
    assert_int_equal(hoist_int(other, "flag.int", NULL, 0), 42);
    hoist_close(other);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
}

/* Both flags are turned over by each change, so that in every version the requirement is met:
 * "torn" would be one flag of one version and the other of another. */
struct turning {
    hoist *hoist;
    _Atomic bool stop;
    _Atomic long reads, torn;
};

static void *read_both(void *arg)
{
    struct turning *t = arg;
    char buf[16];
    while (!atomic_load(&t->stop)) {
        hoist_string(t->hoist, "needs", NULL, "none", buf, sizeof buf);
        if (strcmp(buf, "right") != 0)
            atomic_fetch_add(&t->torn, 1);
        atomic_fetch_add(&t->reads, 1);
    }
    return NULL;
}

static void turn(struct store *s, bool on)
{
    struct kit_edits e = kit_edits();
    char base[256], needs[256];
    snprintf(base, sizeof base,
             "{'state': 'ENABLED', 'variants': {'on': true, 'off': false}, 'defaultVariant': '%s'}",
             on ? "on" : "off");
    snprintf(needs, sizeof needs,
             "{'state': 'ENABLED', 'variants': {'r': 'right', 't': 'torn'}, 'defaultVariant': 'r',"
             "'requires': {'flags': {'base': '%s'}, 'otherwise': 't'}}",
             on ? "on" : "off");
    put(&e, "base", base);
    put(&e, "needs", needs);
    kit_change(s, "production", &e);
}

static void what_is_required_is_of_the_same_version_while_changes_land(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    struct turning t = {.hoist = kit_hoist(dir)};
    pthread_t readers[3];
    (void)state;
    turn(s, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_both, &t), 0);
    for (int n = 0; n < 2000; n++)
        turn(s, n % 2);
    atomic_store(&t.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    assert_true(atomic_load(&t.reads) > 1000);
    assert_int_equal(atomic_load(&t.torn), 0);
    hoist_close(t.hoist);
    store_close(s);
    kit_remove(dir);
}

/* ------------------------------------------------------------------ contexts */

static void a_context_is_set_changed_and_emptied(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_store(dir);
    hoist *h = kit_hoist(dir);
    hoist_ctx *c = hoist_ctx_new();
    (void)state;
    set(s, "n",
        "{'state': 'ENABLED', 'variants': {'b': 1, 's': 2, 'n': 3, 'j': 4, 'none': 5}, "
        "'targeting': {'if': [{'===': [{'var': 'x'}, true]}, 'b', {'===': [{'var': 'x'}, "
        "'text']}, 's', {'===': [{'var': 'x'}, 2.5]}, 'n', {'===': [{'var': 'x.y.1'}, 'z']}, "
        "'j', 'none']}}");
    assert_int_equal(hoist_int(h, "n", c, 0), 5);
    OK(hoist_ctx_set_bool(c, "x", true));
    assert_int_equal(hoist_int(h, "n", c, 0), 1);
    OK(hoist_ctx_set_string(c, "x", "text"));
    assert_int_equal(hoist_int(h, "n", c, 0), 2);
    OK(hoist_ctx_set_number(c, "x", 2.5));
    assert_int_equal(hoist_int(h, "n", c, 0), 3);
    OK(hoist_ctx_set_json(c, "{\"a\":1, \"x\": {\"y\": [0, \"\\u007a\"]}, \"z\": null}"));
    assert_int_equal(hoist_int(h, "n", c, 0), 4);
    hoist_ctx_unset(c, "a");
    assert_int_equal(hoist_int(h, "n", c, 0), 4);
    hoist_ctx_clear(c);
    assert_int_equal(hoist_int(h, "n", c, 0), 5);
    hoist_ctx_free(c);
    hoist_close(h);
    store_close(s);
    kit_remove(dir);
}

static void what_is_no_context_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {"",
                                      "5",
                                      "[]",
                                      "{",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\":01}",
                                      "{\"a\":1.}",
                                      "{\"a\":NaN}",
                                      "{\"a\":1e999}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"\xff\":1}",
                                      "{} x",
                                      "{\"a\":tru}",
                                      "{\"a\":1 \"b\":2}"};
    hoist_ctx *c = context("{'k': 1}");
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (hoist_ctx_set_json(c, bad[i]) != HOIST_EINVAL)
            fail_msg("%s is taken", bad[i]);
        assert_int_equal(c->count, 1);
    }
    struct buf deep = BUF_INIT(4 << 20);
    buf_add_str(&deep, "{\"a\":");
    for (int i = 0; i < 1000; i++)
        buf_add_byte(&deep, '[');
    assert_int_equal(hoist_ctx_set_json(c, buf_str(&deep)), HOIST_ELIMIT);
    buf_clear(&deep);
    buf_add_str(&deep, "{\"a\":\"");
    for (int i = 0; i < 1 << 20; i++)
        buf_add_byte(&deep, 'x');
    buf_add_str(&deep, "\"}");
    assert_int_equal(hoist_ctx_set_json(c, buf_str(&deep)), HOIST_ELIMIT);
    buf_done(&deep);
    assert_int_equal(hoist_ctx_set_number(c, "n", NAN), HOIST_EINVAL);
    assert_int_equal(hoist_ctx_set_string(c, "n", NULL), HOIST_EINVAL);
    assert_int_equal(hoist_ctx_set_string(c, "n", "\xff"), HOIST_EINVAL);
    assert_int_equal(hoist_ctx_set_bool(NULL, "n", true), HOIST_EINVAL);
    assert_int_equal(hoist_ctx_set_json(c, NULL), HOIST_EINVAL);
    assert_int_equal(c->count, 1);
    hoist_ctx_free(c);
    hoist_ctx_free(NULL);
}

static void a_context_holds_so_many_attributes(void **state)
{
    hoist_ctx *c = hoist_ctx_new();
    char name[16];
    (void)state;
    for (int i = 0; i < CTX_ATTRIBUTES_MAX; i++) {
        snprintf(name, sizeof name, "%d", (i * 7919) % CTX_ATTRIBUTES_MAX);
        OK(hoist_ctx_set_number(c, name, i));
    }
    assert_int_equal(c->count, CTX_ATTRIBUTES_MAX);
    assert_int_equal(hoist_ctx_set_number(c, "more", 1), HOIST_ELIMIT);
    OK(hoist_ctx_set_number(c, "17", -1)); /* one that is there may be set */
    assert_true(ctx_find(c, SLICE("17"))->number == -1);
    for (uint32_t i = 1; i < c->count; i++)
        assert_true(slice_cmp(c->attributes[i - 1].name, c->attributes[i].name) < 0);
    hoist_ctx_free(c);
}

/* The attributes FROM to UNTIL - 1, all of them VALUE. */
static enum hoist_err set_attributes(hoist_ctx *c, int from, int until, int value)
{
    struct buf text = BUF_INIT(1 << 20);
    for (int i = from; i < until; i++)
        buf_printf(&text, "%s\"%d\":%d", i > from ? "," : "{", i, value);
    buf_add_byte(&text, '}');
    enum hoist_err err = hoist_ctx_set_json(c, buf_str(&text));
    buf_done(&text);
    return err;
}

static void an_attribute_that_is_set_again_is_counted_once(void **state)
{
    hoist_ctx *c = hoist_ctx_new();
    (void)state;
    OK(set_attributes(c, 0, 3000, 1));
    OK(set_attributes(c, 0, 3000, 2));
    assert_int_equal(c->count, 3000);
    OK(set_attributes(c, 1000, CTX_ATTRIBUTES_MAX, 3));
    assert_int_equal(c->count, CTX_ATTRIBUTES_MAX);
    IS(set_attributes(c, CTX_ATTRIBUTES_MAX, CTX_ATTRIBUTES_MAX + 1, 4), HOIST_ELIMIT);
    assert_int_equal(ctx_find(c, SLICE("999"))->number, 2);
    assert_int_equal(ctx_find(c, SLICE("1000"))->number, 3);
    for (uint32_t i = 1; i < c->count; i++)
        assert_true(slice_cmp(c->attributes[i - 1].name, c->attributes[i].name) < 0);

    /* Also one by one, where there is room for more than may be. */
    hoist_ctx_clear(c);
    OK(set_attributes(c, 0, 1, 1));
    OK(set_attributes(c, 0, 3000, 1));
    char name[16];
    for (int i = 3000; i < CTX_ATTRIBUTES_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        OK(hoist_ctx_set_bool(c, name, true));
    }
    IS(hoist_ctx_set_bool(c, "more", true), HOIST_ELIMIT);
    OK(hoist_ctx_set_bool(c, "17", true));
    assert_int_equal(c->count, CTX_ATTRIBUTES_MAX);
    hoist_ctx_free(c);
}

static void memory_may_run_out_anywhere_while_a_context_is_made(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        mem_fail_at(n);
        hoist_ctx *c = hoist_ctx_new();
        enum hoist_err err = c ? HOIST_OK : HOIST_ENOMEM;
        if (!err)
            err = hoist_ctx_set_string(c, "b", "x");
        if (!err)
            err = hoist_ctx_set_json(c, "{\"z\":[1,{\"y\":2,\"x\":3}],\"b\":null,\"a\":\"t\"}");
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        if (!failed)
            assert_int_equal(c->count, 3);
        hoist_ctx_free(c);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_context_gets_its_own_answer),
        cmocka_unit_test(a_rule_follows_changes_and_so_does_a_flag_that_loses_it),
        cmocka_unit_test(a_flag_that_requires_another_follows_both),
        cmocka_unit_test(flags_that_require_each_other_yield_otherwise),
        cmocka_unit_test(one_decision_looks_at_so_many_flags_and_at_no_more),
        cmocka_unit_test(what_was_last_known_of_flags_that_require_others_goes_on),
        cmocka_unit_test(a_view_answers_each_context_at_its_version),
        cmocka_unit_test(a_rule_sees_the_host_that_evaluates),
        cmocka_unit_test(an_explanation_is_text_that_is_cut_like_others),
        cmocka_unit_test(a_flag_that_was_read_before_is_evaluated_without_the_heap),
        cmocka_unit_test(a_program_that_writes_a_store_reads_it_too),
        cmocka_unit_test(what_is_required_is_of_the_same_version_while_changes_land),
        cmocka_unit_test(a_context_is_set_changed_and_emptied),
        cmocka_unit_test(what_is_no_context_is_refused_and_changes_nothing),
        cmocka_unit_test(a_context_holds_so_many_attributes),
        cmocka_unit_test(an_attribute_that_is_set_again_is_counted_once),
        cmocka_unit_test(memory_may_run_out_anywhere_while_a_context_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
