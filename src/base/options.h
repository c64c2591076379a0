/* options.h - a program's options: from its arguments, its environment and a YAML file, by one
 * table, which also writes --help.
 *
 * Precedence: argument, then environment variable, then file, then default. In the file an option
 * is a key of the same name with underscores or dashes (heartbeat_ms: 200); a switch is true or
 * false; a repeatable one takes a list. Unknown keys, duplicate keys, anchors and tags are errors
 * with line and column. Of several default files each is read, and the earlier wins. (libyaml only
 * in options_file.c.)
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct option {
    const char *name;     /* "store" for --store; "m" for -m (one letter: one dash) */
    const char *arg;      /* "DIR", or NULL: a switch; "[=WHEN]": the value may be left out, and
                             is "" then; it stands behind a '=', never in a word of its own */
    const char *fallback; /* default as shown and used, or NULL */
    const char *env;      /* environment variable, or NULL */
    const char *help;     /* one or more lines; NULL: another command's, which the file may have,
                             since all share it, and that is all */
    bool many;            /* may be repeated */
    bool no_file;         /* not a key of the file */
};

struct options; /* values, by option */

/*
 * Read `argc`/`argv` (without the program's and the command's name). `--x=v` and `--x v`; `--`
 * ends. Words that are no option are kept, in order; so are "-" and negative numbers. `--x --y` is
 * a forgotten value of x. file_option: the option that names the YAML file, or NULL; a default file
 * that is absent (or not for this user to read) is no error, a named one is.
 * Errors: EINVAL with the sentence (names the near option on a typo), ELIMIT, EACCES, EIO, ENOMEM.
 */
MUST_USE enum hoist_err options_read(const struct option *table, int argc, char **argv,
                                     const char *file_option, const char *const *default_files,
                                     struct options **ret);
void options_free(struct options *o);

/* Asked for an option that the table does not have, these answer that it was not given. */
const char *options_get(const struct options *o, const char *name); /* or NULL */
bool options_on(const struct options *o, const char *name);         /* a switch */
size_t options_list(const struct options *o, const char *name, const char *const **ret);
size_t options_words(const struct options *o, const char *const **ret); /* what was no option */
/* Where a value came from: "argument", "environment", "file", "default" or NULL when there is none.
 */
const char *options_origin(const struct options *o, const char *name);

/* The table as help text. */
void options_help(const struct option *table, struct buf *out);

#endif
