/* Metadata: a flag's own, and the file's that stands under it. */
#include <stdlib.h>

#include "flag/flag_int.h"
#include "flag/read_int.h"

static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct meta_item *)a)->name, ((const struct meta_item *)b)->name);
}

static void read_item(struct reader *r, struct slice name, const json_t *v, struct arena *arena,
                      struct meta_item *ret)
{
    size_t back = path_key(&r->path, name);
    if (name_check(name, "the name") != HOIST_OK)
        complain(r, "give it a short name like \"owner\"", "%s", err_last());
    if (json_is_object(v) || json_is_array(v) || json_is_null(v))
        complain(r, "write a string, number or boolean", "metadata cannot be %s",
                 json_type_word(v));
    ret->name = own(r, arena, name);
    ret->value = own_scalar(r, arena, v);
    path_back(&r->path, back);
}

bool metadata_read(struct reader *r, const json_t *v, struct arena *arena,
                   struct meta_item **ret_items, uint32_t *ret_count)
{
    size_t before = r->problems->total;
    if (!json_is_object(v)) {
        complain(r, "write it like {\"owner\": \"team\"}", "the metadata is %s, not an object",
                 json_type_word(v));
        return false;
    }
    size_t count = 0;
    struct meta_item *items = piece(r, arena, json_object_size(v), sizeof *items);
    for (void *it = json_object_iter((json_t *)v); it && items && !r->no_memory;
         it = json_object_iter_next((json_t *)v, it))
        read_item(r, slice_str(json_object_iter_key(it)), json_object_iter_value(it), arena,
                  &items[count++]);
    if (r->no_memory || r->problems->total != before)
        return false;
    qsort(items, count, sizeof *items, by_name);
    *ret_items = items;
    *ret_count = (uint32_t)count;
    return true;
}

static struct meta_item copy_item(struct reader *r, struct arena *arena, struct meta_item item)
{
    item.name = own(r, arena, item.name);
    if (item.value.kind == NODE_STRING)
        item.value.text = own(r, arena, item.value.text);
    return item;
}

/* The file's metadata, and the flag's own over it: two sorted lists become one. */
void metadata_merge(struct reader *r, struct flag *f, const struct meta_item *mine,
                    uint32_t mine_count)
{
    struct meta_item *all =
        piece(r, &f->arena, (size_t)mine_count + r->metadata_count, sizeof *all);
    uint32_t count = 0;
    for (uint32_t i = 0, j = 0; all && (i < mine_count || j < r->metadata_count);) {
        int order = i == mine_count          ? 1
                    : j == r->metadata_count ? -1
                                             : slice_cmp(mine[i].name, r->metadata[j].name);
        if (order <= 0)
            all[count++] = mine[i++];
        else
            all[count++] = copy_item(r, &f->arena, r->metadata[j]);
        j += order >= 0;
    }
    f->metadata = all;
    f->metadata_count = count;
}
