/* Proposing: RANDAO with the question, the cluster's block back, the journal, then the signed block. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "eth/block.h"
#include "http/http.h"
#include "vc/vc_internal.h"

typedef struct {
  aq_vc *v;
  uint64_t slot;
  uint32_t key;
  aq_fork fork;
  bool blinded;
  aq_buf value;              /* block or contents, SSZ */
  const aq_ssz_type *type;   /* of value */
  uint8_t root[32], sig[96]; /* signing root */
} proposal;

static void proposal_free(proposal *p) {
  aq_vc *v = p->v;
  aq_buf_free(&p->value);
  free(p);
  aq_vc_unbusy(v);
}

static void posted(void *arg, aq_status st, const aq_bn_answer *ans) {
  proposal *p = arg;
  if (st == AQ_OK)
    p->v->stats.blocks++;
  else if (st != AQ_E_CLOSED)
    aq_vc_error(p->v, "submit_proposal", p->slot, st, ans);
  proposal_free(p);
}

static aq_block_view view_of(const proposal *p) {
  aq_block_view view;
  aq_block_view_get(&view, p->fork, p->blinded, false, aq_buf_bytes(&p->value));
  return view;
}

/* {message, signature}, and from Deneb {signed_block, kzg_proofs, blobs} around it. */
static bool pack_signed(aq_buf *out, const proposal *p, const aq_ssz_type *signed_type) {
  aq_bytes value = aq_buf_bytes(&p->value), sig = aq_bytes_of(p->sig, 96);
  aq_block_view view = view_of(p);
  const aq_bytes pair[] = {view.block, sig};
  if (!view.wrapped) return aq_ssz_pack(out, signed_type, pair, 2) == AQ_OK;
  aq_buf block = AQ_BUF(AQ_VC_ANSWER_MAX);
  bool ok = aq_ssz_pack(&block, aq_t_signed_block(p->fork), pair, 2) == AQ_OK;
  const aq_bytes part[] = {aq_buf_bytes(&block), aq_ssz_get(p->type, value, "kzg_proofs"),
                           aq_ssz_get(p->type, value, "blobs")};
  ok = ok && aq_ssz_pack(out, signed_type, part, 3) == AQ_OK;
  aq_buf_free(&block);
  return ok;
}

static void journalled(void *arg, aq_status st) {
  proposal *p = arg;
  aq_vc *v = p->v;
  if (st != AQ_OK || v->closing) {
    if (st != AQ_OK) aq_vc_refused(v, AQ_DUTY_PROPOSER, p->slot, v->key[p->key].index, st);
    proposal_free(p);
    return;
  }
  const aq_ssz_type *signed_type = aq_t_proposal(p->fork, p->blinded, true);
  aq_buf ssz = AQ_BUF(AQ_VC_ANSWER_MAX), json = AQ_BUF(4 * (size_t)AQ_VC_ANSWER_MAX);
  if (!signed_type || !pack_signed(&ssz, p, signed_type)) {
    aq_vc_error(v, "pack_proposal", p->slot, AQ_E_FORMAT, NULL);
    proposal_free(p);
  } else {
    bool as_ssz = v->cfg.ssz_blocks;
    if (!as_ssz) aq_ssz_to_json(&json, signed_type, aq_buf_bytes(&ssz));
    const aq_bn_req req = {.endpoint = p->blinded ? "submit_blinded_proposal" : "submit_proposal",
                           .method = "POST",
                           .path = p->blinded ? "/eth/v2/beacon/blinded_blocks" : "/eth/v2/beacon/blocks",
                           .body = aq_buf_bytes(as_ssz ? &ssz : &json),
                           .content_type = as_ssz ? "application/octet-stream" : "application/json",
                           .consensus_version = aq_fork_name(p->fork),
                           .submit = true};
    aq_bn_call(v->bn, &req, posted, p);
  }
  aq_buf_free(&ssz);
  aq_buf_free(&json);
}

