/* Flags that are left out of a file, since there are problems in them. */
#include "base/mem.h"
#include "flag/read_int.h"

static bool is_about(const struct problem *p, const char *path, size_t len)
{
    return p->flag_len == len && memcmp(p->path, path, len) == 0;
}

bool flag_is_spoiled(struct reader *r, const struct named_flag *flag)
{
    bool spoiled = !flag->flag;
    size_t back = path_flag(r, flag);
    for (size_t i = 0; i < r->problems->count && !spoiled; i++)
        spoiled = is_about(&r->problems->items[i], r->path.text, r->path.len);
    r->problems->flag_len = 0;
    path_back(&r->path, back);
    return spoiled;
}

bool problems_of_flags_alone(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].flag_len == 0)
            return false;
    return problems->total ==
           problems->count; /* else it is not known of which flags the rest are */
}

bool problems_are_of_skipped(const struct problems *problems, const struct flag_file *file)
{
    for (size_t i = 0; i < problems->count; i++) {
        bool found = problems->items[i].flag_len == 0;
        for (size_t n = 0; n < file->skipped_count && !found; n++)
            found =
                is_about(&problems->items[i], file->skipped[n].path, strlen(file->skipped[n].path));
        if (!found)
            return false;
    }
    return true;
}

/* Room for one more; doubles at each power of two. */
static bool reserve(struct flag_file *file)
{
    size_t count = file->skipped_count;
    if (count & (count - 1))
        return true;
    struct skipped_flag *grown =
        mem_realloc(file->skipped, (count ? count * 2 : 1) * sizeof *grown);
    if (grown)
        file->skipped = grown;
    return grown;
}

static bool add(struct flag_file *file, struct slice key, const char *path)
{
    struct skipped_flag made = {mem_dup(key), mem_dup_str(path)};
    if (made.key && made.path && reserve(file)) {
        file->skipped[file->skipped_count++] = made;
        return true;
    }
    mem_free(made.key);
    mem_free(made.path);
    return false;
}

void skip_flag(struct reader *r, struct flag_file *file, const struct named_flag *flag)
{
    size_t back = path_flag(r, flag);
    r->no_memory |= !add(file, flag->key, r->path.text);
    r->problems->flag_len = 0;
    path_back(&r->path, back);
}

enum hoist_err flag_file_skip(struct flag_file *file, size_t index, struct problems *problems,
                              const char *mend, const char *message)
{
    struct path path = {.len = 0};
    path_key(&path, SLICE("flags"));
    path_key(&path, file->flags[index]->key);
    problems->flag_len = path.len;
    problems_add(problems, path.text, mend, "%s", message);
    problems->flag_len = 0;
    if (problems->no_memory || !add(file, file->flags[index]->key, path.text))
        return err_set(HOIST_ENOMEM, "out of memory");
    flag_free(file->flags[index]);
    memmove(file->flags + index, file->flags + index + 1,
            (file->count - index - 1) * sizeof *file->flags);
    file->count--;
    return HOIST_OK;
}
