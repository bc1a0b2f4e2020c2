#include "p2p/host_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"

/* Per peer. Consensus and the exchange of signatures have budgets of their own by what a message costs; a busy honest
   peer sends some hundred a second, and ten thousand when it catches up. */
static const aq_bucket_size open_size = {16384, 2048, AQ_NS_PER_SEC};
/* Honest peers ask for peerinfo once a minute, for priorities once an epoch, for identify once a connection; they ping
   about once a second. */
static const aq_bucket_size ask_size = {64, 4, AQ_NS_PER_SEC}, ping_size = {256, 32, AQ_NS_PER_SEC};

static void count(const char *topic, bool tx, const char *result, size_t bytes) {
  const char *direction = tx ? "tx" : "rx";
  aq_metric_add(AQ_M_P2P_MSGS_TOTAL, 1, AQ_LABELS(topic, direction, result));
  if (bytes) aq_metric_add(AQ_M_P2P_BYTES_TOTAL, (double)bytes, AQ_LABELS(topic, direction));
}

void host_count(const aq_service *row, bool tx, const char *result, size_t bytes) {
  if (row) count(row->topic, tx, result, bytes);
}

void host_count_ping(bool tx, const char *result, size_t bytes) { count("aequa/ping/v1", tx, result, bytes); }

/* NULL: not known, or of every connection. */
static const aq_service *row_of(const hstream *s) {
  return s->svc >= AQ_SVC_FIRST ? &aq_services[s->hc->h->names.row[s->svc]] : NULL;
}

/* ---- life ---- */

static hstream *stream_new(hconn *hc, hstream_kind kind, uint32_t id) {
  hstream *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->hc = hc;
  s->kind = kind;
  s->id = id;
  s->svc = -1;
  s->neg = AQ_BUF(HOST_NEG_MAX);
  s->start_ns = aq_mono_ns(hc->h->env);
  aq_list_init(&s->big_node);
  aq_list_push(&hc->streams, &s->node);
  return s;
}

static void big_next(hpeer *p);
static hstream *stream_at(hconn *hc, uint32_t id);

void host_stream_free(hstream *s) {
  hpeer *p = s->hc->peer;
  if (s->counted) --*s->counted;
  aq_timer_cancel(s->hc->h->env, &s->timer);
  aq_list_remove(&s->node), aq_list_remove(&s->big_node);
  aq_buf_free(&s->neg);
  aq_delimited_free(&s->msg);
  p->rx_bytes -= s->charged;
  if (s->reply) s->hc->h->reply[s->reply - 1].stream = NULL;
  bool big = s->big;
  free(s);
  if (big) {
    p->big_cnt--;
    big_next(p);
  }
}

void host_stream_reset(hstream *s, uint32_t code) {
  aq_yamux_reset(aq_conn_mux(s->hc->c), s->id, code);
  host_stream_free(s);
}

void host_stream_release(hstream *s) {
  aq_yamux_release(aq_conn_mux(s->hc->c), s->id);
  host_stream_free(s);
}

hstream *host_stream_open(hconn *hc, hstream_kind kind, aq_status *st) {
  hstream *s = stream_new(hc, kind, 0);
  *st = aq_yamux_open(aq_conn_mux(hc->c), &s->id, s);
  if (*st == AQ_OK) return s;
  host_stream_free(s);
  return NULL;
}

static void on_timer(void *arg) {
  hstream *s = arg;
  hconn *hc = s->hc;
  if (s->kind == STREAM_PING) host_ping_failed(s);
  host_count(row_of(s), s->reply != 0, "error", 0);
  host_stream_reset(s, s->settled ? AQ_YAMUX_CODE_NONE : AQ_YAMUX_RST_NEGOTIATION);
  aq_conn_flush(hc->c);
}

void host_stream_timer(hstream *s, uint64_t wait_ns) {
  const aq_env *env = s->hc->h->env;
  aq_timer_after(env, &s->timer, wait_ns, on_timer, s);
}

/* ---- credit and memory ---- Short messages are credited as they come. A message over the first window gets one of
   the peer's few big places, and with it a window of its whole length; until then it gets no credit, so that its
   sender waits with 256 KiB under way. */

static void big_begin(hstream *s) {
  aq_yamux *y = aq_conn_mux(s->hc->c);
  s->big = true;
  s->hc->peer->big_cnt++;
  aq_yamux_credit(y, s->id, s->unpaid);
  s->unpaid = 0;
  aq_yamux_window(y, s->id, (size_t)s->msg.len - s->msg.body.len);
}

