/* The machine beside Charon's algorithm step by step, then under our own rules, without a network. */
#include "qbft/qbft.h"

#include "aq_test.h"
#include "qbft/qbft_internal.h"

/* ---- transcripts and justification verdicts of Charon ---- */

enum { NODES_MAX = 10, MSGS_MAX = 4096, LEADERS = 16 };

static aq_hash hash_of(uint64_t value) {
  aq_hash h = {{0}};
  aq_be64_put(h.b + 24, value);
  return h;
}

typedef struct {
  uint32_t n;
  int64_t shift; /* processes 1..n of some runs become nodes 0..n-1 */
  int64_t leader[LEADERS];
  size_t leader_cnt;
} leaders;

static uint32_t leader_of(const void *arg, int64_t round) {
  const leaders *l = arg;
  int64_t cnt = (int64_t)l->leader_cnt;
  if (round > cnt) round = cnt + 1 - l->n + (round - cnt - 1) % l->n;
  int64_t idx = l->leader[round - 1];
  return idx < 0 ? UINT32_MAX : (uint32_t)idx;
}

static void leaders_read(leaders *l, yyjson_val *list) {
  l->leader_cnt = yyjson_arr_size(list);
  assert_true(l->leader_cnt <= LEADERS);
  for (size_t i = 0; i < l->leader_cnt; i++) l->leader[i] = yyjson_get_sint(yyjson_arr_get(list, i)) - l->shift;
}

/* [type, source, round, value, prepared round, prepared value] from element `first` on. */
static aq_qbft_msg msg_read(yyjson_val *list, size_t first, int64_t shift) {
  aq_qbft_msg m = {.type = (aq_qbft_type)yyjson_get_uint(yyjson_arr_get(list, first)),
                   .from = (uint32_t)(yyjson_get_sint(yyjson_arr_get(list, first + 1)) - shift),
                   .round = yyjson_get_sint(yyjson_arr_get(list, first + 2)),
                   .value = hash_of(yyjson_get_uint(yyjson_arr_get(list, first + 3))),
                   .prepared_round = yyjson_get_sint(yyjson_arr_get(list, first + 4)),
                   .prepared_value = hash_of(yyjson_get_uint(yyjson_arr_get(list, first + 5)))};
  return m;
}

typedef struct {
  aq_qbft *q;
  void *mem, *store;
} machine;

static machine machine_new(const aq_qbft_cfg *cfg) {
  machine m;
  m.mem = malloc(aq_qbft_footprint(cfg->n, cfg->strict));
  m.store = malloc(aq_qbft_store_footprint(cfg->n, cfg->strict));
  m.q = aq_qbft_init(m.mem, m.store, cfg);
  return m;
}

static void machine_free(machine *m) {
  free(m->store);
  free(m->mem);
}

typedef struct {
  const char *name;
  leaders lead;
  bool exp_timer, compare;
  int64_t max_round, suppress;
  yyjson_val *msgs, *values;
  aq_qbft_msg msg[MSGS_MAX];
  machine node[NODES_MAX];
  bool dead[NODES_MAX];
  size_t step_idx;
} run;

static size_t msg_idx(const run *r, const char *id) {
  size_t idx = (size_t)strtoul(id + 1, NULL, 10);
  assert_true(idx < yyjson_arr_size(r->msgs));
  assert_string_equal(yyjson_get_str(yyjson_arr_get_first(yyjson_arr_get(r->msgs, idx))), id);
  return idx;
}

