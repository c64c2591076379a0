/* A Prometheus that lies, hangs or breaks off: one verdict each, and never one that lets a release go
 * on. Every query here passes with any finite value, so a value that leaks through would be seen. */
#include "http/prometheus.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/textfile.h"
#include "http/http.h"
#include "http/prometheus_int.h"

static const struct release_bound any = {RELEASE_LE, 1e300};

/* ------------------------------------------------------------------ a server that says anything */

enum way { WHOLE, HANG, DRIP, CUT, SLAM, ENDLESS /* until it is closed */ };

struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    atomic_bool stopping;
    _Atomic unsigned served, at_once, most_at_once;
    _Atomic enum way way;
    pthread_mutex_t lock;
    struct buf answer;  /* … */
    char request[8192]; /* the last one: under the lock */
};

struct connection {
    struct server *server;
    int fd;
};

static void read_request(struct server *s, int fd)
{
    char text[sizeof s->request] = "";
    size_t len = 0, want = 0;
    ssize_t n;
    while (len < sizeof text - 1 && (n = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0) {
        len += (size_t)n;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length: ");
        if (end && length)
            want = (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
        if (want && len >= want)
            break;
    }
    pthread_mutex_lock(&s->lock);
    memcpy(s->request, text, sizeof text);
    pthread_mutex_unlock(&s->lock);
}

static void hang(struct server *s, int fd)
{
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    while (!s->stopping && poll(&gone, 1, 20) == 0)
        ;
}

static void drip(struct server *s, int fd, struct slice answer)
{
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    for (size_t i = 0; i < answer.len && !s->stopping; i++)
        if (send(fd, answer.ptr + i, 1, MSG_NOSIGNAL) != 1 || poll(&gone, 1, 20) != 0)
            return;
}

static void send_all(int fd, struct slice answer)
{
    ssize_t n = 1;
    for (size_t at = 0; at < answer.len && n > 0; at += (size_t)n)
        n = send(fd, answer.ptr + at, answer.len - at, MSG_NOSIGNAL);
}

/* To be freed. */
static struct slice answer_of(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    struct slice own = {(uint8_t *)malloc(s->answer.len + 1), s->answer.len};
    if (s->answer.len)
        memcpy((uint8_t *)own.ptr, s->answer.ptr, own.len);
    pthread_mutex_unlock(&s->lock);
    return own;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    struct server *s = c->server;
    unsigned now = s->at_once;
    struct slice answer = answer_of(s);
    if (now > s->most_at_once)
        s->most_at_once = now;
    if (s->way != SLAM)
        read_request(s, c->fd);
    if (s->way == HANG)
        hang(s, c->fd);
    else if (s->way == DRIP)
        drip(s, c->fd, answer);
    else if (s->way != SLAM)
        send_all(c->fd, answer);
    free((uint8_t *)answer.ptr);
    shutdown(c->fd, SHUT_WR);
    close(c->fd);
    free(c);
    s->served++;
    s->at_once--; /* the server may go now */
    return NULL;
}

static void *accept_all(void *arg)
{
    struct server *s = arg;
    int fd;
    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        struct connection *c = malloc(sizeof *c);
        pthread_t thread;
        *c = (struct connection){s, fd};
        s->at_once++; /* here: who waits for the last one waits for one that has not begun, too */
        assert_int_equal(pthread_create(&thread, NULL, serve, c), 0);
        pthread_detach(thread);
    }
    return NULL;
}

static int set_up(void **state)
{
    struct server *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    s->answer = BUF_INIT(32 << 20);
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(s->fd, 100), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, accept_all, s), 0);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct server *s = *state;
    s->stopping = true;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (int i = 0; i < 500 && s->at_once > 0; i++)
        usleep(10000);
    buf_done(&s->answer);
    free(s);
    return 0;
}

