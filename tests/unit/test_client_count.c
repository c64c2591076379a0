/* Counting answers: programs on one side, the agent's gatherer on the other. */
#include "client_kit.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/client.h"
#include "usage/gather.h"
#include "usage/segment.h"

/* ------------------------------------------------------------------ what was gathered */

enum { ROWS = 64 };

struct row {
    char name[300]; /* "env key variant" */
    uint64_t n;
};

struct gathered {
    pthread_mutex_t lock;
    struct row rows[ROWS];
    int count;
};

static struct gathered got = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(void *arg, struct slice env, struct slice key, struct slice variant, uint64_t n)
{
    struct gathered *g = arg;
    char name[300];
    snprintf(name, sizeof name, "%.*s %.*s %.*s", SLICE_ARG(env), SLICE_ARG(key),
             SLICE_ARG(variant));
    pthread_mutex_lock(&g->lock);
    int i = 0;
    while (i < g->count && strcmp(g->rows[i].name, name) != 0)
        i++;
    assert_true(i < ROWS);
    if (i == g->count) {
        g->rows[i] = (struct row){0};
        memcpy(g->rows[i].name, name, sizeof name);
        g->count++;
    }
    g->rows[i].n += n;
    pthread_mutex_unlock(&g->lock);
}

static uint64_t counted(const char *name)
{
    uint64_t n = 0;
    pthread_mutex_lock(&got.lock);
    for (int i = 0; i < got.count; i++)
        if (strcmp(got.rows[i].name, name) == 0)
            n = got.rows[i].n;
    pthread_mutex_unlock(&got.lock);
    return n;
}

static struct gather *gather(struct store *s)
{
    struct gather *g;
    OK(gather_start(s, note, &got, &g));
    return g;
}

/* A store with its agent, and a program on it. */
struct site {
    char *dir;
    struct store *store;
    struct gather *gather;
    hoist *hoist;
};

static struct site begin(void)
{
    struct site s = {.dir = kit_dir()};
    got.count = 0;
    s.store = kit_store(s.dir);
    s.gather = gather(s.store);
    s.hoist = kit_hoist(s.dir);
    return s;
}

/* Take over what is left. */
static void settle(struct site *s)
{
    gather_stop(s->gather);
    s->gather = NULL;
}

static void end(struct site *s)
{
    settle(s);
    hoist_close(s->hoist);
    store_close(s->store);
    assert_int_not_equal(access(kit_path(s->dir, SEGMENT_SOCKET), F_OK), 0);
    kit_remove(s->dir);
}

/* ------------------------------------------------------------------ what is counted */

static void read_in_every_way(hoist *h)
{
    struct hoist_result r;
    char text[32];
    hoist_view *v;
    hoist_flag *bound = hoist_bind(h, "flag.bool");
    hoist_flag_bool(bound, NULL, false);
    hoist_bool(h, "flag.bool", NULL, false);
    hoist_flag_evaluate(bound, NULL, HOIST_BOOL, &r, NULL, 0);
    hoist_evaluate(h, "flag.bool", NULL, 0, &r, NULL, 0);
    hoist_int(h, "flag.int", NULL, 0);
    hoist_double(h, "flag.double", NULL, 0);
    hoist_string(h, "flag.text", NULL, "", text, sizeof text);
    hoist_flag_string(hoist_bind(h, "flag.text"), NULL, "", text, sizeof text);
    hoist_object(h, "flag.object", NULL, "", text, sizeof text);
    OK(hoist_view_begin(h, &v));
    hoist_view_bool(v, "flag.bool", NULL, false);
    hoist_view_evaluate(v, "flag.bool", NULL, 0, &r, NULL, 0);
    hoist_view_string_ref(v, "flag.text", NULL, "", NULL);
    hoist_view_object_ref(v, "flag.object", NULL, "", NULL);
    hoist_view_end(v);
}

