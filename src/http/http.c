/* Percent-decoding that refuses rather than guesses, and templates matched segment by segment. */
#include "http/http.h"

#include <strings.h>

const char *aq_http_header_get(const aq_http_headers *h, const char *name) {
  for (size_t i = 0; i < h->cnt; i++) {
    if (strcasecmp(h->item[i].name, name) == 0) return h->item[i].value;
  }
  return NULL;
}

bool aq_http_list_has(const char *list, const char *token) {
  for (const char *p = list; *p;) {
    p += strspn(p, ", \t");
    size_t len = strcspn(p, ","), word = len;
    while (word > 0 && (p[word - 1] == ' ' || p[word - 1] == '\t')) word--;
    if (word == strlen(token) && strncasecmp(p, token, word) == 0 && word > 0) return true;
    p += len;
  }
  return false;
}

bool aq_http_hop_by_hop(const aq_http_headers *h, const char *name) {
  static const char *const hop[] = {"Connection", "Keep-Alive",          "Proxy-Connection", "Proxy-Authenticate",
                                    "TE",         "Proxy-Authorization", "Trailer",          "Transfer-Encoding",
                                    "Upgrade",    "HTTP2-Settings"};
  for (size_t i = 0; i < AQ_COUNT(hop); i++) {
    if (strcasecmp(name, hop[i]) == 0) return true;
  }
  for (size_t i = 0; i < h->cnt; i++) {
    if (strcasecmp(h->item[i].name, "Connection") == 0 && aq_http_list_has(h->item[i].value, name)) return true;
  }
  return false;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* One decoded character of form encoding at *p, which moves behind it; -1 for a bad escape or an escaped 0. */
static int next_char(const char **p) {
  char c = *(*p)++;
  if (c == '+') return ' ';
  if (c != '%') return (unsigned char)c;
  int high = hex_digit((*p)[0]);
  int low = high < 0 ? -1 : hex_digit((*p)[1]);
  if (low < 0 || (high == 0 && low == 0)) return -1;
  *p += 2;
  return high * 16 + low;
}

static bool at_end(const char *p, char stop) { return *p == 0 || *p == '&' || *p == stop; }

/* Compares the encoded name at *p; on a match *p stands at the '=' or at the end of the pair. */
static bool name_matches(const char **p, const char *name) {
  while (!at_end(*p, '=')) {
    int c = next_char(p);
    if (c < 0 || c != (unsigned char)*name) return false;
    name++;
  }
  return *name == 0;
}

static bool copy_value(const char *p, char *out, size_t out_len) {
  size_t len = 0;
  while (!at_end(p, '&')) {
    int c = next_char(&p);
    if (c < 0 || len + 1 >= out_len) return false;
    out[len++] = (char)c;
  }
  if (len >= out_len) return false;
  out[len] = 0;
  return true;
}

aq_status aq_http_query_next(const char **at, const char *name, char *out, size_t out_len) {
  for (const char *pair = *at; *pair;) {
    const char *p = pair, *next = pair + strcspn(pair, "&");
    *at = pair = next + (*next == '&');
    if (name_matches(&p, name)) return copy_value(p + (*p == '='), out, out_len) ? AQ_OK : AQ_E_FORMAT;
  }
  return AQ_E_NOTFOUND;
}

bool aq_http_query_nth(const char *query, const char *name, size_t nth, char *out, size_t out_len) {
  for (const char *pair = query; *pair; pair += *pair == '&') {
    const char *p = pair;
    if (name_matches(&p, name) && nth-- == 0) return copy_value(p + (*p == '='), out, out_len);
    while (*pair && *pair != '&') pair++;
  }
  return false;
}

bool aq_http_query_get(const char *query, const char *name, char *out, size_t out_len) {
  return aq_http_query_nth(query, name, 0, out, out_len);
}

bool aq_http_match(const char *template, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]) {
  int found = 0;
  while (*template) {
    if (template[0] != '{') {
      if (*template != *path) return false;
      template ++, path++;
      continue;
    }
    size_t len = strcspn(path, "/");
    if (len == 0) return false;
    if (param && found < AQ_HTTP_PARAMS_MAX) {
      size_t kept = len < AQ_HTTP_PARAM_MAX ? len : AQ_HTTP_PARAM_MAX;
      memcpy(param[found], path, kept);
      param[found][kept] = 0;
    }
    found++;
    template += 2;
    path += len;
  }
  return *path == 0;
}
