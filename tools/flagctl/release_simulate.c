/* release simulate: a plan played in a world that a file describes, without any server. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"
#include "flagctl.h"
#include "release/event_json.h"
#include "release/simulate.h"
#include "release/waiting.h"

enum { ANSWER_MAX = 64 << 20, LOG_MAX = 512 << 20 };

struct played {
    struct call *call;
    const struct release_plan *plan;
    int64_t begin_ms, end_ms; /* of its first moment; of its last event */
    bool begun;
    struct buf text;   /* the timeline: lines, or with --json objects */
    struct buf events; /* of --save */
    struct json_writer w;
    struct release_record record;
    uint32_t unused;
};

static const char *const kinds[] = {"said", "paged", "refused", "waits"};

static void put_moment(struct json_writer *w, const struct release_moment *m)
{
    json_object_begin(w);
    json_key(w, "time");
    json_put_time(w, m->wall_ms);
    json_key(w, "kind");
    json_put_str(w, kinds[m->kind]);
    json_key(w, "text");
    json_put_str(w, m->text);
    json_object_end(w);
}

static void add_line(struct played *p, const struct release_moment *m)
{
    static const char *const words[] = {"", "page: ", "refused: ", "waits for: "};
    static const enum look looks[] = {LOOK_PLAIN, LOOK_BAD, LOOK_VALUE, LOOK_FAINT};
    char time[TEXT_TIME_SIZE], since[RELEASE_DURATION_SIZE], text[RELEASE_MOMENT_SIZE];
    int64_t ms = m->wall_ms - p->begin_ms;
    text_time(time, m->wall_ms);
    release_say_duration((uint64_t)(ms < 0 ? -ms : ms), since);
    snprintf(text, sizeof text, "%s", m->text);
    show_tame(text);
    buf_printf(&p->text, "%.10s %.8s  %c%-10s %s%s%s%s\n", time, time + 11, ms < 0 ? '-' : '+',
               since, look(p->call, looks[m->kind]), words[m->kind], text,
               look(p->call, LOOK_PLAIN));
}

static void on_moment(void *arg, const struct release_moment *m)
{
    struct played *p = arg;
    if (!p->begun)
        p->begin_ms = m->wall_ms;
    p->begun = true;
    if (p->call->json)
        put_moment(&p->w, m);
    else
        add_line(p, m);
}

static void on_event(void *arg, const struct release_event *e)
{
    struct played *p = arg;
    struct json_writer w = JSON_WRITER(&p->events, 0);
    release_event_put_json(&w, p->plan, e);
    buf_add_byte(&p->events, '\n');
}

/* ------------------------------------------------------------------ the result */

static const char *result_of(const struct release_record *r)
{
    switch ((enum release_state)r->state) {
    case RELEASE_NOT_STARTED:
        return "not-started";
    case RELEASE_MOVING:
        return "standing";
    case RELEASE_ROLLING_BACK:
        return "rolling-back";
    case RELEASE_ENDED:
        break;
    }
    return r->cause == RELEASE_BY_NOBODY ? "completed" : "rolled-back";
}

static int exit_of(const struct release_record *r)
{
    if (r->state != RELEASE_ENDED)
        return EXIT_STANDS_STILL;
    return r->cause == RELEASE_BY_NOBODY ? EXIT_DONE : EXIT_ROLLED_BACK;
}

