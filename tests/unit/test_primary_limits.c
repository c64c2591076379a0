/* Every limit of a flag and a change at the primary: what is at it is taken, and by a host that follows
 * too; what is one beyond is refused. What a host does with what is beyond is in test_wire_record.c,
 * test_wire_change.c and test_store_limits.c. */
#include "primary_kit.h"

#include "flag/tree.h"

enum { ENVELOPE = 600 /* bytes of a record around one long text, at the most */ };

/* A flag whose shape `put` makes by a number. */
typedef void shape_fn(struct buf *file, uint32_t n);

static void put_flag(struct buf *file, const char *variants)
{
    buf_printf(file, "\"k\":{\"state\":\"ENABLED\",\"defaultVariant\":\"v0\",\"variants\":{%s}",
               variants);
}

static void with_variants(struct buf *file, uint32_t n)
{
    struct buf list = BUF_INIT(1 << 20);
    for (uint32_t i = 0; i < n; i++)
        buf_printf(&list, "%s\"v%u\":%u", i ? "," : "", i, i);
    put_flag(file, buf_str(&list));
    buf_add_str(file, "}");
    buf_done(&list);
}

/* A value of `n` levels: lists in an object. */
static void with_depth(struct buf *file, uint32_t n)
{
    buf_add_str(
        file,
        "\"k\":{\"state\":\"ENABLED\",\"defaultVariant\":\"v0\",\"variants\":{\"v0\":{\"a\":");
    for (uint32_t i = 1; i < n; i++)
        buf_add_byte(file, '[');
    for (uint32_t i = 1; i < n; i++)
        buf_add_byte(file, ']');
    buf_add_str(file, "}}}");
}

/* A rule of `n` nodes: an operator and its operands. */
static void with_nodes(struct buf *file, uint32_t n)
{
    put_flag(file, "\"v0\":1");
    buf_add_str(file, ",\"targeting\":{\"or\":[null");
    for (uint32_t i = 2; i < n; i++)
        buf_add_str(file, ",1");
    buf_add_str(file, "]}}");
}

static void with_bytes(struct buf *file, uint32_t n)
{
    buf_add_str(file,
                "\"k\":{\"state\":\"ENABLED\",\"defaultVariant\":\"v0\",\"variants\":{\"v0\":\"");
    for (uint32_t i = 0; i < n; i++)
        buf_add_byte(file, 'x');
    buf_add_str(file, "\"}}");
}

static void with_key(struct buf *file, uint32_t n)
{
    buf_add_byte(file, '"');
    for (uint32_t i = 0; i < n; i++)
        buf_add_byte(file, 'k');
    buf_add_str(file,
                "\":{\"state\":\"ENABLED\",\"defaultVariant\":\"v0\",\"variants\":{\"v0\":1}}");
}

static char *body_of(shape_fn *shape, uint32_t n)
{
    struct buf file = BUF_INIT(8 << 20);
    buf_add_str(&file, "{\"flags\":{");
    shape(&file, n);
    buf_add_str(&file, "}}");
    assert_int_equal(buf_err(&file), HOIST_OK);
    char *body = kit_file(buf_str(&file), "");
    buf_done(&file);
    return body;
}

/* A host takes the newest change of `k`'s environment into an empty store, and holds nothing back. */
static void a_host_takes_it(struct kit *k)
{
    struct kit host;
    struct store_read *r;
    struct store_write *w;
    struct store_env env = kit_env(k, "production");
    struct slice bytes;
    struct change c;
    struct store_env made;
    kit_init(&host, 0);
    assert_int_equal(store_read_begin(k->store, false, &r), HOIST_OK);
    assert_int_equal(store_write_begin(host.store, &w), HOIST_OK);
    assert_int_equal(store_env_create(w, "production", &made), HOIST_OK);
    for (uint64_t v = 1; v <= env.head; v++) {
        assert_int_equal(store_log_get(r, env.id, v, &bytes), HOIST_OK);
        assert_int_equal(change_decode(bytes, &c), HOIST_OK);
        assert_int_equal(store_change_apply(w, made.id, &c), HOIST_OK);
    }
    assert_int_equal(store_write_commit(w), HOIST_OK);
    store_read_end(r);
    env = kit_env(&host, "production");
    assert_int_equal(env.held, 0);
    assert_int_equal(env.flags, 1);
    kit_done(&host);
}

static void is_limited(void **state, shape_fn *shape, uint32_t taken, uint32_t refused)
{
    struct kit *k = *state;
    char *good = body_of(shape, taken), *bad = body_of(shape, refused);
    kit_refused(k, "apply", bad, EXIT_INPUT, "");
    assert_int_equal(kit_env(k, "production").head, 1);
    kit_do(k, "apply", good, "changed");
    a_host_takes_it(k);
    free(good);
    free(bad);
}

static void variants_are_limited(void **state)
{
    is_limited(state, with_variants, FLAG_VARIANTS_MAX, FLAG_VARIANTS_MAX + 1);
}

static void levels_are_limited(void **state)
{
    is_limited(state, with_depth, TREE_DEPTH_MAX, TREE_DEPTH_MAX + 1);
}

static void nodes_of_a_rule_are_limited(void **state)
{
    is_limited(state, with_nodes, TREE_NODES_MAX, TREE_NODES_MAX + 1);
}

static void bytes_of_a_flag_are_limited(void **state)
{
    is_limited(state, with_bytes, FLAG_RECORD_MAX - ENVELOPE, FLAG_RECORD_MAX);
}

static void bytes_of_a_key_are_limited(void **state)
{
    is_limited(state, with_key, FLAG_KEY_MAX, FLAG_KEY_MAX + 1);
}

/* 300 flags of 250 KiB. */
static void bytes_of_a_change_are_limited(void **state)
{
    struct kit *k = *state;
    struct buf file = BUF_INIT(128 << 20);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < 300; i++) {
        buf_printf(
            &file,
            "%s\"f%d\":{\"state\":\"ENABLED\",\"defaultVariant\":\"v\",\"variants\":{\"v\":\"",
            i ? "," : "", i);
        for (int n = 0; n < 250 << 10; n++)
            buf_add_byte(&file, 'x');
        buf_add_str(&file, "\"}}");
    }
    buf_add_str(&file, "}}");
    char *body = kit_file(buf_str(&file), "");
    kit_refused(k, "apply", body, EXIT_GATE, "64 MiB");
    assert_int_equal(kit_env(k, "production").head, 1);
    free(body);
    buf_done(&file);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(variants_are_limited),        T(levels_are_limited),
        T(nodes_of_a_rule_are_limited), T(bytes_of_a_flag_are_limited),
        T(bytes_of_a_key_are_limited),  T(bytes_of_a_change_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
