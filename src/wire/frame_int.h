/* frame_int.h - what the frame_*.c files share: how a frame begins and ends, and the pieces that
 * several have. Failures stick in the reader or the buf. */
#ifndef WIRE_FRAME_INT_H
#define WIRE_FRAME_INT_H

#include "flag/flag.h"
#include "wire/frame.h"
#include "wire/mp.h"

/* A frame, or an array within one, being read. */
struct frame_reader {
    struct mp_reader r;
    struct arena *arena;
    const char *what;  /* names the frame in a sentence */
    uint32_t elements; /* of the frame itself */
};

/* Begin to read a frame of `kind` with at least `known` elements, of which kind and major are the
 * first two. ECORRUPT, or EVERSION. */
MUST_USE enum hoist_err frame_begin(struct slice in, enum frame_kind kind, uint32_t known,
                                    const char *what, struct arena *arena,
                                    struct frame_reader *ret);

/* Step over the elements behind `known`, and refuse anything behind the frame. */
MUST_USE enum hoist_err frame_end(struct frame_reader *f, uint32_t known);

/* The head of a frame that is written. */
void frame_head(struct buf *out, enum frame_kind kind, uint32_t elements);

/* An array within a frame: at least `known` elements; tuple_end() steps over the rest. */
uint32_t tuple_begin(struct mp_reader *r, uint32_t known);
void tuple_end(struct mp_reader *r, uint32_t elements, uint32_t known);

/* `count` × `size` bytes of the frame's arena; NULL for none, and when the reader has failed. */
void *frame_alloc(struct frame_reader *f, size_t count, size_t size);

struct slice env_get(struct mp_reader *r);                   /* an environment's name */
struct slice key_get(struct mp_reader *r);                   /* a flag's key */
struct slice some_text_get(struct mp_reader *r, size_t max); /* not empty */

struct env_head *heads_get(struct frame_reader *f, uint32_t *ret_count);
void heads_put(struct buf *out, const struct env_head *envs, uint32_t count);

struct slice *changes_get(struct frame_reader *f, uint32_t *ret_count);
void changes_put(struct buf *out, const struct slice *changes, uint32_t count);

/* The certificates at a frame's end, if it goes on behind `known` elements. */
struct slice *given_get(struct frame_reader *f, uint32_t known, uint32_t *ret_count);

/* A sentence: cut to FRAME_TEXT_MAX, and made UTF-8 if it is not, since it may quote anything. */
void sentence_put(struct buf *out, struct slice text);

#endif
