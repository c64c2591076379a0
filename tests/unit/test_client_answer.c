/* OFREP's members for a flag: what is written once is what would be written each time. */
#include "client/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char flags[] =
    "{\"flags\": {"
    " \"a \\\"quoted\\\" key\": {\"state\": \"ENABLED\", \"defaultVariant\": \"on\","
    "   \"variants\": {\"on\": true, \"off\": false}},"
    " \"objects\": {\"state\": \"ENABLED\", \"variants\": {\"x\": {\"b\": [1, null], \"a\": {}}, "
    "   \"y\": []}, \"metadata\": {\"owner\": \"ana\", \"n\": 1.5, \"live\": true}},"
    " \"texts\": {\"state\": \"DISABLED\", \"variants\": {\"\\u00fc\": \"\\u00e9\\n\", \"b\": "
    "\"\"}}"
    "}, \"metadata\": {\"set\": \"production\"}}";

static void put(struct buf *out, const struct flag *f, const struct eval_result *e,
                const struct answer_text *text)
{
    struct json_writer w = JSON_WRITER(out, 0);
    json_array_begin(&w);
    for (int i = 0; i < 2; i++) { /* the second stands behind a comma */
        json_object_begin(&w);
        answer_put(&w, &(struct answer_parts){f->key, f, e, text});
        json_key(&w, "more");
        json_put_bool(&w, true);
        json_object_end(&w);
    }
    json_array_end(&w);
}

static void same(const struct flag *f, struct eval_result e)
{
    struct buf once = BUF_INIT(1 << 16), anew = BUF_INIT(1 << 16);
    struct answer_text *text = answer_text_new(f);
    assert_non_null(text);
    put(&once, f, &e, text);
    put(&anew, f, &e, NULL);
    assert_string_equal(buf_str(&once), buf_str(&anew));
    assert_true(once.len > 20);
    answer_text_free(text);
    buf_done(&once);
    buf_done(&anew);
}

static void what_is_written_once_is_what_is_written_each_time(void **state)
{
    struct flag_file *file;
    struct problems problems = {0};
    (void)state;
    assert_int_equal(flag_file_read(slice_of(flags, sizeof flags - 1), &file, &problems), HOIST_OK);
    for (size_t i = 0; i < file->count; i++) {
        for (int32_t v = FLAG_NO_VARIANT; v < (int32_t)file->flags[i]->variant_count; v++)
            for (int r = HOIST_STATIC; r < HOIST_ERROR; r++)
                same(file->flags[i],
                     (struct eval_result){.reason = (enum hoist_reason)r, .variant = v});
        same(file->flags[i], (struct eval_result){.reason = HOIST_ERROR,
                                                  .code = HOIST_CODE_GENERAL,
                                                  .variant = FLAG_NO_VARIANT,
                                                  .error = "the \"rule\" took too long"});
    }
    flag_file_free(file);
}

static void a_flag_that_would_be_much_text_is_written_each_time(void **state)
{
    struct flag f = {.key = SLICE("many"), .type = HOIST_BOOL, .variant_count = 65};
    (void)state;
    assert_null(answer_text_new(&f));
    answer_text_free(NULL);
}

static void without_a_flag_there_is_an_error_with_its_sentence(void **state)
{
    struct buf out = BUF_INIT(1000);
    struct json_writer w = JSON_WRITER(&out, 0);
    struct eval_result e = {.reason = HOIST_ERROR,
                            .code = HOIST_CODE_NOT_FOUND,
                            .variant = FLAG_NO_VARIANT,
                            .error = "there is no such flag"};
    (void)state;
    json_object_begin(&w);
    answer_put(&w, &(struct answer_parts){.key = SLICE("k"), .result = &e});
    json_object_end(&w);
    assert_string_equal(buf_str(&out),
                        "{\"key\":\"k\",\"errorCode\":\"FLAG_NOT_FOUND\","
                        "\"errorDetails\":\"there is no such flag\",\"metadata\":{}}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_once_is_what_is_written_each_time),
        cmocka_unit_test(a_flag_that_would_be_much_text_is_written_each_time),
        cmocka_unit_test(without_a_flag_there_is_an_error_with_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
