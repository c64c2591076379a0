/* query_top.h - what flagctl top asks, each second: all of one screen in one answer, whose size does not
 * grow with the fleet.
 *
 *   top  {env, sort, skip, hosts, changes, killed}
 *
 * docs/protocol.md has what is in it.
 */
#ifndef PRIMARY_QUERY_TOP_H
#define PRIMARY_QUERY_TOP_H

#include <jansson.h>

#include "primary/fleet.h"
#include "primary/killed.h"

enum {
    TOP_ENVS_MAX = 32,
    TOP_HOSTS_MAX = 500,
    TOP_SKIP_MAX = 10000, /* hosts before them */
    TOP_CHANGES_MAX = 100,
    TOP_KILLED_MAX = 100,
    TOP_KEYS_MAX = 3, /* of one change */
};

bool top_is_question(struct slice name);

/* As query_run(). */
uint32_t top_answer(struct killed *k, struct fleet *f, struct store_read *r, const json_t *args,
                    struct buf *out);

#endif
