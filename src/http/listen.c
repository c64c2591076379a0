#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/holder.h"
#include "base/text.h"

enum { BACKLOG = 64, HOST_MAX = 255, PORT_MAX = 65535 };

const char *http_address(const char *address, bool has_tls, bool *ret_secure)
{
    static const char plain[] = "http://", secure[] = "https://";
    if (strncmp(address, plain, sizeof plain - 1) == 0) {
        *ret_secure = false;
        return address + sizeof plain - 1;
    }
    if (strncmp(address, secure, sizeof secure - 1) == 0) {
        *ret_secure = true;
        return address + sizeof secure - 1;
    }
    *ret_secure = has_tls && !address_is_loopback(address);
    return address;
}

/* HOST:PORT or [ADDRESS]:PORT in its two parts. */
static bool split(const char *address, char host[HOST_MAX + 1], const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) || address[0] == '[') {
        return false; /* an IPv6 address wants its brackets, and they want an address */
    }
    if (len == 0 || len > HOST_MAX)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return true;
}

static enum hoist_err taken(const char *option, const char *address, uint16_t port)
{
    char who[HOLDER_SIZE];
    holder_of_port(who, port);
    return err_set(HOIST_EBUSY, "%s %s: the port is taken%s%s; give another, or off", option,
                   address, *who ? ", " : "", who);
}

static enum hoist_err no_listening(int why, const char *option, const char *address, uint16_t port)
{
    switch (why) {
    case EADDRINUSE:
        return taken(option, address, port);
    case EADDRNOTAVAIL:
        return err_set(HOIST_EINVAL, "%s %s: this machine has no such address", option, address);
    case EACCES:
        return err_set(HOIST_EACCES, "%s %s: this user may not listen there", option, address);
    default:
        return err_set(HOIST_EIO, "%s %s: %s", option, address, strerror(why));
    }
}

enum hoist_err http_listen(const char *option, const char *address, int *ret_fd)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char host[HOST_MAX + 1];
    const char *port;
    uint64_t number;
    if (!split(address, host, &port) || text_u64(port, &number) || number == 0 || number > PORT_MAX)
        return err_set(HOIST_EINVAL,
                       "%s %s: HOST:PORT is meant, as in 127.0.0.1:8016 or [::1]:8016; or off",
                       option, address);
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return err_set(HOIST_EINVAL, "%s %s: %s", option, address, gai_strerror(rc));

    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (ok) {
        *ret_fd = fd;
        return HOIST_OK;
    }
    if (fd >= 0)
        close(fd);
    return no_listening(why, option, address, (uint16_t)number);
}
