/* HTTP between the processes: a client port whose requests reach a handler some milliseconds later, and the server side
   of that handler. http://b3/... is the beacon node of operator 3, http://c3/... its second way there, which works,
   http://n3/... the validator API of instance 3. */
#include <stdio.h>
#include <stdlib.h>

#include "fake/server.h"
#include "sim/cluster/world.h"

enum { HEADERS_MAX = 24 }; /* of an answer */

/* One exchange. It outlives the side that leaves first. */
typedef struct {
  aq_list link;
  sim_world *w;
  uint64_t id;
  sim_httpc *from;
  uint32_t op;
  bool to_bn, second;
  sim_node *to_node;
  const aq_http_handler *server; /* once the request arrived */
  aq_httpc_cb cb;
  struct fake_req_mem *mem; /* the request */
  aq_http_header res_header[HEADERS_MAX];
  aq_buf res_text, res_body; /* res_text: names and values, each with its 0 */
  size_t told, res_header_cnt;
  int code;
  bool ended, streamed, head_told, cut, client_gone, in_handler, spoilt;
  void (*gone)(void *arg);
  void *watch_arg;
  aq_timer step, limit;
} sim_conn;

static sim_conn *conn_of(aq_http_res *res) { return (sim_conn *)(void *)res; }

static void conn_free(sim_conn *c) {
  aq_timer_cancel(&c->w->own.env.env, &c->step);
  aq_timer_cancel(&c->w->own.env.env, &c->limit);
  aq_list_remove(&c->link);
  free(c->mem);
  aq_buf_free(&c->res_text);
  aq_buf_free(&c->res_body);
  free(c);
}

/* The client is done with it; the handler learns it when it has not answered yet. */
static void leave(sim_conn *c) {
  c->client_gone = true;
  aq_timer_cancel(&c->w->own.env.env, &c->step);
  aq_timer_cancel(&c->w->own.env.env, &c->limit);
  if (c->in_handler) return;
  if (c->server && !c->ended && c->gone) c->gone(c->watch_arg);
  conn_free(c);
}

static void finish(sim_conn *c, aq_status st) {
  aq_httpc_cb cb = c->cb;
  aq_http_header h[HEADERS_MAX];
  aq_httpc_res res = {0};
  c->client_gone = true;
  aq_timer_cancel(&c->w->own.env.env, &c->step);
  aq_timer_cancel(&c->w->own.env.env, &c->limit);
  sim_trace(c->w, "answer", c->from->proc->id, (uint64_t)c->code, aq_bytes_of(&st, sizeof st));
  if (st == AQ_OK) {
    memcpy(h, c->res_header, sizeof h);
    res.code = c->code;
    res.headers = (aq_http_headers){h, c->res_header_cnt};
    if (!cb.data) res.body = aq_buf_bytes(&c->res_body);
  }
  /* Not in the list during the callback: whoever cuts connections there does not meet it. */
  aq_list_remove(&c->link);
  if (c->server && !c->ended && c->gone) c->gone(c->watch_arg);
  c->ended = true;
  bool votes = !c->to_bn && strcmp(c->mem->req.method, "POST") == 0 && strstr(c->mem->req.raw_path, "/attestations");
  if (st == AQ_OK && c->code == 200 && votes) sim_acked(c->to_node);
  cb.done(cb.arg, st, &res);
  conn_free(c);
}

static void conn_step(void *arg);

static void later(sim_conn *c, uint64_t us) {
  if (c->client_gone || c->step.pos) return;
  aq_timer_set(&c->w->own.env.env, &c->step, aq_now_ns(&c->w->own.env.env) + us * AQ_NS_PER_US, conn_step, c);
}

/* ---- the server's side ---- */

static void keep_headers(sim_conn *c, int code, const aq_http_headers *h) {
  AQ_ASSERT(c->code == 0 && !c->ended);
  c->code = code;
  size_t cnt = h ? h->cnt : 0, at[HEADERS_MAX][2];
  AQ_ASSERT(cnt <= HEADERS_MAX);
  for (size_t i = 0; i < cnt; i++) {
    at[i][0] = c->res_text.len;
    aq_buf_put(&c->res_text, h->item[i].name, strlen(h->item[i].name) + 1);
    at[i][1] = c->res_text.len;
    aq_buf_put(&c->res_text, h->item[i].value, strlen(h->item[i].value) + 1);
  }
  for (size_t i = 0; i < cnt; i++) {
    c->res_header[i] = (aq_http_header){(char *)c->res_text.ptr + at[i][0], (char *)c->res_text.ptr + at[i][1]};
  }
  c->res_header_cnt = cnt;
}

