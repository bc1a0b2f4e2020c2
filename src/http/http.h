/* http/http.h - what every HTTP surface reads: headers, queries, paths. Pure. Spec: RFC 9110, 9112. */
#ifndef AQ_HTTP_HTTP_H
#define AQ_HTTP_HTTP_H

#include "port/http.h"

/* Value of the first header of that name, any case; NULL when absent. */
const char *aq_http_header_get(const aq_http_headers *h, const char *name);

/* A character of methods and names of headers (RFC 9110, 5.6.2). */
static inline bool aq_http_is_token(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* Whether a comma-separated list, as Connection's value is one, has that token, in any case. */
bool aq_http_list_has(const char *list, const char *token);
/* A header that describes one connection, or that a Connection header of h names: a proxy keeps it to itself (RFC 9110,
   7.6.1). */
bool aq_http_hop_by_hop(const aq_http_headers *h, const char *name);

/* Value of a query parameter, percent-decoded into out (0-terminated). Returns false when absent or too long. */
bool aq_http_query_get(const char *query, const char *name, char *out, size_t out_len);
/* The nth (from 0) occurrence; for repeated parameters. */
bool aq_http_query_nth(const char *query, const char *name, size_t nth, char *out, size_t out_len);
/* All of them in one pass: the first value from *at on (the query, to begin with), which moves behind it.
   AQ_E_NOTFOUND: none is left; AQ_E_FORMAT: a bad escape, or too long for out. */
AQ_NODISCARD aq_status aq_http_query_next(const char **at, const char *name, char *out, size_t out_len);

enum { AQ_HTTP_PARAM_MAX = 127, AQ_HTTP_PARAMS_MAX = 2 };

/* Matches a path against a template in which {} stands for one segment that is not empty. The segments go into param in
   order, cut to fit; param may be NULL. */
bool aq_http_match(const char *template, const char *path, char (*param)[AQ_HTTP_PARAM_MAX + 1]);

#endif
