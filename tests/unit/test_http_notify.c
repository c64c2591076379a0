/* What is told of a change, whom it is told, and how far somebody was told. */
#include "http/news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/textfile.h"
#include "http/cursor.h"
#include "http/sink.h"

/* ------------------------------------------------------------------ events */

struct made {
    struct buf bytes;
    struct change change;
};

static struct made make(struct change_header head, int flags)
{
    struct made m = {.bytes = BUF_INIT(1 << 20)};
    struct buf edits = BUF_INIT(1 << 20);
    head.edits_count = (uint32_t)flags;
    edits_begin(&edits, (uint32_t)flags);
    for (int i = 0; i < flags; i++) {
        char key[32];
        snprintf(key, sizeof key, "flag.%d", i);
        edits_put(&edits, slice_str(key), SLICE("r"));
    }
    assert_int_equal(change_encode(&head, buf_slice(&edits), change_unsigned, &m.bytes, NULL),
                     HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&m.bytes), &m.change), HOIST_OK);
    buf_done(&edits);
    return m;
}

static struct change_header kill_by(const char *author, const char *message)
{
    return (struct change_header){.env = SLICE("production"),
                                  .epoch = 0xabc,
                                  .version = 42,
                                  .time_ms = 1700000000123,
                                  .author = slice_str(author),
                                  .message = slice_str(message),
                                  .kind = CHANGE_KILL};
}

static void assert_says(void (*put)(struct buf *, const struct change *), struct made *m,
                        const char *text)
{
    struct buf out = BUF_INIT(NEWS_BODY_MAX);
    put(&out, &m->change);
    assert_string_equal(buf_str(&out), text);
    buf_done(&out);
    buf_done(&m->bytes);
}

static void slack_is_told_in_a_sentence(void **state)
{
    struct made m = make(kill_by("ana", "it \"burns\""), 1);
    assert_says(news_put_slack, &m,
                "{\"text\":\"`flag.0` killed in *production* by ana (v42): it \\\"burns\\\"\"}");
    struct change_header head = kill_by("bo", "");
    head.kind = CHANGE_ROLLBACK;
    head.restores = 7;
    m = make(head, 12);
    assert_says(news_put_slack, &m,
                "{\"text\":\"`flag.0`, `flag.1`, `flag.2`, `flag.3`, `flag.4`, `flag.5`, `flag.6`, "
                "`flag.7`, `flag.8`, `flag.9` and 2 more flags rolled back in *production* by bo "
                "(v42), to what it was at v7\"}");
    (void)state;
}

static void nothing_of_a_change_is_a_link_or_a_mention_in_slack(void **state)
{
    struct made m = make(kill_by("<@U1>", "<!channel> a & b <https://x|y>"), 1);
    assert_says(news_put_slack, &m,
                "{\"text\":\"`flag.0` killed in *production* by &lt;@U1&gt; (v42): "
                "&lt;!channel&gt; a &amp; b &lt;https://x|y&gt;\"}");
    (void)state;
}

static void a_program_is_told_as_json(void **state)
{
    struct change_header head = kill_by("ana", "m");
    head.request[15] = 1;
    struct made m = make(head, 2);
    assert_says(news_put_json, &m,
                "{\"id\":\"production/0000000000000abc/42\",\"event\":\"kill\",\"env\":"
                "\"production\",\"epoch\":\"0000000000000abc\",\"version\":42,\"time\":"
                "\"2023-11-14T22:13:20.123Z\",\"author\":\"ana\",\"message\":\"m\",\"flags\":["
                "\"flag.0\",\"flag.1\"],\"flags_count\":2,\"request\":"
                "\"00000000000000000000000000000001\"}");
    (void)state;
}

static void a_change_of_many_flags_names_some_and_counts_all(void **state)
{
    struct made m = make(kill_by("ana", ""), 1000);
    struct buf out = BUF_INIT(NEWS_BODY_MAX);
    news_put_json(&out, &m.change);
    assert_non_null(strstr(buf_str(&out), "\"flag.49\"],\"flags_count\":1000,"));
    buf_done(&out);
    buf_done(&m.bytes);
    (void)state;
}

