/* Block proposals and voluntary exits. Spec: validator-api.md 8 and 11. GET v3 (and v2 on chains before Deneb) takes
   the partial RANDAO reveal, waits for the cluster's block and hands it out; POST takes the signed block back. */
#include "api/vapi_internal.h"

#include "base/hex.h"
#include "eth/block.h"

enum {
  BLOCK_JSON_MAX = 4 * AQ_VAPI_BLOCK_MAX, /* two digits a byte, quotes and names */
  REVEAL_MAX = 1 << 16,                   /* of any length that a query has, so that the error can show it */
  EXIT_MAX = 256                          /* SSZ: 112 bytes */
};

/* ---- production ---- */

static void answer_block(aq_call *c, const aq_unsigned_data *d) {
  bool v3 = c->route->flags & AQ_ROUTE_V3;
  const char *version = aq_fork_name(d->fork), *blinded = d->blinded ? "true" : "false";
  const aq_http_header h[] = {{"Content-Type", c->ssz ? "application/octet-stream" : "application/json"},
                              {"Eth-Consensus-Version", version},
                              {"Eth-Execution-Payload-Blinded", blinded},
                              {"Eth-Execution-Payload-Value", "1"},
                              {"Eth-Consensus-Block-Value", "1"}};
  aq_http_headers headers = {h, v3 ? 5u : 2u};
  if (c->ssz) {
    aq_call_answer(c, 200, &headers, d->value, NULL);
    return;
  }
  aq_buf body = AQ_BUF(BLOCK_JSON_MAX);
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '{');
  if (v3) {
    aq_json_out_bool(&o, "execution_payload_blinded", d->blinded);
    aq_json_out_str(&o, "execution_payload_value", "1");
    aq_json_out_str(&o, "consensus_block_value", "1");
  }
  aq_json_out_str(&o, "version", version);
  /* Clients of that time want the value of the payload here; it differs by node, so it is the constant 1 as above. */
  if (!v3) aq_json_out_str(&o, "block_value", "1");
  aq_json_out_value(&o, "data");
  aq_ssz_to_json(&body, d->type, d->value);
  aq_json_out_close(&o, '}');
  if (aq_buf_status(&body) == AQ_OK)
    aq_call_answer(c, 200, &headers, aq_buf_bytes(&body), NULL);
  else
    aq_call_error(c, 500, "the block is too large to be written as JSON");
  aq_buf_free(&body);
}

static void block_known(void *arg, aq_status st, const aq_unsigned_data *data, const uint8_t *pubkey) {
  (void)pubkey;
  aq_call *c = arg;
  if (st == AQ_OK)
    answer_block(c, data);
  else
    aq_call_no_signature(c, "the RANDAO of the cluster or consensus on the block");
}

/* The proposer of the block that the cluster agreed on, -1: none yet. It stays the proposer whatever the schedule says
   after a reorganisation: only its block can come of this slot. */
static int decided_proposer(const aq_call *c, uint64_t slot) {
  aq_dutydb_entry e = aq_dutydb_proposal(aq_workflow_dutydb(c->v->cfg.workflow), slot);
  return e.data ? aq_vapi_by_group(c->v, e.pubkey) : -1;
}

static void randao_stored(void *arg, const aq_status *item, const char *const *why, uint32_t cnt) {
  (void)cnt;
  aq_call *c = arg;
  c->item[0] = item[0];
  c->why[0] = why[0];
  c->submits--;
  if (c->gone || item[0] != AQ_OK) {
    aq_call_submitted(c);
    return;
  }
  c->duty_wait.kind = AQ_DUTY_PROPOSER;
  c->duty_wait.slot = c->slot;
  c->duty_wait.fn = block_known;
  c->duty_wait.arg = c;
  aq_dutydb_await(aq_workflow_dutydb(c->v->cfg.workflow), &c->duty_wait, aq_call_until(c));
}

/* Takes the RANDAO as that of this validator, then waits for the block. */
static void propose(aq_call *c, uint32_t validator) {
  aq_partial p = {.validator = validator, .data = {.duty = AQ_DUTY_RANDAO}};
  memcpy(p.data.sig, c->randao, sizeof c->randao);
  p.data.epoch = aq_epoch_of(&c->v->cfg.chain->clock, c->slot);
  if (!aq_call_items(c, 1)) return;
  c->submits++;
  aq_workflow_submit(c->v->cfg.workflow, (aq_duty){c->slot, AQ_DUTY_RANDAO}, &p, 1, randao_stored, c);
}

