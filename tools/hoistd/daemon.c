#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cert.h"
#include "base/clock.h"
#include "base/expiry.h"
#include "base/log.h"
#include "eval/host.h"
#include "figures.h"
#include "files.h"
#include "greet.h"
#include "guards.h"
#include "http/http.h"
#include "http/notify.h"
#include "notify.h"
#include "primary/alerts.h"
#include "primary/primary.h"
#include "repl/agent.h"
#include "repl/net_tls.h"
#include "repl/relay.h"
#include "usage/gather.h"
#include "usage/sums.h"

static const char tcp_default[] = "tcp://127.0.0.1:7400";
static const char ipc_default[] = "ipc:///run/hoist/primary.sock";

enum {
    LISTEN_MAX = 2,
    POLL_MS = 200,
    REOPENS_MAX = 5,
    GONE_AGAIN_MS = 60000,
    DESCRIPTORS = 65536,
    DESCRIPTORS_COUNTED = 1 << 20
};

struct daemon {
    const struct settings *settings;
    struct store *store;
    struct primary *primary; /* or … */
    struct agent *agent;     /* a relay's, too */
    struct relay *relay;
    struct sums *sums; /* of evaluations; also while the store is opened anew */
    struct gather *gather;
    struct notifier *notifier; /* a primary's; NULL: nobody is notified */
    struct guards *guards;     /* likewise; NULL: no guard is asked */
    struct ofrep_config ofrep;
    struct http *http[HTTP_COUNT];
    const char *own_listen[LISTEN_MAX]; /* when --listen says nothing */
    const char *const *listen;
    uint32_t listen_count;
    struct sign_key key;            /* a primary's */
    struct tls_files files;         /* the ones in use … */
    struct net_tls *tls;            /* … as nng has them; NULL: none */
    struct tls_files private_files; /* the same for private listeners */
    struct net_tls *private_tls;
    uint64_t descriptors; /* that may be open */
    struct quota_limits quota;
    int64_t gone_again_ms; /* when to say again that the store's directory is gone */
};

/* ------------------------------------------------------------------ what HTTP asks */

static bool is_ready(void *arg, struct buf *why_not)
{
    struct daemon *d = arg;
    return d->agent ? agent_is_ready(d->agent, why_not) : true;
}

static enum hoist_err status(void *arg, struct buf *out)
{
    struct daemon *d = arg;
    return d->agent ? agent_status(d->agent, out) : primary_status(d->primary, out);
}

/* A primary's. */
static unsigned on_alerts(void *arg, struct slice body, bool too_long, struct buf *out)
{
    struct daemon *d = arg;
    return primary_alerts(d->primary, body, too_long, out);
}

/* ------------------------------------------------------------------ start */

/* tcp on loopback, and on a primary the local socket where it can be made. */
static void choose_listen(struct daemon *d)
{
    d->listen = d->settings->listen;
    d->listen_count = (uint32_t)d->settings->listen_count;
    if (d->listen_count > 0)
        return;
    d->listen = d->own_listen;
    d->own_listen[d->listen_count++] = tcp_default;
    if (d->settings->role == ROLE_RELAY)
        return;
    if ((mkdir("/run/hoist", 0755) == 0 || errno == EEXIST) && access("/run/hoist", W_OK) == 0)
        d->own_listen[d->listen_count++] = ipc_default;
    else
        log_info("hoistd: /run/hoist cannot be written, so there is no local socket; flagctl takes "
                 "--primary %s",
                 tcp_default);
}

