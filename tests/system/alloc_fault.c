/* alloc_fault.c - preloaded: the $ALLOC_FAULT_AT-th allocation of the program itself fails, also one that libc
 * makes for it (strdup, getline, fopen …). $ALLOC_FAULT_STATE is a file of two numbers of 64 bits, made by the
 * test: how many allocations there were, and whether one failed. LMDB is linked in and counts as the program.
 * nng is, too, and counts as a library. Its functions lie together, but for the cold ones: those of all parts the
 * linker puts first, so that nng's begin behind mem_alloc. (Its own allocator jumps to malloc and is never the caller.)
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
static uintptr_t base, begin, end;   /* of the program's own code … */
static uintptr_t nng_begin, nng_end; /* … and of nng's in it */

/* The program is what comes first. */
static int take_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        base = info->dlpi_addr;
        begin = base + p->p_vaddr;
        end = begin + p->p_memsz;
    }
    return 1;
}

/* The first function whose name begins so, behind an address. */
static uintptr_t find(const ElfW(Sym) * syms, size_t count, const char *names, const char *prefix,
                      uintptr_t behind)
{
    uintptr_t found = UINTPTR_MAX;
    for (size_t i = 0; i < count; i++) {
        uintptr_t at = base + syms[i].st_value;
        if (syms[i].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(syms[i].st_info) == STT_FUNC &&
            at > behind && at < found &&
            strncmp(names + syms[i].st_name, prefix, strlen(prefix)) == 0)
            found = at;
    }
    return found;
}

/* LMDB's main part lies before nng or behind it. */
static void take_symbols(const ElfW(Sym) * syms, size_t count, const char *names)
{
    uintptr_t own = find(syms, count, names, "mem_alloc", 0);
    nng_begin = find(syms, count, names, "nng_", own);
    nng_end = find(syms, count, names, "mdb_", nng_begin);
    nng_end = nng_end < end ? nng_end : end;
}

static void find_nng(void)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    const char *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return;
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)file;
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)(file + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB)
            take_symbols((const ElfW(Sym) *)(file + sections[i].sh_offset),
                         sections[i].sh_size / sizeof(ElfW(Sym)),
                         file + sections[sections[i].sh_link].sh_offset);
    munmap((void *)file, (size_t)st.st_size);
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
    find_nng();
    if (nng_begin >= nng_end) /* another program, which this one started */
        return;
    state = map;
    atomic_store(&fail_at, strtoull(at, NULL, 10));
}

static bool must_fail(const void *caller)
{
    uintptr_t from = (uintptr_t)caller;
    if (from < begin || from >= end || (from >= nng_begin && from < nng_end) ||
        atomic_fetch_add(&state->calls, 1) + 1 != atomic_load(&fail_at))
        return false;
    atomic_store(&state->failed, 1);
    errno = ENOMEM;
    return true;
}

#define FAILS must_fail(__builtin_return_address(0))

EXPORT void *malloc(size_t size)
{
    return FAILS ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return FAILS ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *ptr, size_t size)
{
    return FAILS ? NULL : __libc_realloc(ptr, size);
}

#define OF_LIBC(type, failed, name, parameters, arguments)                                         \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        static type(*real) parameters;                                                             \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        return FAILS ? failed : real arguments;                                                    \
    }

OF_LIBC(int, ENOMEM, posix_memalign, (void **ret, size_t align, size_t size), (ret, align, size))
OF_LIBC(char *, NULL, strdup, (const char *text), (text))
OF_LIBC(char *, NULL, realpath, (const char *path, char *ret), (path, ret))
OF_LIBC(DIR *, NULL, opendir, (const char *path), (path))
OF_LIBC(FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
OF_LIBC(FILE *, NULL, fdopen, (int fd, const char *mode), (fd, mode))
/* as getline() is called */
OF_LIBC(ssize_t, -1, __getdelim, (char **line, size_t *room, int by, FILE *in),
        (line, room, by, in))
