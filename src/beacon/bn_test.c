/* Several beacon nodes with scripted answers and delays: which calls they get, and whose answer wins. */
#include "beacon/bn.h"

#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "beacon/bn_sse.h"
#include "fake/http.h"

#define NOW AQ_SECONDS(1700000000)

static const char *const two[] = {"http://u:pw@a:1", "http://b:2"};
static const char *const spare[] = {"http://c:3"};

/* What the fake answers on a host, by the letter in its URL. delay 0 with code 0: silence. */
typedef struct {
  int code;
  uint64_t delay_ns;
  const char *body;
} rule;

typedef struct {
  fake_env env;
  fake_http http;
  aq_bn *bn;
  rule host[3];
  const char *(*route)(void *arg, fake_ex *ex); /* instead of rules: JSON, NULL for 404 */
  void *route_arg;
  aq_status st;
  int calls, code;
  char body[256];
  bool has_ans;
} fixture;

static void handle(void *arg, fake_ex *ex) {
  fixture *f = arg;
  if (f->route) {
    const char *json = f->route(f->route_arg, ex);
    fake_http_answer(ex, AQ_MILLIS(1), json ? 200 : 404, json ? json : "{\"code\":404,\"message\":\"no route\"}");
    return;
  }
  const rule *r = strstr(ex->url, "a:1") ? &f->host[0] : strstr(ex->url, "b:2") ? &f->host[1] : &f->host[2];
  if (r->code < 0)
    fake_http_fail(ex, r->delay_ns, r->code);
  else if (r->code)
    fake_http_answer(ex, r->delay_ns, r->code, r->body ? r->body : "{}");
}

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  fixture *f = arg;
  f->calls++;
  f->st = st;
  f->has_ans = ans != NULL;
  f->code = ans ? ans->code : 0;
  snprintf(f->body, sizeof f->body, "%.*s", ans ? (int)ans->body.len : 0, ans ? (const char *)ans->body.ptr : "");
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void open_fixture(fixture *f, size_t primaries, size_t fallbacks) {
  memset(f, 0, sizeof *f);
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  aq_metrics_init();
  fake_env_init(&f->env, NOW);
  fake_http_init(&f->http, &f->env, handle, f);
  const aq_bn_cfg cfg = {.env = &f->env.env,
                         .http = &f->http.http,
                         .endpoints = two,
                         .endpoint_cnt = primaries,
                         .fallbacks = spare,
                         .fallback_cnt = fallbacks,
                         .timeout_ns = AQ_SECONDS(2),
                         .submit_timeout_ns = AQ_SECONDS(3)};
  f->bn = aq_bn_new(&cfg);
}

static void close_fixture(fixture *f) {
  aq_bn_free(f->bn);
  assert_int_equal(fake_http_open_cnt(&f->http), 0);
  fake_env_free(&f->env);
  fake_http_free(&f->http);
}

static uint64_t get(fixture *f, const char *path) {
  const aq_bn_req req = {.endpoint = "genesis", .method = "GET", .path = path};
  return aq_bn_call(f->bn, &req, answered, f);
}

/* Goal: a read takes the first good answer and cancels the rest; the call is accounted once.
   Method: node a fails early, b answers later; then both answer, a first. */
static void first_good_answer_wins(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 2, 1);
  f.host[0] = (rule){500, AQ_MILLIS(10), NULL};
  f.host[1] = (rule){200, AQ_MILLIS(50), "\"b\""};
  assert_int_not_equal(get(&f, "/x"), 0);
  assert_int_equal(f.calls, 0);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.st, AQ_OK);
  assert_string_equal(f.body, "\"b\"");
  assert_int_equal(fake_http_count(&f.http, "c:3"), 0);
  f.host[0] = (rule){200, AQ_MILLIS(10), "\"a\""};
  get(&f, "/y");
  fake_env_run_for(&f.env, AQ_MILLIS(20));
  assert_string_equal(f.body, "\"a\"");
  assert_int_equal(f.http.cancel_cnt, 1);
  assert_int_equal(fake_http_open_cnt(&f.http), 0);
  assert_true(aq_metric_value(AQ_M_APP_ETH2_REQUESTS_TOTAL, AQ_LABELS("genesis")) == 2);
  assert_true(aq_metric_value(AQ_M_APP_ETH2_ERRORS_TOTAL, AQ_LABELS("genesis")) == 0);
  close_fixture(&f);
}

/* Goal: a submission reaches every node although one answered already, and a late cancel does not stop it.
   Method: a answers at once, b after 2.5 s, within the submit timeout; cancel between. */
