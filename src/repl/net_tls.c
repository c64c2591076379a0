#include "repl/net_tls.h"

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <nng/supplemental/tls/tls.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "repl/net.h"

enum { NAME_MAX_LEN = 256, WHY_MS = 1000, PLAIN_MS = 300, WORDS_MAX = 256 };

struct net_tls {
    atomic_uint holders;
    struct tls_files files;
    char *server_name; /* NULL: the host of the URL */
};

/* ------------------------------------------------------------------ what was read */

struct parsed { /* the three files as Mbed TLS has them */
    mbedtls_x509_crt cert, ca;
    mbedtls_pk_context key;
};

static void parsed_init(struct parsed *p)
{
    mbedtls_x509_crt_init(&p->cert);
    mbedtls_x509_crt_init(&p->ca);
    mbedtls_pk_init(&p->key);
}

static void parsed_done(struct parsed *p)
{
    mbedtls_x509_crt_free(&p->cert);
    mbedtls_x509_crt_free(&p->ca);
    mbedtls_pk_free(&p->key);
}

static enum hoist_err parse_err(int rc, const char *option)
{
    char words[WORDS_MAX];
    mbedtls_strerror(rc < 0 ? rc : MBEDTLS_ERR_X509_INVALID_FORMAT, words, sizeof words);
    return err_set(HOIST_EINVAL, "%s cannot be read: %s", option, words);
}

static const unsigned char *bytes(const char *text)
{
    return (const unsigned char *)text;
}

static enum hoist_err parse(const struct tls_files *f, struct parsed *p)
{
    int rc = mbedtls_x509_crt_parse(&p->cert, bytes(f->cert), strlen(f->cert) + 1);
    if (rc != 0)
        return parse_err(rc, "--tls-cert");
    rc = mbedtls_x509_crt_parse(&p->ca, bytes(f->ca), strlen(f->ca) + 1);
    if (rc != 0)
        return parse_err(rc, "--tls-ca");
    rc = mbedtls_pk_parse_key(&p->key, bytes(f->key), strlen(f->key) + 1, NULL, 0);
    if (rc != 0)
        return parse_err(rc, "--tls-key");
    if (mbedtls_pk_check_pair(&p->cert.pk, &p->key) != 0)
        return err_set(HOIST_EINVAL, "--tls-key is not the key of the certificate in --tls-cert");
    return HOIST_OK;
}

/* What is wrong with a certificate, from what Mbed TLS found. */
static void put_flags(uint32_t flags, const char *name, char out[WORDS_MAX])
{
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
        snprintf(out, WORDS_MAX, "it has expired");
    else if (flags & MBEDTLS_X509_BADCERT_FUTURE)
        snprintf(out, WORDS_MAX, "it is not valid yet");
    else if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        snprintf(out, WORDS_MAX, "no CA in --tls-ca has signed it");
    else if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        snprintf(out, WORDS_MAX, "it is not for '%.100s' (see --tls-server-name)", name);
    else if (mbedtls_x509_crt_verify_info(out, WORDS_MAX, "", flags) < 0)
        snprintf(out, WORDS_MAX, "it cannot be verified");
    out[strcspn(out, "\n")] = '\0';
}

/* Whether any of these is wrong with it. */
static enum hoist_err check_own(const struct net_tls *t, uint32_t of)
{
    struct parsed p;
    uint32_t flags = 0;
    char words[WORDS_MAX];
    parsed_init(&p);
    enum hoist_err err = parse(&t->files, &p);
    if (!err && mbedtls_x509_crt_verify(&p.cert, &p.ca, NULL, NULL, &flags, NULL, NULL) != 0 &&
        flags & of) {
        put_flags(flags & of, "", words);
        err = err_set(HOIST_EINVAL, "nobody will believe the certificate in --tls-cert: %s", words);
    }
    parsed_done(&p);
    return err;
}

