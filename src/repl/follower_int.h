/* follower_int.h - the follower's state, shared by its files.
 *
 *   follower.c           the step: what came in goes to whom it concerns, then requests are sent
 *   follower_request.c   what is asked of upstream, and when
 *   follower_upstream.c  whom to follow: dialling, silence, hello, heartbeats
 *   follower_probe.c     at the start: which upstream knows most of the primary
 *   follower_patience.c  how long upstream may take to give what the primary has
 *   follower_env.c       one environment, live: what is published, fetched, applied, refused
 *   follower_trouble.c   asking again, and what stands in an environment's way
 *   follower_held.c      which flags are held back here
 *   follower_proof.c     what shows that a head here, which upstream has not, is the primary's
 *   follower_keys.c      which keys may sign: certificates that are believed, kept, passed on
 *   follower_relay.c     what a relay tells those that follow it
 *   follower_load.c      one environment, loading: snapshot pages, replay, the switch
 *   follower_tell.c      what is told: outputs, log lines, the heads in hello and status, the view
 *
 * Running out of memory is noted in `no_memory` and answered at the end of the step, so that the
 * code between need not unwind; the next step then begins anew from what the store has.
 */
#ifndef REPL_FOLLOWER_INT_H
#define REPL_FOLLOWER_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "repl/follower.h"
#include "wire/keyring.h"

enum {
    RETRY_FIRST_MS = 200, /* the first wait after a failure is between zero and this */
    STATUS_BUSY_MS = 500, /* at the most before a status is told again that was not heard */
    STATUS_GATHER_MS = 5, /* changes that are committed together are told together */
    DOUBT_MS = 1000,      /* how often a doubt may ask hello */
    SHUN_MS = 60000,      /* an upstream that was left is asked again after this */
    STAY_MS = 10000,      /* that was left, and is all that answers: stayed with so long */
    DIAL_MIN_MS = 500,    /* a connection takes so long on a slow link */
    LOST_SILENCES = 4,    /* so much longer than one that is silent may one take that broke */
    EPISODE_MS = 60000,   /* garbage after so long a pause is worth another log line */
    DEAF_DIALS = 8,       /* of so many dials in a row that are not heard, one asks all the same */
    REQUEST_FAILURES = 3, /* unanswered requests in a row until upstream counts as silent */
    LOAD_FAILURES = 5,    /* unanswered requests in a row until a load begins anew */
    PROBES_MAX = 16,
    PROBE_SLACK_MS = 3000, /* who is behind by less is as good as the others */
    WHY_SIZE = 256,
    PROOF_AGAIN_MS = 1000, /* a proof that has not come is asked for again after this */
    PATIENCE_MS = 10000,
    PATIENCE_BYTES =
        64 << 10, /* so much in that time is enough, if what is waited for takes longer */
    PATIENCE_TOTALS = 30,
    PATIENCE_DOUBLINGS = 2,  /* more would be a gift to whoever keeps back */
    PATIENCE_STEP_MS = 1000, /* a host that runs takes no longer from step to step */
};

#define NEVER INT64_MAX

struct point { /* one version of an environment */
    uint64_t epoch, version;
    uint8_t hash[HASH_SIZE], digest[HASH_SIZE];
};

struct kept { /* a published change that waits for its turn, or bytes that an output borrows */
    struct kept *next;
    uint64_t version;
    uint8_t *bytes;
    size_t len;
};

enum phase {                  /* of one environment. Its `due_ms` is when to ask next for */
             PHASE_LIVE,      /* missing changes, if any */
             PHASE_WAITING,   /* the first page of a snapshot */
             PHASE_PAGES,     /* the next page */
             PHASE_REPLAY,    /* the changes since the first page */
             PHASE_FINISHING, /* nothing: the store compares and switches */
};

struct patience { /* of an environment, with the upstream that is followed */
    bool waits;
    bool told;               /* that it ended */
    uint64_t epoch, version; /* what is waited for */
    int64_t idle_ms;         /* since enough has come */
    int64_t total_ms;        /* since the wait began */
    size_t bytes;            /* that came since `idle_ms` was 0 */
    uint32_t doublings;      /* of how long it lasts */
};

enum trouble {
    TROUBLE_NONE,
    TROUBLE_MISSING,  /* upstream has no such environment */
    TROUBLE_UPSTREAM, /* upstream is at an older epoch */
    TROUBLE_CHANGE,   /* a change is wrong */
    TROUBLE_STORE,    /* the store cannot take it */
    TROUBLE_DIVERGED,
};

