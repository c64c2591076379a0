/* news.h - what is told of a change to those who are notified, and how: as Slack's incoming webhooks
 * take it, or as JSON. Pure. */
#ifndef HTTP_NEWS_H
#define HTTP_NEWS_H

#include "base/buf.h"
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

#endif
