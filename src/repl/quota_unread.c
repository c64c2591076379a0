/* quota_unread.c - what peers have sent of messages that are not whole yet.
 *
 * nng keeps a message in memory from its first byte to its last and tells nobody, so a peer could
 * fill the memory with the beginnings of long commands on many connections. The kernel knows how many
 * bytes each connection has brought (TCP_INFO). What came since we last saw a whole message of it is
 * unread; where a peer's, or all peers', is beyond the limit of bytes, those that have most are
 * closed. Local sockets tell no such number: who may use them is the file's group.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "repl/quota_int.h"

enum {
    LOOK_ANYWAY_MS = 5000,
    GROWN_PAGES = 32 << 20 >> 12, /* of memory since the last look */
    STATM_SIZE = 100,
};

/* ---------------------------------------------------------------- what the kernel knows */

/* Of either family: the address as IPv6, and the port. */
static uint16_t read_address(const struct sockaddr_storage *a, struct quota_end *ret)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
    if (a->ss_family == AF_INET) {
        quota_end_v4(ret, &in->sin_addr, in->sin_port);
        return in->sin_port;
    }
    if (a->ss_family != AF_INET6)
        return 0;
    *ret = (struct quota_end){.port = in6->sin6_port};
    memcpy(ret->address, &in6->sin6_addr, sizeof ret->address);
    return in6->sin6_port;
}

static bool read_end(int fd, struct quota_end *ret)
{
    struct sockaddr_storage peer, own;
    socklen_t peer_len = sizeof peer, own_len = sizeof own;
    struct quota_end here;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_len) != 0 || !read_address(&peer, ret))
        return false;
    ret->own_port = read_address(&own, &here);
    return true;
}

static bool read_received(int fd, uint64_t *ret)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return false;
    *ret = info.tcpi_bytes_received;
    return true;
}

static void note(struct quota *q, int fd)
{
    struct quota_end end;
    uint64_t received;
    if (read_end(fd, &end) && read_received(fd, &received))
        quota_received(q, &end, received);
}

/* As if its peer had: nng (1.5.2) may wait for ever for a pipe that is closed by us in the middle of
 * a message, and with it for every other that ends later. A descriptor that became another's just
 * now is one connection more that is made anew. */
static void cut(struct quota *q, int fd)
{
    struct quota_end end;
    if (read_end(fd, &end) && quota_is_cut(q, &end))
        shutdown(fd, SHUT_RDWR);
}

static void each_file(struct quota *q, void (*act)(struct quota *q, int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t fd;
    while (dir && (entry = readdir(dir)))
        if (text_u64(entry->d_name, &fd) == HOIST_OK && fd <= INT_MAX)
            act(q, (int)fd);
    if (dir)
        closedir(dir);
}

void quota_cut(struct quota *q)
{
    each_file(q, cut);
}

/* ---------------------------------------------------------------- when to look */

static long memory_pages(void)
{
    char text[STATM_SIZE];
    long size = 0, resident = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    return sscanf(text, "%ld %ld", &size, &resident) == 2 ? resident : 0;
}

bool quota_look_unread(struct quota *q, int64_t now_ms)
{
    long pages = memory_pages();
    if (pages < q->seen_pages)
        q->seen_pages = pages;
    if (now_ms < q->next_look_ms && pages - q->seen_pages < GROWN_PAGES)
        return false;
    q->next_look_ms = now_ms + LOOK_ANYWAY_MS;
    q->seen_pages = pages;
    each_file(q, note);
    return true;
}
