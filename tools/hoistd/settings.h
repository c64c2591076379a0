/* settings.h - hoistd's options: the tables behind --help, and what they say. */
#ifndef HOISTD_SETTINGS_H
#define HOISTD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bundle.h"
#include "base/err.h"
#include "base/log.h"
#include "base/options.h"
#include "base/sign.h"
#include "http/ofrep.h"
#include "http/prometheus.h"
#include "primary/primary.h"
#include "repl/quota.h"
#include "store/store.h"

enum role { ROLE_PRIMARY, ROLE_RELAY, ROLE_AGENT, ROLE_DEV, ROLE_COUNT };

struct role_info {
    const char *name;
    const char *what; /* one line */
    const char *text; /* what --help says above the options */
    const struct option *options;
};
extern const struct role_info roles[ROLE_COUNT];

enum { HTTP_COUNT = 2 };
extern const char *const http_options[HTTP_COUNT]; /* "--http", and that of dev's second address */

struct settings { /* text belongs to `options`, but for store and id */
    enum role role;
    struct options *options;
    char *store;
    char *id;
    const char *const *envs;
    size_t env_count;
    const char **followed;     /* those, where Hoist's own are among them; else NULL */
    const char *const *listen; /* NULL: the default ones */
    size_t listen_count;
    const char *stream;
    const char *const *privates; /* "ENV=URL" */
    size_t private_count;
    const char *const *upstreams;
    size_t upstream_count;
    const char *const *labels;
    size_t label_count;
    const char *http[HTTP_COUNT]; /* NULL: off */
    struct ofrep_config ofrep;    /* but for its store */
    struct bundle *bundle;        /* what --join says; NULL: nothing */
    struct tls_files tls;         /* of tls+tcp and HTTPS addresses */
    struct tls_files private_tls; /* of --private addresses: what --private-join says */
    bool has_tls;                 /* also when `tls` was taken away */
    bool https_any_client;
    const char *server_name; /* of upstream's certificate; NULL: the host of its URL */
    bool insecure;           /* plain tcp and http may leave this machine */
    uint32_t heartbeat_ms;
    enum anonymous anonymous;
    const char *const *kill_on_alert;
    size_t kill_count;
    const char *webhook_tokens; /* NULL: there is no webhook */
    const char *const *notify;  /* "NAME=KIND:FILE" */
    size_t notify_count;
    struct prometheus_config prometheus; /* its url NULL: none */
    const char *sign_key;                /* NULL: the one in the store's directory */
    struct trust trust;
    struct quota_limits quota; /* of all but an agent, as it was said */
    struct store_options store_options;
};

/* Whether it has an upstream; else it is the primary. */
bool settings_follows(enum role role);

/* Read arguments, environment and file for `role`. EINVAL with the sentence; ENOMEM. */
MUST_USE enum hoist_err settings_read(enum role role, int argc, char **argv, struct settings *ret);
void settings_done(struct settings *s);

/* Whether hosts or HTTP's clients come to it by TLS; not those of private environments. */
bool settings_serves_tls(const struct settings *s);

/* Take over what can change while hoistd runs: the log's level and format. */
MUST_USE enum hoist_err settings_apply_log(const struct settings *s);
enum log_format settings_log_format(const struct settings *s);

#endif
