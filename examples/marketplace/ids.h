/* ids.h - a set of listings' ids: what a run of the worker has seen. */
#ifndef MARKETPLACE_IDS_H
#define MARKETPLACE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ids { /* {0}: none */
    uint64_t *at;
    size_t count, room;
};

bool ids_add(struct ids *set, uint64_t id); /* false: memory is out */
void ids_sort(struct ids *set);             /* and each once; before ids_has() */
bool ids_has(const struct ids *set, uint64_t id);
void ids_free(struct ids *set);

#endif
