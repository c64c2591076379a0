#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cert.h"
#include "base/cert_int.h"
#include "base/mem.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool cert_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= CERT_NAME_MAX && name[0] != '.' && name[0] != '-' &&
           name[strspn(name, letters)] == '\0';
}

/* ------------------------------------------------------------------ a server's names */

/* "*.example.com" is a name, too. */
static bool is_dns_name(const char *host)
{
    const char *rest = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    size_t len = strlen(host);
    return *rest && len <= CERT_HOST_MAX && rest[strspn(rest, letters)] == '\0' && rest[0] != '.' &&
           rest[0] != '-';
}

static int add_name(gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t kind, const void *bytes,
                    size_t len)
{
    return gnutls_x509_crt_set_subject_alt_name(crt, kind, bytes, (unsigned)len,
                                                GNUTLS_FSAN_APPEND);
}

static enum hoist_err add_host(gnutls_x509_crt_t crt, const char *host)
{
    uint8_t address[sizeof(struct in6_addr)];
    int rc = 0;
    bool four = inet_pton(AF_INET, host, address) == 1;
    bool six = !four && inet_pton(AF_INET6, host, address) == 1;
    if (!four && !six && !is_dns_name(host))
        return err_set(HOIST_EINVAL,
                       "host '%s' is neither a name nor an address, as in "
                       "flags.example.com or 10.0.0.1",
                       host);
    if (four || six)
        rc = add_name(crt, GNUTLS_SAN_IPADDRESS, address, four ? 4 : 16);
    if (rc >= 0)
        rc = add_name(crt, GNUTLS_SAN_DNSNAME, host, strlen(host));
    return cert_err(rc, host);
}

/* ------------------------------------------------------------------ one certificate */

static enum hoist_err make_key(gnutls_x509_privkey_t *ret)
{
    *ret = NULL;
    int rc = gnutls_x509_privkey_init(ret);
    if (rc >= 0)
        rc = gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    return cert_err(rc, "a new key");
}

/* What every certificate has. */
static enum hoist_err fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
                           const struct cert_order *order)
{
    uint8_t serial[CERT_SERIAL_BYTES], id[64];
    size_t id_len = sizeof id;
    randombytes_buf(serial, sizeof serial);
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and no leading zero */
    int rc = gnutls_x509_crt_set_version(crt, 3);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, order->name,
                                           (unsigned)strlen(order->name));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_activation_time(crt, (time_t)(order->from_ms / 1000));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_expiration_time(crt, (time_t)(order->until_ms / 1000));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key(crt, key);
    if (rc >= 0)
        rc = gnutls_x509_crt_get_key_id(crt, 0, id, &id_len);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
    return cert_err(rc, "a new certificate");
}

/* It signs certificates, and those sign none. */
static enum hoist_err allow_signing(gnutls_x509_crt_t crt)
{
    int rc = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    return cert_err(rc, "a new CA");
}

static enum hoist_err allow_talking(gnutls_x509_crt_t crt, const struct cert_order *order)
{
    enum hoist_err err = HOIST_OK;
    int rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (rc >= 0 && order->host_count)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    err = cert_err(rc, "a new certificate");
    for (size_t i = 0; i < order->host_count && !err; i++)
        err = add_host(crt, order->hosts[i]);
    return err;
}

static enum hoist_err name_signer(gnutls_x509_crt_t crt, gnutls_x509_crt_t by)
{
    uint8_t id[64];
    size_t len = sizeof id;
    int rc = gnutls_x509_crt_get_subject_key_id(by, id, &len, NULL);
    if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return HOIST_OK;
    if (rc >= 0)
        rc = gnutls_x509_crt_set_authority_key_id(crt, id, len);
    return cert_err(rc, "a new certificate");
}

static enum hoist_err text_out(int rc, gnutls_datum_t *d, char **ret)
{
    enum hoist_err err = cert_err(rc, "PEM");
    if (err)
        return err;
    *ret = mem_dup(slice_of(d->data, d->size));
    sodium_memzero(d->data, d->size);
    gnutls_free(d->data);
    return *ret ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

static enum hoist_err export(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
                             struct cert_pair *ret) {
    struct cert_pair p = {0}; gnutls_datum_t text = {0};
    int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text);
    enum hoist_err err = text_out(rc, &text, &p.cert);
    if (!err){rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                                     GNUTLS_PKCS_PLAIN, &text);
              err = text_out(rc, &text, &p.key);}
if (err) cert_pair_done(&p);
else *ret = p;
return err;
}

struct signer { /* NULLs: it signs itself */
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
};

static enum hoist_err make(const struct signer *by, const struct cert_order *order,
                           struct cert_pair *ret)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_x509_privkey_t key = NULL;
    if (!cert_name_ok(order->name))
        return err_set(HOIST_EINVAL,
                       "name '%.80s': 1 to %d letters, digits, '.', '_' and '-' are meant",
                       order->name, CERT_NAME_MAX);
    enum hoist_err err = make_key(&key);
    if (!err)
        err = cert_err(gnutls_x509_crt_init(&crt), "a new certificate");
    if (!err)
        err = fill(crt, key, order);
    if (!err)
        err = by->crt ? allow_talking(crt, order) : allow_signing(crt);
    if (!err && by->crt)
        err = name_signer(crt, by->crt);
    if (!err)
        err = cert_err(gnutls_x509_crt_sign2(crt, by->crt ? by->crt : crt, by->key ? by->key : key,
                                             GNUTLS_DIG_SHA256, 0),
                       "signing a certificate");
    if (!err)
        err = export(crt, key, ret);
    if (crt)
        gnutls_x509_crt_deinit(crt);
    if (key)
        gnutls_x509_privkey_deinit(key);
    return err;
}

enum hoist_err cert_make_ca(const struct cert_order *order, struct cert_pair *ret)
{
    return make(&(struct signer){0}, order, ret);
}

enum hoist_err cert_make(const struct cert_pair *ca, const struct cert_order *order,
                         struct cert_pair *ret)
{
    struct signer by = {0};
    enum hoist_err err = cert_check(ca->cert, ca->key, ca->cert);
    if (!err)
        err = cert_import(ca->cert, &by.crt);
    if (!err)
        err = cert_import_key(ca->key, &by.key);
    if (!err && gnutls_x509_crt_get_ca_status(by.crt, NULL) <= 0)
        err = err_set(HOIST_EINVAL, "the certificate is not a CA's: it may not sign others");
    if (!err)
        err = make(&by, order, ret);
    if (by.crt)
        gnutls_x509_crt_deinit(by.crt);
    if (by.key)
        gnutls_x509_privkey_deinit(by.key);
    return err;
}
