/* aequa-exhaust: sim/exhaust/exhaust.h says what is searched. Exit 0: nothing found. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/hex.h"
#include "sim/exhaust/exhaust.h"

typedef struct {
  uint64_t key, parent;
} entry;

typedef struct {
  entry *slot;
  uint64_t cnt, slots;
} set;

typedef struct {
  const ex_cfg *cfg;
  bool pair; /* nodes 1 and 2 are exchangeable and share a table */
  ex_table table[EX_HONEST];
  set seen, visible; /* visible: hashes of what the honest nodes sent and decided, for the walk */
  bool keep_visible;
  uint64_t *todo, todo_cnt, todo_cap;
  uint64_t edges, ends, decided_ends, start;
  bool decides;
  char why[240];
} search;

#define EMPTY UINT64_MAX

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 31) * UINT64_C(0x7fb5d329728ea185);
  x = (x ^ x >> 27) * UINT64_C(0x81dadef4bc2dd44d);
  return x ^ x >> 33;
}

static entry *set_find(const set *s, uint64_t key) {
  uint64_t at = mix(key) & (s->slots - 1);
  while (s->slot[at].key != EMPTY && s->slot[at].key != key) at = (at + 1) & (s->slots - 1);
  return &s->slot[at];
}

static void set_size(set *s, uint64_t slots) {
  set old = *s;
  s->slots = slots;
  s->slot = ex_grow(NULL, slots * sizeof(entry));
  memset(s->slot, 0xff, slots * sizeof(entry));
  for (uint64_t i = 0; i < old.slots; i++) {
    if (old.slot[i].key != EMPTY) *set_find(s, old.slot[i].key) = old.slot[i];
  }
  free(old.slot);
}

static bool set_add(set *s, uint64_t key, uint64_t parent) {
  if (s->slots == 0) set_size(s, 1 << 16);
  if (10 * s->cnt >= 7 * s->slots) set_size(s, 2 * s->slots);
  entry *e = set_find(s, key);
  if (e->key == key) return false;
  *e = (entry){.key = key, .parent = parent};
  s->cnt++;
  return true;
}

/* ---- states ---- */

static uint32_t local_of(uint64_t key, uint32_t node) { return (uint32_t)(key >> 20 * node) & EX_NONE; }

static uint64_t key_of(const search *s, const uint32_t local[EX_HONEST]) {
  uint32_t b = local[1], c = local[2];
  if (s->pair && b > c) b = local[2], c = local[1];
  return (uint64_t)local[0] | (uint64_t)b << 20 | (uint64_t)c << 40;
}

static ex_table *table_of(search *s, uint32_t node) { return &s->table[s->pair && node == 2 ? 1 : node]; }
static bool swapped(const search *s, uint32_t node) { return s->pair && node == 2; }

typedef struct {
  ex_mask sent[EX_HONEST], decided[EX_HONEST], all_sent, all_decided;
} view;

static void view_sum(view *v) {
  v->all_sent = v->sent[0] | v->sent[1] | v->sent[2];
  v->all_decided = v->decided[0] | v->decided[1] | v->decided[2];
}

static view look(search *s, uint64_t key) {
  view v;
  for (uint32_t i = 0; i < EX_HONEST; i++) {
    const ex_local *l = &table_of(s, i)->item[local_of(key, i)];
    v.sent[i] = swapped(s, i) ? ex_swap(l->sent) : l->sent;
    v.decided[i] = l->decided;
  }
  view_sum(&v);
  return v;
}

static uint64_t fold(const ex_mask m[6]) {
  uint64_t h = 0;
  for (uint32_t i = 0; i < 6; i++) h = mix(h ^ m[i]);
  return h >> 1;
}

static uint64_t visible_of(const search *s, const view *v) {
  uint64_t h =
      fold((const ex_mask[6]){v->sent[0], v->sent[1], v->sent[2], v->decided[0], v->decided[1], v->decided[2]});
  if (!s->pair) return h;
  uint64_t other = fold((const ex_mask[6]){ex_swap(v->sent[0]), ex_swap(v->sent[2]), ex_swap(v->sent[1]), v->decided[0],
                                           v->decided[2], v->decided[1]});
  return h < other ? h : other;
}

