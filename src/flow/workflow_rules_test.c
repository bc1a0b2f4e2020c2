/* A whole cluster, and one thing in it that no rule may let pass. */
#include "flow/workflow.h"

#include "consensus/consensus_internal.h"
#include "fake/nodes.h"

#define BLOCKS "/eth/v2/beacon/blocks"
enum { ALL = 0xf, ATTEST_SLOT = SPE + 3, PROPOSE_SLOT = SPE + 5, BYTES_MAX = 8 << 20 };

static const aq_duty attest = {ATTEST_SLOT, AQ_DUTY_ATTESTER}, propose = {PROPOSE_SLOT, AQ_DUTY_PROPOSER};

/* ---- what may be agreed on, as far as it needs the lock and the schedule (consensus.md 5.1) ---- */

/* Asked as for round 8 (4f+4), where a set may lack validators and roots may be anybody's: f is 1. */
static bool valid(const world *w, aq_duty duty, const aq_unsigned *item, uint32_t cnt) {
  const aq_consensus_cfg *cfg = &w->node[0].workflow->consensus->cfg;
  const aq_value_case c = {.duty = duty, .round = 8};
  aq_err err = {AQ_OK, ""};
  return cfg->valid(cfg->arg, &c, &(aq_unsigned_set){item, cnt}, &err) == AQ_VALUE_GOOD;
}

/* The duty of validator v as the beacon node gives it. */
static aq_attester_duty duty_of(const world *w, uint32_t v) {
  aq_attester_duty d = {.slot = ATTEST_SLOT,
                        .validator_index = FIRST_INDEX + v,
                        .committee_index = v,
                        .committee_length = 9,
                        .committees_at_slot = 4,
                        .validator_committee_index = v + 1};
  memcpy(d.pubkey, w->validator[v].pubkey, 48);
  return d;
}

static bool valid_attester(const world *w, uint64_t slot, const aq_attester_duty *d, const uint8_t key[48]) {
  uint8_t ssz[128] = {0};
  aq_buf out = AQ_BUF(BYTES_MAX);
  aq_unsigned item = {{0}, {NULL, 0}};
  aq_unsigned_data u = {.duty = AQ_DUTY_ATTESTER, .value = aq_bytes_of(ssz, sizeof ssz), .attester = *d};
  assert_int_equal(aq_unsigned_encode(&out, &u), AQ_OK);
  memcpy(item.pubkey, key, 48);
  item.data = aq_buf_bytes(&out);
  bool ok = valid(w, (aq_duty){slot, AQ_DUTY_ATTESTER}, &item, 1);
  aq_buf_free(&out);
  return ok;
}

/* Goal: an attester's data must be of a validator of the lock and be as our schedule has them.
   Method: the beacon node's duty, then each number and the key changed for themselves; a slot outside the schedule. */
static void test_attester_values(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT, AQ_SECONDS(1));
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    const uint8_t *key = w->validator[v].pubkey;
    const aq_attester_duty good = duty_of(w, v);
    aq_attester_duty d = good;
    uint64_t *const number[] = {&d.validator_index, &d.committee_index, &d.committee_length, &d.committees_at_slot,
                                &d.validator_committee_index};
    assert_true(valid_attester(w, ATTEST_SLOT, &d, key));
    for (size_t i = 0; i < AQ_COUNT(number); i++) {
      ++*number[i];
      assert_false(valid_attester(w, ATTEST_SLOT, &d, key));
      /* Not in our schedule, which may differ; the index of a validator does not. */
      assert_int_equal(valid_attester(w, ATTEST_SLOT + 1, &d, key), i > 0);
      d = good;
    }
    d.pubkey[47] ^= 1;
    assert_false(valid_attester(w, ATTEST_SLOT, &d, key));
    assert_false(valid_attester(w, ATTEST_SLOT, &d, d.pubkey)); /* no such validator */
    assert_false(valid_attester(w, ATTEST_SLOT + 1, &d, d.pubkey));
  }
  world_free(w);
}

