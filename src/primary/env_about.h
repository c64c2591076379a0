/* env_about.h - what operators say about an environment: whether it is protected, and metadata.
 *
 * Kept by the primary alone, beside the environment's history and not in it: it decides who may
 * change flags how, and no host reads it.
 */
#ifndef PRIMARY_ENV_ABOUT_H
#define PRIMARY_ENV_ABOUT_H

#include <jansson.h>
#include <stdbool.h>

#include "flag/json.h"
#include "store/store.h"

enum { ENV_METADATA_MAX = 64, ENV_METADATA_TEXT_MAX = 1024 };

struct env_about {
    bool is_protected;
    json_t *metadata; /* an object: strings, numbers, booleans */
};

/* What stands in the store; nothing was said: not protected, no metadata. ECORRUPT, ENOMEM, EIO. */
MUST_USE enum hoist_err env_about_read(struct store_read *r, const char *env,
                                       struct env_about *ret);
void env_about_done(struct env_about *a);

MUST_USE enum hoist_err env_about_write(struct store_write *w, const char *env,
                                        const struct env_about *a);

/* Take over what `wish` says: "protected" (a boolean), "metadata" (an object whose nulls take a member
 * away). *ret_changed: that made a difference. EINVAL with the sentence. */
MUST_USE enum hoist_err env_about_change(struct env_about *a, const json_t *wish,
                                         bool *ret_changed);

/* Its two members, into an object that is open. */
void env_about_put(struct json_writer *w, const struct env_about *a);

#endif
