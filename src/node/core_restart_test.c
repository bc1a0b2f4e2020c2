/* What a node does for a beacon node that was restarted: a whole core, between a simulated chain and a validator
   client, in virtual time. */
#include "aq_test.h"
#include "fake/http.h"
#include "fake/store.h"
#include "fake/vapi.h"
#include "node/core.h"
#include "simchain/beacon_internal.h"
#include "vc/vc.h"

enum { SPE = 8 };
#define SLOT_NS AQ_SECONDS(12)

typedef struct {
  fv *f; /* keys, lock, net and journal of a cluster of one */
  aq_beacon *b;
  aq_http_handler counting;
  fake_http to_bn, to_node;
  fake_disk disk;
  fake_store protection; /* over it */
  aq_validator_address addresses[FV_VALIDATORS];
  uint8_t pubkey[FV_VALIDATORS][48];
  aq_core core;
  aq_vc *vc;
  uint64_t genesis_ns;
  bool ready;
  uint32_t told, subscribed; /* posts that reached the beacon node */
} world;

static void count(void *arg, const aq_http_req *req, aq_http_res *res, const aq_http_server_vt *vt) {
  world *w = arg;
  const aq_http_handler *truth = aq_beacon_handler(w->b);
  w->told += strstr(req->path, "prepare_beacon_proposer") != NULL;
  w->subscribed += strstr(req->path, "beacon_committee_subscriptions") != NULL;
  truth->handle(truth->arg, req, res, vt);
}

static size_t any_body(void *arg, const char *method, const char *path) {
  (void)arg, (void)method, (void)path;
  return 64u << 20;
}

static void prune(void *ctx, uint64_t before_slot) { (void)ctx, (void)before_slot; }
static void backup(void *ctx) { (void)ctx; }
static void on_ready(void *arg, uint64_t took_ns) { (void)took_ns, ((world *)arg)->ready = true; }
static void on_failed(void *arg, const char *why) {
  (void)arg;
  fail_msg("%s", why);
}

static void chain_up(world *w) {
  aq_beacon_cfg cfg = {.env = &w->f->env.env,
                       .pubkey = (const uint8_t(*)[48])w->pubkey,
                       .validator_cnt = FV_VALIDATORS,
                       .genesis_ns = w->genesis_ns,
                       .slot_ns = SLOT_NS,
                       .slots_per_epoch = SPE,
                       .genesis_version = {0x70, 0, 0, 1}};
  for (int i = 0; i < AQ_FORK_CNT; i++) cfg.fork_epoch[i] = i <= AQ_ELECTRA ? 0 : AQ_FAR_EPOCH;
  memcpy(w->f->lock.def.fork_version, cfg.genesis_version, 4);
  w->b = aq_beacon_new(&cfg);
  assert_non_null(w->b);
  aq_beacon_start(w->b);
  w->counting = (aq_http_handler){w, any_body, count};
  fake_http_bridge(&w->to_bn, &w->f->env, &w->counting, AQ_MILLIS(3));
}

static void node_up(world *w) {
  static const char *const urls[] = {"http://bn"};
  aq_core_init(&w->core, &(aq_core_cfg){.env = &w->f->env.env,
                                        .net = &w->f->link.net,
                                        .store = &w->f->store.port,
                                        .http = &w->to_bn.http,
                                        .endpoints = urls,
                                        .endpoint_cnt = 1,
                                        .beacon_timeout_ns = AQ_SECONDS(2),
                                        .beacon_submit_timeout_ns = AQ_SECONDS(2),
                                        .lock = &w->f->lock,
                                        .key = w->f->key,
                                        .started_ns = fake_env_now(&w->f->env),
                                        .enable_tss = true,
                                        .version = "v9.9.9-test",
                                        .arg = w,
                                        .ready = on_ready,
                                        .failed = on_failed});
  aq_core_start(&w->core);
  fake_env_run_for(&w->f->env, AQ_SECONDS(1));
  assert_true(w->ready);
}

/* In the middle of the slot: duties are done. */
static void run_to(world *w, uint64_t slot) {
  fake_env_run_for(&w->f->env, w->genesis_ns + slot * SLOT_NS + SLOT_NS / 2 - fake_env_now(&w->f->env));
}

