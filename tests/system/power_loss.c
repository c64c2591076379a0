/* power_loss.c - preloaded: keeps in the file $POWER_LOSS_JOURNAL what was in files below $POWER_LOSS_DIR before
 * each write, and which files were synced, so that a test can take back what a disk may lose without power. A
 * record is a struct record, the file's path, and the bytes that were there. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct record {
    uint32_t path_len;
    uint32_t is_sync;
    uint64_t at, len; /* of what is to be written … */
    uint64_t kept;    /* … and how many bytes of these the file had */
    uint64_t size;    /* of the file before */
};

static const char *dir;
static int journal = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("POWER_LOSS_JOURNAL");
    dir = getenv("POWER_LOSS_DIR");
    journal = path && dir ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (journal < 0)
        _exit(99); /* a test that believes it takes back, and does not, is worse than none */
}

static size_t path_below(int fd, char path[PATH_MAX])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    size_t dir_len = strlen(dir);
    path[len > 0 ? len : 0] = '\0';
    return len > (ssize_t)dir_len && strncmp(path, dir, dir_len) == 0 && path[dir_len] == '/'
               ? (size_t)len
               : 0;
}

static void note(int fd, struct record r, const void *bytes)
{
    char path[PATH_MAX];
    r.path_len = (uint32_t)path_below(fd, path);
    struct iovec v[] = {{&r, sizeof r}, {path, r.path_len}, {(void *)bytes, r.kept}};
    ssize_t whole = (ssize_t)(sizeof r + r.path_len + r.kept);
    if (r.path_len > 0 && syscall(SYS_writev, journal, v, 3) != whole)
        _exit(99);
}

/* A write through a descriptor that syncs each is on the disk when it returns: nothing to take back. */
static void note_write(int fd, off_t at, size_t len)
{
    struct stat st;
    char path[PATH_MAX];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fcntl(fd, F_GETFL) & O_DSYNC ||
        path_below(fd, path) == 0)
        return;
    void *old = malloc(len);
    /* Not of a file that it may have locked: closing any descriptor of it would give up the lock. */
    bool reads = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    int from = reads ? fd : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t kept = old ? pread(from, old, len, at) : -1;
    if (kept < 0)
        _exit(99);
    pthread_mutex_lock(&lock);
    note(fd,
         (struct record){
             .at = (uint64_t)at, .len = len, .kept = (uint64_t)kept, .size = (uint64_t)st.st_size},
         old);
    pthread_mutex_unlock(&lock);
    if (!reads)
        close(from);
    free(old);
}

static int note_sync(int fd, int done)
{
    pthread_mutex_lock(&lock);
    if (done == 0)
        note(fd, (struct record){.is_sync = 1}, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

/* Where a write without a place of its own goes. */
static off_t place(int fd)
{
    struct stat st;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstat(fd, &st) == 0 ? st.st_size : 0;
    return lseek(fd, 0, SEEK_CUR);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    note_write(fd, at, len);
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    note_write(fd, place(fd), len);
    return syscall(SYS_write, fd, bytes, len);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += v[i].iov_len;
    note_write(fd, place(fd), len);
    return syscall(SYS_writev, fd, v, n);
}

EXPORT int fsync(int fd)
{
    return note_sync(fd, (int)syscall(SYS_fsync, fd));
}

EXPORT int fdatasync(int fd)
{
    return note_sync(fd, (int)syscall(SYS_fdatasync, fd));
}
