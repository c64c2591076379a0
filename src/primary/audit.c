#include "primary/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "primary/audit_proof.h"

PRINTF_LIKE(3, 4)
static bool breaks(struct audit *a, uint64_t version, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(a->why, sizeof a->why, fmt, args);
    va_end(args);
    a->broken = version;
    return false;
}

static bool follows(struct audit *a, const struct change *c)
{
    static const uint8_t none[HASH_SIZE];
    uint64_t version = c->head.version;
    if (a->count == 0) {
        snprintf(a->env, sizeof a->env, "%.*s", SLICE_ARG(c->head.env));
        a->first = version;
        if (version == 1 && memcmp(c->head.prev, none, HASH_SIZE) != 0)
            return breaks(a, version, "the first change of all names one before it");
        return true;
    }
    if (!slice_eq(slice_str(a->env), c->head.env))
        return breaks(a, version, "it is a change of %.*s, not of %s", SLICE_ARG(c->head.env),
                      a->env);
    if (version != a->last + 1)
        return breaks(a, version, "it does not follow version %" PRIu64, a->last);
    if (memcmp(c->head.prev, a->hash, HASH_SIZE) != 0)
        return breaks(a, version,
                      "the change before it that it names is not the version %" PRIu64 " there is",
                      a->last);
    return true;
}

/* A signature that is there must be right; one that is missing is made up for by a later one. */
static bool is_signed(struct audit *a, const struct change *c)
{
    enum keyring_verdict verdict = KEYRING_KNOWN;
    if (!a->ring)
        return true;
    change_vouch(&a->ring->trusted, c, 1, &a->last_signed);
    a->signed_count += a->last_signed;
    if (!a->last_signed && c->signature.len)
        return breaks(a, c->head.version,
                      "no key that is trusted has made its signature; keys are followed from the "
                      "one that signed v%" PRIu64 " on",
                      a->first);
    if (c->head.certificate.len && keyring_take(a->ring, c->head.certificate, &verdict) != HOIST_OK)
        return breaks(a, c->head.version, "%s", err_last());
    if (verdict == KEYRING_FORGED)
        return breaks(a, c->head.version, "its certificate is not signed by its signer");
    return true;
}

static bool keep_proved(struct audit *a, const struct change *c)
{
    if (a->proved_count == a->proved_room) {
        struct audit_proved *more = mem_grow(a->proved, &a->proved_room, 64, sizeof *more);
        if (!more)
            return breaks(a, c->head.version, "out of memory");
        a->proved = more;
    }
    struct audit_proved *p = &a->proved[a->proved_count++];
    memcpy(p->request, c->head.request, sizeof p->request);
    p->version = c->head.version;
    return true;
}

/* A proof that is there must be one, and of this very command. */
static bool is_proved(struct audit *a, const struct change *c)
{
    struct proof proof;
    if (c->head.proof.len == 0)
        return true;
    if (proof_get(c->head.proof, &proof) != HOIST_OK)
        return breaks(a, c->head.version, "the proof of its author cannot be read: %s", err_last());
    if (memcmp(proof.said.request, c->head.request, REQUEST_ID_SIZE) != 0)
        return breaks(a, c->head.version, "the proof of its author is that of another command");
    if (!proof_holds(&proof))
        return breaks(a, c->head.version, "the key that its proof names has not signed it");
    if (audit_proof_check(&proof, c) != HOIST_OK)
        return breaks(a, c->head.version, "the proof of its author is not of this change: %s",
                      err_last());
    return keep_proved(a, c);
}

/* By request, the oldest first. */
static int by_request(const void *one, const void *two)
{
    const struct audit_proved *a = one, *b = two;
    int order = memcmp(a->request, b->request, sizeof a->request);
    return order ? order : (a->version > b->version) - (a->version < b->version);
}

bool audit_end_proved(struct audit *a)
{
    struct audit_proved *p = a->proved;
    if (p)
        qsort(p, a->proved_count, sizeof *p, by_request);
    for (size_t i = 1; i < a->proved_count; i++)
        if (memcmp(p[i].request, p[i - 1].request, sizeof p->request) == 0 &&
            (!a->broken || p[i].version < a->broken))
            breaks(a, p[i].version,
                   "the proof of its author is that of v%" PRIu64
                   ", and a command is carried out once",
                   p[i - 1].version);
    return !a->broken;
}

void audit_done(struct audit *a)
{
    mem_free(a->proved);
    a->proved = NULL;
}

bool audit_end_signed(struct audit *a)
{
    if (!a->broken && a->ring && a->count == 0)
        return breaks(a, 1, "it is missing, and so is all behind it");
    if (!a->broken && a->ring && !a->last_signed)
        return breaks(a, a->last, "it is not signed, and no change behind it is");
    return !a->broken;
}

bool audit_step(struct audit *a, struct slice change)
{
    struct change c;
    if (a->broken)
        return false;
    if (change_decode(change, &c) != HOIST_OK)
        return breaks(a, a->last + 1, "%s", err_last());
    if (!c.edits.ptr)
        return breaks(a, c.head.version, "its edits are missing");
    if (!follows(a, &c) || !is_signed(a, &c) || !is_proved(a, &c))
        return false;
    a->last = c.head.version;
    a->count++;
    memcpy(a->hash, c.hash, HASH_SIZE);
    return true;
}

bool audit_end(struct audit *a, uint64_t version, const uint8_t hash[HASH_SIZE])
{
    if (a->broken)
        return false;
    if (a->last != version)
        return breaks(a, a->last + 1, "it is missing: the head is version %" PRIu64, version);
    if (memcmp(a->hash, hash, HASH_SIZE) != 0)
        return breaks(a, version, "it is not the change that the environment's head names");
    return true;
}
