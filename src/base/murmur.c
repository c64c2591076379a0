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
    const uint8_t *p = s.ptr;
    size_t i = 0;
    for (; i + 4 <= s.len; i += 4) {
        h ^= mix(p[i] | (uint32_t)p[i + 1] << 8 | (uint32_t)p[i + 2] << 16 |
                 (uint32_t)p[i + 3] << 24);
        h = rotl(h, 13) * 5 + 0xe6546b64;
    }
    for (size_t n = s.len - i; n > 0; n--)
        k = k << 8 | p[i + n - 1];
    if (i < s.len)
        h ^= mix(k);
    h ^= (uint32_t)s.len;
    h = (h ^ h >> 16) * 0x85ebca6b;
    h = (h ^ h >> 13) * 0xc2b2ae35;
    return h ^ h >> 16;
}
