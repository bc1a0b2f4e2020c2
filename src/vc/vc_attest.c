/* Attesting: agreed data from the node, signatures on a worker, the journal, then one submission. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "codec/json_out.h"
#include "vc/vc_internal.h"

enum {
  DATA_LEN = 128,           /* SSZ of AttestationData */
  OBJECT_MAX = 4096,        /* its JSON; the bits of the largest committee */
  ANSWER_MAX = 64 << 10,    /* of attestation_data */
  SUBMISSION_MAX = 16 << 20 /* a slot's attestations of all keys */
};

typedef struct {
  aq_vc_att duty;
  uint64_t validator_index;
  uint8_t pubkey[48], sig[96];
  bool journalled;
} signer;

/* All of one slot and committee index; lives from the question to the submission. */
typedef struct {
  aq_job job;
  aq_vc *v;
  uint64_t slot, index;
  aq_fork fork;
  uint8_t data[DATA_LEN], root[32];
  uint32_t cnt, left;
  signer s[];
} batch;

static void batch_free(batch *b) {
  aq_vc *v = b->v;
  free(b);
  aq_vc_unbusy(v);
}

static void posted(void *arg, aq_status st, const aq_bn_answer *ans) {
  batch *b = arg;
  if (st == AQ_OK)
    b->v->stats.attestations += b->left;
  else if (st != AQ_E_CLOSED)
    aq_vc_error(b->v, "submit_attestations", b->slot, st, ans);
  batch_free(b);
}

static void put_phase0(aq_json_out *o, const signer *s, const char *data) {
  aq_buf bits = AQ_BUF(OBJECT_MAX);
  uint8_t *p = aq_buf_extend(&bits, s->duty.committee_length / 8 + 1);
  if (p && s->duty.position < s->duty.committee_length) {
    p[s->duty.position / 8] |= (uint8_t)(1u << (s->duty.position % 8));
    p[s->duty.committee_length / 8] |= (uint8_t)(1u << (s->duty.committee_length % 8)); /* the list's delimiter */
  }
  aq_json_out_open(o, NULL, '{');
  aq_json_out_hex(o, "aggregation_bits", aq_buf_bytes(&bits));
  aq_json_out_value(o, "data");
  aq_buf_put_str(o->out, data);
  aq_json_out_hex(o, "signature", aq_bytes_of(s->sig, 96));
  aq_json_out_close(o, '}');
  aq_buf_free(&bits);
}

static void put_single(aq_json_out *o, const signer *s, const char *data) {
  aq_json_out_open(o, NULL, '{');
  aq_json_out_u64_str(o, "committee_index", s->duty.committee_index);
  aq_json_out_u64_str(o, "attester_index", s->validator_index);
  aq_json_out_value(o, "data");
  aq_buf_put_str(o->out, data);
  aq_json_out_hex(o, "signature", aq_bytes_of(s->sig, 96));
  aq_json_out_close(o, '}');
}

static void submit(batch *b) {
  aq_buf body = AQ_BUF(SUBMISSION_MAX), data = AQ_BUF(OBJECT_MAX);
  aq_ssz_to_json(&data, &aq_t_attestation_data, aq_bytes_of(b->data, sizeof b->data));
  b->left = 0;
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '[');
  for (uint32_t i = 0; i < b->cnt; i++) {
    if (!b->s[i].journalled) continue;
    b->left++;
    if (aq_fork_of(b->fork)->committee_bits)
      put_single(&o, &b->s[i], aq_buf_cstr(&data));
    else
      put_phase0(&o, &b->s[i], aq_buf_cstr(&data));
  }
  aq_json_out_close(&o, ']');
  const aq_bn_req req = {.endpoint = "submit_attestations",
                         .method = "POST",
                         .path = "/eth/v2/beacon/pool/attestations",
                         .body = aq_buf_bytes(&body),
                         .consensus_version = aq_fork_name(b->fork),
                         .submit = true};
  if (b->left && !b->v->closing)
    aq_bn_call(b->v->bn, &req, posted, b);
  else
    batch_free(b);
  aq_buf_free(&body);
  aq_buf_free(&data);
}

typedef struct {
  batch *b;
  uint32_t i;
} journal_call;

static void journalled(void *arg, aq_status st) {
  journal_call *call = arg;
  batch *b = call->b;
  b->s[call->i].journalled = st == AQ_OK;
  if (st != AQ_OK) aq_vc_refused(b->v, AQ_DUTY_ATTESTER, b->slot, b->s[call->i].validator_index, st);
  free(call);
  if (--b->left == 0) submit(b);
}

static void sign_run(aq_job *job) {
  batch *b = AQ_CONTAINER(job, batch, job);
  for (uint32_t i = 0; i < b->cnt; i++) aq_bls_sign(b->s[i].sig, b->v->cfg.secret[b->s[i].duty.key], b->root);
}

