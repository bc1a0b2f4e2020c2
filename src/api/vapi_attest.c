/* Attestations: data that the cluster agreed on, and the partial attestations of the validator client. Spec:
   validator-api.md 6. The older routes (v1) are served too for chains before Electra. */
#include "api/vapi_internal.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
  ATTESTATION_MAX = 1024, /* SSZ, with the bits of the largest committee of phase0 */
  COMMITTEES_MAX = 64     /* a slot */
};

static aq_duty duty_of(uint64_t slot) { return (aq_duty){slot, AQ_DUTY_ATTESTER}; }

/* ---- attestation_data ---- */

/* Where nothing was decided the schedule says whether something can be. */
static void data_epoch_resolved(void *arg, bool ok) {
  aq_call *c = arg;
  aq_duty_defs defs;
  aq_duty duty = duty_of(c->slot);
  if (!ok) {
    aq_call_error(c, 503, "the duties of slot %llu are not known yet", (unsigned long long)c->slot);
    return;
  }
  /* Some clients ask in every slot and demote an endpoint on errors: 503 is the mildest (validator-api.md 18.2). */
  if (aq_scheduler_defs(aq_workflow_scheduler(c->v->cfg.workflow), duty, &defs) != AQ_OK)
    aq_call_error(c, 503, "no validator of this cluster attests in slot %llu", (unsigned long long)c->slot);
}

static void data_known(void *arg, aq_status st, const aq_unsigned_data *data, const uint8_t *pubkey) {
  (void)pubkey;
  aq_call *c = arg;
  if (st != AQ_OK && c->epoch_wait.owner) {
    data_epoch_resolved(c, false);
    return;
  }
  if (st != AQ_OK) {
    aq_call_error(c, 504, "waiting for consensus on the attestation data of slot %llu", (unsigned long long)c->slot);
    return;
  }
  if (c->ssz) {
    const aq_http_header h = {"Content-Type", "application/octet-stream"};
    aq_call_answer(c, 200, &(aq_http_headers){&h, 1}, data->value, NULL);
    return;
  }
  aq_buf body = AQ_BUF(AQ_VAPI_OBJECT_MAX);
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_value(&o, "data");
  aq_ssz_to_json(&body, &aq_t_attestation_data, data->value);
  aq_json_out_close(&o, '}');
  aq_call_json(c, 200, aq_buf_bytes(&body));
  aq_buf_free(&body);
}

void aq_vapi_attestation_data(aq_call *c) {
  uint64_t index;
  if (!aq_call_ready(c) || !aq_call_query_u64(c, "slot", &c->slot)) return;
  if (!aq_call_query_u64(c, "committee_index", &index)) return;
  c->ssz = aq_call_wants_ssz(c);
  c->duty_wait.kind = duty_of(c->slot).type;
  c->duty_wait.slot = c->slot;
  c->duty_wait.index = index;
  c->duty_wait.fn = data_known;
  c->duty_wait.arg = c;
  /* Both are waited for: what was decided is served whatever the schedule says by now. */
  aq_dutydb *db = aq_workflow_dutydb(c->v->cfg.workflow);
  bool decided = aq_dutydb_attestation(db, c->slot, index).ptr != NULL;
  aq_dutydb_await(db, &c->duty_wait, aq_call_until(c));
  if (decided) return; /* answered from inside: c is gone */
  aq_scheduler_await_epoch(aq_workflow_scheduler(c->v->cfg.workflow), &c->epoch_wait,
                           aq_epoch_of(&c->v->cfg.chain->clock, c->slot), aq_call_until(c), data_epoch_resolved, c);
}

/* ---- submission ---- */

/* A good attestation of the request; bad ones have only a status. */
typedef struct {
  aq_partial partial;
  uint64_t slot;
  uint32_t pos; /* in the request */
} item;

/* Signatures do not cover the fork: under a wrong one the object would reach peers and beacon nodes. NULL: right. */
static const char *wrong_fork(const aq_call *c, uint64_t slot, aq_fork fork) {
  const aq_chain *chain = c->v->cfg.chain;
  bool right = aq_chain_fork_at(chain, aq_epoch_of(&chain->clock, slot)) == fork;
  return right ? NULL : "Eth-Consensus-Version is not the fork of that slot";
}

#define UNDECIDED ", or consensus has not decided it"

/* Whose duty it is, by what was decided: the schedule of the moment may be that of another chain. */
static const char *take_validator(const aq_call *c, item *it, aq_dutydb_entry duty, const char *none) {
  int validator = duty.data ? aq_vapi_by_group(c->v, duty.pubkey) : -1;
  if (validator < 0) return none;
  it->partial.validator = (uint32_t)validator;
  return NULL;
}

