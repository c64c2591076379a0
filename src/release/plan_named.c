/* Lists of things that have names: read, sorted, each name once. */
#include <stdlib.h>

#include "release/plan_int.h"

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = slice_cmp(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

void *named_take(struct plan_reader *r, struct named *named, uint32_t count, size_t size,
                 const struct yaml_item **at)
{
    uint8_t *things = plan_alloc(r, count, size);
    for (uint32_t i = 0; i < count && things; i++) {
        memcpy(things + i * size, named[i].thing, size);
        if (at)
            at[i] = named[i].at;
    }
    return things;
}

uint32_t named_sort(struct plan_reader *r, struct named *named, uint32_t count, const char *what)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(named, count, sizeof *named, by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && slice_eq(named[kept - 1].name, named[i].name))
            plan_complain(r, named[i].at, "take one away, or give it another name",
                          "%s \"%s\" is there twice", what, show(named[i].name).text);
        else
            named[kept++] = named[i];
    }
    return kept;
}

void named_read(struct plan_reader *r, const struct yaml_item *list, const struct named_kind *kind,
                void **ret, uint32_t *ret_count, const struct yaml_item **at)
{
    uint32_t count = plan_list(r, list, kind->max, kind->mend), found = 0;
    struct named *named = plan_alloc(r, count, sizeof *named);
    const struct yaml_item *item = list + 1;
    for (uint32_t i = 0; i < count && named; i++, item += item->span) {
        void *thing = plan_alloc(r, 1, kind->size);
        size_t back = path_index(&r->path, i);
        struct slice name = {0};
        if (thing && kind->read(r, item, thing))
            memcpy(&name, thing, sizeof name);
        path_back(&r->path, back);
        if (name.len)
            named[found++] = (struct named){.name = name, .at = item, .thing = thing};
    }
    found = named ? named_sort(r, named, found, kind->what) : 0;
    *ret = named_take(r, named, found, kind->size, at);
    *ret_count = *ret ? found : 0;
}
