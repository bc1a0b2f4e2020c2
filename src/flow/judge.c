/* Own duties, then the beacon node's view of what the leader proposes; verdicts may come later, and are asked for
   again. */
#include "flow/judge.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/eip712.h"
#include "cluster/pubkeys.h"
#include "codec/json.h"
#include "eth/block.h"

enum {
  SCRATCH_MAX = 64 << 20,  /* a block with its blobs, out of JSON */
  ANSWER_MAX = 64 << 10,   /* attestation data, a block's header */
  AGAIN_PART_OF_SLOT = 48, /* a quarter of a second on mainnet: in time for the round, late enough to matter */
  FEE_MATCHES = 1,         /* values of the gauge, core.md 7.3 */
  FEE_DIFFERS = 2
};

typedef struct {
  uint64_t epoch;
  uint8_t root[32];
} checkpoint;

typedef struct {
  checkpoint source, target;
} votes;

/* What our beacon node says about an attester duty, and what it is being asked. */
typedef struct {
  aq_list link;
  aq_judge *j;
  aq_duty duty;
  bool known; /* it has said `own` */
  votes own, fresh;
  int64_t round;                /* that the questions below are for */
  bool asked, looked, repeated; /* for `own`, for the block; both once more */
  uint64_t votes_call, block_call;
  uint8_t block[32]; /* asked for */
  bool block_known;
  aq_timer again, end;
} view;

struct aq_judge {
  aq_judge_cfg cfg;
  aq_list views;
  uint64_t justified; /* source epoch that our beacon node named last */
  aq_duty warned;     /* about its fee recipient */
  bool misdirected;   /* the last value judged pays somebody else */
};

static bool strict(const aq_judge *j, const aq_value_case *c) { return c->round <= (int64_t)j->cfg.faulty + 1; }

/* Are the rules asked in which honest nodes can differ? */
static bool early(const aq_judge *j, const aq_value_case *c) {
  bool open = c->prepared || c->round > 4 * (int64_t)j->cfg.faulty + 3;
  return !open && (strict(j, c) || !c->seconded);
}

static aq_value_verdict bad(aq_err *err, const char *why) {
  (void)aq_fail(err, AQ_E_UNKNOWN, "%s", why);
  return AQ_VALUE_BAD;
}

/* Of a rule for early rounds. */
static aq_value_verdict differs(const aq_judge *j, const aq_value_case *c, aq_err *err, const char *why) {
  aq_value_verdict v = bad(err, why);
  return strict(j, c) ? v : AQ_VALUE_DOUBT;
}

/* ---- our beacon node's view of an attester duty ---- */

static bool same_checkpoint(const checkpoint *a, const checkpoint *b) {
  return a->epoch == b->epoch && memcmp(a->root, b->root, 32) == 0;
}

static votes votes_of(const aq_att_data *d) {
  votes v = {.source = {d->source_epoch, {0}}, .target = {d->target_epoch, {0}}};
  memcpy(v.source.root, d->source_root, 32);
  memcpy(v.target.root, d->target_root, 32);
  return v;
}

static void view_free(view *v) {
  const aq_judge_cfg *cfg = &v->j->cfg;
  if (v->votes_call) aq_bn_cancel(cfg->bn, v->votes_call);
  if (v->block_call) aq_bn_cancel(cfg->bn, v->block_call);
  aq_timer_cancel(cfg->env, &v->again);
  aq_timer_cancel(cfg->env, &v->end);
  aq_list_remove(&v->link);
  free(v);
}

static void view_over(void *arg) { view_free(arg); }

static view *view_get(aq_judge *j, aq_duty duty) {
  AQ_LIST_EACH(&j->views, it, view, link) {
    if (aq_duty_eq(it->duty, duty)) return it;
  }
  view *v = calloc(1, sizeof *v);
  AQ_ASSERT(v);
  v->j = j;
  v->duty = duty;
  aq_list_push(&j->views, &v->link);
  aq_timer_set(j->cfg.env, &v->end, aq_duty_deadline_ns(j->cfg.chain, duty), view_over, v);
  return v;
}

static void take_votes(view *v, const votes *own) {
  v->known = true;
  v->own = *own;
  v->j->justified = own->source.epoch;
}

