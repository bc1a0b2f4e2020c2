/* qbft/qbft_store.h - the messages one instance holds. Spec: consensus.md 1.6. A source can fill only its own
   room, and no replay pushes anything out: per source and type 22 of the rounds that matter (two contents a round,
   the newest rounds win), and the ROUND-CHANGEs of its two highest rounds with their certificates. Strict mode:
   Charon's FIFO of 100. Private to qbft. */
#ifndef AQ_QBFT_QBFT_STORE_H
#define AQ_QBFT_QBFT_STORE_H

#include "qbft/qbft.h"

enum {
  AQ_QBFT_GROUP_MAX = 2 * (8 + 3), /* PP, P, C of a source: two contents of round-1 .. round+8 and of one more */
  AQ_QBFT_RC_MAX = 2,
  AQ_QBFT_FIFO_MAX = 100
};

/* A message with its bytes. */
typedef struct {
  aq_qbft_msg m;
  uint8_t raw[AQ_QBFT_RAW_MAX];
} aq_qbft_slot;
void aq_qbft_slot_set(aq_qbft_slot *s, const aq_qbft_msg *m); /* just is left out */

typedef struct aq_qbft_store aq_qbft_store;
size_t aq_qbft_store_size(uint32_t n, bool strict);
aq_qbft_store *aq_qbft_store_init(void *mem, uint32_t n, bool strict);

/* Takes m (justified). AQ_E_DUP: an equal one is held. AQ_E_LIMIT: a third content of its round. AQ_E_STALE: older
   than all that is kept. *other: set to a held message that differs from m in content only, else NULL. */
AQ_NODISCARD aq_status aq_qbft_store_add(aq_qbft_store *s, const aq_qbft_msg *m, const aq_qbft_msg **other);

/* Walks the messages of a type, sources ascending. In strict mode nested ones are met after the message that brought
   them. Start with a zeroed iterator. */
typedef struct {
  uint32_t src, pos, sub;
} aq_qbft_it;
const aq_qbft_msg *aq_qbft_store_next(const aq_qbft_store *s, aq_qbft_it *it, aq_qbft_type type);

#endif
