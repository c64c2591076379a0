/* curl_int.h - what everything in this room that asks by libcurl has in common. */
#ifndef HTTP_CURL_INT_H
#define HTTP_CURL_INT_H

#include <curl/curl.h>

/* Must run before libcurl is used; safe to repeat, from any thread. */
void curl_begin(void);

/* `pem` for `option`; it must stay until the transfer ended. NULL: nothing is set. */
void curl_give_pem(CURL *curl, CURLoption option, char *pem);

#endif
