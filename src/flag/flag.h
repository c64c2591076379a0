/* flag.h - the flag model: what a flag is, the limits, and flags as JSON (the open flagd format).
 *
 * A flag is immutable once made; changing one makes another (flag_edit.h's verbs). Everything that
 * a flag points to lives in its arena, and goes with flag_free().
 */
#ifndef FLAG_FLAG_H
#define FLAG_FLAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "flag/tree.h"

enum {
    FLAG_KEY_MAX = 255,
    FLAG_ENV_MAX = 63,
    FLAG_VARIANTS_MAX = 1024,
    FLAG_RECORD_MAX = 256 << 10, /* one flag, encoded */
    FLAG_NO_VARIANT = -1,
};

struct variant {
    struct slice name;
    struct tree value; /* a single node, except for objects and arrays */
};

struct meta_item { /* metadata: one node, a string, number or boolean */
    struct slice name;
    struct node value;
};

struct requirement { /* `requires`: flag → variant */
    struct slice flag;
    struct slice variant;
};

struct flag {
    struct slice key;
    enum hoist_type type; /* of all its variants */
    bool enabled;
    struct variant *variants;   /* as written in the file: order is kept, names are distinct */
    uint32_t variant_count;     /* ≥ 1 */
    int32_t default_variant;    /* index, or FLAG_NO_VARIANT */
    int32_t override;           /* index, or FLAG_NO_VARIANT */
    struct tree targeting;      /* count 0: none */
    struct meta_item *metadata; /* sorted by name, the file's merged under the flag's own */
    uint32_t metadata_count;
    struct requirement *requires; /* sorted by flag */
    uint32_t requires_count;
    int32_t
        otherwise; /* index of the variant when a requirement is not met; FLAG_NO_VARIANT if none */

    struct arena arena; /* owns all of the above */
};

/* An empty flag with its own copy of `key`; the caller fills it within its arena. NULL: no memory.
 */
struct flag *flag_new(struct slice key);
void flag_free(struct flag *f);

/* The index of the variant called `name`, or FLAG_NO_VARIANT. */
int32_t flag_variant(const struct flag *f, struct slice name);

/* The same flag: every part equal, `override` too. Variant order counts. */
bool flag_equal(const struct flag *a, const struct flag *b);
bool tree_equal(struct tree a, struct tree b);

/* EINVAL with the reason: 1–255 bytes of UTF-8 without control characters. */
MUST_USE enum hoist_err flag_key_check(struct slice key);

/* An environment's name: 1–63 of [a-z0-9._-], beginning with a letter or digit. */
MUST_USE enum hoist_err flag_env_check(struct slice name);

/* ------------------------------------------------------------------ problems */

/* What is wrong with a file: every problem, each with its place and mend. */
struct problem {
    char *path;            /* as in flags.x.variants, or "line 3, column 7" */
    char *message;         /* what is wrong */
    char *mend;            /* what to do, or "" */
    uint32_t line, column; /* from 1 on, in characters; 0: not known */
    size_t flag_len;       /* so much of `path` names the flag; 0: it is about the whole file */
};

struct problems { /* all zero is none */
    struct problem *items;
    size_t count;    /* kept: at most 1,000 */
    size_t total;    /* found */
    size_t flag_len; /* of those that are added from now on */
    bool no_memory;  /* one could not be kept */
};

void problems_add(struct problems *p, const char *path, const char *mend, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The same of a place that is known. */
void problems_add_at(struct problems *p, uint32_t line, uint32_t column, const char *path,
                     const char *mend, const char *fmt, ...) PRINTF_LIKE(6, 7);
void problems_sort(struct problems *p); /* by line, then by column */
void problems_done(struct problems *p);

/* Find the lines of problems that were found in `json`: of the place itself, or of what it is missing
 * from. */
MUST_USE enum hoist_err problems_locate(struct problems *p, struct slice json);

/* ------------------------------------------------------------------ a file of flags */

struct skipped_flag { /* one that was left out */
    char *key;        /* "" where it has none */
    char *path;       /* its problems' paths begin with it: problem.flag_len says how far */
};

struct flag_file {
    struct flag **flags; /* sorted by key, each to itself; NULL where a caller took one over */
    size_t count;
    struct skipped_flag *skipped; /* by flag_file_read_valid() alone */
    size_t skipped_count;
};

/*
 * Read a flag file in the flagd format: `flags` as a map or an array, `$evaluators`, `metadata`.
 * $ref is expanded (and kept by name), the file's metadata merged into each flag.
 *
 * Gives:   *ret_file, to be freed.
 * Errors:  EINVAL with *problems filled: all of them, not the first; *ret_file untouched.
 *          ENOMEM
 */
MUST_USE enum hoist_err flag_file_read(struct slice json, struct flag_file **ret_file,
                                       struct problems *problems);
void flag_file_free(struct flag_file *file);

/*
 * The same, but flags that have problems are left out: the file is OK with *problems filled.
 * Errors:  EINVAL  something is wrong with the file itself: all of *problems stand in the way.
 */
MUST_USE enum hoist_err flag_file_read_valid(struct slice json, struct flag_file **ret_file,
                                             struct problems *problems);

/* Leave out one more flag, of which a problem is added. */
MUST_USE enum hoist_err flag_file_skip(struct flag_file *file, size_t index,
                                       struct problems *problems, const char *mend,
                                       const char *message);

/*
 * What is wrong with a flag file, and what is odd about it though it may be meant: conditions that are
 * always so, weights that are no percentages, what is never reached, names that differ by case alone.
 * All with line and column. *ret_flags: how many flags there are without problems.
 * Errors:  ENOMEM alone.
 */
MUST_USE enum hoist_err flag_file_lint(struct slice json, struct problems *problems,
                                       struct problems *warnings, size_t *ret_flags);

/*
 * Read a rule by itself: {"if": …}, or with rules that it refers to, {"targeting": RULE,
 * "$evaluators": {…}}.
 *
 * Gives:   *ret_rule, in `arena`; count 0 for {}, which is no rule.
 * Errors:  as flag_file_read().
 */
MUST_USE enum hoist_err flag_rule_read(struct slice json, struct arena *arena,
                                       struct tree *ret_rule, struct problems *problems);

/*
 * Write flags as a flag file: sorted keys, two-space JSON, a newline at the end; equal flags give
 * equal bytes. Metadata that all flags share is lifted out; $evaluators are written again (a rule
 * of one name that differs between flags is written in place instead of by reference). `flags` must
 * be sorted by key.
 */
MUST_USE enum hoist_err flag_file_write(struct flag *const *flags, size_t count, struct buf *out);

#endif
