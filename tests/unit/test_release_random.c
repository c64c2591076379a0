/* Releases in a world that does whatever it likes: random plans and histories, and every pair of faults on a
 * small plan. SEED=N plays a run again, STEPS=N makes it longer. */
#include "release_kit.h"

enum { STEPS = 1000000, HISTORY_MAX = 400 };

struct life { /* one history */
    struct world *w;
    uint64_t die;
    uint32_t trouble;          /* in 1,000 */
    struct release_event last; /* signature or attestation, to come a second time */
};

static bool happens(struct life *l, uint32_t in_1000)
{
    return sample_below(&l->die, 1000) < in_1000;
}

static void spoil_answers(struct life *l, struct release_event *e)
{
    for (uint32_t g = 0; g < l->w->plan->guard_count; g++) {
        if (!happens(l, l->trouble))
            continue;
        switch (sample_below(&l->die, 5)) {
        case 0:
            e->asked &= ~(1u << g);
            break;
        case 1:
            e->answers[g] = (struct release_answer){RELEASE_NODATA, 0};
            break;
        case 2:
            e->answers[g] = (struct release_answer){RELEASE_ERROR, 0};
            break;
        case 3:
            e->answers[g] = (struct release_answer){RELEASE_FAIL, 5};
            break;
        case 4:
            e->answers[g] = (struct release_answer){RELEASE_FAIL, happens(l, 200) ? 50 : 3};
            break;
        }
    }
}

/* Words about another version or another environment, which say that all is well. */
static void spoil_fleet(struct life *l, struct release_event *e)
{
    struct release_fleet *f = &e->fleet[sample_below(&l->die, 2)];
    if (happens(l, 300))
        e->fleet_count = sample_below(&l->die, 2);
    f->version = happens(l, 500) ? f->version - 1 : 999;
    f->lagging = 0;
    f->live = WORLD_HOSTS;
    f->silent = 0;
}

static void play_tick(struct life *l)
{
    struct release_event e = world_tick(l->w, sample_below(&l->die, 60));
    spoil_answers(l, &e);
    if (happens(l, l->trouble))
        spoil_fleet(l, &e);
    if (happens(l, l->trouble))
        e.step += sample_below(&l->die, 3) - 1;
    if (happens(l, l->trouble / 4)) /* an odd clock */
        e.boot_ms -= e.boot_ms < 2 * SAMPLE_INTERVAL_MS
                         ? e.boot_ms
                         : sample_below(&l->die, 2 * SAMPLE_INTERVAL_MS);
    world_take(l->w, &e);
    if (happens(l, l->trouble)) /* the same round twice */
        world_take(l->w, &e);
}

static void play_time(struct life *l)
{
    static const uint32_t gaps[] = {0, 1, SAMPLE_INTERVAL_MS / 2, 3 * SAMPLE_INTERVAL_MS,
                                    40 * SAMPLE_MINUTE};
    l->w->real_ms += happens(l, l->trouble) ? gaps[sample_below(&l->die, 5)] : SAMPLE_INTERVAL_MS;
    if (happens(l, l->trouble / 4))
        l->w->wall_offset_ms += (int64_t)sample_below(&l->die, 48 * SAMPLE_HOUR) - 24 * SAMPLE_HOUR;
}

/* Of the hosts, between two rounds. */
static void play_word(struct life *l)
{
    struct release_event e = world_event(l->w, RELEASE_FLEET);
    world_hear(l->w, &e);
    if (happens(l, l->trouble))
        spoil_fleet(l, &e);
    world_take(l->w, &e);
}

static void play_hosts(struct life *l)
{
    for (int i = 0; i < 2; i++) {
        struct world_env *env = &l->w->now.envs[i];
        for (int h = 0; h < WORLD_HOSTS; h++) {
            if (happens(l, l->trouble / 4))
                env->silent[h] = true;
            else if (happens(l, 300))
                env->silent[h] = false;
            if (!env->silent[h] && !happens(l, l->trouble))
                env->has[h] = env->head;
        }
    }
    if (happens(l, 100))
        play_word(l);
}

/* Twice the same: the second changes nothing. */
static void say_again(struct life *l)
{
    struct release_event *e = &l->last;
    struct world *w = l->w;
    if (!e->kind)
        return;
    world_take(w, e);
    struct release_record before = w->now.r;
    struct release_effects fx = world_take(w, e);
    WORLD_HOLDS(memcmp(&before, &w->now.r, sizeof before) == 0 && !fx.deed,
                "I9: a duplicate has changed something");
}

