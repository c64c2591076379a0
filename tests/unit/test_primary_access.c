/* Who may: grants, the gate before each command, and what is denied. */
#include "primary_kit.h"

#include "base/text.h"
#include "primary/command_int.h"
#include "primary/gate.h"
#include "primary/query_fleet.h"
#include "primary/query_release.h"
#include "primary/query_top.h"
#include "wire/statement.h"

static const int64_t now_ms = 1700000000000; /* kit_carry_out() says so */

struct site {
    struct kit kit;
    struct gate gate;
    struct sign_key ana, bob;
};

struct asker {
    const char *peer; /* as net_peer() has it */
    const struct sign_key *key;
    const char *author;
    int64_t late_ms;
    uint64_t epoch_off;
    uint8_t request; /* 0: a new one */
    bool no_request; /* all of it is zero */
};

static int setup(void **state)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    kit_init(&s->kit, 0);
    sign_key_random(&s->ana);
    sign_key_random(&s->bob);
    kit_do(&s->kit, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&s->kit, "env_create", "{\"env\":\"staging\"}", "changed");
    kit_do(&s->kit, "set", "{\"env\":\"production\",\"key\":\"a.one\",\"value\":\"on\"}",
           "changed");
    assert_int_equal(denials_new(&s->gate.denials), HOIST_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    gate_done(&s->gate);
    denials_free(s->gate.denials);
    kit_done(&s->kit);
    mem_free(s);
    return 0;
}

static uint64_t greatest_epoch(struct site *s)
{
    struct store_read *r;
    struct store_env env;
    uint64_t epoch = 0;
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        epoch = env.epoch > epoch ? env.epoch : epoch;
    store_read_end(r);
    return epoch;
}

static struct command *command_of(struct site *s, const struct asker *who, const char *name,
                                  const char *body)
{
    uint8_t signature[SIGNATURE_SIZE];
    struct command *c;
    struct claim claim;
    struct frame_command f = {.name = slice_str(name),
                              .author = slice_str(who->author),
                              .body = slice_str(body),
                              .epoch = greatest_epoch(s) + who->epoch_off,
                              .time_ms = now_ms - who->late_ms};
    f.request[0] = (uint8_t)(who->request ? who->request : ++s->kit.next_request);
    f.request[1] = 1;
    if (who->no_request)
        memset(f.request, 0, sizeof f.request);
    if (who->key)
        assert_int_equal(frame_command_sign(&f, who->key, signature), HOIST_OK);
    assert_int_equal(command_new(&f, "unknown", &c), HOIST_OK);
    claim_read(&f, who->peer ? who->peer : "", &claim);
    assert_int_equal(command_claim(c, &f, &claim), HOIST_OK);
    command_judge_by(c, &s->gate);
    return c;
}

static struct told tell(struct site *s, const struct asker *who, const char *name, const char *body)
{
    struct store_write *w;
    struct command *c = command_of(s, who, name, body);
    bool wrote;
    assert_int_equal(store_write_begin(s->kit.store, &w), HOIST_OK);
    struct told t = kit_carry_out(&s->kit, w, name, c, &wrote);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    command_free(c);
    return t;
}

