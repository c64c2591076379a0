#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "../wire_samples.h"
#include "base/mem.h"
#include "wire/mp.h"

/* ------------------------------------------------------------------ records by hand */

static struct buf out;

static int begin(void **state)
{
    (void)state;
    out = BUF_INIT(4 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

/* The parts of a record; those not set are those of a boolean flag that is on. */
struct parts {
    struct slice major, type, variants, chosen, override, targeting, metadata, needs, otherwise,
        more;
    int elements;
};

static void part(struct slice s, struct slice usual)
{
    buf_add_slice(&out, s.ptr ? s : usual);
}

static struct slice record_of(struct parts p)
{
    buf_clear(&out);
    mp_put_array(&out, p.elements ? (uint32_t)p.elements : RECORD_FIELDS);
    part(p.major, SLICE("\x01"));
    buf_add_str(&out, "\x07"); /* a later minor version is no reason to refuse */
    mp_put_bool(&out, true);
    part(p.type, SLICE("\x01"));
    part(p.variants, SLICE("\x81\xa2on\xc3"));
    part(p.chosen, SLICE("\x00"));
    part(p.override, SLICE("\xc0"));
    part(p.targeting, SLICE("\xc0"));
    part(p.metadata, SLICE("\x80"));
    part(p.needs, SLICE("\x80"));
    part(p.otherwise, SLICE("\xc0"));
    part(p.more, SLICE(""));
    assert_int_equal(buf_err(&out), HOIST_OK);
    return buf_slice(&out);
}

/* What decoding answers; the outputs must be untouched when it is an error. The bytes lie in a
 * block of their own, so that a sanitizer sees a step too far. */
static enum hoist_err judged(struct slice record)
{
    struct flag *const untouched = (struct flag *)&out;
    struct flag *f = untouched;
    struct record_info info = {.major = 77};
    uint8_t *copy = sure(malloc(record.len ? record.len : 1));
    memcpy(copy, record.ptr, record.len);
    err_clear();
    enum hoist_err err = record_decode(SLICE("key"), slice_of(copy, record.len), &f, &info);
    free(copy);
    if (err == HOIST_OK) {
        assert_ptr_not_equal(f, untouched);
        flag_free(f);
    } else {
        assert_ptr_equal(f, untouched);
        assert_int_equal(info.major, 77);
        assert_string_not_equal(err_last(), "");
    }
    return err;
}

static enum hoist_err judged_rule(struct slice tree)
{
    return judged(record_of((struct parts){.targeting = tree}));
}

static enum hoist_err judged_object(struct slice tree)
{
    struct buf variants = BUF_INIT(1 << 20);
    buf_add_slice(&variants, SLICE("\x81\xa1v"));
    buf_add_slice(&variants, tree);
    enum hoist_err err =
        judged(record_of((struct parts){.type = SLICE("\x04"), .variants = buf_slice(&variants)}));
    buf_done(&variants);
    return err;
}

/* ------------------------------------------------------------------ round trips */

static void comes_back(struct flag *(*make)(void))
{
    struct flag *f = make(), *back;
    struct record_info info;
    assert_int_equal(record_encode(f, &out), HOIST_OK);
    struct slice record = buf_slice(&out);
    assert_int_equal(record_decode(f->key, record, &back, &info), HOIST_OK);
    assert_true(flag_equal(f, back));
    assert_int_equal(info.major, RECORD_MAJOR);
    assert_int_equal(info.minor, RECORD_MINOR);
    assert_false(info.newer);
    flag_free(f);

    /* Nothing in it leans on the record. */
    struct buf again = BUF_INIT(FLAG_RECORD_MAX);
    uint8_t *first = sure(malloc(record.len));
    memcpy(first, record.ptr, record.len);
    memset(out.ptr, 0xc1, out.len);
    assert_int_equal(record_encode(back, &again), HOIST_OK);
    assert_true(slice_eq(buf_slice(&again), slice_of(first, record.len)));
    free(first);
    buf_done(&again);
    flag_free(back);
}

static void a_boolean_flag_comes_back(void **state)
{
    (void)state;
    comes_back(sample_boolean);
    assert_in_range(out.len, 1, 32); /* what most flags are is small */
}

static void a_number_flag_comes_back(void **state)
{
    (void)state;
    comes_back(sample_number);
}

static void an_object_flag_comes_back(void **state)
{
    (void)state;
    comes_back(sample_object);
}

static void a_flag_with_everything_comes_back(void **state)
{
    (void)state;
    comes_back(sample_full);
}

/* What the reader of flag files makes is what the record's decoder takes, at the limits too. */
static void whatever_a_flag_file_can_say_comes_back(void **state)
{
    static const char head[] =
        "{\"flags\": {"
        "\"b\": {\"state\": \"DISABLED\", \"variants\": {\"zero\": -0.0, \"big\": 9007199254740991,"
        "  \"tiny\": 5e-324}},"
        "\"o\": {\"state\": \"ENABLED\", \"defaultVariant\": \"x\", \"variants\": {\"x\":"
        "  {\"z\": {}, \"\\u00e9\": [], \"Z\": null, \"\": [[1, -1.5], {\"b\": 1, \"a\": \"\"}],"
        "   \"\\ud83d\\ude00\": false, \"\\uffee\": true}, \"y\": []},"
        "  \"metadata\": {\"z\": 1, \"a\": \"\", \"\\u00e9\": false}},"
        "\"r\": {\"state\": \"ENABLED\", \"defaultVariant\": \"off\","
        "  \"variants\": {\"on\": \"1\", \"off\": \"0\"}, \"targeting\": {\"if\": [{\"$ref\": "
        "\"in\"},"
        "  \"on\", {\"!\": {\"var\": \"x\"}}, {\"in\": [\"a\", [\"a\", 2]]}, \"off\"]},"
        "  \"requires\": {\"flags\": {\"o\": \"x\", \"b\": \"big\"}, \"otherwise\": \"off\"}},"
        "\"deep\": {\"state\": \"ENABLED\", \"variants\": {\"v\": ";
    static const char tail[] =
        "}}}, \"$evaluators\": {\"in\": {\"ends_with\": [{\"var\": \"email\"}, \"@e.com\"]}}}";
    struct problems problems = {0};
    struct flag_file *file;
    struct buf json = BUF_INIT(1 << 20);
    (void)state;
    buf_add_str(&json, head);
    for (int i = 0; i < TREE_DEPTH_MAX; i++)
        buf_add_byte(&json, '[');
    for (int i = 0; i < TREE_DEPTH_MAX; i++)
        buf_add_byte(&json, ']');
    buf_add_str(&json, tail);
    enum hoist_err err = flag_file_read(buf_slice(&json), &file, &problems);
    for (size_t i = 0; i < problems.count; i++)
        print_message("%s: %s\n", problems.items[i].path, problems.items[i].message);
    assert_int_equal(err, HOIST_OK);
    assert_int_equal(file->count, 4);
    for (size_t i = 0; i < file->count; i++) {
        struct flag *back;
        buf_clear(&out);
        assert_int_equal(record_encode(file->flags[i], &out), HOIST_OK);
        assert_int_equal(record_decode(file->flags[i]->key, buf_slice(&out), &back, NULL),
                         HOIST_OK);
        assert_true(flag_equal(file->flags[i], back));
        flag_free(back);
    }
    flag_file_free(file);
    problems_done(&problems);
    buf_done(&json);
}

static void texts_end_with_a_nul(void **state)
{
    struct flag *f = sample_full(), *back;
    (void)state;
    assert_int_equal(record_encode(f, &out), HOIST_OK);
    assert_int_equal(record_decode(f->key, buf_slice(&out), &back, NULL), HOIST_OK);
    assert_string_equal((const char *)back->variants[0].value.nodes[0].text.ptr, "S\xc3\xa3o");
    assert_string_equal((const char *)back->variants[1].value.nodes[0].text.ptr, "");
    assert_string_equal((const char *)back->variants[1].name.ptr, "none");
    flag_free(f);
    flag_free(back);
}

static void a_small_flag_takes_one_block_beside_itself(void **state)
{
    struct flag *f = sample_boolean(), *back;
    (void)state;
    assert_int_equal(record_encode(f, &out), HOIST_OK);
    mem_fail_at(3); /* the flag, its arena's block; there must be no third */
    assert_int_equal(record_decode(f->key, buf_slice(&out), &back, NULL), HOIST_OK);
    assert_false(mem_did_fail());
    mem_fail_at(0);
    flag_free(f);
    flag_free(back);
}

static void a_thousand_variants_come_back_and_one_more_is_a_limit(void **state)
{
    (void)state;
    for (uint32_t count = FLAG_VARIANTS_MAX; count <= FLAG_VARIANTS_MAX + 1; count++) {
        struct buf variants = BUF_INIT(1 << 20);
        mp_put_map(&variants, count);
        for (uint32_t i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "v%u", i);
            mp_put_str(&variants, slice_str(name));
            mp_put_bool(&variants, true);
        }
        assert_int_equal(judged(record_of((struct parts){.variants = buf_slice(&variants)})),
                         count == FLAG_VARIANTS_MAX ? HOIST_OK : HOIST_ELIMIT);
        buf_done(&variants);
    }
}

static void two_variants_of_one_name_are_refused_among_few_and_many(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= FLAG_VARIANTS_MAX; count *= 2) {
        struct buf variants = BUF_INIT(1 << 20);
        mp_put_map(&variants, count);
        for (uint32_t i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "v%u", i == count - 1 ? count / 3 : i);
            mp_put_str(&variants, slice_str(name));
            mp_put_bool(&variants, true);
        }
        assert_int_equal(judged(record_of((struct parts){.variants = buf_slice(&variants)})),
                         HOIST_ECORRUPT);
        buf_done(&variants);
    }
}

