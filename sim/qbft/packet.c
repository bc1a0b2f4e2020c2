/* Messages under way between the nodes: copied when sent, counted by who still waits for them. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/qbft/world.h"

packet *packet_new(const aq_qbft_msg *m) {
  packet *p = malloc(sizeof *p + m->just_cnt * sizeof p->just[0]);
  AQ_ASSERT(p);
  p->refs = 1;
  p->m = *m;
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    p->just[i] = m->just[i];
    p->just[i].just = NULL;
    p->just[i].just_cnt = 0;
    p->just[i].raw = aq_bytes_of(NULL, 0);
  }
  p->m.just = p->just;
  p->m.raw = aq_bytes_of(NULL, 0);
  return p;
}

void packet_drop(packet *p) {
  if (!p) return;
  AQ_ASSERT(p->refs > 0);
  if (--p->refs == 0) free(p);
}
