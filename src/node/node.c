/* From files and flags to a running node, and back in the order that lets what is under way end. */
#include "node/node_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/sandbox.h"
#include "adapter/trim.h"
#include "base/assert.h"
#include "base/hex.h"
#include "base/metrics.h"
#include "base/peerinfo_version.h"
#include "base/url.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cluster/overrides.h"
#include "cluster/threshold.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

_Static_assert((int)AQ_OPERATORS_MAX <= (int)AQ_HOST_PEERS_MAX, "every operator is a peer of the host");

aq_status aq_host_port_parse(const char *text, char *host, size_t host_len, uint16_t *port) {
  const char *colon = strrchr(text, ':');
  uint64_t number;
  if (!colon || aq_u64_parse(&number, aq_bytes_str(colon + 1)) != AQ_OK || number > 65535) return AQ_E_FORMAT;
  size_t len = (size_t)(colon - text);
  bool v6 = len >= 2 && text[0] == '[' && text[len - 1] == ']';
  if (v6) text++, len -= 2;
  if (len >= host_len || host_len < sizeof "0.0.0.0") return AQ_E_FORMAT;
  /* Without brackets the last group of an IPv6 address would pass for the port. */
  if (memchr(text, '[', len) || memchr(text, ']', len) || (!v6 && memchr(text, ':', len))) return AQ_E_FORMAT;
  if (v6 && len == 0) return AQ_E_FORMAT;
  snprintf(host, host_len, "%.*s", (int)len, text);
  if (len == 0) snprintf(host, host_len, "0.0.0.0");
  *port = (uint16_t)number;
  return AQ_OK;
}

/* One line per service started or stopped (contract.md 5), with its duration; err NULL: it went well. */
static void service_log(const char *service, const char *op, uint64_t took_ns, const char *err) {
  double ms = (double)took_ns / 1e6;
  AQ_LOG(err ? AQ_LOG_ERROR : AQ_LOG_INFO, "service_op", AQ_STR("err", err), AQ_INT("latency_ms", (int64_t)ms),
         AQ_STR("op", op), AQ_STR("result", err ? "error" : "ok"), AQ_STR("service", service));
}

static void service_op(const char *service, const char *op, uint64_t took_ns, const char *err) {
  aq_metric_observe(AQ_M_SERVICE_OP_MS, (double)took_ns / 1e6, AQ_LABELS(service, op));
  service_log(service, op, took_ns, err);
}

/* What ended the start or the run; the first counts. */
static void failed(aq_node *n, const char *msg, const char *service, const char *why) {
  if (n->failed_msg) return;
  n->failed_msg = msg, n->failed_service = service;
  snprintf(n->failed_why, sizeof n->failed_why, "%s", why);
}

static void tell_failure(const aq_node *n) {
  char id[AQ_PEER_ID_TEXT_MAX] = "";
  if (!n->failed_msg) return;
  if (n->failed_service) {
    service_log(n->failed_service, "start", 0, n->failed_why);
    return;
  }
  if (n->peer_names[n->self]) aq_peer_id_text(id, n->peers[n->self].pubkey);
  AQ_LOG(AQ_LOG_ERROR, n->failed_msg, AQ_STR("err", n->failed_why), AQ_STR("peer_id", id), AQ_STR("result", "error"));
}

/* A check that the peer link makes at start: counted, one line. */
static void p2p_check(aq_node *n, aq_metric_id id, const char *msg, const char *peer_id, aq_status st,
                      const aq_err *err) {
  const char *result = st == AQ_OK ? "ok" : "error";
  aq_metric_add(id, 1, AQ_LABELS(result));
  if (st == AQ_OK)
    AQ_LOG(AQ_LOG_INFO, msg, AQ_STR("peer_id", peer_id), AQ_STR("result", result));
  else
    failed(n, msg, NULL, err->text[0] ? err->text : aq_status_text(st));
}

static aq_status start_failed(aq_node *n, const char *service, const aq_err *err) {
  aq_metric_observe(AQ_M_SERVICE_OP_MS, 0, AQ_LABELS(service, "start"));
  failed(n, "service_op", service, err->text[0] ? err->text : aq_status_text(err->status));
  return err->status ? err->status : AQ_E_IO;
}

