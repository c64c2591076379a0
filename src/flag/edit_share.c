/* set KEY VARIANT --percent N: a share of the traffic gets a variant. */
#include <ctype.h>
#include <stdio.h>

#include "flag/condition.h"
#include "flag/edit_int.h"
#include "flag/rollout.h"
#include "flag/say.h"

enum { DECIMALS_MAX = 7 }; /* 100 · 10^7 is below 2^31 */

struct share { /* of `whole` */
    uint32_t weight, whole;
};

/* "10", "0.1", "12.50%": a share of 100, or of as many hundreds as its decimals need. */
static bool parse_percent(struct slice text, struct share *ret)
{
    uint64_t number = 0;
    struct share s = {.whole = 100};
    size_t at = 0, decimals = 0;
    if (text.len && text.ptr[text.len - 1] == '%')
        text.len--;
    for (; at < text.len && at < 4 && isdigit(text.ptr[at]); at++)
        number = number * 10 + (uint64_t)(text.ptr[at] - '0');
    if (at == 0)
        return false;
    if (at < text.len && text.ptr[at] == '.') {
        while (text.len > at + 2 && text.ptr[text.len - 1] == '0')
            text.len--;
        bool whole = text.len == at + 2 && text.ptr[at + 1] == '0';
        for (at++; !whole && at < text.len && isdigit(text.ptr[at]); at++, decimals++) {
            if (decimals == DECIMALS_MAX)
                return false;
            number = number * 10 + (uint64_t)(text.ptr[at] - '0');
            s.whole *= 10;
        }
        if (whole)
            at++;
        else if (decimals == 0)
            return false;
    }
    s.weight = (uint32_t)number;
    *ret = s;
    return at == text.len && number <= s.whole;
}

static bool same_share(struct share a, struct share b)
{
    return (uint64_t)a.weight * b.whole == (uint64_t)b.weight * a.whole;
}

/* ------------------------------------------------------------------ refusing */

static enum hoist_err refuse_hand_written(const struct flag_wish *wish, struct mend mend)
{
    struct shell_word key = shell_word(wish->key), value = shell_word(wish->value),
                      percent = shell_word(wish->percent);
    mend_set(mend,
             "flagctl set %s %s --percent %s --everyone replaces the targeting (history keeps it); "
             "flagctl target %s --file FILE puts a rule of yours; "
             "flagctl kill %s turns it off for everybody until restored",
             key.text, value.text, percent.text, key.text, key.text);
    return err_set(HOIST_EINVAL,
                   "the flag \"%s\" has targeting that --percent did not write, and would lose it",
                   show(wish->key).text);
}

static enum hoist_err refuse_third(const struct flag *f, const struct flag_wish *wish,
                                   const struct rollout *r, struct mend mend)
{
    mend_set(mend,
             "name one of them; flagctl set %s %s --percent %s --everyone begins another rollout; "
             "flagctl target %s --file FILE divides among more than two",
             shell_word(f->key).text, shell_word(wish->value).text, shell_word(wish->percent).text,
             shell_word(f->key).text);
    return err_set(HOIST_EINVAL, "the flag \"%s\" is being divided between \"%s\" and \"%s\"",
                   show(f->key).text, show(r->grows).text, show(r->rest).text);
}

/* ------------------------------------------------------------------ a new rollout */

/* What those get who are not in the share: the other variant of two, else the default. */
static enum hoist_err choose_rest(const struct flag *f, int32_t grows, struct mend mend,
                                  int32_t *ret)
{
    if (f->variant_count == 2) {
        *ret = 1 - grows;
        return HOIST_OK;
    }
    if (f->variant_count > 2 && f->default_variant != FLAG_NO_VARIANT &&
        f->default_variant != grows) {
        *ret = f->default_variant;
        return HOIST_OK;
    }
    if (f->variant_count == 1) {
        mend_set(mend, "give it another variant first, by a flag file: flagctl apply FILE");
        return err_set(HOIST_EINVAL, "the flag \"%s\" has one variant: there is none for the rest",
                       show(f->key).text);
    }
    mend_set(mend, "say it first, as the default: flagctl set %s VARIANT --default; %s",
             shell_word(f->key).text, list_variants(f).text);
    return err_set(HOIST_EINVAL,
                   "it is not said which variant of the flag \"%s\" the rest should get",
                   show(f->key).text);
}

