/* The start of a test network: how long its processes take depends on the machine, so nothing is counted before all
   of them are up. Genesis is no such moment: it must be known before anybody can be ready for it. */
#include "codec/json_out.h"
#include "lab/testnet_internal.h"
#include "port/store.h"

enum { COUNT_BODY_MAX = 64 }; /* one slot in JSON */

typedef unsigned long long ull;

#define LOOK_NS AQ_MILLIS(250)
#define TELL_NS AQ_SECONDS(10)
/* A new node or client abstains from what begins up to then. */
#define SETTLE_NS AQ_STORE_MARGIN_NS

/* Ours connect to all. Programs of another make may need relays for each other, and Charon counts its connections every
   half minute only. */
static uint32_t peers_wanted(const aq_testnet *t, uint32_t i) { return t->cfg->binary[i] ? 0 : t->cfg->nodes - 1; }

/* What node i or its client lacks; false: nothing. */
static bool lacks(const aq_testnet *t, uint32_t i, aq_child **who, char *what, size_t len) {
  *who = t->node[i];
  if (!t->answers[i]) {
    snprintf(what, len, "does not answer on 127.0.0.1:%u", t->monitor_port[i]);
  } else if (t->conns[i] < peers_wanted(t, i)) {
    snprintf(what, len, "has %u of %u peers", t->conns[i], peers_wanted(t, i));
  } else if (!t->asked[i]) {
    *who = t->vc[i];
    snprintf(what, len, "has got no duties from its node");
  } else {
    return false;
  }
  return true;
}

static bool all_up(const aq_testnet *t) {
  aq_child *who;
  char what[80];
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    if (lacks(t, i, &who, what, sizeof what)) return false;
  }
  return true;
}

static void tell(aq_testnet *t, FILE *out, const char *word) {
  t->told_ns = aq_mono_ns(t->env);
  for (uint32_t i = 0; i < t->cfg->nodes; i++) {
    aq_child *who;
    char what[80];
    if (lacks(t, i, &who, what, sizeof what))
      fprintf(out, "%s: %s %s; its log is %s\n", word, who->name, what, who->log_path);
  }
  if (all_up(t)) fprintf(out, "%s: beacon does not answer; its log is %s\n", word, t->beacon->log_path);
  fflush(out);
}

static bool all_run(const aq_testnet *t) {
  for (uint32_t i = 0; i < t->child_cnt; i++) {
    if (!t->child[i].running) return false; /* which one, was said as it ended */
  }
  return true;
}

static void begin(aq_testnet *t) {
  double took_s = (double)(aq_mono_ns(t->env) - t->started_ns) / AQ_NS_PER_SEC;
  printf("all is up after %.1f s", took_s);
  if (t->first_slot) printf("; slots are counted from the chain's slot %llu on", (ull)t->first_slot);
  printf("\n");
  t->report.first_slot = t->beacon ? t->first_slot : 0; /* another chain has its own slots */
  aq_testnet_begin(t);
}

static void look(void *arg);

/* No 200: the slot had begun, or the chain is busy; the next look finds another slot. */
static void chain_counts(aq_testnet *t, uint32_t node, const aq_httpc_res *res) {
  (void)node;
  if (t->stopping) return;
  if (res)
    begin(t);
  else
    aq_timer_after(t->env, &t->slot_timer, LOOK_NS, look, t);
}

static void count(aq_testnet *t) {
  uint64_t from_ns = aq_now_ns(t->env) + SETTLE_NS, genesis_ns = AQ_SECONDS(t->genesis_s), slot_ns = t->cfg->slot_ns;
  t->first_slot = from_ns <= genesis_ns ? 0 : (from_ns - genesis_ns + slot_ns - 1) / slot_ns;
  if (!t->beacon) {
    begin(t);
    return;
  }
  char url[sizeof t->beacon_url + sizeof "/sim/count"];
  aq_buf body = AQ_BUF(COUNT_BODY_MAX);
  aq_json_out o = aq_json_out_line(&body);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_u64_str(&o, "slot", t->first_slot);
  aq_json_out_close(&o, '}');
  snprintf(url, sizeof url, "%s/sim/count", t->beacon_url);
  aq_testnet_ask(t, url, aq_buf_cstr(&body), chain_counts, 0);
  aq_buf_free(&body);
}

static void look(void *arg) {
  aq_testnet *t = arg;
  uint64_t now_ns = aq_mono_ns(t->env);
  if (t->stopping) return;
  bool gone = !all_run(t);
  if (gone || now_ns >= t->started_ns + t->cfg->start_timeout_ns) {
    if (!gone) tell(t, stderr, "not up in time");
    fprintf(stderr, "aequa: the test network did not start: %s\n",
            gone ? "a process ended" : "--start-timeout is over");
    t->failed = true;
    aq_testnet_stop(t);
    return;
  }
  if (all_up(t)) {
    count(t);
    return;
  }
  if (now_ns >= t->told_ns + TELL_NS) tell(t, stdout, "waiting");
  if (t->asks == 0) aq_testnet_ask_nodes(t);
  aq_timer_after(t->env, &t->slot_timer, LOOK_NS, look, t);
}

void aq_testnet_await(aq_testnet *t) {
  t->started_ns = t->told_ns = aq_mono_ns(t->env);
  t->report.first_slot = UINT64_MAX;
  look(t);
}
