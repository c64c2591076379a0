#include "usage/row.h"

#include "base/mem.h"
#include "usage/counts.h"
#include "wire/mp.h"

enum { ROW_MAJOR = 1, ROW_FIELDS = 2, VARIANT_FIELDS = 6, VARIANTS_FIRST = 4 };
enum { DAY_MAX = INT32_MAX };

/* ------------------------------------------------------------------ bytes */

static uint32_t days_written(const struct usage_variant *v)
{
    uint32_t days = USAGE_DAYS;
    while (days > 0 && v->counts[days - 1] == 0)
        days--;
    return days;
}

void usage_row_write(const struct usage_row *row, struct buf *out)
{
    mp_put_array(out, ROW_FIELDS);
    mp_put_u64(out, ROW_MAJOR);
    mp_put_array(out, row->count);
    for (uint32_t i = 0; i < row->count; i++) {
        const struct usage_variant *v = &row->variants[i];
        uint32_t days = days_written(v);
        mp_put_array(out, VARIANT_FIELDS);
        mp_put_str(out, v->name);
        mp_put_i64(out, v->first_s);
        mp_put_i64(out, v->last_s);
        mp_put_u64(out, v->total);
        mp_put_i64(out, v->day);
        mp_put_array(out, days);
        for (uint32_t k = 0; k < days; k++)
            mp_put_u64(out, v->counts[k]);
    }
}

static void skip_rest(struct mp_reader *r, uint32_t elements, uint32_t known)
{
    if (elements < known && !r->bad)
        mp_fail(r, "elements are missing");
    for (uint32_t i = known; i < elements && !r->bad; i++)
        mp_skip(r);
}

static void variant_read(struct mp_reader *r, struct usage_variant *v)
{
    uint32_t elements = mp_array(r, UINT32_MAX);
    v->name = mp_text(r, FLAG_KEY_MAX);
    v->first_s = mp_i64(r);
    v->last_s = mp_i64(r);
    v->total = mp_u64(r);
    v->day = mp_i64(r);
    if (v->day < 0 || v->day > DAY_MAX)
        mp_fail(r, "a day that is none");
    uint32_t days = mp_array(r, USAGE_DAYS);
    for (uint32_t k = 0; k < days && !r->bad; k++)
        v->counts[k] = mp_u64(r);
    skip_rest(r, elements, VARIANT_FIELDS);
}

enum hoist_err usage_row_read(struct slice in, struct usage_row *ret)
{
    struct mp_reader r = mp_reader(in);
    struct usage_row row = {0};
    uint32_t elements = mp_array(&r, UINT32_MAX), major = mp_u32(&r);
    if (!r.bad && major != ROW_MAJOR)
        return err_set(HOIST_EVERSION, "usage: it has version %u, this program reads version %d",
                       major, ROW_MAJOR);
    row.count = mp_array(&r, USAGE_VARIANTS_MAX);
    row.cap = row.count;
    if (!r.bad && row.count > 0 && !(row.variants = mem_zalloc(row.count, sizeof *row.variants)))
        return err_set(HOIST_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < row.count && !r.bad; i++)
        variant_read(&r, &row.variants[i]);
    skip_rest(&r, elements, ROW_FIELDS);
    mp_end(&r);
    enum hoist_err err = mp_err(&r, "usage");
    if (err == HOIST_OK)
        *ret = row;
    else
        usage_row_done(&row);
    return err;
}

void usage_row_done(struct usage_row *row)
{
    mem_free(row->variants);
    *row = (struct usage_row){0};
}

/* ------------------------------------------------------------------ counting */

static int64_t day_of(int64_t s)
{
    int64_t day = s / USAGE_DAY_S;
    return day < 0 ? 0 : day > DAY_MAX ? DAY_MAX : day;
}

static struct usage_variant *oldest(struct usage_row *row)
{
    struct usage_variant *found = &row->variants[0];
    for (uint32_t i = 1; i < row->count; i++)
        if (row->variants[i].last_s < found->last_s)
            found = &row->variants[i];
    return found;
}

/* NULL: out of memory. */
static struct usage_variant *variant_of(struct usage_row *row, struct slice name, int64_t now_s)
{
    struct usage_variant *v = NULL;
    for (uint32_t i = 0; i < row->count; i++)
        if (slice_eq(row->variants[i].name, name))
            return &row->variants[i];
    if (row->count == USAGE_VARIANTS_MAX) {
        v = oldest(row);
    } else {
        if (row->count == row->cap) {
            v = mem_grow(row->variants, &row->cap, VARIANTS_FIRST, sizeof *v);
            if (!v)
                return NULL;
            row->variants = v;
        }
        v = &row->variants[row->count++];
    }
    *v = (struct usage_variant){.name = name, .first_s = now_s, .day = day_of(now_s)};
    return v;
}

/* Where the count of `day` is, the ring moved on to it if that is a later one; -1: it is too old. */
static int place(struct usage_variant *v, int64_t day)
{
    int64_t later = day - v->day;
    if (later <= 0)
        return later > -USAGE_DAYS ? (int)-later : -1;
    for (int k = USAGE_DAYS - 1; k >= 0; k--)
        v->counts[k] = k >= later ? v->counts[k - later] : 0;
    v->day = day;
    return 0;
}

enum hoist_err usage_row_add(struct usage_row *row, struct slice variant, uint64_t n, int64_t now_s)
{
    struct usage_variant *v = variant_of(row, variant, now_s);
    if (!v)
        return err_set(HOIST_ENOMEM, "out of memory");
    int at = place(v, day_of(now_s));
    if (at >= 0)
        v->counts[at] = count_sum(v->counts[at], n);
    v->total = count_sum(v->total, n);
    v->last_s = now_s; /* also when the clock was set back: it is right now */
    if (v->first_s > now_s)
        v->first_s = now_s;
    return HOIST_OK;
}

uint64_t usage_variant_in(const struct usage_variant *v, int64_t now_s, int days)
{
    uint64_t sum = 0;
    int64_t today = day_of(now_s);
    for (int k = 0; k < USAGE_DAYS; k++)
        if (today - (v->day - k) < days)
            sum = count_sum(sum, v->counts[k]);
    return sum;
}
