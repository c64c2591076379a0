/* nng_record.c - a message is one TLS record, or as few as it fits in.
 *
 * nng 1.5 hands a message to TLS in pieces: its length, its header, its body. Each became a record, a
 * call to the kernel and a packet of its own. The archive of nng that Hoist links has the question for
 * the pieces led here (see the Makefile): the answer is one piece with all their bytes. How many of
 * them were taken is what nng counts, so it goes on behind them, in whichever piece that is.
 *
 * The bytes are encrypted before the thread asks again. What is to be filled is always one piece.
 */
#include <nng/nng.h>
#include <string.h>

enum { RECORD_MAX = 16384 };

void nni_aio_get_iov(nng_aio *aio, unsigned *ret_count, nng_iov **ret_pieces);
void hoist_aio_get_iov(nng_aio *aio, unsigned *ret_count, nng_iov **ret_pieces);

/* Their bytes in a row, as many as a record takes; how many that are. */
static size_t gather(const nng_iov *pieces, unsigned count, unsigned char bytes[RECORD_MAX])
{
    size_t have = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t room = RECORD_MAX - have;
        size_t len = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        if (len)
            memcpy(bytes + have, pieces[i].iov_buf, len);
        have += len;
    }
    return have;
}

void hoist_aio_get_iov(nng_aio *aio, unsigned *ret_count, nng_iov **ret_pieces)
{
    static _Thread_local unsigned char bytes[RECORD_MAX];
    static _Thread_local nng_iov all;
    nni_aio_get_iov(aio, ret_count, ret_pieces);
    if (*ret_count < 2)
        return;
    all = (nng_iov){.iov_buf = bytes, .iov_len = gather(*ret_pieces, *ret_count, bytes)};
    *ret_count = 1;
    *ret_pieces = &all;
}
