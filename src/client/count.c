#include "client/count.h"

#include "client/fork.h"

void count_first(uint32_t slot)
{
    fork_check(); /* so that a child which never goes to the store is known to the agent, too */
    if (tally_begin())
        (void)tally_add(slot);
}
