/* files.h - the directories and files around LMDB's: where they are, who may use them.
 *
 * Private to the store. No function here knows LMDB. What only a writer needs is in files_make.c.
 */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* DIR/NAME into `out`; false when that is too long. */
bool path_join(char out[PATH_MAX], const char *dir, const char *name);

/* DIR/N. */
bool path_number(char out[PATH_MAX], const char *dir, uint32_t number);

/*
 * What `dir` (or the nearest directory above it that exists) lies on: EINVAL when that is a network
 * filesystem, since shared memory does not agree between two machines there. *ret_memory: it is in
 * memory (tmpfs), where an fsync is of no use.
 */
MUST_USE enum hoist_err files_check_fs(const char *dir, bool *ret_memory);

/* For tests: the f_type that files_check_fs() sees; 0: the real one. */
void files_set_fs_type(long f_type);

/*
 * Make `dir`, and those above it, unless it is there; EINVAL when it is something else than a store
 * and not empty, so that a mistyped path changes nobody's files.
 */
MUST_USE enum hoist_err files_make_dir(const char *dir);

/* Its mode, unless the directory is another user's, who chose one. */
MUST_USE enum hoist_err files_set_mode(const char *dir, mode_t mode);

/* Make directory DIR/N anew: what a crash left there goes first. */
MUST_USE enum hoist_err files_make_number(const char *dir, uint32_t number, mode_t mode);

/* The number of a numbered directory of that name. */
bool files_parse_number(const char *name, uint32_t *ret);

/* Where DIR/current leads. ENOTFOUND: nowhere; ECORRUPT: to what is no number. */
MUST_USE enum hoist_err files_current(const char *dir, uint32_t *ret_number);

/* Make DIR/current lead to N, at once, and last. EUNKNOWN: it does, perhaps not after a crash of the
 * machine. After any other error it leads where it did. */
MUST_USE enum hoist_err files_set_current(const char *dir, uint32_t number);

/* Remove DIR/N with its files. What cannot be removed stays, for the next start. */
void files_remove_number(const char *dir, uint32_t number);

/* The numbered directory in `dir` that comes after `after`; 0: the first. False: there is none. */
bool files_next_number(const char *dir, uint32_t after, uint32_t *ret);

/* Remove each numbered directory in `dir` but `keep`; 0: all. */
void files_remove_others(const char *dir, uint32_t keep);

/* A file of `size` bytes that are really there, of `mode`; one that is longer is left as it is.
 * *ret_fd is to be closed. */
MUST_USE enum hoist_err files_allocate(const char *path, off_t size, mode_t mode, int *ret_fd);

MUST_USE enum hoist_err files_sync(const char *path);

/* The error for errno at `path`. */
enum hoist_err files_err(int error, const char *what, const char *path);

#endif
