/* clock_shift.c - preloaded: the wall clock goes wrong by the seconds that $CLOCK_SHIFT_FILE holds,
 * also for who waits by it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_NS = 50000000, SINCE_BOOT_S = 1000000000 };

#define EXPORT __attribute__((visibility("default")))

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, t);
    if (rc != 0 || clock != CLOCK_REALTIME)
        return rc;
    const char *path = getenv("CLOCK_SHIFT_FILE");
    FILE *f = path ? fopen(path, "r") : NULL;
    long shift;
    if (f && fscanf(f, "%ld", &shift) == 1)
        t->tv_sec += shift;
    if (f)
        fclose(f);
    return rc;
}

/* In slices, so that a jump is met while it waits. Times since boot are of the other clock. */
EXPORT int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                                  const struct timespec *until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real)
        *(void **)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (until->tv_sec < SINCE_BOOT_S)
        return real(c, m, until);
    for (;;) {
        struct timespec now, slice;
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec > until->tv_sec ||
            (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
            return ETIMEDOUT;
        long long left = (until->tv_sec - now.tv_sec) * 1000000000LL + until->tv_nsec - now.tv_nsec;
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &slice);
        slice.tv_nsec += left < SLICE_NS ? left : SLICE_NS;
        slice.tv_sec += slice.tv_nsec / 1000000000;
        slice.tv_nsec %= 1000000000;
        int rc = real(c, m, &slice);
        if (rc != ETIMEDOUT)
            return rc;
    }
}
