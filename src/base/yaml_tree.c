#include "base/yaml_tree.h"

#include <stdio.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/text.h"

enum { FIRST_ITEMS = 64, SHOWN = 64 };

static const char mend_marks[] = "write out what is meant, at each place";

struct reader {
    const struct yaml_complaints *complaints;
    struct arena *arena;
    yaml_parser_t parser;
    yaml_event_t event; /* the one being looked at; empty before the first */
    bool have_event;
    struct slice text;
    struct yaml_item *items;
    size_t cap;
    uint32_t count;
    uint32_t open[YAML_DEPTH_MAX]; /* lists and maps that have not ended, by their index */
    uint32_t depth;
    bool at_key[YAML_DEPTH_MAX]; /* the map's next item is a key */
};

/* ------------------------------------------------------------------ complaints */

static void tell(const struct reader *r, uint32_t line, uint32_t column, const char *mend,
                 const char *message)
{
    r->complaints->tell(r->complaints->arg, line, column, mend, message);
}

static void tell_here(const struct reader *r, const char *mend, const char *message)
{
    tell(r, (uint32_t)r->event.start_mark.line + 1, (uint32_t)r->event.start_mark.column + 1, mend,
         message);
}

/* The place of a byte that is no text; libyaml says where it is in the file alone. */
static void place_of(struct slice text, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            *column += (text.ptr[i] & 0xc0) != 0x80;
        }
    }
}

static enum hoist_err parse_failed(const struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char message[256];
    uint32_t line = (uint32_t)p->problem_mark.line + 1,
             column = (uint32_t)p->problem_mark.column + 1;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (p->error == YAML_READER_ERROR)
        place_of(r->text, p->problem_offset, &line, &column);
    snprintf(message, sizeof message, "not YAML: %s%s%s", p->problem ? p->problem : "unreadable",
             p->context ? ", " : "", p->context ? p->context : "");
    tell(r, line, column,
         p->error == YAML_READER_ERROR ? "save the file as UTF-8 text"
                                       : "look at the indent, the quotes and the colons here",
         message);
    return HOIST_EINVAL;
}

/* ------------------------------------------------------------------ events */

static enum hoist_err next(struct reader *r)
{
    if (r->have_event)
        yaml_event_delete(&r->event);
    r->have_event = yaml_parser_parse(&r->parser, &r->event);
    return r->have_event ? HOIST_OK : parse_failed(r);
}

static bool is_marked(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return false;
    }
}

static bool has_control_characters(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        bool c1 = c == 0xc2 && i + 1 < s.len && s.ptr[i + 1] < 0xa0;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c1)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ items */

static enum hoist_err add(struct reader *r, struct yaml_item item)
{
    if (r->count == YAML_ITEMS_MAX) {
        char message[64];
        snprintf(message, sizeof message, "more than %d keys and values", YAML_ITEMS_MAX);
        tell_here(r, "make the file smaller", message);
        return HOIST_EINVAL;
    }
    if (r->count == r->cap) {
        struct yaml_item *grown = mem_grow(r->items, &r->cap, FIRST_ITEMS, sizeof *grown);
        if (!grown)
            return err_set(HOIST_ENOMEM, "out of memory");
        r->items = grown;
    }
    item.line = (uint32_t)r->event.start_mark.line + 1;
    item.column = (uint32_t)r->event.start_mark.column + 1;
    item.span = 1;
    r->items[r->count++] = item;
    return HOIST_OK;
}

static bool wants_key(const struct reader *r)
{
    return r->depth && r->at_key[r->depth - 1];
}

/* An item has come to its end: its parent counts it. */
static void ended(struct reader *r)
{
    if (r->depth == 0)
        return;
    struct yaml_item *parent = &r->items[r->open[r->depth - 1]];
    if (parent->kind == YAML_LIST) {
        parent->count++;
        return;
    }
    bool *at_key = &r->at_key[r->depth - 1];
    parent->count += *at_key;
    *at_key = !*at_key;
}

/* A key that the map has already is bad, and what is behind it is not looked at. */
static void check_twice(struct reader *r, struct yaml_item *key)
{
    const struct yaml_item *map = &r->items[r->open[r->depth - 1]];
    const struct yaml_item *other = map + 1;
    for (uint32_t i = 0; i < map->count; i++, other++, other += other->span) {
        if (other->kind != YAML_WORD || !slice_eq(other->text, key->text))
            continue;
        char message[SHOWN + 64], mend[64];
        snprintf(message, sizeof message, "the key '%.*s' is there twice",
                 key->text.len > SHOWN ? SHOWN : (int)key->text.len, key->text.ptr);
        snprintf(mend, sizeof mend, "take one away; the first is in line %u", other->line);
        tell_here(r, mend, message);
        key->kind = YAML_BAD;
        return;
    }
}

static enum hoist_err add_bad(struct reader *r, const char *mend, const char *message)
{
    tell_here(r, mend, message);
    enum hoist_err err = add(r, (struct yaml_item){.kind = YAML_BAD});
    if (!err)
        ended(r);
    return err;
}

