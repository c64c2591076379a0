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

enum { CACHE_LINE = 64, VIEWS_MAX = 64 };

struct hoist_flag {
    alignas(CACHE_LINE) struct cell cell; /* the only thing that a fast read looks at */
    _Atomic(struct decoded *) decoded;    /* NULL: not cached */
    hoist *hoist;
    uint64_t hash;
    uint32_t key_len;
    char key[]; /* ended with a NUL */
};

struct hoist {
    struct source *source;
    struct hoist *next;               /* of the same source */
    char env[STORE_ENV_NAME_MAX + 1]; /* "": the one that is named first */
    bool cached;                      /* not opened with HOIST_NO_CACHE */

    struct cell env_cell; /* the environment's id, and whether flags are held back */

    _Atomic(struct table *) table; /* NULL: no flags yet */
    pthread_mutex_t table_lock;    /* for inserting */
    struct slab *slabs;
    uint32_t missing; /* flags in the table only because somebody asked for a key without one */

    _Atomic(hoist_view *) views[VIEWS_MAX];
    _Atomic int watch_fd; /* -1: none yet */
};

/* NULL means the first one. */
static inline const char *hoist_env_name(const hoist *h)
{
    return h->env[0] ? h->env : NULL;
}

#endif
