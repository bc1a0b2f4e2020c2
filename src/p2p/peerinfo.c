/* Asks each peer once a minute what it runs, answers the same, and says what does not fit. */
#include "p2p/peerinfo.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/peerinfo_version.h"
#include "codec/pb.h"
#include "peerinfo.pb-c.h"

enum { PEERS_MAX = 32, MSG_MAX = 64 * 1024, ARENA_MAX = 256 * 1024, LABEL_LEN = 64 };
#define EVERY_NS AQ_SECONDS(60)
#define OFFSET_MAX_S 3600.0

/* What was wrong with a peer the last time: each thing is logged when it begins. */
enum { BAD_TIMES = 1, BAD_GIT = 2, BAD_VERSION = 4, BAD_LOCK = 8, BAD_BUILDER = 16 };

typedef struct {
  aq_peerinfo *p;
  uint32_t idx, bad;
  bool asked;
  uint64_t asked_ns, asked_mono_ns;
  char client[LABEL_LEN], git[LABEL_LEN], nickname[LABEL_LEN], version[LABEL_LEN]; /* labels that stand at 1 */
} peer;

struct aq_peerinfo {
  aq_peerinfo_cfg cfg;
  aq_wire_version own;
  uint64_t started_ns;
  aq_timer timer;
  peer peer[PEERS_MAX];
};

/* ---- own message ---- */

static Peerinfo__Timestamp timestamp(uint64_t ns) {
  Peerinfo__Timestamp t = PEERINFO__TIMESTAMP__INIT;
  t.seconds = (int64_t)(ns / AQ_NS_PER_SEC);
  t.nanos = (int32_t)(ns % AQ_NS_PER_SEC);
  t.has_seconds = t.seconds != 0;
  t.has_nanos = t.nanos != 0;
  return t;
}

/* A string field as proto3 writes it: not at all when empty. protobuf-c does not write to it. */
static char *text(const char *s) { return s && s[0] ? (char *)(uintptr_t)s : NULL; }

static void own_message(const aq_peerinfo *p, aq_buf *out) {
  const aq_peerinfo_cfg *cfg = &p->cfg;
  Peerinfo__Timestamp sent = timestamp(aq_now_ns(cfg->env)), started = timestamp(p->started_ns);
  Peerinfo__PeerInfo msg = PEERINFO__PEER_INFO__INIT;
  msg.charon_version = text(cfg->wire_version);
  msg.has_lock_hash = true;
  msg.lock_hash = (ProtobufCBinaryData){32, (uint8_t *)(uintptr_t)cfg->lock_hash};
  msg.sent_at = &sent;
  msg.git_hash = text(cfg->git_hash);
  msg.started_at = &started;
  msg.has_builder_api_enabled = msg.builder_api_enabled = cfg->builder_api;
  msg.nickname = text(cfg->nickname);
  msg.dv_client = text("aequa");
  aq_pb_pack(out, &msg.base);
}

