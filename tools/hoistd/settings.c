#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/cert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "http/listen.h"
#include "repl/net.h"

enum { PROMETHEUS_TIMEOUT_MAX_MS = 60000 };

/* ------------------------------------------------------------------ the tables */

/* clang-format off */
#define FALLBACK(x) .fallback = x

#define COMMON_FIRST \
    {.name = "store", .arg = "DIR", .env = "HOIST_STORE", \
     .help = "where the flags are kept; by default /var/lib/hoist, or\n" \
             "~/.local/state/hoist for others than root"}

#define COMMON_LAST \
    {.name = "id", .arg = "NAME", .help = "this host's name in the fleet; by default the host name"}, \
    {.name = "heartbeat-ms", .arg = "N", FALLBACK("200"), \
     .help = "milliseconds between heartbeats; the same in the whole\nfleet, 10 to 60000"}, \
    {.name = "quota-bytes", .arg = "SIZE", FALLBACK("4GiB"), \
     .help = "the most bytes of keys and records in the store, as in\n" \
             "512MiB or 4GiB"}, \
    {.name = "env-flags", .arg = "N", FALLBACK("1000000"), \
     .help = "the most flags of an environment; the same in the whole\nfleet"}, \
    {.name = "map-bytes", .arg = "SIZE", FALLBACK("64GiB"), \
     .help = "address space for the store; less is taken where so\nmuch cannot be had"}, \
    {.name = "log-age", .arg = "TIME", \
     .help = "how long changes are kept, as in 90d, 12h, 30m, 10s;\n" \
             "by default 90d on a primary; elsewhere, as --log-min"}, \
    {.name = "log-min", .arg = "N", \
     .help = "changes kept whatever their age; by default 10000 on a\nprimary, 1000 elsewhere"}, \
    {.name = "log-bytes", .arg = "SIZE", \
     .help = "the most bytes of changes kept; by default 4GiB on a\nprimary, 256MiB elsewhere"}, \
    {.name = "log-level", .arg = "LEVEL", .env = "HOIST_LOG", FALLBACK("info"), \
     .help = "error, warn, info or debug; taken anew at SIGHUP"}, \
    {.name = "log-format", .arg = "FORMAT", FALLBACK("logfmt"), \
     .help = "logfmt or json, on stderr; taken anew at SIGHUP"}, \
    {.name = "config", .arg = "FILE", .env = "HOIST_CONFIG", .no_file = true, \
     .help = "a YAML file with any of these options as keys; by\n" \
             "default /etc/hoist/hoistd.yaml, if it is there"}, \
    {.name = "help", .no_file = true, .help = "print this"}, \
    {0}

