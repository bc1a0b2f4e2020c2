/* From making the cluster to the last report: what starts when, what the plan kills, and what is asked each slot. */
#include "lab/testnet.h"

#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "cluster/datadir.h"
#include "crypto/aead.h"
#include "lab/testnet_internal.h"

enum { METRICS_MAX = 64 << 20, REPORT_MAX = 16 << 20 }; /* one scrape of a node; the JSON of a run */

extern char **environ;

/* The network of simulated clusters; each fork adds one to the first byte. */
#define SIM_FORK_VERSION "0x50000038"
#define SIM_CAPELLA_VERSION "0x53000038"
/* Enough for all to be up at slot 0 where the machine is not busy; else the count begins later (testnet_ready.c). */
enum { SIM_CHAIN_ID = 1337, GENESIS_DELAY_S = 8, FOREIGN_DELAY_S = 12, KEYS_PER_S = 250 };
enum { MONITOR_OFF = 20 }; /* --base-port: monitoring from there on */
#define STOP_GRACE_NS AQ_SECONDS(5)

typedef unsigned long long ull;

/* ---- directories, ports, cluster ---- */

static aq_status make_dir(aq_testnet *t, aq_err *err) {
  const char *tmp = getenv("TMPDIR");
  if (t->cfg->work_dir && t->cfg->work_dir[0]) {
    snprintf(t->dir, sizeof t->dir, "%s", t->cfg->work_dir);
    if (mkdir(t->dir, 0755) == 0 || access(t->dir, W_OK) == 0) return AQ_OK;
    return aq_fail(err, AQ_E_IO, "--dir %.150s cannot be made or written", t->dir);
  }
  snprintf(t->dir, sizeof t->dir, "%.900s/aequa-testnet-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
  if (!mkdtemp(t->dir)) return aq_fail(err, AQ_E_IO, "cannot make a directory under %.150s", tmp ? tmp : "/tmp");
  t->own_dir = true;
  return AQ_OK;
}

/* Ports below those that outgoing connections get, in another place for each process: what is free when it is chosen
   still is when its node listens there, also beside other networks. */
enum { PORTS_FROM = 10240, PORTS_CNT = 8192, PORTS_EACH = 128 };

static bool is_free(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

static uint16_t free_port(const aq_testnet *t, uint32_t *next) {
  uint32_t base = t->cfg->base_port, end = base ? base + MONITOR_OFF + t->cfg->nodes : 0;
  for (uint32_t tries = 0; tries < PORTS_CNT; tries++) {
    uint32_t port = PORTS_FROM + (*next)++ % PORTS_CNT;
    if ((port < base || port >= end) && is_free((uint16_t)port)) return (uint16_t)port;
  }
  return 0;
}

static void choose_ports(aq_testnet *t) {
  uint16_t base = t->cfg->base_port;
  uint32_t next = (uint32_t)getpid() % (PORTS_CNT / PORTS_EACH) * PORTS_EACH;
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    t->vapi_port[i] = base ? (uint16_t)(base + i) : free_port(t, &next);
    t->monitor_port[i] = base ? (uint16_t)(base + MONITOR_OFF + i) : free_port(t, &next);
    t->p2p_port[i] = free_port(t, &next);
  }
  t->beacon_port = free_port(t, &next);
}

static int run_and_wait(char *const *argv) {
  pid_t pid;
  int status = -1;
  if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0) return -1;
  if (waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static aq_status make_cluster(aq_testnet *t, aq_err *err) {
  char nodes[32], validators[32], dir[1200], genesis[64], fork[64], capella[64];
  snprintf(nodes, sizeof nodes, "--nodes=%u", t->cfg->nodes);
  snprintf(validators, sizeof validators, "--num-validators=%u", t->cfg->validators);
  snprintf(dir, sizeof dir, "--cluster-dir=%s", t->dir);
  snprintf(genesis, sizeof genesis, "--testnet-genesis-timestamp=%llu", (ull)t->genesis_s);
  snprintf(fork, sizeof fork, "--testnet-fork-version=%s", SIM_FORK_VERSION);
  snprintf(capella, sizeof capella, "--testnet-capella-hard-fork=%s", SIM_CAPELLA_VERSION);
  char *const argv[] = {t->self,
                        "create",
                        "cluster",
                        nodes,
                        validators,
                        dir,
                        genesis,
                        "--name=testnet",
                        "--insecure-keys",
                        "--fee-recipient-addresses=0x0000000000000000000000000000000000000001",
                        "--withdrawal-addresses=0x0000000000000000000000000000000000000002",
                        "--testnet-name=aequa-sim",
                        fork,
                        "--testnet-chain-id=1337",
                        capella,
                        NULL};
  fflush(stdout);
  int out = dup(STDOUT_FILENO);
  char log[1200];
  snprintf(log, sizeof log, "%s/create.log", t->dir);
  if (out < 0 || !freopen(log, "w", stdout)) return aq_fail(err, AQ_E_IO, "cannot write %.200s", log);
  int rc = run_and_wait(argv);
  fflush(stdout);
  dup2(out, STDOUT_FILENO);
  close(out);
  if (rc == 0) return AQ_OK;
  return aq_fail(err, AQ_E_IO, "the cluster could not be made: see %.200s", log);
}

static const char *cluster_dir(const aq_testnet *t) {
  return t->cfg->cluster_dir && t->cfg->cluster_dir[0] ? t->cfg->cluster_dir : t->dir;
}

/* ---- children ---- */

/* The cluster's network is none of the built-in ones. */
static void network_args(const aq_testnet *t, aq_child *c) {
  aq_child_arg(c, "--testnet-name=aequa-sim");
  aq_child_arg(c, "--testnet-fork-version=" SIM_FORK_VERSION);
  aq_child_arg(c, "--testnet-capella-hard-fork=" SIM_CAPELLA_VERSION);
  aq_child_arg(c, "--testnet-chain-id=%d", SIM_CHAIN_ID);
  aq_child_arg(c, "--testnet-genesis-timestamp=%llu", (ull)t->genesis_s);
}

static void beacon_child(aq_testnet *t) {
  aq_child *c = t->beacon = aq_child_new(t, "beacon", -1);
  aq_child_arg(c, "%s", t->self);
  aq_child_arg(c, "beacon");
  aq_child_arg(c, "--listen=127.0.0.1:%u", t->beacon_port);
  aq_child_arg(c, "--lock-file=%s/node0/cluster-lock.json", cluster_dir(t));
  aq_child_arg(c, "--genesis-time=%llu", (ull)t->genesis_s);
  aq_child_arg(c, "--slot-time=%llums", (ull)(t->cfg->slot_ns / AQ_NS_PER_MS));
  aq_child_arg(c, "--slots-per-epoch=%llu", (ull)t->cfg->slots_per_epoch);
  aq_child_arg(c, "--fork=%s", t->cfg->fork && t->cfg->fork[0] ? t->cfg->fork : "fulu");
  network_args(t, c);
}

static void put_peers(const aq_testnet *t, uint32_t self, char *out, size_t len) {
  size_t at = 0;
  out[0] = 0;
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    if (i == self) continue;
    at += (size_t)snprintf(out + at, len - at, "%s127.0.0.1:%u", at ? "," : "", t->p2p_port[i]);
    AQ_ASSERT(at < len);
  }
}

static void node_child(aq_testnet *t, uint32_t i) {
  char name[32], peers[AQ_TESTNET_NODES_MAX * 24];
  const char *foreign = t->cfg->binary[i];
  snprintf(name, sizeof name, "node%u", i);
  aq_child *c = t->node[i] = aq_child_new(t, name, (int)i);
  put_peers(t, i, peers, sizeof peers);
  aq_child_arg(c, "%s", foreign ? foreign : t->self);
  aq_child_arg(c, "run");
  aq_child_arg(c, "--private-key-file=%s/node%u/charon-enr-private-key", cluster_dir(t), i);
  aq_child_arg(c, "--lock-file=%s/node%u/cluster-lock.json", cluster_dir(t), i);
  aq_child_arg(c, "--validator-api-address=127.0.0.1:%u", t->vapi_port[i]);
  aq_child_arg(c, "--monitoring-address=127.0.0.1:%u", t->monitor_port[i]);
  aq_child_arg(c, "--p2p-tcp-address=127.0.0.1:%u", t->p2p_port[i]);
  aq_child_arg(c, "--beacon-node-endpoints=\"%s\"", t->beacon_url); /* it may have a comma */
  network_args(t, c);
  if (foreign) {
    aq_child_arg(c, "--p2p-relays=");
  } else {
    aq_child_arg(c, "--data-dir=%s/node%u", cluster_dir(t), i);
    aq_child_arg(c, "--p2p-peers=%s", peers);
    if (t->cfg->tss[i]) aq_child_arg(c, "--enable-tss");
    if (t->cfg->log_level && t->cfg->log_level[0]) aq_child_arg(c, "--log-level=%s", t->cfg->log_level);
  }
  snprintf(t->report.node[i].binary, sizeof t->report.node[i].binary, "%s", foreign ? foreign : "aequa");
}

static void vc_child(aq_testnet *t, uint32_t i) {
  char name[32];
  snprintf(name, sizeof name, "vc%u", i);
  aq_child *c = t->vc[i] = aq_child_new(t, name, -1);
  bool foreign = t->cfg->validator_binary && t->cfg->validator_binary[0];
  aq_child_arg(c, "%s", foreign ? t->cfg->validator_binary : t->self);
  aq_child_arg(c, "validator");
  aq_child_arg(c, "--beacon-api=http://127.0.0.1:%u", t->vapi_port[i]);
  aq_child_arg(c, "--keys-dir=%s/node%u/validator_keys", cluster_dir(t), i);
  aq_child_arg(c, "--data-dir=%s/node%u", cluster_dir(t), i);
}

/* ---- stopping ---- */

static void kill_late(void *arg) {
  aq_testnet *t = arg;
  for (uint32_t i = 0; i < t->child_cnt; i++) {
    if (t->child[i].running) fprintf(stderr, "%s did not stop in time and is killed\n", t->child[i].name);
    aq_child_signal(&t->child[i], SIGKILL);
  }
}

static void await_children(void *arg) {
  aq_testnet *t = arg;
  if (aq_children_gone(t) && t->asks == 0) {
    aq_loop_stop(t->loop);
    return;
  }
  aq_timer_after(t->env, &t->slot_timer, AQ_MILLIS(10), await_children, t);
}

void aq_testnet_stop(aq_testnet *t) {
  if (t->stopping) return;
  t->stopping = true;
  for (uint32_t i = 0; i < t->child_cnt; i++) aq_child_signal(&t->child[i], SIGTERM);
  aq_timer_after(t->env, &t->kill_timer, STOP_GRACE_NS, kill_late, t);
  await_children(t);
}

static void on_signal(void *arg, int signo) {
  (void)signo;
  aq_testnet_stop(arg);
}

/* ---- questions ---- */

typedef struct {
  aq_testnet *t;
  aq_testnet_answer *fn;
  uint32_t node;
} question;

static void answered(void *arg, aq_status st, const aq_httpc_res *res) {
  question *q = arg;
  q->fn(q->t, q->node, st == AQ_OK && res->code == 200 ? res : NULL);
  q->t->asks--;
  free(q);
}

void aq_testnet_ask(aq_testnet *t, const char *url, const char *body, aq_testnet_answer *fn, uint32_t node) {
  question *q = malloc(sizeof *q);
  AQ_ASSERT(q);
  *q = (question){t, fn, node};
  const aq_httpc_req req = {.method = body ? "POST" : "GET",
                            .url = url,
                            .body = body ? aq_bytes_str(body) : aq_bytes_of("", 0),
                            .timeout_ns = AQ_SECONDS(2)};
  const aq_httpc_cb cb = {.arg = q, .done = answered};
  t->asks++;
  aq_curl_port(t->curl)->start(aq_curl_port(t->curl)->ctx, &req, &cb);
}

static void chain_answer(aq_testnet *t, uint32_t node, const aq_httpc_res *res) {
  (void)node;
  if (res && aq_report_chain(&t->report, res->body) != AQ_OK) fprintf(stderr, "the chain's statistics do not parse\n");
}

/* Sum of the family's lines that hold `label`; enough of the text format for our own figures. */
static uint64_t metric_sum(const char *text, const char *name, const char *label) {
  double sum = 0;
  size_t len = strlen(name);
  for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
    if (strncmp(p, name, len) != 0 || (p[len] != '{' && p[len] != ' ')) continue;
    const char *end = strchr(p, '\n'), *value = p;
    if (!end) break;
    const char *found = label ? strstr(p, label) : p;
    if (!found || found > end) continue;
    for (const char *c = p; c < end; c++) {
      if (*c == ' ') value = c + 1;
    }
    sum += strtod(value, NULL);
  }
  return (uint64_t)sum;
}

