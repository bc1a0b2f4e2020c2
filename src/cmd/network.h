/* cmd/network.h - the --testnet-* flags: a custom network, which goes before the built-in ones. Spec: cluster.md 4.6.
   */
#ifndef AQ_CMD_NETWORK_H
#define AQ_CMD_NETWORK_H

#include "base/option.h"
#include "eth/chain.h"

typedef struct {
  const char *name, *fork_version, *capella;
  uint64_t chain_id, genesis_s;
} aq_network_flags;

/* Rows for a command whose configuration T has the member m of type aq_network_flags. */
#define AQ_NETWORK_OPTIONS(T, m)                                                                                \
  {.flag = "testnet-name", .kind = AQ_OPT_STR, .off = offsetof(T, m.name), .help = "name of a custom network"}, \
      {.flag = "testnet-fork-version",                                                                          \
       .kind = AQ_OPT_STR,                                                                                      \
       .off = offsetof(T, m.fork_version),                                                                      \
       .help = "its genesis fork version, 0x and 8 digits"},                                                    \
      {.flag = "testnet-chain-id", .kind = AQ_OPT_U64, .off = offsetof(T, m.chain_id), .help = "its chain id"}, \
      {.flag = "testnet-genesis-timestamp",                                                                     \
       .kind = AQ_OPT_U64,                                                                                      \
       .off = offsetof(T, m.genesis_s),                                                                         \
       .help = "its genesis time, Unix seconds"},                                                               \
  {                                                                                                             \
    .flag = "testnet-capella-hard-fork", .kind = AQ_OPT_STR, .off = offsetof(T, m.capella),                     \
    .help = "its Capella fork version"                                                                          \
  }

/* *out points to store, or is NULL when no flag is given. AQ_E_FORMAT: some are missing, or a version is wrong. */
AQ_NODISCARD aq_status aq_network_of_flags(const aq_network **out, aq_network *store, const aq_network_flags *f,
                                           aq_err *err);

#endif