/* The one that was named, or the store's own, which is made with it. */
static enum hoist_err open_key(struct daemon *d)
{
    char own[PATH_MAX], trust[PATH_MAX];
    const char *dir = d->settings->store, *named = d->settings->sign_key;
    int len = snprintf(own, sizeof own, "%s/sign.key", dir);
    int trust_len = snprintf(trust, sizeof trust, "%s/trust.key", dir);
    if (len >= (int)sizeof own || trust_len >= (int)sizeof trust)
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    enum hoist_err err = sign_key_open(named ? named : own, !named, trust, &d->key);
    if (err == HOIST_ENOTFOUND || err == HOIST_EACCES)
        err = HOIST_EINVAL; /* an option that is wrong */
    return err ? err_prefix(err, "--sign-key") : HOIST_OK;
}

static enum hoist_err start_primary(struct daemon *d)
{
    const struct settings *s = d->settings;
    choose_listen(d);
    struct primary_config config = {
        .envs = s->envs,
        .env_count = (uint32_t)s->env_count,
        .listen = d->listen,
        .listen_count = d->listen_count,
        .stream = s->stream,
        .tls = d->tls,
        .privates = s->privates,
        .private_tls = d->private_tls,
        .kill_on_alert = s->kill_on_alert,
        .guards = guards_of(d->guards),
        .kill_count = (uint32_t)s->kill_count,
        .private_count = (uint32_t)s->private_count,
        .id = s->id,
        .software = HOIST_VERSION,
        .role = roles[s->role].name,
        .heartbeat_ms = s->heartbeat_ms,
        .quota = d->quota,
        .sums = d->sums,
        .anonymous = s->anonymous,
        .key = &d->key,
        .key_named = s->sign_key != NULL,
    };
    enum hoist_err err = open_key(d);
    return err ? err : primary_start(d->store, &config, &d->primary);
}

static struct agent_config agent_config(const struct daemon *d)
{
    const struct settings *s = d->settings;
    return (struct agent_config){
        .id = s->id,
        .software = HOIST_VERSION,
        .upstreams = s->upstreams,
        .upstream_count = (uint32_t)s->upstream_count,
        .tls = d->tls,
        .envs = s->envs,
        .env_count = (uint32_t)s->env_count,
        .labels = s->labels,
        .label_count = (uint32_t)s->label_count,
        .heartbeat_ms = s->heartbeat_ms,
        .trust = s->trust,
        .sums = d->sums,
    };
}

static enum hoist_err start_agent(struct daemon *d)
{
    struct agent_config config = agent_config(d);
    return agent_start(d->store, &config, &d->agent);
}

static enum hoist_err start_relay(struct daemon *d)
{
    choose_listen(d);
    struct relay_config config = {
        .agent = agent_config(d),
        .listen = d->listen,
        .listen_count = d->listen_count,
        .stream = d->settings->stream,
        .quota = d->quota,
    };
    enum hoist_err err = relay_start(d->store, &config, &d->relay);
    if (!err)
        d->agent = relay_agent(d->relay);
    return err;
}

static enum hoist_err start_role(struct daemon *d)
{
    switch (d->settings->role) {
    case ROLE_AGENT:
        return start_agent(d);
    case ROLE_RELAY:
        return start_relay(d);
    default:
        return start_primary(d);
    }
}

/* Hosts serve OFREP; `dev` does at its second address, which is an agent's. */
static bool serves_ofrep(enum role role, int i)
{
    return role == ROLE_DEV ? i == 1 : settings_follows(role);
}

/* An agent has no other connections that stay than its own two. */
static uint32_t http_connections(const struct daemon *d)
{
    uint32_t share = quota_share(d->descriptors, d->settings->role == ROLE_AGENT ? 12 : 2);
    return share < HTTP_CONNECTIONS_MAX ? share : HTTP_CONNECTIONS_MAX;
}

