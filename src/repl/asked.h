/* asked.h - how often a server was asked for what: hoist_requests_total{kind}, and how often it told
 * the asker to come again: hoist_requests_busy_total{kind}.
 *
 * After an outage this shows whether all came back in the same moment. Threads: any.
 */
#ifndef REPL_ASKED_H
#define REPL_ASKED_H

#include "wire/frame.h"

/* All are counted from here on, from 0. */
void asked_metrics_begin(void);

void asked_count(enum frame_kind kind);
void asked_count_busy(enum frame_kind kind); /* FRAME_FETCH, FRAME_SNAPSHOT */

#endif
