#include "client/words.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FAR_APART = 1 << 20 };

/* Map the pages at `at` a second time: mremap() from an old size of 0 does that with a shared
 * mapping. The store unmaps its own when it is closed. */
static void *map_again(uintptr_t at, size_t size)
{
    void *map = mremap((void *)at, 0, size, MREMAP_MAYMOVE);
    return map == MAP_FAILED ? NULL : map;
}

static void *map_blank(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    memset(map, 0xff, size);
    return map;
}

void words_init(struct words *w, const struct store *s)
{
    *w = (struct words){0};
    uintptr_t shards = (uintptr_t)store_words(s), envs = (uintptr_t)store_envs_word(s);
    if (!shards || !envs)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = shards < envs ? shards : envs;
    uintptr_t end = shards + STORE_SHARDS * sizeof(uint64_t);
    if (end < envs + sizeof(uint64_t))
        end = envs + sizeof(uint64_t);
    begin &= ~(page - 1);
    end = (end + page - 1) & ~(page - 1);
    if (end - begin > FAR_APART)
        return;

    /* The blank pages are made now, so that words_void() needs nothing that may be lacking. */
    struct words made = {.size = end - begin};
    made.blank = map_blank(made.size);
    made.map = made.blank ? map_again(begin, made.size) : NULL;
    if (!made.map) {
        words_done(&made);
        return;
    }
    made.shards = (const _Atomic uint64_t *)((uintptr_t)made.map + (shards - begin));
    made.envs = (const _Atomic uint64_t *)((uintptr_t)made.map + (envs - begin));
    *w = made;
}

bool words_void(struct words *w)
{
    if (!w->blank)
        return true; /* done before, or there are none */
    /* One step for whoever reads meanwhile: the kernel takes the old pages away and puts the new
     * ones there under one lock, for which a page fault in between waits. */
    if (mremap(w->blank, w->size, w->size, MREMAP_MAYMOVE | MREMAP_FIXED, w->map) != w->map)
        return false;
    w->blank = NULL;
    return true;
}

void words_done(struct words *w)
{
    if (w->map)
        munmap(w->map, w->size);
    if (w->blank)
        munmap(w->blank, w->size);
    *w = (struct words){0};
}
