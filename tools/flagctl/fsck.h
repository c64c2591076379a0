/* fsck.h - checking a store, for fsck and backup. */
#ifndef FLAGCTL_FSCK_H
#define FLAGCTL_FSCK_H

#include "flagctl.h"

enum { FSCK_TOLD_MAX = 1000 }; /* faults that are told one by one */

struct fsck { /* what a child found */
    const char *dir;
    json_t *list, *sums, *error;
};

/* The store that is meant: --store, or this host's. */
const char *fsck_store_dir(const struct call *c);

/* In the child: check what *ret sees, and tell. False: it failed, and that was told. */
bool fsck_read(struct store *s, int out, struct store_read **ret, uint64_t *ret_faults);
void fsck_tell_error(int out, enum hoist_err err);

/* In the parent. */
void fsck_begin(struct fsck *f, const char *dir);
void fsck_done(struct fsck *f);
/* For guard_run(), with a struct fsck. */
void fsck_take(void *arg, const json_t *line);
/* Whether there was nothing to check, which was shown then. */
bool fsck_failed(struct call *c, const struct fsck *f, int signal, int *ret_exit);
/* How many faults, with what ended the child among them. */
uint64_t fsck_settle(struct fsck *f, int signal);
void fsck_show_faults(const struct call *c, const struct fsck *f, uint64_t counted);

#endif
