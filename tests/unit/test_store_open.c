#include "store_kit.h"

#include <limits.h>
#include <linux/magic.h>

#include "store/files.h"

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void spoil(const char *path, off_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    close(fd);
}

static void a_reader_finds_no_store_where_none_is_finished(void **state)
{
    char *dir = kit_dir();
    struct store *s;
    IS(store_open_reader(dir, 0, &s), HOIST_ENOTFOUND);
    IS(store_open_reader("/nowhere/at/all", 0, &s), HOIST_ENOTFOUND);
    /* What a crash leaves before the link is made. */
    assert_int_equal(mkdir(kit_path(dir, "1"), 0700), 0);
    int fd = open(kit_path(dir, "hoistd.lock"), O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    close(fd);
    spoil(kit_path(dir, "hoistd.lock"), 0, "77\n", 3);
    fd = open(kit_path(dir, "1/data.mdb"), O_CREAT | O_RDWR, 0600);
    close(fd);
    IS(store_open_reader(dir, 0, &s), HOIST_ENOTFOUND);
    s = kit_open(dir); /* the next start makes it anew */
    kit_set(s, "production", "a", "1");
    store_close(s);
    s = kit_open_reader(dir);
    assert_string_equal(kit_get(s, "production", "a"), "1");
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void modes_are_for_the_user_and_the_group_whatever_the_umask(void **state)
{
    for (int i = 0; i < 2; i++) {
        mode_t before = umask(i ? 0 : 077);
        char *dir = kit_dir();
        struct store *s = kit_open(dir);
        assert_int_equal(mode_of(dir), 0750);
        assert_int_equal(mode_of(kit_path(dir, "1")), 0750);
        assert_int_equal(mode_of(kit_path(dir, "1/data.mdb")), 0640);
        assert_int_equal(mode_of(kit_path(dir, "1/lock.mdb")), 0660);
        assert_int_equal(mode_of(kit_path(dir, "1/counters")), 0640);
        assert_int_equal(mode_of(kit_path(dir, "hoistd.lock")), 0640);
        store_close(s);
        kit_remove(dir);
        dir = kit_dir();
        s = kit_open_with(dir, (struct store_options){.primary = true});
        assert_int_equal(mode_of(dir), 0700);
        assert_int_equal(mode_of(kit_path(dir, "1")), 0700);
        store_close(s);
        kit_remove(dir);
        umask(before);
    }
    (void)state;
}

static void what_readers_map_is_allocated_in_full(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    static const char *const files[] = {"1/lock.mdb", "1/counters"};
    for (int i = 0; i < 2; i++) {
        struct stat st;
        assert_int_equal(stat(kit_path(dir, files[i]), &st), 0);
        assert_true(st.st_blocks * 512 >= st.st_size);
    }
    struct store_stats stats;
    store_stats(s, &stats);
    assert_true(stats.readers_max >= STORE_READERS);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

static void a_second_writer_is_refused_and_told_who_the_first_is(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir), *second;
    const struct store_options o = {.write = true};
    IS(store_open(dir, &o, &second), HOIST_EBUSY);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(err_last(), pid));
    pid_t who = 0;
    assert_true(store_is_written(dir, &who));
    assert_int_equal(who, getpid());
    store_close(s);
    assert_false(store_is_written(dir, &who));
    store_close(kit_open(dir));
    kit_remove(dir);
    (void)state;
}

static void a_child_does_not_keep_the_lock_of_its_parent(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    int gate[2], born[2];
    char byte;
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(pipe(born), 0);
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        if (write(born[1], "b", 1) != 1)
            _exit(1);
        _exit(read(gate[0], &byte, 1) < 0); /* lives until the parent is done */
    }
    assert_int_equal(read(born[0], &byte, 1), 1); /* it has run, and given up what it inherited */
    store_close(s);
    assert_false(store_is_written(dir, NULL));
    store_close(kit_open(dir));
    close(gate[0]);
    close(gate[1]);
    close(born[0]);
    close(born[1]);
    waitpid(child, NULL, 0);
    kit_remove(dir);
    (void)state;
}

