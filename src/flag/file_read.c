/* A file of flags. */
#include <stdlib.h>

#include "base/mem.h"
#include "flag/flag_int.h"
#include "flag/read_int.h"

static const char *const file_fields[] = {"flags", "metadata", "$evaluators", "$schema", NULL};
static const char file_mend[] = "a flag file is like {\"flags\": {\"my-flag\": {\"state\": "
                                "\"ENABLED\", \"variants\": {\"on\": true, \"off\": false}, "
                                "\"defaultVariant\": \"off\"}}}";

struct file_reader {
    struct reader r;
    const json_t *json;
    struct named_flag *flags;
    size_t count;
};

/* ------------------------------------------------------------------ the file's own fields */

static void check_fields(struct file_reader *fr)
{
    for (void *it = json_object_iter((json_t *)fr->json); it;
         it = json_object_iter_next((json_t *)fr->json, it)) {
        struct slice name = slice_str(json_object_iter_key(it));
        if (slice_starts_with(name, SLICE("$")) || slice_eq(name, SLICE("flags")) ||
            slice_eq(name, SLICE("metadata")))
            continue;
        const char *near = near_word(name, file_fields);
        char mend[128] = "a flag file has flags, metadata, $evaluators and $schema";
        if (near)
            snprintf(mend, sizeof mend, "did you mean \"%s\"?", near);
        size_t back = path_key(&fr->r.path, name);
        complain(&fr->r, mend, "a flag file has no field \"%s\"", show(name).text);
        path_back(&fr->r.path, back);
    }
}

static void read_metadata(struct file_reader *fr)
{
    struct reader *r = &fr->r;
    const json_t *v = json_object_get(fr->json, "metadata");
    size_t back = path_key(&r->path, SLICE("metadata"));
    if (v && !metadata_read(r, v, &r->arena, &r->metadata, &r->metadata_count))
        r->metadata_count = 0; /* which was said */
    path_back(&r->path, back);
}

/* ------------------------------------------------------------------ flags */

static void keep(struct file_reader *fr, struct slice key, size_t index, struct flag *f)
{
    fr->flags[fr->count++] = (struct named_flag){key, index, f};
}

static void read_map(struct file_reader *fr, const json_t *v)
{
    for (void *it = json_object_iter((json_t *)v); it && !fr->r.no_memory;
         it = json_object_iter_next((json_t *)v, it)) {
        struct slice key = slice_str(json_object_iter_key(it));
        size_t back = path_key(&fr->r.path, key);
        fr->r.problems->flag_len = fr->r.path.len;
        keep(fr, key, 0, flag_read(&fr->r, key, json_object_iter_value(it), false));
        path_back(&fr->r.path, back);
    }
}

static void read_array(struct file_reader *fr, const json_t *v)
{
    for (size_t i = 0; i < json_array_size(v) && !fr->r.no_memory; i++) {
        const json_t *item = json_array_get(v, i), *key = json_object_get(item, "key");
        size_t back = path_index(&fr->r.path, i);
        fr->r.problems->flag_len = fr->r.path.len;
        if (json_is_string(key)) {
            keep(fr, json_text(key), i, flag_read(&fr->r, json_text(key), item, true));
        } else {
            complain(&fr->r, "add \"key\": the flag's name, in quotes",
                     json_is_object(item) ? "the flag has no key" : "this is no flag");
            keep(fr, SLICE(""), i, NULL);
        }
        path_back(&fr->r.path, back);
    }
}

