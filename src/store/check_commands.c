/* check_commands.c - whether the answers that are kept and their sequence say the same, and what was
 * denied is there. */
#include "store/check_int.h"

#include <inttypes.h>

#include "base/text.h"

static bool look_up(struct check *c, struct row_key k, struct slice *ret)
{
    MDB_val key = val_key(&k), row;
    if (db_get(c->r->db, c->r->txn, DB_COMMANDS, &key, &row) != 0)
        return false;
    *ret = slice_val(row);
    return true;
}

static void check_answer(struct check *c, const struct walk *w, uint64_t *bytes)
{
    struct slice request;
    *bytes += w->row.len;
    if (w->row.len < COMMAND_HEAD) {
        check_tell(c, DB_COMMANDS, w->row_key, "a kept answer is cut short");
        return;
    }
    uint64_t sequence = be64_read(w->row.ptr);
    if (!look_up(c, row_sequence(sequence), &request) ||
        !slice_eq(request, slice_of(w->key.ptr + 1, REQUEST_ID_SIZE)))
        check_tell(c, DB_COMMANDS, w->row_key, "it is number %" PRIu64 ", which is not its request",
                   sequence);
}

static void check_sequence(struct check *c, const struct walk *w)
{
    struct slice answer;
    if (w->row.len != REQUEST_ID_SIZE || !look_up(c, row_command(w->row.ptr), &answer) ||
        answer.len < COMMAND_HEAD || be64_read(answer.ptr) != be64_read(w->key.ptr + 1))
        check_tell(c, DB_COMMANDS, w->row_key, "its request has no answer of that number");
}

static void check_denied(struct check *c, const struct walk *w)
{
    if (w->row.len == 0 || w->row.len > STORE_DENIAL_MAX || !text_utf8(w->row))
        check_tell(c, DB_COMMANDS, w->row_key, "what was denied is cut short, or no text");
}

enum hoist_err check_commands(struct check *c)
{
    struct row_key k = {.bytes = "answers", .len = 7};
    struct walk w;
    struct slice row;
    uint64_t bytes = 0;
    enum hoist_err err = walk_begin(c, DB_COMMANDS, NULL, &w);
    while (!err && walk_next(&w)) {
        if (w.key.len == 1 + REQUEST_ID_SIZE && w.key.ptr[0] == 'i')
            check_answer(c, &w, &bytes);
        else if (w.key.len == 1 + 8 && w.key.ptr[0] == 's')
            check_sequence(c, &w);
        else if (w.key.len == 1 + 8 && w.key.ptr[0] == ROW_DENIED)
            check_denied(c, &w);
        else
            check_tell(c, DB_COMMANDS, w.row_key,
                       "it is neither an answer, nor a number, nor a denial");
    }
    walk_end(&w);
    uint64_t said = check_meta(c, k, &row) && row.len == 8 ? be64_read(row.ptr) : 0;
    if (!err && said != bytes)
        check_tell(c, DB_META, slice_of(k.bytes, k.len),
                   "it says %" PRIu64 " bytes of answers, there are %" PRIu64, said, bytes);
    return err;
}
