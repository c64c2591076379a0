/* OFREP without sockets: requests in, answers out. */
#include "ofrep_kit.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/text.h"
#include "http/place.h"

#define FLAGS "/ofrep/v1/evaluate/flags"

static const char file[] =
    "{\"flags\": {"
    "\"on\": {\"state\": \"ENABLED\", \"variants\": {\"on\": true, \"off\": false}, "
    "  \"defaultVariant\": \"on\", \"metadata\": {\"owner\": \"ana\"}},"
    "\"a/b c\": {\"state\": \"ENABLED\", \"variants\": {\"x\": \"text\"}, \"defaultVariant\": "
    "\"x\"},"
    "\"plan\": {\"state\": \"ENABLED\", \"variants\": {\"y\": 2, \"n\": 1.5}, \"defaultVariant\": "
    "\"n\","
    "  \"targeting\": {\"if\": [{\"==\": [{\"var\": \"plan\"}, \"pro\"]}, \"y\", null]}},"
    "\"who\": {\"state\": \"ENABLED\", \"variants\": {\"eu\": {\"a\": [1]}, \"us\": {}}, "
    "  \"targeting\": {\"var\": \"region\"}},"
    "\"off\": {\"state\": \"DISABLED\", \"variants\": {\"x\": true}, \"defaultVariant\": \"x\"},"
    "\"code\": {\"state\": \"ENABLED\", \"variants\": {\"x\": true}},"
    "\"bad\": {\"state\": \"ENABLED\", \"variants\": {\"x\": true}, \"targeting\": {\"+\": [1, "
    "2]}},"
    "\"long\": {\"state\": \"ENABLED\", \"variants\": {\"x\": true}, \"targeting\": "
    "  {\"reduce\": [{\"var\": \"many\"}, {\"reduce\": [{\"merge\": "
    "[[1,2,3,4,5,6,7,8,9,10,11,12]]},"
    "    {\"+\": [{\"var\": \"current\"}, {\"var\": \"accumulator\"}]}, 0]}, 0]}}"
    "}}";

struct site {
    char *dir;
    struct store *store;
    struct ofrep *ofrep;
    struct ofrep_answer a;
};

static void start_with(struct site *s, struct ofrep_config config)
{
    config.store = s->store;
    OK(ofrep_new(&config, &s->ofrep));
}

static int make_store(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->dir = kit_dir();
    s->store = kit_open(s->dir);
    kit_import(s->store, "production", file);
    kit_import(
        s->store, "staging",
        "{\"flags\": {\"on\": {\"state\": \"ENABLED\", \"variants\": {\"on\": true, \"off\": "
        "false}, \"defaultVariant\": \"off\"}}}");
    *state = s;
    return 0;
}

static int start(void **state)
{
    make_store(state);
    start_with(*state, (struct ofrep_config){0});
    return 0;
}

static int stop(void **state)
{
    struct site *s = *state;
    buf_done(&s->a.body);
    ofrep_free(s->ofrep);
    store_close(s->store);
    kit_remove(s->dir);
    free(s);
    return 0;
}

static const char *ask(struct site *s, struct kit_request q)
{
    buf_done(&s->a.body);
    kit_ask(s->ofrep, &q, &s->a);
    return buf_str(&s->a.body);
}

static const char *post_as(struct site *s, const char *path, struct slice body)
{
    return ask(
        s, (struct kit_request){"POST", path, body, {{"Content-Type", "application/json"}}, NULL});
}

static const char *post(struct site *s, const char *path, const char *body)
{
    return post_as(s, path, slice_str(body));
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %.600s", part, text);
}

/* ------------------------------------------------------------------ one flag */

