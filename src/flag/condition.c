#include "flag/condition.h"

#include <ctype.h>

#include "flag/flag_int.h"
#include "flag/json.h"
#include "flag/version.h"

static const char usage[] =
    "write ATTRIBUTE OPERATOR VALUE with spaces between, as in 'email ends_with @example.com'; the "
    "operators are = != < <= > >= in starts_with ends_with sem_ver; or a rule in JSONLogic";

/* ------------------------------------------------------------------ words */

static struct slice trim(struct slice s)
{
    while (s.len && isspace(s.ptr[0]))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len && isspace(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* The word that *rest begins with; what is behind it stays in *rest. */
static struct slice take_word(struct slice *rest)
{
    *rest = trim(*rest);
    size_t len = 0;
    while (len < rest->len && !isspace(rest->ptr[len]))
        len++;
    struct slice word = slice_of(rest->ptr, len);
    *rest = trim(slice_of(rest->ptr + len, rest->len - len));
    return word;
}

static bool is_quoted(struct slice s)
{
    return s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"';
}

/* Text without the quotes around it, which JSON's escapes would need. */
static struct slice unquote(struct slice s)
{
    return is_quoted(s) ? slice_of(s.ptr + 1, s.len - 2) : s;
}

/* A number, true, false, null, or text; quotes make it text. */
static void put_scalar(struct json_writer *w, struct slice s)
{
    double number;
    if (is_quoted(s))
        json_put_slice(w, unquote(s));
    else if (slice_eq(s, SLICE("true")) || slice_eq(s, SLICE("false")) ||
             slice_eq(s, SLICE("null")) || number_parse(s, &number) == NUMBER_FINE)
        json_put_raw(w, s);
    else
        json_put_slice(w, s);
}

/* ------------------------------------------------------------------ operators */

struct typed { /* ATTRIBUTE OPERATOR VALUE */
    struct slice attribute, op, value;
};

static void put_var(struct json_writer *w, struct slice attribute)
{
    json_object_begin(w);
    json_key(w, "var");
    json_put_slice(w, attribute);
    json_object_end(w);
}

static void begin_op(struct json_writer *w, const char *op, struct slice attribute)
{
    json_object_begin(w);
    json_key(w, op);
    json_array_begin(w);
    put_var(w, attribute);
}

static void end_op(struct json_writer *w)
{
    json_array_end(w);
    json_object_end(w);
}

static enum hoist_err put_equal(struct json_writer *w, const struct typed *t, struct mend mend)
{
    (void)mend;
    begin_op(w, t->op.ptr[0] == '!' ? "!=" : "==", t->attribute);
    put_scalar(w, t->value);
    end_op(w);
    return HOIST_OK;
}

/* JSONLogic takes what is missing for 0, so that nobody's age were below 18: it is asked for. */
static enum hoist_err put_order(struct json_writer *w, const struct typed *t, struct mend mend)
{
    char op[3] = "";
    double number;
    memcpy(op, t->op.ptr, t->op.len);
    if (number_parse(t->value, &number) != NUMBER_FINE) {
        mend_set(mend,
                 "compare versions by sem_ver, as in 'version sem_ver >= 2.1.0', and texts in "
                 "JSONLogic");
        return err_set(HOIST_EINVAL, "%s compares numbers, and \"%s\" is none", op,
                       show(t->value).text);
    }
    json_object_begin(w);
    json_key(w, "and");
    json_array_begin(w);
    begin_op(w, "!==", t->attribute);
    json_put_null(w);
    end_op(w);
    begin_op(w, op, t->attribute);
    json_put_raw(w, t->value);
    end_op(w);
    end_op(w);
    return HOIST_OK;
}

/* How long the item is that `list` begins with: commas in quotes are part of it. SIZE_MAX: its quote
 * does not end. */
static size_t item_len(struct slice list)
{
    bool inside = false, quoted = list.len && list.ptr[0] == '"';
    for (size_t at = 0; at < list.len; at++) {
        if (quoted && list.ptr[at] == '"')
            inside = !inside;
        if (!inside && list.ptr[at] == ',')
            return at;
    }
    return inside ? SIZE_MAX : list.len;
}

/* The items of `rest`, with commas between them. */
static enum hoist_err put_items(struct json_writer *w, struct slice rest, struct mend mend)
{
    struct slice list = rest;
    mend_set(mend, "write a list like se, no, \"Washington, DC\"; or a JSON array");
    for (bool more = true; more;) {
        size_t len = item_len(rest);
        if (len == SIZE_MAX)
            return err_set(HOIST_EINVAL, "the list \"%s\" has a quote that does not end",
                           show(list).text);
        struct slice item = trim(slice_of(rest.ptr, len));
        if (item.len == 0)
            return err_set(HOIST_EINVAL, "the list \"%s\" has an empty place", show(list).text);
        put_scalar(w, item);
        more = len < rest.len;
        if (more)
            rest = trim(slice_of(rest.ptr + len + 1, rest.len - len - 1));
    }
    return HOIST_OK;
}

static enum hoist_err put_in(struct json_writer *w, const struct typed *t, struct mend mend)
{
    enum hoist_err err = HOIST_OK;
    begin_op(w, "in", t->attribute);
    if (t->value.ptr[0] == '[') {
        json_put_raw(w, t->value);
    } else {
        json_array_begin(w);
        err = put_items(w, t->value, mend);
        json_array_end(w);
    }
    end_op(w);
    return err;
}

static enum hoist_err put_part(struct json_writer *w, const struct typed *t, struct mend mend)
{
    (void)mend;
    begin_op(w, t->op.ptr[0] == 's' ? "starts_with" : "ends_with", t->attribute);
    json_put_slice(w, unquote(t->value));
    end_op(w);
    return HOIST_OK;
}

static enum hoist_err put_sem_ver(struct json_writer *w, const struct typed *t, struct mend mend)
{
    static const char *const ops[] = {"!=", "<=", ">=", "=", "<", ">", "~", "^"};
    struct slice value = trim(unquote(t->value));
    const char *op = "=";
    struct version version;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (slice_starts_with(value, slice_str(ops[i]))) {
            op = ops[i];
            value = trim(slice_of(value.ptr + strlen(op), value.len - strlen(op)));
            break;
        }
    if (!version_read(value, &version)) {
        mend_set(mend,
                 "write it like 'version sem_ver >= 2.1.0', with = != < <= > >= ~ (same major "
                 "and minor) or ^ (same major)");
        return err_set(HOIST_EINVAL, "\"%s\" is no version", show(value).text);
    }
    begin_op(w, "sem_ver", t->attribute);
    json_put_str(w, op);
    json_put_slice(w, value);
    end_op(w);
    return HOIST_OK;
}

static const struct {
    const char *op;
    enum hoist_err (*put)(struct json_writer *w, const struct typed *t, struct mend mend);
} operators[] = {{"=", put_equal},        {"==", put_equal},       {"!=", put_equal},
                 {"<", put_order},        {"<=", put_order},       {">", put_order},
                 {">=", put_order},       {"in", put_in},          {"starts_with", put_part},
                 {"ends_with", put_part}, {"sem_ver", put_sem_ver}};

/* What was typed, as JSONLogic's text. */
static enum hoist_err translate(struct slice text, struct mend mend, struct json_writer *w)
{
    struct typed t = {.value = text};
    t.attribute = take_word(&t.value);
    t.op = take_word(&t.value);
    mend_set(mend, "%s", usage);
    if (t.value.len == 0)
        return err_set(HOIST_EINVAL, "\"%s\" is no condition", show(text).text);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (slice_eq(t.op, slice_str(operators[i].op)))
            return operators[i].put(w, &t, mend);
    return err_set(HOIST_EINVAL, "a condition has no operator \"%s\"", show(t.op).text);
}

/* ------------------------------------------------------------------ rules */

static enum hoist_err read_rule(struct slice text, struct mend mend, struct arena *arena,
                                struct tree *ret)
{
    return edit_read_json(
        text, TREE_RULE, "rule",
        "a rule is JSONLogic, such as '{\"==\": [{\"var\": \"plan\"}, \"pro\"]}'; or "
        "write 'plan = pro'",
        mend, arena, ret);
}

enum hoist_err condition_read(struct slice text, struct mend mend, struct arena *arena,
                              struct tree *ret)
{
    text = trim(text);
    enum hoist_err err = edit_check_text(text, mend);
    if (err != HOIST_OK)
        return err;
    if (text.len && text.ptr[0] == '{')
        return read_rule(text, mend, arena, ret);
    struct buf rule = BUF_INIT(FLAG_RECORD_MAX);
    struct json_writer w = JSON_WRITER(&rule, 0);
    err = translate(text, mend, &w);
    if (err == HOIST_OK)
        err = buf_err(&rule);
    if (err == HOIST_ELIMIT) {
        mend_set(mend, "keep lists elsewhere, and an attribute that says who is in them");
        err = err_set(HOIST_EINVAL, "the condition is more than a flag can hold");
    }
    if (err == HOIST_OK)
        err = read_rule(buf_slice(&rule), mend, arena, ret);
    buf_done(&rule);
    return err;
}
