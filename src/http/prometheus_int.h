/* prometheus_int.h - what prometheus's files share. */
#ifndef HTTP_PROMETHEUS_INT_H
#define HTTP_PROMETHEUS_INT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/tls.h"
#include "http/curl_int.h"
#include "http/prometheus.h"
#include "http/prometheus_range.h"

/* ------------------------------------------------------------------ prometheus_read.c */

struct prometheus_said { /* what came back over HTTP */
    long status;
    const char *content_type; /* NULL: none was given */
    struct slice body;
};

/* The verdict on `q`. Pure; never fails: what cannot be read is ERROR. */
void prometheus_read(const struct prometheus_query *q, const struct prometheus_said *said,
                     int64_t now_ms, int64_t stale_ms, struct prometheus_answer *ret);

/* The answer's JSON, with status success and no warning, to be given back; NULL: it is not that, and *ret
 * says why. */
json_t *prometheus_open(const struct prometheus_said *said, struct prometheus_answer *ret);

/* A decimal, or one of Prometheus's words for what is not finite. */
bool prometheus_number(const char *text, double *ret);

/* A verdict without a value, and why. */
PRINTF_LIKE(3, 4)
void prometheus_no_value(struct prometheus_answer *a, enum release_verdict verdict, const char *fmt,
                         ...);

/* ------------------------------------------------------------------ prometheus_call.c */

struct prometheus_secrets { /* what the files say */
    char *token, *user;
    struct tls_files tls; /* any of them may be missing */
};

/* EINVAL names the option and the file. */
MUST_USE enum hoist_err prometheus_secrets_read(const struct prometheus_config *c,
                                                struct prometheus_secrets *ret);
void prometheus_secrets_done(struct prometheus_secrets *s);

MUST_USE enum hoist_err prometheus_check_url(const struct prometheus_config *c);

struct prometheus_call { /* one query on its way */
    CURL *curl;
    struct buf url, form, body;
    size_t answer_max;
    char why[CURL_ERROR_SIZE];
};

/* Everything but adding it to a multi handle; given up after `left_ms`. `s` must stay until _done().
 * Without a range it asks about now. ENOMEM. */
MUST_USE enum hoist_err prometheus_call_init(struct prometheus_call *call,
                                             const struct prometheus_config *c,
                                             const struct prometheus_secrets *s, const char *query,
                                             const struct prometheus_range *range, int64_t left_ms);
void prometheus_call_done(struct prometheus_call *call); /* fine on what is zeroed */

/* What came back; false: nothing did, or not all of it, and *ret says why. */
bool prometheus_call_said(struct prometheus_call *call, CURLcode code,
                          const struct prometheus_config *c, struct prometheus_said *ret_said,
                          struct prometheus_answer *ret);

/* What `code` makes of it. */
void prometheus_call_answer(struct prometheus_call *call, CURLcode code,
                            const struct prometheus_config *c, const struct prometheus_query *q,
                            struct prometheus_answer *ret);

#endif
