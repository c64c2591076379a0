/* fork.h - being in a child of the process that opened the store.
 *
 * A fast read needs no care: counters are shared memory and stay true. Whoever goes to the store
 * asks fork_check() first. A page that the kernel empties in a child tells, since getpid() is a
 * system call; it also tells in children that were made without running pthread_atfork()'s
 * handlers.
 */
#ifndef CLIENT_FORK_H
#define CLIENT_FORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Once per process, and again harmless; under open_lock. False: no memory for it. */
bool fork_init(void);

/* The number of this process among its forebears, never 0; 0 in a child that did not look yet. */
extern _Atomic uint64_t *fork_token;

/* Make this process ready to read if it is a child that is not yet. */
void fork_catch_up(void);

static inline uint64_t fork_check(void)
{
    uint64_t token = atomic_load_explicit(fork_token, memory_order_acquire);
    if (__builtin_expect(token == 0, 0)) {
        fork_catch_up();
        token = atomic_load_explicit(fork_token, memory_order_acquire);
    }
    return token;
}

#endif
