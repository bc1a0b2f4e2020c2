/* `aequa testnet`: flags to a plan of processes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cmd/cmd.h"
#include "cmd/endpoints.h"
#include "lab/testnet.h"

typedef struct {
  uint64_t nodes, validators, slot_ns, slots, slots_per_epoch, base_port, chaos, seed, start_timeout_ns;
  const char *report, *tss, *validator_binary, *beacon, *cluster_dir, *dir, *fork, *log_level;
  aq_opt_list kill, restart, node_binary;
  bool keep;
} testnet_cmd_cfg;

#define OPT(f, k, member, d, h) \
  { .flag = (f), .kind = (k), .off = offsetof(testnet_cmd_cfg, member), .def = (d), .help = (h) }
static const aq_option options[] = {
    OPT("nodes", AQ_OPT_U64, nodes, "4", "number of nodes"),
    OPT("validators", AQ_OPT_U64, validators, "1", "number of validators"),
    OPT("slot-time", AQ_OPT_DURATION, slot_ns, "2s", "length of a slot"),
    OPT("slots", AQ_OPT_U64, slots, "0", "stop after so many slots; 0: at ctrl-C"),
    OPT("slots-per-epoch", AQ_OPT_U64, slots_per_epoch, "8", "length of an epoch"),
    OPT("report", AQ_OPT_PATH, report, NULL, "write the report as JSON"),
    OPT("tss", AQ_OPT_STR, tss, "all", "nodes that combine and submit: all, none, or a list as 0,2"),
    OPT("kill", AQ_OPT_LIST, kill, NULL, "I@SLOT: SIGKILL node I at the start of a slot; may be repeated"),
    OPT("restart", AQ_OPT_LIST, restart, NULL, "I@SLOT: start node I again; may be repeated"),
    OPT("chaos", AQ_OPT_U64, chaos, "0", "kill a random node every so many slots, start it a slot later; 0: off"),
    OPT("seed", AQ_OPT_U64, seed, "1", "of the chaos"),
    OPT("node-binary", AQ_OPT_LIST, node_binary, NULL, "I=PATH: another program with Charon's flags for node I"),
    OPT("validator-binary", AQ_OPT_PATH, validator_binary, NULL, "another program with the flags of `aequa validator`"),
    {.flag = "beacon",
     .kind = AQ_OPT_STR,
     .off = offsetof(testnet_cmd_cfg, beacon),
     .secret = true,
     .help = "URL of a real beacon node instead of the simulated chain"},
    OPT("cluster-dir", AQ_OPT_PATH, cluster_dir, NULL, "an existing cluster (node0, node1, ...) instead of a new one"),
    OPT("dir", AQ_OPT_PATH, dir, NULL, "where cluster, stores and logs go; default a temporary directory"),
    OPT("keep", AQ_OPT_BOOL, keep, "false", "keep the temporary directory"),
    OPT("base-port", AQ_OPT_U64, base_port, "0",
        "validator APIs at this port and up, monitoring 20 above; 0: free ports"),
    OPT("start-timeout", AQ_OPT_DURATION, start_timeout_ns, "5m", "all nodes and clients are up by then, or it ends"),
    OPT("fork", AQ_OPT_STR, fork, "fulu", "fork of the simulated chain"),
    OPT("node-log-level", AQ_OPT_STR, log_level, "info", "log level of the nodes"),
};

extern const aq_command aq_cmd_testnet;

static int usage(const char *flag, const char *text) {
  return aq_cmd_usage_error(&aq_cmd_testnet, "--%s: cannot use \"%s\"", flag, text);
}

/* "I@SLOT" into the plan. */
static int add_steps(aq_testnet_cfg *out, const aq_opt_list *list, const char *flag, bool restart) {
  for (size_t i = 0; i < list->cnt; i++) {
    const char *text = list->item[i], *at = strchr(text, '@');
    uint64_t node, slot;
    if (!at || aq_u64_parse(&node, aq_bytes_of(text, (size_t)(at - text))) != AQ_OK || node >= out->nodes ||
        aq_u64_parse(&slot, aq_bytes_str(at + 1)) != AQ_OK || out->plan_cnt >= AQ_TESTNET_PLAN_MAX) {
      return usage(flag, text);
    }
    out->plan[out->plan_cnt++] = (aq_testnet_step){.node = (uint32_t)node, .slot = slot, .restart = restart};
  }
  return 0;
}

