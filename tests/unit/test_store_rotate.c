/* The move to a new file, and what a start makes of one that failed. */
#include "store_kit.h"

#include <sys/syscall.h>

#include "store/write_int.h"

static const char *unsynced = ""; /* the directory whose sync fails */

/* In the place of libc's. */
int fsync(int fd)
{
    struct stat st, bad;
    if (stat(unsynced, &bad) == 0 && fstat(fd, &st) == 0 && st.st_ino == bad.st_ino) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static _Atomic time_t ahead_s; /* what clock_mono_ms() is ahead */

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_BOOTTIME)
        ret->tv_sec += ahead_s;
    return rc;
}

static const struct store_options plain = {.write = true}, checked = {.write = true, .check = true};

static bool has(const char *dir, const char *name)
{
    return access(kit_path(dir, name), F_OK) == 0;
}

static void copy(const char *from, const char *to)
{
    char bytes[1 << 16];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_true(in && out);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void lead_to(const char *dir, const char *number)
{
    unlink(kit_path(dir, "current"));
    assert_int_equal(symlink(number, kit_path(dir, "current")), 0);
}

/* The link is moved, and whether it stays so is not known: until it is, both files are kept. */
static void a_move_that_is_not_synced_loses_nothing(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir), *reader;
    kit_set(s, "production", "a", "1");
    unsynced = dir;
    IS(rotate(s), HOIST_EUNKNOWN);
    assert_true(has(dir, "1/data.mdb") && has(dir, "current/data.mdb"));
    reader = kit_open_reader(dir);
    assert_string_equal(kit_get(reader, "production", "a"), "1");
    store_close(reader);
    struct kit_edits e = kit_edits();
    kit_put(&e, "a", "2");
    IS(kit_try_change(s, "production", &e), HOIST_EUNKNOWN); /* it could be taken back */
    store_close(s);
    IS(store_open(dir, &plain, &s), HOIST_EIO);
    assert_true(has(dir, "1/data.mdb") && has(dir, "2/data.mdb"));
    unsynced = "";
    s = kit_open(dir);
    assert_string_equal(kit_get(s, "production", "a"), "1");
    assert_true(!has(dir, "1") && has(dir, "2/data.mdb"));
    kit_set(s, "production", "a", "2");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_start_that_finds_no_whole_store_removes_no_other(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    kit_set(s, "production", "a", "1");
    store_close(s);
    lead_to(dir, "2");
    IS(store_open(dir, &plain, &s), HOIST_ECORRUPT);
    assert_true(has(dir, "1/data.mdb"));
    assert_int_equal(mkdir(kit_path(dir, "2"), 0750), 0);
    copy(kit_path(dir, "1/data.mdb"), kit_path(dir, "2/data.mdb"));
    assert_int_equal(truncate(kit_path(dir, "2/data.mdb"), 4096), 0);
    IS(store_open(dir, &plain, &s), HOIST_ECORRUPT);
    IS(store_open(dir, &checked, &s), HOIST_ECORRUPT);
    assert_true(has(dir, "1/data.mdb"));
    lead_to(dir, "1");
    s = kit_open(dir);
    assert_string_equal(kit_get(s, "production", "a"), "1");
    assert_false(has(dir, "2"));
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_backup_that_was_taken_in_and_not_synced_stays(void **state)
{
    char *dir = kit_dir(), *other = kit_dir();
    const struct store_options for_primary = {.write = true, .primary = true};
    struct store *s = kit_open(dir), *half;
    struct store_read *r;
    struct store_backup_info info;
    FILE *backup = tmpfile();
    assert_non_null(backup);
    kit_set(s, "production", "a", "1");
    OK(store_read_begin(s, false, &r));
    OK(store_backup_write(r, fileno(backup), &info));
    store_read_end(r);
    store_close(s);
    OK(store_recover_begin(other, &for_primary, fileno(backup), &half, &info));
    unsynced = other;
    IS(store_recover_finish(half), HOIST_EUNKNOWN);
    unsynced = "";
    store_recover_abort(half);
    s = kit_open_with(other, for_primary);
    assert_string_equal(kit_get(s, "production", "a"), "1");
    store_close(s);
    fclose(backup);
    kit_remove(dir);
    kit_remove(other);
    (void)state;
}

/* ------------------------------------------------------------------ without room */

/* A store whose file has grown under a reader that never ends. */
static struct store *make_grown(const char *dir, struct store **ret_reader, struct store_read **ret)
{
    static char big[20000];
    struct store *s = kit_open(dir);
    struct store_stats stats = {0};
    store_set_rotate_limit(s, 1 << 20);
    memset(big, 'x', sizeof big - 1);
    kit_set(s, "production", "big", big);
    *ret_reader = kit_open_reader(dir);
    OK(store_read_begin(*ret_reader, true, ret));
    for (char c = 'a'; c <= 'z'; c++)
        for (int i = 0; i < 10; i++) {
            big[i] = c;
            kit_set(s, "production", "big", big);
        }
    for (int i = 0; stats.stuck_count == 0 && i < 300; i++) {
        kit_sleep(100);
        store_stats(s, &stats);
    }
    assert_int_equal(stats.stuck_count, 1);
    assert_true(stats.file_bytes > 2 * stats.used_bytes);
    return s;
}

/* How many warnings are logged in `times` ticks that have `word`. */
static int warnings(struct store *s, int times, const char *word)
{
    char line[2048];
    int count = 0;
    bool more;
    FILE *f = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_true(f && dup2(fileno(f), STDERR_FILENO) >= 0);
    for (int i = 0; i < times; i++)
        IS(store_tick(s, clock_wall_ms(), &more), HOIST_OK);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(f);
    while (fgets(line, sizeof line, f))
        count += strstr(line, "level=warn") && strstr(line, word);
    fclose(f);
    return count;
}

static uint64_t rotations(struct store *s)
{
    struct store_stats stats;
    store_stats(s, &stats);
    return stats.rotations;
}

static void a_rotation_that_fails_is_put_off_and_says_what_mends_it(void **state)
{
    static const int pauses_s[] = {60, 120, 240, 480, 960, 1920, 3600, 3600};
    char *dir = kit_dir();
    struct store *reader;
    struct store_read *r;
    struct store *s = make_grown(dir, &reader, &r);
    int fd = open(kit_path(dir, "2"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* in the way */
    close(fd);
    assert_int_equal(warnings(s, 20, "flagctl status --store"), 1);
    for (size_t i = 0; i < sizeof pauses_s / sizeof *pauses_s; i++) {
        ahead_s += pauses_s[i] - 10;
        assert_int_equal(warnings(s, 20, "store"), 0);
        ahead_s += 11;
        assert_int_equal(warnings(s, 20, "flagctl status --store"), 1);
    }
    unlink(kit_path(dir, "2"));
    assert_int_equal(warnings(s, 20, "store"), 0);
    assert_int_equal(rotations(s), 0);
    ahead_s += 3601;
    assert_int_equal(warnings(s, 1, "in a new file"), 1);
    assert_int_equal(rotations(s), 1);
    assert_int_equal(kit_env(s, "production").head, 261);
    store_read_end(r);
    store_close(reader);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_that_is_not_synced_loses_nothing),
        cmocka_unit_test(a_start_that_finds_no_whole_store_removes_no_other),
        cmocka_unit_test(a_backup_that_was_taken_in_and_not_synced_stays),
        cmocka_unit_test(a_rotation_that_fails_is_put_off_and_says_what_mends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
