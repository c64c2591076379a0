/* release watch --reports: the reports of a watch, written into a directory when each is due. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/textfile.h"
#include "release_report.h"
#include "release_run.h"

enum { MODE = 0644, AGAIN_MS = 60000 };

struct writing {
    struct call *call;
    const json_t *status;
    const char *dir;
    const struct release_plan *plan;
};

static bool make_path(const struct writing *w, const char *name, const char *end,
                      char ret[PATH_MAX])
{
    int len = snprintf(ret, PATH_MAX, "%s/%s-%u-%s.%s", w->dir, text_of(w->status, "release"),
                       (unsigned)number_of(w->status, "id"), name, end);
    if (len < PATH_MAX)
        return true;
    show_failure(w->call, EXIT_INPUT, "input", "--reports DIR with a shorter name",
                 "the path of a report would be too long");
    return false;
}

/* What is there is one that was whole, and stays. */
static bool put_file(const struct writing *w, const char *name, const char *end, struct slice text)
{
    char path[PATH_MAX];
    if (!make_path(w, name, end, path))
        return false;
    if (access(path, F_OK) == 0)
        return true;
    if (textfile_write(path, text, MODE, false) != HOIST_OK) {
        show_failure(w->call, EXIT_NO, "failed",
                     "it is tried again, or: flagctl release report --at",
                     "a report could not be written: %s", err_last());
        return false;
    }
    fprintf(stderr, "report: %s\n", path);
    return true;
}

static bool put_both(const struct writing *w, const char *name, const json_t *report)
{
    struct buf text = BUF_INIT(REPORT_MAX);
    char *json = value_text(report, false);
    buf_printf(&text, "%s\n", json);
    mem_free(json);
    bool ok = buf_err(&text) == HOIST_OK && put_file(w, name, "json", buf_slice(&text));
    buf_clear(&text);
    report_text(report, &text);
    ok = ok && buf_err(&text) == HOIST_OK && put_file(w, name, "md", buf_slice(&text));
    buf_done(&text);
    return ok;
}

static bool is_written(const struct writing *w, const char *name)
{
    char path[PATH_MAX];
    return make_path(w, name, "md", path) && access(path, F_OK) == 0 &&
           make_path(w, name, "json", path) && access(path, F_OK) == 0;
}

/* `step` -1: the report of its end. */
static bool write_report(const struct writing *w, const char *name, int step)
{
    struct story_until until = {.step = step, .ms = INT64_MAX};
    struct prometheus_config config;
    struct story t;
    int exit;
    bool asks = options_get(w->call->options, "prometheus") != NULL;
    if (is_written(w, name))
        return true;
    if (asks && !release_prometheus(w->call, &config, &exit))
        return false;
    bool ok = story_read(w->call, text_of(w->status, "release"), 0, &until, &t, &exit);
    if (ok && t.id != number_of(w->status, "id"))
        ok = false; /* another release of that name has begun meanwhile */
    if (ok) {
        json_t *report = report_json(&t, asks ? &config : NULL);
        ok = put_both(w, name, report);
        json_decref(report);
    }
    story_done(&t);
    return ok;
}

/* Whether that step of the watch has soaked. */
static bool is_due(const struct writing *w, uint32_t step)
{
    uint64_t here = number_of(w->status, "step");
    bool soaked = number_of(w->status, "soak_ms") >= number_of(w->status, "soak_target_ms");
    return here > step + 1 || (here == step + 1 && soaked);
}

static bool has_ended(const struct writing *w)
{
    return *text_of(w->status, "ended") != '\0';
}

static bool write_all(struct writing *w)
{
    char name[REPORT_NAME_SIZE];
    bool ok = true;
    for (uint32_t i = 0; i < w->plan->step_count; i++)
        if (report_name(w->plan, i, name) && is_due(w, i))
            ok = write_report(w, name, (int)i) && ok;
    if (has_ended(w))
        ok = write_report(w, "end", -1) && ok;
    return ok;
}

static bool write_due(struct call *c, const json_t *status, const char *dir)
{
    struct writing w = {.call = c, .status = status, .dir = dir};
    uint32_t id;
    int exit;
    struct release_plan *plan = story_plan(c, text_of(status, "release"), &id, &exit);
    w.plan = plan;
    bool ok = plan && write_all(&w);
    release_plan_free(plan);
    return ok;
}

/* Another number whenever a report may have become due; 0: none can be yet. */
static uint64_t stage_of(const json_t *status)
{
    bool ended = *text_of(status, "ended") != '\0';
    bool soaked = number_of(status, "soak_ms") >= number_of(status, "soak_target_ms");
    if (!ended && strcmp(text_of(status, "phase"), "watch") != 0)
        return 0;
    return number_of(status, "step") * 4 + soaked * 2 + ended;
}

bool reports_may_begin(struct call *c, const char *dir, int *ret_exit)
{
    struct prometheus_config config;
    struct stat st;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        *ret_exit = show_failure(c, EXIT_INPUT, "input", "make it, or name another",
                                 "--reports %s: this is no directory", dir);
        return false;
    }
    return !options_get(c->options, "prometheus") || release_prometheus(c, &config, ret_exit);
}

bool reports_look(struct reports *r, struct call *c, const json_t *status)
{
    uint64_t stage = stage_of(status);
    if (stage == r->stage && (r->done || clock_mono_ms() < r->again_ms))
        return r->done;
    r->stage = stage;
    r->done = !stage || write_due(c, status, r->dir);
    r->again_ms = clock_mono_ms() + AGAIN_MS;
    return r->done;
}
