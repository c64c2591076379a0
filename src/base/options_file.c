/* The YAML file of options: one mapping, from option names to a value or a list of values. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "base/options_int.h"

enum { FILE_SIZE_MAX = 1 << 20 };

struct reader {
    struct options *o;
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event; /* the one being looked at; empty before the first */
    bool have_event;
};

/* ------------------------------------------------------------------ events */

/* Says where the event being looked at is, and why it is wrong. */
static enum hoist_err wrong(const struct reader *r, enum hoist_err err, const char *why)
{
    return err_set(err, "%s:%zu:%zu: %s", r->path, r->event.start_mark.line + 1,
                   r->event.start_mark.column + 1, why);
}

static bool is_marked(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return e->type == YAML_ALIAS_EVENT;
    }
}

static enum hoist_err next(struct reader *r)
{
    if (r->have_event)
        yaml_event_delete(&r->event);
    r->have_event = yaml_parser_parse(&r->parser, &r->event);
    if (!r->have_event) {
        if (r->parser.error == YAML_MEMORY_ERROR)
            return err_set(HOIST_ENOMEM, "out of memory");
        bool marked = r->parser.error == YAML_SCANNER_ERROR || r->parser.error == YAML_PARSER_ERROR;
        return err_set(HOIST_EINVAL, "%s:%zu:%zu: not YAML: %s", r->path,
                       marked ? r->parser.problem_mark.line + 1 : r->parser.mark.line + 1,
                       marked ? r->parser.problem_mark.column + 1 : r->parser.mark.column + 1,
                       r->parser.problem ? r->parser.problem : "unreadable");
    }
    if (is_marked(&r->event))
        return wrong(r, HOIST_EINVAL, "anchors, aliases and tags have no meaning here");
    return HOIST_OK;
}

static struct slice scalar(const struct reader *r)
{
    return slice_of(r->event.data.scalar.value, r->event.data.scalar.length);
}

/* ------------------------------------------------------------------ the mapping */

static bool is_nothing(const struct reader *r)
{
    struct slice s = scalar(r);
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.len == 0 || slice_eq(s, SLICE("~")) || slice_eq(s, SLICE("null")));
}

/* One value of option `i`; only looked at when it is not to be `set`. */
static enum hoist_err read_scalar(struct reader *r, int i, bool set)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return wrong(r, HOIST_EINVAL, "a value is expected here, not a list or a mapping");
    if (is_nothing(r))
        return wrong(r, HOIST_EINVAL, "the value is missing");
    if (!set)
        return HOIST_OK;
    enum hoist_err err = option_add(r->o, (size_t)i, FROM_FILE, scalar(r));
    if (err)
        return err_prefix(err, "%s:%zu:%zu: %s", r->path, r->event.start_mark.line + 1,
                          r->event.start_mark.column + 1, r->o->table[i].name);
    return HOIST_OK;
}

static enum hoist_err read_value(struct reader *r, int i, bool set)
{
    enum hoist_err err = next(r);
    if (err)
        return err;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return read_scalar(r, i, set);
    if (!r->o->table[i].many)
        return wrong(r, HOIST_EINVAL, "this option takes one value, not a list");
    while (!(err = next(r)) && r->event.type != YAML_SEQUENCE_END_EVENT)
        if ((err = read_scalar(r, i, set)))
            break;
    return err;
}

/* The option that the key being looked at names. */
static enum hoist_err read_key(struct reader *r, bool *seen, int *ret)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return wrong(r, HOIST_EINVAL, "the name of an option is expected here");
    struct slice key = scalar(r);
    int i = option_find(r->o, key);
    if (i < 0 || r->o->table[i].no_file) {
        char near[OPTION_NAME_MAX + 32] = "", why[OPTION_NAME_MAX + 160];
        if (i < 0)
            option_suggest(r->o, key, true, near, sizeof near);
        snprintf(why, sizeof why, "'%.*s' %s%s", key.len > 64 ? 64 : (int)key.len, key.ptr,
                 i < 0 ? "is no option" : "can be given as an argument only", near);
        return wrong(r, HOIST_EINVAL, why);
    }
    if (seen[i]) {
        char why[OPTION_NAME_MAX + 32];
        snprintf(why, sizeof why, "'%s' is there twice", r->o->table[i].name);
        return wrong(r, HOIST_EINVAL, why);
    }
    seen[i] = true;
    *ret = i;
    return HOIST_OK;
}

static enum hoist_err read_mapping(struct reader *r)
{
    bool *seen = arena_alloc(&r->o->arena, r->o->count, sizeof *seen);
    if (!seen)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err;
    while (!(err = next(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        int i = -1;
        if ((err = read_key(r, seen, &i)))
            break;
        /* What an argument, the environment or a file before this one gave stays. */
        bool set = r->o->values[i].origin == FROM_NOWHERE && !option_is_elsewhere(&r->o->table[i]);
        if ((err = read_value(r, i, set)))
            break;
    }
    return err;
}

static enum hoist_err read_stream(struct reader *r)
{
    enum hoist_err err = next(r); /* the stream's start */
    if (!err)
        err = next(r);
    if (err || r->event.type == YAML_STREAM_END_EVENT)
        return err;      /* nothing but comments */
    if ((err = next(r))) /* behind the document's start */
        return err;
    if (r->event.type == YAML_SCALAR_EVENT && is_nothing(r))
        err = HOIST_OK; /* "---" and nothing more */
    else if (r->event.type == YAML_MAPPING_START_EVENT)
        err = read_mapping(r);
    else
        err = wrong(r, HOIST_EINVAL, "expected lines like  store: /var/lib/hoist");
    if (!err)
        err = next(r); /* the document's end */
    if (!err)
        err = next(r);
    if (!err && r->event.type != YAML_STREAM_END_EVENT)
        err = wrong(r, HOIST_EINVAL, "a second document: only one is read");
    return err;
}

/* ------------------------------------------------------------------ the file */

static enum hoist_err open_failed(const char *path)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return HOIST_ENOTFOUND;
    if (errno == EACCES || errno == EPERM)
        return err_set(HOIST_EACCES, "%s: %m", path);
    return err_set(HOIST_EIO, "%s: %m", path);
}

/* All of the file; refuses what is no file (a pipe would hang the start). */
static enum hoist_err load(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return open_failed(path);
    struct stat st;
    enum hoist_err err = HOIST_OK;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        err = err_set(HOIST_EINVAL, "%s: not a file", path);
    while (!err) {
        char piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0)
            err = err_set(HOIST_EIO, "%s: %m", path);
        if (n <= 0)
            break;
        buf_add(out, piece, (size_t)n);
        err = buf_err(out);
        if (err)
            err_prefix(err, "%s", path);
    }
    close(fd);
    return err;
}

enum hoist_err options_read_file(struct options *o, const char *path)
{
    struct buf text = BUF_INIT(FILE_SIZE_MAX);
    struct reader r = {.o = o, .path = path};
    enum hoist_err err = load(path, &text);
    if (err)
        goto out;
    if (!yaml_parser_initialize(&r.parser)) {
        err = err_set(HOIST_ENOMEM, "out of memory");
        goto out;
    }
    yaml_parser_set_input_string(&r.parser, text.ptr ? text.ptr : (const uint8_t *)"", text.len);
    err = read_stream(&r);
    if (r.have_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
out:
    buf_done(&text);
    return err;
}
