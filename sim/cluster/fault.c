/* The fault script of a seed: made before the run, so that a part of it can be left out and the rest stays the same. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

static const char *const text[SIM_FAULT_CNT] = {
#define X(name, t) t,
    SIM_FAULT_MAP(X)
#undef X
};

_Static_assert((int)SIM_FAULT_CNT <= (int)AQ_SIM_KINDS_MAX, "kinds of faults");

const char *aq_sim_kind_name(uint32_t kind) { return kind < SIM_FAULT_CNT ? text[kind] : NULL; }

const sim_fault *sim_fault_of(const sim_world *w, sim_fault_kind k, uint32_t op) {
  bool everywhere = k == SIM_LOSS || k == SIM_REORDER || k == SIM_DUPLICATE || k == SIM_BN_FIRST || k == SIM_WITHHOLD;
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    if (f->on && f->kind == k && (everywhere || f->a == op)) return f;
  }
  return NULL;
}

void sim_count_fault(sim_world *w, sim_fault_kind k) { w->out->injected[k]++; }

/* Whom it touches: a small side of a partition; everybody where no side is small. */
static uint32_t touched(const sim_world *w, const sim_fault *f) {
  uint32_t all = (1u << w->n) - 1, side = (uint32_t)f->p & all, other = all & ~side;
  switch ((int)f->kind) {
    case SIM_DUPLICATE:
    case SIM_SPLIT:
    case SIM_ACK_CRASH: /* what it promised it keeps */
    case SIM_BN_RESTART:
    case SIM_BN_FIRST: /* the other one serves */
    case SIM_REORG:
    case SIM_WITHHOLD: /* its blocks are told apart */
    case SIM_LEAK: return 0;
    case SIM_LOSS:
    case SIM_REORDER:
    case SIM_CRASH_ALL: return all;
    case SIM_SKEW:
    case SIM_STEP: return AQ_MILLIS(f->p) > w->slot_ns / 20 ? all : 1u << f->a;
    case SIM_PARTITION: return __builtin_popcount(side) <= __builtin_popcount(other) ? side : other;
    case SIM_ONE_WAY:
    case SIM_RESET: return 1u << f->a | 1u << f->b;
    case SIM_BN_LOCAL: return f->p == SIM_LOCAL_LATER ? 0 : 1u << f->a;
    case SIM_BN_ERROR:
    case SIM_BN_SILENT:
    case SIM_BN_SLOW: return 1u << f->a & ~w->paired; /* the same */
    default: return 1u << f->a;
  }
}

/* Duties up to two epochs ahead may have been voted in, or be held back by a mark (docs/decisions/008). */
uint64_t sim_resumes_ns(const sim_world *w) { return (3 * w->slots_per_epoch + 2) * w->slot_ns; }

uint32_t sim_faulty_ops(const sim_world *w, uint64_t from_ns, uint64_t until_ns) {
  uint32_t mask = w->liars;
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    /* A clock that jumped stays off; an instance that met another of itself may stop for long. */
    bool stays = f->kind == SIM_STEP || f->kind == SIM_DOUBLE;
    uint64_t over_ns = f->until_ns;
    if (f->kind == SIM_SET) { /* each start holds back what records of the wrong clock leave open (KNOWN_RISKS) */
      uint64_t began_ns = w->node[f->a]->began_ns;
      over_ns = (began_ns > over_ns ? began_ns : over_ns) + sim_resumes_ns(w);
    }
    bool then = f->from_ns < until_ns && (stays || over_ns > from_ns);
    if (then && w->opts.keep >> i & 1) mask |= touched(w, f);
  }
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    if (w->node[i]->misled) mask |= 1u << w->node[i]->op;
  }
  return mask;
}

/* ---- making ---- */

/* Seconds, slots, epochs, hours, a year. */
static uint64_t set_size(sim_world *w) {
  const uint64_t slot_s = w->slot_ns / AQ_NS_PER_SEC, epoch_s = slot_s * w->slots_per_epoch;
  const uint64_t most_s[] = {5, 3 * slot_s, 4 * epoch_s, 86400, 31536000};
  uint64_t s = sim_between(w, 1, most_s[sim_random(w, AQ_COUNT(most_s))]);
  return s * 8 + sim_random(w, 8);
}

