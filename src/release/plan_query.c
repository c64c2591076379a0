/* What a PromQL expression is like. Prometheus parses it; here its words are looked at, for what a
 * release must not be told by: a ratio of three requests, the last value of a dead target, a number
 * made of nothing. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "release/plan_int.h"

struct scan {
    struct slice rest;
    int parens, braces, brackets;
    bool divides, rates, recorded_ratio, recorded;
    bool and_seen, time_seen, timestamp_seen;
    int timestamp_parens;  /* how many were open before timestamp's */
    bool timestamp_opened; /* inside of them; there has been a selector alone */
    bool or_outside;       /* an `or` of the whole expression was seen */
    struct query_traits traits;
};

static void step_over(struct scan *s, size_t len)
{
    s->rest = slice_of(s->rest.ptr + len, s->rest.len - len);
}

/* A string, or a comment up to the end of its line. */
static void skip_text(struct scan *s)
{
    uint8_t quote = s->rest.ptr[0];
    size_t len = 1;
    if (quote == '#')
        quote = '\n';
    while (len < s->rest.len && s->rest.ptr[len] != quote)
        len += s->rest.ptr[len] == '\\' && (quote == '"' || quote == '\'') ? 2 : 1;
    if (len >= s->rest.len) {
        if (quote != '\n')
            s->traits.broken = "a string does not end";
        step_over(s, s->rest.len);
        return;
    }
    step_over(s, len + 1);
}

static bool is_word_byte(uint8_t c)
{
    return isalnum(c) || c == '_' || c == ':';
}

static bool contains(struct slice s, const char *part)
{
    return memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static bool is_outside(const struct scan *s)
{
    return s->parens == 0 && s->brackets == 0;
}

static void take_word(struct scan *s)
{
    static const char *const rates[] = {
        "rate", "irate", "increase", "delta", "idelta", "histogram_quantile", NULL};
    size_t len = 0;
    while (len < s->rest.len && is_word_byte(s->rest.ptr[len]))
        len++;
    struct slice word = slice_of(s->rest.ptr, len);
    if (s->braces == 0) {
        bool recorded = contains(word, ":") && s->brackets == 0;
        s->recorded |= recorded;
        s->recorded_ratio |= recorded && contains(word, "ratio");
        s->rates |= is_one_of(word, rates);
        s->and_seen |= slice_eq(word, SLICE("and"));
        s->time_seen |= slice_eq(word, SLICE("time"));
        if (slice_eq(word, SLICE("timestamp"))) {
            s->timestamp_opened = true;
            s->timestamp_parens = s->parens;
        }
        s->or_outside |=
            len == 2 && strncasecmp((const char *)word.ptr, "or", 2) == 0 && is_outside(s);
        s->traits.hides_absence |= s->or_outside && slice_eq(word, SLICE("vector"));
    }
    step_over(s, len);
}

/* Of a selector, timestamp() is when the sample was taken; of anything made of one, as in (up == 1), it is
 * when the query is asked, which is never old. */
static void watch_timestamp(struct scan *s, uint8_t c)
{
    if (!s->timestamp_opened || s->braces > 0 || c == ' ' || c == '\n')
        return;
    if (s->parens == s->timestamp_parens + 1 && c == ')') {
        s->timestamp_seen = true;
        s->timestamp_opened = false;
    }
    if (s->parens > s->timestamp_parens && !strchr("{}", c))
        s->timestamp_opened = false;
}

static void take_bracket(struct scan *s, uint8_t c)
{
    s->parens += (c == '(') - (c == ')');
    s->braces += (c == '{') - (c == '}');
    s->brackets += (c == '[') - (c == ']');
    if (s->parens < 0 || s->braces < 0 || s->brackets < 0)
        s->traits.broken = "a bracket is closed that was not opened";
}

static void take(struct scan *s)
{
    uint8_t c = s->rest.ptr[0];
    if (c == '"' || c == '\'' || c == '`' || c == '#') {
        skip_text(s);
        return;
    }
    if (is_word_byte(c)) {
        take_word(s);
        return;
    }
    watch_timestamp(s, c);
    take_bracket(s, c);
    s->divides |= c == '/' && s->braces == 0;
    s->traits.has_floor |= c == '>' && s->braces == 0 && s->and_seen;
    step_over(s, 1);
}

/* ------------------------------------------------------------------ the whole in brackets */

static void skip_blank(struct scan *s)
{
    while (s->rest.len && (isspace(s->rest.ptr[0]) || s->rest.ptr[0] == '#'))
        if (s->rest.ptr[0] == '#')
            skip_text(s);
        else
            step_over(s, 1);
}

/* Of (x), or of f(x): x. A function of what is always there is always there. */
static bool unwrap(struct slice *query)
{
    struct scan s = {.rest = *query};
    skip_blank(&s);
    while (s.rest.len && is_word_byte(s.rest.ptr[0]))
        step_over(&s, 1);
    skip_blank(&s);
    if (!s.rest.len || s.rest.ptr[0] != '(')
        return false;
    const uint8_t *inner = s.rest.ptr + 1, *end = inner;
    do {
        end = s.rest.ptr;
        take(&s);
    } while (s.rest.len && s.parens > 0);
    skip_blank(&s);
    if (s.rest.len || s.parens > 0)
        return false;
    *query = slice_of(inner, (size_t)(end - inner));
    return true;
}

/* `x or vector(0)`, the whole of it: a part of it may well be, beside one that is not. */
static bool hides_absence(struct slice query)
{
    while (unwrap(&query))
        continue;
    struct scan s = {.rest = query};
    while (s.rest.len && !s.traits.broken)
        take(&s);
    return s.traits.hides_absence;
}

struct query_traits query_traits(struct slice query)
{
    struct scan s = {.rest = query};
    while (s.rest.len && !s.traits.broken)
        take(&s);
    if (!s.traits.broken && (s.parens || s.braces || s.brackets))
        s.traits.broken = "a bracket is not closed";
    s.traits.divides_rates = s.recorded_ratio || (s.divides && (s.rates || s.recorded));
    s.traits.is_fresh = s.time_seen && s.timestamp_seen;
    s.traits.hides_absence = !s.traits.broken && hides_absence(query);
    return s.traits;
}
