/* Whether there are people enough to sign a step: they are tried for its roles until each has one of its own. */
#include <string.h>

#include "release/plan_file.h"

struct match {
    const struct release_plan *plan;
    const struct release_step *step;
    int author, starter;           /* who never sign; -1: nobody */
    int signer[RELEASE_SIGNS_MAX]; /* a person, or -1 */
};

static bool find_signer(struct match *m, uint32_t sign, bool *tried)
{
    const struct release_role *role = &m->plan->roles[m->step->signs[sign].role];
    for (uint32_t i = 0; i < role->people_count; i++) {
        int person = role->people[i];
        uint32_t other = 0;
        if (person == m->author || person == m->starter || tried[person])
            continue;
        tried[person] = true;
        while (other < m->step->sign_count && m->signer[other] != person)
            other++;
        if (other < m->step->sign_count && !find_signer(m, other, tried))
            continue;
        m->signer[sign] = person;
        return true;
    }
    return false;
}

const struct release_role *release_role_unsigned(const struct release_plan *plan, uint32_t step,
                                                 struct slice starter)
{
    struct match m = {.plan = plan,
                      .step = &plan->steps[step],
                      .author = release_person_find(plan, plan->author),
                      .starter = release_person_find(plan, starter)};
    memset(m.signer, -1, sizeof m.signer);
    for (uint32_t i = 0; i < m.step->sign_count; i++) {
        const struct release_role *role = &plan->roles[m.step->signs[i].role];
        bool tried[RELEASE_PEOPLE_MAX] = {false};
        if (role->people_count && !find_signer(&m, i, tried))
            return role;
    }
    return NULL;
}
