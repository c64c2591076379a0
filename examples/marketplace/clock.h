/* clock.h - clocks in milliseconds. */
#ifndef MARKETPLACE_CLOCK_H
#define MARKETPLACE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

#endif
