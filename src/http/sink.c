#include "http/sink.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/textfile.h"
#include "http/fetch.h"

enum { FILE_MAX = 8 << 10, TIMEOUT_MS = 10000, HEADER_SIZE = 256 };

/* ------------------------------------------------------------------ the secrets */

struct secrets {
    char *text; /* of the file, cut into … */
    const char *url, *key;
};

static char *next_line(char **rest)
{
    char *line = *rest;
    size_t len = strcspn(line, "\r\n");
    *rest = line + len + strspn(line + len, "\r\n");
    line[len] = '\0';
    return line;
}

/* Whoever is between could otherwise read the address, and use it. */
static enum hoist_err check_url(const struct sink *s, const char *url)
{
    const char *at = url + strlen("http://");
    if (strncmp(url, "https://", strlen("https://")) == 0)
        return HOIST_OK;
    if (strncmp(url, "http://", strlen("http://")) != 0)
        return err_set(HOIST_EINVAL, "%s: its first line is to be an https:// URL", s->path);
    char address[HEADER_SIZE];
    int len = (int)strcspn(at, "/?#");
    bool ported = memchr(at, ':', (size_t)len);
    snprintf(address, sizeof address, "%.*s%s", len, at, ported ? "" : ":80");
    if (s->insecure || (!memchr(at, '@', (size_t)len) && address_is_loopback(address)))
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "%s: plain http leaves this machine, with the secret that its URL is; give an "
                   "https:// URL, or --insecure",
                   s->path);
}

static enum hoist_err check_secrets(const struct sink *s, const struct secrets *x)
{
    enum hoist_err err = check_url(s, x->url);
    if (err)
        return err;
    if (s->kind == SINK_JSON && strlen(x->key) < SINK_KEY_MIN)
        return err_set(
            HOIST_EINVAL,
            "%s: its second line is to be the key that signs, of at least %d characters, "
            "as openssl rand -hex 32 makes one",
            s->path, SINK_KEY_MIN);
    return HOIST_OK;
}

static enum hoist_err read_secrets(const struct sink *s, struct secrets *ret)
{
    struct secrets x = {0};
    enum hoist_err err = textfile_read(s->path, FILE_MAX, true, &x.text);
    if (err)
        return err == HOIST_ENOMEM ? err : err_prefix(HOIST_EINVAL, "--notify %s", s->name);
    char *rest = x.text;
    x.url = next_line(&rest);
    x.key = next_line(&rest);
    err = check_secrets(s, &x);
    if (err) {
        explicit_bzero(x.text, (size_t)(rest - x.text));
        textfile_wipe(x.text);
        return err_prefix(err, "--notify %s", s->name);
    }
    *ret = x;
    return HOIST_OK;
}

static void secrets_done(struct secrets *x)
{
    explicit_bzero((char *)x->key, strlen(x->key));
    textfile_wipe(x->text); /* up to the end of its first line */
}

/* ------------------------------------------------------------------ reading */

static bool is_name(const char *name, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    return len > 0 && len < SINK_NAME_SIZE && strspn(name, letters) == len;
}

enum hoist_err sink_read(const char *text, bool insecure, struct sink *ret)
{
    struct sink s = {.insecure = insecure};
    struct secrets secrets;
    const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
    if (!colon || !is_name(text, (size_t)(equals - text)))
        return err_set(HOIST_EINVAL,
                       "--notify %s: NAME=slack:FILE or NAME=json:FILE is meant, with a name of at "
                       "most %d of a-z 0-9 - _",
                       text, SINK_NAME_SIZE - 1);
    memcpy(s.name, text, (size_t)(equals - text));
    struct slice kind = slice_of(equals + 1, (size_t)(colon - equals - 1));
    s.kind = slice_eq(kind, SLICE("json")) ? SINK_JSON : SINK_SLACK;
    if (s.kind == SINK_SLACK && !slice_eq(kind, SLICE("slack")))
        return err_set(HOIST_EINVAL, "--notify %s: the kind is slack or json", text);
    if (snprintf(s.path, sizeof s.path, "%s", colon + 1) >= (int)sizeof s.path)
        return err_set(HOIST_EINVAL, "--notify %s: the path is too long", s.name);
    enum hoist_err err = read_secrets(&s, &secrets);
    if (err)
        return err;
    secrets_done(&secrets);
    *ret = s;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ sending */

/* A message that is wrong stays so. An address that is wrong is put right by somebody, and then takes
 * what waited for it. */
static enum sink_outcome judge(const struct sink *s, long status)
{
    if (status / 100 == 2)
        return SINK_SENT;
    switch (status) {
    case 401:
    case 403:
    case 404:
    case 410:
        (void)err_set(HOIST_EIO, "it is not taken there (status %ld): put a URL that holds into %s",
                      status, s->path);
        return SINK_FAILED;
    case 408:
    case 425:
    case 429:
        (void)err_set(HOIST_EIO, "it asks to be left alone for a while (status %ld)", status);
        return SINK_FAILED;
    }
    (void)err_set(HOIST_EIO, "status %ld", status);
    if (status / 100 == 3)
        (void)err_set(
            HOIST_EIO,
            "it redirects (status %ld), which is not followed: put the URL that it ends at "
            "into %s",
            status, s->path);
    return status / 100 == 4 ? SINK_REFUSED : SINK_FAILED;
}

static void put_signature(char out[HEADER_SIZE], const char *key, struct slice body)
{
    uint8_t mac[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    hash_hmac_sha256(mac, slice_str(key), body);
    text_hex(hex, slice_of(mac, sizeof mac));
    snprintf(out, HEADER_SIZE, "X-Hoist-Signature: sha256=%s", hex);
}

enum sink_outcome sink_send(const struct sink *s, const char *id, struct slice body,
                            const atomic_bool *stop, int64_t *ret_wait_ms)
{
    struct secrets secrets;
    char event[HEADER_SIZE], signature[HEADER_SIZE] = "";
    const char *const headers[] = {"User-Agent: hoist", event, signature};
    *ret_wait_ms = 0;
    if (read_secrets(s, &secrets) != HOIST_OK)
        return SINK_FAILED;
    snprintf(event, sizeof event, "X-Hoist-Event: %s", id);
    if (s->kind == SINK_JSON)
        put_signature(signature, secrets.key, body);
    struct fetch fetch = {.url = secrets.url,
                          .body = body,
                          .headers = headers,
                          .header_count = s->kind == SINK_JSON ? 3 : 2,
                          .timeout_ms = TIMEOUT_MS,
                          .is_secret = true,
                          .stop = stop,
                          .retry_after_ms = ret_wait_ms};
    long status = 0;
    enum hoist_err err = fetch_post(&fetch, &status, NULL);
    secrets_done(&secrets);
    return err ? SINK_FAILED : judge(s, status);
}
