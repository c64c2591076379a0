/* Commands about hosts: host_retire. */
#include <stdio.h>

#include "primary/command_int.h"
#include "primary/query_int.h"

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

static void put_result(const struct command *c, struct slice id, struct answer *a)
{
    buf_clear(&a->body);
    struct json_writer w = JSON_WRITER(&a->body, 0);
    json_object_begin(&w);
    json_key(&w, "host");
    json_put_slice(&w, id);
    json_key(&w, "result");
    json_put_str(&w, "retired");
    json_key(&w, "request");
    json_put_hex(&w, slice_of(c->request, sizeof c->request));
    json_object_end(&w);
    a->exit = EXIT_DONE;
}

/* The row goes in this transaction; the fleet forgets the host once that is committed. */
enum hoist_err command_host_retire(struct command *c, struct store_write *w, struct answer *a)
{
    struct slice id = host_of(c);
    if (id.len == 0) {
        a->exit = query_error(&a->body, EXIT_INPUT, "input", "host", "flagctl host retire ID", NULL,
                              "'host_retire' needs the id of a host");
        return HOIST_OK;
    }
    if (!c->fleet || !fleet_has(c->fleet, id)) {
        a->exit = no_such_host(c, id, a);
        return HOIST_OK;
    }
    put_result(c, id, a);
    a->wrote = true;
    enum hoist_err err = store_host_delete(w, id);
    return err == HOIST_OK ? command_keep_answer(c, w, a) : err;
}

void command_committed(struct command *c)
{
    if (c->kind->run == command_host_retire)
        fleet_retire(c->fleet, host_of(c));
}