/* The first one last: who finds it ready finds the other open. */
static enum hoist_err start_http(struct daemon *d)
{
    enum hoist_err err = HOIST_OK;
    d->ofrep = d->settings->ofrep;
    d->ofrep.store = d->store;
    for (int i = HTTP_COUNT - 1; i >= 0 && !err; i--) {
        if (!d->settings->http[i])
            continue;
        struct http_config config = {.listen = d->settings->http[i],
                                     .option = http_options[i],
                                     .tls = &d->files,
                                     .any_client = d->settings->https_any_client,
                                     .ready = is_ready,
                                     .status = status,
                                     .arg = d,
                                     .alerts_max = ALERTS_BODY_MAX,
                                     .alerts_tokens = d->settings->webhook_tokens,
                                     .access = d->ofrep.access ? d->store : NULL,
                                     .connections_max = http_connections(d)};
        if (serves_ofrep(d->settings->role, i))
            config.ofrep = &d->ofrep;
        else if (d->settings->webhook_tokens)
            config.alerts = on_alerts;
        err = http_start(&config, &d->http[i]);
    }
    return err;
}

/* Before the primary: what is there before it starts is no news, what it changes is. */
static enum hoist_err start_notifier(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct notifier_config config = {.store = d->store,
                                     .dir = s->store,
                                     .sinks = s->notify,
                                     .count = s->notify_count,
                                     .insecure = s->insecure};
    return s->notify_count ? notifier_start(&config, &d->notifier) : HOIST_OK;
}

static void stop(struct daemon *d)
{
    for (int i = 0; i < HTTP_COUNT; i++)
        http_stop(d->http[i]);
    gather_stop(d->gather); /* what it takes over last goes up, or is written, when the role ends */
    guards_stop(d->guards);
    primary_stop(d->primary);
    notifier_stop(d->notifier);
    if (d->relay)
        relay_stop(d->relay);
    else
        agent_stop(d->agent);
    if (d->store) {
        sums_metrics_end();
        figures_end(d->store);
    }
    store_close(d->store);
    *d = (struct daemon){.settings = d->settings,
                         .sums = d->sums,
                         .files = d->files,
                         .tls = d->tls,
                         .private_files = d->private_files,
                         .private_tls = d->private_tls,
                         .descriptors = d->descriptors,
                         .quota = d->quota};
}

/* It is left as it is: what is in it may be all that there is, and who reads here reads on in it. */
static enum hoist_err damaged(const struct settings *s)
{
    char why[1024];
    snprintf(why, sizeof why, "%s", err_last());
    if (settings_follows(s->role))
        return err_set(HOIST_ECORRUPT,
                       "%s. Nothing was changed, and programs here read on in it. To load all anew "
                       "from upstream, move it away and start again: mv %s %s.damaged",
                       why, s->store, s->store);
    return err_set(
        HOIST_ECORRUPT,
        "%s. Nothing was changed. flagctl fsck --store %s says what is damaged; go on from "
        "a backup (hoistd recover FILE --store DIR) or from a host's store (hoistd %s "
        "--take-over --store DIR)",
        why, s->store, roles[s->role].name);
}

/* With what rules may want to know of the host. */
static enum hoist_err open_store(struct daemon *d)
{
    const struct settings *s = d->settings;
    struct store_options options = s->store_options;
    struct buf host = BUF_INIT(1 << 20);
    enum hoist_err err = host_write(slice_str(s->id), s->labels, s->label_count, &host);
    options.host = buf_slice(&host);
    if (!err)
        err = store_open(s->store, &options, &d->store);
    buf_done(&host);
    return err == HOIST_ECORRUPT ? damaged(s) : err;
}

static void on_counted(void *sums, struct slice env, struct slice key, struct slice variant,
                       uint64_t n)
{
    sums_add(sums, env, key, variant, n);
}

/* Flags are served all the same where it cannot be. */
static void start_counting(struct daemon *d)
{
    sums_metrics_begin(d->sums, d->store);
    if (gather_start(d->store, on_counted, d->sums, &d->gather) != HOIST_OK)
        log_error("hoistd: what programs here evaluate is not counted: %s", err_last());
}