static void submission_completes_on_all(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 2, 0);
  f.host[0] = (rule){200, AQ_MILLIS(1), NULL};
  f.host[1] = (rule){200, AQ_MILLIS(2500), NULL};
  const aq_bn_req req = {.endpoint = "submit_attestations",
                         .method = "POST",
                         .path = "/p",
                         .body = aq_bytes_str("[]"),
                         .consensus_version = "fulu",
                         .submit = true};
  uint64_t id = aq_bn_call(f.bn, &req, answered, &f);
  fake_ex *b = fake_http_find(&f.http, "b:2");
  assert_string_equal(b->content_type, "application/json");
  assert_string_equal(b->accept, "application/json");
  assert_string_equal(b->version, "fulu");
  assert_bytes(b->body, aq_bytes_str("[]"));
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.calls, 1);
  assert_int_equal(f.st, AQ_OK);
  aq_bn_cancel(f.bn, id);
  assert_int_equal(fake_http_open_cnt(&f.http), 1);
  fake_env_run_for(&f.env, AQ_SECONDS(2));
  assert_int_equal(fake_http_open_cnt(&f.http), 0);
  assert_int_equal(f.http.cancel_cnt, 0);
  assert_int_equal(f.calls, 1);
  close_fixture(&f);
}

/* Goal: fallbacks are for nodes that are down, not for refusals, and the gauge says so.
   Method: a refuses the connection, b is syncing (503): the fallback answers; then b answers 400. */
static void fallbacks_when_primaries_are_down(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 2, 1);
  f.host[0] = (rule){AQ_E_CLOSED, AQ_MILLIS(1), NULL};
  f.host[1] = (rule){503, AQ_MILLIS(1), NULL};
  f.host[2] = (rule){200, AQ_MILLIS(1), "\"c\""};
  get(&f, "/x");
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.st, AQ_OK);
  assert_string_equal(f.body, "\"c\"");
  assert_true(aq_metric_value(AQ_M_APP_ETH2_USING_FALLBACK, AQ_NO_LABELS) == 1);
  f.host[1] = (rule){400, AQ_MILLIS(1), "{\"message\":\"no\"}"};
  get(&f, "/x");
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.st, AQ_E_REFUSED);
  assert_int_equal(f.code, 400);
  assert_string_equal(f.body, "{\"message\":\"no\"}");
  assert_int_equal(fake_http_count(&f.http, "c:3"), 1);
  assert_string_equal(aq_bn_best(f.bn), "http://c:3");
  assert_true(aq_metric_value(AQ_M_APP_ETH2_ERRORS_TOTAL, AQ_LABELS("genesis")) == 1);
  /* one lacks a block yet: it says more than a refusal for good, and a fallback may have it */
  f.host[0] = (rule){400, AQ_MILLIS(2), "{\"message\":\"UnknownHeadBlock\"}"};
  f.host[2] = (rule){400, AQ_MILLIS(1), "{\"message\":\"never\"}"};
  get(&f, "/x");
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_string_equal(f.body, "{\"message\":\"UnknownHeadBlock\"}");
  assert_int_equal(fake_http_count(&f.http, "c:3"), 2);
  f.host[2] = (rule){200, AQ_MILLIS(1), "\"c\""};
  get(&f, "/x");
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.st, AQ_OK);
  close_fixture(&f);
}

/* Goal: whoever does not answer is asked after who does, whatever they did before, and at its old place once it
   answers; of the well ones, one in sync is first.
   Method: a history of the first, then each kind of trouble, then an answer. */
static void best_by_health(void **state) {
  (void)state;
  static fixture f;
  static const rule bad[] = {{AQ_E_CLOSED, AQ_MILLIS(1), NULL}, {503, AQ_MILLIS(1), ""}, {500, AQ_MILLIS(1), ""}};
  static const rule good[] = {{200, AQ_MILLIS(1), "\"a\""}, {404, AQ_MILLIS(1), ""}, {400, AQ_MILLIS(1), ""}};
  uint32_t tried = 0;
  size_t place = 9;
  open_fixture(&f, 2, 1);
  f.host[0] = good[0];
  f.host[1] = (rule){200, AQ_MILLIS(2), "\"b\""};
  for (int i = 0; i < 20; i++) get(&f, "/x"), fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_string_equal(aq_bn_best(f.bn), "http://u:pw@a:1");
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    f.host[0] = bad[i];
    get(&f, "/x");
    fake_env_run_for(&f.env, AQ_MILLIS(10));
    assert_string_equal(aq_bn_best(f.bn), "http://b:2");
    assert_true(aq_bn_ails(f.bn, 0) && !aq_bn_ails(f.bn, 1));
    f.host[0] = good[i];
    get(&f, "/x");
    fake_env_run_for(&f.env, AQ_MILLIS(10));
    assert_string_equal(aq_bn_best(f.bn), "http://u:pw@a:1");
  }
  aq_bn_tell(f.bn, 0, false);
  assert_string_equal(aq_bn_next(f.bn, &tried, &place), "http://b:2");
  assert_int_equal(place, 1);
  assert_string_equal(aq_bn_next(f.bn, &tried, &place), "http://c:3");
  assert_string_equal(aq_bn_next(f.bn, &tried, &place), "http://u:pw@a:1");
  assert_null(aq_bn_next(f.bn, &tried, &place));
  aq_bn_tell(f.bn, 0, true);
  aq_bn_tell(f.bn, 1, true);
  assert_string_equal(aq_bn_best(f.bn), "http://u:pw@a:1");
  f.host[0] = (rule){200, AQ_MILLIS(1), "{\"data\":{\"is_syncing\":true}}"};
  f.host[1] = (rule){200, AQ_MILLIS(1), "{\"data\":{\"is_syncing\":false}}"};
  aq_bn_subscribe(f.bn, &(aq_bn_events){0});
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  assert_string_equal(aq_bn_best(f.bn), "http://b:2");
  close_fixture(&f);
}

