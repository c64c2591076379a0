#include "primary/succession.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "primary/command_int.h"
#include "primary/keys.h"
#include "release/plan.h"

/* ------------------------------------------------------------------ new epochs */

static enum hoist_err begin_all(struct store_write *w, const struct sign_key *key,
                                const char *message, uint32_t *ret_count)
{
    struct buf change = BUF_INIT(1 << 20);
    struct store_env env;
    enum hoist_err err = HOIST_OK;
    int64_t now_ms = clock_wall_ms();
    uint32_t n = 0;
    while (!err && (err = store_env_at(store_write_read(w), n, &env)) == HOIST_OK) {
        struct change_header head = {
            .time_ms = now_ms, .author = SLICE("hoistd"), .message = slice_str(message)};
        uint64_t old = env.epoch;
        buf_clear(&change);
        err = command_begin_epoch(w, key, &head, 0, &env, &change);
        if (!err)
            log_info("primary: %s goes on at version %" PRIu64 " in the new epoch %016" PRIx64
                     "; the one before it was %016" PRIx64,
                     env.name, head.version, env.epoch, old);
        n++;
    }
    buf_done(&change);
    if (err != HOIST_ENOTFOUND)
        return err;
    *ret_count = n;
    return HOIST_OK;
}

enum hoist_err succession_begin(struct store *s, const struct sign_key *key, const char *message,
                                uint32_t *ret_count)
{
    struct store_write *w;
    uint32_t count = 0;
    enum hoist_err err = store_write_begin(s, &w);
    if (err)
        return err;
    err = begin_all(w, key, message, &count);
    if (!err)
        err = store_own(w);
    if (err) {
        store_write_abort(w);
        return err;
    }
    err = store_write_commit(w);
    if (!err)
        *ret_count = count;
    return err;
}

/* ------------------------------------------------------------------ whose it is */

/* Chain and digests follow from the newest changes: hosts check them, and store_check(). */
static enum hoist_err check_heads(struct store_read *r, const struct sign_key *key)
{
    char name[KEY_SHORT_SIZE];
    struct trust trust;
    struct store_env env;
    bool is_signed;
    enum hoist_err err = keys_trusted(r, key, &trust);
    key_short(key->public, name);
    for (uint32_t n = 0; err == HOIST_OK && store_env_at(r, n, &env) == HOIST_OK; n++)
        if (!keys_signed_head(r, &env, &trust, &is_signed))
            return err_set(HOIST_EINVAL,
                           "--sign-key: the last change of %s is %s: by a new epoch key %s would "
                           "vouch for all of it. If the primary signed with another key then, "
                           "name that one",
                           env.name,
                           is_signed ? "signed neither by this key nor by one that it leads to"
                                     : "not signed",
                           name);
    return err;
}

/* ------------------------------------------------------------------ from a follower's store */

/* Records that the old primary's software wrote and this one cannot read go on to the hosts as they
 * are; only here they are not evaluated. */
static void tell_held(struct store *s)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(s, false, &r) != HOIST_OK)
        return;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        if (env.held > 0)
            log_warn("primary: %" PRIu64
                     " flags of %s are of a newer Hoist than this one. Hosts get "
                     "them as they are; to edit them, upgrade this primary",
                     env.held, env.name);
    store_read_end(r);
}

/* ------------------------------------------------------------------ releases that nobody runs now */

enum { RELEASES_TOLD_MAX = 20, AUTHOR_SIZE = RELEASE_NAME_MAX + sizeof "release " };

struct authors {
    char names[RELEASES_TOLD_MAX][AUTHOR_SIZE];
    uint32_t count;
};

/* False: it is no release, was there already, or there is no room for more. */
static bool add_release(struct authors *a, struct slice author)
{
    char name[AUTHOR_SIZE];
    if (author.len >= sizeof name || a->count == RELEASES_TOLD_MAX)
        return false;
    snprintf(name, sizeof name, "%.*s", SLICE_ARG(author));
    if (strncmp(name, "release ", strlen("release ")) != 0)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->names[i], name) == 0)
            return false;
    memcpy(a->names[a->count++], name, sizeof name);
    return true;
}

