/* envs.h - the environments that HTTP reads: a handle for each that was asked for. */
#ifndef HTTP_ENVS_H
#define HTTP_ENVS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "client/client.h"

enum { ENVS_MAX = 1025 /* all that a store may have, and the one that is named first */ };

struct env {
    struct env *next;
    hoist *hoist;
    char name[64]; /* "": the one that is named first */

    /* streams.c, under its lock */
    struct client_head head; /* what its streams are told */
    uint64_t looked;         /* when it was last looked at: a count of rounds */
};

struct envs;

/* On `s`, which must stay open until envs_free(). EINVAL … as client_open_on(). */
MUST_USE enum hoist_err envs_new(struct store *s, struct envs **ret);
void envs_free(struct envs *e);

/*
 * The environment called `name`; empty: the one that is named first, which need not be there yet.
 *
 * Gives:   *ret, which lives as long as `e`.
 * Errors:  ENOTFOUND  there is none of that name (yet)
 *          ELIMIT     more than ENVS_MAX
 *          ENOMEM and others
 * Threads: any.
 */
MUST_USE enum hoist_err envs_find(struct envs *e, struct slice name, struct env **ret);

#endif