static void say(struct server *s, enum way way, const char *head, struct slice body)
{
    pthread_mutex_lock(&s->lock);
    buf_clear(&s->answer);
    buf_printf(&s->answer, "HTTP/1.1 %s\r\n", head);
    if (way != ENDLESS)
        buf_printf(&s->answer, "Content-Length: %zu\r\n", way == CUT ? body.len + 40 : body.len);
    buf_add_str(&s->answer, "\r\n");
    buf_add_slice(&s->answer, body);
    pthread_mutex_unlock(&s->lock);
    s->way = way;
}

/* Whether the last request has this in it. */
static bool was_asked(struct server *s, const char *text)
{
    pthread_mutex_lock(&s->lock);
    bool found = strcasestr(s->request, text);
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* As Prometheus says it; @T in `body` is the time now. */
static void say_json(struct server *s, const char *body)
{
    struct buf text = BUF_INIT(1 << 20);
    for (const char *p = body; *p; p++)
        if (strncmp(p, "@T", 2) == 0) {
            buf_printf(&text, "%.3f", (double)clock_wall_ms() / 1000);
            p++;
        } else {
            buf_add_byte(&text, (uint8_t)*p);
        }
    say(s, WHOLE, "200 OK\r\nContent-Type: application/json", buf_slice(&text));
    buf_done(&text);
}

#define VECTOR(result)                                                                             \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" result "]}}"
#define SAMPLE(value) "{\"metric\":{\"a\":\"b\"},\"value\":[@T,\"" value "\"]}"

/* ------------------------------------------------------------------ asking it */

static struct prometheus *start(const struct server *s, int64_t timeout_ms)
{
    char url[64];
    struct prometheus *p;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", s->port);
    struct prometheus_config config = {.url = url, .timeout_ms = timeout_ms};
    assert_int_equal(prometheus_start(&config, &p), HOIST_OK);
    return p;
}

static struct prometheus_answer ask(struct prometheus *p)
{
    struct prometheus_query q = {.text = "sum(up) & 1", .pass = any};
    struct prometheus_answer a;
    assert_int_equal(prometheus_ask_wait(p, &q, 1, &a), HOIST_OK);
    return a;
}

static struct prometheus_answer ask_once(const struct server *s)
{
    struct prometheus *p = start(s, 20000);
    struct prometheus_answer a = ask(p);
    prometheus_stop(p);
    return a;
}

static void assert_no_value(const struct prometheus_answer *a, enum release_verdict verdict,
                            const char *why)
{
    if (a->verdict != verdict || !strstr(a->why, why))
        fail_msg("%s, %s; not %s with '%s'", release_verdict_name(a->verdict), a->why,
                 release_verdict_name(verdict), why);
    assert_true(isnan(a->value));
    for (const char *p = a->why; *p; p++)
        assert_true((uint8_t)*p >= ' ');
}

static void one_finite_sample_is_judged(void **state)
{
    static const struct {
        const char *value;
        double is;
    } cases[] = {
        {"0.0125", 0.0125}, {"-3", -3}, {"1e-07", 1e-7}, {"9007199254740993", 9007199254740992}};
    struct server *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[200];
        snprintf(body, sizeof body, VECTOR(SAMPLE("%s")), cases[i].value);
        say_json(s, body);
        struct prometheus_answer a = ask_once(s);
        assert_string_equal(a.why, "");
        assert_int_equal(a.verdict, RELEASE_PASS);
        assert_true(a.value == cases[i].is);
    }
}

static void a_query_is_posted_as_a_form_with_the_time_it_has(void **state)
{
    struct server *s = *state;
    say_json(s, VECTOR(SAMPLE("1")));
    assert_int_equal(ask_once(s).verdict, RELEASE_PASS);
    assert_true(was_asked(s, "POST /api/v1/query HTTP/1.1\r\n"));
    assert_true(was_asked(s, "Content-Type: application/x-www-form-urlencoded"));
    assert_true(was_asked(s, "&query=%73%75%6D%28%75%70%29%20%26%20%31"));
    assert_true(was_asked(s, "timeout="));
    assert_false(was_asked(s, "authorization:"));
    assert_false(was_asked(s, "accept-encoding:"));
}

