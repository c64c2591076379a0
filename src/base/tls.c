#include "base/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const char certificate_word[] = "-----BEGIN CERTIFICATE-----";
static const char key_word[] = "PRIVATE KEY-----"; /* RSA, EC or any */

struct wanted {
    const char *option, *path, *word, *what;
    bool secret;
};

static enum hoist_err file_err(const struct wanted *w)
{
    return err_set(HOIST_EINVAL, "%s: cannot read %s: %s", w->option, w->path, strerror(errno));
}

static enum hoist_err check_file(const struct wanted *w, int fd, size_t *ret_len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_err(w);
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
        return err_set(HOIST_EINVAL, "%s: %s is no file of at most %d bytes", w->option, w->path,
                       FILE_BYTES_MAX);
    if (w->secret && (st.st_mode & 077))
        return err_set(HOIST_EINVAL, "%s: %s can be read by others than its owner: chmod 600 %s",
                       w->option, w->path, w->path);
    *ret_len = (size_t)st.st_size;
    return HOIST_OK;
}

static enum hoist_err read_text(const struct wanted *w, int fd, char *text, size_t len)
{
    size_t have = 0;
    ssize_t n = 1;
    while (have < len && (n = read(fd, text + have, len - have)) > 0)
        have += (size_t)n;
    if (n < 0)
        return file_err(w);
    text[have] = '\0';
    if (strlen(text) != have || !strstr(text, w->word))
        return err_set(HOIST_EINVAL, "%s: %s holds no %s in PEM: a line '%s%s' is looked for",
                       w->option, w->path, w->what, w->secret ? "-----BEGIN … " : "", w->word);
    return HOIST_OK;
}

static void wipe(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    mem_free(text);
}

static enum hoist_err read_file(const struct wanted *w, char **ret)
{
    size_t len = 0;
    char *text = NULL;
    int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return file_err(w);
    enum hoist_err err = check_file(w, fd, &len);
    if (!err && !(text = mem_zalloc(1, len + 1)))
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (!err)
        err = read_text(w, fd, text, len);
    close(fd);
    if (err)
        wipe(text);
    else
        *ret = text;
    return err;
}

enum hoist_err tls_ca_read(const char *option, const char *path, char **ret)
{
    struct wanted ca = {option, path, certificate_word, "certificate", false};
    return read_file(&ca, ret);
}

enum hoist_err tls_key_read(const char *option, const char *path, char **ret)
{
    struct wanted key = {option, path, key_word, "secret key", true};
    return read_file(&key, ret);
}

enum hoist_err tls_files_read(const char *cert_path, const char *key_path, const char *ca_path,
                              struct tls_files *ret)
{
    struct tls_files f = {0};
    if (!cert_path && !key_path && !ca_path) {
        *ret = f;
        return HOIST_OK;
    }
    if (!cert_path || !key_path || !ca_path)
        return err_set(HOIST_EINVAL,
                       "--tls-cert, --tls-key and --tls-ca belong together: %s is missing",
                       !cert_path  ? "--tls-cert"
                       : !key_path ? "--tls-key"
                                   : "--tls-ca");
    struct wanted cert = {"--tls-cert", cert_path, certificate_word, "certificate", false};
    enum hoist_err err = read_file(&cert, &f.cert);
    if (!err)
        err = tls_key_read("--tls-key", key_path, &f.key);
    if (!err)
        err = tls_ca_read("--tls-ca", ca_path, &f.ca);
    if (err)
        tls_files_done(&f);
    else
        *ret = f;
    return err;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool tls_files_same(const struct tls_files *a, const struct tls_files *b)
{
    return same(a->cert, b->cert) && same(a->key, b->key) && same(a->ca, b->ca);
}

void tls_files_done(struct tls_files *f)
{
    wipe(f->cert); /* it may be the key's file, too */
    wipe(f->key);
    wipe(f->ca);
    *f = (struct tls_files){0};
}
