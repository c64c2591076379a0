#include "ids.h"

#include <stdlib.h>

bool ids_add(struct ids *set, uint64_t id)
{
    if (set->count == set->room) {
        size_t room = set->room ? 2 * set->room : 1024;
        uint64_t *at = reallocarray(set->at, room, sizeof *at);
        if (!at)
            return false;
        set->at = at;
        set->room = room;
    }
    set->at[set->count++] = id;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void ids_sort(struct ids *set)
{
    size_t kept = 0;
    if (set->count == 0)
        return;
    qsort(set->at, set->count, sizeof *set->at, compare);
    for (size_t i = 0; i < set->count; i++)
        if (kept == 0 || set->at[i] != set->at[kept - 1])
            set->at[kept++] = set->at[i];
    set->count = kept;
}

bool ids_has(const struct ids *set, uint64_t id)
{
    return set->count > 0 && bsearch(&id, set->at, set->count, sizeof *set->at, compare);
}

void ids_free(struct ids *set)
{
    free(set->at);
    *set = (struct ids){0};
}
