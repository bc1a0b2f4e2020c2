/* The rules of port/store.h as the database keeps them, against the rules written down once more: every short history
   of small numbers. */
#include "adapter/sqlite_db.h"
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"

#include <unistd.h>

static char g_dir[64], g_path[96];
static aq_db g_db;

static void drop_line(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void empty(void) {
  assert_int_equal(aq_db_run(&g_db, AQ_DB_ROLLBACK), AQ_OK);
  assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(g_dir, sizeof g_dir, "%.32s/aequa-rules-XXXXXX", tmp ? tmp : P_tmpdir);
  if (!mkdtemp(g_dir)) return -1;
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  aq_metrics_init();
  aq_log_start(AQ_LOG_ERROR, drop_line, NULL);
  const aq_sqlite_cfg cfg = {.path = g_path};
  assert_int_equal(aq_db_create(g_path, &cfg, 1, NULL), AQ_OK);
  assert_int_equal(aq_db_view(&g_db, g_path, true, NULL), AQ_OK);
  assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  (void)!aq_db_run(&g_db, AQ_DB_ROLLBACK);
  aq_db_close(&g_db);
  aq_log_stop();
  char rm[128];
  snprintf(rm, sizeof rm, "rm -r '%s'", g_dir);
  return system(rm);
}

/* ---- votes ---- */

typedef struct {
  uint8_t type, value;
  uint64_t round, prepared;
} small_vote;

enum { ROUNDS = 3, KINDS = 27 };

static small_vote vote_no(unsigned i) {
  if (i < 18) return (small_vote){(uint8_t)(1 + i / 6), (uint8_t)(i % 2), 1 + i / 2 % 3, 0};
  return (small_vote){4, 0, 1 + (i - 18) / 3, (i - 18) % 3};
}

static aq_status put_vote(const small_vote *v, uint64_t slot) {
  const uint8_t msg[] = {v->type, v->value, (uint8_t)v->round, (uint8_t)v->prepared};
  aq_store_vote r = {.duty = {slot, AQ_DUTY_ATTESTER},
                     .msg_type = v->type,
                     .round = v->round,
                     .prepared_round = v->prepared,
                     .value_hash = {v->value + 1},
                     .msg = aq_bytes_of(msg, sizeof msg),
                     .just = aq_bytes_str("just")};
  return aq_db_vote(&g_db, &r, NULL);
}

static bool same_vote(const small_vote *a, const small_vote *b) {
  return a->type == b->type && a->round == b->round && a->value == b->value && a->prepared == b->prepared;
}

/* port/store.h, sentence by sentence: whether `v` contradicts one earlier vote. */
static bool vote_clash(const small_vote *old, const small_vote *v) {
  bool prepare = v->type == 2, commit = v->type == 3, change = v->type == 4;
  if (old->type == v->type && old->round == v->round) return !same_vote(old, v);
  if ((prepare || commit) && old->type == 4 && v->round < old->round) return true;
  if ((prepare || commit) && old->type == v->type && v->round < old->round) return true;
  if (prepare && old->type == 3 && v->round < old->round) return true;
  if (prepare && old->type == 3 && v->round == old->round && v->value != old->value) return true;
  if (change && old->type == 4 && (v->round < old->round || v->prepared < old->prepared)) return true;
  return change && old->type == 3 && v->prepared < old->round;
}

static aq_status vote_want(const small_vote *old, size_t cnt, const small_vote *v) {
  for (size_t i = 0; i < cnt; i++) {
    if (same_vote(&old[i], v)) return AQ_OK;
  }
  for (size_t i = 0; i < cnt; i++) {
    if (vote_clash(&old[i], v)) return AQ_E_SLASH;
  }
  return AQ_OK;
}

/* Goal: the journal takes exactly the votes that contradict no earlier one (port/store.h). Method: every history of up
   to three votes of all kinds, three rounds and two values. */
static void votes(void **state) {
  (void)state;
  for (unsigned first = 0; first < KINDS * KINDS; first++) {
    small_vote old[2] = {vote_no(first / KINDS), vote_no(first % KINDS)};
    size_t cnt = 1;
    empty();
    assert_int_equal(put_vote(&old[0], 7), AQ_OK);
    aq_status st = vote_want(old, 1, &old[1]);
    assert_int_equal(put_vote(&old[1], 7), st);
    if (st == AQ_OK) cnt = 2;
    for (unsigned k = 0; k < KINDS; k++) {
      small_vote v = vote_no(k);
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE), AQ_OK);
      assert_int_equal(put_vote(&v, 7), vote_want(old, cnt, &v));
      assert_int_equal(put_vote(&v, 8), AQ_OK); /* another duty */
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE_UNDO), AQ_OK);
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE_END), AQ_OK);
    }
  }
}

