/* Segments: constraints with a name, which become rules with a name. */
#include "flag/unleash_int.h"

static json_t *segment_id(const json_t *id)
{
    if (json_is_string(id))
        return json_incref((json_t *)id);
    return json_is_integer(id) ? json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(id))
                               : NULL;
}

void segments_index(struct unleash *u, const json_t *segments)
{
    size_t i, back = path_key(&u->path, SLICE("segments"));
    const json_t *s;
    if (segments && !json_is_array(segments) && !json_is_null(segments))
        wrong(u, "make them an array", "the segments are %s, not an array",
              json_type_word(segments));
    json_array_foreach(segments, i, s)
    {
        size_t item = path_index(&u->path, i);
        json_t *id = segment_id(json_object_get(s, "id"));
        if (!id)
            wrong(u, "give it the id that strategies refer to", "the segment has no id");
        else if (json_object_get(u->segment_index, json_string_value(id)))
            wrong(u, "keep one of them", "the segment %s stands twice", show(json_text(id)).text);
        else
            json_object_set_new(u->segment_index, json_string_value(id),
                                json_integer((json_int_t)i));
        u->segments[i].json = s;
        json_decref(id);
        path_back(&u->path, item);
    }
    path_back(&u->path, back);
}

/* Its condition, read when the first strategy asks for it: what is wrong is said at the segment. */
static void read_segment(struct unleash *u, size_t index, const char *name)
{
    struct path path = u->path;
    struct slice feature = u->feature;
    unsigned quiet = u->quiet;
    struct segment *s = &u->segments[index];
    json_t *items = json_array();
    u->path = (struct path){0};
    u->feature = (struct slice){0};
    u->quiet = 0;
    path_key(&u->path, SLICE("segments"));
    path_index(&u->path, index);
    constraint_rules(u, json_object_get(s->json, "constraints"), items);
    s->rule = rule_all(items);
    if (json_is_object(s->rule)) {
        json_object_set_new(u->evaluators, name, s->rule);
        s->rule = rule_of("$ref", json_string(name));
    }
    u->path = path;
    u->feature = feature;
    u->quiet = quiet;
}

json_t *segment_rule(struct unleash *u, const json_t *id)
{
    json_t *text = segment_id(id);
    const json_t *at = text ? json_object_get(u->segment_index, json_string_value(text)) : NULL;
    if (!at) {
        wrong(u, "take it out of the strategy, or bring the segment along",
              "there is no segment %s", text ? show(json_text(text)).text : "without an id");
        json_decref(text);
        return json_false();
    }
    size_t index = (size_t)json_integer_value(at);
    if (!u->segments[index].rule) {
        json_t *name = json_sprintf("segment-%s", json_string_value(text));
        if (name)
            read_segment(u, index, json_string_value(name));
        json_decref(name);
    }
    json_decref(text);
    return rule_same(u->segments[index].rule);
}
