#include <math.h>

#include "base/text.h"
#include "flag/flag_int.h"

/* Beyond 2^53 - 1 an integer and its neighbour are the same double: it would not be what it says.
 * Compared as digits, so that no rounding comes before. */
static bool is_rounded(struct slice s)
{
    struct slice max = SLICE("9007199254740991");
    size_t sign = s.ptr[0] == '-';
    struct slice magnitude = {s.ptr + sign, s.len - sign};
    if (magnitude.len != max.len)
        return magnitude.len > max.len;
    return slice_cmp(magnitude, max) > 0;
}

enum number_fault number_parse(struct slice text, double *ret)
{
    bool whole;
    if (!text_is_number(text, &whole))
        return NUMBER_NONE;
    if (whole && is_rounded(text))
        return NUMBER_ROUNDED;

    double v = text_double(text);
    if (!isfinite(v))
        return NUMBER_TOO_LARGE;
    *ret = v;
    return NUMBER_FINE;
}

const char *number_fault_text(enum number_fault fault)
{
    switch (fault) {
    case NUMBER_FINE:
        break;
    case NUMBER_NONE:
        return "is not a number";
    case NUMBER_ROUNDED:
        return "would be rounded: integers go to 9007199254740991 either way";
    case NUMBER_TOO_LARGE:
        return "is more than a number can hold";
    }
    return "";
}

const char *number_fault_mend(enum number_fault fault)
{
    switch (fault) {
    case NUMBER_FINE:
        break;
    case NUMBER_NONE:
        return "write it like 10, -2.5 or 1e6";
    case NUMBER_ROUNDED:
        return "write it as a string, in quotes";
    case NUMBER_TOO_LARGE:
        return "write a number below 1.8e308, or a string";
    }
    return "";
}
