/* Contexts as programs make them. */
#include "eval/context.h"

#include <math.h>

#include "base/mem.h"
#include "hoist.h"

hoist_ctx *hoist_ctx_new(void)
{
    return mem_zalloc(1, sizeof(hoist_ctx));
}

void hoist_ctx_free(hoist_ctx *ctx)
{
    if (ctx)
        ctx_done(ctx);
    mem_free(ctx);
}

static enum hoist_err set(hoist_ctx *ctx, const char *name, struct node value)
{
    if (!ctx || !name)
        return err_set(HOIST_EINVAL, "a context and a name are needed to set an attribute");
    return ctx_set_node(ctx, slice_str(name), value);
}

enum hoist_err hoist_ctx_set_string(hoist_ctx *ctx, const char *name, const char *value)
{
    if (!value)
        return err_set(HOIST_EINVAL, "there is no text to set");
    return set(ctx, name, (struct node){.kind = NODE_STRING, .text = slice_str(value)});
}

enum hoist_err hoist_ctx_set_bool(hoist_ctx *ctx, const char *name, bool value)
{
    return set(ctx, name, (struct node){.kind = value ? NODE_TRUE : NODE_FALSE});
}

enum hoist_err hoist_ctx_set_number(hoist_ctx *ctx, const char *name, double value)
{
    if (!isfinite(value))
        return err_set(HOIST_EINVAL, "an attribute is a finite number");
    return set(ctx, name, (struct node){.kind = NODE_NUMBER, .number = value});
}

enum hoist_err hoist_ctx_set_json(hoist_ctx *ctx, const char *json)
{
    if (!ctx || !json)
        return err_set(HOIST_EINVAL, "a context and a JSON object are needed");
    return ctx_set_json(ctx, slice_str(json));
}

void hoist_ctx_unset(hoist_ctx *ctx, const char *name)
{
    if (ctx && name)
        ctx_unset(ctx, slice_str(name));
}

void hoist_ctx_clear(hoist_ctx *ctx)
{
    if (ctx)
        ctx_done(ctx);
}
