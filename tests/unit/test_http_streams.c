/* Event streams over real sockets, with a server whose limits are small. */
#include "ofrep_kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/metrics.h"
#include "http/http.h"

enum { PATIENCE_MS = 20000, STREAMS = 8, BODIES = 64 << 10, BUSY_MAX_MS = 1500 };

struct site {
    char *dir;
    struct store *store;
    struct ofrep_config ofrep;
    struct http *http;
    uint16_t port;
    char address[64];
};

static bool ready(void *arg, struct buf *why_not)
{
    (void)arg;
    (void)why_not;
    return true;
}

static enum hoist_err status(void *arg, struct buf *out)
{
    (void)arg;
    buf_add_str(out, "{}");
    return HOIST_OK;
}

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int start(void **state)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->dir = kit_dir();
    s->store = kit_open(s->dir);
    kit_set(s->store, "production", "text", "first");
    kit_set(s->store, "staging", "text", "first");
    s->ofrep.store = s->store;
    s->port = free_port();
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", s->port);
    struct http_config config = {.listen = s->address,
                                 .ready = ready,
                                 .status = status,
                                 .arg = s,
                                 .ofrep = &s->ofrep,
                                 .streams_max = STREAMS,
                                 .bodies_max = BODIES,
                                 .busy_max_ms = BUSY_MAX_MS};
    OK(http_start(&config, &s->http));
    *state = s;
    return 0;
}

static int stop(void **state)
{
    struct site *s = *state;
    http_stop(s->http);
    store_close(s->store);
    kit_remove(s->dir);
    free(s);
    return 0;
}

/* From 127.0.0.`host`. */
static int send_from(const struct site *s, uint32_t host, const char *request)
{
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr = {htonl(INADDR_LOOPBACK - 1 + host)}};
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    return fd;
}

static int send_request(const struct site *s, const char *request)
{
    return send_from(s, 1, request);
}

static int open_from(const struct site *s, uint32_t host)
{
    return send_from(s, host, "GET /ofrep/v1/events HTTP/1.1\r\nHost: a\r\n\r\n");
}

static int open_stream(const struct site *s)
{
    return open_from(s, 1);
}

/* One address alone may not have them all. */
static void open_all(const struct site *s, int fds[STREAMS])
{
    for (uint32_t i = 0; i < STREAMS; i++)
        fds[i] = open_from(s, 1 + i % 2);
}

/* Read until `part` has come. Whatever else came is dropped. */
static bool await(int fd, const char *part)
{
    char got[8192] = "";
    size_t len = 0;
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    while (!strstr(got, part)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return false;
        ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        got[len] = '\0';
    }
    return true;
}

static bool await_close(int fd)
{
    char some[512];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, PATIENCE_MS) > 0)
        if (recv(fd, some, sizeof some, 0) <= 0)
            return true;
    return false;
}

static double open_streams(void)
{
    return metric_value(metric_series(METRIC_GAUGE, "hoist_ofrep_streams", "", "", NULL));
}

