/* The client's clockwork: duties by epoch, slots by timer; what is signed is in vc_attest.c and vc_propose.c. */
#include "vc/vc_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "codec/json_out.h"

enum { BODY_MAX = 8 << 20 }; /* entries or ids of all keys that a cluster may have */

#define RETRY_NS AQ_MILLIS(500)
enum { LOOKS_PER_SLOT = 4 }; /* at the clock: it may have been set */

void aq_vc_error(aq_vc *v, const char *what, uint64_t slot, aq_status st, const aq_bn_answer *ans) {
  v->stats.errors++;
  char text[200] = "";
  if (ans && ans->body.len)
    snprintf(text, sizeof text, "%.*s", (int)(ans->body.len < 180 ? ans->body.len : 180), (const char *)ans->body.ptr);
  AQ_LOG(AQ_LOG_WARN, "vc_error", AQ_STR("answer", text[0] ? text : NULL), AQ_INT("code", ans ? ans->code : 0),
         AQ_STR("err", v->bn && *aq_bn_why(v->bn) ? aq_bn_why(v->bn) : aq_status_text(st)), AQ_STR("op", what),
         AQ_UINT("slot", slot));
}

const char *aq_vc_refusal_text(aq_status st, aq_store_refusal why) {
  if (st == AQ_E_IO)
    return "the slashing protection database could not be written, so nothing is sent: look at the disk";
  if (st != AQ_E_SLASH) return aq_status_text(st);
  switch (why) {
    case AQ_REFUSAL_ROOT: return "another vote was signed for this slot before";
    case AQ_REFUSAL_TARGET: return "another vote was signed for this target epoch before";
    case AQ_REFUSAL_SURROUND: return "it would surround a vote that was signed before, or be surrounded by one";
    case AQ_REFUSAL_BLOCK: return "another block was signed for this slot before";
    case AQ_REFUSAL_MARK:
      return "not above all that was signed before or that an import forbids (aequa store export shows up to where)";
    case AQ_REFUSAL_EPOCHS: return "its source epoch lies behind its target epoch: the beacon node's data are wrong";
    case AQ_REFUSAL_UNKNOWN: break;
  }
  return aq_status_text(st);
}

void aq_vc_refused(aq_vc *v, aq_duty_type type, uint64_t slot, uint64_t validator_index, aq_status st) {
  const aq_store *s = v->cfg.store;
  aq_store_refusal why = st == AQ_E_SLASH && s->refusal ? s->refusal(s->ctx) : AQ_REFUSAL_UNKNOWN;
  v->stats.refused_by_protection++;
  AQ_LOG(AQ_LOG_ERROR, "vc_protection", AQ_STR("duty", aq_duty_name(type)), AQ_STR("err", aq_vc_refusal_text(st, why)),
         AQ_UINT("slot", slot), AQ_UINT("validator_index", validator_index));
}

static aq_vc_epoch *epoch_slot(aq_vc *v, uint64_t epoch) {
  aq_vc_epoch *e = &v->epoch[epoch % 2];
  if (e->used && e->epoch == epoch) return e;
  free(e->att);
  free(e->prop);
  *e = (aq_vc_epoch){.epoch = epoch, .used = true};
  return e;
}

static int key_by_hex(const aq_vc *v, const char *text) {
  uint8_t pubkey[48];
  if (!text || aq_hex_decode(pubkey, sizeof pubkey, aq_bytes_str(text), AQ_HEX_PREFIX) != AQ_OK) return -1;
  for (uint32_t i = 0; i < v->cfg.key_cnt; i++) {
    if (memcmp(v->key[i].pubkey, pubkey, 48) == 0) return (int)i;
  }
  return -1;
}

/* ---- the slot's work ---- */

/* As the node does (contract.md 13.6): a journal that was lost or put back knows nothing of what was signed before. */
static bool abstains(aq_vc *v, aq_duty duty) {
  bool yes = v->unproven_ns != 0 && aq_duty_start_ns(&v->chain, duty) <= v->unproven_ns;
  if (yes && !v->abstain_logged) {
    v->abstain_logged = true;
    AQ_LOG(AQ_LOG_WARN, "abstain",
           AQ_STR("note", "no record of earlier signatures: duties that began before the start are not signed"),
           AQ_UINT("until_slot", aq_slot_at(&v->chain.clock, v->unproven_ns)));
  }
  return yes;
}

