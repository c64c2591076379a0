#include "usage/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "usage/segment.h"
#include "wire/record.h"

enum { PIECE = 4096 / 8 };

struct name { /* of a slot, in the process's names */
    uint32_t at;
    bool ours; /* a flag of this store */
};

/* A program that counts. */
struct process {
    int link, segment;
    uint32_t slots; /* as many as are known here, with the two that have no names */
    struct name *slot;
    uint64_t *taken, *sum; /* of each slot: what was passed on, and what there is */
    uint8_t *names;
    size_t names_len, names_cap;
};

struct gather {
    struct store *store;
    gather_add add;
    void *arg;
    pthread_t thread;
    int dir, listener, stop;
    uint8_t store_id[SEGMENT_STORE_ID];
    struct process *processes[GATHER_PROCESSES];
    struct pollfd fds[2 + GATHER_PROCESSES]; /* the listener's, stop's, and the processes' */
    uint32_t count;
    uint32_t slots; /* of all */
    bool full;      /* said so */
};

/* ------------------------------------------------------------------ names */

static bool read_at(int fd, void *to, size_t len, off_t at)
{
    return len == 0 || pread(fd, to, len, at) == (ssize_t)len;
}

static struct segment_name name_of(const struct process *p, uint32_t slot, const uint8_t **ret_text)
{
    struct segment_name n;
    memcpy(&n, p->names + p->slot[slot].at, sizeof n);
    *ret_text = p->names + p->slot[slot].at + sizeof n;
    return n;
}

static bool make_room(struct process *p, uint32_t slots)
{
    struct name *slot = mem_realloc(p->slot, slots * sizeof *slot);
    if (slot)
        p->slot = slot;
    uint64_t *taken = mem_realloc(p->taken, slots * sizeof *taken);
    if (taken)
        p->taken = taken;
    uint64_t *sum = mem_realloc(p->sum, slots * sizeof *sum);
    if (sum)
        p->sum = sum;
    return slot && taken && sum;
}

/* It doubles: a segment may have 128 Ki names, and an allocator may copy each time. */
static bool make_names_room(struct process *p, size_t len)
{
    size_t cap = p->names_cap * 2 > len ? p->names_cap * 2 : len;
    if (len <= p->names_cap)
        return true;
    uint8_t *names = mem_realloc(p->names, cap);
    if (!names)
        return false;
    p->names = names;
    p->names_cap = cap;
    return true;
}

/* One more name, which begins at `at`. Its length; 0: it cannot be read. */
static size_t learn_name(struct gather *g, struct process *p, size_t at)
{
    struct segment_name n;
    if (!read_at(p->segment, &n, sizeof n, SEGMENT_NAMES + (off_t)at))
        return 0;
    size_t len = sizeof n + n.env_len + n.key_len + n.variant_len;
    if (SEGMENT_NAMES + at + len > SEGMENT_BLOCKS)
        return 0;
    bool ours = memcmp(n.store, g->store_id, sizeof n.store) == 0;
    if (!make_names_room(p, at + len) ||
        !read_at(p->segment, p->names + at, len, SEGMENT_NAMES + (off_t)at))
        return 0;
    p->slot[p->slots++] = (struct name){(uint32_t)at, ours};
    p->names_len = at + len;
    return len;
}

/* What has come to the names. False: the segment is none. */
static bool learn(struct gather *g, struct process *p, const struct segment_head *head)
{
    uint32_t slots = head->slots, before = p->slots;
    if (slots < before || slots > SEGMENT_SLOTS)
        return false;
    if (slots == before)
        return true;
    if (g->slots + (slots - before) > GATHER_SLOTS || !make_room(p, slots))
        return true; /* those that are known are counted */
    if (!read_at(p->segment, p->taken + before, (slots - before) * sizeof *p->taken,
                 SEGMENT_TAKEN + (off_t)before * 8))
        return false;
    while (p->slots < slots && learn_name(g, p, p->names_len) > 0)
        ;
    g->slots += p->slots - before;
    return p->slots == slots;
}

/* ------------------------------------------------------------------ sums */

/* Add what of a block's slots is no hole: reading a hole costs, and most of a block is one. */
static bool add_block(struct process *p, uint32_t block)
{
    uint64_t piece[PIECE];
    off_t at = SEGMENT_BLOCKS + (off_t)block * SEGMENT_BLOCK_SIZE;
    off_t from = at, end = at + (off_t)p->slots * 8;
    while ((from = lseek(p->segment, from, SEEK_DATA)) >= 0 && from < end) {
        size_t len = end - from < (off_t)sizeof piece ? (size_t)(end - from) : sizeof piece;
        if (!read_at(p->segment, piece, len, from))
            return false;
        for (size_t i = 0; i < len / 8; i++)
            p->sum[(from - at) / 8 + (off_t)i] += piece[i];
        from += (off_t)len;
    }
    return true;
}

