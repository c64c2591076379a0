/* Requirements: what a flag says, and whether the flags of a file agree about it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "flag/flag_int.h"
#include "flag/read_int.h"

/* ------------------------------------------------------------------ of one flag */

static int by_flag(const void *a, const void *b)
{
    return slice_cmp(((const struct requirement *)a)->flag, ((const struct requirement *)b)->flag);
}

static void read_requirement(struct reader *r, struct flag *f, struct slice key, const json_t *v)
{
    static const char mend[] = "write the name of one of that flag's variants, in quotes";
    size_t back = path_key(&r->path, key);
    if (flag_key_check(key) != HOIST_OK)
        complain(r, "name a flag", "%s", err_last());
    if (!json_is_string(v))
        complain(r, mend, "this is %s, not a variant's name", json_type_word(v));
    else if (name_check(json_text(v), "the variant's name") != HOIST_OK)
        complain(r, mend, "%s", err_last());
    else
    f->requires[f->requires_count++] =
        (struct requirement){own(r, &f->arena, key), own(r, &f->arena, json_text(v))};
    path_back(&r->path, back);
}

static void read_required(struct reader *r, struct flag *f, const json_t *v)
{
    static const char mend[] = "write it like {\"flags\": {\"other.flag\": \"on\"}, \"otherwise\": "
                               "\"off\"}";
    size_t back = path_key(&r->path, SLICE("flags"));
    if (!v)
        complain(r, mend, "the required flags are missing");
    else if (!json_is_object(v))
        complain(r, mend, "the required flags are %s, not an object", json_type_word(v));
    else if (json_object_size(v) == 0)
        complain(r, "name a flag, or leave `requires` out", "no flag is required");
    else
    f->requires = piece(r, &f->arena, json_object_size(v), sizeof *f->requires);
    if (f->requires) {
        for (void *it = json_object_iter((json_t *)v); it;
             it = json_object_iter_next((json_t *)v, it))
            read_requirement(r, f, slice_str(json_object_iter_key(it)), json_object_iter_value(it));
        qsort(f->requires, f->requires_count, sizeof *f->requires, by_flag);
    }
    path_back(&r->path, back);
}

static void read_otherwise(struct reader *r, struct flag *f, const json_t *v)
{
    size_t back = path_key(&r->path, SLICE("otherwise"));
    if (v)
        f->otherwise = variant_named(r, f, v);
    else
        complain(r, "add \"otherwise\": the variant that stands in",
                 "it is not said what this flag yields when a required flag does not");
    path_back(&r->path, back);
}

void requires_read(struct reader *r, struct flag *f, const json_t *v)
{
    static const char *const names[] = {"flags", "otherwise", NULL};
    if (!json_is_object(v)) {
        complain(r, "write an object with \"flags\" and \"otherwise\"",
                 "the requirement is %s, not an object", json_type_word(v));
        return;
    }
    read_required(r, f, json_object_get(v, "flags"));
    read_otherwise(r, f, json_object_get(v, "otherwise"));
    for (void *it = json_object_iter((json_t *)v); it;
         it = json_object_iter_next((json_t *)v, it)) {
        struct slice name = slice_str(json_object_iter_key(it));
        if (!is_one_of(name, names))
            complain(r, "it has \"flags\" and \"otherwise\"", "a requirement has no field \"%s\"",
                     show(name).text);
    }
}

/* ------------------------------------------------------------------ among the flags of a file */

enum mark { UNSEEN, OPEN, SEEN };

struct step { /* a flag on the way that is being followed */
    size_t flag;
    uint32_t next; /* which of its requirements comes next */
};

struct walk {
    struct reader *r;
    const struct named_flag *flags;
    size_t count;
    uint8_t *marks;
    struct step *way;
    size_t length;
};

static int by_key(const void *key, const void *flag)
{
    return slice_cmp(*(const struct slice *)key, ((const struct named_flag *)flag)->key);
}

