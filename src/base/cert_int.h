/* cert_int.h - what the two halves of cert.h share: from PEM to GnuTLS's objects, and its errors. */
#ifndef BASE_CERT_INT_H
#define BASE_CERT_INT_H

#include <gnutls/x509.h>

#include "base/cert.h"

/* "WHAT: GnuTLS's word for `rc`"; OK for GNUTLS_E_SUCCESS and beyond. */
enum hoist_err cert_err(int rc, const char *what);

/* The first certificate, or the key, in `pem`. EINVAL, ENOMEM; then *ret is NULL. */
MUST_USE enum hoist_err cert_import(const char *pem, gnutls_x509_crt_t *ret);
MUST_USE enum hoist_err cert_import_key(const char *pem, gnutls_x509_privkey_t *ret);

#endif
