/* The simulated chain as judge of voluntary exits. */
#include "aq_test.h"

#include "base/hex.h"
#include "base/log.h"
#include "fake/chain.h"
#include "fake/server.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 4, SPE = 8 };
#define ROUTE "/eth/v1/beacon/pool/voluntary_exits"

typedef struct {
  fake_env env;
  aq_beacon_watch watch;
  aq_beacon *b;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
  uint32_t right, wrong; /* that the watch saw */
  uint64_t validator, epoch;
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void exited(void *arg, uint64_t validator, uint64_t epoch, bool valid) {
  world *w = arg;
  w->right += valid, w->wrong += !valid;
  w->validator = validator, w->epoch = epoch;
}

/* Forks up to `fork` are of genesis, the next one of epoch 2. */
static void world_init(world *w, aq_fork fork) {
  memset(w, 0, sizeof *w);
  aq_log_start(AQ_LOG_INFO, quiet, NULL);
  fake_env_init(&w->env, FAKE_CHAIN_GENESIS);
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
  w->watch = (aq_beacon_watch){.arg = w, .exited = exited};
  aq_beacon_cfg cfg = {.env = &w->env.env,
                       .pubkey = (const uint8_t(*)[48])w->pubkey,
                       .validator_cnt = VALIDATORS,
                       .genesis_ns = FAKE_CHAIN_GENESIS,
                       .slot_ns = FAKE_CHAIN_SLOT,
                       .slots_per_epoch = SPE,
                       .genesis_version = {0x70, 0, 0, 1},
                       .watch = &w->watch};
  for (int i = 0; i < AQ_FORK_CNT; i++) cfg.fork_epoch[i] = i <= (int)fork ? 0 : i == (int)fork + 1 ? 2 : AQ_FAR_EPOCH;
  w->b = aq_beacon_new(&cfg);
  assert_non_null(w->b);
  aq_beacon_start(w->b);
}

static void world_free(world *w) {
  aq_beacon_free(w->b);
  fake_env_drain(&w->env);
  fake_env_free(&w->env);
}

static void run_to(world *w, uint64_t epoch) {
  fake_env_run_until(&w->env, FAKE_CHAIN_GENESIS + epoch * SPE * FAKE_CHAIN_SLOT + AQ_SECONDS(1));
}

static void expect(const world *w, const char *method, const char *target, aq_bytes body, int code, const char *text) {
  const fake_req q = {.method = method,
                      .target = target,
                      .header = {{"Content-Type", "application/json"}},
                      .header_cnt = 1,
                      .body = body};
  fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
  if (r->code != code || !strstr(aq_buf_cstr(&r->body), text))
    fail_msg("%d %.300s, not %d %s", r->code, aq_buf_cstr(&r->body), code, text);
  fake_res_free(r);
}

/* Signed under the version of a fork. */
static void leave(const world *w, uint64_t validator, uint64_t epoch, aq_fork version, int code, const char *text) {
  uint8_t message[16], domain[32], root[32], sig[96];
  const uint8_t fork_version[4] = {(uint8_t)(0x70 + version), 0, 0, 1};
  char body[400], hex[193];
  aq_le64_put(message, epoch);
  aq_le64_put(message + 8, validator);
  aq_compute_domain(domain, AQ_DOMAIN_VOLUNTARY_EXIT, fork_version, w->b->chain.genesis_validators_root);
  aq_ssz_root(root, &aq_t_voluntary_exit, aq_bytes_of(message, sizeof message));
  aq_signing_root(root, root, domain);
  aq_bls_sign(sig, w->secret[validator % VALIDATORS], root);
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  snprintf(body, sizeof body, "{\"message\":{\"epoch\":\"%llu\",\"validator_index\":\"%llu\"},\"signature\":\"0x%s\"}",
           (unsigned long long)epoch, (unsigned long long)validator, hex);
  expect(w, "POST", ROUTE, aq_bytes_str(body), code, text);
}

static aq_beacon_stats stats(const world *w) {
  aq_beacon_stats s;
  aq_beacon_stats_get(w->b, &s);
  return s;
}

/* Goal: an exit counts once, whoever sends it again; its validator leaves and attests on, the others stay.
   Method: the same exit twice, one of another epoch; another beacon node's. */
static void test_taken(void **state) {
  (void)state;
  world w;
  world_init(&w, AQ_ELECTRA);
  run_to(&w, 1);
  expect(&w, "GET", "/eth/v1/beacon/states/head/validators/2", aq_bytes_str(""), 200, "\"active_ongoing\"");
  leave(&w, 2, 1, AQ_CAPELLA, 200, "");
  assert_true(w.right == 1 && w.wrong == 0 && w.validator == 2 && w.epoch == 1);
  leave(&w, 2, 1, AQ_CAPELLA, 200, "");
  leave(&w, 2, 0, AQ_CAPELLA, 200, "");
  assert_true(stats(&w).exits == 1 && stats(&w).duplicates == 2 && stats(&w).bad == 0);
  expect(&w, "GET", "/eth/v1/beacon/states/head/validators/2", aq_bytes_str(""), 200, "\"active_exiting\"");
  expect(&w, "GET", "/eth/v1/beacon/states/head/validators/3", aq_bytes_str(""), 200, "\"active_ongoing\"");
  expect(&w, "POST", "/eth/v1/validator/duties/attester/2", aq_bytes_str("[\"2\"]"), 200, "\"validator_index\":\"2\"");
  aq_beacon_leaves(w.b, 3);
  leave(&w, 3, 1, AQ_CAPELLA, 200, "");
  assert_true(stats(&w).exits == 1 && stats(&w).duplicates == 3);
  expect(&w, "GET", "/sim/stats", aq_bytes_str(""), 200, "\"duplicates\":3,\"exits\":1");
  world_free(&w);
}

/* Goal: what is wrong with an exit is named, counted and has no effect.
   Method: no JSON, a stranger, another's signature, the epoch that comes next, which passes once it is there. */
static void test_refused(void **state) {
  (void)state;
  world w;
  world_init(&w, AQ_ELECTRA);
  run_to(&w, 0);
  expect(&w, "POST", ROUTE, aq_bytes_str("[]"), 400, "not a SignedVoluntaryExit");
  expect(&w, "POST", ROUTE, aq_bytes_str("{"), 400, "not a SignedVoluntaryExit");
  leave(&w, VALIDATORS, 0, AQ_CAPELLA, 400, "no such validator");
  assert_true(w.right == 0 && w.wrong == 0);
  leave(&w, 1, 0, AQ_PHASE0, 400, "exit signature is wrong");
  assert_true(w.right == 0 && w.wrong == 1);
  leave(&w, 1, 1, AQ_CAPELLA, 400, "exit is from the future");
  assert_true(w.right == 1 && stats(&w).exits == 0 && stats(&w).bad == 5);
  run_to(&w, 1);
  leave(&w, 1, 1, AQ_CAPELLA, 200, "");
  assert_true(stats(&w).exits == 1 && stats(&w).bad == 5);
  world_free(&w);
}

/* Goal: from Deneb on the domain is Capella's, whatever the exit's epoch; before it that of the epoch's fork
   (EIP-7044). Method: each fork but the last at genesis, the next one at epoch 2; exits signed under each version. */
static void test_domain(void **state) {
  (void)state;
  for (aq_fork fork = AQ_PHASE0; fork + 1 < AQ_FORK_CNT; fork++) {
    for (uint64_t now = 1; now <= 2; now++) {
      world w;
      world_init(&w, fork);
      run_to(&w, now);
      for (uint64_t epoch = 0; epoch <= now; epoch++) {
        aq_fork then = epoch == 2 ? fork + 1 : fork, at = now == 2 ? fork + 1 : fork;
        aq_fork want = at >= AQ_DENEB ? AQ_CAPELLA : then;
        for (aq_fork v = AQ_PHASE0; v < AQ_FORK_CNT; v++)
          leave(&w, epoch, epoch, v, v == want ? 200 : 400, v == want ? "" : "exit signature is wrong");
      }
      assert_int_equal(stats(&w).exits, now + 1);
      world_free(&w);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_domain)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
