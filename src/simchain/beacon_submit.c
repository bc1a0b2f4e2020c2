/* What the chain is sent: every signature is verified under the validator's key before anything counts; conflicts of
   valid ones are slashable. Spec: consensus-specs phase0 beacon-chain.md "is_slashable_attestation_data". */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "eth/block.h"
#include "http/http.h"
#include "simchain/beacon_internal.h"

static void tell_bad(aq_beacon *b, const char *why, uint64_t slot, uint64_t validator) {
  snprintf(b->last_bad, sizeof b->last_bad, "slot %llu validator %llu: %s", (unsigned long long)slot,
           (unsigned long long)validator, why);
  AQ_LOG(AQ_LOG_WARN, "chain_bad", AQ_STR("reason", why), AQ_UINT("slot", slot), AQ_UINT("validator", validator));
}

void aq_sim_bad(aq_beacon *b, const char *why, uint64_t slot, uint64_t validator) {
  b->stats.bad++;
  tell_bad(b, why, slot, validator);
}

/* What is signed well, but was made before this chain was started anew, on blocks that are gone, is nobody's fault. */
static void refuse_signed(aq_beacon *b, const char *why, uint64_t slot, uint64_t validator) {
  bool made_before = b->first_slot > 0 && slot <= b->first_slot;
  b->stats.bad += !made_before;
  tell_bad(b, why, slot, validator);
}

/* ---- attestations ---- */

typedef struct {
  aq_job job;
  aq_sim_call *c;
  const aq_bls_pk *pk;
  uint64_t validator;
  const char *why; /* wrong all the same; NULL: fine */
  aq_att_data data;
  uint8_t signing_root[32], data_root[32], sig[96];
  bool valid;
} att_check;

static bool slashable_with(const aq_sim_vote *a, const aq_sim_vote *b) {
  bool same = memcmp(a->root, b->root, 32) == 0;
  if (!same && a->target == b->target) return true;
  return (a->source < b->source && b->target < a->target) || (b->source < a->source && a->target < b->target);
}

typedef enum { VOTE_NEW, VOTE_KNOWN, VOTE_SLASHABLE } vote_kind;

/* Remembers what was signed well, even if the chain refuses it: signed twice is slashable. */
static vote_kind add_vote(aq_beacon *b, uint64_t index, const att_check *k) {
  aq_sim_validator *v = &b->validator[index];
  aq_sim_vote vote = {.source = k->data.source_epoch, .target = k->data.target_epoch};
  bool slashable = false;
  memcpy(vote.root, k->data_root, 32);
  for (uint32_t i = 0; i < v->vote_cnt; i++) {
    if (memcmp(v->vote[i].root, vote.root, 32) == 0) return VOTE_KNOWN;
    slashable |= slashable_with(&v->vote[i], &vote);
  }
  if (slashable) {
    b->stats.slashable++;
    AQ_LOG(AQ_LOG_ERROR, "chain_slashable", AQ_STR("kind", "attestation"), AQ_UINT("slot", k->data.slot),
           AQ_UINT("validator", index));
  }
  if (!v->vote) v->vote = calloc(AQ_SIM_VOTES_MAX, sizeof *v->vote);
  AQ_ASSERT(v->vote);
  if (v->vote_cnt == AQ_SIM_VOTES_MAX) {
    memmove(v->vote, v->vote + 1, (AQ_SIM_VOTES_MAX - 1) * sizeof *v->vote);
    v->vote_cnt--;
  }
  v->vote[v->vote_cnt++] = vote;
  return slashable ? VOTE_SLASHABLE : VOTE_NEW;
}

static bool known_vote(const aq_beacon *b, uint64_t index, const uint8_t root[32]) {
  const aq_sim_validator *v = &b->validator[index];
  for (uint32_t i = v->vote_cnt; i-- > 0;) {
    if (memcmp(v->vote[i].root, root, 32) == 0) return true;
  }
  return false;
}

static void finish(aq_sim_call *c) {
  if (c->jobs > 0) return;
  if (c->gone)
    aq_sim_call_free(c);
  else if (c->bad)
    aq_sim_error(c, c->code ? c->code : 400, c->b->last_bad);
  else
    aq_sim_ok(c);
}

static void job_over(aq_sim_call *c) {
  aq_beacon *b = c->b;
  c->jobs--;
  b->jobs--;
  finish(c);
  if (b->closing && b->jobs == 0) aq_sim_destroy(b);
}

static void start_job(aq_sim_call *c, aq_job *job) {
  c->jobs++;
  c->b->jobs++;
  aq_work(c->b->cfg.env, job);
}

