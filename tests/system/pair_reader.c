/* pair_reader.c - read two flags that always change together, in views, and say so when they
 * differ.
 *
 *   pair_reader STORE ENV KEY KEY      prints "views N" each second, "mixed A B" and ends when they
 * differ
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "hoist.h"

int main(int argc, char **argv)
{
    hoist *h;
    if (argc != 5)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)hoist_open(&h, argv[1], argv[2]);
    uint64_t views = 0;
    for (time_t said = 0;;) {
        hoist_view *v;
        if (hoist_view_begin(h, &v) != HOIST_OK)
            continue;
        int64_t a = hoist_view_int(v, argv[3], NULL, -1);
        int64_t b = hoist_view_int(v, argv[4], NULL, -1);
        hoist_view_end(v);
        views++;
        if (a != b) {
            printf("mixed %" PRId64 " %" PRId64 " after %" PRIu64 " views\n", a, b, views);
            return 1;
        }
        if (time(NULL) != said) {
            said = time(NULL);
            printf("views %" PRIu64 "\n", views);
        }
    }
}
