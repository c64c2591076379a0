#include "base/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cert.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"

static const int64_t DAY_MS = 86400000;

static void take(int64_t left_ms)
{
    int64_t now = clock_wall_ms();
    struct cert_order o = {.name = "host1", .from_ms = now - 9 * DAY_MS, .until_ms = now + left_ms};
    struct cert_pair pair;
    struct cert_info info;
    assert_int_equal(cert_make_ca(&o, &pair), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &info), HOIST_OK);
    expiry_set(&info, NULL);
    cert_info_done(&info);
    cert_pair_done(&pair);
}

/* What `act` writes to stderr. */
static void said(void (*act)(void), char *out, size_t size)
{
    FILE *f = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(f);
    assert_true(before >= 0);
    dup2(fileno(f), STDERR_FILENO);
    act();
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(f);
    out[fread(out, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void take_long(void)
{
    take(100 * DAY_MS);
}

static void take_short(void)
{
    take(3 * DAY_MS + 60000);
}

static void take_ended(void)
{
    take(-DAY_MS);
}

static void remind_soon(void)
{
    expiry_remind(clock_mono_ms() + DAY_MS / 2);
}

static void remind_tomorrow(void)
{
    expiry_remind(clock_mono_ms() + DAY_MS + 1000);
}

static void it_warns_when_the_end_is_near_and_each_day(void **state)
{
    char text[1000];
    (void)state;
    said(take_long, text, sizeof text);
    assert_string_equal(text, "");
    said(remind_tomorrow, text, sizeof text);
    assert_string_equal(text, "");
    said(take_short, text, sizeof text);
    assert_non_null(strstr(text, "host1 ends in 3 days"));
    said(remind_soon, text, sizeof text);
    assert_string_equal(text, "");
    said(remind_tomorrow, text, sizeof text);
    assert_non_null(strstr(text, "hoistd certs renew"));
    said(take_ended, text, sizeof text);
    assert_non_null(strstr(text, "host1 ended on"));
}

static void what_is_left_is_a_metric(void **state)
{
    static const char name[] = "\nhoist_certificate_expires_seconds ";
    struct buf out = BUF_INIT(1 << 20);
    (void)state;
    take_long();
    metrics_write(&out);
    const char *line = strstr(buf_str(&out), name);
    assert_non_null(line);
    double left = atof(line + strlen(name));
    assert_true(left > 100 * 86400 - 60 && left <= 100 * 86400);
    buf_done(&out);
}

static struct cert_info ends_in(const char *name, int64_t days)
{
    int64_t now = clock_wall_ms();
    struct cert_order o = {
        .name = name, .from_ms = now - DAY_MS, .until_ms = now + days * DAY_MS + 60000};
    struct cert_pair pair;
    struct cert_info info;
    assert_int_equal(cert_make_ca(&o, &pair), HOIST_OK);
    assert_int_equal(cert_read(pair.cert, &info), HOIST_OK);
    cert_pair_done(&pair);
    return info;
}

static struct cert_info sooner, later;

static void take_sooner_first(void)
{
    expiry_set(&sooner, &later);
}

static void take_sooner_second(void)
{
    expiry_set(&later, &sooner);
}

static void of_two_the_one_that_ends_first_is_told_of(void **state)
{
    void (*const takes[])(void) = {take_sooner_first, take_sooner_second};
    char text[1000];
    (void)state;
    sooner = ends_in("sooner", 3);
    later = ends_in("later", 5);
    for (int i = 0; i < 2; i++) {
        said(takes[i], text, sizeof text);
        assert_non_null(strstr(text, "sooner ends in 3 days"));
        assert_null(strstr(text, "later"));
        assert_true(expiry_until_ms() < clock_wall_ms() + 4 * DAY_MS);
    }
    cert_info_done(&sooner);
    cert_info_done(&later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_warns_when_the_end_is_near_and_each_day),
        cmocka_unit_test(what_is_left_is_a_metric),
        cmocka_unit_test(of_two_the_one_that_ends_first_is_told_of),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
