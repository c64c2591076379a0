/* eval: what somebody gets, and why. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/textfile.h"
#include "flag/flag.h"
#include "flagctl.h"
#include "http/fetch.h"

enum { ANSWER_MAX = 16 << 20, TOKEN_MAX = 4096 };

/* ------------------------------------------------------------------ from a store or primary */

static bool read_time(struct call *c, json_t *args)
{
    const char *time = options_get(c->options, "time");
    int64_t ms;
    if (!time)
        return true;
    if (options_get(c->options, "at")) {
        (void)show_failure(c, EXIT_INPUT, "input", NULL, "give --at or --time, not both");
        return false;
    }
    if (read_moment(time, &ms) != HOIST_OK) {
        (void)show_failure(c, EXIT_INPUT, "input",
                           "write a time (2026-01-31T14:02:00Z), or how long ago (2h, 7d)",
                           "--time: '%s' is neither", time);
        return false;
    }
    json_object_set_new(args, "time_ms", json_integer(ms));
    return true;
}

static void show_explanation(const struct call *c, const json_t *answer)
{
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(answer, "explanation"), i, line)
    {
        printf("%s%s%s\n", look(c, LOOK_FAINT), json_string_value(line), look(c, LOOK_PLAIN));
    }
}

/* For people the explanation stands below the answer, a line for each step. */
static void show_answer(const struct call *c, struct reply *r)
{
    if (c->json || !json_object_get(r->body, "explanation")) {
        show_json(r);
        return;
    }
    json_t *bare = json_copy(r->body);
    json_object_del(bare, "explanation");
    char *text = value_text(bare, false);
    puts(text ? text : "");
    mem_free(text);
    show_explanation(c, r->body);
    json_decref(bare);
}