/* ------------------------------------------------------------------ lies */

static void what_prometheus_does_not_measure_is_no_data(void **state)
{
    static const char *const cases[][2] = {
        {VECTOR(""), "no series"},
        {VECTOR(SAMPLE("NaN")), "NaN"},
        {VECTOR(SAMPLE("+Inf")), "+Inf"},
        {VECTOR(SAMPLE("-Inf")), "-Inf"},
        {VECTOR(SAMPLE("1e400")), "+Inf"},
        {VECTOR(SAMPLE("1") "," SAMPLE("1")), "2 series: make them one"},
        {VECTOR("{\"metric\":{},\"value\":[1700000000,\"1\"]}"), "s old: compare the clocks"},
        {VECTOR("{\"metric\":{},\"value\":[99999999999,\"1\"]}"), "s in the future"},
        {"{\"status\":\"success\",\"warnings\":[\"a remote\\nread "
         "failed\"],\"data\":{\"resultType\":"
         "\"vector\",\"result\":[" SAMPLE("1") "]}}",
         "not be whole: a remote read failed"},
    };
    struct server *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say_json(s, cases[i][0]);
        struct prometheus_answer a = ask_once(s);
        assert_no_value(&a, RELEASE_NODATA, cases[i][1]);
    }
}

static void what_is_no_answer_of_prometheus_is_an_error(void **state)
{
    static const char *const cases[][2] = {
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[@T,\"1\"]}}",
         "with a scalar"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[@T,\"1\"]}}",
         "with a string"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},"
         "\"values\":[[@T,\"1\"]]}]}}",
         "with a matrix"},
        {VECTOR("{\"metric\":{},\"histogram\":[@T,{\"count\":\"1\"}]}"), "with a histogram"},
        {VECTOR("{\"metric\":{},\"value\":[@T,1]}"), "no time and value"},
        {VECTOR("{\"metric\":{},\"value\":[\"@T\",\"1\"]}"), "no time and value"},
        {VECTOR("{\"metric\":{},\"value\":[@T,\"1\",\"1\"]}"), "no time and value"},
        {VECTOR("{\"metric\":{}}"), "no time and value"},
        {VECTOR("1"), "no time and value"},
        {VECTOR(SAMPLE("1 ")), "no time and value"},
        {VECTOR(SAMPLE("0x1")), "no time and value"},
        {VECTOR(SAMPLE("nan")), "no time and value"},
        {VECTOR(SAMPLE("")), "no time and value"},
        {VECTOR("{\"metric\":{},\"value\":[1e400,\"1\"]}"), "no JSON"},
        {"{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"query\\ntimed out\"}",
         "refuses the query (status 200): query timed out"},
        {"{\"status\":\"error\",\"error\":\"x\",\"data\":{\"resultType\":\"vector\",\"result\":"
         "[" SAMPLE("1") "]}}",
         "refuses the query"},
        {"{\"data\":{\"resultType\":\"vector\",\"result\":[" SAMPLE("1") "]}}", "neither success"},
        {"{\"status\":true,\"data\":{\"resultType\":\"vector\",\"result\":[" SAMPLE("1") "]}}",
         "neither success"},
        {"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":{}}}",
         "no result"},
        {"{\"status\":\"success\",\"data\":[]}", "no result"},
        {"{\"status\":\"success\",\"status\":\"success\",\"data\":{}}", "no JSON"},
        {VECTOR(SAMPLE("1")) "x", "no JSON"},
        {"[]", "no JSON"},
        {"", "no JSON"},
    };
    struct server *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say_json(s, cases[i][0]);
        struct prometheus_answer a = ask_once(s);
        assert_no_value(&a, RELEASE_ERROR, cases[i][1]);
    }
}

