/* A plan's file: what is refused and where, and what makes two plans the same. */
#include "base/yaml_tree.h"
#include "plan_kit.h"

/* ------------------------------------------------------------------ what is said */

static void say_all(struct buf *out, char kind, const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *item = &p->items[i];
        buf_printf(out, "%c %u:%u %s%s%s\n", kind, item->line, item->column, item->path,
                   *item->path ? ": " : "", item->message);
        assert_true(*item->mend); /* each says what to do */
    }
}

/* What reading it says, a line each. */
static struct buf said_of(const char *text)
{
    struct problems problems = {0}, warnings = {0};
    struct release_plan *plan = NULL;
    struct buf said = BUF_INIT(1 << 20);
    enum hoist_err err = release_plan_read(slice_str(text), &plan, &problems, &warnings);
    assert_int_equal(err, problems.total ? HOIST_EINVAL : HOIST_OK);
    assert_true((plan != NULL) == (err == HOIST_OK));
    say_all(&said, '!', &problems);
    say_all(&said, '?', &warnings);
    release_plan_free(plan);
    problems_done(&problems);
    problems_done(&warnings);
    return said;
}

static void good_plans_are_read_without_a_word(void **state)
{
    static const char *const paths[] = {GOOD_PLAN, MARKETPLACE_PLAN};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *text = load_text(paths[i]);
        struct buf said = said_of(text);
        assert_string_equal(buf_str(&said), "");
        buf_done(&said);
        mem_free(text);
    }
}

/* ------------------------------------------------------------------ the table of bad plans */

struct bad { /* one case of bad.txt */
    struct buf name, from, to, said;
    char *plan; /* what it has become so far; NULL: not begun */
    int count;
};

static void apply(struct bad *b)
{
    if (b->from.len)
        b->plan = replaced(b->plan, buf_str(&b->from), buf_str(&b->to));
    buf_clear(&b->from);
    buf_clear(&b->to);
}

static void finish(struct bad *b)
{
    if (b->name.len == 0)
        return;
    if (b->from.len == 0 && b->to.len) { /* a plan of its own */
        mem_free(b->plan);
        b->plan = mem_dup(buf_slice(&b->to));
    }
    apply(b);
    struct buf said = said_of(b->plan);
    if (strcmp(buf_str(&said), buf_str(&b->said)) != 0)
        fail_msg("%s: said\n%snot\n%s", buf_str(&b->name), buf_str(&said), buf_str(&b->said));
    assert_true(said.len);
    buf_done(&said);
    mem_free(b->plan);
    b->plan = NULL;
    buf_clear(&b->name);
    buf_clear(&b->said);
    b->count++;
}

static void add_line(struct buf *b, const char *text)
{
    if (b->len)
        buf_add_byte(b, '\n');
    buf_add_str(b, text);
}

static void take_line(struct bad *b, const char *line)
{
    const char *text = strlen(line) > 2 ? line + 2 : "";
    switch (line[0]) {
    case '=':
        finish(b);
        b->plan = load_text(GOOD_PLAN);
        buf_add_str(&b->name, text);
        break;
    case '-':
        if (b->to.len)
            apply(b);
        add_line(&b->from, text);
        break;
    case '+':
        add_line(&b->to, text);
        break;
    case '!':
    case '?':
        buf_printf(&b->said, "%s\n", line);
        break;
    }
}

static void bad_plans_are_refused_where_they_are_wrong(void **state)
{
    (void)state;
    char *table = load_text("tests/golden/release-plans/bad.txt"), *rest = table, *line;
    struct bad b = {.name = BUF_INIT(1024),
                    .from = BUF_INIT(65536),
                    .to = BUF_INIT(65536),
                    .said = BUF_INIT(65536)};
    while ((line = strsep(&rest, "\n")))
        take_line(&b, line);
    finish(&b);
    print_message("%d bad plans\n", b.count);
    assert_true(b.count >= 80);
    buf_done(&b.name);
    buf_done(&b.from);
    buf_done(&b.to);
    buf_done(&b.said);
    mem_free(table);
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct buf steps = BUF_INIT(1 << 20);
    for (int i = 0; i < RELEASE_STEPS_MAX - 4; i++)
        buf_printf(&steps, "      - {soak: 1h, sign: {qa: statement %d}}\n", i);
    buf_add_str(&steps, "  production:");
    char *most = replaced(load_text(GOOD_PLAN), "  production:", buf_str(&steps));
    struct buf said = said_of(most);
    assert_non_null(strstr(buf_str(&said), "more than 64 steps"));
    buf_done(&said);
    char *fits = replaced(most, "      - {soak: 1h, sign: {qa: statement 0}}\n", "");
    fits = replaced(fits, "      - {soak: 1h, sign: {qa: statement 1}}\n", "");
    said = said_of(fits);
    assert_string_equal(buf_str(&said), "");
    buf_done(&said);
    mem_free(fits);
    buf_done(&steps);
}