/* Goal: silence ends in a time-out without an answer; cancelled and freed calls behave as the header says.
   Method: nobody answers; one call times out, one is cancelled, one is open at free. */
static void silence_cancel_and_free(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 1, 0);
  get(&f, "/x");
  fake_env_run_for(&f.env, AQ_MILLIS(1999));
  assert_int_equal(f.calls, 0);
  fake_env_run_for(&f.env, AQ_MILLIS(2));
  assert_int_equal(f.st, AQ_E_TIMEOUT);
  assert_false(f.has_ans);
  uint64_t id = get(&f, "/y");
  aq_bn_cancel(f.bn, id);
  aq_bn_cancel(f.bn, id);
  fake_env_run_for(&f.env, AQ_SECONDS(9));
  assert_int_equal(f.calls, 1);
  get(&f, "/z");
  aq_bn_free(f.bn);
  assert_int_equal(f.calls, 2);
  assert_int_equal(f.st, AQ_E_CLOSED);
  fake_http_free(&f.http);
  fake_env_free(&f.env);
  open_fixture(&f, 0, 0);
  get(&f, "/x");
  assert_int_equal(f.calls, 0);
  fake_env_drain(&f.env);
  assert_int_equal(f.st, AQ_E_CLOSED);
  close_fixture(&f);
}

static bool is_b(void *arg, const aq_bn_answer *ans) {
  (void)arg;
  return aq_bytes_eq(ans->body, aq_bytes_str("\"b\""));
}

/* Goal: garbage of one node does not win over a good answer of another.
   Method: a answers first but is refused by `good`; then both are. */
static void garbage_does_not_win(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 2, 0);
  f.host[0] = (rule){200, AQ_MILLIS(1), "\"a\""};
  f.host[1] = (rule){200, AQ_MILLIS(9), "\"b\""};
  const aq_bn_req req = {.endpoint = "x", .method = "GET", .path = "/x", .good = is_b};
  aq_bn_call(f.bn, &req, answered, &f);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.st, AQ_OK);
  assert_string_equal(f.body, "\"b\"");
  f.host[1].body = "\"z\"";
  aq_bn_call(f.bn, &req, answered, &f);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(f.st, AQ_E_FORMAT);
  assert_true(f.has_ans);
  close_fixture(&f);
}

/* Goal: the answer of one call ends its own requests, and no others. Method: a call to which nobody answers, then one
   that has its answer from the first node, from the second. */
static void others_stay_open(void **state) {
  (void)state;
  static fixture f;
  open_fixture(&f, 2, 0);
  const aq_bn_req slow = {.endpoint = "x", .method = "GET", .path = "/slow", .timeout_ns = AQ_SECONDS(30)};
  aq_bn_call(f.bn, &slow, answered, &f);
  fake_env_run_for(&f.env, AQ_MILLIS(1));
  assert_int_equal(fake_http_open_cnt(&f.http), 2);
  for (int first = 0; first < 2; first++) {
    f.host[first] = (rule){200, AQ_MILLIS(1), "\"it\""};
    f.host[1 - first] = (rule){200, AQ_MILLIS(9), "\"late\""};
    (void)get(&f, "/x");
    fake_env_run_for(&f.env, AQ_MILLIS(2));
    assert_int_equal(f.calls, 1 + first);
    assert_string_equal(f.body, "\"it\"");
    assert_int_equal(fake_http_open_cnt(&f.http), 2);
  }
  close_fixture(&f);
}

static bool never(void *arg, const aq_bn_answer *ans) {
  (void)arg, (void)ans;
  return false;
}

/* Goal: of two failures the caller is told the one that says more; of two that say as much, the first.
   Method: all pairs of these, in both orders. */
