/* One address is read piece by piece, so that what is wrong with it can be named without showing its password. */
#include "base/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/hex.h"

enum { ZONE_MAX = 3 + 15 }; /* %25, then the name of an interface */

static aq_bytes trim(aq_bytes t) {
  while (t.len && memchr(" \t\r\n", t.ptr[0], 4)) t.ptr++, t.len--;
  while (t.len && memchr(" \t\r\n", t.ptr[t.len - 1], 4)) t.len--;
  return t;
}

/* Up to the first of these characters. */
static size_t until(aq_bytes t, const char *ends) {
  size_t len = 0;
  while (len < t.len && !strchr(ends, t.ptr[len])) len++;
  return len;
}

static aq_bytes after(aq_bytes t, size_t len) { return aq_bytes_sub(t, len, t.len - len); }

/* ---- parts ---- */

/* "https://" in any case; 0: another scheme, or none. */
static size_t scheme_len(aq_bytes t) {
  static const char *const scheme[] = {"http://", "https://"};
  for (size_t i = 0; i < AQ_COUNT(scheme); i++) {
    size_t len = strlen(scheme[i]);
    if (t.len >= len && strncasecmp((const char *)t.ptr, scheme[i], len) == 0) return len;
  }
  return 0;
}

bool aq_url_is_tls(const char *url) { return scheme_len(aq_bytes_str(url)) == sizeof "https://" - 1; }

bool aq_host_name_ok(aq_bytes host) {
  bool number = true;
  if (host.len == 0 || host.len > AQ_URL_HOST_MAX || host.ptr[0] == '.' || host.ptr[0] == '-') return false;
  for (size_t i = 0; i < host.len; i++) {
    uint8_t c = host.ptr[i];
    if (c > 0x7f || (!isalnum(c) && c != '.' && c != '-' && c != '_')) return false;
    if (c == '.' && i > 0 && host.ptr[i - 1] == '.') return false;
    number &= isdigit(c) || c == '.';
  }
  char text[AQ_URL_HOST_MAX + 1];
  struct in_addr v4;
  memcpy(text, host.ptr, host.len);
  text[host.len] = 0;
  return !number || inet_pton(AF_INET, text, &v4) == 1;
}

/* With its brackets, in the form that everybody writes alike (RFC 5952); a zone is written %25eth0 (RFC 6874). */
static bool v6_normal(char out[AQ_URL_HOST_MAX + 1], aq_bytes host) {
  char text[INET6_ADDRSTRLEN];
  struct in6_addr v6;
  if (host.len < 2 || host.ptr[0] != '[' || host.ptr[host.len - 1] != ']') return false;
  aq_bytes in = aq_bytes_sub(host, 1, host.len - 2);
  size_t len = until(in, "%");
  aq_bytes zone = after(in, len);
  if (len >= sizeof text || zone.len > ZONE_MAX || (zone.len && (zone.len < 4 || memcmp(zone.ptr, "%25", 3) != 0)))
    return false;
  for (size_t i = 3; i < zone.len; i++) {
    if (zone.ptr[i] > 0x7f || !(isalnum(zone.ptr[i]) || strchr("-._", zone.ptr[i]))) return false;
  }
  memcpy(text, in.ptr, len);
  text[len] = 0;
  if (strlen(text) != len || inet_pton(AF_INET6, text, &v6) != 1) return false;
  inet_ntop(AF_INET6, &v6, text, sizeof text);
  snprintf(out, AQ_URL_HOST_MAX + 1, "[%s%.*s]", text, (int)zone.len, (const char *)zone.ptr);
  return true;
}

static aq_status check_host(aq_bytes host, aq_err *err) {
  char normal[AQ_URL_HOST_MAX + 1];
  if (host.len == 0) return aq_fail(err, AQ_E_FORMAT, "it names no host");
  if (v6_normal(normal, host)) return AQ_OK;
  if (host.ptr[0] == '[') return aq_fail(err, AQ_E_FORMAT, "what stands in brackets is no IPv6 address");
  if (aq_host_name_ok(host)) return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT,
                 "its host is neither a name nor an address (names beyond ASCII: in their xn-- form)");
}

