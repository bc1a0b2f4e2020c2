/* What every link speaks: identify and ping. */
#include "base/metrics.h"
#include "p2p/switch_internal.h"

#define IDENTIFY_LIMIT_NS AQ_SECONDS(5)
#define PING_EVERY_NS AQ_SECONDS(10)
#define PING_LIMIT_NS AQ_SECONDS(10)
#define PING_WAIT_MAX_NS AQ_SECONDS(30)

/* ---- identify ---- */

void aq_sw_identify_serve(aq_stream *s) {
  aq_switch *sw = s->link->sw;
  const aq_service_names *n = &sw->names;
  const char *protocol[AQ_SERVICE_NAMES_MAX];
  aq_identify_own own = {.addr = sw->cfg.listen_addrs,
                         .addr_cnt = sw->cfg.listen_addr_cnt,
                         .protocol = protocol,
                         .remote = s->link->addr,
                         .agent = sw->cfg.agent};
  memcpy(own.pubkey, sw->self_key, sizeof own.pubkey);
  for (uint32_t i = AQ_SVC_FIRST; i < n->cnt; i++) {
    if (sw->cfg.rows[n->row[i]].roles & sw->cfg.role) protocol[own.protocol_cnt++] = n->name[i];
  }
  for (uint32_t i = 0; i < AQ_SVC_FIRST; i++) protocol[own.protocol_cnt++] = n->name[i];
  aq_buf msg = AQ_BUF(AQ_IDENTIFY_MSG_MAX), out = AQ_BUF(AQ_IDENTIFY_MSG_MAX + 9);
  aq_status st = aq_identify_write(&msg, &own);
  if (st == AQ_OK) {
    aq_delimited_put(&out, aq_buf_bytes(&msg));
    st = aq_yamux_give(aq_conn_mux(s->link->c), s->id, &out);
  }
  aq_buf_free(&msg), aq_buf_free(&out);
  if (st == AQ_OK)
    aq_stream_release(s);
  else
    aq_stream_reset(s, AQ_YAMUX_RST_LIMIT);
}

static aq_stream *open_offer(aq_link *l, aq_stream_kind kind, int svc, aq_bytes payload) {
  aq_status st;
  aq_stream *s = aq_sw_stream_open(l, kind, &st);
  if (!s) return NULL;
  aq_buf out = AQ_BUF(AQ_SW_NEG_MAX);
  aq_ms_propose(&s->propose, &l->sw->names.name[svc], 1, &out);
  aq_buf_put_bytes(&out, payload);
  st = aq_yamux_give(aq_conn_mux(l->c), s->id, &out);
  aq_buf_free(&out);
  if (st == AQ_OK) return s;
  aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
  return NULL;
}

void aq_sw_identify_ask(aq_link *l) {
  aq_stream *s = open_offer(l, AQ_STREAM_IDENTIFY, AQ_SVC_IDENTIFY, aq_bytes_of(NULL, 0));
  if (s) aq_sw_stream_timer(s, IDENTIFY_LIMIT_NS);
}

void aq_sw_identify_part(aq_stream *s, aq_bytes msg) {
  const aq_link *l = s->link;
  const aq_service_names *n = &l->sw->names;
  if (++s->parts > AQ_IDENTIFY_MSGS_MAX ||
      aq_identify_read(&s->info, msg, l->remote->key, l->addr, n->name, n->cnt) != AQ_OK) {
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE); /* never a reason to disconnect (wire.md 5.1) */
  }
}