/* ---- files ---- */

static void paths(aq_node *n) {
  const aq_node_cfg *c = n->cfg;
  if (c->private_key_file)
    snprintf(n->key_path, sizeof n->key_path, "%s", c->private_key_file);
  else
    snprintf(n->key_path, sizeof n->key_path, "%s/charon-enr-private-key", c->data_dir);
  if (c->lock_file)
    snprintf(n->lock_path, sizeof n->lock_path, "%s", c->lock_file);
  else
    snprintf(n->lock_path, sizeof n->lock_path, "%s/cluster-lock.json", c->data_dir);
  snprintf(n->store_path, sizeof n->store_path, "%s/aequa.db", c->data_dir);
}

static aq_status check_threshold(const aq_node *n, aq_err *err) {
  const aq_definition *d = &n->lock->def;
  aq_err why = {0};
  char unusual[160];
  aq_status st = aq_threshold_check(d->operator_cnt, d->threshold, &why);
  if (st != AQ_OK) return aq_fail(err, st, "%.100s: %s", n->lock_path, why.text);
  if (!aq_threshold_usual(d->operator_cnt, d->threshold, unusual))
    AQ_LOG(AQ_LOG_WARN, "threshold", AQ_STR("note", unusual));
  return AQ_OK;
}

/* Need not be there; one that is there must be right, or blocks would pay whom the operators no longer want. */
static aq_status load_overrides(aq_node *n, aq_err *err) {
  char path[1200];
  const char *named = n->cfg->overrides_file;
  snprintf(path, sizeof path, "%s%s", named ? named : n->cfg->data_dir,
           named ? "" : "/builder_registrations_overrides.json");
  aq_err why = {0};
  uint32_t taken = 0;
  aq_buf text = AQ_BUF(AQ_OVERRIDES_BYTES_MAX);
  aq_status st = aq_file_read(&text, path, err);
  if (st == AQ_OK) {
    st = aq_overrides_take(n->lock, &taken, aq_buf_bytes(&text), &why);
    if (st != AQ_OK) st = aq_fail(err, st, "%.100s: %s", path, why.text);
  } else if (st == AQ_E_NOTFOUND) {
    st = AQ_OK;
  }
  aq_buf_free(&text);
  if (taken)
    AQ_LOG(AQ_LOG_INFO, "overrides", AQ_STR("path", path), AQ_UINT("validators", taken),
           AQ_STR("note", "newer fee recipients than the lock's"));
  return st;
}

static aq_status load_cluster(aq_node *n, aq_err *err) {
  aq_status st = aq_identity_load(&n->key, n->key_path, err);
  if (st != AQ_OK) return st;
  aq_buf text = AQ_BUF(AQ_LOCK_BYTES_MAX);
  st = aq_file_read(&text, n->lock_path, err);
  if (st == AQ_OK) {
    aq_sha256(n->lock_file_hash, aq_buf_bytes(&text));
    aq_err why = {0};
    const aq_lock_opts opts = {.no_verify = n->cfg->no_verify, .network = n->cfg->network};
    st = aq_lock_load(&n->lock, aq_buf_bytes(&text), &opts, &why);
    if (st != AQ_OK) st = aq_fail(err, st, "%.100s: %s", n->lock_path, why.text);
  }
  aq_buf_free(&text);
  if (st == AQ_OK) st = check_threshold(n, err);
  if (st == AQ_OK) st = load_overrides(n, err);
  if (st != AQ_OK) return st;
  uint8_t pubkey[33];
  aq_k1_pubkey(pubkey, n->key);
  int self = aq_lock_operator(n->lock, pubkey);
  if (self < 0) {
    return aq_fail(err, AQ_E_UNKNOWN,
                   "%.100s is not the key of an operator of %.100s: use the directory made for this node", n->key_path,
                   n->lock_path);
  }
  n->self = (uint32_t)self;
  for (uint32_t i = 0; i < n->lock->def.operator_cnt; i++) {
    memcpy(n->peers[i].pubkey, n->lock->def.operators[i].pubkey, 33);
    aq_peer_name(n->peers[i].name, n->peers[i].pubkey);
    n->peer_names[i] = n->peers[i].name;
  }
  return AQ_OK;
}

