/* Real set-ups of Charon, run through our flags. */
#define aq_node_run test_node_run
#include "cmd/cmd_run.c"
#include "cmd/config_file.c"
#include "cmd/endpoints.c"
#include "cmd/network.c"

#include <stdarg.h>
#include <unistd.h>

#include "aq_test.h"

static aq_node_cfg got;
static uint32_t starts;
static char dir[] = "/tmp/aequa-run-XXXXXX";

int test_node_run(const aq_node_cfg *c) {
  got = *c;
  starts++;
  return AQ_NODE_STOPPED;
}

static int say(const char *fmt, va_list args) {
  char text[512];
  vsnprintf(text, sizeof text, fmt, args);
  print_error("%s\n", text);
  return AQ_EXIT_FAILED;
}

int aq_cmd_fail(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int rc = say(fmt, args);
  va_end(args);
  return rc;
}

int aq_cmd_usage_error(const aq_command *cmd, const char *fmt, ...) {
  va_list args;
  (void)cmd;
  va_start(args, fmt);
  int rc = say(fmt, args);
  va_end(args);
  return rc;
}

enum { WORDS_MAX = 24 };

/* What set-ups of Charon in public use give to it; their values are examples. */
typedef struct {
  const char *what;
  const char *arg[WORDS_MAX], *env[WORDS_MAX];
  const char *file, *text; /* a configuration file */
  size_t beacons;
  bool builder, key_lock;
} set_up;

#define RELAYS "https://0.relay.obol.tech,https://1.relay.obol.tech/"
static const set_up set_ups[] = {
    {.what = "the compose file of one distributed validator node",
     .env = {"CHARON_BEACON_NODE_ENDPOINTS=http://lighthouse:5052",
             "CHARON_BEACON_NODE_HEADERS=",
             "CHARON_BEACON_NODE_TIMEOUT=3s",
             "CHARON_BEACON_NODE_SUBMIT_TIMEOUT=4s",
             "CHARON_FALLBACK_BEACON_NODE_ENDPOINTS=",
             "CHARON_LOG_LEVEL=debug",
             "CHARON_LOG_FORMAT=console",
             "CHARON_P2P_RELAYS=" RELAYS,
             "CHARON_P2P_EXTERNAL_HOSTNAME=",
             "CHARON_P2P_TCP_ADDRESS=0.0.0.0:3610",
             "CHARON_VALIDATOR_API_ADDRESS=0.0.0.0:3600",
             "CHARON_MONITORING_ADDRESS=0.0.0.0:3620",
             "CHARON_BUILDER_API=true",
             "CHARON_FEATURE_SET_ENABLE=",
             "CHARON_LOKI_ADDRESSES=http://loki:3100/loki/api/v1/push",
             "CHARON_LOKI_SERVICE=charon",
             "CHARON_NICKNAME=",
             "CHARON_EXECUTION_CLIENT_RPC_ENDPOINT=http://nethermind:8545",
             "CHARON_PROMTAIL_MONITORED=true",
             "CHARON_VERSION=v1.7.1"},
     .beacons = 1,
     .builder = true},
    {.what = "a package for a home server: flags after the script's own, the rest in the environment",
     .arg = {"--lock-file", ".charon/cluster-lock.json", "--private-key-file=.charon/charon-enr-private-key",
             "--beacon-node-endpoints=http://beacon:3500", "--monitoring-address=0.0.0.0:3620", "--builder-api"},
     .env = {"CHARON_LOG_LEVEL=info", "CHARON_LOG_FORMAT=console", "CHARON_P2P_RELAYS=https://0.relay.obol.tech",
             "CHARON_P2P_EXTERNAL_HOSTNAME=home.example.org", "CHARON_P2P_TCP_ADDRESS=0.0.0.0:3610",
             "CHARON_VALIDATOR_API_ADDRESS=0.0.0.0:3600", "CHARON_MONITORING_ADDRESS=0.0.0.0:3620"},
     .beacons = 1,
     .builder = true},
    {.what = "a node manager's list of flags",
     .arg = {"--beacon-node-endpoints=http://a:5052,http://b:5052", "--log-level=info", "--log-format=console",
             "--p2p-relays=https://0.relay.obol.tech", "--p2p-tcp-address=0.0.0.0:3610",
             "--validator-api-address=0.0.0.0:3600", "--monitoring-address=0.0.0.0:3620", "--builder-api",
             "--feature-set-enable=json_requests"},
     .beacons = 2,
     .builder = true},
    {.what = "a local test network: a custom chain in the environment",
     .env = {"CHARON_LOG_LEVEL=debug", "CHARON_LOG_FORMAT=console", "CHARON_P2P_RELAYS=http://relay:3640",
             "CHARON_BUILDER_API=true", "CHARON_VALIDATOR_API_ADDRESS=0.0.0.0:3600",
             "CHARON_P2P_TCP_ADDRESS=0.0.0.0:3610", "CHARON_MONITORING_ADDRESS=0.0.0.0:3620",
             "CHARON_PRIVATE_KEY_FILE=/opt/charon/.charon/node0/charon-enr-private-key",
             "CHARON_LOCK_FILE=/opt/charon/.charon/node0/cluster-lock.json", "CHARON_JAEGER_SERVICE=node0",
             "CHARON_P2P_EXTERNAL_HOSTNAME=node0", "CHARON_BEACON_NODE_ENDPOINTS=http://beacon:4000",
             "CHARON_TESTNET_CHAIN_ID=3151908", "CHARON_TESTNET_FORK_VERSION=0x10000038",
             "CHARON_TESTNET_GENESIS_TIMESTAMP=1700000000", "CHARON_TESTNET_NAME=kurtosis"},
     .beacons = 1,
     .builder = true},
    {.what = "a cluster on one machine with tracing, and a relay's variables beside the node's",
     .env = {"CHARON_BEACON_NODE_ENDPOINTS=http://a:5052", "CHARON_JAEGER_ADDRESS=0.0.0.0:6831",
             "CHARON_P2P_RELAYS=http://relay:3640/enr", "CHARON_HTTP_ADDRESS=0.0.0.0:3640",
             "CHARON_P2P_ADVERTISE_PRIVATE_ADDRESSES=true", "CHARON_DATA_DIR=/opt/charon/relay"},
     .beacons = 1},
    {.what = "an operator's playbook: booleans with a word behind them",
     .arg = {"--builder-api", "true", "--private-key-file-lock", "false", "--beacon-node-endpoints", "http://a:5052",
             "--p2p-disable-reuseport", "true"},
     .beacons = 1,
     .builder = true},
    {.what = "a unit file: relays emptied, tracing and newer flags",
     .arg = {"--beacon-node-endpoints=http://a:5052", "--p2p-relays=", "--private-key-file-lock",
             "--otlp-address=tempo:4317", "--otlp-headers=a=b", "--otlp-insecure=true", "--otlp-service-name=charon",
             "--debug-address=127.0.0.1:3630", "--graffiti-disable-client-append", "--graffiti=a,b",
             "--fetch-feerecipient-updates", "--consensus-protocol=qbft", "--publish-timeout=5m0s",
             "--beacon-node-headers=x-key=1,y=2", "--log-color=disable", "--log-output-path=/var/log/charon.log"},
     .beacons = 1,
     .key_lock = true},
    {.what = "charon.json with lists, written by an editor that marks its files",
     .file = "charon.json",
     .text = "\xef\xbb\xbf{\"beacon-node-endpoints\": [\"http://a:5052\", \"http://b:5052\"], \"builder-api\": true,"
             "\"p2p-relays\": [], \"beacon-node-timeout\": \"3s\", \"other\": {\"a\": [1]}, \"more\": [[1], 2]}",
     .beacons = 2,
     .builder = true},
    {.what = "charon.toml with lists",
     .file = "charon.toml",
     .text = "# a node\nbeacon-node-endpoints = [\n  \"http://a:5052\", # mine\n  \"http://b:5052\",\n]\n"
             "private-key-file-lock = true\np2p-relays = [\"https://0.relay.obol.tech\"]\n",
     .beacons = 2,
     .key_lock = true},
    {.what = "charon.yaml with lists",
     .file = "charon.yaml",
     .text = "---\nbeacon-node-endpoints:\n  - http://a:5052\n  - \"http://b:5052\"\n  - http://c:5052/ # last\n"
             "p2p-relays: [https://0.relay.obol.tech, https://1.relay.obol.tech]\nbuilder-api: true\n",
     .beacons = 3,
     .builder = true},
};

