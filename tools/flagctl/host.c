/* status: how a host, or the primary, stands. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json_read.h"
#include "flagctl.h"
#include "wire/frame.h"

/* ------------------------------------------------------------------ status */

/* What the store itself has of its environments, in status's shape. */
static json_t *stored_envs(struct call *c)
{
    struct reply r;
    size_t i;
    json_t *e, *out = json_array();
    ask(c, "envs", json_object(), &r);
    json_array_foreach(json_object_get(r.body, "environments"), i, e)
    {
        json_t *version = json_object_get(e, "version");
        json_array_append_new(out, json_pack("{sO sO sO sO si si sO sO ss}", "env",
                                             json_object_get(e, "env"), "epoch",
                                             json_object_get(e, "epoch"), "version", version,
                                             "head", version, "lag", 0, "behind_ms", 0, "digest",
                                             json_object_get(e, "digest"), "flags",
                                             json_object_get(e, "flags"), "state", "current"));
    }
    reply_done(&r);
    return out;
}

/* What the hoistd that ran last knew beyond the store: how far the head was ahead. */
static void add_last_words(json_t *envs, const json_t *said)
{
    size_t i, k;
    json_t *e, *old;
    json_array_foreach(envs, i, e)
    {
        json_array_foreach(json_object_get(said, "environments"), k, old)
        {
            uint64_t head = number_of(old, "head"), version = number_of(e, "version");
            if (strcmp(text_of(old, "env"), text_of(e, "env")) != 0 ||
                strcmp(text_of(old, "epoch"), text_of(e, "epoch")) != 0 || head <= version)
                continue;
            json_object_set_new(e, "head", json_integer((json_int_t)head));
            json_object_set_new(e, "lag", json_integer((json_int_t)(head - version)));
            json_object_set_new(e, "state", json_string("behind"));
        }
    }
}

static void add_ms(json_t *object, const char *key, int64_t ms)
{
    json_t *v = json_object_get(object, key);
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        json_integer_set(v, json_integer_value(v) + ms);
}

/* What hoistd said was true when it said so: ages have grown since. */
static void grow_older(json_t *said)
{
    int64_t as_of, since;
    size_t i;
    json_t *e;
    if (text_time_read(text_of(said, "as_of"), &as_of) != HOIST_OK ||
        (since = clock_wall_ms() - as_of) <= 0)
        return;
    add_ms(json_object_get(said, "upstream"), "last_word_ms", since);
    json_array_foreach(json_object_get(said, "environments"), i, e)
    {
        if (number_of(e, "behind_ms"))
            add_ms(e, "behind_ms", since);
    }
}

/* What was committed since hoistd said it stands in the store: `e` said, `now` stored. */
static void bring_up(json_t *e, const json_t *now)
{
    static const char *const taken[] = {"epoch", "version", "digest", "flags"};
    bool same_epoch = strcmp(text_of(e, "epoch"), text_of(now, "epoch")) == 0;
    uint64_t version = number_of(now, "version");
    uint64_t head = same_epoch ? number_of(e, "head") : 0;
    if (same_epoch && version <= number_of(e, "version"))
        return;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        json_object_set(e, taken[i], json_object_get(now, taken[i]));
    if (head < version)
        head = version;
    json_object_set_new(e, "head", json_integer((json_int_t)head));
    json_object_set_new(e, "lag", json_integer((json_int_t)(head - version)));
    if (head == version && strcmp(text_of(e, "state"), "behind") == 0) {
        json_object_set_new(e, "state", json_string("current"));
        json_object_set_new(e, "behind_ms", json_integer(0));
    }
}

static void bring_all_up(json_t *said, const json_t *stored)
{
    size_t i, k;
    json_t *e, *now;
    json_array_foreach(json_object_get(said, "environments"), i, e)
    {
        json_array_foreach(json_object_get(stored, "environments"), k, now)
        {
            if (strcmp(text_of(e, "env"), text_of(now, "env")) == 0)
                bring_up(e, now);
        }
    }
}

/* No hoistd runs: what stands in the store, and who it was that wrote it. */
static json_t *status_at_rest(struct call *c, const json_t *said)
{
    json_t *envs = stored_envs(c);
    add_last_words(envs, said);
    json_t *status =
        json_pack("{ss ss ss ss sb sb}", "host", text_of(said, "host"), "role",
                  text_of(said, "role"), "software", text_of(said, "software"), "store",
                  c->source.where, "running", 0, "ready", json_array_size(envs) > 0);
    json_t *upstream = json_object_get(said, "upstream");
    if (json_is_object(upstream)) {
        json_object_set_new(upstream, "connected", json_false());
        json_object_set(status, "upstream", upstream);
    } else {
        json_object_set_new(status, "upstream", json_null());
    }
    json_object_set_new(status, "environments", envs);
    return status;
}

