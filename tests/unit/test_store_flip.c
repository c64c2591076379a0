/* A bit that flips on the disk, in each page of a small store: it is noticed, or it changes nothing
 * that anybody reads. With HOIST_SOAK set in every byte, else in some of each page. */
#include "check_kit.h"

enum { PAGE = 4096, BITS_A_PAGE = 24 };

static char path[PATH_MAX];
static int data_fd;

/* All that a store can have: two environments, a big flag, deleted ones, answers, a host, holes. */
static char *make(void)
{
    char *dir = kit_dir(), key[16], big[6001];
    uint8_t request[REQUEST_ID_SIZE] = {0};
    struct store *s = kit_open(dir);
    struct store_write *w;
    struct kit_edits e = kit_edits();
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k%05d", i);
        kit_put(&e, key, "1");
    }
    kit_change(s, "production", &e);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    kit_set(s, "production", "big", big);
    kit_set(s, "staging", "a", "1");
    for (int i = 0; i < 40; i++)
        kit_set(s, "production", "k00007", i % 2 ? "a" : "b");
    kit_unset(s, "production", "k00009");
    for (uint8_t i = 0; i < 20; i++) {
        OK(store_write_begin(s, &w));
        request[0] = i;
        OK(store_command_put(w, request, SLICE("answer"), 1000 + i));
        OK(store_host_put(w, SLICE("host1"), SLICE("12345678rest")));
        OK(store_write_commit(w));
    }
    kit_clean(s);
    store_close(s);
    snprintf(path, sizeof path, "%s/1/data.mdb", dir);
    return dir;
}

/* What is in the rows of all databases: equal hashes, equal rows. */
static void rows_hash(struct store *s, uint8_t ret[HASH_SIZE])
{
    struct store_read *r;
    struct hash_stream h;
    hash_begin(&h);
    OK(store_read_begin(s, false, &r));
    for (int name = 0; name < DB_COUNT; name++) {
        MDB_cursor *cursor;
        MDB_val key, row;
        assert_int_equal(mdb_cursor_open(r->txn, r->db->dbi[name], &cursor), 0);
        while (db_cursor_get(r->db, cursor, &key, &row, MDB_NEXT) == 0) {
            uint64_t sizes[2] = {key.mv_size, row.mv_size};
            hash_add(&h, sizes, sizeof sizes);
            hash_add(&h, key.mv_data, key.mv_size);
            hash_add(&h, row.mv_data, row.mv_size);
        }
        mdb_cursor_close(cursor);
    }
    store_read_end(r);
    hash_end(&h, ret);
}

/* False: it was noticed. Else *ret is the hash of what there is to read. */
static bool passes(const char *dir, uint8_t ret[HASH_SIZE])
{
    struct store *s = NULL;
    if (verify_pages(dir, 1) != HOIST_OK)
        return false;
    if (store_open_reader(dir, 0, &s) != HOIST_OK)
        return false;
    bool whole = kit_check(s)->faults == 0;
    if (whole)
        rows_hash(s, ret);
    store_close(s);
    return whole;
}

static void flip(off_t at, unsigned bit)
{
    uint8_t byte;
    assert_int_equal(pread(data_fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1u << bit);
    assert_int_equal(pwrite(data_fd, &byte, 1, at), 1);
}

static void each_flipped_bit_is_noticed_or_changes_nothing(void **state)
{
    char *dir = make();
    struct stat st;
    uint8_t whole[HASH_SIZE], now[HASH_SIZE];
    bool soak = getenv("HOIST_SOAK") != NULL;
    unsigned long noticed = 0, harmless = 0;
    data_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(data_fd, &st), 0);
    assert_true(passes(dir, whole));
    srand(6);
    for (off_t page = 0; page < st.st_size / PAGE; page++)
        for (int i = 0; i < (soak ? PAGE : BITS_A_PAGE); i++) {
            off_t at = page * PAGE + (soak ? i : i < 8 ? 8 + i : rand() % PAGE);
            unsigned bit = (unsigned)rand() % 8;
            flip(at, bit);
            bool passed = passes(dir, now);
            noticed += !passed;
            harmless += passed;
            if (passed && memcmp(now, whole, sizeof whole) != 0)
                fail_msg("byte %ld, bit %u: not noticed, and rows are not what they were", (long)at,
                         bit);
            flip(at, bit);
        }
    assert_true(passes(dir, now));
    assert_true(noticed > 0 && harmless > 0);
    printf("flips: %lu bits in %ld pages, noticed %lu, in room that is not used %lu, unnoticed 0\n",
           noticed + harmless, (long)(st.st_size / PAGE), noticed, harmless);
    close(data_fd);
    kit_remove(dir);
    (void)state;
}

