/* Proposals of leaders that leave out, invent and overpay, before beacon nodes that know more or less than ours. */
#include "flow/judge.h"

#include "fake/nodes.h"
#include "qbft/qbft.h"

/* What node 0 of a cluster of four prepares (f is 1: rounds 1 and 2 are strict ones, in 3 to 7 f+1 nodes are enough,
   in 8 anything goes that is not judged in all rounds). Both validators attest in slot 3 of an epoch, in committees 0
   and 1; validator 1 proposes in slot 5. Slots of 12 s: once more after 250 ms. */
enum { ALL = 0xf, ATTEST_SLOT = SPE + 3, PROPOSE_SLOT = SPE + 5, EPOCH = 1, BYTES_MAX = 8 << 20, STRICT = 2, OPEN = 8 };

static const aq_duty attest = {ATTEST_SLOT, AQ_DUTY_ATTESTER}, next_attest = {ATTEST_SLOT + SPE, AQ_DUTY_ATTESTER},
                     propose = {PROPOSE_SLOT, AQ_DUTY_PROPOSER};

typedef struct {
  aq_att_data data;
  aq_attester_duty duty[VALIDATORS];
  uint32_t cnt; /* the first so many validators */
} votes_set;

/* As everybody's beacon node has it. */
static votes_set good_set(const world *w) {
  votes_set s = {.data = {.slot = ATTEST_SLOT, .source_epoch = EPOCH - 1, .target_epoch = EPOCH}, .cnt = VALIDATORS};
  memset(s.data.source_root, 0x21, 32);
  memset(s.data.target_root, 0x21, 32);
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    s.duty[v] = (aq_attester_duty){.slot = ATTEST_SLOT,
                                   .validator_index = FIRST_INDEX + v,
                                   .committee_index = v,
                                   .committee_length = 9,
                                   .committees_at_slot = 4,
                                   .validator_committee_index = v + 1};
    memcpy(s.duty[v].pubkey, w->validator[v].pubkey, 48);
  }
  return s;
}

/* The same an epoch later. */
static votes_set next_epoch(votes_set s) {
  s.data.slot += SPE, s.data.target_epoch++;
  for (uint32_t v = 0; v < VALIDATORS; v++) s.duty[v].slot += SPE;
  return s;
}

typedef struct {
  aq_unsigned item[VALIDATORS];
  aq_buf data[VALIDATORS];
  aq_unsigned_set set;
} encoded;

static int by_key(const void *a, const void *b) {
  return memcmp(((const aq_unsigned *)a)->pubkey, ((const aq_unsigned *)b)->pubkey, 48);
}

static void encode(encoded *e, const votes_set *s) {
  uint8_t ssz[128];
  aq_att_data_put(ssz, &s->data);
  for (uint32_t v = 0; v < s->cnt; v++) {
    aq_unsigned_data u = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = s->duty[v]};
    e->data[v] = AQ_BUF(BYTES_MAX);
    assert_int_equal(aq_unsigned_encode(&e->data[v], &u), AQ_OK);
    memcpy(e->item[v].pubkey, s->duty[v].pubkey, 48);
    e->item[v].data = aq_buf_bytes(&e->data[v]);
  }
  qsort(e->item, s->cnt, sizeof e->item[0], by_key);
  e->set = (aq_unsigned_set){e->item, s->cnt};
}

static void encoded_free(encoded *e) {
  for (uint32_t v = 0; v < VALIDATORS; v++) aq_buf_free(&e->data[v]);
}

static aq_value_verdict judge_once(const world *w, const aq_value_case *c, const votes_set *s) {
  encoded e = {0};
  aq_err err = {AQ_OK, ""};
  encode(&e, s);
  aq_value_verdict v = aq_judge_value(w->node[0].workflow->judge, c, &e.set, &err);
  assert_true((v == AQ_VALUE_BAD || v == AQ_VALUE_DOUBT) == (err.text[0] != 0));
  encoded_free(&e);
  return v;
}

