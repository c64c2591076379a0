/* place.h - what a request's path asks for. */
#ifndef HTTP_PLACE_H
#define HTTP_PLACE_H

#include "base/slice.h"
#include "http/counts.h"

enum { PLACE_KEY_MAX = 1024 }; /* bytes of a key that are looked at; flags' are shorter */

struct place {
    enum http_route route; /* ROUTE_NONE: nothing of OFREP's */
    struct slice prefix;   /* of the path: "/env/NAME", or empty */
    struct slice env;      /* the NAME; empty: the environment that is named first */
    struct slice key;      /* ROUTE_FLAG: decoded, in `text` */
    const char *why;       /* what is wrong with the path, or NULL */
    uint8_t text[PLACE_KEY_MAX];
};

/* `path` as it was sent, which is borrowed: percent-encoded, without the query. Of a key that is
 * encoded badly as much is in `key` as could be read. */
void place_read(struct slice path, struct place *ret);

#endif
