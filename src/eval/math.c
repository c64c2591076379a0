/* Comparing and calculating. */
#include <math.h>

#include "eval/rule_int.h"

#define OPERATOR(name)                                                                             \
    struct value name(struct machine *m, struct value data, const struct value *args,              \
                      uint32_t count)

OPERATOR(op_equal)
{
    (void)data;
    return value_bool(value_equal(m, arg(args, count, 0), arg(args, count, 1)));
}

OPERATOR(op_unequal)
{
    (void)data;
    return value_bool(!value_equal(m, arg(args, count, 0), arg(args, count, 1)));
}

OPERATOR(op_same)
{
    (void)data;
    return value_bool(value_same(m, arg(args, count, 0), arg(args, count, 1)));
}

OPERATOR(op_different)
{
    (void)data;
    return value_bool(!value_same(m, arg(args, count, 0), arg(args, count, 1)));
}

OPERATOR(op_not)
{
    (void)m, (void)data;
    return value_bool(!value_truth(arg(args, count, 0)));
}

OPERATOR(op_truth)
{
    (void)m, (void)data;
    return value_bool(value_truth(arg(args, count, 0)));
}

/* ------------------------------------------------------------------ order */

static bool less(struct machine *m, struct value a, struct value b, bool or_equal)
{
    int order = value_order(m, a, b);
    return order == -1 || (or_equal && order == 0);
}

/* Of three: whether the second lies between the others. */
static struct value between(struct machine *m, const struct value *args, uint32_t count,
                            bool or_equal)
{
    struct value c = arg(args, count, 2);
    bool ok = less(m, arg(args, count, 0), arg(args, count, 1), or_equal);
    if (c.kind != VALUE_UNDEFINED)
        ok = ok && less(m, args[1], c, or_equal);
    return value_bool(ok);
}

OPERATOR(op_less)
{
    (void)data;
    return between(m, args, count, false);
}

OPERATOR(op_less_or_equal)
{
    (void)data;
    return between(m, args, count, true);
}

OPERATOR(op_more)
{
    (void)data;
    return value_bool(less(m, arg(args, count, 1), arg(args, count, 0), false));
}

OPERATOR(op_more_or_equal)
{
    (void)data;
    return value_bool(less(m, arg(args, count, 1), arg(args, count, 0), true));
}

/* ------------------------------------------------------------------ numbers */

OPERATOR(op_add)
{
    double sum = 0;
    (void)data;
    for (uint32_t i = 0; i < count; i++)
        sum += value_parse_float(m, args[i]);
    return value_number(sum);
}

OPERATOR(op_multiply)
{
    (void)data;
    if (count == 0)
        return value_null();
    if (count == 1)
        return args[0];
    double product = value_parse_float(m, args[0]);
    for (uint32_t i = 1; i < count; i++)
        product *= value_parse_float(m, args[i]);
    return value_number(product);
}

OPERATOR(op_subtract)
{
    (void)data;
    double a = value_to_number(m, arg(args, count, 0));
    struct value b = arg(args, count, 1);
    return value_number(b.kind == VALUE_UNDEFINED ? -a : a - value_to_number(m, b));
}

OPERATOR(op_divide)
{
    (void)data;
    double a = value_to_number(m, arg(args, count, 0));
    return value_number(a / value_to_number(m, arg(args, count, 1)));
}

OPERATOR(op_modulo)
{
    (void)data;
    double a = value_to_number(m, arg(args, count, 0));
    return value_number(fmod(a, value_to_number(m, arg(args, count, 1))));
}

/* Math.max(), or with `sign` -1 Math.min(): NaN when one of them is. */
static struct value most(struct machine *m, const struct value *args, uint32_t count, int sign)
{
    double best = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double v = sign * value_to_number(m, args[i]);
        if (v > best || isnan(v) || (v == 0 && best == 0 && !signbit(v)))
            best = v;
        if (isnan(best))
            break;
    }
    return value_number(sign * best);
}

OPERATOR(op_max)
{
    (void)data;
    return most(m, args, count, 1);
}

OPERATOR(op_min)
{
    (void)data;
    return most(m, args, count, -1);
}
