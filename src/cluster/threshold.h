/* cluster/threshold.h - how many shares make a signature. With n operators f = (n-1)/3 of them may be hostile, and all
   promises rest on that: f shares alone must never make a signature (docs/safety.md). */
#ifndef AQ_CLUSTER_THRESHOLD_H
#define AQ_CLUSTER_THRESHOLD_H

#include "base/bytes.h"

static inline uint32_t aq_threshold_default(uint32_t nodes) { return (2 * nodes + 2) / 3; } /* ceil(2n/3) */
static inline uint32_t aq_threshold_faulty(uint32_t nodes) { return (nodes - 1) / 3; }

/* AQ_E_FORMAT: not between 1 and nodes, or f operators could sign alone. nodes >= 1. */
AQ_NODISCARD aq_status aq_threshold_check(uint32_t nodes, uint32_t threshold, aq_err *err);
/* True: it is the default. False: text says what another one costs. */
bool aq_threshold_usual(uint32_t nodes, uint32_t threshold, char text[160]);

#endif
