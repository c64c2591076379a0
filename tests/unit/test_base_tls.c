#include "base/tls.h"

#include <fcntl.h>
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

#include "base/mem.h"

static const char certificate[] = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
static const char secret[] = "-----BEGIN EC PRIVATE KEY-----\nMA==\n-----END EC PRIVATE KEY-----\n";

static char dir[64], cert_path[96], key_path[96], ca_path[96];

static void write_file(const char *path, const void *text, size_t len, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int begin(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/hoist-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(cert_path, sizeof cert_path, "%s/cert", dir);
    snprintf(key_path, sizeof key_path, "%s/key", dir);
    snprintf(ca_path, sizeof ca_path, "%s/ca", dir);
    write_file(cert_path, certificate, strlen(certificate), 0644);
    write_file(key_path, secret, strlen(secret), 0600);
    write_file(ca_path, certificate, strlen(certificate), 0644);
    (void)state;
    return 0;
}

static int end(void **state)
{
    unlink(cert_path);
    unlink(key_path);
    unlink(ca_path);
    rmdir(dir);
    (void)state;
    return 0;
}

static void assert_refused(const char *cert, const char *key, const char *ca, const char *why)
{
    struct tls_files f = {.cert = (char *)1};
    assert_int_equal(tls_files_read(cert, key, ca, &f), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), why));
    assert_ptr_equal(f.cert, (char *)1);
}

static void three_files_are_read_as_they_are(void **state)
{
    struct tls_files f;
    assert_int_equal(tls_files_read(cert_path, key_path, ca_path, &f), HOIST_OK);
    assert_string_equal(f.cert, certificate);
    assert_string_equal(f.key, secret);
    assert_string_equal(f.ca, certificate);
    tls_files_done(&f);
    assert_null(f.key);
    (void)state;
}

static void without_paths_there_is_no_tls(void **state)
{
    struct tls_files f = {.cert = (char *)1};
    assert_int_equal(tls_files_read(NULL, NULL, NULL, &f), HOIST_OK);
    assert_null(f.cert);
    (void)state;
}

static void one_path_asks_for_the_others(void **state)
{
    assert_refused(NULL, key_path, ca_path, "--tls-cert is missing");
    assert_refused(cert_path, NULL, ca_path, "--tls-key is missing");
    assert_refused(cert_path, key_path, NULL, "--tls-ca is missing");
    (void)state;
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    char mend[300];
    snprintf(mend, sizeof mend, "--tls-key: %s can be read by others than its owner: chmod 600 %s",
             key_path, key_path);
    chmod(key_path, 0640);
    assert_refused(cert_path, key_path, ca_path, mend);
    chmod(key_path, 0604);
    assert_refused(cert_path, key_path, ca_path, mend);
    (void)state;
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    unlink(ca_path);
    assert_refused(cert_path, key_path, ca_path, "--tls-ca: cannot read");
    assert_refused(cert_path, key_path, ca_path, ca_path);
    assert_refused(cert_path, key_path, dir, "is no file");
    (void)state;
}

static void what_is_not_pem_of_its_kind_is_refused(void **state)
{
    static const char cut[] = "-----BEGIN CERTIFICATE-----\n\0tail";
    assert_refused(cert_path, ca_path, cert_path, "can be read by others");
    chmod(ca_path, 0600);
    assert_refused(cert_path, ca_path, cert_path, "--tls-key: ");
    assert_refused(key_path, key_path, ca_path, "--tls-cert: ");
    write_file(cert_path, cut, sizeof cut, 0644);
    assert_refused(cert_path, key_path, ca_path, "holds no certificate in PEM");
    write_file(cert_path, "", 0, 0644);
    assert_refused(cert_path, key_path, ca_path, "holds no certificate in PEM");
    (void)state;
}

static void a_file_that_is_too_long_is_refused(void **state)
{
    assert_int_equal(truncate(cert_path, (1 << 20) + 1), 0);
    assert_refused(cert_path, key_path, ca_path, "is no file of at most 1048576 bytes");
    (void)state;
}

static void each_allocation_may_fail(void **state)
{
    struct tls_files f;
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = tls_files_read(cert_path, key_path, ca_path, &f);
        if (!mem_did_fail())
            break;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    mem_fail_at(0);
    tls_files_done(&f);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(three_files_are_read_as_they_are, begin, end),
        cmocka_unit_test(without_paths_there_is_no_tls),
        cmocka_unit_test_setup_teardown(one_path_asks_for_the_others, begin, end),
        cmocka_unit_test_setup_teardown(a_key_that_others_can_read_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_named, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_pem_of_its_kind_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_long_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
