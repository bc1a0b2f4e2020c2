/* identity/identity.h - ENR and peer id. Spec: cluster.md 1, wire.md 1. */
#ifndef AQ_IDENTITY_IDENTITY_H
#define AQ_IDENTITY_IDENTITY_H

#include "base/bytes.h"
#include "crypto/k1.h"

enum { AQ_PEER_ID_LEN = 39, AQ_PEER_ID_TEXT_MAX = 64, AQ_ENR_TEXT_MAX = 1024 };

void aq_peer_id(uint8_t out[AQ_PEER_ID_LEN], const uint8_t pubkey[33]);
void aq_peer_id_text(char out[AQ_PEER_ID_TEXT_MAX], const uint8_t pubkey[33]); /* base58 */
AQ_NODISCARD aq_status aq_peer_id_parse(uint8_t pubkey[33], aq_bytes text);    /* base58 or CIDv1 */
AQ_NODISCARD aq_status aq_peer_id_pubkey(uint8_t pubkey[33], aq_bytes id);     /* binary */
void aq_peer_name(char out[32], const uint8_t pubkey[33]); /* "adjective-noun", for logs and metrics */

typedef struct {
  uint64_t seq;
  uint8_t pubkey[33];
  bool has_ip, has_tcp, has_udp, has_ip6, has_tcp6;
  uint8_t ip[4], ip6[16];
  uint16_t tcp, udp, tcp6; /* no tcp6: tcp is for both (EIP-778) */
} aq_enr;
AQ_NODISCARD aq_status aq_enr_parse(aq_enr *out, aq_bytes text, aq_err *err); /* signature verified */
AQ_NODISCARD aq_status aq_enr_write(aq_buf *out, const aq_k1_key *key,
                                    const aq_enr *fields); /* fields NULL: key only, seq 0 */

#endif