static void big_next(hpeer *p) {
  while (!aq_list_empty(&p->big_wait) && p->big_cnt < HOST_BIG_MAX) {
    hstream *s = AQ_CONTAINER(p->big_wait.next, hstream, big_node);
    hconn *hc = s->hc;
    aq_list_remove(&s->big_node);
    s->big_waits = false;
    if (aq_conn_is_down(hc->c)) continue;
    big_begin(s);
    aq_conn_flush(hc->c);
  }
}

static void big_check(hstream *s) {
  hpeer *p = s->hc->peer;
  if (s->big || s->big_waits || !s->msg.have_len || s->msg.len <= AQ_YAMUX_WINDOW) return;
  if (p->big_cnt < HOST_BIG_MAX) {
    big_begin(s);
    return;
  }
  s->big_waits = true;
  aq_list_push(&p->big_wait, &s->big_node);
}

/* False: the peer holds too much of our memory. */
static bool charge(hstream *s) {
  hpeer *p = s->hc->peer;
  size_t held = s->neg.len + s->msg.body.len;
  p->rx_bytes += held - s->charged;
  s->charged = held;
  return p->rx_bytes <= HOST_RX_MAX;
}

static void pay(hstream *s) {
  if (s->big_waits || s->unpaid == 0) return;
  aq_yamux_credit(aq_conn_mux(s->hc->c), s->id, s->unpaid);
  s->unpaid = 0;
}

/* ---- faults ---- */

static void complain(aq_host *h, hpeer *p, int svc, aq_status st) {
  aq_line_limit *line = st == AQ_E_LIMIT ? &p->line_limit : &p->line_bad;
  if (!aq_line_due(line, aq_mono_ns(h->env))) return;
  AQ_LOG(AQ_LOG_WARN, "p2p_stream", AQ_STR("peer", host_peer_label(h, p)),
         AQ_STR("protocol", svc >= 0 ? h->names.name[svc] : NULL), AQ_STR("err", aq_status_text(st)),
         AQ_UINT("more", line->more), AQ_STR("result", "dropped"));
}

static void violation(hstream *s, uint32_t code) {
  hconn *hc = s->hc;
  host_count(row_of(s), false, "decode_error", 0);
  complain(hc->h, hc->peer, s->svc, AQ_E_FORMAT);
  host_stream_reset(s, code);
  host_penalty(hc->h, hc->peer, AQ_SCORE_BAD_MSG);
}

static void too_many(hstream *s) {
  hconn *hc = s->hc;
  if (s->svc == AQ_SVC_PING) host_count_ping(false, "error", 0);
  host_count(row_of(s), false, "error", 0);
  complain(hc->h, hc->peer, s->svc, AQ_E_LIMIT);
  host_stream_reset(s, AQ_YAMUX_RST_LIMIT);
  host_penalty(hc->h, hc->peer, AQ_SCORE_TOO_MANY);
}

bool host_may_ask(hstream *s, uint64_t cnt) {
  aq_bucket *b = &s->hc->peer->asks[s->svc];
  if (aq_bucket_take(b, s->svc == AQ_SVC_PING ? &ping_size : &ask_size, aq_mono_ns(s->hc->h->env), cnt)) return true;
  too_many(s);
  return false;
}

/* Of a message that its handler judges: those that do not decode are what the operator's alert is about. */
static const char *result_of(aq_status st) {
  if (st == AQ_OK) return "ok";
  return st == AQ_E_FORMAT || st == AQ_E_TRUNC ? "decode_error" : "error";
}

static void fault(void *ctx, uint32_t peer, aq_net_proto proto, aq_status st) {
  aq_host *h = ctx;
  (void)proto;
  AQ_ASSERT(peer < h->cfg.peer_cnt);
  if (h->verdict) *h->verdict = st;
  host_penalty(h, &h->peer[peer], st == AQ_E_LIMIT ? AQ_SCORE_TOO_MANY : AQ_SCORE_BAD_MSG);
}

/* ---- messages ---- */

static uint32_t reply_new(aq_host *h, hstream *s) {
  for (uint32_t i = 0; i < HOST_REPLIES_MAX; i++) {
    if (h->reply[i].stream) continue;
    h->reply[i].stream = s;
    h->reply[i].gen = (h->reply[i].gen + 1) & 0xffffff;
    return i + 1;
  }
  return 0;
}

