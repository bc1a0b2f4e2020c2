/* tss/tss.h - signing sessions: partial signatures in, verified group signatures out. Spec: tss.md. One session per
   (duty, validator, subcommittee); roots are computed by the caller from the payload, never taken from a message.
   Optimistic combination in batches by root, one pairing check, bisection to the culprit when it fails. Pairings run
   as jobs of the environment; callbacks come on the loop thread and must not call back into aq_tss. Without
   --enable-tss no aq_tss exists. */
#ifndef AQ_TSS_TSS_H
#define AQ_TSS_TSS_H

#include "crypto/bls.h"
#include "duty/duty.h"
#include "eth/chain.h"
#include "port/env.h"

typedef struct {
  aq_sign_key key;
  uint32_t share_idx; /* 1..n */
  uint8_t root[32];   /* signing root */
  uint8_t sig[96];
} aq_tss_partial;

typedef enum {
  AQ_TSS_OK,
  AQ_TSS_TIMEOUT,
  AQ_TSS_INVALID,
  AQ_TSS_CONFLICT,
  AQ_TSS_UNARMED,
  AQ_TSS_CANCELLED
} aq_tss_result;
typedef enum { AQ_BLAME_ENCODING, AQ_BLAME_SUBGROUP, AQ_BLAME_SIGNATURE, AQ_BLAME_CONFLICT } aq_blame;

/* Public keys of the cluster, decoded once. */
typedef struct {
  uint32_t n, t, self, validator_cnt; /* self: own operator index */
  const aq_bls_pk *group;             /* validator_cnt */
  const aq_bls_pk *share;             /* validator_cnt * n, by validator then operator */
} aq_tss_cluster;

typedef struct {
  const aq_env *env;
  const aq_tss_cluster *cluster; /* borrowed */
  const aq_chain *chain;
  uint32_t sessions_max; /* AEQUA_TSS_MAX_SESSIONS, 0: hard cap only */
  bool strict;
  const char *const *peer_names; /* n, for logs and metrics; NULL: share indices */
  void *arg;
  void (*signature)(void *arg, const aq_sign_key *key, const uint8_t root[32], const uint8_t sig[96]); /* verified */
  void (*blame)(void *arg, const aq_sign_key *key, uint32_t share_idx, aq_blame why);
  void (*end)(void *arg, const aq_sign_key *key, aq_tss_result result, uint32_t partials); /* exactly once a session */
} aq_tss_cfg;

typedef struct aq_tss aq_tss;
aq_tss *aq_tss_new(const aq_tss_cfg *cfg);
void aq_tss_free(aq_tss *s); /* sessions end with CANCELLED */
/* Own validator client's partials, already verified by the caller: arms and counts. */
void aq_tss_local(aq_tss *s, const aq_tss_partial *p, uint32_t cnt);
/* The agreed object's root is known: arms the session and fixes the root that may win. */
void aq_tss_agreed(aq_tss *s, const aq_sign_key *key, const uint8_t root[32]);
/* A peer's partials of one set, not verified. AQ_E_LIMIT: refused by a limit, no state made. AQ_E_DUP. */
AQ_NODISCARD aq_status aq_tss_remote(aq_tss *s, const aq_tss_partial *p, uint32_t cnt);
uint32_t aq_tss_open(const aq_tss *s);

/* Verifies partials of one validator client's request against own shares, on a worker: bad[i] set for the items that
   fail. */
typedef void (*aq_tss_verified)(void *arg, const bool *bad, uint32_t bad_cnt);
void aq_tss_verify_local(const aq_env *env, const aq_tss_cluster *cluster, const aq_tss_partial *p, uint32_t cnt,
                         aq_tss_verified fn, void *arg);

#endif