static void memory_may_be_out_at_any_time(void **state)
{
    (void)state;
    char *text = load_text(GOOD_PLAN);
    int n = 1;
    for (;; n++) {
        struct problems problems = {0}, warnings = {0};
        struct release_plan *plan = NULL;
        mem_fail_at(n);
        enum hoist_err err = release_plan_read(slice_str(text), &plan, &problems, &warnings);
        bool failed = mem_did_fail();
        mem_fail_at(0);
        problems_done(&problems);
        problems_done(&warnings);
        release_plan_free(plan);
        assert_int_equal(err, failed ? HOIST_ENOMEM : HOIST_OK);
        if (!failed)
            break;
    }
    assert_true(n > 10);
    mem_free(text);
}

/* ------------------------------------------------------------------ the same plan, written differently */

/* Lists whose order means nothing, by the key that they stand behind. */
static bool is_set(struct slice key)
{
    static const char *const sets[] = {"flags", "guards", "checks", "kill_on_alert", "sinks",
                                       "check", "qa",     "lead",   "oncall",        "reviewer"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (slice_eq(key, slice_str(sets[i])))
            return true;
    return false;
}

static void put_quoted(struct buf *out, struct slice text)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, text.ptr[i]);
    }
    buf_add_byte(out, '"');
}

/* The same document on one line, all of it quoted, maps and sets from their end on. */
static const struct yaml_item *put_reversed(struct buf *out, const struct yaml_item *v,
                                            struct slice key)
{
    const struct yaml_item *at[64], *next = v + 1;
    bool map = v->kind == YAML_MAP, keep_order = !map && !is_set(key);
    if (v->kind == YAML_WORD) {
        put_quoted(out, v->text);
        return next;
    }
    assert_true(v->count <= 64);
    for (uint32_t i = 0; i < v->count; i++) {
        at[i] = next;
        next += map ? 1 + next[1].span : next->span;
    }
    keep_order |= slice_eq(key, SLICE("phases"));
    buf_add_str(out, map ? "{ " : "[ ");
    for (uint32_t i = 0; i < v->count; i++) {
        const struct yaml_item *item = at[keep_order ? i : v->count - 1 - i];
        if (i)
            buf_add_str(out, ",   ");
        if (map) {
            put_quoted(out, item->text);
            buf_add_str(out, ": ");
        }
        put_reversed(out, map ? item + 1 : item, map ? item->text : (struct slice){0});
    }
    buf_add_str(out, map ? " }" : " ]");
    return next;
}

static void no_complaint(void *arg, uint32_t line, uint32_t column, const char *mend,
                         const char *message)
{
    (void)arg;
    fail_msg("%u:%u %s (%s)", line, column, message, mend);
}

static struct yaml_item *tree_of(const char *text, struct arena *arena, uint32_t *ret_count)
{
    const struct yaml_complaints complaints = {.tell = no_complaint};
    struct yaml_item *items = NULL;
    assert_int_equal(yaml_tree_read(slice_str(text), arena, &complaints, &items, ret_count),
                     HOIST_OK);
    return items;
}

static void has_hash_of(const char *path, const char *other)
{
    struct release_plan *a = read_plan_file(path), *b = read_plan(other);
    assert_memory_equal(a->hash, b->hash, HASH_SIZE);
    release_plan_free(a);
    release_plan_free(b);
}

static void order_quotes_and_comments_do_not_change_the_hash(void **state)
{
    static const char *const paths[] = {GOOD_PLAN, MARKETPLACE_PLAN};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct arena arena = {0};
        uint32_t count;
        char *text = load_text(paths[i]);
        struct buf other = BUF_INIT(1 << 20);
        put_reversed(&other, tree_of(text, &arena, &count), (struct slice){0});
        has_hash_of(paths[i], buf_str(&other));
        buf_done(&other);
        arena_done(&arena);
        mem_free(text);
    }
}

