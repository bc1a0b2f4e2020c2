/* vc/vc.h - the built-in validator client as a core: talks the beacon API to one node, signs attestations,
   blocks and RANDAO with the keys it holds, and asks its slashing protection before each. Spec: validator-api.md 15,
   16; EIP-3076 for the database. */
#ifndef AQ_VC_VC_H
#define AQ_VC_VC_H

#include "crypto/bls.h"
#include "eth/chain.h"
#include "port/env.h"
#include "port/http.h"
#include "port/store.h"

typedef struct {
  const aq_env *env;
  const aq_httpc *http;
  const aq_store *store;       /* AQ_SIGN_PARTIAL records of own keys: the slashing protection. Pruned and copied each
                                  epoch; duties that began before it knows of are not done */
  const char *url;             /* base URL of the beacon API */
  const uint8_t (*secret)[32]; /* guarded memory, borrowed */
  uint32_t key_cnt;
  bool ssz_blocks; /* post blocks as SSZ */
  void *arg;
  void (*failed)(void *arg, const char *why); /* nothing will be done: a line for the operator; or NULL */
} aq_vc_cfg;

typedef struct {
  uint64_t attestations, blocks, refused_by_protection, errors;
} aq_vc_stats;

typedef struct aq_vc aq_vc;
aq_vc *aq_vc_new(const aq_vc_cfg *cfg);
void aq_vc_start(aq_vc *v); /* waits for the beacon API, then works until freed */
void aq_vc_free(aq_vc *v);
void aq_vc_stats_get(const aq_vc *v, aq_vc_stats *out);

#endif
