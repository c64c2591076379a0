#include "http/ofrep.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "eval/context.h"
#include "flag/json.h"
#include "flag/value_read.h"
#include "http/place.h"

enum { INACTIVITY_S = 120, ETAG_BYTES = 16 };

struct mapped { /* a header that becomes an attribute */
    char *header;
    struct slice attribute; /* borrowed from the configuration */
};

struct ofrep {
    struct guard *guard;
    struct tokens *tokens; /* NULL: not asked for */
    struct envs *envs;
    struct hoist_ctx context; /* what every request's context is given */
    struct mapped *mapped;
    size_t mapped_count;
};

/* ------------------------------------------------------------------ begin and end */

/* NAME=VALUE in its parts. */
static enum hoist_err split(const char *option, const char *what, const char *text,
                            struct slice *ret_name, struct slice *ret_value)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return err_set(HOIST_EINVAL, "%s %s: %s is meant", option, text, what);
    *ret_name = slice_of(text, (size_t)(equals - text));
    *ret_value = slice_str(equals + 1);
    return HOIST_OK;
}

static enum hoist_err set_static(struct hoist_ctx *c, const char *text)
{
    struct slice name, value;
    struct value_text in;
    struct tree tree;
    enum hoist_err err = split("--context", "NAME=VALUE", text, &name, &value);
    if (err)
        return err;
    if (value_read(value, &in, &tree) == HOIST_OK) {
        err = ctx_set(c, name, tree);
        value_done(&in);
    } else {
        err_clear();
        err = ctx_set_node(c, name, (struct node){.kind = NODE_STRING, .text = value});
    }
    return err ? err_set(err, "--context %s: %s", text, err_last()) : HOIST_OK;
}

static bool is_header_name(struct slice name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
              (c && strchr(others, c))))
            return false;
    }
    return true;
}

static enum hoist_err set_mapped(struct ofrep *o, const char *text)
{
    struct slice header, attribute;
    enum hoist_err err =
        split("--context-from-header", "HEADER=ATTRIBUTE", text, &header, &attribute);
    if (err)
        return err;
    if (!is_header_name(header) || !text_utf8(attribute))
        return err_set(HOIST_EINVAL, "--context-from-header %s: HEADER=ATTRIBUTE is meant", text);
    struct mapped *m = &o->mapped[o->mapped_count];
    m->attribute = attribute;
    m->header = mem_dup(header);
    if (!m->header)
        return err_set(HOIST_ENOMEM, "out of memory");
    o->mapped_count++;
    return HOIST_OK;
}

enum hoist_err ofrep_new(const struct ofrep_config *config, struct ofrep **ret)
{
    struct ofrep *o = mem_zalloc(1, sizeof *o);
    if (!o)
        return err_set(HOIST_ENOMEM, "out of memory");
    counts_init();
    enum hoist_err err = guard_new("--http-token-file", config->token_file, config->origins,
                                   config->origin_count, &o->guard);
    if (!err && config->header_count &&
        !(o->mapped = mem_zalloc(config->header_count, sizeof *o->mapped)))
        err = err_set(HOIST_ENOMEM, "out of memory");
    for (size_t i = 0; !err && i < config->header_count; i++)
        err = set_mapped(o, config->headers[i]);
    for (size_t i = 0; !err && i < config->context_count; i++)
        err = set_static(&o->context, config->context[i]);
    if (!err && config->access)
        err = tokens_new(config->store, &o->tokens);
    if (!err)
        err = envs_new(config->store, &o->envs);
    if (err)
        ofrep_free(o);
    else
        *ret = o;
    return err;
}

void ofrep_free(struct ofrep *o)
{
    if (!o)
        return;
    envs_free(o->envs);
    guard_free(o->guard);
    tokens_free(o->tokens);
    ctx_done(&o->context);
    for (size_t i = 0; i < o->mapped_count; i++)
        mem_free(o->mapped[i].header);
    mem_free(o->mapped);
    mem_free(o);
}

