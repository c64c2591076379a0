/* fsck: whether a store is what it should be. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fsck.h"
#include "guard.h"

/* ------------------------------------------------------------------ in the child */

/* A row's key as people read it: without the environment's id, versions as numbers, and bytes that
 * are no text in hex. */
static json_t *key_text(const struct store_fault *f)
{
    static const char *const of_env[] = {"flags", "log", "touch", "baseline", "held"};
    char out[1100] = "";
    size_t len = 0;
    struct slice key = f->key;
    bool is_of_env = false;
    for (size_t i = 0; i < sizeof of_env / sizeof *of_env; i++)
        is_of_env |= strcmp(f->database, of_env[i]) == 0;
    if (is_of_env && key.len >= 2)
        key = slice_of(key.ptr + 2, key.len - 2);
    if (strcmp(f->database, "log") == 0 && key.len == 8) {
        uint64_t version = 0;
        for (size_t i = 0; i < 8; i++)
            version = version << 8 | key.ptr[i];
        snprintf(out, sizeof out, "v%" PRIu64, version);
        return json_string(out);
    }
    for (size_t i = 0; i < key.len && len + 5 < sizeof out; i++) {
        bool plain = key.ptr[i] >= 0x20 && key.ptr[i] < 0x7f && key.ptr[i] != '\\';
        len += (size_t)snprintf(out + len, sizeof out - len, plain ? "%c" : "\\x%02x", key.ptr[i]);
    }
    return json_string(out);
}

static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("(a text that cannot be shown)");
}

struct telling {
    int out;
    uint64_t told;
};

static void tell_fault(void *arg, const struct store_fault *f)
{
    struct telling *t = arg;
    if (t->told++ >= FSCK_TOLD_MAX)
        return;
    guard_tell(t->out, json_pack("{s{ss so so so}}", "fault", "database", f->database, "key",
                                 key_text(f), "env", text_json(f->env), "why", text_json(f->what)));
}

void fsck_tell_error(int out, enum hoist_err err)
{
    guard_tell(out, json_pack("{s{si so}}", "error", "code", (int)err, "message",
                              text_json(*err_last() ? err_last() : err_word(err))));
}

/* A writer that is quick may have gone on before the look at the pages. */
static enum hoist_err check_newest(struct store *s, struct telling *t, struct store_read **ret,
                                   struct store_checked *ret_sums)
{
    enum { TRIES = 100 };
    enum hoist_err err = HOIST_EAGAIN;
    for (int i = 0; err == HOIST_EAGAIN && i < TRIES; i++) {
        err = store_read_begin(s, false, ret);
        if (err != HOIST_OK)
            return err;
        err = store_check(*ret, tell_fault, t, ret_sums);
        if (err != HOIST_OK)
            store_read_end(*ret);
    }
    return err;
}

bool fsck_read(struct store *s, int out, struct store_read **ret, uint64_t *ret_faults)
{
    struct store_checked sums;
    struct telling t = {.out = out};
    enum hoist_err err = check_newest(s, &t, ret, &sums);
    if (err != HOIST_OK) {
        fsck_tell_error(out, err);
        return false;
    }
    guard_tell(out, json_pack("{s{sI sI sI sI sI}}", "checked", "environments",
                              (json_int_t)sums.environments, "flags", (json_int_t)sums.flags,
                              "changes", (json_int_t)sums.changes, "rows", (json_int_t)sums.rows,
                              "faults", (json_int_t)sums.faults));
    *ret_faults = sums.faults;
    return true;
}

static void work(void *arg, int out)
{
    const struct fsck *f = arg;
    struct store *s = NULL;
    struct store_read *r;
    uint64_t faults;
    enum hoist_err err = store_open_reader(f->dir, 0, &s);
    if (err != HOIST_OK)
        fsck_tell_error(out, err);
    else if (fsck_read(s, out, &r, &faults))
        store_read_end(r);
    store_close(s);
}

/* ------------------------------------------------------------------ in the parent */

void fsck_take(void *arg, const json_t *line)
{
    struct fsck *f = arg;
    const json_t *fault = json_object_get(line, "fault");
    if (fault)
        json_array_append(f->list, (json_t *)fault);
    if (json_object_get(line, "checked"))
        json_object_update(f->sums, json_object_get(line, "checked"));
    if (json_object_get(line, "error"))
        json_object_update(f->error, json_object_get(line, "error"));
}

static void add_fault(struct fsck *f, const char *what)
{
    json_array_append_new(
        f->list, json_pack("{ss ss ss ss}", "database", "", "key", "", "env", "", "why", what));
}

