/* source.h - the stores that this process reads: one open store per directory, however many
 * handles there are, replaced when the path leads to another.
 *
 * Locks: sources_lock covers the lists and every change of what is open; opening and closing
 * handles happens one at a time under open_lock, which comes first. A reader takes neither: it goes
 * through source_enter() and source_leave(), between which the era it got stays open.
 */
#ifndef CLIENT_SOURCE_H
#define CLIENT_SOURCE_H

#include <limits.h>
#include <pthread.h>

#include "client/client_int.h"
#include "client/words.h"
#include "usage/tally.h"

/* A numbered directory that is open. Two paths may lead to it. */
struct mount {
    struct store *store;
    bool lent; /* the program's own: it closes it */
    dev_t dev;
    ino_t ino;         /* of data.mdb, which is open: nobody else gets this number */
    int users;         /* eras that use it; 0: to be closed when its last view ends */
    _Atomic int views; /* open ones */
    struct mount *next;
};

/* The time that a source reads one mount. */
struct era {
    struct mount *mount; /* NULL once it is over and nobody can be reading in it */
    bool leaving;        /* it is over, and readers that were in it get the time to leave */
    bool awaited;        /* it was over before the grace_wait() that the thread is in */
    struct words words;
    struct era *older;
};

struct source {
    char dir[PATH_MAX];
    struct store *lent;        /* NULL: what the path leads to is opened */
    bool threaded;             /* served by the library's thread, else by slow reads themselves */
    pthread_rwlock_t gate;     /* not threaded: readers hold it while they use the era */
    _Atomic(struct era *) era; /* NULL: no store yet */
    struct era *eras; /* it and the ones before: bound flags may still look at their words */
    int users;
    struct tally_link agent; /* whom answers are counted for */
    struct hoist *hoists;
    _Atomic int64_t looked_ms; /* when somebody last asked whether the store was replaced */
    _Atomic int why;           /* why the last look could not open the store; HOIST_OK: it could */
    bool heard;                /* inotify tells of its changes */
    uint64_t watched_txn;      /* else: the newest transaction that watchers were woken for */
    struct source *next;
};

extern pthread_mutex_t open_lock;
extern pthread_mutex_t sources_lock;
extern struct source *sources; /* all of them */

/* It is over: the store has taken another directory. */
static inline bool era_is_retired(const struct era *e)
{
    return e->words.envs && atomic_load_explicit(e->words.envs, memory_order_relaxed) == UINT64_MAX;
}

/* The source of directory `dir`, opened if there is a store; under open_lock. `lent`, unless NULL,
 * is the store there that the program itself has open, and keeps open for longer than the source.
 * *ret is NULL when there was no memory for it or `dir` is too long; on any other error it is to be
 * closed like one that has a store. */
MUST_USE enum hoist_err source_open(const char *dir, struct store *lent, bool threaded,
                                    struct source **ret);
void source_close(struct source *s);

/* Open what the path leads to now if that is another store than before. Under sources_lock. */
MUST_USE enum hoist_err source_look(struct source *s);

/* Why there is nothing to read: ENOTFOUND, bare, or what kept the store from being opened. */
MUST_USE enum hoist_err source_why(const struct source *s);

/* Eras of threaded sources that are over: note them, and tell whether there are any; and, a
 * grace_wait() later, give back those that were noted: others may have ended meanwhile. For the
 * library's thread alone, under sources_lock. */
bool sources_await(void);
void sources_give_back(void);

/* Close mounts that nobody uses any more. Under sources_lock. */
void mounts_sweep(void);

/* In a child, before it reads: give up what was inherited, then open it anew. Under both locks. */
void sources_after_fork(void);

/* The era to read from, until source_leave(). NULL: there is no store. */
struct era *source_enter(struct source *s);
void source_leave(struct source *s);

/* In a child, whose parent may have had readers at the gate. */
void source_gate_renew(struct source *s);

/* Whether it is the caller's turn to look after `s`: once a second, or at once when `now` (unless
 * that failed the last time, which it may for long). */
bool source_due(struct source *s, bool now);

#endif
