/* The values of a plan that are no texts and no times of the clock: durations, numbers, bounds. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "release/plan_int.h"
#include "release/say.h"

enum { DIGITS_MAX = 12 };

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { UNITS = sizeof units / sizeof *units };

/* The digits that `s` begins with; gives how many, 0 where there are none or too many. */
static size_t digits(struct slice s, uint64_t *ret)
{
    uint64_t n = 0;
    size_t len = 0;
    while (len < s.len && isdigit(s.ptr[len])) {
        if (len == DIGITS_MAX)
            return 0;
        n = n * 10 + (uint64_t)(s.ptr[len++] - '0');
    }
    *ret = n;
    return len;
}

static struct slice rest_of(struct slice s, size_t from)
{
    return slice_of(s.ptr + from, s.len - from);
}

/* ------------------------------------------------------------------ durations */

/* The unit that stands in front of `s`, which is followed by a digit or nothing. */
static int unit_of(struct slice s, size_t *ret_len)
{
    size_t len = 0;
    while (len < s.len && !isdigit(s.ptr[len]))
        len++;
    *ret_len = len;
    for (int i = 0; i < UNITS; i++)
        if (slice_eq(slice_of(s.ptr, len), slice_str(units[i].name)))
            return i;
    return -1;
}

bool duration_parse(struct slice s, uint64_t *ret_ms)
{
    uint64_t ms = 0;
    int before = -1; /* units come from the largest to the smallest, each once */
    if (s.len == 0)
        return false;
    while (s.len) {
        uint64_t n = 0;
        size_t len = digits(s, &n), unit_len;
        if (len == 0)
            return false;
        s = rest_of(s, len);
        int unit = unit_of(s, &unit_len);
        if (unit <= before || n > RELEASE_DAYS_MAX * units[0].ms / units[unit].ms)
            return false;
        ms += n * units[unit].ms;
        before = unit;
        s = rest_of(s, unit_len);
    }
    if (ms > RELEASE_DAYS_MAX * units[0].ms)
        return false;
    *ret_ms = ms;
    return true;
}

struct release_span release_span(uint64_t ms)
{
    struct release_span out;
    release_say_duration(ms, out.text);
    return out;
}

static bool is_digits(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isdigit(s.ptr[i]) && s.ptr[i] != '.')
            return false;
    return s.len > 0;
}

static bool read_duration(struct plan_reader *r, const struct yaml_item *v, uint64_t *ret)
{
    static const char mend[] = "write 30m, 1h, 2h30m: d, h, m, s, ms, the largest first, whole "
                               "numbers, 366d at most";
    if (!plan_word(r, v, mend))
        return false;
    if (duration_parse(v->text, ret))
        return true;
    if (is_digits(v->text))
        plan_complain(r, v, mend, "\"%s\" has no unit", show(v->text).text);
    else
        plan_complain(r, v, mend, "\"%s\" is no duration", show(v->text).text);
    return false;
}

void plan_duration(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    uint64_t ms;
    if (read_duration(r, v, &ms))
        *(uint64_t *)out = ms;
}

void plan_soak(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    uint64_t ms;
    if (!read_duration(r, v, &ms))
        return;
    if (ms == 0)
        plan_complain(r, v, "leave it out", "\"%s\" waits for nothing", show(v->text).text);
    else
        *(uint64_t *)out = ms;
}

void plan_interval(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { LEAST_MS = 100, MOST_MS = 86400000 };
    uint64_t ms;
    if (!read_duration(r, v, &ms))
        return;
    if (ms < LEAST_MS || ms > MOST_MS)
        plan_complain(r, v, "write 100ms to 1d", "\"%s\" is out of bounds", show(v->text).text);
    else
        *(uint32_t *)out = (uint32_t)ms;
}

/* ------------------------------------------------------------------ numbers */

static bool read_count(struct plan_reader *r, const struct yaml_item *v, uint64_t least,
                       uint64_t most, uint64_t *ret)
{
    char mend[80];
    snprintf(mend, sizeof mend, "write a whole number, %" PRIu64 " to %" PRIu64, least, most);
    if (!plan_word(r, v, mend))
        return false;
    if (digits(v->text, ret) == v->text.len && *ret >= least && *ret <= most)
        return true;
    plan_complain(r, v, mend, "\"%s\" is no such number", show(v->text).text);
    return false;
}

