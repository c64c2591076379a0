/* Whose question is answered next, when many wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "primary/primary_int.h"
#include "primary/turns.h"

static const char askers[] = "abc";

static void add(struct turns *t, struct job *j, char asker)
{
    *j = (struct job){.asker = &askers[asker - 'a']};
    turns_add(t, j);
}

static char next(struct turns *t)
{
    const struct job *j = turns_next(t);
    return j ? *(const char *)j->asker : '-';
}

static void whoever_asks_much_waits_for_himself(void **state)
{
    (void)state;
    struct turns t = {0};
    struct job jobs[8];
    for (int i = 0; i < 5; i++)
        add(&t, &jobs[i], 'a');
    assert_int_equal(next(&t), 'a');
    add(&t, &jobs[5], 'b');
    add(&t, &jobs[6], 'c');
    add(&t, &jobs[7], 'c');
    const char *want = "abcacaa-";
    for (size_t i = 0; want[i]; i++)
        assert_int_equal(next(&t), want[i]);
}

static void jobs_of_one_asker_keep_their_order(void **state)
{
    (void)state;
    struct turns t = {0};
    struct job jobs[4];
    for (int i = 0; i < 4; i++)
        add(&t, &jobs[i], 'a');
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(turns_next(&t), &jobs[i]);
    assert_null(turns_next(&t));
}

static void who_asks_again_and_again_does_not_get_ahead(void **state)
{
    (void)state;
    struct turns t = {0};
    struct job a[3], b[10], c[10];
    for (int i = 0; i < 3; i++)
        add(&t, &a[i], 'a');
    int of_a = 0;
    add(&t, &b[0], 'b');
    add(&t, &c[0], 'c');
    for (int i = 1, left = 9; left > 0;
         left--) { /* the two ask again as soon as they are answered */
        char served = next(&t);
        of_a += served == 'a';
        if (served != 'a')
            add(&t, served == 'b' ? &b[i] : &c[i], served);
        i += served == 'c';
    }
    assert_int_equal(of_a, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_asks_much_waits_for_himself),
        cmocka_unit_test(jobs_of_one_asker_keep_their_order),
        cmocka_unit_test(who_asks_again_and_again_does_not_get_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