/* Goal: what was recorded is found under its key, whole, and nothing under others.
   Method: all votes that go together. */
static void finds(void **state) {
  (void)state;
  empty();
  bool there[KINDS] = {false};
  small_vote old[KINDS];
  size_t cnt = 0;
  for (unsigned k = 0; k < KINDS; k++) {
    small_vote v = vote_no(k);
    there[k] = put_vote(&v, 7) == AQ_OK;
    if (there[k]) old[cnt++] = v;
  }
  assert_in_range(cnt, 6, KINDS);
  for (size_t i = 0; i < cnt; i++) {
    aq_store_vote v = {.duty = {7, AQ_DUTY_ATTESTER}, .msg_type = old[i].type, .round = old[i].round};
    assert_int_equal(aq_db_find(&g_db, &v), AQ_OK);
    assert_int_equal(v.prepared_round, old[i].prepared);
    assert_int_equal(v.value_hash[0], old[i].value + 1);
    assert_true(v.msg.len == 4 && v.msg.ptr[0] == old[i].type && v.msg.ptr[2] == old[i].round);
    const aq_store_vote none[] = {{.duty = {8, AQ_DUTY_ATTESTER}, .msg_type = old[i].type, .round = old[i].round},
                                  {.duty = {7, AQ_DUTY_PROPOSER}, .msg_type = old[i].type, .round = old[i].round},
                                  {.duty = {7, AQ_DUTY_ATTESTER}, .msg_type = old[i].type, .round = 9},
                                  {.duty = {7, AQ_DUTY_ATTESTER}, .msg_type = 5, .round = old[i].round},
                                  {.duty = {7, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = UINT64_MAX}};
    for (size_t k = 0; k < AQ_COUNT(none); k++) {
      v = none[k];
      assert_int_equal(aq_db_find(&g_db, &v), AQ_E_NOTFOUND);
    }
  }
}

/* ---- decisions ---- */

static aq_status decide(uint64_t slot, uint64_t round, uint8_t hash, const aq_store_blob *blob) {
  aq_store_decided d = {.duty = {slot, AQ_DUTY_ATTESTER}, .round = round, .hash = {hash}, .commits = aq_bytes_str("c")};
  return aq_db_decided(&g_db, &d, blob);
}

static uint32_t g_blobs;
static void on_blob(void *arg, const aq_store_blob *b) {
  (void)arg;
  assert_true(b->duty.slot == 7 && b->hash[0] == 1 && b->value.len == 3 && memcmp(b->value.ptr, "abc", 3) == 0);
  g_blobs++;
}

static uint32_t g_decided;
static void on_decided(void *arg, const aq_store_decided *d) {
  assert_int_equal(d->duty.slot, 7 + g_decided);
  assert_true(d->duty.type == AQ_DUTY_ATTESTER && d->round == 2 && d->commits.len == 1);
  assert_int_equal(d->hash[0], g_decided + 1);
  (void)arg;
  g_decided++;
}

/* Goal: one decision a duty, with the bytes that come with it or later, found again at the next start; bytes that the
   disk damaged are mended by those that come. Method: equal and other ones, with bytes and without. */
static void decisions(void **state) {
  (void)state;
  empty();
  const aq_store_blob blob = {.duty = {7, AQ_DUTY_ATTESTER}, .hash = {1}, .value = aq_bytes_str("abc")};
  const aq_store_visitor all = {.blob = on_blob, .decided = on_decided};
  assert_int_equal(decide(7, 2, 1, NULL), AQ_OK);
  g_blobs = g_decided = 0;
  assert_int_equal(aq_db_load(&g_db, 0, &all), AQ_OK);
  assert_true(g_blobs == 0 && g_decided == 1);
  assert_int_equal(decide(7, 3, 1, &blob), AQ_OK); /* of a later round: the first stays, the bytes come */
  assert_int_equal(decide(7, 2, 2, NULL), AQ_E_SLASH);
  assert_int_equal(decide(8, 2, 2, NULL), AQ_OK);
  g_blobs = g_decided = 0;
  assert_int_equal(aq_db_load(&g_db, 0, &all), AQ_OK);
  assert_true(g_blobs == 1 && g_decided == 2);
  assert_int_equal(sqlite3_exec(g_db.h, "UPDATE blob SET value=x'61'", NULL, NULL, NULL), SQLITE_OK); /* damage */
  assert_int_equal(decide(7, 2, 1, &blob), AQ_OK);
  g_blobs = g_decided = 0;
  assert_int_equal(aq_db_load(&g_db, 0, &all), AQ_OK);
  assert_true(g_blobs == 1 && g_decided == 2);
  aq_store_vote v = {.duty = {7, AQ_DUTY_ATTESTER}, .msg_type = 5};
  assert_int_equal(aq_db_find(&g_db, &v), AQ_OK);
  assert_true(v.round == 2 && v.value_hash[0] == 1);
}

/* ---- signed roots ---- */

static aq_store_sign attestation(uint64_t slot, uint64_t source, uint64_t target, uint8_t root) {
  return (aq_store_sign){.kind = AQ_SIGN_PARTIAL,
                         .pubkey = {1},
                         .duty = {slot, AQ_DUTY_ATTESTER},
                         .root = {root},
                         .source_epoch = source,
                         .target_epoch = target};
}

static aq_store_sign block(uint64_t slot, aq_duty_type type, uint8_t root) {
  return (aq_store_sign){.kind = AQ_SIGN_PARTIAL, .pubkey = {1}, .duty = {slot, type}, .root = {root}};
}

static aq_status sign(aq_store_sign s) { return aq_db_sign(&g_db, &s, 1); }

/* Of the two only. */
static bool slashable(const aq_store_sign *a, const aq_store_sign *b) {
  return a->target_epoch == b->target_epoch ||
         (a->source_epoch < b->source_epoch && b->target_epoch < a->target_epoch) ||
         (b->source_epoch < a->source_epoch && a->target_epoch < b->target_epoch);
}

static aq_store_refusal why_not(const aq_store_sign *a, const aq_store_sign *b) {
  if (b->source_epoch > b->target_epoch) return AQ_REFUSAL_EPOCHS;
  return a->target_epoch == b->target_epoch ? AQ_REFUSAL_TARGET : AQ_REFUSAL_SURROUND;
}

/* Goal: of two attestations of a validator that the chain would slash the second is refused, with the reason, and no
   other is; what another validator or the group signed says nothing. Method: all pairs with epochs up to four. */
static void attestations(void **state) {
  (void)state;
  for (unsigned i = 0; i < 625; i++) {
    aq_store_sign a = attestation(1, i % 5, i / 5 % 5, 1), b = attestation(2, i / 25 % 5, i / 125, 2);
    empty();
    if (a.source_epoch > a.target_epoch) {
      assert_int_equal(sign(a), AQ_E_SLASH);
      assert_int_equal(g_db.refusal, AQ_REFUSAL_EPOCHS);
      continue;
    }
    assert_int_equal(sign(a), AQ_OK);
    assert_int_equal(sign(a), AQ_OK);
    bool good = b.source_epoch <= b.target_epoch && !slashable(&a, &b);
    assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE), AQ_OK);
    assert_int_equal(sign(b), good ? AQ_OK : AQ_E_SLASH);
    if (!good) assert_int_equal(g_db.refusal, why_not(&a, &b));
    assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE_UNDO), AQ_OK);
    if (b.source_epoch > b.target_epoch) continue;
    b.kind = AQ_SIGN_GROUP;
    assert_int_equal(sign(b), AQ_OK);
    b.kind = AQ_SIGN_PARTIAL, b.pubkey[0] = 2;
    assert_int_equal(sign(b), AQ_OK);
    aq_store_sign other = a;
    other.root[0] = 9;
    assert_int_equal(sign(other), AQ_E_SLASH);
    assert_int_equal(g_db.refusal, AQ_REFUSAL_ROOT);
  }
}

