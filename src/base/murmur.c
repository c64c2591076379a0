#include "base/murmur.h"

static uint32_t rotl(uint32_t v, int by)
{
    return v << by | v >> (32 - by);
}

static uint32_t mix(uint32_t k)
{
    return rotl(k * 0xcc9e2d51, 15) * 0x1b873593;
}

uint32_t murmur3_32(struct slice s, uint32_t seed)
{
    uint32_t h = seed, k = 0;
    const uint8_t *p = s.ptr, *end = p + (s.len & ~(size_t)3);
    for (; p < end; p += 4) {
        h ^=
            mix((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        h = rotl(h, 13) * 5 + 0xe6546b64;
    }
    switch (s.len & 3) {
    case 3:
        k |= (uint32_t)p[2] << 16; /* fall through */
    case 2:
        k |= (uint32_t)p[1] << 8; /* fall through */
    case 1:
        h ^= mix(k | p[0]);
    }
    h ^= (uint32_t)s.len;
    h = (h ^ h >> 16) * 0x85ebca6b;
    h = (h ^ h >> 13) * 0xc2b2ae35;
    return h ^ h >> 16;
}
