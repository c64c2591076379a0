/* The HTTP side, asked over real sockets. */
#include "http/http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"

enum { PATIENCE_S = 20, ANSWER_MAX = 1 << 16 };

struct site { /* one server, and what it is to say */
    struct http *http;
    uint16_t port;
    char address[64];
    bool is_ready;
    bool has_status;
    char answer[ANSWER_MAX];
};

static bool ready(void *arg, struct buf *why_not)
{
    struct site *s = arg;
    if (!s->is_ready)
        buf_add_str(why_not, "environment 'production' has not been filled yet");
    return s->is_ready;
}

static enum hoist_err status(void *arg, struct buf *out)
{
    struct site *s = arg;
    if (!s->has_status)
        return err_set(HOIST_EIO, "the store is gone");
    buf_add_str(out, "{\"host\":\"h1\"}");
    return HOIST_OK;
}

/* A port that is free at this moment. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static struct http_config config_of(struct site *s)
{
    return (struct http_config){
        .listen = s->address, .ready = ready, .status = status, .arg = s, .connections_max = 256};
}

static int start(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->port = free_port();
    s->is_ready = s->has_status = true;
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", s->port);
    struct http_config config = config_of(s);
    assert_int_equal(http_start(&config, &s->http), HOIST_OK);
    *state = s;
    return 0;
}

static int stop(void **state)
{
    struct site *s = *state;
    http_stop(s->http);
    free(s);
    return 0;
}

static int dial_from(const struct site *s, uint32_t address)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(address)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static int dial(const struct site *s)
{
    return dial_from(s, INADDR_LOOPBACK);
}

/* What comes until the other side closes; a reset ends it as well. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        ssize_t n = recv(fd, out + len, size - len - 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    out[len] = '\0';
    return len;
}

/* Send `request`, and return the whole answer. */
static const char *ask_raw(struct site *s, const void *request, size_t len)
{
    int fd = dial(s);
    assert_true(send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len);
    read_all(fd, s->answer, sizeof s->answer);
    close(fd);
    return s->answer;
}

static const char *ask(struct site *s, const char *method, const char *path)
{
    char request[300];
    int len =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    return ask_raw(s, request, (size_t)len);
}

static const char *body_of(const char *answer)
{
    const char *gap = strstr(answer, "\r\n\r\n");
    assert_non_null(gap);
    return gap + 4;
}

static void assert_status(const char *answer, int status_code)
{
    char line[40];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status_code);
    if (strncmp(answer, line, strlen(line)) != 0)
        fail_msg("expected %d, got: %.200s", status_code, answer);
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %.600s", part, text);
}

/* ------------------------------------------------------------------ pages */

static void healthz_says_ok_whatever_else_is_wrong(void **state)
{
    struct site *s = *state;
    s->is_ready = s->has_status = false;
    const char *answer = ask(s, "GET", "/healthz");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "ok\n");
}

static void readyz_tells_why_it_is_not_ready(void **state)
{
    struct site *s = *state;
    assert_status(ask(s, "GET", "/readyz"), 200);
    s->is_ready = false;
    const char *answer = ask(s, "GET", "/readyz");
    assert_status(answer, 503);
    assert_contains(body_of(answer), "'production' has not been filled yet\n");
}

static void metrics_come_in_prometheus_text_format(void **state)
{
    struct site *s = *state;
    metric_set(metric_series(METRIC_GAUGE, "hoist_test_pages", "A gauge.", "", NULL), 3);
    const char *answer = ask(s, "GET", "/metrics");
    assert_status(answer, 200);
    assert_contains(answer, "Content-Type: text/plain; version=0.0.4");
    assert_contains(body_of(answer), "# TYPE hoist_test_pages gauge\nhoist_test_pages 3\n");
}

static void status_is_the_json_of_the_role(void **state)
{
    struct site *s = *state;
    const char *answer = ask(s, "GET", "/status");
    assert_status(answer, 200);
    assert_contains(answer, "Content-Type: application/json");
    assert_contains(answer, "Cache-Control: no-store");
    assert_string_equal(body_of(answer), "{\"host\":\"h1\"}");
}

static void a_status_that_fails_says_why(void **state)
{
    struct site *s = *state;
    s->has_status = false;
    const char *answer = ask(s, "GET", "/status");
    assert_status(answer, 503);
    assert_string_equal(body_of(answer), "the store is gone\n");
}