/* Visible ASCII, and % with two digits after it. */
static aq_status check_text(const char *part, aq_bytes t, const char *refused, aq_err *err) {
  for (size_t i = 0; i < t.len; i++) {
    uint8_t c = t.ptr[i], value;
    if (c <= ' ' || c >= 0x7f || strchr(refused, c))
      return aq_fail(err, AQ_E_FORMAT, "its %s has a character that stands there as %%%02X only", part, c);
    if (c != '%') continue;
    if (t.len - i < 3 || aq_hex_decode(&value, 1, aq_bytes_sub(t, i + 1, 2), AQ_HEX_BARE) != AQ_OK)
      return aq_fail(err, AQ_E_FORMAT, "its %s has a %% without two hexadecimal digits: a %% is written %%25", part);
    if (value < ' ' || value == 0x7f) return aq_fail(err, AQ_E_FORMAT, "its %s has a control character", part);
  }
  return AQ_OK;
}

/* From behind: the host of an IPv6 address has colons of its own. */
static aq_status split_port(aq_bytes *host, aq_bytes *port, aq_bytes authority, bool has_user, aq_err *err) {
  size_t at = authority.len;
  uint64_t number;
  *port = aq_bytes_of("", 0);
  while (at > 0 && authority.ptr[at - 1] != ':' && authority.ptr[at - 1] != ']') at--;
  bool has_port = at > 0 && authority.ptr[at - 1] == ':';
  *host = has_port ? aq_bytes_sub(authority, 0, at - 1) : authority;
  if (has_port) *port = after(authority, at);
  if (host->len && host->ptr[0] != '[' && memchr(host->ptr, ':', host->len))
    return aq_fail(err, AQ_E_FORMAT, "an IPv6 address stands in brackets: http://[::1]:5052");
  if (port->len == 0 || (aq_u64_parse(&number, *port) == AQ_OK && number > 0 && number <= UINT16_MAX)) return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT, "its port is no number from 1 to 65535%s",
                 has_user ? "" : " (in a user or password / is written %2F, ? %3F and # %23)");
}

/* Requests bring their own: http://host/eth/v1 would ask for /eth/v1/eth/v1/... */
static aq_status check_path(aq_bytes path, aq_err *err) {
  size_t digits = 0;
  while (digits < path.len && isdigit(path.ptr[path.len - 1 - digits])) digits++;
  aq_bytes before = aq_bytes_sub(path, 0, path.len - digits);
  if (digits > 0 && before.len >= 6 && memcmp(before.ptr + before.len - 6, "/eth/v", 6) == 0)
    return aq_fail(err, AQ_E_FORMAT, "its path ends in /eth/v%.*s: name only what comes before that",
                   (int)(digits > 3 ? 3 : digits), (const char *)before.ptr + before.len);
  return check_text("path", path, "\"<>\\^`{|}", err);
}

/* ---- the whole ---- */

typedef struct {
  bool tls;
  aq_bytes user, host, port, path, query; /* user: with its '@' */
} parts;

static aq_status split(parts *p, aq_bytes t, size_t scheme, aq_err *err) {
  p->tls = aq_url_is_tls((const char *)t.ptr);
  t = after(t, scheme);
  if (memchr(t.ptr, ' ', t.len))
    return aq_fail(err, AQ_E_FORMAT, "it has a blank inside: addresses are separated by commas");
  if (memchr(t.ptr, '#', t.len))
    return aq_fail(err, AQ_E_FORMAT, "a part after # means nothing here (in a password # is written %%23)");
  aq_bytes authority = aq_bytes_sub(t, 0, until(t, "/?"));
  t = after(t, authority.len);
  size_t user = until(authority, "@");
  p->user = aq_bytes_sub(authority, 0, user < authority.len ? user + 1 : 0);
  authority = after(authority, p->user.len);
  if (memchr(authority.ptr, '@', authority.len))
    return aq_fail(err, AQ_E_FORMAT, "in a user or password @ is written %%40");
  aq_status st = split_port(&p->host, &p->port, authority, p->user.len > 0, err);
  if (st == AQ_OK) st = check_host(p->host, err);
  if (st == AQ_OK && p->user.len)
    st = check_text("user or password", aq_bytes_sub(p->user, 0, p->user.len - 1), "\"<>[\\]^`{|}", err);
  p->path = aq_bytes_sub(t, 0, until(t, "?"));
  p->query = after(t, p->path.len);
  if (p->query.len) p->query = after(p->query, 1);
  while (p->path.len && p->path.ptr[p->path.len - 1] == '/') p->path.len--;
  if (st == AQ_OK) st = check_path(p->path, err);
  return st == AQ_OK ? check_text("query", p->query, "\"<>\\^`{|}", err) : st;
}

