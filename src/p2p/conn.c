/* One connection as a row of stages: security by name, Noise, muxer by name, yamux. */
#include "p2p/conn.h"

#include <stdlib.h>

#include "base/assert.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "p2p/multistream.h"

enum { RX_MAX = 128 * 1024 };
#define SETUP_LIMIT_NS AQ_SECONDS(15) /* wire.md 2.1 */
#define STALL_LIMIT_NS AQ_SECONDS(30) /* nothing could be written for so long */

/* SECURITY: multistream in clear. NOISE: handshake. MUXER: multistream inside Noise. YAMUX: frames. */
typedef enum { SECURITY, NOISE, MUXER, YAMUX, DOWN } state;

struct aq_conn {
  const aq_env *env;
  const aq_k1_key *key;
  aq_conn_scratch *scratch;
  aq_conn_io io;
  bool initiator, up, busy, blocked;
  state state;
  aq_ms_initiator propose;
  aq_ms_responder respond;
  aq_noise *noise; /* guarded: the keys of this connection */
  aq_yamux *mux;
  aq_buf rx;     /* an incomplete frame or token */
  bool rx_done;  /* rx holds a message that was handed out */
  aq_buf neg_rx; /* plaintext of the negotiation inside Noise */
  aq_buf tx;     /* ciphertext that the lower layer did not take */
  size_t tx_off;
  aq_timer timer;
  uint64_t setup_until_ns, stall_until_ns, rtt_ns;
};

static const char *const noise_offer[] = {"/noise"};
static const char *const muxer_offer[] = {AQ_NOISE_MUXER};

aq_conn *aq_conn_new(const aq_env *env, const aq_k1_key *key, aq_conn_scratch *scratch, bool initiator,
                     const aq_conn_io *io) {
  aq_conn *c = calloc(1, sizeof *c);
  AQ_ASSERT(c);
  c->noise = aq_guarded_alloc(1, sizeof *c->noise);
  AQ_ASSERT(c->noise);
  memset(c->noise, 0, sizeof *c->noise);
  c->env = env;
  c->key = key;
  c->scratch = scratch;
  c->io = *io;
  c->initiator = initiator;
  c->rx = AQ_BUF(RX_MAX);
  c->neg_rx = AQ_BUF(RX_MAX);
  c->tx = AQ_BUF(RX_MAX);
  return c;
}

void aq_conn_free(aq_conn *c) {
  if (!c) return;
  AQ_ASSERT(!c->busy);
  aq_timer_cancel(c->env, &c->timer);
  aq_guarded_free(c->noise);
  aq_yamux_free(c->mux);
  aq_buf_free(&c->rx), aq_buf_free(&c->neg_rx), aq_buf_free(&c->tx);
  free(c);
}

bool aq_conn_is_up(const aq_conn *c) { return c->up && c->state == YAMUX; }
bool aq_conn_is_down(const aq_conn *c) { return c->state == DOWN; }
aq_yamux *aq_conn_mux(aq_conn *c) { return c->mux; }
uint64_t aq_conn_rtt_ns(const aq_conn *c) { return c->rtt_ns; }

/* ---- end ---- */

static void go_down(aq_conn *c, aq_status st) {
  if (c->state == DOWN) return;
  c->state = DOWN;
  aq_timer_cancel(c->env, &c->timer);
  c->io.down(c->io.arg, st);
}

/* ---- output ---- */

static void stalled(aq_conn *c) {
  c->blocked = true;
  c->stall_until_ns = aq_mono_ns(c->env) + STALL_LIMIT_NS;
}

/* False while the lower layer has no room. */
static bool write_tx(aq_conn *c) {
  if (c->tx.len == c->tx_off) return true;
  size_t len = c->tx.len - c->tx_off;
  size_t taken = c->io.write(c->io.arg, aq_bytes_of(c->tx.ptr + c->tx_off, len));
  AQ_ASSERT(taken <= len);
  c->tx_off += taken;
  if (taken < len) {
    stalled(c);
    return false;
  }
  aq_buf_free(&c->tx); /* an idle connection keeps no buffer */
  c->tx_off = 0;
  return true;
}