static void a_directory_that_holds_other_files_is_left_alone(void **state)
{
    char *dir = kit_dir();
    chmod(dir, 0755);
    int fd = open(kit_path(dir, "letter.txt"), O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    close(fd);
    struct store *s;
    const struct store_options o = {.write = true};
    IS(store_open(dir, &o, &s), HOIST_EINVAL);
    assert_int_equal(mode_of(dir), 0755);
    IS(store_open(kit_path(dir, "letter.txt"), &o, &s), HOIST_EINVAL);
    unlink(kit_path(dir, "letter.txt"));
    kit_remove(dir);
    (void)state;
}

static void parents_of_the_directory_are_made(void **state)
{
    char *dir = kit_dir(), deep[PATH_MAX];
    snprintf(deep, sizeof deep, "%s/a/b", dir);
    store_close(kit_open(deep));
    kit_remove(deep);
    rmdir(kit_path(dir, "a"));
    kit_remove(dir);
    (void)state;
}

static void network_filesystems_are_refused_by_name(void **state)
{
    static const struct {
        long type;
        const char *name;
    } cases[] = {
        {NFS_SUPER_MAGIC, "NFS"}, {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"}, {V9FS_MAGIC, "9p"}};
    char *dir = kit_dir();
    store_close(kit_open(dir));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *s;
        files_set_fs_type(cases[i].type);
        IS(store_open(dir, &(struct store_options){.write = true}, &s), HOIST_EINVAL);
        assert_non_null(strstr(err_last(), cases[i].name));
        IS(store_open_reader(dir, 0, &s), HOIST_EINVAL);
    }
    files_set_fs_type(0);
    kit_remove(dir);
    (void)state;
}

static void a_file_that_is_no_store_is_refused_and_left_as_it_is(void **state)
{
    char *dir = kit_dir();
    store_close(kit_open(dir));
    char junk[16384];
    memset(junk, 'x', sizeof junk);
    spoil(kit_path(dir, "1/data.mdb"), 0, junk, sizeof junk);
    struct store *s;
    IS(store_open(dir, &(struct store_options){.write = true}, &s), HOIST_ECORRUPT);
    IS(store_open_reader(dir, 0, &s), HOIST_ECORRUPT);
    int fd = open(kit_path(dir, "1/data.mdb"), O_RDONLY);
    char back[16384];
    assert_int_equal(read(fd, back, sizeof back), sizeof back);
    assert_memory_equal(back, junk, sizeof junk);
    close(fd);
    kit_remove(dir);
    (void)state;
}

static void a_file_that_was_cut_short_is_refused(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct kit_edits e = kit_edits();
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        kit_put(&e, key, "some text to fill pages");
    }
    kit_change(s, "production", &e);
    store_close(s);
    static const off_t sizes[] = {0, 100, 4096, 8192, 200000};
    for (size_t i = sizeof sizes / sizeof *sizes; i-- > 0;) {
        assert_int_equal(truncate(kit_path(dir, "1/data.mdb"), sizes[i]), 0);
        IS(store_open_reader(dir, 0, &s), HOIST_ECORRUPT);
        IS(store_open(dir, &(struct store_options){.write = true}, &s), HOIST_ECORRUPT);
    }
    kit_remove(dir);
    (void)state;
}

static void a_store_that_lost_its_link_is_refused_and_left_as_it_is(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open(dir);
    struct store_options write = {.write = true};
    (void)state;
    kit_set(s, "production", "a", "here");
    store_close(s);
    assert_int_equal(unlink(kit_path(dir, "current")), 0);
    IS(store_open(dir, &write, &s), HOIST_ECORRUPT);
    assert_non_null(strstr(err_last(), "ln -s 1 "));
    assert_int_equal(symlink("1", kit_path(dir, "current")), 0);
    s = kit_open(dir);
    assert_string_equal(kit_get(s, "production", "a"), "here");
    store_close(s);
    kit_remove(dir);
}

static void a_link_that_leads_nowhere_is_refused(void **state)
{
    char *dir = kit_dir();
    struct store *s;
    store_close(kit_open(dir));
    unlink(kit_path(dir, "current"));
    assert_int_equal(symlink("9", kit_path(dir, "current")), 0);
    IS(store_open_reader(dir, 0, &s), HOIST_ENOTFOUND);
    unlink(kit_path(dir, "current"));
    assert_int_equal(symlink("elsewhere", kit_path(dir, "current")), 0);
    IS(store_open_reader(dir, 0, &s), HOIST_ECORRUPT);
    IS(store_open(dir, &(struct store_options){.write = true}, &s), HOIST_ECORRUPT);
    kit_remove(dir);
    (void)state;
}

static void a_reader_goes_without_counters_that_are_missing_or_wrong(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s;
    kit_set(w, "production", "a", "1");
    store_close(w);
    spoil(kit_path(dir, "1/counters"), 0, "garbage!", 8);
    s = kit_open_reader(dir);
    assert_null(store_words(s));
    assert_null(store_envs_word(s));
    assert_string_equal(kit_get(s, "production", "a"), "1");
    struct buf out = BUF_INIT(1000);
    IS(store_status_get(s, &out), HOIST_ENOTFOUND);
    store_close(s);
    unlink(kit_path(dir, "1/counters"));
    s = kit_open_reader(dir);
    assert_null(store_words(s));
    assert_string_equal(kit_get(s, "production", "a"), "1");
    /* A writer goes on in a new directory, and readers are told to follow. */
    w = kit_open(dir);
    assert_non_null(store_words(w));
    assert_true(store_is_replaced(s));
    kit_set(w, "production", "a", "2");
    store_close(s);
    s = kit_open_reader(dir);
    assert_non_null(store_words(s));
    assert_string_equal(kit_get(s, "production", "a"), "2");
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void less_address_space_is_taken_where_there_is_less(void **state)
{
    char *dir = kit_dir();
    struct store *s = kit_open_with(dir, (struct store_options){.map_bytes = 64 << 20});
    struct store_stats stats;
    store_stats(s, &stats);
    assert_int_equal(stats.map_bytes, 64 << 20);
    store_close(s);
    kit_remove(dir);
    (void)state;
}

/* Every allocation of open fails in its turn. */
static void open_survives_every_failing_allocation(void **state)
{
    char *dir = kit_dir();
    for (int n = 1;; n++) {
        struct store *s = NULL;
        mem_fail_at(n);
        enum hoist_err err = store_open(dir, &(struct store_options){.write = true}, &s);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed) {
            OK(err);
            store_close(s);
            break;
        }
        IS(err, HOIST_ENOMEM);
    }
    for (int n = 1;; n++) {
        struct store *s = NULL;
        mem_fail_at(n);
        enum hoist_err err = store_open_reader(dir, 0, &s);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        if (!failed) {
            OK(err);
            store_close(s);
            break;
        }
        IS(err, HOIST_ENOMEM);
    }
    kit_remove(dir);
    (void)state;
}

static void the_status_text_is_whole_and_bounded(void **state)
{
    char *dir = kit_dir();
    struct store *w = kit_open(dir), *s = kit_open_reader(dir);
    struct buf out = BUF_INIT(1 << 20);
    IS(store_status_get(s, &out), HOIST_ENOTFOUND);
    OK(store_status_put(w, SLICE("{\"ready\":true}")));
    OK(store_status_get(s, &out));
    assert_string_equal(buf_str(&out), "{\"ready\":true}");
    static uint8_t much[13 << 10];
    IS(store_status_put(w, slice_of(much, sizeof much)), HOIST_ELIMIT);
    buf_clear(&out);
    OK(store_status_get(s, &out));
    assert_string_equal(buf_str(&out), "{\"ready\":true}");
    buf_done(&out);
    store_close(s);
    store_close(w);
    kit_remove(dir);
    (void)state;
}

static void a_later_format_is_refused_naming_both(void **state)
{
    char *dir = kit_dir();
    store_close(kit_open(dir));
    /* The row stands in the file as its key with the number behind it, in every page that holds
     * it. */
    int fd = open(kit_path(dir, "1/data.mdb"), O_RDWR);
    static char bytes[1 << 20];
    ssize_t len = read(fd, bytes, sizeof bytes);
    int found = 0;
    for (ssize_t i = 0; i + 10 < len; i++)
        if (memcmp(bytes + i, "format\0\0\0\1", 10) == 0) {
            bytes[i + 9] = 9;
            found++;
        }
    assert_true(found > 0);
    assert_int_equal(pwrite(fd, bytes, (size_t)len, 0), len);
    close(fd);
    struct store *s;
    IS(store_open_reader(dir, 0, &s), HOIST_EVERSION);
    assert_non_null(strstr(err_last(), "format 9"));
    assert_non_null(strstr(err_last(), "format 1"));
    IS(store_open(dir, &(struct store_options){.write = true}, &s), HOIST_EVERSION);
    kit_remove(dir);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_finds_no_store_where_none_is_finished),
        cmocka_unit_test(modes_are_for_the_user_and_the_group_whatever_the_umask),
        cmocka_unit_test(what_readers_map_is_allocated_in_full),
        cmocka_unit_test(a_second_writer_is_refused_and_told_who_the_first_is),
        cmocka_unit_test(a_child_does_not_keep_the_lock_of_its_parent),
        cmocka_unit_test(a_directory_that_holds_other_files_is_left_alone),
        cmocka_unit_test(parents_of_the_directory_are_made),
        cmocka_unit_test(network_filesystems_are_refused_by_name),
        cmocka_unit_test(a_file_that_is_no_store_is_refused_and_left_as_it_is),
        cmocka_unit_test(a_file_that_was_cut_short_is_refused),
        cmocka_unit_test(a_link_that_leads_nowhere_is_refused),
        cmocka_unit_test(a_store_that_lost_its_link_is_refused_and_left_as_it_is),
        cmocka_unit_test(a_reader_goes_without_counters_that_are_missing_or_wrong),
        cmocka_unit_test(less_address_space_is_taken_where_there_is_less),
        cmocka_unit_test(open_survives_every_failing_allocation),
        cmocka_unit_test(the_status_text_is_whole_and_bounded),
        cmocka_unit_test(a_later_format_is_refused_naming_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