/* ------------------------------------------------------------------ versions */

static void elements_behind_the_known_ones_are_ignored_and_told(void **state)
{
    struct flag *f;
    struct record_info info;
    struct slice record = record_of((struct parts){
        .elements = RECORD_FIELDS + 2, .more = SLICE("\x81\xa1x\x93\x01\x02\x03\xd4\x01\x00")});
    (void)state;
    assert_int_equal(record_decode(SLICE("key"), record, &f, &info), HOIST_OK);
    assert_true(info.newer);
    assert_int_equal(info.minor, 7);
    flag_free(f);
}

static void another_major_version_is_refused_naming_both(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.major = SLICE("\x02")})), HOIST_EVERSION);
    assert_non_null(strstr(err_last(), "version 2"));
    assert_non_null(strstr(err_last(), "version 1"));
    assert_non_null(strstr(err_last(), "'key'"));
    /* Also when nothing behind it makes sense to this program. */
    assert_int_equal(judged(SLICE("\x92\x02\xd4\x01\x00")), HOIST_EVERSION);
}

/* ------------------------------------------------------------------ another override */

/* The same flag but for its override, whatever that was before. */
static void override_alone_changes(struct flag *f)
{
    struct buf record = BUF_INIT(FLAG_RECORD_MAX), other = BUF_INIT(FLAG_RECORD_MAX);
    struct flag *again;
    assert_int_equal(record_encode(f, &record), HOIST_OK);
    for (int32_t variant = FLAG_NO_VARIANT; variant < (int32_t)f->variant_count; variant++) {
        buf_clear(&other);
        f->override = variant;
        assert_int_equal(record_override(buf_slice(&record), variant, &other), HOIST_OK);
        assert_int_equal(record_decode(f->key, buf_slice(&other), &again, NULL), HOIST_OK);
        assert_true(flag_equal(f, again));
        flag_free(again);
    }
    flag_free(f);
    buf_done(&record);
    buf_done(&other);
}

