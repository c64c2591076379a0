/* release_report.h - the report of a release: what it says, and how it is written. */
#ifndef FLAGCTL_RELEASE_REPORT_H
#define FLAGCTL_RELEASE_REPORT_H

#include "release_compare.h"

enum { REPORT_MAX = 64 << 20, REPORT_NAME_SIZE = 64 };

/* All of it. `config` NULL: no Prometheus is asked. */
json_t *report_json(const struct story *t, const struct prometheus_config *config);

/* The same as Markdown, for people to file. */
void report_text(const json_t *report, struct buf *out);

/* Whether a step of the watch has a report, which bears the time that was watched by then: "24h". */
bool report_name(const struct release_plan *plan, uint32_t step, char ret[REPORT_NAME_SIZE]);

struct reports { /* the files of `release watch --reports`; all but `dir` zero at first */
    const char *dir;
    uint64_t stage;   /* of the release, when it was last looked at */
    int64_t again_ms; /* when what could not be written is tried again */
    bool done;        /* what was due then is there */
};

/* Whether there is such a directory, and Prometheus is named rightly. False: not so, and that was shown. */
bool reports_may_begin(struct call *c, const char *dir, int *ret_exit);

/* Write those that `status` makes due: NAME-ID-24h.md and .json, and NAME-ID-end. What is there stays. False:
 * one could not be written, and that was shown. */
bool reports_look(struct reports *r, struct call *c, const json_t *status);

#endif
