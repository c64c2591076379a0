/* release plan --json. */
#include <string.h>

#include "base/mem.h"
#include "release_plan.h"

static void put_step(struct json_writer *w, const struct shown_plan *s, uint32_t step)
{
    struct arena arena = {0};
    struct tree rule;
    json_object_begin(w);
    json_key(w, "number");
    json_put_u64(w, step + 1);
    json_key(w, "phase");
    json_put_str(w, release_phase_name(s->plan->steps[step].phase));
    json_key(w, "begins");
    json_put_time(w, s->times[step].begins_ms);
    json_key(w, "ends");
    json_put_time(w, s->times[step].ends_ms);
    json_key(w, "rules");
    json_object_begin(w);
    for (uint32_t i = 0; i < s->plan->flag_count && release_step_changes(&s->plan->steps[step]);
         i++)
        if (release_plan_rule(s->plan, step, i, &arena, &rule) == HOIST_OK && rule.count) {
            json_key_slice(w, s->plan->flags[i].key);
            json_put_tree(w, rule);
        }
    json_object_end(w);
    json_object_end(w);
    arena_done(&arena);
}

/* What the primary says of an environment, or why it says nothing. */
static void put_env(struct json_writer *w, const struct shown_plan *s, uint32_t env)
{
    const json_t *hosts = json_object_get(s->fleet[env].body, "counts");
    char *counts = hosts ? value_text(hosts, false) : NULL;
    json_object_begin(w);
    json_key(w, "env");
    json_put_slice(w, s->plan->envs[env]);
    json_key(w, "error");
    json_put_str(w, *shown_error(&s->fleet[env]) ? shown_error(&s->fleet[env]) : NULL);
    json_key(w, "hosts");
    json_put_raw(w, slice_str(counts ? counts : "null"));
    json_key(w, "flags");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->flag_count; i++) {
        const json_t *flag = shown_flag(s->list[env].body, s->plan->flags[i].key);
        char *text = flag ? value_text(flag, false) : NULL;
        if (text)
            json_put_raw(w, slice_str(text));
        mem_free(text);
    }
    json_array_end(w);
    json_object_end(w);
    mem_free(counts);
}

static void put_undo_list(struct json_writer *w, const struct release_plan *plan)
{
    struct buf text = BUF_INIT(SHOWN_MAX);
    shown_undo(plan, &text);
    json_key(w, "rollback");
    json_array_begin(w);
    for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1)
        json_put_slice(w, slice_of(line, strcspn(line, "\n")));
    json_array_end(w);
    buf_done(&text);
}

void shown_plan_json(const struct shown_plan *s)
{
    struct buf text = BUF_INIT(SHOWN_MAX), canonical = BUF_INIT(RELEASE_CANONICAL_MAX);
    struct json_writer writer = JSON_WRITER(&text, 0), *w = &writer;
    enum hoist_err err = release_plan_canonical(s->plan, &canonical);
    json_object_begin(w);
    json_key(w, "release");
    json_put_slice(w, s->plan->name);
    json_key(w, "hash");
    json_put_hex(w, slice_of(s->plan->hash, HASH_SIZE));
    json_key(w, "plan");
    json_put_raw(w, err ? SLICE("null") : buf_slice(&canonical));
    json_key(w, "from");
    json_put_time(w, s->from_ms);
    json_key(w, "finish");
    json_put_time(w, s->finish_ms);
    json_key(w, "covered");
    json_put_bool(w, shown_is_covered(s));
    json_key(w, "steps");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->step_count; i++)
        put_step(w, s, i);
    json_array_end(w);
    put_undo_list(w, s->plan);
    if (s->guards_asked)
        release_put_answers(w, s->plan, s->answers);
    json_key(w, "environments");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->plan->env_count && s->asked; i++)
        put_env(w, s, i);
    json_array_end(w);
    json_object_end(w);
    puts(buf_str(&text));
    buf_done(&text);
    buf_done(&canonical);
}
