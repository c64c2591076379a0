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

#include "ids.h"

struct listings;

int listings_open(const char *dir, struct listings **ret);
void listings_close(struct listings *l);

enum { URL_IDS_MAX = 100 /* listings on a page, as asked for */ };

struct url_known { /* of one URL, as its last answer said */
    char etag[256];
    char next[2048];  /* the page behind it; "": it is the last */
    char moved[2048]; /* where it is now; "": here */
    int64_t total;    /* how many a search has found; -1: not said */
    bool incomplete;  /* … and has not found all of them */
    uint32_t id_count;
    uint64_t ids[URL_IDS_MAX]; /* the listings on it */
};

/* All empty where the URL is new. */
int listings_url(struct listings *l, const char *url, struct url_known *ret);

/*
 * Store the listings in array `items`, each an object with id, name and description, in place of
 * those with the same id; and `known` of `url`, unless that is NULL. All or nothing.
 */
int listings_store(struct listings *l, const json_t *items, const char *url,
                   const struct url_known *known);

/*
 * A run has seen all of GitHub's listings there are, and they are `seen`, which is sorted. What it has not seen is
 * marked; what the run before it had not seen either goes: *ret_gone of them. All or nothing.
 *
 * Not at once, since a repository can be missed that is there: one that goes while its list is read moves
 * those behind it up a place, and the first of the next page to the page that was read already.
 */
int listings_settle(struct listings *l, const struct ids *seen, uint64_t *ret_gone);

/* What the worker must still know when it begins anew, and when another process's worker goes on. */
struct worker_state {
    int64_t quiet_until_ms,
        quiet_ms;      /* nothing is sent before; and how long that was when it was said */
    int64_t ended_ms;  /* the last run that was not stopped; 0: there was none */
    int64_t success_s; /* when the last one succeeded; 0 */
    int64_t limit, remaining, reset_s; /* the budget as GitHub said it last; -1: it has not */
    int64_t poll_interval_s;           /* how rarely GitHub wants to be asked; 0 */
};

int listings_state(struct listings *l, struct worker_state *ret);
int listings_put_state(struct listings *l, const struct worker_state *state);

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
