/* release: what is asked of the primary, which runs it: start, status, watch, log, check, sign, hold … */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json.h"
#include "github_limits.h"
#include "program.h"
#include "release_report.h"
#include "release_run.h"

enum { COMMIT_SIZE = 65, COMMIT_SHORT = 7, WATCH_MS = 500, GIT_MS = 10000 };

/* ------------------------------------------------------------------ which commit */

/* What is checked out here; "": it is no git repository. */
static void head_of(char ret[COMMIT_SIZE])
{
    char *argv[] = {"git", "rev-parse", "HEAD", NULL};
    struct ran r;
    program_run(argv, GIT_MS, &r);
    ret[0] = '\0';
    size_t len = strspn(r.head, "0123456789abcdef");
    if (r.exit == 0 && len >= 40 && len < COMMIT_SIZE) {
        memcpy(ret, r.head, len);
        ret[len] = '\0';
    }
}

/* The one that was named, else that. False: there is none, and that was shown. */
static bool find_commit(struct call *c, char ret[COMMIT_SIZE], int *ret_exit)
{
    const char *named = options_get(c->options, "commit");
    if (named && strlen(named) < COMMIT_SIZE)
        snprintf(ret, COMMIT_SIZE, "%s", named);
    else
        head_of(ret);
    if (*ret && (!named || strlen(named) < COMMIT_SIZE))
        return true;
    *ret_exit = show_failure(c, EXIT_INPUT, "input", "--commit HASH says which one is shipped",
                             named ? "'%.80s' is no commit" : "this is no git repository%s",
                             named ? named : "");
    return false;
}

/* ------------------------------------------------------------------ where it stands */

static int exit_of(const json_t *status)
{
    const char *state = text_of(status, "state");
    if (strcmp(state, "waiting") == 0 || strcmp(state, "holding") == 0)
        return EXIT_STANDS_STILL;
    if (strcmp(state, "rolled_back") == 0 || strcmp(state, "rolling_back") == 0)
        return EXIT_ROLLED_BACK;
    return EXIT_DONE;
}

static const char *state_look(const struct call *c, const json_t *status)
{
    int exit = exit_of(status);
    return look(c, exit == EXIT_DONE           ? LOOK_GOOD
                   : exit == EXIT_STANDS_STILL ? LOOK_VALUE
                                               : LOOK_BAD);
}

void release_put_wait(struct buf *out, const json_t *wait)
{
    size_t i;
    json_t *who, *people = json_object_get(wait, "people");
    buf_add_str(out, text_of(wait, "text"));
    json_array_foreach(people, i, who)
    {
        buf_printf(out, "%s%s", i ? ", " : " (", json_string_value(who));
    }
    if (json_array_size(people))
        buf_add_byte(out, ')');
}

static void show_waiting(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *wait;
    json_array_foreach(json_object_get(status, "waiting"), i, wait)
    {
        char age[64];
        struct buf what = BUF_INIT(64 << 10);
        show_age(age, text_of(wait, "since"));
        release_put_wait(&what, wait);
        printf("  waits for %s%-9s%s %s  %s%s%s\n", look(c, LOOK_KEY), text_of(wait, "condition"),
               look(c, LOOK_PLAIN), buf_str(&what), look(c, LOOK_FAINT), age, look(c, LOOK_PLAIN));
        buf_done(&what);
    }
}

static void show_guards(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *g;
    json_array_foreach(json_object_get(status, "guards"), i, g)
    {
        const char *verdict = text_of(g, "verdict");
        bool good = strcmp(verdict, "PASS") == 0;
        printf("  guard %-24s %s%-6s%s", text_of(g, "guard"), look(c, good ? LOOK_GOOD : LOOK_BAD),
               *verdict ? verdict : "-", look(c, LOOK_PLAIN));
        if (json_is_number(json_object_get(g, "value")))
            printf(" %g", json_number_value(json_object_get(g, "value")));
        putchar('\n');
    }
}

static void show_envs(const json_t *status)
{
    size_t i, k;
    json_t *e, *flag;
    json_array_foreach(json_object_get(status, "envs"), i, e)
    {
        if (number_of(e, "version"))
            printf("  %s  v%" PRIu64 ", baseline v%" PRIu64, text_of(e, "env"),
                   number_of(e, "version"), number_of(e, "baseline"));
        else
            printf("  %s  not changed, baseline v%" PRIu64, text_of(e, "env"),
                   number_of(e, "baseline"));
        printf("; %" PRIu64 " hosts live, %" PRIu64 " behind, %" PRIu64 " silent",
               number_of(e, "live"), number_of(e, "lagging"), number_of(e, "silent"));
        json_array_foreach(json_object_get(e, "killed"), k, flag)
        {
            printf("%s %s", k ? "," : "; killed:", json_string_value(flag));
        }
        putchar('\n');
    }
}

