/* quota_answers.c - what peers have under way: requests that keep a place, and bytes of answers that
 * they do not take.
 *
 * nng receives the next request of a connection as soon as it has handed on the one before. So one that
 * asks and asks and reads nothing would have all places and all memory, for itself. nng says when it
 * begins to send an answer, which is when the connection has taken those before; of the last one it says
 * nothing, and its bytes count until the next one, or the connection's end.
 */
#include "repl/quota_int.h"

enum { CUT_MS = 200 }; /* to look at all files costs more than to drop a few requests */

const struct quota_peer *quota_peer_of(struct quota *q, uint32_t id)
{
    pthread_mutex_lock(&q->lock);
    const struct quota_pipe *pipe = quota_find_pipe(q, id);
    const struct quota_peer *p = pipe && !pipe->is_cut ? pipe->peer : NULL;
    pthread_mutex_unlock(&q->lock);
    return p;
}

/* ---------------------------------------------------------------- under way */

bool quota_begin_at(struct quota *q, struct quota_pipe *pipe, int64_t now_ms)
{
    struct quota_peer *p = pipe->peer;
    if (pipe->under_way >= QUOTA_CONNECTION_REQUESTS_MAX) {
        quota_refuse(q, p, QUOTA_UNDER_WAY, now_ms);
        q->marked += !pipe->is_cut;
        pipe->is_cut = true;
        return false;
    }
    if (p->under_way >= QUOTA_PEER_REQUESTS_MAX) {
        quota_refuse(q, p, QUOTA_PEER_UNDER_WAY, now_ms);
        return false;
    }
    pipe->under_way++;
    p->under_way++;
    return true;
}

struct quota_peer *quota_begin(struct quota *q, uint32_t id, int64_t now_ms)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    struct quota_peer *p = pipe && quota_begin_at(q, pipe, now_ms) ? pipe->peer : NULL;
    pthread_mutex_unlock(&q->lock);
    return p;
}

void quota_end(struct quota *q, struct quota_peer *p, uint32_t id)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    if (pipe)
        pipe->under_way--;
    p->under_way--;
    pthread_mutex_unlock(&q->lock);
}

bool quota_marked(struct quota *q, int64_t now_ms)
{
    pthread_mutex_lock(&q->lock);
    bool any = q->marked > 0 && now_ms >= q->next_cut_ms;
    if (any) {
        q->marked = 0;
        q->next_cut_ms = now_ms + CUT_MS;
    }
    pthread_mutex_unlock(&q->lock);
    return any;
}

/* ---------------------------------------------------------------- answers */

static void drop(struct quota *q, struct quota_pipe *pipe, uint64_t bytes)
{
    pipe->answers -= bytes;
    pipe->peer->answers -= bytes;
    q->answers -= bytes;
}

void quota_forget_answers(struct quota *q, struct quota_pipe *pipe)
{
    drop(q, pipe, pipe->answers);
}

void quota_give(struct quota *q, uint32_t id, size_t bytes)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    if (pipe) {
        pipe->answers += bytes;
        pipe->peer->answers += bytes;
        q->answers += bytes;
    }
    pthread_mutex_unlock(&q->lock);
}

void quota_sends(struct quota *q, uint32_t id, size_t bytes)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    if (pipe) {
        drop(q, pipe, pipe->sending);
        pipe->sending = bytes;
    }
    pthread_mutex_unlock(&q->lock);
}

void quota_take_back(struct quota *q, uint32_t id, size_t bytes)
{
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    if (pipe)
        drop(q, pipe, bytes);
    pthread_mutex_unlock(&q->lock);
}

/* The limit that one more long answer would break; QUOTA_REASONS: none. */
static enum quota_reason meets(const struct quota *q, const struct quota_peer *p)
{
    if (p->answers >= q->limits.peer_answer_bytes)
        return QUOTA_PEER_ANSWERS;
    return q->answers >= q->limits.answer_bytes ? QUOTA_ANSWERS : QUOTA_REASONS;
}

const char *quota_no_answer(struct quota *q, uint32_t id, int64_t now_ms)
{
    const char *words = NULL;
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    enum quota_reason why = pipe ? meets(q, pipe->peer) : QUOTA_REASONS;
    if (why != QUOTA_REASONS) {
        quota_refuse(q, pipe->peer, why, now_ms);
        words = quota_reason_words(why);
    }
    pthread_mutex_unlock(&q->lock);
    return words;
}

void quota_download(struct quota *q, uint32_t id, enum download_place place, int64_t now_ms)
{
    if (place == DOWNLOAD_HAS)
        return;
    pthread_mutex_lock(&q->lock);
    struct quota_pipe *pipe = quota_find_pipe(q, id);
    if (pipe)
        quota_refuse(q, pipe->peer,
                     place == DOWNLOAD_PEER_HAS_MOST ? QUOTA_PEER_DOWNLOADS : QUOTA_DOWNLOADS,
                     now_ms);
    pthread_mutex_unlock(&q->lock);
}