/* ---- what must hold ---- */

static const char *check(const ex_cfg *cfg, const view *v) {
  for (uint32_t w = 0; w < EX_VALUES; w++) {
    ex_mask this = ex_bit(EX_D + ex_rv(1, w)) | ex_bit(EX_D + ex_rv(2, w));
    if (!(v->all_decided & this)) continue;
    if (v->all_decided & ~this) return "agreement: two values decided";
    for (uint32_t r = 1; r <= EX_ROUNDS; r++) {
      bool proposed = v->all_sent & ex_bit(EX_PP + ex_rv(r, w)) || (cfg->leader[r] == EX_BYZ && !cfg->silent);
      if (v->all_decided & ex_bit(EX_D + ex_rv(r, w)) && !proposed) return "validity: decided what nobody proposed";
    }
  }
  /* With one more COMMIT of the byzantine the value is decided somewhere, seen or not. */
  for (uint32_t w = 0; w < EX_VALUES; w++) {
    uint32_t commits = cfg->silent ? 0 : 1, others = 0;
    for (uint32_t i = 0; i < EX_HONEST; i++) {
      commits += (uint32_t)(v->all_sent >> ex_c(i, 1, w) & 1);
      others += (uint32_t)(v->all_sent >> ex_p(i, 2, 1 - w) & 1);
    }
    if (commits >= 3 && others) return "lock: a vote for another value after a quorum of COMMITs";
  }
  return NULL;
}

/* ---- the search ---- */

static void push(search *s, uint64_t key, uint64_t parent) {
  if (!set_add(&s->seen, key, parent)) return;
  if (s->todo_cnt == s->todo_cap) {
    s->todo_cap = s->todo_cap ? 2 * s->todo_cap : 4096;
    s->todo = ex_grow(s->todo, s->todo_cap * sizeof *s->todo);
  }
  s->todo[s->todo_cnt++] = key;
}

/* Calls back for each step possible with the messages of `have`. */
static uint32_t successors(search *s, uint64_t key, ex_mask have, uint64_t *out, ex_step *by, uint32_t *node) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < EX_HONEST; i++) {
    ex_table *t = table_of(s, i);
    uint32_t id = local_of(key, i);
    ex_mask mine = swapped(s, i) ? ex_swap(have) : have;
    ex_table_expand(t, id);
    for (uint32_t k = 0; k < t->item[id].step_cnt; k++) {
      uint32_t at = t->item[id].step_first + k;
      if (t->step[at].need & ~mine) continue;
      uint32_t local[EX_HONEST] = {local_of(key, 0), local_of(key, 1), local_of(key, 2)};
      local[i] = ex_table_take(t, id, at);
      if (t->bad[0]) snprintf(s->why, sizeof s->why, "%s", t->bad);
      AQ_ASSERT(cnt < 1024);
      if (by) by[cnt] = t->step[at], node[cnt] = i;
      out[cnt++] = key_of(s, local);
    }
  }
  return cnt;
}

static void visit(search *s, uint64_t key) {
  uint64_t next[1024];
  view v = look(s, key);
  if (s->keep_visible) (void)set_add(&s->visible, visible_of(s, &v), 0);
  const char *broken = check(s->cfg, &v);
  if (broken) snprintf(s->why, sizeof s->why, "%s", broken);
  bool all = v.decided[0] && v.decided[1] && v.decided[2];
  s->decides |= all;
  uint32_t quiet = successors(s, key, ex_available(s->cfg, v.all_sent, v.all_decided, true), next, NULL, NULL);
  if (quiet == 0) {
    s->ends++;
    s->decided_ends += all;
    /* The byzantine falls silent here; every message and timer of the honest nodes has come. Where it leads round 2
       itself, two rounds are promised only if no timer ran out early. */
    bool promised = s->cfg->leader[2] != EX_BYZ || (s->cfg->silent && !s->cfg->timeouts);
    if (promised && !all) snprintf(s->why, sizeof s->why, "deadlock: nothing more comes and a node is undecided");
  }
  if (s->why[0]) return;
  uint32_t cnt = successors(s, key, ex_available(s->cfg, v.all_sent, v.all_decided, s->cfg->silent), next, NULL, NULL);
  s->edges += cnt;
  for (uint32_t i = 0; i < cnt; i++) push(s, next[i], key);
}