static bool valid_block(const world *w, uint32_t v, uint64_t proposer) {
  const aq_ssz_type *t = aq_t_proposal(AQ_ELECTRA, false, false);
  uint8_t le[8];
  aq_buf value = AQ_BUF(BYTES_MAX), out = AQ_BUF(BYTES_MAX);
  assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
  aq_le64_put(le, proposer);
  fake_set_field(&value, t, "block.proposer_index", le, 8);
  aq_unsigned_data u = {.duty = AQ_DUTY_PROPOSER, .fork = AQ_ELECTRA, .type = t, .value = aq_buf_bytes(&value)};
  assert_int_equal(aq_unsigned_encode(&out, &u), AQ_OK);
  aq_unsigned item = {.data = aq_buf_bytes(&out)};
  memcpy(item.pubkey, w->validator[v].pubkey, 48);
  bool ok = valid(w, propose, &item, 1);
  aq_buf_free(&value);
  aq_buf_free(&out);
  return ok;
}

/* Goal: a block names the validator that its entry stands under. Method: both validators, each other's index. */
static void test_proposer_values(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, PROPOSE_SLOT, AQ_SECONDS(1));
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    for (uint32_t other = 0; other < VALIDATORS; other++)
      assert_int_equal(valid_block(w, v, FIRST_INDEX + other), v == other);
  }
  world_free(w);
}

/* ---- records of signatures ---- */

static const aq_store_sign *record_of(const node *n, aq_sign_kind kind, uint32_t v) {
  return fake_disk_sign(&n->disk, kind, attest, n->w->validator[v].pubkey, NULL);
}

static void everybody_attests(world *w) {
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  run_to(w, ATTEST_SLOT + 1, 0);
}

/* Goal: partial and group signatures are both recorded, with the epochs that slashing protection compares (EIP-3076).
   Method: a duty of all; the journal of each node. */
static void test_records(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  everybody_attests(w);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) {
      const aq_store_sign *partial = record_of(&w->node[i], AQ_SIGN_PARTIAL, v);
      const aq_store_sign *group = record_of(&w->node[i], AQ_SIGN_GROUP, v);
      assert_true(partial && group);
      assert_memory_equal(partial->root, group->root, 32);
      uint8_t sig[96]; /* the root that is recorded is the one that was signed */
      aq_bls_sign(sig, w->part[v][i], partial->root);
      assert_memory_equal(partial->partial.ptr, sig, sizeof sig);
      assert_int_equal(partial->source_epoch, ATTEST_SLOT / SPE - 1);
      assert_int_equal(partial->target_epoch, ATTEST_SLOT / SPE);
      assert_int_equal(group->target_epoch, ATTEST_SLOT / SPE);
    }
  }
  world_free(w);
}

static size_t attestations(const node *n) {
  size_t cnt = 0;
  for (size_t k = 0; k < n->beacon.post_cnt; k++) {
    yyjson_doc *doc = yyjson_read((const char *)n->beacon.post[k].body.ptr, n->beacon.post[k].body.len, 0);
    cnt += yyjson_arr_size(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
  }
  return cnt;
}

/* Goal: a group signature that contradicts the journal is neither submitted nor handed on; the others are (contract.md
   7.2). Method: node 0 has a record of another root for validator 1's group. */
static void test_group_journal(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  node *n = &w->node[0];
  aq_store_sign old = {.kind = AQ_SIGN_GROUP, .duty = attest, .root = {1}};
  memcpy(old.pubkey, w->validator[1].pubkey, 48);
  fake_disk_put(&n->disk, fake_row_sign(&old));
  everybody_attests(w);
  for (uint32_t i = 0; i < NODES; i++) assert_int_equal(attestations(&w->node[i]), i == 0 ? 1 : VALIDATORS);
  world_free(w);
}

/* Goal: a vote that would surround or be surrounded is neither sent nor kept, nor the group's submitted.
   Method: nodes 0 and 1 have a record of validator 1 from another slot: of the partial, of the group. */
static void test_surround(void **state) {
  (void)state;
  static const aq_duty duty = {3 * SPE + 3, AQ_DUTY_ATTESTER};
  world *w = world_new(ALL, ALL);
  for (uint32_t i = 0; i < 2; i++) {
    aq_store_sign old = {
        .kind = i ? AQ_SIGN_GROUP : AQ_SIGN_PARTIAL, .duty = {4 * SPE + 1, AQ_DUTY_ATTESTER}, .root = {1}};
    old.source_epoch = duty.slot / SPE - 2, old.target_epoch = duty.slot / SPE + 1;
    memcpy(old.pubkey, w->validator[1].pubkey, 48);
    fake_disk_put(&w->node[i].disk, fake_row_sign(&old));
  }
  run_to(w, duty.slot, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, duty, v);
  }
  run_to(w, duty.slot + 1, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    const node *n = &w->node[i];
    assert_int_equal(n->call[0].answer.item[0], AQ_OK);
    assert_int_equal(n->call[1].answer.item[0], i == 0 ? AQ_E_SLASH : AQ_OK);
    assert_int_equal(!fake_disk_sign(&n->disk, AQ_SIGN_PARTIAL, duty, w->validator[1].pubkey, NULL), i == 0);
    assert_int_equal(!fake_disk_sign(&n->disk, AQ_SIGN_GROUP, duty, w->validator[1].pubkey, NULL), i == 1);
    assert_int_equal(attestations(n), i == 1 ? 1 : VALIDATORS);
  }
  world_free(w);
}

