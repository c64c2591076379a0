#include "http/streams.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/counts.h"

enum {
    BLOCK_SIZE = 1024, /* what libmicrohttpd may ask for at once, */
    TEXT_MAX = 200,    /* and what it has room for at least; an event is shorter */
    TICK_MS = 1000,
    BLIND_TICK_MS = 100, /* where commits cannot be watched */
    EVENTS_MAX = 64,
    ID_SIZE = 40,
    WATCH = 0, /* what epoll calls the descriptor of commits, and … */
    WAKE = 1,  /* … ours; streams count from 2 */
};

struct stream {
    struct stream *prev, *next;
    struct streams *all;
    struct env *env;
    struct share *share;
    struct MHD_Connection *connection;
    uint64_t id; /* for epoll */
    int fd;
    bool greeted, suspended, gone;
    int64_t wrote_ms;
    char told[ID_SIZE]; /* the id of the last event, which the client has */
};

struct streams {
    struct envs *envs;
    struct peers *peers;
    struct shares *shares;
    pthread_mutex_t lock; /* of all below, and of what an env has for us */
    struct stream *first;
    uint32_t count;
    uint64_t next_id, round;
    bool ending;
    struct env *watched; /* any will do: commits of all environments wake it */
    int watch_fd, wake_fd, epoll_fd;
    pthread_t thread;
    bool running;
};

/* ------------------------------------------------------------------ what is written */

static void head_id(const struct client_head *head, char out[ID_SIZE])
{
    snprintf(out, ID_SIZE, "%016" PRIx64 "-%" PRIu64, head->epoch, head->version);
}

/* Under the lock. */
static bool is_behind(const struct stream *t)
{
    char id[ID_SIZE];
    head_id(&t->env->head, id);
    return strcmp(t->told, id) != 0;
}

static bool is_due(const struct stream *t, int64_t now)
{
    return now - t->wrote_ms >= STREAM_KEEP_ALIVE_MS;
}

/* The next bytes for the client; 0: there is nothing to say. Under the lock. */
static size_t next_text(struct stream *t, char *buf, size_t max)
{
    int64_t now = clock_mono_ms();
    int len = 0;
    if (is_behind(t)) {
        head_id(&t->env->head, t->told);
        len =
            snprintf(buf, max, "id: %s\nevent: message\ndata: {\"type\":\"refetchEvaluation\"}\n\n",
                     t->told);
        counts_event();
    } else if (!t->greeted || is_due(t, now)) {
        len = snprintf(buf, max, ": %s\n\n", t->greeted ? "still here" : "nothing has changed");
    }
    t->greeted = true;
    if (len > 0)
        t->wrote_ms = now;
    return (size_t)len;
}

/* libmicrohttpd wants bytes to send. Without any, the connection sleeps until resume(). */
static ssize_t read_stream(void *arg, uint64_t at, char *buf, size_t max)
{
    struct stream *t = arg;
    struct streams *s = t->all;
    (void)at;
    if (max < TEXT_MAX)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    pthread_mutex_lock(&s->lock);
    ssize_t len = t->gone ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    if (!t->gone && !s->ending) {
        len = (ssize_t)next_text(t, buf, max);
        if (len == 0) {
            t->suspended = true;
            MHD_suspend_connection(t->connection);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return len;
}

/* Under the lock. */
static void resume(struct stream *t)
{
    if (!t->suspended)
        return;
    t->suspended = false;
    MHD_resume_connection(t->connection);
}

/* ------------------------------------------------------------------ commits, and clients that leave */

/* Whether the environment has moved on. Under the lock. */
static bool look_at(struct env *env)
{
    struct client_head head;
    if (client_head(env->hoist, &head) ||
        (head.epoch == env->head.epoch && head.version == env->head.version))
        return false;
    env->head = head;
    return true;
}

static void tell_of(struct streams *s, const struct env *env)
{
    for (struct stream *t = s->first; t; t = t->next)
        if (t->env == env)
            resume(t);
}

/* Each environment is looked at once, through the first of its streams. */
static void look_at_all(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    s->round++;
    for (struct stream *t = s->first; t; t = t->next) {
        if (t->env->looked == s->round)
            continue;
        t->env->looked = s->round;
        if (look_at(t->env))
            tell_of(s, t->env);
    }
    pthread_mutex_unlock(&s->lock);
}

static void keep_alive(struct streams *s)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&s->lock);
    for (struct stream *t = s->first; t; t = t->next)
        if (is_due(t, now))
            resume(t);
    pthread_mutex_unlock(&s->lock);
}

