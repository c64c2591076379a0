/* shares.h - what one address may take of a server, so that others find something left: connections,
 * event streams, and bytes of requests' bodies.
 *
 * Three quarters of all are the most for one address: IPv4, or the first 64 bits of IPv6. Whoever is
 * beyond is refused and counted, and named in the log once a minute. Any thread.
 */
#ifndef HTTP_SHARES_H
#define HTTP_SHARES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/metrics.h"

enum { SHARES_CHAINS = 256 };

enum shares_of { SHARES_CONNECTIONS, SHARES_STREAMS, SHARES_BODIES, SHARES_KINDS };

struct share { /* of one address; there while it has something */
    struct share *next;
    char name[ADDRESS_PEER_SIZE];
    uint64_t used[SHARES_KINDS];
    int64_t quiet_until_ms;
};

struct shares {
    pthread_mutex_t lock;
    struct share *chains[SHARES_CHAINS];
    uint32_t seed;
    uint64_t used[SHARES_KINDS], max[SHARES_KINDS];
    int64_t next_line_ms, next_sweep_ms;
    struct metric *refused[SHARES_KINDS][2], *ratio[SHARES_KINDS][2]; /* of all, of one address */
};

/* max: of each kind, as many as there may be. option: "--http", whose they are. */
void shares_init(struct shares *s, const uint64_t max[SHARES_KINDS], const char *option);
/* Everything has been given back. */
void shares_done(struct shares *s);

/* Whether one more connection may come from there. It is not taken yet. */
bool shares_admit(struct shares *s, const struct sockaddr *from);

/* It has come. NULL: no memory, it is counted nowhere and gets no more of anything. */
struct share *shares_come(struct shares *s, const struct sockaddr *from);

/* Take n more of a kind, and give them back; `share` stays until all was. NULL: taken; else what it met, for people. */
const char *shares_take(struct shares *s, struct share *share, enum shares_of kind, uint64_t n);
void shares_give(struct shares *s, struct share *share, enum shares_of kind, uint64_t n);

#endif
