/* The rules against what port/store.h and EIP-3076 say of them, written down once more as predicates over two rows: all
   small sets of rows, reachable or not, and one more. AQ_TORTURE_ALL=1: larger sets. */
#include "journal/journal.h"

#include <stdlib.h>

#include "aq_test.h"

enum { SET_MAX = 5 };

typedef struct {
  const aq_store_vote *vote[SET_MAX];
  const aq_store_sign *sign[SET_MAX];
  size_t cnt;
  aq_journal_mark mark;
  aq_status fails; /* what every look ends with */
} rows;

static aq_status see_votes(void *ctx, const aq_store_vote *about, aq_journal_vote_fn fn, void *arg) {
  const rows *set = ctx;
  for (size_t i = 0; i < set->cnt; i++) {
    aq_store_vote v = *set->vote[i];
    bool asked = v.msg_type == about->msg_type && v.round == about->round;
    if (!asked) v.msg = v.just = aq_bytes_of(NULL, 0); /* what the header promises, and no more */
    fn(arg, &v);
  }
  return set->fails;
}

static aq_status see_decided(void *ctx, aq_duty duty, bool *known, uint8_t hash[32]) {
  const rows *set = ctx;
  (void)duty;
  *known = set->cnt > 0;
  memset(hash, 7, 32);
  return set->fails;
}

static aq_status see_signs(void *ctx, const aq_store_sign *about, aq_journal_sign_fn fn, void *arg) {
  const rows *set = ctx;
  (void)about;
  for (size_t i = 0; i < set->cnt; i++) fn(arg, set->sign[i]);
  return set->fails;
}

static aq_status see_mark(void *ctx, aq_sign_kind kind, const uint8_t pubkey[48], aq_journal_mark *out) {
  const rows *set = ctx;
  if (kind == AQ_SIGN_PARTIAL && pubkey[0] == 0) *out = set->mark;
  return set->fails;
}

static aq_journal_view view_of(rows *set) {
  return (aq_journal_view){
      .ctx = set, .votes = see_votes, .decided = see_decided, .signs = see_signs, .mark = see_mark};
}

static bool all_sizes(void) { return getenv("AQ_TORTURE_ALL") != NULL; }

/* ---- votes ---- */

enum { ROUNDS = 3, VOTES = 4 * ROUNDS * 2 + ROUNDS * 2 };
static aq_store_vote g_vote[VOTES];
static uint8_t g_content[VOTES];

static aq_store_vote *add_vote(size_t at, uint8_t type, uint64_t round, uint64_t prepared, uint8_t value) {
  g_content[at] = (uint8_t)at;
  g_vote[at] = (aq_store_vote){.duty = {9, AQ_DUTY_ATTESTER}, .msg_type = type, .round = round};
  g_vote[at].prepared_round = prepared;
  g_vote[at].value_hash[0] = value;
  g_vote[at].msg = aq_bytes_of(&g_content[at], 1);
  return &g_vote[at];
}

static void make_votes(void) {
  size_t at = 0;
  for (uint8_t type = 1; type <= 4; type++) {
    for (uint64_t round = 1; round <= ROUNDS; round++) {
      for (uint64_t k = 0; k < 2; k++, at++) add_vote(at, type, round, type == 4 ? k : 0, (uint8_t)(type == 4 ? 0 : k));
    }
  }
  for (uint64_t round = 1; round <= ROUNDS; round++, at++) /* another justification of the same vote */
    add_vote(at, 4, round, 0, 0)->just = aq_bytes_str("j"), g_vote[at].msg = aq_bytes_of(&g_content[18], 1);
  for (uint64_t round = 1; round <= ROUNDS; round++, at++) add_vote(at, 4, round, 2, 0);
  assert_int_equal(at, VOTES);
}