static int by_key(const void *a, const void *b)
{
    const struct named_flag *left = a, *right = b;
    int order = slice_cmp(left->key, right->key);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

static void find_twice(struct file_reader *fr)
{
    for (size_t i = 1; i < fr->count; i++) {
        if (!slice_eq(fr->flags[i].key, fr->flags[i - 1].key) || fr->flags[i].key.len == 0)
            continue;
        size_t back = path_index(&fr->r.path, fr->flags[i].index);
        fr->r.problems->flag_len = fr->r.path.len;
        complain(&fr->r, "keep one of them", "the flag \"%s\" stands at [%zu] already",
                 show(fr->flags[i].key).text, fr->flags[i - 1].index);
        path_back(&fr->r.path, back);
    }
}

static void read_flags(struct file_reader *fr)
{
    struct reader *r = &fr->r;
    const json_t *v = json_object_get(fr->json, "flags");
    size_t back = path_key(&r->path, SLICE("flags"));
    if (!v)
        complain(r, file_mend, "the flags are missing");
    else if (!json_is_object(v) && !json_is_array(v))
        complain(r, file_mend, "the flags are %s, not an object", json_type_word(v));
    else {
        size_t count = json_is_array(v) ? json_array_size(v) : json_object_size(v);
        fr->flags = mem_zalloc(count, sizeof *fr->flags);
        r->no_memory |= !fr->flags;
        r->flags_listed = json_is_array(v);
        if (fr->flags && r->flags_listed)
            read_array(fr, v);
        else if (fr->flags)
            read_map(fr, v);
        r->problems->flag_len = 0;
    }
    if (fr->count > 1)
        qsort(fr->flags, fr->count, sizeof *fr->flags, by_key);
    find_twice(fr);
    r->problems->flag_len = 0;
    path_back(&r->path, back);
}

/* ------------------------------------------------------------------ the whole */

/* The flags that were read, taken over from `fr`; those with problems are the file's skipped ones. */
static struct flag_file *make_file(struct file_reader *fr)
{
    struct flag_file *file = mem_zalloc(1, sizeof *file);
    struct flag **flags = mem_zalloc(fr->count, sizeof *flags);
    if (!file || !flags) {
        mem_free(file);
        mem_free(flags);
        fr->r.no_memory = true;
        return NULL;
    }
    file->flags = flags;
    for (size_t i = 0; i < fr->count; i++) {
        if (flag_is_spoiled(&fr->r, &fr->flags[i])) {
            skip_flag(&fr->r, file, &fr->flags[i]);
            continue;
        }
        flags[file->count++] = fr->flags[i].flag;
        fr->flags[i].flag = NULL;
    }
    return file;
}

/* `skips`: flags with problems are left out. `warnings`: NULL, or what is odd is added. */
static enum hoist_err read_document(const json_t *json, bool skips, struct problems *problems,
                                    struct problems *warnings, struct flag_file **ret_file)
{
    struct file_reader fr = {.r = {.problems = problems}, .json = json};
    struct flag_file *file = NULL;
    check_fields(&fr);
    read_metadata(&fr);
    evaluators_read(&fr.r, json_object_get(json, "$evaluators"));
    read_flags(&fr);
    if (!fr.r.no_memory)
        requires_check(&fr.r, fr.flags, fr.count);
    if (!fr.r.no_memory && warnings)
        lint_flags(&fr.r, fr.flags, fr.count, warnings);
    if (!fr.r.no_memory && (problems->total == 0 || (skips && problems_of_flags_alone(problems))))
        file = make_file(&fr);
    if (file && !fr.r.no_memory && !problems_are_of_skipped(problems, file)) {
        flag_file_free(file); /* the flag would be taken as the scan mended it */
        file = NULL;
    }
    for (size_t i = 0; i < fr.count; i++)
        flag_free(fr.flags[i].flag);
    mem_free(fr.flags);
    reader_done(&fr.r);
    if (fr.r.no_memory) {
        flag_file_free(file);
        return err_set(HOIST_ENOMEM, "out of memory");
    }
    if (file)
        *ret_file = file;
    return file ? HOIST_OK : HOIST_EINVAL;
}

enum hoist_err document_read(const json_t *json, struct problems *problems,
                             struct flag_file **ret_file)
{
    return read_document(json, false, problems, NULL, ret_file);
}

static enum hoist_err read_text(struct slice json, bool skips, struct flag_file **ret_file,
                                struct problems *problems, struct problems *warnings)
{
    struct flag_file *file = NULL;
    json_t *document = NULL;
    json = skip_byte_order_mark(json);
    enum hoist_err err = json_load(json, problems, &document);
    if (err == HOIST_OK && !json_is_object(document)) {
        problems_add(problems, "line 1, column 1", file_mend,
                     "the file is an array, not an object");
        err = HOIST_EINVAL;
    }
    if (err == HOIST_OK)
        err = read_document(document, skips, problems, warnings, &file);
    json_decref(document);
    if (problems->total && err != HOIST_ENOMEM && problems_locate(problems, json) != HOIST_OK)
        err = HOIST_ENOMEM;
    if (warnings && err != HOIST_ENOMEM && problems_locate(warnings, json) != HOIST_OK)
        err = HOIST_ENOMEM;
    err = problems_verdict(problems, err);
    if (err == HOIST_OK)
        *ret_file = file;
    else
        flag_file_free(file);
    return err;
}

enum hoist_err flag_file_read(struct slice json, struct flag_file **ret_file,
                              struct problems *problems)
{
    return read_text(json, false, ret_file, problems, NULL);
}

enum hoist_err flag_file_read_valid(struct slice json, struct flag_file **ret_file,
                                    struct problems *problems)
{
    return read_text(json, true, ret_file, problems, NULL);
}

enum hoist_err flag_file_lint(struct slice json, struct problems *problems,
                              struct problems *warnings, size_t *ret_flags)
{
    struct flag_file *file = NULL;
    enum hoist_err err = read_text(json, true, &file, problems, warnings);
    if (err == HOIST_ENOMEM || warnings->no_memory)
        err = err_set(HOIST_ENOMEM, "out of memory");
    else
        err = HOIST_OK;
    if (err == HOIST_OK)
        *ret_flags = file ? file->count : 0;
    flag_file_free(file);
    return err;
}

void flag_file_free(struct flag_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->count; i++)
        flag_free(file->flags[i]);
    for (size_t i = 0; i < file->skipped_count; i++) {
        mem_free(file->skipped[i].key);
        mem_free(file->skipped[i].path);
    }
    mem_free(file->skipped);
    mem_free(file->flags);
    mem_free(file);
}
