/* A file of flags, as text. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "flag/json_int.h"

struct named_rule { /* what {"$ref": name} stands for */
    struct slice name;
    struct tree rule;
    bool differs; /* between flags: it has no one meaning, and is written in place */
};

struct file_writer {
    struct flag *const *flags;
    size_t count;
    struct named_rule *rules; /* sorted by name */
    size_t rule_count;
    struct meta_item *shared; /* metadata that all flags have; borrowed from the first */
    uint32_t shared_count;
};

/* ------------------------------------------------------------------ named rules */

static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct named_rule *)a)->name, ((const struct named_rule *)b)->name);
}

/* Each reference of each flag: into `rules` unless that is NULL. Answers how many there are. */
static size_t gather_rules(const struct file_writer *fw, struct named_rule *rules)
{
    size_t found = 0;
    for (size_t i = 0; i < fw->count; i++) {
        struct tree t = fw->flags[i]->targeting;
        for (uint32_t k = 0; k < t.count; k++) {
            struct node *n = &t.nodes[k];
            if (n->kind != NODE_REF)
                continue;
            if (rules)
                rules[found] = (struct named_rule){.name = n->text, .rule = {n + 1, n[1].span}};
            found++;
        }
    }
    return found;
}

/* One entry for each name. */
static size_t unite_rules(struct named_rule *rules, size_t count)
{
    size_t kept = 0;
    qsort(rules, count, sizeof *rules, by_name);
    for (size_t i = 0; i < count; i++) {
        if (kept && slice_eq(rules[kept - 1].name, rules[i].name))
            rules[kept - 1].differs |= !tree_equal(rules[kept - 1].rule, rules[i].rule);
        else
            rules[kept++] = rules[i];
    }
    return kept;
}

static enum hoist_err find_rules(struct file_writer *fw)
{
    size_t count = gather_rules(fw, NULL);
    if (count == 0)
        return HOIST_OK;
    fw->rules = mem_zalloc(count, sizeof *fw->rules);
    if (!fw->rules)
        return err_set(HOIST_ENOMEM, "out of memory");
    gather_rules(fw, fw->rules);
    fw->rule_count = unite_rules(fw->rules, count);
    return HOIST_OK;
}

static bool keeps_ref(const void *arg, struct slice name)
{
    const struct file_writer *fw = arg;
    struct named_rule wanted = {.name = name};
    const struct named_rule *found =
        bsearch(&wanted, fw->rules, fw->rule_count, sizeof *fw->rules, by_name);
    return found && !found->differs;
}

static void put_rules(struct json_writer *w, const struct file_writer *fw)
{
    bool any = false;
    for (size_t i = 0; i < fw->rule_count; i++) {
        if (fw->rules[i].differs)
            continue;
        if (!any) {
            json_key(w, "$evaluators");
            json_object_begin(w);
            any = true;
        }
        json_key_slice(w, fw->rules[i].name);
        json_put_tree(w, fw->rules[i].rule);
    }
    if (any)
        json_object_end(w);
}

/* ------------------------------------------------------------------ shared metadata */

static bool has_item(const struct flag *f, const struct meta_item *item)
{
    for (uint32_t i = 0; i < f->metadata_count; i++) {
        struct node mine = f->metadata[i].value, theirs = item->value;
        if (slice_eq(f->metadata[i].name, item->name))
            return tree_equal((struct tree){&mine, 1}, (struct tree){&theirs, 1});
    }
    return false;
}

/* What the first flag has, less what any other has not. One flag alone shares nothing. */
static enum hoist_err find_shared(struct file_writer *fw)
{
    if (fw->count < 2 || fw->flags[0]->metadata_count == 0)
        return HOIST_OK;
    fw->shared = mem_zalloc(fw->flags[0]->metadata_count, sizeof *fw->shared);
    if (!fw->shared)
        return err_set(HOIST_ENOMEM, "out of memory");
    fw->shared_count = fw->flags[0]->metadata_count;
    memcpy(fw->shared, fw->flags[0]->metadata, fw->shared_count * sizeof *fw->shared);
    for (size_t i = 1; i < fw->count && fw->shared_count; i++) {
        uint32_t kept = 0;
        for (uint32_t k = 0; k < fw->shared_count; k++)
            if (has_item(fw->flags[i], &fw->shared[k]))
                fw->shared[kept++] = fw->shared[k];
        fw->shared_count = kept;
    }
    return HOIST_OK;
}

static void put_shared(struct json_writer *w, const struct file_writer *fw)
{
    if (fw->shared_count == 0)
        return;
    json_key(w, "metadata");
    json_object_begin(w);
    for (uint32_t i = 0; i < fw->shared_count; i++)
        json_put_meta(w, &fw->shared[i]);
    json_object_end(w);
}

/* ------------------------------------------------------------------ the whole */

static void put_file(const struct file_writer *fw, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 2);
    struct json_style style = {
        .keeps_ref = keeps_ref, .arg = fw, .lifted = fw->shared, .lifted_count = fw->shared_count};
    json_object_begin(&w);
    put_rules(&w, fw);
    json_key(&w, "$schema");
    json_put_str(&w, "https://flagd.dev/schema/v0/flags.json");
    json_key(&w, "flags");
    json_object_begin(&w);
    for (size_t i = 0; i < fw->count; i++) {
        json_key_slice(&w, fw->flags[i]->key);
        json_put_flag_as(&w, fw->flags[i], &style);
    }
    json_object_end(&w);
    put_shared(&w, fw);
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

enum hoist_err flag_file_write(struct flag *const *flags, size_t count, struct buf *out)
{
    struct file_writer fw = {.flags = flags, .count = count};
    for (size_t i = 1; i < count; i++)
        assert(slice_cmp(flags[i - 1]->key, flags[i]->key) < 0);
    enum hoist_err err = find_rules(&fw);
    if (err == HOIST_OK)
        err = find_shared(&fw);
    if (err == HOIST_OK) {
        put_file(&fw, out);
        err = buf_err(out);
    }
    mem_free(fw.rules);
    mem_free(fw.shared);
    return err;
}
