#include "client/read.h"

#include <string.h>

#include "base/mem.h"
#include "client/count.h"
#include "client/decide.h"
#include "client/decoded.h"
#include "client/fork.h"
#include "client/grace.h"
#include "client/keeper.h"
#include "client/table.h"
#include "wire/record.h"

/* ------------------------------------------------------------------ spans */

/* What the thread does for others, slow reads do for themselves: now and then, or as soon as the
 * store says that another has taken its place. */
static void look_after(struct source *s, bool now)
{
    if (!source_due(s, now))
        return;
    if (s->threaded && keeper_running()) {
        keeper_wake();
        return;
    }
    if (pthread_mutex_trylock(&open_lock) != 0)
        return;
    if (pthread_mutex_trylock(&sources_lock) == 0) {
        if (s->threaded)
            keeper_start(); /* it could not be started before */
        if (!(s->threaded && keeper_running()) && source_look(s))
            err_clear(); /* it is tried again, and this read can do without */
        pthread_mutex_unlock(&sources_lock);
    }
    pthread_mutex_unlock(&open_lock);
}

enum hoist_err span_begin(hoist *h, struct span *ret)
{
    struct source *source = h->source;
    fork_check();
    if (!source->threaded || !keeper_running())
        look_after(source, false);
    struct era *e = source_enter(source);
    if (e && era_is_retired(e)) {
        source_leave(source);
        look_after(source, true);
        e = source_enter(source);
    }
    if (!e)
        return source_why(source);
    struct store_read *r;
    enum hoist_err err = store_read_begin(e->mount->store, false, &r);
    if (err) {
        source_leave(source);
        return err;
    }
    *ret = (struct span){.hoist = h, .era = e, .read = r, .txn = store_read_txn(r)};
    return HOIST_OK;
}

void span_end(struct span *s)
{
    store_read_end(s->read);
    source_leave(s->hoist->source);
}

void span_set_env(struct span *s, const struct store_env *env)
{
    uint8_t id[SEGMENT_STORE_ID];
    store_id(s->era->mount->store, id);
    s->env = env->id;
    s->held = env->held > 0;
    s->domain = tally_domain(id, env->name);
}

enum hoist_err span_find_env(struct span *s)
{
    struct cell_entry e;
    if (cell_read(&s->hoist->env_cell, s->txn, &e) && e.word == s->era->words.envs) {
        s->env = (uint16_t)e.value.bits;
        s->held = e.value.bits & CELL_ENV_HELD;
        s->domain = e.slot;
        return HOIST_OK;
    }
    struct store_env env;
    enum hoist_err err = store_env_get(s->read, hoist_env_name(s->hoist), &env);
    if (err)
        return err;
    span_set_env(s, &env);
    if (s->era->words.envs)
        cell_write(&s->hoist->env_cell,
                   &(struct cell_entry){.value = {CELL_ENV, env.id | (s->held ? CELL_ENV_HELD : 0)},
                                        .word = s->era->words.envs,
                                        .txn = s->txn,
                                        .slot = s->domain});
    return HOIST_OK;
}

/* ------------------------------------------------------------------ answers */

size_t copy_text(char *buf, size_t size, struct slice text)
{
    if (size > 0) {
        size_t n = text.len < size ? text.len : size - 1;
        if (n)
            memcpy(buf, text.ptr, n);
        buf[n] = '\0';
    }
    return text.len;
}

struct slice key_of(const char *key)
{
    return slice_of(key, key ? strnlen(key, FLAG_KEY_MAX + 1) : 0);
}

void answer_error(struct answer *ret, enum hoist_code code, const char *why)
{
    *ret = (struct answer){
        .value.kind = CELL_NONE,
        .result = {.reason = HOIST_ERROR, .code = code, .variant = FLAG_NO_VARIANT, .error = why}};
}

/* ------------------------------------------------------------------ from the store */

/* The word under which what is read in this span may be cached; NULL: it may not. */
static cell_word word_of(const struct span *s, struct slice key)
{
    if (!s->hoist->cached || !s->era->words.shards)
        return NULL;
    cell_word word = s->era->words.shards + store_shard(s->env, key);
    return atomic_load_explicit(word, memory_order_acquire) <= s->txn ? word : NULL;
}

static void keep_cell(const struct span *s, const struct ask *ask, cell_word word, bool found,
                      const struct answer *a)
{
    hoist_flag *f = ask->flag;
    if (!f && s->hoist->cached)
        f = table_add(s->hoist, ask->key, ask->hash, found ? TABLE_READ : TABLE_MISSING);
    struct cell_value value = a->depends ? (struct cell_value){.kind = CELL_RULES} : a->value;
    if (f && word)
        cell_write(&f->cell, &(struct cell_entry){value, word, s->txn, a->slot});
}

