#include "base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/options_int.h"
#include "base/text.h"

/* ------------------------------------------------------------------ names */

static bool same_name(const char *name, struct slice given)
{
    size_t len = strlen(name);
    if (len != given.len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] != (given.ptr[i] == '_' ? '-' : (char)given.ptr[i]))
            return false;
    return true;
}

int option_find(const struct options *o, struct slice name)
{
    for (size_t i = 0; i < o->count; i++)
        if (same_name(o->table[i].name, name))
            return (int)i;
    return -1;
}

void option_suggest(const struct options *o, struct slice name, bool in_file, char *out,
                    size_t size)
{
    const char *near = NULL;
    int best = 3; /* two edits are a typo, three another word */
    for (size_t i = 0; i < o->count; i++) {
        const struct option *opt = &o->table[i];
        struct slice known = slice_str(opt->name);
        if (known.len < 2 || (in_file ? opt->no_file : option_is_elsewhere(opt)))
            continue;
        int distance = text_distance(known, name, 2);
        if (distance > 0 && name.len >= 3 && slice_starts_with(known, name))
            distance = 1;
        if (distance < best) {
            best = distance;
            near = opt->name;
        }
    }
    if (near)
        snprintf(out, size, " (did you mean %s%s?)", in_file ? "" : "--", near);
    else
        snprintf(out, size, "%s", in_file ? "" : "; see --help");
}

/* ------------------------------------------------------------------ values */

static enum hoist_err list_add(struct options *o, struct value_list *list, struct slice text)
{
    if (list->count == OPTION_VALUES_MAX)
        return err_set(HOIST_ELIMIT, "more than %d values", OPTION_VALUES_MAX);
    if (text.len && memchr(text.ptr, '\0', text.len))
        return err_set(HOIST_EINVAL, "a NUL character in the value");
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        const char **grown = mem_realloc(list->items, cap * sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        list->items = grown;
        list->cap = cap;
    }
    enum hoist_err err = arena_own(&o->arena, &text);
    if (err)
        return err;
    list->items[list->count++] = (const char *)text.ptr;
    return HOIST_OK;
}

static bool is_word_of(struct slice text, const char *const *words)
{
    for (; *words; words++)
        if (slice_eq(text, slice_str(*words)))
            return true;
    return false;
}

static enum hoist_err switch_set(struct options *o, struct option_value *v, struct slice text)
{
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    static const char *const no[] = {"false", "no", "off", "0", NULL};
    if (is_word_of(text, yes))
        return list_add(o, &v->list, SLICE("true"));
    if (!is_word_of(text, no))
        return err_set(HOIST_EINVAL, "'%.*s' is neither true nor false", SLICE_ARG(text));
    v->off = true;
    return HOIST_OK;
}

enum hoist_err option_add(struct options *o, size_t i, enum option_origin origin, struct slice text)
{
    const struct option *opt = &o->table[i];
    struct option_value *v = &o->values[i];
    if (v->origin != FROM_NOWHERE && !opt->many) {
        if (!opt->arg)
            return HOIST_OK; /* -v -v: on is on */
        return err_set(HOIST_EINVAL, "given twice, and it takes one value");
    }
    enum hoist_err err = opt->arg ? list_add(o, &v->list, text) : switch_set(o, v, text);
    if (!err)
        v->origin = origin;
    return err;
}

/* ------------------------------------------------------------------ arguments */

struct words { /* what is left of argv */
    int argc;
    char **argv;
};

static const char *dashes(const char *name)
{
    return name[1] ? "--" : "-";
}

/* Where `given` is "--name", "--name=value", "-n" or "-nvalue", with the first dashes cut off. */
static enum hoist_err take_option(struct options *o, struct words *w, const char *given,
                                  bool longer)
{
    const char *equals = longer ? strchr(given, '=') : NULL;
    struct slice name = longer ? slice_of(given, equals ? (size_t)(equals - given) : strlen(given))
                               : slice_of(given, 1);
    int i = longer && name.len < 2 ? -1 : option_find(o, name);
    if (i < 0 || option_is_elsewhere(&o->table[i])) {
        char near[OPTION_NAME_MAX + 32];
        option_suggest(o, name, false, near, sizeof near);
        return err_set(HOIST_EINVAL, "there is no option %s%.*s%s", longer ? "--" : "-",
                       SLICE_ARG(name), near);
    }

    const struct option *opt = &o->table[i];
    const char *value = equals ? equals + 1 : !longer && given[1] ? given + 1 : NULL;
    if (!opt->arg && value)
        return err_set(HOIST_EINVAL, "%s%s is a switch and takes no value", dashes(opt->name),
                       opt->name);
    if (!opt->arg)
        value = "true";
    else if (!value && option_is_optional(opt))
        value = "";
    else if (!value) {
        /* A forgotten value must not swallow the option behind it. */
        if (w->argc == 0 || strncmp(w->argv[0], "--", 2) == 0)
            return err_set(HOIST_EINVAL, "%s%s needs a value: %s", dashes(opt->name), opt->name,
                           opt->arg);
        value = *w->argv++;
        w->argc--;
    }
    enum hoist_err err = option_add(o, (size_t)i, FROM_ARGUMENT, slice_str(value));
    return err ? err_prefix(err, "%s%s", dashes(opt->name), opt->name) : HOIST_OK;
}