/* port/store.h: is v refused because of o? */
static bool vote_against(const aq_store_vote *v, const aq_store_vote *o) {
  enum { PREPARE = 2, COMMIT = 3, CHANGE = 4 };
  bool prepare = v->msg_type == PREPARE, commit = v->msg_type == COMMIT, change = v->msg_type == CHANGE;
  if (v->msg_type == o->msg_type && v->round == o->round)
    return !aq_bytes_eq(v->msg, o->msg) || !aq_bytes_eq(v->just, o->just);
  if ((prepare || commit || change) && o->msg_type == CHANGE && v->round < o->round) return true;
  if ((prepare || commit) && o->msg_type == v->msg_type && v->round < o->round) return true;
  if (prepare && o->msg_type == COMMIT && v->round < o->round) return true;
  if (prepare && o->msg_type == COMMIT && v->round == o->round) return v->value_hash[0] != o->value_hash[0];
  if (change && o->msg_type == CHANGE && v->prepared_round < o->prepared_round) return true;
  return change && o->msg_type == COMMIT && v->prepared_round < o->round;
}

static void check_vote(const rows *set, const aq_store_vote *v) {
  bool known = false, other = false, against = false;
  rows copy = *set;
  const aq_journal_view view = view_of(&copy);
  for (size_t i = 0; i < set->cnt; i++) {
    const aq_store_vote *o = set->vote[i];
    bool key = o->msg_type == v->msg_type && o->round == v->round;
    known |= key;
    other |= key && vote_against(v, o);
    against |= vote_against(v, o);
  }
  aq_status want = known ? other ? AQ_E_SLASH : AQ_E_DUP : against ? AQ_E_SLASH : AQ_OK;
  assert_int_equal(aq_journal_vote(&view, v), want);
}

/* One row under a key, as a store has them. */
static bool vote_fits_in(const rows *set, const aq_store_vote *v) {
  for (size_t i = 0; i < set->cnt; i++) {
    if (set->vote[i]->msg_type == v->msg_type && set->vote[i]->round == v->round) return false;
  }
  return true;
}

static size_t walk_votes(rows *set, size_t from, size_t more) {
  size_t sets = 1;
  for (size_t i = 0; i < VOTES; i++) check_vote(set, &g_vote[i]);
  for (size_t i = from; i < VOTES && more > 0; i++) {
    if (!vote_fits_in(set, &g_vote[i])) continue;
    set->vote[set->cnt++] = &g_vote[i];
    sets += walk_votes(set, i + 1, more - 1);
    set->cnt--;
  }
  return sets;
}

/* Goal: a vote is taken, known or refused as port/store.h says.
   Method: each set of up to three (torture: five) votes of three rounds, two values and prepared rounds, under each
   further one, against the predicate over two votes. */
static void test_votes(void **state) {
  (void)state;
  rows set = {.mark = AQ_JOURNAL_NO_MARK};
  make_votes();
  assert_true(walk_votes(&set, 0, all_sizes() ? 5 : 3) > 2000);
}

/* ---- signed roots ---- */

enum { EPOCHS = 4, ATTESTATIONS = EPOCHS * EPOCHS * 2 * 2, BLOCKS = 2 * 3 * 2, SIGNS = ATTESTATIONS + BLOCKS + 4 };
static aq_store_sign g_sign[SIGNS];

static aq_store_sign sign_of(aq_duty duty, uint64_t source, uint64_t target, uint8_t root) {
  return (aq_store_sign){
      .kind = AQ_SIGN_PARTIAL, .duty = duty, .source_epoch = source, .target_epoch = target, .root = {root}};
}

