/* quota_nng.c - the connections of nng's sockets, counted as they come and go. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repl/net.h"
#include "repl/quota_int.h"

/* Who is at the other end of `pipe`. */
static void name_of(nng_pipe pipe, char out[QUOTA_NAME_SIZE])
{
    nng_sockaddr a;
    uint64_t uid;
    snprintf(out, QUOTA_NAME_SIZE, "?");
    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0)
        snprintf(out, QUOTA_NAME_SIZE, "uid:%llu", (unsigned long long)uid);
    else if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &a) != 0)
        return;
    else if (a.s_family == NNG_AF_INET)
        address_peer_v4(&a.s_in.sa_addr, out);
    else if (a.s_family == NNG_AF_INET6)
        address_peer_v6(&a.s_in6.sa_addr, out);
}

static void note_end(struct quota *q, nng_pipe pipe)
{
    nng_sockaddr a, own;
    struct quota_end end = {0};
    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &a) != 0 ||
        nng_pipe_get_addr(pipe, NNG_OPT_LOCADDR, &own) != 0)
        return;
    if (a.s_family == NNG_AF_INET) {
        quota_end_v4(&end, &a.s_in.sa_addr, a.s_in.sa_port);
        end.own_port = own.s_in.sa_port;
    } else if (a.s_family == NNG_AF_INET6) {
        memcpy(end.address, &a.s_in6.sa_addr, sizeof end.address);
        end.port = a.s_in6.sa_port;
        end.own_port = own.s_in6.sa_port;
    }
    if (end.port)
        quota_set_end(q, (uint32_t)nng_pipe_id(pipe), &end);
}

void quota_come(struct quota *q, nng_pipe pipe, enum quota_kind kind)
{
    char name[QUOTA_NAME_SIZE];
    name_of(pipe, name);
    if (quota_add(q, (uint32_t)nng_pipe_id(pipe), name, kind, clock_mono_ms()))
        note_end(q, pipe);
    else
        nng_pipe_close(pipe);
}

void quota_go(struct quota *q, nng_pipe pipe)
{
    quota_remove(q, (uint32_t)nng_pipe_id(pipe));
}

void quota_tick(struct quota *q, int64_t now_ms)
{
    if (pthread_mutex_trylock(&q->tick_lock) != 0)
        return;
    uint32_t idle = quota_sweep(q, now_ms);
    uint32_t beyond = 0;
    if (quota_look(q, now_ms))
        beyond = quota_beyond(q, now_ms) + quota_begun_judge(q, clock_mono_ms());
    metric_add(q->idle, idle);
    if (quota_marked(q, now_ms) || idle + beyond > 0)
        quota_cut(q);
    pthread_mutex_unlock(&q->tick_lock);
}
