/* adapter/http_redirect.h - where a redirect leads, and whether it is followed. No sockets. */
#ifndef AQ_ADAPTER_HTTP_REDIRECT_H
#define AQ_ADAPTER_HTTP_REDIRECT_H

#include "base/bytes.h"

enum { AQ_HTTP_LOCATION_MAX = 8192, AQ_HTTP_REDIRECTS_MAX = 5, AQ_HTTP_REDIRECT_BODY_MAX = 64 << 10 };

/* The URL that `location`, a header's value, names for an answer of `from`. AQ_OK: of the same scheme, host and port,
   or from http to https of the same host; the user and password are those of `from`. AQ_E_REFUSED: it leads elsewhere,
   where neither they nor the request's headers may go. AQ_E_FORMAT: no http(s) URL. */
AQ_NODISCARD aq_status aq_http_redirect(aq_buf *out, const char *from, const char *location);

/* Whether an answer of this code is to be sought elsewhere with the same method and body: a POST keeps both, and is not
   made a GET of; 303 says that it is to be one. */
bool aq_http_redirects(int code, const char *method);

#endif