static void serve(void *arg, uint32_t from, aq_bytes msg, aq_net_reply *reply) {
  const aq_peerinfo *p = arg;
  const aq_net *net = p->cfg.net;
  (void)from, (void)msg; /* relays ask with an empty message; nobody looks into a request (wire.md 6) */
  aq_buf out = AQ_BUF(MSG_MAX);
  own_message(p, &out);
  net->respond(net->ctx, reply, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

/* ---- answers ---- */

static const char *name_of(const peer *e) { return e->p->cfg.peer_names[e->idx]; }

/* True when this fault is new. */
static bool fault(peer *e, uint32_t bit, bool is_bad) {
  bool begins = is_bad && !(e->bad & bit);
  e->bad = is_bad ? e->bad | bit : e->bad & ~bit;
  return begins;
}

static void complain(peer *e, uint32_t bit, bool is_bad, const char *err, const char *value) {
  if (!fault(e, bit, is_bad)) return;
  AQ_LOG(AQ_LOG_WARN, "peerinfo", AQ_STR("err", err), AQ_STR("peer", name_of(e)), AQ_STR("result", "error"),
         AQ_STR("value", value));
}

/* A series of constant 1 whose second label is what the peer says now. */
static void set_label(aq_metric_id id, peer *e, char have[LABEL_LEN], const char *value) {
  char now[LABEL_LEN] = {0};
  size_t len = strlen(value) < LABEL_LEN ? strlen(value) : LABEL_LEN - 1;
  while (len > 0 && len < strlen(value) && ((uint8_t)value[len] & 0xc0) == 0x80) len--; /* not inside a character */
  memcpy(now, value, len);
  if (strcmp(have, now) != 0 && have[0]) aq_metric_clear(id, AQ_LABELS(name_of(e), have));
  memcpy(have, now, LABEL_LEN);
  if (now[0]) aq_metric_set(id, 1, AQ_LABELS(name_of(e), now));
}

static double seconds_of(const Peerinfo__Timestamp *t) { return (double)t->seconds + (double)t->nanos / 1e9; }

static double clock_offset(const peer *e, const Peerinfo__Timestamp *sent) {
  uint64_t rtt = aq_mono_ns(e->p->cfg.env) - e->asked_mono_ns;
  double offset = seconds_of(sent) - ((double)e->asked_ns + (double)rtt / 2) / 1e9;
  if (offset > OFFSET_MAX_S) return OFFSET_MAX_S;
  return offset < -OFFSET_MAX_S ? -OFFSET_MAX_S : offset;
}

static const char *or_empty(const char *s) { return s ? s : ""; }

static void compare(peer *e, const Peerinfo__PeerInfo *msg) {
  const aq_peerinfo_cfg *cfg = &e->p->cfg;
  aq_bytes lock = aq_bytes_of(msg->lock_hash.data, msg->lock_hash.len);
  bool same_lock = aq_bytes_eq(lock, aq_bytes_of(cfg->lock_hash, 32));
  complain(e, BAD_LOCK, !same_lock, "peer runs another cluster lock", NULL);
  complain(e, BAD_BUILDER, msg->builder_api_enabled != cfg->builder_api, "builder API differs",
           msg->builder_api_enabled ? "on" : "off");
  aq_metric_set(AQ_M_APP_PEERINFO_BUILDER_API_ENABLED, msg->builder_api_enabled, AQ_LABELS(name_of(e)));
}

/* In the order of wire.md 6. */
static void take(peer *e, const Peerinfo__PeerInfo *msg) {
  const char *version = or_empty(msg->charon_version), *git = or_empty(msg->git_hash);
  const char *client = or_empty(msg->dv_client), *name = name_of(e);
  if (!client[0]) client = "charon";
  bool times = msg->sent_at && msg->started_at;
  complain(e, BAD_TIMES, !times, "no sent_at or started_at", NULL);
  if (!times) return;
  set_label(AQ_M_APP_PEERINFO_NICKNAME, e, e->nickname, or_empty(msg->nickname));
  complain(e, BAD_GIT, !aq_git_hash_ok(git), "git hash is none", git);
  if (!aq_git_hash_ok(git)) return;
  aq_metric_set(AQ_M_APP_PEERINFO_CLOCK_OFFSET_SECONDS, clock_offset(e, msg->sent_at), AQ_LABELS(name));
  bool supported = strcmp(client, "charon") != 0 || aq_wire_version_ok(&e->p->own, aq_bytes_str(version));
  aq_metric_set(AQ_M_APP_PEERINFO_VERSION_SUPPORT, supported, AQ_LABELS(name));
  complain(e, BAD_VERSION, !supported, "version is not supported", version);
  if (!supported) return;
  set_label(AQ_M_APP_PEERINFO_VERSION, e, e->version, version);
  set_label(AQ_M_APP_PEERINFO_GIT_COMMIT, e, e->git, git);
  set_label(AQ_M_APP_PEERINFO_DV_CLIENT, e, e->client, client);
  aq_metric_set(AQ_M_APP_PEERINFO_START_TIME_SECS, seconds_of(msg->started_at), AQ_LABELS(name));
  compare(e, msg);
}

static void answered(void *arg, aq_status st, aq_bytes answer) {
  peer *e = arg;
  e->asked = false;
  if (st != AQ_OK) return;
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  const Peerinfo__PeerInfo *msg = aq_pb_unpack(&a, &peerinfo__peer_info__descriptor, answer);
  if (msg) {
    take(e, msg);
  } else {
    aq_metric_add(AQ_M_P2P_MSGS_TOTAL, 1, AQ_LABELS("aequa/peerinfo/v1", "rx", "decode_error"));
  }
  aq_arena_free(&a);
}

/* ---- asking ---- */

static void on_timer(void *arg) {
  aq_peerinfo *p = arg;
  const aq_peerinfo_cfg *cfg = &p->cfg;
  aq_timer_after(cfg->env, &p->timer, EVERY_NS, on_timer, p);
  aq_buf out = AQ_BUF(MSG_MAX);
  own_message(p, &out);
  for (uint32_t i = 0; i < cfg->peer_cnt; i++) {
    peer *e = &p->peer[i];
    if (i == cfg->self || e->asked) continue;
    e->asked = true;
    e->asked_ns = aq_now_ns(cfg->env);
    e->asked_mono_ns = aq_mono_ns(cfg->env);
    cfg->net->request(cfg->net->ctx, i, AQ_PROTO_PEERINFO, aq_buf_bytes(&out), answered, e);
  }
  aq_buf_free(&out);
}

aq_peerinfo *aq_peerinfo_new(const aq_peerinfo_cfg *cfg) {
  AQ_ASSERT(cfg->peer_cnt <= PEERS_MAX && cfg->self < cfg->peer_cnt);
  aq_peerinfo *p = calloc(1, sizeof *p);
  AQ_ASSERT(p);
  p->cfg = *cfg;
  p->started_ns = aq_now_ns(cfg->env);
  aq_status st = aq_wire_version_parse(&p->own, aq_bytes_str(cfg->wire_version));
  AQ_ASSERT(st == AQ_OK);
  for (uint32_t i = 0; i < cfg->peer_cnt; i++) {
    p->peer[i].p = p;
    p->peer[i].idx = i;
    aq_metric_set(AQ_M_APP_PEERINFO_INDEX, i, AQ_LABELS(cfg->peer_names[i]));
  }
  peer *self = &p->peer[cfg->self];
  set_label(AQ_M_APP_PEERINFO_NICKNAME, self, self->nickname, or_empty(cfg->nickname));
  set_label(AQ_M_APP_PEERINFO_VERSION, self, self->version, cfg->wire_version);
  set_label(AQ_M_APP_PEERINFO_GIT_COMMIT, self, self->git, cfg->git_hash);
  set_label(AQ_M_APP_PEERINFO_DV_CLIENT, self, self->client, "aequa");
  aq_net_handler h = {.arg = p, .serve = serve};
  cfg->net->handle(cfg->net->ctx, AQ_PROTO_PEERINFO, &h);
  return p;
}

void aq_peerinfo_start(aq_peerinfo *p) { aq_timer_after(p->cfg.env, &p->timer, EVERY_NS, on_timer, p); }

void aq_peerinfo_free(aq_peerinfo *p) {
  if (!p) return;
  aq_timer_cancel(p->cfg.env, &p->timer);
  free(p);
}
