#include "base/cert.h"

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

#include "base/ca.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/textfile.h"

static const int64_t DAY_MS = 86400000;
static char dir[] = "/tmp/hoist-cert-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    hash_init();
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const files[] = {"ca.crt", "ca.key", "issued", "other"};
    char path[64];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static struct cert_order order(const char *name)
{
    int64_t now = clock_wall_ms();
    return (struct cert_order){.name = name, .from_ms = now - DAY_MS, .until_ms = now + DAY_MS};
}

static struct cert_pair new_ca(const char *name)
{
    struct cert_pair ca;
    struct cert_order o = order(name);
    assert_int_equal(cert_make_ca(&o, &ca), HOIST_OK);
    return ca;
}

/* ------------------------------------------------------------------ certificates */

static void a_certificate_says_what_was_ordered(void **state)
{
    static const char *const hosts[] = {"10.0.0.1", "flags.example.com", "::1", "*.example.org"};
    struct cert_pair ca = new_ca("fleet"), pair, more;
    struct cert_order o = order("host-1");
    struct cert_info i, j;
    (void)state;
    o.hosts = hosts;
    o.host_count = 4;
    assert_int_equal(cert_make(&ca, &o, &pair), HOIST_OK);
    assert_int_equal(cert_make(&ca, &o, &more), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &i), HOIST_OK);
    assert_int_equal(cert_read(more.cert, &j), HOIST_OK);
    assert_string_equal(i.name, "host-1");
    assert_string_equal(i.issuer, "fleet");
    assert_int_equal(i.from_ms / 1000, o.from_ms / 1000);
    assert_int_equal(i.until_ms / 1000, o.until_ms / 1000);
    assert_true(i.server);
    assert_int_equal(i.host_count, 4); /* an address stands in it twice, and counts once */
    for (size_t n = 0; n < 4; n++)
        assert_string_equal(i.hosts[n], hosts[n]);
    assert_int_equal(strlen(i.serial), 2 * CERT_SERIAL_BYTES);
    assert_string_not_equal(i.serial, j.serial);
    cert_info_done(&i);
    cert_info_done(&j);
    cert_pair_done(&ca);
    cert_pair_done(&pair);
    cert_pair_done(&more);
}

static void of_many_hosts_the_first_are_told(void **state)
{
    char names[CERT_HOSTS_MAX + 8][32];
    const char *hosts[CERT_HOSTS_MAX + 8];
    struct cert_pair ca = new_ca("fleet"), pair;
    struct cert_order o = order("host-1");
    struct cert_info i;
    (void)state;
    for (size_t n = 0; n < CERT_HOSTS_MAX + 8; n++) {
        snprintf(names[n], sizeof names[n], "host%zu.example.com", n);
        hosts[n] = names[n];
    }
    o.hosts = hosts;
    o.host_count = CERT_HOSTS_MAX + 8;
    assert_int_equal(cert_make(&ca, &o, &pair), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &i), HOIST_OK);
    assert_int_equal(i.host_count, CERT_HOSTS_MAX);
    assert_string_equal(i.hosts[CERT_HOSTS_MAX - 1], names[CERT_HOSTS_MAX - 1]);
    cert_info_done(&i);
    cert_pair_done(&ca);
    cert_pair_done(&pair);
}

static void without_hosts_it_is_a_clients_alone(void **state)
{
    struct cert_pair ca = new_ca("fleet"), pair;
    struct cert_order o = order("ana");
    struct cert_info i;
    (void)state;
    assert_int_equal(cert_make(&ca, &o, &pair), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &i), HOIST_OK);
    assert_false(i.server);
    assert_int_equal(i.host_count, 0);
    cert_info_done(&i);
    cert_pair_done(&ca);
    cert_pair_done(&pair);
}

static void what_does_not_belong_together_is_told(void **state)
{
    struct cert_pair ca = new_ca("fleet"), other = new_ca("fleet"), a, b;
    struct cert_order o = order("a");
    (void)state;
    assert_int_equal(cert_make(&ca, &o, &a), HOIST_OK);
    assert_int_equal(cert_make(&other, &o, &b), HOIST_OK);
    assert_int_equal(cert_check(a.cert, a.key, ca.cert), HOIST_OK);
    assert_int_equal(cert_check(a.cert, b.key, ca.cert), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "secret key is not the certificate's"));
    assert_int_equal(cert_check(a.cert, a.key, other.cert), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "has signed"));
    assert_int_equal(cert_check(a.cert, "no key", ca.cert), HOIST_EINVAL);
    assert_int_equal(cert_check("no certificate", a.key, ca.cert), HOIST_EINVAL);
    assert_int_equal(cert_check(a.cert, a.key, "no CA"), HOIST_EINVAL);
    /* A leaf signs nobody. */
    assert_int_equal(cert_make(&a, &o, &b), HOIST_EINVAL);
    cert_pair_done(&ca);
    cert_pair_done(&other);
    cert_pair_done(&a);
    cert_pair_done(&b);
}

