/* ofrep_kit.h - a store with flags from a file, and requests that come from no socket. */
#ifndef OFREP_KIT_H
#define OFREP_KIT_H

#include "store_kit.h"

#include "http/ofrep.h"

enum { OFREP_HEADERS_MAX = 8 };

/* Make `json`, a flag file, the next change of `env`. */
static inline void kit_import(struct store *s, const char *env, const char *json)
{
    struct flag_file *file;
    struct problems problems = {0};
    struct kit_edits e = kit_edits();
    OK(flag_file_read(slice_str(json), &file, &problems));
    for (size_t i = 0; i < file->count; i++) {
        char key[FLAG_KEY_MAX + 1] = "";
        struct buf record = BUF_INIT(FLAG_RECORD_MAX);
        memcpy(key, file->flags[i]->key.ptr, file->flags[i]->key.len);
        OK(record_encode(file->flags[i], &record));
        kit_put_raw(&e, key, buf_slice(&record));
        buf_done(&record);
    }
    kit_change(s, env, &e);
    flag_file_free(file);
}

struct kit_header {
    const char *name, *value;
};

struct kit_request {
    const char *method, *path;
    struct slice body;
    struct kit_header headers[OFREP_HEADERS_MAX]; /* ended by one without a name */
    const char *ticket;                           /* of the query */
};

static inline const char *kit_header(void *arg, const char *name)
{
    const struct kit_request *q = arg;
    for (size_t i = 0; i < OFREP_HEADERS_MAX && q->headers[i].name; i++)
        if (strcasecmp(q->headers[i].name, name) == 0)
            return q->headers[i].value;
    return NULL;
}

static inline const char *kit_query(void *arg, const char *name)
{
    const struct kit_request *q = arg;
    return strcmp(name, "ticket") == 0 ? q->ticket : NULL;
}

/* As http.c goes about it. The body of *ret is to be freed. */
static inline void kit_ask(struct ofrep *o, struct kit_request *q, struct ofrep_answer *ret)
{
    struct ofrep_request asked = {.method = slice_str(q->method),
                                  .path = slice_str(q->path),
                                  .header = kit_header,
                                  .query = kit_query,
                                  .arg = q};
    *ret = OFREP_ANSWER_INIT;
    if (!ofrep_begin(o, &asked, ret))
        return;
    asked.body = q->body;
    if (q->body.len > OFREP_BODY_MAX)
        ofrep_too_long(&asked, ret);
    else
        ofrep_finish(o, &asked, ret);
}

#endif