static void att_run(aq_job *job) {
  att_check *k = AQ_CONTAINER(job, att_check, job);
  aq_bls_point hash, sig;
  aq_bls_hash(&hash, k->signing_root);
  k->valid = aq_bls_sig_decode(&sig, k->sig, true) == AQ_OK && aq_bls_verify_points(k->pk, &hash, &sig);
}

/* A good vote, the first of its epoch. One that was counted as missed moves to `late`. */
static void count_vote(aq_beacon *b, const att_check *k) {
  uint64_t slot = k->data.slot;
  if (slot < b->counted_from) return;
  if (slot + b->cfg.slots_per_epoch < aq_sim_now_slot(b)) {
    b->stats.attestations_late++;
    return;
  }
  b->stats.attestations_ok++;
  b->validator[k->validator].seen[slot / b->cfg.slots_per_epoch % 4] = slot + 1;
  if (slot < b->checked_slot && b->stats.attestations_missed > 0)
    b->stats.attestations_missed--, b->stats.attestations_late++;
}

static void att_done(aq_job *job) {
  att_check *k = AQ_CONTAINER(job, att_check, job);
  aq_sim_call *c = k->c;
  aq_beacon *b = c->b;
  if (b->cfg.watch && k->valid)
    b->cfg.watch->attested(b->cfg.watch->arg, k->validator, &k->data, k->data_root);
  else if (b->cfg.watch)
    b->cfg.watch->forged(b->cfg.watch->arg, k->data.slot, k->validator);
  if (!k->valid) {
    aq_sim_bad(b, k->why ? k->why : "attestation signature is wrong", k->data.slot, k->validator);
    c->bad++;
  } else {
    vote_kind kind = add_vote(b, k->validator, k);
    if (k->why) {
      refuse_signed(b, k->why, k->data.slot, k->validator);
      c->bad++;
    } else if (kind == VOTE_KNOWN) {
      b->stats.duplicates++;
    } else if (kind == VOTE_NEW) {
      count_vote(b, k);
    }
  }
  free(k);
  job_over(c);
}

/* True for the root of a block at or at most `depth` slots before the slot. */
static bool recent_root(const aq_beacon *b, const uint8_t root[32], uint64_t slot, uint64_t depth) {
  for (uint64_t s = slot + 1; s-- > 0 && slot - s <= depth;) {
    if (memcmp(aq_sim_root_at(b, s), root, 32) == 0) return true;
  }
  return false;
}

/* Epochs must be right; roots may be those of a moment earlier, when a boundary block had not come yet. */
static const char *wrong_data(const aq_beacon *b, const aq_att_data *d, aq_fork fork) {
  enum { DEPTH = 64 };
  aq_att_data want;
  if (d->slot > aq_sim_now_slot(b)) return "slot is in the future";
  const aq_fork_row *now = aq_fork_of(aq_chain_fork_at(&b->chain, d->slot / b->cfg.slots_per_epoch));
  bool bits = aq_fork_of(fork)->committee_bits;
  if (bits != now->committee_bits) return "attestation of another fork";
  if (bits && d->index != 0) return "data.index is not 0";
  aq_sim_att_data(b, d->slot, d->index, &want);
  if (d->target_epoch != want.target_epoch || d->source_epoch != want.source_epoch)
    return "source or target epoch is wrong";
  if (!recent_root(b, d->target_root, d->target_epoch * b->cfg.slots_per_epoch, DEPTH)) return "target root is wrong";
  if (!recent_root(b, d->source_root, d->source_epoch * b->cfg.slots_per_epoch, DEPTH)) return "source root is wrong";
  return recent_root(b, d->beacon_block_root, d->slot, DEPTH) ? NULL : "head is not a recent block";
}

static void check_att(aq_sim_call *c, uint64_t validator, const char *why, aq_bytes data, const uint8_t *sig) {
  aq_beacon *b = c->b;
  att_check *k = calloc(1, sizeof *k);
  AQ_ASSERT(k);
  k->c = c, k->validator = validator, k->why = why, k->pk = &b->validator[validator].pk;
  aq_att_data_get(&k->data, data);
  memcpy(k->sig, sig, 96);
  aq_ssz_root(k->data_root, &aq_t_attestation_data, data);
  if (!why && known_vote(b, validator, k->data_root)) { /* each node of a cluster submits the same */
    b->stats.duplicates++;
    free(k);
    return;
  }
  aq_chain_signing_root(k->signing_root, &b->chain, AQ_DOMAIN_BEACON_ATTESTER, k->data.target_epoch, k->data_root);
  k->job = (aq_job){.run = att_run, .done = att_done, .priority = AQ_JOB_DUTY};
  start_job(c, &k->job);
}