static void an_answer_that_is_not_200_and_json_is_an_error(void **state)
{
    static const char json[] = "\r\nContent-Type: application/json";
    static const struct {
        const char *head, *type, *why;
    } cases[] = {{"503 Service Unavailable", "\r\nContent-Type: text/plain", "with status 503"},
                 {"503 Service Unavailable", json, "status 503 and neither success"},
                 {"301 Moved\r\nLocation: http://127.0.0.1:1/", json, "redirects"},
                 {"307 Elsewhere\r\nLocation: /api/v1/query", json, "redirects"},
                 {"401 Who\r\nWWW-Authenticate: Basic", json, "--prometheus-token-file"},
                 {"403 No", json, "does not let us in"},
                 {"404 Not Found", "\r\nContent-Type: text/plain", "what stands before /api/v1"},
                 {"200 OK", "\r\nContent-Type: text/html", "with text/html"},
                 {"200 OK", "\r\nContent-Type: application/jsonx", "with application/jsonx"},
                 {"200 OK", "", "no content type"}};
    static const char text[] = VECTOR("{\"metric\":{},\"value\":[1,\"1\"]}");
    struct server *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[200];
        snprintf(head, sizeof head, "%s%s", cases[i].head, cases[i].type);
        say(s, WHOLE, head, slice_str(text));
        struct prometheus_answer a = ask_once(s);
        assert_no_value(&a, RELEASE_ERROR, cases[i].why);
    }
    assert_int_equal(s->served, sizeof cases / sizeof *cases); /* no redirect was followed */
}

static void json_without_an_end_of_depth_is_an_error(void **state)
{
    struct server *s = *state;
    struct buf deep = BUF_INIT(1 << 20);
    buf_add_str(&deep, "{\"status\":");
    for (int i = 0; i < 400000; i++)
        buf_add_byte(&deep, '[');
    say(s, WHOLE, "200 OK\r\nContent-Type: application/json", buf_slice(&deep));
    buf_done(&deep);
    struct prometheus_answer a = ask_once(s);
    assert_no_value(&a, RELEASE_ERROR, "no JSON");
}

static void an_answer_that_is_too_long_is_left(void **state)
{
    struct server *s = *state;
    struct buf big = BUF_INIT(16 << 20);
    for (int i = 0; i < 10 << 10; i++)
        for (int j = 0; j < 16; j++)
            buf_add_str(&big, "                                                                ");
    say(s, WHOLE, "200 OK\r\nContent-Type: application/json", buf_slice(&big));
    struct prometheus_answer a = ask_once(s);
    assert_no_value(&a, RELEASE_ERROR, "longer than 1048576 bytes");

    /* and where nothing says how long it is */
    say(s, ENDLESS, "200 OK\r\nContent-Type: application/json", buf_slice(&big));
    buf_done(&big);
    a = ask_once(s);
    assert_no_value(&a, RELEASE_ERROR, "longer than 1048576 bytes");
}

static void an_answer_that_breaks_off_is_an_error(void **state)
{
    struct server *s = *state;
    say(s, CUT, "200 OK\r\nContent-Type: application/json",
        SLICE(VECTOR("{\"metric\":{},\"value\":[1,\"1\"]}")));
    struct prometheus_answer a = ask_once(s);
    assert_no_value(&a, RELEASE_ERROR, "broke off");
    s->way = SLAM;
    a = ask_once(s);
    assert_no_value(&a, RELEASE_ERROR, "broke off");
}

static void where_nobody_listens_is_an_error(void **state)
{
    struct server nobody = {.port = 1};
    struct prometheus_answer a = ask_once(&nobody);
    assert_no_value(&a, RELEASE_ERROR, "does Prometheus run");
    (void)state;
}

/* ------------------------------------------------------------------ time */

struct waiting {
    atomic_int done;
    enum release_verdict verdicts[100];
};

