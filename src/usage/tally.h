/* tally.h - counting, in a process that evaluates flags: one plain addition to memory that belongs to
 * the thread. No lock, no atomic operation, no system call; the agent adds up what all threads
 * of all processes have (usage/gather.h).
 *
 * Threads: any. Forks: a child counts in a segment of its own, from its first read on.
 */
#ifndef USAGE_TALLY_H
#define USAGE_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "usage/segment.h"

enum {
    TALLY_NOTHING = 0,  /* the slot of what is not counted: there is no such flag */
    TALLY_LEFT_OUT = 1, /* of what has none, since there are too many, or no memory */
};

/* This thread's block; NULL: it has none yet. Initial-exec, so that looking it up is one load. */
extern __thread _Atomic uint64_t *tally_block __attribute__((tls_model("initial-exec")));

/* Count one for `slot`. False: this thread has no block. */
static inline bool tally_add(uint32_t slot)
{
    _Atomic uint64_t *block = tally_block;
    if (__builtin_expect(!block, 0))
        return false;
    uint64_t n = atomic_load_explicit(&block[slot], memory_order_relaxed);
    atomic_store_explicit(&block[slot], n + 1, memory_order_relaxed);
    return true;
}

/* Give this thread a block, which it keeps until it ends. False: it cannot have one; whatever the
 * reason, it is not tried again by this process. */
bool tally_begin(void);

/* Count nothing in this process from now on. */
void tally_refuse(void);

/* An environment of a store, for tally_slot(); 0: not counted, there are too many or no memory. */
uint32_t tally_domain(const uint8_t store[SEGMENT_STORE_ID], const char *env);

/* The slot of what a flag yields: a variant's name, or "" for none. TALLY_NOTHING in domain 0. Takes
 * a lock for some hundred nanoseconds; the answer holds for the life of the process and its
 * children. */
uint32_t tally_slot(uint32_t domain, struct slice key, struct slice variant);

/* A connection to an agent. All zero but for fd: -1: none yet. */
struct tally_link {
    int fd;
    dev_t dev; /* of the socket: the program may have closed it, and opened something else */
    ino_t ino;
};

/* Hand the segment to the agent of the store in `dir`, unless it has it. Never waits; to be called again
 * now and then, since there may be no agent yet, or another. */
void tally_join(struct tally_link *link, const char *dir);
void tally_leave(struct tally_link *link);

/* Around a fork. */
void tally_before_fork(void);
void tally_after_fork_in_parent(void);
void tally_after_fork_in_child(void);

#endif
