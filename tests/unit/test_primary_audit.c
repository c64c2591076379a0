/* The proof of a change's author: that it is of this change, and of no other. */
#include "primary_kit.h"

#include "base/text.h"
#include "primary/audit.h"
#include "primary/gate.h"
#include "wire/certificate.h"
#include "wire/statement.h"

/* ------------------------------------------------------------------ what a primary writes */

struct site {
    struct kit kit;
    struct sign_key signer, ana;
};

static int setup(void **state)
{
    struct site *s = mem_zalloc(1, sizeof *s);
    kit_init(&s->kit, 0);
    sign_key_random(&s->signer);
    sign_key_random(&s->ana);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct site *s = *state;
    kit_done(&s->kit);
    mem_free(s);
    return 0;
}

/* A command that ana has signed. */
static void must(struct site *s, const char *name, const char *body)
{
    struct command *c;
    struct claim claim;
    struct store_write *w;
    uint8_t signature[SIGNATURE_SIZE];
    bool wrote;
    struct frame_command f = {.name = slice_str(name), .body = slice_str(body)};
    hash_random(f.request, sizeof f.request);
    assert_int_equal(frame_command_sign(&f, &s->ana, signature), HOIST_OK);
    assert_int_equal(command_new(&f, "ana", &c), HOIST_OK);
    claim_read(&f, "", &claim);
    assert_int_equal(command_claim(c, &f, &claim), HOIST_OK);
    command_sign_with(c, &s->signer);
    assert_int_equal(store_write_begin(s->kit.store, &w), HOIST_OK);
    struct told t = kit_carry_out(&s->kit, w, name, c, &wrote);
    if (t.exit != EXIT_DONE)
        print_error("%s %s: %s\n", name, body, kit_error(&t));
    assert_int_equal(t.exit, EXIT_DONE);
    assert_int_equal(store_write_commit(w), HOIST_OK);
    told_done(&t);
    command_free(c);
}

/* Walk an environment's whole log, which holds; how many of its changes have a proof. */
static uint64_t proved(struct site *s, const char *name)
{
    struct store_env env = kit_env(&s->kit, name);
    struct audit a = {0};
    struct store_read *r;
    struct slice bytes;
    uint64_t v = 0;
    assert_int_equal(store_read_begin(s->kit.store, false, &r), HOIST_OK);
    while (store_log_next(r, env.id, v, &v, &bytes) == HOIST_OK)
        if (!audit_step(&a, bytes))
            fail_msg("%s v%d: %s", name, (int)a.broken, a.why);
    store_read_end(r);
    assert_true(audit_end(&a, env.head, env.hash));
    assert_true(audit_end_proved(&a));
    audit_done(&a);
    return a.proved_count;
}

#define FLAG(key)                                                                                  \
    "\\\"" key                                                                                     \
    "\\\":{\\\"state\\\":\\\"DISABLED\\\",\\\"variants\\\":{\\\"on\\\":true,\\\"off\\\":false}}"
#define FILE_OF(flags) "\"file\":\"{\\\"flags\\\":{" flags "}}\""

