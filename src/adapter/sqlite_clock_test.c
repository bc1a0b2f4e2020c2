/* The store and the clock: pruning by one that is ahead, looking up what is queued, the mark of its beginning. */
#include "fake/store_dir.h"

/* What the store does about clocks, on a thread of ours: pruning, marks, and the question what was recorded. */

static aq_store_vote vote_of(uint64_t slot, uint8_t type, uint64_t round, uint64_t prepared, const char *msg) {
  return (aq_store_vote){.duty = {slot, AQ_DUTY_ATTESTER},
                         .msg_type = type,
                         .round = round,
                         .prepared_round = prepared,
                         .value_hash = {type, (uint8_t)round},
                         .msg = aq_bytes_str(msg),
                         .just = aq_bytes_str("just")};
}

static aq_status vote(uint64_t slot, uint8_t type, uint64_t round, uint64_t prepared, const char *msg) {
  aq_status st = AQ_E_AGAIN;
  aq_store_vote v = vote_of(slot, type, round, prepared, msg);
  g_port->vote(g_port->ctx, &v, NULL, on_answer, &st);
  flush();
  return st;
}

static aq_status sign(uint64_t slot, uint64_t source, uint64_t target, uint8_t root) {
  aq_status st = AQ_E_AGAIN;
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {slot, AQ_DUTY_ATTESTER}, 0, {root}, source, target, {NULL, 0}};
  g_port->sign(g_port->ctx, &s, 1, on_answer, &st);
  flush();
  return st;
}

static void count_vote(void *arg, const aq_store_vote *v) { *(uint32_t *)arg += v->msg_type == 2; }
static void skip_blob(void *arg, const aq_store_blob *b) { (void)arg, (void)b; }
static void skip_decided(void *arg, const aq_store_decided *d) { (void)arg, (void)d; }
static void skip_peer(void *arg, uint32_t peer, const char *addr) { (void)arg, (void)peer, (void)addr; }

static uint32_t votes_left(void) {
  uint32_t cnt = 0;
  const aq_store_visitor v = {&cnt, count_vote, skip_blob, skip_decided, skip_peer, NULL};
  assert_int_equal(g_port->load(g_port->ctx, 0, &v), AQ_OK);
  return cnt;
}

/* Goal: pruning by a clock that is ahead, by a little or by years, forgets nothing of a duty that may live (decision
   008). Method: votes of a hundred slots, prunes of far slots; what is within 96 of the newest is there and refuses its
   contradiction, signed roots too. */
static void test_prune_by_a_wrong_clock(void **state) {
  (void)state;
  static const uint64_t before[] = {1101, 1400, 2700000, INT64_MAX, UINT64_MAX};
  for (uint64_t slot = 1000; slot <= 1100; slot++) assert_int_equal(vote(slot, 2, 1, 0, "one"), AQ_OK);
  assert_int_equal(sign(1100, 30, 34, 1), AQ_OK);
  for (size_t i = 0; i < AQ_COUNT(before); i++) {
    g_port->prune(g_port->ctx, before[i]);
    flush();
    reopen();
    assert_int_equal(votes_left(), 97);
    assert_int_equal(vote(1004, 2, 1, 0, "two"), AQ_E_SLASH);
    assert_int_equal(vote(1100, 2, 1, 0, "two"), AQ_E_SLASH);
    assert_int_equal(sign(1100, 30, 34, 1), AQ_OK);
  }
}

typedef struct {
  uint32_t told;
  aq_status st;
  uint64_t round, prepared;
  uint8_t hash;
  char msg[300];
} found;

static void on_found(void *arg, aq_status st, const aq_store_vote *v) {
  found *f = arg;
  f->told++;
  f->st = st;
  assert_int_equal(v != NULL, st == AQ_OK);
  if (!v) return;
  f->round = v->round, f->prepared = v->prepared_round, f->hash = v->value_hash[0];
  snprintf(f->msg, sizeof f->msg, "%.*s", (int)v->msg.len, (const char *)v->msg.ptr);
}

static found find_one(uint64_t slot, uint8_t type, uint64_t round) {
  found f = {0};
  g_port->find(g_port->ctx, (aq_duty){slot, AQ_DUTY_ATTESTER}, type, round, on_found, &f);
  assert_int_equal(f.told, 0);
  flush();
  assert_int_equal(f.told, 1);
  return f;
}

/* Goal: what is recorded is found under its key, also what was called for in the same turn; nothing else is.
   Method: votes of each kind and a decision, other keys, a row longer than any vote. */
static void test_find(void **state) {
  (void)state;
  char text[300];
  memset(text, 'x', sizeof text);
  text[299] = 0;
  assert_int_equal(vote(9, 4, 7, 3, "change"), AQ_OK);
  found f = find_one(9, 4, 7);
  assert_int_equal(f.st, AQ_OK);
  assert_int_equal(f.round, 7), assert_int_equal(f.prepared, 3), assert_int_equal(f.hash, 4);
  assert_string_equal(f.msg, "change");
  assert_int_equal(find_one(9, 4, 6).st, AQ_E_NOTFOUND);
  assert_int_equal(find_one(9, 3, 7).st, AQ_E_NOTFOUND);
  assert_int_equal(find_one(8, 4, 7).st, AQ_E_NOTFOUND);
  assert_int_equal(find_one(UINT64_MAX, 4, 7).st, AQ_E_NOTFOUND);
  assert_int_equal(find_one(9, 5, 0).st, AQ_E_NOTFOUND);
  aq_store_decided d = {.duty = {9, AQ_DUTY_ATTESTER}, .round = 7, .hash = {88}, .commits = aq_bytes_str("cc")};
  aq_store_vote v = vote_of(10, 2, 1, 0, "same turn");
  found same = {0};
  g_port->decided(g_port->ctx, &d, NULL, NULL, NULL);
  g_port->vote(g_port->ctx, &v, NULL, NULL, NULL);
  g_port->find(g_port->ctx, v.duty, 2, 1, on_found, &same);
  f = find_one(9, 5, 0);
  assert_int_equal(f.st, AQ_OK);
  assert_int_equal(f.hash, 88), assert_int_equal(f.round, 7);
  assert_string_equal(same.msg, "same turn");
  assert_int_equal(vote(11, 2, 1, 0, text), AQ_OK);
  assert_int_equal(find_one(11, 2, 1).st, AQ_E_FORMAT);
}

/* Goal: the mark moves at once and for good. Method: moved down and up, reopened each time. */
static void test_mark(void **state) {
  (void)state;
  static const uint64_t at[] = {1700000000000000000, 1600000000000000000, 1800000000000000001};
  for (size_t i = 0; i < AQ_COUNT(at); i++) {
    g_port->mark(g_port->ctx, at[i]);
    assert_int_equal(g_port->since_ns, at[i]);
    reopen();
    assert_int_equal(g_port->since_ns, at[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_prune_by_a_wrong_clock, setup, teardown),
      cmocka_unit_test_setup_teardown(test_find, setup, teardown),
      cmocka_unit_test_setup_teardown(test_mark, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
