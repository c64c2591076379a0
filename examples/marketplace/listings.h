/* listings.h - the service's data: listings by id, and what is known of each of GitHub's URLs.
 *
 * An LMDB environment in a directory of its own. A page is stored in one transaction with its URL's
 * ETag: whoever looks sees the whole page or none of it, also after a crash. Functions that return
 * an int give 0, or what mdb_strerror() has words for.
 */
#ifndef MARKETPLACE_LISTINGS_H
#define MARKETPLACE_LISTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct listings;

int listings_open(const char *dir, struct listings **ret);
void listings_close(struct listings *l);

struct url_known { /* of one URL, as its last answer said */
    char etag[256];
    char next[2048];  /* the page behind it; "": it is the last */
    char moved[2048]; /* where it is now; "": here */
};

/* All empty where the URL is new. */
int listings_url(struct listings *l, const char *url, struct url_known *ret);

/*
 * Store the listings in array `items`, each an object with id, name and description, in place of
 * those with the same id; and `known` of `url`, unless that is NULL. All or nothing.
 */
int listings_store(struct listings *l, const json_t *items, const char *url,
                   const struct url_known *known);

struct listings_query {
    uint64_t page, per_page; /* from 1 on */
    const char *text;        /* in name or description, whatever its case; "" or NULL: any */
    bool github;             /* those that came from GitHub, too */
};

/* One page, by id: *ret_items is a new array, *ret_total how many there are in all. */
int listings_find(struct listings *l, const struct listings_query *q, json_t **ret_items,
                  uint64_t *ret_total);

/* The listing `id`, a new object; NULL: there is none (of that kind). */
int listings_get(struct listings *l, uint64_t id, bool github, json_t **ret);

#endif
