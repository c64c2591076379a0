/* What Prometheus said, judged. https://prometheus.io/docs/prometheus/latest/querying/api/ has the
 * form. Whatever is not exactly that is no value: a release must not go on by a guess. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "flag/json_read.h"
#include "http/prometheus_int.h"

enum { SHOWN = 160 /* characters of what the other side says */ };

/* ------------------------------------------------------------------ saying */

/* Whatever the other side put into it, a line of log stays a line. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

void prometheus_no_value(struct prometheus_answer *a, enum release_verdict verdict, const char *fmt,
                         ...)
{
    va_list args;
    va_start(args, fmt);
    *a = (struct prometheus_answer){.verdict = verdict, .value = NAN};
    vsnprintf(a->why, sizeof a->why, fmt, args);
    va_end(args);
    make_plain(a->why);
}

/* ------------------------------------------------------------------ HTTP */

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    return content_type && strncasecmp(content_type, json, sizeof json - 1) == 0 &&
           strchr("; \t", content_type[sizeof json - 1]) != NULL;
}

/* False: `a` says what is wrong. */
static bool check_http(const struct prometheus_said *said, struct prometheus_answer *a)
{
    long status = said->status;
    if (status >= 300 && status < 400)
        prometheus_no_value(a, RELEASE_ERROR,
                            "redirects to somewhere else (status %ld), where a token does not go: "
                            "give --prometheus the URL that it ends at",
                            status);
    else if (status == 401 || status == 403)
        prometheus_no_value(a, RELEASE_ERROR,
                            "does not let us in (status %ld): give --prometheus-token-file, "
                            "--prometheus-user-file, or --prometheus-cert and -key",
                            status);
    else if (is_json(said->content_type))
        return true;
    else if (status == 404)
        prometheus_no_value(a, RELEASE_ERROR,
                            "has nothing there (status 404): give --prometheus what stands before "
                            "/api/v1");
    else if (status / 100 == 2)
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with %.*s, which is not JSON: is --prometheus a Prometheus?",
                            SHOWN, said->content_type ? said->content_type : "no content type");
    else
        prometheus_no_value(a, RELEASE_ERROR, "answers with status %ld: look into Prometheus's log",
                            status);
    return false;
}

/* ------------------------------------------------------------------ the answer */

static bool check_status(const json_t *root, long status, struct prometheus_answer *a)
{
    const char *word = json_string_value(json_object_get(root, "status"));
    const char *error = json_string_value(json_object_get(root, "error"));
    if (status / 100 == 2 && word && strcmp(word, "success") == 0)
        return true;
    if (error)
        prometheus_no_value(a, RELEASE_ERROR,
                            "refuses the query (status %ld): %.*s; try it in Prometheus's own page",
                            status, SHOWN, error);
    else
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with status %ld and neither success nor an error: is "
                            "--prometheus a Prometheus?",
                            status);
    return false;
}

/* Part of the data may be missing then. */
static bool check_warnings(const json_t *root, struct prometheus_answer *a)
{
    const json_t *warnings = json_object_get(root, "warnings");
    if (!warnings || json_is_null(warnings) ||
        (json_is_array(warnings) && json_array_size(warnings) == 0))
        return true;
    const char *first = json_string_value(json_array_get(warnings, 0));
    prometheus_no_value(a, RELEASE_NODATA, "warns that the answer may not be whole: %.*s", SHOWN,
                        first ? first : "it does not say why");
    return false;
}

/* The one element of the vector; NULL: `a` says why there is none. */
static const json_t *the_sample(const json_t *root, struct prometheus_answer *a)
{
    const json_t *data = json_object_get(root, "data");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    if (type && strcmp(type, "vector") != 0)
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with a %.*s, and a guard is a vector of one series: ask for "
                            "one, as in sum(rate(x_total[5m]))",
                            SHOWN, type);
    else if (!type || !json_is_array(result))
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with JSON that has no result: is --prometheus a Prometheus?");
    else if (json_array_size(result) == 0)
        prometheus_no_value(
            a, RELEASE_NODATA,
            "no series: nothing is measured, or too little for a floor in the query");
    else if (json_array_size(result) > 1)
        prometheus_no_value(a, RELEASE_NODATA,
                            "%zu series: make them one, as by max() or sum() around the query",
                            json_array_size(result));
    else
        return json_array_get(result, 0);
    return NULL;
}

