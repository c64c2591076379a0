/* turns.h - jobs that wait for one thread. In each turn an asker has one, so whoever asks much waits
 * longer, and the others do not. Few wait at a time (quota.h), so a list will do. One thread.
 */
#ifndef PRIMARY_TURNS_H
#define PRIMARY_TURNS_H

#include <stdint.h>

struct job;

struct turns { /* zero: nobody waits */
    struct job *first;
    uint64_t turn; /* the one that has begun */
};

/* `j` waits; it is linked by its item. */
void turns_add(struct turns *t, struct job *j);
/* Whose turn it is; NULL: nobody waits. */
struct job *turns_next(struct turns *t);

#endif
