/* Who has a place to download a snapshot, and for how long. */
#include "../repl_site.h"

#include "repl/downloads.h"

static const uint16_t ENV = 1;

struct place {
    struct site site;
    struct downloads *d;
};

static void place_begin(struct place *p)
{
    *p = (struct place){0};
    site_open(&p->site, true);
    make_env(p->site.store, "production", 7);
    assert_ok(downloads_new(p->site.store, &p->d));
}

static void place_end(struct place *p)
{
    downloads_free(p->d);
    site_end(&p->site);
}

/* The page behind `after` is asked for. */
static enum download_place page(struct place *p, uint32_t connection, const char *peer,
                                const char *after, int64_t now_ms)
{
    struct download_asker asker = {connection, peer};
    return downloads_page(p->d, &asker, ENV, 1, slice_str(after), now_ms);
}

static void one_peer_leaves_places_to_the_others(void **state)
{
    (void)state;
    struct place p;
    const char *a = "a", *b = "b", *c = "c";
    uint32_t id = 0;
    place_begin(&p);
    while (id < DOWNLOADS_PEER_MAX)
        assert_int_equal(page(&p, ++id, a, "", 0), DOWNLOAD_HAS);
    assert_int_equal(page(&p, ++id, a, "", 0), DOWNLOAD_PEER_HAS_MOST);
    for (int i = DOWNLOADS_PEER_MAX; i < DOWNLOADS_MAX; i++)
        assert_int_equal(page(&p, ++id, b, "", 0), DOWNLOAD_HAS);
    assert_int_equal(page(&p, ++id, c, "", 0), DOWNLOAD_NONE_IS_FREE);
    downloads_end(p.d, &(struct download_asker){1, a}, ENV, 0);
    assert_int_equal(page(&p, ++id, c, "", 0), DOWNLOAD_HAS);
    place_end(&p);
}

static void a_place_is_kept_by_going_on_and_not_by_asking_the_same(void **state)
{
    (void)state;
    struct place p;
    const char *a = "a";
    int64_t half = DOWNLOAD_SILENT_MS / 2;
    place_begin(&p);
    for (uint32_t id = 1; id <= DOWNLOADS_PEER_MAX; id++)
        assert_int_equal(page(&p, id, a, "k1", 0), DOWNLOAD_HAS);
    assert_int_equal(page(&p, 1, a, "k1", half), DOWNLOAD_HAS);
    assert_int_equal(page(&p, 2, a, "k2", half), DOWNLOAD_HAS);
    assert_int_equal(page(&p, 3, a, "", half), DOWNLOAD_HAS);
    for (uint32_t id = 11; id < 11 + DOWNLOADS_PEER_MAX - 1; id++)
        assert_int_equal(page(&p, id, a, "", 2 * half), DOWNLOAD_HAS); /* all but the second's */
    assert_int_equal(page(&p, 1, a, "k1", 2 * half), DOWNLOAD_PEER_HAS_MOST);
    assert_int_equal(page(&p, 3, a, "k2", 2 * half), DOWNLOAD_PEER_HAS_MOST);
    assert_int_equal(page(&p, 2, a, "k3", 2 * half), DOWNLOAD_HAS);
    place_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_peer_leaves_places_to_the_others),
        cmocka_unit_test(a_place_is_kept_by_going_on_and_not_by_asking_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