static void a_record_gets_another_override_and_nothing_else(void **state)
{
    (void)state;
    override_alone_changes(sample_boolean());
    override_alone_changes(sample_number());
    override_alone_changes(sample_object());
    override_alone_changes(sample_full());
}

static void another_override_keeps_what_a_newer_program_wrote(void **state)
{
    struct slice record = record_of((struct parts){
        .elements = RECORD_FIELDS + 2, .more = SLICE("\x81\xa1x\x93\x01\x02\x03\xd4\x01\x00")});
    struct buf killed = BUF_INIT(FLAG_RECORD_MAX), back = BUF_INIT(FLAG_RECORD_MAX);
    (void)state;
    assert_int_equal(record_override(record, 0, &killed), HOIST_OK);
    assert_false(slice_eq(buf_slice(&killed), record));
    assert_int_equal(record_override(buf_slice(&killed), FLAG_NO_VARIANT, &back), HOIST_OK);
    assert_true(slice_eq(buf_slice(&back), record));
    buf_done(&killed);
    buf_done(&back);
}

static void no_override_is_put_into_what_is_no_record(void **state)
{
    struct buf none = BUF_INIT(FLAG_RECORD_MAX), small = BUF_INIT(8);
    struct slice record = record_of((struct parts){0});
    (void)state;
    assert_int_equal(record_override(slice_of(record.ptr, 5), 0, &none), HOIST_ECORRUPT);
    assert_int_equal(record_override(record, 99, &none), HOIST_ECORRUPT);
    assert_int_equal(record_override(record_of((struct parts){.major = SLICE("\x02")}), 0, &none),
                     HOIST_EVERSION);
    assert_int_equal(none.len, 0);
    assert_int_equal(record_override(record_of((struct parts){0}), 0, &small), HOIST_ELIMIT);
    buf_done(&small);
    buf_done(&none);
}