static void on_done(void *arg, const struct prometheus_answer *answers, uint32_t count)
{
    struct waiting *w = arg;
    for (uint32_t i = 0; i < count; i++)
        w->verdicts[i] = answers[i].verdict;
    w->done++;
}

static void whoever_asks_a_prometheus_that_hangs_goes_on_at_once(void **state)
{
    static const enum way ways[] = {HANG, DRIP};
    struct server *s = *state;
    struct prometheus_query queries[100];
    for (int i = 0; i < 100; i++)
        queries[i] = (struct prometheus_query){.text = "up", .pass = any};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct waiting waiting = {0};
        say_json(s, VECTOR(SAMPLE("1")));
        s->way = ways[w];
        s->most_at_once = 0;
        struct prometheus *p = start(s, 700);
        int64_t began = clock_mono_ms();
        assert_int_equal(prometheus_ask(p, queries, 100, on_done, &waiting), HOIST_OK);
        assert_true(clock_mono_ms() - began < 500);
        while (!waiting.done && clock_mono_ms() - began < 20000)
            usleep(10000);
        assert_int_equal(waiting.done, 1);
        int64_t took = clock_mono_ms() - began;
        assert_true(took >= 650 && took < 10000); /* together, not one after another: 70 s */
        for (int i = 0; i < 100; i++)
            assert_int_equal(waiting.verdicts[i], RELEASE_ERROR);
        assert_true(s->most_at_once > 1 && s->most_at_once <= 17);
        prometheus_stop(p);
    }
}

static void one_that_hangs_says_how_long_it_was_waited_for(void **state)
{
    struct server *s = *state;
    s->way = HANG;
    struct prometheus *p = start(s, 100);
    struct prometheus_answer a = ask(p);
    assert_no_value(&a, RELEASE_ERROR, "within 100 ms");
    prometheus_stop(p);
}

static void what_is_asked_at_the_end_is_answered(void **state)
{
    struct server *s = *state;
    struct waiting waiting = {0};
    struct prometheus_query queries[40];
    for (int i = 0; i < 40; i++)
        queries[i] = (struct prometheus_query){.text = "up", .pass = any};
    s->way = HANG;
    struct prometheus *p = start(s, 60000);
    assert_int_equal(prometheus_ask(p, queries, 40, on_done, &waiting), HOIST_OK);
    usleep(50000);
    int64_t began = clock_mono_ms();
    prometheus_stop(p);
    assert_true(clock_mono_ms() - began < 5000);
    assert_int_equal(waiting.done, 1);
    for (int i = 0; i < 40; i++)
        assert_int_equal(waiting.verdicts[i], RELEASE_ERROR);
}

static void more_than_can_be_asked_is_put_off(void **state)
{
    struct server *s = *state;
    struct prometheus_query q = {.text = "up", .pass = any};
    struct prometheus_query *many = calloc(PROMETHEUS_ASKED_MAX, sizeof *many);
    struct waiting waiting = {0};
    for (int i = 0; i < PROMETHEUS_ASKED_MAX; i++)
        many[i] = q;
    s->way = HANG;
    struct prometheus *p = start(s, 60000);
    assert_int_equal(prometheus_ask(p, &q, 1, on_done, &waiting), HOIST_OK);
    assert_int_equal(prometheus_ask(p, many, PROMETHEUS_ASKED_MAX, on_done, &waiting),
                     HOIST_EAGAIN);
    assert_int_equal(prometheus_ask(p, many, 90, on_done, &waiting), HOIST_OK);
    prometheus_stop(p);
    assert_int_equal(waiting.done, 2);
    free(many);
}

static void a_query_that_is_none_is_refused(void **state)
{
    struct prometheus *p = start(*state, 1000);
    struct prometheus_query empty = {.text = ""}, long_one = {.text = mem_zalloc(1, 20000)};
    memset((char *)long_one.text, 'x', 19999);
    assert_int_equal(prometheus_ask(p, &empty, 1, on_done, NULL), HOIST_EINVAL);
    assert_int_equal(prometheus_ask(p, &long_one, 1, on_done, NULL), HOIST_EINVAL);
    assert_int_equal(prometheus_ask(p, &empty, 0, on_done, NULL), HOIST_EINVAL);
    mem_free((char *)long_one.text);
    prometheus_stop(p);
}

