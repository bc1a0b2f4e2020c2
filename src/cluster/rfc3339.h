/* cluster/rfc3339.h - time stamps of files: "2026-11-23T14:41:33.318153257Z", up to 9 fraction digits, Z or an
   offset. */
#ifndef AQ_CLUSTER_RFC3339_H
#define AQ_CLUSTER_RFC3339_H

#include "base/bytes.h"

enum { AQ_RFC3339_MAX = 40 };

/* Years 1970 to 2261, what unsigned nanoseconds hold with room. AQ_E_FORMAT. */
AQ_NODISCARD aq_status aq_rfc3339_parse(uint64_t *out_ns, aq_bytes text);
/* UTC with Z; the fraction without trailing zeros, none when `seconds` or zero. */
void aq_rfc3339_print(char out[AQ_RFC3339_MAX], uint64_t ns, bool seconds);

#endif