/* The validator of a seat, -1. */
static int64_t by_seat(aq_beacon *b, uint64_t slot, uint64_t committee, uint64_t position) {
  const aq_sim_epoch *e = aq_sim_seats(b, slot / b->cfg.slots_per_epoch);
  for (uint32_t i = 0; i < b->cfg.validator_cnt; i++) {
    const aq_sim_seat *s = &e->seat[i];
    if (s->slot_off == slot % b->cfg.slots_per_epoch && s->committee == committee && s->position == position) return i;
  }
  return -1;
}

static const char *take_single(aq_sim_call *c, yyjson_val *val, aq_fork fork) {
  aq_buf ssz = AQ_BUF(AQ_SIM_OBJECT_MAX);
  const char *why = NULL;
  const aq_ssz_type *t = &aq_t_single_attestation;
  if (aq_ssz_from_json(&ssz, t, val, NULL) != AQ_OK) why = "not a SingleAttestation";
  if (!why) {
    aq_bytes in = aq_buf_bytes(&ssz), data = aq_ssz_get(t, in, "data");
    aq_att_data d;
    aq_att_data_get(&d, data);
    uint64_t who = aq_ssz_get_u64(t, in, "attester_index");
    if (who >= c->b->cfg.validator_cnt) {
      why = "no such validator";
    } else {
      uint64_t spe = c->b->cfg.slots_per_epoch, committee = aq_ssz_get_u64(t, in, "committee_index");
      const char *wrong = wrong_data(c->b, &d, fork);
      const aq_sim_seat *s = &aq_sim_seats(c->b, d.slot / spe)->seat[who];
      if (!wrong && (s->slot_off != d.slot % spe || s->committee != committee))
        wrong = "the validator has no seat in that committee";
      check_att(c, who, wrong, data, aq_ssz_get(t, in, "signature").ptr);
    }
  }
  aq_buf_free(&ssz);
  return why;
}

static const char *take_phase0(aq_sim_call *c, yyjson_val *val, aq_fork fork) {
  aq_buf ssz = AQ_BUF(AQ_SIM_OBJECT_MAX);
  const char *why = NULL;
  const aq_ssz_type *t = &aq_t_attestation_phase0, *bits_type = aq_ssz_type_at(t, "aggregation_bits");
  if (aq_ssz_from_json(&ssz, t, val, NULL) != AQ_OK) why = "not an Attestation";
  if (!why) {
    aq_bytes in = aq_buf_bytes(&ssz), data = aq_ssz_get(t, in, "data"), bits = aq_ssz_get(t, in, "aggregation_bits");
    aq_att_data d;
    aq_att_data_get(&d, data);
    size_t cnt = aq_ssz_count(bits_type, bits), set = 0, pos = 0;
    for (size_t i = 0; i < cnt; i++) {
      if (aq_ssz_bit(bits_type, bits, i)) set++, pos = i;
    }
    int64_t who = set == 1 ? by_seat(c->b, d.slot, d.index, pos) : -1;
    why = set != 1 ? "not exactly one bit" : who < 0 ? "no validator has that seat" : NULL;
    if (!why && cnt != aq_sim_committee_size(c->b, (uint32_t)(d.slot % c->b->cfg.slots_per_epoch), (uint32_t)d.index))
      why = "not a bit for each of the committee";
    if (!why) check_att(c, (uint64_t)who, wrong_data(c->b, &d, fork), data, aq_ssz_get(t, in, "signature").ptr);
  }
  aq_buf_free(&ssz);
  return why;
}

void aq_sim_post_attestations(aq_sim_call *c) {
  aq_beacon *b = c->b;
  aq_fork fork = aq_chain_fork_at(&b->chain, aq_epoch_of(&b->chain.clock, aq_sim_now_slot(b)));
  const char *version = aq_http_header_get(&c->req->headers, "Eth-Consensus-Version");
  yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
  yyjson_val *list = yyjson_doc_get_root(doc), *val;
  size_t i, max;
  bool v2 = c->route->flags & AQ_SIM_V2;
  if (!yyjson_is_arr(list) || (v2 && !version) || (version && !aq_fork_parse(&fork, aq_bytes_str(version)))) {
    aq_sim_bad(b, "attestations without version or list", 0, 0);
    aq_sim_error(c, 400, b->last_bad);
  } else {
    c->jobs++;
    yyjson_arr_foreach(list, i, max, val) {
      const char *why = aq_fork_of(fork)->committee_bits ? take_single(c, val, fork) : take_phase0(c, val, fork);
      if (!why) continue;
      aq_sim_bad(b, why, 0, i);
      c->bad++;
    }
    c->jobs--;
    finish(c);
  }
  yyjson_doc_free(doc);
}

