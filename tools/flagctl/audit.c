/* audit: the whole log, byte for byte, and whether its chain holds. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "flag/json_read.h"
#include "flagctl.h"
#include "primary/audit.h"

/* Ask for all changes, page by page. `take` gets each, and answers whether to go on. The last page
 * stays in *ret. False: it failed, and that was shown. */
static bool each_change(struct call *c, bool (*take)(void *arg, json_t *line), void *arg,
                        struct reply *ret, int *ret_exit)
{
    uint64_t after = 0;
    for (;;) {
        size_t i;
        json_t *line;
        uint64_t before = after;
        ask(c, "audit", json_pack("{sI}", "after", (json_int_t)after), ret);
        if (show_if_error(c, ret, ret_exit))
            return false;
        json_array_foreach(json_object_get(ret->body, "changes"), i, line)
        {
            after = number_of(line, "version");
            if (!take(arg, line))
                return true;
        }
        if (!json_is_true(json_object_get(ret->body, "more")))
            return true;
        if (after <= before) { /* whoever answers so would have us ask for ever */
            *ret_exit =
                show_failure(c, EXIT_NO, "failed", NULL,
                             "there is to be more behind v%" PRIu64 ", and none is given", before);
            return false;
        }
        reply_done(ret);
    }
}

static bool print_line(void *arg, json_t *line)
{
    char *text = value_text(line, false);
    (void)arg;
    bool ok = text && puts(text) >= 0;
    mem_free(text);
    return ok;
}

static int export(struct call *c)
{
    struct reply r;
    int exit = EXIT_DONE;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    if (each_change(c, print_line, NULL, &r, &exit) && (fflush(stdout) != 0 || ferror(stdout)))
        exit = show_failure(c, EXIT_NO, "failed", NULL, "cannot write: %s", strerror(errno));
    reply_done(&r);
    return exit;
}

/* ------------------------------------------------------------------ verify */

/* The bytes of a line's change, and that it says the hash that they have. */
static bool take_line(void *arg, json_t *line)
{
    struct audit *a = arg;
    const char *hex = text_of(line, "change"), *hash = text_of(line, "hash");
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = mem_alloc(len + 1);
    char own[2 * HASH_SIZE + 1];
    bool ok = bytes && text_unhex(slice_str(hex), bytes, len) == HOIST_OK;
    ok = audit_step(a, ok ? slice_of(bytes, len) : SLICE(""));
    mem_free(bytes);
    text_hex(own, slice_of(a->hash, HASH_SIZE));
    if (ok && *hash && strcmp(own, hash) != 0) {
        a->broken = a->last;
        snprintf(a->why, sizeof a->why, "its line names another hash than its bytes have");
        return false;
    }
    return ok;
}

static void show_good(const struct call *c, const struct audit *a)
{
    printf("%s%s: v%" PRIu64 " to v%" PRIu64 ", %" PRIu64 " changes, each follows the one before",
           look(c, LOOK_GOOD), a->env, a->first, a->last, a->count);
    if (a->proved_count)
        printf("; of %zu the author's key signed the command", a->proved_count);
    if (a->ring)
        printf(", the last one is signed by a key that is trusted%s\n", look(c, LOOK_PLAIN));
    else
        printf("%s; signatures were not looked at (--trust)\n", look(c, LOOK_PLAIN));
}

static int show_verdict(struct call *c, const struct audit *a)
{
    json_t *out = json_pack("{ss sb sI sI sI sI}", "env", a->env, "ok", !a->broken, "first",
                            (json_int_t)a->first, "last", (json_int_t)a->last, "changes",
                            (json_int_t)a->count, "proved", (json_int_t)a->proved_count);
    if (a->ring)
        json_object_set_new(out, "signed", json_integer((json_int_t)a->signed_count));
    if (a->broken)
        json_object_set_new(out, "broken",
                            json_pack("{sI ss}", "version", (json_int_t)a->broken, "why", a->why));
    char *text = c->json ? value_text(out, false) : NULL;
    if (text)
        puts(text);
    else if (a->broken)
        printf("%sthe chain of %s breaks at v%" PRIu64 "%s: %s\n", look(c, LOOK_BAD), a->env,
               a->broken, look(c, LOOK_PLAIN), a->why);
    else
        show_good(c, a);
    mem_free(text);
    json_decref(out);
    return a->broken ? EXIT_NO : EXIT_DONE;
}

/* --trust, where it is given. False: it cannot be read, which was shown. */
static bool read_trust(struct call *c, struct audit *a, struct keyring *room, int *ret_exit)
{
    const char *path = options_get(c->options, "trust");
    struct trust trust = {0};
    if (path && trust_read(path, &trust) != HOIST_OK) {
        *ret_exit = show_failure(c, EXIT_INPUT, "input",
                                 "a primary writes one: trust.key in its "
                                 "store's directory",
                                 "--trust: %s", err_last());
        return false;
    }
    keyring_init(room, &trust);
    a->ring = path ? room : NULL;
    return true;
}

static int verify(struct call *c)
{
    struct audit a = {0};
    struct keyring ring;
    struct reply r;
    uint8_t head[HASH_SIZE];
    int exit = EXIT_DONE;
    if (!read_trust(c, &a, &ring, &exit))
        return exit;
    if (!source_choose(c, false))
        return EXIT_INPUT;
    if (each_change(c, take_line, &a, &r, &exit)) {
        if (text_unhex(slice_str(text_of(r.body, "hash")), head, sizeof head) == HOIST_OK)
            (void)audit_end(&a, number_of(r.body, "head"), head);
        (void)audit_end_signed(&a);
        (void)audit_end_proved(&a);
        exit = show_verdict(c, &a);
        show_source(c, r.body);
    }
    reply_done(&r);
    audit_done(&a);
    keyring_done(&ring);
    return exit;
}

static int verify_file(struct call *c, const char *path)
{
    struct audit a = {0};
    struct keyring ring;
    int exit = EXIT_DONE;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    uint64_t number = 0;
    if (!read_trust(c, &a, &ring, &exit))
        return exit;
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!in)
        return show_failure(c, EXIT_INPUT, "input", NULL, "%s: %s", path, strerror(errno));
    while (!a.broken && (len = getline(&line, &room, in)) > 0) {
        json_t *change = NULL;
        number++;
        if (json_read(slice_of(line, (size_t)len), &change) == HOIST_OK) {
            (void)take_line(&a, change);
        } else {
            a.broken = a.last + 1;
            snprintf(a.why, sizeof a.why, "line %" PRIu64 " is no JSON: %s", number, err_last());
        }
        json_decref(change);
    }
    free(line);
    if (in != stdin)
        fclose(in);
    if (number == 0)
        return show_failure(c, EXIT_INPUT, "input", "flagctl audit export writes one",
                            "%s has no changes", path);
    (void)audit_end_signed(&a);
    (void)audit_end_proved(&a);
    keyring_done(&ring);
    exit = show_verdict(c, &a);
    audit_done(&a);
    return exit;
}

int run_audit(struct call *c)
{
    const char *what = c->words[0];
    if (strcmp(what, "export") == 0 && c->word_count == 1)
        return export(c);
    if (strcmp(what, "verify") == 0)
        return c->word_count == 2 ? verify_file(c, c->words[1]) : verify(c);
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl audit %s", c->sub->usage);
}
