/* The subcommands and options of flagctl, from which its help and its completion are made. */
#include <string.h>

#include "base/mem.h"
#include "flagctl.h"

#define READS " store primary env json timeout help "
#define WRITES READS "author m if-version dry-run force "

/* clang-format off */
const struct subcommand subcommands[] = {
    {"set", "KEY VALUE", "Give everybody VALUE: a variant's name, or a value.\n"
     "A key that is new is created: on, off, true and false make a boolean, others take --type.",
     WRITES "create type everyone default ", 2, 2, run_set},
    {"get", "KEY", "Show a flag's value and definition.", READS "raw ", 1, 1, run_get},
    {"is", "KEY [VARIANT]", "For shells: exit 0 if the flag yields VARIANT (or true), 1 if not.",
     READS, 1, 2, run_is},
    {"list", "[PREFIX]", "List the flags.", READS, 0, 1, run_list},
    {"delete", "KEY", "Delete a flag.", WRITES, 1, 1, run_delete},
    {"apply", "FILE", "Add and replace the flags that a file names, after showing what changes.\n"
     "FILE is in the flagd format; - is standard input, and needs --yes.",
     WRITES "prune yes ", 1, 1, run_apply},
    {"import", "FILE", "The same as apply --yes.", WRITES "prune ", 1, 1, run_import},
    {"export", "", "Write all flags as a flag file.", READS, 0, 0, run_export},
    {"watch", "", "Print changes as they land, until interrupted.", READS, 0, 0, run_watch},
    {"log", "", "Show the last changes, newest first.", READS "limit ", 0, 0, run_log},
    {"status", "", "Show how this host, or the primary, stands.", READS, 0, 0, run_status},
    {"env", "list | create NAME | epoch --new",
     "List environments, make one, or begin a new epoch.\n"
     "A new epoch is the way on for a primary that was set back to an older store.",
     READS "author m if-version new ", 1, 2, run_env},
    {"completion", "bash", "Print a completion script: source <(flagctl completion bash)", " help ",
     1, 1, run_completion},
    {"help", "[COMMAND]", "Show help.", " help ", 0, 1, run_help},
    {0},
};

static const struct option all_options[] = {
    {"store", "DIR", NULL, "HOIST_STORE", "answer from this store", false, false},
    {"primary", "URL", NULL, "HOIST_PRIMARY", "ask this primary: tcp://HOST:7400, ipc:///PATH",
     false, false},
    {"env", "NAME", NULL, "HOIST_ENV", "the environment", false, false},
    {"author", "NAME", NULL, NULL, "who changes this, where it is not you", false, true},
    {"m", "MESSAGE", NULL, NULL, "why, for the log", false, true},
    {"if-version", "V", NULL, NULL,
     "only if the environment is still at V (or EPOCH:V), else exit 3", false, true},
    {"dry-run", NULL, NULL, NULL, "say what would change, and change nothing", false, true},
    {"force", NULL, NULL, NULL, "even if this would more than double the environment", false, true},
    {"create", NULL, NULL, NULL, "a new key is meant: do not ask about one that looks like it",
     false, true},
    {"type", "TYPE", NULL, NULL, "boolean, number, string or object", false, true},
    {"everyone", NULL, NULL, NULL, "drop the targeting", false, true},
    {"default", NULL, NULL, NULL, "move the default alone, keep the targeting", false, true},
    {"raw", NULL, NULL, NULL, "the bare value", false, true},
    {"prune", NULL, NULL, NULL, "delete the flags that the file does not name", false, true},
    {"yes", NULL, NULL, NULL, "do not ask", false, true},
    {"new", NULL, NULL, NULL, "begin a new epoch", false, true},
    {"limit", "N", "20", NULL, "how many changes", false, true},
    {"json", NULL, NULL, NULL, "answer and errors as JSON", false, true},
    {"timeout", "TIME", "10s", NULL, "how long to wait for the primary: 500ms, 10s, 1m", false,
     true},
    {"help", NULL, NULL, NULL, "this", false, true},
};
/* clang-format on */

enum { ALL = sizeof all_options / sizeof *all_options };

const struct subcommand *subcommand_find(const char *name)
{
    for (const struct subcommand *s = subcommands; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static bool takes(const struct subcommand *sub, const char *name)
{
    for (const char *at = sub->takes; (at = strstr(at, name)); at++)
        if (at[-1] == ' ' && at[strlen(name)] == ' ')
            return true;
    return false;
}

struct option *subcommand_options(const struct subcommand *sub)
{
    struct option *rows = mem_zalloc(ALL + 1, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; rows && i < ALL; i++)
        if (takes(sub, all_options[i].name))
            rows[count++] = all_options[i];
    return rows;
}