static void each_answer_counts_once_however_it_is_asked_for(void **state)
{
    struct site s = begin();
    for (int i = 0; i < 10; i++)
        read_in_every_way(s.hoist);
    hoist *cold = kit_hoist_with(s.dir, HOIST_NO_CACHE);
    hoist *alone = kit_hoist_with(s.dir, HOIST_NO_THREAD);
    read_in_every_way(cold);
    read_in_every_way(alone);
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 12 * 6);
    assert_int_equal(counted("production flag.int a"), 12);
    assert_int_equal(counted("production flag.double a"), 12);
    assert_int_equal(counted("production flag.text value"), 12 * 3);
    assert_int_equal(counted("production flag.object a"), 12 * 2);
    assert_int_equal(got.count, 5);
    hoist_close(cold);
    hoist_close(alone);
    end(&s);
    (void)state;
}

static void what_a_rule_yields_is_counted_and_fallbacks_without_a_variant(void **state)
{
    struct site s = begin();
    struct kit_edits e = kit_edits();
    struct node on = {.kind = NODE_TRUE, .span = 1}, off = {.kind = NODE_FALSE, .span = 1};
    struct tree both[] = {{&on, 1}, {&off, 1}};
    kit_put_flag(&e, "ruled", HOIST_BOOL, both, 2, NO, NO, true, true);
    kit_put_flag(&e, "disabled", HOIST_BOOL, both, 2, 0, NO, false, false);
    kit_change(s.store, "production", &e);
    hoist_ctx *c = hoist_ctx_new();
    hoist_flag *ruled = hoist_bind(s.hoist, "ruled");
    for (int i = 0; i < 30; i++) {
        OK(hoist_ctx_set_string(c, "ring", i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "no such"));
        hoist_flag_bool(ruled, c, false);
        hoist_bool(s.hoist, "disabled", NULL, true);
        hoist_bool(s.hoist, "missing", NULL, true);
        hoist_explain(s.hoist, "flag.bool", NULL, NULL, 0);
    }
    settle(&s);
    assert_int_equal(counted("production ruled a"), 10);
    assert_int_equal(counted("production ruled b"), 10);
    assert_int_equal(counted("production ruled "), 10);
    assert_int_equal(counted("production disabled "), 30);
    assert_int_equal(got.count, 4);
    hoist_ctx_free(c);
    end(&s);
    (void)state;
}

static void a_change_is_counted_from_the_next_read_on(void **state)
{
    struct site s = begin();
    hoist_flag *f = hoist_bind(s.hoist, "flag.bool");
    for (int i = 0; i < 1000; i++) {
        if (i % 10 == 0)
            kit_set_bool(s.store, "production", "flag.bool", i % 20 == 0);
        hoist_flag_bool(f, NULL, false);
    }
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 500);
    assert_int_equal(counted("production flag.bool b"), 500);
    end(&s);
    (void)state;
}

static void flags_and_variants_that_are_gone_are_not_passed_on(void **state)
{
    struct site s = begin();
    hoist_bool(s.hoist, "flag.bool", NULL, false);
    hoist_int(s.hoist, "flag.int", NULL, 0);
    hoist_string(s.hoist, "flag.text", NULL, "", NULL, 0);
    struct kit_edits e = kit_edits();
    kit_delete(&e, "flag.bool");
    kit_put_bool(&e, "flag.text", true); /* it has no variant "value" any more */
    kit_change(s.store, "production", &e);
    settle(&s);
    assert_int_equal(got.count, 1);
    assert_int_equal(counted("production flag.int a"), 1);
    end(&s);
    (void)state;
}

/* ------------------------------------------------------------------ threads */

enum { THREADS = 8, READS = 200000 };

static void *read_often(void *arg)
{
    hoist_flag *f = arg;
    for (int i = 0; i < READS; i++)
        hoist_flag_bool(f, NULL, false);
    return NULL;
}

static void threads_do_not_lose_each_others_counts(void **state)
{
    struct site s = begin();
    hoist_flag *f = hoist_bind(s.hoist, "flag.bool");
    for (int round = 0; round < 3; round++) { /* the later ones go on in the blocks of the first */
        pthread_t ids[THREADS];
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&ids[i], NULL, read_often, f), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(ids[i], NULL);
    }
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 3 * THREADS * READS);
    end(&s);
    (void)state;
}

/* ------------------------------------------------------------------ processes */

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void read_three(struct site *s)
{
    hoist *h;
    if (hoist_open(&h, s->dir, "production"))
        _exit(1);
    for (int i = 0; i < 3; i++)
        hoist_bool(h, "flag.bool", NULL, false);
}

