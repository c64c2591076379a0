/* clock.h - what time it is: for people (wall), and for measuring (mono). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, UTC. May jump either way: for people and records, never for order. */
int64_t clock_wall_ms(void);

/* Since some moment in this boot; never goes back. Counts through a suspend. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

#endif