static void run_slot(aq_vc *v) {
  uint64_t now_ns = aq_now_ns(v->cfg.env);
  if (!v->ready || now_ns < v->chain.clock.genesis_ns) return;
  uint64_t slot = aq_slot_at(&v->chain.clock, now_ns), epoch = aq_epoch_of(&v->chain.clock, slot);
  const aq_vc_epoch *e = &v->epoch[epoch % 2];
  if (!e->used || e->epoch != epoch) return;
  /* The clock was ahead: the slots from here on had no turn, or have one more, and the journal decides. */
  if (slot + 2 < v->att_slot) v->att_slot = slot;
  if (slot + 2 < v->prop_slot) v->prop_slot = slot;
  if (e->prop_known && e->prop_heard > slot && v->prop_slot <= slot) {
    v->prop_slot = slot + 1;
    if (!abstains(v, (aq_duty){slot, AQ_DUTY_PROPOSER})) aq_vc_propose(v, slot, e);
  }
  if (e->att_known && v->att_slot <= slot && now_ns >= aq_duty_start_ns(&v->chain, (aq_duty){slot, AQ_DUTY_ATTESTER})) {
    v->att_slot = slot + 1;
    if (!abstains(v, (aq_duty){slot, AQ_DUTY_ATTESTER})) aq_vc_attest(v, slot, e);
  }
}

static void att_tick(void *arg) { run_slot(arg); }

/* ---- duties ---- */

typedef struct {
  aq_vc *v;
  uint64_t epoch, slot; /* slot: in which it was asked */
} epoch_call;

static aq_vc_epoch *still_wanted(const epoch_call *call) {
  aq_vc_epoch *e = &call->v->epoch[call->epoch % 2];
  return e->used && e->epoch == call->epoch ? e : NULL;
}

static void put_index_list(aq_buf *out, const aq_vc *v) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '[');
  for (uint32_t i = 0; i < v->cfg.key_cnt; i++) {
    if (v->key[i].known) aq_json_out_u64_str(&o, NULL, v->key[i].index);
  }
  aq_json_out_close(&o, ']');
}

static void subscribed(void *arg, aq_status st, const aq_bn_answer *ans) { (void)arg, (void)st, (void)ans; }

/* Without it a real beacon node joins no subnet for us; a failure costs nothing here. */
static void subscribe(aq_vc *v, yyjson_val *list) {
  aq_buf body = AQ_BUF(BODY_MAX);
  size_t i, max, cnt = 0;
  yyjson_val *val;
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '[');
  yyjson_arr_foreach(list, i, max, val) {
    uint64_t index, committee, committees, slot;
    if (!aq_json_u64(val, "validator_index", &index) || !aq_json_u64(val, "committee_index", &committee) ||
        !aq_json_u64(val, "committees_at_slot", &committees) || !aq_json_u64(val, "slot", &slot)) {
      continue;
    }
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_u64_str(&o, "validator_index", index);
    aq_json_out_u64_str(&o, "committee_index", committee);
    aq_json_out_u64_str(&o, "committees_at_slot", committees);
    aq_json_out_u64_str(&o, "slot", slot);
    aq_json_out_bool(&o, "is_aggregator", false);
    aq_json_out_close(&o, '}');
    cnt++;
  }
  aq_json_out_close(&o, ']');
  const aq_bn_req req = {.endpoint = "submit_beacon_committee_subscriptions",
                         .method = "POST",
                         .path = "/eth/v1/validator/beacon_committee_subscriptions",
                         .body = aq_buf_bytes(&body),
                         .submit = true};
  if (cnt) aq_bn_call(v->bn, &req, subscribed, v);
  aq_buf_free(&body);
}

static bool same_att(const aq_vc_att *a, const aq_vc_att *b) {
  return a->key == b->key && a->slot == b->slot && a->committee_index == b->committee_index &&
         a->committee_length == b->committee_length && a->position == b->position;
}

static void read_attesters(aq_vc *v, aq_vc_epoch *e, yyjson_val *list) {
  size_t i, max;
  yyjson_val *val;
  aq_vc_att *att = calloc(yyjson_arr_size(list) + 1, sizeof *att);
  uint32_t cnt = 0;
  bool same = e->att_known;
  if (!att) return;
  yyjson_arr_foreach(list, i, max, val) {
    aq_vc_att d = {0};
    int key = key_by_hex(v, aq_json_str(val, "pubkey"));
    if (key < 0 || !aq_json_u64(val, "slot", &d.slot) || !aq_json_u64(val, "committee_index", &d.committee_index) ||
        !aq_json_u64(val, "committee_length", &d.committee_length) ||
        !aq_json_u64(val, "validator_committee_index", &d.position)) {
      continue;
    }
    d.key = (uint32_t)key;
    same = same && cnt < e->att_cnt && same_att(&d, &e->att[cnt]);
    att[cnt++] = d;
  }
  same = same && cnt == e->att_cnt;
  free(e->att);
  e->att = att;
  e->att_cnt = cnt;
  e->att_known = true;
  if (!same) subscribe(v, list);
}

