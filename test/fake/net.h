/* fake/net.h - sockets in memory for tests and simulators: many nodes, one aq_tcp each, over an environment of virtual
   time. Every direction of a connection has a latency, a rate and a buffer; bytes arrive in pieces, cut at
   random when asked. Faults: cut links (dials hang, bytes wait), crashed nodes, resets. Callbacks come from timers
   only, never from inside a call, as with real sockets.
   Limits: FAKE_NODES_MAX nodes; FAKE_WAITING_MAX bytes wait in each direction, as port/tcp.h says. */
#ifndef AQ_FAKE_NET_H
#define AQ_FAKE_NET_H

#include <stdio.h>

#include "base/list.h"
#include "fake/env.h"
#include "port/tcp.h"

enum { FAKE_NODES_MAX = 64, FAKE_PORT = 3610 };
#define FAKE_WAITING_MAX ((size_t)4 << 20) /* what write takes before it says no */

typedef struct fake_net fake_net;

typedef struct {
  fake_net *net;
  uint32_t idx;
  char host[32]; /* "10.0.0.<idx+1>", listening on FAKE_PORT */
  aq_tcp tcp;    /* hand this to the code under test */
  aq_tcp_events ev;
  bool down; /* answers nothing; dials to it are refused */
  uint64_t bytes_in;
} fake_node;

struct fake_net {
  const aq_env *env;
  fake_node node[FAKE_NODES_MAX];
  uint32_t node_cnt;
  uint64_t latency_ns;                                         /* one way, all links; set before use */
  uint64_t (*extra_ns)(void *arg, uint32_t from, uint32_t to); /* on top of it, asked for each piece; may be NULL */
  void *extra_arg;
  uint64_t bytes_per_ms;                    /* each direction of each connection; 0: no limit */
  size_t chunk_max;                         /* bytes are cut into pieces of 1 to this; 0: into 64 KiB */
  bool cut[FAKE_NODES_MAX][FAKE_NODES_MAX]; /* from, to: nothing arrives */
  uint32_t dials;                           /* so far */
  /* Private. */
  uint64_t rng, next_id;
  aq_list ends;
};

void fake_net_init(fake_net *n, const aq_env *env, uint64_t seed); /* env is borrowed; a latency of 1 ms */
fake_node *fake_net_node(fake_net *n);                             /* one more, up; it lives in n */
void fake_net_free(fake_net *n);                                   /* connections end without callbacks */

/* Both directions between two nodes. While cut, connections are half open; what was sent meanwhile arrives
   afterwards, as TCP would repeat it. */
void fake_net_cut(fake_net *n, uint32_t a, uint32_t b, bool cut);
void fake_net_changed(fake_net *n); /* after changes of `cut` by hand */
/* Ends all connections between two nodes, as a middle box would. */
void fake_net_reset(fake_net *n, uint32_t a, uint32_t b);
/* The process of a node is gone: its sockets end, for the others with a reset or (silent) without a word. Its host
   object is not to be used again. Dials are refused until up. */
void fake_net_crash(fake_net *n, uint32_t idx, bool silent);
void fake_net_up(fake_net *n, uint32_t idx);
uint32_t fake_net_conns(const fake_net *n, uint32_t idx); /* connections that are open at a node */

#endif