static void a_flag_is_answered_with_all_its_members(void **state)
{
    struct site *s = *state;
    assert_string_equal(post(s, FLAGS "/on", "{\"context\": {\"targetingKey\": \"ana\"}}"),
                        "{\"key\":\"on\",\"reason\":\"STATIC\",\"variant\":\"on\",\"value\":true,"
                        "\"metadata\":{\"owner\":\"ana\"}}");
    assert_int_equal(s->a.status, 200);
    assert_int_equal(s->a.route, ROUTE_FLAG);
    assert_contains(post(s, FLAGS "/plan", "{\"context\": {\"plan\": \"pro\"}}"),
                    "\"reason\":\"TARGETING_MATCH\",\"variant\":\"y\",\"value\":2,");
    assert_contains(post(s, FLAGS "/plan", "{\"context\": {\"plan\": \"free\"}}"),
                    "\"reason\":\"DEFAULT\",\"variant\":\"n\",\"value\":1.5,");
    assert_contains(post(s, FLAGS "/who", "{\"context\": {\"region\": \"eu\"}}"),
                    "\"value\":{\"a\":[1]}");
}

static void there_is_no_value_where_the_codes_default_counts(void **state)
{
    struct site *s = *state;
    assert_string_equal(post(s, FLAGS "/off", "{}"),
                        "{\"key\":\"off\",\"reason\":\"DISABLED\",\"metadata\":{}}");
    assert_int_equal(s->a.status, 200);
    assert_string_equal(post(s, FLAGS "/code", "{}"),
                        "{\"key\":\"code\",\"reason\":\"DEFAULT\",\"metadata\":{}}");
}

static void errors_have_the_protocols_codes_and_statuses(void **state)
{
    struct site *s = *state;
    assert_contains(post(s, FLAGS "/nothing", "{}"), "\"errorCode\":\"FLAG_NOT_FOUND\"");
    assert_int_equal(s->a.status, 404);
    assert_contains(post(s, FLAGS "/bad", "{}"), "\"errorCode\":\"GENERAL\"");
    assert_int_equal(s->a.status, 400);
    assert_contains(post(s, "/env/nowhere" FLAGS "/on", "{}"), "\"errorCode\":\"GENERAL\"");
    assert_int_equal(s->a.status, 404);
    assert_contains(buf_str(&s->a.body), "{\"key\":\"on\",");
}

static void a_key_is_percent_decoded(void **state)
{
    struct site *s = *state;
    assert_contains(post(s, FLAGS "/a%2Fb%20c", "{}"), "{\"key\":\"a/b c\",\"reason\"");
    assert_contains(post(s, FLAGS "/a/b%20c", "{}"), "{\"key\":\"a/b c\",\"reason\"");
    assert_contains(post(s, FLAGS "/a%2fb c", "{}"), "{\"key\":\"a/b c\",\"reason\"");
}

static void odd_keys_have_a_defined_answer(void **state)
{
    static const char *const malformed[] = {"/", "/%", "/%2", "/%zz", "/a%", "/%0g"};
    static const char *const missing[] = {"/%00", "/on%00", "/%ff%fe", "/%01%02", "/on/",
                                          "//on", "/ON",    "/../on",  "/\"",     "/%22%5c"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        char path[100];
        snprintf(path, sizeof path, FLAGS "%s", malformed[i]);
        assert_contains(post(s, path, "{}"), "\"errorCode\":\"PARSE_ERROR\"");
        assert_int_equal(s->a.status, 400);
    }
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        char path[100];
        snprintf(path, sizeof path, FLAGS "%s", missing[i]);
        assert_contains(post(s, path, "{}"), "\"errorCode\":\"FLAG_NOT_FOUND\"");
        assert_int_equal(s->a.status, 404);
        assert_true(text_utf8(buf_slice(&s->a.body)));
    }
    char path[4000] = FLAGS "/";
    memset(path + strlen(path), 'k', 1000);
    post(s, path, "{}");
    assert_int_equal(s->a.status, 404);
    memset(path + strlen(FLAGS "/"), 'k', 3000);
    post(s, path, "{}");
    assert_int_equal(s->a.status, 400);
}

