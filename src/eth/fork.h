/* eth/fork.h - forks as rows: whatever differs from one to the next and is no container (eth/types.h). Code asks the
   row of a fork and never compares forks. Spec: core.md 4, 5 and 16, consensus-specs. Pure. */
#ifndef AQ_ETH_FORK_H
#define AQ_ETH_FORK_H

#include "base/bytes.h"

typedef enum { AQ_PHASE0, AQ_ALTAIR, AQ_BELLATRIX, AQ_CAPELLA, AQ_DENEB, AQ_ELECTRA, AQ_FULU, AQ_FORK_CNT } aq_fork;

/* Before the merge a block of Bellatrix holds an empty payload. */
typedef enum { AQ_PAYLOAD_NONE, AQ_PAYLOAD_MAYBE, AQ_PAYLOAD_ALWAYS } aq_fork_payload;

/* When duties begin in their slot; each fork says where these lie. */
typedef enum { AQ_START_SLOT, AQ_START_ATTEST, AQ_START_AGGREGATE, AQ_START_CNT } aq_duty_start;

/* Of a slot's length, after its begin. */
typedef struct {
  uint8_t num, den;
} aq_due;

typedef struct {
  const char *name, *spec_key; /* "electra"; "ELECTRA" of ELECTRA_FORK_EPOCH */
  bool sync_committees;
  aq_fork_payload payload;
  bool committee_bits;  /* EIP-7549: bits name the committees of an attestation, its data's index is 0 */
  bool old_block_route; /* GET /eth/v2/validator/blocks answers it */
  bool old_pool_routes; /* so do the v1 routes of attestations and aggregates */
  bool proposers_ahead; /* EIP-7917: who proposes is fixed an epoch ahead */
  bool exits_keep;      /* EIP-7044: exits are signed for Capella */
  aq_due due[AQ_START_CNT];
} aq_fork_row;

const aq_fork_row *aq_fork_of(aq_fork f);        /* a row without anything outside the list; never NULL */
const char *aq_fork_name(aq_fork f);             /* "electra"; "unknown" outside the list */
bool aq_fork_parse(aq_fork *out, aq_bytes text); /* any case */
bool aq_fork_is_first(aq_fork f);                /* that of genesis, which no epoch schedules */

#endif
