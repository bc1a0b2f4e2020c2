/* Query strings, route templates, lists and header look-up against a plain reading of each. Input: three lines: the
   name, the path, header lines are made of both; the rest is the query. */
#include "http/http.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 4096, OUT_MAX = 40 };

static int digit(int c) { return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1; }

/* Form decoding of [from, end) into out; -1 where the text is bad. */
static int decode(char *out, const char *from, const char *end) {
  int len = 0;
  for (const char *p = from; p < end; p++) {
    int c = (unsigned char)*p;
    if (c == '+') c = ' ';
    if (c == '%') {
      if (end - p < 3 || digit((unsigned char)p[1]) < 0 || digit((unsigned char)p[2]) < 0) return -1;
      c = digit((unsigned char)p[1]) * 16 + digit((unsigned char)p[2]);
      if (c == 0) return -1;
      p += 2;
    }
    out[len++] = (char)c;
  }
  out[len] = 0;
  return len;
}

static bool plain_nth(const char *query, const char *name, size_t nth, char *out) {
  char key[TEXT_MAX + 1];
  for (const char *at = query; *at;) {
    const char *end = at + strcspn(at, "&"), *eq = memchr(at, '=', (size_t)(end - at));
    const char *key_end = eq ? eq : end;
    if (decode(key, at, key_end) >= 0 && strcmp(key, name) == 0 && nth-- == 0)
      return decode(out, eq ? eq + 1 : end, end) >= 0;
    at = *end ? end + 1 : end;
  }
  return false;
}

static void queries(const char *query, const char *name) {
  char ours[OUT_MAX], plain[TEXT_MAX + 1];
  for (size_t nth = 0; nth < 3; nth++) {
    bool got = aq_http_query_nth(query, name, nth, ours, sizeof ours);
    bool want = plain_nth(query, name, nth, plain) && strlen(plain) < sizeof ours;
    AQ_ASSERT(got == want && (!got || strcmp(ours, plain) == 0));
  }
}

/* Segment by segment. */
static bool plain_match(const char *template, const char *path) {
  for (;;) {
    size_t t = strcspn(template, "/"), p = strcspn(path, "/");
    bool any = t == 2 && template[0] == '{';
    if (any ? p == 0 : t != p || memcmp(template, path, t) != 0) return false;
    template += t, path += p;
    if (!*template || !*path) return *template == *path;
    template ++, path++;
  }
}

static void routes(const char *path) {
  static const char *const template[] = {"/eth/v1/beacon/states/{}/validators/{}", "/eth/v2/validator/blocks/{}", "/{}",
                                         "/a/{}/b/{}", "/health"};
  for (size_t i = 0; i < AQ_COUNT(template); i++) {
    char param[AQ_HTTP_PARAMS_MAX][AQ_HTTP_PARAM_MAX + 1] = {"", ""};
    bool got = aq_http_match(template[i], path, param);
    AQ_ASSERT(got == plain_match(template[i], path) && got == aq_http_match(template[i], path, NULL));
    if (!got) continue;
    for (int k = 0; k < AQ_HTTP_PARAMS_MAX; k++)
      AQ_ASSERT(strlen(param[k]) <= AQ_HTTP_PARAM_MAX && !strchr(param[k], '/'));
  }
}

/* Item by item, blanks cut off. */
static bool plain_has(const char *list, const char *token) {
  char item[TEXT_MAX + 1];
  for (;;) {
    size_t len = strcspn(list, ","), from = 0, to = len;
    while (from < to && (list[from] == ' ' || list[from] == '\t')) from++;
    while (to > from && (list[to - 1] == ' ' || list[to - 1] == '\t')) to--;
    memcpy(item, list + from, to - from), item[to - from] = 0;
    if (*item && strcasecmp(item, token) == 0) return true;
    if (!list[len]) return false;
    list += len + 1;
  }
}

static void lists(const char *list, const char *token) {
  const aq_http_header item = {"connection", list};
  const bool has = plain_has(list, token);
  AQ_ASSERT(aq_http_list_has(list, token) == has);
  AQ_ASSERT(!has || aq_http_hop_by_hop(&(aq_http_headers){&item, 1}, token));
}

static char *line(char **text) {
  char *start = *text, *end = start + strcspn(start, "\n");
  *text = *end ? end + 1 : end;
  *end = 0;
  return start;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char text[TEXT_MAX + 1], *at = text;
  if (len > TEXT_MAX) return 0;
  if (len) memcpy(text, data, len);
  text[len] = 0;
  const char *name = line(&at), *path = line(&at);
  queries(at, name);
  routes(path);
  lists(at, name);
  const aq_http_header item[] = {{path, "1"}, {name, "2"}};
  const char *value = aq_http_header_get(&(aq_http_headers){item, AQ_COUNT(item)}, name);
  AQ_ASSERT(value && *value == (strcasecmp(path, name) == 0 ? '1' : '2'));
  return 0;
}