#define PRIMARY_MIDDLE \
    {.name = "env", .arg = "NAME", .many = true, \
     .help = "an environment to make if it is not there; a store\nthat has none begins with 'production'"}, \
    {.name = "listen", .arg = "URL", .many = true, \
     .help = "where to take commands and requests:\n" \
             "tls+tcp://HOST:PORT, on loopback also tcp://HOST:PORT\n" \
             "(changes are published on the next port), or\n" \
             "ipc:///PATH (PATH.pub). By default\n" \
             "tcp://127.0.0.1:7400 and, where /run/hoist can be\n" \
             "written, ipc:///run/hoist/primary.sock"}, \
    STREAM, \
    {.name = "join", .arg = "FILE", \
     .help = "a bundle, from hoistd certs: stands for the three\n" \
             "--tls-*; taken anew at SIGHUP"}, \
    TLS, \
    {.name = "private", .arg = "ENV=URL", .many = true, \
     .help = "give environment ENV out at URL (which has the others as\n" \
             "well) and nowhere else: hosts that may follow it have\n" \
             "URL as their --upstream"}, \
    {.name = "private-join", .arg = "FILE", \
     .help = "in place of --join at the --private addresses: a bundle\n" \
             "of a CA of their own, whose certificates those hosts\n" \
             "have that are granted private environments"}, \
    {.name = "kill-on-alert", .arg = "RULE", .many = true, \
     .help = "a flag that an alert may kill: ENV:ALERT=FLAG, as in\n" \
             "production:SyncFails=sync.enabled; Alertmanager sends\n" \
             "its alerts to /hooks/alertmanager of --http"}, \
    {.name = "webhook-token-file", .arg = "FILE", \
     .help = "tokens, a line each, one of which Alertmanager has to\n" \
             "bring; without it there is no webhook. Mode 0600"}, \
    {.name = "notify", .arg = "NAME=KIND:FILE", .many = true, \
     .help = "whom to tell of kills, restores and rollbacks. KIND is\n" \
             "slack (an incoming webhook) or json (the event, signed);\n" \
             "FILE, which its owner alone may read, has the URL in its\n" \
             "first line, and for json a key in its second"}, \
    {.name = "prometheus", .arg = "URL", \
     .help = "who answers the guards of releases, as in\n" \
             "http://127.0.0.1:9090; without it none ever passes"}, \
    {.name = "prometheus-timeout", .arg = "TIME", FALLBACK("5s"), \
     .help = "how long to wait for the answer to a guard; at most 1m"}, \
    {.name = "prometheus-token-file", .arg = "FILE", \
     .help = "a bearer token for it, which its owner alone may read;\n" \
             "this and the files below are read anew each round"}, \
    {.name = "prometheus-user-file", .arg = "FILE", \
     .help = "USER:PASSWORD for it, likewise"}, \
    {.name = "prometheus-ca", .arg = "FILE", \
     .help = "the CA that signed its certificate, in PEM; by default\n" \
             "those that the system believes"}, \
    {.name = "prometheus-cert", .arg = "FILE", \
     .help = "this host's certificate for it, in PEM"}, \
    {.name = "prometheus-key", .arg = "FILE", .help = "its secret key, mode 0600"}, \
    {.name = "anonymous", .arg = "ROLE", \
     .help = "what they may do who sign nothing: viewer or none. By\n" \
             "default everything until the first flagctl access\n" \
             "grant, and from then on viewer"}, \
    {.name = "sign-key", .arg = "FILE", \
     .help = "the secret key that signs changes and heartbeats; by\n" \
             "default sign.key in the store's directory, made if it is\n" \
             "not there, with its public half in trust.key: that one\n" \
             "is what --trust of relays and agents takes"}

#define TLS \
    {.name = "https-any-client", \
     .help = "let HTTPS clients in without a certificate, such as\n" \
             "browsers; ask for tokens then: --http-access"}, \
    {.name = "tls-cert", .arg = "FILE", \
     .help = "the certificate for tls+tcp addresses, in PEM, those\n" \
             "between it and the CA behind it; taken anew at SIGHUP,\n" \
             "as are the next two"}, \
    {.name = "tls-key", .arg = "FILE", .help = "its secret key, in PEM, mode 0600"}, \
    {.name = "tls-ca", .arg = "FILE", \
     .help = "the CA, or several, whose certificates are believed:\n" \
             "whoever connects must have one, too"}, \
    {.name = "insecure", \
     .help = "let plain tcp and http leave this machine: whoever\n" \
             "reaches the address may read, and change what is sent"}

#define TLS_NAME \
    {.name = "tls-server-name", .arg = "NAME", \
     .help = "the name in upstream's certificate, where it is not the\n" \
             "host of its URL"}

#define STREAM \
    {.name = "stream", .arg = "URL", \
     .help = "publish here instead of beside each --listen"}

#define QUOTAS \
    {.name = "connections", .arg = "N", FALLBACK("20000"), \
     .help = "connections for requests at a time; fewer where the\nlimit of open files is low"}, \
    {.name = "peer-connections", .arg = "N", FALLBACK("10000"), \
     .help = "of these, from one address"}, \
    {.name = "subscriptions", .arg = "N", FALLBACK("20000"), \
     .help = "connections that listen to changes at a time"}, \
    {.name = "peer-subscriptions", .arg = "N", FALLBACK("10000"), \
     .help = "of these, from one address"}, \
    {.name = "peer-requests", .arg = "N", FALLBACK("20000"), \
     .help = "requests in a second from one address; those beyond are\nanswered late: busy"}, \
    {.name = "request-bytes", .arg = "SIZE", FALLBACK("256MiB"), \
     .help = "bytes of requests that are not whole yet, or, at a\n" \
             "primary, are commands and wait for their answer"}, \
    {.name = "peer-request-bytes", .arg = "SIZE", FALLBACK("160MiB"), \
     .help = "of these, from one address"}