/* An Electra attestation with an empty bit list and one committee bit (core.md 4.2). */
static const char *make_electra(aq_call *c, item *it, aq_fork fork, uint64_t committee, aq_bytes data, aq_bytes sig) {
  static const uint8_t no_bits = 1;
  uint8_t bits[COMMITTEES_MAX / 8] = {0};
  if (committee >= COMMITTEES_MAX) return "the agreed duty is of no committee";
  bits[committee / 8] = (uint8_t)(1u << (committee % 8));
  aq_buf value = AQ_BUF(ATTESTATION_MAX);
  const aq_bytes part[] = {aq_bytes_of(&no_bits, 1), data, sig, aq_bytes_of(bits, sizeof bits)};
  aq_status st = aq_ssz_pack(&value, &aq_t_attestation_electra, part, AQ_COUNT(part));
  it->partial.data = (aq_signed_data){.duty = duty_of(it->slot).type,
                                      .fork = fork,
                                      .has_index = true,
                                      .slot = it->slot,
                                      .type = &aq_t_attestation_electra,
                                      .value = aq_arena_copy(&c->arena, aq_buf_bytes(&value))};
  memcpy(it->partial.data.sig, sig.ptr, 96);
  aq_buf_free(&value);
  return st == AQ_OK ? NULL : "cannot be encoded";
}

static const char *from_single(aq_call *c, item *it, aq_fork fork, yyjson_val *val) {
  aq_buf ssz = AQ_BUF(ATTESTATION_MAX);
  if (aq_ssz_from_json(&ssz, &aq_t_single_attestation, val, NULL) != AQ_OK) {
    aq_buf_free(&ssz);
    return "not a SingleAttestation";
  }
  aq_bytes in = aq_buf_bytes(&ssz), data = aq_ssz_get(&aq_t_single_attestation, in, "data");
  uint64_t committee = aq_ssz_get_u64(&aq_t_single_attestation, in, "committee_index");
  uint64_t attester = aq_ssz_get_u64(&aq_t_single_attestation, in, "attester_index");
  it->slot = aq_ssz_get_u64(&aq_t_attestation_data, data, "slot");
  aq_dutydb_entry duty = {NULL, NULL};
  const char *bad = committee >= COMMITTEES_MAX ? "committee_index is not below 64" : wrong_fork(c, it->slot, fork);
  if (!bad) duty = aq_dutydb_attester(aq_workflow_dutydb(c->v->cfg.workflow), it->slot, committee, attester);
  if (!bad) bad = take_validator(c, it, duty, "no validator of this cluster has that attester duty" UNDECIDED);
  /* Clients may submit under index 0 (validator-api.md 6), beacon nodes want the real one. */
  if (!bad)
    bad = make_electra(c, it, fork, duty.data->attester.committee_index, data,
                       aq_ssz_get(&aq_t_single_attestation, in, "signature"));
  if (!bad) it->partial.data.validator_index = attester;
  aq_buf_free(&ssz);
  return bad;
}

/* The one set bit's position and the number of bits; false unless exactly one is set. */
static bool single_bit(aq_bytes value, uint32_t *pos, uint32_t *bits_cnt) {
  aq_bytes bits = aq_ssz_get(&aq_t_attestation_phase0, value, "aggregation_bits");
  const aq_ssz_type *t = aq_ssz_type_at(&aq_t_attestation_phase0, "aggregation_bits");
  size_t cnt = aq_ssz_count(t, bits), found = 0;
  for (size_t i = 0; i < cnt; i++) {
    if (!aq_ssz_bit(t, bits, i)) continue;
    *pos = (uint32_t)i;
    found++;
  }
  *bits_cnt = (uint32_t)cnt;
  return found == 1;
}

