/* A plan beside the flags that it is to move. */
#include <stdlib.h>

#include "release/plan_int.h"

static int by_key(const void *key, const void *flag)
{
    const struct slice *k = key;
    return slice_cmp(*k, (*(struct flag *const *)flag)->key);
}

static void check_variant(const struct flag *f, struct slice name, const char *path,
                          struct problems *problems)
{
    if (flag_variant(f, name) == FLAG_NO_VARIANT)
        problems_add(problems, path, list_variants(f).text, "the flag has no variant \"%s\"",
                     show(name).text);
}

/* The baseline is the flag without a rule, and with the variant that stays as its default. */
static void check_flag(const struct release_flag *want, const struct flag *f, const char *path,
                       struct problems *problems)
{
    int32_t off = flag_variant(f, want->off);
    check_variant(f, want->on, path, problems);
    check_variant(f, want->off, path, problems);
    if (f->targeting.count)
        problems_add(problems, path,
                     "take the rule away (flagctl target KEY --clear), or let the release have "
                     "another flag",
                     "it has a rule, which the release would overwrite");
    if (off != FLAG_NO_VARIANT && f->default_variant != off)
        problems_add(problems, path, "make it the default: flagctl set KEY VARIANT --default",
                     "its default is not \"%s\", so somebody has it already", show(want->off).text);
    if (f->override != FLAG_NO_VARIANT)
        problems_add(problems, path, "end the kill first: flagctl restore KEY",
                     "it is killed, and yields \"%s\" whatever the release does",
                     show(f->variants[f->override].name).text);
    if (!f->enabled)
        problems_add(problems, path, "enable it: \"state\": \"ENABLED\"",
                     "it is disabled, and no rule would be asked");
}

void release_plan_check_flags(const struct release_plan *plan, struct flag *const *flags,
                              size_t count, struct problems *problems)
{
    for (uint32_t i = 0; i < plan->flag_count; i++) {
        const struct release_flag *want = &plan->flags[i];
        struct flag *const *found =
            count ? bsearch(&want->key, flags, count, sizeof *flags, by_key) : NULL;
        struct path path = {{0}, 0};
        path_key(&path, SLICE("flags"));
        path_key(&path, want->key);
        if (found)
            check_flag(want, *found, path.text, problems);
        else
            problems_add(problems, path.text, "add it to the file, or to the environment",
                         "there is no flag \"%s\"", show(want->key).text);
    }
}
