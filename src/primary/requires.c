/* Whether, after a plan, every flag finds the flags that it requires, and none requires itself. */
#include "primary/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "eval/eval.h"
#include "wire/record.h"

enum {
    DEPTH_MAX = EVAL_REQUIRES_DEPTH_MAX, /* behind that a requirement is not met, whatever it is */
    NAMED = 10,                          /* of those who require a flag */
    SCAN_BY_BYTES = 8, /* for so few keys, look for their bytes before a record is decoded */
};

struct visited {
    struct slice key;
    bool done;  /* else it is on the way that led here */
    int height; /* once done: how long the longest chain is that begins with it */
};

struct mend { /* what to do about a refusal */
    char *text;
    size_t size;
};

struct walk {
    struct plan *plan;
    struct mend mend;
    struct slice way[DEPTH_MAX + 1]; /* keys, from the flag that the plan has on */
    struct visited *seen;            /* open addressing; a power of two */
    size_t count, cap;
};

/* ------------------------------------------------------------------ what was visited */

static size_t place(const struct walk *w, struct slice key)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.ptr[i]) * 1099511628211u;
    size_t at = h & (w->cap - 1);
    while (w->seen[at].key.ptr && !slice_eq(w->seen[at].key, key))
        at = (at + 1) & (w->cap - 1);
    return at;
}

static enum hoist_err make_room(struct walk *w)
{
    if (w->count * 2 < w->cap)
        return HOIST_OK;
    struct walk bigger = {.cap = w->cap ? w->cap * 2 : 64};
    bigger.seen = mem_zalloc(bigger.cap, sizeof *bigger.seen);
    if (!bigger.seen)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (size_t i = 0; i < w->cap; i++)
        if (w->seen[i].key.ptr)
            bigger.seen[place(&bigger, w->seen[i].key)] = w->seen[i];
    mem_free(w->seen);
    w->seen = bigger.seen;
    w->cap = bigger.cap;
    return HOIST_OK;
}

/* Enter `key`, or give what is known of it. */
static enum hoist_err enter(struct walk *w, struct slice key, bool *ret_new,
                            struct visited *ret_known)
{
    enum hoist_err err = make_room(w);
    if (err != HOIST_OK)
        return err;
    size_t at = place(w, key);
    *ret_new = !w->seen[at].key.ptr;
    *ret_known = w->seen[at];
    if (!*ret_new)
        return HOIST_OK;
    err = arena_own(&w->plan->arena, &key);
    if (err == HOIST_OK) {
        w->seen[at].key = key;
        w->count++;
    }
    return err;
}

/* ------------------------------------------------------------------ forwards: what is required */

/* The flag `key` as it will be; ENOTFOUND: it will not be there. */
static enum hoist_err flag_after(const struct plan *p, struct slice key, struct flag **ret)
{
    const struct plan_item *item = plan_find(p, key);
    if (item)
        return item->what == PLAN_DELETE ? HOIST_ENOTFOUND
                                         : record_decode(key, item->record, ret, NULL);
    struct slice record;
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &record);
    return err == HOIST_OK ? record_decode(key, record, ret, NULL) : err;
}

static enum hoist_err visit(struct walk *w, const struct flag *f, int depth, int *ret_height);

static enum hoist_err visit_required(struct walk *w, const struct flag *f,
                                     const struct requirement *need, int depth, int *ret_height)
{
    struct flag *required = NULL;
    enum hoist_err err = flag_after(w->plan, need->flag, &required);
    if (err == HOIST_ENOTFOUND) {
        snprintf(w->mend.text, w->mend.size,
                 "create it first, or apply both in one file; or take it out of `requires`");
        return err_set(HOIST_EINVAL, "flag '%.*s' requires flag '%.*s', which is not in %s",
                       SLICE_ARG(f->key), SLICE_ARG(need->flag), w->plan->env->name);
    }
    if (err != HOIST_OK)
        return err;
    if (flag_variant(required, need->variant) == FLAG_NO_VARIANT) {
        snprintf(w->mend.text, w->mend.size,
                 "require a variant that it has: flagctl get %.*s --json", SLICE_ARG(need->flag));
        err = err_set(HOIST_EINVAL,
                      "flag '%.*s' requires variant '%.*s' of flag '%.*s', which has no such "
                      "variant",
                      SLICE_ARG(f->key), SLICE_ARG(need->variant), SLICE_ARG(need->flag));
    } else {
        err = visit(w, required, depth + 1, ret_height);
    }
    flag_free(required);
    return err;
}