static enum hoist_err start(struct daemon *d)
{
    enum hoist_err err = open_store(d);
    if (!err)
        figures_begin(d->store, d->descriptors);
    if (!err)
        start_counting(d);
    if (!err)
        err = start_notifier(d);
    if (!err)
        err = guards_start(d->settings, &d->guards);
    if (!err)
        err = start_role(d);
    if (!err)
        err = start_http(d);
    if (err)
        stop(d);
    return err;
}

/* ------------------------------------------------------------------ run */

static void signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void daemon_block_signals(void)
{
    sigset_t set;
    signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A connection each for clients that stay, as hosts and event streams do; a shell gives 1,024 by
 * default. */
static uint64_t allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return DESCRIPTORS;
    if (limit.rlim_cur >= DESCRIPTORS)
        return limit.rlim_cur < DESCRIPTORS_COUNTED ? limit.rlim_cur : DESCRIPTORS_COUNTED;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return limit.rlim_cur;
    log_warn("hoistd: the limit of open files stays as it is: %s", strerror(errno));
    return before;
}

static void fit_quota(struct daemon *d)
{
    d->descriptors = allow_descriptors();
    d->quota = d->settings->quota;
    if (d->settings->role != ROLE_AGENT && quota_fit(&d->quota, d->descriptors))
        log_info("hoistd: the limit of %llu open files leaves %u connections and %u subscriptions "
                 "at a time; for more, raise it (LimitNOFILE, ulimit -n)",
                 (unsigned long long)d->descriptors, d->quota.connections, d->quota.subscriptions);
}

struct certificates {
    struct net_tls *tls, *private_tls; /* as nng has them; private_tls may be NULL */
    struct cert_info own, private_own;
};

static void certificates_done(struct certificates *c)
{
    net_tls_drop(c->tls);
    net_tls_drop(c->private_tls);
    cert_info_done(&c->own);
    cert_info_done(&c->private_own);
}

static enum hoist_err read_pair(const struct tls_files *files, const char *server_name,
                                const char *option, struct net_tls **ret, struct cert_info *ret_own)
{
    if (!files->cert)
        return HOIST_OK;
    enum hoist_err err = net_tls_new(files, server_name, ret);
    if (!err && (err = cert_read(files->cert, ret_own)) != HOIST_OK)
        err_prefix(err, "%s", option);
    return err;
}

static enum hoist_err read_certificates(const struct settings *s, struct certificates *c)
{
    *c = (struct certificates){0};
    enum hoist_err err = read_pair(&s->tls, s->server_name, "--tls-cert", &c->tls, &c->own);
    if (!err)
        err = read_pair(&s->private_tls, NULL, "--private-join", &c->private_tls, &c->private_own);
    if (err)
        certificates_done(c);
    return err;
}

/* These are in use; an error in the log where others will not take them: whoever has a store serves
 * its flags all the same. */
static void tell_certificates(const struct settings *s, const struct certificates *c)
{
    if (net_tls_check_own(c->tls) != HOIST_OK)
        log_error("hoistd: %s; no connection will come about until it is replaced (and SIGHUP)",
                  err_last());
    if (!c->own.server && settings_serves_tls(s))
        log_error(
            "hoistd: the certificate in --tls-cert is a client's alone (its extended key usage "
            "has no serverAuth): nobody will connect here by TLS until it is replaced by one "
            "that was issued with --host (and SIGHUP)");
    expiry_set(&c->own, c->private_tls ? &c->private_own : NULL);
}

static enum hoist_err start_tls(struct daemon *d, struct settings *s)
{
    struct certificates c;
    if (!s->tls.cert)
        return HOIST_OK;
    enum hoist_err err = read_certificates(s, &c);
    if (err)
        return err;
    tell_certificates(s, &c);
    d->tls = net_tls_hold(c.tls);
    d->private_tls = net_tls_hold(c.private_tls);
    d->files = s->tls;
    d->private_files = s->private_tls;
    s->tls = s->private_tls = (struct tls_files){0};
    certificates_done(&c);
    return HOIST_OK;
}

