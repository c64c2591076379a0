#include "http/envs.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

struct envs {
    struct store *store;
    pthread_mutex_t lock; /* for adding */
    _Atomic(struct env *) first;
    uint32_t count;
};

static enum hoist_err add(struct envs *e, const char *name, struct env **ret)
{
    if (e->count == ENVS_MAX)
        return err_set(HOIST_ELIMIT, "%d environments are read already", ENVS_MAX);
    struct env *env = mem_zalloc(1, sizeof *env);
    if (!env)
        return err_set(HOIST_ENOMEM, "out of memory");
    memcpy(env->name, name, strlen(name) + 1);
    enum hoist_err err = client_open_on(e->store, name, &env->hoist);
    if (err == HOIST_ENOTFOUND && !*name)
        err = HOIST_OK; /* a store that is yet to be filled */
    if (err || !env->hoist) {
        hoist_close(env->hoist);
        mem_free(env);
        return err;
    }
    env->next = e->first;
    e->first = env;
    e->count++;
    *ret = env;
    return HOIST_OK;
}

static struct env *look(struct envs *e, struct slice name)
{
    struct env *env = e->first;
    while (env && !slice_eq(slice_str(env->name), name))
        env = env->next;
    return env;
}

enum hoist_err envs_find(struct envs *e, struct slice name, struct env **ret)
{
    struct env *env = look(e, name);
    if (env) {
        *ret = env;
        return HOIST_OK;
    }
    char text[sizeof env->name] = "";
    if (name.len >= sizeof text || flag_env_check(name))
        return HOIST_ENOTFOUND;
    memcpy(text, name.ptr, name.len);
    pthread_mutex_lock(&e->lock);
    env = look(e, name);
    enum hoist_err err = env ? HOIST_OK : add(e, text, &env);
    pthread_mutex_unlock(&e->lock);
    if (!err)
        *ret = env;
    return err;
}

enum hoist_err envs_new(struct store *s, struct envs **ret)
{
    struct envs *e = mem_zalloc(1, sizeof *e);
    struct env *first;
    if (!e)
        return err_set(HOIST_ENOMEM, "out of memory");
    e->store = s;
    pthread_mutex_init(&e->lock, NULL);
    enum hoist_err err = add(e, "", &first);
    if (err)
        envs_free(e);
    else
        *ret = e;
    return err;
}

void envs_free(struct envs *e)
{
    if (!e)
        return;
    while (e->first) {
        struct env *env = e->first;
        e->first = env->next;
        hoist_close(env->hoist);
        mem_free(env);
    }
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}
