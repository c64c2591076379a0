/* How near flags came to their limits. */
#include "flag_kit.h"

#include "flag/peaks.h"

static void the_largest_of_each_is_remembered(void **state)
{
    (void)state;
    struct flag_peaks before, peaks;
    struct flag *small = read_flag("{'state':'ENABLED','variants':{'on':true,'off':false},"
                                   "'defaultVariant':'on'}");
    struct flag *deep = read_flag("{'state':'ENABLED','variants':{'a':1,'b':2,'c':3},"
                                  "'defaultVariant':'a','targeting':"
                                  "{'if':[{'==':[{'var':'y'},1]},'a','b']}}");
    flag_peaks_get(&before);
    assert_int_equal(before.variants, 0);
    flag_peaks_note(deep);
    flag_peaks_note(small); /* less than the peak */
    flag_peaks_get(&peaks);
    assert_int_equal(peaks.key_bytes, 1);
    assert_int_equal(peaks.variants, 3);
    assert_int_equal(peaks.depth, 4); /* if, ==, var, its name */
    assert_int_equal(peaks.nodes, deep->targeting.count);
    flag_free(small);
    flag_free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_largest_of_each_is_remembered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
