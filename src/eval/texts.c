/* Texts: joining and cutting them, and what they begin and end with. */
#include "eval/rule_int.h"

/* Array.prototype.join(""): nothing for null. */
struct value op_cat(struct machine *m, struct value data, const struct value *args, uint32_t count)
{
    size_t total = 0, used = 0;
    (void)data;
    struct slice *parts = machine_room(m, count * sizeof *parts);
    for (uint32_t i = 0; parts && i < count; i++) {
        parts[i] = value_is_nothing(args[i]) ? SLICE("") : value_to_text(m, args[i]);
        total += parts[i].len;
    }
    uint8_t *out = parts ? machine_room(m, total) : NULL;
    if (!out || !machine_work(m, (uint32_t)(total / 64)))
        return value_null();
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(out + used, parts[i].ptr, parts[i].len);
        used += parts[i].len;
    }
    return value_text(slice_of(out, total));
}

/* B.2.2.1 String.prototype.substr: from a start, which may count from the end, so many units. */
static struct slice substr(struct slice s, int64_t start, bool to_end, int64_t length)
{
    int64_t units = text_units(s);
    if (start < 0)
        start = units + start > 0 ? units + start : 0;
    int64_t end = to_end ? units : start + length;
    end = end < units ? end : units;
    if (start >= end)
        return SLICE("");
    return text_cut(s, (uint32_t)start, (uint32_t)end);
}

/* A negative length means: leave out so many at the end. */
struct value op_substr(struct machine *m, struct value data, const struct value *args,
                       uint32_t count)
{
    struct slice s = value_to_text(m, arg(args, count, 0));
    struct value length = arg(args, count, 2);
    int64_t start = value_to_integer(m, arg(args, count, 1));
    double wanted = value_to_number(m, length);
    (void)data;
    if (!machine_work(m, 1 + (uint32_t)(s.len / 64)))
        return value_null();
    if (!(wanted < 0))
        return value_text(substr(s, start, length.kind == VALUE_UNDEFINED,
                                 value_to_integer(m, value_number(wanted))));
    if (length.kind != VALUE_NUMBER) /* JavaScript appends it to the length, which is no number */
        return value_text(SLICE(""));
    s = substr(s, start, true, 0);
    wanted += text_units(s);
    return value_text(substr(s, 0, false, value_to_integer(m, value_number(wanted))));
}

/* ------------------------------------------------------------------ flagd's own */

static bool are_two_texts(struct machine *m, const struct value *args, uint32_t count)
{
    return count == 2 && args[0].kind == VALUE_STRING && args[1].kind == VALUE_STRING &&
           machine_work(m, args[1].len / 64);
}

struct value op_starts_with(struct machine *m, struct value data, const struct value *args,
                            uint32_t count)
{
    (void)data;
    if (!are_two_texts(m, args, count))
        return value_null();
    return value_bool(slice_starts_with(value_slice(args[0]), value_slice(args[1])));
}

struct value op_ends_with(struct machine *m, struct value data, const struct value *args,
                          uint32_t count)
{
    (void)data;
    if (!are_two_texts(m, args, count))
        return value_null();
    struct slice s = value_slice(args[0]), end = value_slice(args[1]);
    return value_bool(s.len >= end.len &&
                      slice_eq(slice_of(s.ptr + s.len - end.len, end.len), end));
}
