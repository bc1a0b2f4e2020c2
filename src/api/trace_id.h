/* api/trace_id.h - the trace id of a request (contract.md 4): its own X-Trace-ID when that is short and printable,
   else decimal nanoseconds as the Go node made them. */
#ifndef AQ_API_TRACE_ID_H
#define AQ_API_TRACE_ID_H

#include "port/http.h"

enum { AQ_TRACE_ID_MAX = 64 };
void aq_trace_id(char out[AQ_TRACE_ID_MAX + 1], const aq_http_req *req, uint64_t now_ns);

#endif