/* Requests of the validator client that had an answer; the label's value goes on after `endpoint`. */
static bool client_got(const char *metrics, const char *endpoint) {
  uint64_t all = metric_sum(metrics, "core_validatorapi_request_latency_seconds_count", endpoint);
  return all > metric_sum(metrics, "core_validatorapi_request_error_total", endpoint);
}

static void metrics_answer(aq_testnet *t, uint32_t node, const aq_httpc_res *res) {
  t->conns[node] = 0;
  if (!res) return;
  aq_buf text = AQ_BUF(METRICS_MAX);
  aq_buf_put_bytes(&text, res->body);
  const char *s = aq_buf_cstr(&text);
  aq_report_node *n = &t->report.node[node];
  bool ours = !t->cfg->binary[node];
  t->answers[node] = true;
  t->asked[node] = client_got(s, "endpoint=\"attester_duties") && client_got(s, "endpoint=\"proposer_duties");
  t->conns[node] = (uint32_t)metric_sum(s, ours ? "p2p_conns_open" : "p2p_peer_connection_types", NULL);
  n->bytes_in = ours ? metric_sum(s, "p2p_bytes_total", "direction=\"rx\"")
                     : metric_sum(s, "p2p_peer_network_receive_bytes_total", NULL);
  n->bytes_out = ours ? metric_sum(s, "p2p_bytes_total", "direction=\"tx\"")
                      : metric_sum(s, "p2p_peer_network_sent_bytes_total", NULL);
  aq_buf_free(&text);
}

