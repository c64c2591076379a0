/* store_kit.h - what the tests of the store share: directories, records, and a primary in small. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "flag/flag.h"
#include "store/store.h"
#include "wire/record.h"

/* The call must answer OK; if not, the sentence is shown. */
#define OK(call) assert_int_equal(kit_say(call, #call), HOIST_OK)
#define IS(call, expected) assert_string_equal(err_word(call), err_word(expected))

enum { KIT_EPOCH = 77 };

static inline enum hoist_err kit_say(enum hoist_err err, const char *call)
{
    if (err)
        fprintf(stderr, "%s: %s: %s\n", call, err_word(err), err_last());
    return err;
}

static inline void kit_sleep(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* ------------------------------------------------------------------ directories */

static inline char *kit_dir(void)
{
    static char dirs[256][64];
    static int n;
    char *dir = dirs[n++ % 256];
    bool memory = access("/dev/shm", W_OK) == 0;
    snprintf(dir, sizeof dirs[0], "%s/hoist-test-XXXXXX", memory ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline const char *kit_path(const char *dir, const char *name)
{
    static char paths[8][4096];
    static int n;
    char *path = paths[n++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline void kit_remove(const char *dir)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "counters"};
    char name[32];
    for (int i = 1; i < 40; i++) {
        for (size_t f = 0; f < 3; f++) {
            snprintf(name, sizeof name, "%d/%s", i, files[f]);
            unlink(kit_path(dir, name));
        }
        snprintf(name, sizeof name, "%d", i);
        rmdir(kit_path(dir, name));
    }
    unlink(kit_path(dir, "current"));
    unlink(kit_path(dir, "current.new"));
    unlink(kit_path(dir, "hoistd.lock"));
    rmdir(dir);
}

static inline struct store *kit_open_with(const char *dir, struct store_options o)
{
    struct store *s = NULL;
    o.write = true;
    OK(store_open(dir, &o, &s));
    return s;
}

static inline struct store *kit_open(const char *dir)
{
    return kit_open_with(dir, (struct store_options){0});
}

static inline struct store *kit_open_reader(const char *dir)
{
    struct store *s = NULL;
    OK(store_open_reader(dir, 0, &s));
    return s;
}

/* ------------------------------------------------------------------ records and edits */

/* The record of flag `key`, a string with the one variant `text`. */
static inline void kit_record(struct buf *out, const char *key, const char *text)
{
    struct flag *f = flag_new(slice_str(key));
    assert_non_null(f);
    struct node *node = arena_alloc(&f->arena, 1, sizeof *node);
    *node = (struct node){.kind = NODE_STRING, .span = 1, .text = slice_str(text)};
    f->type = HOIST_STRING;
    f->enabled = true;
    f->variant_count = 1;
    f->variants = arena_alloc(&f->arena, 1, sizeof *f->variants);
    f->variants[0] = (struct variant){.name = SLICE("value"), .value = {node, 1}};
    f->default_variant = 0;
    f->override = f->otherwise = FLAG_NO_VARIANT;
    OK(record_encode(f, out));
    flag_free(f);
}

struct kit_edits {
    struct buf items;
    uint32_t count;
};

static inline struct kit_edits kit_edits(void)
{
    return (struct kit_edits){.items = BUF_INIT(CHANGE_BYTES_MAX)};
}

static inline void kit_put_raw(struct kit_edits *e, const char *key, struct slice record)
{
    edits_put(&e->items, slice_str(key), record);
    e->count++;
}

static inline void kit_put(struct kit_edits *e, const char *key, const char *text)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    kit_record(&record, key, text);
    kit_put_raw(e, key, buf_slice(&record));
    buf_done(&record);
}

static inline void kit_delete(struct kit_edits *e, const char *key)
{
    edits_delete(&e->items, slice_str(key));
    e->count++;
}

/* ------------------------------------------------------------------ a primary in small */

/* Stage and log one change in `w`; frees the edits. */
static inline enum hoist_err kit_change_in(struct store_write *w, uint16_t id, struct kit_edits *e,
                                           int64_t time_ms, uint32_t kind)
{
    struct buf edits = BUF_INIT(CHANGE_BYTES_MAX), bytes = BUF_INIT(CHANGE_BYTES_MAX);
    struct store_env env;
    enum hoist_err err = HOIST_OK;
    for (uint32_t n = 0;; n++) {
        OK(store_env_at(store_write_read(w), n, &env));
        if (env.id == id)
            break;
    }
    edits_begin(&edits, e->count);
    buf_add_slice(&edits, buf_slice(&e->items));
    struct change_header head = {
        .env = slice_str(env.name),
        .epoch = env.epoch ? env.epoch : KIT_EPOCH,
        .version = env.head + 1,
        .time_ms = time_ms,
        .author = SLICE("ana"),
        .message = SLICE("why"),
        .kind = kind,
        .edits_count = e->count,
    };
    memcpy(head.prev, env.hash, HASH_SIZE);
    err = store_change_stage(w, id, buf_slice(&edits), head.version, head.digest);
    if (!err)
        err = change_encode(&head, buf_slice(&edits), (struct slice){0}, &bytes, NULL);
    struct change c;
    if (!err)
        err = change_decode(buf_slice(&bytes), &c);
    if (!err)
        err = store_change_log(w, id, &c);
    buf_done(&edits);
    buf_done(&bytes);
    buf_done(&e->items);
    return err;
}

static inline enum hoist_err kit_try_change(struct store *s, const char *name, struct kit_edits *e)
{
    struct store_write *w;
    struct store_env env;
    enum hoist_err err = store_write_begin(s, &w);
    if (err) {
        buf_done(&e->items);
        return err;
    }
    err = store_env_get(store_write_read(w), name, &env);
    if (err == HOIST_ENOTFOUND)
        err = store_env_create(w, name, &env);
    if (!err)
        err = kit_change_in(w, env.id, e, clock_wall_ms(), CHANGE_SET);
    else
        buf_done(&e->items);
    if (err) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

static inline void kit_change(struct store *s, const char *name, struct kit_edits *e)
{
    OK(kit_try_change(s, name, e));
}

/* Change one flag of `env`, made if it is not there. */
static inline void kit_set(struct store *s, const char *env, const char *key, const char *text)
{
    struct kit_edits e = kit_edits();
    kit_put(&e, key, text);
    kit_change(s, env, &e);
}

static inline void kit_unset(struct store *s, const char *env, const char *key)
{
    struct kit_edits e = kit_edits();
    kit_delete(&e, key);
    kit_change(s, env, &e);
}

/* ------------------------------------------------------------------ looking */

static inline struct store_env kit_env(struct store *s, const char *name)
{
    struct store_read *r;
    struct store_env env = {0};
    OK(store_read_begin(s, false, &r));
    OK(store_env_get(r, name, &env));
    store_read_end(r);
    return env;
}

/* The text of the only variant in a record; static. */
static inline const char *kit_text(const char *key, struct slice record)
{
    static char text[FLAG_RECORD_MAX];
    struct flag *f;
    OK(record_decode(slice_str(key), record, &f, NULL));
    struct slice v = f->variants[0].value.nodes[0].text;
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(v));
    flag_free(f);
    return text;
}

/* The flag's text in `s` now; "(none)" when there is no such flag. */
static inline const char *kit_get(struct store *s, const char *name, const char *key)
{
    struct store_read *r;
    struct store_env env;
    struct slice record;
    const char *text = "(none)";
    OK(store_read_begin(s, false, &r));
    OK(store_env_get(r, name, &env));
    enum hoist_err err = store_flag_get(r, env.id, env.held > 0, slice_str(key), &record);
    if (err != HOIST_ENOTFOUND) {
        OK(err);
        text = kit_text(key, record);
    }
    store_read_end(r);
    return text;
}

/* Apply to `to` what `from` has in its log beyond it. */
static inline enum hoist_err kit_follow(struct store *to, struct store *from, const char *name)
{
    struct store_read *r;
    struct store_env theirs = kit_env(from, name), ours = {0};
    struct store_write *w;
    enum hoist_err err = HOIST_OK;
    OK(store_write_begin(to, &w));
    if (store_env_get(store_write_read(w), name, &ours) != HOIST_OK)
        OK(store_env_create(w, name, &ours));
    OK(store_read_begin(from, false, &r));
    for (uint64_t v = ours.head + 1; !err && v <= theirs.head; v++) {
        struct slice bytes;
        struct change c;
        OK(store_log_get(r, theirs.id, v, &bytes));
        OK(change_decode(bytes, &c));
        err = store_change_apply(w, ours.id, &c);
    }
    store_read_end(r);
    if (err) {
        store_write_abort(w);
        return err;
    }
    return store_write_commit(w);
}

#endif
