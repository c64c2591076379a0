#include "guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "flag/json_read.h"

void guard_tell(int out, json_t *line)
{
    char *text = value_text(line, false);
    json_decref(line);
    if (text && dprintf(out, "%s\n", text) < 0)
        _exit(EXIT_FAILURE); /* nobody listens */
    mem_free(text);
}

static void take_lines(int in, void (*take)(void *arg, const json_t *line), void *arg)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t len;
    FILE *lines = fdopen(in, "r");
    while (lines && (len = getline(&text, &room, lines)) > 0) {
        json_t *line = NULL;
        if (json_read(slice_of(text, (size_t)len), &line) == HOIST_OK)
            take(arg, line);
        json_decref(line);
    }
    free(text);
    if (lines)
        fclose(lines);
    else
        close(in);
}

int guard_run(void (*work)(void *arg, int out), void (*take)(void *arg, const json_t *line),
              void *arg)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0) {
        (void)err_set(HOIST_EIO, "no pipe: %s", strerror(errno));
        return -1;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        (void)err_set(HOIST_EIO, "no child process: %s", strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 9);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* its end is an answer, not a bug */
        close(ends[0]);
        work(arg, ends[1]);
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    take_lines(ends[0], take, arg);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
