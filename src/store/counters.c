#include "store/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/files.h"

enum {
    FORMAT = 1,
    WORDS_AT = 4096,
    STATUS_AT = WORDS_AT + STORE_SHARDS * 8,
    STATUS_TRIES = 200,
};

static const uint64_t magic = 0x544e435453494f48; /* "HOISTCNT", read as a little-endian number */

/* The text, in words, each of which is stored and loaded whole. A sequence lock: `sequence` is odd
 * while the text is being written. */
struct status_area {
    _Atomic uint32_t sequence;
    _Atomic uint32_t length; /* bytes; 0: nothing was said */
    _Atomic uint64_t text[STATUS_TEXT_MAX / 8];
};

_Static_assert(sizeof(struct counters_head) <= WORDS_AT, "the head has the first page");
_Static_assert(sizeof(struct status_area) <= COUNTERS_SIZE - STATUS_AT, "the status area fits");
_Static_assert(sizeof(_Atomic uint64_t) == 8, "words are 64 bits");

uint32_t store_shard(uint16_t env, struct slice key)
{
    const uint64_t prime = 0x100000001b3;
    uint64_t h = 0xcbf29ce484222325;
    h = (h ^ (env >> 8)) * prime;
    h = (h ^ (env & 0xff)) * prime;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ key.ptr[i]) * prime;
    return (uint32_t)((h ^ h >> 32) % STORE_SHARDS);
}

/* ------------------------------------------------------------------ open and close */

static enum hoist_err map(int fd, int protection, struct counters *ret)
{
    uint8_t *at = mmap(NULL, COUNTERS_SIZE, protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return files_err(errno, "map", "counters");
    ret->fd = fd;
    ret->head = (struct counters_head *)at;
    ret->words = (_Atomic uint64_t *)(at + WORDS_AT);
    ret->status = (struct status_area *)(at + STATUS_AT);
    return HOIST_OK;
}

enum hoist_err counters_make(int fd, const uint8_t id[STORE_ID_SIZE])
{
    struct counters c = {0};
    enum hoist_err err = map(fd, PROT_READ | PROT_WRITE, &c);
    if (err)
        return err;
    c.head->format = FORMAT;
    c.head->shards = STORE_SHARDS;
    memcpy(c.head->store_id, id, STORE_ID_SIZE);
    counters_mark_all(&c, UINT64_MAX);
    counters_mark_envs(&c, UINT64_MAX);
    c.head->magic = magic;
    munmap(c.head, COUNTERS_SIZE);
    return HOIST_OK;
}

static bool is_right(const struct counters_head *h, const uint8_t id[STORE_ID_SIZE])
{
    return h->magic == magic && h->format == FORMAT && h->shards == STORE_SHARDS &&
           memcmp(h->store_id, id, STORE_ID_SIZE) == 0;
}

enum hoist_err counters_open(const char *path, bool write, const uint8_t id[STORE_ID_SIZE],
                             struct counters *ret)
{
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return files_err(errno, "open", path);
    enum hoist_err err;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < COUNTERS_SIZE) {
        err = err_set(HOIST_ECORRUPT, "%s is too short", path);
        goto out;
    }
    struct counters c = {0};
    err = map(fd, write ? PROT_READ | PROT_WRITE : PROT_READ, &c);
    if (err)
        goto out;
    if (!is_right(c.head, id)) {
        munmap(c.head, COUNTERS_SIZE);
        err = err_set(HOIST_ECORRUPT, "%s is not of this store", path);
        goto out;
    }
    *ret = c;
out:
    if (err)
        close(fd);
    return err;
}

void counters_close(struct counters *c)
{
    if (!c->head)
        return;
    munmap(c->head, COUNTERS_SIZE);
    close(c->fd);
    *c = (struct counters){0};
}

/* ------------------------------------------------------------------ words */

void counters_mark(struct counters *c, uint32_t shard, uint64_t id)
{
    atomic_store_explicit(&c->words[shard], id, memory_order_release);
}

void counters_mark_all(struct counters *c, uint64_t id)
{
    for (uint32_t i = 0; i < STORE_SHARDS; i++)
        counters_mark(c, i, id);
}

void counters_mark_envs(struct counters *c, uint64_t id)
{
    atomic_store_explicit(&c->head->envs, id, memory_order_release);
}

void counters_announce(struct counters *c, uint64_t id)
{
    /* Through the file, not the map: only that wakes inotify. That nobody hears of it is no reason
     * to call the commit failed. */
    ssize_t rc = pwrite(c->fd, &id, sizeof id, offsetof(struct counters_head, head));
    (void)rc;
}

void counters_retire(struct counters *c)
{
    atomic_store_explicit(&c->head->retired, 1, memory_order_release);
    counters_mark_envs(c, UINT64_MAX);
    counters_mark_all(c, UINT64_MAX);
    counters_announce(c, UINT64_MAX);
}

/* ------------------------------------------------------------------ status */

enum hoist_err counters_put_status(struct counters *c, struct slice text)
{
    if (text.len > STATUS_TEXT_MAX)
        return err_set(HOIST_ELIMIT, "the status text has %zu bytes, %d is the limit", text.len,
                       STATUS_TEXT_MAX);
    struct status_area *a = c->status;
    /* Odd from here on, whatever a writer that died had left. */
    uint32_t odd = atomic_load_explicit(&a->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&a->sequence, odd, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < text.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text.ptr + i, text.len - i < 8 ? text.len - i : 8);
        atomic_store_explicit(&a->text[i / 8], word, memory_order_relaxed);
    }
    atomic_store_explicit(&a->length, (uint32_t)text.len, memory_order_relaxed);
    atomic_store_explicit(&a->sequence, odd + 1, memory_order_release);
    return HOIST_OK;
}

/* One attempt: the length copied, or -1 when the writer came between. */
static int copy_status(const struct status_area *a, uint8_t text[STATUS_TEXT_MAX])
{
    uint32_t before = atomic_load_explicit(&a->sequence, memory_order_acquire);
    uint32_t length = atomic_load_explicit(&a->length, memory_order_relaxed);
    if (before & 1 || length > STATUS_TEXT_MAX)
        return -1;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = atomic_load_explicit(&a->text[i / 8], memory_order_relaxed);
        memcpy(text + i, &word, 8);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&a->sequence, memory_order_relaxed) == before ? (int)length : -1;
}

enum hoist_err counters_get_status(const struct counters *c, struct buf *out)
{
    uint8_t text[STATUS_TEXT_MAX];
    int length = -1;
    /* A writer that died in the middle leaves the number odd: that is nothing said. */
    for (int i = 0; length < 0 && i < STATUS_TRIES; i++) {
        length = copy_status(c->status, text);
        if (length < 0)
            nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
    if (length <= 0)
        return HOIST_ENOTFOUND;
    buf_add(out, text, (size_t)length);
    return buf_err(out);
}
