/* flagctl: ask and change flags, from a shell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct call c = {.sub = sub};
    int exit = call_read(&c, argc, argv) ? sub->run(&c) : EXIT_INPUT;
    exit = check_written(&c, exit);
    call_done(&c);
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