static void most_telling_failure(void **state) {
  (void)state;
  static const struct {
    int rank, code;
    const char *body;
  } row[] = {{1, AQ_E_CLOSED, NULL}, {2, AQ_E_TIMEOUT, NULL}, {3, AQ_E_LIMIT, NULL},
             {4, 199, NULL}, /* broken, or a gate */
             {4, 300, NULL},         {4, 399, NULL},          {4, 401, NULL},
             {4, 429, NULL},         {4, 500, NULL},          {4, 503, NULL},
             {5, 200, NULL},                         /* nothing that can be believed */
             {5, 299, NULL},         {6, 404, NULL}, /* no such route */
             {6, 405, NULL},         {7, 400, NULL}, /* refused */
             {7, 415, NULL},         {7, 499, NULL},          {8, 400, "{\"message\":\"slot is in the future\"}"}};
  static fixture f;
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    for (size_t k = 0; k < AQ_COUNT(row); k++) {
      open_fixture(&f, 2, 0);
      f.host[0] = (rule){row[i].code, AQ_MILLIS(1), row[i].body};
      f.host[1] = (rule){row[k].code, AQ_MILLIS(2), row[k].body};
      const aq_bn_req req = {.endpoint = "x", .method = "GET", .path = "/x", .good = never};
      aq_bn_call(f.bn, &req, answered, &f);
      fake_env_run_for(&f.env, AQ_SECONDS(1));
      int want = row[row[k].rank > row[i].rank ? k : i].code;
      assert_int_equal(f.calls, 1);
      assert_int_equal(f.code, want > 0 ? want : 0);
      assert_int_equal(f.st, want < 0 ? want : want >= 200 && want <= 299 ? AQ_E_FORMAT : AQ_E_REFUSED);
      close_fixture(&f);
    }
  }
}

/* ---- the chain ---- */

typedef struct {
  const char *genesis, *spec, *schedule, *syncing;
} chain_bn;

static const char *chain_route(void *arg, fake_ex *ex) {
  const chain_bn *c = arg;
  if (strstr(ex->url, "/eth/v1/beacon/genesis")) return c->genesis;
  if (strstr(ex->url, "/eth/v1/config/spec")) return c->spec;
  if (strstr(ex->url, "/eth/v1/config/fork_schedule")) return c->schedule;
  if (strstr(ex->url, "/eth/v1/node/syncing")) return c->syncing;
  return NULL;
}

typedef struct {
  int calls;
  aq_status st;
  aq_chain chain;
  char why[200];
} loaded;

static void chain_done(void *arg, aq_status st, const aq_chain *chain, const char *why) {
  loaded *l = arg;
  l->calls++;
  l->st = st;
  if (chain) l->chain = *chain;
  snprintf(l->why, sizeof l->why, "%s", why);
}

#define ROOT21 "0x2121212121212121212121212121212121212121212121212121212121212121"
#define GENESIS_OF(time, version)                                                  \
  "{\"data\":{\"genesis_time\":\"" time "\",\"genesis_validators_root\":\"" ROOT21 \
  "\",\"genesis_fork_version\":\"" version "\"}}"
#define SYNCED "{\"data\":{\"head_slot\":\"5\",\"sync_distance\":\"0\",\"is_syncing\":false,\"is_optimistic\":false}}"
#define SYNCING "{\"data\":{\"head_slot\":\"5\",\"sync_distance\":\"70\",\"is_syncing\":true}}"

/* As Lodestar 1.5.1 answers at Capella, minimal preset (testing.md 1.5): no DENEB_ keys, genesis with the version of
   slot 0. */
static const chain_bn lodestar = {
    GENESIS_OF("1699999000", "0x03000001"),
    "{\"data\":{\"SECONDS_PER_SLOT\":\"4\",\"SLOTS_PER_EPOCH\":\"8\",\"GENESIS_FORK_VERSION\":\"0x00000001\","
    "\"ALTAIR_FORK_VERSION\":\"0x01000001\",\"ALTAIR_FORK_EPOCH\":\"0\",\"BELLATRIX_FORK_VERSION\":\"0x02000001\","
    "\"BELLATRIX_FORK_EPOCH\":\"0\",\"CAPELLA_FORK_VERSION\":\"0x03000001\",\"CAPELLA_FORK_EPOCH\":\"0\","
    "\"EPOCHS_PER_SYNC_COMMITTEE_PERIOD\":\"8\",\"SYNC_COMMITTEE_SIZE\":\"32\",\"DOMAIN_RANDAO\":\"0x02000000\"}}",
    "{\"data\":[{\"previous_version\":\"0x03000001\",\"current_version\":\"0x03000001\",\"epoch\":\"0\"}]}", SYNCED};

/* Goal: the chain of the old Lodestar loads; forks it does not know are never.
   Method: its answers; each parameter compared. */
