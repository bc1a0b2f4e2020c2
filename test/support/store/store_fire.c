/* The calls of a run, what was answered, and the judge that compares both stores. */
#include <stdarg.h>

#include "base/metrics.h"
#include "store_fire_internal.h"

uint64_t fire_below(fire *f, uint64_t n) { return aq_test_rng_next(&f->rng) % n; }

bool fire_one_in(fire *f, uint64_t n) { return fire_below(f, n) == 0; }

bool fire_wrong(fire *f, const char *fmt, ...) {
  if (f->out->why[0]) return false;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(f->out->why, sizeof f->out->why, fmt, ap);
  va_end(ap);
  if (f->trace) fprintf(f->trace, "WRONG: %s\n", f->out->why);
  return false;
}

void fire_say(fire *f, const char *fmt, ...) {
  if (!f->trace) return;
  va_list ap;
  va_start(ap, fmt);
  fprintf(f->trace, "%llu ", (unsigned long long)f->slot);
  vfprintf(f->trace, fmt, ap);
  fputc('\n', f->trace);
  va_end(ap);
}

void fire_observe(fire *f, uint64_t v) {
  f->out->digest = (f->out->digest ^ v) * UINT64_C(0x100000001b3);
  f->out->digest ^= f->out->digest >> 31;
}

uint64_t fire_injected(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < FAULT_KINDS; i++) sum += fault_disk_stats()->injected[i];
  return sum;
}

/* ---- one batch ---- */

typedef struct {
  fire *f;
  uint32_t at;
} slip;
static slip slips[WORLD_BATCH + 1];

static void on_answer(void *arg, aq_status st) {
  slip *s = arg;
  if (s->f->told[s->at]) (void)fire_wrong(s->f, "call %u was answered twice", s->at);
  s->f->told[s->at] = true, s->f->got[s->at] = st;
}

static void submit(fire *f, uint32_t at) {
  const world_op *op = &f->op[at];
  const aq_store *p = f->port;
  aq_store_blob blob = {0};
  if (op->has_blob) blob = world_port_blob(&op->blob);
  const aq_store_blob *b = op->has_blob ? &blob : NULL;
  aq_store_sign sign[3];
  char addr[32];
  slips[at] = (slip){f, at};
  f->told[at] = false;
  switch (op->kind) {
    case WORLD_VOTE: {
      aq_store_vote v = world_port_vote(&op->vote);
      p->vote(p->ctx, &v, b, on_answer, &slips[at]);
      return;
    }
    case WORLD_DECIDE: {
      aq_store_decided d = world_port_decided(&op->decided);
      p->decided(p->ctx, &d, b, on_answer, &slips[at]);
      return;
    }
    case WORLD_SIGN:
      for (uint32_t i = 0; i < op->sign_cnt; i++) sign[i] = world_port_sign(&op->sign[i]);
      p->sign(p->ctx, sign, op->sign_cnt, on_answer, &slips[at]);
      return;
    case WORLD_PEER:
      world_port_addr(addr, op->addr);
      p->peer(p->ctx, op->peer, addr);
      break;
    case WORLD_PRUNE: p->prune(p->ctx, op->before_slot); break;
  }
  f->told[at] = true, f->got[at] = AQ_OK; /* these are not answered */
}

static bool answered(const world_op *op) { return op->kind != WORLD_PEER && op->kind != WORLD_PRUNE; }

static bool judge(fire *f, const world *after, bool excused) {
  bool failed = f->got[f->op_cnt] == AQ_E_IO;
  for (uint32_t i = 0; i <= f->op_cnt; i++) {
    if (!f->told[i]) return fire_wrong(f, "call %u of %u was not answered", i, f->op_cnt);
    fire_observe(f, (uint64_t)(int64_t)f->got[i]);
    if (i < f->op_cnt && !answered(&f->op[i])) continue;
    if ((f->got[i] == AQ_E_IO) != failed) return fire_wrong(f, "a batch failed in part");
    if (i < f->op_cnt && !failed && f->got[i] != f->want[i]) {
      return fire_wrong(f, "call %u (kind %d): %s, the reference says %s", i, (int)f->op[i].kind,
                        aq_status_name(f->got[i]), aq_status_name(f->want[i]));
    }
  }
  if (failed && !excused) return fire_wrong(f, "a batch failed without a fault");
  if (!failed) {
    world_sum old = world_sum_of(&f->base), new = world_sum_of(after);
    if (!world_sum_eq(&old, &new)) f->late_cnt = 0;
    f->base = *after;
    return true;
  }
  f->out->failed_batches++;
  AQ_ASSERT(f->late_cnt < FIRE_LATE_MAX);
  f->late[f->late_cnt++] = *after;
  return true;
}

