/* quota_unread.c - the look at our sockets: what peers have sent of messages that are not whole yet.
 *
 * nng keeps a message in memory from its first byte to its last and tells nobody, so a peer could
 * fill the memory with the beginnings of long commands on many connections. The kernel knows how many
 * bytes each connection has brought (TCP_INFO). What came since we last saw a whole message of it is
 * unread; where a peer's, or all peers', is beyond the limit of bytes, those that have most are
 * closed. Local sockets tell no such number: who may use them is the file's group.
 *
 * The same look finds what has begun and is no connection yet (quota_begun.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "repl/quota_int.h"

enum {
    LOOK_MIN_MS = 1000, /* between two looks: fifty times what one took, within these */
    LOOK_MAX_MS = 5000,
    LOOK_SHARE = 50,
    GROWN_PAGES = 32 << 20 >> 12, /* of memory since the last look */
    STATM_SIZE = 100,
};

/* ---------------------------------------------------------------- what the kernel knows */

uint16_t quota_read_address(const struct sockaddr_storage *a, struct quota_end *ret)
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

static bool read_end(int fd, struct quota_end *ret, struct sockaddr_storage *ret_own)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer, own_len = sizeof *ret_own;
    struct quota_end here;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0 ||
        getsockname(fd, (struct sockaddr *)ret_own, &own_len) != 0 ||
        !quota_read_address(&peer, ret))
        return false;
    ret->own_port = quota_read_address(ret_own, &here);
    return true;
}

/* The kernel's number for it, which no other socket ever has. */
static bool read_number(int fd, uint64_t *ret)
{
    socklen_t len = sizeof *ret;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret, &len) == 0 && len == sizeof *ret;
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
    struct sockaddr_storage own;
    struct quota_end end;
    uint64_t received, number;
    if (!read_end(fd, &end, &own) || !read_received(fd, &received))
        return;
    if (!quota_received(q, &end, received) && read_number(fd, &number))
        quota_begun_see(q, number, &end, &own, clock_mono_ms());
}

/* As if its peer had: nng (1.5.2) may wait for ever for a pipe that is closed by us in the middle of
 * a message, and with it for every other that ends later. A descriptor that became another's just
 * now is one connection more that is made anew. */
static void cut(struct quota *q, int fd)
{
    struct sockaddr_storage own;
    struct quota_end end;
    uint64_t number;
    if (read_end(fd, &end, &own) &&
        (quota_is_cut(q, &end) || (read_number(fd, &number) && quota_begun_is_cut(q, number))))
        shutdown(fd, SHUT_RDWR);
}

static void each_file(struct quota *q, void (*act)(struct quota *q, int fd))
{
    const struct dirent *entry;
    uint64_t fd;
    if (!q->files)
        return;
    rewinddir(q->files);
    while ((entry = readdir(q->files)))
        if (text_u64(entry->d_name, &fd) == HOIST_OK && fd <= INT_MAX)
            act(q, (int)fd);
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

static int64_t wait_after(int64_t took_ms)
{
    int64_t wait = LOOK_SHARE * took_ms;
    return wait < LOOK_MIN_MS ? LOOK_MIN_MS : wait < LOOK_MAX_MS ? wait : LOOK_MAX_MS;
}

bool quota_look(struct quota *q, int64_t now_ms)
{
    long pages = memory_pages();
    if (pages < q->seen_pages)
        q->seen_pages = pages;
    if (now_ms < q->next_look_ms && pages - q->seen_pages < GROWN_PAGES)
        return false;
    q->seen_pages = pages;
    int64_t began = clock_mono_ms();
    each_file(q, note);
    q->next_look_ms = now_ms + wait_after(clock_mono_ms() - began);
    return true;
}
