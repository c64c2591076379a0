/* pages.h - whether the pages of data.mdb are LMDB's trees: what LMDB itself trusts without a look.
 *
 * The file is read, not mapped, and nothing in it is believed: this is what a file must have passed
 * before LMDB may walk it, since LMDB follows a wrong page number or offset wherever it leads.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <stdint.h>

#include "base/err.h"

struct pages_check {
    uint64_t txn; /* as of this commit; 0: of the newest */
    /* Called for each fault: the tree that it is in, a sentence. Both are lent for the call. */
    void (*fault)(void *arg, const char *tree, const char *what);
    void *arg;
};

/*
 * Look at all pages of the file open as `fd`: each is in one tree or in the list of free pages, and
 * in no second place; it has the form of its kind; keys are in order, also from page to page; the
 * counts beside each tree's root are right.
 *
 * A reader that asks for its own commit (store_read_txn() without the base) holds its pages still,
 * so this is for files that are written meanwhile, too; `txn` 0 is for files that are not.
 *
 * OK, however many faults there are.
 * Errors:  EAGAIN  commit `txn` is older than the last two: begin to read again
 *          ECORRUPT (it is no LMDB file), EIO, ENOMEM
 */
MUST_USE enum hoist_err pages_check(int fd, const struct pages_check *how, uint64_t *ret_faults);

#endif
