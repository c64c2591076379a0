#include "base/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/text.h"

enum { VALUES_MAX = 4096, HELP_COLUMN = 26 };

struct values {
    char **items;
    size_t count;
    const char *origin; /* NULL: there is none */
};

struct options {
    const struct option *table;
    size_t count;
    struct values *values; /* one for each row of the table */
    struct values words;
};

/* ------------------------------------------------------------------ values */

static enum hoist_err values_add(struct values *v, struct slice text, const char *origin)
{
    if (v->count == VALUES_MAX)
        return err_set(HOIST_ELIMIT, "more than %d values", VALUES_MAX);
    char **grown = mem_realloc(v->items, (v->count + 1) * sizeof *grown);
    if (!grown)
        return err_set(HOIST_ENOMEM, "out of memory");
    v->items = grown;
    grown[v->count] = mem_dup(text);
    if (!grown[v->count])
        return err_set(HOIST_ENOMEM, "out of memory");
    v->count++;
    v->origin = origin;
    return HOIST_OK;
}

static void values_done(struct values *v)
{
    for (size_t i = 0; i < v->count; i++)
        mem_free(v->items[i]);
    mem_free(v->items);
    *v = (struct values){0};
}

static struct values *find(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->table[i].name, name) == 0)
            return &o->values[i];
    return NULL;
}

/* ------------------------------------------------------------------ arguments */

static const char *dashes(const struct option *row)
{
    return row->name[1] ? "--" : "-";
}

/* The option whose name is nearest to what was typed, if it is near. */
static const struct option *near(const struct options *o, struct slice typed)
{
    const struct option *best = NULL;
    int least = 3;
    for (size_t i = 0; i < o->count; i++) {
        int distance = text_distance(typed, slice_str(o->table[i].name), least);
        if (distance < least && distance < (int)typed.len) {
            least = distance;
            best = &o->table[i];
        }
    }
    return best;
}

static enum hoist_err unknown(const struct options *o, const char *what, struct slice typed)
{
    const struct option *meant = near(o, typed);
    if (meant)
        return err_set(HOIST_EINVAL, "there is no %s '%.*s'; is '%s%s' meant?", what,
                       SLICE_ARG(typed), dashes(meant), meant->name);
    return err_set(HOIST_EINVAL, "there is no %s '%.*s'; see --help", what, SLICE_ARG(typed));
}

/* The row that `word` names, as --name, --name=value or -n; *ret_value is what stands behind '='.
 */
static enum hoist_err row_of(const struct options *o, const char *word, size_t *ret_row,
                             const char **ret_value)
{
    bool two = word[1] == '-';
    const char *name = word + (two ? 2 : 1);
    size_t len = strcspn(name, "=");
    for (size_t i = 0; i < o->count; i++) {
        const char *known = o->table[i].name;
        if (strlen(known) == len && memcmp(known, name, len) == 0 && two == (known[1] != '\0')) {
            *ret_row = i;
            *ret_value = name[len] ? name + len + 1 : NULL;
            return HOIST_OK;
        }
    }
    return unknown(o, "option", slice_of(name, len));
}

static enum hoist_err read_arguments(struct options *o, int argc, char **argv)
{
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        size_t row = 0;
        enum hoist_err err = HOIST_OK;
        if (ended || word[0] != '-' || !word[1]) {
            err = values_add(&o->words, slice_str(word), "argument");
            if (err)
                return err;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            ended = true;
            continue;
        }
        err = row_of(o, word, &row, &value);
        if (err)
            return err;
        const struct option *option = &o->table[row];
        if (!option->arg && value)
            return err_set(HOIST_EINVAL, "--%s takes no value", option->name);
        if (option->arg && !value) {
            if (i + 1 == argc)
                return err_set(HOIST_EINVAL, "%s%s needs a value: %s", dashes(option), option->name,
                               option->arg);
            value = argv[++i];
        }
        if (!option->many && o->values[row].origin && option->arg)
            return err_set(HOIST_EINVAL, "%s%s is given twice", dashes(option), option->name);
        if (!option->arg && o->values[row].origin)
            continue;
        err = values_add(&o->values[row], slice_str(option->arg ? value : "true"), "argument");
        if (err)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err read_environment(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        const char *value = o->table[i].env ? getenv(o->table[i].env) : NULL;
        if (o->values[i].origin || !value || !value[0])
            continue;
        enum hoist_err err = values_add(&o->values[i], slice_str(value), "environment");
        if (err)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err read_defaults(struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->values[i].origin || !o->table[i].fallback)
            continue;
        enum hoist_err err = values_add(&o->values[i], slice_str(o->table[i].fallback), "default");
        if (err)
            return err;
    }
    return HOIST_OK;
}

/* ------------------------------------------------------------------ the file */

/*
 * What is being read of the file. Only a mapping of names to scalars or lists of scalars is taken:
 * anchors, aliases and tags could mean something else to a reader than to us.
 */
struct file {
    struct options *o;
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    bool *seen; /* by row */
};

