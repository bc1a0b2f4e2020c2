/* Requests to handlers with faults in between, the slot's tick, and what is counted as missed. */
#include "simchain/beacon.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "http/http.h"
#include "simchain/beacon_internal.h"

/* ---- calls ---- */

void aq_sim_call_free(aq_sim_call *c) {
  aq_list_remove(&c->link);
  aq_timer_cancel(c->b->cfg.env, &c->timer);
  free(c);
}

static void call_gone(void *arg) {
  aq_sim_call *c = arg;
  c->gone = true;
  if (c->jobs == 0) aq_sim_call_free(c);
}

void aq_sim_answer(aq_sim_call *c, int code, const char *type, aq_bytes body) {
  const aq_http_header h = {"Content-Type", type};
  c->vt->respond(c->res, code, &(aq_http_headers){&h, type ? 1u : 0u}, body);
  aq_sim_call_free(c);
}

/* Too large: ids may be named many times. */
void aq_sim_json(aq_sim_call *c, aq_buf *body) {
  if (body->failed)
    aq_sim_error(c, 413, "the answer would be too large");
  else
    aq_sim_answer(c, 200, "application/json", aq_buf_bytes(body));
  aq_buf_free(body);
}

void aq_sim_error(aq_sim_call *c, int code, const char *text) {
  aq_buf body = AQ_BUF(AQ_SIM_SMALL_MAX);
  aq_http_error_json(&body, code, text);
  aq_sim_answer(c, code, "application/json", aq_buf_bytes(&body));
  aq_buf_free(&body);
}

void aq_sim_ok(aq_sim_call *c) { aq_sim_answer(c, 200, NULL, aq_bytes_of("", 0)); }

/* ---- routing and faults ---- */

static void dispatch(aq_sim_call *c) {
  if (c->route)
    c->route->handle(c);
  else
    aq_sim_error(c, 404, "NotFound");
}

static void late(void *arg) { dispatch(arg); }

static aq_sim_fault *fault_for(aq_beacon *b, const char *path) {
  for (int i = 0; i < AQ_SIM_FAULTS_MAX; i++) {
    if (b->fault[i].left && strstr(path, b->fault[i].path)) return &b->fault[i];
  }
  return NULL;
}

static void handle(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  aq_beacon *b = arg;
  aq_sim_call *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  *c = (aq_sim_call){.b = b, .req = req, .res = res, .vt = vt};
  aq_list_push(&b->calls, &c->link);
  vt->watch(res, call_gone, NULL, c);
  c->route = aq_route_find(aq_sim_routes, req->method, req->path, c->param);
  aq_sim_fault *f = c->route && c->route->flags & AQ_SIM_CONTROL ? NULL : fault_for(b, req->path);
  if (!f) {
    dispatch(c);
    return;
  }
  f->left--;
  switch (f->mode) {
    case AQ_FAULT_ERROR: aq_sim_error(c, 500, "simulated failure"); break;
    case AQ_FAULT_LATE: aq_timer_after(b->cfg.env, &c->timer, AQ_MILLIS(f->ms), late, c); break;
    case AQ_FAULT_DROP: break; /* never answered: the client's own limit ends it */
    case AQ_FAULT_WRONG:
      aq_sim_answer(c, 200, "application/json", aq_bytes_str("{\"data\":{\"slot\":\"no number\""));
      break;
  }
}

static size_t body_max(void *arg, const char *method, const char *path) {
  (void)arg, (void)method, (void)path;
  return AQ_SIM_BODY_MAX;
}

/* ---- misses ---- */

/* Two slots after its own a duty that was not seen counts as missed; one that comes later moves to `late`. */
static void count_misses(aq_beacon *b, uint64_t slot) {
  const aq_sim_epoch *e = aq_sim_seats(b, slot / b->cfg.slots_per_epoch);
  bool any = false;
  for (uint32_t i = 0; i < b->cfg.validator_cnt; i++) {
    if (e->seat[i].slot_off != slot % b->cfg.slots_per_epoch || b->validator[i].seen[e->epoch % 4] == slot + 1)
      continue;
    b->stats.attestations_missed++;
    any = true;
  }
  if (any && b->missed_att_cnt < AQ_SIM_MISSES_MAX) b->missed_att[b->missed_att_cnt++] = slot;
  if (slot == 0 || aq_sim_block_at(b, slot)) return;
  b->stats.blocks_missed++;
  if (b->missed_block_cnt < AQ_SIM_MISSES_MAX) b->missed_block[b->missed_block_cnt++] = slot;
}

static void slot_tick(void *arg) {
  aq_beacon *b = arg;
  uint64_t now_ns = aq_now_ns(b->cfg.env);
  if (now_ns >= b->cfg.genesis_ns) {
    uint64_t slot = aq_sim_now_slot(b);
    while (b->checked_slot + 2 <= slot) count_misses(b, b->checked_slot++);
    aq_timer_set(b->cfg.env, &b->slot_timer, aq_slot_start_ns(&b->chain.clock, slot + 1), slot_tick, b);
  } else {
    aq_timer_set(b->cfg.env, &b->slot_timer, b->cfg.genesis_ns, slot_tick, b);
  }
}

