/* check_kit.h - what a check of a store found, for tests. */
#ifndef CHECK_KIT_H
#define CHECK_KIT_H

#include "store_kit.h"

#include "store/write_int.h"

struct kit_found {
    uint64_t faults;
    struct store_checked sums;
    char text[8192]; /* "database: what" a line */
};

static inline void kit_fault(void *arg, const struct store_fault *fault)
{
    struct kit_found *found = arg;
    size_t len = strlen(found->text);
    found->faults++;
    snprintf(found->text + len, sizeof found->text - len, "%s: %s\n", fault->database, fault->what);
}

static inline struct kit_found *kit_check(struct store *s)
{
    static struct kit_found found;
    struct store_read *r;
    found = (struct kit_found){0};
    OK(store_read_begin(s, false, &r));
    OK(store_check(r, kit_fault, &found, &found.sums));
    store_read_end(r);
    assert_true(found.faults == found.sums.faults);
    return &found;
}

static inline void kit_clean(struct store *s)
{
    assert_string_equal(kit_check(s)->text, "");
}

#endif