static bool add_up(struct process *p, const struct segment_head *head)
{
    if (head->blocks > SEGMENT_BLOCK_COUNT)
        return false;
    memset(p->sum, 0, p->slots * sizeof *p->sum);
    for (uint32_t i = 0; i < head->blocks; i++)
        if (!add_block(p, i))
            return false;
    return true;
}

/* ------------------------------------------------------------------ passing on */

static bool has_variant(struct slice key, struct slice record, struct slice variant)
{
    struct record_peek peek;
    struct flag *flag = NULL;
    const struct flag *f = &peek.flag;
    if (!record_peek(key, record, &peek)) {
        if (record_decode(key, record, &flag, NULL))
            return false;
        f = flag;
    }
    bool has = variant.len == 0;
    for (uint32_t i = 0; i < f->variant_count && !has; i++)
        has = slice_eq(f->variants[i].name, variant);
    flag_free(flag);
    return has;
}

static bool is_there(struct store_read *r, const char *env, struct slice key, struct slice variant)
{
    struct store_env e;
    struct slice record;
    return !store_env_get(r, env, &e) && !store_flag_get(r, e.id, e.held > 0, key, &record) &&
           has_variant(key, record, variant);
}

static void pass_on(struct gather *g, struct process *p, struct store_read *r, uint32_t slot)
{
    const uint8_t *text;
    struct segment_name n = name_of(p, slot, &text);
    char env[STORE_ENV_NAME_MAX + 1] = "";
    if (n.env_len > STORE_ENV_NAME_MAX)
        return;
    memcpy(env, text, n.env_len);
    struct slice key = slice_of(text + n.env_len, n.key_len);
    struct slice variant = slice_of(key.ptr + key.len, n.variant_len);
    if (is_there(r, env, key, variant))
        g->add(g->arg, slice_str(env), key, variant, p->sum[slot] - p->taken[slot]);
}

/* Others of the process's stores have agents of their own, which say what they have taken. */
static void say_taken(struct process *p, uint32_t first, uint32_t end)
{
    if (pwrite(p->segment, p->taken + first, (end - first) * sizeof *p->taken,
               SEGMENT_TAKEN + (off_t)first * 8) < 0)
        log_warn("usage: what was taken over cannot be noted: %s; it counts twice if hoistd is "
                 "started anew now",
                 strerror(errno));
}

static void pass_all_on(struct gather *g, struct process *p, struct store_read *r)
{
    uint32_t run = 0; /* where a run of slots begins that is to be noted; 0: none */
    for (uint32_t i = SEGMENT_FIRST; i <= p->slots; i++) {
        bool news = i < p->slots && p->slot[i].ours && p->sum[i] != p->taken[i];
        if (news) {
            if (p->sum[i] > p->taken[i])
                pass_on(g, p, r, i);
            p->taken[i] = p->sum[i];
            run = run ? run : i;
        } else if (run) {
            say_taken(p, run, i);
            run = 0;
        }
    }
}

/* False: it does not keep to the layout, and is to be left. */
static bool take_over(struct gather *g, struct process *p)
{
    struct segment_head head;
    struct store_read *r;
    if (!read_at(p->segment, &head, sizeof head, 0) || !learn(g, p, &head) || !add_up(p, &head))
        return false;
    if (p->slots == SEGMENT_FIRST || store_read_begin(g->store, false, &r))
        return true;
    pass_all_on(g, p, r);
    store_read_end(r);
    return true;
}

/* ------------------------------------------------------------------ processes */

static void process_free(struct process *p)
{
    if (p->link >= 0)
        close(p->link);
    if (p->segment >= 0)
        close(p->segment);
    mem_free(p->slot);
    mem_free(p->taken);
    mem_free(p->sum);
    mem_free(p->names);
    mem_free(p);
}

/* Only what is sealed is memory for certain: reading a file of another kind could take for ever. */
static bool is_segment(int fd)
{
    struct segment_head head;
    return fcntl(fd, F_GET_SEALS) >= 0 && read_at(fd, &head, sizeof head, 0) &&
           memcmp(head.magic, SEGMENT_MAGIC, sizeof head.magic) == 0 &&
           head.format == SEGMENT_FORMAT;
}

