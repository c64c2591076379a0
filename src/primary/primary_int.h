/* primary_int.h - what the primary's threads share. Private to the room.
 *
 * Two threads: the writer, which alone writes the store, and the reader, which answers questions
 * and reads what is long to read, so that neither an export nor a file of 100,000 flags keeps a
 * small change waiting.
 */
#ifndef PRIMARY_PRIMARY_INT_H
#define PRIMARY_PRIMARY_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "primary/alerts.h"
#include "primary/command.h"
#include "primary/gate.h"
#include "primary/killed.h"
#include "primary/primary.h"
#include "primary/private.h"
#include "primary/releases.h"

enum { JOBS_MAX = 8192, JOBS_BYTES_MAX = 512 << 20, PEER_SIZE = 32 };

enum kill_trigger { TRIGGER_OPERATOR, TRIGGER_ALERT, TRIGGER_DRILL, KILL_TRIGGERS };

struct job { /* a command or a question */
    struct queue_item item;
    struct server_request *request; /* it came by rpc: holds what `frame` points to until it is
                                       answered; NULL: … */
    void (*done)(void *arg, const struct answer *a); /* … who asked; NULL: it will not be done */
    void *done_arg;
    struct arena own; /* what `frame` points to then */
    enum kill_trigger trigger;
    struct frame_command frame;
    char peer[PEER_SIZE];
    const void *asker;           /* to be compared with others' */
    uint64_t turn;               /* turns.c */
    struct command *command;     /* NULL: not read yet, or a question */
    struct release_round *round; /* NULL: it is none of a release's; else there is no command */
    struct slice alert;          /* not empty: the name of one that fires, … */
    uint32_t alerted;            /* … and the release that it is for; likewise */
    int64_t asked_ns;            /* when it came */
    struct answer answer;
};

enum landing_kind { LANDING_CHANGE, LANDING_KILL, LANDING_ROLLBACK, LANDING_KINDS };
enum change_result { CHANGE_APPLIED, CHANGE_REJECTED, CHANGE_CONFLICT, CHANGE_RESULTS };

struct env_metrics {
    char env[STORE_ENV_NAME_MAX + 1];
    struct metric *results[CHANGE_RESULTS];
    struct metric *landings[LANDING_KINDS]; /* from the commit until the last live host has it */
    struct metric *kills[KILL_TRIGGERS];    /* from the request on */
    struct metric *drill;                   /* when the last one was */
};

enum webhook_result { WEBHOOK_OK, WEBHOOK_REFUSED, WEBHOOK_FAILED, WEBHOOK_RESULTS };

struct primary {
    struct store *store;
    struct server **servers; /* the ordinary one first, then one for each private listener */
    uint32_t server_count;
    struct privates privates;
    struct downloads *downloads; /* at all of them */
    struct quota *quota;         /* over all of them */
    _Atomic uint32_t beats;
    struct fleet *fleet;
    char *id, *software, *role;
    const struct sign_key *key; /* NULL: nothing is signed */
    struct alert_rules alert_rules;
    struct metric *webhooks[WEBHOOK_RESULTS], *truncated, *detect;

    struct releases *releases;
    struct primary_guards guards;

    struct denials *denials;
    struct sums *sums;                    /* NULL: nothing is counted */
    struct gate reader_gate, writer_gate; /* each its thread's own */

    struct queue changes;   /* to the writer */
    struct queue questions; /* to the reader */
    pthread_t writer, reader;
    atomic_bool stopping;
    atomic_bool broken;

    pthread_mutex_t user_lock; /* the user looked up last: lookups may be slow */
    uid_t user_id;
    char user[CHANGE_AUTHOR_MAX + 1];

    struct killed killed; /* the reader's own */

    /* the writer's own */
    struct env_metrics *env_metrics;
    size_t env_metrics_count;
    struct metric *txn_duration;
    int64_t tick_ms, status_ms, usage_ms;
    int64_t usage_took_ns; /* what was written of evaluations since the last pause */
};

/* Who gave it, and by which listener. */
void job_claim(const struct job *j, struct claim *ret);
/* The job's command, read (once). */
MUST_USE enum hoist_err job_read(struct primary *p, struct job *j);
/* Send the answer; the job is gone. */
void job_answer(struct job *j);
/* It will never be answered; it is gone, too. */
void job_drop(struct job *j);

static inline bool job_is_releases(const struct job *j)
{
    return j->round || j->alert.len > 0;
}

/* Carry out a job that is a release's. As command_run(). */
MUST_USE enum hoist_err releasing_run(struct primary *p, struct job *j, struct store_write *w,
                                      int64_t wall_ms);
/* Begin the rounds that are due; the writer's thread. */
void releasing_tick(struct primary *p);
/* Read them, and say to each that the primary was restarted. Before there are threads. */
MUST_USE enum hoist_err releasing_begin(struct primary *p);
/* Their metrics; NULL: none any more. */
void releasing_metrics(struct releases *rs);
struct releasing_waiter {                            /* for what becomes of an alert */
    void (*begin)(void *arg);                        /* one more release is to be taken back, … */
    void (*done)(void *arg, const struct answer *a); /* … and that is committed, or failed */
    void *arg;
};
/* An alert fires; any thread. */
void releasing_alert(struct primary *p, const struct alert_name *alert,
                     const struct releasing_waiter *w);

/* Something is taken back because of an alert that began then; 0: it did not say. */
void webhook_detected(struct primary *p, int64_t began_ms);
/* Before primary_alerts(). EINVAL, ENOMEM. */
MUST_USE enum hoist_err webhook_begin(struct primary *p, const struct primary_config *config);

void *writer_main(void *primary);
/* All that waits, once neither the writer nor any server runs: what a host was answered is kept. */
void writer_keep_evaluations(struct primary *p);
void *reader_main(void *primary);

/* Make the environment's series, at 0. The writer's thread, or before there is one. */
void primary_metrics_env(struct primary *p, const char *env);
void primary_metrics_count(struct primary *p, const struct answer *a);
/* Where the time is counted that a change of that kind (enum change_kind) takes to land, and that a
 * kill takes from its request on; NULL: not at all. The writer's thread. */
struct metric *primary_metrics_kill(struct primary *p, const char *env, uint32_t change_kind,
                                    enum kill_trigger trigger);
struct metric *primary_metrics_landing(struct primary *p, const char *env, uint32_t change_kind);
/* A drill was made then. */
/* From when something was wrong to when the primary decided to take a flag or a release back because of it;
 * `trigger`: what it was told by. */
struct metric *primary_metrics_detect(const char *trigger);
void primary_metrics_drill(struct primary *p, const char *env, int64_t time_ms);
/* For metrics_on_write(). */
void primary_metrics_update(void *primary);

/* The `status` object, cut to `limit` bytes unless that is 0. Any thread. */
MUST_USE enum hoist_err primary_status_text(struct primary *p, size_t limit, struct buf *out);

#endif
