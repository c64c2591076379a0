/* sim_primary.c - what the primary writes, by the commands that people give and now and then by hand;
 * the truth, which is read from its log; and an upstream that goes on from a copy of it, lying. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "primary/command.h"
#include "primary/succession.h"
#include "repl/heartbeat.h"
#include "sim.h"

enum { BURST_MAX = 12 };

const char *const sim_envs[SIM_ENVS] = {"production", "staging", "later"};

/* ---------------------------------------------------------------- truth */

struct truth_line { /* of an epoch; a primary that was set back begins another in the same one */
    uint64_t epoch, first; /* version of all[0] */
    struct sim_truth *all;
    size_t count, cap;
};

static struct truth_env {
    struct truth_line *lines;
    size_t count, cap;
} truths[SIM_ENVS];

const struct sim_truth *truth_find(uint32_t env, uint64_t epoch, uint64_t version,
                                   const uint8_t hash[HASH_SIZE])
{
    const struct truth_env *t = &truths[env];
    for (size_t i = t->count; i-- > 0;) {
        const struct truth_line *l = &t->lines[i];
        if (l->epoch == epoch && version >= l->first && version - l->first < l->count &&
            memcmp(l->all[version - l->first].hash, hash, HASH_SIZE) == 0)
            return &l->all[version - l->first];
    }
    return NULL;
}

uint64_t truth_of_record(struct slice record)
{
    uint8_t hash[HASH_SIZE];
    uint64_t v;
    hash_blake2b(hash, record);
    memcpy(&v, hash, sizeof v);
    return v ? v : 1;
}

/* The line that change `head` goes on with. */
static struct truth_line *line_of(struct truth_env *t, const struct change_header *head)
{
    for (size_t i = t->count; i-- > 0;) {
        struct truth_line *l = &t->lines[i];
        if (l->epoch == head->epoch && l->first + l->count == head->version &&
            memcmp(l->all[l->count - 1].hash, head->prev, HASH_SIZE) == 0)
            return l;
    }
    if (t->count == t->cap && !(t->lines = mem_grow(t->lines, &t->cap, 8, sizeof *t->lines)))
        sim_wrong("out of memory");
    struct truth_line *l = &t->lines[t->count++];
    *l = (struct truth_line){.epoch = head->epoch, .first = head->version};
    return l;
}

static void edit_truth(struct sim_truth *now, const struct change *c)
{
    struct edits_reader r;
    struct edit edit;
    sim_ok(edits_open(c->edits, &r), "the primary's edits");
    while (edits_next(&r, &edit) == HOIST_OK) {
        uint32_t key = 0;
        for (size_t i = 1; i < edit.key.len; i++)
            key = 10 * key + (uint32_t)(edit.key.ptr[i] - '0');
        if (key >= SIM_KEYS)
            sim_wrong("flag %.*s", SLICE_ARG(edit.key));
        now->records[key] = edit.put ? truth_of_record(edit.record) : 0;
    }
}

static void learn(uint32_t env, struct slice bytes)
{
    struct change c;
    struct sim_truth now = {0};
    sim_ok(change_decode(bytes, &c), "the primary's change");
    uint64_t before = c.head.kind == CHANGE_EPOCH ? c.head.old_epoch : c.head.epoch;
    const struct sim_truth *base =
        c.head.version > 1 ? truth_find(env, before, c.head.version - 1, c.head.prev) : NULL;
    if (base)
        now = *base;
    else if (c.head.version > 1)
        sim_wrong("the primary wrote version %d of %s on nothing", (int)c.head.version,
                  sim_envs[env]);
    edit_truth(&now, &c);
    memcpy(now.hash, c.hash, HASH_SIZE);
    memcpy(now.digest, c.head.digest, HASH_SIZE);
    struct truth_line *l = line_of(&truths[env], &c.head);
    if (l->count == l->cap && !(l->all = mem_grow(l->all, &l->cap, 64, sizeof *l->all)))
        sim_wrong("out of memory");
    l->all[l->count++] = now;
    sim_trace(now.hash, 8);
}

void truth_end(void)
{
    for (uint32_t i = 0; i < SIM_ENVS; i++) {
        for (size_t k = 0; k < truths[i].count; k++)
            mem_free(truths[i].lines[k].all);
        mem_free(truths[i].lines);
        truths[i] = (struct truth_env){0};
    }
}

