/* follower_request.c - what is asked of upstream: one request at a time, each in its turn. */
#include "repl/follower_int.h"
#include "wire/record.h"

static void send_request(struct follower *f, struct request r)
{
    r.tag = ++f->tag;
    r.life = f->envs[r.env].life;
    /* The driver tells when the deadline is over; this is for one that forgets to. */
    r.give_up_ms = f->now + FOLLOWER_REQUEST_DEADLINE_MS + DOUBT_MS;
    f->request = r;
    if (buf_err(&f->request_bytes) != HOIST_OK) {
        f->no_memory = true;
        return;
    }
    struct follower_output *o = tell(f, OUT_REQUEST);
    o->upstream = f->follow;
    o->tag = r.tag;
    o->deadline_ms = FOLLOWER_REQUEST_DEADLINE_MS;
    o->bytes = buf_slice(&f->request_bytes);
}

static void send_hello(struct follower *f)
{
    uint32_t proof_count = 0;
    struct env_head *heads = tell_heads(f);
    struct head_proof *proofs = tell_proofs(f, &proof_count);
    if (!heads || !proofs)
        return;
    for (uint32_t i = 0; i < f->config.env_count; i++)
        f->envs[i].asked = f->envs[i].committed;
    f->hello_due_ms = NEVER;
    f->hello_sent_ms = f->now;
    frame_put_hello(&f->request_bytes, FRAME_HELLO,
                    &(struct frame_hello){
                        .id = f->config.id,
                        .incarnation = f->config.incarnation,
                        .software = f->config.software,
                        .format = RECORD_MAJOR,
                        .role = f->config.relay ? SLICE("relay") : SLICE("agent"),
                        .envs = heads,
                        .env_count = f->config.env_count,
                        .proofs = proofs,
                        .proof_count = proof_count,
                    });
    send_request(f, (struct request){.kind = REQUEST_HELLO});
}

static void send_status(struct follower *f)
{
    uint32_t refusals_count = 0, proof_count = 0;
    struct env_head *heads = tell_heads(f);
    struct refusal *refusals = tell_refusals(f, &refusals_count);
    struct head_proof *proofs = tell_proofs(f, &proof_count);
    if (!heads || !refusals || !proofs)
        return;
    f->status_due_ms = f->now + f->status_ms;
    frame_put_status(&f->request_bytes, &(struct frame_status){
                                            .id = f->config.id,
                                            .incarnation = f->config.incarnation,
                                            .software = f->config.software,
                                            .labels = (struct label *)f->config.labels,
                                            .label_count = f->config.label_count,
                                            .envs = heads,
                                            .env_count = f->config.env_count,
                                            .refusals = refusals,
                                            .refusal_count = refusals_count,
                                            .proofs = proofs,
                                            .proof_count = proof_count,
                                        });
    send_request(f, (struct request){.kind = REQUEST_STATUS, .parting = f->leave});
}

static void send_snapshot(struct follower *f, struct fenv *e)
{
    struct frame_snapshot page = {.env = e->name, .budget = FRAME_PAGE};
    if (e->phase == PHASE_PAGES) {
        page.epoch = e->load.at.epoch;
        page.version = e->load.at.version;
        page.after_key = slice_of(e->load.after, e->load.after_len);
    }
    frame_put_snapshot(&f->request_bytes, &page);
    send_request(f, (struct request){.kind = REQUEST_SNAPSHOT, .env = e->index});
}

static void send_fetch(struct follower *f, struct fenv *e)
{
    const struct point *at = e->phase == PHASE_REPLAY ? &e->load.at : &e->issued;
    if (e->part_version != at->version + 1)
        buf_done(&e->part); /* the change it was for came another way */
    if (e->hole)
        tell_count(f, COUNT_HOLE);
    e->hole = false;
    frame_put_fetch(&f->request_bytes, &(struct frame_fetch){
                                           .env = e->name,
                                           .epoch = at->epoch,
                                           .after = at->version,
                                           .offset = e->part.len,
                                           .budget = FRAME_PAGE,
                                       });
    send_request(f, (struct request){.kind = REQUEST_FETCH, .env = e->index, .after = at->version});
}

static void send_for_env(struct follower *f, struct fenv *e)
{
    e->due_ms = NEVER;
    if (e->phase == PHASE_WAITING || e->phase == PHASE_PAGES)
        send_snapshot(f, e);
    else
        send_fetch(f, e);
}

/* Send what is due. Hello comes first; then status and the environments take turns, so that the
 * pages of one do not hold up the changes of another. */
void request_send_next(struct follower *f)
{
    if (f->request.kind != REQUEST_NONE)
        return;
    if (f->hello_due_ms <= f->now) {
        send_hello(f);
        return;
    }
    if (!f->hello_done)
        return;
    uint32_t turns = f->config.env_count + 1; /* the last one is status's */
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t turn = (f->turn + i) % turns;
        bool status = turn == f->config.env_count;
        if ((status ? f->status_due_ms : f->envs[turn].due_ms) > f->now)
            continue;
        f->turn = turn + 1;
        if (status)
            send_status(f);
        else
            send_for_env(f, &f->envs[turn]);
        return;
    }
}

int64_t request_next_ms(const struct follower *f)
{
    int64_t next = upstream_next_ms(f);
    if (f->request.kind != REQUEST_NONE)
        return f->request.give_up_ms < next ? f->request.give_up_ms : next;
    if (f->hello_due_ms < next)
        next = f->hello_due_ms;
    if (!f->hello_done)
        return next;
    if (f->status_due_ms < next)
        next = f->status_due_ms;
    for (uint32_t i = 0; i < f->config.env_count; i++)
        if (f->envs[i].due_ms < next)
            next = f->envs[i].due_ms;
    return next;
}
