/* http/http_fault.h - one mistake, one sentence: what an operator reads when a server cannot be asked, or answers as no
   server of its kind does. The address comes first, as scheme://host:port; never a path, a user, a query or a header.
   The HTTP client knows the fault (aq_httpc_res.why), the caller the answer's code. */
#ifndef AQ_HTTP_HTTP_FAULT_H
#define AQ_HTTP_HTTP_FAULT_H

#include "base/bytes.h"

enum { AQ_HTTP_WHY_MAX = 320 };

typedef enum {
  AQ_HTTP_FAULT_OTHER,
  AQ_HTTP_FAULT_NAME,          /* has no address */
  AQ_HTTP_FAULT_REFUSED,       /* nothing listens */
  AQ_HTTP_FAULT_UNREACHABLE,   /* no way there */
  AQ_HTTP_FAULT_NO_CONNECTION, /* none in time */
  AQ_HTTP_FAULT_SLOW,          /* connected, no answer in time */
  AQ_HTTP_FAULT_UNTRUSTED,
  AQ_HTTP_FAULT_EXPIRED,
  AQ_HTTP_FAULT_NOT_YET,
  AQ_HTTP_FAULT_OTHER_NAME, /* of the certificate */
  AQ_HTTP_FAULT_PLAIN,      /* TLS was spoken to a port of plain HTTP */
  AQ_HTTP_FAULT_WANTS_TLS,  /* plain HTTP to a port of TLS */
  AQ_HTTP_FAULT_TLS,        /* another failure of the handshake */
  AQ_HTTP_FAULT_NOT_HTTP,
  AQ_HTTP_FAULT_SILENT, /* closed without a byte of an answer */
  AQ_HTTP_FAULT_BROKEN, /* amid an answer */
  AQ_HTTP_FAULT_TOO_LONG,
  AQ_HTTP_FAULT_CNT
} aq_http_fault;

void aq_http_fault_text(char out[AQ_HTTP_WHY_MAX], const char *site, aq_http_fault fault);
/* Of an answer with a code outside 200..299; body as far as it is known. */
void aq_http_code_text(char out[AQ_HTTP_WHY_MAX], const char *site, int code, aq_bytes body);

#endif
