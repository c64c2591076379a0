/* nng_begin.c - an operation on a TLS connection that is being closed ends, instead of being forgotten.
 *
 * nng 1.5 moves a message in several steps, each begun where the one before ended; with TLS its length
 * is a step, and its body another. When a connection is closed between two of them, nni_aio_begin()
 * refuses the next, its caller says nothing to anybody, and nng's one thread that clears away what was
 * closed waits for that message for ever: from then on no connection is let go of, and none is
 * dialled anew. Closing a few busy connections is enough to meet it.
 *
 * Here, in nng's tls_common.c alone (the Makefile sees to that, by nng_begin.syms), what cannot begin
 * ends with the error, as later releases of nng have it. Not in tcp's connections, which lie below:
 * there it could end after what it belongs to was freed.
 */
struct nng_aio;

int nni_aio_begin(struct nng_aio *aio);
void nni_aio_finish_error(struct nng_aio *aio, int rc);
int hoist_aio_begin(struct nng_aio *aio);

int hoist_aio_begin(struct nng_aio *aio)
{
    int rc = nni_aio_begin(aio);
    if (rc != 0)
        nni_aio_finish_error(aio, rc);
    return rc;
}
