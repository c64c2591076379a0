/* alloc_fault.c - preloaded: the $ALLOC_FAULT_AT-th allocation of the program itself fails, with
 * $ALLOC_FAULT_LIBS set to 1 of its libraries instead. $ALLOC_FAULT_STATE is a file of two numbers of 64
 * bits, made by the test: how many allocations there were, and whether one failed. nng counts as a library,
 * though it is linked into the program: its functions lie together there, as the symbols say.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
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
        base = info->dlpi_addr;
        begin = base + p->p_vaddr;
        end = begin + p->p_memsz;
    }
    return 1;
}

static void take_symbols(const ElfW(Sym) * syms, size_t count, const char *names)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = names + syms[i].st_name;
        uintptr_t at = base + syms[i].st_value;
        if (syms[i].st_shndx == SHN_UNDEF || ELF64_ST_TYPE(syms[i].st_info) != STT_FUNC ||
            (strncmp(name, "nni_", 4) != 0 && strncmp(name, "nng_", 4) != 0))
            continue;
        if (nng_begin == 0 || at < nng_begin)
            nng_begin = at;
        if (at + syms[i].st_size > nng_end)
            nng_end = at + syms[i].st_size;
    }
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
    libs = getenv("ALLOC_FAULT_LIBS") != NULL;
    state = map;
    atomic_store(&fail_at, strtoull(at, NULL, 10));
}

static bool must_fail(const void *caller)
{
    uintptr_t from = (uintptr_t)caller;
    bool own = from >= begin && from < end && !(from >= nng_begin && from < nng_end);
    if (begin == 0 || own == libs)
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
