/* What is asked of a primary, the answer, and the answer to a request that could not be read. */
#include "wire/frame_int.h"

enum { COMMAND_FIELDS = 6, COMMAND_REPLY_FIELDS = 5, ERROR_REPLY_FIELDS = 3 };

void frame_put_command(struct buf *out, const struct frame_command *f)
{
    frame_head(out, FRAME_COMMAND, COMMAND_FIELDS);
    mp_put_bin(out, slice_of(f->request, sizeof f->request));
    mp_put_str(out, f->name);
    mp_put_str(out, f->author);
    mp_put_bin(out, f->body);
}

enum hoist_err frame_get_command(struct slice in, struct frame_command *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_COMMAND, COMMAND_FIELDS, "command", NULL, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_command c = {0};
    mp_fixed(&f.r, c.request, sizeof c.request);
    c.name = some_text_get(&f.r, FRAME_ID_MAX);
    c.author = mp_text(&f.r, CHANGE_AUTHOR_MAX);
    c.body = mp_bin(&f.r);
    err = frame_end(&f, COMMAND_FIELDS);
    if (err == HOIST_OK)
        *ret = c;
    return err;
}

void frame_put_command_reply(struct buf *out, const struct frame_command_reply *f)
{
    frame_head(out, FRAME_COMMAND_REPLY, COMMAND_REPLY_FIELDS);
    mp_put_bin(out, slice_of(f->request, sizeof f->request));
    mp_put_u64(out, f->exit);
    mp_put_bin(out, f->body);
}

enum hoist_err frame_get_command_reply(struct slice in, struct frame_command_reply *ret)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_COMMAND_REPLY, COMMAND_REPLY_FIELDS, "command reply", NULL, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_command_reply a = {0};
    mp_fixed(&f.r, a.request, sizeof a.request);
    a.exit = mp_u32(&f.r);
    a.body = mp_bin(&f.r);
    err = frame_end(&f, COMMAND_REPLY_FIELDS);
    if (err == HOIST_OK)
        *ret = a;
    return err;
}

void frame_put_error_reply(struct buf *out, struct slice message)
{
    frame_head(out, FRAME_ERROR_REPLY, ERROR_REPLY_FIELDS);
    sentence_put(out, message);
}

enum hoist_err frame_get_error_reply(struct slice in, struct slice *ret_message)
{
    struct frame_reader f;
    enum hoist_err err =
        frame_begin(in, FRAME_ERROR_REPLY, ERROR_REPLY_FIELDS, "error reply", NULL, &f);
    if (err != HOIST_OK)
        return err;
    struct slice message = mp_text(&f.r, FRAME_TEXT_MAX);
    err = frame_end(&f, ERROR_REPLY_FIELDS);
    if (err == HOIST_OK)
        *ret_message = message;
    return err;
}
