/* read - print a flag's value, and with --watch each new value as it lands.
 *
 *     read [--store DIR] [--env NAME] [--watch] KEY
 *
 * A program to copy from. It shows the whole life of a handle: open, bind, read, wait, close. A
 * program that only asks "is it on?" needs no more than
 *
 *     if (hoist_flag_bool(flag, NULL, false)) …
 *
 * cc -std=c11 read.c $(pkg-config --cflags --libs hoist)
 */
#define _POSIX_C_SOURCE 200809L /* for sigaction() and clock_gettime() in strict C11 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <hoist.h>

enum { TEXT_MAX = 4096 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* The flag's value as text; false if it has none, and then `out` says why. */
static bool value_text(hoist_flag *flag, char out[TEXT_MAX])
{
    struct hoist_result r;
    char text[TEXT_MAX];
    if (!hoist_flag_evaluate(flag, NULL, 0, &r, text, sizeof text)) {
        snprintf(out, TEXT_MAX, "(no value: %s%s%s)", hoist_reason_name(r.reason),
                 r.error[0] ? ", " : "", r.error);
        return false;
    }
    switch (r.type) {
    case HOIST_BOOL:
        snprintf(out, TEXT_MAX, "%s", r.boolean ? "true" : "false");
        break;
    case HOIST_NUMBER:
        snprintf(out, TEXT_MAX, "%.15g", r.number);
        break;
    case HOIST_STRING:
    case HOIST_OBJECT:
        snprintf(out, TEXT_MAX, "%s", text);
        break;
    }
    return true;
}

/* One line: when, which, what. 2026-11-24T14:02:03.123Z sync.enabled = true */
static void print_line(const char *key, const char *value)
{
    struct timespec now;
    struct tm utc;
    char second[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &utc);
    printf("%s.%03dZ %s = %s\n", second, (int)(now.tv_nsec / 1000000), key, value);
    fflush(stdout);
}

/* Print the value whenever it is another one, until a signal ends it. */
static int watch(hoist *h, hoist_flag *flag, const char *key, const char *shown)
{
    char last[TEXT_MAX], value[TEXT_MAX];
    struct pollfd changes = {.fd = hoist_watch_fd(h), .events = POLLIN};
    if (changes.fd < 0) {
        fprintf(stderr, "read: %s\n", hoist_last_error());
        return 1;
    }
    snprintf(last, sizeof last, "%s", shown);
    while (!stop) {
        /* Clear, then read: a change that lands in between makes it readable again. */
        hoist_watch_clear(h);
        value_text(flag, value);
        if (strcmp(value, last) != 0) {
            print_line(key, value);
            memcpy(last, value, sizeof last);
        }
        poll(&changes, 1, 1000); /* or a little later, if a signal came just before this */
    }
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: read [--store DIR] [--env NAME] [--watch] KEY\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *store = NULL, *env = NULL, *key = NULL;
    bool watching = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--watch") == 0)
            watching = true;
        else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
            store = argv[++i];
        else if (strcmp(argv[i], "--env") == 0 && i + 1 < argc)
            env = argv[++i];
        else if (argv[i][0] != '-' && !key)
            key = argv[i];
        else
            return usage();
    }
    if (!key)
        return usage();

    hoist *h;
    if (hoist_open(&h, store, env) != HOIST_OK)
        fprintf(stderr, "read: %s\n", hoist_last_error()); /* a handle all the same: it may come */
    hoist_flag *flag = hoist_bind(h, key);

    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: poll() is to return */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    char value[TEXT_MAX];
    bool ok = value_text(flag, value);
    print_line(key, value);
    int code = watching ? watch(h, flag, key, value) : !ok;
    hoist_close(h);
    return code;
}