static void put_sealed(aq_conn *c, aq_bytes plain) {
  size_t len = aq_noise_seal(c->noise, c->scratch->frame, plain);
  aq_buf_put(&c->tx, c->scratch->frame, len);
}

static void write_frames(aq_conn *c) {
  aq_conn_scratch *s = c->scratch;
  while (!c->blocked && c->state == YAMUX) {
    size_t len = aq_yamux_send(c->mux, s->frame + 2, AQ_NOISE_PLAIN_MAX, aq_mono_ns(c->env));
    if (len == 0) return;
    size_t sealed = aq_noise_seal(c->noise, s->frame, aq_bytes_of(s->frame + 2, len));
    size_t taken = c->io.write(c->io.arg, aq_bytes_of(s->frame, sealed));
    AQ_ASSERT(taken <= sealed);
    if (taken < sealed) {
      aq_buf_put(&c->tx, s->frame + taken, sealed - taken);
      stalled(c);
    }
  }
}

/* Hands all waiting events to the user. */
static void events(aq_conn *c) {
  aq_yamux_ev ev;
  while (c->state == YAMUX && aq_yamux_next(c->mux, &ev)) {
    if (ev.kind == AQ_YAMUX_EV_PONG) {
      c->rtt_ns = ev.rtt_ns ? ev.rtt_ns : 1;
    } else if (ev.kind == AQ_YAMUX_EV_GOAWAY) {
      go_down(c, AQ_E_CLOSED);
    } else {
      c->io.event(c->io.arg, &ev);
    }
  }
}

static void flush(aq_conn *c) {
  if (c->state == DOWN || c->blocked || !write_tx(c)) return;
  write_frames(c);
}

void aq_conn_flush(aq_conn *c) {
  if (c->busy) return; /* data or writable end with a flush */
  c->busy = true;
  do {
    flush(c);
    events(c); /* SENT; their owners may write again */
  } while (c->state == YAMUX && !c->blocked && aq_yamux_due(c->mux));
  c->busy = false;
}

void aq_conn_writable(aq_conn *c) {
  c->blocked = false;
  aq_conn_flush(c);
}

static void fail(aq_conn *c, aq_status st) {
  if (c->state == YAMUX) flush(c); /* the go-away */
  go_down(c, st);
}

/* ---- time ---- */

static void arm(aq_conn *c);

static void on_timer(void *arg) {
  aq_conn *c = arg;
  uint64_t now = aq_mono_ns(c->env);
  if (!c->up && now >= c->setup_until_ns) {
    go_down(c, AQ_E_TIMEOUT);
    return;
  }
  if (c->blocked && now >= c->stall_until_ns) {
    go_down(c, AQ_E_TIMEOUT);
    return;
  }
  if (c->mux && aq_yamux_tick(c->mux, now) != AQ_OK) {
    go_down(c, AQ_E_TIMEOUT);
    return;
  }
  aq_conn_flush(c);
  if (c->state != DOWN) arm(c);
}

/* Deadlines only move away while data flows; the timer finds the new one when it fires. */
static void arm(aq_conn *c) {
  uint64_t now = aq_mono_ns(c->env), at = c->up ? AQ_NEVER : c->setup_until_ns;
  if (c->blocked && c->stall_until_ns < at) at = c->stall_until_ns;
  if (c->mux && aq_yamux_deadline_ns(c->mux) < at) at = aq_yamux_deadline_ns(c->mux);
  uint64_t wait = at > now ? at - now : 0;
  aq_timer_after(c->env, &c->timer, wait, on_timer, c);
}

/* ---- set-up ---- */

static void start_noise(aq_conn *c) {
  uint8_t secrets[64];
  aq_random(c->env, secrets, sizeof secrets);
  aq_noise_init(c->noise, c->initiator, c->key, secrets, true);
  aq_wipe(secrets, sizeof secrets);
  c->state = NOISE;
  if (c->initiator) aq_noise_start(c->noise, &c->tx);
}

