/* lab/testnet_internal.h - the running test network. */
#ifndef AQ_LAB_TESTNET_INTERNAL_H
#define AQ_LAB_TESTNET_INTERNAL_H

#include <stdio.h>
#include <uv.h>

#include "adapter/adapters.h"
#include "base/url.h"
#include "lab/report.h"
#include "lab/testnet.h"

enum { AQ_CHILD_ARGS_MAX = 40, AQ_CHILD_LINE_MAX = 16384, AQ_CHILDREN_MAX = 2 * AQ_TESTNET_NODES_MAX + 2 };
_Static_assert((int)AQ_TESTNET_NODES_MAX <= (int)AQ_REPORT_NODES_MAX, "the report has a line a node");

typedef struct aq_testnet aq_testnet;

/* A process with its output in a log file; lines of nodes also go to the report. */
typedef struct {
  aq_testnet *t;
  char name[32], log_path[1024];
  char *arg[AQ_CHILD_ARGS_MAX + 1];
  uint32_t arg_cnt;
  int node; /* index for the report, -1: none */
  uv_process_t process;
  uv_pipe_t out;
  FILE *log;
  bool running, out_open, expected_end;
  uint32_t open_handles, starts;
  int exit_code;
  char line[AQ_CHILD_LINE_MAX];
  size_t line_len;
  uint64_t cpu_ms_before; /* of earlier processes of this child */
} aq_child;

struct aq_testnet {
  aq_testnet_cfg *cfg;
  aq_loop *loop;
  const aq_env *env;
  aq_curl *curl;
  char dir[1024], beacon_url[AQ_URL_MAX + 1], self[1024];
  bool own_dir;
  uint64_t genesis_s;
  uint64_t first_slot; /* of the chain, from which on all is counted: everything was up before it */
  aq_child child[AQ_CHILDREN_MAX];
  uint32_t child_cnt;
  aq_child *node[AQ_TESTNET_NODES_MAX], *vc[AQ_TESTNET_NODES_MAX], *beacon;
  uint16_t vapi_port[AQ_TESTNET_NODES_MAX], monitor_port[AQ_TESTNET_NODES_MAX], p2p_port[AQ_TESTNET_NODES_MAX],
      beacon_port;
  uint32_t conns[AQ_TESTNET_NODES_MAX];
  bool answers[AQ_TESTNET_NODES_MAX], asked[AQ_TESTNET_NODES_MAX]; /* a node its port; a client for its duties */
  aq_report report;
  aq_timer slot_timer, kill_timer;
  uint64_t slot, rng;
  int revive; /* node that chaos killed, -1 */
  bool stopping, failed, counting;
  uint64_t started_ns, told_ns; /* monotonic */
  uint32_t asks;                /* HTTP questions under way */
};

/* testnet_proc.c */
aq_child *aq_child_new(aq_testnet *t, const char *name, int node);
void aq_child_arg(aq_child *c, const char *fmt, ...) AQ_PRINTF(2, 3);
AQ_NODISCARD aq_status aq_child_start(aq_child *c, aq_err *err);
void aq_child_signal(aq_child *c, int signo);
void aq_child_sample(aq_child *c); /* memory and CPU into the report */
bool aq_children_gone(const aq_testnet *t);

/* testnet.c */
typedef void aq_testnet_answer(aq_testnet *t, uint32_t node, const aq_httpc_res *res); /* NULL: no answer, or no 200 */
void aq_testnet_ask(aq_testnet *t, const char *url, const char *body, aq_testnet_answer *fn, uint32_t node);
void aq_testnet_ask_nodes(aq_testnet *t); /* connections, figures and what clients asked, from /metrics */
void aq_testnet_begin(aq_testnet *t);     /* slots are counted */
void aq_testnet_stop(aq_testnet *t);

/* testnet_ready.c */
void aq_testnet_await(aq_testnet *t); /* until every process is up, then begins; or stops with what is missing */

/* testnet_table.c */
void aq_testnet_show(aq_testnet *t, bool last);

#endif
