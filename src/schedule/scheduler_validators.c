/* Who of the cluster is on the chain, refreshed in parts that fit into a request, by GET where there is no POST. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "schedule/scheduler_internal.h"

enum { ANSWER_BASE = 1 << 20, ANSWER_EACH = 2048, BODY_BASE = 1024, BODY_EACH = 128 };

static void states_free(aq_scheduler *s, aq_validator_state *state) {
  for (uint32_t i = 0; state && i < s->cfg.validator_cnt; i++) free(state[i].json);
  free(state);
}

static size_t at_least_one(size_t n) { return n ? n : 1; }

void aq_sched_validators_init(aq_scheduler *s) {
  uint8_t seed[32];
  uint32_t cnt = s->cfg.validator_cnt;
  aq_random(s->cfg.env, seed, sizeof seed);
  aq_map_init(&s->by_pubkey, 48, at_least_one(cnt), seed);
  aq_map_init(&s->by_index, 8, at_least_one(cnt), seed + 16);
  s->state = calloc(at_least_one(cnt), sizeof *s->state);
  s->activation = calloc(at_least_one(cnt), sizeof *s->activation);
  AQ_ASSERT(s->state && s->activation);
  for (uint32_t i = 0; i < cnt; i++) {
    aq_status st = aq_map_put(&s->by_pubkey, s->cfg.pubkey[i], (void *)((uintptr_t)i + 1));
    AQ_ASSERT(st == AQ_OK);
  }
}

static void refresh_drop(aq_scheduler *s) {
  states_free(s, s->refresh.state);
  free(s->refresh.activation);
  s->refresh = (aq_sched_refresh){0};
}

void aq_sched_validators_free(aq_scheduler *s) {
  if (s->refresh.call_id) aq_bn_cancel(s->cfg.bn, s->refresh.call_id);
  refresh_drop(s);
  states_free(s, s->state);
  free(s->activation);
  aq_map_free(&s->by_pubkey);
  aq_map_free(&s->by_index);
}

int aq_sched_by_pubkey(const aq_scheduler *s, const uint8_t pubkey[48]) {
  return (int)(intptr_t)aq_map_get(&s->by_pubkey, pubkey) - 1;
}

int aq_scheduler_by_index(const aq_scheduler *s, uint64_t validator_index) {
  return (int)(intptr_t)aq_map_get(&s->by_index, &validator_index) - 1;
}

const aq_validator_state *aq_scheduler_validator(const aq_scheduler *s, uint32_t validator) {
  AQ_ASSERT(validator < s->cfg.validator_cnt);
  return &s->state[validator];
}

bool aq_sched_active_in(const aq_scheduler *s, uint32_t validator, uint64_t epoch) {
  const aq_validator_state *v = &s->state[validator];
  if (v->active) return true;
  return v->known && v->pending && s->activation[validator] <= epoch;
}

static char *record_text(yyjson_val *rec) {
  yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
  yyjson_mut_val *copy = doc ? aq_json_quoted(doc, rec) : NULL;
  char *text = copy ? yyjson_mut_val_write(copy, 0, NULL) : NULL;
  yyjson_mut_doc_free(doc);
  return text;
}

/* One record of the answer into the refresh. Records of others are passed over. */
static aq_status take_record(aq_scheduler *s, yyjson_val *rec) {
  yyjson_val *inner = yyjson_obj_get(rec, "validator");
  const char *status = aq_json_str(rec, "status");
  uint8_t pubkey[48];
  uint64_t index, balance, activation = UINT64_MAX;
  if (!aq_json_hex(inner, "pubkey", pubkey, 48) || !aq_json_u64(rec, "index", &index) ||
      !aq_json_u64(rec, "balance", &balance) || !status || strlen(status) >= sizeof s->state->status) {
    return AQ_E_FORMAT;
  }
  aq_json_u64(inner, "activation_epoch", &activation);
  int at = aq_sched_by_pubkey(s, pubkey);
  if (at < 0) return AQ_OK;
  aq_validator_state *v = &s->refresh.state[at];
  if (v->known) return v->index == index ? AQ_OK : AQ_E_FORMAT;
  v->known = true;
  v->index = index;
  v->balance = balance;
  memcpy(v->status, status, strlen(status) + 1);
  v->pending = strncmp(status, "pending", 7) == 0;
  v->active = strncmp(status, "active_", 7) == 0;
  v->ongoing = strcmp(status, "active_ongoing") == 0;
  v->json = record_text(rec);
  s->refresh.activation[at] = activation;
  return v->json ? AQ_OK : AQ_E_LIMIT;
}

