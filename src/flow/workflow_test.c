/* Whole clusters from the trigger to the beacon node, with nodes, clients and journals that fail. */
#include "flow/workflow.h"

#include "fake/nodes.h"

#define ATTESTATIONS "/eth/v2/beacon/pool/attestations"
#define BLOCKS "/eth/v2/beacon/blocks"
enum { ALL = 0xf, ATTEST_SLOT = SPE + 3, PROPOSE_SLOT = SPE + 5 };

static const aq_duty attest = {ATTEST_SLOT, AQ_DUTY_ATTESTER}, propose = {PROPOSE_SLOT, AQ_DUTY_PROPOSER};

static void vc_attest(world *w) {
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS && w->node[i].up; v++) vc_wait(w, i, v, attest, v);
  }
}

/* Every attestation of the body verifies under its validator's group key. */
static void check_attestations(world *w, const aq_buf *body, size_t want) {
  yyjson_doc *doc = yyjson_read((const char *)body->ptr, body->len, 0);
  yyjson_val *all = yyjson_doc_get_root(doc), *it;
  size_t i, max;
  assert_int_equal(yyjson_arr_size(all), want);
  yyjson_arr_foreach(all, i, max, it) {
    aq_buf data = AQ_BUF(4096), sig = aq_test_hex_of(it, "signature");
    uint8_t object[32], root[32];
    uint64_t v = aq_test_u64(it, "attester_index") - FIRST_INDEX;
    assert_true(v < VALIDATORS && aq_test_u64(it, "committee_index") == v);
    assert_int_equal(aq_ssz_from_json(&data, &aq_t_attestation_data, yyjson_obj_get(it, "data"), NULL), AQ_OK);
    aq_ssz_root(object, &aq_t_attestation_data, aq_buf_bytes(&data));
    aq_chain_signing_root(root, &w->chain, AQ_DOMAIN_BEACON_ATTESTER, ATTEST_SLOT / SPE, object);
    assert_int_equal(aq_bls_verify(w->validator[v].pubkey, root, sig.ptr), AQ_OK);
    aq_buf_free(&data), aq_buf_free(&sig);
  }
  yyjson_doc_free(doc);
}

/* Goal: an attester duty goes from the trigger to a verified submission on every node, with one verdict that has the
   times.
   Method: four nodes with tss, two validators, each with its own validator client. */
static void test_attester(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  vc_attest(w);
  run_to(w, ATTEST_SLOT + 1, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    node *n = &w->node[i];
    for (uint32_t v = 0; v < VALIDATORS; v++)
      assert_true(n->call[v].answer.called && n->call[v].answer.item[0] == AQ_OK);
    assert_true(posts(n, ATTESTATIONS) >= 1);
    size_t sent = 0;
    for (size_t k = 0; k < n->beacon.post_cnt; k++) {
      yyjson_doc *doc = yyjson_read((const char *)n->beacon.post[k].body.ptr, n->beacon.post[k].body.len, 0);
      size_t cnt = yyjson_arr_size(yyjson_doc_get_root(doc));
      yyjson_doc_free(doc);
      check_attestations(w, &n->beacon.post[k].body, cnt);
      sent += cnt;
    }
    assert_int_equal(sent, VALIDATORS);
    assert_int_equal(n->partials_sent, 3 * VALIDATORS);
  }
  assert_int_equal(verdicts(w, "attester", "ok"), NODES);
  for (size_t i = 0; i < w->verdict_cnt; i++) {
    static const char *const step[] = {"fetch=", "consensus=", "sign=", "threshold=", "submit="};
    for (size_t k = 0; k < AQ_COUNT(step); k++) assert_non_null(strstr(w->verdict[i], step[k]));
  }
  assert_true(aq_metric_value(AQ_M_TSS_SESSIONS_TOTAL, AQ_LABELS("ok")) == NODES * VALIDATORS);
  assert_true(aq_metric_value(AQ_M_CONSENSUS_EVENTS_TOTAL, AQ_LABELS("duty")) >= NODES);
  world_free(w);
}

static void vc_propose(world *w, uint32_t skip) {
  static vc_answer randao[NODES];
  memset(randao, 0, sizeof randao);
  run_to(w, PROPOSE_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    if (!w->node[i].up || i == skip) continue;
    vc_randao(w, i, PROPOSE_SLOT, &randao[i]);
    vc_wait(w, i, 1, propose, 0);
  }
  run_to(w, PROPOSE_SLOT + 1, 0);
}

