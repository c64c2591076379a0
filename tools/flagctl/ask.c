/* Who answers, and the asking. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/uuid.h"
#include "flag/json_read.h"
#include "flagctl.h"
#include "primary/gate.h"
#include "repl/net.h"
#include "repl/rpc.h"

static const char local_socket[] = "ipc:///run/hoist/primary.sock";

/* ------------------------------------------------------------------ who answers */

/* How near to the person an option was said: what is nearer wins. */
static int rank(const struct call *c, const char *option)
{
    static const char *const origins[] = {"argument", "environment", "file"};
    const char *origin = options_origin(c->options, option);
    int n = 0;
    while (n < 3 && (!origin || strcmp(origin, origins[n]) != 0))
        n++;
    return n;
}

/* How near it was said who the primary is: a bundle says so, too. */
static int primary_rank(const struct call *c)
{
    int primary = rank(c, "primary"), join = rank(c, "join");
    return join < primary ? join : primary;
}

enum hoist_err join_read(struct call *c)
{
    struct tls_files files = {0};
    const struct options *o = c->options;
    const char *join = options_get(o, "join");
    enum hoist_err err = tls_files_read(options_get(o, "tls-cert"), options_get(o, "tls-key"),
                                        options_get(o, "tls-ca"), &files);
    if (err)
        return err;
    bundle_done(&c->join);
    if (join && bundle_open(join, &c->join) != HOIST_OK) {
        tls_files_done(&files);
        return err_prefix(HOIST_EINVAL, "--join");
    }
    if (files.cert) {
        tls_files_done(&c->join.tls);
        c->join.tls = files;
    }
    return HOIST_OK;
}

/* Where the primary is: an option wins over the bundle, which is not needed without TLS. */
static enum hoist_err find_primary(struct call *c, const char **ret)
{
    const char *primary = options_get(c->options, "primary"),
               *join = options_get(c->options, "join");
    bool needed = primary ? net_is_tls(primary) : join != NULL;
    enum hoist_err err = needed ? join_read(c) : HOIST_OK;
    if (err)
        return err;
    if (!primary && join && c->join.upstream_count == 0)
        return err_set(HOIST_EINVAL,
                       "--join: %s names no upstream: give --primary, or make one with "
                       "hoistd certs issue --upstream",
                       join);
    *ret = primary ? primary : join ? c->join.upstreams[0] : local_socket;
    return HOIST_OK;
}

/* Whether the primary may be asked as it is named. */
static bool choose_primary(struct call *c)
{
    struct source to = {0};
    enum hoist_err err = find_primary(c, &to.where);
    if (!err && net_is_tls(to.where) && c->join.tls.cert)
        err = net_tls_new(&c->join.tls, options_get(c->options, "tls-server-name"), &to.tls);
    if (!err)
        err = net_check_use("--primary", to.where, to.tls != NULL,
                            options_on(c->options, "insecure"));
    net_tls_drop(c->source.tls);
    c->source = to; /* what it has is given back by source_close() */
    if (err)
        (void)show_failure(c, EXIT_INPUT, "input", NULL, "%s", err_last());
    return !err;
}

static bool choose_for_change(struct call *c)
{
    if (rank(c, "store") == 0) {
        (void)show_failure(c, EXIT_INPUT, "input", "name it by --primary, or leave --store out",
                           "'%s' goes to the primary, not to a store", c->sub->name);
        return false;
    }
    return choose_primary(c);
}

bool source_choose(struct call *c, bool change)
{
    int store = rank(c, "store"), primary = primary_rank(c);
    if (change)
        return choose_for_change(c);
    if (store == 0 && primary == 0) {
        (void)show_failure(c, EXIT_INPUT, "input", "give one of them",
                           "--store and --primary both say who answers");
        return false;
    }
    const char *dir = options_get(c->options, "store");
    /* Reads prefer a store where both are said equally near; the log is the primary's. */
    bool local = c->sub->of_primary ? store == 0 : store <= primary;
    if (local)
        c->source = (struct source){.local = true, .where = dir ? dir : c->store_dir};
    else
        return choose_for_change(c);
    return true;
}

bool source_is_absent(const struct call *c)
{
    const char *url = c->source.where;
    return strncmp(url, "ipc://", 6) == 0 && access(url + 6, F_OK) != 0 && errno == ENOENT;
}

void source_close(struct call *c)
{
    store_close(c->source.store);
    c->source.store = NULL;
    net_tls_drop(c->source.tls);
    c->source.tls = NULL;
    bundle_done(&c->join);
}

/* ------------------------------------------------------------------ replies */

void reply_done(struct reply *r)
{
    json_decref(r->body);
    buf_done(&r->text);
    *r = (struct reply){0};
}

void reply_put(struct reply *r, const char *name, json_t *value)
{
    json_object_set_new(r->body, name, value);
    char *text = value_text(r->body, false);
    buf_clear(&r->text);
    buf_add_str(&r->text, text ? text : "{}");
    mem_free(text);
}

