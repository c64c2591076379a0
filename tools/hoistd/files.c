#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/log.h"

enum { LOOK_MS = 1000, QUIET_MS = 60000, NO_FILES = 3 /* ".", ".." and the directory itself */ };

uint32_t files_open(void)
{
    uint32_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - NO_FILES;
}

static bool is_full(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

void files_watch(int64_t now_ms, uint64_t limit)
{
    static int64_t look_ms, again_ms;
    static bool was_full;
    if (now_ms < look_ms)
        return;
    look_ms = now_ms + LOOK_MS;
    bool full = is_full();
    if (full && now_ms >= again_ms) {
        again_ms = now_ms + QUIET_MS;
        log_error(
            "hoistd: all %llu files that it may open are open: new connections wait until "
            "others end; who is connected is served. Raise the limit (LimitNOFILE, ulimit -n)",
            (unsigned long long)limit);
    }
    if (was_full && !full)
        log_info("hoistd: files can be opened again");
    was_full = full;
}
