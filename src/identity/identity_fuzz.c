/* Any bytes as an ENR, as a peer id and as the text of one: a status, and nothing read outside. */
#include "crypto/aead.h"
#include "identity/identity.h"

/* ENR text and peer ids in both forms: any bytes give a status, never a crash. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  aq_crypto_init();
  aq_bytes in = aq_bytes_of(data, len);
  aq_enr enr;
  uint8_t pubkey[33];
  (void)!aq_enr_parse(&enr, in, NULL);
  (void)!aq_peer_id_parse(pubkey, in);
  (void)!aq_peer_id_pubkey(pubkey, in);
  return 0;
}
