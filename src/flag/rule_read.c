/* A rule that stands by itself in a file. */
#include "flag/flag_int.h"
#include "flag/read_int.h"

static const char mend[] =
    "a file for a flag's targeting has a rule in it, like {\"if\": [CONDITION, \"on\", \"off\"]}, "
    "or "
    "{\"targeting\": RULE, \"$evaluators\": {…}}; whole flags come by: flagctl apply FILE";

/* Whether the rule stands beside others that it refers to. No operator has such a name. */
static bool is_wrapped(const json_t *v)
{
    return json_object_get(v, "targeting") || json_object_get(v, "$evaluators") ||
           json_object_get(v, "flags") || json_object_get(v, "variants");
}

static void check_fields(struct reader *r, const json_t *document)
{
    for (void *it = json_object_iter((json_t *)document); it;
         it = json_object_iter_next((json_t *)document, it)) {
        struct slice name = slice_str(json_object_iter_key(it));
        if (slice_starts_with(name, SLICE("$")) || slice_eq(name, SLICE("targeting")))
            continue;
        size_t back = path_key(&r->path, name);
        complain(r, mend, "\"%s\" is not part of a rule", show(name).text);
        path_back(&r->path, back);
    }
}

static struct tree read_document(struct reader *r, struct arena *arena, const json_t *document)
{
    const json_t *v = document;
    if (!json_is_object(document) || !is_wrapped(document))
        return targeting_read(r, arena, document);
    check_fields(r, document);
    evaluators_read(r, json_object_get(document, "$evaluators"));
    v = json_object_get(document, "targeting");
    size_t back = path_key(&r->path, SLICE("targeting"));
    struct tree rule = {0};
    if (v)
        rule = targeting_read(r, arena, v);
    else
        complain(r, mend, "the rule is missing");
    path_back(&r->path, back);
    return rule;
}

enum hoist_err flag_rule_read(struct slice json, struct arena *arena, struct tree *ret_rule,
                              struct problems *problems)
{
    struct reader r = {.problems = problems};
    struct tree rule = {0};
    json_t *document = NULL;
    json = skip_byte_order_mark(json);
    enum hoist_err err = json_load(json, problems, &document);
    if (err == HOIST_OK)
        rule = read_document(&r, arena, document);
    if (err == HOIST_OK && problems->total)
        err = HOIST_EINVAL;
    if (r.no_memory || problems->no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (err == HOIST_OK)
        *ret_rule = rule;
    json_decref(document);
    reader_done(&r);
    if (err == HOIST_EINVAL && problems_locate(problems, json) != HOIST_OK)
        return HOIST_ENOMEM;
    return problems_verdict(problems, err);
}