/* ------------------------------------------------------------------ what cannot be right */

static void the_record_by_hand_is_right(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){0})), HOIST_OK);
}

static void missing_elements_are_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(SLICE("")), HOIST_ECORRUPT);
    assert_int_equal(judged(SLICE("\x90")), HOIST_ECORRUPT);
    assert_int_equal(judged(SLICE("\x91\x01")), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.elements = RECORD_FIELDS - 1})),
                     HOIST_ECORRUPT);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.more = SLICE("\xc0")})), HOIST_ECORRUPT);
}

static void wrong_types_are_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.type = SLICE("\x00")})), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.type = SLICE("\x05")})), HOIST_ECORRUPT);
    /* A variant of another type than its flag, each way. */
    for (char type = 2; type <= 4; type++)
        assert_int_equal(judged(record_of((struct parts){.type = slice_of(&type, 1)})),
                         HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa1v\x01")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa1v\xc0")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa1v\xd4\x01\x00")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\x01\xc3")})),
                     HOIST_ECORRUPT);
}

static void a_flag_without_variants_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x80")})), HOIST_ECORRUPT);
}

static void an_index_out_of_range_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.chosen = SLICE("\x01")})), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.override = SLICE("\x01")})), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.otherwise = SLICE("\x01")})), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.chosen = SLICE("\xff")})), HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.chosen = SLICE("\xce\xff\xff\xff\xff")})),
                     HOIST_ECORRUPT);
}