static void another_environment_stands_before_the_path(void **state)
{
    struct site *s = *state;
    assert_contains(post(s, FLAGS "/on", "{}"), "\"value\":true");
    assert_contains(post(s, "/env/staging" FLAGS "/on", "{}"), "\"value\":false");
    assert_contains(post(s, "/env/production" FLAGS "/on", "{}"), "\"value\":true");
    assert_contains(post(s, "/env/staging" FLAGS, "{}"),
                    "\"requestUri\":\"/env/staging/ofrep/v1/events\"");
}

static void what_is_no_path_of_ofreps_is_not_taken_for_one(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",       "/",       "/ofrep/v1",      FLAGS "x",           "/env/",   "/env//" FLAGS,
        "/env/a", "/env/a/", "/env/a/b" FLAGS, "/ofrep/v1/events/", "/healthz"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(ofrep_is(slice_str(others[i])));
    assert_true(ofrep_is(SLICE(FLAGS)) && ofrep_is(SLICE(FLAGS "/")) &&
                ofrep_is(SLICE("/ofrep/v1/events")));
}

/* ------------------------------------------------------------------ all flags */

static const char *etag_of(struct site *s, const char *path, const char *body,
                           char out[OFREP_ETAG_SIZE])
{
    post(s, path, body);
    assert_int_equal(s->a.status, 200);
    memcpy(out, s->a.etag, OFREP_ETAG_SIZE);
    return out;
}

static void all_flags_are_answered_in_order_of_their_keys(void **state)
{
    struct site *s = *state;
    const char *all = post(s, FLAGS, "{\"context\": {\"plan\": \"pro\"}}");
    assert_int_equal(s->a.status, 200);
    assert_contains(all, "{\"flags\":[{\"key\":\"a/b c\",\"reason\":\"STATIC\",");
    assert_contains(all, "{\"key\":\"bad\",\"errorCode\":\"GENERAL\",");
    assert_contains(all, "{\"key\":\"plan\",\"reason\":\"TARGETING_MATCH\",");
    assert_contains(all, "],\"eventStreams\":[{\"type\":\"sse\",\"endpoint\":{\"requestUri\":"
                         "\"/ofrep/v1/events\"},\"inactivityDelaySec\":120}]}");
}

static void the_etag_changes_exactly_when_an_answer_does(void **state)
{
    struct site *s = *state;
    char first[OFREP_ETAG_SIZE], again[OFREP_ETAG_SIZE];
    static const char free_plan[] = "{\"context\": {\"plan\": \"free\"}}";
    etag_of(s, FLAGS, free_plan, first);
    assert_int_equal(strlen(first), 34);
    /* Neither by an attribute that no rule looks at, nor by a change that this context does not see. */
    assert_string_equal(etag_of(s, FLAGS, "{\"context\": {\"plan\": \"free\", \"x\": 1}}", again),
                        first);
    kit_import(
        s->store, "production",
        "{\"flags\": {\"plan\": {\"state\": \"ENABLED\", \"variants\": {\"y\": 3, \"n\": 1.5}, "
        "\"defaultVariant\": \"n\", \"targeting\": {\"if\": [{\"==\": [{\"var\": \"plan\"}, "
        "\"pro\"]}, "
        "\"y\", null]}}}}");
    assert_string_equal(etag_of(s, FLAGS, free_plan, again), first);
    assert_string_not_equal(etag_of(s, FLAGS, "{\"context\": {\"plan\": \"pro\"}}", again), first);
    kit_import(s->store, "production",
               "{\"flags\": {\"new\": {\"state\": \"ENABLED\", \"variants\": {\"x\": 1}}}}");
    assert_string_not_equal(etag_of(s, FLAGS, free_plan, again), first);
}