static void play_people(struct life *l)
{
    struct world *w = l->w;
    struct release_event e = world_event(w, happens(l, 500) ? RELEASE_SIGNED : RELEASE_ATTESTED);
    e.step = w->now.r.step + (happens(l, l->trouble) ? sample_below(&l->die, 3) - 1 : 0);
    e.role = (uint8_t)sample_below(&l->die, 2);
    e.check = (uint8_t)sample_below(&l->die, happens(l, l->trouble) ? RELEASE_CHECKS_MAX : 3);
    e.passed = !happens(l, 100);
    e.by = happens(l, 50) ? SLICE("nobody") : w->plan->people[sample_below(&l->die, SAMPLE_PEOPLE)];
    world_bind(w, &e);
    if (happens(l, l->trouble))
        e.bound.plan[0] ^= 1;
    if (happens(l, l->trouble))
        e.bound.definitions[9] ^= 1;
    if (happens(l, l->trouble))
        e.bound.commit = SLICE("4f2b");
    world_take(w, &e);
    l->last = e;
}

static void play_hand(struct life *l)
{
    static const enum release_event_kind kinds[] = {RELEASE_HELD,   RELEASE_RESUMED,
                                                    RELEASE_KILLED, RELEASE_RESTORED,
                                                    RELEASE_NOTED,  RELEASE_CHANGED};
    struct world *w = l->w;
    struct release_event e = world_event(w, kinds[sample_below(&l->die, 6)]);
    if (happens(l, 30))
        e.kind = happens(l, 500) ? RELEASE_ABORTED : RELEASE_ALERTED;
    e.by = SLICE("eva");
    e.text = e.kind == RELEASE_ALERTED && happens(l, 500) ? w->plan->alerts[0] : SLICE("because");
    e.env = (uint8_t)sample_below(&l->die, 2);
    e.flag = (uint8_t)sample_below(&l->die, 2);
    e.step = w->now.r.step + 1;
    e.version = 999;
    world_take(w, &e);
}

static void live(struct life *l)
{
    struct world *w = l->w;
    play_time(l);
    play_hosts(l);
    if (happens(l, l->trouble / 2))
        world_restart(w, happens(l, 300));
    if (happens(l, l->trouble / 2)) {
        w->dies = true;
        play_tick(l);
        world_restart(w, false);
    }
    if (happens(l, l->trouble))
        play_hand(l);
    if (happens(l, 300))
        play_people(l);
    if (happens(l, l->trouble))
        say_again(l);
    if (happens(l, 100)) /* when all is met, and no round has said so */
        play_word(l);
    play_tick(l);
}

/* Half of the histories end by a world without trouble, in which nothing may stay where it is. */
static void end_well(struct life *l)
{
    struct world *w = l->w;
    w->wall_offset_ms = 0;
    for (int i = 0; i < 2; i++) {
        memset(w->now.envs[i].silent, 0, sizeof w->now.envs[i].silent);
        for (uint8_t f = 0; f < 2; f++) {
            struct release_event e = world_event(w, RELEASE_RESTORED);
            e.env = (uint8_t)i;
            e.flag = f;
            world_take(w, &e);
        }
    }
    struct release_event resume = world_event(w, RELEASE_RESUMED), *e = &resume;
    world_take(w, e);
    for (int round = 0; round < 2000 && w->now.r.state != RELEASE_ENDED; round++) {
        w->real_ms += SAMPLE_INTERVAL_MS;
        world_hosts_catch_up(w);
        world_sign_all(w);
        struct release_event tick = world_tick(w, 1000);
        if (w->now.r.unmet == 1u << RELEASE_WINDOW)
            w->real_ms =
                release_window_next(&w->plan->steps[w->now.r.step + 1].window, w->real_ms) + 1;
        world_take(w, &tick);
    }
    WORLD_HOLDS(w->now.r.state == RELEASE_ENDED, "it stands still in a world without trouble");
}