/* ---- blocks ---- */

typedef struct {
  aq_job job;
  aq_sim_call *c;
  aq_fork fork;
  uint64_t slot, proposer;
  const char *why; /* wrong all the same; NULL: fine */
  const aq_bls_pk *pk;
  uint8_t root[32], parent[32], signing_root[32], randao_root[32], sig[96], randao[96];
  bool blinded;      /* it was sent so */
  aq_reveal payload; /* of a blinded one */
  aq_buf ssz;        /* signed block; once checked, with its payload, or empty where there is none */
  bool valid, randao_valid;
} block_check;

static void block_run(aq_job *job) {
  block_check *k = AQ_CONTAINER(job, block_check, job);
  aq_bls_point hash, sig;
  aq_bls_hash(&hash, k->signing_root);
  k->valid = aq_bls_sig_decode(&sig, k->sig, true) == AQ_OK && aq_bls_verify_points(k->pk, &hash, &sig);
  aq_bls_hash(&hash, k->randao_root);
  k->randao_valid = aq_bls_sig_decode(&sig, k->randao, true) == AQ_OK && aq_bls_verify_points(k->pk, &hash, &sig);
}

/* A signature by another root than one that it follows. */
static bool second_block(aq_beacon *b, const block_check *k, const aq_sim_block *known) {
  const aq_sim_validator *v = &b->validator[k->proposer];
  bool lost = v->lost_slot == k->slot && memcmp(v->lost_root, k->root, 32) != 0;
  if (!k->valid || (!lost && (!known || memcmp(known->root, k->root, 32) == 0))) return false;
  b->stats.slashable++;
  AQ_LOG(AQ_LOG_ERROR, "chain_slashable", AQ_STR("kind", "block"), AQ_UINT("slot", k->slot),
         AQ_UINT("validator", k->proposer));
  return true;
}

/* A relay reveals nothing for a signature that is wrong. */
static void unblind(aq_beacon *b, block_check *k) {
  aq_buf full = AQ_BUF(AQ_SIM_BODY_MAX);
  k->payload = k->valid ? aq_sim_unblind(b, k->fork, aq_buf_bytes(&k->ssz), &full) : AQ_REVEAL_UNKNOWN;
  aq_buf_free(&k->ssz);
  k->ssz = full;
}

/* Signed well, and yet no block: that is the builder's fault. */
static void without_payload(aq_sim_call *c, const block_check *k) {
  aq_sim_validator *v = &c->b->validator[k->proposer];
  bool unknown = k->payload == AQ_REVEAL_UNKNOWN;
  v->lost_slot = k->slot;
  memcpy(v->lost_root, k->root, 32);
  tell_bad(c->b, unknown ? "no payload of that header" : "the relay does not reveal the payload", k->slot, k->proposer);
  c->bad++;
  if (!unknown) c->code = 502;
}

static void tell_watch(const aq_beacon *b, const block_check *k, const aq_beacon_block *block) {
  const aq_beacon_watch *w = b->cfg.watch;
  if (w && k->valid)
    w->proposed(w->arg, block);
  else if (w)
    w->forged(w->arg, k->slot, k->proposer);
}

static void block_done(aq_job *job) {
  block_check *k = AQ_CONTAINER(job, block_check, job);
  aq_sim_call *c = k->c;
  aq_beacon *b = c->b;
  const aq_sim_block *known = aq_sim_block_at(b, k->slot);
  const char *why = !k->valid ? "block signature is wrong" : k->why;
  if (!why && !k->randao_valid) why = "RANDAO reveal is wrong";
  if (k->blinded) unblind(b, k);
  aq_beacon_block block = {
      .slot = k->slot, .proposer = k->proposer, .fork = k->fork, .blinded = k->blinded, .ssz = aq_buf_bytes(&k->ssz)};
  memcpy(block.root, k->root, 32);
  memcpy(block.parent, k->parent, 32);
  tell_watch(b, k, &block);
  bool other = second_block(b, k, known);
  if (why) {
    if (k->valid)
      refuse_signed(b, why, k->slot, k->proposer);
    else
      aq_sim_bad(b, why, k->slot, k->proposer);
    c->bad++;
  } else if (known && !other) {
    b->stats.duplicates++;
  } else if (k->ssz.len == 0) {
    without_payload(c, k);
  } else if (!known) {
    b->stats.blocks_ok += k->slot >= b->counted_from;
    if (k->slot >= b->counted_from && k->slot < b->checked_slot && b->stats.blocks_missed > 0) b->stats.blocks_missed--;
    aq_sim_add_block(b, &block);
  }
  aq_buf_free(&k->ssz);
  free(k);
  job_over(c);
}

