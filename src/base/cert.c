#include "base/cert.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>

#include "base/cert_int.h"
#include "base/mem.h"
#include "base/text.h"

enum { CHAIN_MAX = 16 };

void cert_pair_done(struct cert_pair *p)
{
    if (p->key)
        sodium_memzero(p->key, strlen(p->key));
    mem_free(p->key);
    mem_free(p->cert);
    *p = (struct cert_pair){0};
}

/* ------------------------------------------------------------------ GnuTLS's objects */

enum hoist_err cert_err(int rc, const char *what)
{
    if (rc >= 0)
        return HOIST_OK;
    if (rc == GNUTLS_E_MEMORY_ERROR)
        return err_set(HOIST_ENOMEM, "out of memory");
    return err_set(HOIST_EINVAL, "%s: %s", what, gnutls_strerror(rc));
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

enum hoist_err cert_import(const char *pem, gnutls_x509_crt_t *ret)
{
    gnutls_datum_t text = datum(pem);
    *ret = NULL;
    int rc = gnutls_x509_crt_init(ret);
    if (rc >= 0)
        rc = gnutls_x509_crt_import(*ret, &text, GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        return HOIST_OK;
    if (*ret)
        gnutls_x509_crt_deinit(*ret);
    *ret = NULL;
    return cert_err(rc, "no certificate can be read");
}

enum hoist_err cert_import_key(const char *pem, gnutls_x509_privkey_t *ret)
{
    gnutls_datum_t text = datum(pem);
    *ret = NULL;
    int rc = gnutls_x509_privkey_init(ret);
    if (rc >= 0)
        rc = gnutls_x509_privkey_import2(*ret, &text, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    if (rc >= 0)
        return HOIST_OK;
    if (*ret)
        gnutls_x509_privkey_deinit(*ret);
    *ret = NULL;
    return cert_err(rc, "no secret key can be read");
}

/* ------------------------------------------------------------------ what one says */

static enum hoist_err keep_host(struct cert_info *i, const char *host)
{
    for (size_t n = 0; n < i->host_count; n++)
        if (strcmp(i->hosts[n], host) == 0)
            return HOIST_OK;
    if (i->host_count == CERT_HOSTS_MAX)
        return HOIST_OK;
    char *copy = mem_dup_str(host);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");
    i->hosts[i->host_count++] = copy;
    return HOIST_OK;
}

/* Of other kinds, such as mail addresses, nothing is kept. */
static enum hoist_err read_host(struct cert_info *i, unsigned kind, char *bytes, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    if (kind == GNUTLS_SAN_DNSNAME) {
        bytes[len] = '\0';
        return keep_host(i, bytes);
    }
    bool address = kind == GNUTLS_SAN_IPADDRESS && (len == 4 || len == 16);
    if (address && inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text))
        return keep_host(i, text);
    return HOIST_OK;
}

static enum hoist_err read_hosts(gnutls_x509_crt_t crt, struct cert_info *i)
{
    char bytes[CERT_HOST_MAX + 1];
    enum hoist_err err = HOIST_OK;
    for (unsigned n = 0; !err; n++) {
        size_t len = sizeof bytes - 1;
        unsigned kind;
        int rc = gnutls_x509_crt_get_subject_alt_name2(crt, n, bytes, &len, &kind, NULL);
        if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue; /* no host's: those have at most 253 characters */
        if (rc < 0)
            return cert_err(rc, "a name in the certificate");
        err = read_host(i, kind, bytes, len);
    }
    return err;
}

/* Without any purpose in it, it is for all. */
static bool is_for_servers(gnutls_x509_crt_t crt)
{
    return gnutls_x509_crt_check_key_purpose(crt, GNUTLS_KP_TLS_WWW_SERVER, 0) != 0;
}

static enum hoist_err read_serial(gnutls_x509_crt_t crt, struct cert_info *i)
{
    uint8_t bytes[(CERT_SERIAL_SIZE - 1) / 2];
    size_t len = sizeof bytes;
    int rc = gnutls_x509_crt_get_serial(crt, bytes, &len);
    if (rc < 0)
        return cert_err(rc, "the certificate's serial number");
    text_hex(i->serial, slice_of(bytes, len));
    return HOIST_OK;
}

/* A certificate may do without a common name. */
static void read_names(gnutls_x509_crt_t crt, struct cert_info *i)
{
    size_t len = sizeof i->name;
    if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, i->name, &len) < 0)
        i->name[0] = '\0';
    len = sizeof i->issuer;
    if (gnutls_x509_crt_get_issuer_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, i->issuer,
                                             &len) < 0)
        i->issuer[0] = '\0';
}

enum hoist_err cert_read(const char *pem, struct cert_info *ret)
{
    struct cert_info i = {0};
    gnutls_x509_crt_t crt;
    enum hoist_err err = cert_import(pem, &crt);
    if (err)
        return err;
    i.from_ms = (int64_t)gnutls_x509_crt_get_activation_time(crt) * 1000;
    i.until_ms = (int64_t)gnutls_x509_crt_get_expiration_time(crt) * 1000;
    i.server = is_for_servers(crt);
    read_names(crt, &i);
    err = read_serial(crt, &i);
    if (!err)
        err = read_hosts(crt, &i);
    gnutls_x509_crt_deinit(crt);
    if (err)
        cert_info_done(&i);
    else
        *ret = i;
    return err;
}