/* The verdict at once or when all that was asked is answered; consensus would ask after each answer. */
static aq_value_verdict judge_case(world *w, const aq_value_case *c, const votes_set *s) {
  aq_value_verdict v = AQ_VALUE_WAIT;
  for (int i = 0; i < 60 && (v = judge_once(w, c, s)) == AQ_VALUE_WAIT; i++) fake_env_run_for(&w->env, AQ_MILLIS(100));
  return v;
}

static aq_value_verdict judge_in(world *w, int64_t round, const votes_set *s) {
  const aq_value_case c = {.duty = attest, .round = round};
  return judge_case(w, &c, s);
}

/* What a rule for early rounds says, by round. */
static aq_value_verdict early_verdict(int64_t round, bool seconded) {
  if (round <= STRICT) return AQ_VALUE_BAD;
  return round < OPEN && !seconded ? AQ_VALUE_DOUBT : AQ_VALUE_GOOD;
}

static void judged_as_early(world *w, aq_duty duty, const votes_set *s) {
  for (int64_t k = 0; k < 2 * OPEN; k++) {
    const aq_value_case c = {.duty = duty, .round = 1 + k / 2, .seconded = k % 2};
    assert_int_equal(judge_case(w, &c, s), early_verdict(c.round, c.seconded));
  }
}

static world *at_attestation(void) {
  world *w = world_new(1, 1);
  run_to(w, ATTEST_SLOT, AQ_SECONDS(5));
  return w;
}

/* Goal: a leader that leaves validators out costs its round; one whose schedule is another is followed in the end, and
   what a quorum prepared is not refused. Method: one of two entries, in rounds 1 to 8 and as a prepared value. */
static void test_left_out(void **state) {
  (void)state;
  world *w = at_attestation();
  votes_set s = good_set(w);
  for (int64_t round = 1; round <= OPEN; round++) assert_int_equal(judge_in(w, round, &s), AQ_VALUE_GOOD);
  s.cnt = 1;
  judged_as_early(w, attest, &s);
  const aq_value_case prepared = {.duty = attest, .round = 2, .prepared = true};
  assert_int_equal(judge_once(w, &prepared, &s), AQ_VALUE_GOOD);
  world_free(w);
}

/* Goal: no source above what our beacon node has justified is ever prepared, for every later vote could be surrounded;
   the node is asked once more, since a leader can know a moment earlier. Method: a source one too high, in each round;
   then the beacon node justifies it while the second question waits. */
static void test_unjustified_source(void **state) {
  (void)state;
  world *w = world_new(1, 1);
  node *n = &w->node[0];
  votes_set s = next_epoch(good_set(w));
  n->beacon.other_votes = true;
  n->beacon.votes = s.data; /* the chain is an epoch behind */
  run_to(w, ATTEST_SLOT + SPE, AQ_SECONDS(5));
  s.data.source_epoch = EPOCH;
  for (int64_t round = 1; round <= OPEN; round++) {
    const aq_value_case c = {.duty = next_attest, .round = round, .seconded = round % 2};
    uint32_t before = n->beacon.votes_asked;
    assert_int_equal(judge_case(w, &c, &s), AQ_VALUE_BAD);
    assert_int_equal(n->beacon.votes_asked, before + 1);
  }
  const aq_value_case c = {.duty = next_attest, .round = OPEN + 1};
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_WAIT);
  n->beacon.votes = s.data;
  fake_env_run_for(&w->env, AQ_MILLIS(100));
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_WAIT);
  fake_env_run_for(&w->env, AQ_MILLIS(200));
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_GOOD);
  world_free(w);
}

/* Goal: an old or foreign source, or a target that our beacon node does not know, costs the leader its round; honest
   nodes that do not come together follow f+1 of one mind from round 3 on, and anybody in round 8. Method: each part of
   the votes changed, in rounds 1 to 8. */
static void test_other_votes(void **state) {
  (void)state;
  world *w = at_attestation();
  w->node[0].beacon.other_votes = true;
  w->node[0].beacon.votes = good_set(w).data;
  for (int kind = 0; kind < 2; kind++) {
    votes_set s = good_set(w);
    if (kind == 0) s.data.source_root[0] ^= 1;
    if (kind == 1) s.data.target_root[0] ^= 1;
    judged_as_early(w, attest, &s);
  }
  world_free(w);
  w = world_new(1, 1); /* an epoch later, where the source is not 0 */
  run_to(w, ATTEST_SLOT + SPE, AQ_SECONDS(5));
  votes_set s = next_epoch(good_set(w));
  judged_as_early(w, next_attest, &s);
  world_free(w);
}

