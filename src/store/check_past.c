/* check_past.c - what an environment's flags were, from the log's beginning on: each change names
 * the digest of the flags after it, so every record that baseline and log have is compared with what
 * was published. Forward, in one walk: to look each record up where it was would read a big change
 * anew for each flag that was edited since. */
#include "store/check_int.h"

#include <inttypes.h>

#include "base/mem.h"

struct was {          /* a flag that the log edits, as of the version at hand */
    struct slice key; /* ptr NULL: the place is free */
    struct slice record;
    bool there;
    bool unknown; /* nothing has edited it yet, and what it was then was not kept */
};

struct past {
    struct check *c;
    const struct store_env *env;
    struct lthash *sum;
    struct was *all; /* by hash of the key, then the next free place; half of them are free */
    size_t cap;
    size_t unknown; /* how many; as long as there are any, no digest can be compared */
};

static struct was *find(struct past *p, struct slice key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t n = 0; n < key.len; n++)
        h = (h ^ key.ptr[n]) * UINT64_C(0x100000001b3);
    size_t i = (size_t)(h ^ h >> 32) & (p->cap - 1);
    while (p->all[i].key.ptr && !slice_eq(p->all[i].key, key))
        i = (i + 1) & (p->cap - 1);
    return &p->all[i];
}

static enum hoist_err make_room(struct past *p)
{
    struct walk w;
    size_t count = 0;
    enum hoist_err err = walk_begin(p->c, DB_BASELINE, &p->env->id, &w);
    while (!err && walk_next(&w))
        count++;
    walk_end(&w);
    p->c->sums.rows -= count; /* they were counted before */
    if (err)
        return err;
    for (p->cap = 16; p->cap < 2 * count + 2;)
        p->cap *= 2;
    p->all = mem_zalloc(p->cap, sizeof *p->all);
    return p->all ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

/* From what is there now to what was before the log: what the log edits was what `baseline` has. */
static enum hoist_err go_back(struct past *p)
{
    struct walk w;
    enum hoist_err err = walk_begin(p->c, DB_BASELINE, &p->env->id, &w);
    while (!err && walk_next(&w)) {
        struct slice now;
        p->c->sums.rows--;
        if (w.row.len == 0)
            continue; /* was told */
        struct was *f = find(p, w.key);
        *f = (struct was){.key = w.key,
                          .record = slice_of(w.row.ptr + 1, w.row.len - 1),
                          .there = w.row.ptr[0] == BASELINE_RECORD,
                          .unknown = w.row.ptr[0] == BASELINE_UNKNOWN};
        p->unknown += f->unknown;
        if (store_record_get(p->c->r, p->env->id, w.key, &now) == HOIST_OK)
            lthash_sub(p->sum, w.key, now);
        if (f->there)
            lthash_add(p->sum, w.key, f->record);
    }
    walk_end(&w);
    return err;
}

static bool go_on(struct past *p, const struct check_cut *cut, const struct change *c)
{
    struct edits_reader reader;
    struct edit edit;
    if (check_edits(cut, c, &reader) != HOIST_OK)
        return false;
    while (edits_next(&reader, &edit) == HOIST_OK) {
        struct was *f = find(p, edit.key);
        if (!f->key.ptr)
            return false; /* its baseline is missing, which was told */
        if (f->there)
            lthash_sub(p->sum, edit.key, f->record);
        if (edit.put)
            lthash_add(p->sum, edit.key, edit.record);
        p->unknown -= f->unknown;
        *f = (struct was){.key = f->key, .record = edit.record, .there = edit.put};
    }
    return true;
}

static bool fits(struct past *p, uint64_t version, const uint8_t want[HASH_SIZE])
{
    uint8_t have[HASH_SIZE];
    if (p->unknown > 0)
        return true;
    lthash_digest(p->sum, have);
    if (memcmp(want, have, HASH_SIZE) == 0)
        return true;
    struct row_key k = row_log(p->env->id, version);
    check_tell(p->c, DB_LOG, slice_of(k.bytes, k.len),
               "by what is kept of the past (log, baseline) the flags of version %" PRIu64
               " are not what they were",
               version);
    return false;
}

static void walk_log(struct past *p, const struct check_cut *cut)
{
    static const struct lthash empty;
    uint64_t first = cut->version ? cut->version : p->env->log_first;
    uint8_t none[HASH_SIZE];
    lthash_digest(&empty, none);
    if (first == 1 && cut->version == 0 && !fits(p, 0, none))
        return;
    for (uint64_t v = first; v <= p->env->head; v++) {
        struct slice bytes;
        struct change change;
        if (store_log_get(p->c->r, p->env->id, v, &bytes) != HOIST_OK ||
            change_decode(bytes, &change) != HOIST_OK || !change.edits.ptr ||
            !go_on(p, cut, &change) || !fits(p, v, change.head.digest))
            return;
    }
}

enum hoist_err check_past(struct check *c, const struct store_env *env, const struct check_cut *cut,
                          struct lthash *sum)
{
    struct past p = {.c = c, .env = env, .sum = sum};
    uint8_t now[HASH_SIZE];
    lthash_digest(sum, now);
    if (memcmp(now, env->digest, HASH_SIZE) != 0 || env->log_first == 0)
        return HOIST_OK; /* told already; nothing before it could fit */
    enum hoist_err err = make_room(&p);
    if (!err)
        err = go_back(&p);
    if (!err)
        walk_log(&p, cut);
    mem_free(p.all);
    return err;
}