static bool wait_streams(double count)
{
    for (int i = 0; i < PATIENCE_MS / 5 && open_streams() != count; i++)
        kit_sleep(5);
    return open_streams() == count;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ------------------------------------------------------------------ tests */

static void an_event_comes_within_10_ms_of_the_commit(void **state)
{
    struct site *s = *state;
    int64_t late_ns[51];
    int fd = open_stream(s);
    assert_true(await(fd, "refetchEvaluation\"}\n\n"));
    for (size_t i = 0; i < 51; i++) {
        kit_set(s->store, "production", "text", i % 2 ? "a" : "b");
        int64_t committed = clock_mono_ns();
        assert_true(await(fd, "refetchEvaluation\"}\n\n"));
        late_ns[i] = clock_mono_ns() - committed;
    }
    close(fd);
    qsort(late_ns, 51, sizeof *late_ns, by_size);
    print_message("an event is read %.3f ms after the commit, at most %.3f\n",
                  (double)late_ns[25] / 1e6, (double)late_ns[50] / 1e6);
    assert_true(late_ns[25] <
                10 * 1000000); /* the median: a busy machine delays this or that one */
}

static void a_change_elsewhere_is_not_told(void **state)
{
    struct site *s = *state;
    int fd = open_stream(s);
    assert_true(await(fd, "refetchEvaluation"));
    kit_set(s->store, "staging", "text", "other");
    kit_set(s->store, "production", "text", "second");
    assert_true(await(fd, "-2\nevent: message\n")); /* the next event is of version 2 */
    close(fd);
    fd = send_request(s, "GET /env/staging/ofrep/v1/events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(await(fd, "-2\nevent: message\n"));
    kit_set(s->store, "staging", "text", "third");
    assert_true(await(fd, "-3\nevent: message\n"));
    close(fd);
}

static void one_stream_too_many_is_503_and_its_place_is_free_again(void **state)
{
    struct site *s = *state;
    int fds[STREAMS];
    open_all(s, fds);
    for (int i = 0; i < STREAMS; i++)
        assert_true(await(fds[i], "refetchEvaluation"));
    int more = open_stream(s);
    assert_true(await(more, "HTTP/1.1 503 "));
    close(more);
    for (int i = 0; i < STREAMS; i++)
        close(fds[i]);
    assert_true(wait_streams(0));
    more = open_stream(s);
    assert_true(await(more, "refetchEvaluation"));
    close(more);
}

static double refused(const char *labels)
{
    return metric_value(metric_series(METRIC_COUNTER, "hoist_refused_total", "", labels, NULL));
}

static void one_address_does_not_take_all_streams(void **state)
{
    struct site *s = *state;
    int fds[STREAMS];
    double before = refused("limit=\"peer_http_streams\"");
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = open_from(s, 2);
        assert_true(await(fds[i], i < STREAMS * 3 / 4 ? "refetchEvaluation" : "HTTP/1.1 503 "));
    }
    assert_true(refused("limit=\"peer_http_streams\"") == before + STREAMS / 4);
    int other = open_stream(s);
    assert_true(await(other, "refetchEvaluation"));
    close(other);
    for (int i = 0; i < STREAMS; i++)
        close(fds[i]);
}

enum { BODY = 30000 /* which takes 32 KiB, half of all */ };

/* A body, but for its last byte. */
static int begin_body(const struct site *s, uint32_t host)
{
    static char request[BODY + 200];
    int head = snprintf(request, sizeof request,
                        "POST /ofrep/v1/evaluate/flags/text HTTP/1.1\r\nHost: a\r\n"
                        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                        BODY);
    memset(request + head, ' ', BODY);
    memcpy(request + head, "{}", 2);
    request[head + BODY - 1] = '\0';
    return send_from(s, host, request);
}

static void one_address_does_not_fill_the_memory_with_bodies(void **state)
{
    struct site *s = *state;
    static const char limit[] = "limit=\"peer_http_body_bytes\"";
    double before = refused(limit);
    int held = begin_body(s, 2), beyond = begin_body(s, 2);
    for (int i = 0; i < PATIENCE_MS / 5 && refused(limit) == before; i++)
        kit_sleep(5);
    assert_true(refused(limit) == before + 1);
    int other = begin_body(s, 1); /* there is room for another's */
    assert_true(send(held, " ", 1, MSG_NOSIGNAL) == 1 && send(other, " ", 1, MSG_NOSIGNAL) == 1);
    assert_true(send(beyond, " ", 1, MSG_NOSIGNAL) == 1);
    int refusals = !await(held, "\"value\":\"first\"");
    refusals += !await(beyond, "\"value\":\"first\"");
    assert_int_equal(refusals, 1); /* whichever came second */
    assert_true(await(other, "\"value\":\"first\""));
    close(held);
    close(beyond);
    close(other);
    held = begin_body(s, 2); /* what was answered is given back */
    assert_true(send(held, " ", 1, MSG_NOSIGNAL) == 1 && await(held, "HTTP/1.1 200 "));
    close(held);
}

static void a_request_that_trickles_in_is_cut_off(void **state)
{
    struct site *s = *state;
    int stream = open_stream(s);
    assert_true(await(stream, "refetchEvaluation"));
    int fd = send_request(s, "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: a\r\n");
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 2000; i++) { /* a byte now and then: never idle */
        if (send(fd, "X", 1, MSG_NOSIGNAL) != 1)
            break;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 10) > 0)
            break;
    }
    assert_true(await_close(fd));
    assert_true(clock_mono_ms() - began >= BUSY_MAX_MS - 100);
    close(fd);
    kit_set(s->store, "production", "text", "later"); /* streams have no such limit */
    assert_true(await(stream, "refetchEvaluation"));
    close(stream);
}

static void stopping_ends_streams_and_gives_everything_back(void **state)
{
    struct site *s = *state;
    int fds[STREAMS];
    open_all(s, fds);
    for (int i = 1; i < STREAMS; i += 2) /* some are still being opened */
        assert_true(await(fds[i], "refetchEvaluation"));
    http_stop(s->http);
    s->http = NULL;
    assert_true(open_streams() == 0);
    for (int i = 0; i < STREAMS; i++) {
        assert_true(await_close(fds[i]));
        close(fds[i]);
    }
}

static void streams_end_while_changes_land(void **state)
{
    struct site *s = *state;
    for (int round = 0; round < 20; round++) {
        int fds[STREAMS];
        open_all(s, fds);
        kit_set(s->store, "production", "text", round % 2 ? "a" : "b");
        for (int i = 0; i < STREAMS; i++)
            close(fds[i]);
        kit_set(s->store, "production", "text", "c");
    }
    assert_true(wait_streams(0));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(an_event_comes_within_10_ms_of_the_commit),
        T(a_change_elsewhere_is_not_told),
        T(one_stream_too_many_is_503_and_its_place_is_free_again),
        T(one_address_does_not_take_all_streams),
        T(one_address_does_not_fill_the_memory_with_bodies),
        T(a_request_that_trickles_in_is_cut_off),
        T(stopping_ends_streams_and_gives_everything_back),
        T(streams_end_while_changes_land),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
