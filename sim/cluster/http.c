/* HTTP between the processes (fake/http.h), each request and answer some milliseconds on its way. http://b3/... is the
   beacon node of operator 3, http://c3/... its second way there, which works, http://n3/... the validator API of
   instance 3. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/cluster/world.h"

/* Of one exchange. */
typedef struct {
  uint32_t op;
  bool to_bn, second, votes, spoilt;
  sim_node *to_node;
} way;

/* ---- faults on the way ---- */

/* One digit of the first signature in what a validator client posts. */
static void spoil_signature(sim_world *w, aq_bytes body) {
  static const char name[] = "\"signature\":\"0x";
  uint8_t *at = memmem(body.ptr, body.len, name, sizeof name - 1);
  if (!at || body.len - (size_t)(at - body.ptr) < sizeof name + 192) return;
  uint8_t *digit = at + sizeof name - 1 + 176 + sim_random(w, 16);
  *digit = *digit == '0' ? '1' : '0';
}

/* In the place of the server. */
static void answer(fake_ex *ex, int code, aq_bytes json) {
  const aq_http_header h = {"Content-Type", "application/json"};
  ex->server = NULL;
  fake_respond(ex->res, code, &(aq_http_headers){&h, 1}, json);
}

/* Of the first of two. */
static bool first_fails(sim_world *w, fake_ex *ex, const sim_fault *f) {
  const way *c = ex->of;
  if (!(w->paired >> c->op & 1) || (f->p == SIM_FIRST_EMPTY && strstr(ex->res->req->path, "/events"))) return false;
  sim_count_fault(w, SIM_BN_FIRST);
  if (f->p == SIM_FIRST_SILENT) return true;
  bool ill = f->p == SIM_FIRST_ILL;
  answer(ex, ill ? 503 : 200, aq_bytes_str(ill ? "{\"code\":503}" : "{\"data\":{}}"));
  return true;
}

/* Answers in the place of the server; true: handled. */
static bool faulty(sim_world *w, fake_ex *ex) {
  way *c = ex->of;
  const sim_fault *f;
  if (c->second) return false;
  if (c->to_bn) {
    if ((f = sim_fault_of(w, SIM_BN_FIRST, c->op)) && first_fails(w, ex, f)) return true;
    if (sim_fault_of(w, SIM_BN_SILENT, c->op)) {
      sim_count_fault(w, SIM_BN_SILENT);
      return true; /* the client's own limit ends it */
    }
    if ((f = sim_fault_of(w, SIM_BN_ERROR, c->op)) && sim_chance(w, (uint32_t)f->p)) {
      sim_count_fault(w, SIM_BN_ERROR);
      ex->server = NULL;
      fake_respond(ex->res, sim_chance(w, 500) ? 500 : 404, NULL, aq_bytes_str("{\"code\":500}"));
      return true;
    }
    if ((f = sim_fault_of(w, SIM_BN_GARBAGE, c->op)) && sim_chance(w, (uint32_t)f->p)) {
      sim_count_fault(w, SIM_BN_GARBAGE);
      c->spoilt = true;
    }
    aq_buf out = AQ_BUF(SIM_SCRATCH);
    if (sim_fault_of(w, SIM_BN_LIE, c->op) && sim_chain_answer(w, c->op, ex->res->req, &out)) {
      sim_count_fault(w, SIM_BN_LIE);
      answer(ex, 200, aq_buf_bytes(&out));
      aq_buf_free(&out);
      return true;
    }
  } else if ((f = sim_fault_of(w, SIM_VC_GARBAGE, c->op)) && ex->body.len && sim_chance(w, (uint32_t)f->p)) {
    sim_count_fault(w, SIM_VC_GARBAGE);
    spoil_signature(w, ex->body);
  } else if ((f = sim_fault_of(w, SIM_VC_OTHER, c->op)) && ex->body.len && sim_chance(w, (uint32_t)f->p)) {
    if (sim_sign_other(w, c->op, ex->res->req)) sim_count_fault(w, SIM_VC_OTHER);
  }
  return false;
}

/* ---- the way there and back ---- */

static const sim_proc *client_of(const fake_ex *ex) { return ex->from->who; }

static void read_url(sim_world *w, fake_ex *ex) {
  const char *host = strstr(ex->url, "://");
  AQ_ASSERT(host && host[3] && strchr("bcn", host[3]));
  way *c = ex->of = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  uint64_t number = strtoull(host + 4, NULL, 10);
  c->to_bn = host[3] != 'n', c->second = host[3] == 'c';
  c->to_node = c->to_bn ? NULL : w->node[number];
  c->op = c->to_bn ? (uint32_t)number : c->to_node->op;
  c->votes = !c->to_bn && strcmp(ex->method, "POST") == 0 && strstr(ex->res->req->raw_path, "/attestations");
}

static uint64_t request_ns(sim_world *w, fake_ex *ex) {
  read_url(w, ex);
  const way *c = ex->of;
  uint64_t us = sim_between(w, 100, 1500);
  const sim_fault *slow = c->second ? NULL : sim_fault_of(w, c->to_bn ? SIM_BN_SLOW : SIM_VC_SLOW, c->op);
  if (slow) us += sim_random(w, slow->p * 1000 + 1), sim_count_fault(w, slow->kind);
  sim_proc *client = ex->from->who;
  if (!sim_effect(client)) return AQ_NEVER; /* dropped with its process */
  if (c->to_bn && client->id < w->node_cnt) {
    sim_check_submitted(w->node[client->id], ex->asked);
    sim_check_asked(w->node[client->id], ex->asked);
  }
  return us * AQ_NS_PER_US;
}

static uint64_t way_ns(void *arg, fake_ex *ex) {
  sim_world *w = arg;
  if (ex->asked) return request_ns(w, ex);
  fake_res *r = ex->res;
  if (((way *)ex->of)->spoilt && !r->streamed && r->body.len > 0) {
    for (int i = 0; i < 3; i++) r->body.ptr[sim_random(w, r->body.len)] ^= (uint8_t)sim_between(w, 1, 255);
  }
  return sim_between(w, 100, 1500) * AQ_NS_PER_US;
}

static const aq_http_handler *server_of(sim_world *w, const way *c) {
  if (c->to_bn) return aq_beacon_handler(w->bn[c->op]);
  sim_node *n = c->to_node;
  return n->up && !n->leaving ? aq_vapi_handler(n->core.vapi) : NULL;
}

static void arrive(void *arg, fake_ex *ex) {
  sim_world *w = arg;
  const way *c = ex->of;
  const aq_http_req *req = ex->res->req;
  const aq_http_handler *server = ex->server = server_of(w, c);
  if (!server) {
    fake_http_refuse(ex);
    return;
  }
  w->out->requests++;
  sim_trace(w, "request", client_of(ex)->id, c->op, aq_bytes_str(req->raw_path));
  sim_say(w, "          %s %s %s", req->method, req->raw_path, req->query);
  if (!faulty(w, ex)) fake_http_serve(ex, server);
}

static void ended(void *arg, fake_ex *ex, aq_status st) {
  sim_world *w = arg;
  const way *c = ex->of;
  sim_trace(w, "answer", client_of(ex)->id, (uint64_t)ex->res->code, aq_bytes_of(&st, sizeof st));
  if (st == AQ_OK && ex->res->code == 200 && c->votes) sim_acked(c->to_node);
}

void sim_http_init(sim_world *w) {
  fake_http_init(&w->web, &w->own.env, arrive, w);
  w->web.way_ns = way_ns;
  w->web.ended = ended;
  w->web.patient = true;
}