#define FOLLOW \
    {.name = "join", .arg = "FILE", \
     .help = "a bundle, from hoistd certs: stands for --upstream,\n" \
             "--trust and the three --tls-*, each of which wins over\n" \
             "it; its certificate and key are taken anew at SIGHUP"}, \
    {.name = "upstream", .arg = "URL", .many = true, \
     .help = "whom to follow: the --listen of the primary, or of a\n" \
             "relay; several are several ways to the same history,\n" \
             "tried in order"}, \
    {.name = "env", .arg = "NAME", .many = true, FALLBACK("production"), \
     .help = "an environment to follow; the one named first is the\n" \
             "one a program opens that names none"}, \
    {.name = "label", .arg = "K=V", .many = true, \
     .help = "a label of this host, as in ring=canary"}, \
    {.name = "trust", .arg = "FILE", \
     .help = "the public keys that may have signed what comes from\n" \
             "upstream, as in the primary's trust.key; without it\n" \
             "whatever comes is taken, but only from this machine"}, \
    TLS, \
    TLS_NAME

#define HTTPS_HELP \
    "Beyond loopback, or with https:// in front, HTTPS for\n" \
    "whoever has a certificate of the CA"

#define HTTP_ACCESS \
    {.name = "http-access", \
     .help = "ask for the tokens that flagctl access token makes: over\n" \
             "OFREP for evaluator, at /metrics and /status for viewer"}

#define OFREP \
    HTTP_ACCESS, \
    {.name = "context", .arg = "NAME=VALUE", .many = true, \
     .help = "an attribute of every OFREP request's context, over\n" \
             "what the request says; JSON, else text"}, \
    {.name = "context-from-header", .arg = "HEADER=ATTR", .many = true, \
     .help = "a header of an OFREP request that becomes an attribute\n" \
             "of its context, over --context and the request"}, \
    {.name = "cors-origin", .arg = "ORIGIN", .many = true, \
     .help = "whose pages may ask over OFREP, as in\n" \
             "https://app.example.com, or '*'; by default none"}, \
    {.name = "http-token-file", .arg = "FILE", \
     .help = "ask OFREP's clients for one of the tokens in FILE, a\n" \
             "line each, mode 0600"}

static const struct option primary_options[] = {
    COMMON_FIRST,
    PRIMARY_MIDDLE,
    QUOTAS,
    {.name = "http", .arg = "HOST:PORT", FALLBACK("127.0.0.1:7480"),
     .help = "serve /healthz, /readyz, /metrics and /status; or off.\n"
             HTTPS_HELP},
    HTTP_ACCESS,
    {.name = "take-over", .no_file = true,
     .help = "go on from a store that an agent or a relay kept, in new\n" \
             "epochs: when the primary is gone for good"},
    COMMON_LAST,
};

static const struct option dev_options[] = {
    COMMON_FIRST,
    PRIMARY_MIDDLE,
    QUOTAS,
    {.name = "http", .arg = "HOST:PORT", FALLBACK("127.0.0.1:7480"),
     .help = "serve /healthz, /readyz, /metrics and /status; or off.\n"
             HTTPS_HELP},
    {.name = "ofrep-http", .arg = "HOST:PORT", FALLBACK("127.0.0.1:8016"),
     .help = "serve them at an agent's address as well, and OFREP\n"
             "for OpenFeature SDKs; or off"},
    OFREP,
    COMMON_LAST,
};

static const struct option agent_options[] = {
    COMMON_FIRST,
    FOLLOW,
    {.name = "http", .arg = "HOST:PORT", FALLBACK("127.0.0.1:8016"),
     .help = "serve OFREP for OpenFeature SDKs, and /healthz,\n"
             "/readyz, /metrics and /status; or off.\n"
             HTTPS_HELP},
    OFREP,
    COMMON_LAST,
};

static const struct option relay_options[] = {
    COMMON_FIRST,
    FOLLOW,
    {.name = "listen", .arg = "URL", .many = true,
     .help = "where those that follow this relay find it:\n"
             "tls+tcp://HOST:PORT, on loopback also tcp://HOST:PORT\n"
             "(changes are published on the next port), or\n"
             "ipc:///PATH (PATH.pub); by default\n"
             "tcp://127.0.0.1:7400"},
    STREAM,
    QUOTAS,
    {.name = "http", .arg = "HOST:PORT", FALLBACK("127.0.0.1:7481"),
     .help = "serve OFREP for OpenFeature SDKs, and /healthz,\n"
             "/readyz, /metrics and /status; or off.\n"
             HTTPS_HELP},
    OFREP,
    COMMON_LAST,
};
/* clang-format on */