/* The descriptor in a message; -1: none. There is no room for more than one. */
static int receive(int link)
{
    char format = 0;
    struct iovec bytes = {&format, 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &bytes,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = CMSG_LEN(sizeof(int))};
    int fd = -1;
    if (recvmsg(link, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* The process has said nothing yet (segment -1), and now it may have. False: to be left. */
static bool greet(struct process *p)
{
    p->segment = receive(p->link);
    return p->segment >= 0 && is_segment(p->segment) && make_room(p, SEGMENT_FIRST);
}

static void accept_one(struct gather *g)
{
    int link = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (link < 0)
        return;
    struct process *p = g->count < GATHER_PROCESSES ? mem_zalloc(1, sizeof *p) : NULL;
    if (!p) {
        if (!g->full)
            log_warn("usage: %u processes count on this host; those beyond are not counted",
                     g->count);
        g->full = true;
        close(link);
        return;
    }
    p->link = link;
    p->segment = -1;
    p->slots = SEGMENT_FIRST;
    g->fds[2 + g->count] = (struct pollfd){.fd = link, .events = POLLIN};
    g->processes[g->count++] = p;
}

static void leave(struct gather *g, uint32_t i)
{
    g->slots -= g->processes[i]->slots - SEGMENT_FIRST;
    process_free(g->processes[i]);
    g->count--;
    g->processes[i] = g->processes[g->count];
    g->fds[2 + i] = g->fds[2 + g->count];
    g->full = false;
}

/* It handed over its segment, or it ended. */
static bool attend(struct gather *g, struct process *p)
{
    if (p->segment < 0)
        return greet(p);
    (void)take_over(g, p);
    return false;
}

/* ------------------------------------------------------------------ the thread */

static void attend_all(struct gather *g)
{
    for (uint32_t i = g->count; i-- > 0;) /* leave() puts the last in the place of one */
        if (g->fds[2 + i].revents && !attend(g, g->processes[i]))
            leave(g, i);
}

static void take_all_over(struct gather *g)
{
    for (uint32_t i = g->count; i-- > 0;)
        if (g->processes[i]->segment >= 0 && !take_over(g, g->processes[i]))
            leave(g, i);
}

/* Wait for processes, which come, hand over and end. Whether there was one. */
static bool wait_for(struct gather *g, int64_t ms)
{
    if (poll(g->fds, 2 + g->count, ms > 0 ? (int)ms : 0) <= 0)
        return false;
    attend_all(g);
    if (g->fds[0].revents)
        accept_one(g);
    return true;
}

static void *run(void *arg)
{
    struct gather *g = arg;
    int64_t due_ms = clock_mono_ms() + GATHER_EVERY_MS;
    while (!g->fds[1].revents) {
        wait_for(g, due_ms - clock_mono_ms());
        if (clock_mono_ms() < due_ms)
            continue;
        take_all_over(g);
        due_ms = clock_mono_ms() + GATHER_EVERY_MS;
    }
    g->fds[1].fd =
        -1; /* those that have come already are taken in, for as long as they could wait */
    for (int i = 0; i < 2 * SOMAXCONN && wait_for(g, 0); i++)
        ;
    take_all_over(g);
    return NULL;
}

/* ------------------------------------------------------------------ start and stop */

/* At DIR/usage.sock, by way of the directory's descriptor: an address has room for 107 bytes. */
static enum hoist_err listen_in(int dir, const char *name, int *ret)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/" SEGMENT_SOCKET, dir);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlinkat(dir, SEGMENT_SOCKET, 0); /* of a hoistd that was killed */
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        fchmodat(dir, SEGMENT_SOCKET, 0660, 0) != 0 || listen(fd, SOMAXCONN) != 0) {
        enum hoist_err err = err_set(HOIST_EIO, "%s/" SEGMENT_SOCKET ": %s", name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return err;
    }
    *ret = fd;
    return HOIST_OK;
}

static enum hoist_err open_socket(struct gather *g)
{
    const char *name = store_dir(g->store);
    g->dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return g->dir < 0 ? err_set(HOIST_EIO, "%s: %s", name, strerror(errno))
                      : listen_in(g->dir, name, &g->listener);
}

static void gather_free(struct gather *g)
{
    while (g->count > 0)
        leave(g, g->count - 1);
    if (g->listener >= 0) {
        (void)unlinkat(g->dir, SEGMENT_SOCKET, 0);
        close(g->listener);
    }
    if (g->dir >= 0)
        close(g->dir);
    if (g->stop >= 0)
        close(g->stop);
    mem_free(g);
}

enum hoist_err gather_start(struct store *s, gather_add add, void *arg, struct gather **ret)
{
    *ret = NULL;
    struct gather *g = mem_zalloc(1, sizeof *g);
    if (!g)
        return err_set(HOIST_ENOMEM, "out of memory");
    *g = (struct gather){.store = s, .add = add, .arg = arg, .dir = -1, .listener = -1};
    store_id(s, g->store_id);
    g->stop = eventfd(0, EFD_CLOEXEC);
    enum hoist_err err =
        g->stop < 0 ? err_set(HOIST_EIO, "eventfd: %s", strerror(errno)) : open_socket(g);
    g->fds[0] = (struct pollfd){.fd = g->listener, .events = POLLIN};
    g->fds[1] = (struct pollfd){.fd = g->stop, .events = POLLIN};
    if (!err && pthread_create(&g->thread, NULL, run, g) != 0)
        err = err_set(HOIST_EIO, "a thread cannot be started");
    if (err) {
        gather_free(g);
        return err;
    }
    *ret = g;
    return HOIST_OK;
}

void gather_stop(struct gather *g)
{
    uint64_t one = 1;
    if (!g)
        return;
    if (write(g->stop, &one, sizeof one) == sizeof one)
        pthread_join(g->thread, NULL);
    gather_free(g);
}
