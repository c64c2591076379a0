/* Any bytes as what flagctl is started with. Each ended by a NUL byte: the subcommand and its arguments,
 * an empty one, variables of the environment (NAME=VALUE, names of flagctl's own), an empty one; what is left is
 * flagctl.yaml. What is read right is done, if it only asks a small store: a change has to say that it is no
 * store's to make. What is refused says why; with --json, in JSON. */
#include "../unit/primary_kit.h"

#include <fcntl.h>

#include "../../tools/flagctl/flagctl.h"
#include "typed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kit kit;
static int yaml = -1;

static void end(void)
{
    kit_done(&kit);
}

static int make_file(void)
{
    static const char *const folders[] = {"/.config", "/.config/hoist"};
    char path[128];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s%s", kit.dir, folders[i]);
        int rc = mkdir(path, 0700);
        assert(rc == 0);
    }
    snprintf(path, sizeof path, "%s/.config/hoist/flagctl.yaml", kit.dir);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void begin(void)
{
    kit_init(&kit, 0);
    atexit(end);
    kit_do(&kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"a\",\"value\":\"on\",\"percent\":\"30\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"b\",\"value\":\"x\",\"type\":\"string\"}", "changed");
    kit_do(&kit, "kill", "{\"keys\":[\"a\"]}", "changed");
    store_close(kit.store); /* flagctl opens it */
    kit.store = NULL;
    yaml = make_file();
    assert(yaml >= 0);
    setenv("HOME", kit.dir, 1);
    FILE *in = freopen("/dev/null", "r", stdin), *out = freopen("/dev/null", "w", stdout);
    assert(in && out);
}

static bool is_asking(const char *name)
{
    static const char *const names[] = {
        "set",     "target", "get",    "is",      "eval", "list",    "delete", "apply",
        "import",  "export", "kill",   "restore", "env",  "promote", "log",    "rollback",
        "history", "show",   "status", "usage",   "diff", "stale",   "lint",   "completion",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Nobody is asked but the store, and no file is read but those of this run. */
static bool is_ours_alone(const struct call *c, const char *dir)
{
    static const char *const elsewhere[] = {"primary", "join", "agent", "file", "identity"};
    const char *store = options_get(c->options, "store");
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (options_get(c->options, elsewhere[i]))
            return false;
    return is_asking(c->sub->name) && (!store || strcmp(store, dir) == 0) &&
           !(c->word_count && subcommand_takes_files(c->sub, c->words[0]) &&
             strchr(c->words[0], '/'));
}

/* What was printed for people, or each line of it JSON. */
static void check_said(const struct call *c, int exit, const char *said)
{
    assert(exit >= EXIT_DONE && exit <= EXIT_NO_ANSWER);
    assert(exit != EXIT_INPUT || *said || strcmp(c->sub->name, "lint") == 0);
    if (!c->json || !*said)
        return;
    json_t *error = json_loads(said, JSON_DISABLE_EOF_CHECK, NULL);
    assert(json_is_object(error));
    json_decref(error);
}

/* argv: as call_read() wants it, with a place more. */
static void run(const struct subcommand *sub, int argc, char **argv)
{
    struct call c = {.sub = sub};
    FILE *before = stderr;
    char *said = NULL;
    size_t len = 0;
    stderr = open_memstream(&said, &len);
    assert(stderr);
    bool right = call_read(&c, argc, argv);
    int exit = right ? EXIT_DONE : EXIT_INPUT;
    if (right && is_ours_alone(&c, kit.dir))
        exit = sub->run(&c);
    fclose(stderr);
    stderr = before;
    check_said(&c, exit, said);
    call_done(&c);
    free(said); /* open_memstream()'s */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX], *variables[WORDS_MAX], *argv[WORDS_MAX + 3] = {"--store"};
    struct slice rest = slice_of(size ? data : (const uint8_t *)"", size);
    if (yaml < 0)
        begin();
    int count = take_words(&rest, words), more = take_words(&rest, variables), argc = 0;
    const struct subcommand *sub = count ? subcommand_find(words[0]) : NULL;
    bool asks = sub && strstr(sub->takes, " store ");
    if (asks) {
        argv[1] = kit.dir;
        argc = 2;
    }
    for (int i = 1; i < count; i++)
        argv[argc++] = words[i];
    argv[argc] = NULL;
    fill_file(yaml, rest);
    set_all(variables, more, true);
    if (sub)
        run(sub, argc, argv);
    set_all(variables, more, false);
    free_words(words, count);
    free_words(variables, more);
    return 0;
}