/* The way from flag `key` back to it. */
static enum hoist_err refuse_circle(struct walk *w, struct slice key, int depth)
{
    struct buf way = BUF_INIT(4096);
    int first = 0;
    while (!slice_eq(w->way[first], key))
        first++;
    for (int i = first; i < depth; i++)
        buf_printf(&way, "'%.*s' requires ", SLICE_ARG(w->way[i]));
    buf_printf(&way, "'%.*s'", SLICE_ARG(key));
    snprintf(w->mend.text, w->mend.size, "take one of these requirements out");
    enum hoist_err err = err_set(HOIST_EINVAL, "flag '%.*s' would require itself: %s",
                                 SLICE_ARG(key), way.err ? "by way of many others" : buf_str(&way));
    buf_done(&way);
    return err;
}

static enum hoist_err refuse_depth(struct walk *w, const struct flag *f)
{
    snprintf(w->mend.text, w->mend.size, "require the flag at the end of the chain directly");
    return err_set(HOIST_EINVAL, "flags require each other more than %d deep, at flag '%.*s'",
                   DEPTH_MAX, SLICE_ARG(f->key));
}

/* Chains are followed downwards alone: one that a flag outside of the plan begins may become longer
 * than it should be. Then that flag yields its `otherwise`. */
static enum hoist_err visit(struct walk *w, const struct flag *f, int depth, int *ret_height)
{
    struct visited known;
    bool is_new;
    int height = 0;
    if (depth > DEPTH_MAX)
        return refuse_depth(w, f);
    enum hoist_err err = enter(w, f->key, &is_new, &known);
    if (err != HOIST_OK)
        return err;
    if (!is_new && !known.done)
        return refuse_circle(w, f->key, depth);
    if (!is_new) {
        *ret_height = known.height;
        return depth + known.height > DEPTH_MAX ? refuse_depth(w, f) : HOIST_OK;
    }
    w->way[depth] = f->key;
    for (uint32_t i = 0; i < f->requires_count; i++) {
        int below = 0;
        err = visit_required(w, f, &f->requires[i], depth, &below);
        if (err != HOIST_OK)
            return err;
        if (height < below + 1)
            height = below + 1;
    }
    struct visited *v = &w->seen[place(w, f->key)];
    v->done = true;
    v->height = height;
    *ret_height = height;
    return HOIST_OK;
}

static enum hoist_err check_required(struct plan *p, struct mend mend)
{
    struct walk w = {.plan = p, .mend = mend};
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; i < p->count && err == HOIST_OK; i++) {
        if (!p->items[i].requires)
            continue;
        struct flag *f;
        int height;
        err = record_decode(p->items[i].key, p->items[i].record, &f, NULL);
        if (err != HOIST_OK)
            break;
        err = visit(&w, f, 0, &height);
        flag_free(f);
    }
    mem_free(w.seen);
    return err;
}

/* ------------------------------------------------------------------ backwards: who requires it */

struct gone { /* flags that go, or lose a variant */
    const struct plan_item *items[SCAN_BY_BYTES];
    size_t count; /* may be more than are listed */
};

/* Whether the record can name one of them at all. */
static bool may_name(const struct gone *gone, struct slice record)
{
    if (gone->count > SCAN_BY_BYTES)
        return true;
    for (size_t i = 0; i < gone->count; i++)
        if (memmem(record.ptr, record.len, gone->items[i]->key.ptr, gone->items[i]->key.len))
            return true;
    return false;
}

/* The first flag of the plan that cannot do what it is to do, and all who need it. */
struct needed {
    const struct plan_item *item;
    struct slice variant; /* that would go; of the plan's arena */
    struct slice first;   /* of those who need it */
    struct buf who;
    size_t count;
};