static enum hoist_err find(const struct span *s, struct slice key, struct slice *ret_record)
{
    if (key.len == 0 || key.len > FLAG_KEY_MAX)
        return HOIST_ENOTFOUND;
    return store_flag_get(s->read, s->env, s->held, key, ret_record);
}

static enum hoist_err decode(const struct span *s, struct slice key, struct slice record,
                             cell_word word, struct decoded **ret)
{
    struct flag *flag;
    struct decoded *d = NULL;
    struct slice about;
    enum hoist_err err = record_decode(key, record, &flag, NULL);
    if (!err)
        err = decoded_new(flag, &d);
    if (!err && rule_sees(d->rule) & RULE_SEES_HOST && !store_host_get(s->read, &about))
        err = decoded_set_host(d, about);
    if (err) {
        decoded_free(d);
        return err;
    }
    d->word = word;
    d->txn = s->txn;
    d->domain = s->domain;
    *ret = d;
    return HOIST_OK;
}

/* The flag in the table, where it may have to be entered. NULL: there is no room, or no table. */
static hoist_flag *enter(const struct span *s, struct slice key, uint64_t hash)
{
    hoist_flag *f = table_find(s->hoist, key, hash);
    return f || !s->hoist->cached ? f : table_add(s->hoist, key, hash, TABLE_READ);
}

/* Keep `d` for others if that is of use: without the thread nobody would free what is replaced. */
static void settle(const struct span *s, hoist_flag *f, struct decoded *d)
{
    bool keep = d->word && f && s->hoist->source->threaded && keeper_running();
    if (!keep || !decoded_publish(&f->rest->decoded, d))
        decoded_free(d);
    else if (decoded_waiting() > DECODED_WAITING_MAX)
        keeper_wake();
}

/* Texts, objects and rules: decoded in full. */
static void answer_decoded(struct span *s, const struct ask *ask, struct slice record,
                           cell_word word, struct answer *ret)
{
    struct decoded *d;
    enum hoist_err err = decode(s, ask->key, record, word, &d);
    if (err) {
        answer_error(ret, err == HOIST_ENOMEM ? HOIST_CODE_GENERAL : HOIST_CODE_PARSE_ERROR,
                     err_last());
        return;
    }
    struct others others = {.hoist = s->hoist, .span = s, .ctx = ask->ctx, .at = s->txn};
    decide(d, ask, &others, ret);
    settle(s, ask->flag ? ask->flag : enter(s, ask->key, ask->hash), d);
}

static bool is_simple(const struct flag *f)
{
    return f->override != FLAG_NO_VARIANT || (f->targeting.count == 0 && f->requires_count == 0);
}

static void answer_record(struct span *s, const struct ask *ask, struct slice record,
                          cell_word word, struct answer *ret)
{
    struct record_peek peek;
    bool simple = !ask->explain && !ask->metadata && !ask->members &&
                  record_peek(ask->key, record, &peek) && is_simple(&peek.flag);
    bool keep_text = simple && word && ask->flag && peek.flag.type == HOIST_STRING && ask->want;
    if (simple && !keep_text)
        decide(&(struct decoded){.flag = &peek.flag, .domain = s->domain}, ask, NULL, ret);
    else
        answer_decoded(s, ask, record, word, ret);
}

static void answer_from_store(struct span *s, const struct ask *ask, struct answer *ret)
{
    cell_word word = word_of(s, ask->key);
    struct slice record;
    enum hoist_err err = find(s, ask->key, &record);
    if (!err)
        answer_record(s, ask, record, word, ret);
    else if (err == HOIST_ENOTFOUND)
        answer_error(ret, HOIST_CODE_NOT_FOUND, "there is no such flag");
    else
        answer_error(ret, HOIST_CODE_GENERAL, err_last());
    if (!err || err == HOIST_ENOTFOUND)
        keep_cell(s, ask, word, !err, ret);
}

const struct decoded *span_cached(const struct span *s, hoist_flag *f)
{
    if (!f || !s->hoist->cached)
        return NULL;
    struct decoded *d = atomic_load_explicit(&f->rest->decoded, memory_order_acquire);
    return d && words_has(&s->era->words, d->word) && decoded_holds(d, s->txn) ? d : NULL;
}

bool span_decide_other(struct span *s, struct slice key, struct others *others,
                       struct slice variant)
{
    struct slice record;
    struct decoded *d;
    cell_word word = word_of(s, key);
    if (find(s, key, &record) || decode(s, key, record, word, &d))
        return false; /* there is none, or it cannot be read: it does not yield the variant */
    bool yes = decided_as(d, others, variant);
    settle(s, enter(s, key, table_hash(key)), d);
    return yes;
}

