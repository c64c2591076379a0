/* quota_int.h - which limits there are, shared by the counting and what is said of it. */
#ifndef REPL_QUOTA_INT_H
#define REPL_QUOTA_INT_H

#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/metrics.h"
#include "repl/quota.h"

enum {
    QUOTA_KINDS = 2,
    QUOTA_PEERS = 1024, /* chains of the tables */
    QUOTA_PIPES = 4096,
    QUOTA_NAME_SIZE = ADDRESS_PEER_SIZE,
    QUOTA_BEGUN_MS = 10000, /* that is how long a connection may take to say what it is */
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
    QUOTA_ANSWERS, /* bytes of answers that are not taken yet */
    QUOTA_PEER_ANSWERS,
    QUOTA_PEER_UNDER_WAY,
    QUOTA_SHARES, /* of those that follow no share is said */
    QUOTA_UNDER_WAY = QUOTA_SHARES,
    QUOTA_HANDSHAKE,
    QUOTA_DOWNLOADS,
    QUOTA_PEER_DOWNLOADS,
    QUOTA_REASONS
};

struct quota_end {           /* where a connection comes from; zero: not by TCP */
    uint8_t address[16];     /* of IPv6, or IPv4 in its clothes */
    uint16_t port, own_port; /* one address may use a port of its own towards several of ours */
};

struct quota_peer {
    struct quota_peer *next;
    char name[QUOTA_NAME_SIZE];
    uint32_t count[QUOTA_KINDS], begun[QUOTA_KINDS]; /* begun: no connections yet */
    uint32_t commands, under_way;
    uint64_t bytes, unread, answers;
    int64_t tokens, filled_ms; /* thousandths of requests that it may ask at once */
    int64_t quiet_until_ms;
};

struct quota_pipe {
    struct quota_pipe *next;
    uint32_t id;
    enum quota_kind kind;
    struct quota_peer *peer;
    bool waits; /* for the answer to a command */
    uint32_t under_way;
    uint64_t answers, sending; /* bytes of answers; of these, of the one that nng sends */
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
    uint64_t bytes, unread, answers;
    uint32_t marked; /* connections to be ended since the last time */
    int64_t next_line_ms, next_sweep_ms, next_look_ms, next_cut_ms;
    long seen_pages; /* of memory, at the last look */
    DIR *files; /* this process's, open for the day when no more can be opened; NULL: no /proc */
    struct quota_door *doors;
    struct quota_begun *begun;
    size_t begun_count, begun_cap, begun_known; /* known: from the last look, in order */
    struct metric *refused[QUOTA_REASONS], *ratio[QUOTA_SHARES], *idle;
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

/* Connection `id`; NULL: it is gone. With the lock held. */
struct quota_pipe *quota_find_pipe(struct quota *q, uint32_t id);

/* quota_begin() with the lock held. */
bool quota_begin_at(struct quota *q, struct quota_pipe *pipe, int64_t now_ms);
/* The connection goes, and with it what is under way and on its way. With the lock held. */
void quota_forget_answers(struct quota *q, struct quota_pipe *pipe);

/* Whether connections were marked because of what they have under way; a few times a second. */
bool quota_marked(struct quota *q, int64_t now_ms);

/* The peer of that name, made where there is none; NULL: no memory. With the lock held. */
struct quota_peer *quota_find_peer(struct quota *q, const char *name, int64_t now_ms);

/* Address and port of either family into *ret; the port, 0 for another family. */
uint16_t quota_read_address(const struct sockaddr_storage *a, struct quota_end *ret);

/* So many bytes have come from there by now. False: that is no connection of ours. */
bool quota_received(struct quota *q, const struct quota_end *end, uint64_t bytes);

/* Ask the kernel, when memory has grown or some time has passed. True: it was asked. */
bool quota_look(struct quota *q, int64_t now_ms);

/* Mark those that are to end so that the unread bytes of each peer, and of all, are within the limits:
 * the longest first. How many there are. */
uint32_t quota_beyond(struct quota *q, int64_t now_ms);
bool quota_is_cut(struct quota *q, const struct quota_end *end);

/* A look found this socket, which is no connection of ours, with `end` at the other side and `own` at
 * this: has it come to where we listen? */
void quota_begun_see(struct quota *q, uint64_t socket, const struct quota_end *end,
                     const struct sockaddr_storage *own, int64_t now_ms);
/* After each look: mark those that have taken QUOTA_BEGUN_MS, and of a peer with more than it may
 * have, those that take longest. How many there are. */
uint32_t quota_begun_judge(struct quota *q, int64_t now_ms);
bool quota_begun_is_cut(struct quota *q, uint64_t socket);
void quota_begun_done(struct quota *q);

/* End the connections that are marked. */
void quota_cut(struct quota *q);

/* How many requests of the last second's allowance `p` has used, in thousandths. */
int64_t quota_spent(const struct quota *q, const struct quota_peer *p, int64_t now_ms);

#endif
