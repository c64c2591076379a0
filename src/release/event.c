#include "release/event.h"

#include <math.h>

#include "wire/mp.h"

enum { HEAD_FIELDS = 5, ANSWER_FIELDS = 3, FLEET_FIELDS = 5, BOUND_FIELDS = 3 };

/* So that a time and a duration add up to one. */
static const int64_t TIME_MAX = INT64_C(1) << 53;

#define STEP RELEASE_HAS_STEP
#define BY RELEASE_HAS_BY
#define TEXT RELEASE_HAS_TEXT
#define BOUND RELEASE_HAS_BOUND
#define FLEET RELEASE_HAS_FLEET

static const struct kind {
    const char *name;
    uint32_t fields;
} kinds[RELEASE_EVENT_KINDS] = {
    [RELEASE_STARTED] = {"started", BY | BOUND | FLEET},
    [RELEASE_TICK] = {"tick", STEP | RELEASE_HAS_EXPOSED | RELEASE_HAS_ANSWERS | FLEET},
    [RELEASE_CHANGED] = {"changed", STEP | RELEASE_HAS_ENV | RELEASE_HAS_VERSION | BOUND},
    [RELEASE_FLEET] = {"fleet", FLEET},
    [RELEASE_SIGNED] = {"signed", STEP | RELEASE_HAS_ROLE | BY | BOUND},
    [RELEASE_ATTESTED] = {"attested", STEP | RELEASE_HAS_CHECK | RELEASE_HAS_PASSED | BY | BOUND |
                                          RELEASE_HAS_EVIDENCE},
    [RELEASE_HELD] = {"held", BY | TEXT},
    [RELEASE_RESUMED] = {"resumed", BY},
    [RELEASE_ABORTED] = {"aborted", BY | TEXT},
    [RELEASE_ALERTED] = {"alerted", TEXT},
    [RELEASE_KILLED] = {"killed", RELEASE_HAS_ENV | RELEASE_HAS_FLAG | BY},
    [RELEASE_RESTORED] = {"restored", RELEASE_HAS_ENV | RELEASE_HAS_FLAG | BY},
    [RELEASE_RESTARTED] = {"restarted", 0},
    [RELEASE_NOTED] = {"noted", BY | TEXT},
};

const char *release_event_name(enum release_event_kind kind)
{
    return kinds[kind].name;
}

enum release_event_kind release_event_kind(struct slice name)
{
    for (int kind = 1; kind < RELEASE_EVENT_KINDS; kind++)
        if (slice_eq(slice_str(kinds[kind].name), name))
            return (enum release_event_kind)kind;
    return 0;
}

uint32_t release_event_fields(enum release_event_kind kind)
{
    return kinds[kind].fields;
}

/* ------------------------------------------------------------------ writing */

static void put_answers(const struct release_event *e, struct buf *out)
{
    mp_put_array(out, (uint32_t)__builtin_popcount(e->asked));
    for (uint32_t left = e->asked; left; left &= left - 1) {
        uint32_t guard = (uint32_t)__builtin_ctz(left);
        mp_put_array(out, ANSWER_FIELDS);
        mp_put_u64(out, guard);
        mp_put_u64(out, e->answers[guard].verdict);
        mp_put_double(out, e->answers[guard].value);
    }
}

static void put_fleet(const struct release_event *e, struct buf *out)
{
    mp_put_array(out, e->fleet_count);
    for (uint32_t i = 0; i < e->fleet_count; i++) {
        const struct release_fleet *f = &e->fleet[i];
        mp_put_array(out, FLEET_FIELDS);
        mp_put_u64(out, f->env);
        mp_put_u64(out, f->version);
        mp_put_u64(out, f->live);
        mp_put_u64(out, f->lagging);
        mp_put_u64(out, f->silent);
    }
}

static void put_bound(const struct release_bound_to *b, struct buf *out)
{
    mp_put_array(out, BOUND_FIELDS);
    mp_put_bin(out, slice_of(b->plan, HASH_SIZE));
    mp_put_bin(out, slice_of(b->definitions, HASH_SIZE));
    mp_put_str(out, b->commit);
}

