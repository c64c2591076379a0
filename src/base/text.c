#include "base/text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void text_time(char out[TEXT_TIME_SIZE], int64_t wall_ms)
{
    int64_t sec = wall_ms / 1000, ms = wall_ms % 1000;
    if (ms < 0) {
        sec--;
        ms += 1000;
    }
    time_t t = (time_t)sec;
    struct tm tm;
    char day[24];
    if (!gmtime_r(&t, &tm) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        snprintf(day, sizeof day, "?");
    snprintf(out, TEXT_TIME_SIZE, "%s.%03dZ", day, (int)ms);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether `in` begins as a time does, to the second. */
static bool begins_as_time(const char *in)
{
    const char *form = "0000-00-00T00:00:00";
    for (; *form; form++, in++)
        if (*form == '0' ? !is_digit(*in) : *in != *form)
            return false;
    return true;
}

/* The second that `tm` says; false where there is none, as on 31 February. */
static bool second_of(const struct tm *tm, int64_t *ret)
{
    struct tm real = *tm;
    *ret = timegm(&real);
    return real.tm_mon == tm->tm_mon && real.tm_mday == tm->tm_mday &&
           real.tm_hour == tm->tm_hour && real.tm_min == tm->tm_min && real.tm_sec == tm->tm_sec;
}

/* A fraction such as ".5", of three digits at most, in milliseconds; *at comes to stand behind it. */
static int64_t take_fraction(const char **at)
{
    int64_t ms = 0;
    if ((*at)[0] != '.' || !is_digit((*at)[1]))
        return 0;
    ++*at;
    for (int worth = 100; worth > 0 && is_digit(**at); worth /= 10)
        ms += worth * (*(*at)++ - '0');
    return ms;
}

enum hoist_err text_time_read(const char *in, int64_t *ret_wall_ms)
{
    struct tm tm = {0};
    int64_t second = 0;
    int used = 0;
    if (begins_as_time(in))
        (void)sscanf(in, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    const char *rest = in + used;
    int64_t ms = take_fraction(&rest);
    if (used == 0 || strcmp(rest, "Z") != 0 || !second_of(&tm, &second))
        return err_set(HOIST_EINVAL, "'%s' is no time such as 2026-11-24T14:02:03.123Z", in);
    *ret_wall_ms = second * 1000 + ms;
    return HOIST_OK;
}

/* The digits from `at` on: where they end. */
static size_t digits(struct slice s, size_t at)
{
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9')
        at++;
    return at;
}

bool text_is_number(struct slice in, bool *ret_whole)
{
    size_t at = in.len && in.ptr[0] == '-', end = digits(in, at);
    if (end == at || (in.ptr[at] == '0' && end > at + 1))
        return false;
    bool whole = end == in.len;
    if (end < in.len && in.ptr[end] == '.') {
        at = end + 1;
        end = digits(in, at);
        if (end == at)
            return false;
    }
    if (end < in.len && (in.ptr[end] == 'e' || in.ptr[end] == 'E')) {
        at = end + 1;
        at += at < in.len && (in.ptr[at] == '+' || in.ptr[at] == '-');
        end = digits(in, at);
        if (end == at)
            return false;
    }
    *ret_whole = whole;
    return end == in.len;
}

/* Digits alone, and an exponent: no locale puts anything of its own into that. Of more digits than
 * can matter (a double's midpoint has 767) only whether there are any is kept. */
double text_double(struct slice in)
{
    enum { DIGITS_MAX = 800 };
    char copy[DIGITS_MAX + 32];
    size_t i = 0, count = 0;
    long shift = 0, exponent = 0;
    bool fraction = false, more = false;
    copy[count++] = in.len && in.ptr[0] == '-' ? '-' : '+';
    if (in.len && (in.ptr[0] == '-' || in.ptr[0] == '+'))
        i++;
    for (; i < in.len && (in.ptr[i] == '.' || (in.ptr[i] >= '0' && in.ptr[i] <= '9')); i++) {
        if (in.ptr[i] == '.') {
            fraction = true;
        } else if (count < DIGITS_MAX) {
            if (count > 1 || in.ptr[i] != '0') /* leading zeros are no digits to keep */
                copy[count++] = (char)in.ptr[i];
            shift -= fraction;
        } else {
            more |= in.ptr[i] != '0';
            shift += !fraction;
        }
    }
    if (i < in.len && (in.ptr[i] == 'e' || in.ptr[i] == 'E')) {
        bool down = i + 1 < in.len && in.ptr[i + 1] == '-';
        i += 1 + (down || (i + 1 < in.len && in.ptr[i + 1] == '+'));
        for (; i < in.len && in.ptr[i] >= '0' && in.ptr[i] <= '9'; i++)
            exponent = exponent < 100000000 ? exponent * 10 + (in.ptr[i] - '0') : exponent;
        exponent = down ? -exponent : exponent;
    }
    if (count == 1)
        copy[count++] = '0';
    if (more) {
        copy[count++] = '1';
        shift--;
    }
    snprintf(copy + count, sizeof copy - count, "e%ld", exponent + shift);
    return strtod(copy, NULL);
}

/* Whether `count` digits, as many places before the point as `point` says, read back as `v`. */
static bool reads_back(const char *digits, int count, long point, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.*se%ld", count, digits, point - count);
    return strtod(text, NULL) == v;
}

/* The last of `count` digits becomes one more. False: all of them are nines. */
static bool count_up(char *digits, int count)
{
    int at = count - 1;
    while (at >= 0 && digits[at] == '9')
        digits[at--] = '0';
    if (at >= 0)
        digits[at]++;
    return at >= 0;
}

int text_digits(char out[TEXT_DIGITS_SIZE], double v)
{
    char text[40];
    int unused;
    /* Above a power of two there is more room than below it: what lies next above may read back
     * where the nearest does not. */
    bool power = frexp(v, &unused) == 0.5;
    for (int count = v < DBL_MIN ? 1 : 15;; count++) { /* of a subnormal, fewer may do */
        snprintf(text, sizeof text, "%.*e", count - 1, v);
        int kept = 0;
        const char *at = text;
        for (; *at != 'e'; at++) /* and whatever the locale has for a point */
            if (*at >= '0' && *at <= '9')
                out[kept++] = *at;
        long point = strtol(at + 1, NULL, 10) + 1;
        if (count < 17 && !reads_back(out, count, point, v) &&
            !(power && count_up(out, count) && reads_back(out, count, point, v)))
            continue;
        while (kept > 1 && out[kept - 1] == '0')
            kept--;
        out[kept] = '\0';
        return (int)point;
    }
}

void text_number(char out[TEXT_NUMBER_SIZE], double v)
{
    if (!isfinite(v)) { /* no digits to look for */
        snprintf(out, TEXT_NUMBER_SIZE, "%s", isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (v == trunc(v) && fabs(v) < 9007199254740992.0) {
        snprintf(out, TEXT_NUMBER_SIZE, "%.0f", v == 0 ? 0.0 : v);
        return;
    }
    char digits[TEXT_DIGITS_SIZE];
    const char *sign = v < 0 ? "-" : "";
    int point = text_digits(digits, fabs(v)), count = (int)strlen(digits);
    if (point > (count > 15 ? count : 15) || point < -3)
        snprintf(out, TEXT_NUMBER_SIZE, "%s%c%s%se%+03d", sign, digits[0], count > 1 ? "." : "",
                 digits + 1, point - 1);
    else if (point <= 0)
        snprintf(out, TEXT_NUMBER_SIZE, "%s0.%.*s%s", sign, -point, "000", digits);
    else if (point < count)
        snprintf(out, TEXT_NUMBER_SIZE, "%s%.*s.%s", sign, point, digits, digits + point);
    else
        snprintf(out, TEXT_NUMBER_SIZE, "%s%s%.*s", sign, digits, point - count,
                 "00000000000000000");
}

void text_hex(char *out, struct slice in)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.ptr[i] >> 4];
        out[2 * i + 1] = digits[in.ptr[i] & 15];
    }
    out[2 * in.len] = '\0';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum hoist_err text_unhex(struct slice in, uint8_t *out, size_t len)
{
    if (in.len != 2 * len)
        return err_set(HOIST_EINVAL, "'%.*s' is not %zu hex digits", SLICE_ARG(in), 2 * len);
    for (size_t i = 0; i < in.len; i++)
        if (hex_digit(in.ptr[i]) < 0)
            return err_set(HOIST_EINVAL, "'%.*s' is not hex", SLICE_ARG(in));
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_digit(in.ptr[2 * i]) << 4 | hex_digit(in.ptr[2 * i + 1]));
    return HOIST_OK;
}

enum hoist_err text_u64(const char *in, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(in, &end, 10);
    if (in[0] < '0' || in[0] > '9' || *end || errno)
        return err_set(HOIST_EINVAL, "'%s' is not a whole number", in);
    *ret = v;
    return HOIST_OK;
}

bool text_utf8(struct slice in)
{
    if (in.len == 0) /* there may be no pointer to count from */
        return true;
    const uint8_t *p = in.ptr, *end = p + in.len;
    while (p < end) {
        uint8_t c = *p++;
        int more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
        if (c >= 0x80 && (c < 0xc2 || c > 0xf4))
            return false;
        if (end - p < more)
            return false;
        /* The first byte behind the lead rules out overlong forms, surrogates and what is too big.
         */
        if ((c == 0xe0 && p[0] < 0xa0) || (c == 0xed && p[0] > 0x9f) ||
            (c == 0xf0 && p[0] < 0x90) || (c == 0xf4 && p[0] > 0x8f))
            return false;
        for (; more > 0; more--)
            if ((*p++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}