static void queries_and_errors_are_counted(void **state)
{
    struct server *s = *state;
    struct metric *errors =
        metric_series(METRIC_COUNTER, "hoist_prometheus_query_errors_total", "", "", NULL);
    struct metric *seconds =
        metric_series(METRIC_HISTOGRAM, "hoist_prometheus_query_duration_seconds", "", "", NULL);
    double errors_before = metric_value(errors), before = metric_value(seconds);
    say_json(s, VECTOR(SAMPLE("1")));
    assert_int_equal(ask_once(s).verdict, RELEASE_PASS);
    assert_true(metric_value(errors) == errors_before && metric_value(seconds) > before);
    say_json(s, "{}");
    assert_int_equal(ask_once(s).verdict, RELEASE_ERROR);
    assert_true(metric_value(errors) == errors_before + 1);
}

/* Each allocation in turn is the one that fails: there is an error then, or no matter, and never a
 * value that was not there. */
static void where_memory_is_out_there_is_an_error(void **state)
{
    struct server *s = *state;
    char url[64];
    int n = 1;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", s->port);
    struct prometheus_config config = {.url = url};
    struct prometheus_query q = {.text = "up", .pass = any};
    say_json(s, VECTOR(SAMPLE("7")));
    for (bool failed = true; failed; n++) {
        struct prometheus *p = NULL;
        struct prometheus_answer a = {.verdict = RELEASE_ERROR};
        mem_fail_at(n);
        enum hoist_err err = prometheus_start(&config, &p);
        if (!err)
            err = prometheus_ask_wait(p, &q, 1, &a);
        prometheus_stop(p);
        failed = mem_did_fail();
        mem_fail_at(0);
        assert_true(err == HOIST_OK || err == HOIST_ENOMEM);
        assert_true(a.verdict == RELEASE_ERROR || (a.verdict == RELEASE_PASS && a.value == 7));
    }
    assert_true(n > 10);
}

/* ------------------------------------------------------------------ who is asked, and with what */

static void refused(struct prometheus_config config, const char *why)
{
    struct prometheus *p = NULL;
    assert_int_equal(prometheus_start(&config, &p), HOIST_EINVAL);
    if (!strstr(hoist_last_error(), why))
        fail_msg("%s; not '%s'", hoist_last_error(), why);
    assert_null(p);
}

static void settings_that_cannot_work_are_refused_at_the_start(void **state)
{
    refused((struct prometheus_config){.url = "prometheus:9090"}, "http://127.0.0.1:9090");
    refused((struct prometheus_config){.url = ""}, "http://127.0.0.1:9090");
    refused((struct prometheus_config){.url = "ftp://127.0.0.1"}, "no http:// or https:// URL");
    refused((struct prometheus_config){.url = "file:///etc/passwd"}, "no http");
    refused((struct prometheus_config){.url = "http://a:b@127.0.0.1"}, "--prometheus-user-file");
    refused((struct prometheus_config){.url = "http://127.0.0.1/?query=up"}, "behind the '?'");
    refused((struct prometheus_config){.url = "http://prometheus:9090"}, "--insecure");
    refused((struct prometheus_config){.url = "http://127.0.0.1", .cert = "x"}, "belong together");
    refused((struct prometheus_config){.url = "http://127.0.0.1", .token_file = "/nowhere"},
            "--prometheus-token-file");
    refused((struct prometheus_config){.url = "https://127.0.0.1", .ca = "/dev/null"},
            "--prometheus-ca");
    (void)state;
}

