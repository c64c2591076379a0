#include "flag/edit.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "flag/edit_int.h"
#include "flag/flag_int.h"
#include "flag/read_int.h"

void mend_set(struct mend m, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(m.text, m.size, fmt, args);
    va_end(args);
}

static const char *type_word(enum hoist_type type)
{
    switch (type) {
    case HOIST_BOOL:
        return "boolean";
    case HOIST_NUMBER:
        return "number";
    case HOIST_STRING:
        return "string";
    case HOIST_OBJECT:
        return "object";
    }
    return "unknown type";
}

static bool is_type(enum hoist_type type)
{
    return type >= HOIST_BOOL && type <= HOIST_OBJECT;
}

/* ------------------------------------------------------------------ values, as typed */

static bool parse_switch(struct slice text, bool *ret)
{
    *ret = slice_eq(text, SLICE("on")) || slice_eq(text, SLICE("true"));
    return *ret || slice_eq(text, SLICE("off")) || slice_eq(text, SLICE("false"));
}

static enum hoist_err parse_boolean(struct slice text, struct mend mend, struct node *ret)
{
    bool on;
    if (!parse_switch(text, &on)) {
        mend_set(mend, "write on, off, true or false");
        return err_set(HOIST_EINVAL, "\"%s\" is no boolean", show(text).text);
    }
    ret->kind = on ? NODE_TRUE : NODE_FALSE;
    return HOIST_OK;
}

static enum hoist_err parse_number(struct slice text, struct mend mend, struct node *ret)
{
    enum number_fault fault = number_parse(text, &ret->number);
    if (fault != NUMBER_FINE) {
        mend_set(mend, "%s", number_fault_mend(fault));
        return err_set(HOIST_EINVAL, "\"%s\" %s", show(text).text, number_fault_text(fault));
    }
    ret->kind = NODE_NUMBER;
    return HOIST_OK;
}

enum hoist_err edit_check_text(struct slice text, struct mend mend)
{
    if (text_utf8(text) && (text.len == 0 || !memchr(text.ptr, '\0', text.len)))
        return HOIST_OK;
    mend_set(mend, "write it as UTF-8, without NUL characters");
    return err_set(HOIST_EINVAL, "\"%s\" is not valid text", show(text).text);
}

static enum hoist_err parse_string(struct slice text, struct mend mend, struct node *ret)
{
    enum hoist_err err = edit_check_text(text, mend);
    if (err != HOIST_OK)
        return err;
    ret->kind = NODE_STRING;
    ret->text = text;
    return HOIST_OK;
}

