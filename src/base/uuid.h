/* uuid.h - ids that nobody had before, those of later behind those of earlier: UUIDs of version 7
 * (RFC 9562, 5.7): 48 bits of milliseconds since 1970, then 74 random ones. In a tree whose rows
 * come and go with their age, neighbours leave together and their page with them; pages of random
 * ids stay, ever emptier.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdint.h>

enum { UUID_SIZE = 16 };

/* From any thread, after hash_init(). */
void uuid_new(uint8_t out[UUID_SIZE], int64_t wall_ms);

#endif