/* ---- life ---- */

static void fill_chain(aq_beacon *b) {
  aq_chain *ch = &b->chain;
  ch->clock =
      (aq_clock){.genesis_ns = b->cfg.genesis_ns, .slot_ns = b->cfg.slot_ns, .slots_per_epoch = b->cfg.slots_per_epoch};
  ch->epochs_per_sync_period = 256;
  ch->target_aggregators_per_committee = 16;
  ch->sync_committee_size = 512;
  memcpy(ch->genesis_version, b->cfg.genesis_version, 4);
  for (int f = 0; f < AQ_FORK_CNT; f++) {
    ch->fork[f].epoch = aq_fork_is_first((aq_fork)f) ? 0 : b->cfg.fork_epoch[f];
    memcpy(ch->fork[f].version, b->cfg.genesis_version, 4);
    ch->fork[f].version[0] = (uint8_t)(b->cfg.genesis_version[0] + f);
  }
  memcpy(ch->capella_version, ch->fork[AQ_CAPELLA].version, 4);
  aq_sha256(ch->genesis_validators_root, aq_bytes_of(b->cfg.pubkey, (size_t)b->cfg.validator_cnt * 48));
  aq_sha256(b->genesis_root, aq_bytes_of(ch->genesis_validators_root, 32));
}

aq_beacon *aq_beacon_new(const aq_beacon_cfg *cfg) {
  AQ_ASSERT(cfg->validator_cnt > 0 && cfg->slots_per_epoch > 0 && cfg->slot_ns > 0);
  aq_beacon *b = calloc(1, sizeof *b);
  AQ_ASSERT(b);
  b->cfg = *cfg;
  b->handler = (aq_http_handler){b, body_max, handle};
  aq_list_init(&b->calls);
  aq_list_init(&b->streams);
  b->validator = calloc(cfg->validator_cnt, sizeof *b->validator);
  AQ_ASSERT(b->validator);
  for (uint32_t i = 0; i < cfg->validator_cnt; i++) {
    if (aq_bls_pk_decode(&b->validator[i].pk, cfg->pubkey[i]) == AQ_OK) continue;
    aq_beacon_free(b);
    return NULL;
  }
  fill_chain(b);
  return b;
}

void aq_sim_destroy(aq_beacon *b) {
  AQ_LIST_EACH(&b->calls, c, aq_sim_call, link) aq_sim_call_free(c);
  AQ_LIST_EACH(&b->streams, s, aq_sim_stream, link) {
    aq_list_remove(&s->link);
    free(s);
  }
  for (uint32_t i = 0; i < b->cfg.validator_cnt; i++) free(b->validator[i].vote);
  for (size_t i = 0; i < b->block_cap; i++) aq_sim_block_free(b->block[i]);
  for (size_t i = 0; i < AQ_COUNT(b->orphan); i++) aq_sim_block_free(b->orphan[i]);
  for (int i = 0; i < 4; i++) {
    free(b->epoch[i].seat);
    free(b->epoch[i].order);
  }
  free(b->block);
  free(b->validator);
  free(b);
}

void aq_beacon_free(aq_beacon *b) {
  if (!b) return;
  aq_timer_cancel(b->cfg.env, &b->slot_timer);
  b->closing = true;
  AQ_LIST_EACH(&b->calls, c, aq_sim_call, link) {
    c->gone = true;
    if (c->jobs == 0) aq_sim_call_free(c);
  }
  if (b->jobs == 0) aq_sim_destroy(b);
}

/* What lies before the start was not watched: it is not missed. */
void aq_beacon_start(aq_beacon *b) {
  if (aq_now_ns(b->cfg.env) >= b->cfg.genesis_ns) b->checked_slot = b->first_slot = aq_sim_now_slot(b);
  slot_tick(b);
}

bool aq_beacon_count_from(aq_beacon *b, uint64_t slot) {
  if (aq_now_ns(b->cfg.env) >= aq_slot_start_ns(&b->chain.clock, slot)) return false;
  aq_beacon_stats *s = &b->stats;
  s->attestations_ok = s->attestations_missed = s->attestations_late = s->blocks_ok = s->blocks_missed = 0;
  b->missed_att_cnt = b->missed_block_cnt = 0;
  b->checked_slot = b->counted_from = slot;
  return true;
}

void aq_beacon_schedule(aq_beacon *b, aq_fork fork, uint64_t epoch) {
  AQ_ASSERT(!aq_fork_is_first(fork) && fork < AQ_FORK_CNT);
  b->chain.fork[fork].epoch = epoch;
}

const aq_http_handler *aq_beacon_handler(aq_beacon *b) { return &b->handler; }
void aq_beacon_stats_get(const aq_beacon *b, aq_beacon_stats *out) { *out = b->stats; }
