/* pages.c - the file as a whole: its two heads, its two trees, and that no page is in none. */
#include "store/pages_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store_int.h"

void pages_tell(struct pages *p, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    p->faults++;
    p->how->fault(p->how->arg, p->tree, what);
}

static enum hoist_err read_at(int fd, void *out, size_t len, uint64_t at)
{
    uint8_t *to = out;
    while (len > 0) {
        ssize_t n = pread(fd, to, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(HOIST_EIO, "store: cannot read data.mdb: %s", strerror(errno));
        if (n == 0)
            return err_set(HOIST_ECORRUPT, "store: data.mdb is cut short");
        to += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return HOIST_OK;
}

bool pages_read(struct pages *p, uint64_t at, size_t n, uint8_t *out)
{
    if (p->err)
        return false;
    if (at >= p->there || n > p->there - at) {
        pages_tell(p, "page %" PRIu64 " is behind the end of the file", at);
        return false;
    }
    p->err = read_at(p->fd, out, n * p->size, at * p->size);
    return p->err == HOIST_OK;
}

bool pages_take(struct pages *p, uint64_t number, uint64_t n)
{
    if (number < 2 || number > p->last || n > p->last + 1 - number) {
        pages_tell(p, "it names page %" PRIu64 ", and there are pages 2 to %" PRIu64, number,
                   p->last);
        return false;
    }
    for (uint64_t i = number; i < number + n; i++) {
        if (p->seen[i / 8] & 1u << i % 8) {
            pages_tell(p, "page %" PRIu64 " is used twice", i);
            return false;
        }
        p->seen[i / 8] |= (uint8_t)(1u << i % 8);
        p->counted++;
    }
    return true;
}

/* ------------------------------------------------------------------ the two heads */

static bool is_page_size(uint32_t size)
{
    return size >= PAGE_SIZE_LEAST && size <= PAGE_SIZE_MOST && (size & (size - 1)) == 0;
}

static enum hoist_err read_head(int fd, uint64_t at, uint32_t number, struct meta_row *ret)
{
    uint8_t bytes[sizeof(struct page_head) + sizeof *ret];
    struct page_head head;
    enum hoist_err err = read_at(fd, bytes, sizeof bytes, at);
    if (err)
        return err;
    memcpy(&head, bytes, sizeof head);
    memcpy(ret, bytes + sizeof head, sizeof *ret);
    if (head.number != number || head.flags != PAGE_META || ret->magic != MAGIC ||
        ret->version != VERSION || !is_page_size(ret->free.pad))
        return err_set(HOIST_ECORRUPT, "store: page %u of data.mdb is no head of an LMDB file",
                       number);
    return HOIST_OK;
}

static bool is_last(const struct meta_row *m, uint64_t txn)
{
    return m->txn == txn;
}

/* Commits take turns at the two heads, so that an even one is at the first: a number that does not
 * fit was never written there. */
static void check_turns(struct pages *p, const struct meta_row m[2])
{
    uint64_t newer = m[0].txn > m[1].txn ? m[0].txn : m[1].txn;
    uint64_t older = m[0].txn > m[1].txn ? m[1].txn : m[0].txn;
    bool fresh = m[0].txn == 0 && m[1].txn == 0;
    if (!fresh && ((m[0].txn & 1) != 0 || (m[1].txn & 1) != 1 || newer - older != 1))
        pages_tell(p, "its heads are of the commits %" PRIu64 " and %" PRIu64, m[0].txn, m[1].txn);
}

static enum hoist_err choose_head(struct pages *p, struct meta_row *ret)
{
    struct meta_row m[2];
    uint64_t txn = p->how->txn;
    enum hoist_err err = read_head(p->fd, 0, 0, &m[0]);
    if (!err)
        err = read_head(p->fd, m[0].free.pad, 1, &m[1]);
    if (err)
        return err;
    if (txn == 0) {
        *ret = m[0].txn >= m[1].txn ? m[0] : m[1];
        check_turns(p, m);
        return HOIST_OK;
    }
    if (!is_last(&m[0], txn) && !is_last(&m[1], txn))
        return HOIST_EAGAIN;
    *ret = is_last(&m[0], txn) ? m[0] : m[1];
    /* A writer may have gone on between the two looks. */
    if (m[0].txn <= txn && m[1].txn <= txn)
        check_turns(p, m);
    return HOIST_OK;
}

/* ------------------------------------------------------------------ all of it */

static enum hoist_err open_pages(struct pages *p, const struct meta_row *m)
{
    struct stat st;
    if (fstat(p->fd, &st) != 0)
        return err_set(HOIST_EIO, "store: cannot look at data.mdb: %s", strerror(errno));
    p->size = m->free.pad;
    p->last = m->last;
    p->there = (uint64_t)st.st_size / p->size;
    p->txn = m->txn;
    /* More than the file has by far is no number of pages to make room for. */
    if (p->last < 1 || p->last / 2 > p->there)
        return err_set(HOIST_ECORRUPT,
                       "store: data.mdb is cut short: %" PRIu64 " of %" PRIu64 " pages", p->there,
                       p->last + 1);
    p->seen = mem_zalloc(p->last / 8 + 1, 1);
    p->room = mem_alloc((size_t)p->size * LEVELS_MAX);
    if (!p->seen || !p->room)
        return err_set(HOIST_ENOMEM, "out of memory");
    return HOIST_OK;
}

static void check_trees(struct pages *p, const struct meta_row *m)
{
    struct tree free_list = {.row = &m->free, .is_free = true};
    struct tree catalogue = {.row = &m->main, .is_catalogue = true};
    p->tree = "catalogue";
    pages_walk(p, &catalogue, 0);
    if (p->unknown > 0 && p->known < DB_COUNT)
        pages_tell(p, "%u databases are missing, and %u have a name that no program gave",
                   DB_COUNT - p->known, p->unknown);
    p->tree = "free list";
    pages_walk(p, &free_list, 0);
    p->tree = "pages";
    /* Where a page could not be read, those that it leads to were not met. */
    if (p->err == HOIST_OK && p->faults == 0 && p->counted != p->last - 1)
        pages_tell(p, "%" PRIu64 " pages are neither used nor free", p->last - 1 - p->counted);
}

enum hoist_err pages_check(int fd, const struct pages_check *how, uint64_t *ret_faults)
{
    struct pages p = {.fd = fd, .how = how, .tree = "pages"};
    struct meta_row head;
    enum hoist_err err = choose_head(&p, &head);
    if (!err)
        err = open_pages(&p, &head);
    if (!err) {
        check_trees(&p, &head);
        err = p.err;
    }
    mem_free(p.seen);
    mem_free(p.room);
    mem_free(p.big);
    if (!err)
        *ret_faults = p.faults;
    return err;
}
