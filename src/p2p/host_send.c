/* Own messages: they wait for a connection, have one limit for all their tries, and a second try. */
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
  op->st = st;
  aq_list_remove(&op->node);
  if (op->counted) {
    op->peer->op_cnt--;
    op->peer->op_bytes -= op->len;
  }
  aq_buf_free(&op->wire);
  aq_switch_count(&aq_services[op->proto], true, st == AQ_OK ? "ok" : "error", st == AQ_OK ? op->len : 0);
  double seconds = (double)(aq_mono_ns(h->env) - op->start_ns) / 1e9;
  aq_metric_observe(AQ_M_P2P_SEND_DURATION_SECONDS, seconds,
                    AQ_LABELS(host_peer_label(h, op->peer), aq_services[op->proto].name[0]));
}

static void op_end(hop *op, aq_status st) {
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

static void op_start(hop *op);

static void on_sent(void *arg) {
  hop *op = arg;
  op->stream = NULL;
  op_end(op, AQ_OK);
}

static void on_answer(void *arg, aq_bytes msg) {
  hop *op = arg;
  op->stream = NULL;
  op_finish(op, AQ_OK);
  op->answer(op->arg, AQ_OK, msg);
  free(op);
}

static void on_failed(void *arg, aq_status st) {
  hop *op = arg;
  op->stream = NULL;
  op_end(op, st);
}

static void on_retry(void *arg) { op_start(arg); }

static void on_lost(void *arg) {
  hop *op = arg;
  op->stream = NULL;
  if (op->retried || op->wire.len == 0 || op->h->stopped) {
    op_end(op, AQ_E_CLOSED);
    return;
  }
  op->retried = true; /* wire.md 3.6 */
  const aq_env *env = op->h->env;
  aq_timer_after(env, &op->retry, HOST_RETRY_NS, on_retry, op);
}

static void op_start(hop *op) {
  hpeer *p = op->peer;
  aq_link *l = aq_remote_best(p->remote);
  aq_list_remove(&op->node);
  if (!l) {
    aq_list_push(&p->waiting, &op->node);
    host_dial_forced(op->h, p);
    return;
  }
  aq_list_push(&p->active, &op->node);
  if (aq_services[op->proto].optional && !aq_remote_speaks(p->remote, op->proto)) {
    op_end(op, AQ_E_CLOSED);
    return;
  }
  const aq_stream_events on = {.arg = op, .sent = on_sent, .answer = on_answer, .failed = on_failed, .lost = on_lost};
  aq_status st;
  op->stream = aq_stream_send(l, &st, op->proto, &op->wire, &on);
  if (op->stream)
    aq_link_flush(l);
  else
    op_end(op, st);
}

void host_ops_go(hpeer *p) {
  aq_list todo;
  aq_list_init(&todo);
  move_all(&todo, &p->waiting);
  AQ_LIST_EACH(&todo, op, hop, node) op_start(op);
}

/* All connections are closed. */
void host_ops_abort(hpeer *p, aq_status st) {
  AQ_LIST_EACH(&p->waiting, op, hop, node) op_end(op, st);
  AQ_LIST_EACH(&p->active, op, hop, node) {
    AQ_ASSERT(!op->stream);
    op_end(op, st);
  }
}

/* ---- the port ---- */

static void on_deadline(void *arg) {
  hop *op = arg;
  aq_stream *s = op->stream;
  op_end(op, AQ_E_TIMEOUT);
  if (!s) return;
  aq_link *l = aq_stream_link(s);
  aq_stream_reset(s, AQ_YAMUX_CODE_NONE);
  aq_link_flush(l);
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
    op_end(op, AQ_E_CLOSED);
    return;
  }
  const aq_service *row = &aq_services[op->proto];
  if (msg.len > row->msg_max || p->op_cnt >= HOST_OPS_MAX || p->op_bytes + msg.len > HOST_OPS_BYTES_MAX) {
    op_end(op, AQ_E_LIMIT);
    return;
  }
  op->counted = true;
  p->op_cnt++;
  p->op_bytes += op->len;
  op->wire = AQ_BUF(AQ_YAMUX_OUT_MAX);
  aq_switch_wire(h->sw, &op->wire, op->proto, msg);
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