static void if_none_match_saves_the_body(void **state)
{
    struct site *s = *state;
    char etag[OFREP_ETAG_SIZE], weak[80], list[120];
    etag_of(s, FLAGS, "{}", etag);
    snprintf(weak, sizeof weak, "W/%s", etag);
    snprintf(list, sizeof list, "\"x\", %s", etag);
    const char *const same[] = {etag, weak, list, "*"}, *const other[] = {"\"x\"", "", "357b"};
    for (size_t i = 0; i < 4; i++) {
        ask(s,
            (struct kit_request){"POST",
                                 FLAGS,
                                 SLICE("{}"),
                                 {{"Content-Type", "application/json"}, {"If-None-Match", same[i]}},
                                 NULL});
        assert_int_equal(s->a.status, 304);
        assert_int_equal(s->a.body.len, 0);
        assert_string_equal(s->a.etag, etag);
    }
    for (size_t i = 0; i < 3; i++) {
        ask(s, (struct kit_request){
                   "POST",
                   FLAGS,
                   SLICE("{}"),
                   {{"Content-Type", "application/json"}, {"If-None-Match", other[i]}},
                   NULL});
        assert_int_equal(s->a.status, 200);
    }
}

/* ------------------------------------------------------------------ bad contexts */

static void no_context_is_an_empty_one(void **state)
{
    static const char *const bodies[] = {"", "{}", "{\"context\": null}", "{\"context\": {}}",
                                         "{\"x\": [1]}"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        post(s, FLAGS "/plan", bodies[i]);
        assert_int_equal(s->a.status, 200);
    }
}

static void assert_refused(struct site *s, struct slice body, const char *code)
{
    post_as(s, FLAGS "/on", body);
    assert_int_equal(s->a.status, 400);
    assert_contains(buf_str(&s->a.body), code);
    assert_contains(buf_str(&s->a.body), "{\"key\":\"on\",");
    assert_true(text_utf8(buf_slice(&s->a.body)));
    post_as(s, FLAGS, body);
    assert_int_equal(s->a.status, 400);
    assert_contains(buf_str(&s->a.body), code);
}

