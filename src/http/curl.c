#include "http/curl_int.h"

#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* if it fails, so does every curl_easy_init() */
}

void curl_begin(void)
{
    pthread_once(&once, init);
}

void curl_give_pem(CURL *curl, CURLoption option, char *pem)
{
    if (!pem)
        return;
    struct curl_blob blob = {pem, strlen(pem), CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, option, &blob);
}
