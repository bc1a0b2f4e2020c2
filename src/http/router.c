/* Which row takes a request. */
#include "http/router.h"

#include <stdio.h>

#include "codec/json_out.h"

static const aq_route *row(aq_routes r, size_t i) { return (const aq_route *)((const char *)r.rows + i * r.size); }

const void *aq_route_find(aq_routes r, const char *method, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]) {
  if (strcmp(method, "TRACE") == 0 || strcmp(method, "CONNECT") == 0) return NULL;
  if (strcmp(method, "HEAD") == 0) method = "GET";
  for (size_t i = 0; i < r.cnt; i++) {
    const aq_route *at = row(r, i);
    if (at->method && strcmp(at->method, method) != 0) continue;
    if (aq_http_match(at->path, path, param)) return at;
  }
  return NULL;
}

void aq_route_allowed(aq_routes r, const char *path, char *out, size_t out_len) {
  size_t len = 0;
  out[0] = 0;
  for (size_t i = 0; i < r.cnt; i++) {
    const aq_route *at = row(r, i);
    if (!at->method || !aq_http_match(at->path, path, NULL) || len >= out_len) continue;
    len += (size_t)snprintf(out + len, out_len - len, "%s%s", len ? ", " : "", at->method);
  }
}

void aq_http_error_json(aq_buf *out, int code, const char *message) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64(&o, "code", (uint64_t)code);
  aq_json_out_str(&o, "message", message);
  aq_json_out_close(&o, '}');
}