enum { LABEL_MAX = 256 }; /* as long as a cluster's name can be */

/* A label whose value somebody else chose: one line, whatever it is. */
static void put_label(aq_buf *out, const char *name, const char *value, size_t max) {
  char text[LABEL_MAX + 1];
  AQ_ASSERT(max <= LABEL_MAX);
  (void)aq_text_copy(text, max + 1, value ? value : "");
  aq_buf_printf(out, "%s=%s\n", name, text);
}

static void const_labels(const aq_node *n) {
  enum { SHORT_MAX = 64, LABELS_MAX = 1000 }; /* of one label; of the text of all five */
  aq_buf text = AQ_BUF(LABELS_MAX);
  const aq_network *net = aq_core_network(n->lock, n->cfg->network);
  const char *net_name = net ? net->name : "testnet";
  put_label(&text, "cluster_hash", n->lock->lock_hash_text[0] ? n->lock->lock_hash_text + 2 : "", 7);
  put_label(&text, "cluster_name", n->lock->def.name, LABEL_MAX);
  put_label(&text, "cluster_network", net_name, SHORT_MAX);
  put_label(&text, "cluster_peer", n->peer_names[n->self], SHORT_MAX);
  put_label(&text, "nickname", n->cfg->nickname, 32);
  aq_metrics_const_labels(aq_buf_cstr(&text));
  aq_buf_free(&text);
  aq_metric_set(AQ_M_CLUSTER_NETWORK, 1, AQ_LABELS(net_name));
}

static void keylock_tick(void *arg) {
  aq_node *n = arg;
  uint64_t now_ns = aq_now_ns(n->env);
  if (aq_keylock_touch(n->key_path, "aequa run", n->lock->lock_hash_text, now_ns) != AQ_OK) {
    AQ_LOG(AQ_LOG_WARN, "key_lock", AQ_STR("err", "cannot refresh the key lock file"), AQ_STR("path", n->key_path));
  }
  aq_timer_after(n->env, &n->keylock_timer, AQ_SECONDS(1), keylock_tick, n);
}

/* ---- peers ---- */

static void peer_addr(void *arg, uint32_t peer, const char *addr) {
  aq_node *n = arg;
  if (n->store) n->store->peer(n->store->ctx, peer, addr);
}

static void peer_up(void *arg, uint32_t peer) { aq_core_peer_up(&((aq_node *)arg)->core, peer); }

static void remembered_peer(void *arg, uint32_t peer, const char *addr) {
  aq_node *n = arg;
  if (peer < n->lock->def.operator_cnt && peer != n->self &&
      aq_host_add_addr(n->host, (int)peer, addr, false, NULL) != AQ_OK) {
    char id[AQ_PEER_ID_TEXT_MAX];
    aq_peer_id_text(id, n->peers[n->self].pubkey);
    AQ_LOG(AQ_LOG_WARN, "p2p_addr", AQ_STR("addr", addr), AQ_STR("err", "a remembered address does not parse"),
           AQ_STR("result", "error"), AQ_STR("self_id", id));
  }
}

static aq_status add_addresses(aq_node *n, aq_err *err) {
  for (size_t i = 0; i < n->cfg->p2p_peers.cnt; i++) {
    aq_status st = aq_host_add_addr(n->host, -1, n->cfg->p2p_peers.item[i], true, err);
    if (st != AQ_OK) return st;
  }
  for (uint32_t i = 0; i < n->lock->def.operator_cnt; i++) {
    aq_enr enr;
    const char *text = n->lock->def.operators[i].enr;
    if (i == n->self || !text || aq_enr_parse(&enr, aq_bytes_str(text), NULL) != AQ_OK) continue;
    char addr[64], v6[INET6_ADDRSTRLEN];
    aq_status st = AQ_OK;
    snprintf(addr, sizeof addr, "%u.%u.%u.%u:%u", enr.ip[0], enr.ip[1], enr.ip[2], enr.ip[3], enr.tcp);
    if (enr.has_ip && enr.has_tcp) st = aq_host_add_addr(n->host, (int)i, addr, true, err);
    inet_ntop(AF_INET6, enr.ip6, v6, sizeof v6);
    snprintf(addr, sizeof addr, "[%s]:%u", v6, enr.has_tcp6 ? enr.tcp6 : enr.tcp);
    if (st == AQ_OK && enr.has_ip6 && (enr.has_tcp6 || enr.has_tcp))
      st = aq_host_add_addr(n->host, (int)i, addr, true, err);
    if (st != AQ_OK) return st;
  }
  const aq_store_visitor v = {.arg = n, .peer = remembered_peer};
  return n->store->load(n->store->ctx, UINT64_MAX, &v);
}