static void chain_of_old_lodestar(void **state) {
  (void)state;
  static fixture f;
  static loaded l;
  memset(&l, 0, sizeof l);
  open_fixture(&f, 1, 0);
  chain_bn bn = lodestar;
  f.route = chain_route;
  f.route_arg = &bn;
  aq_bn_load_chain(f.bn, chain_done, &l);
  assert_int_equal(l.calls, 0);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(l.calls, 1);
  assert_int_equal(l.st, AQ_OK);
  const aq_chain *c = &l.chain;
  assert_true(c->clock.genesis_ns == AQ_SECONDS(1699999000) && c->clock.slot_ns == AQ_SECONDS(4));
  assert_int_equal(c->clock.slots_per_epoch, 8);
  assert_memory_equal(c->genesis_version, "\x00\x00\x00\x01", 4);
  assert_memory_equal(c->capella_version, "\x03\x00\x00\x01", 4);
  assert_int_equal(c->genesis_validators_root[31], 0x21);
  assert_int_equal(aq_chain_fork_at(c, 0), AQ_CAPELLA);
  assert_true(c->fork[AQ_DENEB].epoch == AQ_FAR_EPOCH && c->fork[AQ_FULU].epoch == AQ_FAR_EPOCH);
  assert_int_equal(aq_chain_fork_at(c, 1u << 30), AQ_CAPELLA);
  assert_int_equal(c->epochs_per_sync_period, 8);
  assert_int_equal(c->target_aggregators_per_committee, 16);
  assert_int_equal(c->sync_committee_size, 32);
  close_fixture(&f);
}

/* Goal: sub-second slots, and the fork schedule's epochs win over the spec's (core.md 5).
   Method: SLOT_DURATION_MS 500; fulu far in the spec and at epoch 9 in the schedule. */
static void chain_with_short_slots(void **state) {
  (void)state;
  static fixture f;
  static loaded l;
  memset(&l, 0, sizeof l);
  open_fixture(&f, 1, 0);
  chain_bn bn = {GENESIS_OF("1699999000", "0x10000910"),
                 "{\"data\":{\"SLOT_DURATION_MS\":\"500\",\"SECONDS_PER_SLOT\":\"0\",\"SLOTS_PER_EPOCH\":16,"
                 "\"ELECTRA_FORK_VERSION\":\"0x60000910\",\"ELECTRA_FORK_EPOCH\":\"2\",\"FULU_FORK_VERSION\":"
                 "\"0x70000910\",\"FULU_FORK_EPOCH\":\"18446744073709551615\"}}",

                 "{\"data\":[{\"current_version\":\"0x70000910\",\"epoch\":\"9\"},{\"current_version\":\"0x99000910\","
                 "\"epoch\":\"10\"}]}",
                 SYNCED};
  f.route = chain_route;
  f.route_arg = &bn;
  aq_bn_load_chain(f.bn, chain_done, &l);
  fake_env_run_for(&f.env, AQ_SECONDS(1));
  assert_int_equal(l.st, AQ_OK);
  assert_true(l.chain.clock.slot_ns == AQ_MILLIS(500));
  assert_int_equal(aq_chain_fork_at(&l.chain, 1), AQ_PHASE0);
  assert_int_equal(aq_chain_fork_at(&l.chain, 8), AQ_ELECTRA);
  assert_int_equal(aq_chain_fork_at(&l.chain, 9), AQ_FULU);
  assert_true(aq_bytes_is_zero(aq_bytes_of(l.chain.capella_version, 4)));
  close_fixture(&f);
}

/* Goal: loading waits for a node that is away, answers rubbish or syncs, with growing pauses, and then goes on.
   Method: each of these for a while; the request times and the final answer are checked. */
static void chain_waits_for_the_node(void **state) {
  (void)state;
  static fixture f;
  static loaded l;
  memset(&l, 0, sizeof l);
  open_fixture(&f, 1, 0);
  chain_bn bn = {.syncing = SYNCING};
  f.route = chain_route;
  f.route_arg = &bn;
  aq_bn_load_chain(f.bn, chain_done, &l);
  fake_env_run_for(&f.env, AQ_SECONDS(60));
  size_t tries = fake_http_count(&f.http, "genesis");
  assert_in_range(tries, 15, 22); /* 100 ms * 1.6^i up to 5 s: nine tries in 11 s, then one each 5 s */
  bn.genesis = "<html>502</html>";
  fake_env_run_for(&f.env, AQ_SECONDS(11));
  bn.genesis = "{\"data\":{\"genesis_time\":\"1699999000\"";
  fake_env_run_for(&f.env, AQ_SECONDS(11));
  bn.genesis = "{\"data\":[]}";
  fake_env_run_for(&f.env, AQ_SECONDS(11));
  assert_int_equal(fake_http_count(&f.http, "spec"), 0);
  bn = lodestar;
  bn.syncing = SYNCING;
  fake_env_run_for(&f.env, AQ_SECONDS(30));
  assert_int_equal(l.calls, 0);
  assert_in_range(fake_http_count(&f.http, "syncing"), 3, 8);
  bn.syncing = SYNCED;
  fake_env_run_for(&f.env, AQ_SECONDS(121));
  assert_int_equal(l.calls, 1);
  assert_int_equal(l.st, AQ_OK);
  assert_int_equal(fake_http_count(&f.http, "spec"), 1);
  close_fixture(&f);
}

/* Goal: a chain that no node could work on is refused with the name of the field; stopping ends the wait.
   Method: zero slots per epoch, no slot time, a huge genesis time; free while waiting. */