static struct reply new_reply(void)
{
    return (struct reply){.text = BUF_INIT(FRAME_COMMAND_MAX)};
}

/* The text of a reply as a tree. */
static void read_body(struct reply *r)
{
    if (json_read(buf_slice(&r->text), &r->body) == HOIST_OK)
        return;
    r->exit = query_error(&r->text, EXIT_NO, "corrupt", NULL, NULL, NULL,
                          "the answer could not be read: %s", err_last());
    if (json_read(buf_slice(&r->text), &r->body) != HOIST_OK)
        r->body = NULL;
}

/* What somebody wrote must not steer the terminal, nor look like a line of ours. */
static json_t *without_controls(const char *text)
{
    struct buf out = BUF_INIT(64 << 10);
    for (; *text; text++) {
        if (*text == '\n')
            buf_add_str(&out, "\\n");
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            buf_printf(&out, "\\x%02x", (unsigned char)*text);
        else
            buf_add_byte(&out, (uint8_t)*text);
    }
    json_t *safe = json_string(buf_str(&out));
    buf_done(&out);
    return safe;
}

static bool is_prose(const char *name)
{
    static const char *const names[] = {"author", "message", "text", "cause", "reason"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void make_safe(json_t *v)
{
    const char *name;
    json_t *item;
    void *next;
    size_t i;
    json_object_foreach_safe(v, next, name, item)
    {
        if (is_prose(name) && json_is_string(item))
            json_object_set_new(v, name, without_controls(json_string_value(item)));
        else
            make_safe(item);
    }
    json_array_foreach(v, i, item)
    {
        make_safe(item);
    }
}

/* ------------------------------------------------------------------ asking a store */

static enum hoist_err open_store(struct source *s)
{
    if (s->store && !store_is_replaced(s->store))
        return HOIST_OK;
    store_close(s->store);
    s->store = NULL;
    return store_open_reader(s->where, 0, &s->store);
}

static void ask_store(struct call *c, const char *name, const json_t *args, struct reply *r)
{
    struct store_read *read;
    enum hoist_err err = open_store(&c->source);
    if (err == HOIST_ENOTFOUND) {
        r->exit = query_error(&r->text, EXIT_NO_ANSWER, "no-store", NULL,
                              "start a hoistd on it, or say who answers by --store or --primary",
                              NULL, "there is no store in %s", c->source.where);
        return;
    }
    if (err == HOIST_OK)
        err = store_read_begin(c->source.store, false, &read);
    if (err != HOIST_OK) {
        r->exit = query_error(&r->text, EXIT_NO_ANSWER, "no-store", NULL, NULL, NULL, "%s",
                              *err_last() ? err_last() : err_word(err));
        return;
    }
    r->exit = query_run(read, slice_str(name), args, &r->text);
    store_read_end(read);
}

/* ------------------------------------------------------------------ asking a primary */

/* The primary knows whose key signs, and who its peer is over a local socket; elsewhere the login
 * name has to do. */
static const char *author(const struct call *c, char *room, size_t size)
{
    const char *said = options_get(c->options, "author");
    struct passwd entry, *found = NULL;
    char text[4096];
    if (said || c->signs || strncmp(c->source.where, "ipc:", 4) == 0)
        return said ? said : "";
    if (getpwuid_r(getuid(), &entry, text, sizeof text, &found) != 0 || !found)
        return "";
    snprintf(room, size, "%s", entry.pw_name);
    return room;
}

static void no_answer(enum hoist_err err, bool change, const uint8_t request[REQUEST_ID_SIZE],
                      struct reply *r)
{
    char mend[160], id[2 * REQUEST_ID_SIZE + 1];
    text_hex(id, slice_of(request, REQUEST_ID_SIZE));
    if (change && err == HOIST_EUNKNOWN)
        snprintf(mend, sizeof mend, "see whether it is there: flagctl log (request %s)", id);
    else if (change)
        snprintf(mend, sizeof mend, "nothing was changed; name the primary by --primary");
    else
        snprintf(mend, sizeof mend, "this host's own store answers without a network: --store DIR");
    if (!change && err == HOIST_ETIMEOUT)
        r->exit =
            query_error(&r->text, EXIT_NO_ANSWER, "no-answer", NULL, mend, NULL, "%s", err_last());
    else
        r->exit = query_fail(&r->text, err, mend);
}

/* A local socket that this user may not use will not answer however long one waits. */
static enum hoist_err check_socket(const char *url)
{
    if (strncmp(url, "ipc://", 6) != 0 || access(url + 6, R_OK | W_OK) == 0 || errno != EACCES)
        return HOIST_OK;
    return err_set(HOIST_EACCES, "%s: permission denied; is this user in the group of hoistd?",
                   url);
}

/* The primary has moved on since its epoch and time were learnt: they are to be learnt anew. */
static bool is_old_signature(const struct rpc_answer *answer)
{
    json_t *body = NULL;
    bool is = answer->exit == EXIT_CONFLICT &&
              json_read(buf_slice(&answer->body), &body) == HOIST_OK &&
              strcmp(text_of(json_object_get(body, "error"), "code"), GATE_OLD_SIGNATURE) == 0;
    json_decref(body);
    return is;
}

static enum hoist_err send(struct call *c, const struct frame_command *command,
                           struct rpc_answer *ret)
{
    struct rpc_signer *signer = c->signs ? &c->signer : NULL;
    enum hoist_err err = check_socket(c->source.where);
    if (err == HOIST_OK)
        err =
            rpc_signed_command(c->source.where, c->source.tls, command, signer, c->timeout_ms, ret);
    if (err != HOIST_OK || !signer || !is_old_signature(ret))
        return err;
    rpc_answer_done(ret);
    signer->knows = false;
    return rpc_signed_command(c->source.where, c->source.tls, command, signer, c->timeout_ms, ret);
}

static void ask_primary(struct call *c, const char *name, const json_t *args, bool change,
                        struct reply *r)
{
    char room[CHANGE_AUTHOR_MAX + 1];
    if (identity_load(c) != HOIST_OK) {
        r->exit = query_fail(&r->text, HOIST_EINVAL, "flagctl key new makes one");
        return;
    }
    if (strlen(author(c, room, sizeof room)) > CHANGE_AUTHOR_MAX) {
        r->exit = query_error(&r->text, EXIT_INPUT, "input", "author", NULL, NULL,
                              "an author's name has at most %d bytes", CHANGE_AUTHOR_MAX);
        return;
    }
    char *body = json_dumps(args, JSON_COMPACT);
    if (!body) {
        (void)err_set(HOIST_ENOMEM, "out of memory");
        r->exit = query_fail(&r->text, HOIST_ENOMEM, NULL);
        return;
    }
    struct frame_command command = {.name = slice_str(name),
                                    .author = slice_str(author(c, room, sizeof room)),
                                    .body = slice_str(body)};
    uuid_new(command.request, clock_wall_ms());
    struct rpc_answer answer;
    enum hoist_err err = send(c, &command, &answer);
    if (err == HOIST_OK) {
        r->exit = answer.exit;
        buf_done(&r->text);
        r->text = answer.body;
    } else {
        no_answer(err, change, command.request, r);
    }
    free(body);
}

static void put_env(const struct call *c, json_t *args)
{
    if (c->env && !json_object_get(args, "env"))
        json_object_set_new(args, "env", json_string(c->env));
}

void ask(struct call *c, const char *name, json_t *args, struct reply *ret)
{
    *ret = new_reply();
    put_env(c, args);
    if (c->source.local)
        ask_store(c, name, args, ret);
    else
        ask_primary(c, name, args, false, ret);
    read_body(ret);
    if (!c->json)
        make_safe(ret->body);
    json_decref(args);
}

/* A protected environment wants the version that a change was made for: that is the one it has now,
 * unless somebody else is just changing it, too. */
static bool put_version(struct call *c, json_t *args)
{
    struct reply r;
    char at[64];
    const char *env = text_of(args, "env");
    ask(c, "env_show", *env ? json_pack("{ss}", "env", env) : json_object(), &r);
    bool ok = r.exit == EXIT_DONE && r.body;
    if (ok) {
        snprintf(at, sizeof at, "%s:%" PRIu64, text_of(r.body, "epoch"),
                 number_of(r.body, "version"));
        json_object_set_new(args, "if_version", json_string(at));
    }
    reply_done(&r);
    return ok;
}

static bool wants_version(const struct reply *r)
{
    return strcmp(text_of(json_object_get(r->body, "error"), "code"), "version-needed") == 0;
}

void tell(struct call *c, const char *name, json_t *args, struct reply *ret)
{
    const char *message = options_get(c->options, "m");
    const char *if_version = options_get(c->options, "if-version");
    *ret = new_reply();
    put_env(c, args);
    if (message)
        json_object_set_new(args, "message", json_string(message));
    if (if_version && !json_object_get(args, "if_version"))
        json_object_set_new(args, "if_version", json_string(if_version));
    if (options_on(c->options, "dry-run"))
        json_object_set_new(args, "dry_run", json_true());
    if (options_on(c->options, "force"))
        json_object_set_new(args, "force", json_true());
    ask_primary(c, name, args, true, ret);
    read_body(ret);
    if (wants_version(ret) && put_version(c, args)) {
        reply_done(ret);
        *ret = new_reply();
        ask_primary(c, name, args, true, ret);
        read_body(ret);
    }
    if (!c->json)
        make_safe(ret->body);
    json_decref(args);
}