/* The first version in the log that is not known yet. */
static uint64_t first_unknown(struct store_read *r, uint32_t k, const struct store_env *env)
{
    uint64_t v = env->head;
    struct slice bytes;
    struct change c;
    for (; v > 0; v--) {
        sim_ok(store_log_get(r, env->id, v, &bytes), "the primary's log");
        sim_ok(change_decode(bytes, &c), "the primary's log");
        if (truth_find(k, c.head.epoch, v, c.hash))
            break;
    }
    return v + 1;
}

/* What was committed is known from here on, and published. */
static void committed(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    struct store_read *r;
    struct store_env env;
    struct slice bytes;
    sim_ok(store_read_begin(n->store, false, &r), "the primary's store");
    for (uint32_t k = 0; k < SIM_ENVS; k++) {
        if (store_env_get(r, sim_envs[k], &env) != HOIST_OK || env.head == 0)
            continue;
        for (uint64_t v = first_unknown(r, k, &env); v <= env.head; v++) {
            sim_ok(store_log_get(r, env.id, v, &bytes), "the primary's log");
            learn(k, bytes);
            if (n->downloads)
                site_publish(n, &bytes, 1);
        }
    }
    store_read_end(r);
}

/* ---------------------------------------------------------------- by hand */

/* A change of one flag to any bytes, which commands would not write. */
static void write_raw(struct store *s, const char *name, uint32_t key, struct slice record,
                      const struct sign_key *k)
{
    struct buf edits = BUF_INIT(1 << 16), bytes = BUF_INIT(1 << 17);
    struct store_write *w;
    struct store_env env;
    struct change c;
    char text[16];
    snprintf(text, sizeof text, "k%u", key);
    edits_begin(&edits, 1);
    edits_put(&edits, slice_str(text), record);
    sim_ok(store_write_begin(s, &w), "a change by hand");
    sim_ok(store_env_get(store_write_read(w), name, &env), name);
    struct change_header head = {
        .env = slice_str(name),
        .epoch = env.epoch,
        .version = env.head + 1,
        .time_ms = clock_wall_ms(),
        .author = SLICE("ana"),
        .kind = CHANGE_SET,
        .edits_count = 1,
    };
    memcpy(head.prev, env.hash, HASH_SIZE);
    sim_ok(store_change_stage(w, env.id, buf_slice(&edits), head.version, head.digest), "stage");
    sim_ok(change_encode(&head, buf_slice(&edits), change_unsigned, &bytes, NULL), "encode");
    sim_ok(change_sign(bytes.ptr, bytes.len, k), "sign");
    sim_ok(change_decode(buf_slice(&bytes), &c), "decode");
    sim_ok(store_change_log(w, env.id, &c), "log");
    sim_ok(store_write_commit(w), "commit");
    buf_done(&edits);
    buf_done(&bytes);
}

/* A record as a newer primary may write it, or none at all: hosts hold it back, and go on. */
static void write_bad_record(const char *env)
{
    static const struct slice bad[] = {
        {(const uint8_t *)"\x9b\x09\x00\xc3\x01\x90\xc0\xc0\xc0\xc0\xc0\xc0", 12},
        {(const uint8_t *)"junk", 4},
    };
    uint32_t key = sim_dice(SIM_KEYS), which = sim_dice(2);
    sim.figures.bad_records++;
    write_raw(sim.nodes[SIM_PRIMARY].store, env, key, bad[which], &sim.key);
    committed();
}

/* ---------------------------------------------------------------- commands */

static const char *put_body(struct buf *body, const char *env)
{
    uint32_t key = sim_dice(SIM_KEYS);
    switch (sim_dice(24)) {
    case 0:
        buf_printf(body, "{\"env\":\"%s\",\"key\":\"k%u\"}", env, key);
        return "delete";
    case 1:
        buf_printf(body, "{\"env\":\"%s\",\"keys\":[\"k%u\",\"k%u\"]}", env, key,
                   (key + 1) % SIM_KEYS);
        return "kill";
    case 2:
    case 3:
        buf_printf(body, "{\"env\":\"%s\",\"keys\":[\"k%u\"]}", env, key);
        return "restore";
    case 4:
        buf_printf(body, "{\"env\":\"%s\",\"last\":true}", env);
        return "rollback";
    case 5:
        buf_printf(body, "{\"from\":\"%s\",\"env\":\"%s\"}", sim_envs[sim_dice(SIM_ENVS)], env);
        return "promote";
    case 6:
        buf_printf(body, "{\"env\":\"%s\"}", sim_envs[sim_dice(SIM_ENVS)]);
        return "env_create";
    case 7:
        if (!sim_chance(300))
            break;
        buf_printf(body, "{\"env\":\"%s\",\"new_epoch\":true}", env);
        sim.figures.epochs++;
        return "env_epoch";
    default:
        break;
    }
    buf_printf(body, "{\"env\":\"%s\",\"key\":\"k%u\",\"value\":\"%s\",\"everyone\":true}", env,
               key, sim_chance(500) ? "on" : "off");
    return "set";
}

