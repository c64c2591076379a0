/* main.c - hoistd: a role and its options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "certs.h"
#include "daemon.h"
#include "recover.h"

static void usage(FILE *to)
{
    fputs("hoistd keeps feature flags: on the primary, and on every host.\n\n", to);
    for (int i = 0; i < ROLE_COUNT; i++)
        fprintf(to, "  hoistd %-8s %s\n", roles[i].name, roles[i].what);
    fprintf(to, "  hoistd %-8s %s\n", "recover", recover_what);
    fprintf(to, "  hoistd %-8s %s\n", "certs", certs_what);
    fputs("\n  hoistd ROLE --help  the options of a role\n"
          "  hoistd --version    the version\n",
          to);
}

static void role_help(enum role role)
{
    struct buf out = BUF_INIT(1 << 16);
    buf_printf(&out, "hoistd %s - %s\n\n%s\n\n", roles[role].name, roles[role].what,
               roles[role].text);
    options_help(roles[role].options, &out);
    buf_add_str(
        &out,
        "\nSIGTERM ends it within two seconds. SIGHUP takes certificates, and the log's level and\n"
        "format, anew.\n"
        "Exit: 0 ended by a signal, 1 failed (the log says why), 2 an option is wrong.\n");
    fputs(buf_str(&out), stdout);
    buf_done(&out);
}

static int run(enum role role, int argc, char **argv)
{
    struct settings settings = {0};
    int code = EXIT_WRONG_OPTIONS;
    enum hoist_err err = settings_read(role, argc, argv, &settings);
    if (!err && options_on(settings.options, "help")) {
        role_help(role);
        code = EXIT_SUCCESS;
        goto out;
    }
    if (!err)
        err = settings_apply_log(&settings);
    if (err) {
        fprintf(stderr, "hoistd %s: %s\n", roles[role].name, err_last());
        goto out;
    }
    hash_init();
    daemon_block_signals();
    code = daemon_run(&settings, argc, argv);
out:
    settings_done(&settings);
    return code;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    int role = 0;
    if (strcmp(word, "recover") == 0)
        return recover_main(argc - 2, argv + 2);
    if (strcmp(word, "certs") == 0)
        return certs_main(argc - 2, argv + 2);
    while (role < ROLE_COUNT && strcmp(word, roles[role].name) != 0)
        role++;
    if (role == ROLE_COUNT) {
        bool help =
            strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
        if (strcmp(word, "--version") == 0) {
            puts("hoistd " HOIST_VERSION);
            return 0;
        }
        if (!help && *word)
            fprintf(stderr, "hoistd: there is no role '%s'\n\n", word);
        usage(help ? stdout : stderr);
        return help ? 0 : EXIT_WRONG_OPTIONS;
    }

    return run((enum role)role, argc - ROLE_WORDS, argv + ROLE_WORDS);
}