static void whose_keys_are_in_both_is_counted(void **state)
{
    struct cert_pair ca = new_ca("fleet"), other = new_ca("fleet"), third = new_ca("fleet");
    char two[16384], none[] = "no certificate";
    size_t count = 0, shared = 9;
    (void)state;
    snprintf(two, sizeof two, "%s%s", ca.cert, other.cert);
    assert_int_equal(cert_compare(two, ca.cert, &count, &shared), HOIST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(shared, 1);
    assert_int_equal(cert_compare(other.cert, two, &count, &shared), HOIST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(shared, 1);
    assert_int_equal(cert_compare(two, third.cert, &count, &shared), HOIST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(shared, 0);
    assert_int_equal(cert_compare(none, ca.cert, &count, &shared), HOIST_EINVAL);
    assert_int_equal(cert_compare(ca.cert, none, &count, &shared), HOIST_EINVAL);
    cert_pair_done(&ca);
    cert_pair_done(&other);
    cert_pair_done(&third);
}

static void names_and_hosts_that_are_none_are_refused(void **state)
{
    static const char *const names[] = {"", "a/b", "..", "-x", "a b", "a\nb", "ä"};
    static const char *const hosts[] = {"", "a b", "*", "*.", "a/b", ".a", "http://x", "a:7400"};
    struct cert_pair ca = new_ca("fleet"), pair;
    char name[CERT_NAME_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct cert_order o = order(names[i]);
        assert_int_equal(cert_make(&ca, &o, &pair), HOIST_EINVAL);
    }
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct cert_order o = order("a");
        o.hosts = &hosts[i];
        o.host_count = 1;
        assert_int_equal(cert_make(&ca, &o, &pair), HOIST_EINVAL);
    }
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_false(cert_name_ok(name));
    assert_true(cert_name_ok(name + 1));
    cert_pair_done(&ca);
}

/* ------------------------------------------------------------------ the CA's directory */

static char *file(const char *name)
{
    char path[64], *text;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(textfile_read(path, 1 << 16, false, &text), HOIST_OK);
    return text;
}

static void a_ca_is_made_once_and_issues(void **state)
{
    static const char *const hosts[] = {"10.0.0.1"};
    struct ca_wish wish = {.name = "primary", .hosts = hosts, .host_count = 1, .days = 7};
    struct cert_pair pair;
    struct cert_info i;
    struct stat st;
    char *ca, path[64];
    (void)state;
    assert_int_equal(ca_init(dir, "fleet", 10), HOIST_OK);
    assert_int_equal(ca_init(dir, "fleet", 10), HOIST_EINVAL);
    snprintf(path, sizeof path, "%s/ca.key", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_int_equal(ca_issue(dir, &wish, &pair, &ca), HOIST_OK);
    assert_int_equal(cert_check(pair.cert, pair.key, ca), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &i), HOIST_OK);
    assert_in_range((i.until_ms - clock_wall_ms()) / 1000, 7 * 86400 - 60, 7 * 86400);
    char *issued = file("issued");
    assert_non_null(strstr(issued, i.serial));
    assert_non_null(strstr(issued, " primary 10.0.0.1\n"));
    mem_free(issued);
    mem_free(ca);
    cert_info_done(&i);
    cert_pair_done(&pair);
}

static void a_certificate_lives_no_longer_than_its_ca(void **state)
{
    struct ca_wish wish = {.name = "a", .days = 11};
    struct cert_pair pair;
    struct cert_info leaf, root;
    char *ca;
    (void)state;
    assert_int_equal(ca_init(dir, "fleet", 10), HOIST_OK);
    assert_int_equal(ca_issue(dir, &wish, &pair, &ca), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "--days 11"));
    wish.days = 0;
    assert_int_equal(ca_issue(dir, &wish, &pair, &ca), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &leaf), HOIST_OK);
    assert_int_equal(cert_read(ca, &root), HOIST_OK);
    assert_int_equal(leaf.until_ms, root.until_ms);
    cert_info_done(&leaf);
    cert_info_done(&root);
    mem_free(ca);
    cert_pair_done(&pair);
}

