/* flagctl: ask and change flags, from a shell. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/columns.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "flagctl.h"

static int usage_error(bool json, const char *mend)
{
    const struct call c = {.json = json};
    return show_failure(&c, EXIT_INPUT, "input", mend, "%s", err_last());
}

static int unknown_command(bool json, const char *word)
{
    const char *near = NULL;
    int least = 3;
    for (const struct subcommand *s = subcommands; s->name; s++) {
        int distance = text_distance(slice_str(word), slice_str(s->name), least);
        if (distance < least) {
            least = distance;
            near = s->name;
        }
    }
    (void)err_set(HOIST_EINVAL,
                  near ? "there is no command '%s'; is '%s' meant?" : "there is no command '%s'%s",
                  word, near ? near : "");
    return usage_error(json, "flagctl help lists them");
}

/* ------------------------------------------------------------------ arguments */

enum hoist_err read_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char digits[16];
    uint64_t number;
    size_t len = strspn(text, "0123456789");
    for (size_t i = 0; i < sizeof units / sizeof *units && len && len < 10; i++) {
        if (strcmp(text + len, units[i].unit) != 0)
            continue;
        snprintf(digits, sizeof digits, "%.*s", (int)len, text);
        enum hoist_err err = text_u64(digits, &number);
        if (err == HOIST_OK)
            *ret_ms = (int64_t)number * units[i].ms;
        return err;
    }
    return err_set(HOIST_EINVAL, "'%s' is no time: write 500ms, 10s or 1m", text);
}

enum hoist_err read_moment(const char *text, int64_t *ret_wall_ms)
{
    int64_t ms;
    enum hoist_err err = text_time_read(text, &ms);
    if (err) {
        err = read_duration(text, &ms);
        ms = clock_wall_ms() - ms;
    }
    if (!err)
        *ret_wall_ms = ms > 0 ? ms : 0;
    return err;
}

/* Whether `arg` is an option whose value is the next argument. */
static bool wants_value(const struct option *table, const char *arg)
{
    const char *name = arg + strspn(arg, "-");
    for (const struct option *o = table; *arg == '-' && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o->arg != NULL;
    return false;
}

/* A negative number is a value and no option: it goes to the end, behind a "--". The slot behind
 * the last argument, where main() finds a NULL, makes the room. */
static int number_last(const struct option *table, int argc, char **argv)
{
    static char end[] = "--";
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !isdigit((unsigned char)argv[i][1]) ||
            (i > 0 && wants_value(table, argv[i - 1])))
            continue;
        char *number = argv[i];
        memmove(argv + i, argv + i + 1, (size_t)(argc - i - 1) * sizeof *argv);
        argv[argc - 1] = end;
        argv[argc] = number;
        return argc + 1;
    }
    return argc;
}

/* Whether an option is among the arguments: --help wins over whatever is wrong with the others, and
 * --json says how that is to be told. */
static bool has_argument(int argc, char **argv, const char *option)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

/* flagctl's files: the user's, then the machine's. */
static enum hoist_err read_options(const struct option *table, int argc, char **argv,
                                   struct options **ret)
{
    char own[4096] = "";
    const char *home = getenv("HOME");
    if (home && *home)
        snprintf(own, sizeof own, "%s/.config/hoist/flagctl.yaml", home);
    const char *const files[] = {*own ? own : "/etc/hoist/flagctl.yaml", "/etc/hoist/flagctl.yaml",
                                 NULL};
    /* They say whom to ask: nothing to a command that asks nobody. */
    bool asks = strcmp(table[0].name, "store") == 0;
    return options_read(table, argc, argv, NULL, asks ? files : NULL, ret);
}

static enum hoist_err check_words(const struct subcommand *sub, size_t count)
{
    if (count >= (size_t)sub->words_min && count <= (size_t)sub->words_max)
        return HOIST_OK;
    return err_set(HOIST_EINVAL, "usage: flagctl %s%s%s", sub->name, *sub->usage ? " " : "",
                   sub->usage);
}

static void default_store(char *out, size_t size)
{
    const char *home = getenv("HOME");
    if (geteuid() == 0 || !home)
        snprintf(out, size, "/var/lib/hoist");
    else
        snprintf(out, size, "%s/.local/state/hoist", home);
}

/* ------------------------------------------------------------------ one call */

static enum hoist_err prepare(struct call *c)
{
    const char *timeout = options_get(c->options, "timeout");
    c->word_count = options_words(c->options, &c->words);
    c->env = options_get(c->options, "env");
    c->json = options_on(c->options, "json");
    c->terminal = isatty(STDOUT_FILENO) && !c->json;
    const char *term = getenv("TERM");
    c->colour = c->terminal && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
    default_store(c->store_dir, sizeof c->store_dir);
    enum hoist_err err = check_words(c->sub, c->word_count);
    if (err == HOIST_OK && timeout)
        err = read_duration(timeout, &c->timeout_ms);
    if (err == HOIST_OK)
        err = wait_read(c);
    return err;
}

