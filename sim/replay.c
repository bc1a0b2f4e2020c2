/* Reads the votes and decisions of each store, orders them as the nodes must have had them, and plays them to fresh
   machines. */
#include "sim/replay.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hex.h"
#include "qbft/qbft_wire.h"

#define ARENA_MAX ((size_t)4 << 30) /* all votes and values of all stores that are read */

enum { STORES_MAX = AQ_QBFT_NODES_MAX };

/* One vote of one node, as its store has it. */
typedef struct {
  aq_duty duty;
  aq_qbft_msg m;
} vote;

typedef struct {
  aq_duty duty;
  uint8_t hash[32];
  int64_t round;
  size_t store;
} decision;

/* A COMMIT that another node decided by. */
typedef struct {
  aq_duty duty;
  aq_qbft_msg m;
  size_t store;
} commit;

typedef struct {
  const char *path[STORES_MAX];
  size_t store_cnt;
  uint32_t n;
  bool verbose;
  aq_arena arena;
  vote *vote;
  size_t vote_cnt, vote_cap;
  decision *decision;
  size_t decision_cnt, decision_cap;
  commit *commit;
  size_t commit_cnt, commit_cap;
  size_t owner[AQ_QBFT_NODES_MAX];    /* the store of an operator, one up; 0: not here */
  uint64_t oldest[AQ_QBFT_NODES_MAX]; /* slot of that operator's votes: older ones may be pruned */
  uint64_t instances, confirmed, unseen, wrong;
} replay;

static void *grow(void *list, size_t cnt, size_t *cap, size_t size) {
  if (cnt < *cap) return list;
  *cap = *cap ? 2 * *cap : 256;
  void *out = realloc(list, *cap * size);
  AQ_ASSERT(out);
  return out;
}

/* ---- reading ---- */

static aq_bytes column(sqlite3_stmt *s, int at) {
  const void *ptr = sqlite3_column_blob(s, at);
  return aq_bytes_of(ptr, ptr ? (size_t)sqlite3_column_bytes(s, at) : 0);
}

/* The arena keeps what the message points to. */
static aq_bytes kept(replay *r, aq_bytes in) {
  uint8_t *out = aq_arena_alloc(&r->arena, in.len + 1);
  AQ_ASSERT(out);
  if (in.len) memcpy(out, in.ptr, in.len);
  return aq_bytes_of(out, in.len);
}

static bool add_vote(replay *r, sqlite3_stmt *s, size_t store) {
  aq_duty duty;
  vote v = {0};
  uint32_t cnt = 0, just_cnt = 0;
  aq_qbft_msg *just = aq_arena_alloc(&r->arena, AQ_QBFT_JUST_MAX * sizeof *just);
  AQ_ASSERT(just);
  if (aq_qbft_wire_read(&v.m, &cnt, 1, &v.duty, &r->arena, r->n, kept(r, column(s, 0)), false) != AQ_OK) return false;
  aq_bytes list = kept(r, column(s, 1));
  if (list.len && aq_qbft_wire_read(just, &just_cnt, AQ_QBFT_JUST_MAX, &duty, &r->arena, r->n, list, true) != AQ_OK)
    return false;
  v.m.just = just, v.m.just_cnt = just_cnt;
  r->vote = grow(r->vote, r->vote_cnt, &r->vote_cap, sizeof *r->vote);
  r->vote[r->vote_cnt++] = v;
  if (!r->owner[v.m.from] || v.duty.slot < r->oldest[v.m.from]) r->oldest[v.m.from] = v.duty.slot;
  r->owner[v.m.from] = store + 1;
  return true;
}

static bool add_decision(replay *r, sqlite3_stmt *s, size_t store) {
  decision d = {.duty = {(uint64_t)sqlite3_column_int64(s, 0), (aq_duty_type)sqlite3_column_int(s, 1)},
                .round = sqlite3_column_int64(s, 2),
                .store = store};
  aq_bytes hash = column(s, 3);
  if (hash.len == 32) memcpy(d.hash, hash.ptr, 32);
  r->decision = grow(r->decision, r->decision_cnt, &r->decision_cap, sizeof *r->decision);
  r->decision[r->decision_cnt++] = d;
  aq_qbft_msg *m = aq_arena_alloc(&r->arena, AQ_QBFT_JUST_MAX * sizeof *m);
  AQ_ASSERT(m);
  uint32_t cnt = 0;
  aq_duty duty;
  if (aq_qbft_wire_read(m, &cnt, AQ_QBFT_JUST_MAX, &duty, &r->arena, r->n, kept(r, column(s, 4)), true) != AQ_OK)
    return false;
  for (uint32_t i = 0; i < cnt; i++) {
    r->commit = grow(r->commit, r->commit_cnt, &r->commit_cap, sizeof *r->commit);
    r->commit[r->commit_cnt++] = (commit){d.duty, m[i], store};
  }
  return true;
}

