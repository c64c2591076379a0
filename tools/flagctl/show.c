/* How answers look. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json.h"
#include "flagctl.h"
#include "wire/frame.h"

const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

const char *look(const struct call *c, enum look l)
{
    static const char *const codes[] = {
        [LOOK_PLAIN] = "\x1b[0m", [LOOK_KEY] = "\x1b[1m",  [LOOK_VALUE] = "\x1b[36m",
        [LOOK_GOOD] = "\x1b[32m", [LOOK_BAD] = "\x1b[31m", [LOOK_FAINT] = "\x1b[2m",
    };
    return c->colour ? codes[l] : "";
}

void show_json(const struct reply *r)
{
    fwrite(r->text.ptr, 1, r->text.len, stdout);
    putchar('\n');
}

/* ------------------------------------------------------------------ errors */

void show_problem(FILE *out, const json_t *p)
{
    const char *path = text_of(p, "path");
    fputs("  ", out);
    if (number_of(p, "line") && strncmp(path, "line ", 5) != 0)
        fprintf(out, "line %" PRIu64 ", column %" PRIu64 "%s", number_of(p, "line"),
                number_of(p, "column"), *path ? ", " : "");
    fprintf(out, "%s: %s\n", path, text_of(p, "message"));
    if (*text_of(p, "mend"))
        fprintf(out, "    %s\n", text_of(p, "mend"));
}

static void show_problems(const json_t *error)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(error, "problems"), i, p)
    {
        show_problem(stderr, p);
    }
    uint64_t total = number_of(error, "problems_total");
    if (total > i)
        fprintf(stderr, "  and %" PRIu64 " more\n", total - i);
}

int show_error(const struct call *c, const struct reply *r)
{
    const json_t *error = json_object_get(r->body, "error");
    if (c->json) {
        fwrite(r->text.ptr, 1, r->text.len, stderr);
        fputc('\n', stderr);
        return (int)r->exit;
    }
    fprintf(stderr, "flagctl: %s\n", text_of(error, "message"));
    show_problems(error);
    if (*text_of(error, "mend"))
        fprintf(stderr, "  %s\n", text_of(error, "mend"));
    return (int)r->exit;
}

bool show_if_error(const struct call *c, const struct reply *r, int *ret_exit)
{
    if (r->body && !json_object_get(r->body, "error"))
        return false;
    *ret_exit = show_error(c, r);
    return true;
}

int show_failure(const struct call *c, uint32_t exit, const char *code, const char *mend,
                 const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (!c->json) {
        fprintf(stderr, "flagctl: %s\n", message);
        if (mend)
            fprintf(stderr, "  %s\n", mend);
        return (int)exit;
    }
    struct buf text = BUF_INIT(8192);
    query_error(&text, exit, code, NULL, mend, NULL, "%s", message);
    fprintf(stderr, "%s\n", buf_str(&text));
    buf_done(&text);
    return (int)exit;
}

/* ------------------------------------------------------------------ values */

/* jansson would print a number with 17 digits; json.h has the shortest. Its own limit on depth,
 * from when it was read, bounds the recursion. */
static void put_value(struct json_writer *w, const json_t *v)
{
    size_t i;
    const char *name;
    json_t *item;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        json_object_begin(w);
        json_object_foreach((json_t *)v, name, item)
        {
            json_key(w, name);
            put_value(w, item);
        }
        json_object_end(w);
        break;
    case JSON_ARRAY:
        json_array_begin(w);
        json_array_foreach(v, i, item)
        {
            put_value(w, item);
        }
        json_array_end(w);
        break;
    case JSON_STRING:
        json_put_slice(w, slice_of(json_string_value(v), json_string_length(v)));
        break;
    case JSON_INTEGER:
        json_put_i64(w, json_integer_value(v));
        break;
    case JSON_REAL:
        json_put_number(w, json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_put_bool(w, json_is_true(v));
        break;
    case JSON_NULL:
        json_put_null(w);
        break;
    }
}

/* Half an answer would be read as a whole one. */
static _Noreturn void end_without_room(void)
{
    fputs("flagctl: no memory for the answer; it is not known whether it was done\n", stderr);
    exit(EXIT_NO_ANSWER);
}

char *value_text(const json_t *value, bool bare)
{
    struct buf text = BUF_INIT(FRAME_COMMAND_MAX);
    struct json_writer w = JSON_WRITER(&text, 0);
    if (bare && json_is_string(value))
        buf_add(&text, json_string_value(value), json_string_length(value));
    else if (value)
        put_value(&w, value);
    char *copy = buf_err(&text) != HOIST_OK ? NULL : mem_dup(buf_slice(&text));
    if (!copy)
        end_without_room();
    buf_done(&text);
    return copy;
}