static void must(struct site *s, const struct asker *who, const char *name, const char *body)
{
    struct told t = tell(s, who, name, body);
    if (t.exit != EXIT_DONE)
        print_error("%s %s: %s\n", name, body, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    told_done(&t);
}

/* Refused with `exit` and `code`, in a sentence with `words`. */
static void must_not(struct site *s, const struct asker *who, const char *name, const char *body,
                     uint32_t exit, const char *code, const char *words)
{
    struct told t = tell(s, who, name, body);
    if (t.exit != exit || !strstr(kit_error(&t), words))
        print_error("%s %s: exit %u, %s\n", name, body, t.exit, kit_error(&t));
    assert_int_equal(t.exit, exit);
    assert_string_equal(kit_text(json_object_get(t.body, "error"), "code"), code);
    assert_non_null(strstr(kit_error(&t), words));
    told_done(&t);
}

static void denied(struct site *s, const struct asker *who, const char *name, const char *body,
                   const char *words)
{
    must_not(s, who, name, body, EXIT_REFUSED, "denied", words);
}

static const struct asker root = {.peer = "uid:0"};
static const struct asker stranger = {.peer = ""};

static void grant(struct site *s, const char *name, const char *role, const struct sign_key *key,
                  const char *more)
{
    char hex[2 * SIGN_PUBLIC_SIZE + 1], body[512];
    text_hex(hex, slice_of(key->public, sizeof key->public));
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"role\":\"%s\",\"key\":\"%s\"%s}", name, role,
             hex, more);
    must(s, &root, "access_grant", body);
}

static const char set_a[] = "{\"env\":\"production\",\"key\":\"a.one\",\"value\":\"off\"}";
static const char set_b[] = "{\"env\":\"production\",\"key\":\"b.one\",\"value\":\"on\"}";
static const char kill_a[] = "{\"env\":\"production\",\"keys\":[\"a.one\"]}";

static void every_command_and_question_has_a_row_in_the_table(void **state)
{
    (void)state;
    size_t commands = 0, questions = 0;
    for (const struct access_need *n = access_needs; n->command; n++) {
        struct slice name = slice_str(n->command);
        bool own = strcmp(n->command, "status") == 0 || strcmp(n->command, "keys") == 0 ||
                   top_is_question(name) || release_is_question(name);
        assert_true(command_is(name) || query_is(name) || fleet_is_question(name) || own);
        commands += command_is(name);
        questions += query_is(name);
        assert_ptr_equal(access_need_of(name), n);
    }
    assert_int_equal(commands, command_count());
    assert_int_equal(questions, query_count());
    assert_non_null(access_need_of(SLICE("fleet")));
    assert_non_null(access_need_of(SLICE("wait")));
    assert_non_null(access_need_of(SLICE("status")));
}

static void until_the_first_grant_everybody_near_may(void **state)
{
    struct site *s = *state;
    const struct asker far = {.peer = "tls"};
    must(s, &stranger, "set", set_a);
    denied(s, &far, "set", set_b, "editor");
    grant(s, "ana", "editor", &s->ana, "");
    denied(s, &stranger, "set", set_b, "takes the role editor");
    denied(s, &(struct asker){.peer = "uid:4711"}, "set", set_b, "user 4711");
    must(s, &(struct asker){.key = &s->ana}, "set", set_b);
}

static void what_strangers_may_can_be_said_from_the_start(void **state)
{
    struct site *s = *state;
    s->gate.anonymous = ANONYMOUS_VIEWER;
    denied(s, &stranger, "set", set_a, "editor");
    must(s, &root, "set", set_a);
}

static void a_key_signs_as_its_name_and_no_other(void **state)
{
    struct site *s = *state;
    struct asker ana = {.key = &s->ana};
    struct command *c;
    grant(s, "ana", "editor", &s->ana, "");
    must(s, &ana, "set", set_b);
    ana.author = "ana";
    must(s, &ana, "set", set_a);
    ana.author = "bob";
    denied(s, &ana, "set", set_b, "cannot sign as 'bob'");
    c = command_of(s, &(struct asker){.key = &s->ana}, "set", set_b);
    assert_true(c->proof.len > 0);
    command_free(c);
}