static uint64_t size_of(sim_world *w, sim_fault_kind k) {
  switch (k) {
    case SIM_LOSS: return sim_between(w, 20, 600);
    case SIM_DUPLICATE: return sim_between(w, 50, 900);
    case SIM_DELAY:
    case SIM_REORDER: return sim_between(w, 50, 3000);
    case SIM_PARTITION: return sim_between(w, 1, (1u << w->n) - 2);
    case SIM_SKEW: return sim_between(w, 10, 900);
    case SIM_STEP: return sim_between(w, 10, 300);
    case SIM_SET: return set_size(w);
    case SIM_CRASH:
    case SIM_VC_CRASH:
    case SIM_CRASH_ALL:
    case SIM_DISK_LOST: return sim_between(w, 1, 60);
    case SIM_OLD_STORE: return sim_between(w, 0, 1500);
    case SIM_WRITE_ERROR: return sim_between(w, 50, 700);
    case SIM_SLOW_DISK: return sim_between(w, 20, 1500);
    case SIM_BN_ERROR:
    case SIM_BN_GARBAGE:
    case SIM_VC_GARBAGE: return sim_between(w, 50, 1000);
    case SIM_BN_SLOW:
    case SIM_VC_SLOW: return sim_between(w, 100, 5000);
    case SIM_BN_LATE: return sim_between(w, 500, 2 * w->slot_ns / AQ_NS_PER_MS);
    case SIM_LIE_FLOOD: return sim_between(w, 1, 40);
    case SIM_ONE_WAY:
    case SIM_ISOLATE:
    case SIM_RESET:
    case SIM_UPGRADE:
    case SIM_DISK_FULL:
    case SIM_BN_SILENT:
    case SIM_BN_FORK:
    case SIM_BN_LIE:
    case SIM_VC_SILENT:
    case SIM_VC_OLD_DB:
    case SIM_DOUBLE:
    case SIM_TWIN:
    case SIM_LIE_MUTATE:
    case SIM_LIE_SHARES:
    case SIM_LIE_REPLAY:
    case SIM_LIE_VALUES:
    case SIM_SPLIT:
    case SIM_LEAK:
    case SIM_ACK_CRASH:
    case SIM_BN_RESTART:
    case SIM_LIE_SHOW:
    case SIM_VC_OTHER:
    case SIM_BN_FIRST:
    case SIM_REORG:
    case SIM_WITHHOLD:
    case SIM_BN_LOCAL:
    case SIM_FAULT_CNT: break;
  }
  return 0;
}

static uint32_t nth_set(uint32_t mask, uint32_t nth) {
  for (uint32_t i = 0; i < 32; i++) {
    if (mask >> i & 1 && nth-- == 0) return i;
  }
  return 0;
}

static bool of_liar(sim_fault_kind k) { return k >= SIM_TWIN && k <= SIM_LIE_VALUES; }

/* Neither side is a quorum, and they may stay apart for long, also where a liar leads the round after those in which
   each side refuses the other. That troubles nobody. */
static void split_views(sim_world *w, sim_fault *f) {
  uint32_t quorum = (2 * w->n + 2) / 3, side = w->n - quorum + 1;
  for (f->p = 0; (uint32_t)__builtin_popcount((uint32_t)f->p) < side;) f->p |= 1u << sim_random(w, w->n);
  f->b = (uint32_t)sim_between(w, 1, w->slot_ns / 2 / AQ_NS_PER_MS);
  f->until_ns = w->end_ns;
}

/* An operator that loses its node's records keeps its client's, and the other way round: both at once is more than a
   faulty machine, and is one of the f. */
