/* The bounds of `docs/safety.md` as two inequalities. */
#include "cluster/threshold.h"

#include <stdio.h>

aq_status aq_threshold_check(uint32_t nodes, uint32_t threshold, aq_err *err) {
  uint32_t faulty = aq_threshold_faulty(nodes);
  if (threshold < 1 || threshold > nodes)
    return aq_fail(err, AQ_E_FORMAT, "threshold %u is not between 1 and %u", threshold, nodes);
  if (threshold > faulty) return AQ_OK;
  return aq_fail(err, AQ_E_FORMAT,
                 "threshold %u of %u: the %u operators that may be hostile could sign alone; it must be more than %u "
                 "(%u is usual)",
                 threshold, nodes, faulty, faulty, aq_threshold_default(nodes));
}

bool aq_threshold_usual(uint32_t nodes, uint32_t threshold, char text[160]) {
  uint32_t usual = aq_threshold_default(nodes);
  if (threshold == usual) return true;
  snprintf(text, 160, "threshold %u of %u where %u (two thirds, rounded up) is usual: %s", threshold, nodes, usual,
           threshold < usual ? "fewer operators than consensus needs can sign" : "more operators must be up to sign");
  return false;
}
