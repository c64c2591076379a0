/* json_int.h - private to src/flag: how the parts of a flag are written. */
#ifndef FLAG_JSON_INT_H
#define FLAG_JSON_INT_H

#include "flag/json.h"

/* All zero: rules stand in place of references, and metadata is written whole. */
struct json_style {
    /* Whether {"$ref": name} is written as that, instead of the rule it stands for. NULL: never. */
    bool (*keeps_ref)(const void *arg, struct slice name);
    const void *arg;
    const struct meta_item *lifted; /* metadata that the file has already: left out of the flag */
    uint32_t lifted_count;
};

void json_put_tree_as(struct json_writer *w, struct tree t, const struct json_style *style);
void json_put_flag_as(struct json_writer *w, const struct flag *f, const struct json_style *style);

/* A string, number or boolean. */
void json_put_meta(struct json_writer *w, const struct meta_item *item);

#endif
