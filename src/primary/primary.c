#include "primary/primary.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "primary/drill.h"
#include "primary/evaluations.h"
#include "primary/keys.h"
#include "primary/ledger.h"
#include "primary/primary_int.h"
#include "primary/query.h"
#include "primary/query_fleet.h"
#include "primary/query_release.h"
#include "primary/query_top.h"
#include "primary/succession.h"
#include "repl/status.h"

enum { LONG_BODY = 64 << 10 }; /* a command of so many bytes is read on the reader's thread */

static const double txn_buckets[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    0};

/* ------------------------------------------------------------------ jobs */

/* The user's name; looked up here and not where the command came in, since that must not wait. */
static void user_name(struct primary *p, uid_t uid, char out[CHANGE_AUTHOR_MAX + 1])
{
    pthread_mutex_lock(&p->user_lock);
    if (p->user_id != uid || !p->user[0]) {
        struct passwd entry, *found = NULL;
        char room[4096];
        if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found)
            snprintf(p->user, sizeof p->user, "%.*s", CHANGE_AUTHOR_MAX, entry.pw_name);
        else
            snprintf(p->user, sizeof p->user, "uid %ju", (uintmax_t)uid);
        p->user_id = uid;
    }
    memcpy(out, p->user, sizeof p->user);
    pthread_mutex_unlock(&p->user_lock);
}

void job_claim(const struct job *j, struct claim *ret)
{
    claim_read(&j->frame, j->peer, ret);
    if (j->request)
        ret->hidden = server_hidden(j->request, &ret->hidden_count);
}

enum hoist_err job_read(struct primary *p, struct job *j)
{
    struct claim claim;
    char author[CHANGE_AUTHOR_MAX + 1] = "unknown";
    uint64_t uid;
    if (j->command)
        return HOIST_OK;
    if (strncmp(j->peer, "uid:", 4) == 0 && text_u64(j->peer + 4, &uid) == HOIST_OK)
        user_name(p, (uid_t)uid, author);
    enum hoist_err err = command_new(&j->frame, author, &j->command);
    if (err != HOIST_OK)
        return err;
    job_claim(j, &claim);
    return command_claim(j->command, &j->frame, &claim);
}

static void job_free(struct job *j)
{
    command_free(j->command);
    mem_free(j->round);
    answer_done(&j->answer);
    arena_done(&j->own);
    mem_free(j);
}

void job_answer(struct job *j)
{
    enum hoist_err err = buf_err(&j->answer.body);
    if (err != HOIST_OK)
        j->answer.exit = query_fail(&j->answer.body, err, NULL);
    if (j->request)
        server_reply(j->request, j->answer.exit, buf_slice(&j->answer.body));
    else
        j->done(j->done_arg, &j->answer);
    job_free(j);
}

void job_drop(struct job *j)
{
    if (j->request)
        server_drop(j->request);
    else
        j->done(j->done_arg, NULL);
    job_free(j);
}

/* ------------------------------------------------------------------ what comes by rpc */

static enum hoist_err on_command(void *arg, struct server_request *request,
                                 const struct frame_command *frame, const char *peer)
{
    struct primary *p = arg;
    bool change = command_is(frame->name);
    if (!change && !query_is(frame->name) && !fleet_is_question(frame->name) &&
        !top_is_question(frame->name) && !release_is_question(frame->name) &&
        !slice_eq(frame->name, SLICE("status")) && !slice_eq(frame->name, SLICE("keys")))
        return err_set(HOIST_EINVAL, "this primary (%s) knows no command '%.*s'", p->software,
                       SLICE_ARG(frame->name));
    if (atomic_load(&p->stopping))
        return err_set(HOIST_EBUSY, "this primary is stopping; nothing was done, try again");
    struct job *j = mem_zalloc(1, sizeof *j);
    if (!j)
        return err_set(HOIST_ENOMEM, "out of memory");
    j->request = request;
    j->asker = server_asker(request);
    j->frame = *frame;
    j->asked_ns = clock_mono_ns();
    j->answer = ANSWER_INIT;
    snprintf(j->peer, sizeof j->peer, "%s", peer);
    struct queue *q = change && frame->body.len < LONG_BODY ? &p->changes : &p->questions;
    if (queue_push(q, &j->item, frame->body.len))
        return HOIST_OK;
    mem_free(j);
    return err_set(HOIST_EBUSY, "too many commands wait at this primary; nothing was done, try "
                                "again");
}

