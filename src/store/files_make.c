#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ directories */

static enum hoist_err cannot_make(const char *path)
{
    return errno == ENOENT ? err_set(HOIST_EINVAL, "cannot make %s: %s", path, strerror(errno))
                           : files_err(errno, "make", path);
}

static enum hoist_err make_parents(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return cannot_make(path);
        *slash = '/';
    }
    return HOIST_OK;
}

static bool is_ours(const char *name)
{
    return strcmp(name, "current") == 0 || strcmp(name, "hoistd.lock") == 0;
}

static bool is_neutral(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0;
}

static enum hoist_err check_is_store_or_empty(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return files_err(errno, "read", dir);
    bool ours = false, others = false;
    for (struct dirent *e; (e = readdir(d));) {
        ours = ours || is_ours(e->d_name);
        others = others || !(is_ours(e->d_name) || is_neutral(e->d_name));
    }
    closedir(d);
    if (others && !ours)
        return err_set(HOIST_EINVAL,
                       "%s holds other files and is no Hoist store; name a directory of its own",
                       dir);
    return HOIST_OK;
}

enum hoist_err files_make_dir(const char *dir)
{
    enum hoist_err err = make_parents(dir);
    if (err)
        return err;
    if (mkdir(dir, 0700) == 0)
        return HOIST_OK;
    return errno == EEXIST ? check_is_store_or_empty(dir) : cannot_make(dir);
}

enum hoist_err files_set_mode(const char *dir, mode_t mode)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return files_err(errno, "look at", dir);
    /* The setgid bit is the administrator's: it gives new files the directory's group. A directory
     * that is somebody else's keeps the mode that they chose. */
    if (st.st_uid == geteuid() && chmod(dir, mode | (st.st_mode & S_ISGID)) != 0)
        return files_err(errno, "set the mode of", dir);
    return HOIST_OK;
}

static void remove_contents(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

void files_remove_number(const char *dir, uint32_t number)
{
    char path[PATH_MAX];
    if (!path_number(path, dir, number))
        return;
    remove_contents(path);
    rmdir(path);
}

enum hoist_err files_make_number(const char *dir, uint32_t number, mode_t mode)
{
    char path[PATH_MAX];
    if (!path_number(path, dir, number))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    files_remove_number(dir, number);
    if (mkdir(path, mode) != 0)
        return files_err(errno, "make", path);
    struct stat st;
    if (stat(path, &st) != 0 || chmod(path, mode | (st.st_mode & S_ISGID)) != 0)
        return files_err(errno, "set the mode of", path);
    return HOIST_OK;
}

bool files_next_number(const char *dir, uint32_t after, uint32_t *ret)
{
    uint32_t least = UINT32_MAX;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        uint32_t number;
        if (files_parse_number(e->d_name, &number) && number > after && number < least)
            least = number;
    }
    if (d)
        closedir(d);
    *ret = least;
    return least != UINT32_MAX;
}

void files_remove_others(const char *dir, uint32_t keep)
{
    for (uint32_t number = 0; files_next_number(dir, number, &number);)
        if (number != keep)
            files_remove_number(dir, number);
}

/* ------------------------------------------------------------------ the link */

enum hoist_err files_set_current(const char *dir, uint32_t number)
{
    char link[PATH_MAX], fresh[PATH_MAX], target[16];
    if (!path_join(link, dir, "current") || !path_join(fresh, dir, "current.new"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    int fd = open(dir, O_RDONLY | O_CLOEXEC); /* once the link is moved, only the sync can fail */
    if (fd < 0)
        return files_err(errno, "open", dir);
    enum hoist_err err = HOIST_OK;
    snprintf(target, sizeof target, "%u", number);
    unlink(fresh);
    if (symlink(target, fresh) != 0)
        err = files_err(errno, "make the link", fresh);
    else if (rename(fresh, link) != 0)
        err = files_err(errno, "move the link to", link);
    else if (fsync(fd) != 0)
        err = err_set(HOIST_EUNKNOWN, "cannot sync %s: %s: it is not known whether %s stays at %u",
                      dir, strerror(errno), link, number);
    close(fd);
    return err;
}

/* ------------------------------------------------------------------ files */

enum hoist_err files_allocate(const char *path, off_t size, mode_t mode, int *ret_fd)
{
    enum hoist_err err = HOIST_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    if (fd < 0)
        return files_err(errno, "make", path);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err = files_err(errno, "look at", path);
        goto out;
    }
    /* Allocated whether it is new or not: a page that is missing when the disk is full ends the
     * program that touches it (SIGBUS). */
    int error = posix_fallocate(fd, 0, size);
    if (error) {
        err = files_err(error, "allocate", path);
        goto out;
    }
    if (st.st_uid == geteuid() && fchmod(fd, mode) != 0)
        err = files_err(errno, "set the mode of", path);
out:
    if (err)
        close(fd);
    else
        *ret_fd = fd;
    return err;
}

enum hoist_err files_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return files_err(errno, "open", path);
    enum hoist_err err = HOIST_OK;
    if (fsync(fd) != 0)
        err = files_err(errno, "sync", path);
    close(fd);
    return err;
}
