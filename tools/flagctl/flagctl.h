/* flagctl.h - what the subcommands of flagctl share. */
#ifndef FLAGCTL_FLAGCTL_H
#define FLAGCTL_FLAGCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/bundle.h"
#include "base/err.h"
#include "base/options.h"
#include "flag/json.h"
#include "http/prometheus.h"
#include "primary/query.h"
#include "release/plan_file.h"
#include "repl/net_tls.h"
#include "repl/rpc.h"
#include "store/store.h"

struct call;

struct subcommand {
    const char *name;
    const char *usage; /* what stands behind the name */
    const char *help;  /* the first line stands in the list of subcommands */
    const char *takes; /* names of its options, with spaces around each */
    int words_min, words_max;
    int (*run)(struct call *c);
    bool of_primary; /* about history: a store answers only if it is named on the command line */
};

struct source { /* who answers */
    bool local;
    const char *where;   /* a store's directory, or a primary's URL */
    struct store *store; /* local: open once it was asked */
    struct net_tls *tls; /* of a primary at tls+tcp; or NULL */
};

struct call { /* one run of flagctl */
    const struct subcommand *sub;
    struct option *table; /* of sub */
    struct options *options;
    const char *const *words;
    size_t word_count;
    const char *env; /* NULL: not said */
    bool json;
    bool terminal; /* answers go to a terminal */
    bool colour;
    int64_t timeout_ms;
    uint32_t wait_percent; /* of the live hosts, after a change; 0: do not wait for any */
    struct source source;
    struct bundle join; /* join_read() */
    bool signs;         /* by this, what is asked of a primary */
    struct rpc_signer signer;
    json_t *approximated; /* what an import did not take as it was; NULL: nothing to tell */
    char store_dir[4096]; /* the default */
};

extern const struct subcommand subcommands[]; /* ended by a NULL name */
const struct subcommand *subcommand_find(const char *name);

/* Whether its words, of which `verb` is the first, may name files. */
bool subcommand_takes_files(const struct subcommand *sub, const char *verb);

/* The rows of all options that `sub` takes, then of those of others that the file may have, ended by a
 * NULL name; to be freed with mem_free(). NULL: no memory. */
struct option *subcommand_options(const struct subcommand *sub);

/* ------------------------------------------------------------------ asking (ask.c) */

struct reply {
    uint32_t exit;
    struct buf text; /* JSON */
    json_t *body;    /* the same, read; NULL when there is none */
};

void reply_done(struct reply *r);

/* Give the answer one more member, which this takes over. */
void reply_put(struct reply *r, const char *name, json_t *value);

/* Decide who answers: reading may be done from a store, a change goes to a primary. Prints what is
 * wrong and gives false. */
bool source_choose(struct call *c, bool change);
void source_close(struct call *c);

/* Whether it is a socket of this machine that is not there: nothing would answer. */
bool source_is_absent(const struct call *c);

/* What --join says into c->join, and what --tls-cert, --tls-key and --tls-ca say over it. EINVAL,
 * ENOMEM. */
MUST_USE enum hoist_err join_read(struct call *c);

/* Ask for `name` with `args`, which it takes over; `env` is put in. A reply that is not EXIT_DONE
 * has an error in its body, or (is) an answer. */
void ask(struct call *c, const char *name, json_t *args, struct reply *ret);

/* The same for a change: the options that all changes take are put in. */
void tell(struct call *c, const char *name, json_t *args, struct reply *ret);

/* The user's key, if there is one; once. EINVAL: it cannot be read, or the one named is not there. */
MUST_USE enum hoist_err identity_load(struct call *c);

/* key new, key show. */
int identity_key(struct call *c);

/* ------------------------------------------------------------------ showing (show.c) */

