/* A plan's file as a plan: the tree of it, its fields in the order in which they refer to each other,
 * and then what is wrong with the whole. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "release/plan_int.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* ------------------------------------------------------------------ complaining */

static void put_problem(struct plan_reader *r, struct problems *to, const struct yaml_item *at,
                        const char *mend, const char *fmt, va_list args)
{
    char message[640];
    vsnprintf(message, sizeof message, fmt, args);
    problems_add_at(to, at->line, at->column, r->path.text, mend, "%s", message);
}

void plan_complain(struct plan_reader *r, const struct yaml_item *at, const char *mend,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put_problem(r, r->problems, at, mend, fmt, args);
    va_end(args);
}

void plan_warn(struct plan_reader *r, const struct yaml_item *at, const char *mend, const char *fmt,
               ...)
{
    va_list args;
    va_start(args, fmt);
    put_problem(r, r->warnings, at, mend, fmt, args);
    va_end(args);
}

void *plan_alloc(struct plan_reader *r, size_t count, size_t size)
{
    void *p = arena_alloc(&r->plan->arena, count ? count : 1, size);
    r->no_memory |= !p;
    return p;
}

/* The tree's own complaints: a path tells nothing that the place does not. */
static void tell(void *arg, uint32_t line, uint32_t column, const char *mend, const char *message)
{
    struct plan_reader *r = arg;
    problems_add_at(r->problems, line, column, "", mend, "%s", message);
}

/* ------------------------------------------------------------------ maps and lists */

/* "known here: name, title, …" */
struct known {
    char text[400];
};

static struct known list_known(const struct field *fields)
{
    struct known k = {"known here: "};
    for (const struct field *f = fields; f->name; f++) {
        size_t len = strlen(k.text);
        snprintf(k.text + len, sizeof k.text - len, "%s%s", f == fields ? "" : ", ", f->name);
    }
    return k;
}

static bool is_about_no_data(struct slice key)
{
    static const char *const words[] = {"no_data",     "nodata",     "no-data", "on_no_data",
                                        "on_nodata",   "on-no-data", "missing", "on_missing",
                                        "on_no_value", NULL};
    return is_one_of(key, words);
}

static bool is_secret(struct slice key)
{
    static const char *const words[] = {"url", "webhook", "token", "secret", "password", NULL};
    return is_one_of(key, words);
}

static void unknown_key(struct plan_reader *r, const struct yaml_item *key, const char *what,
                        const struct field *fields)
{
    enum { FIELDS_MAX = 32 };
    const char *names[FIELDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < FIELDS_MAX && fields[i].name; i++)
        names[i] = fields[i].name;
    const char *near = near_word(key->text, names);
    if (is_about_no_data(key->text))
        plan_complain(r, key, "leave it out: a guard without data stands still, and calls somebody",
                      "missing data never moves a release forward: there is no \"%s\"",
                      show(key->text).text);
    else if (is_secret(key->text))
        plan_complain(r, key, "name a sink of hoistd's configuration instead: url_ref: NAME",
                      "a plan is for everybody to read: it holds no \"%s\"", show(key->text).text);
    else if (near)
        plan_complain(r, key, list_known(fields).text,
                      "\"%s\" is not known in %s; is \"%s\" meant?", show(key->text).text, what,
                      near);
    else
        plan_complain(r, key, list_known(fields).text, "\"%s\" is not known in %s",
                      show(key->text).text, what);
}

static void check_keys(struct plan_reader *r, const struct yaml_item *map, const char *what,
                       const struct field *fields)
{
    const struct yaml_item *key = map + 1;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_item *value = key + 1;
        const struct field *f = fields;
        while (f->name && !slice_eq(key->text, slice_str(f->name)))
            f++;
        if (!f->name && key->kind == YAML_WORD)
            unknown_key(r, key, what, fields);
        key = value + value->span;
    }
}

bool plan_map(struct plan_reader *r, const struct yaml_item *map, const char *what,
              const struct field *fields, void *out)
{
    if (map->kind == YAML_BAD)
        return false;
    if (map->kind != YAML_MAP) {
        plan_complain(r, map, list_known(fields).text, "%s is a mapping", what);
        return false;
    }
    check_keys(r, map, what, fields);
    for (const struct field *f = fields; f->name; f++) {
        const struct yaml_item *value = yaml_find(map, slice_str(f->name));
        if (!value && !f->missing)
            continue;
        size_t back = path_key(&r->path, slice_str(f->name));
        if (value)
            f->read(r, value, (char *)out + f->offset);
        else
            plan_complain(r, map, f->missing, "it is missing");
        path_back(&r->path, back);
    }
    return true;
}

