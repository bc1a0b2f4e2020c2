/* `aequa run`: flags, most of them Charon's, to a node's configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "cluster/datadir.h"
#include "cmd/cmd.h"
#include "cmd/endpoints.h"
#include "cmd/network.h"
#include "lab/throwaway.h"
#include "node/node.h"

/* Far more lines than entries are taken (AQ_NODE_LIST_MAX), so that comments have room. */
enum { PEERS_FILE_MAX = 1 << 20 };

typedef struct {
  const char *data_dir, *validator_api, *monitoring, *key_file, *lock_file, *overrides_file, *external_ip,
      *external_host, *nickname, *log_level, *tss_verify, *p2p_listen_addr, *beacon_ca;
  aq_opt_list tcp_address, peers, beacon, fallback, headers, graffiti, upstream;
  uint64_t beacon_timeout_ns, submit_timeout_ns, max_conns, rate_limit, score, tss_max;
  bool key_lock, no_verify, enable_tss, builder_api, accept_empty, p2p_enable, no_sandbox;
  const char *ignored_str;
  aq_opt_list ignored_list;
  uint64_t ignored_duration;
  aq_network_flags custom;
  bool ignored_bool;
} run_cfg;

#define OPT(f, k, member, d, h) \
  { .flag = (f), .kind = (k), .off = offsetof(run_cfg, member), .def = (d), .help = (h) }
/* Lists in which keys and passwords stand. */
#define SECRETS(f, member, h) \
  { .flag = (f), .kind = AQ_OPT_LIST, .off = offsetof(run_cfg, member), .help = (h), .secret = true }
/* Charon's flags without an effect here: taken so that a command line moves over as it is; one log line names those
   given. */
#define NO_EFFECT_TEXT "accepted, without effect"
#define NO_EFFECT(f, k, member)                                                                         \
  {                                                                                                     \
    .flag = (f), .kind = (k), .off = offsetof(run_cfg, member), .help = NO_EFFECT_TEXT, .hidden = true, \
    .no_effect = true                                                                                   \
  }

