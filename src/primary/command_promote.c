/* promote: one environment's flags become another's, but for what belongs to the target: its
 * overrides, and how far its rollouts have come. */
#include <string.h>

#include "base/mem.h"
#include "flag/edit.h"
#include "primary/command_int.h"
#include "primary/query_int.h"

struct promotion {
    struct command *command;
    struct plan plan;
    struct store_env from;
    struct plan_names percentages; /* of whose flags the target's were kept */
};

static enum hoist_err promote_one(struct promotion *p, struct slice key, struct slice record)
{
    struct flag *want = NULL, *old = NULL;
    struct slice name = key;
    enum hoist_err err = plan_decode(key, record, &want);
    if (err != HOIST_OK)
        return err;
    want->override = FLAG_NO_VARIANT; /* a kill is of one environment */
    err = plan_present(&p->plan, key, &old);
    if (err == HOIST_OK && old && !p->command->args.with_percentages &&
        flag_keep_percentages(want, old)) {
        err = arena_own(&p->plan.arena, &name);
        if (err == HOIST_OK)
            err = plan_name(&p->percentages, name);
    }
    if (err == HOIST_OK)
        err = plan_put(&p->plan, want);
    flag_free(want);
    flag_free(old);
    return err;
}

static enum hoist_err promote_keys(struct promotion *p, const json_t *keys, struct answer *a)
{
    for (size_t i = 0; i < json_array_size(keys) && a->exit == EXIT_DONE; i++) {
        const json_t *item = json_array_get(keys, i);
        struct slice key = slice_of(json_string_value(item), json_string_length(item)), record;
        if (!json_is_string(item) || flag_key_check(key) != HOIST_OK) {
            a->exit = query_error(&a->body, EXIT_INPUT, "input", "keys", NULL, NULL,
                                  "'keys' is an array of flags' keys");
            break;
        }
        if (plan_has(&p->plan, key))
            continue;
        enum hoist_err err = store_record_get(p->plan.r, p->from.id, key, &record);
        if (err == HOIST_ENOTFOUND)
            a->exit = query_no_flag(p->plan.r, &p->from, key, &a->body);
        else if (err == HOIST_OK)
            err = promote_one(p, key, record);
        if (err != HOIST_OK && err != HOIST_ENOTFOUND)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err promote_all(struct promotion *p)
{
    struct slice key = {0}, record;
    enum hoist_err err;
    while ((err = store_record_next(p->plan.r, p->from.id, key, &key, &record)) == HOIST_OK) {
        err = promote_one(p, key, record);
        if (err != HOIST_OK)
            return err;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* What the source does not have goes. */
static enum hoist_err prune(struct promotion *p)
{
    struct slice key = {0}, record, there;
    enum hoist_err err;
    while ((err = store_record_next(p->plan.r, p->plan.env->id, key, &key, &record)) == HOIST_OK) {
        err = store_record_get(p->plan.r, p->from.id, key, &there);
        if (err == HOIST_ENOTFOUND)
            err = plan_delete(&p->plan, key);
        if (err != HOIST_OK)
            return err;
    }
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

static void put_kept(struct json_writer *w, struct command *c)
{
    const struct promotion *p = c->more;
    json_key(w, "from");
    json_put_str(w, p->from.name);
    json_key(w, "from_version");
    json_put_u64(w, p->from.head);
    json_key(w, "percentages_kept");
    json_array_begin(w);
    for (size_t i = 0; i < p->percentages.count; i++)
        json_put_slice(w, p->percentages.keys[i]);
    json_array_end(w);
}

static bool check_args(const struct command *c, const struct promotion *p, struct answer *a)
{
    const char *wrong = NULL;
    if (!c->args.env)
        wrong = "name the environment that is changed, too";
    else if (strcmp(p->from.name, c->env.name) == 0)
        wrong = "an environment cannot be promoted to itself";
    else if (c->args.keys && !json_is_array(c->args.keys))
        wrong = "'keys' is an array of flags' keys";
    else if (c->args.keys && c->args.prune)
        wrong = "prune is for all flags, not for those named";
    if (wrong)
        a->exit = query_error(&a->body, EXIT_INPUT, "input", NULL, NULL, NULL, "%s", wrong);
    return !wrong;
}

enum hoist_err command_promote(struct command *c, struct store_write *w, struct answer *a)
{
    struct promotion p = {.command = c};
    struct store_read *r = store_write_read(w);
    if (!c->args.from) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "from", NULL, NULL,
                              "name the environment to promote from");
        return HOIST_OK;
    }
    if (!query_env(r, c->args.from, &p.from, &a->body, &a->exit) || !check_args(c, &p, a))
        return HOIST_OK;
    if (!command_may(c, access_need_of(SLICE("export")), p.from.name, a))
        return HOIST_OK;
    plan_begin(&p.plan, r, &c->env);
    enum hoist_err err = c->args.keys ? promote_keys(&p, c->args.keys, a) : promote_all(&p);
    if (err == HOIST_OK && c->args.prune)
        err = prune(&p);
    err = command_answer_or_fail(a, err, NULL);
    if (err == HOIST_OK && a->exit == EXIT_DONE) {
        c->put_more = put_kept;
        c->more = &p;
        err = command_carry_out(c, w, CHANGE_PROMOTE, &p.plan, a);
    }
    plan_done(&p.plan);
    mem_free(p.percentages.keys);
    return err;
}