/* Attestations in one of two slots of their target's epoch, blocks of both ways of building, others. */
static void make_signs(void) {
  size_t at = 0;
  for (uint64_t i = 0; i < ATTESTATIONS; i++, at++) {
    uint64_t target = i / 4 % EPOCHS;
    g_sign[at] = sign_of((aq_duty){2 * target + i % 2, AQ_DUTY_ATTESTER}, i / 4 / EPOCHS, target, (uint8_t)(i / 2 % 2));
  }
  for (uint64_t i = 0; i < BLOCKS; i++, at++)
    g_sign[at] = sign_of((aq_duty){i / 4, i % 2 ? AQ_DUTY_PROPOSER : AQ_DUTY_BUILDER_PROPOSER}, 0, 0, i / 2 % 2);
  g_sign[at++] = sign_of((aq_duty){1, AQ_DUTY_SYNC_CONTRIBUTION}, 0, 0, 1);
  g_sign[at++] = sign_of((aq_duty){1, AQ_DUTY_SYNC_CONTRIBUTION}, 0, 0, 2);
  g_sign[at] = sign_of((aq_duty){1, AQ_DUTY_SYNC_CONTRIBUTION}, 0, 0, 2);
  g_sign[at++].sub = 1;
  g_sign[at] = sign_of((aq_duty){2, AQ_DUTY_ATTESTER}, 0, 1, 0);
  g_sign[at++].pubkey[0] = 1; /* another validator */
  assert_int_equal(at, SIGNS);
}

static bool is_block(const aq_store_sign *s) {
  return s->duty.type == AQ_DUTY_PROPOSER || s->duty.type == AQ_DUTY_BUILDER_PROPOSER;
}
static bool is_attestation(const aq_store_sign *s) { return s->duty.type == AQ_DUTY_ATTESTER; }
static bool same_signer(const aq_store_sign *a, const aq_store_sign *b) {
  return a->kind == b->kind && memcmp(a->pubkey, b->pubkey, 48) == 0;
}
static bool same_key(const aq_store_sign *a, const aq_store_sign *b) {
  return same_signer(a, b) && aq_duty_eq(a->duty, b->duty) && a->sub == b->sub;
}

/* The consensus specification's is_slashable_attestation_data, with the root for the data; ProposerSlashing. */
static bool slashable(const aq_store_sign *a, const aq_store_sign *b) {
  bool differ = memcmp(a->root, b->root, 32) != 0;
  if (!same_signer(a, b)) return false;
  if (is_block(a) && is_block(b)) return a->duty.slot == b->duty.slot && differ;
  if (!is_attestation(a) || !is_attestation(b)) return false;
  bool surrounds = a->source_epoch < b->source_epoch && b->target_epoch < a->target_epoch;
  bool surrounded = b->source_epoch < a->source_epoch && a->target_epoch < b->target_epoch;
  return (differ && a->target_epoch == b->target_epoch) || surrounds || surrounded;
}

/* The first that holds names the refusal. */
static aq_status expected(const rows *set, const aq_store_sign *s, aq_store_refusal *why) {
  bool known = false, other = false, target = false, surround = false, block = false;
  for (size_t i = 0; i < set->cnt; i++) {
    const aq_store_sign *o = set->sign[i];
    if (same_key(o, s)) known = true, other |= memcmp(o->root, s->root, 32) != 0;
    bool both = same_signer(o, s) && is_attestation(o) && is_attestation(s);
    target |= both && o->target_epoch == s->target_epoch;
    surround |= both && o->target_epoch != s->target_epoch && slashable(o, s);
    block |= is_block(s) && slashable(o, s);
  }
  *why = AQ_REFUSAL_UNKNOWN;
  if (known && !other) return AQ_E_DUP;
  bool below_attestation = (int64_t)s->source_epoch < set->mark.source || (int64_t)s->target_epoch <= set->mark.target;
  bool below = is_attestation(s) ? below_attestation : is_block(s) && (int64_t)s->duty.slot <= set->mark.block_slot;
  *why = known                                                    ? is_block(s) ? AQ_REFUSAL_BLOCK : AQ_REFUSAL_ROOT
         : is_attestation(s) && s->source_epoch > s->target_epoch ? AQ_REFUSAL_EPOCHS
         : target                                                 ? AQ_REFUSAL_TARGET
         : surround                                               ? AQ_REFUSAL_SURROUND
         : block                                                  ? AQ_REFUSAL_BLOCK
         : below && s->pubkey[0] == 0                             ? AQ_REFUSAL_MARK
                                                                  : AQ_REFUSAL_UNKNOWN;
  return *why == AQ_REFUSAL_UNKNOWN ? AQ_OK : AQ_E_SLASH;
}