static void put_field(enum release_event_field field, const struct release_event *e,
                      struct buf *out)
{
    switch (field) {
    case RELEASE_HAS_STEP:
        mp_put_u64(out, e->step);
        break;
    case RELEASE_HAS_ENV:
        mp_put_u64(out, e->env);
        break;
    case RELEASE_HAS_FLAG:
        mp_put_u64(out, e->flag);
        break;
    case RELEASE_HAS_ROLE:
        mp_put_u64(out, e->role);
        break;
    case RELEASE_HAS_CHECK:
        mp_put_u64(out, e->check);
        break;
    case RELEASE_HAS_PASSED:
        mp_put_bool(out, e->passed);
        break;
    case RELEASE_HAS_VERSION:
        mp_put_u64(out, e->version);
        break;
    case RELEASE_HAS_EXPOSED:
        mp_put_u64(out, e->exposed);
        break;
    case RELEASE_HAS_ANSWERS:
        put_answers(e, out);
        break;
    case RELEASE_HAS_FLEET:
        put_fleet(e, out);
        break;
    case RELEASE_HAS_BOUND:
        put_bound(&e->bound, out);
        break;
    case RELEASE_HAS_BY:
        mp_put_str(out, e->by);
        break;
    case RELEASE_HAS_TEXT:
        mp_put_str(out, e->text);
        break;
    case RELEASE_HAS_EVIDENCE:
        mp_put_bin(out, e->evidence);
        break;
    case RELEASE_FIELDS:
        break;
    }
}

enum hoist_err release_event_encode(const struct release_event *e, struct buf *out)
{
    uint32_t fields = kinds[e->kind].fields;
    mp_put_array(out, HEAD_FIELDS + (uint32_t)__builtin_popcount(fields));
    mp_put_u64(out, RELEASE_EVENT_MAJOR);
    mp_put_u64(out, e->kind);
    mp_put_i64(out, e->wall_ms);
    mp_put_u64(out, e->boot);
    mp_put_u64(out, e->boot_ms);
    for (uint32_t left = fields; left; left &= left - 1)
        put_field((enum release_event_field)(left & -left), e, out);
    return buf_err(out);
}

/* ------------------------------------------------------------------ reading */

static uint8_t get_index(struct mp_reader *r, uint32_t count)
{
    uint32_t index = mp_u32(r);
    if (!r->bad && index >= count)
        mp_fail(r, "an index beyond the most that a plan may have");
    return r->bad ? 0 : (uint8_t)index;
}

/* The front of an array of `fields` elements or more; how many more. */
static uint32_t open_tuple(struct mp_reader *r, uint32_t fields)
{
    uint32_t elements = mp_array(r, UINT32_MAX);
    if (!r->bad && elements < fields)
        mp_fail(r, "elements are missing");
    return r->bad ? 0 : elements - fields;
}

static void skip(struct mp_reader *r, uint32_t elements)
{
    for (; elements > 0 && !r->bad; elements--)
        mp_skip(r);
}

static void get_answers(struct mp_reader *r, struct release_event *e)
{
    for (uint32_t count = mp_array(r, RELEASE_GUARDS_MAX); count > 0 && !r->bad; count--) {
        uint32_t more = open_tuple(r, ANSWER_FIELDS);
        uint8_t guard = get_index(r, RELEASE_GUARDS_MAX);
        uint32_t verdict = mp_u32(r);
        double value = mp_double(r);
        skip(r, more);
        if (!r->bad && (verdict < RELEASE_PASS || verdict > RELEASE_ERROR))
            mp_fail(r, "no verdict");
        if (!r->bad && !isfinite(value))
            mp_fail(r, "a guard's value that is not finite");
        if (!r->bad && e->asked & 1u << guard)
            mp_fail(r, "a guard that answers twice");
        e->asked |= 1u << guard;
        e->answers[guard] = (struct release_answer){(enum release_verdict)verdict, value};
    }
}

static void get_fleet(struct mp_reader *r, struct release_event *e)
{
    e->fleet_count = mp_array(r, RELEASE_ENVS_MAX);
    for (uint32_t i = 0; i < e->fleet_count; i++) {
        struct release_fleet *f = &e->fleet[i];
        uint32_t more = open_tuple(r, FLEET_FIELDS);
        f->env = get_index(r, RELEASE_ENVS_MAX);
        f->version = mp_u64(r);
        f->live = mp_u32(r);
        f->lagging = mp_u32(r);
        f->silent = mp_u32(r);
        skip(r, more);
    }
}

