/* Any bytes as what Alertmanager sends to the webhook. What it kills is what the rules name, each with a
 * message that a change can have; the same bytes are the same requests. */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "primary/alerts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct alert_rules rules;

static void begin(void)
{
    static const char *const texts[] = {"production:SyncFails=sync", "production:ApiFails=api",
                                        "production:ApiFails=sync", "staging:ApiFails=api:a=b"};
    hash_init();
    enum hoist_err err = alert_rules_read(texts, sizeof texts / sizeof *texts, &rules);
    assert(err == HOIST_OK);
}

static void check(const struct alerts_said *said)
{
    assert(said->count <= ALERTS_KILLS_MAX && said->name_count <= ALERTS_NAMES_MAX);
    assert(said->firing || (said->count == 0 && said->name_count == 0));
    for (uint32_t i = 0; i < said->count; i++) {
        const struct alert_kill *k = &said->kills[i];
        assert(k->rule >= rules.rules && k->rule < rules.rules + rules.count);
        assert(k->message.len && k->message.len <= CHANGE_MESSAGE_MAX && text_utf8(k->message));
        assert(memmem(k->message.ptr, k->message.len, k->rule->alert.ptr, k->rule->alert.len));
    }
    for (uint32_t i = 0; i < said->name_count; i++)
        assert(said->names[i].name.len && text_utf8(said->names[i].name));
}

static void check_again(const struct alerts_said *once, const struct alerts_said *again)
{
    assert(once->count == again->count && once->name_count == again->name_count);
    for (uint32_t i = 0; i < once->count; i++)
        assert(memcmp(once->kills[i].request, again->kills[i].request, REQUEST_ID_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct alerts_said once, again;
    struct slice body = slice_of(data, size);
    if (!rules.count)
        begin();
    enum hoist_err err = alerts_read(&rules, body, &arena, &once);
    assert(err == HOIST_OK || (err == HOIST_EINVAL && *err_last()));
    if (err == HOIST_OK) {
        check(&once);
        err = alerts_read(&rules, body, &arena, &again);
        assert(err == HOIST_OK);
        check_again(&once, &again);
    }
    arena_done(&arena);
    return 0;
}
