/* bench.h - what the benches share: rounds, medians, and the line a measure prints.
 *
 * A measure is printed as one JSON object a line; bench/run makes the table. Absolute times say
 * little on a shared machine: what counts is the ratio to a peer that was measured in the same
 * round.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <nng/nng.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "repl/rpc.h"
#include "store/store.h"

enum { BENCH_ROUNDS = 5 };

/* Whether measure `name` is wanted: no names given, or it is among them. */
bool bench_wants(int argc, char **argv, const char *name);

/* The middle of `n` numbers, and the value below which a `part` of them lie; both sort `v`. */
double bench_median(double *v, size_t n);
double bench_quantile(double *v, size_t n, double part);

/* {"name","params","value","unit","peer","ratio"}; peer NULL: there is none. ratio = value /
 * peer_value. */
void bench_print(const char *name, const char *params, double value, const char *unit,
                 const char *peer, double ratio);

/* A new directory under `base` (NULL: /tmp), and its end with all that is in it. Exits when it
 * cannot. */
char *bench_directory(const char *base);
void bench_remove(const char *dir);

/* A store for writing at DIR/NAME-N, within 256 MiB of address space. Exits when it cannot. */
struct store *bench_store(const char *dir, const char *name, int n, bool primary);

/* Apply a change to environment "production", which is made if it is not there. */
void bench_apply(struct store *s, struct slice change);

/* A copy of change `version` of that environment; to be freed with mem_free(). */
struct slice bench_change(struct store *s, uint64_t version);

/* Carry out a command on an open connection, signed by who knows the primary (NULL: not signed);
 * exits when the primary refuses it. */
void bench_command(nng_socket primary, const char *name, struct slice body,
                   const struct rpc_signer *signer);

struct bench_line { /* what is waited for: all hosts, at one version */
    _Atomic uint64_t target;
    _Atomic int have;
    _Atomic int64_t last_ns; /* when the last host had it; 0: not all have it */
};

/* From now on `version` is waited for; one of `hosts` has committed a version; whether all have
 * within `ms`; when the last one had (exits when they take too long). */
void bench_expect(struct bench_line *l, uint64_t version);
void bench_committed(struct bench_line *l, int hosts, uint64_t version);
bool bench_have_all(struct bench_line *l, int ms);
int64_t bench_wait_for_all(struct bench_line *l, const char *who);

/* A TCP port that is free now, and the next one, too. */
int bench_port(void);

/* Start a program, its output thrown away; -1 when it cannot be started. End it, by its id. */
int bench_spawn(char *const argv[]);
void bench_end(int pid);

/* A number of /proc/PID/status in KiB, such as "VmHWM:" or "RssAnon:"; 0 when it is not there. */
long bench_proc_kib(int pid, const char *field);

/* The arguments of the command `apply` for `count` boolean flags with the keys BENCH_KEY of 0, 1, 2
 * … */
#define BENCH_KEY "team.flag%06d"
void bench_import_body(struct buf *out, const char *env, int count);

/* Say what went wrong with err_last(), and exit. */
_Noreturn void bench_die(const char *what);

#endif