/* The checks of its step: which is good for how long. */
static void show_checks(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(status, "checks"), i, check)
    {
        char age[64];
        const char *until = text_of(check, "good_until");
        show_age(age, text_of(check, "at"));
        if (json_is_true(json_object_get(check, "passed")))
            printf("  check %-24s %spassed%s %s%s%s\n", text_of(check, "check"), look(c, LOOK_GOOD),
                   look(c, LOOK_PLAIN), age, *until ? ", due again " : "", until);
    }
}

/* Who looks after what was launched. */
static void show_duty(const struct call *c, const json_t *status)
{
    const json_t *duty = json_object_get(status, "on_duty");
    bool watches = strcmp(text_of(status, "phase"), "watch") == 0 && !*text_of(status, "ended");
    if (json_is_object(duty))
        printf("  on duty: %s, until %s\n", text_of(duty, "who"), text_of(duty, "to"));
    else if (watches)
        printf("  %son duty: nobody, by the plan's coverage%s\n", look(c, LOOK_BAD),
               look(c, LOOK_PLAIN));
}

static void show_status(const struct call *c, const json_t *s)
{
    printf("%s%s%s  %s%s%s  %s\n", look(c, LOOK_KEY), text_of(s, "release"), look(c, LOOK_PLAIN),
           state_look(c, s), text_of(s, "state"), look(c, LOOK_PLAIN), text_of(s, "said"));
    if (*text_of(s, "cause"))
        printf("  because of %s\n", text_of(s, "cause"));
    show_waiting(c, s);
    release_show_silences(c, s);
    show_guards(c, s);
    show_checks(c, s);
    show_envs(s);
    show_duty(c, s);
    printf("  plan %.12s, commit %.12s, started by %s\n", text_of(s, "plan"), text_of(s, "commit"),
           text_of(s, "author"));
    if (*text_of(s, "earliest"))
        printf("  done at the earliest %s\n", text_of(s, "earliest"));
}

/* ------------------------------------------------------------------ asking */

static json_t *about(const char *release)
{
    return json_pack("{ss}", "release", release);
}

/* False: it could not be had, and that was shown. */
static bool ask_status(struct call *c, const char *release, struct reply *r, int *ret_exit)
{
    ask(c, "release_status", about(release), r);
    return !show_if_error(c, r, ret_exit);
}

static int status(struct call *c)
{
    struct reply r;
    int exit;
    if (ask_status(c, c->words[1], &r, &exit)) {
        exit = exit_of(r.body);
        if (options_on(c->options, "chain")) {
            exit = release_show_chain(c, r.body, exit);
        } else {
            release_add_silences(c, &r);
            if (c->json)
                show_json(&r);
            else
                show_status(c, r.body);
        }
    }
    reply_done(&r);
    return exit;
}