/* Once all that was asked is answered; the view may be gone after it. */
static void answer_came(view *v) {
  if (!v->votes_call && !v->block_call) v->j->cfg.known(v->j->cfg.arg, v->duty);
}

static bool votes_good(void *arg, const aq_bn_answer *ans) {
  view *v = arg;
  const aq_chain *chain = v->j->cfg.chain;
  aq_buf ssz = AQ_BUF(ANSWER_MAX);
  aq_att_data d = {0};
  yyjson_doc *doc = aq_json_parse(ans->body, ANSWER_MAX, NULL);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  bool good = aq_ssz_from_json(&ssz, &aq_t_attestation_data, data, NULL) == AQ_OK;
  if (good) aq_att_data_get(&d, aq_buf_bytes(&ssz));
  yyjson_doc_free(doc);
  aq_buf_free(&ssz);
  v->fresh = votes_of(&d);
  return good && d.slot == v->duty.slot && d.target_epoch == aq_epoch_of(&chain->clock, d.slot) &&
         (d.source_epoch < d.target_epoch || d.target_epoch == 0);
}

static void votes_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  view *v = arg;
  (void)ans;
  v->votes_call = 0;
  if (st == AQ_OK) take_votes(v, &v->fresh);
  answer_came(v);
}

static void ask_votes(view *v) {
  char path[128];
  snprintf(path, sizeof path, "/eth/v1/validator/attestation_data?slot=%llu&committee_index=0",
           (unsigned long long)v->duty.slot);
  const aq_bn_req req = {
      .endpoint = "attestation_data", .method = "GET", .path = path, .body_max = ANSWER_MAX, .good = votes_good};
  v->asked = true;
  if (!v->votes_call) v->votes_call = aq_bn_call(v->j->cfg.bn, &req, votes_answer, v);
}

/* The newest block at or before the epoch's first slot is an honest target; an epoch without any block is none that
   beacon nodes differ about for a moment. */
static bool block_good(void *arg, const aq_bn_answer *ans) {
  const view *v = arg;
  const aq_clock *clock = &v->j->cfg.chain->clock;
  uint64_t slot = 0, first = aq_epoch_of(clock, v->duty.slot) * clock->slots_per_epoch;
  yyjson_doc *doc = aq_json_parse(ans->body, ANSWER_MAX, NULL);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  yyjson_val *message = yyjson_obj_get(yyjson_obj_get(data, "header"), "message");
  uint8_t root[32];
  bool good = aq_json_hex(data, "root", root, 32) && memcmp(root, v->block, 32) == 0 &&
              aq_json_u64(message, "slot", &slot) && slot <= first && slot + clock->slots_per_epoch >= first;
  yyjson_doc_free(doc);
  return good;
}

static void block_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  view *v = arg;
  (void)ans;
  v->block_call = 0;
  v->block_known = st == AQ_OK;
  answer_came(v);
}

static void ask_block(view *v, const uint8_t root[32]) {
  char path[128] = "/eth/v1/beacon/headers/0x";
  aq_hex_encode(path + strlen(path), aq_bytes_of(root, 32));
  /* Which block is asked for is up to the leader: a true answer about an old one is no fault of the beacon node. */
  const aq_bn_req req = {.endpoint = "beacon_block_header",
                         .method = "GET",
                         .path = path,
                         .body_max = ANSWER_MAX,
                         .good = block_good,
                         .forgiving = true};
  if (v->block_call) aq_bn_cancel(v->j->cfg.bn, v->block_call);
  v->looked = true;
  v->block_known = false;
  memcpy(v->block, root, 32);
  v->block_call = aq_bn_call(v->j->cfg.bn, &req, block_answer, v);
}

static void ask_again(void *arg) {
  view *v = arg;
  ask_votes(v);
  if (v->looked && !v->block_known) ask_block(v, v->block);
}

/* Why the votes cannot be prepared in any round, as far as our beacon node has answered; NULL: they can. */
static const char *against(const view *v, const votes *got) {
  if (got->source.epoch <= (v->known ? v->own.source.epoch : v->j->justified)) return NULL;
  return v->known ? "a source that our beacon node has not justified"
                  : "our beacon node does not say what it justified";
}