static const aq_option options[] = {
    {.flag = "validator-api",
     .other = "validator-api-address",
     .kind = AQ_OPT_STR,
     .off = offsetof(run_cfg, validator_api),
     .def = "127.0.0.1:4600",
     .help = "listen address of the validator API"},
    {.flag = "monitoring",
     .other = "monitoring-address",
     .kind = AQ_OPT_STR,
     .off = offsetof(run_cfg, monitoring),
     .def = "127.0.0.1:4620",
     .help = "listen address of /metrics, /livez and /readyz"},
    OPT("enable-tss", AQ_OPT_BOOL, enable_tss, "false",
        "combine and submit: verify, combine and hand signatures to the beacon node"),
    OPT("tss-verify", AQ_OPT_STR, tss_verify, "optimistic", "optimistic or strict verification of partial signatures"),
    {.flag = "tss-max-sessions",
     .kind = AQ_OPT_U64,
     .off = offsetof(run_cfg, tss_max),
     .def = "0",
     .help = "most open signing sessions, 0: built-in limit"},
    OPT("data-dir", AQ_OPT_PATH, data_dir, NULL,
        "cluster files and the store; default .charon if it is there, else .aequa"),
    OPT("private-key-file", AQ_OPT_PATH, key_file, NULL, "identity key; default <data-dir>/charon-enr-private-key"),
    OPT("private-key-file-lock", AQ_OPT_BOOL, key_lock, "false", "refuse to start while another process uses the key"),
    OPT("lock-file", AQ_OPT_PATH, lock_file, NULL, "cluster lock; default <data-dir>/cluster-lock.json"),
    OPT("overrides-file", AQ_OPT_PATH, overrides_file, NULL,
        "builder registrations newer than the lock's, of which the fee recipients count; default "
        "<data-dir>/builder_registrations_overrides.json, which need not be there"),
    OPT("no-verify", AQ_OPT_BOOL, no_verify, "false",
        "start although signatures or hashes of the lock are wrong (tests only)"),
    SECRETS("beacon-node-endpoints", beacon, "base URLs of the beacon nodes"),
    SECRETS("upstream", upstream, "the runbook's name of --beacon-node-endpoints"),
    SECRETS("fallback-beacon-node-endpoints", fallback, "beacon nodes that are asked when all others fail"),
    SECRETS("beacon-node-headers", headers, "name=value headers for the beacon nodes"),
    OPT("beacon-node-ca", AQ_OPT_PATH, beacon_ca, NULL,
        "certificates (PEM) of a private CA that beacon nodes are believed by, besides those that this machine trusts"),
    OPT("beacon-node-timeout", AQ_OPT_DURATION, beacon_timeout_ns, "2s", "limit of a question to a beacon node"),
    OPT("beacon-node-submit-timeout", AQ_OPT_DURATION, submit_timeout_ns, "2s", "limit of a submission"),
    OPT("p2p-tcp-address", AQ_OPT_LIST, tcp_address, NULL, "host:port to listen on for peers; none: dial only"),
    {.flag = "p2p-listen",
     .other = "p2p.listen",
     .kind = AQ_OPT_STR,
     .off = offsetof(run_cfg, p2p_listen_addr),
     .help = "the same as a multiaddr, /ip4/0.0.0.0/tcp/3610"},
    OPT("p2p-external-ip", AQ_OPT_STR, external_ip, NULL, "address to announce instead of the listen address"),
    OPT("p2p-external-hostname", AQ_OPT_STR, external_host, NULL, "name to announce instead of the listen address"),
    {.flag = "p2p-peers",
     .other = "p2p.bootnodes",
     .kind = AQ_OPT_LIST,
     .off = offsetof(run_cfg, peers),
     .help = "peer addresses, host:port or multiaddr, or a file with one a line"},
    {.flag = "p2p-max-conns",
     .env = "AEQUA_P2P_MAX_CONNS",
     .kind = AQ_OPT_U64,
     .off = offsetof(run_cfg, max_conns),
     .def = "128",
     .help = "most peer connections; members are dialled all the same"},
    {.flag = "p2p-rate-limit",
     .kind = AQ_OPT_U64,
     .off = offsetof(run_cfg, rate_limit),
     .def = "0",
     .help = "connection attempts a second and remote, 0: off"},
    {.flag = "p2p-score-threshold",
     .kind = AQ_OPT_U64,
     .off = offsetof(run_cfg, score),
     .def = "0",
     .help = "lowest accepted peer score, 0: off"},
    {.flag = "p2p-enable",
     .other = "p2p.enable",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(run_cfg, p2p_enable),
     .def = "false",
     .help = "fail to start when no cluster lock is found",
     .hidden = true},
    OPT("graffiti", AQ_OPT_LIST, graffiti, NULL, "graffiti of blocks, at most 32 bytes"),
    OPT("builder-api", AQ_OPT_BOOL, builder_api, "false",
        "ask the beacon node for builder blocks; the same on all nodes"),
    OPT("nickname", AQ_OPT_STR, nickname, NULL, "name of this node for its peers' metrics, at most 32 bytes"),
    OPT("log-level", AQ_OPT_STR, log_level, "info", "debug, info, warn or error"),
    OPT("accept-empty-store", AQ_OPT_BOOL, accept_empty, "false",
        "start although the store and its backup are damaged"),
    AQ_NO_SANDBOX_OPTION(run_cfg, no_sandbox),
    NO_EFFECT("consensus-protocol", AQ_OPT_STR, ignored_str),
    NO_EFFECT("debug-address", AQ_OPT_STR, ignored_str),
    {.flag = "execution-client-rpc-endpoint",
     .kind = AQ_OPT_STR,
     .off = offsetof(run_cfg, ignored_str),
     .help = NO_EFFECT_TEXT ": signatures of contract wallets (EIP-1271) in a lock are not checked, see --no-verify",
     .no_effect = true},
    NO_EFFECT("feature-set", AQ_OPT_STR, ignored_str),
    NO_EFFECT("feature-set-disable", AQ_OPT_LIST, ignored_list),
    NO_EFFECT("feature-set-enable", AQ_OPT_LIST, ignored_list),
    NO_EFFECT("fetch-feerecipient-updates", AQ_OPT_BOOL, ignored_bool),
    NO_EFFECT("graffiti-disable-client-append", AQ_OPT_BOOL, ignored_bool),
    NO_EFFECT("jaeger-address", AQ_OPT_STR, ignored_str),
    NO_EFFECT("jaeger-service", AQ_OPT_STR, ignored_str),
    NO_EFFECT("log-color", AQ_OPT_STR, ignored_str),
    NO_EFFECT("log-format", AQ_OPT_STR, ignored_str),
    NO_EFFECT("log-output-path", AQ_OPT_STR, ignored_str),
    NO_EFFECT("loki-addresses", AQ_OPT_LIST, ignored_list),
    NO_EFFECT("loki-service", AQ_OPT_STR, ignored_str),
    NO_EFFECT("manifest-file", AQ_OPT_STR, ignored_str),
    NO_EFFECT("otlp-address", AQ_OPT_STR, ignored_str),
    NO_EFFECT("otlp-headers", AQ_OPT_LIST, ignored_list),
    NO_EFFECT("otlp-insecure", AQ_OPT_BOOL, ignored_bool),
    NO_EFFECT("otlp-service-name", AQ_OPT_STR, ignored_str),
    NO_EFFECT("p2p-disable-reuseport", AQ_OPT_BOOL, ignored_bool),
    NO_EFFECT("p2p-relays", AQ_OPT_LIST, ignored_list),
    NO_EFFECT("p2p-udp-address", AQ_OPT_LIST, ignored_list),
    {.flag = "p2p-nat",
     .other = "p2p.nat",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(run_cfg, ignored_bool),
     .help = NO_EFFECT_TEXT,
     .hidden = true,
     .no_effect = true},
    NO_EFFECT("proc-directory", AQ_OPT_STR, ignored_str),
    NO_EFFECT("publish-address", AQ_OPT_STR, ignored_str),
    NO_EFFECT("publish-timeout", AQ_OPT_DURATION, ignored_duration),
    NO_EFFECT("synthetic-block-proposals", AQ_OPT_BOOL, ignored_bool),
    AQ_NETWORK_OPTIONS(run_cfg, custom),
};

