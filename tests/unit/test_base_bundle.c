#include "base/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define CERT "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nc2Vj\n-----END PRIVATE KEY-----\n"
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char path[] = "/tmp/hoist-bundle-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    hash_init();
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void what_is_written_is_read(void **state)
{
    static const char text[] = "hoist-bundle-1\n"
                               "# of host1\n\n"
                               "upstream tls+tcp://10.0.0.1:7400\r\n"
                               "upstream tls+tcp://10.0.0.2:7400\n"
                               "hoist-trust-1 " HEX "\n" CERT CERT KEY CERT;
    struct bundle b, again;
    struct buf out = BUF_INIT(BUNDLE_BYTES_MAX);
    (void)state;
    assert_int_equal(bundle_read(slice_str(text), &b), HOIST_OK);
    assert_int_equal(b.upstream_count, 2);
    assert_string_equal(b.upstreams[0], "tls+tcp://10.0.0.1:7400");
    assert_int_equal(b.trust.count, 1);
    assert_int_equal(b.trust.keys[0][31], 0xff);
    assert_string_equal(b.tls.cert, CERT CERT);
    assert_string_equal(b.tls.ca, CERT);
    bundle_write(&b, &out);
    assert_int_equal(bundle_read(buf_slice(&out), &again), HOIST_OK);
    assert_string_equal(again.upstreams[1], b.upstreams[1]);
    assert_string_equal(again.tls.key, b.tls.key);
    bundle_done(&again);
    bundle_done(&b);
    buf_done(&out);
}

static void what_is_wrong_is_told_by_its_line(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "line 1: a bundle begins"},
        {"hoist-bundle-2\n", "line 1: a bundle begins"},
        {"hoist-bundle-1\nupstreem x\n", "line 2: neither"},
        {"hoist-bundle-1\n\nupstream \n", "line 3: neither"},
        {"hoist-bundle-1\nupstream a b\n", "line 2: 'upstream'"},
        {"hoist-bundle-1\nhoist-trust-1 12\n", "line 2: 'hoist-trust-1' and 64"},
        {"hoist-bundle-1\n" KEY CERT, "line 2: the certificate belongs above"},
        {"hoist-bundle-1\n" CERT KEY KEY CERT, "line 8: a second secret key"},
        {"hoist-bundle-1\n" CERT, "without a certificate and its secret key"},
        {"hoist-bundle-1\n" CERT KEY, "without the CA's"},
        {"hoist-bundle-1\n" CERT "-----BEGIN PRIVATE KEY-----\nc2Vj\n", "line 6: the file ends"},
        {"hoist-bundle-1\n-----BEGIN CERTIFICATE-----\n!!\n", "line 3: no base64"},
        {"hoist-bundle-1\n" CERT "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "without a password"},
    };
    struct bundle b;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(bundle_read(slice_str(cases[i].text), &b), HOIST_EINVAL);
        if (!strstr(err_last(), cases[i].says))
            fail_msg("'%s' does not say '%s'", err_last(), cases[i].says);
        assert_null(strstr(err_last(), "c2Vj"));
    }
}

static void there_are_bounds(void **state)
{
    struct buf text = BUF_INIT(2 * BUNDLE_BYTES_MAX);
    struct bundle b;
    (void)state;
    buf_add_str(&text, "hoist-bundle-1\n");
    for (int i = 0; i <= BUNDLE_UPSTREAMS_MAX; i++)
        buf_add_str(&text, "upstream tls+tcp://a:1\n");
    assert_int_equal(bundle_read(buf_slice(&text), &b), HOIST_EINVAL);
    buf_clear(&text);
    buf_add_str(&text, "hoist-bundle-1\n");
    for (int i = 0; i <= TRUST_KEYS_MAX; i++)
        buf_add_str(&text, "hoist-trust-1 " HEX "\n");
    assert_int_equal(bundle_read(buf_slice(&text), &b), HOIST_EINVAL);
    while (text.len <= BUNDLE_BYTES_MAX)
        buf_add_str(&text, "# more\n");
    assert_int_equal(bundle_read(buf_slice(&text), &b), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "at most"));
    buf_done(&text);
}

/* A bundle with a certificate that is one. */
static void fill(struct bundle *b)
{
    int64_t now = clock_wall_ms();
    struct cert_order o = {.name = "a", .from_ms = now, .until_ms = now + 60000};
    struct cert_pair ca, pair;
    assert_int_equal(cert_make_ca(&o, &ca), HOIST_OK);
    assert_int_equal(cert_make(&ca, &o, &pair), HOIST_OK);
    *b = (struct bundle){.tls = {.cert = pair.cert, .key = pair.key, .ca = ca.cert}};
    ca.cert = NULL;
    cert_pair_done(&ca);
}

static void a_file_is_its_owners_alone(void **state)
{
    struct bundle b, again;
    struct stat st;
    (void)state;
    fill(&b);
    assert_int_equal(bundle_save(&b, path, false), HOIST_EINVAL);
    assert_int_equal(bundle_save(&b, path, true), HOIST_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(bundle_open(path, &again), HOIST_OK);
    assert_string_equal(again.tls.key, b.tls.key);
    bundle_done(&again);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(bundle_open(path, &again), HOIST_EACCES);
    assert_non_null(strstr(err_last(), "chmod 600"));
    bundle_done(&b);
}

static void one_whose_parts_do_not_belong_together_is_not_opened(void **state)
{
    struct bundle b, other, again;
    (void)state;
    fill(&b);
    fill(&other);
    char *ca = b.tls.ca;
    b.tls.ca = other.tls.ca;
    other.tls.ca = ca;
    assert_int_equal(bundle_save(&b, path, true), HOIST_OK);
    assert_int_equal(bundle_open(path, &again), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), path));
    bundle_done(&b);
    bundle_done(&other);
}

static void without_memory_none_is_read(void **state)
{
    struct bundle b;
    int failed = 0;
    (void)state;
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err =
            bundle_read(slice_str("hoist-bundle-1\nupstream x\n" CERT KEY CERT), &b);
        if (!mem_did_fail()) {
            mem_fail_at(0);
            assert_int_equal(err, HOIST_OK);
            break;
        }
        failed++;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    assert_in_range(failed, 4, 50);
    bundle_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_wrong_is_told_by_its_line),
        cmocka_unit_test(there_are_bounds),
        cmocka_unit_test_setup_teardown(a_file_is_its_owners_alone, make_path, remove_path),
        cmocka_unit_test_setup_teardown(one_whose_parts_do_not_belong_together_is_not_opened,
                                        make_path, remove_path),
        cmocka_unit_test(without_memory_none_is_read),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