static bool sensible(sim_world *w, sim_fault *f) {
  if (of_liar(f->kind)) {
    if (!w->liars) return false;
    f->a = nth_set(w->liars, (uint32_t)sim_random(w, (uint32_t)__builtin_popcount(w->liars)));
  }
  if (f->kind == SIM_DOUBLE) {
    if (w->doubled || (uint32_t)__builtin_popcount(w->liars) >= w->f || w->liars >> f->a & 1) return false;
    w->doubled |= 1u << f->a;
  }
  if (f->kind == SIM_LEAK) {
    for (uint32_t i = 0; i < w->fault_cnt; i++) {
      if (w->fault[i].kind == SIM_LEAK) return false;
    }
    f->until_ns = w->end_ns; /* of several epochs; it troubles nobody */
  }
  if (f->kind == SIM_SPLIT) split_views(w, f);
  if ((f->kind == SIM_DISK_LOST || f->kind == SIM_OLD_STORE) && f->a % 2 == 0) return false;
  if (f->kind == SIM_OLD_STORE && f->until_ns > w->heal_ns) return false;
  if (f->kind == SIM_SET) { /* early, so that the run sees what it leaves behind */
    uint64_t early_ns = w->genesis_ns + (w->heal_ns - w->genesis_ns) / 3;
    if (f->from_ns >= early_ns) return false;
    if (f->until_ns > early_ns) f->until_ns = early_ns;
    if (f->a % 2 == 0) f->p &= ~(uint64_t)SIM_SET_FIRST;
  }
  if (f->kind == SIM_VC_OLD_DB && f->a % 2 == 1) return false;
  return true;
}

/* A liar leads one duty of n: a short lie about values would hardly ever be told. This one does not end where the
   faults do: it costs its rounds, no more. A leak is where some lies matter. */
static void lie_all_along(sim_world *w, uint64_t start_ns) {
  sim_fault f = {.kind = SIM_LIE_VALUES, .from_ns = start_ns, .until_ns = w->end_ns};
  if (sensible(w, &f)) w->fault[w->fault_cnt++] = f;
  sim_fault leak = {.kind = SIM_LEAK, .from_ns = start_ns};
  if (sim_chance(w, 300) && sensible(w, &leak)) w->fault[w->fault_cnt++] = leak;
}

/* A copy hides votes of live duties only when it is young: it is made about when an attestation is decided. */
static void shortly(const sim_world *w, sim_fault *f) {
  uint64_t slot = f->from_ns < w->genesis_ns ? 0 : (f->from_ns - w->genesis_ns) / w->slot_ns;
  f->from_ns = w->genesis_ns + slot * w->slot_ns + w->slot_ns / 3 + AQ_MILLIS(f->p) / 6;
  f->until_ns = f->from_ns + AQ_MILLIS(50 + f->p);
}

/* In one slot, in which the clients of as many others are down as the cluster can spare: it needs what the node had
   acknowledged. With randomness of its own, so that the rest of a seed's script stays what it was. */
static void crash_after_ack(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x61636b));
  if (w->opts.calm || fake_rng_below(&r, 3) > 0 || w->fault_cnt >= SIM_FAULTS_MAX) return;
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(&r, slots);
  sim_fault f = {.kind = SIM_ACK_CRASH, .a = (uint32_t)fake_rng_below(&r, w->n), .p = 5 + fake_rng_below(&r, 300)};
  f.from_ns = w->genesis_ns + slot * w->slot_ns;
  f.until_ns = f.from_ns + w->slot_ns;
  if (w->liars >> f.a & 1) return;
  w->fault[w->fault_cnt++] = f;
  uint32_t a = f.a, spare = w->f - (uint32_t)__builtin_popcount(w->liars);
  f.kind = SIM_VC_SILENT, f.p = 0;
  for (uint32_t op = 0; op < w->n && w->fault_cnt < SIM_FAULTS_MAX; op++) {
    if (op == a || w->liars >> op & 1 || spare == 0) continue;
    f.a = op, spare--;
    w->fault[w->fault_cnt++] = f;
  }
}

/* At the begin of a slot: the block of that slot is the first that they make. */
static void bn_restart(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x626e));
  if (w->opts.calm || fake_rng_below(&r, 3) > 0 || w->fault_cnt >= SIM_FAULTS_MAX) return;
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(&r, slots);
  sim_fault f = {.kind = SIM_BN_RESTART, .from_ns = w->genesis_ns + slot * w->slot_ns - AQ_MILLIS(1)};
  f.until_ns = f.from_ns + AQ_MILLIS(1);
  w->fault[w->fault_cnt++] = f;
}

/* All liars, from some slot on: those that saw a proposal wait for the others, who are too few to pull them along. */
static void show_few(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x66657773));
  if (w->opts.calm || fake_rng_below(&r, 4) > 0) return;
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(&r, slots);
  sim_fault f = {.kind = SIM_LIE_SHOW, .from_ns = w->genesis_ns + slot * w->slot_ns, .until_ns = w->end_ns};
  for (f.a = 0; f.a < w->n && w->fault_cnt < SIM_FAULTS_MAX; f.a++) {
    if (w->liars >> f.a & 1) w->fault[w->fault_cnt++] = f;
  }
}

