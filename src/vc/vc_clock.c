/* The client's clock: steps, and how far ahead of now a mark may hold duties back (docs/decisions/008). */
#include "base/log.h"
#include "codec/json.h"
#include "vc/vc_internal.h"

enum { SYNCING_MAX = 4096 }; /* of an answer that says where the chain is */

/* As the node: what was marked by a clock that was ahead counts up to the duties that somebody would have taken a
   message of, by the later of our clock and the chain. */
static void bound(aq_vc *v, uint64_t head_slot) {
  const aq_clock *clock = &v->chain.clock;
  uint64_t now_ns = aq_now_ns(v->cfg.env), head_ns = aq_slot_time_ns(clock, head_slot, 0);
  uint64_t limit_ns = aq_duty_gate_end_ns(clock, head_ns > now_ns ? head_ns : now_ns);
  if (v->unproven_ns <= limit_ns) return;
  v->unproven_ns = limit_ns;
  if (v->cfg.store->mark) v->cfg.store->mark(v->cfg.store->ctx, limit_ns - AQ_STORE_MARGIN_NS);
  AQ_LOG(AQ_LOG_WARN, "clock", AQ_STR("event", "held_back"), AQ_INT("step_ms", 0),
         AQ_UINT("slot", aq_slot_at(clock, now_ns)), AQ_UINT("held_back_until_slot", aq_slot_at(clock, limit_ns)),
         AQ_STR("note", "a clock was ahead: what it marked is bounded by what could have been sent"));
}

static void syncing_answer(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_vc *v = arg;
  uint64_t head_slot;
  if (st == AQ_E_CLOSED && v->closing) return;
  v->head_call = 0;
  yyjson_doc *doc = st == AQ_OK ? aq_json_parse(ans->body, SYNCING_MAX, NULL) : NULL;
  if (aq_json_u64(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "head_slot", &head_slot)) bound(v, head_slot);
  yyjson_doc_free(doc);
}

void aq_vc_clock(aq_vc *v) {
  const aq_clock *clock = &v->chain.clock;
  int64_t step_ns = aq_clock_stepped(v->cfg.env, &v->look);
  uint64_t now_ns = aq_now_ns(v->cfg.env);
  if (step_ns > 0 && v->unproven_ns && __builtin_add_overflow(v->unproven_ns, (uint64_t)step_ns, &v->unproven_ns))
    v->unproven_ns = UINT64_MAX; /* the clock was behind: the mark is later than it says */
  if (step_ns != 0) {
    AQ_LOG(AQ_LOG_WARN, "clock", AQ_STR("event", "set"), AQ_INT("step_ms", step_ns / (int64_t)AQ_NS_PER_MS),
           AQ_UINT("slot", aq_slot_at(clock, now_ns)),
           AQ_UINT("held_back_until_slot", v->unproven_ns > now_ns ? aq_slot_at(clock, v->unproven_ns) : 0),
           AQ_STR("note", "the clock was set, or the machine slept: is its time synchronised?"));
  }
  if (v->unproven_ns <= aq_duty_gate_end_ns(clock, now_ns) || v->head_call) return;
  const aq_bn_req req = {
      .endpoint = "node_syncing", .method = "GET", .path = "/eth/v1/node/syncing", .body_max = SYNCING_MAX};
  v->head_call = aq_bn_call(v->bn, &req, syncing_answer, v);
}
