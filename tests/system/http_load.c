/* http_load PORT RATE SECONDS SEED: the marketplace service under a load that does not wait for it.
 *
 * Request k is due at k / RATE seconds, whatever became of those before it, and its time runs from then. Each of
 * CONNECTIONS threads keeps a connection, closes it now and then, and when an answer says so. Nothing is tried
 * twice: whoever is refused, cut off, kept waiting for 5 s, or told what the service's contract does
 * not have, has failed. Ends at SIGTERM too; prints one JSON object, and the first failures on stderr.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 16, PATIENCE_S = 5, ANSWER_MAX = 1 << 20, TOLD_MAX = 10, PER_PAGE = 10 };
enum { SEEDS = 3, REPOSITORIES = 250, FIRST_ID = 100000 }; /* what the service and the stub have */

enum kind { LISTINGS, SEARCH, LISTING, SYNC };

struct asked { /* a request, and what its answer must be */
    enum kind kind;
    unsigned page, id;
    char text[256];
};

struct answer {
    int status;
    bool closes;
    const char *body; /* ended by a NUL */
    size_t length;
};

static struct sockaddr_in server;
static double rate;
static uint64_t count_max, seed;
static struct timespec began;
static uint32_t *took_us; /* of request k; 0: it was not made */
static atomic_uint_fast64_t next, failed, connects, none, built_in, all; /* listings served */
static atomic_bool ending;

/* ------------------------------------------------------------------ the clock and the dice */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)(t.tv_sec - began.tv_sec) * 1000000 + (t.tv_nsec - began.tv_nsec) / 1000;
}

static void wait_for(int64_t due_us)
{
    int64_t left;
    while (!ending && (left = due_us - now_us()) > 0)
        usleep(left < 100000 ? (useconds_t)left : 100000);
}

/* A number of request `k`, always the same for one seed (splitmix64). */
static uint64_t roll(uint64_t k)
{
    uint64_t z = seed + k * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool fails(uint64_t k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fails(uint64_t k, const char *fmt, ...)
{
    va_list args;
    if (atomic_fetch_add(&failed, 1) < TOLD_MAX) {
        char text[400];
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        fprintf(stderr, "request %ju at %.3f s: %s\n", (uintmax_t)k, (double)now_us() / 1e6, text);
    }
    return false;
}

/* ------------------------------------------------------------------ asking */

static void make_request(uint64_t k, struct asked *a)
{
    uint64_t dice = roll(k);
    unsigned part = dice % 100, account = (unsigned)(dice >> 8) % 500;
    const char *method = "GET";
    char path[100];
    *a = (struct asked){.page = 1 + (unsigned)(dice >> 20) % 27};
    if (part < 60) {
        snprintf(path, sizeof path, "/api/v1/listings?per_page=%d&page=%u", PER_PAGE, a->page);
    } else if (part < 70) {
        a->kind = SEARCH;
        snprintf(path, sizeof path, "/api/v1/listings?per_page=%d&q=amber", PER_PAGE);
    } else if (part < 98) {
        a->kind = LISTING;
        a->id = dice >> 40 & 1 ? 1 + a->page % SEEDS : FIRST_ID + account % REPOSITORIES;
        snprintf(path, sizeof path, "/api/v1/listings/%u", a->id);
    } else {
        a->kind = SYNC;
        method = "POST";
        snprintf(path, sizeof path, "/api/v1/sync");
    }
    snprintf(a->text, sizeof a->text,
             "%s %s HTTP/1.1\r\nHost: marketplace\r\nX-Account-Id: account-%u\r\n%s\r\n", method,
             path, account, a->kind == SYNC ? "Content-Length: 0\r\n" : "");
}

static int open_connection(void)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&server, sizeof server) == 0) {
        connects++;
        return fd;
    }
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static const char *header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            return line + 2 + n + 1 + strspn(line + 2 + n + 1, " ");
    return "";
}

/* The whole answer into `in`. False: why is in errno, 0 when the connection was closed. */
static bool read_answer(int fd, char *in, struct answer *ret)
{
    size_t have = 0, whole = 0;
    while (!whole || have < whole) {
        ssize_t n = recv(fd, in + have, ANSWER_MAX - have, 0);
        if (n <= 0) {
            errno = n == 0 ? 0 : errno;
            return false;
        }
        have += (size_t)n;
        in[have] = '\0';
        char *end = whole ? NULL : strstr(in, "\r\n\r\n");
        if (end)
            whole = (size_t)(end + 4 - in) + strtoul(header(in, "Content-Length"), NULL, 10);
    }
    const char *body = strstr(in, "\r\n\r\n") + 4;
    *ret = (struct answer){.status = strncmp(in, "HTTP/1.1 ", 9) == 0 ? atoi(in + 9) : 0,
                           .closes = strncasecmp(header(in, "Connection"), "close", 5) == 0,
                           .body = body,
                           .length = have - (size_t)(body - in)};
    return true;
}

