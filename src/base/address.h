/* address.h - whether what is said to an address stays on this machine, and who is behind one. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_PEER_SIZE = 64 };

/* The HOST of HOST:PORT, without the brackets of an IPv6 address; as much of it as `out` has room
 * for. */
void address_host(const char *address, char *out, size_t size);

/* Whether the HOST of HOST:PORT is 127.0.0.0/8, ::1 or localhost. Every address of the machine
 * (0.0.0.0, ::, *) is not, nor is any other name: nothing is looked up. */
bool address_is_loopback(const char *address);

/* Who is counted as one where peers have quotas, by name: an IPv4 address (4 bytes), or the first 64
 * bits of an IPv6 address (16 bytes), since a host has as many as it likes of the rest; one that is
 * IPv4's in its clothes is IPv4's. */
void address_peer_v4(const void *ip, char out[ADDRESS_PEER_SIZE]);
void address_peer_v6(const void *ip, char out[ADDRESS_PEER_SIZE]);

#endif