static void names_are_checked_like_keys(void **state)
{
    char named[FLAG_KEY_MAX + 1];
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa0\xc3")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa1\n\xc3")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x81\xa0\xc3")})),
                     HOIST_ECORRUPT);
    for (int len = FLAG_KEY_MAX; len <= FLAG_KEY_MAX + 1; len++) {
        struct buf variants = BUF_INIT(1000);
        memset(named, 'x', sizeof named);
        mp_put_map(&variants, 1);
        mp_put_str(&variants, slice_of(named, (size_t)len));
        mp_put_bool(&variants, true);
        assert_int_equal(judged(record_of((struct parts){.variants = buf_slice(&variants)})),
                         len == FLAG_KEY_MAX ? HOIST_OK : HOIST_ELIMIT);
        buf_done(&variants);
    }
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.variants = SLICE("\x81\xa1\xff\xc3")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x81\xa1m\xa1\x80")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xa1\xc3")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x93\x03\x00\xa1\xc3")), HOIST_ECORRUPT);
}

static void numbers_must_be_finite_and_whole_ones_exact(void **state)
{
    (void)state;
    assert_int_equal(judged_rule(SLICE("\x91\xcb\x7f\xf0\0\0\0\0\0\0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xcb\x7f\xf8\0\0\0\0\0\0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xcf\xff\0\0\0\0\0\0\0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xcb\x7f\xe0\0\0\0\0\0\0")), HOIST_OK);
}

static void metadata_must_be_scalars_sorted_and_distinct(void **state)
{
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x82\xa1m\x01\xa1n\x02")})),
                     HOIST_OK);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x82\xa1n\x01\xa1m\x02")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x82\xa1m\x01\xa1m\x02")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x81\xa1m\xc0")})),
                     HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.metadata = SLICE("\x81\xa1m\x90")})),
                     HOIST_ECORRUPT);
}

static void requirements_must_be_keys_sorted_and_have_an_otherwise(void **state)
{
    static const struct slice zero = SLICE("\x00");
    (void)state;
    assert_int_equal(judged(record_of((struct parts){.needs = SLICE("\x81\xa1"
                                                                    "a\xa2on"),
                                                     .otherwise = zero})),
                     HOIST_OK);
    assert_int_equal(judged(record_of((struct parts){.needs = SLICE("\x81\xa1"
                                                                    "a\xa2on")})),
                     HOIST_ECORRUPT);
    assert_int_equal(
        judged(record_of((struct parts){.needs = SLICE("\x81\xa0\xa2on"), .otherwise = zero})),
        HOIST_ECORRUPT);
    assert_int_equal(
        judged(record_of((struct parts){.needs = SLICE("\x81\xa1\x07\xa2on"), .otherwise = zero})),
        HOIST_ECORRUPT);
    assert_int_equal(judged(record_of((struct parts){.needs = SLICE("\x82\xa1"
                                                                    "b\xa2on\xa1"
                                                                    "a\xa2on"),
                                                     .otherwise = zero})),
                     HOIST_ECORRUPT);
}

static void a_key_that_is_none_is_refused(void **state)
{
    struct flag *f;
    struct slice record = record_of((struct parts){0});
    (void)state;
    assert_int_equal(record_decode(SLICE(""), record, &f, NULL), HOIST_EINVAL);
    assert_int_equal(record_decode(SLICE("a\nb"), record, &f, NULL), HOIST_EINVAL);
}

static void a_record_over_the_limit_is_refused_unread_and_unwritten(void **state)
{
    (void)state;
    buf_clear(&out);
    for (int i = 0; i <= FLAG_RECORD_MAX; i++)
        buf_add_byte(&out, 0xc1);
    assert_int_equal(judged(buf_slice(&out)), HOIST_ELIMIT);

    char *text = sure(calloc(1, FLAG_RECORD_MAX));
    memset(text, 'x', FLAG_RECORD_MAX);
    struct node big[] = {{.kind = NODE_STRING, .span = 1}};
    big[0].text = slice_of(text, FLAG_RECORD_MAX);
    struct flag *f = sample_flag("big", HOIST_STRING, 1);
    sample_variant(f, SLICE("v"), TREE_OF(big));
    buf_clear(&out);
    buf_add_str(&out, "before");
    assert_int_equal(record_encode(f, &out), HOIST_ELIMIT);
    assert_int_equal(out.len, 6); /* nothing was appended */
    flag_free(f);
    free(text);
}

