/* What is denied while earlier denials are written, or cannot be. */
#include "primary_kit.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "primary/denials.h"

static struct denials *asked; /* while the disk is waited for, somebody is denied something here */

static void *deny(void *denials)
{
    denials_add(
        denials,
        &(struct denial){.who = "bob", .command = "set", .role = "editor", .why = "in a commit"});
    return NULL;
}

/* LMDB's commit comes by here. */
int fdatasync(int fd)
{
    pthread_t thread;
    struct timespec until;
    if (asked) {
        assert_int_equal(pthread_create(&thread, NULL, deny, asked), 0);
        asked = NULL;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 10;
        assert_int_equal(pthread_timedjoin_np(thread, NULL, &until), 0);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void denied(struct denials *d, const char *why)
{
    denials_add(d, &(struct denial){.who = "ana", .command = "set", .role = "editor", .why = why});
}

/* The sentences that are kept, oldest first, with a comma behind each. */
static void kept(struct store *s, char out[256])
{
    struct store_read *r;
    struct slice row;
    uint64_t at = UINT64_MAX;
    char more[256];
    out[0] = '\0';
    assert_int_equal(store_read_begin(s, false, &r), HOIST_OK);
    while (store_denial_before(r, at, &at, &row) == HOIST_OK) {
        json_t *json = json_loadb((const char *)row.ptr, row.len, 0, NULL);
        const char *why = json_string_value(json_object_get(json, "why"));
        snprintf(more, sizeof more, "%.60s,%.190s", why, out);
        memcpy(out, more, sizeof more);
        json_decref(json);
    }
    store_read_end(r);
}

static void nobody_who_is_denied_waits_for_the_disk(void **state)
{
    struct kit k;
    struct denials *d;
    char text[256];
    (void)state;
    kit_init(&k, 0);
    assert_int_equal(denials_new(&d), HOIST_OK);
    denied(d, "one");
    asked = d;
    assert_int_equal(denials_write(d, k.store), HOIST_OK);
    assert_null(asked); /* the commit did come by */
    kept(k.store, text);
    assert_string_equal(text, "one,");
    assert_int_equal(denials_write(d, k.store), HOIST_OK);
    kept(k.store, text);
    assert_string_equal(text, "one,in a commit,");
    denials_free(d);
    kit_done(&k);
}

static void what_cannot_be_written_waits_on(void **state)
{
    struct kit k;
    struct denials *d;
    char text[256];
    (void)state;
    kit_init(&k, 0);
    assert_int_equal(denials_new(&d), HOIST_OK);
    denied(d, "one");
    for (int n = 1; kept(k.store, text), !*text; n++) {
        mem_fail_at(n);
        enum hoist_err err = denials_write(d, k.store);
        assert_int_equal(err, mem_did_fail() ? HOIST_ENOMEM : HOIST_OK);
        mem_fail_at(0);
    }
    denied(d, "two");
    assert_int_equal(denials_write(d, k.store), HOIST_OK);
    kept(k.store, text);
    assert_string_equal(text, "one,two,");
    denials_free(d);
    kit_done(&k);
}

/* In the store each of these bytes is six. */
static void what_is_too_long_to_keep_is_kept_without_it(void **state)
{
    struct kit k;
    struct denials *d;
    char text[256], junk[256];
    (void)state;
    kit_init(&k, 0);
    memset(junk, 1, sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    assert_int_equal(denials_new(&d), HOIST_OK);
    denials_add(d, &(struct denial){.who = "eve",
                                    .command = "get",
                                    .role = "evaluator",
                                    .env = slice_str(junk),
                                    .key = slice_str(junk),
                                    .why = junk});
    assert_int_equal(denials_write(d, k.store), HOIST_OK);
    kept(k.store, text);
    assert_string_equal(text, "eve may not get: that takes the role evaluator,");
    denials_free(d);
    kit_done(&k);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_who_is_denied_waits_for_the_disk),
        cmocka_unit_test(what_cannot_be_written_waits_on),
        cmocka_unit_test(what_is_too_long_to_keep_is_kept_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