static bool same_content(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return a->type == b->type && a->from == b->from && a->round == b->round && aq_hash_eq(&a->value, &b->value) &&
         a->prepared_round == b->prepared_round && aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

static bool is_subset(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  for (uint32_t i = 0; i < a->just_cnt; i++) {
    uint32_t k = 0;
    while (k < b->just_cnt && !same_content(&a->just[i], &b->just[k])) k++;
    if (k == b->just_cnt) return false;
  }
  return true;
}

static void run_read_messages(run *r) {
  size_t cnt = yyjson_arr_size(r->msgs);
  assert_true(cnt <= MSGS_MAX);
  for (size_t i = 0; i < cnt; i++) r->msg[i] = msg_read(yyjson_arr_get(r->msgs, i), 1, r->lead.shift);
  for (size_t i = 0; i < cnt; i++) {
    yyjson_val *just = yyjson_arr_get(yyjson_arr_get(r->msgs, i), 7);
    size_t just_cnt = yyjson_arr_size(just);
    if (just_cnt == 0) continue;
    aq_qbft_msg *list = calloc(just_cnt, sizeof *list);
    for (size_t k = 0; k < just_cnt; k++) {
      list[k] = r->msg[msg_idx(r, yyjson_get_str(yyjson_arr_get(just, k)))];
      list[k].just = NULL;
      list[k].just_cnt = 0;
    }
    r->msg[i].just = list;
    r->msg[i].just_cnt = (uint32_t)just_cnt;
  }
}

static void complain(const run *r, const char *what) { fail_msg("%s, step %zu: %s", r->name, r->step_idx, what); }

static void expect_message(run *r, const char *kind, yyjson_val *want, const aq_qbft_msg *got) {
  if (strcmp(yyjson_get_str(yyjson_arr_get(want, 0)), kind) != 0) complain(r, "other output than a message wanted");
  const aq_qbft_msg *m = &r->msg[msg_idx(r, yyjson_get_str(yyjson_arr_get(want, 1)))];
  aq_qbft_msg sent = *got;
  if (sent.type == AQ_QBFT_COMMIT) sent.just_cnt = 0; /* for the journal only */
  if (!same_content(m, &sent) || !is_subset(m, &sent) || !is_subset(&sent, m)) complain(r, "another message sent");
}

static void expect_number(run *r, yyjson_val *want, size_t at, int64_t got) {
  if (yyjson_get_sint(yyjson_arr_get(want, at)) != got) complain(r, "another number");
}

static void expect_text(run *r, yyjson_val *want, size_t at, const char *got) {
  const char *text = yyjson_get_str(yyjson_arr_get(want, at));
  if (!text || strcmp(text, got) != 0) complain(r, got);
}

/* One effect against the next output of the step. Returns false when the effect has no output in the transcript. */
static bool expect(run *r, uint32_t node, int64_t now, const aq_qbft_fx *fx, yyjson_val *want) {
  switch (fx->kind) {
    case AQ_QBFT_FX_VOTE:
      if (fx->msg.round > r->max_round) {
        expect_text(r, want, 0, "error");
        r->dead[node] = true;
      } else if (fx->msg.type == AQ_QBFT_COMMIT && fx->msg.round <= r->suppress) {
        expect_message(r, "suppressed", want, &fx->msg);
        r->node[node].q->own_cnt--; /* the harness that recorded this did not deliver it to its sender either */
      } else {
        expect_message(r, "bcast", want, &fx->msg);
      }
      return true;
    case AQ_QBFT_FX_ANSWER: expect_message(r, "bcast", want, &fx->msg); return true;
    case AQ_QBFT_FX_TIMER:
      expect_text(r, want, 0, "timer");
      expect_number(r, want, 1, fx->round);
      expect_number(r, want, 2, now + (r->exp_timer ? (int64_t)1000 << (fx->round - 1) : 1000));
      return true;
    case AQ_QBFT_FX_RULE:
      expect_text(r, want, 0, "rule");
      expect_text(r, want, 1, aq_qbft_rule_name(fx->rule));
      expect_number(r, want, 2, fx->round);
      return true;
    case AQ_QBFT_FX_ROUND:
      expect_text(r, want, 0, "round");
      expect_number(r, want, 1, fx->round_old);
      expect_number(r, want, 2, fx->round);
      expect_text(r, want, 3, aq_qbft_rule_name(fx->rule));
      return true;
    case AQ_QBFT_FX_UNJUST: expect_text(r, want, 0, "unjust"); return true;
    case AQ_QBFT_FX_DECIDE: {
      expect_text(r, want, 0, "decide");
      expect_number(r, want, 1, fx->msg.round);
      aq_hash value = hash_of(yyjson_get_uint(yyjson_arr_get(want, 2)));
      assert_memory_equal(value.b, fx->msg.value.b, 32);
      return true;
    }
    case AQ_QBFT_FX_TIMER_OFF:
    case AQ_QBFT_FX_CHECK:
    case AQ_QBFT_FX_EQUIVOCATION: return false;
  }
  return false;
}

static uint64_t own_value(const run *r, uint32_t node) {
  char key[8];
  snprintf(key, sizeof key, "%d", (int)((int64_t)node + r->lead.shift));
  return yyjson_get_uint(yyjson_obj_get(r->values, key));
}

static void run_input(run *r, uint32_t node, yyjson_val *input) {
  aq_qbft *q = r->node[node].q;
  const char *kind = yyjson_get_str(yyjson_arr_get(input, 0));
  if (strcmp(kind, "start") == 0) {
    aq_qbft_start(q);
  } else if (strcmp(kind, "value") == 0) {
    aq_hash v = hash_of(yyjson_get_uint(yyjson_arr_get(input, 1)));
    aq_qbft_value(q, &v);
  } else if (strcmp(kind, "timeout") == 0) {
    aq_qbft_timeout(q, q->timer_round);
  } else {
    aq_status st = aq_qbft_recv(q, &r->msg[msg_idx(r, yyjson_get_str(yyjson_arr_get(input, 1)))]);
    assert_true(st == AQ_OK || st == AQ_E_UNJUST || !q->cfg.strict);
  }
}

static void run_step(run *r, yyjson_val *step) {
  int64_t now = yyjson_get_sint(yyjson_arr_get(step, 0));
  uint32_t node = (uint32_t)(yyjson_get_sint(yyjson_arr_get(step, 1)) - r->lead.shift);
  yyjson_val *outputs = yyjson_arr_get(step, 3);
  aq_qbft *q = r->node[node].q;
  if (r->dead[node]) complain(r, "a step of a process that ended");
  run_input(r, node, yyjson_arr_get(step, 2));
  size_t done = 0;
  for (aq_qbft_fx fx; !r->dead[node] && aq_qbft_next(q, &fx);) {
    if (fx.kind == AQ_QBFT_FX_CHECK) {
      aq_hash own = hash_of(own_value(r, node));
      while (aq_qbft_next(q, &(aq_qbft_fx){0})) complain(r, "output after a check");
      aq_qbft_verdict(q, fx.round, &fx.msg.value, aq_hash_eq(&own, &fx.msg.value));
      continue;
    }
    yyjson_val *want = yyjson_arr_get(outputs, done);
    if (fx.kind != AQ_QBFT_FX_TIMER_OFF && !want) complain(r, "more output than recorded");
    if (expect(r, node, now, &fx, want)) done++;
  }
  if (done != yyjson_arr_size(outputs)) complain(r, "less output than recorded");
}

static void run_open(run *r, yyjson_val *t, bool strict) {
  memset(r, 0, sizeof *r);
  r->name = aq_test_str(t, "name");
  r->lead.n = (uint32_t)aq_test_u64(t, "n");
  yyjson_val *processes = yyjson_obj_get(t, "processes");
  r->lead.shift = yyjson_get_sint(yyjson_arr_get_first(processes)) == 1 && r->lead.n > 1 ? 1 : 0;
  leaders_read(&r->lead, yyjson_obj_get(t, "leaders_by_round"));
  r->exp_timer = strcmp(aq_test_str(t, "timer"), "exp_1s") == 0;
  r->compare = yyjson_get_bool(yyjson_obj_get(t, "compare"));
  r->max_round = (int64_t)aq_test_u64(t, "max_round");
  r->suppress = (int64_t)aq_test_u64(t, "suppress_commits_up_to_round");
  r->msgs = yyjson_obj_get(t, "messages");
  r->values = yyjson_obj_get(t, "values");
  run_read_messages(r);
  for (uint32_t i = 0; i < r->lead.n; i++) {
    aq_qbft_cfg cfg = {.n = r->lead.n, .self = i, .leader = leader_of, .arg = &r->lead, .strict = strict};
    cfg.compare = strict && r->compare;
    r->node[i] = machine_new(&cfg);
  }
}

static void run_close(run *r) {
  for (uint32_t i = 0; i < r->lead.n; i++) machine_free(&r->node[i]);
  for (size_t i = 0; i < yyjson_arr_size(r->msgs); i++) free((void *)(uintptr_t)r->msg[i].just);
}

static size_t run_transcript(yyjson_val *t) {
  static run r;
  run_open(&r, t, true);
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(t, "steps"));
  for (yyjson_val *step; (step = yyjson_arr_iter_next(&it)); r.step_idx++) run_step(&r, step);
  run_close(&r);
  return r.step_idx;
}

