#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

static void *other_thread(void *arg)
{
    bool clean = err_last()[0] == '\0';
    (void)err_set(HOIST_EIO, "theirs");
    *(bool *)arg = clean;
    return NULL;
}

static void each_thread_has_its_own_sentence(void **state)
{
    (void)state;
    pthread_t t;
    bool clean = false;
    assert_int_equal(err_set(HOIST_EINVAL, "mine %d", 1), HOIST_EINVAL);
    assert_int_equal(pthread_create(&t, NULL, other_thread, &clean), 0);
    pthread_join(t, NULL);
    assert_true(clean);
    assert_string_equal(err_last(), "mine 1");
    err_clear();
    assert_string_equal(err_last(), "");
}

static void a_sentence_may_quote_the_one_before(void **state)
{
    (void)state;
    (void)err_set(HOIST_EIO, "the disk is gone");
    (void)err_set(HOIST_EIO, "store: %s, %s", err_last(), err_last());
    assert_string_equal(err_last(), "store: the disk is gone, the disk is gone");
}

static void a_prefix_goes_in_front(void **state)
{
    (void)state;
    (void)err_set(HOIST_EIO, "the disk is gone");
    assert_int_equal(err_prefix(HOIST_EIO, "store %s", "x"), HOIST_EIO);
    assert_string_equal(err_last(), "store x: the disk is gone");
    char big[3000];
    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)err_prefix(HOIST_EIO, "%s", big);
    assert_int_equal(strlen(err_last()), 1023);
    (void)err_set(HOIST_EIO, "%s", big);
    (void)err_prefix(HOIST_EIO, "front");
    assert_int_equal(strncmp(err_last(), "front: bbb", 10), 0);
    assert_int_equal(strlen(err_last()), 1023);
}

static void every_code_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (int i = HOIST_OK; i <= HOIST_EUNKNOWN; i++) {
        assert_string_not_equal(err_word((enum hoist_err)i), "unknown error");
        for (int j = HOIST_OK; j < i; j++)
            assert_string_not_equal(err_word((enum hoist_err)i), err_word((enum hoist_err)j));
    }
    assert_string_equal(err_word((enum hoist_err)999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_has_its_own_sentence),
        cmocka_unit_test(a_sentence_may_quote_the_one_before),
        cmocka_unit_test(a_prefix_goes_in_front),
        cmocka_unit_test(every_code_has_a_word_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
