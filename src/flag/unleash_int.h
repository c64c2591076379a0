/* unleash_int.h - private to src/flag: from Unleash's features to a document in the flagd format.
 *
 *   unleash.c             the document: features
 *   unleash_depend.c      what a feature depends on
 *   unleash_segment.c     constraints by name
 *   unleash_strategy.c    who is in
 *   unleash_constraint.c  a comparison of one context field
 *   unleash_variant.c     which of several
 *   unleash_rule.c        making rules
 *   unleash_text.c        texts as JavaScript reads them
 *   unleash_sample.c      how many users another hash moves
 *
 * Two designs were weighed. The features could be made into struct flag at once, which saves making a
 * document and walking it once more, and would need a second copy of all that the reader checks: keys,
 * types, sizes, levels, circles. Or, as here, they become a document that the ordinary reader takes:
 * that costs the walk (some ms for 1,000 features), its complaints about the
 * result name the flag and not the feature's index, and nothing gets in that could not stand in a file.
 *
 * A condition is a rule of which only the truth matters, or the constant true or false. Functions
 * that make rules take over their arguments, and answer NULL where memory is out, which whoever
 * began the reading sees (json_memory_failed).
 */
#ifndef FLAG_UNLEASH_INT_H
#define FLAG_UNLEASH_INT_H

#include <jansson.h>

#include "flag/flag_int.h"
#include "flag/read_int.h"
#include "flag/unleash.h"

struct segment {
    const json_t *json;
    json_t *rule; /* its condition, once it was asked for */
};

struct unleash { /* one reading */
    struct problems *problems, *changes;
    bool approximate;
    bool no_memory; /* where jansson does not know it */
    unsigned quiet; /* > 0: it was all said already, where the rule stands */
    struct path path;
    struct slice feature; /* the one being read, or empty */
    const json_t *features;
    json_t *by_name; /* the same, by name */
    struct segment *segments;
    json_t *segment_index; /* where a segment stands, by its id as text */
    uint32_t measured;     /* changes whose users were counted */
    json_t *flags, *evaluators;
};

/* All that `wrong` and `inexact` say is left unsaid while `quiet` is not 0. */

