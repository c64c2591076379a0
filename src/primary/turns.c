#include "primary/turns.h"

#include "primary/primary_int.h"

static struct job *behind(const struct job *j)
{
    return (struct job *)j->item.next;
}

/* The first turn that has not begun and in which `asker` has nothing. */
static uint64_t turn_of(const struct turns *t, const void *asker)
{
    uint64_t turn = t->turn + 1;
    for (const struct job *j = t->first; j; j = behind(j))
        if (j->asker == asker && j->turn >= turn)
            turn = j->turn + 1;
    return turn;
}

void turns_add(struct turns *t, struct job *j)
{
    struct job *before = NULL, *next = t->first;
    j->turn = turn_of(t, j->asker);
    while (next && next->turn <= j->turn) {
        before = next;
        next = behind(next);
    }
    j->item.next = (struct queue_item *)next;
    if (before)
        before->item.next = &j->item;
    else
        t->first = j;
}

struct job *turns_next(struct turns *t)
{
    struct job *j = t->first;
    if (!j)
        return NULL;
    t->first = behind(j);
    t->turn = j->turn;
    return j;
}