/* ------------------------------------------------------------------ trees */

static void a_tree_that_ends_early_or_late_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged_rule(SLICE("\x90")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x92\xc0\xc0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x92\x01\x01")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x92\x92\x01\x00\xc0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x92\x92\x01\x01\xc0")), HOIST_OK);
    assert_int_equal(judged_rule(SLICE("\x91\x92\x01\x00")), HOIST_OK);
}

static void an_arity_that_lies_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged_rule(SLICE("\x92\x92\x01\xcd\x40\x00\xc0")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x92\x92\x01\xce\xff\xff\xff\xff\xc0")), HOIST_ELIMIT);
    assert_int_equal(judged_rule(SLICE("\x92\x92\x02\xce\x80\x00\x00\x01\xc0")), HOIST_ELIMIT);
}

static void nodes_of_unknown_kind_or_shape_are_refused(void **state)
{
    (void)state;
    assert_int_equal(judged_rule(SLICE("\x91\x92\x00\x00")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x92\x06\x00")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x91\x01")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x93\x01\x00\xa1x")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x92\x03\x00")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\x94\x03\x00\xa1x\xc0")), HOIST_ELIMIT);
    assert_int_equal(judged_rule(SLICE("\x91\x80")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xc4\x01x")), HOIST_ECORRUPT);
    assert_int_equal(judged_rule(SLICE("\x91\xd4\x01\x00")), HOIST_ECORRUPT);
}

static void a_reference_and_a_bare_operator_have_one_child(void **state)
{
    (void)state;
    for (char kind = 4; kind <= 5; kind++) {
        char one[] = "\x92\x93?\x01\xa1x\xc0", none[] = "\x91\x93?\x00\xa1x",
             two[] = "\x93\x93?\x02\xa1x\xc0\xc0";
        one[2] = none[2] = two[2] = kind;
        assert_int_equal(judged_rule(slice_of(one, sizeof one - 1)), HOIST_OK);
        assert_int_equal(judged_rule(slice_of(none, sizeof none - 1)), HOIST_ECORRUPT);
        assert_int_equal(judged_rule(slice_of(two, sizeof two - 1)), HOIST_ECORRUPT);
    }
}

static void object_keys_must_be_text_sorted_and_distinct(void **state)
{
    (void)state;
    assert_int_equal(judged_object(SLICE("\x95\x92\x02\x02\xa1m\x01\xa1n\x02")), HOIST_OK);
    assert_int_equal(judged_object(SLICE("\x95\x92\x02\x02\xa1n\x01\xa1m\x02")), HOIST_ECORRUPT);
    assert_int_equal(judged_object(SLICE("\x95\x92\x02\x02\xa1m\x01\xa1m\x02")), HOIST_ECORRUPT);
    assert_int_equal(judged_object(SLICE("\x93\x92\x02\x01\x01\x01")), HOIST_ECORRUPT);
    /* A key that is an object, whose own pairs would make up the number. */
    assert_int_equal(judged_object(SLICE("\x95\x92\x02\x01\x92\x02\x01\xa1m\x01\x01")),
                     HOIST_ECORRUPT);
    /* An inner object's keys are compared with each other, not with the outer one's. */
    assert_int_equal(judged_object(SLICE("\x97\x92\x02\x02\xa1m\x92\x02\x01\xa1z\x01\xa1n\x02")),
                     HOIST_OK);
}

static void a_value_has_no_operators_and_is_array_or_object(void **state)
{
    (void)state;
    assert_int_equal(judged_object(SLICE("\x91\x93\x03\x00\xa1x")), HOIST_ECORRUPT);
    assert_int_equal(judged_object(SLICE("\x92\x92\x01\x01\x93\x03\x00\xa1x")), HOIST_ECORRUPT);
    assert_int_equal(judged_object(SLICE("\x91\xc3")), HOIST_ECORRUPT);
    assert_int_equal(judged_object(SLICE("\xc3")), HOIST_ECORRUPT);
}

/* `depth` nodes one within the other. */
static struct slice nested(struct buf *b, uint32_t depth)
{
    buf_clear(b);
    mp_put_array(b, depth);
    for (uint32_t i = 1; i < depth; i++)
        buf_add_slice(b, SLICE("\x92\x01\x01"));
    mp_put_nil(b);
    return buf_slice(b);
}

static void depth_is_bounded(void **state)
{
    struct buf tree = BUF_INIT(1 << 20);
    (void)state;
    assert_int_equal(judged_rule(nested(&tree, TREE_DEPTH_MAX)), HOIST_OK);
    assert_int_equal(judged_rule(nested(&tree, TREE_DEPTH_MAX + 1)), HOIST_ELIMIT);
    assert_int_equal(judged_rule(nested(&tree, 10000)), HOIST_ELIMIT);
    buf_done(&tree);
}

static void nodes_are_bounded(void **state)
{
    struct buf tree = BUF_INIT(1 << 20);
    (void)state;
    for (uint32_t nodes = TREE_NODES_MAX; nodes <= TREE_NODES_MAX + 1; nodes++) {
        buf_clear(&tree);
        mp_put_array(&tree, nodes);
        mp_put_array(&tree, 2);
        mp_put_u64(&tree, 1);
        mp_put_u64(&tree, nodes - 1);
        for (uint32_t i = 1; i < nodes; i++)
            mp_put_nil(&tree);
        assert_int_equal(judged_rule(buf_slice(&tree)),
                         nodes == TREE_NODES_MAX ? HOIST_OK : HOIST_ELIMIT);
    }
    buf_done(&tree);
}

/* ------------------------------------------------------------------ everything at once */

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES_FRAMES; i++) {
        if (samples[i].again != record_again)
            continue;
        buf_clear(&out);
        samples[i].put(&out);
        for (size_t len = 0; len < out.len; len++)
            assert_int_equal(judged(slice_of(out.ptr, len)), HOIST_ECORRUPT);
    }
}