static bool read_store(replay *r, size_t store) {
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  bool ok = sqlite3_open_v2(r->path[store], &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(db, "SELECT msg, just FROM vote", -1, &s, NULL) == SQLITE_OK;
  while (ok && sqlite3_step(s) == SQLITE_ROW) {
    if (!add_vote(r, s, store)) printf("%s: a vote that does not decode\n", r->path[store]), r->wrong++;
  }
  sqlite3_finalize(s);
  s = NULL;
  ok = ok && sqlite3_prepare_v2(db, "SELECT slot, type, round, hash, commits FROM decided", -1, &s, NULL) == SQLITE_OK;
  while (ok && sqlite3_step(s) == SQLITE_ROW) {
    if (!add_decision(r, s, store)) printf("%s: a decision that does not decode\n", r->path[store]), r->wrong++;
  }
  if (!ok) fprintf(stderr, "aequa-sim replay: %s: %s\n", r->path[store], db ? sqlite3_errmsg(db) : "cannot be opened");
  sqlite3_finalize(s);
  sqlite3_close(db);
  return ok;
}

/* ---- playing ---- */

static int by_duty(aq_duty a, aq_duty b) {
  if (a.slot != b.slot) return a.slot < b.slot ? -1 : 1;
  return (int)a.type - (int)b.type;
}

static int by_order(const void *pa, const void *pb) {
  const vote *a = pa, *b = pb;
  int c = by_duty(a->duty, b->duty);
  if (c) return c;
  if (a->m.round != b->m.round) return a->m.round < b->m.round ? -1 : 1;
  if (a->m.type != b->m.type) {
    /* A round begins with its changes. */
    int ta = a->m.type == AQ_QBFT_ROUND_CHANGE ? 0 : (int)a->m.type,
        tb = b->m.type == AQ_QBFT_ROUND_CHANGE ? 0 : (int)b->m.type;
    return ta - tb;
  }
  return (int)a->m.from - (int)b->m.from;
}

static int decision_order(const void *pa, const void *pb) {
  const decision *a = pa, *b = pb;
  return by_duty(a->duty, b->duty);
}

typedef struct {
  aq_duty duty;
  uint32_t n;
} table;

static uint32_t leader(const void *arg, int64_t round) {
  const table *t = arg;
  return aq_qbft_leader(t->duty.slot, t->duty.type, round, t->n);
}

static void drain(aq_qbft *q, uint64_t *unjust) {
  aq_qbft_fx fx;
  while (aq_qbft_next(q, &fx)) {
    if (fx.kind == AQ_QBFT_FX_UNJUST) ++*unjust;
    if (fx.kind == AQ_QBFT_FX_CHECK) aq_qbft_verdict(q, fx.round, &fx.msg.value, true);
  }
}

/* A node that only listens; what it decides, NULL: nothing. The message points into `mem`. */
static const aq_qbft_msg *listen(const replay *r, const vote *v, size_t cnt, void *mem, void *store, uint64_t *unjust) {
  const table t = {v->duty, r->n};
  const aq_qbft_cfg cfg = {.n = r->n, .self = 0, .leader = leader, .arg = &t};
  aq_qbft *q = aq_qbft_init(mem, store, &cfg);
  aq_qbft_abstain(q);
  aq_qbft_start(q);
  drain(q, unjust);
  for (size_t i = 0; i < cnt; i++) {
    if (aq_qbft_recv(q, &v[i].m) == AQ_E_UNJUST) ++*unjust;
    drain(q, unjust);
  }
  return aq_qbft_decided(q);
}

static void report(replay *r, const vote *v, size_t cnt, const decision *d, size_t d_cnt, const aq_qbft_msg *got,
                   uint64_t unjust) {
  char hash[65] = "";
  const char *verdict = "confirmed";
  bool wrong = unjust > 0;
  for (size_t i = 0; i < d_cnt; i++) {
    wrong |= memcmp(d[i].hash, d[0].hash, 32) != 0;
    wrong |= got && memcmp(d[i].hash, got->value.b, 32) != 0;
  }
  if (d_cnt) aq_hex_encode(hash, aq_bytes_of(d[0].hash, 32));
  r->instances++;
  if (wrong) {
    r->wrong++;
    verdict = unjust ? "WRONG: a vote without justification" : "WRONG: decisions differ";
  } else if (got && d_cnt) {
    r->confirmed++;
  } else {
    r->unseen++;
    verdict = d_cnt ? "decided, but these stores lack the votes"
              : got ? "the votes decide, no node recorded it"
                    : "undecided";
  }
  if (!wrong && !r->verbose) return;
  printf("slot %llu %s: %zu votes up to round %lld, %zu decisions %.16s: %s\n", (unsigned long long)v->duty.slot,
         aq_duty_name(v->duty.type), cnt, (long long)v[cnt - 1].m.round, d_cnt, hash, verdict);
}

static void play(replay *r) {
  void *mem = malloc(aq_qbft_footprint(r->n, false)), *store = malloc(aq_qbft_store_footprint(r->n, false));
  AQ_ASSERT(mem && store);
  qsort(r->vote, r->vote_cnt, sizeof *r->vote, by_order);
  qsort(r->decision, r->decision_cnt, sizeof *r->decision, decision_order);
  size_t d = 0;
  for (size_t from = 0, to; from < r->vote_cnt; from = to) {
    for (to = from; to < r->vote_cnt && by_duty(r->vote[to].duty, r->vote[from].duty) == 0;) to++;
    while (d < r->decision_cnt && by_duty(r->decision[d].duty, r->vote[from].duty) < 0) d++;
    size_t d_cnt = 0;
    while (d + d_cnt < r->decision_cnt && by_duty(r->decision[d + d_cnt].duty, r->vote[from].duty) == 0) d_cnt++;
    uint64_t unjust = 0;
    const aq_qbft_msg *got = listen(r, &r->vote[from], to - from, mem, store, &unjust);
    report(r, &r->vote[from], to - from, r->decision_cnt ? &r->decision[d] : NULL, d_cnt, got, unjust);
  }
  free(mem);
  free(store);
}

/* A COMMIT that somebody decided by left its sender after it was on the disk there. */
static uint64_t look_up(replay *r) {
  uint64_t seen = 0;
  for (size_t i = 0; i < r->commit_cnt; i++) {
    const commit *c = &r->commit[i];
    uint32_t from = c->m.from;
    if (!r->owner[from] || r->owner[from] == c->store + 1 || c->duty.slot < r->oldest[from]) continue;
    const vote key = {c->duty, c->m},
               *own = r->vote_cnt ? bsearch(&key, r->vote, r->vote_cnt, sizeof *r->vote, by_order) : NULL;
    seen++;
    if (own && memcmp(own->m.value.b, c->m.value.b, 32) == 0) continue;
    r->wrong++;
    printf("slot %llu %s: WRONG: %s shows a COMMIT that %s, its sender's store, lacks\n",
           (unsigned long long)c->duty.slot, aq_duty_name(c->duty.type), r->path[c->store],
           r->path[r->owner[from] - 1]);
  }
  return seen;
}

int aq_replay_main(int argc, char **argv) {
  static const char usage[] =
      "usage: aequa-sim replay [--nodes N] [--verbose] STORE...\n"
      "  STORE      aequa.db of a node, stopped or a copy; those of all nodes show most\n"
      "  --nodes N  operators of the cluster (default: as many as stores)\n"
      "Exit status: 0 every decision follows from the recorded votes, 1 one does not, 2 wrong usage.\n";
  replay r = {0};
  for (int i = 1; i < argc; i++) {
    uint64_t n;
    if (strcmp(argv[i], "--verbose") == 0) {
      r.verbose = true;
    } else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc &&
               aq_u64_parse(&n, aq_bytes_str(argv[i + 1])) == AQ_OK && n >= 1 && n <= AQ_QBFT_NODES_MAX) {
      r.n = (uint32_t)n;
      i++;
    } else if (argv[i][0] != '-' && r.store_cnt < STORES_MAX) {
      r.path[r.store_cnt++] = argv[i];
    } else {
      fputs(usage, strcmp(argv[i], "--help") == 0 ? stdout : stderr);
      return strcmp(argv[i], "--help") == 0 ? 0 : 2;
    }
  }
  if (r.store_cnt == 0) {
    fputs(usage, stderr);
    return 2;
  }
  if (r.n == 0) r.n = (uint32_t)r.store_cnt;
  aq_arena_init(&r.arena, ARENA_MAX);
  bool ok = true;
  for (size_t i = 0; i < r.store_cnt && ok; i++) ok = read_store(&r, i);
  if (ok) {
    play(&r);
    uint64_t seen = look_up(&r);
    printf("%llu instances: %llu decisions confirmed, %llu not to be seen here, %llu COMMITs looked up, %llu wrong\n",
           (unsigned long long)r.instances, (unsigned long long)r.confirmed, (unsigned long long)r.unseen,
           (unsigned long long)seen, (unsigned long long)r.wrong);
  }
  free(r.vote);
  free(r.decision);
  free(r.commit);
  aq_arena_free(&r.arena);
  return !ok ? 2 : r.wrong ? 1 : 0;
}