static void what_is_no_json_is_a_parse_error(void **state)
{
    static const char *const bodies[] = {"{",
                                         "nul",
                                         "{\"context\": {}} x",
                                         "{\"context\": {\"a\": NaN}}",
                                         "{\"context\": {\"a\": Infinity}}",
                                         "{\"context\": {\"a\": -}}",
                                         "{\"context\": {\"a\": 01}}",
                                         "{\"context\": {\"a\": 1e999}}",
                                         "{'context': {}}",
                                         "[1]",
                                         "null",
                                         "\"context\"",
                                         "{\"context\": {\"a\": \"\t\"}}"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_refused(s, slice_str(bodies[i]), "PARSE_ERROR");
    assert_refused(s, SLICE("{\"context\":\0 {}}"), "PARSE_ERROR");
}

static void a_context_that_is_none_is_named_so(void **state)
{
    static const char *const bodies[] = {"{\"context\": []}",
                                         "{\"context\": \"ana\"}",
                                         "{\"context\": 1}",
                                         "{\"context\": false}",
                                         "{\"context\": {\"targetingKey\": 7}}",
                                         "{\"context\": {\"targetingKey\": [\"ana\"]}}",
                                         "{\"context\": {\"targetingKey\": true}}"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_refused(s, slice_str(bodies[i]), "INVALID_CONTEXT");
    assert_refused(s, SLICE("{\"context\": {\"a\": \"\xff\xfe\"}}"), "INVALID_CONTEXT");
    assert_refused(s, SLICE("{\"context\": {\"\xc0\xaf\": 1}}"), "INVALID_CONTEXT");
}

static void a_context_nested_too_deep_or_with_too_much_in_it_is_refused(void **state)
{
    struct site *s = *state;
    struct buf body = BUF_INIT(2 << 20);
    buf_add_str(&body, "{\"context\": {\"a\": ");
    for (int i = 0; i < 1000; i++)
        buf_add_byte(&body, '[');
    for (int i = 0; i < 1000; i++)
        buf_add_byte(&body, ']');
    buf_add_str(&body, "}}");
    assert_refused(s, buf_slice(&body), "INVALID_CONTEXT");
    buf_clear(&body);
    buf_add_str(&body, "{\"context\": {\"a\": [1");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&body, ",1");
    buf_add_str(&body, "]}}");
    assert_refused(s, buf_slice(&body), "INVALID_CONTEXT");
    buf_done(&body);
}

static void a_body_of_a_mebibyte_is_read_and_a_longer_one_refused(void **state)
{
    struct site *s = *state;
    struct buf body = BUF_INIT(4 << 20);
    buf_add_str(&body, "{\"context\": {\"plan\": \"pro\", \"a\": \"");
    for (int i = 0; i < 1 << 20; i++)
        buf_add_byte(&body, 'a');
    buf_add_str(&body, "\"}}");
    assert_contains(post_as(s, FLAGS "/plan", buf_slice(&body)), "\"value\":2");
    for (int i = 0; i < 5000; i++)
        buf_add_byte(&body, ' ');
    post_as(s, FLAGS "/plan", buf_slice(&body));
    assert_int_equal(s->a.status, 413);
    buf_done(&body);
}

static void a_rule_that_takes_too_long_is_general_and_counted(void **state)
{
    struct site *s = *state;
    struct buf body = BUF_INIT(1 << 20);
    struct metric *limited =
        metric_series(METRIC_COUNTER, "hoist_ofrep_limited_evaluations_total", "", "", NULL);
    double before = metric_value(limited);
    buf_add_str(&body, "{\"context\": {\"many\": [1");
    for (int i = 0; i < 10000; i++)
        buf_add_str(&body, ",1");
    buf_add_str(&body, "]}}");
    assert_contains(post_as(s, FLAGS "/long", buf_slice(&body)), "\"errorCode\":\"GENERAL\"");
    assert_int_equal(s->a.status, 400);
    assert_true(metric_value(limited) == before + 1);
    buf_done(&body);
}

/* ------------------------------------------------------------------ heads */

static void method_and_content_type_are_looked_at(void **state)
{
    struct site *s = *state;
    static const char *const wrong[] = {"text/plain", "application/x-www-form-urlencoded",
                                        "application/jsonx", "", "application"};
    ask(s, (struct kit_request){"GET", FLAGS "/on", {0}, {{0}}, NULL});
    assert_int_equal(s->a.status, 405);
    assert_string_equal(s->a.allow, "POST");
    ask(s, (struct kit_request){"POST", "/ofrep/v1/events", {0}, {{0}}, NULL});
    assert_int_equal(s->a.status, 405);
    assert_string_equal(s->a.allow, "GET");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ask(s, (struct kit_request){
                   "POST", FLAGS "/on", SLICE("{}"), {{"Content-Type", wrong[i]}}, NULL});
        assert_int_equal(s->a.status, 415);
    }
    ask(s, (struct kit_request){"POST", FLAGS "/on", SLICE("{}"), {{"Content-Length", "2"}}, NULL});
    assert_int_equal(s->a.status, 415);
    ask(s, (struct kit_request){"POST",
                                FLAGS "/on",
                                SLICE("{}"),
                                {{"Content-Type", "Application/JSON; charset=utf-8"}},
                                NULL});
    assert_int_equal(s->a.status, 200);
    ask(s, (struct kit_request){
               "POST",
               FLAGS "/on",
               {0},
               {{"Content-Type", "application/json"}, {"Content-Length", "99999999999"}},
               NULL});
    assert_int_equal(s->a.status, 413);
}

static void what_the_server_knows_wins_over_the_request(void **state)
{
    struct site *s = *state;
    static const char *const context[] = {"region=eu", "plan=\"pro\"", "n=5"},
                             *const headers[] = {"X-Region=region"};
    start_with(s,
               (struct ofrep_config){
                   .context = context, .context_count = 3, .headers = headers, .header_count = 1});
    assert_contains(post(s, FLAGS "/who", "{\"context\": {\"region\": \"us\"}}"),
                    "\"variant\":\"eu\"");
    assert_contains(post(s, FLAGS "/plan", "{\"context\": {\"plan\": \"free\"}}"),
                    "\"variant\":\"y\"");
    ask(s, (struct kit_request){"POST",
                                FLAGS "/who",
                                SLICE("{}"),
                                {{"Content-Type", "application/json"}, {"x-region", "us"}},
                                NULL});
    assert_contains(buf_str(&s->a.body), "\"variant\":\"us\"");
}

