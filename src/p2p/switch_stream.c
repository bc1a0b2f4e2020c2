/* Streams of both directions: what they speak, what they hold, and what others ask in them. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/metrics.h"
#include "p2p/switch_internal.h"

#define SERVE_LIMIT_NS AQ_SECONDS(5) /* of identify; others have their own (p2p/services.h) */

/* Per remote. Honest ones ask for peerinfo once a minute, for priorities once an epoch, for identify once a link; they
   ping about once a second. */
static const aq_bucket_size ask_size = {.full = 64, .rate = 4, .per_ns = AQ_NS_PER_SEC};
static const aq_bucket_size ping_size = {.full = 256, .rate = 32, .per_ns = AQ_NS_PER_SEC};

static void count(const char *topic, bool tx, const char *result, size_t bytes) {
  const char *direction = tx ? "tx" : "rx";
  aq_metric_add(AQ_M_P2P_MSGS_TOTAL, 1, AQ_LABELS(topic, direction, result));
  if (bytes) aq_metric_add(AQ_M_P2P_BYTES_TOTAL, (double)bytes, AQ_LABELS(topic, direction));
}

void aq_switch_count(const aq_service *row, bool tx, const char *result, size_t bytes) {
  count(row->topic, tx, result, bytes);
}

void aq_sw_count_ping(bool tx, const char *result, size_t bytes) { count("aequa/ping/v1", tx, result, bytes); }

/* A message that the other side sends, or our answer to it, came to nothing. */
static void count_bad(const aq_stream *s, const char *result) {
  if (s->kind == AQ_STREAM_IN && s->row) aq_switch_count(s->row, s->reply != 0, result, 0);
}

/* ---- life ---- */

static aq_stream *stream_new(aq_link *l, aq_stream_kind kind, uint32_t id) {
  aq_stream *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->link = l;
  s->kind = kind;
  s->id = id;
  s->svc = -1;
  s->neg = AQ_BUF(AQ_SW_NEG_MAX);
  s->start_ns = aq_mono_ns(l->sw->env);
  aq_list_init(&s->big_node);
  aq_list_push(&l->streams, &s->node);
  return s;
}

static void big_next(aq_remote *r);
static aq_stream *stream_at(aq_link *l, uint32_t id);

void aq_sw_stream_free(aq_stream *s) {
  aq_remote *r = s->link->remote;
  if (s->counted) --*s->counted;
  aq_timer_cancel(s->link->sw->env, &s->timer);
  aq_list_remove(&s->node), aq_list_remove(&s->big_node);
  aq_buf_free(&s->neg);
  aq_delimited_free(&s->msg);
  r->rx_bytes -= s->charged;
  if (s->reply) s->link->sw->reply[s->reply - 1].stream = NULL;
  bool big = s->big;
  free(s);
  if (big) {
    r->big_cnt--;
    big_next(r);
  }
}

void aq_stream_reset(aq_stream *s, uint32_t code) {
  aq_yamux_reset(aq_conn_mux(s->link->c), s->id, code);
  aq_sw_stream_free(s);
}

void aq_stream_release(aq_stream *s) {
  aq_yamux_release(aq_conn_mux(s->link->c), s->id);
  aq_sw_stream_free(s);
}

aq_stream *aq_sw_stream_open(aq_link *l, aq_stream_kind kind, aq_status *st) {
  aq_stream *s = stream_new(l, kind, 0);
  *st = aq_yamux_open(aq_conn_mux(l->c), &s->id, s);
  if (*st == AQ_OK) return s;
  aq_sw_stream_free(s);
  return NULL;
}

static void on_timer(void *arg) {
  aq_stream *s = arg;
  aq_link *l = s->link;
  if (s->kind == AQ_STREAM_PING) aq_sw_ping_failed(s);
  count_bad(s, "error");
  aq_sw_fail(s, AQ_E_TIMEOUT, s->settled ? AQ_YAMUX_CODE_NONE : AQ_YAMUX_RST_NEGOTIATION);
  aq_link_flush(l);
}

