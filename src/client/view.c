/* Views: one read transaction, kept for many reads. What is cached may be used as long as it held
 * in that transaction, too; everything else is read through it. */
#include "client/view.h"

#include <string.h>

#include "base/mem.h"
#include "client/answer.h"
#include "client/client.h"
#include "client/count.h"
#include "client/evaluate.h"
#include "client/fork.h"
#include "client/grace.h"
#include "client/read.h"
#include "client/table.h"

enum { LENT_CHAINS = 32 };

struct lent { /* a text that the program may be holding */
    struct lent *next;
    struct slice key;
    enum hoist_type want;
    int32_t variant;
    bool depends; /* on who asks: others may get another variant */
    const char *text;
    size_t length;
    uint32_t slot;
};

struct hoist_view {
    struct span span;
    struct mount *mount;
    uint64_t token; /* of the process that began it */
    uint64_t version;
    int slot; /* in the hoist's views */
    hoist_view *next_dead;
    struct arena arena;
    struct lent **lent; /* LENT_CHAINS lists by hash; NULL until the first */
};

/* ------------------------------------------------------------------ begin and end */

static int slot_take(hoist *h, hoist_view *v)
{
    for (int i = 0; i < VIEWS_MAX; i++) {
        hoist_view *none = NULL;
        if (atomic_compare_exchange_strong(&h->views[i], &none, v))
            return i;
    }
    return -1;
}

/* Pin a transaction. The span is left open but for its hold on what is replaced: the mount knows
 * that it is in use, and the era's words live as long as the source. */
static enum hoist_err pin(hoist *h, hoist_view *v)
{
    struct span s;
    enum hoist_err err = span_begin(h, &s);
    if (err)
        return err;
    struct store_read *r;
    err = store_read_begin(s.era->mount->store, true, &r);
    if (err) {
        span_end(&s);
        return err;
    }
    store_read_end(s.read);
    s.read = r;
    s.txn = store_read_txn(r);
    struct store_env env;
    err = store_env_get(r, hoist_env_name(h), &env);
    if (!err) {
        span_set_env(&s, &env);
        v->version = env.head;
        v->mount = s.era->mount;
        v->span = s;
        atomic_fetch_add(&v->mount->views, 1);
    } else {
        store_read_end(r);
    }
    source_leave(h->source);
    return err;
}

enum hoist_err hoist_view_begin(hoist *h, hoist_view **ret)
{
    if (!ret)
        return err_set(HOIST_EINVAL, "there is no place for the view");
    *ret = NULL;
    if (!h)
        return err_set(HOIST_EINVAL, "there is no handle to view");
    hoist_view *v = mem_zalloc(1, sizeof *v);
    if (!v)
        return err_set(HOIST_ENOMEM, "out of memory");
    v->token = fork_check();
    v->slot = slot_take(h, v);
    enum hoist_err err = v->slot < 0 ? HOIST_EAGAIN : pin(h, v);
    if (err) {
        if (v->slot >= 0)
            atomic_store(&h->views[v->slot], NULL);
        mem_free(v);
        if (err == HOIST_EAGAIN)
            err_set(err, "%d views are open in this process", VIEWS_MAX);
        return err == HOIST_ENOTFOUND
                   ? err_set(err, "there is no store in %s, or not the environment, yet",
                             h->source->dir)
                   : err;
    }
    *ret = v;
    return HOIST_OK;
}

/* Not of this process: its transaction is the parent's. */
static bool is_dead(const hoist_view *v)
{
    return v->token != fork_check();
}

static void end(hoist_view *v)
{
    if (!is_dead(v)) {
        store_read_end(v->span.read);
        atomic_fetch_sub(&v->mount->views, 1);
    }
    arena_done(&v->arena);
    mem_free(v);
}

void hoist_view_end(hoist_view *v)
{
    if (!v || is_dead(v)) /* those are freed with their handle */
        return;
    atomic_store(&v->span.hoist->views[v->slot], NULL);
    end(v);
}

void views_end(hoist *h)
{
    for (int i = 0; i < VIEWS_MAX; i++) {
        hoist_view *v = atomic_exchange(&h->views[i], NULL);
        if (v)
            end(v);
    }
    for (hoist_view *v = h->dead_views, *next; v; v = next) {
        next = v->next_dead;
        end(v);
    }
}

void views_forget(hoist *h)
{
    for (int i = 0; i < VIEWS_MAX; i++) {
        hoist_view *v = atomic_exchange(&h->views[i], NULL);
        if (!v)
            continue;
        v->next_dead = h->dead_views;
        h->dead_views = v;
    }
}

uint64_t hoist_view_version(const hoist_view *v)
{
    return v ? v->version : 0;
}

/* ------------------------------------------------------------------ reading */

/* Through the transaction, or what is cached if it held in it. */
static void answer(hoist_view *v, const struct ask *ask, struct answer *ret)
{
    struct source *source = v->span.hoist->source;
    if (source->threaded)
        grace_enter();
    span_answer(&v->span, ask, ret);
    if (source->threaded)
        grace_leave();
}

static struct ask ask_about(hoist_view *v, struct slice key, const hoist_ctx *ctx,
                            enum hoist_type want)
{
    struct ask ask = {.key = key, .ctx = ctx, .want = want};
    ask.hash = table_hash(ask.key);
    ask.flag = table_find(v->span.hoist, ask.key, ask.hash);
    return ask;
}