void span_answer(struct span *s, const struct ask *ask, struct answer *ret)
{
    const struct decoded *d = span_cached(s, ask->flag);
    if (!d) {
        answer_from_store(s, ask, ret);
        return;
    }
    struct others others = {.hoist = s->hoist, .span = s, .ctx = ask->ctx, .at = s->txn};
    decide(d, ask, &others, ret);
    struct cell_value value = ret->depends ? (struct cell_value){.kind = CELL_RULES} : ret->value;
    cell_write(&ask->flag->cell, &(struct cell_entry){value, d->word, d->txn, ret->slot});
}

/* ------------------------------------------------------------------ from the caches */

bool answer_cached(hoist_flag *f, const struct ask *ask, uint64_t at, struct answer *ret)
{
    hoist *h = f->rest->hoist;
    if (!h->source->threaded || !h->cached)
        return false;
    grace_enter();
    struct decoded *d = atomic_load_explicit(&f->rest->decoded, memory_order_acquire);
    bool ok = d && decoded_holds(d, at);
    if (ok && d->flag->requires_count) {
        struct others others = {.hoist = h, .ctx = ask->ctx, .at = at};
        decide(d, ask, &others, ret);
        ok = others_hold(&others) && decoded_holds(d, at);
    } else if (ok) {
        decide(d, ask, NULL, ret);
    }
    grace_leave();
    return ok;
}

/* From what is decoded, whether or not it still holds. False: of the flag, or of one that it requires,
 * nothing is; then nothing is written. */
static bool answer_outdated(hoist_flag *f, const struct ask *ask, struct answer *ret)
{
    hoist *h = f->rest->hoist;
    if (!h->source->threaded)
        return false;
    const struct others fresh = {.hoist = h, .ctx = ask->ctx, .last_known = true};
    struct others others = fresh;
    grace_enter();
    const struct decoded *d = atomic_load_explicit(&f->rest->decoded, memory_order_acquire);
    if (d && d->flag->requires_count)
        decide(d, &(struct ask){.key = ask->key, .ctx = ask->ctx}, &others, ret);
    bool ok = d && !others.stuck;
    others = fresh;
    if (ok)
        decide(d, ask, &others, ret);
    grace_leave();
    return ok;
}

/* The store cannot be read. What was last known is better than a fallback. */
static void answer_last_known(const struct ask *ask, enum hoist_err why, struct answer *ret)
{
    struct cell_entry e;
    hoist_flag *f = ask->flag;
    if (f && answer_outdated(f, ask, ret))
        return;
    if (why == HOIST_ENOTFOUND)
        answer_error(ret, HOIST_CODE_NOT_READY,
                     "there is no store to read, or it does not have the environment, yet");
    else
        answer_error(ret, why == HOIST_EAGAIN ? HOIST_CODE_GENERAL : HOIST_CODE_NOT_READY,
                     why == HOIST_EAGAIN ? "too many threads read at once" : err_last());
    if (!f || !cell_copy(&f->cell, &e) || e.value.kind < CELL_FALSE || e.value.kind > CELL_NUMBER)
        return;
    enum hoist_type type = e.value.kind == CELL_NUMBER ? HOIST_NUMBER : HOIST_BOOL;
    if (ask->want && ask->want != type)
        return;
    *ret = (struct answer){
        .type = type, .value = e.value, .result = {.reason = HOIST_STATIC}, .slot = e.slot};
}

static enum hoist_err answer_in_span(hoist *h, const struct ask *ask, struct answer *ret,
                                     uint64_t *ret_version)
{
    struct span s;
    enum hoist_err err = span_begin(h, &s);
    if (err)
        return err;
    struct store_env env;
    if (ret_version) {
        err = store_env_get(s.read, hoist_env_name(h), &env);
        if (!err)
            *ret_version = env.head;
    }
    if (!err)
        err = span_find_env(&s);
    if (!err)
        span_answer(&s, ask, ret);
    span_end(&s);
    return err;
}

void answer_flag(hoist *h, const struct ask *ask, struct answer *ret, uint64_t *ret_version)
{
    if (ask->flag && !ret_version && answer_cached(ask->flag, ask, UINT64_MAX, ret))
        return;
    enum hoist_err err = answer_in_span(h, ask, ret, ret_version);
    if (err)
        answer_last_known(ask, err, ret);
}

struct cell_value refresh_cell(hoist *h, const struct ask *ask, bool ruled)
{
    struct answer a;
    if (!ruled || !answer_cached(ask->flag, ask, UINT64_MAX, &a)) {
        enum hoist_err err = answer_in_span(h, ask, &a, NULL);
        if (err)
            answer_last_known(ask, err, &a);
    }
    count(a.slot);
    return a.value;
}