static void check_block(world *w, const aq_buf *body) {
  const aq_ssz_type *t = aq_t_proposal(AQ_ELECTRA, false, true);
  aq_bytes in = aq_buf_bytes(body), block, randao;
  uint8_t object[32], root[32], epoch[32] = {0};
  assert_int_equal(aq_ssz_check(t, in), AQ_OK);
  block = aq_ssz_get(t, in, "signed_block.message");
  aq_ssz_root(object, aq_ssz_type_at(t, "signed_block.message"), block);
  aq_chain_signing_root(root, &w->chain, AQ_DOMAIN_BEACON_PROPOSER, PROPOSE_SLOT / SPE, object);
  assert_int_equal(aq_bls_verify(w->validator[1].pubkey, root, aq_ssz_get(t, in, "signed_block.signature").ptr), AQ_OK);
  randao = aq_ssz_get(t, in, "signed_block.message.body.randao_reveal");
  epoch[0] = PROPOSE_SLOT / SPE;
  aq_chain_signing_root(root, &w->chain, AQ_DOMAIN_RANDAO, PROPOSE_SLOT / SPE, epoch);
  assert_int_equal(aq_bls_verify(w->validator[1].pubkey, root, randao.ptr), AQ_OK);
}

/* Goal: a proposal carries the combined RANDAO, one block is agreed although each beacon node makes its own, all
   submit the same.
   Method: four nodes; blocks are read back from the submissions. */
static void test_proposer(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  vc_propose(w, NODES);
  for (uint32_t i = 0; i < NODES; i++) {
    node *n = &w->node[i];
    assert_int_equal(posts(n, BLOCKS), 1);
    check_block(w, &n->beacon.post[0].body);
    assert_bytes(aq_buf_bytes(&n->beacon.post[0].body), aq_buf_bytes(&w->node[0].beacon.post[0].body));
  }
  assert_int_equal(verdicts(w, "proposer", "ok"), NODES);
  assert_int_equal(verdicts(w, "randao", "ok"), NODES);
  world_free(w);
}

/* Goal: both duties complete with one node down. Method: node 2, which leads some rounds, never starts. */
static void test_one_down(void **state) {
  (void)state;
  world *w = world_new(0xb, ALL);
  vc_attest(w);
  run_to(w, ATTEST_SLOT + 1, 0);
  assert_int_equal(verdicts(w, "attester", "ok"), 3);
  vc_propose(w, NODES);
  assert_int_equal(verdicts(w, "proposer", "ok"), 3);
  for (uint32_t i = 0; i < NODES; i++) {
    if (w->node[i].up) assert_true(posts(&w->node[i], ATTESTATIONS) >= 1 && posts(&w->node[i], BLOCKS) == 1);
  }
  world_free(w);
}

/* Goal: one node with the flag makes the cluster attest; the others agree and share, and count that as done
   (architecture.md 7).
   Method: tss on node 0 only. */
static void test_canary(void **state) {
  (void)state;
  world *w = world_new(ALL, 1);
  vc_attest(w);
  run_to(w, ATTEST_SLOT + 1, 0);
  assert_int_equal(verdicts(w, "attester", "ok"), NODES);
  assert_true(posts(&w->node[0], ATTESTATIONS) >= 1);
  vc_propose(w, NODES);
  assert_int_equal(posts(&w->node[0], BLOCKS), 1);
  check_block(w, &w->node[0].beacon.post[w->node[0].beacon.post_cnt - 1].body);
  assert_int_equal(verdicts(w, "proposer", "ok"), NODES);
  for (uint32_t i = 1; i < NODES; i++) assert_int_equal(w->node[i].beacon.post_cnt, 0);
  run_to(w, PROPOSE_SLOT + 2, 0);
  for (size_t i = 0; i < w->line_cnt; i++) { /* who makes no RANDAO does not wait for it */
    bool fetch = strstr(w->line[i], "\"msg\":\"fetch\"") != NULL;
    assert_false(fetch && strstr(w->line[i], "\"duty\":\"proposer\""));
  }
  run_to(w, 3 * SPE, 0);
  for (size_t i = 0; i < w->verdict_cnt; i++) assert_null(strstr(w->verdict[i], "aggregator"));
  world_free(w);
}

