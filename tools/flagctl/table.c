/* The subcommands and options of flagctl, from which its help and its completion are made. */
#include <string.h>

#include "base/mem.h"
#include "flagctl.h"

#define READS                                                                                      \
    " store primary join tls-cert tls-key tls-ca tls-server-name insecure env identity json "      \
    "timeout help "
#define OVERRIDES READS "author m if-version dry-run wait "
#define WRITES OVERRIDES "force "

enum { WORDS_MAX = 10000 };

/* clang-format off */
const struct subcommand subcommands[] = {
    {"set", "KEY VALUE", "Give everybody VALUE: a variant's name, or a value.\n"
     "A key that is new is created: on, off, true and false make a boolean, others take --type.\n"
     "With --percent only so many get it, the rest the other variant (of several: the default), by\n"
     "a rule that another --percent moves: whoever has it keeps it while it grows. They are told\n"
     "apart by targetingKey, or by --by. --if and --also take a condition: JSONLogic, or ATTRIBUTE\n"
     "OPERATOR VALUE with = != < <= > >= in starts_with ends_with sem_ver, as in\n"
     "'email ends_with @example.com', 'country in se, no', 'version sem_ver >= 2.1.0'. What is not\n"
     "said anew stays as it was; --everyone begins afresh.",
     WRITES "create type everyone default percent by if also ", 2, 2, run_set, false},
    {"target", "KEY --file FILE | --clear", "Put a flag's rule, or take it away.\n"
     "FILE has one in JSONLogic, or {\"targeting\": RULE, \"$evaluators\": {…}}, where a {\"$ref\": NAME}\n"
     "stands for one of the latter; - is standard input. The default and the state stay.",
     WRITES "file clear ", 1, 1, run_target, false},
    {"get", "KEY", "Show a flag's value, and with --json its definition.", READS "raw at ", 1, 1, run_get, false},
    {"is", "KEY [VARIANT]", "For shells: exit 0 if the flag yields VARIANT (or true), 1 if not.",
     READS "context ", 1, 2, run_is, false},
    {"eval", "KEY", "Evaluate a flag for somebody, now or then: OFREP's answer, as JSON.\n"
     "--explain shows how it came about: each operator, what it looked at and what it yielded.\n"
     "--time and --at ask what it was: the primary knows the log's 90 days, a host the last changes.",
     READS "context at time explain agent token-file ", 1, 1, run_eval, false},
    {"list", "[PREFIX]", "List the flags.", READS, 0, 1, run_list, false},
    {"delete", "KEY", "Delete a flag.", WRITES, 1, 1, run_delete, false},
    {"apply", "FILE", "Add and replace the flags that a file names, after showing what changes.\n"
     "FILE is in the flagd format; - is standard input, and needs --yes.",
     WRITES "prune skip-invalid yes ", 1, 1, run_apply, false},
    {"import", "FILE", "The same as apply --yes; and takes another system's flags.\n"
     "--from unleash takes what Unleash answers to GET /api/client/features. What Hoist cannot answer\n"
     "as Unleash does is refused by name, unless --approximate takes what comes near.",
     WRITES "prune skip-invalid from approximate ", 1, 1, run_import, false},
    {"lint", "FILE", "Say what is wrong with a flag file, and what is odd; asks no primary.\n"
     "Odd is what may be meant: a condition that is always so, weights that are no percentages, what\n"
     "is never reached, a name that is no variant's, names that differ by case, a required flag that\n"
     "the file does not have. Exit 0: no problems, 2: some; 1 with --strict: warnings.",
     " strict json help ", 1, 1, run_lint, false},
    {"export", "", "Write all flags as a flag file.\n"
     "--format flagd leaves out what plain flagd does not know, and names it.", READS "format ", 0, 0, run_export,
     false},
    {"watch", "", "Print changes as they land, until interrupted.", READS, 0, 0, run_watch, false},
    {"kill", "KEY…", "Make flags yield one variant for everybody, whatever their rules say.\n"
     "The variant is off, or the one given. Nothing holds a kill back, nothing but restore ends it.\n"
     "Says how long it took until every live host obeyed: --wait is implied.",
     OVERRIDES "variant ", 1, WORDS_MAX, run_kill, false},
    {"restore", "KEY…", "End the kill of flags.", WRITES, 1, WORDS_MAX, run_restore, false},
    {"rollback", "--last | --to V | --flag KEY [--to V]",
     "Undo changes, by one more change that restores what was.\n"
     "--last undoes the newest change that is neither a rollback nor undone already; --to V goes\n"
     "back to version V; --flag KEY does either for one flag. Overrides stay as they are.",
     WRITES "last to flag with-overrides ", 0, 0, run_rollback, false},
    {"promote", "FROM TO [KEY…]", "Give one environment the flags of another, after showing what changes.\n"
     "The target keeps its overrides, and how far its rollouts have come.",
     WRITES "prune with-percentages yes ", 2, WORDS_MAX, run_promote, false},
    {"log", "", "Show the last changes, newest first.",
     READS "limit since author flag ", 0, 0, run_log, true},
    {"history", "KEY", "Show the changes of one flag, newest first.", READS "limit ", 1, 1,
     run_history, true},
    {"show", "V", "Show one change.", READS, 1, 1, run_show, true},
    {"diff", "V1 V2 | FILE", "Show what lies between two versions, or applying a file would change.\n"
     "Exit 0: nothing, 1: something.", READS "prune ", 1, 2, run_diff, true},
    {"audit", "export | verify [FILE]",
     "Write the whole log of one environment as JSON lines, or walk its hash chain.\n"
     "verify names the first change that does not follow the one before it, whose author's signature\n"
     "is not of it, or that with --trust is signed by somebody else; a FILE is what export wrote, - is\n"
     "standard input.", READS "trust ", 1, 2, run_audit,
     true},
    {"usage", "[KEY]", "Show how often flags are evaluated, and what they yield.\n"
     "Of one flag by variant, of all (--limit) the most evaluated first: today, in 7 and 30 days (UTC,\n"
     "today is one of them), ever, and when last. Counted by libhoist and by agents' OFREP, of one flag\n"
     "at a time, and added up on the primary some seconds later.", READS "limit ", 0, 1, run_usage, true},
    {"stale", "", "Show flags that can go: not evaluated for --days, or yielding one variant to all.\n"
     "Each with why, since when, its owner (metadata: owner) and what to do. Not among them: flags that\n"
     "are younger, those that a flag in use requires, and those with \"permanent\": true in their metadata,\n"
     "which are counted. Exit 4: it was not counted for so long yet.",
     READS "days ", 0, 0, run_stale, true},
    {"status", "", "Show how this host, or the primary, stands.", READS, 0, 0, run_status, false},
    {"fleet", "", "Show the hosts, and how each of them stands.\n"
     "current, behind, silent (not heard of for 10 s), refusing (a change, or a flag that it cannot "
     "read,\nor all changes: it has a history that this primary has not).",
     READS "behind watch label ", 0, 0, run_fleet, false},
    {"top", "", "Watch the fleet: environments, slow hosts, evaluations, changes, kills, alerts.\n"
     "All of the terminal, asked anew each --interval; with --json, --once, or where standard output is\n"
     "no terminal, one frame. The alerts are Alertmanager's, where one is named.\n"
     "q quits, e is the next environment, s sorts the hosts, p pauses, arrows scroll, ? tells more.",
     READS "interval once alertmanager ", 0, 0, run_top, false},
    {"host", "retire ID | retire --silent TIME",
     "Forget a host that is gone, or all that were silent for so long: they are not waited for nor listed.\n"
     "Should one speak again, it comes back as a new one.",
     READS "silent ", 1, 2, run_host, false},
    {"key", "new [FILE] | show [FILE] | list | rotate NEW | revoke OLD",
     "Make a key that signs what flagctl asks for, or show it; or see to the keys of the primary.\n"
     "new and show: FILE is ~/.config/hoist/key, which is used where it is there; others are named by\n"
     "--identity. What is printed is the public half, which an admin grants a role: access grant --key.\n"
     "list, rotate and revoke are of the keys that sign changes. NEW and OLD are public keys: 64 hex\n"
     "digits, or a trust file with one. To rotate: rotate NEW --wait, start the primary with the new\n"
     "--sign-key, revoke the old. list --raw prints the trust file for hosts that are set up from now on.",
     READS "author m wait raw ", 1, 2, run_key, false},
    {"env", "list | show NAME | create NAME | set NAME | diff NAME OTHER | epoch --new",
     "List environments, make one, say something about one, or compare two.\n"
     "In a protected environment a change needs a message (-m), a new flag --create, and nobody's\n"
     "change is lost to another's; kill, restore and rollback go on as ever.\n"
     "diff shows what the first would have to become the other; exit 0: nothing, 1: something.\n"
     "A new epoch is the way on for a primary that was set back to an older store.",
     READS "author m if-version new protected metadata ", 1, 3, run_env, false},
    {"access",
     "grant NAME ROLE | revoke NAME [ROLE] | list | denied | token create NAME ROLE | token list | "
     "token revoke NAME",
     "Say who may do what, and see what was denied.\n"
     "ROLE: viewer (reads), evaluator (get, is, eval, OFREP), operator (viewer; kill, restore,\n"
     "rollback), editor (operator; set, target, apply, import, delete, promote), approver (viewer),\n"
     "admin (everything); for all environments and flags, or those of --env and --prefix, which may\n"
     "be repeated. A NAME has a key (--key), a user of the primary's machine (--uid), or both, and\n"
     "any number of roles: granting a role again replaces what it is for. Without ROLE revoke takes\n"
     "all. A token is for HTTP alone (hoistd --http-access): it is shown once. From the first grant\n"
     "on, who does not sign may only read, or what hoistd primary --anonymous says; root of the\n"
     "primary's machine may do everything over its local socket.",
     " store primary join tls-cert tls-key tls-ca tls-server-name insecure identity json timeout "
     "help author m envs key uid prefix expires limit ", 1, 4,
     run_access, false},
    {"release",
     "lint PLAN | plan PLAN | guards PLAN | announce PLAN | simulate PLAN | start PLAN | list | "
     "status NAME | watch NAME | log NAME | check NAME [CHECK] | sign NAME ROLE | hold NAME | "
     "resume NAME | abort NAME | note NAME | report NAME",
     "A release by its plan: a YAML file of phases, steps, guards and signatures (docs/releases.md).\n"
     "lint says what is wrong with PLAN, each with line and column, and what is odd; with --flags it\n"
     "looks at the flags of a file as well. Exit 0: no problems, 2: some; 1 with --strict: warnings.\n"
     "plan prints what each step changes and waits for, when it could be done, guards, roles, the way\n"
     "back, and the plan's hash; where a primary answers, the hosts and how the flags stand; with\n"
     "--prometheus what the guards say; with --chain the chain alone, as it is before the start.\n"
     "guards asks the Prometheus alone. Exit 0: all of them pass, 4: one fails or has no answer.\n"
     "announce writes the message about it, in Markdown, for support or users.\n"
     "simulate plays PLAN in the world that --events describes, or a log of events again, and prints\n"
     "what happens and what it waits for. Exit 0: completed, 10: it stands still, 11: rolled back.\n"
     "start gives PLAN to the primary, which runs it for the git commit that is checked out here.\n"
     "status says where it stands, what it waits for and since when, and with --alertmanager which of\n"
     "the alerts that would abort it are silenced; with --chain each task of the chain with owner, what\n"
     "it waits for and evidence. Exit 0: moving or completed, 10: stands still, 11: rolled back. watch\n"
     "prints that as it changes, until the end. log has all that happened, rounds with --ticks.\n"
     "check runs the commands that its step asks for, here, and attests how they ended; exit 4 where\n"
     "one failed. github_limits is built in: it asks GitHub's API (--github) what it grants. sign signs\n"
     "for a role of the plan. hold, abort and note say why by -m; abort takes everything back to the\n"
     "baseline at once. report says what it was, in Markdown or --json: steps, guards, alerts, what\n"
     "people did, the way back, drills, notes; with --prometheus also the watch beside the same hours\n"
     "before the launch, whether its baseline is met, and what fired. --at says of when; of rounds and\n"
     "events it has only what is not older than --since. With --reports watch writes the watch's\n"
     "reports into a directory when each is due, and one at the end.",
     " store primary join tls-cert tls-key tls-ca tls-server-name insecure identity json timeout help "
     "author m yes strict flags canonical for starts prometheus prometheus-timeout prometheus-token-file "
     "prometheus-user-file prometheus-ca prometheus-cert prometheus-key events save commit chain ticks "
      "since github github-token-file alertmanager reported reports ", 1, 3, run_release, true},
    {"drill", "kill | rollback | alert", "Try the way back before it is needed, with a flag that no program reads.\n"
     "It sets hoist.drill in --env, kills it, or changes it and rolls back, waits for every live host,\n"
     "says how long each took, and leaves the flag on. alert sends Alertmanager (--alertmanager) an\n"
     "alert HoistDrill and waits for it to come back: the primary needs --kill-on-alert\n"
     "ENV:HoistDrill=hoist.drill. Exit 4: the flag did not do as it should; 6: not every host has it.",
     " store primary join tls-cert tls-key tls-ca tls-server-name insecure env identity json timeout "
     "help author alertmanager ", 1, 1, run_drill, false},
    {"backup", "FILE | verify FILE", "Write a store with its log into one file, also while hoistd runs.\n"
     "The store is --store DIR, or this host's: on the primary's machine that is all there is, and\n"
     "hoistd recover makes a primary of it; it is checked, as fsck does, and not written if it has\n"
     "faults. FILE appears whole or not at all. verify says whether a file is as it was written.",
     " store faulty json help ", 1, 2, run_backup, false},
    {"fsck", "", "Check a store: its pages, every record, hash and digest, the log, and that all agree.\n"
     "It only reads, and hoistd may run. Exit 0: no faults, 1: faults, each with database and key.",
     " store json help ", 0, 0, run_fsck, false},
    {"completion", "bash", "Print a completion script: source <(flagctl completion bash)", " help ",
     1, 1, run_completion, false},
    {"help", "[COMMAND]", "Show help.", " help ", 0, 1, run_help, false},
    {0},
};

