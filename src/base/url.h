/* base/url.h - addresses of servers that an operator names, read once, at the start:
   http(s)://[user[:password]@]host[:port][/path][?query]. Spec: RFC 3986, less what such an address has no use for.
   What is kept is one text in normal form; a request's URL is put together from it. User, path and query may be
   secrets: logs, labels and errors show the site only. Resolves nothing. */
#ifndef AQ_BASE_URL_H
#define AQ_BASE_URL_H

#include "base/bytes.h"

/* A key in a path or a token as a password are some hundred bytes; names of hosts end at 253 (RFC 1035). */
enum { AQ_URL_MAX = 2047, AQ_URL_HOST_MAX = 253, AQ_URL_SITE_MAX = 8 + 2 + AQ_URL_HOST_MAX + 6 };

/* Normal form: no blanks around it, scheme and host in lower case, no port that is empty, no slash at the end.
   AQ_E_FORMAT, AQ_E_LIMIT with why and the mend, in which nothing of the text stands but a site. */
AQ_NODISCARD aq_status aq_url_parse(char out[AQ_URL_MAX + 1], const char *text, aq_err *err);

/* scheme://host[:port] of a URL in normal form, also of a request's; "" when it is none. */
void aq_url_site(char out[AQ_URL_SITE_MAX + 1], const char *url);
bool aq_url_has_user(const char *url);
bool aq_url_is_tls(const char *url);

/* Appends the URL of a request: path begins with '/' and may have a query, before which those of the address come. */
void aq_url_request(aq_buf *out, const char *url, const char *path);

/* A name as in RFC 1123, with the underscores that container networks use, or an IPv4 address. */
bool aq_host_name_ok(aq_bytes host);

#endif
