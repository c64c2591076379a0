/* release_story.h - a release as its log tells it: for reports. */
#ifndef FLAGCTL_RELEASE_STORY_H
#define FLAGCTL_RELEASE_STORY_H

#include "flagctl.h"
#include "release/history.h"

struct values { /* numbers, of which little is wanted in the end */
    double *all;
    size_t count, cap;
};

/* False: no memory; then it was not added. */
bool values_add(struct values *v, double value);
void values_done(struct values *v);

/* Members min, mean, p95 and max of `out`, null where there is none. Sorts them. */
void values_put(struct values *v, json_t *out);

struct rounds { /* of a guard */
    uint64_t count, passed, failed;
    struct values values; /* of those with an answer */
};

struct story_until { /* the last event that is taken */
    int step;        /* with it, this step of the watch has soaked; -1: whichever is the last */
    int64_t ms;      /* and none that is later */
};

struct story {
    struct call *call;
    uint32_t id;
    int step;        /* it is the report of when this step of the watch had soaked; -1: of none */
    int64_t from_ms; /* rounds before it are not counted */
    int64_t at_ms;   /* as it was then */
    struct release_plan *plan;
    struct release_history history;
    json_t *events; /* all but rounds */
    struct rounds rounds[RELEASE_GUARDS_MAX];
};

/* Read the newest release called `name`, from the primary. False: it could not be, and that was shown;
 * story_done() all the same. */
bool story_read(struct call *c, const char *name, int64_t from_ms, const struct story_until *until,
                struct story *ret, int *ret_exit);
void story_done(struct story *t);

/* Where it stood at the end of that: what `release status` shows. */
json_t *story_status(const struct story *t);

/* Its plan alone. NULL: it could not be read, and that was shown. */
struct release_plan *story_plan(struct call *c, const char *name, uint32_t *ret_id, int *ret_exit);

#endif