static void every_changed_byte_decodes_or_is_refused(void **state)
{
    (void)state;
    buf_clear(&out);
    sample_record_full(&out);
    for (size_t at = 0; at < out.len; at++) {
        uint8_t was = out.ptr[at];
        for (int v = 0; v < 256; v++) {
            out.ptr[at] = (uint8_t)v;
            enum hoist_err err = judged(buf_slice(&out));
            assert_true(err == HOIST_OK || err == HOIST_ECORRUPT || err == HOIST_ELIMIT ||
                        err == HOIST_EVERSION);
        }
        out.ptr[at] = was;
    }
}

static void running_out_of_memory_anywhere_is_said_and_leaks_nothing(void **state)
{
    struct flag *f = sample_full(), *back = NULL;
    (void)state;
    assert_int_equal(record_encode(f, &out), HOIST_OK);
    int n = 1;
    for (;; n++) {
        mem_fail_at(n);
        enum hoist_err err = record_decode(f->key, buf_slice(&out), &back, NULL);
        if (!mem_did_fail()) {
            assert_int_equal(err, HOIST_OK);
            break;
        }
        assert_int_equal(err, HOIST_ENOMEM);
        assert_null(back);
    }
    assert_true(n > 2);
    flag_free(back);

    mem_fail_at(1);
    struct buf none = BUF_INIT(FLAG_RECORD_MAX);
    assert_int_equal(record_encode(f, &none), HOIST_ENOMEM);
    mem_fail_at(0);
    buf_done(&none);
    flag_free(f);
}

/* ------------------------------------------------------------------ a look without the heap */