static void all_that_a_primary_writes_is_proved(void **state)
{
    struct site *s = *state;
    char body[256], hex[2 * SIGN_PUBLIC_SIZE + 1];
    must(s, "env_create", "{\"env\":\"production\"}");
    must(s, "set",
         "{\"key\":\"a\",\"value\":\"on\"}"); /* no environment is named: there is but one */
    must(s, "env_create", "{\"env\":\"staging\"}");
    must(s, "apply", "{\"env\":\"production\"," FILE_OF(FLAG("b") "," FLAG("c")) "}");
    must(s, "apply",
         "{\"env\":\"production\"," FILE_OF(FLAG("a") "," FLAG("b")) ",\"prune\":true}");
    must(s, "apply",
         "{\"env\":\"production\",\"skip_invalid\":true,"
         "\"file\":\"{\\\"flags\\\":{" FLAG("d") ",\\\"e\\\":{}}}\"}");
    must(s, "set", "{\"env\":\"production\",\"key\":\"a\",\"value\":\"off\"}");
    must(s, "target",
         "{\"env\":\"production\",\"key\":\"a\","
         "\"rule\":\"{\\\"if\\\":[true,\\\"on\\\",\\\"off\\\"]}\"}");
    must(s, "kill", "{\"env\":\"production\",\"keys\":[\"a\",\"b\"],\"variant\":\"on\"}");
    must(s, "restore", "{\"env\":\"production\",\"keys\":[\"b\",\"a\"]}");
    must(s, "delete", "{\"env\":\"production\",\"key\":\"d\"}");
    must(s, "rollback", "{\"env\":\"production\",\"last\":true}");
    must(s, "rollback", "{\"env\":\"production\",\"to\":\"4\",\"force\":true}");
    must(s, "rollback", "{\"env\":\"production\",\"key\":\"a\",\"to\":\"2\",\"force\":true}");
    must(s, "promote", "{\"env\":\"staging\",\"from\":\"production\",\"keys\":[\"a\"]}");
    must(s, "promote", "{\"env\":\"staging\",\"from\":\"production\"}");
    must(s, "access_grant", "{\"name\":\"ana\",\"role\":\"editor\",\"uid\":5}");
    must(s, "access_grant", "{\"name\":\"ana\",\"role\":\"viewer\"}");
    must(s, "access_revoke", "{\"name\":\"ana\",\"role\":\"editor\"}");
    must(s, "access_revoke", "{\"name\":\"ana\"}");
    text_hex(hex, slice_of(s->ana.public, sizeof s->ana.public));
    snprintf(body, sizeof body, "{\"name\":\"web\",\"role\":\"viewer\",\"hash\":\"%s\"}", hex);
    must(s, "token_create", body);
    must(s, "token_revoke", "{\"name\":\"web\"}");
    snprintf(body, sizeof body, "{\"key\":\"%s\",\"env\":\"staging\"}", hex);
    must(s, "key_rotate", body);
    must(s, "key_revoke", body);
    must(s, "env_epoch", "{\"env\":\"staging\",\"new_epoch\":true}");
    assert_int_equal(proved(s, "production"), 15);
    assert_int_equal(proved(s, "staging"), 6);
    assert_int_equal(proved(s, "hoist-access"),
                     8); /* but for its first change, which nobody asks for */
}

/* ------------------------------------------------------------------ what one could make up */

struct made { /* a proof, and the change that it is put on */
    const char *command, *body;
    enum change_kind kind;
    const char *env, *key; /* key NULL: it edits no flag */
    bool deletes;
    const char *why; /* NULL: it fits */
};

static struct sign_key ana, signer;

static void put_proof(const struct made *m, uint8_t request[REQUEST_ID_SIZE], struct buf *out)
{
    uint8_t signature[SIGNATURE_SIZE];
    struct frame_command f = {.name = slice_str(m->command), .body = slice_str(m->body)};
    memcpy(f.request, request, sizeof f.request);
    assert_int_equal(frame_command_sign(&f, &ana, signature), HOIST_OK);
    assert_int_equal(proof_put(&f, out), HOIST_OK);
}

/* The next change of `a`, and whether it is taken. */
static bool step(struct audit *a, const struct made *m, uint8_t request[REQUEST_ID_SIZE],
                 struct slice certificate)
{
    struct buf proof = BUF_INIT(CHANGE_PROOF_MAX), edits = BUF_INIT(1000), out = BUF_INIT(8000);
    put_proof(m, request, &proof);
    edits_begin(&edits, m->key != NULL);
    if (m->key && m->deletes)
        edits_delete(&edits, slice_str(m->key));
    else if (m->key)
        edits_put(&edits, slice_str(m->key), SLICE("a record"));
    struct change_header head = {.env = slice_str(m->env),
                                 .version = a->last + 1,
                                 .author = SLICE("ana"),
                                 .kind = m->kind,
                                 .edits_count = m->key != NULL,
                                 .proof = buf_slice(&proof),
                                 .certificate = certificate};
    memcpy(head.prev, a->hash, HASH_SIZE);
    memcpy(head.request, request, REQUEST_ID_SIZE);
    assert_int_equal(change_encode(&head, buf_slice(&edits), SLICE(""), &out, NULL), HOIST_OK);
    bool taken = audit_step(a, buf_slice(&out));
    buf_done(&proof);
    buf_done(&edits);
    buf_done(&out);
    return taken;
}

static void assert_judged(const struct made *m, struct slice certificate)
{
    uint8_t request[REQUEST_ID_SIZE] = {1};
    struct audit a = {0};
    bool taken = step(&a, m, request, certificate);
    if (taken ? m->why != NULL : !m->why || !strstr(a.why, m->why))
        fail_msg("%s %s on a change of %s, kind %d: %s", m->command, m->body, m->env, (int)m->kind,
                 taken ? "taken" : a.why);
    audit_done(&a);
}

