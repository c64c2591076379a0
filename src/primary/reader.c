/* The reader's thread: questions, and long commands on their way to the writer. */
#include "base/log.h"
#include "flag/json_read.h"
#include "primary/keys.h"
#include "primary/primary_int.h"
#include "primary/query.h"
#include "primary/query_fleet.h"

static void ask(struct primary *p, struct job *j)
{
    struct answer *a = &j->answer;
    struct store_read *r = NULL;
    json_t *args = NULL;
    enum hoist_err err = json_read(j->frame.body.len ? j->frame.body : SLICE("{}"), &args);
    if (err == HOIST_OK)
        err = store_read_begin(p->store, false, &r);
    if (err == HOIST_OK && fleet_is_question(j->frame.name))
        a->exit = fleet_answer(p->fleet, r, j->frame.name, args, &a->body);
    else if (err == HOIST_OK && slice_eq(j->frame.name, SLICE("keys")))
        a->exit = keys_answer(r, p->key, &a->body);
    else if (err == HOIST_OK)
        a->exit = query_run(r, j->frame.name, args, &a->body);
    else
        a->exit = query_fail(&a->body, err, NULL);
    store_read_end(r);
    json_decref(args);
}

static void ask_status(struct primary *p, struct job *j)
{
    struct answer *a = &j->answer;
    enum hoist_err err = primary_status(p, &a->body);
    a->exit = err == HOIST_OK ? EXIT_DONE : query_fail(&a->body, err, NULL);
}

/* Read the command here, where nothing waits behind it, and hand it on. */
static void pass_on(struct primary *p, struct job *j)
{
    enum hoist_err err = job_read(p, j);
    if (err == HOIST_OK && queue_push(&p->changes, &j->item, j->frame.body.len))
        return;
    if (err == HOIST_OK)
        err = err_set(HOIST_EBUSY, "too many changes wait at this primary");
    j->answer.exit = query_fail(&j->answer.body, err, "nothing was done; try again");
    job_answer(j);
}

void *reader_main(void *primary)
{
    struct primary *p = primary;
    for (;;) {
        bool closed = queue_is_closed(&p->questions);
        struct queue_item *item = queue_take(&p->questions, 1000);
        if (!item && closed)
            return NULL;
        while (item) {
            struct job *j = (struct job *)item;
            item = item->next;
            if (command_is(j->frame.name)) {
                pass_on(p, j);
                continue;
            }
            if (slice_eq(j->frame.name, SLICE("status")))
                ask_status(p, j);
            else
                ask(p, j);
            job_answer(j);
        }
    }
}
