#include <math.h>
#include <msgpack.h>

#include "wire/mp.h"

static int append(void *data, const char *bytes, size_t len)
{
    buf_add(data, bytes, len);
    return 0; /* a failure sticks in the buf, which the caller asks */
}

static msgpack_packer packer(struct buf *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, append);
    return pk;
}

void mp_put_nil(struct buf *b)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_nil(&pk);
}

void mp_put_bool(struct buf *b, bool v)
{
    msgpack_packer pk = packer(b);
    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void mp_put_u64(struct buf *b, uint64_t v)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_uint64(&pk, v);
}

void mp_put_i64(struct buf *b, int64_t v)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_int64(&pk, v);
}

void mp_put_double(struct buf *b, double v)
{
    msgpack_packer pk = packer(b);
    if (v == trunc(v) && fabs(v) <= 0x1p53)
        msgpack_pack_int64(&pk, (int64_t)v);
    else
        msgpack_pack_double(&pk, v);
}

/* msgpack's lengths have 32 bits; a longer slice fits in no buf either. */
static bool fits(struct buf *b, struct slice v)
{
    if (v.len > UINT32_MAX && !b->err)
        b->err = HOIST_ELIMIT;
    return !b->err;
}

void mp_put_str(struct buf *b, struct slice v)
{
    msgpack_packer pk = packer(b);
    if (!fits(b, v))
        return;
    msgpack_pack_str(&pk, v.len);
    msgpack_pack_str_body(&pk, v.ptr, v.len);
}

void mp_put_bin(struct buf *b, struct slice v)
{
    msgpack_packer pk = packer(b);
    if (!fits(b, v))
        return;
    msgpack_pack_bin(&pk, v.len);
    msgpack_pack_bin_body(&pk, v.ptr, v.len);
}

void mp_put_array(struct buf *b, uint32_t count)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_array(&pk, count);
}

void mp_put_map(struct buf *b, uint32_t count)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_map(&pk, count);
}