static void check_sign(const rows *set, const aq_store_sign *s) {
  aq_store_refusal why = AQ_REFUSAL_MARK, want_why;
  rows copy = *set;
  const aq_journal_view view = view_of(&copy);
  aq_status want = expected(set, s, &want_why);
  assert_int_equal(aq_journal_sign(&view, s, &why), want);
  assert_int_equal(why, want_why);
  for (size_t i = 0; i < set->cnt && want == AQ_OK; i++) assert_false(slashable(set->sign[i], s));
}

static size_t walk_signs(rows *set, size_t from, size_t more) {
  size_t sets = 1;
  for (size_t i = 0; i < SIGNS; i++) check_sign(set, &g_sign[i]);
  for (size_t i = from; i < SIGNS && more > 0; i++) {
    bool fits = true;
    for (size_t k = 0; k < set->cnt; k++) fits &= !same_key(set->sign[k], &g_sign[i]);
    if (!fits) continue;
    set->sign[set->cnt++] = &g_sign[i];
    sets += walk_signs(set, i + 1, more - 1);
    set->cnt--;
  }
  return sets;
}

/* Goal: a signed root is taken, known or refused as port/store.h and EIP-3076 say, with the reason; what is taken is
   slashable with nothing on record.
   Method: each set of up to two (torture: three) records over four epochs, without and with marks, under each further
   one. */
static void test_signs(void **state) {
  static const aq_journal_mark marks[] = {{-1, -1, -1}, {0, 0, 0}, {1, 2, 1}, {2, 1, -1}, {-1, -1, 2}, {-1, 3, -1}};
  (void)state;
  make_signs();
  for (size_t m = 0; m < AQ_COUNT(marks); m++) {
    rows set = {.mark = marks[m]};
    assert_true(walk_signs(&set, 0, all_sizes() ? 3 : 2) > 2000);
  }
}

/* Goal: what is pruned forbids as much as it did.
   Method: each two records that may stand together become a mark; whatever is slashable with one of them is refused,
   and what lies above both is not. */
static void test_pruned(void **state) {
  (void)state;
  make_signs();
  for (size_t a = 0; a < SIGNS; a++) {
    for (size_t b = 0; b < SIGNS; b++) {
      rows set = {.mark = AQ_JOURNAL_NO_MARK};
      const aq_store_sign *gone[] = {&g_sign[a], &g_sign[b]};
      if (gone[0]->pubkey[0] || gone[1]->pubkey[0]) continue;
      uint64_t source = 0, target = 0, slot = 0;
      for (size_t i = 0; i < 2; i++) {
        aq_journal_raise(&set.mark, gone[i]);
        if (is_attestation(gone[i]) && gone[i]->source_epoch > source) source = gone[i]->source_epoch;
        if (is_attestation(gone[i]) && gone[i]->target_epoch > target) target = gone[i]->target_epoch;
        if (is_block(gone[i]) && gone[i]->duty.slot > slot) slot = gone[i]->duty.slot;
      }
      const aq_journal_view view = view_of(&set);
      aq_store_refusal why;
      for (size_t k = 0; k < SIGNS; k++) {
        const aq_store_sign *s = &g_sign[k];
        if (slashable(gone[0], s) || slashable(gone[1], s))
          assert_int_equal(aq_journal_sign(&view, s, &why), AQ_E_SLASH);
      }
      aq_store_sign vote = sign_of((aq_duty){40, AQ_DUTY_ATTESTER}, source, target + 1, 9);
      aq_store_sign block = sign_of((aq_duty){slot + 1, AQ_DUTY_PROPOSER}, 0, 0, 9);
      if (source <= target) assert_int_equal(aq_journal_sign(&view, &vote, &why), AQ_OK);
      assert_int_equal(aq_journal_sign(&view, &block, &why), AQ_OK);
    }
  }
}

/* ---- the rest ---- */

