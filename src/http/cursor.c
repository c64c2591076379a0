#include "http/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"

enum { FILE_MAX = 4 << 20 };

static const char first_line[] = "hoist-notify-1";

static struct cursor_at *add(struct cursor *c, const char *env, uint64_t version)
{
    if (c->count == c->cap) {
        struct cursor_at *grown = mem_grow(c->envs, &c->cap, 8, sizeof *grown);
        if (!grown)
            return NULL;
        c->envs = grown;
    }
    struct cursor_at *at = &c->envs[c->count++];
    snprintf(at->env, sizeof at->env, "%s", env);
    at->version = version;
    return at;
}

/* ------------------------------------------------------------------ reading */

static enum hoist_err bad(const struct cursor *c, int line)
{
    return err_set(HOIST_ECORRUPT,
                   "%s, line %d: this is not what hoistd wrote there. Remove the file: then who is "
                   "notified hears of what happens from now on",
                   c->path, line);
}

static enum hoist_err read_line(struct cursor *c, char *text, int line)
{
    uint64_t version;
    char *blank = strchr(text, ' ');
    if (line == 1)
        return strcmp(text, first_line) == 0 ? HOIST_OK : bad(c, line);
    if (!blank || blank == text || blank - text > STORE_ENV_NAME_MAX ||
        text_u64(blank + 1, &version) != HOIST_OK)
        return bad(c, line);
    *blank = '\0';
    return add(c, text, version) ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

static enum hoist_err read_lines(struct cursor *c, char *text)
{
    enum hoist_err err = HOIST_OK;
    int line = 1;
    if (*text == '\0')
        return bad(c, line);
    for (char *end; *text && !err; text = end + 1, line++) {
        end = strchr(text, '\n');
        if (!end)
            return bad(c, line);
        *end = '\0';
        err = read_line(c, text, line);
    }
    return err;
}

static enum hoist_err read_file(struct cursor *c)
{
    char *text;
    enum hoist_err err = textfile_read(c->path, FILE_MAX, false, &text);
    if (err == HOIST_ENOTFOUND) {
        c->is_new = true;
        return HOIST_OK;
    }
    if (err)
        return err == HOIST_EINVAL ? bad(c, 1) : err;
    err = read_lines(c, text);
    mem_free(text);
    return err;
}

enum hoist_err cursor_open(const char *dir, const char *name, struct cursor *ret)
{
    struct cursor c = {0};
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s/notify-%s", dir, name);
    enum hoist_err err = buf_err(&path);
    if (!err && !(c.path = mem_dup_str(buf_str(&path))))
        err = err_set(HOIST_ENOMEM, "out of memory");
    buf_done(&path);
    if (!err)
        err = read_file(&c);
    if (err)
        cursor_done(&c);
    else
        *ret = c;
    return err;
}

void cursor_done(struct cursor *c)
{
    mem_free(c->path);
    mem_free(c->envs);
    *c = (struct cursor){0};
}

/* ------------------------------------------------------------------ moving */

struct cursor_at *cursor_place(struct cursor *c, const char *name, uint64_t version)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t at = (c->next + i) % c->count;
        if (strcmp(c->envs[at].env, name) == 0) {
            c->next = at + 1;
            return &c->envs[at];
        }
    }
    return add(c, name, version);
}

struct cursor_at *cursor_get(struct cursor *c, const struct store_env *env)
{
    return cursor_place(c, env->name, c->is_new ? env->head : 0);
}

void cursor_drop(struct cursor *c, size_t at)
{
    memmove(c->envs + at, c->envs + at + 1, (--c->count - at) * sizeof *c->envs);
}

enum hoist_err cursor_write(struct cursor *c)
{
    struct buf text = BUF_INIT(FILE_MAX);
    buf_printf(&text, "%s\n", first_line);
    for (size_t i = 0; i < c->count; i++)
        buf_printf(&text, "%s %" PRIu64 "\n", c->envs[i].env, c->envs[i].version);
    enum hoist_err err = buf_err(&text);
    if (!err)
        err = textfile_write(c->path, buf_slice(&text), 0600, true);
    buf_done(&text);
    return err;
}