/* Goal: a silent validator client on one node does not stop that node from submitting what t others signed.
   Method: node 3's client never signs; the object comes from the agreed data. */
static void test_no_own_signature(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < 3; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  run_to(w, ATTEST_SLOT + 1, 0);
  assert_true(posts(&w->node[3], ATTESTATIONS) >= 1);
  assert_int_equal(verdicts(w, "attester", "ok"), NODES);
  vc_propose(w, 3);
  assert_int_equal(posts(&w->node[3], BLOCKS), 1);
  check_block(w, &w->node[3].beacon.post[w->node[3].beacon.post_cnt - 1].body);
  world_free(w);
}

static void submit_attestation(world *w, uint32_t v, uint8_t head, bool bad_sig, uint8_t fork_source,
                               vc_answer *answer) {
  aq_arena a;
  aq_partial p = {.validator = v};
  uint8_t ssz[128];
  aq_att_data d;
  aq_bytes agreed = aq_dutydb_attestation(aq_workflow_dutydb(w->node[0].workflow), ATTEST_SLOT, v);
  assert_int_equal(agreed.len, 128);
  aq_att_data_get(&d, agreed);
  if (head) d.beacon_block_root[0] = head;
  d.source_epoch += fork_source;
  aq_att_data_put(ssz, &d);
  aq_unsigned_data u = {.duty = AQ_DUTY_ATTESTER, .type = &aq_t_attestation_data, .value = aq_bytes_of(ssz, 128)};
  u.attester = (aq_attester_duty){.slot = ATTEST_SLOT, .validator_index = FIRST_INDEX + v, .committee_index = v};
  aq_arena_init(&a, 1 << 20);
  assert_int_equal(aq_signed_of_agreed(&p.data, &a, &w->chain, attest, &u), AQ_OK);
  vc_sign(w, bad_sig ? 1 : 0, v, &a, &p.data);
  memset(answer, 0, sizeof *answer);
  aq_workflow_submit(w->node[0].workflow, attest, &p, 1, vc_done, answer);
  assert_false(answer->called);
  fake_env_run_for(&w->env, AQ_MILLIS(50));
  assert_true(answer->called);
  aq_arena_free(&a);
}

/* Goal: only what was agreed is signed, and only with this node's share; a repeat is fine. Nothing refused leaves the
   node.
   Method: before and after the own signature, an attestation with another head, with another source, with another
      node's share. */
static void test_refusals(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  vc_answer r;
  run_to(w, ATTEST_SLOT, SLOT_NS / 3 + AQ_SECONDS(2)); /* decided, nobody signed */
  submit_attestation(w, 0, 0x77, false, 0, &r);
  assert_int_equal(r.item[0], AQ_E_FORMAT);
  submit_attestation(w, 0, 0, true, 0, &r);
  assert_int_equal(r.item[0], AQ_E_AUTH);
  assert_int_equal(w->node[0].partials_sent, 0);
  submit_attestation(w, 0, 0, false, 0, &r);
  assert_int_equal(r.item[0], AQ_OK);
  assert_int_equal(w->node[0].partials_sent, 3);
  submit_attestation(w, 0, 0, false, 0, &r);
  assert_int_equal(r.item[0], AQ_OK);
  submit_attestation(w, 0, 0x77, false, 0, &r);
  assert_int_equal(r.item[0], AQ_E_FORMAT);
  submit_attestation(w, 0, 0, false, 1, &r);
  assert_int_equal(r.item[0], AQ_E_FORMAT);
  assert_int_equal(w->node[0].partials_sent, 3);
  world_free(w);
}

/* Goal: the journal has the last word: what contradicts it is neither sent nor kept (contract.md 7.2).
   Method: a record of another root for the same duty, as an earlier process would have left it. */