const struct guard *ofrep_guard(const struct ofrep *o)
{
    return o->guard;
}

struct envs *ofrep_envs(const struct ofrep *o)
{
    return o->envs;
}

void ofrep_header_names(const struct ofrep *o, struct buf *out)
{
    for (size_t i = 0; i < o->mapped_count; i++)
        buf_printf(out, ", %s", o->mapped[i].header);
}

bool ofrep_is(struct slice path)
{
    struct place p;
    place_read(path, &p);
    return p.route != ROUTE_NONE;
}

/* ------------------------------------------------------------------ what is wrong */

/* An error as OFREP has it; of one flag, with its key. */
static void put_error(struct ofrep_answer *a, const struct place *p, unsigned status,
                      const char *code, const char *details)
{
    struct json_writer w = JSON_WRITER(&a->body, 0);
    a->status = status;
    buf_clear(&a->body);
    json_object_begin(&w);
    if (p->route == ROUTE_FLAG) {
        json_key(&w, "key");
        json_put_slice(&w, p->key);
    }
    json_key(&w, "errorCode");
    json_put_str(&w, code);
    json_key(&w, "errorDetails");
    json_put_str(&w, details);
    json_object_end(&w);
}

static bool begin_place(const struct ofrep_request *q, struct ofrep_answer *a, struct place *p)
{
    place_read(q->path, p);
    a->route = p->route;
    if (p->why)
        put_error(a, p, 400, "PARSE_ERROR", p->why);
    return !p->why;
}

static bool is_closed(const struct ofrep *o)
{
    return o->tokens || guard_is_closed(o->guard);
}

/* What the file's tokens, and those of the store, say to the one that the request brings. */
static enum tokens_answer judge(const struct ofrep *o, const struct ofrep_request *q,
                                const struct place *p)
{
    static const struct access_need one = {"eval", RIGHT_EVAL, REACH_FLAGS};
    static const struct access_need events = {"eval", RIGHT_EVAL, REACH_WHOLE};
    const char *authorization = q->header(q->arg, "Authorization");
    const char *api_key = q->header(q->arg, "X-API-Key");
    const char *ticket = p->route == ROUTE_EVENTS ? q->query(q->arg, "ticket") : NULL;
    if (!is_closed(o) ||
        (guard_is_closed(o->guard) && guard_admits(o->guard, authorization, api_key)) ||
        guard_takes_ticket(o->guard, p->env, ticket))
        return TOKENS_YES;
    if (!o->tokens)
        return TOKENS_UNKNOWN;
    if (ticket && tokens_take_ticket(o->tokens, p->env, ticket))
        return TOKENS_YES;
    return tokens_judge(o->tokens, guard_token_of(authorization, api_key),
                        p->route == ROUTE_EVENTS ? &events : &one, p->env,
                        p->route == ROUTE_FLAG ? p->key : SLICE(""));
}

static bool admits(const struct ofrep *o, const struct ofrep_request *q, const struct place *p,
                   struct ofrep_answer *a)
{
    enum tokens_answer answer = judge(o, q, p);
    if (answer == TOKENS_YES)
        return true;
    counts_auth_failed();
    a->unauthorized = answer == TOKENS_UNKNOWN;
    if (a->unauthorized)
        put_error(a, p, 401, "GENERAL", "a token is needed: Authorization: Bearer TOKEN");
    else
        put_error(a, p, 403, "GENERAL",
                  p->route == ROUTE_FLAG ? "this token is not for this flag, or environment"
                                         : "this token is not for all flags of this environment");
    return false;
}

