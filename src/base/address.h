/* address.h - whether what is said to an address stays on this machine. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* The HOST of HOST:PORT, without the brackets of an IPv6 address; as much of it as `out` has room
 * for. */
void address_host(const char *address, char *out, size_t size);

/* Whether the HOST of HOST:PORT is 127.0.0.0/8, ::1 or localhost. Every address of the machine
 * (0.0.0.0, ::, *) is not, nor is any other name: nothing is looked up. */
bool address_is_loopback(const char *address);

#endif