static void many_short_lived_programs_are_counted_and_leave_nothing(void **state)
{
    enum { PROGRAMS = 500 };
    struct site s = begin();
    hoist_bool(s.hoist, "flag.int", NULL, false);
    WAIT_UNTIL(counted("production flag.int a") == 1, 10000); /* this process is known */
    int before = open_files();
    for (int i = 0; i < PROGRAMS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            read_three(&s);
            if (i % 2)
                raise(SIGKILL);
            _exit(0); /* without closing anything */
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(i % 2 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    WAIT_UNTIL(counted("production flag.bool a") == 3 * PROGRAMS, 10000);
    WAIT_UNTIL(open_files() == before, 5000);
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 3 * PROGRAMS);
    end(&s);
    (void)state;
}

static void a_program_killed_while_it_counts_loses_nothing(void **state)
{
    struct site s = begin();
    _Atomic uint64_t *done =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t all = 0, maybe = 0;
    for (int i = 0; i < 20; i++) {
        atomic_store(done, 0);
        pid_t pid = fork();
        if (pid == 0) {
            hoist_flag *f = hoist_bind(s.hoist, "flag.bool");
            for (;;) {
                hoist_flag_bool(f, NULL, false);
                atomic_fetch_add(done, 1);
            }
        }
        WAIT_UNTIL(atomic_load(done) > 1000, 10000);
        kit_sleep(i);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        all += atomic_load(done);
        maybe++; /* between the read and the addition to `done` */
    }
    settle(&s);
    uint64_t n = counted("production flag.bool a");
    assert_true(n >= all && n <= all + maybe);
    munmap((void *)done, 4096);
    end(&s);
    (void)state;
}

static int read_as_child(void *arg)
{
    hoist_flag *f = arg;
    for (int i = 0; i < 100; i++)
        hoist_flag_bool(f, NULL, false);
    return 0;
}

static void parent_and_child_each_count_their_own(void **state)
{
    struct site s = begin();
    hoist_flag *f = hoist_bind(s.hoist, "flag.bool");
    for (int i = 0; i < 10; i++) {
        hoist_flag_bool(f, NULL, false);
        assert_int_equal(kit_in_child(read_as_child, f), 0);
    }
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 10 + 10 * 100);
    end(&s);
    (void)state;
}

/* ------------------------------------------------------------------ agents */

static void an_agent_that_comes_back_takes_what_was_counted_meanwhile(void **state)
{
    struct site s = begin();
    for (int i = 0; i < 3; i++) {
        hoist_bool(s.hoist, "flag.bool", NULL, false);
        settle(&s);
        hoist_bool(s.hoist, "flag.bool", NULL, false);
        s.gather = gather(s.store);
        WAIT_UNTIL(counted("production flag.bool a") == 2u * ((unsigned)i + 1), 5000);
    }
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 6);
    end(&s);
    (void)state;
}

static void a_process_that_reads_two_stores_is_counted_by_each_for_itself(void **state)
{
    struct site s = begin();
    char *dir = kit_dir();
    struct store *store = kit_store(dir);
    struct gather *g;
    static struct gathered other = {.lock = PTHREAD_MUTEX_INITIALIZER};
    OK(gather_start(store, note, &other, &g));
    hoist *h = kit_hoist(dir);
    for (int i = 0; i < 5; i++)
        hoist_bool(h, "flag.bool", NULL, false);
    hoist_bool(s.hoist, "flag.bool", NULL, false);
    gather_stop(g);
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 1);
    assert_int_equal(other.count, 1);
    assert_int_equal(other.rows[0].n, 5);
    hoist_close(h);
    store_close(store);
    kit_remove(dir);
    end(&s);
    (void)state;
}

static void a_directory_with_a_long_name_is_found(void **state)
{
    char *top = kit_dir(), dir[256];
    snprintf(dir, sizeof dir, "%s/%0150d", top, 1);
    got.count = 0;
    struct store *store = kit_store(dir);
    struct gather *g = gather(store);
    hoist *h = kit_hoist(dir);
    hoist_bool(h, "flag.bool", NULL, false);
    gather_stop(g);
    assert_int_equal(counted("production flag.bool a"), 1);
    hoist_close(h);
    store_close(store);
    kit_remove(dir);
    rmdir(top);
    (void)state;
}

/* ------------------------------------------------------------------ programs that do as they like */

