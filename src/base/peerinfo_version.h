/* base/peerinfo_version.h - Charon's version rule (wire.md 6). Pure. */
#ifndef AQ_BASE_PEERINFO_VERSION_H
#define AQ_BASE_PEERINFO_VERSION_H

#include "base/bytes.h"

typedef struct {
  uint64_t major, minor;
} aq_wire_version;

/* v<major>.<minor>[.<patch>][-<anything>]; AQ_E_FORMAT. */
AQ_NODISCARD aq_status aq_wire_version_parse(aq_wire_version *out, aq_bytes text);
/* Newer than own, or the same major with a minor that own still speaks (all from 0 on). */
bool aq_wire_version_ok(const aq_wire_version *own, aq_bytes peer);
/* Seven lower-case hex digits, or "unknown". */
bool aq_git_hash_ok(const char *text);

#endif