const struct role_info roles[ROLE_COUNT] = {
    [ROLE_PRIMARY] = {"primary", "take changes, number them, publish them",
                      "The one process that accepts changes. Programs on its machine can read its\n"
                      "store, too, if they run as its user.",
                      primary_options},
    [ROLE_RELAY] =
        {"relay", "follow as an agent does, and be followed",
         "Makes the fleet a tree, so that no process serves it all: keeps a store as an\n"
         "agent does, publishes what comes as it came, answers those that follow it, and\n"
         "tells upstream how they stand. Changes are made at the primary alone.",
         relay_options},
    [ROLE_AGENT] =
        {"agent", "keep this host's store equal to the primary's",
         "One for each host. Programs on the host read its store through libhoist, also\n"
         "when the agent, the network or the primary is gone.",
         agent_options},
    [ROLE_DEV] =
        {"dev", "a primary on a laptop, which serves an agent's port as well",
         "A primary whose store the programs of the same user read, and which also serves\n"
         "OFREP at an agent's address.",
         dev_options},
};

const char *const http_options[HTTP_COUNT] = {"--http", "--ofrep-http"};

static const char *const config_files[] = {"/etc/hoist/hoistd.yaml", NULL};

bool settings_follows(enum role role)
{
    return role == ROLE_RELAY || role == ROLE_AGENT;
}

/* ------------------------------------------------------------------ reading */

static enum hoist_err number(const struct options *o, const char *name, uint64_t least,
                             uint64_t most, uint64_t *ret)
{
    const char *text = options_get(o, name);
    if (!text)
        return HOIST_OK;
    uint64_t v;
    if (text_u64(text, &v) != HOIST_OK || v < least || v > most)
        return err_set(HOIST_EINVAL, "--%s %s: a whole number from %llu to %llu is meant", name,
                       text, (unsigned long long)least, (unsigned long long)most);
    *ret = v;
    return HOIST_OK;
}

struct unit {
    const char *name;
    uint64_t is;
};

/* A whole number, and behind it the name of a unit. */
static bool with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
    char digits[21] = "";
    size_t len = strspn(text, "0123456789");
    uint64_t v;
    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    while (units->name && strcmp(text + len, units->name) != 0)
        units++;
    return units->name && text_u64(digits, &v) == HOIST_OK &&
           !__builtin_mul_overflow(v, units->is, ret);
}

static enum hoist_err duration(const struct options *o, const char *name, int64_t *ret_ms)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {0}};
    const char *text = options_get(o, name);
    uint64_t ms;
    if (!text)
        return HOIST_OK;
    if (!with_unit(text, units, &ms) || ms == 0 || ms > INT64_MAX / 2)
        return err_set(HOIST_EINVAL, "--%s %s: a number with ms, s, m, h or d is meant, as in 90d",
                       name, text);
    *ret_ms = (int64_t)ms;
    return HOIST_OK;
}

static enum hoist_err size(const struct options *o, const char *name, uint64_t least, uint64_t most,
                           uint64_t *ret)
{
    static const struct unit units[] = {
        {"", 1},          {"KiB", 1 << 10},           {"MiB", 1 << 20},
        {"GiB", 1 << 30}, {"TiB", UINT64_C(1) << 40}, {0}};
    const char *text = options_get(o, name);
    uint64_t bytes;
    if (!text)
        return HOIST_OK;
    if (!with_unit(text, units, &bytes) || bytes < least || bytes > most)
        return err_set(HOIST_EINVAL,
                       "--%s %s: bytes are meant, or a number with KiB, MiB, GiB or TiB, as in "
                       "4GiB; from %llu to %llu bytes",
                       name, text, (unsigned long long)least, (unsigned long long)most);
    *ret = bytes;
    return HOIST_OK;
}

