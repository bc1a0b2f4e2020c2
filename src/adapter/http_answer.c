/* Head lines in one pass; what a core sets of the framing itself is left out, and a value with a line break refuses
   the answer. */
#include "adapter/http_answer.h"

#include "base/time.h"
#include "http/http.h"

#include <inttypes.h>
#include <strings.h>
#include <time.h>

static const char *reason(int code) {
  static const struct {
    int code;
    const char *text;
  } known[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {207, "Multi-Status"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {410, "Gone"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < AQ_COUNT(known); i++) {
    if (known[i].code == code) return known[i].text;
  }
  return "Unknown";
}

static bool is_own(const char *name) {
  static const char *const own[] = {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Date"};
  for (size_t i = 0; i < AQ_COUNT(own); i++) {
    if (strcasecmp(name, own[i]) == 0) return true;
  }
  return false;
}

static bool is_sound(const aq_http_header *h) {
  if (!*h->name) return false;
  for (const char *p = h->name; *p; p++) {
    if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == ':') return false;
  }
  for (const char *p = h->value; *p; p++) {
    if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) return false;
  }
  return true;
}

static void put_date(aq_buf *out, uint64_t now_ns) {
  char text[40];
  struct tm tm;
  time_t now = (time_t)(now_ns / AQ_NS_PER_SEC);
  if (!gmtime_r(&now, &tm) || strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0) return;
  aq_buf_printf(out, "Date: %s\r\n", text);
}

static void put_framing(aq_buf *out, const aq_http_answer *a, const aq_http_headers *h) {
  const char *length = h ? aq_http_header_get(h, "Content-Length") : NULL;
  if (a->framing == AQ_HTTP_LENGTH)
    aq_buf_printf(out, "Content-Length: %" PRIu64 "\r\n", a->length);
  else if (a->framing == AQ_HTTP_CHUNKS)
    aq_buf_put_str(out, "Transfer-Encoding: chunked\r\n");
  else if (a->framing == AQ_HTTP_BARE && a->code != 204 && length && *length &&
           strspn(length, "0123456789") == strlen(length))
    aq_buf_printf(out, "Content-Length: %s\r\n", length);
  if (a->close) aq_buf_put_str(out, "Connection: close\r\n");
}

void aq_http_answer_head(aq_buf *out, const aq_http_answer *a, const aq_http_headers *h) {
  int code = a->code >= 200 && a->code <= 599 ? a->code : 500;
  aq_buf_printf(out, "HTTP/1.1 %d %s\r\n", code, reason(code));
  put_date(out, a->now_ns);
  put_framing(out, a, h);
  for (size_t i = 0; h && i < h->cnt; i++) {
    if (!is_own(h->item[i].name) && is_sound(&h->item[i]))
      aq_buf_printf(out, "%s: %s\r\n", h->item[i].name, h->item[i].value);
  }
  aq_buf_put_str(out, "\r\n");
}