static bool exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

static int copy_list(aq_node_list *out, const aq_opt_list *in, const char *flag, const aq_command *cmd) {
  for (size_t i = 0; i < in->cnt; i++) {
    if (out->cnt >= AQ_NODE_LIST_MAX)
      return aq_cmd_usage_error(cmd, "--%s: at most %d entries", flag, AQ_NODE_LIST_MAX);
    out->item[out->cnt++] = in->item[i];
  }
  return 0;
}

extern const aq_command aq_cmd_run;

/* A single entry that names a file is that file: one address a line, '#' starts a comment (contract.md 1.1). */
static int read_peers(aq_node_cfg *out, const run_cfg *c, aq_arena *arena) {
  if (c->peers.cnt != 1 || !exists(c->peers.item[0]))
    return copy_list(&out->p2p_peers, &c->peers, "p2p-peers", &aq_cmd_run);
  aq_buf text = AQ_BUF(PEERS_FILE_MAX);
  aq_err err = {AQ_OK, ""};
  aq_bytes line;
  int rc = aq_file_read(&text, c->peers.item[0], &err) == AQ_OK ? 0 : aq_cmd_fail("--p2p-peers: %s", err.text);
  for (aq_rd r = aq_rd_of(aq_utf8_unmark(aq_buf_bytes(&text))); !rc && aq_rd_line(&r, &line);) {
    size_t from = 0, to = 0;
    while (from < line.len && strchr(" \t", line.ptr[from])) from++;
    for (to = from; to < line.len && !strchr(" \t\r#", line.ptr[to]);) to++;
    if (to == from) continue;
    const char *item = aq_arena_str(arena, aq_bytes_of(line.ptr + from, to - from));
    const aq_opt_list one = {&item, 1};
    rc = item ? copy_list(&out->p2p_peers, &one, "p2p-peers", &aq_cmd_run) : aq_cmd_fail("out of memory");
  }
  aq_buf_free(&text);
  return rc;
}