static void spoil(sim_conn *c) {
  if (!c->spoilt || c->res_body.len == 0) return;
  for (int i = 0; i < 3; i++) c->res_body.ptr[sim_random(c->w, c->res_body.len)] ^= (uint8_t)sim_between(c->w, 1, 255);
}

static uint64_t way_us(const sim_conn *c) { return sim_between(c->w, 100, 1500); }

static void respond(aq_http_res *res, int code, const aq_http_headers *h, aq_bytes body) {
  sim_conn *c = conn_of(res);
  keep_headers(c, code, h);
  aq_buf_put_bytes(&c->res_body, body);
  spoil(c);
  c->ended = true;
  if (!c->client_gone)
    later(c, way_us(c));
  else if (!c->in_handler)
    conn_free(c);
}

static void begin(aq_http_res *res, int code, const aq_http_headers *h) {
  sim_conn *c = conn_of(res);
  keep_headers(c, code, h);
  c->streamed = true;
  later(c, way_us(c));
}

static bool write_chunk(aq_http_res *res, aq_bytes chunk) {
  sim_conn *c = conn_of(res);
  AQ_ASSERT(c->streamed && !c->ended);
  aq_buf_put_bytes(&c->res_body, chunk);
  later(c, way_us(c));
  return true;
}

static void end(aq_http_res *res) {
  sim_conn *c = conn_of(res);
  AQ_ASSERT(c->streamed && !c->ended);
  c->ended = true;
  if (!c->client_gone)
    later(c, way_us(c));
  else if (!c->in_handler)
    conn_free(c);
}

static void cut(aq_http_res *res) {
  conn_of(res)->cut = true;
  end(res);
}

static void watch(aq_http_res *res, void (*gone)(void *arg), void (*drained)(void *arg), void *arg) {
  sim_conn *c = conn_of(res);
  (void)drained;
  c->gone = gone;
  c->watch_arg = arg;
}

static const aq_http_server_vt server_vt = {respond, begin, write_chunk, end, cut, watch};

/* ---- faults on the way ---- */

/* One digit of the first signature in what a validator client posts. */
static void spoil_signature(sim_world *w, aq_bytes body) {
  static const char name[] = "\"signature\":\"0x";
  uint8_t *at = memmem(body.ptr, body.len, name, sizeof name - 1);
  if (!at || body.len - (size_t)(at - body.ptr) < sizeof name + 192) return;
  uint8_t *digit = at + sizeof name - 1 + 176 + sim_random(w, 16);
  *digit = *digit == '0' ? '1' : '0';
}

/* Of the first of two. */
static bool first_fails(sim_conn *c, const sim_fault *f) {
  const aq_http_header h = {"Content-Type", "application/json"};
  if (!(c->w->paired >> c->op & 1) || (f->p == SIM_FIRST_EMPTY && strstr(c->mem->req.path, "/events"))) return false;
  sim_count_fault(c->w, SIM_BN_FIRST);
  if (f->p == SIM_FIRST_SILENT) return true;
  bool ill = f->p == SIM_FIRST_ILL;
  c->server = NULL;
  respond((aq_http_res *)(void *)c, ill ? 503 : 200, &(aq_http_headers){&h, 1},
          aq_bytes_str(ill ? "{\"code\":503}" : "{\"data\":{}}"));
  return true;
}

