/* tls.h - the three files behind a TLS connection: certificate, key, and whom to believe.
 *
 * They are read here, and handed as text to whoever speaks TLS: nng for rpc and stream, the HTTP
 * server for its own. Files may hold more than is looked for: a certificate behind its key, say.
 */
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stdbool.h>

#include "base/err.h"

struct tls_files { /* PEM, owned; `cert` NULL: no TLS */
    char *cert;    /* ours, with those between it and the CA's behind it */
    char *key;     /* its secret key */
    char *ca;      /* of those who may sign the certificates of others */
};

/*
 * Read all three, or none when no path is given.
 *
 * Errors:  EINVAL  one is given without the others, is not there, may not be read, is too long, or
 *                  is not PEM of its kind; the key can be read by others than its owner. Names the
 *                  option (--tls-cert, --tls-key, --tls-ca), the file and the mend
 *          ENOMEM
 */
MUST_USE enum hoist_err tls_files_read(const char *cert_path, const char *key_path,
                                       const char *ca_path, struct tls_files *ret);

/* The certificates in file `path`, to be freed with tls_files_done(); `option` names it in errors: EINVAL.
 * ENOMEM. */
MUST_USE enum hoist_err tls_ca_read(const char *option, const char *path, char **ret);

/* The secret key in file `path`, likewise. */
MUST_USE enum hoist_err tls_key_read(const char *option, const char *path, char **ret);

/* Whether both hold the same. */
bool tls_files_same(const struct tls_files *a, const struct tls_files *b);

/* Wipes the key. Fine on what is zeroed. */
void tls_files_done(struct tls_files *f);

#endif
