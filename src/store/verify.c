/* verify.c - the look that a writer takes at a store before it goes on in it. */
#include "store/write_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/check_int.h"
#include "store/files.h"
#include "store/pages.h"

struct found {
    uint64_t faults;
    char first[600];
};

static void take_fault(struct found *f, const char *database, const char *env, const char *what)
{
    if (f->faults++ == 0)
        snprintf(f->first, sizeof f->first, "%s%s%s: %s", database, *env ? " of " : "", env, what);
}

static void page_fault(void *arg, const char *tree, const char *what)
{
    take_fault(arg, tree, "", what);
}

static void row_fault(void *arg, const struct store_fault *f)
{
    take_fault(arg, f->database, f->env, f->what);
}

static enum hoist_err damaged(const char *path, const struct found *f)
{
    return err_set(HOIST_ECORRUPT, "store: %s/data.mdb is damaged in %" PRIu64 " places, first %s",
                   path, f->faults, f->first);
}

enum hoist_err verify_pages(const char *dir, uint32_t number)
{
    char numbered[PATH_MAX], path[PATH_MAX];
    struct found found = {0};
    const struct pages_check how = {.fault = page_fault, .arg = &found};
    uint64_t faults;
    if (!path_number(numbered, dir, number) || !path_join(path, numbered, "data.mdb"))
        return err_set(HOIST_EINVAL, "%s: the path is too long", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return files_err(errno, "open", path);
    enum hoist_err err = pages_check(fd, &how, &faults);
    close(fd);
    return err || faults == 0 ? err : damaged(numbered, &found);
}

enum hoist_err verify_rows(struct store *s)
{
    struct store_checked sums;
    struct found found = {0};
    struct check c = {.fault = row_fault, .arg = &found, .env = "", .at_start = true};
    enum hoist_err err = store_read_begin(s, false, &c.r);
    if (err)
        return err;
    err = check_store(&c, &sums);
    store_read_end(c.r);
    return err || sums.faults == 0 ? err : damaged(atomic_load(&s->db)->path, &found);
}
