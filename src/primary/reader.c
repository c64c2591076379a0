/* The reader's thread: questions, and long commands on their way to the writer. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "flag/json_read.h"
#include "primary/keys.h"
#include "primary/primary_int.h"
#include "primary/query.h"
#include "primary/query_fleet.h"
#include "primary/query_release.h"
#include "primary/query_top.h"
#include "primary/turns.h"

/* Whether somebody may ask that of environment `env`; NULL: of the one that is named first. */
static bool may_ask_of(struct gate *g, const struct person *who, const struct access_need *need,
                       struct store_read *r, const json_t *args, const char *env, struct answer *a)
{
    struct store_env first;
    if (!env && need->reach != REACH_NONE && store_env_get(r, NULL, &first) == HOIST_OK)
        env = first.name;
    return gate_allows(g, who, need, slice_str(env),
                       slice_str(json_string_value(json_object_get(args, "key"))), &a->body,
                       &a->exit);
}

/* What is shown of one release is of all its environments. */
static bool may_see_release(struct primary *p, const struct person *who, const json_t *args,
                            struct answer *a)
{
    static const struct access_need need = {"see a release", RIGHT_READ, REACH_ENV};
    const char *name = json_string_value(json_object_get(args, "release"));
    struct release *r = name ? releases_borrow(p->releases, slice_str(name)) : NULL;
    bool may = true;
    for (uint32_t e = 0; r && may && e < r->plan->env_count; e++)
        may = gate_allows(&p->reader_gate, who, &need, r->plan->envs[e], (struct slice){0},
                          &a->body, &a->exit);
    if (r)
        releases_give_back(p->releases, r);
    return may;
}

static bool may_ask(struct primary *p, const struct job *j, struct store_read *r,
                    const json_t *args, struct person *who, struct answer *a)
{
    const struct access_need *need = access_need_of(j->frame.name);
    struct gate *g = &p->reader_gate;
    struct claim claim;
    const char *other = json_string_value(json_object_get(args, "other"));
    enum hoist_err err = gate_look(g, r);
    if (err != HOIST_OK) {
        a->exit = query_fail(&a->body, err, NULL);
        return false;
    }
    job_claim(j, &claim);
    if (!gate_check_signature(g, &claim, need, r, clock_wall_ms(), &a->body, &a->exit))
        return false;
    gate_person(g, &claim, who);
    return may_ask_of(g, who, need, r, args, json_string_value(json_object_get(args, "env")), a) &&
           (!other || may_ask_of(g, who, need, r, args, other, a)) &&
           (!release_is_question(j->frame.name) || may_see_release(p, who, args, a));
}

/* What the listener does not give out, and nobody granted. */
static bool is_hidden(const struct server_request *request, const struct person *who,
                      struct slice env)
{
    static const struct access_need need = {"see an environment", RIGHT_READ, REACH_ENV};
    uint32_t count;
    const char *const *hidden = server_hidden(request, &count);
    return slice_is_among(hidden, count, env) &&
           (slice_is_among(who->hidden, who->hidden_count, env) ||
            !access_allows(who->subject, &need, env, (struct slice){0}));
}

/* Of what is listed for each environment, that of the hidden ones. False: there was nothing of them. */
static bool leave_out_hidden(const struct server_request *request, const struct person *who,
                             json_t *body)
{
    const char *name;
    json_t *list;
    bool any = false;
    json_object_foreach(body, name, list)
    {
        for (size_t i = json_array_size(list); i > 0; i--) {
            json_t *env = json_object_get(json_array_get(list, i - 1), "env");
            if (env && is_hidden(request, who, slice_str(json_string_value(env))))
                any |= json_array_remove(list, i - 1) == 0;
        }
    }
    return any;
}

static enum hoist_err write_anew(const json_t *body, struct buf *out)
{
    char *text = json_dumps(body, JSON_COMPACT);
    buf_clear(out);
    if (!text)
        return err_set(HOIST_ENOMEM, "out of memory");
    buf_add_str(out, text);
    free(text); /* jansson's */
    return HOIST_OK;
}

