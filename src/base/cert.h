/* cert.h - X.509 certificates: what one says, and making them (GnuTLS).
 *
 * Everything is PEM text. Certificates that are made here have EC keys on P-256 and random serial
 * numbers. Threads: any; nothing is shared.
 */
#ifndef BASE_CERT_H
#define BASE_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    CERT_NAME_MAX = 64, /* X.520's bound of a common name */
    CERT_SERIAL_BYTES = 16,
    CERT_SERIAL_SIZE = 2 * 20 + 1, /* 20 bytes is the longest there is */
    CERT_HOSTS_MAX = 32,
    CERT_HOST_MAX = 253,
};

struct cert_pair { /* owned */
    char *cert;
    char *key; /* its secret key */
};

void cert_pair_done(struct cert_pair *p); /* wipes the key */

/* ------------------------------------------------------------------ reading (cert.c) */

struct cert_info {
    char name[CERT_NAME_MAX + 1];   /* the common name of whose it is, … */
    char issuer[CERT_NAME_MAX + 1]; /* … and of who signed it */
    char serial[CERT_SERIAL_SIZE];  /* hex */
    int64_t from_ms, until_ms;
    bool server; /* it may be shown by a server */
    char
        *hosts[CERT_HOSTS_MAX]; /* owned: the first names and addresses of that server, each once */
    size_t host_count;
};

/* The first certificate in `pem`. EINVAL: there is none; ENOMEM. */
MUST_USE enum hoist_err cert_read(const char *pem, struct cert_info *ret);
void cert_info_done(struct cert_info *i);

/*
 * Whether `key` is the secret key of the first certificate in `cert`, and one of those in `ca` has
 * signed that, be it by way of those that stand behind it in `cert`. Dates are not looked at.
 * EINVAL says which of it is not so; ENOMEM.
 */
MUST_USE enum hoist_err cert_check(const char *cert, const char *key, const char *ca);

/* How many certificates are in `pem`, and of how many of them the key stands in one of `other`, too: two
 * certificates of one CA are by the same key. EINVAL, ENOMEM. */
MUST_USE enum hoist_err cert_compare(const char *pem, const char *other, size_t *ret_count,
                                     size_t *ret_shared);

/* ------------------------------------------------------------------ making (cert_make.c) */

struct cert_order {
    const char *name;
    const char *const *hosts; /* a server's names and addresses; none: it is a client's alone */
    size_t host_count;
    int64_t from_ms, until_ms;
};

/* A certificate that signs others, and its key. The order's hosts do not matter. EINVAL, ENOMEM. */
MUST_USE enum hoist_err cert_make_ca(const struct cert_order *order, struct cert_pair *ret);

/*
 * A certificate signed by `ca`, and its key: for clients, and if it has hosts, for a server. An
 * address stands in it as an address, and as a name too: mbedTLS 2.28, which nng has, compares a
 * server's name with names alone.
 * Errors: EINVAL  the name, or a host, is none, or `ca` is not what cert_make_ca() gave; ENOMEM
 */
MUST_USE enum hoist_err cert_make(const struct cert_pair *ca, const struct cert_order *order,
                                  struct cert_pair *ret);

/* Whether a certificate can be made for that: letters, digits, '.', '_' and '-'. */
bool cert_name_ok(const char *name);

#endif