/* The flag called `key`, if it is in the file and could be read. */
static const struct named_flag *find(const struct walk *w, struct slice key)
{
    const struct named_flag *found = bsearch(&key, w->flags, w->count, sizeof *w->flags, by_key);
    return found && found->flag ? found : NULL;
}

size_t path_flag(struct reader *r, const struct named_flag *flag)
{
    size_t back = path_key(&r->path, SLICE("flags"));
    if (r->flags_listed)
        path_index(&r->path, flag->index);
    else
        path_key(&r->path, flag->key);
    r->problems->flag_len = r->path.len;
    return back;
}

static size_t path_requires(struct reader *r, const struct named_flag *flag)
{
    size_t back = path_flag(r, flag);
    path_key(&r->path, SLICE("requires"));
    return back;
}

static void check_variants(struct walk *w, const struct named_flag *flag)
{
    const struct flag *f = flag->flag;
    for (uint32_t i = 0; i < f->requires_count; i++) {
        const struct requirement *q = &f->requires[i];
        const struct named_flag *other = find(w, q->flag);
        if (!other || flag_variant(other->flag, q->variant) != FLAG_NO_VARIANT)
            continue;
        size_t back = path_requires(w->r, flag);
        path_key(&w->r->path, SLICE("flags"));
        path_key(&w->r->path, q->flag);
        complain(w->r, list_variants(other->flag).text, "the flag \"%s\" has no variant \"%s\"",
                 show(q->flag).text, show(q->variant).text);
        path_back(&w->r->path, back);
    }
}

/* The way from flag `from` to the last, which requires it: a → b → a. */
static void complain_circle(struct walk *w, size_t from)
{
    char circle[400] = "";
    size_t len = 0, first = 0;
    while (w->way[first].flag != from)
        first++;
    for (size_t i = first; i < w->length && len + 2 * sizeof(struct shown) < sizeof circle; i++)
        len += (size_t)snprintf(circle + len, sizeof circle - len, "\"%s\" requires ",
                                show(w->flags[w->way[i].flag].key).text);
    snprintf(circle + len, sizeof circle - len, "\"%s\"", show(w->flags[from].key).text);
    size_t back = path_requires(w->r, &w->flags[from]);
    complain(w->r, "take one of these requirements out", "a circle: %s", circle);
    path_back(&w->r->path, back);
}

static void enter(struct walk *w, size_t flag)
{
    w->marks[flag] = OPEN;
    w->way[w->length++] = (struct step){.flag = flag};
}

/* Depth first, without recursion: a flag that is met while it is open closes a circle. */
static void find_circles(struct walk *w, size_t start)
{
    enter(w, start);
    while (w->length) {
        struct step *s = &w->way[w->length - 1];
        const struct flag *f = w->flags[s->flag].flag;
        if (s->next == f->requires_count) {
            w->marks[s->flag] = SEEN;
            w->length--;
            continue;
        }
        const struct named_flag *other = find(w, f->requires[s->next++].flag);
        if (!other)
            continue;
        size_t index = (size_t)(other - w->flags);
        if (w->marks[index] == OPEN)
            complain_circle(w, index);
        else if (w->marks[index] == UNSEEN)
            enter(w, index);
    }
}

void requires_check(struct reader *r, const struct named_flag *flags, size_t count)
{
    struct walk w = {.r = r, .flags = flags, .count = count};
    w.marks = mem_zalloc(count, sizeof *w.marks);
    w.way = mem_zalloc(count, sizeof *w.way);
    r->no_memory |= !w.marks || !w.way;
    for (size_t i = 0; i < count && !r->no_memory; i++) {
        if (!flags[i].flag || flags[i].flag->requires_count == 0)
            continue;
        check_variants(&w, &flags[i]);
        if (w.marks[i] == UNSEEN)
            find_circles(&w, i);
    }
    r->problems->flag_len = 0;
    mem_free(w.marks);
    mem_free(w.way);
}
