/* import --from: another system's flags as a flag file. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flag/unleash.h"
#include "flagctl.h"
#include "wire/frame.h"

static json_t *change_json(const struct problem *p)
{
    return json_pack("{ss ss ss}", "path", p->path, "message", p->message, "users", p->mend);
}

/* What is not as it was: on the screen before what the primary says, in JSON with its answer. */
static void show_changes(struct call *c, const struct problems *changes)
{
    c->approximated = json_array();
    for (size_t i = 0; i < changes->count; i++) {
        const struct problem *p = &changes->items[i];
        json_array_append_new(c->approximated, change_json(p));
        if (!c->json)
            printf("%sapproximated%s %s: %s\n    %s\n", look(c, LOOK_VALUE), look(c, LOOK_PLAIN),
                   p->path, p->message, p->mend);
    }
    if (changes->total > changes->count && !c->json)
        printf("and %zu more\n", changes->total - changes->count);
}

static int show_problems(const struct call *c, const char *path, const struct problems *problems)
{
    struct reply r = {.text = BUF_INIT(FRAME_COMMAND_MAX)};
    r.exit = query_error(&r.text, EXIT_INPUT, "input", problems->items[0].path,
                         "docs/migrating.md has what becomes of each thing", problems,
                         "%s has %zu thing%s that cannot be taken, nothing was changed", path,
                         problems->total, problems->total == 1 ? "" : "s");
    r.body = json_loadb((const char *)r.text.ptr, r.text.len, 0, NULL);
    int exit = show_error(c, &r);
    reply_done(&r);
    return exit;
}

static bool from_unleash(struct call *c, const char *path, struct buf *file, int *ret_exit)
{
    struct problems problems = {0}, changes = {0};
    struct flag_file *flags = NULL;
    bool approximate = options_on(c->options, "approximate");
    enum hoist_err err = unleash_read(buf_slice(file), approximate, &flags, &problems, &changes);
    buf_clear(file);
    if (err == HOIST_OK)
        err = flag_file_write(flags->flags, flags->count, file);
    if (err == HOIST_EINVAL && problems.count)
        *ret_exit = show_problems(c, path, &problems);
    else if (err != HOIST_OK)
        *ret_exit = show_failure(c, EXIT_NO, "failed", NULL, "%s: %s", path, err_last());
    else if (approximate)
        show_changes(c, &changes);
    flag_file_free(flags);
    problems_done(&problems);
    problems_done(&changes);
    return err == HOIST_OK;
}

bool convert(struct call *c, const char *path, struct buf *file, int *ret_exit)
{
    const char *from = options_get(c->options, "from");
    bool approximate = options_on(c->options, "approximate");
    bool unleash = from && strcmp(from, "unleash") == 0;
    if (unleash && !options_on(c->options, "skip-invalid"))
        return from_unleash(c, path, file, ret_exit);
    if (unleash)
        *ret_exit =
            show_failure(c, EXIT_INPUT, "input",
                         "take what cannot be taken out of the file: without --skip-invalid "
                         "it is named",
                         "--skip-invalid is for flag files, not for another system's");
    else if (from && strcmp(from, "flagd") != 0)
        *ret_exit = show_failure(c, EXIT_INPUT, "input", "--from flagd, or --from unleash",
                                 "'%s' is no system whose files can be imported", from);
    else if (approximate)
        *ret_exit = show_failure(c, EXIT_INPUT, "input", "--from unleash --approximate",
                                 "a flag file is taken as it is, there is nothing to approximate");
    else
        return true;
    return false;
}
