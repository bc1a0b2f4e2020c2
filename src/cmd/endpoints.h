/* cmd/endpoints.h - the addresses and headers that flags name, checked before anything starts. What is wrong is told by
   flag and number of the entry, never by the text, in which passwords and keys stand. */
#ifndef AQ_CMD_ENDPOINTS_H
#define AQ_CMD_ENDPOINTS_H

#include "base/option.h"
#include "port/http.h"

enum { AQ_HEADER_TEXT_MAX = 4096 }; /* a line of the HTTP client has room for more */

/* Appends the entries in normal form (base/url.h), at most max in all; empty ones are left out. */
AQ_NODISCARD aq_status aq_endpoints_of(const char **out, size_t *cnt, size_t max, const aq_opt_list *in,
                                       const char *flag, aq_arena *arena, aq_err *err);
/* One address; "" stays "". */
AQ_NODISCARD aq_status aq_endpoint_of(const char **out, const char *text, const char *flag, aq_arena *arena,
                                      aq_err *err);
/* name=value, at most max in all. */
AQ_NODISCARD aq_status aq_headers_of(aq_http_header *out, size_t *cnt, size_t max, const aq_opt_list *in,
                                     const char *flag, aq_arena *arena, aq_err *err);

/* --p2p-external-ip and --p2p-external-hostname; "": not given. */
AQ_NODISCARD aq_status aq_external_check(const char *ip, const char *host, aq_err *err);

#endif
