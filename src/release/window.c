#include "release/plan.h"

enum { MINUTE_MS = 60000, DAY_MINUTES = 1440, WEEK_DAYS = 7, THURSDAY = 3 };

/* Minutes since the beginning of 1970, a Thursday. */
static int64_t minutes(int64_t wall_ms)
{
    return wall_ms / MINUTE_MS - (wall_ms % MINUTE_MS < 0);
}

static int64_t day_of(int64_t minute)
{
    return minute / DAY_MINUTES - (minute % DAY_MINUTES < 0);
}

static bool has_day(const struct release_window *w, int64_t day)
{
    int64_t weekday = ((day + THURSDAY) % WEEK_DAYS + WEEK_DAYS) % WEEK_DAYS;
    return w->days >> weekday & 1;
}

bool release_window_open(const struct release_window *w, int64_t wall_ms)
{
    return release_window_next(w, wall_ms) == wall_ms;
}

int64_t release_window_next(const struct release_window *w, int64_t wall_ms)
{
    if (w->from == w->to)
        return wall_ms;
    int64_t now = minutes(wall_ms), day = day_of(now), minute = now - day * DAY_MINUTES;
    if (has_day(w, day) && minute >= w->from && minute < w->to)
        return wall_ms;
    if (minute >= w->from)
        day++;
    for (int i = 0; i < WEEK_DAYS; i++, day++)
        if (has_day(w, day))
            return (day * DAY_MINUTES + w->from) * MINUTE_MS;
    return INT64_MAX;
}