/* ---- submissions of the validator client ---- */

static aq_status submit(world *w, aq_duty duty, const aq_partial *p) {
  vc_answer answer = {0};
  aq_workflow_submit(w->node[0].workflow, duty, p, 1, vc_done, &answer);
  assert_false(answer.called);
  fake_env_run_for(&w->env, AQ_MILLIS(50));
  assert_true(answer.called && answer.cnt == 1);
  return answer.item[0];
}

/* Goal: what is not a signature of this cluster for a running duty is refused, and nothing of it leaves the node.
   Method: a RANDAO reveal, good, then with each part wrong. */
static void test_misplaced(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  run_to(w, PROPOSE_SLOT, 0);
  const aq_duty randao = {PROPOSE_SLOT, AQ_DUTY_RANDAO};
  aq_partial good = {.validator = 1, .data = {.duty = AQ_DUTY_RANDAO, .epoch = PROPOSE_SLOT / SPE}}, p = good;
  vc_sign(w, 0, 1, &a, &good.data);
  assert_int_equal(submit(w, randao, &p), AQ_E_AUTH); /* no signature at all */
  p = good;
  p.validator = VALIDATORS;
  assert_int_equal(submit(w, randao, &p), AQ_E_FORMAT);
  p = good;
  p.data.epoch++;
  assert_int_equal(submit(w, randao, &p), AQ_E_FORMAT);
  p = good;
  p.data.duty = AQ_DUTY_EXIT;
  assert_int_equal(submit(w, randao, &p), AQ_E_FORMAT);
  p.data.duty = AQ_DUTY_SIGNATURE;
  assert_int_equal(submit(w, (aq_duty){PROPOSE_SLOT, AQ_DUTY_SIGNATURE}, &p), AQ_E_FORMAT);
  assert_int_equal(submit(w, (aq_duty){SPE, AQ_DUTY_RANDAO}, &good), AQ_E_STALE);
  p = good;
  p.validator = 0;
  assert_int_equal(submit(w, randao, &p), AQ_E_AUTH);
  assert_int_equal(w->node[0].partials_sent, 0);
  assert_int_equal(submit(w, randao, &good), AQ_OK);
  assert_int_equal(w->node[0].partials_sent, 3);
  aq_arena_free(&a);
  world_free(w);
}

/* Goal: every signature of one request that is recorded reaches the peers: of all validators and all subcommittees.
   Method: requests of both validators, in each of the subcommittees, then of a duty without; what node 2 has of them.
   */