static enum hoist_err renew_http(struct daemon *d, const struct tls_files *files)
{
    enum hoist_err err = HOIST_OK;
    for (int i = 0; i < HTTP_COUNT && !err; i++)
        if (d->http[i])
            err = http_renew(d->http[i], files);
    return err;
}

static enum hoist_err renew_role(struct daemon *d, struct net_tls *tls, struct net_tls *private_tls)
{
    if (d->primary)
        return primary_renew(d->primary, tls, private_tls);
    if (d->relay)
        return relay_renew(d->relay, tls);
    agent_renew(d->agent, tls);
    return HOIST_OK;
}

/* One that nobody takes today is no better than one that is taken. */
static enum hoist_err check_dates(const struct net_tls *used, const struct net_tls *fresh)
{
    if (!used || net_tls_check_dates(used) != HOIST_OK)
        return HOIST_OK;
    return net_tls_check_dates(fresh);
}

/* What connections are made with from now on; those that are there are made anew. */
static enum hoist_err use_certificates(struct daemon *d, struct settings *fresh,
                                       const struct certificates *c)
{
    enum hoist_err err = renew_http(d, &fresh->tls);
    if (!err && (err = renew_role(d, c->tls, c->private_tls)) != HOIST_OK)
        (void)!renew_role(d, d->tls, d->private_tls);
    if (err) {
        (void)!renew_http(d, &d->files);
        return err;
    }
    net_tls_drop(d->tls);
    net_tls_drop(d->private_tls);
    tls_files_done(&d->files);
    tls_files_done(&d->private_files);
    d->tls = net_tls_hold(c->tls);
    d->private_tls = net_tls_hold(c->private_tls);
    d->files = fresh->tls;
    d->private_files = fresh->private_tls;
    fresh->tls = fresh->private_tls = (struct tls_files){0};
    log_info("hoistd: new certificates are in use");
    return HOIST_OK;
}

static enum hoist_err renew_tls(struct daemon *d, struct settings *fresh)
{
    struct certificates c;
    if (!d->tls && !fresh->tls.cert)
        return HOIST_OK;
    if (!d->tls != !fresh->tls.cert || !d->private_tls != !fresh->private_tls.cert)
        return err_set(HOIST_EINVAL, "to begin or end with TLS, start hoistd anew");
    enum hoist_err err = read_certificates(fresh, &c);
    if (err)
        return err;
    err = check_dates(d->tls, c.tls);
    if (!err && (err = check_dates(d->private_tls, c.private_tls)) != HOIST_OK)
        err_prefix(err, "--private-join");
    bool same = tls_files_same(&d->files, &fresh->tls) &&
                tls_files_same(&d->private_files, &fresh->private_tls);
    if (!err && !same)
        err = use_certificates(d, fresh, &c);
    if (!err)
        tell_certificates(d->settings, &c);
    certificates_done(&c);
    return err;
}

static void reload(struct daemon *d, int argc, char **argv)
{
    notify_reloading();
    struct settings fresh;
    enum hoist_err err = settings_read(d->settings->role, argc, argv, &fresh);
    if (!err) {
        err = settings_apply_log(&fresh);
        if (!err)
            err = renew_tls(d, &fresh);
        settings_done(&fresh);
    }
    if (err)
        log_error("hoistd: not reloaded, going on as before: %s", err_last());
    else
        log_info("hoistd: reloaded the log's level and format, and certificates; the rest is as it "
                 "was at the start");
    notify("READY=1");
}

/*
 * Somebody removed the store's directory under us. An agent or relay makes it anew, and fills it from
 * its upstream. A primary does not: it would begin empty, and every host would follow it there; so it
 * goes on in what it has open, and asks for help.
 */
