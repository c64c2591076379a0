/* private.h - environments that are given out at listeners of their own, and nowhere else. */
#ifndef PRIMARY_PRIVATE_H
#define PRIMARY_PRIVATE_H

#include "base/arena.h"
#include "base/err.h"

struct private_listener {
    const char *url;
    const char **hidden; /* what is private, and not given out here */
    uint32_t hidden_count;
};

struct privates { /* all zero: none */
    struct arena arena;
    const char **envs; /* all that are private */
    uint32_t env_count;
    struct private_listener *listeners; /* one for each address */
    uint32_t listener_count;
};

/* From texts "ENV=URL", which are copied. EINVAL (names the text), ENOMEM. */
MUST_USE enum hoist_err privates_read(const char *const *texts, uint32_t count,
                                      struct privates *ret);
void privates_done(struct privates *p);

#endif