/* Replies are numbers in a pointer's clothes: a late answer finds its place taken by another generation and is
   dropped. */
static aq_net_reply *reply_handle(const aq_host *h, uint32_t reply) {
  uintptr_t n = ((uintptr_t)h->reply[reply - 1].gen << 9) | reply;
  return (aq_net_reply *)n;
}

static hstream *reply_stream(aq_host *h, aq_net_reply *handle) {
  uintptr_t n = (uintptr_t)handle;
  uint32_t reply = (uint32_t)(n & 0x1ff);
  if (reply == 0 || reply > HOST_REPLIES_MAX || h->reply[reply - 1].gen != n >> 9) return NULL;
  return h->reply[reply - 1].stream;
}

static void serve(hstream *s, aq_bytes msg) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  const aq_service *row = row_of(s);
  const aq_net_handler *f = &h->handler[row - aq_services];
  aq_status verdict = AQ_OK;
  s->reply = reply_new(h, s);
  if (s->reply == 0) {
    host_stream_release(s); /* as a refusal */
  } else {
    h->verdict = &verdict;
    f->serve(f->arg, hc->peer->idx, msg, reply_handle(h, s->reply));
    h->verdict = NULL;
  }
  host_count(row, false, result_of(verdict), msg.len);
}

/* A whole message is in s->msg. The stream may be gone afterwards. */
static void on_message(hstream *s) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  const aq_service *row = row_of(s);
  aq_buf body = s->msg.body;
  s->msg.body = AQ_BUF(0);
  hc->peer->rx_bytes -= s->charged;
  s->charged = 0;
  if (s->kind == STREAM_OP) {
    host_op_answer(s->op, aq_buf_bytes(&body));
  } else if (s->kind == STREAM_IDENTIFY || s->svc == AQ_SVC_PUSH) {
    host_identify_part(s, aq_buf_bytes(&body));
  } else if (row->pattern == AQ_PATTERN_REQUEST) {
    serve(s, aq_buf_bytes(&body));
  } else {
    const aq_net_handler *f = &h->handler[row - aq_services];
    aq_status verdict = AQ_OK;
    host_stream_release(s);
    h->verdict = &verdict;
    f->recv(f->arg, hc->peer->idx, aq_buf_bytes(&body));
    h->verdict = NULL;
    host_count(row, false, result_of(verdict), body.len);
  }
  aq_buf_free(&body);
}

static void on_payload(hstream *s, aq_bytes in) {
  if (s->kind == STREAM_PING) {
    host_ping_answer(s, in);
    return;
  }
  if (s->kind == STREAM_IN && s->svc == AQ_SVC_PING) {
    host_ping_serve(s, in);
    return;
  }
  if (s->kind == STREAM_IN && s->svc == AQ_SVC_IDENTIFY) return; /* nothing is to be said there */
  if (s->kind == STREAM_OP && !s->op->request) return;
  if (s->reply) return; /* behind the request */
  bool many = s->kind == STREAM_IDENTIFY || s->svc == AQ_SVC_PUSH;
  while (in.len) {
    size_t used;
    aq_status st = aq_delimited_feed(&s->msg, &used, in);
    if (!charge(s)) {
      violation(s, AQ_YAMUX_RST_LIMIT);
      return;
    }
    if (st == AQ_E_AGAIN) {
      big_check(s);
      return;
    }
    if (st != AQ_OK) {
      if (s->kind == STREAM_OP) host_op_end(s->op, st == AQ_E_LIMIT ? AQ_E_LIMIT : AQ_E_CLOSED);
      violation(s, AQ_YAMUX_RST_VIOLATION);
      return;
    }
    in = aq_bytes_sub(in, used, in.len - used);
    hconn *hc = s->hc;
    uint32_t id = s->id;
    on_message(s);
    if (!many || !(s = stream_at(hc, id))) return;
    aq_delimited_init(&s->msg, AQ_IDENTIFY_MSG_MAX);
  }
}

/* ---- negotiation ---- */

static int find_service(void *arg, aq_bytes name) {
  const aq_host *h = arg;
  for (int i = 0; i < (int)h->names.cnt; i++) {
    if (!aq_bytes_eq(name, aq_bytes_str(h->names.name[i]))) continue;
    return i < AQ_SVC_FIRST || h->handled[h->names.row[i]] ? i : -1;
  }
  return -1;
}

