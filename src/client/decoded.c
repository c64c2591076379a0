#include "client/decoded.h"

#include "base/mem.h"
#include "eval/host.h"
#include "flag/json.h"
#include "usage/tally.h"

enum { JSON_MAX = 16 << 20 }; /* a record of 256 KiB cannot make more */

static _Atomic(struct decoded *) replaced;
static _Atomic size_t replaced_bytes;

static enum hoist_err objects_write(struct decoded *d)
{
    const struct flag *f = d->flag;
    d->json = BUF_INIT(JSON_MAX);
    for (uint32_t i = 0; i < f->variant_count; i++) {
        struct json_writer w = JSON_WRITER(&d->json, 0);
        size_t start = d->json.len;
        json_put_tree(&w, f->variants[i].value);
        d->texts[i].len = d->json.len - start;
        buf_add_byte(&d->json, '\0');
    }
    enum hoist_err err = buf_err(&d->json);
    if (err)
        return err;
    const uint8_t *at = d->json.ptr; /* which does not move any more */
    for (uint32_t i = 0; i < f->variant_count; i++) {
        d->texts[i].ptr = at;
        at += d->texts[i].len + 1;
    }
    return HOIST_OK;
}

enum hoist_err decoded_new(struct flag *flag, struct decoded **ret)
{
    enum hoist_err err = HOIST_OK;
    struct decoded *d = mem_zalloc(1, sizeof *d);
    if (!d) {
        flag_free(flag);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    d->flag = flag;
    d->slots = mem_zalloc(flag->variant_count + 1, sizeof *d->slots);
    if (!d->slots)
        err = err_set(HOIST_ENOMEM, "out of memory");
    if (!err && (flag->type == HOIST_STRING || flag->type == HOIST_OBJECT)) {
        d->texts = mem_zalloc(flag->variant_count, sizeof *d->texts);
        if (!d->texts)
            err = err_set(HOIST_ENOMEM, "out of memory");
        else if (flag->type == HOIST_OBJECT)
            err = objects_write(d);
        else /* a decoded record's texts are ended with a NUL already */
            for (uint32_t i = 0; i < flag->variant_count; i++)
                d->texts[i] = flag->variants[i].value.nodes[0].text;
    }
    if (!err)
        err = rule_new(flag->targeting, &d->rule);
    if (err) {
        decoded_free(d);
        return err;
    }
    d->bytes = sizeof *d + flag->arena.total + d->json.cap + rule_bytes(d->rule);
    *ret = d;
    return HOIST_OK;
}

enum hoist_err decoded_set_host(struct decoded *d, struct slice about)
{
    return host_read(about, &d->flag->arena, &d->host);
}

void decoded_free(struct decoded *d)
{
    if (!d)
        return;
    rule_free(d->rule);
    flag_free(d->flag);
    answer_text_free(atomic_load_explicit(&d->answers, memory_order_relaxed));
    mem_free(d->texts);
    mem_free(d->slots);
    buf_done(&d->json);
    mem_free(d);
}

_Static_assert(FLAG_NO_VARIANT == -1, "no variant comes before the first");

uint32_t decoded_slot(const struct decoded *d, int32_t variant)
{
    _Atomic uint32_t *known = d->slots ? &d->slots[variant + 1] : NULL;
    uint32_t slot = known ? atomic_load_explicit(known, memory_order_relaxed) : 0;
    if (slot || !d->domain)
        return slot;
    slot = tally_slot(d->domain, d->flag->key,
                      variant < 0 ? SLICE("") : d->flag->variants[variant].name);
    if (known)
        atomic_store_explicit(known, slot, memory_order_relaxed);
    return slot;
}

const struct answer_text *decoded_answers(const struct decoded *d)
{
    struct answer_text *t = atomic_load_explicit(&d->answers, memory_order_acquire);
    if (t)
        return t;
    struct answer_text *fresh = answer_text_new(d->flag);
    _Atomic(struct answer_text *) *at = (_Atomic(struct answer_text *) *)&d->answers;
    if (fresh && !atomic_compare_exchange_strong(at, &t, fresh)) {
        answer_text_free(fresh); /* another thread was faster */
        return t;
    }
    return fresh;
}

static void leave_behind(struct decoded *d)
{
    atomic_fetch_add(&replaced_bytes, d->bytes);
    d->next = atomic_load(&replaced);
    while (!atomic_compare_exchange_weak(&replaced, &d->next, d))
        ;
}

bool decoded_publish(_Atomic(struct decoded *) *at, struct decoded *d)
{
    struct decoded *old = atomic_load(at);
    do {
        if (old && old->word == d->word && old->txn >= d->txn)
            return false;
    } while (!atomic_compare_exchange_weak(at, &old, d));
    if (old)
        leave_behind(old);
    return true;
}

struct decoded *decoded_take_replaced(void)
{
    atomic_store(&replaced_bytes, 0);
    return atomic_exchange(&replaced, NULL);
}

void decoded_free_list(struct decoded *list)
{
    while (list) {
        struct decoded *next = list->next;
        decoded_free(list);
        list = next;
    }
}

size_t decoded_waiting(void)
{
    return atomic_load_explicit(&replaced_bytes, memory_order_relaxed);
}