enum hoist_err edit_read_json(struct slice text, enum tree_kind kind, const char *what,
                              const char *like, struct mend mend, struct arena *arena,
                              struct tree *ret)
{
    struct problems problems = {0};
    struct reader r = {.problems = &problems};
    json_t *v = NULL;
    struct tree t = {0};
    enum hoist_err err = json_load(text, &problems, &v);
    if (err == HOIST_OK && kind == TREE_RULE && (!json_is_object(v) || json_object_size(v) != 1))
        complain(&r, "", "a rule is an object with one operator");
    else if (err == HOIST_OK)
        t = tree_read(&r, v, kind);
    if (problems.count) { /* as json_load() goes on with some */
        const struct problem *p = &problems.items[0];
        mend_set(mend, "%s%s%s", like, p->mend[0] ? "; " : "", p->mend);
        err = err_set(HOIST_EINVAL, "the %s%s%s: %s", what, p->path[0] ? ", at " : "", p->path,
                      p->message);
    }
    if (err == HOIST_OK && !r.no_memory)
        err = tree_copy(arena, t, ret);
    if (r.no_memory || problems.no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    json_decref(v);
    reader_done(&r);
    problems_done(&problems);
    return err;
}

/* `text` as a value of `type`, in `arena`. */
static enum hoist_err parse_value(struct slice text, enum hoist_type type, struct mend mend,
                                  struct arena *arena, struct tree *ret)
{
    enum hoist_err err = HOIST_EINVAL;
    struct node n = {.span = 1};
    switch (type) {
    case HOIST_BOOL:
        err = parse_boolean(text, mend, &n);
        break;
    case HOIST_NUMBER:
        err = parse_number(text, mend, &n);
        break;
    case HOIST_STRING:
        err = parse_string(text, mend, &n);
        break;
    case HOIST_OBJECT:
        return edit_read_json(text, TREE_VALUE, "value",
                              "an object's value is JSON, such as '{\"limit\": 10}'", mend, arena,
                              ret);
    }
    return err == HOIST_OK ? tree_copy(arena, (struct tree){&n, 1}, ret) : err;
}

/* ------------------------------------------------------------------ a new flag */

/* The type that a value looks like, to propose it. */
static enum hoist_type looks_like(struct slice value)
{
    double v;
    if (value.len && (value.ptr[0] == '{' || value.ptr[0] == '['))
        return HOIST_OBJECT;
    return number_parse(value, &v) == NUMBER_NONE ? HOIST_STRING : HOIST_NUMBER;
}

static enum hoist_err refuse_untyped(const struct flag_wish *wish, struct mend mend)
{
    mend_set(mend, "say it: flagctl set %s %s --type %s", shell_word(wish->key).text,
             shell_word(wish->value).text, type_word(looks_like(wish->value)));
    return err_set(HOIST_EINVAL, "there is no flag \"%s\" yet, and \"%s\" does not say its type",
                   show(wish->key).text, show(wish->value).text);
}

static enum hoist_err make_switch(struct flag *f, const struct flag_wish *wish, struct mend mend)
{
    bool on;
    if (!parse_switch(wish->value, &on))
        return wish->type ? parse_boolean(wish->value, mend, &(struct node){0})
                          : refuse_untyped(wish, mend);
    f->variants = arena_alloc(&f->arena, 2, sizeof *f->variants);
    if (!f->variants)
        return err_set(HOIST_ENOMEM, "out of memory");
    f->type = HOIST_BOOL;
    f->variant_count = 2;
    f->default_variant = on ? 0 : 1;
    f->variants[0].name = SLICE("on");
    f->variants[1].name = SLICE("off");
    enum hoist_err err =
        parse_value(SLICE("on"), HOIST_BOOL, mend, &f->arena, &f->variants[0].value);
    if (err == HOIST_OK)
        err = parse_value(SLICE("off"), HOIST_BOOL, mend, &f->arena, &f->variants[1].value);
    return err;
}

static enum hoist_err make_value(struct flag *f, const struct flag_wish *wish, struct mend mend)
{
    f->variants = arena_alloc(&f->arena, 1, sizeof *f->variants);
    if (!f->variants)
        return err_set(HOIST_ENOMEM, "out of memory");
    f->type = wish->type;
    f->variant_count = 1;
    f->default_variant = 0;
    f->variants[0].name = SLICE("value");
    return parse_value(wish->value, wish->type, mend, &f->arena, &f->variants[0].value);
}

static enum hoist_err refuse_unshared(const struct flag_wish *wish, struct mend mend)
{
    mend_set(mend,
             "flagctl set %s on --percent %s makes a boolean; other flags come by a file: "
             "flagctl apply FILE",
             shell_word(wish->key).text, shell_word(wish->percent).text);
    return err_set(HOIST_EINVAL,
                   "there is no flag \"%s\" yet, and a share of one takes two variants",
                   show(wish->key).text);
}

static enum hoist_err create(const struct flag_wish *wish, struct mend mend, struct flag **ret)
{
    bool on;
    enum hoist_err err = flag_key_check(wish->key);
    if (err != HOIST_OK) {
        mend_set(mend, "keys are short names like checkout.enabled");
        return err;
    }
    if (wish->percent.ptr && (wish->type > HOIST_BOOL || !parse_switch(wish->value, &on)))
        return refuse_unshared(wish, mend);
    struct flag *f = flag_new(wish->key);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    f->enabled = true;
    if (wish->type == 0 || wish->type == HOIST_BOOL)
        err = make_switch(f, wish, mend);
    else
        err = make_value(f, wish, mend);
    if (err == HOIST_OK && wish->percent.ptr)
        err = edit_share(f, wish, mend);
    if (err == HOIST_OK)
        *ret = f;
    else
        flag_free(f);
    return err;
}

/* ------------------------------------------------------------------ a flag that is there */

/* Whether its one variant is a place for values, as `set KEY VALUE --type T` makes it. */
static bool holds_value(const struct flag *f)
{
    return f->variant_count == 1 && slice_eq(f->variants[0].name, SLICE("value"));
}

/* The variants of a boolean flag that have the value `on`: how many, and the last. */
static int count_switched(const struct flag *f, bool on, int32_t *ret_last)
{
    int found = 0;
    for (uint32_t i = 0; i < f->variant_count; i++) {
        if (f->variants[i].value.nodes[0].kind != (on ? NODE_TRUE : NODE_FALSE))
            continue;
        *ret_last = (int32_t)i;
        found++;
    }
    return found;
}

enum hoist_err edit_choose_variant(const struct flag *f, struct slice value, struct mend mend,
                                   int32_t *ret)
{
    bool on;
    int32_t index = flag_variant(f, value);
    int found = index != FLAG_NO_VARIANT;
    if (!found && f->type == HOIST_BOOL && parse_switch(value, &on))
        found = count_switched(f, on, &index);
    if (found == 1) {
        *ret = index;
        return HOIST_OK;
    }
    mend_set(mend, "%s", list_variants(f).text);
    if (found > 1)
        return err_set(HOIST_EINVAL, "\"%s\" could be any of %d variants of the flag \"%s\"",
                       show(value).text, found, show(f->key).text);
    return err_set(HOIST_EINVAL, "the flag \"%s\" has no variant \"%s\"", show(f->key).text,
                   show(value).text);
}

static enum hoist_err refuse_type(const struct flag *old, const struct flag_wish *wish,
                                  struct mend mend)
{
    mend_set(mend,
             "leave --type out; to change the type, use another key, or first: flagctl "
             "delete %s",
             shell_word(wish->key).text);
    return err_set(HOIST_EINVAL,
                   "the flag \"%s\" is of type %s, and programs that read it would "
                   "not take a value of type %s",
                   show(wish->key).text, type_word(old->type), type_word(wish->type));
}

static enum hoist_err refuse_targeting(const struct flag_wish *wish, struct mend mend)
{
    struct shell_word key = shell_word(wish->key), value = shell_word(wish->value);
    mend_set(mend,
             "flagctl set %s %s --everyone drops the targeting (history keeps it); "
             "flagctl set %s %s --default moves the default alone; "
             "flagctl kill %s turns it off for everybody until restored",
             key.text, value.text, key.text, value.text, key.text);
    return err_set(HOIST_EINVAL,
                   "the flag \"%s\" has targeting, so a new default would not reach everybody",
                   show(wish->key).text);
}

static enum hoist_err change(struct flag *f, const struct flag_wish *wish, struct mend mend)
{
    enum hoist_err err;
    int32_t index = 0;
    if (holds_value(f))
        err = parse_value(wish->value, f->type, mend, &f->arena, &f->variants[0].value);
    else
        err = edit_choose_variant(f, wish->value, mend, &index);
    if (err != HOIST_OK)
        return err;
    if (f->targeting.count && !wish->everyone && !wish->only_default)
        return refuse_targeting(wish, mend);

