/* say.h - how a problem of a file is put, so that a terminal is safe with it. For the rooms that read
 * what people write: flag, release. */
#ifndef FLAG_SAY_H
#define FLAG_SAY_H

#include "flag/flag.h"

/* Text from outside, for a sentence: control characters escaped, cut short at about 60 bytes. To be
 * used within one call: "%s", show(name).text */
struct shown {
    char text[80];
    bool is_cut;
};

struct shown show(struct slice s);

/* The same as a word of a shell command: quoted if need be, and whole if it is no longer than a key
 * can be. */
struct shell_word {
    char text[320];
};

struct shell_word shell_word(struct slice s);

/* Whether it has letters and digits of ASCII alone, and those of `beside`; not when it is empty. */
bool is_plain(struct slice s, const char *beside);

/* A place in a file, as in flags.x.targeting.if[0]. Steps return the length before them, which
 * path_back() takes. What does not fit is left out; a key that is cut short has a hash behind it, so
 * that those which begin alike are two places. */
struct path {
    char text[512];
    size_t len;
};

size_t path_key(struct path *p, struct slice key);
size_t path_index(struct path *p, size_t index);
void path_back(struct path *p, size_t len);

/* Whether `s` is one of `words`, which NULL ends. */
bool is_one_of(struct slice s, const char *const *words);

/* The word of `words` (ended by NULL) that `typed` is a typo of, or NULL. */
const char *near_word(struct slice typed, const char *const *words);

/* "name one of: on, off", at most a dozen. Empty when `f` has no variants. */
struct variant_list {
    char text[512];
};

struct variant_list list_variants(const struct flag *f);

#endif