/* All calls, then one turn of the store, which takes them as one commit. */
static bool batch(fire *f) {
  static world after;
  uint64_t before = fire_injected();
  after = f->base;
  f->op_cnt = 1 + (uint32_t)fire_below(f, WORLD_BATCH - 1);
  for (uint32_t i = 0; i < f->op_cnt; i++) {
    f->op[i] = fire_next_op(f);
    f->want[i] = world_apply(&after, &f->op[i]);
    submit(f, i);
    f->out->calls++;
  }
  fire_ever_add(f, &after);
  slips[f->op_cnt] = (slip){f, f->op_cnt};
  f->told[f->op_cnt] = false;
  f->port->sign(f->port->ctx, NULL, 0, on_answer, &slips[f->op_cnt]);
  (void)aq_sqlite_turn(f->store);
  f->out->batches++;
  fire_say(f, "batch of %u: %s", f->op_cnt, f->told[f->op_cnt] ? aq_status_name(f->got[f->op_cnt]) : "no answer");
  if (!judge(f, &after, fault_disk_dead() || fire_injected() != before)) return false;
  fake_env_run_for(&f->env, AQ_NS_PER_MS * (1 + fire_below(f, 3000)));
  return true;
}

/* ---- other happenings ---- */

static void on_rename(void *arg, const char *to) {
  fire *f = arg;
  if (strcmp(to, FIRE_BAK) != 0) return;
  f->bak[1] = f->bak[0];
  f->bak[0] = f->base;
  if (f->bak_cnt < 2) f->bak_cnt++;
  f->bak_damaged = false;
  fire_say(f, "backup done");
}

static void arm(fire *f) {
  if (!f->kinds) return;
  uint32_t kinds = f->kinds;
  if (fire_one_in(f, 2)) {
    uint32_t bit = (uint32_t)fire_below(f, FAULT_KINDS);
    while (!(kinds & (UINT32_C(1) << bit))) bit = (bit + 1) % FAULT_KINDS;
    kinds = UINT32_C(1) << bit;
  }
  uint64_t cnt = 1 + (fire_one_in(f, 3) ? fire_below(f, 60) : 0), after = fire_below(f, 40);
  fault_disk_arm(kinds, after, cnt);
  fire_say(f, "faults armed: %x", kinds);
}

/* A disk that works again: nothing of what failed may be visible. */
static bool heal(fire *f) {
  fault_disk_arm(0, 0, 0);
  return fault_disk_dead() || fire_same(f, "after faults");
}

static bool load_under_fire(fire *f) {
  static const aq_store_visitor nothing;
  uint64_t before = fire_injected();
  aq_status st = f->port->load(f->port->ctx, 0, &nothing);
  fire_observe(f, (uint64_t)(int64_t)st);
  if (st == AQ_OK) return true;
  f->out->load_failures++;
  return fault_disk_dead() || fire_injected() != before || fire_wrong(f, "load failed without a fault");
}

static bool reopen(fire *f) {
  if (!fault_disk_dead() && fire_one_in(f, 2)) fault_disk_cut(0);
  aq_sqlite_close(f->store); /* its faults and its cut may come now */
  f->store = NULL;
  fault_disk_calm();
  fire_say(f, fault_disk_dead() ? "crashed" : "closed");
  return fire_open(f);
}