/* "/ip4/10.0.0.1/tcp/3610", or of whatever family the address is, once. */
static void announce(aq_node *n, const char *name, uint16_t port) {
  aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX), text = AQ_BUF(sizeof n->listen_addr[0] - 1);
  bool everywhere = strcmp(name, "0.0.0.0") == 0 || strcmp(name, "::") == 0;
  bool known = everywhere || n->listen_addr_cnt >= AQ_NODE_LIST_MAX || strchr(name, '%'); /* zones are this machine's */
  if (!known && aq_multiaddr_tcp(&bin, name, port) == AQ_OK && aq_multiaddr_print(&text, aq_buf_bytes(&bin)) == AQ_OK) {
    for (size_t i = 0; i < n->listen_addr_cnt; i++) known |= strcmp(n->listen_addrs[i], aq_buf_cstr(&text)) == 0;
    if (!known) {
      char *out = n->listen_addr[n->listen_addr_cnt];
      snprintf(out, sizeof n->listen_addr[0], "%s", aq_buf_cstr(&text));
      n->listen_addrs[n->listen_addr_cnt++] = out;
    }
  }
  aq_buf_free(&bin);
  aq_buf_free(&text);
}

/* What peers are told of a listener: the external address and name, or where it listens. */
static void announce_listener(aq_node *n, const char *host, uint16_t port) {
  const char *ip = n->cfg->p2p_external_ip, *name = n->cfg->p2p_external_hostname;
  if (ip && *ip) announce(n, ip, port);
  if (name && *name) announce(n, name, port);
  if (!(ip && *ip) && !(name && *name)) announce(n, host, port);
}

static aq_status start_p2p(aq_node *n, aq_err *err) {
  n->tcp = aq_uv_tcp_new(n->loop);
  for (size_t i = 0; i < n->cfg->p2p_listen.cnt; i++) {
    char host[128];
    uint16_t port;
    if (aq_host_port_parse(n->cfg->p2p_listen.item[i], host, sizeof host, &port) != AQ_OK) {
      return aq_fail(err, AQ_E_FORMAT, "--p2p-tcp-address %.100s is not host:port", n->cfg->p2p_listen.item[i]);
    }
    aq_status st = aq_uv_tcp_listen(n->tcp, host, port, err);
    if (st != AQ_OK) return st;
    announce_listener(n, host, port ? port : aq_uv_tcp_bound_port(n->tcp));
  }
  const aq_host_cfg cfg = {.env = n->env,
                           .tcp = aq_uv_tcp_port(n->tcp),
                           .key = n->key,
                           .self = n->self,
                           .peer_cnt = n->lock->def.operator_cnt,
                           .peers = n->peers,
                           .listen_addrs = n->listen_addrs,
                           .listen_addr_cnt = n->listen_addr_cnt,
                           .agent = "aequa/v" AQ_VERSION,
                           .conns_max = n->cfg->p2p_max_conns,
                           .rate_limit = n->cfg->p2p_rate_limit,
                           .score_threshold = n->cfg->p2p_score_threshold,
                           .peer_addr = peer_addr,
                           .peer_up = peer_up,
                           .arg = n};
  n->host = aq_host_new(&cfg);
  aq_peerinfo_cfg info = {.env = n->env,
                          .net = aq_host_net(n->host),
                          .self = n->self,
                          .peer_cnt = n->lock->def.operator_cnt,
                          .peer_names = n->peer_names,
                          .wire_version = "v1.11.0",
                          .git_hash = n->git_hash,
                          .nickname = n->cfg->nickname ? n->cfg->nickname : "",
                          .builder_api = n->cfg->builder_api};
  memcpy(info.lock_hash, n->lock->lock_hash, 32);
  n->peerinfo = aq_peerinfo_new(&info);
  aq_status st = add_addresses(n, err);
  if (st != AQ_OK) return st;
  aq_host_start(n->host);
  aq_peerinfo_start(n->peerinfo);
  return AQ_OK;
}

