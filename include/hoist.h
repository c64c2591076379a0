/* hoist.h - read feature flags from this host's Hoist store.
 *
 * A program opens the store that this host's agent keeps, and reads flags from it through shared
 * memory: no socket, no round trip, no JSON. Reading goes on when the agent, the network or the
 * primary is gone. Nothing here aborts, blocks on the network, or fails a read: a read that cannot
 * do better answers the fallback that the caller gave, and hoist_evaluate() tells why.
 *
 *     hoist *h;
 *     hoist_open(&h, NULL, NULL);
 *     if (hoist_bool(h, "enable-sync", NULL, false)) ...      by key
 *
 *     hoist_flag *sync = hoist_bind(h, "enable-sync");        once
 *     if (hoist_flag_bool(sync, NULL, false)) ...             bound: the fast way
 *
 * Threads: every function may be called from any thread at any time, except that nothing may use a
 * handle while or after it is closed. Fork: a child may go on using its parent's handles; its first
 * slow read opens the store anew. Views do not survive a fork: in the child they answer fallbacks.
 *
 * Counting: each answer is counted by its flag and what the flag yielded, in memory that the process
 * shares with the host's agent, for `flagctl usage` and metrics. That costs a thread one addition a read, 4 KiB
 * of memory and more, a page for each 512 variants it reads; and the process a descriptor, with one more for each
 * store. Nothing else of the program or of a context is told. $HOIST_NO_COUNT, set to anything at the first open,
 * leaves it out.
 */
#ifndef HOIST_H
#define HOIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HOIST_API __attribute__((visibility("default")))
#else
#define HOIST_API
#endif

#define HOIST_VERSION "0.1.0"

/* What can go wrong. hoist_strerror() has a word for each, hoist_last_error() the whole sentence.
 */
enum hoist_err {
    HOIST_OK = 0,
    HOIST_ENOMEM,    /* out of memory */
    HOIST_EINVAL,    /* an argument or an input is wrong */
    HOIST_ENOTFOUND, /* there is no such thing */
    HOIST_EAGAIN,    /* not now; try again later */
    HOIST_ECORRUPT,  /* bytes from disk or network that cannot be right */
    HOIST_EVERSION,  /* a format that this version does not know */
    HOIST_ELIMIT,    /* over a limit */
    HOIST_ECONFLICT, /* the environment has moved on */
    HOIST_EBUSY,     /* somebody else holds it */
    HOIST_EACCES,    /* not allowed */
    HOIST_ENOSPC,    /* no room on the disk, or the store's quota is reached */
    HOIST_EIO,       /* the operating system or a library failed */
    HOIST_ETIMEOUT,  /* no answer in time */
    HOIST_EUNKNOWN,  /* it is not known whether it was done */
};

/* A type of flag value. HOIST_NUMBER is a double; an int accessor takes it when nothing is lost. */
enum hoist_type { HOIST_BOOL = 1, HOIST_NUMBER = 2, HOIST_STRING = 3, HOIST_OBJECT = 4 };

/* Why a read answered what it answered: OpenFeature's reasons. */
enum hoist_reason {
    HOIST_STATIC,  /* the flag has no rule, or is overridden: everybody gets this */
    HOIST_DEFAULT, /* no rule decided: the default variant, or the fallback if it has none */
    HOIST_TARGETING_MATCH, /* a rule chose the variant */
    HOIST_DISABLED,        /* the flag is switched off as a whole: the fallback */
    HOIST_ERROR,           /* see the error code: the fallback */
};

/* What was wrong, when the reason is HOIST_ERROR: OpenFeature's error codes. */
enum hoist_code {
    HOIST_CODE_NONE,
    HOIST_CODE_NOT_READY,     /* PROVIDER_NOT_READY: no store to read from (yet) */
    HOIST_CODE_NOT_FOUND,     /* FLAG_NOT_FOUND */
    HOIST_CODE_TYPE_MISMATCH, /* TYPE_MISMATCH: the flag's value is not of the type asked for */
    HOIST_CODE_PARSE_ERROR,   /* PARSE_ERROR: the stored record cannot be read */
    HOIST_CODE_GENERAL,       /* GENERAL: everything else, `error` in the result says what */
};

