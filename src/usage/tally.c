#include "usage/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/murmur.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { DOMAINS_MAX = 256, ENV_MAX = 63, NAME_MAX_LEN = UINT8_MAX, INDEX_FIRST = 256 };

struct domain {
    uint8_t store[SEGMENT_STORE_ID];
    char env[ENV_MAX + 1];
};

struct slot {
    uint32_t domain;
    uint32_t name; /* where its struct segment_name begins, in `names` */
};

/* All under the lock, but for the threads' own blocks. */
static struct {
    pthread_mutex_t lock;
    _Atomic bool refused; /* read without the lock */

    /* The segment; a child makes its own. */
    int fd;
    dev_t dev;
    ino_t ino;
    struct segment_head *head; /* NULL: there is none */
    void *blocks[SEGMENT_BLOCK_COUNT];
    uint16_t left[SEGMENT_BLOCK_COUNT]; /* those whose threads have ended */
    uint32_t left_count;

    /* The slots; a child goes on with them. */
    struct domain domains[DOMAINS_MAX];
    uint32_t domain_count;
    struct slot *slots; /* from SEGMENT_FIRST on */
    uint32_t slot_count;
    size_t slots_cap;
    uint8_t *names;
    size_t names_len, names_cap;
    uint32_t *index; /* slots by hash, 0: free; a power of two */
    size_t index_size;
} t = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

__thread _Atomic uint64_t *tally_block;

static pthread_key_t thread_end;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;
static bool thread_end_made;

/* Whether the program has left this descriptor alone. */
static bool is_ours(int fd, dev_t dev, ino_t ino)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* ------------------------------------------------------------------ the segment */

static int make_memfd(void)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("hoist-usage", flags | MFD_NOEXEC_SEAL);
    return fd < 0 && errno == EINVAL ? memfd_create("hoist-usage", flags) : fd;
}

/* A process whose files may not be so long would be sent a signal. */
static bool may_be_long(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= SEGMENT_SIZE;
}

static bool write_names(size_t from)
{
    size_t len = t.names_len - from;
    return len == 0 ||
           pwrite(t.fd, t.names + from, len, SEGMENT_NAMES + (off_t)from) == (ssize_t)len;
}

