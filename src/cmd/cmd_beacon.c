/* `aequa beacon`: the simulated chain behind a real HTTP server. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/adapters.h"
#include "adapter/sandbox.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/datadir.h"
#include "cluster/lock.h"
#include "cluster/rfc3339.h"
#include "cmd/cmd.h"
#include "cmd/network.h"
#include "node/node.h"
#include "simchain/beacon.h"

typedef struct {
  const char *listen, *genesis_version, *fork, *pubkeys_file;
  aq_opt_list lock_files, fork_epochs;
  uint64_t genesis_time, slot_ns, slots_per_epoch;
  bool genesis_of_lock, no_sandbox;
  aq_network_flags custom;
} beacon_cmd_cfg;

static const aq_option options[] = {
    {.flag = "listen",
     .kind = AQ_OPT_STR,
     .off = offsetof(beacon_cmd_cfg, listen),
     .def = "127.0.0.1:5052",
     .help = "address of the beacon API"},
    {.flag = "lock-file",
     .kind = AQ_OPT_LIST,
     .off = offsetof(beacon_cmd_cfg, lock_files),
     .help = "cluster locks whose validators are the chain's, and whose fork version is its genesis version"},
    {.flag = "pubkeys-file",
     .kind = AQ_OPT_PATH,
     .off = offsetof(beacon_cmd_cfg, pubkeys_file),
     .help = "more validators, one 0x public key a line"},
    {.flag = "genesis-time",
     .kind = AQ_OPT_U64,
     .off = offsetof(beacon_cmd_cfg, genesis_time),
     .def = "0",
     .help = "Unix seconds, 0: two seconds from now"},
    {.flag = "genesis-from-lock",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(beacon_cmd_cfg, genesis_of_lock),
     .def = "false",
     .help = "genesis is when the cluster of the first lock was made: a chain that is started again goes on"},
    {.flag = "slot-time",
     .kind = AQ_OPT_DURATION,
     .off = offsetof(beacon_cmd_cfg, slot_ns),
     .def = "12s",
     .help = "length of a slot"},
    {.flag = "slots-per-epoch",
     .kind = AQ_OPT_U64,
     .off = offsetof(beacon_cmd_cfg, slots_per_epoch),
     .def = "32",
     .help = "length of an epoch"},
    {.flag = "genesis-fork-version",
     .kind = AQ_OPT_STR,
     .off = offsetof(beacon_cmd_cfg, genesis_version),
     .help = "0x and 8 hex digits; default: the first lock's"},
    {.flag = "fork",
     .kind = AQ_OPT_STR,
     .off = offsetof(beacon_cmd_cfg, fork),
     .def = "fulu",
     .help = "newest fork that is active at genesis: phase0 to fulu"},
    {.flag = "fork-epochs",
     .kind = AQ_OPT_LIST,
     .off = offsetof(beacon_cmd_cfg, fork_epochs),
     .help = "later forks as name=epoch, e.g. electra=2,fulu=4"},
    AQ_NO_SANDBOX_OPTION(beacon_cmd_cfg, no_sandbox),
    AQ_NETWORK_OPTIONS(beacon_cmd_cfg, custom),
};

/* A line is a key of 98 characters and its end. */
enum { PUBKEYS_MAX = 100000, PUBKEYS_FILE_MAX = 128 * PUBKEYS_MAX };

typedef struct {
  uint8_t (*key)[48];
  uint32_t cnt;
  uint8_t version[4];
  uint64_t made_s; /* when the first lock's cluster was made */
  bool has_version;
} chain_keys;

