#include "http/prometheus_range.h"

#include <math.h>

#include "http/prometheus_int.h"

uint32_t prometheus_range_points(const struct prometheus_range *range)
{
    return range->to_ms < range->from_ms
               ? 0
               : (uint32_t)((range->to_ms - range->from_ms) / range->step_ms) + 1;
}

int64_t prometheus_range_step(int64_t ms, int64_t least_ms)
{
    int64_t step = ms / (PROMETHEUS_POINTS_MAX - 1) + 1;
    return step > least_ms ? step : least_ms;
}

/* ------------------------------------------------------------------ the answer */

static bool is_value(const json_t *pair)
{
    double value;
    const char *text = json_string_value(json_array_get(pair, 1));
    return json_array_size(pair) == 2 && json_is_number(json_array_get(pair, 0)) && text &&
           prometheus_number(text, &value);
}

static bool is_series(const json_t *series)
{
    const json_t *values = json_object_get(series, "values");
    const char *label;
    json_t *text, *pair;
    size_t i;
    if (!json_is_object(json_object_get(series, "metric")) || !json_is_array(values))
        return false;
    json_object_foreach(json_object_get(series, "metric"), label, text)
    {
        if (!json_is_string(text))
            return false;
    }
    json_array_foreach(values, i, pair)
    {
        if (!is_value(pair))
            return false;
    }
    return true;
}

static enum hoist_err read_series(const struct prometheus_said *said, json_t **ret)
{
    struct prometheus_answer why;
    size_t i;
    json_t *series, *root = prometheus_open(said, &why);
    if (!root)
        return err_set(HOIST_ECORRUPT, "%s", why.why);
    const json_t *data = json_object_get(root, "data");
    const char *type = json_string_value(json_object_get(data, "resultType"));
    json_t *result = json_object_get(data, "result");
    bool good = type && strcmp(type, "matrix") == 0 && json_is_array(result);
    json_array_foreach(result, i, series)
    {
        good = good && is_series(series);
    }
    if (good)
        *ret = json_incref(result);
    json_decref(root);
    return good ? HOIST_OK
                : err_set(HOIST_ECORRUPT,
                          "answers with what are no series of numbers: is "
                          "--prometheus a Prometheus, and the query one of numbers?");
}

void prometheus_range_value(const json_t *series, size_t i, int64_t *ret_ms, double *ret_value)
{
    const json_t *pair = json_array_get(json_object_get(series, "values"), i);
    *ret_ms = llround(json_number_value(json_array_get(pair, 0)) * 1000);
    if (!prometheus_number(json_string_value(json_array_get(pair, 1)), ret_value))
        *ret_value = NAN;
}

/* ------------------------------------------------------------------ asking */

static enum hoist_err ask(const struct prometheus_config *c, const struct prometheus_secrets *s,
                          const char *query, const struct prometheus_range *range, json_t **ret)
{
    struct prometheus_call call;
    struct prometheus_said said;
    struct prometheus_answer why;
    enum hoist_err err = prometheus_call_init(&call, c, s, query, range, c->timeout_ms);
    if (err)
        return err;
    if (prometheus_call_said(&call, curl_easy_perform(call.curl), c, &said, &why))
        err = read_series(&said, ret);
    else
        err = err_set(HOIST_EIO, "%s", why.why);
    prometheus_call_done(&call);
    return err;
}

enum hoist_err prometheus_range_ask(const struct prometheus_config *config, const char *query,
                                    const struct prometheus_range *range, json_t **ret_series)
{
    struct prometheus_config c = *config;
    struct prometheus_secrets secrets;
    if (c.timeout_ms == 0)
        c.timeout_ms = PROMETHEUS_TIMEOUT_MS;
    if (strlen(query) > PROMETHEUS_QUERY_MAX)
        return err_set(HOIST_EINVAL, "a query of more than %d bytes", PROMETHEUS_QUERY_MAX);
    enum hoist_err err = prometheus_check_url(&c);
    if (!err)
        err = prometheus_secrets_read(&c, &secrets);
    if (err)
        return err;
    err = ask(&c, &secrets, query, range, ret_series);
    prometheus_secrets_done(&secrets);
    return err;
}
