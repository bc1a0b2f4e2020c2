/* Duties of the simulated chain depend on its blocks, as those of the real one do. */
#include "aq_test.h"
#include "base/hex.h"
#include "base/log.h"
#include "fake/chain.h"
#include "fake/env.h"
#include "fake/server.h"
#include "simchain/beacon_internal.h"

enum { VALIDATORS = 32, SPE = 8 };
#define ATTESTERS \
  "[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\"]"

typedef struct {
  fake_env env;
  aq_beacon *b;
  uint8_t secret[VALIDATORS][32], pubkey[VALIDATORS][48];
} world;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void add(world *w, uint64_t slot, uint8_t root) {
  aq_beacon_block b = {.slot = slot, .root = {root}, .fork = AQ_ELECTRA};
  aq_beacon_import(w->b, &b);
}

/* Now is the middle of epoch 3; each slot up to there has a block whose root begins with its number. */
static world *world_new(uint64_t fulu_epoch) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  fake_env_init(&w->env, FAKE_CHAIN_GENESIS);
  fake_chain_keys(w->secret, w->pubkey, VALIDATORS);
  w->b = fake_chain_new(&w->env, w->pubkey, VALIDATORS, SPE, AQ_ELECTRA);
  aq_beacon_schedule(w->b, AQ_FULU, fulu_epoch);
  fake_env_run_until(&w->env, FAKE_CHAIN_GENESIS + (3 * SPE + 4) * FAKE_CHAIN_SLOT);
  for (uint8_t slot = 1; slot <= 3 * SPE + 4; slot++) add(w, slot, slot);
  return w;
}

static void world_free(world *w) {
  aq_beacon_free(w->b);
  fake_env_drain(&w->env);
  fake_env_free(&w->env);
  aq_log_stop();
  free(w);
}

/* The answer, and the first byte of the root that it depends on. */
static fake_res *duties(world *w, int version, const char *kind, uint64_t epoch, uint8_t *dependent) {
  char target[80];
  bool attester = strcmp(kind, "attester") == 0;
  snprintf(target, sizeof target, "/eth/v%d/validator/duties/%s/%llu", version, kind, (unsigned long long)epoch);
  fake_req q = {.method = attester ? "POST" : "GET", .target = target, .body = aq_bytes_str(attester ? ATTESTERS : "")};
  fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
  fake_env_drain(&w->env);
  assert_int_equal(r->code, 200);
  yyjson_doc *doc = yyjson_read(aq_buf_cstr(&r->body), r->body.len, 0);
  uint8_t root[32];
  assert_true(aq_json_hex(yyjson_doc_get_root(doc), "dependent_root", root, 32));
  *dependent = root[0];
  yyjson_doc_free(doc);
  return r;
}

static void depends(world *w, int version, const char *kind, uint64_t epoch, uint8_t on) {
  uint8_t dependent;
  fake_res_free(duties(w, version, kind, epoch, &dependent));
  assert_int_equal(dependent, on);
}

/* Are these other duties once the block of that slot is left, and the old ones when it is back? */
static bool moves(world *w, const char *kind, uint64_t epoch, uint8_t slot) {
  uint8_t dependent;
  fake_res *before = duties(w, 2 - (kind[0] == 'a'), kind, epoch, &dependent);
  aq_beacon_orphan(w->b, slot);
  fake_res *without = duties(w, 2 - (kind[0] == 'a'), kind, epoch, &dependent);
  add(w, slot, slot);
  fake_res *after = duties(w, 2 - (kind[0] == 'a'), kind, epoch, &dependent);
  /* data, behind the roots */
  const char *text[3] = {strstr(aq_buf_cstr(&before->body), "\"data\""),
                         strstr(aq_buf_cstr(&without->body), "\"data\""),
                         strstr(aq_buf_cstr(&after->body), "\"data\"")};
  bool moved = strcmp(text[0], text[1]) != 0;
  assert_string_equal(text[0], text[2]);
  fake_res_free(before);
  fake_res_free(without);
  fake_res_free(after);
  return moved;
}

