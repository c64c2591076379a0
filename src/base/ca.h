/* ca.h - a certificate authority in a directory, for a fleet that has no other.
 *
 *     ca.crt   its certificate, which everybody may have
 *     ca.key   its secret key: whoever has it can make himself anybody
 *     issued   a line for each certificate: when, serial number, until when, name, hosts
 */
#ifndef BASE_CA_H
#define BASE_CA_H

#include <stddef.h>
#include <stdint.h>

#include "base/cert.h"
#include "base/err.h"

enum { CA_DAYS = 3650, CA_CERT_DAYS = 365, CA_DAYS_MAX = 36500 };

/*
 * Make the CA `name` in `dir`, which is made if it is not there, good for `days`.
 * Errors: EINVAL  it has a CA already, or the name is none; ENOTFOUND, EACCES, ENOSPC, EIO, ENOMEM
 */
MUST_USE enum hoist_err ca_init(const char *dir, const char *name, uint32_t days);

struct ca_wish {
    const char *name;
    const char *const *hosts;
    size_t host_count;
    uint32_t days; /* 0: CA_CERT_DAYS, or as long as the CA has left */
};

/*
 * Issue a certificate, and write it down. Gives it with its key, and the CA's certificate (owned).
 * Errors: EINVAL  there is no CA in `dir`, it does not live as long, or the wish is none; EACCES,
 *                 ENOSPC, EIO, ENOMEM
 */
MUST_USE enum hoist_err ca_issue(const char *dir, const struct ca_wish *wish, struct cert_pair *ret,
                                 char **ret_ca);

#endif