/* Goal: one block a slot and validator, whichever way it was built. Method: all pairs over slots, ways and roots. */
static void blocks(void **state) {
  (void)state;
  for (unsigned i = 0; i < 64; i++) {
    aq_store_sign a = block(5 + i % 2, i & 2 ? AQ_DUTY_PROPOSER : AQ_DUTY_BUILDER_PROPOSER, 1 + (i >> 2) % 2);
    aq_store_sign b = block(5 + (i >> 3) % 2, i & 16 ? AQ_DUTY_PROPOSER : AQ_DUTY_BUILDER_PROPOSER, 1 + (i >> 5) % 2);
    empty();
    assert_int_equal(sign(a), AQ_OK);
    bool good = a.duty.slot != b.duty.slot || a.root[0] == b.root[0];
    assert_int_equal(sign(b), good ? AQ_OK : AQ_E_SLASH);
    if (!good) assert_int_equal(g_db.refusal, AQ_REFUSAL_BLOCK);
    b.pubkey[0] = 2;
    assert_int_equal(sign(b), AQ_OK);
  }
}

/* Goal: nothing at or below a validator's watermark is signed, for shares and group; marks only rise, each by itself.
   Method: all marks up to two (-1: none), raised once more by lower ones; all attestations and blocks up to four. */
