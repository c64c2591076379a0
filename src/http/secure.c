#include "http/secure.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

const char secure_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

struct secure_set {
    gnutls_certificate_credentials_t credentials;
    atomic_uint holders; /* connections, and the server while it is the newest */
};

struct secure {
    pthread_mutex_t lock; /* of `newest` */
    struct secure_set *newest;
    bool any_client;
};

/* ------------------------------------------------------------------ sets */

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

static enum hoist_err load(gnutls_certificate_credentials_t credentials,
                           const struct tls_files *tls)
{
    gnutls_datum_t cert = datum(tls->cert), key = datum(tls->key), ca = datum(tls->ca);
    int rc = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (rc == 0)
        rc = GNUTLS_E_NO_CERTIFICATE_FOUND;
    if (rc >= 0)
        rc = gnutls_certificate_set_x509_key_mem2(credentials, &cert, &key, GNUTLS_X509_FMT_PEM,
                                                  NULL, GNUTLS_PKCS_PLAIN);
    return rc >= 0 ? HOIST_OK
                   : err_set(HOIST_EINVAL, "TLS certificates for HTTP: %s", gnutls_strerror(rc));
}

static enum hoist_err set_new(const struct tls_files *tls, struct secure_set **ret)
{
    struct secure_set *set = mem_zalloc(1, sizeof *set);
    if (!set || gnutls_certificate_allocate_credentials(&set->credentials) < 0) {
        mem_free(set);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    atomic_init(&set->holders, 1);
    enum hoist_err err = load(set->credentials, tls);
    if (err)
        secure_end(set);
    else
        *ret = set;
    return err;
}

void secure_end(struct secure_set *set)
{
    if (!set || atomic_fetch_sub(&set->holders, 1) > 1)
        return;
    gnutls_certificate_free_credentials(set->credentials);
    mem_free(set);
}

/* ------------------------------------------------------------------ connections */

/* A client's certificate is checked in the handshake: whoever has none never gets to ask. */
static void demand_client(gnutls_session_t session)
{
    static gnutls_typed_vdata_st purpose[] = {
        {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0}};
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(session, purpose, 1, 0);
}

struct secure_set *secure_begin(struct secure *s, gnutls_session_t session)
{
    pthread_mutex_lock(&s->lock);
    struct secure_set *set = s->newest;
    atomic_fetch_add(&set->holders, 1);
    pthread_mutex_unlock(&s->lock);
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, set->credentials) < 0) {
        secure_end(set);
        return NULL;
    }
    if (!s->any_client)
        demand_client(session);
    return set;
}

/* ------------------------------------------------------------------ begin, renew, end */

enum hoist_err secure_new(const struct tls_files *tls, bool any_client, struct secure **ret)
{
    struct secure *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return err_set(HOIST_ENOMEM, "out of memory");
    s->any_client = any_client;
    pthread_mutex_init(&s->lock, NULL);
    enum hoist_err err = set_new(tls, &s->newest);
    if (err)
        secure_free(s);
    else
        *ret = s;
    return err;
}

void secure_free(struct secure *s)
{
    if (!s)
        return;
    secure_end(s->newest);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

enum hoist_err secure_renew(struct secure *s, const struct tls_files *tls)
{
    struct secure_set *set;
    enum hoist_err err = set_new(tls, &set);
    if (err)
        return err;
    pthread_mutex_lock(&s->lock);
    struct secure_set *old = s->newest;
    s->newest = set;
    pthread_mutex_unlock(&s->lock);
    secure_end(old);
    return HOIST_OK;
}