static aq_status take_answer(aq_scheduler *s, aq_bytes body) {
  yyjson_doc *doc = aq_json_parse(body, ANSWER_BASE + (size_t)ANSWER_EACH * s->cfg.validator_cnt, NULL);
  yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data");
  aq_status st = yyjson_is_arr(data) ? AQ_OK : AQ_E_FORMAT;
  yyjson_arr_iter it = yyjson_arr_iter_with(data);
  for (yyjson_val *rec; st == AQ_OK && (rec = yyjson_arr_iter_next(&it));) st = take_record(s, rec);
  yyjson_doc_free(doc);
  return st;
}

/* core.md 1: logs and labels show characters 2..4 and 94..96 of the key's text. */
static void key_labels(char full[99], char brief[8], const uint8_t pubkey[48]) {
  full[0] = '0', full[1] = 'x';
  aq_hex_encode(full + 2, aq_bytes_of(pubkey, 48));
  memcpy(brief, full + 2, 3);
  brief[3] = '_';
  memcpy(brief + 4, full + 95, 3);
  brief[7] = 0;
}

/* Who is asked for may be another set: what was answered for the old one is asked for again. */
static bool asked_change(const aq_scheduler *s, const aq_validator_state *old, const uint64_t *old_activation) {
  if (!s->validators_known) return false; /* nothing was asked yet */
  for (uint32_t i = 0; i < s->cfg.validator_cnt; i++) {
    const aq_validator_state *v = &s->state[i];
    if (v->known != old[i].known || v->active != old[i].active || v->index != old[i].index) return true;
    if (!v->active && s->activation[i] != old_activation[i]) return true;
  }
  return false;
}

static void account(aq_scheduler *s, const aq_validator_state *old) {
  uint32_t active = 0, known = 0;
  bool changed = !s->validators_known;
  for (uint32_t i = 0; i < s->cfg.validator_cnt; i++) {
    const aq_validator_state *v = &s->state[i];
    char full[99], brief[8];
    active += v->active;
    known += v->known;
    changed |= v->known != old[i].known || v->active != old[i].active;
    key_labels(full, brief, s->cfg.pubkey[i]);
    if (old[i].known && strcmp(old[i].status, v->status) != 0)
      aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, 0, AQ_LABELS(full, brief, old[i].status));
    if (!v->known) continue;
    aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_STATUS, 1, AQ_LABELS(full, brief, v->status));
    aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATOR_BALANCE_GWEI, (double)v->balance, AQ_LABELS(full, brief));
  }
  aq_metric_set(AQ_M_CORE_SCHEDULER_VALIDATORS_ACTIVE, active, AQ_NO_LABELS);
  if (changed) {
    AQ_LOG(known < s->cfg.validator_cnt ? AQ_LOG_WARN : AQ_LOG_INFO, "validators", AQ_UINT("active", active),
           AQ_UINT("known", known), AQ_UINT("total", s->cfg.validator_cnt));
  }
}

/* False: two validators of the cluster claim one index. */
static bool index_map(aq_scheduler *s, aq_map *map) {
  uint8_t seed[16];
  aq_random(s->cfg.env, seed, sizeof seed);
  aq_map_init(map, 8, at_least_one(s->cfg.validator_cnt), seed);
  for (uint32_t i = 0; i < s->cfg.validator_cnt; i++) {
    const aq_validator_state *v = &s->refresh.state[i];
    if (!v->known) continue;
    if (aq_map_get(map, &v->index)) return false;
    aq_status st = aq_map_put(map, &v->index, (void *)((uintptr_t)i + 1));
    AQ_ASSERT(st == AQ_OK);
  }
  return true;
}

static void refresh_end(aq_scheduler *s, aq_status st, const char *why) {
  aq_map map;
  if (st == AQ_OK && !index_map(s, &map)) {
    aq_map_free(&map);
    st = AQ_E_FORMAT;
    why = "two validators with one index";
  }
  if (st != AQ_OK) {
    AQ_LOG(AQ_LOG_WARN, "validators_unknown", AQ_STR("err", why));
    refresh_drop(s);
    aq_sched_validators_done(s, st);
    return;
  }
  aq_validator_state *old = s->state;
  uint64_t *old_activation = s->activation;
  aq_map_free(&s->by_index);
  s->by_index = map;
  s->state = s->refresh.state;
  s->activation = s->refresh.activation;
  s->refresh = (aq_sched_refresh){0};
  s->refresh_due = false;
  account(s, old);
  bool renew = asked_change(s, old, old_activation);
  s->validators_known = true;
  states_free(s, old);
  free(old_activation);
  if (renew) aq_sched_duties_renew(s);
  aq_sched_validators_done(s, AQ_OK);
}

