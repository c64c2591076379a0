/* Any bytes as what hosts and relays tell a primary of themselves, one message after another: how much
 * time has passed (u8, tenths of a second), the length (u16), the message, of the kinds hello, status,
 * subtree and usage. The primary has room for few hosts and signs with the key of the corpus. Whatever comes, it
 * can say how the fleet stands; a relay can pass on what it took; counts end in the store. */
#include "../unit/primary_kit.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/log.h"
#include "primary/evaluations.h"
#include "primary/fleet.h"
#include "primary/ledger.h"
#include "repl/subtree.h"
#include "repl/told.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOSTS = 6, TENTH_MS = 100, NS = 1000000 };

static struct kit kit;
static struct sign_key key;
static const int64_t wall_ms = 1700000000000;

struct play { /* of one input */
    struct fleet *fleet;
    struct subtree *subtree;
    struct sums *sums;
    struct store_read *r;
    int64_t now_ms;
    uint32_t passed; /* words that came out of the subtree */
};

static void end(void)
{
    kit_done(&kit);
}

static void begin(void)
{
    uint8_t seed[SIGN_PUBLIC_SIZE];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)(3 + i);
    kit_init(&kit, 0);
    atexit(end);
    sign_key_from_seed(seed, &key);
    log_set_level(LOG_ERROR);
    kit_do(&kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"enable-sync\",\"value\":\"on\"}", "changed");
    kit_do(&kit, "env_create", "{\"env\":\"staging\"}", "changed");
    enum hoist_err err = evaluations_begin(kit.store, wall_ms);
    assert(err == HOIST_OK);
}

/* ---------------------------------------------------------------- hearing */

static void on_told(void *arg, const struct told_host *told)
{
    struct play *p = arg;
    fleet_heard(p->fleet, p->r, told, p->now_ms * NS);
    subtree_hear(p->subtree, told, p->now_ms);
}

static void on_passed(void *arg, const struct told_host *told)
{
    struct play *p = arg;
    assert(told->whole && told->via.len);
    p->passed++;
}

/* As repl/server.c hands it on. */
static void take(struct play *p, struct slice in)
{
    struct arena arena = {0};
    struct buf reply = BUF_INIT(4096);
    struct frame_usage usage;
    enum frame_kind kind;
    enum hoist_err err = frame_kind_of(in, &kind);
    if (!err && kind == FRAME_HELLO)
        err = told_hello(in, &arena, on_told, p);
    else if (!err && kind == FRAME_STATUS)
        err = told_status(in, &arena, on_told, p, &reply);
    else if (!err && kind == FRAME_SUBTREE)
        err = told_subtree(in, &arena, on_told, p, &reply);
    else if (!err && kind == FRAME_USAGE && !(err = frame_get_usage(in, &arena, &usage)))
        sums_hear(p->sums, &usage, p->now_ms);
    assert(!err || *err_last());
    buf_done(&reply);
    arena_done(&arena);
}

/* ---------------------------------------------------------------- what comes of it */

static void show(void *arg, const struct fleet_host *h)
{
    uint32_t *counts = arg;
    assert(h->id.len && h->state < FLEET_STATES && h->seen_ms >= 0 && h->behind_ms >= 0);
    counts[h->state]++;
}

static void look(struct play *p, const char *name)
{
    struct arena arena = {0};
    struct store_env env;
    struct fleet_landing landing;
    char why[FLEET_WHY_SIZE] = "";
    uint32_t counts[FLEET_STATES], shown[FLEET_STATES] = {0}, all = 0, seen = 0;
    enum hoist_err err = store_env_get(p->r, name, &env);
    assert(err == HOIST_OK);
    fleet_counts(p->fleet, &env, p->now_ms, counts);
    fleet_each(p->fleet, &env, show, shown);
    for (int i = 0; i < FLEET_STATES; i++) {
        all += counts[i];
        seen += shown[i];
    }
    assert(all == seen && all <= HOSTS);
    struct fleet_commit c = {.env = name, .epoch = env.epoch, .first = 1, .version = env.head};
    struct fleet_wait wait = {.percent = 100, .asker = p};
    err = fleet_landing(p->fleet, &c, &wait, p->now_ms * NS, &arena, &landing);
    assert(err == HOIST_OK && landing.have <= landing.hosts && landing.hosts <= HOSTS);
    assert(!fleet_set_back(p->fleet, name, env.epoch, why) || *why);
    arena_done(&arena);
}

static void pass_on(struct play *p)
{
    uint32_t before;
    do {
        struct arena arena = {0};
        struct buf out = BUF_INIT(2 * FRAME_SUBTREE_MAX), reply = BUF_INIT(4096);
        before = p->passed;
        if (subtree_take(p->subtree, p->now_ms, &out)) {
            enum hoist_err err = told_subtree(buf_slice(&out), &arena, on_passed, p, &reply);
            assert(err == HOIST_OK && p->passed > before);
        }
        subtree_passed_on(p->subtree, true);
        buf_done(&out);
        buf_done(&reply);
        arena_done(&arena);
    } while (p->passed > before);
}

static void count_up(struct play *p)
{
    bool more = true;
    while (more) {
        more = false;
        enum hoist_err err = evaluations_write(p->sums, kit.store, wall_ms, &more);
        assert(err == HOIST_OK);
    }
    assert(!sums_waits(p->sums));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!kit.store)
        begin();
    struct play p = {.now_ms = TENTH_MS};
    struct slice rest = {data, size};
    enum hoist_err err = fleet_new(&p.fleet);
    assert(err == HOIST_OK);
    fleet_set_room(p.fleet, HOSTS);
    fleet_sign_with(p.fleet, &key);
    err = subtree_new(SLICE("relay0"), &p.subtree);
    assert(err == HOIST_OK);
    err = sums_new(&p.sums);
    assert(err == HOIST_OK);
    err = store_read_begin(kit.store, false, &p.r);
    assert(err == HOIST_OK);
    while (rest.len >= 3) {
        size_t len = be16_read(rest.ptr + 1);
        p.now_ms += rest.ptr[0] * TENTH_MS;
        rest = slice_of(rest.ptr + 3, rest.len - 3);
        len = len < rest.len ? len : rest.len;
        take(&p, slice_of(rest.ptr, len));
        rest = slice_of(rest.ptr + len, rest.len - len);
        look(&p, "production");
    }
    look(&p, "staging");
    store_read_end(p.r);
    pass_on(&p);
    count_up(&p);
    sums_free(p.sums);
    subtree_free(p.subtree);
    fleet_free(p.fleet);
    return 0;
}
