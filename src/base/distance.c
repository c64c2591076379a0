/* text_distance(), apart from text.c because readers of flags need the rest of it and not this. */
#include "base/text.h"

static int min2(int a, int b)
{
    return a < b ? a : b;
}

int text_distance(struct slice a, struct slice b, int max)
{
    size_t longer = a.len > b.len ? a.len : b.len;
    size_t shorter = a.len > b.len ? b.len : a.len;
    if (slice_eq(a, b))
        return 0;
    if (longer > TEXT_DISTANCE_LEN || longer - shorter > (size_t)max)
        return max + 1;

    /* Three rows of the table: the one before the last is for swaps. Row i, column j: the distance
     * of the first i bytes of `a` from the first j of `b`. */
    int rows[3][TEXT_DISTANCE_LEN + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        last[j] = (int)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= b.len; j++) {
            int same = a.ptr[i - 1] == b.ptr[j - 1];
            row[j] = min2(min2(last[j] + 1, row[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        int *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return min2(last[b.len], max + 1);
}