/* Goal: a leader whose beacon node lacks a late block, or has one that ours gets a moment later, is followed at once.
   Method: a target that our node knows, of slots around the epoch's first; then one that becomes our own. */
static void test_known_target(void **state) {
  (void)state;
  static const struct {
    uint64_t slot;
    bool good;
  } block[] = {{SPE, true}, {SPE + 1, false}, {SPE - 1, true}, {0, true}};
  world *w = at_attestation();
  node *n = &w->node[0];
  votes_set s = good_set(w);
  for (uint8_t i = 0; i < AQ_COUNT(block); i++) {
    memset(s.data.target_root, i + 1, 32);
    memset(n->beacon.known_block, i + 1, 32);
    n->beacon.known_slot = block[i].slot;
    assert_int_equal(judge_in(w, 1, &s), block[i].good ? AQ_VALUE_GOOD : AQ_VALUE_BAD);
  }
  assert_int_equal(n->beacon.blocks_asked, AQ_COUNT(block) + 1); /* the bad one once more */
  memset(s.data.target_root, 0x44, 32);
  const aq_value_case c = {.duty = attest, .round = 2};
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_WAIT);
  fake_env_run_for(&w->env, AQ_MILLIS(20)); /* not there */
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_WAIT);
  n->beacon.other_votes = true;
  n->beacon.votes = s.data;
  fake_env_run_for(&w->env, AQ_MILLIS(300));
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_GOOD);
  world_free(w);
}

/* Goal: true answers about blocks that a leader made up its targets from do not make our beacon node one that is not
   believed. Method: blocks of a slot after the epoch's first, one after the other. */
static void test_old_blocks(void **state) {
  (void)state;
  world *w = at_attestation();
  node *n = &w->node[0];
  votes_set s = good_set(w);
  n->beacon.known_slot = SPE + 1;
  for (uint8_t i = 1; i <= 2 * AQ_BN_UNFIT_RUN; i++) {
    memset(s.data.target_root, i, 32);
    memset(n->beacon.known_block, i, 32);
    assert_int_equal(judge_in(w, 1, &s), AQ_VALUE_BAD);
  }
  aq_bn_health health;
  aq_bn_health_get(n->bn, &health);
  assert_false(health.unfit || health.some_unfit);
  world_free(w);
}

/* Goal: a beacon node that does not answer lets nothing through that it has not justified before, and the wait ends.
   Method: silent from the start; silent, or refusing, since an epoch ago, with sources of then and of now. */
static void test_silent_beacon_node(void **state) {
  (void)state;
  world *w = world_new(1, 1);
  w->node[0].beacon.silent = true;
  run_to(w, ATTEST_SLOT, AQ_SECONDS(5));
  votes_set s = good_set(w);
  const aq_value_case c = {.duty = attest, .round = 1};
  assert_int_equal(judge_once(w, &c, &s), AQ_VALUE_WAIT);
  assert_int_equal(judge_case(w, &c, &s), AQ_VALUE_BAD); /* two questions of two seconds each */
  world_free(w);
  w = at_attestation(); /* source 0 was named */
  w->bn_down = true;
  run_to(w, ATTEST_SLOT + SPE, AQ_SECONDS(5));
  s = next_epoch(good_set(w));
  for (uint64_t source = 0; source < 2; source++) {
    const aq_value_case late = {.duty = next_attest, .round = STRICT + 1};
    s.data.source_epoch = source;
    assert_int_equal(judge_case(w, &late, &s), source == 0 ? AQ_VALUE_GOOD : AQ_VALUE_BAD);
  }
  world_free(w);
}

/* ---- blocks ---- */

static char why[400]; /* of the last block judged */