/* The whole set lies outside the tree; AQ_CONSENSUS_VECTORS names its folder. */
static yyjson_doc *vectors(const char *name) {
  char path[512];
  const char *dir = getenv("AQ_CONSENSUS_VECTORS");
  snprintf(path, sizeof path, "%s/%s", dir ? dir : "consensus", name);
  return aq_test_json(path);
}

static void run_transcripts(const char *name) {
  yyjson_doc *doc = vectors(name);
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  size_t steps = 0, runs = 0;
  for (yyjson_val *t; (t = yyjson_arr_iter_next(&it)); runs++) steps += run_transcript(t);
  print_message("%s: %zu runs, %zu steps\n", name, runs, steps);
  assert_true(steps > 1000);
  yyjson_doc_free(doc);
}

/* Goal: in strict mode the machine does what Charon's algorithm did, step by step.
   Method: the recorded scenarios; every output of every step is compared, justifications as sets. */
static void transcripts_core(void **state) {
  (void)state;
  run_transcripts("transcripts_core.json");
}

/* Goal and method: the same on random schedules with loss, duplicates and a node that lies. */
static void transcripts_random(void **state) {
  (void)state;
  run_transcripts("transcripts_random.json");
}

/* Goal: Charon's verdict on 660 good and bad justifications in strict mode; ours never accepts what Charon refuses.
   Method: justification.json, one fresh machine each. */
