/* Any bytes as commands, one after another on a small store with a release under way: a line with a name, lines of a body, an
 * empty line. Whatever comes of one is said in JSON; what is refused has changed nothing, what is
 * done is a change that can be read. In the end nothing is committed. */
#include "../unit/stage_kit.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMANDS_MAX = 8 };

static struct stage *stage;

static void end(void)
{
    stage_teardown((void **)&stage);
}

static void begin(void)
{
    stage_setup((void **)&stage);
    atexit(end);
    kit_do(stage->kit, "set", "{\"env\":\"production\",\"key\":\"a\",\"value\":\"on\"}", "changed");
    kit_do(stage->kit, "set",
           "{\"env\":\"production\",\"key\":\"b\",\"value\":\"5\",\"type\":\"number\"}", "changed");
    kit_do(stage->kit, "set", "{\"env\":\"production\",\"key\":\"a\",\"value\":\"off\"}",
           "changed");
    tell_ok(stage, "release_start", "mara", start_body());
}

/* The bytes up to `mark`, taken off the front of *rest; all of them where there is none. */
static struct slice take(struct slice *rest, const char *mark)
{
    size_t len = strlen(mark);
    uint8_t *at = rest->len ? memmem(rest->ptr, rest->len, mark, len) : NULL;
    struct slice first = at ? slice_of(rest->ptr, (size_t)(at - rest->ptr)) : *rest;
    size_t used = at ? first.len + len : first.len;
    *rest = slice_of(rest->ptr + used, rest->len - used);
    return first;
}

static void check_answer(struct answer *a)
{
    struct change c;
    json_t *body = json_loadb((const char *)a->body.ptr, a->body.len, 0, NULL);
    assert(json_is_object(body));
    assert((a->exit == EXIT_DONE) == !json_object_get(body, "error"));
    assert(!a->changed || a->exit == EXIT_DONE);
    if (a->changed) {
        enum hoist_err err = change_decode(buf_slice(&a->change), &c);
        assert(err == HOIST_OK && slice_eq(c.head.env, slice_str(a->env)));
    }
    json_decref(body);
}

/* False: the transaction is of no more use. */
static bool run(struct store_write *w, struct slice name, struct slice body)
{
    struct frame_command f = {.name = name, .body = body};
    struct answer a = ANSWER_INIT;
    struct command *c;
    f.request[0] = ++stage->kit->next_request;
    enum hoist_err err = command_new(&f, "ana", &c);
    assert(err == HOIST_OK);
    command_release_with(c, stage->releases);
    err = command_run(c, w, stage->kit->fleet, 1700000000000, &a);
    if (err == HOIST_OK)
        check_answer(&a);
    answer_done(&a);
    command_free(c);
    return err == HOIST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {data, size};
    struct store_write *w;
    if (!stage)
        begin();
    enum hoist_err err = store_write_begin(stage->kit->store, &w);
    assert(err == HOIST_OK);
    releases_begin(stage->releases);
    for (int i = 0; i < COMMANDS_MAX && rest.len; i++) {
        struct slice body = take(&rest, "\n\n"), name = take(&body, "\n");
        if (!run(w, name, body))
            break;
    }
    store_write_abort(w);
    return 0;
}
