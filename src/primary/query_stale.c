/* stale: flags that can go, since nobody asks for them, or everybody gets the same. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "primary/query_usage.h"
#include "wire/record.h"

enum { DAYS_DEFAULT = 30, DAYS_MAX = 3650, TOUCHES_MAX = 1000 };

enum why { WHY_NOT, WHY_UNUSED, WHY_ONE_VARIANT, WHY_PERMANENT };

struct suspect { /* a flag */
    struct slice key;
    enum why why;         /* WHY_NOT: it is not stale, WHY_PERMANENT: and it is to stay */
    int64_t since_s;      /* 0: it was never evaluated */
    struct slice variant; /* the one that everybody gets */
    struct slice owner;   /* empty: nobody is named */
    bool permanent;       /* a switch for the day it is needed */
    struct slice *requires;
    uint32_t requires_count;
};

struct search {
    struct store_read *r;
    struct store_env env;
    struct arena arena;
    int64_t now_s, from_s; /* what lies before is too long ago */
    uint64_t then;         /* the version that was the head at from_s; 0: there was nothing */
    struct suspect *flags; /* by key */
    size_t count;
    struct suspect **waiting; /* found not stale: what they require is not, either */
    size_t waiting_count;
};

/* ------------------------------------------------------------------ one flag */

/* Whether it was made, or made anew, since then. */
static bool is_young(struct search *s, struct slice key)
{
    struct slice record;
    uint64_t v = s->env.head;
    if (s->then == 0 || store_record_at(s->r, s->env.id, key, s->then, &record) != HOIST_OK)
        return true;
    for (int i = 0; i < TOUCHES_MAX; i++, v--) {
        if (store_touched(s->r, s->env.id, key, v, &v) != HOIST_OK || v <= s->then)
            return false;
        if (store_record_at(s->r, s->env.id, key, v, &record) != HOIST_OK)
            return true;
    }
    return false;
}

static void judge(const struct search *s, const struct usage_row *row, struct suspect *f)
{
    const struct usage_variant *only = NULL;
    uint32_t alive = 0;
    int64_t others_s = 0; /* when another was yielded last */
    for (uint32_t i = 0; i < row->count; i++) {
        const struct usage_variant *v = &row->variants[i];
        if (v->last_s >= s->from_s) {
            only = v;
            alive++;
        } else if (v->last_s > others_s) {
            others_s = v->last_s;
        }
    }
    if (alive == 0) {
        f->why = WHY_UNUSED;
        f->since_s = others_s;
    } else if (alive == 1 && (others_s > 0 || only->first_s < s->from_s)) {
        f->why = WHY_ONE_VARIANT;
        f->since_s = others_s > 0 ? others_s : only->first_s;
        f->variant = only->name;
    }
}

static enum hoist_err keep_metadata(struct search *s, const struct flag *flag, struct suspect *f)
{
    for (uint32_t i = 0; i < flag->metadata_count; i++) {
        const struct meta_item *m = &flag->metadata[i];
        if (slice_eq(m->name, SLICE("owner")) && m->value.kind == NODE_STRING)
            f->owner = m->value.text;
        if (slice_eq(m->name, SLICE("permanent")))
            f->permanent = m->value.kind == NODE_TRUE;
    }
    return arena_own(&s->arena, &f->owner);
}

static enum hoist_err keep_required(struct search *s, const struct flag *flag, struct suspect *f)
{
    enum hoist_err err = HOIST_OK;
    f->requires = arena_alloc(&s->arena, flag->requires_count + 1, sizeof *f->requires);
    if (!f->requires)
        return err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < flag->requires_count && err == HOIST_OK; i++) {
        f->requires[i] = flag->requires[i].flag;
        err = arena_own(&s->arena, &f->requires[i]);
        f->requires_count++;
    }
    return err;
}

static enum hoist_err look_at(struct search *s, struct slice key, struct slice record)
{
    struct suspect *f = &s->flags[s->count++];
    struct usage_row row = {0};
    struct flag *flag = NULL;
    *f = (struct suspect){.key = key};
    enum hoist_err err = record_decode(key, record, &flag, NULL);
    if (err != HOIST_OK)
        return err == HOIST_ENOMEM ? err : HOIST_OK; /* of a newer Hoist: not for us to judge */
    err = keep_metadata(s, flag, f);
    if (err == HOIST_OK)
        err = keep_required(s, flag, f);
    flag_free(flag);
    if (err == HOIST_OK)
        err = usage_of(s->r, &s->env, key, &row);
    if (err == HOIST_OK) {
        judge(s, &row, f);
        err = arena_own(&s->arena, &f->variant);
    }
    usage_row_done(&row);
    if (f->why != WHY_NOT && is_young(s, key))
        f->why = WHY_NOT;
    if (f->why != WHY_NOT && f->permanent)
        f->why = WHY_PERMANENT;
    return err;
}

/* ------------------------------------------------------------------ all of them */

static void clear(struct search *s, struct suspect *f)
{
    f->why = WHY_NOT;
    s->waiting[s->waiting_count++] = f;
}

