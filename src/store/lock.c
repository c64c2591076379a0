#include "store/write_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "store/files.h"

static struct flock whole(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
}

/* The process id that its holder wrote into the lock file; 0: none can be read. */
static pid_t holder_of(int fd)
{
    char text[24];
    uint64_t pid;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (text_u64(text, &pid) != HOIST_OK || pid > INT32_MAX)
        return 0;
    return (pid_t)pid;
}

static enum hoist_err held_by(const char *dir, int fd)
{
    pid_t pid = holder_of(fd);
    if (pid == 0)
        return err_set(HOIST_EBUSY, "the store in %s is in use by another hoistd", dir);
    return err_set(
        HOIST_EBUSY,
        "the store in %s is in use by another hoistd, process %d; stop that one, or give "
        "this one another directory",
        dir, (int)pid);
}

enum hoist_err lock_take(const char *dir, struct lmdb_os *lock)
{
    enum hoist_err err = HOIST_OK;
    char path[PATH_MAX], text[24];
    if (!path_join(path, dir, "hoistd.lock"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return files_err(errno, "open", path);
    struct flock all = whole(F_WRLCK);
    if (fcntl(fd, F_OFD_SETLK, &all) != 0) {
        err =
            errno == EAGAIN || errno == EACCES ? held_by(dir, fd) : files_err(errno, "lock", path);
        close(fd);
        return err;
    }
    *lock = (struct lmdb_os){.lock_fd = -1, .spare_fd = -1};
    lmdb_os_add(lock, fd);
    /* The number is for messages only: a full disk is no reason not to start. */
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (fchmod(fd, 0640) != 0 || ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) < 0)
        return HOIST_OK;
    return HOIST_OK;
}

void lock_release(struct lmdb_os *lock)
{
    int fd = lock->lock_fd;
    if (fd < 0)
        return;
    lmdb_os_remove(lock);
    close(fd);
}

bool store_is_written(const char *dir, pid_t *ret_pid)
{
    char path[PATH_MAX];
    if (!path_join(path, dir, "hoistd.lock"))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct flock probe = whole(F_RDLCK);
    bool held = fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
    if (held && ret_pid)
        *ret_pid = holder_of(fd);
    close(fd);
    return held;
}

bool store_is_gone(const struct store *s)
{
    char path[PATH_MAX];
    struct stat mine, there;
    if (!path_join(path, s->dir, "hoistd.lock") || fstat(s->writer->lock.lock_fd, &mine) != 0)
        return false;
    if (stat(path, &there) != 0)
        return errno == ENOENT;
    return there.st_dev != mine.st_dev || there.st_ino != mine.st_ino;
}