/* Fork and blinding from the headers, else from the JSON envelope; the block's SSZ into p->value. */
static bool read_block(proposal *p, const aq_bn_answer *ans) {
  const char *version = aq_http_header_get(&ans->headers, "Eth-Consensus-Version");
  const char *blinded = aq_http_header_get(&ans->headers, "Eth-Execution-Payload-Blinded");
  bool is_ssz = strstr(ans->content_type, "octet-stream") != NULL;
  yyjson_doc *doc = is_ssz ? NULL : aq_json_parse(ans->body, AQ_VC_ANSWER_MAX, NULL);
  yyjson_val *root = yyjson_doc_get_root(doc);
  if (!version) version = aq_json_str(root, "version");
  p->blinded =
      blinded ? strcmp(blinded, "true") == 0 : yyjson_is_true(yyjson_obj_get(root, "execution_payload_blinded"));
  bool ok = version && aq_fork_parse(&p->fork, aq_bytes_str(version));
  ok = ok && aq_bn_version_fits(p->v->bn, p->fork, aq_epoch_of(&p->v->chain.clock, p->slot));
  if (ok) p->type = aq_t_proposal(p->fork, p->blinded, false);
  if (!ok || !p->type)
    ok = false;
  else if (is_ssz) {
    ok = aq_ssz_check(p->type, ans->body) == AQ_OK;
    if (ok) aq_buf_put_bytes(&p->value, ans->body);
  } else {
    yyjson_val *data = yyjson_obj_get(root, "data");
    ok = data && aq_ssz_from_json(&p->value, p->type, data, NULL) == AQ_OK;
  }
  yyjson_doc_free(doc);
  return ok && !p->value.failed;
}

static void block_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  proposal *p = arg;
  aq_vc *v = p->v;
  if (st != AQ_OK || !read_block(p, ans)) {
    if (st != AQ_E_CLOSED) aq_vc_error(v, "proposal", p->slot, st == AQ_OK ? AQ_E_FORMAT : st, ans);
    proposal_free(p);
    return;
  }
  aq_block_view view = view_of(p);
  if (view.slot != p->slot || view.proposer != v->key[p->key].index) {
    aq_vc_error(v, "proposal", p->slot, AQ_E_FORMAT, NULL);
    proposal_free(p);
    return;
  }
  uint8_t root[32];
  aq_ssz_root(root, view.type, view.block);
  aq_chain_signing_root(p->root, &v->chain, AQ_DOMAIN_BEACON_PROPOSER, aq_epoch_of(&v->chain.clock, p->slot), root);
  aq_bls_sign(p->sig, v->cfg.secret[p->key], p->root);
  aq_store_sign rec = {.kind = AQ_SIGN_PARTIAL, .duty = {p->slot, AQ_DUTY_PROPOSER}};
  memcpy(rec.pubkey, v->key[p->key].pubkey, 48);
  memcpy(rec.root, p->root, 32);
  v->cfg.store->sign(v->cfg.store->ctx, &rec, 1, journalled, p);
}

static void randao(uint8_t sig[96], const aq_vc *v, uint32_t key, uint64_t epoch) {
  uint8_t le[8], root[32], signing_root[32];
  aq_le64_put(le, epoch);
  aq_ssz_root(root, &aq_t_u64, aq_bytes_of(le, sizeof le));
  aq_chain_signing_root(signing_root, &v->chain, AQ_DOMAIN_RANDAO, epoch, root);
  aq_bls_sign(sig, v->cfg.secret[key], signing_root);
}

void aq_vc_propose(aq_vc *v, uint64_t slot, const aq_vc_epoch *e) {
  for (uint32_t i = 0; i < e->prop_cnt; i++) {
    if (e->prop[i].slot != slot) continue;
    uint8_t sig[96];
    char hex[193], path[320];
    randao(sig, v, e->prop[i].key, aq_epoch_of(&v->chain.clock, slot));
    aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
    snprintf(path, sizeof path, "/eth/v3/validator/blocks/%llu?randao_reveal=0x%s", (unsigned long long)slot, hex);
    proposal *p = calloc(1, sizeof *p);
    AQ_ASSERT(p);
    p->v = v, p->slot = slot, p->key = e->prop[i].key;
    aq_buf_init(&p->value, AQ_VC_ANSWER_MAX);
    const aq_bn_req req = {.endpoint = "proposal",
                           .method = "GET",
                           .path = path,
                           .accept = "application/octet-stream;q=1,application/json;q=0.9",
                           .timeout_ns = AQ_VC_WAIT_NS};
    v->busy++;
    aq_bn_call(v->bn, &req, block_answer, p);
  }
}
