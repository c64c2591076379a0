#include "page.h"

static const char *text_of(const json_t *v, const char *name)
{
    return json_string_value(json_object_get(v, name));
}

/* NULL: a field that we need is not there. */
static json_t *listing_of(const json_t *repository)
{
    const json_t *id = json_object_get(repository, "id"),
                 *stars = json_object_get(repository, "stargazers_count"),
                 *topics = json_object_get(repository, "topics");
    const char *name = text_of(repository, "full_name"), *url = text_of(repository, "html_url");
    if (!json_is_integer(id) || json_integer_value(id) <= 0 || !name || !url ||
        !json_is_integer(stars))
        return NULL;
    return json_pack(
        "{sI ss ss ss ss? ss? sI sO? ss?}", "id", json_integer_value(id), "source", "github",
        "name", name, "url", url, "description", text_of(repository, "description"), "language",
        text_of(repository, "language"), "stars", json_integer_value(stars), "topics",
        json_is_array(topics) ? topics : NULL, "updated_at", text_of(repository, "updated_at"));
}

static json_t *listings_of(const json_t *repositories)
{
    json_t *items = json_is_array(repositories) ? json_array() : NULL, *repository;
    size_t i;
    json_array_foreach(repositories, i, repository)
    {
        if (items && json_array_append_new(items, listing_of(repository)) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    return items;
}

bool page_read(const char *bytes, size_t length, struct page *ret)
{
    json_t *body = json_loadb(bytes, length, 0, NULL);
    bool search = json_is_object(body);
    const json_t *total = search ? json_object_get(body, "total_count") : NULL;
    json_t *items = listings_of(search ? json_object_get(body, "items") : body);
    if (items)
        *ret = (struct page){
            .items = items,
            .total = json_is_integer(total) ? json_integer_value(total) : -1,
            .incomplete = json_is_true(json_object_get(body, "incomplete_results")),
        };
    json_decref(body);
    return items;
}