static bool parse_time(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

void show_age(char out[64], const char *time)
{
    int64_t then_ms, ago;
    out[0] = '\0';
    if (!*time || !parse_time(time, &then_ms))
        return;
    ago = (clock_wall_ms() - then_ms) / 1000;
    if (ago < 0)
        snprintf(out, 64, "in %" PRId64 " s, by this clock", -ago);
    else if (ago < 120)
        snprintf(out, 64, "%" PRId64 " s ago", ago);
    else if (ago < 7200)
        snprintf(out, 64, "%" PRId64 " min ago", ago / 60);
    else if (ago < 172800)
        snprintf(out, 64, "%" PRId64 " h ago", ago / 3600);
    else
        snprintf(out, 64, "%" PRId64 " days ago", ago / 86400);
}

int show_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void show_span(char out[SHOW_SPAN], uint64_t ms)
{
    if (ms < 1000)
        snprintf(out, SHOW_SPAN, "%" PRIu64 " ms", ms);
    else if (ms < 120000)
        snprintf(out, SHOW_SPAN, "%.1f s", (double)ms / 1000);
    else if (ms < 7200000)
        snprintf(out, SHOW_SPAN, "%" PRIu64 " min", ms / 60000);
    else if (ms < 172800000)
        snprintf(out, SHOW_SPAN, "%" PRIu64 " h", ms / 3600000);
    else
        snprintf(out, SHOW_SPAN, "%" PRIu64 " days", ms / 86400000);
}

enum look look_of_state(const char *state)
{
    if (strcmp(state, "current") == 0)
        return LOOK_GOOD;
    return strcmp(state, "behind") == 0 ? LOOK_VALUE : LOOK_BAD;
}

void show_tame(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F */
            p[0] = p[1] = '?';
    }
}

/* ------------------------------------------------------------------ edits */

/* `name`: a field of a flag, or NULL for all of one. */
static void show_definition(const char *sign, const char *name, const json_t *value)
{
    enum { WIDTH = 110, FIELD_WIDTH = 4000 };
    int width = name ? FIELD_WIDTH : WIDTH;
    char *text = value_text(value, false);
    if (text)
        printf("      %s %s%s%.*s%s\n", sign, name ? name : "", name ? ": " : "", width, text,
               strlen(text) > (size_t)width ? "…" : "");
    mem_free(text);
}

/* The fields in which two definitions of a flag differ, whole: who reads a difference looks for what
 * is different. */
static void show_changed_fields(const json_t *before, const json_t *after)
{
    const char *name;
    json_t *value;
    if (json_equal(before, after)) { /* but for the order of the variants, say */
        show_definition("-", NULL, before);
        show_definition("+", NULL, after);
    }
    json_object_foreach((json_t *)before, name, value)
    {
        const json_t *now = json_object_get(after, name);
        if (now && json_equal(value, now))
            continue;
        show_definition("-", name, value);
        if (now)
            show_definition("+", name, now);
    }
    json_object_foreach((json_t *)after, name, value)
    {
        if (!json_object_get(before, name))
            show_definition("+", name, value);
    }
}

void show_edits(const struct call *c, const json_t *edits)
{
    size_t i;
    json_t *e;
    json_array_foreach(edits, i, e)
    {
        const json_t *before = json_object_get(e, "before"), *after = json_object_get(e, "after");
        bool was = !json_is_null(before), is = !json_is_null(after);
        if (json_is_true(json_object_get(e, "same"))) {
            printf("  = %s\n", text_of(e, "key"));
            continue;
        }
        enum look l = !was ? LOOK_GOOD : !is ? LOOK_BAD : LOOK_VALUE;
        printf("  %s%s %s%s\n", look(c, l),
               !was  ? "+"
               : !is ? "-"
                     : "~",
               text_of(e, "key"), look(c, LOOK_PLAIN));
        if (was && is)
            show_changed_fields(before, after);
        else if (is)
            show_definition("+", NULL, after);
    }
}

/* How many edits there are, of which the answer has the first: the answer to a change lists keys. */
static uint64_t count_edits(const json_t *answer)
{
    static const char *const lists[] = {"created", "changed", "deleted"};
    uint64_t count = number_of(answer, "edits_count");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        count += json_array_size(json_object_get(answer, lists[i]));
    return count;
}

void show_edits_of(const struct call *c, const json_t *answer)
{
    const json_t *edits = json_object_get(answer, "edits");
    uint64_t count = count_edits(answer);
    show_edits(c, edits);
    if (count > json_array_size(edits))
        printf("  … and %" PRIu64 " more\n", count - json_array_size(edits));
}

/* ------------------------------------------------------------------ who answered */

/* What the hoistd of a store says of its upstream, if there is one that runs. */
static void put_store_age(struct call *c, struct buf *out)
{
    struct buf json = BUF_INIT(64 << 10);
    json_t *status = NULL;
    pid_t pid;
    if (!store_is_written(c->source.where, &pid)) {
        buf_add_str(out, ", no hoistd runs on it: it is as old as its last change");
    } else if (c->source.store && store_status_get(c->source.store, &json) == HOIST_OK) {
        status = json_loadb((const char *)json.ptr, json.len, 0, NULL);
        const json_t *upstream = json_object_get(status, "upstream");
        const json_t *word = json_object_get(upstream, "last_word_ms");
        if (json_is_integer(word))
            buf_printf(out, ", last word from %s %.1f s ago", text_of(upstream, "url"),
                       (double)json_integer_value(word) / 1000);
        else if (json_is_object(upstream))
            buf_printf(out, ", %s was not heard since hoistd began", text_of(upstream, "url"));
        else
            buf_add_str(out, ", the primary's own");
    }
    json_decref(status);
    buf_done(&json);
}

void show_source(struct call *c, const json_t *answer)
{
    if (!c->terminal)
        return;
    struct buf line = BUF_INIT(8192);
    const char *env = text_of(answer, "env");
    buf_printf(&line, "%s%s%s %s", env, *env ? ", " : "", c->source.local ? "store" : "primary",
               c->source.where);
    if (c->source.local)
        put_store_age(c, &line);
    else
        buf_add_str(&line, ", now");
    fflush(stdout);
    fprintf(stderr, "%s%s%s\n", look(c, LOOK_FAINT), buf_str(&line), look(c, LOOK_PLAIN));
    buf_done(&line);
}

bool confirm(const char *question)
{
    char answer[16];
    fprintf(stderr, "%s [y/N] ", question);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
