/* client_kit.h - what the tests of libhoist share: flags of each type, and waiting for something.
 */
#ifndef CLIENT_KIT_H
#define CLIENT_KIT_H

#include "store_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "hoist.h"

#if defined(__SANITIZE_ADDRESS__)
#define KIT_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KIT_SANITIZED
#endif
#endif

enum { NO = FLAG_NO_VARIANT };

/* A flag with one variant per node, named a, b, c … */
static inline void kit_put_flag(struct kit_edits *e, const char *key, enum hoist_type type,
                                const struct tree *values, uint32_t count, int32_t def,
                                int32_t override, bool enabled, bool rules)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct flag *f = flag_new(slice_str(key));
    assert_non_null(f);
    f->type = type;
    f->enabled = enabled;
    f->variant_count = count;
    f->variants = arena_alloc(&f->arena, count, sizeof *f->variants);
    for (uint32_t i = 0; i < count; i++)
        f->variants[i] = (struct variant){.name = slice_str(names[i]), .value = values[i]};
    f->default_variant = def;
    f->override = override;
    f->otherwise = NO;
    struct node rule[] = {
        {.kind = NODE_OP, .bare = true, .count = 1, .span = 2, .text = SLICE("var")},
        {.kind = NODE_STRING, .span = 1, .text = SLICE("ring")}};
    if (rules)
        f->targeting = (struct tree){rule, 2};
    struct buf record = BUF_INIT(FLAG_RECORD_MAX);
    OK(record_encode(f, &record));
    kit_put_raw(e, key, buf_slice(&record));
    buf_done(&record);
    flag_free(f);
}

/* A boolean with variants a = true and b = false. */
static inline void kit_put_bool(struct kit_edits *e, const char *key, bool value)
{
    struct node on = {.kind = NODE_TRUE, .span = 1}, off = {.kind = NODE_FALSE, .span = 1};
    kit_put_flag(e, key, HOIST_BOOL, (struct tree[]){{&on, 1}, {&off, 1}}, 2, value ? 0 : 1, NO,
                 true, false);
}

static inline void kit_put_number(struct kit_edits *e, const char *key, double value)
{
    struct node n = {.kind = NODE_NUMBER, .span = 1, .number = value};
    kit_put_flag(e, key, HOIST_NUMBER, (struct tree[]){{&n, 1}}, 1, 0, NO, true, false);
}

/* The object {"n":VALUE}. */
static inline void kit_put_object(struct kit_edits *e, const char *key, double value)
{
    struct node n[] = {{.kind = NODE_OBJECT, .count = 1, .span = 3},
                       {.kind = NODE_STRING, .span = 1, .text = SLICE("n")},
                       {.kind = NODE_NUMBER, .span = 1, .number = value}};
    kit_put_flag(e, key, HOIST_OBJECT, (struct tree[]){{n, 3}}, 1, 0, NO, true, false);
}

static inline void kit_set_bool(struct store *s, const char *env, const char *key, bool value)
{
    struct kit_edits e = kit_edits();
    kit_put_bool(&e, key, value);
    kit_change(s, env, &e);
}

static inline void kit_set_number(struct store *s, const char *env, const char *key, double value)
{
    struct kit_edits e = kit_edits();
    kit_put_number(&e, key, value);
    kit_change(s, env, &e);
}

/* A store with a flag of each type in `production`, open for writing. */
static inline struct store *kit_store(const char *dir)
{
    struct store *s = kit_open(dir);
    struct kit_edits e = kit_edits();
    kit_put_bool(&e, "flag.bool", true);
    kit_put_number(&e, "flag.double", 2.5);
    kit_put_number(&e, "flag.int", 42);
    kit_put_object(&e, "flag.object", 7);
    kit_put(&e, "flag.text", "hello");
    kit_change(s, "production", &e);
    return s;
}

/* kit_store() in a process of its own, since a writer does not survive a fork: one that changes two
 * flags for each `c` that is written to fds[1], and says so on fds[0]. It ends when fds[1] is closed. */
static inline pid_t kit_writer(const char *dir, int fds[2])
{
    int pair[2];
    char c;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(pipe(fds), 0);
    int answer[2] = {pair[0], pair[1]};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[1]); /* so that the parent's closing it is the end */
        struct store *s = kit_store(dir);
        if (write(answer[1], "o", 1) == 1)
            while (read(fds[0], &c, 1) == 1 && c == 'c') {
                kit_set_number(s, "production", "flag.int", 43);
                kit_set(s, "production", "flag.text", "bye");
                if (write(answer[1], "d", 1) != 1)
                    break;
            }
        store_close(s);
        _exit(0);
    }
    assert_int_equal(read(answer[0], &c, 1), 1);
    fds[0] = answer[0];
    return pid;
}

static inline hoist *kit_hoist_with(const char *dir, unsigned options)
{
    hoist *h = NULL;
    OK(hoist_open_with(&h, dir, "production", options));
    return h;
}

static inline hoist *kit_hoist(const char *dir)
{
    return kit_hoist_with(dir, 0);
}

/* Wait until `condition` holds, at most `limit_ms`. */
#define WAIT_UNTIL(condition, limit_ms)                                                            \
    do {                                                                                           \
        int64_t until_ = clock_mono_ms() + (limit_ms);                                             \
        while (!(condition) && clock_mono_ms() < until_)                                           \
            kit_sleep(5);                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* Run `body` in a child, which answers 0 if all was right. */
static inline int kit_in_child(int (*body)(void *arg), void *arg)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(arg));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline bool kit_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

#endif