static void test_decisions(void **state) {
  (void)state;
  aq_store_decided d = {.duty = {9, AQ_DUTY_ATTESTER}, .round = 1};
  memset(d.hash, 7, sizeof d.hash);
  for (size_t cnt = 0; cnt < 2; cnt++) {
    rows set = {.cnt = cnt};
    const aq_journal_view view = view_of(&set);
    assert_int_equal(aq_journal_decided(&view, &d), cnt ? AQ_E_DUP : AQ_OK);
    d.hash[31] ^= 1;
    assert_int_equal(aq_journal_decided(&view, &d), cnt ? AQ_E_SLASH : AQ_OK);
    d.hash[31] ^= 1;
    d.round = UINT64_C(1) << 63;
    assert_int_equal(aq_journal_decided(&view, &d), AQ_E_LIMIT);
    d.round = 1;
  }
}

/* Goal: nothing is allowed by a store that could not look, and no number that SQLite would take as negative.
   Method: each rule on a view that fails; each number at its limit. */
static void test_nothing_seen(void **state) {
  (void)state;
  make_votes();
  make_signs();
  rows set = {.mark = AQ_JOURNAL_NO_MARK, .fails = AQ_E_IO};
  const aq_journal_view view = view_of(&set);
  const aq_store_decided d = {.duty = {9, AQ_DUTY_ATTESTER}, .round = 1};
  aq_store_refusal why;
  assert_int_equal(aq_journal_vote(&view, &g_vote[0]), AQ_E_IO);
  assert_int_equal(aq_journal_decided(&view, &d), AQ_E_IO);
  for (size_t i = 0; i < SIGNS; i++) assert_int_equal(aq_journal_sign(&view, &g_sign[i], &why), AQ_E_IO);
  set.fails = AQ_OK;
  const uint64_t last = INT64_MAX;
  for (int k = 0; k < 6; k++) {
    aq_store_vote v = g_vote[23];
    aq_store_sign s = sign_of((aq_duty){9, AQ_DUTY_ATTESTER}, 0, last, 1);
    uint64_t *number[] = {&v.duty.slot, &v.round, &v.prepared_round, &s.duty.slot, &s.source_epoch, &s.target_epoch};
    *number[k] = last;
    assert_int_equal(k < 3 ? aq_journal_vote(&view, &v) : aq_journal_sign(&view, &s, &why), AQ_OK);
    *number[k] = last + 1;
    assert_int_equal(k < 3 ? aq_journal_vote(&view, &v) : aq_journal_sign(&view, &s, &why), AQ_E_LIMIT);
  }
}

/* Goal: what stays, what becomes a mark and how far may be pruned; what the database's statements name by
   number are the types of the table. Method: each type; slots around the limit. */
static void test_pruning(void **state) {
  (void)state;
  for (int t = 0; t <= AQ_DUTY_CNT; t++) {
    assert_int_equal(aq_journal_stays((aq_duty_type)t), t == 4 || t == 6);
    assert_int_equal(aq_journal_marks((aq_duty_type)t), t == 1 || t == 2 || t == 5);
  }
  assert_int_equal(aq_journal_prune_to(500, false, 0), 500);
  assert_int_equal(aq_journal_prune_to(500, true, 595), 499);
  assert_int_equal(aq_journal_prune_to(500, true, 596), 500);
  assert_int_equal(aq_journal_prune_to(500, true, 900), 500);
  assert_int_equal(aq_journal_prune_to(UINT64_MAX, true, 96), 0);
  assert_int_equal(aq_journal_prune_to(3, true, 5), 0);
  aq_journal_mark m = {1, 5, -1};
  aq_journal_join(&m, &(aq_journal_mark){3, 2, -1});
  assert_true(m.source == 3 && m.target == 5 && m.block_slot == -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_votes),        cmocka_unit_test(test_signs),
                                     cmocka_unit_test(test_pruned),       cmocka_unit_test(test_decisions),
                                     cmocka_unit_test(test_nothing_seen), cmocka_unit_test(test_pruning)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
