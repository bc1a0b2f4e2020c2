#include "p2p/host_internal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "crypto/aead.h"

#define IDENTIFY_LIMIT_NS AQ_SECONDS(5)
#define PING_LIMIT_NS AQ_SECONDS(10)
#define PING_WAIT_MAX_NS AQ_SECONDS(30)

/* ---- identify ---- */

void host_identify_serve(hstream *s) {
  aq_host *h = s->hc->h;
  const aq_service_names *n = &h->names;
  const char *protocol[AQ_SERVICE_NAMES_MAX];
  aq_identify_own own = {.addr = h->cfg.listen_addrs,
                         .addr_cnt = h->cfg.listen_addr_cnt,
                         .protocol = protocol,
                         .remote = s->hc->remote,
                         .agent = h->cfg.agent};
  memcpy(own.pubkey, h->self_key, sizeof own.pubkey);
  for (uint32_t i = AQ_SVC_FIRST; i < n->cnt; i++) {
    if (aq_services[n->row[i]].roles & AQ_ROLE_RUN) protocol[own.protocol_cnt++] = n->name[i];
  }
  for (uint32_t i = 0; i < AQ_SVC_FIRST; i++) protocol[own.protocol_cnt++] = n->name[i];
  aq_buf msg = AQ_BUF(AQ_IDENTIFY_MSG_MAX), out = AQ_BUF(AQ_IDENTIFY_MSG_MAX + 9);
  aq_status st = aq_identify_write(&msg, &own);
  if (st == AQ_OK) {
    aq_delimited_put(&out, aq_buf_bytes(&msg));
    st = aq_yamux_give(aq_conn_mux(s->hc->c), s->id, &out);
  }
  aq_buf_free(&msg), aq_buf_free(&out);
  if (st == AQ_OK)
    host_stream_release(s);
  else
    host_stream_reset(s, AQ_YAMUX_RST_LIMIT);
}

static hstream *open_offer(hconn *hc, hstream_kind kind, int svc, aq_bytes payload) {
  aq_status st;
  hstream *s = host_stream_open(hc, kind, &st);
  if (!s) return NULL;
  aq_buf out = AQ_BUF(HOST_NEG_MAX);
  aq_ms_propose(&s->propose, &hc->h->names.name[svc], 1, &out);
  aq_buf_put_bytes(&out, payload);
  st = aq_yamux_give(aq_conn_mux(hc->c), s->id, &out);
  aq_buf_free(&out);
  if (st == AQ_OK) return s;
  host_stream_reset(s, AQ_YAMUX_CODE_NONE);
  return NULL;
}

void host_identify_ask(hconn *hc) {
  hstream *s = open_offer(hc, STREAM_IDENTIFY, AQ_SVC_IDENTIFY, aq_bytes_of(NULL, 0));
  if (s) host_stream_timer(s, IDENTIFY_LIMIT_NS);
}

void host_identify_part(hstream *s, aq_bytes msg) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  const uint8_t *key = h->cfg.peers[hc->peer->idx].pubkey;
  if (++s->parts > AQ_IDENTIFY_MSGS_MAX ||
      aq_identify_read(&s->info, msg, key, hc->remote, h->names.name, h->names.cnt) != AQ_OK) {
    host_stream_reset(s, AQ_YAMUX_CODE_NONE); /* never a reason to disconnect (wire.md 5.1) */
  }
}

void host_identify_done(hstream *s) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  if (s->parts == 0) {
    host_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  p->info = s->info;
  p->info.heard = true;
  host_stream_release(s);
  aq_book_drop_source(&p->book, AQ_ADDR_ANNOUNCED);
  for (uint32_t i = 0; i < p->info.addr_cnt; i++) {
    const aq_identify_addr *a = &p->info.addr[i];
    aq_status st = aq_book_add(&p->book, a->host, a->port, AQ_ADDR_ANNOUNCED, aq_mono_ns(h->env));
    if (st != AQ_OK) break; /* full of better ones */
  }
  AQ_LOG(AQ_LOG_DEBUG, "p2p_identify", AQ_UINT("addrs", p->info.addr_cnt), AQ_STR("agent", p->info.agent),
         AQ_STR("peer", host_peer_label(h, p)));
}