/* "-" is a word (standard input), and so is a negative number. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && (word[1] < '0' || word[1] > '9') && word[1] != '.';
}

static enum hoist_err read_arguments(struct options *o, int argc, char **argv)
{
    struct words w = {argc, argv};
    bool ended = false;
    enum hoist_err err = HOIST_OK;
    while (!err && w.argc > 0) {
        const char *word = *w.argv++;
        w.argc--;
        if (!ended && strcmp(word, "--") == 0)
            ended = true;
        else if (!ended && is_option(word))
            err = word[1] == '-' ? take_option(o, &w, word + 2, true)
                                 : take_option(o, &w, word + 1, false);
        else
            err = list_add(o, &o->words, slice_str(word));
    }
    return err;
}

/* ------------------------------------------------------------------ environment, files, defaults
 */

static enum hoist_err read_environment(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        const char *name = o->table[i].env;
        const char *text = name ? getenv(name) : NULL;
        if (!text || !*text || o->values[i].origin != FROM_NOWHERE ||
            option_is_elsewhere(&o->table[i]))
            continue;
        enum hoist_err err = option_add(o, i, FROM_ENVIRONMENT, slice_str(text));
        if (err)
            return err_prefix(err, "$%s", name);
    }
    return HOIST_OK;
}

static enum hoist_err read_files(struct options *o, const char *file_option,
                                 const char *const *default_files)
{
    const char *named = file_option ? options_get(o, file_option) : NULL;
    if (named) {
        enum hoist_err err = options_read_file(o, named);
        return err == HOIST_ENOTFOUND ? err_set(HOIST_EINVAL, "%s: there is no such file", named)
                                      : err;
    }
    for (size_t n = 0; default_files && default_files[n]; n++) {
        enum hoist_err err = options_read_file(o, default_files[n]);
        if (err == HOIST_EACCES)
            log_info("options: %s is not for this user to read, going on without it",
                     default_files[n]);
        else if (err && err != HOIST_ENOTFOUND)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err set_defaults(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        if (!o->table[i].fallback || o->values[i].origin != FROM_NOWHERE ||
            option_is_elsewhere(&o->table[i]))
            continue;
        enum hoist_err err = option_add(o, i, FROM_DEFAULT, slice_str(o->table[i].fallback));
        if (err)
            return err;
    }
    return HOIST_OK;
}

enum hoist_err options_read(const struct option *table, int argc, char **argv,
                            const char *file_option, const char *const *default_files,
                            struct options **ret)
{
    struct options *o = mem_zalloc(1, sizeof *o);
    if (!o)
        return err_set(HOIST_ENOMEM, "out of memory");
    o->table = table;
    while (table[o->count].name)
        o->count++;
    o->values = mem_zalloc(o->count, sizeof *o->values);
    enum hoist_err err = o->values ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
    if (!err)
        err = read_arguments(o, argc, argv);
    if (!err)
        err = read_environment(o);
    if (!err)
        err = read_files(o, file_option, default_files);
    if (!err)
        err = set_defaults(o);
    if (err) {
        options_free(o);
        return err;
    }
    *ret = o;
    return HOIST_OK;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->values && i < o->count; i++)
        mem_free(o->values[i].list.items);
    mem_free(o->values);
    mem_free(o->words.items);
    arena_done(&o->arena);
    mem_free(o);
}

/* ------------------------------------------------------------------ asking */

/* NULL: the table has no such option, as a command that shares code with others may find. */
static const struct option_value *value_of(const struct options *o, const char *name)
{
    int i = option_find(o, slice_str(name));
    return i < 0 ? NULL : &o->values[i];
}

const char *options_get(const struct options *o, const char *name)
{
    const struct option_value *v = value_of(o, name);
    return v && v->list.count ? v->list.items[0] : NULL;
}

bool options_on(const struct options *o, const char *name)
{
    return options_get(o, name) != NULL;
}

size_t options_list(const struct options *o, const char *name, const char *const **ret)
{
    const struct option_value *v = value_of(o, name);
    *ret = v ? v->list.items : NULL;
    return v ? v->list.count : 0;
}

size_t options_words(const struct options *o, const char *const **ret)
{
    *ret = o->words.items;
    return o->words.count;
}

const char *options_origin(const struct options *o, const char *name)
{
    static const char *const names[] = {NULL, "argument", "environment", "file", "default"};
    const struct option_value *v = value_of(o, name);
    return v ? names[v->origin] : NULL;
}
