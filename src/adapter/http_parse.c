#include "adapter/http_parse.h"

#include "base/hex.h"

#include <strings.h>

/* ---- characters ---- */

static bool is_token(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Of a header's value, a chunk's extension: visible, blank, or above ASCII. */
static bool is_text(char c) { return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t'; }

/* ---- the head ---- */

size_t aq_http_head_find(aq_bytes in, size_t *seen, int *refuse) {
  *refuse = 0;
  size_t end = in.len < AQ_HTTP_HEAD_MAX ? in.len : AQ_HTTP_HEAD_MAX;
  for (; *seen < end; ++*seen) {
    const uint8_t *p = in.ptr + *seen;
    bool after_cr = *seen > 0 && p[-1] == '\r';
    if (after_cr != (*p == '\n') || *p == 0) { /* every CR has its LF, every LF its CR */
      *refuse = 400;
      return 0;
    }
    if (*p == '\n' && *seen >= 3 && p[-2] == '\n') return *seen + 1;
  }
  if (in.len >= AQ_HTTP_HEAD_MAX) *refuse = memchr(in.ptr, '\n', AQ_HTTP_HEAD_MAX) ? 431 : 414;
  return 0;
}

/* The line at *at, 0-terminated; *at moves behind it. */
static char *take_line(char **at) {
  char *line = *at, *cr = strchr(line, '\r');
  *cr = 0;
  *at = cr + 2;
  return line;
}

/* One blank between the parts, none elsewhere. */
static int parse_request_line(aq_http_head *h, char *line) {
  char *target = strchr(line, ' ');
  char *version = target ? strchr(target + 1, ' ') : NULL;
  if (!version) return 400;
  *target++ = 0, *version++ = 0;
  h->method = line, h->target = target;
  if (!*line || !*target) return 400;
  for (const char *p = line; *p; p++) {
    if (!is_token(*p)) return 400;
  }
  for (const char *p = target; *p; p++) {
    if (*p == '#' || !is_text(*p) || *p == '\t') return 400; /* libcurl would send only what stands before a '#' */
  }
  bool http = strncmp(version, "HTTP/", 5) == 0 && strlen(version) == 8 && version[6] == '.';
  bool digits = http && version[5] >= '0' && version[5] <= '9' && version[7] >= '0' && version[7] <= '9';
  if (!digits) return 400;
  if (version[5] != '1') return 505;
  h->old = version[7] == '0';
  return line[strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-")] ? 501 : 0; /* port/http.h: upper case */
}

static int parse_header(aq_http_head *h, char *line) {
  char *colon = line;
  while (is_token(*colon)) colon++; /* a folded line begins with a blank: no name */
  if (colon == line || *colon != ':') return 400;
  *colon = 0;
  char *value = colon + 1, *end = value + strlen(value);
  while (is_blank(*value)) value++;
  while (end > value && is_blank(end[-1])) *--end = 0;
  for (const char *p = value; *p; p++) {
    if (!is_text(*p)) return 400;
  }
  if (h->header_cnt == AQ_HTTP_HEADERS_MAX) return 431;
  h->header[h->header_cnt++] = (aq_http_header){line, value};
  return 0;
}

static size_t count(const aq_http_head *h, const char *name, const char **value) {
  size_t cnt = 0;
  for (size_t i = 0; i < h->header_cnt; i++) {
    if (strcasecmp(h->header[i].name, name) != 0) continue;
    *value = h->header[i].value;
    cnt++;
  }
  return cnt;
}

/* Where the body ends must have one meaning: one length in digits, or chunks and nothing else. */
static int parse_framing(aq_http_head *h) {
  const char *length = NULL, *coding = NULL, *host = NULL, *expect = NULL;
  size_t lengths = count(h, "Content-Length", &length), codings = count(h, "Transfer-Encoding", &coding);
  size_t hosts = count(h, "Host", &host);
  if (hosts > 1 || (hosts == 0 && !h->old)) return 400;
  if (lengths + codings > 1) return 400;
  if (codings && (h->old || strcasecmp(coding, "chunked") != 0)) return 400;
  h->chunked = codings > 0;
  if (lengths && strspn(length, "0123456789") != strlen(length)) return 400;
  if (lengths && aq_u64_parse(&h->length, aq_bytes_str(length)) != AQ_OK) return *length ? 413 : 400;
  if (count(h, "Expect", &expect) == 0 || h->old) return 0;
  if (strcasecmp(expect, "100-continue") != 0) return 417;
  h->expects = h->chunked || h->length > 0;
  return 0;
}

int aq_http_head_parse(aq_http_head *out, char *text, size_t len) {
  *out = (aq_http_head){.method = "", .target = ""};
  char *at = text, *end = text + len - 2;
  *end = 0; /* the empty line */
  int code = parse_request_line(out, take_line(&at));
  while (code == 0 && at < end) code = parse_header(out, take_line(&at));
  if (code == 0) code = parse_framing(out);
  for (size_t i = 0; i < out->header_cnt; i++) {
    if (strcasecmp(out->header[i].name, "Connection") == 0) {
      out->close = out->close || aq_http_list_has(out->header[i].value, "close");
    }
  }
  out->close = out->close || out->old;
  return code;
}

/* ---- the body ---- */

enum {
  LENGTH,
  SIZE_FIRST,
  SIZE,
  EXTENSION,
  SIZE_LF,
  CHUNK,
  CHUNK_CR,
  CHUNK_LF,
  LINE,
  TRAILER,
  TRAILER_LF,
  LAST_LF,
  END
};

enum { SIZE_DIGITS_MAX = 8 };

void aq_http_body_start(aq_http_body *b, const aq_http_head *h) {
  *b = (aq_http_body){.state = h->chunked ? SIZE_FIRST : LENGTH, .left = h->length};
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_size(aq_http_body *b, char c) {
  int d = digit(c);
  if (d >= 0) {
    b->line = b->state == SIZE_FIRST ? 0 : b->line;
    b->left = (b->state == SIZE_FIRST ? 0 : b->left * 16) + (unsigned)d;
    b->state = SIZE;
    return ++b->line <= SIZE_DIGITS_MAX;
  }
  if (b->state == SIZE_FIRST || (c != '\r' && c != ';')) return false;
  b->state = c == ';' ? EXTENSION : SIZE_LF;
  return true;
}

/* The next state behind a byte that must be `want`; false when it is another one. */
static bool expect(aq_http_body *b, char c, char want, int next) {
  b->state = next;
  return c == want;
}

/* One byte outside of chunks. False: it cannot stand there. */
static bool take_byte(aq_http_body *b, char c) {
  switch (b->state) {
    case SIZE_FIRST:
    case SIZE: return take_size(b, c);
    case EXTENSION:
      if (c == '\r') return expect(b, c, '\r', SIZE_LF);
      return is_text(c) && ++b->line <= AQ_HTTP_CHUNK_LINE_MAX;
    case SIZE_LF: b->line = 0; return expect(b, c, '\n', b->left ? CHUNK : LINE);
    case CHUNK_CR: return expect(b, c, '\r', CHUNK_LF);
    case CHUNK_LF: return expect(b, c, '\n', SIZE_FIRST);
    case LINE: b->state = c == '\r' ? LAST_LF : TRAILER; return c == '\r' || is_token(c);
    case TRAILER:
      if (c == '\r') return expect(b, c, '\r', TRAILER_LF);
      return is_text(c) && ++b->line <= AQ_HTTP_TRAILER_MAX;
    case TRAILER_LF: return ++b->line <= AQ_HTTP_TRAILER_MAX && expect(b, c, '\n', LINE);
    default: return expect(b, c, '\n', END);
  }
}

aq_http_body_step aq_http_body_next(aq_http_body *b, aq_bytes *in, aq_bytes *data) {
  while (b->state != END) {
    if ((b->state == LENGTH || b->state == CHUNK) && b->left == 0) {
      b->state = b->state == LENGTH ? END : CHUNK_CR;
      continue;
    }
    if (in->len == 0) return AQ_HTTP_BODY_MORE;
    if (b->state == LENGTH || b->state == CHUNK) {
      size_t take = b->left < in->len ? (size_t)b->left : in->len;
      *data = aq_bytes_sub(*in, 0, take), *in = aq_bytes_sub(*in, take, in->len - take);
      b->left -= take;
      return AQ_HTTP_BODY_DATA;
    }
    if (!take_byte(b, (char)in->ptr[0])) return AQ_HTTP_BODY_BAD;
    *in = aq_bytes_sub(*in, 1, in->len - 1);
  }
  return AQ_HTTP_BODY_END;
}