static int add_lock(chain_keys *k, const char *path, const aq_network *network) {
  aq_buf text = AQ_BUF(AQ_LOCK_BYTES_MAX);
  aq_err err = {0};
  aq_lock *lock = NULL;
  const aq_lock_opts opts = {.network = network};
  aq_status st = aq_file_read(&text, path, &err);
  if (st == AQ_OK) st = aq_lock_load(&lock, aq_buf_bytes(&text), &opts, &err);
  aq_buf_free(&text);
  if (st != AQ_OK) return aq_cmd_fail("%s: %s", path, err.text);
  for (uint32_t i = 0; i < lock->validator_cnt && k->cnt < PUBKEYS_MAX; i++)
    memcpy(k->key[k->cnt++], lock->validators[i].pubkey, 48);
  if (!k->has_version) {
    uint64_t made_ns;
    memcpy(k->version, lock->def.fork_version, 4);
    if (aq_rfc3339_parse(&made_ns, aq_bytes_str(lock->def.timestamp)) == AQ_OK) k->made_s = made_ns / AQ_NS_PER_SEC;
  }
  k->has_version = true;
  aq_lock_free(lock);
  return 0;
}

static int add_file(chain_keys *k, const char *path) {
  aq_buf text = AQ_BUF(PUBKEYS_FILE_MAX);
  aq_err err = {AQ_OK, ""};
  aq_bytes line;
  int rc = aq_file_read(&text, path, &err) == AQ_OK ? 0 : aq_cmd_fail("%s", err.text);
  for (aq_rd r = aq_rd_of(aq_buf_bytes(&text)); !rc && k->cnt < PUBKEYS_MAX && aq_rd_line(&r, &line);) {
    while (line.len && strchr(" \t\r", line.ptr[line.len - 1])) line.len--;
    if (line.len && aq_hex_decode(k->key[k->cnt++], 48, line, AQ_HEX_EITHER) != AQ_OK)
      rc =
          aq_cmd_fail("%s: not a public key: %.*s", path, (int)(line.len < 60 ? line.len : 60), (const char *)line.ptr);
  }
  aq_buf_free(&text);
  return rc;
}

extern const aq_command aq_cmd_beacon;

static int forks(const beacon_cmd_cfg *c, aq_beacon_cfg *out) {
  aq_fork at_genesis;
  if (!aq_fork_parse(&at_genesis, aq_bytes_str(c->fork)))
    return aq_cmd_usage_error(&aq_cmd_beacon, "--fork %s is no fork", c->fork);
  for (int f = 0; f < AQ_FORK_CNT; f++) out->fork_epoch[f] = f <= (int)at_genesis ? 0 : AQ_FAR_EPOCH;
  for (size_t i = 0; i < c->fork_epochs.cnt; i++) {
    const char *text = c->fork_epochs.item[i], *eq = strchr(text, '=');
    aq_fork f;
    uint64_t epoch;
    if (!eq || !aq_fork_parse(&f, aq_bytes_of(text, (size_t)(eq - text))) ||
        aq_u64_parse(&epoch, aq_bytes_str(eq + 1)) != AQ_OK) {
      return aq_cmd_usage_error(&aq_cmd_beacon, "--fork-epochs wants name=epoch, not %s", text);
    }
    out->fork_epoch[f] = epoch;
  }
  return 0;
}

static void on_signal(void *arg, int signo) {
  AQ_LOG(AQ_LOG_INFO, "chain_stop", AQ_INT("signal", signo));
  aq_loop_stop(arg);
}

