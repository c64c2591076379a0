/* words.h - a source's own look at the counters of the store it reads.
 *
 * Bound flags look at a word without any lock, so nobody can know when the last look at it was.
 * Words therefore stay readable after the store was closed, until words_done(); and words_void()
 * turns all of them to "changed just now", at once, wherever pointers to them are kept.
 */
#ifndef CLIENT_WORDS_H
#define CLIENT_WORDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct words { /* all zero: none, nothing may be cached */
    const _Atomic uint64_t *shards;
    const _Atomic uint64_t *envs;
    void *map;
    void *blank; /* as much memory with every bit set, to be moved in its place */
    size_t size;
};

/* The words of `s`; none if it has none or they cannot be had. */
void words_init(struct words *w, const struct store *s);
/* False when the kernel would not; then they are as they were. */
MUST_USE bool words_void(struct words *w);
void words_done(struct words *w);

/* Whether `word` is that of one of the shards. */
static inline bool words_has(const struct words *w, const _Atomic uint64_t *word)
{
    return w->shards && word >= w->shards && word < w->shards + STORE_SHARDS;
}

#endif
