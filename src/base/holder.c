#include "base/holder.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FDS_MAX = 200000 }; /* looked at, over all processes */

static const unsigned LISTENING = 0x0a; /* TCP_LISTEN in /proc/net/tcp */

/* The inode of a socket that listens on `port`, from one of the two tables; 0 when there is none.
 */
static uint64_t listening_inode(const char *table, uint16_t port)
{
    FILE *f = fopen(table, "re");
    if (!f)
        return 0;
    char line[512];
    uint64_t inode = 0;
    while (!inode && fgets(line, sizeof line, f)) {
        unsigned local_port, state;
        uint64_t n;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %" SCNu64,
                   &local_port, &state, &n) == 3 &&
            local_port == port && state == LISTENING)
            inode = n;
    }
    fclose(f);
    return inode;
}

/* Whether one of the descriptors of the process at `proc_dir` ("/proc/N") is `link`. */
static bool has_open(const char *proc_dir, const char *link, int *fds_left)
{
    char path[300];
    snprintf(path, sizeof path, "%s/fd", proc_dir);
    DIR *d = opendir(path);
    if (!d)
        return false;
    bool found = false;
    struct dirent *e;
    while (!found && *fds_left > 0 && (e = readdir(d))) {
        char target[64];
        ssize_t len = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        (*fds_left)--;
        if (len < 0)
            continue;
        target[len] = '\0';
        found = strcmp(target, link) == 0;
    }
    closedir(d);
    return found;
}

static void name_of(const char *proc_dir, char *out, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/comm", proc_dir);
    snprintf(out, size, "a process");
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = '\0';
    fclose(f);
}

void holder_of_port(char out[HOLDER_SIZE], uint16_t port)
{
    out[0] = '\0';
    uint64_t inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    if (!inode)
        return;
    snprintf(out, HOLDER_SIZE, "held by a process of another user");

    char link[64];
    snprintf(link, sizeof link, "socket:[%" PRIu64 "]", inode);
    DIR *d = opendir("/proc");
    if (!d)
        return;
    struct dirent *e;
    int fds_left = FDS_MAX;
    while ((e = readdir(d)) && fds_left > 0) {
        char proc_dir[280], name[32];
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(proc_dir, sizeof proc_dir, "/proc/%s", e->d_name);
        if (!has_open(proc_dir, link, &fds_left))
            continue;
        name_of(proc_dir, name, sizeof name);
        snprintf(out, HOLDER_SIZE, "held by %s (pid %.10s)", name, e->d_name);
        break;
    }
    closedir(d);
}
