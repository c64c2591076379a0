#include "client/answer.h"

void answer_put(struct json_writer *w, const struct answer_parts *a)
{
    const struct eval_result *e = a->result;
    json_key(w, "key");
    json_put_slice(w, a->key);
    if (e->reason == HOIST_ERROR) {
        json_key(w, "errorCode");
        json_put_str(w, hoist_code_name(e->code));
        json_key(w, "errorDetails");
        json_put_str(w, e->error);
    } else {
        json_key(w, "reason");
        json_put_str(w, hoist_reason_name(e->reason));
    }
    if (e->variant != FLAG_NO_VARIANT) {
        json_key(w, "variant");
        json_put_slice(w, a->flag->variants[e->variant].name);
        json_key(w, "value");
        json_put_tree(w, a->flag->variants[e->variant].value);
    }
    json_key(w, "metadata");
    if (a->flag) {
        json_put_metadata(w, a->flag);
    } else {
        json_object_begin(w);
        json_object_end(w);
    }
}