static void head_is_get_without_the_body(void **state)
{
    struct site *s = *state;
    const char *answer = ask(s, "HEAD", "/healthz");
    assert_status(answer, 200);
    assert_contains(answer, "Content-Length: 3\r\n");
    assert_string_equal(body_of(answer), "");
}

static void a_query_does_not_hide_the_page(void **state)
{
    assert_status(ask(*state, "GET", "/healthz?x=1"), 200);
}

static void an_unknown_path_is_404(void **state)
{
    assert_status(ask(*state, "GET", "/"), 404);
    assert_status(ask(*state, "GET", "/metrics/"), 404);
    assert_status(ask(*state, "POST", "/nothing"), 404);
}

static void another_method_is_405_and_names_the_right_ones(void **state)
{
    const char *answer = ask(*state, "DELETE", "/metrics");
    assert_status(answer, 405);
    assert_contains(answer, "Allow: GET, HEAD\r\n");
}

static void one_connection_takes_several_requests(void **state)
{
    struct site *s = *state;
    static const char two[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
                              "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const char *answer = ask_raw(s, two, sizeof two - 1);
    assert_status(answer, 200);
    assert_contains(answer, "ok\n");
    assert_contains(answer, "ready\n");
}

/* ------------------------------------------------------------------ bad clients */

static void a_body_is_not_waited_for(void **state)
{
    struct site *s = *state;
    static const char endless[] = "POST /healthz HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 9999999999\r\n\r\nand so on";
    static const char chunked[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";
    /* read_all() returns only when the server closes: it does, with the body still to come. */
    assert_status(ask_raw(s, endless, sizeof endless - 1), 405);
    assert_status(ask_raw(s, chunked, sizeof chunked - 1), 200);
}

static void noise_ends_its_own_connection_alone(void **state)
{
    struct site *s = *state;
    char noise[20000];
    unsigned seed = 7;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 1103515245 + 12345;
        noise[i] = (char)(seed >> 16);
    }
    memcpy(noise + sizeof noise - 4, "\r\n\r\n", 4);
    ask_raw(s, noise, sizeof noise);
    ask_raw(s, "\r\n\r\n\r\n\r\nGET\r\n\r\n", 15);
    assert_status(ask(s, "GET", "/healthz"), 200);
}

static void a_head_too_long_is_refused(void **state)
{
    struct site *s = *state;
    static char request[60000];
    int len = snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: ");
    memset(request + len, 'x', sizeof request - (size_t)len);
    int fd = dial(s);
    send(fd, request, sizeof request, MSG_NOSIGNAL);
    read_all(fd, s->answer, sizeof s->answer);
    close(fd);
    assert_null(strstr(s->answer, " 200 "));
    assert_status(ask(s, "GET", "/healthz"), 200);
}

static void more_connections_than_it_takes_are_turned_away(void **state)
{
    struct site *s = *state;
    int fds[300];
    for (size_t i = 0; i < 300; i++)
        fds[i] = dial(s);
    /* One beyond the limit is closed; those within it are answered. */
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_true(send(fds[0], request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    read_all(fds[0], s->answer, sizeof s->answer);
    assert_status(s->answer, 200);
    for (size_t i = 0; i < 300; i++)
        close(fds[i]);
    for (int i = 0; i < 2000; i++) {
        int fd = dial(s);
        s->answer[0] = '\0';
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0)
            read_all(fd, s->answer, sizeof s->answer);
        close(fd);
        if (*s->answer)
            break;
        usleep(5000);
    }
    assert_status(s->answer, 200);
}

static double refused(const char *labels)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_refused_total", "", labels, NULL));
}

static void one_address_does_not_take_all_connections(void **state)
{
    struct site *s = *state;
    static const char limit[] = "limit=\"peer_http_connections\"";
    double before = refused(limit);
    int fds[300];
    for (size_t i = 0; i < 300; i++)
        fds[i] = dial_from(s, INADDR_LOOPBACK + 1); /* 127.0.0.2 */
    struct buf text = BUF_INIT(1 << 20);
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    int fd = dial(s);
    assert_true(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    read_all(fd, s->answer, sizeof s->answer);
    assert_status(s->answer, 200);
    for (int i = 0; i < 2000 && refused(limit) < before + 300 - 193; i++)
        usleep(5000);
    /* Three quarters of them are his; each thread may let in one while another does. */
    assert_true(refused(limit) >= before + 300 - 193);
    metrics_write(&text);
    const char *ratio =
        strstr(buf_str(&text), "hoist_limit_ratio{limit=\"peer_http_connections\"} ");
    assert_non_null(ratio);
    double used = strtod(strchr(ratio, '}') + 1, NULL);
    assert_true(used >= 1 && used < 1.01);
    buf_done(&text);
    close(fd);
    for (size_t i = 0; i < 300; i++)
        close(fds[i]);
}

/* ------------------------------------------------------------------ start and stop */

static void a_taken_port_names_option_address_and_holder(void **state)
{
    struct site *s = *state;
    struct http_config config = config_of(s);
    struct http *second = NULL;
    char self[32];
    config.option = "--ofrep-http";
    snprintf(self, sizeof self, "(pid %d)", getpid());
    assert_int_equal(http_start(&config, &second), HOIST_EBUSY);
    assert_null(second);
    assert_contains(err_last(), "--ofrep-http");
    assert_contains(err_last(), s->address);
    assert_contains(err_last(), self);
}

static void a_wrong_address_is_refused_with_the_mend(void **state)
{
    static const char *const wrong[] = {"",
                                        "8016",
                                        "localhost",
                                        ":8016",
                                        "::1:8016",
                                        "127.0.0.1:",
                                        "127.0.0.1:http",
                                        "127.0.0.1:0",
                                        "[::1]",
                                        "[]:80",
                                        "127.0.0.1:65536",
                                        "a:-1",
                                        "127.0.0.1:99999999999999999999"};
    struct site *s = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct http_config config = config_of(s);
        struct http *h = NULL;
        config.listen = wrong[i];
        assert_int_equal(http_start(&config, &h), HOIST_EINVAL);
        assert_null(h);
        assert_contains(err_last(), "--http");
        assert_contains(err_last(), "HOST:PORT");
    }
    struct http_config elsewhere = config_of(s);
    struct http *h = NULL;
    elsewhere.listen = "192.0.2.1:8016"; /* TEST-NET-1: nobody's */
    assert_int_equal(http_start(&elsewhere, &h), HOIST_EINVAL);
    assert_contains(err_last(), "no such address");
}

static void it_listens_on_ipv6(void **state)
{
    struct site *s = *state;
    char address[64];
    struct http_config config = config_of(s);
    struct http *h = NULL;
    uint16_t port = free_port();
    snprintf(address, sizeof address, "[::1]:%u", port);
    config.listen = address;
    if (http_start(&config, &h) != HOIST_OK)
        skip(); /* a machine without IPv6 */
    struct sockaddr_in6 a = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_true(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0);
    read_all(fd, s->answer, sizeof s->answer);
    close(fd);
    http_stop(h);
    assert_contains(s->answer, " 200 ");
}

static int open_fds(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static void stopping_gives_everything_back(void **state)
{
    struct site *s = *state;
    struct http_config config = config_of(s);
    struct http *h = NULL;
    char address[64];
    uint16_t port = free_port();
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    config.listen = address;
    int before = open_fds();
    for (int i = 0; i < 3; i++) { /* the same port each time: it is free again at once */
        assert_int_equal(http_start(&config, &h), HOIST_OK);
        struct site other = {.port = port};
        int idle = dial(&other);
        http_stop(h);
        close(idle);
    }
    assert_int_equal(open_fds(), before);
    http_stop(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(healthz_says_ok_whatever_else_is_wrong),
        T(readyz_tells_why_it_is_not_ready),
        T(metrics_come_in_prometheus_text_format),
        T(status_is_the_json_of_the_role),
        T(a_status_that_fails_says_why),
        T(head_is_get_without_the_body),
        T(a_query_does_not_hide_the_page),
        T(an_unknown_path_is_404),
        T(another_method_is_405_and_names_the_right_ones),
        T(one_connection_takes_several_requests),
        T(a_body_is_not_waited_for),
        T(noise_ends_its_own_connection_alone),
        T(a_head_too_long_is_refused),
        T(more_connections_than_it_takes_are_turned_away),
        T(one_address_does_not_take_all_connections),
        T(a_taken_port_names_option_address_and_holder),
        T(a_wrong_address_is_refused_with_the_mend),
        T(it_listens_on_ipv6),
        T(stopping_gives_everything_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