static void chain_refused(void **state) {
  (void)state;
  static const chain_bn bad[] = {
      {GENESIS_OF("1699999000", "0x00000001"), "{\"data\":{\"SECONDS_PER_SLOT\":\"4\",\"SLOTS_PER_EPOCH\":\"0\"}}", "",
       ""},
      {GENESIS_OF("1699999000", "0x00000001"), "{\"data\":{\"SLOTS_PER_EPOCH\":\"8\"}}", "", ""},
      {GENESIS_OF("18446744073709551615", "0x00000001"), "", "", ""}};
  static const char *const why[] = {"SLOTS_PER_EPOCH", "SECONDS_PER_SLOT", "genesis_time"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    static fixture f;
    static loaded l;
    memset(&l, 0, sizeof l);
    open_fixture(&f, 1, 0);
    chain_bn bn = bad[i];
    f.route = chain_route;
    f.route_arg = &bn;
    aq_bn_load_chain(f.bn, chain_done, &l);
    fake_env_run_for(&f.env, AQ_SECONDS(1));
    assert_int_equal(l.st, AQ_E_FORMAT);
    assert_non_null(strstr(l.why, why[i]));
    bn.genesis = NULL;
    aq_bn_load_chain(f.bn, chain_done, &l);
    close_fixture(&f);
    assert_int_equal(l.st, AQ_E_CLOSED);
  }
}

/* ---- events ---- */

typedef struct {
  int heads, reorgs;
  uint64_t slot, depth;
  uint8_t block[32];
} seen;

static void on_head(void *arg, const aq_bn_head *h) {
  seen *s = arg;
  s->heads++;
  s->slot = h->slot;
  memcpy(s->block, h->block, 32);
}

static void on_reorg(void *arg, uint64_t slot, uint64_t depth) {
  seen *s = arg;
  s->reorgs++;
  s->slot = slot;
  s->depth = depth;
}

#define HEAD(slot) "event: head\ndata: {\"slot\":\"" slot "\",\"block\":\"" ROOT21 "\",\"state\":\"" ROOT21 "\"}\n\n"

static void silent(void *arg, fake_ex *ex) {
  (void)arg;
  if (!strstr(ex->url, "/eth/v1/events")) fake_http_answer(ex, 0, 404, "{}");
}

/* Goal: head and reorg events are handed on once although two nodes report them, and bad events do no harm.
   Method: two streams; split chunks, CRLF, comments, rubbish, an unknown event, a repeated reorg. */
static void events_are_handed_on(void **state) {
  (void)state;
  static fixture f;
  seen s = {0};
  open_fixture(&f, 2, 0);
  f.http.handle = silent;
  aq_bn_subscribe(f.bn, &(aq_bn_events){.arg = &s, .head = on_head, .reorg = on_reorg});
  fake_ex *a = fake_http_find(&f.http, "a:1/eth/v1/events"), *b = fake_http_find(&f.http, "b:2/eth/v1/events");
  assert_non_null(strstr(a->url, "?topics=head&topics=chain_reorg&topics=block_gossip&topics=block"));
  assert_string_equal(a->accept, "text/event-stream");
  fake_http_open(a, 200);
  fake_http_open(b, 200);
  fake_http_chunk(a, ": hello\r\nevent: he");
  fake_http_chunk(a, "ad\r\ndata: {\"slot\":\"7\",\r\ndata: \"block\":\"" ROOT21 "\"}\r");
  assert_int_equal(s.heads, 0);
  fake_http_chunk(a, "\n\r\n");
  assert_int_equal(s.heads, 1);
  assert_int_equal(s.slot, 7);
  assert_int_equal(s.block[5], 0x21);
  fake_http_chunk(b, HEAD("7"));
  assert_int_equal(s.heads, 1);
  fake_http_chunk(a,
                  "event: head\ndata: {\"slot\":\n\nevent: head\ndata: 5\n\nevent: head\ndata: {\"slot\":\"8\"}\n\n");
  fake_http_chunk(a, "event: other\ndata: {\"slot\":\"8\"}\n\ndata\n\nevent: head\n\n\n\n");
  assert_int_equal(s.heads, 1);
  fake_http_chunk(b, HEAD("8"));
  assert_int_equal(s.heads, 2);
  fake_http_chunk(a,
                  "event: chain_reorg\ndata: {\"slot\":\"8\",\"depth\":\"2\",\"new_head_block\":\"" ROOT21 "\"}\n\n");
  fake_http_chunk(b,
                  "event: chain_reorg\ndata: {\"slot\":\"8\",\"depth\":\"2\",\"new_head_block\":\"" ROOT21 "\"}\n\n");
  assert_int_equal(s.reorgs, 1);
  assert_int_equal(s.depth, 2);
  fake_http_chunk(b, "event: chain_reorg\ndata: {\"slot\":\"9\",\"depth\":\"2\"}\n\n");
  assert_int_equal(s.reorgs, 2);
  assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_SSE_HEAD_SLOT, AQ_LABELS("http://a:1")) == 7);
  close_fixture(&f);
}

