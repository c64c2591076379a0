/* Opening and closing handles. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/client.h"
#include "client/fork.h"
#include "client/keeper.h"
#include "client/read.h"
#include "client/table.h"
#include "client/view.h"
#include "client/watch.h"

/* ------------------------------------------------------------------ which store, which environment
 */

static bool fits(int len, size_t size)
{
    return len >= 0 && (size_t)len < size;
}

static bool default_dir(char *out, size_t size)
{
    const char *named = secure_getenv("HOIST_STORE");
    if (named && *named)
        return fits(snprintf(out, size, "%s", named), size);
    if (geteuid() == 0)
        return fits(snprintf(out, size, "/var/lib/hoist"), size);
    const char *home = secure_getenv("HOME");
    if (home && *home)
        return fits(snprintf(out, size, "%s/.local/state/hoist", home), size);
    struct passwd pw, *found = NULL;
    char text[4096];
    if (getpwuid_r(geteuid(), &pw, text, sizeof text, &found) != 0 || !found)
        return false;
    return fits(snprintf(out, size, "%s/.local/state/hoist", found->pw_dir), size);
}

/* From the root, since the program may change its directory before the store is opened again. */
static enum hoist_err whole_path(const char *dir, char *out, size_t size)
{
    char here[PATH_MAX];
    bool ok;
    if (!dir)
        ok = default_dir(here, sizeof here);
    else
        ok = fits(snprintf(here, sizeof here, "%s", dir), sizeof here);
    if (ok && here[0] == '/') {
        memcpy(out, here, strlen(here) + 1);
        return HOIST_OK;
    }
    char cwd[PATH_MAX];
    ok = ok && here[0] && getcwd(cwd, sizeof cwd) &&
         fits(snprintf(out, size, "%s/%s", cwd, here), size);
    return ok ? HOIST_OK
              : err_set(HOIST_EINVAL, "the store's path is empty, too long or not to be found out");
}

static enum hoist_err env_name(const char *env, char out[STORE_ENV_NAME_MAX + 1])
{
    if (!env)
        env = secure_getenv("HOIST_ENV");
    if (!env || !*env) {
        out[0] = '\0';
        return HOIST_OK;
    }
    enum hoist_err err = flag_env_check(slice_str(env));
    if (!err)
        memcpy(out, env, strlen(env) + 1);
    return err;
}

/* Whether the environment is there; if not, the sentence names those that are. */
static enum hoist_err check_env(hoist *h)
{
    struct span s;
    enum hoist_err err = span_begin(h, &s);
    if (err)
        return err;
    err = span_find_env(&s);
    if (err == HOIST_ENOTFOUND) {
        char names[256] = "";
        size_t used = 0;
        struct store_env env;
        for (uint32_t n = 0; used < sizeof names && !store_env_at(s.read, n, &env); n++)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", n ? ", " : "",
                                     env.name);
        err_set(err, "store %s has no environment '%s' yet; it has: %s", h->source->dir, h->env,
                used ? names : "none");
    }
    span_end(&s);
    return err;
}

/* ------------------------------------------------------------------ open and close */

static hoist *hoist_new(const char *env, unsigned options)
{
    hoist *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return NULL;
    memcpy(h->env, env, strlen(env) + 1);
    h->cached = !(options & HOIST_NO_CACHE);
    atomic_store(&h->watch_fd, -1);
    pthread_mutex_init(&h->table_lock, NULL);
    return h;
}

static void hoist_free(hoist *h)
{
    pthread_mutex_destroy(&h->table_lock);
    mem_free(h);
}

static void list_in_source(hoist *h)
{
    pthread_mutex_lock(&sources_lock);
    h->next = h->source->hoists;
    h->source->hoists = h;
    pthread_mutex_unlock(&sources_lock);
}

static void unlist(hoist *h)
{
    pthread_mutex_lock(&sources_lock);
    hoist **at = &h->source->hoists;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    pthread_mutex_unlock(&sources_lock);
}

