/* check_int.h - what the files of the check share. */
#ifndef STORE_CHECK_INT_H
#define STORE_CHECK_INT_H

#include "store/rows.h"
#include "store/store_int.h"

struct check {
    struct store_read *r;
    void (*fault)(void *arg, const struct store_fault *fault);
    void *arg;
    struct store_checked sums;
    const char *env; /* the one at hand, or "" */
    bool
        at_start; /* leave out what takes as long as the log is: it is compared with its checksums */
};

/* Tell of a fault in the row `key` of `name`. */
PRINTF_LIKE(4, 5)
void check_tell(struct check *c, enum db_name name, struct slice key, const char *fmt, ...);

/* The rows of an environment in one database, or all rows of it. */
struct walk {
    struct check *c;
    enum db_name name;
    MDB_cursor *cursor;
    bool of_env;
    uint16_t env;
    bool begun;
    struct slice row_key; /* as in LMDB */
    struct slice key;     /* without the environment's id, where there is one */
    struct slice row;
};
MUST_USE enum hoist_err walk_begin(struct check *c, enum db_name name, const uint16_t *env,
                                   struct walk *ret);
/* False: there are no more, or no more can be read, which was told. */
bool walk_next(struct walk *w);
void walk_end(struct walk *w);

/* A row of meta; false when there is none. */
bool check_meta(struct check *c, struct row_key k, struct slice *ret);

struct check_cut { /* the change that is being cut off the log, and what is left of it; 0: none */
    uint64_t version, offset;
    uint32_t left;
};

/* The edits of a change that the log still has. */
MUST_USE enum hoist_err check_edits(const struct check_cut *cut, const struct change *c,
                                    struct edits_reader *ret);

/* store_check(), whole or as at a start. */
MUST_USE enum hoist_err check_store(struct check *c, struct store_checked *ret);

/* The log of an environment, and what is kept beside it: touch and baseline. */
MUST_USE enum hoist_err check_log(struct check *c, const struct store_env *env,
                                  struct check_cut *ret_cut);

/* What the flags were at each version of the log. `sum`: of what is there now; it is used up. */
MUST_USE enum hoist_err check_past(struct check *c, const struct store_env *env,
                                   const struct check_cut *cut, struct lthash *sum);

/* check_commands.c: answers that are kept. */
MUST_USE enum hoist_err check_commands(struct check *c);

/* check_usage.c: how often flags are evaluated. */
MUST_USE enum hoist_err check_usage(struct check *c);

/* release.c: what happened to releases. */
MUST_USE enum hoist_err check_releases(struct check *c);

/* check_seals.c: rows that no other hash covers. */
MUST_USE enum hoist_err check_seals(struct check *c);

#endif