static void a_change_keeps_the_proof_of_its_author(void **state)
{
    struct site *s = *state;
    struct store_read *r;
    struct store_env env;
    struct slice bytes;
    struct change c;
    struct proof p;
    grant(s, "ana", "editor", &s->ana, "");
    must(s, &(struct asker){.key = &s->ana}, "set", set_b);
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    assert_int_equal(store_env_get(r, "production", &env), HOIST_OK);
    assert_int_equal(store_log_get(r, env.id, env.head, &bytes), HOIST_OK);
    assert_int_equal(change_decode(bytes, &c), HOIST_OK);
    assert_true(slice_eq(c.head.author, SLICE("ana")));
    assert_int_equal(proof_get(c.head.proof, &p), HOIST_OK);
    assert_true(proof_holds(&p));
    assert_memory_equal(p.key.ptr, s->ana.public, SIGN_PUBLIC_SIZE);
    assert_memory_equal(p.said.request, c.head.request, REQUEST_ID_SIZE);
    store_read_end(r);
}

#define B_FILE(more)                                                                               \
    "{\"env\":\"production\",\"file\":\"{\\\"flags\\\":{\\\"b.two\\\":{\\\"state\\\":"             \
    "\\\"ENABLED\\\",\\\"variants\\\":{\\\"on\\\":true},\\\"defaultVariant\\\":\\\"on\\\"}}}"      \
    "\"" more "}"

static void who_may_look_may_see_what_a_file_would_change(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana};
    grant(s, "ana", "viewer", &s->ana, ",\"envs\":[\"production\"]");
    must(s, &ana, "apply", B_FILE(",\"dry_run\":true"));
    denied(s, &ana, "apply", B_FILE(""), "editor");
    grant(s, "ana", "viewer", &s->ana, ",\"envs\":[\"staging\"]");
    denied(s, &ana, "apply", B_FILE(",\"dry_run\":true"), "production");
}

static void each_role_ends_where_it_does(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana};
    grant(s, "ana", "viewer", &s->ana, "");
    denied(s, &ana, "kill", kill_a, "ana may not kill: that takes the role operator");
    grant(s, "ana", "operator", &s->ana, "");
    must(s, &ana, "kill", kill_a);
    must(s, &ana, "restore", kill_a);
    denied(s, &ana, "set", set_b, "editor");
    grant(s, "ana", "editor", &s->ana, "");
    must(s, &ana, "set", set_b);
    denied(s, &ana, "env_create", "{\"env\":\"x\"}", "admin");
    denied(s, &ana, "access_grant", "{\"name\":\"ana\",\"role\":\"admin\"}", "admin");
    denied(s, &ana, "host_retire", "{\"host\":\"h\"}", "admin");
    grant(s, "ana", "admin", &s->ana, "");
    must(s, &ana, "env_create", "{\"env\":\"x\"}");
}

static void environments_and_prefixes_are_kept_to(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana};
    grant(s, "ana", "editor", &s->ana, ",\"envs\":[\"production\"],\"prefixes\":[\"a.\"]");
    must(s, &ana, "set", set_a);
    denied(s, &ana, "set", set_b, "b.one");
    denied(s, &ana, "set", "{\"env\":\"staging\",\"key\":\"a.one\",\"value\":\"on\"}", "staging");
    /* One flag of a file is beyond it: nothing of the file is taken. */
    denied(s, &ana, "apply",
           "{\"env\":\"production\",\"file\":\"{\\\"flags\\\":{\\\"a.two\\\":{\\\"state\\\":"
           "\\\"ENABLED\\\",\\\"variants\\\":{\\\"on\\\":true},\\\"defaultVariant\\\":\\\"on\\\"},"
           "\\\"b.two\\\":{\\\"state\\\":\\\"ENABLED\\\",\\\"variants\\\":{\\\"on\\\":true},"
           "\\\"defaultVariant\\\":\\\"on\\\"}}}\"}",
           "b.two");
    must(s, &ana, "delete", "{\"env\":\"production\",\"key\":\"a.one\"}");
    struct told t = tell(s, &ana, "delete", "{\"env\":\"production\",\"key\":\"a.two\"}");
    assert_int_equal(t.exit, EXIT_NO); /* the file's first flag is not there */
    told_done(&t);
}

