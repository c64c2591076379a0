#include "base/columns.h"

#include <locale.h>
#include <pthread.h>
#include <wchar.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t utf8; /* 0: this system has none, and every letter counts as one column */

static void find_locale(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

struct letter {
    struct slice bytes;
    size_t columns;
};

/* Joiners, marks of direction and their like: invisible, and not to be trusted beside other text. */
static bool is_invisible(wchar_t c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xad || c == 0xfeff;
}

/* How many bytes the letter at the front of `s` has, and which it is; 0: it is none. */
static size_t decode(struct slice s, wchar_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = s.ptr[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len == 0 || len > s.len)
        return 0;
    uint32_t c = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s.ptr[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = (wchar_t)c;
    return len;
}

/* The letter at the front of `s` as it is to be shown; *ret_used: the bytes that it stands for. */
static struct letter next(struct slice s, size_t *ret_used)
{
    wchar_t c;
    size_t len = decode(s, &c);
    int width = len == 0 ? -1 : utf8 || c < 0x80 ? wcwidth(c) : 1;
    *ret_used = len ? len : 1;
    if (width < 0 || is_invisible(c))
        return (struct letter){SLICE("?"), 1};
    return (struct letter){slice_of(s.ptr, len), (size_t)width};
}

static struct slice behind(struct slice s, size_t used)
{
    return slice_of(s.ptr + used, s.len - used);
}

/* Whether `s` fits, and if so is shown whole. */
static bool fits(struct slice s, size_t columns)
{
    size_t used, all = 0;
    for (; s.len && all <= columns; s = behind(s, used))
        all += next(s, &used).columns;
    return all <= columns;
}

size_t columns_add(struct buf *out, struct slice text, size_t columns)
{
    size_t used, taken = 0;
    pthread_once(&once, find_locale);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    bool cut = !fits(text, columns);
    size_t room = cut && columns > 0 ? columns - 1 : columns;
    for (; text.len && columns > 0; text = behind(text, used)) {
        struct letter l = next(text, &used);
        if (taken + l.columns > room)
            break;
        buf_add_slice(out, l.bytes);
        taken += l.columns;
    }
    if (cut && columns > 0) {
        buf_add_str(out, "…");
        taken++;
    }
    if (before)
        uselocale(before);
    return taken;
}
