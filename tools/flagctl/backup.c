/* backup: a store in one file, and whether such a file is whole. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "fsck.h"
#include "guard.h"

struct backup {
    struct fsck fsck; /* first: fsck_take() gets the whole */
    int fd;
    bool force;
    json_t *info; /* once it is written */
};

static json_t *info_json(const struct store_backup_info *info)
{
    char time[TEXT_TIME_SIZE], id[2 * sizeof info->store_id + 1];
    text_time(time, info->time_ms);
    text_hex(id, slice_of(info->store_id, sizeof info->store_id));
    return json_pack("{ss ss sI sI}", "time", time, "store_id", id, "rows", (json_int_t)info->rows,
                     "bytes", (json_int_t)info->bytes);
}

static void show_info(const struct call *c, const char *path, json_t *info, const char *verdict)
{
    json_object_set_new(info, "file", json_string(path));
    char *text = c->json ? value_text(info, false) : NULL;
    if (text)
        puts(text);
    else
        printf("%s%s: %s, of %s, %" PRIu64 " rows, %" PRIu64 " bytes%s\n", look(c, LOOK_GOOD), path,
               verdict, text_of(info, "time"), number_of(info, "rows"), number_of(info, "bytes"),
               look(c, LOOK_PLAIN));
    mem_free(text);
}

/* ------------------------------------------------------------------ in the child */

/* What is checked is what is written: one transaction sees both. */
static void work(void *arg, int out)
{
    const struct backup *b = arg;
    struct store *s = NULL;
    struct store_read *r;
    struct store_backup_info info;
    uint64_t faults = 0;
    enum hoist_err err = store_open_reader(b->fsck.dir, 0, &s);
    if (err != HOIST_OK) {
        fsck_tell_error(out, err);
        _exit(EXIT_FAILURE);
    }
    if (!fsck_read(s, out, &r, &faults) || (faults > 0 && !b->force))
        _exit(EXIT_FAILURE);
    err = store_backup_write(r, b->fd, &info);
    if (err == HOIST_OK)
        guard_tell(out, json_pack("{so}", "written", info_json(&info)));
    else
        fsck_tell_error(out, err);
    store_read_end(r);
    store_close(s);
}

static void take(void *arg, const json_t *line)
{
    struct backup *b = arg;
    json_t *written = json_object_get(line, "written");
    if (written)
        b->info = json_incref(written);
    else
        fsck_take(&b->fsck, line);
}

/* ------------------------------------------------------------------ the file */

static enum hoist_err io(const char *what, const char *path)
{
    return err_set(errno == ENOSPC ? HOIST_ENOSPC : HOIST_EIO, "cannot %s %s: %s", what, path,
                   strerror(errno));
}

/* Beside the final name, so that a rename puts it there whole. 0600: mkostemp's mode. */
static enum hoist_err make_part(const char *path, struct buf *part, int *ret_fd)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(HOIST_EINVAL, "%s is no plain file; name one to write", path);
    buf_printf(part, "%s.XXXXXX", path);
    enum hoist_err err = buf_err(part);
    if (err != HOIST_OK)
        return err;
    buf_str(part);
    int fd = mkostemp((char *)part->ptr, O_CLOEXEC);
    if (fd < 0)
        return err_set(HOIST_EINVAL, "cannot write beside %s: %s", path, strerror(errno));
    *ret_fd = fd;
    return HOIST_OK;
}

static enum hoist_err sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_dup(slice_of((const uint8_t *)path, (size_t)(slash - path) + 1)) : NULL;
    int fd = open(dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum hoist_err err = HOIST_OK;
    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        err = io("sync the directory of", path);
    if (fd >= 0)
        close(fd);
    mem_free(dir);
    return err;
}

static enum hoist_err put_in_place(const char *part, const char *path)
{
    if (rename(part, path) != 0)
        return io("rename to", path);
    return sync_dir(path);
}

/* ------------------------------------------------------------------ the command */

static int settle(struct call *c, struct backup *b, int signal, const char *part, const char *path)
{
    int exit;
    if (!b->info && fsck_failed(c, &b->fsck, signal, &exit))
        return exit;
    uint64_t faults = fsck_settle(&b->fsck, signal);
    if (faults > 0 && !c->json)
        fsck_show_faults(c, &b->fsck, faults);
    if (!b->info)
        return show_failure(c, EXIT_NO, "faults",
                            signal ? "flagctl fsck; the store of another host may be whole"
                                   : "flagctl fsck says which; --force writes it all the same",
                            "the store in %s has %" PRIu64 " faults; there is no backup of it",
                            b->fsck.dir, faults);
    if (put_in_place(part, path) != HOIST_OK)
        return show_failure(c, EXIT_NO, "failed", NULL, "%s", err_last());
    json_object_set_new(b->info, "faults", json_integer((json_int_t)faults));
    show_info(c, path, b->info, "written");
    return EXIT_DONE;
}

static int make(struct call *c, const char *path)
{
    struct backup b = {.fd = -1, .force = options_on(c->options, "force")};
    struct buf part = BUF_INIT(8192);
    int exit;
    fsck_begin(&b.fsck, fsck_store_dir(c));
    enum hoist_err err = make_part(path, &part, &b.fd);
    if (err == HOIST_OK) {
        int signal = guard_run(work, take, &b);
        exit = settle(c, &b, signal, buf_str(&part), path);
        if (exit != EXIT_DONE)
            unlink(buf_str(&part));
    } else {
        exit = show_failure(c, EXIT_INPUT, "input", NULL, "%s", err_last());
    }
    if (b.fd >= 0)
        close(b.fd);
    json_decref(b.info);
    fsck_done(&b.fsck);
    buf_done(&part);
    return exit;
}

static int verify(struct call *c, const char *path)
{
    struct store_backup_info info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return show_failure(c, EXIT_INPUT, "input", NULL, "%s: %s", path, strerror(errno));
    enum hoist_err err = store_backup_check(fd, &info);
    close(fd);
    if (err != HOIST_OK)
        return show_failure(c, err == HOIST_EINVAL ? EXIT_INPUT : EXIT_NO,
                            err == HOIST_EINVAL ? "input" : "damaged", NULL, "%s: %s", path,
                            err_last());
    json_t *shown = info_json(&info);
    show_info(c, path, shown, "whole");
    json_decref(shown);
    return EXIT_DONE;
}

int run_backup(struct call *c)
{
    if (c->word_count == 2 && strcmp(c->words[0], "verify") == 0)
        return verify(c, c->words[1]);
    if (c->word_count == 1)
        return make(c, c->words[0]);
    return show_failure(c, EXIT_INPUT, "input", NULL, "usage: flagctl backup %s", c->sub->usage);
}
