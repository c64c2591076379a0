/* mem.h - the heap, in one place, so that a test can make any one allocation fail.
 *
 * All answer NULL when memory is out. Threads: any. The failure counter is per process, for tests.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

void *mem_alloc(size_t size);
void *mem_zalloc(size_t count, size_t size); /* zeroed; the product is checked */
void *mem_realloc(void *ptr, size_t size);
void mem_free(void *ptr);

/*
 * `array`, of *cap items of `size` bytes each, made twice as long; of `first` items when it was empty.
 * NULL: memory is out; array and *cap are as they were.
 */
void *mem_grow(void *array, size_t *cap, size_t first, size_t size);

/* A copy ended with a NUL; free with mem_free(). */
char *mem_dup(struct slice s);
char *mem_dup_str(const char *str);

/* The n-th allocation from here on answers NULL, and then none; 0 switches it off. */
void mem_fail_at(int n);

/* Whether that allocation came. */
bool mem_did_fail(void);

#endif