void aq_sw_stream_timer(aq_stream *s, uint64_t wait_ns) {
  const aq_env *env = s->link->sw->env;
  aq_timer_after(env, &s->timer, wait_ns, on_timer, s);
}

/* Its links, and with them other streams, may change at each step. */
void aq_sw_drop_streams(aq_link *l) {
  while (!aq_list_empty(&l->streams)) {
    aq_stream *s = AQ_CONTAINER(l->streams.next, aq_stream, node);
    if (s->kind == AQ_STREAM_PING) aq_sw_ping_failed(s);
    aq_sw_lose(s);
  }
}

/* ---- credit and memory ---- Short messages are credited as they come. A message over the first window gets one of
   the remote's few big places, and with it a window of its whole length; until then it gets no credit, so that its
   sender waits with 256 KiB under way. */

static void big_begin(aq_stream *s) {
  aq_yamux *y = aq_conn_mux(s->link->c);
  s->big = true;
  s->link->remote->big_cnt++;
  aq_yamux_credit(y, s->id, s->unpaid);
  s->unpaid = 0;
  aq_yamux_window(y, s->id, (size_t)s->msg.len - s->msg.body.len);
}

static void big_next(aq_remote *r) {
  while (!aq_list_empty(&r->big_wait) && r->big_cnt < r->limits->big_max) {
    aq_stream *s = AQ_CONTAINER(r->big_wait.next, aq_stream, big_node);
    aq_link *l = s->link;
    aq_list_remove(&s->big_node);
    s->big_waits = false;
    if (aq_conn_is_down(l->c)) continue;
    big_begin(s);
    aq_link_flush(l);
  }
}

static void big_check(aq_stream *s) {
  aq_remote *r = s->link->remote;
  if (s->big || s->big_waits || !s->msg.have_len || s->msg.len <= AQ_YAMUX_WINDOW) return;
  if (r->big_cnt < r->limits->big_max) {
    big_begin(s);
    return;
  }
  s->big_waits = true;
  aq_list_push(&r->big_wait, &s->big_node);
}

/* False: the remote holds too much of our memory. */
static bool charge(aq_stream *s) {
  aq_remote *r = s->link->remote;
  size_t held = s->neg.len + s->msg.body.len;
  r->rx_bytes += held - s->charged;
  s->charged = held;
  return r->rx_bytes <= r->limits->rx_max;
}

static void pay(aq_stream *s) {
  if (s->big_waits || s->unpaid == 0) return;
  aq_yamux_credit(aq_conn_mux(s->link->c), s->id, s->unpaid);
  s->unpaid = 0;
}

/* ---- faults ---- */

/* Of strangers nothing is said: there is no end of them. */
static void complain(aq_remote *r, int svc, aq_status st) {
  aq_line_limit *line = st == AQ_E_LIMIT ? &r->line_limit : &r->line_bad;
  if (!r->label || !aq_line_due(line, aq_mono_ns(r->sw->env))) return;
  AQ_LOG(AQ_LOG_WARN, "p2p_stream", AQ_STR("peer", r->label),
         AQ_STR("protocol", svc >= 0 ? r->sw->names.name[svc] : NULL), AQ_STR("err", aq_status_text(st)),
         AQ_UINT("more", line->more), AQ_STR("result", "dropped"));
}

/* Ends it; failed: for its user. */
static void fault(aq_stream *s, aq_status st, aq_status failed, uint32_t code) {
  aq_remote *r = s->link->remote;
  const aq_switch_events *on = &r->sw->cfg.on;
  complain(r, s->svc, st);
  aq_sw_fail(s, failed, code);
  if (on->fault) on->fault(on->arg, r, st);
}

static void violation(aq_stream *s, aq_status failed, uint32_t code) {
  if (s->kind == AQ_STREAM_IN && s->row) aq_switch_count(s->row, false, "decode_error", 0);
  fault(s, AQ_E_FORMAT, failed, code);
}