struct load {
    struct point at;    /* loaded and replayed so far */
    uint64_t target;    /* replay at least up to here; 0: upstream has not been asked yet */
    uint8_t after[255]; /* key of the last record */
    size_t after_len;
    int64_t began_ms;
    struct kept *first, *last; /* what was published meanwhile, versions rising */
};

struct fenv {
    struct slice name;
    uint32_t index;
    bool present;
    struct point committed; /* what the store has */
    struct point issued;    /* the same once it has carried out what it was given */
    uint32_t held;
    struct arena refusals_room; /* what they borrow from */
    struct refusal *refusals;   /* the first of the flags held back, and why */
    uint32_t refusal_count;

    enum phase phase;
    struct load load;
    uint32_t life;       /* counts up when an answer that is under way has lost its meaning */
    int64_t due_ms;      /* ask then; NEVER */
    int64_t earliest_ms; /* but not before this */
    int64_t retry_ms;    /* bound of the last wait after a failure; 0: none failed */
    int64_t load_ms;     /* bound of the next wait before a snapshot; 0: the first */
    uint32_t failures;   /* requests in a row that brought nothing */
    bool hole;           /* asks because something was missed */
    bool resync;         /* the flags here are not those of this version: load them anew */

    struct buf part; /* a change that comes in parts */
    uint64_t part_version, part_total;

    bool ahead;       /* upstream has not what is here */
    struct buf proof; /* of change `proof_hash`, which may be an older one; or empty */
    uint8_t proof_hash[HASH_SIZE];
    int64_t proof_ms; /* ask for it again then, if there is none */

    bool hop_known, origin_known;
    uint64_t hop_epoch, hop_version;       /* what upstream has to give */
    uint64_t origin_epoch, origin_version; /* what the primary has */
    int64_t behind_since_ms;               /* NEVER: is not behind */
    struct patience patience;
    struct point asked;   /* what was committed when hello was asked */
    uint32_t odd;         /* heartbeats in a row that contradict what is here */
    uint64_t chain_break; /* a fetched change of this version did not fit once before */
    uint64_t corrupt;     /* the store refused this version once before */

    enum trouble trouble;
    uint64_t trouble_version; /* it is over when this version is committed; 0: by other ways */
    char why[WHY_SIZE];
    bool load_told; /* that loading fails */
};

enum request_kind { REQUEST_NONE, REQUEST_HELLO, REQUEST_FETCH, REQUEST_SNAPSHOT, REQUEST_STATUS };

struct request { /* the one outstanding */
    enum request_kind kind;
    uint64_t tag;
    uint32_t env, life;
    uint64_t after; /* fetch */
    bool parting;   /* status: told to one that is to be left */
    int64_t give_up_ms;
};

struct follower {
    struct arena own; /* copies of the configuration */
    struct follower_config config;
    struct fenv *envs;
    struct follower_view_env *view;
    uint64_t random;
    int64_t now;

    /* upstream */
    bool started;
    uint32_t follow;
    int64_t follow_ms;  /* since when this one */
    int64_t dialled_ms; /* and since when on this connection */
    bool heard;         /* its stream, since then */
    int64_t heard_ms, word_ms;
    bool lost; /* its connection broke, at lost_ms, and nothing was heard since */
    int64_t lost_ms;
    uint32_t silences; /* dials in a row that brought nothing */
    bool leave;        /* go to another, if there is a better one */
    bool told;         /* it was told so, or did not hear it */
    bool trying_first; /* only to see whether the first is back: else return to `came_from` */
    uint32_t came_from;
    int64_t *shun_ms; /* for each upstream: not to be chosen before this */
    int64_t stay_ms;  /* upstream is not to be left before this; 0: at once */
    bool hello_done, primary;
    bool returns; /* hello waits until its stream is heard, and some more */
    int64_t hello_due_ms, hello_sent_ms, hello_retry_ms;
    uint32_t failures; /* requests in a row without an answer */
    uint32_t withheld; /* the same of those that ask for changes and records alone */
    uint32_t distance;
    int64_t lags_since_ms; /* by its own word it has not what the primary has; NEVER: it has */
    uint64_t counter;
    int64_t signed_ms;      /* the primary's time at it; INT64_MIN: none */
    uint32_t repeated;      /* heartbeats below the counter since it moved */
    uint64_t *probed;       /* for each upstream: the greatest counter heard while it is probed */
    int64_t probe_until_ms; /* NEVER: not begun; 0: over */
    uint32_t probes;        /* that are open; a bit for each upstream of the first PROBES_MAX */
    int64_t counter_ms;     /* when it last moved */
    bool has_news;          /* it has moved since the start */
    int64_t patience_ms;    /* until when patience was counted */
    struct keyring ring;
    struct buf given; /* a relay's: the certificates that it gives, a list */
    bool strange_key; /* keys were rotated, and the trust file does not lead to the new one */
    bool full_told;   /* that there is no room for another */
    struct buf origin, origin_signature; /* a relay's: of the newest heartbeat; empty: none yet */
    bool silence_told, mute_told, withheld_told, stale_told,
        upstream_told;             /* log lines of this episode */
    int64_t garbage_ms, forged_ms; /* when garbage last came; NEVER: not yet */

