/* Voluntary exits. One a validator is taken; a second one is nothing new, as beacon nodes have it while the first waits
   for its block. There is no queue: who leaves attests on. Spec: consensus-specs "process_voluntary_exit", EIP-7044. */
#include "simchain/beacon_internal.h"

/* Apart from aq_chain_signing_root, which the nodes under test go by. */
static void signing_root(uint8_t root[32], const aq_beacon *b, uint64_t epoch, aq_bytes message) {
  const aq_chain *c = &b->chain;
  uint64_t now = aq_epoch_of(&c->clock, aq_sim_now_slot(b));
  aq_fork fork = aq_fork_of(aq_chain_fork_at(c, now))->exits_keep ? AQ_CAPELLA : aq_chain_fork_at(c, epoch);
  uint8_t domain[32];
  aq_compute_domain(domain, AQ_DOMAIN_VOLUNTARY_EXIT, c->fork[fork].version, c->genesis_validators_root);
  aq_ssz_root(root, &aq_t_voluntary_exit, message);
  aq_signing_root(root, root, domain);
}

/* NULL: fine. */
static const char *judge(aq_beacon *b, aq_bytes in) {
  const aq_ssz_type *t = &aq_t_signed_voluntary_exit;
  uint64_t epoch = aq_ssz_get_u64(t, in, "message.epoch"), who = aq_ssz_get_u64(t, in, "message.validator_index");
  const aq_beacon_watch *watch = b->cfg.watch;
  uint8_t root[32];
  if (who >= b->cfg.validator_cnt) return "no such validator";
  signing_root(root, b, epoch, aq_ssz_get(t, in, "message"));
  bool valid = aq_bls_verify(b->cfg.pubkey[who], root, aq_ssz_get(t, in, "signature").ptr) == AQ_OK;
  if (watch && watch->exited) watch->exited(watch->arg, who, epoch, valid);
  if (!valid) return "exit signature is wrong";
  if (epoch > aq_epoch_of(&b->chain.clock, aq_sim_now_slot(b))) return "exit is from the future";
  if (b->validator[who].leaves)
    b->stats.duplicates++;
  else
    b->stats.exits++;
  b->validator[who].leaves = true;
  return NULL;
}

void aq_beacon_leaves(aq_beacon *b, uint64_t validator) { b->validator[validator].leaves = true; }

void aq_sim_post_exit(aq_sim_call *c) {
  aq_beacon *b = c->b;
  const aq_ssz_type *t = &aq_t_signed_voluntary_exit;
  aq_buf ssz = AQ_BUF(AQ_SIM_OBJECT_MAX);
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
  bool parses = doc && aq_ssz_from_json(&ssz, t, yyjson_doc_get_root(doc), NULL) == AQ_OK;
  const char *why = parses ? judge(b, aq_buf_bytes(&ssz)) : "not a SignedVoluntaryExit";
  if (why) {
    aq_bytes in = aq_buf_bytes(&ssz);
    aq_sim_bad(b, why, 0, parses ? aq_ssz_get_u64(t, in, "message.validator_index") : 0);
    aq_sim_error(c, 400, b->last_bad);
  } else {
    aq_sim_ok(c);
  }
  yyjson_doc_free(doc);
  aq_buf_free(&ssz);
}
