/* quota_begun.c - connections that have begun, and have not said yet what they are.
 *
 * nng tells of a connection once it is one, and keeps one that stops in the middle of a TLS handshake
 * for ever (1.5.2: its ten seconds end only what has come through that), with a descriptor and some
 * 50 KiB. So the look at this process's sockets (quota_unread.c) also finds those that came to an
 * address of ours and are none of the connections that were counted. Each is known from look to look
 * by the kernel's number for it, which no other socket ever gets.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repl/quota_int.h"

struct quota_door { /* where connections come by TCP */
    struct quota_door *next;
    sa_family_t family;
    struct quota_end at; /* its address and port; of the wildcard address: all */
    enum quota_kind kind;
};

struct quota_begun {
    uint64_t socket;
    int64_t since_ms; /* of the first look that found it */
    struct quota_peer *peer;
    enum quota_kind kind;
    bool is_new, is_seen; /* since the last look; in this one */
    bool is_cut;          /* it is to end, and counts no more */
};

/* ---------------------------------------------------------------- where they come */

enum hoist_err quota_listen(struct quota *q, const struct sockaddr_storage *at,
                            enum quota_kind kind)
{
    struct quota_door *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    d->family = at->ss_family;
    d->kind = kind;
    quota_read_address(at, &d->at);
    pthread_mutex_lock(&q->lock);
    d->next = q->doors;
    q->doors = d;
    pthread_mutex_unlock(&q->lock);
    return HOIST_OK;
}

static bool is_wildcard(const struct quota_door *d)
{
    static const uint8_t zero[16];
    size_t from = d->family == AF_INET ? 12 : 0;
    return memcmp(d->at.address + from, zero, sizeof zero - from) == 0;
}

/* NULL: a socket with this address of its own did not come to us. */
static const struct quota_door *door_of(const struct quota *q, const struct sockaddr_storage *own)
{
    struct quota_end at;
    uint16_t port = quota_read_address(own, &at);
    for (const struct quota_door *d = q->doors; d && port; d = d->next)
        if (d->family == own->ss_family && d->at.port == port &&
            (is_wildcard(d) || memcmp(d->at.address, at.address, sizeof at.address) == 0))
            return d;
    return NULL;
}

/* ---------------------------------------------------------------- who they are */

static int by_socket(const void *a, const void *b)
{
    const struct quota_begun *x = a, *y = b;
    return (x->socket > y->socket) - (x->socket < y->socket);
}

static int by_age(const void *a, const void *b)
{
    const struct quota_begun *x = a, *y = b;
    return (x->since_ms > y->since_ms) - (x->since_ms < y->since_ms);
}

/* Of those that were there at the last look. */
static struct quota_begun *find(struct quota *q, uint64_t socket)
{
    const struct quota_begun key = {.socket = socket};
    return q->begun ? bsearch(&key, q->begun, q->begun_known, sizeof key, by_socket) : NULL;
}

/* Without memory it is found by the next look. */
static void add(struct quota *q, uint64_t socket, const struct quota_end *end, enum quota_kind kind,
                int64_t now_ms)
{
    char name[QUOTA_NAME_SIZE];
    address_peer_v6(end->address, name);
    struct quota_peer *peer = quota_find_peer(q, name, now_ms);
    if (peer && q->begun_count == q->begun_cap) {
        struct quota_begun *more = mem_grow(q->begun, &q->begun_cap, 64, sizeof *q->begun);
        if (!more)
            return;
        q->begun = more;
    }
    if (!peer)
        return;
    peer->begun[kind]++;
    q->begun[q->begun_count++] = (struct quota_begun){
        .socket = socket, .peer = peer, .kind = kind, .is_new = true, .is_seen = true};
}

void quota_begun_see(struct quota *q, uint64_t socket, const struct quota_end *end,
                     const struct sockaddr_storage *own, int64_t now_ms)
{
    pthread_mutex_lock(&q->lock);
    const struct quota_door *door = door_of(q, own);
    struct quota_begun *b = door ? find(q, socket) : NULL;
    if (b)
        b->is_seen = true;
    else if (door)
        add(q, socket, end, door->kind, now_ms);
    pthread_mutex_unlock(&q->lock);
}

/* ---------------------------------------------------------------- who has to go */

static void end_one(struct quota_begun *b)
{
    if (!b->is_cut)
        b->peer->begun[b->kind]--;
    b->is_cut = true;
}

/* Those that went, or became connections; how old the others are. */
static void forget_gone(struct quota *q, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->begun_count; i++) {
        struct quota_begun *b = &q->begun[i];
        if (!b->is_seen) {
            end_one(b);
            continue;
        }
        if (b->is_new)
            b->since_ms = now_ms;
        b->is_new = b->is_seen = false;
        q->begun[kept++] = *b;
    }
    q->begun_count = kept;
}

/* As a connection it would be refused. */
static bool is_beyond(const struct quota *q, const struct quota_begun *b)
{
    const uint32_t most[] = {q->limits.peer_connections, q->limits.peer_subscriptions};
    return b->peer->count[b->kind] + b->peer->begun[b->kind] > most[b->kind];
}

static bool must_go(const struct quota *q, const struct quota_begun *b, int64_t now_ms,
                    enum quota_reason *ret_why)
{
    bool is_late = now_ms - b->since_ms >= QUOTA_BEGUN_MS;
    *ret_why = is_late ? QUOTA_HANDSHAKE : QUOTA_PEER_CONNECTIONS + b->kind;
    return !b->is_cut && (is_late || is_beyond(q, b));
}

uint32_t quota_begun_judge(struct quota *q, int64_t now_ms)
{
    uint32_t count = 0;
    enum quota_reason why;
    pthread_mutex_lock(&q->lock);
    forget_gone(q, now_ms);
    if (q->begun_count > 0)
        qsort(q->begun, q->begun_count, sizeof *q->begun, by_age);
    for (size_t i = 0; i < q->begun_count; i++)
        if (must_go(q, &q->begun[i], now_ms, &why)) {
            quota_refuse(q, q->begun[i].peer, why, now_ms);
            end_one(&q->begun[i]);
            count++;
        }
    if (q->begun_count > 0)
        qsort(q->begun, q->begun_count, sizeof *q->begun, by_socket);
    q->begun_known = q->begun_count;
    pthread_mutex_unlock(&q->lock);
    return count;
}

bool quota_begun_is_cut(struct quota *q, uint64_t socket)
{
    pthread_mutex_lock(&q->lock);
    const struct quota_begun *b = find(q, socket);
    bool is_cut = b && b->is_cut;
    pthread_mutex_unlock(&q->lock);
    return is_cut;
}

void quota_begun_done(struct quota *q)
{
    mem_free(q->begun);
    for (struct quota_door *d = q->doors, *next; d; d = next) {
        next = d->next;
        mem_free(d);
    }
}