static aq_value_verdict judge_block(const world *w, int64_t round, bool prepared, bool blinded, uint32_t v,
                                    const uint8_t fee[20]) {
  const aq_ssz_type *t = aq_t_proposal(AQ_ELECTRA, blinded, false);
  const aq_value_case c = {.duty = propose, .round = round, .prepared = prepared};
  uint8_t le[8];
  aq_err err = {AQ_OK, ""};
  aq_buf value = AQ_BUF(BYTES_MAX), out = AQ_BUF(BYTES_MAX);
  assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
  aq_le64_put(le, FIRST_INDEX + v);
  fake_set_field(&value, t, blinded ? "proposer_index" : "block.proposer_index", le, 8);
  fake_set_field(&value, t,
                 blinded ? "body.execution_payload_header.fee_recipient" : "block.body.execution_payload.fee_recipient",
                 fee, 20);
  aq_unsigned_data u = {
      .duty = AQ_DUTY_PROPOSER, .fork = AQ_ELECTRA, .blinded = blinded, .type = t, .value = aq_buf_bytes(&value)};
  assert_int_equal(aq_unsigned_encode(&out, &u), AQ_OK);
  aq_unsigned item = {.data = aq_buf_bytes(&out)};
  memcpy(item.pubkey, w->validator[v].pubkey, 48);
  aq_value_verdict verdict = aq_judge_value(w->node[0].workflow->judge, &c, &(aq_unsigned_set){&item, 1}, &err);
  snprintf(why, sizeof why, "%s", err.text);
  aq_buf_free(&value);
  aq_buf_free(&out);
  return verdict;
}

static size_t lines_with(const world *w, const char *text) {
  size_t cnt = 0;
  for (size_t i = 0; i < w->line_cnt; i++) cnt += strstr(w->line[i], text) != NULL;
  return cnt;
}

static double fee_gauge(void) {
  return aq_metric_value(AQ_M_CORE_FETCHER_PROPOSAL_LOCAL_MISMATCH_FEE_RECIPIENT, AQ_NO_LABELS);
}

static const uint8_t ours[20] = {0xaa, 19}, theirs[20] = {0xbb, 19}, newer[20] = {0xcc, 19};

static world *at_proposal(bool builder_api) {
  static aq_validator_address address[VALIDATORS] = {{"0xaa13000000000000000000000000000000000000", ""},
                                                     {"0xAA13000000000000000000000000000000000000", ""}};
  world *w = world_new(0, 0);
  w->lock.def.addresses = address;
  w->builder_api = builder_api;
  node_start(w, 0, true, AQ_STORE_OK);
  run_to(w, PROPOSE_SLOT, AQ_SECONDS(1));
  return w;
}

/* Goal: with the builder off no round lets a full block through that pays another address than the lock's; the gauge
   and the reason say so. Method: the lock's address in both cases of letters, another one; a blinded block, which pays
   by other means. */
static void test_fee_recipient(void **state) {
  (void)state;
  world *w = at_proposal(false);
  for (int64_t round = 1; round <= OPEN; round++) {
    assert_int_equal(judge_block(w, round, false, false, 1, ours), AQ_VALUE_GOOD);
    assert_true(fee_gauge() == 1);
    assert_int_equal(judge_block(w, round, false, false, 1, theirs), AQ_VALUE_BAD);
    assert_string_equal(why,
                        "the block pays 0xbb13000000000000000000000000000000000000, which is not the cluster's fee "
                        "recipient");
    assert_true(fee_gauge() == 2);
    assert_int_equal(judge_block(w, round, false, true, 1, theirs), AQ_VALUE_GOOD);
  }
  assert_int_equal(judge_block(w, 2, true, false, 1, theirs), AQ_VALUE_GOOD); /* a quorum knew better */
  aq_dist_validator *v = &w->validator[1];
  v->has_override = true; /* some operators have it, some not yet */
  memcpy(v->override.fee_recipient, newer, 20);
  assert_int_equal(judge_block(w, 1, false, false, 1, newer), AQ_VALUE_GOOD);
  assert_int_equal(judge_block(w, 1, false, false, 1, ours), AQ_VALUE_GOOD);
  assert_int_equal(judge_block(w, 1, false, false, 1, theirs), AQ_VALUE_BAD);
  v->has_override = false;
  assert_int_equal(judge_block(w, 1, false, false, 1, newer), AQ_VALUE_BAD);
  w->lock.def.addresses = NULL;
  assert_int_equal(judge_block(w, 1, false, false, 1, theirs), AQ_VALUE_GOOD);
  world_free(w);
}

