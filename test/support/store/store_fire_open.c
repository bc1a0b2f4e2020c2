/* Opening after a cut or a loss: which of the worlds that could be is it? */
#include <sqlite3.h>

#include "store_fire_internal.h"

enum { ATTEMPTS_MAX = 200, ATTEMPTS_FAULTY = 6 };

/* ---- what was ever asked for ---- */

static bool ever(fire *f, uint64_t row, bool add) {
  for (uint64_t at = row % FIRE_EVER;; at = (at + 1) % FIRE_EVER) {
    if (f->ever[at] == row) return true;
    if (f->ever[at]) continue;
    if (add) f->ever[at] = row;
    return add;
  }
}

void fire_ever_add(fire *f, const world *w) {
  (void)w;
  for (uint32_t i = 0; i < f->op_cnt; i++) {
    const world_op *op = &f->op[i];
    char addr[32];
    if (op->has_blob) {
      aq_store_blob b = world_port_blob(&op->blob);
      (void)ever(f, world_row_blob(&b), true);
    }
    if (op->kind == WORLD_VOTE) {
      aq_store_vote v = world_port_vote(&op->vote);
      (void)ever(f, world_row_vote(&v), true);
    } else if (op->kind == WORLD_DECIDE) {
      aq_store_decided d = world_port_decided(&op->decided);
      (void)ever(f, world_row_decided(&d), true);
    } else if (op->kind == WORLD_PEER) {
      world_port_addr(addr, op->addr);
      (void)ever(f, world_row_peer(op->peer, addr), true);
    }
    for (uint32_t k = 0; k < op->sign_cnt; k++) {
      const world_sign *r = &op->sign[k];
      const uint64_t v[] = {r->kind,   r->pubkey, (uint64_t)r->duty.type, r->duty.slot, r->sub, r->root,
                            r->source, r->target};
      (void)ever(f, world_row_numbers(v, AQ_COUNT(v)), true);
    }
  }
}

/* ---- what a store holds ---- */

typedef struct {
  fire *f;
  world_sum sum;
  uint32_t unknown; /* journal and peers: rows that nobody asked for */
} holding;

static void see(holding *h, uint64_t *sum, uint64_t row) {
  *sum += row;
  h->sum.rows++;
  /* Long values of a disk that lied may be made of parts; votes and values are checked by their readers. */
  bool plain = sum == &h->sum.sign || sum == &h->sum.peer;
  if (plain && !ever(h->f, row, false)) h->unknown++;
}

static void see_vote(void *arg, const aq_store_vote *v) {
  holding *h = arg;
  see(h, &h->sum.vote, world_row_vote(v));
}

static void see_blob(void *arg, const aq_store_blob *b) {
  holding *h = arg;
  see(h, &h->sum.blob, world_row_blob(b));
}

static void see_decided(void *arg, const aq_store_decided *d) {
  holding *h = arg;
  see(h, &h->sum.decided, world_row_decided(d));
}

static void see_peer(void *arg, uint32_t peer, const char *addr) {
  holding *h = arg;
  see(h, &h->sum.peer, world_row_peer(peer, addr));
}