/* The same for an early round. */
static const char *apart(const view *v, const votes *got, bool is_strict) {
  if (!v->known) return is_strict ? "our beacon node does not say what to attest to" : NULL;
  if (!same_checkpoint(&got->source, &v->own.source)) return "another source than our beacon node's";
  bool named = v->block_known && memcmp(v->block, got->target.root, 32) == 0;
  if (!named && !same_checkpoint(&got->target, &v->own.target)) return "a target that our beacon node does not know";
  return NULL;
}

/* Sends the next question of this round; false: all were answered. */
static bool ask_next(view *v, const votes *got, bool is_early) {
  const aq_judge_cfg *cfg = &v->j->cfg;
  bool target_differs = v->known && !same_checkpoint(&got->target, &v->own.target);
  if (!v->known && !v->asked) ask_votes(v);
  if (is_early && target_differs && !(v->looked && memcmp(v->block, got->target.root, 32) == 0))
    ask_block(v, got->target.root);
  if (v->votes_call || v->block_call || v->again.pos) return true;
  if (v->repeated) return false;
  v->repeated = true;
  aq_timer_after(cfg->env, &v->again, cfg->chain->clock.slot_ns / AGAIN_PART_OF_SLOT, ask_again, v);
  return true;
}

static aq_value_verdict votes_judged(aq_judge *j, const aq_value_case *c, const aq_att_data *data, aq_err *err) {
  view *v = view_get(j, c->duty);
  votes got = votes_of(data);
  const char *always = against(v, &got), *now = early(j, c) ? apart(v, &got, strict(j, c)) : NULL;
  if (!always && !now) return AQ_VALUE_GOOD;
  if (v->round != c->round) {
    v->round = c->round;
    v->asked = v->looked = v->repeated = false;
    aq_timer_cancel(j->cfg.env, &v->again);
  }
  if (ask_next(v, &got, early(j, c))) return AQ_VALUE_WAIT;
  return always ? bad(err, always) : differs(j, c, err, now);
}

/* ---- attestations against our schedule ---- */

/* Schedules differ around reorgs, so a validator that ours does not have here passes; its index does not change. */
static bool duty_fits(const aq_judge *j, const aq_duty_defs *defs, uint32_t validator, const aq_attester_duty *got) {
  const aq_duty_def *def = aq_duty_defs_find(defs, validator);
  if (!def) {
    const aq_validator_state *state = aq_scheduler_validator(j->cfg.scheduler, validator);
    return !state->known || state->index == got->validator_index;
  }
  const aq_attester_duty *own = &def->attester;
  return got->validator_index == own->validator_index && got->committee_index == own->committee_index &&
         got->committee_length == own->committee_length && got->committees_at_slot == own->committees_at_slot &&
         got->validator_committee_index == own->validator_committee_index;
}

static int by_key(const void *pubkey, const void *item) {
  return memcmp(pubkey, ((const aq_unsigned *)item)->pubkey, 48);
}

/* Entries ascend by key. */
static bool has_key(const aq_unsigned_set *set, const uint8_t pubkey[48]) {
  return bsearch(pubkey, set->item, set->cnt, sizeof *set->item, by_key) != NULL;
}

/* The duties that our schedule has in the slot; none when it does not know yet. */
static aq_duty_defs own_duties(const aq_judge *j, aq_duty duty) {
  aq_duty_defs defs = {NULL, 0};
  return aq_scheduler_defs(j->cfg.scheduler, duty, &defs) == AQ_OK ? defs : (aq_duty_defs){NULL, 0};
}

static bool complete(const aq_judge *j, const aq_duty_defs *defs, const aq_unsigned_set *set) {
  for (uint32_t i = 0; i < defs->cnt; i++) {
    if (!has_key(set, j->cfg.lock->validators[defs->item[i].validator].pubkey)) return false;
  }
  return true;
}

