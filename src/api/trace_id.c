/* What a client names its request is printed only when it is short and harmless. */
#include "api/trace_id.h"
#include "http/http.h"

#include <stdio.h>

void aq_trace_id(char out[AQ_TRACE_ID_MAX + 1], const aq_http_req *req, uint64_t now_ns) {
  const char *text = aq_http_header_get(&req->headers, "X-Trace-ID");
  size_t len = text ? strlen(text) : 0;
  bool ok = len > 0 && len <= AQ_TRACE_ID_MAX;
  for (size_t i = 0; ok && i < len; i++) ok = text[i] > ' ' && text[i] < 127;
  if (ok)
    snprintf(out, AQ_TRACE_ID_MAX + 1, "%s", text);
  else
    snprintf(out, AQ_TRACE_ID_MAX + 1, "%llu", (unsigned long long)now_ns);
}
