/* Any bytes as changes that somebody kept, each behind its length (u16): the chain holds as far as it
 * is said to, or it breaks at a version, with the reason. A right change of a history made here stands
 * for each length of 0, so that some chains hold for a while. */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "primary/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sign_key key;
static struct trust trust;

static void begin(void)
{
    hash_init();
    sign_key_random(&key);
    trust.count = 1;
    memcpy(trust.keys[0], key.public, SIGN_PUBLIC_SIZE);
}

/* The change that goes on where `a` is. */
static void put_next(const struct audit *a, struct buf *out)
{
    struct buf edits = BUF_INIT(64);
    struct change_header head = {
        .env = slice_str(a->count ? a->env : "production"),
        .epoch = 7,
        .version = a->last + 1,
        .author = SLICE("ana"),
        .kind = CHANGE_SET,
    };
    memcpy(head.prev, a->hash, HASH_SIZE);
    edits_begin(&edits, 0);
    enum hoist_err err = change_encode(&head, buf_slice(&edits), change_unsigned, out, NULL);
    if (err == HOIST_OK)
        err = change_sign(out->ptr, out->len, &key);
    assert(err == HOIST_OK);
    buf_done(&edits);
}

static struct slice take(struct slice *in, const struct audit *a, struct buf *made)
{
    size_t len = be16_read(in->ptr);
    *in = slice_of(in->ptr + 2, in->len - 2);
    if (len == 0) {
        buf_clear(made);
        put_next(a, made);
        return buf_slice(made);
    }
    len = len < in->len ? len : in->len;
    struct slice change = slice_of(in->ptr, len);
    *in = slice_of(in->ptr + len, in->len - len);
    return change;
}

static void walk(struct slice in, const struct trust *t)
{
    struct keyring ring;
    struct audit a = {.ring = t ? &ring : NULL};
    struct buf made = BUF_INIT(1 << 16);
    bool holds = true;
    keyring_init(&ring, t ? t : &(struct trust){0});
    while (holds && in.len >= 2) {
        uint64_t before = a.count;
        holds = audit_step(&a, take(&in, &a, &made));
        assert(holds ? a.count == before + 1 && a.broken == 0 : a.broken > 0 && *a.why);
    }
    if (holds && a.count)
        assert(audit_end(&a, a.last, a.hash));
    if (!audit_end_signed(&a) || !audit_end_proved(&a))
        assert(a.broken > 0 && *a.why);
    audit_done(&a);
    keyring_done(&ring);
    buf_done(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!trust.count)
        begin();
    walk(slice_of(data, size), NULL);
    walk(slice_of(data, size), &trust);
    return 0;
}