static void justifications(void **state) {
  (void)state;
  yyjson_doc *doc = vectors("justification.json");
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
  size_t cnt = 0;
  for (yyjson_val *c; (c = yyjson_arr_iter_next(&it)); cnt++) {
    leaders lead = {.n = (uint32_t)aq_test_u64(c, "n")};
    leaders_read(&lead, yyjson_obj_get(c, "leaders_by_round"));
    aq_qbft_msg m = msg_read(yyjson_obj_get(c, "msg"), 0, 0), just[AQ_QBFT_JUST_MAX];
    yyjson_val *list = yyjson_obj_get(c, "just");
    m.just = just;
    m.just_cnt = (uint32_t)yyjson_arr_size(list);
    for (uint32_t i = 0; i < m.just_cnt; i++) just[i] = msg_read(yyjson_arr_get(list, i), 0, 0);
    bool want = yyjson_get_bool(yyjson_obj_get(c, "justified"));
    aq_qbft_cfg cfg = {.n = lead.n, .leader = leader_of, .arg = &lead, .strict = true, .compare = true};
    machine strict = machine_new(&cfg);
    strict.q->cf = (int64_t)aq_test_u64(c, "compare_failure_round");
    assert_int_equal(aq_qbft_justified(strict.q, &m), want);
    cfg.strict = cfg.compare = false;
    machine ours = machine_new(&cfg);
    if (!want) assert_false(aq_qbft_justified(ours.q, &m));
    machine_free(&strict);
    machine_free(&ours);
  }
  assert_int_equal(cnt, 660);
  yyjson_doc_free(doc);
}

/* Our own rules on the same inputs. Returns how many processes decided; each must decide as the recorded cluster did.
   */
static size_t run_normal(yyjson_val *t) {
  static run r;
  size_t decided = 0;
  aq_hash cluster = {{0}};
  run_open(&r, t, false);
  yyjson_obj_iter dit = yyjson_obj_iter_with(yyjson_obj_get(t, "decided"));
  for (yyjson_val *k; (k = yyjson_obj_iter_next(&dit));) {
    cluster = hash_of(yyjson_get_uint(yyjson_arr_get(yyjson_obj_iter_get_val(k), 1)));
  }
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(t, "steps"));
  for (yyjson_val *step; (step = yyjson_arr_iter_next(&it)); r.step_idx++) {
    uint32_t node = (uint32_t)(yyjson_get_sint(yyjson_arr_get(step, 1)) - r.lead.shift);
    yyjson_val *input = yyjson_arr_get(step, 2);
    const char *kind = yyjson_get_str(yyjson_arr_get(input, 0));
    const aq_qbft_msg *m = NULL;
    if (strcmp(kind, "msg") == 0) m = &r.msg[msg_idx(&r, yyjson_get_str(yyjson_arr_get(input, 1)))];
    if (m && (m->round < 1 || m->round > AQ_QBFT_ROUND_MAX)) continue; /* refused on receipt */
    run_input(&r, node, input);
    aq_qbft *q = r.node[node].q;
    for (aq_qbft_fx fx; aq_qbft_next(q, &fx);) {
      if (fx.kind == AQ_QBFT_FX_CHECK) {
        while (aq_qbft_next(q, &(aq_qbft_fx){0})) continue;
        aq_qbft_verdict(q, fx.round, &fx.msg.value, true);
      } else if (fx.kind == AQ_QBFT_FX_DECIDE) {
        decided++;
        if (!aq_hash_is_zero(&cluster) && !aq_hash_eq(&cluster, &fx.msg.value)) complain(&r, "another decision");
      }
    }
  }
  run_close(&r);
  return decided;
}

/* Goal: fed Charon's recorded inputs, our own rules decide nothing but what the cluster decided.
   Method: both transcript files in normal mode; every CHECK is answered yes. */
static void transcripts_normal(void **state) {
  (void)state;
  static const char *const file[] = {"transcripts_core.json", "transcripts_random.json"};
  for (size_t f = 0; f < AQ_COUNT(file); f++) {
    yyjson_doc *doc = vectors(file[f]);
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    size_t decided = 0;
    for (yyjson_val *t; (t = yyjson_arr_iter_next(&it));) decided += run_normal(t);
    assert_true(decided > 20);
    yyjson_doc_free(doc);
  }
}

/* ---- our own rules: node 0 of four; node (round mod 4) leads ---- */

enum { FX_KINDS = AQ_QBFT_FX_UNJUST + 1 };

static uint32_t round_robin(const void *arg, int64_t round) {
  (void)arg;
  return (uint32_t)(round % 4);
}

/* A machine and the latest effect of each kind since the latest input. */
typedef struct {
  machine m;
  aq_qbft_fx last[FX_KINDS];
  uint32_t cnt[FX_KINDS];
} single;

static void drain(single *s, bool verdict) {
  for (aq_qbft_fx fx; aq_qbft_next(s->m.q, &fx);) {
    s->last[fx.kind] = fx;
    s->cnt[fx.kind]++;
    if (fx.kind != AQ_QBFT_FX_CHECK) continue;
    aq_qbft_fx rest;
    while (aq_qbft_next(s->m.q, &rest)) {
      s->last[rest.kind] = rest;
      s->cnt[rest.kind]++;
    }
    aq_qbft_verdict(s->m.q, fx.round, &fx.msg.value, verdict);
  }
}

/* No verdict. */
static void drain_open(single *s) {
  for (aq_qbft_fx fx; aq_qbft_next(s->m.q, &fx);) {
    s->last[fx.kind] = fx;
    s->cnt[fx.kind]++;
  }
}

static void single_new(single *s) {
  aq_qbft_cfg cfg = {.n = 4, .leader = round_robin};
  memset(s, 0, sizeof *s);
  s->m = machine_new(&cfg);
}

