/*
 * kill and restore: a fast lane with little power.
 *
 * A kill sets a flag's override to one of the flag's variants, and a restore takes it off again.
 * Neither decodes and encodes the record: every other byte stays as it was, so both can be let
 * through where any other change would be held back.
 */
#include <stdio.h>
#include <string.h>

#include "primary/command_int.h"
#include "primary/query_int.h"
#include "wire/record.h"

/* ------------------------------------------------------------------ keys */

static bool refuse_keys(const struct command *c, struct answer *a)
{
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "keys",
                          "a key is 1 to 255 bytes of UTF-8 without control characters", NULL, "%s",
                          c->args.keys ? err_last() : "name the flags");
    return false;
}

static struct slice nth_key(const struct command *c, size_t i)
{
    const json_t *key = json_array_get(c->args.keys, i);
    return slice_of(json_string_value(key), json_string_length(key));
}

static bool check_keys(const struct command *c, struct answer *a)
{
    if (json_array_size(c->args.keys) == 0) {
        (void)err_set(HOIST_EINVAL, "'%s' needs the keys of flags, in an array", c->kind->name);
        return refuse_keys(c, a);
    }
    for (size_t i = 0; i < json_array_size(c->args.keys); i++)
        if (!json_is_string(json_array_get(c->args.keys, i)) ||
            flag_key_check(nth_key(c, i)) != HOIST_OK)
            return refuse_keys(c, a);
    return true;
}

/* ------------------------------------------------------------------ one flag */

static void name_variants(const struct flag *f, struct buf *out)
{
    for (uint32_t i = 0; i < f->variant_count; i++)
        buf_printf(out, "%s%.*s", i ? ", " : "", SLICE_ARG(f->variants[i].name));
}

/* The variant that stands for "off": the one called so, else the only boolean that is false. */
static int32_t off_variant(const struct flag *f)
{
    int32_t found = flag_variant(f, SLICE("off"));
    for (uint32_t i = 0; found == FLAG_NO_VARIANT && i < f->variant_count; i++)
        if (f->type == HOIST_BOOL && f->variants[i].value.nodes[0].kind == NODE_FALSE)
            found = (int32_t)i;
    return found;
}

/* FLAG_NO_VARIANT: there is none, and that is answered. */
static int32_t choose_variant(const struct command *c, const struct flag *f, struct answer *a)
{
    int32_t variant =
        c->args.variant ? flag_variant(f, slice_str(c->args.variant)) : off_variant(f);
    if (variant != FLAG_NO_VARIANT)
        return variant;
    struct buf mend = BUF_INIT(FLAG_RECORD_MAX);
    buf_add_str(&mend, "name one by --variant: ");
    name_variants(f, &mend);
    a->exit = query_error(&a->body, EXIT_INPUT, "input", "variant", buf_str(&mend), NULL,
                          "flag '%.*s' has no variant '%s'", SLICE_ARG(f->key),
                          c->args.variant ? c->args.variant : "off");
    buf_done(&mend);
    return FLAG_NO_VARIANT;
}

/* Plan `key`'s present record with another override. */
static enum hoist_err plan_override(struct plan *p, struct slice key, struct slice record,
                                    int32_t variant)
{
    buf_clear(&p->scratch);
    enum hoist_err err = record_override(record, variant, &p->scratch);
    if (err != HOIST_OK)
        return err_prefix(err, "flag '%.*s'", SLICE_ARG(key));
    struct slice other = buf_slice(&p->scratch);
    return plan_record(p, key, &other);
}

static enum hoist_err kill_one(struct command *c, struct plan *p, struct slice key,
                               struct answer *a)
{
    struct slice record;
    struct flag *f;
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &record);
    if (err == HOIST_OK)
        err = record_decode(key, record, &f, NULL);
    if (err != HOIST_OK)
        return err;
    int32_t variant = choose_variant(c, f, a);
    if (variant != FLAG_NO_VARIANT && variant != f->override)
        err = plan_override(p, key, record, variant);
    flag_free(f);
    return err;
}

