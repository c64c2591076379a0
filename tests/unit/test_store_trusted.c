/* What a store keeps of the primary: certificates, and the counter of heartbeats. */
#include "check_kit.h"
#include "wire/certificate.h"

static void put_keys(struct store *s, struct slice list)
{
    struct store_write *w;
    OK(store_write_begin(s, &w));
    OK(store_keys_put(w, list));
    OK(store_write_commit(w));
}

static void make_list(struct buf *list)
{
    struct sign_key a, b;
    struct buf one = BUF_INIT(CERTIFICATE_BYTES_MAX);
    sign_key_random(&a);
    sign_key_random(&b);
    OK(certificate_put(CERTIFICATE_ROTATE, b.public, 1, &a, &one));
    struct slice slice = buf_slice(&one);
    certificates_put(list, &slice, 1);
    OK(buf_err(list));
    buf_done(&one);
}

static void certificates_and_the_counter_are_there_at_the_next_start(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct buf list = BUF_INIT(CERTIFICATES_BYTES_MAX);
    struct store_read *r;
    struct store_write *w;
    struct slice kept;
    uint64_t counter;
    OK(store_read_begin(s, false, &r));
    IS(store_keys_get(r, &kept), HOIST_ENOTFOUND);
    IS(store_origin_get(r, &counter), HOIST_ENOTFOUND);
    store_read_end(r);
    make_list(&list);
    put_keys(s, buf_slice(&list));
    OK(store_write_begin(s, &w));
    OK(store_origin_put(w, UINT64_C(7) << 32));
    OK(store_write_commit(w));
    store_close(s);

    s = kit_open(dir);
    OK(store_read_begin(s, false, &r));
    OK(store_keys_get(r, &kept));
    assert_true(slice_eq(kept, buf_slice(&list)));
    OK(store_origin_get(r, &counter));
    assert_true(counter == UINT64_C(7) << 32);
    store_read_end(r);
    kit_clean(s);
    store_close(s);
    buf_done(&list);
    kit_remove(dir);
    (void)state;
}

static void a_certificate_that_was_altered_is_a_fault(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct buf list = BUF_INIT(CERTIFICATES_BYTES_MAX);
    make_list(&list);
    list.ptr[list.len - 1] ^= 1;
    put_keys(s, buf_slice(&list));
    assert_int_equal(kit_check(s)->faults, 1);
    put_keys(s, SLICE("no list"));
    assert_int_equal(kit_check(s)->faults, 1);
    put_keys(s, SLICE("\x91\xc4\x01x"));
    assert_int_equal(kit_check(s)->faults, 1);
    store_close(s);
    buf_done(&list);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_and_the_counter_are_there_at_the_next_start),
        cmocka_unit_test(a_certificate_that_was_altered_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
