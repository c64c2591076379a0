/* news.h - what is told of a change, or of a release, to those who are notified, and how: as Slack's incoming webhooks
 * take it, or as JSON. Pure. */
#ifndef HTTP_NEWS_H
#define HTTP_NEWS_H

#include "base/buf.h"
#include "release/engine.h"
#include "wire/change.h"

enum {
    NEWS_FLAGS_SHOWN = 50,
    NEWS_SLACK_FLAGS_SHOWN = 10,
    NEWS_BODY_MAX = 128 << 10,
    NEWS_ID_SIZE = 128,
};

/* Whether a change is one that somebody is notified of: a kill, a restore or a rollback. */
bool news_is(const struct change_header *head);

/* "ENV/EPOCH/VERSION": the same each time it is sent, and of no other event. */
void news_id(const struct change_header *head, char out[NEWS_ID_SIZE]);

/* Appends {"text": …}, in which nothing of the change is a link or a mention. */
void news_put_slack(struct buf *out, const struct change *c);

/* Appends an object: id, event, env, epoch, version, time, author, message, flags (the first
 * NEWS_FLAGS_SHOWN), flags_count, request; of a rollback `restores`, where it says to which version. */
void news_put_json(struct buf *out, const struct change *c);

/* ------------------------------------------------------------------ releases */

struct release_news { /* all of it is borrowed */
    const struct release_plan *plan;
    uint32_t id;
    uint64_t sequence; /* of its event */
    int64_t time_ms;
    const struct release_effects *said; /* at least a line */
};

/* "release/NAME/NUMBER/SEQUENCE", as news_id(). */
void news_release_id(const struct release_news *n, char out[NEWS_ID_SIZE]);

/* As news_put_slack(): what was said, a line each. */
void news_put_release_slack(struct buf *out, const struct release_news *n);

/* Appends an object: id, event ("release"), release, title, sequence, time, page, text (an array of what was said). */
void news_put_release_json(struct buf *out, const struct release_news *n);

#endif