/* Whether the plan takes away what `need` asks for. */
static enum hoist_err takes_away(const struct plan *p, const struct requirement *need,
                                 const struct plan_item **ret_item)
{
    struct flag *f;
    *ret_item = NULL;
    const struct plan_item *item = plan_find(p, need->flag);
    if (!item)
        return HOIST_OK;
    if (item->what == PLAN_DELETE) {
        *ret_item = item;
        return HOIST_OK;
    }
    enum hoist_err err = record_decode(item->key, item->record, &f, NULL);
    if (err != HOIST_OK)
        return err;
    if (flag_variant(f, need->variant) == FLAG_NO_VARIANT)
        *ret_item = item;
    flag_free(f);
    return HOIST_OK;
}

static enum hoist_err note_need(struct plan *p, struct slice who, const struct requirement *need,
                                struct needed *needed)
{
    const struct plan_item *item;
    enum hoist_err err = takes_away(p, need, &item);
    if (err != HOIST_OK || !item || (needed->item && needed->item != item))
        return err;
    if (!needed->item) {
        needed->item = item;
        needed->variant = need->variant;
        needed->first = who;
        err = arena_own(&p->arena, &needed->variant);
        if (err == HOIST_OK)
            err = arena_own(&p->arena, &needed->first);
    }
    if (needed->count++ < NAMED)
        buf_printf(&needed->who, "%s'%.*s'", needed->who.len ? ", " : "", SLICE_ARG(who));
    return err;
}

static enum hoist_err check_requirer(struct plan *p, struct slice key, struct slice record,
                                     struct needed *needed)
{
    struct flag *f;
    if (plan_find(p, key) || record_decode(key, record, &f, NULL) != HOIST_OK)
        return HOIST_OK; /* looked at as it will be; or nobody can say what it requires */
    enum hoist_err err = HOIST_OK;
    for (uint32_t i = 0; i < f->requires_count && err == HOIST_OK; i++)
        err = note_need(p, key, &f->requires[i], needed);
    flag_free(f);
    return err;
}

static enum hoist_err refuse_needed(struct needed *n, struct mend mend)
{
    char more[32] = "";
    if (n->count > NAMED)
        snprintf(more, sizeof more, " and %zu more", n->count - NAMED);
    snprintf(mend.text, mend.size,
             "apply %s without that in `requires`, or first: flagctl delete %.*s",
             n->count > 1 ? "them" : "it", SLICE_ARG(n->first));
    const char *flags = n->count > 1 ? "flags" : "flag";
    if (n->item->what == PLAN_DELETE)
        return err_set(HOIST_EINVAL, "flag '%.*s' is required by %s %s%s", SLICE_ARG(n->item->key),
                       flags, buf_str(&n->who), more);
    return err_set(HOIST_EINVAL,
                   "variant '%.*s' of flag '%.*s' would go, and is required by %s %s%s",
                   SLICE_ARG(n->variant), SLICE_ARG(n->item->key), flags, buf_str(&n->who), more);
}

static enum hoist_err find_needed(struct plan *p, const struct gone *gone, struct needed *needed)
{
    struct slice key = {0}, record;
    enum hoist_err err;
    while ((err = store_record_next(p->r, p->env->id, key, &key, &record)) == HOIST_OK) {
        if (may_name(gone, record))
            err = check_requirer(p, key, record, needed);
        if (err != HOIST_OK)
            return err;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static enum hoist_err check_requirers(struct plan *p, struct mend mend)
{
    struct gone gone = {0};
    struct needed needed = {.who = BUF_INIT(8192)};
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].what == PLAN_DELETE || p->items[i].lost_variant) {
            if (gone.count < SCAN_BY_BYTES)
                gone.items[gone.count] = &p->items[i];
            gone.count++;
        }
    if (gone.count == 0)
        return HOIST_OK;
    enum hoist_err err = find_needed(p, &gone, &needed);
    if (err == HOIST_OK && needed.item)
        err = refuse_needed(&needed, mend);
    buf_done(&needed.who);
    return err;
}

enum hoist_err plan_check_requires(struct plan *p, char *ret_mend, size_t mend_size)
{
    struct mend mend = {ret_mend, mend_size};
    enum hoist_err err = check_required(p, mend);
    return err == HOIST_OK ? check_requirers(p, mend) : err;
}
