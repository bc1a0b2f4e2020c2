/* What is signed is what was decided, and is on the disk before it leaves. Read apart from src: the decision from the
   simulated disk, the object from the message to a peer or the request to a beacon node. */
#include "base/hex.h"
#include "codec/json.h"
#include "consensus/validity.h"
#include "crypto/hash.h"
#include "http/http.h"
#include "sim/cluster/world.h"
#include "simchain/beacon_internal.h"

enum { ROOM = 64 << 20 };

/* ---- objects and their roots ---- */

static void root_of_block(uint8_t root[32], aq_fork fork, bool blinded, aq_bytes block) {
  aq_ssz_root(root, blinded ? aq_t_blinded_block(fork) : aq_t_block(fork), block);
}

static void root_of_signed_block(uint8_t root[32], aq_fork fork, const aq_ssz_type *t, aq_bytes in, uint64_t *slot,
                                 uint64_t *proposer) {
  bool contents = t == aq_t_signed_block_contents(fork), blinded = t == aq_t_signed_blinded_block(fork);
  aq_bytes block = aq_ssz_get(t, in, contents ? "signed_block.message" : "message");
  *slot = aq_le64_get(block.ptr);
  *proposer = aq_le64_get(block.ptr + 8);
  root_of_block(root, fork, blinded, block);
}

/* What is signed, the root of a block is the same blinded or not, and where an attester sits. */
typedef struct {
  uint8_t root[32];
  bool blinded;
  aq_attester_duty seat;
} object;

/* What the decision on this node's disk says that the validator signs; false: nothing. */
static bool decided_object(object *out, const sim_node *n, aq_duty duty, uint32_t validator) {
  aq_bytes value;
  aq_unsigned_set set;
  aq_arena a;
  bool found = false;
  if (!sim_disk_decision(&value, &n->disk, duty)) return false;
  aq_arena_init(&a, 2 * value.len + ROOM);
  bool ok = aq_value_decode(&set, &a, value) == AQ_OK;
  for (uint32_t i = 0; ok && i < set.cnt && !found; i++) {
    aq_unsigned_data d;
    if (memcmp(set.item[i].pubkey, n->w->dist[validator].pubkey, 48) != 0) continue;
    if (aq_unsigned_decode(&d, &a, duty.type, set.item[i].data) != AQ_OK) break;
    found = true;
    out->seat = d.attester;
    out->blinded = duty.type == AQ_DUTY_PROPOSER && d.blinded;
    if (duty.type == AQ_DUTY_ATTESTER)
      aq_ssz_root(out->root, &aq_t_attestation_data, d.value);
    else
      root_of_block(out->root, d.fork, d.blinded,
                    d.type == aq_t_block_contents(d.fork) ? aq_ssz_get(d.type, d.value, "block") : d.value);
  }
  aq_arena_free(&a);
  return found;
}

static void check_decided(const sim_node *n, const char *what, aq_duty duty, uint32_t validator, const object *is) {
  object want;
  if (!decided_object(&want, n, duty, validator))
    sim_fail(n->w, "node %u %s of validator %u that no decision on its disk names: slot %llu %s", n->op, what,
             validator, (unsigned long long)duty.slot, aq_duty_name(duty.type));
  else if (memcmp(is->root, want.root, 32) != 0)
    sim_fail(n->w, "node %u %s of validator %u over another root than the decided one: slot %llu %s", n->op, what,
             validator, (unsigned long long)duty.slot, aq_duty_name(duty.type));
  else if (is->blinded != want.blinded)
    sim_fail(n->w, "node %u %s of validator %u %s, which is not what was decided: slot %llu", n->op, what, validator,
             is->blinded ? "blinded" : "in full", (unsigned long long)duty.slot);
}

/* ---- to peers ---- */

void sim_check_share_root(const sim_node *n, aq_duty duty, const aq_parsigex_item *it) {
  const aq_signed_data *d = it->data;
  object is = {.blinded = duty.type == AQ_DUTY_PROPOSER && d->blinded};
  uint64_t slot, proposer;
  if (duty.type == AQ_DUTY_ATTESTER)
    aq_ssz_root(is.root, &aq_t_attestation_data, aq_ssz_get(d->type, d->value, "data"));
  else
    root_of_signed_block(is.root, d->fork, d->type, d->value, &slot, &proposer);
  check_decided(n, "sent a share", duty, it->validator, &is);
}

/* ---- to the beacon node ---- */