static void single_start(single *s) {
  single_new(s);
  aq_qbft_start(s->m.q);
  drain(s, true);
}

static aq_qbft_msg msg(aq_qbft_type type, uint32_t from, int64_t round, uint64_t value) {
  return (aq_qbft_msg){.type = type, .from = from, .round = round, .value = hash_of(value)};
}

static aq_status feed(single *s, aq_qbft_msg m) {
  memset(s->cnt, 0, sizeof s->cnt);
  aq_status st = aq_qbft_recv(s->m.q, &m);
  drain(s, true);
  return st;
}

/* Goal: COMMITs of any round decide, and what came before its round counts once the round is reached (consensus.md 1.5
   "Ours").
   Method: a quorum of COMMITs of round 3 in round 1; PREPAREs of round 2 that precede its PRE-PREPARE. */
static void early_votes_count(void **state) {
  (void)state;
  single s;
  single_start(&s);
  for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, i, 3, 7)), AQ_OK);
  assert_int_equal(s.cnt[AQ_QBFT_FX_DECIDE], 1);
  assert_int_equal(s.last[AQ_QBFT_FX_DECIDE].msg.round, 3);
  assert_int_equal(s.last[AQ_QBFT_FX_DECIDE].msg.just_cnt, 3);
  machine_free(&s.m);
  single_start(&s);
  for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, i, 2, 7)), AQ_OK);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 1, 2, 0)), AQ_OK);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 2, 2, 0)), AQ_OK);
  assert_int_equal(aq_qbft_round(s.m.q), 2);
  assert_int_equal(s.last[AQ_QBFT_FX_VOTE].msg.type, AQ_QBFT_COMMIT);
  machine_free(&s.m);
}

/* Goal: replays push nothing out, and cost nothing: the attack of replay_evicts_source fails.
   Method: a COMMIT of node 2, 200 replays of its other votes, then the rest of the quorum. */
static void replays_push_nothing_out(void **state) {
  (void)state;
  single s;
  single_start(&s);
  assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, 2, 1, 7)), AQ_OK);
  assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, 2, 1, 6)), AQ_OK);
  for (int i = 0; i < 200; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, 2, 1, 6)), AQ_E_DUP);
  for (int64_t r = 2; r < 100; r++) (void)!feed(&s, msg(AQ_QBFT_PREPARE, 2, r, 6));
  assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, 1, 1, 7)), AQ_OK);
  assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, 3, 1, 7)), AQ_OK);
  assert_int_equal(s.cnt[AQ_QBFT_FX_DECIDE], 1);
  machine_free(&s.m);
}

/* Goal: two contents of one source, type and round are reported and each counts for its own value; a third is not kept.
   Method: node 1 votes for three values. */
static void equivocation_is_reported(void **state) {
  (void)state;
  single s;
  single_start(&s);
  assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, 1, 1, 5)), AQ_OK);
  assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, 1, 1, 6)), AQ_OK);
  assert_int_equal(s.cnt[AQ_QBFT_FX_EQUIVOCATION], 1);
  aq_hash six = hash_of(6);
  assert_true(aq_hash_eq(&s.last[AQ_QBFT_FX_EQUIVOCATION].other.value, &six));
  assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, 1, 1, 8)), AQ_E_LIMIT);
  machine_free(&s.m);
}

/* Goal: no value is no value: ZERO in any vote, ROUND-CHANGE to round 1, claims without proof are dropped (consensus.md
   7.4).
   Method: one message of each kind. */
static void refuses_empty_votes(void **state) {
  (void)state;
  single s;
  single_start(&s);
  for (int type = AQ_QBFT_PRE_PREPARE; type <= AQ_QBFT_COMMIT; type++) {
    assert_int_equal(feed(&s, msg((aq_qbft_type)type, 1, 1, 0)), AQ_E_UNJUST);
  }
  aq_qbft_msg commits[3], d = msg(AQ_QBFT_DECIDED, 1, 1, 0);
  for (uint32_t i = 0; i < 3; i++) commits[i] = msg(AQ_QBFT_COMMIT, i, 1, 0);
  d.just = commits, d.just_cnt = 3;
  assert_int_equal(feed(&s, d), AQ_E_UNJUST);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 1, 1, 0)), AQ_E_UNJUST);
  aq_qbft_msg rc = msg(AQ_QBFT_ROUND_CHANGE, 1, 2, 0);
  rc.prepared_round = 1, rc.prepared_value = hash_of(5);
  assert_int_equal(feed(&s, rc), AQ_E_UNJUST);
  rc.just = commits, rc.just_cnt = 3; /* no PREPAREs */
  assert_int_equal(feed(&s, rc), AQ_E_UNJUST);
  machine_free(&s.m);
}

/* Goal: f+1 sources pull the node to the highest round one honest node must have reached, one liar nowhere
   (consensus.md 1.8 "Ours"). Method: ROUND-CHANGEs for 2^31-1, then 5 and 9 from others. */
