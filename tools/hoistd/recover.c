#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/options.h"
#include "base/text.h"
#include "daemon.h"
#include "primary/succession.h"

const char recover_what[] = "make a primary's store from a backup";

static const struct option recover_options[] = {
    {.name = "store", .arg = "DIR", .help = "the directory to make: empty, or not there yet"},
    {.name = "sign-key",
     .arg = "FILE",
     .help = "the old primary's secret key (its store's sign.key): hosts\n"
             "that have --trust follow nothing else; no backup has it. A\n"
             "backup whose last changes it has not signed is refused"},
    {.name = "force",
     .help = "also when the store that was backed up had faults, or is not\n"
             "signed by the key"},
    {.name = "help", .help = "print this"},
    {0},
};

static void help(void)
{
    struct buf out = BUF_INIT(1 << 16);
    buf_printf(
        &out,
        "usage: hoistd recover FILE --store DIR\n\nhoistd recover - %s\n\n"
        "FILE is what flagctl backup wrote. Every environment begins a new epoch, so that "
        "hosts\nthat have more than the backup follow as well; what was changed since it was "
        "made is\nlost. A directory with a store in it is left as it is. Start it afterwards "
        "with:\nhoistd primary --store DIR\n\n",
        recover_what);
    options_help(recover_options, &out);
    buf_add_str(&out,
                "\nExit: 0 it is there, whole; 1 failed, and there is no store; 2 bad input.\n");
    fputs(buf_str(&out), stdout);
    buf_done(&out);
}

static int fail(enum hoist_err err)
{
    fprintf(stderr, "hoistd recover: %s\n", *err_last() ? err_last() : err_word(err));
    return err == HOIST_EINVAL || err == HOIST_EVERSION || err == HOIST_ECORRUPT
               ? EXIT_WRONG_OPTIONS
               : EXIT_FAILURE;
}

static int recover(const char *file, const char *dir, const char *key_file, bool force)
{
    struct sign_key key;
    struct store_backup_info info;
    char time[TEXT_TIME_SIZE];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err_set(HOIST_EINVAL, "cannot open %s: %s", file, strerror(errno)));
    hash_init();
    enum hoist_err err = HOIST_OK;
    if (key_file)
        err = sign_key_open(key_file, false, NULL, &key);
    if (err == HOIST_ENOTFOUND)
        err = err_set(HOIST_EINVAL, "there is no %s", key_file);
    if (err) /* an option that is wrong */
        err = err_prefix(HOIST_EINVAL, "--sign-key");
    if (!err)
        err = succession_recover(dir, fd, key_file ? &key : NULL, force, &info);
    close(fd);
    if (err)
        return fail(err);
    text_time(time, info.time_ms);
    printf("%s holds the backup of %s: %" PRIu64 " rows, each environment in a new epoch\n"
           "start it: hoistd primary --store %s%s%s\n",
           dir, time, info.rows, dir, key_file ? " --sign-key " : "", key_file ? key_file : "");
    if (!key_file)
        puts("no key signed that: hosts that have --trust take nothing of an environment until its "
             "next\nchange (flagctl env epoch --new --env NAME)");
    return EXIT_SUCCESS;
}

int recover_main(int argc, char **argv)
{
    struct options *o = NULL;
    const char *const *words;
    int code;
    enum hoist_err err = options_read(recover_options, argc, argv, NULL, NULL, &o);
    if (err) {
        code = fail(err);
    } else if (options_on(o, "help")) {
        help();
        code = EXIT_SUCCESS;
    } else if (options_words(o, &words) != 1 || !options_get(o, "store")) {
        code = fail(err_set(HOIST_EINVAL, "usage: hoistd recover FILE --store DIR"));
    } else {
        code = recover(words[0], options_get(o, "store"), options_get(o, "sign-key"),
                       options_on(o, "force"));
    }
    options_free(o);
    return code;
}
