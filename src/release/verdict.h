/* verdict.h - what a guard's round came to.
 *
 * A guard asks Prometheus one question. One finite sample is judged by the guard's bounds; all else is
 * no answer. Only PASS lets a release go on.
 */
#ifndef RELEASE_VERDICT_H
#define RELEASE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

enum release_verdict {
    RELEASE_PASS = 1,
    RELEASE_FAIL,
    RELEASE_NODATA, /* no sample, several, NaN or infinite */
    RELEASE_ERROR,  /* not answered, or not understood */
};

enum release_op { RELEASE_ANY, RELEASE_LT, RELEASE_LE, RELEASE_GT, RELEASE_GE };

struct release_bound { /* "<= 1.25"; RELEASE_ANY: there is none */
    enum release_op op;
    double value; /* finite */
};

/* Whether `value` keeps the bound. RELEASE_ANY is kept by none. */
bool release_within(struct release_bound bound, double value);

/* PASS, FAIL, or NODATA for what is not finite. */
enum release_verdict release_judge(struct release_bound pass, double value);

/* "PASS", "FAIL", "NODATA", "ERROR". */
const char *release_verdict_name(enum release_verdict verdict);

#endif