/* ---- beacon node, validator API and duties ---- */

static void stop_loop(aq_node *n, int code) {
  if (n->exit_code != AQ_NODE_UNSAFE) n->exit_code = code; /* a signal does not make it safe */
  aq_loop_stop(n->loop);
}

static void core_ready(void *arg, uint64_t took_ns) {
  aq_node *n = arg;
  service_op("consensus", "start", took_ns, NULL);
  if (n->cfg->enable_tss) service_log("tss", "start", took_ns, NULL); /* tss counts itself */
  aq_trim();
  AQ_LOG(AQ_LOG_INFO, "node_ready",
         AQ_INT("ready_ms", (int64_t)((aq_mono_ns(n->env) - n->started_mono_ns) / AQ_NS_PER_MS)));
}

static void core_failed(void *arg, const char *why) {
  aq_node *n = arg;
  aq_metric_observe(AQ_M_SERVICE_OP_MS, 0, AQ_LABELS("consensus", "start"));
  failed(n, "service_op", "consensus", why);
  stop_loop(n, AQ_NODE_FAILED);
}

static void core_unsafe(void *arg, const char *why) {
  AQ_LOG(AQ_LOG_ERROR, "node_stop", AQ_STR("err", why), AQ_INT("exit", AQ_NODE_UNSAFE));
  stop_loop(arg, AQ_NODE_UNSAFE);
}

static bool any_tls(const aq_node_list *urls) {
  for (size_t i = 0; i < urls->cnt; i++) {
    if (aq_url_is_tls(urls->item[i])) return true;
  }
  return false;
}

static aq_status start_core(aq_node *n, aq_err *err) {
  const aq_node_cfg *cfg = n->cfg;
  if (cfg->beacon.cnt > 0) n->curl = aq_curl_new(n->loop); /* healthy without one: contract.md 17 */
  if (n->curl) {
    bool tls = any_tls(&cfg->beacon) || any_tls(&cfg->beacon_fallback);
    aq_status st = aq_curl_trust(n->curl, cfg->beacon_ca, tls, err);
    if (st != AQ_OK) return st;
  }
  const aq_core_cfg core = {.env = n->env,
                            .net = aq_host_net(n->host),
                            .store = n->store,
                            .http = n->curl ? aq_curl_port(n->curl) : NULL,
                            .endpoints = cfg->beacon.item,
                            .endpoint_cnt = cfg->beacon.cnt,
                            .fallbacks = cfg->beacon_fallback.item,
                            .fallback_cnt = cfg->beacon_fallback.cnt,
                            .headers = {cfg->beacon_header, cfg->beacon_header_cnt},
                            .beacon_timeout_ns = cfg->beacon_timeout_ns,
                            .beacon_submit_timeout_ns = cfg->beacon_submit_timeout_ns,
                            .lock = n->lock,
                            .network = cfg->network,
                            .key = n->key,
                            .self = n->self,
                            .started_ns = n->started_ns,
                            .enable_tss = cfg->enable_tss,
                            .tss_strict = cfg->tss_strict,
                            .builder_api = cfg->builder_api,
                            .tss_sessions_max = cfg->tss_max_sessions,
                            .graffiti = n->graffiti,
                            .version = n->version,
                            .peer_names = n->peer_names,
                            .arg = n,
                            .ready = core_ready,
                            .failed = core_failed,
                            .unsafe = core_unsafe};
  aq_core_init(&n->core, &core);
  return AQ_OK;
}

static aq_status serve(aq_node *n, aq_http_server **out, const char *flag, const char *addr, const aq_http_handler *h,
                       aq_err *err) {
  aq_http_server_cfg cfg = {.conns_max = 256, .idle_timeout_s = 120};
  char host[128];
  if (aq_host_port_parse(addr, host, sizeof host, &cfg.port) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "%s %.100s is not host:port", flag, addr);
  }
  cfg.host = host;
  return aq_http_server_new(out, n->loop, &cfg, h, err);
}