static void too_many(aq_stream *s) {
  if (s->svc == AQ_SVC_PING) aq_sw_count_ping(false, "error", 0);
  if (s->row) aq_switch_count(s->row, false, "error", 0);
  fault(s, AQ_E_LIMIT, AQ_E_LIMIT, AQ_YAMUX_RST_LIMIT);
}

bool aq_sw_may_ask(aq_stream *s, uint64_t cnt) {
  aq_bucket *b = &s->link->remote->asks[s->svc];
  uint64_t now = aq_mono_ns(s->link->sw->env);
  if (aq_bucket_take(b, s->svc == AQ_SVC_PING ? &ping_size : &ask_size, now, cnt)) return true;
  too_many(s);
  return false;
}

/* Of a message that its handler judges: those that do not decode are what the operator's alert is about. */
static const char *result_of(aq_status st) {
  if (st == AQ_OK) return "ok";
  return st == AQ_E_FORMAT || st == AQ_E_TRUNC ? "decode_error" : "error";
}

void aq_switch_judge(aq_switch *sw, aq_status st) {
  if (sw->verdict) *sw->verdict = st;
}

/* ---- messages ---- */

static uint32_t reply_new(aq_switch *sw, aq_stream *s) {
  for (uint32_t i = 0; i < AQ_SWITCH_REPLIES_MAX; i++) {
    if (sw->reply[i].stream) continue;
    sw->reply[i].stream = s;
    sw->reply[i].gen = (sw->reply[i].gen + 1) & 0xffffff;
    return i + 1;
  }
  return 0;
}

/* Replies are numbers in a pointer's clothes: a late answer finds its place taken by another generation and is
   dropped. */
static aq_reply *reply_handle(const aq_switch *sw, uint32_t reply) {
  uintptr_t n = ((uintptr_t)sw->reply[reply - 1].gen << 9) | reply;
  return (aq_reply *)n;
}

static aq_stream *reply_stream(aq_switch *sw, aq_reply *handle) {
  uintptr_t n = (uintptr_t)handle;
  uint32_t reply = (uint32_t)(n & 0x1ff);
  if (reply == 0 || reply > AQ_SWITCH_REPLIES_MAX || sw->reply[reply - 1].gen != n >> 9) return NULL;
  return sw->reply[reply - 1].stream;
}

static const aq_service_handler *handler_of(const aq_stream *s) {
  const aq_switch *sw = s->link->sw;
  return &sw->handler[s->row - sw->cfg.rows];
}

static bool is_handled(const aq_stream *s) {
  const aq_switch *sw = s->link->sw;
  return sw->handled[s->row - sw->cfg.rows];
}

static void serve(aq_stream *s, aq_bytes msg) {
  aq_switch *sw = s->link->sw;
  aq_remote *r = s->link->remote;
  const aq_service *row = s->row;
  const aq_service_handler *f = handler_of(s);
  aq_status verdict = AQ_OK;
  s->reply = reply_new(sw, s);
  if (s->reply == 0) {
    aq_stream_release(s); /* as a refusal */
  } else {
    sw->verdict = &verdict;
    f->serve(f->arg, r, msg, reply_handle(sw, s->reply));
    sw->verdict = NULL;
  }
  aq_switch_count(row, false, result_of(verdict), msg.len);
}

static void receive(aq_stream *s, aq_bytes msg) {
  aq_switch *sw = s->link->sw;
  aq_remote *r = s->link->remote;
  const aq_service *row = s->row;
  const aq_service_handler *f = handler_of(s);
  aq_status verdict = AQ_OK;
  aq_stream_release(s);
  sw->verdict = &verdict;
  f->recv(f->arg, r, msg);
  sw->verdict = NULL;
  aq_switch_count(row, false, result_of(verdict), msg.len);
}

