/* holder.h - who has a TCP port, for the message that it is taken. */
#ifndef BASE_HOLDER_H
#define BASE_HOLDER_H

#include <stdint.h>

enum { HOLDER_SIZE = 96 };

/* "held by redis-server (pid 123)" for whoever listens on TCP port `port` in this network
 * namespace; "held by a process of another user" when only that is known; "" when nobody is found.
 * A best effort through /proc, for people to read. */
void holder_of_port(char out[HOLDER_SIZE], uint16_t port);

#endif