    struct request request;
    uint64_t tag;
    uint32_t turn; /* whose request is next, so that each gets its own */
    int64_t status_due_ms, status_ms;
    uint32_t proof_turn; /* the environment that the next status begins to prove at */

    /* of this step */
    struct arena arena;
    struct kept *spent; /* borrowed by outputs, freed at the next step */
    uint64_t kept_bytes;
    struct buf request_bytes;
    struct follower_output *outputs;
    uint32_t output_count, output_room;
    struct follower_output spare; /* where an output goes when memory is out */
    bool no_memory;
    bool broken; /* the last step ran out of memory */
};

/* ---------------------------------------------------------------- follower.c */

/* Between 0 and `bound`, both included. */
int64_t follower_random(struct follower *f, int64_t bound);
struct fenv *follower_find(struct follower *f, struct slice name);
void follower_forget_request(struct follower *f);
void status_soon(struct follower *f);
void spend(struct follower *f, struct kept *k); /* free it when the step's outputs are done with */

/* ---------------------------------------------------------------- follower_request.c */

void request_send_next(struct follower *f);
int64_t request_next_ms(const struct follower *f);

/* ---------------------------------------------------------------- follower_upstream.c */

void upstream_keep(struct follower *f); /* whatever time alone demands */
int64_t upstream_next_ms(const struct follower *f);
void upstream_follow(struct follower *f, uint32_t upstream);
void upstream_word(struct follower *f);  /* anything came from it */
void upstream_heard(struct follower *f); /* its stream was heard */
void upstream_answered(struct follower *f, enum request_kind kind);
void upstream_no_answer(struct follower *f, enum request_kind kind);
void upstream_doubt(struct follower *f); /* ask hello before judging */
/* Count something unreadable, and say so once per episode. */
/* Upstream gave `what`, which is not signed by whom it should be: it is left. */
void upstream_forged(struct follower *f, const char *what);
void upstream_garbage(struct follower *f, enum follower_count what, const char *why);
void upstream_heartbeat(struct follower *f, const struct frame_heartbeat *h);
void upstream_hello(struct follower *f, const struct frame_hello *h);
bool upstream_is_signed(const struct follower *f, const struct frame_heartbeat *h);
bool upstream_is_stale(const struct follower *f); /* it has no news of the primary */
/* Another one is better: go there, and ask the present one again in a minute. */
void upstream_leave_for(struct follower *f, uint32_t next);
const char *upstream_name(struct follower *f, uint32_t upstream); /* for this step */

/* ---------------------------------------------------------------- follower_probe.c */

void probe_begin(struct follower *f);
void probe_message(struct follower *f, uint32_t upstream, struct slice bytes);
void probe_keep(struct follower *f); /* ends it when it is time */
int64_t probe_next_ms(const struct follower *f);

/* ---------------------------------------------------------------- follower_patience.c */

void patience_keep(struct follower *f); /* in each step, after what came in was taken */
/* An environment that has waited too long; NULL: none has. */
struct fenv *patience_ended(struct follower *f);
void patience_begin_anew(struct follower *f);     /* with another connection */
void patience_lengthen(struct fenv *e);           /* the next upstream is given longer */
void patience_gain(struct fenv *e, size_t bytes); /* of what is waited for has come */
void patience_gained_nothing(struct fenv *e); /* a load failed: what came of it was worth nothing */
void patience_excuse(
    struct fenv *e); /* the store here is at fault, which is tried again in a while */

/* ---------------------------------------------------------------- follower_env.c */

enum heard { HEARD_OLD, HEARD_HEARTBEAT, HEARD_HELLO };