static aq_status start_http(aq_node *n, aq_err *err) {
  uint64_t start_ns = aq_mono_ns(n->env);
  const aq_monitor_cfg mc = {n->env, n, aq_node_ready};
  n->monitor = aq_monitor_new(&mc);
  aq_status st = serve(n, &n->monitor_server, "--monitoring", n->cfg->monitoring, aq_monitor_handler(n->monitor), err);
  if (st != AQ_OK) return st;
  service_op("monitoring", "start", aq_mono_ns(n->env) - start_ns, NULL);
  start_ns = aq_mono_ns(n->env);
  st = serve(n, &n->vapi_server, "--validator-api", n->cfg->validator_api, aq_vapi_handler(n->core.vapi), err);
  if (st != AQ_OK) return st;
  service_op("api", "start", aq_mono_ns(n->env) - start_ns, NULL);
  return AQ_OK;
}

/* ---- start and stop ---- */

static aq_status start_store(aq_node *n, aq_err *err) {
  aq_sqlite_cfg cfg = {.path = n->store_path, .self = n->self, .accept_empty = n->cfg->accept_empty_store};
  memcpy(cfg.lock_hash, n->lock->lock_hash, 32);
  aq_status st = aq_sqlite_open(&n->sqlite, n->loop, &cfg, err);
  if (st == AQ_OK) n->store = aq_sqlite_port(n->sqlite);
  return st;
}

/* With no cluster where one is looked for by default, a stand-in takes its place. */
static aq_status find_cluster(aq_node *n, aq_err *err) {
  const aq_stand_in *s = n->cfg->stand_in;
  aq_stand_in_place place;
  if (!s || access(n->lock_path, F_OK) == 0 || access(n->key_path, F_OK) == 0) return AQ_OK;
  aq_status st = s->start(&n->stand_in, &place, n->loop, err);
  if (st != AQ_OK) return st;
  n->own_cfg = *n->cfg;
  n->own_cfg.data_dir = place.data_dir;
  n->own_cfg.network = place.network;
  n->own_cfg.beacon = (aq_node_list){{place.beacon}, 1};
  n->cfg = &n->own_cfg;
  paths(n);
  return AQ_OK;
}

static aq_status start(aq_node *n) {
  aq_err err = {0};
  if (find_cluster(n, &err) != AQ_OK) return start_failed(n, "cluster", &err);
  aq_status st = load_cluster(n, &err);
  char id[AQ_PEER_ID_TEXT_MAX] = "";
  if (st == AQ_OK) aq_peer_id_text(id, n->peers[n->self].pubkey);
  p2p_check(n, AQ_M_P2P_DKG_CLUSTER_CHECKS_TOTAL, "p2p_dkg_cluster", id, st, &err);
  if (st != AQ_OK) return start_failed(n, "cluster", &err);
  const_labels(n);
  aq_node_set_info(n);
  if (n->cfg->private_key_lock) {
    if (aq_keylock_take(n->key_path, "aequa run", n->lock->lock_hash_text, n->started_ns, &err) != AQ_OK) {
      return start_failed(n, "key_lock", &err);
    }
    keylock_tick(n);
  }
  if (start_store(n, &err) != AQ_OK) return start_failed(n, "store", &err);
  uint64_t start_ns = aq_mono_ns(n->env);
  st = start_p2p(n, &err);
  p2p_check(n, AQ_M_P2P_CONFIG_CHECKS_TOTAL, "p2p_config", id, st, &err);
  if (st != AQ_OK) return start_failed(n, "p2p", &err);
  n->p2p_started = true;
  service_op("p2p", "start", aq_mono_ns(n->env) - start_ns, NULL);
  if (start_core(n, &err) != AQ_OK) return start_failed(n, "beacon", &err);
  if (start_http(n, &err) != AQ_OK) return start_failed(n, "api", &err);
  uint16_t port = aq_http_server_port(n->vapi_server);
  if (n->stand_in && n->cfg->stand_in->serve(n->stand_in, port, &err) != AQ_OK)
    return start_failed(n, "validator", &err);
  aq_node_status_start(n);
  aq_core_start(&n->core);
  return AQ_OK;
}

