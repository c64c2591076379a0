#include "http/tokens.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct tokens {
    struct store *store;
    pthread_mutex_t lock;
    struct grants grants;
};

enum hoist_err tokens_new(struct store *s, struct tokens **ret)
{
    struct tokens *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return err_set(HOIST_ENOMEM, "out of memory");
    t->store = s;
    pthread_mutex_init(&t->lock, NULL);
    *ret = t;
    return HOIST_OK;
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    grants_done(&t->grants);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

/* Bring the grants up to date, and name the environment. False: nobody is known then. */
static bool look(struct tokens *t, struct slice *env, char name[STORE_ENV_NAME_MAX + 1])
{
    struct store_read *r;
    struct store_env first;
    if (store_read_begin(t->store, false, &r) != HOIST_OK)
        return false;
    enum hoist_err err = grants_load(&t->grants, r);
    if (err == HOIST_OK && env->len == 0 && store_env_get(r, NULL, &first) == HOIST_OK) {
        memcpy(name, first.name, sizeof first.name);
        *env = slice_str(name);
    }
    store_read_end(r);
    if (err != HOIST_OK)
        log_error("http: the tokens cannot be read, so none is taken: %s", err_last());
    return err == HOIST_OK;
}

static bool is_over(const struct access_subject *s)
{
    return s->expires_ms && s->expires_ms <= clock_wall_ms();
}

enum tokens_answer tokens_judge(struct tokens *t, struct slice token,
                                const struct access_need *need, struct slice env, struct slice key)
{
    char name[STORE_ENV_NAME_MAX + 1];
    enum tokens_answer answer = TOKENS_UNKNOWN;
    pthread_mutex_lock(&t->lock);
    const struct access_subject *s =
        look(t, &env, name) ? grants_by_token(&t->grants, token) : NULL;
    if (s && !is_over(s))
        answer = access_allows(s, need, env, key) ? TOKENS_YES : TOKENS_BEYOND;
    pthread_mutex_unlock(&t->lock);
    return answer;
}

bool tokens_take_ticket(struct tokens *t, struct slice env, const char *ticket)
{
    static const struct access_need need = {"eval", RIGHT_EVAL, REACH_WHOLE};
    char name[STORE_ENV_NAME_MAX + 1];
    struct slice asked = env; /* as it stands in the address, which the ticket is made of */
    bool known = false;
    pthread_mutex_lock(&t->lock);
    bool ok = ticket && look(t, &env, name);
    for (uint32_t i = 0; ok && i < t->grants.count; i++) {
        const struct access_subject *s = &t->grants.subjects[i];
        if (s->is_token && !is_over(s) && access_allows(s, &need, env, (struct slice){0}))
            known |= guard_is_ticket(s->hash, asked, ticket);
    }
    pthread_mutex_unlock(&t->lock);
    return known;
}