/* A whole message is in s->msg. The stream may be gone afterwards. */
static void on_message(aq_stream *s) {
  aq_buf body = s->msg.body;
  s->msg.body = AQ_BUF(0);
  s->link->remote->rx_bytes -= s->charged;
  s->charged = 0;
  if (s->kind == AQ_STREAM_MESSAGE)
    aq_sw_own_answer(s, aq_buf_bytes(&body));
  else if (s->kind == AQ_STREAM_IDENTIFY || s->svc == AQ_SVC_PUSH)
    aq_sw_identify_part(s, aq_buf_bytes(&body));
  else if (!is_handled(s)) /* taken away since its name was agreed on */
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
  else if (s->row->pattern == AQ_PATTERN_REQUEST)
    serve(s, aq_buf_bytes(&body));
  else
    receive(s, aq_buf_bytes(&body));
  aq_buf_free(&body);
}

static void on_messages(aq_stream *s, aq_bytes in) {
  bool many = s->kind == AQ_STREAM_IDENTIFY || s->svc == AQ_SVC_PUSH;
  while (in.len) {
    size_t used;
    aq_status st = aq_delimited_feed(&s->msg, &used, in);
    if (!charge(s)) {
      violation(s, AQ_E_LIMIT, AQ_YAMUX_RST_LIMIT);
      return;
    }
    if (st == AQ_E_AGAIN) {
      big_check(s);
      return;
    }
    if (st != AQ_OK) {
      violation(s, st == AQ_E_LIMIT ? AQ_E_LIMIT : AQ_E_CLOSED, AQ_YAMUX_RST_VIOLATION);
      return;
    }
    in = aq_bytes_sub(in, used, in.len - used);
    aq_link *l = s->link;
    uint32_t id = s->id;
    on_message(s);
    if (!many || !(s = stream_at(l, id))) return;
    aq_delimited_init(&s->msg, AQ_IDENTIFY_MSG_MAX);
  }
}

static void on_payload(aq_stream *s, aq_bytes in) {
  if (s->raw) {
    s->unpaid -= in.len; /* its user pays */
    if (s->on.data) s->on.data(s->on.arg, in);
    return;
  }
  if (s->kind == AQ_STREAM_PING) {
    aq_sw_ping_answer(s, in);
    return;
  }
  if (s->kind == AQ_STREAM_IN && s->svc == AQ_SVC_PING) {
    aq_sw_ping_serve(s, in);
    return;
  }
  if (s->kind == AQ_STREAM_IN && s->svc == AQ_SVC_IDENTIFY) return; /* nothing is to be said there */
  if (s->kind == AQ_STREAM_MESSAGE && s->row->pattern == AQ_PATTERN_ONE_WAY) return;
  if (s->reply) return; /* behind the request */
  on_messages(s, in);
}

/* ---- negotiation ---- */

static int find_service(void *arg, aq_bytes name) {
  const aq_switch *sw = arg;
  for (int i = 0; i < (int)sw->names.cnt; i++) {
    if (!aq_bytes_eq(name, aq_bytes_str(sw->names.name[i]))) continue;
    return i < AQ_SVC_FIRST || sw->handled[sw->names.row[i]] ? i : -1;
  }
  return -1;
}

static void count_stream(aq_stream *s, bool own, uint32_t svc) {
  s->counted = &s->link->remote->streams[own][svc];
  ++*s->counted;
}

/* One more than the remote may have open of that row, under all its names. */
static bool is_over(const aq_stream *s) {
  const aq_service_names *n = &s->link->sw->names;
  uint32_t cnt = 0, row = n->row[s->svc];
  if (s->row->streams_max == 0) return false;
  for (uint32_t svc = n->first[row]; svc < n->cnt && n->row[svc] == row; svc++) {
    cnt += s->link->remote->streams[false][svc];
  }
  return cnt > s->row->streams_max;
}

/* Its handler takes it over with aq_stream_use. */
static void open_raw(aq_stream *s) {
  const aq_service_handler *f = handler_of(s);
  aq_link *l = s->link;
  uint32_t id = s->id;
  aq_timer_cancel(l->sw->env, &s->timer);
  f->opened(f->arg, l->remote, s);
  if ((s = stream_at(l, id)) && !s->raw) aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
}