/* Of each release in the log the newest change, unless that was its way back. */
static void tell_releases_of(struct store_read *r, const struct store_env *env)
{
    struct authors authors = {0};
    struct slice bytes;
    struct change c;
    for (uint64_t v = env->head; v > 0 && v >= env->log_first; v--) {
        if (store_log_get(r, env->id, v, &bytes) != HOIST_OK ||
            change_decode(bytes, &c) != HOIST_OK)
            return;
        if (c.head.kind != CHANGE_RELEASE && c.head.kind != CHANGE_ROLLBACK)
            continue;
        if (add_release(&authors, c.head.author) && c.head.kind == CHANGE_RELEASE)
            log_warn("primary: %.*s changed flags of %s last in version %" PRIu64
                     " (%.*s). If it had not ended, nobody runs it any more, and they stay as they "
                     "are until somebody sets them: docs/releases.md, 'Its primary is lost'",
                     SLICE_ARG(c.head.author), env->name, v, SLICE_ARG(c.head.message));
    }
}

static void tell_releases(struct store *s)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(s, false, &r) != HOIST_OK)
        return;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        tell_releases_of(r, &env);
    store_read_end(r);
}

static enum hoist_err check_follower(struct store *s, const struct sign_key *key)
{
    struct store_read *r;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err)
        return err;
    err = check_heads(r, key);
    store_read_end(r);
    if (err == HOIST_EINVAL)
        err = err_set(
            err, "%s; to go on from it all the same: flagctl backup, then hoistd recover --force",
            err_last());
    return err;
}

enum hoist_err succession_take_over(struct store *s, const struct sign_key *key, bool trusted)
{
    uint32_t count;
    if (!store_was_follower(s))
        return HOIST_OK;
    enum hoist_err err = trusted ? check_follower(s, key) : HOIST_OK;
    if (!err)
        err = succession_begin(s, key, "taken over from a follower's store", &count);
    if (err)
        return err_prefix(err, "the store cannot be taken over");
    log_warn("primary: took over a store that followed: %" PRIu32 " environments; what the old "
             "primary had beyond it is lost, and its hosts follow once they are pointed here",
             count);
    tell_held(s);
    tell_releases(s);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ from a backup */

static void tell_fault(void *arg, const struct store_fault *fault)
{
    uint64_t *told = arg;
    enum { TOLD_MAX = 20 };
    if ((*told)++ < TOLD_MAX)
        log_error("hoistd: the backup has a fault in '%s'%s%s: %s", fault->database,
                  *fault->env ? " of " : "", fault->env, fault->what);
}

static enum hoist_err check_whole(struct store_read *r, bool force)
{
    struct store_checked sums;
    uint64_t told = 0;
    enum hoist_err err = store_check(r, tell_fault, &told, &sums);
    if (!err && sums.faults > 0 && !force)
        err = err_set(HOIST_ECORRUPT,
                      "the store that the backup was made of had %" PRIu64
                      " faults; take an older backup, or a host's store (hoistd primary "
                      "--take-over), or this one all the same: --force",
                      sums.faults);
    return err;
}

static enum hoist_err check_whose(struct store_read *r, const struct sign_key *key, bool force)
{
    enum hoist_err err = keys_judge(r, key);
    if (err)
        return err;
    err = check_heads(r, key);
    if (err != HOIST_EINVAL)
        return err;
    if (!force)
        return err_set(err, "%s; to take the backup all the same: --force", err_last());
    log_warn("hoistd: taken all the same: %s", err_last());
    return HOIST_OK;
}

static enum hoist_err check(struct store *s, const struct sign_key *key, bool force)
{
    struct store_read *r;
    enum hoist_err err = store_read_begin(s, false, &r);
    if (err)
        return err;
    err = check_whole(r, force);
    if (!err && key)
        err = check_whose(r, key, force);
    store_read_end(r);
    return err;
}

enum hoist_err succession_recover(const char *dir, int fd, const struct sign_key *key, bool force,
                                  struct store_backup_info *ret)
{
    struct store *s = NULL;
    const struct store_options o = {.write = true, .primary = true, .quota_bytes = UINT64_MAX / 2};
    char message[64 + TEXT_TIME_SIZE], time[TEXT_TIME_SIZE];
    uint32_t count;
    enum hoist_err err = store_recover_begin(dir, &o, fd, &s, ret);
    if (err)
        return err;
    text_time(time, ret->time_ms);
    snprintf(message, sizeof message, "recovered from a backup of %s", time);
    err = check(s, key, force);
    if (!err)
        err = succession_begin(s, key, message, &count);
    if (!err)
        err = store_recover_finish(s);
    if (err)
        store_recover_abort(s);
    else
        store_close(s);
    return err;
}