static void the_longest_change_has_room(void **state)
{
    static char message[CHANGE_MESSAGE_MAX + 1], author[CHANGE_AUTHOR_MAX + 1];
    memset(message, '&', CHANGE_MESSAGE_MAX);
    memset(author, '<', CHANGE_AUTHOR_MAX);
    struct made m = make(kill_by(author, message), 1);
    struct buf out = BUF_INIT(NEWS_BODY_MAX);
    news_put_slack(&out, &m.change);
    assert_int_equal(out.err, HOIST_OK);
    buf_done(&out);
    buf_done(&m.bytes);
    (void)state;
}

static void a_release_is_told_by_what_is_said_of_it(void **state)
{
    struct release_plan plan = {.name = SLICE("demo"),
                                .title = SLICE("A demonstration"),
                                .contact = SLICE("<!channel> or mara")};
    struct release_effects said = {.line_count = 2,
                                   .lines = {{false, "started by mara"}, {false, "step 1 of 4"}}};
    struct release_news n = {&plan, 12, 345, 1700000000123, &said};
    struct buf out = BUF_INIT(NEWS_BODY_MAX);
    news_put_release_slack(&out, &n);
    assert_string_equal(buf_str(&out), "{\"text\":\"release *demo*: started by mara\\n"
                                       "release *demo*: step 1 of 4\"}");
    buf_clear(&out);
    news_put_release_json(&out, &n);
    assert_string_equal(
        buf_str(&out),
        "{\"id\":\"release/demo/12/345\",\"event\":\"release\",\"release\":\"demo\","
        "\"title\":\"A demonstration\",\"sequence\":345,\"time\":\"2023-11-14T22:13:20.123Z\","
        "\"page\":false,\"text\":[\"started by mara\",\"step 1 of 4\"]}");
    buf_clear(&out);
    said.line_count = 1;
    said.lines[0] = (struct release_line){true, "rolling back: <it> burns"};
    news_put_release_slack(&out, &n);
    assert_string_equal(buf_str(&out),
                        "{\"text\":\"release *demo*: rolling back: &lt;it&gt; burns\\n"
                        "Somebody has to look: &lt;!channel&gt; or mara\"}");
    buf_done(&out);
    (void)state;
}

static void kills_restores_and_rollbacks_are_news(void **state)
{
    for (uint32_t kind = 0; kind < 20; kind++) {
        struct change_header head = {.kind = kind};
        assert_int_equal(news_is(&head),
                         kind == CHANGE_KILL || kind == CHANGE_RESTORE || kind == CHANGE_ROLLBACK);
    }
    (void)state;
}

/* ------------------------------------------------------------------ sinks */

static char dir[] = "/dev/shm/hoist-notify-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    (void)state;
    return system(command);
}

static void write_file(const char *name, const char *text, mode_t mode, char path[128])
{
    snprintf(path, 128, "%s/%s", dir, name);
    unlink(path);
    assert_int_equal(textfile_write(path, slice_str(text), mode, false), HOIST_OK);
}

static void a_sink_is_a_name_a_kind_and_a_file(void **state)
{
    struct sink s;
    char path[128], text[200];
    write_file("slack", "https://hooks.example.com/T0/B0/x\n", 0600, path);
    snprintf(text, sizeof text, "ops-1=slack:%s", path);
    assert_int_equal(sink_read(text, false, &s), HOIST_OK);
    assert_string_equal(s.name, "ops-1");
    assert_string_equal(s.path, path);
    assert_int_equal(s.kind, SINK_SLACK);
    write_file("json", "http://127.0.0.1:1/x\r\n0123456789abcdef\r\n", 0600, path);
    snprintf(text, sizeof text, "a=json:%s", path);
    assert_int_equal(sink_read(text, false, &s), HOIST_OK);
    assert_int_equal(s.kind, SINK_JSON);
    (void)state;
}

static void refused(const char *kind, const char *file, mode_t mode, const char *why)
{
    struct sink s;
    char path[128], text[200];
    write_file("bad", file, mode, path);
    snprintf(text, sizeof text, "ops=%s:%s", kind, path);
    assert_int_equal(sink_read(text, false, &s), HOIST_EINVAL);
    if (!strstr(hoist_last_error(), why))
        fail_msg("%s; not '%s'", hoist_last_error(), why);
    assert_null(strstr(hoist_last_error(), "s3cret"));
}

