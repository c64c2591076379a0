#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "flag/json.h"

extern char **environ;

bool bench_wants(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(double *v, size_t n, double part)
{
    qsort(v, n, sizeof *v, by_size);
    size_t at = (size_t)((double)n * part);
    return v[at < n ? at : n - 1];
}

double bench_median(double *v, size_t n)
{
    return bench_quantile(v, n, 0.5);
}

void bench_print(const char *name, const char *params, double value, const char *unit,
                 const char *peer, double ratio)
{
    printf("{\"name\":\"%s\",\"params\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",", name, params,
           value, unit);
    if (peer)
        printf("\"peer\":\"%s\",\"ratio\":%.3g}\n", peer, ratio);
    else
        printf("\"peer\":null,\"ratio\":null}\n");
    fflush(stdout);
}

void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, err_last());
    exit(1);
}

char *bench_directory(const char *base)
{
    char *dir = NULL;
    if (asprintf(&dir, "%s/hoist-bench.XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(dir))
        bench_die("no directory for the stores");
    return dir;
}

void bench_remove(const char *dir)
{
    char *argv[] = {"rm", "-rf", "--", (char *)dir, NULL};
    int pid = bench_spawn(argv);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

int bench_port(void)
{
    for (int port = 21000 + getpid() % 4000 * 2; port < 32000; port += 2) {
        int taken = 0;
        for (int i = 0; i < 2; i++) {
            struct sockaddr_in at = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)(port + i)),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            taken |= bind(fd, (struct sockaddr *)&at, sizeof at) != 0;
            close(fd);
        }
        if (!taken)
            return port;
    }
    bench_die("no free port");
}

int bench_spawn(char *const argv[])
{
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int rc = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0 ? pid : -1;
}

void bench_end(int pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

long bench_proc_kib(int pid, const char *field)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtol(line + strlen(field), NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

void bench_import_body(struct buf *out, const char *env, int count)
{
    struct buf file = BUF_INIT(out->max);
    struct json_writer w = JSON_WRITER(out, 0);
    buf_add_str(&file, "{\"flags\":{");
    for (int i = 0; i < count; i++)
        buf_printf(&file,
                   "%s\"" BENCH_KEY "\":{\"state\":\"ENABLED\",\"variants\":{\"on\":true,"
                   "\"off\":false},\"defaultVariant\":\"off\"}",
                   i ? "," : "", i);
    buf_add_str(&file, "}}");
    json_object_begin(&w);
    json_key(&w, "env");
    json_put_str(&w, env);
    json_key(&w, "force");
    json_put_bool(&w, true);
    json_key(&w, "file");
    json_put_slice(&w, buf_slice(&file));
    json_object_end(&w);
    if (buf_err(&file) != HOIST_OK || buf_err(out) != HOIST_OK)
        bench_die("a file of flags");
    buf_done(&file);
}