/* application/json, with parameters or without. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    return type && strncasecmp(type, json, len) == 0 &&
           (type[len] == '\0' || strchr("; \t", type[len]));
}

static bool method_fits(const struct ofrep_request *q, const struct place *p,
                        struct ofrep_answer *a)
{
    bool get = p->route == ROUTE_EVENTS;
    if (slice_eq(q->method, get ? SLICE("GET") : SLICE("POST")))
        return true;
    put_error(a, p, 405, "GENERAL", get ? "GET is meant" : "POST is meant");
    a->allow = get ? "GET" : "POST";
    return false;
}

static bool body_fits(const struct ofrep_request *q, const struct place *p, struct ofrep_answer *a)
{
    const char *length = q->header(q->arg, "Content-Length");
    uint64_t bytes = 0;
    if (length && (text_u64(length, &bytes) || bytes > OFREP_BODY_MAX)) {
        ofrep_too_long(q, a);
        return false;
    }
    const char *type = q->header(q->arg, "Content-Type");
    bool empty = bytes == 0 && !q->header(q->arg, "Transfer-Encoding");
    if (is_json(type) || (empty && !type))
        return true;
    put_error(a, p, 415, "PARSE_ERROR", "a body of Content-Type application/json is meant");
    return false;
}

static void refuse_body(const struct ofrep_request *q, unsigned status, const char *why,
                        struct ofrep_answer *a)
{
    struct place p;
    place_read(q->path, &p);
    a->route = p.route;
    put_error(a, &p, status, "GENERAL", why);
}

void ofrep_too_long(const struct ofrep_request *q, struct ofrep_answer *a)
{
    char why[80];
    snprintf(why, sizeof why, "a body of %d bytes is the most", OFREP_BODY_MAX);
    refuse_body(q, 413, why, a);
}

void ofrep_no_room(const struct ofrep_request *q, const char *why, struct ofrep_answer *a)
{
    refuse_body(q, 503, why, a);
}

/* ------------------------------------------------------------------ who is asking */

/* The code to answer with: text that is no JSON, or a context that is none. */
static const char *context_code(enum hoist_err err)
{
    return err == HOIST_ENOMEM ? "GENERAL" : "INVALID_CONTEXT";
}

static enum hoist_err check_targeting_key(const struct hoist_ctx *c)
{
    const struct node *key = ctx_find(c, SLICE("targetingKey"));
    if (key && key->kind != NODE_STRING && key->kind != NODE_NULL)
        return err_set(HOIST_EINVAL, "targetingKey is a string");
    return HOIST_OK;
}

/* `context` of the body, if it has one. null is none: some languages write an empty map so. */
static enum hoist_err read_context(struct tree body, struct hoist_ctx *c)
{
    const struct node *at = body.nodes + 1;
    if (body.nodes[0].kind != NODE_OBJECT)
        return err_set(HOIST_EINVAL, "a body is an object, like {\"context\": {}}");
    for (uint32_t i = 0; i < body.nodes[0].count; i++) {
        bool found = slice_eq(at->text, SLICE("context")) && at[1].kind != NODE_NULL;
        if (found && at[1].kind != NODE_OBJECT)
            return err_set(HOIST_EINVAL,
                           "a context is an object, like {\"targetingKey\": \"ana\"}");
        if (found)
            return ctx_set_tree(c, (struct tree){(struct node *)at + 1, at[1].span});
        at += 1 + at[1].span;
    }
    return HOIST_OK;
}

/* What the server knows wins over what the request says: first --context, and over that a header. */
static enum hoist_err add_own(const struct ofrep *o, const struct ofrep_request *q,
                              struct hoist_ctx *c)
{
    enum hoist_err err = HOIST_OK;
    for (uint32_t i = 0; !err && i < o->context.count; i++) {
        const struct attribute *own = &o->context.attributes[i];
        err = ctx_set(c, own->name, (struct tree){own->value, own->value->span});
    }
    for (size_t i = 0; !err && i < o->mapped_count; i++) {
        const char *value = q->header(q->arg, o->mapped[i].header);
        if (value)
            err = ctx_set_node(c, o->mapped[i].attribute,
                               (struct node){.kind = NODE_STRING, .text = slice_str(value)});
    }
    return err;
}

