#include "primary/gate.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "primary/query.h"
#include "wire/statement.h"

enum { SIGNED_MS = 5 * 60 * 1000 }; /* how old, or how new, a signature may be */

/* ------------------------------------------------------------------ who it is */

static const struct access_subject nobody;
static const struct access_subject a_viewer = {.given = {{.role = ACCESS_VIEWER}},
                                               .given_count = 1};
static const struct access_subject an_admin = {.given = {{.role = ACCESS_ADMIN}}, .given_count = 1};

void claim_read(const struct frame_command *frame, const char *peer, struct claim *ret)
{
    *ret = (struct claim){.peer = strcmp(peer, "tls") == 0 ? PEER_TLS : PEER_NEAR,
                          .is_signed = frame->key.len > 0};
    if (strncmp(peer, "uid:", 4) == 0 && text_u64(peer + 4, &ret->uid) == HOIST_OK)
        ret->peer = PEER_USER;
    if (!ret->is_signed)
        return;
    ret->forged = !frame_command_is_signed(frame);
    ret->epoch = frame->epoch;
    ret->time_ms = frame->time_ms;
    memcpy(ret->key, frame->key.ptr, sizeof ret->key);
}

enum hoist_err gate_look(struct gate *g, struct store_read *r)
{
    return grants_load(&g->grants, r);
}

void gate_done(struct gate *g)
{
    grants_done(&g->grants);
}

/* Nobody granted this one anything. */
static const struct access_subject *anonymous_one(const struct gate *g, const struct claim *c)
{
    bool closed = g->anonymous != ANONYMOUS_OPEN || g->grants.any || c->peer == PEER_TLS;
    if (g->anonymous == ANONYMOUS_NONE)
        return &nobody;
    return closed ? &a_viewer : &an_admin;
}

static void name_stranger(const struct claim *c, struct person *p)
{
    char key[2 * SIGN_PUBLIC_SIZE + 1];
    text_hex(key, slice_of(c->key, sizeof c->key));
    if (c->is_signed) {
        snprintf(p->name, sizeof p->name, "the key %s, which is granted nothing,", key);
        snprintf(p->grant_by, sizeof p->grant_by, "--key %s", key);
    } else if (c->peer == PEER_USER) {
        snprintf(p->name, sizeof p->name, "user %" PRIu64, c->uid);
        snprintf(p->grant_by, sizeof p->grant_by, "--uid %" PRIu64, c->uid);
    } else {
        snprintf(p->name, sizeof p->name, "somebody who does not sign");
        snprintf(p->grant_by, sizeof p->grant_by, "--key PUB (flagctl key show)");
    }
}

void gate_person(const struct gate *g, const struct claim *c, struct person *ret)
{
    const struct access_subject *s = NULL;
    bool is_user = c->peer == PEER_USER;
    *ret = (struct person){0};
    if (c->is_signed)
        s = grants_by_key(&g->grants, slice_of(c->key, sizeof c->key));
    if (!s && is_user)
        s = grants_by_uid(&g->grants, c->uid);
    ret->subject = s;
    if (s) {
        snprintf(ret->name, sizeof ret->name, "%.*s", SLICE_ARG(s->name));
        snprintf(ret->author, sizeof ret->author, "%.*s", SLICE_ARG(s->name));
    } else {
        ret->subject = anonymous_one(g, c);
        name_stranger(c, ret);
    }
    /* Who can write the store's files needs nobody's leave. */
    if (is_user && (c->uid == 0 || c->uid == geteuid()))
        ret->subject = &an_admin;
    if (ret->subject == &a_viewer) {
        ret->hidden = c->hidden;
        ret->hidden_count = c->hidden_count;
    }
}

/* ------------------------------------------------------------------ refusing */

void gate_tell_denied(struct gate *g, const struct person *p, const struct access_need *need,
                      struct slice env, struct slice key, const char *why)
{
    denials_add(g->denials, &(struct denial){.who = p->name,
                                             .command = need->command,
                                             .role = access_role_name(access_role_for(need->right)),
                                             .env = env,
                                             .key = key,
                                             .why = why});
}

/* A name that somebody sent, which may be of any length: as much of it as a name can have. */
static struct slice cut(struct slice name)
{
    if (name.len <= FLAG_KEY_MAX)
        return name;
    name.len = FLAG_KEY_MAX;
    while (name.len > 0 && (name.ptr[name.len] & 0xc0) == 0x80) /* within a character */
        name.len--;
    return name;
}