static enum hoist_err default_store(struct settings *s)
{
    const char *given = options_get(s->options, "store"), *home = getenv("HOME");
    struct buf path = BUF_INIT(4096);
    if (given)
        buf_add_str(&path, given);
    else if (geteuid() == 0)
        buf_add_str(&path, "/var/lib/hoist");
    else if (home && home[0] == '/')
        buf_printf(&path, "%s/.local/state/hoist", home);
    else
        return err_set(HOIST_EINVAL, "--store is needed: $HOME is not set");
    enum hoist_err err = buf_err(&path);
    if (!err && !(s->store = mem_dup_str(buf_str(&path))))
        err = err_set(HOIST_ENOMEM, "out of memory");
    buf_done(&path);
    return err;
}

static enum hoist_err host_name(struct settings *s)
{
    char name[256] = "";
    const char *given = options_get(s->options, "id");
    if (!given && gethostname(name, sizeof name - 1) != 0)
        return err_set(HOIST_EINVAL, "--id is needed: there is no host name");
    s->id = mem_dup_str(given ? given : name);
    return s->id ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

static const char *http_at(const struct settings *s, const char *name)
{
    const char *at = options_get(s->options, name);
    return at && strcmp(at, "off") != 0 ? at : NULL;
}

static const uint64_t SIZE_LIMIT = UINT64_C(1) << 46; /* what a process can map is not much more */

static enum hoist_err read_store_options(struct settings *s)
{
    struct store_options *so = &s->store_options;
    uint64_t heartbeat = 200;
    enum hoist_err err = size(s->options, "quota-bytes", 4096, SIZE_LIMIT, &so->quota_bytes);
    if (!err)
        err = size(s->options, "map-bytes", 1 << 20, SIZE_LIMIT, &so->map_bytes);
    if (!err)
        err = duration(s->options, "log-age", &so->log_age_ms);
    if (!err)
        err = number(s->options, "env-flags", 1, UINT64_MAX >> 1, &so->env_flags);
    if (!err)
        err = number(s->options, "log-min", 1, UINT64_MAX >> 1, &so->log_min);
    if (!err)
        err = size(s->options, "log-bytes", 4096, SIZE_LIMIT, &so->log_bytes);
    if (!err)
        err = number(s->options, "heartbeat-ms", 10, 60000, &heartbeat);
    so->write = so->check = true;
    so->primary = !settings_follows(s->role);
    so->take_over = options_on(s->options, "take-over");
    s->heartbeat_ms = (uint32_t)heartbeat;
    return err;
}

static enum hoist_err read_anonymous(struct settings *s)
{
    const char *role = options_get(s->options, "anonymous");
    if (role && strcmp(role, "viewer") != 0 && strcmp(role, "none") != 0)
        return err_set(HOIST_EINVAL, "--anonymous %s: viewer or none is meant", role);
    s->anonymous = !role                       ? ANONYMOUS_OPEN
                   : strcmp(role, "none") == 0 ? ANONYMOUS_NONE
                                               : ANONYMOUS_VIEWER;
    return HOIST_OK;
}

/* Who asks for tokens follows what they are granted by, behind the environments that are named. */
static enum hoist_err follow_access(struct settings *s)
{
    s->followed = mem_zalloc(s->env_count + 1, sizeof *s->followed);
    if (!s->followed)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->env_count; i++) {
        if (strcmp(s->envs[i], ACCESS_ENV) == 0)
            return HOIST_OK;
        s->followed[i] = s->envs[i];
    }
    s->followed[s->env_count++] = ACCESS_ENV;
    s->envs = s->followed;
    return HOIST_OK;
}

static enum hoist_err number_u32(const struct options *o, const char *name, uint32_t *ret)
{
    uint64_t v = *ret;
    enum hoist_err err = number(o, name, 1, 1000000000, &v);
    *ret = (uint32_t)v;
    return err;
}

static enum hoist_err read_quotas(struct settings *s)
{
    struct quota_limits *l = &s->quota;
    const struct options *o = s->options;
    enum hoist_err err = number_u32(o, "connections", &l->connections);
    if (!err)
        err = number_u32(o, "peer-connections", &l->peer_connections);
    if (!err)
        err = number_u32(o, "subscriptions", &l->subscriptions);
    if (!err)
        err = number_u32(o, "peer-subscriptions", &l->peer_subscriptions);
    if (!err)
        err = number_u32(o, "peer-requests", &l->peer_requests);
    if (!err)
        err = size(o, "request-bytes", 4096, SIZE_LIMIT, &l->request_bytes);
    if (!err)
        err = size(o, "peer-request-bytes", 4096, SIZE_LIMIT, &l->peer_request_bytes);
    return err;
}