void aq_testnet_ask_nodes(aq_testnet *t) {
  char url[64];
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    aq_child_sample(t->node[i]);
    if (!t->node[i]->running) continue;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/metrics", t->monitor_port[i]);
    aq_testnet_ask(t, url, NULL, metrics_answer, i);
  }
}

static void ask_all(aq_testnet *t) {
  char url[sizeof t->beacon_url + sizeof "/sim/stats"];
  if (t->beacon) {
    snprintf(url, sizeof url, "%s/sim/stats", t->beacon_url);
    aq_testnet_ask(t, url, NULL, chain_answer, 0);
  }
  aq_testnet_ask_nodes(t);
}

/* ---- the plan ---- */

static void start_node(aq_testnet *t, uint32_t i) {
  aq_err err = {0};
  if (!t->node[i]->running && aq_child_start(t->node[i], &err) != AQ_OK) fprintf(stderr, "%s\n", err.text);
}

static void follow_plan(aq_testnet *t) {
  for (uint32_t i = 0; i < t->cfg->plan_cnt; i++) {
    aq_testnet_step *s = &t->cfg->plan[i];
    if (s->done || s->slot > t->slot) continue;
    s->done = true;
    if (s->restart)
      start_node(t, s->node);
    else
      aq_child_signal(t->node[s->node], SIGKILL);
    printf("slot %llu: node %u %s\n", (ull)t->slot, s->node, s->restart ? "started again" : "killed");
  }
}

