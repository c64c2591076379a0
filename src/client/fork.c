#include "client/fork.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/grace.h"
#include "client/keeper.h"
#include "client/source.h"
#include "client/table.h"
#include "client/view.h"
#include "client/watch.h"
#include "store/lmdb_os.h"
#include "usage/tally.h"

static _Atomic uint64_t no_page = 1; /* stands for the page until there is one */
_Atomic uint64_t *fork_token = &no_page;
static uint64_t last_token = 1;

/* ------------------------------------------------------------------ around a fork */

/* All locks are taken before and given up after, on both sides: so the child finds none that a
 * thread which it does not have has taken. The tally's comes last: readers take it, and liburcu's are
 * not to be had until the readers whom the keeper waits for are through. */
static void before_fork(void)
{
    pthread_mutex_lock(&open_lock);
    pthread_mutex_lock(&sources_lock);
    for (struct source *s = sources; s; s = s->next)
        for (hoist *h = s->hoists; h; h = h->next)
            pthread_mutex_lock(&h->table_lock);
    urcu_bp_before_fork();
    tally_before_fork();
}

static void unlock_all(void)
{
    for (struct source *s = sources; s; s = s->next)
        for (hoist *h = s->hoists; h; h = h->next)
            pthread_mutex_unlock(&h->table_lock);
    pthread_mutex_unlock(&sources_lock);
    pthread_mutex_unlock(&open_lock);
}

static void after_fork_in_parent(void)
{
    tally_after_fork_in_parent();
    urcu_bp_after_fork_parent();
    unlock_all();
}

static void after_fork_in_child(void)
{
    tally_after_fork_in_child();
    urcu_bp_after_fork_child();
    /* Readers of the parent held these, and are not here to let go. */
    for (struct source *s = sources; s; s = s->next)
        source_gate_renew(s);
    atomic_store(fork_token, 0); /* for kernels that do not empty the page */
    unlock_all();
}

bool fork_init(void)
{
    if (fork_token != &no_page)
        return true;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return false;
    lmdb_os_init(); /* its lock is taken under ours, and so has to be the later one in a fork, too */
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
        munmap(page, size);
        return false;
    }
    (void)madvise(page, size, MADV_WIPEONFORK);
    fork_token = page;
    atomic_store(fork_token, last_token);
    return true;
}

/* ------------------------------------------------------------------ in the child */

static void mend_flag(hoist_flag *f)
{
    cell_mend(&f->cell);
}

static void mend(hoist *h)
{
    cell_mend(&h->env_cell);
    table_each(h, mend_flag);
    views_forget(h);
    watch_forget(h);
}

void fork_catch_up(void)
{
    pthread_mutex_lock(&open_lock);
    pthread_mutex_lock(&sources_lock);
    if (atomic_load(fork_token) == 0) {
        bool threaded = false;
        for (struct source *s = sources; s; s = s->next) {
            threaded |= s->threaded;
            for (hoist *h = s->hoists; h; h = h->next)
                mend(h);
        }
        keeper_forget();
        sources_after_fork();
        if (threaded)
            keeper_start();
        atomic_store_explicit(fork_token, ++last_token, memory_order_release);
    }
    pthread_mutex_unlock(&sources_lock);
    pthread_mutex_unlock(&open_lock);
}