static void a_look_at_a_record_sees_what_decoding_sees(void **state)
{
    static struct flag *(*const makers[])(void) = {sample_boolean, sample_number};
    (void)state;
    for (size_t m = 0; m < sizeof makers / sizeof *makers; m++) {
        struct flag *f = makers[m]();
        struct record_peek peek;
        buf_clear(&out);
        assert_int_equal(record_encode(f, &out), HOIST_OK);
        assert_true(record_peek(f->key, buf_slice(&out), &peek));
        assert_int_equal(peek.flag.type, f->type);
        assert_int_equal(peek.flag.enabled, f->enabled);
        assert_int_equal(peek.flag.default_variant, f->default_variant);
        assert_int_equal(peek.flag.override, f->override);
        assert_int_equal(peek.flag.variant_count, f->variant_count);
        for (uint32_t i = 0; i < f->variant_count; i++) {
            assert_true(slice_eq(peek.flag.variants[i].name, f->variants[i].name));
            assert_true(tree_equal(peek.flag.variants[i].value, f->variants[i].value));
        }
        for (size_t len = 0; len < out.len; len++) {
            uint8_t *cut = sure(malloc(len ? len : 1));
            memcpy(cut, out.ptr, len);
            record_peek(f->key, slice_of(cut, len), &peek); /* must not look behind the end */
            free(cut);
        }
        flag_free(f);
    }
}

static void a_look_at_a_record_leaves_objects_to_decoding(void **state)
{
    struct flag *f = sample_object();
    struct record_peek peek;
    (void)state;
    assert_int_equal(record_encode(f, &out), HOIST_OK);
    assert_false(record_peek(f->key, buf_slice(&out), &peek));
    flag_free(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_boolean_flag_comes_back),
        CASE(a_number_flag_comes_back),
        CASE(an_object_flag_comes_back),
        CASE(a_flag_with_everything_comes_back),
        CASE(whatever_a_flag_file_can_say_comes_back),
        CASE(texts_end_with_a_nul),
        CASE(a_small_flag_takes_one_block_beside_itself),
        CASE(a_thousand_variants_come_back_and_one_more_is_a_limit),
        CASE(two_variants_of_one_name_are_refused_among_few_and_many),
        CASE(elements_behind_the_known_ones_are_ignored_and_told),
        CASE(another_major_version_is_refused_naming_both),
        CASE(a_record_gets_another_override_and_nothing_else),
        CASE(another_override_keeps_what_a_newer_program_wrote),
        CASE(no_override_is_put_into_what_is_no_record),
        CASE(the_record_by_hand_is_right),
        CASE(missing_elements_are_refused),
        CASE(bytes_behind_the_end_are_refused),
        CASE(wrong_types_are_refused),
        CASE(a_flag_without_variants_is_refused),
        CASE(an_index_out_of_range_is_refused),
        CASE(names_are_checked_like_keys),
        CASE(text_that_is_not_utf8_is_refused),
        CASE(numbers_must_be_finite_and_whole_ones_exact),
        CASE(metadata_must_be_scalars_sorted_and_distinct),
        CASE(requirements_must_be_keys_sorted_and_have_an_otherwise),
        CASE(a_key_that_is_none_is_refused),
        CASE(a_record_over_the_limit_is_refused_unread_and_unwritten),
        CASE(a_tree_that_ends_early_or_late_is_refused),
        CASE(an_arity_that_lies_is_refused),
        CASE(nodes_of_unknown_kind_or_shape_are_refused),
        CASE(a_reference_and_a_bare_operator_have_one_child),
        CASE(object_keys_must_be_text_sorted_and_distinct),
        CASE(a_value_has_no_operators_and_is_array_or_object),
        CASE(depth_is_bounded),
        CASE(nodes_are_bounded),
        CASE(every_truncation_is_refused),
        CASE(every_changed_byte_decodes_or_is_refused),
        CASE(a_look_at_a_record_sees_what_decoding_sees),
        CASE(a_look_at_a_record_leaves_objects_to_decoding),
        CASE(running_out_of_memory_anywhere_is_said_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
