/* read_int.h - private to src/flag: from JSON text to flags.
 *
 *   json_load()   text → jansson's values         json_read.c, json_scan.c
 *   tree_read()   a value or a rule → its nodes   tree_read.c
 *   flag_read()   a definition → a flag           flag_read.c
 *   requires_check()  all flags of a file         requires.c
 *
 * A reader that meets something wrong says so (complain) and goes on, to find what else is wrong.
 */
#ifndef FLAG_READ_INT_H
#define FLAG_READ_INT_H

#include <jansson.h>

#include "base/arena.h"
#include "flag/flag.h"
#include "flag/say.h"

struct evaluator { /* a named rule of `$evaluators` */
    struct slice name;
    struct tree rule; /* count 0: it could not be read, which was said */
    uint32_t depth;   /* levels of `rule` */
};

struct reader { /* all zero but `problems`, to begin with */
    struct problems *problems;
    struct path path;   /* where it reads now */
    struct arena arena; /* what lives until the file is read */
    bool no_memory;

    struct evaluator *evaluators; /* sorted by name */
    uint32_t evaluator_count;
    struct meta_item *metadata; /* the file's, sorted by name */
    uint32_t metadata_count;

    struct node *nodes; /* the tree being read; its texts are jansson's */
    uint32_t node_count, node_cap;
    uint32_t deepest; /* level that it has reached */
    bool overflow;    /* it is over a limit, which was said: the rest is not looked at */
    bool in_evaluator;
    bool flags_listed; /* as an array */
};

void reader_done(struct reader *r);

/* From `arena`, zeroed; and copies in it. When memory is out the reader knows. */
void *piece(struct reader *r, struct arena *arena, size_t count, size_t size);
struct slice own(struct reader *r, struct arena *arena, struct slice s);
struct node own_scalar(struct reader *r, struct arena *arena, const json_t *v);

/* A problem at the reader's path. */
void complain(struct reader *r, const char *mend, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The text behind what an editor may have put in front of it. */
struct slice skip_byte_order_mark(struct slice s);

/* What reading ends with: EINVAL tells the first of the problems. */
enum hoist_err problems_verdict(const struct problems *problems, enum hoist_err err);

/* Text of a JSON string, borrowed. */
struct slice json_text(const json_t *string);

/* "a boolean", "null" … */
const char *json_type_word(const json_t *v);

/*
 * The object or array in `text`. Keys that stand twice, numbers that would be rounded and text that
 * is not UTF-8 are added to `problems`, and reading goes on without them.
 *
 * Errors:  EINVAL  it is not JSON: one problem says where
 *          ENOMEM
 */
MUST_USE enum hoist_err json_load(struct slice text, struct problems *problems, json_t **ret);

/* For whoever makes jansson's values: whether memory was out for one since the beginning. A value
 * that is NULL then goes missing in what it was to be put into, and nothing else would tell. */
void json_memory_begin(void);
bool json_memory_failed(void);

/* The text that stands between two quotes, its escapes read: in `arena`, or `text` itself where there
 * are none, or wrong ones, of which jansson tells. Only ENOMEM is an error. */
MUST_USE enum hoist_err json_unescape(struct slice text, struct arena *arena, struct slice *ret);

/* What jansson does not tell, or stops at: added to `problems`, and mended in place so that jansson
 * takes it. Stops at what is not JSON. `places` (may be NULL) hears of every path. Only ENOMEM is an
 * error. */
struct places;
MUST_USE enum hoist_err json_scan(uint8_t *text, size_t len, struct problems *problems,
                                  struct places *places);

/* The key or item at byte `at` has this path. */
void places_meet(struct places *p, const struct path *path, size_t at);

enum tree_kind { TREE_VALUE, TREE_RULE };

/* The nodes of `v`, borrowed from the reader until the next call; count 0 when there was a problem.
 */
struct tree tree_read(struct reader *r, const json_t *v, enum tree_kind kind);

/* `$evaluators`, if there are any (`v` is not NULL): all but those of which a problem was said. */
void evaluators_read(struct reader *r, const json_t *v);

/* The rule `v`, in `arena`; count 0 when it is {}, or there was a problem. */
struct tree targeting_read(struct reader *r, struct arena *arena, const json_t *v);

/* The value of a variant, or metadata: one node for all but objects and arrays. Its text is
 * borrowed. */
struct node scalar_read(const json_t *v);

/* Metadata in the object `v`: sorted, in `arena`. False when there was a problem. */
bool metadata_read(struct reader *r, const json_t *v, struct arena *arena,
                   struct meta_item **ret_items, uint32_t *ret_count);

/* Gives `f` its own metadata `mine`, sorted and in its arena, over the file's. */
void metadata_merge(struct reader *r, struct flag *f, const struct meta_item *mine,
                    uint32_t mine_count);

/* The variant that `v` names. Nothing is said where there are no variants to compare with. */
int32_t variant_named(struct reader *r, const struct flag *f, const json_t *v);

/* The field `requires`, once the variants are read. */
void requires_read(struct reader *r, struct flag *f, const json_t *v);

/* The flag `key` that `v` defines. `key_inside`: the definition carries its key (flags as an
 * array). NULL when there was a problem. */
struct flag *flag_read(struct reader *r, struct slice key, const json_t *v, bool key_inside);

/* The flags of a whole document, an object; as flag_file_read(), but for the thread's sentence. */
MUST_USE enum hoist_err document_read(const json_t *json, struct problems *problems,
                                      struct flag_file **ret_file);

struct named_flag { /* a flag of the file */
    struct slice key;
    size_t index;      /* where it stands, if flags are an array */
    struct flag *flag; /* NULL: it could not be read */
};

/* The path of a flag of the file; what is added from now on is about it. */
size_t path_flag(struct reader *r, const struct named_flag *flag);

/* What is odd about `flags`, sorted by key: added to `warnings`. */
void lint_flags(struct reader *r, const struct named_flag *flags, size_t count,
                struct problems *warnings);

/* Whether a problem was found in the flag. */
bool flag_is_spoiled(struct reader *r, const struct named_flag *flag);

/* Whether every problem is one of a flag, so that the others could be taken. */
bool problems_of_flags_alone(const struct problems *problems);

/* Whether each problem that is one of a flag is of one that `file` skips. */
bool problems_are_of_skipped(const struct problems *problems, const struct flag_file *file);

/* Add to the file's skipped flags. */
void skip_flag(struct reader *r, struct flag_file *file, const struct named_flag *flag);

/* Requirements among `flags`, sorted by key: they name variants that exist, and make no circle. */
void requires_check(struct reader *r, const struct named_flag *flags, size_t count);

#endif
