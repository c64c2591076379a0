/* Commands to a primary, and waiting until all hosts have what came of them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "bench.h"
#include "repl/net.h"
#include "wire/statement.h"

enum { PATIENCE_S = 60 };

void bench_command(nng_socket primary, const char *name, struct slice body,
                   const struct rpc_signer *signer)
{
    struct frame_command f = {.name = slice_str(name), .author = SLICE("bench"), .body = body};
    struct frame_command_reply reply;
    struct buf out = BUF_INIT(FRAME_COMMAND_MAX);
    uint8_t signature[SIGNATURE_SIZE];
    nng_msg *answer;
    uuid_new(f.request, clock_wall_ms());
    if (signer) {
        f.epoch = signer->epoch;
        f.time_ms = signer->clock_ms + clock_mono_ms();
        if (frame_command_sign(&f, &signer->key, signature) != HOIST_OK)
            bench_die(name);
    }
    frame_put_command(&out, &f);
    if (buf_err(&out) != HOIST_OK || nng_send(primary, out.ptr, out.len, 0) != 0 ||
        nng_recvmsg(primary, &answer, 0) != 0 ||
        frame_get_command_reply(net_msg_bytes(answer), &reply) != HOIST_OK)
        bench_die(name);
    if (reply.exit != 0) {
        fprintf(stderr, "bench: %s: %.*s\n", name, SLICE_ARG(reply.body));
        exit(1);
    }
    nng_msg_free(answer);
    buf_done(&out);
}

void bench_committed(struct bench_line *l, int hosts, uint64_t version)
{
    if (version == atomic_load(&l->target) && atomic_fetch_add(&l->have, 1) + 1 == hosts)
        atomic_store(&l->last_ns, clock_mono_ns());
}

void bench_expect(struct bench_line *l, uint64_t version)
{
    atomic_store(&l->have, 0);
    atomic_store(&l->last_ns, 0);
    atomic_store(&l->target, version);
}

bool bench_have_all(struct bench_line *l, int ms)
{
    for (int64_t end = clock_mono_ns() + ms * INT64_C(1000000); atomic_load(&l->last_ns) == 0;
         nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL))
        if (clock_mono_ns() > end)
            return false;
    return true;
}

int64_t bench_wait_for_all(struct bench_line *l, const char *who)
{
    if (!bench_have_all(l, PATIENCE_S * 1000)) {
        fprintf(stderr, "bench: %s: %d hosts have version %llu\n", who, atomic_load(&l->have),
                (unsigned long long)atomic_load(&l->target));
        exit(1);
    }
    return atomic_load(&l->last_ns);
}
