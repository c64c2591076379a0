/* nng_old.c - connections by certificates that were left behind end, wherever they are.
 *
 * nng shows a connection once both sides have said what they are. One that holds back the end of its
 * handshake, or the words that follow it, could so come in by old certificates long after new ones are
 * in use. And nng waits for the next connection with the certificates of the moment at which it began
 * to wait. So each server's configuration of Mbed TLS has a number, and a connection by one that is
 * over can neither end its handshake nor read or write. The archive of nng that Hoist links has these
 * calls led here (see the Makefile).
 */
#include "repl/nng_old.h"

#include <stdatomic.h>
#include <stdint.h>

#include "repl/net_tls.h"

int hoist_ssl_handshake(mbedtls_ssl_context *ssl);
int hoist_ssl_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t len);
int hoist_ssl_write(mbedtls_ssl_context *ssl, const unsigned char *buf, size_t len);

static _Atomic uintptr_t newest = 1, oldest = 1;

/* The number stands where Mbed TLS keeps what it hands to a function that verifies; there is none. */
void nng_old_number(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_verify(config, NULL, (void *)atomic_load(&newest));
}

uint64_t net_tls_begin_new(void)
{
    return atomic_fetch_add(&newest, 1) + 1;
}

void net_tls_end_old(uint64_t number)
{
    uintptr_t least = atomic_load(&oldest);
    while (least < number && !atomic_compare_exchange_weak(&oldest, &least, number))
        ;
}

static bool is_over(const mbedtls_ssl_context *ssl)
{
    return ssl->conf && ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER &&
           (uintptr_t)ssl->conf->p_vrfy < atomic_load(&oldest);
}

int hoist_ssl_handshake(mbedtls_ssl_context *ssl)
{
    return is_over(ssl) ? MBEDTLS_ERR_SSL_CONN_EOF : mbedtls_ssl_handshake(ssl);
}

int hoist_ssl_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t len)
{
    return is_over(ssl) ? MBEDTLS_ERR_SSL_CONN_EOF : mbedtls_ssl_read(ssl, buf, len);
}

int hoist_ssl_write(mbedtls_ssl_context *ssl, const unsigned char *buf, size_t len)
{
    return is_over(ssl) ? MBEDTLS_ERR_SSL_CONN_EOF : mbedtls_ssl_write(ssl, buf, len);
}
