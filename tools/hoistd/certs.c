#include "certs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/ca.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/text.h"
#include "base/textfile.h"
#include "daemon.h"

const char certs_what[] = "make certificates for a fleet, and a file for each host to join by";

static const int64_t DAY_MS = 86400000;
enum { TRUST_WAIT_MS = 10000 };

/* ------------------------------------------------------------------ the tables */

/* clang-format off */
#define HELP {.name = "help", .help = "print this"}, {0}
#define DIR_OPTION {.name = "dir", .arg = "DIR", .help = "where the CA is: what certs init made"}
#define DAYS_OPTION \
    {.name = "days", .arg = "N", \
     .help = "how long the certificate is good; by default 365, or as\nlong as the CA is"}
#define UPSTREAM_OPTION \
    {.name = "upstream", .arg = "URL", .many = true, \
     .help = "whom the host follows or the person asks, as in\n" \
             "tls+tcp://10.0.0.1:7400"}
#define TRUST_OPTION \
    {.name = "trust", .arg = "FILE", \
     .help = "the public keys that may have signed changes, as in the\n" \
             "primary's trust.key; agents and relays want one. One that\n" \
             "is not there yet is waited for: 10 seconds"}

static const struct option init_options[] = {
    {.name = "name", .arg = "FLEET", .fallback = "hoist-ca", .help = "the CA's name"},
    {.name = "days", .arg = "N", .fallback = "3650", .help = "how long the CA is good"},
    HELP,
};

static const struct option issue_options[] = {
    DIR_OPTION,
    {.name = "host", .arg = "NAME|ADDRESS", .many = true,
     .help = "as what others connect to it: makes it a server's; for\n"
             "a primary, a relay, and who serves HTTPS"},
    UPSTREAM_OPTION,
    TRUST_OPTION,
    DAYS_OPTION,
    {.name = "o", .arg = "FILE", .help = "the file to make; by default NAME.bundle"},
    HELP,
};

static const struct option renew_options[] = {
    DIR_OPTION,
    UPSTREAM_OPTION,
    TRUST_OPTION,
    DAYS_OPTION,
    HELP,
};

static const struct option show_options[] = {HELP};
/* clang-format on */

struct verb {
    const char *name, *usage, *text;
    const struct option *options;
    int (*run)(const char *word, const struct options *o);
};

/* ------------------------------------------------------------------ what goes wrong */

static int fail(enum hoist_err err)
{
    fprintf(stderr, "hoistd certs: %s\n", *err_last() ? err_last() : err_word(err));
    return err == HOIST_EINVAL ? EXIT_WRONG_OPTIONS : EXIT_FAILURE;
}

static enum hoist_err read_days(const struct options *o, uint32_t *ret)
{
    const char *text = options_get(o, "days");
    uint64_t days = 0;
    if (text && (text_u64(text, &days) != HOIST_OK || days == 0 || days > CA_DAYS_MAX))
        return err_set(HOIST_EINVAL, "--days %s: a whole number from 1 to %d is meant", text,
                       CA_DAYS_MAX);
    *ret = (uint32_t)days;
    return HOIST_OK;
}

static enum hoist_err need_dir(const struct options *o, const char **ret)
{
    *ret = options_get(o, "dir");
    return *ret ? HOIST_OK
                : err_set(HOIST_EINVAL, "--dir is needed: where 'hoistd certs init' made the CA");
}

/* ------------------------------------------------------------------ init */