void plan_exposed(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    uint64_t n;
    if (read_count(r, v, 1, 1000000000, &n))
        *(uint64_t *)out = n;
}

void plan_small(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    uint64_t n;
    if (read_count(r, v, 0, 1000000, &n))
        *(uint32_t *)out = (uint32_t)n;
}

void plan_positive(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    uint64_t n;
    if (read_count(r, v, 1, 1000, &n))
        *(uint32_t *)out = (uint32_t)n;
}

/* "10", "0.5", "12.5%": thousandths of a percent. */
static bool percent_parse(struct slice s, uint32_t *ret)
{
    enum { DECIMALS = 3 };
    uint64_t whole = 0, part = 0;
    if (s.len && s.ptr[s.len - 1] == '%')
        s.len--;
    size_t len = digits(s, &whole);
    if (len == 0 || whole > 100)
        return false;
    whole *= RELEASE_EVERYBODY / 100;
    s = rest_of(s, len);
    if (s.len) {
        if (s.ptr[0] != '.')
            return false;
        s = rest_of(s, 1);
        len = digits(s, &part);
        if (len == 0 || len != s.len || len > DECIMALS)
            return false;
        for (; len < DECIMALS; len++)
            part *= 10;
    }
    *ret = (uint32_t)(whole + part);
    return whole + part <= RELEASE_EVERYBODY;
}

void plan_percent(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write 0.001 to 100, with at most 3 decimals";
    uint32_t share = 0;
    if (!plan_word(r, v, mend))
        return;
    if (!percent_parse(v->text, &share))
        plan_complain(r, v, mend, "\"%s\" is no percentage", show(v->text).text);
    else if (share == 0)
        plan_complain(r, v, mend, "0 percent is what there is before the release");
    else
        *(uint32_t *)out = share;
}

struct release_span release_percent(uint32_t share)
{
    struct release_span out;
    text_number(out.text, share / 1000.0);
    return out;
}

/* ------------------------------------------------------------------ bounds */

static const char *const bound_ops[] = {"", "<", "<=", ">", ">="};

static bool bound_parse(struct slice s, struct release_bound *ret)
{
    struct release_bound b = {.op = RELEASE_ANY};
    size_t len = 0;
    bool whole;
    while (len < s.len && (s.ptr[len] == '<' || s.ptr[len] == '>' || s.ptr[len] == '='))
        len++;
    for (int op = RELEASE_LT; op <= RELEASE_GE; op++)
        if (slice_eq(slice_of(s.ptr, len), slice_str(bound_ops[op])))
            b.op = (enum release_op)op;
    while (len < s.len && s.ptr[len] == ' ')
        len++;
    struct slice number = rest_of(s, len);
    if (b.op == RELEASE_ANY || !text_is_number(number, &whole))
        return false;
    b.value = text_double(number);
    if (b.value == 0)
        b.value = 0; /* -0 is 0 */
    *ret = b;
    return __builtin_isfinite(b.value);
}

void plan_bound(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write < <= > or >=, and a number, in quotes: \"<= 0.02\"";
    struct release_bound bound;
    if (!plan_word(r, v, mend))
        return;
    if (bound_parse(v->text, &bound))
        *(struct release_bound *)out = bound;
    else
        plan_complain(r, v, mend, "\"%s\" is no bound", show(v->text).text);
}

struct release_span release_bound_text(struct release_bound bound)
{
    struct release_span out = {"-"};
    char number[TEXT_NUMBER_SIZE];
    if (bound.op == RELEASE_ANY)
        return out;
    text_number(number, bound.value);
    snprintf(out.text, sizeof out.text, "%s %.32s", bound_ops[bound.op], number);
    return out;
}

void plan_mode(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "abort: undo the release after some rounds; hold: stand still";
    if (!plan_word(r, v, mend))
        return;
    if (slice_eq(v->text, SLICE("hold")))
        *(bool *)out = true;
    else if (!slice_eq(v->text, SLICE("abort")))
        plan_complain(r, v, mend, "\"%s\" is neither abort nor hold", show(v->text).text);
}
