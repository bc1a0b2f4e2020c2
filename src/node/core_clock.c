/* The clock as a node lives with it: steps, what the chain says of it, the housekeeping that goes by both, and what is
   held back (docs/decisions/008). */
#include "base/log.h"
#include "node/core.h"

/* Records of this many epochs stay; the journal's watermarks stay for ever. */
enum { EPOCHS_KEPT = 3, LOOKS_PER_SLOT = 4 };
#define SET_LASTS_NS AQ_SECONDS(600)

static uint64_t slot_of(const aq_core *c, uint64_t ns) { return aq_slot_at(&c->chain.clock, ns); }

/* One line: what happened, and until which slot nothing is voted or signed for, 0: all is. */
static void tell(const aq_core *c, const char *event, int64_t step_ns, const char *note) {
  uint64_t now_ns = aq_now_ns(c->cfg.env), until = c->held_until_ns > now_ns ? slot_of(c, c->held_until_ns) : 0;
  AQ_LOG(AQ_LOG_WARN, "clock", AQ_STR("event", event), AQ_INT("step_ms", step_ns / (int64_t)AQ_NS_PER_MS),
         AQ_UINT("slot", slot_of(c, now_ns)), AQ_UINT("held_back_until_slot", until), AQ_STR("note", note));
}

/* ---- what is held back ---- */

/* A mark may lie ahead of now because a clock was ahead. What counts at the most are duties that somebody would have
   taken a message of: the gate's, by the later of our clock and the chain. */
static bool bound(aq_core *c) {
  const aq_store *store = c->cfg.store;
  const aq_clock *clock = &c->chain.clock;
  if (!c->head_known || !c->workflow) return false;
  uint64_t now_ns = aq_now_ns(c->cfg.env), head_ns = aq_slot_time_ns(clock, c->head_slot, 0);
  uint64_t limit_ns = aq_duty_gate_end_ns(clock, head_ns > now_ns ? head_ns : now_ns), was_ns = c->held_until_ns;
  bool lower = store->since_ns > limit_ns - AQ_STORE_MARGIN_NS;
  if (lower) store->mark(store->ctx, limit_ns - AQ_STORE_MARGIN_NS);
  c->held_until_ns = aq_workflow_clock(c->workflow, 0, limit_ns);
  return lower || c->held_until_ns < was_ns;
}

/* The clock was behind by so much at the start, as far as is known: what was marked by it happened later than the mark
   says. A step that only takes back an earlier one moves nothing. */
static void was_behind(aq_core *c, int64_t behind_ns) {
  const aq_store *store = c->cfg.store;
  const aq_clock *clock = &c->chain.clock;
  if (behind_ns <= c->behind_ns) return;
  uint64_t raise_ns = (uint64_t)(behind_ns - c->behind_ns), since_ns = store->since_ns + raise_ns;
  c->behind_ns = behind_ns;
  bool recent = store->since_ns && since_ns > raise_ns && aq_duty_gate_end_ns(clock, since_ns) > aq_now_ns(c->cfg.env);
  if (recent) store->mark(store->ctx, since_ns);
  if (c->workflow) c->held_until_ns = aq_workflow_clock(c->workflow, raise_ns, UINT64_MAX);
}

/* Before the first is announced, and where none is. */
static void ask_health(aq_core *c) {
  aq_bn_health h;
  if (!c->bn || c->head_known) return;
  aq_bn_health_get(c->bn, &h);
  c->head_known = h.head_known;
  c->head_slot = h.head_slot;
}

/* Heads of the future: it is at least that late. The genesis block stands before its time and says nothing. */
static void compare(aq_core *c) {
  const aq_clock *clock = &c->chain.clock;
  uint64_t now_ns = aq_now_ns(c->cfg.env), head_ns = aq_slot_time_ns(clock, c->head_slot, 0);
  if (!c->head_known || c->head_slot == 0) return;
  bool behind = head_ns > now_ns + AQ_STORE_MARGIN_NS && head_ns - now_ns < INT64_MAX / 2;
  if (behind) was_behind(c, c->steps_ns + (int64_t)(head_ns - now_ns + clock->slot_ns));
  if (c->workflow) aq_workflow_chain_heard(c->workflow);
}

