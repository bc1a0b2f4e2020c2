#include "p2p/host_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/metrics.h"

/* ---- results ---- */

/* Takes the message out of the host's lists and counts it. */
static void op_finish(hop *op, aq_status st) {
  aq_host *h = op->h;
  aq_timer_cancel(h->env, &op->timer);
  aq_timer_cancel(h->env, &op->retry);
  if (op->stream) op->stream->op = NULL;
  op->stream = NULL;
  op->st = st;
  aq_list_remove(&op->node);
  if (op->counted) {
    op->peer->op_cnt--;
    op->peer->op_bytes -= op->len;
  }
  aq_buf_free(&op->wire);
  host_count(&aq_services[op->proto], true, st == AQ_OK ? "ok" : "error", st == AQ_OK ? op->len : 0);
  double seconds = (double)(aq_mono_ns(h->env) - op->start_ns) / 1e9;
  aq_metric_observe(AQ_M_P2P_SEND_DURATION_SECONDS, seconds,
                    AQ_LABELS(host_peer_label(h, op->peer), aq_services[op->proto].name[0]));
}

void host_op_end(hop *op, aq_status st) {
  op_finish(op, st);
  aq_list_push(&op->h->done, &op->node);
  host_turn(op->h);
}

static void move_all(aq_list *to, aq_list *from) {
  while (!aq_list_empty(from)) {
    aq_list *node = from->next;
    aq_list_remove(node);
    aq_list_push(to, node);
  }
}

/* Those that are there now; what callbacks add comes the next time. */
void host_ops_tell(aq_host *h) {
  aq_list todo;
  aq_list_init(&todo);
  move_all(&todo, &h->done);
  AQ_LIST_EACH(&todo, op, hop, node) {
    if (op->request) {
      op->answer(op->arg, op->st, aq_bytes_of(NULL, 0));
    } else if (op->done) {
      op->done(op->arg, op->st);
    }
    free(op);
  }
}

/* ---- on a stream ---- */

static bool has_aliases(const hop *op) { return aq_services[op->proto].name[1] != NULL; }

static void write_message(hstream *s, hop *op, aq_buf *head) {
  aq_yamux *y = aq_conn_mux(s->hc->c);
  aq_buf_put_bytes(head, aq_buf_bytes(&op->wire));
  aq_status st = aq_yamux_write(y, s->id, aq_buf_bytes(head));
  AQ_ASSERT(st == AQ_OK); /* over the limit of a stream only when over the protocol's, which was checked */
  aq_yamux_close(y, s->id);
  op->written = true;
}

/* A name that the peer lists leaves with the message, and so does an only one; of two they are tried first. */
static void begin(hstream *s, hop *op) {
  aq_host *h = op->h;
  uint32_t cnt, svc = aq_service_offer(&cnt, &h->names, op->proto, op->peer->info.known);
  aq_buf head = AQ_BUF(AQ_YAMUX_OUT_MAX);
  aq_ms_propose(&s->propose, &h->names.name[svc], cnt, &head);
  if (cnt == 1) {
    write_message(s, op, &head);
  } else {
    aq_status st = aq_yamux_write(aq_conn_mux(s->hc->c), s->id, aq_buf_bytes(&head));
    AQ_ASSERT(st == AQ_OK);
  }
  aq_buf_free(&head);
}

/* Of one name: the memory of the message itself. */
static void begin_whole(hstream *s, hop *op) {
  aq_yamux *y = aq_conn_mux(s->hc->c);
  aq_buf head = AQ_BUF(AQ_MS_TOKEN_MAX);
  aq_ms_propose(&s->propose, &op->h->names.name[op->h->names.first[op->proto]], 1, &head); /* its bytes lead op->wire */
  aq_buf_free(&head);
  aq_status st = aq_yamux_give(y, s->id, &op->wire);
  AQ_ASSERT(st == AQ_OK);
  aq_yamux_keep(y, s->id);
  aq_yamux_close(y, s->id);
  op->written = true;
}

/* As far as it has told. */
static bool speaks(const aq_host *h, const hpeer *p, aq_net_proto proto) {
  uint32_t cnt, svc = aq_service_offer(&cnt, &h->names, proto, p->info.known);
  return !p->info.heard || (p->info.known & (1u << svc));
}

static void op_start(hop *op) {
  hpeer *p = op->peer;
  hconn *hc = host_best_conn(p);
  aq_list_remove(&op->node);
  if (!hc) {
    aq_list_push(&p->waiting, &op->node);
    host_dial_forced(op->h, p);
    return;
  }
  aq_status st;
  aq_list_push(&p->active, &op->node);
  if (aq_services[op->proto].optional && !speaks(op->h, p, op->proto)) {
    host_op_end(op, AQ_E_CLOSED);
    return;
  }
  hstream *s = host_stream_open(hc, STREAM_OP, &st);
  if (!s) {
    host_op_end(op, st);
    return;
  }
  s->op = op;
  op->stream = s;
  op->written = op->echoed = op->sent = false;
  if (has_aliases(op))
    begin(s, op);
  else
    begin_whole(s, op);
  aq_conn_flush(hc->c);
}

