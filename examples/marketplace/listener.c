#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_INHERITED = 3 /* SD_LISTEN_FDS_START */ };

static bool read_address(const char *text, struct sockaddr_in *ret)
{
    char host[64] = "", *end;
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    unsigned long port = strtoul(colon + 1, &end, 10);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port > 0 && port <= UINT16_MAX &&
           inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

int listener_open(const char *address)
{
    struct sockaddr_in at;
    int one = 1;
    if (!read_address(address, &at)) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* A number of the environment; -1: it is not there, or none. */
static long environment_number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long n = text ? strtol(text, &end, 10) : -1;
    return text && end != text && *end == '\0' ? n : -1;
}

bool listener_inherit(int *ret_fd)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    long count = environment_number("LISTEN_FDS");
    bool ours = environment_number("LISTEN_PID") == getpid();
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    *ret_fd = -1;
    if (!ours || count == 0)
        return true;
    if (count != 1 ||
        getsockopt(FIRST_INHERITED, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
        return false;
    /* Another process may take the connection that this one was woken for: accept must not wait. */
    int flags = fcntl(FIRST_INHERITED, F_GETFL);
    if (flags < 0 || fcntl(FIRST_INHERITED, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(FIRST_INHERITED, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    *ret_fd = FIRST_INHERITED;
    return true;
}
