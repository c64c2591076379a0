#include "primary/query.h"

#include <stdarg.h>
#include <stdio.h>

#include "flag/json.h"

void query_put_problem(struct json_writer *w, const struct problem *p)
{
    json_object_begin(w);
    json_key(w, "path");
    json_put_str(w, p->path);
    if (p->line) {
        json_key(w, "line");
        json_put_u64(w, p->line);
        json_key(w, "column");
        json_put_u64(w, p->column);
    }
    json_key(w, "message");
    json_put_str(w, p->message);
    json_key(w, "mend");
    json_put_str(w, p->mend);
    json_object_end(w);
}

static void put_problems(struct json_writer *w, const struct problems *problems)
{
    json_key(w, "problems");
    json_array_begin(w);
    for (size_t i = 0; i < problems->count; i++)
        query_put_problem(w, &problems->items[i]);
    json_array_end(w);
    if (problems->total > problems->count) {
        json_key(w, "problems_total");
        json_put_u64(w, problems->total);
    }
}

uint32_t query_error(struct buf *out, uint32_t exit, const char *code, const char *at,
                     const char *mend, const struct problems *problems, const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);

    buf_clear(out);
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_key(&w, "exit");
    json_put_u64(&w, exit);
    json_key(&w, "code");
    json_put_str(&w, code);
    json_key(&w, "message");
    json_put_slice(&w, slice_str(message)); /* it may have been cut within a character */
    if (mend && *mend) {
        json_key(&w, "mend");
        json_put_slice(&w, slice_str(mend));
    }
    if (at && *at) {
        json_key(&w, "at");
        json_put_slice(&w, slice_str(at));
    }
    if (problems && problems->count)
        put_problems(&w, problems);
    json_object_end(&w);
    json_object_end(&w);
    return exit;
}

uint32_t query_fail(struct buf *out, enum hoist_err err, const char *mend)
{
    static const struct {
        uint32_t exit;
        const char *code;
    } known[] = {
        [HOIST_ENOMEM] = {EXIT_NO, "no-memory"},    [HOIST_EINVAL] = {EXIT_INPUT, "input"},
        [HOIST_ENOTFOUND] = {EXIT_NO, "not-found"}, [HOIST_EAGAIN] = {EXIT_NO, "busy"},
        [HOIST_ECORRUPT] = {EXIT_NO, "corrupt"},    [HOIST_EVERSION] = {EXIT_NO, "version"},
        [HOIST_ELIMIT] = {EXIT_GATE, "limit"},      [HOIST_ECONFLICT] = {EXIT_CONFLICT, "conflict"},
        [HOIST_EBUSY] = {EXIT_NO, "busy"},          [HOIST_EACCES] = {EXIT_REFUSED, "refused"},
        [HOIST_ENOSPC] = {EXIT_NO, "no-room"},      [HOIST_EIO] = {EXIT_NO, "failed"},
        [HOIST_ETIMEOUT] = {EXIT_NO, "no-answer"},  [HOIST_EUNKNOWN] = {EXIT_NO_ANSWER, "unknown"},
    };
    uint32_t exit = EXIT_NO;
    const char *code = "failed";
    if ((size_t)err < sizeof known / sizeof *known && known[err].code) {
        exit = known[err].exit;
        code = known[err].code;
    }
    /* EAGAIN and ENOTFOUND are returned bare: the sentence that stands there is an older one's. */
    bool bare = err == HOIST_EAGAIN || err == HOIST_ENOTFOUND || !*err_last();
    return query_error(out, exit, code, NULL, mend, NULL, "%s", bare ? err_word(err) : err_last());
}
