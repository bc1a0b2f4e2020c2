/* One domain and one field a message is all of EIP-712 that a lock needs. */
#include "cluster/eip712.h"

#include <stdio.h>

#include "base/hex.h"
#include "crypto/hash.h"
#include "crypto/k1.h"

static void keccak_text(uint8_t out[32], const char *text) { aq_keccak256(out, aq_bytes_str(text)); }

static void put_u256(uint8_t out[32], uint64_t v) {
  memset(out, 0, 24);
  aq_be64_put(out + 24, v);
}

static void domain_separator(uint8_t out[32], bool with_chain, uint64_t chain_id) {
  uint8_t enc[4 * 32];
  keccak_text(enc, with_chain ? "EIP712Domain(string name,string version,uint256 chainId)"
                              : "EIP712Domain(string name,string version)");
  keccak_text(enc + 32, "Obol");
  keccak_text(enc + 64, "1");
  put_u256(enc + 96, chain_id);
  aq_keccak256(out, aq_bytes_of(enc, with_chain ? 128 : 96));
}

void aq_eip712_digest(uint8_t out[32], aq_eip712_kind kind, const char *value, uint64_t chain_id) {
  static const char *const type[] = {
      [AQ_EIP712_CREATOR_CONFIG] = "CreatorConfigHash(string creator_config_hash)",
      [AQ_EIP712_OPERATOR_CONFIG] = "OperatorConfigHash(string operator_config_hash)",
      [AQ_EIP712_CONFIG] = "ConfigHash(string config_hash)",
      [AQ_EIP712_ENR] = "ENR(string enr)",
      [AQ_EIP712_TERMS] = "TermsAndConditions(string terms_and_conditions_hash,uint256 version)",
  };
  bool terms = kind == AQ_EIP712_TERMS;
  uint8_t enc[3 * 32], message[2 + 2 * 32] = {0x19, 0x01};
  keccak_text(enc, type[kind]);
  keccak_text(enc + 32, value);
  put_u256(enc + 64, 1);
  domain_separator(message + 2, !terms, chain_id);
  aq_keccak256(message + 34, aq_bytes_of(enc, terms ? 96 : 64));
  aq_keccak256(out, aq_bytes_of(message, sizeof message));
}

void aq_address_text(char out[43], const uint8_t address[20]) {
  uint8_t hash[32];
  memcpy(out, "0x", 2);
  aq_hex_encode(out + 2, aq_bytes_of(address, 20));
  keccak_text(hash, out + 2);
  for (size_t i = 0; i < 40; i++) {
    unsigned nibble = i % 2 ? hash[i / 2] & 15u : hash[i / 2] >> 4;
    if (nibble >= 8 && out[2 + i] >= 'a') out[2 + i] = (char)(out[2 + i] - 'a' + 'A');
  }
}

aq_status aq_address_parse(uint8_t out[20], const char *text) {
  if (text[0] != '0' || text[1] != 'x') return AQ_E_FORMAT;
  return aq_hex_decode(out, 20, aq_bytes_str(text), AQ_HEX_PREFIX);
}

bool aq_address_is_checksummed(const char *text) {
  uint8_t b[20];
  char want[43];
  if (aq_address_parse(b, text) != AQ_OK) return false;
  aq_address_text(want, b);
  return strcmp(want, text) == 0;
}

aq_status aq_eip712_verify(const char *address, aq_bytes sig, const uint8_t digest[32]) {
  uint8_t want[20], got[20], pubkey[33];
  if (sig.len == 0 || sig.len % 65 != 0 || aq_address_parse(want, address) != AQ_OK) return AQ_E_FORMAT;
  if (sig.len != 65) return AQ_E_UNSUPPORTED;
  if (aq_k1_recover(pubkey, sig.ptr, digest) != AQ_OK) return AQ_E_AUTH;
  aq_k1_eth_address(got, pubkey);
  return memcmp(got, want, sizeof want) == 0 ? AQ_OK : AQ_E_AUTH;
}