static void what_is_the_same_otherwise_spelt_does_not_change_the_hash(void **state)
{
    static const char *const same[][2] = {
        {"owner: ana",
         "interval: 15000ms\nabort_after: 3\nowner: ana\nmax_silent: 0\nsign_valid: 7d"},
        {"soak: 2h30m", "soak: 150m"},
        {"soak: 24h", "soak: 1d"},
        {"percent: 12.5", "percent: 12.500%"},
        {"mon-thu", "tue-thu,mon,wed"},
        {"\"<= 0.02\"", "<=2e-2"},
        {"listings.enabled,", "{key: listings.enabled, on: \"on\", off: \"off\"},"},
        {"check: tests", "check: [tests]"},
        {"2026-12-10T08:00:00Z", "2026-12-10T08:00:00.000Z"},
        {"{percent: 100, soak: 30m", "{guards: [freshness, errors], percent: 100, soak: 30m"},
        {"title: Listings", "title: |\n  Listings"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *other = replaced(load_text(GOOD_PLAN), same[i][0], same[i][1]);
        has_hash_of(GOOD_PLAN, other);
        mem_free(other);
    }
}

/* ------------------------------------------------------------------ another plan */

/* The offset of an item's text in a file of ASCII; its quote is stepped over. */
static size_t offset_of(const char *text, const struct yaml_item *v)
{
    const char *at = text;
    for (uint32_t line = 1; line < v->line; line++)
        at = strchr(at, '\n') + 1;
    at += v->column - 1;
    return (size_t)(at - text) + (*at == '"' || *at == '\'');
}

/* One more of the same kind: no letter or digit stays what it was. */
static char other_byte(char c)
{
    if (c >= '0' && c <= '9')
        return c == '9' ? '1' : (char)(c + 1);
    if (c >= 'a' && c <= 'z')
        return c == 'z' ? 'a' : (char)(c + 1);
    if (c >= 'A' && c <= 'Z')
        return c == 'Z' ? 'A' : (char)(c + 1);
    return c;
}

struct tally {
    int plans, refused;
};

/* The plan with that byte changed is no plan, or another one. */
static void try_byte(char *text, size_t at, const uint8_t hash[HASH_SIZE], struct tally *tally)
{
    struct problems problems = {0}, warnings = {0};
    struct release_plan *plan = NULL;
    char was = text[at];
    text[at] = other_byte(was);
    if (text[at] != was) {
        enum hoist_err err = release_plan_read(slice_str(text), &plan, &problems, &warnings);
        if (err == HOIST_OK && memcmp(plan->hash, hash, HASH_SIZE) == 0)
            fail_msg("the same hash with '%c' for '%c' at byte %zu", text[at], was, at);
        tally->plans += err == HOIST_OK;
        tally->refused += err != HOIST_OK;
    }
    text[at] = was;
    release_plan_free(plan);
    problems_done(&problems);
    problems_done(&warnings);
}

static void mutate(const char *path, struct tally *tally)
{
    struct arena arena = {0};
    uint32_t count = 0;
    char *text = load_text(path);
    struct release_plan *plan = read_plan(text);
    const struct yaml_item *items = tree_of(text, &arena, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].kind != YAML_WORD)
            continue;
        size_t at = offset_of(text, &items[i]);
        /* A folded text and one with escapes do not stand in the file as they are. */
        if (strncmp(text + at, (const char *)items[i].text.ptr, items[i].text.len) != 0)
            continue;
        for (size_t k = 0; k < items[i].text.len; k++)
            try_byte(text, at + k, plan->hash, tally);
    }
    release_plan_free(plan);
    arena_done(&arena);
    mem_free(text);
}

static void any_other_letter_is_another_plan_or_none(void **state)
{
    struct tally tally = {0};
    (void)state;
    mutate(GOOD_PLAN, &tally);
    mutate(MARKETPLACE_PLAN, &tally);
    print_message("%d other plans, %d refused\n", tally.plans, tally.refused);
    assert_true(tally.plans > 500 && tally.refused > 500);
}

/* A hash stands in signatures and attestations: what it is made of does not change by itself. */
static void the_canonical_form_is_that_of_the_golden_file(void **state)
{
    (void)state;
    struct release_plan *plan = read_plan_file(GOOD_PLAN);
    struct buf canonical = BUF_INIT(RELEASE_CANONICAL_MAX);
    char *golden = load_text("tests/golden/release-plans/good.json");
    assert_int_equal(release_plan_canonical(plan, &canonical), HOIST_OK);
    assert_string_equal(buf_str(&canonical), golden);
    mem_free(golden);
    buf_done(&canonical);
    release_plan_free(plan);
}

static void what_is_taken_away_makes_another_plan(void **state)
{
    static const char *const parts[][2] = {
        {"    critical: \"> 0.2\"\n", ""},
        {", mode: hold", ""},
        {", every: 1d", ""},
        {", timeout: 30m", ""},
        {"sinks: [{name: team, url_ref: slack}]\n", ""},
        {", users: Listings come.", ""},
        {"    window: mon-thu 09:00-16:00 UTC\n", ""},
        {", lead: go on", ""},
        {", guards: [freshness]", ""},
        {"bo, cy]", "cy]"},
        {"      - {check: tests", "      - {sign: {qa: first}}\n      - {check: tests"},
        {"flags: {steps: []}", "flags: {steps: [], owner: bo}"},
        {"flags: {steps: []}", "flags: {steps: [], task: X-1}"},
        {"owner: ana", "owner: ana\nsign_valid: 0s"},
    };
    struct release_plan *good = read_plan_file(GOOD_PLAN);
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *other = replaced(load_text(GOOD_PLAN), parts[i][0], parts[i][1]);
        struct release_plan *plan = read_plan(other);
        if (memcmp(plan->hash, good->hash, HASH_SIZE) == 0)
            fail_msg("the same hash without: %s", parts[i][0]);
        release_plan_free(plan);
        mem_free(other);
    }
    release_plan_free(good);
}

int main(void)
{
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_plans_are_read_without_a_word),
        cmocka_unit_test(bad_plans_are_refused_where_they_are_wrong),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(memory_may_be_out_at_any_time),
        cmocka_unit_test(order_quotes_and_comments_do_not_change_the_hash),
        cmocka_unit_test(what_is_the_same_otherwise_spelt_does_not_change_the_hash),
        cmocka_unit_test(any_other_letter_is_another_plan_or_none),
        cmocka_unit_test(the_canonical_form_is_that_of_the_golden_file),
        cmocka_unit_test(what_is_taken_away_makes_another_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
