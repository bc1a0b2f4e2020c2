/* adapter/curl_fault.h - what libcurl says of a failed request, as one of the mistakes of http/http_fault.h: the one
   place for it. */
#ifndef AQ_ADAPTER_CURL_FAULT_H
#define AQ_ADAPTER_CURL_FAULT_H

#include <curl/curl.h>

#include "http/http_fault.h"

/* text: libcurl's (CURLOPT_ERRORBUFFER). code CURLE_OPERATION_TIMEDOUT also for limits of our own. */
void aq_curl_why(char out[AQ_HTTP_WHY_MAX], CURL *easy, CURLcode code, const char *text);

#endif
