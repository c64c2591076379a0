/* release: what can be said of a plan before anything is started. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "release_run.h"

enum { ANSWER_MAX = 64 << 20, MESSAGE_MAX = 4 << 20, BESIDE_MAX = 16 };

struct beside { /* a file of flags, beside the plan */
    const char *path;
    struct problems problems;
};

struct plan_file {
    const char *path;          /* as shown */
    struct release_plan *plan; /* NULL: it has problems */
    struct problems problems, warnings;
    struct beside beside[BESIDE_MAX];
    size_t beside_count;
};

static void plan_file_done(struct plan_file *f)
{
    for (size_t i = 0; i < f->beside_count; i++)
        problems_done(&f->beside[i].problems);
    release_plan_free(f->plan);
    problems_done(&f->problems);
    problems_done(&f->warnings);
}

/* False: it was not read at all, and that was shown. */
static bool plan_file_open(struct call *c, struct plan_file *ret, int *ret_exit)
{
    const char *path = c->words[1];
    struct buf text = BUF_INIT(FILE_MAX);
    *ret = (struct plan_file){.path = strcmp(path, "-") == 0 ? "stdin" : path};
    bool ok = load_file(c, path, &text, ret_exit);
    if (ok && release_plan_read(buf_slice(&text), &ret->plan, &ret->problems, &ret->warnings) ==
                  HOIST_ENOMEM) {
        *ret_exit = show_failure(c, EXIT_NO, "no-memory", NULL, "%s: %s", ret->path, err_last());
        ok = false;
    }
    problems_sort(&ret->problems);
    problems_sort(&ret->warnings);
    buf_done(&text);
    return ok;
}

/* ------------------------------------------------------------------ lint */

/* In all files. */
static size_t count_problems(const struct plan_file *f)
{
    size_t total = f->problems.total;
    for (size_t i = 0; i < f->beside_count; i++)
        total += f->beside[i].problems.total;
    return total;
}

static void show_text(const struct call *c, const struct plan_file *f)
{
    char count[64], hash[2 * HASH_SIZE + 1];
    const struct problems all = {.total = count_problems(f)};
    found_show(c, f->path, &f->problems, "problem", LOOK_BAD);
    for (size_t i = 0; i < f->beside_count; i++)
        found_show(c, f->beside[i].path, &f->beside[i].problems, "problem", LOOK_BAD);
    found_show(c, f->path, &f->warnings, "warning", LOOK_VALUE);
    found_count(count, &all, &f->warnings);
    printf("%s: %s", f->path, count);
    if (f->plan) {
        text_hex(hash, slice_of(f->plan->hash, HASH_SIZE));
        printf(", plan %s", hash);
    }
    putchar('\n');
}

static void put_beside(struct json_writer *w, const struct plan_file *f)
{
    json_key(w, "flags");
    json_array_begin(w);
    for (size_t i = 0; i < f->beside_count; i++) {
        json_object_begin(w);
        json_key(w, "file");
        json_put_str(w, f->beside[i].path);
        found_put(w, "problems", &f->beside[i].problems);
        json_object_end(w);
    }
    json_array_end(w);
}

