#include "release/verdict.h"

#include <math.h>

bool release_within(struct release_bound bound, double value)
{
    switch (bound.op) {
    case RELEASE_ANY:
        return false;
    case RELEASE_LT:
        return value < bound.value;
    case RELEASE_LE:
        return value <= bound.value;
    case RELEASE_GT:
        return value > bound.value;
    case RELEASE_GE:
        return value >= bound.value;
    }
    return false;
}

enum release_verdict release_judge(struct release_bound pass, double value)
{
    if (!isfinite(value))
        return RELEASE_NODATA;
    return release_within(pass, value) ? RELEASE_PASS : RELEASE_FAIL;
}

const char *release_verdict_name(enum release_verdict verdict)
{
    static const char *const names[] = {"", "PASS", "FAIL", "NODATA", "ERROR"};
    return names[verdict];
}