static aq_status put_normal(char out[AQ_URL_MAX + 1], const parts *p, aq_err *err) {
  char host[AQ_URL_HOST_MAX + 1];
  aq_buf b = AQ_BUF(AQ_URL_MAX);
  aq_buf_put_str(&b, p->tls ? "https://" : "http://");
  aq_buf_put_bytes(&b, p->user);
  if (v6_normal(host, p->host))
    aq_buf_put_str(&b, host);
  else
    for (size_t i = 0; i < p->host.len; i++) aq_buf_put_u8(&b, (uint8_t)tolower(p->host.ptr[i]));
  if (p->port.len) aq_buf_put_u8(&b, ':');
  aq_bytes port = p->port;
  while (port.len && *port.ptr == '0') port.ptr++, port.len--;
  aq_buf_put_bytes(&b, port);
  aq_buf_put_bytes(&b, p->path);
  if (p->query.len) aq_buf_put_u8(&b, '?');
  aq_buf_put_bytes(&b, p->query);
  memcpy(out, aq_buf_cstr(&b), b.len + 1);
  aq_status st = b.failed ? aq_fail(err, AQ_E_LIMIT, "it is over %d characters", AQ_URL_MAX) : AQ_OK;
  aq_buf_free(&b);
  return st;
}

/* "127.0.0.1:5052": most often only the scheme was left out. */
static aq_status no_scheme(aq_bytes t, aq_err *err) {
  aq_buf with = AQ_BUF(AQ_URL_MAX + sizeof "http://");
  char url[AQ_URL_MAX + 1], site[AQ_URL_SITE_MAX + 1] = "";
  aq_buf_put_str(&with, "http://");
  aq_buf_put_bytes(&with, t);
  bool other = memmem(t.ptr, t.len, ":/", 2) != NULL;
  if (!other && strlen(aq_buf_cstr(&with)) == with.len && aq_url_parse(url, aq_buf_cstr(&with), NULL) == AQ_OK)
    aq_url_site(site, url);
  aq_buf_free(&with);
  if (site[0]) return aq_fail(err, AQ_E_FORMAT, "it is no http or https URL: did you mean %.120s?", site);
  return aq_fail(err, AQ_E_FORMAT, "it is no http or https URL: write http://HOST:PORT or https://HOST");
}

aq_status aq_url_parse(char out[AQ_URL_MAX + 1], const char *text, aq_err *err) {
  parts p = {0};
  aq_bytes t = trim(aq_bytes_str(text));
  size_t scheme = scheme_len(t);
  if (t.len > AQ_URL_MAX) return aq_fail(err, AQ_E_LIMIT, "it is over %d characters", AQ_URL_MAX);
  if (!scheme) return no_scheme(t, err);
  aq_status st = split(&p, t, scheme, err);
  return st == AQ_OK ? put_normal(out, &p, err) : st;
}

/* ---- its uses ---- */

/* The authority: what stands between the scheme and the path. */
static aq_bytes authority_of(const char *url, size_t *scheme) {
  *scheme = scheme_len(aq_bytes_str(url));
  return *scheme ? aq_bytes_of(url + *scheme, strcspn(url + *scheme, "/?#")) : aq_bytes_of("", 0);
}

void aq_url_site(char out[AQ_URL_SITE_MAX + 1], const char *url) {
  size_t scheme, from;
  aq_bytes a = authority_of(url, &scheme);
  for (from = a.len; from > 0 && a.ptr[from - 1] != '@';) from--;
  if (scheme == 0 || a.len - from > AQ_URL_SITE_MAX - scheme)
    out[0] = 0;
  else
    snprintf(out, AQ_URL_SITE_MAX + 1, "%.*s%.*s", (int)scheme, url, (int)(a.len - from), (const char *)a.ptr + from);
}

bool aq_url_has_user(const char *url) {
  size_t scheme;
  aq_bytes a = authority_of(url, &scheme);
  return a.len && memchr(a.ptr, '@', a.len);
}

void aq_url_request(aq_buf *out, const char *url, const char *path) {
  size_t base = strcspn(url, "?"), route = strcspn(path, "?");
  const char *own = url[base] ? url + base + 1 : "", *query = path[route] ? path + route + 1 : "";
  aq_buf_put(out, url, base);
  aq_buf_put(out, path, route);
  if (*own || *query) aq_buf_put_u8(out, '?');
  aq_buf_put_str(out, own);
  if (*own && *query) aq_buf_put_u8(out, '&');
  aq_buf_put_str(out, query);
}
