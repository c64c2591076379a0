/* alertmanager.h - asking Alertmanager's API (v2). */
#ifndef FLAGCTL_ALERTMANAGER_H
#define FLAGCTL_ALERTMANAGER_H

#include "flagctl.h"

enum { ALERTMANAGER_WHY = 256 };

/* The list that GET `path` of the Alertmanager at `url` answers. NULL: `why` says what is wrong. */
json_t *alertmanager_get(const char *url, const char *path, char why[ALERTMANAGER_WHY]);

/*
 * The silences that are active now and may be about one of `alerts`, an array of names; each as
 * {id, alerts, matchers, by, comment, until}. A matcher of another label than the alert's name may hold or
 * not, so it leaves no silence out: that is for whoever reads `matchers`.
 */
json_t *alertmanager_silences(const char *url, const json_t *alerts, char why[ALERTMANAGER_WHY]);

#endif
