/* Arrays: walking over them, joining them, looking into them. */
#include "eval/rule_int.h"

/* The first argument, if it is an array (else no items, and false), and the rule to run for each of
 * them (NULL: there is none, which yields nothing). */
static bool walk_begin(struct machine *m, const struct step *s, struct value data,
                       struct items *ret, const struct step **ret_each)
{
    struct value list = s->count ? run(m, s + 1, data) : value_null();
    *ret_each = s->count > 1 ? next_step(s + 1) : NULL;
    *ret = items_of(value_is_array(list) ? list : (struct value){.kind = VALUE_LIST});
    return value_is_array(list);
}

static struct value run_each(struct machine *m, const struct step *each, struct value item)
{
    return each ? run(m, each, item) : value_of_kind(VALUE_UNDEFINED);
}

/* What was made in the scratch since `mark` is forgotten, unless `v` is part of it. */
static void forget(struct machine *m, uint32_t mark, struct value v)
{
    if (v.kind <= VALUE_NUMBER)
        m->used = mark;
}

struct value op_map(struct machine *m, const struct step *s, struct value data)
{
    struct items list;
    const struct step *each;
    struct value item;
    uint32_t count = 0;
    walk_begin(m, s, data, &list, &each);
    struct value *out = machine_room(m, list.of.len * sizeof *out);
    while (out && machine_work(m, 1) && items_next(&list, &item)) {
        uint32_t mark = m->used;
        out[count] = run_each(m, each, item);
        forget(m, mark, out[count++]);
    }
    return (struct value){.kind = VALUE_LIST, .len = count, .items = out};
}

struct value op_filter(struct machine *m, const struct step *s, struct value data)
{
    struct items list;
    const struct step *each;
    struct value item;
    uint32_t count = 0;
    walk_begin(m, s, data, &list, &each);
    struct value *out = machine_room(m, list.of.len * sizeof *out);
    while (out && machine_work(m, 1) && items_next(&list, &item)) {
        uint32_t mark = m->used;
        if (value_truth(run_each(m, each, item)))
            out[count++] = item;
        m->used = mark;
    }
    return (struct value){.kind = VALUE_LIST, .len = count, .items = out};
}

struct value op_reduce(struct machine *m, const struct step *s, struct value data)
{
    struct items list;
    const struct step *each;
    struct value item, v = value_null();
    bool is_list = walk_begin(m, s, data, &list, &each);
    if (s->count > 2)
        v = run(m, next_step(each), data);
    while (is_list && machine_work(m, 1) && items_next(&list, &item)) {
        uint32_t mark = m->used;
        struct value *fold = machine_room(m, 2 * sizeof *fold);
        if (!fold)
            break;
        fold[0] = item;
        fold[1] = v;
        v = run_each(m, each, (struct value){.kind = VALUE_FOLD, .items = fold});
        forget(m, mark, v);
    }
    return v;
}

/* How many items there are, and of how many the rule is `truth`; ends at the first if `first`. */
static uint32_t count_items(struct machine *m, const struct step *s, struct value data, bool truth,
                            uint32_t *ret_found)
{
    struct items list;
    const struct step *each;
    struct value item;
    uint32_t count = 0;
    *ret_found = 0;
    if (!walk_begin(m, s, data, &list, &each))
        return 0;
    while (*ret_found == 0 && machine_work(m, 1) && items_next(&list, &item)) {
        uint32_t mark = m->used;
        *ret_found = value_truth(run_each(m, each, item)) == truth;
        m->used = mark;
        count++;
    }
    return count;
}

struct value op_all(struct machine *m, const struct step *s, struct value data)
{
    uint32_t fails, count = count_items(m, s, data, false, &fails);
    return value_bool(count > 0 && fails == 0);
}

struct value op_some(struct machine *m, const struct step *s, struct value data)
{
    uint32_t found;
    count_items(m, s, data, true, &found);
    return value_bool(found);
}

struct value op_none(struct machine *m, const struct step *s, struct value data)
{
    uint32_t found;
    count_items(m, s, data, true, &found);
    return value_bool(!found);
}

struct value op_merge(struct machine *m, struct value data, const struct value *args,
                      uint32_t count)
{
    size_t total = 0;
    (void)data;
    for (uint32_t i = 0; i < count; i++)
        total += value_is_array(args[i]) ? args[i].len : 1;
    struct value *out = machine_room(m, total * sizeof *out);
    uint32_t at = 0;
    for (uint32_t i = 0; out && i < count; i++) {
        if (!value_is_array(args[i])) {
            out[at++] = args[i];
            continue;
        }
        struct items list = items_of(args[i]);
        while (machine_work(m, 1) && items_next(&list, &out[at]))
            at++;
    }
    return (struct value){.kind = VALUE_LIST, .len = at, .items = out};
}

struct value op_in(struct machine *m, struct value data, const struct value *args, uint32_t count)
{
    struct value a = arg(args, count, 0), b = arg(args, count, 1), item;
    (void)data;
    if (b.kind == VALUE_STRING && b.len) {
        struct slice what = value_to_text(m, a);
        return value_bool(machine_work(m, 1 + b.len / 64) &&
                          memmem(b.text, b.len, what.ptr, what.len));
    }
    if (value_is_array(b))
        for (struct items list = items_of(b); machine_work(m, 1) && items_next(&list, &item);)
            if (value_same(m, item, a))
                return value_bool(true);
    return value_bool(false);
}
