#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"

enum hoist_err files_err(int error, const char *what, const char *path)
{
    switch (error) {
    case ENOENT:
        return HOIST_ENOTFOUND;
    case ENOMEM:
        return err_set(HOIST_ENOMEM, "out of memory");
    case EACCES:
    case EPERM:
    case EROFS:
        return err_set(HOIST_EACCES, "cannot %s %s: %s; is this user in the store's group?", what,
                       path, strerror(error));
    case ENOSPC:
    case EDQUOT:
        return err_set(HOIST_ENOSPC, "cannot %s %s: %s", what, path, strerror(error));
    case ENOTDIR:
        return err_set(HOIST_EINVAL, "%s is not a directory", path);
    default:
        return err_set(HOIST_EIO, "cannot %s %s: %s", what, path, strerror(error));
    }
}

bool path_join(char out[PATH_MAX], const char *dir, const char *name)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return len > 0 && len < PATH_MAX;
}

bool path_number(char out[PATH_MAX], const char *dir, uint32_t number)
{
    int len = snprintf(out, PATH_MAX, "%s/%u", dir, number);
    return len > 0 && len < PATH_MAX;
}

/* ------------------------------------------------------------------ filesystems */

/* FUSE is not among them: containers keep their own files on it (fuse-overlayfs), and on one
 * machine its shared memory agrees. */
static const struct {
    unsigned long magic;
    const char *name;
} network_types[] = {
    {NFS_SUPER_MAGIC, "NFS"}, {0xff534d42, "CIFS"},         {0xfe534d42, "SMB"},
    {SMB_SUPER_MAGIC, "SMB"}, {V9FS_MAGIC, "9p"},           {AFS_SUPER_MAGIC, "AFS"},
    {AFS_FS_MAGIC, "AFS"},    {CODA_SUPER_MAGIC, "Coda"},   {0x00c36400, "Ceph"},
    {0x01161970, "GFS2"},     {OCFS2_SUPER_MAGIC, "OCFS2"}, {0x0bd00bd0, "Lustre"},
    {0x19830326, "BeeGFS"},
};

static long fs_type_of_test;

void files_set_fs_type(long f_type)
{
    fs_type_of_test = f_type;
}

/* statfs of the nearest directory that exists. */
static int stat_above(const char *dir, struct statfs *ret)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    while (statfs(path, ret) != 0) {
        if (errno != ENOENT)
            return errno;
        char *slash = strrchr(path, '/');
        if (!slash)
            return statfs(".", ret) ? errno : 0;
        slash[slash == path] = '\0';
        if (slash == path && statfs("/", ret) != 0)
            return errno;
    }
    return 0;
}

enum hoist_err files_check_fs(const char *dir, bool *ret_memory)
{
    struct statfs fs;
    int error = stat_above(dir, &fs);
    if (error)
        return files_err(error, "look at", dir);
    unsigned long type = (unsigned long)(fs_type_of_test ? fs_type_of_test : fs.f_type);
    type &= 0xffffffff;
    for (size_t i = 0; i < sizeof network_types / sizeof *network_types; i++)
        if (type == network_types[i].magic)
            return err_set(HOIST_EINVAL,
                           "%s is on a network filesystem (%s), where shared memory does not "
                           "agree between machines; put the store on a local disk",
                           dir, network_types[i].name);
    *ret_memory = type == TMPFS_MAGIC || type == RAMFS_MAGIC;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ directories */

static enum hoist_err make_parents(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return files_err(errno, "make", path);
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

enum hoist_err files_make_dir(const char *dir, mode_t mode)
{
    enum hoist_err err = make_parents(dir);
    if (err)
        return err;
    if (mkdir(dir, mode) != 0) {
        if (errno != EEXIST)
            return files_err(errno, "make", dir);
        err = check_is_store_or_empty(dir);
        if (err)
            return err;
    }
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

static bool parse_number(const char *name, uint32_t *ret)
{
    uint64_t v;
    if (name[0] < '1' || name[0] > '9' || text_u64(name, &v) != HOIST_OK || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

void files_each_other(const char *dir, uint32_t keep,
                      void (*each)(const char *dir, uint32_t number))
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        uint32_t number;
        if (parse_number(e->d_name, &number) && number != keep)
            each(dir, number);
    }
    closedir(d);
}

/* ------------------------------------------------------------------ the link */

enum hoist_err files_current(const char *dir, uint32_t *ret_number)
{
    char path[PATH_MAX], target[32];
    if (!path_join(path, dir, "current"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return files_err(errno, "read the link", path);
    target[len] = '\0';
    if (!parse_number(target, ret_number))
        return err_set(HOIST_ECORRUPT, "%s leads to '%s', which is no number", path, target);
    return HOIST_OK;
}

enum hoist_err files_set_current(const char *dir, uint32_t number)
{
    char link[PATH_MAX], fresh[PATH_MAX], target[16];
    if (!path_join(link, dir, "current") || !path_join(fresh, dir, "current.new"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    snprintf(target, sizeof target, "%u", number);
    unlink(fresh);
    if (symlink(target, fresh) != 0)
        return files_err(errno, "make the link", fresh);
    if (rename(fresh, link) != 0)
        return files_err(errno, "move the link to", link);
    return files_sync(dir);
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