/* The same, and not in the seeds of sim/seeds until now. */
static void client_signs_other(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x6f748570));
  if (w->opts.calm || fake_rng_below(&r, 4) > 0 || w->fault_cnt >= SIM_FAULTS_MAX) return;
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(&r, slots);
  sim_fault f = {.kind = SIM_VC_OTHER, .a = (uint32_t)fake_rng_below(&r, w->n), .p = 300 + fake_rng_below(&r, 701)};
  f.from_ns = w->genesis_ns + slot * w->slot_ns;
  f.until_ns = f.from_ns + (1 + fake_rng_below(&r, 2 * w->slots_per_epoch)) * w->slot_ns;
  if (f.until_ns > w->heal_ns || fake_rng_below(&r, 2) > 0) f.until_ns = w->heal_ns;
  if (f.until_ns > f.from_ns) w->fault[w->fault_cnt++] = f;
}

/* All who have two at once. It troubles nobody: half of them last to the end, where nothing else is wrong. */
static void first_of_two(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x74776f));
  if (!w->paired || w->fault_cnt >= SIM_FAULTS_MAX) return;
  uint64_t slots = (w->heal_ns - w->genesis_ns) / w->slot_ns, slot = 1 + fake_rng_below(&r, slots);
  sim_fault f = {.kind = SIM_BN_FIRST, .p = fake_rng_below(&r, SIM_FIRST_CNT)};
  f.from_ns = w->genesis_ns + slot * w->slot_ns;
  f.until_ns = f.from_ns + (1 + fake_rng_below(&r, 2 * w->slots_per_epoch)) * w->slot_ns;
  if (f.until_ns > w->end_ns || fake_rng_below(&r, 2) > 0) f.until_ns = w->end_ns;
  w->fault[w->fault_cnt++] = f;
}

/* Up to three, at any moment of a slot, also when all else is healed. Every second block that is left comes back. */
static void reorgs(sim_world *w) {
  fake_rng r;
  fake_rng_seed(&r, w->opts.seed ^ UINT64_C(0x72656f7267));
  if (w->opts.calm || fake_rng_below(&r, 2) > 0) return;
  uint64_t first = w->slots_per_epoch, slots = w->slots > 2 * first ? w->slots - 2 * first : 1;
  for (uint64_t cnt = 1 + fake_rng_below(&r, 3); cnt-- > 0 && w->fault_cnt < SIM_FAULTS_MAX;) {
    sim_fault f = {.kind = SIM_REORG, .p = 1 + fake_rng_below(&r, 2)};
    f.from_ns = w->genesis_ns + (first + fake_rng_below(&r, slots)) * w->slot_ns + fake_rng_below(&r, w->slot_ns);
    bool back = fake_rng_below(&r, 2) > 0;
    f.until_ns = back ? f.from_ns + (1 + fake_rng_below(&r, w->slots_per_epoch)) * w->slot_ns : w->end_ns + w->slot_ns;
    w->fault[w->fault_cnt++] = f;
  }
}

void sim_acked(sim_node *n) {
  const sim_fault *f = sim_fault_of(n->w, SIM_ACK_CRASH, n->op);
  if (!f || n->acked == f || !n->up || n->leaving) return;
  n->acked = f;
  sim_count_fault(n->w, SIM_ACK_CRASH);
  sim_node_kill(n, AQ_MILLIS(f->p));
}

void sim_faults_make(sim_world *w) {
  uint64_t span = w->heal_ns - w->genesis_ns + AQ_SECONDS(2), start = w->genesis_ns - AQ_SECONDS(2);
  uint32_t want = w->opts.calm ? 0 : (uint32_t)sim_between(w, 2, 16), tries = 0;
  uint32_t twins = 0;
  if (want && w->liars && sim_chance(w, 800)) lie_all_along(w, start);
  while (w->fault_cnt < want && tries++ < 200) {
    sim_fault f = {.kind = (sim_fault_kind)sim_random(w, SIM_ACK_CRASH)};
    f.a = (uint32_t)sim_random(w, w->n);
    f.b = (f.a + (uint32_t)sim_between(w, 1, w->n - 1)) % w->n;
    f.from_ns = start + sim_random(w, span);
    uint64_t room = w->heal_ns - f.from_ns,
             last = sim_chance(w, 700) ? sim_random(w, 3 * w->slot_ns) : sim_random(w, room);
    f.until_ns = f.from_ns + (last < room ? last : room);
    f.p = size_of(w, f.kind);
    if (f.kind == SIM_OLD_STORE) shortly(w, &f);
    if (!sensible(w, &f)) continue;
    if ((f.kind == SIM_TWIN || f.kind == SIM_DOUBLE) && twins++ >= SIM_TWINS_MAX) continue;
    w->fault[w->fault_cnt++] = f;
  }
  crash_after_ack(w);
  bn_restart(w);
  show_few(w);
  client_signs_other(w);
  first_of_two(w);
  reorgs(w);
  sim_builder_faults(w);
}