static enum hoist_err context_of(const struct ofrep *o, const struct ofrep_request *q,
                                 struct hoist_ctx *c, const char **ret_code)
{
    struct value_text text;
    struct tree body;
    enum hoist_err err = HOIST_OK;
    *ret_code = "PARSE_ERROR";
    if (q->body.len > 0) {
        err = value_read(q->body, &text, &body);
        if (err) {
            *ret_code = err == HOIST_EINVAL ? "PARSE_ERROR" : context_code(err);
            return err;
        }
        if (body.nodes[0].kind == NODE_OBJECT)
            *ret_code = "INVALID_CONTEXT";
        err = read_context(body, c);
        value_done(&text);
    }
    if (!err)
        err = add_own(o, q, c);
    if (!err)
        err = check_targeting_key(c);
    if (err == HOIST_ENOMEM)
        *ret_code = "GENERAL";
    return err;
}

/* ------------------------------------------------------------------ answers */

static void note(struct evaluated *e, const struct client_outcome *out)
{
    e->by_reason[out->reason]++;
    e->limited += out->limited;
}

static unsigned status_of(const struct client_outcome *out)
{
    if (out->reason != HOIST_ERROR)
        return 200;
    switch (out->code) {
    case HOIST_CODE_NOT_FOUND:
        return 404;
    case HOIST_CODE_NOT_READY:
        return 500;
    default:
        return 400;
    }
}

static void answer_flag_of(hoist_view *v, const struct place *p, const struct hoist_ctx *c,
                           struct ofrep_answer *a)
{
    struct json_writer w = JSON_WRITER(&a->body, 0);
    struct evaluated e = {0};
    struct client_outcome out;
    json_object_begin(&w);
    client_answer(v, p->key, c, &w, &out);
    client_count(&out);
    json_object_end(&w);
    a->status = status_of(&out);
    note(&e, &out);
    counts_evaluated(&e);
}

static void put_streams(const struct ofrep *o, const struct ofrep_request *q, const struct place *p,
                        struct json_writer *w)
{
    struct buf uri = BUF_INIT(512);
    buf_add_slice(&uri, p->prefix);
    buf_add_str(&uri, "/ofrep/v1/events");
    if (is_closed(o)) {
        char ticket[GUARD_TICKET_SIZE];
        guard_ticket(q->header(q->arg, "Authorization"), q->header(q->arg, "X-API-Key"), p->env,
                     ticket);
        buf_printf(&uri, "?ticket=%s", ticket);
    }
    json_key(w, "eventStreams");
    json_array_begin(w);
    json_object_begin(w);
    json_key(w, "type");
    json_put_str(w, "sse");
    json_key(w, "endpoint"); /* of the origin that the client knows us by */
    json_object_begin(w);
    json_key(w, "requestUri");
    json_put_slice(w, buf_slice(&uri));
    json_object_end(w);
    json_key(w, "inactivityDelaySec");
    json_put_u64(w, INACTIVITY_S);
    json_object_end(w);
    json_array_end(w);
    buf_done(&uri);
}

static enum hoist_err put_flags(hoist_view *v, const struct hoist_ctx *c, struct json_writer *w)
{
    struct evaluated e = {0};
    struct client_outcome out;
    struct slice key = {0};
    enum hoist_err err;
    json_key(w, "flags");
    json_array_begin(w);
    while ((err = client_key_next(v, key, &key)) == HOIST_OK && !w->out->err) {
        json_object_begin(w);
        client_answer(v, key, c, w, &out);
        json_object_end(w);
        note(&e, &out);
    }
    json_array_end(w);
    counts_evaluated(&e);
    return err == HOIST_ENOTFOUND ? HOIST_OK : err;
}

/* Whether an If-None-Match names `etag`, which stands in quotes. */
static bool names_etag(const char *header, const char *etag)
{
    if (!header)
        return false;
    return strcmp(header + strspn(header, " \t"), "*") == 0 || strstr(header, etag);
}

/*
 * The ETag is the hash of what would be sent. So it changes exactly when an answer does, also with
 * the clock, with another context and with a label of the host, and stays when a change touches only
 * what this context does not see. A 304 costs the evaluation, and saves sending.
 */