enum hoist_err net_tls_check_own(const struct net_tls *t)
{
    return check_own(t, UINT32_MAX);
}

enum hoist_err net_tls_check_dates(const struct net_tls *t)
{
    return check_own(t, MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
}

/* ------------------------------------------------------------------ holding it */

static void net_tls_free(struct net_tls *t)
{
    tls_files_done(&t->files);
    mem_free(t->server_name);
    mem_free(t);
}

static bool copy(struct net_tls *t, const struct tls_files *files, const char *server_name)
{
    t->files.cert = mem_dup_str(files->cert);
    t->files.key = mem_dup_str(files->key);
    t->files.ca = mem_dup_str(files->ca);
    t->server_name = server_name ? mem_dup_str(server_name) : NULL;
    return t->files.cert && t->files.key && t->files.ca && (t->server_name || !server_name);
}

enum hoist_err net_tls_new(const struct tls_files *files, const char *server_name,
                           struct net_tls **ret)
{
    struct parsed p;
    parsed_init(&p);
    enum hoist_err err = parse(files, &p);
    parsed_done(&p);
    if (err)
        return err;
    struct net_tls *t = mem_zalloc(1, sizeof *t);
    if (!t || !copy(t, files, server_name)) {
        if (t)
            net_tls_free(t);
        return err_set(HOIST_ENOMEM, "repl: out of memory");
    }
    atomic_init(&t->holders, 1);
    *ret = t;
    return HOIST_OK;
}

struct net_tls *net_tls_hold(struct net_tls *t)
{
    if (t)
        atomic_fetch_add(&t->holders, 1);
    return t;
}

void net_tls_drop(struct net_tls *t)
{
    if (t && atomic_fetch_sub(&t->holders, 1) == 1)
        net_tls_free(t);
}

/* ------------------------------------------------------------------ as nng's */

static enum hoist_err make_config(const struct net_tls *t, enum nng_tls_mode mode, const char *name,
                                  const char *url, nng_tls_config **ret)
{
    nng_tls_config *c;
    if (!t)
        return err_set(HOIST_EINVAL, "%s takes --tls-cert, --tls-key and --tls-ca", url);
    int rc = nng_tls_config_alloc(&c, mode);
    if (rc != 0)
        return net_err(rc, url);
    rc = nng_tls_config_version(c, NNG_TLS_1_2, NNG_TLS_1_3);
    if (rc == 0)
        rc = nng_tls_config_auth_mode(c, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rc == 0)
        rc = nng_tls_config_ca_chain(c, t->files.ca, NULL);
    if (rc == 0)
        rc = nng_tls_config_own_cert(c, t->files.cert, t->files.key, NULL);
    if (rc == 0 && name)
        rc = nng_tls_config_server_name(c, name);
    if (rc != 0) {
        nng_tls_config_free(c);
        return net_err(rc, url);
    }
    *ret = c;
    return HOIST_OK;
}

enum hoist_err net_tls_listen(const struct net_tls *t, nng_listener l, const char *url)
{
    nng_tls_config *c;
    enum hoist_err err = make_config(t, NNG_TLS_MODE_SERVER, NULL, url, &c);
    if (err)
        return err;
    int rc = nng_listener_set_ptr(l, NNG_OPT_TLS_CONFIG, c);
    nng_tls_config_free(c); /* the listener has it */
    return rc == 0 ? HOIST_OK : net_err(rc, url);
}

/* The name that the server's certificate must have. */
static void server_name(const struct net_tls *t, const char *url, char out[NAME_MAX_LEN])
{
    if (t->server_name)
        snprintf(out, NAME_MAX_LEN, "%s", t->server_name);
    else
        address_host(url + strlen(NET_TLS_SCHEME), out, NAME_MAX_LEN);
}

enum hoist_err net_tls_dial(const struct net_tls *t, nng_dialer d, const char *url)
{
    char name[NAME_MAX_LEN] = "";
    nng_tls_config *c;
    if (t)
        server_name(t, url, name);
    enum hoist_err err = make_config(t, NNG_TLS_MODE_CLIENT, name, url, &c);
    if (err)
        return err;
    int rc = nng_dialer_set_ptr(d, NNG_OPT_TLS_CONFIG, c);
    nng_tls_config_free(c);
    return rc == 0 ? HOIST_OK : net_err(rc, url);
}

/* ------------------------------------------------------------------ why not */

struct talk { /* one connection to look into; nng's resolver and sockets keep the time limit */
    nng_stream_dialer *dialer;
    nng_stream *stream;
    nng_aio *aio;
    int64_t until_ms;
};

/* Wait for what was begun with the aio: nng's code. */
static int talk_wait(struct talk *k)
{
    nng_aio_wait(k->aio);
    return nng_aio_result(k->aio);
}

static bool talk_has_time(struct talk *k)
{
    int64_t left = k->until_ms - clock_mono_ms();
    nng_aio_set_timeout(k->aio, (nng_duration)left);
    return left > 0;
}

static bool talk_open(struct talk *k, const char *url)
{
    if (nng_aio_alloc(&k->aio, NULL, NULL) != 0 || nng_stream_dialer_alloc(&k->dialer, url) != 0 ||
        !talk_has_time(k))
        return false;
    nng_stream_dialer_dial(k->dialer, k->aio);
    if (talk_wait(k) != 0)
        return false;
    k->stream = nng_aio_get_output(k->aio, 0);
    return true;
}

/* The aio first: nng's clock may just be ending its operation, which takes what the operation was
 * on; and only this waits for that. */
static void talk_close(struct talk *k)
{
    nng_aio_free(k->aio);
    if (k->stream)
        nng_stream_free(k->stream);
    if (k->dialer)
        nng_stream_dialer_free(k->dialer);
}

static int talk_send(void *arg, const unsigned char *from, size_t len)
{
    struct talk *k = arg;
    nng_iov iov = {.iov_buf = (void *)from, .iov_len = len};
    nng_aio_set_iov(k->aio, 1, &iov);
    if (!talk_has_time(k))
        return MBEDTLS_ERR_SSL_TIMEOUT;
    nng_stream_send(k->stream, k->aio);
    return talk_wait(k) == 0 ? (int)nng_aio_count(k->aio) : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int talk_recv(void *arg, unsigned char *to, size_t len)
{
    struct talk *k = arg;
    nng_iov iov = {.iov_buf = to, .iov_len = len};
    nng_aio_set_iov(k->aio, 1, &iov);
    if (!talk_has_time(k))
        return MBEDTLS_ERR_SSL_TIMEOUT;
    nng_stream_recv(k->stream, k->aio);
    int rc = talk_wait(k);
    return rc == 0               ? (int)nng_aio_count(k->aio)
           : rc == NNG_ETIMEDOUT ? MBEDTLS_ERR_SSL_TIMEOUT
                                 : MBEDTLS_ERR_NET_RECV_FAILED;
}

static int random_bytes(void *arg, unsigned char *out, size_t len)
{
    (void)arg;
    hash_random(out, len);
    return 0;
}

/* The other side ended it once it had seen our certificate, with a word or without. */
static bool is_refused(int rc, const mbedtls_ssl_context *ssl)
{
    return rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE ||
           (rc != MBEDTLS_ERR_SSL_TIMEOUT && ssl->state > MBEDTLS_SSL_CLIENT_CERTIFICATE);
}

/* As by who takes the first bytes of TLS for rubbish, and has said nothing. */
static bool is_cut_off(int rc, const mbedtls_ssl_context *ssl)
{
    return (rc == MBEDTLS_ERR_NET_RECV_FAILED || rc == MBEDTLS_ERR_NET_CONN_RESET) &&
           ssl->state <= MBEDTLS_SSL_SERVER_HELLO;
}

/* It has seen nothing of ours, and has none that it may show: so does Mbed TLS where the only one is a
 * client's alone. */
static bool is_without_certificate(int rc, const mbedtls_ssl_context *ssl)
{
    return rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && ssl->state <= MBEDTLS_SSL_SERVER_HELLO;
}

static void put_why(int rc, const mbedtls_ssl_context *ssl, const char *name, struct buf *out)
{
    char words[WORDS_MAX];
    if (rc == 0)
        return;
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        put_flags(mbedtls_ssl_get_verify_result(ssl), name, words);
        buf_printf(out, "the certificate there is not believed: %s", words);
    } else if (is_without_certificate(rc, ssl)) {
        buf_add_str(out,
                    "the handshake ended before a certificate was shown there: is it for servers "
                    "(extended key usage serverAuth)? The log there says so");
    } else if (is_refused(rc, ssl)) {
        buf_add_str(out, "our certificate is not believed there: has it expired, or has a CA "
                         "signed it that is not in the other's --tls-ca?");
    } else if (rc == MBEDTLS_ERR_SSL_INVALID_RECORD) {
        buf_add_str(out, "no TLS is spoken there: is tcp:// meant?");
    } else if (is_cut_off(rc, ssl)) {
        buf_add_str(out, "the connection was cut before TLS began: is tcp:// meant?");
    } else {
        mbedtls_strerror(rc, words, sizeof words);
        buf_printf(out, "the TLS handshake failed: %s", words);
    }
}

static int try_config(mbedtls_ssl_config *config, const struct parsed *p, mbedtls_ssl_context *ssl,
                      const char *name)
{
    int rc = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0)
        return rc;
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_rng(config, random_bytes, NULL);
    mbedtls_ssl_conf_ca_chain(config, (mbedtls_x509_crt *)&p->ca, NULL);
    rc = mbedtls_ssl_conf_own_cert(config, (mbedtls_x509_crt *)&p->cert,
                                   (mbedtls_pk_context *)&p->key);
    if (rc == 0)
        rc = mbedtls_ssl_setup(ssl, config);
    return rc == 0 ? mbedtls_ssl_set_hostname(ssl, name) : rc;
}

