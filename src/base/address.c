#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NET_BYTES = 8 /* of an IPv6 address */ };

void address_host(const char *address, char *out, size_t size)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : strlen(address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    snprintf(out, size, "%.*s", (int)len, address);
}

bool address_is_loopback(const char *address)
{
    char host[256];
    struct in_addr v4;
    struct in6_addr v6;
    address_host(address, host, sizeof host);
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0;
}

void address_peer_v4(const void *ip, char out[ADDRESS_PEER_SIZE])
{
    inet_ntop(AF_INET, ip, out, ADDRESS_PEER_SIZE);
}

void address_peer_v6(const void *ip, char out[ADDRESS_PEER_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t net[16] = {0};
    char text[INET6_ADDRSTRLEN];
    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        address_peer_v4((const uint8_t *)ip + sizeof mapped, out);
        return;
    }
    memcpy(net, ip, NET_BYTES);
    inet_ntop(AF_INET6, net, text, sizeof text);
    snprintf(out, ADDRESS_PEER_SIZE, "%s/64", text);
}