/* Files have names of any bytes, and a URL is none of a command's texts. */
static bool is_place(const struct option *o)
{
    return o->arg && (strcmp(o->arg, "FILE") == 0 || strcmp(o->arg, "DIR") == 0 ||
                      strcmp(o->arg, "URL") == 0);
}

/* `o`: the option that says it; NULL: a word. */
static bool is_text(const struct call *c, const struct option *o, const char *text)
{
    if (text_utf8(slice_str(text)))
        return true;
    const char *origin = o ? options_origin(c->options, o->name) : NULL;
    bool variable = origin && strcmp(origin, "environment") == 0;
    char said[64] = "";
    struct buf shown = BUF_INIT(1024);
    if (o)
        snprintf(said, sizeof said, "%s%s ",
                 variable     ? "$"
                 : o->name[1] ? "--"
                              : "-",
                 variable ? o->env : o->name);
    (void)columns_add(&shown, slice_str(text), 100);
    (void)show_failure(c, EXIT_INPUT, "input",
                       "say it in UTF-8, as a terminal does whose locale has that",
                       "%s'%s' is not UTF-8", said, buf_str(&shown));
    buf_done(&shown);
    return false;
}

/* What goes into a command as JSON, which has no other text: left out, it would make the command one
 * for more than was said. False: there is one, and that was shown. */
static bool check_texts(const struct call *c, const struct option *table)
{
    const char *const *texts;
    bool files = c->word_count && subcommand_takes_files(c->sub, c->words[0]);
    for (size_t i = 0; !files && i < c->word_count; i++)
        if (!is_text(c, NULL, c->words[i]))
            return false;
    for (const struct option *o = table; o->name; o++) {
        size_t count = is_place(o) ? 0 : options_list(c->options, o->name, &texts);
        for (size_t i = 0; i < count; i++)
            if (!is_text(c, o, texts[i]))
                return false;
    }
    return true;
}

/* An answer that could not be written was not given. */
static int check_written(const struct call *c, int exit)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit;
    bool change = strstr(c->sub->takes, " m ") != NULL;
    return show_failure(c, change ? EXIT_NO_ANSWER : EXIT_NO, "failed",
                        change ? "see whether it was done: flagctl log" : NULL,
                        "the answer could not be written: %s", strerror(errno));
}

static int run(const struct subcommand *sub, int argc, char **argv)
{
    struct call c = {.sub = sub, .json = has_argument(argc, argv, "--json")};
    int exit = EXIT_INPUT;
    struct option *table = subcommand_options(sub);
    enum hoist_err err = table ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK) {
        argc = number_last(table, argc, argv);
        err = read_options(table, argc, argv, &c.options);
    }
    if (err == HOIST_OK)
        err = prepare(&c);
    if (err == HOIST_OK) {
        if (check_texts(&c, table))
            exit = sub->run(&c);
    } else {
        char mend[128];
        snprintf(mend, sizeof mend, "flagctl %s --help", sub->name);
        exit = show_failure(&c, EXIT_INPUT, "input", mend, "%s", err_last());
    }
    exit = check_written(&c, exit);
    source_close(&c);
    json_decref(c.approximated);
    explicit_bzero(&c.signer, sizeof c.signer);
    options_free(c.options);
    mem_free(table);
    return exit;
}

/* Jansson leaves out of an object what it has no memory for: a --dry-run would become a change. So it ends
 * here; that nothing may be known of what was asked for is what its exit code says. */
static bool end_in_json;

static void *alloc_or_end(size_t size)
{
    void *ptr = mem_alloc(size);
    if (ptr)
        return ptr;
    fputs(end_in_json
              ? "{\"error\":{\"exit\":7,\"code\":\"no-memory\",\"message\":\"out of memory\","
                "\"mend\":\"whether a change was made: flagctl log\"}}\n"
              : "flagctl: out of memory\n  whether a change was made: flagctl log\n",
          stderr);
    exit(EXIT_NO_ANSWER);
}

int main(int argc, char **argv)
{
    enum log_level level;
    const char *wanted = getenv("HOIST_LOG");
    if (wanted && log_level_parse(wanted, &level) == HOIST_OK)
        log_set_level(level);
    hash_init();
    end_in_json = has_argument(argc - 1, argv + 1, "--json");
    json_set_alloc_funcs(alloc_or_end, mem_free);

    const struct subcommand *help = subcommand_find("help");
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return run(help, 0, argv + argc);
    if (strcmp(argv[1], "--version") == 0) {
        puts("flagctl " HOIST_VERSION);
        return EXIT_DONE;
    }
    bool json = has_argument(argc - 1, argv + 1, "--json");
    if (argv[1][0] == '-') {
        (void)err_set(HOIST_EINVAL, "the command stands first: flagctl get KEY %s", argv[1]);
        return usage_error(json, "flagctl help lists the commands");
    }
    const struct subcommand *sub = subcommand_find(argv[1]);
    if (!sub)
        return unknown_command(json, argv[1]);
    if (has_argument(argc - 2, argv + 2, "--help") || has_argument(argc - 2, argv + 2, "-h"))
        return run(help, 1, argv + 1);
    return run(sub, argc - 2, argv + 2);
}