void fsck_begin(struct fsck *f, const char *dir)
{
    *f = (struct fsck){
        .dir = dir, .list = json_array(), .sums = json_object(), .error = json_object()};
}

void fsck_done(struct fsck *f)
{
    json_decref(f->list);
    json_decref(f->sums);
    json_decref(f->error);
}

/* An error that is a fault of what is on the disk. */
static bool is_of_the_file(const struct fsck *f)
{
    uint64_t code = number_of(f->error, "code");
    return code == HOIST_ECORRUPT || code == HOIST_EIO;
}

uint64_t fsck_settle(struct fsck *f, int signal)
{
    uint64_t counted = number_of(f->sums, "faults");
    if (signal > 0) {
        char what[160];
        snprintf(what, sizeof what,
                 "the file's pages are damaged: reading one ended the reader (signal %d, %s)",
                 signal, strsignal(signal));
        add_fault(f, what);
    } else if (json_object_size(f->sums) == 0 && json_object_size(f->error) == 0)
        add_fault(f, "the reader ended before it was done");
    if (is_of_the_file(f))
        add_fault(f, text_of(f->error, "message"));
    if (counted < json_array_size(f->list))
        counted = json_array_size(f->list);
    return counted;
}

bool fsck_failed(struct call *c, const struct fsck *f, int signal, int *ret_exit)
{
    uint64_t code = number_of(f->error, "code");
    if (signal < 0)
        *ret_exit = show_failure(c, EXIT_NO, "failed", NULL, "%s", err_last());
    else if (code == HOIST_ENOTFOUND)
        *ret_exit = show_failure(c, EXIT_NO_ANSWER, "no-store", "name one by --store",
                                 "there is no store in %s", f->dir);
    else if (code != 0 && !is_of_the_file(f))
        *ret_exit = show_failure(c, code == HOIST_EVERSION ? EXIT_NO : EXIT_NO_ANSWER, "no-store",
                                 NULL, "%s", text_of(f->error, "message"));
    else
        return false;
    return true;
}

void fsck_show_faults(const struct call *c, const struct fsck *f, uint64_t counted)
{
    size_t i;
    json_t *fault;
    json_array_foreach(f->list, i, fault)
    {
        const char *env = text_of(fault, "env"), *key = text_of(fault, "key");
        fprintf(stderr, "%s%s%s%s%s%s%s: %s\n", look(c, LOOK_BAD), text_of(fault, "database"),
                *env ? " of " : "", env, *key ? ", " : "", key, look(c, LOOK_PLAIN),
                text_of(fault, "why"));
    }
    if (counted > json_array_size(f->list))
        fprintf(stderr, "… and %" PRIu64 " more\n", counted - json_array_size(f->list));
}

static int show(struct call *c, struct fsck *f, uint64_t faults)
{
    bool whole = json_object_size(f->sums) > 0;
    if (c->json) {
        json_object_set_new(f->sums, "faults", json_integer((json_int_t)faults));
        json_t *out = json_pack("{ss sb sO sO}", "store", f->dir, "ok", faults == 0, "counts",
                                f->sums, "faults", f->list);
        if (!out)
            return show_failure(c, EXIT_NO_ANSWER, "failed", NULL, "no memory for the answer");
        char *text = value_text(out, false);
        if (text)
            puts(text);
        mem_free(text);
        json_decref(out);
        return faults ? EXIT_NO : EXIT_DONE;
    }
    fsck_show_faults(c, f, faults);
    printf("%s%s: %" PRIu64 " environments, %" PRIu64 " flags, %" PRIu64 " changes, %" PRIu64
           " rows%s: ",
           look(c, faults ? LOOK_BAD : LOOK_GOOD), f->dir, number_of(f->sums, "environments"),
           number_of(f->sums, "flags"), number_of(f->sums, "changes"), number_of(f->sums, "rows"),
           whole ? "" : " (it could not be read to its end)");
    if (faults)
        printf("%" PRIu64 " faults%s\n", faults, look(c, LOOK_PLAIN));
    else
        printf("no faults%s\n", look(c, LOOK_PLAIN));
    return faults ? EXIT_NO : EXIT_DONE;
}

const char *fsck_store_dir(const struct call *c)
{
    const char *dir = options_get(c->options, "store");
    return dir ? dir : c->store_dir;
}

int run_fsck(struct call *c)
{
    struct fsck f;
    int exit;
    fsck_begin(&f, fsck_store_dir(c));
    int signal = guard_run(work, fsck_take, &f);
    if (!fsck_failed(c, &f, signal, &exit))
        exit = show(c, &f, fsck_settle(&f, signal));
    fsck_done(&f);
    return exit;
}
