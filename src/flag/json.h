/* json.h - writing JSON.
 *
 * The writer makes text as it goes, so answers of any size need no tree. Numbers are written as the
 * shortest decimal that reads back the same. Reading, which is jansson's, is in json_read.h.
 */
#ifndef FLAG_JSON_H
#define FLAG_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "flag/flag.h"

struct json_writer {
    struct buf *out;
    int indent; /* spaces a level; 0: one line */
    int depth;
    bool comma; /* something stands before it on this level */
    bool keyed; /* a key was just written: the value follows it */
};

#define JSON_WRITER(buf, spaces) ((struct json_writer){.out = (buf), .indent = (spaces)})

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_key_slice(struct json_writer *w, struct slice key);

void json_put_null(struct json_writer *w);
void json_put_bool(struct json_writer *w, bool v);
void json_put_number(struct json_writer *w, double v);
void json_put_u64(struct json_writer *w, uint64_t v);
void json_put_i64(struct json_writer *w, int64_t v);
void json_put_str(struct json_writer *w, const char *v);    /* NULL writes null */
void json_put_slice(struct json_writer *w, struct slice v); /* bad UTF-8 becomes U+FFFD */
void json_put_hex(struct json_writer *w, struct slice bytes);
void json_put_hex64(struct json_writer *w, uint64_t v); /* 16 digits: an epoch */
void json_put_time(struct json_writer *w, int64_t wall_ms);
void json_put_raw(struct json_writer *w, struct slice json);         /* text that is JSON already */
void json_put_tree(struct json_writer *w, struct tree t);            /* $ref by name */
void json_put_metadata(struct json_writer *w, const struct flag *f); /* an object */
void json_put_flag(struct json_writer *w,
                   const struct flag *f); /* its flagd definition, $ref expanded */

#endif
