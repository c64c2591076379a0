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
#include "listings.h"
#include "sync.h"

static const char help[] =
    "usage: marketplace [options]\n"
    "\n"
    "Serves listings at /api/v1/listings while flag marketplace.enabled is on for the\n"
    "request's X-Account-Id, and brings them in from GitHub while the flags\n"
    "marketplace.github_sources.enabled and marketplace.sync.enabled are.\n"
    "\n"
    "  --listen HOST:PORT   where to serve (127.0.0.1:7495)\n"
    "  --data DIR           where the listings are kept (./marketplace-data)\n"
    "  --store DIR          the host's flags; by default as HOIST_STORE says\n"
    "  --env NAME           the flags' environment; by default as HOIST_ENV says\n"
    "  --github URL         GitHub's API (https://api.github.com)\n"
    "  --org NAME           whose repositories (acme)\n"
    "  --search QUERY       what to search for, in place of --org\n"
    "  --token-file FILE    a token for GitHub's API, on its first line\n"
    "  --interval-s N       seconds between two runs (300)\n"
    "  --first-wait-ms N    how long to wait when GitHub says too much and no time\n"
    "                       (60000, as GitHub asks; less is for tests)\n"
    "  --help               print this\n";

struct settings {
    const char *listen, *data, *store, *env, *token_file;
    struct sync_config sync;
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
        {"listen", 1, NULL, 'l'}, {"data", 1, NULL, 'd'},          {"store", 1, NULL, 's'},
        {"env", 1, NULL, 'e'},    {"github", 1, NULL, 'g'},        {"org", 1, NULL, 'o'},
        {"search", 1, NULL, 'q'}, {"token-file", 1, NULL, 't'},    {"interval-s", 1, NULL, 'i'},
        {"help", 0, NULL, 'h'},   {"first-wait-ms", 1, NULL, 'w'}, {0},
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
        else if (c == 'w' && !number(optarg, 1, &s->sync.first_wait_ms))
            return 1 + wrong("--first-wait-ms", optarg);
        else if (c == 'h')
            return fputs(help, stdout) >= 0 ? 1 : 2;
        else if (c == '?')
            return 1 + wrong("an option is", "unknown or incomplete");
    }
    s->sync.interval_ms = interval_s * 1000;
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

static int serve(const struct settings *s, struct listings *l)
{
    struct sync *sync = sync_store_seed(l) ? sync_start(l, &s->sync) : NULL;
    if (!sync)
        return 1;
    struct api *api = api_start(s->listen, l, sync);
    int rc = 0;
    if (api) {
        event(EVENT_STARTED, "listings at http://%s/api/v1/listings", s->listen);
        await_signal();
    } else {
        rc = wrong("--listen", s->listen);
        fprintf(stderr, "marketplace: it cannot be had: %s\n", strerror(errno));
    }
    api_stop(api);
    sync_stop(sync);
    return rc;
}

int main(int argc, char **argv)
{
    struct settings s = {
        .listen = "127.0.0.1:7495",
        .data = "marketplace-data",
        .sync = {.github = "https://api.github.com", .org = "acme", .first_wait_ms = 60000},
    };
    struct listings *l;
    int rc = read_arguments(argc, argv, &s);
    if (rc)
        return rc - 1;
    block_signals();
    srandom((unsigned)time(NULL));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    events_init();
    rc = listings_open(s.data, &l);
    if (rc)
        return wrong("--data cannot be opened:", mdb_strerror(rc));
    if (!flags_open(s.store, s.env))
        return 1;
    rc = serve(&s, l);
    flags_close();
    listings_close(l);
    event(EVENT_ENDED, "exit code %d", rc);
    curl_global_cleanup();
    return rc;
}