uint32_t plan_list(struct plan_reader *r, const struct yaml_item *list, uint32_t max,
                   const char *mend)
{
    if (list->kind == YAML_BAD)
        return 0;
    if (list->kind != YAML_LIST) {
        plan_complain(r, list, mend, "a list is expected here");
        return 0;
    }
    if (list->count <= max)
        return list->count;
    plan_complain(r, list, "make the list shorter", "%u of these, and %u at most", list->count,
                  max);
    return 0;
}

/* ------------------------------------------------------------------ the whole */

static const struct field announce_fields[] = {
    {"support", plan_message, offsetof(struct release_plan, announce_support), NULL},
    {"users", plan_message, offsetof(struct release_plan, announce_users), NULL},
    {"contact", plan_text, offsetof(struct release_plan, contact),
     "say whom to call: a channel, a number"},
    {0},
};

static void announce_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    plan_map(r, v, "announce", announce_fields, out);
}

static const struct field plan_fields[] = {
    {"release", plan_name_read, offsetof(struct release_plan, name),
     "name the release: release: NAME, of a-z, 0-9, _ and -"},
    {"title", plan_text, offsetof(struct release_plan, title),
     "say in a line what is released: title: TEXT"},
    {"owner", plan_who, offsetof(struct release_plan, owner),
     "say whose release it is: owner: NAME"},
    {"author", plan_who, offsetof(struct release_plan, author),
     "say who wrote the plan, and so may not sign it: author: NAME"},
    {"interval", plan_interval, offsetof(struct release_plan, interval_ms), NULL},
    {"abort_after", plan_positive, offsetof(struct release_plan, abort_after), NULL},
    {"max_silent", plan_small, offsetof(struct release_plan, max_silent), NULL},
    {"sign_valid", plan_duration, offsetof(struct release_plan, sign_valid_ms), NULL},
    {"flags", flags_read, 0, "name the flags that move: flags: [KEY, …]"},
    {"bucket", rule_read_yaml, offsetof(struct release_plan, bucketing), NULL},
    {"guards", guards_read, 0, "say what is watched: a list of {name, query, pass}"},
    {"checks", checks_read, 0, NULL},
    {"roles", roles_read, 0, NULL},
    {"sinks", sinks_read, 0, NULL},
    {"kill_on_alert", alert_names_read, 0, NULL},
    {"announce", announce_read, 0, "say whom to call at least: announce: {contact: TEXT}"},
    {"phases", phases_read, 0, "say what happens: flags, monitoring, staging, production, watch"},
    {0},
};

static void set_defaults(struct release_plan *plan)
{
    plan->interval_ms = 15 * SECOND;
    plan->abort_after = 3;
    plan->sign_valid_ms = 7ULL * DAY;
}

static void read_root(struct plan_reader *r, const struct yaml_item *items, uint32_t count)
{
    static const struct yaml_item start = {.kind = YAML_MAP, .line = 1, .column = 1, .span = 1};
    r->root = count ? items : &start;
    set_defaults(r->plan);
    if (plan_map(r, r->root, "a plan", plan_fields, r->plan))
        plan_judge(r);
}

static enum hoist_err verdict(const struct plan_reader *r, enum hoist_err err)
{
    const struct problems *p = r->problems;
    if (err == HOIST_ENOMEM || r->no_memory || p->no_memory || r->warnings->no_memory)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (p->total == 0)
        return HOIST_OK;
    const struct problem *first = &p->items[0];
    return err_set(HOIST_EINVAL, "line %u, column %u: %s%s%s%s", first->line, first->column,
                   first->path, *first->path ? ": " : "", first->message,
                   p->total > 1 ? ", and more" : "");
}

static enum hoist_err make_hash(struct release_plan *plan)
{
    struct buf canonical = BUF_INIT(RELEASE_CANONICAL_MAX);
    enum hoist_err err = release_plan_canonical(plan, &canonical);
    if (!err)
        hash_sha256(plan->hash, buf_slice(&canonical));
    buf_done(&canonical);
    return err;
}

enum hoist_err release_plan_read(struct slice yaml, struct release_plan **ret_plan,
                                 struct problems *problems, struct problems *warnings)
{
    struct plan_reader r = {.problems = problems, .warnings = warnings};
    const struct yaml_complaints complaints = {.tell = tell, .arg = &r};
    struct arena tree = {0};
    struct yaml_item *items = NULL;
    uint32_t count = 0;
    r.plan = mem_zalloc(1, sizeof *r.plan);
    if (!r.plan)
        return err_set(HOIST_ENOMEM, "out of memory");
    enum hoist_err err = yaml_tree_read(yaml, &tree, &complaints, &items, &count);
    if (!err)
        read_root(&r, items, count);
    err = verdict(&r, err);
    if (!err)
        err = make_hash(r.plan);
    arena_done(&tree);
    if (err)
        release_plan_free(r.plan);
    else
        *ret_plan = r.plan;
    return err;
}
