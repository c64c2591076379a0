#include "base/bundle.h"

#include <sodium.h>
#include <string.h>

#include "base/cert.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"

static const char first_line[] = "hoist-bundle-1";
static const struct slice begin_certificate = SLICE("-----BEGIN CERTIFICATE-----");

static enum hoist_err no_memory(void)
{
    return err_set(HOIST_ENOMEM, "out of memory");
}

/* ------------------------------------------------------------------ lines */

struct reader {
    struct slice left;
    int line;         /* the number of the one that was taken last */
    struct slice key; /* once it was read, what comes is the CA's */
    struct buf cert, ca;
    struct bundle b;
};

static bool next_line(struct reader *r, struct slice *ret)
{
    if (r->left.len == 0)
        return false;
    const uint8_t *end = memchr(r->left.ptr, '\n', r->left.len);
    size_t len = end ? (size_t)(end - r->left.ptr) : r->left.len;
    *ret = slice_of(r->left.ptr, len);
    r->left = slice_of(r->left.ptr + len + (end != NULL), r->left.len - len - (end != NULL));
    r->line++;
    while (ret->len && (ret->ptr[ret->len - 1] == '\r' || ret->ptr[ret->len - 1] == ' '))
        ret->len--;
    return true;
}

/* Never with what stands in the line: it may be the key. */
static enum hoist_err wrong(const struct reader *r, const char *what)
{
    return err_set(HOIST_EINVAL, "line %d: %s", r->line, what);
}

static bool starts(struct slice line, struct slice word, struct slice *ret_rest)
{
    if (!slice_starts_with(line, word))
        return false;
    *ret_rest = slice_of(line.ptr + word.len, line.len - word.len);
    return true;
}

/* ------------------------------------------------------------------ PEM */

static bool is_base64(struct slice line)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    for (size_t i = 0; i < line.len; i++)
        if (!line.ptr[i] || !strchr(digits, line.ptr[i]))
            return false;
    return line.len > 0;
}

/* From `begin`, which is "-----BEGIN LABEL-----", to the line that ends it. */
static enum hoist_err take_block(struct reader *r, struct slice begin, struct slice label,
                                 struct slice *ret)
{
    struct slice line, rest;
    while (next_line(r, &line)) {
        if (starts(line, SLICE("-----END "), &rest) && slice_eq(rest, label)) {
            *ret = slice_of(begin.ptr, (size_t)(r->left.ptr - begin.ptr));
            return HOIST_OK;
        }
        if (!is_base64(line))
            return wrong(r, "no base64, nor the end of what began above");
    }
    return wrong(r, "the file ends in the middle of what began above");
}

static enum hoist_err take_certificate(struct reader *r, struct slice begin, struct slice label)
{
    struct slice block;
    struct buf *out = r->key.len ? &r->ca : &r->cert;
    enum hoist_err err = take_block(r, begin, label, &block);
    if (err)
        return err;
    buf_add_slice(out, block);
    if (r->left.len == 0 && block.ptr[block.len - 1] != '\n')
        buf_add_byte(out, '\n');
    return buf_err(out);
}

static enum hoist_err take_pem(struct reader *r, struct slice line, struct slice label)
{
    bool secret = slice_eq(label, SLICE("PRIVATE KEY-----")) ||
                  slice_eq(label, SLICE("EC PRIVATE KEY-----")) ||
                  slice_eq(label, SLICE("RSA PRIVATE KEY-----"));
    if (slice_eq(line, begin_certificate))
        return take_certificate(r, line, label);
    if (!secret)
        return wrong(r, "neither a certificate nor a secret key without a password");
    if (r->key.len)
        return wrong(r, "a second secret key");
    if (r->cert.len == 0)
        return wrong(r, "the certificate belongs above its secret key, the CA's below");
    return take_block(r, line, label, &r->key);
}

/* ------------------------------------------------------------------ the other lines */

static enum hoist_err take_upstream(struct reader *r, struct slice url)
{
    bool ok = url.len > 0 && url.len <= BUNDLE_UPSTREAM_LEN;
    for (size_t i = 0; i < url.len && ok; i++)
        ok = url.ptr[i] > ' ' && url.ptr[i] < 0x7f;
    if (!ok)
        return wrong(r, "'upstream' and an address are meant, as in upstream tls+tcp://HOST:7400");
    if (r->b.upstream_count == BUNDLE_UPSTREAMS_MAX)
        return wrong(r, "more upstreams than 16");
    char *copy = mem_dup(url);
    if (!copy)
        return no_memory();
    r->b.upstreams[r->b.upstream_count++] = copy;
    return HOIST_OK;
}

