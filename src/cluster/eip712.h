/* cluster/eip712.h - the typed messages that operators and creators sign with their Ethereum keys. Spec: cluster.md
   2.9. */
#ifndef AQ_CLUSTER_EIP712_H
#define AQ_CLUSTER_EIP712_H

#include "base/bytes.h"

typedef enum {
  AQ_EIP712_CREATOR_CONFIG,  /* v1.4 on */
  AQ_EIP712_OPERATOR_CONFIG, /* v1.4 on */
  AQ_EIP712_CONFIG,          /* v1.3 */
  AQ_EIP712_ENR,
  AQ_EIP712_TERMS /* terms and conditions, version 1; its domain has no chain id */
} aq_eip712_kind;

/* value: the ENR, or a hash as text "0x...". */
void aq_eip712_digest(uint8_t out[32], aq_eip712_kind kind, const char *value, uint64_t chain_id);

/* EIP-55 text of an address, "0x" and 40 digits. */
void aq_address_text(char out[43], const uint8_t address[20]);
/* "0x" and 40 hex digits of any case. */
AQ_NODISCARD aq_status aq_address_parse(uint8_t out[20], const char *text);
bool aq_address_is_checksummed(const char *text); /* exactly the EIP-55 form */

/* AQ_OK: the 65-byte signature of the digest recovers to the address. AQ_E_AUTH: it does not. AQ_E_UNSUPPORTED:
   several signatures in one, which only a contract on chain can judge. AQ_E_FORMAT: the address or the length is
   wrong. */
AQ_NODISCARD aq_status aq_eip712_verify(const char *address, aq_bytes sig, const uint8_t digest[32]);

#endif