static const char *from_phase0(aq_call *c, item *it, aq_fork fork, yyjson_val *val) {
  aq_buf ssz = AQ_BUF(ATTESTATION_MAX);
  uint32_t bit = 0, cnt = 0;
  if (aq_ssz_from_json(&ssz, &aq_t_attestation_phase0, val, NULL) != AQ_OK) {
    aq_buf_free(&ssz);
    return "not an Attestation";
  }
  aq_bytes value = aq_arena_copy(&c->arena, aq_buf_bytes(&ssz));
  aq_buf_free(&ssz);
  aq_bytes data = aq_ssz_get(&aq_t_attestation_phase0, value, "data");
  it->slot = aq_ssz_get_u64(&aq_t_attestation_data, data, "slot");
  uint64_t committee = aq_ssz_get_u64(&aq_t_attestation_data, data, "index");
  const char *bad = wrong_fork(c, it->slot, fork);
  if (bad) return bad;
  if (!single_bit(value, &bit, &cnt)) return "exactly one aggregation bit must be set";
  aq_dutydb_entry duty = aq_dutydb_member(aq_workflow_dutydb(c->v->cfg.workflow), it->slot, committee, bit);
  if (duty.data && duty.data->attester.committee_length != cnt) duty.data = NULL;
  bad = take_validator(c, it, duty, "no validator of this cluster has that position in the committee" UNDECIDED);
  if (bad) return bad;
  it->partial.data = (aq_signed_data){.duty = duty_of(it->slot).type,
                                      .fork = fork,
                                      .has_index = true,
                                      .validator_index = duty.data->attester.validator_index,
                                      .slot = it->slot,
                                      .type = &aq_t_attestation_phase0,
                                      .value = value};
  memcpy(it->partial.data.sig, aq_ssz_get(&aq_t_attestation_phase0, value, "signature").ptr, 96);
  return NULL;
}

static int by_slot(const void *a, const void *b) {
  const item *const *x = a, *const *y = b;
  if ((*x)->slot != (*y)->slot) return (*x)->slot < (*y)->slot ? -1 : 1;
  return (*x)->pos < (*y)->pos ? -1 : (*x)->pos > (*y)->pos;
}

/* Submits the items by slot; those of the slots over the limit are refused. */
static void submit_slots(aq_call *c, item **items, uint32_t cnt) {
  aq_partial *p = aq_arena_array(&c->arena, cnt, sizeof *p);
  uint32_t *pos = aq_arena_array(&c->arena, cnt, sizeof *pos), slots = 0;
  qsort(items, cnt, sizeof *items, by_slot);
  c->submits++; /* the call outlives answers that come while it is still starting submissions */
  for (uint32_t i = 0, n; i < cnt; i += n, slots++) {
    bool room = p && pos && slots < AQ_VAPI_SUBMITS_MAX;
    for (n = 0; i + n < cnt && items[i + n]->slot == items[i]->slot; n++) {
      if (!room) {
        aq_call_refuse(c, items[i + n]->pos, AQ_E_LIMIT, "too many slots in one request");
        continue;
      }
      p[n] = items[i + n]->partial;
      pos[n] = items[i + n]->pos;
    }
    if (room) aq_call_submit(c, duty_of(items[i]->slot), p, pos, n);
  }
  c->submits--;
  aq_call_submitted(c);
}

static void take_items(aq_call *c, yyjson_val *list, aq_fork fork) {
  size_t size = yyjson_arr_size(list);
  uint32_t cnt = size > AQ_VAPI_ITEMS_MAX ? AQ_VAPI_ITEMS_MAX + 1 : (uint32_t)size, good = 0;
  if (!aq_call_items(c, cnt)) return;
  item **items = aq_arena_array(&c->arena, cnt, sizeof(item *));
  size_t i, max;
  yyjson_val *val;
  yyjson_arr_foreach(list, i, max, val) {
    item it = {.pos = (uint32_t)i};
    const char *bad =
        aq_fork_of(fork)->committee_bits ? from_single(c, &it, fork, val) : from_phase0(c, &it, fork, val);
    item *kept = bad || !items ? NULL : aq_arena_alloc(&c->arena, sizeof *kept);
    if (kept) {
      *kept = it;
      items[good++] = kept;
    } else {
      aq_call_refuse(c, (uint32_t)i, bad ? AQ_E_FORMAT : AQ_E_LIMIT, bad ? bad : "no memory");
    }
  }
  submit_slots(c, items, good);
}

void aq_vapi_submit_attestations(aq_call *c) {
  aq_fork fork;
  if (!aq_call_ready(c)) return;
  bool v2 = (c->route->flags & AQ_ROUTE_V2) != 0;
  uint64_t now_slot = aq_slot_at(&c->v->cfg.chain->clock, aq_now_ns(c->v->cfg.env));
  if (!aq_call_version(c, now_slot, v2, &fork)) return;
  if (!v2 && !aq_fork_of(fork)->old_pool_routes) {
    aq_call_error(c, 404, "NotFound");
    return;
  }
  if (!aq_call_media(c, false)) return;
  yyjson_doc *doc = aq_call_body_json(c);
  if (!doc) return;
  if (yyjson_is_arr(yyjson_doc_get_root(doc)))
    take_items(c, yyjson_doc_get_root(doc), fork);
  else
    aq_call_error(c, 400, "failed parsing json request body");
  yyjson_doc_free(doc);
}