static void jumps_where_an_honest_node_is(void **state) {
  (void)state;
  single s;
  single_start(&s);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 1, AQ_QBFT_ROUND_MAX, 0)), AQ_OK);
  assert_int_equal(aq_qbft_round(s.m.q), 1);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 2, 5, 0)), AQ_OK);
  assert_int_equal(aq_qbft_round(s.m.q), 5);
  assert_int_equal(s.last[AQ_QBFT_FX_VOTE].msg.round, 5);
  assert_int_equal(feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 3, 9, 0)), AQ_OK);
  assert_int_equal(aq_qbft_round(s.m.q), 9);
  machine_free(&s.m);
}

/* Goal: a decided node answers later rounds, each source at most 16 times and once a round, to the asker (consensus.md
   1.10).
   Method: 40 ROUND-CHANGEs of node 3 after a decision, each twice. */
static void answers_are_limited(void **state) {
  (void)state;
  single s;
  single_start(&s);
  for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, i, 1, 7)), AQ_OK);
  uint32_t answers = 0;
  for (int64_t r = 2; r < 42; r++) {
    for (int twice = 0; twice < 2; twice++) {
      (void)!feed(&s, msg(AQ_QBFT_ROUND_CHANGE, 3, r, 0));
      answers += s.cnt[AQ_QBFT_FX_ANSWER];
      if (s.cnt[AQ_QBFT_FX_ANSWER]) assert_int_equal(s.last[AQ_QBFT_FX_ANSWER].peer, 3);
    }
  }
  assert_int_equal(answers, AQ_QBFT_ANSWERS_MAX);
  (void)!feed(&s, msg(AQ_QBFT_PREPARE, 2, 4, 9)); /* a voter of a later round is told too */
  assert_int_equal(s.cnt[AQ_QBFT_FX_ANSWER], 1);
  machine_free(&s.m);
}

/* Goal: a rejected proposal gets no PREPARE and does not extend its round (consensus.md 5.1). Method: verdict no on the
   leader's value. */
static void rejected_proposal(void **state) {
  (void)state;
  single s;
  single_start(&s);
  memset(s.cnt, 0, sizeof s.cnt);
  aq_qbft_msg pp = msg(AQ_QBFT_PRE_PREPARE, 1, 1, 7);
  assert_int_equal(aq_qbft_recv(s.m.q, &pp), AQ_OK);
  drain(&s, false);
  assert_int_equal(s.cnt[AQ_QBFT_FX_VOTE], 0);
  assert_int_equal(s.cnt[AQ_QBFT_FX_TIMER], 2);
  assert_false(s.last[AQ_QBFT_FX_TIMER].again);
  machine_free(&s.m);
}

/* Goal: a proposal in doubt gets no PREPARE and does not extend its round; when it is found good after all, both come.
   A doubt about another value or round changes nothing. Method: doubts, again, then a verdict. */
static void doubted_proposal(void **state) {
  (void)state;
  const aq_hash value = hash_of(7), other = hash_of(8);
  single s;
  single_start(&s);
  memset(s.cnt, 0, sizeof s.cnt);
  aq_qbft_msg pp = msg(AQ_QBFT_PRE_PREPARE, 1, 1, 7);
  assert_int_equal(aq_qbft_recv(s.m.q, &pp), AQ_OK);
  drain_open(&s);
  aq_qbft_doubt(s.m.q, 1, &other);
  drain_open(&s);
  aq_qbft_doubt(s.m.q, 2, &value);
  drain_open(&s);
  assert_true(s.cnt[AQ_QBFT_FX_TIMER] == 1 && s.last[AQ_QBFT_FX_TIMER].again);
  for (int again = 0; again < 2; again++) {
    aq_qbft_doubt(s.m.q, 1, &value);
    drain_open(&s);
    assert_true(s.cnt[AQ_QBFT_FX_TIMER] == 2 && !s.last[AQ_QBFT_FX_TIMER].again);
  }
  assert_int_equal(s.cnt[AQ_QBFT_FX_VOTE], 0);
  aq_qbft_verdict(s.m.q, 1, &value, true);
  drain_open(&s);
  assert_true(s.cnt[AQ_QBFT_FX_TIMER] == 3 && s.last[AQ_QBFT_FX_TIMER].again);
  assert_true(s.cnt[AQ_QBFT_FX_VOTE] == 1 && s.last[AQ_QBFT_FX_VOTE].msg.type == AQ_QBFT_PREPARE);
  aq_qbft_doubt(s.m.q, 1, &value); /* too late */
  drain_open(&s);
  assert_int_equal(s.cnt[AQ_QBFT_FX_TIMER], 3);
  machine_free(&s.m);
}

/* Goal: a restart goes on where the journal ends: round, certificate, no second vote; a journal that contradicts
   itself is refused (consensus.md 7.3). Method: PREPARE and COMMIT of round 2 restored in both orders, then the same
   round's PRE-PREPARE again. */