static void wrong_options_are_refused_by_name(void **state)
{
    struct site *s = *state;
    static const char *const wrong[] = {"region", "=eu", "region=", ""};
    for (size_t i = 0; i < 4; i++) {
        struct ofrep_config config = {.store = s->store, .context = &wrong[i], .context_count = 1};
        assert_int_equal(ofrep_new(&config, &s->ofrep), HOIST_EINVAL);
        assert_contains(err_last(), "--context");
        config = (struct ofrep_config){.store = s->store, .headers = &wrong[i], .header_count = 1};
        assert_int_equal(ofrep_new(&config, &s->ofrep), HOIST_EINVAL);
        assert_contains(err_last(), "--context-from-header");
    }
    static const char *const origins[] = {"example.com", "https://a.example/path", "https://",
                                          "a b"};
    for (size_t i = 0; i < 4; i++) {
        struct ofrep_config config = {.store = s->store, .origins = &origins[i], .origin_count = 1};
        assert_int_equal(ofrep_new(&config, &s->ofrep), HOIST_EINVAL);
        assert_contains(err_last(), "--cors-origin");
    }
    struct ofrep_config config = {.store = s->store, .token_file = "/nowhere/at/all"};
    assert_int_equal(ofrep_new(&config, &s->ofrep), HOIST_EINVAL);
    assert_contains(err_last(), "--http-token-file: cannot read /nowhere/at/all");
    assert_null(s->ofrep);
}

