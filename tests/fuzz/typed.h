/* typed.h - what a program is started with, for fuzzers: words, variables of the environment, a file. */
#ifndef FUZZ_TYPED_H
#define FUZZ_TYPED_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"

enum { WORDS_MAX = 32 };

/* Each is ended by a NUL byte. Those up to an empty one, taken off the front of *rest. */
static inline int take_words(struct slice *rest, char *words[WORDS_MAX])
{
    int count = 0;
    while (rest->len && count < WORDS_MAX) {
        size_t len = strnlen((const char *)rest->ptr, rest->len);
        char *word = mem_dup(slice_of(rest->ptr, len));
        assert(word);
        size_t used = len < rest->len ? len + 1 : len;
        *rest = slice_of(rest->ptr + used, rest->len - used);
        words[count] = word;
        if (len == 0) {
            mem_free(word);
            break;
        }
        count++;
    }
    return count;
}

static inline void free_words(char *const *words, int count)
{
    while (count > 0)
        mem_free(words[--count]);
}

static inline bool is_ours(const char *variable)
{
    return strncmp(variable, "HOIST_", 6) == 0 && strchr(variable, '=');
}

/* Those of NAME=VALUE whose names are ours, into the environment or out of it. */
static inline void set_all(char *const *words, int count, bool on)
{
    for (int i = 0; i < count; i++) {
        if (!is_ours(words[i]))
            continue;
        char *equals = strchr(words[i], '=');
        *equals = '\0';
        int rc = on ? setenv(words[i], equals + 1, 1) : unsetenv(words[i]);
        assert(rc == 0);
        *equals = '=';
    }
}

static inline void fill_file(int fd, struct slice text)
{
    int rc = ftruncate(fd, 0);
    assert(rc == 0);
    ssize_t n = pwrite(fd, text.ptr, text.len, 0);
    assert(n == (ssize_t)text.len);
}

#endif
