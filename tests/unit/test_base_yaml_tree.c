/* YAML as a tree with places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/yaml_tree.h"

static struct arena arena;
static struct buf said; /* a line for each complaint */
static struct yaml_item *items;
static uint32_t count;

static void note(void *arg, uint32_t line, uint32_t column, const char *mend, const char *message)
{
    (void)arg;
    assert_true(*mend);
    buf_printf(&said, "%u:%u %s\n", line, column, message);
}

static enum hoist_err read_text(const char *text)
{
    const struct yaml_complaints complaints = {.tell = note};
    arena_done(&arena);
    buf_done(&said);
    said = BUF_INIT(1 << 20);
    items = NULL;
    count = 0;
    return yaml_tree_read(slice_str(text), &arena, &complaints, &items, &count);
}

static void forget(void)
{
    arena_done(&arena);
    buf_done(&said);
}

static void complains(const char *text, const char *complaints)
{
    enum hoist_err err = read_text(text);
    assert_true(err == HOIST_OK || err == HOIST_EINVAL);
    assert_string_equal(buf_str(&said), complaints);
}

static void is_word(const struct yaml_item *item, const char *text, uint32_t line, uint32_t column)
{
    assert_int_equal(item->kind, YAML_WORD);
    assert_true(slice_eq(item->text, slice_str(text)));
    assert_int_equal(item->line, line);
    assert_int_equal(item->column, column);
}

static void each_part_knows_where_it_stands(void **state)
{
    (void)state;
    assert_int_equal(read_text("# a plan\nname: x\nsteps:\n  - {percent: 1, \"é\": on}\n  - a\n"),
                     HOIST_OK);
    assert_string_equal(buf_str(&said), "");
    assert_int_equal(count, items[0].span);
    assert_int_equal(items[0].kind, YAML_MAP);
    assert_int_equal(items[0].count, 2);
    is_word(&items[1], "name", 2, 1);
    const struct yaml_item *steps = yaml_find(items, SLICE("steps"));
    assert_int_equal(steps->kind, YAML_LIST);
    assert_int_equal(steps->count, 2);
    assert_int_equal(steps[1].kind, YAML_MAP);
    is_word(yaml_find(&steps[1], SLICE("percent")), "1", 4, 15);
    is_word(yaml_find(&steps[1], SLICE("é")), "on", 4, 23); /* in characters */
    is_word(steps + 1 + steps[1].span, "a", 5, 5);
    assert_null(yaml_find(items, SLICE("nothing")));
    assert_null(yaml_find(steps, SLICE("a")));
}

static void a_text_is_told_from_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_text("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: >-\n  long\n  text\n"),
                     HOIST_OK);
    assert_true(yaml_is_nothing(yaml_find(items, SLICE("a"))));
    assert_true(yaml_is_nothing(yaml_find(items, SLICE("b"))));
    assert_true(yaml_is_nothing(yaml_find(items, SLICE("c"))));
    assert_false(yaml_is_nothing(yaml_find(items, SLICE("d"))));
    assert_false(yaml_is_nothing(yaml_find(items, SLICE("e"))));
    is_word(yaml_find(items, SLICE("f")), "long text", 6, 4);
    assert_int_equal(read_text("# nothing\n"), HOIST_OK);
    assert_int_equal(count, 0);
}

static void what_is_not_plain_is_complained_of_where_it_stands(void **state)
{
    (void)state;
    complains("a: &x 1\nb: *x\n", "1:4 anchors and tags have no meaning here\n"
                                  "2:4 aliases have no meaning here\n");
    assert_int_equal(yaml_find(items, SLICE("b"))->kind, YAML_BAD);
    complains("a: !!str 1\n", "1:4 anchors and tags have no meaning here\n");
    complains("a: 1\nb: 2\na: 3\n", "3:1 the key 'a' is there twice\n");
    is_word(yaml_find(items, SLICE("a")), "1", 1, 4);
    complains("? [x, y]\n: 1\nb: 2\n", "1:3 a key is no list and no mapping\n");
    is_word(yaml_find(items, SLICE("b")), "2", 3, 4);
    complains("a: 1\n---\nb: 2\n", "2:1 a second document: only one is read\n");
    complains("a: \"x\\0y\"\n", "1:4 control characters have no place in a text\n");
    complains("a: \"x\\u0085y\"\n", "1:4 control characters have no place in a text\n");
}

static void what_is_no_yaml_gives_no_tree(void **state)
{
    (void)state;
    assert_int_equal(read_text("a: [1, 2\nb: 3\n"), HOIST_EINVAL);
    assert_non_null(strstr(buf_str(&said), "2:2 not YAML: "));
    assert_int_equal(read_text("a: 1\nb: \xff\n"), HOIST_EINVAL);
    assert_non_null(strstr(buf_str(&said), "2:4 not YAML: "));
    assert_int_equal(read_text("a: 'x\n"), HOIST_EINVAL);
    assert_null(items);
}

/* `times` times `piece`, between two others. */
static void repeat(struct buf *b, const char *before, const char *piece, int times,
                   const char *after)
{
    buf_clear(b);
    buf_add_str(b, before);
    for (int i = 0; i < times; i++)
        buf_add_str(b, piece);
    buf_add_str(b, after);
}

static void limits_are_told(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    repeat(&b, "", "[", YAML_DEPTH_MAX + 1, "");
    complains(buf_str(&b), "1:49 more than 48 levels\n");
    repeat(&b, "[", "a,", YAML_ITEMS_MAX, "]");
    complains(buf_str(&b), "1:16384 more than 8192 keys and values\n");
    repeat(&b, "[", "a,", YAML_ITEMS_MAX - 1, "]");
    complains(buf_str(&b), "");
    repeat(&b, "", "# a comment\n", YAML_TEXT_MAX / 12 + 1, "");
    complains(buf_str(&b), "1:1 the file is longer than 256 KiB\n");
    buf_done(&b);
}

static void memory_may_be_out_at_any_time(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = read_text("a: [1, 2, {b: c}]\nd: e\n");
        if (!mem_did_fail())
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    mem_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_knows_where_it_stands),
        cmocka_unit_test(a_text_is_told_from_nothing),
        cmocka_unit_test(what_is_not_plain_is_complained_of_where_it_stands),
        cmocka_unit_test(what_is_no_yaml_gives_no_tree),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(memory_may_be_out_at_any_time),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    forget();
    return failed;
}