#define LONG_TEXT                                                                                  \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
#define LONG LONG_TEXT LONG_TEXT LONG_TEXT LONG_TEXT LONG_TEXT LONG_TEXT

static void a_proof_is_of_its_own_change_alone(void **state)
{
    static const char docs[] = "{\"env\":\"staging\",\"key\":\"docs\",\"value\":\"on\"}";
    static const char anywhere[] = "{\"key\":\"docs\",\"value\":\"on\"}";
    static const char two[] = "{\"env\":\"e\",\"keys\":[\"a\",\"b\"]}";
    static const char file[] = "{\"env\":\"e\"," FILE_OF(FLAG("a")) "}";
    static const char pruning[] = "{\"env\":\"e\",\"prune\":true," FILE_OF(FLAG("a")) "}";
    static const char grant[] = "{\"name\":\"ana\",\"role\":\"viewer\"}";
    static const char large[] = "{\"env\":\"e\",\"message\":\"" LONG "\"}";
    static const char elsewhere[] = "for another environment";
    static const char unnamed[] = "which its author did not name";
    const struct made all[] = {
        {"set", docs, CHANGE_SET, "staging", "docs", false, NULL},
        {"set", docs, CHANGE_SET, "production", "docs", false, elsewhere},
        {"set", docs, CHANGE_SET, "staging", "pay", false, "edits flag 'pay', which"},
        {"set", docs, CHANGE_KILL, "staging", "docs", false, "makes no change of the kind kill"},
        {"set", docs, CHANGE_EPOCH, "staging", NULL, false, "makes no change of the kind epoch"},
        {"set", anywhere, CHANGE_SET, "production", "docs", false, NULL},
        {"set", anywhere, CHANGE_SET, "hoist-access", "docs", false, elsewhere},
        {"get", docs, CHANGE_SET, "staging", "docs", false, "the command 'get'"},
        {"env_set", docs, CHANGE_SET, "staging", "docs", false, "the command 'env_set'"},
        {"delete", docs, CHANGE_DELETE, "staging", "pay", true, unnamed},
        {"target", docs, CHANGE_SET, "staging", "pay", false, unnamed},
        {"kill", two, CHANGE_KILL, "e", "b", false, NULL},
        {"kill", two, CHANGE_KILL, "e", "c", false, unnamed},
        {"restore", two, CHANGE_RESTORE, "e", "c", false, unnamed},
        {"promote", two, CHANGE_PROMOTE, "e", "c", false, unnamed},
        {"promote", "{\"env\":\"e\"}", CHANGE_PROMOTE, "e", "c", false, NULL},
        {"rollback", docs, CHANGE_ROLLBACK, "staging", "pay", false, unnamed},
        {"rollback", "{\"last\":true}", CHANGE_ROLLBACK, "e", "pay", false, NULL},
        {"apply", file, CHANGE_APPLY, "e", "a", false, NULL},
        {"apply", file, CHANGE_APPLY, "e", "b", false, unnamed},
        {"apply", file, CHANGE_APPLY, "e", "b", true, unnamed},
        {"apply", pruning, CHANGE_APPLY, "e", "b", true, NULL},
        {"apply", pruning, CHANGE_APPLY, "e", "a", true, unnamed},
        {"apply", "{}", CHANGE_APPLY, "e", "a", false, "not of this change"},
        {"env_create", "{\"env\":\"e\"}", CHANGE_CREATE, "e", NULL, false, NULL},
        {"env_create", "{\"env\":\"e\"}", CHANGE_CREATE, "e", "a", false, unnamed},
        {"env_create", "{\"env\":\"e\"}", CHANGE_CREATE, "f", NULL, false, elsewhere},
        {"access_grant", grant, CHANGE_SET, "hoist-access", "grant/ana", false, NULL},
        {"access_grant", grant, CHANGE_SET, "hoist-access", "grant/eve", false, unnamed},
        {"access_grant", grant, CHANGE_SET, "hoist-access", "token/ana", false, unnamed},
        {"access_grant", grant, CHANGE_SET, "production", "grant/ana", false, elsewhere},
        {"access_revoke", grant, CHANGE_DELETE, "hoist-access", "grant/ana", true, NULL},
        {"token_revoke", grant, CHANGE_DELETE, "hoist-access", "token/ana", true, NULL},
        {"token_revoke", grant, CHANGE_DELETE, "hoist-access", "token/a", true, unnamed},
        /* Of a command that is there by its hash alone, no more than its name can be told. */
        {"apply", large, CHANGE_APPLY, "f", "x", false, NULL},
        {"apply", large, CHANGE_SET, "f", "x", false, "makes no change of the kind set"},
        {"apply", large, CHANGE_APPLY, "hoist-access", "x", false, elsewhere},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_judged(&all[i], (struct slice){0});
}

static void a_certificate_is_the_one_that_its_author_asked_for(void **state)
{
    char body[128], hex[2 * SIGN_PUBLIC_SIZE + 1];
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES_MAX);
    struct made m = {"key_rotate", body, CHANGE_KEY, "e", NULL, false, NULL};
    (void)state;
    assert_int_equal(certificate_put(CERTIFICATE_ROTATE, ana.public, 1, &signer, &certificate),
                     HOIST_OK);
    text_hex(hex, slice_of(ana.public, sizeof ana.public));
    snprintf(body, sizeof body, "{\"key\":\"%s\",\"env\":\"f\"}", hex); /* it is said in them all */
    assert_judged(&m, buf_slice(&certificate));
    m.key = "a";
    m.why = "which its author did not name";
    assert_judged(&m, buf_slice(&certificate));
    m.key = NULL;
    m.why = "for another signing key";
    assert_judged(&m, (struct slice){0});
    m.command = "key_revoke";
    assert_judged(&m, buf_slice(&certificate));
    m.command = "key_rotate";
    text_hex(hex, slice_of(signer.public, sizeof signer.public));
    snprintf(body, sizeof body, "{\"key\":\"%s\"}", hex);
    assert_judged(&m, buf_slice(&certificate));
    snprintf(body, sizeof body, "{}");
    assert_judged(&m, buf_slice(&certificate));
    buf_done(&certificate);
}

