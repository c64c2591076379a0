/* What is asked of a primary, the answer, and the answer to a request that could not be read. */
#include "wire/frame_int.h"

enum {
    COMMAND_FIELDS = 6,
    COMMAND_FIELDS_SIGNED = 10,
    COMMAND_REPLY_FIELDS = 5,
    ERROR_REPLY_FIELDS = 3
};

void frame_put_command(struct buf *out, const struct frame_command *f)
{
    bool is_signed = f->key.len > 0;
    frame_head(out, FRAME_COMMAND, is_signed ? COMMAND_FIELDS_SIGNED : COMMAND_FIELDS);
    mp_put_bin(out, slice_of(f->request, sizeof f->request));
    mp_put_str(out, f->name);
    mp_put_str(out, f->author);
    mp_put_bin(out, f->body);
    if (!is_signed)
        return;
    mp_put_u64(out, f->epoch);
    mp_put_i64(out, f->time_ms);
    mp_put_bin(out, f->key);
    mp_put_bin(out, f->signature);
}

static void signature_get(struct mp_reader *r, struct frame_command *c)
{
    c->epoch = mp_u64(r);
    c->time_ms = mp_i64(r);
    c->key = mp_bin(r);
    c->signature = mp_bin(r);
    bool none = c->key.len == 0 && c->signature.len == 0;
    if (!r->bad && !none && (c->key.len != SIGN_PUBLIC_SIZE || c->signature.len != SIGNATURE_SIZE))
        mp_fail(r, "a key or a signature of another length");
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
    bool is_signed = f.elements >= COMMAND_FIELDS_SIGNED;
    if (is_signed)
        signature_get(&f.r, &c);
    err = frame_end(&f, is_signed ? COMMAND_FIELDS_SIGNED : COMMAND_FIELDS);
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
