#include "eval/scope.h"

static bool of_context(const struct eval_ask *ask, struct slice name, struct value *ret)
{
    if (name.len && name.ptr[0] == '$') { /* these are not the caller's to say */
        if (slice_same(name, SLICE("$flagd"))) {
            *ret = value_of_kind(VALUE_FLAGD);
            return true;
        }
        if (slice_same(name, SLICE("$hoist"))) {
            *ret = value_of_kind(VALUE_HOIST);
            return true;
        }
    }
    const struct node *n = ctx_find(ask->ctx, name);
    if (n)
        *ret = value_of_node(n);
    return n != NULL;
}

static bool of_flagd(const struct eval_ask *ask, struct slice name, struct value *ret)
{
    if (slice_same(name, SLICE("flagKey")))
        *ret = value_text(ask->flag->key);
    else if (slice_same(name, SLICE("timestamp")))
        *ret = value_number((double)ask->now_s);
    else
        return false;
    return true;
}

static bool of_hoist(const struct eval_ask *ask, struct slice name, struct value *ret)
{
    if (slice_same(name, SLICE("labels")))
        *ret = value_of_kind(VALUE_LABELS);
    else if (slice_same(name, SLICE("host")) && ask->host)
        *ret = value_text(ask->host->id);
    else
        return false;
    return true;
}

static bool of_labels(const struct eval_ask *ask, struct slice name, struct value *ret)
{
    for (uint32_t i = 0; ask->host && i < ask->host->label_count; i++) {
        if (slice_eq(ask->host->labels[i].name, name)) {
            *ret = value_of_node(&ask->host->labels[i].value);
            return true;
        }
    }
    return false;
}

bool scope_member(const struct eval_ask *ask, enum value_kind of, struct slice name,
                  struct value *ret)
{
    switch (of) {
    case VALUE_CONTEXT:
        return of_context(ask, name, ret);
    case VALUE_FLAGD:
        return of_flagd(ask, name, ret);
    case VALUE_HOIST:
        return of_hoist(ask, name, ret);
    case VALUE_LABELS:
        return of_labels(ask, name, ret);
    default:
        return false;
    }
}