static int run_init(const char *dir, const struct options *o)
{
    const char *name = options_get(o, "name");
    uint32_t days;
    enum hoist_err err = read_days(o, &days);
    if (!err)
        err = ca_init(dir, name, days);
    if (err)
        return fail(err);
    printf("%s/ca.crt is the certificate of %s; keep %s/ca.key to yourself\n"
           "next, for a primary: hoistd certs issue primary --dir %s --host ADDRESS\n",
           dir, name, dir, dir);
    return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ issue and renew */

/* What the options say in place of what is there. */
static enum hoist_err take_upstreams(const struct options *o, struct bundle *b)
{
    const char *const *urls;
    size_t count = options_list(o, "upstream", &urls);
    if (count == 0)
        return HOIST_OK;
    if (count > BUNDLE_UPSTREAMS_MAX)
        return err_set(HOIST_EINVAL, "--upstream: at most %d", BUNDLE_UPSTREAMS_MAX);
    while (b->upstream_count)
        mem_free(b->upstreams[--b->upstream_count]);
    for (size_t i = 0; i < count; i++) {
        if (!(b->upstreams[i] = mem_dup_str(urls[i])))
            return err_set(HOIST_ENOMEM, "out of memory");
        b->upstream_count++;
    }
    return HOIST_OK;
}

/* A primary that is only being started makes the file in a moment. */
static enum hoist_err read_trust(const char *path, struct bundle *b)
{
    int64_t until_ms = clock_mono_ms() + TRUST_WAIT_MS;
    enum hoist_err err = trust_read(path, &b->trust);
    if (err == HOIST_ENOTFOUND)
        fprintf(stderr, "waiting for %s, which a primary makes as it starts\n", path);
    while (err == HOIST_ENOTFOUND && clock_mono_ms() < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        err = trust_read(path, &b->trust);
    }
    return err;
}

static enum hoist_err take_trust(const struct options *o, struct bundle *b)
{
    const char *path = options_get(o, "trust");
    enum hoist_err err = path ? read_trust(path, b) : HOIST_OK;
    if (err == HOIST_ENOTFOUND || err == HOIST_EACCES)
        err = HOIST_EINVAL; /* an option that is wrong */
    return err ? err_prefix(err, "--trust") : HOIST_OK;
}

/* The bundle with a new certificate, as `wish` says. */
static enum hoist_err take_certificate(const char *dir, const struct ca_wish *wish,
                                       struct bundle *b)
{
    struct cert_pair pair;
    char *ca;
    enum hoist_err err = ca_issue(dir, wish, &pair, &ca);
    if (err)
        return err;
    tls_files_done(&b->tls);
    b->tls = (struct tls_files){.cert = pair.cert, .key = pair.key, .ca = ca};
    return HOIST_OK;
}

/* What bundle_read() would not take is not written. */
static enum hoist_err save(const struct bundle *b, const char *path, bool replace)
{
    struct buf text = BUF_INIT(2 * BUNDLE_BYTES_MAX);
    struct bundle again = {0};
    bundle_write(b, &text);
    enum hoist_err err = buf_err(&text);
    if (!err)
        err = bundle_read(buf_slice(&text), &again);
    if (!err)
        err = bundle_save(b, path, replace);
    bundle_done(&again);
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    buf_done(&text);
    return err;
}

static enum hoist_err say_saved(const struct bundle *b, const char *path)
{
    struct cert_info i;
    char until[TEXT_TIME_SIZE];
    enum hoist_err err = cert_read(b->tls.cert, &i);
    if (err)
        return err;
    text_time(until, i.until_ms);
    printf("%s is the bundle of %s, good until %s; only %s may have it\n", path, i.name, until,
           i.name);
    if (b->upstream_count && b->trust.count == 0)
        printf("there is no trust key in it: agents and relays want --trust, with the primary's "
               "trust.key\n");
    cert_info_done(&i);
    return HOIST_OK;
}

/* Before a certificate is issued for it. */
static enum hoist_err check_free(const char *path)
{
    return access(path, F_OK) != 0
               ? HOIST_OK
               : err_set(HOIST_EINVAL,
                         "%s is there already: 'hoistd certs renew' puts a new certificate in it, "
                         "-o makes another file",
                         path);
}

/* What the options say and a new certificate go into *b, and that into file `path`. */
static enum hoist_err make_bundle(const struct options *o, const char *dir,
                                  const struct ca_wish *wish, const char *path, bool replace,
                                  struct bundle *b)
{
    enum hoist_err err = take_upstreams(o, b);
    if (!err)
        err = take_trust(o, b);
    if (!err)
        err = take_certificate(dir, wish, b);
    if (!err)
        err = save(b, path, replace);
    return err ? err : say_saved(b, path);
}

static int run_issue(const char *name, const struct options *o)
{
    struct bundle b = {0};
    struct ca_wish wish = {.name = name};
    char beside[CERT_NAME_MAX + sizeof ".bundle"];
    const char *dir, *path = options_get(o, "o") ? options_get(o, "o") : beside;
    wish.host_count = options_list(o, "host", &wish.hosts);
    snprintf(beside, sizeof beside, "%s.bundle", name);
    enum hoist_err err = need_dir(o, &dir);
    if (!err)
        err = check_free(path);
    if (!err)
        err = read_days(o, &wish.days);
    if (!err)
        err = make_bundle(o, dir, &wish, path, false, &b);
    bundle_done(&b);
    return err ? fail(err) : EXIT_SUCCESS;
}

static enum hoist_err open_bundle(const char *path, struct bundle *ret)
{
    enum hoist_err err = bundle_open(path, ret);
    return err == HOIST_ENOTFOUND || err == HOIST_EACCES ? HOIST_EINVAL : err;
}

/* The CA of --dir is the one that is left; another's hosts are not believed any more. */
static enum hoist_err say_taken_out(const char *old_ca, const char *ca)
{
    size_t count, kept;
    enum hoist_err err = cert_compare(old_ca, ca, &count, &kept);
    if (!err && count > kept)
        printf("%zu other CA%s taken out of it: append what is still to be believed\n",
               count - kept, count - kept == 1 ? " was" : "s were");
    return err;
}

static int run_renew(const char *path, const struct options *o)
{
    struct bundle b = {0};
    struct cert_info old = {0};
    struct ca_wish wish = {0};
    const char *dir;
    char *old_ca = NULL;
    enum hoist_err err = need_dir(o, &dir);
    if (!err)
        err = read_days(o, &wish.days);
    if (!err)
        err = open_bundle(path, &b);
    if (!err)
        err = cert_read(b.tls.cert, &old);
    if (!err && !(old_ca = mem_dup_str(b.tls.ca)))
        err = err_set(HOIST_ENOMEM, "out of memory");
    wish.name = old.name;
    wish.hosts = (const char *const *)old.hosts;
    wish.host_count = old.server ? old.host_count : 0;
    if (!err)
        err = make_bundle(o, dir, &wish, path, true, &b);
    if (!err)
        err = say_taken_out(old_ca, b.tls.ca);
    if (!err)
        puts("where it is in use: systemctl reload, or SIGHUP");
    mem_free(old_ca);
    cert_info_done(&old);
    bundle_done(&b);
    return err ? fail(err) : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ show */

static enum hoist_err show_certificate(const char *pem)
{
    struct cert_info i;
    char from[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
    enum hoist_err err = cert_read(pem, &i);
    if (err)
        return err;
    int64_t left = i.until_ms - clock_wall_ms();
    text_time(from, i.from_ms);
    text_time(until, i.until_ms);
    printf("name      %s\n", i.name);
    for (size_t n = 0; n < i.host_count; n++)
        printf("host      %s\n", i.hosts[n]);
    printf("use       %s\nissuer    %s\nserial    %s\nfrom      %s\nuntil     %s\n",
           i.server ? "server and client" : "client", i.issuer, i.serial, from, until);
    if (left > 0)
        printf("days left %" PRId64 "\n", left / DAY_MS);
    else
        printf("expired   %" PRId64 " days ago\n", -left / DAY_MS);
    cert_info_done(&i);
    return HOIST_OK;
}

static enum hoist_err show_bundle(const char *path)
{
    struct bundle b;
    char hex[2 * SIGN_PUBLIC_SIZE + 1];
    enum hoist_err err = open_bundle(path, &b);
    if (err)
        return err;
    err = show_certificate(b.tls.cert);
    for (size_t i = 0; i < b.upstream_count; i++)
        printf("upstream  %s\n", b.upstreams[i]);
    for (uint32_t i = 0; i < b.trust.count; i++) {
        text_hex(hex, slice_of(b.trust.keys[i], SIGN_PUBLIC_SIZE));
        printf("trust     %s\n", hex);
    }
    bundle_done(&b);
    return err;
}

static enum hoist_err show_pem(const char *path)
{
    char *text;
    enum hoist_err err = textfile_read(path, BUNDLE_BYTES_MAX, false, &text);
    if (err)
        return err == HOIST_ENOTFOUND || err == HOIST_EACCES ? HOIST_EINVAL : err;
    err = show_certificate(text);
    textfile_wipe(text);
    return err ? err_prefix(err, "%s", path) : HOIST_OK;
}

static bool is_bundle(const char *path)
{
    char head[sizeof "hoist-bundle-1"] = "";
    FILE *f = fopen(path, "re");
    bool is = f && fgets(head, sizeof head, f) && strcmp(head, "hoist-bundle-1") == 0;
    if (f)
        fclose(f);
    return is;
}

static int run_show(const char *path, const struct options *o)
{
    (void)o;
    enum hoist_err err = is_bundle(path) ? show_bundle(path) : show_pem(path);
    return err ? fail(err) : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ the verbs */

static const struct verb verbs[] = {
    {"init", "DIR",
     "Makes a CA in DIR, which should be on no host of the fleet: whoever has DIR/ca.key can\n"
     "make himself anybody.",
     init_options, run_init},
    {"issue", "NAME --dir DIR",
     "Makes a bundle for a host or a person: certificate, secret key, the CA's certificate, the\n"
     "keys that sign changes, and whom to follow, in one file that is its owner's alone. What\n"
     "was issued is written down in DIR/issued.",
     issue_options, run_issue},
    {"renew", "FILE --dir DIR",
     "Puts a new certificate and key in place of those in the bundle FILE, with the same names,\n"
     "and the CA of --dir in place of all that are there. Upstreams and trust keys stay, unless\n"
     "others are given.",
     renew_options, run_renew},
    {"show", "FILE", "Says what the certificate of a bundle, or in a PEM file, is good for.",
     show_options, run_show},
};

enum { VERB_COUNT = sizeof verbs / sizeof *verbs };

static void add_help(const struct verb *v, struct buf *out)
{
    buf_printf(out, "usage: hoistd certs %s %s\n\n%s\n\n", v->name, v->usage, v->text);
    options_help(v->options, out);
}

/* Of one verb, or of all. */
static int help(const struct verb *of)
{
    struct buf out = BUF_INIT(1 << 16);
    if (!of)
        buf_printf(
            &out,
            "usage: hoistd certs init|issue|renew|show …\n\nhoistd certs - %s\n\n"
            "The bundle is what hoistd primary, relay and agent, and flagctl, take as --join.\n",
            certs_what);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (of && of != &verbs[i])
            continue;
        buf_add_str(&out, of ? "" : "\n");
        add_help(&verbs[i], &out);
    }
    buf_add_str(&out, "\nExit: 0 done, 1 failed, 2 bad input.\n");
    fputs(buf_str(&out), stdout);
    buf_done(&out);
    return EXIT_SUCCESS;
}

static int run(const struct verb *v, int argc, char **argv)
{
    struct options *o = NULL;
    const char *const *words;
    int code;
    enum hoist_err err = options_read(v->options, argc, argv, NULL, NULL, &o);
    if (err)
        code = fail(err);
    else if (options_on(o, "help"))
        code = help(v);
    else if (options_words(o, &words) != 1)
        code = fail(err_set(HOIST_EINVAL, "usage: hoistd certs %s %s", v->name, v->usage));
    else
        code = v->run(words[0], o);
    options_free(o);
    return code;
}

int certs_main(int argc, char **argv)
{
    const char *word = argc > 0 ? argv[0] : "";
    hash_init();
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(word, verbs[i].name) == 0)
            return run(&verbs[i], argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help(NULL);
    return fail(err_set(HOIST_EINVAL, "%s%s%s: init, issue, renew or show is meant",
                        *word ? "there is no '" : "what to do", word, *word ? "'" : ""));
}
