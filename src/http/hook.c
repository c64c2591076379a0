#include "http/hook.h"

#include <microhttpd.h>

#include "base/mem.h"
#include "http/guard.h"

struct hook {
    struct guard *guard;
    hook_fn *take;
    void *arg;
};

enum hoist_err hook_new(const char *token_file, hook_fn *take, void *arg, struct hook **ret)
{
    struct hook *k = mem_zalloc(1, sizeof *k);
    if (!k)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = guard_new("--webhook-token-file", token_file, NULL, 0, &k->guard);
    if (err) {
        mem_free(k);
        return err;
    }
    k->take = take;
    k->arg = arg;
    *ret = k;
    return HOIST_OK;
}

void hook_free(struct hook *k)
{
    if (!k)
        return;
    guard_free(k->guard);
    mem_free(k);
}

static bool refuse(struct ofrep_answer *a, unsigned status, const char *message)
{
    a->status = status;
    buf_printf(&a->body, "{\"error\":{\"message\":\"%s\"}}\n", message);
    return false;
}

bool hook_begin(const struct hook *k, const struct ofrep_request *q, struct ofrep_answer *a)
{
    a->route = ROUTE_HOOK;
    if (!slice_eq(q->method, SLICE("POST"))) {
        a->allow = "POST";
        return refuse(a, MHD_HTTP_METHOD_NOT_ALLOWED, "POST is meant");
    }
    if (!guard_admits(k->guard, q->header(q->arg, "Authorization"),
                      q->header(q->arg, "X-API-Key"))) {
        counts_auth_failed();
        a->unauthorized = true;
        return refuse(a, MHD_HTTP_UNAUTHORIZED, "a token of --webhook-token-file is needed");
    }
    return true;
}

void hook_finish(const struct hook *k, const struct ofrep_request *q, bool too_long,
                 struct ofrep_answer *a)
{
    a->status = k->take(k->arg, too_long ? SLICE("") : q->body, too_long, &a->body);
}

void hook_no_room(const char *why, struct ofrep_answer *a)
{
    refuse(a, MHD_HTTP_SERVICE_UNAVAILABLE, why);
}
