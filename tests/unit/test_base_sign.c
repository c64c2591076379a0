#include "base/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

static char dir[] = "/tmp/hoist-sign-XXXXXX";
static char key_path[64], trust_path[64];

static int make_dir(void **state)
{
    (void)state;
    hash_init();
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    if (!mkdtemp(dir))
        return -1;
    snprintf(key_path, sizeof key_path, "%s/sign.key", dir);
    snprintf(trust_path, sizeof trust_path, "%s/trust.key", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(key_path);
    unlink(trust_path);
    return rmdir(dir);
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

/* RFC 8032, section 7.1, test 3: the message is "af82", here after an empty text. */
static void the_signature_of_rfc_8032_comes_out(void **state)
{
    static const char expected[] =
        "\x62\x91\xd6\x57\xde\xec\x24\x02\x48\x27\xe6\x9c\x3a\xbe\x01\xa3\x0c\xe5\x48\xa2\x84\x74"
        "\x3a"
        "\x44\x5e\x36\x80\xd7\xdb\x5a\xc3\xac\x18\xff\x9b\x53\x8d\x16\xf2\x90\xae\x67\xf7\x60\x98"
        "\x4d"
        "\xc6\x59\x4a\x7c\x15\xe9\x71\x6e\xd2\x8d\xc0\x27\xbe\xce\xea\x1e\xc4\x0a";
    struct sign_key key;
    uint8_t signature[SIGNATURE_SIZE];
    (void)state;
    put(key_path,
        "hoist-sign-1 c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7 a comment\n",
        0600);
    assert_int_equal(sign_key_open(key_path, false, trust_path, &key), HOIST_OK);
    assert_memory_equal(key.public, "\xfc\x51\xcd\x8e\x62\x18\xa1\xa3", 8);
    assert_int_equal(sign(&key, "", SLICE("\xaf\x82"), signature), HOIST_OK);
    assert_memory_equal(signature, expected, sizeof signature);
}

static void a_key_that_is_made_is_trusted_by_its_trust_file(void **state)
{
    struct sign_key key, again;
    struct trust t;
    struct stat st;
    uint8_t signature[SIGNATURE_SIZE];
    (void)state;
    assert_int_equal(sign_key_open(key_path, false, trust_path, &key), HOIST_ENOTFOUND);
    assert_int_equal(sign_key_open(key_path, true, trust_path, &key), HOIST_OK);
    assert_int_equal(sign_key_open(key_path, true, trust_path, &again), HOIST_OK);
    assert_memory_equal(key.secret, again.secret, sizeof key.secret);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(trust_read(trust_path, &t), HOIST_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(sign(&key, "what", SLICE("bytes"), signature), HOIST_OK);
    struct slice s = slice_of(signature, sizeof signature);
    assert_true(trust_check(&t, "what", SLICE("bytes"), s));
    assert_false(trust_check(&t, "that", SLICE("bytes"), s));
    assert_false(trust_check(&t, "what", SLICE("bytez"), s));
    assert_false(trust_check(&t, "what", SLICE("bytes"), SLICE("")));
    assert_false(trust_check(&t, "what", SLICE("bytes"), slice_of(signature, 63)));
    signature[5] ^= 1;
    assert_false(trust_check(&t, "what", SLICE("bytes"), s));
    assert_false(trust_check(&(struct trust){0}, "what", SLICE("bytes"), s));
}

static void a_key_that_others_may_read_is_refused_with_the_mend(void **state)
{
    struct sign_key key;
    (void)state;
    put(key_path, "hoist-sign-1 c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7\n",
        0640);
    assert_int_equal(sign_key_open(key_path, true, trust_path, &key), HOIST_EACCES);
    assert_non_null(strstr(err_last(), "chmod 600"));
}

static void what_is_no_key_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "x",
        "hoist-sign-1",
        "hoist-sign-1 00",
        "hoist-sign-2 c5aa",
        "hoist-trust-1 c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "hoist-sign-1 c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7ff"};
    struct sign_key key;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(key_path, bad[i], 0600);
        assert_int_equal(sign_key_open(key_path, true, trust_path, &key), HOIST_EINVAL);
    }
}

static void a_trust_file_has_keys_and_comments(void **state)
{
    struct trust t = {.count = 9};
    (void)state;
    put(trust_path,
        "# the keys of two primaries\n\n"
        "hoist-trust-1 fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025 first\n"
        "hoist-trust-1 FC51CD8E6218A1A38DA47ED00230F0580816ED13BA3303AC5DEB911548908025\n",
        0644);
    assert_int_equal(trust_read(trust_path, &t), HOIST_OK);
    assert_int_equal(t.count, 2);
    put(trust_path, "# none\n", 0644);
    assert_int_equal(trust_read(trust_path, &t), HOIST_EINVAL);
    put(trust_path, "# one\nhoist-trust-1 5\n", 0644);
    assert_int_equal(trust_read(trust_path, &t), HOIST_EINVAL);
    assert_non_null(strstr(err_last(), "line 2"));
    unlink(trust_path);
    assert_int_equal(trust_read(trust_path, &t), HOIST_ENOTFOUND);
    assert_int_equal(t.count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

static void a_key_is_made_once_and_for_its_owner_alone(void **state)
{
    struct sign_key made, read, untouched;
    struct stat st;
    (void)state;
    assert_int_equal(sign_key_make(key_path, &made), HOIST_OK);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    memset(&read, 7, sizeof read);
    untouched = read;
    assert_int_equal(sign_key_make(key_path, &read), HOIST_EINVAL);
    assert_memory_equal(&read, &untouched, sizeof read);
    assert_int_equal(sign_key_open(key_path, false, NULL, &read), HOIST_OK);
    assert_memory_equal(&read, &made, sizeof read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_signature_of_rfc_8032_comes_out),
        TEST(a_key_that_is_made_is_trusted_by_its_trust_file),
        TEST(a_key_that_others_may_read_is_refused_with_the_mend),
        TEST(what_is_no_key_is_refused),
        TEST(a_trust_file_has_keys_and_comments),
        TEST(a_key_is_made_once_and_for_its_owner_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