static void tag(const struct ofrep_request *q, struct ofrep_answer *a)
{
    uint8_t hash[HASH_SIZE];
    hash_blake2b(hash, buf_slice(&a->body));
    a->etag[0] = '"';
    text_hex(a->etag + 1, slice_of(hash, ETAG_BYTES));
    memcpy(a->etag + 1 + 2 * ETAG_BYTES, "\"", 2);
    if (!names_etag(q->header(q->arg, "If-None-Match"), a->etag))
        return;
    a->status = 304;
    buf_clear(&a->body);
}

static enum hoist_err answer_flags(const struct ofrep *o, const struct ofrep_request *q,
                                   hoist_view *v, const struct place *p, const struct hoist_ctx *c,
                                   struct ofrep_answer *a)
{
    struct json_writer w = JSON_WRITER(&a->body, 0);
    json_object_begin(&w);
    enum hoist_err err = put_flags(v, c, &w);
    put_streams(o, q, p, &w);
    json_object_end(&w);
    if (!err)
        err = buf_err(&a->body);
    if (!err)
        tag(q, a);
    return err;
}

static void answer_in(struct ofrep *o, const struct ofrep_request *q, const struct place *p,
                      const struct env *env, const struct hoist_ctx *c, struct ofrep_answer *a)
{
    hoist_view *v;
    enum hoist_err err = hoist_view_begin(env->hoist, &v);
    if (err) {
        put_error(a, p, 500, err == HOIST_ENOTFOUND ? "PROVIDER_NOT_READY" : "GENERAL", err_last());
        return;
    }
    if (p->route == ROUTE_FLAG)
        answer_flag_of(v, p, c, a);
    else
        err = answer_flags(o, q, v, p, c, a);
    hoist_view_end(v);
    if (!err)
        err = buf_err(&a->body); /* half an answer is none */
    if (err)
        put_error(a, p, 500, "GENERAL", err_last());
}

/* ------------------------------------------------------------------ requests */

/* Who names none gets the one that is first in the store, whichever that is. */
static bool is_own(const struct place *p, struct env *env)
{
    char name[64];
    if (p->env.len > 0)
        return false;
    client_env_name(env->hoist, name);
    return access_env_is_own(slice_str(name));
}

static struct env *find_env(struct ofrep *o, const struct place *p, struct ofrep_answer *a)
{
    struct env *env = NULL;
    enum hoist_err err =
        access_env_is_own(p->env) ? HOIST_ENOTFOUND : envs_find(o->envs, p->env, &env);
    if (!err && is_own(p, env))
        err = HOIST_ENOTFOUND;
    if (err == HOIST_ENOTFOUND)
        put_error(a, p, 404, "GENERAL", "this host has no environment of that name");
    else if (err)
        put_error(a, p, 500, "GENERAL", err_last());
    return err ? NULL : env;
}

bool ofrep_begin(struct ofrep *o, const struct ofrep_request *q, struct ofrep_answer *a)
{
    struct place p;
    if (!begin_place(q, a, &p))
        return false;
    if (!admits(o, q, &p, a))
        return false;
    if (!method_fits(q, &p, a))
        return false;
    if (p.route != ROUTE_EVENTS)
        return body_fits(q, &p, a);
    a->stream = find_env(o, &p, a);
    return false;
}

void ofrep_finish(struct ofrep *o, const struct ofrep_request *q, struct ofrep_answer *a)
{
    struct place p;
    struct hoist_ctx c = {0};
    const char *code;
    if (!begin_place(q, a, &p))
        return;
    struct env *env = find_env(o, &p, a);
    if (!env)
        return;
    enum hoist_err err = context_of(o, q, &c, &code);
    if (err)
        put_error(a, &p, err == HOIST_ENOMEM ? 500 : 400, code, err_last());
    else
        answer_in(o, q, &p, env, &c, a);
    ctx_done(&c);
}
