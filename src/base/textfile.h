/* textfile.h - small text files, some of which are secret: read whole, written whole. */
#ifndef BASE_TEXTFILE_H
#define BASE_TEXTFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * The text of `path`, ended with a NUL, owned by the caller (textfile_wipe()).
 *
 * Errors:  EINVAL     not a file, longer than `max` bytes, or it has a NUL in it
 *          EACCES     it may not be read; or `secret`, and others than its owner may read it: names
 *                     the mend
 *          ENOTFOUND, EIO, ENOMEM. All with the path.
 */
MUST_USE enum hoist_err textfile_read(const char *path, size_t max, bool secret, char **ret);

/*
 * Write `text` to `path`, of mode `mode`, synced: it is there whole or not at all. A file that is there
 * stays (EINVAL), or with `replace` is followed by the new one, whose owner is the old one's; a link
 * goes on to lead there. Who is
 * killed meanwhile may leave a file beside it, `path` with a dot and six letters.
 * Errors: ENOTFOUND (the directory), EACCES, ENOSPC, EIO, ENOMEM; then nothing has changed.
 */
MUST_USE enum hoist_err textfile_write(const char *path, struct slice text, mode_t mode,
                                       bool replace);

/* Zero it and free it. NULL is fine. */
void textfile_wipe(char *text);

#endif