static void write_file(char path[64], const char *name, const char *text)
{
    snprintf(path, 64, "/dev/shm/hoist-test-%d-%s", (int)getpid(), name);
    unlink(path);
    assert_int_equal(textfile_write(path, slice_str(text), 0600, false), HOIST_OK);
}

static void a_token_is_brought_and_what_is_new_in_its_file_counts(void **state)
{
    struct server *s = *state;
    char url[64], path[64];
    struct prometheus *p;
    write_file(path, "token", "first-token\n");
    snprintf(url, sizeof url, "http://localhost:%u", s->port);
    struct prometheus_config config = {.url = url, .token_file = path};
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* nothing of it is used */
    assert_int_equal(prometheus_start(&config, &p), HOIST_OK);
    say_json(s, VECTOR(SAMPLE("1")));
    assert_int_equal(ask(p).verdict, RELEASE_PASS);
    unsetenv("http_proxy");
    assert_true(was_asked(s, "Authorization: Bearer first-token\r\n"));
    write_file(path, "token", "second-token\n");
    assert_int_equal(ask(p).verdict, RELEASE_PASS);
    assert_true(was_asked(s, "Authorization: Bearer second-token\r\n"));
    assert_int_equal(chmod(path, 0644), 0);
    struct prometheus_answer a = ask(p);
    assert_no_value(&a, RELEASE_ERROR, "chmod 600");
    prometheus_stop(p);
    refused(config, "chmod 600");
    unlink(path);
}

static void a_user_and_password_are_brought(void **state)
{
    struct server *s = *state;
    char url[64], path[64];
    struct prometheus *p;
    write_file(path, "user", "ana:pass word\n");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/prom/", s->port);
    struct prometheus_config config = {.url = url, .user_file = path};
    assert_int_equal(prometheus_start(&config, &p), HOIST_OK);
    say_json(s, VECTOR(SAMPLE("1")));
    assert_int_equal(ask(p).verdict, RELEASE_PASS);
    assert_true(was_asked(s, "POST /prom/api/v1/query HTTP"));
    assert_true(was_asked(s, "Authorization: Basic YW5hOnBhc3Mgd29yZA==\r\n"));
    prometheus_stop(p);
    write_file(path, "user", "ana\n");
    refused(config, "USER:PASSWORD");
    unlink(path);
}

/* ------------------------------------------------------------------ TLS */

static bool ready(void *arg, struct buf *why_not)
{
    (void)arg;
    (void)why_not;
    return true;
}

static enum hoist_err status(void *arg, struct buf *out)
{
    (void)arg;
    (void)out;
    return HOIST_EIO;
}

static struct cert_pair issue(const struct cert_pair *ca, bool server)
{
    static const char *const hosts[] = {"127.0.0.1"};
    int64_t now = clock_wall_ms();
    struct cert_order o = {.name = server ? "server" : "ana",
                           .hosts = hosts,
                           .host_count = server,
                           .from_ms = now - 86400000,
                           .until_ms = now + 86400000};
    struct cert_pair pair;
    enum hoist_err err = ca ? cert_make(ca, &o, &pair) : cert_make_ca(&o, &pair);
    assert_int_equal(err, HOIST_OK);
    return pair;
}

/* That it has no such page is the first thing that is said behind a TLS connection which holds. */
static void over_tls(unsigned port, const char *host, const char *ca, const char *cert,
                     const char *key, const char *why)
{
    char url[64];
    struct prometheus *p;
    snprintf(url, sizeof url, "https://%s:%u", host, port);
    struct prometheus_config config = {.url = url, .ca = ca, .cert = cert, .key = key};
    assert_int_equal(prometheus_start(&config, &p), HOIST_OK);
    struct prometheus_answer a = ask(p);
    assert_no_value(&a, RELEASE_ERROR, why);
    prometheus_stop(p);
}