static void print_step(uint32_t node, const ex_step *by) {
  printf("  node %u:", node);
  for (uint32_t i = 0; i < by->cnt; i++) {
    char name[16];
    ex_name(name, by->event[i]);
    printf(" %s", name);
  }
  printf("\n");
}

static void print_path(search *s, uint64_t key) {
  uint64_t path[128], next[1024];
  static ex_step by[1024];
  uint32_t node[1024], depth = 0;
  for (uint64_t k = key; depth < AQ_COUNT(path); k = set_find(&s->seen, k)->parent) {
    path[depth++] = k;
    if (k == s->start) break;
  }
  for (; depth > 1; depth--) {
    view v = look(s, path[depth - 1]);
    ex_mask have = ex_available(s->cfg, v.all_sent, v.all_decided, s->cfg->silent);
    uint32_t cnt = successors(s, path[depth - 1], have, next, by, node);
    for (uint32_t i = 0; i < cnt; i++) {
      if (next[i] != path[depth - 2]) continue;
      print_step(node[i], &by[i]);
      break;
    }
  }
}

/* false: something found, or not all of it seen within max states (then why says so). */
static bool run(search *s, const ex_cfg *cfg, uint64_t max) {
  s->cfg = cfg;
  s->pair = cfg->leader[1] != 1 && cfg->leader[2] != 1;
  ex_messages_init(cfg);
  uint32_t local[EX_HONEST];
  for (uint32_t i = 0; i < EX_HONEST; i++) {
    if (s->pair && i == 2) {
      local[i] = local[1];
    } else {
      local[i] = ex_table_init(&s->table[i], cfg, i);
    }
  }
  s->start = key_of(s, local);
  push(s, s->start, s->start);
  while (s->todo_cnt && !s->why[0]) {
    uint64_t key = s->todo[--s->todo_cnt];
    visit(s, key);
    if (s->why[0]) {
      print_path(s, key);
    } else if (s->seen.cnt > max) {
      snprintf(s->why, sizeof s->why, "stopped after %" PRIu64 " states", s->seen.cnt);
    }
  }
  return !s->why[0];
}

static void search_free(search *s) {
  for (uint32_t i = 0; i < EX_HONEST; i++) {
    if (s->table[i].item) ex_table_free(&s->table[i]);
  }
  free(s->seen.slot);
  free(s->visible.slot);
  free(s->todo);
}

/* ---- the walk: the reduction checked ---- */

static uint64_t next_random(uint64_t *state) { return mix(*state += UINT64_C(0x9e3779b97f4a7c15)); }

static bool walk(search *s, uint64_t runs, uint64_t seed) {
  ex_machine m[EX_HONEST];
  uint64_t rnd = seed, steps = 0;
  for (uint32_t i = 0; i < EX_HONEST; i++) ex_machine_new(&m[i]);
  for (uint64_t r = 0; r < runs && !s->why[0]; r++) {
    for (uint32_t i = 0; i < EX_HONEST; i++) ex_machine_start(&m[i], s->cfg, i);
    ex_mask only = next_random(&rnd) | next_random(&rnd); /* some messages never come in this run */
    for (uint32_t k = 0; k < 160 && !s->why[0]; k++) {
      view v;
      for (uint32_t i = 0; i < EX_HONEST; i++) v.sent[i] = m[i].sent, v.decided[i] = m[i].decided;
      view_sum(&v);
      if (set_find(&s->visible, visible_of(s, &v))->key == EMPTY) {
        snprintf(s->why, sizeof s->why, "walk: run %" PRIu64 " reaches what the search did not", r);
      }
      ex_mask have = ex_available(s->cfg, v.all_sent, v.all_decided, s->cfg->silent) & only;
      uint64_t x = next_random(&rnd);
      uint32_t i = (uint32_t)(x % EX_HONEST), e = (uint32_t)((x >> 8) % EX_EVENTS);
      bool can = e < EX_TIMEOUT ? have >> e & 1 : ex_machine_can(&m[i], s->cfg, e) && (x >> 40) % 4 == 0;
      if (!can) continue;
      (void)ex_machine_step(&m[i], s->cfg, e);
      if (m[i].bad) snprintf(s->why, sizeof s->why, "walk: run %" PRIu64 ", node %u: %s", r, i, m[i].bad);
      steps++;
    }
  }
  for (uint32_t i = 0; i < EX_HONEST; i++) free(m[i].mem), free(m[i].store);
  printf("  walk: %" PRIu64 " runs, %" PRIu64 " steps%s%s\n", runs, steps, s->why[0] ? ": " : ", nothing new", s->why);
  return !s->why[0];
}

