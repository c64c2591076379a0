/* When something may happen: windows of the week, and times. */
#include <ctype.h>
#include <stdio.h>

#include "base/text.h"
#include "release/plan_int.h"

enum { MINUTES_OF_DAY = 24 * 60 };

static struct slice slice_from(struct slice s, size_t from)
{
    return slice_of(s.ptr + from, s.len - from);
}

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
enum { DAYS = 7, DAY_LEN = 3 };

static int day_parse(struct slice s)
{
    for (int i = 0; i < DAYS; i++)
        if (s.len >= DAY_LEN && memcmp(s.ptr, days[i], DAY_LEN) == 0)
            return i;
    return -1;
}

/* "mon", "mon-thu", "fri-mon": gives how long it is, and its days; 0: it is none. */
static size_t days_parse(struct slice s, uint8_t *ret)
{
    int from = day_parse(s), to = from;
    size_t len = DAY_LEN;
    if (from < 0)
        return 0;
    if (len < s.len && s.ptr[len] == '-') {
        to = day_parse(slice_from(s, len + 1));
        len += 1 + DAY_LEN;
    }
    if (to < 0)
        return 0;
    for (int day = from;; day = (day + 1) % DAYS) {
        *ret |= (uint8_t)(1 << day);
        if (day == to)
            return len;
    }
}

/* "09:00", up to 24:00: minutes, or -1. */
static int time_parse(struct slice s)
{
    if (s.len < 5 || s.ptr[2] != ':' || !isdigit(s.ptr[0]) || !isdigit(s.ptr[1]) ||
        !isdigit(s.ptr[3]) || !isdigit(s.ptr[4]))
        return -1;
    int hours = (s.ptr[0] - '0') * 10 + s.ptr[1] - '0',
        minutes = (s.ptr[3] - '0') * 10 + s.ptr[4] - '0';
    int time = hours * 60 + minutes;
    return minutes < 60 && time <= MINUTES_OF_DAY ? time : -1;
}

/* What is wrong with it, or NULL. */
static const char *window_parse(struct slice s, struct release_window *ret)
{
    enum { TIMES_LEN = 11 }; /* 09:00-16:00 */
    struct release_window w = {0};
    size_t len;
    for (;;) {
        if ((len = days_parse(s, &w.days)) == 0)
            return "is no window";
        s = slice_from(s, len);
        if (s.len == 0 || s.ptr[0] != ',')
            break;
        s = slice_from(s, 1);
    }
    if (s.len < 1 + TIMES_LEN || s.ptr[0] != ' ' || s.ptr[6] != '-')
        return "is no window";
    int from = time_parse(slice_from(s, 1)), to = time_parse(slice_from(s, 7));
    s = slice_from(s, 1 + TIMES_LEN);
    if (from < 0 || to < 0)
        return "is no window";
    if (!slice_eq(s, SLICE(" UTC")))
        return "does not end with UTC, and other clocks are not known";
    if (from >= to)
        return "never opens: it ends before it begins";
    w.from = (uint16_t)from;
    w.to = (uint16_t)to;
    *ret = w;
    return NULL;
}

void plan_window(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write days, a time of day and UTC: mon-thu 09:00-16:00 UTC";
    if (!plan_word(r, v, mend))
        return;
    const char *wrong = window_parse(v->text, out);
    if (wrong)
        plan_complain(r, v, mend, "\"%s\" %s", show(v->text).text, wrong);
}

/* Days in a row are written as a range. */
struct release_span release_window_text(struct release_window w)
{
    struct release_span out = {"at any time"};
    size_t len = 0;
    if (w.from == w.to)
        return out;
    for (int day = 0; day < DAYS; day++) {
        int last = day;
        if (!(w.days & 1 << day))
            continue;
        while (last + 1 < DAYS && w.days & 1 << (last + 1))
            last++;
        len += (size_t)snprintf(out.text + len, sizeof out.text - len, "%s%s%s%s", len ? "," : "",
                                days[day], last > day ? "-" : "", last > day ? days[last] : "");
        day = last;
    }
    snprintf(out.text + len, sizeof out.text - len, " %02d:%02d-%02d:%02d UTC", w.from / 60,
             w.from % 60, w.to / 60, w.to % 60);
    return out;
}

/* ------------------------------------------------------------------ times */

void plan_moment(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write a time in UTC, as in 2026-12-07T09:00:00Z";
    char text[TEXT_TIME_SIZE + 1] = "";
    int64_t ms;
    if (!plan_word(r, v, mend))
        return;
    snprintf(text, sizeof text, "%.*s", v->text.len > TEXT_TIME_SIZE ? 0 : (int)v->text.len,
             (const char *)v->text.ptr);
    if (text_time_read(text, &ms) == HOIST_OK)
        *(int64_t *)out = ms;
    else
        plan_complain(r, v, mend, "\"%s\" is no time", show(v->text).text);
}