/* The journal is not part of load: read past the store. */
static bool see_journal(holding *h) {
  static const char sign[] = "SELECT kind, pubkey, type, slot, sub, root, source, target FROM sign";
  static const char mark[] = "SELECT kind, pubkey, source, target, block_slot FROM mark";
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  int rc = sqlite3_open_v2(FIRE_DB, &db, SQLITE_OPEN_READWRITE, NULL);
  for (int part = 0; part < 2 && rc == SQLITE_OK; part++) {
    rc = sqlite3_prepare_v2(db, part == 0 ? sign : mark, -1, &s, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
      uint64_t v[8];
      int cnt = sqlite3_column_count(s);
      for (int i = 0; i < cnt; i++) {
        v[i] = (uint64_t)sqlite3_column_int64(s, i);
        const uint8_t *bytes = sqlite3_column_type(s, i) == SQLITE_BLOB ? sqlite3_column_blob(s, i) : NULL;
        if (bytes) v[i] = sqlite3_column_bytes(s, i) == 48 ? bytes[0] : aq_le32_get(bytes);
      }
      uint64_t row = world_row_numbers(v, (size_t)cnt);
      if (part == 0)
        see(h, &h->sum.sign, row);
      else
        h->sum.mark += row, h->sum.rows++;
      rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    if (rc == SQLITE_DONE) rc = SQLITE_OK;
  }
  sqlite3_close(db);
  return rc == SQLITE_OK;
}

static bool look(fire *f, holding *h) {
  *h = (holding){.f = f};
  const aq_store_visitor v = {h, see_vote, see_blob, see_decided, see_peer, NULL};
  fault_disk_pause(true);
  bool good = f->port->load(f->port->ctx, 0, &v) == AQ_OK && see_journal(h);
  fault_disk_pause(false);
  return good;
}

static const char *first_difference(const world_sum *a, const world_sum *b) {
  return a->vote != b->vote         ? "votes"
         : a->blob != b->blob       ? "values"
         : a->decided != b->decided ? "decisions"
         : a->sign != b->sign       ? "signed roots"
         : a->mark != b->mark       ? "watermarks"
         : a->peer != b->peer       ? "peers"
                                    : "nothing";
}

static void describe(fire *f, const char *what, const world_sum *s) {
  fire_say(f, "%s: %u rows, votes %llx values %llx decisions %llx signs %llx marks %llx peers %llx", what, s->rows,
           (unsigned long long)s->vote, (unsigned long long)s->blob, (unsigned long long)s->decided,
           (unsigned long long)s->sign, (unsigned long long)s->mark, (unsigned long long)s->peer);
}

bool fire_same(fire *f, const char *when) {
  holding h;
  if (!look(f, &h)) return fire_wrong(f, "%s: the store cannot be read", when);
  world_sum want = world_sum_of(&f->base);
  if (world_sum_eq(&h.sum, &want)) return true;
  describe(f, "store", &h.sum), describe(f, "reference", &want);
  return fire_wrong(f, "%s: %s differ (%u rows, the reference has %u)", when, first_difference(&h.sum, &want),
                    h.sum.rows, want.rows);
}

/* ---- opening ---- */

void fire_close(fire *f) {
  fault_disk_calm();
  aq_sqlite_close(f->store);
  f->store = NULL;
}

static bool is_world(const holding *h, const world *w) {
  world_sum s = world_sum_of(w);
  return world_sum_eq(&h->sum, &s);
}

static bool take(fire *f, const holding *h, const world *w) {
  if (!is_world(h, w)) return false;
  f->base = *w;
  return true;
}

/* The base of what follows is what came out of recovery; it must be one of those that it may be. */
static bool compare(fire *f, const holding *h) {
  static const world nothing;
  world_sum want = world_sum_of(f->damaged ? &f->bak[0] : &f->base);
  bool good = false;
  if (f->fresh) {
    good = take(f, h, &nothing);
  } else if (f->damaged) {
    for (uint32_t i = 0; i < f->bak_cnt && !good; i++) good = take(f, h, &f->bak[i]);
  } else {
    good = take(f, h, &f->base);
    for (uint32_t i = 0; i < f->late_cnt && !good; i++) {
      good = take(f, h, &f->late[i]);
      f->out->came_back += good;
    }
  }
  f->late_cnt = 0;
  f->base.compacted_slot = 0;
  if (good) return true;
  describe(f, "store", &h->sum), describe(f, "reference", &want);
  return fire_wrong(f, "after recovery: %s differ (%u rows, the reference has %u)", first_difference(&h->sum, &want),
                    h->sum.rows, want.rows);
}

/* contract.md 7.1 and 13.6: the state says how the database was found, and the time covers what it cannot prove. */
static bool check_state(fire *f, uint64_t first_ns, bool shaken) {
  aq_store_state state = f->port->state;
  uint64_t now = fake_env_now(&f->env), until = aq_store_unproven_until_ns(f->port, now), margin = AQ_SECONDS(2);
  bool lost = f->fresh || f->damaged;
  if (lost) f->restored = f->damaged && !f->fresh, f->restored_ns = now, f->lost_ns = first_ns;
  if (lost) f->lost_until_ns = now + margin;
  /* A power cut or a start that failed may leave a stamp that proves nothing, or none beside a database that was just
     made: the store says so, and has all. */
  bool doubted = shaken && (f->fresh || !lost) && state == AQ_STORE_FALLBACK;
  if (doubted) f->restored = true, f->restored_ns = now, f->lost_until_ns = now + margin;
  bool recent = f->restored && now < f->restored_ns + AQ_SECONDS(600);
  if (f->fresh && !shaken && state == AQ_STORE_FALLBACK) return fire_wrong(f, "a new store says that it was restored");
  if (!f->fresh && state == AQ_STORE_MISS) return fire_wrong(f, "an empty store where there was one");
  if (!lost && !recent && state != AQ_STORE_OK) return fire_wrong(f, "a sound store was given up for the backup");
  if ((f->damaged && !f->fresh) && state != AQ_STORE_FALLBACK) return fire_wrong(f, "damage went unnoticed");
  if (until < f->lost_ns + margin) return fire_wrong(f, "abstention ends before what is lost");
  uint64_t latest = state == AQ_STORE_OK ? f->lost_until_ns : now + margin;
  if (until > latest) return fire_wrong(f, "abstention without a reason");
  f->out->restored += f->damaged && !f->fresh;
  return true;
}

static bool lied(fire *f) {
  uint64_t lies = fault_disk_stats()->injected[FIRE_LIE];
  bool some = lies != f->lies_seen;
  f->lies_seen = lies;
  f->out->lies += some;
  return some;
}

/* The disk lied or single pages are garbage. The run ends with this check. */
static bool check_uncertain(fire *f, bool garbled) {
  holding h;
  f->uncertain = true;
  if (!f->store || !look(f, &h)) return true;
  if (!garbled && h.unknown > 0) return fire_wrong(f, "%u records that nobody asked for", h.unknown);
  return true;
}

static bool accepted(fire *f, uint64_t first_ns, bool shaken) {
  holding h;
  fault_disk_arm(0, 0, 0);
  f->out->opens++;
  f->cfg.accept_empty = false;
  fire_say(f, "open: state %d", (int)f->port->state);
  fire_observe(f, f->port->state);
  if (!check_state(f, first_ns, shaken)) return false;
  if (!look(f, &h)) return fire_wrong(f, "after recovery: the store cannot be read");
  if (!compare(f, &h)) return false;
  f->fresh = f->damaged = false;
  return true;
}

/* Refused without a fault: only when neither the database nor the backup is sound; then the operator accepts it. */
static bool refused(fire *f, const aq_err *err) {
  if (!f->damaged || (f->bak_cnt > 0 && !f->bak_damaged))
    return fire_wrong(f, "refused without a fault: %s", err->text);
  f->out->refused++;
  f->cfg.accept_empty = f->fresh = true;
  f->bak_cnt = 0;
  return true;
}

static void prepare_attempt(fire *f, int attempt) {
  if (attempt >= ATTEMPTS_FAULTY) return;
  if (f->kinds && fire_one_in(f, 3)) {
    uint32_t kinds = f->kinds & ~(uint32_t)(f->damaged || f->fresh ? 0 : FAULT_READ);
    uint64_t cnt = 1 + (fire_one_in(f, 3) ? fire_below(f, 40) : 0), after = fire_below(f, 120);
    fault_disk_arm(kinds, after, cnt);
  }
  if (f->cuts && fire_one_in(f, 4)) fault_disk_cut(fire_below(f, 120));
}

bool fire_open(fire *f) {
  bool garbled = f->uncertain, shaken = fault_disk_dead();
  if (fault_disk_dead()) {
    fault_disk_power_on();
    if (lied(f)) f->uncertain = true;
  }
  fake_env_run_for(&f->env, AQ_SECONDS(1 + (fire_one_in(f, 3) ? fire_below(f, 1200) : 0)));
  uint64_t first_ns = fake_env_now(&f->env);
  if (f->damaged || f->fresh) f->lost_ns = first_ns;
  for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    aq_err err = {0};
    if (!f->uncertain) prepare_attempt(f, attempt);
    uint64_t before = fire_injected();
    aq_status st = aq_sqlite_open(&f->store, NULL, &f->cfg, &err);
    fire_observe(f, (uint64_t)(int64_t)st);
    fire_say(f, "open: %s %s", aq_status_name(st), err.text);
    if (st == AQ_OK) f->port = aq_sqlite_port(f->store);
    bool dead = fault_disk_dead(), hit = fire_injected() != before;
    if (f->uncertain) return check_uncertain(f, garbled);
    if (st == AQ_OK && !dead) return accepted(f, first_ns, shaken);
    shaken = true;
    if (st == AQ_OK) fire_close(f);
    fault_disk_arm(0, 0, 0);
    if (dead) fault_disk_power_on();
    if (dead && lied(f)) f->uncertain = true;
    if (st != AQ_OK && st != AQ_E_IO) return fire_wrong(f, "open says %s", aq_status_name(st));
    if (!dead && !hit && !refused(f, &err)) return false;
    fake_env_run_for(&f->env, AQ_SECONDS(fire_below(f, 20)));
  }
  return fire_wrong(f, "the store never opened again");
}