static void count_stream(hstream *s, bool own, uint32_t svc) {
  s->counted = &s->hc->peer->streams[own][svc];
  ++*s->counted;
}

/* Streams of all names of a row that the peer has opened. */
static uint32_t open_streams(const hpeer *p, const aq_service_names *n, uint32_t row) {
  uint32_t cnt = 0;
  for (uint32_t svc = n->first[row]; svc < n->cnt && n->row[svc] == row; svc++) cnt += p->streams[false][svc];
  return cnt;
}

static void settled_in(hstream *s) {
  const aq_service *row = row_of(s);
  count_stream(s, false, (uint32_t)s->svc);
  if (row && row->streams_max) {
    uint32_t cnt = open_streams(s->hc->peer, &s->hc->h->names, (uint32_t)(row - aq_services));
    if (cnt > row->streams_max) {
      too_many(s);
      return;
    }
  }
  bool asks = row ? row->pattern == AQ_PATTERN_REQUEST : s->svc != AQ_SVC_PING;
  if (asks && !host_may_ask(s, 1)) return;
  aq_delimited_init(&s->msg, row ? row->msg_max : AQ_IDENTIFY_MSG_MAX);
  host_stream_timer(s, row ? row->serve_limit_ns : HOST_SERVE_LIMIT_NS);
  if (s->svc == AQ_SVC_IDENTIFY) host_identify_serve(s);
}

static void settled_out(hstream *s) {
  uint32_t own = s->kind == STREAM_PING ? AQ_SVC_PING : AQ_SVC_IDENTIFY;
  count_stream(s, true, s->kind == STREAM_OP ? s->hc->h->names.first[s->op->proto] : own);
  if (s->kind == STREAM_OP) {
    aq_delimited_init(&s->msg, aq_services[s->op->proto].msg_max);
    host_op_settled(s->op);
  } else {
    aq_delimited_init(&s->msg, AQ_IDENTIFY_MSG_MAX);
  }
}

static void negotiation_failed(hstream *s) {
  if (s->kind == STREAM_OP) host_op_end(s->op, AQ_E_CLOSED);
  if (s->kind == STREAM_PING) host_ping_failed(s);
  host_stream_reset(s, AQ_YAMUX_RST_NEGOTIATION);
}

/* One step over s->neg. AQ_OK: payload may follow. AQ_E_AGAIN. Else the stream is gone. */
static aq_status negotiate(hstream *s) {
  aq_yamux *y = aq_conn_mux(s->hc->c);
  aq_buf out = AQ_BUF(HOST_NEG_MAX + 1024);
  size_t used;
  aq_status st = s->kind == STREAM_IN
                     ? aq_ms_respond(&s->respond, &s->svc, &used, aq_buf_bytes(&s->neg), &out, find_service, s->hc->h)
                     : aq_ms_answer(&s->propose, &used, aq_buf_bytes(&s->neg), &out);
  aq_buf_drop_front(&s->neg, used);
  if (out.failed) st = AQ_E_LIMIT;
  if (out.len && (st == AQ_OK || st == AQ_E_AGAIN) && aq_yamux_write(y, s->id, aq_buf_bytes(&out)) != AQ_OK) {
    st = AQ_E_LIMIT;
  }
  aq_buf_free(&out);
  if (st == AQ_OK)
    s->settled = true;
  else if (st != AQ_E_AGAIN)
    negotiation_failed(s);
  return st;
}

/* The stream of that id unless it was ended meanwhile; ids are never used again. */
static hstream *stream_at(hconn *hc, uint32_t id) {
  return aq_conn_is_down(hc->c) ? NULL : aq_yamux_owner(aq_conn_mux(hc->c), id);
}

static void on_negotiation(hstream *s, aq_bytes in) {
  hconn *hc = s->hc;
  uint32_t id = s->id;
  aq_status st = AQ_E_AGAIN;
  while (in.len && st == AQ_E_AGAIN) {
    size_t len = HOST_NEG_MAX - s->neg.len < in.len ? HOST_NEG_MAX - s->neg.len : in.len;
    aq_buf_put(&s->neg, in.ptr, len);
    in = aq_bytes_sub(in, len, in.len - len);
    st = negotiate(s);
  }
  if (st != AQ_OK) return;
  aq_buf rest = s->neg; /* the first bytes of the protocol itself */
  s->neg = AQ_BUF(HOST_NEG_MAX);
  if (s->kind == STREAM_IN)
    settled_in(s);
  else
    settled_out(s);
  if (rest.len && (s = stream_at(hc, id))) on_payload(s, aq_buf_bytes(&rest));
  if (in.len && (s = stream_at(hc, id))) on_payload(s, in);
  aq_buf_free(&rest);
}