static void start_yamux(aq_conn *c) {
  aq_yamux_cfg cfg = {.client = c->initiator, .streams_max = AQ_CONN_STREAMS_MAX};
  aq_random(c->env, cfg.seed, sizeof cfg.seed);
  c->mux = aq_yamux_new(&cfg, aq_mono_ns(c->env));
  c->state = YAMUX;
  arm(c);
}

static int find_noise(void *arg, aq_bytes name) {
  (void)arg;
  return aq_bytes_eq(name, aq_bytes_str(noise_offer[0])) ? 0 : -1;
}

static int find_yamux(void *arg, aq_bytes name) {
  (void)arg;
  return aq_bytes_eq(name, aq_bytes_str(muxer_offer[0])) ? 0 : -1;
}

/* One step of either negotiation over what is in `from`; used bytes are dropped from it. */
static aq_status negotiate(aq_conn *c, aq_buf *from, aq_buf *out, aq_ms_find find) {
  size_t used;
  int chosen;
  aq_status st = c->initiator ? aq_ms_answer(&c->propose, &used, aq_buf_bytes(from), out)
                              : aq_ms_respond(&c->respond, &chosen, &used, aq_buf_bytes(from), out, find, c);
  aq_buf_drop_front(from, used);
  return st;
}

/* Both sides speak at once; neither waits for the other's header. */
static void start_muxer(aq_conn *c) {
  if (c->noise->muxer) {
    start_yamux(c);
    return;
  }
  c->state = MUXER;
  aq_buf out = AQ_BUF(AQ_MS_TOKEN_MAX);
  if (c->initiator) {
    aq_ms_propose(&c->propose, muxer_offer, 1, &out);
  } else {
    c->respond = (aq_ms_responder){0};
    aq_status st = negotiate(c, &c->neg_rx, &out, find_yamux);
    AQ_ASSERT(st == AQ_E_AGAIN);
  }
  put_sealed(c, aq_buf_bytes(&out));
  aq_buf_free(&out);
}

void aq_conn_start(aq_conn *c) {
  c->setup_until_ns = aq_mono_ns(c->env) + SETUP_LIMIT_NS;
  if (c->initiator) {
    aq_ms_propose(&c->propose, noise_offer, 1, &c->tx);
  } else {
    aq_status st = negotiate(c, &c->rx, &c->tx, find_noise);
    AQ_ASSERT(st == AQ_E_AGAIN);
  }
  arm(c);
  aq_conn_flush(c);
}

/* ---- input ---- */

static void on_frames(aq_conn *c, aq_bytes in) {
  while (in.len && c->state == YAMUX) {
    size_t used;
    aq_status st = aq_yamux_recv(c->mux, &used, in, aq_mono_ns(c->env));
    events(c);
    if (st != AQ_OK) {
      fail(c, st);
      return;
    }
    in = aq_bytes_sub(in, used, in.len - used);
  }
}

static void on_yamux(aq_conn *c, aq_bytes plain) {
  if (!c->up && plain.len) {
    /* A dialler learns only now that the other side's gate let it in (wire.md 2.5). */
    c->up = true;
    c->io.up(c->io.arg);
  }
  on_frames(c, plain);
}

static void on_muxer(aq_conn *c, aq_bytes in) {
  aq_buf out = AQ_BUF(RX_MAX);
  aq_buf_put_bytes(&c->neg_rx, in);
  aq_status st = c->neg_rx.failed ? AQ_E_LIMIT : negotiate(c, &c->neg_rx, &out, find_yamux);
  if (out.len > AQ_NOISE_PLAIN_MAX)
    st = AQ_E_LIMIT;
  else if (out.len)
    put_sealed(c, aq_buf_bytes(&out));
  aq_buf_free(&out);
  if (st == AQ_E_AGAIN && !c->tx.failed) return;
  if (st != AQ_OK || c->tx.failed) {
    fail(c, st == AQ_OK ? AQ_E_LIMIT : st);
    return;
  }
  start_yamux(c);
  aq_buf rest = c->neg_rx;
  c->neg_rx = AQ_BUF(RX_MAX);
  on_yamux(c, aq_buf_bytes(&rest));
  aq_buf_free(&rest);
}

