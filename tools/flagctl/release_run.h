/* release_run.h - the verbs of `release` that the primary answers. */
#ifndef FLAGCTL_RELEASE_RUN_H
#define FLAGCTL_RELEASE_RUN_H

#include "flagctl.h"

bool release_is_run(const char *verb);
int release_run(struct call *c);

int release_report(struct call *c);

/* DEPLOY-001 to 005 of the release whose status that is, whose exit code is given back; and of a plan that
 * was not started. */
int release_show_chain(struct call *c, const json_t *status, int exit);
int release_show_plan_chain(struct call *c, const struct release_plan *plan);

/* What is waited for, and of whom: "signature of qa: tested (quinn, qadir)". */
void release_put_wait(struct buf *out, const json_t *wait);

/* Add the silences over alerts that would abort it, where --alertmanager says whom to ask; and show them. */
void release_add_silences(const struct call *c, struct reply *status);
void release_show_silences(const struct call *c, const json_t *status);

#endif