static const struct option all_options[] = {
    {"store", "DIR", NULL, "HOIST_STORE", "answer from this store", false, false},
    {"primary", "URL", NULL, "HOIST_PRIMARY", "ask this primary: tls+tcp://HOST:7400, ipc:///PATH",
     false, false},
    {"join", "FILE", NULL, NULL, "your bundle, from hoistd certs: the primary, and all of --tls-*", false, false},
    {"tls-cert", "FILE", NULL, NULL, "for tls+tcp: your certificate, in PEM", false, false},
    {"tls-key", "FILE", NULL, NULL, "its secret key, in PEM, mode 0600", false, false},
    {"tls-ca", "FILE", NULL, NULL, "the CA that signed the primary's certificate", false, false},
    {"tls-server-name", "NAME", NULL, NULL, "the name in that, where it is not the URL's host", false, false},
    {"insecure", NULL, NULL, NULL, "let plain tcp:// leave this machine: anybody may read it, and change it", false, false},
    {"env", "NAME", NULL, "HOIST_ENV", "the environment", false, false},
    {"identity", "FILE", NULL, NULL,
     "sign with this key; by default ~/.config/hoist/key, if it is there", false, false},
    {"author", "NAME", NULL, NULL, "who it is by, where that is not you; log: only theirs", false,
     true},
    {"m", "MESSAGE", NULL, NULL, "why, for the log", false, true},
    {"if-version", "V", NULL, NULL,
     "only if the environment is still at V (or EPOCH:V), else exit 3", false, true},
    {"dry-run", NULL, NULL, NULL, "say what would change, and change nothing", false, true},
    {"force", NULL, NULL, NULL, "even if this would more than double the environment", false, true},
    {"create", NULL, NULL, NULL, "a new flag is meant: do not ask about one that looks like it",
     false, true},
    {"type", "TYPE", NULL, NULL, "boolean, number, string or object", false, true},
    {"everyone", NULL, NULL, NULL, "drop the targeting", false, true},
    {"default", NULL, NULL, NULL, "move the default alone, keep the targeting", false, true},
    {"percent", "N", NULL, NULL, "give it to so many of 100 alone, as in 10 or 0.1", false, true},
    {"by", "ATTRIBUTE", NULL, NULL, "what tells users apart, where that is not targetingKey", false,
     true},
    {"if", "RULE", NULL, NULL, "--percent of those alone, and nobody else", false, true},
    {"also", "RULE", NULL, NULL, "all of those, and --percent of the rest", false, true},
    {"file", "FILE", NULL, NULL, "where the rule is; - is standard input", false, true},
    {"clear", NULL, NULL, NULL, "take the rule away: everybody gets the default", false, true},
    {"raw", NULL, NULL, NULL, "the bare value", false, true},
    {"trust", "FILE", NULL, NULL, "the public keys that may have signed: the primary's trust.key", false, true},
    {"format", "flagd", NULL, NULL, "for flagd itself, instead of Hoist", false, true},
    {"flags", "FILE", NULL, NULL, "lint: the flags of an environment, in a flag file", true, true},
    {"canonical", NULL, NULL, NULL, "plan: the form that the hash is made of (sha256sum), and nothing else", false, true},
    {"reports", "DIR", NULL, NULL, "watch: write the reports there when they are due, with --prometheus the comparison in them", false, true},
    {"events", "FILE", NULL, NULL, "simulate: what happens, a JSON object a line", false, true},
    {"save", "FILE", NULL, NULL, "simulate: write the events there, which can be played again", false, true},
    {"commit", "HASH", NULL, NULL, "the git commit that is shipped: for start where it is not the one that is checked out here, for check where this is no git work tree", false, true},
    {"chain", NULL, NULL, NULL, "status: the five tasks of the chain, with what each waits for and its evidence; plan: before the start", false, true},
    {"github", "URL", NULL, NULL, "check github_limits: GitHub's API, if not https://api.github.com", false, false},
    {"github-token-file", "FILE", NULL, NULL, "a token for it, on its first line; only you may read the file", false, false},
    {"ticks", NULL, NULL, NULL, "log: with the rounds, of which there is one each interval", false, true},
    {"for", "WHOM", NULL, NULL, "announce: for support, or users", false, true},
    {"prometheus", "URL", NULL, NULL, "plan, guards, report, watch: the Prometheus to ask, as in http://127.0.0.1:9090", false, false},
    {"prometheus-timeout", "TIME", "5s", NULL, "how long to wait for the answer to a guard", false, false},
    {"prometheus-token-file", "FILE", NULL, NULL, "a bearer token for it, which only you may read", false, false},
    {"prometheus-user-file", "FILE", NULL, NULL, "USER:PASSWORD for it, likewise", false, false},
    {"prometheus-ca", "FILE", NULL, NULL, "the CA that signed its certificate, if not one that the system believes", false, false},
    {"prometheus-cert", "FILE", NULL, NULL, "your certificate for it, in PEM", false, false},
    {"prometheus-key", "FILE", NULL, NULL, "its secret key", false, false},
    {"prune", NULL, NULL, NULL, "delete the flags that the file, or the source, does not have", false, true},
    {"from", "SYSTEM", NULL, NULL, "whose file it is: flagd (as without it) or unleash", false, true},
    {"approximate", NULL, NULL, NULL,
     "take what comes near where nothing is the same; say what changes, and for how many", false, true},
    {"skip-invalid", NULL, NULL, NULL, "leave out flags with problems, list them, take the rest", false,
     true},
    {"strict", NULL, NULL, NULL, "exit 1 where there are warnings", false, true},
    {"yes", NULL, NULL, NULL, "do not ask", false, true},
    {"wait", "[=all|99%]", NULL, NULL,
     "return when the live hosts have it; if they have not in --timeout: exit 6", false, true},
    {"behind", NULL, NULL, NULL, "only hosts that are not current", false, true},
    {"silent", "TIME", NULL, NULL, "all hosts that were not heard of for so long, a minute or more: 1h, 7d", false, true},
    {"watch", NULL, NULL, NULL, "show it again when it changes, until interrupted", false, true},
    {"interval", "TIME", "1s", NULL, "how long from one question to the next: 200ms, 1s, 1m", false, true},
    {"once", NULL, NULL, NULL, "one frame, as plain text", false, true},
    {"alertmanager", "URL", NULL, NULL, "where Alertmanager is: http://HOST:9093", false, false},
    {"label", "K=V", NULL, NULL, "only hosts with this label, as in ring=canary", true, true},
    {"new", NULL, NULL, NULL, "begin a new epoch", false, true},
    {"variant", "V", NULL, NULL, "the variant to yield, where it is not off", false, true},
    {"last", NULL, NULL, NULL, "undo the newest change", false, true},
    {"to", "V", NULL, NULL, "go back to this version (or EPOCH:V)", false, true},
    {"flag", "KEY", NULL, NULL, "of this flag alone", false, true},
    {"with-overrides", NULL, NULL, NULL, "restore overrides as they were, too", false, true},
    {"with-percentages", NULL, NULL, NULL, "take over the rollouts' percentages, too", false, true},
    {"protected", "on|off", NULL, NULL, "whether changes need more care here", false, true},
    {"metadata", "NAME=VALUE", NULL, NULL, "something to know about it; NAME= takes it away", true, true},
    {"at", "V", NULL, NULL, "as it was at this version", false, true},
    {"time", "WHEN", NULL, NULL, "as it was then: a time (2026-01-31T14:02:00Z), or how long ago (2h)", false, true},
    {"context", "JSON", NULL, NULL, "for whom: {\"targetingKey\": \"ana\", \"plan\": \"pro\"}; without, for nobody in particular",
     false, true},
    {"explain", NULL, NULL, NULL, "show how it came about", false, true},
    {"agent", "URL", NULL, NULL, "ask an agent's HTTP, as OpenFeature SDKs do: http://HOST:8016", false, true},
    {"token-file", "FILE", NULL, NULL, "the bearer token that the agent wants, on its first line; only you may read the file.\n"
     "$HOIST_TOKEN is such a token itself", false, false},
    {"key", "PUB", NULL, NULL, "whose it is: what flagctl key show prints", false, true},
    {"uid", "N", NULL, NULL, "whose it is: a user of the primary's machine, over its socket", false, true},
    {"prefix", "P", NULL, NULL, "only for flags that begin so; may be repeated", true, true},
    {"expires", "TIME", NULL, NULL, "when the token ends, from now: 12h, 90d; by default never", false, true},
    {"since", "WHEN", NULL, NULL, "a version, how long ago (2h, 7d), or a time", false, true},
    {"limit", "N", "20", NULL, "how many", false, true},
    {"days", "N", "30", NULL, "for how long", false, true},
    {"json", NULL, NULL, NULL, "answer and errors as JSON", false, true},
    {"timeout", "TIME", "10s", NULL, "how long to wait for the primary, and for hosts: 500ms, 10s, 1m", false,
     true},
    {"help", NULL, NULL, NULL, "show this", false, true},
};