static void a_certificate_must_be_of_the_name_and_the_ca(void **state)
{
    struct server *port_of = *state;
    struct cert_pair ca = issue(NULL, false), other = issue(NULL, false);
    struct cert_pair own = issue(&ca, true), client = issue(&ca, false);
    struct tls_files tls = {.cert = own.cert, .key = own.key, .ca = ca.cert};
    char ca_file[64], other_file[64], cert_file[64], key_file[64], address[64];
    struct http *http;
    write_file(ca_file, "ca", ca.cert);
    write_file(other_file, "other", other.cert);
    write_file(cert_file, "cert", client.cert);
    write_file(key_file, "key", client.key);
    unsigned port = port_of->port;
    shutdown(port_of->fd, SHUT_RDWR); /* the port is free for another */
    pthread_join(port_of->thread, NULL);
    close(port_of->fd);
    snprintf(address, sizeof address, "https://127.0.0.1:%u", port);
    struct http_config config = {.listen = address, .ready = ready, .status = status, .tls = &tls};
    assert_int_equal(http_start(&config, &http), HOIST_OK);

    over_tls(port, "127.0.0.1", ca_file, cert_file, key_file, "what stands before /api/v1");
    over_tls(port, "localhost", ca_file, cert_file, key_file, "--prometheus-ca");
    over_tls(port, "127.0.0.1", other_file, cert_file, key_file, "--prometheus-ca");
    over_tls(port, "127.0.0.1", NULL, cert_file, key_file, "--prometheus-ca");
    over_tls(port, "127.0.0.1", ca_file, NULL, NULL, "");

    http_stop(http);
    const char *files[] = {ca_file, other_file, cert_file, key_file};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(files[i]);
    cert_pair_done(&ca);
    cert_pair_done(&other);
    cert_pair_done(&own);
    cert_pair_done(&client);
    port_of->fd = -1;
    port_of->stopping = true;
    assert_int_equal(pthread_create(&port_of->thread, NULL, accept_all, port_of), 0);
}

static void a_span_has_no_more_points_than_prometheus_answers(void **state)
{
    const int64_t hour = 3600000, spans[] = {0, 1, 999, hour, 72 * hour, 366 * 24 * hour},
                  least[] = {100, 15000, 24 * hour};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        for (size_t k = 0; k < sizeof least / sizeof *least; k++) {
            struct prometheus_range r = {.from_ms = 7, .to_ms = 7 + spans[i]};
            r.step_ms = prometheus_range_step(spans[i], least[k]);
            assert_true(r.step_ms >= least[k]);
            assert_in_range(prometheus_range_points(&r), 1, PROMETHEUS_POINTS_MAX);
        }
    struct prometheus_range days = {.to_ms = 72 * hour,
                                    .step_ms = prometheus_range_step(72 * hour, 15000)};
    assert_in_range(prometheus_range_points(&days), 9900, PROMETHEUS_POINTS_MAX);
    struct prometheus_range backwards = {.from_ms = 1, .to_ms = 0, .step_ms = 1};
    assert_int_equal(prometheus_range_points(&backwards), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_finite_sample_is_judged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_is_posted_as_a_form_with_the_time_it_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_prometheus_does_not_measure_is_no_data, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_answer_of_prometheus_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_not_200_and_json_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(json_without_an_end_of_depth_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_is_too_long_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_an_error, set_up, tear_down),
        cmocka_unit_test(where_nobody_listens_is_an_error),
        cmocka_unit_test(a_span_has_no_more_points_than_prometheus_answers),
        cmocka_unit_test_setup_teardown(whoever_asks_a_prometheus_that_hangs_goes_on_at_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_hangs_says_how_long_it_was_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_at_the_end_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_can_be_asked_is_put_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_that_is_none_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries_and_errors_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_memory_is_out_there_is_an_error, set_up, tear_down),
        cmocka_unit_test(settings_that_cannot_work_are_refused_at_the_start),
        cmocka_unit_test_setup_teardown(a_token_is_brought_and_what_is_new_in_its_file_counts,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_user_and_password_are_brought, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_certificate_must_be_of_the_name_and_the_ca, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
