#include "base/ca.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"

enum { FILE_PATH_MAX = 4096, PEM_MAX = 64 << 10, LINE_MAX_BYTES = 16 << 10 };

static const int64_t DAY_MS = 86400000, SKEW_MS = 300000; /* a host's clock may be behind */

static enum hoist_err path_of(const char *dir, const char *file, char ret[FILE_PATH_MAX])
{
    if (snprintf(ret, FILE_PATH_MAX, "%s/%s", dir, file) < FILE_PATH_MAX)
        return HOIST_OK;
    return err_set(HOIST_EINVAL, "%.80s…: the path is too long", dir);
}

/* ------------------------------------------------------------------ making it */

static enum hoist_err make_directory(const char *dir)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return HOIST_OK;
    return err_set(errno == EACCES ? HOIST_EACCES : HOIST_EINVAL, "cannot make %s: %s", dir,
                   strerror(errno));
}

/* The key goes first: with one half alone there is no CA, and nothing is ever written over. */
static enum hoist_err keep(const char *dir, const struct cert_pair *pair)
{
    char cert[FILE_PATH_MAX], key[FILE_PATH_MAX];
    enum hoist_err err = path_of(dir, "ca.crt", cert);
    if (!err)
        err = path_of(dir, "ca.key", key);
    if (!err)
        err = textfile_write(key, slice_str(pair->key), 0600, false);
    if (err)
        return err;
    err = textfile_write(cert, slice_str(pair->cert), 0644, false);
    if (err)
        unlink(key);
    return err;
}

enum hoist_err ca_init(const char *dir, const char *name, uint32_t days)
{
    struct cert_pair pair;
    int64_t now = clock_wall_ms();
    struct cert_order order = {
        .name = name, .from_ms = now - SKEW_MS, .until_ms = now + days * DAY_MS};
    enum hoist_err err = cert_make_ca(&order, &pair);
    if (err)
        return err;
    err = make_directory(dir);
    if (!err)
        err = keep(dir, &pair);
    cert_pair_done(&pair);
    return err;
}

/* ------------------------------------------------------------------ issuing */

static enum hoist_err open_ca(const char *dir, struct cert_pair *ret)
{
    char path[FILE_PATH_MAX];
    struct cert_pair ca = {0};
    enum hoist_err err = path_of(dir, "ca.crt", path);
    if (!err)
        err = textfile_read(path, PEM_MAX, false, &ca.cert);
    if (!err)
        err = path_of(dir, "ca.key", path);
    if (!err)
        err = textfile_read(path, PEM_MAX, true, &ca.key);
    if (err == HOIST_ENOTFOUND)
        err =
            err_set(HOIST_EINVAL, "there is no CA in %s; make one: hoistd certs init %s", dir, dir);
    if (err)
        cert_pair_done(&ca);
    else
        *ret = ca;
    return err;
}

static enum hoist_err choose_dates(const char *ca, const struct ca_wish *wish,
                                   struct cert_order *order)
{
    struct cert_info info;
    enum hoist_err err = cert_read(ca, &info);
    if (err)
        return err;
    int64_t now = clock_wall_ms(), last = info.until_ms;
    order->from_ms = now - SKEW_MS;
    order->until_ms = now + (wish->days ? wish->days : CA_CERT_DAYS) * DAY_MS;
    cert_info_done(&info);
    if (now >= last)
        return err_set(HOIST_EINVAL, "the CA has expired; make another: hoistd certs init");
    if (order->until_ms > last && wish->days)
        return err_set(HOIST_EINVAL, "--days %u is longer than the CA has left: %lld days",
                       wish->days, (long long)((last - now) / DAY_MS));
    if (order->until_ms > last)
        order->until_ms = last;
    return HOIST_OK;
}

static enum hoist_err append(const char *path, struct slice line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, line.ptr, line.len) == (ssize_t)line.len && fsync(fd) == 0;
    enum hoist_err err = ok ? HOIST_OK
                            : err_set(errno == ENOSPC ? HOIST_ENOSPC : HOIST_EIO,
                                      "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return err;
}

/* Before it is given to anybody. */
static enum hoist_err write_down(const char *dir, const char *cert)
{
    char path[FILE_PATH_MAX], now[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
    struct cert_info i;
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    enum hoist_err err = cert_read(cert, &i);
    if (err)
        return err;
    text_time(now, clock_wall_ms());
    text_time(until, i.until_ms);
    buf_printf(&line, "%s %s %s %s", now, i.serial, until, i.name);
    for (size_t n = 0; n < i.host_count; n++)
        buf_printf(&line, " %s", i.hosts[n]);
    buf_add_byte(&line, '\n');
    err = buf_err(&line);
    if (!err)
        err = path_of(dir, "issued", path);
    if (!err)
        err = append(path, buf_slice(&line));
    buf_done(&line);
    cert_info_done(&i);
    return err;
}

enum hoist_err ca_issue(const char *dir, const struct ca_wish *wish, struct cert_pair *ret,
                        char **ret_ca)
{
    struct cert_pair ca = {0}, pair = {0};
    struct cert_order order = {
        .name = wish->name, .hosts = wish->hosts, .host_count = wish->host_count};
    if (wish->host_count > CERT_HOSTS_MAX / 2) /* an address stands in it twice */
        return err_set(HOIST_EINVAL, "at most %d hosts", CERT_HOSTS_MAX / 2);
    enum hoist_err err = open_ca(dir, &ca);
    if (!err)
        err = choose_dates(ca.cert, wish, &order);
    if (!err)
        err = cert_make(&ca, &order, &pair);
    if (!err)
        err = write_down(dir, pair.cert);
    if (err) {
        cert_pair_done(&pair);
    } else {
        *ret = pair;
        *ret_ca = ca.cert;
        ca.cert = NULL;
    }
    cert_pair_done(&ca);
    return err;
}