/* ------------------------------------------------------------------ restore */

/* Whether `record`, which has no override, is what was killed: what the newest kill in the log left
 * there, but for the override. */
static bool was_killed(struct plan *p, struct slice key, struct slice record)
{
    struct buf killed = BUF_INIT(FLAG_RECORD_MAX);
    struct slice then, bytes;
    struct change change;
    uint64_t version, at = p->env->head;
    bool same = false;
    for (; store_touched(p->r, p->env->id, key, at, &version) == HOIST_OK; at = version - 1) {
        if (store_log_get(p->r, p->env->id, version, &bytes) != HOIST_OK ||
            change_decode(bytes, &change) != HOIST_OK)
            break;
        if (change.head.kind != CHANGE_KILL)
            continue;
        same = store_record_at(p->r, p->env->id, key, version, &then) == HOIST_OK &&
               record_override(then, FLAG_NO_VARIANT, &killed) == HOIST_OK &&
               slice_eq(buf_slice(&killed), record);
        break;
    }
    buf_done(&killed);
    return same;
}

static enum hoist_err restore_one(struct command *c, struct plan *p, struct slice key,
                                  struct answer *a)
{
    struct slice record;
    size_t planned = p->count;
    (void)a;
    enum hoist_err err = store_record_get(p->r, p->env->id, key, &record);
    if (err == HOIST_OK)
        err = plan_override(p, key, record, FLAG_NO_VARIANT);
    if (err != HOIST_OK || p->count == planned)
        return err;
    if (c->fast && !was_killed(p, key, p->items[planned].record)) {
        c->fast = false;
        c->more = p->items[planned].key.ptr;
    }
    return HOIST_OK;
}

/* ------------------------------------------------------------------ both */

static void put_lane(struct json_writer *w, struct command *c)
{
    json_key(w, "lane");
    json_put_str(w, c->fast ? "fast" : "ordinary");
    if (c->fast)
        return;
    json_key(w, "why");
    struct buf why = BUF_INIT(FLAG_KEY_MAX + 100);
    buf_printf(&why, "flag '%s' is not what was killed: it was edited since",
               (const char *)c->more);
    json_put_slice(w, buf_slice(&why));
    buf_done(&why);
}

static enum hoist_err each_key(struct command *c, struct plan *p, struct answer *a,
                               enum hoist_err (*one)(struct command *, struct plan *, struct slice,
                                                     struct answer *))
{
    for (size_t i = 0; i < json_array_size(c->args.keys) && a->exit == EXIT_DONE; i++) {
        struct slice key = nth_key(c, i);
        if (plan_has(p, key))
            continue;
        enum hoist_err err = one(c, p, key, a);
        if (err == HOIST_ENOTFOUND)
            a->exit = query_no_flag(p->r, p->env, key, &a->body);
        else if ((err = command_answer_or_fail(a, err, NULL)) != HOIST_OK)
            return err;
    }
    return HOIST_OK;
}

static enum hoist_err override_all(struct command *c, struct store_write *w, enum change_kind kind,
                                   struct answer *a)
{
    struct plan plan;
    if (!check_keys(c, a))
        return HOIST_OK;
    c->fast = true;
    c->put_more = put_lane;
    plan_begin(&plan, store_write_read(w), &c->env);
    enum hoist_err err = each_key(c, &plan, a, kind == CHANGE_KILL ? kill_one : restore_one);
    if (err == HOIST_OK && a->exit == EXIT_DONE)
        err = command_carry_out(c, w, kind, &plan, a);
    plan_done(&plan);
    return err;
}

enum hoist_err command_kill(struct command *c, struct store_write *w, struct answer *a)
{
    return override_all(c, w, CHANGE_KILL, a);
}

enum hoist_err command_restore(struct command *c, struct store_write *w, struct answer *a)
{
    return override_all(c, w, CHANGE_RESTORE, a);
}