static int ask_store(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    json_t *args =
        json_pack("{ss ss* sb}", "key", c->words[0], "context", options_get(c->options, "context"),
                  "explain", options_on(c->options, "explain"));
    const char *at = options_get(c->options, "at");
    if (!read_time(c, args) || (at && !read_version(c, at, args, "at"))) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, "eval", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        show_answer(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ from an agent's HTTP */

/* The URL of the flag: bytes that a path does not take are escaped. Without `env` it is that of the
 * environment that the agent follows first. */
static void put_url(struct buf *url, const char *agent, const char *env, const char *key)
{
    size_t len = strlen(agent);
    while (len > 0 && agent[len - 1] == '/')
        len--;
    buf_printf(url, "%.*s%s%s/ofrep/v1/evaluate/flags/", (int)len, agent, env ? "/env/" : "",
               env ? env : "");
    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        if (strchr("-._~", *p) || (*p < 0x80 && isalnum(*p)))
            buf_add_byte(url, *p);
        else
            buf_printf(url, "%%%02X", *p);
}

static bool put_body(struct call *c, struct buf *body)
{
    const char *context = options_get(c->options, "context");
    json_error_t at;
    json_t *read = json_loads(context ? context : "{}", JSON_REJECT_DUPLICATES, &at);
    if (json_is_object(read))
        buf_printf(body, "{\"context\":%s}", context ? context : "{}");
    else if (read)
        (void)show_failure(c, EXIT_INPUT, "input", NULL, "the context is no object");
    else
        (void)show_failure(c, EXIT_INPUT, "input", NULL, "the context: line %d, column %d: %s",
                           at.line, at.column, at.text);
    json_decref(read);
    return body->len > 0;
}

/* The token is missing, or does not reach so far. */
static int show_denied(const struct call *c, const char *agent, long status)
{
    bool unknown = status == 401;
    return show_failure(c, EXIT_REFUSED, "denied",
                        unknown ? "give the agent's token: --token-file, $HOIST_TOKEN, or "
                                  "token-file in flagctl.yaml"
                                : "an admin can make one: flagctl access token create NAME "
                                  "evaluator --env ENV",
                        "%s: eval takes a token with the role evaluator%s", agent,
                        unknown ? "" : " for this flag and environment");
}

/* No argument is a token: whoever is on the machine can read those. What was typed comes before the
 * environment, which comes before flagctl.yaml. *ret: NULL without one; textfile_wipe(). */
static enum hoist_err read_token(const struct call *c, char **ret)
{
    const char *path = options_get(c->options, "token-file"), *said = getenv("HOIST_TOKEN");
    const char *origin = options_origin(c->options, "token-file");
    char *token = NULL;
    enum hoist_err err = HOIST_OK;
    if (said && *said && (!origin || strcmp(origin, "argument") != 0)) {
        if (!(token = mem_dup(slice_str(said))))
            err = err_set(HOIST_ENOMEM, "out of memory");
    } else if (path) {
        err = textfile_read(path, TOKEN_MAX, true, &token);
        if (err)
            err = err_prefix(err == HOIST_ENOMEM ? err : HOIST_EINVAL, "--token-file");
    }
    if (token)
        token[strcspn(token, "\r\n")] = '\0';
    if (!err)
        *ret = token;
    return err;
}

static int ask_agent(struct call *c, const char *agent)
{
    struct buf url = BUF_INIT(8192), body = BUF_INIT(2 << 20), answer = BUF_INIT(ANSWER_MAX);
    char *token = NULL;
    long status = 0;
    int exit = EXIT_INPUT;
    put_url(&url, agent, c->env, c->words[0]);
    if (!put_body(c, &body))
        goto out;
    if (read_token(c, &token) != HOIST_OK) {
        exit = show_failure(c, EXIT_INPUT, "input", NULL, "%s", err_last());
        goto out;
    }
    struct fetch fetch = {.url = buf_str(&url),
                          .body = buf_slice(&body),
                          .token = token,
                          .tls = &c->join.tls,
                          .timeout_ms = c->timeout_ms};
    enum hoist_err err = join_read(c);
    if (!err)
        err = fetch_post(&fetch, &status, &answer);
    if (err) {
        exit = show_failure(c, err == HOIST_EINVAL ? EXIT_INPUT : EXIT_NO_ANSWER,
                            err == HOIST_EINVAL ? "input" : "no-answer",
                            "an agent serves OFREP at its --http address: http://127.0.0.1:8016",
                            "%s: %s", agent, err_last());
        goto out;
    }
    if (status == 401 || status == 403) {
        exit = show_denied(c, agent, status);
        goto out;
    }
    json_t *read = json_loadb((const char *)answer.ptr, answer.len, 0, NULL);
    if (json_is_object(read) && (status == 200 || json_object_get(read, "errorCode"))) {
        printf("%s\n", buf_str(&answer));
        exit = status == 200 ? EXIT_DONE : EXIT_NO;
    } else {
        exit = show_failure(c, EXIT_NO, "http", "is that an agent's --http address?",
                            "%s answers with status %ld", agent, status);
    }
    json_decref(read);
out:
    textfile_wipe(token);
    buf_done(&url);
    buf_done(&body);
    buf_done(&answer);
    return exit;
}

int run_eval(struct call *c)
{
    const char *agent = options_get(c->options, "agent");
    if (!agent)
        return ask_store(c);
    static const char *const others[] = {"at", "time"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (options_get(c->options, others[i]))
            return show_failure(c, EXIT_INPUT, "input", "ask the primary, or a store",
                                "an agent's HTTP answers for now: it takes no --%s", others[i]);
    if (options_on(c->options, "explain"))
        return show_failure(c, EXIT_INPUT, "input", "ask the primary, or a store",
                            "an agent's HTTP does not explain");
    if (c->env && flag_env_check(slice_str(c->env)) != HOIST_OK)
        return show_failure(c, EXIT_INPUT, "input", NULL, "--env: %s", err_last());
    return ask_agent(c, agent);
}
