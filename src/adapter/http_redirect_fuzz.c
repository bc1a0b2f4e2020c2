/* Redirects. Input: the URL that answered, a zero byte, the location. What is followed is on the same host, with the
   user and password of the URL that answered, and never down from https. */
#include "adapter/http_redirect.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *part(const char *url, CURLUPart which) {
  char *out = NULL, *copy;
  CURLU *u = curl_url();
  AQ_ASSERT(u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK);
  copy = curl_url_get(u, which, &out, 0) == CURLUE_OK ? strdup(out) : strdup("");
  AQ_ASSERT(copy);
  curl_free(out);
  curl_url_cleanup(u);
  return copy;
}

static void same(const char *a, const char *b, CURLUPart which) {
  char *x = part(a, which), *y = part(b, which);
  AQ_ASSERT(strcasecmp(x, y) == 0);
  free(x);
  free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char *text = malloc(len + 2);
  AQ_ASSERT(text);
  if (len) memcpy(text, data, len);
  text[len] = text[len + 1] = 0;
  const char *location = text + strlen(text) + 1;
  aq_buf out = AQ_BUF(1 << 16);
  if (aq_http_redirect(&out, text, location) == AQ_OK) {
    const char *to = aq_buf_cstr(&out);
    same(text, to, CURLUPART_HOST);
    same(text, to, CURLUPART_USER);
    same(text, to, CURLUPART_PASSWORD);
    char *before = part(text, CURLUPART_SCHEME), *after = part(to, CURLUPART_SCHEME);
    AQ_ASSERT(strcmp(before, "https") != 0 || strcmp(after, "https") == 0);
    free(before);
    free(after);
  }
  aq_buf_free(&out);
  free(text);
  return 0;
}
