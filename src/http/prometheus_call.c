/* One query as libcurl carries it, and what is said when it does not. */
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/textfile.h"
#include "http/prometheus_int.h"

enum { SECRET_MAX = 16 << 10, URL_MAX = 2048 };

/* ------------------------------------------------------------------ the address */

/* Whoever is between could otherwise say what the guards read. */
static enum hoist_err check_plain(const char *url, const char *host)
{
    char address[URL_MAX + 8];
    snprintf(address, sizeof address, strchr(host, ':') ? "[%s]:0" : "%s:0", host);
    if (address_is_loopback(address))
        return HOIST_OK;
    return err_set(HOIST_EINVAL,
                   "--prometheus %s: plain http leaves this machine, and whoever is between can "
                   "say what guards read; give https://, a loopback address, or --insecure",
                   url);
}

static char *part(CURLU *u, CURLUPart which)
{
    char *text = NULL;
    return curl_url_get(u, which, &text, 0) == CURLUE_OK ? text : NULL;
}

static enum hoist_err check_parts(CURLU *u, const struct prometheus_config *c)
{
    char *scheme = part(u, CURLUPART_SCHEME), *user = part(u, CURLUPART_USER);
    char *query = part(u, CURLUPART_QUERY), *host = part(u, CURLUPART_HOST);
    bool plain = scheme && strcmp(scheme, "http") == 0;
    enum hoist_err err = HOIST_OK;
    if (!host || !scheme || (!plain && strcmp(scheme, "https") != 0))
        err = err_set(HOIST_EINVAL, "--prometheus %s: this is no http:// or https:// URL", c->url);
    else if (user)
        err = err_set(HOIST_EINVAL, "--prometheus: a password in a URL is seen by everybody; put "
                                    "USER:PASSWORD into a file: --prometheus-user-file");
    else if (query)
        err = err_set(HOIST_EINVAL,
                      "--prometheus %s: leave out what is behind the '?': what stands before "
                      "/api/v1 is meant",
                      c->url);
    else if (plain && !c->insecure)
        err = check_plain(c->url, host);
    curl_free(scheme);
    curl_free(user);
    curl_free(query);
    curl_free(host);
    return err;
}

enum hoist_err prometheus_check_url(const struct prometheus_config *c)
{
    curl_begin();
    CURLU *u = curl_url();
    if (!u)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = HOIST_OK;
    if (strlen(c->url) > URL_MAX || !strstr(c->url, "://") ||
        curl_url_set(u, CURLUPART_URL, c->url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        err = err_set(HOIST_EINVAL, "--prometheus: this is no URL such as http://127.0.0.1:9090 or "
                                    "https://metrics.example.com/prometheus");
    else
        err = check_parts(u, c);
    curl_url_cleanup(u);
    return err;
}

/* ------------------------------------------------------------------ secrets */

/* The first line of a file that is its owner's alone. */
static enum hoist_err read_line(const char *option, const char *path, char **ret)
{
    char *text;
    if (!path)
        return HOIST_OK;
    enum hoist_err err = textfile_read(path, SECRET_MAX, true, &text);
    if (err)
        return err_prefix(err == HOIST_ENOMEM ? err : HOIST_EINVAL, "%s", option);
    text[strcspn(text, "\r\n")] = '\0';
    if (text[0] == '\0') {
        textfile_wipe(text);
        return err_set(HOIST_EINVAL, "%s %s: its first line is empty", option, path);
    }
    *ret = text;
    return HOIST_OK;
}

enum hoist_err prometheus_secrets_read(const struct prometheus_config *c,
                                       struct prometheus_secrets *ret)
{
    struct prometheus_secrets s = {0};
    if (!c->cert != !c->key)
        return err_set(HOIST_EINVAL, "--prometheus-cert and --prometheus-key belong together: one "
                                     "is missing");
    enum hoist_err err = read_line("--prometheus-token-file", c->token_file, &s.token);
    if (!err)
        err = read_line("--prometheus-user-file", c->user_file, &s.user);
    if (!err && s.user && !strchr(s.user, ':'))
        err = err_set(HOIST_EINVAL, "--prometheus-user-file %s: a line USER:PASSWORD is meant",
                      c->user_file);
    if (!err && c->ca)
        err = tls_ca_read("--prometheus-ca", c->ca, &s.tls.ca);
    if (!err && c->cert)
        err = tls_ca_read("--prometheus-cert", c->cert, &s.tls.cert);
    if (!err && c->key)
        err = tls_key_read("--prometheus-key", c->key, &s.tls.key);
    if (err)
        prometheus_secrets_done(&s);
    else
        *ret = s;
    return err;
}

void prometheus_secrets_done(struct prometheus_secrets *s)
{
    textfile_wipe(s->token);
    textfile_wipe(s->user);
    tls_files_done(&s->tls);
    *s = (struct prometheus_secrets){0};
}

/* ------------------------------------------------------------------ the call */

static size_t take(char *bytes, size_t one, size_t count, void *arg)
{
    struct buf *out = arg;
    buf_add(out, bytes, one * count);
    return out->err ? 0 : count;
}

static void put_time(struct buf *form, const char *name, int64_t ms)
{
    buf_printf(form, "&%s=%lld.%03d", name, (long long)(ms / 1000), (int)(ms % 1000));
}

static void put_form(struct buf *form, const char *query, const struct prometheus_range *range,
                     int64_t timeout_ms)
{
    buf_printf(form, "timeout=%lldms", (long long)timeout_ms);
    if (range) {
        put_time(form, "start", range->from_ms);
        put_time(form, "end", range->to_ms);
        put_time(form, "step", range->step_ms);
    }
    buf_printf(form, "&query=");
    for (; *query; query++)
        buf_printf(form, "%%%02X", (uint8_t)*query);
}

/* Behind the path that may be there, with or without a slash at its end. */
static void put_url(struct buf *out, const char *url, const char *path)
{
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    buf_add(out, url, len);
    buf_add_str(out, path);
}

static void give_secrets(CURL *curl, const struct prometheus_secrets *s)
{
    if (s->token) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, s->token);
    } else if (s->user) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, s->user);
    }
    curl_give_pem(curl, CURLOPT_SSLCERT_BLOB, s->tls.cert);
    curl_give_pem(curl, CURLOPT_SSLKEY_BLOB, s->tls.key);
    curl_give_pem(curl, CURLOPT_CAINFO_BLOB, s->tls.ca);
}