static bool must_make_anew(struct daemon *d)
{
    int64_t now = clock_mono_ms();
    if (!store_is_gone(d->store))
        return false;
    if (d->agent) {
        log_error("hoistd: the store's directory %s was removed; making it anew",
                  d->settings->store);
        return true;
    }
    if (now >= d->gone_again_ms)
        log_error("hoistd: the store's directory %s was removed; this primary goes on in the open "
                  "files, which end with it. Keep its flags: flagctl export --primary …",
                  d->settings->store);
    if (now >= d->gone_again_ms)
        d->gone_again_ms = now + GONE_AGAIN_MS;
    return false;
}

static bool must_reopen(struct daemon *d)
{
    if (d->agent && agent_is_stuck(d->agent)) {
        log_warn("hoistd: nng does not let go of a connection; starting anew");
        return true;
    }
    if (d->primary ? primary_is_broken(d->primary) : agent_is_broken(d->agent)) {
        log_error("hoistd: the disk failed in the middle of a commit; opening the store anew");
        return true;
    }
    return must_make_anew(d);
}

/* Until a signal ends it (0), or the store has to be opened anew (1). */
static int serve(struct daemon *d, int argc, char **argv)
{
    sigset_t set;
    signals(&set);
    int64_t watchdog_ms = notify_watchdog_ms(), told = clock_mono_ms();
    for (;;) {
        struct timespec wait = {.tv_nsec = POLL_MS * 1000000};
        int number = sigtimedwait(&set, NULL, &wait);
        if (number == SIGTERM || number == SIGINT)
            return 0;
        if (number == SIGHUP)
            reload(d, argc, argv);
        files_watch(clock_mono_ms(), d->descriptors);
        if (must_reopen(d))
            return 1;
        expiry_remind(clock_mono_ms());
        if (watchdog_ms > 0 && clock_mono_ms() - told >= watchdog_ms) {
            told = clock_mono_ms();
            notify("WATCHDOG=1");
        }
    }
}

/* In the place of this one, whose threads go with it; the arguments are those of main(). */
static int start_anew(char **argv)
{
    execv("/proc/self/exe", argv - ROLE_WORDS);
    log_error("hoistd: cannot start anew: %s", strerror(errno));
    return EXIT_FAILURE;
}

static int start_err(enum hoist_err err)
{
    log_error("hoistd: %s", *err_last() ? err_last() : err_word(err));
    return err == HOIST_EINVAL ? EXIT_WRONG_OPTIONS : EXIT_FAILURE;
}

static int run(struct daemon *d, int argc, char **argv)
{
    const struct settings *s = d->settings;
    for (int reopened = 0; reopened <= REOPENS_MAX; reopened++) {
        enum hoist_err err = start(d);
        if (err)
            return start_err(err);
        if (reopened == 0) {
            greet(s, d->store, d->listen, d->listen_count);
            notify("READY=1");
        }
        log_info("hoistd: %s runs, store %s", roles[s->role].name, s->store);
        bool again = serve(d, argc, argv) != 0;
        bool stuck = again && d->agent && agent_is_stuck(d->agent);
        if (!again)
            notify("STOPPING=1");
        stop(d);
        if (stuck)
            return start_anew(argv);
        if (!again) {
            log_info("hoistd: ended by a signal");
            return EXIT_SUCCESS;
        }
    }
    log_error("hoistd: the store has to be opened anew again and again; ending");
    return EXIT_FAILURE;
}

int daemon_run(struct settings *s, int argc, char **argv)
{
    struct daemon d = {.settings = s};
    figures_init(s->role);
    fit_quota(&d);
    enum hoist_err err = sums_new(&d.sums);
    if (!err)
        err = start_tls(&d, s);
    int exit = err ? start_err(err) : run(&d, argc, argv);
    sums_free(d.sums);
    net_tls_drop(d.tls);
    net_tls_drop(d.private_tls);
    tls_files_done(&d.files);
    tls_files_done(&d.private_files);
    return exit;
}