static void a_sink_that_cannot_work_is_refused_without_its_secrets(void **state)
{
    static const char *const texts[] = {
        "",
        "slack:x",
        "=slack:x",
        "ops=slack",
        "OPS=json:x",
        "a/b=slack:x",
        "a b=slack:x",
        "1234567890123456789012345678901234567890123456789012345678901234=slack:x"};
    struct sink s;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(sink_read(texts[i], false, &s), HOIST_EINVAL);
        assert_non_null(strstr(hoist_last_error(), "NAME=slack:FILE"));
    }
    assert_int_equal(sink_read("ops=mail:x", false, &s), HOIST_EINVAL);
    assert_non_null(strstr(hoist_last_error(), "slack or json"));
    assert_int_equal(sink_read("ops=slack:/nowhere/at-all", false, &s), HOIST_EINVAL);
    refused("slack", "https://x/s3cret\n", 0640, "chmod 600");
    refused("slack", "ftp://x/s3cret\n", 0600, "https:// URL");
    refused("slack", "", 0600, "https:// URL");
    refused("slack", "http://hooks.example.com/s3cret", 0600, "--insecure");
    refused("slack", "http://127.0.0.1@example.com/s3cret", 0600, "--insecure");
    refused("slack", "http://example.com?127.0.0.1/s3cret", 0600, "--insecure");
    refused("json", "https://x/s3cret", 0600, "openssl rand");
    refused("json", "https://x/s3cret\ns3cret", 0600, "openssl rand");
    (void)state;
}

/* ------------------------------------------------------------------ cursors */

static struct store_env env(const char *name, uint64_t head)
{
    struct store_env e = {.head = head};
    snprintf(e.name, sizeof e.name, "%s", name);
    return e;
}

static void a_cursor_begins_at_the_heads_and_is_read_back(void **state)
{
    struct cursor c;
    struct store_env production = env("production", 41), staging = env("staging", 7);
    assert_int_equal(cursor_open(dir, "ops", &c), HOIST_OK);
    assert_true(c.is_new);
    assert_int_equal(cursor_get(&c, &production)->version, 41);
    production.head = 99;
    assert_int_equal(cursor_get(&c, &production)->version, 41);
    cursor_get(&c, &production)->version = 42;
    assert_int_equal(cursor_write(&c), HOIST_OK);
    cursor_done(&c);

    assert_int_equal(cursor_open(dir, "ops", &c), HOIST_OK);
    assert_false(c.is_new);
    assert_int_equal(cursor_get(&c, &production)->version, 42);
    assert_int_equal(cursor_get(&c, &staging)->version, 0); /* made since then: all of it is news */
    assert_int_equal(cursor_place(&c, "release/1", 7)->version, 7);
    assert_int_equal(cursor_place(&c, "release/1", 8)->version, 7);
    cursor_drop(&c, 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(cursor_place(&c, "release/1", 8)->version, 7);
    assert_int_equal(cursor_write(&c), HOIST_OK);
    cursor_done(&c);
    (void)state;
}

static void a_file_that_is_no_cursor_is_left_as_it_is(void **state)
{
    static const char *const bad[] = {"",
                                      "x\n",
                                      "hoist-notify-1",
                                      "hoist-notify-1\nproduction\n",
                                      "hoist-notify-1\nproduction 1",
                                      "hoist-notify-1\n 1\n",
                                      "hoist-notify-1\nproduction -1\n",
                                      "hoist-notify-1\nproduction 1 2\n"};
    struct cursor c = {0};
    char path[128];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file("notify-bad", bad[i], 0600, path);
        assert_int_equal(cursor_open(dir, "bad", &c), HOIST_ECORRUPT);
        assert_non_null(strstr(hoist_last_error(), "Remove the file"));
        assert_null(c.path);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slack_is_told_in_a_sentence),
        cmocka_unit_test(nothing_of_a_change_is_a_link_or_a_mention_in_slack),
        cmocka_unit_test(a_program_is_told_as_json),
        cmocka_unit_test(a_change_of_many_flags_names_some_and_counts_all),
        cmocka_unit_test(the_longest_change_has_room),
        cmocka_unit_test(a_release_is_told_by_what_is_said_of_it),
        cmocka_unit_test(kills_restores_and_rollbacks_are_news),
        cmocka_unit_test(a_sink_is_a_name_a_kind_and_a_file),
        cmocka_unit_test(a_sink_that_cannot_work_is_refused_without_its_secrets),
        cmocka_unit_test(a_cursor_begins_at_the_heads_and_is_read_back),
        cmocka_unit_test(a_file_that_is_no_cursor_is_left_as_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
