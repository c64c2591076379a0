#include "store/lmdb_os.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { ID_LOW = 22, ID_LOW_MASK = (1 << ID_LOW) - 1, ID_DRAWS = (1 << (31 - ID_LOW)) - 1 };

/* The names that lmdb_os.syms gives LMDB's undefined symbols. */
pid_t lmdb_os_getpid(void);
int lmdb_os_fcntl(int fd, int cmd, ...);
_Noreturn void lmdb_os_abort(void);
extern FILE *lmdb_os_stderr;

FILE *lmdb_os_stderr;
_Thread_local jmp_buf *lmdb_os_rescue;

static _Thread_local struct lmdb_os *current;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lmdb_os *list;
static _Atomic unsigned forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ------------------------------------------------------------------ fork */

static void before_fork(void)
{
    pthread_mutex_lock(&list_lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&list_lock);
}

/* The lock belongs to the open file, which parent and child share: held open in a child that lives
 * on, it would make the parent's reader slots look alive after the parent's death. */
static void after_fork_child(void)
{
    atomic_fetch_add(&forks, 1);
    for (struct lmdb_os *os = list; os; os = os->next) {
        if (os->spare_fd >= 0)
            dup3(os->spare_fd, os->lock_fd, O_CLOEXEC);
        else
            close(os->lock_fd);
    }
    list = NULL;
    pthread_mutex_unlock(&list_lock);
}

static void set_up(void)
{
    lmdb_os_stderr = stderr;
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void lmdb_os_init(void)
{
    pthread_once(&once, set_up);
}

unsigned lmdb_os_forks(void)
{
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

void lmdb_os_add(struct lmdb_os *os, int lock_fd)
{
    lmdb_os_init();
    pthread_mutex_lock(&list_lock);
    os->lock_fd = lock_fd;
    os->next = list;
    list = os;
    pthread_mutex_unlock(&list_lock);
}

void lmdb_os_remove(struct lmdb_os *os)
{
    pthread_mutex_lock(&list_lock);
    for (struct lmdb_os **at = &list; *at; at = &(*at)->next)
        if (*at == os) {
            *at = os->next;
            break;
        }
    os->lock_fd = -1;
    pthread_mutex_unlock(&list_lock);
}

/* ------------------------------------------------------------------ ids */

void lmdb_os_enter(struct lmdb_os *os)
{
    lmdb_os_init();
    current = os;
}

void lmdb_os_leave(void)
{
    current = NULL;
}

pid_t lmdb_os_draw_id(bool anything)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        /* No randomness (a kernel before 3.17, a filter): the clock's nanoseconds will do, since a
         * number that is taken is noticed. */
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        random = (uint32_t)now.tv_nsec * 2654435761u;
    }
    uint32_t high = 1 + (random >> ID_LOW) % ID_DRAWS;
    uint32_t low = anything ? random : (uint32_t)getpid();
    return (pid_t)(high << ID_LOW | (low & ID_LOW_MASK));
}

pid_t lmdb_os_pid_of(pid_t id)
{
    return id >> ID_LOW ? (id & ID_LOW_MASK) : id; /* a stock liblmdb's is the process id itself */
}

pid_t lmdb_os_getpid(void)
{
    return current ? current->id : getpid();
}

/* ------------------------------------------------------------------ locks */

static int ofd_command(int cmd)
{
    switch (cmd) {
    case F_SETLK:
        return F_OFD_SETLK;
    case F_SETLKW:
        return F_OFD_SETLKW;
    case F_GETLK:
        return F_OFD_GETLK;
    default:
        return cmd;
    }
}

int lmdb_os_fcntl(int fd, int cmd, ...)
{
    va_list args;
    va_start(args, cmd);
    void *arg = va_arg(args, void *);
    va_end(args);

    int command = ofd_command(cmd);
    if (command != cmd) {
        struct flock *lock = arg;
        lock->l_pid = 0; /* as the kernel wants it for these commands */
        if (current && current->lock_fd < 0)
            lmdb_os_add(current, fd); /* before it is locked: a fork may come at any time */
    }
    return fcntl(fd, command, arg);
}

/* ------------------------------------------------------------------ assertions */

/*
 * LMDB's assertions speak of a damaged file as well as of bugs. One that fails while a value is
 * read (no lock is held then, nothing is being changed) becomes an error: the jump leaves the
 * transaction as it is, and its environment is never touched again. Elsewhere the program must end:
 * what holds a lock or half a change cannot go on; readers do not come there.
 */
void lmdb_os_assert_failed(struct MDB_env *env, const char *what)
{
    (void)env;
    if (lmdb_os_rescue) {
        jmp_buf *to = lmdb_os_rescue;
        lmdb_os_rescue = NULL;
        longjmp(*to, 1);
    }
    fprintf(stderr, "hoist: the store's file is damaged, or LMDB has a bug: %s\n", what);
}

void lmdb_os_abort(void)
{
    abort();
}
