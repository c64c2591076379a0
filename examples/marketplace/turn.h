/* turn.h - whose worker may run: of the processes that share a data directory, one at a time.
 *
 * GitHub asks its clients to send one request after the other. The turn is a lock on a file of that
 * directory, which the kernel gives back when its holder dies.
 */
#ifndef MARKETPLACE_TURN_H
#define MARKETPLACE_TURN_H

#include <stdbool.h>

/* The descriptor of the lock's file; -1: errno says why. */
int turn_open(const char *dir);

bool turn_take(int fd); /* false: another process has it */
void turn_end(int fd);
bool turn_is_taken(int fd); /* by another process */

#endif
