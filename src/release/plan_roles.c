/* Roles, and who has them. */
#include <stdlib.h>

#include "release/plan_int.h"

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
    plan_name_read(r, key, &role->name);
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
    found = named ? named_sort(r, named, found, "the role") : 0;
    plan->roles = named_take(r, named, found, sizeof *plan->roles, r->role_at);
    plan->role_count = plan->roles ? found : 0;
}
