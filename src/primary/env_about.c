#include "primary/env_about.h"

#include <string.h>

#include "base/text.h"
#include "flag/flag.h"
#include "flag/json_read.h"

enum hoist_err env_about_read(struct store_read *r, const char *env, struct env_about *ret)
{
    struct slice text;
    json_t *said = NULL;
    enum hoist_err err = store_env_about_get(r, env, &text);
    if (err == HOIST_OK)
        err = json_read(text, &said);
    if (err != HOIST_OK && err != HOIST_ENOTFOUND)
        return err_prefix(err, "what is kept about environment '%s'", env);
    json_t *metadata = json_incref(json_object_get(said, "metadata"));
    *ret = (struct env_about){.is_protected = json_is_true(json_object_get(said, "protected")),
                              .metadata = json_is_object(metadata) ? metadata : json_object()};
    json_decref(said);
    return ret->metadata ? HOIST_OK : err_set(HOIST_ENOMEM, "out of memory");
}

void env_about_done(struct env_about *a)
{
    json_decref(a->metadata);
    *a = (struct env_about){0};
}

void env_about_put(struct json_writer *w, const struct env_about *a)
{
    const char *name;
    json_t *v;
    json_key(w, "protected");
    json_put_bool(w, a->is_protected);
    json_key(w, "metadata");
    json_object_begin(w);
    json_object_foreach(a->metadata, name, v)
    {
        json_key(w, name);
        if (json_is_string(v))
            json_put_str(w, json_string_value(v));
        else if (json_is_boolean(v))
            json_put_bool(w, json_is_true(v));
        else
            json_put_number(w, json_number_value(v));
    }
    json_object_end(w);
}

enum hoist_err env_about_write(struct store_write *w, const char *env, const struct env_about *a)
{
    struct buf text = BUF_INIT(1 << 20);
    struct json_writer j = JSON_WRITER(&text, 0);
    json_object_begin(&j);
    env_about_put(&j, a);
    json_object_end(&j);
    enum hoist_err err = buf_err(&text);
    if (err == HOIST_OK)
        err = store_env_about_put(w, env, buf_slice(&text));
    buf_done(&text);
    return err;
}

/* ------------------------------------------------------------------ changing */

static enum hoist_err check_item(const char *name, const json_t *v)
{
    if (flag_key_check(slice_str(name)) != HOIST_OK)
        return err_set(HOIST_EINVAL,
                       "a name in metadata has 1 to %d bytes without control characters",
                       FLAG_KEY_MAX);
    if (json_is_string(v) && json_string_length(v) > ENV_METADATA_TEXT_MAX)
        return err_set(HOIST_EINVAL, "metadata '%s': text of more than %d bytes", name,
                       ENV_METADATA_TEXT_MAX);
    if (json_is_object(v) || json_is_array(v))
        return err_set(HOIST_EINVAL, "metadata '%s': text, a number or a boolean belongs there",
                       name);
    return HOIST_OK;
}

static enum hoist_err change_metadata(json_t *metadata, const json_t *wish, bool *ret_changed)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)wish, name, v)
    {
        json_t *before = json_object_get(metadata, name);
        enum hoist_err err = check_item(name, v);
        if (err != HOIST_OK)
            return err;
        if (json_is_null(v) ? !before : json_equal(before, v))
            continue;
        *ret_changed = true;
        if ((json_is_null(v) ? json_object_del(metadata, name)
                             : json_object_set(metadata, name, v)) != 0)
            return err_set(HOIST_ENOMEM, "out of memory");
    }
    if (json_object_size(metadata) > ENV_METADATA_MAX)
        return err_set(HOIST_EINVAL, "an environment has at most %d items of metadata",
                       ENV_METADATA_MAX);
    return HOIST_OK;
}

enum hoist_err env_about_change(struct env_about *a, const json_t *wish, bool *ret_changed)
{
    const json_t *guard = json_object_get(wish, "protected");
    const json_t *metadata = json_object_get(wish, "metadata");
    if (guard && !json_is_boolean(guard))
        return err_set(HOIST_EINVAL, "'protected' is true or false");
    if (metadata && !json_is_object(metadata))
        return err_set(HOIST_EINVAL, "'metadata' is an object");
    *ret_changed = guard && json_is_true(guard) != a->is_protected;
    if (guard)
        a->is_protected = json_is_true(guard);
    return metadata ? change_metadata(a->metadata, metadata, ret_changed) : HOIST_OK;
}