/* ------------------------------------------------------------------ judging */

static unsigned times(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        n++;
    return n;
}

/* All of the listings, those that are built in, or none; and this page of them. */
static bool is_page(const struct asked *a, const struct answer *r)
{
    const char *total_text = strstr(r->body, "\"total\":");
    unsigned total = total_text ? (unsigned)atoi(total_text + 8) : 1, before, here;
    if (r->status != 200 || strncmp(r->body, "{\"items\":[", 10) != 0 ||
        r->body[r->length - 1] != '}')
        return false;
    before = a->kind == SEARCH ? 0 : (a->page - 1) * PER_PAGE;
    here = total <= before ? 0 : total - before < PER_PAGE ? total - before : PER_PAGE;
    if (times(r->body, "\"source\":") != here)
        return false;
    if (a->kind == SEARCH)
        return total <= REPOSITORIES;
    none += total == 0;
    built_in += total == SEEDS;
    all += total == SEEDS + REPOSITORIES;
    return total == 0 || total == SEEDS || total == SEEDS + REPOSITORIES;
}

static bool is_right(const struct asked *a, const struct answer *r)
{
    char id[32];
    switch (a->kind) {
    case LISTINGS:
    case SEARCH:
        return is_page(a, r);
    case LISTING:
        snprintf(id, sizeof id, "\"id\":%u,", a->id);
        return r->status == 200 ? strstr(r->body, id) != NULL
                                : r->status == 404 && strstr(r->body, "\"not_found\"");
    default:
        return r->status == 202 || r->status == 409;
    }
}

/* One request; *fd is the connection to use, -1 for a new one, and afterwards the one to use next. */
static bool request(uint64_t k, int *fd, char *in)
{
    struct asked a;
    struct answer r = {0};
    bool was_open = *fd >= 0;
    make_request(k, &a);
    if (!was_open && (*fd = open_connection()) < 0)
        return fails(k, "no connection: %s", strerror(errno));
    ssize_t length = (ssize_t)strlen(a.text);
    bool answered =
        send(*fd, a.text, (size_t)length, MSG_NOSIGNAL) == length && read_answer(*fd, in, &r);
    int why = errno;
    if (!answered || r.closes || roll(~k) % 4 == 0) {
        close(*fd);
        *fd = -1;
    }
    if (!answered)
        return fails(k, "no answer on a %s connection: %s", was_open ? "kept" : "new",
                     why ? strerror(why) : "it was closed");
    return is_right(&a, &r) || fails(k, "%.60s… was answered %d %.200s", a.text, r.status, r.body);
}

static void *work(void *arg)
{
    int fd = -1;
    char *in = malloc(ANSWER_MAX + 1);
    uint64_t k;
    while (in && (k = atomic_fetch_add(&next, 1)) < count_max) {
        int64_t due_us = (int64_t)((double)k / rate * 1e6);
        wait_for(due_us);
        if (ending)
            break;
        (void)request(k, &fd, in);
        took_us[k] = (uint32_t)(now_us() - due_us) + 1;
    }
    free(in);
    if (fd >= 0)
        close(fd);
    return arg;
}

/* ------------------------------------------------------------------ the sum */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_sum(void)
{
    uint64_t made = 0;
    for (uint64_t k = 0; k < count_max; k++)
        if (took_us[k])
            took_us[made++] = took_us[k];
    qsort(took_us, made, sizeof *took_us, compare);
    if (made == 0)
        took_us[made++] = 0;
    printf("{\"requests\": %ju, \"failed\": %ju, \"connections\": %ju, \"none\": %ju, "
           "\"built_in\": %ju, "
           "\"all\": %ju, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f}\n",
           (uintmax_t)made, (uintmax_t)failed, (uintmax_t)connects, (uintmax_t)none,
           (uintmax_t)built_in, (uintmax_t)all, took_us[made / 2] / 1e3,
           took_us[made * 99 / 100] / 1e3, took_us[made - 1] / 1e3);
}

static void on_signal(int number)
{
    (void)number;
    ending = true;
}

int main(int argc, char **argv)
{
    pthread_t threads[CONNECTIONS];
    if (argc != 5) {
        fputs("usage: http_load PORT RATE SECONDS SEED\n", stderr);
        return 2;
    }
    server = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    rate = atof(argv[2]);
    count_max = (uint64_t)(rate * atof(argv[3]));
    seed = strtoull(argv[4], NULL, 10);
    took_us = calloc(count_max + 1, sizeof *took_us);
    signal(SIGTERM, on_signal);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < CONNECTIONS; i++)
        if (!took_us || pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    for (int i = 0; i < CONNECTIONS; i++)
        pthread_join(threads[i], NULL);
    print_sum();
    return 0;
}
