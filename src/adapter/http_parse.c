/* llhttp's callbacks behind our own rules: pieces of a head are collected to their limits, then judged as a whole.
   */
#include "adapter/http_parse.h"

#include "base/hex.h"
#include "http/http.h"

#include <strings.h>

enum { START, BLANK_LF, BLANK, HEAD, BODY, CHUNK_LINE, TRAILER, END, BAD };

enum { SIZE_DIGITS_MAX = 8 };

/* ---- what the machine tells ---- */

static aq_http_parse *parse_of(llhttp_t *m) { return AQ_CONTAINER(m, aq_http_parse, machine); }

static int refused(aq_http_parse *p, int code) {
  p->refuse = code;
  return HPE_USER;
}

static int told(aq_http_parse *p, aq_http_step event) {
  p->event = event;
  return HPE_PAUSED;
}

static size_t place_of(const aq_http_parse *p, const char *at) { return p->used + (size_t)(at - p->piece); }

/* Only collects: where the pieces of a text end depends on how the bytes were cut, and no verdict may. */
static int on_text(llhttp_t *m, const char *at, size_t len) {
  aq_http_parse *p = parse_of(m);
  if (p->stage == HEAD) aq_buf_put(&p->text, at, len);
  return 0;
}

static void text_ends(aq_http_parse *p) {
  aq_buf_put_u8(&p->text, 0);
  p->mark = p->text.len;
}

static void text_forgotten(aq_http_parse *p) { p->text.len = p->mark; }

static int on_method_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  uint8_t method = llhttp_get_method(m);
  text_ends(p);
  if (method == HTTP_PRI) return refused(p, 505);     /* HTTP/2 */
  if (method == HTTP_CONNECT) return refused(p, 400); /* no tunnels */
  return 0;
}

static int on_url_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  bool fragment = memchr(p->text.ptr + p->mark, '#', p->text.len - p->mark); /* libcurl would send what is before */
  text_ends(p);
  return fragment ? refused(p, 400) : 0;
}

static int on_protocol(llhttp_t *m, const char *at, size_t len) {
  aq_http_parse *p = parse_of(m);
  if (p->text.len == p->mark) p->at = place_of(p, at);
  return on_text(m, at, len);
}

/* The machine reads over any number of blanks between the parts of the line. */
static int on_protocol_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  bool http = p->text.len - p->mark == 4 && memcmp(p->text.ptr + p->mark, "HTTP", 4) == 0; /* it knows RTSP too */
  text_forgotten(p);
  return http && p->at == p->text.len ? 0 : refused(p, 400); /* a 0 for each blank */
}

static int on_version_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  text_forgotten(p);
  return llhttp_get_http_major(m) == 1 ? 0 : refused(p, 505);
}

static int on_header_field_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  if (p->stage != HEAD) return 0;
  text_ends(p);
  return ++p->header_cnt > AQ_HTTP_HEADERS_MAX ? refused(p, 431) : 0;
}

static int on_header_value_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  if (p->stage != HEAD) return 0;
  while (p->text.len > p->mark && strchr(" \t", p->text.ptr[p->text.len - 1])) p->text.len--;
  text_ends(p);
  return 0;
}

static int on_headers_complete(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  return p->at > 0 ? told(p, AQ_HTTP_HEAD) : refused(p, 400); /* a line without a version is HTTP/0.9 to the machine */
}

static int on_body(llhttp_t *m, const char *at, size_t len) {
  aq_http_parse *p = parse_of(m);
  if (len == 0) return 0;
  p->data = aq_bytes_of(at, len);
  return told(p, AQ_HTTP_DATA);
}

static int on_extension(llhttp_t *m, const char *at, size_t len) {
  aq_http_parse *p = parse_of(m);
  (void)len;
  if (p->extension == 0) p->extension = place_of(p, at);
  return 0;
}

static int on_chunk_header(llhttp_t *m) {
  aq_http_parse *p = parse_of(m);
  p->left = m->content_length;
  return told(p, AQ_HTTP_MORE);
}