static enum hoist_err begin_rollout(const struct flag *f, int32_t grows, struct share share,
                                    struct mend mend, struct rollout *ret)
{
    int32_t rest = FLAG_NO_VARIANT;
    enum hoist_err err = choose_rest(f, grows, mend, &rest);
    if (err == HOIST_OK)
        *ret = (struct rollout){.grows = f->variants[grows].name,
                                .rest = f->variants[rest].name,
                                .weight = share.weight,
                                .whole = share.whole};
    return err;
}

/* ------------------------------------------------------------------ one that is there */

/* Who is asked to give the rest's variant N % gives the growing one what is left. */
static enum hoist_err move_rollout(const struct flag *f, const struct flag_wish *wish,
                                   int32_t index, struct share share, struct mend mend,
                                   struct rollout *r)
{
    struct slice name = f->variants[index].name;
    if (slice_eq(name, r->rest))
        share.weight = share.whole - share.weight;
    else if (!slice_eq(name, r->grows))
        return refuse_third(f, wish, r, mend);
    if (same_share(share, (struct share){r->weight, r->whole}))
        return HOIST_OK;
    r->weight = share.weight;
    r->whole = share.whole;
    return HOIST_OK;
}

static enum hoist_err take_by(const struct flag_wish *wish, struct mend mend, struct rollout *r)
{
    if (!wish->by.ptr)
        return HOIST_OK;
    if (wish->by.len == 0) {
        mend_set(mend, "name an attribute of the context, as in --by userId");
        return err_set(HOIST_EINVAL, "\"\" is no attribute's name");
    }
    enum hoist_err err = edit_check_text(wish->by, mend);
    if (err != HOIST_OK)
        return err;
    /* What is divided by without being told so has the same answers. */
    r->by = slice_eq(wish->by, SLICE("targetingKey")) ? (struct slice){0} : wish->by;
    return HOIST_OK;
}

static enum hoist_err take_condition(struct flag *f, const struct flag_wish *wish, struct mend mend,
                                     struct rollout *r)
{
    struct slice text = wish->only_if.ptr ? wish->only_if : wish->also;
    if (!text.ptr)
        return HOIST_OK;
    r->kind = wish->also.ptr ? ROLLOUT_WIDENED : ROLLOUT_NARROWED;
    return condition_read(text, mend, &f->arena, &r->condition);
}

/* Whom no rule can place, for want of the attribute, gets what the rest gets; or the growing variant,
 * once everybody has it. A default that somebody moved meanwhile stays. */
static void move_default(struct flag *f, const struct rollout *r, bool is_new, bool was_whole)
{
    int32_t grows = flag_variant(f, r->grows), rest = flag_variant(f, r->rest);
    bool stays = f->default_variant == grows || f->default_variant == rest;
    if (r->weight == r->whole && r->kind != ROLLOUT_NARROWED)
        f->default_variant = grows;
    else if (is_new || r->weight == 0 || !stays || (was_whole && f->default_variant == grows))
        f->default_variant = rest;
}

enum hoist_err edit_share(struct flag *f, const struct flag_wish *wish, struct mend mend)
{
    struct share share;
    struct rollout r;
    int32_t index;
    if (!parse_percent(wish->percent, &share)) {
        mend_set(mend, "write 0 to 100, with at most %d decimals, as in 10 or 0.1", DECIMALS_MAX);
        return err_set(HOIST_EINVAL, "\"%s\" is no percentage", show(wish->percent).text);
    }
    enum hoist_err err = edit_choose_variant(f, wish->value, mend, &index);
    if (err != HOIST_OK)
        return err;
    bool is_new = f->targeting.count == 0 || wish->everyone;
    if (!is_new &&
        (!rollout_read(f->targeting, &r) || flag_variant(f, r.grows) == FLAG_NO_VARIANT ||
         flag_variant(f, r.rest) == FLAG_NO_VARIANT))
        return refuse_hand_written(wish, mend);
    bool was_whole = !is_new && r.weight == r.whole;
    if (is_new)
        err = begin_rollout(f, index, share, mend, &r);
    else
        err = move_rollout(f, wish, index, share, mend, &r);
    if (err == HOIST_OK)
        err = take_by(wish, mend, &r);
    if (err == HOIST_OK)
        err = take_condition(f, wish, mend, &r);
    if (err != HOIST_OK)
        return err;
    err = rollout_write(&r, &f->arena, &f->targeting);
    if (err != HOIST_OK) {
        mend_set(mend, "make the condition smaller");
        return err;
    }
    move_default(f, &r, is_new, was_whole);
    f->enabled = true;
    return HOIST_OK;
}
