/* plan_int.h - private to src/release: how a plan's file becomes a plan, in parts.
 *
 *   release_plan_read()  a file → a plan                     plan_read.c
 *   plan_word() …        a field's text → a value            plan_fields.c, plan_values.c, plan_window.c
 *   named_read()         a list of things with names         plan_named.c
 *   guards_read() …      what the phases refer to            plan_parts.c, plan_guards.c, plan_roles.c
 *   phases_read()        phases and their steps              plan_steps.c
 *   rule_read_yaml()     YAML → a rule                       plan_rule.c
 *   plan_judge()         what could not go well              plan_judge.c, plan_query.c
 */
#ifndef RELEASE_PLAN_INT_H
#define RELEASE_PLAN_INT_H

#include "base/yaml_tree.h"
#include "flag/flag.h"
#include "flag/say.h"
#include "release/plan_file.h"

struct plan_reader {
    struct problems *problems, *warnings;
    struct release_plan *plan;
    struct path path;
    bool no_memory;

    /* Where things stand in the file, by their index in the plan. */
    const struct yaml_item *root;
    const struct yaml_item *flag_at[RELEASE_FLAGS_MAX];
    const struct yaml_item *guard_at[RELEASE_GUARDS_MAX];
    const struct yaml_item *check_at[RELEASE_CHECKS_MAX];
    const struct yaml_item *role_at[RELEASE_ROLES_MAX];
    const struct yaml_item *phase_at[RELEASE_PHASES];
    const struct yaml_item *step_at[RELEASE_STEPS_MAX];
};

/* ------------------------------------------------------------------ complaining */

void plan_complain(struct plan_reader *r, const struct yaml_item *at, const char *mend,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
void plan_warn(struct plan_reader *r, const struct yaml_item *at, const char *mend, const char *fmt,
               ...) PRINTF_LIKE(4, 5);

/* Memory of the plan's, zeroed; NULL: there is none, which is noted. */
void *plan_alloc(struct plan_reader *r, size_t count, size_t size);

/* ------------------------------------------------------------------ maps and lists */

struct field { /* of a map */
    const char *name;
    void (*read)(struct plan_reader *r, const struct yaml_item *value, void *out);
    size_t offset;       /* of `out` in what the map becomes */
    const char *missing; /* the mend where it is missing; NULL: it may be */
};

/* Read a map by its fields (ended by a NULL name), in their order; `what` is it called in complaints.
 * False: it is no map. */
bool plan_map(struct plan_reader *r, const struct yaml_item *map, const char *what,
              const struct field *fields, void *out);

/* How many items a list has; 0 where it is none, or has more than `max`, which was complained of. */
uint32_t plan_list(struct plan_reader *r, const struct yaml_item *list, uint32_t max,
                   const char *mend);

/* ------------------------------------------------------------------ texts */

/* Whether it is text at all, and not nothing. */
bool plan_word(struct plan_reader *r, const struct yaml_item *v, const char *mend);

bool plan_is_name(struct slice s);
bool plan_is_who(struct slice s);

/* For fields: `out` is a struct slice. */
void plan_name_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_who(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_text(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_task(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_variant(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_query(struct plan_reader *r, const struct yaml_item *v, void *out);
void plan_message(struct plan_reader *r, const struct yaml_item *v, void *out);

/* ------------------------------------------------------------------ values */

bool duration_parse(struct slice s, uint64_t *ret_ms);

void plan_duration(struct plan_reader *r, const struct yaml_item *v, void *out); /* uint64_t */
void plan_soak(struct plan_reader *r, const struct yaml_item *v, void *out);     /* uint64_t, > 0 */
void plan_interval(struct plan_reader *r, const struct yaml_item *v, void *out); /* uint32_t, > 0 */
void plan_exposed(struct plan_reader *r, const struct yaml_item *v, void *out);  /* uint64_t, > 0 */
void plan_small(struct plan_reader *r, const struct yaml_item *v, void *out);    /* uint32_t */
void plan_positive(struct plan_reader *r, const struct yaml_item *v, void *out); /* uint32_t, > 0 */
void plan_percent(struct plan_reader *r, const struct yaml_item *v, void *out);  /* uint32_t */
void plan_bound(struct plan_reader *r, const struct yaml_item *v, void *out);    /* release_bound */
void plan_window(struct plan_reader *r, const struct yaml_item *v, void *out); /* release_window */
void plan_moment(struct plan_reader *r, const struct yaml_item *v, void *out); /* int64_t */
void plan_mode(struct plan_reader *r, const struct yaml_item *v, void *out);   /* bool: hold */

/* ------------------------------------------------------------------ lists of named things */

/* Guards, checks and their like, whose structs begin with their name. Their order in the file means
 * nothing: each list is kept sorted by name. */
struct named_kind {
    const char *what; /* in complaints */
    const char *mend;
    uint32_t max;
    size_t size;
    bool (*read)(struct plan_reader *r, const struct yaml_item *v, void *out);
};

struct named { /* one that was read */
    struct slice name;
    const struct yaml_item *at;
    void *thing;
};

/* Read a list of them; where each stands goes into `at`, unless that is NULL. */
void named_read(struct plan_reader *r, const struct yaml_item *list, const struct named_kind *kind,
                void **ret, uint32_t *ret_count, const struct yaml_item **at);

/* Sort them, and complain of names that are there twice; gives how many are left. */
uint32_t named_sort(struct plan_reader *r, struct named *named, uint32_t count, const char *what);

/* The things themselves, in a row. */
void *named_take(struct plan_reader *r, struct named *named, uint32_t count, size_t size,
                 const struct yaml_item **at);

/* ------------------------------------------------------------------ parts */

/* For fields of the whole plan: `out` is the plan. */
void flags_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void guards_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void checks_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void roles_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void alert_names_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void sinks_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void phases_read(struct plan_reader *r, const struct yaml_item *v, void *out);
void coverage_read(struct plan_reader *r, const struct yaml_item *v, void *out);

/* `out` is a struct tree. */
void rule_read_yaml(struct plan_reader *r, const struct yaml_item *v, void *out);

/* Whether flagctl has a check of this name built in. */
bool check_is_builtin(struct slice name);

/* ------------------------------------------------------------------ judging */

/* What each part allows and the whole does not. */
void plan_judge(struct plan_reader *r);
void step_judge(struct plan_reader *r, uint32_t step);

/* What a PromQL expression is like, as far as its words tell; no parser. */
struct query_traits {
    bool divides_rates; /* a ratio of what is counted: it needs a floor */
    bool has_floor;     /* … and ON … >= N */
    bool is_fresh;      /* looks at the age of a sample */
    bool hides_absence; /* makes a number of no answer, on the whole */
    const char *broken; /* what is open at its end, or NULL */
};
struct query_traits query_traits(struct slice query);

#endif
