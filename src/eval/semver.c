/* sem_ver: whether a version stands to another as an operator says. */
#include "eval/rule_int.h"
#include "flag/version.h"

/* 1 yes, 0 no, -1: there is no such operator. */
static int holds(struct slice op, const struct version *a, const struct version *b)
{
    int by = version_compare(a, b);
    bool major = a->number[0] == b->number[0];
    const struct {
        struct slice op;
        bool holds;
    } all[] = {
        {SLICE("="), by == 0}, {SLICE("!="), by != 0},
        {SLICE("<"), by < 0},  {SLICE("<="), by <= 0},
        {SLICE(">"), by > 0},  {SLICE(">="), by >= 0},
        {SLICE("^"), major},   {SLICE("~"), major && a->number[1] == b->number[1]},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (slice_eq(all[i].op, op))
            return all[i].holds;
    return -1;
}

struct value op_sem_ver(struct machine *m, struct value data, const struct value *args,
                        uint32_t count)
{
    struct version a, b;
    (void)data;
    if (count != 3 || !version_read(value_to_text(m, args[0]), &a) ||
        !version_read(value_to_text(m, args[2]), &b))
        return value_null();
    int yes = holds(value_to_text(m, args[1]), &a, &b);
    return yes < 0 ? value_null() : value_bool(yes);
}
