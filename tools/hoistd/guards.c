#include "guards.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "release/engine.h"

struct heard { /* what the guards of a plan said last */
    uint8_t plan[HASH_SIZE];
    uint8_t verdicts[RELEASE_GUARDS_MAX]; /* enum release_verdict; 0: none yet */
};

struct guards {
    struct prometheus *prometheus;
    struct heard
        *heard; /* an entry a plan; touched only where answers come, one set after the other */
    size_t count, cap;
};

enum hoist_err guards_start(const struct settings *s, struct guards **ret)
{
    *ret = NULL;
    if (!s->prometheus.url)
        return HOIST_OK;
    struct guards *g = mem_zalloc(1, sizeof *g);
    if (!g)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = prometheus_start(&s->prometheus, &g->prometheus);
    if (err)
        mem_free(g);
    else
        *ret = g;
    return err;
}

void guards_stop(struct guards *g)
{
    if (!g)
        return;
    prometheus_stop(g->prometheus);
    mem_free(g->heard);
    mem_free(g);
}

/* ------------------------------------------------------------------ asking */

struct asked { /* about whom, and whom to tell; its texts, as the plan may be gone by then */
    struct guards *guards;
    void (*done)(void *arg, const struct release_answer *answers);
    void *arg;
    struct arena own;
    uint8_t plan[HASH_SIZE];
    struct slice release;
    uint8_t index[RELEASE_GUARDS_MAX]; /* of each answer's guard */
    struct slice name[RELEASE_GUARDS_MAX];
};

static void asked_free(struct asked *a)
{
    arena_done(&a->own);
    mem_free(a);
}

static enum hoist_err asked_add(struct asked *a, const struct release_plan *plan, uint32_t guard,
                                uint32_t at)
{
    a->index[at] = (uint8_t)guard;
    a->name[at] = plan->guards[guard].name;
    return arena_own(&a->own, &a->name[at]);
}

/* NULL: memory is out. */
static struct heard *heard_of(struct guards *g, const uint8_t plan[HASH_SIZE])
{
    for (size_t i = 0; i < g->count; i++)
        if (hash_equal(g->heard[i].plan, plan))
            return &g->heard[i];
    struct heard *all = g->count == g->cap ? mem_grow(g->heard, &g->cap, 8, sizeof *all) : g->heard;
    if (!all)
        return NULL;
    g->heard = all;
    all[g->count] = (struct heard){0};
    memcpy(all[g->count].plan, plan, HASH_SIZE);
    return &all[g->count++];
}

/* Why there is no answer, once: it may go on for many rounds. */
static void say_why(struct asked *a, const struct prometheus_answer *answers, uint32_t count)
{
    struct heard *before = heard_of(a->guards, a->plan);
    for (uint32_t i = 0; i < count && before; i++) {
        uint8_t *verdict = &before->verdicts[a->index[i]];
        if (*verdict != answers[i].verdict && answers[i].why[0])
            log_warn("hoistd: release %.*s, guard %.*s: %s: %s", SLICE_ARG(a->release),
                     SLICE_ARG(a->name[i]), release_verdict_name(answers[i].verdict),
                     answers[i].why);
        *verdict = (uint8_t)answers[i].verdict;
    }
}

static void on_answers(void *arg, const struct prometheus_answer *answers, uint32_t count)
{
    struct asked *a = arg;
    struct release_answer told[RELEASE_GUARDS_MAX];
    for (uint32_t i = 0; i < count && i < RELEASE_GUARDS_MAX; i++)
        told[i] = (struct release_answer){answers[i].verdict, answers[i].value};
    say_why(a, answers, count);
    a->done(a->arg, told);
    asked_free(a);
}

static enum hoist_err ask(void *arg, const struct release_plan *plan, uint32_t guards,
                          void (*done)(void *done_arg, const struct release_answer *answers),
                          void *done_arg)
{
    struct guards *g = arg;
    struct prometheus_query queries[RELEASE_GUARDS_MAX];
    uint32_t count = 0;
    struct asked *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return err_set(HOIST_ENOMEM, "out of memory");
    *a = (struct asked){.guards = g, .done = done, .arg = done_arg, .release = plan->name};
    memcpy(a->plan, plan->hash, HASH_SIZE);
    enum hoist_err err = arena_own(&a->own, &a->release);
    for (uint32_t left = guards; left && !err; left &= left - 1, count++) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        queries[count] = (struct prometheus_query){(const char *)plan->guards[guard].query.ptr,
                                                   plan->guards[guard].pass};
        err = asked_add(a, plan, guard, count);
    }
    if (!err)
        err = prometheus_ask(g->prometheus, queries, count, on_answers, a);
    if (err)
        asked_free(a);
    return err;
}

struct primary_guards guards_of(struct guards *g)
{
    return (struct primary_guards){g ? ask : NULL, g};
}
