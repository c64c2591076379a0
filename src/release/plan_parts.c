/* What the phases of a plan refer to: flags, guards, checks, roles, alerts, sinks. Their order in the
 * file means nothing, so each list is kept sorted by name. */
#include <stdlib.h>

#include "base/mem.h"
#include "release/plan_int.h"

static const char *const builtin_checks[] = {"github_limits", NULL};

bool check_is_builtin(struct slice name)
{
    return is_one_of(name, builtin_checks);
}

/* ------------------------------------------------------------------ named things */

/* Read into a plan's array: struct release_guard and its like, all of which begin with their name. */
struct kind {
    const char *what; /* in complaints */
    const char *mend;
    uint32_t max;
    size_t size;
    bool (*read)(struct plan_reader *r, const struct yaml_item *v, void *out);
};

struct named { /* one that was read */
    struct slice name;
    const struct yaml_item *at;
    void *thing;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = slice_cmp(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static void *take_all(struct plan_reader *r, struct named *named, uint32_t count, size_t size,
                      const struct yaml_item **at)
{
    uint8_t *things = plan_alloc(r, count, size);
    for (uint32_t i = 0; i < count && things; i++) {
        memcpy(things + i * size, named[i].thing, size);
        if (at)
            at[i] = named[i].at;
    }
    return things;
}

/* Sorted, each name once. */
static uint32_t sort_named(struct plan_reader *r, struct named *named, uint32_t count,
                           const char *what)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(named, count, sizeof *named, by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && slice_eq(named[kept - 1].name, named[i].name))
            plan_complain(r, named[i].at, "take one away, or give it another name",
                          "%s \"%s\" is there twice", what, show(named[i].name).text);
        else
            named[kept++] = named[i];
    }
    return kept;
}

static void read_named(struct plan_reader *r, const struct yaml_item *list, const struct kind *kind,
                       void **ret, uint32_t *ret_count, const struct yaml_item **at)
{
    uint32_t count = plan_list(r, list, kind->max, kind->mend), found = 0;
    struct named *named = plan_alloc(r, count, sizeof *named);
    const struct yaml_item *item = list + 1;
    for (uint32_t i = 0; i < count && named; i++, item += item->span) {
        void *thing = plan_alloc(r, 1, kind->size);
        size_t back = path_index(&r->path, i);
        struct slice name = {0};
        if (thing && kind->read(r, item, thing))
            memcpy(&name, thing, sizeof name);
        path_back(&r->path, back);
        if (name.len)
            named[found++] = (struct named){.name = name, .at = item, .thing = thing};
    }
    found = named ? sort_named(r, named, found, kind->what) : 0;
    *ret = take_all(r, named, found, kind->size, at);
    *ret_count = *ret ? found : 0;
}

/* ------------------------------------------------------------------ flags */

static void read_key(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    plan_variant(r, v, out);
    if (v->kind == YAML_WORD && v->text.len && flag_key_check(v->text) != HOIST_OK)
        plan_complain(r, v, "write the flag's key as it is in the flag file", "%s", err_last());
}

static const struct field flag_fields[] = {
    {"key", read_key, offsetof(struct release_flag, key), "say which flag: key: KEY"},
    {"on", plan_variant, offsetof(struct release_flag, on), NULL},
    {"off", plan_variant, offsetof(struct release_flag, off), NULL},
    {0},
};

static bool read_flag(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    struct release_flag *f = out;
    f->on = SLICE("on");
    f->off = SLICE("off");
    if (v->kind == YAML_WORD) {
        read_key(r, v, &f->key);
        return true;
    }
    if (!plan_map(r, v, "a flag", flag_fields, f))
        return false;
    if (slice_eq(f->on, f->off))
        plan_complain(r, v, "name two variants of the flag",
                      "the variant that grows and the one that stays are the same");
    return true;
}

void flags_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct kind kind = {"the flag", "write a list of keys: [KEY, …]",
                                     RELEASE_FLAGS_MAX, sizeof(struct release_flag), read_flag};
    struct release_plan *plan = out;
    void *flags = NULL;
    size_t before = r->problems->total;
    read_named(r, v, &kind, &flags, &plan->flag_count, r->flag_at);
    plan->flags = flags;
    if (plan->flag_count == 0 && r->problems->total == before && v->kind == YAML_LIST)
        plan_complain(r, v, "name the flags that move", "a release without a flag changes nothing");
}

/* ------------------------------------------------------------------ guards */

static const struct field guard_fields[] = {
    {"name", plan_name, offsetof(struct release_guard, name), "give it a name: name: NAME"},
    {"title", plan_text, offsetof(struct release_guard, title), NULL},
    {"query", plan_query, offsetof(struct release_guard, query),
     "write one PromQL expression that yields one sample: query: …"},
    {"pass", plan_bound, offsetof(struct release_guard, pass),
     "say which values are good: pass: \"<= 0.02\""},
    {"critical", plan_bound, offsetof(struct release_guard, critical), NULL},
    {"mode", plan_mode, offsetof(struct release_guard, hold), NULL},
    {0},
};

