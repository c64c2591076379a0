/* The marketplace service's reads of its flags, timed: linked in front of flag_is_on (ld's --wrap) into a copy of
 * the service for the bench. Each read is made HOIST_BENCH_READS times in a row (1). At its end the program prints
 * {"reads","ns"} on stderr: how often requests asked, and the median of what a read took. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../examples/marketplace/flags.h"

enum { SAMPLES_MAX = 1 << 20 };

bool __real_flag_is_on(enum flag_id id, const char *account);
bool __wrap_flag_is_on(enum flag_id id, const char *account);

static uint32_t samples[SAMPLES_MAX], clocks[SAMPLES_MAX / 16];
static atomic_uint_fast64_t count;
static int again = 1;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool __wrap_flag_is_on(enum flag_id id, const char *account)
{
    bool on = false;
    uint64_t began = now_ns();
    for (int i = 0; i < again; i++)
        on = __real_flag_is_on(id, account);
    uint64_t took = now_ns() - began;
    if (account) /* as a request asks; the worker does not */
        samples[count++ % SAMPLES_MAX] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    return on;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("HOIST_BENCH_READS");
    again = text ? (int)strtol(text, NULL, 10) : 1;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A median, since now and then a thread is off its processor, which is not the read's. */
static double median(uint32_t *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return n ? v[n / 2] : 0;
}

__attribute__((destructor)) static void end(void)
{
    size_t n = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    size_t m = sizeof clocks / sizeof *clocks;
    for (size_t i = 0; i < m; i++) {
        uint64_t began = now_ns();
        clocks[i] = (uint32_t)(now_ns() - began);
    }
    double read = median(samples, n) - median(clocks, m);
    fprintf(stderr, "{\"reads\": %ju, \"ns\": %.1f}\n", (uintmax_t)count, read / again);
}
