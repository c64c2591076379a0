#include "flag/say.h"

#include <stdio.h>

#include "base/murmur.h"
#include "base/text.h"

/* ------------------------------------------------------------------ text from outside */

/* The bytes of `s` at `at` that are put together: a control character, or one of UTF-8. */
static size_t step_at(struct slice s, size_t at)
{
    uint8_t c = s.ptr[at];
    size_t len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return len <= s.len - at ? len : s.len - at;
}

/* Append to `out`, of `size` bytes, escaping what would act upon a terminal. Answers the bytes of
 * `s` that found room. */
static size_t put_safe(char *out, size_t size, struct slice s)
{
    size_t at = 0, len = strlen(out);
    while (at < s.len) {
        size_t step = step_at(s, at);
        uint8_t c = s.ptr[at];
        bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && step == 2 && s.ptr[at + 1] < 0xa0);
        bool wrong = !text_utf8(slice_of(s.ptr + at, step));
        if (len + (control ? 6 : wrong ? 1 : step) >= size)
            break;
        if (control)
            len +=
                (size_t)snprintf(out + len, size - len, "\\u%04x", step == 2 ? s.ptr[at + 1] : c);
        else if (wrong)
            out[len++] = '?';
        else
            for (size_t i = 0; i < step; i++)
                out[len++] = (char)s.ptr[at + i];
        out[len] = '\0';
        at += wrong ? 1 : step;
    }
    return at;
}

struct shown show(struct slice s)
{
    enum { DOTS = 4 }; /* an ellipsis and the NUL */
    struct shown out = {.text = ""};
    out.is_cut = put_safe(out.text, sizeof out.text - DOTS, s) < s.len;
    if (out.is_cut)
        snprintf(out.text + strlen(out.text), DOTS, "\xe2\x80\xa6");
    return out;
}

bool is_plain(struct slice s, const char *beside)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == 0 || !strchr(beside, c)))
            return false;
    }
    return s.len > 0;
}

struct shell_word shell_word(struct slice s)
{
    struct shell_word out = {""};
    if (is_plain(s, "._:/@%+=,-")) {
        put_safe(out.text, sizeof out.text, s);
        return out;
    }
    const size_t room = sizeof out.text - 1; /* for the closing quote */
    put_safe(out.text, room, SLICE("'"));
    for (size_t i = 0; i < s.len;) {
        size_t step = step_at(s, i);
        struct slice c = {s.ptr + i, step};
        put_safe(out.text, room, slice_eq(c, SLICE("'")) ? SLICE("'\\''") : c);
        i += step;
    }
    put_safe(out.text, sizeof out.text, SLICE("'"));
    return out;
}

/* ------------------------------------------------------------------ places */

/* All of `step` or nothing, so that a long path ends at a whole step. */
static size_t path_step(struct path *p, const char *step)
{
    size_t before = p->len, len = strlen(step);
    if (p->len + len < sizeof p->text) {
        memcpy(p->text + p->len, step, len + 1);
        p->len += len;
    }
    return before;
}

size_t path_key(struct path *p, struct slice key)
{
    enum { HASH = sizeof "#01234567" };
    struct shown name = show(key);
    char step[1 + sizeof name.text + HASH];
    snprintf(step, sizeof step, ".%s", name.text);
    if (name.is_cut)
        snprintf(step + strlen(step), HASH, "#%08x", murmur3_32(key, 0));
    return path_step(p, p->len ? step : step + 1);
}

size_t path_index(struct path *p, size_t index)
{
    char step[24];
    snprintf(step, sizeof step, "[%zu]", index);
    return path_step(p, step);
}

void path_back(struct path *p, size_t len)
{
    p->len = len;
    p->text[len] = '\0';
}

/* ------------------------------------------------------------------ mends */

bool is_one_of(struct slice s, const char *const *words)
{
    for (; *words; words++)
        if (slice_eq(s, slice_str(*words)))
            return true;
    return false;
}

const char *near_word(struct slice typed, const char *const *words)
{
    enum { TYPO = 2 };
    const char *best = NULL;
    int least = TYPO + 1;
    for (; *words; words++) {
        struct slice word = slice_str(*words);
        int distance = text_distance(typed, word, TYPO);
        /* Two edits make any word of two letters from any other: those say nothing. */
        if (distance < least && (size_t)distance * 2 < word.len) {
            best = *words;
            least = distance;
        }
    }
    return best;
}

struct variant_list list_variants(const struct flag *f)
{
    enum { LISTED = 12 };
    struct variant_list out = {""};
    for (uint32_t i = 0; i < f->variant_count; i++) {
        size_t len = strlen(out.text);
        if (i == LISTED) {
            snprintf(out.text + len, sizeof out.text - len, ", and %u more", f->variant_count - i);
            break;
        }
        char item[sizeof(struct shown) + 24];
        snprintf(item, sizeof item, "%s%s",
                 i ? ", " : "name one of: ", show(f->variants[i].name).text);
        if (len + strlen(item) + sizeof ", and 1024 more" > sizeof out.text) {
            snprintf(out.text + len, sizeof out.text - len, ", and %u more", f->variant_count - i);
            break;
        }
        memcpy(out.text + len, item, strlen(item) + 1);
    }
    return out;
}