static aq_value_verdict attestations(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_arena *a,
                                     aq_err *err) {
  aq_duty_defs defs = own_duties(j, c->duty);
  aq_att_data data = {0};
  for (uint32_t i = 0; i < set->cnt; i++) {
    aq_unsigned_data d;
    int64_t validator = aq_pubkeys_index(j->cfg.validators, j->cfg.lock, set->item[i].pubkey);
    if (validator < 0) return bad(err, "a validator that is not of the cluster");
    if (aq_unsigned_decode(&d, a, c->duty.type, set->item[i].data) != AQ_OK) return bad(err, "no room to read it");
    if (memcmp(d.attester.pubkey, set->item[i].pubkey, 48) != 0) return bad(err, "a duty of another validator");
    if (!c->prepared && !duty_fits(j, &defs, (uint32_t)validator, &d.attester))
      return bad(err, "a duty that is not as our schedule has it");
    aq_att_data_get(&data, d.value); /* of each the same source and target: validity.h */
  }
  if (c->prepared) return AQ_VALUE_GOOD;
  if (early(j, c) && !complete(j, &defs, set)) return differs(j, c, err, "a validator of our schedule is left out");
  return votes_judged(j, c, &data, err);
}

/* ---- blocks ---- */

/* The address that the block pays; empty: one of before the merge, or a blinded one, which pays none that we know. */
static aq_bytes fee_recipient(const aq_unsigned_data *d, aq_bytes in) {
  aq_fork_payload payload = aq_fork_of(d->fork)->payload;
  if (d->blinded || payload == AQ_PAYLOAD_NONE) return aq_bytes_of(NULL, 0);
  const aq_ssz_type *t = aq_t_block(d->fork);
  bool merged =
      payload == AQ_PAYLOAD_ALWAYS || !aq_bytes_is_zero(aq_ssz_get(t, in, "body.execution_payload.block_hash"));
  return merged ? aq_ssz_get(t, in, "body.execution_payload.fee_recipient") : aq_bytes_of(NULL, 0);
}

static void warn_of_fee(aq_judge *j, aq_duty duty, uint32_t validator, aq_bytes got) {
  if (aq_duty_eq(j->warned, duty)) return;
  j->warned = duty;
  AQ_LOG(
      AQ_LOG_WARN, "fee_recipient", AQ_UINT("slot", duty.slot), AQ_UINT("validator", validator),
      AQ_HEX("got", got.ptr, got.len),
      AQ_STR("note", "a full block pays another address than the cluster's; with --builder-api that is not refused"));
}

/* With an override the lock's own address passes too: not all operators have the file yet. */
static bool pays_cluster(const aq_judge *j, uint32_t validator, aq_bytes got) {
  const aq_validator_address *address = j->cfg.lock->def.addresses;
  uint8_t want[20];
  if (!aq_lock_fee_recipient(want, j->cfg.lock, validator) || aq_bytes_eq(got, aq_bytes_of(want, sizeof want)))
    return true;
  return address && aq_address_parse(want, address[validator].fee_recipient) == AQ_OK &&
         aq_bytes_eq(got, aq_bytes_of(want, sizeof want));
}

static aq_value_verdict fee_judged(aq_judge *j, aq_duty duty, uint32_t validator, aq_bytes got, aq_err *err) {
  if (got.len == 0) return AQ_VALUE_GOOD;
  bool same = pays_cluster(j, validator, got);
  aq_metric_set(AQ_M_CORE_FETCHER_PROPOSAL_LOCAL_MISMATCH_FEE_RECIPIENT, same ? FEE_MATCHES : FEE_DIFFERS,
                AQ_NO_LABELS);
  if (same) return AQ_VALUE_GOOD;
  if (j->cfg.builder_api) {
    warn_of_fee(j, duty, validator, got);
    return AQ_VALUE_GOOD;
  }
  char hex[41];
  j->misdirected = true;
  aq_hex_encode(hex, got);
  (void)aq_fail(err, AQ_E_UNKNOWN, "the block pays 0x%s, which is not the cluster's fee recipient", hex);
  return AQ_VALUE_BAD;
}