static int cnt_of(const char *const *word) {
  int n = 0;
  while (n < WORDS_MAX && word[n]) n++;
  return n;
}

static void start(const set_up *s) {
  aq_arena arena;
  aq_options opt;
  run_cfg cfg = {.data_dir = NULL};
  aq_err err = {AQ_OK, ""};
  const char *env[WORDS_MAX + 1] = {NULL};
  memcpy(env, s->env, sizeof s->env);
  aq_opt_input in = {.argc = cnt_of(s->arg), .argv = s->arg, .env = env};
  aq_config_file file;
  aq_arena_init(&arena, 16 << 20);
  if (s->file) assert_int_equal(aq_file_write(s->file, aq_bytes_str(s->text), 0600, &err), AQ_OK);
  assert_int_equal(aq_config_file_load(&file, &arena, &err), AQ_OK);
  in.file = file.pair, in.file_cnt = file.cnt;
  if (aq_options_parse(&opt, &cfg, &arena, options, AQ_COUNT(options), &in, &err) != AQ_OK)
    fail_msg("%s: %s", s->what, err.text);
  starts = 0;
  const aq_cmd_ctx ctx = {&opt, &arena, "aequa"};
  assert_int_equal(aq_cmd_run.run(&ctx, &cfg), AQ_EXIT_OK);
  assert_int_equal(starts, 1);
  assert_int_equal(got.beacon.cnt, s->beacons);
  for (size_t i = 0; i < got.beacon.cnt; i++) assert_memory_equal(got.beacon.item[i], "http://", 7);
  assert_int_equal(got.builder_api, s->builder);
  assert_int_equal(got.private_key_lock, s->key_lock);
  if (s->file) assert_int_equal(unlink(s->file), 0);
  aq_arena_free(&arena);
}

/* Goal: a node takes over what set-ups of Charon in public use give to it, as it is.
   Method: their flags, variables and files; what reaches the node is looked at. */
static void test_set_ups(void **state) {
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(set_ups); i++) start(&set_ups[i]);
  assert_true(aq_cmd_run.args_ignored);
}

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

int main(void) {
  if (!mkdtemp(dir) || chdir(dir) != 0) return 1;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_set_ups)};
  int rc = cmocka_run_group_tests(tests, NULL, NULL);
  return rmdir(dir) == 0 ? rc : 1;
}