/* Answers in the place of the server; true: handled. */
static bool faulty(sim_conn *c) {
  sim_world *w = c->w;
  const sim_fault *f;
  if (c->second) return false;
  if (c->to_bn) {
    if ((f = sim_fault_of(w, SIM_BN_FIRST, c->op)) && first_fails(c, f)) return true;
    if (sim_fault_of(w, SIM_BN_SILENT, c->op)) {
      sim_count_fault(w, SIM_BN_SILENT);
      return true; /* the client's own limit ends it */
    }
    if ((f = sim_fault_of(w, SIM_BN_ERROR, c->op)) && sim_chance(w, (uint32_t)f->p)) {
      sim_count_fault(w, SIM_BN_ERROR);
      c->server = NULL;
      respond((aq_http_res *)(void *)c, sim_chance(w, 500) ? 500 : 404, NULL, aq_bytes_str("{\"code\":500}"));
      return true;
    }
    if ((f = sim_fault_of(w, SIM_BN_GARBAGE, c->op)) && sim_chance(w, (uint32_t)f->p)) {
      sim_count_fault(w, SIM_BN_GARBAGE);
      c->spoilt = true;
    }
    aq_buf out = AQ_BUF(4096);
    if (sim_fault_of(w, SIM_BN_LIE, c->op) && sim_chain_answer(w, c->op, &c->mem->req, &out)) {
      sim_count_fault(w, SIM_BN_LIE);
      const aq_http_header h = {"Content-Type", "application/json"};
      c->server = NULL;
      respond((aq_http_res *)(void *)c, 200, &(aq_http_headers){&h, 1}, aq_buf_bytes(&out));
      aq_buf_free(&out);
      return true;
    }
  } else if ((f = sim_fault_of(w, SIM_VC_GARBAGE, c->op)) && c->mem->req.body.len && sim_chance(w, (uint32_t)f->p)) {
    sim_count_fault(w, SIM_VC_GARBAGE);
    spoil_signature(w, c->mem->req.body);
  } else if ((f = sim_fault_of(w, SIM_VC_OTHER, c->op)) && c->mem->req.body.len && sim_chance(w, (uint32_t)f->p)) {
    if (sim_sign_other(w, c->op, &c->mem->req)) sim_count_fault(w, SIM_VC_OTHER);
  }
  return false;
}

/* ---- the way there and back ---- */

static const aq_http_handler *server_of(const sim_conn *c) {
  if (c->to_bn) return aq_beacon_handler(c->w->bn[c->op]);
  sim_node *n = c->to_node;
  return n->up && !n->leaving ? aq_vapi_handler(n->core.vapi) : NULL;
}

static void arrive(sim_conn *c) {
  const aq_http_handler *h = server_of(c);
  if (!h) {
    finish(c, AQ_E_CLOSED);
    return;
  }
  c->w->out->requests++;
  const aq_http_req *req = &c->mem->req;
  sim_trace(c->w, "request", c->from->proc->id, c->op, aq_bytes_str(req->raw_path));
  sim_say(c->w, "          %s %s %s", req->method, req->raw_path, req->query);
  c->server = h;
  if (faulty(c)) return;
  c->in_handler = true;
  h->handle(h->arg, req, (aq_http_res *)(void *)c, &server_vt);
  c->in_handler = false;
  if (!c->client_gone) return;
  if (!c->ended && c->gone) c->gone(c->watch_arg);
  conn_free(c);
}

static bool alive(const sim_world *w, uint64_t id) {
  AQ_LIST_EACH((aq_list *)(uintptr_t)&w->conns, c, sim_conn, link) {
    if (c->id == id) return true;
  }
  return false;
}

/* What came of a stream since; false: the client left meanwhile. */
static bool hand_on(sim_conn *c) {
  uint64_t id = c->id;
  sim_world *w = c->w;
  if (!c->head_told && c->code) {
    c->head_told = true;
    const aq_http_headers h = {c->res_header, c->res_header_cnt};
    if (c->cb.head) c->cb.head(c->cb.arg, c->code, &h);
  }
  if (!alive(w, id)) return false;
  size_t from = c->told;
  c->told = c->res_body.len;
  if (c->told > from) c->cb.data(c->cb.arg, aq_bytes_of(c->res_body.ptr + from, c->told - from));
  return alive(w, id);
}

static void conn_step(void *arg) {
  sim_conn *c = arg;
  if (!c->server && c->code == 0) {
    arrive(c);
    return;
  }
  if (c->cb.data && !hand_on(c)) return;
  if (c->ended && c->code) finish(c, c->cut ? AQ_E_CLOSED : AQ_OK);
}

