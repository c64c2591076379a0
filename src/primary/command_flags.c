/* Commands about flags: set, target, delete, apply. */
#include <stdio.h>
#include <string.h>

#include "flag/edit.h"
#include "primary/command_int.h"
#include "primary/query_int.h"

/* A key that is wrong or missing, answered. */
static bool check_key(const struct command *c, struct answer *a)
{
    if (c->args.key && flag_key_check(slice_str(c->args.key)) == HOIST_OK)
        return true;
    if (!c->args.key)
        (void)err_set(HOIST_EINVAL, "'%s' needs a key", c->kind->name);
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "key",
                          "a key is 1 to 255 bytes of UTF-8 without control characters", NULL, "%s",
                          err_last());
    return false;
}

enum hoist_err command_answer_or_fail(struct answer *a, enum hoist_err err, const char *mend)
{
    switch (err) {
    case HOIST_EINVAL:
    case HOIST_EVERSION:
    case HOIST_ELIMIT:
    case HOIST_ECORRUPT:
        a->exit = query_fail(&a->body, err, mend);
        return HOIST_OK;
    default:
        return err;
    }
}

/* ------------------------------------------------------------------ set */

static bool read_type(const struct command *c, struct answer *a, enum hoist_type *ret)
{
    static const enum hoist_type types[] = {HOIST_BOOL, HOIST_NUMBER, HOIST_STRING, HOIST_OBJECT};
    *ret = 0;
    if (!c->args.type)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(c->args.type, query_type_name(types[i])) == 0)
            *ret = types[i];
    if (*ret)
        return true;
    a->exit =
        query_error(&a->body, EXIT_INPUT, "input", "type", "one of boolean, number, string, object",
                    NULL, "'%s' is no type", c->args.type);
    return false;
}

/* A key that is there and looks like the new one: perhaps that one was meant. */
static void look_for_near_key(struct plan *p, struct slice key)
{
    p->near = query_near_key(p->r, p->env, key);
    /* It must outlive what is put into the transaction. Without memory it is not named. */
    if (p->near.len && arena_own(&p->arena, &p->near) != HOIST_OK)
        p->near = (struct slice){0};
}

/* Adds the one edit to `plan`, and gives the flag as it will be; OK with a->exit set: refused. */
static enum hoist_err plan_set(struct command *c, struct plan *plan, enum hoist_type type,
                               struct answer *a, struct flag **ret_new)
{
    struct flag_wish wish = {.key = slice_str(c->args.key),
                             .value = slice_str(c->args.value),
                             .type = type,
                             .everyone = c->args.everyone,
                             .only_default = c->args.only_default,
                             .percent = slice_str(c->args.percent),
                             .by = slice_str(c->args.by),
                             .only_if = slice_str(c->args.only_if),
                             .also = slice_str(c->args.also)};
    struct flag *old = NULL, *new = NULL;
    char mend[1024] = "";
    enum hoist_err err = plan_present(plan, wish.key, &old);
    if (err == HOIST_OK)
        err = flag_edit_set(old, &wish, &new, mend, sizeof mend);
    if (err == HOIST_OK && !old)
        look_for_near_key(plan, wish.key);
    if (err == HOIST_OK && !old && c->is_protected && !c->args.create) {
        snprintf(mend, sizeof mend, "--create, if a new flag is meant%s%.*s%s",
                 plan->near.len ? "; there is '" : "", SLICE_ARG(plan->near),
                 plan->near.len ? "'" : "");
        err = err_set(HOIST_EINVAL, "there is no flag '%s' in %s, which is protected", c->args.key,
                      c->env.name);
    }
    if (err == HOIST_OK)
        err = plan_put(plan, new);
    flag_free(old);
    *ret_new = new;
    return command_answer_or_fail(a, err, mend);
}

/* The rule that the flag has: it decides before a default that was moved, and keeps what a percentage
 * did not say anew. */
static void put_rule(struct json_writer *w, struct command *c)
{
    const struct flag *f = c->more;
    if (f->targeting.count == 0)
        return;
    json_key(w, "targeting");
    json_put_tree(w, f->targeting);
}

enum hoist_err command_set(struct command *c, struct store_write *w, struct answer *a)
{
    enum hoist_type type;
    if (!check_key(c, a) || !read_type(c, a, &type))
        return HOIST_OK;
    if (!c->args.value || (c->args.everyone && c->args.only_default)) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", NULL, NULL, NULL,
                              c->args.value ? "--everyone and --default say different things"
                                            : "'set' needs a value");
        return HOIST_OK;
    }
    struct plan plan;
    plan_begin(&plan, store_write_read(w), &c->env);
    struct flag *new = NULL;
    enum hoist_err err = plan_set(c, &plan, type, a, &new);
    if (err == HOIST_OK && a->exit == EXIT_DONE) {
        c->put_more = put_rule;
        c->more = new;
        err = command_carry_out(c, w, CHANGE_SET, &plan, a);
    }
    flag_free(new);
    plan_done(&plan);
    return err;
}

