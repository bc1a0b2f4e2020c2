/* Flags that belong together: all of them or none. */
#include "cmd/network.h"

#include "base/hex.h"

aq_status aq_network_of_flags(const aq_network **out, aq_network *store, const aq_network_flags *f, aq_err *err) {
  *out = NULL;
  bool any = *f->name || *f->fork_version || f->chain_id || f->genesis_s;
  if (!any) return AQ_OK;
  if (!*f->name || !*f->fork_version || !f->chain_id || !f->genesis_s) {
    return aq_fail(err, AQ_E_FORMAT,
                   "a custom network needs --testnet-name, --testnet-fork-version, --testnet-chain-id and "
                   "--testnet-genesis-timestamp");
  }
  *store = (aq_network){.name = f->name, .chain_id = f->chain_id, .genesis_time_s = f->genesis_s, .slot_s = 12};
  if (aq_hex_decode(store->genesis_version, 4, aq_bytes_str(f->fork_version), AQ_HEX_PREFIX) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "--testnet-fork-version is not 0x and 8 hex digits");
  }
  if (*f->capella && aq_hex_decode(store->capella_version, 4, aq_bytes_str(f->capella), AQ_HEX_PREFIX) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "--testnet-capella-hard-fork is not 0x and 8 hex digits");
  }
  *out = store;
  return AQ_OK;
}