static uint64_t next_random(aq_testnet *t) {
  t->rng ^= t->rng << 13, t->rng ^= t->rng >> 7, t->rng ^= t->rng << 17;
  return t->rng;
}

static void chaos_kill(void *arg) {
  aq_testnet *t = arg;
  if (t->stopping) return;
  t->revive = (int)(next_random(t) % t->cfg->nodes);
  aq_child_signal(t->node[t->revive], SIGKILL);
}

/* Kills at a random moment of the slot, so that every step of a duty is hit sooner or later. */
static void chaos(aq_testnet *t) {
  if (!t->cfg->chaos_slots) return;
  if (t->revive >= 0) {
    start_node(t, (uint32_t)t->revive);
    if (t->node[t->revive]->running) t->revive = -1;
  } else if (t->slot % t->cfg->chaos_slots == 0) {
    aq_timer_after(t->env, &t->kill_timer, next_random(t) % t->cfg->slot_ns, chaos_kill, t);
  }
}

static void slot_tick(void *arg) {
  aq_testnet *t = arg;
  uint64_t now_ns = aq_now_ns(t->env), first_ns = AQ_SECONDS(t->genesis_s) + t->first_slot * t->cfg->slot_ns;
  if (t->stopping) return;
  if (now_ns < first_ns) {
    aq_timer_set(t->env, &t->slot_timer, first_ns, slot_tick, t);
    return;
  }
  t->slot = (now_ns - first_ns) / t->cfg->slot_ns;
  if (t->cfg->slots && t->slot >= t->cfg->slots + 2) { /* two slots later the last one's misses are counted */
    aq_testnet_stop(t);
    return;
  }
  follow_plan(t);
  chaos(t);
  aq_testnet_show(t, false);
  ask_all(t);
  aq_timer_set(t->env, &t->slot_timer, first_ns + (t->slot + 1) * t->cfg->slot_ns, slot_tick, t);
}