/* Whom it is from cannot be told. */
static const char *foreign_block(const aq_beacon *b, const block_check *k) {
  if (k->slot > aq_sim_now_slot(b) || k->slot == 0) return "block is from the future";
  return k->proposer == aq_sim_proposer(b, k->slot) ? NULL : "not the proposer of that slot";
}

static const char *wrong_block(const aq_beacon *b, const block_check *k) {
  if (aq_chain_fork_at(&b->chain, aq_epoch_of(&b->chain.clock, k->slot)) != k->fork) return "block of another fork";
  for (uint64_t s = k->slot; s-- > 0 && k->slot - s < 64;) {
    if (memcmp(aq_sim_root_at(b, s), k->parent, 32) == 0) return NULL;
  }
  return "parent is not known";
}

/* What travels: contents from Deneb, or a blinded block. */
static void check_block(aq_sim_call *c, aq_fork fork, bool blinded, const aq_ssz_type *type, aq_bytes in) {
  aq_beacon *b = c->b;
  aq_block_view view;
  aq_block_view_get(&view, fork, blinded, true, in);
  aq_bytes sb = view.wrapped ? aq_ssz_get(type, in, "signed_block") : in;
  block_check *k = calloc(1, sizeof *k);
  AQ_ASSERT(k);
  *k = (block_check){.c = c,
                     .fork = fork,
                     .blinded = blinded,
                     .ssz = AQ_BUF(AQ_SIM_BODY_MAX),
                     .slot = view.slot,
                     .proposer = view.proposer};
  memcpy(k->parent, aq_ssz_get(view.type, view.block, "parent_root").ptr, 32);
  memcpy(k->sig, view.signature.ptr, 96);
  memcpy(k->randao, view.randao.ptr, 96);
  const char *why = foreign_block(b, k);
  k->why = wrong_block(b, k);
  if (why) {
    aq_sim_bad(b, why, k->slot, k->proposer);
    free(k);
    aq_sim_error(c, 400, b->last_bad);
    return;
  }
  uint8_t le[8], epoch_root[32];
  uint64_t epoch = aq_epoch_of(&b->chain.clock, k->slot);
  aq_ssz_root(k->root, view.type, view.block);
  aq_chain_signing_root(k->signing_root, &b->chain, AQ_DOMAIN_BEACON_PROPOSER, epoch, k->root);
  aq_le64_put(le, epoch);
  aq_ssz_root(epoch_root, &aq_t_u64, aq_bytes_of(le, 8));
  aq_chain_signing_root(k->randao_root, &b->chain, AQ_DOMAIN_RANDAO, epoch, epoch_root);
  k->pk = &b->validator[k->proposer].pk;
  aq_buf_put_bytes(&k->ssz, sb);
  k->job = (aq_job){.run = block_run, .done = block_done, .priority = AQ_JOB_PROPOSAL};
  start_job(c, &k->job);
}

void aq_sim_post_block(aq_sim_call *c) {
  aq_beacon *b = c->b;
  aq_fork fork = aq_chain_fork_at(&b->chain, aq_epoch_of(&b->chain.clock, aq_sim_now_slot(b)));
  const char *version = aq_http_header_get(&c->req->headers, "Eth-Consensus-Version");
  const char *content = aq_http_header_get(&c->req->headers, "Content-Type");
  const aq_ssz_type *type = NULL;
  bool blinded = c->route->flags & AQ_SIM_BLINDED;
  if (!version || aq_fork_parse(&fork, aq_bytes_str(version))) type = aq_t_proposal(fork, blinded, true);
  aq_buf ssz = AQ_BUF(AQ_SIM_BODY_MAX);
  if (content && strstr(content, "octet-stream")) {
    if (type && aq_ssz_check(type, c->req->body) != AQ_OK) type = NULL;
    aq_buf_put_bytes(&ssz, c->req->body);
  } else {
    yyjson_doc *doc = aq_json_parse(c->req->body, AQ_SIM_BODY_MAX, NULL);
    if (!doc || (type && aq_ssz_from_json(&ssz, type, yyjson_doc_get_root(doc), NULL) != AQ_OK)) type = NULL;
    yyjson_doc_free(doc);
  }
  if (type && !ssz.failed) {
    check_block(c, fork, blinded, type, aq_buf_bytes(&ssz));
  } else {
    aq_sim_bad(b, "block does not parse", 0, 0);
    aq_sim_error(c, 400, b->last_bad);
  }
  aq_buf_free(&ssz);
}
