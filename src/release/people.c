/* What people say of a release: signatures, attestations, hold, resume, abort. */
#include <inttypes.h>
#include <string.h>

#include "release/engine_int.h"

static bool is(const char *field, size_t size, struct slice text)
{
    return slice_eq(slice_of(field, strnlen(field, size)), text);
}

/* Whether somebody means the release as it stands. */
static bool is_of_here(struct taking *t)
{
    const struct release_bound_to *bound = &t->e->bound;
    if (t->r->state != RELEASE_MOVING || t->e->step != t->r->step)
        release_refuse(t, "it is for step %" PRIu64 ", and the release is at step %u",
                       (uint64_t)t->e->step + 1, t->r->step + 1);
    else if (!hash_equal(bound->plan, t->plan->hash))
        release_refuse(t, "it is for another plan");
    else if (!hash_equal(bound->definitions, t->r->definitions))
        release_refuse(t, "it is for other definitions of the flags");
    else if (!is(t->r->commit, sizeof t->r->commit, bound->commit))
        release_refuse(t, "it is for another commit");
    else
        return true;
    return false;
}

static bool has_role(const struct release_role *role, int person)
{
    for (uint32_t i = 0; i < role->people_count; i++)
        if (role->people[i] == person)
            return true;
    return false;
}

void release_take_signed(struct taking *t)
{
    const struct release_step *s = release_here(t);
    struct release_record *r = t->r;
    uint32_t at = 0;
    if (!is_of_here(t))
        return;
    while (at < s->sign_count && s->signs[at].role != t->e->role)
        at++;
    int person = release_person_find(t->plan, t->e->by);
    if (at == s->sign_count) {
        release_refuse(t, "this step asks for no signature of that role");
        return;
    }
    if (person < 0 || !has_role(&t->plan->roles[t->e->role], person)) {
        release_refuse(t, "'%.*s' has not that role in the plan", SLICE_ARG(t->e->by));
        return;
    }
    if (is(r->author, sizeof r->author, t->e->by)) {
        release_refuse(t, "'%.*s' started the release, and cannot sign for it",
                       SLICE_ARG(t->e->by));
        return;
    }
    if (slice_eq(t->plan->author, t->e->by)) {
        release_refuse(t, "'%.*s' wrote the plan, and cannot sign for it", SLICE_ARG(t->e->by));
        return;
    }
    for (uint32_t i = 0; i < s->sign_count; i++) {
        if (r->signs[i].person != (uint64_t)person + 1 && (i != at || !r->signs[i].person))
            continue;
        release_refuse(t, i == at ? "it is signed already" : "'%.*s' has signed for another role",
                       SLICE_ARG(t->e->by));
        return;
    }
    r->signs[at] = (struct release_sign_record){t->e->wall_ms, (uint64_t)person + 1};
    release_say(t, false, "signed by %.*s as %.*s", SLICE_ARG(t->e->by),
                SLICE_ARG(t->plan->roles[t->e->role].name));
}

void release_take_attested(struct taking *t)
{
    if (!is_of_here(t))
        return;
    if (t->e->check >= t->plan->check_count || !(release_here(t)->checks >> t->e->check & 1)) {
        release_refuse(t, "this step asks for no such check");
        return;
    }
    struct release_check_record *had = &t->r->checks[t->e->check];
    if (!had->passed || !t->e->passed || t->plan->checks[t->e->check].every_ms)
        *had = (struct release_check_record){t->e->wall_ms, t->e->passed};
    release_say(t, false, "check %.*s %s, by %.*s", SLICE_ARG(t->plan->checks[t->e->check].name),
                t->e->passed ? "passed" : "failed", SLICE_ARG(t->e->by));
}

void release_take_held(struct taking *t)
{
    if (t->r->state != RELEASE_MOVING)
        release_refuse(t, "it is rolling back");
    else if (t->r->holder[0])
        release_refuse(t, "it is held already, by %s", t->r->holder);
    else if (t->e->by.len == 0 || !t->e->by.ptr[0])
        release_refuse(t, "nobody is named who holds it");
    if (t->fx->refused[0])
        return;
    release_keep(t->r->holder, sizeof t->r->holder - 1, t->e->by);
    release_keep(t->r->reason, sizeof t->r->reason, t->e->text);
    release_say(t, false, "held by %s: %.*s", t->r->holder, SLICE_ARG(t->e->text));
}

void release_take_resumed(struct taking *t)
{
    if (t->r->state != RELEASE_MOVING || !t->r->holder[0]) {
        release_refuse(t, "nobody holds it");
        return;
    }
    memset(t->r->holder, 0, sizeof t->r->holder);
    memset(t->r->reason, 0, sizeof t->r->reason);
    release_say(t, false, "resumed by %.*s", SLICE_ARG(t->e->by));
}

void release_take_aborted(struct taking *t)
{
    if (t->r->state != RELEASE_MOVING) {
        release_refuse(t, "it is rolling back already");
        return;
    }
    release_keep(t->r->holder, sizeof t->r->holder - 1, t->e->by);
    release_keep(t->r->reason, sizeof t->r->reason, t->e->text);
    release_roll_back(t, RELEASE_BY_HAND, 0);
}