static void put_waiting(struct json_writer *w, const struct played *p)
{
    struct release_wait waits[RELEASE_WAITS_MAX];
    uint32_t count = release_waiting(p->plan, &p->record, p->end_ms, waits);
    json_key(w, "waiting");
    json_array_begin(w);
    for (uint32_t i = 0; i < count; i++) {
        json_object_begin(w);
        json_key(w, "condition");
        json_put_str(w, release_condition_name(waits[i].condition));
        json_key(w, "since");
        json_put_time(w, waits[i].since_ms);
        json_key(w, "text");
        json_put_str(w, waits[i].text);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_result(struct json_writer *w, const struct played *p)
{
    char cause[RELEASE_SAID_SIZE];
    release_say_cause(p->plan, &p->record, cause);
    json_key(w, "release");
    json_put_slice(w, p->plan->name);
    json_key(w, "hash");
    json_put_hex(w, slice_of(p->plan->hash, HASH_SIZE));
    json_key(w, "result");
    json_put_str(w, result_of(&p->record));
    json_key(w, "cause");
    json_put_str(w, *cause ? cause : NULL);
    json_key(w, "begin");
    json_put_time(w, p->begin_ms);
    json_key(w, "end");
    json_put_time(w, p->end_ms);
    json_key(w, "step");
    json_put_u64(w, (uint64_t)p->record.step + 1);
    json_key(w, "steps");
    json_put_u64(w, p->plan->step_count);
    json_key(w, "unused_lines");
    json_put_u64(w, p->unused);
    put_waiting(w, p);
}

static void show(struct played *p)
{
    char said[RELEASE_SAID_SIZE], took[RELEASE_DURATION_SIZE];
    if (p->call->json) {
        json_array_end(&p->w);
        put_result(&p->w, p);
        json_object_end(&p->w);
        puts(buf_str(&p->text));
        return;
    }
    fwrite(p->text.ptr, 1, p->text.len, stdout);
    release_say_step(p->plan, p->record.step, said);
    int64_t ms = p->end_ms - p->begin_ms;
    release_say_duration((uint64_t)(ms > 0 ? ms : 0), took);
    printf("%s at %s, after %s\n", result_of(&p->record), said, took);
    if (p->unused)
        printf("%u line%s of the scenario did not come to pass\n", p->unused,
               p->unused == 1 ? "" : "s");
}

/* ------------------------------------------------------------------ the whole */

static int save(struct played *p, const char *path)
{
    if (buf_err(&p->events) == HOIST_OK &&
        textfile_write(path, buf_slice(&p->events), 0644, true) == HOIST_OK)
        return exit_of(&p->record);
    return show_failure(p->call, EXIT_NO, "failed", NULL, "%s", err_last());
}

static int play(struct played *p, struct slice scenario, const char *path, int64_t from_ms)
{
    const char *saved = options_get(p->call->options, "save");
    const struct release_watcher watcher = {on_moment, saved ? on_event : NULL, p};
    p->w = JSON_WRITER(&p->text, 0);
    if (p->call->json) {
        json_object_begin(&p->w);
        json_key(&p->w, "moments");
        json_array_begin(&p->w);
    }
    p->begin_ms = from_ms;
    enum hoist_err err =
        release_simulate(p->plan, scenario, from_ms, &watcher, &p->record, &p->end_ms, &p->unused);
    if (err != HOIST_OK)
        return show_failure(p->call, err == HOIST_EINVAL ? EXIT_INPUT : EXIT_NO, "input",
                            "docs/releases.md has what a scenario may say", "%s: %s", path,
                            err_last());
    if (buf_err(&p->text) != HOIST_OK)
        return show_failure(p->call, EXIT_NO, "failed", NULL, "the timeline: %s", err_last());
    show(p);
    return saved ? save(p, saved) : exit_of(&p->record);
}

int release_simulate_plan(struct call *c, const struct release_plan *plan)
{
    const char *path = options_get(c->options, "events");
    struct played p = {
        .call = c, .plan = plan, .text = BUF_INIT(ANSWER_MAX), .events = BUF_INIT(LOG_MAX)};
    struct buf scenario = BUF_INIT(FILE_MAX);
    int64_t from_ms;
    int exit = EXIT_INPUT;
    if (!path)
        return show_failure(c, EXIT_INPUT, "input", "--events FILE", "say what happens");
    if (release_start_read(c, &from_ms) != HOIST_OK)
        return show_failure(c, EXIT_INPUT, "input", "write a time in UTC: 2026-12-07T08:00:00Z",
                            "--from: '%s' is no time", options_get(c->options, "from"));
    if (load_file(c, path, &scenario, &exit))
        exit = play(&p, buf_slice(&scenario), path, from_ms);
    buf_done(&scenario);
    buf_done(&p.text);
    buf_done(&p.events);
    return exit;
}
