#include "http/guard.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"

enum { TOKENS_MAX = 1024, TOKEN_MAX = 512, TOKENS_BYTES_MAX = 1 << 20, ENV_SIZE = 64 };

struct guard {
    uint8_t (*tokens)[HASH_SIZE];
    size_t token_count;
    const char *const *origins;
    size_t origin_count;
};

/* ------------------------------------------------------------------ tokens */

static struct slice trimmed(struct slice line)
{
    while (line.len && strchr(" \t", line.ptr[0]))
        line = slice_of(line.ptr + 1, line.len - 1);
    while (line.len && strchr(" \t\r\n", line.ptr[line.len - 1]))
        line.len--;
    return line;
}

static enum hoist_err keep(struct guard *g, struct slice token)
{
    if (g->token_count == TOKENS_MAX || token.len > TOKEN_MAX)
        return err_set(HOIST_EINVAL, "%d tokens of %d bytes are the most", TOKENS_MAX, TOKEN_MAX);
    hash_blake2b(g->tokens[g->token_count++], token);
    return HOIST_OK;
}

static enum hoist_err keep_all(struct guard *g, const char *text)
{
    enum hoist_err err = HOIST_OK;
    while (*text && !err) {
        size_t len = strcspn(text, "\n");
        struct slice token = trimmed(slice_of(text, len));
        if (token.len && token.ptr[0] != '#')
            err = keep(g, token);
        text += len + (text[len] != '\0');
    }
    if (!err && g->token_count == 0)
        err = err_set(HOIST_EINVAL, "there is no token in it, a line each");
    return err;
}

static enum hoist_err read_tokens(struct guard *g, const char *option, const char *file)
{
    char *text;
    enum hoist_err err = textfile_read(file, TOKENS_BYTES_MAX, true, &text);
    if (err == HOIST_ENOTFOUND || err == HOIST_EACCES)
        err = HOIST_EINVAL; /* an option that is wrong */
    if (err)
        return err_prefix(err, "%s", option);
    err = keep_all(g, text);
    textfile_wipe(text);
    return err ? err_prefix(err, "%s %s", option, file) : HOIST_OK;
}

bool guard_is_closed(const struct guard *g)
{
    return g->token_count > 0;
}

static bool is_known(const struct guard *g, struct slice token)
{
    uint8_t hash[HASH_SIZE];
    bool known = false;
    hash_blake2b(hash, token);
    for (size_t i = 0; i < g->token_count; i++)
        known |= hash_equal(hash, g->tokens[i]);
    return known;
}

struct slice guard_token_of(const char *authorization, const char *api_key)
{
    static const char scheme[] = "Bearer ";
    if (authorization && strncasecmp(authorization, scheme, sizeof scheme - 1) == 0)
        return trimmed(slice_str(authorization + sizeof scheme - 1));
    return trimmed(slice_str(api_key));
}

bool guard_admits(const struct guard *g, const char *authorization, const char *api_key)
{
    return !guard_is_closed(g) || is_known(g, guard_token_of(authorization, api_key));
}

/* Of a token's hash; who has the ticket does not have the token. */
static void write_ticket(const uint8_t token[HASH_SIZE], struct slice env,
                         char out[GUARD_TICKET_SIZE])
{
    static const char purpose[] = "hoist-events-1";
    uint8_t text[HASH_SIZE + sizeof purpose + ENV_SIZE] = {0}, hash[HASH_SIZE];
    memcpy(text, token, HASH_SIZE);
    memcpy(text + HASH_SIZE, purpose, sizeof purpose);
    if (env.len)
        memcpy(text + HASH_SIZE + sizeof purpose, env.ptr, env.len < ENV_SIZE ? env.len : ENV_SIZE);
    hash_blake2b(hash, slice_of(text, sizeof text));
    text_hex(out, slice_of(hash, (GUARD_TICKET_SIZE - 1) / 2));
}

void guard_ticket(const char *authorization, const char *api_key, struct slice env,
                  char out[GUARD_TICKET_SIZE])
{
    uint8_t hash[HASH_SIZE];
    hash_blake2b(hash, guard_token_of(authorization, api_key));
    write_ticket(hash, env, out);
}

bool guard_is_ticket(const uint8_t token_hash[HASH_SIZE], struct slice env, const char *ticket)
{
    uint8_t ours[HASH_SIZE], theirs[HASH_SIZE];
    char right[GUARD_TICKET_SIZE];
    write_ticket(token_hash, env, right);
    hash_blake2b(ours, slice_str(right));
    hash_blake2b(theirs, slice_str(ticket));
    return hash_equal(ours, theirs);
}

bool guard_takes_ticket(const struct guard *g, struct slice env, const char *ticket)
{
    bool known = false;
    for (size_t i = 0; ticket && i < g->token_count; i++)
        known |= guard_is_ticket(g->tokens[i], env, ticket);
    return known;
}

/* ------------------------------------------------------------------ origins */

/* SCHEME://HOST[:PORT] and nothing behind it, as browsers send it. */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");
    return strcmp(text, "*") == 0 || strcmp(text, "null") == 0 ||
           (host && host > text && host[3] && !strpbrk(host + 3, "/ \t\r\n,?#"));
}

const char *guard_origin(const struct guard *g, const char *origin)
{
    if (!origin)
        return NULL;
    for (size_t i = 0; i < g->origin_count; i++)
        if (strcmp(g->origins[i], "*") == 0 || strcasecmp(g->origins[i], origin) == 0)
            return strcmp(g->origins[i], "*") == 0 ? "*" : origin;
    return NULL;
}

/* ------------------------------------------------------------------ begin and end */

enum hoist_err guard_new(const char *option, const char *token_file, const char *const *origins,
                         size_t origin_count, struct guard **ret)
{
    for (size_t i = 0; i < origin_count; i++)
        if (!is_origin(origins[i]))
            return err_set(HOIST_EINVAL,
                           "--cors-origin %s: an origin is meant, as in https://app.example.com, "
                           "or '*'",
                           origins[i]);
    struct guard *g = mem_zalloc(1, sizeof *g);
    if (!g)
        return err_set(HOIST_ENOMEM, "out of memory");
    g->origins = origins;
    g->origin_count = origin_count;
    enum hoist_err err = HOIST_OK;
    if (token_file && !(g->tokens = mem_zalloc(TOKENS_MAX, sizeof *g->tokens)))
        err = err_set(HOIST_ENOMEM, "out of memory");
    else if (token_file)
        err = read_tokens(g, option, token_file);
    if (err)
        guard_free(g);
    else
        *ret = g;
    return err;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    mem_free(g->tokens);
    mem_free(g);
}
