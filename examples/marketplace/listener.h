/* listener.h - where the service listens: an address of its own, or a socket that outlives it.
 *
 * systemd (or whoever starts the service) may hold the listening socket and hand it on, as sd_listen_fds(3)
 * has it. Then connections wait in the socket's queue while one process ends and the next one starts,
 * and several processes may serve one socket. Functions give a descriptor that does not block.
 */
#ifndef MARKETPLACE_LISTENER_H
#define MARKETPLACE_LISTENER_H

#include <stdbool.h>

/* Listen at HOST:PORT, HOST an IPv4 address. -1: it cannot be had; errno says why. */
int listener_open(const char *address);

/* The socket that was handed to this process: *ret_fd, or -1 where there is none. False: what was
 * handed on is no listening socket, or more than one. */
bool listener_inherit(int *ret_fd);

#endif
