/* The schedule of forks, domains and signing roots. */
#include "eth/chain.h"

#include "base/time.h"
#include "crypto/hash.h"

aq_fork aq_chain_fork_at(const aq_chain *c, uint64_t epoch) {
  for (unsigned f = AQ_FORK_CNT - 1; f > AQ_PHASE0; f--) {
    if (c->fork[f].epoch != AQ_FAR_EPOCH && c->fork[f].epoch <= epoch) return (aq_fork)f;
  }
  return AQ_PHASE0;
}

/* core.md 13.8 */
static const aq_network networks[] = {
    {.name = "mainnet",
     .chain_id = 1,
     .genesis_version = {0x00, 0x00, 0x00, 0x00},
     .capella_version = {0x03, 0x00, 0x00, 0x00},
     .genesis_time_s = 1606824023,
     .slot_s = 12,
     .genesis_validators_root = "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
     .valuable = true},
    {.name = "goerli",
     .chain_id = 5,
     .genesis_version = {0x00, 0x00, 0x10, 0x20},
     .capella_version = {0x03, 0x00, 0x10, 0x20},
     .genesis_time_s = 1616508000,
     .slot_s = 12,
     .genesis_validators_root = "043db0d9a83813551ee2f33450d23797757d430911a9320530ad8a0eabc43efb"},
    {.name = "gnosis",
     .chain_id = 100,
     .genesis_version = {0x00, 0x00, 0x00, 0x64},
     .capella_version = {0x03, 0x00, 0x00, 0x64},
     .genesis_time_s = 1638993340,
     .slot_s = 5,
     .genesis_validators_root = "f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47",
     .valuable = true},
    {.name = "chiado",
     .chain_id = 10200,
     .genesis_version = {0x00, 0x00, 0x00, 0x6f},
     .capella_version = {0x03, 0x00, 0x00, 0x6f},
     .genesis_time_s = 1665396300,
     .slot_s = 5,
     .genesis_validators_root = "9d642dac73058fbf39c0ae41ab1e34e4d889043cb199851ded7095bc99eb4c1e"},
    {.name = "sepolia",
     .chain_id = 11155111,
     .genesis_version = {0x90, 0x00, 0x00, 0x69},
     .capella_version = {0x90, 0x00, 0x00, 0x72},
     .genesis_time_s = 1655733600,
     .slot_s = 12,
     .genesis_validators_root = "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"},
    {.name = "hoodi",
     .chain_id = 560048,
     .genesis_version = {0x10, 0x00, 0x09, 0x10},
     .capella_version = {0x40, 0x00, 0x09, 0x10},
     .genesis_time_s = 1742213400,
     .slot_s = 12,
     .genesis_validators_root = "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"},
};

const aq_network *aq_network_by_name(const char *name) {
  if (strcmp(name, "prater") == 0) name = "goerli";
  for (size_t i = 0; i < AQ_COUNT(networks); i++) {
    if (strcmp(networks[i].name, name) == 0) return &networks[i];
  }
  return NULL;
}

const aq_network *aq_network_by_version(const uint8_t version[4]) {
  for (size_t i = 0; i < AQ_COUNT(networks); i++) {
    if (memcmp(networks[i].genesis_version, version, 4) == 0) return &networks[i];
  }
  return NULL;
}

void aq_compute_domain(uint8_t out[32], aq_domain_type type, const uint8_t version[4],
                       const uint8_t genesis_validators_root[32]) {
  uint8_t chunk[32] = {0}, fork_data_root[32];
  memcpy(chunk, version, 4);
  aq_sha256_pair(fork_data_root, chunk, genesis_validators_root);
  aq_be32_put(out, (uint32_t)type);
  memcpy(out + 4, fork_data_root, 28);
}

void aq_signing_root(uint8_t out[32], const uint8_t object_root[32], const uint8_t domain[32]) {
  aq_sha256_pair(out, object_root, domain);
}

void aq_chain_signing_root(uint8_t out[32], const aq_chain *c, aq_domain_type type, uint64_t epoch,
                           const uint8_t object_root[32]) {
  static const uint8_t no_root[32];
  const uint8_t *version = c->fork[aq_chain_fork_at(c, epoch)].version, *root = c->genesis_validators_root;
  if (type == AQ_DOMAIN_APPLICATION_BUILDER || type == AQ_DOMAIN_DEPOSIT) {
    version = c->genesis_version;
    root = no_root;
  } else if (type == AQ_DOMAIN_VOLUNTARY_EXIT && !aq_bytes_is_zero(aq_bytes_of(c->capella_version, 4))) {
    version = c->capella_version; /* EIP-7044 */
  }
  uint8_t domain[32];
  aq_compute_domain(domain, type, version, root);
  aq_signing_root(out, object_root, domain);
}