void cert_info_done(struct cert_info *i)
{
    for (size_t n = 0; n < i->host_count; n++)
        mem_free(i->hosts[n]);
    *i = (struct cert_info){0};
}

/* ------------------------------------------------------------------ what belongs together */

static enum hoist_err check_key(const char *cert, const char *key)
{
    uint8_t of_cert[64], of_key[64];
    size_t cert_len = sizeof of_cert, key_len = sizeof of_key;
    gnutls_x509_crt_t crt = NULL;
    gnutls_x509_privkey_t secret = NULL;
    enum hoist_err err = cert_import(cert, &crt);
    if (!err)
        err = cert_import_key(key, &secret);
    if (!err)
        err = cert_err(gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, of_cert, &cert_len),
                       "the certificate's key");
    if (!err)
        err = cert_err(
            gnutls_x509_privkey_get_key_id(secret, GNUTLS_KEYID_USE_SHA256, of_key, &key_len),
            "the secret key");
    if (!err && !slice_eq(slice_of(of_cert, cert_len), slice_of(of_key, key_len)))
        err = err_set(HOIST_EINVAL, "the secret key is not the certificate's");
    if (crt)
        gnutls_x509_crt_deinit(crt);
    if (secret)
        gnutls_x509_privkey_deinit(secret);
    return err;
}

static enum hoist_err check_signed(gnutls_x509_trust_list_t trusted, const char *cert)
{
    gnutls_x509_crt_t chain[CHAIN_MAX];
    gnutls_datum_t text = datum(cert);
    unsigned count = CHAIN_MAX, wrong = 0;
    int rc = gnutls_x509_crt_list_import(chain, &count, &text, GNUTLS_X509_FMT_PEM,
                                         GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (rc < 0)
        return cert_err(rc, "the certificate");
    rc = gnutls_x509_trust_list_verify_crt2(trusted, chain, count, NULL, 0,
                                            GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
                                                GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS,
                                            &wrong, NULL);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    if (rc < 0)
        return cert_err(rc, "the certificate");
    return wrong ? err_set(HOIST_EINVAL, "no certificate of the CA has signed the certificate")
                 : HOIST_OK;
}

enum hoist_err cert_check(const char *cert, const char *key, const char *ca)
{
    gnutls_x509_trust_list_t trusted = NULL;
    gnutls_datum_t text = datum(ca);
    enum hoist_err err = check_key(cert, key);
    if (err)
        return err;
    int rc = gnutls_x509_trust_list_init(&trusted, 0);
    if (rc >= 0)
        rc = gnutls_x509_trust_list_add_trust_mem(trusted, &text, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    err = cert_err(rc, "the CA's certificate");
    if (!err && rc == 0)
        err = err_set(HOIST_EINVAL, "there is no certificate of a CA");
    if (!err)
        err = check_signed(trusted, cert);
    if (trusted)
        gnutls_x509_trust_list_deinit(trusted, 1);
    return err;
}

/* ------------------------------------------------------------------ whose are the same */

struct cert_list {
    gnutls_x509_crt_t *certs;
    unsigned count;
};

static enum hoist_err list_import(const char *pem, struct cert_list *ret)
{
    gnutls_datum_t text = datum(pem);
    int rc = gnutls_x509_crt_list_import2(&ret->certs, &ret->count, &text, GNUTLS_X509_FMT_PEM, 0);
    return cert_err(rc, "no certificate can be read");
}

static void list_done(struct cert_list *l)
{
    for (unsigned i = 0; i < l->count; i++)
        gnutls_x509_crt_deinit(l->certs[i]);
    gnutls_free(l->certs);
}

static enum hoist_err key_id(gnutls_x509_crt_t crt, uint8_t out[32])
{
    size_t len = 32;
    return cert_err(gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, out, &len),
                    "a certificate's key");
}

static enum hoist_err find_key(const struct cert_list *in, gnutls_x509_crt_t crt, bool *ret)
{
    uint8_t wanted[32], here[32];
    enum hoist_err err = key_id(crt, wanted);
    *ret = false;
    for (unsigned i = 0; i < in->count && !err && !*ret; i++) {
        err = key_id(in->certs[i], here);
        *ret = !err && memcmp(wanted, here, sizeof here) == 0;
    }
    return err;
}

enum hoist_err cert_compare(const char *pem, const char *other, size_t *ret_count,
                            size_t *ret_shared)
{
    struct cert_list a = {0}, b = {0};
    size_t shared = 0;
    enum hoist_err err = list_import(pem, &a);
    if (!err)
        err = list_import(other, &b);
    for (unsigned i = 0; i < a.count && !err; i++) {
        bool found = false;
        err = find_key(&b, a.certs[i], &found);
        shared += found;
    }
    if (!err) {
        *ret_count = a.count;
        *ret_shared = shared;
    }
    list_done(&a);
    list_done(&b);
    return err;
}
