#include "guards.h"

#include "base/mem.h"
#include "release/engine.h"

enum hoist_err guards_start(const struct settings *s, struct prometheus **ret)
{
    const struct prometheus_config config = {.url = s->prometheus,
                                             .token_file = s->prometheus_token,
                                             .ca = s->prometheus_ca,
                                             .insecure = s->insecure};
    *ret = NULL;
    return s->prometheus ? prometheus_start(&config, ret) : HOIST_OK;
}

struct asked { /* whom to tell */
    void (*done)(void *arg, const struct release_answer *answers);
    void *arg;
};

static void on_answers(void *arg, const struct prometheus_answer *answers, uint32_t count)
{
    struct asked *a = arg;
    struct release_answer told[RELEASE_GUARDS_MAX];
    for (uint32_t i = 0; i < count && i < RELEASE_GUARDS_MAX; i++)
        told[i] = (struct release_answer){answers[i].verdict, answers[i].value};
    a->done(a->arg, told);
    mem_free(a);
}

static enum hoist_err ask(void *arg, const struct release_plan *plan, uint32_t guards,
                          void (*done)(void *done_arg, const struct release_answer *answers),
                          void *done_arg)
{
    struct prometheus_query queries[RELEASE_GUARDS_MAX];
    uint32_t count = 0;
    struct asked *a = mem_alloc(sizeof *a);
    if (!a)
        return err_set(HOIST_ENOMEM, "out of memory");
    *a = (struct asked){done, done_arg};
    for (uint32_t left = guards; left; left &= left - 1) {
        const struct release_guard *g = &plan->guards[__builtin_ctz(left)];
        queries[count++] = (struct prometheus_query){(const char *)g->query.ptr, g->pass};
    }
    enum hoist_err err = prometheus_ask(arg, queries, count, on_answers, a);
    if (err)
        mem_free(a);
    return err;
}

struct primary_guards guards_of(struct prometheus *p)
{
    return (struct primary_guards){p ? ask : NULL, p};
}