static void settled_in(aq_stream *s) {
  const aq_service *row = s->row;
  count_stream(s, false, (uint32_t)s->svc);
  if (row && is_over(s)) {
    too_many(s);
    return;
  }
  bool asks = row ? row->pattern == AQ_PATTERN_REQUEST : s->svc != AQ_SVC_PING;
  if (asks && !aq_sw_may_ask(s, 1)) return;
  if (row && row->pattern == AQ_PATTERN_STREAM) {
    open_raw(s);
    return;
  }
  aq_delimited_init(&s->msg, row ? row->msg_max : AQ_IDENTIFY_MSG_MAX);
  aq_sw_stream_timer(s, row ? row->serve_limit_ns : SERVE_LIMIT_NS);
  if (s->svc == AQ_SVC_IDENTIFY) aq_sw_identify_serve(s);
}

static void settled_out(aq_stream *s) {
  if (s->row) {
    const aq_switch *sw = s->link->sw;
    count_stream(s, true, sw->names.first[s->row - sw->cfg.rows]);
    aq_sw_own_settled(s);
    return;
  }
  count_stream(s, true, s->kind == AQ_STREAM_PING ? AQ_SVC_PING : AQ_SVC_IDENTIFY);
  aq_delimited_init(&s->msg, AQ_IDENTIFY_MSG_MAX);
}

static void negotiation_failed(aq_stream *s) {
  if (s->kind == AQ_STREAM_PING) aq_sw_ping_failed(s);
  aq_sw_fail(s, AQ_E_CLOSED, AQ_YAMUX_RST_NEGOTIATION);
}

static void settle(aq_stream *s) {
  const aq_switch *sw = s->link->sw;
  s->settled = true;
  if (s->svc >= AQ_SVC_FIRST) s->row = &sw->cfg.rows[sw->names.row[s->svc]];
}

/* One step over s->neg. AQ_OK: payload may follow. AQ_E_AGAIN. Else the stream is gone. */
static aq_status negotiate(aq_stream *s) {
  aq_yamux *y = aq_conn_mux(s->link->c);
  aq_buf out = AQ_BUF(AQ_SW_NEG_MAX + AQ_MS_TOKEN_MAX);
  size_t used;
  aq_status st = s->kind == AQ_STREAM_IN ? aq_ms_respond(&s->respond, &s->svc, &used, aq_buf_bytes(&s->neg), &out,
                                                         find_service, s->link->sw)
                                         : aq_ms_answer(&s->propose, &used, aq_buf_bytes(&s->neg), &out);
  aq_buf_drop_front(&s->neg, used);
  if (out.failed) st = AQ_E_LIMIT;
  if (out.len && (st == AQ_OK || st == AQ_E_AGAIN) && aq_yamux_write(y, s->id, aq_buf_bytes(&out)) != AQ_OK) {
    st = AQ_E_LIMIT;
  }
  aq_buf_free(&out);
  if (st == AQ_OK)
    settle(s);
  else if (st != AQ_E_AGAIN)
    negotiation_failed(s);
  return st;
}

/* The stream of that id unless it was ended meanwhile; ids are never used again. */
static aq_stream *stream_at(aq_link *l, uint32_t id) {
  return aq_conn_is_down(l->c) ? NULL : aq_yamux_owner(aq_conn_mux(l->c), id);
}

static void on_negotiation(aq_stream *s, aq_bytes in) {
  aq_link *l = s->link;
  uint32_t id = s->id;
  aq_status st = AQ_E_AGAIN;
  while (in.len && st == AQ_E_AGAIN) {
    size_t len = AQ_SW_NEG_MAX - s->neg.len < in.len ? AQ_SW_NEG_MAX - s->neg.len : in.len;
    aq_buf_put(&s->neg, in.ptr, len);
    in = aq_bytes_sub(in, len, in.len - len);
    st = negotiate(s);
  }
  if (st != AQ_OK) return;
  aq_buf rest = s->neg; /* the first bytes of the protocol itself */
  s->neg = AQ_BUF(AQ_SW_NEG_MAX);
  if (s->kind == AQ_STREAM_IN)
    settled_in(s);
  else
    settled_out(s);
  if (rest.len && (s = stream_at(l, id))) on_payload(s, aq_buf_bytes(&rest));
  if (in.len && (s = stream_at(l, id))) on_payload(s, in);
  aq_buf_free(&rest);
}

