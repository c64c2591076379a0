/* What a relay passes on of the hosts that hang on it. */
#include "wire/frame_int.h"

enum { SUBTREE_FIELDS = 3, SUBTREE_HOST_FIELDS = 3 };

void frame_put_subtree(struct buf *out, const struct subtree_host *hosts, uint32_t count)
{
    frame_head(out, FRAME_SUBTREE, SUBTREE_FIELDS);
    mp_put_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        mp_put_array(out, SUBTREE_HOST_FIELDS);
        mp_put_str(out, hosts[i].via);
        mp_put_u64(out, hosts[i].age_ms);
        mp_put_bin(out, hosts[i].status);
    }
}

static void host_get(struct mp_reader *r, struct subtree_host *h)
{
    uint32_t elements = tuple_begin(r, SUBTREE_HOST_FIELDS);
    h->via = some_text_get(r, FRAME_ID_MAX);
    h->age_ms = mp_u32(r);
    h->status = mp_bin(r);
    if (h->status.len > FRAME_STATUS_MAX)
        mp_limit(r, "a status longer than allowed");
    tuple_end(r, elements, SUBTREE_HOST_FIELDS);
}

enum hoist_err frame_get_subtree(struct slice in, struct arena *arena, struct frame_subtree *ret)
{
    struct frame_reader f;
    enum hoist_err err = frame_begin(in, FRAME_SUBTREE, SUBTREE_FIELDS, "subtree", arena, &f);
    if (err != HOIST_OK)
        return err;
    struct frame_subtree s = {0};
    s.count = mp_array(&f.r, FRAME_SUBTREE_HOSTS);
    s.hosts = frame_alloc(&f, s.count, sizeof *s.hosts);
    for (uint32_t i = 0; i < s.count && !f.r.bad; i++)
        host_get(&f.r, &s.hosts[i]);
    err = frame_end(&f, SUBTREE_FIELDS);
    if (err == HOIST_OK)
        *ret = s;
    return err;
}
