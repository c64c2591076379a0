/* kill_at.c - preloaded: ends the process, as kill -9 does, right after a call that was chosen.
 *
 * The file that $KILL_AT names holds two numbers of 32 bits, shared with who writes them at any time: which calls are counted
 * down (enum counted), and how many more of them there are to be, the last being the one after which the process dies; with
 * none left to count nothing happens.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum counted { WRITES = 1, SYNCS = 2, SENDS = 3, NAMES = 4 /* given to a file, or taken away */ };

struct order {
    _Atomic uint32_t counted;
    _Atomic int32_t left;
};

static struct order *order;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("KILL_AT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        _exit(99); /* a test that believes it kills, and does not, is worse than none */
    order = map;
    close(fd);
}

/* Threads also wake each other by writing to an eventfd: those are no writes to the disk. */
static int is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int is_counted(enum counted what)
{
    return order && order->counted == what && order->left > 0;
}

static void count(void)
{
    if (atomic_fetch_sub(&order->left, 1) == 1)
        kill(getpid(), SIGKILL);
}

#define COUNTED(what, when, type, name, parameters, arguments)                                     \
    __attribute__((visibility("default"))) type name parameters                                    \
    {                                                                                              \
        static type(*real) parameters;                                                             \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        type done = real arguments;                                                                \
        if (is_counted(what) && (when))                                                            \
            count();                                                                               \
        return done;                                                                               \
    }

COUNTED(WRITES, is_file(fd), ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
COUNTED(WRITES, is_file(fd), ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
        (fd, p, n, at))
COUNTED(WRITES, is_file(fd), ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
COUNTED(SYNCS, 1, int, fsync, (int fd), (fd))
COUNTED(SYNCS, 1, int, fdatasync, (int fd), (fd))
COUNTED(SENDS, 1, ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
COUNTED(SENDS, 1, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
COUNTED(NAMES, 1, int, link, (const char *from, const char *to), (from, to))
COUNTED(NAMES, 1, int, rename, (const char *from, const char *to), (from, to))
COUNTED(NAMES, 1, int, unlink, (const char *path), (path))
COUNTED(NAMES, 1, int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
COUNTED(NAMES, 1, int, symlink, (const char *target, const char *path), (target, path))
COUNTED(NAMES, 1, int, mkdir, (const char *path, mode_t mode), (path, mode))
COUNTED(NAMES, 1, int, mkostemp, (char *path, int flags), (path, flags))

__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    int fd = real(path, flags, mode);
    if (is_counted(NAMES) && flags & O_CREAT)
        count();
    return fd;
}