static bool is_below(struct release_bound b)
{
    return b.op == RELEASE_LT || b.op == RELEASE_LE;
}

/* Whether some value keeps both. */
static bool meet(struct release_bound a, struct release_bound b)
{
    if (is_below(a) == is_below(b))
        return true;
    struct release_bound below = is_below(a) ? a : b, above = is_below(a) ? b : a;
    return below.value > above.value ||
           (below.value == above.value && below.op == RELEASE_LE && above.op == RELEASE_GE);
}

static void check_bounds(struct plan_reader *r, const struct yaml_item *v,
                         const struct release_guard *g)
{
    const struct yaml_item *critical = yaml_find(v, SLICE("critical"));
    if (!critical || g->critical.op == RELEASE_ANY || g->pass.op == RELEASE_ANY)
        return;
    size_t back = path_key(&r->path, SLICE("critical"));
    if (meet(g->pass, g->critical))
        plan_complain(r, critical, "critical is what lies far beyond the values that pass",
                      "a value can be \"%s\" and so critical, and \"%s\" and so good",
                      release_bound_text(g->critical).text, release_bound_text(g->pass).text);
    if (g->hold)
        plan_complain(r, critical, "take away critical, or mode: hold",
                      "a critical value aborts, and mode hold never does");
    path_back(&r->path, back);
}

static bool read_guard(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    if (!plan_map(r, v, "a guard", guard_fields, out))
        return false;
    check_bounds(r, v, out);
    return true;
}

void guards_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct kind kind = {"the guard",
                                     "write a list: [{name: NAME, query: …, pass: \"<= 0.02\"}, …]",
                                     RELEASE_GUARDS_MAX, sizeof(struct release_guard), read_guard};
    struct release_plan *plan = out;
    void *guards = NULL;
    read_named(r, v, &kind, &guards, &plan->guard_count, r->guard_at);
    plan->guards = guards;
}

/* ------------------------------------------------------------------ checks */

static void read_argv(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { WORDS_MAX = 64 };
    static const char mend[] = "write the words of the command as a list: [make, check]";
    struct release_check *c = out;
    if (v->kind == YAML_WORD) {
        plan_complain(r, v, mend, "a command is a list of words: no shell takes it apart");
        return;
    }
    uint32_t count = plan_list(r, v, WORDS_MAX, mend);
    struct slice *argv = plan_alloc(r, count, sizeof *argv);
    const struct yaml_item *word = v + 1;
    for (uint32_t i = 0; i < count && argv; i++, word += word->span) {
        size_t back = path_index(&r->path, i);
        plan_query(r, word, &argv[i]);
        path_back(&r->path, back);
    }
    if (v->kind == YAML_LIST && v->count == 0)
        plan_complain(r, v, mend, "the command has no word");
    c->argv = argv;
    c->argc = argv ? count : 0;
}

static const struct field check_fields[] = {
    {"name", plan_name, offsetof(struct release_check, name), "give it a name: name: NAME"},
    {"title", plan_text, offsetof(struct release_check, title), NULL},
    {"run", read_argv, 0, NULL},
    {"timeout", plan_interval, offsetof(struct release_check, timeout_ms), NULL},
    {"every", plan_duration, offsetof(struct release_check, every_ms), NULL},
    {0},
};

static bool read_check(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    enum { TIMEOUT_MS = 15 * 60000 };
    struct release_check *c = out;
    c->timeout_ms = TIMEOUT_MS;
    if (!plan_map(r, v, "a check", check_fields, c))
        return false;
    if (c->name.len && !yaml_find(v, SLICE("run")) && !check_is_builtin(c->name))
        plan_complain(r, v, "say what is run: run: [COMMAND, WORD, …]; built in is: github_limits",
                      "there is no check \"%s\" built in", show(c->name).text);
    return true;
}

void checks_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct kind kind = {"the check", "write a list: [{name: NAME, run: [WORD, …]}, …]",
                                     RELEASE_CHECKS_MAX, sizeof(struct release_check), read_check};
    struct release_plan *plan = out;
    void *checks = NULL;
    read_named(r, v, &kind, &checks, &plan->check_count, r->check_at);
    plan->checks = checks;
}

/* ------------------------------------------------------------------ roles */

