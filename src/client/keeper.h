/* keeper.h - the library's own thread: one per process, from the first open to the last close.
 *
 * Twice a second it looks whether a store was replaced, and opens the new one; it frees what
 * readers cannot hold any more; it wakes those who wait on a hoist_watch_fd(). It never holds up a
 * reader, and no reader waits for it. All signals are blocked in it.
 *
 * While it cannot be started, slow reads look after the store and try to start it, once a second;
 * what was replaced stays open until it runs.
 */
#ifndef CLIENT_KEEPER_H
#define CLIENT_KEEPER_H

#include <stdbool.h>

/* Begin it if it is not running; under open_lock. Fails without a word: keeper_running() tells. */
void keeper_start(void);

/* End it, and free what it kept; under open_lock, when no threaded source is left. */
void keeper_stop(void);

/* In a child, which has no such thread. */
void keeper_forget(void);

bool keeper_running(void);

/* Have it look now instead of later. From any thread, at any time. */
void keeper_wake(void);

/* The inotify descriptor that it waits on, made at the first call; -1 when none can be had. Under
 * sources_lock. */
int keeper_inotify(void);

#endif