/* ---- events ---- */

static void on_opened(hconn *hc, uint32_t id) {
  hstream *s = stream_new(hc, STREAM_IN, id);
  aq_yamux_own(aq_conn_mux(hc->c), id, s);
  if (!aq_bucket_take(&hc->peer->opens, &open_size, aq_mono_ns(hc->h->env), 1)) {
    too_many(s);
    return;
  }
  host_stream_timer(s, HOST_NEGOTIATE_LIMIT_NS);
  if (negotiate(s) != AQ_E_AGAIN) AQ_ASSERT(false); /* nothing was read yet: only our header leaves */
}

static void on_data(hstream *s, aq_bytes in) {
  hconn *hc = s->hc;
  uint32_t id = s->id;
  s->unpaid += in.len;
  if (s->settled)
    on_payload(s, in);
  else
    on_negotiation(s, in);
  if ((s = stream_at(hc, id))) pay(s);
}

static void on_fin(hstream *s) {
  if (s->kind == STREAM_OP) {
    if (s->op->echoed && !s->op->request) return;
    host_op_end(s->op, AQ_E_CLOSED);
    host_stream_reset(s, AQ_YAMUX_CODE_NONE);
  } else if (s->kind == STREAM_IDENTIFY || (s->settled && s->svc == AQ_SVC_PUSH)) {
    host_identify_done(s);
  } else if (s->kind == STREAM_PING) {
    host_ping_failed(s);
    host_stream_reset(s, AQ_YAMUX_CODE_NONE);
  } else if (s->svc == AQ_SVC_PING) {
    host_stream_release(s);
  } else if (s->reply == 0) { /* a requester half-closes behind its request: that is no end */
    host_count(row_of(s), false, "error", 0);
    host_stream_reset(s, s->settled ? AQ_YAMUX_CODE_NONE : AQ_YAMUX_RST_NEGOTIATION);
  }
}

static void on_reset(hstream *s) {
  if (s->kind == STREAM_OP)
    host_op_lost(s->op);
  else if (s->kind == STREAM_PING)
    host_ping_failed(s);
  else
    host_count(row_of(s), s->reply != 0, "error", 0);
  host_stream_free(s);
}

void host_stream_event(hconn *hc, const aq_yamux_ev *ev) {
  hstream *s = ev->owner;
  switch (ev->kind) {
    case AQ_YAMUX_EV_OPENED: on_opened(hc, ev->stream); break;
    case AQ_YAMUX_EV_DATA: on_data(s, ev->data); break;
    case AQ_YAMUX_EV_FIN: on_fin(s); break;
    case AQ_YAMUX_EV_RESET: on_reset(s); break;
    case AQ_YAMUX_EV_SENT:
      if (s->kind == STREAM_OP) host_op_sent(s->op);
      break;
    case AQ_YAMUX_EV_PONG:
    case AQ_YAMUX_EV_GOAWAY: break;
  }
}

/* ---- answers ---- */

static void respond(void *ctx, aq_net_reply *reply, aq_bytes answer) {
  hstream *s = reply_stream(ctx, reply);
  if (!s) return;
  hconn *hc = s->hc;
  aq_buf out = AQ_BUF(AQ_YAMUX_OUT_MAX);
  aq_delimited_put(&out, answer);
  const aq_service *row = row_of(s);
  bool ok = answer.len <= row->msg_max && aq_yamux_give(aq_conn_mux(hc->c), s->id, &out) == AQ_OK;
  aq_buf_free(&out);
  host_count(row, true, ok ? "ok" : "error", ok ? answer.len : 0);
  host_stream_release(s);
  aq_conn_flush(hc->c);
}

static void refuse(void *ctx, aq_net_reply *reply) {
  hstream *s = reply_stream(ctx, reply);
  if (!s) return;
  hconn *hc = s->hc;
  host_stream_release(s);
  aq_conn_flush(hc->c);
}

void host_stream_init(aq_host *h) {
  h->net.respond = respond;
  h->net.refuse = refuse;
  h->net.fault = fault;
}
