/* How many users get another answer because another hash divides them.
 *
 * Both hashes are done for a sample of users, "user-1" to "user-100000", and what differs is counted.
 * A formula would do for a share (2p(1-p) of the users move, if the two hashes have nothing to do with
 * each other), but both are the same murmur3 cut down in two ways, over texts that may be the same; a
 * count supposes nothing, holds for weighted variants too, and is the same on every machine. A share
 * takes 2 ms; so that a huge file takes seconds all the same, a smaller sample does after the first
 * 200 of them, and each count says out of how many it is.
 */
#include <stdio.h>
#include <string.h>

#include "base/murmur.h"
#include "flag/unleash_int.h"

enum { SAMPLE = 100000, SAMPLE_SMALL = 1000, MEASURED_WELL = 200, VARIANT_SEED = 86028157 };

/* ------------------------------------------------------------------ the two texts */

struct text { /* what stands before each user, and the user */
    uint8_t bytes[BUCKET_PREFIX_MAX + 64];
    size_t len;
};

/* The library that Unleash's SDK hashes with takes the lower half of each UTF-16 unit. */
static void put_units(struct text *t, struct slice s)
{
    for (size_t i = 0; i < s.len && t->len + 3 < BUCKET_PREFIX_MAX;) {
        uint8_t c = s.ptr[i];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint32_t point = len == 1 ? c : c & (0xff >> (len + 1));
        for (size_t k = 1; k < len && i + k < s.len; k++)
            point = point << 6 | (s.ptr[i + k] & 0x3f);
        if (len == 4) {
            t->bytes[t->len++] = (uint8_t)((point - 0x10000) >> 10);
            point = 0xdc00 | ((point - 0x10000) & 0x3ff);
        }
        t->bytes[t->len++] = (uint8_t)point;
        i += len;
    }
}

static void put_bytes(struct text *t, struct slice s)
{
    size_t room = sizeof t->bytes - t->len, len = s.len < room ? s.len : room;
    if (len)
        memcpy(t->bytes + t->len, s.ptr, len);
    t->len += len;
}

/* From user-N to user-N+1: as printf() has it, and fifty times as fast. */
static void next_user(struct text *t)
{
    size_t at = t->len - 1;
    for (; t->bytes[at] == '9'; at--)
        t->bytes[at] = '0';
    if (t->bytes[at] != '-') {
        t->bytes[at]++;
        return;
    }
    t->bytes[at + 1] = '1'; /* 99 to 100 */
    t->bytes[t->len++] = '0';
}

/* ------------------------------------------------------------------ counting */

/* The first of them whose running total is over `at`. */
static uint32_t pick(const struct division *d, uint64_t at)
{
    uint64_t total = 0;
    uint32_t i = 0;
    while (i + 1 < d->count && (total += d->weights[i]) <= at)
        i++;
    return i;
}

static uint32_t count_moved(const struct division *d, uint32_t seed, uint32_t users)
{
    struct text theirs = {.len = 0}, ours = {.len = 0};
    uint64_t sum = 0;
    uint32_t moved = 0;
    for (uint32_t i = 0; i < d->count; i++)
        sum += d->weights[i];
    put_units(&theirs, d->group);
    put_bytes(&theirs, SLICE(":user-0"));
    put_bytes(&ours, d->prefix);
    put_bytes(&ours, SLICE("user-0"));
    for (uint32_t user = 1; user <= users && sum; user++) {
        next_user(&theirs);
        next_user(&ours);
        moved += pick(d, murmur3_32(slice_of(theirs.bytes, theirs.len), seed) % sum) !=
                 pick(d, (uint64_t)murmur3_32(slice_of(ours.bytes, ours.len), 0) * sum >> 32);
    }
    return moved;
}

static struct moved say(uint32_t moved, uint32_t users)
{
    struct moved m;
    char count[16];
    if (moved < 1000)
        snprintf(count, sizeof count, "%u", moved);
    else
        snprintf(count, sizeof count, "%u,%03u", moved / 1000, moved % 1000);
    snprintf(m.text, sizeof m.text, "of %s sample users, %s get another answer",
             users == SAMPLE ? "100,000" : "1,000", count);
    return m;
}

static struct moved sample(struct unleash *u, const struct division *d, uint32_t seed)
{
    if (!u->approximate || u->quiet)
        return (struct moved){""};
    uint32_t users = u->measured++ < MEASURED_WELL ? SAMPLE : SAMPLE_SMALL;
    return say(count_moved(d, seed, users), users);
}

struct moved sample_rollout(struct unleash *u, struct slice group, struct slice prefix,
                            uint32_t percent)
{
    struct division d = {group, prefix, {percent, 100 - percent}, 2};
    return sample(u, &d, 0);
}

struct moved sample_variants(struct unleash *u, const struct division *d)
{
    return sample(u, d, VARIANT_SEED);
}