static enum hoist_err check_words(const struct settings *s)
{
    const char *const *words;
    if (options_words(s->options, &words) > 0)
        return err_set(HOIST_EINVAL, "'%s' is no option; see hoistd %s --help", words[0],
                       roles[s->role].name);
    if (settings_follows(s->role) && s->upstream_count == 0)
        return err_set(HOIST_EINVAL, "--upstream is needed: the primary's address, as in "
                                     "--upstream tls+tcp://HOST:7400; or a bundle that has it, as "
                                     "--join");
    if (s->kill_count && !s->webhook_tokens)
        return err_set(HOIST_EINVAL, "--kill-on-alert takes --webhook-token-file FILE: whoever can "
                                     "say that an alert fires can kill those flags");
    return HOIST_OK;
}

static enum hoist_err read_prometheus(struct settings *s)
{
    struct prometheus_config *c = &s->prometheus;
    *c = (struct prometheus_config){
        .url = options_get(s->options, "prometheus"),
        .token_file = options_get(s->options, "prometheus-token-file"),
        .user_file = options_get(s->options, "prometheus-user-file"),
        .ca = options_get(s->options, "prometheus-ca"),
        .cert = options_get(s->options, "prometheus-cert"),
        .key = options_get(s->options, "prometheus-key"),
        .insecure = options_on(s->options, "insecure"),
    };
    enum hoist_err err = duration(s->options, "prometheus-timeout", &c->timeout_ms);
    if (err)
        return err;
    if (c->timeout_ms > PROMETHEUS_TIMEOUT_MAX_MS)
        return err_set(HOIST_EINVAL,
                       "--prometheus-timeout %s: at most 1m is meant: the primary waits "
                       "no longer; a recording rule makes a query cheap",
                       options_get(s->options, "prometheus-timeout"));
    if (!c->url && (c->token_file || c->user_file || c->ca || c->cert || c->key))
        return err_set(HOIST_EINVAL, "--prometheus URL is missing: the other --prometheus options "
                                     "say how to ask it");
    return HOIST_OK;
}

/* ------------------------------------------------------------------ what leaves this machine */

static enum hoist_err check_urls(const struct settings *s, const char *option,
                                 const char *const *urls, size_t count)
{
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; i < count && !err; i++)
        err = net_check_use(option, urls[i], s->tls.cert != NULL, s->insecure);
    return err;
}

static bool is_https(const struct settings *s, const char *address)
{
    bool secure = false;
    if (address)
        (void)http_address(address, s->has_tls, &secure);
    return secure;
}

static bool serves_https(const struct settings *s)
{
    bool https = false;
    for (int i = 0; i < HTTP_COUNT; i++)
        https |= is_https(s, s->http[i]);
    return https;
}

bool settings_serves_tls(const struct settings *s)
{
    bool tls = serves_https(s) || (s->stream && net_is_tls(s->stream));
    for (size_t i = 0; i < s->listen_count; i++)
        tls |= net_is_tls(s->listen[i]);
    return tls;
}

static enum hoist_err check_any_client(const struct settings *s)
{
    return serves_https(s) || !s->https_any_client
               ? HOIST_OK
               : err_set(HOIST_EINVAL, "--https-any-client: there is no HTTPS address; give --http "
                                       "https://HOST:PORT");
}

/* What is no HOST:PORT at all, and HTTPS without certificates, http_start() refuses. */
static enum hoist_err check_http(const struct settings *s, const char *option, const char *address)
{
    bool secure;
    const char *at = address ? http_address(address, s->has_tls, &secure) : NULL;
    if (!at || secure || s->insecure || !strchr(at, ':') || address_is_loopback(at))
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "%s %s: plain http leaves this machine unencrypted; give --join, or --tls-cert, "
                   "--tls-key and --tls-ca, a loopback address, as in 127.0.0.1:8016, or say "
                   "--insecure",
                   option, address);
}

/* Whoever can reach this host could otherwise give it any flags. */
static enum hoist_err check_trust(const struct settings *s)
{
    for (size_t i = 0; i < s->upstream_count && s->trust.count == 0; i++)
        if (!net_is_local(s->upstreams[i]))
            return err_set(HOIST_EINVAL,
                           "--upstream %s is another machine, and nothing says whom to believe: "
                           "copy trust.key from the primary's store, and give --trust FILE",
                           s->upstreams[i]);
    return HOIST_OK;
}

