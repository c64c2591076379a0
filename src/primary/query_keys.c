/* query_keys.c - the question `keys`: whose signatures the primary's are. */
#include <string.h>

#include "primary/keys.h"
#include "primary/query_int.h"

static void put_key(struct json_writer *w, const char *name, const uint8_t key[SIGN_PUBLIC_SIZE])
{
    json_key(w, name);
    json_put_hex(w, slice_of(key, SIGN_PUBLIC_SIZE));
}

static void put_certificates(struct json_writer *w, const struct keys *k)
{
    struct certificate c;
    json_key(w, "certificates");
    json_array_begin(w);
    for (uint32_t i = 0; i < k->count; i++) {
        if (certificate_decode(k->list[i], &c) != HOIST_OK)
            continue;
        json_object_begin(w);
        json_key(w, "kind");
        json_put_str(w, c.kind == CERTIFICATE_ROTATE ? "rotate" : "revoke");
        put_key(w, "key", c.key);
        put_key(w, "by", c.by);
        json_key(w, "time");
        json_put_time(w, c.time_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

static const char *const state_words[] = {
    [KEY_UNKNOWN] = "unknown",
    [KEY_TRUSTED] = "trusted",
    [KEY_REVOKED] = "revoked",
    [KEY_DROPPED] = "dropped",
};

/* Each key that is named, once: at its first certificate. */
static void put_state(struct json_writer *w, const struct keys *k, uint32_t at,
                      const uint8_t key[SIGN_PUBLIC_SIZE], const struct sign_key *own)
{
    if (keys_name(k, at, key) || (own && memcmp(key, own->public, SIGN_PUBLIC_SIZE) == 0))
        return;
    json_object_begin(w);
    put_key(w, "key", key);
    json_key(w, "state");
    json_put_str(w, state_words[keys_state(k, key)]);
    json_object_end(w);
}

static void put_keys(struct json_writer *w, const struct keys *k, const struct sign_key *own)
{
    struct certificate c;
    json_key(w, "keys");
    json_array_begin(w);
    for (uint32_t i = 0; i < k->count; i++) {
        if (certificate_decode(k->list[i], &c) != HOIST_OK)
            continue;
        put_state(w, k, i, c.by, own);
        put_state(w, k, i, c.key, own);
    }
    json_array_end(w);
}

uint32_t keys_answer(struct store_read *r, const struct sign_key *own, struct buf *out)
{
    struct keys k;
    enum hoist_err err = keys_read(r, &k);
    if (err != HOIST_OK)
        return query_fail(out, err, NULL);
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    if (own)
        put_key(&w, "signs", own->public);
    put_keys(&w, &k, own);
    put_certificates(&w, &k);
    json_object_end(&w);
    keys_done(&k);
    return query_done(out, EXIT_DONE);
}