/* The database at rest is spoilt, with the backup or without. */
static bool damage(fire *f) {
  fault_disk_calm();
  if (!fire_same(f, "before damage")) return false;
  fire_close(f);
  fault_disk_settle();
  uint64_t size = fault_disk_size(FIRE_DB), how = fire_below(f, 4);
  if (how == 0) f->damaged = fault_disk_garble(FIRE_DB, 0, 100 + fire_below(f, 4000));
  if (how == 1) f->damaged = fault_disk_remove(FIRE_DB);
  if (how == 2) f->damaged = fault_disk_shorten(FIRE_DB, 1 + fire_below(f, size / 2));
  if (how == 3) f->uncertain = fault_disk_garble(FIRE_DB, 4096 * (1 + fire_below(f, size / 4096)), 4096);
  if (f->bak_cnt > 0 && fire_one_in(f, 4)) f->bak_damaged = fault_disk_garble(FIRE_BAK, 0, 4096);
  fire_say(f, "damage %llu, backup %s", (unsigned long long)how, f->bak_damaged ? "too" : "not");
  /* Without database and backup it is a first start. */
  if (how == 1 && fault_disk_size(FIRE_BAK) == 0) f->fresh = true, f->damaged = false;
  return fire_open(f);
}

static bool step(fire *f) {
  uint64_t dice = fire_below(f, 100);
  if (fault_disk_dead() || f->late_cnt == FIRE_LATE_MAX) return reopen(f);
  if (dice < 74) return batch(f);
  if (dice < 80) {
    f->port->backup(f->port->ctx);
    (void)aq_sqlite_turn(f->store);
  } else if (dice < 86) {
    for (uint64_t i = fire_below(f, 6); i > 0; i--) (void)aq_sqlite_turn(f->store);
  } else if (dice < 91) {
    arm(f);
  } else if (dice < 93) {
    return heal(f);
  } else if (dice < 95) {
    return load_under_fire(f);
  } else if (dice < 98) {
    if (f->cuts) fault_disk_cut(fire_one_in(f, 4) ? 0 : fire_below(f, 60));
  } else if (dice < 99) {
    return reopen(f);
  } else if (f->damages) {
    return damage(f);
  }
  return true;
}

/* ---- a run ---- */

static void plan(fire *f) {
  uint64_t dice = fire_below(f, 8);
  f->cuts = dice != 0;
  f->damages = fire_one_in(f, 3);
  f->big = fire_one_in(f, 4);
  if (dice >= 2 && dice < 7) f->kinds = (uint32_t)aq_test_rng_next(&f->rng) & FAULT_ALL & ~(uint32_t)FAULT_LIE;
  if (dice == 6) f->kinds = FAULT_ALL & ~(uint32_t)FAULT_LIE;
  if (dice == 7) f->kinds = FAULT_LIE;
}

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void trace_line(void *arg, const char *line, size_t len) { fwrite(line, 1, len, arg); }

bool store_fire_run(uint64_t seed, FILE *trace, store_fire_result *out) {
  static fire f;
  static bool metrics;
  if (!metrics) {
    aq_metrics_init();
    aq_log_start(AQ_LOG_WARN, trace ? trace_line : drop_line, trace);
  }
  metrics = true;
  memset(&f, 0, sizeof f);
  memset(out, 0, sizeof *out);
  f.out = out, f.trace = trace;
  aq_test_rng_seed(&f.rng, seed);
  fake_env_init(&f.env, AQ_SECONDS(1700000000));
  f.cfg = (aq_sqlite_cfg){.path = FIRE_DB, .lock_hash = {9}, .self = 1, .by_hand = &f.env.env};
  f.slot = 100, f.fresh = true;
  fault_disk_start(seed);
  fault_disk_trace(trace);
  fault_disk_on_rename(on_rename, &f);
  uint64_t cuts = fault_disk_stats()->cuts;
  f.lies_seen = fault_disk_stats()->injected[FIRE_LIE];
  plan(&f);
  bool good = fire_open(&f);
  for (uint64_t i = 60 + fire_below(&f, 90); good && i > 0 && !f.uncertain; i--) good = step(&f);
  if (good && !f.uncertain) {
    f.kinds = 0;
    good = reopen(&f) && (f.uncertain || fire_same(&f, "at the end"));
  }
  if (f.store) fire_close(&f);
  out->cuts = fault_disk_stats()->cuts - cuts;
  fault_disk_on_rename(NULL, NULL);
  fault_disk_end();
  return out->why[0] == 0;
}