void aq_sw_identify_done(aq_stream *s) {
  aq_remote *r = s->link->remote;
  const aq_switch_events *on = &r->sw->cfg.on;
  if (s->parts == 0) {
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  r->info = s->info;
  r->info.heard = true;
  aq_stream_release(s);
  if (on->heard) on->heard(on->arg, r);
}

/* ---- ping, answering ---- */

void aq_sw_ping_serve(aq_stream *s, aq_bytes in) {
  aq_yamux *y = aq_conn_mux(s->link->c);
  if (aq_mono_ns(s->link->sw->env) - s->start_ns > PING_WAIT_MAX_NS || aq_yamux_unsent(y, s->id) > AQ_SW_NEG_MAX ||
      in.len > AQ_SW_NEG_MAX - s->neg.len) {
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  aq_buf_put_bytes(&s->neg, in);
  size_t len = s->neg.len - s->neg.len % AQ_SW_PING_LEN;
  if (len == 0 || !aq_sw_may_ask(s, len / AQ_SW_PING_LEN)) return;
  aq_status st = aq_yamux_write(y, s->id, aq_bytes_of(s->neg.ptr, len));
  aq_buf_drop_front(&s->neg, len);
  if (st != AQ_OK)
    aq_stream_reset(s, AQ_YAMUX_RST_LIMIT);
  else
    aq_sw_stream_timer(s, PING_LIMIT_NS);
}

/* ---- ping, asking: a stream each 10 s, closed behind its 32 bytes ---- */

static void on_ping(void *arg);

static void ping_again(aq_remote *r, uint64_t wait_ns) {
  const aq_env *env = r->sw->env;
  aq_timer_after(env, &r->ping, wait_ns, on_ping, r);
}

void aq_sw_ping_failed(aq_stream *s) {
  aq_remote *r = s->link->remote;
  const char *label = r->label;
  aq_metric_add(AQ_M_P2P_PING_ERROR_TOTAL, 1, AQ_LABELS(label));
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 0, AQ_LABELS(label));
  aq_sw_count_ping(false, "error", 0);
  if (r->ping_fails < 5) r->ping_fails++;
  uint64_t wait = PING_EVERY_NS << r->ping_fails;
  if (r->link_cnt) ping_again(r, wait < PING_WAIT_MAX_NS ? wait : PING_WAIT_MAX_NS);
}

void aq_sw_ping_answer(aq_stream *s, aq_bytes in) {
  aq_remote *r = s->link->remote;
  aq_buf_put_bytes(&s->neg, in);
  if (s->neg.len < AQ_SW_PING_LEN && !s->neg.failed) return;
  if (s->neg.failed || memcmp(s->neg.ptr, s->ping, AQ_SW_PING_LEN) != 0) {
    aq_sw_ping_failed(s);
    aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  const char *label = r->label;
  double seconds = (double)(aq_mono_ns(r->sw->env) - s->start_ns) / 1e9;
  aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, seconds, AQ_LABELS(label));
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 1, AQ_LABELS(label));
  aq_sw_count_ping(false, "ok", AQ_SW_PING_LEN);
  r->ping_fails = 0;
  aq_stream_release(s);
  ping_again(r, PING_EVERY_NS);
}

static void on_ping(void *arg) {
  aq_remote *r = arg;
  aq_link *l = aq_remote_best(r);
  if (!l) return;
  const aq_env *env = r->sw->env;
  uint8_t payload[AQ_SW_PING_LEN];
  aq_random(env, payload, sizeof payload);
  aq_stream *s = open_offer(l, AQ_STREAM_PING, AQ_SVC_PING, aq_bytes_of(payload, sizeof payload));
  if (!s) {
    ping_again(r, PING_EVERY_NS);
    return;
  }
  memcpy(s->ping, payload, sizeof payload);
  aq_yamux_close(aq_conn_mux(l->c), s->id);
  aq_sw_stream_timer(s, PING_LIMIT_NS);
  aq_sw_count_ping(true, "ok", AQ_SW_PING_LEN);
  aq_link_flush(l);
}

void aq_sw_ping_start(aq_remote *r) { on_ping(r); }

void aq_sw_ping_stop(aq_remote *r) {
  aq_timer_cancel(r->sw->env, &r->ping);
  r->ping_fails = 0;
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 0, AQ_LABELS(r->label));
}