static void test_journal(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  vc_answer r;
  node *n = &w->node[0];
  aq_store_sign old = {.kind = AQ_SIGN_PARTIAL, .duty = attest, .root = {1}};
  memcpy(old.pubkey, w->validator[1].pubkey, 48);
  fake_disk_put(&n->disk, fake_row_sign(&old));
  run_to(w, ATTEST_SLOT, SLOT_NS / 3 + AQ_SECONDS(2));
  submit_attestation(w, 1, 0, false, 0, &r);
  assert_int_equal(r.item[0], AQ_E_SLASH);
  assert_int_equal(n->partials_sent, 0);
  aq_sign_key key = {.duty = attest, .validator = 1};
  assert_int_equal(aq_parsigdb_shares(n->workflow->parsigdb, &key, NULL), 0);
  submit_attestation(w, 0, 0, false, 0, &r);
  assert_int_equal(r.item[0], AQ_OK);
  world_free(w);
}

/* Goal: a node without its records signs nothing that began before it did (contract.md 13.6), and everything later.
   Method: node 0 starts with a lost store inside the attester duty's slot, then the next epoch. */
static void test_abstain(void **state) {
  (void)state;
  world *w = world_new(0xe, ALL);
  run_to(w, ATTEST_SLOT, SLOT_NS / 3 - AQ_SECONDS(1));
  node_start(w, 0, true, AQ_STORE_MISS);
  fake_env_run_for(&w->env, AQ_SECONDS(5));
  vc_answer r;
  if (aq_dutydb_attestation(aq_workflow_dutydb(w->node[0].workflow), ATTEST_SLOT, 0).len == 0)
    fail_msg("node 0 learns the decision");
  submit_attestation(w, 0, 0, false, 0, &r);
  assert_int_equal(r.item[0], AQ_E_STALE);
  assert_non_null(strstr(r.why[0], "this node's records begin after that duty did"));
  assert_int_equal(w->node[0].partials_sent, 0);
  vc_propose(w, NODES);
  assert_true(w->node[0].partials_sent >= 3);
  world_free(w);
}

/* Goal: garbage from one node is blamed on it and stops nothing. Method: node 1's partials are spoilt on their way. */
static void test_garbage(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  w->garbage_from = 1;
  vc_attest(w);
  run_to(w, ATTEST_SLOT + 1, 0);
  assert_int_equal(verdicts(w, "attester", "ok"), NODES);
  vc_propose(w, NODES);
  assert_int_equal(verdicts(w, "proposer", "ok"), NODES);
  assert_true(aq_metric_value(AQ_M_TSS_PEER_SUSPECT, AQ_LABELS("1")) == 1);
  assert_true(aq_metric_value(AQ_M_TSS_PEER_SUSPECT, AQ_LABELS("2")) == 0);
  world_free(w);
}

/* One sync message of validator 0, signed over the head's first byte. */
static void vc_sync(world *w, uint32_t n, uint64_t slot, uint8_t head, vc_answer *answer) {
  uint8_t ssz[144] = {0};
  aq_arena a;
  aq_partial p = {.validator = 0};
  aq_le64_put(ssz, slot);
  ssz[8] = head;
  aq_le64_put(ssz + 40, FIRST_INDEX);
  aq_arena_init(&a, 1 << 20);
  assert_int_equal(aq_signed_decode(&p.data, &a, AQ_DUTY_SYNC_MESSAGE, aq_bytes_of(ssz, sizeof ssz)), AQ_OK);
  vc_sign(w, n, 0, &a, &p.data);
  memset(answer, 0, sizeof *answer);
  aq_workflow_submit(w->node[n].workflow, (aq_duty){slot, AQ_DUTY_SYNC_MESSAGE}, &p, 1, vc_done, answer);
  aq_arena_free(&a);
}

/* Goal: sync messages need no agreement: the head that t nodes saw is submitted by all, also by the node that saw
   another.
   Method: node 3 signs over another head; its submission carries the others' head and the validator's index. */
