/* primary_kit.h - a store in a directory that goes away, and commands carried out on it. */
#ifndef TESTS_PRIMARY_KIT_H
#define TESTS_PRIMARY_KIT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "primary/command.h"
#include "primary/query.h"

struct kit {
    char dir[64];
    struct store *store;
    struct fleet *fleet;
    uint16_t next_request;
    const char *author; /* who commands; NULL: ana */
    int64_t wall_ms;    /* when; 0: in November 2023 */
};

static inline int kit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void kit_init(struct kit *k, uint64_t quota_bytes)
{
    *k = (struct kit){.dir = "/tmp/hoist-primary-XXXXXX"};
    assert_non_null(mkdtemp(k->dir));
    hash_init();
    struct store_options options = {.write = true, .primary = true, .quota_bytes = quota_bytes};
    assert_int_equal(store_open(k->dir, &options, &k->store), HOIST_OK);
    assert_int_equal(fleet_new(&k->fleet), HOIST_OK);
}

static inline void kit_done(struct kit *k)
{
    fleet_free(k->fleet);
    store_close(k->store);
    nftw(k->dir, kit_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* What came of a command: its exit code, and its JSON. */
struct told {
    uint32_t exit;
    json_t *body;
};

static inline void told_done(struct told *t)
{
    json_decref(t->body);
}

static inline struct command *kit_command(struct kit *k, const char *name, const char *body)
{
    struct command *c;
    struct frame_command f = {.name = slice_str(name), .body = slice_str(body)};
    k->next_request++;
    f.request[0] = (uint8_t)k->next_request;
    f.request[1] = 1;
    f.request[2] = (uint8_t)(k->next_request >> 8);
    assert_int_equal(command_new(&f, k->author ? k->author : "ana", &c), HOIST_OK);
    return c;
}

static inline json_t *kit_json(struct buf *b)
{
    json_error_t e;
    json_t *v = json_loadb((const char *)b->ptr, b->len, JSON_REJECT_DUPLICATES, &e);
    if (!v)
        print_error("%s in: %.*s\n", e.text, (int)b->len, (const char *)b->ptr);
    assert_non_null(v);
    return v;
}

/* Command `c` in `w`. */
static inline struct told kit_carry_out(struct kit *k, struct store_write *w, const char *name,
                                        struct command *c, bool *ret_wrote)
{
    struct answer a = ANSWER_INIT;
    enum hoist_err err = command_run(c, w, k->fleet, k->wall_ms ? k->wall_ms : 1700000000000, &a);
    if (err != HOIST_OK)
        print_error("%s: %s\n", name, err_last());
    assert_int_equal(err, HOIST_OK);
    struct told t = {a.exit, kit_json(&a.body)};
    *ret_wrote = a.wrote;
    answer_done(&a);
    return t;
}

/* One command in `w`. */
static inline struct told kit_run(struct kit *k, struct store_write *w, const char *name,
                                  const char *body)
{
    struct command *c = kit_command(k, name, body);
    bool wrote;
    struct told t = kit_carry_out(k, w, name, c, &wrote);
    command_free(c);
    return t;
}

/* One command in a transaction of its own. */
static inline struct told kit_tell(struct kit *k, const char *name, const char *body)
{
    struct store_write *w;
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    struct command *c = kit_command(k, name, body);
    bool wrote;
    struct told t = kit_carry_out(k, w, name, c, &wrote);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    if (wrote)
        command_committed(c);
    command_free(c);
    return t;
}

static inline const char *kit_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static inline const char *kit_error(const struct told *t)
{
    return kit_text(json_object_get(t->body, "error"), "message");
}

static inline const char *kit_mend(const struct told *t)
{
    return kit_text(json_object_get(t->body, "error"), "mend");
}

/* The command must succeed with that result. */
static inline void kit_do(struct kit *k, const char *name, const char *body, const char *result)
{
    struct told t = kit_tell(k, name, body);
    if (t.exit != EXIT_DONE)
        print_error("%s %s: %s\n", name, body, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    assert_string_equal(kit_text(t.body, "result"), result);
    told_done(&t);
}

/* The command must be refused with that exit code, and a message that has these words in it. */
static inline void kit_refused(struct kit *k, const char *name, const char *body, uint32_t exit,
                               const char *words)
{
    struct told t = kit_tell(k, name, body);
    if (t.exit != exit || !strstr(kit_error(&t), words))
        print_error("%s %s: exit %u, %s\n", name, body, t.exit, kit_error(&t));
    assert_int_equal(t.exit, exit);
    assert_non_null(strstr(kit_error(&t), words));
    told_done(&t);
}

static inline struct told kit_ask(struct kit *k, const char *name, const char *args)
{
    struct store_read *r;
    struct buf out = BUF_INIT(64 << 20);
    json_t *a = json_loads(args, 0, NULL);
    assert_non_null(a);
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    uint32_t exit = query_run(r, slice_str(name), a, &out);
    store_read_end(r);
    struct told t = {exit, kit_json(&out)};
    json_decref(a);
    buf_done(&out);
    return t;
}

static inline struct store_env kit_env(struct kit *k, const char *name)
{
    struct store_read *r;
    struct store_env env;
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_env_get(r, name, &env), HOIST_OK);
    store_read_end(r);
    return env;
}

/* A change by which flag `key` has this record; what cannot be read is held back, as at any host. */
static inline void kit_put_record(struct kit *k, const char *name, const char *key,
                                  struct slice record)
{
    struct store_write *w;
    struct store_env env = kit_env(k, name);
    struct buf edits = BUF_INIT(4096), bytes = BUF_INIT(8192);
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    edits_begin(&edits, 1);
    edits_put(&edits, slice_str(key), record);
    struct change_header head = {.env = slice_str(env.name),
                                 .epoch = env.epoch,
                                 .version = env.head + 1,
                                 .kind = CHANGE_SET,
                                 .edits_count = 1,
                                 .author = SLICE("x")};
    struct change c;
    memcpy(head.prev, env.hash, HASH_SIZE);
    assert_int_equal(store_change_stage(w, env.id, buf_slice(&edits), head.version, head.digest),
                     HOIST_OK);
    assert_int_equal(change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL),
                     HOIST_OK);
    assert_int_equal(change_decode(buf_slice(&bytes), &c), HOIST_OK);
    store_write_abort(w); /* the digest is known now */
    assert_int_equal(store_write_begin(k->store, &w), HOIST_OK);
    assert_int_equal(store_change_apply(w, env.id, &c), HOIST_OK);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    buf_done(&edits);
    buf_done(&bytes);
}

/* A change by which the record of flag `key` has one element more: an array of 12 instead of 11. */
static inline void kit_make_newer(struct kit *k, const char *name, const char *key)
{
    struct store_read *r;
    struct slice record;
    struct store_env env = kit_env(k, name);
    struct buf newer = BUF_INIT(4096);
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_record_get(r, env.id, slice_str(key), &record), HOIST_OK);
    assert_int_equal(record.ptr[0], 0x9b);
    buf_add_byte(&newer, 0x9c);
    buf_add(&newer, record.ptr + 1, record.len - 1);
    buf_add_byte(&newer, 0x07);
    store_read_end(r);
    kit_put_record(k, name, key, buf_slice(&newer));
    buf_done(&newer);
}

/* {"file": FILE, MORE} as an apply's body; to be freed. */
static inline char *kit_file(const char *file, const char *more)
{
    json_t *args = *more ? json_loads(more, 0, NULL) : json_object();
    assert_non_null(args);
    json_object_set_new(args, "file", json_string(file));
    char *body = json_dumps(args, 0);
    json_decref(args);
    return body;
}

/* For each test: a store with the environment production, empty. */
static inline int kit_setup(void **state)
{
    struct kit *k = mem_zalloc(1, sizeof *k);
    kit_init(k, 0);
    kit_do(k, "env_create", "{\"env\":\"production\"}", "changed");
    *state = k;
    return 0;
}

static inline int kit_teardown(void **state)
{
    kit_done(*state);
    mem_free(*state);
    return 0;
}

/* A series' value as a scrape has it, written as there with a space behind; -1: it is not there. */
static inline double kit_metric(const char *series)
{
    struct buf text = BUF_INIT(1 << 20);
    metrics_write(&text);
    const char *at = strstr(buf_str(&text), series);
    double v = at ? strtod(at + strlen(series), NULL) : -1;
    buf_done(&text);
    return v;
}

#endif
