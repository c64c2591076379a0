/* row.h - what is kept of one flag: for each variant how often it was yielded, and when.
 *
 *   [1, [[variant, first, last, total, day, [count, …], …], …]]        msgpack
 *
 * An empty variant: the caller's fallback held. first and last are Unix seconds; day is the newest
 * that has a count (days since 1970, UTC), and the counts are of it and of those before it, at most
 * USAGE_DAYS. Further elements are ignored.
 */
#ifndef USAGE_ROW_H
#define USAGE_ROW_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "flag/flag.h"

enum {
    USAGE_DAYS = 32,
    USAGE_VARIANTS_MAX = FLAG_VARIANTS_MAX + 1, /* beyond: the one yielded longest ago goes */
    USAGE_DAY_S = 86400,
};

struct usage_variant {
    struct slice name;
    int64_t first_s, last_s;
    uint64_t total;
    int64_t day;
    uint64_t counts[USAGE_DAYS]; /* of `day`, of the day before it … */
};

struct usage_row { /* all zero is an empty one */
    struct usage_variant *variants;
    uint32_t count;
    size_t cap;
};

/* Names borrow from `in`. ECORRUPT, EVERSION, ENOMEM; *ret is untouched then, else to be done with. */
MUST_USE enum hoist_err usage_row_read(struct slice in, struct usage_row *ret);
void usage_row_write(const struct usage_row *row, struct buf *out);
void usage_row_done(struct usage_row *row);

/* `n` evaluations now; the row borrows `variant`. ENOMEM. */
MUST_USE enum hoist_err usage_row_add(struct usage_row *row, struct slice variant, uint64_t n,
                                      int64_t now_s);

/* How often in the last `days` days, of which now's is one; at most USAGE_DAYS. */
uint64_t usage_variant_in(const struct usage_variant *v, int64_t now_s, int days);

#endif
