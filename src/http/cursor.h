/* cursor.h - how far a sink has been told: a version for each environment, in a file of the store's
 * directory, which is replaced in one step.
 *
 *   hoist-notify-1
 *   production 42
 *   staging 7
 *
 * and places of other names than an environment may have: follow.h.
 *
 * Threads: one at a time.
 */
#ifndef HTTP_CURSOR_H
#define HTTP_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct cursor_at {
    char env[STORE_ENV_NAME_MAX + 1];
    uint64_t version; /* the last one that needs no telling any more */
};

struct cursor {
    char *path;
    struct cursor_at *envs;
    size_t count, cap;
    size_t next; /* where the environment is that is likely asked for */
    bool is_new; /* there was no file: what was before is nobody's news */
};

/* Read `dir`/notify-`name`. ECORRUPT (the file is none; names the mend), EACCES, EIO, ENOMEM. */
MUST_USE enum hoist_err cursor_open(const char *dir, const char *name, struct cursor *ret);
void cursor_done(struct cursor *c); /* fine on what is zeroed */

/* Where it stands in `env`, which is taken up if it is not known: at its head if the file was new, else
 * before its first change. NULL: memory is out. Stays until the next one is taken up. */
struct cursor_at *cursor_get(struct cursor *c, const struct store_env *env);

/* The place called `name`, taken up at `version` if it is not known; and to let one go, by index. */
struct cursor_at *cursor_place(struct cursor *c, const char *name, uint64_t version);
void cursor_drop(struct cursor *c, size_t at);

/* Keep it. ENOSPC, EACCES, EIO, ENOTFOUND, ENOMEM: then the file is as it was. */
MUST_USE enum hoist_err cursor_write(struct cursor *c);

#endif