static void on_told(void *arg, const struct told_host *told)
{
    struct primary *p = arg;
    struct store_read *r;
    int64_t now_ns = clock_mono_ns();
    /* A host says it again in two seconds. */
    if (store_read_begin(p->store, false, &r) != HOIST_OK)
        return;
    fleet_heard(p->fleet, r, told, now_ns);
    store_read_end(r);
}

/* ------------------------------------------------------------------ environments */

static enum hoist_err make_env(struct store *s, const struct sign_key *key, const char *name)
{
    struct store_write *w;
    struct store_env env;
    struct buf change = BUF_INIT(4096);
    struct change_header head = {.time_ms = clock_wall_ms(), .author = SLICE("hoistd")};
    enum hoist_err err = flag_env_check(slice_str(name));
    if (err == HOIST_OK && access_env_is_own(slice_str(name)))
        err = err_set(HOIST_EINVAL, "names that begin with " ACCESS_OWN_PREFIX " are Hoist's own");
    if (err == HOIST_OK)
        err = store_write_begin(s, &w);
    if (err != HOIST_OK)
        return err;
    if (store_env_get(store_write_read(w), name, &env) == HOIST_OK) {
        store_write_abort(w);
        return HOIST_OK;
    }
    err = command_make_env(w, key, name, &head, &env, &change);
    if (err == HOIST_OK)
        err = store_write_commit(w);
    else
        store_write_abort(w);
    buf_done(&change);
    return err;
}

static bool has_envs(struct store *s)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(s, false, &r) != HOIST_OK)
        return true;
    bool has = store_env_at(r, 0, &env) == HOIST_OK;
    store_read_end(r);
    return has;
}

static enum hoist_err make_envs(struct store *s, const struct primary_config *config)
{
    if (config->env_count == 0)
        return has_envs(s) ? HOIST_OK : make_env(s, config->key, "production");
    for (uint32_t i = 0; i < config->env_count; i++) {
        enum hoist_err err = make_env(s, config->key, config->envs[i]);
        if (err != HOIST_OK)
            return err_prefix(err, "environment '%s'", config->envs[i]);
    }
    return store_env_order(s, config->envs, config->env_count);
}

/* What is in the store: after a failure of the disk this is what it kept. */
static enum hoist_err look_at_envs(struct primary *p)
{
    struct store_read *r;
    struct store_env env;
    enum hoist_err err = store_read_begin(p->store, false, &r);
    if (err != HOIST_OK)
        return err;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++) {
        log_info("primary: %s is at version %" PRIu64 ", epoch %016" PRIx64 ", %" PRIu64 " flags",
                 env.name, env.head, env.epoch, env.flags);
        primary_metrics_env(p, env.name);
        primary_metrics_drill(p, env.name, drill_last_ms(r, &env));
    }
    store_read_end(r);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ life */

static void primary_free(struct primary *p)
{
    fleet_free(p->fleet);
    releases_close(p->releases);
    gate_done(&p->reader_gate);
    gate_done(&p->writer_gate);
    denials_free(p->denials);
    alert_rules_done(&p->alert_rules);
    killed_done(&p->killed);
    mem_free(p->env_metrics);
    mem_free(p->id);
    mem_free(p->software);
    mem_free(p->role);
    pthread_mutex_destroy(&p->user_lock);
    queue_done(&p->changes);
    queue_done(&p->questions);
    mem_free(p);
}

