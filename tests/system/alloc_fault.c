/* alloc_fault.c - preloaded: the $ALLOC_FAULT_AT-th allocation of the program itself fails, with
 * $ALLOC_FAULT_LIBS set to 1 of its libraries instead. $ALLOC_FAULT_STATE is a file of two numbers of 64
 * bits, made by the test: how many allocations there were, and whether one failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);

struct state {
    _Atomic uint64_t calls, failed;
};

static struct state none, *state = &none;
static _Atomic uint64_t fail_at;
static uintptr_t begin, end; /* of the program's own code */
static bool libs;

/* The program is what comes first. */
static int take_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        begin = info->dlpi_addr + p->p_vaddr;
        end = begin + p->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("ALLOC_FAULT_STATE"), *at = getenv("ALLOC_FAULT_AT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || !at)
        return;
    void *map = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return;
    dl_iterate_phdr(take_program, NULL);
    libs = getenv("ALLOC_FAULT_LIBS") != NULL;
    state = map;
    atomic_store(&fail_at, strtoull(at, NULL, 10));
}

static bool must_fail(const void *caller)
{
    uintptr_t from = (uintptr_t)caller;
    if (begin == 0 || (from >= begin && from < end) == libs)
        return false;
    if (atomic_fetch_add(&state->calls, 1) + 1 != atomic_load(&fail_at))
        return false;
    atomic_store(&state->failed, 1);
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *ptr, size_t size)
{
    return must_fail(__builtin_return_address(0)) ? NULL : __libc_realloc(ptr, size);
}
