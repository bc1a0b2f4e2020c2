/* The rules of port/store.h through the port, over restarts. */
#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char g_dir[64], g_path[96];
static aq_loop *g_loop;
static aq_sqlite *g_store;
static const aq_store *g_port;
static aq_sqlite_cfg g_cfg;
static uint32_t g_answers;
static aq_store_refusal g_refusal; /* of the last answer */

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
  (void)info, (void)flag, (void)ftw;
  return remove(path);
}

static aq_status try_open(aq_err *err) {
  aq_status st = aq_sqlite_open(&g_store, g_loop, &g_cfg, err);
  if (st == AQ_OK)
    g_port = aq_sqlite_port(g_store);
  else
    g_store = NULL;
  return st;
}

static void reopen(aq_store_state want) {
  aq_sqlite_close(g_store);
  assert_int_equal(try_open(NULL), AQ_OK);
  assert_int_equal(g_port->state, want);
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(g_dir, sizeof g_dir, "%.32s/aequa-store-XXXXXX", tmp ? tmp : P_tmpdir);
  if (!mkdtemp(g_dir)) return -1;
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  g_cfg = (aq_sqlite_cfg){.path = g_path, .self = 2, .lock_hash = {1, 2, 3}};
  aq_metrics_init();
  g_loop = aq_loop_new(1);
  g_answers = 0;
  assert_int_equal(try_open(NULL), AQ_OK);
  assert_int_equal(g_port->state, AQ_STORE_MISS);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_sqlite_close(g_store);
  g_store = NULL;
  aq_loop_free(g_loop);
  return nftw(g_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- one call and its answer ---- */

typedef struct {
  bool told;
  aq_status st;
  uint32_t order;
} answer;

static void on_answer(void *arg, aq_status st) {
  answer *a = arg;
  assert_false(a->told);
  *a = (answer){true, st, ++g_answers};
  g_refusal = g_port->refusal(g_port->ctx);
}

static void on_last(void *arg, aq_status st) {
  on_answer(arg, st);
  aq_loop_stop(g_loop);
}

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
  answer a = {0};
  aq_store_vote v = vote_of(slot, type, round, prepared, msg);
  g_port->vote(g_port->ctx, &v, NULL, on_last, &a);
  assert_false(a.told);
  aq_loop_run(g_loop);
  return a.st;
}

static aq_store_sign attestation(uint8_t validator, uint64_t slot, uint64_t source, uint64_t target, uint8_t root) {
  return (aq_store_sign){AQ_SIGN_PARTIAL, {validator}, {slot, AQ_DUTY_ATTESTER}, 0, {root}, source, target, {NULL, 0}};
}

static aq_store_sign block(uint8_t validator, uint64_t slot, uint8_t root) {
  return (aq_store_sign){AQ_SIGN_PARTIAL, {validator}, {slot, AQ_DUTY_PROPOSER}, 0, {root}, 0, 0, {NULL, 0}};
}

static aq_status sign_set(const aq_store_sign *s, uint32_t cnt) {
  answer a = {0};
  g_port->sign(g_port->ctx, s, cnt, on_last, &a);
  aq_loop_run(g_loop);
  return a.st;
}

static aq_status sign(aq_store_sign s) { return sign_set(&s, 1); }

/* All that was called before is done when this one's answer comes. */
static void flush(void) { assert_int_equal(sign_set(NULL, 0), AQ_OK); }

/* Goal: one content a (duty, type, round); the same again is fine, anything else is refused and changes nothing.
   Method: each kind of vote twice and then with other message, other justification; other keys stay free. */
static void test_vote_unique(void **state) {
  (void)state;
  for (uint8_t type = 1; type <= 4; type++) {
    uint64_t slot = 10 * (uint64_t)type;
    assert_int_equal(vote(slot, type, 1, 0, "a"), AQ_OK);
    assert_int_equal(vote(slot, type, 1, 0, "a"), AQ_OK);
    assert_int_equal(vote(slot, type, 1, 0, "b"), AQ_E_SLASH);
    assert_int_equal(vote(slot, type, 1, 0, "a"), AQ_OK);
    answer a = {0};
    aq_store_vote v = vote_of(slot, type, 1, 0, "a");
    v.just = aq_bytes_str("other");
    g_port->vote(g_port->ctx, &v, NULL, on_last, &a);
    aq_loop_run(g_loop);
    assert_int_equal(a.st, AQ_E_SLASH);
    assert_int_equal(vote(slot + 1, type, 1, 0, "b"), AQ_OK);
  }
}

/* Goal: rounds of votes never fall (consensus.md 7.2 rule 4).
   Method: a script of votes of one instance with the verdict of each; another instance is not touched by it. */
static void test_vote_order(void **state) {
  (void)state;
  static const struct {
    uint8_t type;
    uint64_t round, prepared;
    aq_status want;
  } step[] = {
      {2, 1, 0, AQ_OK},      {4, 3, 0, AQ_OK},      {2, 2, 0, AQ_E_SLASH}, {3, 2, 0, AQ_E_SLASH}, {3, 1, 0, AQ_E_SLASH},
      {2, 1, 0, AQ_OK},      {2, 3, 0, AQ_OK},      {3, 3, 0, AQ_OK},      {4, 2, 0, AQ_E_SLASH}, {4, 4, 2, AQ_E_SLASH},
      {4, 4, 3, AQ_OK},      {4, 5, 2, AQ_E_SLASH}, {4, 5, 3, AQ_OK},      {2, 4, 0, AQ_E_SLASH}, {2, 7, 0, AQ_OK},
      {2, 6, 0, AQ_E_SLASH}, {3, 5, 0, AQ_OK},      {3, 6, 0, AQ_OK},      {3, 5, 0, AQ_OK},      {1, 1, 0, AQ_OK},
  };
  for (size_t i = 0; i < AQ_COUNT(step); i++) {
    aq_status st = vote(20, step[i].type, step[i].round, step[i].prepared, "m");
    if (st != step[i].want) fail_msg("step %zu: %s, want %s", i, aq_status_name(st), aq_status_name(step[i].want));
  }
  assert_int_equal(vote(21, 2, 1, 0, "m"), AQ_OK);
}

static aq_status vote_for(uint64_t slot, uint8_t type, uint64_t round, uint8_t value) {
  answer a = {0};
  aq_store_vote v = vote_of(slot, type, round, 0, "m");
  v.value_hash[0] = value, v.value_hash[1] = 0;
  g_port->vote(g_port->ctx, &v, NULL, on_last, &a);
  aq_loop_run(g_loop);
  return a.st;
}

/* Goal: a COMMIT implies its PREPARE, whose own record may have failed: none of another value follows, nor one of an
   earlier round (port/store.h). Method: PREPAREs around a COMMIT of round 3; a COMMIT of another value than the PREPARE
   of its round is fine, for a leader may show two proposals. */
static void test_prepare_after_commit(void **state) {
  (void)state;
  assert_int_equal(vote_for(22, 3, 3, 7), AQ_OK);
  assert_int_equal(vote_for(22, 2, 2, 7), AQ_E_SLASH);
  assert_int_equal(vote_for(22, 2, 3, 8), AQ_E_SLASH);
  assert_int_equal(vote_for(22, 2, 3, 7), AQ_OK);
  assert_int_equal(vote_for(22, 2, 4, 8), AQ_OK);
  assert_int_equal(vote_for(23, 2, 3, 8), AQ_OK);
  assert_int_equal(vote_for(23, 3, 3, 7), AQ_OK);
}

/* Goal: one decision a duty.
   Method: the same hash again, with another round, and another hash. */
static void test_decided(void **state) {
  (void)state;
  aq_store_decided d = {{30, AQ_DUTY_PROPOSER}, 2, {7}, aq_bytes_str("commits")};
  const aq_store_decided other = {{30, AQ_DUTY_PROPOSER}, 2, {8}, aq_bytes_str("commits")};
  const aq_store_blob blob = {{30, AQ_DUTY_PROPOSER}, {7}, aq_bytes_str("value")};
  answer a[4] = {{0}};
  g_port->decided(g_port->ctx, &d, &blob, on_answer, &a[0]);
  g_port->decided(g_port->ctx, &d, NULL, on_answer, &a[1]);
  d.round = 3;
  g_port->decided(g_port->ctx, &d, &blob, on_answer, &a[2]);
  g_port->decided(g_port->ctx, &other, NULL, on_last, &a[3]);
  aq_loop_run(g_loop);
  assert_int_equal(a[0].st | a[1].st | a[2].st, AQ_OK);
  assert_int_equal(a[3].st, AQ_E_SLASH);
}

/* Goal: attestations follow EIP-3076: no second target, no surround either way, source not after target.
   Method: around one recorded vote (source 5, target 8), for the same validator, another, and the other kind. */
static void test_attestations(void **state) {
  (void)state;
  assert_int_equal(sign(attestation(1, 256, 5, 8, 1)), AQ_OK);
  assert_int_equal(sign(attestation(1, 256, 5, 8, 1)), AQ_OK);
  assert_int_equal(sign(attestation(1, 256, 5, 8, 2)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_ROOT);
  assert_int_equal(sign(attestation(1, 257, 5, 8, 2)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_TARGET);
  assert_int_equal(sign(attestation(1, 257, 4, 8, 2)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(1, 300, 4, 9, 3)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_SURROUND);
  assert_int_equal(sign(attestation(1, 230, 6, 7, 3)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_SURROUND);
  assert_int_equal(sign(attestation(1, 300, 10, 9, 3)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_EPOCHS);
  assert_int_equal(sign(attestation(1, 230, 5, 7, 4)), AQ_OK);
  assert_int_equal(sign(attestation(1, 320, 8, 9, 5)), AQ_OK);
  assert_int_equal(sign(attestation(1, 330, 8, 10, 6)), AQ_OK);
  assert_int_equal(sign(attestation(2, 256, 5, 8, 2)), AQ_OK);
  aq_store_sign group = attestation(1, 256, 5, 8, 9);
  group.kind = AQ_SIGN_GROUP;
  assert_int_equal(sign(group), AQ_OK);
  group.root[0] = 8;
  assert_int_equal(sign(group), AQ_E_SLASH);
}

/* Goal: one block a slot, however it was built; one root a key for every other duty; sub is part of the key.
   Method: pairs with equal and different roots. */
static void test_blocks_and_others(void **state) {
  (void)state;
  assert_int_equal(sign(block(1, 50, 1)), AQ_OK);
  assert_int_equal(sign(block(1, 50, 1)), AQ_OK);
  assert_int_equal(sign(block(1, 50, 2)), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_BLOCK);
  aq_store_sign blinded = block(1, 50, 2);
  blinded.duty.type = AQ_DUTY_BUILDER_PROPOSER;
  assert_int_equal(sign(blinded), AQ_E_SLASH);
  assert_int_equal(g_refusal, AQ_REFUSAL_BLOCK);
  assert_int_equal(sign(block(1, 49, 2)), AQ_OK);
  assert_int_equal(sign(block(2, 50, 2)), AQ_OK);
  aq_store_sign selection = {AQ_SIGN_PARTIAL, {1}, {50, AQ_DUTY_PREPARE_SYNC_CONTRIBUTION}, 0, {1}, 0, 0, {NULL, 0}};
  assert_int_equal(sign(selection), AQ_OK);
  selection.sub = 1, selection.root[0] = 2;
  assert_int_equal(sign(selection), AQ_OK);
  selection.root[0] = 3;
  assert_int_equal(sign(selection), AQ_E_SLASH);
}

/* Goal: a set is recorded whole or not at all, and contradictions inside it count.
   Method: a set whose last member clashes; then its good members with other roots. */
static void test_sign_set(void **state) {
  (void)state;
  assert_int_equal(sign(attestation(3, 100, 2, 3, 1)), AQ_OK);
  const aq_store_sign bad[] = {attestation(1, 100, 2, 3, 1), attestation(2, 100, 2, 3, 1),
                               attestation(3, 100, 2, 3, 2)};
  assert_int_equal(sign_set(bad, 3), AQ_E_SLASH);
  const aq_store_sign twice[] = {attestation(1, 100, 2, 3, 5), attestation(1, 101, 2, 3, 6)};
  assert_int_equal(sign_set(twice, 2), AQ_E_SLASH);
  const aq_store_sign good[] = {attestation(1, 100, 2, 3, 7), attestation(2, 100, 2, 3, 7),
                                attestation(3, 100, 2, 3, 1)};
  assert_int_equal(sign_set(good, 3), AQ_OK);
}

/* Goal: numbers that the database cannot order are refused.
   Method: 2^63 in each place. */
static void test_numbers(void **state) {
  (void)state;
  const uint64_t big = UINT64_C(1) << 63;
  assert_int_equal(vote(big, 2, 1, 0, "m"), AQ_E_LIMIT);
  assert_int_equal(vote(1, 2, big, 0, "m"), AQ_E_LIMIT);
  assert_int_equal(sign(attestation(1, big, 1, 2, 1)), AQ_E_LIMIT);
  assert_int_equal(sign(attestation(1, 1, 1, big, 1)), AQ_E_LIMIT);
  assert_int_equal(vote(1, 2, big - 1, 0, "m"), AQ_OK);
}

/* Goal: answers come in the order of the calls, from few commits.
   Method: 300 calls of all kinds in one turn; the number of commits is the count of state_persist_ms. */
static void test_group_commit(void **state) {
  (void)state;
  static answer a[300];
  memset(a, 0, sizeof a);
  for (uint32_t i = 0; i < AQ_COUNT(a); i++) {
    aq_store_done done = i + 1 == AQ_COUNT(a) ? on_last : on_answer;
    aq_store_vote v = vote_of(1000 + i, 2, 1, 0, "m");
    aq_store_sign s = attestation((uint8_t)i, i, i, i + 1, 1);
    if (i % 2)
      g_port->vote(g_port->ctx, &v, NULL, done, &a[i]);
    else
      g_port->sign(g_port->ctx, &s, 1, done, &a[i]);
  }
  aq_loop_run(g_loop);
  for (uint32_t i = 0; i < AQ_COUNT(a); i++) {
    assert_true(a[i].told);
    assert_int_equal(a[i].order, i + 1);
  }
  aq_buf text = AQ_BUF(1 << 22);
  aq_metrics_write(&text);
  const char *count = strstr(aq_buf_cstr(&text), "\nstate_persist_ms_count ");
  assert_non_null(count);
  assert_true(strtoul(count + strlen("\nstate_persist_ms_count "), NULL, 10) < 20);
  aq_buf_free(&text);
}

/* ---- recovery ---- */

typedef struct {
  uint32_t votes, blobs, decided, peers;
  uint64_t slots;
  aq_buf text;
} seen;

static void see_vote(void *arg, const aq_store_vote *v) {
  seen *s = arg;
  s->votes++, s->slots += v->duty.slot;
  aq_buf_printf(&s->text, "v%u/%u/%llu/%llu:%.*s,%.*s;", (unsigned)v->duty.type, v->msg_type,
                (unsigned long long)v->round, (unsigned long long)v->prepared_round, (int)v->msg.len,
                (const char *)v->msg.ptr, (int)v->just.len, (const char *)v->just.ptr);
  assert_int_equal(v->value_hash[0], v->msg_type);
}

static void see_blob(void *arg, const aq_store_blob *b) {
  seen *s = arg;
  s->blobs++;
  aq_buf_printf(&s->text, "b%u:%.*s;", b->hash[0], (int)b->value.len, (const char *)b->value.ptr);
}

static void see_decided(void *arg, const aq_store_decided *d) {
  seen *s = arg;
  s->decided++;
  aq_buf_printf(&s->text, "d%u/%llu:%.*s;", d->hash[0], (unsigned long long)d->round, (int)d->commits.len,
                (const char *)d->commits.ptr);
}

static void see_peer(void *arg, uint32_t peer, const char *addr) {
  seen *s = arg;
  s->peers++;
  aq_buf_printf(&s->text, "p%u:%s;", peer, addr);
}

static seen load(uint64_t from_slot) {
  seen s = {.text = AQ_BUF(1 << 20)};
  const aq_store_visitor v = {&s, see_vote, see_blob, see_decided, see_peer, NULL};
  assert_int_equal(g_port->load(g_port->ctx, from_slot, &v), AQ_OK);
  return s;
}

static void expect_load(uint64_t from_slot, const char *want) {
  seen s = load(from_slot);
  assert_string_equal(aq_buf_cstr(&s.text), want);
  aq_buf_free(&s.text);
}

static void fill(void) {
  const aq_store_blob blob = {{41, AQ_DUTY_ATTESTER}, {9}, aq_bytes_str("value")};
  const aq_store_decided d = {{41, AQ_DUTY_ATTESTER}, 2, {9}, aq_bytes_str("cc")};
  aq_store_vote v = vote_of(41, 3, 2, 0, "commit");
  assert_int_equal(vote(40, 2, 1, 0, "old"), AQ_OK);
  assert_int_equal(vote(41, 2, 1, 0, "one"), AQ_OK);
  assert_int_equal(vote(41, 4, 2, 1, "rc"), AQ_OK);
  g_port->vote(g_port->ctx, &v, &blob, NULL, NULL);
  g_port->decided(g_port->ctx, &d, &blob, NULL, NULL);
  g_port->peer(g_port->ctx, 3, "1.2.3.4:3610"), g_port->peer(g_port->ctx, 1, "a:1");
  g_port->peer(g_port->ctx, 3, "5.6.7.8:3610"), g_port->peer(g_port->ctx, 0, "b:2"), g_port->peer(g_port->ctx, 0, "");
  flush();
}

static const char *const filled =
    "b9:value;v2/2/1/0:one,just;v2/3/2/0:commit,just;v2/4/2/1:rc,just;d9/2:cc;p1:a:1;p3:5.6.7.8:3610;";

/* Goal: everything is there after the next open, the state is ok, and the rules still hold.
   Method: fill, reopen, load from a slot; contradictions of what was recorded before; a prune. */
static void test_reopen(void **state) {
  (void)state;
  fill();
  uint64_t since = g_port->since_ns;
  assert_int_not_equal(since, 0);
  expect_load(41, filled);
  reopen(AQ_STORE_OK);
  expect_load(41, filled);
  expect_load(UINT64_MAX, "p1:a:1;p3:5.6.7.8:3610;");
  assert_int_equal(g_port->since_ns, since);
  assert_true(aq_metric_value(AQ_M_STATE_RECOVERY_TOTAL, AQ_LABELS("miss")) == 1);
  assert_true(aq_metric_value(AQ_M_STATE_RECOVERY_TOTAL, AQ_LABELS("ok")) == 1);
  assert_int_equal(vote(41, 2, 1, 0, "two"), AQ_E_SLASH);
  assert_int_equal(vote(41 + 96, 2, 1, 0, "newest"), AQ_OK);
  g_port->prune(g_port->ctx, 41);
  flush();
  seen s = load(0);
  assert_int_equal(s.votes, 4);
  assert_int_equal(s.slots, 3 * 41 + 41 + 96);
  aq_buf_free(&s.text);
}

static aq_store_sign without_deadline(aq_duty_type type, uint8_t root) {
  return (aq_store_sign){AQ_SIGN_PARTIAL, {1}, {320, type}, 0, {root}, 0, 0, {NULL, 0}};
}

/* Goal: pruning never forgets what may not be signed again.
   Method: old attestations and blocks pruned away; below their watermark all is refused, above it is not; an exit and a
   registration stay. */
static void test_prune_journal(void **state) {
  (void)state;
  assert_int_equal(sign(without_deadline(AQ_DUTY_EXIT, 1)), AQ_OK);
  assert_int_equal(sign(without_deadline(AQ_DUTY_BUILDER_REGISTRATION, 1)), AQ_OK);
  assert_int_equal(sign(attestation(1, 320, 9, 10, 1)), AQ_OK);
  assert_int_equal(sign(block(1, 321, 1)), AQ_OK);
  assert_int_equal(sign(attestation(1, 5000, 155, 156, 2)), AQ_OK);
  g_port->prune(g_port->ctx, 4000);
  flush();
  reopen(AQ_STORE_OK);
  assert_int_equal(sign(attestation(1, 320, 9, 10, 2)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(1, 310, 8, 9, 2)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(1, 330, 8, 11, 2)), AQ_E_SLASH);
  assert_int_equal(sign(block(1, 321, 2)), AQ_E_SLASH);
  assert_int_equal(sign(block(1, 300, 2)), AQ_E_SLASH);
  assert_int_equal(sign(block(1, 322, 2)), AQ_OK);
  assert_int_equal(sign(attestation(1, 5000, 155, 156, 2)), AQ_OK);
  assert_int_equal(sign(attestation(1, 5000, 155, 156, 3)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(1, 5040, 156, 157, 3)), AQ_OK);
  assert_int_equal(sign(attestation(2, 320, 9, 10, 2)), AQ_OK);
  assert_int_equal(sign(without_deadline(AQ_DUTY_EXIT, 2)), AQ_E_SLASH);
  assert_int_equal(sign(without_deadline(AQ_DUTY_BUILDER_REGISTRATION, 2)), AQ_E_SLASH);
}

/* Goal: what was acknowledged survives kill -9, and what is there is whole.
   Method: a child records numbered votes and tells each answer through a pipe until it is killed; 12 rounds. */
static int g_pipe;
static uint64_t g_child_slot;

static void child_next(void *arg, aq_status st) {
  if (st != AQ_OK || (arg && write(g_pipe, &g_child_slot, sizeof g_child_slot) != sizeof g_child_slot)) _exit(1);
  aq_store_vote v = vote_of(++g_child_slot, 2, 1, 0, "child");
  const aq_store_sign s = attestation(7, g_child_slot, g_child_slot, g_child_slot + 1, 1);
  g_port->vote(g_port->ctx, &v, NULL, NULL, NULL);
  g_port->sign(g_port->ctx, &s, 1, child_next, &g_pipe);
}

static void child_main(int fd, uint64_t from) {
  g_pipe = fd, g_child_slot = from;
  g_loop = aq_loop_new(1);
  aq_err err = {0};
  if (try_open(&err) != AQ_OK) _exit(2);
  child_next(NULL, AQ_OK);
  aq_loop_run(g_loop);
  _exit(0);
}

static void test_kill(void **state) {
  (void)state;
  uint64_t acknowledged = 0;
  for (int round = 0; round < 12; round++) {
    int fd[2];
    aq_sqlite_close(g_store);
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
      close(fd[0]);
      child_main(fd[1], acknowledged);
    }
    close(fd[1]);
    uint64_t slot = 0, want = (uint64_t)(20 + 13 * round), got = 0;
    while (got < want && read(fd[0], &slot, sizeof slot) == sizeof slot) got++;
    assert_int_equal(got, want);
    kill(pid, SIGKILL);
    while (read(fd[0], &slot, sizeof slot) == sizeof slot) continue; /* told before the end */
    close(fd[0]);
    waitpid(pid, NULL, 0);
    assert_true(slot > acknowledged);
    acknowledged = slot;
    assert_int_equal(try_open(NULL), AQ_OK);
    assert_int_equal(g_port->state, AQ_STORE_OK);
    seen s = load(0);
    assert_true(s.votes >= acknowledged);
    acknowledged = s.votes; /* one more may have been committed without its answer */
    aq_buf_free(&s.text);
    assert_int_equal(sign(attestation(7, slot, slot, slot + 1, 2)), AQ_E_SLASH);
  }
}

/* ---- damage ---- */

static void path_of(char out[128], const char *suffix) { snprintf(out, 128, "%s%s", g_path, suffix); }

static void overwrite(const char *suffix, off_t at, const char *text) {
  char path[128];
  path_of(path, suffix);
  int fd = open(path, O_WRONLY);
  assert_true(fd >= 0);
  for (int i = 0; i < 40; i++)
    assert_int_equal(pwrite(fd, text, strlen(text), at + i * (off_t)strlen(text)), strlen(text));
  close(fd);
}

static void wait_for_backup(void) {
  char path[128];
  path_of(path, ".bak");
  g_port->backup(g_port->ctx);
  for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++) flush();
  assert_int_equal(access(path, F_OK), 0);
}

static void close_store(void) {
  aq_sqlite_close(g_store);
  g_store = NULL;
}

static void copy_to(const char *from, const char *to) {
  char path[128];
  path_of(path, from);
  aq_buf bytes = aq_test_file(path);
  path_of(path, to);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
  fclose(f);
  aq_buf_free(&bytes);
}

/* Goal: a damaged or missing database is replaced by the backup, which says so; the damaged one is kept aside.
   Method: garbage over the header, over the first pages of meta and of the votes, and removal; each after a backup. */
static void test_fallback(void **state) {
  (void)state;
  char path[128];
  fill();
  wait_for_backup();
  assert_int_equal(vote(50, 2, 1, 0, "after the backup"), AQ_OK);
  for (int i = 0; i < 4; i++) {
    close_store();
    if (i < 3)
      overwrite("", i * 4096, "garbage garbage ");
    else
      assert_int_equal(unlink(g_path), 0);
    assert_int_equal(try_open(NULL), AQ_OK);
    assert_int_equal(g_port->state, AQ_STORE_FALLBACK);
    assert_true(g_port->since_ns > 0);
    expect_load(41, filled);
    path_of(path, ".damaged");
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(vote(41, 2, 1, 0, "two"), AQ_E_SLASH);
  }
  assert_true(aq_metric_value(AQ_M_STATE_RECOVERY_TOTAL, AQ_LABELS("fallback")) == 4);
  reopen(AQ_STORE_FALLBACK);
}

/* Goal: what a restored or new database cannot prove stays unproven after further starts, and no longer (contract.md
   7.1, 13.6; consensus.md 7.3): as restored for ten minutes, then sound with the time of its making.
   Method: the database is removed after a backup and opened at chosen times; the same with an empty one. */
static void test_unproven(void **state) {
  (void)state;
  fill();
  wait_for_backup();
  close_store();
  assert_int_equal(unlink(g_path), 0);
  const uint64_t at = AQ_SECONDS(2000000000), margin = AQ_SECONDS(2);
  static const struct {
    uint64_t after_s;
    aq_store_state want;
    bool since_start; /* else since it was restored */
  } step[] = {{0, AQ_STORE_FALLBACK, true},
              {1, AQ_STORE_FALLBACK, true},
              {599, AQ_STORE_FALLBACK, true},
              {600, AQ_STORE_OK, false},
              {86400, AQ_STORE_OK, false}};
  for (size_t i = 0; i < AQ_COUNT(step); i++) {
    aq_db db;
    uint64_t now = at + AQ_SECONDS(step[i].after_s);
    assert_int_equal(aq_db_open(&db, &g_cfg, now, NULL), AQ_OK);
    assert_int_equal(db.state, step[i].want);
    const aq_store s = {.state = db.state, .since_ns = db.since_ns};
    assert_true(aq_store_unproven_until_ns(&s, now) == (step[i].since_start ? now : at) + margin);
    aq_db_close(&db);
  }
  overwrite("", 0, "garbage garbage ");
  overwrite(".bak", 0, "garbage garbage ");
  g_cfg.accept_empty = true;
  for (uint64_t i = 0; i < 3; i++) {
    aq_db db;
    uint64_t now = at + AQ_SECONDS(100000 + i);
    assert_int_equal(aq_db_open(&db, &g_cfg, now, NULL), AQ_OK);
    assert_int_equal(db.state, i == 0 ? AQ_STORE_MISS : AQ_STORE_OK);
    const aq_store s = {.state = db.state, .since_ns = db.since_ns};
    assert_true(aq_store_unproven_until_ns(&s, now) == at + AQ_SECONDS(100000) + margin);
    aq_db_close(&db);
  }
}

/* Goal: the log of a lost database never meets the one restored from the backup.
   Method: the log of an open database is copied; then the database is removed and the log put back. */
static void test_stale_log(void **state) {
  (void)state;
  fill();
  wait_for_backup();
  assert_int_equal(vote(50, 2, 1, 0, "after the backup"), AQ_OK);
  copy_to("-wal", ".kept");
  close_store();
  assert_int_equal(unlink(g_path), 0);
  copy_to(".kept", "-wal");
  assert_int_equal(try_open(NULL), AQ_OK);
  assert_int_equal(g_port->state, AQ_STORE_FALLBACK);
  expect_load(41, filled);
}

/* Goal: neither database nor backup sound: refusal, unless an empty store is accepted.
   Method: garbage in both; then with the option. */
static void test_both_damaged(void **state) {
  (void)state;
  aq_err err = {0};
  fill();
  wait_for_backup();
  close_store();
  overwrite("", 0, "garbage garbage ");
  overwrite(".bak", 0, "garbage garbage ");
  assert_int_equal(try_open(&err), AQ_E_IO);
  assert_non_null(strstr(err.text, "accept-empty-store"));
  assert_true(aq_metric_value(AQ_M_STATE_RECOVERY_TOTAL, AQ_LABELS("fail")) == 1);
  g_cfg.accept_empty = true;
  assert_int_equal(try_open(&err), AQ_OK);
  assert_int_equal(g_port->state, AQ_STORE_MISS);
  expect_load(0, "");
}

static void exec_sql(const char *text) {
  sqlite3 *h;
  assert_int_equal(sqlite3_open(g_path, &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(h);
}

/* Goal: a database that lost a table or a number of its head is damaged, neither sound nor a first start: its journal
   is not given up in silence. Method: no backup; a table gone, each number of the head zero, then both. */
static void test_damaged_head(void **state) {
  (void)state;
  fill();
  close_store();
  char backup[128];
  snprintf(backup, sizeof backup, "%s.bak", g_path);
  (void)unlink(backup);
  static const char *const damage[] = {"ALTER TABLE mark RENAME TO gone",
                                       "ALTER TABLE gone RENAME TO mark; PRAGMA user_version=0",
                                       "PRAGMA application_id=0; PRAGMA user_version=1", "PRAGMA user_version=0"};
  for (size_t i = 0; i < AQ_COUNT(damage); i++) {
    exec_sql(damage[i]);
    assert_int_equal(try_open(NULL), AQ_E_IO);
  }
}

/* Goal: a newer schema, another cluster, another operator: refused, file unchanged.
   Method: each in turn, with the bytes of the file compared. */
static void test_refusals(void **state) {
  (void)state;
  aq_err err = {0};
  fill();
  wait_for_backup();
  close_store();
  g_cfg.self = 3;
  assert_int_equal(try_open(&err), AQ_E_UNKNOWN);
  g_cfg.self = 2, g_cfg.lock_hash[0] ^= 1;
  assert_int_equal(try_open(&err), AQ_E_UNKNOWN);
  g_cfg.lock_hash[0] ^= 1;
  exec_sql("PRAGMA user_version=2");
  aq_buf before = aq_test_file(g_path);
  assert_int_equal(try_open(&err), AQ_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "newer"));
  aq_buf after = aq_test_file(g_path);
  assert_bytes(aq_buf_bytes(&after), aq_buf_bytes(&before));
  aq_buf_free(&before), aq_buf_free(&after);
  exec_sql("PRAGMA user_version=1");
  assert_int_equal(try_open(&err), AQ_OK);
  assert_int_equal(g_port->state, AQ_STORE_OK);
}

/* Goal: one process at a time.
   Method: a second open from a child while the store is open, and after it was closed. */
static int open_in_child(void) {
  pid_t pid = fork();
  if (pid == 0) {
    g_loop = aq_loop_new(1);
    aq_status st = try_open(NULL);
    _exit(st == AQ_OK ? 0 : st == AQ_E_EXISTS ? 1 : 2);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_second_process(void **state) {
  (void)state;
  assert_int_equal(open_in_child(), 1);
  aq_sqlite *second = NULL;
  aq_err err = {0};
  assert_int_equal(aq_sqlite_open(&second, g_loop, &g_cfg, &err), AQ_E_EXISTS);
  close_store();
  assert_int_equal(open_in_child(), 0);
}

/* Goal: a full disk is AQ_E_IO for the whole batch and nothing of it is recorded; later writes work again.
   Method: a limit on the size of files that a large value passes, lifted afterwards. */
static void test_full_disk(void **state) {
  (void)state;
  static uint8_t big[1 << 20];
  struct rlimit old, small;
  memset(big, 'x', sizeof big);
  assert_int_equal(vote(60, 2, 1, 0, "before"), AQ_OK);
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  small = old, small.rlim_cur = 256 * 1024;
  setrlimit(RLIMIT_FSIZE, &small);
  answer a[2] = {{0}};
  aq_store_vote first = vote_of(61, 2, 1, 0, "small"), second = vote_of(62, 3, 1, 0, "large");
  const aq_store_blob blob = {{62, AQ_DUTY_ATTESTER}, {1}, aq_bytes_of(big, sizeof big)};
  g_port->vote(g_port->ctx, &second, &blob, on_answer, &a[0]);
  g_port->vote(g_port->ctx, &first, NULL, on_last, &a[1]);
  aq_loop_run(g_loop);
  assert_int_equal(a[0].st, AQ_E_IO);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_true(aq_metric_value(AQ_M_STATE_PERSIST_ERRORS_TOTAL, AQ_NO_LABELS) >= 1);
  seen s = load(60);
  assert_int_equal(s.votes, a[1].st == AQ_OK ? 2 : 1); /* the second call may have got a batch of its own */
  assert_int_equal(s.blobs, 0);
  aq_buf_free(&s.text);
  assert_int_equal(vote(62, 3, 1, 0, "another"), AQ_OK);
  reopen(AQ_STORE_OK);
  assert_int_equal(vote(62, 3, 1, 0, "large"), AQ_E_SLASH);
}

/* Goal: closing commits what is queued and answers all, also what an answer hands in.
   Method: calls without running the loop; the last answer calls once more. */
static answer g_late;

static void on_answer_again(void *arg, aq_status st) {
  on_answer(arg, st);
  aq_store_vote v = vote_of(71, 2, 1, 0, "late");
  g_port->vote(g_port->ctx, &v, NULL, on_answer, &g_late);
}

static void test_close(void **state) {
  (void)state;
  answer a[2] = {{0}};
  g_late = (answer){0};
  aq_store_vote v = vote_of(70, 2, 1, 0, "m");
  g_port->vote(g_port->ctx, &v, NULL, on_answer, &a[0]);
  g_port->vote(g_port->ctx, &v, NULL, on_answer_again, &a[1]);
  g_port->backup(g_port->ctx);
  reopen(AQ_STORE_OK);
  assert_true(a[0].told && a[1].told && g_late.told);
  assert_int_equal(a[0].st | a[1].st | g_late.st, AQ_OK);
  seen s = load(70);
  assert_int_equal(s.votes, 2);
  aq_buf_free(&s.text);
}

/* Goal: a pipe beside the database is refused; SQLite would wait in it for ever, and with it the start of the node.
   Method: one in the place of each file that SQLite opens by itself. */
static void test_pipes(void **state) {
  static const char *const suffix[] = {"-journal", "-wal", "-shm"};
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(suffix); i++) {
    char name[112];
    snprintf(name, sizeof name, "%s%s", g_path, suffix[i]);
    aq_sqlite_close(g_store);
    (void)unlink(name);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_int_equal(try_open(NULL), AQ_E_IO);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(try_open(NULL), AQ_OK);
    assert_int_equal(g_port->state, AQ_STORE_OK);
  }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  aq_log_start(AQ_LOG_DEBUG, drop_line, NULL);
  const struct CMUnitTest tests[] = {
      T(test_vote_unique),  T(test_vote_order),    T(test_prepare_after_commit),
      T(test_decided),      T(test_attestations),  T(test_blocks_and_others),
      T(test_sign_set),     T(test_numbers),       T(test_group_commit),
      T(test_reopen),       T(test_prune_journal), T(test_kill),
      T(test_fallback),     T(test_unproven),      T(test_stale_log),
      T(test_both_damaged), T(test_refusals),      T(test_second_process),
      T(test_full_disk),    T(test_close),         T(test_pipes),
      T(test_damaged_head),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