/* One handshake as nng's dialers make it. */
static void try_tls(const struct net_tls *t, const char *url, struct talk *k, struct buf *out)
{
    struct parsed p;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
    char name[NAME_MAX_LEN];
    server_name(t, url, name);
    parsed_init(&p);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_init(&ssl);
    if (parse(&t->files, &p) == HOIST_OK) {
        int rc = try_config(&config, &p, &ssl, name);
        mbedtls_ssl_set_bio(&ssl, k, talk_send, talk_recv, NULL);
        if (rc == 0)
            rc = mbedtls_ssl_handshake(&ssl);
        put_why(rc, &ssl, name, out);
    }
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&config);
    parsed_done(&p);
}

/* A listener of nng's speaks first; one that speaks TLS waits. */
static void try_plain(struct talk *k, struct buf *out)
{
    static const unsigned char greeting[] = {0, 'S', 'P', 0};
    unsigned char got[sizeof greeting] = "";
    k->until_ms = clock_mono_ms() + PLAIN_MS;
    (void)!talk_recv(k, got, sizeof got);
    if (memcmp(got, greeting, sizeof greeting) != 0)
        buf_add_str(out, "no hoistd speaks plain tcp there: is tls+tcp:// meant?");
}

void net_tls_why(const struct net_tls *t, const char *url, struct buf *out)
{
    struct talk k = {.until_ms = clock_mono_ms() + WHY_MS};
    bool tls = net_is_tls(url);
    const char *plain = strstr(url, "tcp://");
    if (!plain || (tls && !t))
        return;
    if (talk_open(&k, plain) && tls)
        try_tls(t, url, &k, out);
    else if (k.stream)
        try_plain(&k, out);
    talk_close(&k);
}
