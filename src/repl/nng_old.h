/* nng_old.h - numbers the configurations that nng makes (nng_old.c). */
#ifndef REPL_NNG_OLD_H
#define REPL_NNG_OLD_H

#include <mbedtls/ssl.h>

/* `config`, a new one, belongs to those since the last net_tls_begin_new(). */
void nng_old_number(mbedtls_ssl_config *config);

#endif
