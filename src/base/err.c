#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last[1024];

enum hoist_err err_set(enum hoist_err err, const char *fmt, ...)
{
    char text[sizeof last] = ""; /* an argument may be the sentence that is there */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    memcpy(last, text, sizeof last);
    return err;
}

enum hoist_err err_prefix(enum hoist_err err, const char *fmt, ...)
{
    char whole[2 * sizeof last + 2]; /* both sentences; only what `last` holds of them is kept */
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(whole, sizeof last, fmt, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof last)
        snprintf(whole + len, sizeof whole - (size_t)len, ": %s", last);
    memcpy(last, whole, sizeof last - 1);
    return err;
}

const char *err_last(void)
{
    return last;
}

void err_clear(void)
{
    last[0] = '\0';
}

const char *err_word(enum hoist_err err)
{
    switch (err) {
    case HOIST_OK:
        return "ok";
    case HOIST_ENOMEM:
        return "out of memory";
    case HOIST_EINVAL:
        return "invalid";
    case HOIST_ENOTFOUND:
        return "not found";
    case HOIST_EAGAIN:
        return "not now";
    case HOIST_ECORRUPT:
        return "corrupt";
    case HOIST_EVERSION:
        return "unknown version";
    case HOIST_ELIMIT:
        return "over a limit";
    case HOIST_ECONFLICT:
        return "conflict";
    case HOIST_EBUSY:
        return "busy";
    case HOIST_EACCES:
        return "not allowed";
    case HOIST_ENOSPC:
        return "no room";
    case HOIST_EIO:
        return "input/output error";
    case HOIST_ETIMEOUT:
        return "no answer";
    case HOIST_EUNKNOWN:
        return "outcome unknown";
    }
    return "unknown error";
}