static void a_promotion_takes_reading_where_it_comes_from(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana};
    grant(s, "ana", "editor", &s->ana, ",\"envs\":[\"staging\"]");
    denied(s, &ana, "promote", "{\"from\":\"production\",\"env\":\"staging\"}", "production");
    grant(s, "ana", "viewer", &s->ana, ",\"envs\":[\"production\"]");
    must(s, &ana, "promote", "{\"from\":\"production\",\"env\":\"staging\"}");
}

static void what_is_revoked_is_gone(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana};
    grant(s, "ana", "editor", &s->ana, "");
    grant(s, "ana", "viewer", &s->ana, "");
    must(s, &ana, "set", set_a);
    must(s, &root, "access_revoke", "{\"name\":\"ana\",\"role\":\"editor\"}");
    denied(s, &ana, "set", set_b, "editor");
    must(s, &root, "access_revoke", "{\"name\":\"ana\"}");
    denied(s, &ana, "set", set_b, "granted nothing");
    must_not(s, &root, "access_revoke", "{\"name\":\"ana\"}", EXIT_NO, "not-found", "grant/ana");
    denied(s, &stranger, "set", set_b, "editor"); /* what was granted once is never open again */
}

static void a_repeated_command_is_answered_and_not_done_again(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana, .request = 200};
    grant(s, "ana", "editor", &s->ana, "");
    must(s, &ana, "set", set_a);
    must(s, &root, "set", "{\"env\":\"production\",\"key\":\"a.one\",\"value\":\"on\"}");
    must(s, &ana, "set", set_a); /* the answer of before */
    struct told t = tell(s, &root, "set", set_a);
    assert_string_equal(kit_text(t.body, "result"), "changed"); /* so it was still on */
    told_done(&t);
    must_not(s, &ana, "set", set_b, EXIT_REFUSED, "request-used", "another command");
    must_not(s, &(struct asker){.request = 200}, "set", set_a, EXIT_REFUSED, "request-used",
             "another command");
}

static void what_is_signed_has_a_request_id(void **state)
{
    struct site *s = *state;
    struct asker who = {.key = &s->ana, .no_request = true};
    grant(s, "ana", "editor", &s->ana, "");
    must_not(s, &who, "set", set_a, EXIT_INPUT, "input", "a request id");
    assert_int_equal(kit_env(&s->kit, "production").head, 2); /* nothing was done */
    who = (struct asker){.peer = "uid:0", .no_request = true};
    must(s, &who, "set", set_a);
}

static void what_was_signed_and_changed_nothing_does_not_later(void **state)
{
    struct site *s = *state;
    const struct asker ana = {.key = &s->ana, .request = 201};
    grant(s, "ana", "editor", &s->ana, "");
    must(s, &root, "set", set_a);
    must(s, &ana, "set", set_a); /* unchanged */
    must(s, &root, "set", "{\"env\":\"production\",\"key\":\"a.one\",\"value\":\"on\"}");
    struct told t = tell(s, &ana, "set", set_a);
    assert_string_equal(kit_text(t.body, "result"), "unchanged");
    told_done(&t);
}

static void a_signature_is_of_now_and_of_this_epoch(void **state)
{
    struct site *s = *state;
    grant(s, "ana", "editor", &s->ana, "");
    const struct asker late = {.key = &s->ana, .late_ms = 6 * 60 * 1000};
    const struct asker early = {.key = &s->ana, .late_ms = -6 * 60 * 1000};
    const struct asker other = {.key = &s->ana, .epoch_off = 1};
    const struct asker nearly = {.key = &s->ana, .late_ms = 4 * 60 * 1000};
    must_not(s, &late, "set", set_b, EXIT_CONFLICT, GATE_OLD_SIGNATURE, "5 minutes");
    must_not(s, &early, "set", set_b, EXIT_CONFLICT, GATE_OLD_SIGNATURE, "5 minutes");
    must_not(s, &other, "set", set_b, EXIT_CONFLICT, GATE_OLD_SIGNATURE, "moved on");
    must(s, &nearly, "set", set_b);
}

