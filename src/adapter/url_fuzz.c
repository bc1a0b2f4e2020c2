/* Addresses of servers (base/url.h). Input: the text as an operator would write it, then after a line feed the path of
   a request. What is taken is its own normal form, and libcurl, which connects, reads the same scheme, host, port and
   user in it; whoever it is shown to sees neither user nor path nor query. */
#include <curl/curl.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 8192 };

static char *part(CURLU *u, CURLUPart what) {
  char *text = NULL;
  return curl_url_get(u, what, &text, 0) == CURLUE_OK ? text : NULL;
}

/* site = scheme://host[:port], as libcurl sees them. */
static void same_site(CURLU *u, const char *site) {
  char *scheme = part(u, CURLUPART_SCHEME), *host = part(u, CURLUPART_HOST), *zone = part(u, CURLUPART_ZONEID),
       *port = part(u, CURLUPART_PORT);
  aq_buf want = AQ_BUF(TEXT_MAX);
  AQ_ASSERT(scheme && host);
  aq_buf_printf(&want, "%s://%s", scheme, host);
  if (zone && want.len && want.ptr[want.len - 1] == ']' && !strchr(host, '%')) {
    want.len--;
    aq_buf_printf(&want, "%%25%s]", zone);
  }
  if (port) aq_buf_printf(&want, ":%s", port);
  AQ_ASSERT(strcmp(aq_buf_cstr(&want), site) == 0);
  aq_buf_free(&want);
  curl_free(scheme), curl_free(host), curl_free(zone), curl_free(port);
}

static void check_request(const char *url, const char *path, const char *site) {
  char again[AQ_URL_SITE_MAX + 1];
  aq_buf text = AQ_BUF(TEXT_MAX);
  aq_url_request(&text, url, path);
  aq_url_site(again, aq_buf_cstr(&text));
  AQ_ASSERT(strcmp(again, site) == 0);
  CURLU *u = curl_url();
  AQ_ASSERT(u);
  if (curl_url_set(u, CURLUPART_URL, aq_buf_cstr(&text), 0) == CURLUE_OK) {
    char *user = part(u, CURLUPART_USER);
    AQ_ASSERT(aq_url_has_user(url) == (user != NULL));
    same_site(u, site);
    curl_free(user);
  } else {
    AQ_ASSERT(strcmp(path, "/eth/v1/x?a=b") != 0); /* a path of our own always works */
  }
  curl_url_cleanup(u);
  aq_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char url[AQ_URL_MAX + 1], again[AQ_URL_MAX + 1], site[AQ_URL_SITE_MAX + 1];
  if (len > TEXT_MAX / 2) return 0;
  char *text = calloc(1, len + 1);
  AQ_ASSERT(text);
  memcpy(text, data, len);
  char *path = strchr(text, '\n');
  if (path) *path++ = 0;
  aq_err err = {AQ_OK, ""};
  aq_url_site(site, text);
  aq_status st = aq_url_parse(url, text, &err);
  if (st == AQ_OK) {
    AQ_ASSERT(aq_url_parse(again, url, NULL) == AQ_OK && strcmp(url, again) == 0);
    aq_url_site(site, url);
    AQ_ASSERT(site[0] && !strchr(site, '@') && !strchr(site, '?') && strchr(site + 8, '/') == NULL);
    check_request(url, "/eth/v1/x?a=b", site);
    if (path && path[0] == '/') check_request(url, path, site);
  } else {
    AQ_ASSERT((st == AQ_E_FORMAT || st == AQ_E_LIMIT) && err.text[0]);
  }
  free(text);
  return 0;
}
