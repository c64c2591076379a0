/* options_help(): the table of options as text for people. */
#include <stdio.h>
#include <string.h>

#include "base/options_int.h"

enum { HELP_COLUMN = 28 };

static void pad_to(struct buf *out, size_t have, size_t column)
{
    for (; have < column; have++)
        buf_add_byte(out, ' ');
}

/* Lines of `text`, the first where the cursor is (`have` bytes into its line). */
static void add_lines(struct buf *out, const char *text, size_t have)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        pad_to(out, have, HELP_COLUMN);
        buf_add(out, text, len);
        buf_add_byte(out, '\n');
        text += len + (text[len] == '\n');
        have = 0;
    }
}

/* (default X; may be repeated; $HOIST_X), as far as there is something to say. */
static void add_facts(struct buf *out, const struct option *o)
{
    char facts[512] = "";
    const char *env = o->env ? o->env : "";
    snprintf(facts, sizeof facts, "%s%s%s%s%s%s%s", o->fallback ? "default " : "",
             o->fallback ? o->fallback : "", o->fallback && (o->many || o->env) ? "; " : "",
             o->many ? "may be repeated" : "", o->many && o->env ? "; " : "", o->env ? "$" : "",
             env);
    if (!*facts)
        return;
    pad_to(out, 0, HELP_COLUMN);
    buf_printf(out, "(%s)\n", facts);
}

void options_help(const struct option *table, struct buf *out)
{
    for (const struct option *o = table; o->name; o++) {
        if (option_is_elsewhere(o))
            continue;
        size_t before = out->len;
        buf_printf(out, "  %s%s%s%s", o->name[1] ? "    --" : "-", o->name,
                   o->arg && !option_is_optional(o) ? " " : "", o->arg ? o->arg : "");
        size_t have = out->len - before;
        if (have + 2 > HELP_COLUMN) {
            buf_add_byte(out, '\n');
            have = 0;
        }
        add_lines(out, o->help, have);
        add_facts(out, o);
    }
}
