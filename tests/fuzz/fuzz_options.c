/* Any bytes as what hoistd is started with. The first byte says which role; then, each ended by a NUL
 * byte: arguments, an empty one, variables of the environment (NAME=VALUE, names of hoistd's own), an
 * empty one; what is left is the file. What is refused says why, in one line. */
#include <stdio.h>

#include "../../tools/hoistd/settings.h"
#include "typed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    fill_file(file_open(), rest);
    set_all(variables, more, true);
    read_settings(data[0] % ROLE_COUNT, words, count);
    set_all(variables, more, false);
    free_words(words, count);
    free_words(variables, more);
    return 0;
}