static void tokens_are_asked_for_where_there_is_a_file_of_them(void **state)
{
    struct site *s = *state;
    char path[300];
    snprintf(path, sizeof path, "%s/tokens", s->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("# of the web shop\n\n  first-token \nsecond-token\n", f);
    fclose(f);
    struct ofrep_config config = {.store = s->store, .token_file = path};
    chmod(path, 0640);
    assert_int_equal(ofrep_new(&config, &s->ofrep), HOIST_EINVAL);
    assert_contains(err_last(), "chmod 600");
    chmod(path, 0600);
    start_with(s, (struct ofrep_config){.token_file = path});
    unlink(path);
    static const char *const good[] = {"Bearer first-token", "bearer second-token "};
    static const char *const bad[] = {
        "Bearer ",     "Bearer first",      "Bearer first-tokens",
        "first-token", "Basic first-token", "Bearer # of the web shop"};
    for (size_t i = 0; i < 2; i++) {
        ask(s,
            (struct kit_request){"POST",
                                 FLAGS "/on",
                                 SLICE("{}"),
                                 {{"Content-Type", "application/json"}, {"Authorization", good[i]}},
                                 NULL});
        assert_int_equal(s->a.status, 200);
    }
    for (size_t i = 0; i < 6; i++) {
        ask(s,
            (struct kit_request){"POST",
                                 FLAGS "/on",
                                 SLICE("{}"),
                                 {{"Content-Type", "application/json"}, {"Authorization", bad[i]}},
                                 NULL});
        assert_int_equal(s->a.status, 401);
        assert_true(s->a.unauthorized);
    }
    post(s, FLAGS "/on", "{}");
    assert_int_equal(s->a.status, 401);
    /* A page's EventSource has the ticket that stands in the bulk answer. */
    ask(s,
        (struct kit_request){"POST",
                             FLAGS,
                             SLICE("{}"),
                             {{"Content-Type", "application/json"}, {"X-API-Key", "first-token"}},
                             NULL});
    assert_int_equal(s->a.status, 200);
    const char *at = strstr(buf_str(&s->a.body), "?ticket=");
    assert_non_null(at);
    char ticket[33] = "", other[33] = "";
    memcpy(ticket, at + strlen("?ticket="), 32);
    memcpy(other, ticket, 33);
    other[31] ^= 1;
    ask(s, (struct kit_request){"GET", "/ofrep/v1/events", {0}, {{0}}, ticket});
    assert_non_null(s->a.stream);
    ask(s, (struct kit_request){"GET", "/ofrep/v1/events", {0}, {{0}}, other});
    assert_int_equal(s->a.status, 401);
    assert_null(s->a.stream);
    ask(s, (struct kit_request){"GET", "/env/staging/ofrep/v1/events", {0}, {{0}}, ticket});
    assert_int_equal(s->a.status, 401);
    ask(s, (struct kit_request){
               "POST", FLAGS "/on", SLICE("{}"), {{"Content-Type", "application/json"}}, ticket});
    assert_int_equal(s->a.status, 401);
}

static void a_store_that_is_not_filled_yet_is_not_ready(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->dir = kit_dir();
    s->store = kit_open(s->dir);
    start_with(s, (struct ofrep_config){0});
    assert_contains(post(s, FLAGS "/on", "{}"),
                    "{\"key\":\"on\",\"errorCode\":\"PROVIDER_NOT_READY\"");
    assert_int_equal(s->a.status, 500);
    post(s, FLAGS, "{}");
    assert_int_equal(s->a.status, 500);
    kit_import(s->store, "production", file);
    assert_contains(post(s, FLAGS "/on", "{}"), "\"value\":true");
}

/* One allocation fails, then the next: there is an answer each time, whole or an error. */
static void memory_that_runs_out_fails_one_request_alone(void **state)
{
    static const char *const paths[] = {FLAGS "/plan", FLAGS, FLAGS "/nothing",
                                        "/env/staging" FLAGS "/on"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (int n = 1;; n++) {
            mem_fail_at(n);
            const char *body =
                post(s, paths[i], "{\"context\": {\"plan\": \"pro\", \"a\": [1, \"b\"]}}");
            bool failed = mem_did_fail();
            mem_fail_at(0);
            assert_true(s->a.status == 200 || s->a.status == 404 || s->a.status == 500);
            assert_true(s->a.status == 500 || body[strlen(body) - 1] == '}');
            if (!failed)
                break;
        }
    }
    static const char *const context[] = {"region=eu"}, *const headers[] = {"X-Region=region"};
    for (int n = 1;; n++) {
        struct ofrep_config config = {.store = s->store,
                                      .context = context,
                                      .context_count = 1,
                                      .headers = headers,
                                      .header_count = 1};
        struct ofrep *more = NULL;
        mem_fail_at(n);
        enum hoist_err err = ofrep_new(&config, &more);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        assert_true(err == HOIST_OK || (failed && !more));
        ofrep_free(more);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define OWN(name) cmocka_unit_test_setup_teardown(name, make_store, stop)
        T(a_flag_is_answered_with_all_its_members),
        T(there_is_no_value_where_the_codes_default_counts),
        T(errors_have_the_protocols_codes_and_statuses),
        T(a_key_is_percent_decoded),
        T(odd_keys_have_a_defined_answer),
        T(another_environment_stands_before_the_path),
        T(what_is_no_path_of_ofreps_is_not_taken_for_one),
        T(all_flags_are_answered_in_order_of_their_keys),
        T(the_etag_changes_exactly_when_an_answer_does),
        T(if_none_match_saves_the_body),
        T(no_context_is_an_empty_one),
        T(what_is_no_json_is_a_parse_error),
        T(a_context_that_is_none_is_named_so),
        T(a_context_nested_too_deep_or_with_too_much_in_it_is_refused),
        T(a_body_of_a_mebibyte_is_read_and_a_longer_one_refused),
        T(a_rule_that_takes_too_long_is_general_and_counted),
        T(method_and_content_type_are_looked_at),
        T(memory_that_runs_out_fails_one_request_alone),
        OWN(what_the_server_knows_wins_over_the_request),
        OWN(wrong_options_are_refused_by_name),
        OWN(tokens_are_asked_for_where_there_is_a_file_of_them),
        cmocka_unit_test_teardown(a_store_that_is_not_filled_yet_is_not_ready, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
