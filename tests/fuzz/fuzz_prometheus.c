/* Any bytes as what a Prometheus answers: the first line is the status and the content type, behind it
 * is the body. No value but a finite one is ever judged, and what is not judged says why. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/prometheus_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_MS = 1700000000 * 1000LL, STALE_MS = 30000 };

static void check(const struct prometheus_answer *a)
{
    bool judged = a->verdict == RELEASE_PASS || a->verdict == RELEASE_FAIL;
    assert(judged || a->verdict == RELEASE_NODATA || a->verdict == RELEASE_ERROR);
    assert(judged == (bool)isfinite(a->value));
    assert(judged == (a->why[0] == '\0'));
    assert(strlen(a->why) < sizeof a->why);
    for (const char *p = a->why; *p; p++)
        assert((uint8_t)*p >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    if (!end)
        return 0;
    char *head = mem_dup(slice_of(data, (size_t)(end - data))), *type;
    assert(head);
    struct prometheus_said said = {.status = strtol(head, &type, 10),
                                   .body = slice_of(end + 1, size - (size_t)(end + 1 - data))};
    said.content_type = *type == ' ' ? type + 1 : NULL;
    struct prometheus_query q = {"up", {RELEASE_LE, 0.02}};
    struct prometheus_answer a;
    prometheus_read(&q, &said, NOW_MS, STALE_MS, &a);
    check(&a);
    mem_free(head);
    return 0;
}
