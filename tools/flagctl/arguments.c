/* What was typed: options, words, and what flagctl.yaml and the environment add to them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/columns.h"
#include "base/mem.h"
#include "base/text.h"
#include "flagctl.h"

/* ------------------------------------------------------------------ times */

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

bool has_argument(int argc, char **argv, const char *option)
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
static bool check_texts(const struct call *c)
{
    const char *const *texts;
    bool files = c->word_count && subcommand_takes_files(c->sub, c->words[0]);
    for (size_t i = 0; !files && i < c->word_count; i++)
        if (!is_text(c, NULL, c->words[i]))
            return false;
    for (const struct option *o = c->table; o->name; o++) {
        size_t count = is_place(o) ? 0 : options_list(c->options, o->name, &texts);
        for (size_t i = 0; i < count; i++)
            if (!is_text(c, o, texts[i]))
                return false;
    }
    return true;
}

bool call_read(struct call *c, int argc, char **argv)
{
    c->json = has_argument(argc, argv, "--json");
    c->table = subcommand_options(c->sub);
    enum hoist_err err = c->table ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK) {
        argc = number_last(c->table, argc, argv);
        err = read_options(c->table, argc, argv, &c->options);
    }
    if (err == HOIST_OK)
        err = prepare(c);
    if (err != HOIST_OK) {
        char mend[128];
        snprintf(mend, sizeof mend, "flagctl %s --help", c->sub->name);
        (void)show_failure(c, EXIT_INPUT, "input", mend, "%s", err_last());
        return false;
    }
    return check_texts(c);
}

void call_done(struct call *c)
{
    source_close(c);
    json_decref(c->approximated);
    explicit_bzero(&c->signer, sizeof c->signer);
    options_free(c->options);
    mem_free(c->table);
}