/* Whether the answer may be about any environment. Releases were judged by those that they have. */
static bool is_of_all(struct slice question)
{
    return top_is_question(question) ||
           (access_need_of(question)->reach == REACH_NONE && !release_is_question(question));
}

static void hide(const struct job *j, const struct person *who, struct answer *a)
{
    uint32_t count = 0;
    json_t *body;
    if (!j->request || !server_hidden(j->request, &count) || count == 0 || a->body.err)
        return;
    enum hoist_err err = json_read(buf_slice(&a->body), &body);
    if (err == HOIST_OK) {
        if (leave_out_hidden(j->request, who, body))
            err = write_anew(body, &a->body);
        json_decref(body);
    }
    if (err != HOIST_OK)
        a->exit = query_fail(&a->body, err, NULL);
}

static void answer(struct primary *p, struct job *j, struct store_read *r, const json_t *args)
{
    struct answer *a = &j->answer;
    struct person who;
    if (!may_ask(p, j, r, args, &who, a))
        return;
    if (fleet_is_question(j->frame.name)) {
        a->exit = fleet_answer(p->fleet, r, j->frame.name, args, j->asker, &a->body);
    } else if (top_is_question(j->frame.name)) {
        a->exit = top_answer(&p->killed, p->fleet, r, args, &a->body);
    } else if (slice_eq(j->frame.name, SLICE("status"))) {
        enum hoist_err err = primary_status(p, &a->body);
        a->exit = err == HOIST_OK ? EXIT_DONE : query_fail(&a->body, err, NULL);
    } else if (release_is_question(j->frame.name)) {
        a->exit = release_answer(p->releases, r, j->frame.name, args, clock_wall_ms(), &a->body);
    } else if (slice_eq(j->frame.name, SLICE("keys"))) {
        a->exit = keys_answer(r, p->key, &a->body);
    } else {
        a->exit = query_run(r, j->frame.name, args, &a->body);
    }
    if (is_of_all(j->frame.name))
        hide(j, &who, a);
}

static void ask(struct primary *p, struct job *j)
{
    struct store_read *r = NULL;
    json_t *args = NULL;
    enum hoist_err err = json_read(j->frame.body.len ? j->frame.body : SLICE("{}"), &args);
    if (err == HOIST_OK)
        err = store_read_begin(p->store, false, &r);
    if (err == HOIST_OK)
        answer(p, j, r, args);
    else
        j->answer.exit = query_fail(&j->answer.body, err, NULL);
    store_read_end(r);
    json_decref(args);
}

/* Read the command here, where nothing waits behind it, and hand it on. */
static void pass_on(struct primary *p, struct job *j)
{
    enum hoist_err err = job_read(p, j);
    if (err == HOIST_OK && queue_push(&p->changes, &j->item, j->frame.body.len))
        return;
    if (err == HOIST_OK)
        err = err_set(HOIST_EBUSY, "too many changes wait at this primary");
    j->answer.exit = query_fail(&j->answer.body, err, "nothing was done; try again");
    job_answer(j);
}

/* A long answer takes long to make, and memory until it is taken. */
static void take_question(struct primary *p, struct job *j)
{
    if (!server_is_wanted(j->request)) {
        job_drop(j);
        return;
    }
    const char *why = server_no_answer(j->request);
    if (why)
        j->answer.exit = query_fail(&j->answer.body, err_set(HOIST_EBUSY, "%s", why), "ask again");
    else
        ask(p, j);
    job_answer(j);
}

static void take_in(struct turns *t, struct queue_item *items)
{
    while (items) {
        struct job *j = (struct job *)items;
        items = items->next;
        turns_add(t, j);
    }
}

void *reader_main(void *primary)
{
    struct primary *p = primary;
    struct turns turns = {0};
    for (;;) {
        bool closed = queue_is_closed(&p->questions);
        take_in(&turns, queue_take(&p->questions, turns.first ? 0 : 1000));
        struct job *j = turns_next(&turns);
        if (!j && closed)
            return NULL;
        if (j && command_is(j->frame.name))
            pass_on(p, j);
        else if (j)
            take_question(p, j);
    }
}