void env_hop(struct follower *f, struct fenv *e, const struct env_head *h, enum heard how);
void env_origin(struct follower *f, struct fenv *e, const struct env_head *o, bool moved);
void env_published(struct follower *f, struct fenv *e, const struct change *c);
void env_fetched(struct follower *f, struct fenv *e, const struct request *r,
                 const struct frame_fetch_reply *p);
void env_applied(struct follower *f, struct fenv *e, const struct follower_input *in);
void env_apply_failed(struct follower *f, struct fenv *e, const struct follower_input *in);

bool env_take(struct follower *f, struct fenv *e, const struct change *c);
void env_know(struct follower *f, struct fenv *e, const struct follower_input *in);

/* ---------------------------------------------------------------- follower_trouble.c */

void env_ask(struct follower *f, struct fenv *e, int64_t when_ms);
void env_ask_later(struct follower *f, struct fenv *e); /* after a failure */
void env_busy(struct follower *f, struct fenv *e, uint32_t busy_ms);
bool env_is_idle(const struct follower *f, const struct fenv *e);
void env_went_well(struct fenv *e);
void env_unanswered(struct follower *f, struct fenv *e);
void env_drop_part(struct fenv *e);
void env_set_back(struct fenv *e);                       /* to what the store has */
void env_begin_anew(struct follower *f, struct fenv *e); /* the same, with a new upstream */

void env_set_trouble(struct follower *f, struct fenv *e, enum trouble trouble, uint64_t version,
                     const char *fmt, ...) PRINTF_LIKE(5, 6);
void env_end_trouble(struct follower *f, struct fenv *e);
void env_refuse(struct follower *f, struct fenv *e, uint64_t version, const char *why);
void env_diverge(struct follower *f, struct fenv *e, const char *how);
void env_upstream_is_behind(struct follower *f, struct fenv *e, uint64_t epoch);
void env_missing(struct follower *f, struct fenv *e);

/* ---------------------------------------------------------------- follower_held.c */

void held_take(struct follower *f, struct fenv *e, const struct follower_input *in);
void held_done(struct fenv *e);

/* ---------------------------------------------------------------- follower_proof.c */

void proof_hop(struct fenv *e, const struct env_head *hop); /* upstream says what it has */
void proofs_ask(struct follower *f);
void proof_take(struct follower *f, struct fenv *e, const struct follower_input *in);
void proof_done(struct fenv *e);
bool proofs_are_here(const struct follower *f); /* of heads that upstream has not */
/* Of as many heads as fit a frame, in turn; NULL: no memory. */
struct head_proof *tell_proofs(struct follower *f, uint32_t *ret_count);

/* ---------------------------------------------------------------- follower_keys.c */

MUST_USE enum hoist_err keys_begin(struct follower *f, const struct follower_config *c);
void keys_end(struct follower *f);
void keys_heard(struct follower *f, const struct slice *certificates, uint32_t count);
void keys_of_changes(struct follower *f, const struct change *changes, uint32_t count);
/* Whether a key has signed it that was trusted once and is revoked. */
bool keys_were_trusted(const struct follower *f, const struct change *c);

/* ---------------------------------------------------------------- follower_relay.c */

void relay_keep_origin(struct follower *f, const struct frame_heartbeat *h);
void relay_drop_origin(struct follower *f);

/* ---------------------------------------------------------------- follower_load.c */

bool load_is_on(const struct fenv *e); /* the store has begun it */
void load_want(struct follower *f, struct fenv *e, const char *why);
void load_page(struct follower *f, struct fenv *e, const struct frame_snapshot_reply *p);
void load_published(struct follower *f, struct fenv *e, const struct change *c);
void load_replayed(struct follower *f, struct fenv *e, uint64_t head);
void load_fail(struct follower *f, struct fenv *e, const char *why);
void load_drop(struct follower *f, struct fenv *e);
void load_done(struct follower *f, struct fenv *e, const struct follower_input *in);
void load_failed(struct follower *f, struct fenv *e, const struct follower_input *in);

/* ---------------------------------------------------------------- follower_tell.c */

struct follower_output *tell(struct follower *f, enum follower_out kind); /* never NULL */
void tell_count(struct follower *f, enum follower_count what);
void tell_log(struct follower *f, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum env_state env_state_of(const struct fenv *e);
struct env_head env_head_of(const struct fenv *e); /* borrows its name */
struct env_head *tell_heads(struct follower *f);   /* config.env_count of them */
struct refusal *tell_refusals(struct follower *f, uint32_t *ret_count);

#endif
