/* standing.h - how a publisher stands: what it says of itself in hello and in heartbeats. */
#ifndef REPL_STANDING_H
#define REPL_STANDING_H

#include "base/arena.h"
#include "wire/frame.h"

struct standing {
    uint32_t distance; /* how many publishers stand between it and the primary; 0: it is the primary
                        */
    struct env_head *heads; /* its own */
    uint32_t head_count;
    struct slice origin, signature; /* the primary's newest that a relay has heard, as they came;
                                       empty: it has heard none yet */
    struct slice *certificates;     /* of the primary's keys, the newest CERTIFICATES_GIVEN */
    uint32_t certificate_count;
};

/* A relay's, fresh; all of it in `arena`. Any thread. */
typedef enum hoist_err standing_fn(void *arg, struct arena *arena, struct standing *ret);

#endif
