/* The k-th call of a port fails, for each k, in a whole attester duty of four nodes. */
#include "fake/nodes.h"

enum { ALL = 15, ATTEST_SLOT = SPE + 3, STRIDE = 3 };
static const aq_duty attest = {ATTEST_SLOT, AQ_DUTY_ATTESTER};

typedef enum { PORT_STORE, PORT_SEND, PORT_HTTP } port;

static struct {
  port which;
  uint64_t fail_at, calls;
  bool failed;
  aq_store plain; /* as the double has it */
} t;

static bool refuse(port which) {
  if (t.which != which || ++t.calls != t.fail_at) return false;
  t.failed = true;
  return true;
}

static void spoil(void *ctx, fake_store_op op) { ((fake_store *)ctx)->ends[op] = refuse(PORT_STORE) ? AQ_E_IO : AQ_OK; }

static void vote_or_fail(void *ctx, const aq_store_vote *v, const aq_store_blob *b, aq_store_done done, void *arg) {
  spoil(ctx, FAKE_OP_VOTE);
  t.plain.vote(ctx, v, b, done, arg);
}

static void decided_or_fail(void *ctx, const aq_store_decided *d, const aq_store_blob *b, aq_store_done done,
                            void *arg) {
  spoil(ctx, FAKE_OP_DECIDED);
  t.plain.decided(ctx, d, b, done, arg);
}

static void sign_or_fail(void *ctx, const aq_store_sign *s, uint32_t cnt, aq_store_done done, void *arg) {
  spoil(ctx, FAKE_OP_SIGN);
  t.plain.sign(ctx, s, cnt, done, arg);
}

/* consensus.md 7.2: an own vote leaves only after its journal entry. Partial signatures: fake/nodes.h. */
static void check_vote(const node *n, aq_bytes msg) {
  aq_arena a;
  aq_arena_init(&a, 8 << 20);
  Corepb__QBFTConsensusMsg *m = aq_pb_unpack(&a, &corepb__qbftconsensus_msg__descriptor, msg);
  assert_non_null(m);
  bool durable = m->msg->type == 5; /* DECIDED is no vote */
  for (fake_row *r = NULL; !durable && (r = fake_disk_next(&n->disk, r)) != NULL;)
    durable = r->kind == FAKE_VOTE && memmem(msg.ptr, msg.len, r->u.vote.msg.ptr, r->u.vote.msg.len) != NULL;
  assert_true(durable);
  aq_arena_free(&a);
}

static void post_or_fail(void *arg, fake_letter *l, aq_bytes msg) {
  node *to = &((world *)arg)->node[l->peer];
  if (l->proto == AQ_PROTO_QBFT) check_vote(l->from->of, msg);
  bool up = to->up;
  if (!l->is_request && refuse(PORT_SEND)) to->up = false; /* of this one message: the state is put back at once */
  on_post(arg, l, msg);
  to->up = up;
}

static void http_or_fail(void *arg, fake_ex *ex) {
  if (!strstr(ex->url, "/eth/v1/events") && refuse(PORT_HTTP)) {
    fake_http_fail(ex, AQ_MILLIS(5), AQ_E_CLOSED);
  } else {
    bn_handle(arg, ex);
  }
}

/* false: the duty ended before the k-th call. */
static bool run_duty(port which, uint64_t k) {
  memset(&t, 0, sizeof t);
  t.which = which;
  t.fail_at = k;
  world *w = world_new(ALL, 0);
  w->links.post = post_or_fail;
  for (uint32_t i = 0; i < NODES; i++) {
    node *n = &w->node[i];
    t.plain = n->store.port;
    n->store.port.vote = vote_or_fail, n->store.port.decided = decided_or_fail, n->store.port.sign = sign_or_fail;
    n->http.handle = http_or_fail;
  }
  run_to(w, ATTEST_SLOT, 0);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t v = 0; v < VALIDATORS; v++) vc_wait(w, i, v, attest, v);
  }
  run_to(w, ATTEST_SLOT + 1, 0);
  size_t served = verdicts(w, "attester", "ok");
  if (served < NODES - 1) print_error("port %d, call %llu: %zu nodes served\n", which, (unsigned long long)k, served);
  assert_true(served >= NODES - 1);
  world_free(w);
  return t.failed;
}

static void every_call(port which) {
  uint64_t stride = getenv("AQ_TORTURE_ALL") ? 1 : STRIDE, k = 1;
  while (run_duty(which, k)) k += stride;
  print_message("port %d: %llu calls\n", which, (unsigned long long)t.calls);
  assert_true(k > stride);
}

/* Goal: one failed write costs at most its node the duty, and nothing that was not recorded leaves a node.
   Method: the k-th vote, decision or signing record is answered with an I/O error. */
static void test_store(void **state) {
  (void)state;
  every_call(PORT_STORE);
}

/* Goal: one message that cannot be sent does not cost a duty. Method: the k-th send of any node fails. */
static void test_send(void **state) {
  (void)state;
  every_call(PORT_SEND);
}

/* Goal: one beacon node request without an answer costs at most its node the duty. Method: the k-th one is cut off. */
static void test_http(void **state) {
  (void)state;
  every_call(PORT_HTTP);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_store), cmocka_unit_test(test_send),
                                     cmocka_unit_test(test_http)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