static void sign_done(aq_job *job) {
  batch *b = AQ_CONTAINER(job, batch, job);
  aq_vc *v = b->v;
  if (v->closing) {
    batch_free(b);
    return;
  }
  aq_att_data data;
  aq_att_data_get(&data, aq_bytes_of(b->data, sizeof b->data));
  b->left = b->cnt;
  for (uint32_t i = 0; i < b->cnt; i++) {
    aq_store_sign rec = {.kind = AQ_SIGN_PARTIAL,
                         .duty = {b->slot, AQ_DUTY_ATTESTER},
                         .source_epoch = data.source_epoch,
                         .target_epoch = data.target_epoch};
    memcpy(rec.pubkey, b->s[i].pubkey, 48);
    memcpy(rec.root, b->root, 32);
    journal_call *call = malloc(sizeof *call);
    AQ_ASSERT(call);
    *call = (journal_call){b, i};
    v->cfg.store->sign(v->cfg.store->ctx, &rec, 1, journalled, call);
  }
}

static bool read_data(uint8_t out[DATA_LEN], const aq_bn_answer *ans) {
  if (strstr(ans->content_type, "octet-stream")) {
    if (aq_ssz_check(&aq_t_attestation_data, ans->body) != AQ_OK) return false;
    memcpy(out, ans->body.ptr, DATA_LEN);
    return true;
  }
  yyjson_doc *doc = aq_json_parse(ans->body, ANSWER_MAX, NULL);
  aq_buf ssz = AQ_BUF(DATA_LEN);
  yyjson_val *val = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  bool ok = doc && val && aq_ssz_from_json(&ssz, &aq_t_attestation_data, val, NULL) == AQ_OK;
  if (ok) memcpy(out, ssz.ptr, DATA_LEN);
  aq_buf_free(&ssz);
  yyjson_doc_free(doc);
  return ok;
}

static void data_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  batch *b = arg;
  aq_vc *v = b->v;
  aq_att_data data = {0};
  bool ok = st == AQ_OK && read_data(b->data, ans);
  if (ok) aq_att_data_get(&data, aq_bytes_of(b->data, sizeof b->data));
  ok = ok && data.slot == b->slot && data.target_epoch == aq_epoch_of(&v->chain.clock, b->slot);
  if (!ok || v->closing) {
    if (st != AQ_E_CLOSED) aq_vc_error(v, "attestation_data", b->slot, st == AQ_OK ? AQ_E_FORMAT : st, ans);
    batch_free(b);
    return;
  }
  uint8_t root[32];
  aq_ssz_root(root, &aq_t_attestation_data, aq_bytes_of(b->data, sizeof b->data));
  aq_chain_signing_root(b->root, &v->chain, AQ_DOMAIN_BEACON_ATTESTER, data.target_epoch, root);
  b->job = (aq_job){.run = sign_run, .done = sign_done, .priority = AQ_JOB_DUTY};
  aq_work(v->cfg.env, &b->job);
}

static void ask(aq_vc *v, batch *b) {
  char path[128];
  snprintf(path, sizeof path, "/eth/v1/validator/attestation_data?slot=%llu&committee_index=%llu",
           (unsigned long long)b->slot, (unsigned long long)b->index);
  const aq_bn_req req = {.endpoint = "attestation_data", .method = "GET", .path = path, .timeout_ns = AQ_VC_WAIT_NS};
  v->busy++;
  aq_bn_call(v->bn, &req, data_answer, b);
}

void aq_vc_attest(aq_vc *v, uint64_t slot, const aq_vc_epoch *e) {
  aq_fork fork = aq_chain_fork_at(&v->chain, aq_epoch_of(&v->chain.clock, slot));
  bool bits = aq_fork_of(fork)->committee_bits;
  for (uint32_t from = 0; from < e->att_cnt; from++) {
    /* One question a committee, or one a slot where all have one index; a batch is asked for at its first member. */
    uint64_t index = bits ? 0 : e->att[from].committee_index;
    if (e->att[from].slot != slot) continue;
    bool first = true;
    for (uint32_t i = 0; i < from; i++) {
      if (e->att[i].slot == slot && (bits || e->att[i].committee_index == index)) first = false;
    }
    if (!first) continue;
    batch *b = calloc(1, sizeof *b + e->att_cnt * sizeof b->s[0]);
    AQ_ASSERT(b);
    b->v = v, b->slot = slot, b->index = index, b->fork = fork;
    for (uint32_t i = from; i < e->att_cnt; i++) {
      const aq_vc_att *d = &e->att[i];
      if (d->slot != slot || (!bits && d->committee_index != index)) continue;
      signer *s = &b->s[b->cnt++];
      s->duty = *d;
      s->validator_index = v->key[d->key].index;
      memcpy(s->pubkey, v->key[d->key].pubkey, 48);
    }
    ask(v, b);
  }
}