static enum hoist_err file_err(const struct file *f, yaml_mark_t at, const char *what,
                               struct slice which)
{
    return err_set(HOIST_EINVAL, "%s: line %zu, column %zu: %s%.*s", f->path, at.line + 1,
                   at.column + 1, what, SLICE_ARG(which));
}

static enum hoist_err next(struct file *f)
{
    if (f->has_event)
        yaml_event_delete(&f->event);
    f->has_event = yaml_parser_parse(&f->parser, &f->event) != 0;
    if (!f->has_event)
        return file_err(f, f->parser.problem_mark,
                        f->parser.problem ? f->parser.problem : "no YAML", SLICE(""));
    bool odd = f->event.type == YAML_ALIAS_EVENT;
    if (f->event.type == YAML_SCALAR_EVENT)
        odd = f->event.data.scalar.anchor || f->event.data.scalar.tag;
    if (f->event.type == YAML_SEQUENCE_START_EVENT)
        odd = f->event.data.sequence_start.anchor || f->event.data.sequence_start.tag;
    if (f->event.type == YAML_MAPPING_START_EVENT)
        odd = f->event.data.mapping_start.anchor || f->event.data.mapping_start.tag;
    if (odd)
        return file_err(f, f->event.start_mark, "anchors, aliases and tags are not taken",
                        SLICE(""));
    return HOIST_OK;
}

static struct slice scalar(const struct file *f)
{
    return slice_of(f->event.data.scalar.value, f->event.data.scalar.length);
}

/* The row for the key at hand; in a file a name may have underscores for its dashes. */
static enum hoist_err file_row(struct file *f, size_t *ret_row)
{
    char name[64];
    struct slice key = scalar(f);
    size_t len = key.len < sizeof name ? key.len : sizeof name - 1;
    memcpy(name, key.ptr, len);
    name[len] = '\0';
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    for (size_t i = 0; key.len < sizeof name && i < f->o->count; i++)
        if (strcmp(f->o->table[i].name, name) == 0 && !f->o->table[i].no_file) {
            if (f->seen[i])
                return file_err(f, f->event.start_mark, "a key for the second time: ", key);
            f->seen[i] = true;
            *ret_row = i;
            return HOIST_OK;
        }
    (void)unknown(f->o, "key", slice_of(name, len));
    return err_prefix(HOIST_EINVAL, "%s: line %zu, column %zu", f->path,
                      f->event.start_mark.line + 1, f->event.start_mark.column + 1);
}

static bool is_word(struct slice s, const char *const words[])
{
    for (; *words; words++)
        if (slice_eq(s, slice_str(*words)))
            return true;
    return false;
}

/* Keep the scalar at hand, unless an argument or the environment has said it already. */
static enum hoist_err file_value(struct file *f, size_t row, bool taken)
{
    static const char *const yes[] = {"true", "yes", "on", NULL};
    static const char *const no[] = {"false", "no", "off", NULL};
    const struct option *option = &f->o->table[row];
    struct slice value = scalar(f);
    if (memchr(value.ptr, '\0', value.len))
        return file_err(f, f->event.start_mark, "a NUL in the value of ", slice_str(option->name));
    if (!option->arg && is_word(value, no))
        return HOIST_OK;
    if (!option->arg && !is_word(value, yes))
        return file_err(f, f->event.start_mark, "true or false belongs here, not ", value);
    if (taken)
        return HOIST_OK;
    return values_add(&f->o->values[row], option->arg ? value : SLICE("true"), "file");
}

static enum hoist_err file_list(struct file *f, size_t row, bool taken)
{
    if (!f->o->table[row].many)
        return file_err(f, f->event.start_mark, "one value, not a list, belongs to ",
                        slice_str(f->o->table[row].name));
    for (;;) {
        enum hoist_err err = next(f);
        if (err || f->event.type == YAML_SEQUENCE_END_EVENT)
            return err;
        if (f->event.type != YAML_SCALAR_EVENT)
            return file_err(f, f->event.start_mark, "plain values belong in the list of ",
                            slice_str(f->o->table[row].name));
        err = file_value(f, row, taken);
        if (err)
            return err;
    }
}

static enum hoist_err file_pairs(struct file *f)
{
    for (;;) {
        size_t row = 0;
        enum hoist_err err = next(f);
        if (err || f->event.type == YAML_MAPPING_END_EVENT)
            return err;
        if (f->event.type != YAML_SCALAR_EVENT)
            return file_err(f, f->event.start_mark, "a key belongs here", SLICE(""));
        err = file_row(f, &row);
        if (err)
            return err;
        bool taken = f->o->values[row].origin != NULL;
        err = next(f);
        if (err)
            return err;
        if (f->event.type == YAML_SCALAR_EVENT)
            err = file_value(f, row, taken);
        else if (f->event.type == YAML_SEQUENCE_START_EVENT)
            err = file_list(f, row, taken);
        else
            err = file_err(f, f->event.start_mark, "a value or a list belongs to ",
                           slice_str(f->o->table[row].name));
        if (err)
            return err;
    }
}

