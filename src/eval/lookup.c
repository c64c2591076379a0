/* Looking things up in the data: var, missing, missing_some. */
#include "eval/rule_int.h"

bool look_up(struct machine *m, struct value data, const struct path *path, struct value *ret)
{
    for (uint32_t i = 0; i < path->count; i++)
        if (!value_member(m, data, path->names[i], &data))
            return false;
    *ret = data;
    return true;
}

bool look_up_text(struct machine *m, struct value data, struct slice dotted, struct value *ret)
{
    for (bool more = true; more;) {
        const uint8_t *dot = dotted.len ? memchr(dotted.ptr, '.', dotted.len) : NULL;
        size_t len = dot ? (size_t)(dot - dotted.ptr) : dotted.len;
        if (!machine_work(m, 1) || !value_member(m, data, slice_of(dotted.ptr, len), &data))
            return false;
        more = dot != NULL;
        if (more)
            dotted = slice_of(dotted.ptr + len + 1, dotted.len - len - 1);
    }
    *ret = data;
    return true;
}

/* The value that `var` finds under `name`: all of the data under null and "". */
static bool look_up_name(struct machine *m, struct value data, struct value name, struct value *ret)
{
    if (!value_is_nothing(name) && (name.kind != VALUE_STRING || name.len))
        return look_up_text(m, data, value_to_text(m, name), ret);
    *ret = data;
    return true;
}

struct value op_var(struct machine *m, struct value data, const struct value *args, uint32_t count)
{
    struct value v;
    if (look_up_name(m, data, arg(args, count, 0), &v))
        return v;
    return default_or_null(arg(args, count, 1));
}

/* Those of `names` that the data does not have, or has as null or "". */
static struct value missing(struct machine *m, struct value data, struct value names)
{
    struct value name, v, *out = machine_room(m, names.len * sizeof *out);
    uint32_t count = 0;
    struct items list = items_of(names);
    while (out && machine_work(m, 1) && items_next(&list, &name)) {
        uint32_t mark = m->used;
        bool found = look_up_name(m, data, name, &v);
        m->used = mark;
        if (!found || value_is_nothing(v) || (v.kind == VALUE_STRING && v.len == 0))
            out[count++] = name;
    }
    return (struct value){.kind = VALUE_LIST, .len = count, .items = out};
}

struct value op_missing(struct machine *m, struct value data, const struct value *args,
                        uint32_t count)
{
    if (count && value_is_array(args[0]))
        return missing(m, data, args[0]);
    return missing(m, data, (struct value){.kind = VALUE_LIST, .len = count, .items = args});
}

struct value op_missing_some(struct machine *m, struct value data, const struct value *args,
                             uint32_t count)
{
    struct value names = arg(args, count, 1);
    if (!value_is_array(names))
        return value_null();
    struct value which = missing(m, data, names);
    if (names.len - which.len >= value_to_number(m, args[0]))
        which.len = 0;
    return which;
}
