#include "store/write_int.h"

#include <sys/stat.h>

static void count_slot(const struct slot *slot, void *arg)
{
    uint32_t *count = arg;
    (void)slot;
    (*count)++;
}

static uint64_t pages_of(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat stat;
    if (mdb_stat(txn, dbi, &stat) != 0)
        return 0;
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

static uint64_t used_pages(struct store_read *r)
{
    enum { FREE_DBI = 0, MAIN_DBI = 1, META_PAGES = 2 };
    uint64_t pages = META_PAGES + pages_of(r->txn, FREE_DBI) + pages_of(r->txn, MAIN_DBI);
    for (int i = 0; i < DB_COUNT; i++)
        pages += pages_of(r->txn, r->db->dbi[i]);
    return pages;
}

static uint64_t most_flags(struct store_read *r)
{
    struct store_env env;
    uint64_t most = 0;
    for (uint32_t n = 0; store_env_at(r, n, &env) == HOIST_OK; n++)
        if (env.flags > most)
            most = env.flags;
    return most;
}

static void look(struct store_read *r, struct store_stats *ret)
{
    MDB_env *env = r->db->env;
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    uint32_t count;
    int fd;
    if (mdb_env_info(env, &info) == 0) {
        ret->map_bytes = info.me_mapsize;
        ret->readers_max = info.me_maxreaders;
    }
    if (mdb_env_stat(env, &stat) == 0)
        ret->used_bytes = used_pages(r) * stat.ms_psize;
    if (mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &st) == 0)
        ret->file_bytes = (uint64_t)st.st_size;
    db_each_slot(env, count_slot, &ret->readers);
    if (store_env_totals(r, &count, &ret->record_bytes) != HOIST_OK)
        ret->record_bytes = 0;
    ret->env_flags = most_flags(r);
}

void store_stats(struct store *s, struct store_stats *ret)
{
    struct store_read *r;
    *ret = (struct store_stats){.quota_bytes = s->quota_bytes,
                                .check_ms = -1,
                                .env_flags_max = s->env_flags,
                                .flag_bytes = atomic_load(&s->flag_bytes),
                                .change_bytes = atomic_load(&s->change_bytes)};
    if (store_read_begin(s, false, &r) == HOIST_OK) {
        look(r, ret);
        store_read_end(r);
    }
    if (!s->writer)
        return;
    enum { MAX = sizeof ret->stuck / sizeof *ret->stuck };
    ret->stuck_count = watch_stuck(s, ret->stuck, MAX, &ret->cleared);
    ret->check_ms = s->writer->check_ms;
    ret->rotations = atomic_load(&s->writer->rotations);
}
