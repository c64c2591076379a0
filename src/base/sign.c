#include "base/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/textfile.h"

static const char secret_word[] = "hoist-sign-1", public_word[] = "hoist-trust-1";

enum { LINE_SIZE = 512, HEX_SIZE = 2 * SIGN_PUBLIC_SIZE };

/* ------------------------------------------------------------------ files */

static enum hoist_err file_err(const char *path, const char *doing)
{
    int number = errno;
    enum hoist_err err = number == ENOENT                      ? HOIST_ENOTFOUND
                         : number == EACCES || number == EPERM ? HOIST_EACCES
                         : number == ENOSPC                    ? HOIST_ENOSPC
                                                               : HOIST_EIO;
    return err_set(err, "cannot %s %s: %s", doing, path, strerror(number));
}

/* The 32 bytes behind `word` in a line. */
static bool read_line(const char *line, const char *word, uint8_t ret[SIGN_PUBLIC_SIZE])
{
    size_t len = strlen(word);
    if (strncmp(line, word, len) != 0 || line[len] != ' ')
        return false;
    const char *hex = line + len + 1;
    return strspn(hex, "0123456789abcdefABCDEF") == HEX_SIZE &&
           text_unhex(slice_of(hex, HEX_SIZE), ret, SIGN_PUBLIC_SIZE) == HOIST_OK;
}

static enum hoist_err write_line(const char *path, const char *word,
                                 const uint8_t bytes[SIGN_PUBLIC_SIZE], mode_t mode, bool replace)
{
    char line[LINE_SIZE], hex[HEX_SIZE + 1];
    text_hex(hex, slice_of(bytes, SIGN_PUBLIC_SIZE));
    int len = snprintf(line, sizeof line, "%s %s\n", word, hex);
    enum hoist_err err = textfile_write(path, slice_of(line, (size_t)len), mode, replace);
    sodium_memzero(line, sizeof line);
    sodium_memzero(hex, sizeof hex);
    return err;
}

/* ------------------------------------------------------------------ secret keys */

void sign_key_from_seed(const uint8_t seed[SIGN_PUBLIC_SIZE], struct sign_key *ret)
{
    crypto_sign_seed_keypair(ret->public, ret->secret, seed);
}

static enum hoist_err read_key(const char *path, struct sign_key *ret)
{
    char line[LINE_SIZE] = "";
    uint8_t seed[SIGN_PUBLIC_SIZE];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_err(path, "read");
    enum hoist_err err = HOIST_OK;
    if (fstat(fd, &st) != 0 || read(fd, line, sizeof line - 1) < 0)
        err = file_err(path, "read");
    else if (st.st_mode & 077)
        err = err_set(HOIST_EACCES, "%s can be read by others than its owner: chmod 600 %s", path,
                      path);
    else if (!read_line(line, secret_word, seed))
        err = err_set(HOIST_EINVAL, "%s is no secret key: it takes a line '%s' and 64 hex digits",
                      path, secret_word);
    else
        sign_key_from_seed(seed, ret);
    close(fd);
    sodium_memzero(line, sizeof line);
    sodium_memzero(seed, sizeof seed);
    return err;
}

void sign_key_random(struct sign_key *ret)
{
    crypto_sign_keypair(ret->public, ret->secret);
}

static enum hoist_err make_key(const char *path, const char *trust_path, struct sign_key *ret)
{
    uint8_t seed[SIGN_PUBLIC_SIZE];
    randombytes_buf(seed, sizeof seed);
    sign_key_from_seed(seed, ret);
    enum hoist_err err = write_line(trust_path, public_word, ret->public, 0644, true);
    if (!err)
        err = write_line(path, secret_word, seed, 0600, false);
    sodium_memzero(seed, sizeof seed);
    return err;
}

