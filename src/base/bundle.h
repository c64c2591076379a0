/* bundle.h - all that a host or a person needs to join a fleet, in one secret file.
 *
 *     hoist-bundle-1
 *     upstream tls+tcp://10.0.0.1:7400      whom to follow, or to ask; any number of lines
 *     hoist-trust-1 5f2c…                   a key that signs changes, as in a trust file
 *     -----BEGIN CERTIFICATE-----           whose file it is; those between it and the CA's
 *     -----BEGIN PRIVATE KEY-----           its secret key
 *     -----BEGIN CERTIFICATE-----           below the key: the CA's, one or more
 *
 * A line that begins with '#' is a comment. Readers of PEM skip what is not PEM, so that the file
 * serves them as the certificate's and as the key's file, too.
 */
#ifndef BASE_BUNDLE_H
#define BASE_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sign.h"
#include "base/slice.h"
#include "base/tls.h"

enum { BUNDLE_BYTES_MAX = 256 << 10, BUNDLE_UPSTREAMS_MAX = 16, BUNDLE_UPSTREAM_LEN = 255 };

struct bundle { /* owned */
    struct tls_files tls;
    struct trust trust; /* count 0: none is named */
    char *upstreams[BUNDLE_UPSTREAMS_MAX];
    size_t upstream_count;
};

/*
 * Read one from text. That the certificates and the key are such, and belong together, is for
 * cert_check().
 * Errors: EINVAL names the line; ENOMEM
 */
MUST_USE enum hoist_err bundle_read(struct slice text, struct bundle *ret);

/* Read file `path`, and see that key, certificate and CA belong together. Errors as textfile_read()
 * and cert_check(), with the path. */
MUST_USE enum hoist_err bundle_open(const char *path, struct bundle *ret);

/* As text that bundle_read() reads. */
void bundle_write(const struct bundle *b, struct buf *out);

/* Into file `path`, which is the owner's alone; errors as textfile_write(). */
MUST_USE enum hoist_err bundle_save(const struct bundle *b, const char *path, bool replace);

/* Wipes the key. Fine on what is zeroed. */
void bundle_done(struct bundle *b);

#endif