static enum hoist_err take_trust(struct reader *r, struct slice hex)
{
    struct trust *t = &r->b.trust;
    if (t->count == TRUST_KEYS_MAX)
        return wrong(r, "more trust keys than 16");
    if (hex.len != 2 * SIGN_PUBLIC_SIZE ||
        text_unhex(hex, t->keys[t->count], SIGN_PUBLIC_SIZE) != HOIST_OK)
        return wrong(r, "'hoist-trust-1' and 64 hex digits are meant");
    t->count++;
    return HOIST_OK;
}

static enum hoist_err take(struct reader *r, struct slice line)
{
    struct slice rest;
    if (line.len == 0 || line.ptr[0] == '#')
        return HOIST_OK;
    if (starts(line, SLICE("upstream "), &rest))
        return take_upstream(r, rest);
    if (starts(line, SLICE("hoist-trust-1 "), &rest))
        return take_trust(r, rest);
    if (starts(line, SLICE("-----BEGIN "), &rest))
        return take_pem(r, line, rest);
    return wrong(r, "neither 'upstream', 'hoist-trust-1', nor PEM");
}

/* ------------------------------------------------------------------ reading */

static enum hoist_err read_lines(struct reader *r)
{
    struct slice line;
    if (!next_line(r, &line) || !slice_eq(line, slice_str(first_line)))
        return err_set(HOIST_EINVAL, "line 1: a bundle begins with '%s'", first_line);
    enum hoist_err err = HOIST_OK;
    while (!err && next_line(r, &line))
        err = take(r, line);
    if (err)
        return err;
    if (r->key.len == 0 || r->ca.len == 0)
        return wrong(r, r->key.len == 0
                            ? "the file ends without a certificate and its secret key"
                            : "the file ends without the CA's certificate, below the key");
    return HOIST_OK;
}

static enum hoist_err keep_pem(struct reader *r)
{
    struct tls_files *tls = &r->b.tls;
    tls->cert = mem_dup(buf_slice(&r->cert));
    tls->key = mem_dup(r->key);
    tls->ca = mem_dup(buf_slice(&r->ca));
    return tls->cert && tls->key && tls->ca ? HOIST_OK : no_memory();
}

enum hoist_err bundle_read(struct slice text, struct bundle *ret)
{
    struct reader r = {
        .left = text, .cert = BUF_INIT(BUNDLE_BYTES_MAX), .ca = BUF_INIT(BUNDLE_BYTES_MAX)};
    if (text.len > BUNDLE_BYTES_MAX)
        return err_set(HOIST_EINVAL, "a bundle has at most %d bytes", BUNDLE_BYTES_MAX);
    enum hoist_err err = read_lines(&r);
    if (!err)
        err = keep_pem(&r);
    if (err)
        bundle_done(&r.b);
    else
        *ret = r.b;
    buf_done(&r.cert);
    buf_done(&r.ca);
    return err;
}

enum hoist_err bundle_open(const char *path, struct bundle *ret)
{
    char *text;
    struct bundle b;
    enum hoist_err err = textfile_read(path, BUNDLE_BYTES_MAX, true, &text);
    if (err)
        return err;
    err = bundle_read(slice_str(text), &b);
    textfile_wipe(text);
    if (err)
        return err_prefix(err, "%s", path);
    err = cert_check(b.tls.cert, b.tls.key, b.tls.ca);
    if (err) {
        bundle_done(&b);
        return err_prefix(err, "%s", path);
    }
    *ret = b;
    return HOIST_OK;
}

/* ------------------------------------------------------------------ writing */

static void add_pem(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    buf_add(out, text, len);
    if (len && text[len - 1] != '\n')
        buf_add_byte(out, '\n');
}

void bundle_write(const struct bundle *b, struct buf *out)
{
    char hex[2 * SIGN_PUBLIC_SIZE + 1];
    buf_printf(out, "%s\n", first_line);
    for (size_t i = 0; i < b->upstream_count; i++)
        buf_printf(out, "upstream %s\n", b->upstreams[i]);
    for (uint32_t i = 0; i < b->trust.count; i++) {
        text_hex(hex, slice_of(b->trust.keys[i], SIGN_PUBLIC_SIZE));
        buf_printf(out, "hoist-trust-1 %s\n", hex);
    }
    add_pem(out, b->tls.cert);
    add_pem(out, b->tls.key);
    add_pem(out, b->tls.ca);
}

enum hoist_err bundle_save(const struct bundle *b, const char *path, bool replace)
{
    struct buf text = BUF_INIT(BUNDLE_BYTES_MAX);
    bundle_write(b, &text);
    enum hoist_err err = buf_err(&text);
    if (!err)
        err = textfile_write(path, buf_slice(&text), 0600, replace);
    if (text.ptr)
        sodium_memzero(text.ptr, text.len);
    buf_done(&text);
    return err;
}

void bundle_done(struct bundle *b)
{
    tls_files_done(&b->tls);
    for (size_t i = 0; i < b->upstream_count; i++)
        mem_free(b->upstreams[i]);
    *b = (struct bundle){0};
}
