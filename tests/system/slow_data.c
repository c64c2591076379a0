/* slow_data.c - preloaded: whoever looks through a table of LMDB's waits first as many milliseconds as the file
 * $SLOW_DATA_MS holds, if there is one.
 */
#include <dlfcn.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
    static int (*real)(MDB_txn *, MDB_dbi, MDB_cursor **);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "mdb_cursor_open");
    const char *path = getenv("SLOW_DATA_MS");
    FILE *f = path ? fopen(path, "r") : NULL;
    long ms;
    if (f && fscanf(f, "%ld", &ms) == 1)
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
    if (f)
        fclose(f);
    return real(txn, dbi, cursor);
}