static enum hoist_err file_document(struct file *f)
{
    enum hoist_err err = next(f); /* the stream */
    if (!err)
        err = next(f); /* its document, or its end */
    if (err || f->event.type == YAML_STREAM_END_EVENT)
        return err; /* nothing but comments */
    err = next(f);
    if (err)
        return err;
    if (f->event.type == YAML_SCALAR_EVENT && f->event.data.scalar.length == 0)
        err = HOIST_OK;
    else if (f->event.type != YAML_MAPPING_START_EVENT)
        return file_err(f, f->event.start_mark,
                        "keys and values belong here, as in store: /srv/hoist", SLICE(""));
    else
        err = file_pairs(f);
    if (!err)
        err = next(f);
    if (!err)
        err = next(f);
    if (!err && f->event.type != YAML_STREAM_END_EVENT)
        return file_err(f, f->event.start_mark, "a second document is not taken", SLICE(""));
    return err;
}

/* ENOENT is no error unless the file was `named`. */
static enum hoist_err read_file(struct options *o, const char *path, bool named, bool *ret_read)
{
    FILE *in = fopen(path, "re");
    if (!in && errno == ENOENT && !named)
        return HOIST_OK;
    if (!in)
        return err_set(HOIST_EINVAL, "%s: %s", path, strerror(errno));
    struct file f = {.o = o, .path = path, .seen = mem_zalloc(o->count, sizeof *f.seen)};
    enum hoist_err err = err_set(HOIST_ENOMEM, "out of memory");
    if (f.seen && yaml_parser_initialize(&f.parser)) {
        yaml_parser_set_input_file(&f.parser, in);
        err = file_document(&f);
        if (f.has_event)
            yaml_event_delete(&f.event);
        yaml_parser_delete(&f.parser);
        *ret_read = true;
    }
    mem_free(f.seen);
    fclose(in);
    return err;
}

/* ------------------------------------------------------------------ all of it */

enum hoist_err options_read(const struct option *table, int argc, char **argv,
                            const char *file_option, const char *const *default_files,
                            struct options **ret)
{
    enum hoist_err err = err_set(HOIST_ENOMEM, "out of memory");
    struct options *o = mem_zalloc(1, sizeof *o);
    if (!o)
        return err;
    o->table = table;
    while (table[o->count].name)
        o->count++;
    o->values = mem_zalloc(o->count, sizeof *o->values);
    if (!o->values)
        goto out;
    err = read_arguments(o, argc, argv);
    if (!err)
        err = read_environment(o);
    const char *named = file_option ? options_get(o, file_option) : NULL;
    bool done = false;
    if (!err && named)
        err = read_file(o, named, true, &done);
    for (; !err && !done && default_files && *default_files; default_files++)
        err = read_file(o, *default_files, false, &done);
    if (!err)
        err = read_defaults(o);
out:
    if (err)
        options_free(o);
    else
        *ret = o;
    return err;
}

void options_free(struct options *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->values && i < o->count; i++)
        values_done(&o->values[i]);
    values_done(&o->words);
    mem_free(o->values);
    mem_free(o);
}

const char *options_get(const struct options *o, const char *name)
{
    const struct values *v = find(o, name);
    return v && v->count ? v->items[0] : NULL;
}

bool options_on(const struct options *o, const char *name)
{
    return options_get(o, name) != NULL;
}

size_t options_list(const struct options *o, const char *name, const char *const **ret)
{
    const struct values *v = find(o, name);
    *ret = v ? (const char *const *)v->items : NULL;
    return v ? v->count : 0;
}

size_t options_words(const struct options *o, const char *const **ret)
{
    *ret = (const char *const *)o->words.items;
    return o->words.count;
}

const char *options_origin(const struct options *o, const char *name)
{
    const struct values *v = find(o, name);
    return v ? v->origin : NULL;
}

/* ------------------------------------------------------------------ help */

static void help_lines(struct buf *out, const char *text)
{
    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        buf_printf(out, "%.*s\n%*s", (int)(end - text), text, HELP_COLUMN, "");
    buf_add_str(out, text);
}

void options_help(const struct option *table, struct buf *out)
{
    for (; table->name; table++) {
        size_t start = out->len;
        buf_printf(out, "  %s%s%s%s", dashes(table), table->name, table->arg ? " " : "",
                   table->arg ? table->arg : "");
        size_t width = out->len - start;
        if (width + 2 > HELP_COLUMN)
            buf_printf(out, "\n%*s", HELP_COLUMN, "");
        else
            buf_printf(out, "%*s", HELP_COLUMN - (int)width, "");
        help_lines(out, table->help);
        if (table->fallback)
            buf_printf(out, " (default: %s)", table->fallback);
        if (table->many)
            buf_add_str(out, " (may be repeated)");
        if (table->env)
            buf_printf(out, " [$%s]", table->env);
        buf_add_byte(out, '\n');
    }
}
