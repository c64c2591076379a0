/* Commands about hosts: host_retire. */
#include <stdio.h>

#include "primary/command_int.h"
#include "primary/query_int.h"

enum {
    RETIRED_AT_ONCE = 1000, /* of those that were silent; nobody else changes anything meanwhile */
    SILENT_MIN_MS = 60000,
};

static struct slice host_of(const struct command *c)
{
    return slice_str(json_string_value(json_object_get(c->body, "host")));
}

static uint32_t no_such_host(struct command *c, struct slice id, struct answer *a)
{
    char near[FRAME_ID_MAX + 1], mend[FRAME_ID_MAX + 64];
    if (c->fleet && fleet_near(c->fleet, id, near))
        snprintf(mend, sizeof mend, "is it '%s'?", near);
    else
        snprintf(mend, sizeof mend, "flagctl fleet lists them");
    return query_error(&a->body, EXIT_NO, "not-found", "host", mend, NULL,
                       "there is no host '%.*s'", SLICE_ARG(id));
}

static enum hoist_err end_result(struct command *c, struct store_write *w, struct json_writer *to,
                                 struct answer *a)
{
    json_key(to, "result");
    json_put_str(to, "retired");
    json_key(to, "request");
    json_put_hex(to, slice_of(c->request, sizeof c->request));
    json_object_end(to);
    a->exit = EXIT_DONE;
    a->wrote = true;
    return command_keep_answer(c, w, a);
}

static enum hoist_err put_one(struct command *c, struct store_write *w, struct slice id,
                              struct answer *a)
{
    buf_clear(&a->body);
    struct json_writer to = JSON_WRITER(&a->body, 0);
    json_object_begin(&to);
    json_key(&to, "host");
    json_put_slice(&to, id);
    return end_result(c, w, &to, a);
}

static enum hoist_err put_many(struct command *c, struct store_write *w, size_t hosts, bool more,
                               struct answer *a)
{
    buf_clear(&a->body);
    struct json_writer to = JSON_WRITER(&a->body, 0);
    json_object_begin(&to);
    json_key(&to, "hosts");
    json_put_u64(&to, hosts);
    json_key(&to, "more");
    json_put_bool(&to, more);
    return end_result(c, w, &to, a);
}

/* Those that the fleet is to forget once this transaction is committed. */
static const char RETIRED[] = "retired";

/* The first ones that were silent so long. */
static enum hoist_err retire_silent(struct command *c, struct store_write *w, struct answer *a)
{
    char id[FRAME_ID_MAX + 1] = "";
    int64_t silent_ms = json_integer_value(json_object_get(c->body, "silent_ms"));
    json_t *ids = json_array();
    enum hoist_err err = HOIST_OK;
    bool more = true, kept = json_object_set_new(c->body, RETIRED, ids) == 0;
    while (kept && err == HOIST_OK && json_array_size(ids) < RETIRED_AT_ONCE &&
           (more = fleet_next_silent(c->fleet, slice_str(id), silent_ms, id))) {
        err = store_host_delete(w, slice_str(id));
        kept = json_array_append_new(ids, json_string(id)) == 0;
    }
    if (!kept)
        return err_set(HOIST_ENOMEM, "out of memory");
    return err == HOIST_OK ? put_many(c, w, json_array_size(ids), more, a) : err;
}

/* The rows go in this transaction. */
enum hoist_err command_host_retire(struct command *c, struct store_write *w, struct answer *a)
{
    struct slice id = host_of(c);
    const json_t *silent = json_object_get(c->body, "silent_ms");
    if ((id.len == 0) == !silent || (silent && json_integer_value(silent) < SILENT_MIN_MS)) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "host",
                              "flagctl host retire ID, or --silent 7d", NULL,
                              "'host_retire' needs the id of a host, or for how long those were "
                              "silent that are to go, a minute or more");
        return HOIST_OK;
    }
    if (silent && c->fleet)
        return retire_silent(c, w, a);
    if (!c->fleet || !fleet_has(c->fleet, id)) {
        a->exit = no_such_host(c, id, a);
        return HOIST_OK;
    }
    enum hoist_err err = store_host_delete(w, id);
    return err == HOIST_OK ? put_one(c, w, id, a) : err;
}

void command_committed(struct command *c)
{
    size_t i;
    json_t *id;
    if (c->kind->run != command_host_retire)
        return;
    if (host_of(c).len)
        fleet_retire(c->fleet, host_of(c));
    json_array_foreach(json_object_get(c->body, RETIRED), i, id)
        fleet_retire(c->fleet, slice_str(json_string_value(id)));
}