static void run_one(struct store_write *w, const char *name, struct slice body)
{
    struct answer a = ANSWER_INIT;
    struct frame_command f = {.name = slice_str(name), .author = SLICE("ana"), .body = body};
    struct command *c;
    hash_random(f.request, sizeof f.request);
    sim_ok(command_new(&f, "ana", &c), "a command");
    command_sign_with(c, &sim.key);
    sim_ok(command_run(c, w, sim.fleet, clock_wall_ms(), &a), "a command");
    sim.figures.commands++;
    sim.figures.changed += a.changed;
    answer_done(&a);
    command_free(c);
}

static void run_any(struct store_write *w, const char *env)
{
    struct buf body = BUF_INIT(4096);
    const char *name = put_body(&body, env);
    run_one(w, name, buf_slice(&body));
    buf_done(&body);
}

/* A host that says that this primary's past is another than its own. */
static void look_for_diverged(void *arg, const struct fleet_host *host)
{
    bool *diverged = arg;
    for (uint32_t i = 0; i < host->refusal_count; i++)
        *diverged |= slice_starts_with(host->refusals[i].why, SLICE("diverged"));
}

/* Whether the copy that it went on from is older than environment `k`. */
static bool is_gone(struct store_read *r, uint32_t k)
{
    struct store_env env;
    return truths[k].count > 0 && store_env_get(r, sim_envs[k], &env) != HOIST_OK;
}

bool primary_is_set_back(void)
{
    struct store_read *r;
    struct store_env env;
    char why[FLEET_WHY_SIZE];
    bool back = false;
    sim_ok(store_read_begin(sim.nodes[SIM_PRIMARY].store, false, &r), "the primary's store");
    for (uint32_t n = 0; !back && store_env_at(r, n, &env) == HOIST_OK; n++) {
        back = fleet_epoch(sim.fleet, env.name) > env.epoch ||
               fleet_set_back(sim.fleet, env.name, env.epoch, why);
        fleet_each(sim.fleet, &env, look_for_diverged, &back);
    }
    for (uint32_t k = 0; k < SIM_ENVS; k++)
        back |= is_gone(r, k);
    store_read_end(r);
    return back;
}

void primary_new_epochs(void)
{
    struct store_write *w;
    sim_ok(store_write_begin(sim.nodes[SIM_PRIMARY].store, &w), "the primary's store");
    for (uint32_t k = 0; k < SIM_ENVS; k++) {
        struct buf body = BUF_INIT(256);
        bool gone = is_gone(store_write_read(w), k);
        buf_printf(&body, "{\"env\":\"%s\"%s}", sim_envs[k], gone ? "" : ",\"new_epoch\":true");
        run_one(w, gone ? "env_create" : "env_epoch", buf_slice(&body));
        buf_done(&body);
    }
    sim_ok(store_write_commit(w), "the primary's commit");
    committed();
}

void primary_command(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    const char *env = sim_envs[sim_dice(SIM_ENVS - 1)];
    struct store_write *w;
    if (sim_chance(15)) {
        write_bad_record(env);
        return;
    }
    uint32_t burst = sim_chance(80) ? 1 + sim_dice(BURST_MAX) : 1;
    sim_ok(store_write_begin(n->store, &w), "the primary's store");
    for (uint32_t i = 0; i < burst; i++)
        run_any(w, env);
    if (sim_chance(5)) { /* it dies before the commit: nothing of that was ever said to be done */
        store_write_abort(w);
        primary_restart();
        return;
    }
    sim_ok(store_write_commit(w), "the primary's commit");
    committed();
}

/* ---------------------------------------------------------------- life */

static void open_site(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    n->up = true;
    n->life++;
    sim_ok(fleet_new(&sim.fleet), "the ledger");
    fleet_sign_with(sim.fleet, &sim.key);
    site_open(n, &sim.key);
}

