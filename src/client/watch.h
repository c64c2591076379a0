/* watch.h - telling programs that a change has landed.
 *
 * A commit writes to the store's counters file, which wakes inotify. One inotify instance serves
 * the process (a user may have 128), and the library's thread passes the word on to an eventfd of
 * each handle, so that one handle's hoist_watch_clear() takes nothing from another. Where inotify
 * cannot be had, that thread looks twice a second. A handle without thread has an inotify of its
 * own.
 */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include "client/client_int.h"

/* All under sources_lock, but for watch_raise_all(), which takes it, and watch_drain(). */

/* The source reads another store than before: watch that one, and say that things changed. */
void watch_source(struct source *s);

/* Wake the handles of `s` if it has a newer transaction than before. */
void watch_poll(struct source *s);

/* Wake all handles of threaded sources. */
void watch_raise_all(void);

/* Read away what inotify has to say. */
void watch_drain(int inotify_fd);

/* In a child: the descriptor that the parent has is not for us to read. */
void watch_forget(hoist *h);

/* The handle is closed. */
void watch_done(hoist *h);

#endif