/* Options that mean something else to one subcommand: what it takes them as, and the row. */
static const struct {
    const char *name;
    struct option row;
} special_options[] = {
    {"envs", {"env", "NAME", NULL, NULL, "only for this environment; may be repeated", true, false}},
    {"reported", {"at", "WHEN", NULL, NULL, "report: as it was when the watch had lasted so long, as in 24h; or at a time", false, true}},
    {"faulty", {"force", NULL, NULL, NULL, "also a store that has faults", false, true}},
    {"starts", {"from", "TIME", NULL, NULL, "when it begins: 2026-12-07T08:00:00Z; by default now", false, true}},
};
/* clang-format on */

/* The subcommands whose words may be files; with a verb, the words behind that one. */
static const struct {
    const char *name, *verb;
} of_files[] = {
    {"apply", NULL},      {"import", NULL},      {"lint", NULL},          {"diff", NULL},
    {"audit", NULL},      {"key", NULL},         {"backup", NULL},        {"release", "lint"},
    {"release", "plan"},  {"release", "guards"}, {"release", "announce"}, {"release", "simulate"},
    {"release", "start"},
};

enum {
    ALL = sizeof all_options / sizeof *all_options,
    SPECIAL = sizeof special_options / sizeof *special_options,
};

const struct subcommand *subcommand_find(const char *name)
{
    for (const struct subcommand *s = subcommands; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

bool subcommand_takes_files(const struct subcommand *sub, const char *verb)
{
    for (size_t i = 0; i < sizeof of_files / sizeof *of_files; i++)
        if (strcmp(of_files[i].name, sub->name) == 0 &&
            (!of_files[i].verb || strcmp(of_files[i].verb, verb) == 0))
            return true;
    return false;
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
    struct option *rows = mem_zalloc(ALL + SPECIAL + 1, sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; rows && i < ALL; i++)
        if (takes(sub, all_options[i].name))
            rows[count++] = all_options[i];
    for (size_t i = 0; rows && i < SPECIAL; i++)
        if (takes(sub, special_options[i].name))
            rows[count++] = special_options[i].row;
    for (size_t i = 0; rows && i < ALL; i++)
        if (!takes(sub, all_options[i].name) && !all_options[i].no_file) {
            rows[count] = all_options[i];
            rows[count++].help = NULL;
        }
    return rows;
}
