/* Any bytes as a question to a store: its name on the first line, its arguments in JSON behind that.
 * The answer is JSON: yes, no, or what is wrong with the question. */
#include "../unit/primary_kit.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kit kit;

static void end(void)
{
    kit_done(&kit);
}

static void begin(void)
{
    kit_init(&kit, 0);
    atexit(end);
    kit_do(&kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"a\",\"value\":\"on\",\"percent\":\"30\"}", "changed");
    kit_do(&kit, "set", "{\"key\":\"b\",\"value\":\"x\",\"type\":\"string\"}", "changed");
    kit_do(&kit, "kill", "{\"keys\":[\"a\"]}", "changed");
    kit_do(&kit, "delete", "{\"key\":\"b\"}", "changed");
    kit_do(&kit, "env_create", "{\"env\":\"staging\"}", "changed");
    kit_do(&kit, "set", "{\"env\":\"staging\",\"key\":\"a\",\"value\":\"off\"}", "changed");
}

static void ask(struct slice name, const json_t *args)
{
    struct store_read *r;
    struct buf out = BUF_INIT(64 << 20);
    enum hoist_err err = store_read_begin(kit.store, false, &r);
    assert(err == HOIST_OK);
    uint32_t exit = query_run(r, name, args, &out);
    store_read_end(r);
    json_t *answer = json_loadb((const char *)out.ptr, out.len, 0, NULL);
    assert(json_is_object(answer));
    assert(exit == EXIT_DONE || exit == EXIT_NO || json_object_get(answer, "error"));
    json_decref(answer);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!kit.store)
        begin();
    if (!line)
        return 0;
    struct slice name = slice_of(data, (size_t)(line - data));
    json_t *args = json_loadb((const char *)line + 1, size - name.len - 1, 0, NULL);
    if (query_is(name) && json_is_object(args))
        ask(name, args);
    json_decref(args);
    return 0;
}