static enum hoist_err add_word(struct reader *r)
{
    struct slice text = slice_of(r->event.data.scalar.value, r->event.data.scalar.length);
    if (has_control_characters(text))
        return add_bad(r, "leave them out", "control characters have no place in a text");
    struct yaml_item word = {
        .kind = YAML_WORD,
        .quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
        .text = text,
    };
    enum hoist_err err = arena_own(r->arena, &word.text);
    if (!err)
        err = add(r, word);
    if (err)
        return err;
    if (wants_key(r))
        check_twice(r, &r->items[r->count - 1]);
    ended(r);
    return HOIST_OK;
}

static enum hoist_err begin(struct reader *r, enum yaml_kind kind)
{
    if (wants_key(r))
        tell_here(r, "write a word, as in  key: value", "a key is no list and no mapping");
    if (r->depth == YAML_DEPTH_MAX) {
        char message[64];
        snprintf(message, sizeof message, "more than %d levels", YAML_DEPTH_MAX);
        tell_here(r, "make it flatter", message);
        return HOIST_EINVAL;
    }
    enum hoist_err err = add(r, (struct yaml_item){.kind = kind});
    if (err)
        return err;
    r->at_key[r->depth] = kind == YAML_MAP;
    r->open[r->depth++] = r->count - 1;
    return HOIST_OK;
}

/* A list that stands where a key should has been complained of: as a key it is one bad item. */
static void end(struct reader *r)
{
    uint32_t at = r->open[--r->depth];
    if (wants_key(r)) {
        r->items[at].kind = YAML_BAD;
        r->count = at + 1;
    }
    r->items[at].span = r->count - at;
    ended(r);
}

static enum hoist_err take(struct reader *r)
{
    if (is_marked(&r->event))
        tell_here(r, mend_marks, "anchors and tags have no meaning here");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        return add_word(r);
    case YAML_SEQUENCE_START_EVENT:
        return begin(r, YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return begin(r, YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        end(r);
        return HOIST_OK;
    default:
        return add_bad(r, mend_marks, "aliases have no meaning here");
    }
}

/* ------------------------------------------------------------------ the document */

static enum hoist_err read_document(struct reader *r)
{
    enum hoist_err err = next(r); /* the stream's start */
    if (!err)
        err = next(r);
    if (err || r->event.type == YAML_STREAM_END_EVENT)
        return err;
    while (!(err = next(r)) && r->event.type != YAML_DOCUMENT_END_EVENT)
        if ((err = take(r)))
            return err;
    if (!err)
        err = next(r);
    if (!err && r->event.type != YAML_STREAM_END_EVENT)
        tell_here(r, "put it into a file of its own", "a second document: only one is read");
    return err;
}

static enum hoist_err check_size(const struct reader *r)
{
    char message[64];
    if (r->text.len <= YAML_TEXT_MAX)
        return HOIST_OK;
    snprintf(message, sizeof message, "the file is longer than %d KiB", YAML_TEXT_MAX >> 10);
    tell(r, 1, 1, "make it smaller", message);
    return HOIST_EINVAL;
}

static enum hoist_err give(const struct reader *r, struct yaml_item **ret_items,
                           uint32_t *ret_count)
{
    struct yaml_item *copy = arena_alloc(r->arena, r->count ? r->count : 1, sizeof *copy);
    if (!copy)
        return err_set(HOIST_ENOMEM, "out of memory");
    if (r->count)
        memcpy(copy, r->items, r->count * sizeof *copy);
    *ret_items = copy;
    *ret_count = r->count;
    return HOIST_OK;
}

enum hoist_err yaml_tree_read(struct slice text, struct arena *arena,
                              const struct yaml_complaints *complaints,
                              struct yaml_item **ret_items, uint32_t *ret_count)
{
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        text = slice_of(text.ptr + 3, text.len - 3);
    struct reader r = {.complaints = complaints, .arena = arena, .text = text};
    enum hoist_err err = check_size(&r);
    if (err)
        return err;
    if (!yaml_parser_initialize(&r.parser))
        return err_set(HOIST_ENOMEM, "out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.len ? text.ptr : (const uint8_t *)"", text.len);
    err = read_document(&r);
    if (!err)
        err = give(&r, ret_items, ret_count);
    if (r.have_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    mem_free(r.items);
    return err;
}

/* ------------------------------------------------------------------ looking */

bool yaml_is_nothing(const struct yaml_item *item)
{
    return item->kind == YAML_WORD && !item->quoted &&
           (item->text.len == 0 || slice_eq(item->text, SLICE("~")) ||
            slice_eq(item->text, SLICE("null")));
}

const struct yaml_item *yaml_find(const struct yaml_item *map, struct slice key)
{
    const struct yaml_item *item = map + 1;
    for (uint32_t i = 0; map->kind == YAML_MAP && i < map->count; i++) {
        const struct yaml_item *value = item + 1; /* a key spans itself alone */
        if (item->kind == YAML_WORD && slice_eq(item->text, key))
            return value;
        item = value + value->span;
    }
    return NULL;
}