static void restores_what_was_sent(void **state) {
  (void)state;
  for (int order = 0; order < 2; order++) {
    single s;
    single_new(&s);
    aq_qbft_msg prepares[3], vote[2] = {msg(AQ_QBFT_PREPARE, 0, 2, 7), msg(AQ_QBFT_COMMIT, 0, 2, 7)};
    for (uint32_t i = 0; i < 3; i++) prepares[i] = msg(AQ_QBFT_PREPARE, i, 2, 7);
    vote[1].just = prepares, vote[1].just_cnt = 3;
    for (int i = 0; i < 2; i++) assert_int_equal(aq_qbft_restore(s.m.q, &vote[i ^ order]), AQ_OK);
    aq_qbft_msg other = msg(AQ_QBFT_PREPARE, 0, 2, 8);
    assert_int_equal(aq_qbft_restore(s.m.q, &other), AQ_E_SLASH);
    aq_qbft_start(s.m.q);
    drain(&s, true);
    assert_int_equal(aq_qbft_round(s.m.q), 2);
    assert_int_equal(aq_qbft_phase_of(s.m.q), AQ_QBFT_PREPARED);
    assert_int_equal(s.cnt[AQ_QBFT_FX_VOTE], 2); /* both again */
    assert_true(s.last[AQ_QBFT_FX_VOTE].again && s.last[AQ_QBFT_FX_TIMER].again);
    aq_qbft_msg pp = msg(AQ_QBFT_PRE_PREPARE, 2, 2, 9), rc[3];
    for (uint32_t i = 0; i < 3; i++) rc[i] = msg(AQ_QBFT_ROUND_CHANGE, i + 1, 2, 0);
    pp.just = rc, pp.just_cnt = 3;
    assert_int_equal(feed(&s, pp), AQ_OK);
    assert_int_equal(s.cnt[AQ_QBFT_FX_VOTE], 0);
    memset(s.cnt, 0, sizeof s.cnt);
    aq_qbft_timeout(s.m.q, 2);
    drain(&s, true);
    assert_int_equal(s.last[AQ_QBFT_FX_VOTE].msg.prepared_round, 2);
    assert_int_equal(s.last[AQ_QBFT_FX_VOTE].msg.just_cnt, 3);
    machine_free(&s.m);
  }
}

/* Goal: a node without its journal never votes but decides with the others (consensus.md 7.3). Method: abstain, then a
   whole round. */
static void abstains(void **state) {
  (void)state;
  single s;
  single_new(&s);
  aq_qbft_abstain(s.m.q);
  aq_qbft_start(s.m.q);
  drain(&s, true);
  assert_int_equal(feed(&s, msg(AQ_QBFT_PRE_PREPARE, 1, 1, 7)), AQ_OK);
  for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_PREPARE, i, 1, 7)), AQ_OK);
  for (uint32_t i = 1; i < 4; i++) assert_int_equal(feed(&s, msg(AQ_QBFT_COMMIT, i, 1, 7)), AQ_OK);
  assert_int_equal(s.cnt[AQ_QBFT_FX_DECIDE], 1);
  assert_true(aq_qbft_decided(s.m.q) != NULL);
  assert_int_equal(s.last[AQ_QBFT_FX_VOTE].msg.type, 0);
  machine_free(&s.m);
}

/* ---- the double PRE-PREPARE of transcripts_adversarial.json ---- */

enum { SCRIPT_EVENTS_MAX = 4096, SCRIPT_MS = 8000, SCRIPT_HEAL_MS = 5000 };

typedef struct {
  int64_t at_ms;
  uint32_t to;
  int64_t timer_round; /* 0: a message */
  aq_qbft_msg m;
  aq_qbft_msg just[8];
} script_event;

typedef struct {
  leaders lead;
  machine node[4];
  script_event event[SCRIPT_EVENTS_MAX];
  size_t cnt;
  aq_hash decided[4];
  int64_t prepared[4][16]; /* value of the PREPARE a node sent, by round */
} script;

static script_event *script_add(script *s, int64_t at_ms, uint32_t to) {
  assert_true(s->cnt < SCRIPT_EVENTS_MAX);
  script_event *e = &s->event[s->cnt++];
  *e = (script_event){.at_ms = at_ms, .to = to};
  return e;
}

static void script_message(script *s, int64_t at_ms, uint32_t to, const aq_qbft_msg *m) {
  script_event *e = script_add(s, at_ms, to);
  e->m = *m;
  assert_true(m->just_cnt <= 8);
  for (uint32_t i = 0; i < m->just_cnt; i++) e->just[i] = m->just[i];
}

static void script_send(script *s, int64_t now, uint32_t from, aq_qbft_msg m, uint32_t only) {
  if (m.type == AQ_QBFT_COMMIT) m.just_cnt = 0;
  if (m.type == AQ_QBFT_PREPARE) {
    int64_t *sent = &s->prepared[from][m.round & 15], value = m.value.b[31];
    assert_true(*sent == 0 || *sent == value); /* at most one PREPARE per node and round */
    *sent = value;
  }
  for (uint32_t to = 0; to < 4; to++) {
    bool gone = from == 0 && aq_qbft_decided(s->node[0].q) && now < SCRIPT_HEAL_MS;
    bool lost = gone || (m.type == AQ_QBFT_ROUND_CHANGE && m.round == 2 && to == 3);
    if (to == from || to == 2 || lost || !(only >> to & 1)) continue;
    script_message(s, now + 1, to, &m);
  }
}