static bool make_segment(void)
{
    if (t.head)
        return true;
    struct stat st;
    struct segment_head *head = MAP_FAILED;
    t.fd = t.refused || !may_be_long() ? -1 : make_memfd();
    if (t.fd < 0)
        return false;
    if (ftruncate(t.fd, (off_t)SEGMENT_SIZE) != 0 || fstat(t.fd, &st) != 0 ||
        fcntl(t.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 || !write_names(0))
        goto fail;
    head = mmap(NULL, sizeof *head, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
    if (head == MAP_FAILED)
        goto fail;
    memcpy(head->magic, SEGMENT_MAGIC, sizeof head->magic);
    head->format = SEGMENT_FORMAT;
    atomic_store_explicit(&head->slots, SEGMENT_FIRST + t.slot_count, memory_order_release);
    t.head = head;
    t.dev = st.st_dev;
    t.ino = st.st_ino;
    return true;
fail:
    close(t.fd);
    t.fd = -1;
    return false;
}

/* ------------------------------------------------------------------ blocks */

/* Its counts stay: they are part of the sum. */
static void leave_block(void *block)
{
    pthread_mutex_lock(&t.lock);
    for (uint32_t i = 0; t.head && i < atomic_load(&t.head->blocks); i++)
        if (t.blocks[i] == block)
            t.left[t.left_count++] = (uint16_t)i;
    tally_block = NULL;
    pthread_mutex_unlock(&t.lock);
}

static void make_thread_end(void)
{
    thread_end_made = pthread_key_create(&thread_end, leave_block) == 0;
}

static void *map_block(uint32_t i)
{
    if (i == SEGMENT_BLOCK_COUNT || !is_ours(t.fd, t.dev, t.ino))
        return NULL;
    void *block = mmap(NULL, SEGMENT_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd,
                       SEGMENT_BLOCKS + (off_t)i * SEGMENT_BLOCK_SIZE);
    return block == MAP_FAILED ? NULL : block;
}

static void *take_block(void)
{
    if (t.left_count > 0)
        return t.blocks[t.left[--t.left_count]];
    uint32_t i = atomic_load(&t.head->blocks);
    void *block = map_block(i);
    if (block) {
        t.blocks[i] = block;
        atomic_store_explicit(&t.head->blocks, i + 1, memory_order_release);
    }
    return block;
}

bool tally_begin(void)
{
    pthread_once(&thread_end_once, make_thread_end);
    if (atomic_load_explicit(&t.refused, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&t.lock);
    void *block = thread_end_made && make_segment() ? take_block() : NULL;
    if (block && pthread_setspecific(thread_end, block) == 0)
        tally_block = block;
    else
        atomic_store_explicit(&t.refused, true, memory_order_relaxed);
    pthread_mutex_unlock(&t.lock);
    return block;
}

void tally_refuse(void)
{
    atomic_store_explicit(&t.refused, true, memory_order_relaxed);
}

/* ------------------------------------------------------------------ slots */

uint32_t tally_domain(const uint8_t store[SEGMENT_STORE_ID], const char *env)
{
    uint32_t i = 1;
    pthread_mutex_lock(&t.lock);
    while (i <= t.domain_count && (memcmp(t.domains[i].store, store, SEGMENT_STORE_ID) != 0 ||
                                   strcmp(t.domains[i].env, env) != 0))
        i++;
    if (i > t.domain_count && (i == DOMAINS_MAX || strlen(env) > ENV_MAX)) {
        i = 0;
    } else if (i > t.domain_count) {
        memcpy(t.domains[i].store, store, SEGMENT_STORE_ID);
        memcpy(t.domains[i].env, env, strlen(env) + 1);
        t.domain_count = i;
    }
    pthread_mutex_unlock(&t.lock);
    return i;
}

static uint32_t hash_of(uint32_t domain, struct slice key, struct slice variant)
{
    return murmur3_32(variant, murmur3_32(key, domain));
}

static bool is_slot(const struct slot *s, uint32_t domain, struct slice key, struct slice variant)
{
    const uint8_t *name = t.names + s->name;
    struct segment_name n;
    memcpy(&n, name, sizeof n);
    const uint8_t *texts = name + sizeof n + n.env_len;
    return s->domain == domain && slice_eq(slice_of(texts, n.key_len), key) &&
           slice_eq(slice_of(texts + n.key_len, n.variant_len), variant);
}

/* Where it is in the index, or would be. */
static uint32_t *find(uint32_t hash, uint32_t domain, struct slice key, struct slice variant)
{
    size_t i = hash & (t.index_size - 1);
    while (t.index[i] && !is_slot(&t.slots[t.index[i] - SEGMENT_FIRST], domain, key, variant))
        i = (i + 1) & (t.index_size - 1);
    return &t.index[i];
}

static bool grow_index(void)
{
    size_t size = t.index_size ? 2 * t.index_size : INDEX_FIRST;
    uint32_t *bigger = mem_zalloc(size, sizeof *bigger);
    if (!bigger)
        return false;
    mem_free(t.index);
    t.index = bigger;
    t.index_size = size;
    for (uint32_t i = 0; i < t.slot_count; i++) {
        const uint8_t *name = t.names + t.slots[i].name;
        struct segment_name n;
        memcpy(&n, name, sizeof n);
        struct slice key = slice_of(name + sizeof n + n.env_len, n.key_len);
        struct slice variant = slice_of(key.ptr + key.len, n.variant_len);
        *find(hash_of(t.slots[i].domain, key, variant), t.slots[i].domain, key, variant) =
            SEGMENT_FIRST + i;
    }
    return true;
}

static bool has_room(size_t name_len)
{
    if (t.slot_count == SEGMENT_SLOTS - SEGMENT_FIRST)
        return false;
    while (t.names_cap - t.names_len < name_len) {
        void *more = mem_grow(t.names, &t.names_cap, 4096, 1);
        if (!more)
            return false;
        t.names = more;
    }
    if (t.slot_count == t.slots_cap) {
        void *more = mem_grow(t.slots, &t.slots_cap, 64, sizeof *t.slots);
        if (!more)
            return false;
        t.slots = more;
    }
    return 2 * (size_t)t.slot_count < t.index_size || grow_index();
}

static void add_name(struct slice text)
{
    if (text.len)
        memcpy(t.names + t.names_len, text.ptr, text.len);
    t.names_len += text.len;
}

/* Its names are there before the agent can see it. */
static uint32_t add(uint32_t domain, struct slice key, struct slice variant)
{
    const struct domain *d = &t.domains[domain];
    struct segment_name n = {.env_len = (uint8_t)strlen(d->env),
                             .key_len = (uint8_t)key.len,
                             .variant_len = (uint8_t)variant.len};
    memcpy(n.store, d->store, sizeof n.store);
    if (!has_room(sizeof n + n.env_len + key.len + variant.len))
        return TALLY_LEFT_OUT;
    size_t from = t.names_len;
    uint32_t slot = SEGMENT_FIRST + t.slot_count;
    add_name(slice_of(&n, sizeof n));
    add_name(slice_str(d->env));
    add_name(key);
    add_name(variant);
    if (t.head && (!is_ours(t.fd, t.dev, t.ino) || !write_names(from))) {
        t.names_len = from;
        return TALLY_LEFT_OUT;
    }
    t.slots[t.slot_count] = (struct slot){domain, (uint32_t)from};
    *find(hash_of(domain, key, variant), domain, key, variant) = slot;
    t.slot_count++;
    if (t.head)
        atomic_store_explicit(&t.head->slots, slot + 1, memory_order_release);
    return slot;
}

uint32_t tally_slot(uint32_t domain, struct slice key, struct slice variant)
{
    if (domain == 0 || key.len > NAME_MAX_LEN || variant.len > NAME_MAX_LEN)
        return TALLY_NOTHING;
    pthread_mutex_lock(&t.lock);
    uint32_t slot = t.index ? *find(hash_of(domain, key, variant), domain, key, variant) : 0;
    if (slot == 0)
        slot = add(domain, key, variant);
    pthread_mutex_unlock(&t.lock);
    return slot;
}

/* ------------------------------------------------------------------ the agent */

/* There is nothing to read from it, until its end. */
static bool is_joined(struct tally_link *link)
{
    char byte;
    if (!is_ours(link->fd, link->dev, link->ino)) {
        link->fd = -1;
        return false;
    }
    if (recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
        (errno == EAGAIN || errno == EINTR))
        return true;
    tally_leave(link);
    return false;
}

static bool connect_to(int fd, const char *dir)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int len = snprintf(at.sun_path, sizeof at.sun_path, "%s/" SEGMENT_SOCKET, dir);
    int there = -1;
    if (len < 0 || (size_t)len >= sizeof at.sun_path) { /* too long for an address */
        there = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/" SEGMENT_SOCKET, there);
    }
    bool ok = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    if (there >= 0)
        close(there);
    return ok;
}

static bool hand_over(int to, int fd)
{
    char format = SEGMENT_FORMAT;
    struct iovec bytes = {&format, 1};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_iov = &bytes,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    control.head = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    return sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static bool may_count(void)
{
    pthread_mutex_lock(&t.lock);
    bool may = t.head || !t.refused;
    pthread_mutex_unlock(&t.lock);
    return may;
}

/* Whether the segment went into `to`. */
static bool give(int to)
{
    pthread_mutex_lock(&t.lock);
    bool ok = make_segment() && is_ours(t.fd, t.dev, t.ino) && hand_over(to, t.fd);
    pthread_mutex_unlock(&t.lock);
    return ok;
}

void tally_join(struct tally_link *link, const char *dir)
{
    struct stat st;
    if (!may_count() || is_joined(link))
        return;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect_to(fd, dir) && give(fd) && fstat(fd, &st) == 0)
        *link = (struct tally_link){fd, st.st_dev, st.st_ino};
    else
        close(fd);
}

void tally_leave(struct tally_link *link)
{
    if (is_ours(link->fd, link->dev, link->ino))
        close(link->fd);
    link->fd = -1;
}

/* ------------------------------------------------------------------ around a fork */

void tally_before_fork(void)
{
    pthread_mutex_lock(&t.lock);
}

void tally_after_fork_in_parent(void)
{
    pthread_mutex_unlock(&t.lock);
}

void tally_after_fork_in_child(void)
{
    if (is_ours(t.fd, t.dev, t.ino))
        close(t.fd);
    for (uint32_t i = 0; t.head && i < atomic_load(&t.head->blocks); i++)
        munmap(t.blocks[i], SEGMENT_BLOCK_SIZE);
    if (t.head)
        munmap(t.head, sizeof *t.head);
    if (tally_block)
        (void)pthread_setspecific(thread_end, NULL);
    t.head = NULL;
    t.fd = -1;
    t.left_count = 0;
    tally_block = NULL;
    pthread_mutex_unlock(&t.lock);
}