/* One line for each that was started. */
static void stop_service(aq_node *n, const char *service, bool started, void (*stop)(aq_node *n)) {
  uint64_t start_ns = aq_mono_ns(n->env);
  stop(n);
  if (started) service_op(service, "stop", aq_mono_ns(n->env) - start_ns, NULL);
}

static void stop_api(aq_node *n) { aq_http_server_free(n->vapi_server); }
static void stop_monitoring(aq_node *n) { aq_http_server_free(n->monitor_server); }
static void stop_consensus(aq_node *n) { aq_core_end_duties(&n->core); }
static void stop_p2p(aq_node *n) {
  if (n->host) aq_host_stop(n->host);
}

static void stop(aq_node *n) {
  bool whole = n->vapi_server != NULL; /* the last that a start makes */
  aq_timer_cancel(n->env, &n->status_timer);
  aq_timer_cancel(n->env, &n->keylock_timer);
  aq_core_stop(&n->core);
  if (n->stand_in) n->cfg->stand_in->stop(n->stand_in);
  stop_service(n, "api", whole, stop_api);
  if (n->cfg->enable_tss && whole) service_log("tss", "stop", 0, NULL);
  /* Peers and store stop before their users go: what is under way ends with its callbacks. */
  stop_service(n, "p2p", n->p2p_started, stop_p2p);
  if (n->sqlite) aq_sqlite_close(n->sqlite);
  n->store = NULL;
  stop_service(n, "consensus", whole, stop_consensus);
  stop_service(n, "monitoring", n->monitor_server != NULL, stop_monitoring);
  aq_monitor_free(n->monitor);
  aq_core_free(&n->core);
  aq_curl_free(n->curl);
  aq_peerinfo_free(n->peerinfo);
  aq_host_free(n->host);
  aq_uv_tcp_free(n->tcp);
}

static void on_signal(void *arg, int signo) {
  aq_node *n = arg;
  AQ_LOG(AQ_LOG_INFO, "node_stop", AQ_INT("signal", signo));
  stop_loop(n, AQ_NODE_STOPPED);
}

int aq_node_run(const aq_node_cfg *cfg) {
  aq_node *n = calloc(1, sizeof *n);
  AQ_ASSERT(n);
  n->cfg = cfg;
  aq_sandbox_begin(!cfg->no_sandbox);
  aq_crypto_init();
  aq_metrics_init();
  aq_log_start(cfg->log_level, NULL, NULL);
  n->loop = aq_loop_new(0);
  n->env = aq_loop_env(n->loop);
  n->started_ns = aq_now_ns(n->env);
  n->started_mono_ns = aq_mono_ns(n->env);
  n->exit_code = AQ_NODE_STOPPED;
  snprintf(n->version, sizeof n->version, "v%s", AQ_VERSION);
  snprintf(n->git_hash, sizeof n->git_hash, "%.7s", AQ_GIT_HASH);
  if (!aq_git_hash_ok(n->git_hash)) snprintf(n->git_hash, sizeof n->git_hash, "unknown");
  snprintf(n->graffiti, sizeof n->graffiti, "%s",
           cfg->graffiti && cfg->graffiti[0] ? cfg->graffiti : "aequa/v" AQ_VERSION);
  paths(n);
  aq_loop_on_signal(n->loop, on_signal, n);
  AQ_LOG(AQ_LOG_INFO, "node_start", AQ_STR("data_dir", cfg->data_dir), AQ_STR("version", n->version));
  if (start(n) == AQ_OK) {
    aq_sandbox_enter(!cfg->no_sandbox);
    aq_loop_run(n->loop);
  } else {
    n->exit_code = AQ_NODE_FAILED;
  }
  stop(n);
  aq_loop_free(n->loop);
  if (n->stand_in) n->cfg->stand_in->free(n->stand_in);
  tell_failure(n);
  aq_lock_free(n->lock);
  aq_k1_key_free(n->key);
  int code = n->exit_code;
  free(n);
  aq_log_stop();
  return code;
}
