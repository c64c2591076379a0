#include "wire/frame_int.h"

#include "base/text.h"

enum { HEAD_FIELDS = 7 };

static enum hoist_err head_get(struct slice in, struct mp_reader *ret, uint32_t *ret_elements,
                               uint32_t *ret_kind)
{
    struct mp_reader r = mp_reader(in);
    uint32_t elements = mp_array(&r, UINT32_MAX);
    uint32_t kind = mp_u32(&r);
    uint32_t major = mp_u32(&r);
    enum hoist_err err = mp_err(&r, "frame");
    if (err != HOIST_OK)
        return err;
    if (major != FRAME_MAJOR)
        return err_set(HOIST_EVERSION, "frame: it has version %u, this program reads version %d",
                       major, FRAME_MAJOR);
    *ret = r;
    *ret_elements = elements;
    *ret_kind = kind;
    return HOIST_OK;
}

enum hoist_err frame_kind_of(struct slice in, enum frame_kind *ret)
{
    struct mp_reader r;
    uint32_t elements, kind;
    enum hoist_err err = head_get(in, &r, &elements, &kind);
    if (err != HOIST_OK)
        return err;
    switch (kind) {
    case FRAME_CHANGES:
    case FRAME_HEARTBEAT:
    case FRAME_HELLO:
    case FRAME_FETCH:
    case FRAME_SNAPSHOT:
    case FRAME_STATUS:
    case FRAME_COMMAND:
    case FRAME_SUBTREE:
    case FRAME_USAGE:
    case FRAME_HELLO_REPLY:
    case FRAME_FETCH_REPLY:
    case FRAME_SNAPSHOT_REPLY:
    case FRAME_STATUS_REPLY:
    case FRAME_COMMAND_REPLY:
    case FRAME_ERROR_REPLY:
        *ret = kind;
        return HOIST_OK;
    }
    return err_set(HOIST_ECORRUPT, "frame: unknown kind %u", kind);
}

enum hoist_err frame_begin(struct slice in, enum frame_kind kind, uint32_t known, const char *what,
                           struct arena *arena, struct frame_reader *ret)
{
    struct frame_reader f = {.arena = arena, .what = what};
    uint32_t found;
    enum hoist_err err = head_get(in, &f.r, &f.elements, &found);
    if (err != HOIST_OK)
        return err;
    if (found != (uint32_t)kind)
        return err_set(HOIST_ECORRUPT, "%s: kind %u stands where %d belongs", what, found, kind);
    if (f.elements < known)
        return err_set(HOIST_ECORRUPT, "%s: elements are missing", what);
    *ret = f;
    return HOIST_OK;
}

enum hoist_err frame_end(struct frame_reader *f, uint32_t known)
{
    tuple_end(&f->r, f->elements, known);
    mp_end(&f->r);
    return mp_err(&f->r, f->what);
}

void frame_head(struct buf *out, enum frame_kind kind, uint32_t elements)
{
    mp_put_array(out, elements);
    mp_put_u64(out, kind);
    mp_put_u64(out, FRAME_MAJOR);
}

uint32_t tuple_begin(struct mp_reader *r, uint32_t known)
{
    uint32_t elements = mp_array(r, UINT32_MAX);
    if (!r->bad && elements < known)
        mp_fail(r, "elements are missing");
    return elements;
}

void tuple_end(struct mp_reader *r, uint32_t elements, uint32_t known)
{
    for (uint32_t i = known; i < elements && !r->bad; i++)
        mp_skip(r);
}

void *frame_alloc(struct frame_reader *f, size_t count, size_t size)
{
    if (f->r.bad || count == 0)
        return NULL;
    void *piece = arena_alloc(f->arena, count, size);
    if (!piece)
        mp_no_memory(&f->r);
    return piece;
}

struct slice env_get(struct mp_reader *r)
{
    struct slice name = mp_str(r);
    if (!r->bad && flag_env_check(name) != HOIST_OK)
        mp_fail(r, "an environment's name that is none");
    return name;
}

struct slice key_get(struct mp_reader *r)
{
    struct slice key = mp_text(r, FLAG_KEY_MAX);
    if (!r->bad && flag_key_check(key) != HOIST_OK)
        mp_fail(r, "a key that is none");
    return key;
}

struct slice some_text_get(struct mp_reader *r, size_t max)
{
    struct slice text = mp_text(r, max);
    if (!r->bad && text.len == 0)
        mp_fail(r, "empty text where some belongs");
    return text;
}

struct env_head *heads_get(struct frame_reader *f, uint32_t *ret_count)
{
    struct mp_reader *r = &f->r;
    uint32_t count = mp_array(r, FRAME_ENVS_MAX);
    struct env_head *envs = frame_alloc(f, count, sizeof *envs);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct env_head *e = &envs[i];
        uint32_t elements = tuple_begin(r, HEAD_FIELDS);
        e->name = env_get(r);
        e->epoch = mp_u64(r);
        e->version = mp_u64(r);
        mp_fixed(r, e->hash, sizeof e->hash);
        mp_fixed(r, e->digest, sizeof e->digest);
        e->state = mp_u32(r);
        e->held = mp_u32(r);
        tuple_end(r, elements, HEAD_FIELDS);
    }
    *ret_count = count;
    return envs;
}

void heads_put(struct buf *out, const struct env_head *envs, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct env_head *e = &envs[i];
        mp_put_array(out, HEAD_FIELDS);
        mp_put_str(out, e->name);
        mp_put_u64(out, e->epoch);
        mp_put_u64(out, e->version);
        mp_put_bin(out, slice_of(e->hash, sizeof e->hash));
        mp_put_bin(out, slice_of(e->digest, sizeof e->digest));
        mp_put_u64(out, e->state);
        mp_put_u64(out, e->held);
    }
}

struct slice *given_get(struct frame_reader *f, uint32_t known, uint32_t *ret_count)
{
    uint32_t count = f->elements > known ? mp_array(&f->r, CERTIFICATES_GIVEN) : 0;
    struct slice *list = frame_alloc(f, count, sizeof *list);
    for (uint32_t i = 0; i < count && !f->r.bad; i++)
        list[i] = mp_bin(&f->r);
    *ret_count = count;
    return list;
}

struct slice *changes_get(struct frame_reader *f, uint32_t *ret_count)
{
    uint32_t count = mp_array(&f->r, FRAME_CHANGES_MAX);
    struct slice *changes = frame_alloc(f, count, sizeof *changes);
    for (uint32_t i = 0; i < count && !f->r.bad; i++)
        changes[i] = mp_bin(&f->r);
    *ret_count = count;
    return changes;
}

void changes_put(struct buf *out, const struct slice *changes, uint32_t count)
{
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        mp_put_bin(out, changes[i]);
}

void sentence_put(struct buf *out, struct slice text)
{
    uint8_t copy[FRAME_TEXT_MAX];
    if (text.len > sizeof copy) {
        text.len = sizeof copy;
        while (text.len > 0 && (text.ptr[text.len] & 0xc0) == 0x80)
            text.len--; /* not within a character */
    }
    if (!text_utf8(text)) {
        for (size_t i = 0; i < text.len; i++)
            copy[i] = text.ptr[i] < 0x80 ? text.ptr[i] : '?';
        text.ptr = copy;
    }
    mp_put_str(out, text);
}
