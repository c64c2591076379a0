#include <math.h>

#include "flag/json.h"
#include "flag/json_read.h"
#include "flag_kit.h"

static struct buf out;

static int begin(void **state)
{
    (void)state;
    out = BUF_INIT(1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static void commas_and_indents_stand_where_they_should(void **state)
{
    struct json_writer line = JSON_WRITER(&out, 0), page = JSON_WRITER(&out, 2);
    struct json_writer *writers[] = {&line, &page};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct json_writer *w = writers[i];
        json_object_begin(w);
        json_key(w, "a");
        json_array_begin(w);
        json_put_u64(w, 1);
        json_array_begin(w);
        json_array_end(w);
        json_put_i64(w, -2);
        json_array_end(w);
        json_key(w, "b");
        json_object_begin(w);
        json_object_end(w);
        json_key(w, "c");
        json_put_raw(w, SLICE("[3]"));
        json_object_end(w);
    }
    assert_string_equal(buf_str(&out), "{\"a\":[1,[],-2],\"b\":{},\"c\":[3]}"
                                       "{\n  \"a\": [\n    1,\n    [],\n    -2\n  ],\n"
                                       "  \"b\": {},\n  \"c\": [3]\n}");
}

static void text_is_escaped_and_bad_utf8_replaced(void **state)
{
    struct json_writer w = JSON_WRITER(&out, 0);
    (void)state;
    json_array_begin(&w);
    json_put_slice(&w, SLICE("q\"b\\n\nt\tr\r\x01\x7f/\xc3\xa9"));
    json_put_slice(&w, SLICE("a\xff\xc3\xa9\xed\xa0\x80\xc3"));
    json_put_slice(&w, SLICE("\0"));
    json_put_slice(&w, (struct slice){0});
    json_put_str(&w, NULL);
    json_array_end(&w);
    assert_string_equal(buf_str(&out),
                        "[\"q\\\"b\\\\n\\nt\\tr\\r\\u0001\x7f/\xc3\xa9\","
                        "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
                        "\"\\u0000\",\"\",null]");
}

static void numbers_are_written_as_they_can_be_read(void **state)
{
    struct json_writer w = JSON_WRITER(&out, 0);
    (void)state;
    json_array_begin(&w);
    json_put_number(&w, 10);
    json_put_number(&w, -0.0);
    json_put_number(&w, 0.1);
    json_put_number(&w, 9007199254740991);
    json_put_number(&w, 9007199254740992); /* as digits alone it would be refused */
    json_put_number(&w, 12345678901234568);
    json_put_number(&w, 1e300);
    json_put_number(&w, NAN);
    json_put_number(&w, INFINITY);
    json_array_end(&w);
    assert_string_equal(buf_str(&out), "[10,0,0.1,9007199254740991,9007199254740992.0,"
                                       "12345678901234568.0,1e+300,null,null]");
}

static void the_other_values_have_their_spelling(void **state)
{
    struct json_writer w = JSON_WRITER(&out, 0);
    (void)state;
    json_array_begin(&w);
    json_put_bool(&w, true);
    json_put_null(&w);
    json_put_hex(&w, SLICE("\x00\xfe"));
    json_put_hex64(&w, 0x9f3c);
    json_put_time(&w, 1234);
    json_put_u64(&w, UINT64_MAX);
    json_put_i64(&w, INT64_MIN);
    json_put_tree(&w, (struct tree){0});
    json_array_end(&w);
    assert_string_equal(buf_str(&out), "[true,null,\"00fe\",\"0000000000009f3c\","
                                       "\"1970-01-01T00:00:01.234Z\",18446744073709551615,"
                                       "-9223372036854775808,null]");
}

static void a_flag_is_written_with_its_references_expanded(void **state)
{
    struct json_writer w = JSON_WRITER(&out, 0);
    struct flag_file *file =
        read_flags("{'flags': {'x': {'state': 'DISABLED', 'variants': {'b': [1], 'a': {}},"
                   " 'defaultVariant': 'b', 'override': 'a', 'targeting': {'if': [{'$ref': 'r'}]},"
                   " 'requires': {'otherwise': 'a', 'flags': {'z': 'on', 'y': 'off'}},"
                   " 'metadata': {'o': 'me'}}}, '$evaluators': {'r': {'var': 'e'}}}");
    (void)state;
    json_put_flag(&w, file->flags[0]);
    struct buf want = json("{'defaultVariant':'b','metadata':{'o':'me'},'override':'a',"
                           "'requires':{'flags':{'y':'off','z':'on'},'otherwise':'a'},"
                           "'state':'DISABLED','targeting':{'if':[{'var':'e'}]},"
                           "'variants':{'b':[1],'a':{}}}");
    assert_string_equal(buf_str(&out), buf_str(&want));
    buf_clear(&out);
    w = JSON_WRITER(&out, 0);
    json_put_tree(&w, file->flags[0]->targeting);
    assert_string_equal(buf_str(&out), "{\"if\":[{\"$ref\":\"r\"}]}");
    buf_done(&want);
    flag_file_free(file);
}

static void reading_takes_an_object_and_nothing_else(void **state)
{
    json_t *v = NULL;
    (void)state;
    assert_int_equal(json_read(SLICE("{\"a\": 1}"), &v), HOIST_OK);
    assert_int_equal(json_integer_value(json_object_get(v, "a")), 1);
    json_decref(v);

    v = NULL;
    assert_int_equal(json_read(SLICE("[1]"), &v), HOIST_EINVAL);
    assert_int_equal(json_read(SLICE(" \n"), &v), HOIST_EINVAL);
    assert_int_equal(json_read((struct slice){0}, &v), HOIST_EINVAL);
    assert_int_equal(json_read(SLICE("{\"a\": 1, \"a\": 2}"), &v), HOIST_EINVAL);
    assert_int_equal(json_read(SLICE("{\n \"a\": }"), &v), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "line 2, column 7"));
    assert_null(v);
}

static void reading_fails_cleanly_at_every_allocation(void **state)
{
    /* Long enough that jansson's buffers grow: a token may not be cut short without a word. */
    char text[4096] = "{\"a\": \"";
    int n = 1;
    (void)state;
    memset(text + 7, 'x', 3000);
    memcpy(text + 3007, "\", \"b\": [1, {\"c\": null}]}", 26);
    for (;; n++) {
        json_t *v = NULL;
        mem_fail_at(n);
        enum hoist_err err = json_read(slice_str(text), &v);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed) {
            assert_int_equal(err, HOIST_OK);
            assert_int_equal(json_string_length(json_object_get(v, "a")), 3000);
            json_decref(v);
            break;
        }
        assert_int_equal(err, HOIST_ENOMEM);
        assert_null(v);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_and_indents_stand_where_they_should, begin, end),
        cmocka_unit_test_setup_teardown(text_is_escaped_and_bad_utf8_replaced, begin, end),
        cmocka_unit_test_setup_teardown(numbers_are_written_as_they_can_be_read, begin, end),
        cmocka_unit_test_setup_teardown(the_other_values_have_their_spelling, begin, end),
        cmocka_unit_test_setup_teardown(a_flag_is_written_with_its_references_expanded, begin, end),
        cmocka_unit_test(reading_takes_an_object_and_nothing_else),
        cmocka_unit_test(reading_fails_cleanly_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
