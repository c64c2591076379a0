/* quota_metrics.c - what is said of limits: how close each is, who met one. */
#include "base/clock.h"
#include "base/log.h"
#include "repl/quota_int.h"

enum { LINE_MS = 1000 }; /* between two log lines, whoever they are about */

/* clang-format off */
static const struct {
    const char *label, *words;
} reasons[QUOTA_REASONS] = {
    [QUOTA_CONNECTIONS] =        {"limit=\"connections\"", "all connections are taken (--connections)"},
    [QUOTA_SUBSCRIPTIONS] =      {"limit=\"subscriptions\"", "all subscriptions are taken (--subscriptions)"},
    [QUOTA_PEER_CONNECTIONS] =   {"limit=\"peer_connections\"", "it has as many connections as one may (--peer-connections)"},
    [QUOTA_PEER_SUBSCRIPTIONS] = {"limit=\"peer_subscriptions\"", "it has as many subscriptions as one may (--peer-subscriptions)"},
    [QUOTA_PEER_REQUESTS] =      {"limit=\"peer_requests\"", "it asks more often than one may (--peer-requests)"},
    [QUOTA_BYTES] =              {"limit=\"request_bytes\"", "as many bytes of requests are here as may (--request-bytes)"},
    [QUOTA_PEER_BYTES] =         {"limit=\"peer_request_bytes\"", "as many bytes of its requests are here as may (--peer-request-bytes)"},
    [QUOTA_COMMANDS] =           {"limit=\"commands\"", "as many commands wait as may"},
    [QUOTA_PEER_COMMANDS] =      {"limit=\"peer_commands\"", "as many of its commands wait as may"},
    [QUOTA_ANSWERS] =            {"limit=\"answer_bytes\"", "as many bytes of answers are on their way as may"},
    [QUOTA_PEER_ANSWERS] =       {"limit=\"peer_answer_bytes\"", "as many bytes of answers to it are on their way as may"},
    [QUOTA_PEER_UNDER_WAY] =     {"limit=\"peer_requests_under_way\"", "as many of its requests are under way as may"},
    [QUOTA_UNDER_WAY] =          {"limit=\"connection_requests\"", "as many requests of one connection are under way as may; that ends"},
    [QUOTA_HANDSHAKE] =          {"limit=\"handshake\"", "it did not end a handshake within 10 s"},
    [QUOTA_DOWNLOADS] =          {"limit=\"downloads\"", "as many snapshots are downloaded at a time as may; it comes again"},
    [QUOTA_PEER_DOWNLOADS] =     {"limit=\"peer_downloads\"", "it downloads as many snapshots at a time as one may; it comes again"},
};
/* clang-format on */

const char *quota_reason_words(enum quota_reason why)
{
    return reasons[why].words;
}

void quota_refuse(struct quota *q, struct quota_peer *p, enum quota_reason why, int64_t now_ms)
{
    metric_inc(q->refused[why]);
    if (now_ms < p->quiet_until_ms || now_ms < q->next_line_ms)
        return;
    p->quiet_until_ms = now_ms + QUOTA_QUIET_MS;
    q->next_line_ms = now_ms + LINE_MS;
    log_warn("repl: peer %s is refused: %s; for a minute that is only counted", p->name,
             reasons[why].words);
}

/* ---------------------------------------------------------------- how close */

/* The most that one peer has of each. */
static struct quota_peer greediest(const struct quota *q, int64_t now_ms, int64_t *ret_spent)
{
    struct quota_peer most = {0};
    for (int i = 0; i < QUOTA_PEERS; i++)
        for (const struct quota_peer *p = q->peers[i]; p; p = p->next) {
            int64_t spent = quota_spent(q, p, now_ms);
            for (int kind = 0; kind < QUOTA_KINDS; kind++)
                if (p->count[kind] + p->begun[kind] > most.count[kind])
                    most.count[kind] = p->count[kind] + p->begun[kind];
            if (p->commands > most.commands)
                most.commands = p->commands;
            if (p->under_way > most.under_way)
                most.under_way = p->under_way;
            if (p->answers > most.answers)
                most.answers = p->answers;
            if (p->bytes + p->unread > most.bytes)
                most.bytes = p->bytes + p->unread;
            if (spent > *ret_spent)
                *ret_spent = spent;
        }
    return most;
}

static void set(struct quota *q, enum quota_reason of, double used, double most)
{
    metric_set(q->ratio[of], used / most);
}

static void update(void *arg)
{
    struct quota *q = arg;
    const struct quota_limits *l = &q->limits;
    int64_t spent = 0;
    pthread_mutex_lock(&q->lock);
    struct quota_peer most = greediest(q, clock_mono_ms(), &spent);
    set(q, QUOTA_CONNECTIONS, q->count[QUOTA_CONNECTION], l->connections);
    set(q, QUOTA_SUBSCRIPTIONS, q->count[QUOTA_SUBSCRIPTION], l->subscriptions);
    set(q, QUOTA_PEER_CONNECTIONS, most.count[QUOTA_CONNECTION], l->peer_connections);
    set(q, QUOTA_PEER_SUBSCRIPTIONS, most.count[QUOTA_SUBSCRIPTION], l->peer_subscriptions);
    set(q, QUOTA_PEER_REQUESTS, (double)spent / 2000, l->peer_requests);
    set(q, QUOTA_BYTES, (double)(q->bytes + q->unread), (double)l->request_bytes);
    set(q, QUOTA_PEER_BYTES, (double)most.bytes, (double)l->peer_request_bytes);
    set(q, QUOTA_COMMANDS, q->commands, l->commands);
    set(q, QUOTA_PEER_COMMANDS, most.commands, l->peer_commands);
    set(q, QUOTA_ANSWERS, (double)q->answers, (double)l->answer_bytes);
    set(q, QUOTA_PEER_ANSWERS, (double)most.answers, (double)l->peer_answer_bytes);
    set(q, QUOTA_PEER_UNDER_WAY, most.under_way, QUOTA_PEER_REQUESTS_MAX);
    pthread_mutex_unlock(&q->lock);
}

void quota_metrics_begin(struct quota *q)
{
    for (int i = 0; i < QUOTA_REASONS; i++)
        q->refused[i] =
            metric_series(METRIC_COUNTER, "hoist_refused_total",
                          "Connections and requests beyond a limit.", reasons[i].label, NULL);
    for (int i = 0; i < QUOTA_SHARES; i++)
        q->ratio[i] =
            metric_series(METRIC_GAUGE, "hoist_limit_ratio",
                          "How much of a limit is used: 1 is all of it.", reasons[i].label, NULL);
    q->idle = metric_series(METRIC_COUNTER, "hoist_idle_connections_closed_total",
                            "Connections that brought no whole request for a minute.", "", NULL);
    metrics_on_write(update, q);
}

void quota_metrics_end(struct quota *q)
{
    metrics_off_write(update, q);
}
