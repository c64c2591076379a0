/* release check, github_limits: what GitHub grants, asked of GET /rate_limit, which costs nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "base/textfile.h"
#include "github_limits.h"
#include "http/fetch.h"

enum { TOKEN_MAX = 4096, URL_MAX = 2048, ANSWER_MAX = 256 << 10, STATUS_OK = 200 };

/* What GitHub grants a user's token. The client paces itself by what is left of the first, and each page
 * of a search is one of the second. */
static const struct {
    const char *resource;
    uint64_t least;
    const char *per;
} expected[] = {{"core", 5000, "hour"}, {"search", 30, "minute"}};

const char *github_limits_url(const struct call *c)
{
    const char *url = options_get(c->options, "github");
    return url ? url : "https://api.github.com";
}

/* Whether what is sent there can be read by nobody in between. */
static bool is_private(const char *url)
{
    char address[URL_MAX + 8];
    if (strncmp(url, "http://", 7) != 0)
        return true;
    int len = (int)strcspn(url + 7, "/?#");
    const char *port = memrchr(url + 7, ':', (size_t)len);
    bool has_port = port && !memchr(port, ']', (size_t)(url + 7 + len - port));
    snprintf(address, sizeof address, "%.*s%s", len, url + 7, has_port ? "" : ":80");
    return !memchr(url + 7, '@', (size_t)len) && address_is_loopback(address);
}

/* The first line of the file, NULL without one. False: it cannot be read, and `said` has why. */
static bool read_token(struct call *c, struct buf *said, char **ret)
{
    const char *path = options_get(c->options, "github-token-file");
    *ret = NULL;
    if (!path)
        return true;
    if (textfile_read(path, TOKEN_MAX, true, ret) != HOIST_OK) {
        buf_printf(said, "--github-token-file: %s\n", err_last());
        return false;
    }
    (*ret)[strcspn(*ret, "\r\n")] = '\0';
    return true;
}

static bool judge(const json_t *answer, struct buf *said)
{
    bool hold = true;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const json_t *of =
            json_object_get(json_object_get(answer, "resources"), expected[i].resource);
        const json_t *limit = json_object_get(of, "limit");
        bool enough = json_is_integer(limit) && json_integer_value(limit) >= 0 &&
                      (uint64_t)json_integer_value(limit) >= expected[i].least;
        if (json_is_integer(limit))
            buf_printf(said, "%s: %" JSON_INTEGER_FORMAT " per %s, of which %" PRIu64 " are left",
                       expected[i].resource, json_integer_value(limit), expected[i].per,
                       number_of(of, "remaining"));
        else
            buf_printf(said, "%s: the answer has no limit", expected[i].resource);
        if (!enough)
            buf_printf(said, "; the client expects %" PRIu64, expected[i].least);
        buf_add_slice(said, SLICE("\n"));
        hold = hold && enough;
    }
    return hold;
}

static bool ask_github(struct call *c, const char *token, struct buf *said)
{
    static const char *const headers[] = {"User-Agent: hoist",
                                          "Accept: application/vnd.github+json"};
    struct buf url = BUF_INIT(URL_MAX), answer = BUF_INIT(ANSWER_MAX);
    const char *base = github_limits_url(c);
    size_t len = strlen(base);
    long status = 0;
    bool hold = false;
    while (len > 0 && base[len - 1] == '/')
        len--;
    buf_printf(&url, "%.*s/rate_limit", (int)len, base);
    struct fetch f = {.url = buf_str(&url),
                      .token = token,
                      .headers = headers,
                      .header_count = sizeof headers / sizeof *headers,
                      .timeout_ms = c->timeout_ms};
    json_t *json = NULL;
    if (buf_err(&url) != HOIST_OK || fetch_get(&f, &status, &answer) != HOIST_OK)
        buf_printf(said, "GitHub: %s\n", err_last());
    else if (status != STATUS_OK)
        buf_printf(said, "GitHub answers with HTTP status %ld; is the token still good?\n", status);
    else if (!(json = json_loadb((const char *)answer.ptr, answer.len, 0, NULL)))
        buf_printf(said, "GitHub: the answer is no JSON; --github names its API\n");
    else
        hold = judge(json, said);
    json_decref(json);
    buf_done(&url);
    buf_done(&answer);
    return hold;
}

bool github_limits_hold(struct call *c, struct buf *said)
{
    char *token;
    if (!options_on(c->options, "insecure") && !is_private(github_limits_url(c))) {
        buf_printf(said,
                   "--github %s: plain http leaves this machine; give https://, or --insecure\n",
                   github_limits_url(c));
        return false;
    }
    if (!read_token(c, said, &token))
        return false;
    bool hold = ask_github(c, token, said);
    textfile_wipe(token);
    return hold;
}