/* A suspended connection is not listened to, so that its client is gone is seen here. */
static void hung_up(struct streams *s, uint64_t id)
{
    pthread_mutex_lock(&s->lock);
    for (struct stream *t = s->first; t; t = t->next) {
        if (t->id == id) {
            t->gone = true;
            resume(t);
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static bool is_ending(struct streams *s)
{
    pthread_mutex_lock(&s->lock);
    bool ending = s->ending;
    pthread_mutex_unlock(&s->lock);
    return ending;
}

static void *run(void *arg)
{
    struct streams *s = arg;
    struct epoll_event events[EVENTS_MAX];
    int64_t ticked = clock_mono_ms();
    bool blind = s->watched && s->watch_fd < 0;
    while (!is_ending(s)) {
        int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, blind ? BLIND_TICK_MS : TICK_MS);
        bool look = blind;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == WATCH)
                look = true;
            else if (events[i].data.u64 != WAKE)
                hung_up(s, events[i].data.u64);
        }
        if (look) {
            if (!blind)
                hoist_watch_clear(s->watched->hoist);
            look_at_all(s);
        }
        if (clock_mono_ms() - ticked < TICK_MS)
            continue;
        ticked = clock_mono_ms();
        keep_alive(s);
        peers_sweep(s->peers);
    }
    return NULL;
}

/* ------------------------------------------------------------------ one stream */

static void add(struct streams *s, struct stream *t)
{
    t->next = s->first;
    if (s->first)
        s->first->prev = t;
    s->first = t;
    counts_streams(++s->count);
}

static void drop(void *arg)
{
    struct stream *t = arg;
    struct streams *s = t->all;
    pthread_mutex_lock(&s->lock);
    epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, t->fd, NULL);
    if (t->prev)
        t->prev->next = t->next;
    else
        s->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    counts_streams(--s->count);
    pthread_mutex_unlock(&s->lock);
    shares_give(s->shares, t->share, SHARES_STREAMS, 1);
    mem_free(t);
}

static enum hoist_err admit(struct streams *s, struct stream *t)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT};
    enum hoist_err err = HOIST_OK;
    pthread_mutex_lock(&s->lock);
    event.data.u64 = t->id = s->next_id++;
    if (s->ending)
        err = err_set(HOIST_EBUSY, "the server ends");
    else if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, t->fd, &event) != 0)
        err = err_set(HOIST_EIO, "cannot watch a stream's connection: %s", strerror(errno));
    if (!err) {
        /* Others of this environment may still be behind what is found now. */
        if (look_at(t->env))
            tell_of(s, t->env);
        add(s, t);
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

enum hoist_err streams_open(struct streams *s, struct env *env, struct MHD_Connection *connection,
                            int fd, struct share *share, const char *last_event_id,
                            struct MHD_Response **ret)
{
    struct stream *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return err_set(HOIST_ENOMEM, "out of memory");
    *t = (struct stream){.all = s, .env = env, .share = share, .connection = connection, .fd = fd};
    if (last_event_id)
        snprintf(t->told, sizeof t->told, "%s", last_event_id);
    const char *why = shares_take(s->shares, share, SHARES_STREAMS, 1);
    if (why) {
        mem_free(t);
        return err_set(HOIST_EBUSY, "%s", why);
    }
    enum hoist_err err = admit(s, t);
    if (err) {
        shares_give(s->shares, share, SHARES_STREAMS, 1);
        mem_free(t);
        return err;
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, read_stream, t, drop);
    if (!response) {
        drop(t);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    *ret = response;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ begin and end */

static bool poll_fd(struct streams *s, int fd, uint64_t called)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = called};
    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static enum hoist_err begin(struct streams *s)
{
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool ok = s->epoll_fd >= 0 && s->wake_fd >= 0 && poll_fd(s, s->wake_fd, WAKE);
    if (ok && s->envs) {
        enum hoist_err err = envs_find(s->envs, SLICE(""), &s->watched);
        if (err)
            return err;
        s->watch_fd = hoist_watch_fd(s->watched->hoist);
        if (s->watch_fd < 0)
            log_warn("http: %s; looking every %d ms instead", err_last(), BLIND_TICK_MS);
        else
            ok = poll_fd(s, s->watch_fd, WATCH);
    }
    int rc = ok ? pthread_create(&s->thread, NULL, run, s) : errno;
    s->running = ok && rc == 0;
    return s->running ? HOIST_OK
                      : err_set(HOIST_EIO, "cannot begin the thread of the event streams: %s",
                                strerror(rc));
}

enum hoist_err streams_new(struct envs *envs, struct peers *peers, struct shares *shares,
                           struct streams **ret)
{
    struct streams *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "out of memory");
    *s = (struct streams){.envs = envs,
                          .peers = peers,
                          .shares = shares,
                          .next_id = WAKE + 1,
                          .watch_fd = -1,
                          .wake_fd = -1,
                          .epoll_fd = -1};
    pthread_mutex_init(&s->lock, NULL);
    enum hoist_err err = begin(s);
    if (err)
        streams_free(s);
    else
        *ret = s;
    return err;
}

void streams_end(struct streams *s)
{
    uint64_t one = 1;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    for (struct stream *t = s->first; t; t = t->next)
        resume(t);
    pthread_mutex_unlock(&s->lock);
    if (s->running && write(s->wake_fd, &one, sizeof one) == sizeof one)
        pthread_join(s->thread, NULL);
    s->running = false;
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd); /* the watch's is the handle's */
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
