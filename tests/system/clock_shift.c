/* clock_shift.c - preloaded: the wall clock goes wrong by the seconds that $CLOCK_SHIFT_FILE holds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *t)
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