void aq_testnet_begin(aq_testnet *t) {
  t->counting = true;
  slot_tick(t);
}

/* ---- start ---- */

static aq_status start_children(aq_testnet *t, aq_err *err) {
  if (t->beacon) {
    aq_status st = aq_child_start(t->beacon, err);
    if (st != AQ_OK) return st;
  }
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    aq_status st = aq_child_start(t->node[i], err);
    if (st == AQ_OK) st = aq_child_start(t->vc[i], err);
    if (st != AQ_OK) return st;
  }
  return AQ_OK;
}

static aq_status start(aq_testnet *t, aq_err *err) {
  bool foreign = false;
  for (uint32_t i = 0; i < t->cfg->nodes; i++) foreign = foreign || t->cfg->binary[i];
  aq_status st = make_dir(t, err);
  if (st != AQ_OK) return st;
  choose_ports(t);
  t->genesis_s = aq_now_ns(t->env) / AQ_NS_PER_SEC + (foreign ? FOREIGN_DELAY_S : GENESIS_DELAY_S);
  t->genesis_s += (uint64_t)t->cfg->nodes * t->cfg->validators / KEYS_PER_S; /* clients open their keystores first */
  if (!(t->cfg->cluster_dir && t->cfg->cluster_dir[0])) st = make_cluster(t, err);
  if (st != AQ_OK) return st;
  if (t->cfg->beacon_url && t->cfg->beacon_url[0]) {
    snprintf(t->beacon_url, sizeof t->beacon_url, "%s", t->cfg->beacon_url);
  } else {
    snprintf(t->beacon_url, sizeof t->beacon_url, "http://127.0.0.1:%u", t->beacon_port);
    beacon_child(t);
  }
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    node_child(t, i);
    vc_child(t, i);
  }
  return start_children(t, err);
}

static void write_report(const aq_testnet *t) {
  if (!t->cfg->report_path || !t->cfg->report_path[0]) return;
  aq_buf out = AQ_BUF(REPORT_MAX);
  aq_report_write(&out, &t->report);
  FILE *f = fopen(t->cfg->report_path, "w");
  if (!f || fwrite(out.ptr, 1, out.len, f) != out.len) fprintf(stderr, "cannot write %s\n", t->cfg->report_path);
  if (f) fclose(f);
  aq_buf_free(&out);
}

static int verdict(const aq_testnet *t) {
  uint64_t failed = 0;
  for (int d = 0; d < AQ_DUTY_CNT; d++) failed += t->report.duty[d].failed;
  if (t->report.slashable) return 3;
  return failed || t->failed ? 1 : 0;
}

static void release(aq_testnet *t, int rc) {
  for (uint32_t i = 0; i < t->child_cnt; i++) {
    for (uint32_t a = 0; a < t->child[i].arg_cnt; a++) free(t->child[i].arg[a]);
    if (t->child[i].log) fclose(t->child[i].log);
  }
  if (t->own_dir && !t->cfg->keep && rc == 0)
    aq_dir_remove(t->dir);
  else if (t->dir[0])
    printf("logs and stores: %s\n", t->dir);
  aq_report_free(&t->report);
  free(t);
}

int aq_testnet_run(aq_testnet_cfg *cfg) {
  aq_testnet *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  if (readlink("/proc/self/exe", t->self, sizeof t->self - 1) <= 0) {
    fprintf(stderr, "aequa: /proc/self/exe cannot be read: the test network starts its programs by it (mount /proc)\n");
    free(t);
    return 1;
  }
  t->cfg = cfg;
  t->revive = -1;
  t->rng = cfg->seed ? cfg->seed : 1;
  aq_report_init(&t->report, cfg->nodes);
  t->loop = aq_loop_new(1);
  t->env = aq_loop_env(t->loop);
  t->curl = aq_curl_new(t->loop);
  aq_loop_on_signal(t->loop, on_signal, t);
  aq_err err = {0};
  int rc = 1;
  if (start(t, &err) == AQ_OK) {
    aq_testnet_await(t);
    aq_loop_run(t->loop);
    if (t->counting) {
      aq_testnet_show(t, true);
      write_report(t);
    }
    rc = verdict(t);
  } else {
    fprintf(stderr, "aequa: %s\n", err.text);
    aq_testnet_stop(t);
    aq_loop_run(t->loop);
  }
  aq_curl_free(t->curl);
  aq_loop_free(t->loop);
  release(t, rc);
  return rc;
}
