/* nng_close.c - operations on a connection that is being closed end, and with an error that fits.
 *
 * nng 1.5 moves a message in several steps, each begun where the one before ended. Two things go wrong
 * there when a connection is closed, by either side, between two steps; a busy TLS connection meets
 * them soon, for it takes each piece of a message by itself:
 *
 * - nni_aio_begin() refuses the next step, and its caller says nothing to anybody. What waits for the
 *   message waits for ever: among others nng's one thread that clears away what was closed, so that
 *   from then on no connection is let go of, and none is dialled anew.
 * - The error of a connection that a peer broke can be NNG_ECLOSED. A listener that hears it from a
 *   connection in the making believes that it was closed itself, and takes no connection any more. When
 *   it hears that a handshake failed, or ended early, it takes none for 100 ms. NNG_ECONNRESET has it
 *   take the next at once.
 *
 * So the archive of nng that Hoist links has these two calls of its connections led here (see the
 * Makefile): in tls_common.c both, in posix_tcpconn.c, which lies below it, and posix_ipcconn.c the first.
 * Later releases of nng end such operations, too.
 */
#include <nng/nng.h>
#include <stdbool.h>

int nni_aio_begin(nng_aio *aio);
void nni_aio_finish_error(nng_aio *aio, int rc);
int hoist_aio_begin(nng_aio *aio);
void hoist_aio_finish_error(nng_aio *aio, int rc);

void hoist_aio_finish_error(nng_aio *aio, int rc)
{
    bool broke =
        rc == NNG_ECLOSED || rc == NNG_ECANCELED || rc == NNG_ECONNSHUT || rc == NNG_ECRYPTO;
    nni_aio_finish_error(aio, broke ? NNG_ECONNRESET : rc);
}

int hoist_aio_begin(nng_aio *aio)
{
    int rc = nni_aio_begin(aio);
    if (rc != 0)
        hoist_aio_finish_error(aio, rc);
    return rc;
}
