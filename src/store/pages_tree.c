/* pages_tree.c - one tree: the form of each page, the order of keys, the counts beside the root. */
#include "store/pages_int.h"

#include <inttypes.h>

#include "base/mem.h"
#include "store/store_int.h"

struct bounds { /* keys are ≥ low, and < high; ptr NULL: no bound */
    struct slice low, high;
};

struct page {
    uint64_t number;
    const uint8_t *bytes;
    size_t size; /* of the page, or of the page within a page */
    struct page_head head;
    size_t count; /* of nodes, or of keys */
};

/* ------------------------------------------------------------------ keys in order */

/* LMDB's order: byte by byte, the shorter first; the list of free pages counts in numbers. */
static int compare(const struct tree *t, struct slice a, struct slice b)
{
    if (t->is_free) {
        uint64_t x, y;
        memcpy(&x, a.ptr, sizeof x);
        memcpy(&y, b.ptr, sizeof y);
        return (x > y) - (x < y);
    }
    size_t least = a.len < b.len ? a.len : b.len;
    int diff = least ? memcmp(a.ptr, b.ptr, least) : 0;
    return diff ? diff : (a.len > b.len) - (a.len < b.len);
}

/* `above`: it is to be greater than in->low, which was the key before. */
static bool key_fits(struct pages *p, const struct tree *t, const struct page *g, struct slice key,
                     const struct bounds *in, bool above)
{
    if (key.len == 0 || key.len > KEY_MAX || (t->is_free && key.len != 8)) {
        pages_tell(p, "page %" PRIu64 " has a key of %zu bytes", g->number, key.len);
        return false;
    }
    if ((in->low.ptr && compare(t, key, in->low) < (above ? 1 : 0)) ||
        (in->high.ptr && compare(t, key, in->high) >= 0)) {
        pages_tell(p, "the keys of page %" PRIu64 " are not in order", g->number);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ the form of a page */

static struct node node_at(const struct page *g, size_t i, size_t *ret_at)
{
    struct node node;
    uint16_t at;
    memcpy(&at, g->bytes + sizeof g->head + 2 * i, sizeof at);
    memcpy(&node, g->bytes + at, sizeof node);
    *ret_at = at;
    return node;
}

static size_t value_len(struct node node)
{
    return node.low | (size_t)node.high << 16;
}

static size_t node_len(const struct page *g, struct node node)
{
    size_t len = NODE_HEAD + node.key_len;
    if (g->head.flags & PAGE_LEAF)
        len += node.flags & NODE_BIG ? sizeof(uint64_t) : value_len(node);
    return len;
}

static bool has_form(struct pages *p, const struct page *g)
{
    size_t whole = 0, at;
    for (size_t i = 0; i < g->count; i++) {
        uint16_t offset;
        memcpy(&offset, g->bytes + sizeof g->head + 2 * i, sizeof offset);
        if (offset < g->head.upper || offset % 2 != 0 || offset > g->size - NODE_HEAD)
            goto bad;
        size_t len = node_len(g, node_at(g, i, &at));
        if (len > g->size - at)
            goto bad;
        whole += len + (len & 1);
    }
    if (whole == g->size - g->head.upper)
        return true;
bad:
    pages_tell(p, "what is in page %" PRIu64 " does not fill it as it should", g->number);
    return false;
}

/* Fill in what the head says. */
static bool read_head(struct pages *p, struct page *g)
{
    memcpy(&g->head, g->bytes, sizeof g->head);
    const struct page_head *h = &g->head;
    if (h->lower < sizeof *h || h->lower > h->upper || h->upper > g->size || h->lower % 2 != 0) {
        pages_tell(p, "the head of page %" PRIu64 " is damaged", g->number);
        return false;
    }
    g->count = (h->lower - sizeof *h) / 2;
    if (h->flags & PAGE_FIXED) { /* the head counts as if each key had an offset as well */
        bool fits = h->pad > 0 && h->pad <= KEY_MAX &&
                    g->count * h->pad + h->upper - h->lower == g->size - sizeof *h;
        if (!fits)
            pages_tell(p, "the head of page %" PRIu64 " is damaged", g->number);
        return fits;
    }
    return has_form(p, g);
}

/* ------------------------------------------------------------------ leaves */

static void walk_fixed(struct pages *p, struct tree *t, const struct page *g, struct bounds in)
{
    for (size_t i = 0; i < g->count; i++) {
        struct slice key = slice_of(g->bytes + sizeof g->head + i * g->head.pad, g->head.pad);
        if (!key_fits(p, t, g, key, &in, i > 0))
            return;
        in.low = key;
    }
    t->entries += g->count;
}

/* Page numbers that a commit left free: the count of them first, the highest before the others. */
static void take_free(struct pages *p, struct slice row)
{
    uint64_t count = 0, before = NO_PAGE;
    if (row.len >= sizeof count)
        memcpy(&count, row.ptr, sizeof count);
    if (row.len < sizeof count || count > row.len / sizeof count - 1) {
        pages_tell(p, "a row of it is cut short");
        return;
    }
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t number;
        memcpy(&number, row.ptr + i * sizeof number, sizeof number);
        if (number >= before) {
            pages_tell(p, "a row of it is not in order");
            return;
        }
        before = number;
        if (!pages_take(p, number, 1))
            return;
    }
}

/* A value in pages of its own. Only the free list's are read whole: here they mean pages. */
static void walk_big(struct pages *p, struct tree *t, size_t len, const uint8_t *value)
{
    uint64_t first;
    struct page_head head;
    size_t least = (sizeof head + len + p->size - 1) / p->size, wanted = t->is_free ? least : 1;
    memcpy(&first, value, sizeof first);
    uint8_t *big = mem_realloc(p->big, wanted * p->size);
    if (!big) {
        p->err = err_set(HOIST_ENOMEM, "out of memory");
        return;
    }
    p->big = big;
    if (!pages_read(p, first, wanted, big))
        return;
    memcpy(&head, big, sizeof head);
    if (head.number != first || head.flags != PAGE_OVERFLOW || head.pages < least ||
        first + least > p->there) {
        pages_tell(p, "the head of page %" PRIu64 " is damaged", first);
        return;
    }
    t->overflows += head.pages;
    if (pages_take(p, first, head.pages) && t->is_free)
        take_free(p, slice_of(big + sizeof head, len));
}

/* The values of one key, in a page within the page. */
static void walk_within(struct pages *p, struct tree *t, const struct page *g, struct slice value)
{
    struct page in = {.number = g->number, .bytes = value.ptr, .size = value.len};
    const uint16_t kind = PAGE_LEAF | PAGE_WITHIN | (t->row->flags & MDB_DUPFIXED ? PAGE_FIXED : 0);
    if (value.len < sizeof in.head || !read_head(p, &in) || (in.head.flags & ~PAGE_DIRTY) != kind ||
        in.count == 0)
        pages_tell(p, "what is within page %" PRIu64 " is damaged", g->number);
    else if (in.head.flags & PAGE_FIXED)
        walk_fixed(p, t, &in, (struct bounds){0});
    else
        t->entries += in.count;
}

static void walk_database(struct pages *p, struct slice name, const struct tree_row *row, int level)
{
    const char *of = p->tree;
    struct tree t = {.row = row, .name = name};
    int i = 0;
    while (i < DB_COUNT && !slice_eq(name, slice_str(db_database_name((enum db_name)i))))
        i++;
    p->known += i < DB_COUNT;
    p->unknown += i == DB_COUNT; /* a newer program's, if none is missing */
    if (i < DB_COUNT) {
        p->tree = db_database_name((enum db_name)i);
        if (row->flags != db_database_flags((enum db_name)i))
            pages_tell(p, "its flags are %#x", row->flags);
    }
    pages_walk(p, &t, level);
    p->tree = of;
}

/* A value that is the root of a tree: a database, or the many values of one key. */
static void walk_root(struct pages *p, struct tree *t, struct slice key, struct slice value,
                      int level)
{
    struct tree_row row;
    struct tree dups = {.row = &row, .within_dups = true};
    if (value.len != sizeof row) {
        pages_tell(p, "the root of a tree has %zu bytes", value.len);
        return;
    }
    memcpy(&row, value.ptr, sizeof row);
    if (t->is_catalogue) {
        walk_database(p, key, &row, level);
        return;
    }
    if (row.flags != (t->row->flags & MDB_DUPFIXED))
        pages_tell(p, "the flags of a key's values are %#x", row.flags);
    pages_walk(p, &dups, level);
    t->entries += row.entries;
}

static bool is_allowed(const struct tree *t, unsigned flags)
{
    if (t->is_catalogue)
        return flags == NODE_TREE;
    if (t->row->flags & MDB_DUPSORT)
        return flags == 0 || flags == NODE_DUPS || flags == (NODE_DUPS | NODE_TREE);
    return flags == 0 || flags == NODE_BIG;
}

static void walk_value(struct pages *p, struct tree *t, const struct page *g, size_t i, int level)
{
    size_t at;
    struct node node = node_at(g, i, &at);
    struct slice key = slice_of(g->bytes + at + NODE_HEAD, node.key_len);
    struct slice value = slice_of(key.ptr + key.len, value_len(node));
    if (!is_allowed(t, node.flags))
        pages_tell(p, "page %" PRIu64 " has a row of kind %#x", g->number, node.flags);
    else if (node.flags & NODE_TREE)
        walk_root(p, t, key, value, level + 1);
    else if (node.flags & NODE_DUPS)
        walk_within(p, t, g, value);
    else if (node.flags & NODE_BIG)
        walk_big(p, t, value.len, value.ptr);
    else if (t->is_free)
        take_free(p, value);
    t->entries += !(node.flags & NODE_DUPS);
}

static struct slice key_at(const struct page *g, size_t i)
{
    size_t at;
    struct node node = node_at(g, i, &at);
    return slice_of(g->bytes + at + NODE_HEAD, node.key_len);
}

static void walk_leaf(struct pages *p, struct tree *t, const struct page *g, struct bounds in,
                      int level)
{
    t->leaves++;
    if (g->head.flags & PAGE_FIXED) {
        walk_fixed(p, t, g, in);
        return;
    }
    for (size_t i = 0; i < g->count && !p->err; i++) {
        struct slice key = key_at(g, i);
        if (!key_fits(p, t, g, key, &in, i > 0))
            return;
        in.low = key;
        walk_value(p, t, g, i, level);
    }
}

/* ------------------------------------------------------------------ branches */

static void walk_page(struct pages *p, struct tree *t, uint64_t number, struct bounds in,
                      unsigned depth, int level);

/* The first key of a branch is none: all that is below the second is there. */
static void walk_branch(struct pages *p, struct tree *t, const struct page *g, struct bounds in,
                        unsigned depth, int level)
{
    t->branches++;
    for (size_t i = 1; i < g->count; i++) {
        struct bounds left = {i > 1 ? key_at(g, i - 1) : in.low, in.high};
        if (!key_fits(p, t, g, key_at(g, i), &left, i > 1))
            return;
    }
    for (size_t i = 0; i < g->count && !p->err; i++) {
        size_t at;
        struct node node = node_at(g, i, &at);
        uint64_t child = node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
        struct bounds of = {i > 0 ? key_at(g, i) : in.low,
                            i + 1 < g->count ? key_at(g, i + 1) : in.high};
        walk_page(p, t, child, of, depth - 1, level + 1);
    }
}

static bool is_kind(const struct tree *t, const struct page *g, unsigned depth)
{
    unsigned leaf = t->within_dups && t->row->flags ? PAGE_LEAF | PAGE_FIXED : PAGE_LEAF;
    bool fixed_fits = !(g->head.flags & PAGE_FIXED) || g->head.pad == t->row->pad;
    size_t least = depth > 1 && !t->is_free ? 2 : 1;
    return g->head.flags == (depth > 1 ? PAGE_BRANCH : leaf) && fixed_fits && g->count >= least;
}

static void walk_page(struct pages *p, struct tree *t, uint64_t number, struct bounds in,
                      unsigned depth, int level)
{
    uint8_t *room = p->room + (size_t)level * p->size;
    struct page g = {.number = number, .bytes = room, .size = p->size};
    if (!pages_take(p, number, 1) || !pages_read(p, number, 1, room) || !read_head(p, &g))
        return;
    if (g.head.number != number || !is_kind(t, &g, depth))
        pages_tell(p, "page %" PRIu64 " is not what should be there", number);
    else if (depth > 1)
        walk_branch(p, t, &g, in, depth, level);
    else
        walk_leaf(p, t, &g, in, level);
}

void pages_walk(struct pages *p, struct tree *t, int level)
{
    const struct tree_row *row = t->row;
    uint64_t faults = p->faults;
    if (row->depth > DEPTH_MAX || (row->depth == 0) != (row->root == NO_PAGE)) {
        pages_tell(p, "the root of a tree is damaged");
        return;
    }
    if (row->depth > 0)
        walk_page(p, t, row->root, (struct bounds){0}, row->depth, level);
    if (p->err || p->faults > faults)
        return;
    if (row->branches != t->branches || row->leaves != t->leaves ||
        row->overflows != t->overflows || row->entries != t->entries)
        pages_tell(p, "the counts of its pages and rows are not right");
}
