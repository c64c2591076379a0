/* Any bytes as the plan of a release. What is refused is told with its place and its mend; what is read
 * has a canonical form that is JSON, a rule for each of its steps, times that do not go back, and a
 * message. Read again, it is the same. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "flag/json_read.h"
#include "release/plan_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        assert(p->items[i].line > 0 && p->items[i].column > 0 && *p->items[i].message &&
               *p->items[i].mend);
}

static void check_canonical(const struct release_plan *plan)
{
    struct buf text = BUF_INIT(RELEASE_CANONICAL_MAX);
    uint8_t hash[HASH_SIZE];
    json_t *json = NULL;
    enum hoist_err err = release_plan_canonical(plan, &text);
    assert(err == HOIST_OK);
    hash_sha256(hash, buf_slice(&text));
    assert(memcmp(hash, plan->hash, sizeof hash) == 0);
    err = json_read(buf_slice(&text), &json);
    assert(err == HOIST_OK);
    json_decref(json);
    buf_done(&text);
}

static void check_rules(const struct release_plan *plan)
{
    for (uint32_t step = 0; step < plan->step_count; step++)
        for (uint32_t flag = 0; flag < plan->flag_count; flag++) {
            struct arena arena = {0};
            struct tree rule;
            enum hoist_err err = release_plan_rule(plan, step, flag, &arena, &rule);
            assert(err == HOIST_OK);
            assert(!release_step_changes(&plan->steps[step]) || rule.count > 0);
            arena_done(&arena);
        }
}

static void check_times(const struct release_plan *plan)
{
    struct release_times times[RELEASE_STEPS_MAX];
    int64_t now = 1796630400000;
    release_plan_times(plan, now, times);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        assert(times[i].begins_ms >= now && times[i].ends_ms >= times[i].begins_ms);
        assert(release_window_open(&plan->steps[i].window, times[i].begins_ms));
        now = times[i].ends_ms;
    }
}

static void check_message(const struct release_plan *plan)
{
    struct buf text = BUF_INIT(1 << 24);
    enum hoist_err err = release_announce(plan, RELEASE_FOR_SUPPORT, 0, &text);
    assert(err == HOIST_OK && text.len > 0);
    err = release_announce(plan, RELEASE_FOR_USERS, 0, &text);
    assert(err == HOIST_OK);
    buf_done(&text);
}

static void check_plan(const struct release_plan *plan)
{
    struct problems problems = {0};
    check_canonical(plan);
    check_rules(plan);
    check_times(plan);
    check_message(plan);
    release_plan_check_flags(plan, NULL, 0, &problems);
    assert(problems.total == plan->flag_count);
    problems_done(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(size ? data : (const uint8_t *)"", size);
    struct problems problems = {0}, warnings = {0};
    struct release_plan *plan = NULL;
    hash_init();
    enum hoist_err err = release_plan_read(text, &plan, &problems, &warnings);
    if (err == HOIST_OK) {
        assert(problems.total == 0);
        check_plan(plan);
    } else {
        assert(err == HOIST_EINVAL && problems.count > 0 && *err_last());
    }
    check_problems(&problems);
    check_problems(&warnings);
    release_plan_free(plan);
    problems_done(&problems);
    problems_done(&warnings);
    return 0;
}
