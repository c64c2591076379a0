/* log.h - lines on stderr: a level, a room, a sentence, what happens next.
 *
 *     log_warn("repl: upstream %s is silent, trying the next", url);
 *
 * One line a call, whole even from many threads. $HOIST_LOG (error, warn, info, debug) sets the
 * level. Rooms that act, and mains, log; rooms that answer return an error, with log_debug at most.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* Where the level is at first: LOG_INFO in hoistd; libraries begin at LOG_WARN. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
MUST_USE enum hoist_err log_level_parse(const char *word, enum log_level *ret);

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool log_wants(enum log_level level);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_wants(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)

#endif
