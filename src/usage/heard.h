/* heard.h - the last sequence of each sender of counts, so that what is repeated counts once.
 *
 * Forgotten after an hour: by then a sender has had its answer, or is gone. Bounded: where there are
 * more senders, the one that has been silent for longest gives way. Threads: one at a time.
 */
#ifndef USAGE_HEARD_H
#define USAGE_HEARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEARD_MAX = 65536, HEARD_KEEP_MS = 3600000 };

struct heard_sender {
    uint64_t incarnation, sequence;
    int64_t heard_ms;
};

struct heard {                    /* all zero is an empty one */
    struct heard_sender *senders; /* by incarnation */
    uint32_t count;
    size_t cap;
    int64_t swept_ms;
};

/* Whether this frame was not heard before; from now on it was. Without memory: true. */
bool heard_is_new(struct heard *h, uint64_t incarnation, uint64_t sequence, int64_t now_ms);
void heard_done(struct heard *h);

#endif