static void describe(const sim_world *w, const sim_fault *f, char *out, size_t len) {
  snprintf(out, len, "%-18s operator %u/%u, size %llu, from %.3f s to %.3f s", text[f->kind], f->a, f->b,
           (unsigned long long)f->p, (double)(int64_t)(f->from_ns - w->genesis_ns) / 1e9,
           (double)(int64_t)(f->until_ns - w->genesis_ns) / 1e9);
}

uint32_t sim_faults_print(const sim_world *w) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    char line[160];
    describe(w, &w->fault[i], line, sizeof line);
    bool kept = w->opts.keep >> i & 1;
    printf("%s%2u  %s\n", kept ? " " : "-", i, line);
  }
  return w->fault_cnt;
}

/* ---- doing ---- */

/* Clocks: ahead or behind, by the other operator's number. */
static void shift(sim_node *n, const sim_fault *f, bool back) {
  int64_t ns = f->kind == SIM_SET ? (int64_t)AQ_SECONDS(f->p / 8) : (int64_t)AQ_MILLIS(f->p);
  if ((f->b % 2 == 1) != back) ns = -ns;
  sim_proc_step(&n->proc, ns);
  sim_proc_step(&n->vc_proc, ns);
  sim_count_fault(n->w, f->kind);
}

static void die_at(sim_node *n, const sim_fault *f, uint64_t effects) {
  if (!n->up || n->leaving) return;
  n->proc.effects_left = effects;
  sim_count_fault(n->w, f->kind);
}

/* Where it had too little to do to die it lives on. */
static void come_back(sim_node *n) {
  if (n->up && !n->leaving) n->proc.effects_left = UINT64_MAX;
  sim_node_start(n);
}

static void vc_come_back(sim_node *n) {
  if (n->vc_up && !n->vc_proc.env.dead) n->vc_proc.effects_left = UINT64_MAX;
  sim_vc_start(n);
}

static sim_node *second(sim_world *w, const sim_fault *f) {
  sim_nature nature = f->kind == SIM_TWIN ? SIM_LIAR : SIM_HONEST;
  for (uint32_t i = w->n; i < w->node_cnt; i++) {
    if (w->node[i]->op == f->a && w->node[i]->nature == nature) return w->node[i];
  }
  return sim_instance(w, f->a, nature);
}

static void begin_process(sim_world *w, sim_fault *f) {
  sim_node *n = w->node[f->a];
  switch ((int)f->kind) {
    case SIM_CRASH: die_at(n, f, f->p); break;
    case SIM_CRASH_ALL:
      for (uint32_t op = 0; op < w->n; op++) die_at(w->node[op], f, 1 + sim_random(w, f->p));
      break;
    case SIM_UPGRADE:
      sim_count_fault(w, f->kind);
      sim_node_stop(n);
      break;
    case SIM_DISK_LOST:
      sim_count_fault(w, f->kind);
      sim_node_kill(n, AQ_NEVER);
      break;
    case SIM_VC_SILENT:
      sim_count_fault(w, f->kind);
      sim_vc_kill(n, AQ_NEVER);
      break;
    case SIM_VC_CRASH:
      if (n->vc_up && !n->vc_proc.env.dead) n->vc_proc.effects_left = f->p, sim_count_fault(w, f->kind);
      break;
    case SIM_SET:
      n->lose_disk = f->p & SIM_SET_FIRST;
      if (f->p & (SIM_SET_FIRST | SIM_SET_RESTART)) sim_node_kill(n, AQ_MILLIS(500));
      break;
    case SIM_OLD_STORE:
      fake_disk_copy(&n->old, &n->disk);
      n->copied_ns = w->time.now_ns;
      break;
    case SIM_VC_OLD_DB: fake_disk_copy(&n->vc_old, &n->vc_disk); break;
    case SIM_BN_RESTART:
      sim_count_fault(w, f->kind);
      for (uint32_t op = 0; op < w->n; op++) aq_beacon_restart(w->bn[op]);
      break;
    case SIM_DOUBLE:
    case SIM_TWIN:
      sim_count_fault(w, f->kind);
      sim_node_start(second(w, f));
      sim_vc_start(second(w, f));
      break;
    default: break;
  }
}

