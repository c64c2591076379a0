/* Names of codes, for programs to show. */
#include "base/err.h"

const char *hoist_strerror(enum hoist_err err)
{
    return err_word(err);
}

const char *hoist_last_error(void)
{
    return err_last();
}

const char *hoist_reason_name(enum hoist_reason reason)
{
    switch (reason) {
    case HOIST_STATIC:
        return "STATIC";
    case HOIST_DEFAULT:
        return "DEFAULT";
    case HOIST_TARGETING_MATCH:
        return "TARGETING_MATCH";
    case HOIST_DISABLED:
        return "DISABLED";
    case HOIST_ERROR:
        return "ERROR";
    }
    return "";
}

const char *hoist_code_name(enum hoist_code code)
{
    switch (code) {
    case HOIST_CODE_NONE:
        return "";
    case HOIST_CODE_NOT_READY:
        return "PROVIDER_NOT_READY";
    case HOIST_CODE_NOT_FOUND:
        return "FLAG_NOT_FOUND";
    case HOIST_CODE_TYPE_MISMATCH:
        return "TYPE_MISMATCH";
    case HOIST_CODE_PARSE_ERROR:
        return "PARSE_ERROR";
    case HOIST_CODE_GENERAL:
        return "GENERAL";
    }
    return "";
}