static int add_binaries(aq_testnet_cfg *out, const aq_opt_list *list) {
  for (size_t i = 0; i < list->cnt; i++) {
    const char *text = list->item[i], *eq = strchr(text, '=');
    uint64_t node;
    if (!eq || aq_u64_parse(&node, aq_bytes_of(text, (size_t)(eq - text))) != AQ_OK || node >= out->nodes) {
      return usage("node-binary", text);
    }
    out->binary[node] = eq + 1;
  }
  return 0;
}

static int set_tss(aq_testnet_cfg *out, const char *text, aq_arena *arena) {
  for (uint32_t i = 0; i < out->nodes; i++) out->tss[i] = strcmp(text, "all") == 0;
  if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) return 0;
  aq_opt_list list = {NULL, 0};
  if (aq_csv_parse(&list, arena, text) != AQ_OK) return usage("tss", text);
  for (size_t i = 0; i < list.cnt; i++) {
    uint64_t node;
    if (aq_u64_parse(&node, aq_bytes_str(list.item[i])) != AQ_OK || node >= out->nodes) return usage("tss", text);
    out->tss[node] = true;
  }
  return 0;
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  const testnet_cmd_cfg *c = cfg;
  static aq_testnet_cfg out;
  if (c->nodes < 1 || c->nodes > AQ_TESTNET_NODES_MAX)
    return aq_cmd_usage_error(&aq_cmd_testnet, "--nodes is 1 to %d", AQ_TESTNET_NODES_MAX);
  if (c->validators < 1 || c->validators > 10000)
    return aq_cmd_usage_error(&aq_cmd_testnet, "--validators is 1 to 10000");
  if (c->slot_ns < 500000000u) return aq_cmd_usage_error(&aq_cmd_testnet, "--slot-time is at least 500ms");
  if (c->slots_per_epoch < 2) return aq_cmd_usage_error(&aq_cmd_testnet, "--slots-per-epoch is at least 2");
  if (c->base_port > 65000) return aq_cmd_usage_error(&aq_cmd_testnet, "--base-port is at most 65000");
  out = (aq_testnet_cfg){.nodes = (uint32_t)c->nodes,
                         .validators = (uint32_t)c->validators,
                         .slot_ns = c->slot_ns,
                         .slots = c->slots,
                         .slots_per_epoch = c->slots_per_epoch,
                         .chaos_slots = c->chaos,
                         .seed = c->seed,
                         .start_timeout_ns = c->start_timeout_ns,
                         .validator_binary = c->validator_binary,
                         .cluster_dir = c->cluster_dir,
                         .work_dir = c->dir,
                         .report_path = c->report,
                         .fork = c->fork,
                         .log_level = c->log_level,
                         .base_port = (uint16_t)c->base_port,
                         .keep = c->keep};
  aq_err err = {AQ_OK, ""};
  if (aq_endpoint_of(&out.beacon_url, c->beacon, "beacon", ctx->arena, &err) != AQ_OK)
    return aq_cmd_usage_error(&aq_cmd_testnet, "%s", err.text);
  int rc = add_steps(&out, &c->kill, "kill", false);
  if (!rc) rc = add_steps(&out, &c->restart, "restart", true);
  if (!rc) rc = add_binaries(&out, &c->node_binary);
  if (!rc) rc = set_tss(&out, c->tss, ctx->arena);
  aq_metrics_init();
  return rc ? rc : aq_testnet_run(&out);
}

const aq_command aq_cmd_testnet = {
    .name = "testnet",
    .summary = "a test network: nodes, validator clients and a simulated chain",
    .text =
        "Slots are counted from the first one before which all processes were up: slot 0 of the chain, or a later "
        "one on a busy machine.\n"
        "Exit status: 0 every duty was done, 1 some failed or nothing could start, 3 slashable messages were seen.",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(testnet_cmd_cfg),
    .run = run,
};
