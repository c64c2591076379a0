/* The texts of a plan. What is over its length or has the wrong letters is refused, with an example. */
#include "flag/flag.h"
#include "release/plan_int.h"

bool plan_word(struct plan_reader *r, const struct yaml_item *v, const char *mend)
{
    if (v->kind == YAML_BAD)
        return false;
    if (v->kind != YAML_WORD)
        plan_complain(r, v, mend, "a %s stands here where a value belongs",
                      v->kind == YAML_LIST ? "list" : "mapping");
    else if (yaml_is_nothing(v) || v->text.len == 0)
        plan_complain(r, v, mend, "it is empty");
    else
        return true;
    return false;
}

bool plan_is_name(struct slice s)
{
    return s.len <= RELEASE_NAME_MAX && is_plain(s, "_-") && s.ptr[0] != '-' && s.ptr[0] != '_';
}

bool plan_is_who(struct slice s)
{
    return s.len <= RELEASE_WHO_MAX && is_plain(s, "._@+-");
}

static void keep(struct plan_reader *r, struct slice text, struct slice *out)
{
    if (arena_own(&r->plan->arena, &text) != HOIST_OK)
        r->no_memory = true;
    else
        *out = text;
}

static bool has_capitals(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return true;
    return false;
}

void plan_name_read(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] =
        "a name has 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or a digit";
    if (!plan_word(r, v, mend))
        return;
    if (plan_is_name(v->text) && !has_capitals(v->text))
        keep(r, v->text, out);
    else
        plan_complain(r, v, mend, "\"%s\" is no name", show(v->text).text);
}

void plan_who(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    static const char mend[] = "write the name of a signing key: 1 to 63 of a-z, A-Z, 0-9 and . _ "
                               "@ + -";
    if (!plan_word(r, v, mend))
        return;
    if (plan_is_who(v->text))
        keep(r, v->text, out);
    else
        plan_complain(r, v, mend, "\"%s\" is nobody's name", show(v->text).text);
}

static void read_text(struct plan_reader *r, const struct yaml_item *v, size_t max,
                      struct slice *out)
{
    if (!plan_word(r, v, "write a text"))
        return;
    struct slice text = v->text;
    while (text.len && text.ptr[text.len - 1] == '\n') /* a block of text ends with one */
        text.len--;
    if (text.len == 0)
        plan_complain(r, v, "write a text", "it is empty");
    else if (text.len > max)
        plan_complain(r, v, "make it shorter", "it has %zu bytes, and %zu at most", text.len, max);
    else
        keep(r, text, out);
}

/* What stands in lines of messages and tables. */
static void read_line(struct plan_reader *r, const struct yaml_item *v, size_t max,
                      struct slice *out)
{
    struct slice line = {0};
    read_text(r, v, max, &line);
    if (line.len && memchr(line.ptr, '\n', line.len))
        plan_complain(r, v, "write it in one line, or folded, behind a  >-",
                      "it has several lines");
    else if (line.len)
        *out = line;
}

void plan_text(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    read_line(r, v, RELEASE_TEXT_MAX, out);
}

void plan_task(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    read_line(r, v, RELEASE_NAME_MAX, out);
}

void plan_variant(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    read_line(r, v, FLAG_KEY_MAX, out);
}

void plan_query(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    read_text(r, v, RELEASE_QUERY_MAX, out);
}

void plan_message(struct plan_reader *r, const struct yaml_item *v, void *out)
{
    read_text(r, v, RELEASE_ANNOUNCE_MAX, out);
}