/* ---- events ---- */

static void on_opened(aq_link *l, uint32_t id) {
  aq_stream *s = stream_new(l, AQ_STREAM_IN, id);
  aq_remote *r = l->remote;
  aq_yamux_own(aq_conn_mux(l->c), id, s);
  if (!aq_bucket_take(&r->opens, &r->limits->opens, aq_mono_ns(l->sw->env), 1)) {
    too_many(s);
    return;
  }
  aq_sw_stream_timer(s, AQ_SW_NEGOTIATE_NS);
  if (negotiate(s) != AQ_E_AGAIN) AQ_ASSERT(false); /* nothing was read yet: only our header leaves */
}

static void on_data(aq_stream *s, aq_bytes in) {
  aq_link *l = s->link;
  uint32_t id = s->id;
  s->unpaid += in.len;
  if (s->settled)
    on_payload(s, in);
  else
    on_negotiation(s, in);
  if ((s = stream_at(l, id))) pay(s);
}

static void on_fin(aq_stream *s) {
  if (s->raw) {
    if (s->on.fin) s->on.fin(s->on.arg);
  } else if (s->kind == AQ_STREAM_MESSAGE || s->kind == AQ_STREAM_RAW) {
    if (s->settled && s->row->pattern == AQ_PATTERN_ONE_WAY) return;
    aq_sw_fail(s, AQ_E_CLOSED, AQ_YAMUX_CODE_NONE);
  } else if (s->kind == AQ_STREAM_IDENTIFY || (s->settled && s->svc == AQ_SVC_PUSH)) {
    aq_sw_identify_done(s);
  } else if (s->kind == AQ_STREAM_PING) {
    aq_sw_ping_failed(s);
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
  } else if (s->svc == AQ_SVC_PING) {
    aq_stream_release(s);
  } else if (s->reply == 0) { /* a requester half-closes behind its request: that is no end */
    count_bad(s, "error");
    aq_stream_reset(s, s->settled ? AQ_YAMUX_CODE_NONE : AQ_YAMUX_RST_NEGOTIATION);
  }
}

static void on_reset(aq_stream *s) {
  if (s->kind == AQ_STREAM_PING) aq_sw_ping_failed(s);
  if (!s->raw) count_bad(s, "error");
  aq_sw_lose(s);
}

void aq_sw_event(aq_link *l, const aq_yamux_ev *ev) {
  aq_stream *s = ev->owner;
  switch (ev->kind) {
    case AQ_YAMUX_EV_OPENED: on_opened(l, ev->stream); break;
    case AQ_YAMUX_EV_DATA: on_data(s, ev->data); break;
    case AQ_YAMUX_EV_FIN: on_fin(s); break;
    case AQ_YAMUX_EV_RESET: on_reset(s); break;
    case AQ_YAMUX_EV_SENT: aq_sw_own_sent(s); break;
    case AQ_YAMUX_EV_PONG:
    case AQ_YAMUX_EV_GOAWAY: break;
  }
}

/* ---- answers ---- */

void aq_switch_respond(aq_switch *sw, aq_reply *reply, aq_bytes answer) {
  aq_stream *s = reply_stream(sw, reply);
  if (!s) return;
  aq_link *l = s->link;
  aq_buf out = AQ_BUF(AQ_YAMUX_OUT_MAX);
  aq_delimited_put(&out, answer);
  bool ok = answer.len <= s->row->msg_max && aq_yamux_give(aq_conn_mux(l->c), s->id, &out) == AQ_OK;
  aq_buf_free(&out);
  aq_switch_count(s->row, true, ok ? "ok" : "error", ok ? answer.len : 0);
  aq_stream_release(s);
  aq_link_flush(l);
}

void aq_switch_refuse(aq_switch *sw, aq_reply *reply) {
  aq_stream *s = reply_stream(sw, reply);
  if (!s) return;
  aq_link *l = s->link;
  aq_stream_release(s);
  aq_link_flush(l);
}
