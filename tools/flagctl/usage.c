/* How flags are used: usage, stale. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flagctl.h"

enum { CELL = 512 };

static const char *const counts[] = {"today", "last_7_days", "last_30_days", "total"};

static const char *name_of(const json_t *variant)
{
    const char *name = text_of(variant, "variant");
    return *name ? name : "(fallback)";
}

static double share_of(const json_t *variant)
{
    return 100 * json_number_value(json_object_get(variant, "share"));
}

/* "on 97.2 %, off 2.8 %" */
static void put_shares(char out[CELL], const json_t *flag)
{
    size_t i, len = 0;
    json_t *v;
    out[0] = '\0';
    json_array_foreach(json_object_get(flag, "variants"), i, v)
    {
        if (len < CELL)
            len += (size_t)snprintf(out + len, CELL - len, "%s%s %.3g %%", i ? ", " : "",
                                    name_of(v), share_of(v));
    }
}

static void print_titles(const struct call *c, const char *first, int width, const char *last)
{
    printf("%s%s%*s  %12s %12s %12s %14s  %-14s %s%s\n", look(c, LOOK_FAINT), first,
           width - show_width(first), "", "TODAY", "7 DAYS", "30 DAYS", "TOTAL", "LAST", last,
           look(c, LOOK_PLAIN));
}

static void print_line(const struct call *c, const char *name, int width, const json_t *sums,
                       const char *last)
{
    char age[64];
    printf("%s%s%s%*s ", look(c, LOOK_KEY), name, look(c, LOOK_PLAIN), width - show_width(name),
           "");
    for (int i = 0; i < 4; i++)
        printf(" %*" PRIu64, i < 3 ? 12 : 14, number_of(sums, counts[i]));
    show_age(age, text_of(sums, "last"));
    printf("  %-14s %s\n", *age ? age : "never", last);
}

static int widest(const json_t *list, const char *(*name)(const json_t *item), const char *title)
{
    int width = show_width(title);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        int one = show_width(name(item));
        width = one > width ? one : width;
    }
    return width;
}

static const char *key_of(const json_t *flag)
{
    return text_of(flag, "key");
}

static void print_variants(const struct call *c, const json_t *flag)
{
    const json_t *variants = json_object_get(flag, "variants");
    int width = widest(variants, name_of, "VARIANT");
    char share[CELL];
    size_t i;
    json_t *v;
    print_titles(c, "VARIANT", width, "SHARE");
    json_array_foreach(variants, i, v)
    {
        snprintf(share, sizeof share, "%.3g %%", share_of(v));
        print_line(c, name_of(v), width, v, share);
    }
    if (i == 0)
        printf("%s was not evaluated\n", key_of(flag));
}

static void print_flags(const struct call *c, const json_t *flags)
{
    int width = widest(flags, key_of, "FLAG");
    char shares[CELL];
    size_t i;
    json_t *flag;
    print_titles(c, "FLAG", width, "VARIANTS");
    json_array_foreach(flags, i, flag)
    {
        put_shares(shares, flag);
        print_line(c, key_of(flag), width, flag, shares);
    }
}

static void print_usage(struct call *c, const struct reply *r)
{
    const json_t *flags = json_object_get(r->body, "flags");
    if (c->word_count > 0)
        print_variants(c, json_array_get(flags, 0));
    else
        print_flags(c, flags);
    printf("%s%s, counted since %s%s\n", look(c, LOOK_FAINT), text_of(r->body, "env"),
           text_of(r->body, "since"), look(c, LOOK_PLAIN));
}

int run_usage(struct call *c)
{
    struct reply r;
    json_t *args = json_object();
    int exit;
    if (!read_count(c, "limit", args) || !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    if (c->word_count > 0)
        json_object_set_new(args, "key", json_string(c->words[0]));
    ask(c, "usage", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            print_usage(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ stale */

static void print_stale(const struct call *c, const json_t *flag)
{
    const char *since = text_of(flag, "since");
    char owner[CELL];
    snprintf(owner, sizeof owner, "%s", text_of(flag, "owner"));
    show_tame(owner);
    bool unused = strcmp(text_of(flag, "why"), "not-evaluated") == 0;
    printf("%s%s%s: ", look(c, LOOK_KEY), key_of(flag), look(c, LOOK_PLAIN));
    if (unused && *since)
        printf("not evaluated since %.10s", since);
    else if (unused)
        printf("never evaluated");
    else
        printf("everybody gets %s since %.10s", name_of(flag), since);
    printf("%s%s\n  %s\n", *owner ? "; owner: " : "", owner, text_of(flag, "mend"));
}

static void print_all_stale(const struct call *c, const struct reply *r)
{
    const json_t *flags = json_object_get(r->body, "flags");
    uint64_t permanent = number_of(r->body, "permanent_count");
    size_t i;
    json_t *flag;
    json_array_foreach(flags, i, flag)
    {
        print_stale(c, flag);
    }
    printf("%s%zu of %" PRIu64 " flags in %s are stale for %" PRIu64 " days%s\n",
           look(c, LOOK_FAINT), json_array_size(flags), number_of(r->body, "flags_total"),
           text_of(r->body, "env"), number_of(r->body, "days"), look(c, LOOK_PLAIN));
    if (permanent > 0)
        printf("%sleft out, since they are permanent: %" PRIu64 "%s\n", look(c, LOOK_FAINT),
               permanent, look(c, LOOK_PLAIN));
}

int run_stale(struct call *c)
{
    struct reply r;
    json_t *args = json_object();
    int exit;
    if (!read_count(c, "days", args) || !source_choose(c, false)) {
        json_decref(args);
        return EXIT_INPUT;
    }
    ask(c, "stale", args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = (int)r.exit;
        if (c->json)
            show_json(&r);
        else
            print_all_stale(c, &r);
        show_source(c, r.body);
    }
    reply_done(&r);
    return exit;
}
