#include "store/files.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
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

/* ------------------------------------------------------------------ the link */

bool files_parse_number(const char *name, uint32_t *ret)
{
    uint64_t v;
    if (name[0] < '1' || name[0] > '9' || text_u64(name, &v) != HOIST_OK || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

enum hoist_err files_current(const char *dir, uint32_t *ret_number)
{
    char path[PATH_MAX], target[32];
    if (!path_join(path, dir, "current"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return files_err(errno, "read the link", path);
    target[len] = '\0';
    if (!files_parse_number(target, ret_number))
        return err_set(HOIST_ECORRUPT, "%s leads to '%s', which is no number", path, target);
    return HOIST_OK;
}