static void on_msg(aq_conn *c, aq_bytes msg) {
  if (c->state == NOISE) {
    aq_status st = aq_noise_handshake(c->noise, msg, &c->tx);
    if (st != AQ_OK) {
      fail(c, st);
    } else if (c->noise->done) {
      if (c->io.secured(c->io.arg, c->noise->remote))
        start_muxer(c);
      else
        go_down(c, AQ_E_UNKNOWN);
    }
    return;
  }
  size_t len;
  aq_status st = aq_noise_open(c->noise, c->scratch->plain, &len, msg);
  if (st != AQ_OK)
    fail(c, st);
  else if (c->state == MUXER)
    on_muxer(c, aq_bytes_of(c->scratch->plain, len));
  else
    on_yamux(c, aq_bytes_of(c->scratch->plain, len));
}

/* The next whole Noise message of rx and in; AQ_E_AGAIN: all of in was kept. */
static aq_status next_msg(aq_conn *c, aq_bytes *msg, aq_bytes *in) {
  size_t used;
  if (c->rx_done) aq_buf_free(&c->rx);
  c->rx_done = false;
  if (c->rx.len == 0) {
    aq_status st = aq_noise_split(msg, &used, *in);
    if (st == AQ_E_AGAIN) {
      aq_buf_put_bytes(&c->rx, *in);
      used = in->len;
    }
    *in = aq_bytes_sub(*in, used, in->len - used);
    return st;
  }
  for (;;) {
    size_t want = c->rx.len < 2 ? 2 : 2 + (size_t)aq_be16_get(c->rx.ptr);
    size_t len = want - c->rx.len < in->len ? want - c->rx.len : in->len;
    aq_buf_put(&c->rx, in->ptr, len);
    *in = aq_bytes_sub(*in, len, in->len - len);
    if (c->rx.len >= 2 && aq_noise_split(msg, &used, aq_buf_bytes(&c->rx)) == AQ_OK) {
      c->rx_done = true;
      return AQ_OK;
    }
    if (in->len == 0) return AQ_E_AGAIN;
  }
}

static void on_noise(aq_conn *c, aq_bytes in) {
  while (c->state != DOWN) {
    aq_bytes msg;
    if (next_msg(c, &msg, &in) != AQ_OK) return;
    on_msg(c, msg);
  }
}

static void on_security(aq_conn *c, aq_bytes in) {
  aq_buf_put_bytes(&c->rx, in);
  aq_status st = c->rx.failed ? AQ_E_LIMIT : negotiate(c, &c->rx, &c->tx, find_noise);
  if (st == AQ_E_AGAIN && !c->tx.failed) return;
  if (st != AQ_OK || c->tx.failed) {
    fail(c, st == AQ_OK ? AQ_E_LIMIT : st);
    return;
  }
  start_noise(c);
  aq_buf rest = c->rx;
  c->rx = AQ_BUF(RX_MAX);
  on_noise(c, aq_buf_bytes(&rest));
  aq_buf_free(&rest);
}

void aq_conn_data(aq_conn *c, aq_bytes in) {
  if (c->state == DOWN) return;
  AQ_ASSERT(!c->busy);
  c->busy = true;
  if (c->state == SECURITY)
    on_security(c, in);
  else
    on_noise(c, in);
  c->busy = false;
  aq_conn_flush(c);
}

void aq_conn_close(aq_conn *c, uint32_t code) {
  if (c->state == DOWN) return;
  if (c->state == YAMUX) {
    aq_yamux_goaway(c->mux, code);
    flush(c);
  }
  c->state = DOWN;
  aq_timer_cancel(c->env, &c->timer);
}

void aq_conn_abort(aq_conn *c) {
  c->state = DOWN;
  aq_timer_cancel(c->env, &c->timer);
}