static world *world_new(void) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->f = fv_new(&(fv_cfg){.no_bn = true});
  w->genesis_ns = fake_env_now(&w->f->env) + AQ_SECONDS(5);
  for (uint32_t v = 0; v < FV_VALIDATORS; v++) {
    memcpy(w->pubkey[v], w->f->validator[v].pubkey, 48);
    w->addresses[v] = (aq_validator_address){"0x1111111111111111111111111111111111111111",
                                             "0x2222222222222222222222222222222222222222"};
  }
  w->f->store.port.prune = prune, w->f->store.port.backup = backup;
  w->f->lock.def.addresses = w->addresses;
  w->f->lock.def.validator_cnt = FV_VALIDATORS;
  chain_up(w);
  node_up(w);
  fake_http_bridge(&w->to_node, &w->f->env, aq_vapi_handler(w->core.vapi), AQ_MILLIS(3));
  fake_disk_init(&w->disk);
  fake_store_open(&w->protection, &w->disk, &w->f->env.env, NULL);
  w->vc = aq_vc_new(&(aq_vc_cfg){.env = &w->f->env.env,
                                 .http = &w->to_node.http,
                                 .store = &w->protection.port,
                                 .url = "http://node",
                                 .secret = (const uint8_t(*)[32])w->f->secret,
                                 .key_cnt = FV_VALIDATORS});
  aq_vc_start(w->vc);
  run_to(w, 2);
  assert_true(w->told > 0 && w->subscribed > 0);
  return w;
}

static void world_free(world *w) {
  aq_vc_free(w->vc);
  fake_env_run_for(&w->f->env, AQ_SECONDS(1));
  aq_core_stop(&w->core);
  aq_core_end_duties(&w->core);
  aq_core_free(&w->core);
  aq_beacon_free(w->b);
  fake_env_run_for(&w->f->env, AQ_SECONDS(1));
  assert_int_equal(fake_http_open_cnt(&w->to_node), 0);
  assert_int_equal(fake_http_open_cnt(&w->to_bn), 0);
  fake_disk_free(&w->disk);
  fv_free(w->f);
  free(w);
}

static uint64_t blocks(const world *w) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b, &s);
  return s.blocks_ok;
}

static bool knows_fees(const world *w) {
  for (uint32_t v = 0; v < FV_VALIDATORS; v++) {
    if (w->b->validator[v].fee_recipient[0] != 0x11) return false;
  }
  return true;
}

/* Goal: a beacon node that was restarted is told the fee recipients and the subscriptions again when its event stream
   is back, not with the next epoch.
   Method: a slot without a restart, in which neither is posted; then one with it. */
static void told_when_the_stream_is_back(void **state) {
  (void)state;
  world *w = world_new();
  uint32_t told = w->told, subscribed = w->subscribed;
  run_to(w, 3);
  assert_int_equal(w->told, told);
  assert_int_equal(w->subscribed, subscribed);
  aq_beacon_restart(w->b);
  assert_false(knows_fees(w));
  fake_env_run_for(&w->f->env, SLOT_NS / 2 - AQ_MILLIS(1)); /* to the end of the slot: no block is asked for */
  assert_true(knows_fees(w));
  assert_int_equal(w->told, told + 1);
  assert_true(w->subscribed > subscribed);
  world_free(w);
}

/* Goal: a beacon node that has forgotten the fee recipients, and nothing else tells of it, costs no block.
   Method: they are taken from it between two slots, while the stream stays open; in each slot one of ours proposes. */
static void forgotten_fees_cost_no_block(void **state) {
  (void)state;
  world *w = world_new();
  uint64_t done = blocks(w);
  run_to(w, 3);
  assert_int_equal(blocks(w), done + 1);
  uint32_t told = w->told;
  for (uint32_t v = 0; v < FV_VALIDATORS; v++) memset(w->b->validator[v].fee_recipient, 0, 20);
  run_to(w, 4);
  assert_int_equal(w->told, told + 1);
  assert_true(knows_fees(w));
  assert_int_equal(blocks(w), done + 2);
  const aq_sim_block *b = aq_sim_block_at(w->b, 4);
  assert_non_null(b);
  uint8_t want[20];
  memset(want, 0x11, sizeof want);
  aq_bytes fee =
      aq_ssz_get(aq_t_signed_block(b->fork), aq_buf_bytes(&b->ssz), "message.body.execution_payload.fee_recipient");
  assert_bytes(fee, aq_bytes_of(want, sizeof want));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(told_when_the_stream_is_back),
      cmocka_unit_test(forgotten_fees_cost_no_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