static int on_message_complete(llhttp_t *m) { return told(parse_of(m), AQ_HTTP_END); }

static const llhttp_settings_t settings = {
    .on_method = on_text,
    .on_method_complete = on_method_complete,
    .on_url = on_text,
    .on_url_complete = on_url_complete,
    .on_protocol = on_protocol,
    .on_protocol_complete = on_protocol_complete,
    .on_version = on_text,
    .on_version_complete = on_version_complete,
    .on_header_field = on_text,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_text,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_extension,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

/* ---- the request ---- */

void aq_http_parse_init(aq_http_parse *p) {
  *p = (aq_http_parse){.stage = START, .text = AQ_BUF(AQ_HTTP_HEAD_MAX)};
  llhttp_init(&p->machine, HTTP_REQUEST, &settings);
}

void aq_http_parse_reset(aq_http_parse *p) {
  aq_buf_free(&p->text);
  aq_http_parse_init(p);
}

bool aq_http_parse_begun(const aq_http_parse *p) { return p->stage != START; }

const char *aq_http_parse_method(const aq_http_parse *p) { return p->mark > 0 ? (const char *)p->text.ptr : ""; }

static aq_http_step bad(aq_http_parse *p, int code) {
  p->stage = BAD, p->refuse = code;
  return AQ_HTTP_BAD;
}

/* One blank line before a request is read over, as some send one behind a body (RFC 9112, 2.2). The machine would take
   any number, and bare line feeds. */
static void take_blank(aq_http_parse *p, aq_bytes *in) {
  while (in->len > 0 && p->stage < HEAD) {
    char c = (char)in->ptr[0];
    if (c == '\r' ? p->stage != START : (c == '\n') != (p->stage == BLANK_LF))
      bad(p, 400);
    else
      p->stage = c == '\r' ? BLANK_LF : c == '\n' ? BLANK : HEAD;
    if (p->stage >= HEAD) return;
    *in = aq_bytes_sub(*in, 1, in->len - 1);
  }
}

/* Of the byte c that the machine could not take, with so many before it. */
static int code_of(const aq_http_parse *p, llhttp_errno_t why, char c, size_t place) {
  if (p->refuse || p->text.failed) return p->refuse ? p->refuse : 503;
  const char *reason = llhttp_get_error_reason(&p->machine);
  /* One of the methods is expected: another token, or the end of one. */
  if (why == HPE_INVALID_METHOD) return aq_http_is_token(c) || (c == ' ' && place > 0) ? 501 : 400;
  if (why == HPE_INVALID_VERSION) return p->text.len - p->mark == 3 ? 505 : 400; /* well formed, or not */
  return why == HPE_INVALID_CONTENT_LENGTH && strstr(reason, "overflow") ? 413 : 400;
}

/* What may still come of the head, a line, the trailers; everything of a body. */
static size_t room(const aq_http_parse *p) {
  switch (p->stage) {
    case HEAD: return AQ_HTTP_HEAD_MAX - p->used;
    case CHUNK_LINE: return AQ_HTTP_CHUNK_LINE_MAX - p->used;
    case TRAILER: return AQ_HTTP_TRAILER_MAX - p->used;
    default: return SIZE_MAX;
  }
}

static void enter(aq_http_parse *p, int stage) {
  p->stage = stage;
  p->used = p->at = p->extension = 0;
}

/* The line of a chunk's size has come. */
static bool chunk_begins(aq_http_parse *p) {
  size_t size_end = p->extension ? p->extension - 1 : p->used - 2;
  if (size_end - p->at > SIZE_DIGITS_MAX) return false;
  enter(p, p->left > 0 ? BODY : TRAILER);
  return true;
}

static aq_http_step stopped(aq_http_parse *p, aq_bytes *data) {
  p->paused = true;
  if (p->text.failed) return bad(p, 503);
  if (p->event == AQ_HTTP_MORE) return chunk_begins(p) ? AQ_HTTP_MORE : bad(p, 400);
  if (p->event == AQ_HTTP_HEAD) enter(p, p->machine.flags & F_CHUNKED ? CHUNK_LINE : BODY);
  if (p->event == AQ_HTTP_END) p->stage = END;
  if (p->event != AQ_HTTP_DATA) return p->event;
  *data = p->data;
  if (p->left == 0) return p->event;
  p->left -= p->data.len;
  if (p->left == 0) enter(p, CHUNK_LINE), p->at = 2; /* behind the chunk's end */
  return p->event;
}

aq_http_step aq_http_parse_next(aq_http_parse *p, aq_bytes *in, aq_bytes *data) {
  take_blank(p, in);
  while (p->stage != BAD && p->stage != END) {
    if (in->len == 0 && !p->paused) return AQ_HTTP_MORE;
    size_t take = in->len < room(p) ? in->len : room(p);
    p->piece = take ? (const char *)in->ptr : "";
    if (p->paused) llhttp_resume(&p->machine);
    p->paused = false;
    llhttp_errno_t why = llhttp_execute(&p->machine, p->piece, take);
    size_t went = why == HPE_OK ? take : (size_t)(llhttp_get_error_pos(&p->machine) - p->piece);
    p->used += went;
    *in = aq_bytes_sub(*in, went, in->len - went);
    if (why != HPE_OK && why != HPE_PAUSED) return bad(p, code_of(p, why, went < take ? p->piece[went] : 0, p->used));
    if (why == HPE_PAUSED) {
      aq_http_step step = stopped(p, data);
      if (step != AQ_HTTP_MORE) return step;
    } else if (room(p) == 0) {
      return bad(p, p->stage != HEAD ? 400 : p->header_cnt > 0 || p->at > 0 ? 431 : 414);
    }
  }
  return p->stage == END ? AQ_HTTP_END : AQ_HTTP_BAD;
}

/* ---- the head ---- */

static size_t count(const aq_http_head *h, const char *name, const char **value) {
  size_t cnt = 0;
  for (size_t i = 0; i < h->header_cnt; i++) {
    if (strcasecmp(h->header[i].name, name) != 0) continue;
    *value = h->header[i].value;
    cnt++;
  }
  return cnt;
}

/* Where the body ends must have one meaning. One length in digits, and not with chunks, the machine sees to; it would
   take other codings before chunks, and chunks in HTTP/1.0. */
static int check_framing(aq_http_head *h) {
  const char *length = NULL, *coding = NULL, *host = NULL, *expect = NULL;
  size_t codings = count(h, "Transfer-Encoding", &coding), hosts = count(h, "Host", &host);
  if (hosts > 1 || (hosts == 0 && !h->old)) return 400;
  if (codings > 1 || (codings && (h->old || strcasecmp(coding, "chunked") != 0))) return 400;
  h->chunked = codings > 0;
  if (count(h, "Content-Length", &length) > 0 && aq_u64_parse(&h->length, aq_bytes_str(length)) != AQ_OK) return 400;
  if (count(h, "Expect", &expect) == 0 || h->old) return 0;
  if (strcasecmp(expect, "100-continue") != 0) return 417;
  h->expects = h->chunked || h->length > 0;
  return 0;
}

static char *take_text(char **at) {
  char *text = *at;
  *at += strlen(text) + 1;
  return text;
}

int aq_http_parse_head(aq_http_head *out, aq_http_parse *p) {
  char *at = (char *)p->text.ptr;
  *out = (aq_http_head){.header_cnt = p->header_cnt, .old = llhttp_get_http_minor(&p->machine) == 0};
  out->method = take_text(&at);
  out->target = take_text(&at);
  for (size_t i = 0; i < out->header_cnt; i++) {
    out->header[i].name = take_text(&at);
    out->header[i].value = take_text(&at);
    if (strcasecmp(out->header[i].name, "Connection") == 0)
      out->close = out->close || aq_http_list_has(out->header[i].value, "close");
  }
  out->close = out->close || out->old;
  return check_framing(out);
}