static const char *version_answer;

static void with_version(void *arg, fake_ex *ex) {
  (void)arg;
  if (strstr(ex->url, "/eth/v1/node/version"))
    fake_http_answer(ex, AQ_MILLIS(1), 200, version_answer);
  else
    silent(arg, ex);
}

/* The stream of the only beacon node ends, comes back, and the version was asked for. */
static void reopen(fixture *f, const char *answer) {
  version_answer = answer;
  fake_ex *ex = fake_http_find(&f->http, "/events");
  if (ex && ex->streaming) fake_http_fail(ex, 0, AQ_E_CLOSED), fake_env_run_for(&f->env, AQ_MILLIS(1));
  for (int i = 0; i < 60 && !(ex = fake_http_find(&f->http, "/events")); i++) fake_env_run_for(&f->env, AQ_SECONDS(1));
  assert_non_null(ex);
  fake_http_open(ex, 200);
  fake_env_run_for(&f->env, AQ_MILLIS(10));
}

/* Goal: the beacon node's version is in the metrics, one series a node, and follows its restarts; nonsense changes
   nothing.
   Method: a stream that is opened again and again, with another answer to /eth/v1/node/version each time. */
static void version_is_known(void **state) {
  (void)state;
  static fixture f;
  seen s = {0};
  open_fixture(&f, 1, 0);
  f.http.handle = with_version;
  aq_bn_subscribe(f.bn, &(aq_bn_events){.arg = &s, .head = on_head});
  const char *const *one = AQ_LABELS("Lodestar/v1.5.1", "http://a:1"), *const *other =
                                                                           AQ_LABELS("Teku/v25", "http://a:1");
  reopen(&f, "{\"data\":{\"version\":\"Lodestar/v1.5.1\"}}");
  assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_VERSION, one) == 1);
  static const char *const nonsense[] = {"", "[]", "{\"data\":7}", "{\"data\":{\"version\":7}}",
                                         "{\"data\":{\"version\":\"x"};
  for (size_t i = 0; i < AQ_COUNT(nonsense); i++) {
    reopen(&f, nonsense[i]);
    assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_VERSION, one) == 1);
  }
  reopen(&f, "{\"data\":{\"version\":\"Teku/v25\"}}");
  assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_VERSION, one) == 0);
  assert_true(aq_metric_value(AQ_M_APP_BEACON_NODE_VERSION, other) == 1);
  close_fixture(&f);
}

/* Goal: a stream that is refused, ends or stalls is opened again, never in a tight loop; a node that refuses topics
   gets fewer.
   Method: 400 on the first try, a clean end, silence; connection times over the virtual clock. */
static void stream_comes_back(void **state) {
  (void)state;
  static fixture f;
  seen s = {0};
  open_fixture(&f, 1, 0);
  f.http.handle = silent;
  aq_bn_subscribe(f.bn, &(aq_bn_events){.arg = &s, .head = on_head});
  fake_ex *a = fake_http_find(&f.http, "/events");
  fake_http_open(a, 400);
  fake_http_answer(a, 0, 400, "{}");
  fake_env_run_for(&f.env, AQ_MILLIS(999));
  assert_null(fake_http_find(&f.http, "/events"));
  fake_env_run_for(&f.env, AQ_MILLIS(2));
  a = fake_http_find(&f.http, "/events");
  assert_null(strstr(a->url, "block_gossip"));
  fake_http_open(a, 200);
  fake_http_chunk(a, HEAD("3"));
  fake_http_answer(a, 0, 200, "");
  fake_env_drain(&f.env);
  assert_null(fake_http_find(&f.http, "/events"));
  fake_env_run_for(&f.env, AQ_MILLIS(1001));
  assert_non_null(fake_http_find(&f.http, "/events"));
  size_t before = fake_http_count(&f.http, "/events");
  fake_http_open(fake_http_find(&f.http, "/events"), 200);
  fake_env_run_for(&f.env, AQ_SECONDS(20)); /* two slots of the default 12 s are not over */
  assert_int_equal(fake_http_count(&f.http, "/events"), before);
  fake_env_run_for(&f.env, AQ_SECONDS(10));
  assert_int_equal(fake_http_count(&f.http, "/events"), before + 1);
  f.http.handle = handle; /* nobody listens any more */
  f.host[0] = (rule){AQ_E_CLOSED, 0, NULL};
  fake_http_fail(fake_http_find(&f.http, "/events"), 0, AQ_E_CLOSED);
  before = fake_http_count(&f.http, "/events");
  fake_env_run_for(&f.env, AQ_SECONDS(600));
  assert_in_range(fake_http_count(&f.http, "/events") - before, 18, 28);
  close_fixture(&f);
}

static void count_event(void *arg, const char *name, aq_bytes data) {
  int *n = arg;
  (*n)++;
  assert_string_equal(name, "head");
  assert_true(data.len <= AQ_SSE_DATA_MAX);
}