/* Goal: attesters depend on the last block before the epoch before theirs, proposers on that before theirs, from the
   epoch after Fulu's first on on the one before; answers say so, v1 of the proposers' route without that change; where
   there is none it is the genesis block.
   Method: each of the last blocks of three epochs is left and comes back, with Fulu at no epoch, at 3 and at 0. */
static void test_dependent(void **state) {
  static const uint64_t fulu[] = {AQ_FAR_EPOCH, 3, 0};
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(fulu); i++) {
    world *w = world_new(fulu[i]);
    uint8_t genesis = aq_beacon_genesis(w->b)[0];
    for (uint64_t epoch = 0; epoch <= 4; epoch++) {
      bool ahead = epoch > fulu[i];
      uint8_t head = 3 * SPE + 4, last = (uint8_t)(epoch * SPE - 1), before = (uint8_t)(last - SPE);
      uint8_t v1 = epoch == 0 ? genesis : epoch == 4 ? head : last;
      depends(w, 1, "attester", epoch, epoch < 2 ? genesis : before);
      depends(w, 1, "proposer", epoch, v1);
      depends(w, 2, "proposer", epoch, !ahead ? v1 : epoch < 2 ? genesis : before);
      for (uint64_t of = 1; of <= 3; of++) {
        uint8_t slot = (uint8_t)(of * SPE - 1);
        assert_int_equal(moves(w, "attester", epoch, slot), of + 1 == epoch);
        assert_int_equal(moves(w, "proposer", epoch, slot), of == (ahead ? epoch - 1 : epoch));
      }
    }
    world_free(w);
  }
}

/* Goal: an empty last slot makes the newest block before it the one. Method: it is left, and the one before it. */
static void test_empty_slot(void **state) {
  (void)state;
  world *w = world_new(AQ_FAR_EPOCH);
  aq_beacon_orphan(w->b, 2 * SPE - 1);
  depends(w, 1, "attester", 3, 2 * SPE - 2);
  assert_true(moves(w, "attester", 3, 2 * SPE - 2));
  assert_false(moves(w, "attester", 3, 2 * SPE - 3));
  world_free(w);
}

/* Goal: a head tells of both roots, and each change of them brings one, also where the newest block stays.
   Method: a block, one that is left below the head, one that comes late. */
static void test_heads(void **state) {
  (void)state;
  world *w = world_new(AQ_FAR_EPOCH);
  static const struct {
    uint8_t leave, come, previous, current;
  } step[] = {{0, 3 * SPE + 5, 2 * SPE - 1, 3 * SPE - 1},
              {3 * SPE - 1, 0, 2 * SPE - 1, 3 * SPE - 2},
              {2 * SPE - 1, 0, 2 * SPE - 2, 3 * SPE - 2},
              {0, 3 * SPE - 1, 2 * SPE - 2, 3 * SPE - 1}};
  fake_req q = {.method = "GET", .target = "/eth/v1/events?topics=head", .body = aq_bytes_str("")};
  for (size_t i = 0; i < AQ_COUNT(step); i++) {
    fake_res *r = fake_send(aq_beacon_handler(w->b), &q);
    char want[640];
    if (step[i].leave) aq_beacon_orphan(w->b, step[i].leave);
    if (step[i].come) add(w, step[i].come, step[i].come);
    snprintf(want, sizeof want,
             "event: head\ndata: {\"slot\":\"%d\",\"block\":\"0x%02x%062d\",\"state\":\"0x%064d\",\"epoch_transition\":"
             "false,\"previous_duty_dependent_root\":\"0x%02x%062d\",\"current_duty_dependent_root\":\"0x%02x%062d\",",
             3 * SPE + 5, 3 * SPE + 5, 0, 0, step[i].previous, 0, step[i].current, 0);
    if (!strstr(aq_buf_cstr(&r->body), want)) fail_msg("%s lacks %s", aq_buf_cstr(&r->body), want);
    fake_res_free(r);
  }
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_dependent), cmocka_unit_test(test_empty_slot),
                                     cmocka_unit_test(test_heads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
