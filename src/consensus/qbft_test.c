#include "consensus/qbft.h"

#include "aq_test.h"
#include "consensus/qbft_int.h"

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

static void run_step(run *r, yyjson_val *step) {
  int64_t now = yyjson_get_sint(yyjson_arr_get(step, 0));
  uint32_t node = (uint32_t)(yyjson_get_sint(yyjson_arr_get(step, 1)) - r->lead.shift);
  yyjson_val *input = yyjson_arr_get(step, 2), *outputs = yyjson_arr_get(step, 3);
  aq_qbft *q = r->node[node].q;
  const char *kind = yyjson_get_str(yyjson_arr_get(input, 0));
  if (r->dead[node]) complain(r, "a step of a process that ended");
  if (strcmp(kind, "start") == 0) {
    aq_qbft_start(q);
  } else if (strcmp(kind, "value") == 0) {
    aq_hash v = hash_of(yyjson_get_uint(yyjson_arr_get(input, 1)));
    aq_qbft_value(q, &v);
  } else if (strcmp(kind, "timeout") == 0) {
    aq_qbft_timeout(q, q->timer_round);
  } else {
    aq_status st = aq_qbft_recv(q, &r->msg[msg_idx(r, yyjson_get_str(yyjson_arr_get(input, 1)))]);
    assert_true(st == AQ_OK || st == AQ_E_UNJUST);
  }
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

static size_t run_transcript(yyjson_val *t) {
  static run r;
  memset(&r, 0, sizeof r);
  r.name = aq_test_str(t, "name");
  r.lead.n = (uint32_t)aq_test_u64(t, "n");
  yyjson_val *processes = yyjson_obj_get(t, "processes");
  r.lead.shift = yyjson_get_sint(yyjson_arr_get_first(processes)) == 1 && r.lead.n > 1 ? 1 : 0;
  leaders_read(&r.lead, yyjson_obj_get(t, "leaders_by_round"));
  r.exp_timer = strcmp(aq_test_str(t, "timer"), "exp_1s") == 0;
  r.compare = yyjson_get_bool(yyjson_obj_get(t, "compare"));
  r.max_round = (int64_t)aq_test_u64(t, "max_round");
  r.suppress = (int64_t)aq_test_u64(t, "suppress_commits_up_to_round");
  r.msgs = yyjson_obj_get(t, "messages");
  r.values = yyjson_obj_get(t, "values");
  run_read_messages(&r);
  for (uint32_t i = 0; i < r.lead.n; i++) {
    aq_qbft_cfg cfg = {
        .n = r.lead.n, .self = i, .leader = leader_of, .arg = &r.lead, .strict = true, .compare = r.compare};
    r.node[i] = machine_new(&cfg);
  }
  yyjson_val *steps = yyjson_obj_get(t, "steps"), *step;
  yyjson_arr_iter it = yyjson_arr_iter_with(steps);
  while ((step = yyjson_arr_iter_next(&it))) {
    run_step(&r, step);
    r.step_idx++;
  }
  for (uint32_t i = 0; i < r.lead.n; i++) machine_free(&r.node[i]);
  for (size_t i = 0; i < yyjson_arr_size(r.msgs); i++) free((void *)(uintptr_t)r.msg[i].just);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(transcripts_core),
      cmocka_unit_test(transcripts_random),
      cmocka_unit_test(justifications),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