/* Goal: lines and events over their limits are dropped as a whole, in bounded memory, and the next event is read.
   Method: a line of twice the limit, an event of many data lines, a long event name, then a good event. */
static void sse_limits(void **state) {
  (void)state;
  aq_sse s;
  aq_sse_init(&s);
  int n = 0;
  static char big[2 * AQ_SSE_LINE_MAX];
  memset(big, 'x', sizeof big);
  aq_sse_feed(&s, aq_bytes_str("event: head\ndata: "), count_event, &n);
  aq_sse_feed(&s, aq_bytes_of(big, sizeof big), count_event, &n);
  aq_sse_feed(&s, aq_bytes_str("\ndata: more\n\n"), count_event, &n);
  assert_int_equal(n, 0);
  aq_sse_feed(&s, aq_bytes_str("event: head\n"), count_event, &n);
  for (int i = 0; i < 3; i++) {
    aq_sse_feed(&s, aq_bytes_str("data: "), count_event, &n);
    aq_sse_feed(&s, aq_bytes_of(big, AQ_SSE_LINE_MAX / 2), count_event, &n);
    aq_sse_feed(&s, aq_bytes_str("\n"), count_event, &n);
  }
  aq_sse_feed(&s, aq_bytes_str("\nevent: "), count_event, &n);
  aq_sse_feed(&s, aq_bytes_of(big, AQ_SSE_NAME_MAX), count_event, &n);
  aq_sse_feed(&s, aq_bytes_str("\ndata: x\n\n"), count_event, &n);
  assert_int_equal(n, 0);
  aq_sse_feed(&s, aq_bytes_str("event:head\ndata:y\nretry: 2500\n\n"), count_event, &n);
  assert_int_equal(n, 1);
  assert_int_equal(s.retry_ms, 2500);
  aq_sse_free(&s);
}

static const char *health_route(void *arg, fake_ex *ex) {
  const char *const *syncing = arg;
  if (strstr(ex->url, "peer_count")) return "{\"data\":{\"connected\":\"42\",\"disconnected\":\"1\"}}";
  return strstr(ex->url, "syncing") ? *syncing : NULL;
}

/* Goal: health follows the node: reachable, syncing with distance, gone, back; peers once a minute.
   Method: the fake changes its answers; polls counted over two minutes of 12 s slots. */
static void health_follows_the_node(void **state) {
  (void)state;
  static fixture f;
  const char *syncing = SYNCED;
  aq_bn_health h;
  open_fixture(&f, 1, 0);
  f.route = health_route;
  f.route_arg = (void *)&syncing;
  aq_bn_health_get(f.bn, &h);
  assert_false(h.reachable || h.peers_known);
  aq_bn_subscribe(f.bn, &(aq_bn_events){0});
  fake_env_run_for(&f.env, AQ_MILLIS(10));
  aq_bn_health_get(f.bn, &h);
  assert_true(h.reachable && !h.syncing && h.peers_known && h.peers == 42);
  syncing = SYNCING;
  fake_env_run_for(&f.env, AQ_SECONDS(13));
  aq_bn_health_get(f.bn, &h);
  assert_true(h.reachable && h.syncing && h.sync_distance == 70);
  syncing = NULL;
  fake_env_run_for(&f.env, AQ_SECONDS(12));
  aq_bn_health_get(f.bn, &h);
  assert_false(h.reachable);
  syncing = "{\"data\":{\"is_syncing\":\"no\"}}";
  fake_env_run_for(&f.env, AQ_SECONDS(12));
  aq_bn_health_get(f.bn, &h);
  assert_false(h.reachable);
  syncing = SYNCED;
  fake_env_run_for(&f.env, AQ_SECONDS(12));
  aq_bn_health_get(f.bn, &h);
  assert_true(h.reachable && !h.syncing);
  fake_env_run_for(&f.env, AQ_SECONDS(72));
  assert_in_range(fake_http_count(&f.http, "peer_count"), 2, 3);
  assert_in_range(fake_http_count(&f.http, "syncing"), 10, 12);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_good_answer_wins),
      cmocka_unit_test(submission_completes_on_all),
      cmocka_unit_test(fallbacks_when_primaries_are_down),
      cmocka_unit_test(best_by_health),
      cmocka_unit_test(silence_cancel_and_free),
      cmocka_unit_test(garbage_does_not_win),
      cmocka_unit_test(most_telling_failure),
      cmocka_unit_test(others_stay_open),
      cmocka_unit_test(chain_of_old_lodestar),
      cmocka_unit_test(chain_with_short_slots),
      cmocka_unit_test(chain_waits_for_the_node),
      cmocka_unit_test(chain_refused),
      cmocka_unit_test(events_are_handed_on),
      cmocka_unit_test(version_is_known),
      cmocka_unit_test(stream_comes_back),
      cmocka_unit_test(sse_limits),
      cmocka_unit_test(health_follows_the_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
