/* release guards: what a plan's guards say now, asked of a Prometheus as the primary asks it. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "flagctl.h"

enum { ANSWER_MAX = 16 << 20 };

/* ------------------------------------------------------------------ asking */

static enum hoist_err read_config(const struct call *c, struct prometheus_config *ret)
{
    const char *timeout = options_get(c->options, "prometheus-timeout");
    *ret = (struct prometheus_config){
        .url = options_get(c->options, "prometheus"),
        .token_file = options_get(c->options, "prometheus-token-file"),
        .user_file = options_get(c->options, "prometheus-user-file"),
        .ca = options_get(c->options, "prometheus-ca"),
        .cert = options_get(c->options, "prometheus-cert"),
        .key = options_get(c->options, "prometheus-key"),
        .insecure = options_on(c->options, "insecure"),
    };
    if (read_duration(timeout, &ret->timeout_ms) == HOIST_OK && ret->timeout_ms > 0)
        return HOIST_OK;
    return err_set(HOIST_EINVAL, "--prometheus-timeout %s: a time such as 5s is meant", timeout);
}

/* Texts of a plan are ended with a NUL. */
static enum hoist_err ask_prometheus(const struct prometheus_config *config,
                                     const struct release_plan *plan, struct prometheus_answer *ret)
{
    struct prometheus_query queries[RELEASE_GUARDS_MAX];
    struct prometheus *p;
    for (uint32_t i = 0; i < plan->guard_count; i++)
        queries[i] = (struct prometheus_query){.text = (const char *)plan->guards[i].query.ptr,
                                               .pass = plan->guards[i].pass};
    enum hoist_err err = prometheus_start(config, &p);
    if (err)
        return err;
    err = prometheus_ask_wait(p, queries, plan->guard_count, ret);
    prometheus_stop(p);
    return err;
}

static int show_refused(struct call *c, enum hoist_err err)
{
    return show_failure(c, err == HOIST_EINVAL ? EXIT_INPUT : EXIT_NO,
                        err == HOIST_EINVAL ? "input" : "failed", NULL, "%s", err_last());
}

bool release_prometheus(struct call *c, struct prometheus_config *ret, int *ret_exit)
{
    enum hoist_err err = read_config(c, ret);
    if (!err)
        err = prometheus_check(ret);
    if (err)
        *ret_exit = show_refused(c, err);
    return !err;
}

bool release_ask_guards(struct call *c, const struct release_plan *plan,
                        struct prometheus_answer *ret, int *ret_exit)
{
    struct prometheus_config config;
    enum hoist_err err = read_config(c, &config);
    if (!err && plan->guard_count)
        err = ask_prometheus(&config, plan, ret);
    if (err)
        *ret_exit = show_refused(c, err);
    return !err;
}

/* ------------------------------------------------------------------ showing */

static bool is_critical(const struct release_guard *g, const struct prometheus_answer *a)
{
    return release_within(g->critical, a->value);
}

/* "PASS" …, or "CRITICAL" for what aborts at once. */
static const char *word_of(const struct release_guard *g, const struct prometheus_answer *a)
{
    return is_critical(g, a) ? "CRITICAL" : release_verdict_name(a->verdict);
}

void release_print_answer(const struct call *c, const struct release_guard *g,
                          const struct prometheus_answer *a)
{
    char value[TEXT_NUMBER_SIZE];
    bool good = a->verdict == RELEASE_PASS && !is_critical(g, a);
    printf("%s%s%s  ", look(c, good ? LOOK_GOOD : LOOK_BAD), word_of(g, a), look(c, LOOK_PLAIN));
    if (isfinite(a->value))
        text_number(value, a->value);
    puts(isfinite(a->value) ? value : a->why);
}

static void print_guards(const struct call *c, const struct release_plan *plan,
                         const struct prometheus_answer *answers)
{
    for (uint32_t i = 0; i < plan->guard_count; i++) {
        const struct release_guard *g = &plan->guards[i];
        printf("%s%.*s%s, passes %s%s%s\n  ", look(c, LOOK_KEY), SLICE_ARG(g->name),
               look(c, LOOK_PLAIN), release_bound_text(g->pass).text,
               g->critical.op ? ", critical " : "",
               g->critical.op ? release_bound_text(g->critical).text : "");
        release_print_answer(c, g, &answers[i]);
    }
}

static void put_answer(struct json_writer *w, const struct release_guard *g,
                       const struct prometheus_answer *a)
{
    json_key(w, "verdict");
    json_put_str(w, release_verdict_name(a->verdict));
    json_key(w, "is_critical");
    json_put_bool(w, is_critical(g, a));
    json_key(w, "value");
    if (isfinite(a->value))
        json_put_number(w, a->value);
    else
        json_put_null(w);
    json_key(w, "why");
    json_put_str(w, *a->why ? a->why : NULL);
}

static void put_guard(struct json_writer *w, const struct release_guard *g,
                      const struct prometheus_answer *a)
{
    json_object_begin(w);
    json_key(w, "name");
    json_put_slice(w, g->name);
    json_key(w, "pass");
    json_put_str(w, release_bound_text(g->pass).text);
    json_key(w, "critical");
    json_put_str(w, g->critical.op ? release_bound_text(g->critical).text : NULL);
    json_key(w, "mode");
    json_put_str(w, g->hold ? "hold" : "abort");
    json_key(w, "query");
    json_put_slice(w, g->query);
    put_answer(w, g, a);
    json_object_end(w);
}

void release_put_answers(struct json_writer *w, const struct release_plan *plan,
                         const struct prometheus_answer *answers)
{
    json_key(w, "guards");
    json_array_begin(w);
    for (uint32_t i = 0; i < plan->guard_count; i++)
        put_guard(w, &plan->guards[i], &answers[i]);
    json_array_end(w);
}

static bool all_pass(const struct release_plan *plan, const struct prometheus_answer *answers)
{
    for (uint32_t i = 0; i < plan->guard_count; i++)
        if (answers[i].verdict != RELEASE_PASS || is_critical(&plan->guards[i], &answers[i]))
            return false;
    return true;
}

static void show_object(const struct release_plan *plan, const struct prometheus_answer *answers)
{
    struct buf text = BUF_INIT(ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_object_begin(&w);
    json_key(&w, "release");
    json_put_slice(&w, plan->name);
    json_key(&w, "result");
    json_put_str(&w, all_pass(plan, answers) ? "pass" : "not-met");
    release_put_answers(&w, plan, answers);
    json_object_end(&w);
    puts(buf_str(&text));
    buf_done(&text);
}

int release_show_guards(struct call *c, const struct release_plan *plan)
{
    struct prometheus_answer answers[RELEASE_GUARDS_MAX];
    int exit = EXIT_NO;
    if (!options_get(c->options, "prometheus"))
        return show_failure(c, EXIT_INPUT, "input", "say which: --prometheus http://127.0.0.1:9090",
                            "guards are asked of a Prometheus, and none is named");
    if (!release_ask_guards(c, plan, answers, &exit))
        return exit;
    if (c->json)
        show_object(plan, answers);
    else
        print_guards(c, plan, answers);
    return all_pass(plan, answers) ? EXIT_DONE : EXIT_GATE;
}