/* Goal: with the builder on such a block passes, with one line a duty. Method: the same, four times. */
static void test_fee_recipient_with_builder(void **state) {
  (void)state;
  world *w = at_proposal(true);
  for (int i = 0; i < 4; i++) assert_int_equal(judge_block(w, 1, false, false, 1, theirs), AQ_VALUE_GOOD);
  assert_int_equal(lines_with(w, "\"msg\":\"fee_recipient\""), 1);
  assert_true(fee_gauge() == 2);
  assert_int_equal(judge_block(w, 1, false, false, 1, ours), AQ_VALUE_GOOD);
  assert_int_equal(lines_with(w, "\"msg\":\"fee_recipient\""), 1);
  world_free(w);
}

/* Goal: a leader that has another validator of the cluster propose costs its round. Method: validator 0 in the slot of
   validator 1. */
static void test_other_proposer(void **state) {
  (void)state;
  world *w = at_proposal(false);
  for (int64_t round = 1; round <= OPEN; round++)
    assert_int_equal(judge_block(w, round, false, false, 0, ours), early_verdict(round, false));
  world_free(w);
}

/* ---- whole duties ---- */

static size_t attested(const node *n) {
  size_t cnt = 0;
  for (size_t k = 0; k < n->beacon.post_cnt; k++) cnt += strstr(n->beacon.post[k].path, "/pool/attestations") != NULL;
  return cnt;
}

/* The duty of all nodes, whose leaders are nodes 2, 3, 0 in turn. */
static void attest_all(world *w) {
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  run_to(w, ATTEST_SLOT + 1, 0);
  for (uint32_t i = 0; i < NODES; i++) assert_int_equal(attested(&w->node[i]) > 0, 1);
}

static uint64_t decided_round(void) {
  return (uint64_t)aq_metric_value(AQ_M_CORE_CONSENSUS_DECIDED_ROUNDS,
                                   AQ_LABELS("/charon/consensus/qbft/2.0.0", "attester", "eager_dlinear"));
}

/* Goal: a leader that is lied to costs its round, not the duty; and nothing waits for longer than that. Method: node
   2's beacon node names another source, or another target. */
static void test_leader_costs_its_round(void **state) {
  (void)state;
  for (int kind = 0; kind < 2; kind++) {
    world *w = world_new(ALL, ALL);
    w->node[2].beacon.other_votes = true;
    w->node[2].beacon.votes = good_set(w).data;
    (kind ? w->node[2].beacon.votes.target_root : w->node[2].beacon.votes.source_root)[0] ^= 1;
    attest_all(w);
    assert_int_equal(decided_round(), 2);
    world_free(w);
  }
}

/* Goal: honest nodes whose views differ decide in round f+2 at the latest. Method: targets that only two nodes each
   know, leaders of rounds 1 and 2 of different halves: f is 1. */
static void test_split_views(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  for (uint32_t i = 0; i < NODES; i++) {
    w->node[i].beacon.other_votes = true;
    w->node[i].beacon.votes = good_set(w).data;
    if (i % 2) w->node[i].beacon.votes.target_root[0] ^= 1;
  }
  attest_all(w);
  assert_int_equal(decided_round(), 3);
  world_free(w);
}

/* Goal: while honest views differ, the leader of round f+2 cannot have its own way. Method: node 2, which leads round
   1, has another target than nodes 1 and 3; node 0, which leads round 3, is lied to. */
static void test_bad_leader_of_split_views(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  for (uint32_t i = 0; i < NODES; i += 2) {
    w->node[i].beacon.other_votes = true;
    w->node[i].beacon.votes = good_set(w).data;
    w->node[i].beacon.votes.target_root[0] ^= (uint8_t)(1 + i);
  }
  attest_all(w);
  assert_int_equal(decided_round(), 4);
  world_free(w);
}