/* ---- ping, answering ---- */

void host_ping_serve(hstream *s, aq_bytes in) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  aq_yamux *y = aq_conn_mux(hc->c);
  if (aq_mono_ns(h->env) - s->start_ns > PING_WAIT_MAX_NS || aq_yamux_unsent(y, s->id) > HOST_NEG_MAX ||
      in.len > HOST_NEG_MAX - s->neg.len) {
    host_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  aq_buf_put_bytes(&s->neg, in);
  size_t len = s->neg.len - s->neg.len % HOST_PING_LEN;
  if (len == 0 || !host_may_ask(s, len / HOST_PING_LEN)) return;
  aq_status st = aq_yamux_write(y, s->id, aq_bytes_of(s->neg.ptr, len));
  aq_buf_drop_front(&s->neg, len);
  if (st != AQ_OK)
    host_stream_reset(s, AQ_YAMUX_RST_LIMIT);
  else
    host_stream_timer(s, PING_LIMIT_NS);
}

/* ---- ping, asking: a stream each 10 s, closed behind its 32 bytes ---- */

static void on_ping(void *arg);

static void ping_again(aq_host *h, hpeer *p, uint64_t wait_ns) {
  aq_timer_after(h->env, &p->ping, wait_ns, on_ping, p);
}

void host_ping_failed(hstream *s) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  const char *label = host_peer_label(h, p);
  aq_metric_add(AQ_M_P2P_PING_ERROR_TOTAL, 1, AQ_LABELS(label));
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 0, AQ_LABELS(label));
  host_count_ping(false, "error", 0);
  if (p->ping_fails < 5) p->ping_fails++;
  uint64_t wait = HOST_PING_EVERY_NS << p->ping_fails;
  if (p->conn_cnt) ping_again(h, p, wait < PING_WAIT_MAX_NS ? wait : PING_WAIT_MAX_NS);
}

void host_ping_answer(hstream *s, aq_bytes in) {
  hconn *hc = s->hc;
  aq_host *h = hc->h;
  hpeer *p = hc->peer;
  aq_buf_put_bytes(&s->neg, in);
  if (s->neg.len < HOST_PING_LEN && !s->neg.failed) return;
  if (s->neg.failed || memcmp(s->neg.ptr, s->ping, HOST_PING_LEN) != 0) {
    host_ping_failed(s);
    host_stream_reset(s, AQ_YAMUX_CODE_NONE);
    return;
  }
  const char *label = host_peer_label(h, p);
  double seconds = (double)(aq_mono_ns(h->env) - s->start_ns) / 1e9;
  aq_metric_observe(AQ_M_P2P_PING_LATENCY_SECS, seconds, AQ_LABELS(label));
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 1, AQ_LABELS(label));
  host_count_ping(false, "ok", HOST_PING_LEN);
  p->ping_fails = 0;
  host_stream_release(s);
  ping_again(h, p, HOST_PING_EVERY_NS);
}

static void on_ping(void *arg) {
  hpeer *p = arg;
  hconn *hc = host_best_conn(p);
  if (!hc) return;
  aq_host *h = hc->h;
  uint8_t payload[HOST_PING_LEN];
  aq_random(h->env, payload, sizeof payload);
  hstream *s = open_offer(hc, STREAM_PING, AQ_SVC_PING, aq_bytes_of(payload, sizeof payload));
  if (!s) {
    ping_again(h, p, HOST_PING_EVERY_NS);
    return;
  }
  memcpy(s->ping, payload, sizeof payload);
  aq_yamux_close(aq_conn_mux(hc->c), s->id);
  host_stream_timer(s, PING_LIMIT_NS);
  host_count_ping(true, "ok", HOST_PING_LEN);
  aq_conn_flush(hc->c);
}

void host_ping_start(hpeer *p) { on_ping(p); }

void host_ping_stop(aq_host *h, hpeer *p) {
  aq_timer_cancel(h->env, &p->ping);
  p->ping_fails = 0;
  aq_metric_set(AQ_M_P2P_PING_SUCCESS, 0, AQ_LABELS(host_peer_label(h, p)));
}
