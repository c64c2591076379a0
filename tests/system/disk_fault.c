/* disk_fault.c - preloaded: one call on a file below $DISK_FAULT_DIR, or on that directory, fails, the
 * $DISK_FAULT_AT-th of those that write, sync, allocate, map, or make or take away a name, with errno
 * $DISK_FAULT_ERRNO; 0: a write is short, and any other call fails with EIO. $DISK_FAULT_STATE is a file of
 * three numbers of 64 bits, made by the test: how many calls there were, whether one failed, and whether
 * that was one that syncs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct state {
    _Atomic uint64_t calls, failed, sync;
};

static struct state none, *state = &none;
static const char *dir = "";
static uint64_t fail_at;
static int fail_errno;

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("DISK_FAULT_STATE"), *at = getenv("DISK_FAULT_AT");
    const char *number = getenv("DISK_FAULT_ERRNO");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || !at || !number || !getenv("DISK_FAULT_DIR"))
        return;
    void *map =
        (void *)syscall(SYS_mmap, NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return;
    fail_at = strtoull(at, NULL, 10);
    fail_errno = atoi(number);
    dir = getenv("DISK_FAULT_DIR");
    state = map;
}

static bool is_below_path(const char *path)
{
    size_t len = strlen(dir);
    return len > 0 && strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_below(int fd)
{
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return is_below_path(path);
}

/* Whether it is the turn of a call that is counted. */
static bool is_its_turn(void)
{
    bool turn = atomic_fetch_add(&state->calls, 1) + 1 == fail_at;
    if (turn)
        atomic_store(&state->failed, 1);
    return turn;
}

static bool must_fail(int fd)
{
    int keep = errno;
    bool below = is_below(fd);
    errno = keep;
    return below && is_its_turn();
}

static bool must_fail_sync(int fd)
{
    bool turn = must_fail(fd);
    if (turn)
        atomic_store(&state->sync, 1);
    return turn;
}

static bool must_fail_name(const char *path)
{
    return is_below_path(path) && is_its_turn();
}

static int error(void)
{
    return fail_errno ? fail_errno : EIO;
}

static ssize_t fail(void)
{
    errno = error();
    return -1;
}

/* ------------------------------------------------------------------ writing */

/* LMDB writes the page that makes a commit through a descriptor of its own, and each write is synced. */
static bool is_synced(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static ssize_t write_at(int fd, const void *bytes, size_t len, off_t at)
{
    if (!(is_synced(fd) ? must_fail_sync(fd) : must_fail(fd)))
        return syscall(SYS_pwrite64, fd, bytes, len, at);
    return fail_errno || len < 2 ? fail() : syscall(SYS_pwrite64, fd, bytes, len / 2, at);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return write_at(fd, bytes, len, at);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return write_at(fd, bytes, len, at);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    if (!must_fail(fd))
        return syscall(SYS_write, fd, bytes, len);
    return fail_errno || len < 2 ? fail() : syscall(SYS_write, fd, bytes, len / 2);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
    if (!must_fail(fd))
        return syscall(SYS_writev, fd, v, n);
    return fail_errno || n < 2 ? fail() : syscall(SYS_writev, fd, v, 1);
}

static ssize_t writev_at(int fd, const struct iovec *v, int n, off_t at)
{
    if (!must_fail(fd))
        return syscall(SYS_pwritev, fd, v, n, at, 0);
    return fail_errno || n < 2 ? fail() : syscall(SYS_pwritev, fd, v, 1, at, 0);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return writev_at(fd, v, n, at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
    return writev_at(fd, v, n, at);
}

/* ------------------------------------------------------------------ syncing, growing, mapping */

EXPORT int fsync(int fd)
{
    return must_fail_sync(fd) ? (int)fail() : (int)syscall(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    return must_fail_sync(fd) ? (int)fail() : (int)syscall(SYS_fdatasync, fd);
}

EXPORT int ftruncate(int fd, off_t len)
{
    return must_fail(fd) ? (int)fail() : (int)syscall(SYS_ftruncate, fd, len);
}

EXPORT int ftruncate64(int fd, off64_t len)
{
    return must_fail(fd) ? (int)fail() : (int)syscall(SYS_ftruncate, fd, len);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    static int (*real)(int, off_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "posix_fallocate");
    return must_fail(fd) ? error() : real(fd, at, len);
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t len)
{
    return posix_fallocate(fd, at, len);
}

EXPORT void *mmap(void *want, size_t len, int prot, int flags, int fd, off_t at)
{
    if (fd >= 0 && must_fail(fd)) {
        errno = fail_errno == ENOSPC ? ENOMEM : error();
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, want, len, prot, flags, fd, at);
}

EXPORT void *mmap64(void *want, size_t len, int prot, int flags, int fd, off64_t at)
{
    return mmap(want, len, prot, flags, fd, at);
}

/* ------------------------------------------------------------------ names */

EXPORT int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (flags & O_CREAT && must_fail_name(path))
        return (int)fail();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int mkostemp(char *path, int flags)
{
    static int (*real)(char *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "mkostemp");
    return must_fail_name(path) ? (int)fail() : real(path, flags);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    return must_fail_name(path) ? (int)fail() : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

EXPORT int symlink(const char *target, const char *path)
{
    return must_fail_name(path) ? (int)fail() : (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

EXPORT int link(const char *from, const char *to)
{
    return must_fail_name(to) ? (int)fail()
                              : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int rename(const char *from, const char *to)
{
    return must_fail_name(to) ? (int)fail()
                              : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int unlink(const char *path)
{
    return must_fail_name(path) ? (int)fail() : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

EXPORT int unlinkat(int at, const char *path, int flags)
{
    return must_fail(at) ? (int)fail() : (int)syscall(SYS_unlinkat, at, path, flags);
}
