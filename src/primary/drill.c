#include "primary/drill.h"

bool drill_is(const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    if (c->head.kind != CHANGE_KILL && c->head.kind != CHANGE_ROLLBACK)
        return false;
    return c->head.edits_count == 1 && edits_open(c->edits, &edits) == HOIST_OK &&
           edits_next(&edits, &e) == HOIST_OK && slice_eq(e.key, SLICE(DRILL_FLAG));
}

int64_t drill_last_ms(struct store_read *r, const struct store_env *env)
{
    uint64_t version = env->head + 1;
    struct slice bytes;
    struct change c;
    while (store_touched(r, env->id, SLICE(DRILL_FLAG), version - 1, &version) == HOIST_OK)
        if (store_log_get(r, env->id, version, &bytes) == HOIST_OK &&
            change_decode(bytes, &c) == HOIST_OK && drill_is(&c))
            return c.head.time_ms;
    return 0;
}
