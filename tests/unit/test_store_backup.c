#include "check_kit.h"

#include "store/backup.h"

static struct store *make(const char *dir)
{
    struct store *s = kit_open(dir);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 7);
        kit_set(s, i % 3 ? "production" : "staging", key, i % 2 ? "on" : "off");
    }
    kit_unset(s, "production", "k4");
    return s;
}

/* An open file of no name. */
static int new_file(void)
{
    char path[] = "/tmp/hoist-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static int backup_of(struct store *s)
{
    struct store_read *r;
    struct store_backup_info info;
    int fd = new_file();
    OK(store_read_begin(s, false, &r));
    OK(store_backup_write(r, fd, &info));
    store_read_end(r);
    assert_int_equal(lseek(fd, 0, SEEK_END), info.bytes);
    return fd;
}

static const struct store_options for_primary = {.write = true, .primary = true};

static enum hoist_err recover(const char *dir, int fd)
{
    struct store *s = NULL;
    struct store_backup_info info;
    enum hoist_err err = store_recover_begin(dir, &for_primary, fd, &s, &info);
    if (err)
        return err;
    kit_clean(s);
    OK(store_recover_finish(s));
    store_close(s);
    return HOIST_OK;
}

static void same_env(struct store *a, struct store *b, const char *name)
{
    struct store_env x = kit_env(a, name), y = kit_env(b, name);
    assert_int_equal(x.head, y.head);
    assert_true(x.epoch == y.epoch);
    assert_int_equal(x.log_first, y.log_first);
    assert_int_equal(x.order, y.order);
    assert_memory_equal(x.hash, y.hash, HASH_SIZE);
    assert_memory_equal(x.digest, y.digest, HASH_SIZE);
}

static void what_is_recovered_is_what_was_backed_up(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    struct store *s = make(dir), *back;
    int fd = backup_of(s);
    OK(recover(other, fd));
    back = kit_open_with(other, for_primary);
    same_env(s, back, "production");
    same_env(s, back, "staging");
    assert_string_equal(kit_get(back, "production", "k4"), "(none)");
    assert_string_equal(kit_get(back, "production", "k5"), kit_get(s, "production", "k5"));
    assert_string_not_equal(store_host_id(s), store_host_id(back)); /* it is another store */
    kit_set(back, "production", "new", "1");
    kit_clean(back);
    store_close(back);
    store_close(s);
    close(fd);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

static void a_backup_is_of_one_moment_whatever_is_written_meanwhile(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    struct store *s = make(dir), *back;
    struct store_read *r;
    struct store_backup_info info;
    uint64_t head = kit_env(s, "production").head;
    int fd = new_file();
    OK(store_read_begin(s, false, &r));
    for (int i = 0; i < 50; i++)
        kit_set(s, "production", "k1", i % 2 ? "x" : "y");
    OK(rotate(s));
    OK(store_backup_write(r, fd, &info));
    store_read_end(r);
    OK(recover(other, fd));
    back = kit_open(other);
    assert_int_equal(kit_env(back, "production").head, head);
    store_close(back);
    store_close(s);
    close(fd);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

static void nothing_leads_to_it_before_the_end(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    struct store *s = make(dir), *half = NULL, *reader;
    struct store_backup_info info;
    int fd = backup_of(s);
    OK(store_recover_begin(other, &for_primary, fd, &half, &info));
    IS(store_open_reader(other, 0, &reader), HOIST_ENOTFOUND);
    IS(recover(other, fd), HOIST_EBUSY);
    store_recover_abort(half);
    assert_int_equal(access(kit_path(other, "1"), F_OK), -1);

    /* as after a crash: what was left is removed, and it is made again */
    OK(store_recover_begin(other, &for_primary, fd, &half, &info));
    store_close(half);
    assert_int_equal(access(kit_path(other, "1/data.mdb"), F_OK), 0);
    OK(recover(other, fd));
    IS(recover(other, fd), HOIST_EINVAL); /* there is a store now */
    store_close(s);
    close(fd);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

static enum hoist_err check_bytes(const uint8_t *bytes, size_t len)
{
    struct store_backup_info info;
    int fd = new_file();
    assert_int_equal(write(fd, bytes, len), len);
    enum hoist_err err = store_backup_check(fd, &info);
    close(fd);
    return err;
}

static void each_length_that_is_short_and_each_bit_that_is_flipped_is_noticed(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    kit_set(s, "production", "k", "on");
    int fd = backup_of(s);
    size_t len = (size_t)lseek(fd, 0, SEEK_END);
    uint8_t *bytes = mem_alloc(len + 1);
    assert_int_equal(pread(fd, bytes, len, 0), len);
    OK(check_bytes(bytes, len));
    for (size_t n = 0; n < len; n++)
        IS(check_bytes(bytes, n), n < 12 ? HOIST_EINVAL : HOIST_ECORRUPT);
    bytes[len] = 0;
    IS(check_bytes(bytes, len + 1), HOIST_ECORRUPT);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(check_bytes(bytes, len), HOIST_OK);
        bytes[i] ^= (uint8_t)(1u << i % 8);
    }
    bytes[11]++;
    IS(check_bytes(bytes, len), HOIST_EVERSION);
    assert_non_null(strstr(err_last(), "layout 2, this program knows layout 1"));
    bytes[11]--;
    bytes[15]++;
    IS(check_bytes(bytes, len), HOIST_EVERSION);
    mem_free(bytes);
    close(fd);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_damaged_backup_leaves_nothing_behind(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    struct store *s = make(dir);
    int fd = backup_of(s);
    assert_int_equal(pwrite(fd, "x", 1, 2000), 1);
    IS(recover(other, fd), HOIST_ECORRUPT);
    assert_int_equal(access(kit_path(other, "1"), F_OK), -1);
    assert_int_equal(access(kit_path(other, "current"), F_OK), -1);
    store_close(s);
    close(fd);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

/* ------------------------------------------------------------------ made by hand */

static void add_number(struct buf *b, uint64_t v, int bytes)
{
    while (bytes-- > 0)
        buf_add_byte(b, (uint8_t)(v >> 8 * bytes));
}

static void add_database(struct buf *b, const char *name)
{
    add_number(b, BACKUP_DATABASE, 1);
    add_number(b, strlen(name), 1);
    buf_add_str(b, name);
}

static void add_row(struct buf *b, struct slice key, struct slice row)
{
    add_number(b, BACKUP_ROW, 1);
    add_number(b, key.len, 2);
    add_number(b, row.len, 4);
    buf_add_slice(b, key);
    buf_add_slice(b, row);
}

static struct buf begin_backup(void)
{
    struct buf b = BUF_INIT(1 << 20);
    buf_add_str(&b, BACKUP_MAGIC);
    add_number(&b, BACKUP_VERSION, 4);
    add_number(&b, STORE_FORMAT, 4);
    for (int i = 0; i < 24; i++)
        add_number(&b, 7, 1);
    return b;
}

/* With a checksum that is right. Frees `b`. */
static enum hoist_err recover_bytes(struct buf *b, uint64_t rows)
{
    uint8_t hash[HASH_SIZE];
    char *dir = kit_dir();
    int fd = new_file();
    add_number(b, BACKUP_LAST, 1);
    add_number(b, rows, 8);
    hash_blake2b(hash, buf_slice(b));
    buf_add(b, hash, sizeof hash);
    OK(buf_err(b));
    assert_int_equal(write(fd, b->ptr, b->len), b->len);
    enum hoist_err err = recover(dir, fd);
    close(fd);
    buf_done(b);
    if (err)
        assert_int_equal(access(kit_path(dir, "current"), F_OK), -1);
    kit_remove(dir);
    return err;
}

static void a_backup_that_somebody_made_up_is_refused(void **state)
{
    static const uint8_t zeros[600];
    struct buf b = begin_backup();
    OK(recover_bytes(&b, 0)); /* of an empty store */

    b = begin_backup();
    add_database(&b, "secrets");
    IS(recover_bytes(&b, 0), HOIST_EVERSION);
    b = begin_backup();
    add_database(&b, "log");
    add_database(&b, "flags"); /* not in their order */
    IS(recover_bytes(&b, 0), HOIST_EVERSION);
    b = begin_backup();
    add_row(&b, SLICE("key"), SLICE("row")); /* of no database */
    IS(recover_bytes(&b, 1), HOIST_ECORRUPT);
    b = begin_backup();
    add_database(&b, "flags");
    add_row(&b, SLICE("b"), SLICE("row"));
    add_row(&b, SLICE("a"), SLICE("row"));
    IS(recover_bytes(&b, 2), HOIST_ECORRUPT);
    b = begin_backup();
    add_database(&b, "flags");
    add_row(&b, SLICE(""), SLICE("row"));
    IS(recover_bytes(&b, 1), HOIST_ECORRUPT);
    b = begin_backup();
    add_database(&b, "flags");
    add_row(&b, slice_of(zeros, sizeof zeros), SLICE("row"));
    IS(recover_bytes(&b, 1), HOIST_ECORRUPT);
    b = begin_backup();
    add_database(&b, "touch");
    add_row(&b, SLICE("\0\1k"), slice_of(zeros, 8));
    add_row(&b, SLICE("\0\1k"), slice_of(zeros, 7));
    IS(recover_bytes(&b, 2), HOIST_ECORRUPT);
    b = begin_backup();
    add_database(&b, "flags");
    add_number(&b, BACKUP_ROW, 1);
    add_number(&b, 1, 2);
    add_number(&b, UINT32_MAX, 4); /* a row that would be 4 GiB */
    IS(recover_bytes(&b, 1), HOIST_ECORRUPT);
    b = begin_backup();
    add_number(&b, 9, 1); /* no such entry */
    IS(recover_bytes(&b, 0), HOIST_ECORRUPT);
    b = begin_backup();
    IS(recover_bytes(&b, 5), HOIST_ECORRUPT); /* rows that are not there */
    (void)state;
}

static void each_allocation_that_fails_is_an_error_and_no_more(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    struct store *s = make(dir), *back;
    struct store_read *r;
    struct store_backup_info info;
    int fd = backup_of(s);
    for (int n = 1;; n++) {
        mem_fail_at(n);
        enum hoist_err err = store_recover_begin(other, &for_primary, fd, &back, &info);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed) {
            OK(err);
            store_recover_abort(back);
            break;
        }
        IS(err, HOIST_ENOMEM);
    }
    for (int n = 1;; n++) {
        struct kit_found found = {0};
        OK(store_read_begin(s, false, &r));
        mem_fail_at(n);
        enum hoist_err err = store_check(r, kit_fault, &found, &found.sums);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        store_read_end(r);
        if (!failed)
            break;
        if (err) /* or what could not be looked at was left out */
            IS(err, HOIST_ENOMEM);
    }
    close(fd);
    store_close(s);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_recovered_is_what_was_backed_up),
        cmocka_unit_test(a_backup_is_of_one_moment_whatever_is_written_meanwhile),
        cmocka_unit_test(nothing_leads_to_it_before_the_end),
        cmocka_unit_test(each_length_that_is_short_and_each_bit_that_is_flipped_is_noticed),
        cmocka_unit_test(a_damaged_backup_leaves_nothing_behind),
        cmocka_unit_test(a_backup_that_somebody_made_up_is_refused),
        cmocka_unit_test(each_allocation_that_fails_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
