#include "primary/private.h"

#include <stdio.h>
#include <string.h>

#include "flag/flag.h"
#include "repl/net.h"

struct pair {
    const char *env, *url;
};

static enum hoist_err read_pair(struct arena *arena, const char *text, struct pair *ret)
{
    const char *equals = strchr(text, '=');
    struct slice env = slice_of(text, equals ? (size_t)(equals - text) : 0);
    struct slice url = slice_str(equals ? equals + 1 : "");
    if (flag_env_check(env) != HOIST_OK || url.len == 0)
        return err_set(HOIST_EINVAL,
                       "--private %s: an environment and an address are meant, as in "
                       "secret=tcp://127.0.0.1:7410",
                       text);
    if (net_check_url(equals + 1) != HOIST_OK)
        return err_prefix(HOIST_EINVAL, "--private %s", text);
    if (arena_own(arena, &env) != HOIST_OK || arena_own(arena, &url) != HOIST_OK)
        return err_set(HOIST_ENOMEM, "out of memory");
    *ret = (struct pair){(const char *)env.ptr, (const char *)url.ptr};
    return HOIST_OK;
}

static enum hoist_err add_env(struct privates *p, const char *env)
{
    for (uint32_t i = 0; i < p->env_count; i++)
        if (strcmp(p->envs[i], env) == 0)
            return err_set(HOIST_EINVAL, "--private names environment '%s' twice", env);
    p->envs[p->env_count++] = env;
    return HOIST_OK;
}

static struct private_listener *listener_at(struct privates *p, const char *url)
{
    for (uint32_t i = 0; i < p->listener_count; i++)
        if (strcmp(p->listeners[i].url, url) == 0)
            return &p->listeners[i];
    p->listeners[p->listener_count].url = url;
    return &p->listeners[p->listener_count++];
}

/* What is private elsewhere is hidden from a listener. */
static enum hoist_err hide(struct privates *p, const struct pair *pairs)
{
    for (uint32_t i = 0; i < p->listener_count; i++) {
        struct private_listener *l = &p->listeners[i];
        l->hidden = arena_alloc(&p->arena, p->env_count, sizeof *l->hidden);
        if (!l->hidden)
            return err_set(HOIST_ENOMEM, "out of memory");
        for (uint32_t n = 0; n < p->env_count; n++)
            if (strcmp(pairs[n].url, l->url) != 0)
                l->hidden[l->hidden_count++] = pairs[n].env;
    }
    return HOIST_OK;
}

enum hoist_err privates_read(const char *const *texts, uint32_t count, struct privates *ret)
{
    struct privates p = {0};
    struct pair *pairs = arena_alloc(&p.arena, count, sizeof *pairs);
    enum hoist_err err = HOIST_OK;
    p.envs = arena_alloc(&p.arena, count, sizeof *p.envs);
    p.listeners = arena_alloc(&p.arena, count, sizeof *p.listeners);
    if (!pairs || !p.envs || !p.listeners)
        err = err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < count && err == HOIST_OK; i++) {
        err = read_pair(&p.arena, texts[i], &pairs[i]);
        if (err == HOIST_OK)
            err = add_env(&p, pairs[i].env);
        if (err == HOIST_OK)
            (void)listener_at(&p, pairs[i].url);
    }
    if (err == HOIST_OK)
        err = hide(&p, pairs);
    if (err == HOIST_OK)
        *ret = p;
    else
        privates_done(&p);
    return err;
}

void privates_done(struct privates *p)
{
    arena_done(&p->arena);
    *p = (struct privates){0};
}