static void a_forged_signature_is_denied(void **state)
{
    struct site *s = *state;
    struct store_write *w;
    struct command *c;
    uint8_t signature[SIGNATURE_SIZE];
    bool wrote;
    struct claim claim;
    struct frame_command f = {.name = SLICE("set"), .body = slice_str(set_b), .time_ms = now_ms};
    grant(s, "ana", "editor", &s->ana, "");
    f.request[0] = 99;
    f.epoch = greatest_epoch(s);
    assert_int_equal(frame_command_sign(&f, &s->bob, signature), HOIST_OK);
    f.key = slice_of(s->ana.public, sizeof s->ana.public);
    assert_int_equal(command_new(&f, "x", &c), HOIST_OK);
    claim_read(&f, "uid:0", &claim);
    assert_int_equal(command_claim(c, &f, &claim), HOIST_OK);
    command_judge_by(c, &s->gate);
    assert_int_equal(store_write_begin(s->kit.store, &w), HOIST_OK);
    struct told t = kit_carry_out(&s->kit, w, "set", c, &wrote);
    store_write_abort(w);
    assert_int_equal(t.exit, EXIT_REFUSED);
    assert_non_null(strstr(kit_error(&t), "signature"));
    told_done(&t);
    command_free(c);
}

static void a_key_is_one_persons(void **state)
{
    struct site *s = *state;
    char hex[2 * SIGN_PUBLIC_SIZE + 1], body[256];
    grant(s, "ana", "editor", &s->ana, "");
    text_hex(hex, slice_of(s->ana.public, sizeof s->ana.public));
    snprintf(body, sizeof body, "{\"name\":\"bob\",\"role\":\"admin\",\"key\":\"%s\"}", hex);
    must_not(s, &root, "access_grant", body, EXIT_CONFLICT, "conflict", "ana");
}

static void grants_that_make_no_sense_are_refused(void **state)
{
    static const char *const bad[] = {
        "{\"role\":\"editor\",\"uid\":1}",
        "{\"name\":\"a/b\",\"role\":\"editor\",\"uid\":1}",
        "{\"name\":\"ana\",\"uid\":1}",
        "{\"name\":\"ana\",\"role\":\"king\",\"uid\":1}",
        "{\"name\":\"ana\",\"role\":\"editor\"}",
        "{\"name\":\"ana\",\"role\":\"editor\",\"key\":\"12\"}",
        "{\"name\":\"ana\",\"role\":\"editor\",\"uid\":-1}",
        "{\"name\":\"ana\",\"role\":\"editor\",\"uid\":1,\"envs\":[\"nowhere\"]}",
        "{\"name\":\"ana\",\"role\":\"editor\",\"uid\":1,\"envs\":\"production\"}",
        "{\"name\":\"ana\",\"role\":\"editor\",\"uid\":1,\"prefixes\":[1]}",
    };
    struct site *s = *state;
    struct store_read *r;
    struct store_env env;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        must_not(s, &root, "access_grant", bad[i], EXIT_INPUT, "input", "");
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    assert_int_equal(store_env_get(r, ACCESS_ENV, &env), HOIST_ENOTFOUND);
    store_read_end(r);
}

static void only_access_commands_change_what_is_granted(void **state)
{
    static const struct {
        const char *name, *body;
    } others[] = {
        {"set", "{\"env\":\"hoist-access\",\"key\":\"grant/eve\",\"value\":\"on\"}"},
        {"delete", "{\"env\":\"hoist-access\",\"key\":\"grant/ana\"}"},
        {"kill", "{\"env\":\"hoist-access\",\"keys\":[\"grant/ana\"]}"},
        {"rollback", "{\"env\":\"hoist-access\",\"last\":true}"},
        {"promote", "{\"env\":\"hoist-access\",\"from\":\"production\"}"},
        {"env_set", "{\"env\":\"hoist-access\",\"protected\":true}"},
    };
    struct site *s = *state;
    grant(s, "ana", "editor", &s->ana, "");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        must_not(s, &root, others[i].name, others[i].body, EXIT_INPUT, "input", "Hoist's own");
    must_not(s, &root, "env_create", "{\"env\":\"hoist-x\"}", EXIT_INPUT, "input", "Hoist's own");
}

