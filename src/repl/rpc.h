/* rpc.h - asking a primary: one command, one answer. For flagctl. */
#ifndef REPL_RPC_H
#define REPL_RPC_H

#include "base/buf.h"
#include "base/err.h"
#include "repl/net_tls.h"
#include "wire/frame.h"

struct rpc_signer { /* who signs commands, and what was learnt for it */
    struct sign_key key;
    bool knows;       /* the two below, of the primary: asked for before the first command */
    uint64_t epoch;   /* the greatest of its environments */
    int64_t clock_ms; /* its time, less this machine's monotonic clock */
};

struct rpc_answer {
    uint32_t exit;
    struct buf body; /* JSON */
};

/*
 * Send a command to the primary at `url` and wait for the answer, repeating it (with the same
 * request id, so that it is done once) while the connection fails, until `timeout_ms` is over.
 * `tls` is for tls+tcp, and may be NULL for the others.
 *
 * Errors:  ETIMEOUT  no connection was made in all that time: nothing was sent, nothing was done
 *          EUNKNOWN  it was sent, but no answer came: it may have been done
 *          EINVAL    the URL; ECORRUPT, EVERSION  the answer; ENOMEM
 */
MUST_USE enum hoist_err rpc_command(const char *url, const struct net_tls *tls,
                                    const struct frame_command *command, int64_t timeout_ms,
                                    struct rpc_answer *ret);
/* The same, signed by `signer`, who first asks the primary what a signature has to say: the clock
 * here may be wrong. NULL: not signed. */
MUST_USE enum hoist_err rpc_signed_command(const char *url, const struct net_tls *tls,
                                           const struct frame_command *command,
                                           struct rpc_signer *signer, int64_t timeout_ms,
                                           struct rpc_answer *ret);
void rpc_answer_done(struct rpc_answer *a);

#endif
