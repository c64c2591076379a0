#include "base/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PATH_BYTES_MAX = 4096 };

static enum hoist_err file_err(const char *doing, const char *path)
{
    int number = errno;
    enum hoist_err err = number == ENOENT                      ? HOIST_ENOTFOUND
                         : number == EACCES || number == EPERM ? HOIST_EACCES
                         : number == ENOSPC                    ? HOIST_ENOSPC
                                                               : HOIST_EIO;
    return err_set(err, "cannot %s %s: %s", doing, path, strerror(number));
}

void textfile_wipe(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    mem_free(text);
}

/* ------------------------------------------------------------------ reading */

static enum hoist_err check(const char *path, int fd, size_t max, bool secret, size_t *ret_len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_err("read", path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
        return err_set(HOIST_EINVAL, "%s is no file of at most %zu bytes", path, max);
    if (secret && (st.st_mode & 077))
        return err_set(HOIST_EACCES, "%s can be read by others than its owner: chmod 600 %s", path,
                       path);
    *ret_len = (size_t)st.st_size;
    return HOIST_OK;
}

static enum hoist_err fill(const char *path, int fd, char *text, size_t len)
{
    size_t have = 0;
    ssize_t n = 1;
    while (have < len && (n = read(fd, text + have, len - have)) > 0)
        have += (size_t)n;
    if (n < 0)
        return file_err("read", path);
    text[have] = '\0';
    return strlen(text) == have ? HOIST_OK : err_set(HOIST_EINVAL, "%s is no text", path);
}

enum hoist_err textfile_read(const char *path, size_t max, bool secret, char **ret)
{
    size_t len = 0;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return file_err("read", path);
    enum hoist_err err = check(path, fd, max, secret, &len);
    if (!err && !(text = mem_zalloc(1, len + 1)))
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (!err)
        err = fill(path, fd, text, len);
    close(fd);
    if (err)
        textfile_wipe(text);
    else
        *ret = text;
    return err;
}

/* ------------------------------------------------------------------ writing */

static bool put(int fd, struct slice text, mode_t mode)
{
    size_t done = 0;
    ssize_t n = 1;
    if (fchmod(fd, mode) != 0)
        return false;
    while (done < text.len && (n = write(fd, text.ptr + done, text.len - done)) > 0)
        done += (size_t)n;
    return n > 0 && fsync(fd) == 0;
}

/* The name of a file is kept when the directory is. */
static enum hoist_err sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct buf dir = BUF_INIT(PATH_BYTES_MAX);
    if (slash)
        buf_add(&dir, path, (size_t)(slash - path) + 1);
    else
        buf_add_str(&dir, ".");
    enum hoist_err err = buf_err(&dir);
    int fd = err ? -1 : open(buf_str(&dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!err && (fd < 0 || fsync(fd) != 0))
        err = file_err("sync", buf_str(&dir));
    if (fd >= 0)
        close(fd);
    buf_done(&dir);
    return err;
}

/* Give the whole file `beside` its name. */
static enum hoist_err name_it(const char *beside, const char *path, bool replace)
{
    if ((replace ? rename(beside, path) : link(beside, path)) != 0)
        return errno == EEXIST ? err_set(HOIST_EINVAL, "%s is there already", path)
                               : file_err("write", path);
    return replace || unlink(beside) == 0 ? HOIST_OK : file_err("write", path);
}

enum hoist_err textfile_write(const char *path, struct slice text, mode_t mode, bool replace)
{
    struct stat old;
    char beside[PATH_BYTES_MAX], target[PATH_MAX];
    if (replace && realpath(path, target))
        path = target; /* of a symbolic link: what it leads to is followed, the link stays */
    bool is_there = lstat(path, &old) == 0;
    if (is_there && !replace)
        return err_set(HOIST_EINVAL, "%s is there already", path);
    if (snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= (int)sizeof beside)
        return err_set(HOIST_EINVAL, "%.80s…: the path is too long", path);
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return file_err("make", path);
    enum hoist_err err = HOIST_OK;
    bool other = is_there && (old.st_uid != geteuid() || old.st_gid != getegid());
    if (!put(fd, text, mode) || (other && fchown(fd, old.st_uid, old.st_gid) != 0))
        err = file_err("write", path);
    close(fd);
    if (!err)
        err = name_it(beside, path, replace);
    if (err)
        unlink(beside);
    return err ? err : sync_directory(path);
}