static struct ask ask_for(hoist_view *v, const char *key, const hoist_ctx *ctx,
                          enum hoist_type want)
{
    return ask_about(v, key_of(key), ctx, want);
}

static struct cell_value look(hoist_view *v, const char *key, const hoist_ctx *ctx)
{
    struct cell_entry e;
    if (!v || !key || is_dead(v))
        return (struct cell_value){.kind = CELL_NONE};
    struct ask ask = ask_for(v, key, ctx, 0);
    if (ask.flag && cell_read(&ask.flag->cell, v->span.txn, &e) && e.value.kind != CELL_RULES &&
        words_has(&v->span.era->words, e.word)) {
        count(e.slot);
        return e.value;
    }
    struct answer a;
    answer(v, &ask, &a);
    count(a.slot);
    return a.value;
}

bool hoist_view_bool(hoist_view *v, const char *key, const hoist_ctx *ctx, bool fallback)
{
    return cell_bool(look(v, key, ctx), fallback);
}

double hoist_view_double(hoist_view *v, const char *key, const hoist_ctx *ctx, double fallback)
{
    return cell_double(look(v, key, ctx), fallback);
}

int64_t hoist_view_int(hoist_view *v, const char *key, const hoist_ctx *ctx, int64_t fallback)
{
    return cell_int(look(v, key, ctx), fallback);
}

bool hoist_view_evaluate(hoist_view *v, const char *key, const hoist_ctx *ctx, enum hoist_type want,
                         struct hoist_result *ret, char *buf, size_t size)
{
    struct hoist_result unwanted;
    ret = ret ? ret : &unwanted;
    if (!v || !key || is_dead(v))
        return result_of_nothing(ret, want);
    *ret = (struct hoist_result){0};
    struct ask ask = ask_for(v, key, ctx, want);
    ask.buf = buf;
    ask.size = buf ? size : 0;
    ask.variant = ret->variant;
    ask.metadata = ret;
    struct answer a;
    answer(v, &ask, &a);
    count(a.slot);
    return result_fill(ret, &ask, &a, v->version);
}

void client_answer(hoist_view *v, struct slice key, const hoist_ctx *ctx, struct json_writer *w,
                   struct client_outcome *ret)
{
    struct ask ask = ask_about(v, key, ctx, 0);
    struct answer a;
    ask.members = w;
    answer(v, &ask, &a);
    if (!a.type) /* no flag was decided, so nothing is written yet */
        answer_put(w, &(struct answer_parts){.key = key, .result = &a.result});
    *ret = (struct client_outcome){a.result.reason, a.result.code, a.result.limited, a.slot};
}

void client_count(const struct client_outcome *o)
{
    count(o->slot);
}

enum hoist_err client_key_next(hoist_view *v, struct slice after, struct slice *ret)
{
    struct slice record;
    return store_record_next(v->span.read, v->span.env, after, ret, &record);
}

/* ------------------------------------------------------------------ lending */

enum { ANY_VARIANT = -2 };

static struct lent *lent_before(hoist_view *v, const struct ask *ask, int32_t variant)
{
    struct lent *l = v->lent ? v->lent[ask->hash % LENT_CHAINS] : NULL;
    while (l && (l->want != ask->want || !slice_eq(l->key, ask->key) ||
                 (variant != ANY_VARIANT && l->variant != variant)))
        l = l->next;
    return l;
}

/* A copy that lives as long as the view; one for each variant, however often it is asked for. */
static struct lent *lend(hoist_view *v, struct ask *ask)
{
    if (!v->lent)
        v->lent = arena_alloc(&v->arena, LENT_CHAINS, sizeof *v->lent);
    struct lent *l = v->lent ? arena_alloc(&v->arena, 1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    *l = (struct lent){.key = ask->key, .want = ask->want};
    if (arena_own(&v->arena, &l->key))
        return NULL;
    struct answer a;
    ask->lend = &v->arena;
    answer(v, ask, &a);
    l->variant = a.result.variant;
    l->depends = a.depends;
    l->slot = a.slot;
    if (a.result.variant != FLAG_NO_VARIANT) {
        l->text = a.lent;
        l->length = a.length;
    }
    struct lent **chain = &v->lent[ask->hash % LENT_CHAINS];
    l->next = *chain;
    *chain = l;
    return l;
}

static const char *ref(hoist_view *v, const char *key, const hoist_ctx *ctx, enum hoist_type want,
                       const char *fallback, size_t *ret_length)
{
    const struct lent *l = NULL;
    if (v && key && !is_dead(v)) {
        struct ask ask = ask_for(v, key, ctx, want);
        l = lent_before(v, &ask, ANY_VARIANT);
        if (l && l->depends) {
            struct answer a;
            answer(v, &ask, &a);
            l = lent_before(v, &ask, a.result.variant);
        }
        if (!l)
            l = lend(v, &ask);
    }
    if (l)
        count(l->slot);
    bool ok = l && l->text;
    if (ret_length)
        *ret_length = ok ? l->length : slice_str(fallback).len;
    return ok ? l->text : fallback;
}

const char *hoist_view_string_ref(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                  const char *fallback, size_t *ret_length)
{
    return ref(v, key, ctx, HOIST_STRING, fallback, ret_length);
}

const char *hoist_view_object_ref(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                  const char *fallback, size_t *ret_length)
{
    return ref(v, key, ctx, HOIST_OBJECT, fallback, ret_length);
}