static void test_all_are_shared(void **state) {
  (void)state;
  enum { SUBS = 4 };
  world *w = world_new(ALL, ALL);
  const aq_duty duty = {SPE + 2, AQ_DUTY_PREPARE_SYNC_CONTRIBUTION};
  aq_arena a;
  aq_arena_init(&a, 1 << 20);
  run_to(w, SPE + 1, AQ_SECONDS(1));
  for (uint64_t first = 0; first < SUBS; first++) {
    aq_partial p[VALIDATORS];
    vc_answer answer = {0};
    for (uint32_t v = 0; v < VALIDATORS; v++) {
      p[v] = (aq_partial){.validator = v, .data = {.duty = duty.type, .slot = duty.slot}};
      p[v].data.validator_index = FIRST_INDEX + v;
      p[v].data.subcommittee = (first + v) % SUBS;
      vc_sign(w, 0, v, &a, &p[v].data);
    }
    aq_workflow_submit(w->node[0].workflow, duty, p, VALIDATORS, vc_done, &answer);
    fake_env_run_for(&w->env, AQ_SECONDS(1));
    assert_int_equal(answer.cnt, VALIDATORS);
    for (uint32_t v = 0; v < VALIDATORS; v++) {
      const aq_sign_key key = {.duty = duty, .validator = v, .sub = (uint32_t)((first + v) % SUBS)};
      assert_int_equal(answer.item[v], AQ_OK);
      assert_int_equal(aq_parsigdb_shares(w->node[2].workflow->parsigdb, &key, NULL), 1);
    }
  }
  const aq_duty reveal = {PROPOSE_SLOT, AQ_DUTY_RANDAO};
  aq_partial p[VALIDATORS];
  vc_answer answer = {0};
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    p[v] = (aq_partial){.validator = v, .data = {.duty = reveal.type, .epoch = PROPOSE_SLOT / SPE}};
    vc_sign(w, 0, v, &a, &p[v].data);
  }
  aq_workflow_submit(w->node[0].workflow, reveal, p, VALIDATORS, vc_done, &answer);
  fake_env_run_for(&w->env, AQ_SECONDS(1));
  for (uint32_t v = 0; v < VALIDATORS; v++) {
    const aq_sign_key key = {.duty = reveal, .validator = v};
    assert_int_equal(answer.item[v], AQ_OK);
    assert_int_equal(aq_parsigdb_shares(w->node[2].workflow->parsigdb, &key, NULL), 1);
  }
  aq_arena_free(&a);
  world_free(w);
}

/* ---- what a chain punishes ---- */

/* Of node 0's share, over data that no beacon node gave. */
static const char *submit_made_up(world *w, aq_duty duty, aq_status *st) {
  static vc_answer answer;
  const aq_ssz_type *t = aq_t_proposal(AQ_ELECTRA, false, false);
  uint8_t ssz[128] = {0}, le[8], parent[32] = {99};
  aq_att_data att = {.slot = ATTEST_SLOT, .target_epoch = ATTEST_SLOT / SPE, .beacon_block_root = {99}};
  aq_unsigned_data u = {
      .duty = duty.type, .fork = AQ_ELECTRA, .type = &aq_t_attestation_data, .attester = duty_of(w, 1)};
  aq_buf value = AQ_BUF(BYTES_MAX);
  aq_att_data_put(ssz, &att);
  u.value = aq_bytes_of(ssz, sizeof ssz);
  if (duty.type == AQ_DUTY_PROPOSER) {
    assert_int_equal(aq_ssz_default(&value, t), AQ_OK);
    aq_le64_put(le, PROPOSE_SLOT);
    fake_set_field(&value, t, "block.slot", le, 8);
    aq_le64_put(le, FIRST_INDEX + 1);
    fake_set_field(&value, t, "block.proposer_index", le, 8);
    fake_set_field(&value, t, "block.parent_root", parent, 32);
    u.type = t, u.value = aq_buf_bytes(&value);
  }
  aq_arena a;
  aq_partial p = {.validator = 1};
  aq_arena_init(&a, 16 << 20);
  assert_int_equal(aq_signed_of_agreed(&p.data, &a, &w->chain, duty, &u), AQ_OK);
  vc_sign(w, 0, 1, &a, &p.data);
  answer = (vc_answer){0};
  aq_workflow_submit(w->node[0].workflow, duty, &p, 1, vc_done, &answer);
  fake_env_run_for(&w->env, AQ_MILLIS(50));
  assert_true(answer.called);
  aq_arena_free(&a);
  aq_buf_free(&value);
  *st = answer.item[0];
  return answer.why[0] ? answer.why[0] : "";
}

/* Everybody brings about the decision; of node 0 only what it signs then is looked at. */
static void decide(world *w, aq_duty duty) {
  static vc_answer randao[NODES];
  memset(randao, 0, sizeof randao);
  fake_env_run_until(&w->env, aq_duty_start_ns(&w->chain, duty));
  for (uint32_t i = 0; i < NODES && duty.type == AQ_DUTY_PROPOSER; i++) vc_randao(w, i, duty.slot, &randao[i]);
  vc_wait(w, 0, 1, duty, duty.type == AQ_DUTY_ATTESTER ? 1 : 0);
}