/* No proxy of the environment comes in between, no redirect is followed, nothing is unpacked, and a
 * name that is looked up for too long holds up nobody else. */
static void set_options(struct prometheus_call *call, int64_t left_ms)
{
    CURL *curl = call->curl;
    curl_easy_setopt(curl, CURLOPT_URL, buf_str(&call->url));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, buf_str(&call->form));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->form.len);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->answer_max);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &call->body);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "hoist");
}

enum hoist_err prometheus_call_init(struct prometheus_call *call, const struct prometheus_config *c,
                                    const struct prometheus_secrets *s, const char *query,
                                    const struct prometheus_range *range, int64_t left_ms)
{
    size_t max = range ? PROMETHEUS_RANGE_ANSWER_MAX : PROMETHEUS_ANSWER_MAX;
    *call = (struct prometheus_call){.url = BUF_INIT(URL_MAX + 64),
                                     .form = BUF_INIT(4 * PROMETHEUS_QUERY_MAX),
                                     .body = BUF_INIT(max),
                                     .answer_max = max};
    put_url(&call->url, c->url, range ? "/api/v1/query_range" : "/api/v1/query");
    put_form(&call->form, query, range, left_ms);
    call->curl = curl_easy_init();
    enum hoist_err err = buf_err(&call->url);
    if (!err)
        err = buf_err(&call->form);
    if (!err && !call->curl)
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (err) {
        prometheus_call_done(call);
        return err;
    }
    set_options(call, left_ms);
    give_secrets(call->curl, s);
    return HOIST_OK;
}

void prometheus_call_done(struct prometheus_call *call)
{
    curl_easy_cleanup(call->curl);
    buf_done(&call->url);
    buf_done(&call->form);
    buf_done(&call->body);
    *call = (struct prometheus_call){0};
}

/* ------------------------------------------------------------------ what came of it */

static void explain(const struct prometheus_call *call, CURLcode code,
                    const struct prometheus_config *c, struct prometheus_answer *a)
{
    const char *why = *call->why ? call->why : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        prometheus_no_value(a, RELEASE_ERROR,
                            "no whole answer within %lld ms: is it overloaded? A recording rule "
                            "makes a query cheap; --prometheus-timeout gives it longer",
                            (long long)c->timeout_ms);
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        prometheus_no_value(a, RELEASE_ERROR, "%s: does Prometheus run, and is --prometheus right?",
                            why);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        prometheus_no_value(a, RELEASE_ERROR,
                            "%s: give the CA of its certificate (--prometheus-ca), and a name that "
                            "stands in it",
                            why);
        break;
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_WRITE_ERROR:
        prometheus_no_value(a, RELEASE_ERROR,
                            "the answer is longer than %zu bytes: make its series one, as by max() "
                            "or sum() around the query",
                            call->answer_max);
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
        prometheus_no_value(a, RELEASE_ERROR,
                            "the answer broke off: %s; look into the log of Prometheus, or of the "
                            "proxy before it",
                            why);
        break;
    default:
        prometheus_no_value(a, RELEASE_ERROR, "%s: is --prometheus a Prometheus?", why);
    }
}

bool prometheus_call_said(struct prometheus_call *call, CURLcode code,
                          const struct prometheus_config *c, struct prometheus_said *ret_said,
                          struct prometheus_answer *ret)
{
    char *type = NULL;
    if (code != CURLE_OK) {
        explain(call, code, c, ret);
        return false;
    }
    *ret_said = (struct prometheus_said){.body = buf_slice(&call->body)};
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &ret_said->status);
    curl_easy_getinfo(call->curl, CURLINFO_CONTENT_TYPE, &type);
    ret_said->content_type = type;
    return true;
}

void prometheus_call_answer(struct prometheus_call *call, CURLcode code,
                            const struct prometheus_config *c, const struct prometheus_query *q,
                            struct prometheus_answer *ret)
{
    struct prometheus_said said;
    if (prometheus_call_said(call, code, c, &said, ret))
        prometheus_read(q, &said, clock_wall_ms(), c->stale_ms, ret);
}
