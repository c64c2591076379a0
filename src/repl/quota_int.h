/* quota_int.h - which limits there are, shared by the counting and what is said of it. */
#ifndef REPL_QUOTA_INT_H
#define REPL_QUOTA_INT_H

#include <pthread.h>

#include "base/metrics.h"
#include "repl/quota.h"

enum {
    QUOTA_KINDS = 2,
    QUOTA_PEERS = 1024, /* chains of the tables */
    QUOTA_PIPES = 4096,
    QUOTA_NAME_SIZE = 64,
};

enum quota_reason {
    QUOTA_CONNECTIONS, /* the two of each kind stand in the order of enum quota_kind */
    QUOTA_SUBSCRIPTIONS,
    QUOTA_PEER_CONNECTIONS,
    QUOTA_PEER_SUBSCRIPTIONS,
    QUOTA_PEER_REQUESTS,
    QUOTA_BYTES, /* of commands that wait, and of messages that are not whole yet */
    QUOTA_PEER_BYTES,
    QUOTA_COMMANDS,
    QUOTA_PEER_COMMANDS,
    QUOTA_REASONS
};

struct quota_end {           /* where a connection comes from; zero: not by TCP */
    uint8_t address[16];     /* of IPv6, or IPv4 in its clothes */
    uint16_t port, own_port; /* one address may use a port of its own towards several of ours */
};

struct quota_peer {
    struct quota_peer *next;
    char name[QUOTA_NAME_SIZE];
    uint32_t count[QUOTA_KINDS];
    uint32_t commands;
    uint64_t bytes, unread;
    int64_t tokens, filled_ms; /* thousandths of requests that it may ask at once */
    int64_t quiet_until_ms;
};

struct quota_pipe {
    struct quota_pipe *next;
    uint32_t id;
    enum quota_kind kind;
    struct quota_peer *peer;
    bool waits; /* for the answer to a command */
    int64_t last_ms;
    struct quota_end end;
    struct quota_pipe *next_end; /* of the chain of its end */
    bool is_cut;                 /* it is to end */
    bool was_whole;              /* a message of it, since the last look */
    uint64_t base, unread;       /* bytes that had come then, and since */
};

struct quota {
    struct quota_limits limits;
    _Atomic uint32_t owners;
    pthread_mutex_t tick_lock; /* the owners' ticks: one of them looks */
    pthread_mutex_t lock;
    struct quota_peer *peers[QUOTA_PEERS];
    struct quota_pipe *pipes[QUOTA_PIPES], *ends[QUOTA_PIPES];
    uint32_t seed;
    uint32_t count[QUOTA_KINDS];
    uint32_t commands;
    uint64_t bytes, unread;
    int64_t next_line_ms, next_sweep_ms, next_look_ms;
    long seen_pages; /* of memory, at the last look */
    struct metric *refused[QUOTA_REASONS], *ratio[QUOTA_REASONS], *idle;
};

/* Counters and gauges of `q`, from 0. */
void quota_metrics_begin(struct quota *q);
void quota_metrics_end(struct quota *q);

/* `p` met limit `why`: it is counted, and said from time to time. With the lock held. */
void quota_refuse(struct quota *q, struct quota_peer *p, enum quota_reason why, int64_t now_ms);

/* What somebody is told who met it. */
const char *quota_reason_words(enum quota_reason why);

/* 10.0.0.1 as ::ffff:10.0.0.1. `address` and ports in network order. */
void quota_end_v4(struct quota_end *ret, const void *address, uint16_t port);

/* Connection `id` comes from there. */
void quota_set_end(struct quota *q, uint32_t id, const struct quota_end *end);

/* So many bytes have come from there by now. */
void quota_received(struct quota *q, const struct quota_end *end, uint64_t bytes);

/* Ask the kernel, when memory has grown or some time has passed. True: it was asked. */
bool quota_look_unread(struct quota *q, int64_t now_ms);

/* Mark those that are to end so that the unread bytes of each peer, and of all, are within the limits:
 * the longest first. How many there are. */
uint32_t quota_beyond(struct quota *q, int64_t now_ms);
bool quota_is_cut(struct quota *q, const struct quota_end *end);

/* End the connections that are marked. */
void quota_cut(struct quota *q);

/* How many requests of the last second's allowance `p` has used, in thousandths. */
int64_t quota_spent(const struct quota *q, const struct quota_peer *p, int64_t now_ms);

#endif