static bool check_time(double at_s, int64_t now_ms, int64_t stale_ms, struct prometheus_answer *a)
{
    double off_ms = (double)now_ms - at_s * 1000;
    if (fabs(off_ms) <= (double)stale_ms)
        return true;
    prometheus_no_value(a, RELEASE_NODATA,
                        "the sample is %.0f s %s: compare the clocks of Prometheus and this host, "
                        "and what stands between them",
                        fabs(off_ms) / 1000, off_ms > 0 ? "old" : "in the future");
    return false;
}

bool prometheus_number(const char *text, double *ret)
{
    bool whole;
    if (strcmp(text, "NaN") == 0)
        *ret = NAN;
    else if (strcmp(text, "+Inf") == 0 || strcmp(text, "Inf") == 0)
        *ret = INFINITY;
    else if (strcmp(text, "-Inf") == 0)
        *ret = -INFINITY;
    else if (text_is_number(slice_str(text), &whole))
        *ret = text_double(slice_str(text));
    else
        return false;
    return true;
}

static void judge(const struct prometheus_query *q, double value, struct prometheus_answer *a)
{
    *a = (struct prometheus_answer){.verdict = release_judge(q->pass, value), .value = value};
    if (isnan(value))
        prometheus_no_value(
            a, RELEASE_NODATA,
            "NaN: 0 was divided by 0, say; give the query a floor, as in … and on () "
            "(sum(increase(x_total[10m])) >= 50)");
    else if (isinf(value))
        prometheus_no_value(
            a, RELEASE_NODATA,
            "%cInf: something was divided by 0; give the query a floor, as in … and "
            "on () (sum(increase(x_total[10m])) >= 50)",
            value > 0 ? '+' : '-');
}

static void read_sample(const struct prometheus_query *q, const json_t *sample, int64_t now_ms,
                        int64_t stale_ms, struct prometheus_answer *a)
{
    const json_t *pair = json_object_get(sample, "value");
    const json_t *at = json_array_get(pair, 0);
    const char *text = json_string_value(json_array_get(pair, 1));
    double value;
    if (!pair && json_object_get(sample, "histogram"))
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with a histogram, and a guard is a number: take "
                            "histogram_quantile() of it, say");
    else if (!json_is_array(pair) || json_array_size(pair) != 2 || !json_is_number(at) || !text ||
             !prometheus_number(text, &value))
        prometheus_no_value(a, RELEASE_ERROR,
                            "answers with a sample that is no time and value: is --prometheus a "
                            "Prometheus?");
    else if (check_time(json_number_value(at), now_ms, stale_ms, a))
        judge(q, value, a);
}

json_t *prometheus_open(const struct prometheus_said *said, struct prometheus_answer *ret)
{
    json_t *root;
    if (!check_http(said, ret))
        return NULL;
    enum hoist_err err = json_read(said->body, &root);
    if (err) {
        prometheus_no_value(ret, RELEASE_ERROR,
                            "answers with what is no JSON, or not all of it: %s", err_last());
        return NULL;
    }
    if (check_status(root, said->status, ret) && check_warnings(root, ret))
        return root;
    json_decref(root);
    return NULL;
}

void prometheus_read(const struct prometheus_query *q, const struct prometheus_said *said,
                     int64_t now_ms, int64_t stale_ms, struct prometheus_answer *ret)
{
    json_t *root = prometheus_open(said, ret);
    const json_t *sample = root ? the_sample(root, ret) : NULL;
    if (sample)
        read_sample(q, sample, now_ms, stale_ms, ret);
    json_decref(root);
}