static int list(struct call *c)
{
    struct reply r;
    int exit;
    size_t i;
    json_t *e;
    ask(c, "releases", json_object(), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = EXIT_DONE;
        if (c->json)
            show_json(&r);
        json_array_foreach(json_object_get(r.body, "releases"), i, e)
        {
            if (!c->json)
                printf("%s%s%s  %s%s%s  %s\n", look(c, LOOK_KEY), text_of(e, "release"),
                       look(c, LOOK_PLAIN), state_look(c, e), text_of(e, "state"),
                       look(c, LOOK_PLAIN), text_of(e, "said"));
        }
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ watch */

static bool has_ended(const json_t *status)
{
    const char *state = text_of(status, "state");
    return strcmp(state, "completed") == 0 || strcmp(state, "rolled_back") == 0;
}

/* Each once, with how often it is there: they come sorted. */
static void add_conditions(struct buf *out, const json_t *waiting)
{
    size_t n = json_array_size(waiting);
    for (size_t i = 0, next; i < n; i = next) {
        const char *name = text_of(json_array_get(waiting, i), "condition");
        for (next = i + 1; next < n; next++)
            if (strcmp(name, text_of(json_array_get(waiting, next), "condition")) != 0)
                break;
        buf_printf(out, "%s%s", i ? ", " : "  waits for ", name);
        if (next - i > 1)
            buf_printf(out, " (%zu)", next - i);
    }
}

/* A line that changes when the release moves, and not with each round. */
static void one_line(const json_t *s, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "%s  %s", text_of(s, "state"), text_of(s, "said"));
    if (*text_of(s, "cause"))
        buf_printf(out, "  because of %s", text_of(s, "cause"));
    add_conditions(out, json_object_get(s, "waiting"));
}

/* Show it, if it is another than `last`, which it is from then on. */
static void show_news(const struct call *c, const struct reply *r, struct buf *last)
{
    struct buf now = BUF_INIT(64 << 10);
    one_line(r->body, &now);
    if (!slice_eq(buf_slice(last), buf_slice(&now))) {
        if (c->json)
            show_json(r);
        else
            puts(buf_str(&now));
        fflush(stdout);
        buf_clear(last);
        buf_add_slice(last, buf_slice(&now));
    }
    buf_done(&now);
}

static int watch(struct call *c)
{
    struct buf last = BUF_INIT(64 << 10);
    struct reports reports = {.dir = options_get(c->options, "reports")};
    int exit = EXIT_DONE;
    if (reports.dir && !reports_may_begin(c, reports.dir, &exit))
        return exit;
    for (bool over = false; !over;) {
        struct reply r;
        if (ask_status(c, c->words[1], &r, &exit)) {
            exit = exit_of(r.body);
            show_news(c, &r, &last);
            bool written = !reports.dir || reports_look(&reports, c, r.body);
            over = has_ended(r.body) && written;
        } else { /* the primary may be away: the release stands, and goes on when it is back */
            over = exit != EXIT_NO_ANSWER;
        }
        reply_done(&r);
        if (!over)
            usleep(WATCH_MS * 1000);
    }
    buf_done(&last);
    return exit;
}

/* ------------------------------------------------------------------ log */

static void show_event(const struct call *c, const json_t *e)
{
    printf("%s  %s%s%s", text_of(e, "time"), look(c, LOOK_KEY), text_of(e, "event"),
           look(c, LOOK_PLAIN));
    json_t *step = json_object_get(e, "step");
    if (json_is_integer(step))
        printf("  step %" PRIu64, number_of(e, "step"));
    else if (step)
        printf("  %s", json_string_value(step));
    static const char *const texts[] = {"env", "flag", "role", "check", "by", "text"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*text_of(e, texts[i]))
            printf("  %s%s", strcmp(texts[i], "by") == 0 ? "by " : "", text_of(e, texts[i]));
    if (json_object_get(e, "passed"))
        printf("  %s", json_is_true(json_object_get(e, "passed")) ? "passed" : "failed");
    if (json_object_get(e, "version"))
        printf("  v%" PRIu64, number_of(e, "version"));
    putchar('\n');
}

static int show_log(struct call *c)
{
    struct reply r;
    int exit = EXIT_DONE;
    uint64_t from = 0;
    for (size_t count = 1; count > 0 && exit == EXIT_DONE;) {
        size_t i;
        json_t *e, *args = about(c->words[1]);
        json_object_set_new(args, "from", json_integer((json_int_t)from));
        json_object_set_new(args, "ticks", json_boolean(options_on(c->options, "ticks")));
        ask(c, "release_log", args, &r);
        count = 0;
        if (!show_if_error(c, &r, &exit)) {
            exit = EXIT_DONE;
            json_array_foreach(json_object_get(r.body, "events"), i, e)
            {
                char *line = c->json ? value_text(e, false) : NULL;
                if (line)
                    puts(line);
                else
                    show_event(c, e);
                mem_free(line);
                count++;
            }
            from = number_of(r.body, "next");
        }
        reply_done(&r);
    }
    return exit;
}

/* ------------------------------------------------------------------ start */

static int start(struct call *c)
{
    struct buf text = BUF_INIT(FILE_MAX);
    struct reply r;
    char commit[COMMIT_SIZE];
    int exit = EXIT_INPUT;
    if (!find_commit(c, commit, &exit) || !load_file(c, c->words[1], &text, &exit)) {
        buf_done(&text);
        return exit;
    }
    bool empty = text.len == 0;
    json_t *plan = json_stringn(buf_str(&text), text.len);
    buf_done(&text);
    if (!plan || empty) {
        json_decref(plan);
        return show_failure(c, EXIT_INPUT, "input", "a plan is YAML in UTF-8: docs/releases.md",
                            empty ? "%s is empty" : "%s is not UTF-8", c->words[1]);
    }
    tell(c, "release_start", json_pack("{so ss}", "plan", plan, "commit", commit), &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = EXIT_DONE;
        if (c->json)
            show_json(&r);
        else
            show_status(c, r.body);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ what people say */

/* To what a signature or an attestation is bound: what `status` shows. */
static json_t *bound_to(const json_t *status)
{
    static const char *const names[] = {"release", "step", "plan", "definitions", "commit"};
    json_t *args = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set(args, names[i], json_object_get(status, names[i]));
    return args;
}

static int said(struct call *c, const char *command, json_t *args)
{
    struct reply r;
    int exit;
    tell(c, command, args, &r);
    if (!show_if_error(c, &r, &exit)) {
        exit = EXIT_DONE;
        if (c->json)
            show_json(&r);
        else
            printf("%s  %s  %s\n", text_of(r.body, "release"), text_of(r.body, "result"),
                   text_of(r.body, "state"));
    }
    reply_done(&r);
    return exit;
}

/* hold, abort, note: why is not left out. */
static int say(struct call *c, const char *command)
{
    const char *why = options_get(c->options, "m");
    json_t *args = about(c->words[1]);
    if (strcmp(command, "release_resume") != 0 && (!why || !*why)) {
        json_decref(args);
        return show_failure(c, EXIT_INPUT, "input", "-m MESSAGE", "say why");
    }
    return said(c, command, args);
}

static int hold(struct call *c)
{
    return say(c, "release_hold");
}

static int resume(struct call *c)
{
    return say(c, "release_resume");
}

static int abort_release(struct call *c)
{
    return say(c, "release_abort");
}

static int note(struct call *c)
{
    return say(c, "release_note");
}

/* The entry of a list whose member `name` is `value`; NULL: there is none. */
static json_t *find_in(const json_t *list, const char *name, const char *value)
{
    size_t i;
    json_t *e;
    json_array_foreach(list, i, e)
    {
        if (strcmp(text_of(e, name), value) == 0)
            return e;
    }
    return NULL;
}

/* The statement, shown and asked about; with --yes neither has to be. */
static int sign_statement(struct call *c, const json_t *status, const json_t *sign)
{
    bool yes = options_on(c->options, "yes");
    int exit = EXIT_NO;
    if (!yes && !can_ask(c, &exit))
        return exit;
    if (!yes || !c->json)
        fprintf(c->json ? stderr : stdout, "%s\n  as %s, for plan %.12s, commit %.12s: \"%s\"\n",
                text_of(status, "said"), c->words[2], text_of(status, "plan"),
                text_of(status, "commit"), text_of(sign, "statement"));
    if (!yes && !confirm("sign this?"))
        return EXIT_NO;
    json_t *args = bound_to(status);
    json_object_set_new(args, "role", json_string(c->words[2]));
    return said(c, "release_sign", args);
}

static int sign_for(struct call *c)
{
    struct reply r;
    int exit;
    if (c->word_count != 3)
        return show_failure(c, EXIT_INPUT, "input", "flagctl release sign NAME ROLE",
                            "say for which role");
    if (ask_status(c, c->words[1], &r, &exit)) {
        const json_t *s = find_in(json_object_get(r.body, "signs"), "role", c->words[2]);
        exit = s ? sign_statement(c, r.body, s)
                 : show_failure(c, EXIT_CONFLICT, "conflict",
                                "flagctl release status shows who is waited for",
                                "%s asks for no signature of '%s' now", text_of(r.body, "said"),
                                c->words[2]);
    }
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ check */

static void put_evidence(struct json_writer *w, const json_t *argv, const struct ran *r,
                         const char *commit)
{
    size_t i;
    json_t *word;
    json_object_begin(w);
    json_key(w, "argv");
    json_array_begin(w);
    json_array_foreach(argv, i, word)
    {
        json_put_str(w, json_string_value(word));
    }
    json_array_end(w);
    json_key(w, "exit");
    json_put_number(w, r->exit);
    json_key(w, "duration_ms");
    json_put_u64(w, (uint64_t)r->ms);
    json_key(w, "output_sha256");
    json_put_hex(w, slice_of(r->output, HASH_SIZE));
    json_key(w, "commit");
    json_put_str(w, commit);
    json_object_end(w);
}

static int attest(struct call *c, const json_t *status, const json_t *check, const json_t *argv,
                  const struct ran *r)
{
    struct buf text = BUF_INIT(64 << 10);
    struct json_writer w = JSON_WRITER(&text, 0);
    put_evidence(&w, argv, r, text_of(status, "commit"));
    json_t *args = bound_to(status);
    json_object_set(args, "check", json_object_get(check, "check"));
    json_object_set_new(args, "passed", json_boolean(r->exit == 0));
    json_object_set_new(args, "evidence", json_string(buf_str(&text)));
    buf_done(&text);
    struct reply reply;
    int exit;
    tell(c, "release_check", args, &reply);
    if (!show_if_error(c, &reply, &exit))
        exit = r->exit == 0 ? EXIT_DONE : EXIT_GATE;
    reply_done(&reply);
    return exit;
}

/* The command of a check. */
static bool run_words(struct call *c, const json_t *check, const json_t *argv, struct ran *ret)
{
    size_t count = json_array_size(argv);
    char **words = mem_zalloc(count + 1, sizeof *words);
    if (!words) {
        show_failure(c, EXIT_NO, "no-memory", NULL, "out of memory");
        return false;
    }
    for (size_t i = 0; i < count; i++)
        words[i] = (char *)json_string_value(json_array_get(argv, i));
    program_run(words, (int64_t)number_of(check, "timeout_ms"), ret);
    mem_free(words);
    return true;
}

/* One that is built in: `said` is to it what its output is to a command. */
static void run_github_limits(struct call *c, struct ran *ret)
{
    struct buf said = BUF_INIT(16 << 10);
    struct hash_sha256 h;
    int64_t began_ms = clock_mono_ms();
    *ret = (struct ran){.exit = github_limits_hold(c, &said) ? 0 : 1};
    ret->ms = clock_mono_ms() - began_ms;
    hash_sha256_begin(&h);
    hash_sha256_add(&h, said.ptr, said.len);
    hash_sha256_end(&h, ret->output);
    snprintf(ret->head, sizeof ret->head, "%s", buf_str(&said));
    buf_done(&said);
}

/* For people at once; with --json all of them are one object at the end. */
static void show_ran(const struct call *c, const json_t *check, const struct ran *r)
{
    if (!c->json)
        printf("%-20s %s%s%s  exit %d, %.1f s%s%s\n", text_of(check, "check"),
               look(c, r->exit == 0 ? LOOK_GOOD : LOOK_BAD), r->exit == 0 ? "passed" : "failed",
               look(c, LOOK_PLAIN), r->exit, (double)r->ms / 1000, r->exit == 0 ? "" : ": ",
               r->exit == 0 ? "" : r->head);
}

static json_t *ran_as_json(const json_t *check, const struct ran *r, bool attested)
{
    char output[2 * HASH_SIZE + 1];
    json_t *said = json_string(r->head);
    text_hex(output, slice_of(r->output, HASH_SIZE));
    return json_pack("{ss sb sb si sI ss so}", "check", text_of(check, "check"), "passed",
                     r->exit == 0, "attested", attested, "exit", r->exit, "duration_ms",
                     (json_int_t)r->ms, "output_sha256", output, "said",
                     said ? said : json_null()); /* it is no UTF-8 */
}

/* What came of it goes to the end of `all`. */
static int run_check(struct call *c, const json_t *status, const json_t *check, json_t *all)
{
    const char *name = text_of(check, "check");
    json_t *words = json_object_get(check, "argv");
    bool built_in = json_array_size(words) == 0;
    struct ran r = {0};
    if (built_in && strcmp(name, "github_limits") != 0)
        return show_failure(c, EXIT_INPUT, "input", "a newer one may have it",
                            "check '%s' is not built into this flagctl", name);
    if (!built_in && !run_words(c, check, words, &r))
        return EXIT_NO;
    if (built_in)
        run_github_limits(c, &r);
    show_ran(c, check, &r);
    json_t *argv = built_in ? json_pack("[ss]", name, github_limits_url(c)) : json_incref(words);
    int exit = attest(c, status, check, argv, &r);
    json_array_append_new(all, ran_as_json(check, &r, exit == EXIT_DONE || exit == EXIT_GATE));
    json_decref(argv);
    return exit;
}

/* Whether a commit is the one that was named, perhaps by its beginning. */
static bool is_commit(const char *commit, const char *named)
{
    size_t len = strlen(named);
    return strcmp(commit, named) == 0 || (len >= COMMIT_SHORT && strncmp(commit, named, len) == 0);
}

/* What git says of its files that are altered; "": none is. */
static void altered_of(struct ran *ret)
{
    char *argv[] = {"git", "status", "--porcelain", "--untracked-files=no", NULL};
    program_run(argv, GIT_MS, ret);
    ret->head[strcspn(ret->head, "\n")] = '\0';
}

/* What is checked has to be what is shipped: what is checked out here, as it was committed. Elsewhere than
 * in a git work tree --commit says of what commit the files are. */
static bool is_of_commit(struct call *c, const json_t *status, int *ret_exit)
{
    char commit[COMMIT_SIZE], head[COMMIT_SIZE];
    struct ran altered;
    const char *released = text_of(status, "commit");
    if (!find_commit(c, commit, ret_exit))
        return false;
    head_of(head);
    const char *here = *head ? head : commit;
    if (!is_commit(commit, released) || !is_commit(here, released)) {
        *ret_exit = show_failure(c, EXIT_CONFLICT, "conflict", "check the release's commit out",
                                 "this is commit %.12s, and the release is of %.12s",
                                 is_commit(commit, released) ? here : commit, released);
        return false;
    }
    if (!*head)
        return true;
    altered_of(&altered);
    if (altered.exit == 0 && !altered.head[0])
        return true;
    *ret_exit = show_failure(c, EXIT_CONFLICT, "conflict",
                             "git stash, or check the release's commit out elsewhere: git worktree "
                             "add DIR HASH",
                             "the files here are not those of commit %.12s: %s", released,
                             altered.head + strspn(altered.head, " "));
    return false;
}

/* The one that was named; without a name what has not passed. */
static bool is_wanted(const struct call *c, const json_t *check)
{
    return c->word_count == 2 ? !json_is_true(json_object_get(check, "passed"))
                              : strcmp(text_of(check, "check"), c->words[2]) == 0;
}

/* What is built in is the same whatever is checked out. */
static bool runs_something(const struct call *c, const json_t *status)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(status, "checks"), i, e)
    {
        if (is_wanted(c, e) && json_array_size(json_object_get(e, "argv")) > 0)
            return true;
    }
    return false;
}

static void show_attested(struct call *c, const json_t *status, json_t *all)
{
    if (c->json) {
        json_t *said = json_pack("{ss sI sO}", "release", text_of(status, "release"), "step",
                                 (json_int_t)number_of(status, "step"), "checks", all);
        char *text = value_text(said, false);
        puts(text);
        mem_free(text);
        json_decref(said);
    } else if (json_array_size(all) == 0) {
        puts("there is nothing to check now");
    }
}

/* Each that its step asks for and that has not passed, or the one that was named. */
static int run_checks(struct call *c, const json_t *status)
{
    int exit = EXIT_DONE;
    size_t i, found = 0;
    json_t *e, *all = json_array();
    json_array_foreach(json_object_get(status, "checks"), i, e)
    {
        bool named = is_wanted(c, e);
        int one = named ? run_check(c, status, e, all) : EXIT_DONE;
        found += named;
        exit = exit == EXIT_DONE ? one : exit;
    }
    if (found == 0 && c->word_count == 3)
        exit = show_failure(c, EXIT_CONFLICT, "conflict", "flagctl release status shows them",
                            "%s asks for no check '%s'", text_of(status, "said"), c->words[2]);
    else if (found == json_array_size(all))
        show_attested(c, status, all);
    json_decref(all);
    return exit;
}

static int check(struct call *c)
{
    struct reply r;
    int exit = EXIT_DONE;
    if (ask_status(c, c->words[1], &r, &exit) &&
        (!runs_something(c, r.body) || is_of_commit(c, r.body, &exit)))
        exit = run_checks(c, r.body);
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ the verbs */

static const struct {
    const char *name;
    int (*run)(struct call *c);
} verbs[] = {{"start", start},         {"list", list},    {"status", status},
             {"watch", watch},         {"log", show_log}, {"check", check},
             {"sign", sign_for},       {"hold", hold},    {"resume", resume},
             {"abort", abort_release}, {"note", note},    {"report", release_report}};

bool release_is_run(const char *verb)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i].name) == 0)
            return true;
    return false;
}

int release_run(struct call *c)
{
    size_t i = 0;
    while (strcmp(c->words[0], verbs[i].name) != 0)
        i++;
    if (c->word_count < 2 && verbs[i].run != list)
        return show_failure(c, EXIT_INPUT, "input",
                            verbs[i].run == start ? "flagctl release start PLAN"
                                                  : "flagctl release list shows them",
                            "name %s", verbs[i].run == start ? "the plan's file" : "the release");
    return source_choose(c, true) ? verbs[i].run(c) : EXIT_INPUT;
}