static const vc_answer *agreed_answer(world *w, aq_duty duty) {
  return &w->node[0].call[1 + (duty.type == AQ_DUTY_PROPOSER ? VALIDATORS : 0)].answer;
}

static size_t partials_of(const node *n, aq_duty duty) { return signs(n, AQ_SIGN_PARTIAL, duty.type, false); }

/* Goal: neither an attestation nor a block is signed for before the cluster decided, nor another than that, nor by a
   node whose records begin after the duty did. Method: each of both before the decision, after it, and on a lost
   store. */
static void test_slashable(void **state) {
  (void)state;
  const aq_duty duty[] = {attest, propose};
  for (size_t i = 0; i < AQ_COUNT(duty); i++) {
    aq_status st;
    world *w = world_new(ALL, ALL);
    fake_env_run_until(&w->env, aq_duty_start_ns(&w->chain, duty[i]) - AQ_MILLIS(60));
    assert_non_null(strstr(submit_made_up(w, duty[i], &st), "consensus has not decided"));
    assert_int_equal(st, AQ_E_FORMAT);
    assert_int_equal(partials_of(&w->node[0], duty[i]), 0);
    decide(w, duty[i]);
    fake_env_run_for(&w->env, AQ_SECONDS(2));
    assert_int_equal(agreed_answer(w, duty[i])->item[0], AQ_OK);
    assert_int_equal(partials_of(&w->node[0], duty[i]), 1);
    (void)submit_made_up(w, duty[i], &st);
    assert_int_equal(st, AQ_E_FORMAT);
    assert_int_equal(partials_of(&w->node[0], duty[i]), 1);
    world_free(w);
    w = world_new(ALL & ~1u, ALL);
    fake_env_run_until(&w->env, aq_duty_start_ns(&w->chain, duty[i]) - AQ_SECONDS(1));
    node_start(w, 0, true, AQ_STORE_MISS);
    decide(w, duty[i]);
    fake_env_run_for(&w->env, AQ_SECONDS(4));
    assert_int_equal(agreed_answer(w, duty[i])->item[0], AQ_E_STALE);
    assert_int_equal(partials_of(&w->node[0], duty[i]), 0);
    world_free(w);
  }
}

/* ---- partials of the peers ---- */

/* Goal: a peer whose share contradicts itself is not believed for the rest of that message (wire.md 7.4 step 5); what
   stood first stays. Method: share 2's RANDAO partials, then others with validator 0's over another root. */
static void test_self_contradiction(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, PROPOSE_SLOT, 0);
  aq_workflow *wf = w->node[0].workflow;
  const aq_duty randao = {PROPOSE_SLOT, AQ_DUTY_RANDAO};
  const aq_sign_key key[2] = {{.duty = randao}, {.duty = randao, .validator = 1}};
  aq_parsigex_item item[2] = {{.validator = 0, .root = {1}, .sig = {1}}, {.validator = 1, .root = {2}, .sig = {2}}};
  aq_parsigex_set set = {.duty = randao, .share = 2, .item = item, .cnt = 1};
  aq_workflow_received(wf, &set);
  assert_int_equal(aq_parsigdb_shares(wf->parsigdb, &key[0], NULL), 2);
  item[0].root[0] = 3, set.cnt = 2;
  aq_workflow_received(wf, &set);
  uint32_t roots;
  assert_int_equal(aq_parsigdb_shares(wf->parsigdb, &key[0], &roots), 2);
  assert_int_equal(roots, 1);
  assert_int_equal(aq_parsigdb_shares(wf->parsigdb, &key[1], NULL), 0);
  item[0].root[0] = 1; /* as at first: a repeat, and the rest counts */
  aq_workflow_received(wf, &set);
  assert_int_equal(aq_parsigdb_shares(wf->parsigdb, &key[1], NULL), 2);
  world_free(w);
}

/* ---- beacon nodes that forgot whom blocks pay ---- */

static aq_validator_address address[VALIDATORS] = {{"0x00000000000000000000000000000000000000a1", ""},
                                                   {"0x00000000000000000000000000000000000000a2", ""}};

