/* Any bytes as an HTTP request: its method, path, headers and body, as http.c would hand them on. The
 * input is lines, then an empty one, then the body:
 *
 *     POST /ofrep/v1/evaluate/flags/plan
 *     Content-Type: application/json
 *
 *     {"context": {}}
 */
#include "../unit/ofrep_kit.h"

#include <assert.h>

#include "base/text.h"
#include "flag/value_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS_MAX = 16, LINE_MAX_BYTES = 4096 };

struct request {
    char *method, *path;
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
    size_t count;
};

static const char flags[] =
    "{\"flags\": {"
    "\"on\": {\"state\": \"ENABLED\", \"variants\": {\"on\": true, \"off\": false}, "
    "  \"defaultVariant\": \"on\", \"metadata\": {\"owner\": \"ana\"}},"
    "\"rule\": {\"state\": \"ENABLED\", \"variants\": {\"y\": {\"a\": [1]}, \"n\": {}}, "
    "\"targeting\": {\"if\": ["
    "  {\"or\": [{\"==\": [{\"var\": \"plan\"}, \"pro\"]}, {\"sem_ver\": [{\"var\": \"v\"}, "
    "\">=\", \"1.2.3\"]},"
    "    {\"some\": [{\"var\": \"groups\"}, {\"in\": [{\"var\": \"\"}, \"beta\"]}]}]}, \"y\","
    "  {\"fractional\": [[\"y\", 30], [\"n\", 70]]}]}},"
    "\"text\": {\"state\": \"ENABLED\", \"variants\": {\"x\": \"\\u00e9\"}, \"targeting\": "
    "{\"cat\": [{\"var\": \"a.b\"}]}},"
    "\"off\": {\"state\": \"DISABLED\", \"variants\": {\"x\": 1}}}}";

static struct ofrep *ofrep;
static struct store *store;
static char *dir;

static void end(void)
{
    ofrep_free(ofrep);
    store_close(store);
    kit_remove(dir);
}

static void begin(void)
{
    static const char *const context[] = {"tier=1"}, *const headers[] = {"X-Account=account"};
    dir = kit_dir();
    store = kit_open(dir);
    kit_import(store, "production", flags);
    struct ofrep_config config = {.store = store,
                                  .context = context,
                                  .context_count = 1,
                                  .headers = headers,
                                  .header_count = 1};
    OK(ofrep_new(&config, &ofrep));
    atexit(end);
}

static const char *header(void *arg, const char *name)
{
    const struct request *q = arg;
    for (size_t i = 0; i < q->count; i++)
        if (strcasecmp(q->names[i], name) == 0)
            return q->values[i];
    return NULL;
}

static const char *query(void *arg, const char *name)
{
    (void)name;
    return header(arg, "ticket");
}

/* The lines of the head, ended with NULs; what is behind them. */
static struct slice read_head(char *text, size_t size, struct request *q)
{
    char *at = text, *end = text + size;
    while (at < end) {
        char *line = at, *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        *stop = '\0';
        at = stop < end ? stop + 1 : end;
        if (stop == line)
            break;
        char *gap = strchr(line, q->method ? ':' : ' ');
        if (!q->method) {
            q->method = line;
            q->path = gap ? gap + 1 : stop;
            if (gap)
                *gap = '\0';
        } else if (gap && q->count < HEADERS_MAX) {
            *gap = '\0';
            q->names[q->count] = line;
            q->values[q->count++] = gap + 1 + strspn(gap + 1, " ");
        }
    }
    return slice_of(at, (size_t)(end - at));
}

/* What is answered is JSON, or nothing. */
static void look_at(const struct ofrep_answer *a)
{
    struct value_text text;
    struct tree tree;
    assert(buf_err(&a->body) == HOIST_OK);
    assert(a->status >= 200 && a->status < 600);
    if (a->stream || a->status == 304) {
        assert(a->body.len == 0);
        return;
    }
    assert(text_utf8(buf_slice(&a->body)));
    enum hoist_err err = value_read(buf_slice(&a->body), &text, &tree);
    assert(err == HOIST_OK);
    assert(tree.nodes[0].kind == NODE_OBJECT);
    value_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request q = {0};
    if (!ofrep)
        begin();
    char *text = malloc(size + 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    struct slice body = read_head(text, size, &q);
    struct ofrep_request asked = {.method = slice_str(q.method),
                                  .path = slice_str(q.path),
                                  .header = header,
                                  .query = query,
                                  .arg = &q};
    if (q.path && ofrep_is(asked.path)) {
        struct ofrep_answer a = OFREP_ANSWER_INIT;
        if (ofrep_begin(ofrep, &asked, &a)) {
            asked.body = body;
            ofrep_finish(ofrep, &asked, &a);
        }
        look_at(&a);
        buf_done(&a.body);
    }
    free(text);
    return 0;
}