/* An address that every host of the fleet may come to keeps nothing private. */
static enum hoist_err check_private_ca(const struct settings *s)
{
    size_t count, shared = 0;
    enum hoist_err err = cert_compare(s->private_tls.ca, s->tls.ca, &count, &shared);
    if (err)
        return err_prefix(err, "--private-join");
    return shared ? err_set(HOIST_EINVAL,
                            "--private-join: it names a CA that signs for the whole fleet (--join, "
                            "--tls-ca), so every host could have what is private; issue it from a "
                            "CA for those alone that may")
                  : HOIST_OK;
}

static enum hoist_err check_private_server(const struct settings *s)
{
    struct cert_info i;
    enum hoist_err err = cert_read(s->private_tls.cert, &i);
    if (err)
        return err_prefix(err, "--private-join");
    bool server = i.server;
    cert_info_done(&i);
    return server ? HOIST_OK
                  : err_set(HOIST_EINVAL, "--private-join: its certificate is a client's alone, so "
                                          "no host would believe it: issue one with --host, the "
                                          "address of --private");
}

static enum hoist_err check_private_join(const struct settings *s, bool is_used)
{
    if (!s->private_tls.cert)
        return HOIST_OK;
    if (!is_used)
        return err_set(HOIST_EINVAL,
                       "--private-join: there is no --private ENV=tls+tcp://… that it is for");
    enum hoist_err err = check_private_server(s);
    return err ? err : check_private_ca(s);
}

static enum hoist_err check_privates(const struct settings *s)
{
    enum hoist_err err = HOIST_OK;
    bool any = false;
    for (size_t i = 0; i < s->private_count && !err; i++) {
        const char *equals = strchr(s->privates[i], '='); /* what is no ENV=URL the primary says */
        if (!equals)
            continue;
        any |= net_is_tls(equals + 1);
        err = net_check_use("--private", equals + 1, s->tls.cert != NULL, s->insecure);
        if (!err && net_is_tls(equals + 1) && !s->private_tls.cert)
            err = err_set(HOIST_EINVAL,
                          "--private %s: with a certificate of --tls-ca every host could have it; "
                          "give --private-join FILE, a bundle from a CA for those alone that may",
                          s->privates[i]);
    }
    return err ? err : check_private_join(s, any);
}

static enum hoist_err check_addresses(const struct settings *s)
{
    enum hoist_err err = check_urls(s, "--listen", s->listen, s->listen_count);
    if (!err)
        err = check_privates(s);
    if (!err)
        err = check_urls(s, "--stream", &s->stream, s->stream != NULL);
    if (!err)
        err = check_urls(s, "--upstream", s->upstreams, s->upstream_count);
    for (int i = 0; i < HTTP_COUNT && !err; i++)
        err = check_http(s, http_options[i], s->http[i]);
    if (!err)
        err = check_any_client(s);
    return err ? err : check_trust(s);
}

static enum hoist_err read_bundle(struct settings *s)
{
    const char *join = options_get(s->options, "join");
    if (!join)
        return HOIST_OK;
    s->bundle = mem_zalloc(1, sizeof *s->bundle);
    if (!s->bundle)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (bundle_open(join, s->bundle) != HOIST_OK)
        return err_prefix(HOIST_EINVAL, "--join");
    if (s->upstream_count == 0 && settings_follows(s->role)) {
        s->upstreams = (const char *const *)s->bundle->upstreams;
        s->upstream_count = s->bundle->upstream_count;
    }
    return HOIST_OK;
}

/* Whose signature is believed: an option wins over the bundle. */
static enum hoist_err read_trust(struct settings *s)
{
    const char *trust = options_get(s->options, "trust");
    if (!trust && s->bundle && settings_follows(s->role))
        s->trust = s->bundle->trust;
    if (trust && trust_read(trust, &s->trust) != HOIST_OK)
        return err_prefix(HOIST_EINVAL, "--trust");
    return HOIST_OK;
}

static enum hoist_err read_private_join(struct settings *s)
{
    struct bundle b;
    const char *path = options_get(s->options, "private-join");
    if (!path)
        return HOIST_OK;
    if (bundle_open(path, &b) != HOIST_OK)
        return err_prefix(HOIST_EINVAL, "--private-join");
    s->private_tls = b.tls;
    b.tls = (struct tls_files){0};
    bundle_done(&b);
    return HOIST_OK;
}