static void run_history(struct world *w)
{
    static const uint32_t troubles[] = {0, 5, 20, 60, 200};
    struct sample sample;
    struct life l = {.w = w, .die = w->seed};
    sample_random_plan(&sample, &l.die);
    sample.plan.steps[0].window = (struct release_window){0};
    sample.plan.author = SLICE("eva"); /* who has a role, and may not sign */
    l.trouble = troubles[sample_below(&l.die, 5)];
    uint32_t length = 20 + sample_below(&l.die, HISTORY_MAX);
    world_begin(w, &sample.plan,
                INT64_C(1795000000000) + sample_below(&l.die, 604800) * INT64_C(1000));
    for (uint32_t i = 0; i < length && w->now.r.state != RELEASE_ENDED; i++)
        live(&l);
    if (happens(&l, 500))
        end_well(&l);
    live(&l); /* after the end, too */
    world_restart(w, false);
    if (w->now.r.state == RELEASE_ENDED)
        *(w->now.r.cause ? &w->rolled_back : &w->completed) += 1;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void whatever_happens_the_invariants_hold(void **state)
{
    static struct world w;
    uint64_t seed = from_environment("SEED", (uint64_t)time(NULL) << 20);
    uint64_t steps = from_environment("STEPS", STEPS), histories = 0;
    printf("SEED=%" PRIu64 " STEPS=%" PRIu64 "\n", seed, steps);
    fflush(stdout);
    for (; w.events < steps; histories++) {
        w.seed = seed + histories;
        run_history(&w);
    }
    printf("%" PRIu64 " events in %" PRIu64 " histories: %" PRIu64 " steps forward, %" PRIu64
           " completed, %" PRIu64 " rolled back, %" PRIu64 " deaths before a commit, %" PRIu64
           " events refused\n",
           w.events, histories, w.moves, w.completed, w.rolled_back, w.deaths, w.refused);
    if (histories > 100) { /* the run went where it should */
        assert_true(w.moves > 2 * histories && w.deaths > 0 && w.refused > histories);
        assert_true(w.completed > histories / 20 && w.rolled_back > histories / 20);
    }
    world_done(&w);
    (void)state;
}

/* ------------------------------------------------------------------ every pair of faults */

enum fault {
    NO_ROUND,
    NO_DATA,
    ONE_ERROR,
    FAILS,
    STALE_ANSWER,
    HOST_LAGS,
    HOST_SILENT,
    LYING_FLEET,
    DIES,
    RESTARTS,
    BOOTS,
    CLOCK_FORWARD,
    CLOCK_BACK,
    IS_HELD,
    IS_KILLED,
    TWICE,
    LAST_MENDED = TWICE, /* behind these a release completes all the same */
    CRITICAL,
    ALERT,
    BY_HAND,
    FAULTS
};

struct schedule {
    enum fault what[2];
    int at[2];
};

enum { FAULT_ROUNDS = 13 };

/* Two stages: half of staging, then all of it. */
static void two_stages(struct sample *s)
{
    sample_frame(s);
    s->plan.step_count = 2;
    s->plan.abort_after = 2;
    for (int i = 0; i < 2; i++) {
        s->steps[i].phase = RELEASE_STAGING;
        s->steps[i].share = i ? RELEASE_EVERYBODY : RELEASE_EVERYBODY / 2;
        s->steps[i].guards = 1;
        s->steps[i].soak_ms = 2 * SAMPLE_INTERVAL_MS;
        s->steps[i].exposed = 10;
        s->steps[i].sign_count = 1;
        s->signs[i][0] = (struct release_sign){0, SLICE("go on")};
    }
}

static void by_hand(struct world *w, enum release_event_kind kind)
{
    struct release_event e = world_event(w, kind);
    e.by = SLICE("eva");
    e.text = kind == RELEASE_ALERTED ? w->plan->alerts[0] : SLICE("because");
    world_take(w, &e);
}

/* What a fault does before the round, and what it does to it. */
static void strike(struct world *w, enum fault fault, struct release_event *e)
{
    switch (fault) {
    case NO_DATA:
        e->asked = 0;
        break;
    case ONE_ERROR:
        e->answers[0] = (struct release_answer){RELEASE_ERROR, 0};
        break;
    case FAILS:
        e->answers[0] = (struct release_answer){RELEASE_FAIL, 5};
        break;
    case CRITICAL:
        e->answers[0] = (struct release_answer){RELEASE_FAIL, 50};
        break;
    case STALE_ANSWER:
        e->step ^= 1;
        break;
    case HOST_LAGS:
        w->now.envs[0].has[1] = 0;
        world_hear(w, e);
        break;
    case HOST_SILENT:
        w->now.envs[0].silent[1] = true;
        world_hear(w, e);
        break;
    case LYING_FLEET:
        w->now.envs[0].has[1] = 0;
        e->fleet[0] = (struct release_fleet){0, 999, WORLD_HOSTS, 0, 0};
        break;
    case DIES:
        w->dies = true;
        break;
    case CLOCK_FORWARD:
        w->wall_offset_ms += SAMPLE_HOUR;
        break;
    case CLOCK_BACK:
        w->wall_offset_ms -= SAMPLE_HOUR;
        e->boot_ms /= 2;
        break;
    case RESTARTS:
        world_restart(w, false);
        break;
    case BOOTS:
        world_restart(w, true);
        e->boot = w->boot;
        e->boot_ms = (uint64_t)(w->real_ms - w->boot_began_ms);
        break;
    case IS_HELD:
        by_hand(w, RELEASE_HELD);
        break;
    case IS_KILLED:
        by_hand(w, RELEASE_KILLED);
        break;
    case ALERT:
        by_hand(w, RELEASE_ALERTED);
        break;
    case BY_HAND:
        by_hand(w, RELEASE_ABORTED);
        break;
    case NO_ROUND:
    case TWICE:
    case FAULTS:
        break;
    }
}

static void mend(struct world *w)
{
    w->now.envs[0].silent[1] = false;
    by_hand(w, RELEASE_RESTORED);
    by_hand(w, RELEASE_RESUMED);
}

static void play_round(struct world *w, const struct schedule *s, int round)
{
    bool lost = false, twice = false, died = false;
    w->real_ms += SAMPLE_INTERVAL_MS;
    world_hosts_catch_up(w);
    world_sign_all(w);
    struct release_event e = world_tick(w, 10);
    for (int i = 0; i < 2; i++) {
        if (s->at[i] != round)
            continue;
        strike(w, s->what[i], &e);
        lost |= s->what[i] == NO_ROUND;
        twice |= s->what[i] == TWICE;
        died |= s->what[i] == DIES;
    }
    if (!lost)
        world_take(w, &e);
    if (died)
        world_restart(w, false);
    if (twice)
        world_take(w, &e);
    if (s->at[0] == round || s->at[1] == round)
        mend(w);
}

/* Whether it has to: one fault alone in its round, while there was something to strike. (Two in one round
 * may hide each other: a critical value in an answer that is lost.) */
static bool rolls_back(const struct schedule *s, int rounds)
{
    if (s->at[0] == s->at[1])
        return false;
    if (s->what[0] == FAILS && s->what[1] == FAILS && s->at[1] - s->at[0] == 1)
        return s->at[1] < rounds;
    return (s->what[0] > LAST_MENDED && s->at[0] < rounds) ||
           (s->what[1] > LAST_MENDED && s->at[1] < rounds);
}

static bool may_roll_back(const struct schedule *s)
{
    return s->what[0] > LAST_MENDED || s->what[1] > LAST_MENDED || s->what[0] == FAILS ||
           s->what[1] == FAILS;
}

static void play_schedule(struct world *w, const struct sample *sample, const struct schedule *s)
{
    int round = 0;
    bool all = true;
    w->seed = (uint64_t)(s->what[0] * 1000000 + s->at[0] * 10000 + s->what[1] * 100 + s->at[1]);
    world_begin(w, &sample->plan, INT64_C(1795000000000));
    for (; round < 60 && w->now.r.state != RELEASE_ENDED; round++)
        play_round(w, s, round);
    bool back = w->now.r.cause != RELEASE_BY_NOBODY;
    for (int h = 0; h < WORLD_HOSTS; h++)
        all &= w->now.envs[0].has[h] == w->now.envs[0].head;
    uint32_t share = back ? 0 : RELEASE_EVERYBODY;
    if (w->now.r.state == RELEASE_ENDED && all && w->now.envs[0].share == share &&
        (back ? may_roll_back(s) : !rolls_back(s, round)))
        return;
    fail_msg("faults %d in round %d and %d in round %d: state %u, step %u, share %u", s->what[0],
             s->at[0], s->what[1], s->at[1], w->now.r.state, w->now.r.step, w->now.envs[0].share);
}

static void every_pair_of_faults_ends_as_it_should(void **state)
{
    static struct world w;
    struct sample sample;
    uint64_t runs = 0;
    two_stages(&sample);
    for (int a = 0; a < FAULTS; a++)
        for (int b = 0; b < FAULTS; b++)
            for (int i = 0; i < FAULT_ROUNDS; i++)
                for (int j = i; j < FAULT_ROUNDS; j++, runs++)
                    play_schedule(&w, &sample,
                                  &(struct schedule){{(enum fault)a, (enum fault)b}, {i, j}});
    printf("%" PRIu64 " schedules, %" PRIu64 " events\n", runs, w.events);
    world_done(&w);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_the_invariants_hold),
        cmocka_unit_test(every_pair_of_faults_ends_as_it_should),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