static void test_sync_message(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  static vc_answer r[NODES];
  uint64_t slot = SPE + 1;
  run_to(w, slot, SLOT_NS / 3);
  for (uint32_t i = 0; i < NODES; i++) vc_sync(w, i, slot, i == 3 ? 9 : 5, &r[i]);
  run_to(w, slot + 2, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    const node *n = &w->node[i];
    assert_true(r[i].called && r[i].item[0] == AQ_OK);
    assert_int_equal(posts(n, "/eth/v1/beacon/pool/sync_committees"), 1);
    yyjson_doc *doc = yyjson_read((const char *)n->beacon.post[0].body.ptr, n->beacon.post[0].body.len, 0);
    yyjson_val *m = yyjson_arr_get(yyjson_doc_get_root(doc), 0);
    uint8_t root[32], head[32] = {5};
    aq_buf sig = aq_test_hex_of(m, "signature");
    assert_int_equal(aq_test_u64(m, "validator_index"), FIRST_INDEX);
    aq_chain_signing_root(root, &w->chain, AQ_DOMAIN_SYNC_COMMITTEE, slot / SPE, head);
    assert_int_equal(aq_bls_verify(w->validator[0].pubkey, root, sig.ptr), AQ_OK);
    aq_buf_free(&sig);
    yyjson_doc_free(doc);
  }
  assert_int_equal(verdicts(w, "sync_message", "ok"), NODES);
  assert_true(aq_metric_value(AQ_M_CORE_TRACKER_PARSIG_COHORT_RANK_TOTAL, AQ_LABELS("sync_message", "3", "1")) ==
              NODES);
  world_free(w);
}

typedef struct {
  int calls;
  aq_status st;
  uint8_t sig[96];
} selected;

static void on_selected(void *arg, aq_status st, const aq_signed_data *d) {
  selected *s = arg;
  s->calls++;
  s->st = st;
  if (d) memcpy(s->sig, d->sig, 96);
}

/* Goal: selection proofs come back combined to whoever waits, without a submission; exits are submitted once t
   operators signed.
   Method: three clients send a selection of validator 1 and an exit of validator 0; waiters on all nodes. */
static void test_selection_and_exit(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  static vc_answer r[NODES], q[NODES];
  selected got[NODES] = {{0}};
  aq_aggsigdb_waiter wait[NODES];
  aq_duty prepare = {SPE + 7, AQ_DUTY_PREPARE_AGGREGATOR}, leave = {SPE, AQ_DUTY_EXIT};
  run_to(w, SPE, AQ_SECONDS(1));
  for (uint32_t i = 0; i < NODES; i++) {
    wait[i] = (aq_aggsigdb_waiter){.key = {.duty = prepare, .validator = 1}, .fn = on_selected, .arg = &got[i]};
    aq_aggsigdb_await(w->node[i].workflow->aggsigdb, &wait[i], fake_env_now(&w->env) + AQ_SECONDS(10));
    if (i == 3) continue;
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    aq_partial p = {1, {.duty = AQ_DUTY_PREPARE_AGGREGATOR, .slot = SPE + 7, .validator_index = FIRST_INDEX + 1}};
    vc_sign(w, i, 1, &a, &p.data);
    aq_workflow_submit(w->node[i].workflow, prepare, &p, 1, vc_done, &r[i]);
    uint8_t ssz[112] = {1, 0, 0, 0, 0, 0, 0, 0, FIRST_INDEX}; /* epoch 1, index */
    p = (aq_partial){
        0, {.duty = AQ_DUTY_EXIT, .epoch = 1, .type = &aq_t_signed_voluntary_exit, .value = aq_bytes_of(ssz, 112)}};
    vc_sign(w, i, 0, &a, &p.data);
    aq_workflow_submit(w->node[i].workflow, leave, &p, 1, vc_done, &q[i]);
    aq_arena_free(&a);
  }
  run_to(w, SPE, AQ_SECONDS(5));
  for (uint32_t i = 0; i < NODES; i++) {
    uint8_t root[32], object[32] = {SPE + 7};
    if (i < 3) assert_true(r[i].called && r[i].item[0] == AQ_OK && q[i].called && q[i].item[0] == AQ_OK);
    assert_int_equal(posts(&w->node[i], "/eth/v1/beacon/pool/voluntary_exits"), i < 3);
    assert_int_equal(got[i].calls, i < 3);
    if (i == 3) continue; /* it has no own object: nothing arms its session */
    aq_chain_signing_root(root, &w->chain, AQ_DOMAIN_SELECTION_PROOF, 1, object);
    assert_int_equal(aq_bls_verify(w->validator[1].pubkey, root, got[i].sig), AQ_OK);
  }
  run_to(w, SPE + 2, 0);
  assert_true(got[3].calls == 1 && got[3].st == AQ_E_TIMEOUT);
  world_free(w);
}

