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
    {"mainnet",
     1,
     {0x00, 0x00, 0x00, 0x00},
     {0x03, 0x00, 0x00, 0x00},
     1606824023,
     12,
     "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"},
    {"goerli",
     5,
     {0x00, 0x00, 0x10, 0x20},
     {0x03, 0x00, 0x10, 0x20},
     1616508000,
     12,
     "043db0d9a83813551ee2f33450d23797757d430911a9320530ad8a0eabc43efb"},
    {"gnosis",
     100,
     {0x00, 0x00, 0x00, 0x64},
     {0x03, 0x00, 0x00, 0x64},
     1638993340,
     5,
     "f5dcb5564e829aab27264b9becd5dfaa017085611224cb3036f573368dbb9d47"},
    {"chiado",
     10200,
     {0x00, 0x00, 0x00, 0x6f},
     {0x03, 0x00, 0x00, 0x6f},
     1665396300,
     5,
     "9d642dac73058fbf39c0ae41ab1e34e4d889043cb199851ded7095bc99eb4c1e"},
    {"sepolia",
     11155111,
     {0x90, 0x00, 0x00, 0x69},
     {0x90, 0x00, 0x00, 0x72},
     1655733600,
     12,
     "d8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078"},
    {"hoodi",
     560048,
     {0x10, 0x00, 0x09, 0x10},
     {0x40, 0x00, 0x09, 0x10},
     1742213400,
     12,
     "212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"},
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