/* Under open_lock. */
static enum hoist_err open_in(hoist *h, const char *dir, struct store *lent, bool threaded)
{
    if (!fork_init())
        return err_set(HOIST_ENOMEM, "out of memory");
    table_init();
    if (secure_getenv("HOIST_NO_COUNT"))
        tally_refuse();
    enum hoist_err err = source_open(dir, lent, threaded, &h->source);
    if (!h->source)
        return err;
    list_in_source(h);
    if (threaded)
        keeper_start();
    return err;
}

static enum hoist_err open_handle(hoist **ret, const char *dir, struct store *lent, const char *env,
                                  unsigned options)
{
    char name[STORE_ENV_NAME_MAX + 1];
    enum hoist_err err = env_name(env, name);
    if (err)
        return err;
    hoist *h = hoist_new(name, options);
    if (!h)
        return err_set(HOIST_ENOMEM, "out of memory");

    bool threaded = lent || (!(options & HOIST_NO_THREAD) && !secure_getenv("HOIST_NO_THREAD"));
    fork_check();
    pthread_mutex_lock(&open_lock);
    err = open_in(h, dir, lent, threaded);
    pthread_mutex_unlock(&open_lock);
    if (!h->source) {
        hoist_free(h);
        return err;
    }
    if (!err)
        err = check_env(h);
    if (err == HOIST_ENOMEM || err == HOIST_EINVAL) {
        hoist_close(h);
        return err;
    }
    *ret = h;
    return err;
}

enum hoist_err hoist_open_with(hoist **ret, const char *dir, const char *env, unsigned options)
{
    if (!ret)
        return err_set(HOIST_EINVAL, "there is no place for the handle");
    *ret = NULL;
    if (options & ~(unsigned)(HOIST_NO_CACHE | HOIST_NO_THREAD))
        return err_set(HOIST_EINVAL, "unknown options 0x%x", options);
    char path[PATH_MAX];
    enum hoist_err err = whole_path(dir, path, sizeof path);
    return err ? err : open_handle(ret, path, NULL, env, options);
}

enum hoist_err client_open_on(struct store *s, const char *env, hoist **ret)
{
    *ret = NULL;
    return open_handle(ret, store_dir(s), s, env, 0);
}

enum hoist_err hoist_open(hoist **ret, const char *dir, const char *env)
{
    return hoist_open_with(ret, dir, env, 0);
}

static bool is_thread_needed(void)
{
    pthread_mutex_lock(&sources_lock);
    bool needed = false;
    for (struct source *s = sources; s; s = s->next)
        needed |= s->threaded;
    pthread_mutex_unlock(&sources_lock);
    return needed;
}

void hoist_close(hoist *h)
{
    if (!h)
        return;
    fork_check();
    pthread_mutex_lock(&open_lock);
    views_end(h);
    unlist(h);
    watch_done(h);
    source_close(h->source);
    if (!is_thread_needed())
        keeper_stop();
    pthread_mutex_unlock(&open_lock);
    table_done(h);
    hoist_free(h);
}

uint64_t hoist_version(hoist *h)
{
    struct span s;
    struct store_env env;
    if (!h || span_begin(h, &s))
        return 0;
    uint64_t version = store_env_get(s.read, hoist_env_name(h), &env) ? 0 : env.head;
    span_end(&s);
    return version;
}

enum hoist_err client_head(hoist *h, struct client_head *ret)
{
    struct span s;
    struct store_env env;
    enum hoist_err err = span_begin(h, &s);
    if (err)
        return err;
    err = store_env_get(s.read, hoist_env_name(h), &env);
    if (!err)
        *ret = (struct client_head){env.epoch, env.head};
    span_end(&s);
    return err;
}

void client_env_name(hoist *h, char out[STORE_ENV_NAME_MAX + 1])
{
    struct span s;
    struct store_env env;
    memcpy(out, h->env, sizeof h->env);
    if (*out || span_begin(h, &s))
        return;
    if (!store_env_get(s.read, NULL, &env))
        memcpy(out, env.name, sizeof env.name);
    span_end(&s);
}
