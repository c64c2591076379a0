/* lmdb_os.h - what LMDB asks of the operating system, answered by us.
 *
 * LMDB tells readers apart by getpid() and keeps them alive by a POSIX lock on the byte of that
 * number. In two containers every program is process 1; and a POSIX lock goes when the process
 * closes any descriptor of the file. So the library's getpid and fcntl are renamed to the two
 * functions here (see lmdb_os.syms): an environment reads under an id of its own, and its locks
 * belong to the open file. A stock liblmdb on the same file understands both.
 */
#ifndef STORE_LMDB_OS_H
#define STORE_LMDB_OS_H

#include <setjmp.h>
#include <stdbool.h>
#include <sys/types.h>

/* An open file whose locks must not outlive this process in a child: LMDB's lock file, hoistd.lock.
 */
struct lmdb_os {
    pid_t id;     /* under which LMDB knows this environment */
    int lock_fd;  /* -1: none yet */
    int spare_fd; /* takes lock_fd's place in a child, so that the number stays ours; -1: none */
    struct lmdb_os *next;
};

/* Once per process, and again harmless; the calls below do it themselves. Who opens environments under
 * a lock that a fork handler takes calls this before pthread_atfork(): the handlers that were
 * registered first take their locks last. */
void lmdb_os_init(void);

/*
 * Between enter and leave, LMDB's calls of this thread are for `os`: its id is what getpid answers,
 * and the descriptor that is locked becomes its lock_fd. mdb_env_create(), _open() and _close()
 * need that. Not to be nested.
 */
void lmdb_os_enter(struct lmdb_os *os);
void lmdb_os_leave(void);

/* A lock file that is not LMDB's: to be given up in children. */
void lmdb_os_add(struct lmdb_os *os, int lock_fd);
void lmdb_os_remove(struct lmdb_os *os);

/*
 * An id that nobody is likely to have: in [2^22, 2^31), where no process id is. The low 22 bits are
 * the process id, so that a reader that hangs can be named; `anything` gives that up, for hosts
 * where the 511 ids of one process id are taken.
 */
pid_t lmdb_os_draw_id(bool anything);
pid_t lmdb_os_pid_of(pid_t id);

/* How many forks lie behind this process: an environment of another count was inherited. */
unsigned lmdb_os_forks(void);

/* Where a failed assertion of LMDB's goes on in this thread, or NULL: then it ends the program. */
extern _Thread_local jmp_buf *lmdb_os_rescue;

/* For mdb_env_set_assert(). */
struct MDB_env;
void lmdb_os_assert_failed(struct MDB_env *env, const char *what);

#endif