/* The answer with a list under `data`, or NULL: anything else must not pass for "no duties". */
static yyjson_doc *list_answer(aq_status *st, const aq_bn_answer *ans) {
  yyjson_doc *doc = *st == AQ_OK ? aq_json_parse(ans->body, AQ_VC_ANSWER_MAX, NULL) : NULL;
  if (*st != AQ_OK || yyjson_is_arr(yyjson_obj_get(yyjson_doc_get_root(doc), "data"))) return doc;
  yyjson_doc_free(doc);
  *st = AQ_E_FORMAT;
  return NULL;
}

static void attesters_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  epoch_call *call = arg;
  aq_vc *v = call->v;
  aq_vc_epoch *e = still_wanted(call);
  yyjson_doc *doc = list_answer(&st, ans);
  if (e) e->att_open = false;
  if (e && doc)
    read_attesters(v, e, yyjson_obj_get(yyjson_doc_get_root(doc), "data"));
  else if (e)
    e->att_asked = 0; /* the next look asks again */
  if (!doc && st != AQ_E_CLOSED) aq_vc_error(v, "attester_duties", call->epoch, st, ans);
  yyjson_doc_free(doc);
  free(call);
  if (st != AQ_E_CLOSED) run_slot(v);
}

static void read_proposers(aq_vc *v, aq_vc_epoch *e, yyjson_val *list) {
  size_t i, max;
  yyjson_val *val;
  aq_vc_prop *prop = calloc(yyjson_arr_size(list) + 1, sizeof *prop);
  if (!prop) return;
  free(e->prop);
  e->prop = prop;
  e->prop_cnt = 0;
  yyjson_arr_foreach(list, i, max, val) {
    aq_vc_prop d = {0};
    int key = key_by_hex(v, aq_json_str(val, "pubkey"));
    if (key < 0 || !aq_json_u64(val, "slot", &d.slot)) continue;
    d.key = (uint32_t)key;
    e->prop[e->prop_cnt++] = d;
  }
  e->prop_known = true;
}

static void proposers_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  epoch_call *call = arg;
  aq_vc *v = call->v;
  aq_vc_epoch *e = still_wanted(call);
  yyjson_doc *doc = list_answer(&st, ans);
  if (e) e->prop_open = false, e->prop_heard = call->slot + 1;
  if (e && doc)
    read_proposers(v, e, yyjson_obj_get(yyjson_doc_get_root(doc), "data"));
  else if (e)
    e->prop_asked = 0;
  if (!doc && st != AQ_E_CLOSED) aq_vc_error(v, "proposer_duties", call->epoch, st, ans);
  yyjson_doc_free(doc);
  free(call);
  if (st != AQ_E_CLOSED) run_slot(v);
}

static epoch_call *call_of(aq_vc *v, uint64_t epoch, uint64_t slot) {
  epoch_call *call = malloc(sizeof *call);
  AQ_ASSERT(call);
  *call = (epoch_call){.v = v, .epoch = epoch, .slot = slot};
  return call;
}

static void ask_attesters(aq_vc *v, aq_vc_epoch *e, uint64_t slot, uint64_t look) {
  if (e->att_open || e->att_asked == look + 1) return;
  e->att_open = true;
  e->att_asked = look + 1;
  char path[128];
  aq_buf body = AQ_BUF(BODY_MAX);
  put_index_list(&body, v);
  snprintf(path, sizeof path, "/eth/v1/validator/duties/attester/%llu", (unsigned long long)e->epoch);
  const aq_bn_req req = {.endpoint = "attester_duties",
                         .method = "POST",
                         .path = path,
                         .body = aq_buf_bytes(&body),
                         .timeout_ns = AQ_VC_WAIT_NS};
  aq_bn_call(v->bn, &req, attesters_answer, call_of(v, e->epoch, slot));
  aq_buf_free(&body);
}