void aq_core_clock_look(aq_core *c) {
  int64_t step_ns = aq_clock_stepped(c->cfg.env, &c->look);
  if (step_ns != 0) {
    c->steps_ns += step_ns;
    c->set_mono_ns = aq_mono_ns(c->cfg.env);
    aq_clock_watch_forget(&c->watch);
    was_behind(c, c->steps_ns);
    (void)bound(c);
    tell(c, "set", step_ns, "the clock was set, or the machine slept: is its time synchronised?");
  }
  ask_health(c);
  compare(c);
}

/* ---- the chain ---- */

void aq_core_head(void *core, uint64_t slot) {
  aq_core *c = core;
  c->head_known = true;
  c->head_slot = slot;
  compare(c);
  if (!aq_clock_watch_head(&c->watch, slot, aq_now_ns(c->cfg.env))) return;
  AQ_LOG(
      c->watch.off ? AQ_LOG_ERROR : AQ_LOG_INFO, "clock", AQ_STR("event", c->watch.off ? "off" : "fits"),
      AQ_INT("ahead_ms", c->watch.off ? c->watch.off_ns / (int64_t)AQ_NS_PER_MS : 0), AQ_UINT("head", slot),
      AQ_UINT("slot", slot_of(c, aq_now_ns(c->cfg.env))),
      AQ_STR("note", c->watch.off ? "the clock and the last heads of the beacon node are apart: synchronise the time "
                                    "of this machine, and of the beacon node's"
                                  : NULL));
}

/* ---- housekeeping ---- */

/* The earlier of our clock and the chain says what is old: a clock that is ahead must not empty the journal of live
   duties. */
static void prune(aq_core *c) {
  const aq_store *store = c->cfg.store;
  uint64_t slot = slot_of(c, aq_now_ns(c->cfg.env)), keep = EPOCHS_KEPT * c->chain.clock.slots_per_epoch;
  if (!c->prune_due || !c->head_known) return;
  c->prune_due = false;
  if (slot > c->head_slot) slot = c->head_slot;
  if (slot > keep) store->prune(store->ctx, slot - keep);
}

static void keep_house(aq_core *c) {
  uint64_t epoch = aq_epoch_of(&c->chain.clock, slot_of(c, aq_now_ns(c->cfg.env)));
  if (epoch == c->epoch_kept) return;
  c->epoch_kept = epoch;
  c->prune_due = true;
  c->cfg.store->backup(c->cfg.store->ctx);
  if (!c->cfg.enable_tss) {
    AQ_LOG(AQ_LOG_WARN, "tss_off", AQ_STR("note", "threshold signing is off: other nodes must submit for the cluster"));
  }
}

static void tick(void *arg) {
  aq_core *c = arg;
  const aq_clock *clock = &c->chain.clock;
  aq_core_clock_look(c);
  if (bound(c)) tell(c, "held_back", 0, "a clock was ahead: what it marked is bounded by what could have been sent");
  keep_house(c);
  prune(c);
  uint64_t now_ns = aq_now_ns(c->cfg.env), look_ns = clock->slot_ns / LOOKS_PER_SLOT;
  uint64_t next_ns = aq_slot_start_ns(clock, slot_of(c, now_ns) + 1), wait_ns = next_ns - now_ns;
  bool begun = now_ns >= clock->genesis_ns;
  aq_timer_after(c->cfg.env, &c->clock_timer, begun && wait_ns < look_ns ? wait_ns : look_ns, tick, c);
}

void aq_core_clock_start(aq_core *c) {
  c->epoch_kept = UINT64_MAX;
  c->held_until_ns = aq_workflow_clock(c->workflow, 0, UINT64_MAX);
  if (c->held_until_ns > aq_now_ns(c->cfg.env))
    tell(c, "held_back", 0, "the records do not say what was sent before: no votes and signatures for earlier duties");
  tick(c);
}

void aq_core_clock_get(const aq_core *c, aq_core_clock *out) {
  uint64_t now_ns = aq_now_ns(c->cfg.env), mono_ns = aq_mono_ns(c->cfg.env);
  *out = (aq_core_clock){
      .off = c->watch.off,
      .set = c->set_mono_ns && mono_ns - c->set_mono_ns<SET_LASTS_NS, .held_back = c->held_until_ns> now_ns};
}