/* Print an error as it came, and give its exit code. */
int show_error(const struct call *c, const struct reply *r);
/* An error of flagctl's own. */
int show_failure(const struct call *c, uint32_t exit, const char *code, const char *mend,
                 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* A problem of a file, with its place and mend. */
void show_problem(FILE *out, const json_t *problem);

/* Whether the reply is an error; then it was shown, and *ret_exit is the exit code. */
bool show_if_error(const struct call *c, const struct reply *r, int *ret_exit);

void show_json(const struct reply *r); /* as it came, on a line */

/* A change of the log, with its edits. */
void show_logged(const struct call *c, const json_t *change);

/* An answer with "edits": exit 0 when there are none, 1 when there are. */
int show_difference(struct call *c, struct reply *r);

/* A JSON value as one line of text; strings bare if `bare`. To be freed with mem_free().
 * Ends the program where there is no memory for it: half a line would be taken for an answer. */
char *value_text(const json_t *value, bool bare);

/* "3 min ago" for an RFC 3339 time; "" for none. */
void show_age(char out[64], const char *time);

/* "120 ms", "3.4 s", "5 min". */
enum { SHOW_SPAN = 32 };
void show_span(char out[SHOW_SPAN], uint64_t ms);

/* Make what a host said of itself harmless on a terminal: control characters become '?'. */
void show_tame(char *text);

/* Its characters, not bytes. */
int show_width(const char *text);

enum look { LOOK_PLAIN, LOOK_KEY, LOOK_VALUE, LOOK_GOOD, LOOK_BAD, LOOK_FAINT };
const char *look(const struct call *c, enum look l); /* an escape sequence, or "" */

/* On a terminal: of which environment the answer is, who gave it, and how old that is. */
void show_source(struct call *c, const json_t *answer);

/* A yes or no from the terminal; no at the end of input. */
bool confirm(const char *question);

/* How a host's state looks. */
enum look look_of_state(const char *state);

/* A member as text, or "" */
const char *text_of(const json_t *object, const char *name);
uint64_t number_of(const json_t *object, const char *name);

/* A change's edits, "+ key", "~ key", "- key", each with what it was and is. */
void show_edits(const struct call *c, const json_t *edits);

/* Those of an answer, and how many more there are than it has. */
void show_edits_of(const struct call *c, const json_t *answer);

/* The answer to a change. Gives its exit code. */
int show_change(struct call *c, const struct reply *r);

/* Make a change and show its answer; unless `yes`, first show what it would do, and ask. Takes over
 * `args`. */
int change(struct call *c, const char *command, json_t *args, bool yes);

/* Whether there is a terminal to ask; where there is none, that was shown. */
bool can_ask(const struct call *c, int *ret_exit);

/* ------------------------------------------------------------------ arguments (arguments.c) */

/*
 * What was typed behind the subcommand, whose `c->sub` is set, all else zero. False: it is wrong, and that
 * was shown; exit EXIT_INPUT. `argv` has one place more than `argc`, which is used. call_done() either way.
 */
bool call_read(struct call *c, int argc, char **argv);
void call_done(struct call *c);

/* Whether an option is among the arguments: --help wins over whatever is wrong with the others, and
 * --json says how that is to be told. */
bool has_argument(int argc, char **argv, const char *option);

/* "10s", "500ms", "1m", "2h", "7d"; a bare number is seconds. EINVAL. */
MUST_USE enum hoist_err read_duration(const char *text, int64_t *ret_ms);

/* A time such as 2026-01-31T14:02:00Z, or how long ago: "2h". EINVAL. */
MUST_USE enum hoist_err read_moment(const char *text, int64_t *ret_wall_ms);

/* "42" or "v42" as member `name` of `args`. False: it is none, and that was shown. */
bool read_version(struct call *c, const char *text, json_t *args, const char *name);

/* The number that `option` gives, as a member of `args`. False: it is none, and that was shown. */
bool read_count(struct call *c, const char *option, json_t *args);

enum { FILE_MAX = 100 << 20 }; /* leaves room for its escapes in a command */

/* The bytes of a file, or with "-" of standard input. False: not read, and that was shown. */
bool load_file(struct call *c, const char *path, struct buf *out, int *ret_exit);

/* ------------------------------------------------------------------ problems of files (lint.c) */

/* As compilers show them: PATH:LINE:COLUMN: WORD: what, and the mend. */
void found_show(const struct call *c, const char *path, const struct problems *p, const char *word,
                enum look l);

/* As member `name` of an object. */
void found_put(struct json_writer *w, const char *name, const struct problems *p);

/* "3 problems, 1 warning" */
void found_count(char out[64], const struct problems *problems, const struct problems *warnings);

/* 2: problems; 1: warnings, if --strict; else 0. */
int found_exit(const struct call *c, const struct problems *problems,
               const struct problems *warnings);

/* ------------------------------------------------------------------ releases (release.c) */

/* release plan, of a plan that was read. */
int release_show_plan(struct call *c, const struct release_plan *plan);

/* release guards, likewise (release_guards.c): 0 when all pass, EXIT_GATE when one does not. */
int release_show_guards(struct call *c, const struct release_plan *plan);

/* The Prometheus that the options name, and whether they are right. False: they are not, and that was
 * shown. */
bool release_prometheus(struct call *c, struct prometheus_config *ret, int *ret_exit);

/* What the guards of `plan` say now, into ret[plan->guard_count]. False: the options are wrong, and that
 * was shown. */
bool release_ask_guards(struct call *c, const struct release_plan *plan,
                        struct prometheus_answer *ret, int *ret_exit);

/* One answer on the line that was begun: PASS, its value; or why there is none. */
void release_print_answer(const struct call *c, const struct release_guard *g,
                          const struct prometheus_answer *a);

/* The guards with their answers, an array. */
void release_put_answers(struct json_writer *w, const struct release_plan *plan,
                         const struct prometheus_answer *answers);

/* release simulate, likewise. */
int release_simulate_plan(struct call *c, const struct release_plan *plan);

/* --from, or now. EINVAL. */
MUST_USE enum hoist_err release_start_read(const struct call *c, int64_t *ret_wall_ms);

/* ------------------------------------------------------------------ waiting (wait.c) */

/* What --wait asks for, into c->wait_percent. EINVAL. */
MUST_USE enum hoist_err wait_read(struct call *c);

/* The answer to a change that may be waited for: waits if that was asked for, shows the answer with
 * what came of it. Gives the exit code. */
int change_done(struct call *c, struct reply *r);

/* Wait until every live host has a change, which `change` is the answer to. *ret, to be given back: how
 * far it landed; NULL: nobody said. */
bool wait_landed(struct call *c, const json_t *change, json_t **ret);

/* ------------------------------------------------------------------ other systems (convert.c) */

/* Make the text in `file`, which was read from `path`, a flag file, if --from says that it is none.
 * False: it could not be, which was shown. */
bool convert(struct call *c, const char *path, struct buf *file, int *ret_exit);

/* ------------------------------------------------------------------ the subcommands */

int diff_file(struct call *c); /* diff, with one word */

int run_set(struct call *c);
int run_target(struct call *c);
int run_delete(struct call *c);
int run_get(struct call *c);
int run_is(struct call *c);
int run_eval(struct call *c);
int run_list(struct call *c);
int run_env(struct call *c);
int run_apply(struct call *c);
int run_import(struct call *c);
int run_lint(struct call *c);
int run_export(struct call *c);
int run_watch(struct call *c);
int run_status(struct call *c);
int run_log(struct call *c);
int run_history(struct call *c);
int run_show(struct call *c);
int run_diff(struct call *c);
int run_audit(struct call *c);
int run_kill(struct call *c);
int run_restore(struct call *c);
int run_rollback(struct call *c);
int run_promote(struct call *c);
int run_usage(struct call *c);
int run_drill(struct call *c);
int run_stale(struct call *c);
int run_fleet(struct call *c);
int run_top(struct call *c);
int run_host(struct call *c);
int run_access(struct call *c);
int run_key(struct call *c);
int run_release(struct call *c);
int run_backup(struct call *c);
int run_fsck(struct call *c);
int run_completion(struct call *c);
int run_help(struct call *c);

#endif
