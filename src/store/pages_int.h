/* pages_int.h - how a page of LMDB 0.9 is laid out, on a little-endian machine of 64 bits. */
#ifndef STORE_PAGES_INT_H
#define STORE_PAGES_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "store/pages.h"

enum {
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_DIRTY = 0x10, /* stays set in a page within a page */
    PAGE_FIXED = 0x20, /* a leaf of keys of one size, and no values */
    PAGE_WITHIN = 0x40,
    NODE_BIG = 0x01,  /* the value is in overflow pages: here is the number of the first */
    NODE_TREE = 0x02, /* the value is a tree's root */
    NODE_DUPS = 0x04, /* the values of this key are in order within */
    NODE_HEAD = 8,
    KEY_MAX = 511,
    DEPTH_MAX = 32,             /* LMDB's cursors go no deeper */
    LEVELS_MAX = 3 * DEPTH_MAX, /* the catalogue, a database, the values of a key */
    PAGE_SIZE_LEAST = 512,
    PAGE_SIZE_MOST = 65536,
    VERSION = 1,
};

#define MAGIC UINT32_C(0xBEEFC0DE)
#define NO_PAGE UINT64_MAX

struct page_head {
    uint64_t number;
    uint16_t pad; /* PAGE_FIXED: the size of a key */
    uint16_t flags;
    union {
        struct {
            uint16_t lower, upper; /* the free room within */
        };
        uint32_t pages; /* PAGE_OVERFLOW: how many, this one among them */
    };
};
_Static_assert(sizeof(struct page_head) == 16, "as LMDB has it");

struct node {           /* 8 bytes, then the key, then the value */
    uint16_t low, high; /* a leaf's: bytes of the value. a branch's: with flags, the child */
    uint16_t flags;
    uint16_t key_len;
};
_Static_assert(sizeof(struct node) == NODE_HEAD, "as LMDB has it");

struct tree_row { /* a tree's root, and what is said about it */
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
_Static_assert(sizeof(struct tree_row) == 48, "as LMDB has it");

struct meta_row {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree_row free, main; /* free.pad: the size of a page */
    uint64_t last, txn;
};
_Static_assert(sizeof(struct meta_row) == 136, "as LMDB has it");

struct pages {
    int fd;
    const struct pages_check *how;
    uint32_t size;  /* of a page */
    uint64_t last;  /* the highest number in use */
    uint64_t there; /* whole pages in the file */
    uint64_t txn;
    uint8_t *seen;    /* a bit for each page that was met */
    uint8_t *room;    /* a page for each level of the walk */
    uint8_t *big;     /* a row in overflow pages; NULL until one is wanted */
    uint64_t counted; /* pages that were met */
    uint64_t faults;
    unsigned known, unknown; /* databases */
    const char *tree;        /* the one at hand */
    enum hoist_err err;      /* that ended the walk */
};

struct tree { /* one that is walked, and what was met in it */
    const struct tree_row *row;
    struct slice name; /* empty: no database */
    uint64_t branches, leaves, overflows, entries;
    bool is_catalogue, is_free, within_dups;
};

PRINTF_LIKE(2, 3)
void pages_tell(struct pages *p, const char *fmt, ...);

/* Read `n` pages from number `at` on. False: they are not there, which was told, or p->err. */
bool pages_read(struct pages *p, uint64_t at, size_t n, uint8_t *out);

/* Note that a page is used, here; false (and told) when it cannot be. */
bool pages_take(struct pages *p, uint64_t number, uint64_t n);

/* Walk a tree; its pages are read into p->room from `level` on. */
void pages_walk(struct pages *p, struct tree *tree, int level);

#endif
