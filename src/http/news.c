#include "http/news.h"

#include <inttypes.h>
#include <stdio.h>

#include "flag/json.h"

bool news_is(const struct change_header *head)
{
    return head->kind == CHANGE_KILL || head->kind == CHANGE_RESTORE ||
           head->kind == CHANGE_ROLLBACK;
}

void news_id(const struct change_header *head, char out[NEWS_ID_SIZE])
{
    snprintf(out, NEWS_ID_SIZE, "%.*s/%016" PRIx64 "/%" PRIu64, SLICE_ARG(head->env), head->epoch,
             head->version);
}

/* The next key; false behind the last, and where the change came without its edits. */
static bool next_key(struct edits_reader *r, struct slice *ret)
{
    struct edit e;
    if (edits_next(r, &e) != HOIST_OK)
        return false;
    *ret = e.key;
    return true;
}

static bool open_edits(const struct change *c, struct edits_reader *ret)
{
    return c->edits.ptr && edits_open(c->edits, ret) == HOIST_OK;
}

/* ------------------------------------------------------------------ Slack */

/* With `&`, `<` and `>` as entities Slack makes nothing of it: no link, no <!channel>. */
static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            buf_add_str(out, "&amp;");
            break;
        case '<':
            buf_add_str(out, "&lt;");
            break;
        case '>':
            buf_add_str(out, "&gt;");
            break;
        default:
            buf_add_byte(out, text.ptr[i]);
        }
    }
}

static void add_keys(struct buf *out, const struct change *c)
{
    struct edits_reader edits;
    struct slice key;
    uint32_t shown = 0;
    if (open_edits(c, &edits))
        while (shown < NEWS_SLACK_FLAGS_SHOWN && next_key(&edits, &key)) {
            buf_add_str(out, shown++ ? ", `" : "`");
            add_escaped(out, key);
            buf_add_byte(out, '`');
        }
    if (c->head.edits_count > shown)
        buf_printf(out, "%s%" PRIu32 "%s flags", shown ? " and " : "", c->head.edits_count - shown,
                   shown ? " more" : "");
}

static const char *past(uint32_t kind)
{
    return kind == CHANGE_KILL ? "killed" : kind == CHANGE_RESTORE ? "restored" : "rolled back";
}

/* {"text": …}; ends `text`. */
static void put_text(struct buf *out, struct buf *text)
{
    struct json_writer w = JSON_WRITER(out, 0);
    json_object_begin(&w);
    json_key(&w, "text");
    json_put_slice(&w, buf_slice(text));
    json_object_end(&w);
    if (!out->err)
        out->err = text->err;
    buf_done(text);
}

void news_put_slack(struct buf *out, const struct change *c)
{
    struct buf text = BUF_INIT(NEWS_BODY_MAX);
    add_keys(&text, c);
    buf_printf(&text, " %s in *", past(c->head.kind));
    add_escaped(&text, c->head.env);
    buf_add_str(&text, "* by ");
    add_escaped(&text, c->head.author);
    buf_printf(&text, " (v%" PRIu64 ")", c->head.version);
    if (c->head.restores)
        buf_printf(&text, ", to what it was at v%" PRIu64, c->head.restores);
    if (c->head.message.len)
        buf_add_str(&text, ": ");
    add_escaped(&text, c->head.message);
    put_text(out, &text);
}

/* ------------------------------------------------------------------ JSON */

static void put_flags(struct json_writer *w, const struct change *c)
{
    struct edits_reader edits;
    struct slice key;
    json_key(w, "flags");
    json_array_begin(w);
    if (open_edits(c, &edits))
        for (int i = 0; i < NEWS_FLAGS_SHOWN && next_key(&edits, &key); i++)
            json_put_slice(w, key);
    json_array_end(w);
    json_key(w, "flags_count");
    json_put_u64(w, c->head.edits_count);
}

static void put_when(struct json_writer *w, const struct change_header *head)
{
    json_key(w, "env");
    json_put_slice(w, head->env);
    json_key(w, "epoch");
    json_put_hex64(w, head->epoch);
    json_key(w, "version");
    json_put_u64(w, head->version);
    json_key(w, "time");
    json_put_time(w, head->time_ms);
}

void news_put_json(struct buf *out, const struct change *c)
{
    char id[NEWS_ID_SIZE];
    struct json_writer w = JSON_WRITER(out, 0);
    news_id(&c->head, id);
    json_object_begin(&w);
    json_key(&w, "id");
    json_put_str(&w, id);
    json_key(&w, "event");
    json_put_str(&w, change_kind_name(c->head.kind));
    put_when(&w, &c->head);
    json_key(&w, "author");
    json_put_slice(&w, c->head.author);
    json_key(&w, "message");
    json_put_slice(&w, c->head.message);
    put_flags(&w, c);
    if (c->head.restores) {
        json_key(&w, "restores");
        json_put_u64(&w, c->head.restores);
    }
    json_key(&w, "request");
    json_put_hex(&w, slice_of(c->head.request, REQUEST_ID_SIZE));
    json_object_end(&w);
}

/* ------------------------------------------------------------------ releases */

void news_release_id(const struct release_news *n, char out[NEWS_ID_SIZE])
{
    snprintf(out, NEWS_ID_SIZE, "release/%.*s/%" PRIu32 "/%" PRIu64, SLICE_ARG(n->plan->name),
             n->id, n->sequence);
}

static bool is_page(const struct release_news *n)
{
    for (uint32_t i = 0; i < n->said->line_count; i++)
        if (n->said->lines[i].page)
            return true;
    return false;
}

void news_put_release_slack(struct buf *out, const struct release_news *n)
{
    struct buf text = BUF_INIT(NEWS_BODY_MAX);
    for (uint32_t i = 0; i < n->said->line_count; i++) {
        buf_add_str(&text, i ? "\nrelease *" : "release *");
        add_escaped(&text, n->plan->name);
        buf_add_str(&text, "*: ");
        add_escaped(&text, slice_str(n->said->lines[i].text));
    }
    if (is_page(n)) {
        buf_add_str(&text, "\nSomebody has to look: ");
        add_escaped(&text, n->plan->contact);
    }
    put_text(out, &text);
}

void news_put_release_json(struct buf *out, const struct release_news *n)
{
    char id[NEWS_ID_SIZE];
    struct json_writer w = JSON_WRITER(out, 0);
    news_release_id(n, id);
    json_object_begin(&w);
    json_key(&w, "id");
    json_put_str(&w, id);
    json_key(&w, "event");
    json_put_str(&w, "release");
    json_key(&w, "release");
    json_put_slice(&w, n->plan->name);
    json_key(&w, "title");
    json_put_slice(&w, n->plan->title);
    json_key(&w, "sequence");
    json_put_u64(&w, n->sequence);
    json_key(&w, "time");
    json_put_time(&w, n->time_ms);
    json_key(&w, "page");
    json_put_bool(&w, is_page(n));
    json_key(&w, "text");
    json_array_begin(&w);
    for (uint32_t i = 0; i < n->said->line_count; i++)
        json_put_str(&w, n->said->lines[i].text);
    json_array_end(&w);
    json_object_end(&w);
}
