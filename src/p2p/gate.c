/* Rates, scores and caps of remotes; the table forgets who was quiet for longest. */
#include "p2p/gate.h"

#include <arpa/inet.h>
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

void aq_gate_key(char out[AQ_GATE_REMOTE_LEN], const char *remote) {
  const char *colon = strrchr(remote, ':');
  int len = colon ? (int)(colon - remote) : (int)strlen(remote);
  snprintf(out, AQ_GATE_REMOTE_LEN, "%.*s", len, remote);
  uint8_t ip[16];
  char text[AQ_GATE_REMOTE_LEN];
  size_t text_len = strlen(out);
  if (out[0] != '[' || text_len < 2 || out[text_len - 1] != ']') return;
  snprintf(text, sizeof text, "%.*s", (int)text_len - 2, out + 1);
  text[strcspn(text, "%")] = 0; /* a zone */
  if (inet_pton(AF_INET6, text, ip) != 1) return;
  snprintf(out, AQ_GATE_REMOTE_LEN, "[%02x%02x:%02x%02x:%02x%02x:%02x%02x]", ip[0], ip[1], ip[2], ip[3], ip[4], ip[5],
           ip[6], ip[7]);
}

static aq_gate_remote *remote_of(aq_gate *g, const char *key) {
  aq_gate_remote *oldest = &g->remote[0];
  for (uint32_t i = 0; i < g->remote_cnt; i++) {
    aq_gate_remote *r = &g->remote[i];
    if (strcmp(r->remote, key) == 0) return r;
    if (r->used_ns < oldest->used_ns) oldest = r;
  }
  aq_gate_remote *r = g->remote_cnt < AQ_GATE_REMOTES_MAX ? &g->remote[g->remote_cnt++] : oldest;
  *r = (aq_gate_remote){.used_ns = 0};
  snprintf(r->remote, sizeof r->remote, "%s", key);
  return r;
}

aq_gate_verdict aq_gate_accept(aq_gate *g, const char *key, bool members, uint64_t now_ns) {
  static const aq_bucket_size built_in = {
      .full = AQ_GATE_STRANGER_BURST, .rate = AQ_GATE_STRANGER_RATE, .per_ns = AQ_NS_PER_SEC};
  /* A burst of one second's allowance. */
  const aq_bucket_size asked = {.full = g->rate_limit, .rate = g->rate_limit, .per_ns = AQ_NS_PER_SEC};
  aq_gate_remote *r = remote_of(g, key);
  r->used_ns = now_ns;
  if (g->rate_limit && !aq_bucket_take(&r->asked, &asked, now_ns, 1)) return AQ_GATE_LIMITED;
  return members || aq_bucket_take(&r->built_in, &built_in, now_ns, 1) ? AQ_GATE_ALLOWED : AQ_GATE_LIMITED;
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

aq_gate_verdict aq_gate_dial(aq_gate *g, int peer, uint64_t now_ns) {
  return score_ok(g, peer, now_ns) ? AQ_GATE_ALLOWED : AQ_GATE_DENIED;
}

aq_gate_verdict aq_gate_secured(aq_gate *g, int peer, uint64_t now_ns) {
  if (peer < 0) return AQ_GATE_DKG_DENIED;
  return score_ok(g, peer, now_ns) ? AQ_GATE_ALLOWED : AQ_GATE_DENIED;
}
