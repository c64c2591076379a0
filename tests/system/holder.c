/* holder.c - open a view, read a flag, and never let go: a reader that is stuck.
 *
 *   holder STORE ENV KEY               prints "holding VERSION", then sleeps until it is ended
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "hoist.h"

int main(int argc, char **argv)
{
    hoist *h;
    hoist_view *v;
    struct hoist_result r;
    if (argc != 4)
        return 2;
    if (hoist_open(&h, argv[1], argv[2]) != HOIST_OK || hoist_view_begin(h, &v) != HOIST_OK) {
        fprintf(stderr, "%s\n", hoist_last_error());
        return 1;
    }
    hoist_view_evaluate(v, argv[3], NULL, 0, &r, NULL, 0);
    printf("holding %" PRIu64 "\n", hoist_view_version(v));
    fflush(stdout);
    for (;;)
        pause();
}