static void local_status(struct call *c, struct reply *r)
{
    struct buf json = BUF_INIT(64 << 10);
    json_t *said = NULL;
    pid_t pid;
    ask(c, "envs", json_object(), r); /* opens the store, or says why not */
    if (r->exit != EXIT_DONE)
        return;
    if (store_status_get(c->source.store, &json) == HOIST_OK &&
        json_read(buf_slice(&json), &said) != HOIST_OK)
        said = NULL;
    grow_older(said);
    if (!said || !store_is_written(c->source.where, &pid)) {
        json_t *status = status_at_rest(c, said);
        json_decref(said);
        said = status;
    } else {
        bring_all_up(said, r->body);
    }
    json_decref(r->body);
    r->body = said;
    buf_done(&json);
}

/* Only the environment that was named. False: there is none such, and that was shown. */
static bool filter_envs(const struct call *c, json_t *status)
{
    json_t *envs = json_object_get(status, "environments");
    struct buf names = BUF_INIT(8192);
    buf_add_str(&names, "there is:");
    for (size_t i = json_array_size(envs); c->env && i > 0; i--) {
        const char *name = text_of(json_array_get(envs, i - 1), "env");
        buf_printf(&names, " %s", name);
        if (strcmp(name, c->env) != 0)
            json_array_remove(envs, i - 1);
    }
    bool there = !c->env || json_array_size(envs) > 0;
    if (!there)
        (void)show_failure(c, EXIT_INPUT, "input", buf_str(&names), "no environment '%s' here",
                           c->env);
    buf_done(&names);
    return there;
}

static void show_status_env(const struct call *c, const json_t *e)
{
    const char *state = text_of(e, "state");
    bool good = strcmp(state, "current") == 0;
    printf("  %s%s%s  v%" PRIu64 "  %s%s%s  epoch %s, %" PRIu64 " flags", look(c, LOOK_KEY),
           text_of(e, "env"), look(c, LOOK_PLAIN), number_of(e, "version"),
           look(c, good ? LOOK_GOOD : LOOK_BAD), state, look(c, LOOK_PLAIN), text_of(e, "epoch"),
           number_of(e, "flags"));
    if (number_of(e, "lag"))
        printf(", %" PRIu64 " behind v%" PRIu64, number_of(e, "lag"), number_of(e, "head"));
    if (number_of(e, "behind_ms"))
        printf(" for %.1f s", (double)number_of(e, "behind_ms") / 1000);
    if (number_of(e, "held"))
        printf(", %" PRIu64 " flags held back", number_of(e, "held"));
    putchar('\n');
    if (*text_of(e, "why"))
        printf("    %s\n", text_of(e, "why"));
}

static void show_upstream(const json_t *upstream)
{
    if (!json_is_object(upstream))
        return;
    const json_t *word = json_object_get(upstream, "last_word_ms"); /* null: not heard yet */
    printf("  upstream %s, %s", text_of(upstream, "url"),
           json_is_true(json_object_get(upstream, "connected")) ? "connected" : "not connected");
    if (json_is_integer(word))
        printf(", last word %.1f s ago", (double)json_integer_value(word) / 1000);
    putchar('\n');
}

static void show_stuck(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *reader;
    json_array_foreach(json_object_get(status, "stuck_readers"), i, reader)
    {
        printf("  %sprocess %" PRIu64 "%s has been in one read for %.0f s and keeps the store from "
               "using space again\n",
               look(c, LOOK_BAD), number_of(reader, "pid"), look(c, LOOK_PLAIN),
               (double)number_of(reader, "since_ms") / 1000);
    }
}

static void show_status(struct call *c, const json_t *status)
{
    bool running = json_is_true(json_object_get(status, "running"));
    size_t i;
    json_t *e;
    printf("%s%s%s  %s %s, %s%s%s, store %s\n", look(c, LOOK_KEY), text_of(status, "host"),
           look(c, LOOK_PLAIN), text_of(status, "role"), text_of(status, "software"),
           look(c, running ? LOOK_GOOD : LOOK_BAD), running ? "running" : "not running",
           look(c, LOOK_PLAIN), text_of(status, "store"));
    show_upstream(json_object_get(status, "upstream"));
    json_array_foreach(json_object_get(status, "environments"), i, e)
    {
        show_status_env(c, e);
    }
    show_stuck(c, status);
}

int run_status(struct call *c)
{
    struct reply r;
    int exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    if (c->source.local)
        local_status(c, &r);
    else
        ask(c, "status", json_object(), &r);
    if (!show_if_error(c, &r, &exit)) {
        bool there = filter_envs(c, r.body);
        char *text = there && c->json ? value_text(r.body, false) : NULL;
        exit = there ? (int)r.exit : EXIT_INPUT;
        if (text)
            puts(text);
        else if (there)
            show_status(c, r.body);
        mem_free(text);
    }
    reply_done(&r);
    return exit;
}