static int compare_slices(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* The people of all roles, sorted, each once. Names that are none are complained of later. */
static void collect_people(struct plan_reader *r, const struct yaml_item *map)
{
    struct release_plan *plan = r->plan;
    struct slice *people = plan_alloc(r, map->span, sizeof *people);
    uint32_t count = 0, kept = 0;
    const struct yaml_item *key = map + 1;
    for (uint32_t i = 0; i < map->count && people; i++) {
        const struct yaml_item *value = key + 1;
        for (const struct yaml_item *v = value; v < value + value->span; v++)
            if (v->kind == YAML_WORD && v->text.len && plan_is_who(v->text))
                people[count++] = v->text;
        key = value + value->span;
    }
    if (count > 1)
        qsort(people, count, sizeof *people, compare_slices);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || !slice_eq(people[kept - 1], people[i]))
            people[kept++] = people[i];
    if (kept > RELEASE_PEOPLE_MAX) {
        plan_complain(r, map, "name fewer", "%u people, and %d at most", kept, RELEASE_PEOPLE_MAX);
        kept = 0;
    }
    for (uint32_t i = 0; i < kept; i++)
        r->no_memory |= arena_own(&plan->arena, &people[i]) != HOIST_OK;
    plan->people = people;
    plan->people_count = people ? kept : 0;
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

static void add_person(struct plan_reader *r, const struct yaml_item *v, struct release_role *role)
{
    struct slice name = {0};
    plan_who(r, v, &name);
    int person = name.len ? release_person_find(r->plan, name) : -1;
    if (person < 0)
        return;
    for (uint32_t i = 0; i < role->people_count; i++)
        if (role->people[i] == person) {
            plan_complain(r, v, "name each once", "\"%s\" is there twice", show(name).text);
            return;
        }
    role->people[role->people_count++] = (uint8_t)person;
}

static void read_role(struct plan_reader *r, const struct yaml_item *key, const struct yaml_item *v,
                      struct release_role *role)
{
    static const char mend[] = "name who has the role: [ana, bo]";
    plan_name(r, key, &role->name);
    role->people = plan_alloc(r, v->span, 1);
    if (!role->people)
        return;
    if (v->kind == YAML_WORD) {
        add_person(r, v, role);
        return;
    }
    uint32_t count = plan_list(r, v, RELEASE_PEOPLE_MAX, mend);
    const struct yaml_item *who = v + 1;
    for (uint32_t i = 0; i < count; i++, who += who->span) {
        size_t back = path_index(&r->path, i);
        add_person(r, who, role);
        path_back(&r->path, back);
    }
    if (v->kind == YAML_LIST && v->count == 0)
        plan_complain(r, v, mend, "nobody has this role");
    if (role->people_count > 1)
        qsort(role->people, role->people_count, 1, compare_bytes);
}

void roles_read(struct plan_reader *r, const struct yaml_item *map, void *out)
{
    static const char mend[] = "write  ROLE: [PERSON, …]";
    struct release_plan *plan = out;
    if (map->kind != YAML_MAP || map->count > RELEASE_ROLES_MAX) {
        if (map->kind == YAML_MAP)
            plan_complain(r, map, "make them fewer", "%u roles, and %d at most", map->count,
                          RELEASE_ROLES_MAX);
        else if (map->kind != YAML_BAD)
            plan_complain(r, map, mend, "roles are a mapping");
        return;
    }
    collect_people(r, map);
    struct named *named = plan_alloc(r, map->count, sizeof *named);
    const struct yaml_item *key = map + 1;
    uint32_t found = 0;
    for (uint32_t i = 0; i < map->count && named; i++) {
        struct release_role *role = plan_alloc(r, 1, sizeof *role);
        const struct yaml_item *value = key + 1;
        size_t back = path_key(&r->path, key->text);
        if (role && key->kind == YAML_WORD)
            read_role(r, key, value, role);
        path_back(&r->path, back);
        if (role && role->name.len)
            named[found++] = (struct named){.name = role->name, .at = key, .thing = role};
        key = value + value->span;
    }
    found = named ? sort_named(r, named, found, "the role") : 0;
    plan->roles = take_all(r, named, found, sizeof *plan->roles, r->role_at);
    plan->role_count = plan->roles ? found : 0;
}

/* ------------------------------------------------------------------ alerts, sinks */

/* An alert's name is a label's value; those of rule files are words. */
static bool read_alert(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    plan_task(r, v, out);
    return true;
}

void alerts_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct kind kind = {"the alert", "write a list of alerts' names: [NAME, …]",
                                     RELEASE_ALERTS_MAX, sizeof(struct slice), read_alert};
    struct release_plan *plan = out;
    void *alerts = NULL;
    read_named(r, v, &kind, &alerts, &plan->alert_count, NULL);
    plan->alerts = alerts;
}

static const struct field sink_fields[] = {
    {"name", plan_name, offsetof(struct release_sink, name), "give it a name: name: NAME"},
    {"url_ref", plan_name, offsetof(struct release_sink, ref),
     "name a sink of hoistd's configuration: url_ref: NAME"},
    {0},
};

static bool read_sink(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    return plan_map(r, v, "a sink", sink_fields, out);
}

void sinks_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const struct kind kind = {"the sink", "write a list: [{name: NAME, url_ref: NAME}, …]",
                                     RELEASE_SINKS_MAX, sizeof(struct release_sink), read_sink};
    struct release_plan *plan = out;
    void *sinks = NULL;
    read_named(r, v, &kind, &sinks, &plan->sink_count, NULL);
    plan->sinks = sinks;
}
