#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int fail_at; /* 0: never */
static _Atomic bool failed;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) == 0)
        return false;
    if (atomic_fetch_sub(&fail_at, 1) != 1)
        return false;
    atomic_store(&failed, true);
    return true;
}

void *mem_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    size_t whole; /* checked here: a sanitizer's calloc ends the process instead */
    if (__builtin_mul_overflow(count, size, &whole))
        return NULL;
    return must_fail() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *mem_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : realloc(ptr, size ? size : 1);
}

void *mem_grow(void *array, size_t *cap, size_t first, size_t size)
{
    size_t more = *cap ? *cap : first, bytes;
    if ((*cap && __builtin_mul_overflow(more, 2, &more)) ||
        __builtin_mul_overflow(more, size, &bytes))
        return NULL;
    void *grown = mem_realloc(array, bytes);
    if (grown)
        *cap = more;
    return grown;
}

void mem_free(void *ptr)
{
    free(ptr);
}

char *mem_dup(struct slice s)
{
    char *copy = mem_alloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *mem_dup_str(const char *str)
{
    return mem_dup(slice_str(str));
}

void mem_fail_at(int n)
{
    atomic_store(&failed, false);
    atomic_store(&fail_at, n);
}

bool mem_did_fail(void)
{
    return atomic_load(&failed);
}
