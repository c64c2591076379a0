/*
 * rollback: one more change, whose edits bring back records as they were at an earlier version,
 * byte for byte. The present override stays, since a kill ends by restore alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "primary/command_int.h"
#include "primary/query_int.h"
#include "primary/undone.h"

enum { UNDONE_SHOWN = 100 };

struct undone {
    uint64_t version;
    int64_t time_ms;
    uint32_t kind;
    struct slice author, message; /* of the plan's arena */
};

struct rollback {
    struct command *command;
    struct plan plan;
    uint64_t restores;    /* the version that is gone back to */
    struct key_list keys; /* of which flags; sorted */
    struct slice only;    /* not empty: this flag alone */
    struct undone undone[UNDONE_SHOWN];
    size_t undone_count; /* also of those that are not shown */
    struct plan_names left;
};

/* ------------------------------------------------------------------ what is undone */

static enum hoist_err note_undone(struct rollback *b, const struct change *c)
{
    if (b->undone_count++ >= UNDONE_SHOWN)
        return HOIST_OK;
    struct undone *u = &b->undone[b->undone_count - 1];
    *u = (struct undone){.version = c->head.version,
                         .time_ms = c->head.time_ms,
                         .kind = c->head.kind,
                         .author = c->head.author,
                         .message = c->head.message};
    enum hoist_err err = arena_own(&b->plan.arena, &u->author);
    return err ? err : arena_own(&b->plan.arena, &u->message);
}

static enum hoist_err add_keys(struct rollback *b, const struct change *c)
{
    struct edits_reader edits;
    struct edit e;
    if (b->only.len)
        return b->keys.count ? HOIST_OK : key_list_add(&b->keys, b->only);
    enum hoist_err err = edits_open(c->edits, &edits);
    while (!err && (err = edits_next(&edits, &e)) == HOIST_OK)
        err = key_list_add(&b->keys, e.key);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* ------------------------------------------------------------------ each flag */

/* Those that are so already are edited too, if any is not: what a rollback undoes is told by the flags
 * that it edits. */
static enum hoist_err plan_all(struct rollback *b)
{
    struct plan_names same = {0};
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; i < b->keys.count && err == HOIST_OK; i++) {
        size_t planned = b->plan.count, left = b->left.count;
        err = plan_back(&b->plan, b->keys.keys[i], b->restores, b->command->args.with_overrides,
                        &b->left);
        if (err == HOIST_OK && b->plan.count == planned && b->left.count == left)
            err = plan_name(&same, b->keys.keys[i]);
    }
    if (err == HOIST_OK && b->plan.count > 0)
        err = plan_same(&b->plan, &same);
    mem_free(same.keys);
    return err;
}

/* ------------------------------------------------------------------ somebody else's later change
 */

struct conflict {
    struct slice key;
    struct slice later; /* who changed it later */
};