static void get_bound(struct mp_reader *r, struct release_bound_to *b)
{
    uint32_t more = open_tuple(r, BOUND_FIELDS);
    mp_fixed(r, b->plan, HASH_SIZE);
    mp_fixed(r, b->definitions, HASH_SIZE);
    b->commit = mp_text(r, RELEASE_COMMIT_MAX);
    skip(r, more);
}

static void get_field(enum release_event_field field, struct mp_reader *r, struct release_event *e)
{
    switch (field) {
    case RELEASE_HAS_STEP:
        e->step = mp_u32(r);
        break;
    case RELEASE_HAS_ENV:
        e->env = get_index(r, RELEASE_ENVS_MAX);
        break;
    case RELEASE_HAS_FLAG:
        e->flag = get_index(r, RELEASE_FLAGS_MAX);
        break;
    case RELEASE_HAS_ROLE:
        e->role = get_index(r, RELEASE_ROLES_MAX);
        break;
    case RELEASE_HAS_CHECK:
        e->check = get_index(r, RELEASE_CHECKS_MAX);
        break;
    case RELEASE_HAS_PASSED:
        e->passed = mp_bool(r);
        break;
    case RELEASE_HAS_VERSION:
        e->version = mp_u64(r);
        break;
    case RELEASE_HAS_EXPOSED:
        e->exposed = mp_u64(r);
        break;
    case RELEASE_HAS_ANSWERS:
        get_answers(r, e);
        break;
    case RELEASE_HAS_FLEET:
        get_fleet(r, e);
        break;
    case RELEASE_HAS_BOUND:
        get_bound(r, &e->bound);
        break;
    case RELEASE_HAS_BY:
        e->by = mp_text(r, RELEASE_WHO_MAX);
        break;
    case RELEASE_HAS_TEXT:
        e->text = mp_text(r, RELEASE_TEXT_MAX);
        break;
    case RELEASE_HAS_EVIDENCE:
        e->evidence = mp_bin(r);
        if (e->evidence.len > RELEASE_EVIDENCE_MAX)
            mp_limit(r, "evidence longer than allowed");
        break;
    case RELEASE_FIELDS:
        break;
    }
}

static enum hoist_err check_version(const struct mp_reader *r, uint32_t major, uint32_t kind)
{
    if (r->bad)
        return HOIST_OK; /* said by the reader */
    if (major != RELEASE_EVENT_MAJOR)
        return err_set(HOIST_EVERSION,
                       "release event: it has version %u, this program reads version %d", major,
                       RELEASE_EVENT_MAJOR);
    if (kind == 0 || kind >= RELEASE_EVENT_KINDS)
        return err_set(HOIST_EVERSION,
                       "release event: kind %u is none that this program knows; it may be newer",
                       kind);
    return HOIST_OK;
}

enum hoist_err release_event_decode(struct slice row, struct release_event *ret)
{
    struct release_event e = {0};
    struct mp_reader r = mp_reader(row);
    uint32_t more = open_tuple(&r, HEAD_FIELDS);
    uint32_t major = mp_u32(&r), kind = mp_u32(&r);
    enum hoist_err err = check_version(&r, major, kind);
    if (err != HOIST_OK)
        return err;
    e.kind = r.bad ? 0 : (enum release_event_kind)kind;
    e.wall_ms = mp_i64(&r);
    if (e.wall_ms < -TIME_MAX || e.wall_ms > TIME_MAX)
        mp_fail(&r, "a time that no clock shows");
    e.boot = mp_u64(&r);
    e.boot_ms = mp_u64(&r);
    uint32_t fields = kinds[e.kind].fields, count = (uint32_t)__builtin_popcount(fields);
    if (!r.bad && more < count)
        mp_fail(&r, "elements are missing");
    for (uint32_t left = fields; left && !r.bad; left &= left - 1)
        get_field((enum release_event_field)(left & -left), &r, &e);
    skip(&r, r.bad ? 0 : more - count);
    mp_end(&r);
    err = mp_err(&r, "release event");
    if (err == HOIST_OK)
        *ret = e;
    return err;
}
