/* How often flags are evaluated, a second: from what the primary has added up, looked at now and then. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "top.h"

static void forget(struct top_usage *u)
{
    for (size_t i = 0; i < u->count; i++)
        json_decref(u->samples[i].answer);
    u->count = 0;
}

void top_usage_done(struct top_usage *u)
{
    forget(u);
}

void top_usage_add(struct top_usage *u, json_t *answer, int64_t now_ms)
{
    const json_t *last = u->count ? u->samples[u->count - 1].answer : NULL;
    if (strcmp(text_of(last, "env"), text_of(answer, "env")) != 0)
        forget(u);
    if (u->count == TOP_SAMPLES) {
        json_decref(u->samples[0].answer);
        memmove(u->samples, u->samples + 1, (TOP_SAMPLES - 1) * sizeof *u->samples);
        u->count--;
    }
    u->samples[u->count++] = (struct top_sample){answer, now_ms};
}

/* ------------------------------------------------------------------ what came of it */

struct used {
    const json_t *flag;
    double rate; /* -1: not known yet */
};

static const json_t *find(const json_t *answer, const char *key)
{
    size_t i;
    json_t *flag;
    json_array_foreach(json_object_get(answer, "flags"), i, flag)
    {
        if (strcmp(text_of(flag, "key"), key) == 0)
            return flag;
    }
    return NULL;
}

/* A flag that was not among the most evaluated ones then, or was made anew since, has none. */
static double rate_of(const struct top_usage *u, const json_t *flag)
{
    const struct top_sample *first = &u->samples[0], *last = &u->samples[u->count - 1];
    const json_t *then = u->count > 1 ? find(first->answer, text_of(flag, "key")) : NULL;
    uint64_t total = number_of(flag, "total"), before = number_of(then, "total");
    if (!then || before > total || last->ms <= first->ms)
        return -1;
    return (double)(total - before) * 1000 / (double)(last->ms - first->ms);
}

static int by_rate(const void *a, const void *b)
{
    const struct used *x = a, *y = b;
    if (x->rate != y->rate)
        return x->rate < y->rate ? 1 : -1;
    return strcmp(text_of(x->flag, "key"), text_of(y->flag, "key"));
}

json_t *top_usage_flags(const struct top_usage *u)
{
    const json_t *answer = u->count ? u->samples[u->count - 1].answer : NULL;
    const json_t *flags = json_object_get(answer, "flags");
    size_t i, count = 0;
    json_t *flag, *out = json_array();
    struct used *all = mem_zalloc(json_array_size(flags) + 1, sizeof *all);
    json_array_foreach(flags, i, flag)
    {
        if (all && number_of(flag, "total") > 0)
            all[count++] = (struct used){flag, rate_of(u, flag)};
    }
    if (all && u->count > 1) /* else as they came: most evaluated first */
        qsort(all, count, sizeof *all, by_rate);
    for (i = 0; i < count && i < TOP_FLAGS; i++) {
        json_t *copy = json_deep_copy(all[i].flag);
        json_object_set_new(copy, "per_second",
                            all[i].rate >= 0 ? json_real(all[i].rate) : json_null());
        json_array_append_new(out, copy);
    }
    mem_free(all);
    return out;
}
