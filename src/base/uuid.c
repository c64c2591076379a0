#include "base/uuid.h"

#include "base/hash.h"

void uuid_new(uint8_t out[UUID_SIZE], int64_t wall_ms)
{
    hash_random(out, UUID_SIZE);
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
    out[6] = (out[6] & 0x0f) | 0x70; /* the version */
    out[8] = (out[8] & 0x3f) | 0x80; /* the variant */
}