/* The disk is again what it was when the fault began; effect: the node had written meanwhile. */
static void put_back(sim_node *n) {
  if (!n->up || n->leaving) return;
  n->old_back = fake_disk_size(&n->old) != fake_disk_size(&n->disk);
  sim_node_kill(n, AQ_MILLIS(20));
}

static void end_process(sim_world *w, sim_fault *f) {
  sim_node *n = w->node[f->a];
  switch ((int)f->kind) {
    case SIM_CRASH:
    case SIM_UPGRADE: come_back(n); break;
    case SIM_CRASH_ALL:
      for (uint32_t op = 0; op < w->n; op++) come_back(w->node[op]);
      break;
    case SIM_DISK_LOST:
      if (n->up) break;
      sim_node_lose(n);
      sim_node_start(n);
      break;
    case SIM_SET:
      if (f->p & SIM_SET_AFTER) sim_node_kill(n, AQ_MILLIS(500));
      break;
    case SIM_OLD_STORE: put_back(n); break;
    case SIM_VC_SILENT:
    case SIM_VC_CRASH: vc_come_back(n); break;
    case SIM_VC_OLD_DB:
      sim_count_fault(w, f->kind);
      n->vc_put_back = true;
      sim_vc_kill(n, AQ_MILLIS(100));
      break;
    case SIM_DOUBLE:
    case SIM_TWIN:
      sim_node_kill(second(w, f), AQ_NEVER);
      sim_vc_kill(second(w, f), AQ_NEVER);
      sim_node_start(n); /* one of the two may have stopped itself */
      break;
    default: break;
  }
}

static void toggle(void *arg) {
  sim_fault *f = arg;
  sim_world *w = f->w;
  char line[160];
  describe(w, f, line, sizeof line);
  f->on = !f->on;
  sim_say(w, "%s: %s", f->on ? "FAULT" : "healed", line);
  sim_trace(w, f->on ? "fault" : "healed", (uint64_t)f->kind, f->a, aq_bytes_of(&f->p, sizeof f->p));
  sim_node *n = w->node[f->a];
  if (f->on && f->kind == SIM_LEAK) sim_chain_leak(w, f);
  if (f->on && f->kind == SIM_REORG) sim_chain_reorg(w, f);
  if (f->on) {
    aq_timer_set(&w->own.env.env, &f->timer, f->until_ns, toggle, f);
    if (f->kind == SIM_SKEW || f->kind == SIM_STEP || f->kind == SIM_SET) shift(n, f, false);
    if (f->kind == SIM_RESET) w->wires ? sim_wire_reset(w, f->a, f->b) : sim_net_reset(w, f->a, f->b);
    if (f->kind == SIM_LIE_FLOOD || f->kind == SIM_LIE_REPLAY) sim_liar_arm(n);
    begin_process(w, f);
  } else {
    if (f->kind == SIM_SKEW || f->kind == SIM_SET) shift(n, f, true);
    if (f->kind == SIM_BN_FORK) sim_chain_heal(w, f->a);
    if (f->kind == SIM_REORG) sim_chain_return(w, f);
    end_process(w, f);
  }
  if (w->wires) sim_wire_faults(w);
}

void sim_faults_arm(sim_world *w) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    sim_fault *f = &w->fault[i];
    f->w = w;
    if (!(w->opts.keep >> i & 1)) continue;
    w->out->scheduled[f->kind]++;
    w->out->faults++;
    aq_timer_set(&w->own.env.env, &f->timer, f->from_ns, toggle, f);
  }
}

void sim_faults_free(sim_world *w) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) aq_timer_cancel(&w->own.env.env, &w->fault[i].timer);
}