static void ask(aq_scheduler *s);

static bool good(void *arg, const aq_bn_answer *ans) {
  (void)arg;
  yyjson_doc *doc = aq_json_parse(ans->body, AQ_BN_BODY_MAX, NULL);
  bool ok = yyjson_is_arr(yyjson_obj_get(yyjson_doc_get_root(doc), "data"));
  yyjson_doc_free(doc);
  return ok;
}

/* How nodes and gateways without this route say so (400: one that takes it for /validators/{id}). */
static bool no_post(const aq_bn_answer *ans) {
  switch (ans->code) {
    case 400:
    case 404:
    case 405:
    case 413:
    case 415:
    case 501: return true;
    default: return false;
  }
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_scheduler *s = arg;
  aq_sched_refresh *r = &s->refresh;
  r->call_id = 0;
  if (!s->use_get && ans && no_post(ans)) {
    s->use_get = true;
    ask(s);
    return;
  }
  if (st != AQ_OK || !ans) {
    if (ans && no_post(ans)) s->use_get = false; /* another node may know the other form */
    refresh_end(s, st, aq_status_text(st));
    return;
  }
  st = take_answer(s, ans->body);
  if (st == AQ_OK && s->use_get && (r->at += AQ_SCHED_GET_IDS) < s->cfg.validator_cnt) {
    ask(s);
    return;
  }
  refresh_end(s, st, "the beacon node's answer is malformed");
}

/* Servers and gateways take request lines of 8 KiB. */
_Static_assert(AQ_SCHED_GET_IDS *(sizeof "&id=0x" - 1 + 96) <= 7 << 10, "the ids fit into a request line");

/* The key repeated: Lodestar 1.5.1 takes a comma list for one id. */
static void put_query(aq_buf *out, const aq_scheduler *s, uint32_t from, uint32_t cnt) {
  for (uint32_t i = from; i < from + cnt; i++) {
    aq_buf_put_str(out, i > from ? "&id=0x" : "?id=0x");
    aq_buf_put_hex(out, aq_bytes_of(s->cfg.pubkey[i], 48));
  }
}

static void put_body(aq_buf *out, const aq_scheduler *s) {
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_open(&o, "ids", '[');
  for (uint32_t i = 0; i < s->cfg.validator_cnt; i++) aq_json_out_hex(&o, NULL, aq_bytes_of(s->cfg.pubkey[i], 48));
  aq_json_out_close(&o, ']');
  aq_json_out_close(&o, '}');
}

static void ask(aq_scheduler *s) {
  uint32_t cnt = s->cfg.validator_cnt, left = cnt - s->refresh.at;
  aq_buf path = AQ_BUF(AQ_BN_URL_MAX), body = AQ_BUF(BODY_BASE + (size_t)BODY_EACH * cnt);
  aq_bn_req req = {.endpoint = "complete_validators",
                   .body_max = ANSWER_BASE + (size_t)ANSWER_EACH * cnt,
                   .good = good,
                   .timeout_ns = cnt > 200 ? AQ_MILLIS(50) * cnt : 0}; /* core.md 6.4 */
  aq_buf_put_str(&path, "/eth/v1/beacon/states/head/validators");
  if (s->use_get) {
    put_query(&path, s, s->refresh.at, left < AQ_SCHED_GET_IDS ? left : AQ_SCHED_GET_IDS);
    req.method = "GET";
  } else {
    put_body(&body, s);
    req.method = "POST";
    req.body = aq_buf_bytes(&body);
  }
  AQ_ASSERT(!path.failed && !body.failed);
  req.path = aq_buf_cstr(&path);
  s->refresh.call_id = aq_bn_call(s->cfg.bn, &req, answered, s);
  aq_buf_free(&path);
  aq_buf_free(&body);
}

void aq_sched_validators_refresh(aq_scheduler *s) {
  if (s->refresh.call_id) return;
  size_t cnt = at_least_one(s->cfg.validator_cnt);
  s->refresh.state = calloc(cnt, sizeof *s->refresh.state);
  s->refresh.activation = calloc(cnt, sizeof *s->refresh.activation);
  AQ_ASSERT(s->refresh.state && s->refresh.activation);
  ask(s);
}