static void conn_limit(void *arg) {
  sim_conn *c = arg;
  finish(c, AQ_E_TIMEOUT);
}

/* ---- the client's port ---- */

static struct fake_req_mem *copy_request(const aq_httpc_req *req, const char *target) {
  fake_req q = {.method = req->method, .target = target, .header_cnt = req->headers.cnt, .body = req->body};
  AQ_ASSERT(req->headers.cnt <= FAKE_HEADERS_MAX);
  for (size_t i = 0; i < req->headers.cnt; i++) q.header[i] = req->headers.item[i];
  size_t path_len = strcspn(target, "?");
  struct fake_req_mem *m = fake_req_copy_(&q, path_len, target[path_len] ? target + path_len + 1 : "");
  AQ_ASSERT(m);
  return m;
}

static uint64_t start(void *ctx, const aq_httpc_req *req, const aq_httpc_cb *cb) {
  sim_httpc *h = ctx;
  sim_world *w = h->proc->w;
  const char *host = strstr(req->url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
  AQ_ASSERT(host && host[3] && strchr("bcn", host[3]));
  sim_conn *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  uint64_t number = strtoull(host + 4, NULL, 10);
  *c = (sim_conn){.w = w, .id = ++w->time.seq, .from = h, .to_bn = host[3] != 'n', .cb = *cb};
  c->second = host[3] == 'c';
  c->to_node = c->to_bn ? NULL : w->node[number];
  c->op = c->to_bn ? (uint32_t)number : c->to_node->op;
  c->res_text = AQ_BUF(1 << 20), c->res_body = AQ_BUF(256u << 20);
  c->mem = copy_request(req, path ? path : "/");
  aq_list_push(&w->conns, &c->link);
  uint64_t us = way_us(c);
  const sim_fault *slow = c->second ? NULL : sim_fault_of(w, c->to_bn ? SIM_BN_SLOW : SIM_VC_SLOW, c->op);
  if (slow) us += sim_random(w, slow->p * 1000 + 1), sim_count_fault(w, slow->kind);
  if (!sim_effect(h->proc)) return c->id; /* dropped with its process */
  if (c->to_bn && h->proc->id < w->node_cnt) {
    sim_check_submitted(w->node[h->proc->id], req);
    sim_check_asked(w->node[h->proc->id], req);
  }
  later(c, us);
  if (req->timeout_ns)
    aq_timer_set(&w->own.env.env, &c->limit, aq_now_ns(&w->own.env.env) + req->timeout_ns, conn_limit, c);
  return c->id;
}

static void resume(void *ctx, uint64_t id) { (void)ctx, (void)id; }

static void cancel(void *ctx, uint64_t id) {
  sim_httpc *h = ctx;
  AQ_LIST_EACH(&h->proc->w->conns, c, sim_conn, link) {
    if (c->id != id || c->client_gone) continue;
    leave(c);
    return;
  }
}

void sim_httpc_init(sim_httpc *h, sim_proc *proc) {
  h->proc = proc;
  h->http = (aq_httpc){h, start, resume, cancel};
}

/* Each callback may change the list: every time from its beginning. What is freed has left it, which the analyser does
   not see. */
static sim_conn *next_of(sim_world *w, const aq_http_handler *server, const sim_proc *client) {
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
  AQ_LIST_EACH(&w->conns, c, sim_conn, link) {
    if (server && c->server == server && !c->ended) return c;
    if (client && c->from->proc == client && !c->client_gone) return c;
  }
  return NULL;
}

/* As the adapter does at its end: the handler is told, the client meets a closed connection. */
void sim_http_cut(sim_world *w, const aq_http_handler *server) {
  for (sim_conn *c; (c = next_of(w, server, NULL)) != NULL;) {
    if (c->gone) c->gone(c->watch_arg);
    c->ended = true;
    c->gone = NULL;
    if (c->client_gone)
      conn_free(c);
    else
      finish(c, AQ_E_CLOSED);
  }
}

void sim_http_drop(sim_world *w, const sim_proc *client) {
  for (sim_conn *c; (c = next_of(w, NULL, client)) != NULL;) leave(c);
}