static void check_submission(sim_node *n, aq_duty duty, aq_domain_type domain, uint32_t validator, const object *is) {
  sim_world *w = n->w;
  uint8_t signing[32];
  uint64_t epoch = duty.slot / w->slots_per_epoch;
  if (validator >= w->validators) {
    sim_fail(w, "node %u submitted for validator %u, which is not the cluster's: slot %llu %s", n->op, validator,
             (unsigned long long)duty.slot, aq_duty_name(duty.type));
    return;
  }
  aq_chain_signing_root(signing, &n->core.chain, domain, epoch, is->root);
  if (!fake_disk_sign(&n->disk, AQ_SIGN_GROUP, duty, w->dist[validator].pubkey, signing))
    sim_fail(w, "node %u submitted what is not on its disk: validator %u, slot %llu %s", n->op, validator,
             (unsigned long long)duty.slot, aq_duty_name(duty.type));
  check_decided(n, "submitted a signature", duty, validator, is);
}

/* Who sits there by the decision, since seats may have moved; UINT32_MAX: none of the cluster. */
static uint32_t by_bit(const sim_node *n, aq_duty duty, aq_bytes att) {
  const aq_ssz_type *t = &aq_t_attestation_phase0, *bits_type = aq_ssz_type_at(t, "aggregation_bits");
  aq_bytes bits = aq_ssz_get(t, att, "aggregation_bits");
  uint64_t committee = aq_ssz_get_u64(t, att, "data.index");
  for (uint32_t v = 0; v < n->w->validators; v++) {
    object want;
    if (!decided_object(&want, n, duty, v) || want.seat.committee_index != committee) continue;
    uint64_t at = want.seat.validator_committee_index;
    if (at < aq_ssz_count(bits_type, bits) && aq_ssz_bit(bits_type, bits, at)) return v;
  }
  return UINT32_MAX;
}

static void check_attestation(sim_node *n, aq_fork fork, yyjson_val *val) {
  bool electra = fork >= AQ_ELECTRA;
  const aq_ssz_type *t = electra ? &aq_t_single_attestation : &aq_t_attestation_phase0;
  aq_buf ssz = AQ_BUF(SIM_OBJECT_MAX);
  if (aq_ssz_from_json(&ssz, t, val, NULL) != AQ_OK) {
    sim_fail(n->w, "node %u submitted what is no attestation of its fork", n->op);
  } else {
    object is = {.blinded = false};
    aq_bytes in = aq_buf_bytes(&ssz);
    aq_duty duty = {.slot = aq_ssz_get_u64(t, in, "data.slot"), .type = AQ_DUTY_ATTESTER};
    aq_ssz_root(is.root, &aq_t_attestation_data, aq_ssz_get(t, in, "data"));
    uint32_t validator = electra ? (uint32_t)aq_ssz_get_u64(t, in, "attester_index") : by_bit(n, duty, in);
    check_submission(n, duty, AQ_DOMAIN_BEACON_ATTESTER, validator, &is);
  }
  aq_buf_free(&ssz);
}

static void check_block(sim_node *n, aq_fork fork, const aq_httpc_req *req) {
  const char *content = aq_http_header_get(&req->headers, "Content-Type");
  object is = {.blinded = strstr(req->url, "/blinded_blocks") != NULL};
  const aq_ssz_type *t = aq_t_proposal(fork, is.blinded, true);
  aq_buf ssz = AQ_BUF(ROOM);
  bool ok;
  if (content && strstr(content, "octet-stream")) {
    aq_buf_put_bytes(&ssz, req->body);
    ok = aq_ssz_check(t, req->body) == AQ_OK;
  } else {
    yyjson_doc *doc = aq_json_parse(req->body, ROOM, NULL);
    ok = doc && aq_ssz_from_json(&ssz, t, yyjson_doc_get_root(doc), NULL) == AQ_OK;
    yyjson_doc_free(doc);
  }
  if (ok) {
    uint64_t proposer;
    aq_duty duty = {.type = AQ_DUTY_PROPOSER};
    root_of_signed_block(is.root, fork, t, aq_buf_bytes(&ssz), &duty.slot, &proposer);
    check_submission(n, duty, AQ_DOMAIN_BEACON_PROPOSER, (uint32_t)proposer, &is);
  } else {
    sim_fail(n->w, "node %u submitted what is no block of its fork", n->op);
  }
  aq_buf_free(&ssz);
}

void sim_check_submitted(sim_node *n, const aq_httpc_req *req) {
  const char *version = aq_http_header_get(&req->headers, "Eth-Consensus-Version");
  bool votes = strstr(req->url, "/beacon/pool/attestations") != NULL;
  bool block = strstr(req->url, "/beacon/blocks") || strstr(req->url, "/beacon/blinded_blocks");
  aq_fork fork;
  if (n->nature != SIM_HONEST || strcmp(req->method, "POST") != 0) return;
  if (strstr(req->url, "/pool/voluntary_exits")) sim_exit_submitted(n, req);
  if (!votes && !block) return;
  if (!version || !aq_fork_parse(&fork, aq_bytes_str(version))) {
    sim_fail(n->w, "node %u submitted without a fork: %s", n->op, req->url);
  } else if (block) {
    check_block(n, fork, req);
  } else {
    yyjson_doc *doc = aq_json_parse(req->body, ROOM, NULL);
    yyjson_val *val;
    size_t i, max;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, val) check_attestation(n, fork, val);
    yyjson_doc_free(doc);
  }
}

