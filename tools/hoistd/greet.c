#include "greet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "http/listen.h"

enum { GREETING_MAX = 64 << 10, ENVS_SHOWN = 100 };

static void add_environments(struct buf *out, struct store *store)
{
    struct store_read *r;
    struct store_env env;
    if (store_read_begin(store, false, &r) != HOIST_OK)
        return;
    for (uint32_t n = 0; n < ENVS_SHOWN && store_env_at(r, n, &env) == HOIST_OK; n++)
        buf_printf(out, "  environment  %s, version %" PRIu64 ", %" PRIu64 " flags\n", env.name,
                   env.head, env.flags);
    store_read_end(r);
}

/* The environment that a program opens which names none. */
static void add_first_environment(struct buf *out, const struct settings *s, struct store *store)
{
    struct store_read *r;
    struct store_env env = {0};
    if (store_read_begin(store, false, &r) == HOIST_OK) {
        if (store_env_get(r, NULL, &env) != HOIST_OK)
            env.name[0] = '\0';
        store_read_end(r);
    }
    const char *name = *env.name ? env.name : s->env_count > 0 ? s->envs[0] : NULL;
    if (name)
        buf_printf(out, "export HOIST_ENV=%s\n", name);
}

/* A value as a shell takes it. */
static void add_quoted(struct buf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/.:_-+@%,=";
    if (*text && text[strspn(text, plain)] == '\0') {
        buf_add_str(out, text);
        return;
    }
    buf_add_byte(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_add_str(out, "'\\''");
        else
            buf_add_byte(out, (uint8_t)*text);
    }
    buf_add_byte(out, '\'');
}

static void add_http(struct buf *out, const struct settings *s, const char *address)
{
    bool secure;
    if (!address)
        return;
    const char *at = http_address(address, s->has_tls, &secure);
    buf_printf(out, "  http         %s://%s\n", secure ? "https" : "http", at);
}

static void add_all(struct buf *out, const struct settings *s, struct store *store,
                    const char *const *listen, size_t listen_count)
{
    buf_printf(out, "hoistd %s %s, id %s\n  store        %s\n", HOIST_VERSION, roles[s->role].name,
               s->id, s->store);
    for (size_t i = 0; i < listen_count; i++)
        buf_printf(out, "  listens      %s\n", listen[i]);
    for (size_t i = 0; i < s->upstream_count; i++)
        buf_printf(out, "  follows      %s\n", s->upstreams[i]);
    if (!settings_follows(s->role) && !s->sign_key)
        buf_printf(out, "  trust        %s/trust.key, for --trust of relays and agents\n",
                   s->store);
    for (int i = 0; i < HTTP_COUNT; i++)
        add_http(out, s, s->http[i]);
    add_environments(out, store);
    if (listen_count > 0 && !settings_follows(s->role)) { /* a relay takes no commands */
        buf_add_str(out, "export HOIST_PRIMARY=");
        add_quoted(out, listen[0]);
        buf_add_byte(out, '\n');
    }
    char *whole = realpath(s->store, NULL); /* what is pasted in another directory must lead here */
    buf_add_str(out, "export HOIST_STORE=");
    add_quoted(out, whole ? whole : s->store);
    free(whole);
    buf_add_byte(out, '\n');
    add_first_environment(out, s, store);
}

static void log_lines(const char *text)
{
    while (*text) {
        int len = (int)strcspn(text, "\n");
        log_info("hoistd: %.*s", len, text);
        text += len + (text[len] == '\n');
    }
}

void greet(const struct settings *s, struct store *store, const char *const *listen,
           size_t listen_count)
{
    struct buf out = BUF_INIT(GREETING_MAX);
    add_all(&out, s, store, listen, listen_count);
    if (settings_log_format(s) == LOG_JSON) {
        log_lines(buf_str(&out));
    } else {
        fputs(buf_str(&out), stdout);
        fflush(stdout);
    }
    buf_done(&out);
}
