/* Any bytes as rows of a store that was written by the rules: as a disk, or somebody with the
 * directory, may leave them. Each row is: database u8, length of its key u8, of the row u16, key, row;
 * without a row it is deleted. A check finds faults and ends; readers answer, or refuse. */
#include "../unit/check_kit.h"

#include <assert.h>

#include "base/bytes.h"
#include "flag/json.h"
#include "primary/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *make_store(const char *dir)
{
    uint8_t request[REQUEST_ID_SIZE] = {1};
    struct store_write *w;
    struct store *s = kit_open_with(dir, (struct store_options){.map_bytes = 64 << 20});
    kit_set(s, "production", "a", "1");
    kit_set(s, "production", "b", "1");
    kit_set(s, "staging", "b", "1");
    kit_set(s, "production", "a", "2");
    kit_unset(s, "production", "b");
    OK(store_write_begin(s, &w));
    OK(store_command_put(w, request, SLICE("answer"), 1000));
    OK(store_host_put(w, SLICE("host1"), SLICE("12345678rest")));
    OK(store_write_commit(w));
    return s;
}

static void put_rows(struct store_write *w, struct slice in)
{
    while (in.len >= 4) {
        enum db_name db = in.ptr[0] % DB_COUNT;
        size_t key_len = in.ptr[1], row_len = be16_read(in.ptr + 2);
        in = slice_of(in.ptr + 4, in.len - 4);
        if (key_len == 0 || key_len > in.len || row_len > in.len - key_len)
            return;
        MDB_val key = {key_len, (void *)in.ptr};
        enum hoist_err err = row_len ? write_put(w, db, key, slice_of(in.ptr + key_len, row_len), 0)
                                     : write_del(w, db, key);
        if (err != HOIST_OK)
            return;
        in = slice_of(in.ptr + key_len + row_len, in.len - key_len - row_len);
    }
}

static void count(void *arg, const struct store_fault *fault)
{
    uint64_t *faults = arg;
    assert(fault->database && fault->what && *fault->what && fault->env);
    ++*faults;
}

static void check(struct store_read *r)
{
    struct store_checked sums;
    uint64_t faults = 0;
    enum hoist_err err = store_check(r, count, &faults, &sums);
    assert(err == HOIST_OK ? faults == sums.faults : *err_last() != '\0');
}

static void ask(struct store_read *r, const char *name, const char *text)
{
    struct buf out = BUF_INIT(64 << 20);
    json_t *args = json_loads(text, 0, NULL);
    (void)query_run(r, slice_str(name), args, &out);
    /* Jansson's integers end at 2^63, and a version in a bad row need not; nor is a key without NULs. */
    json_t *answer =
        json_loadb((const char *)out.ptr, out.len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    assert(json_is_object(answer));
    json_decref(answer);
    json_decref(args);
    buf_done(&out);
}

static void look(struct store_read *r)
{
    struct slice id = {0}, row;
    ask(r, "list", "{}");
    ask(r, "get", "{\"key\":\"a\"}");
    ask(r, "eval", "{\"key\":\"a\"}");
    ask(r, "log", "{}");
    ask(r, "export", "{\"env\":\"staging\"}");
    ask(r, "history", "{\"key\":\"b\"}");
    ask(r, "envs", "{}");
    ask(r, "usage", "{}");
    ask(r, "stale", "{}");
    for (int i = 0; i < 100 && store_host_next(r, id, &id, &row) == HOIST_OK; i++)
        assert(id.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *dir;
    struct store_write *w;
    struct store_read *r;
    if (!dir)
        dir = kit_dir();
    struct store *s = make_store(dir);
    OK(store_write_begin(s, &w));
    put_rows(w, slice_of(data, size));
    if (store_write_commit(w) == HOIST_OK && store_read_begin(s, false, &r) == HOIST_OK) {
        check(r);
        look(r);
        store_read_end(r);
    }
    store_close(s);
    kit_remove(dir);
    return 0;
}