/* Something is not as Unleash writes it, or nothing comes near it. */
void wrong(struct unleash *u, const char *mend, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* `fmt` says what cannot be kept, `instead` what comes near, `whose` who gets another answer. */
void inexact(struct unleash *u, const char *instead, const char *whose, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* ------------------------------------------------------------------ rules */

/* LIST(a, b) is an array of them, taken over. */
#define LIST(...)                                                                                  \
    json_list(sizeof(json_t *[]){__VA_ARGS__} / sizeof(json_t *), (json_t *[]){__VA_ARGS__})
json_t *json_list(size_t count, json_t *const *items);

json_t *rule_of(const char *op, json_t *args); /* {op: args} */
json_t *rule_op1(const char *op, json_t *a);
json_t *rule_op2(const char *op, json_t *a, json_t *b);
json_t *rule_pair(json_t *variant, uint32_t weight); /* of `fractional` */
json_t *rule_var(struct slice attribute);
json_t *rule_text(struct slice text);
json_t *rule_same(const json_t *rule); /* the same rule once more */
json_t *rule_not(json_t *condition);

/* All, or any, of the conditions in the array `items`. */
json_t *rule_all(json_t *items);
json_t *rule_any(json_t *items);

/* The variable `attribute` as String() has it, absent as "". */
json_t *rule_var_text(struct slice attribute);

/* ------------------------------------------------------------------ texts */

/* As String.prototype.trim(). */
struct slice js_trim(struct slice s);

/* Split at commas, which take the spaces around them along: an array of texts. */
json_t *js_split(struct slice s);

/* As Number() of a text that is a JSON number with spaces around it, or of a number. */
bool js_number(const json_t *v, double *ret);

/* Whether a number written as text could contain `s`. */
bool in_number(struct slice s);

/* Whether another case makes another text of `s`. */
bool has_case(struct slice s);
json_t *in_case(struct slice s, bool upper); /* ASCII letters alone */

bool is_semver(struct slice s);

/* 1.2.3.4 or 1.2.3.4/24, canonical; *ret_bits 32 where there is none. */
bool ipv4_read(struct slice s, uint32_t *ret_address, unsigned *ret_bits);

/* ------------------------------------------------------------------ samples */

struct division {        /* a choice by hash among variants */
    struct slice group;  /* what Unleash puts before the user */
    struct slice prefix; /* what the flag's rule puts there */
    uint32_t weights[FLAG_VARIANTS_MAX];
    uint32_t count;
};

struct moved { /* "of 100,000 sample users, 37,462 get another answer" */
    char text[96];
};

struct moved sample_rollout(struct unleash *u, struct slice group, struct slice prefix,
                            uint32_t percent);
struct moved sample_variants(struct unleash *u, const struct division *d);

/* ------------------------------------------------------------------ conditions */

/* The attribute that a context field's name stands for. False: it was said what is wrong. */
bool attribute_of(struct unleash *u, const json_t *name, struct slice *ret);

json_t *constraint_rule(struct unleash *u, const json_t *constraint);

/* The conditions of an array of constraints, put into `items`. */
void constraint_rules(struct unleash *u, const json_t *constraints, json_t *items);

/* `attribute` is one of the addresses, or in one of the ranges, of the array `texts`. A range of
 * version 6 is compared as text if `as_text`. */
json_t *address_rule(struct unleash *u, struct slice attribute, const json_t *texts, bool as_text);

/* Find the segments of the file, by id. */
void segments_index(struct unleash *u, const json_t *segments);

/* The condition of the segment with this id, as a reference; said if there is none. */
json_t *segment_rule(struct unleash *u, const json_t *id);

struct strategy {
    json_t *when;     /* the condition, but for the share */
    uint32_t percent; /* of those, how many; 100: all */
    json_t *key;      /* what divides them: an array for `cat`; NULL where all are in */
    bool plain;       /* that is the flag's key and the targeting key */
};

/* Strategy `json` of the feature `name`. */
void strategy_read(struct unleash *u, struct slice name, const json_t *json, struct strategy *ret);
void strategy_done(struct strategy *s);

/* {"fractional": …}, which yields on or off for those that it divides. */
json_t *share_rule(const struct strategy *s);

/* Its whole condition. */
json_t *strategy_rule(const struct strategy *s);

/* Who divides: the texts that stand before a user's. */
enum { BUCKET_PREFIX_MAX = 1024 };

struct bucket {
    struct slice group;
    char prefix[BUCKET_PREFIX_MAX];
    json_t *by; /* the expression for the user's key; true where each request drew anew */
    bool plain; /* `prefix` is the feature's name, `by` the targeting key */
};

/* How `stickiness` divides the users of `group`. Variants also take the address, where nothing else
 * is known. False: it was said what is wrong. */
bool bucket_read(struct unleash *u, struct slice feature, const json_t *group,
                 const json_t *stickiness, bool of_variants, struct bucket *ret);
void bucket_done(struct bucket *b);

/* The `cat` of a bucket: what `fractional` hashes. */
json_t *bucket_key(const struct bucket *b);

/* ------------------------------------------------------------------ features */

bool is_on(const json_t *feature);

/* The condition of a feature, but for what it depends on. */
json_t *feature_rule(struct unleash *u, const json_t *feature);

/* What it depends on: `requires`, or NULL where there is nothing; and the same as a condition. */
json_t *requires_of(struct unleash *u, const json_t *feature);
json_t *dependency_rule(struct unleash *u, const json_t *feature);

/* ------------------------------------------------------------------ variants */

/* Whether a feature has any, of its own or in a strategy. */
bool has_variants(const json_t *feature);

/* All of them with their values, into `values`, a JSON object by name. */
void variants_values(struct unleash *u, const json_t *feature, json_t *values);

/* Which variant of `feature` is chosen, null where none is: an expression. */
json_t *variant_rule(struct unleash *u, const json_t *feature);

#endif