static void propose_resolved(void *arg, bool ok) {
  aq_call *c = arg;
  aq_duty_defs defs;
  aq_duty proposer = {c->slot, AQ_DUTY_PROPOSER};
  int decided = decided_proposer(c, c->slot); /* meanwhile */
  if (decided >= 0)
    propose(c, (uint32_t)decided);
  else if (!ok)
    aq_call_error(c, 503, "the duties of slot %llu are not known yet", (unsigned long long)c->slot);
  else if (aq_scheduler_defs(aq_workflow_scheduler(c->v->cfg.workflow), proposer, &defs) != AQ_OK || defs.cnt == 0)
    aq_call_error(c, 400, "no validator of this cluster proposes in slot %llu", (unsigned long long)c->slot);
  else
    propose(c, defs.item[0].validator);
}

/* False: 400 was answered (validator-api.md 2.2). */
static bool read_randao(aq_call *c) {
  const char *text = aq_call_query(c, "randao_reveal");
  aq_buf any = AQ_BUF(REVEAL_MAX);
  bool ok = false;
  if (!text || !text[0])
    aq_call_error(c, 400, "missing 0x-hex query parameter randao_reveal");
  else if (aq_hex_decode_buf(&any, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK)
    aq_call_error(c, 400, "invalid 0x-hex query parameter randao_reveal [%.200s]", text);
  else if (any.len != sizeof c->randao)
    aq_call_error(c, 400, "invalid length for 0x-hex query parameter randao_reveal, expect 96 bytes");
  else
    ok = true;
  if (ok) memcpy(c->randao, any.ptr, sizeof c->randao);
  aq_buf_free(&any);
  return ok;
}

void aq_vapi_propose_block(aq_call *c) {
  if (!aq_call_ready(c) || !aq_call_param_u64(c, 0, "slot", &c->slot)) return;
  const aq_clock *clock = &c->v->cfg.chain->clock;
  aq_fork fork = aq_chain_fork_at(c->v->cfg.chain, aq_epoch_of(clock, c->slot));
  if ((c->route->flags & AQ_ROUTE_V2) && !aq_fork_of(fork)->old_block_route) {
    aq_call_error(c, 404, "NotFound");
    return;
  }
  if (!read_randao(c)) return;
  c->ssz = aq_call_wants_ssz(c);
  int decided = decided_proposer(c, c->slot);
  if (decided >= 0) {
    propose(c, (uint32_t)decided);
    return;
  }
  aq_scheduler_await_epoch(aq_workflow_scheduler(c->v->cfg.workflow), &c->epoch_wait, aq_epoch_of(clock, c->slot),
                           aq_call_until(c), propose_resolved, c);
}

/* ---- submission ---- */

/* The fork of a JSON block without version header: that of its slot. */
static bool json_fork(aq_call *c, yyjson_val *root, aq_fork *out) {
  yyjson_val *outer = yyjson_obj_get(root, "signed_block");
  uint64_t slot = 0;
  if (!aq_json_u64(yyjson_obj_get(outer ? outer : root, "message"), "slot", &slot)) {
    aq_call_error(c, 400, "failed parsing json request body: message.slot");
    return false;
  }
  return aq_call_version(c, slot, false, out);
}

/* The block root is the same blinded or not and in forks of equal layout, so both are compared on their own
   (validator-api.md 8); the root itself when the signature is taken. */
static const char *wrong_form(const aq_unsigned_data *agreed, aq_fork fork, bool blinded) {
  if (agreed->fork != fork) return "it differs from what the cluster agreed on: another fork";
  return agreed->blinded == blinded ? NULL : "it differs from what the cluster agreed on: blinded or not";
}

static void undecided(aq_call *c, aq_duty duty) {
  aq_duty_defs defs;
  if (aq_scheduler_defs(aq_workflow_scheduler(c->v->cfg.workflow), duty, &defs) == AQ_E_NOTFOUND)
    aq_call_error(c, 400, "no validator of this cluster proposes in slot %llu", (unsigned long long)duty.slot);
  else
    aq_call_error(c, 400, "consensus has not decided a block for that slot");
}

static void submit_value(aq_call *c, aq_fork fork, bool blinded, const aq_ssz_type *type, aq_bytes value) {
  aq_block_view view;
  aq_block_view_get(&view, fork, blinded, true, value);
  aq_duty duty = {view.slot, AQ_DUTY_PROPOSER};
  aq_dutydb_entry agreed = aq_dutydb_proposal(aq_workflow_dutydb(c->v->cfg.workflow), duty.slot);
  int validator = decided_proposer(c, duty.slot);
  if (validator < 0) {
    undecided(c, duty);
    return;
  }
  aq_partial p = {
      .validator = (uint32_t)validator,
      .data = {
          .duty = AQ_DUTY_PROPOSER, .fork = fork, .blinded = blinded, .slot = duty.slot, .type = type, .value = value}};
  memcpy(p.data.sig, view.signature.ptr, 96);
  const uint32_t pos = 0;
  if (!aq_call_items(c, 1)) return;
  const char *why = wrong_form(agreed.data, fork, blinded);
  if (why) {
    aq_call_refuse(c, 0, AQ_E_FORMAT, why);
    aq_call_submitted(c);
  } else {
    aq_call_submit(c, duty, &p, &pos, 1);
  }
}

static void submit_ssz(aq_call *c, bool blinded) {
  aq_fork fork;
  uint64_t now_slot = aq_slot_at(&c->v->cfg.chain->clock, aq_now_ns(c->v->cfg.env));
  if (!aq_call_version(c, now_slot, false, &fork)) return;
  const aq_ssz_type *type = aq_t_proposal(fork, blinded, true);
  if (!type || aq_ssz_check(type, c->req->body) != AQ_OK) {
    aq_call_error(c, 415, "failed parsing ssz request body");
    return;
  }
  submit_value(c, fork, blinded, type, c->req->body);
}

static void submit_json(aq_call *c, bool blinded) {
  yyjson_doc *doc = aq_call_body_json(c);
  if (!doc) return;
  aq_fork fork;
  aq_err err = {0};
  if (!json_fork(c, yyjson_doc_get_root(doc), &fork)) {
    yyjson_doc_free(doc);
    return;
  }
  const aq_ssz_type *type = aq_t_proposal(fork, blinded, true);
  aq_buf value = AQ_BUF(AQ_VAPI_BLOCK_MAX);
  if (!type || aq_ssz_from_json(&value, type, yyjson_doc_get_root(doc), &err) != AQ_OK) {
    aq_call_error(c, 400, "failed parsing json request body: %.160s", err.text);
  } else {
    submit_value(c, fork, blinded, type, aq_buf_bytes(&value));
  }
  aq_buf_free(&value);
  yyjson_doc_free(doc);
}

void aq_vapi_submit_block(aq_call *c) {
  if (!aq_call_ready(c) || !aq_call_media(c, true)) return;
  bool blinded = c->route->flags & AQ_ROUTE_BLINDED;
  if (aq_call_is_ssz(c))
    submit_ssz(c, blinded);
  else
    submit_json(c, blinded);
}

/* ---- voluntary exit ---- */

void aq_vapi_submit_exit(aq_call *c) {
  if (!aq_call_ready(c) || !aq_call_media(c, false)) return;
  yyjson_doc *doc = aq_call_body_json(c);
  if (!doc) return;
  aq_buf value = AQ_BUF(EXIT_MAX);
  aq_err err = {0};
  if (aq_ssz_from_json(&value, &aq_t_signed_voluntary_exit, yyjson_doc_get_root(doc), &err) != AQ_OK) {
    aq_call_error(c, 400, "failed parsing json request body: %.160s", err.text);
  } else {
    aq_bytes in = aq_buf_bytes(&value);
    uint64_t index = aq_ssz_get_u64(&aq_t_signed_voluntary_exit, in, "message.validator_index");
    uint64_t epoch = aq_ssz_get_u64(&aq_t_signed_voluntary_exit, in, "message.epoch");
    uint64_t slot;
    int validator = aq_scheduler_by_index(aq_workflow_scheduler(c->v->cfg.workflow), index);
    if (validator < 0) {
      aq_call_error(c, 400, "validator %llu is none of this cluster", (unsigned long long)index);
    } else if (__builtin_mul_overflow(epoch, c->v->cfg.chain->clock.slots_per_epoch, &slot)) {
      aq_call_error(c, 400, "epoch out of range");
    } else if (aq_call_items(c, 1)) {
      aq_partial p = {.validator = (uint32_t)validator,
                      .data = {.duty = AQ_DUTY_EXIT,
                               .epoch = epoch,
                               .validator_index = index,
                               .type = &aq_t_signed_voluntary_exit,
                               .value = in}};
      memcpy(p.data.sig, aq_ssz_get(&aq_t_signed_voluntary_exit, in, "signature").ptr, 96);
      aq_call_submit(c, (aq_duty){slot, AQ_DUTY_EXIT}, &p, &(uint32_t){0}, 1);
    }
  }
  aq_buf_free(&value);
  yyjson_doc_free(doc);
}