/* Whether it was noticed; else the rows are what they were. */
static bool is_noticed(const char *dir, const uint8_t whole[HASH_SIZE], const char *what, off_t at)
{
    uint8_t now[HASH_SIZE];
    if (!passes(dir, now))
        return true;
    if (memcmp(now, whole, sizeof now) != 0)
        fail_msg("%s %ld: not noticed, and rows are not what they were", what, (long)at);
    return false;
}

/* What a power cut leaves of a last write. */
static void a_file_that_is_torn_at_its_end_is_noticed(void **state)
{
    char *dir = make();
    struct stat st;
    uint8_t whole[HASH_SIZE];
    static const uint8_t none[PAGE / 2];
    assert_int_equal(stat(path, &st), 0);
    struct store_options o = {.write = true, .check = true};
    struct store *s = NULL;
    char *bytes = mem_alloc((size_t)st.st_size);
    data_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(data_fd, bytes, (size_t)st.st_size, 0), st.st_size);
    assert_true(passes(dir, whole));
    int torn = 0;
    for (off_t half = 2 * PAGE; half < st.st_size; half += PAGE / 2) {
        assert_int_equal(pwrite(data_fd, none, sizeof none, half), sizeof none);
        torn += is_noticed(dir, whole, "half a page at", half);
        assert_int_equal(pwrite(data_fd, bytes + half, sizeof none, half), sizeof none);
    }
    assert_true(torn > 0);
    printf("torn: %d of %ld halves of pages noticed, the others not in use\n", torn,
           (long)(st.st_size / PAGE - 2) * 2);
    for (int cut = 100; cut < PAGE * 3; cut += PAGE) {
        assert_int_equal(ftruncate(data_fd, st.st_size - cut), 0);
        bool noticed = is_noticed(dir, whole, "a file shorter by", cut);
        IS(store_open(dir, &o, &s), noticed ? HOIST_ECORRUPT : HOIST_OK);
        store_close(noticed ? NULL : s);
        assert_int_equal(pwrite(data_fd, bytes, (size_t)st.st_size, 0), st.st_size);
    }
    close(data_fd);
    mem_free(bytes);
    kit_remove(dir);
    (void)state;
}

static void a_writer_that_checks_refuses_and_changes_nothing(void **state)
{
    char *dir = make();
    struct store_options o = {.write = true, .check = true};
    struct store *s = NULL;
    struct stat st, after;
    char *fresh = kit_dir();
    OK(store_open(fresh, &o, &s)); /* nothing is there yet: nothing is wrong */
    store_close(s);
    kit_remove(fresh);
    OK(store_open(dir, &o, &s));
    struct store_stats stats;
    store_stats(s, &stats);
    assert_true(stats.check_ms >= 0);
    store_close(s);
    data_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(data_fd, &st), 0);
    uint8_t *bytes = mem_alloc((size_t)st.st_size);
    assert_int_equal(pread(data_fd, bytes, (size_t)st.st_size, 0), st.st_size);
    for (off_t at = 0; at + 12 < st.st_size; at++) /* a host's row, wherever it was */
        if (memcmp(bytes + at, "12345678rest", 12) == 0)
            flip(at + 9, 3);
    assert_int_equal(fstat(data_fd, &st), 0);
    IS(store_open(dir, &o, &s), HOIST_ECORRUPT);
    assert_non_null(strstr(err_last(), "fleet: the row is not what was written"));
    assert_int_equal(fstat(data_fd, &after), 0);
    assert_int_equal(st.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    o.check = false;
    OK(store_open(dir, &o, &s));
    store_stats(s, &stats);
    assert_int_equal(stats.check_ms, -1);
    store_close(s);
    close(data_fd);
    mem_free(bytes);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_flipped_bit_is_noticed_or_changes_nothing),
        cmocka_unit_test(a_file_that_is_torn_at_its_end_is_noticed),
        cmocka_unit_test(a_writer_that_checks_refuses_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