static void an_environment_of_hoists_own_is_not_counted(void **state)
{
    struct kit one;
    (void)state;
    kit_init(&one, 0);
    kit_do(&one, "env_create", "{\"env\":\"production\"}", "changed");
    kit_do(&one, "access_grant", "{\"name\":\"ana\",\"role\":\"viewer\",\"uid\":5}", "changed");
    kit_do(&one, "set", "{\"key\":\"a\",\"value\":\"on\"}", "changed");
    kit_done(&one);
}

static void a_user_of_this_machine_is_granted_by_number(void **state)
{
    struct site *s = *state;
    const struct asker user = {.peer = "uid:4711"};
    must(s, &root, "access_grant", "{\"name\":\"ops\",\"role\":\"operator\",\"uid\":4711}");
    must(s, &user, "kill", kill_a);
    denied(s, &user, "set", set_b, "ops may not set");
    denied(s, &(struct asker){.peer = "uid:4712"}, "kill", kill_a, "user 4712");
}

static void what_is_denied_is_kept_and_bounded(void **state)
{
    struct site *s = *state;
    struct store_read *r;
    struct slice row, newest = {0};
    uint64_t at = UINT64_MAX, count = 0;
    grant(s, "ana", "viewer", &s->ana, "");
    for (int i = 0; i < 30; i++)
        denied(s, &(struct asker){.key = &s->ana}, "set", set_b, "editor");
    assert_int_equal(denials_write(s->gate.denials, s->kit.store), HOIST_OK);
    assert_int_equal(denials_write(s->gate.denials, s->kit.store), HOIST_OK); /* nothing waits */
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    while (store_denial_before(r, at, &at, &row) == HOIST_OK) {
        newest = count++ ? newest : row;
        assert_non_null(memmem(row.ptr, row.len, "ana may not set", 15));
    }
    assert_true(count > 0 && count <= 2 * DENIALS_PER_SECOND);
    assert_non_null(memmem(newest.ptr, newest.len, "\"role\":\"editor\"", 15));
    store_read_end(r);
}

static void assert_mend(struct site *s, const struct asker *who, const char *want)
{
    struct told t = tell(s, who, "set", set_b);
    if (!strstr(kit_mend(&t), want))
        fail_msg("%s is not in: %s", want, kit_mend(&t));
    told_done(&t);
}

static void who_is_denied_is_told_how_they_could_be_known(void **state)
{
    struct site *s = *state;
    char key[2 * SIGN_PUBLIC_SIZE + sizeof "--key "] = "--key ";
    text_hex(key + strlen(key), slice_of(s->bob.public, sizeof s->bob.public));
    grant(s, "ana", "viewer", &s->ana, "");
    assert_mend(s, &(struct asker){.key = &s->ana}, "flagctl access grant ana editor");
    assert_mend(s, &(struct asker){.peer = "uid:4711"}, "grant NAME editor --uid 4711");
    assert_mend(s, &(struct asker){.key = &s->bob, .peer = "uid:4711"}, key);
    assert_mend(s, &stranger, "--key PUB (flagctl key show)");
}

