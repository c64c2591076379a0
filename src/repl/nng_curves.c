/* nng_curves.c - the curve of a handshake is the one that costs least.
 *
 * Mbed TLS 2.28 proposes the biggest first: with P-521 the two sides of a handshake take 20 ms of
 * processor time where with P-256 they take 12, and a primary that was started anew has two handshakes
 * with each of its hosts. nng has no option for that, so the archive of nng that Hoist links has this
 * call led here (see the Makefile). The list says as well which curves a certificate may be of.
 */
#include <mbedtls/ssl.h>

#include "repl/nng_old.h"

int hoist_ssl_config_defaults(mbedtls_ssl_config *config, int endpoint, int transport, int preset);

static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519,
                                              MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_SECP521R1,
                                              MBEDTLS_ECP_DP_BP256R1,   MBEDTLS_ECP_DP_BP384R1,
                                              MBEDTLS_ECP_DP_BP512R1,   MBEDTLS_ECP_DP_NONE};

int hoist_ssl_config_defaults(mbedtls_ssl_config *config, int endpoint, int transport, int preset)
{
    int rc = mbedtls_ssl_config_defaults(config, endpoint, transport, preset);
    if (rc == 0) {
        mbedtls_ssl_conf_curves(config, curves);
        nng_old_number(config);
    }
    return rc;
}
