/* Addresses are compared by their origin, as libcurl's own parser takes them apart. */
#include "adapter/http_redirect.h"

#include <curl/curl.h>
#include <strings.h>

typedef struct {
  char *scheme, *host, *port;
} origin;

static void origin_free(origin *o) {
  curl_free(o->scheme);
  curl_free(o->host);
  curl_free(o->port);
}

static bool origin_get(origin *o, CURLU *u) {
  *o = (origin){0};
  return curl_url_get(u, CURLUPART_SCHEME, &o->scheme, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_HOST, &o->host, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_PORT, &o->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
}

static bool is_http(const origin *o) {
  return strcasecmp(o->scheme, "http") == 0 || strcasecmp(o->scheme, "https") == 0;
}

static bool may_follow(const origin *from, const origin *to) {
  if (strcasecmp(from->host, to->host) != 0) return false;
  if (strcasecmp(from->scheme, to->scheme) == 0) return strcmp(from->port, to->port) == 0;
  return strcasecmp(to->scheme, "https") == 0;
}

static bool set_part(CURLU *u, CURLUPart part, const char *value) {
  return curl_url_set(u, part, value, 0) == CURLUE_OK;
}

/* Who the request is from stays, whatever the location says of it. */
static aq_status resolve(aq_buf *out, CURLU *u, const char *from, const char *location) {
  char *user = NULL, *password = NULL, *url = NULL;
  origin a = {0}, b = {0};
  aq_status st = AQ_E_FORMAT;
  if (set_part(u, CURLUPART_URL, from) && origin_get(&a, u)) {
    curl_url_get(u, CURLUPART_USER, &user, 0);
    curl_url_get(u, CURLUPART_PASSWORD, &password, 0);
    if (set_part(u, CURLUPART_URL, location) && origin_get(&b, u) && is_http(&b))
      st = may_follow(&a, &b) ? AQ_OK : AQ_E_REFUSED;
  }
  if (st == AQ_OK) {
    bool made = set_part(u, CURLUPART_USER, user) && set_part(u, CURLUPART_PASSWORD, password) &&
                set_part(u, CURLUPART_FRAGMENT, NULL) && curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK;
    aq_buf_reset(out);
    if (made) aq_buf_put_str(out, url);
    if (!made || out->failed) st = AQ_E_FORMAT;
  }
  curl_free(user);
  curl_free(password);
  curl_free(url);
  origin_free(&a);
  origin_free(&b);
  return st;
}

aq_status aq_http_redirect(aq_buf *out, const char *from, const char *location) {
  size_t len = strlen(location);
  if (len == 0 || len > AQ_HTTP_LOCATION_MAX) return AQ_E_FORMAT;
  for (size_t i = 0; i < len; i++) {
    if ((uint8_t)location[i] <= 0x20 || (uint8_t)location[i] >= 0x7f || location[i] == '\\') return AQ_E_FORMAT;
  }
  CURLU *u = curl_url();
  if (!u) return AQ_E_LIMIT;
  aq_status st = resolve(out, u, from, location);
  curl_url_cleanup(u);
  return st;
}

bool aq_http_redirects(int code, const char *method) {
  bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  return code == 301 || code == 302 || code == 307 || code == 308 || (code == 303 && reads);
}