typedef struct hoist hoist;           /* one environment of one store */
typedef struct hoist_flag hoist_flag; /* a flag bound to its key; belongs to its hoist */
typedef struct hoist_view hoist_view; /* one version of an environment, pinned */
typedef struct hoist_ctx hoist_ctx;   /* who is asking; NULL: nobody in particular */

/*
 * Open environment `env` of the store in directory `dir`.
 *
 * dir:  NULL means $HOIST_STORE, else /var/lib/hoist for root and ~/.local/state/hoist for others.
 * env:  NULL means $HOIST_ENV, else the environment that the host's agent names first.
 *
 * Gives:   *ret, to be closed with hoist_close(). Whatever is returned but ENOMEM and EINVAL, *ret
 *          is a working handle: as soon as the store is there, its reads find it.
 * Errors:  ENOTFOUND  there is no such store, or no such environment in it, yet
 *          EACCES     this user may not read the store (is it in the store's group?)
 *          EAGAIN     all the store's places for readers are taken
 *          ECORRUPT, EVERSION, EIO, EBUSY  the store cannot be read: hoist_last_error() says why
 *          EINVAL     `dir` or `env` cannot be one's name, or `dir` is on a network filesystem
 *          ENOMEM
 *          On these two *ret is NULL, which every function here takes and answers fallbacks for.
 * Threads: the first open of a process starts one thread of the library's own (signals blocked); it
 *          notices a replaced store within a second, and ends with the last close.
 */
HOIST_API enum hoist_err hoist_open(hoist **ret, const char *dir, const char *env);

/* Options for hoist_open_with(), to be added up. */
enum {
    HOIST_NO_CACHE = 1,  /* read every flag from the store each time; for measurements */
    HOIST_NO_THREAD = 2, /* start no thread: slow reads check for a replaced store themselves.
                          * $HOIST_NO_THREAD set to anything does the same for every open */
};

/* hoist_open() with options. */
HOIST_API enum hoist_err hoist_open_with(hoist **ret, const char *dir, const char *env,
                                         unsigned options);

/* Close `h` with all its bound flags and views. NULL is fine. */
HOIST_API void hoist_close(hoist *h);

/* A word for `err`, such as "not found". Never NULL; static. */
HOIST_API const char *hoist_strerror(enum hoist_err err);

/* The sentence behind the last error of this thread, or "". Valid until the thread's next call. */
HOIST_API const char *hoist_last_error(void);

/* The name of a reason or a code as OpenFeature spells it: "TARGETING_MATCH". "" for none. */
HOIST_API const char *hoist_reason_name(enum hoist_reason reason);
HOIST_API const char *hoist_code_name(enum hoist_code code);

/* ------------------------------------------------------------------ who is asking */

/*
 * A context: what rules can know of the user, request or job that a flag is read for. Its
 * attributes have names and JSON values. `targetingKey` is the one that shares of a rollout go by.
 *
 *     hoist_ctx *ana = hoist_ctx_new();
 *     hoist_ctx_set_string(ana, "targetingKey", "ana");
 *     hoist_ctx_set_json(ana, "{\"plan\": \"pro\", \"groups\": [\"beta\"]}");
 *     if (hoist_flag_bool(sync, ana, false)) ...
 *
 * Make one for each user or request, and read as many flags with it as you like. `$flagd` and
 * `$hoist` are filled in for each evaluation, whatever the context says of them.
 * Threads: one thread changes a context; any number may read flags with it while nobody does.
 * Memory: the context copies what it is given, and belongs to no handle.
 */
HOIST_API hoist_ctx *hoist_ctx_new(void); /* NULL: memory is out. All below take NULL: EINVAL */
HOIST_API void hoist_ctx_free(hoist_ctx *ctx);

/*
 * Set attribute `name`, in place of what it was.
 *
 * Errors:  EINVAL  NULL, not UTF-8, or a number that is not finite
 *          ELIMIT  more than 4,096 attributes
 *          ENOMEM
 *          On error the context is as it was.
 */