static void marks(void **state) {
  (void)state;
  for (int i = 0; i < 64; i++) {
    int64_t source = i % 4 - 1, target = i / 4 % 4 - 1, slot = i / 16 - 1;
    const uint8_t pubkey[48] = {1};
    empty();
    assert_int_equal(aq_db_mark(&g_db, pubkey, source, target, slot), AQ_OK);
    assert_int_equal(aq_db_mark(&g_db, pubkey, source - 1, target - 1, slot - 1), AQ_OK);
    for (int k = 0; k < 2 * 25; k++) {
      aq_store_sign a = attestation(9, (uint64_t)k % 5, (uint64_t)k / 5 % 5, 1);
      aq_store_sign b = block((uint64_t)k % 5, AQ_DUTY_PROPOSER, 1);
      a.kind = b.kind = k < 25 ? AQ_SIGN_PARTIAL : AQ_SIGN_GROUP;
      if (a.source_epoch > a.target_epoch) continue;
      bool good = (int64_t)a.source_epoch >= source && (int64_t)a.target_epoch > target;
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE), AQ_OK);
      assert_int_equal(sign(a), good ? AQ_OK : AQ_E_SLASH);
      if (!good) assert_int_equal(g_db.refusal, AQ_REFUSAL_MARK);
      assert_int_equal(sign(b), (int64_t)b.duty.slot > slot ? AQ_OK : AQ_E_SLASH);
      a.pubkey[0] = b.pubkey[0] = 2;
      assert_true(sign(a) == AQ_OK && sign(b) == AQ_OK);
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE_UNDO), AQ_OK);
      assert_int_equal(aq_db_run(&g_db, AQ_DB_SAVE_END), AQ_OK);
    }
  }
}

/* Goal: of a set that contradicts somewhere nothing is recorded.
   Method: a good one before a bad one, a bad one first. */
static void sets(void **state) {
  (void)state;
  for (int bad = 0; bad < 3; bad++) {
    empty();
    aq_store_sign set[3] = {attestation(1, 1, 2, 1), attestation(2, 2, 3, 2), attestation(3, 3, 4, 3)};
    set[bad].source_epoch = 9;
    assert_int_equal(aq_db_sign(&g_db, set, 3), AQ_E_SLASH);
    for (int i = 0; i < 3; i++) {
      set[i].root[0] = 7; /* free, as nothing is there */
      if (i != bad) assert_int_equal(sign(set[i]), AQ_OK);
    }
  }
}

/* Goal: numbers that the database takes as negative are refused, the largest that it holds are kept.
   Method: each number of each call at the border. */