static void script_drain(script *s, int64_t now, uint32_t self) {
  aq_qbft *q = s->node[self].q;
  for (aq_qbft_fx fx; aq_qbft_next(q, &fx);) {
    if (fx.kind == AQ_QBFT_FX_VOTE) script_send(s, now, self, fx.msg, UINT32_MAX);
    if (fx.kind == AQ_QBFT_FX_ANSWER) script_send(s, now, self, fx.msg, UINT32_C(1) << fx.peer);
    if (fx.kind == AQ_QBFT_FX_TIMER) script_add(s, now + 1000, self)->timer_round = fx.round;
    if (fx.kind == AQ_QBFT_FX_DECIDE) s->decided[self] = fx.msg.value;
    if (fx.kind != AQ_QBFT_FX_CHECK) continue;
    while (aq_qbft_next(q, &(aq_qbft_fx){0})) continue;
    aq_qbft_verdict(q, fx.round, &fx.msg.value, true);
  }
}

static void script_turn(script *s, int64_t now) {
  for (size_t i = 0; i < s->cnt; i++) {
    script_event e = s->event[i];
    if (e.at_ms != now) continue;
    if (e.timer_round) {
      aq_qbft_timeout(s->node[e.to].q, e.timer_round);
    } else {
      if (e.m.just_cnt) e.m.just = e.just;
      (void)!aq_qbft_recv(s->node[e.to].q, &e.m);
    }
    script_drain(s, now, e.to);
  }
}

/* Goal: a liar that shows two PRE-PREPAREs of one later round gets one PREPARE of each node, and one value is decided
   (consensus.md 7.4). Method: the script that splits the released programs, on three machines of ours. */
static void double_pre_prepare(void **state) {
  (void)state;
  static script s;
  yyjson_doc *doc = vectors("transcripts_adversarial.json");
  yyjson_val *t = yyjson_arr_get_last(yyjson_doc_get_root(doc)), *in;
  assert_string_equal(aq_test_str(t, "name"), "double_prepare_script");
  memset(&s, 0, sizeof s);
  s.lead.n = 4;
  leaders_read(&s.lead, yyjson_obj_get(t, "leaders_by_round"));
  for (uint32_t i = 0; i < 4; i++) {
    aq_qbft_cfg cfg = {.n = 4, .self = i, .leader = leader_of, .arg = &s.lead};
    s.node[i] = machine_new(&cfg);
  }
  yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(t, "inject"));
  while ((in = yyjson_arr_iter_next(&it))) {
    aq_qbft_msg m = msg_read(yyjson_obj_get(in, "msg"), 0, 0), just[8];
    yyjson_val *list = yyjson_obj_get(in, "just");
    m.just = just;
    m.just_cnt = (uint32_t)yyjson_arr_size(list);
    for (uint32_t i = 0; i < m.just_cnt; i++) just[i] = msg_read(yyjson_arr_get(list, i), 0, 0);
    script_message(&s, (int64_t)aq_test_u64(in, "at_ms"), (uint32_t)aq_test_u64(in, "to"), &m);
  }
  for (int64_t now = 0; now < SCRIPT_MS; now++) {
    for (uint32_t i = 0; i < 4; i++) {
      if (i == 2 || now != (i == 3 ? 300 : 0)) continue;
      aq_hash value = hash_of(10 + i);
      aq_qbft_start(s.node[i].q);
      script_drain(&s, now, i);
      if (i == 3) continue;
      aq_qbft_value(s.node[i].q, &value);
      script_drain(&s, now, i);
    }
    script_turn(&s, now);
  }
  aq_hash want = hash_of(21); /* what node 0 decided in round 2; the others learn it once node 0 is heard again */
  for (uint32_t i = 0; i < 4; i++) assert_true(i == 2 || aq_hash_eq(&s.decided[i], &want));
  for (uint32_t i = 0; i < 4; i++) machine_free(&s.node[i]);
  yyjson_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(transcripts_core),
      cmocka_unit_test(transcripts_random),
      cmocka_unit_test(justifications),
      cmocka_unit_test(transcripts_normal),
      cmocka_unit_test(early_votes_count),
      cmocka_unit_test(replays_push_nothing_out),
      cmocka_unit_test(equivocation_is_reported),
      cmocka_unit_test(refuses_empty_votes),
      cmocka_unit_test(jumps_where_an_honest_node_is),
      cmocka_unit_test(answers_are_limited),
      cmocka_unit_test(rejected_proposal),
      cmocka_unit_test(doubted_proposal),
      cmocka_unit_test(restores_what_was_sent),
      cmocka_unit_test(abstains),
      cmocka_unit_test(double_pre_prepare),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