static int close_all_and_read(void *arg)
{
    struct site *s = arg;
    char path[300], bytes[64], now[64];
    bool ours[256] = {false};
    snprintf(path, sizeof path, "%s/file", s->dir);
    hoist_flag *f = hoist_bind(s->hoist, "flag.bool");
    hoist_flag_bool(f, NULL, false);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    memset(bytes, 'x', sizeof bytes);
    /* Under all numbers that libhoist may remember; it may just have opened one anew. */
    for (int fd = 0; fd < 63;) {
        fd = open(path, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || fd >= 256)
            return 1;
        if (pwrite(fd, bytes, sizeof bytes, 0) != sizeof bytes)
            return 2;
        ours[fd] = true;
    }
    kit_sleep(1200); /* libhoist's thread looks after its connection */
    pthread_t id;
    if (pthread_create(&id, NULL, read_often, f) != 0)
        return 3;
    pthread_join(id, NULL);
    hoist_string(s->hoist, "flag.text", NULL, "", NULL, 0);
    struct stat st;
    for (int fd = 3; fd < 256; fd++)
        if (ours[fd] &&
            (fstat(fd, &st) != 0 || st.st_size != sizeof bytes ||
             pread(fd, now, sizeof now, 0) != sizeof now || memcmp(now, bytes, sizeof now) != 0))
            return 4;
    return 0;
}

static void descriptors_that_the_program_closed_are_left_alone(void **state)
{
    struct site s = begin();
    assert_int_equal(kit_in_child(close_all_and_read, &s), 0);
    unlink(kit_path(s.dir, "file"));
    end(&s);
    (void)state;
}

static int read_with_short_files(void *arg)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    return read_as_child(arg);
}

static void a_program_that_may_not_write_long_files_reads_on_uncounted(void **state)
{
    struct site s = begin();
    hoist_flag *f = hoist_bind(s.hoist, "flag.bool");
    assert_int_equal(kit_in_child(read_with_short_files, f), 0);
    settle(&s);
    assert_int_equal(got.count, 0);
    end(&s);
    (void)state;
}

static int read_uncounted(void *arg)
{
    struct site *s = arg;
    setenv("HOIST_NO_COUNT", "1", 1);
    read_three(s);
    return read_as_child(hoist_bind(s->hoist, "flag.bool"));
}

static void a_program_can_ask_not_to_be_counted(void **state)
{
    struct site s = begin();
    assert_int_equal(kit_in_child(read_uncounted, &s), 0);
    hoist_bool(s.hoist, "flag.bool", NULL, false);
    settle(&s);
    assert_int_equal(counted("production flag.bool a"), 1);
    end(&s);
    (void)state;
}

/* ------------------------------------------------------------------ programs that mean ill */