/* " for production and flags under a.b", in words. */
static void say_reach(const struct access_need *need, struct slice env, struct slice key,
                      struct buf *out)
{
    if (need->reach == REACH_ALL)
        buf_add_str(out, " for all environments and flags");
    else if (need->reach != REACH_NONE && env.ptr)
        buf_printf(out, " for %.*s", SLICE_ARG(env));
    if (need->reach == REACH_WHOLE)
        buf_add_str(out, " and all of its flags");
    if (need->reach == REACH_FLAGS && key.ptr)
        buf_printf(out, ", where flag '%.*s' is", SLICE_ARG(key));
}

bool gate_allows(struct gate *g, const struct person *p, const struct access_need *need,
                 struct slice env, struct slice key, struct buf *out, uint32_t *ret_exit)
{
    if (access_allows(p->subject, need, env, key) &&
        !slice_is_among(p->hidden, p->hidden_count, env))
        return true;
    env = cut(env);
    key = cut(key);
    const char *role = access_role_name(access_role_for(need->right));
    struct buf why = BUF_INIT(2048), mend = BUF_INIT(1024);
    buf_printf(&why, "%s may not %s: that takes the role %s", p->name, need->command, role);
    say_reach(need, env, key, &why);
    buf_printf(&mend, "an admin can grant it: flagctl access grant %s %s",
               *p->author ? p->author : "NAME", role);
    if (need->reach != REACH_ALL && env.ptr)
        buf_printf(&mend, " --env %.*s", SLICE_ARG(env));
    if (!*p->author)
        buf_printf(&mend, " %s", p->grant_by);
    *ret_exit =
        query_error(out, EXIT_REFUSED, "denied", NULL, buf_str(&mend), NULL, "%s", buf_str(&why));
    gate_tell_denied(g, p, need, env, key, buf_str(&why));
    buf_done(&why);
    buf_done(&mend);
    return false;
}

uint64_t gate_epoch(struct store_read *r, const char *const *hidden, uint32_t hidden_count)
{
    struct store_env env;
    uint64_t epoch = 0;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        if (env.epoch > epoch && !slice_is_among(hidden, hidden_count, slice_str(env.name)))
            epoch = env.epoch;
    return epoch;
}

static bool check_forged(struct gate *g, const struct claim *c, const struct access_need *need,
                         struct buf *out, uint32_t *ret_exit)
{
    struct person p = {.subject = &nobody};
    static const char why[] = "the signature of this command is not that of the key it names";
    if (!c->forged)
        return true;
    name_stranger(c, &p);
    *ret_exit = query_error(out, EXIT_REFUSED, "denied", NULL,
                            "sign it with that key: flagctl --identity FILE", NULL, "%s", why);
    gate_tell_denied(g, &p, need, (struct slice){0}, (struct slice){0}, why);
    return false;
}

bool gate_check_signature(struct gate *g, const struct claim *c, const struct access_need *need,
                          struct store_read *r, int64_t wall_ms, struct buf *out,
                          uint32_t *ret_exit)
{
    static const char mend[] = "sign it anew: flagctl does so by itself, once";
    if (!c->is_signed)
        return true;
    if (!check_forged(g, c, need, out, ret_exit))
        return false;
    uint64_t epoch = gate_epoch(r, c->hidden, c->hidden_count);
    int64_t age_ms;
    if (c->epoch != epoch)
        *ret_exit = query_error(out, EXIT_CONFLICT, GATE_OLD_SIGNATURE, NULL, mend, NULL,
                                "the primary has moved on: the command was signed in epoch "
                                "%016" PRIx64 ", now it is %016" PRIx64,
                                c->epoch, epoch);
    else if (__builtin_sub_overflow(wall_ms, c->time_ms, &age_ms) || age_ms > SIGNED_MS ||
             age_ms < -SIGNED_MS)
        *ret_exit = query_error(out, EXIT_CONFLICT, GATE_OLD_SIGNATURE, NULL, mend, NULL,
                                "the command was signed more than %d minutes ago by the primary's "
                                "clock, or is to come",
                                SIGNED_MS / 60000);
    else
        return true;
    return false;
}
