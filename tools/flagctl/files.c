/* apply, import, export, target: flags and rules as files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "flag/flag.h"
#include "flagctl.h"
#include "wire/frame.h"

static enum hoist_err read_all(FILE *in, struct buf *out)
{
    char chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, in)) > 0)
        buf_add(out, chunk, got);
    if (ferror(in))
        return err_set(HOIST_EIO, "%s", strerror(errno));
    return buf_err(out);
}

bool load_file(struct call *c, const char *path, struct buf *out, int *ret_exit)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "re");
    if (!in) {
        *ret_exit = show_failure(c, EXIT_INPUT, "input", NULL, "%s: %s", path, strerror(errno));
        return false;
    }
    enum hoist_err err = read_all(in, out);
    if (!standard)
        fclose(in);
    if (err != HOIST_OK)
        *ret_exit = show_failure(c, EXIT_INPUT, "input", NULL, "%s: %s", path, err_last());
    return err == HOIST_OK;
}

/* The file as text that can travel: one that is no UTF-8, or has a NUL in it, is read here for what
 * is wrong with it. */
static bool read_file(struct call *c, const char *path, struct buf *out, int *ret_exit)
{
    if (!load_file(c, path, out, ret_exit))
        return false;
    if (text_utf8(buf_slice(out)) && (out->len == 0 || !memchr(out->ptr, '\0', out->len)))
        return true;

    struct problems problems = {0};
    struct flag_file *file = NULL;
    struct arena arena = {0};
    struct tree rule;
    struct reply r = {.text = BUF_INIT(1 << 20)};
    enum hoist_err fault = c->sub->run == run_target
                               ? flag_rule_read(buf_slice(out), &arena, &rule, &problems)
                               : flag_file_read(buf_slice(out), &file, &problems);
    if (fault == HOIST_OK)
        problems_add(&problems, path, "", "it is not UTF-8 text");
    r.exit = query_error(&r.text, EXIT_INPUT, "input", NULL, NULL, &problems,
                         "%s has problems, nothing was changed", path);
    r.body = json_loadb((const char *)r.text.ptr, r.text.len, 0, NULL);
    *ret_exit = show_error(c, &r);
    reply_done(&r);
    flag_file_free(file);
    arena_done(&arena);
    problems_done(&problems);
    return false;
}

static void put_text(json_t *args, const char *name, const struct buf *text)
{
    const void *bytes = text->ptr ? (const void *)text->ptr : "";
    json_object_set_new(args, name, json_stringn(bytes, text->len));
}

static json_t *apply_args(const struct call *c, struct buf *file)
{
    json_t *args = json_object();
    put_text(args, "file", file);
    if (options_on(c->options, "prune"))
        json_object_set_new(args, "prune", json_true());
    if (options_on(c->options, "skip-invalid"))
        json_object_set_new(args, "skip_invalid", json_true());
    return args;
}

static int run_file(struct call *c, bool yes)
{
    struct buf file = BUF_INIT(FILE_MAX);
    int exit = EXIT_INPUT;
    if (!source_choose(c, true))
        return exit;
    if (!yes && !can_ask(c, &exit))
        return exit;
    if (read_file(c, c->words[0], &file, &exit) && convert(c, c->words[0], &file, &exit))
        exit = change(c, "apply", apply_args(c, &file), yes);
    buf_done(&file);
    return exit;
}

/* Exit 0: the environment has what the file says, 1: it has not. */
int diff_file(struct call *c)
{
    struct buf file = BUF_INIT(FILE_MAX);
    struct reply r;
    int exit = EXIT_INPUT;
    if (source_choose(c, true) && read_file(c, c->words[0], &file, &exit)) {
        json_t *args = apply_args(c, &file);
        json_object_set_new(args, "dry_run", json_true());
        json_object_set_new(args, "force", json_true());
        tell(c, "apply", args, &r);
        if (!show_if_error(c, &r, &exit))
            exit = show_difference(c, &r);
        reply_done(&r);
    }
    buf_done(&file);
    return exit;
}

int run_apply(struct call *c)
{
    return run_file(c, options_on(c->options, "yes") || options_on(c->options, "dry-run"));
}

int run_import(struct call *c)
{
    return run_file(c, true);
}

/* ------------------------------------------------------------------ target */

int run_target(struct call *c)
{
    const char *path = options_get(c->options, "file");
    bool clear = options_on(c->options, "clear");
    struct buf rule = BUF_INIT(FILE_MAX);
    int exit = EXIT_INPUT;
    if (!path == !clear)
        return show_failure(c, EXIT_INPUT, "input", "flagctl target KEY --file FILE, or --clear",
                            "say which rule: --file FILE, - for standard input, or --clear");
    if (!source_choose(c, true))
        return exit;
    if (clear || read_file(c, path, &rule, &exit)) {
        json_t *args = json_pack("{ss}", "key", c->words[0]);
        if (clear)
            json_object_set_new(args, "clear", json_true());
        else
            put_text(args, "rule", &rule);
        exit = change(c, "target", args, true);
    }
    buf_done(&rule);
    return exit;
}

/* ------------------------------------------------------------------ export */

/* What the format cannot say. */
static void show_lost(const json_t *answer)
{
    size_t i;
    json_t *lost;
    json_array_foreach(json_object_get(answer, "lost"), i, lost)
    {
        fprintf(stderr, "flagctl: %s: %s: %s\n", text_of(lost, "key"), text_of(lost, "field"),
                text_of(lost, "why"));
    }
}

int run_export(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    ask(c, "export", json_pack("{ss*}", "format", options_get(c->options, "format")), &r);
    if (!show_if_error(c, &r, &exit)) {
        const json_t *file = json_object_get(r.body, "file");
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            fwrite(json_string_value(file), 1, json_string_length(file), stdout);
        if (!c->json)
            show_lost(r.body);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}