static void a_ca_key_that_others_can_read_is_not_used(void **state)
{
    struct ca_wish wish = {.name = "a"};
    struct cert_pair pair;
    char *ca, path[64];
    (void)state;
    assert_int_equal(ca_issue(dir, &wish, &pair, &ca), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "hoistd certs init"));
    assert_int_equal(ca_init(dir, "fleet", 10), HOIST_OK);
    snprintf(path, sizeof path, "%s/ca.key", dir);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(ca_issue(dir, &wish, &pair, &ca), HOIST_EACCES);
    assert_non_null(strstr(err_last(), "chmod 600"));
}

static void without_memory_nothing_is_issued(void **state)
{
    struct ca_wish wish = {.name = "a"};
    struct cert_pair pair;
    char *ca;
    int failed = 0;
    (void)state;
    assert_int_equal(ca_init(dir, "fleet", 10), HOIST_OK);
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = ca_issue(dir, &wish, &pair, &ca);
        if (!mem_did_fail()) {
            mem_fail_at(0);
            assert_int_equal(err, HOIST_OK);
            break;
        }
        failed++;
        assert_int_equal(err, HOIST_ENOMEM);
    }
    assert_in_range(failed, 4, 100);
    mem_free(ca);
    cert_pair_done(&pair);
}

/* ------------------------------------------------------------------ text files */

static void a_link_to_a_file_that_is_written_anew_stays(void **state)
{
    char path[64], link[64], *text;
    struct stat st;
    (void)state;
    snprintf(path, sizeof path, "%s/other", dir);
    snprintf(link, sizeof link, "%s/issued", dir);
    assert_int_equal(textfile_write(path, SLICE("one\n"), 0600, true), HOIST_OK);
    assert_int_equal(symlink("other", link), 0);
    assert_int_equal(textfile_write(link, SLICE("two\n"), 0600, true), HOIST_OK);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(textfile_read(path, 9, true, &text), HOIST_OK);
    assert_string_equal(text, "two\n");
    textfile_wipe(text);
    assert_int_equal(textfile_write(link, SLICE("three\n"), 0600, false), HOIST_EINVAL);
}

static void a_file_is_followed_by_another_in_one_step(void **state)
{
    char path[64], *text;
    (void)state;
    snprintf(path, sizeof path, "%s/other", dir);
    assert_int_equal(textfile_write(path, SLICE("one\n"), 0600, true), HOIST_OK);
    assert_int_equal(textfile_write(path, SLICE("two\n"), 0600, false), HOIST_EINVAL);
    assert_int_equal(textfile_write(path, SLICE("two\n"), 0600, true), HOIST_OK);
    assert_int_equal(textfile_read(path, 4, true, &text), HOIST_OK);
    assert_string_equal(text, "two\n");
    textfile_wipe(text);
    assert_int_equal(textfile_read(path, 3, true, &text), HOIST_EINVAL);
    assert_int_equal(textfile_write(path, SLICE("a\0b"), 0600, true), HOIST_OK);
    assert_int_equal(textfile_read(path, 9, true, &text), HOIST_EINVAL);
    assert_int_equal(textfile_read(dir, 9, false, &text), HOIST_EINVAL);
    assert_int_equal(textfile_read("/nowhere/at-all", 9, false, &text), HOIST_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_says_what_was_ordered),
        cmocka_unit_test(of_many_hosts_the_first_are_told),
        cmocka_unit_test(without_hosts_it_is_a_clients_alone),
        cmocka_unit_test(what_does_not_belong_together_is_told),
        cmocka_unit_test(whose_keys_are_in_both_is_counted),
        cmocka_unit_test(names_and_hosts_that_are_none_are_refused),
        cmocka_unit_test_setup_teardown(a_ca_is_made_once_and_issues, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_certificate_lives_no_longer_than_its_ca, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_ca_key_that_others_can_read_is_not_used, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_issued, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(a_file_is_followed_by_another_in_one_step, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_link_to_a_file_that_is_written_anew_stays, make_dir,
                                        remove_dir),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
