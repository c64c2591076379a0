#include "store/store_int.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/files.h"

enum { QUOTA_DEFAULT_SHIFT = 32, OPEN_TRIES = 16 };

/* Stores that a child inherited and gave up: their reads cannot be freed without touching the
 * parent's slots, so they stay, and stay reachable. */
static struct store *_Atomic abandoned;

enum hoist_err store_new(const char *dir, struct db *db, struct store **ret)
{
    struct store *s = mem_zalloc(1, sizeof *s);
    char *copy = mem_dup_str(dir);
    if (!s || !copy) {
        mem_free(s);
        mem_free(copy);
        db_free(db);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    s->dir = copy;
    text_hex(s->host_id, slice_of(db->store_id, STORE_ID_SIZE));
    s->starts = db->starts;
    s->quota_bytes = UINT64_C(1) << QUOTA_DEFAULT_SHIFT;
    s->env_flags = STORE_ENV_FLAGS;
    pthread_mutex_init(&s->swap_lock, NULL);
    for (int i = 0; i < READS; i++)
        db->reads[i].store = s;
    atomic_store(&s->db, db);
    *ret = s;
    return HOIST_OK;
}

enum hoist_err store_open_reader(const char *dir, uint64_t map_bytes, struct store **ret)
{
    bool memory;
    enum hoist_err err = files_check_fs(dir, &memory);
    if (err)
        return err;
    struct db *db = NULL;
    const struct db_options o = {.map_bytes = map_bytes};
    /* The directory that the link led to may be gone when its files are opened: a rotation. */
    err = HOIST_ENOTFOUND;
    for (int i = 0; err == HOIST_ENOTFOUND && i < OPEN_TRIES; i++) {
        uint32_t number;
        err = files_current(dir, &number);
        if (err)
            return err;
        err = db_open(dir, number, &o, &db);
    }
    if (err)
        return err;
    err = store_new(dir, db, ret);
    if (!err)
        (*ret)->map_bytes = map_bytes;
    return err;
}

static void free_store(struct store *s)
{
    pthread_mutex_destroy(&s->swap_lock);
    mem_free(s->dir);
    mem_free(s);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    struct db *db = atomic_load(&s->db);
    if (db->forks != lmdb_os_forks()) {
        store_abandon(s);
        return;
    }
    if (s->stop_writer && !s->stop_writer(s))
        return;
    while (db) {
        struct db *older = db->older;
        db_free(db);
        db = older;
    }
    free_store(s);
}

void store_abandon(struct store *s)
{
    for (struct db *db = atomic_load(&s->db); db; db = db->older)
        db_abandon(db);
    s->next = atomic_load(&abandoned);
    while (!atomic_compare_exchange_weak(&abandoned, &s->next, s))
        ;
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

void store_id(const struct store *s, uint8_t ret[STORE_ID_SIZE])
{
    memcpy(ret, atomic_load(&s->db)->store_id, STORE_ID_SIZE);
}

const char *store_host_id(const struct store *s)
{
    return s->host_id;
}

uint64_t store_starts(const struct store *s)
{
    return s->starts;
}

/* ------------------------------------------------------------------ another directory */

bool store_is_replaced(const struct store *s)
{
    const struct db *db = atomic_load(&s->db);
    if (db->counters.head && !s->writer && atomic_load(&db->counters.head->retired))
        return true;
    char link[PATH_MAX], path[PATH_MAX];
    struct stat st;
    /* A path that leads nowhere is no other store: what is open goes on being the last known. */
    if (!path_join(link, s->dir, "current") || !path_join(path, link, "data.mdb") ||
        stat(path, &st) != 0)
        return false;
    return st.st_dev != db->dev || st.st_ino != db->ino;
}

void store_swap(struct store *s, struct db *db)
{
    for (int i = 0; i < READS; i++)
        db->reads[i].store = s;
    db->older = atomic_load(&s->db);
    atomic_store(&s->db, db);
}

void store_end_older(struct store *s)
{
    pthread_mutex_lock(&s->swap_lock);
    for (struct db *db = atomic_load(&s->db)->older; db; db = db->older)
        if (db->env && atomic_load(&s->looked_at) != db)
            db_end(db);
    pthread_mutex_unlock(&s->swap_lock);
}

/* ------------------------------------------------------------------ counters */

const _Atomic uint64_t *store_words(const struct store *s)
{
    return atomic_load(&s->db)->counters.words;
}

const _Atomic uint64_t *store_envs_word(const struct store *s)
{
    const struct counters_head *head = atomic_load(&s->db)->counters.head;
    return head ? &head->envs : NULL;
}

const char *store_counters_path(const struct store *s)
{
    return atomic_load(&s->db)->counters_path;
}

enum hoist_err store_status_get(struct store *s, struct buf *out)
{
    const struct counters *c = &atomic_load(&s->db)->counters;
    return c->head ? counters_get_status(c, out) : HOIST_ENOTFOUND;
}
