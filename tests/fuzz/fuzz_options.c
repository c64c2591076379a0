/* Any bytes as what hoistd is started with. The first byte says which role; then, each ended by a NUL
 * byte: arguments, an empty one, variables of the environment (NAME=VALUE, names of hoistd's own), an
 * empty one; what is left is the file. What is refused says why, in one line. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/hoistd/settings.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 32 };

static char path[] = "/dev/shm/hoist-fuzz-XXXXXX";

static void end(void)
{
    unlink(path);
}

static int file_open(void)
{
    static int fd = -1;
    if (fd < 0) {
        fd = mkstemp(path);
        assert(fd >= 0);
        atexit(end);
    }
    return fd;
}

static void write_file(struct slice text)
{
    int fd = file_open();
    int rc = ftruncate(fd, 0);
    assert(rc == 0);
    ssize_t n = pwrite(fd, text.ptr, text.len, 0);
    assert(n == (ssize_t)text.len);
}

/* The words up to an empty one, taken off the front of *rest. */
static int take_words(struct slice *rest, char *words[WORDS_MAX])
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

static bool is_ours(const char *variable)
{
    return strncmp(variable, "HOIST_", 6) == 0 && strchr(variable, '=');
}

static void set_all(char *const *words, int count, bool on)
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

static void read_settings(enum role role, char **words, int count)
{
    char *argv[WORDS_MAX + 2] = {"--config", path};
    struct settings s;
    memcpy(argv + 2, words, (size_t)count * sizeof *words);
    enum hoist_err err = settings_read(role, count + 2, argv, &s);
    if (err == HOIST_OK)
        settings_done(&s);
    else
        assert(*err_last());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX], *variables[WORDS_MAX];
    if (size == 0)
        return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    int count = take_words(&rest, words), more = take_words(&rest, variables);
    write_file(rest);
    set_all(variables, more, true);
    read_settings(data[0] % ROLE_COUNT, words, count);
    set_all(variables, more, false);
    while (count > 0)
        mem_free(words[--count]);
    while (more > 0)
        mem_free(variables[--more]);
    return 0;
}