/* A slot in which every beacon node was restarted just before, and makes blocks for nobody. */
static world *forgotten(bool tells, uint8_t last) {
  static vc_answer randao[NODES];
  memset(randao, 0, sizeof randao);
  world *w = world_new(ALL, ALL);
  w->lock.def.addresses = address;
  for (uint32_t i = 0; i < NODES; i++) w->node[i].tells = tells, w->node[i].tell[19] = last;
  run_to(w, PROPOSE_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    vc_randao(w, i, PROPOSE_SLOT, &randao[i]);
    vc_wait(w, i, 1, propose, 0);
  }
  run_to(w, PROPOSE_SLOT + 1, 0);
  return w;
}

/* Goal: the block of a beacon node that forgot the fee recipients is not lost: it is told them and asked once more,
   once a duty. Method: all beacon nodes of the cluster forgot; they are told, cannot be told, take something else. */
static void test_forgotten_fee(void **state) {
  (void)state;
  world *w = forgotten(true, 0xa2);
  for (uint32_t i = 0; i < NODES; i++) {
    assert_int_equal(posts(&w->node[i], BLOCKS), 1);
    aq_bytes block = aq_buf_bytes(&w->node[i].beacon.post[0].body);
    aq_bytes paid = aq_ssz_get(aq_t_proposal(AQ_ELECTRA, false, true), block,
                               "signed_block.message.body.execution_payload.fee_recipient");
    assert_bytes(paid, aq_bytes_of(w->node[i].tell, 20));
    assert_true(w->node[i].forgot <= 1);
  }
  world_free(w);
  for (int takes = 0; takes < 2; takes++) {
    w = forgotten(takes, 0xa3);
    for (uint32_t i = 0; i < NODES; i++) {
      assert_int_equal(posts(&w->node[i], BLOCKS), 0);
      assert_int_equal(w->node[i].forgot, 1);
    }
    world_free(w);
  }
}

/* ---- objects of agreed data ---- */

static aq_status object_of(const aq_chain *chain, aq_duty duty, const aq_attester_duty *d) {
  uint8_t ssz[128] = {0};
  aq_arena a;
  aq_signed_data out;
  aq_arena_init(&a, 1 << 20);
  aq_unsigned_data u = {.duty = duty.type, .value = aq_bytes_of(ssz, sizeof ssz), .attester = *d};
  aq_status st = aq_signed_of_agreed(&out, &a, chain, duty, &u);
  aq_arena_free(&a);
  return st;
}

/* Goal: agreed numbers that no committee can have make no object. Method: before and since Electra, each bound. */
static void test_objects(void **state) {
  (void)state;
  aq_chain chain = {.clock = {GENESIS, SLOT_NS, SPE}};
  aq_attester_duty d = {.slot = ATTEST_SLOT, .committee_length = 9, .validator_committee_index = 8};
  for (uint8_t i = 0; i < AQ_FORK_CNT; i++) chain.fork[i].epoch = i <= AQ_DENEB ? 0 : AQ_FAR_EPOCH;
  assert_int_equal(object_of(&chain, attest, &d), AQ_OK);
  d.validator_committee_index = 9;
  assert_int_equal(object_of(&chain, attest, &d), AQ_E_FORMAT);
  d.committee_length = UINT64_MAX;
  assert_int_equal(object_of(&chain, attest, &d), AQ_E_FORMAT);
  d = (aq_attester_duty){.slot = ATTEST_SLOT, .committee_length = 9, .committee_index = 63};
  chain.fork[AQ_ELECTRA].epoch = 0;
  assert_int_equal(object_of(&chain, attest, &d), AQ_OK);
  d.committee_index = 64;
  assert_int_equal(object_of(&chain, attest, &d), AQ_E_FORMAT);
  assert_int_equal(object_of(&chain, (aq_duty){ATTEST_SLOT, AQ_DUTY_AGGREGATOR}, &d), AQ_E_UNSUPPORTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_attester_values),
      cmocka_unit_test(test_proposer_values),
      cmocka_unit_test(test_records),
      cmocka_unit_test(test_group_journal),
      cmocka_unit_test(test_surround),
      cmocka_unit_test(test_slashable),
      cmocka_unit_test(test_all_are_shared),
      cmocka_unit_test(test_misplaced),
      cmocka_unit_test(test_self_contradiction),
      cmocka_unit_test(test_objects),
      cmocka_unit_test(test_forgotten_fee),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