/* ------------------------------------------------------------------ target */

/* Adds the one edit to `plan`; OK with a->exit set: there is no such flag. */
static enum hoist_err plan_target(struct command *c, struct plan *plan, struct answer *a)
{
    struct flag *old = NULL, *new = NULL;
    struct slice key = slice_str(c->args.key);
    enum hoist_err err = plan_present(plan, key, &old);
    if (err == HOIST_OK && !old) {
        a->exit = query_no_flag(plan->r, &c->env, key, &a->body);
        return HOIST_OK;
    }
    if (err == HOIST_OK) {
        new = flag_edit_targeting(old, c->rule);
        err = new ? plan_put(plan, new) : err_set(HOIST_ENOMEM, "out of memory");
    }
    flag_free(old);
    flag_free(new);
    return command_answer_or_fail(a, err, NULL);
}

enum hoist_err command_target(struct command *c, struct store_write *w, struct answer *a)
{
    if (!check_key(c, a))
        return HOIST_OK;
    if (!c->args.rule == !c->args.clear) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "rule", NULL, NULL,
                              "'target' needs a rule, or is told to clear it");
        return HOIST_OK;
    }
    struct plan plan;
    plan_begin(&plan, store_write_read(w), &c->env);
    enum hoist_err err = plan_target(c, &plan, a);
    if (err == HOIST_OK && a->exit == EXIT_DONE)
        err = command_carry_out(c, w, CHANGE_SET, &plan, a);
    plan_done(&plan);
    return err;
}

/* ------------------------------------------------------------------ delete */

enum hoist_err command_delete(struct command *c, struct store_write *w, struct answer *a)
{
    if (!check_key(c, a))
        return HOIST_OK;
    struct plan plan;
    plan_begin(&plan, store_write_read(w), &c->env);
    enum hoist_err err = plan_delete(&plan, slice_str(c->args.key));
    if (err == HOIST_ENOTFOUND) {
        a->exit = query_no_flag(plan.r, &c->env, slice_str(c->args.key), &a->body);
        err = HOIST_OK;
    } else if (err == HOIST_OK) {
        err = command_carry_out(c, w, CHANGE_DELETE, &plan, a);
    }
    plan_done(&plan);
    return err;
}

/* ------------------------------------------------------------------ apply */

/* Whether it is a fault of one flag, which the others need not suffer from. */
static bool is_of_one(enum hoist_err err)
{
    return err == HOIST_EINVAL || err == HOIST_EVERSION || err == HOIST_ELIMIT;
}

static enum hoist_err plan_file(struct command *c, struct plan *plan)
{
    struct flag_file *file = c->file;
    enum hoist_err err = HOIST_OK;
    for (size_t i = 0; i < file->count;) {
        err = plan_put(plan, file->flags[i]);
        if (err == HOIST_OK)
            i++;
        else if (c->args.skip_invalid && is_of_one(err))
            err = flag_file_skip(file, i, &c->problems, "", err_last());
        if (err != HOIST_OK)
            break;
    }
    return err;
}

/* Everything that the file does not name goes. Both are sorted, so they are walked side by side. */
static enum hoist_err plan_prune(struct plan *plan, const struct flag_file *file)
{
    struct slice key = {0}, record;
    size_t i = 0;
    enum hoist_err err;
    while ((err = store_record_next(plan->r, plan->env->id, key, &key, &record)) == HOIST_OK) {
        while (i < file->count && slice_cmp(file->flags[i]->key, key) < 0)
            i++;
        if (i < file->count && slice_eq(file->flags[i]->key, key))
            continue;
        if (file->skipped_count && command_file_names(file, key))
            continue;
        err = plan_delete(plan, key);
        if (err != HOIST_OK)
            return err;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* The file's flags that can be put. Each that cannot is left out, and so is what requires it: the plan
 * is made anew without them. */
static enum hoist_err plan_valid(struct command *c, struct plan *plan)
{
    for (;;) {
        enum hoist_err err = command_skip_unmet(c, plan);
        size_t skipped = c->file->skipped_count;
        if (err == HOIST_OK)
            err = plan_file(c, plan);
        if (err != HOIST_OK || c->file->skipped_count == skipped)
            return err;
        struct store_read *r = plan->r;
        plan_done(plan);
        plan_begin(plan, r, &c->env);
    }
}

enum hoist_err command_apply(struct command *c, struct store_write *w, struct answer *a)
{
    struct plan plan;
    plan_begin(&plan, store_write_read(w), &c->env);
    enum hoist_err err = c->args.skip_invalid ? plan_valid(c, &plan) : plan_file(c, &plan);
    if (c->args.skip_invalid)
        c->put_more = command_put_skipped;
    if (err == HOIST_OK && c->args.prune)
        err = plan_prune(&plan, c->file);
    err = command_answer_or_fail(a, err, NULL);
    if (err == HOIST_OK && a->exit == EXIT_DONE)
        err = command_carry_out(c, w, CHANGE_APPLY, &plan, a);
    plan_done(&plan);
    return err;
}
