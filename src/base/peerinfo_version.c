/* Every minor of the own major is spoken, and newer majors know ours: only an older major parts a cluster. */
#include "base/peerinfo_version.h"

#include "base/hex.h"

/* The digits at the front; *rest begins behind them. */
static aq_status number(uint64_t *out, aq_bytes *rest) {
  size_t len = 0;
  while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') len++;
  aq_status st = aq_u64_parse(out, aq_bytes_of(rest->ptr, len));
  *rest = aq_bytes_sub(*rest, len, rest->len - len);
  return st;
}

static bool take(aq_bytes *rest, char c) {
  if (rest->len == 0 || rest->ptr[0] != (uint8_t)c) return false;
  *rest = aq_bytes_sub(*rest, 1, rest->len - 1);
  return true;
}

aq_status aq_wire_version_parse(aq_wire_version *out, aq_bytes text) {
  uint64_t patch;
  if (!take(&text, 'v')) return AQ_E_FORMAT;
  if (number(&out->major, &text) != AQ_OK || !take(&text, '.')) return AQ_E_FORMAT;
  if (number(&out->minor, &text) != AQ_OK) return AQ_E_FORMAT;
  if (take(&text, '.') && number(&patch, &text) != AQ_OK) return AQ_E_FORMAT;
  if (take(&text, '-')) return text.len ? AQ_OK : AQ_E_FORMAT;
  return text.len == 0 ? AQ_OK : AQ_E_FORMAT;
}

bool aq_wire_version_ok(const aq_wire_version *own, aq_bytes peer) {
  aq_wire_version v;
  if (aq_wire_version_parse(&v, peer) != AQ_OK) return false;
  return v.major >= own->major; /* every minor of the own major is spoken, and newer ones know ours */
}

bool aq_git_hash_ok(const char *text) {
  if (strcmp(text, "unknown") == 0) return true;
  return strlen(text) == 7 && strspn(text, "0123456789abcdef") == 7;
}