/* Goal: a failed duty is explained by step and reason, with the peers that are missing.
   Method: beacon nodes down for one duty; only two clients sign another. */
static void test_failures(void **state) {
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, 0, v, attest, v), vc_wait(w, 1, v, attest, v);
  run_to(w, ATTEST_SLOT + 1, 0);
  w->bn_down = true;
  vc_propose(w, NODES);
  run_to(w, ATTEST_SLOT + SPE + 1, 0);
  assert_int_equal(verdicts(w, "attester", "failed"), NODES);
  assert_int_equal(verdicts(w, "proposer", "failed"), NODES);
  size_t seen[3] = {0};
  for (size_t i = 0; i < w->verdict_cnt; i++) {
    const char *line = w->verdict[i];
    if (!strstr(line, "\"failed\"")) continue;
    bool attester = strstr(line, "\"duty\":\"attester\"") != NULL;
    seen[0] += attester && strstr(line, "\"reason\":\"insufficient_peer_signatures\"") &&
               strstr(line, "\"peers_missing\":\"2,3\"");
    seen[1] +=
        attester && strstr(line, "\"reason\":\"no_local_vc_signature\"") && strstr(line, "\"step\":\"validator_api\"");
    seen[2] += !attester && strstr(line, "\"reason\":\"fetch_bn_error\"") && strstr(line, "\"step\":\"fetcher\"");
  }
  assert_int_equal(seen[0], 2);
  assert_int_equal(seen[1], 2);
  assert_int_equal(seen[2], NODES);
  world_free(w);
}

/* Goal: what the beacon node's heads say of the roots that duties depend on reaches the schedule.
   Method: heads of one root and of another on the event stream; the questions for duties are counted. */
static void test_heads(void **state) {
  static const char *const roots[] = {HEAD_ROOT, "0x3131313131313131313131313131313131313131313131313131313131313131"};
  (void)state;
  world *w = world_new(ALL, ALL);
  run_to(w, ATTEST_SLOT, 0);
  fake_http *http = &w->node[0].http;
  char text[600], path[40];
  snprintf(path, sizeof path, "duties/attester/%d", ATTEST_SLOT / SPE);
  fake_ex *ex = fake_http_find(http, "/eth/v1/events");
  fake_http_open(ex, 200);
  for (size_t i = 0; i < AQ_COUNT(roots); i++) {
    size_t before = fake_http_count(http, path);
    snprintf(text, sizeof text,
             "event: head\ndata: {\"slot\":\"%d\",\"block\":\"" HEAD_ROOT
             "\",\"previous_duty_dependent_root\":\"%s\",\"current_duty_dependent_root\":\"%s\"}\n\n",
             ATTEST_SLOT, roots[i], roots[i]);
    fake_http_chunk(ex, text);
    fake_env_run_for(&w->env, AQ_MILLIS(20));
    assert_int_equal(fake_http_count(http, path) - before, i);
  }
  world_free(w);
}

/* Goal: stopping in the middle of everything answers the validator client and leaks nothing.
   Method: free after each millisecond step of a duty (sanitizers look at the rest). */
static void test_stop_anywhere(void **state) {
  (void)state;
  for (uint64_t ms = 0; ms < 90; ms += 3) {
    world *w = world_new(ALL, ALL);
    vc_attest(w);
    run_to(w, ATTEST_SLOT, SLOT_NS / 3 + AQ_MILLIS(ms));
    node_stop(w, 0);
    for (uint32_t v = 0; v < VALIDATORS; v++) {
      const vc_call *c = &w->node[0].call[v];
      assert_true(c->answer.called || c->answer.st == AQ_E_CLOSED);
    }
    run_to(w, ATTEST_SLOT + 1, 0);
    assert_true(verdicts(w, "attester", "ok") >= 3);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_attester),         cmocka_unit_test(test_proposer),
      cmocka_unit_test(test_one_down),         cmocka_unit_test(test_canary),
      cmocka_unit_test(test_no_own_signature), cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_journal),          cmocka_unit_test(test_abstain),
      cmocka_unit_test(test_garbage),          cmocka_unit_test(test_failures),
      cmocka_unit_test(test_sync_message),     cmocka_unit_test(test_selection_and_exit),
      cmocka_unit_test(test_stop_anywhere),    cmocka_unit_test(test_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