static enum hoist_err read_tls(struct settings *s)
{
    s->https_any_client = options_on(s->options, "https-any-client");
    s->server_name = options_get(s->options, "tls-server-name");
    s->insecure = options_on(s->options, "insecure");
    enum hoist_err err =
        tls_files_read(options_get(s->options, "tls-cert"), options_get(s->options, "tls-key"),
                       options_get(s->options, "tls-ca"), &s->tls);
    if (!err && !s->tls.cert && s->bundle) {
        s->tls = s->bundle->tls;
        s->bundle->tls = (struct tls_files){0};
    }
    if (!err)
        err = read_private_join(s);
    s->has_tls = s->tls.cert != NULL;
    return err;
}

enum hoist_err settings_read(enum role role, int argc, char **argv, struct settings *ret)
{
    struct settings s = {.role = role};
    enum hoist_err err =
        options_read(roles[role].options, argc, argv, "config", config_files, &s.options);
    if (err)
        return err;
    if (options_on(s.options, "help")) {
        *ret = s;
        return HOIST_OK;
    }
    s.env_count = options_list(s.options, "env", &s.envs);
    s.listen_count = options_list(s.options, "listen", &s.listen);
    s.upstream_count = options_list(s.options, "upstream", &s.upstreams);
    s.label_count = options_list(s.options, "label", &s.labels);
    s.stream = options_get(s.options, "stream");
    s.private_count = options_list(s.options, "private", &s.privates);
    s.sign_key = options_get(s.options, "sign-key");
    s.kill_count = options_list(s.options, "kill-on-alert", &s.kill_on_alert);
    s.notify_count = options_list(s.options, "notify", &s.notify);
    s.webhook_tokens = options_get(s.options, "webhook-token-file");
    s.ofrep.context_count = options_list(s.options, "context", &s.ofrep.context);
    s.ofrep.header_count = options_list(s.options, "context-from-header", &s.ofrep.headers);
    s.ofrep.origin_count = options_list(s.options, "cors-origin", &s.ofrep.origins);
    s.ofrep.token_file = options_get(s.options, "http-token-file");
    s.ofrep.access = options_on(s.options, "http-access");
    for (int i = 0; i < HTTP_COUNT; i++)
        s.http[i] = http_at(&s, http_options[i] + strlen("--"));
    err = read_bundle(&s);
    if (!err)
        err = check_words(&s);
    if (!err)
        err = read_prometheus(&s);
    if (!err)
        err = read_trust(&s);
    if (!err)
        err = read_tls(&s);
    if (!err)
        err = check_addresses(&s);
    if (!err && s.ofrep.access && settings_follows(role))
        err = follow_access(&s);
    if (!err)
        err = read_anonymous(&s);
    if (!err)
        err = read_store_options(&s);
    if (!err && s.role != ROLE_AGENT)
        err = read_quotas(&s);
    if (!err)
        err = default_store(&s);
    if (!err)
        err = host_name(&s);
    if (err)
        settings_done(&s);
    else
        *ret = s;
    return err;
}

void settings_done(struct settings *s)
{
    options_free(s->options);
    tls_files_done(&s->tls);
    tls_files_done(&s->private_tls);
    if (s->bundle)
        bundle_done(s->bundle);
    mem_free(s->bundle);
    mem_free(s->store);
    mem_free(s->id);
    mem_free(s->followed);
    *s = (struct settings){0};
}

enum hoist_err settings_apply_log(const struct settings *s)
{
    enum log_level level;
    const char *format = options_get(s->options, "log-format");
    enum hoist_err err = log_level_parse(options_get(s->options, "log-level"), &level);
    if (err)
        return err;
    if (strcmp(format, "json") != 0 && strcmp(format, "logfmt") != 0)
        return err_set(HOIST_EINVAL, "--log-format %s: logfmt or json is meant", format);
    log_set_level(level);
    log_set_format(settings_log_format(s));
    return HOIST_OK;
}

enum log_format settings_log_format(const struct settings *s)
{
    return strcmp(options_get(s->options, "log-format"), "json") == 0 ? LOG_JSON : LOG_LOGFMT;
}
