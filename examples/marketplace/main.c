/* marketplace - a small service behind three feature flags: it brings the listings of a GitHub
 * organisation in and serves them. docs/monitoring.md tells how it is watched. */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "events.h"
#include "flags.h"
#include "listener.h"
#include "listings.h"
#include "sync.h"

static const char help[] =
    "usage: marketplace [options]\n"
    "\n"
    "Serves listings at /api/v1/listings while flag marketplace.enabled is on for the\n"
    "request's X-Account-Id, and brings them in from GitHub while the flags\n"
    "marketplace.github_sources.enabled and marketplace.sync.enabled are.\n"
    "\n"
    "A listening socket that systemd hands on is served too. Several processes may share it, and\n"
    "--data: then each has an address of its own, where it tells how it is. At SIGTERM the\n"
    "program takes no new connection and answers what it was asked.\n"
    "\n"
    "  --listen HOST:PORT   where to serve (127.0.0.1:7495; beside a socket of systemd's: "
    "nowhere)\n"
    "  --data DIR           where the listings are kept (./marketplace-data)\n"
    "  --store DIR          the host's flags; by default as HOIST_STORE says\n"
    "  --env NAME           the flags' environment; by default as HOIST_ENV says\n"
    "  --github URL         GitHub's API (https://api.github.com)\n"
    "  --org NAME           whose repositories (acme)\n"
    "  --search QUERY       what to search for, in place of --org\n"
    "  --token-file FILE    a token for GitHub's API, on its first line\n"
    "  --interval-s N       seconds between two runs (300)\n"
    "  --drain-s N          how long a connection may stay open at the end (10)\n"
    "  --first-wait-ms N    how long to wait when GitHub says too much and no time\n"
    "                       (60000, as GitHub asks; less is for tests)\n"
    "  --help               print this\n";

struct settings {
    const char *listen, *data, *store, *env, *token_file;
    struct sync_config sync;
    int64_t drain_s;
    char token[256];
};

static int wrong(const char *what, const char *value)
{
    fprintf(stderr, "marketplace: %s %s; see marketplace --help\n", what, value);
    return 2;
}

static bool number(const char *text, int64_t least, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *ret >= least && *ret < INT32_MAX;
}

static bool read_token(struct settings *s)
{
    if (!s->token_file)
        return true;
    FILE *in = fopen(s->token_file, "re");
    bool ok = in && fgets(s->token, sizeof s->token, in);
    if (in)
        fclose(in);
    s->token[strcspn(s->token, "\r\n")] = '\0';
    s->sync.token = s->token;
    return ok && *s->token;
}

/* 0: go on; else the exit code and 1 more. */
static int read_arguments(int argc, char **argv, struct settings *s)
{
    static const struct option options[] = {
        {"listen", 1, NULL, 'l'},
        {"data", 1, NULL, 'd'},
        {"store", 1, NULL, 's'},
        {"env", 1, NULL, 'e'},
        {"github", 1, NULL, 'g'},
        {"org", 1, NULL, 'o'},
        {"search", 1, NULL, 'q'},
        {"token-file", 1, NULL, 't'},
        {"interval-s", 1, NULL, 'i'},
        {"drain-s", 1, NULL, 'D'},
        {"first-wait-ms", 1, NULL, 'w'},
        {"help", 0, NULL, 'h'},
        {0},
    };
    int64_t interval_s = 300;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char **text = c == 'l'   ? &s->listen
                            : c == 'd' ? &s->data
                            : c == 's' ? &s->store
                            : c == 'e' ? &s->env
                            : c == 'g' ? &s->sync.github
                            : c == 'o' ? &s->sync.org
                            : c == 'q' ? &s->sync.search
                            : c == 't' ? &s->token_file
                                       : NULL;
        if (text)
            *text = optarg;
        else if (c == 'i' && !number(optarg, 1, &interval_s))
            return 1 + wrong("--interval-s", optarg);
        else if (c == 'D' && !number(optarg, 0, &s->drain_s))
            return 1 + wrong("--drain-s", optarg);
        else if (c == 'w' && !number(optarg, 1, &s->sync.first_wait_ms))
            return 1 + wrong("--first-wait-ms", optarg);
        else if (c == 'h')
            return fputs(help, stdout) >= 0 ? 1 : 2;
        else if (c == '?')
            return 1 + wrong("an option is", "unknown or incomplete");
    }
    s->sync.interval_ms = interval_s * 1000;
    s->sync.data = s->data;
    if (optind < argc)
        return 1 + wrong("too much:", argv[optind]);
    if (!read_token(s))
        return 1 + wrong("--token-file: there is no token in", s->token_file);
    return 0;
}

static void await_signal(void)
{
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &number);
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The two sockets, either of which may be -1. False: said why. */
static bool open_sockets(struct settings *s, int *ret_shared, int *ret_own)
{
    *ret_own = -1;
    if (!listener_inherit(ret_shared)) {
        wrong("LISTEN_FDS:", "what was handed on is not one listening socket");
        return false;
    }
    if (!s->listen && *ret_shared < 0)
        s->listen = "127.0.0.1:7495";
    if (!s->listen)
        return true;
    *ret_own = listener_open(s->listen);
    if (*ret_own >= 0)
        return true;
    const char *why = strerror(errno);
    wrong("--listen", s->listen);
    fprintf(stderr, "marketplace: it cannot be had: %s\n", why);
    return false;
}

static int serve(const struct settings *s, struct listings *l, int shared, int own)
{
    struct sync *sync = sync_store_seed(l) ? sync_start(l, &s->sync) : NULL;
    struct api *api = sync ? api_start(shared, own, l, sync) : NULL;
    if (!api) {
        fputs("marketplace: the worker or the server cannot start; is --data writable?\n", stderr);
    } else {
        event(EVENT_STARTED, "listings at %s%s", s->listen ? s->listen : "",
              shared >= 0 ? " and at a socket that was handed on" : "");
        await_signal();
        event(EVENT_DRAINING, "no new connection; those there are have %lld s",
              (long long)s->drain_s);
        api_drain(api, s->drain_s * 1000);
    }
    api_stop(api);
    sync_stop(sync);
    return api ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct settings s = {
        .data = "marketplace-data",
        .sync = {.github = "https://api.github.com", .org = "acme", .first_wait_ms = 60000},
        .drain_s = 10,
    };
    struct listings *l;
    int shared, own, rc = read_arguments(argc, argv, &s);
    if (rc)
        return rc - 1;
    block_signals();
    srandom((unsigned)time(NULL));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    events_init();
    if (!open_sockets(&s, &shared, &own))
        return 2;
    rc = listings_open(s.data, &l);
    if (rc)
        return wrong("--data cannot be opened:", mdb_strerror(rc));
    if (!flags_open(s.store, s.env))
        return 1;
    rc = serve(&s, l, shared, own);
    flags_close();
    listings_close(l);
    event(EVENT_ENDED, "exit code %d", rc);
    curl_global_cleanup();
    return rc;
}
