#include "p2p/gate.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/time.h"

const char *aq_gate_verdict_name(aq_gate_verdict v) {
  static const char *const name[] = {"allowed", "denied", "limited", "dkg_denied"};
  return name[v];
}

void aq_gate_init(aq_gate *g, uint32_t rate_limit, uint32_t conns_max, int32_t score_threshold) {
  memset(g, 0, sizeof *g);
  g->rate_limit = rate_limit;
  g->conns_max = conns_max;
  g->score_threshold = score_threshold;
  for (uint32_t i = 0; i < AQ_GATE_PEERS_MAX; i++) g->score[i] = AQ_SCORE_MAX;
}

/* The host part of "ip:port" or "[ip]:port". */
static void host_of(char out[AQ_GATE_REMOTE_LEN], const char *remote) {
  const char *colon = strrchr(remote, ':');
  int len = colon ? (int)(colon - remote) : (int)strlen(remote);
  snprintf(out, AQ_GATE_REMOTE_LEN, "%.*s", len, remote);
}

static aq_gate_remote *remote_of(aq_gate *g, const char *remote, uint64_t now_ns) {
  char host[AQ_GATE_REMOTE_LEN];
  aq_gate_remote *oldest = &g->remote[0];
  host_of(host, remote);
  for (uint32_t i = 0; i < g->remote_cnt; i++) {
    aq_gate_remote *r = &g->remote[i];
    if (strcmp(r->remote, host) == 0) return r;
    if (r->used_ns < oldest->used_ns) oldest = r;
  }
  aq_gate_remote *r = g->remote_cnt < AQ_GATE_REMOTES_MAX ? &g->remote[g->remote_cnt++] : oldest;
  *r = (aq_gate_remote){.refill_ns = now_ns, .tokens = g->rate_limit};
  memcpy(r->remote, host, sizeof host);
  return r;
}

/* Token bucket: a burst of one second's allowance, refilled evenly. */
static bool rate_ok(aq_gate *g, const char *remote, uint64_t now_ns) {
  if (g->rate_limit == 0) return true;
  aq_gate_remote *r = remote_of(g, remote, now_ns);
  uint64_t step_ns = AQ_NS_PER_SEC / g->rate_limit, gained;
  if (step_ns == 0) step_ns = 1;
  gained = (now_ns - r->refill_ns) / step_ns;
  r->refill_ns += gained * step_ns;
  if (gained > g->rate_limit - r->tokens) gained = g->rate_limit - r->tokens;
  r->tokens += (uint32_t)gained;
  r->used_ns = now_ns;
  if (r->tokens == 0) return false;
  r->tokens--;
  return true;
}

int32_t aq_gate_score(aq_gate *g, uint32_t peer, uint64_t now_ns) {
  AQ_ASSERT(peer < AQ_GATE_PEERS_MAX);
  uint64_t gained = (now_ns - g->score_ns[peer]) / AQ_NS_PER_SEC;
  if (gained >= (uint64_t)(AQ_SCORE_MAX - g->score[peer])) {
    g->score[peer] = AQ_SCORE_MAX;
    g->score_ns[peer] = now_ns;
  } else {
    g->score[peer] += (int32_t)gained;
    g->score_ns[peer] += gained * AQ_NS_PER_SEC;
  }
  return g->score[peer];
}

static bool score_ok(aq_gate *g, int peer, uint64_t now_ns) {
  return g->score_threshold == 0 || peer < 0 || aq_gate_score(g, (uint32_t)peer, now_ns) >= g->score_threshold;
}

bool aq_gate_penalty(aq_gate *g, uint32_t peer, int32_t points, uint64_t now_ns) {
  int32_t score = aq_gate_score(g, peer, now_ns) - points;
  g->score[peer] = score < AQ_SCORE_MIN ? AQ_SCORE_MIN : score;
  return !score_ok(g, (int)peer, now_ns);
}

aq_gate_verdict aq_gate_accept(aq_gate *g, const char *remote, uint32_t conns, uint64_t now_ns) {
  if (!rate_ok(g, remote, now_ns)) return AQ_GATE_LIMITED;
  return conns >= g->conns_max ? AQ_GATE_LIMITED : AQ_GATE_ALLOWED;
}

aq_gate_verdict aq_gate_dial(aq_gate *g, int peer, uint32_t conns, uint64_t now_ns) {
  if (!score_ok(g, peer, now_ns)) return AQ_GATE_DENIED;
  return conns >= g->conns_max ? AQ_GATE_LIMITED : AQ_GATE_ALLOWED;
}

aq_gate_verdict aq_gate_secured(aq_gate *g, int peer, uint64_t now_ns) {
  if (peer < 0) return AQ_GATE_DKG_DENIED;
  return score_ok(g, peer, now_ns) ? AQ_GATE_ALLOWED : AQ_GATE_DENIED;
}