static void limits(void **state) {
  (void)state;
  const uint64_t top = INT64_MAX;
  for (int over = 0; over < 2; over++) {
    aq_status want = over ? AQ_E_LIMIT : AQ_OK;
    uint64_t n = top + (uint64_t)over;
    const small_vote round = {2, 0, n, 0}, prepared = {4, 0, 1, n}, sound = {2, 0, 1, 0};
    empty();
    assert_int_equal(put_vote(&sound, n), want);
    assert_int_equal(put_vote(&round, 2), want);
    assert_int_equal(put_vote(&prepared, 3), want);
    assert_int_equal(decide(n, 1, 1, NULL), want);
    assert_int_equal(decide(1, n, 1, NULL), want);
    const aq_store_blob blob = {.duty = {n, AQ_DUTY_ATTESTER}, .hash = {1}, .value = aq_bytes_str("abc")};
    assert_int_equal(decide(2, 1, 1, &blob), want);
    aq_store_vote v = {.duty = {4, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1, .msg = aq_bytes_str("m")};
    assert_int_equal(aq_db_vote(&g_db, &v, &blob), want);
    assert_int_equal(sign(attestation(n, 1, 2, 1)), want);
    assert_int_equal(sign(attestation(6, 3, n, 1)), want);
    empty();
    assert_int_equal(sign(attestation(7, n, n, 1)), want);
    assert_int_equal(aq_db_prune(&g_db, n), want);
  }
}

/* ---- pruning ---- */

static uint32_t g_votes;
static uint64_t g_oldest;
static void on_vote(void *arg, const aq_store_vote *v) {
  (void)arg;
  if (g_votes++ == 0) g_oldest = v->duty.slot;
}

enum { LAST = 5000 }; /* slot of the newest vote where it is about pruning */

/* Goal: pruning takes old votes, never those near the newest one, whatever the clock says; signed roots that it takes
   leave their highest source, target and block behind. Method: a vote every slot; a journal from slot 0 on. */
static void prunes(void **state) {
  (void)state;
  const aq_store_visitor count = {.vote = on_vote};
  const small_vote v = {2, 0, 1, 0};
  empty();
  g_db.compacted_slot = 0;
  for (uint64_t slot = LAST - 200; slot <= LAST; slot++) assert_int_equal(put_vote(&v, slot), AQ_OK);
  for (int ahead = 0; ahead < 2; ahead++) {
    assert_int_equal(aq_db_prune(&g_db, ahead ? LAST + 100000 : LAST - 150), AQ_OK);
    g_votes = 0;
    assert_int_equal(aq_db_load(&g_db, 0, &count), AQ_OK);
    assert_int_equal(g_oldest, ahead ? LAST - AQ_STORE_KEEP_SLOTS : LAST - 150);
    assert_int_equal(g_votes, LAST - g_oldest + 1);
    g_votes = 0;
    assert_int_equal(aq_db_load(&g_db, LAST, &count), AQ_OK);
    assert_int_equal(g_votes, 1);
  }
  empty();
  assert_int_equal(aq_db_prune(&g_db, 7), AQ_OK); /* no vote at all */
  g_db.compacted_slot = 0;
  assert_int_equal(put_vote(&v, LAST), AQ_OK);
  assert_int_equal(sign(attestation(40, 5, 6, 1)), AQ_OK);
  assert_int_equal(sign(attestation(50, 3, 4, 1)), AQ_OK);
  assert_int_equal(sign(block(45, AQ_DUTY_PROPOSER, 1)), AQ_OK);
  assert_int_equal(sign(block(47, AQ_DUTY_BUILDER_PROPOSER, 1)), AQ_OK);
  assert_int_equal(sign(attestation(LAST, 20, 21, 1)), AQ_OK);
  assert_int_equal(aq_db_prune(&g_db, LAST), AQ_OK);
  assert_int_equal(sign(attestation(50, 3, 4, 2)), AQ_E_SLASH);
  assert_int_equal(g_db.refusal, AQ_REFUSAL_MARK); /* the record itself is gone */
  assert_int_equal(sign(attestation(60, 4, 9, 2)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(60, 5, 6, 2)), AQ_E_SLASH);
  assert_int_equal(sign(attestation(60, 5, 7, 2)), AQ_OK);
  assert_int_equal(sign(block(47, AQ_DUTY_PROPOSER, 1)), AQ_E_SLASH);
  assert_int_equal(sign(block(48, AQ_DUTY_PROPOSER, 1)), AQ_OK);
  assert_int_equal(sign(attestation(LAST, 20, 21, 1)), AQ_OK); /* young: still there, word by word */
}

/* Goal: a row of a kind that no version writes counts for nothing and does no harm. Method: kinds below and beyond the
   known ones, then the rules for the others. */
static void votes_of_no_kind(void **state) {
  (void)state;
  static const uint8_t kind[] = {0, 5, 6, 9, 40, 254, 255};
  empty();
  for (size_t i = 0; i < AQ_COUNT(kind); i++) assert_int_equal(put_vote(&(small_vote){kind[i], 0, 3, 0}, 9), AQ_OK);
  const char *text =
      "UPDATE vote SET msg_type=-1 WHERE msg_type=254; UPDATE vote SET msg_type=-1000 WHERE msg_type=255";
  assert_int_equal(sqlite3_exec(g_db.h, text, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(put_vote(&(small_vote){2, 0, 2, 0}, 9), AQ_OK);
  assert_int_equal(put_vote(&(small_vote){2, 0, 1, 0}, 9), AQ_E_SLASH);
  assert_int_equal(put_vote(&(small_vote){4, 0, 3, 0}, 9), AQ_OK);
  assert_int_equal(put_vote(&(small_vote){3, 0, 2, 0}, 9), AQ_E_SLASH);
}

/* Goal: pruning leaves each signer its own watermark. Method: three keys, both kinds, two epochs each; another vote for
   the higher of each, and one above it. */
static void marks_of_signers(void **state) {
  (void)state;
  empty();
  g_db.compacted_slot = 0;
  for (int round = 0; round < 2; round++) {
    for (uint8_t i = 0; i < 6; i++) {
      for (uint64_t e = 0; e < 3; e++) {
        aq_store_sign s = attestation(9 + e, e, e + 2 + i, (uint8_t)(1 + round));
        s.kind = i % 2 ? AQ_SIGN_GROUP : AQ_SIGN_PARTIAL;
        s.pubkey[0] = i / 2;
        if (e == 2 && !round) continue;
        assert_int_equal(sign(s), round && e < 2 ? AQ_E_SLASH : AQ_OK);
        if (round && e < 2) assert_int_equal(g_db.refusal, AQ_REFUSAL_MARK);
      }
    }
    if (!round) assert_int_equal(aq_db_prune(&g_db, LAST), AQ_OK);
  }
}

/* Goal: a database that does not work is AQ_E_IO for each operation, whatever it lacks, and stops nobody; what was not
   pruned is tried again. Method: each of its tables away, by itself and with all others, before any statement was made
   ready; each operation. */
static void lost_tables(void **state) {
  (void)state;
  static const char *const table[] = {"vote", "blob", "decided", "sign", "mark", "peer", "partial"};
  static const small_vote v = {2, 0, 1, 0};
  for (size_t i = 0; i <= AQ_COUNT(table); i++) {
    (void)!aq_db_run(&g_db, AQ_DB_ROLLBACK);
    aq_db_close(&g_db);
    assert_int_equal(aq_db_view(&g_db, g_path, true, NULL), AQ_OK);
    assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
    bool gone[AQ_COUNT(table)];
    for (size_t k = 0; k < AQ_COUNT(table); k++) {
      char text[64];
      gone[k] = i == k || i == AQ_COUNT(table);
      snprintf(text, sizeof text, "DROP TABLE %s", table[k]);
      if (gone[k]) assert_int_equal(sqlite3_exec(g_db.h, text, NULL, NULL, NULL), SQLITE_OK);
    }
    const aq_store_blob blob = {.duty = {9, AQ_DUTY_ATTESTER}, .hash = {1}, .value = aq_bytes_str("x")};
    aq_store_vote found = {.duty = {9, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1};
    aq_store_sign s = attestation(9, 1, 2, 1);
    s.partial = aq_bytes_str("partial");
    assert_int_equal(put_vote(&v, 9), gone[0] ? AQ_E_IO : AQ_OK);
    assert_int_equal(put_vote(&v, LAST), gone[0] ? AQ_E_IO : AQ_OK);
    assert_int_equal(aq_db_find(&g_db, &found), gone[0] ? AQ_E_IO : AQ_OK);
    assert_int_equal(decide(9, 1, 1, &blob), gone[1] || gone[2] ? AQ_E_IO : AQ_OK);
    assert_int_equal(sign(s), gone[3] || gone[4] || gone[6] ? AQ_E_IO : AQ_OK);
    assert_int_equal(aq_db_peer(&g_db, 1, "address"), gone[5] ? AQ_E_IO : AQ_OK);
    assert_int_equal(aq_db_peer(&g_db, 1, ""), gone[5] ? AQ_E_IO : AQ_OK);
    assert_int_equal(aq_db_over(&g_db, s.pubkey, s.duty), gone[6] ? AQ_E_IO : AQ_OK);
    bool pruned = i == 5; /* all tables but that of the peers */
    assert_int_equal(aq_db_prune(&g_db, LAST), pruned ? AQ_OK : AQ_E_IO);
    assert_int_equal(g_db.compacted_slot != 0, pruned);
  }
  (void)!aq_db_run(&g_db, AQ_DB_ROLLBACK);
  assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(votes),       cmocka_unit_test(finds),
      cmocka_unit_test(decisions),   cmocka_unit_test(attestations),
      cmocka_unit_test(blocks),      cmocka_unit_test(marks),
      cmocka_unit_test(sets),        cmocka_unit_test(limits),
      cmocka_unit_test(prunes),      cmocka_unit_test(marks_of_signers),
      cmocka_unit_test(lost_tables), cmocka_unit_test(votes_of_no_kind),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