HOIST_API enum hoist_err hoist_ctx_set_string(hoist_ctx *ctx, const char *name, const char *value);
HOIST_API enum hoist_err hoist_ctx_set_bool(hoist_ctx *ctx, const char *name, bool value);
HOIST_API enum hoist_err hoist_ctx_set_number(hoist_ctx *ctx, const char *name, double value);

/*
 * Set every member of the JSON object `json`, all of them or none.
 *
 * Errors:  EINVAL  not a JSON object: hoist_last_error() gives line and column
 *          ELIMIT  longer than 1 MiB, deeper than 64 levels, more than 16,384 values or 4,096
 *                  attributes
 *          ENOMEM
 */
HOIST_API enum hoist_err hoist_ctx_set_json(hoist_ctx *ctx, const char *json);

/* Take attribute `name` away; or all of them, so that the context can be used for somebody else. */
HOIST_API void hoist_ctx_unset(hoist_ctx *ctx, const char *name);
HOIST_API void hoist_ctx_clear(hoist_ctx *ctx);

/* ------------------------------------------------------------------ reading */

/*
 * The value of flag `key` for `ctx`, or `fallback`.
 *
 * Cannot fail: a flag that is missing, disabled or of another type answers `fallback`;
 * hoist_evaluate() tells which of these it was. hoist_int() takes a number that is whole and within
 * an int64_t, and nothing else.
 * Threads: any number at once; a rule takes 40 KiB of stack. Memory: a flag seen before allocates
 * nothing, whatever its rule; nothing is kept of `key` and `ctx`.
 */
HOIST_API bool hoist_bool(hoist *h, const char *key, const hoist_ctx *ctx, bool fallback);
HOIST_API int64_t hoist_int(hoist *h, const char *key, const hoist_ctx *ctx, int64_t fallback);
HOIST_API double hoist_double(hoist *h, const char *key, const hoist_ctx *ctx, double fallback);

/*
 * The same for text, and for objects as JSON text: the value is copied into `buf` of `size` bytes,
 * cut short if need be and always ended with a NUL (unless `size` is 0).
 *
 * Gives:   the length of the whole value in bytes without the NUL, like snprintf(): the copy is
 *          complete if that is less than `size`. `fallback` may be NULL, which copies as "".
 */
HOIST_API size_t hoist_string(hoist *h, const char *key, const hoist_ctx *ctx, const char *fallback,
                              char *buf, size_t size);
HOIST_API size_t hoist_object(hoist *h, const char *key, const hoist_ctx *ctx, const char *fallback,
                              char *buf, size_t size);

/* A decision in full. */
struct hoist_result {
    enum hoist_type type;     /* the type asked for; the flag's own if 0 was asked for */
    bool ok;                  /* there is a value; else the caller's fallback holds */
    bool boolean;             /* the value, if type is HOIST_BOOL */
    double number;            /* the value, if HOIST_NUMBER */
    enum hoist_reason reason; /* why */
    enum hoist_code code;     /* what was wrong, if reason is HOIST_ERROR */
    uint64_t version;         /* the environment's version that was read; 0 if none was */
    size_t length;            /* bytes of text or JSON, for HOIST_STRING and HOIST_OBJECT */
    char variant[256];        /* the variant's name, or "" */
    char error[160];          /* a sentence, if reason is HOIST_ERROR */
    size_t metadata_length;   /* bytes of the flag's metadata as JSON; 0: it has none */
    char metadata[512];       /* the metadata, an object; "" if it has none, or does not fit */
};

/*
 * Evaluate flag `key` for `ctx` as a value of type `want` (0: of whatever type it is).
 *
 * Gives:   *ret, always filled; text and JSON are copied into `buf` as hoist_string() does.
 *          `buf` may be NULL with `size` 0. Returns ret->ok.
 */
HOIST_API bool hoist_evaluate(hoist *h, const char *key, const hoist_ctx *ctx, enum hoist_type want,
                              struct hoist_result *ret, char *buf, size_t size);

