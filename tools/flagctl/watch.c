/* watch: changes as they land. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "flagctl.h"

enum { LIMIT = 100, POLL_MS = 200, LOOK_AGAIN_MS = 1000 };

struct watch {
    struct call *call;
    char epoch[32];
    uint64_t seen; /* version; printed up to here */
    bool begun;
    bool silent; /* nobody answered the last time, and it was said */
    int notify;  /* inotify on a store's counters, or -1 */
};

static void print_change(const struct watch *w, const json_t *reply, json_t *change)
{
    if (!w->call->json) {
        show_logged(w->call, change);
        return;
    }
    json_object_set(change, "env", json_object_get(reply, "env"));
    char *line = value_text(change, false);
    if (line)
        puts(line);
    mem_free(line);
}

/* Where the log begins behind what was seen, say so: there is no way to print what is gone. */
static void note_gap(struct watch *w, const json_t *reply)
{
    uint64_t first = number_of(reply, "first");
    if (first > w->seen + 1) {
        fprintf(stderr, "flagctl: versions %" PRIu64 " to %" PRIu64 " are no longer in the log\n",
                w->seen + 1, first - 1);
        w->seen = first - 1;
    }
}

/* Print what is new in a reply. True: there is more to be had at once. */
static bool take(struct watch *w, const json_t *reply)
{
    const char *epoch = text_of(reply, "epoch");
    const json_t *changes = json_object_get(reply, "changes");
    uint64_t head = number_of(reply, "head");
    bool other = w->begun && (strcmp(epoch, w->epoch) != 0 || head < w->seen);
    if (!w->begun) {
        w->begun = true;
        w->seen = head;
    } else if (other && head < w->seen) {
        fprintf(stderr, "flagctl: the history is another now: epoch %s, v%" PRIu64 "\n", epoch,
                head);
        w->seen = head;
    } else {
        note_gap(w, reply);
        for (size_t i = json_array_size(changes); i > 0; i--) {
            json_t *change = json_array_get(changes, i - 1);
            print_change(w, reply, change);
            w->seen = number_of(change, "version");
        }
    }
    snprintf(w->epoch, sizeof w->epoch, "%s", epoch);
    fflush(stdout);
    return w->seen < head && json_array_size(changes) > 0;
}

/* The wait for something new: the store's counters are written after each commit. */
static void wait_for_change(struct watch *w)
{
    char events[4096];
    if (w->notify < 0 && w->call->source.local && w->call->source.store) {
        w->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->notify >= 0 &&
            inotify_add_watch(w->notify, store_counters_path(w->call->source.store), IN_MODIFY) <
                0) {
            close(w->notify);
            w->notify = -1;
        }
    }
    struct pollfd p = {.fd = w->notify, .events = POLLIN};
    if (poll(&p, w->notify >= 0, w->notify >= 0 ? LOOK_AGAIN_MS : POLL_MS) > 0)
        while (read(w->notify, events, sizeof events) > 0)
            ;
    if (w->notify >= 0 && store_is_replaced(w->call->source.store)) {
        close(w->notify);
        w->notify = -1;
    }
}

static void note_silence(struct watch *w, const struct reply *r)
{
    if (!w->silent)
        (void)show_error(w->call, r);
    w->silent = true;
}

int run_watch(struct call *c)
{
    struct watch w = {.call = c, .notify = -1};
    if (!source_choose(c, false))
        return EXIT_INPUT;
    for (;;) {
        struct reply r;
        bool more = false;
        json_t *args = json_pack("{sI}", "limit", (json_int_t)(w.begun ? LIMIT : 0));
        if (w.begun)
            json_object_set_new(args, "since", json_integer((json_int_t)w.seen));
        ask(c, "log", args, &r);
        bool failed = !r.body || json_object_get(r.body, "error");
        if (failed && !w.begun) {
            int exit = show_error(c, &r);
            reply_done(&r);
            return exit;
        }
        if (failed) {
            note_silence(&w, &r);
        } else {
            w.silent = false;
            more = take(&w, r.body);
        }
        reply_done(&r);
        if (!more)
            wait_for_change(&w);
    }
}
