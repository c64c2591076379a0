/* client_int.h - what the files of libhoist share: the bodies of hoist.h's handles.
 *
 *   hoist ──▶ source ──▶ era ──▶ mount ──▶ struct store
 *     │         one per path,     one per numbered directory that is open in this process
 *     │         shared by handles
 *     └─▶ table of hoist_flag, each with the cell that a fast read looks at
 */
#ifndef CLIENT_CLIENT_INT_H
#define CLIENT_CLIENT_INT_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "client/cell.h"
#include "hoist.h"
#include "store/store.h"

struct source;
struct table;
struct decoded;
struct slab;

enum { CACHE_LINE = 64, VIEWS_MAX = 64, KEY_NEAR = 22 };

/* What a fast read looks at, in one cache line: the cell, and for a read by key the key too, unless
 * it is long. */
struct hoist_flag {
    alignas(CACHE_LINE) struct cell cell;
    struct flag_rest *rest;
    uint16_t key_len;
    char key_near[KEY_NEAR]; /* the key, if it has as much room */
};

_Static_assert(sizeof(struct hoist_flag) == CACHE_LINE, "a flag has one line to itself");

struct flag_rest {
    _Atomic(struct decoded *) decoded; /* NULL: not cached */
    hoist *hoist;
    uint64_t hash;
    char key[]; /* ended with a NUL */
};

static inline struct slice flag_key(const hoist_flag *f)
{
    return slice_of(f->rest->key, f->key_len);
}

struct hoist {
    struct source *source;
    struct hoist *next;               /* of the same source */
    char env[STORE_ENV_NAME_MAX + 1]; /* "": the one that is named first */
    bool cached;                      /* not opened with HOIST_NO_CACHE */

    struct cell env_cell; /* the environment's id, and whether flags are held back */

    _Atomic(struct table *) table; /* NULL: no flags yet */
    pthread_mutex_t table_lock;    /* for inserting */
    struct slab *lines, *rests;    /* of the flags; apart, so that what is read often is close */
    uint32_t missing; /* flags in the table only because somebody asked for a key without one */

    _Atomic(hoist_view *) views[VIEWS_MAX];
    hoist_view *dead_views; /* in a child: the parent's, until hoist_close(). Under open_lock */
    _Atomic int watch_fd;   /* -1: none yet */
};

/* NULL means the first one. */
static inline const char *hoist_env_name(const hoist *h)
{
    return h->env[0] ? h->env : NULL;
}

#endif