static int serve(const beacon_cmd_cfg *c, aq_beacon_cfg *bc) {
  aq_http_server_cfg hc = {.conns_max = 512, .idle_timeout_s = 120};
  char host[128];
  aq_err err = {0};
  if (aq_host_port_parse(c->listen, host, sizeof host, &hc.port) != AQ_OK)
    return aq_cmd_fail("--listen %s is not host:port", c->listen);
  hc.host = host;
  aq_sandbox_begin(!c->no_sandbox);
  aq_loop *loop = aq_loop_new(0);
  aq_http_server *server = NULL;
  bc->env = aq_loop_env(loop);
  uint64_t now_s = aq_now_ns(bc->env) / AQ_NS_PER_SEC;
  if (bc->genesis_ns == 0) bc->genesis_ns = AQ_SECONDS(c->genesis_time ? c->genesis_time : now_s + 2);
  aq_beacon *b = aq_beacon_new(bc);
  int rc = AQ_EXIT_OK;
  if (!b) {
    rc = aq_cmd_fail("a validator's public key is not on the curve");
  } else if (aq_http_server_new(&server, loop, &hc, aq_beacon_handler(b), &err) != AQ_OK) {
    rc = aq_cmd_fail("%s", err.text);
  } else {
    aq_log_start(AQ_LOG_INFO, NULL, NULL);
    AQ_LOG(AQ_LOG_INFO, "chain_start", AQ_STR("listen", c->listen),
           AQ_UINT("genesis_time", bc->genesis_ns / AQ_NS_PER_SEC), AQ_UINT("validators", bc->validator_cnt));
    aq_beacon_start(b);
    aq_loop_on_signal(loop, on_signal, loop);
    aq_sandbox_enter(!c->no_sandbox);
    aq_loop_run(loop);
  }
  aq_http_server_free(server);
  aq_beacon_free(b);
  aq_loop_free(loop);
  aq_log_stop();
  return rc;
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  const beacon_cmd_cfg *c = cfg;
  aq_metrics_init();
  if (c->slot_ns < AQ_MILLIS(200) || c->slots_per_epoch == 0) {
    return aq_cmd_usage_error(&aq_cmd_beacon, "--slot-time is at least 200ms and --slots-per-epoch at least 1");
  }
  chain_keys k = {.key = calloc(PUBKEYS_MAX, 48)};
  if (!k.key) return aq_cmd_fail("out of memory");
  aq_beacon_cfg bc = {.slot_ns = c->slot_ns, .slots_per_epoch = c->slots_per_epoch};
  const aq_network *network = NULL;
  aq_network custom;
  aq_err err = {0};
  int rc = forks(c, &bc);
  if (!rc && aq_network_of_flags(&network, &custom, &c->custom, &err) != AQ_OK)
    rc = aq_cmd_usage_error(&aq_cmd_beacon, "%s", err.text);
  for (size_t i = 0; !rc && i < c->lock_files.cnt; i++) rc = add_lock(&k, c->lock_files.item[i], network);
  if (!rc && c->pubkeys_file[0]) rc = add_file(&k, c->pubkeys_file);
  if (!rc && k.cnt == 0) rc = aq_cmd_usage_error(&aq_cmd_beacon, "no validators: give --lock-file or --pubkeys-file");
  if (!rc && c->genesis_version[0] &&
      aq_hex_decode(k.version, 4, aq_bytes_str(c->genesis_version), AQ_HEX_PREFIX) != AQ_OK) {
    rc = aq_cmd_usage_error(&aq_cmd_beacon, "--genesis-fork-version wants 0x and 8 hex digits");
  }
  if (!rc && c->genesis_of_lock) {
    if (k.made_s == 0) rc = aq_cmd_usage_error(&aq_cmd_beacon, "--genesis-from-lock needs a lock with its time");
    bc.genesis_ns = AQ_SECONDS(k.made_s);
  }
  memcpy(bc.genesis_version, k.version, 4);
  bc.pubkey = (const uint8_t(*)[48])k.key;
  bc.validator_cnt = k.cnt;
  if (!rc) rc = serve(c, &bc);
  free(k.key);
  return rc;
}

const aq_command aq_cmd_beacon = {
    .name = "beacon",
    .summary = "a simulated beacon chain for test networks",
    .text =
        "Answers the beacon API, verifies every signature it is sent, and counts what was done, missed, wrong and "
        "slashable\n"
        "(GET /sim/stats). Failures on request: POST /sim/fault "
        "{\"path\":\"attestation_data\",\"mode\":\"late\",\"ms\":500}.",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(beacon_cmd_cfg),
    .run = run,
};