/* "/ip4/0.0.0.0/tcp/3610" as "0.0.0.0:3610"; NULL when it is not of that form. */
static const char *from_multiaddr(aq_arena *arena, const char *text) {
  char host[64];
  unsigned port;
  int end = 0;
  if (sscanf(text, "/ip4/%63[0-9.]/tcp/%u%n", host, &port, &end) != 2 || text[end] || port > 65535) return NULL;
  char out[80];
  int len = snprintf(out, sizeof out, "%s:%u", host, port);
  return aq_arena_str(arena, aq_bytes_of(out, (size_t)len));
}

static bool parse_level(aq_log_level *out, const char *text) {
  static const char *const names[] = {"debug", "info", "warn", "error"};
  for (size_t i = 0; i < AQ_COUNT(names); i++) {
    if (strcmp(text, names[i]) == 0) {
      *out = (aq_log_level)i;
      return true;
    }
  }
  return false;
}

static void name_ignored(const aq_cmd_ctx *ctx) {
  for (size_t i = 0; i < AQ_COUNT(options); i++) {
    if (options[i].no_effect && aq_options_given(ctx->opt, options[i].flag))
      AQ_LOG(AQ_LOG_WARN, "option_ignored", AQ_STR("flag", options[i].flag), AQ_STR("note", options[i].help));
  }
}

static int beacon_nodes(aq_node_cfg *out, const run_cfg *c, aq_arena *arena) {
  aq_err err = {AQ_OK, ""};
  aq_node_list *bn = &out->beacon, *fallback = &out->beacon_fallback;
  aq_status st =
      aq_endpoints_of(bn->item, &bn->cnt, AQ_BN_ENDPOINTS_MAX, &c->beacon, "beacon-node-endpoints", arena, &err);
  if (st == AQ_OK) st = aq_endpoints_of(bn->item, &bn->cnt, AQ_BN_ENDPOINTS_MAX, &c->upstream, "upstream", arena, &err);
  if (st == AQ_OK)
    st = aq_endpoints_of(fallback->item, &fallback->cnt, AQ_BN_ENDPOINTS_MAX, &c->fallback,
                         "fallback-beacon-node-endpoints", arena, &err);
  if (st == AQ_OK && fallback->cnt > 0 && bn->cnt == 0)
    st = aq_fail(&err, AQ_E_FORMAT,
                 "--fallback-beacon-node-endpoints stands in for --beacon-node-endpoints, which names none");
  if (st == AQ_OK)
    st = aq_headers_of(out->beacon_header, &out->beacon_header_cnt, AQ_BN_HEADERS_MAX, &c->headers,
                       "beacon-node-headers", arena, &err);
  if (st == AQ_OK) st = aq_external_check(c->external_ip, c->external_host, &err);
  return st == AQ_OK ? 0 : aq_cmd_usage_error(&aq_cmd_run, "%s", err.text);
}

static int lists(aq_node_cfg *out, const run_cfg *c, const aq_cmd_ctx *ctx) {
  int rc = copy_list(&out->p2p_listen, &c->tcp_address, "p2p-tcp-address", &aq_cmd_run);
  if (!rc && c->p2p_listen_addr[0]) {
    const char *addr = from_multiaddr(ctx->arena, c->p2p_listen_addr);
    const aq_opt_list one = {&addr, 1};
    rc = addr ? copy_list(&out->p2p_listen, &one, "p2p-listen", &aq_cmd_run)
              : aq_cmd_usage_error(&aq_cmd_run, "--p2p-listen wants /ip4/ADDRESS/tcp/PORT");
  }
  if (!rc) rc = beacon_nodes(out, c, ctx->arena);
  return rc ? rc : read_peers(out, c, ctx->arena);
}

