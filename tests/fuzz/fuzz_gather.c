/* Any bytes as what a hostile program writes where it counts, in rounds that the agent looks at one after
 * another. Each piece is: where u8 (as `places`; 255 ends a round), offset u16, length u8, bytes. Only flags of
 * the store are counted, and whatever the counts are, they can be told to a primary. */
#include "../unit/primary_kit.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "usage/sums.h"

/* The thread and its socket are left out: it is called for each program in turn. */
#include "../../src/usage/gather.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUND_ENDS = 255 };

static const off_t places[] = {
    0,
    SEGMENT_TAKEN,
    SEGMENT_NAMES,
    SEGMENT_BLOCKS - 256,
    SEGMENT_BLOCKS,
    SEGMENT_BLOCKS + SEGMENT_BLOCK_SIZE,
    SEGMENT_BLOCKS + (off_t)(SEGMENT_BLOCK_COUNT - 1) * SEGMENT_BLOCK_SIZE,
};

static struct kit kit;

static void end(void)
{
    kit_done(&kit);
}

static void begin(void)
{
    kit_init(&kit, 0);
    atexit(end);
    kit_do(&kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"b\",\"value\":\"x\",\"type\":\"string\"}", "changed");
}

static void on_add(void *arg, struct slice env, struct slice key, struct slice variant, uint64_t n)
{
    assert(n > 0 && slice_eq(env, SLICE("production")));
    assert(slice_eq(key, SLICE("a")) || slice_eq(key, SLICE("b")));
    sums_add(arg, env, key, variant, n);
}

static void tell(struct sums *sums)
{
    struct slice frame;
    uint64_t sequence;
    while ((frame = sums_take(sums, FRAME_USAGE_MAX, &sequence)).len) {
        struct arena arena = {0};
        struct frame_usage f;
        enum hoist_err err = frame_get_usage(frame, &arena, &f);
        assert(err == HOIST_OK && f.count > 0);
        arena_done(&arena);
        sums_passed_on(sums, sequence);
    }
}

static int make_segment(void)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct segment_head head = {.format = SEGMENT_FORMAT};
    memcpy(head.magic, SEGMENT_MAGIC, sizeof head.magic);
    ssize_t n = fd >= 0 ? pwrite(fd, &head, sizeof head, 0) : -1;
    int rc = n == sizeof head ? ftruncate(fd, SEGMENT_SIZE) : -1;
    assert(rc == 0);
    return fd;
}

/* A name's store, in place of one byte of 's': an input cannot guess this one's. */
static void put(const struct gather *g, int fd, off_t at, struct slice bytes)
{
    uint8_t copy[256 + SEGMENT_STORE_ID];
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != 's') {
            copy[len++] = bytes.ptr[i];
        } else if (len + SEGMENT_STORE_ID <= sizeof copy) {
            memcpy(copy + len, g->store_id, SEGMENT_STORE_ID);
            len += SEGMENT_STORE_ID;
        }
        if (len >= 256)
            break;
    }
    ssize_t n = pwrite(fd, copy, len, at);
    assert(n == (ssize_t)len);
}

/* Up to the end of the round, taken off the front of *rest. */
static void write_round(const struct gather *g, int fd, struct slice *rest)
{
    while (rest->len >= 4) {
        uint8_t where = rest->ptr[0];
        uint16_t at = be16_read(rest->ptr + 1);
        size_t len = rest->ptr[3];
        *rest = slice_of(rest->ptr + 4, rest->len - 4);
        if (where == ROUND_ENDS)
            return;
        len = len < rest->len ? len : rest->len;
        put(g, fd, places[where % (sizeof places / sizeof *places)] + at, slice_of(rest->ptr, len));
        *rest = slice_of(rest->ptr + len, rest->len - len);
    }
    rest->len = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kit.store)
        begin();
    struct sums *sums;
    enum hoist_err err = sums_new(&sums);
    assert(err == HOIST_OK);
    struct gather g = {.store = kit.store, .add = on_add, .arg = sums};
    g.dir = g.listener = g.stop = -1;
    struct slice rest = {data, size};
    struct process *p = mem_zalloc(1, sizeof *p);
    assert(p);
    store_id(kit.store, g.store_id);
    *p = (struct process){.link = -1, .segment = make_segment(), .slots = SEGMENT_FIRST};
    g.processes[g.count++] = p;
    bool is_good = is_segment(p->segment) && make_room(p, SEGMENT_FIRST);
    assert(is_good);
    do {
        write_round(&g, p->segment, &rest);
        take_all_over(&g);
        assert(g.slots <= GATHER_SLOTS);
    } while (g.count && rest.len);
    while (g.count)
        leave(&g, g.count - 1);
    assert(g.slots == 0);
    tell(sums);
    sums_free(sums);
    return 0;
}
