#include "http/fetch.h"

#include "http/curl_int.h"

static size_t take(char *bytes, size_t one, size_t count, void *arg)
{
    struct buf *out = arg;
    if (!out)
        return count;
    buf_add(out, bytes, one * count);
    return out->err ? 0 : count;
}

/* NULL: memory is out, and the list is gone. */
static struct curl_slist *header_add(struct curl_slist *headers, const char *text)
{
    struct curl_slist *both = curl_slist_append(headers, text);
    if (!both)
        curl_slist_free_all(headers);
    return both;
}

static struct curl_slist *headers_of(const struct fetch *f)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct buf token = BUF_INIT(16 << 10);
    if (f->token && headers) {
        buf_printf(&token, "Authorization: Bearer %s", f->token);
        headers = header_add(headers, buf_str(&token));
        if (token.err) {
            curl_slist_free_all(headers);
            headers = NULL;
        }
    }
    for (size_t i = 0; i < f->header_count && headers; i++)
        headers = header_add(headers, f->headers[i]);
    buf_done(&token);
    return headers;
}

static enum hoist_err failed(const struct fetch *f, CURLcode code, const char *why,
                             const struct buf *out)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return err_set(HOIST_EINVAL, "this is no http:// or https:// URL");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(HOIST_ETIMEOUT, "no answer in time");
    case CURLE_WRITE_ERROR:
        return out ? buf_err(out) : HOIST_EIO;
    case CURLE_OUT_OF_MEMORY:
        return err_set(HOIST_ENOMEM, "out of memory");
    default:
        return err_set(HOIST_EIO, "%s", *why && !f->is_secret ? why : curl_easy_strerror(code));
    }
}

static void give_tls(CURL *curl, const struct tls_files *tls)
{
    if (!tls || !tls->cert)
        return;
    curl_give_pem(curl, CURLOPT_SSLCERT_BLOB, tls->cert);
    curl_give_pem(curl, CURLOPT_SSLKEY_BLOB, tls->key);
    curl_give_pem(curl, CURLOPT_CAINFO_BLOB, tls->ca);
}

static int look(void *stop, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load((const atomic_bool *)stop); /* other than 0: libcurl gives up */
}

static void let_stop(CURL *curl, const atomic_bool *stop)
{
    if (!stop)
        return;
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, stop);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
}

static void read_retry_after(CURL *curl, int64_t *ret_ms)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
    *ret_ms = seconds < INT32_MAX ? seconds * 1000 : INT32_MAX;
}

static enum hoist_err fetch(const struct fetch *f, bool post, long *ret_status, struct buf *out)
{
    char why[CURL_ERROR_SIZE] = "";
    curl_begin();
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl ? headers_of(f) : NULL;
    if (!headers) {
        curl_easy_cleanup(curl);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    curl_easy_setopt(curl, CURLOPT_URL, f->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (post) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, f->body.ptr);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.len);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)f->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    let_stop(curl, f->stop);
    give_tls(curl, f->tls);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    if (code == CURLE_OK && f->retry_after_ms)
        read_retry_after(curl, f->retry_after_ms);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? HOIST_OK : failed(f, code, why, out);
}

enum hoist_err fetch_post(const struct fetch *f, long *ret_status, struct buf *out)
{
    return fetch(f, true, ret_status, out);
}

enum hoist_err fetch_get(const struct fetch *f, long *ret_status, struct buf *out)
{
    return fetch(f, false, ret_status, out);
}
