/* query_fleet.h - questions about the fleet, which only its primary can answer.
 *
 *   fleet  {env, behind, labels: {k: v}}        the hosts that follow an environment, how they
 * stand wait   {env, epoch, version, percent}       how far a version has landed; does not wait
 * itself
 *
 * Whoever waits asks again and again, so that no question keeps another waiting, and nothing has to
 * be kept for those who went away.
 */
#ifndef PRIMARY_QUERY_FLEET_H
#define PRIMARY_QUERY_FLEET_H

#include <jansson.h>

#include "primary/fleet.h"

bool fleet_is_question(struct slice name);

/* As query_run(). */
uint32_t fleet_answer(struct fleet *f, struct store_read *r, struct slice name, const json_t *args,
                      const void *asker, struct buf *out);

#endif