static enum hoist_err primary_new(struct store *s, const struct primary_config *config,
                                  struct primary **ret)
{
    struct primary *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = queue_init(&p->changes, JOBS_MAX, JOBS_BYTES_MAX);
    if (err != HOIST_OK) {
        mem_free(p);
        return err;
    }
    err = queue_init(&p->questions, JOBS_MAX, JOBS_BYTES_MAX);
    if (err != HOIST_OK) {
        queue_done(&p->changes);
        mem_free(p);
        return err;
    }
    pthread_mutex_init(&p->user_lock, NULL);
    p->store = s;
    p->id = mem_dup_str(config->id);
    p->software = mem_dup_str(config->software);
    p->role = mem_dup_str(config->role);
    p->key = config->key;
    p->sums = config->sums;
    p->guards = config->guards;
    p->txn_duration = metric_series(
        METRIC_HISTOGRAM, "hoist_txn_duration_seconds",
        "Time of a write transaction, from its begin to the end of its commit.", "", txn_buckets);
    err = p->id && p->software && p->role ? fleet_new(&p->fleet)
                                          : err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK)
        fleet_sign_with(p->fleet, p->key);
    if (err == HOIST_OK)
        err = denials_new(&p->denials);
    if (err == HOIST_OK)
        err = webhook_begin(p, config);
    if (err != HOIST_OK) {
        primary_free(p);
        return err;
    }
    p->reader_gate = (struct gate){.anonymous = config->anonymous, .denials = p->denials};
    p->writer_gate = p->reader_gate;
    *ret = p;
    return HOIST_OK;
}

static enum hoist_err start_thread(pthread_t *thread, void *(*run)(void *), struct primary *p)
{
    int rc = pthread_create(thread, NULL, run, p);
    return rc == 0 ? HOIST_OK : err_set(HOIST_EIO, "primary: no thread: %s", strerror(rc));
}

static void drop_all(struct queue *q)
{
    struct queue_item *item = queue_take(q, 0);
    while (item) {
        struct job *j = (struct job *)item;
        item = item->next;
        job_drop(j);
    }
}

static void close_queues(struct primary *p)
{
    atomic_store(&p->stopping, true);
    queue_close(&p->questions);
    queue_close(&p->changes);
}

static enum hoist_err start_threads(struct primary *p)
{
    enum hoist_err err = start_thread(&p->writer, writer_main, p);
    if (err != HOIST_OK) {
        close_queues(p);
        return err;
    }
    err = start_thread(&p->reader, reader_main, p);
    if (err != HOIST_OK) {
        close_queues(p);
        pthread_join(p->writer, NULL);
    }
    return err;
}

static enum hoist_err start_server(struct primary *p, struct store *s,
                                   const struct primary_config *config,
                                   const struct private_listener *at)
{
    struct server_config server = {.listen = at ? &at->url : config->listen,
                                   .listen_count = at ? 1 : config->listen_count,
                                   .stream = at ? NULL : config->stream,
                                   .hidden = at ? at->hidden : p->privates.envs,
                                   .hidden_count = at ? at->hidden_count : p->privates.env_count,
                                   .tls = at ? config->private_tls : config->tls,
                                   .downloads = p->downloads,
                                   .beats = &p->beats,
                                   .id = p->id,
                                   .software = p->software,
                                   .heartbeat_ms = config->heartbeat_ms,
                                   .shared_quota = p->quota,
                                   .key = config->key,
                                   .command = on_command,
                                   .told = on_told,
                                   .sums = p->sums,
                                   .arg = p};
    enum hoist_err err = server_start(s, &server, &p->servers[p->server_count]);
    p->server_count += err == HOIST_OK;
    return err;
}

static enum hoist_err start_servers(struct primary *p, struct store *s,
                                    const struct primary_config *config)
{
    enum hoist_err err = privates_read(config->privates, config->private_count, &p->privates);
    if (err != HOIST_OK)
        return err;
    p->servers = mem_zalloc(1 + p->privates.listener_count, sizeof *p->servers);
    if (!p->servers)
        return err_set(HOIST_ENOMEM, "out of memory");
    err = downloads_new(s, &p->downloads);
    if (err == HOIST_OK)
        err = quota_new(&config->quota, &p->quota);
    if (err == HOIST_OK)
        err = start_server(p, s, config, NULL);
    for (uint32_t i = 0; i < p->privates.listener_count && err == HOIST_OK; i++)
        err = start_server(p, s, config, &p->privates.listeners[i]);
    for (uint32_t i = 0; i < config->private_count && err == HOIST_OK; i++)
        log_info("primary: private is %s: it is given out there and nowhere else",
                 config->privates[i]);
    return err;
}

static void stop_servers(struct primary *p)
{
    for (uint32_t i = 0; i < p->server_count; i++)
        server_stop(p->servers[i]);
    mem_free(p->servers);
    quota_free(p->quota);
    downloads_free(p->downloads);
    privates_done(&p->privates);
}