/* ---- a client that signs something else ---- */

static bool first_vote(uint8_t root[32], uint8_t sig[96], const aq_chain *chain, aq_bytes body) {
  yyjson_doc *doc = aq_json_parse(body, ROOM, NULL);
  yyjson_val *first = yyjson_arr_get_first(yyjson_doc_get_root(doc));
  aq_buf ssz = AQ_BUF(SIM_OBJECT_MAX);
  bool ok = aq_json_hex(first, "signature", sig, 96) &&
            aq_ssz_from_json(&ssz, &aq_t_attestation_data, yyjson_obj_get(first, "data"), NULL) == AQ_OK;
  if (ok) {
    aq_att_data d;
    aq_att_data_get(&d, aq_buf_bytes(&ssz));
    aq_ssz_root(root, &aq_t_attestation_data, aq_buf_bytes(&ssz));
    aq_chain_signing_root(root, chain, AQ_DOMAIN_BEACON_ATTESTER, d.target_epoch, root);
  }
  aq_buf_free(&ssz);
  yyjson_doc_free(doc);
  return ok;
}

static char *behind(aq_bytes body, const char *text) {
  char *at = memmem(body.ptr, body.len, text, strlen(text));
  return at ? at + strlen(text) : NULL;
}

/* The first vote of a request names another head. Whose it is, its signature tells. */
static bool vote_for_another(sim_world *w, uint32_t op, aq_bytes body) {
  const aq_chain *chain = &w->bn[op]->chain;
  char *head = behind(body, "\"beacon_block_root\":\"0x"), *text = behind(body, "\"signature\":\"0x"), hex[193];
  uint8_t root[32], sig[96];
  uint32_t v = 0;
  if (!head || !text || !first_vote(root, sig, chain, body)) return false;
  while (v < w->validators && aq_bls_verify(w->share_pub[v][op], root, sig) != AQ_OK) v++;
  if (v == w->validators) return false;
  *head = *head == '0' ? '1' : '0';
  if (!first_vote(root, sig, chain, body)) return false;
  aq_bls_sign(sig, w->share_secret[op][v], root);
  aq_hex_encode(hex, aq_bytes_of(sig, 96));
  memcpy(text, hex, 192);
  return true;
}

static bool another_block(sim_world *w, uint32_t op, aq_fork fork, bool blinded, aq_bytes body) {
  const aq_ssz_type *t = aq_t_proposal(fork, blinded, true),
                    *bt = blinded ? aq_t_blinded_block(fork) : aq_t_block(fork);
  bool contents = t == aq_t_signed_block_contents(fork);
  if (aq_ssz_check(t, body) != AQ_OK) return false;
  aq_bytes block = aq_ssz_get(t, body, contents ? "signed_block.message" : "message");
  uint64_t slot = aq_le64_get(block.ptr), proposer = aq_le64_get(block.ptr + 8);
  uint8_t root[32];
  if (proposer >= w->validators) return false;
  *(uint8_t *)(uintptr_t)aq_ssz_get(bt, block, "state_root").ptr ^= 1;
  root_of_block(root, fork, blinded, block);
  aq_chain_signing_root(root, &w->bn[op]->chain, AQ_DOMAIN_BEACON_PROPOSER, slot / w->slots_per_epoch, root);
  aq_bls_sign((uint8_t *)(uintptr_t)aq_ssz_get(t, body, contents ? "signed_block.signature" : "signature").ptr,
              w->share_secret[op][proposer], root);
  return true;
}

bool sim_sign_other(sim_world *w, uint32_t op, const aq_http_req *req) {
  const char *version = aq_http_header_get(&req->headers, "Eth-Consensus-Version");
  const char *content = aq_http_header_get(&req->headers, "Content-Type");
  aq_fork fork;
  if (strstr(req->path, "/pool/attestations")) return vote_for_another(w, op, req->body);
  bool blinded = strstr(req->path, "/blinded_blocks") != NULL;
  return (blinded || strstr(req->path, "/beacon/blocks")) && content && strstr(content, "octet-stream") && version &&
         aq_fork_parse(&fork, aq_bytes_str(version)) && another_block(w, op, fork, blinded, req->body);
}
