#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static _Atomic int level_max = LOG_WARN;
static _Atomic int format_now = LOG_LOGFMT;
static const char *const words[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&format_now, (int)format);
}

enum hoist_err log_level_parse(const char *word, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum log_level)i;
            return HOIST_OK;
        }
    return err_set(HOIST_EINVAL, "log level '%s' is none of error, warn, info, debug", word);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* `text` as it stands within double quotes, escaped so that a line stays a line, and JSON stays
 * JSON (what is not UTF-8, as a sentence that was cut may be, shows U+FFFD), in logfmt and JSON
 * alike. */
static size_t quote(char *out, size_t room, const char *text)
{
    size_t n = 0;
    bool utf8 = text_utf8(slice_str(text));
    for (; *text && n + 8 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(out + n, room - n, "\\u%04x", c);
        } else if (c >= 0x80 && !utf8) {
            n += (size_t)snprintf(out + n, room - n, "\\ufffd");
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return n;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_wants(level))
        return;
    char text[1500], quoted[2000], stamp[TEXT_TIME_SIZE], line[2200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    quote(quoted, sizeof quoted, text);
    text_time(stamp, clock_wall_ms());
    const char *shape = atomic_load(&format_now) == LOG_JSON
                            ? "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"}\n"
                            : "time=%s level=%s msg=\"%s\"\n";
    int len = snprintf(line, sizeof line, shape, stamp, words[level], quoted);
    /* One write is one whole line, whoever else is writing. A log that nobody takes is no failure.
     */
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}