/*
 * How flag `key` is decided for `ctx`: what it yields, then a line for each operator of its rule in
 * the order in which they were evaluated, with what it compared and what it yielded. For people: the
 * text may change with any release.
 *
 * Gives:   the length of the text, which is copied as hoist_string() does. It is at most 256 KiB:
 *          what is longer is cut at the end.
 */
HOIST_API size_t hoist_explain(hoist *h, const char *key, const hoist_ctx *ctx, char *buf,
                               size_t size);

/*
 * Bind flag `key`, so that reading it costs no lookup.
 *
 * The flag need not exist (yet). The same key gives the same handle each time. The handle lives
 * until hoist_close(). NULL when memory is out or an argument is NULL; reading through NULL answers
 * the fallback.
 */
HOIST_API hoist_flag *hoist_bind(hoist *h, const char *key);

/* As hoist_bool() and its sisters, for a bound flag. */
HOIST_API bool hoist_flag_bool(hoist_flag *f, const hoist_ctx *ctx, bool fallback);
HOIST_API int64_t hoist_flag_int(hoist_flag *f, const hoist_ctx *ctx, int64_t fallback);
HOIST_API double hoist_flag_double(hoist_flag *f, const hoist_ctx *ctx, double fallback);
HOIST_API size_t hoist_flag_string(hoist_flag *f, const hoist_ctx *ctx, const char *fallback,
                                   char *buf, size_t size);
HOIST_API size_t hoist_flag_object(hoist_flag *f, const hoist_ctx *ctx, const char *fallback,
                                   char *buf, size_t size);
HOIST_API bool hoist_flag_evaluate(hoist_flag *f, const hoist_ctx *ctx, enum hoist_type want,
                                   struct hoist_result *ret, char *buf, size_t size);

/*
 * Pin the present version: all that is read through the view agrees with each other, also while
 * changes land. For the length of one request, not longer: a view that stays open keeps the store
 * from reusing space, and `flagctl status` names it after 5 seconds.
 *
 * Errors:  EAGAIN     64 views are open in this process
 *          ENOTFOUND and others as hoist_open(), when there is no store to pin
 * Threads: a view is used by one thread at a time.
 */
HOIST_API enum hoist_err hoist_view_begin(hoist *h, hoist_view **ret);
HOIST_API void hoist_view_end(hoist_view *v);

/* The version that `v` pins. */
HOIST_API uint64_t hoist_view_version(const hoist_view *v);

/* As hoist_bool() and its sisters, at the view's version. */
HOIST_API bool hoist_view_bool(hoist_view *v, const char *key, const hoist_ctx *ctx, bool fallback);
HOIST_API int64_t hoist_view_int(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                 int64_t fallback);
HOIST_API double hoist_view_double(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                   double fallback);
HOIST_API bool hoist_view_evaluate(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                   enum hoist_type want, struct hoist_result *ret, char *buf,
                                   size_t size);

/*
 * Text, and objects as JSON, lent until hoist_view_end(): no copy to make room for.
 * Gives:   the text, ended with a NUL, its length in *ret_length unless that is NULL; or `fallback`.
 */
HOIST_API const char *hoist_view_string_ref(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                            const char *fallback, size_t *ret_length);
HOIST_API const char *hoist_view_object_ref(hoist_view *v, const char *key, const hoist_ctx *ctx,
                                            const char *fallback, size_t *ret_length);

/* The newest version of the environment on this host; 0 when there is no store to read. */
HOIST_API uint64_t hoist_version(hoist *h);

/*
 * A descriptor that turns readable when a change has landed in the store: for poll(), select(),
 * epoll. Call hoist_watch_clear() before reading the flags anew, so that no change is missed. It
 * may also turn readable without a change. It belongs to `h`, and is the same at each call.
 *
 * Gives:   the descriptor, or -1 (hoist_last_error() says why).
 */
HOIST_API int hoist_watch_fd(hoist *h);
HOIST_API void hoist_watch_clear(hoist *h);

#ifdef __cplusplus
}
#endif
#endif