static void make_envs(struct store *s)
{
    struct store_write *w;
    struct store_env env;
    struct buf change = BUF_INIT(1 << 16);
    sim_ok(store_write_begin(s, &w), "the first environments");
    for (uint32_t k = 0; k < SIM_ENVS - 1; k++) {
        struct change_header head = {.author = SLICE("ana"), .time_ms = clock_wall_ms()};
        buf_clear(&change);
        sim_ok(command_make_env(w, &sim.key, sim_envs[k], &head, &env, &change), sim_envs[k]);
    }
    sim_ok(store_write_commit(w), "the first environments");
    buf_done(&change);
}

void primary_begin(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    store_at(n, true);
    make_envs(n->store);
    committed();
    open_site();
}

static void close_site(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    site_close(n);
    fleet_free(sim.fleet);
    store_close(n->store);
    sim.fleet = NULL;
    n->store = NULL;
    n->up = false;
    n->life++;
}

void primary_end(void)
{
    close_site();
}

void primary_restart(void)
{
    sim.figures.restarts++;
    close_site();
    store_at(&sim.nodes[SIM_PRIMARY], true);
    open_site();
}

/* False: there is no copy. */
static bool set_back(void)
{
    struct sim_node *n = &sim.nodes[SIM_PRIMARY];
    if (n->copy.len == 0)
        return false;
    close_site();
    copy_put_back(n);
    store_at(n, true);
    return true;
}

void primary_take_over(void)
{
    uint32_t count;
    if (!set_back())
        return;
    sim.figures.set_back++;
    sim_ok(succession_begin(sim.nodes[SIM_PRIMARY].store, &sim.key, "from a copy", &count),
           "a succession");
    committed();
    open_site();
}

void primary_fork(void)
{
    if (!set_back())
        return;
    sim.figures.forks++;
    open_site();
}

/* ---------------------------------------------------------------- who lies */

void rogue_listen(void)
{
    struct frame_heartbeat h;
    struct arena arena = {0};
    struct sim_node *p = &sim.nodes[SIM_PRIMARY];
    buf_clear(&sim.out);
    sim_ok(heartbeat_make(&p->answerer, ++p->beats, &sim.out), "a heartbeat");
    sim_ok(frame_get_heartbeat(buf_slice(&sim.out), &arena, &h), "a heartbeat");
    buf_clear(&sim.copied_origin);
    buf_clear(&sim.copied_signature);
    buf_add_slice(&sim.copied_origin, h.origin);
    buf_add_slice(&sim.copied_signature, h.signature);
    arena_done(&arena);
}

/* It has what the primary had at this moment. */
void rogue_begin(void)
{
    struct sim_node *n = &sim.nodes[SIM_ROGUE], *p = &sim.nodes[SIM_PRIMARY];
    struct buf kept = p->copy;
    store_at(n, true);
    store_close(n->store);
    p->copy = (struct buf){0};
    copy_take(p);
    n->copy = p->copy;
    p->copy = kept;
    copy_put_back(n);
    buf_done(&n->copy);
    store_at(n, true);
    rogue_listen();
    sim.lie = sim_dice(LIES);
    n->up = true;
    n->life++;
    site_open(n, sim.lie == LIE_FORGES ? &sim.forged_key : NULL);
}

void rogue_end(void)
{
    struct sim_node *n = &sim.nodes[SIM_ROGUE];
    if (!n->up)
        return;
    site_close(n);
    store_close(n->store);
    n->store = NULL;
    n->up = false;
    n->life++;
}

static void forge_epoch(struct sim_node *n)
{
    uint32_t count;
    sim_ok(succession_begin(n->store, &sim.forged_key, "mine", &count), "a forged epoch");
}

void rogue_command(void)
{
    struct sim_node *n = &sim.nodes[SIM_ROGUE];
    const char *name = sim_envs[sim_dice(SIM_ENVS - 1)];
    struct store_read *r;
    struct store_env env;
    struct slice bytes;
    if (!n->up || sim.lie != LIE_FORGES)
        return;
    if (sim_chance(100))
        forge_epoch(n);
    else
        write_raw(n->store, name, sim_dice(SIM_KEYS), SLICE("forged"), &sim.forged_key);
    sim_ok(store_read_begin(n->store, false, &r), "the liar's store");
    sim_ok(store_env_get(r, name, &env), name);
    sim_ok(store_log_get(r, env.id, env.head, &bytes), name);
    site_publish(n, &bytes, 1);
    store_read_end(r);
}
