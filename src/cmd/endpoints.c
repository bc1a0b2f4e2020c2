/* Each address is read as the client will read it; the flag that named it stands in the message. */
#include "cmd/endpoints.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/url.h"
#include "http/http.h"

/* ---- endpoints ---- */

static aq_status take(const char **out, const char *text, const char *flag, size_t nth, aq_arena *arena, aq_err *err) {
  char url[AQ_URL_MAX + 1], entry[32] = "";
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_url_parse(url, text, &why);
  if (nth) snprintf(entry, sizeof entry, ", entry %zu", nth);
  if (st != AQ_OK) return aq_fail(err, st, "--%s%s: %s", flag, entry, why.text);
  *out = aq_arena_str(arena, aq_bytes_str(url));
  return *out ? AQ_OK : aq_fail(err, AQ_E_LIMIT, "out of memory");
}

aq_status aq_endpoint_of(const char **out, const char *text, const char *flag, aq_arena *arena, aq_err *err) {
  *out = text;
  return text[0] ? take(out, text, flag, 0, arena, err) : AQ_OK;
}

aq_status aq_endpoints_of(const char **out, size_t *cnt, size_t max, const aq_opt_list *in, const char *flag,
                          aq_arena *arena, aq_err *err) {
  for (size_t i = 0; i < in->cnt; i++) {
    if (!in->item[i][0]) continue;
    if (*cnt == max) return aq_fail(err, AQ_E_LIMIT, "--%s: at most %zu entries", flag, max);
    aq_status st = take(&out[*cnt], in->item[i], flag, in->cnt > 1 ? i + 1 : 0, arena, err);
    if (st != AQ_OK) return st;
    ++*cnt;
  }
  return AQ_OK;
}

/* ---- headers ---- */

static bool is_token(aq_bytes t) {
  for (size_t i = 0; i < t.len; i++) {
    if (!aq_http_is_token((char)t.ptr[i])) return false;
  }
  return t.len > 0;
}

static const char *header_fault(const char *text) {
  const char *value = strchr(text, '=');
  if (!value) return "it is not of the form name=value";
  if (strlen(text) > AQ_HEADER_TEXT_MAX) return "it is over 4096 characters";
  if (!is_token(aq_bytes_of(text, (size_t)(value - text)))) return "what stands before the = is no name of a header";
  for (value++; *value; value++) {
    if ((unsigned char)*value < ' ' || *value == 0x7f) return "its value has a control character";
  }
  return NULL;
}

aq_status aq_headers_of(aq_http_header *out, size_t *cnt, size_t max, const aq_opt_list *in, const char *flag,
                        aq_arena *arena, aq_err *err) {
  for (size_t i = 0; i < in->cnt; i++) {
    if (!in->item[i][0]) continue;
    const char *fault = header_fault(in->item[i]);
    if (fault) return aq_fail(err, AQ_E_FORMAT, "--%s, entry %zu: %s", flag, i + 1, fault);
    if (*cnt == max) return aq_fail(err, AQ_E_LIMIT, "--%s: at most %zu entries", flag, max);
    size_t name = strcspn(in->item[i], "=");
    const char *key = aq_arena_str(arena, aq_bytes_of(in->item[i], name));
    if (!key) return aq_fail(err, AQ_E_LIMIT, "out of memory");
    out[(*cnt)++] = (aq_http_header){key, in->item[i] + name + 1};
  }
  return AQ_OK;
}

/* ---- what peers are told ---- */

static aq_status check_ip(const char *ip, aq_err *err) {
  struct in6_addr v6;
  struct in_addr v4;
  bool is_v4 = inet_pton(AF_INET, ip, &v4) == 1, is_v6 = !is_v4 && inet_pton(AF_INET6, ip, &v6) == 1;
  if (!is_v4 && !is_v6) {
    return aq_fail(err, AQ_E_FORMAT,
                   "--p2p-external-ip: \"%.60s\" is no IPv4 or IPv6 address: write it without brackets and port (the "
                   "port is that of --p2p-tcp-address), and a name as --p2p-external-hostname",
                   ip);
  }
  static const struct in6_addr any;
  bool nowhere = is_v4 ? v4.s_addr == 0 : memcmp(&v6, &any, sizeof any) == 0;
  return nowhere ? aq_fail(err, AQ_E_FORMAT, "--p2p-external-ip: %s is every address: name the one that peers dial", ip)
                 : AQ_OK;
}

aq_status aq_external_check(const char *ip, const char *host, aq_err *err) {
  if (ip[0]) {
    aq_status st = check_ip(ip, err);
    if (st != AQ_OK) return st;
  }
  if (!host[0] || aq_host_name_ok(aq_bytes_str(host))) return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT,
                 "--p2p-external-hostname: \"%.60s\" is no name of a host: write it without scheme and port (the port "
                 "is that of --p2p-tcp-address), and an IPv6 address as --p2p-external-ip",
                 host);
}
