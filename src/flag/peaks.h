/* peaks.h - how near to their limits the flags come that pass through this process. */
#ifndef FLAG_PEAKS_H
#define FLAG_PEAKS_H

#include <stdint.h>

#include "flag/flag.h"

struct flag_peaks { /* the largest since the process began */
    uint32_t key_bytes, variants, nodes, depth;
};

/* A flag that was taken. Any thread. */
void flag_peaks_note(const struct flag *f);
void flag_peaks_get(struct flag_peaks *ret);

#endif
