/* segment.h - where a process counts what its flags yield: memory that it shares with its host's agent.
 *
 *   0               head
 *   SEGMENT_TAKEN   a count for each slot: what the agent has taken over already. It alone writes these
 *   SEGMENT_NAMES   the names of slots SEGMENT_FIRST, SEGMENT_FIRST + 1, … one behind the other
 *   SEGMENT_BLOCKS  blocks, each with a count for each slot. Of a block one thread writes at a time
 *
 * A slot is one variant of one flag, in one environment of one store. How often it was yielded is the sum
 * over all blocks; it never falls, and a thread that ends leaves its block, as it is, to the next one.
 *
 * It is a memfd, sealed in its size, which the process hands to the agent as soon as it opens a store.
 * So what a program counted up to its last moment is there when it was killed, nothing of it is
 * left when both have let go, and no disk stands behind it: a thread that stores into a mapped file
 * can be made to wait for the disk. It is all holes; only what is touched takes memory.
 */
#ifndef USAGE_SEGMENT_H
#define USAGE_SEGMENT_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    SEGMENT_FORMAT = 1,
    SEGMENT_SLOTS = 128 << 10,
    SEGMENT_FIRST = 2, /* slots 0 and 1 have no names: usage/tally.h */
    SEGMENT_BLOCK_COUNT = 4096,
    SEGMENT_TAKEN = 4096,
    SEGMENT_NAMES = 2 << 20,
    SEGMENT_BLOCKS = 128 << 20,
    SEGMENT_BLOCK_SIZE = SEGMENT_SLOTS * 8,
    SEGMENT_STORE_ID = 16,
};

#define SEGMENT_SIZE (SEGMENT_BLOCKS + (uint64_t)SEGMENT_BLOCK_COUNT * SEGMENT_BLOCK_SIZE)
#define SEGMENT_MAGIC "hoistuse"

struct segment_head {
    char magic[8];
    uint32_t format;
    _Atomic uint32_t slots;  /* that have names, and the two before them; stored after the names */
    _Atomic uint32_t blocks; /* that were ever used */
};

/* A slot's names: this, then the texts one behind the other. The variant's is empty where the flag
 * yielded none and the caller's fallback held. */
struct segment_name {
    uint8_t store[SEGMENT_STORE_ID];
    uint8_t env_len, key_len, variant_len;
};

/* The socket in a store's directory at which the agent is given segments, one a connection: a
 * message of one byte, SEGMENT_FORMAT, with the descriptor. The connection stays for as long as the
 * process counts for this store. */
#define SEGMENT_SOCKET "usage.sock"

#endif
