#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

extern char **environ;

enum { LOOK_MS = 10 };

/* ------------------------------------------------------------------ signals */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

enum { SIGNALS = sizeof signals / sizeof *signals };

static volatile pid_t group; /* of what runs now; 0: nothing does */

static void on_signal(int number)
{
    if (group)
        kill(-group, SIGKILL);
    raise(number); /* its handler was for once: now it ends this program */
}

/* What is ignored, as under nohup, stays so. */
static void take_signals(struct sigaction before[SIGNALS])
{
    const struct sigaction ours = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &ours, NULL);
    }
}

static void give_signals_back(const struct sigaction before[SIGNALS])
{
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

/* ------------------------------------------------------------------ start */

static pid_t spawn(char *const *argv, int out, const sigset_t *mask)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attr, mask);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    int rc = posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    errno = rc;
    return rc ? -1 : pid;
}

/* No signal comes between its start and the moment that its group is known. */
static pid_t start(char *const *argv, int out)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = spawn(argv, out, &before);
    int why = errno;
    group = pid > 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

/* ------------------------------------------------------------------ wait */

/* All that it prints, until it ends or `until_ms`. False: it took too long. */
static bool drain(int fd, int64_t until_ms, struct hash_sha256 *h, struct ran *r)
{
    char piece[4096];
    size_t kept = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until_ms - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, left < INT32_MAX ? (int)left : INT32_MAX) == 0)
            return false;
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        hash_sha256_add(h, piece, (size_t)n);
        if (kept < sizeof r->head - 1) {
            size_t take =
                (size_t)n < sizeof r->head - 1 - kept ? (size_t)n : sizeof r->head - 1 - kept;
            memcpy(r->head + kept, piece, take);
            kept += take;
        }
    }
}

/* It may have closed its output long before. Its place is kept, so that its group is no other's yet. */
static bool ends_by(pid_t pid, int64_t until_ms)
{
    siginfo_t info = {0};
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && !info.si_pid) {
        if (clock_mono_ms() >= until_ms)
            return false;
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}

void program_run(char *const *argv, int64_t timeout_ms, struct ran *ret)
{
    struct sigaction before[SIGNALS];
    struct hash_sha256 h;
    int ends[2], status = 0;
    int64_t began_ms = clock_mono_ms();
    *ret = (struct ran){.exit = -1};
    hash_sha256_begin(&h);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    take_signals(before);
    pid_t pid = start(argv, ends[1]);
    close(ends[1]);
    if (pid < 0)
        snprintf(ret->head, sizeof ret->head, "%s: %s", argv[0], strerror(errno));
    bool ended = pid > 0 && drain(ends[0], began_ms + timeout_ms, &h, ret) &&
                 ends_by(pid, began_ms + timeout_ms);
    close(ends[0]);
    if (pid > 0 && !ended && !ret->head[0])
        snprintf(ret->head, sizeof ret->head, "it took longer than %.1f s",
                 (double)timeout_ms / 1000);
    if (pid > 0) {
        kill(-pid, SIGKILL);
        group = 0;
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && ended)
        ret->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    give_signals_back(before);
    ret->ms = clock_mono_ms() - began_ms;
    hash_sha256_end(&h, ret->output);
}
