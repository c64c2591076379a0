#include "turn.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static bool set_lock(int fd, int command, struct flock *lock, short type)
{
    *lock = (struct flock){.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, command, lock) == 0;
}

int turn_open(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/worker.lock", dir);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
}

bool turn_take(int fd)
{
    struct flock lock;
    return set_lock(fd, F_OFD_SETLK, &lock, F_WRLCK);
}

void turn_end(int fd)
{
    struct flock lock;
    (void)set_lock(fd, F_OFD_SETLK, &lock, F_UNLCK);
}

bool turn_is_taken(int fd)
{
    struct flock lock;
    return set_lock(fd, F_OFD_GETLK, &lock, F_WRLCK) && lock.l_type != F_UNLCK;
}