enum hoist_err sign_key_make(const char *path, struct sign_key *ret)
{
    uint8_t seed[SIGN_PUBLIC_SIZE];
    randombytes_buf(seed, sizeof seed);
    enum hoist_err err = write_line(path, secret_word, seed, 0600, false);
    if (!err)
        sign_key_from_seed(seed, ret);
    sodium_memzero(seed, sizeof seed);
    return err;
}

enum hoist_err sign_key_open(const char *path, bool make, const char *trust_path,
                             struct sign_key *ret)
{
    enum hoist_err err = read_key(path, ret);
    return err == HOIST_ENOTFOUND && make ? make_key(path, trust_path, ret) : err;
}

/* ------------------------------------------------------------------ trust */

enum hoist_err trust_read(const char *path, struct trust *ret)
{
    char line[LINE_SIZE];
    struct trust t = {0};
    enum hoist_err err = HOIST_OK;
    FILE *in = fopen(path, "re");
    if (!in)
        return file_err(path, "read");
    for (int number = 1; !err && fgets(line, sizeof line, in); number++) {
        size_t blank = strspn(line, " \t\r\n");
        if (line[blank] == '\0' || line[0] == '#')
            continue;
        if (t.count == TRUST_KEYS_MAX)
            err = err_set(HOIST_EINVAL, "%s has more than %d keys", path, TRUST_KEYS_MAX);
        else if (!read_line(line, public_word, t.keys[t.count++]))
            err = err_set(HOIST_EINVAL, "%s, line %d: it takes '%s' and 64 hex digits", path,
                          number, public_word);
    }
    if (!err && ferror(in))
        err = file_err(path, "read");
    fclose(in);
    if (!err && t.count == 0)
        err = err_set(HOIST_EINVAL, "%s has no key in it: it takes a line '%s' and 64 hex digits",
                      path, public_word);
    if (!err)
        *ret = t;
    return err;
}

enum hoist_err public_key_read(const char *text, uint8_t ret[SIGN_PUBLIC_SIZE])
{
    struct trust t;
    struct slice hex = slice_str(text);
    if (hex.len == HEX_SIZE && text_unhex(hex, ret, SIGN_PUBLIC_SIZE) == HOIST_OK)
        return HOIST_OK;
    enum hoist_err err = trust_read(text, &t);
    if (err == HOIST_OK && t.count != 1)
        err = err_set(HOIST_EINVAL, "%s has %u keys; one is meant", text, t.count);
    if (err == HOIST_OK)
        memcpy(ret, t.keys[0], SIGN_PUBLIC_SIZE);
    return err == HOIST_ENOMEM ? err : err == HOIST_OK ? HOIST_OK : HOIST_EINVAL;
}

/* ------------------------------------------------------------------ signing */

/* `what` and `bytes` in a row, to be freed. */
static uint8_t *join(const char *what, struct slice bytes, size_t *ret_len)
{
    size_t len = strlen(what);
    uint8_t *text = mem_alloc(len + bytes.len);
    if (!text)
        return NULL;
    memcpy(text, what, len);
    if (bytes.len)
        memcpy(text + len, bytes.ptr, bytes.len);
    *ret_len = len + bytes.len;
    return text;
}

enum hoist_err sign(const struct sign_key *key, const char *what, struct slice bytes,
                    uint8_t ret[SIGNATURE_SIZE])
{
    size_t len;
    uint8_t *text = join(what, bytes, &len);
    if (!text)
        return err_set(HOIST_ENOMEM, "out of memory");
    crypto_sign_detached(ret, NULL, text, len, key->secret);
    mem_free(text);
    return HOIST_OK;
}

bool trust_check(const struct trust *t, const char *what, struct slice bytes,
                 struct slice signature)
{
    size_t len;
    bool ok = false;
    uint8_t *text = signature.len == SIGNATURE_SIZE ? join(what, bytes, &len) : NULL;
    for (uint32_t i = 0; text && !ok && i < t->count; i++)
        ok = crypto_sign_verify_detached(signature.ptr, text, len, t->keys[i]) == 0;
    mem_free(text);
    return ok;
}