static int connect_to(const struct site *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/" SEGMENT_SOCKET, s->dir);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void hand(int to, int fd)
{
    char byte = SEGMENT_FORMAT, room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec bytes = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    assert_int_equal(sendmsg(to, &m, 0), 1);
}

static int forged(uint32_t slots, uint32_t blocks, const void *names, size_t len, uint64_t size)
{
    struct segment_head head = {.format = SEGMENT_FORMAT, .slots = slots, .blocks = blocks};
    int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    memcpy(head.magic, SEGMENT_MAGIC, sizeof head.magic);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
    if (len)
        assert_int_equal(pwrite(fd, names, len, SEGMENT_NAMES), (ssize_t)len);
    return fd;
}

static bool is_left(int link)
{
    struct pollfd p = {.fd = link, .events = POLLIN};
    return poll(&p, 1, 5000) == 1 && p.revents & POLLHUP;
}

static void left_with(const struct site *s, int fd)
{
    int link = connect_to(s);
    hand(link, fd);
    assert_true(is_left(link));
    close(link);
    close(fd);
}

static void what_is_no_segment_is_left(void **state)
{
    struct site s = begin();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    left_with(&s, ends[0]); /* reading it would never end */
    close(ends[1]);
    left_with(&s, open("/dev/zero", O_RDONLY));
    left_with(&s, open(kit_path(s.dir, "current/data.mdb"), O_RDONLY));
    left_with(&s, memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    left_with(&s, forged(UINT32_MAX, 0, NULL, 0, SEGMENT_SIZE));
    left_with(&s, forged(1, 0, NULL, 0, SEGMENT_SIZE));
    left_with(&s, forged(3, UINT32_MAX, NULL, 0, SEGMENT_SIZE));
    left_with(&s, forged(3, 1, NULL, 0, 4096)); /* shorter than what it says */
    int silent = connect_to(&s);
    assert_int_equal(send(silent, "x", 1, 0), 1); /* without a descriptor */
    assert_true(is_left(silent));
    close(silent);
    hoist_bool(s.hoist, "flag.bool", NULL, false);
    settle(&s);
    assert_int_equal(got.count, 1);
    assert_int_equal(counted("production flag.bool a"), 1);
    end(&s);
    (void)state;
}

static size_t add_name(uint8_t *to, const struct store *s, const char *env, const char *key,
                       const char *variant)
{
    struct segment_name n = {.env_len = (uint8_t)strlen(env),
                             .key_len = (uint8_t)strlen(key),
                             .variant_len = (uint8_t)strlen(variant)};
    store_id(s, n.store);
    memcpy(to, &n, sizeof n);
    size_t room = (size_t)n.env_len + n.key_len + n.variant_len + 1;
    return sizeof n + (size_t)snprintf((char *)to + sizeof n, room, "%s%s%s", env, key, variant);
}

static void made_up_names_reach_nobody(void **state)
{
    struct site s = begin();
    uint8_t names[2048];
    char longest[256];
    size_t len = 0;
    memset(longest, 'e', sizeof longest - 1);
    longest[255] = '\0';
    len += add_name(names + len, s.store, "production", "flag.bool", "b");
    len += add_name(names + len, s.store, "production", "flag.bool", "made up");
    len += add_name(names + len, s.store, "production", "made.up", "a");
    len += add_name(names + len, s.store, "nowhere", "flag.bool", "a");
    len += add_name(names + len, s.store, "", "", "");
    len += add_name(names + len, s.store, longest, longest, longest);
    int fd = forged(SEGMENT_FIRST + 6, 1, names, len, SEGMENT_SIZE);
    uint64_t counts[6] = {3, 3, 3, 3, 3, UINT64_MAX};
    off_t at = SEGMENT_BLOCKS + SEGMENT_FIRST * 8;
    assert_int_equal(pwrite(fd, counts, sizeof counts, at), sizeof counts);
    int link = connect_to(&s);
    hand(link, fd);
    WAIT_UNTIL(counted("production flag.bool b") == 3, 5000);
    counts[0] = 2; /* a count that falls gives nothing, and takes nothing away */
    assert_int_equal(pwrite(fd, counts, sizeof counts, at), sizeof counts);
    kit_sleep(1500);
    counts[0] = 4;
    assert_int_equal(pwrite(fd, counts, sizeof counts, at), sizeof counts);
    settle(&s);
    assert_int_equal(got.count, 1);
    assert_int_equal(counted("production flag.bool b"), 5);
    close(link);
    close(fd);
    end(&s);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_counts_once_however_it_is_asked_for),
        cmocka_unit_test(what_a_rule_yields_is_counted_and_fallbacks_without_a_variant),
        cmocka_unit_test(a_change_is_counted_from_the_next_read_on),
        cmocka_unit_test(flags_and_variants_that_are_gone_are_not_passed_on),
        cmocka_unit_test(threads_do_not_lose_each_others_counts),
        cmocka_unit_test(many_short_lived_programs_are_counted_and_leave_nothing),
        cmocka_unit_test(a_program_killed_while_it_counts_loses_nothing),
        cmocka_unit_test(parent_and_child_each_count_their_own),
        cmocka_unit_test(an_agent_that_comes_back_takes_what_was_counted_meanwhile),
        cmocka_unit_test(a_process_that_reads_two_stores_is_counted_by_each_for_itself),
        cmocka_unit_test(a_directory_with_a_long_name_is_found),
        cmocka_unit_test(descriptors_that_the_program_closed_are_left_alone),
        cmocka_unit_test(a_program_that_may_not_write_long_files_reads_on_uncounted),
        cmocka_unit_test(a_program_can_ask_not_to_be_counted),
        cmocka_unit_test(what_is_no_segment_is_left),
        cmocka_unit_test(made_up_names_reach_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