    f->default_variant = index;
    if (wish->only_default)
        return HOIST_OK;
    f->targeting = (struct tree){0}; /* asked for, or none there */
    f->enabled = true;
    return HOIST_OK;
}

static enum hoist_err edit(const struct flag *old, const struct flag_wish *wish, struct mend mend,
                           struct flag **ret)
{
    if (wish->type && wish->type != old->type)
        return refuse_type(old, wish, mend);
    struct flag *f = flag_copy(old);
    if (!f)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = wish->percent.ptr ? edit_share(f, wish, mend) : change(f, wish, mend);
    if (err == HOIST_OK)
        *ret = f;
    else
        flag_free(f);
    return err;
}

/* What says two things at once. */
static enum hoist_err check_wish(const struct flag_wish *wish, struct mend mend)
{
    if (wish->everyone && wish->only_default) {
        mend_set(mend, "--everyone drops the targeting, --default keeps it: choose one");
        return err_set(HOIST_EINVAL, "--everyone and --default exclude each other");
    }
    if (wish->percent.ptr && wish->only_default) {
        mend_set(mend, "--percent writes the targeting, --default keeps it: choose one");
        return err_set(HOIST_EINVAL, "--percent and --default exclude each other");
    }
    if (wish->only_if.ptr && wish->also.ptr) {
        mend_set(mend,
                 "--if is for a share of some, --also for all of some and a share of the "
                 "rest; for both, write the rule: flagctl target %s --file FILE",
                 shell_word(wish->key).text);
        return err_set(HOIST_EINVAL, "--if and --also exclude each other");
    }
    if (!wish->percent.ptr && (wish->by.ptr || wish->only_if.ptr || wish->also.ptr)) {
        mend_set(mend, "say how many: --percent 100 is all of them");
        return err_set(HOIST_EINVAL, "--by, --if and --also go with --percent");
    }
    return HOIST_OK;
}

enum hoist_err flag_edit_set(const struct flag *old, const struct flag_wish *wish,
                             struct flag **ret_new, char *ret_mend, size_t mend_size)
{
    struct mend mend = {ret_mend, mend_size};
    mend_set(mend, "%s", "");
    enum hoist_err err = check_wish(wish, mend);
    if (err != HOIST_OK)
        return err;
    if (wish->type && !is_type(wish->type)) {
        mend_set(mend, "the types are boolean, string, number and object");
        return err_set(HOIST_EINVAL, "there is no such type");
    }
    err = old ? edit(old, wish, mend, ret_new) : create(wish, mend, ret_new);
    if (err == HOIST_OK)
        mend_set(mend, "%s", "");
    return err;
}

struct flag *flag_edit_targeting(const struct flag *old, struct tree rule)
{
    struct flag *f = flag_copy(old);
    if (f && tree_copy(&f->arena, rule, &f->targeting) == HOIST_OK)
        return f;
    flag_free(f);
    return NULL;
}