static void show_object(const struct plan_file *f)
{
    struct buf text = BUF_INIT(ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    json_object_begin(&w);
    json_key(&w, "file");
    json_put_str(&w, f->path);
    json_key(&w, "result");
    json_put_str(&w, count_problems(f) ? "problems" : f->warnings.total ? "warnings" : "clean");
    json_key(&w, "release");
    json_put_str(&w, f->plan ? (const char *)f->plan->name.ptr : NULL);
    json_key(&w, "hash");
    if (f->plan)
        json_put_hex(&w, slice_of(f->plan->hash, HASH_SIZE));
    else
        json_put_null(&w);
    found_put(&w, "problems", &f->problems);
    found_put(&w, "warnings", &f->warnings);
    put_beside(&w, f);
    json_object_end(&w);
    puts(buf_str(&text));
    buf_done(&text);
}

/* The flags of a file beside the plan: what stands in its way is told where it stands in that file. */
static bool check_flags(struct call *c, struct plan_file *f, const char *path, int *ret_exit)
{
    struct beside *b = &f->beside[f->beside_count++];
    struct buf text = BUF_INIT(FILE_MAX);
    struct flag_file *flags = NULL;
    *b = (struct beside){.path = path};
    bool ok = load_file(c, path, &text, ret_exit);
    if (ok && flag_file_read(buf_slice(&text), &flags, &b->problems) == HOIST_OK && f->plan)
        release_plan_check_flags(f->plan, flags->flags, flags->count, &b->problems);
    if (ok &&
        (problems_locate(&b->problems, buf_slice(&text)) != HOIST_OK || b->problems.no_memory)) {
        *ret_exit = show_failure(c, EXIT_NO, "no-memory", NULL, "%s: %s", path, err_last());
        ok = false;
    }
    problems_sort(&b->problems);
    flag_file_free(flags);
    buf_done(&text);
    return ok;
}

static int lint(struct call *c)
{
    const char *const *files;
    size_t count = options_list(c->options, "flags", &files);
    struct plan_file f;
    int exit = EXIT_INPUT;
    if (count > BESIDE_MAX)
        return show_failure(c, EXIT_INPUT, "input", "lint the others in another go",
                            "--flags takes %d files at most", BESIDE_MAX);
    bool ok = plan_file_open(c, &f, &exit);
    for (size_t i = 0; i < count && ok; i++)
        ok = check_flags(c, &f, files[i], &exit);
    if (ok) {
        const struct problems all = {.total = count_problems(&f)};
        exit = found_exit(c, &all, &f.warnings);
        if (c->json)
            show_object(&f);
        else
            show_text(c, &f);
    }
    plan_file_done(&f);
    return exit;
}

/* ------------------------------------------------------------------ plan, guards, announce */

enum hoist_err release_start_read(const struct call *c, int64_t *ret_wall_ms)
{
    const char *from = options_get(c->options, "from");
    if (from)
        return text_time_read(from, ret_wall_ms);
    *ret_wall_ms = clock_wall_ms();
    return HOIST_OK;
}

/* A plan without problems; with some, they are shown. */
static bool open_good(struct call *c, struct plan_file *f, int *ret_exit)
{
    if (!plan_file_open(c, f, ret_exit))
        return false;
    if (f->plan)
        return true;
    if (!c->json)
        found_show(c, f->path, &f->problems, "problem", LOOK_BAD);
    *ret_exit = show_failure(c, EXIT_INPUT, "input", "flagctl release lint tells all of it",
                             "%s: %s", f->path, err_last());
    return false;
}

static int refuse_time(struct call *c)
{
    return show_failure(c, EXIT_INPUT, "input", "write a time in UTC, as in 2026-12-07T08:00:00Z",
                        "--from: '%s' is no time", options_get(c->options, "from"));
}

static int print_canonical(struct call *c, const struct release_plan *plan)
{
    struct buf text = BUF_INIT(RELEASE_CANONICAL_MAX);
    int exit = EXIT_DONE;
    if (release_plan_canonical(plan, &text) == HOIST_OK)
        fwrite(text.ptr, 1, text.len, stdout);
    else
        exit = show_failure(c, EXIT_NO, "failed", NULL, "%s", err_last());
    buf_done(&text);
    return exit;
}

static int plan(struct call *c)
{
    struct plan_file f;
    int exit = EXIT_INPUT;
    if (open_good(c, &f, &exit))
        exit = options_on(c->options, "canonical") ? print_canonical(c, f.plan)
               : options_on(c->options, "chain")   ? release_show_plan_chain(c, f.plan)
                                                   : release_show_plan(c, f.plan);
    plan_file_done(&f);
    return exit;
}

static int with_plan(struct call *c, int (*run)(struct call *c, const struct release_plan *plan))
{
    struct plan_file f;
    int exit = EXIT_INPUT;
    if (open_good(c, &f, &exit))
        exit = run(c, f.plan);
    plan_file_done(&f);
    return exit;
}

static int guards(struct call *c)
{
    return with_plan(c, release_show_guards);
}

static int simulate(struct call *c)
{
    return with_plan(c, release_simulate_plan);
}

static void show_message(const struct call *c, const struct release_plan *plan, const char *whom,
                         struct buf *text)
{
    struct buf object = BUF_INIT(ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&object, 0);
    if (!c->json) {
        fwrite(text->ptr, 1, text->len, stdout);
        return;
    }
    json_object_begin(&w);
    json_key(&w, "release");
    json_put_slice(&w, plan->name);
    json_key(&w, "for");
    json_put_str(&w, whom);
    json_key(&w, "text");
    json_put_slice(&w, buf_slice(text));
    json_object_end(&w);
    puts(buf_str(&object));
    buf_done(&object);
}

static int announce(struct call *c)
{
    const char *whom = options_get(c->options, "for");
    struct buf text = BUF_INIT(MESSAGE_MAX);
    struct plan_file f = {0};
    int64_t from_ms;
    int exit = EXIT_INPUT;
    bool support = whom && strcmp(whom, "support") == 0;
    if (!support && (!whom || strcmp(whom, "users") != 0))
        return show_failure(c, EXIT_INPUT, "input", "--for support, or --for users",
                            whom ? "there is no message for '%s'" : "say for whom it is%s",
                            whom ? whom : "");
    if (release_start_read(c, &from_ms) != HOIST_OK)
        return refuse_time(c);
    if (open_good(c, &f, &exit)) {
        exit = EXIT_DONE;
        if (release_announce(f.plan, support ? RELEASE_FOR_SUPPORT : RELEASE_FOR_USERS, from_ms,
                             &text) == HOIST_OK)
            show_message(c, f.plan, whom, &text);
        else
            exit = show_failure(c, EXIT_NO, "failed", NULL, "%s", err_last());
    }
    plan_file_done(&f);
    buf_done(&text);
    return exit;
}

/* ------------------------------------------------------------------ the verbs */

static const struct {
    const char *name;
    int (*run)(struct call *c);
} verbs[] = {{"lint", lint},
             {"plan", plan},
             {"guards", guards},
             {"announce", announce},
             {"simulate", simulate}};

int run_release(struct call *c)
{
    size_t i = 0, count = sizeof verbs / sizeof *verbs;
    char mend[64];
    if (release_is_run(c->words[0]))
        return release_run(c);
    while (i < count && strcmp(c->words[0], verbs[i].name) != 0)
        i++;
    if (i == count)
        return show_failure(c, EXIT_INPUT, "input", "flagctl help release lists them",
                            "there is no 'release %s'", c->words[0]);
    if (c->word_count == 2)
        return verbs[i].run(c);
    snprintf(mend, sizeof mend, "flagctl release %s PLAN", verbs[i].name);
    return show_failure(c, EXIT_INPUT, "input", mend, "name the plan's file, and nothing else");
}