static struct suspect *find(const struct search *s, struct slice key)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_cmp(s->flags[middle].key, key);
        if (order == 0)
            return &s->flags[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool stays(const struct suspect *f)
{
    return f->why == WHY_NOT || f->why == WHY_PERMANENT;
}

/* Whoever asks for a flag asks for those that it requires; and one that stays needs them. */
static void clear_required(struct search *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (stays(&s->flags[i]))
            s->waiting[s->waiting_count++] = &s->flags[i];
    while (s->waiting_count > 0) {
        const struct suspect *f = s->waiting[--s->waiting_count];
        for (uint32_t i = 0; i < f->requires_count; i++) {
            struct suspect *required = find(s, f->requires[i]);
            if (required && !stays(required))
                clear(s, required);
        }
    }
}

static enum hoist_err search(struct search *s)
{
    struct slice key = {0}, record;
    enum hoist_err err = HOIST_OK;
    s->flags = mem_zalloc(s->env.flags + 1, sizeof *s->flags);
    s->waiting = mem_zalloc(s->env.flags + 1, sizeof(struct suspect *));
    if (!s->flags || !s->waiting)
        return err_set(HOIST_ENOMEM, "out of memory");
    while (err == HOIST_OK && s->count < s->env.flags) {
        err = store_record_next(s->r, s->env.id, key, &key, &record);
        if (err == HOIST_OK)
            err = look_at(s, key, record);
    }
    clear_required(s);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* ------------------------------------------------------------------ the answer */

static void put_mend(struct json_writer *w, const struct suspect *f)
{
    struct buf text = BUF_INIT(2048);
    if (f->why == WHY_UNUSED)
        buf_add_str(&text, "take it out of the programs that still name it");
    else if (f->variant.len > 0)
        buf_printf(&text, "write '%.*s' into the programs that ask for it", SLICE_ARG(f->variant));
    else
        buf_add_str(&text, "write their fallback into the programs that ask for it");
    buf_printf(&text, ", then: flagctl delete %.*s", SLICE_ARG(f->key));
    json_key(w, "mend");
    json_put_slice(w, buf_slice(&text));
    buf_done(&text);
}

static void put_suspect(struct json_writer *w, const struct suspect *f)
{
    json_object_begin(w);
    json_key(w, "key");
    json_put_slice(w, f->key);
    json_key(w, "why");
    json_put_str(w, f->why == WHY_UNUSED ? "not-evaluated" : "one-variant");
    usage_put_time(w, "since", f->since_s);
    if (f->why == WHY_ONE_VARIANT)
        usage_put_variant(w, f->variant);
    json_key(w, "owner");
    if (f->owner.len > 0)
        json_put_slice(w, f->owner);
    else
        json_put_null(w);
    put_mend(w, f);
    json_object_end(w);
}

static size_t count_permanent(const struct search *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->flags[i].why == WHY_PERMANENT;
    return n;
}

static void put_answer(const struct search *s, uint64_t days, int64_t since_ms, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, s->env.name);
    json_key(&w, "days");
    json_put_u64(&w, days);
    usage_put_time(&w, "since", since_ms / 1000);
    json_key(&w, "flags_total");
    json_put_u64(&w, s->count);
    json_key(&w, "permanent_count");
    json_put_u64(&w, count_permanent(s));
    json_key(&w, "flags");
    json_array_begin(&w);
    for (size_t i = 0; i < s->count; i++)
        if (!stays(&s->flags[i]))
            put_suspect(&w, &s->flags[i]);
    json_array_end(&w);
    json_object_end(&w);
}

/* It is not known yet. */
static uint32_t too_early(uint64_t days, int64_t since_ms, int64_t now_s, struct buf *out)
{
    int64_t counted = (now_s - since_ms / 1000) / USAGE_DAY_S;
    char since[TEXT_TIME_SIZE], known[TEXT_TIME_SIZE], mend[64] = "ask again then";
    text_time(since, since_ms);
    text_time(known, since_ms + (int64_t)days * USAGE_DAY_S * 1000);
    if (counted > 0)
        snprintf(mend, sizeof mend, "flagctl stale --days %" PRId64, counted);
    return query_error(out, EXIT_GATE, "too-early", "days", mend, NULL,
                       "evaluations are counted since %s: which flags are stale for %" PRIu64
                       " days is known from %s on",
                       since, days, known);
}

/* The version that counts as that of then. Where the log does not reach back so far: its oldest,
 * unless it has all of the history. */
static uint64_t version_then(const struct search *s)
{
    uint64_t v = query_version_at(s->r, &s->env, s->from_s * 1000);
    return v == 0 && s->env.log_first > 1 ? query_first_version(&s->env) : v;
}

uint32_t query_stale(struct store_read *r, const json_t *args, struct buf *out)
{
    struct search s = {.r = r, .now_s = clock_wall_ms() / 1000};
    int64_t since_ms;
    uint32_t exit = EXIT_DONE;
    bool ok = true;
    uint64_t days = query_u64(args, "days", DAYS_DEFAULT, &ok);
    if (!query_env_of(r, args, ok, "stale", &s.env, out, &exit) ||
        !usage_since(r, &since_ms, out, &exit))
        return exit;
    if (days == 0 || days > DAYS_MAX)
        return query_error(out, EXIT_INPUT, "input", "days", NULL, NULL,
                           "give 1 to %d days, not %" PRIu64, DAYS_MAX, days);
    s.from_s = s.now_s - (int64_t)days * USAGE_DAY_S;
    if (since_ms / 1000 > s.from_s)
        return too_early(days, since_ms, s.now_s, out);
    s.then = version_then(&s);
    enum hoist_err err = search(&s);
    if (err == HOIST_OK)
        put_answer(&s, days, since_ms, out);
    mem_free(s.flags);
    mem_free(s.waiting);
    arena_done(&s.arena);
    return err == HOIST_OK ? query_done(out, EXIT_DONE) : query_fail(out, err, NULL);
}