/* `authors` has who changed each key last, as far as the walk has come. */
static enum hoist_err find_conflict(struct rollback *b, const struct change *c,
                                    struct slice *authors, struct conflict *ret)
{
    struct edits_reader edits;
    struct edit e;
    enum hoist_err err = edits_open(c->edits, &edits);
    while (!err && (err = edits_next(&edits, &e)) == HOIST_OK) {
        ptrdiff_t at = key_list_find(&b->keys, e.key);
        if (at < 0)
            continue;
        if (!authors[at].ptr)
            authors[at] = c->head.author;
        if (slice_eq(authors[at], c->head.author))
            continue;
        *ret = (struct conflict){e.key, authors[at]};
        return HOIST_ECONFLICT;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static void answer_conflict(struct answer *a, const struct change *c, const struct conflict *with)
{
    char mend[FLAG_KEY_MAX + 100];
    snprintf(mend, sizeof mend, "see them by: flagctl history %.*s; --force undoes them all",
             SLICE_ARG(with->key));
    a->exit = query_error(
        &a->body, EXIT_CONFLICT, "conflict", NULL, mend, NULL,
        "flag '%.*s' was changed by %.*s in v%" PRIu64 " and later by %.*s: this would undo both",
        SLICE_ARG(with->key), SLICE_ARG(c->head.author), c->head.version, SLICE_ARG(with->later));
}

/* ------------------------------------------------------------------ --to V, --flag KEY --to V */

static bool check_to(struct rollback *b, struct answer *a)
{
    const struct store_env *env = b->plan.env;
    uint64_t epoch = env->epoch, least = query_first_version(env);
    char mend[128];
    if (!command_version(b->command->args.to, "to", &epoch, &b->restores, a))
        return false;
    if (epoch == env->epoch && b->restores >= least && b->restores <= env->head)
        return true;
    snprintf(mend, sizeof mend, "give one from %" PRIu64 " to %" PRIu64, least, env->head);
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "to", mend, NULL,
                          "%s is not among the versions that %s's log leads back to",
                          b->command->args.to, env->name);
    return false;
}

/* All that is behind the version goes back, also what a rollback undid or a kill touched. */
static enum hoist_err collect_keys(struct rollback *b)
{
    enum hoist_err err = HOIST_OK;
    for (uint64_t v = b->plan.env->head; v > b->restores && !err; v--) {
        struct slice bytes;
        struct change c;
        err = store_log_get(b->plan.r, b->plan.env->id, v, &bytes);
        if (!err)
            err = change_decode(bytes, &c);
        if (!err && (!b->only.len || change_touches(&c, b->only)))
            err = add_keys(b, &c);
    }
    key_list_sort(&b->keys);
    return err;
}

/* What is undone, and whether somebody else's change is among it. */
static enum hoist_err judge(struct rollback *b, struct slice *authors, struct answer *a)
{
    struct undone_walk walk;
    struct change c;
    struct conflict with = {0};
    enum hoist_err err;
    undone_begin(&walk, b->plan.r, b->plan.env);
    while ((err = undone_next(&walk, &c)) == HOIST_OK && c.head.version > b->restores) {
        if (b->only.len && !change_touches(&c, b->only))
            continue;
        err = b->command->args.force ? HOIST_OK : find_conflict(b, &c, authors, &with);
        if (err == HOIST_ECONFLICT)
            answer_conflict(a, &c, &with);
        if (err == HOIST_OK)
            err = note_undone(b, &c);
        if (err != HOIST_OK)
            break;
    }
    undone_end(&walk);
    return err == HOIST_ENOTFOUND || err == HOIST_ECONFLICT ? HOIST_OK : err;
}

static enum hoist_err back_to(struct rollback *b, struct answer *a)
{
    if (!check_to(b, a))
        return HOIST_OK;
    enum hoist_err err = collect_keys(b);
    if (err != HOIST_OK)
        return err;
    struct slice *authors = mem_zalloc(b->keys.count + 1, sizeof *authors);
    err = authors ? judge(b, authors, a) : err_set(HOIST_ENOMEM, "out of memory");
    mem_free(authors);
    return err == HOIST_OK && a->exit == EXIT_DONE ? plan_all(b) : err;
}

/* ------------------------------------------------------------------ --last, --flag KEY */

/* Nothing of the change could go back, and to go on to an older one is not what was asked. */
static void answer_left(const struct rollback *b, const struct change *c, struct answer *a)
{
    a->exit = query_error(
        &a->body, EXIT_NO, "overridden", NULL,
        "restore it, and roll back then; or --with-overrides, which ends the kill", NULL,
        "v%" PRIu64 " cannot be undone: '%.*s' is overridden to what it did not have before",
        c->head.version, SLICE_ARG(b->left.keys[0]));
}

/* The newest change in force that makes a difference. */
static enum hoist_err back_by_one(struct rollback *b, struct answer *a)
{
    struct undone_walk walk;
    struct change c;
    enum hoist_err err;
    undone_begin(&walk, b->plan.r, b->plan.env);
    while ((err = undone_next(&walk, &c)) == HOIST_OK) {
        if (b->only.len && !change_touches(&c, b->only))
            continue;
        b->restores = c.head.version - 1;
        b->keys.count = 0;
        err = add_keys(b, &c);
        key_list_sort(&b->keys);
        if (err == HOIST_OK)
            err = plan_all(b);
        if (err == HOIST_OK && b->plan.count > 0)
            err = note_undone(b, &c);
        else if (err == HOIST_OK && b->left.count > 0)
            answer_left(b, &c, a);
        if (err != HOIST_OK || b->plan.count > 0 || b->left.count > 0)
            break;
    }
    undone_end(&walk);
    if (err != HOIST_ENOTFOUND)
        return err;
    a->exit = query_error(&a->body, EXIT_NO, "not-found", NULL, "flagctl log shows what there was",
                          NULL, "there is no change left in the log of %s to undo%s%.*s",
                          b->plan.env->name, b->only.len ? " of " : "", SLICE_ARG(b->only));
    return HOIST_OK;
}

/* ------------------------------------------------------------------ the answer */

static void put_rollback(struct json_writer *w, struct command *c)
{
    const struct rollback *b = c->more;
    json_key(w, "restores");
    json_put_u64(w, b->restores);
    json_key(w, "undone_count");
    json_put_u64(w, b->undone_count);
    json_key(w, "undone");
    json_array_begin(w);
    for (size_t i = 0; i < b->undone_count && i < UNDONE_SHOWN; i++) {
        const struct undone *u = &b->undone[i];
        json_object_begin(w);
        json_key(w, "version");
        json_put_u64(w, u->version);
        json_key(w, "time");
        json_put_time(w, u->time_ms);
        json_key(w, "author");
        json_put_slice(w, u->author);
        json_key(w, "message");
        json_put_slice(w, u->message);
        json_key(w, "kind");
        json_put_str(w, change_kind_name(u->kind));
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, "left");
    json_array_begin(w);
    for (size_t i = 0; i < b->left.count; i++)
        json_put_slice(w, b->left.keys[i]);
    json_array_end(w);
    if (!c->args.dry_run) /* else they are there already */
        command_put_edits(w, &b->plan);
}

static bool check_args(const struct command *c, struct answer *a)
{
    const char *wrong = NULL;
    if (c->args.last + (c->args.to || c->args.key) != 1)
        wrong = "say what to go back to: --to V, --last, --flag KEY, or --flag KEY --to V";
    else if (c->args.key && flag_key_check(slice_str(c->args.key)) != HOIST_OK)
        wrong = "that is no flag's key";
    if (wrong)
        a->exit = query_error(&a->body, EXIT_INPUT, "input", NULL, NULL, NULL, "%s", wrong);
    return !wrong;
}

enum hoist_err command_rollback(struct command *c, struct store_write *w, struct answer *a)
{
    if (!check_args(c, a))
        return HOIST_OK;
    struct rollback *b = mem_zalloc(1, sizeof *b);
    if (!b)
        return err_set(HOIST_ENOMEM, "out of memory");
    b->command = c;
    b->only = slice_str(c->args.key);
    plan_begin(&b->plan, store_write_read(w), &c->env);
    enum hoist_err err = c->args.to ? back_to(b, a) : back_by_one(b, a);
    if (err == HOIST_OK && a->exit == EXIT_DONE) {
        c->fast = true;
        c->restores = b->restores;
        c->put_more = put_rollback;
        c->more = b;
        err = command_carry_out(c, w, CHANGE_ROLLBACK, &b->plan, a);
    } else {
        err = command_answer_or_fail(a, err, NULL);
    }
    plan_done(&b->plan);
    key_list_done(&b->keys);
    mem_free(b->left.keys);
    mem_free(b);
    return err;
}