/* ---- command line ---- */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *who(uint32_t node) { return node == EX_BYZ ? "byzantine" : "honest"; }

static bool one(const ex_cfg *cfg, uint64_t max, uint64_t walks) {
  search s = {.keep_visible = walks > 0};
  double start = seconds();
  bool ok = run(&s, cfg, max);
  uint64_t locals = 0, runs = 0;
  for (uint32_t i = 0; i < EX_HONEST; i++) locals += s.table[i].cnt, runs += s.table[i].runs;
  printf("leaders %s, %s; byzantine %s, timers %s: %" PRIu64 " states, %" PRIu64 " steps, %" PRIu64 " ends (%" PRIu64
         " decided), %" PRIu64 " machine states, %" PRIu64 " replays, %.1f s: %s\n",
         who(cfg->leader[1]), who(cfg->leader[2]), cfg->silent ? "silent" : "active", cfg->timeouts ? "on" : "off",
         s.seen.cnt, s.edges, s.ends, s.decided_ends, locals, runs, seconds() - start, ok ? "holds" : s.why);
  if (ok && !s.decides) {
    printf("  no run decides\n");
    ok = cfg->silent && cfg->leader[1] == EX_BYZ && !cfg->timeouts;
  }
  if (ok && walks) ok = walk(&s, walks, 1);
  fflush(stdout);
  search_free(&s);
  return ok;
}

static const char usage_text[] =
    "usage: aequa-exhaust [--leaders A] [--walk RUNS] [--max STATES] [--bug B]\n"
    "  --leaders A  bh, hb or hh: who leads rounds 1 and 2, b the byzantine, h an honest node; default all three\n"
    "  --walk RUNS  after each search so many unreduced random runs, which must meet nothing new\n"
    "  --max STATES stop a search there (that is a failure)\n"
    "  --bug B      1: machines take one vote less for a quorum, 2: machines forget what they prepared\n";

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    uint32_t leader[2];
  } order[] = {{"bh", {EX_BYZ, 0}}, {"hb", {0, EX_BYZ}}, {"hh", {0, 1}}};
  uint64_t walks = 0, max = UINT64_MAX, bug = 0;
  const char *only = NULL;
  for (int i = 1; i < argc; i += 2) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    uint64_t *into = strcmp(argv[i], "--walk") == 0  ? &walks
                     : strcmp(argv[i], "--max") == 0 ? &max
                     : strcmp(argv[i], "--bug") == 0 ? &bug
                                                     : NULL;
    if (strcmp(argv[i], "--leaders") == 0 && strlen(value) == 2) {
      only = value;
    } else if (!into || aq_u64_parse(into, aq_bytes_str(value)) != AQ_OK) {
      fputs(usage_text, stderr);
      return 2;
    }
  }
  bool ok = true;
  for (size_t i = 0; i < AQ_COUNT(order); i++) {
    if (only && strcmp(only, order[i].name) != 0) continue;
    for (uint32_t mode = 0; mode < 3; mode++) { /* silent without and with timers, active */
      ex_cfg cfg = {.leader = {EX_N, order[i].leader[0], order[i].leader[1]},
                    .silent = mode<2, .timeouts = mode> 0,
                    .bug = (int)bug};
      if (mode == 0 && cfg.leader[1] == EX_BYZ) continue; /* nothing happens */
      ok &= one(&cfg, max, walks);
    }
  }
  return ok ? 0 : 1;
}