static void a_proof_stands_behind_one_change(void **state)
{
    const struct made m = {"kill", "{\"keys\":[\"a\"]}", CHANGE_KILL, "e", "a", false, NULL};
    uint8_t request[REQUEST_ID_SIZE] = {0};
    struct audit a = {0};
    (void)state;
    for (int i = 0; i < 200; i++) {
        request[0] = (uint8_t)(i == 150 ? 70 : i);
        assert_true(step(&a, &m, request, (struct slice){0}));
    }
    assert_int_equal(a.proved_count, 200);
    assert_false(audit_end_proved(&a));
    assert_int_equal(a.broken, 151);
    assert_non_null(strstr(a.why, "is that of v71"));
    a.broken = 7; /* what broke before that is told first */
    assert_false(audit_end_proved(&a));
    assert_int_equal(a.broken, 7);
    audit_done(&a);
}

static void an_audit_without_memory_does_not_hold(void **state)
{
    const struct made m = {"kill", "{\"keys\":[\"a\"]}", CHANGE_KILL, "e", "a", false, NULL};
    struct buf proof = BUF_INIT(CHANGE_PROOF_MAX), edits = BUF_INIT(1000), out = BUF_INIT(8000);
    uint8_t request[REQUEST_ID_SIZE] = {1};
    bool failed = true;
    (void)state;
    put_proof(&m, request, &proof);
    edits_begin(&edits, 1);
    edits_put(&edits, SLICE("a"), SLICE("a record"));
    struct change_header head = {.env = SLICE("e"),
                                 .version = 1,
                                 .kind = CHANGE_KILL,
                                 .edits_count = 1,
                                 .proof = buf_slice(&proof)};
    memcpy(head.request, request, sizeof request);
    assert_int_equal(change_encode(&head, buf_slice(&edits), SLICE(""), &out, NULL), HOIST_OK);
    for (int n = 1; failed; n++) {
        struct audit a = {0};
        mem_fail_at(n);
        bool taken = audit_step(&a, buf_slice(&out));
        failed = mem_did_fail();
        mem_fail_at(0);
        assert_int_equal(taken, !failed);
        audit_done(&a);
        assert_true(n < 100);
    }
    buf_done(&proof);
    buf_done(&edits);
    buf_done(&out);
}

static int make_keys(void **state)
{
    (void)state;
    hash_init();
    sign_key_random(&ana);
    sign_key_random(&signer);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_a_primary_writes_is_proved, setup, teardown),
        cmocka_unit_test(a_proof_is_of_its_own_change_alone),
        cmocka_unit_test(a_certificate_is_the_one_that_its_author_asked_for),
        cmocka_unit_test(a_proof_stands_behind_one_change),
        cmocka_unit_test(an_audit_without_memory_does_not_hold),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