enum hoist_err primary_start(struct store *s, const struct primary_config *config,
                             struct primary **ret)
{
    struct primary *p = NULL;
    enum hoist_err err = primary_new(s, config, &p);
    if (err != HOIST_OK)
        return err;
    err = keys_check_own(s, config->key);
    if (err == HOIST_OK)
        err = succession_take_over(s, config->key, config->key_named);
    if (err == HOIST_OK)
        err = make_envs(s, config);
    if (err == HOIST_OK)
        err = look_at_envs(p);
    if (err == HOIST_OK)
        err = ledger_load(p->fleet, s, clock_mono_ns());
    if (err == HOIST_OK)
        err = releasing_begin(p);
    if (err == HOIST_OK && p->sums)
        err = evaluations_begin(s, clock_wall_ms());
    if (err == HOIST_OK)
        err = start_servers(p, s, config);
    if (err == HOIST_OK)
        err = start_threads(p);
    if (err != HOIST_OK) {
        drop_all(&p->questions);
        drop_all(&p->changes);
        stop_servers(p);
        primary_free(p);
        return err;
    }
    metrics_on_write(primary_metrics_update, p);
    releasing_metrics(p->releases);
    *ret = p;
    return HOIST_OK;
}

enum hoist_err primary_renew(struct primary *p, struct net_tls *tls, struct net_tls *private_tls)
{
    enum hoist_err err = HOIST_OK;
    for (uint32_t i = 0; i < p->server_count && err == HOIST_OK; i++)
        err = server_renew(p->servers[i], i == 0 ? tls : private_tls);
    if (err == HOIST_OK)
        server_close_old(p->servers, p->server_count);
    return err;
}

void primary_stop(struct primary *p)
{
    if (!p)
        return;
    metrics_off_write(primary_metrics_update, p);
    releasing_metrics(NULL);
    /* The reader first: what it has read goes on to the writer. */
    atomic_store(&p->stopping, true);
    queue_close(&p->questions);
    pthread_join(p->reader, NULL);
    queue_close(&p->changes);
    pthread_join(p->writer, NULL);
    stop_servers(p);
    writer_keep_evaluations(p);
    primary_free(p);
}

/* All environments, once one of them was set back; until then status knows them from the store. */
static enum hoist_err note_set_back(struct primary *p, struct arena *arena, struct status *status)
{
    struct store_read *r;
    struct store_env env;
    uint32_t count = 0;
    bool any = false;
    enum hoist_err err = store_read_begin(p->store, false, &r);
    if (err != HOIST_OK)
        return err;
    while (store_env_at(r, count, &env) == HOIST_OK)
        count++;
    struct status_env *envs = arena_alloc(arena, count + 1, sizeof *envs);
    for (uint32_t n = 0; envs && n < count && store_env_at(r, n, &env) == HOIST_OK; n++) {
        char why[FLEET_WHY_SIZE] = "";
        bool set_back = fleet_set_back(p->fleet, env.name, env.epoch, why);
        struct slice name = slice_str(env.name), sentence = slice_str(why);
        if (arena_own(arena, &name) != HOIST_OK || arena_own(arena, &sentence) != HOIST_OK)
            envs = NULL;
        else
            envs[n] = (struct status_env){.name = (const char *)name.ptr,
                                          .state = set_back ? ENV_REFUSING : ENV_CURRENT,
                                          .head = env.head,
                                          .why = (const char *)sentence.ptr};
        any |= set_back;
    }
    store_read_end(r);
    if (!envs)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (any) {
        status->envs = envs;
        status->env_count = count;
    }
    return HOIST_OK;
}

enum hoist_err primary_status_text(struct primary *p, size_t limit, struct buf *out)
{
    struct status status = {.host = p->id, .role = p->role, .software = p->software};
    struct arena arena = {0};
    enum hoist_err err = note_set_back(p, &arena, &status);
    if (err == HOIST_OK)
        err = status_write(p->store, &status, limit, out);
    arena_done(&arena);
    return err;
}

enum hoist_err primary_status(struct primary *p, struct buf *out)
{
    return primary_status_text(p, 0, out);
}

bool primary_is_broken(const struct primary *p)
{
    return atomic_load(&p->broken);
}