static void ask_proposers(aq_vc *v, aq_vc_epoch *e, uint64_t slot) {
  if (e->prop_open || e->prop_asked == slot + 1) return;
  e->prop_open = true;
  e->prop_asked = slot + 1;
  char path[128];
  snprintf(path, sizeof path, "/eth/v1/validator/duties/proposer/%llu", (unsigned long long)e->epoch);
  const aq_bn_req req = {.endpoint = "proposer_duties", .method = "GET", .path = path, .timeout_ns = AQ_VC_WAIT_NS};
  aq_bn_call(v->bn, &req, proposers_answer, call_of(v, e->epoch, slot));
}

/* Of the running epoch each slot, where nothing is proposed before the answer, and of attesters once more before they
   sign: a vote at a place that moved meanwhile would bar the one at the new place. Of the next epoch attesters ahead:
   proposers are certain only when it begins. */
static void ask_duties(aq_vc *v, uint64_t slot) {
  const aq_clock *c = &v->chain.clock;
  aq_vc_epoch *e = epoch_slot(v, aq_epoch_of(c, slot));
  bool soon = aq_now_ns(v->cfg.env) >= aq_slot_start_ns(c, slot) + c->slot_ns / LOOKS_PER_SLOT;
  uint64_t look = 2 * slot + soon;
  ask_attesters(v, e, slot, look);
  ask_proposers(v, e, slot);
  if (slot % c->slots_per_epoch < c->slots_per_epoch / 2) return;
  e = epoch_slot(v, e->epoch + 1);
  if (!e->att_known) ask_attesters(v, e, slot, look);
}

static void ask_keys(void *arg);

/* Once an epoch: old records become watermarks, so that a check reads few of them, and the copy is made that takes the
   place of a damaged database. */
static void keep_journal(aq_vc *v, uint64_t slot, uint64_t epoch) {
  if (v->kept_epoch == epoch + 1) return;
  v->kept_epoch = epoch + 1;
  v->cfg.store->prune(v->cfg.store->ctx, slot);
  v->cfg.store->backup(v->cfg.store->ctx);
}

static void slot_tick(void *arg) {
  aq_vc *v = arg;
  const aq_clock *c = &v->chain.clock;
  aq_vc_clock(v);
  uint64_t now_ns = aq_now_ns(v->cfg.env), slot = aq_slot_at(c, now_ns), epoch = aq_epoch_of(c, slot);
  bool begun = now_ns >= c->genesis_ns;
  uint64_t wait_ns = aq_slot_start_ns(c, begun ? slot + 1 : 0) - now_ns, look_ns = c->slot_ns / LOOKS_PER_SLOT;
  aq_timer_after(v->cfg.env, &v->slot_timer, wait_ns < look_ns ? wait_ns : look_ns, slot_tick, v);
  if (epoch != v->keys_epoch) ask_keys(v); /* validators become active while we run */
  ask_duties(v, slot);
  if (!begun) return;
  keep_journal(v, slot, epoch);
  uint64_t att_ns = aq_duty_start_ns(&v->chain, (aq_duty){slot, AQ_DUTY_ATTESTER});
  if (att_ns > now_ns) aq_timer_set(v->cfg.env, &v->att_timer, att_ns, att_tick, v);
  run_slot(v);
}

/* ---- keys and start ---- */

/* What was answered for fewer validators is asked for again. */
static void more_keys(aq_vc *v) {
  for (int i = 0; i < 2; i++) {
    aq_vc_epoch *e = &v->epoch[i];
    if (!e->att_known) continue;
    free(e->att);
    e->att = NULL;
    e->att_cnt = 0;
    e->att_known = false;
    e->att_asked = 0;
  }
  ask_duties(v, aq_slot_at(&v->chain.clock, aq_now_ns(v->cfg.env)));
}