/* Who asks for what has no such name is denied in a sentence, and kept, all the same. */
static void what_is_denied_under_a_long_name_is_kept(void **state)
{
    static const struct access_subject nobody;
    struct site *s = *state;
    const struct access_need *need = access_need_of(SLICE("get"));
    struct person who = {.subject = &nobody, .name = "eve"};
    struct buf out = BUF_INIT(1 << 20);
    struct store_read *r;
    struct slice row;
    char name[5000];
    uint64_t at = UINT64_MAX;
    uint32_t exit;
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = "é"[i % 2];
    struct slice odd = slice_of(name, sizeof name);
    assert_false(gate_allows(&s->gate, &who, need, odd, odd, &out, &exit));
    assert_int_equal(exit, EXIT_REFUSED);
    assert_non_null(strstr(buf_str(&out), "eve may not get: that takes the role evaluator for éé"));
    assert_true(text_utf8(buf_slice(&out)) && out.len < 2000);
    assert_int_equal(denials_write(s->gate.denials, s->kit.store), HOIST_OK);
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    assert_int_equal(store_denial_before(r, at, &at, &row), HOIST_OK);
    json_t *json = json_loadb((const char *)row.ptr, row.len, 0, NULL);
    assert_int_equal(strlen(kit_text(json, "env")), 254);
    assert_int_equal(strlen(kit_text(json, "key")), 254);
    assert_non_null(strstr(kit_text(json, "why"), "where flag 'é"));
    json_decref(json);
    store_read_end(r);
    buf_done(&out);
}

static void a_token_is_kept_by_its_hash_and_found_by_its_text(void **state)
{
    static const char token[] = "hoist_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-_";
    struct site *s = *state;
    struct store_read *r;
    struct grants g = {0};
    uint8_t hash[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1], body[256];
    hash_blake2b(hash, slice_str(token));
    text_hex(hex, slice_of(hash, sizeof hash));
    snprintf(body, sizeof body,
             "{\"name\":\"web\",\"role\":\"evaluator\",\"hash\":\"%s\",\"envs\":[\"production\"],"
             "\"expires_ms\":1800000000000}",
             hex);
    must(s, &root, "token_create", body);
    must_not(s, &root, "token_create", body, EXIT_CONFLICT, "conflict", "web");
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    assert_int_equal(grants_load(&g, r), HOIST_OK);
    const struct access_subject *t = grants_by_token(&g, slice_str(token));
    assert_non_null(t);
    assert_int_equal(t->expires_ms, 1800000000000);
    assert_null(grants_by_token(&g, SLICE("hoist_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-A")));
    assert_null(grants_by_token(&g, slice_of(token, sizeof token - 2)));
    store_read_end(r);
    must(s, &root, "token_revoke", "{\"name\":\"web\"}");
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    assert_int_equal(grants_load(&g, r), HOIST_OK);
    assert_null(grants_by_token(&g, slice_str(token)));
    store_read_end(r);
    grants_done(&g);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_and_question_has_a_row_in_the_table),
        TEST(until_the_first_grant_everybody_near_may),
        TEST(what_strangers_may_can_be_said_from_the_start),
        TEST(a_key_signs_as_its_name_and_no_other),
        TEST(a_change_keeps_the_proof_of_its_author),
        TEST(who_may_look_may_see_what_a_file_would_change),
        TEST(each_role_ends_where_it_does),
        TEST(environments_and_prefixes_are_kept_to),
        TEST(a_promotion_takes_reading_where_it_comes_from),
        TEST(what_is_revoked_is_gone),
        TEST(a_repeated_command_is_answered_and_not_done_again),
        TEST(what_is_signed_has_a_request_id),
        TEST(what_was_signed_and_changed_nothing_does_not_later),
        TEST(a_signature_is_of_now_and_of_this_epoch),
        TEST(a_forged_signature_is_denied),
        TEST(a_key_is_one_persons),
        TEST(grants_that_make_no_sense_are_refused),
        TEST(only_access_commands_change_what_is_granted),
        TEST(an_environment_of_hoists_own_is_not_counted),
        TEST(a_user_of_this_machine_is_granted_by_number),
        TEST(what_is_denied_is_kept_and_bounded),
        TEST(who_is_denied_is_told_how_they_could_be_known),
        TEST(what_is_denied_under_a_long_name_is_kept),
        TEST(a_token_is_kept_by_its_hash_and_found_by_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
