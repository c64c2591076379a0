/* sim_clock.c - what time it is, and what is random, in a world of its own, which has one thread. Stands
 * in for src/base/clock.c and src/store/readers.c. */
#include <sodium.h>

#include "base/clock.h"
#include "sim.h"
#include "store/write_int.h"

enum { WALL_BEGIN_S = 1700000000 };

static int64_t now_ms, skew_ms;

void sim_clock_set(int64_t now, int64_t skew)
{
    now_ms = now;
    skew_ms = skew;
}

int64_t clock_wall_ms(void)
{
    return WALL_BEGIN_S * INT64_C(1000) + now_ms + skew_ms;
}

int64_t clock_mono_ms(void)
{
    return now_ms;
}

int64_t clock_mono_ns(void)
{
    return now_ms * 1000000;
}

/* ---------------------------------------------------------------- chance */

static uint64_t mix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t sim_dice(uint32_t sides)
{
    return (uint32_t)(mix(&sim.random) % sides);
}

bool sim_chance(uint32_t per_mille)
{
    return sim_dice(1000) < per_mille;
}

static uint64_t sodium_state;

static const char *name(void)
{
    return "sim";
}

static void fill(void *out, size_t len)
{
    uint8_t *at = out;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)mix(&sodium_state);
}

static uint32_t number(void)
{
    return (uint32_t)mix(&sodium_state);
}

void sim_random_begin(uint64_t seed)
{
    static struct randombytes_implementation implementation = {
        .implementation_name = name,
        .random = number,
        .buf = fill,
    };
    sodium_state = seed ^ 0x5bd1e995;
    if (randombytes_set_implementation(&implementation) != 0)
        sim_wrong("libsodium keeps its own random bytes");
}

/* ---------------------------------------------------------------- src/store/readers.c */

/* Its thread would see nobody: there is no reader but this program. */
enum hoist_err watch_start(struct store *s)
{
    (void)s;
    return HOIST_OK;
}

bool watch_stop(struct store *s)
{
    (void)s;
    return true;
}

bool watch_wants_probe(struct store *s)
{
    (void)s;
    return false;
}

uint32_t watch_stuck(struct store *s, struct store_reader_info *ret, uint32_t max,
                     uint64_t *ret_cleared)
{
    (void)s, (void)ret, (void)max;
    *ret_cleared = 0;
    return 0;
}
