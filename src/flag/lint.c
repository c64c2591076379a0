#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "flag/lint_int.h"

void lint_warn(struct lint *l, const char *mend, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    problems_add(l->warnings, l->r->path.text, mend, "%s", message);
}

/* ------------------------------------------------------------------ keys, requirements */

static int by_key(const void *key, const void *flag)
{
    return slice_cmp(*(const struct slice *)key, ((const struct named_flag *)flag)->key);
}

static void look_at_requires(struct lint *l, const struct flag *f, const struct named_flag *flags,
                             size_t count)
{
    size_t back = path_key(&l->r->path, SLICE("requires"));
    path_key(&l->r->path, SLICE("flags"));
    for (uint32_t i = 0; i < f->requires_count; i++) {
        struct slice key = f->requires[i].flag;
        if (bsearch(&key, flags, count, sizeof *flags, by_key))
            continue;
        size_t before = path_key(&l->r->path, key);
        lint_warn(l, "it has to be in the environment already, with that variant",
                  "the required flag \"%s\" is not in this file", show(key).text);
        path_back(&l->r->path, before);
    }
    path_back(&l->r->path, back);
}

static void look_at_flag(struct lint *l, const struct named_flag *flag,
                         const struct named_flag *flags, size_t count)
{
    struct path *path = &l->r->path;
    size_t back = path_flag(l->r, flag);
    if (!is_plain(flag->key, "._:/-"))
        lint_warn(l, "keys of letters, digits and . _ : / - need no quotes anywhere",
                  "the key \"%s\" has other characters than most programs expect",
                  show(flag->key).text);
    if (flag->flag) {
        look_at_requires(l, flag->flag, flags, count);
        size_t before = path_key(path, SLICE("targeting"));
        lint_rule(l, flag->flag->targeting);
        lint_outcome(l, flag->flag);
        path_back(path, before);
    }
    path_back(path, back);
}

/* ------------------------------------------------------------------ the whole */

static void look_at_evaluators(struct lint *l)
{
    size_t back = path_key(&l->r->path, SLICE("$evaluators"));
    for (uint32_t i = 0; i < l->r->evaluator_count; i++) {
        size_t before = path_key(&l->r->path, l->r->evaluators[i].name);
        lint_rule(l, l->r->evaluators[i].rule);
        path_back(&l->r->path, before);
    }
    path_back(&l->r->path, back);
}

void lint_flags(struct reader *r, const struct named_flag *flags, size_t count,
                struct problems *warnings)
{
    struct lint l = {.r = r, .warnings = warnings};
    for (size_t i = 0; i < count; i++)
        look_at_flag(&l, &flags[i], flags, count);
    look_at_evaluators(&l);
    lint_attributes(&l);
    for (size_t i = 0; i < l.attribute_count; i++)
        mem_free(l.attributes[i].path);
    mem_free(l.attributes);
    r->problems->flag_len = 0;
    r->no_memory |= l.no_memory;
}