static aq_value_verdict block(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_arena *a,
                              aq_err *err) {
  aq_unsigned_data d;
  int64_t validator = aq_pubkeys_index(j->cfg.validators, j->cfg.lock, set->item[0].pubkey);
  if (validator < 0) return bad(err, "a validator that is not of the cluster");
  if (aq_unsigned_decode(&d, a, c->duty.type, set->item[0].data) != AQ_OK) return bad(err, "no room to read it");
  if (c->prepared) return AQ_VALUE_GOOD;
  aq_block_view b;
  aq_block_view_get(&b, d.fork, d.blinded, false, d.value);
  const aq_validator_state *v = aq_scheduler_validator(j->cfg.scheduler, (uint32_t)validator);
  if (v->known && b.proposer != v->index) return bad(err, "a block of another proposer");
  aq_duty_defs defs = own_duties(j, c->duty);
  if (early(j, c) && !complete(j, &defs, set))
    return differs(j, c, err, "a block of a validator that does not propose here");
  return fee_judged(j, c->duty, (uint32_t)validator, fee_recipient(&d, b.block), err);
}

/* ---- the judge ---- */

static aq_value_verdict of_cluster(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_arena *a,
                                   aq_err *err) {
  (void)c, (void)a;
  for (uint32_t i = 0; i < set->cnt; i++) {
    if (aq_pubkeys_index(j->cfg.validators, j->cfg.lock, set->item[i].pubkey) < 0)
      return bad(err, "a validator that is not of the cluster");
  }
  return AQ_VALUE_GOOD;
}

static void take_own_votes(aq_judge *j, aq_duty duty, const aq_unsigned *item) {
  aq_unsigned_data d;
  aq_att_data data;
  aq_arena a;
  aq_arena_init(&a, SCRATCH_MAX);
  if (aq_unsigned_decode(&d, &a, duty.type, item->data) == AQ_OK) {
    aq_att_data_get(&data, d.value);
    votes own = votes_of(&data);
    take_votes(view_get(j, duty), &own);
  }
  aq_arena_free(&a);
}

typedef struct {
  aq_value_verdict (*judge)(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_arena *a, aq_err *err);
  void (*take_own)(aq_judge *j, aq_duty duty, const aq_unsigned *item); /* what our own fetch says, or NULL */
} aq_judge_ops;

AQ_DUTY_OPS(aq_judge_ops, judge)

const aq_judge_ops aq_judge_attester = {attestations, take_own_votes}, aq_judge_proposer = {block, NULL},
                   aq_judge_aggregator = {of_cluster, NULL}, aq_judge_sync_contribution = {of_cluster, NULL};
const aq_judge_ops aq_judge_signature = {0}, aq_judge_exit = {0}, aq_judge_builder_proposer = {0},
                   aq_judge_builder_registration = {0}, aq_judge_randao = {0}, aq_judge_prepare_aggregator = {0},
                   aq_judge_sync_message = {0}, aq_judge_prepare_sync_contribution = {0}, aq_judge_info_sync = {0};

aq_value_verdict aq_judge_value(aq_judge *j, const aq_value_case *c, const aq_unsigned_set *set, aq_err *err) {
  const aq_judge_ops *o = ops_of(c->duty.type);
  aq_arena a;
  AQ_ASSERT(set->cnt > 0 && o->judge);
  aq_arena_init(&a, SCRATCH_MAX);
  aq_value_verdict verdict = o->judge(j, c, set, &a, err);
  aq_arena_free(&a);
  return verdict;
}

aq_status aq_judge_own(aq_judge *j, aq_duty duty, const aq_unsigned_set *set, aq_err *err) {
  const aq_value_case c = {.duty = duty, .round = (int64_t)j->cfg.faulty + 2, .seconded = true};
  const aq_judge_ops *o = ops_of(duty.type);
  if (o->take_own) o->take_own(j, duty, &set->item[0]);
  j->misdirected = false;
  if (aq_judge_value(j, &c, set, err) == AQ_VALUE_GOOD) return AQ_OK;
  return j->misdirected ? AQ_E_UNKNOWN : AQ_E_REFUSED;
}

aq_judge *aq_judge_new(const aq_judge_cfg *cfg) {
  aq_judge *j = calloc(1, sizeof *j);
  AQ_ASSERT(j);
  j->cfg = *cfg;
  aq_list_init(&j->views);
  return j;
}

void aq_judge_free(aq_judge *j) {
  if (!j) return;
  AQ_LIST_EACH(&j->views, v, view, link) view_free(v);
  free(j);
}
