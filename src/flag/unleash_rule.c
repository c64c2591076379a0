/* Rules of JSONLogic, and conditions, which may be constant. */
#include "flag/unleash_int.h"

/* json_pack() would do all of this, but where memory is out it keeps what it was given. */
json_t *json_list(size_t count, json_t *const *items)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, items[i]);
    return list;
}

json_t *rule_of(const char *op, json_t *args)
{
    json_t *rule = json_object();
    json_object_set_new(rule, op, args);
    return rule;
}

json_t *rule_op1(const char *op, json_t *a)
{
    return rule_of(op, LIST(a));
}

json_t *rule_op2(const char *op, json_t *a, json_t *b)
{
    return rule_of(op, LIST(a, b));
}

json_t *rule_pair(json_t *variant, uint32_t weight)
{
    return LIST(variant, json_integer(weight));
}

json_t *rule_text(struct slice text)
{
    return json_stringn((const char *)text.ptr, text.len);
}

json_t *rule_var(struct slice attribute)
{
    return rule_of("var", rule_text(attribute));
}

/* With a default, since evaluators differ in what `cat` makes of null: "" or "null". */
json_t *rule_var_text(struct slice attribute)
{
    return rule_op1("cat", rule_of("var", LIST(rule_text(attribute), json_string(""))));
}

/* Nobody alters a rule that is made, so it may stand in two places. */
json_t *rule_same(const json_t *rule)
{
    return json_incref((json_t *)rule);
}

json_t *rule_not(json_t *condition)
{
    bool constant = json_is_boolean(condition), yes = json_is_true(condition);
    if (!constant)
        return rule_op1("!", condition);
    json_decref(condition);
    return json_boolean(!yes);
}

/* What stands within an item that is the same operator stands as well beside it. */
static void put_item(json_t *kept, const char *op, json_t *item)
{
    json_t *within = json_object_get(item, op);
    if (within)
        json_array_extend(kept, within);
    else
        json_array_append(kept, item);
}

/* `decides` is the constant that ends the matter: false for all, true for any. */
static json_t *join(const char *op, json_t *items, bool decides)
{
    json_t *kept = json_array(), *one = NULL;
    size_t i;
    json_t *item;
    bool decided = false;
    json_array_foreach(items, i, item)
    {
        if (!json_is_boolean(item))
            put_item(kept, op, item);
        else if (json_is_true(item) == decides)
            decided = true;
    }
    json_decref(items);
    if (decided || json_array_size(kept) == 0)
        one = json_boolean(decided ? decides : !decides);
    else if (json_array_size(kept) == 1)
        one = json_incref(json_array_get(kept, 0));
    if (!one)
        return rule_of(op, kept);
    json_decref(kept);
    return one;
}

json_t *rule_all(json_t *items)
{
    return join("and", items, false);
}

json_t *rule_any(json_t *items)
{
    return join("or", items, true);
}
