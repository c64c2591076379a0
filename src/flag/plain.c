/* Flags as flagd knows them, without what Hoist adds. */
#include "flag/edit.h"

static bool looks_at_hoist(struct tree rule)
{
    for (uint32_t i = 0; i < rule.count; i++)
        if (rule.nodes[i].kind == NODE_STRING &&
            (slice_eq(rule.nodes[i].text, SLICE("$hoist")) ||
             slice_starts_with(rule.nodes[i].text, SLICE("$hoist."))))
            return true;
    return false;
}

unsigned flag_make_plain(struct flag *f)
{
    unsigned lost = 0;
    if (f->requires_count) {
        f->requires_count = 0;
        f->otherwise = FLAG_NO_VARIANT;
        lost |= PLAIN_REQUIRES;
    }
    if (f->override !=
        FLAG_NO_VARIANT) { /* a flag that was killed must not come to life elsewhere */
        f->default_variant = f->override;
        f->override = FLAG_NO_VARIANT;
        f->targeting = (struct tree){0};
        f->enabled = true;
        return lost | PLAIN_OVERRIDE;
    }
    return looks_at_hoist(f->targeting) ? lost | PLAIN_HOIST : lost;
}
