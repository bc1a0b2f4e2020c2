/* cluster/deposit.h - what validators sign before they exist: deposits and builder registrations; deposit data files.
   Spec: cluster.md 3.4, 3.5, 4.4. */
#ifndef AQ_CLUSTER_DEPOSIT_H
#define AQ_CLUSTER_DEPOSIT_H

#include "cluster/lock.h"

#define AQ_GWEI_PER_ETH UINT64_C(1000000000)
#define AQ_GAS_LIMIT_DEFAULT UINT64_C(30000000) /* of definitions without target_gas_limit */

/* The rules for a list of amounts; an empty list passes. */
AQ_NODISCARD aq_status aq_deposit_amounts_check(const uint64_t *gwei, size_t cnt, bool compounding, aq_err *err);
/* Distinct amounts, ascending: those of the definition, or the defaults {1, 32} and {1, 8, 32, 256} ETH. Returns
   their number. */
enum { AQ_DEPOSIT_AMOUNTS_MAX = 256 };
size_t aq_deposit_amounts(uint64_t out[AQ_DEPOSIT_AMOUNTS_MAX], const aq_definition *d);

/* 0x01 or, compounding, 0x02, 11 zeros, the address. */
void aq_withdrawal_credentials(uint8_t out[32], const uint8_t address[20], bool compounding);

void aq_deposit_message_root(uint8_t out[32], const aq_deposit *d);
void aq_deposit_data_root(uint8_t out[32], const aq_deposit *d);
void aq_deposit_signing_root(uint8_t out[32], const aq_deposit *d, const uint8_t fork_version[4]);
void aq_registration_signing_root(uint8_t out[32], const aq_registration *r, const uint8_t fork_version[4]);

/* "deposit-data.json" for 32 ETH, "deposit-data-1eth.json", "deposit-data-0.5eth.json". */
enum { AQ_DEPOSIT_FILE_NAME_MAX = 64 };
void aq_deposit_file_name(char out[AQ_DEPOSIT_FILE_NAME_MAX], uint64_t gwei);
/* The file of one amount: an entry for each deposit, sorted by public key here. Signatures are verified: AQ_E_AUTH. */
AQ_NODISCARD aq_status aq_deposit_file_write(aq_buf *out, aq_deposit *deposits, size_t cnt,
                                             const uint8_t fork_version[4], const char *network_name);

#endif
