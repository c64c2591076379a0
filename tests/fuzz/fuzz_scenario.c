/* Any bytes as a scenario for `release simulate`: it is read, or refused with its line. The events of a log that
 * was read are played. */
#include <assert.h>

#include "../release_samples.h"
#include "base/err.h"
#include "release/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sample sample;
    struct release_record r = {0};
    struct scenario s;
    sample_plan(&sample);
    enum hoist_err err = scenario_read(&sample.plan, slice_of(data, size), &s);
    if (err != HOIST_OK) {
        assert(err == HOIST_EINVAL || err == HOIST_ELIMIT);
        assert(*err_last());
        return 0;
    }
    for (uint32_t i = 0; i < s.count; i++) {
        const struct scene *scene = &s.scenes[i];
        assert(scene->line > 0 && scene->step <= sample.plan.step_count);
        if (scene->kind == SCENE_EVENT) {
            err = release_fold(&sample.plan, &r, scene->text);
            assert(err == HOIST_OK);
        }
    }
    scenario_done(&s);
    return 0;
}