/* A count that was cut to fewer bits would pass for another. */
static int counts_fit(const run_cfg *c) {
  if (c->max_conns > INT32_MAX || c->rate_limit > INT32_MAX || c->score > INT32_MAX || c->tss_max > INT32_MAX) {
    return aq_cmd_usage_error(&aq_cmd_run,
                              "--p2p-max-conns, --p2p-rate-limit, --p2p-score-threshold and "
                              "--tss-max-sessions take at most 2147483647");
  }
  return 0;
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  const run_cfg *c = cfg;
  aq_node_cfg out = {.data_dir = c->data_dir,
                     .private_key_file = c->key_file[0] ? c->key_file : NULL,
                     .lock_file = c->lock_file[0] ? c->lock_file : NULL,
                     .overrides_file = c->overrides_file[0] ? c->overrides_file : NULL,
                     .private_key_lock = c->key_lock,
                     .no_verify = c->no_verify,
                     .validator_api = c->validator_api,
                     .monitoring = c->monitoring,
                     .p2p_external_ip = c->external_ip,
                     .p2p_external_hostname = c->external_host,
                     .p2p_max_conns = (uint32_t)c->max_conns,
                     .p2p_rate_limit = (uint32_t)c->rate_limit,
                     .p2p_score_threshold = (int32_t)c->score,
                     .beacon_ca = c->beacon_ca,
                     .beacon_timeout_ns = c->beacon_timeout_ns,
                     .beacon_submit_timeout_ns = c->submit_timeout_ns,
                     .enable_tss = c->enable_tss,
                     .tss_max_sessions = (uint32_t)c->tss_max,
                     .nickname = c->nickname,
                     .builder_api = c->builder_api,
                     .accept_empty_store = c->accept_empty,
                     .no_sandbox = c->no_sandbox};
  if (!parse_level(&out.log_level, c->log_level))
    return aq_cmd_usage_error(&aq_cmd_run, "--log-level is debug, info, warn or error");
  out.tss_strict = strcmp(c->tss_verify, "strict") == 0;
  if (!out.tss_strict && strcmp(c->tss_verify, "optimistic") != 0) {
    return aq_cmd_usage_error(&aq_cmd_run, "--tss-verify is optimistic or strict");
  }
  if (c->graffiti.cnt) out.graffiti = c->graffiti.item[0];
  if (out.graffiti && strlen(out.graffiti) > 32)
    return aq_cmd_usage_error(&aq_cmd_run, "--graffiti is longer than 32 bytes");
  if (strlen(c->nickname) > 32) return aq_cmd_usage_error(&aq_cmd_run, "--nickname is longer than 32 bytes");
  if (!out.data_dir[0])
    out.data_dir = exists("/data") && !exists(".charon") ? "/data" : exists(".charon") ? ".charon" : ".aequa";
  bool named = aq_options_given(ctx->opt, "data-dir") || aq_options_given(ctx->opt, "lock-file") ||
               aq_options_given(ctx->opt, "private-key-file");
  out.stand_in = named || c->p2p_enable ? NULL : &aq_throwaway;
  aq_network network;
  aq_err err = {0};
  if (aq_network_of_flags(&out.network, &network, &c->custom, &err) != AQ_OK)
    return aq_cmd_usage_error(&aq_cmd_run, "%s", err.text);
  int rc = counts_fit(c);
  if (!rc) rc = lists(&out, c, ctx);
  if (rc) return rc;
  name_ignored(ctx);
  return aq_node_run(&out);
}

const aq_command aq_cmd_run = {
    .name = "run",
    .summary = "run the node",
    .args_ignored = true,
    .text = "Starts from the directory that `create cluster` or a key generation left (Charon's layout).",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(run_cfg),
    .run = run,
};