/* Goal: one node that does not vote for want of a beacon node does not hinder the others. Method: node 1's is silent.
   */
static void test_blind_follower(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT - 1, 0);
  w->node[1].beacon.silent = true;
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  run_to(w, ATTEST_SLOT + 1, 0);
  for (uint32_t i = 0; i < NODES; i++) assert_int_equal(attested(&w->node[i]) > 0, i != 1);
  assert_int_equal(decided_round(), 1);
  world_free(w);
}

/* Goal: own data are held to the rules of every round, not to what others may see. Method: an own target that nobody
   else has; a validator left out; a duty that our schedule has otherwise. */
static void test_own_value(void **state) {
  (void)state;
  world *w = at_proposal(false);
  aq_judge *j = w->node[0].workflow->judge;
  encoded e = {0};
  aq_err err = {AQ_OK, ""};
  votes_set s = good_set(w);
  s.data.target_root[0] ^= 1; /* our own view, whatever others see */
  encode(&e, &s);
  assert_int_equal(aq_judge_own(j, attest, &e.set, &err), AQ_OK);
  encoded_free(&e);
  e = (encoded){0};
  s.cnt = 1;
  encode(&e, &s);
  assert_int_equal(aq_judge_own(j, attest, &e.set, &err), AQ_OK);
  encoded_free(&e);
  e = (encoded){0};
  s.cnt = VALIDATORS;
  s.duty[0].validator_index++;
  encode(&e, &s);
  assert_int_equal(aq_judge_own(j, attest, &e.set, &err), AQ_E_REFUSED);
  encoded_free(&e);
  world_free(w);
}

static aq_validator_address one_address[VALIDATORS] = {{"0xaa13000000000000000000000000000000000000", ""},
                                                       {"0xaa13000000000000000000000000000000000000", ""}};

/* Goal: a block that pays a stranger is not proposed, with a line that says why; another leader's is, and the duty is
   done. Method: the beacon nodes of nodes 2 and 3, which leads round 1, forgot the fee recipient. */
static void test_forgotten_fee_recipient(void **state) {
  (void)state;
  world *w = world_new(0, 0);
  w->lock.def.addresses = one_address;
  for (uint32_t i = 0; i < NODES; i++) {
    memcpy(w->node[i].beacon.fee_recipient, i == 2 ? theirs : ours, 20);
    node_start(w, i, true, AQ_STORE_OK);
  }
  assert_int_equal(aq_qbft_leader(PROPOSE_SLOT, AQ_DUTY_PROPOSER, 1, NODES), 3);
  memcpy(w->node[3].beacon.fee_recipient, theirs, 20);
  run_to(w, PROPOSE_SLOT, 0);
  vc_answer answer[NODES] = {0};
  for (uint32_t i = 0; i < NODES; i++) {
    vc_wait(w, i, 1, propose, 0);
    vc_randao(w, i, PROPOSE_SLOT, &answer[i]);
  }
  run_to(w, PROPOSE_SLOT + 1, 0);
  assert_int_equal(lines_with(w, "\"msg\":\"own_value\""), 2);
  for (uint32_t i = 0; i < NODES; i++) assert_true(posts(&w->node[i], "/eth/v2/beacon/blocks") > 0);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_left_out),
      cmocka_unit_test(test_unjustified_source),
      cmocka_unit_test(test_other_votes),
      cmocka_unit_test(test_known_target),
      cmocka_unit_test(test_old_blocks),
      cmocka_unit_test(test_silent_beacon_node),
      cmocka_unit_test(test_fee_recipient),
      cmocka_unit_test(test_fee_recipient_with_builder),
      cmocka_unit_test(test_other_proposer),
      cmocka_unit_test(test_leader_costs_its_round),
      cmocka_unit_test(test_split_views),
      cmocka_unit_test(test_bad_leader_of_split_views),
      cmocka_unit_test(test_blind_follower),
      cmocka_unit_test(test_own_value),
      cmocka_unit_test(test_forgotten_fee_recipient),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