static void keys_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_vc *v = arg;
  if (st == AQ_E_CLOSED && v->closing) return;
  yyjson_doc *doc = list_answer(&st, ans);
  yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "data"), *val;
  size_t i, max;
  uint32_t known = 0;
  bool more = false;
  v->keys_call = 0;
  yyjson_arr_foreach(list, i, max, val) {
    int key = key_by_hex(v, aq_json_str(yyjson_obj_get(val, "validator"), "pubkey"));
    uint64_t index;
    if (key < 0 || !aq_json_u64(val, "index", &index)) continue;
    more |= !v->key[key].known || v->key[key].index != index;
    v->key[key].known = true;
    v->key[key].index = index;
    known++;
  }
  if (!doc) aq_vc_error(v, "validators", 0, st, ans);
  yyjson_doc_free(doc);
  if (known == 0 && !v->ready) {
    aq_timer_after(v->cfg.env, &v->retry_timer, RETRY_NS, ask_keys, v);
    return;
  }
  if (known > 0) v->keys_epoch = aq_epoch_of(&v->chain.clock, aq_slot_at(&v->chain.clock, aq_now_ns(v->cfg.env)));
  if (!more) return;
  AQ_LOG(AQ_LOG_INFO, "vc_ready", AQ_UINT("keys", v->cfg.key_cnt), AQ_UINT("known", known));
  if (v->ready) {
    more_keys(v);
    return;
  }
  v->ready = true;
  slot_tick(v);
}

static void ask_keys(void *arg) {
  aq_vc *v = arg;
  if (v->keys_call) return;
  aq_buf body = AQ_BUF(BODY_MAX);
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_open(&o, "ids", '[');
  for (uint32_t i = 0; i < v->cfg.key_cnt; i++) aq_json_out_hex(&o, NULL, aq_bytes_of(v->key[i].pubkey, 48));
  aq_json_out_close(&o, ']');
  aq_json_out_close(&o, '}');
  const aq_bn_req req = {.endpoint = "validators",
                         .method = "POST",
                         .path = "/eth/v1/beacon/states/head/validators",
                         .body = aq_buf_bytes(&body),
                         .timeout_ns = AQ_VC_WAIT_NS};
  v->keys_call = aq_bn_call(v->bn, &req, keys_answer, v);
  aq_buf_free(&body);
}

static void chain_known(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  aq_vc *v = arg;
  aq_err err = {AQ_OK, ""};
  if (v->closing) return; /* stopped before the beacon node answered: no failure */
  if (st == AQ_OK && v->cfg.store->pin) {
    st = v->cfg.store->pin(v->cfg.store->ctx, chain->genesis_validators_root, &err);
    why = err.text;
  }
  if (st != AQ_OK) {
    if (!why || !*why) why = aq_status_text(st);
    AQ_LOG(AQ_LOG_ERROR, "vc_start", AQ_STR("err", why));
    if (v->cfg.failed) v->cfg.failed(v->cfg.arg, why);
    return;
  }
  v->chain = *chain;
  aq_bn_watch_chain(v->bn, &v->chain);
  ask_keys(v);
}

aq_vc *aq_vc_new(const aq_vc_cfg *cfg) {
  aq_vc *v = calloc(1, sizeof *v);
  AQ_ASSERT(v);
  v->cfg = *cfg;
  (void)aq_clock_stepped(cfg->env, &v->look);
  v->unproven_ns = aq_store_unproven_until_ns(cfg->store, aq_now_ns(cfg->env));
  v->key = calloc(cfg->key_cnt + 1, sizeof *v->key);
  AQ_ASSERT(v->key);
  for (uint32_t i = 0; i < cfg->key_cnt; i++) aq_bls_secret_to_pubkey(v->key[i].pubkey, cfg->secret[i]);
  const aq_bn_cfg bn = {.env = cfg->env,
                        .http = cfg->http,
                        .endpoints = &v->cfg.url,
                        .endpoint_cnt = 1,
                        .timeout_ns = AQ_SECONDS(2),
                        .submit_timeout_ns = AQ_VC_WAIT_NS};
  v->bn = aq_bn_new(&bn);
  return v;
}

void aq_vc_start(aq_vc *v) { aq_bn_load_chain(v->bn, chain_known, v); }

static void destroy(aq_vc *v) {
  for (int i = 0; i < 2; i++) {
    free(v->epoch[i].att);
    free(v->epoch[i].prop);
  }
  free(v->key);
  free(v);
}

void aq_vc_unbusy(aq_vc *v) {
  AQ_ASSERT(v->busy > 0);
  if (--v->busy == 0 && v->closing) destroy(v);
}

void aq_vc_free(aq_vc *v) {
  if (!v) return;
  v->closing = true;
  v->busy++;
  aq_timer_cancel(v->cfg.env, &v->slot_timer);
  aq_timer_cancel(v->cfg.env, &v->att_timer);
  aq_timer_cancel(v->cfg.env, &v->retry_timer);
  aq_bn_free(v->bn);
  v->bn = NULL;
  aq_vc_unbusy(v);
}

void aq_vc_stats_get(const aq_vc *v, aq_vc_stats *out) { *out = v->stats; }