static void end_if_delivered(hop *op) {
  if (op->request || !op->echoed || !op->sent) return;
  hstream *s = op->stream;
  host_op_end(op, AQ_OK);
  host_stream_release(s);
}

void host_op_settled(hop *op) {
  hstream *s = op->stream;
  op->echoed = true;
  if (!op->written) {
    aq_buf empty = AQ_BUF(AQ_YAMUX_OUT_MAX);
    write_message(s, op, &empty);
    aq_buf_free(&empty);
  }
  end_if_delivered(op);
}

void host_op_sent(hop *op) {
  op->sent = op->written;
  end_if_delivered(op);
}

void host_op_answer(hop *op, aq_bytes msg) {
  hstream *s = op->stream;
  host_count(&aq_services[op->proto], false, "ok", msg.len);
  op_finish(op, AQ_OK);
  host_stream_release(s);
  op->answer(op->arg, AQ_OK, msg);
  free(op);
}

static void on_retry(void *arg) { op_start(arg); }

void host_op_lost(hop *op) {
  hstream *s = op->stream;
  bool whole = op->wire.len > 0 || aq_yamux_reclaim(aq_conn_mux(s->hc->c), s->id, &op->wire);
  s->op = NULL;
  op->stream = NULL;
  if (op->retried || !whole || op->h->stopped) {
    host_op_end(op, AQ_E_CLOSED);
    return;
  }
  op->retried = true; /* wire.md 3.6 */
  const aq_env *env = op->h->env;
  aq_timer_after(env, &op->retry, HOST_RETRY_NS, on_retry, op);
}

void host_ops_go(hpeer *p) {
  aq_list todo;
  aq_list_init(&todo);
  move_all(&todo, &p->waiting);
  AQ_LIST_EACH(&todo, op, hop, node) op_start(op);
}

void host_ops_abort(aq_host *h, hpeer *p, aq_status st) {
  (void)h;
  AQ_LIST_EACH(&p->waiting, op, hop, node) host_op_end(op, st);
  AQ_LIST_EACH(&p->active, op, hop, node) {
    hstream *s = op->stream;
    host_op_end(op, st);
    if (s) host_stream_free(s);
  }
}

/* ---- the port ---- */

static void on_deadline(void *arg) {
  hop *op = arg;
  hstream *s = op->stream;
  host_op_end(op, AQ_E_TIMEOUT);
  if (!s) return;
  hconn *hc = s->hc;
  host_stream_reset(s, AQ_YAMUX_CODE_NONE);
  aq_conn_flush(hc->c);
}

static hop *op_new(aq_host *h, uint32_t peer, aq_net_proto proto, size_t len, void *arg) {
  AQ_ASSERT(peer < h->cfg.peer_cnt && proto < AQ_PROTO_CNT);
  hop *op = calloc(1, sizeof *op);
  AQ_ASSERT(op);
  op->h = h;
  op->peer = &h->peer[peer];
  op->proto = proto;
  op->len = len;
  op->arg = arg;
  op->start_ns = aq_mono_ns(h->env);
  aq_list_init(&op->node);
  return op;
}

static void op_go(hop *op, aq_bytes msg) {
  aq_host *h = op->h;
  hpeer *p = op->peer;
  if (h->stopped || p->idx == h->cfg.self) {
    host_op_end(op, AQ_E_CLOSED);
    return;
  }
  const aq_service *row = &aq_services[op->proto];
  if (msg.len > row->msg_max || p->op_cnt >= HOST_OPS_MAX || p->op_bytes + msg.len > HOST_OPS_BYTES_MAX) {
    host_op_end(op, AQ_E_LIMIT);
    return;
  }
  op->counted = true;
  p->op_cnt++;
  p->op_bytes += op->len;
  op->wire = AQ_BUF(AQ_YAMUX_OUT_MAX);
  if (!has_aliases(op)) {
    aq_ms_put(&op->wire, AQ_MS_HEADER);
    aq_ms_put(&op->wire, row->name[0]);
  }
  aq_delimited_put(&op->wire, msg);
  AQ_ASSERT(!op->wire.failed);
  aq_timer_after(h->env, &op->timer, row->send_limit_ns, on_deadline, op);
  op_start(op);
}

static void net_send(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_done done, void *arg) {
  AQ_ASSERT(aq_services[proto].pattern == AQ_PATTERN_ONE_WAY);
  hop *op = op_new(ctx, peer, proto, msg.len, arg);
  op->done = done;
  op_go(op, msg);
}

static void net_request(void *ctx, uint32_t peer, aq_net_proto proto, aq_bytes msg, aq_net_answer fn, void *arg) {
  AQ_ASSERT(aq_services[proto].pattern == AQ_PATTERN_REQUEST && fn);
  hop *op = op_new(ctx, peer, proto, msg.len, arg);
  op->request = true;
  op->answer = fn;
  op_go(op, msg);
}

void host_send_init(aq_host *h) {
  h->net.send = net_send;
  h->net.request = net_request;
}
