/* page.h - a page of GitHub's repositories as listings of ours. */
#ifndef MARKETPLACE_PAGE_H
#define MARKETPLACE_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct page {
    json_t *items;   /* an array, owned */
    int64_t total;   /* how many a search has found in all; -1: it is no search */
    bool incomplete; /* the search ran out of time */
};

/* False: the bytes are no page of GitHub's, or a repository in it lacks a field that we need. */
bool page_read(const char *bytes, size_t length, struct page *ret);

#endif
